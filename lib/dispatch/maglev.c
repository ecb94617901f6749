/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Weighted Maglev tables. (Eisenbud et al., NSDI 2016)
 *
 * Each target prefers the table's slots in an order of its own, made of its identity. Targets take
 * turns, each the next free slot of its order. The shares are fixed before, so that they are exact;
 * turns are spread evenly by weight. Identities and weights alone decide: every node of a group has
 * the same table.
 */
#include <errno.h>
#include <stdlib.h>

#include "dispatch/internal.h"

#define MAGLEV_EMPTY 0

/* Not secret: all nodes have to agree. */
static const struct hash_key maglev_key = {{0x7369706c616e6520ULL, 0x6d61676c65762031ULL}};

/*
 * Primes in steps of two: another size moves nearly every key, so that it must not change with each
 * target that comes or goes.
 */
uint32_t maglev_size(unsigned n)
{
	static const uint32_t prime[] = {65537, 131101, 262147, 524309};
	unsigned i = 0;

	while (i + 1 < sizeof(prime) / sizeof(prime[0]) && prime[i] <= n * 100)
		i++;
	return prime[i];
}

_Static_assert(
	DISPATCH_DESTINATIONS_MAX * 100 < 524309, "the largest table has room for the largest set");

struct fraction {
	uint64_t rest;
	unsigned index;
};

static int by_rest(const void *a, const void *b)
{
	const struct fraction *x = a, *y = b;

	if (x->rest != y->rest)
		return x->rest > y->rest ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* Shares of zero where the weight is not become one, at the cost of the largest. */
static void lift_zeros(const uint32_t *weight, unsigned n, uint32_t *quota)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned most = 0;

		if (weight[i] == 0 || quota[i] != 0)
			continue;
		for (unsigned j = 1; j < n; j++)
			if (quota[j] > quota[most])
				most = j;
		quota[most]--;
		quota[i] = 1;
	}
}

void maglev_quotas(const uint32_t *weight, unsigned n, uint32_t total, uint32_t *quota)
{
	struct fraction *rest = calloc(n, sizeof(*rest));
	uint64_t sum = 0;
	uint32_t left = total;

	for (unsigned i = 0; i < n; i++)
		sum += weight[i];
	for (unsigned i = 0; i < n; i++) {
		uint64_t exact = sum != 0 ? (uint64_t)weight[i] * total : 0;

		quota[i] = sum != 0 ? (uint32_t)(exact / sum) : 0;
		left -= quota[i];
		if (rest != NULL)
			rest[i] = (struct fraction){sum != 0 ? exact % sum : 0, i};
	}
	if (sum != 0) {
		if (rest != NULL)
			qsort(rest, n, sizeof(*rest), by_rest);
		for (unsigned i = 0; left > 0; i = (i + 1) % n) {
			unsigned at = rest != NULL ? rest[i].index : i;

			if (weight[at] == 0)
				continue;
			quota[at]++;
			left--;
		}
		lift_zeros(weight, n, quota);
	}
	free(rest);
}

/* The k-th of q turns stands at (2k + 1) / 2q of the whole: a heap keeps who is next. */
struct turn {
	uint64_t num; /* 2k + 1 */
	uint32_t q;
	uint16_t index;
};

static inline bool turn_before(const struct turn *a, const struct turn *b)
{
	uint64_t x = a->num * b->q, y = b->num * a->q;

	return x != y ? x < y : a->index < b->index;
}

static void sift_down(struct turn *heap, unsigned n, unsigned at)
{
	for (;;) {
		unsigned least = at, left = 2 * at + 1;
		struct turn swap;

		if (left < n && turn_before(&heap[left], &heap[least]))
			least = left;
		if (left + 1 < n && turn_before(&heap[left + 1], &heap[least]))
			least = left + 1;
		if (least == at)
			return;
		swap = heap[at];
		heap[at] = heap[least];
		heap[least] = swap;
		at = least;
	}
}

