/* SPDX-License-Identifier: BSD-3-Clause */
/* The request that leaves (RFC 3261 16.6): every change is an edit, and the edits are applied once.
 */
#include "proxy/internal.h"

/* 16.6 step 3. The script may have said more; nothing is decremented twice. */
static void write_max_forwards(struct route_ctx *ctx)
{
	const struct proxy_state *state = proxy_state(ctx);
	const struct sip_msg *msg = &ctx->msg;
	bool set = (state->flags & STATE_MAX_FORWARDS) != 0;
	char *at = sip_edit_begin(&ctx->edits, sizeof("Max-Forwards: 255\r\n"));

	if (at == NULL)
		return;
	if (sip_msg_has(msg, SIP_HEADER_MAX_FORWARDS)) {
		const struct sip_header *h = &msg->header[msg->first[SIP_HEADER_MAX_FORWARDS]];

		if (!sip_msg_max_forwards(&ctx->msg, ctx->buf))
			return; /* malformed, and let through by who checked */
		at = put_number(at, set ? state->max_forwards : (uint16_t)(msg->max_forwards - 1));
		sip_edit_end(&ctx->edits, h->value, h->value_len, SIP_EDIT_REPLACE, at);
	} else {
		at = put_lit(at, "Max-Forwards: ");
		at = put_number(at, set ? state->max_forwards : MAX_FORWARDS_DEFAULT);
		at = put_lit(at, "\r\n");
		sip_edit_end(&ctx->edits,
			sip_msg_line_end(msg, &msg->header[msg->last[SIP_HEADER_VIA]]), 0,
			SIP_EDIT_FIRST, at);
	}
}

/* What the layer below does to the Via of the client (18.2.1). */
static void write_stamp(struct sip_edits *edits, const struct via_stamp *stamp)
{
	for (unsigned i = 0; i < stamp->changes; i++) {
		uint32_t del = stamp->change[i].del;
		char *at = sip_edit_begin(edits, VIA_CHANGE_MAX);

		if (at == NULL)
			return;
		at = proxy_via_change_put(at, stamp, i);
		sip_edit_end(edits, stamp->change[i].off, del,
			del != 0 ? SIP_EDIT_REPLACE : SIP_EDIT_NORMAL, at);
	}
}

/* Where the request came in: what the token says of the way back. */
static void way_back(const struct route_ctx *ctx, const struct sockets *s, struct via_token *token,
	char place[TOKEN_PLACE_LEN])
{
	token->stateful = false;
	token->owner = 0;
	token->node = s->node;
	if (proxy_sockets_has(s, ctx->origin.listener)) {
		token->listener = s->socket[ctx->origin.listener].id;
		memcpy(place, s->socket[ctx->origin.listener].place, TOKEN_PLACE_LEN);
		return;
	}
	token->listener = proxy_listener_id(&ctx->origin.dst, ctx->origin.transport);
	proxy_place_write(place, token->node, token->listener);
}

#define VIA_ROOM \
	(SOCKET_TEXT_MAX + BRANCH_LEN + sizeof(";" SIP_VIA_TOKEN_PARAM "=;rport\r\n") + \
		TOKEN_LEN_MAX)

