/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes of a message's text by pattern, in headers and body. */
#include "route/function.h"

bool text_stays_in_line(struct str text)
{
	for (uint32_t i = 0; i < text.len; i++)
		if (text.s[i] == '\r' || text.s[i] == '\n' || text.s[i] == '\0')
			return false;
	return true;
}

/* Bytes that the body will have once all edits are applied. */
static int64_t body_length(const struct route_ctx *ctx)
{
	int64_t length = ctx->msg.body_len;

	for (unsigned i = 0; i < ctx->edits.count; i++) {
		const struct sip_edit *e = &ctx->edits.edit[i];

		if (e->off >= ctx->msg.body)
			length += (int64_t)e->len - e->del;
	}
	return length;
}

/* RFC 3261 20.14: says the new length; the edit that said an earlier one is pointed at the new
 * digits. */
static bool set_content_length(struct route_ctx *ctx)
{
	const struct sip_header *h = sip_msg_header(&ctx->msg, SIP_HEADER_CONTENT_LENGTH, 0);
	struct sip_edits *edits = &ctx->edits;
	char digits[VALUE_NUMBER_MAX];
	unsigned n = str_from_u64(digits, (uint64_t)body_length(ctx));

	if (h == NULL)
		return true;
	for (unsigned i = 0; i < edits->count; i++) {
		struct sip_edit *e = &edits->edit[i];

		if (e->off != h->value || e->del != h->value_len)
			continue;
		if (n > SIP_EDIT_TEXT_MAX - (unsigned)edits->text_len) {
			edits->overflow = true;
			return false;
		}
		memcpy(edits->text + edits->text_len, digits, n);
		e->at = edits->text_len;
		e->len = (uint16_t)n;
		edits->text_len = (uint16_t)(edits->text_len + n);
		return true;
	}
	return sip_edit_replace(edits, h->value, h->value_len, str_of(digits, n)) == 0;
}

static bool overlaps(const struct route_ctx *ctx, uint32_t off, uint32_t len)
{
	for (unsigned i = 0; i < ctx->edits.count; i++) {
		const struct sip_edit *e = &ctx->edits.edit[i];

		if (e->del != 0 && off < e->off + e->del && e->off < off + len)
			return true;
	}
	return false;
}

bool edit_text(struct route_ctx *ctx, struct str old, struct str text)
{
	uint32_t off = (uint32_t)(old.s - ctx->buf);
	bool in_body = off >= ctx->msg.body;

	if (!in_body && off + old.len > ctx->msg.headers_end)
		return false;
	if (overlaps(ctx, off, old.len))
		return false;
	int err = old.len != 0 ? sip_edit_replace(&ctx->edits, off, old.len, text)
			       : sip_edit_insert(&ctx->edits, off, SIP_EDIT_NORMAL, text);

	return err == 0 && (!in_body || set_content_length(ctx));
}
