/* SPDX-License-Identifier: BSD-3-Clause */
/* The server side: replies upstream, retransmissions, timers G, H, I, J, L (RFC 3261 17.2, RFC
 * 6026). */
#include <string.h>

#include "txn/internal.h"

/* ---- sending ---- */

char *txn_write_begin(struct txn_shard *s, uint32_t room, bool *ours)
{
	char *out = s->sender.begin(s->sender.arg, room);

	*ours = out == NULL;
	return out != NULL ? out : s->buffer;
}

void txn_write_end(struct txn_shard *s, bool ours, uint32_t len, const struct proxy_out *to,
	enum txn_kind kind)
{
	if (!ours)
		s->sender.end(s->sender.arg, len, to, kind);
}

bool txn_send(struct txn_shard *s, const char *text, uint32_t len, const struct proxy_out *to)
{
	char *out = s->sender.begin(s->sender.arg, len);

	if (out == NULL)
		return false;
	memcpy(out, text, len);
	s->sender.end(s->sender.arg, len, to, TXN_SENDS_OWN);
	return true;
}

bool txn_send_in_hand(struct txn_shard *s, const char *text, uint32_t len,
	const struct proxy_out *to, enum txn_hand hand, enum txn_kind kind)
{
	char *out = s->sender.begin(s->sender.arg, len);

	if (out == NULL)
		return false;
	memcpy(out, text, len);
	s->sender.end(s->sender.arg, len, to, txn_take_hand(s, hand, kind));
	return true;
}

enum txn_kind txn_take_hand(struct txn_shard *s, enum txn_hand hand, enum txn_kind kind)
{
	uint16_t *flags = s->entry.flags;

	if (s->entry.hand != hand || flags == NULL || (*flags & STATE_CARRIED) != 0)
		return TXN_SENDS_OWN;
	*flags |= STATE_CARRIED;
	return kind;
}

/* ---- replies ---- */

void txn_server_final(struct txn_shard *s, struct place *t, uint16_t status)
{
	t->status = status;
	t->retr_at = 0;
	t->flags &= (uint16_t)~PLACE_LATE_TRYING;
	t->end_at = time_in(s, txn_place_t1_64(t));
	/* 16.7: who has been answered has no new branches. */
	BRANCH_FOREACH (s, t, b) {
		if ((b->flags & BRANCH_UNSENT) != 0 && branch_is_alive(b) && !branch_is_final(b))
			txn_branch_forget(b);
	}
	if (t->method != SIP_METHOD_INVITE) {
		t->state = SERVER_COMPLETED;
	} else if (status < 300) {
		t->state = SERVER_ACCEPTED;
		/* 2xx come again from who sent them (RFC 6026 7.1), but for our own. */
		if ((t->flags & PLACE_LOCAL) == 0)
			txn_place_drop_reply(s, t);
	} else {
		t->state = SERVER_COMPLETED;
		t->interval = t->t1;
		t->retr_at = time_in(s, t->t1);
		txn_timer_set(s, t, t->retr_at);
	}
	txn_timer_set(s, t, t->end_at);
}

/* Writes a reply of ours to the request in ctx. Bytes, or not above 0. */
static int64_t write_reply(struct txn_shard *s, struct route_ctx *ctx, uint16_t status,
	struct str reason, char *out, uint32_t room, struct proxy_out *to)
{
	struct route_result before = ctx->result;
	int64_t n;

	proxy_reply_set(ctx, status, reason);
	n = proxy_reply_write(s->t->proxy, ctx, out, room, to);
	ctx->result = before;
	return n;
}

static uint32_t reply_room(const struct route_ctx *ctx, struct str reason)
{
	uint64_t room =
		(uint64_t)ctx->msg.headers_end + TXN_GROWTH + reason.len + ctx->result.headers.len;

	return room < TXN_MESSAGE_MAX ? (uint32_t)room : TXN_MESSAGE_MAX;
}

