/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* The snapshot that answers "how do I reach this address": hop_build.c makes it, hop.c reads it. */
#include "kernel/kernel_internal.h"

/* One way out. `hop` is complete but for `via`, whose family is 0 where the address itself is the
 * neighbour. */
struct kernel_target {
	struct kernel_hop hop;
};

/* A route's ways: one, or several of which the address picks one by its hash. */
struct kernel_group {
	uint32_t first;  /* in target and upto */
	uint16_t count;  /* 0: no route */
	uint16_t weight; /* of all */
};

/*
 * Addresses that are known one by one: neighbours on a link, our own, those with a path MTU. Half a
 * cache line, because this is the only cold line of nearly every lookup; what neighbours share
 * stands in their target.
 */
struct kernel_slot {
	uint64_t q[2];
	uint32_t target;
	uint16_t mtu;
	uint8_t mac[6];
	uint8_t family; /* 0: empty */
	uint8_t state;
	uint8_t zero[2];
};

/* Where a longest prefix begins to hold, up to the next start. */
struct kernel_starts {
	uint32_t count;
	unsigned index_bits; /* of the address's top bits; 0: no index */
	uint64_t *hi, *lo;   /* lo: IPv6 only */
	uint32_t *group;
	uint32_t *index; /* first start of a value of the top bits; one more at the end */
};

struct kernel_hops {
	uint64_t seed;
	uint32_t mask; /* of slots */
	struct kernel_slot *slot;
	struct kernel_starts v4, v6;
	struct kernel_group *group;
	struct kernel_target *target;
	uint16_t *upto; /* sum of weights, this target's included */
};

/* The way that routes alone give, before neighbours known one by one: number of a target, or
 * UINT32_MAX. */
uint32_t kernel_hops_route(const struct kernel_hops *hops, const struct net_addr *to);
struct kernel_slot *kernel_hops_slot(const struct kernel_hops *hops, const struct net_addr *to);
