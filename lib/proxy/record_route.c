/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our Record-Route (RFC 3261 16.6 step 4, RFC 5658): one value, or two where the message leaves
 * from another listener than it came by. Written when the outgoing listener is known; each value
 * carries the token that proves later that the dialog passed here.
 */
#include "proxy/internal.h"

#define RECORD_ROUTE_TEXT_MAX (2 * (SOCKET_TEXT_MAX + PARAMS_TEXT_MAX + 2 * HOST_MAX + 128))

/* Whether a From tag can stand in a URI parameter as it is (RFC 3261 25.1, paramchar). */
static bool tag_fits_uri(struct str tag)
{
	for (uint32_t i = 0; i < tag.len; i++) {
		char c = tag.s[i];

		if (!str_is_alpha(c) && !str_is_digit(c) &&
			memchr("-_.!~*'()[]/:&+$", c, 16) == NULL)
			return false;
	}
	return tag.len != 0 && tag.len < HOST_MAX;
}

/* What stands before the parameters: a listener, or the host that the script gave. */
static void put_base(struct text *t, struct route_ctx *ctx, const struct sockets *s,
	unsigned listener, struct str host)
{
	const struct proxy_state *state = proxy_state(ctx);
	struct str base =
		host.len != 0 ? host
			      : (struct str){s->socket[listener].sip, s->socket[listener].sip_len};
	const struct sip_uri *uri = sip_msg_uri(&ctx->msg, ctx->buf);

	if (str_istarts(base, STR("sip:"))) {
		base.s += 4;
		base.len -= 4;
	}
	text_lit(t, "Record-Route: <sip:");
	if ((state->flags & STATE_RR_USER) != 0 && uri != NULL && uri->user.len != 0) {
		text_put(t, sip_text(ctx->buf, uri->user));
		text_lit(t, "@");
	}
	text_put(t, base);
	if ((state->flags & STATE_RR_LR_ON) != 0)
		text_lit(t, ";lr=on;" SIP_VIA_TOKEN_PARAM "=");
	else
		text_lit(t, ";lr;" SIP_VIA_TOKEN_PARAM "=");
}

/* The host that the script gave for side 0 (outgoing) or 1; empty: the listener's. */
static struct str host_of(
	const struct route_ctx *ctx, const struct proxy_state *state, unsigned side)
{
	if ((state->flags & STATE_RR_ADVERTISED) != 0)
		return route_text_str(ctx, state->rr_host[0]);
	return (state->flags & STATE_RR_PRESET) != 0 ? route_text_str(ctx, state->rr_host[side])
						     : STR_NONE;
}

void proxy_record_route_write(struct proxy *p, struct route_ctx *ctx, const struct keys *keys,
	const struct sockets *s, unsigned out_listener)
{
	const struct proxy_state *state = proxy_state(ctx);
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf);
	struct str tag = from != NULL ? sip_text(ctx->buf, from->tag) : STR_NONE;
	struct str params = route_text_str(ctx, state->rr_params);
	char buf[RECORD_ROUTE_TEXT_MAX], token[ROUTE_TOKEN_LEN];
	struct text t = {buf, 0, sizeof(buf), false};
	const struct sip_header *before;
	bool preset = (state->flags & STATE_RR_PRESET) != 0;
	unsigned values = 1;
	uint32_t off;

	if (preset)
		values = state->rr_host[1].space != ROUTE_SPACE_NONE ? 2 : 1;
	else if ((state->flags & STATE_RR_SINGLE) == 0 && out_listener != ctx->origin.listener &&
		 proxy_sockets_has(
			 s, ctx->origin.listener)) /* a reload may have taken it away meanwhile */
		values = 2;
	proxy_route_token_write(
		keys, sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_CALL_ID)), tag, token);
	for (unsigned side = 0; side < values; side++) {
		/* The first faces where the request goes to. */
		put_base(&t, ctx, s, side == 0 ? out_listener : ctx->origin.listener,
			host_of(ctx, state, side));
		text_put(&t, (struct str){token, sizeof(token)});
		if ((state->flags & STATE_RR_FTAG) != 0 && tag_fits_uri(tag)) {
			text_lit(&t, ";ftag=");
			text_put(&t, tag);
		}
		text_put(&t, params);
		if (values == 2)
			text_lit(&t, ";r2=on");
		text_lit(&t, ">\r\n");
	}
	if (t.full) {
		ctx->edits.overflow = true;
		return;
	}
	/* Above the other Record-Routes, else below the Vias. */
	before = sip_msg_header(&ctx->msg, SIP_HEADER_RECORD_ROUTE, 0);
	off = before != NULL ? before->name
			     : sip_msg_line_end(
				       &ctx->msg, &ctx->msg.header[ctx->msg.last[SIP_HEADER_VIA]]);
	sip_edit_insert(&ctx->edits, off, SIP_EDIT_FIRST, (struct str){t.s, t.len});
}
