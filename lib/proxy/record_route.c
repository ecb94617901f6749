/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our Record-Route (RFC 3261 16.6 step 4, RFC 5658): one value, or two where the message leaves
 * from another listener than it came by. Written when the outgoing listener is known; each value
 * carries the token that proves later that the dialog passed here.
 */
#include "proxy/paramchar.h"

/* RFC 3261 25.1, paramchar without escapes. */
const bool proxy_paramchar[256] = {
	['a' ... 'z'] = true,
	['A' ... 'Z'] = true,
	['0' ... '9'] = true,
	['-'] = true,
	['_'] = true,
	['.'] = true,
	['!'] = true,
	['~'] = true,
	['*'] = true,
	['\''] = true,
	['('] = true,
	[')'] = true,
	['['] = true,
	[']'] = true,
	['/'] = true,
	[':'] = true,
	['&'] = true,
	['+'] = true,
	['$'] = true,
};

/* Whether a From tag can stand in a URI parameter as it is. */
static inline bool tag_fits_uri(const struct route_ctx *ctx, struct sip_span tag)
{
	uint32_t end = tag.off + tag.len;

	return tag.len != 0 && tag.len < HOST_MAX &&
	       proxy_paramchars(ctx->buf, ctx->msg.len, tag.off, end) == end;
}

/* Whether a value is anything but a listener's usual one. */
#define STATE_RR_OWN (STATE_RR_PRESET | STATE_RR_ADVERTISED | STATE_RR_USER | STATE_RR_LR_ON)

/* The host that the script gave for side 0 (outgoing) or 1; empty: the listener's. */
static struct str host_of(
	const struct route_ctx *ctx, const struct proxy_state *state, unsigned side)
{
	if ((state->flags & STATE_RR_ADVERTISED) != 0)
		return route_text_str(ctx, state->rr_host[0]);
	return (state->flags & STATE_RR_PRESET) != 0 ? route_text_str(ctx, state->rr_host[side])
						     : STR_NONE;
}

/* What stands before the token: a listener, or the host that the script gave. */
static char *put_own_base(
	char *at, struct route_ctx *ctx, const struct socket *socket, unsigned side)
{
	const struct proxy_state *state = proxy_state(ctx);
	struct str host = host_of(ctx, state, side),
		   base = host.len != 0 ? host : (struct str){socket->sip, socket->sip_len};
	const struct sip_uri *uri = sip_msg_uri(&ctx->msg, ctx->buf);

	if (str_istarts(base, STR("sip:"))) {
		base.s += 4;
		base.len -= 4;
	}
	at = put_lit(at, "Record-Route: <sip:");
	if ((state->flags & STATE_RR_USER) != 0 && uri != NULL && uri->user.len != 0) {
		at = put_str(at, sip_text(ctx->buf, uri->user));
		at = put_lit(at, "@");
	}
	at = put_str(at, base);
	if ((state->flags & STATE_RR_LR_ON) != 0)
		return put_lit(at, ";lr=on;" SIP_VIA_TOKEN_PARAM "=");
	return put_lit(at, ";lr;" SIP_VIA_TOKEN_PARAM "=");
}

static inline char *put_base(
	char *at, struct route_ctx *ctx, const struct socket *socket, unsigned side)
{
	if ((proxy_state(ctx)->flags & STATE_RR_OWN) != 0)
		return put_own_base(at, ctx, socket, side);
	return put_padded(at, socket->record, socket->record_len);
}

/* The most that put_base() writes. */
static inline uint32_t base_room(struct route_ctx *ctx, const struct socket *socket, unsigned side)
{
	const struct proxy_state *state = proxy_state(ctx);
	const struct sip_uri *uri;
	uint32_t room;

	if (__builtin_expect((state->flags & STATE_RR_OWN) == 0, 1))
		return socket->record_len;
	room = sizeof("Record-Route: <sip:@;lr=on;" SIP_VIA_TOKEN_PARAM "=") + socket->sip_len +
	       host_of(ctx, state, side).len;
	uri = sip_msg_uri(&ctx->msg, ctx->buf);
	return uri != NULL ? room + uri->user.len : room;
}

/* How many values are written: two where the sides differ. */
static unsigned values_of(
	const struct route_ctx *ctx, const struct sockets *s, unsigned out_listener)
{
	const struct proxy_state *state =
		(const struct proxy_state *)ctx->scratch[ROUTE_SCRATCH_PROXY];

	if ((state->flags & STATE_RR_PRESET) != 0)
		return state->rr_host[1].space != ROUTE_SPACE_NONE ? 2 : 1;
	/* A reload may have taken the other listener away meanwhile. */
	return (state->flags & STATE_RR_SINGLE) == 0 && out_listener != ctx->origin.listener &&
			       proxy_sockets_has(s, ctx->origin.listener)
		       ? 2
		       : 1;
}

uint32_t proxy_record_route_place(const struct sip_msg *msg)
{
	if (sip_msg_has(msg, SIP_HEADER_RECORD_ROUTE))
		return msg->header[msg->first[SIP_HEADER_RECORD_ROUTE]].name;
	return sip_msg_line_end(msg, &msg->header[msg->last[SIP_HEADER_VIA]]);
}

/* The dialog's tag so far. */
static inline struct sip_span from_tag(struct route_ctx *ctx)
{
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf);

	return from != NULL ? from->tag : (struct sip_span){0, 0};
}

uint32_t proxy_record_route_room(
	struct route_ctx *ctx, const struct sockets *s, unsigned out_listener)
{
	uint32_t tag = from_tag(ctx).len, room = base_room(ctx, &s->socket[out_listener], 0);
	uint32_t each = ROUTE_TOKEN_LEN + (uint32_t)sizeof(";ftag=;r2=on>\r\n") +
			proxy_state(ctx)->rr_params.len;

	/* A longer one is not written: it takes no room from the script's edits. */
	if (tag < HOST_MAX)
		each += tag;
	room += each;
	if (values_of(ctx, s, out_listener) == 2)
		room += base_room(ctx, &s->socket[ctx->origin.listener], 1) + each;
	return room;
}

char *proxy_record_route_put(char *at, struct route_ctx *ctx, const struct keys *keys,
	const struct sockets *s, unsigned out_listener, const struct hash128 *mac)
{
	const struct proxy_state *state = proxy_state(ctx);
	struct sip_span tag = from_tag(ctx);
	unsigned values = values_of(ctx, s, out_listener);
	uint64_t lo = mac->lo, hi = mac->hi;
	char *same;

	/* By halves, as it was stored: to load it as a whole would wait for both. */
	__asm__("" : "+r"(lo), "+r"(hi));

	/* The first faces where the request goes to. */
	at = put_base(at, ctx, &s->socket[out_listener], 0);
	same = at;
	at = proxy_route_token_put(at, keys, (struct hash128){lo, hi});
	if ((state->flags & STATE_RR_FTAG) != 0 && tag_fits_uri(ctx, tag)) {
		at = put_lit(at, ";ftag=");
		at = put_str(at, sip_text(ctx->buf, tag));
	}
	if (state->rr_params.space != ROUTE_SPACE_NONE)
		at = put_str(at, route_text_str(ctx, state->rr_params));
	if (values == 2)
		at = put_lit(at, ";r2=on");
	at = put_lit(at, ">\r\n");
	if (values == 2) {
		uint32_t len = (uint32_t)(at - same);

		at = put_base(at, ctx, &s->socket[ctx->origin.listener], 1);
		at = put_padded(at, same, len);
	}
	return at;
}
