/* SPDX-License-Identifier: BSD-3-Clause */
#include <linux/if_addr.h>
#include <stdlib.h>

#include "kernel/hop.h"

#define INDEX_BITS 16
#define INDEX_FROM 64 /* starts; a binary search of fewer costs less than an index's cache line */
#define TARGET_NONE 0 /* the target of addresses that must not be reached */

/* IPv4 addresses as the top 32 bits. */
__extension__ typedef unsigned __int128 position;

struct covered {
	position first, last;
	uint32_t route; /* in the mirror, or UINT32_MAX: reaches nothing */
	uint8_t bits;
};

struct builder {
	const struct kernel_mirror *m;
	struct kernel_hops *hops;
	struct covered *covered;
	uint32_t targets, groups;
	uint32_t target_of_port[KERNEL_PORTS_MAX]; /* for addresses of our own */
};

/* Never a destination of a message, whatever the routes say. */
static const struct {
	uint8_t family, bits, b[16];
} never[] = {
	{4, 8, {0}},
	{4, 8, {127}},
	{4, 4, {224}},
	{4, 32, {255, 255, 255, 255}},
	{6, 127, {0}}, /* unspecified and loopback */
	{6, 8, {0xff}},
};
#define NEVER (sizeof(never) / sizeof(never[0]))

static position position_of(const struct net_addr *addr)
{
	position p = 0;

	for (unsigned i = 0; i < 16; i++)
		p = p << 8 | addr->b[i];
	return p;
}

static position host_bits(uint8_t family, unsigned bits)
{
	unsigned shift = family == 4 && bits > 32 ? 32 : bits;

	return shift >= 128 ? 0 : ~(position)0 >> shift;
}

/* ---- targets and groups ---- */

static bool in_prefix(const struct net_addr *addr, unsigned bits, const struct net_addr *other)
{
	position mask = ~host_bits(addr->family, bits);

	return addr->family == other->family &&
	       (position_of(addr) & mask) == (position_of(other) & mask);
}

/*
 * The address that the kernel would send from: on this interface, in the neighbour's subnet first;
 * for IPv6 of the destination's scope (RFC 6724 rules 2 and 3, and 8 by the subnet).
 */
static struct net_addr choose_source(const struct kernel_mirror *m, uint16_t port,
	const struct net_addr *near, const struct net_addr *to)
{
	const struct kernel_address *best = NULL;
	int best_score = -1;

	for (unsigned i = 0; i < m->addresses; i++) {
		const struct kernel_address *a = &m->address[i];
		int score = 0;

		if (a->port == KERNEL_FOREIGN || a->addr.family != to->family ||
			(a->flags & IFA_F_DADFAILED) != 0 ||
			((a->flags & IFA_F_TENTATIVE) != 0 && (a->flags & IFA_F_OPTIMISTIC) == 0))
			continue;
		if (net_addr_is_link_local(&a->addr) == net_addr_is_link_local(to))
			score += 16;
		if (a->port == port)
			score += 8;
		if ((a->flags & IFA_F_DEPRECATED) == 0)
			score += 4;
		if (in_prefix(&a->addr, a->bits, near))
			score += 2;
		if (a->addr.family == 6 || (a->flags & IFA_F_SECONDARY) == 0)
			score += 1;
		if (score > best_score) {
			best = a;
			best_score = score;
		}
	}
	return best != NULL ? best->addr : (struct net_addr){.family = 0};
}

static void add_target(
	struct builder *b, const struct kernel_route *r, const struct kernel_route_hop *h)
{
	const struct kernel_mirror *m = b->m;
	const struct net_addr *near = h->gateway.family != 0 ? &h->gateway : &r->to.addr;
	struct kernel_hop *hop = &b->hops->target[b->targets++].hop;
	uint32_t i;

	*hop = (struct kernel_hop){
		.state = KERNEL_HOP_UNRESOLVED,
		.port = h->port,
		.mtu = m->mtu[h->port],
		.via = h->gateway,
		.source = r->source,
	};
	if (r->mtu != 0 && r->mtu < hop->mtu)
		hop->mtu = r->mtu;
	if (hop->source.family == 0)
		hop->source = choose_source(m, h->port, near, &r->to.addr);
	if (h->gateway.family == 0)
		return;
	i = kernel_table_find(&m->neighbours, &h->gateway, h->port);
	if (i != KERNEL_TABLE_NONE) {
		hop->state = KERNEL_HOP_READY;
		memcpy(hop->mac, m->neighbour[i].mac, sizeof(hop->mac));
	}
}

