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
	for (unsigned i = 0; i < WHEEL_SIZE; i++)
		w->list[i] = CALL_NONE;
}

static void unlink_call(struct wheel *w, struct call *call)
{
	if (call->prev != CALL_NONE)
		w->call[call->prev].next = call->next;
	else
		w->list[call->tick % WHEEL_SIZE] = call->next;
	if (call->next != CALL_NONE)
		w->call[call->next].prev = call->prev;
	call->tick = 0;
	w->count--;
}

static void link_call(struct wheel *w, struct call *call, uint64_t tick)
{
	uint32_t slot = (uint32_t)(call - w->call);
	uint32_t *head = &w->list[tick % WHEEL_SIZE];

	call->tick = tick;
	call->prev = CALL_NONE;
	call->next = *head;
	if (*head != CALL_NONE)
		w->call[*head].prev = slot;
	*head = slot;
	w->count++;
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
		uint32_t slot = w->list[++w->tick % WHEEL_SIZE];

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
	for (uint64_t i = 1; i < WHEEL_AHEAD; i++)
		if (w->list[(w->tick + i) % WHEEL_SIZE] != CALL_NONE)
			return (w->tick + i) << WHEEL_SHIFT;
	return (w->tick + WHEEL_AHEAD) << WHEEL_SHIFT;
}
