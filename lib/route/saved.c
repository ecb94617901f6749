/* SPDX-License-Identifier: BSD-3-Clause */
/* A context packed into what its transaction keeps, and unpacked again. */
#include "route/route.h"

/* What stands in front; behind it, in this order: the plain fields, the scratch rectangles that are
 * in use, the variables that were written, branches, waiting contacts, AVPs, edits, their text, the
 * arena. */
struct head {
	uint32_t bytes, text_len;
	uint64_t var_set;
	uint16_t edits, edit_text;
	uint8_t scratches; /* bit n: scratch[n] is in use */
	uint8_t branches, waiting, avps;
	bool edits_overflow;
};

#define PLAIN offsetof(struct route_ctx, origin)
#define PLAIN_BYTES (offsetof(struct route_ctx, scratch) - PLAIN)

/* Where the parts of something packed begin. */
struct parts {
	struct head head;
	uint32_t plain, scratch, var, branch, waiting, avp, edit, edit_text, text, end;
};

static void find_parts(struct parts *p)
{
	const struct head *h = &p->head;

	p->plain = sizeof(struct head);
	p->scratch = p->plain + PLAIN_BYTES;
	p->var = p->scratch + (uint32_t)__builtin_popcount(h->scratches) * ROUTE_SCRATCH_BYTES;
	p->branch = p->var + (uint32_t)__builtin_popcountll(h->var_set) *
				     (uint32_t)sizeof(struct route_cell);
	p->waiting = p->branch + h->branches * (uint32_t)sizeof(struct route_branch);
	p->avp = p->waiting + h->waiting * (uint32_t)sizeof(struct route_branch);
	p->edit = p->avp + h->avps * (uint32_t)sizeof(struct route_avp);
	p->edit_text = p->edit + h->edits * (uint32_t)sizeof(struct sip_edit);
	p->text = p->edit_text + h->edit_text;
	p->end = p->text + h->text_len;
	p->head.bytes = p->end;
}

static bool is_zero(const uint8_t *rectangle)
{
	uint64_t any = 0, word;

	for (unsigned i = 0; i < ROUTE_SCRATCH_BYTES; i += sizeof(word)) {
		memcpy(&word, rectangle + i, sizeof(word));
		any |= word;
	}
	return any == 0;
}

static void parts_of_ctx(const struct route_ctx *ctx, struct parts *p)
{
	p->head = (struct head){.text_len = ctx->text_len,
		.var_set = ctx->var_set,
		.edits = ctx->edits.count,
		.edit_text = ctx->edits.text_len,
		.edits_overflow = ctx->edits.overflow,
		.branches = ctx->branches,
		.waiting = ctx->waiting,
		.avps = ctx->avps};
	for (unsigned i = 0; i < ROUTE_SCRATCH_COUNT; i++) {
		if (!is_zero(ctx->scratch[i]))
			p->head.scratches |= (uint8_t)(1u << i);
	}
	find_parts(p);
}

static void parts_of_saved(const void *saved, struct parts *p)
{
	memcpy(&p->head, saved, sizeof(p->head));
	find_parts(p);
}

uint32_t route_ctx_saved_size(const struct route_ctx *ctx)
{
	struct parts p;

	parts_of_ctx(ctx, &p);
	return p.end;
}

/* Copies `len` bytes to `to + at`; nothing to copy from is no pointer to look at. */
static void put(char *to, uint32_t at, const void *from, size_t len)
{
	if (len > 0)
		memcpy(to + at, from, len);
}