bool txn_server_reply(struct txn_shard *s, struct place *t, uint16_t status, struct str reason)
{
	struct route_ctx *ctx = txn_place_request(s, t);
	struct proxy_out to;
	uint32_t room;
	bool ours, final = status >= 200;
	int64_t n = -1;
	char *out;

	if (server_is_final(t))
		return false;
	if (ctx != NULL) {
		room = reply_room(ctx, reason);
		out = txn_write_begin(s, room, &ours);
		n = write_reply(s, ctx, status, reason, out, room, &to);
		if (n > 0) {
			txn_reply_to_set(&t->reply_to, &to);
			/* 100 is made again where it is wanted again. */
			if (status != 100)
				txn_place_keep_reply(s, t, out, (uint32_t)n,
					!final ||
						(t->method == SIP_METHOD_INVITE && status >= 300));
		}
		if (final)
			txn_tell(s, t, TXN_EVENT_FINAL, status,
				n > 0 ? str_of(out, (size_t)n) : STR_NONE);
		txn_write_end(s, ours, n > 0 ? (uint32_t)n : 0, &to,
			n > 0 && final && !ours
				? txn_take_hand(s, TXN_HAND_REQUEST, TXN_SENDS_REPLY)
				: TXN_SENDS_OWN);
	}
	if (!final) {
		t->state = SERVER_PROCEEDING;
		t->status = status;
		t->flags &= (uint16_t)~PLACE_LATE_TRYING;
		if (t->method != SIP_METHOD_INVITE)
			t->retr_at = 0;
		if (status == 100)
			t->flags |= PLACE_TRYING_SENT;
		return n > 0;
	}
	t->flags |= PLACE_LOCAL;
	if (t->method == SIP_METHOD_INVITE)
		txn_cancel_branches(s, t, status);
	if (n <= 0)
		txn_place_drop_reply(s, t);
	txn_server_final(s, t, status);
	return n > 0;
}

/* The reply that is kept without what its request brings again. */
static void repeat_echo(struct txn_shard *s, struct place *t, struct route_ctx *ctx)
{
	const char *kept = memory_at(&s->memory, t->reply);
	uint32_t room = echo_length(kept) + TXN_GROWTH;
	struct echo_lines lines;
	struct proxy_out to;
	bool ours;
	char *out;
	int64_t n;

	/* A script may ask for it with a response in hand. */
	if (ctx == NULL || ctx->msg.is_response)
		ctx = txn_place_request(s, t);
	if (ctx == NULL)
		return;
	if (room > TXN_MESSAGE_MAX)
		room = TXN_MESSAGE_MAX;
	echo_lines_of(&ctx->msg, &lines);
	txn_reply_to_get(&t->reply_to, &to);
	out = txn_write_begin(s, room, &ours);
	n = echo_unpack(kept, t->reply_len, ctx->buf, &lines, out, room);
	txn_write_end(s, ours, n > 0 ? (uint32_t)n : 0, &to, TXN_SENDS_OWN);
}

void txn_server_repeat(struct txn_shard *s, struct place *t, struct route_ctx *ctx)
{
	struct proxy_out to;

	if (t->reply != MEMORY_NONE && (t->flags & PLACE_ECHO) != 0) {
		repeat_echo(s, t, ctx);
	} else if (t->reply != MEMORY_NONE) {
		txn_reply_to_get(&t->reply_to, &to);
		txn_send(s, memory_at(&s->memory, t->reply), t->reply_len, &to);
	} else if (t->state == SERVER_PROCEEDING && (t->flags & PLACE_TRYING_SENT) != 0 &&
		   ctx != NULL) {
		uint32_t room = reply_room(ctx, STR_NONE);
		bool ours;
		char *out = txn_write_begin(s, room, &ours);
		int64_t n = write_reply(s, ctx, 100,
			t->method == SIP_METHOD_INVITE ? str_c(t->config->auto_inv_100_reason)
						       : STR_NONE,
			out, room, &to);

		txn_write_end(s, ours, n > 0 ? (uint32_t)n : 0, &to, TXN_SENDS_OWN);
	}
}

