/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolve/internal.h"

#include <errno.h>
#include <stdlib.h>

#define NONE UINT32_MAX

/* ---- the table ---- */

static uint32_t bucket_of(
	const struct resolver *r, enum resolve_kind kind, const struct host_name *name)
{
	return (uint32_t)snapshot_hash(&r->key, kind, str_of(name->s, name->len)) & (BUCKETS - 1);
}

static struct entry *find(const struct resolver *r, enum resolve_kind kind,
	const struct host_name *name, uint32_t bucket)
{
	for (uint32_t i = r->bucket[bucket]; i != NONE; i = r->entry[i]->chain_next) {
		struct entry *e = r->entry[i];

		if (e->kind == kind && e->name.len == name->len &&
			memcmp(e->name.s, name->s, name->len) == 0)
			return e;
	}
	return NULL;
}

static void remove_entry(struct resolver *r, struct entry *e)
{
	uint32_t *link = &r->bucket[e->bucket];

	while (*link != e->slot)
		link = &r->entry[*link]->chain_next;
	*link = e->chain_next;
	r->entry[e->slot] = NULL;
	r->free_slot[r->free_slots++] = e->slot;
	/* What is not published is not there, or a newer snapshot is due anyway. */
	if (e->published)
		r->dirty = true;
	free(e);
}

static bool is_used(const struct resolver *r, const struct entry *e)
{
	return atomic_load_explicit(&r->shared->used[e->slot], memory_order_relaxed) != 0;
}

/*
 * The table is full: the name that is soonest to end goes, of those that nobody needs; failed ones
 * first.
 */
static bool make_room(struct resolver *r)
{
	struct entry *victim = NULL;

	for (uint32_t i = 0; i < RESOLVE_NAMES_MAX; i++) {
		struct entry *e = r->entry[i];

		if (e == NULL || e->query != NULL || e->waiters != NULL || e->notify ||
			(e->answer == RESOLVE_FOUND && is_used(r, e)))
			continue;
		if (victim == NULL || (e->answer == victim->answer ? e->expires < victim->expires
								   : e->answer == RESOLVE_FAILED))
			victim = e;
	}
	if (victim == NULL)
		return false;
	remove_entry(r, victim);
	return true;
}

struct entry *resolver_entry(
	struct resolver *r, enum resolve_kind kind, const struct host_name *name)
{
	uint32_t bucket = bucket_of(r, kind, name);
	struct entry *e = find(r, kind, name, bucket);

	if (e != NULL)
		return e;
	if (r->free_slots == 0 && !make_room(r))
		return NULL;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	e->name = *name;
	e->kind = kind;
	e->answer = RESOLVE_MISSING;
	e->waiters_end = &e->waiters;
	e->slot = r->free_slot[--r->free_slots];
	e->bucket = bucket;
	e->chain_next = r->bucket[bucket];
	r->bucket[bucket] = e->slot;
	r->entry[e->slot] = e;
	atomic_store_explicit(&r->shared->used[e->slot], 0, memory_order_relaxed);
	return e;
}

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

/*
 * Whether the answer that we have is kept although servers fail to give a new one: RFC 8767 5 asks
 * for it, within bounds. A name that the DNS says is gone is gone.
 */
static bool keep_stale(const struct resolver *r, const struct entry *e, enum outcome outcome)
{
	return outcome == OUTCOME_TRANSIENT && e->answer == RESOLVE_FOUND &&
	       r->now < e->stale_until;
}

