/* SPDX-License-Identifier: BSD-3-Clause */
/* What is decided before the script sees a request (RFC 3261 16.3), and the R-URI's maddr (16.4).
 */
#include "proxy/internal.h"

/* The ACK to a failure reply of our own: its To tag is the one that we gave to that transaction,
 * and nobody else could. */
static bool is_ack_to_us(struct proxy *p, struct route_ctx *ctx)
{
	const struct sip_address *to = sip_msg_to(&ctx->msg, ctx->buf);
	char tag[TAG_LEN];

	if (to == NULL || to->tag.len != TAG_LEN || proxy_keys(p) == NULL)
		return false;
	proxy_tag_write(proxy_keys(p), proxy_transaction_key(p, ctx), tag);
	return str_ieq(sip_text(ctx->buf, to->tag), (struct str){tag, TAG_LEN});
}

static enum proxy_verdict answer(
	struct route_ctx *ctx, uint16_t status, struct str reason, enum proxy_reason *why)
{
	if (ctx->msg.method == SIP_METHOD_ACK) {
		*why = PROXY_REASON_ACK_UNROUTABLE;
		return PROXY_DROP;
	}
	proxy_reply_set(ctx, status, reason);
	return PROXY_REPLY;
}

static enum proxy_verdict malformed(struct route_ctx *ctx, enum sip_error error)
{
	if (!sip_msg_can_reply(&ctx->msg))
		return PROXY_DROP; /* counted under the error's own name */
	proxy_reply_set(ctx, sip_error_status(error), sip_error_reason(error));
	return PROXY_REPLY;
}

/*
 * 16.4: a maddr that is us, on the port and transport by which the request came, has done its work:
 * without it, and without port and transport, the URI is the one that was meant.
 */
static void strip_maddr(struct proxy *p, struct route_ctx *ctx)
{
	const struct sip_uri *uri = sip_msg_uri(&ctx->msg, ctx->buf);
	uint16_t port = uri->port != 0 ? uri->port : SIP_DEFAULT_PORT;
	enum sip_transport transport =
		uri->transport != SIP_TRANSPORT_NONE ? uri->transport : SIP_TRANSPORT_UDP;
	uint32_t host_end = uri->host.off + uri->host.len + (uri->host_is_ip6 ? 1 : 0), at;
	struct sip_span gone[3];
	struct str part[4];
	unsigned parts = 0, count = 0;

	if (port != ctx->origin.dst.port || transport != ctx->origin.transport ||
		!proxy_sockets_is_myself(
			proxy_sockets(p), sip_text(ctx->buf, uri->maddr), port, transport))
		return;
	part[parts++] = (struct str){ctx->buf + uri->all.off, host_end - uri->all.off};
	at = uri->hostport.off + uri->hostport.len;
	/* Up to two parameters go, in whichever order they stand. Each is looked for once: a URI
	 * may have thousands of them. */
	if (sip_param_find(ctx->buf, uri->params, STR("maddr"), NULL, &gone[count]))
		count++;
	if (sip_param_find(ctx->buf, uri->params, STR("transport"), NULL, &gone[count]))
		count++;
	if (count == 2 && gone[1].off < gone[0].off) {
		gone[2] = gone[0];
		gone[0] = gone[1];
		gone[1] = gone[2];
	}
	for (unsigned i = 0; i < count; i++) {
		part[parts++] = (struct str){ctx->buf + at, gone[i].off - at};
		at = gone[i].off + gone[i].len;
	}
	part[parts++] = (struct str){ctx->buf + at, uri->all.off + uri->all.len - at};
	ctx->uri = route_text_join(ctx, part, parts);
	ctx->failure = ROUTE_FAILURE_NONE;
}

enum proxy_verdict proxy_request_receive(
	struct proxy *p, struct route_ctx *ctx, enum sip_error error, enum proxy_reason *reason)
{
	const struct sip_uri *uri;

	*reason = PROXY_REASON_NONE;
	/* Step 1: syntax. */
	if (error != SIP_OK)
		return malformed(ctx, error);
	if (ctx->msg.method == SIP_METHOD_ACK && is_ack_to_us(p, ctx)) {
		*reason = PROXY_REASON_ACK_OWN_REPLY;
		return PROXY_DROP;
	}
	/* Step 2: scheme. */
	uri = sip_msg_uri(&ctx->msg, ctx->buf);
	if (uri == NULL || uri->scheme == SIP_SCHEME_NONE || uri->scheme == SIP_SCHEME_OTHER)
		return answer(ctx, 416, STR_NONE, reason);
	/* Step 3: Max-Forwards. */
	if (sip_msg_max_forwards(&ctx->msg, ctx->buf) && ctx->msg.max_forwards == 0) {
		/* 16.3 lets us be the recipient of an OPTIONS; we are where it asks for us. */
		if (ctx->msg.method != SIP_METHOD_OPTIONS || uri->user.len != 0 ||
			!proxy_uri_is_myself(proxy_sockets(p), ctx->buf, uri))
			return answer(ctx, 483, STR_NONE, reason);
		proxy_reply_options(ctx, STR("Accept: */*\r\nSupported: \r\n"));
		return PROXY_REPLY;
	}
	/* Step 4, loops, is judged where the next hop is known. Step 5: Proxy-Require; not in
	 * CANCEL and ACK (8.2.2.3). */
	if (ctx->msg.method != SIP_METHOD_ACK && ctx->msg.method != SIP_METHOD_CANCEL &&
		sip_msg_has(&ctx->msg, SIP_HEADER_PROXY_REQUIRE)) {
		struct sip_span value;

		SIP_MSG_FOREACH (&ctx->msg, SIP_HEADER_PROXY_REQUIRE, h) {
			uint32_t at = 0;

			if (sip_list_next(ctx->buf, sip_header_value(h), &at, &value))
				return answer(ctx, 420, STR_NONE, reason);
		}
	}
	if (uri->has_maddr)
		strip_maddr(p, ctx);
	return PROXY_GO;
}
