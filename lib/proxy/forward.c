/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a request goes (RFC 3261 16.5, 16.6 steps 6 and 7, RFC 3263): the next hop's URI, its
 * address, whether we may send there, and from which listener.
 */
#include "proxy/internal.h"

/* What a name or an address became. */
struct hop {
	struct net_endpoint ep;
	int listener;
	unsigned nth; /* asked for: of a name's addresses that can be used, that many are passed
			 over */
};

static const struct {
	uint16_t status;
	const char *reason;
} refusals[PROXY_REFUSAL_COUNT] = {[PROXY_REFUSAL_NONE] = {500, "Server Internal Error"},
#define PROXY_REFUSAL(id, code, text) [PROXY_REFUSAL_##id] = {code, text},
	PROXY_REFUSALS(PROXY_REFUSAL)
#undef PROXY_REFUSAL
};

enum proxy_refusal proxy_refusal(const struct route_ctx *ctx)
{
	return (enum proxy_refusal)((const struct proxy_state *)ctx->scratch[ROUTE_SCRATCH_PROXY])
		->refusal;
}

int32_t proxy_forward_refuse(struct route_ctx *ctx, enum proxy_refusal refusal)
{
	proxy_state(ctx)->refusal = (uint8_t)refusal;
	/* A script that goes on without looking still gives the caller an answer; whatever it
	 * decides later replaces it. */
	if (refusal != PROXY_REFUSAL_TWICE) {
		proxy_reply_set(ctx, refusals[refusal].status, str_c(refusals[refusal].reason));
		proxy_state(ctx)->flags &= ~(uint32_t)STATE_REPLIED;
	}
	return -1 - (int32_t)refusal;
}

/* Picks the listener and says whether it may send there. */
static enum proxy_refusal hop_check(
	const struct sockets *s, struct route_ctx *ctx, int wanted, struct hop *hop)
{
	struct proxy_state *state = proxy_state(ctx);

	if (wanted < 0 && ctx->socket >= 0)
		wanted = ctx->socket;
	if (wanted < 0 && state->route_listener != 0 && state->route_listener <= s->count &&
		s->socket[state->route_listener - 1].listener.ep.addr.family == hop->ep.addr.family)
		wanted = state->route_listener - 1;
	hop->listener = proxy_sockets_choose(s, ctx->origin.listener, wanted, &hop->ep.addr);
	if (hop->listener < 0) {
		static const struct socket none;

		/* Where nothing may be sent to anyway, that is why. */
		return proxy_sockets_may_send(&none, &hop->ep) ? PROXY_REFUSAL_NO_LISTENER
							       : PROXY_REFUSAL_ADDRESS;
	}
	return proxy_sockets_may_send(&s->socket[hop->listener], &hop->ep) ? PROXY_REFUSAL_NONE
									   : PROXY_REFUSAL_ADDRESS;
}

/* hop->ep.addr is where it goes. */
static int32_t use_address(
	struct route_ctx *ctx, const struct sockets *s, uint16_t port, struct hop *hop)
{
	enum proxy_refusal refusal;

	hop->ep.port = port != 0 ? port : SIP_DEFAULT_PORT;
	refusal = hop->nth != 0 ? PROXY_REFUSAL_UNRESOLVED : hop_check(s, ctx, -1, hop);
	return refusal == PROXY_REFUSAL_NONE ? ROUTE_TRUE : proxy_forward_refuse(ctx, refusal);
}

/* One address of a name. */
static enum proxy_refusal try_endpoint(struct route_ctx *ctx, const struct sockets *s,
	const struct net_endpoint *ep, uint16_t port, struct hop *hop)
{
	hop->ep = *ep;
	if (port != 0 || hop->ep.port == 0)
		hop->ep.port = port != 0 ? port : SIP_DEFAULT_PORT;
	return hop_check(s, ctx, -1, hop);
}

/* Of the addresses of a name, in the call's order, that one of our listeners can reach, the one
 * that is asked for; its place among them is `*at`. */
