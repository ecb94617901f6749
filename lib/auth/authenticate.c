/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The steps from a request to a verdict (RFC 3261 22.1 to 22.4, RFC 7616 3.4.6): credentials for
 * the realm, a nonce of ours that offered what they use, the password, the Request-URI, and that
 * they have not come before. What can be refused without a database is refused in front of it; only
 * right credentials leave a mark.
 */
#include "auth/internal.h"
#include "base/mac_chain.h"

#define NC_DIGITS 8

struct str auth_realm_of(const struct auth_settings *s, struct route_ctx *ctx, struct str realm,
	char room[AUTH_REALM_MAX])
{
	const struct str prefix = auth_text_str(&s->realm_prefix);
	const struct sip_address *address;
	struct str user;

	if (realm.len == 0) {
		address = ctx->msg.method == SIP_METHOD_REGISTER
				  ? sip_msg_to(&ctx->msg, ctx->buf)
				  : sip_msg_from(&ctx->msg, ctx->buf);
		if (address == NULL ||
			!auth_uri_read(sip_text(ctx->buf, address->uri), &user, &realm))
			return STR_NONE;
		if (realm.len > AUTH_REALM_MAX)
			return STR_NONE;
		str_lower(room, realm);
		realm.s = room;
	}
	if (prefix.len != 0 && realm.len > prefix.len &&
		str_eq(str_of(realm.s, prefix.len), prefix))
		realm = str_of(realm.s + prefix.len, realm.len - prefix.len);
	return realm.len <= AUTH_REALM_MAX ? realm : STR_NONE;
}

/* The name in front of the first '@', and what is behind it. */
static void split_user(struct str user, struct str *name, struct str *domain)
{
	int64_t at = str_find(user, '@');

	*name = at < 0 ? user : str_of(user.s, (size_t)at);
	*domain = at < 0 ? STR_NONE : str_of(user.s + at + 1, user.len - (uint32_t)at - 1);
}

static bool hex_number(struct str text, uint32_t *out)
{
	uint32_t v = 0;

	if (text.len != NC_DIGITS)
		return false;
	for (uint32_t i = 0; i < text.len; i++) {
		char c = str_lower_char(text.s[i]);

		if (str_is_digit(c))
			v = v << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint32_t)(c - 'a' + 10);
		else
			return false;
	}
	*out = v;
	return true;
}

/* "SHA-256-sess" and its like; without a word it is MD5 (RFC 7616 3.4). */
static bool read_algorithm(const struct auth_attempt *t, enum auth_algorithm *algorithm, bool *sess)
{
	struct str text = sip_text(t->ctx->buf, t->digest.text[SIP_DIGEST_ALGORITHM]), tail;
	int found;

	*algorithm = AUTH_MD5;
	*sess = false;
	if (!sip_digest_has(&t->digest, SIP_DIGEST_ALGORITHM))
		return true;
	tail = STR("-sess");
	if (text.len > tail.len && str_ieq(str_of(text.s + text.len - tail.len, tail.len), tail)) {
		*sess = true;
		text.len -= tail.len;
	}
	found = auth_algorithm_of(text);
	*algorithm = (enum auth_algorithm)found;
	return found >= 0;
}

static bool read_qop(const struct auth_attempt *t, enum auth_qop *qop)
{
	struct str text = sip_text(t->ctx->buf, t->digest.text[SIP_DIGEST_QOP]);

	*qop = AUTH_QOP_NONE;
	if (!sip_digest_has(&t->digest, SIP_DIGEST_QOP))
		return true;
	*qop = str_ieq(text, STR("auth")) ? AUTH_QOP_AUTH : AUTH_QOP_AUTH_INT;
	return *qop == AUTH_QOP_AUTH || str_ieq(text, STR("auth-int"));
}

