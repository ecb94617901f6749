/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of a name's addresses comes first for whom. */
#include "resolve/resolve.h"

/* A number that a digest gives for a step (the finalizer of splitmix64). */
static uint64_t draw(uint64_t digest, unsigned step)
{
	uint64_t v = digest + (step + 1) * 0x9e3779b97f4a7c15ULL;

	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ULL;
	v = (v ^ v >> 27) * 0x94d049bb133111ebULL;
	return v ^ v >> 31;
}

/* The addresses of a target, [at, end). */
struct group {
	uint8_t at, end;
	uint32_t weight;
};

/* The groups of the rank that begins at `at`, those without weight first; returns how many. */
static unsigned groups_of(
	const struct resolve_addresses *a, unsigned at, struct group group[RESOLVE_ADDRESSES_MAX])
{
	unsigned n = 0, weightless = 0;
	uint8_t tier = a->tier[at];

	while (at < a->count && a->tier[at] == tier) {
		struct group g = {(uint8_t)at, (uint8_t)at, a->weight[at]};
		unsigned place = n;

		while (g.end < a->count && a->tier[g.end] == tier &&
			a->target[g.end] == a->target[at])
			g.end++;
		if (g.weight == 0) {
			place = weightless++;
			memmove(&group[place + 1], &group[place], (n - place) * sizeof(group[0]));
		}
		group[place] = g;
		n++;
		at = g.end;
	}
	/* RFC 2782 leaves it open how those share that have no weight at all: evenly. */
	for (unsigned i = 0; weightless == n && i < n; i++)
		group[i].weight = 1;
	return n;
}

void resolve_order(
	const struct resolve_addresses *a, uint64_t digest, uint8_t out[RESOLVE_ADDRESSES_MAX])
{
	struct group group[RESOLVE_ADDRESSES_MAX];
	unsigned done = 0, step = 0;

	while (done < a->count) {
		unsigned n = groups_of(a, done, group);

		for (; n > 0; n--) {
			uint64_t sum = 0, running = 0, drawn;
			unsigned pick = 0;

			for (unsigned i = 0; i < n; i++)
				sum += group[i].weight;
			/* From 0 to the sum: so what has no weight is drawn now and then. */
			drawn = (draw(digest, step++) >> 32) * (sum + (group[0].weight == 0)) >> 32;
			for (running = group[0].weight;
				running < drawn + (group[0].weight != 0) && pick + 1 < n;
				running += group[pick].weight)
				pick++;
			for (unsigned i = group[pick].at; i < group[pick].end; i++)
				out[done++] = (uint8_t)i;
			memmove(&group[pick], &group[pick + 1], (n - pick - 1) * sizeof(group[0]));
		}
	}
}
