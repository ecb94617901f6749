/* SPDX-License-Identifier: BSD-3-Clause */
/* ring: jobs from one thread to one or several. */
#include <errno.h>
#include <stdlib.h>

#include "db/internal.h"

int ring_init(struct ring *r, uint32_t jobs)
{
	uint64_t slots = 2;

	while (slots < jobs)
		slots *= 2;
	r->mask = slots - 1;
	r->slot = calloc(slots, sizeof(*r->slot));
	return r->slot != NULL ? 0 : -ENOMEM;
}

void ring_fini(struct ring *r)
{
	free(r->slot);
	r->slot = NULL;
}

void ring_put(struct ring *r, struct job *job)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	atomic_store_explicit(&r->slot[tail & r->mask], job, memory_order_relaxed);
	/* Sequentially consistent: the writer says that it sleeps and then looks here. */
	atomic_store_explicit(&r->tail, tail + 1, memory_order_seq_cst);
}

struct job *ring_take(struct ring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	struct job *job;

	do {
		if (head == atomic_load_explicit(&r->tail, memory_order_seq_cst))
			return NULL;
		/* Where another thread has taken it meanwhile, a later job may stand here. */
		job = atomic_load_explicit(&r->slot[head & r->mask], memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(
		&r->head, &head, head + 1, memory_order_acq_rel, memory_order_relaxed));
	return job;
}

uint64_t ring_count(const struct ring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);

	return atomic_load_explicit(&r->tail, memory_order_seq_cst) - head;
}
