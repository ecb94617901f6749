/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Responses (RFC 3261 16.7, 17.1, RFC 6026): what goes upstream at once, what is kept, and which of
 * those that were kept goes in the end.
 */
#include <string.h>

#include "txn/internal.h"

#define NS_PER_MS CLOCK_NS_PER_MS
#define PRIORITY_NONE 100000 /* behind all */

/* ---- the best response ---- */

/* 16.7 step 6, with the numbers of Kamailio: a 6xx, then the lowest class; of 4xx those that say
 * how the request could succeed. The lowest wins. */
static int priority(const struct place *t, const struct branch *b)
{
	static const uint16_t of_class[] = {32000, 11000, 0, 3000, 4000, 5000, 1000};
	static const uint16_t telling[] = {401, 407, 415, 420, 484};
	unsigned status = b->status;
	int value = of_class[status / 100] + (int)(status % 100);

	if (status / 100 == 4) {
		value += 100;
		for (unsigned i = 0; i < sizeof(telling) / sizeof(telling[0]); i++) {
			if (telling[i] == status)
				value = of_class[4] + (int)i;
		}
	}
	return (b->flags & BRANCH_LOCAL) != 0 ? value + (int)t->config->faked_reply_prio : value;
}

struct branch *txn_response_best(struct txn_shard *s, struct place *t)
{
	struct branch *best = NULL;
	int least = PRIORITY_NONE;

	/* The chain begins with the last branch: of equal ones the first that was made wins. */
	BRANCH_FOREACH (s, t, b) {
		if (b->status < 300 || (b->flags & BRANCH_DROPPED) != 0 || priority(t, b) > least)
			continue;
		least = priority(t, b);
		best = b;
	}
	return best;
}

static bool is_challenge(const struct branch *b)
{
	return (b->status == 401 || b->status == 407) && (b->flags & BRANCH_DROPPED) == 0 &&
	       b->reply != MEMORY_NONE;
}

/* Bytes up to and with the end of the line at `s`; folded lines belong to it. */
static uint32_t line_length(struct str s)
{
	uint32_t n = 0;

	while (n + 1 < s.len) {
		if (s.s[n] == '\r' && s.s[n + 1] == '\n') {
			n += 2;
			if (n >= s.len || n == 2 || (s.s[n] != ' ' && s.s[n] != '\t'))
				return n;
		} else {
			n++;
		}
	}
	return s.len;
}

/* Where the headers of a message that we wrote end: the offset of the blank line. */
static uint32_t headers_end(struct str text)
{
	int64_t at = str_find_str(text, STR("\r\n\r\n"));

	return at >= 0 ? (uint32_t)at + 2 : text.len;
}

/* Adds the challenges of one response; returns the new length, or `room` + 1 where they exceed it.
 */
static uint32_t add_challenges(char *out, uint32_t len, uint32_t room, struct str text)
{
	text.len = headers_end(text);
	while (text.len != 0 && len <= room) {
		uint32_t line = line_length(text);
		struct str whole = str_of(text.s, line);

		if (str_istarts(whole, STR("WWW-Authenticate")) ||
			str_istarts(whole, STR("Proxy-Authenticate"))) {
			if (line > room - len)
				return room + 1;
			memcpy(out + len, whole.s, line);
			len += line;
		}
		text.s += line;
		text.len -= line;
	}
	return len;
}

/* 16.7 step 7: all challenges of all branches in one response. 0: it would be too long. */
static uint32_t aggregate(
	struct txn_shard *s, struct place *t, const struct branch *best, char *out, uint32_t room)
{
	struct str text = str_of(memory_at(&s->memory, best->reply), best->reply_len);
	uint32_t end = headers_end(text), len = end;

	if (text.len > room)
		return 0;
	memcpy(out, text.s, end);
	BRANCH_FOREACH (s, t, b) {
		if (b != best && is_challenge(b))
			len = add_challenges(out, len, room,
				str_of(memory_at(&s->memory, b->reply), b->reply_len));
	}
	if (len > room || text.len - end > room - len)
		return 0;
	memcpy(out + len, text.s + end, text.len - end);
	return len + (text.len - end);
}

/* ---- upstream ---- */

