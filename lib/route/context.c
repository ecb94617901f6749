/* SPDX-License-Identifier: BSD-3-Clause */
/* The context of one message: reset, copy to another core, and the text that a run makes. */
#include <emmintrin.h>

#include "route/route.h"

/* Some hundred bytes, at least 16, known at compile time: plain stores, where the compiler would
 * call memset(). The last one may overlap the one before. */
static inline void clear(char *p, size_t len)
{
	const __m128i zero = _mm_setzero_si128();
	char *last = p + len - 16;

#pragma GCC unroll 64
	for (; p < last; p += 16)
		_mm_storeu_si128((__m128i *)(void *)p, zero);
	_mm_storeu_si128((__m128i *)(void *)last, zero);
}

void route_ctx_reset(struct route_ctx *ctx)
{
	/* From `uri` to the end of the scratch rectangles all is small and zero by default. */
	const size_t begin = offsetof(struct route_ctx, uri);
	const size_t end = offsetof(struct route_ctx, pc);

	clear((char *)ctx + begin, end - begin);
	ctx->brought = NULL;
	ctx->du_target.listener = -1;
	ctx->du_target.destination = -1;
	ctx->socket = -1;
	ctx->q = ROUTE_Q_NONE;
	ctx->shard = -1;
	ctx->result.target.listener = -1;
	ctx->result.target.destination = -1;

	ctx->pc = 0;
	ctx->steps = 0;
	ctx->sp = 0;
	ctx->calls = 0;
	ctx->failure = ROUTE_FAILURE_NONE;
	ctx->calling = false;
	ctx->in = 0;
	ctx->rc = 0;
	ctx->stopped_at = 0;
	ctx->wait = ROUTE_TEXT_NONE;
	ctx->wait_for = ROUTE_WAIT_NAME;
	ctx->wait_note = 0;
	ctx->asked = 0;
	ctx->answer = ROUTE_ANSWER_NONE;
	ctx->var_set = 0;
	ctx->text_len = 0;
	sip_edits_reset(&ctx->edits);
}

/* Copies bytes [begin, end) of the two contexts. */
static inline void copy_range(
	struct route_ctx *to, const struct route_ctx *from, size_t begin, size_t end)
{
	memcpy((char *)to + begin, (const char *)from + begin, end - begin);
}

/* Most parts are not in use. */
static inline void copy_used(void *to, const void *from, size_t len)
{
	if (len != 0)
		memcpy(to, from, len);
}

void route_ctx_copy(struct route_ctx *to, const struct route_ctx *from)
{
	copy_range(
		to, from, offsetof(struct route_ctx, origin), offsetof(struct route_ctx, call_pc));
	copy_used(to->call_pc, from->call_pc, from->calls * sizeof(from->call_pc[0]));
	to->var_set = from->var_set;
	if (from->var_set != 0) {
		unsigned used = 64 - (unsigned)__builtin_clzll(from->var_set);

		memcpy(to->var, from->var, used * sizeof(from->var[0]));
	}
	copy_used(to->stack, from->stack, from->sp * sizeof(from->stack[0]));
	copy_used(to->branch, from->branch, from->branches * sizeof(from->branch[0]));
	copy_used(&to->branch[ROUTE_BRANCHES_MAX - from->waiting],
		&from->branch[ROUTE_BRANCHES_MAX - from->waiting],
		from->waiting * sizeof(from->branch[0]));
	copy_used(to->avp, from->avp, from->avps * sizeof(from->avp[0]));

	to->text_len = from->text_len;
	copy_used(to->text, from->text, from->text_len);

	memcpy(&to->msg, &from->msg, offsetof(struct sip_msg, header));
	memcpy(to->msg.header, from->msg.header,
		from->msg.header_count * sizeof(from->msg.header[0]));

	to->edits.count = from->edits.count;
	to->edits.text_len = from->edits.text_len;
	to->edits.overflow = from->edits.overflow;
	copy_used(
		to->edits.edit, from->edits.edit, from->edits.count * sizeof(from->edits.edit[0]));
	copy_used(to->edits.text, from->edits.text, from->edits.text_len);
}

struct str route_text_str(const struct route_ctx *ctx, struct route_text text)
{
	switch (text.space) {
	case ROUTE_SPACE_MSG:
		return str_of(ctx->buf + text.off, text.len);
	case ROUTE_SPACE_ARENA:
		return str_of(ctx->text + text.off, text.len);
	case ROUTE_SPACE_CONST:
		return str_of(route_script_text(ctx->script).s + text.off, text.len);
	default:
		return STR_NONE;
	}
}

struct route_text route_text_join(struct route_ctx *ctx, const struct str *part, unsigned parts)
{
	uint32_t at = ctx->text_len;

	for (unsigned i = 0; i < parts; i++) {
		if (part[i].len > ROUTE_TEXT_MAX - at) {
			ctx->failure = ROUTE_FAILURE_TEXT_FULL;
			return ROUTE_TEXT_NONE;
		}
		if (part[i].len != 0)
			memcpy(ctx->text + at, part[i].s, part[i].len);
		at += part[i].len;
	}
	struct route_text made = {ctx->text_len, at - ctx->text_len, ROUTE_SPACE_ARENA};

	ctx->text_len = at;
	return made;
}

/* URIs, above all, have 17 to 32 bytes: two moves that may overlap. */
static inline void put_text(char *out, struct str s)
{
	char first[16], last[16];

	if (s.len <= 16 || s.len > 32) {
		str_copy(out, s);
		return;
	}
	memcpy(first, s.s, 16);
	memcpy(last, s.s + s.len - 16, 16);
	memcpy(out, first, 16);
	memcpy(out + s.len - 16, last, 16);
}

struct route_text route_text_make(struct route_ctx *ctx, struct str s)
{
	struct route_text made = {ctx->text_len, s.len, ROUTE_SPACE_ARENA};

	if (s.len > ROUTE_TEXT_MAX - ctx->text_len) {
		ctx->failure = ROUTE_FAILURE_TEXT_FULL;
		return ROUTE_TEXT_NONE;
	}
	put_text(ctx->text + ctx->text_len, s);
	ctx->text_len += s.len;
	return made;
}

/* Whether s lies in [base, base + len), and where. Compared as numbers: s may belong to any object.
 */
static inline bool inside(struct str s, const char *base, uint32_t len, uint32_t *off)
{
	uintptr_t p = (uintptr_t)s.s, b = (uintptr_t)base;

	if (base == NULL || p < b || p - b > len || s.len > len - (p - b))
		return false;
	*off = (uint32_t)(p - b);
	return true;
}

struct route_text route_text_keep(struct route_ctx *ctx, struct str s)
{
	uint32_t off;

	if (inside(s, ctx->buf, ctx->msg.len, &off))
		return (struct route_text){off, s.len, ROUTE_SPACE_MSG};
	if (inside(s, ctx->text, ctx->text_len, &off))
		return (struct route_text){off, s.len, ROUTE_SPACE_ARENA};
	if (ctx->script != NULL) {
		struct str constants = route_script_text(ctx->script);

		if (inside(s, constants.s, constants.len, &off))
			return (struct route_text){off, s.len, ROUTE_SPACE_CONST};
	}
	return route_text_make(ctx, s);
}

struct str route_ctx_uri(const struct route_ctx *ctx)
{
	if (ctx->uri.space != ROUTE_SPACE_NONE)
		return route_text_str(ctx, ctx->uri);
	return sip_text(ctx->buf, ctx->msg.uri_text);
}
