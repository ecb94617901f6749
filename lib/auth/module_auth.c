/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSER module "auth": challenges, credentials whose password the script knows, and what a nonce
 * is. */
#include "auth/internal.h"

#include <openssl/evp.h>

/* ---- challenges ---- */

/* The third argument, a list of algorithms, is known when the file is read. */
static AUTH_CHECK(check_challenge)
{
	struct auth_offer *offer;
	int64_t flags;

	if (arg[1].constant && (!auth_arg_number(&arg[1].value, AUTH_CHALLENGE_FLAGS, &flags) ||
				       (flags & ~(int64_t)AUTH_CHALLENGE_FLAGS) != 0)) {
		route_error(report, &arg[1].place,
			"flags are the sum of 1 (qop=auth), 2 (qop=auth-int), 4 (no 500) and 16 "
			"(stale)");
		return -EINVAL;
	}
	if (n < 3)
		return 0;
	offer = calloc(1, sizeof(*offer));
	if (offer == NULL)
		return -ENOMEM;
	*data = offer;
	if (arg[2].constant && auth_algorithms_read(auth_arg_text(&arg[2].value), offer))
		return 0;
	free(offer);
	*data = NULL;
	route_error(report, &arg[2].place,
		"algorithms are a list of MD5, SHA-256, SHA-512-256, each also with -sess");
	return -EINVAL;
}

static int32_t challenge(struct route_ctx *ctx, const struct route_args *args, bool www)
{
	int64_t flags;

	if (!auth_arg_number(&args->v[1], AUTH_CHALLENGE_FLAGS, &flags))
		return ROUTE_FALSE;
	return auth_challenge(args->room, ctx, auth_arg_text(&args->v[0]), flags, args->data, www);
}

static AUTH_RUN(run_www_challenge)
{
	return challenge(ctx, args, true);
}

static AUTH_RUN(run_proxy_challenge)
{
	return challenge(ctx, args, false);
}

/* RFC 3261 22.2, 22.3: a registrar asks as a user agent server does. */
static AUTH_RUN(run_auth_challenge)
{
	return challenge(ctx, args, ctx->msg.method == SIP_METHOD_REGISTER);
}

/* ---- credentials ---- */

/* RFC 3261 22.3: what a proxy has used up is nobody's business behind it. */
static AUTH_RUN(run_consume_credentials)
{
	const struct sip_header *h;

	if (ctx->credentials == 0 || ctx->credentials > ctx->msg.header_count)
		return ROUTE_FALSE;
	h = &ctx->msg.header[ctx->credentials - 1];
	return sip_edit_delete(&ctx->edits, h->name, sip_msg_line_end(&ctx->msg, h) - h->name) == 0
		       ? ROUTE_TRUE
		       : ROUTE_FALSE;
}

static AUTH_RUN(run_has_credentials)
{
	struct auth *a = args->room;
	char room[AUTH_REALM_MAX];
	struct str realm = auth_realm_of(auth_settings(a), ctx, auth_arg_text(&args->v[0]), room);
	struct sip_digest digest;

	return realm.len != 0 &&
			       (sip_digest_find(&ctx->msg, ctx->buf, SIP_HEADER_PROXY_AUTHORIZATION,
					realm, &digest) == SIP_DIGEST_FOUND ||
				       sip_digest_find(&ctx->msg, ctx->buf,
					       SIP_HEADER_AUTHORIZATION, realm,
					       &digest) == SIP_DIGEST_FOUND)
		       ? ROUTE_TRUE
		       : ROUTE_FALSE;
}

static AUTH_RUN(run_is_user)
{
	struct auth_verified who;

	return args->v[0].type == ROUTE_STR && auth_verified(ctx, &who) &&
			       str_eq(who.name, args->v[0].s)
		       ? ROUTE_TRUE
		       : ROUTE_FALSE;
}

/* ---- with a password that the script knows ---- */

#define PV_HA1 1          /* it is H(A1) */
#define PV_TO_AVP 14      /* challenges into an AVP */
#define PV_FLAGS (1 | 32) /* 32: wrong credentials use no nonce-count up, as they never do here */
#define PV_FLAGS_MAX 63

