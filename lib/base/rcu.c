/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/rcu.h"

#include <errno.h>
#include <string.h>

void rcu_init(struct rcu *rcu)
{
	memset(rcu, 0, sizeof(*rcu));
	atomic_store(&rcu->epoch, 1);
}

int rcu_register(struct rcu *rcu)
{
	uint32_t id = atomic_fetch_add(&rcu->readers, 1);

	if (id >= RCU_READERS_MAX) {
		atomic_fetch_sub(&rcu->readers, 1);
		return -ENOSPC;
	}
	rcu_online(rcu, (int)id);
	return (int)id;
}

int rcu_retire(struct rcu *rcu, void *object, void (*free)(void *object))
{
	if (object == NULL)
		return 0;
	if (rcu->retired_count == RCU_RETIRED_MAX)
		return -ENOSPC;
	/* A reader that reports this epoch or a later one loaded its pointers after the new one was
	 * stored. */
	uint64_t epoch = atomic_fetch_add_explicit(&rcu->epoch, 1, memory_order_seq_cst) + 1;

	rcu->retired[rcu->retired_count++] = (struct rcu_retired){object, free, epoch};
	return 0;
}

uint32_t rcu_reclaim(struct rcu *rcu)
{
	uint32_t readers, kept = 0;
	uint64_t oldest = UINT64_MAX;

	if (rcu->retired_count == 0)
		return 0;
	atomic_thread_fence(memory_order_seq_cst);
	readers = atomic_load(&rcu->readers);
	for (uint32_t i = 0; i < readers && i < RCU_READERS_MAX; i++) {
		uint64_t seen = atomic_load_explicit(&rcu->reader[i].seen, memory_order_seq_cst);

		if (seen != 0 && seen < oldest)
			oldest = seen;
	}
	for (uint32_t i = 0; i < rcu->retired_count; i++) {
		struct rcu_retired *r = &rcu->retired[i];

		if (r->epoch <= oldest)
			r->free(r->object);
		else
			rcu->retired[kept++] = *r;
	}
	rcu->retired_count = kept;
	return kept;
}

void rcu_fini(struct rcu *rcu)
{
	for (uint32_t i = 0; i < rcu->retired_count; i++)
		rcu->retired[i].free(rcu->retired[i].object);
	rcu->retired_count = 0;
}
