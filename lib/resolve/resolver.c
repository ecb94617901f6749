/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolve/internal.h"

#include <errno.h>
#include <stdlib.h>

/* ---- completion ---- */

static void notify_later(struct resolver *r, struct entry *e)
{
	if (e->notify)
		return;
	e->notify = true;
	e->notify_next = NULL;
	*r->notify_end = e;
	r->notify_end = &e->notify_next;
}

static uint64_t bounded_ttl(uint32_t ttl)
{
	if (ttl < RESOLVE_TTL_MIN_S)
		ttl = RESOLVE_TTL_MIN_S;
	if (ttl > RESOLVE_TTL_MAX_S)
		ttl = RESOLVE_TTL_MAX_S;
	return ttl * CLOCK_NS_PER_S;
}

/* RFC 9520 3.2: servers that fail are asked again after a time that grows. */
static uint64_t pause_of(const struct entry *e)
{
	uint64_t s = RESOLVE_FAILURE_MIN_S;

	for (uint32_t i = 1; i < e->failures && s < RESOLVE_FAILURE_MAX_S; i++)
		s *= 2;
	return (s < RESOLVE_FAILURE_MAX_S ? s : RESOLVE_FAILURE_MAX_S) * CLOCK_NS_PER_S;
}

/* Whether an answer of which a part is missing says nothing but what the old one says. */
static bool is_part_of(const struct resolve_addresses *part, const struct resolve_addresses *whole)
{
	for (unsigned i = 0; i < part->count; i++) {
		unsigned k = 0;

		while (k < whole->count && !net_endpoint_equal(&part->ep[i], &whole->ep[k]))
			k++;
		if (k == whole->count)
			return false;
	}
	return true;
}

static void say(struct resolver *r, struct entry *e, enum resolve_answer answer)
{
	if (e->answer != answer || !e->published) {
		e->published = false;
		r->dirty = true;
	}
	e->answer = answer;
}

static void take_new(
	struct resolver *r, struct entry *e, const struct resolve_addresses *found, uint32_t ttl)
{
	uint64_t life = bounded_ttl(ttl), ahead = life / RESOLVE_AHEAD_PART;

	if (ahead > RESOLVE_AHEAD_MAX_S * CLOCK_NS_PER_S)
		ahead = RESOLVE_AHEAD_MAX_S * CLOCK_NS_PER_S;
	if (memcmp(&e->addresses, found, sizeof(*found)) != 0) {
		if (entry_has_stale(r, e))
			former_keep(r, e, found);
		e->published = false;
		e->addresses = *found;
	}
	if (e->first_use == 0)
		e->first_use = e->last_use = r->now;
	e->expires = r->now + life;
	e->refresh_at = e->expires - ahead;
	e->keep_until = e->expires + RESOLVE_STALE_S * CLOCK_NS_PER_S;
	say(r, e, RESOLVE_FOUND);
}

/*
 * What there was is kept although servers fail to give a new answer: RFC 8767 5 asks for it, within
 * bounds. A name that the DNS says is gone is gone.
 */
static void keep_old(struct resolver *r, struct entry *e)
{
	resolver_count(r, RESOLVE_COUNTER_STALE);
	e->expires = e->refresh_at = r->now + pause_of(e);
	say(r, e, RESOLVE_FOUND);
}

static void take_failure(struct resolver *r, struct entry *e, enum outcome outcome)
{
	uint64_t pause = RESOLVE_NEGATIVE_S * CLOCK_NS_PER_S;

	if (outcome == OUTCOME_TRANSIENT)
		pause = pause_of(e);
	e->expires = r->now + pause;
	/* How often servers have failed is remembered until it could be asked again, and no longer
	 * where the name is not there. */
	e->keep_until = e->expires + (outcome == OUTCOME_TRANSIENT ? pause : 0);
	e->addresses.count = 0;
	e->first_use = 0;
	say(r, e, RESOLVE_FAILED);
}

