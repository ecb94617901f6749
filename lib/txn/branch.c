/* SPDX-License-Identifier: BSD-3-Clause */
/* Branches: requests that went out, and their client transactions (RFC 3261 17.1, RFC 6026). */
#include <string.h>

#include "txn/internal.h"

struct branch *txn_branch_find(struct txn_shard *s, struct place *t, unsigned number)
{
	BRANCH_FOREACH (s, t, b) {
		if (b->number == number % TXN_BRANCHES_MAX)
			return b;
	}
	return NULL;
}

unsigned txn_branch_open(struct txn_shard *s, const struct place *t)
{
	unsigned open = 0;

	BRANCH_FOREACH (s, t, b)
		open += !branch_is_final(b);
	return open;
}

void txn_branch_drop_reply(struct txn_shard *s, struct branch *b)
{
	if (b->reply != MEMORY_NONE)
		memory_put(&s->memory, b->reply);
	b->reply = MEMORY_NONE;
	b->reply_len = 0;
}

static uint32_t branch_chunk(struct txn_shard *s, struct place *t, const struct branch *b)
{
	uint32_t chunk = t->branch;

	while (branch_at(s, chunk) != b)
		chunk = branch_at(s, chunk)->next;
	return chunk;
}

/* The link that leads to a branch. */
static uint32_t *branch_link(struct txn_shard *s, struct place *t, const struct branch *b)
{
	uint32_t *link = &t->branch;

	while (branch_at(s, *link) != b)
		link = &branch_at(s, *link)->next;
	return link;
}

void txn_branch_free(struct txn_shard *s, struct place *t, struct branch *b)
{
	uint32_t chunk = branch_chunk(s, t, b);

	*branch_link(s, t, b) = b->next;
	txn_branch_drop_reply(s, b);
	if (b->reason != MEMORY_NONE)
		memory_put(&s->memory, b->reason);
	memory_put(&s->memory, chunk);
}

/* ---- sending ---- */

static void start_timers(struct txn_shard *s, struct place *t, struct branch *b)
{
	const struct live *l = place_live(s, t);

	b->interval = t->t1;
	b->retr_at = time_in(s, b->interval); /* A, E */
	b->end_at = time_in(s, l->fr);        /* B, F */
	txn_timer_set(s, t, b->retr_at);
	txn_timer_set(s, t, b->end_at);
}

/* The branch of what was written, in a chunk of its own. NULL: there is no room for it. */
static struct branch *add(
	struct txn_shard *s, struct place *t, const struct branch *with, const char *text)
{
	uint32_t chunk = memory_get(&s->memory, sizeof(*with) + with->sent_len);
	struct branch *b;

	if (chunk == MEMORY_NONE) {
		shard_count(s, TXN_COUNTER_REFUSED);
		return NULL;
	}
	b = branch_at(s, chunk);
	*b = *with;
	memcpy(branch_sent(b), text, b->sent_len);
	b->next = t->branch;
	t->branch = chunk;
	place_live(s, t)->branches++;
	return b;
}

/* The next branch, before it is written. */
static struct branch new_branch(struct txn_shard *s, struct place *t, struct route_ctx *ctx,
	unsigned slot, unsigned nth, unsigned breadth)
{
	const struct txn_state *state = txn_state(ctx);
	struct live *l = place_live(s, t);

	txn_place_fr(t, l, ctx);
	/* RFC 5393 5.3.3: every request that is proxied says how far it may still be forked. */
	proxy_max_breadth_set(ctx, (uint16_t)breadth);
	proxy_branch_set(
		ctx, (uint16_t)s->number, (uint16_t)(t->numbers * TXN_BRANCHES_MAX + l->branches));
	return (struct branch){.number = l->branches,
		.slot = (uint8_t)slot,
		.nth = (uint8_t)nth,
		.on_reply = state->on_reply,
		.on_failure = state->on_failure,
		.breadth = (uint16_t)breadth,
		.branch_flags = ctx->branch_flags,
		.reason = MEMORY_NONE,
		.reply = MEMORY_NONE};
}

