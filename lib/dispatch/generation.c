/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Generations: what a reload publishes, and how long the former tables stay in force beside the new
 * ones.
 *
 * Each set has a chain of versions. A reload adds a version to the chains of those sets that it
 * changes, and only to those. A version leaves when its successor is older than any INVITE under
 * way. See select.c for what messages make of a chain.
 */
#include <errno.h>
#include <stdlib.h>

#include "dispatch/internal.h"

struct dispatch_prepared {
	struct dispatch_view *view; /* room for what publish() makes */
	struct dispatch_addresses *addresses;
	struct dispatch_specs specs; /* what all of it was made of */
	struct dispatch_options options;
	unsigned sets;
	struct dispatch_set *set[DISPATCH_CHAINS_MAX];
	unsigned listed;
	struct {
		uint16_t id;
		bool down, by_hand;
		uint8_t state;
	} listed_as[DISPATCH_DESTINATIONS_MAX];
};

static struct dispatch_view *current(const struct dispatch *d)
{
	return atomic_load_explicit(&d->view, memory_order_acquire);
}

const struct dispatch_chain *dispatch_chain_find(const struct dispatch_view *view, uint32_t set)
{
	unsigned low = 0, high = view->chains;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (view->chain[middle].set < set)
			low = middle + 1;
		else
			high = middle;
	}
	return low < view->chains && view->chain[low].set == set ? &view->chain[low] : NULL;
}

static struct dispatch_set *newest(const struct dispatch_chain *chain)
{
	return chain->version[chain->count - 1];
}

static bool is_gone(uint64_t successor_since, uint64_t now_ns)
{
	return now_ns >= successor_since + PIN_INVITE_NS + PIN_SLACK_NS;
}

/* ---- prepare ---- */

static int by_set(const void *a, const void *b)
{
	const struct dispatch_spec *x = *(const struct dispatch_spec *const *)a,
				   *y = *(const struct dispatch_spec *const *)b;

	if (x->set != y->set)
		return x->set < y->set ? -1 : 1;
	/* All lines stand in one array, in the order of the list. */
	return x < y ? -1 : x > y;
}

static int out_of(struct route_report *report, const struct route_place *place, uint32_t set)
{
	if (errno == ENOSPC)
		route_error(report, place,
			"set %u: too many destinations have been replaced within the last minutes: "
			"calls of the former "
			"ones may still be under way; try again in %u seconds",
			set, (unsigned)(PIN_INVITE_NS / CLOCK_NS_PER_S));
	else
		route_error(report, place, "set %u: out of memory", set);
	return errno == ENOSPC ? -ENOSPC : -ENOMEM;
}

/* One set of the list: the current version where nothing differs. */
static int prepare_set(struct dispatch *d, struct dispatch_prepared *p,
	const struct dispatch_spec *const *spec, unsigned n, const struct dispatch_options *options,
	const struct route_place *place, struct route_report *report)
{
	const struct dispatch_view *view = current(d);
	const struct dispatch_chain *chain = dispatch_chain_find(view, spec[0]->set);
	struct hash128 digest = dispatch_set_digest(spec[0]->set, spec, n, options);
	struct dispatch_set *s;

	if (p->sets == DISPATCH_SETS_MAX) {
		route_error(report, place, "more than %d sets", DISPATCH_SETS_MAX);
		return -E2BIG;
	}
	if (chain != NULL && newest(chain)->members > 0 && newest(chain)->digest.lo == digest.lo &&
		newest(chain)->digest.hi == digest.hi) {
		s = newest(chain);
		s->refs++;
	} else {
		s = dispatch_set_build(d, spec[0]->set, spec, n, options);
		if (s == NULL)
			return out_of(report, place, spec[0]->set);
	}
	p->set[p->sets++] = s;
	return 0;
}

/* Sets that the list no longer names get an empty version. */
static int prepare_removed(struct dispatch *d, struct dispatch_prepared *p,
	const struct dispatch_options *options, const struct route_place *place,
	struct route_report *report)
{
	const struct dispatch_view *view = current(d);
	unsigned named = p->sets;

	for (unsigned i = 0; i < view->chains; i++) {
		bool found = newest(&view->chain[i])->members == 0;

		for (unsigned j = 0; j < named && !found; j++)
			found = p->set[j]->set == view->chain[i].set;
		if (found)
			continue;
		if (p->sets == DISPATCH_CHAINS_MAX) {
			route_error(report, place,
				"too many sets have been replaced within the last minutes");
			return -ENOSPC;
		}
		p->set[p->sets] = dispatch_set_build(d, view->chain[i].set, NULL, 0, options);
		if (p->set[p->sets] == NULL)
			return out_of(report, place, view->chain[i].set);
		p->sets++;
	}
	return 0;
}

