/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The choice of a destination.
 *
 * Pure algorithms have a way through the set that depends on the key alone: the key's walk through
 *the Maglev table, or the list's order (serial). The first stop is the primary; the choice is the
 *first stop that is up. Of the versions of a set that messages under way may have met, one decides:
 *
 *   CANCEL, ACK	the oldest. Their INVITE has no pin, so all versions in force agreed when it
 *came, and the oldest now was one of them.
 *   all others		the one that was current 64*T1 ago. If it is a retransmission whose first
 *copy has no pin, all versions then in force agreed, and this one was among them; if it is new, any
 *version is right.
 *
 * A choice is remembered where the versions in force do not agree about the primary, or where the
 *primary is down. So wherever there is no pin the above holds, through any sequence of changes.
 */
#include "dispatch/internal.h"

#define WALK_STEPS_MAX 256 /* then by rank: nearly all of a set is down */
#define RANDOM_DRAWS_MAX 32

const char *dispatch_algorithm_refused(int64_t algorithm)
{
	switch (algorithm) {
	case DISPATCH_CALL_ID:
	case DISPATCH_FROM_URI:
	case DISPATCH_TO_URI:
	case DISPATCH_REQUEST_URI:
	case DISPATCH_ROUND_ROBIN:
	case DISPATCH_RANDOM:
	case DISPATCH_VARIABLE:
	case DISPATCH_SERIAL:
	case DISPATCH_WEIGHT:
	case DISPATCH_RELATIVE_WEIGHT:
		return NULL;
	case 5:
		return "hashes the authorization user, so that a REGISTER goes elsewhere once it "
		       "is challenged: use 2 (To URI)";
	case 10:
		return "needs the load of calls, which is not counted yet: use 4 (round-robin) or "
		       "9 (weight)";
	case 12:
		return "forks to all destinations, which needs transactions: it is not there yet";
	case 13:
		return "needs the latency of destinations, which is not measured yet: use 9 "
		       "(weight)";
	case 14:
		return "is not there yet: use 4 (round-robin) or 8 (by priority)";
	case 15:
		return "is not there yet: use 8 (by priority) or 9 (weight)";
	case 64:
		return "needs overload control (RFC 7339), which is not there yet: use 4 "
		       "(round-robin)";
	default:
		return "is unknown: 0 Call-ID, 1 From, 2 To, 3 Request-URI, 4 round-robin, 6 "
		       "random, 7 hash_pvar, 8 priority, "
		       "9 weight, 11 relative weight";
	}
}

/* ---- ways through a version ---- */

static bool is_tried(const uint16_t *tried, unsigned n, uint16_t id)
{
	for (unsigned i = 0; i < n; i++)
		if (tried[i] == id)
			return true;
	return false;
}

/*
 * By rank: the destination that ranks highest for this key among those that are up. Consistent as
 * the walk is; costs a look at each, and is left to sets where hardly any is up. Weights of what is
 * left do not count.
 */
static uint16_t best_ranked(const struct dispatch *d, const struct dispatch_set *s, uint64_t hash,
	const uint16_t *tried, unsigned n)
{
	uint64_t best = 0;
	uint16_t found = 0;

	for (unsigned i = 0; i < s->count; i++) {
		uint16_t id = s->order[i];
		const struct dispatch_target *t = dispatch_target_at(d, id);
		uint64_t rank;

		if (t == NULL || !dispatch_is_up(d, id) || is_tried(tried, n, id))
			continue;
		rank = dispatch_mix(hash ^ t->identity.lo);
		if (found == 0 || rank > best) {
			best = rank;
			found = id;
		}
	}
	return found;
}

static uint16_t first_up_in_order(
	const struct dispatch *d, const struct dispatch_set *s, const uint16_t *tried, unsigned n)
{
	for (unsigned i = 0; i < s->count; i++)
		if (dispatch_is_up(d, s->order[i]) && !is_tried(tried, n, s->order[i]))
			return s->order[i];
	return 0;
}

static uint16_t fallback(
	const struct dispatch *d, const struct dispatch_set *s, const uint16_t *tried, unsigned n)
{
	return s->fallback != 0 && dispatch_is_up(d, s->fallback) &&
			       !is_tried(tried, n, s->fallback)
		       ? s->fallback
		       : 0;
}

static uint16_t primary(const struct dispatch_set *s, unsigned algorithm, uint64_t hash)
{
	struct maglev_walk w;

	if (s->count == 0)
		return 0;
	if (algorithm == DISPATCH_SERIAL)
		return s->order[0];
	w = maglev_begin(s->maglev, dispatch_mix(hash ^ s->salt));
	return maglev_next(s->maglev, &w);
}

