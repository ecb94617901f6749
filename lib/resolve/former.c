/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a name's answer was before it changed, for transactions without state that began then.
 *
 *   a pin          decides: it names an address that the name has, or had
 *   CANCEL, ACK    without one belong to an INVITE of before the first change, since all INVITEs
 *                  after that have one
 *   all others     go by the answer of now, and are pinned
 *
 * Who owns a zone can change its names with every answer, and call them: a zone has a part of the
 * pins (base/pin.h). What gets none goes by the answer of now, and its CANCEL by that of before.
 *
 * An INVITE that comes again, after a change that came in between, is taken for new: it goes by the
 * answer of now, and is pinned there. RFC 3263 4.4 says that this cannot be avoided without state.
 * To go by the answer of before for 64*T1 after each change would avoid it, and keep all calls for
 * as long with a server whose domain has just taken it away; where that one is silent, the copy is
 * what saves the call.
 *
 * A pin has 13 bits for its address: a digest. Two addresses of one name share theirs once in
 * 8,191.
 */
#include "resolve/internal.h"

#include <stdlib.h>

static uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ULL;
	v = (v ^ v >> 27) * 0x94d049bb133111ebULL;
	return v ^ v >> 31;
}

/* Never 0. */
static uint16_t number_of(const struct net_endpoint *ep)
{
	uint64_t h = mix(mix(ep->addr.q[0] + ep->addr.family) ^ ep->addr.q[1]);

	return (uint16_t)(1 + (mix(h ^ ep->port) >> 32) % (PIN_IDS - 1));
}

/* Several names may be looked up for one request. */
static struct hash128 key_for(const struct resolve_addresses *found, struct hash128 key)
{
	key.lo = mix(key.lo ^ found->former->name);
	key.hi ^= key.lo;
	return key;
}

static const struct net_endpoint *find(
	const struct net_endpoint *ep, unsigned count, uint16_t number)
{
	for (unsigned i = 0; i < count; i++)
		if (number_of(&ep[i]) == number)
			return &ep[i];
	return NULL;
}

/* ---- any thread ---- */

static void count(struct resolver *r, enum resolve_counter counter)
{
	atomic_fetch_add_explicit(&r->counter[counter], 1, memory_order_relaxed);
}

bool resolve_follow(struct resolver *r, const struct resolve_addresses **found, struct hash128 key,
	enum resolve_role role, uint64_t now_ns, struct net_endpoint *ep)
{
	const struct resolve_former *former = (*found)->former;
	uint16_t number = pin_find(r->pins, key_for(*found, key), now_ns);
	const struct net_endpoint *bound = NULL;

	if (number != 0) {
		bound = find((*found)->ep, (*found)->count, number);
		if (bound == NULL)
			bound = find(former->before.ep, former->before.count, number);
		if (bound == NULL)
			bound = find(former->ep, former->count, number);
	} else if (role == RESOLVE_FOLLOWS && former->before.count != 0) {
		*found = &former->before;
	}
	if (bound == NULL)
		return false;
	/* Counted where it is rare: in the time after a change. */
	count(r, RESOLVE_COUNTER_FOLLOWED);
	*ep = *bound;
	return true;
}

void resolve_bind(struct resolver *r, const struct resolve_addresses *found, struct hash128 key,
	enum resolve_role role, uint64_t now_ns, const struct net_endpoint *ep)
{
	uint64_t life = role == RESOLVE_INVITE ? PIN_INVITE_NS : PIN_RETRANSMIT_NS;
	const struct pin_payer payer = {found->former->zone, PINS_ZONE_PART};
	bool over;

	if (pin_put_for(r->pins, key_for(found, key), number_of(ep), now_ns, life, &payer, 1,
		    &over) == 0)
		count(r, over ? RESOLVE_COUNTER_PIN_SHARE : RESOLVE_COUNTER_PIN_FULL);
}

/* ---- control thread ---- */

static bool has(const struct resolve_addresses *a, const struct net_endpoint *ep)
{
	for (unsigned i = 0; i < a->count; i++)
		if (net_endpoint_equal(&a->ep[i], ep))
			return true;
	return false;
}

static void drop(struct history *h, unsigned i)
{
	h->former.count--;
	h->former.ep[i] = h->former.ep[h->former.count];
	h->until[i] = h->until[h->former.count];
}

/* An address that is there no more; where there is no room the oldest of them goes. */
static void keep_address(struct history *h, const struct net_endpoint *ep, uint64_t until)
{
	unsigned i = 0, oldest = 0;

	for (; i < h->former.count && !net_endpoint_equal(&h->former.ep[i], ep); i++)
		if (h->until[i] < h->until[oldest])
			oldest = i;
	if (i == RESOLVE_FORMER_MAX)
		i = oldest;
	else if (i == h->former.count)
		h->former.count++;
	h->former.ep[i] = *ep;
	h->until[i] = until;
}

void former_keep(struct resolver *r, struct entry *e, const struct resolve_addresses *by)
{
	uint64_t until = r->now + PIN_INVITE_NS + PIN_SLACK_NS;
	struct history *h = e->history;

	if (h == NULL) {
		/* Without memory calls of now may part from what follows them, as without this. */
		h = e->history = calloc(1, sizeof(*h));
		if (h == NULL)
			return;
		h->former.name = snapshot_hash(&r->key, e->kind, str_of(e->name.s, e->name.len));
		h->former.zone = snapshot_hash(&r->key, RESOLVE_ADDRESS, name_zone(&e->name));
		h->former.before = e->addresses;
		h->before_until = until;
	}
	for (unsigned i = 0; i < e->addresses.count; i++)
		if (!has(by, &e->addresses.ep[i]))
			keep_address(h, &e->addresses.ep[i], until);
	h->last = until;
	/* Whoever begins now is remembered, as long as the pins of the last ones stand. */
	r->pins_until = until + PIN_INVITE_NS;
}

bool former_forget(struct resolver *r, struct entry *e)
{
	struct history *h = e->history;
	bool some = false;

	if (h == NULL)
		return false;
	if (r->now >= h->last) {
		free(h);
		e->history = NULL;
		return true;
	}
	if (h->former.before.count != 0 && r->now >= h->before_until) {
		h->former.before.count = 0;
		some = true;
	}
	for (unsigned i = h->former.count; i-- > 0;)
		if (r->now >= h->until[i]) {
			drop(h, i);
			some = true;
		}
	return some;
}
