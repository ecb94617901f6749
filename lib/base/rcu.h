/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Read-copy-update by quiescent states. Readers take no lock and write one line of their own per
 * loop, not per message. One domain a process (tests may make their own).
 *
 *   reader  rcu_register() once; rcu_quiescent() once a loop, holding no pointer of a snapshot;
 *           rcu_offline() before it sleeps or blocks, rcu_online() after
 *   writer  builds a new snapshot, stores its pointer with release order, then rcu_retire()s the
 * old one; rcu_reclaim(), called from the control loop, frees what no reader can hold any more
 *
 * Writers are serialized by their caller: only the control thread publishes.
 */
#define RCU_READERS_MAX 128
#define RCU_RETIRED_MAX 1024

struct rcu_reader {
	_Alignas(64) _Atomic uint64_t seen; /* 0 = offline */
};

struct rcu_retired {
	void *object;
	void (*free)(void *object);
	uint64_t epoch;
};

struct rcu {
	_Atomic uint64_t epoch; /* starts at 1 */
	_Atomic uint32_t readers;
	uint32_t retired_count;
	struct rcu_retired retired[RCU_RETIRED_MAX];
	struct rcu_reader reader[RCU_READERS_MAX];
};

void rcu_init(struct rcu *rcu);

/* Returns the reader's number, online, or -ENOSPC. Any thread, once. */
int rcu_register(struct rcu *rcu);

static inline void rcu_quiescent(struct rcu *rcu, int reader)
{
	uint64_t now = atomic_load_explicit(&rcu->epoch, memory_order_acquire);

	/* The common case, no writer since the last loop, writes nothing. */
	if (atomic_load_explicit(&rcu->reader[reader].seen, memory_order_relaxed) != now)
		atomic_store_explicit(&rcu->reader[reader].seen, now, memory_order_seq_cst);
}

static inline void rcu_offline(struct rcu *rcu, int reader)
{
	atomic_store_explicit(&rcu->reader[reader].seen, 0, memory_order_release);
}

static inline void rcu_online(struct rcu *rcu, int reader)
{
	/* Sequentially consistent, so that the writer either sees us online or we see what it
	 * published. */
	atomic_store_explicit(&rcu->reader[reader].seen,
		atomic_load_explicit(&rcu->epoch, memory_order_seq_cst), memory_order_seq_cst);
	atomic_thread_fence(memory_order_seq_cst);
}

/*
 * Hands over an object that was published and is no longer. It is freed by a later rcu_reclaim().
 * Control thread. Returns 0, or -ENOSPC when too many wait (some reader is stuck): the object still
 * belongs to the caller.
 */
int rcu_retire(struct rcu *rcu, void *object, void (*free)(void *object));

/* Frees what every online reader has passed; returns how many objects still wait. Control thread;
 * never blocks. */
uint32_t rcu_reclaim(struct rcu *rcu);

/* Frees everything that still waits. Only when no reader runs any more, at the end of the process
 * or a test. */
void rcu_fini(struct rcu *rcu);