static void send_kept(struct txn_shard *s, struct place *t, struct branch *b)
{
	bool invite = t->method == SIP_METHOD_INVITE;
	struct proxy_out to;
	unsigned challenges = 0;
	struct str text;
	uint32_t len = 0;

	if (is_challenge(b) && t->config->aggregate_challenges != 0) {
		BRANCH_FOREACH (s, t, other)
			challenges += is_challenge(other);
	}
	if (challenges > 1)
		len = aggregate(s, t, b, s->buffer, TXN_MESSAGE_MAX);
	text = len != 0 ? str_of(s->buffer, len)
			: str_of(memory_at(&s->memory, b->reply), b->reply_len);
	txn_reply_to_get(&t->reply_to, &to);
	txn_tell(s, t, TXN_EVENT_FINAL, b->status, text);
	if (s->entry.branch == b->number + 1 && len == 0)
		txn_send_in_hand(s, text.s, text.len, &to, TXN_HAND_RESPONSE, TXN_SENDS_MESSAGE);
	else
		txn_send(s, text.s, text.len, &to);
	if (len != 0 || !invite) {
		txn_place_keep_reply(s, t, text.s, text.len, invite);
	} else {
		txn_place_drop_reply(s, t);
		t->reply = b->reply;
		t->reply_len = (uint16_t)b->reply_len;
		t->flags &= (uint16_t)~PLACE_ECHO;
		b->reply = MEMORY_NONE;
	}
	txn_branch_drop_reply(s, b);
	txn_server_final(s, t, b->status);
}

static void send_best(struct txn_shard *s, struct place *t, struct branch *b)
{
	bool local = b == NULL || (b->flags & BRANCH_LOCAL) != 0 || b->reply == MEMORY_NONE;
	uint16_t status = b != NULL ? b->status : 500;
	struct str reason = STR_NONE;

	if (status == 408 && t->method != SIP_METHOD_INVITE) {
		/* RFC 4320 4.2: who asked has given up, too. */
		txn_place_drop_reply(s, t);
		txn_tell(s, t, TXN_EVENT_FINAL, 408, STR_NONE);
		txn_server_final(s, t, 408);
		return;
	}
	if (!local && !(status == 503 && t->config->remap_503_500 != 0)) {
		send_kept(s, t, b);
		return;
	}
	if (local && (t->flags & PLACE_CANCELLED) != 0) {
		status = 487;
	} else if (!local || (status == 503 && t->config->remap_503_500 != 0)) {
		status = 500; /* 16.7 step 6: the overload is not ours */
	} else if (status == 408) {
		status = (uint16_t)t->config->reply_408_code;
		reason = str_c(t->config->reply_408_reason);
	}
	txn_server_reply(s, t, status, reason);
}

/* What failure_reply_mode and t_drop_replies() say of the branches before the last t_relay(). */
static void drop_replies(struct txn_shard *s, struct place *t, bool new_leg)
{
	const struct live *l = place_live(s, t);
	unsigned before = l->branches, from = 0;

	if (l->drop == TXN_DROP_NONE || (l->drop == TXN_DROP_WITH_NEW && !new_leg))
		return;
	if (new_leg)
		before = l->leg;
	if (l->drop == TXN_DROP_LAST_LEG)
		from = new_leg ? l->last_leg : l->leg;
	BRANCH_FOREACH (s, t, b) {
		if (b->number >= from && b->number < before) {
			b->flags |= BRANCH_DROPPED;
			txn_branch_drop_reply(s, b);
		}
	}
}

void txn_response_failure_done(struct txn_shard *s, struct place *t)
{
	struct live *l = place_live(s, t);
	struct route_ctx *ctx = server_is_final(t) ? NULL : txn_place_request(s, t);

	if (ctx != NULL) {
		txn_relay_without(s, t, ctx);
		/* send_reply() in it replies in the transaction; what a t_relay() failed for does
		 * not, as there is a better answer. */
		proxy_target_reset(ctx);
		if (ctx->result.reply)
			txn_server_reply(
				s, t, ctx->result.status, route_text_str(ctx, ctx->result.reason));
	}
	if (server_is_final(t))
		return;
	if (l != NULL)
		drop_replies(s, t, l->branches > l->before_failure);
	if (txn_branch_open(s, t) == 0) {
		send_best(s, t, txn_response_best(s, t));
		return;
	}
	if (ctx != NULL)
		txn_place_save(s, t, ctx);
}