/* The values that the hashes are made of. False: something is missing, or exceeds its bound. */
static bool read_values(struct auth_attempt *t)
{
	const struct sip_digest *d = &t->digest;
	struct auth_response *r = &t->response;
	const struct route_ctx *ctx = t->ctx;

	/* Neither was offered: a hash of the user's name, or a name in another encoding. */
	if (sip_digest_has(d, SIP_DIGEST_USERNAME_EXT) ||
		str_ieq(sip_text(ctx->buf, d->text[SIP_DIGEST_USERHASH]), STR("true")))
		return false;
	if (!sip_digest_text(ctx->buf, d, SIP_DIGEST_USERNAME, t->user_room, sizeof(t->user_room),
		    &t->user) ||
		!sip_digest_text(
			ctx->buf, d, SIP_DIGEST_URI, t->uri_room, sizeof(t->uri_room), &r->uri) ||
		!sip_digest_text(ctx->buf, d, SIP_DIGEST_CNONCE, t->cnonce_room,
			sizeof(t->cnonce_room), &r->cnonce) ||
		t->user.len > AUTH_USER_MAX || r->uri.len > AUTH_URI_MAX ||
		r->cnonce.len > AUTH_CNONCE_MAX)
		return false;
	split_user(t->user, &t->name, &t->domain);
	r->nonce = sip_text(ctx->buf, d->text[SIP_DIGEST_NONCE]);
	r->nc = sip_text(ctx->buf, d->text[SIP_DIGEST_NC]);
	r->body = str_of(ctx->buf + ctx->msg.body, ctx->msg.body_len);
	t->count = 0;
	/* RFC 7616 3.4: with qop both have to be there. */
	if (r->qop != AUTH_QOP_NONE && (!sip_digest_has(d, SIP_DIGEST_CNONCE) ||
					       !hex_number(r->nc, &t->count) || t->count == 0))
		return false;
	return t->name.len != 0 && (!r->session || sip_digest_has(d, SIP_DIGEST_CNONCE));
}

/* Whether the challenge that a nonce comes from has offered this. */
static bool was_offered(const struct auth_offer *offer, const struct auth_response *r)
{
	uint8_t of = r->session ? offer->sessions : offer->algorithms;

	return (of >> r->algorithm & 1) != 0 && r->qop == offer->qop;
}

static int32_t refuse(struct auth_attempt *t, enum auth_counter counter, enum auth_result result)
{
	auth_count(t->auth, t->ctx, counter);
	t->ctx->stale_nonce = result == AUTH_STALE_NONCE;
	return result;
}

/* Whether nonce-counts are looked at. */
static inline bool is_counted(const struct auth_attempt *t)
{
	return t->settings->p.nonce_count != 0 && t->response.qop != AUTH_QOP_NONE;
}

/* Whether each use of a nonce, or its only one, is good once. */
static inline bool has_window(const struct auth_attempt *t)
{
	return is_counted(t) || t->settings->p.one_time != 0;
}

static int32_t check_nonce(struct auth_attempt *t)
{
	switch (auth_nonce_read(t->auth, t->settings, t->ctx, t->realm, t->response.nonce,
		auth_checks(t->settings, t->ctx), &t->nonce)) {
	case AUTH_NONCE_FORGED:
		return refuse(t, AUTH_COUNTER_FORGED, AUTH_STALE_NONCE);
	case AUTH_NONCE_STALE:
		return refuse(t, AUTH_COUNTER_STALE, AUTH_STALE_NONCE);
	case AUTH_NONCE_GOOD:
		break;
	}
	if (!was_offered(&t->nonce.offer, &t->response))
		return refuse(t, AUTH_COUNTER_DOWNGRADED, AUTH_ERROR);
	/* Which of its counts have come only its maker knows. */
	if (has_window(t) && !t->nonce.own)
		return refuse(t, AUTH_COUNTER_STALE, AUTH_STALE_NONCE);
	return 0;
}

/* Whether its source has had so many wrong passwords that it has to wait. */
static bool is_limited(const struct auth_attempt *t)
{
	return t->settings->wrong != NULL &&
	       access_rate_spent(
		       t->settings->wrong, &t->ctx->origin.src.addr, t->ctx->thread->now_ns);
}

static int32_t refuse_wrong(
	struct auth_attempt *t, enum auth_counter counter, enum auth_result result)
{
	if (t->settings->wrong != NULL)
		(void)access_rate_take(
			t->settings->wrong, &t->ctx->origin.src.addr, t->ctx->thread->now_ns);
	return refuse(t, counter, result);
}