/* Each change has to find its place beside those of the last minutes. */
static int check_room(struct dispatch *d, const struct dispatch_prepared *p,
	const struct route_place *place, struct route_report *report)
{
	const struct dispatch_view *view = current(d);
	uint64_t now = d->now_ns();
	unsigned added = 0;

	for (unsigned i = 0; i < p->sets; i++) {
		const struct dispatch_chain *chain = dispatch_chain_find(view, p->set[i]->set);
		uint64_t wait;

		if (chain == NULL) {
			added++;
			continue;
		}
		if (newest(chain) == p->set[i] || chain->count < DISPATCH_VERSIONS_MAX ||
			is_gone(chain->since[1], now))
			continue;
		wait = chain->since[1] + PIN_INVITE_NS + PIN_SLACK_NS - now;
		route_error(report, place,
			"set %u has been changed %d times within the last minutes: calls of all "
			"those tables may still be "
			"under way; try again in %u seconds",
			chain->set, DISPATCH_VERSIONS_MAX - 1,
			(unsigned)(wait / CLOCK_NS_PER_S) + 1);
		return -EBUSY;
	}
	if (view->chains + added > DISPATCH_CHAINS_MAX) {
		route_error(
			report, place, "too many sets have been replaced within the last minutes");
		return -ENOSPC;
	}
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct dispatch_address *x = a, *y = b;
	int order = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	if (order != 0)
		return order;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return x->set < y->set ? -1 : x->set > y->set;
}

static int prepare_addresses(struct dispatch *d, struct dispatch_prepared *p)
{
	struct dispatch_addresses *a;
	unsigned n = 0;

	for (unsigned i = 0; i < p->sets; i++)
		n += p->set[i]->members;
	a = calloc(1, sizeof(*a) + n * sizeof(a->at[0]));
	if (a == NULL)
		return -ENOMEM;
	a->refs = 1;
	for (unsigned i = 0; i < p->sets; i++) {
		for (unsigned j = 0; j < p->set[i]->members; j++) {
			const struct dispatch_member *m = &p->set[i]->member[j];
			const struct dispatch_target *t = d->identity[m->id].target;

			a->at[a->count++] = (struct dispatch_address){.addr = t->ep.addr,
				.port = t->any_port ? 0 : t->ep.port,
				.id = t->id,
				.disabled = m->state == DISPATCH_DISABLED,
				.set = t->set};
		}
	}
	if (a->count > 1)
		qsort(a->at, a->count, sizeof(a->at[0]), by_address);
	p->addresses = a;
	return 0;
}

static void note_listed(
	struct dispatch *d, struct dispatch_prepared *p, const struct dispatch_specs *specs)
{
	for (unsigned i = 0; i < specs->count; i++) {
		const struct dispatch_spec *spec = &specs->spec[i];
		/* Takes and gives back: the id is there, since a prepared set holds it. */
		uint16_t id = dispatch_identity_take(d, spec);

		if (id == 0)
			continue;
		d->identity[id].refs--;
		p->listed_as[p->listed].id = id;
		p->listed_as[p->listed].state = spec->state;
		p->listed_as[p->listed].by_hand = spec->state != spec->listed;
		p->listed_as[p->listed++].down = spec->down;
	}
}

static void discard(struct dispatch *d, struct dispatch_prepared *p)
{
	for (unsigned i = 0; i < p->sets; i++)
		dispatch_set_unref(d, p->set[i], 0);
	dispatch_specs_free(&p->specs);
	free(p->addresses);
	free(p->view);
	free(p);
}

static int prepare(struct dispatch *d, const char *name, const struct dispatch_specs *specs,
	const struct dispatch_options *options, struct route_report *report,
	struct dispatch_prepared **out)
{
	const struct dispatch_spec **sorted = calloc((size_t)specs->count + 1, sizeof(*sorted));
	struct dispatch_prepared *p = calloc(1, sizeof(*p));
	struct route_place place = {name, 0, 0, 1};
	int err = -ENOMEM;