static AUTH_CHECK(check_pv)
{
	int64_t number;

	if (!arg[2].constant)
		return 0;
	if (auth_arg_number(&arg[2].value, PV_FLAGS_MAX, &number) && (number & ~PV_FLAGS) == 0)
		return 0;
	if (auth_arg_number(&arg[2].value, PV_FLAGS_MAX, &number) && (number & PV_TO_AVP) != 0)
		route_error(report, &arg[2].place,
			"no challenge is put into an AVP: www_challenge() and its kin make it");
	else
		route_error(report, &arg[2].place,
			"flags are the sum of 1 (the password is HA1) and 32");
	return -EINVAL;
}

static AUTH_CHECK(check_pv_check)
{
	int64_t checks;

	if (arg[3].constant &&
		!auth_arg_number(&arg[3].value, AUTH_IDENTITY | AUTH_SKIP_FROM, &checks)) {
		route_error(report, &arg[3].place,
			"checks are the sum of 1 (the user of From or To) and 2 (not of INVITE and "
			"its like)");
		return -EINVAL;
	}
	return check_pv(room, config, arg, n, place, report, data);
}

/* `who` may be NULL. */
static int32_t pv_authenticate(struct route_ctx *ctx, const struct route_args *args,
	enum sip_header_id id, struct str method, struct auth_attempt *t)
{
	struct auth_secret secret = {.text = auth_arg_text(&args->v[1])};
	int64_t flags;
	int32_t ret;

	if (secret.text.len == 0 || !auth_arg_number(&args->v[2], PV_FLAGS_MAX, &flags))
		return AUTH_ERROR;
	secret.kind = (flags & PV_HA1) != 0 ? AUTH_SECRET_HA1 : AUTH_SECRET_PASSWORD;
	ret = auth_attempt_begin(t, args->room, ctx, id, auth_arg_text(&args->v[0]));
	return ret != 0 ? ret : auth_attempt_end(t, &secret, method);
}

static struct str method_of(const struct route_ctx *ctx)
{
	return sip_text(ctx->buf, ctx->msg.method_text);
}

static AUTH_RUN(run_pv_www)
{
	struct auth_attempt t;

	return pv_authenticate(ctx, args, SIP_HEADER_AUTHORIZATION,
		args->n > 3 ? auth_arg_text(&args->v[3]) : method_of(ctx), &t);
}

static AUTH_RUN(run_pv_proxy)
{
	struct auth_attempt t;

	return pv_authenticate(ctx, args, SIP_HEADER_PROXY_AUTHORIZATION, method_of(ctx), &t);
}

static AUTH_RUN(run_pv_auth_check)
{
	struct auth *a = args->room;
	struct auth_attempt t;
	int64_t checks;
	int32_t ret;

	if (!auth_arg_number(&args->v[3], AUTH_IDENTITY | AUTH_SKIP_FROM, &checks))
		return AUTH_ERROR;
	t.name = STR_NONE;
	ret = pv_authenticate(ctx, args,
		ctx->msg.method == SIP_METHOD_REGISTER ? SIP_HEADER_AUTHORIZATION
						       : SIP_HEADER_PROXY_AUTHORIZATION,
		method_of(ctx), &t);
	/* Without a name it is a method that cannot be challenged. */
	if (ret != AUTH_OK || t.name.len == 0)
		return ret;
	return auth_check_identity(
		ctx, t.name, t.domain, checks & AUTH_IDENTITY, auth_settings(a)->p.use_domain != 0);
}

/* ---- settings ---- */

static bool keep_text(struct auth_text *out, const char *text, bool token)
{
	struct str s = str_c(text);
	bool good = s.len <= (token ? AUTH_COLUMN_MAX : AUTH_REALM_MAX) && (!token || s.len != 0);

	for (uint32_t i = 0; good && i < s.len; i++) {
		unsigned char c = (unsigned char)s.s[i];

		good = token ? str_is_alpha(s.s[i]) || str_is_digit(s.s[i]) || c == '-' || c == '_'
			     : c >= ' ' && c != 0x7f;
	}
	if (!good)
		return false;
	out->len = s.len;
	memcpy(out->text, s.s, s.len);
	return true;
}