int txn_branch_send(struct txn_shard *s, struct place *t, struct route_ctx *ctx, unsigned slot,
	unsigned nth, unsigned breadth)
{
	struct branch b = new_branch(s, t, ctx, slot, nth, breadth), *kept;
	uint64_t room = (uint64_t)ctx->msg.len + TXN_GROWTH + route_ctx_uri(ctx).len +
			ctx->path.len + ctx->edits.text_len;
	bool ours;
	char *out;
	int64_t n;

	if (room > TXN_MESSAGE_MAX)
		room = TXN_MESSAGE_MAX;
	out = txn_write_begin(s, (uint32_t)room, &ours);
	n = proxy_request_write(s->t->proxy, ctx, out, (uint32_t)room, &b.to);
	if (n == -513 && room < TXN_MESSAGE_MAX) {
		txn_write_end(s, ours, 0, &b.to, TXN_SENDS_OWN);
		room = TXN_MESSAGE_MAX;
		out = txn_write_begin(s, (uint32_t)room, &ours);
		n = proxy_request_write(s->t->proxy, ctx, out, (uint32_t)room, &b.to);
	}
	if (n <= 0) {
		txn_write_end(s, ours, 0, &b.to, TXN_SENDS_OWN);
		return n < -99 ? (int)-n : 500;
	}
	b.sent_len = (uint32_t)n;
	if (ours)
		b.flags |= BRANCH_UNSENT;
	kept = add(s, t, &b, out);
	txn_write_end(s, ours, kept != NULL ? b.sent_len : 0, &b.to,
		kept != NULL && !ours ? txn_take_hand(s, TXN_HAND_REQUEST, TXN_SENDS_MESSAGE)
				      : TXN_SENDS_OWN);
	if (kept == NULL)
		return 503;
	start_timers(s, t, kept);
	shard_count(s, TXN_COUNTER_BRANCHES);
	return 0;
}

int txn_branch_hold(struct txn_shard *s, struct place *t, struct route_ctx *ctx, unsigned slot,
	unsigned nth, unsigned breadth)
{
	struct branch b = new_branch(s, t, ctx, slot, nth, breadth);
	int64_t n = proxy_request_write(s->t->proxy, ctx, s->buffer, TXN_MESSAGE_MAX, &b.to);

	if (n <= 0)
		return n < -99 ? (int)-n : 500;
	b.sent_len = (uint32_t)n;
	b.flags |= BRANCH_UNSENT;
	return add(s, t, &b, s->buffer) != NULL ? 0 : 503;
}

void txn_branch_release(struct txn_shard *s, struct place *t, struct branch *b)
{
	/* Where there is no buffer for it now, timer A or E sends it. */
	if (txn_send_in_hand(
		    s, branch_sent(b), b->sent_len, &b->to, TXN_HAND_REQUEST, TXN_SENDS_MESSAGE))
		b->flags &= (uint8_t)~BRANCH_UNSENT;
	start_timers(s, t, b);
	shard_count(s, TXN_COUNTER_BRANCHES);
}

/* The ACK that was kept goes out for the failure in ctx, which came again. */
static void repeat_ack(struct txn_shard *s, struct branch *b, struct route_ctx *ctx)
{
	uint32_t room = echo_length(branch_sent(b)) + TXN_GROWTH;
	struct echo_lines lines;
	bool ours;
	char *out;
	int64_t n;

	if (room > TXN_MESSAGE_MAX)
		room = TXN_MESSAGE_MAX;
	echo_lines_of(&ctx->msg, &lines);
	out = txn_write_begin(s, room, &ours);
	n = echo_unpack(branch_sent(b), b->sent_len, ctx->buf, &lines, out, room);
	txn_write_end(s, ours, n > 0 ? (uint32_t)n : 0, &b->to, TXN_SENDS_OWN);
}

void txn_branch_ack(
	struct txn_shard *s, struct place *t, struct branch **branch, struct route_ctx *ctx)
{
	struct branch *b = *branch, *ack;
	const struct sip_address *to_value = sip_msg_to(&ctx->msg, ctx->buf);
	struct str to = to_value != NULL ? sip_text(ctx->buf, to_value->value) : STR_NONE;
	uint32_t room = b->sent_len + to.len + TXN_GROWTH, chunk, kept = 0;
	struct proxy_out dst = b->to;
	struct echo_lines lines;
	bool ours;
	char *out;
	int64_t n;

