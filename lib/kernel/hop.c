/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel/hop.h"

/* The same on every node and after every restart: which of several equal ways an address takes. */
#define MULTIPATH_SEED 0x5349504c414e4531ULL

static inline uint64_t be64_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static uint32_t find_start(const struct kernel_starts *s, uint64_t hi, uint64_t lo)
{
	uint32_t first = 0, last = s->count; /* the answer is in [first, last) */

	if (s->index_bits != 0) {
		uint32_t top = (uint32_t)(hi >> (64 - s->index_bits));

		/* The last start at or below the address may stand before those of its own top
		 * bits. */
		first = s->index[top];
		first -= first > 0;
		last = s->index[top + 1];
	}
	while (last - first > 1) {
		uint32_t middle = first + (last - first) / 2;
		bool below = s->hi[middle] < hi ||
			     (s->hi[middle] == hi && (s->lo == NULL || s->lo[middle] <= lo));

		first = below ? middle : first;
		last = below ? last : middle;
	}
	return s->group[first];
}

uint32_t kernel_hops_route(const struct kernel_hops *hops, const struct net_addr *to)
{
	const struct kernel_group *group;
	uint32_t g, i, pick;

	if (to->family == 4)
		g = find_start(&hops->v4, (uint64_t)__builtin_bswap32(to->v4) << 32, 0);
	else if (to->family == 6)
		g = find_start(&hops->v6, be64_at(to->b), be64_at(to->b + 8));
	else
		return UINT32_MAX;
	group = &hops->group[g];
	if (group->count <= 1)
		return group->count == 0 ? UINT32_MAX : group->first;
	pick = (uint32_t)(kernel_hash(MULTIPATH_SEED, to, 0) % group->weight);
	for (i = group->first; i < group->first + group->count - 1; i++)
		if (pick < hops->upto[i])
			break;
	return i;
}

struct kernel_slot *kernel_hops_slot(const struct kernel_hops *hops, const struct net_addr *to)
{
	uint32_t i = (uint32_t)kernel_hash(hops->seed, to, 0) & hops->mask;
	struct kernel_slot *slot = &hops->slot[i];

	/* Less than half full: there is an empty one. */
	while (slot->family != 0 &&
		(slot->q[0] != to->q[0] || slot->q[1] != to->q[1] || slot->family != to->family)) {
		i = (i + 1) & hops->mask;
		slot = &hops->slot[i];
	}
	return slot;
}

void kernel_hop_find(
	const struct kernel_hops *hops, const struct net_addr *to, struct kernel_hop *out)
{
	const struct kernel_slot *slot;
	uint32_t target;

	if (to->family == 0) {
		*out = (struct kernel_hop){.state = KERNEL_HOP_NO_ROUTE};
		return;
	}
	slot = kernel_hops_slot(hops, to);
	if (slot->family != 0) {
		*out = hops->target[slot->target].hop;
		out->state = (enum kernel_hop_state)slot->state;
		out->mtu = slot->mtu;
		memcpy(out->mac, slot->mac, sizeof(out->mac));
	} else {
		target = kernel_hops_route(hops, to);
		if (target == UINT32_MAX) {
			*out = (struct kernel_hop){.state = KERNEL_HOP_NO_ROUTE};
			return;
		}
		*out = hops->target[target].hop;
	}
	if (out->via.family == 0)
		out->via = *to;
	if (out->state == KERNEL_HOP_LOCAL)
		out->source = *to;
}

bool kernel_hop_source(const struct kernel_hops *hops, const struct net_addr *to,
	struct net_addr *source, uint16_t *port)
{
	const struct kernel_slot *slot;
	const struct kernel_hop *hop;
	enum kernel_hop_state state;
	uint32_t target;

	if (to->family == 0)
		return false;
	slot = kernel_hops_slot(hops, to);
	target = slot->family != 0 ? slot->target : kernel_hops_route(hops, to);
	if (target == UINT32_MAX)
		return false;
	hop = &hops->target[target].hop;
	state = slot->family != 0 ? (enum kernel_hop_state)slot->state : hop->state;
	if (state == KERNEL_HOP_NO_ROUTE)
		return false;
	*source = state == KERNEL_HOP_LOCAL ? *to : hop->source;
	*port = hop->port;
	return true;
}