/* What a key is that is written as a text: nodes that say the same know each other's nonces. */
static bool set_secret(struct auth_settings *s, const char *text)
{
	uint8_t hash[AUTH_HASH_MAX];
	struct hash_key key;

	if (EVP_Digest(text, strlen(text), hash, NULL, EVP_sha256(), NULL) != 1)
		return false;
	memcpy(&key, hash, sizeof(key));
	mac_key_set(&s->secret, &key);
	explicit_bzero(hash, sizeof(hash));
	explicit_bzero(&key, sizeof(key));
	s->has_secret = true;
	return true;
}

#define SECRET_MIN 16

static bool read_texts(
	const struct auth_params *p, struct auth_settings *s, struct route_report *report)
{
	struct auth_offer offer;

	if (!auth_algorithms_read(str_c(p->algorithm), &offer)) {
		route_error(report, NULL,
			"auth: algorithm is a list of MD5, SHA-256, SHA-512-256, each also with "
			"-sess");
		return false;
	}
	s->algorithms = offer.algorithms;
	s->sessions = offer.sessions;
	if (p->qop == NULL || p->qop[0] == '\0') {
		s->qop = AUTH_QOP_NONE;
	} else if (strcmp(p->qop, "auth") == 0 || strcmp(p->qop, "auth-int") == 0) {
		s->qop = p->qop[4] == '\0' ? AUTH_QOP_AUTH : AUTH_QOP_AUTH_INT;
	} else {
		route_error(report, NULL, "auth: qop is auth, auth-int or empty");
		return false;
	}
	if (!keep_text(&s->realm_prefix, p->realm_prefix, false) ||
		!keep_text(&s->www_header, p->www_header, true) ||
		!keep_text(&s->proxy_header, p->proxy_header, true)) {
		route_error(report, NULL,
			"auth: realm_prefix is at most %d bytes of one line, and a challenge "
			"header's name at most %d letters",
			AUTH_REALM_MAX, AUTH_COLUMN_MAX);
		return false;
	}
	if (p->secret != NULL && strlen(p->secret) < SECRET_MIN) {
		route_error(report, NULL,
			"auth: a secret of less than %d bytes can be guessed; left out, the keys "
			"of secret_file sign",
			SECRET_MIN);
		return false;
	}
	return p->secret == NULL || set_secret(s, p->secret);
}

#define WRONG_SOURCES 65536
#define WRONG_BURST 4 /* seconds' worth that may come at once */

static bool limit_wrong(struct auth_settings *s)
{
	struct hash_key key;

	if (hash_key_random(&key) != 0)
		return false;
	s->wrong = access_rate_create(WRONG_SOURCES, (uint32_t)s->p.wrong_limit,
		WRONG_BURST * (uint32_t)s->p.wrong_limit, &key);
	return s->wrong != NULL;
}

static int prepare(void *room, const void *config, struct route_report *report, void **prepared)
{
	const struct auth_params *p = config;
	struct auth_settings *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->p = *p;
	s->p.secret = s->p.algorithm = s->p.qop = s->p.realm_prefix = s->p.www_header =
		s->p.proxy_header = NULL;
	if (!read_texts(p, s, report)) {
		auth_settings_free(s);
		return -EINVAL;
	}
	if (p->wrong_limit != 0 && !limit_wrong(s)) {
		auth_settings_free(s);
		return -ENOMEM;
	}
	*prepared = s;
	return 0;
}

static void publish(void *room, void *prepared)
{
	struct auth *a = room;

	auth_retire(a, atomic_exchange_explicit(&a->settings, prepared, memory_order_acq_rel));
}

static void discard(void *room, void *prepared)
{
	auth_settings_free(prepared);
}

/* ---- tables ---- */

#define CHALLENGE_IN (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE)
#define FUNCTION(function, least, most, blocks, work, checked, how, ...) \
	{ \
		.name = function, .args_min = least, .args_max = most, .in = blocks, .run = work, \
		.check = checked, .free_data = free, .usage = how, .help = __VA_ARGS__ \
	}