/* ---- requests of a transaction that is here ---- */

/* 17.2.1: the ACK to a failure. */
static enum txn_verdict take_ack(struct txn_shard *s, struct place *t)
{
	switch (t->state) {
	case SERVER_ACCEPTED:
		/* An ACK to a 2xx goes end to end, even from who gives it the INVITE's branch. */
		return TXN_NONE;
	case SERVER_COMPLETED:
		t->state = SERVER_CONFIRMED;
		t->retr_at = 0;
		t->end_at = time_in(s, (uint32_t)t->config->wt_timer);
		txn_timer_set(s, t, t->end_at);
		txn_place_drop_reply(s, t);
		break;
	default:
		break;
	}
	shard_count(s, TXN_COUNTER_ABSORBED);
	return TXN_ABSORBED;
}

enum txn_verdict txn_server_take(struct txn_shard *s, struct place *t, struct route_ctx *ctx)
{
	if (t->method == SIP_METHOD_INVITE && ctx->msg.method == SIP_METHOD_ACK)
		return take_ack(s, t);
	if (t->method == SIP_METHOD_INVITE && ctx->msg.method == SIP_METHOD_CANCEL) {
		txn_cancel_take(s, t, ctx);
	} else {
		shard_count(s, TXN_COUNTER_ABSORBED);
		txn_server_repeat(s, t, ctx);
	}
	return s->entry.flags != NULL && (*s->entry.flags & STATE_CARRIED) != 0 ? TXN_SENT
										: TXN_ABSORBED;
}

enum txn_verdict txn_request(struct txn_shard *s, struct route_ctx *ctx, enum txn_reason *reason)
{
	enum txn_verdict verdict;
	struct txn_entry before;
	struct place *t;
	uint16_t flags = 0;

	*reason = TXN_REASON_NONE;
	txn_shard_time(s, s->thread->now_ns);
	t = txn_find_request(s, ctx);
	if (t == NULL)
		return TXN_NONE;
	before = txn_enter(s, TXN_HAND_REQUEST, &flags, NULL);
	verdict = txn_server_take(s, t, ctx);
	txn_place_settle(s, t);
	txn_leave(s, before);
	return verdict;
}

void txn_server_timer(struct txn_shard *s, struct place *t)
{
	if (time_is_due(s, t->retr_at)) {
		if ((t->flags & PLACE_LATE_TRYING) != 0) {
			t->retr_at = 0;
			t->flags &= (uint16_t)~PLACE_LATE_TRYING;
			if (t->state == SERVER_TRYING)
				txn_server_reply(s, t, 100, STR_NONE);
		} else {
			/* Timer G */
			txn_server_repeat(s, t, NULL);
			shard_count(s, TXN_COUNTER_RETRANSMITTED);
			t->interval = 2 * t->interval < t->t2 ? (uint16_t)(2 * t->interval) : t->t2;
			t->retr_at = time_in(s, t->interval);
		}
	}
	if (time_is_due(s, t->end_at)) {
		/* H, I, J, L */
		t->state = SERVER_TERMINATED;
		t->retr_at = t->end_at = 0;
		txn_place_drop_reply(s, t);
	}
}

/* ---- the script's end ---- */

/* What the run made of its context belongs to the transaction from here on. Without room for it
 * there is no way to go on. */
void txn_keep_context(struct txn_shard *s, struct place *t, struct route_ctx *ctx)
{
	if (!txn_place_save(s, t, ctx) && t->saved == MEMORY_NONE) {
		shard_count(s, TXN_COUNTER_REFUSED);
		txn_server_reply(s, t, 503, STR_NONE);
		return;
	}
	/* Where the run had to wait, its branches may have failed meanwhile. */
	txn_response_finish(s, t);
}

