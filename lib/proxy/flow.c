/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Path (RFC 3327) with a flow token (RFC 5626 5.2): what a REGISTER that goes on says of the way
 * back. The URI is ours, and its token says where the REGISTER came from, by which listener, and
 * that we wrote it. A request that comes with it as its Route goes there and nowhere else, through
 * whatever NAT the REGISTER has opened: so the token gives nobody a relay, and needs no expiry.
 *
 * Token: key id (1), class 'f', node and listener (12), address and port (IPv4: 10, IPv6: 31), MAC
 * (12), in lower-case base32.
 */
#include "proxy/internal.h"

#define CLASS_FLOW 'f'
#define FLOW_IP4_LEN 10 /* 48 bits */
#define FLOW_IP6_LEN 31 /* 56, 56 and 32 bits */
#define HEAD_LEN (2 + TOKEN_PLACE_LEN)
#define FLOW_TOKEN_MAX (HEAD_LEN + FLOW_IP6_LEN + TOKEN_MAC_LEN)
static_assert(FLOW_TOKEN_MIN == HEAD_LEN + FLOW_IP4_LEN + TOKEN_MAC_LEN, "as the header says");
static_assert(FLOW_TOKEN_MIN > ROUTE_TOKEN_LEN, "told from the tokens of Record-Routes");

/* The most significant bytes of an address first, `n` of them, at the top of the word. */
static uint64_t bytes_at(const uint8_t *b, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)b[i] << (56 - 8 * i);
	return v;
}

static void bytes_from(uint8_t *b, unsigned n, uint64_t v)
{
	for (unsigned i = 0; i < n; i++)
		b[i] = (uint8_t)(v >> (56 - 8 * i));
}

static char *put_endpoint(char *at, const struct net_endpoint *ep)
{
	const uint8_t *b = ep->addr.b;

	if (ep->addr.family == 4) {
		hash_base32(at, bytes_at(b, 4) | (uint64_t)ep->port << 16, 5 * FLOW_IP4_LEN);
		return at + FLOW_IP4_LEN;
	}
	hash_base32(at, bytes_at(b, 7), 60);
	hash_base32(at + 12, bytes_at(b + 7, 7), 60);
	hash_base32(at + 24, bytes_at(b + 14, 2) | (uint64_t)ep->port << 32, 35);
	return at + FLOW_IP6_LEN;
}

static bool read_endpoint(struct str text, struct net_endpoint *ep)
{
	uint64_t v[3] = {0, 0, 0};

	memset(ep, 0, sizeof(*ep));
	if (text.len == FLOW_IP4_LEN) {
		if (!hash_unbase32(text, &v[0]))
			return false;
		ep->addr.family = 4;
		bytes_from(ep->addr.b, 4, v[0]);
		ep->port = (uint16_t)(v[0] >> 16);
		return true;
	}
	if (text.len != FLOW_IP6_LEN || !hash_unbase32((struct str){text.s, 12}, &v[0]) ||
		!hash_unbase32((struct str){text.s + 12, 12}, &v[1]) ||
		!hash_unbase32((struct str){text.s + 24, 7}, &v[2]))
		return false;
	ep->addr.family = 6;
	bytes_from(ep->addr.b, 7, v[0]);
	bytes_from(ep->addr.b + 7, 7, v[1]);
	bytes_from(ep->addr.b + 14, 2, v[2]);
	ep->port = (uint16_t)(v[2] >> 32);
	return true;
}

/* Of the characters of place and endpoint, in any case: no two texts stand for one flow. */
static struct hash128 flow_mac(const struct token_key *key, const char *text, uint32_t len)
{
	char lower[TOKEN_PLACE_LEN + FLOW_IP6_LEN];

	for (uint32_t i = 0; i < len; i++)
		lower[i] = str_lower_char(text[i]);
	return mac_bytes(&key->flow, lower, len);
}

