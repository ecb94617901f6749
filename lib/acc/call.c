/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls that last: from the 2xx of an INVITE to the BYE of either side: what begins and ends them,
 * and their records. Where they stand is call_table.c's. All of a Call-ID is one shard's.
 *
 * A fork's further 2xx has another To tag, and is another call. Its INVITE is gone by then: it is
 * known by the call that the first one began, Call-ID and From tag being the same. What has ended
 * is kept for a while, so that a 2xx that comes again begins no call anew.
 */
#include <stdio.h>

#include "acc/call.h"

#define EXPIRE_MAX 8 /* calls a pass */
#define ROOM_TRIES 8 /* calls that make room for one */
#define END_TEXT 24

/* ---- records ---- */

/* Extra fields of a list that has changed meanwhile are none: nothing is better than what belongs
 * to another column. */
static void cdr_of(
	const struct acc_settings *s, const struct acc_call_values *v, struct acc_cdr *out)
{
	out->call_id = v->v[CALL_ID].s;
	out->from_tag = v->v[FROM_TAG].s;
	out->to_tag = v->v[TO_TAG].s;
	out->caller = v->v[CALLER].s;
	out->callee = v->v[CALLEE].s;
	out->extras = s->cdr_extra.count;
	for (unsigned i = 0; i < out->extras; i++)
		out->extra[i] = v->extras == s->cdr_extra.digest
					? v->v[FIXED + i]
					: (struct acc_value){.null = true, .s = STR("")};
}

static void write_cdr(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct acc_cdr *c, struct str what, bool row)
{
	if (s->cdr_log)
		acc_cdr_line(a, shard, s, what, c);
	if (row && s->statement_cdrs >= 0)
		acc_cdr_row(a, shard, s, c);
}

/* Whoever fills the table ends his own calls: those that nobody ends are the oldest. */
static void displace(
	struct acc *a, unsigned shard, const struct acc_settings *s, uint32_t n, uint64_t now_ns)
{
	struct acc_shard *sh = &a->shard[shard];
	struct acc_cdr cdr = {.start_ns = sh->calls.call[n].start_ns, .end = STR("displaced")};
	struct acc_call_values v;

	cdr.end_ns = now_ns > cdr.start_ns ? now_ns : cdr.start_ns;
	if (acc_calls_unpack(&sh->calls, &sh->calls.call[n], &v)) {
		cdr_of(s, &v, &cdr);
		write_cdr(a, shard, s, &cdr, STR("call displaced"), true);
	}
	acc_count(sh, ACC_COUNTER_CALLS_DISPLACED);
	acc_calls_forget(sh, n);
}

static bool make_room(struct acc *a, unsigned shard, const struct acc_settings *s, uint64_t now_ns)
{
	struct acc_calls *c = &a->shard[shard].calls;

	if (c->ended.oldest != ACC_NO_CALL)
		acc_calls_forget(&a->shard[shard], c->ended.oldest);
	else if (c->last.oldest != ACC_NO_CALL)
		displace(a, shard, s, c->last.oldest, now_ns);
	else
		return false;
	return true;
}

/* The values do not stand in the scratch. */
static void begin(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct acc_call_values *v, uint64_t start_ns, uint64_t now_ns)
{
	struct acc_shard *sh = &a->shard[shard];
	const struct acc_call call = {
		.key = acc_calls_key(a, v->v[CALL_ID].s, v->v[FROM_TAG].s, v->v[TO_TAG].s),
		.sibling = acc_calls_sibling(a, v->v[CALL_ID].s, v->v[FROM_TAG].s),
		.start_ns = start_ns,
		.extras = v->extras,
		.expires_ns = now_ns + s->lifetime_ns};
	int err = acc_calls_add(sh, &call, v);

	for (unsigned i = 0; err == -ENOSPC && i < ROOM_TRIES; i++) {
		if (!make_room(a, shard, s, now_ns))
			break;
		err = acc_calls_add(sh, &call, v);
	}
	if (err != 0) {
		acc_count(sh, ACC_COUNTER_CALLS_FULL);
		return;
	}
	acc_count(sh, ACC_COUNTER_CALLS);
}

/* ---- what begins and ends them ---- */