	if (sorted == NULL || p == NULL || (p->view = calloc(1, sizeof(*p->view))) == NULL) {
		route_error(report, &place, "out of memory");
		goto out;
	}
	dispatch_identity_index(d);
	for (unsigned i = 0; i < specs->count; i++)
		sorted[i] = &specs->spec[i];
	if (specs->count > 1)
		qsort(sorted, specs->count, sizeof(*sorted), by_set);
	for (unsigned i = 0, n; i < specs->count; i += n) {
		for (n = 1; i + n < specs->count && sorted[i + n]->set == sorted[i]->set; n++)
			;
		place.line = (int)sorted[i]->line;
		place.column = 1;
		err = prepare_set(d, p, &sorted[i], n, options, &place, report);
		if (err != 0)
			goto out;
	}
	place.line = place.column = 0;
	err = prepare_removed(d, p, options, &place, report);
	if (err == 0)
		err = check_room(d, p, &place, report);
	if (err != 0)
		goto out;
	err = prepare_addresses(d, p);
	if (err != 0) {
		route_error(report, &place, "out of memory");
		goto out;
	}
	note_listed(d, p, specs);
	*out = p;
out:
	free(sorted);
	if (err != 0 && p != NULL)
		discard(d, p);
	return err;
}

int dispatch_generation_build(struct dispatch *d, const char *name, struct dispatch_specs *specs,
	const struct dispatch_options *options, struct route_report *report,
	struct dispatch_prepared **out)
{
	int err = prepare(d, name, specs, options, report, out);

	if (err != 0) {
		dispatch_specs_free(specs);
		return err;
	}
	(*out)->specs = *specs;
	(*out)->options = *options;
	return 0;
}

int dispatch_generation_prepare(struct dispatch *d, const char *name,
	const struct dispatch_specs *specs, const struct dispatch_options *options,
	struct route_report *report, struct dispatch_prepared **out)
{
	struct route_place place = {name, 0, 0, 1};
	struct dispatch_specs copy;
	int err;

	if (!dispatch_specs_copy(specs, &copy)) {
		route_error(report, &place, "out of memory");
		return -ENOMEM;
	}
	pthread_mutex_lock(&d->tables);
	dispatch_state_keep(d, &copy);
	err = dispatch_generation_build(d, name, &copy, options, report, out);
	pthread_mutex_unlock(&d->tables);
	return err;
}

void dispatch_generation_discard(struct dispatch *d, struct dispatch_prepared *p)
{
	pthread_mutex_lock(&d->tables);
	discard(d, p);
	pthread_mutex_unlock(&d->tables);
}

/* ---- publish ---- */

static void free_view(struct dispatch_view *view)
{
	uint64_t now = view->d->now_ns();

	for (unsigned i = 0; i < view->chains; i++)
		for (unsigned j = 0; j < view->chain[i].count; j++)
			dispatch_set_unref(view->d, view->chain[i].version[j], now);
	if (view->addresses != NULL && --view->addresses->refs == 0)
		free(view->addresses);
	free(view);
}

static void free_dead(struct dispatch *d)
{
	while (d->dead != NULL) {
		struct dispatch_view *next = d->dead->next;

		free_view(d->dead);
		d->dead = next;
	}
}

/* No reader has it any more. */
static void view_unread(void *object)
{
	struct dispatch_view *view = object;
	struct dispatch *d = view->d;

	view->next = d->dead;
	d->dead = view;
	if (pthread_mutex_trylock(&d->tables) != 0)
		return; /* at the next tick */
	free_dead(d);
	pthread_mutex_unlock(&d->tables);
}

/* Takes the chains over, without the versions whose time is over and without sets that are gone. */
static void copy_chains(struct dispatch_view *to, const struct dispatch_view *from, uint64_t now_ns)
{
	for (unsigned i = 0; i < from->chains; i++) {
		const struct dispatch_chain *old = &from->chain[i];
		struct dispatch_chain *c = &to->chain[to->chains];
		unsigned first = 0;

		while (first + 1 < old->count && is_gone(old->since[first + 1], now_ns))
			first++;
		if (first + 1 == old->count && newest(old)->members == 0)
			continue;
		c->set = old->set;
		c->count = 0;
		for (unsigned j = first; j < old->count; j++) {
			c->since[c->count] = old->since[j];
			c->version[c->count] = old->version[j];
			c->version[c->count++]->refs++;
		}
		to->chains++;
	}
}

static struct dispatch_chain *add_chain(struct dispatch_view *view, uint32_t set)
{
	unsigned at = view->chains;

	for (; at > 0 && view->chain[at - 1].set > set; at--)
		view->chain[at] = view->chain[at - 1];
	view->chain[at] = (struct dispatch_chain){.set = set};
	view->chains++;
	return &view->chain[at];
}

/* The reference of the prepared set goes to the chain, or back. True where the chain has changed
 * for messages under way. */
static bool add_version(
	struct dispatch *d, struct dispatch_view *view, struct dispatch_set *s, uint64_t now_ns)
{
	struct dispatch_chain *c = (struct dispatch_chain *)dispatch_chain_find(view, s->set);

