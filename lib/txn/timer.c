/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A transaction has one node in the wheel, for the earliest of its deadlines. One that moves away
 * leaves the node where it is: it finds nothing due there and goes on to what is next. So most
 * timers that are set are never put anywhere.
 */
#include "txn/internal.h"

#define LIFETIME_AGAIN 1000 /* ms; while its script waits for a name, nothing ends */
#define LIFETIME_BUSY 60    /* ... so many times */

void txn_timer_set(struct txn_shard *s, struct place *t, uint32_t at)
{
	uint32_t i = place_number(s, t);

	if (at == 0)
		return;
	if (t->armed) {
		if ((int32_t)(at - t->node.due) >= 0)
			return;
		wheel_remove(&s->wheel, i);
	}
	wheel_add(&s->wheel, i, at);
	t->armed = true;
}

void txn_timer_stop(struct txn_shard *s, struct place *t)
{
	if (t->armed)
		wheel_remove(&s->wheel, place_number(s, t));
	t->armed = false;
}

static bool branch_is_due(const struct txn_shard *s, const struct branch *b)
{
	return branch_is_alive(b) && (time_is_due(s, b->retr_at) || time_is_due(s, b->end_at) ||
					     time_is_due(s, b->cancel_at));
}

/* The next one that has something due; what it does may make and end others. */
static struct branch *due_branch(struct txn_shard *s, struct place *t)
{
	BRANCH_FOREACH (s, t, b) {
		if (branch_is_due(s, b))
			return b;
	}
	return NULL;
}

/* max_inv_lifetime, max_noninv_lifetime: what is not final now is 408. */
static void lifetime(struct txn_shard *s, struct place *t)
{
	unsigned open = 0;

	BRANCH_FOREACH (s, t, b) {
		if (branch_is_final(b))
			continue;
		if (b->waits != 0)
			txn_branch_give_up(b);
		else
			txn_branch_timeout(s, t, b);
		open++;
	}
	if (open != 0)
		txn_response_finish(s, t);
	else if (!server_is_final(t))
		txn_server_reply(s, t, 500, STR_NONE); /* final, even where it can't be written */
}

static uint32_t next_deadline(struct txn_shard *s, struct place *t)
{
	const struct live *l = place_live(s, t);
	uint32_t at = time_earlier(t->retr_at, t->end_at);

	if (l != NULL && !server_is_final(t))
		at = time_earlier(at, l->lifetime_at);
	BRANCH_FOREACH (s, t, b) {
		if (!branch_is_alive(b))
			continue;
		at = time_earlier(at, time_earlier(b->retr_at, b->end_at));
		at = time_earlier(at, b->cancel_at);
	}
	return at;
}

static void fire(struct txn_shard *s, struct place *t)
{
	struct branch *b;
	struct live *l;

	t->armed = false;
	txn_server_timer(s, t);
	while ((b = due_branch(s, t)) != NULL)
		txn_branch_timer(s, t, b);
	l = place_live(s, t);
	if (l != NULL && time_is_due(s, l->lifetime_at) && !server_is_final(t)) {
		if ((t->flags & PLACE_BUSY) != 0 && ++l->busy <= LIFETIME_BUSY) {
			l->lifetime_at = time_in(s, LIFETIME_AGAIN);
		} else {
			/* One that never came back, as from another shard, is not waited for. */
			t->flags &= (uint16_t)~PLACE_BUSY;
			l->lifetime_at = 0;
			lifetime(s, t);
		}
	}
	if (txn_place_settle(s, t))
		txn_timer_set(s, t, next_deadline(s, t));
}

unsigned txn_poll(struct txn_shard *s, uint64_t now_ns, unsigned budget)
{
	unsigned left = budget;
	uint32_t i;

	txn_shard_time(s, now_ns);
	while ((i = wheel_next(&s->wheel, s->now, &left)) != WHEEL_NONE) {
		struct txn_entry before = txn_enter(s, TXN_HAND_NONE, NULL, NULL);

		fire(s, &s->place[i]);
		txn_leave(s, before);
	}
	return budget - left;
}
