/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the files of lib/auth share. Nothing outside the room includes it, tests of the room apart.
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "auth/auth.h"
#include "db/sql.h"
#include "sip/digest.h"

/* One for each route_thread. */
#define AUTH_THREAD_BITS 7
#define AUTH_THREADS (1u << AUTH_THREAD_BITS)
static_assert(AUTH_THREADS == RCU_READERS_MAX, "each reader has a row");

/* ---- md5 ---- */

#define AUTH_MD5_LEN 16

void auth_md5(const void *text, uint32_t len, uint8_t out[AUTH_MD5_LEN]);

/* ---- hash ---- */

/* A hash as credentials have it. */
struct auth_hex {
	uint32_t len;
	char text[AUTH_HEX_MAX];
};

static inline struct str auth_hex_str(const struct auth_hex *hex)
{
	return str_of(hex->text, hex->len);
}

uint32_t auth_hex_len(enum auth_algorithm algorithm);

/* The longest: user, realm and password, or the nonces of a response with its hashes. */
#define AUTH_JOINED_MAX 2048
static_assert(AUTH_USER_MAX + AUTH_REALM_MAX + AUTH_PASSWORD_MAX + 2 < AUTH_JOINED_MAX, "A1");

/* H(A2) of a method and a URI, which nearly all REGISTERs of a domain have in common. */
#define AUTH_KNOWN_A2 16
#define AUTH_KNOWN_A2_MAX 120 /* bytes of one that is kept */
struct auth_known_a2 {
	uint32_t len; /* 0: there is none */
	enum auth_algorithm algorithm;
	char text[AUTH_KNOWN_A2_MAX];
	struct auth_hex hex;
};

/* Where a thread joins texts, and what it has hashed before. */
struct auth_hasher {
	char text[AUTH_JOINED_MAX];
	struct auth_known_a2 a2[AUTH_KNOWN_A2];
};

/* H() of parts with colons in between. False where they are too long. */
bool auth_hash(struct auth_hasher *h, enum auth_algorithm algorithm, const struct str *part,
	unsigned parts, struct auth_hex *out);
/* H(A1) without session (RFC 7616 3.4.2). */
bool auth_hash_password(struct auth_hasher *h, enum auth_algorithm algorithm, struct str user,
	struct str realm, struct str password, struct auth_hex *out);

enum auth_qop { AUTH_QOP_NONE, AUTH_QOP_AUTH, AUTH_QOP_AUTH_INT };

/* What a response is made of, beside H(A1). */
struct auth_response {
	enum auth_algorithm algorithm;
	bool session; /* -sess */
	enum auth_qop qop;
	struct str nonce, nc, cnonce, method, uri, body;
};

/* The response that right credentials have (RFC 7616 3.4.1). */
bool auth_hash_response(
	struct auth_hasher *h, const struct auth_response *r, struct str ha1, struct auth_hex *out);
/* In a time that does not depend on where they differ. */
bool auth_hex_equal(const struct auth_hex *want, struct str said);

/* ---- window ---- */

#define AUTH_SERIAL_BITS 38 /* of the number of a nonce among those of its thread */
#define AUTH_ROW_BITS 17    /* places for each thread: 1 MB, of which pages are used as they come */

enum auth_window_verdict {
	AUTH_WINDOW_NEW,
	AUTH_WINDOW_SEEN, /* this count has come, or is too far behind the latest */
	AUTH_WINDOW_LOST  /* nothing is known of it any more, or it is too high */
};

struct auth_window {
	_Atomic uint64_t *place; /* AUTH_THREADS rows */
	_Atomic uint64_t *echo;
	uint64_t bytes, echo_bytes;
};

/* 0 or -ENOMEM. Control thread. */
int auth_window_init(struct auth_window *w);
void auth_window_fini(struct auth_window *w);
/* A nonce-count of right credentials has come. Any thread. */
enum auth_window_verdict auth_window_take(
	struct auth_window *w, unsigned thread, uint64_t serial, uint32_t count);
/* Remembers a message that was accepted; whether it was one within 64*T1. Any thread. */
void auth_window_accepted(struct auth_window *w, struct hash128 digest, uint64_t now_ns);
bool auth_window_again(struct auth_window *w, struct hash128 digest, uint64_t now_ns);

/* ---- settings: of module auth, published ---- */

