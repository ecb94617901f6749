/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel/kernel_internal.h"

/*
 * A byte ring with one producer, the worker, and one consumer, the control thread. Positions run
 * freely and wrap with 32 bits; a record is a header of 8 bytes and the frame, never torn: what
 * does not fit before the end begins anew.
 */
#define RECORD_SKIP UINT32_MAX

struct record {
	uint32_t len;
	uint16_t port;
	uint16_t zero;
};

static uint32_t record_bytes(uint32_t len)
{
	return (uint32_t)sizeof(struct record) + ((len + 7) & ~7u);
}

bool kernel_ring_put(struct kernel_ring *r, uint16_t port, const uint8_t *frame, uint32_t len)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint32_t at = head & (KERNEL_RING_BYTES - 1), need = record_bytes(len);
	uint32_t skip = KERNEL_RING_BYTES - at < need ? KERNEL_RING_BYTES - at : 0;
	struct record *record;

	if (head + skip + need - r->tail_seen > KERNEL_RING_BYTES) {
		r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
		if (head + skip + need - r->tail_seen > KERNEL_RING_BYTES)
			return false;
	}
	record = (struct record *)(r->data + at);
	if (skip != 0) {
		record->len = RECORD_SKIP;
		record = (struct record *)r->data;
	}
	*record = (struct record){.len = len, .port = port};
	memcpy(record + 1, frame, len);
	atomic_store_explicit(&r->head, head + skip + need, memory_order_release);
	return true;
}

uint8_t *kernel_ring_peek(struct kernel_ring *r, uint16_t *port, uint32_t *len)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	struct record *record;

	if (tail == head)
		return NULL;
	record = (struct record *)(r->data + (tail & (KERNEL_RING_BYTES - 1)));
	if (record->len == RECORD_SKIP) {
		tail += KERNEL_RING_BYTES - (tail & (KERNEL_RING_BYTES - 1));
		atomic_store_explicit(&r->tail, tail, memory_order_release);
		record = (struct record *)r->data;
	}
	*port = record->port;
	*len = record->len;
	return (uint8_t *)(record + 1);
}

void kernel_ring_drop(struct kernel_ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	const struct record *record =
		(const struct record *)(r->data + (tail & (KERNEL_RING_BYTES - 1)));

	atomic_store_explicit(&r->tail, tail + record_bytes(record->len), memory_order_release);
}

/*
 * A token bucket as one number: the time at which it will be full again. All workers share it,
 * since the rate is the port's; a refusal only reads it, so a flood does not bounce its line
 * between them, and writes are no more than the rate.
 */
bool kernel_bucket_take(struct kernel_bucket *b, uint64_t rate, uint64_t now)
{
	uint64_t full_at = atomic_load_explicit(&b->full_at, memory_order_relaxed);

	for (;;) {
		uint64_t from = full_at > now ? full_at : now;

		if (from - now > KERNEL_BURST_NS)
			return false;
		if (atomic_compare_exchange_weak_explicit(&b->full_at, &full_at,
			    from + CLOCK_NS_PER_S / rate, memory_order_relaxed,
			    memory_order_relaxed))
			return true;
	}
}
