/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * Counters: one block of plain numbers a thread, written by it alone, summed by whoever reads. The
 * list is counter.def plus the drop reasons of the rooms below, so that every reason to drop has
 * one name in one place.
 */
#include <stdatomic.h>

#include "net/net.h"
#include "proxy/proxy.h"
#include "route/route.h"
#include "sip/sip.h"
#include "txn/txn.h"

enum counter_kind {
	COUNTER_IN,
	COUNTER_DONE,
	COUNTER_DROP,
	COUNTER_ENTER,
	COUNTER_LEAVE,
	COUNTER_INFO
};

enum counter {
#define COUNTER(id, name, kind, help) COUNTER_##id,
#include "pipeline/counter.def"
#undef COUNTER
	COUNTER_OWN_COUNT,
	/* the rooms' own reasons, each a DROP; the 0 of each enum is no reason and stays unused */
	COUNTER_NET = COUNTER_OWN_COUNT,
	COUNTER_SIP = COUNTER_NET + NET_REASON_COUNT,
	COUNTER_PROXY = COUNTER_SIP + SIP_ERROR_COUNT,
	COUNTER_TXN = COUNTER_PROXY + PROXY_REASON_COUNT,
	COUNTER_COUNT = COUNTER_TXN + TXN_REASON_COUNT
};

struct counters {
	_Alignas(64) _Atomic uint64_t n[COUNTER_COUNT];
};

/* Its owner only: no locked instruction, and a reader never sees a torn value. */
static inline void counter_add(struct counters *c, unsigned id, uint64_t n)
{
	atomic_store_explicit(&c->n[id], atomic_load_explicit(&c->n[id], memory_order_relaxed) + n,
		memory_order_relaxed);
}

/* The name, kind and help text of a counter; name NULL for the unused ones. Any thread. */
const char *counter_name(unsigned id);
enum counter_kind counter_kind(unsigned id);
const char *counter_help(unsigned id);

/* The equation's terms over a sum of blocks, and whether it holds. Exact when nothing is in flight.
 */
struct counter_balance {
	uint64_t in, done, dropped, held;
	bool exact;
};
void counter_sum(const struct counters *block, unsigned blocks, uint64_t out[COUNTER_COUNT]);
struct counter_balance counter_balance(const uint64_t sum[COUNTER_COUNT]);
