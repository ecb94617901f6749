/* SPDX-License-Identifier: BSD-3-Clause */
/* The message's own parts: $rm, $ci, $cs, $hdr(...), ... */
#include "route/variable_get.h"

static bool header_value(struct route_ctx *ctx, enum sip_header_id id, struct route_value *out)
{
	return value_span(out, ctx->buf, sip_msg_value(&ctx->msg, id));
}

VARIABLE_GET(get_call_id)
{
	return header_value(ctx, SIP_HEADER_CALL_ID, out);
}

VARIABLE_GET(get_cseq)
{
	return sip_msg_cseq(&ctx->msg, ctx->buf) ? value_int(out, ctx->msg.cseq_number)
						 : value_null(out);
}

VARIABLE_GET(get_cseq_value)
{
	return header_value(ctx, SIP_HEADER_CSEQ, out);
}

VARIABLE_GET(get_method)
{
	if (!ctx->msg.is_response)
		return value_span(out, ctx->buf, ctx->msg.method_text);
	return sip_msg_cseq(&ctx->msg, ctx->buf)
		       ? value_span(out, ctx->buf, ctx->msg.cseq_method_text)
		       : value_null(out);
}

VARIABLE_GET(get_status)
{
	if (ctx->msg.is_response)
		return value_int(out, ctx->msg.status);
	return ctx->reply_status != 0 ? value_int(out, ctx->reply_status) : value_null(out);
}

VARIABLE_GET(get_reason)
{
	if (ctx->msg.is_response)
		return value_str(out, sip_text(ctx->buf, ctx->msg.reason));
	return ctx->reply_status != 0 ? value_str(out, route_text_str(ctx, ctx->reply_reason))
				      : value_null(out);
}

/* ---- error_route ---- */

static bool in_error(const struct route_ctx *ctx)
{
	return ctx->error.space != ROUTE_SPACE_NONE;
}

/* OpenSER's numbers of a parser's error of medium severity. */
VARIABLE_GET(get_error_class)
{
	return in_error(ctx) ? value_int(out, 1) : value_null(out);
}

VARIABLE_GET(get_error_level)
{
	return in_error(ctx) ? value_int(out, 3) : value_null(out);
}

VARIABLE_GET(get_error_info)
{
	return in_error(ctx) ? value_str(out, route_text_str(ctx, ctx->error)) : value_null(out);
}

VARIABLE_GET(get_error_code)
{
	return in_error(ctx) ? value_int(out, ctx->reply_status) : value_null(out);
}

VARIABLE_GET(get_error_reason)
{
	return in_error(ctx) ? value_str(out, route_text_str(ctx, ctx->reply_reason))
			     : value_null(out);
}

VARIABLE_GET(get_version)
{
	return value_span(out, ctx->buf, ctx->msg.version);
}

VARIABLE_GET(get_message_type)
{
	return value_int(out, ctx->msg.is_response ? 2 : 1);
}

VARIABLE_GET(get_contact)
{
	return header_value(ctx, SIP_HEADER_CONTACT, out);
}

VARIABLE_GET(get_content_type)
{
	return header_value(ctx, SIP_HEADER_CONTENT_TYPE, out);
}

VARIABLE_GET(get_content_length)
{
	uint32_t length;
	struct sip_span value = sip_msg_value(&ctx->msg, SIP_HEADER_CONTENT_LENGTH);

	if (value.len == 0 || str_to_u32(sip_text(ctx->buf, value), UINT32_MAX, &length) < 0)
		return value_null(out);
	return value_int(out, length);
}

VARIABLE_GET(get_user_agent)
{
	return header_value(ctx, SIP_HEADER_USER_AGENT, out);
}

/* The next header of that name from number *at on, or NULL. */
static const struct sip_header *next_header(
	const struct route_ctx *ctx, struct str name, enum sip_header_id id, unsigned *at)
{
	while (*at < ctx->msg.header_count) {
		const struct sip_header *h = &ctx->msg.header[(*at)++];

		if (h->id == id && (id != SIP_HEADER_OTHER ||
					   str_ieq(str_of(ctx->buf + h->name, h->name_len), name)))
			return h;
	}
	return NULL;
}

static int64_t count_headers(const struct route_ctx *ctx, struct str name)
{
	enum sip_header_id id = sip_header_of(name);
	unsigned at = 0;
	int64_t count = 0;

	while (next_header(ctx, name, id, &at) != NULL)
		count++;
	return count;
}

/* All values, with commas between them. */
static bool all_headers(struct route_ctx *ctx, struct str name, struct route_value *out)
{
	enum sip_header_id id = sip_header_of(name);
	struct str part[2 * SIP_MSG_HEADERS_MAX];
	const struct sip_header *h;
	struct route_text text;
	unsigned at = 0, parts = 0;

	while ((h = next_header(ctx, name, id, &at)) != NULL) {
		if (parts > 0)
			part[parts++] = STR(",");
		part[parts++] = sip_text(ctx->buf, sip_header_value(h));
	}
	if (parts == 0)
		return value_null(out);
	if (parts == 1)
		return value_str(out, part[0]);
	text = route_text_join(ctx, part, parts);
	return text.space != ROUTE_SPACE_NONE && value_str(out, route_text_str(ctx, text));
}

VARIABLE_GET(get_header)
{
	const struct sip_header *h = NULL;
	int64_t n;

	if (index->all)
		return all_headers(ctx, index->name, out);
	n = route_index_element(ctx, index);
	if (n == 0) {
		h = sip_msg_header_named(&ctx->msg, ctx->buf, index->name);
	} else {
		enum sip_header_id id = sip_header_of(index->name);
		unsigned at = 0;

		n += n < 0 ? count_headers(ctx, index->name) : 0;
		for (; n >= 0; n--) {
			h = next_header(ctx, index->name, id, &at);
			if (h == NULL)
				break;
		}
	}
	/* A header without a value is there all the same: the empty string, as in Kamailio. */
	return h != NULL ? value_str(out, sip_text(ctx->buf, sip_header_value(h)))
			 : value_null(out);
}

VARIABLE_GET(get_header_count)
{
	return value_int(out, count_headers(ctx, index->name));
}

VARIABLE_GET(get_message)
{
	return value_str(out, str_of(ctx->buf, ctx->msg.len));
}

VARIABLE_GET(get_message_length)
{
	return value_int(out, ctx->msg.len);
}

VARIABLE_GET(get_body)
{
	return value_text(out, str_of(ctx->buf + ctx->msg.body, ctx->msg.body_len));
}

VARIABLE_GET(get_body_size)
{
	return value_int(out, ctx->msg.body_len);
}