int maglev_turns(const uint32_t *quota, unsigned n, uint16_t *turn)
{
	struct turn *heap = calloc(n, sizeof(*heap));
	unsigned live = 0;

	if (heap == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		if (quota[i] != 0)
			heap[live++] = (struct turn){1, quota[i], (uint16_t)i};
	for (unsigned i = live / 2 + 1; i-- > 0;)
		sift_down(heap, live, i);
	while (live > 0) {
		*turn++ = heap[0].index;
		heap[0].num += 2;
		if (heap[0].num > 2 * (uint64_t)heap[0].q)
			heap[0] = heap[--live];
		sift_down(heap, live, 0);
	}
	free(heap);
	return 0;
}

static int by_identity(const void *a, const void *b)
{
	const struct maglev_target *x = a, *y = b;
	uint32_t n = x->identity.len < y->identity.len ? x->identity.len : y->identity.len;
	int order = memcmp(x->identity.s, y->identity.s, n);

	if (order != 0)
		return order;
	return x->identity.len < y->identity.len ? -1 : x->identity.len > y->identity.len;
}

static void take_turns(struct maglev *m, const struct maglev_target *target,
	struct maglev_walk *walk, const uint16_t *turn)
{
	for (uint32_t i = 0; i < m->size; i++) {
		struct maglev_walk *w = &walk[turn[i]];

		while (m->slot[w->at] != MAGLEV_EMPTY)
			maglev_next(m, w);
		m->slot[w->at] = target[turn[i]].id;
	}
}

struct maglev *maglev_build(struct maglev_target *target, unsigned n)
{
	uint32_t size = maglev_size(n), *weight = calloc(2 * (size_t)n + 1, sizeof(*weight)),
		 *quota = weight + n;
	struct maglev_walk *walk = calloc((size_t)n + 1, sizeof(*walk));
	uint16_t *turn = calloc(size, sizeof(*turn));
	struct maglev *m = calloc(1, sizeof(*m) + size * sizeof(m->slot[0]));
	uint64_t sum = 0;

	errno = 0;
	if (weight == NULL || walk == NULL || turn == NULL || m == NULL) {
		errno = ENOMEM;
		goto fail;
	}
	if (n > 1)
		qsort(target, n, sizeof(*target), by_identity);
	m->size = size;
	for (unsigned i = 0; i < n; i++) {
		weight[i] = target[i].weight;
		sum += weight[i];
		walk[i] = maglev_begin(m, hash_text(&maglev_key, target[i].identity));
	}
	if (sum == 0)
		goto fail;
	maglev_quotas(weight, n, size, quota);
	if (maglev_turns(quota, n, turn) != 0) {
		errno = ENOMEM;
		goto fail;
	}
	take_turns(m, target, walk, turn);
	goto out;
fail:
	free(m);
	m = NULL;
out:
	free(turn);
	free(walk);
	free(weight);
	return m;
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

struct dispatch_cycle *dispatch_cycle_build(const struct maglev_target *target, unsigned n)
{
	uint32_t *weight = calloc(2 * (size_t)n + 1, sizeof(*weight)), *quota = weight + n,
		 divisor = 0;
	struct dispatch_cycle *cycle = NULL;
	uint64_t len = 0;

	errno = ENOMEM;
	if (weight == NULL)
		return NULL;
	for (unsigned i = 0; i < n; i++) {
		weight[i] = target[i].weight;
		divisor = gcd(divisor, weight[i]);
		len += weight[i];
	}
	errno = 0;
	if (len == 0)
		goto out;
	len /= divisor;
	if (len > DISPATCH_CYCLE_MAX)
		len = DISPATCH_CYCLE_MAX;
	errno = ENOMEM;
	cycle = calloc(1, sizeof(*cycle) + len * sizeof(cycle->id[0]));
	if (cycle == NULL)
		goto out;
	cycle->len = (uint32_t)len;
	maglev_quotas(weight, n, cycle->len, quota);
	if (maglev_turns(quota, n, cycle->id) != 0) {
		free(cycle);
		cycle = NULL;
		goto out;
	}
	for (uint32_t i = 0; i < cycle->len; i++)
		cycle->id[i] = target[cycle->id[i]].id;
out:
	free(weight);
	return cycle;
}