int32_t auth_attempt_begin(struct auth_attempt *t, struct auth *a, struct route_ctx *ctx,
	enum sip_header_id id, struct str realm)
{
	t->auth = a;
	t->settings = auth_settings(a);
	t->ctx = ctx;
	t->header = id;
	ctx->stale_nonce = false;
	ctx->no_secret = false;
	/* RFC 3261 22.1: an ACK has no answer, a CANCEL cannot be sent again; PRACK as Kamailio. */
	if (ctx->msg.method == SIP_METHOD_ACK || ctx->msg.method == SIP_METHOD_CANCEL ||
		ctx->msg.method == SIP_METHOD_PRACK)
		return AUTH_OK;
	t->realm = auth_realm_of(t->settings, ctx, realm, t->realm_room);
	if (t->realm.len == 0)
		return AUTH_ERROR;
	switch (sip_digest_find(&ctx->msg, ctx->buf, id, t->realm, &t->digest)) {
	case SIP_DIGEST_NONE:
		return refuse(t, AUTH_COUNTER_NONE, AUTH_NO_CREDENTIALS);
	case SIP_DIGEST_BAD:
		return refuse(t, AUTH_COUNTER_MALFORMED, AUTH_ERROR);
	case SIP_DIGEST_FOUND:
		break;
	}
	if (is_limited(t)) {
		ctx->no_secret = true;
		return refuse(t, AUTH_COUNTER_LIMITED, AUTH_ERROR);
	}
	if (!read_algorithm(t, &t->response.algorithm, &t->response.session) ||
		!read_qop(t, &t->response.qop) || !read_values(t))
		return refuse(t, AUTH_COUNTER_MALFORMED, AUTH_ERROR);
	return check_nonce(t);
}

/* ---- with the password ---- */

/* Whether there is something to verify credentials by. An empty column is no password: else whoever
 * knows of it would have it. */
static bool has_secret(const struct auth_attempt *t, const struct auth_secret *secret)
{
	switch (secret->kind) {
	case AUTH_SECRET_NONE:
		return false;
	case AUTH_SECRET_PASSWORD:
		return secret->text.len != 0 && secret->text.len <= AUTH_PASSWORD_MAX;
	default:
		return secret->text.len == auth_hex_len(t->response.algorithm);
	}
}

/* H(A1). Where there is no secret, something else, by the same steps. */
static bool find_ha1(struct auth_attempt *t, struct auth_hasher *h,
	const struct auth_secret *secret, struct auth_hex *out)
{
	static const char nobody[AUTH_HEX_MAX + 1] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	uint32_t len = auth_hex_len(t->response.algorithm);
	struct str text = secret->text;
	bool clear = secret->kind == AUTH_SECRET_PASSWORD;

	if (!has_secret(t, secret)) {
		clear = secret->kind == AUTH_SECRET_NONE ? secret->clear : clear;
		text = str_of(nobody, clear ? 8 : len);
	}
	if (clear)
		return auth_hash_password(h, t->response.algorithm, t->user, t->realm, text, out);
	/* Where others have clear passwords this one, too, takes their steps. */
	if (secret->clear && !auth_hash_password(h, t->response.algorithm, t->user, t->realm,
				     str_of(nobody, 8), out))
		return false;
	str_lower(out->text, text);
	out->len = len;
	return true;
}

/* The response in lower case, as clients should write it. */
static bool response_is(const struct auth_attempt *t, const struct auth_hex *want)
{
	struct str said = sip_text(t->ctx->buf, t->digest.text[SIP_DIGEST_RESPONSE]);
	char lower[AUTH_HEX_MAX];

	if (said.len > sizeof(lower))
		return false;
	str_lower(lower, said);
	return auth_hex_equal(want, str_of(lower, said.len));
}

static bool is_myself(const struct route_ctx *ctx, struct str host)
{
	const struct route_hooks *hooks = route_script_hooks(ctx->script);

	return hooks->is_myself != NULL &&
	       hooks->is_myself(hooks->room, host, 0, SIP_TRANSPORT_NONE);
}

/*
 * RFC 8760 2.6: whether the uri of the credentials means what the Request-URI does. Clients differ
 * in ports and parameters, and in which of our names they write.
 */