void resolver_complete(struct resolver *r, struct entry *e, enum outcome outcome, int status,
	const struct resolve_addresses *found, uint32_t ttl)
{
	bool has = outcome == OUTCOME_FOUND || outcome == OUTCOME_PARTIAL;

	e->completions++;
	e->status = has ? ARES_SUCCESS : status;
	e->failures =
		outcome == OUTCOME_TRANSIENT || outcome == OUTCOME_PARTIAL ? e->failures + 1 : 0;
	if (outcome == OUTCOME_PARTIAL && !e->partial && entry_has_stale(r, e) &&
		is_part_of(found, &e->addresses)) {
		keep_old(r, e);
	} else if (has) {
		/* A part is good for now, and asked for again soon. */
		e->partial = outcome == OUTCOME_PARTIAL;
		take_new(r, e, found, e->partial ? 0 : ttl);
	} else if (outcome == OUTCOME_TRANSIENT && entry_has_stale(r, e)) {
		keep_old(r, e);
	} else {
		take_failure(r, e, outcome);
	}
	notify_later(r, e);
}

void resolver_serve_stale(struct resolver *r, struct entry *e)
{
	keep_old(r, e);
	notify_later(r, e);
}

/* Takes those who wait for a name from it. */
static struct waiter *take_waiters(struct resolver *r, struct entry *e)
{
	struct waiter *first = e->waiters;

	for (const struct waiter *w = first; w != NULL; w = w->next) {
		r->waiters--;
		r->strange_waiters -= w->strange;
		e->zone->waiters -= w->strange;
	}
	e->waiting = 0;
	e->waiters = NULL;
	e->waiters_end = &e->waiters;
	resolver_set_counter(r, RESOLVE_COUNTER_WAITING, r->waiters);
	return first;
}

/* Calls those who wait for names that the current snapshot has. They may ask for more. */
static void notify_waiters(struct resolver *r)
{
	struct entry *e = r->notify;

	r->notify = NULL;
	r->notify_end = &r->notify;
	while (e != NULL) {
		/*
		 * Copied: those who are called may ask for names whose entries take the place of
		 * this one.
		 */
		struct entry *next = e->notify_next;
		enum resolve_answer answer = e->answer;

		e->notify = false;
		if (!e->published) {
			notify_later(r, e);
			e = next;
			continue;
		}
		for (struct waiter *w = take_waiters(r, e), *following; w != NULL; w = following) {
			following = w->next;
			w->done(w->arg, answer);
			free(w);
		}
		e = next;
	}
}

void resolver_publish(struct resolver *r)
{
	struct resolve_snapshot *s;
	const struct resolve_snapshot *old;

	if (!r->dirty)
		return;
	/* A reader that stands still must not make us fill the memory with snapshots. */
	if (r->shared->snapshots >= SNAPSHOTS_MAX || r->rcu->retired_count == RCU_RETIRED_MAX)
		rcu_reclaim(r->rcu);
	if (r->shared->snapshots >= SNAPSHOTS_MAX || r->rcu->retired_count == RCU_RETIRED_MAX)
		return;
	s = snapshot_new(r);
	if (s == NULL)
		return;
	old = atomic_load_explicit(&r->snapshot, memory_order_relaxed);
	atomic_store_explicit(&r->snapshot, s, memory_order_release);
	rcu_retire(r->rcu, (void *)old, snapshot_free);
	for (uint32_t i = 0; i < RESOLVE_NAMES_MAX; i++)
		if (r->entry[i] != NULL && r->entry[i]->answer != RESOLVE_MISSING)
			r->entry[i]->published = true;
	r->dirty = false;
}

const struct resolve_snapshot *resolver_snapshot(const struct resolver *r)
{
	return atomic_load_explicit(&r->snapshot, memory_order_acquire);
}

/* ---- time ---- */

/* Nobody has found it for a while: readers forget it. Its addresses stay, in case that servers
 * fail when somebody asks again; so does the number of failures. */
static void lapse(struct resolver *r, struct entry *e)
{
	e->answer = RESOLVE_MISSING;
	if (e->published)
		r->dirty = true;
	e->published = false;
}

