/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slab: fixed places for messages that wait, in two sizes. Taken and given back by any thread, also
 * ones that can be preempted.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "pipeline/worker.h"

struct slab {
	struct rte_ring *free_small, *free_big;
	char *memory;
	size_t bytes;
	uint32_t small, big;
};

/* A ring that holds `count` places. */
static struct rte_ring *free_list(const char *name, uint32_t count)
{
	struct rte_ring *r =
		calloc(1, (size_t)rte_ring_get_memsize(rte_align32pow2(count + 1)) + 64);

	if (r == NULL)
		return NULL;
	if (rte_ring_init(r, name, rte_align32pow2(count + 1),
		    RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ) != 0) {
		free(r);
		return NULL;
	}
	return r;
}

struct slab *slab_create(uint32_t small, uint32_t big)
{
	struct slab *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->small = small;
	s->big = big;
	s->bytes = small * held_bytes(HELD_TEXT_SMALL) + big * held_bytes(SIP_MSG_UDP_OUT_MAX);
	/* Pages come when they are first used. */
	s->memory =
		mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	s->free_small = free_list("held_small", small);
	s->free_big = free_list("held_big", big);
	if (s->memory == MAP_FAILED || s->free_small == NULL || s->free_big == NULL) {
		slab_destroy(s);
		return NULL;
	}
	for (uint32_t i = 0; i < small; i++)
		rte_ring_enqueue(s->free_small, s->memory + i * held_bytes(HELD_TEXT_SMALL));
	for (uint32_t i = 0; i < big; i++)
		rte_ring_enqueue(s->free_big, s->memory + small * held_bytes(HELD_TEXT_SMALL) +
						      i * held_bytes(SIP_MSG_UDP_OUT_MAX));
	return s;
}

void slab_destroy(struct slab *s)
{
	if (s == NULL)
		return;
	if (s->memory != NULL && s->memory != MAP_FAILED)
		munmap(s->memory, s->bytes);
	free(s->free_small);
	free(s->free_big);
	free(s);
}

/* Of the big ones, which are few, one in so many is for what only crosses to a slow lcore. */
#define BIG_TO_CROSS 4

bool slab_may_wait(const struct slab *s, uint32_t len)
{
	return len <= HELD_TEXT_SMALL || rte_ring_count(s->free_big) > s->big / BIG_TO_CROSS;
}

struct held *slab_get(struct slab *s, uint32_t len)
{
	void *place = NULL;
	bool big = len > HELD_TEXT_SMALL;

	if (len > SIP_MSG_UDP_OUT_MAX ||
		rte_ring_dequeue(big ? s->free_big : s->free_small, &place) != 0)
		return NULL;
	struct held *h = place;

	held_init(h, big ? HOME_BIG : HOME_SMALL);
	return h;
}

void slab_put(struct slab *s, struct held *h)
{
	rte_ring_enqueue(h->home == HOME_BIG ? s->free_big : s->free_small, h);
}

unsigned slab_used(const struct slab *s)
{
	return s->small - rte_ring_count(s->free_small) + s->big - rte_ring_count(s->free_big);
}
