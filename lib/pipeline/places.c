/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * places: a worker's own places for messages that cross to slow lcores. It takes and stacks them
 * without an atomic operation; others give them back by a ring.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "pipeline/worker.h"

/* A ring that is no memzone: it can be as large as it must. */
static struct rte_ring *returned_create(uint32_t count)
{
	uint32_t size = rte_align32pow2(count + 1);
	struct rte_ring *r =
		aligned_alloc(64, RTE_ALIGN_CEIL((size_t)rte_ring_get_memsize(size), 64));

	if (r != NULL && rte_ring_init(r, "places", size, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ) != 0) {
		free(r);
		r = NULL;
	}
	return r;
}

int places_create(struct places *places, unsigned total)
{
	places->bytes = total * held_bytes(HELD_TEXT_SMALL);
	/* Pages come when they are first used, large ones where the system has them. */
	places->memory = mmap(
		NULL, places->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	places->free = calloc(total, sizeof(*places->free));
	places->returned = returned_create(total);
	if (places->memory == MAP_FAILED || places->free == NULL || places->returned == NULL) {
		places_destroy(places);
		return -ENOMEM;
	}
	madvise(places->memory, places->bytes, MADV_HUGEPAGE);
	places->total = total;
	/* The first ones lie on top. */
	for (unsigned i = 0; i < total; i++) {
		char *at = places->memory + (total - 1 - i) * held_bytes(HELD_TEXT_SMALL);

		places->free[i] = (struct held *)(void *)at;
	}
	places->count = total;
	return 0;
}

void places_destroy(struct places *places)
{
	if (places->memory != NULL && places->memory != MAP_FAILED)
		munmap(places->memory, places->bytes);
	free(places->free);
	free(places->returned);
	*places = (struct places){0};
}

void places_collect(struct places *places)
{
	if (places->count < places->total)
		places->count += rte_ring_dequeue_burst(places->returned,
			(void **)(places->free + places->count), places->total - places->count,
			NULL);
}

struct held *places_take(struct places *places, unsigned owner)
{
	struct held *h;

	if (places->count == 0)
		return NULL;
	h = places->free[--places->count];
	held_init(h, HOME_WORKER);
	h->owner = (uint16_t)owner;
	return h;
}

void held_give_back(struct pipeline *p, struct held *h)
{
	if (h->referred)
		route_script_unref(h->script);
	if (h->home == HOME_WORKER)
		(void)rte_ring_enqueue(p->worker[h->owner].places.returned, h);
	else
		slab_put(p->slab, h);
}