void route_ctx_save(const struct route_ctx *ctx, void *out)
{
	struct parts p;
	char *to = out;
	uint32_t at;

	parts_of_ctx(ctx, &p);
	put(to, 0, &p.head, sizeof(p.head));
	put(to, p.plain, (const char *)ctx + PLAIN, PLAIN_BYTES);
	at = p.scratch;
	for (unsigned i = 0; i < ROUTE_SCRATCH_COUNT; i++) {
		if ((p.head.scratches >> i & 1) != 0) {
			put(to, at, ctx->scratch[i], ROUTE_SCRATCH_BYTES);
			at += ROUTE_SCRATCH_BYTES;
		}
	}
	for (uint64_t left = ctx->var_set; left != 0; left &= left - 1) {
		put(to, at, &ctx->var[__builtin_ctzll(left)], sizeof(ctx->var[0]));
		at += (uint32_t)sizeof(ctx->var[0]);
	}
	put(to, p.branch, ctx->branch, p.waiting - p.branch);
	put(to, p.waiting, &ctx->branch[ROUTE_BRANCHES_MAX - ctx->waiting], p.avp - p.waiting);
	put(to, p.avp, ctx->avp, p.edit - p.avp);
	put(to, p.edit, ctx->edits.edit, p.edit_text - p.edit);
	put(to, p.edit_text, ctx->edits.text, p.text - p.edit_text);
	put(to, p.text, ctx->text, p.end - p.text);
}

void route_ctx_load(struct route_ctx *ctx, const void *saved)
{
	const char *from = saved;
	struct parts p;
	uint32_t at;

	parts_of_saved(saved, &p);
	route_ctx_reset(ctx);
	memcpy((char *)ctx + PLAIN, from + p.plain, PLAIN_BYTES);
	at = p.scratch;
	for (unsigned i = 0; i < ROUTE_SCRATCH_COUNT; i++) {
		if ((p.head.scratches >> i & 1) != 0) {
			memcpy(ctx->scratch[i], from + at, ROUTE_SCRATCH_BYTES);
			at += ROUTE_SCRATCH_BYTES;
		}
	}
	ctx->var_set = p.head.var_set;
	for (uint64_t left = ctx->var_set; left != 0; left &= left - 1) {
		memcpy(&ctx->var[__builtin_ctzll(left)], from + at, sizeof(ctx->var[0]));
		at += (uint32_t)sizeof(ctx->var[0]);
	}
	memcpy(ctx->branch, from + p.branch, p.waiting - p.branch);
	memcpy(&ctx->branch[ROUTE_BRANCHES_MAX - p.head.waiting], from + p.waiting,
		p.avp - p.waiting);
	memcpy(ctx->avp, from + p.avp, p.edit - p.avp);
	ctx->edits.count = p.head.edits;
	ctx->edits.text_len = p.head.edit_text;
	ctx->edits.overflow = p.head.edits_overflow;
	memcpy(ctx->edits.edit, from + p.edit, p.edit_text - p.edit);
	memcpy(ctx->edits.text, from + p.edit_text, p.text - p.edit_text);
	ctx->text_len = p.head.text_len;
	memcpy(ctx->text, from + p.text, p.head.text_len);
}

/* ---- what belongs to the transaction ---- */

/* A field of the plain part. */
static void *plain_field(const void *saved, const struct parts *p, size_t offset)
{
	return (char *)(uintptr_t)saved + p->plain + (offset - PLAIN);
}

/* A saved text in this context's arena; what is the script's stays where it is. */
static bool take_text(struct route_ctx *ctx, const char *saved, const struct parts *p,
	struct str request, struct route_text *text)
{
	const char *base = text->space == ROUTE_SPACE_ARENA ? saved + p->text : request.s;
	uint32_t len = text->space == ROUTE_SPACE_ARENA ? p->head.text_len : request.len;

	if (text->space == ROUTE_SPACE_NONE || text->space == ROUTE_SPACE_CONST)
		return true;
	if (text->off > len || text->len > len - text->off) {
		ctx->failure = ROUTE_FAILURE_INTERNAL;
		return false;
	}
	*text = route_text_make(ctx, str_of(base + text->off, text->len));
	return text->space != ROUTE_SPACE_NONE;
}

