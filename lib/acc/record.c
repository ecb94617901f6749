/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is said of a transaction. Values stand in the shard's scratch until the next record begins.
 *
 * What a value has beyond its column is replaced by '~' and 16 digits that are the whole's: equal
 * texts stay equal, in all rows of all nodes, and others differ. Bytes that are no UTF-8, and NUL,
 * are written as \xHH: databases refuse them, and whoever sends them is not to be missing there. A
 * text that holds "\x" has its backslash so. What calls are known by has no byte above 0x7f: there
 * are tables of Latin-1, and of MySQL's shorter UTF-8, which refuse some characters.
 */
#include <stdio.h>

#include "acc/internal.h"

#define DIGEST_TEXT 17 /* '~' and 16 digits */

void acc_begin(struct acc_shard *sh)
{
	sh->text_len = 0;
}

static char *scratch(struct acc_shard *sh, uint32_t bytes)
{
	return bytes <= ACC_SCRATCH - sh->text_len ? sh->text + sh->text_len : NULL;
}

/* Whether all of it is ASCII without NUL and backslash, as nearly all texts are: eight bytes at a
 * time. */
static bool is_plain(struct str text)
{
	const uint64_t ones = 0x0101010101010101ULL, tops = 0x8080808080808080ULL;
	uint64_t bad = 0, v;
	uint32_t i = 0;

	for (; i + 8 <= text.len; i += 8) {
		memcpy(&v, text.s + i, sizeof(v));
		/* A byte of 0 borrows from its top bit; one above 0x80 has it already. */
		bad |= (v | (v - ones) | ((v ^ ('\\' * ones)) - ones)) & tops;
	}
	for (; i < text.len; i++)
		bad |= text.s[i] <= 0 || text.s[i] == '\\';
	return bad == 0;
}

/* Bytes of the character that the text begins with; 0: it is one byte, to be escaped. */
static unsigned char_length(struct str text, bool ascii)
{
	unsigned char c = (unsigned char)text.s[0];

	if (c == 0 || (ascii && c >= 0x80) || (c == '\\' && text.len > 1 && text.s[1] == 'x'))
		return 0;
	return str_utf8_char(text);
}

/* At most `max` bytes of `text`, escaped, whole characters each. What of it is left is not
 * written. */
static uint32_t escape(char *out, uint32_t max, struct str *text, bool ascii)
{
	static const char digit[] = "0123456789abcdef";
	uint32_t len = 0;

	while (text->len != 0) {
		unsigned n = char_length(*text, ascii);
		unsigned char c = (unsigned char)text->s[0];

		if (n == 0) {
			if (max - len < 4)
				break;
			memcpy(out + len, "\\x", 2);
			out[len + 2] = digit[c >> 4];
			out[len + 3] = digit[c & 15];
			len += 4;
			n = 1;
		} else {
			if (max - len < n)
				break;
			memcpy(out + len, text->s, n);
			len += n;
		}
		text->s += n;
		text->len -= n;
	}
	return len;
}

/* The same on every node, and for ever: rows are compared by it. */
static uint64_t digest(struct str text)
{
	static const struct hash_key key = {{0x73697020616e6420ULL, 0x6163636f756e7473ULL}};

	return hash_text(&key, text);
}

static struct str text_of(struct acc_shard *sh, struct str text, uint32_t max, bool ascii)
{
	char *out = scratch(sh, max);
	struct str whole = text;
	uint32_t len;

	if (out == NULL) {
		acc_count(sh, ACC_COUNTER_SHORTENED);
		return STR_NONE;
	}
	if (text.len <= max && is_plain(text)) {
		str_copy(out, text);
		sh->text_len += text.len;
		return str_of(out, text.len);
	}
	len = escape(out, max, &text, ascii);
	if (text.len != 0) {
		char end[DIGEST_TEXT + 1];
		uint32_t ends = max > 2 * DIGEST_TEXT ? DIGEST_TEXT : 1;

		snprintf(end, sizeof(end), "~%016llx", (unsigned long long)digest(whole));
		text = whole;
		len = escape(out, max - ends, &text, ascii);
		memcpy(out + len, end, ends);
		len += ends;
		acc_count(sh, ACC_COUNTER_SHORTENED);
	}
	sh->text_len += len;
	return str_of(out, len);
}

struct str acc_text(struct acc_shard *sh, struct str text, uint32_t max)
{
	return text_of(sh, text, max, false);
}

struct str acc_ascii(struct acc_shard *sh, struct str text, uint32_t max)
{
	return text_of(sh, text, max, true);
}

struct str acc_copy(struct acc_shard *sh, struct str text)
{
	char *out = scratch(sh, text.len);

	if (out == NULL)
		return STR_NONE;
	str_copy(out, text);
	sh->text_len += text.len;
	return str_of(out, text.len);
}