/* What the INVITE and its response say. */
static void values_of(struct acc *a, struct acc_shard *sh, const struct acc_settings *s,
	struct route_ctx *ctx, const struct acc_record *r, struct acc_call_values *v)
{
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf);
	struct str caller = from != NULL ? sip_text(ctx->buf, from->uri) : STR_NONE;

	v->count = FIXED + s->cdr_extra.count;
	v->extras = s->cdr_extra.digest;
	v->v[CALL_ID] = (struct acc_value){.s = r->call_id};
	v->v[FROM_TAG] = (struct acc_value){.s = r->from_tag};
	v->v[TO_TAG] = (struct acc_value){.s = r->to_tag};
	v->v[CALLER] = (struct acc_value){.s = acc_ascii(sh, caller, ACC_URI_MAX)};
	v->v[CALLEE] = (struct acc_value){
		.s = acc_ascii(sh, sip_text(ctx->buf, ctx->msg.uri_text), ACC_URI_MAX)};
	acc_extras(a, sh, ctx, &s->cdr_extra, v->v + FIXED);
}

static uint64_t arrival(const struct route_ctx *ctx, uint64_t now_ns)
{
	return ctx->received_ns != 0 && ctx->received_ns <= now_ns ? ctx->received_ns : now_ns;
}

void acc_call_begin(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct txn_news *news, const struct acc_record *r)
{
	struct acc_shard *sh = &a->shard[shard];
	struct acc_call_values v;
	uint32_t n = acc_calls_find(a, &sh->calls, r->call_id, r->from_tag, r->to_tag, &v);

	/* The same call on its way through us once more; or another one of the same names. */
	if (n != ACC_NO_CALL && !sh->calls.call[n].ended)
		return;
	if (n != ACC_NO_CALL)
		acc_calls_forget(sh, n);
	values_of(a, sh, s, news->request, r, &v);
	begin(a, shard, s, &v,
		s->cdr_confirmed ? news->now_ns : arrival(news->request, news->now_ns),
		news->now_ns);
}

/* Call-ID and tags of a response to INVITE. */
static bool read_response(
	struct acc *a, struct acc_shard *sh, struct str text, struct str out[TO_TAG + 1])
{
	struct sip_msg *m = sh->response;
	const struct sip_address *from, *to;

	if (sip_msg_index(m, text.s, text.len) != SIP_OK || !m->is_response)
		return false;
	from = sip_msg_from(m, text.s);
	to = sip_msg_to(m, text.s);
	if (from == NULL || to == NULL)
		return false;
	out[CALL_ID] = acc_ascii(
		sh, sip_text(text.s, sip_msg_value(m, SIP_HEADER_CALL_ID)), ACC_CALL_ID_MAX);
	out[FROM_TAG] = acc_ascii(sh, sip_text(text.s, from->tag), ACC_TAG_MAX);
	out[TO_TAG] = acc_ascii(sh, sip_text(text.s, to->tag), ACC_TAG_MAX);
	return true;
}

void acc_call_again(
	struct acc *a, unsigned shard, const struct acc_settings *s, const struct txn_news *news)
{
	struct acc_shard *sh = &a->shard[shard];
	struct str of[TO_TAG + 1];
	struct acc_call_values v;
	uint32_t n;

	if (!read_response(a, sh, news->response, of) ||
		acc_calls_find(a, &sh->calls, of[CALL_ID], of[FROM_TAG], of[TO_TAG], &v) !=
			ACC_NO_CALL)
		return;
	n = acc_calls_find_sibling(a, &sh->calls, of[CALL_ID], of[FROM_TAG], &v);
	if (n == ACC_NO_CALL)
		return;
	/* Its values stand in the scratch, where the new call's are packed. */
	for (unsigned i = 0; i < v.count; i++)
		v.v[i].s = acc_copy(sh, v.v[i].s);
	v.v[TO_TAG].s = of[TO_TAG];
	begin(a, shard, s, &v, s->cdr_confirmed ? news->now_ns : sh->calls.call[n].start_ns,
		news->now_ns);
}

/* Whoever answers a BYE so has no such call any more, or is not there (RFC 3261 15.1.1, 12.2.1.2).
 * A challenge, or a BYE that somebody else refuses, ends nothing; nor does one that has gone
 * nowhere, whatever we have said of it: the other side speaks on. */