static int compare_hops(const void *a, const void *b)
{
	const struct kernel_route_hop *x = a, *y = b;

	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return memcmp(&x->gateway, &y->gateway, sizeof(x->gateway));
}

/* A group for a route; 0, the empty one, where no way of it is ours. */
static uint32_t add_group(struct builder *b, const struct kernel_route *r)
{
	struct kernel_group *group = &b->hops->group[b->groups];
	struct kernel_route_hop sorted[KERNEL_MULTIPATH_MAX];
	unsigned weight = 0, n = 0;

	for (unsigned i = 0; i < r->hops; i++) {
		const struct kernel_route_hop *h = &b->m->hop[r->hop + i];

		if (h->port != KERNEL_FOREIGN && b->m->mtu[h->port] != 0)
			sorted[n++] = *h;
	}
	if (n == 0)
		return 0;
	/* In an order of their own, so that two nodes with the same routes pick the same. */
	qsort(sorted, n, sizeof(sorted[0]), compare_hops);
	group->first = b->targets;
	group->count = (uint16_t)n;
	for (unsigned i = 0; i < n; i++) {
		weight += sorted[i].weight;
		b->hops->upto[b->targets] = (uint16_t)weight;
		add_target(b, r, &sorted[i]);
	}
	group->weight = (uint16_t)weight;
	return b->groups++;
}

/* ---- longest prefixes as ranges ---- */

static int compare_covered(const void *a, const void *b)
{
	const struct covered *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (int)x->bits - (int)y->bits;
}

/* Which of two routes to one prefix holds: a way of ours before any other, then the lower metric.
 */
static bool better(const struct kernel_mirror *m, uint32_t a, uint32_t b)
{
	if (a == UINT32_MAX || b == UINT32_MAX)
		return a == UINT32_MAX && b != UINT32_MAX;
	if (m->route[a].ours != m->route[b].ours)
		return m->route[a].ours;
	if (m->route[a].metric != m->route[b].metric)
		return m->route[a].metric < m->route[b].metric;
	return a < b;
}

static void emit(struct kernel_starts *s, position at, uint32_t group)
{
	uint64_t hi = (uint64_t)(at >> 64), lo = (uint64_t)at;

	if (s->count > 0 && s->hi[s->count - 1] == hi &&
		(s->lo == NULL || s->lo[s->count - 1] == lo))
		s->count--;
	if (s->count > 0 && s->group[s->count - 1] == group)
		return;
	s->hi[s->count] = hi;
	if (s->lo != NULL)
		s->lo[s->count] = lo;
	s->group[s->count++] = group;
}

static uint32_t collect(struct builder *b, uint8_t family)
{
	const struct kernel_mirror *m = b->m;
	uint32_t n = 0, kept = 0;

	for (size_t i = 0; i < NEVER; i++) {
		struct net_addr addr = {.family = never[i].family};

		if (never[i].family != family)
			continue;
		memcpy(addr.b, never[i].b, sizeof(addr.b));
		b->covered[n++] = (struct covered){.first = position_of(&addr),
			.last = position_of(&addr) | host_bits(family, never[i].bits),
			.route = UINT32_MAX,
			.bits = never[i].bits};
	}
	for (uint32_t i = 0; i < m->routes; i++) {
		const struct net_prefix *to = &m->route[i].to;
		position host = host_bits(family, to->bits);

		if (to->addr.family == family)
			b->covered[n++] = (struct covered){.first = position_of(&to->addr) & ~host,
				.last = position_of(&to->addr) | host,
				.route = i,
				.bits = to->bits};
	}
	qsort(b->covered, n, sizeof(b->covered[0]), compare_covered);
	for (uint32_t i = 0; i < n; i++) {
		struct covered *c = &b->covered[i];

		if (kept == 0 || compare_covered(c, &b->covered[kept - 1]) != 0)
			b->covered[kept++] = *c;
		else if (better(m, c->route, b->covered[kept - 1].route))
			b->covered[kept - 1] = *c;
	}
	return kept;
}