	if (c == NULL && s->members == 0) {
		dispatch_set_unref(d, s, now_ns);
		return false;
	}
	if (c == NULL) {
		c = add_chain(view, s->set);
		c->version[c->count++] = s;
		return false;
	}
	if (newest(c) == s) {
		dispatch_set_unref(d, s, now_ns);
		return false;
	}
	if (c->count == DISPATCH_VERSIONS_MAX) {
		/* Only where two were prepared before one was published. */
		log_warning("dispatcher: set %u: changed too often, calls under way may be split",
			s->set);
		dispatch_set_unref(d, c->version[0], now_ns);
		c->count--;
		memmove(&c->version[0], &c->version[1], c->count * sizeof(c->version[0]));
		memmove(&c->since[0], &c->since[1], c->count * sizeof(c->since[0]));
	}
	c->since[c->count] = now_ns;
	c->version[c->count++] = s;
	return true;
}

static void retire_waiting(struct dispatch *d)
{
	while (d->unretired != NULL) {
		struct dispatch_view *next = d->unretired->next;

		if (rcu_retire(d->config.rcu, d->unretired, view_unread) != 0)
			return;
		d->unretired = next;
	}
}

static void replace_view(struct dispatch *d, struct dispatch_view *view)
{
	struct dispatch_view *old = current(d);

	view->d = d;
	atomic_store_explicit(&d->view, view, memory_order_release);
	old->next = d->unretired;
	d->unretired = old;
	retire_waiting(d);
}

/* What operators are shown of it. True where the state is another one. */
static bool note_state(
	struct dispatch_identity *identity, uint8_t state, bool by_hand, uint64_t now_ns)
{
	uint8_t was = atomic_load_explicit(&identity->state, memory_order_relaxed);

	atomic_store_explicit(&identity->by_hand, by_hand, memory_order_relaxed);
	if (state == was)
		return false;
	if (was == DISPATCH_ENABLED)
		atomic_store_explicit(&identity->out_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&identity->since_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&identity->state, state, memory_order_relaxed);
	return true;
}

unsigned dispatch_generation_publish(struct dispatch *d, struct dispatch_prepared *p)
{
	uint64_t now = d->now_ns();
	struct dispatch_view *view = p->view;
	bool changed = false;
	unsigned states = 0;

	pthread_mutex_lock(&d->tables); /* no load runs while one is published */
	copy_chains(view, current(d), now);
	for (unsigned i = 0; i < p->sets; i++)
		changed = add_version(d, view, p->set[i], now) || changed;
	view->addresses = p->addresses;
	/* What the list says of health counts when it is new, so that a verdict outlives a reload
	 * that says nothing new. */
	for (unsigned i = 0; i < p->listed; i++) {
		struct dispatch_identity *identity = &d->identity[p->listed_as[i].id];

		if (identity->listed_down != p->listed_as[i].down)
			dispatch_set_up(d, p->listed_as[i].id, !p->listed_as[i].down);
		identity->listed_down = p->listed_as[i].down;
		states += note_state(identity, p->listed_as[i].state, p->listed_as[i].by_hand, now);
	}
	dispatch_specs_free(&d->listed);
	d->listed = p->specs;
	d->options = p->options;
	/*
	 * Pins to a former table are written within 64*T1 and live as long as an INVITE. Later ones
	 * agree with what the new table says once it is alone.
	 */
	if (changed)
		dispatch_disturb(d, now + PIN_RETRANSMIT_NS + PIN_INVITE_NS + PIN_SLACK_NS);
	replace_view(d, view);
	free(p);
	pthread_mutex_unlock(&d->tables);
	return states;
}

void dispatch_generation_tick(struct dispatch *d, uint64_t now_ns)
{
	const struct dispatch_view *view = current(d);
	struct dispatch_view *fresh;
	bool over = false;

	free_dead(d);
	retire_waiting(d);
	for (unsigned i = 0; i < view->chains && !over; i++) {
		const struct dispatch_chain *c = &view->chain[i];

		over = (c->count > 1 && is_gone(c->since[1], now_ns)) ||
		       (c->count == 1 && c->version[0]->members == 0);
	}
	if (!over)
		return;
	fresh = calloc(1, sizeof(*fresh));
	if (fresh == NULL)
		return; /* again at the next tick */
	copy_chains(fresh, view, now_ns);
	fresh->addresses = view->addresses;
	if (fresh->addresses != NULL)
		fresh->addresses->refs++;
	replace_view(d, fresh);
}

void dispatch_generation_fini(struct dispatch *d)
{
	free_dead(d);
	retire_waiting(d);
	while (d->unretired != NULL) {
		struct dispatch_view *next = d->unretired->next;

		free_view(d->unretired);
		d->unretired = next;
	}
	free_view(current(d));
}