static bool uri_fits(struct auth_attempt *t)
{
	struct route_ctx *ctx = t->ctx;
	struct str said = t->response.uri;
	const struct sip_uri *own;
	struct sip_uri uri;

	if (str_eq(said, sip_text(ctx->buf, ctx->msg.uri_text)))
		return true;
	own = sip_msg_uri(&ctx->msg, ctx->buf);
	if (own == NULL || said.len == 0 ||
		sip_uri_parse(said.s, (struct sip_span){0, said.len}, &uri) != 0)
		return false;
	if (sip_uri_equal(said.s, &uri, ctx->buf, own))
		return true;
	if (!str_eq(sip_text(said.s, uri.user), sip_text(ctx->buf, own->user)) ||
		uri.host.len == 0 || own->host.len == 0)
		return false;
	return str_ieq(sip_text(said.s, uri.host), sip_text(ctx->buf, own->host)) ||
	       (is_myself(ctx, sip_text(said.s, uri.host)) &&
		       is_myself(ctx, sip_text(ctx->buf, own->host)));
}

/*
 * What makes a message the same as one before: its octets and where they come from. Four chains of
 * AES blocks side by side, since each block of one chain waits for the one before; what they end in
 * goes into one code with the length.
 */
#define LANES 4

struct message_sum {
	__m128i lane[LANES];
	uint64_t len, port;
	uint64_t source[2];
};

MAC_INLINE void add_lanes(
	mac_encrypt_fn *encrypt, const struct mac_key *key, struct message_sum *sum, const char *at)
{
	for (unsigned i = 0; i < LANES; i++)
		sum->lane[i] =
			encrypt(key, _mm_xor_si128(sum->lane[i], mac_load(at + i * MAC_BLOCK)));
}

MAC_INLINE void sum_with(mac_encrypt_fn *encrypt, const struct mac_key *key,
	struct message_sum *sum, const char *at, const char *end)
{
	char last[LANES * MAC_BLOCK] = {0};

	for (; end - at >= LANES * MAC_BLOCK; at += LANES * MAC_BLOCK)
		add_lanes(encrypt, key, sum, at);
	memcpy(last, at, (size_t)(end - at));
	add_lanes(encrypt, key, sum, last);
}

MAC_AESNI static void sum_aesni(
	const struct mac_key *key, struct message_sum *sum, const char *at, const char *end)
{
	sum_with(mac_encrypt_aesni, key, sum, at, end);
}

static struct hash128 message_digest(const struct auth_attempt *t)
{
	const struct mac_key *key = &t->auth->echo_key;
	const struct route_ctx *ctx = t->ctx;
	const char *at = ctx->buf + ctx->msg.start_line.off, *end = ctx->buf + ctx->msg.len;
	struct message_sum sum = {.len = (uint64_t)(end - at),
		.port = ctx->origin.src.port,
		.source = {ctx->origin.src.addr.q[0], ctx->origin.src.addr.q[1]}};

	if (mac_has_aes)
		sum_aesni(key, &sum, at, end);
	else
		sum_with(mac_encrypt_portable, key, &sum, at, end);
	return mac_bytes(key, &sum, sizeof(sum));
}

/* That this use of the nonce is its first one. */
static int32_t check_window(struct auth_attempt *t)
{
	bool counted = is_counted(t);
	struct auth_window *w = &t->auth->window;
	enum auth_window_verdict verdict;
	struct hash128 digest;

	if (!has_window(t))
		return AUTH_OK;
	verdict = auth_window_take(w, t->nonce.thread, t->nonce.serial, counted ? t->count : 1);
	if (verdict == AUTH_WINDOW_LOST)
		return refuse(t, AUTH_COUNTER_STALE, AUTH_STALE_NONCE);
	digest = message_digest(t);
	if (verdict == AUTH_WINDOW_NEW) {
		auth_window_accepted(w, digest, t->ctx->thread->now_ns);
		return AUTH_OK;
	}
	if (!auth_window_again(w, digest, t->ctx->thread->now_ns))
		return refuse(
			t, AUTH_COUNTER_REPLAYED, counted ? AUTH_STALE_NONCE : AUTH_NONCE_REUSED);
	auth_count(t->auth, t->ctx, AUTH_COUNTER_REPEATED);
	return AUTH_OK;
}

int32_t auth_attempt_end(
	struct auth_attempt *t, const struct auth_secret *secret, struct str method)
{
	struct auth_thread *thread = auth_thread(t->auth, t->ctx);
	struct auth_hex ha1, want;
	int32_t result;
	bool right;

