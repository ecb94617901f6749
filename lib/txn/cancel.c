/* SPDX-License-Identifier: BSD-3-Clause */
/* CANCEL: of the client (RFC 3261 9.2, 16.10), and ours to branches (9.1), with their Reason (RFC
 * 3326). */
#include <stdio.h>
#include <string.h>

#include "txn/internal.h"

/* The Reason of a CANCEL of ours. */
static struct str reason_lines(
	struct txn_shard *s, const struct place *t, const struct branch *b, char own[96])
{
	int n;

	if (b->reason != MEMORY_NONE)
		return str_of(memory_at(&s->memory, b->reason), b->reason_len);
	if (b->cause == 0 || t->config->local_cancel_reason == 0)
		return STR_NONE;
	n = snprintf(own, 96, "Reason: SIP;cause=%u%s\r\n", b->cause,
		b->cause / 100 == 2 ? ";text=\"Call completed elsewhere\"" : "");
	return str_of(own, (size_t)n);
}

void txn_cancel_send(struct txn_shard *s, struct place *t, struct branch *b)
{
	uint32_t room = b->sent_len + TXN_GROWTH + TXN_REASON_LINES;
	bool ours, first = b->cancel != CANCEL_SENT;
	char own[96], *out;
	int64_t n;

	if (room > TXN_MESSAGE_MAX)
		room = TXN_MESSAGE_MAX;
	out = txn_write_begin(s, room, &ours);
	n = proxy_cancel_write(s->t->proxy, str_of(branch_sent(b), b->sent_len),
		reason_lines(s, t, b, own), out, room);
	txn_write_end(s, ours, n > 0 ? (uint32_t)n : 0, &b->to, TXN_SENDS_OWN);
	if (first) {
		shard_count(s, TXN_COUNTER_CANCELLED);
		b->cancel_interval = t->t1;
		/* 9.1: where no final response comes in this time, none will. */
		b->end_at = time_in(s, txn_place_t1_64(t));
		txn_timer_set(s, t, b->end_at);
	} else {
		shard_count(s, TXN_COUNTER_RETRANSMITTED);
		b->cancel_interval =
			2 * b->cancel_interval < t->t2 ? 2 * b->cancel_interval : t->t2;
	}
	b->cancel = CANCEL_SENT;
	b->cancel_at = time_in(s, b->cancel_interval);
	txn_timer_set(s, t, b->cancel_at);
}

void txn_cancel_branch(
	struct txn_shard *s, struct place *t, struct branch *b, unsigned cause, struct str lines)
{
	if (b->waits != 0) {
		txn_branch_give_up(b);
		return;
	}
	if (b->cancel != CANCEL_NONE || b->state > BRANCH_PROCEEDING)
		return;
	if ((b->flags & BRANCH_UNSENT) != 0) {
		txn_branch_forget(b);
		return;
	}
	b->cause = (uint16_t)cause;
	if (lines.len != 0) {
		b->reason = memory_get(&s->memory, lines.len);
		if (b->reason != MEMORY_NONE) {
			memcpy(memory_at(&s->memory, b->reason), lines.s, lines.len);
			b->reason_len = lines.len;
		}
	}
	if (b->state == BRANCH_PROCEEDING)
		txn_cancel_send(s, t, b);
	else
		b->cancel = CANCEL_HELD;
}

void txn_cancel_branches(struct txn_shard *s, struct place *t, unsigned cause)
{
	BRANCH_FOREACH (s, t, b) {
		if (!branch_is_final(b))
			txn_cancel_branch(s, t, b, cause, STR_NONE);
	}
}

/* The Reason lines of the client's CANCEL, as they came. */
static struct str client_lines(
	const struct place *t, const struct route_ctx *ctx, char out[TXN_REASON_LINES])
{
	uint32_t len = 0;

	if ((t->flags & PLACE_NO_REASON) != 0)
		return STR_NONE;
	SIP_MSG_FOREACH (&ctx->msg, SIP_HEADER_REASON, h) {
		uint32_t line = sip_msg_line_end(&ctx->msg, h) - h->name;

		/* What exceeds it would be a part of the truth: none of it goes on. */
		if (line > TXN_REASON_LINES - len)
			return STR_NONE;
		memcpy(out + len, ctx->buf + h->name, line);
		len += line;
	}
	return str_of(out, len);
}

/* 9.2: 200 to the CANCEL, with the To tag that our replies to its INVITE have: both come from the
 * transaction key. */
static void answer(struct txn_shard *s, struct route_ctx *ctx)
{
	uint32_t room = ctx->msg.headers_end + TXN_GROWTH;
	struct route_result before = ctx->result;
	struct proxy_out to;
	bool ours;
	char *out = txn_write_begin(s, room, &ours);
	int64_t n;

	proxy_reply_set(ctx, 200, STR("canceling"));
	n = proxy_reply_write(s->t->proxy, ctx, out, room, &to);
	ctx->result = before;
	txn_write_end(s, ours, n > 0 ? (uint32_t)n : 0, &to,
		n > 0 && !ours ? txn_take_hand(s, TXN_HAND_REQUEST, TXN_SENDS_REPLY)
			       : TXN_SENDS_OWN);
}

void txn_cancel_take(struct txn_shard *s, struct place *t, struct route_ctx *ctx)
{
	char lines[TXN_REASON_LINES];

	answer(s, ctx);
	if (server_is_final(t))
		return;
	if ((t->flags & PLACE_CANCELLED) == 0)
		txn_tell(s, t, TXN_EVENT_CANCELLED, 200, STR_NONE);
	t->flags |= PLACE_CANCELLED;
	BRANCH_FOREACH (s, t, b) {
		if (!branch_is_final(b))
			txn_cancel_branch(s, t, b, 0, client_lines(t, ctx, lines));
	}
	/* Where nothing is under way nobody else would say it. */
	if (txn_branch_open(s, t) == 0)
		txn_server_reply(s, t, 487, STR_NONE);
}