static const struct route_function functions[] = {
	FUNCTION("www_challenge", 2, 3, CHALLENGE_IN, run_www_challenge, check_challenge,
		"www_challenge(realm, flags [, algorithms])",
		"Answers 401 with a challenge for each algorithm. Flags: 1 qop=auth, 2 "
		"qop=auth-int, 4 no 500 or 503 where that cannot be, 16 stale=true, which is there "
		"by itself where the last nonce was no good. Where the database did not answer "
		"who was to be verified, it answers 503 instead: -2. An empty realm is the domain "
		"of To (REGISTER) or From, in lower case.",
		.rfc = "3261 22.2, 8760 2.3"),
	FUNCTION("proxy_challenge", 2, 3, CHALLENGE_IN, run_proxy_challenge, check_challenge,
		"proxy_challenge(realm, flags [, algorithms])",
		"Answers 407 with a challenge, likewise.", .rfc = "3261 22.3, 8760 2.3"),
	FUNCTION("auth_challenge", 2, 3, CHALLENGE_IN, run_auth_challenge, check_challenge,
		"auth_challenge(realm, flags [, algorithms])",
		"Answers a REGISTER as www_challenge() does, other requests as "
		"proxy_challenge().",
		.rfc = "3261 22.2, 22.3"),
	FUNCTION("consume_credentials", 0, 0, ROUTE_IN_REQUEST, run_consume_credentials, NULL,
		"consume_credentials()",
		"Takes the credentials that were verified out of the request.", .rfc = "3261 22.3"),
	FUNCTION("has_credentials", 1, 1, ROUTE_IN_REQUEST, run_has_credentials, NULL,
		"has_credentials(realm)",
		"Whether there are credentials for a realm, right or wrong."),
	FUNCTION("is_user", 1, 1, ROUTE_IN_REQUEST | ROUTE_IN_FAILURE, run_is_user, NULL,
		"is_user(name)", "Whether the credentials that were verified are this user's."),
	FUNCTION("pv_www_authenticate", 3, 4, ROUTE_IN_REQUEST, run_pv_www, check_pv,
		"pv_www_authenticate(realm, password, flags [, method])",
		"Verifies the credentials in Authorization by a password that the script knows; "
		"flags 1: it is HA1. 1, or -1 an error, -2 wrong password, -4 the nonce is "
		"no good any more, -5 no credentials, -6 the nonce was used.",
		.rfc = "7616 3.4"),
	FUNCTION("pv_www_authorize", 3, 3, ROUTE_IN_REQUEST, run_pv_www, check_pv,
		"pv_www_authorize(realm, password, flags)", "The same as pv_www_authenticate().",
		.rfc = "7616 3.4"),
	FUNCTION("pv_proxy_authenticate", 3, 3, ROUTE_IN_REQUEST, run_pv_proxy, check_pv,
		"pv_proxy_authenticate(realm, password, flags)",
		"Verifies the credentials in Proxy-Authorization, likewise.", .rfc = "7616 3.4"),
	FUNCTION("pv_proxy_authorize", 3, 3, ROUTE_IN_REQUEST, run_pv_proxy, check_pv,
		"pv_proxy_authorize(realm, password, flags)",
		"The same as pv_proxy_authenticate().", .rfc = "7616 3.4"),
	FUNCTION("pv_auth_check", 4, 4, ROUTE_IN_REQUEST, run_pv_auth_check, check_pv_check,
		"pv_auth_check(realm, password, flags, checks)",
		"Verifies the credentials that the method wants, and with checks 1 that From (of "
		"REGISTER and PUBLISH: To) is their user: -8.",
		.rfc = "7616 3.4"),
	{.name = NULL},
};

#define NUMBER(text, field, least, most, start, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_INT, \
		.offset = offsetof(struct auth_params, field), .min = least, .max = most, \
		.initial = start, .help = __VA_ARGS__ \
	}
#define TEXT(text, field, start, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct auth_params, field), .initial = start, \
		.help = __VA_ARGS__ \
	}
#define NO_EFFECT(text, kind, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_##kind, .accepted_only = true, \
		.help = __VA_ARGS__ \
	}
#define BOUND " is bound to: 1 Request-URI, 2 Call-ID, 4 From tag, 8 source address."