static int32_t choose_found(struct proxy *p, struct route_ctx *ctx, const struct sockets *s,
	const struct resolve_addresses *found, uint16_t port, struct hop *hop, unsigned *at)
{
	enum proxy_refusal refusal = PROXY_REFUSAL_UNRESOLVED;
	uint8_t order[RESOLVE_ADDRESSES_MAX];
	unsigned usable = 0;

	if (found->shared)
		resolve_order(found, proxy_call_id_digest(p, ctx).lo, order);
	for (unsigned i = 0; i < found->count; i++) {
		*at = found->shared ? order[i] : i;
		refusal = try_endpoint(ctx, s, &found->ep[*at], port, hop);
		if (refusal == PROXY_REFUSAL_NONE && usable++ == hop->nth)
			return ROUTE_TRUE;
	}
	return proxy_forward_refuse(ctx, usable != 0 ? PROXY_REFUSAL_UNRESOLVED : refusal);
}

static enum resolve_role role_of(const struct route_ctx *ctx)
{
	switch (ctx->msg.method) {
	case SIP_METHOD_INVITE:
		return RESOLVE_INVITE;
	case SIP_METHOD_CANCEL:
	case SIP_METHOD_ACK:
		return RESOLVE_FOLLOWS;
	default:
		return RESOLVE_OTHER;
	}
}

/* The name's answer has changed lately: without state, what follows a request goes where it went
 * (RFC 3261 16.11). */
static __attribute__((noinline)) int32_t use_changed(struct proxy *p, struct route_ctx *ctx,
	const struct sockets *s, const struct resolve_addresses *found, uint16_t port,
	struct hop *hop)
{
	const struct resolve_addresses *from = found;
	struct hash128 key = proxy_transaction_key(p, ctx);
	enum resolve_role role = role_of(ctx);
	uint64_t now = ctx->thread->now_ns;
	struct net_endpoint bound;
	unsigned at = 0;
	int32_t ret;

	if (resolve_follow(p->resolver, &from, key, role, now, &bound) &&
		try_endpoint(ctx, s, &bound, port, hop) == PROXY_REFUSAL_NONE)
		return ROUTE_TRUE;
	ret = choose_found(p, ctx, s, from, port, hop, &at);
	if (ret == ROUTE_TRUE && role != RESOLVE_FOLLOWS)
		resolve_bind(p->resolver, found, key, role, now, &found->ep[at]);
	return ret;
}

static int32_t use_found(struct proxy *p, struct route_ctx *ctx, const struct sockets *s,
	const struct resolve_addresses *found, uint16_t port, struct hop *hop)
{
	unsigned at;

	if (found->former != NULL && !ctx->thread->has_state)
		return use_changed(p, ctx, s, found, port, hop);
	return choose_found(p, ctx, s, found, port, hop, &at);
}

/* RFC 3263 4: `kind` where no port is given. */
static int32_t resolve_host(struct proxy *p, struct route_ctx *ctx, const struct sockets *s,
	enum resolve_kind kind, struct str host, uint16_t port, struct hop *hop)
{
	const struct resolve_addresses *found;

	memset(&hop->ep, 0, sizeof(hop->ep));
	if (net_addr_parse(host, &hop->ep.addr) == 0)
		return use_address(ctx, s, port, hop);
	if (p->resolver == NULL || host.len == 0 || host.len > RESOLVE_NAME_MAX)
		return proxy_forward_refuse(ctx, PROXY_REFUSAL_UNRESOLVED);
	if (port != 0)
		kind = RESOLVE_ADDRESS;
	switch (resolve_find(resolver_snapshot(p->resolver), kind, host, &found)) {
	case RESOLVE_MISSING:
		/* Where it is the script's own text, the resolver is to know. */
		if (route_wait_name(ctx, host, (uint8_t)kind) != ROUTE_PENDING)
			break;
		return ROUTE_PENDING;
	case RESOLVE_FOUND:
		return use_found(p, ctx, s, found, port, hop);
	case RESOLVE_FAILED:
		break;
	}
	return proxy_forward_refuse(ctx, PROXY_REFUSAL_UNRESOLVED);
}