/* What has run out is forgotten; what is in use was asked for again a little before. */
static void scan_entry(struct resolver *r, struct entry *e)
{
	_Atomic uint8_t *used = &r->shared->used[e->slot];

	if (atomic_load_explicit(used, memory_order_relaxed) != 0) {
		atomic_store_explicit(used, 0, memory_order_relaxed);
		e->used = true;
		e->last_use = r->now;
	}
	if (former_forget(r, e) && e->published) {
		e->published = false;
		r->dirty = true;
	}
	if (e->query != NULL || e->waiters != NULL || e->notify)
		return;
	/* A load that was to take it is over: it does not stop for this. */
	e->ahead = false;
	if (e->answer == RESOLVE_FOUND && e->used && r->now >= e->refresh_at &&
		share_admit(r, e->zone, true)) {
		(void)query_start(r, e);
		return;
	}
	/* In use, and no room to ask: it answers as it is. */
	if (e->answer == RESOLVE_FOUND ? r->now >= (e->used ? e->keep_until : e->expires)
				       : e->answer == RESOLVE_FAILED && r->now >= e->expires)
		lapse(r, e);
	if (e->answer == RESOLVE_MISSING && r->now >= e->keep_until)
		table_remove(r, e);
}

static void scan(struct resolver *r)
{
	for (uint32_t i = 0; i < RESOLVE_NAMES_MAX; i++)
		if (r->entry[i] != NULL)
			scan_entry(r, r->entry[i]);
}

/*
 * Publishing takes up to 2 ms with a full table: a stream of strangers' names gets a fifth of this
 * thread at most.
 */
static void publish_in_turn(struct resolver *r)
{
	uint64_t began = clock_now_ns(), now;

	if (began < r->next_publish)
		return;
	resolver_publish(r);
	now = clock_now_ns();
	r->next_publish = now + 4 * (now - began);
}

unsigned resolver_poll(struct resolver *r, uint64_t now_ns)
{
	if (now_ns > r->now)
		r->now = now_ns;
	if (r->queries > 0 || r->questions > 0 || r->fds > 0)
		resolver_process(r, 0);
	if (r->now >= r->next_scan) {
		r->next_scan = r->now + SCAN_INTERVAL_NS;
		scan(r);
	}
	if (r->now < r->pins_until && r->now >= r->next_sweep) {
		r->next_sweep = r->now + CLOCK_NS_PER_S;
		pin_sweep(r->pins, r->now);
	}
	if (r->dirty)
		publish_in_turn(r);
	if (r->notify != NULL)
		notify_waiters(r);
	return r->queries;
}

/* The entry that is asked for, with a query under way or an answer to come. NULL: no room. */
static struct entry *entry_to_wait_for(
	struct resolver *r, enum resolve_kind kind, const struct host_name *host, bool ours)
{
	struct entry *e = table_find(r, kind, host);
	bool fresh = e == NULL;

	if (ours && e != NULL)
		table_set_ours(r, e);
	if (e != NULL && (e->answer != RESOLVE_MISSING || e->query != NULL))
		return e;
	if (!share_admit(r, e != NULL ? e->zone : table_zone(r, host),
		    ours || (e != NULL && entry_is_known(r, e)))) {
		/* An old answer is better than none. */
		if (e != NULL && entry_has_stale(r, e)) {
			resolver_serve_stale(r, e);
			return e;
		}
		return NULL;
	}
	/* What gave way may have been the name itself, of which another is asked for. */
	if (fresh)
		e = table_add(r, kind, host, ours);
	if (e == NULL || query_start(r, e) == 0)
		return e;
	if (fresh)
		table_remove(r, e);
	return NULL;
}

static int ask(struct resolver *r, enum resolve_kind kind, struct str name, bool ours,
	void (*done)(void *arg, enum resolve_answer answer), void *arg)
{
	struct host_name host;
	struct waiter *w;
	struct entry *e;
	bool known;

	if (!name_read(name, &host))
		return -EINVAL;
	if (name_special(name) != NAME_ORDINARY) {
		done(arg, name_special(name) == NAME_LOCALHOST ? RESOLVE_FOUND : RESOLVE_FAILED);
		return 0;
	}
	e = entry_to_wait_for(r, kind, &host, ours);
	if (e == NULL)
		return -EAGAIN;
	if (e->published) {
		done(arg, e->answer);
		return 0;
	}
	known = entry_is_known(r, e);
	if (!share_wait(r, e, known))
		return -EAGAIN;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -EAGAIN;
	*w = (struct waiter){NULL, done, arg, !known};
	*e->waiters_end = w;
	e->waiters_end = &w->next;
	e->waiting++;
	r->waiters++;
	if (!known) {
		r->strange_waiters++;
		e->zone->waiters++;
	}
	resolver_set_counter(r, RESOLVE_COUNTER_WAITING, r->waiters);
	return 0;
}

