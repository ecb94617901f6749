/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * A hierarchical timer wheel: four levels of 256 slots, one tick a millisecond. Nodes are embedded
 * in the objects of one array and named by their index there. A timer goes to the level of the
 * highest byte in which it differs from the current tick, so that nothing ever goes round, and
 * finding the next slot in use is a look at a few words: hours without a timer cost nothing.
 *
 * All work is done one node at a time, moving one down a level included: a million timers in one
 * tick, or a clock that jumps, take many calls and never a long one. Times are 32 bits and wrap;
 * timers are less than 2^31 ms ahead. One thread.
 */
#include <stdbool.h>
#include <stdint.h>

#define WHEEL_LEVELS 4
#define WHEEL_SLOTS 256
#define WHEEL_NONE UINT32_MAX

struct wheel_node {
	uint32_t next, prev; /* prev of the first one: WHEEL_FIRST and its slot */
	uint32_t due;
};

struct wheel {
	uint32_t now;    /* all earlier ticks are done */
	uint32_t stride; /* bytes from one node to the next */
	char *base;      /* of node 0 */
	uint64_t used[WHEEL_LEVELS][WHEEL_SLOTS / 64];
	uint32_t head[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, void *base, uint32_t stride, uint32_t now);
/* The node is in no slot. What is due already is found by the next call. */
void wheel_add(struct wheel *w, uint32_t i, uint32_t due);
void wheel_remove(struct wheel *w, uint32_t i);
/*
 * Takes out a node that is due at `now`; WHEEL_NONE: there is none, or `*budget` is used up, of
 * which every node that was touched took one.
 */
uint32_t wheel_next(struct wheel *w, uint32_t now, unsigned *budget);