static int32_t set_target(struct route_ctx *ctx, const struct hop *hop, int32_t destination)
{
	struct route_result *result = &ctx->result;

	result->target.ep = hop->ep;
	result->target.transport = SIP_TRANSPORT_UDP;
	result->target.listener = (int16_t)hop->listener;
	result->target.destination = destination;
	result->target.valid = true;
	result->forward = true;
	/* The refusal of an earlier try is void; a provisional reply of the script's own still
	 * goes. */
	result->reply = result->reply && (proxy_state(ctx)->flags & STATE_REPLIED) != 0;
	proxy_state(ctx)->refusal = PROXY_REFUSAL_NONE;
	return ROUTE_TRUE;
}

/* The Request-URI as it will leave. */
struct current {
	const struct sip_uri *uri; /* NULL: it is none */
	const char *base;          /* that its spans count from */
	struct sip_uri parsed;     /* where it is not the message's own */
};

/* 16.6 step 2: what a Contact's URI may have and a Request-URI may not, headers and `method`. The
 * URI is the context's. */
static __attribute__((noinline)) bool strip_uri(struct route_ctx *ctx, const struct sip_uri *uri)
{
	struct str text = route_ctx_uri(ctx), part[2];
	struct sip_span gone = {0, 0};
	uint32_t end = uri->headers.len != 0 ? uri->headers.off - 1 : text.len;

	if (!sip_param_find(text.s, uri->params, STR("method"), NULL, &gone)) {
		ctx->uri.len = end;
		return true;
	}
	part[0] = (struct str){text.s, gone.off};
	part[1] = (struct str){text.s + gone.off + gone.len, end - gone.off - gone.len};
	ctx->uri = route_text_join(ctx, part, 2);
	return ctx->uri.space != ROUTE_SPACE_NONE;
}

static void read_current(struct route_ctx *ctx, struct current *out)
{
	struct str text;

	if (ctx->uri.space == ROUTE_SPACE_NONE) {
		out->base = ctx->buf;
		out->uri = sip_msg_uri(&ctx->msg, ctx->buf);
		/* One with headers has been answered 400. */
		if (out->uri == NULL || !out->uri->has_method)
			return;
		ctx->uri = route_text_of_span(out->uri->all);
	}
	/* Once, but for a URI with something to take away. */
	do {
		text = route_ctx_uri(ctx);
		out->base = text.s;
		out->uri = sip_uri_parse(text.s, (struct sip_span){0, text.len}, &out->parsed) == 0
				   ? &out->parsed
				   : NULL;
		if (out->uri == NULL || (out->uri->headers.len == 0 && !out->uri->has_method))
			return;
	} while (strip_uri(ctx, out->uri));
	out->uri = NULL;
}

/* What holds for any way to forward; `*current` is read on the way. */
static enum proxy_refusal may_forward(
	struct proxy *p, struct route_ctx *ctx, struct current *current)
{
	const struct proxy_state *state = proxy_state(ctx);
	struct route_value_at below;

	if (ctx->msg.is_response || ctx->result.forward)
		return PROXY_REFUSAL_TWICE;
	/* After a provisional reply the request may go on. */
	if (ctx->result.reply && (state->flags & STATE_REPLIED) != 0 && ctx->result.status >= 200)
		return PROXY_REFUSAL_TWICE;
	if (sip_msg_max_forwards(&ctx->msg, ctx->buf) && ctx->msg.max_forwards == 0)
		return PROXY_REFUSAL_MAX_FORWARDS;
	/* 16.4 comes before any choice, whether or not the script has called loose_route(). */
	proxy_route_set_preprocess(p, ctx);
	read_current(ctx, current);
	if (current->uri == NULL)
		return PROXY_REFUSAL_URI;
	/* What comes up when ours is gone has not been looked at before. */
	if (state->pop != 0 && proxy_route_set_remains(ctx) &&
		!proxy_route_set_at(ctx, state->pop, false, &below))
		return PROXY_REFUSAL_URI;
	/* sips wants TLS on every hop: never less. */
	return current->uri->scheme == SIP_SCHEME_SIPS ? PROXY_REFUSAL_SIPS : PROXY_REFUSAL_NONE;
}

