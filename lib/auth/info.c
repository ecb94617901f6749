/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Authentication-Info and Proxy-Authentication-Info (RFC 7616 3.5): what a reply tells who was
 * found right: that we know his password, too, and the nonce that he shall use next.
 */
#include "auth/internal.h"

/* All of a line but its texts. */
#define INFO_FIXED 160
#define INFO_MAX \
	(INFO_FIXED + AUTH_NONCE_MAX + AUTH_HEX_MAX + 2 * AUTH_CNONCE_MAX + (int)sizeof("00000000"))

char *auth_put_quoted(char *at, struct str text)
{
	for (uint32_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.s[i];

		if (c < ' ' || c == 0x7f)
			return NULL;
		if (c == '"' || c == '\\')
			*at++ = '\\';
		*at++ = (char)c;
	}
	return at;
}

bool auth_reply_lines(struct route_ctx *ctx, struct str lines)
{
	struct str part[] = {route_text_str(ctx, ctx->result.headers), lines};
	uint8_t failure = ctx->failure;
	struct route_text joined;

	if (lines.len == 0)
		return false;
	joined = route_text_join(ctx, part, 2);
	if (joined.space == ROUTE_SPACE_NONE) {
		ctx->failure = failure; /* the reply says so */
		return false;
	}
	ctx->result.headers = joined;
	return true;
}

/* Whether the nonce shall not be used again: it has one use, or half of its time is over. */
static bool wants_next(const struct auth_attempt *t)
{
	const struct auth_params *p = &t->settings->p;

	return p->one_time != 0 || t->nonce.age_s > p->nonce_expire / 2;
}

/* Where the body of the reply counts (auth-int), it is not there yet. */
static char *put_proof(char *at, struct auth_attempt *t, struct auth_hasher *hasher, struct str ha1)
{
	struct auth_response r = t->response;
	struct auth_hex proof;

	r.method = STR_NONE;
	if (!auth_hash_response(hasher, &r, ha1, &proof))
		return NULL;
	at = auth_put(auth_put_lit(at, "qop=auth, rspauth=\""), auth_hex_str(&proof));
	at = auth_put_quoted(auth_put_lit(at, "\", cnonce=\""), r.cnonce);
	return at != NULL ? auth_put(auth_put_lit(at, "\", nc="), r.nc) : NULL;
}

void auth_info(struct auth_attempt *t, struct auth_hasher *hasher, struct str ha1)
{
	char text[INFO_MAX], nonce[AUTH_NONCE_MAX], *at = text;
	bool next = wants_next(t), proof = t->response.qop == AUTH_QOP_AUTH;
	uint32_t len;

	if (!next && !proof)
		return;
	if (t->header == SIP_HEADER_PROXY_AUTHORIZATION)
		at = auth_put_lit(at, "Proxy-");
	at = auth_put_lit(at, "Authentication-Info: ");
	if (next) {
		len = auth_nonce_write(t->auth, t->settings, t->ctx, t->realm, &t->nonce.offer,
			auth_checks(t->settings, t->ctx), nonce);
		if (len == 0)
			return;
		at = auth_put(auth_put_lit(at, "nextnonce=\""), str_of(nonce, len));
		at = auth_put_lit(at, "\"");
	}
	if (next && proof)
		at = auth_put_lit(at, ", ");
	if (proof)
		at = put_proof(at, t, hasher, ha1);
	if (at == NULL)
		return;
	at = auth_put_lit(at, "\r\n");
	(void)auth_reply_lines(t->ctx, str_of(text, (size_t)(at - text)));
}