/* auth_checks_*: what of the request a nonce is bound to. Kamailio's numbers. */
#define AUTH_CHECK_URI 1u
#define AUTH_CHECK_CALL_ID 2u
#define AUTH_CHECK_FROM_TAG 4u
#define AUTH_CHECK_SOURCE 8u
#define AUTH_CHECKS 15u

/* modparam("auth", ...) */
struct auth_params {
	const char *secret, *algorithm, *qop, *realm_prefix, *proxy_header, *www_header;
	int64_t nonce_expire, max_drift, nonce_count, one_time, use_domain, check_uri, info,
		wrong_limit;
	int64_t checks_register, checks_no_dialog, checks_in_dialog;
};

struct auth_text {
	uint32_t len;
	char text[AUTH_REALM_MAX + 1];
};

static inline struct str auth_text_str(const struct auth_text *t)
{
	return str_of(t->text, t->len);
}

struct auth_settings {
	struct auth_params p; /* without its pointers */
	uint8_t algorithms;   /* bit n: enum auth_algorithm n is offered */
	uint8_t sessions;     /* ... with -sess */
	enum auth_qop qop;    /* offered where the flags of a challenge name none */
	bool has_secret;
	struct mac_key secret;
	struct auth_text realm_prefix, www_header, proxy_header;
	struct access_rate *wrong; /* passwords of a source; NULL: as many as it likes */
};

/* ---- the room ---- */

struct auth_thread {
	_Alignas(64) _Atomic uint64_t count[AUTH_COUNTER_COUNT];
	uint64_t serial; /* of the next nonce */
	struct auth_hasher hasher;
};

struct auth {
	struct auth_config config;
	_Atomic(const struct auth_settings *) settings; /* never NULL */
	_Atomic int64_t clock_offset_ns;                /* time of day minus CLOCK_MONOTONIC */
	_Atomic uint32_t started_s; /* time of day: what is older was made by another process */
	uint16_t instance;          /* a random number of this process: 14 bits */
	struct mac_key echo_key;    /* of this process: digests of messages */
	struct auth_window window;
	struct auth_thread *thread; /* AUTH_THREADS */
	char db_url[DB_URL_MAX];
};

static inline const struct auth_settings *auth_settings(const struct auth *a)
{
	return atomic_load_explicit(&a->settings, memory_order_acquire);
}

/* What belongs to the thread of a context, or NULL. */
static inline struct auth_thread *auth_thread(struct auth *a, const struct route_ctx *ctx)
{
	return ctx->thread->index < AUTH_THREADS ? &a->thread[ctx->thread->index] : NULL;
}

static inline void auth_count(
	struct auth *a, const struct route_ctx *ctx, enum auth_counter counter)
{
	struct auth_thread *t = auth_thread(a, ctx);

	if (t == NULL)
		return;
	atomic_store_explicit(&t->count[counter],
		atomic_load_explicit(&t->count[counter], memory_order_relaxed) + 1,
		memory_order_relaxed);
}

/* Seconds of the time of day. */
static inline uint32_t auth_now_s(const struct auth *a, const struct route_ctx *ctx)
{
	return (uint32_t)(((int64_t)ctx->thread->now_ns +
				  atomic_load_explicit(&a->clock_offset_ns, memory_order_relaxed)) /
			  (int64_t)CLOCK_NS_PER_S);
}

/* Settings of a process that has loaded no script. */
extern const struct auth_settings auth_initial;
void auth_retire(struct auth *a, const struct auth_settings *settings);
void auth_settings_free(void *settings);

/* ---- nonce ---- */

/* What a challenge offers. */
struct auth_offer {
	uint8_t algorithms, sessions; /* as in struct auth_settings */
	enum auth_qop qop;
};

#define AUTH_NONCE_NUMBERS 24 /* characters: two numbers of 60 bits */
#define AUTH_NONCE_MAC 16     /* 80 bits */
#define AUTH_NONCE_LEN (1 + AUTH_NONCE_NUMBERS + AUTH_NONCE_MAC)
#define AUTH_NONCE_CHECKS 8 /* 40 bits, where it is bound to the request */
#define AUTH_NONCE_MAX (AUTH_NONCE_LEN + AUTH_NONCE_CHECKS)

/* What a nonce says. */
struct auth_nonce {
	struct auth_offer offer;
	bool own; /* made by this process */
	int32_t age_s;
	unsigned thread;
	uint64_t serial;
};