/* Resolves one next-hop URI, whose spans count from `base`. */
static int32_t resolve_parsed(struct proxy *p, struct route_ctx *ctx, const char *base,
	const struct sip_uri *uri, struct hop *hop)
{
	if (uri->scheme == SIP_SCHEME_SIPS)
		return proxy_forward_refuse(ctx, PROXY_REFUSAL_SIPS);
	if (uri->scheme != SIP_SCHEME_SIP)
		return proxy_forward_refuse(ctx, PROXY_REFUSAL_NO_ROUTE);
	if (uri->transport != SIP_TRANSPORT_NONE && uri->transport != SIP_TRANSPORT_UDP)
		return proxy_forward_refuse(ctx, PROXY_REFUSAL_TRANSPORT);
	if (uri->host_is_ip4 && !uri->has_maddr) {
		memset(&hop->ep, 0, sizeof(hop->ep));
		hop->ep.addr.family = 4;
		hop->ep.addr.v4 = uri->ip4;
		return use_address(ctx, proxy_sockets(p), uri->port, hop);
	}
	return resolve_host(p, ctx, proxy_sockets(p),
		uri->transport == SIP_TRANSPORT_NONE ? RESOLVE_SIP : RESOLVE_SIP_UDP,
		sip_text(base, uri->has_maddr ? uri->maddr : uri->host), uri->port, hop);
}

static int32_t resolve_uri(struct proxy *p, struct route_ctx *ctx, struct str text, struct hop *hop)
{
	struct sip_uri uri;

	if (sip_uri_parse(text.s, (struct sip_span){0, text.len}, &uri) != 0)
		return proxy_forward_refuse(ctx, PROXY_REFUSAL_URI);
	return resolve_parsed(p, ctx, text.s, &uri, hop);
}

int32_t proxy_forward_uri(struct proxy *p, struct route_ctx *ctx, struct str uri)
{
	struct current current;
	enum proxy_refusal refusal = may_forward(p, ctx, &current);
	struct hop hop;
	int32_t ret;

	hop.nth = 0;
	if (refusal != PROXY_REFUSAL_NONE)
		return proxy_forward_refuse(ctx, refusal);
	ret = resolve_uri(p, ctx, uri, &hop);
	return ret == ROUTE_TRUE ? set_target(ctx, &hop, -1) : ret;
}

int32_t proxy_forward_host(struct proxy *p, struct route_ctx *ctx, enum resolve_kind kind,
	struct str host, uint16_t port)
{
	struct current current;
	enum proxy_refusal refusal = may_forward(p, ctx, &current);
	struct hop hop;
	int32_t ret;

	hop.nth = 0;
	if (refusal != PROXY_REFUSAL_NONE)
		return proxy_forward_refuse(ctx, refusal);
	ret = resolve_host(p, ctx, proxy_sockets(p), kind, host, port, &hop);
	return ret == ROUTE_TRUE ? set_target(ctx, &hop, -1) : ret;
}