void resolver_complete(struct resolver *r, struct entry *e, enum outcome outcome, int status,
	const struct resolve_addresses *found, uint32_t ttl)
{
	bool same = true;

	e->completions++;
	e->status = outcome == OUTCOME_FOUND ? ARES_SUCCESS : status;
	if (outcome == OUTCOME_FOUND) {
		same = e->answer == RESOLVE_FOUND &&
		       memcmp(&e->addresses, found, sizeof(*found)) == 0;
		e->answer = RESOLVE_FOUND;
		e->addresses = *found;
		e->expires = r->now + bounded_ttl(ttl);
		e->stale_until = e->expires + RESOLVE_STALE_S * CLOCK_NS_PER_S;
	} else {
		/*
		 * RFC 2308 5 and 7: what is not there, and what servers do not tell, is remembered,
		 * too.
		 */
		e->expires = r->now + RESOLVE_NEGATIVE_S * CLOCK_NS_PER_S;
		if (keep_stale(r, e, outcome)) {
			resolver_count(r, RESOLVE_COUNTER_STALE);
		} else {
			same = e->answer == RESOLVE_FAILED;
			e->answer = RESOLVE_FAILED;
			e->addresses.count = 0;
		}
	}
	if (!same || !e->published) {
		e->published = false;
		r->dirty = true;
	}
	notify_later(r, e);
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
		struct waiter *w;

		e->notify = false;
		if (!e->published) {
			notify_later(r, e);
			e = next;
			continue;
		}
		w = e->waiters;
		e->waiters = NULL;
		e->waiters_end = &e->waiters;
		while (w != NULL) {
			struct waiter *following = w->next;

			r->waiters--;
			w->done(w->arg, answer);
			free(w);
			w = following;
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

/* What has run out: refreshed where it was in use, forgotten where not. */
static void scan(struct resolver *r)
{
	for (uint32_t i = 0; i < RESOLVE_NAMES_MAX; i++) {
		struct entry *e = r->entry[i];

		if (e == NULL || e->query != NULL || e->waiters != NULL || e->notify ||
			r->now < e->expires)
			continue;
		if (e->answer != RESOLVE_FOUND || !is_used(r, e)) {
			remove_entry(r, e);
			continue;
		}
		/* Full: it answers as it is, until there is room. */
		if (r->queries >= RESOLVE_QUERIES_MAX)
			continue;
		atomic_store_explicit(&r->shared->used[i], 0, memory_order_relaxed);
		if (query_start(r, e) != 0)
			return;
	}
}

void resolver_process(struct resolver *r, int timeout_ms)
{
	struct pollfd ready[FDS_MAX];
	uint32_t n = r->fds;

	memcpy(ready, r->fd, n * sizeof(ready[0]));
	if ((n > 0 || timeout_ms > 0) && poll(ready, n, timeout_ms) > 0)
		for (uint32_t i = 0; i < n; i++) {
			bool in = (ready[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
			bool out = (ready[i].revents & (POLLOUT | POLLERR | POLLHUP)) != 0;

			if (in || out)
				ares_process_fd(r->channel, in ? ready[i].fd : ARES_SOCKET_BAD,
					out ? ready[i].fd : ARES_SOCKET_BAD);
		}
	if (r->queries > 0)
		ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
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
	if (r->queries > 0 || r->fds > 0)
		resolver_process(r, 0);
	if (r->now >= r->next_scan) {
		r->next_scan = r->now + SCAN_INTERVAL_NS;
		scan(r);
	}
	if (r->dirty)
		publish_in_turn(r);
	if (r->notify != NULL)
		notify_waiters(r);
	return r->queries;
}

static int ask(struct resolver *r, enum resolve_kind kind, struct str name,
	void (*done)(void *arg, enum resolve_answer answer), void *arg)
{
	struct host_name host;
	struct waiter *w;
	struct entry *e;

	if (!name_read(name, &host))
		return -EINVAL;
	if (r->waiters >= RESOLVE_WAITERS_MAX)
		return -EAGAIN;
	e = resolver_entry(r, kind, &host);
	if (e == NULL)
		return -EAGAIN;
	if (e->published) {
		done(arg, e->answer);
		return 0;
	}
	/*
	 * An answer that is not yet published, or a query under way, is waited for; else one
	 * begins.
	 */
	if (e->answer == RESOLVE_MISSING && e->query == NULL) {
		if (r->queries >= RESOLVE_QUERIES_MAX - QUERIES_FOR_REFRESH ||
			query_start(r, e) != 0) {
			remove_entry(r, e);
			return -EAGAIN;
		}
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -EAGAIN;
	*w = (struct waiter){NULL, done, arg};
	*e->waiters_end = w;
	e->waiters_end = &w->next;
	r->waiters++;
	return 0;
}

int resolve_ask(struct resolver *r, enum resolve_kind kind, struct str name,
	void (*done)(void *arg, enum resolve_answer answer), void *arg)
{
	int err = ask(r, kind, name, done, arg);

	if (err == -EAGAIN)
		resolver_count(r, RESOLVE_COUNTER_REFUSED);
	return err;
}

/* ---- life ---- */

/* c-ares tells which of its sockets wait for what. */
static void socket_changed(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = arg;
	uint32_t i = 0;

	while (i < r->fds && r->fd[i].fd != fd)
		i++;
	if (readable == 0 && writable == 0) {
		if (i < r->fds)
			r->fd[i] = r->fd[--r->fds];
		return;
	}
	if (i == r->fds) {
		/* Two for each server, which are bounded. What can't be watched times out. */
		if (i == FDS_MAX)
			return;
		r->fds++;
	}
	r->fd[i] = (struct pollfd){.fd = fd,
		.events = (short)((readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0))};
}

static int open_channel(struct resolver *r, const char *servers)
{
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.timeout = QUERY_TIMEOUT_MS,
		.tries = QUERY_TRIES,
		.ednspsz = QUERY_EDNS_SIZE,
		.sock_state_cb = socket_changed,
		.sock_state_cb_data = r,
	};

	if (ares_init_options(&r->channel, &options,
		    ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
			    ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS)
		return -ENOMEM;
	if (ares_get_servers_ports(r->channel, &r->system_servers) != ARES_SUCCESS)
		return -ENOMEM;
	return servers != NULL ? resolver_set_servers(r, servers) : 0;
}

int resolver_set_servers(struct resolver *r, const char *servers)
{
	unsigned count = 1;
	int status;

	for (const char *c = servers; c != NULL && *c != '\0'; c++)
		count += *c == ',';
	if (count > SERVERS_MAX)
		return -EINVAL;
	status = servers != NULL ? ares_set_servers_ports_csv(r->channel, servers)
				 : ares_set_servers_ports(r->channel, r->system_servers);
	if (status != ARES_SUCCESS)
		return status == ARES_ENOTIMP ? -EBUSY : -EINVAL;
	/* Whoever names servers wants their word, not this machine's. */
	r->hosts_file = servers == NULL;
	return 0;
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
	r->now = clock_now_ns();
	r->notify_end = &r->notify;
	memset(r->bucket, 0xff, sizeof(r->bucket));
	for (r->free_slots = 0; r->free_slots < RESOLVE_NAMES_MAX; r->free_slots++)
		r->free_slot[r->free_slots] = RESOLVE_NAMES_MAX - 1 - r->free_slots;
	r->shared = calloc(1, sizeof(*r->shared));
	if (r->shared == NULL)
		goto out;
	r->shared->references = 1;
	err = hash_key_random(&r->key);
	if (err != 0)
		goto out;
	err = open_channel(r, servers);
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
	r->closing = true;
	if (r->channel != NULL)
		ares_destroy(r->channel);
	ares_free_data(r->system_servers);
	for (uint32_t i = 0; i < RESOLVE_NAMES_MAX; i++) {
		struct entry *e = r->entry[i];

		if (e == NULL)
			continue;
		for (struct waiter *w = e->waiters, *next; w != NULL; w = next) {
			next = w->next;
			free(w);
		}
		free(e);
	}
	if (r->snapshot != NULL) {
		/* A reader may still hold it: where it can't be handed over, it is left alone. */
		rcu_retire(r->rcu, (void *)atomic_load(&r->snapshot), snapshot_free);
		rcu_reclaim(r->rcu);
	}
	if (r->shared != NULL)
		shared_release(r->shared);
	ares_library_cleanup();
	free(r);
}