static const struct route_param params[] = {
	TEXT("secret", secret, NULL,
		"A text of 16 bytes or more that signs nonces in the place of secret_file's keys."),
	NUMBER("nonce_expire", nonce_expire, 1, 86400, "300", "Seconds that a nonce is good for."),
	NUMBER("nonce_auth_max_drift", max_drift, 0, 3600, "3",
		"Seconds that a nonce may be from the future: clocks of nodes differ."),
	NUMBER("nonce_count", nonce_count, 0, 1, "1",
		"With qop, each nonce-count is good once (1, here the default), and a nonce on the "
		"node that made it. 0: any count, on any node."),
	NUMBER("one_time_nonce", one_time, 0, 1, "0",
		"A nonce is good for one request where no nonce-count is looked at."),
	NUMBER("auth_checks_register", checks_register, 0, AUTH_CHECKS, "0",
		"What the nonce of a REGISTER" BOUND),
	NUMBER("auth_checks_no_dlg", checks_no_dialog, 0, AUTH_CHECKS, "0",
		"What the nonce of a request outside of dialogs" BOUND),
	NUMBER("auth_checks_in_dlg", checks_in_dialog, 0, AUTH_CHECKS, "0",
		"What the nonce of a request within a dialog" BOUND),
	TEXT("algorithm", algorithm, "MD5",
		"What challenges offer: MD5, SHA-256, SHA-512-256, or a list of them. The "
		"strongest stands first in the reply. What was not offered is refused."),
	TEXT("qop", qop, "",
		"auth or auth-int: what challenges offer whose flags name no qop. Empty: none, as "
		"RFC 2069 has it."),
	TEXT("realm_prefix", realm_prefix, "", "What is taken off the front of a realm: \"sip.\"."),
	NUMBER("use_domain", use_domain, 0, 1, "0",
		"pv_auth_check() compares domains of From and To, too."),
	NUMBER("check_uri", check_uri, 0, 1, "1",
		"The uri in credentials means the Request-URI: the same user at the same host, or "
		"at one of ours. 0: it may be another, as behind a proxy that forwards calls."),
	NUMBER("wrong_limit", wrong_limit, 0, 100000, "0",
		"Wrong passwords and users of one source (of IPv6 its /64) in a second, four times "
		"as many at once; while it has had them its credentials are not verified: -1, and "
		"a challenge is a 503. Nonces are bound to the source address then, as with 8 in "
		"auth_checks_*: whoever forges a source has none that is good there, and a phone "
		"whose address has changed gets a stale=true. 0: as many as it likes, as where "
		"phones come through proxies."),
	NUMBER("add_authinfo_hdr", info, 0, 1, "0",
		"Our replies behind right credentials have an Authentication-Info, or "
		"Proxy-Authentication-Info, that proves by the password who we are (with "
		"qop=auth), and that names the next nonce where this one is half over, or "
		"one_time_nonce is 1 (RFC 7616 3.5)."),
	TEXT("www_challenge_header", www_header, "WWW-Authenticate",
		"Name of the header of www_challenge()."),
	TEXT("proxy_challenge_header", proxy_header, "Proxy-Authenticate",
		"Name of the header of proxy_challenge()."),
	NO_EFFECT("challenge_attr", STR, "Challenges are not put into AVPs."),
	NO_EFFECT(
		"force_stateless_reply", INT, "Challenges are stateless outside of transactions."),
	NO_EFFECT("protect_contacts", INT, "auth_checks_register says what a nonce is bound to."),
	NO_EFFECT(
		"nc_array_size", INT, "There is room for the last 131,072 nonces of each thread."),
	NO_EFFECT(
		"nc_array_order", INT, "There is room for the last 131,072 nonces of each thread."),
	NO_EFFECT("otn_in_flight_no", INT,
		"There is room for the last 131,072 nonces of each thread."),
	NO_EFFECT("otn_in_flight_order", INT,
		"There is room for the last 131,072 nonces of each thread."),
	NO_EFFECT("nid_pool_no", INT, "Each thread numbers its nonces itself."),
	NO_EFFECT("rpid_avp", STR, "Remote-Party-ID is added by append_hf()."),
	NO_EFFECT("rpid_prefix", STR, "Remote-Party-ID is added by append_hf()."),
	NO_EFFECT("rpid_suffix", STR, "Remote-Party-ID is added by append_hf()."),
	NO_EFFECT("disable_nonce_check", INT,
		"Nonces are always verified; nonce_count 0 takes any count."),
	{.name = NULL},
};

const struct route_module auth_module = {
	.name = "auth",
	.functions = functions,
	.params = params,
	.config_size = sizeof(struct auth_params),
	.prepare = prepare,
	.publish = publish,
	.discard = discard,
};