/* What the client would hear, if no failure_route knew better. */
static void tell_failed(struct txn_shard *s, struct place *t, const struct branch *best)
{
	struct str text = best->reply != MEMORY_NONE
				  ? str_of(memory_at(&s->memory, best->reply), best->reply_len)
				  : STR_NONE;
	bool cancelled = text.len == 0 && (t->flags & PLACE_CANCELLED) != 0;

	txn_tell(s, t, TXN_EVENT_FAILED, cancelled ? 487 : best->status, text);
}

void txn_response_finish(struct txn_shard *s, struct place *t)
{
	struct live *l = place_live(s, t);
	struct branch *best;
	unsigned block;

	if (server_is_final(t) || (t->flags & PLACE_BUSY) != 0 || txn_branch_open(s, t) != 0)
		return;
	best = txn_response_best(s, t);
	if (best != NULL)
		tell_failed(s, t, best);
	block = best != NULL && l != NULL ? best->on_failure : 0;
	if (block == 0) {
		send_best(s, t, best);
		return;
	}
	/* Each leg names its failure_route anew. */
	BRANCH_FOREACH (s, t, b)
		b->on_failure = 0;
	/* What it begins is another search, which the next 6xx ends. */
	t->flags &= (uint16_t)~PLACE_6XX_SEEN;
	l->before_failure = l->branches;
	l->drop = (uint8_t)t->config->failure_reply_mode;
	if (txn_route_failure(s, t, best, block - 1) != TXN_RAN_WAITS)
		txn_response_failure_done(s, t);
}

/* ---- a response ---- */

/* What goes upstream at once: the final response, 2xx behind it, early media. */
static void tell_forwarded(
	struct txn_shard *s, struct place *t, const struct route_ctx *ctx, struct str text)
{
	uint16_t status = ctx->msg.status;

	if (status >= 200)
		txn_tell(s, t, txn_event_of_success(s, t), status, text);
	else if (ctx->msg.body_len != 0)
		txn_tell_provisional(s, t, status, text);
}

/* Writes it as it goes upstream and sends it. */
static bool forward(struct txn_shard *s, struct place *t, struct route_ctx *ctx, bool keep)
{
	uint64_t room = (uint64_t)ctx->msg.len + TXN_GROWTH + ctx->edits.text_len;
	struct proxy_out to;
	bool ours;
	char *out;
	int64_t n;

	if (room > TXN_MESSAGE_MAX)
		room = TXN_MESSAGE_MAX;
	out = txn_write_begin(s, (uint32_t)room, &ours);
	n = proxy_response_write(s->t->proxy, ctx, out, (uint32_t)room, &to);
	if (n > 0 && keep) {
		txn_reply_to_set(&t->reply_to, &to);
		txn_place_keep_reply(s, t, out, (uint32_t)n, ctx->msg.status < 200);
	}
	if (n > 0)
		tell_forwarded(s, t, ctx, str_of(out, (size_t)n));
	txn_write_end(s, ours, n > 0 ? (uint32_t)n : 0, &to,
		n > 0 && !ours ? txn_take_hand(s, TXN_HAND_RESPONSE, TXN_SENDS_MESSAGE)
			       : TXN_SENDS_OWN);
	return n > 0;
}

/* The same, kept with its branch until it is chosen. */
static void keep_failure(
	struct txn_shard *s, struct place *t, struct branch *b, struct route_ctx *ctx)
{
	struct proxy_out to;
	int64_t n = proxy_response_write(s->t->proxy, ctx, s->buffer, TXN_MESSAGE_MAX, &to);

	if (n <= 0)
		return;
	txn_branch_drop_reply(s, b);
	b->reply = memory_get(&s->memory, (uint64_t)n);
	if (b->reply == MEMORY_NONE)
		return;
	b->reply_len = (uint32_t)n;
	memcpy(memory_at(&s->memory, b->reply), s->buffer, (size_t)n);
	txn_reply_to_set(&t->reply_to, &to);
}

/* 16.7 step 2: Timer C begins with the first provisional response, as fr_inv_timer does, and anew
 * with the others, but for 100. */
