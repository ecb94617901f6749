/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Responses (RFC 3261 16.7 steps 1 to 3 and 9, 16.11, 18.1.2): ours by the top Via and its token,
 * or dropped; then to where the Via below says, from the listener that received the request.
 */
#include "proxy/internal.h"

/* 18.1.2: the sent-by is one that we write. */
static bool is_ours(const struct sockets *s, const struct route_ctx *ctx, const struct sip_via *top)
{
	if (proxy_socket_wrote(s, ctx->origin.listener, sip_text(ctx->buf, top->sent_by)) &&
		top->transport == s->socket[ctx->origin.listener].listener.transport)
		return true;
	return proxy_sockets_is_myself(s, sip_text(ctx->buf, top->host),
		top->port != 0 ? top->port : SIP_DEFAULT_PORT, top->transport);
}

/* What our token binds, as the response has it. False: what stands there cannot have been ours. */
static bool bound_of(
	struct proxy *p, struct route_ctx *ctx, const struct sip_via *next, struct via_bound *out)
{
	memset(&out->received, 0, sizeof(out->received));
	if (!sip_msg_cseq(&ctx->msg, ctx->buf))
		return false;
	out->next = next;
	out->cseq = ctx->msg.cseq_number;
	out->call_id = proxy_call_id_digest(p, ctx);
	if (next == NULL)
		return true;
	if (next->received_is_ip4) {
		out->received.family = 4;
		out->received.v4 = next->received_ip4;
	} else if (sip_present(next->received) &&
		   net_addr_parse(sip_text(ctx->buf, next->received), &out->received) != 0) {
		return false;
	}
	out->buf = ctx->buf;
	out->rport = next->rport;
	out->method = ctx->msg.cseq_method;
	out->method_text = ctx->msg.cseq_method_text;
	return true;
}

/* 18.2.2 and RFC 3581 4. What we wrote into `received` and `rport` is covered by the token. */
static bool response_address(const struct via_bound *bound, struct net_endpoint *out)
{
	const struct sip_via *via = bound->next;
	const char *buf = bound->buf;
	uint16_t sent_by_port = via->port != 0 ? via->port : SIP_DEFAULT_PORT;

	memset(out, 0, sizeof(*out));
	out->port = sent_by_port;
	if (sip_present(via->maddr) && net_addr_parse(sip_text(buf, via->maddr), &out->addr) == 0)
		return true;
	if (sip_present(via->received)) {
		if (via->rport != 0)
			out->port = via->rport;
		out->addr = bound->received;
		return true;
	}
	/* Without `received` the host was the source's address itself. */
	if (via->host_is_ip4) {
		out->addr.family = 4;
		out->addr.v4 = via->ip4;
		return true;
	}
	return net_addr_parse(sip_text(buf, via->host), &out->addr) == 0;
}

/* The listener that received the request; where that is another node's, the one that the response
 * came by. */
static int response_listener(const struct sockets *s, const struct route_ctx *ctx,
	const struct via_token *token, const struct net_addr *to)
{
	int listener = proxy_sockets_by_id(s, token->listener);

	if (listener >= 0 && s->socket[listener].listener.ep.addr.family == to->family)
		return listener;
	return proxy_sockets_choose(s, ctx->origin.listener, -1, to);
}

/* Nothing but our own requests has no Via below ours, and of these only a CANCEL is answered. */
static bool is_to_own_cancel(struct route_ctx *ctx)
{
	return sip_msg_cseq(&ctx->msg, ctx->buf) && ctx->msg.cseq_method == SIP_METHOD_CANCEL;
}

/* Whose it is. */
static void note_owner(
	struct route_ctx *ctx, const struct sockets *s, const struct via_token *token)
{
	struct proxy_state *state = proxy_state(ctx);

	state->flags |= STATE_OWNER | (token->node == s->node ? STATE_OURS : 0);
	state->branch_key = token->key;
	state->owner = token->owner;
	state->branch = token->branch;
}

enum proxy_verdict proxy_response_receive(
	struct proxy *p, struct route_ctx *ctx, enum sip_error error, enum proxy_reason *reason)
{
	const struct sockets *s = proxy_sockets(p);
	const struct keys *keys = proxy_keys(p);
	struct route_target *target = &ctx->result.target;
	const struct sip_via *top, *next;
	struct via_token token;
	struct via_bound bound;
	int listener;

