/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * auth: who sends a request: Digest authentication (RFC 3261 22, RFC 7616, RFC 8760), and what a
 * database says of users: their passwords, groups and aliases.
 *
 * OpenSER modules: auth, auth_db, uri_db (and uri, OpenSIPS' name of it), group, alias_db. All of
 * their functions run on workers: no lock, no allocation, no log. A row of the database that is not
 * in the cache (db.h) is asked for while the message waits, and its function is called again.
 *
 * A *nonce* is kept nowhere. It says when it was made, by which node, and what the challenge
 * offered (algorithms, qop), and a code under the group's keys (proxy.h) binds all that and the
 * realm; so any thread and any node that shares the secret file knows it again, retired keys
 * included.
 *
 *   too old, from the future, of another realm or group, of a process that is no more
 *                        -4, and the next challenge says stale=true: the nonce is no good and
 *                        nothing is said of the password (RFC 7616 3.3), so no phone asks its user
 *   with an algorithm or qop that was not offered
 *                        -1: as if there were no credentials
 *
 * So a response without qop is taken only where the challenge had none, and one with MD5 only where
 * MD5 was offered: who sits between cannot talk the two down.
 *
 * The *window*: with qop, each nonce-count of a nonce is good once (RFC 7616 3.4). A bounded table
 * that every worker reads and one compare-and-swap writes holds the latest count of each nonce that
 * has been used with the right password, and which of the AUTH_WINDOW_BITS before it have come; so
 * who knows no password fills nothing. What is not in it any more, is older than this process, or
 * was made by another node, is stale: a new nonce costs one round trip. A request that comes again
 * to the letter within 64*T1 is a retransmission and stays good, as a script without state needs.
 *
 * Where the database does not answer nobody is right or wrong: -1, and the next challenge is a 503
 * in its place.
 *
 * Who guesses passwords is as fast as workers are. wrong_limit bounds what one source may get wrong
 * in a second; what comes from it then is not verified, and answered as where the database is
 * silent. No limit goes by user, which would lock out whom somebody else guesses at; nor by a
 * source that anybody can write: with wrong_limit, nonces are bound to theirs.
 *
 * A user that there is not and a wrong password give the same answers and take the same steps; only
 * $rc tells them apart (-3, -2), which no reply shows.
 *
 * Threads: the control thread creates, loads, publishes, ticks and destroys. All else is for
 * threads with a route_thread, which are readers of RCU.
 *
 * Costs (tests/unit/auth/bench.c): 8,300 instructions for right credentials with MD5, 2,470 for a
 * challenge.
 *
 * Files: auth (the room), nonce, window, hash (RFC 7616 3.4), md5, authenticate (the steps above),
 * challenge, info, arguments (and questions to databases), module_* (functions).
 */
#include "access/access.h"
#include "db/db.h"
#include "proxy/proxy.h"
#include "route/route.h"

#define AUTH_REALM_MAX 255    /* bytes of a realm */
#define AUTH_USER_MAX 255     /* bytes of a user name, with its domain */
#define AUTH_CNONCE_MAX 255   /* bytes of a client's nonce */
#define AUTH_URI_MAX 1024     /* bytes of the uri in credentials */
#define AUTH_PASSWORD_MAX 255 /* bytes of a password */
#define AUTH_WINDOW_BITS 24   /* how far a nonce-count may lag behind the latest one */

/* What functions return: Kamailio's numbers. */
enum auth_result {
	AUTH_OK = 1,
	AUTH_ERROR = -1, /* malformed, not offered, the database does not answer */
	AUTH_WRONG_PASSWORD = -2,
	AUTH_USER_UNKNOWN = -3,
	AUTH_STALE_NONCE = -4,
	AUTH_NO_CREDENTIALS = -5,
	AUTH_NONCE_REUSED = -6,  /* one_time_nonce */
	AUTH_USER_MISMATCH = -8, /* auth_check(): another user than From or To says */
};

enum auth_algorithm { AUTH_MD5, AUTH_SHA256, AUTH_SHA512_256, AUTH_ALGORITHMS };

#define AUTH_HASH_MAX 32                 /* bytes of a hash */
#define AUTH_HEX_MAX (2 * AUTH_HASH_MAX) /* characters of one */

/* "MD5", "SHA-256", "SHA-512-256". */
struct str auth_algorithm_name(enum auth_algorithm algorithm);
/* The algorithm of a name in any case, or -1. */
int auth_algorithm_of(struct str name);

/*
 * H(user:realm:password) of RFC 7616 3.4.2 as databases keep it: lower-case hexadecimal. Returns
 * how many characters, 0 where one of the texts exceeds its bound or there is no memory. Any thread
 * but an lcore's.
 */
unsigned auth_ha1(enum auth_algorithm algorithm, struct str user, struct str realm,
	struct str password, char out[AUTH_HEX_MAX]);

struct auth;

struct auth_config {
	struct proxy *proxy; /* keys of the group */
	struct db *db;       /* NULL: there is no database, and what needs one is refused at load */
	struct rcu *rcu;     /* NULL: nobody reads while settings change */
};

/* NULL and errno. Control thread. */
struct auth *auth_create(const struct auth_config *config);
void auth_destroy(struct auth *a);
/* Adds the modules of this room. 0 or -errno. */
int auth_register(struct auth *a, struct route_registry *registry);
/* The database of modules that name none: to be said before a script is loaded. Copied. Control
 * thread. 0 or -E2BIG. */
int auth_set_db_url(struct auth *a, const char *url);
/* Once a second at least: what time of day it is at now_ns of CLOCK_MONOTONIC. Control thread. */
void auth_tick(struct auth *a, uint64_t now_ns);

/* What is counted, by thread (route_thread.index), without a shared line.
 * AUTH_COUNTER(enum suffix, counter name) */
#define AUTH_COUNTERS(AUTH_COUNTER) \
	AUTH_COUNTER(CHALLENGES, "auth_challenges") /* 401 and 407 that were made */ \
	AUTH_COUNTER(ACCEPTED, "auth_accepted")     /* credentials that were right */ \
	AUTH_COUNTER(REPEATED, "auth_repeated")     /* ... of retransmissions */ \
	AUTH_COUNTER(NONE, "auth_no_credentials")   /* requests without, for that realm */ \
	AUTH_COUNTER(MALFORMED, "auth_malformed")   /* credentials that cannot be read */ \
	AUTH_COUNTER(FORGED, "auth_nonce_refused")  /* nonces that nobody of the group made so */ \
	AUTH_COUNTER( \
		STALE, "auth_nonce_stale") /* ... that are too old, of before, of another node */ \
	AUTH_COUNTER(REPLAYED, "auth_nonce_replayed") /* ... whose count has come already */ \
	AUTH_COUNTER(DOWNGRADED, "auth_downgraded")   /* what the challenge did not offer */ \
	AUTH_COUNTER(OTHER_URI, "auth_other_uri")     /* credentials for another Request-URI */ \
	AUTH_COUNTER(UNKNOWN, "auth_unknown_user") \
	AUTH_COUNTER(WRONG, "auth_wrong_password") \
	AUTH_COUNTER(LIMITED, "auth_source_limited") /* not verified: wrong_limit */ \
	AUTH_COUNTER(NO_ANSWER, "auth_no_answer")    /* the database did not answer */

enum auth_counter {
#define AUTH_COUNTER(id, name) AUTH_COUNTER_##id,
	AUTH_COUNTERS(AUTH_COUNTER)
#undef AUTH_COUNTER
		AUTH_COUNTER_COUNT
};
/* The sum over all threads. Any thread. */
uint64_t auth_counter(const struct auth *a, enum auth_counter counter);
const char *auth_counter_name(enum auth_counter counter);
