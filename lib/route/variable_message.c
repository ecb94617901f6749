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
	return ctx->msg.is_response ? value_int(out, ctx->msg.status) : value_null(out);
}

VARIABLE_GET(get_reason)
{
	return ctx->msg.is_response ? value_str(out, sip_text(ctx->buf, ctx->msg.reason))
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

VARIABLE_GET(get_header)
{
	const struct sip_header *h = sip_msg_header_named(&ctx->msg, ctx->buf, index);

	/* A header without a value is there all the same: the empty string, as in Kamailio. */
	return h != NULL ? value_str(out, sip_text(ctx->buf, sip_header_value(h)))
			 : value_null(out);
}

VARIABLE_GET(get_header_count)
{
	enum sip_header_id id = sip_header_of(index);
	int64_t count = 0;

	for (unsigned i = 0; i < ctx->msg.header_count; i++) {
		const struct sip_header *h = &ctx->msg.header[i];

		if (h->id != id)
			continue;
		if (id != SIP_HEADER_OTHER ||
			str_ieq(str_of(ctx->buf + h->name, h->name_len), index))
			count++;
	}
	return value_int(out, count);
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
