/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of the script that a transaction runs: over responses, for each branch, and when all have
 * failed. */
#include <string.h>

#include "txn/internal.h"

/* "SIP/2.0 486 " */
#define STATUS_LINE_REASON 12

static void enter_state(
	struct txn_shard *s, const struct place *t, const struct branch *b, struct route_ctx *ctx)
{
	struct txn_state *state = txn_state(ctx);

	state->place = place_number(s, t) + 1;
	state->serial = t->serial;
	state->shard = (uint16_t)s->number;
	state->branch = b != NULL ? b->number : 0;
	state->branch_flags = b != NULL ? b->flags : 0;
	state->status = ctx->msg.is_response ? ctx->msg.status : b != NULL ? b->status : 0;
}

/* The result stays what the response's receipt made it; only `drop` is the block's. */
static bool run_over_response(struct route_ctx *ctx, uint32_t block)
{
	struct route_result before = ctx->result;
	bool drop;

	route_resume_without(ctx, route_run_block(ctx, block, ROUTE_IN_REPLY));
	drop = ctx->result.drop;
	ctx->result = before;
	return drop;
}

/* onreply_route[n] sees, and changes, what the transaction has. */
static bool run_onreply(struct txn_shard *s, struct place *t, struct route_ctx *ctx, uint32_t block)
{
	struct live *l = place_live(s, t);
	uint32_t size, chunk;
	struct str request;
	bool drop;

	if (t->saved == MEMORY_NONE)
		return run_over_response(ctx, block);
	request = l != NULL ? str_of(live_text(l), l->text_len) : STR_NONE;
	if ((t->flags & PLACE_SHARED) != 0 &&
		!route_ctx_load_shared(ctx, memory_at(&s->memory, t->saved), request))
		return run_over_response(ctx, block);
	drop = run_over_response(ctx, block);
	/* Before a provisional response starts fr_inv_timer. */
	if (l != NULL)
		txn_place_fr(t, l, ctx);
	if ((t->flags & PLACE_SHARED) == 0 && ctx->avps == 0 && ctx->flags == 0)
		return drop;
	size = route_ctx_update_size(ctx, memory_at(&s->memory, t->saved), request);
	chunk = size != 0 ? memory_get(&s->memory, size) : MEMORY_NONE;
	if (chunk != MEMORY_NONE) {
		route_ctx_update(ctx, memory_at(&s->memory, t->saved), request,
			memory_at(&s->memory, chunk));
		memory_put(&s->memory, t->saved);
		t->saved = chunk;
		if (l != NULL) {
			l->saved_len = size;
			l->flags = ctx->flags;
		}
		t->flags |= PLACE_SHARED;
	}
	return drop;
}

enum txn_ran txn_route_reply(
	struct txn_shard *s, struct place *t, const struct branch *b, struct route_ctx *ctx)
{
	unsigned block = b != NULL ? b->on_reply : t->on_reply;

	/* All blocks are of the script that the request met. */
	ctx->script = t->script;
	enter_state(s, t, b, ctx);
	if (b != NULL)
		ctx->branch_flags = b->branch_flags;
	else if (t->method == SIP_METHOD_INVITE)
		ctx->branch_flags = t->branch_flags;
	if (route_script_has_reply_route(t->script)) {
		route_resume_without(ctx, route_run(ctx));
		if (ctx->result.drop)
			return TXN_RAN_FATAL_DROP;
	}
	if (block == 0)
		return TXN_RAN;
	return run_onreply(s, t, ctx, block - 1) ? TXN_RAN_DROP : TXN_RAN;
}

enum txn_ran txn_route_branch(
	struct txn_shard *s, struct route_ctx *ctx, unsigned block, unsigned number)
{
	struct txn_state *state = txn_state(ctx);
	struct route_result before = ctx->result;
	enum route_verdict verdict;
	bool drop;

	state->branch = (uint8_t)number;
	ctx->result.drop = false;
	verdict = route_run_block(ctx, block, ROUTE_IN_BRANCH);
	drop = ctx->result.drop || verdict == ROUTE_FAILED;
	before.headers = ctx->result.headers;
	ctx->result = before;
	if (verdict == ROUTE_WAIT)
		return TXN_RAN_WAITS;
	return drop ? TXN_RAN_DROP : TXN_RAN;
}

/* $rs and $rr: of the response that would go to the client. */
static void tell_reply(struct txn_shard *s, const struct place *t, const struct branch *best,
	struct route_ctx *ctx)
{
	struct str line = best->reply != MEMORY_NONE
				  ? str_of(memory_at(&s->memory, best->reply), best->reply_len)
				  : STR_NONE;
	const char *end = line.len != 0 ? memchr(line.s, '\r', line.len) : NULL;

	ctx->reply_status = best->status;
	ctx->reply_reason = ROUTE_TEXT_NONE;
	if (end != NULL && end - line.s > STATUS_LINE_REASON)
		ctx->reply_reason =
			route_text_make(ctx, str_of(line.s + STATUS_LINE_REASON,
						     (size_t)(end - line.s) - STATUS_LINE_REASON));
	else if (best->status == 408)
		ctx->reply_reason = route_text_keep(ctx, str_c(t->config->reply_408_reason));
}

enum txn_ran txn_route_failure(
	struct txn_shard *s, struct place *t, const struct branch *best, unsigned block)
{
	struct route_ctx *ctx = txn_place_request(s, t);
	struct txn_state *state;

	if (ctx == NULL)
		return TXN_RAN;
	state = txn_state(ctx);
	enter_state(s, t, best, ctx);
	tell_reply(s, t, best, ctx);
	/* What an earlier failure_route changed of the message was for its own t_relay(). */
	if (state->lumps != 0 && state->lumps <= ctx->edits.count) {
		ctx->edits.count = (uint16_t)(state->lumps - 1);
		ctx->edits.text_len = state->lumps_text;
	}
	state->flags |= STATE_FAILURE;
	state->on_failure = state->on_branch = 0;
	state->plan.slot = 0;
	ctx->branch_flags = best->branch_flags;
	ctx->branches = 0;
	ctx->uri_spent = true;
	if (route_run_block(ctx, block, ROUTE_IN_FAILURE) != ROUTE_WAIT)
		return TXN_RAN;
	/* It carries no frames: the response that led here is kept, and counted so. */
	if (!s->sender.park(s->sender.arg, ctx)) {
		if (ctx->wait_holds)
			route_resume_without(ctx, ROUTE_WAIT);
		return TXN_RAN;
	}
	t->flags |= PLACE_BUSY;
	/* A CANCEL or a late 2xx may end it first: what the block has said until now counts. */
	txn_place_save(s, t, ctx);
	s->entry.loaded = 0; /* what stands in `work` is not what goes on */
	return TXN_RAN_WAITS;
}