uint32_t route_ctx_saved_flags(const void *saved)
{
	struct parts p;
	uint32_t flags;

	parts_of_saved(saved, &p);
	memcpy(&flags, plain_field(saved, &p, offsetof(struct route_ctx, flags)), sizeof(flags));
	return flags;
}

bool route_ctx_load_shared(struct route_ctx *ctx, const void *saved, struct str request)
{
	const char *from = saved;
	struct parts p;

	parts_of_saved(saved, &p);
	memcpy(&ctx->flags, plain_field(saved, &p, offsetof(struct route_ctx, flags)),
		sizeof(ctx->flags));
	for (unsigned i = 0; i < p.head.avps; i++) {
		struct route_avp *avp = &ctx->avp[i];

		memcpy(avp, from + p.avp + i * sizeof(*avp), sizeof(*avp));
		if (!take_text(ctx, from, &p, request, &avp->name))
			return false;
		if (avp->value.type == ROUTE_STR &&
			!take_text(ctx, from, &p, request, &avp->value.text))
			return false;
	}
	ctx->avps = p.head.avps;
	return true;
}

/* An update of something saved: texts of the context become texts of its arena. */
struct update {
	struct route_ctx *ctx;
	const char *saved;
	struct str request;
	struct parts old, new;
	uint32_t added; /* bytes behind the old arena */
	char *out;      /* NULL: only the size is asked for */
};

/* Whether what `was` stood for are these bytes. */
static bool is_old_text(const struct update *u, struct route_text was, struct str s)
{
	struct str old = was.space == ROUTE_SPACE_ARENA
				 ? str_of(u->saved + u->old.text, u->old.head.text_len)
				 : u->request;

	return (was.space == ROUTE_SPACE_ARENA || was.space == ROUTE_SPACE_MSG) &&
	       was.len == s.len && was.off <= old.len && was.len <= old.len - was.off &&
	       (s.len == 0 || memcmp(old.s + was.off, s.s, s.len) == 0);
}

/* The text that stood there where it is the same, else one in the old arena, else behind that. */
static struct route_text keep_text(struct update *u, struct route_text text, struct route_text was)
{
	const char *arena = u->saved + u->old.text, *there;
	uint32_t len = u->old.head.text_len;
	struct str s;

	if (text.space == ROUTE_SPACE_NONE || text.space == ROUTE_SPACE_CONST ||
		(text.space == ROUTE_SPACE_MSG && !u->ctx->msg.is_response))
		return text;
	s = route_text_str(u->ctx, text);
	if (is_old_text(u, was, s))
		return was;
	if (s.len == 0)
		return (struct route_text){0, 0, ROUTE_SPACE_ARENA};
	there = memmem(arena, len, s.s, s.len);
	if (there != NULL)
		return (struct route_text){(uint32_t)(there - arena), s.len, ROUTE_SPACE_ARENA};
	text = (struct route_text){len + u->added, s.len, ROUTE_SPACE_ARENA};
	if (u->out != NULL)
		memcpy(u->out + u->new.text + text.off, s.s, s.len);
	u->added += s.len;
	return text;
}

static bool same_text(struct route_text a, struct route_text b)
{
	return a.off == b.off && a.len == b.len && a.space == b.space;
}

/* Puts an AVP or a branch where it belongs; true where it differs from what stood there. */
static bool update_avp(struct update *u, unsigned i)
{
	struct route_avp avp = u->ctx->avp[i], was = {0};
	uint32_t at = i * (uint32_t)sizeof(avp);

	if (i < u->old.head.avps)
		memcpy(&was, u->saved + u->old.avp + at, sizeof(was));
	avp.name = keep_text(u, avp.name, was.name);
	if (avp.value.type == ROUTE_STR)
		avp.value.text = keep_text(u, avp.value.text, was.value.text);
	if (u->out != NULL)
		memcpy(u->out + u->new.avp + at, &avp, sizeof(avp));
	return !same_text(was.name, avp.name) || was.value.type != avp.value.type ||
	       was.value.stored != avp.value.stored ||
	       (avp.value.type == ROUTE_STR ? !same_text(was.value.text, avp.value.text)
					    : was.value.i != avp.value.i);
}