	*reason = PROXY_REASON_NONE;
	if (error != SIP_OK)
		return PROXY_DROP; /* counted under the error's own name */
	top = sip_msg_via(&ctx->msg, ctx->buf, 0);
	*reason = PROXY_REASON_VIA_NOT_OURS;
	if (keys == NULL || s == NULL || top == NULL || !is_ours(s, ctx, top))
		return PROXY_DROP;
	next = sip_msg_via(&ctx->msg, ctx->buf, 1);
	*reason = PROXY_REASON_VIA_NONE_BELOW;
	if (next == NULL && !is_to_own_cancel(ctx))
		return PROXY_DROP;
	if (next != NULL)
		*reason = PROXY_REASON_VIA_MAC;
	if (!bound_of(p, ctx, next, &bound) ||
		!proxy_via_token_verify(keys, sip_text(ctx->buf, top->token),
			sip_text(ctx->buf, top->branch), &bound, &token))
		return PROXY_DROP;
	if (token.stateful)
		note_owner(ctx, s, &token);
	*reason = PROXY_REASON_NONE;
	if (next == NULL)
		return PROXY_GO;
	*reason = PROXY_REASON_RESPONSE_TARGET;
	if (!response_address(&bound, &target->ep))
		return PROXY_DROP;
	listener = response_listener(s, ctx, &token, &target->ep.addr);
	if (listener < 0 || s->socket[listener].listener.transport != SIP_TRANSPORT_UDP ||
		!proxy_sockets_may_send(&s->socket[listener], &target->ep))
		return PROXY_DROP;
	*reason = PROXY_REASON_NONE;
	target->transport = SIP_TRANSPORT_UDP;
	target->listener = (int16_t)listener;
	target->destination = -1;
	target->valid = true;
	ctx->result.forward = true;
	return PROXY_GO;
}

/* What goes with the top Via: its line, or the value up to the next one on it. */
static struct sip_span top_via(const struct sip_msg *msg, const struct sip_via *top)
{
	const struct sip_header *h = &msg->header[top->header];

	if (top->next != 0)
		return (struct sip_span){top->value.off, top->next - top->value.off};
	return (struct sip_span){h->name, sip_msg_line_end(msg, h) - h->name};
}

/* Without edits of the script: what stands before the start line goes, and the top Via. */
static int64_t write_straight(const struct route_ctx *ctx, const struct sip_via *top, char *out)
{
	struct sip_span gone = top_via(&ctx->msg, top);
	uint32_t begin = ctx->msg.start_line.off, end = gone.off + gone.len;
	char *at = proxy_put_piece(out, ctx, begin, gone.off);

	memcpy(at, ctx->buf + end, ctx->msg.len - end);
	return at + (ctx->msg.len - end) - out;
}

int64_t proxy_response_write(
	struct proxy *p, struct route_ctx *ctx, char *out, uint32_t room, struct proxy_out *to)
{
	const struct route_target *target = &ctx->result.target;
	const struct sip_via *top = sip_msg_via(&ctx->msg, ctx->buf, 0);
	struct proxy_state *state = proxy_state(ctx);
	int64_t len;

	if (!target->valid || top == NULL ||
		proxy_listener_at(p, (unsigned)target->listener) == NULL)
		return -(int64_t)PROXY_REASON_RESPONSE_TARGET;
	if (room > SIP_MSG_UDP_OUT_MAX)
		room = SIP_MSG_UDP_OUT_MAX;
	if (ctx->edits.count == 0 && !ctx->edits.overflow && ctx->msg.len + PIECE <= room) {
		len = write_straight(ctx, top, out);
	} else {
		if ((state->flags & STATE_WRITTEN) == 0) {
			sip_edit_delete_value(&ctx->edits, &ctx->msg, ctx->buf,
				&ctx->msg.header[top->header], top->value);
			if (ctx->msg.start_line.off != 0)
				sip_edit_delete(&ctx->edits, 0, ctx->msg.start_line.off);
			state->flags |= STATE_WRITTEN;
		}
		len = sip_edit_apply(&ctx->edits, ctx->buf, ctx->msg.len, out, room);
	}
	if (len < 0)
		return -(int64_t)PROXY_REASON_TOO_LARGE;
	to->dst = target->ep;
	to->listener = (uint16_t)target->listener;
	to->destination = -1;
	return len;
}
