/* SPDX-License-Identifier: BSD-3-Clause */
/* 401 and 407 (RFC 3261 22.2, 22.3, RFC 7616 3.3): one header line for each algorithm, the
 * strongest first (RFC 8760 2.3), all with one nonce that says what was offered. */
#include "auth/internal.h"

#define LINE_FIXED 192 /* all of a line but its name, realm and nonce */
#define LINES_MAX (2 * AUTH_ALGORITHMS)
#define HEADERS_MAX (LINES_MAX * (LINE_FIXED + AUTH_NONCE_MAX + 3 * (AUTH_REALM_MAX + 1)))

bool auth_algorithms_read(struct str list, struct auth_offer *out)
{
	struct sip_span value, whole = {0, list.len};
	uint32_t at = 0;

	out->algorithms = 0;
	out->sessions = 0;
	while (list.len != 0 && sip_list_next(list.s, whole, &at, &value)) {
		struct str name = sip_text(list.s, value), tail = STR("-sess");
		bool session = name.len > tail.len &&
			       str_ieq(str_of(name.s + name.len - tail.len, tail.len), tail);
		int algorithm;

		if (session)
			name.len -= tail.len;
		algorithm = auth_algorithm_of(name);
		if (algorithm < 0)
			return false;
		if (session)
			out->sessions |= (uint8_t)(1u << algorithm);
		else
			out->algorithms |= (uint8_t)(1u << algorithm);
	}
	if (out->algorithms == 0 && out->sessions == 0)
		out->algorithms = 1u << AUTH_MD5;
	return true;
}

struct challenge {
	struct str name, realm, nonce;
	enum auth_qop qop;
	bool stale;
};

static char *put_line(
	char *at, const struct challenge *c, enum auth_algorithm algorithm, bool session)
{
	at = auth_put_lit(auth_put(at, c->name), ": Digest realm=\"");
	at = auth_put_quoted(at, c->realm);
	if (at == NULL)
		return NULL;
	at = auth_put_lit(auth_put(auth_put_lit(at, "\", nonce=\""), c->nonce), "\"");
	if (c->qop == AUTH_QOP_AUTH)
		at = auth_put_lit(at, ", qop=\"auth\"");
	if (c->qop == AUTH_QOP_AUTH_INT)
		at = auth_put_lit(at, ", qop=\"auth-int\"");
	if (c->stale)
		at = auth_put_lit(at, ", stale=true");
	at = auth_put(auth_put_lit(at, ", algorithm="), auth_algorithm_name(algorithm));
	if (session)
		at = auth_put_lit(at, "-sess");
	return auth_put_lit(at, "\r\n");
}

/* All lines at `out`; their length, 0 where they cannot be written. */
static uint32_t put_lines(char *out, const struct challenge *c, const struct auth_offer *offer)
{
	char *at = out;

	for (int i = AUTH_ALGORITHMS - 1; i >= 0 && at != NULL; i--) {
		if ((offer->algorithms >> i & 1) != 0)
			at = put_line(at, c, (enum auth_algorithm)i, false);
		if (at != NULL && (offer->sessions >> i & 1) != 0)
			at = put_line(at, c, (enum auth_algorithm)i, true);
	}
	return at != NULL ? (uint32_t)(at - out) : 0;
}

/* The lines behind those that the script has gathered. */
static bool add_lines(struct auth *a, const struct auth_settings *s, struct route_ctx *ctx,
	struct challenge *c, const struct auth_offer *offer)
{
	char text[HEADERS_MAX], nonce[AUTH_NONCE_MAX];

	c->nonce = str_of(
		nonce, auth_nonce_write(a, s, ctx, c->realm, offer, auth_checks(s, ctx), nonce));
	if (c->nonce.len == 0)
		return false;
	return auth_reply_lines(ctx, str_of(text, put_lines(text, c, offer)));
}

/* There is no challenge. */
static int32_t instead(struct route_ctx *ctx, int64_t flags, uint16_t status)
{
	if ((flags & AUTH_CHALLENGE_NO_500) == 0) {
		proxy_reply_set(ctx, status, STR_NONE);
		proxy_reply_chosen(ctx);
	}
	return -2;
}

int32_t auth_challenge(struct auth *a, struct route_ctx *ctx, struct str realm, int64_t flags,
	const struct auth_offer *algorithms, bool www)
{
	const struct auth_settings *s = auth_settings(a);
	struct auth_offer offer = {s->algorithms, s->sessions, s->qop};
	char room[AUTH_REALM_MAX];
	struct challenge c = {.name = auth_text_str(www ? &s->www_header : &s->proxy_header),
		.realm = auth_realm_of(s, ctx, realm, room),
		.stale = ctx->stale_nonce || (flags & AUTH_CHALLENGE_STALE) != 0};

	if (ctx->result.forward || ctx->msg.is_response || ctx->msg.method == SIP_METHOD_ACK)
		return -3;
	/* Who is right and who is wrong nobody knows, and a 401 would have phones ask their users.
	 * No Retry-After: RFC 7339 5.10.2. */
	if (ctx->no_secret)
		return instead(ctx, flags, 503);
	if (algorithms != NULL)
		offer = *algorithms;
	offer.qop = (flags & AUTH_CHALLENGE_QOP_AUTH_INT) != 0 ? AUTH_QOP_AUTH_INT
		    : (flags & AUTH_CHALLENGE_QOP_AUTH) != 0   ? AUTH_QOP_AUTH
							       : s->qop;
	c.qop = offer.qop;
	if (c.realm.len == 0 || !add_lines(a, s, ctx, &c, &offer))
		return instead(ctx, flags, 500);
	proxy_reply_set(ctx, www ? 401 : 407, STR_NONE);
	proxy_reply_chosen(ctx);
	auth_count(a, ctx, AUTH_COUNTER_CHALLENGES);
	return AUTH_OK;
}