static int ask_counted(struct resolver *r, enum resolve_kind kind, struct str name, bool ours,
	void (*done)(void *arg, enum resolve_answer answer), void *arg)
{
	int err = ask(r, kind, name, ours, done, arg);

	if (err == -EAGAIN)
		resolver_count(r, RESOLVE_COUNTER_REFUSED);
	return err;
}

int resolve_ask(struct resolver *r, enum resolve_kind kind, struct str name,
	void (*done)(void *arg, enum resolve_answer answer), void *arg)
{
	return ask_counted(r, kind, name, false, done, arg);
}

int resolve_ask_ours(struct resolver *r, enum resolve_kind kind, struct str name,
	void (*done)(void *arg, enum resolve_answer answer), void *arg)
{
	return ask_counted(r, kind, name, true, done, arg);
}

/* ---- life ---- */

void resolver_set_waiters(struct resolver *r, uint32_t most)
{
	r->waiters_max = most < RESOLVE_WAITERS_MAX ? most : RESOLVE_WAITERS_MAX;
}

void resolver_set_naptr(struct resolver *r, bool naptr)
{
	r->naptr = naptr;
}

uint64_t resolver_counter(const struct resolver *r, enum resolve_counter counter)
{
	return counter < RESOLVE_COUNTER_COUNT
		       ? atomic_load_explicit(&r->counter[counter], memory_order_relaxed)
		       : 0;
}

const char *resolver_counter_name(enum resolve_counter counter)
{
	static const char *const names[RESOLVE_COUNTER_COUNT] = {
#define RESOLVE_COUNTER(id, name) [RESOLVE_COUNTER_##id] = name,
		RESOLVE_COUNTERS(RESOLVE_COUNTER)
#undef RESOLVE_COUNTER
	};

	return counter < RESOLVE_COUNTER_COUNT ? names[counter] : NULL;
}

struct resolver *resolver_create(const char *servers, struct rcu *rcu)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int err = -ENOMEM;

	if (r == NULL)
		goto out;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		free(r);
		r = NULL;
		goto out;
	}
	r->rcu = rcu;
	r->hosts_file = servers == NULL;
	r->naptr = true;
	r->waiters_max = RESOLVE_WAITERS_MAX;
	r->now = clock_now_ns();
	r->notify_end = &r->notify;
	memset(r->bucket, 0xff, sizeof(r->bucket));
	for (r->free_slots = 0; r->free_slots < RESOLVE_NAMES_MAX; r->free_slots++)
		r->free_slot[r->free_slots] = RESOLVE_NAMES_MAX - 1 - r->free_slots;
	r->shared = calloc(1, sizeof(*r->shared));
	r->pins = pin_create(0);
	if (r->shared == NULL || r->pins == NULL)
		goto out;
	r->shared->references = 1;
	err = hash_key_random(&r->key);
	if (err != 0)
		goto out;
	err = channel_open(r, servers, &r->channel);
	if (err != 0)
		goto out;
	r->dirty = true;
	resolver_publish(r);
	err = r->dirty ? -ENOMEM : 0;
out:
	if (err != 0) {
		resolver_destroy(r);
		errno = -err;
		r = NULL;
	}
	return r;
}

void resolver_destroy(struct resolver *r)
{
	if (r == NULL)
		return;
	channel_close(r);
	for (uint32_t i = 0; i < RESOLVE_NAMES_MAX; i++) {
		struct entry *e = r->entry[i];

		if (e == NULL)
			continue;
		for (struct waiter *w = e->waiters, *next; w != NULL; w = next) {
			next = w->next;
			free(w);
		}
		table_remove(r, e);
	}
	if (r->snapshot != NULL) {
		/* A reader may still hold it: where it can't be handed over, it is left alone. */
		rcu_retire(r->rcu, (void *)atomic_load(&r->snapshot), snapshot_free);
		rcu_reclaim(r->rcu);
	}
	if (r->shared != NULL)
		shared_release(r->shared);
	pin_destroy(r->pins);
	ares_library_cleanup();
	free(r);
}
