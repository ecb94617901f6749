/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of a name's addresses comes first for whom. */
#include <math.h>

#include "resolve/resolve.h"

/* Of a target without weight: RFC 2782 gives it "a very small chance" beside others that have one.
 */
#define WEIGHTLESS 0.01

/* The addresses of a target, [at, end), and its place: by rank, then by what it has drawn. */
struct group {
	uint8_t at, end, tier;
	double drawn;
};

/* A number that a digest gives for another one (the finalizer of splitmix64). */
static uint64_t mix(uint64_t digest, uint64_t with)
{
	uint64_t v = (digest ^ with) + 0x9e3779b97f4a7c15ULL;

	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ULL;
	v = (v ^ v >> 27) * 0x94d049bb133111ebULL;
	return v ^ v >> 31;
}

/*
 * What a call draws for a target: exponentially distributed, its rate being the weight, so that the
 * least of some is each one's in proportion to its weight, and the next one likewise among the
 * rest. It depends on the call and the target alone: who comes or goes beside it changes nothing.
 */
static double draw(const struct resolve_addresses *a, unsigned i, uint64_t digest)
{
	const struct net_endpoint *ep = &a->ep[i];
	uint64_t v = mix(mix(mix(digest, ep->addr.q[0]), ep->addr.q[1]), ep->port);
	double weight = a->weight[i] != 0 ? a->weight[i] : WEIGHTLESS;

	/* From above 0 to below 1. */
	return -log(((double)(v >> 12) + 0.5) * 0x1p-52) / weight;
}

static bool comes_before(const struct group *a, const struct group *b)
{
	return a->tier != b->tier ? a->tier < b->tier : a->drawn < b->drawn;
}

void resolve_order(
	const struct resolve_addresses *a, uint64_t digest, uint8_t out[RESOLVE_ADDRESSES_MAX])
{
	struct group group[RESOLVE_ADDRESSES_MAX];
	unsigned n = 0, done = 0;

	for (unsigned at = 0, end; at < a->count; at = end) {
		struct group g = {.at = (uint8_t)at, .tier = a->tier[at]};
		unsigned place = n++;

		for (end = at + 1; end < a->count && a->target[end] == a->target[at]; end++)
			;
		g.end = (uint8_t)end;
		g.drawn = draw(a, at, digest);
		for (; place > 0 && comes_before(&g, &group[place - 1]); place--)
			group[place] = group[place - 1];
		group[place] = g;
	}
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = group[i].at; k < group[i].end; k++)
			out[done++] = (uint8_t)k;
}