/* A run that made a transaction is over: what the client hears if nothing was done. */
static void ended(struct txn_shard *s, struct place *t, struct route_ctx *ctx, bool failed)
{
	const struct txn_state *state = txn_state(ctx);

	t->flags &= (uint16_t)~PLACE_BUSY;
	if (server_is_final(t))
		return;
	txn_relay_without(s, t, ctx);
	if (t->branch != MEMORY_NONE) {
		txn_keep_context(s, t, ctx);
	} else if (!failed && ctx->result.reply && ctx->result.status >= 200) {
		txn_server_reply(s, t, ctx->result.status, route_text_str(ctx, ctx->result.reason));
	} else if (!failed && ((state->flags & STATE_RELEASED) != 0 || ctx->result.drop ||
				      ctx->result.forward)) {
		/* What forward() sends has no transaction: its responses go on without. */
		t->state = SERVER_TERMINATED;
	} else {
		txn_server_reply(s, t, 500, STR_NONE);
	}
}

static enum txn_verdict script_ended(
	struct txn_shard *s, struct route_ctx *ctx, bool failed, enum txn_reason *reason)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_entry before;
	struct place *t;
	enum txn_verdict verdict = TXN_NONE;

	*reason = TXN_REASON_NONE;
	txn_shard_time(s, s->thread->now_ns);
	t = txn_current(s, ctx);
	if (t == NULL && (state->flags & (STATE_FAILOVER | STATE_FAILURE)) != 0)
		return TXN_ABSORBED;
	if (t != NULL && (state->flags & STATE_FAILOVER) != 0) {
		before = txn_enter(s, TXN_HAND_NONE, NULL, NULL);
		txn_relay_failover_goes_on(s, t, ctx, failed);
		txn_place_settle(s, t);
		txn_leave(s, before);
		return TXN_ABSORBED;
	}
	if (t != NULL && (state->flags & STATE_FAILURE) != 0) {
		/* A failure_route that had to wait. */
		before = txn_enter(s, TXN_HAND_NONE, NULL, ctx);
		t->flags &= (uint16_t)~PLACE_BUSY;
		txn_response_failure_done(s, t);
		txn_place_settle(s, t);
		txn_leave(s, before);
		return TXN_ABSORBED;
	}
	if (t != NULL && (t->flags & PLACE_BUSY) != 0) {
		before = txn_enter(s, TXN_HAND_REQUEST, &state->flags, ctx);
		ended(s, t, ctx, failed);
		verdict = t->state == SERVER_TERMINATED && ctx->result.forward ? TXN_NONE
									       : TXN_ABSORBED;
		txn_place_settle(s, t);
		txn_leave(s, before);
	} else if ((state->flags & STATE_ABSORBED) != 0 || state->place != 0) {
		/* Where it had a transaction that was not waiting any more, its client has heard.
		 */
		verdict = TXN_ABSORBED;
	} else if ((state->flags & STATE_DROPPED) != 0) {
		*reason = TXN_REASON_SCRIPT;
		return TXN_DROPPED;
	}
	if (verdict == TXN_ABSORBED && (state->flags & STATE_CARRIED) != 0)
		verdict = TXN_SENT;
	return verdict;
}

enum txn_verdict txn_script_ended(
	struct txn_shard *s, struct route_ctx *ctx, enum txn_reason *reason)
{
	return script_ended(s, ctx, false, reason);
}

void txn_script_waits(struct txn_shard *s, struct route_ctx *ctx)
{
	struct place *t = txn_current(s, ctx);

	/* Without branches nobody answers it, and its run goes on as it would. */
	if (t != NULL && (t->flags & PLACE_BUSY) != 0 && t->branch != MEMORY_NONE &&
		(txn_state(ctx)->flags & STATE_FAILOVER) == 0)
		txn_place_save(s, t, ctx);
}

enum txn_verdict txn_script_failed(
	struct txn_shard *s, struct route_ctx *ctx, enum txn_reason *reason)
{
	return script_ended(s, ctx, true, reason);
}