/* Nested prefixes become disjoint ranges: a stack holds those that are open, the innermost on top.
 */
static void make_starts(struct builder *b, uint8_t family, struct kernel_starts *s)
{
	struct {
		position last;
		uint32_t group;
		bool never; /* what lies inside is not reached either */
	} open[130];
	uint32_t n = collect(b, family), depth = 0;

	emit(s, 0, 0);
	for (uint32_t i = 0; i <= n; i++) {
		const struct covered *c = i < n ? &b->covered[i] : NULL;

		while (depth > 0 && (c == NULL || open[depth - 1].last < c->first)) {
			position last = open[--depth].last;

			if (last != ~(position)0)
				emit(s, last + 1, depth > 0 ? open[depth - 1].group : 0);
		}
		if (c == NULL)
			break;
		open[depth].last = c->last;
		open[depth].never = c->route == UINT32_MAX || (depth > 0 && open[depth - 1].never);
		open[depth].group = open[depth].never ? 0 : add_group(b, &b->m->route[c->route]);
		emit(s, c->first, open[depth].group);
		depth++;
	}
	if (s->index_bits == 0)
		return;
	for (uint32_t top = 0, at = 0; top <= 1u << s->index_bits; top++) {
		while (at < s->count && s->hi[at] >> (64 - s->index_bits) < top)
			at++;
		s->index[top] = at;
	}
}

/* ---- addresses known one by one ---- */

static struct kernel_slot *add_slot(struct builder *b, const struct net_addr *addr, uint32_t target,
	enum kernel_hop_state state)
{
	struct kernel_slot *slot = kernel_hops_slot(b->hops, addr);
	const struct kernel_hop *hop = &b->hops->target[target].hop;

	if (slot->family != 0)
		return slot;
	*slot = (struct kernel_slot){
		.q = {addr->q[0], addr->q[1]},
		.target = target,
		.mtu = hop->mtu,
		.family = addr->family,
		.state = (uint8_t)state,
	};
	memcpy(slot->mac, hop->mac, sizeof(slot->mac));
	return slot;
}

static void add_addresses(struct builder *b)
{
	for (unsigned i = 0; i < b->m->addresses; i++) {
		const struct kernel_address *a = &b->m->address[i];

		if (a->port != KERNEL_FOREIGN)
			add_slot(b, &a->addr, b->target_of_port[a->port], KERNEL_HOP_LOCAL);
		else
			add_slot(b, &a->addr, TARGET_NONE, KERNEL_HOP_NO_ROUTE);
	}
	for (unsigned i = 0; i < b->m->addresses; i++) {
		const struct kernel_address *a = &b->m->address[i];
		struct net_addr edge = a->addr;

		/* A subnet's own two addresses reach all or nobody. */
		if (a->addr.family != 4 || a->bits > 30 || a->port == KERNEL_FOREIGN)
			continue;
		edge.v4 |= htobe32(UINT32_MAX >> a->bits);
		add_slot(b, &edge, TARGET_NONE, KERNEL_HOP_NO_ROUTE);
		edge.v4 &= ~htobe32(UINT32_MAX >> a->bits);
		add_slot(b, &edge, TARGET_NONE, KERNEL_HOP_NO_ROUTE);
	}
}

static void add_neighbours(struct builder *b)
{
	const struct kernel_table *t = &b->m->neighbours;

	for (uint32_t i = 0; i < t->high; i++) {
		const struct kernel_table_key *key = &t->key[i];
		const struct kernel_hop *hop;
		struct kernel_slot *slot;
		uint32_t target;

		if (!key->used)
			continue;
		target = kernel_hops_route(b->hops, &key->addr);
		if (target == UINT32_MAX)
			continue;
		hop = &b->hops->target[target].hop;
		/* Behind a gateway it is no neighbour for messages, nor on a link that routes do
		 * not choose. */
		if (hop->via.family != 0 || hop->port != key->tag)
			continue;
		slot = add_slot(b, &key->addr, target, KERNEL_HOP_READY);
		if (slot->state == KERNEL_HOP_READY)
			memcpy(slot->mac, b->m->neighbour[i].mac, sizeof(slot->mac));
	}
}