enum auth_nonce_verdict { AUTH_NONCE_GOOD, AUTH_NONCE_STALE, AUTH_NONCE_FORGED };

/* Writes a new one; returns its length, 0 where this thread makes none. `checks`: AUTH_CHECK_*. */
uint32_t auth_nonce_write(struct auth *a, const struct auth_settings *s, struct route_ctx *ctx,
	struct str realm, const struct auth_offer *offer, unsigned checks,
	char out[AUTH_NONCE_MAX]);
enum auth_nonce_verdict auth_nonce_read(struct auth *a, const struct auth_settings *s,
	struct route_ctx *ctx, struct str realm, struct str text, unsigned checks,
	struct auth_nonce *out);
/* The checks of the request in ctx. */
unsigned auth_checks(const struct auth_settings *s, struct route_ctx *ctx);

/* ---- authenticate ---- */

/* Credentials on their way to a verdict. */
struct auth_attempt {
	struct auth *auth;
	const struct auth_settings *settings;
	struct route_ctx *ctx;
	enum sip_header_id header; /* whose credentials these are */
	struct str realm;
	struct str user;         /* as in the credentials, with its domain */
	struct str name, domain; /* ... in front of its '@' and behind; empty: there is none */
	struct sip_digest digest;
	struct auth_nonce nonce;
	struct auth_response response;
	uint32_t count; /* nc */
	char user_room[AUTH_USER_MAX], uri_room[AUTH_URI_MAX], cnonce_room[AUTH_CNONCE_MAX];
	char realm_room[AUTH_REALM_MAX];
};

/* What is known of a user's password. */
enum auth_secret_kind {
	AUTH_SECRET_NONE,     /* there is no such user */
	AUTH_SECRET_HA1,      /* H(A1) in hexadecimal */
	AUTH_SECRET_PASSWORD, /* in clear */
};
struct auth_secret {
	enum auth_secret_kind kind;
	bool clear; /* others have clear passwords, whose steps this one takes, too */
	struct str text;
};

/*
 * Looks for credentials in the header lines of `id` and at everything that needs no password. 0: go
 * on with auth_attempt_end(); else what the function returns: AUTH_OK for methods that cannot be
 * challenged (RFC 3261 22.1).
 */
int32_t auth_attempt_begin(struct auth_attempt *t, struct auth *a, struct route_ctx *ctx,
	enum sip_header_id id, struct str realm);
/* `method`: whose A2 it is. */
int32_t auth_attempt_end(
	struct auth_attempt *t, const struct auth_secret *secret, struct str method);

/*
 * The realm that is meant: without realm_prefix; of an empty one, the domain of To (REGISTER) or
 * From. Empty: there is none. A realm is a text as it is written (RFC 7616 3.3); where it is made
 * of a domain, of that in lower case, so that a domain has one realm, and stored digests are of it.
 */
struct str auth_realm_of(const struct auth_settings *s, struct route_ctx *ctx, struct str realm,
	char room[AUTH_REALM_MAX]);

/* The credentials that were verified, and their user and realm. False: there are none. */
struct auth_verified {
	struct sip_digest digest;
	struct str name, domain, realm; /* of user@domain, where the client writes it so */
	char name_room[AUTH_USER_MAX], realm_room[AUTH_REALM_MAX];
};
bool auth_verified(struct route_ctx *ctx, struct auth_verified *out);
/* Whether who wrote user@domain into his credentials may be a user at that host: of another domain
 * he has proved to be that one's user of the name. */
bool auth_domain_fits(struct str domain, struct str host);

/* auth_check() and pv_auth_check(): whether the user of right credentials may say what From and To
 * say. AUTH_OK, AUTH_USER_MISMATCH, AUTH_ERROR. */
#define AUTH_IDENTITY 1  /* From, or To of a REGISTER or PUBLISH, has the user's name */
#define AUTH_SKIP_FROM 2 /* not of INVITE, BYE, PRACK, UPDATE, MESSAGE */
int32_t auth_check_identity(
	struct route_ctx *ctx, struct str name, struct str domain, int64_t checks, bool use_domain);

/* ---- challenge ---- */

/* Flags of www_challenge() and its kin: Kamailio's numbers. */
#define AUTH_CHALLENGE_QOP_AUTH 1
#define AUTH_CHALLENGE_QOP_AUTH_INT 2
#define AUTH_CHALLENGE_NO_500 4
#define AUTH_CHALLENGE_STALE 16
#define AUTH_CHALLENGE_FLAGS 23