/* The first stop of the key's way that is up and not tried yet. */
static uint16_t walk(const struct dispatch *d, const struct dispatch_set *s, unsigned algorithm,
	uint64_t hash, const uint16_t *tried, unsigned n)
{
	uint64_t key = dispatch_mix(hash ^ s->salt);
	struct maglev_walk w;
	uint16_t id = 0;

	if (s->count > 0 && algorithm == DISPATCH_SERIAL) {
		id = first_up_in_order(d, s, tried, n);
	} else if (s->count > 0) {
		w = maglev_begin(s->maglev, key);
		for (unsigned i = 0; i < WALK_STEPS_MAX; i++) {
			id = maglev_next(s->maglev, &w);
			if (dispatch_is_up(d, id) && !is_tried(tried, n, id))
				return id;
		}
		id = best_ranked(d, s, key, tried, n);
	}
	return id != 0 ? id : fallback(d, s, tried, n);
}

/* ---- choices that are not pure ---- */

/* The next of a cycle that is up; the worker's cursor moves past it. A dead one's turns fall to all
 * others in proportion. */
static uint16_t next_of_cycle(
	const struct dispatch *d, const struct dispatch_cycle *c, uint32_t *cursor, uint32_t worker)
{
	/* Workers start at different places, so that they do not all begin with the same
	 * destination. */
	uint32_t start = (uint32_t)((uint64_t)(worker * 2654435761u) * c->len >> 32);

	for (uint32_t i = 0; i < c->len && i < 2 * DISPATCH_DESTINATIONS_MAX; i++) {
		uint32_t at;
		uint16_t id;

		if (*cursor >= c->len)
			*cursor = 0;
		at = start + (*cursor)++;
		id = c->id[at < c->len ? at : at - c->len];
		if (dispatch_is_up(d, id))
			return id;
	}
	return 0;
}

static uint16_t any_up(
	const struct dispatch *d, const struct dispatch_set *s, struct route_thread *thread)
{
	uint32_t from;

	for (unsigned i = 0; i < RANDOM_DRAWS_MAX; i++) {
		uint16_t id = s->order[(route_random(thread) >> 32) * s->count >> 32];

		if (dispatch_is_up(d, id))
			return id;
	}
	/* Hardly any is up: the first after a random place. */
	from = (uint32_t)((route_random(thread) >> 32) * s->count >> 32);
	for (unsigned i = 0; i < s->count; i++) {
		uint16_t id = s->order[(from + i) % s->count];

		if (dispatch_is_up(d, id))
			return id;
	}
	return 0;
}

static uint16_t pick(struct dispatch *d, const struct dispatch_set *s, unsigned chain,
	const struct dispatch_choice *c)
{
	struct dispatch_worker *worker = &d->worker[c->thread->index];
	uint16_t id = 0;

	if (s->count > 0) {
		if (c->algorithm == DISPATCH_RANDOM)
			id = any_up(d, s, c->thread);
		else if (c->algorithm == DISPATCH_RELATIVE_WEIGHT)
			id = next_of_cycle(
				d, s->rcycle, &worker->cursor[chain][1], c->thread->index);
		else
			id = next_of_cycle(
				d, s->cycle, &worker->cursor[chain][0], c->thread->index);
		/* A cycle names only what has a weight. */
		if (id == 0)
			id = first_up_in_order(d, s, NULL, 0);
	}
	return id != 0 ? id : fallback(d, s, NULL, 0);
}

/* ---- pins ---- */

static struct hash128 pin_key(const struct dispatch_choice *c)
{
	struct hash128 key = c->transaction(c->arg);

	/* A message may choose from several sets. */
	key.lo = dispatch_mix(key.lo ^ dispatch_mix((uint64_t)c->set + 1));
	key.hi ^= dispatch_mix(key.lo);
	return key;
}

/* The pin, where it names a destination of this set; one that binds a request to the dead is
 * dropped. */
static uint16_t find_pin(struct dispatch *d, const struct dispatch_choice *c, struct hash128 key)
{
	uint16_t id = pin_find(d->pins, key, c->now_ns);
	const struct dispatch_target *t = id != 0 ? dispatch_target_at(d, id) : NULL;

	if (t == NULL || t->set != c->set)
		return 0;
	/* CANCEL and ACK are of use only where the INVITE went, whatever has been said of it since.
	 */
	if (c->klass == DISPATCH_CLASS_FOLLOWS || dispatch_is_up(d, id)) {
		dispatch_count(&d->worker[c->thread->index], DISPATCH_COUNTER_FOLLOWED);
		return id;
	}
	pin_drop(d->pins, key, id);
	return 0;
}

/* Binds the transaction. Returns what it is bound to, or 0 where there is no room. */
static uint16_t bind(
	struct dispatch *d, const struct dispatch_choice *c, struct hash128 key, uint16_t id)
{
	struct dispatch_worker *w = &d->worker[c->thread->index];
	uint64_t life = c->klass == DISPATCH_CLASS_INVITE ? PIN_INVITE_NS : PIN_RETRANSMIT_NS;

	id = pin_put(d->pins, key, id, c->now_ns, life);
	dispatch_count(w, id != 0 ? DISPATCH_COUNTER_PINNED : DISPATCH_COUNTER_PIN_FULL);
	return id;
}

