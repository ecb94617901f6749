/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * share: how much of what crosses belongs to one call. A thread's own counters, two for each
 * digest, of which the lower one is not far from the truth: so many messages as cross in a window
 * spread over all of them, and who floods raises two. Digests are keyed: nobody can aim at
 * another's counters.
 */
#include <stdlib.h>

#include "pipeline/worker.h"

#define SHARE_SLOTS (1u << 14)

struct share {
	uint64_t window; /* the number of the one that is counted in */
	uint8_t used[2][SHARE_SLOTS];
};

_Static_assert(PIPELINE_SHARE <= UINT8_MAX, "a counter is a byte");

struct share *share_create(void)
{
	return calloc(1, sizeof(struct share));
}

bool share_take(struct share *s, uint64_t now, uint64_t digest)
{
	uint8_t *first = &s->used[0][digest % SHARE_SLOTS],
		*second = &s->used[1][(digest >> 32) % SHARE_SLOTS];
	uint64_t window = now / PIPELINE_SHARE_NS;
	unsigned used;

	if (window != s->window) {
		memset(s->used, 0, sizeof(s->used));
		s->window = window;
	}
	used = RTE_MIN(*first, *second);
	if (used >= PIPELINE_SHARE)
		return false;
	/* The lower one, or both: another's messages are not added to what is higher for its own.
	 */
	if (*first == used)
		(*first)++;
	if (*second == used)
		(*second)++;
	return true;
}
