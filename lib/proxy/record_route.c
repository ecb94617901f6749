/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our Record-Route (RFC 3261 16.6 step 4, RFC 5658): one value, or two where the message leaves
 * from another listener than it came by. Written when the outgoing listener is known; each value
 * carries the token that proves later that the dialog passed here.
 */
#include "proxy/internal.h"

/* Pieces of text that are joined where they end up. */
#define PIECES_MAX 24 /* two values of 11 at most */

struct pieces {
	unsigned count;
	struct str piece[PIECES_MAX];
};

static inline void add(struct pieces *t, struct str s)
{
	t->piece[t->count++] = s;
}

/* RFC 3261 25.1, paramchar without escapes. */
static const bool paramchar[256] = {
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
static bool tag_fits_uri(struct str tag)
{
	if (tag.len == 0 || tag.len >= HOST_MAX)
		return false;
	for (uint32_t i = 0; i < tag.len; i++)
		if (!paramchar[(uint8_t)tag.s[i]])
			return false;
	return true;
}

/* What stands before the token: a listener, or the host that the script gave. */
static void add_base(
	struct pieces *t, struct route_ctx *ctx, const struct socket *socket, struct str host)
{
	const struct proxy_state *state = proxy_state(ctx);
	struct str base = host.len != 0 ? host : (struct str){socket->sip, socket->sip_len};
	const struct sip_uri *uri;

	if (host.len == 0 && (state->flags & (STATE_RR_USER | STATE_RR_LR_ON)) == 0) {
		add(t, (struct str){socket->record, socket->record_len});
		return;
	}
	uri = sip_msg_uri(&ctx->msg, ctx->buf);
	if (str_istarts(base, STR("sip:"))) {
		base.s += 4;
		base.len -= 4;
	}
	add(t, STR("Record-Route: <sip:"));
	if ((state->flags & STATE_RR_USER) != 0 && uri != NULL && uri->user.len != 0) {
		add(t, sip_text(ctx->buf, uri->user));
		add(t, STR("@"));
	}
	add(t, base);
	if ((state->flags & STATE_RR_LR_ON) != 0)
		add(t, STR(";lr=on;" SIP_VIA_TOKEN_PARAM "="));
	else
		add(t, STR(";lr;" SIP_VIA_TOKEN_PARAM "="));
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
	struct sip_span tag_at = from != NULL ? from->tag : (struct sip_span){0, 0};
	struct str tag = sip_text(ctx->buf, tag_at);
	struct str params = route_text_str(ctx, state->rr_params);
	char token[ROUTE_TOKEN_LEN + TOKEN_SLACK];
	struct pieces t;
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
	proxy_route_token_write(keys, proxy_call_id_digest(p, ctx), ctx->buf, tag_at, token);
	t.count = 0;
	for (unsigned side = 0; side < values; side++) {
		/* The first faces where the request goes to. */
		add_base(&t, ctx, &s->socket[side == 0 ? out_listener : ctx->origin.listener],
			host_of(ctx, state, side));
		add(&t, (struct str){token, ROUTE_TOKEN_LEN});
		if ((state->flags & STATE_RR_FTAG) != 0 && tag_fits_uri(tag)) {
			add(&t, STR(";ftag="));
			add(&t, tag);
		}
		add(&t, params);
		add(&t, values == 2 ? STR(";r2=on>\r\n") : STR(">\r\n"));
	}
	/* Above the other Record-Routes, else below the Vias. */
	before = sip_msg_header(&ctx->msg, SIP_HEADER_RECORD_ROUTE, 0);
	off = before != NULL ? before->name
			     : sip_msg_line_end(
				       &ctx->msg, &ctx->msg.header[ctx->msg.last[SIP_HEADER_VIA]]);
	sip_edit_insert_parts(&ctx->edits, off, SIP_EDIT_FIRST, t.piece, t.count);
}