	t->response.method = method;
	if (thread == NULL || !find_ha1(t, &thread->hasher, secret, &ha1) ||
		!auth_hash_response(&thread->hasher, &t->response, auth_hex_str(&ha1), &want))
		return AUTH_ERROR;
	right = response_is(t, &want);
	if (secret->kind == AUTH_SECRET_NONE)
		return refuse_wrong(t, AUTH_COUNTER_UNKNOWN, AUTH_USER_UNKNOWN);
	if (!right || !has_secret(t, secret))
		return refuse_wrong(t, AUTH_COUNTER_WRONG, AUTH_WRONG_PASSWORD);
	if (t->settings->p.check_uri != 0 && !uri_fits(t))
		return refuse(t, AUTH_COUNTER_OTHER_URI, AUTH_ERROR);
	result = check_window(t);
	if (result != AUTH_OK)
		return result;
	auth_count(t->auth, t->ctx, AUTH_COUNTER_ACCEPTED);
	t->ctx->credentials = (uint8_t)(t->digest.header + 1);
	if (t->settings->p.info != 0)
		auth_info(t, &thread->hasher, auth_hex_str(&ha1));
	/* Only who is at that address has seen the nonce. */
	if ((auth_checks(t->settings, t->ctx) & AUTH_CHECK_SOURCE) != 0)
		proxy_source_verified(t->ctx);
	return AUTH_OK;
}

/* ---- who it was ---- */

bool auth_verified(struct route_ctx *ctx, struct auth_verified *out)
{
	struct str user;

	if (ctx->credentials == 0 || ctx->credentials > ctx->msg.header_count ||
		sip_digest_parse(ctx->buf, sip_header_value(&ctx->msg.header[ctx->credentials - 1]),
			&out->digest) != SIP_DIGEST_OK ||
		!sip_digest_text(ctx->buf, &out->digest, SIP_DIGEST_USERNAME, out->name_room,
			sizeof(out->name_room), &user) ||
		!sip_digest_text(ctx->buf, &out->digest, SIP_DIGEST_REALM, out->realm_room,
			sizeof(out->realm_room), &out->realm))
		return false;
	split_user(user, &out->name, &out->domain);
	out->digest.header = (uint8_t)(ctx->credentials - 1);
	return true;
}

bool auth_domain_fits(struct str domain, struct str host)
{
	return domain.len == 0 || str_ieq(domain, host);
}

/* Users and, where it counts, domains of two URIs are the same. */
static bool same_user(
	struct str a_user, struct str a_host, struct str b_user, struct str b_host, bool use_domain)
{
	return str_eq(a_user, b_user) && (!use_domain || str_ieq(a_host, b_host));
}

int32_t auth_check_identity(
	struct route_ctx *ctx, struct str name, struct str domain, int64_t checks, bool use_domain)
{
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf),
				 *to = sip_msg_to(&ctx->msg, ctx->buf);
	struct str from_user, from_host, to_user, to_host, user, host;
	enum sip_method method = (enum sip_method)ctx->msg.method;
	bool of_to = method == SIP_METHOD_REGISTER || method == SIP_METHOD_PUBLISH;
	bool skipped = (checks & AUTH_SKIP_FROM) != 0 &&
		       (method == SIP_METHOD_INVITE || method == SIP_METHOD_BYE ||
			       method == SIP_METHOD_PRACK || method == SIP_METHOD_UPDATE ||
			       method == SIP_METHOD_MESSAGE);

	if ((checks & AUTH_IDENTITY) == 0)
		return AUTH_OK;
	if (from == NULL || to == NULL)
		return AUTH_ERROR;
	/* Who has no user is no user's. */
	if (!auth_uri_read(sip_text(ctx->buf, from->uri), &from_user, &from_host) ||
		!auth_uri_read(sip_text(ctx->buf, to->uri), &to_user, &to_host))
		return AUTH_ERROR;
	if (!skipped && (!str_eq(name, of_to ? to_user : from_user) ||
				!auth_domain_fits(domain, of_to ? to_host : from_host)))
		return AUTH_USER_MISMATCH;
	if (of_to && !same_user(from_user, from_host, to_user, to_host, use_domain))
		return AUTH_USER_MISMATCH;
	if (method != SIP_METHOD_PUBLISH)
		return AUTH_OK;
	if (!auth_uri_read(sip_text(ctx->buf, ctx->msg.uri_text), &user, &host))
		return AUTH_ERROR;
	return same_user(from_user, from_host, user, host, use_domain) ? AUTH_OK
								       : AUTH_USER_MISMATCH;
}