/* 16.6 step 8. */
static void write_vias(struct proxy *p, struct route_ctx *ctx, const struct keys *keys,
	const struct sockets *s, const struct socket *from, const struct sip_via *via)
{
	const struct proxy_state *state = proxy_state(ctx);
	struct via_token token;
	struct hash128 transaction = proxy_transaction_key(p, ctx);
	struct via_stamp stamp;
	struct via_bound bound;
	char *at = sip_edit_begin(&ctx->edits, VIA_ROOM), *branch, place[TOKEN_PLACE_LEN];

	if (at == NULL)
		return;
	way_back(ctx, s, &token, place);
	proxy_via_stamp(ctx, via, (state->flags & STATE_RPORT) != 0, &stamp);
	sip_msg_cseq(&ctx->msg, ctx->buf);
	bound = (struct via_bound){.buf = ctx->buf,
		.next = via,
		.rport = stamp.rport,
		.method = ctx->msg.cseq_method,
		.cseq = ctx->msg.cseq_number,
		.method_text = ctx->msg.cseq_method_text,
		.call_id = proxy_call_id_digest(p, ctx)};
	if (stamp.received_len != 0)
		bound.received = ctx->origin.src.addr;
	at = put_padded(at, from->via, from->via_len);
	branch = at;
	proxy_branch_write(branch, transaction);
	at = put_lit(at + BRANCH_LEN, ";" SIP_VIA_TOKEN_PARAM "=");
	at += proxy_via_token_write(keys, &token, place, transaction, branch, &bound, at);
	if ((state->flags & STATE_LOCAL_RPORT) != 0)
		at = put_lit(at, ";rport");
	at = put_lit(at, "\r\n");
	sip_edit_end(&ctx->edits, ctx->msg.header[ctx->msg.first[SIP_HEADER_VIA]].name, 0,
		SIP_EDIT_FIRST, at);
	write_stamp(&ctx->edits, &stamp);
}

/* 16.3 step 4: only what comes back to us as it came is a loop; with another R-URI or Route it is a
 * spiral. */
static bool is_loop(
	const struct route_ctx *ctx, const struct proxy_state *state, const struct sockets *s)
{
	const struct route_target *target = &ctx->result.target;

	/* Few next hops have as much as the bit of an address of ours. */
	return (s->addresses & proxy_address_bit(&target->ep.addr)) != 0 && state->pop == 0 &&
	       (state->flags & (STATE_POP_LAST | STATE_STRICT_NEXT)) == 0 &&
	       str_eq(route_ctx_uri(ctx), sip_text(ctx->buf, ctx->msg.uri_text)) &&
	       proxy_sockets_at_endpoint(s, &target->ep, target->transport) >= 0;
}

int64_t proxy_request_write(
	struct proxy *p, struct route_ctx *ctx, char *out, uint32_t room, struct proxy_out *to)
{
	const struct keys *keys = proxy_keys(p);
	const struct sockets *s = proxy_sockets(p);
	const struct route_target *target = &ctx->result.target;
	struct proxy_state *state = proxy_state(ctx);
	const struct sip_via *via = sip_msg_via(&ctx->msg, ctx->buf, 0);
	struct sip_edits *edits = &ctx->edits;
	int listener = target->listener;
	int64_t len;

	if ((state->flags & STATE_WRITTEN) != 0) {
		listener = state->out;
		goto apply;
	}
	if (keys == NULL || s == NULL || via == NULL || !target->valid)
		return -500;
	listener = proxy_sockets_choose(s, ctx->origin.listener, listener, &target->ep.addr);
	if (listener < 0 || !proxy_sockets_may_send(&s->socket[listener], &target->ep))
		return -500;
	if (is_loop(ctx, state, s))
		return -482;
	if (sip_msg_has(&ctx->msg, SIP_HEADER_ROUTE))
		proxy_route_set_write(ctx);
	if (ctx->uri.space != ROUTE_SPACE_NONE)
		sip_edit_replace(
			edits, ctx->msg.uri_text.off, ctx->msg.uri_text.len, route_ctx_uri(ctx));
	if (ctx->msg.start_line.off != 0)
		sip_edit_delete(edits, 0, ctx->msg.start_line.off);
	write_vias(p, ctx, keys, s, &s->socket[listener], via);
	if ((state->flags & STATE_RR) != 0)
		proxy_record_route_write(p, ctx, keys, s, (unsigned)listener);
	write_max_forwards(ctx);
	state->out = (uint16_t)listener;
	state->flags |= STATE_WRITTEN;
apply:
	if (edits->overflow)
		return -500;
	len = sip_edit_apply(edits, ctx->buf, ctx->msg.len, out,
		room < SIP_MSG_UDP_OUT_MAX ? room : SIP_MSG_UDP_OUT_MAX);
	if (len == -ENOSPC)
		return -513;
	if (len < 0)
		return -500;
	to->dst = target->ep;
	to->listener = (uint16_t)listener;
	to->destination = target->destination;
	return len;
}
