/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run waits for, and what becomes of it. */
#include "route/route.h"

static int32_t wait_for(struct route_ctx *ctx, enum route_wait what, struct route_text text)
{
	if (text.space == ROUTE_SPACE_NONE)
		return ROUTE_FALSE;
	ctx->wait = text;
	ctx->wait_for = (uint8_t)what;
	ctx->wait_holds = false;
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

/* ---- rows of no cache ---- */

/* An answer in the arena; the call, and then the rows in its place, stand behind it. */
struct asked {
	struct hash128 key;
	uint32_t before; /* another one's place plus one; 0: none */
	uint32_t len;    /* of the rows */
	uint32_t answer; /* enum route_answer */
};

_Static_assert(sizeof(struct asked) == ROUTE_ASK_BYTES, "what is asked finds its room");

int32_t route_wait_ask(struct route_ctx *ctx, struct hash128 key, struct str call)
{
	struct asked a = {.key = key, .answer = ROUTE_ANSWER_NONE};
	struct str part[] = {{(const char *)&a, sizeof(a)}, call};
	struct route_text text = route_text_join(ctx, part, 2);

	if (text.space == ROUTE_SPACE_NONE)
		return ROUTE_FALSE;
	text.off += sizeof(a);
	text.len = call.len;
	return wait_for(ctx, ROUTE_WAIT_ASK, text);
}

static struct asked asked_at(const struct route_ctx *ctx, uint32_t at)
{
	struct asked a;

	memcpy(&a, ctx->text + at, sizeof(a));
	return a;
}

/* In the place of the call, which is the last text. */
char *route_answer_room(struct route_ctx *ctx, uint32_t *size)
{
	*size = ROUTE_TEXT_MAX - ctx->wait.off;
	return ctx->text + ctx->wait.off;
}

void route_answer_rows(struct route_ctx *ctx, int len)
{
	ctx->wait.len = len > 0 ? (uint32_t)len : 0;
	ctx->text_len = ctx->wait.off + ctx->wait.len;
	ctx->answer = len < 0 ? ROUTE_ANSWER_TOO_LONG : ROUTE_ANSWER_DONE;
}

/* What was waited for last joins the others. */
static void keep_asked(struct route_ctx *ctx)
{
	uint32_t at = ctx->wait.off - (uint32_t)sizeof(struct asked);
	struct asked a = asked_at(ctx, at);

	a.answer = ctx->answer;
	a.len = a.answer == ROUTE_ANSWER_DONE ? ctx->wait.len : 0;
	a.before = ctx->asked;
	memcpy(ctx->text + at, &a, sizeof(a));
	if (a.answer != ROUTE_ANSWER_DONE)
		ctx->text_len = ctx->wait.off;
	ctx->asked = at + 1;
	ctx->answer = ROUTE_ANSWER_NONE;
	ctx->wait = ROUTE_TEXT_NONE;
}

enum route_answer route_asked(struct route_ctx *ctx, struct hash128 key, struct str *rows)
{
	if (ctx->wait_for == ROUTE_WAIT_ASK && ctx->answer != ROUTE_ANSWER_NONE)
		keep_asked(ctx);
	for (uint32_t at = ctx->asked; at != 0;) {
		struct asked a = asked_at(ctx, at - 1);

		if (a.key.lo == key.lo && a.key.hi == key.hi) {
			*rows = str_of(ctx->text + at - 1 + sizeof(a), a.len);
			return (enum route_answer)a.answer;
		}
		at = a.before;
	}
	return ROUTE_ANSWER_NONE;
}

uint32_t route_asked_bytes(const struct route_ctx *ctx)
{
	uint32_t end = ctx->text_len;

	for (uint32_t next = ctx->asked; next != 0;) {
		uint32_t at = next - 1;
		struct asked a = asked_at(ctx, at);

		if (at + sizeof(a) + a.len == end)
			end = at;
		next = a.before;
	}
	return ctx->text_len - end;
}

void route_asked_forget(struct route_ctx *ctx)
{
	ctx->text_len -= route_asked_bytes(ctx);
	ctx->asked = 0;
}

/* ---- what became of it ---- */

enum route_answer route_answer(struct route_ctx *ctx, struct str calls)
{
	if (!str_eq(route_text_str(ctx, ctx->wait), calls))
		return ROUTE_ANSWER_NONE;
	return route_answer_any(ctx, (enum route_wait)ctx->wait_for);
}

int32_t route_wait_turn(struct route_ctx *ctx)
{
	ctx->wait = ROUTE_TEXT_NONE;
	ctx->wait_for = ROUTE_WAIT_TURN;
	ctx->wait_holds = false;
	ctx->answer = ROUTE_ANSWER_NONE;
	return ROUTE_PENDING;
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