bool proxy_flow_token_verify(
	const struct keys *keys, struct str text, uint64_t *listener, struct net_endpoint *ep)
{
	const struct token_key *key;
	struct via_token place;

	if (text.len < FLOW_TOKEN_MIN || str_lower_char(text.s[1]) != CLASS_FLOW)
		return false;
	key = proxy_token_key(keys, text.s[0]);
	if (key == NULL || !proxy_place_read(text.s + 2, &place) ||
		!read_endpoint(
			(struct str){text.s + HEAD_LEN, text.len - HEAD_LEN - TOKEN_MAC_LEN}, ep))
		return false;
	*listener = place.listener;
	return proxy_mac_equal((struct str){text.s + text.len - TOKEN_MAC_LEN, TOKEN_MAC_LEN},
		flow_mac(key, text.s + 2, text.len - 2 - TOKEN_MAC_LEN));
}

static char *put_token(
	char *at, const struct route_ctx *ctx, const struct keys *keys, const struct sockets *s)
{
	char mac[16], *text;

	*at++ = keys->mac[0].id;
	*at++ = CLASS_FLOW;
	text = at;
	proxy_place_write(at, s->node,
		proxy_sockets_has(s, ctx->origin.listener)
			? s->socket[ctx->origin.listener].id
			: proxy_listener_id(&ctx->origin.dst, ctx->origin.transport));
	at = put_endpoint(at + TOKEN_PLACE_LEN, &ctx->origin.src);
	hash_base32_of_80(mac, flow_mac(&keys->mac[0], text, (uint32_t)(at - text)));
	memcpy(at, mac, TOKEN_MAC_LEN);
	return at + TOKEN_MAC_LEN;
}

/* RFC 5626 5.1: only who is next to the user agent can keep its flow. */
static bool is_first_hop(struct route_ctx *ctx)
{
	const struct sip_via *via = sip_msg_via(&ctx->msg, ctx->buf, 0);

	return via != NULL && via->next == 0 &&
	       ctx->msg.first[SIP_HEADER_VIA] == ctx->msg.last[SIP_HEADER_VIA];
}

void proxy_path_header_write(struct route_ctx *ctx, const struct keys *keys,
	const struct sockets *s, unsigned out_listener)
{
	const struct proxy_state *state = proxy_state(ctx);
	const struct socket *k = &s->socket[out_listener];
	const struct sip_msg *msg = &ctx->msg;
	struct str user = route_text_str(ctx, state->path_user),
		   params = route_text_str(ctx, state->path_params);
	char source[NET_ENDPOINT_TEXT_MAX];
	uint32_t off = sip_msg_has(msg, SIP_HEADER_PATH)
			       ? msg->header[msg->first[SIP_HEADER_PATH]].name
			       : sip_msg_line_end(msg, &msg->header[msg->last[SIP_HEADER_VIA]]);
	char *at = sip_edit_begin(&ctx->edits,
		(uint32_t)sizeof(
			"Path: <sip:@;lr;ob;" SIP_VIA_TOKEN_PARAM "=;received=sip:;>\r\n") +
			user.len + params.len + k->sip_len + FLOW_TOKEN_MAX +
			NET_ENDPOINT_TEXT_MAX);

	if (at == NULL)
		return;
	at = put_lit(at, "Path: <sip:");
	if (user.len != 0) {
		at = put_str(at, user);
		at = put_lit(at, "@");
	}
	at = put_str(at, (struct str){k->sip + 4, k->sip_len - 4u});
	at = put_lit(at, ";lr");
	if (is_first_hop(ctx))
		at = put_lit(at, ";ob");
	at = put_lit(at, ";" SIP_VIA_TOKEN_PARAM "=");
	at = put_token(at, ctx, keys, s);
	if ((state->flags & STATE_PATH_RECEIVED) != 0) {
		at = put_lit(at, ";received=sip:");
		at = put_str(
			at, (struct str){source, net_endpoint_format(&ctx->origin.src, source)});
	}
	if (params.len != 0 && params.s[0] != ';')
		at = put_lit(at, ";");
	at = put_str(at, params);
	at = put_lit(at, ">\r\n");
	sip_edit_end(&ctx->edits, off, 0, SIP_EDIT_FIRST, at);
}