static void restart_timer_c(struct txn_shard *s, struct place *t, struct branch *b, uint16_t status)
{
	const struct live *l = place_live(s, t);
	bool first = b->state == BRANCH_CALLING;

	if (l == NULL || b->cancel >= CANCEL_SENT || branch_is_final(b))
		return;
	if (!first && (status == 100 || (t->config->restart_fr_on_each_reply == 0 &&
						(status < 180 || status <= b->provisional))))
		return;
	b->end_at = time_in(s, l->fr_inv);
	txn_timer_set(s, t, b->end_at);
}

static enum txn_verdict provisional(struct txn_shard *s, struct place *t, struct branch *b,
	struct route_ctx *ctx, enum txn_ran ran, enum txn_reason *reason)
{
	uint16_t status = ctx->msg.status;

	if (b->state > BRANCH_PROCEEDING)
		return TXN_ABSORBED;
	if (t->method == SIP_METHOD_INVITE) {
		b->retr_at = 0;
		restart_timer_c(s, t, b, status);
	}
	b->state = BRANCH_PROCEEDING;
	if (status > b->provisional)
		b->provisional = status;
	if (b->cancel == CANCEL_HELD)
		txn_cancel_send(s, t, b);
	if (ran == TXN_RAN_DROP) {
		*reason = TXN_REASON_SCRIPT;
		return TXN_DROPPED;
	}
	/* RFC 4320 4.1: others than 100 are for INVITE only. */
	if (status == 100 || t->method != SIP_METHOD_INVITE || server_is_final(t) ||
		branch_is_final(b))
		return TXN_ABSORBED;
	t->state = SERVER_PROCEEDING;
	t->status = status;
	if (forward(s, t, ctx, true))
		return TXN_SENT;
	*reason = TXN_REASON_WRITE;
	return TXN_DROPPED;
}

static enum txn_verdict success(struct txn_shard *s, struct place *t, struct branch *b,
	struct route_ctx *ctx, enum txn_reason *reason)
{
	bool invite = t->method == SIP_METHOD_INVITE, was_final = server_is_final(t);
	uint16_t status = ctx->msg.status;

	/* One that has failed before keeps its ACK for the failure's retransmissions. */
	if (b != NULL && b->state != BRANCH_COMPLETED) {
		b->status = status;
		b->flags &= (uint8_t)~BRANCH_LOCAL;
		b->state = BRANCH_TERMINATED;
		b->retr_at = b->end_at = b->cancel_at = 0;
		t->on_reply = b->on_reply;
		if (invite)
			t->branch_flags = b->branch_flags;
	}
	if (was_final && !invite)
		return TXN_ABSORBED;
	/* 16.7 step 5: every 2xx to an INVITE goes upstream, late and again. */
	if (!forward(s, t, ctx, !invite)) {
		*reason = TXN_REASON_WRITE;
		if (!was_final)
			txn_server_reply(s, t, 500, STR_NONE);
		return TXN_DROPPED;
	}
	if (!was_final) {
		txn_server_final(s, t, status);
		if (invite)
			txn_cancel_branches(s, t, status);
	}
	return TXN_SENT;
}

/* Codes of failover_reply_codes: "code=403;class=5". */
static bool listed(const char *codes, uint16_t status)
{
	struct str rest = str_c(codes);

	while (rest.len != 0) {
		int64_t end = str_find(rest, ';');
		struct str one = str_trim(str_of(rest.s, end >= 0 ? (size_t)end : rest.len));
		uint32_t value = 0;

		if (str_istarts(one, STR("code=")) &&
			str_to_u32(str_of(one.s + 5, one.len - 5), 699, &value) == 0 &&
			value == status)
			return true;
		if (str_istarts(one, STR("class=")) &&
			str_to_u32(str_of(one.s + 6, one.len - 6), 6, &value) == 0 &&
			value == status / 100u)
			return true;
		if (end < 0)
			break;
		rest.s += end + 1;
		rest.len -= (uint32_t)end + 1;
	}
	return false;
}

