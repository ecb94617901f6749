/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers of calls: one wheel of lists, and what is further away comes round again.
 *
 * Most timers are put off before they come: so a call that stands in an earlier list stays there,
 * and is moved when that comes up. A request that is answered at once touches no list at all.
 */
#include "internal.h"

void wheel_begin(struct wheel *w, struct call *call, uint64_t now)
{
	w->call = call;
	w->tick = now >> WHEEL_SHIFT;
	w->count = 0;
	memset(w->used, 0, sizeof(w->used));
	for (unsigned i = 0; i < WHEEL_SIZE; i++)
		w->list[i] = CALL_NONE;
}

static void unlink_call(struct wheel *w, struct call *call)
{
	unsigned place = call->tick % WHEEL_SIZE;

	if (call->prev != CALL_NONE)
		w->call[call->prev].next = call->next;
	else if ((w->list[place] = call->next) == CALL_NONE)
		w->used[place / 64] &= ~(1ULL << place % 64);
	if (call->next != CALL_NONE)
		w->call[call->next].prev = call->prev;
	call->tick = 0;
	w->count--;
}

static void link_call(struct wheel *w, struct call *call, uint64_t tick)
{
	uint32_t slot = (uint32_t)(call - w->call);
	unsigned place = tick % WHEEL_SIZE;
	uint32_t *head = &w->list[place];

	call->tick = tick;
	call->prev = CALL_NONE;
	call->next = *head;
	if (*head != CALL_NONE)
		w->call[*head].prev = slot;
	*head = slot;
	w->used[place / 64] |= 1ULL << place % 64;
	w->count++;
}

/* The next tick behind the one that has run whose list is not empty; a whole turn ahead at most. */
static uint64_t next_used(const struct wheel *w)
{
	uint64_t tick = w->tick + 1;
	unsigned place = tick % WHEEL_SIZE;
	uint64_t bits = w->used[place / 64] >> place % 64;

	if (bits != 0)
		return tick + (unsigned)__builtin_ctzll(bits);
	tick += 64 - place % 64;
	for (unsigned i = 0; i < WHEEL_SIZE / 64; i++, tick += 64) {
		bits = w->used[tick % WHEEL_SIZE / 64];
		if (bits != 0)
			return tick + (unsigned)__builtin_ctzll(bits);
	}
	return w->tick + WHEEL_SIZE;
}

void wheel_set(struct wheel *w, struct call *call, uint64_t due)
{
	uint64_t tick = (due >> WHEEL_SHIFT) + 1;

	call->due_ns = due;
	if (tick <= w->tick)
		tick = w->tick + 1;
	if (tick >= w->tick + WHEEL_SIZE)
		tick = w->tick + WHEEL_SIZE - 1;
	if (call->tick != 0) {
		if (call->tick <= tick)
			return;
		unlink_call(w, call);
	}
	link_call(w, call, tick);
}

void wheel_run(struct wheel *w, uint64_t now,
	void (*due)(void *arg, struct call *call, uint64_t now), void *arg)
{
	uint64_t to = now >> WHEEL_SHIFT;

	/* After a long sleep each list is looked at once. */
	if (to > w->tick + WHEEL_SIZE)
		w->tick = to - WHEEL_SIZE;
	while (w->tick < to) {
		uint64_t tick = next_used(w);
		uint32_t slot;

		if (tick > to) {
			w->tick = to;
			return;
		}
		w->tick = tick;
		slot = w->list[tick % WHEEL_SIZE];
		/* What is put in while this runs stands in a later list. */
		while (slot != CALL_NONE) {
			struct call *call = &w->call[slot];

			slot = call->next;
			unlink_call(w, call);
			if (call->state != CALL_ASKING && call->state != CALL_WAITING)
				continue;
			if (call->due_ns > now)
				wheel_set(w, call, call->due_ns);
			else
				due(arg, call, now);
		}
	}
}

uint64_t wheel_next(const struct wheel *w)
{
	if (w->count == 0)
		return UINT64_MAX;
	return next_used(w) << WHEEL_SHIFT;
}