	if (b->state == BRANCH_COMPLETED) {
		repeat_ack(s, b, ctx);
		return;
	}
	if (room > TXN_MESSAGE_MAX)
		room = TXN_MESSAGE_MAX;
	out = txn_write_begin(s, room, &ours);
	n = proxy_ack_write(s->t->proxy, str_of(branch_sent(b), b->sent_len), to, out, room);
	b->state = BRANCH_TERMINATED;
	b->retr_at = b->end_at = b->cancel_at = 0;
	if (n > 0) {
		echo_lines_of(&ctx->msg, &lines);
		kept = echo_pack(out, (uint32_t)n, ctx->buf, &lines, s->packed);
	}
	chunk = n > 0 ? memory_get(&s->memory, sizeof(*b) + kept) : MEMORY_NONE;
	if (chunk != MEMORY_NONE) {
		uint32_t old = branch_chunk(s, t, b), *link = branch_link(s, t, b);

		ack = branch_at(s, chunk);
		*ack = *b;
		ack->sent_len = kept;
		memcpy(branch_sent(ack), s->packed, kept);
		ack->state = BRANCH_COMPLETED;
		ack->end_at = time_in(s, txn_place_t1_64(t)); /* D */
		txn_timer_set(s, t, ack->end_at);
		*link = chunk;
		memory_put(&s->memory, old);
		*branch = ack;
	}
	txn_write_end(s, ours, n > 0 ? (uint32_t)n : 0, &dst, TXN_SENDS_OWN);
}

/* ---- timers ---- */

void txn_branch_fail(struct branch *b, uint16_t status, unsigned flags)
{
	b->status = status;
	b->flags |= (uint8_t)(flags | BRANCH_LOCAL);
}

void txn_branch_forget(struct branch *b)
{
	txn_branch_fail(b, 487, 0);
	b->state = BRANCH_TERMINATED;
	b->retr_at = b->end_at = 0;
}

void txn_branch_give_up(struct branch *b)
{
	b->status = b->waits;
	b->waits = 0;
}

void txn_branch_timeout(struct txn_shard *s, struct place *t, struct branch *b)
{
	t->flags |= PLACE_ANY_TIMEOUT;
	shard_count(s, TXN_COUNTER_TIMEOUTS);
	txn_branch_fail(b, 408, BRANCH_TIMEOUT);
	b->retr_at = 0;
	if (t->method == SIP_METHOD_INVITE && b->state == BRANCH_PROCEEDING) {
		/* 16.8: it is over for us, and a CANCEL says so to it. */
		b->end_at = time_in(s, txn_place_t1_64(t));
		txn_timer_set(s, t, b->end_at);
		txn_cancel_branch(s, t, b, 408, STR_NONE);
	} else {
		b->state = BRANCH_TERMINATED;
		b->end_at = b->cancel_at = 0;
	}
}

static void repeat(struct txn_shard *s, struct place *t, struct branch *b)
{
	if (txn_send(s, branch_sent(b), b->sent_len, &b->to))
		b->flags &= (uint8_t)~BRANCH_UNSENT;
	shard_count(s, TXN_COUNTER_RETRANSMITTED);
	if (t->method == SIP_METHOD_INVITE)
		b->interval *= 2; /* A has no bound but B */
	else if (b->state == BRANCH_PROCEEDING || 2 * b->interval > t->t2)
		b->interval = t->t2;
	else
		b->interval *= 2;
	b->retr_at = time_in(s, b->interval);
}

/* B, C, D, F, and a CANCEL that nobody heeded (9.1). */
static void end(struct txn_shard *s, struct place *t, struct branch *b)
{
	bool was_final = branch_is_final(b), unanswered = b->state == BRANCH_CALLING;

	b->end_at = 0;
	if (b->state == BRANCH_COMPLETED) {
		b->state = BRANCH_TERMINATED;
		return;
	}
	if (was_final || b->cancel >= CANCEL_SENT) {
		if (!was_final)
			txn_branch_fail(
				b, (t->flags & PLACE_CANCELLED) != 0 ? 487 : 408, BRANCH_TIMEOUT);
		b->state = BRANCH_TERMINATED;
		b->retr_at = b->cancel_at = 0;
	} else {
		txn_branch_timeout(s, t, b);
	}
	if (!was_final && (!unanswered || txn_relay_failover(s, t, b) == TXN_FAILOVER_NONE))
		txn_response_finish(s, t);
}

void txn_branch_timer(struct txn_shard *s, struct place *t, struct branch *b)
{
	if (time_is_due(s, b->cancel_at))
		txn_cancel_send(s, t, b);
	if (time_is_due(s, b->end_at))
		end(s, t, b);
	else if (time_is_due(s, b->retr_at))
		repeat(s, t, b);
}