static bool update_waiting(struct update *u, unsigned i)
{
	unsigned waiting = u->new.head.waiting, had = u->old.head.waiting;
	struct route_branch branch = u->ctx->branch[ROUTE_BRANCHES_MAX - waiting + i], was = {0};

	/* They leave from the front: those that are left are the last ones. */
	if (had >= waiting - i)
		memcpy(&was, u->saved + u->old.waiting + (had - (waiting - i)) * sizeof(was),
			sizeof(was));
	branch.uri = keep_text(u, branch.uri, was.uri);
	branch.du = keep_text(u, branch.du, was.du);
	branch.path = keep_text(u, branch.path, was.path);
	branch.instance = keep_text(u, branch.instance, was.instance);
	if (u->out != NULL)
		memcpy(u->out + u->new.waiting + i * sizeof(branch), &branch, sizeof(branch));
	return !same_text(was.uri, branch.uri) || !same_text(was.du, branch.du) ||
	       !same_text(was.path, branch.path) || was.socket != branch.socket ||
	       was.q != branch.q || was.flags != branch.flags;
}

static bool update(struct update *u)
{
	uint32_t flags;
	bool changed;

	memcpy(&flags, plain_field(u->saved, &u->old, offsetof(struct route_ctx, flags)),
		sizeof(flags));
	changed = flags != u->ctx->flags || u->new.head.avps != u->old.head.avps ||
		  u->new.head.waiting != u->old.head.waiting;
	for (unsigned i = 0; i < u->new.head.avps; i++)
		changed |= update_avp(u, i);
	/* A response's context knows nothing of those that wait. */
	for (unsigned i = 0; i < u->new.head.waiting && !u->ctx->msg.is_response; i++)
		changed |= update_waiting(u, i);
	return changed;
}

static struct update begin_update(struct route_ctx *ctx, const void *saved, struct str request)
{
	struct update u = {.ctx = ctx, .saved = saved, .request = request};

	parts_of_saved(saved, &u.old);
	u.new = u.old;
	u.new.head.avps = ctx->avps;
	if (!ctx->msg.is_response)
		u.new.head.waiting = ctx->waiting;
	find_parts(&u.new);
	return u;
}

uint32_t route_ctx_update_size(struct route_ctx *ctx, const void *saved, struct str request)
{
	struct update u = begin_update(ctx, saved, request);

	if (!update(&u))
		return 0;
	if (u.added > ROUTE_TEXT_MAX - u.old.head.text_len) {
		ctx->failure = ROUTE_FAILURE_TEXT_FULL;
		return 0;
	}
	return u.new.end + u.added;
}

void route_ctx_update(struct route_ctx *ctx, const void *saved, struct str request, void *out)
{
	struct update u = begin_update(ctx, saved, request);
	const char *from = saved;

	u.out = out;
	put(out, u.new.plain, from + u.old.plain, u.old.waiting - u.old.plain);
	if (ctx->msg.is_response)
		put(out, u.new.waiting, from + u.old.waiting, u.old.avp - u.old.waiting);
	put(out, u.new.edit, from + u.old.edit, u.old.end - u.old.edit);
	update(&u);
	memcpy(plain_field(out, &u.new, offsetof(struct route_ctx, flags)), &ctx->flags,
		sizeof(ctx->flags));
	/* The plain part says how many there are, too. */
	memcpy(plain_field(out, &u.new, offsetof(struct route_ctx, avps)), &u.new.head.avps, 1);
	memcpy(plain_field(out, &u.new, offsetof(struct route_ctx, waiting)), &u.new.head.waiting,
		1);
	u.new.head.text_len += u.added;
	find_parts(&u.new);
	put(out, 0, &u.new.head, sizeof(u.new.head));
}