static void add_pmtus(struct builder *b)
{
	const struct kernel_table *t = &b->m->pmtus;

	for (uint32_t i = 0; i < t->high; i++) {
		const struct kernel_table_key *key = &t->key[i];
		struct kernel_slot *slot;
		uint32_t target;

		if (!key->used)
			continue;
		target = kernel_hops_route(b->hops, &key->addr);
		if (target == UINT32_MAX)
			continue;
		slot = add_slot(b, &key->addr, target, b->hops->target[target].hop.state);
		if (b->m->pmtu[i].mtu < slot->mtu)
			slot->mtu = b->m->pmtu[i].mtu;
	}
}

/* ---- the block ---- */

struct block {
	uint8_t *base; /* NULL: only measure */
	size_t size;
};

static void *carve(struct block *block, size_t size)
{
	size_t at = block->size;

	block->size += (size + 63) & ~(size_t)63;
	return block->base != NULL ? block->base + at : NULL;
}

/* Places everything in one block. */
static size_t lay_out(struct kernel_hops *h, uint8_t *base, const struct kernel_mirror *m)
{
	size_t prefixes = m->routes + NEVER, starts = 2 * prefixes + 2;
	size_t targets = m->hops + 1 + KERNEL_PORTS_MAX, slots = 64;
	struct block block = {.base = base};

	while (slots < 2 * (m->neighbours.count + m->pmtus.count + 3 * (size_t)m->addresses + 1))
		slots *= 2;
	carve(&block, sizeof(*h));
	h->mask = (uint32_t)slots - 1;
	h->slot = carve(&block, slots * sizeof(*h->slot));
	h->target = carve(&block, targets * sizeof(*h->target));
	h->upto = carve(&block, targets * sizeof(*h->upto));
	h->group = carve(&block, (prefixes + 1) * sizeof(*h->group));
	h->v4.index_bits = h->v6.index_bits = prefixes > INDEX_FROM ? INDEX_BITS : 0;
	h->v4.hi = carve(&block, starts * sizeof(uint64_t));
	h->v4.group = carve(&block, starts * sizeof(uint32_t));
	h->v6.hi = carve(&block, starts * sizeof(uint64_t));
	h->v6.lo = carve(&block, starts * sizeof(uint64_t));
	h->v6.group = carve(&block, starts * sizeof(uint32_t));
	if (h->v4.index_bits != 0) {
		h->v4.index = carve(&block, ((1u << INDEX_BITS) + 1) * sizeof(uint32_t));
		h->v6.index = carve(&block, ((1u << INDEX_BITS) + 1) * sizeof(uint32_t));
	}
	return block.size;
}

struct kernel_hops *kernel_hops_build(const struct kernel_mirror *m)
{
	struct builder b = {.m = m};
	struct kernel_hops measured = {.seed = m->seed};
	size_t size = lay_out(&measured, NULL, m);

	b.covered = malloc((m->routes + NEVER) * sizeof(*b.covered));
	b.hops = aligned_alloc(64, size);
	if (b.covered == NULL || b.hops == NULL) {
		free(b.covered);
		free(b.hops);
		return NULL;
	}
	memset(b.hops, 0, size);
	b.hops->seed = m->seed;
	lay_out(b.hops, (uint8_t *)b.hops, m);
	b.hops->target[TARGET_NONE].hop.state = KERNEL_HOP_NO_ROUTE;
	b.targets = 1;
	b.groups = 1; /* the empty one */
	for (uint16_t port = 0; port < KERNEL_PORTS_MAX; port++) {
		b.target_of_port[port] = b.targets;
		b.hops->target[b.targets++].hop = (struct kernel_hop){
			.state = KERNEL_HOP_LOCAL, .port = port, .mtu = m->mtu[port]};
	}
	make_starts(&b, 4, &b.hops->v4);
	make_starts(&b, 6, &b.hops->v6);
	add_addresses(&b);
	add_neighbours(&b);
	add_pmtus(&b);
	free(b.covered);
	return b.hops;
}