/* $du: by its address where who set it knows that. */
static int32_t forward_du(struct proxy *p, struct route_ctx *ctx, unsigned nth)
{
	const struct route_target *target = &ctx->du_target;
	struct hop hop;
	enum proxy_refusal refusal;
	int32_t ret;

	hop.nth = nth;
	if (!target->valid) {
		ret = resolve_uri(p, ctx, route_text_str(ctx, ctx->du), &hop);
		return ret == ROUTE_TRUE ? set_target(ctx, &hop, -1) : ret;
	}
	if (target->transport != SIP_TRANSPORT_NONE && target->transport != SIP_TRANSPORT_UDP)
		return proxy_forward_refuse(ctx, PROXY_REFUSAL_TRANSPORT);
	if (nth != 0)
		return proxy_forward_refuse(ctx, PROXY_REFUSAL_UNRESOLVED);
	hop.ep = target->ep;
	/* The script's own choice of a socket goes before the destination's. */
	refusal = hop_check(
		proxy_sockets(p), ctx, ctx->socket >= 0 ? ctx->socket : target->listener, &hop);
	if (refusal != PROXY_REFUSAL_NONE)
		return proxy_forward_refuse(ctx, refusal);
	return set_target(ctx, &hop, target->destination);
}

/* The Route values that a registration brought (RFC 3327 5.3) stand above the message's own. */
static __attribute__((noinline)) int32_t forward_path(
	struct proxy *p, struct route_ctx *ctx, unsigned nth)
{
	struct hop hop;
	struct sip_uri uri;
	struct str text;
	int32_t ret;

	hop.nth = nth;
	if (!proxy_path_next(ctx, &text, &uri))
		return proxy_forward_refuse(ctx, PROXY_REFUSAL_URI);
	ret = resolve_parsed(p, ctx, text.s, &uri, &hop);
	return ret == ROUTE_TRUE ? set_target(ctx, &hop, -1) : ret;
}

int32_t proxy_next_hop(struct proxy *p, struct route_ctx *ctx, unsigned nth)
{
	struct proxy_state *state = proxy_state(ctx);
	struct current current;
	enum proxy_refusal refusal = may_forward(p, ctx, &current);
	struct hop hop;
	struct route_value_at next;
	bool has_next;
	int32_t ret;

	if (refusal != PROXY_REFUSAL_NONE)
		return proxy_forward_refuse(ctx, refusal);
	if (ctx->du.space != ROUTE_SPACE_NONE || ctx->du_target.valid)
		return forward_du(p, ctx, nth);
	if (ctx->path.len != 0)
		return forward_path(p, ctx, nth);
	hop.nth = nth;
	has_next = sip_msg_has(&ctx->msg, SIP_HEADER_ROUTE) && proxy_route_set_remains(ctx);
	if (!has_next) {
		ret = resolve_parsed(p, ctx, current.base, current.uri, &hop);
		return ret == ROUTE_TRUE ? set_target(ctx, &hop, -1) : ret;
	}
	/* Whose Routes we do not know gets no relay by them. */
	if ((state->flags & (STATE_ROUTE_VALID | STATE_FLOW)) != STATE_ROUTE_VALID &&
		!proxy_sockets_trusts(proxy_sockets(p), ctx))
		return proxy_forward_refuse(ctx, PROXY_REFUSAL_ROUTE_TOKEN);
	if (!proxy_route_set_at(ctx, state->pop, false, &next))
		return proxy_forward_refuse(ctx, PROXY_REFUSAL_URI);
	ret = resolve_parsed(p, ctx, ctx->buf, &next.uri, &hop);
	if (ret != ROUTE_TRUE)
		return ret;
	if (!next.uri.lr)
		state->flags |= STATE_STRICT_NEXT;
	return set_target(ctx, &hop, -1);
}

void proxy_target_reset(struct route_ctx *ctx)
{
	struct route_target *target = &ctx->result.target;
	struct proxy_state *state = proxy_state(ctx);

	memset(target, 0, sizeof(*target));
	target->listener = -1;
	target->destination = -1;
	ctx->result.forward = false;
	/* The reply of a refusal; not one that the script chose. */
	ctx->result.reply = ctx->result.reply && (state->flags & STATE_REPLIED) != 0;
	state->flags &= ~(uint32_t)STATE_STRICT_NEXT;
	state->refusal = PROXY_REFUSAL_NONE;
}