/* Makes 401 (`www`) or 407 the reply. `algorithms`: 0: those of the settings. What the functions
 * return. */
int32_t auth_challenge(struct auth *a, struct route_ctx *ctx, struct str realm, int64_t flags,
	const struct auth_offer *algorithms, bool www);
/* A list of algorithms, "SHA-256, MD5", as an offer; false where one is not known. Empty: MD5. */
bool auth_algorithms_read(struct str list, struct auth_offer *out);

/* ---- info: what replies say, too ---- */

/* Texts one behind the other, into room that is enough. */
#define auth_put_lit(at, lit) ((char *)memcpy((at), (lit), sizeof(lit) - 1) + sizeof(lit) - 1)

static inline char *auth_put(char *at, struct str s)
{
	str_copy(at, s);
	return at + s.len;
}

/* A text within quotes, at most twice as long; NULL where it would leave its line. */
char *auth_put_quoted(char *at, struct str text);
/* Adds whole header lines to those that the script has for its reply. False: there is no room, or
 * none were given. */
bool auth_reply_lines(struct route_ctx *ctx, struct str lines);
/* Behind right credentials, where add_authinfo_hdr says so. */
void auth_info(struct auth_attempt *t, struct auth_hasher *hasher, struct str ha1);

/* ---- modules ---- */

#define AUTH_RUN(name) int32_t name(struct route_ctx *ctx, const struct route_args *args)
#define AUTH_CHECK(name) \
	int name(void *room, const void *config, const struct route_arg *arg, unsigned n, \
		const struct route_place *place, struct route_report *report, void **data)

/* Text of an argument; empty where it is none. */
static inline struct str auth_arg_text(const struct route_value *v)
{
	return v->type == ROUTE_STR ? v->s : STR_NONE;
}

/* Number of an argument, which scripts write with or without quotes. */
bool auth_arg_number(const struct route_value *v, int64_t max, int64_t *out);

/* User and host of URI text; false where it has no user. Spans of `text`. */
bool auth_uri_read(struct str text, struct str *user, struct str *host);

/* ---- what is asked of databases ---- */

#define AUTH_COLUMN_MAX DB_NAME_MAX

/* What modules that ask a database have in common. */
struct auth_asks {
	const char *db_url; /* NULL: the room's */
	int64_t ttl, negative_ttl;
};
/*
 * The number of a statement, or -errno after route_error(). `columns` as in db.h. `otherwise` may
 * be NULL.
 */
int auth_statement(struct auth *a, const struct auth_asks *asks, const char *text,
	const char *otherwise, const char *columns, unsigned params,
	const struct route_place *place, struct route_report *report);

#define AUTH_CALL_MAX 1024 /* bytes of a packed call: what is longer is no row of anybody's */

/*
 * Asks with texts as parameters: ROUTE_TRUE, ROUTE_FALSE, ROUTE_PENDING, ROUTE_NO_ROWS. What does
 * not fit into a call is in no row: ROUTE_FALSE. param[domain], where there are as many, is asked
 * for in lower case, as rows have it: hosts compare without case (RFC 3261 19.1.4), users with it.
 */
int32_t auth_ask(struct auth *a, struct route_ctx *ctx, unsigned statement, const struct str *param,
	unsigned params, unsigned domain, struct db_set *out);

#define AUTH_TTL_PARAMS(config) \
	{.name = "cache_ttl", \
		.type = ROUTE_PARAM_INT, \
		.offset = offsetof(config, asks.ttl), \
		.min = DB_TTL_MIN_S, \
		.max = 86400, \
		.initial = "120", \
		.help = "Seconds that a row which was read is remembered."}, \
	{ \
		.name = "cache_negative_ttl", .type = ROUTE_PARAM_INT, \
		.offset = offsetof(config, asks.negative_ttl), .min = DB_TTL_MIN_S, .max = 86400, \
		.initial = "120", \
		.help = "Seconds that it is remembered that there is no such row; as long as " \
			"cache_ttl, so that time tells nobody which users there are." \
	}

extern const struct route_module auth_module, auth_db_module, auth_uri_db_module, auth_uri_module,
	auth_group_module, auth_alias_db_module;