static void failure(struct txn_shard *s, struct place *t, struct branch *b, struct route_ctx *ctx)
{
	uint16_t status = ctx->msg.status;
	bool was_final = branch_is_final(b) || b->waits != 0;
	enum txn_failover elsewhere = TXN_FAILOVER_NONE;

	if (t->method == SIP_METHOD_INVITE) {
		txn_branch_ack(s, t, &b, ctx);
	} else {
		b->state = BRANCH_TERMINATED;
		b->retr_at = b->end_at = b->cancel_at = 0;
	}
	if (was_final || server_is_final(t))
		return;
	b->status = status;
	if (status == 503 || listed(t->config->failover_reply_codes, status))
		elsewhere = txn_relay_failover(s, t, b);
	if (elsewhere == TXN_FAILOVER_SENT)
		return;
	keep_failure(s, t, b, ctx);
	if (elsewhere == TXN_FAILOVER_WAITS)
		return;
	if (status >= 600 && (t->flags & (PLACE_NO_6XX | PLACE_6XX_SEEN)) == 0) {
		t->flags |= PLACE_6XX_SEEN;
		txn_cancel_branches(s, t, status);
	}
	s->entry.branch = (uint8_t)(b->number + 1);
	txn_response_finish(s, t);
}

/* A response to our CANCEL; the INVITE's own final response still comes. */
static enum txn_verdict of_cancel(struct branch *b, uint16_t status)
{
	if (b != NULL && b->cancel == CANCEL_SENT && status >= 200) {
		b->cancel = CANCEL_ANSWERED;
		b->cancel_at = 0;
	}
	return TXN_ABSORBED;
}

static enum txn_verdict take(struct txn_shard *s, struct place *t, const struct proxy_branch *at,
	struct route_ctx *ctx, enum txn_reason *reason)
{
	struct branch *b = txn_branch_find(s, t, at->branch);
	uint16_t status = ctx->msg.status;
	bool invite = t->method == SIP_METHOD_INVITE, late;
	enum txn_ran ran;

	if (invite && ctx->msg.cseq_method == SIP_METHOD_CANCEL)
		return of_cancel(b, status);
	/* What was answered in full already hears no more, 2xx to INVITE apart. */
	late = b == NULL || b->state > BRANCH_PROCEEDING;
	if (late && !(invite && status >= 200 && status < 300)) {
		if (b != NULL && invite && status >= 300)
			failure(s, t, b, ctx);
		shard_count(s, TXN_COUNTER_ABSORBED);
		return TXN_ABSORBED;
	}
	if (b != NULL)
		b->flags |= BRANCH_REPLIED;
	t->flags |= PLACE_ANY_REPLIED;
	ran = txn_route_reply(s, t, b, ctx);
	if (ran == TXN_RAN_FATAL_DROP) {
		*reason = TXN_REASON_SCRIPT;
		return TXN_DROPPED;
	}
	/* The route may have replied, and so on: nothing is as it was. */
	b = txn_branch_find(s, t, at->branch);
	if (status < 200)
		return b != NULL ? provisional(s, t, b, ctx, ran, reason) : TXN_ABSORBED;
	if (status < 300)
		return success(s, t, b, ctx, reason);
	if (b != NULL)
		failure(s, t, b, ctx);
	return s->entry.flags != NULL && (*s->entry.flags & STATE_CARRIED) != 0 ? TXN_SENT
										: TXN_ABSORBED;
}

/* A response to nothing here: to a transaction of the process before this one it goes on (16.11);
 * else nowhere (RFC 6026 7.2). */
static enum txn_verdict stray(const struct txn_shard *s, enum txn_reason *reason)
{
	if (s->thread->now_ns < s->t->started_ns + TXN_STRAY_MS * NS_PER_MS)
		return TXN_NONE;
	*reason = TXN_REASON_STRAY;
	return TXN_DROPPED;
}

enum txn_verdict txn_response(struct txn_shard *s, struct route_ctx *ctx, enum txn_reason *reason)
{
	enum txn_verdict verdict;
	struct txn_entry before;
	struct proxy_branch at;
	uint16_t flags = 0;
	struct place *t;

	*reason = TXN_REASON_NONE;
	if (!proxy_response_branch(ctx, &at))
		return TXN_NONE;
	txn_shard_time(s, s->thread->now_ns);
	t = txn_find_response(s, ctx, &at);
	if (t == NULL)
		return stray(s, reason);
	before = txn_enter(s, TXN_HAND_RESPONSE, &flags, NULL);
	verdict = take(s, t, &at, ctx, reason);
	txn_place_settle(s, t);
	txn_leave(s, before);
	return verdict;
}
