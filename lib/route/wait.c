/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run waits for, and what becomes of it. */
#include "route/route.h"

static int32_t wait_for(struct route_ctx *ctx, enum route_wait what, struct route_text text)
{
	if (text.space == ROUTE_SPACE_NONE)
		return ROUTE_FALSE;
	ctx->wait = text;
	ctx->wait_for = (uint8_t)what;
	ctx->answer = ROUTE_ANSWER_NONE;
	return ROUTE_PENDING;
}

int32_t route_wait_name(struct route_ctx *ctx, struct str host, uint8_t kind)
{
	ctx->wait_kind = kind;
	/* Where it is the script's own text, the resolver is to know. */
	return wait_for(ctx, ROUTE_WAIT_NAME, route_text_keep(ctx, host));
}

/* A copy, even of what stands in the arena already: it is given back when it has been answered. */
int32_t route_wait_rows(struct route_ctx *ctx, struct str call)
{
	return wait_for(ctx, ROUTE_WAIT_ROWS, route_text_make(ctx, call));
}

int32_t route_wait_anew(struct route_ctx *ctx, struct str call)
{
	return wait_for(ctx, ROUTE_WAIT_ANEW, route_text_make(ctx, call));
}

int32_t route_wait_change(struct route_ctx *ctx, struct str calls)
{
	return wait_for(ctx, ROUTE_WAIT_CHANGE, route_text_make(ctx, calls));
}

enum route_answer route_answer(struct route_ctx *ctx, struct str calls)
{
	if (!str_eq(route_text_str(ctx, ctx->wait), calls))
		return ROUTE_ANSWER_NONE;
	return route_answer_any(ctx, (enum route_wait)ctx->wait_for);
}

enum route_answer route_answer_any(struct route_ctx *ctx, enum route_wait what)
{
	enum route_answer answer = (enum route_answer)ctx->answer;

	if (answer == ROUTE_ANSWER_NONE || what == ROUTE_WAIT_NAME || ctx->wait_for != what)
		return ROUTE_ANSWER_NONE;
	ctx->answer = ROUTE_ANSWER_NONE;
	/* A script that waits often shall not fill the arena with what it has waited for. */
	if (ctx->wait.off + ctx->wait.len == ctx->text_len)
		ctx->text_len = ctx->wait.off;
	ctx->wait = ROUTE_TEXT_NONE;
	return answer;
}

void route_answer_set(struct route_ctx *ctx, enum route_answer answer)
{
	ctx->answer = (uint8_t)answer;
}

enum route_verdict route_resume_without(struct route_ctx *ctx, enum route_verdict verdict)
{
	while (verdict == ROUTE_WAIT && ctx->wait_for != ROUTE_WAIT_NAME) {
		route_answer_set(ctx, ROUTE_ANSWER_FAILED);
		verdict = route_resume(ctx);
	}
	return verdict;
}