static struct str tag_of(const struct sip_address *address, const char *buf)
{
	return address != NULL ? sip_text(buf, address->tag) : STR_NONE;
}

static struct str code_text(struct acc_shard *sh, uint16_t status)
{
	char *out = scratch(sh, 8);

	if (out == NULL)
		return STR_NONE;
	unsigned n = str_from_u64(out, status);

	sh->text_len += n;
	return str_of(out, n);
}

/* What the response that goes upstream says; without one, what its code usually means. */
static void from_response(struct acc *a, struct acc_shard *sh, const struct acc_settings *s,
	const struct txn_news *news, struct acc_record *r)
{
	struct sip_msg *m = sh->response;
	const char *buf = news->response.s;
	struct str to, reason;

	if (news->response.len == 0 || sip_msg_index(m, buf, news->response.len) != SIP_OK ||
		!m->is_response) {
		if (news->status == 408)
			r->reason = STR("Request Timeout");
		else if (news->status == 487)
			r->reason = STR("Request Terminated");
		else if (news->status < 300)
			r->reason = STR("OK");
		return;
	}
	to = tag_of(sip_msg_to(m, buf), buf);
	if (to.len != 0)
		r->to_tag = acc_ascii(sh, to, ACC_TAG_MAX);
	reason = sip_text(buf, m->reason);
	if (s->reason_from_hf && sip_msg_has(m, SIP_HEADER_REASON))
		reason = sip_text(buf, sip_msg_value(m, SIP_HEADER_REASON));
	r->reason = acc_ascii(sh, reason, ACC_REASON_MAX);
}

static void from_request(
	struct acc *a, struct acc_shard *sh, struct route_ctx *ctx, struct acc_record *r)
{
	struct sip_msg *m = &ctx->msg;
	struct str method = m->is_response ? sip_text(ctx->buf, m->cseq_method_text)
					   : sip_text(ctx->buf, m->method_text);

	r->method = acc_ascii(sh, method, ACC_METHOD_MAX);
	r->from_tag = acc_ascii(sh, tag_of(sip_msg_from(m, ctx->buf), ctx->buf), ACC_TAG_MAX);
	r->to_tag = acc_ascii(sh, tag_of(sip_msg_to(m, ctx->buf), ctx->buf), ACC_TAG_MAX);
	r->call_id = acc_ascii(
		sh, sip_text(ctx->buf, sip_msg_value(m, SIP_HEADER_CALL_ID)), ACC_CALL_ID_MAX);
}

void acc_record_of(struct acc *a, struct acc_shard *sh, const struct acc_settings *s,
	const struct txn_news *news, struct str method, uint64_t now_ns, struct acc_record *r)
{
	*r = (struct acc_record){.at_ns = now_ns};
	from_request(a, sh, news->request, r);
	if (method.len != 0)
		r->method = method;
	r->code = code_text(sh, news->status);
	from_response(a, sh, s, news, r);
}

void acc_comment(struct acc *a, struct acc_shard *sh, struct str comment, struct acc_record *r)
{
	bool code = comment.len >= 3 && comment.s[0] >= '1' && comment.s[0] <= '6' &&
		    str_is_digit(comment.s[1]) && str_is_digit(comment.s[2]) &&
		    (comment.len == 3 || str_is_lws(comment.s[3]));

	r->code = code ? acc_ascii(sh, str_of(comment.s, 3), 3) : STR("0");
	if (code)
		comment = str_trim(str_of(comment.s + 3, comment.len - 3));
	r->reason = acc_ascii(sh, comment, ACC_REASON_MAX);
}

void acc_extras(struct acc *a, struct acc_shard *sh, struct route_ctx *ctx,
	const struct acc_fields *f, struct acc_value out[ACC_FIELDS_MAX])
{
	uint32_t mark = ctx->text_len;
	uint8_t failure = ctx->failure;

	for (unsigned i = 0; i < f->count; i++) {
		struct route_value v = {.type = ROUTE_NULL};
		char number[24];

		if (!route_format_eval(ctx, f->field[i].format, &v))
			v.type = ROUTE_NULL;
		if (v.type == ROUTE_INT)
			v.s = str_of(number,
				(size_t)snprintf(number, sizeof(number), "%lld", (long long)v.i));
		out[i].null = v.type == ROUTE_NULL;
		out[i].s = out[i].null ? STR("") : acc_text(sh, v.s, ACC_EXTRA_MAX);
		ctx->text_len = mark;
		ctx->failure = failure;
	}
}

void acc_time_text(const struct acc *a, uint64_t ns, char out[DB_TIME_TEXT])
{
	int64_t t = acc_wall_ns(a, ns) / (int64_t)CLOCK_NS_PER_S +
		    atomic_load_explicit(&a->zone_s, memory_order_relaxed);

	db_time_write(t, out);
}