/* ---- the choice ---- */

/* The version that was current 64*T1 ago. */
static unsigned settled(const struct dispatch_chain *chain, uint64_t now_ns)
{
	unsigned i = chain->count - 1;

	while (i > 0 && chain->since[i] + PIN_RETRANSMIT_NS > now_ns)
		i--;
	return i;
}

static uint16_t choose_pure(
	struct dispatch *d, const struct dispatch_chain *chain, const struct dispatch_choice *c)
{
	unsigned ago = settled(chain, c->now_ns);
	unsigned from = c->klass == DISPATCH_CLASS_FOLLOWS ? 0 : ago;
	/* Nothing follows a request that is no INVITE but its retransmissions: older versions do
	 * not matter to it. */
	unsigned low = c->klass == DISPATCH_CLASS_OTHER ? ago : 0;
	uint16_t first = primary(chain->version[from], c->algorithm, c->hash), id;
	bool agree = true, up = first != 0 && dispatch_is_up(d, first);
	struct hash128 key;

	for (unsigned i = low; i < chain->count && agree; i++)
		agree = i == from || primary(chain->version[i], c->algorithm, c->hash) == first;
	if (agree && up &&
		c->now_ns >= atomic_load_explicit(&d->disturbed_until, memory_order_acquire))
		return first;

	key = pin_key(c);
	id = find_pin(d, c, key);
	if (id != 0)
		return id;
	if (up) {
		id = first;
	} else {
		id = walk(d, chain->version[from], c->algorithm, c->hash, NULL, 0);
		dispatch_count(&d->worker[c->thread->index], DISPATCH_COUNTER_SKIPPED);
	}
	if (id == 0 || c->klass == DISPATCH_CLASS_FOLLOWS || (agree && up))
		return id;
	first = bind(d, c, key, id);
	/* Without room: who only passes a dead one goes on, as the way stays the same until that
	 * one is up again. */
	return first != 0 || !agree ? first : id;
}

static uint16_t choose_pinned(struct dispatch *d, const struct dispatch_chain *chain,
	unsigned index, const struct dispatch_choice *c)
{
	struct hash128 key = pin_key(c);
	uint16_t id = find_pin(d, c, key);

	if (id != 0)
		return id;
	/* Nobody remembers its INVITE: at least all of them go to one place. */
	if (c->klass == DISPATCH_CLASS_FOLLOWS)
		return walk(d, chain->version[0], DISPATCH_CALL_ID, key.hi, NULL, 0);
	id = pick(d, chain->version[chain->count - 1], index, c);
	return id != 0 ? bind(d, c, key, id) : 0;
}

uint16_t dispatch_choose_calmly(struct dispatch *d, uint32_t set, unsigned algorithm, uint64_t hash,
	const struct route_thread *thread)
{
	const struct dispatch_view *view = atomic_load_explicit(&d->view, memory_order_acquire);
	const struct dispatch_chain *chain;
	uint16_t id;

	if (!dispatch_algorithm_is_pure(algorithm))
		return 0;
	chain = dispatch_chain_find(view, set);
	if (chain == NULL || chain->count != 1)
		return 0;
	id = primary(chain->version[0], algorithm, hash);
	if (id == 0 || !dispatch_is_up(d, id) ||
		thread->now_ns < atomic_load_explicit(&d->disturbed_until, memory_order_acquire))
		return 0;
	dispatch_selected(&d->worker[thread->index], id);
	return id;
}

uint16_t dispatch_choose(struct dispatch *d, const struct dispatch_choice *c)
{
	const struct dispatch_view *view = atomic_load_explicit(&d->view, memory_order_acquire);
	const struct dispatch_chain *chain = dispatch_chain_find(view, c->set);
	struct dispatch_worker *w = &d->worker[c->thread->index];
	uint16_t id = 0;

	if (chain != NULL)
		id = dispatch_algorithm_is_pure(c->algorithm)
			     ? choose_pure(d, chain, c)
			     : choose_pinned(d, chain, (unsigned)(chain - view->chain), c);
	if (id == 0) {
		dispatch_count(w, DISPATCH_COUNTER_NONE);
		return 0;
	}
	dispatch_selected(w, id);
	return id;
}

uint16_t dispatch_choose_next(
	struct dispatch *d, const struct dispatch_choice *c, const uint16_t *tried, unsigned n)
{
	const struct dispatch_view *view = atomic_load_explicit(&d->view, memory_order_acquire);
	const struct dispatch_chain *chain = dispatch_chain_find(view, c->set);
	uint16_t id;

	if (chain == NULL)
		return 0;
	id = walk(d, chain->version[c->once ? chain->count - 1 : settled(chain, c->now_ns)],
		c->algorithm, c->hash, tried, n);
	if (id != 0)
		dispatch_selected(&d->worker[c->thread->index], id);
	return id;
}