static bool is_end(const struct txn_news *news)
{
	return news->sent && (news->status < 300 || news->status == 408 || news->status == 481);
}

/* Who said so, too: what a caller says who pays by the minute is worth less than the callee's word.
 */
static struct str end_text(char out[END_TEXT], bool by_caller, uint16_t status)
{
	const char *side = by_caller ? "caller" : "callee";
	int len = status < 300 ? snprintf(out, END_TEXT, "bye %s", side)
			       : snprintf(out, END_TEXT, "bye %s %u", side, status);

	return str_of(out, (size_t)len);
}

void acc_call_end(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct txn_news *news, const struct acc_record *r)
{
	struct acc_shard *sh = &a->shard[shard];
	const struct sip_address *to = sip_msg_to(&news->request->msg, news->request->buf);
	char end[END_TEXT];
	struct acc_cdr c;
	struct acc_call_values v;
	uint32_t n;

	/* Its tags, not that of the response. */
	if (!is_end(news) || to == NULL)
		return;
	n = acc_calls_find(a, &sh->calls, r->call_id, r->from_tag,
		acc_ascii(sh, sip_text(news->request->buf, to->tag), ACC_TAG_MAX), &v);
	if (n == ACC_NO_CALL || sh->calls.call[n].ended)
		return;
	cdr_of(s, &v, &c);
	c.start_ns = sh->calls.call[n].start_ns;
	c.end_ns = arrival(news->request, news->now_ns);
	if (c.end_ns < c.start_ns)
		c.end_ns = c.start_ns;
	c.end = end_text(end, str_eq(r->from_tag, c.from_tag), news->status);
	write_cdr(a, shard, s, &c, STR("call ended"), true);
	acc_count(sh, ACC_COUNTER_CALLS_ENDED);
	acc_calls_keep_ended(sh, n, news->now_ns);
}

void acc_call_failed(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct txn_news *news, const struct acc_record *r)
{
	struct acc_shard *sh = &a->shard[shard];
	char end[END_TEXT];
	struct acc_call_values v;
	struct acc_cdr c;

	if (!s->cdr_on_failed)
		return;
	values_of(a, sh, s, news->request, r, &v);
	cdr_of(s, &v, &c);
	/* Nobody has spoken. */
	c.start_ns = c.end_ns = arrival(news->request, news->now_ns);
	c.end = str_of(end, (size_t)snprintf(end, sizeof(end), "failed %u", news->status));
	write_cdr(a, shard, s, &c, STR("call failed"), true);
}

static unsigned forget_ended(struct acc_shard *sh, uint64_t now_ns)
{
	struct acc_calls *c = &sh->calls;
	unsigned n = 0;

	for (; n < EXPIRE_MAX && c->ended.oldest != ACC_NO_CALL; n++) {
		if (c->call[c->ended.oldest].expires_ns > now_ns)
			break;
		acc_calls_forget(sh, c->ended.oldest);
	}
	return n;
}

unsigned acc_poll(struct acc *a, unsigned shard, uint64_t now_ns)
{
	struct acc_shard *sh = &a->shard[shard];
	struct acc_calls *c = &sh->calls;
	const struct acc_settings *s;
	unsigned ended = forget_ended(sh, now_ns), n = 0;

	if (c->last.oldest == ACC_NO_CALL || c->call[c->last.oldest].expires_ns > now_ns)
		return ended;
	s = acc_settings(a);
	for (; n < EXPIRE_MAX && c->last.oldest != ACC_NO_CALL; n++) {
		const struct acc_call *call = &c->call[c->last.oldest];
		struct acc_cdr cdr = {.end = STR("expired")};
		struct acc_call_values v;

		if (call->expires_ns > now_ns)
			break;
		acc_begin(sh);
		cdr.start_ns = call->start_ns;
		cdr.end_ns = call->expires_ns;
		if (acc_calls_unpack(c, call, &v)) {
			cdr_of(s, &v, &cdr);
			write_cdr(a, shard, s, &cdr, STR("call expired"), s->cdr_expired);
		}
		acc_count(sh, ACC_COUNTER_CALLS_EXPIRED);
		acc_calls_forget(sh, c->last.oldest);
	}
	return ended + n;
}
