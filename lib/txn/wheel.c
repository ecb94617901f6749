/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "txn/wheel.h"

#define WHEEL_FIRST 0x80000000U /* in prev: the slot follows, level * 256 + slot */

static inline struct wheel_node *node_at(const struct wheel *w, uint32_t i)
{
	return (struct wheel_node *)(void *)(w->base + (uint64_t)i * w->stride);
}

void wheel_init(struct wheel *w, void *base, uint32_t stride, uint32_t now)
{
	memset(w, 0, sizeof(*w));
	memset(w->head, 0xff, sizeof(w->head));
	w->base = base;
	w->stride = stride;
	w->now = now;
}

static void put(struct wheel *w, uint32_t i)
{
	struct wheel_node *node = node_at(w, i);
	uint32_t at = (int32_t)(node->due - w->now) > 0 ? node->due : w->now;
	uint32_t differs = at ^ w->now;
	unsigned level = differs != 0 ? (31 - (unsigned)__builtin_clz(differs)) / 8 : 0;
	unsigned slot = at >> (8 * level) & (WHEEL_SLOTS - 1);
	uint32_t *head = &w->head[level][slot];

	node->prev = WHEEL_FIRST | level * WHEEL_SLOTS | slot;
	node->next = *head;
	if (*head != WHEEL_NONE)
		node_at(w, *head)->prev = i;
	else
		w->used[level][slot / 64] |= (uint64_t)1 << (slot % 64);
	*head = i;
}

void wheel_add(struct wheel *w, uint32_t i, uint32_t due)
{
	node_at(w, i)->due = due;
	put(w, i);
}

void wheel_remove(struct wheel *w, uint32_t i)
{
	struct wheel_node *node = node_at(w, i);

	if (node->next != WHEEL_NONE)
		node_at(w, node->next)->prev = node->prev;
	if ((node->prev & WHEEL_FIRST) != 0) {
		unsigned level = (node->prev & ~WHEEL_FIRST) / WHEEL_SLOTS,
			 slot = node->prev % WHEEL_SLOTS;

		w->head[level][slot] = node->next;
		if (node->next == WHEEL_NONE)
			w->used[level][slot / 64] &= ~((uint64_t)1 << (slot % 64));
	} else {
		node_at(w, node->prev)->next = node->next;
	}
}

/* The first slot in use at or behind `from`, -1: none. */
static int find(const uint64_t used[WHEEL_SLOTS / 64], unsigned from)
{
	for (unsigned word = from / 64; word < WHEEL_SLOTS / 64; word++) {
		uint64_t bits = used[word];

		if (word == from / 64)
			bits &= ~(uint64_t)0 << (from % 64);
		if (bits != 0)
			return (int)(word * 64 + (unsigned)__builtin_ctzll(bits));
	}
	return -1;
}

/* The tick at which the next slot in use begins; false: none is. */
static bool next_tick(const struct wheel *w, uint32_t *tick)
{
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		unsigned shift = 8 * level, slot = w->now >> shift & (WHEEL_SLOTS - 1);
		int found = slot + 1 < WHEEL_SLOTS ? find(w->used[level], slot + 1) : -1;

		/* Only the top level goes round, where the clock does. */
		if (found < 0 && level == WHEEL_LEVELS - 1)
			found = find(w->used[level], 0);
		if (found >= 0) {
			uint64_t above = ~(((uint64_t)WHEEL_SLOTS << shift) - 1);

			*tick = (uint32_t)((w->now & above) | (uint64_t)(unsigned)found << shift);
			return true;
		}
	}
	return false;
}

/* One node of a slot that the current tick has come to goes to where it belongs now. */
static bool move_down(struct wheel *w)
{
	for (unsigned level = WHEEL_LEVELS; level-- > 1;) {
		uint32_t i = w->head[level][w->now >> (8 * level) & (WHEEL_SLOTS - 1)];

		if (i != WHEEL_NONE) {
			wheel_remove(w, i);
			put(w, i);
			return true;
		}
	}
	return false;
}

uint32_t wheel_next(struct wheel *w, uint32_t now, unsigned *budget)
{
	uint32_t i, tick;

	for (;;) {
		if (*budget == 0)
			return WHEEL_NONE;
		if (move_down(w)) {
			--*budget;
			continue;
		}
		i = w->head[0][w->now % WHEEL_SLOTS];
		if (i != WHEEL_NONE) {
			--*budget;
			wheel_remove(w, i);
			return i;
		}
		if (w->now == now)
			return WHEEL_NONE;
		if (!next_tick(w, &tick) || tick - w->now > now - w->now) {
			w->now = now;
			return WHEEL_NONE;
		}
		w->now = tick;
	}
}
