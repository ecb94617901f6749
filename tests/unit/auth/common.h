/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the tests of this room share: scripts under the real language, one message at a time, over a
 * SQLite file, with a clock that they turn; and a client, who computes what he answers by libcrypto
 * alone. Messages lie at the very end of a malloc'd block, so that a sanitizer sees any over-read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "auth/internal.h"

struct stage {
	struct rcu rcu;
	struct proxy *proxy;
	struct proxy_listener listener;
	struct db *db;
	int database;
	struct auth *auth;
	struct route_registry registry;
	struct route_thread thread;
	struct route_script *script;
	struct route_ctx *ctx;
	enum route_verdict verdict;
	unsigned waits; /* for rows, of the last message */
	bool dead;      /* the database answers nothing */
	char *buf;      /* the message, exactly as long as it is */
	uint32_t len;
	struct net_endpoint source;
	char folder[64];
	char said[8192]; /* by a load */
	char reply[70000];
};

/* A room whose script is `body` in request_route, with these lines in front: modparams, blocks. The
 * database has alice (secret), bob@example.com and others: common.c says which. */
struct stage *stage_open(const char *params, const char *body);
void stage_close(struct stage *s);
/* Loads another configuration; false where it is refused, and `said` says why. */
bool stage_load(struct stage *s, const char *params, const char *body);
/* A second node of the group, with the same keys and another number. */
struct stage *stage_open_node(
	const char *secret_file, uint16_t node, const char *params, const char *body);
int stage_rc(const struct stage *s);
void stage_pass(struct stage *s, unsigned seconds);
/* SQL, straight to the file. */
void stage_sql(struct stage *s, const char *sql);
/* What the cache knows. */
void stage_forget_rows(struct stage *s);

/* Sends a message; LF becomes CRLF. The reply as text, or NULL where none was made. */
const char *stage_send(struct stage *s, const char *text);
const char *stage_send_bytes(struct stage *s, const char *bytes, uint32_t len);

/* Value of the nth line of that name from 0, NULL where there is none. One of sixteen buffers. */
const char *line_at(const char *text, const char *name, unsigned n);
int status(const char *reply);
#define assert_status(reply, code) assert_int_equal(status(reply), code)
/* A parameter of a challenge, without its quotes; NULL where it is not there. */
const char *challenge_param(const char *challenge, const char *name);

/* What a client answers a challenge with; what is NULL is as it should be. */
struct client {
	const char *user, *password, *realm, *nonce, *uri, *method, *algorithm, *qop, *cnonce;
	unsigned nc;
	bool session;
	const char *body; /* of qop=auth-int */
	const char *ha1;  /* in the place of user, realm and password */
	const char *said_user, *said_uri, *said_realm,
		*said_response; /* where they differ from it */
	const char *more;       /* further parameters, with a comma in front */
};
/* "Digest username=..."; one of eight buffers. */
const char *credentials(const struct client *c);
void client_response(const struct client *c, char out[129]);
/* H() of a text as hexadecimal, by libcrypto. */
void libcrypto_hex(const char *algorithm, const char *text, size_t len, char out[129]);

/* A request of alice to a URI with one more line (or ""), of a transaction of its own unless
 * `branch` says which. */
const char *request(const char *method, const char *uri, const char *branch, const char *lines);
#define REGISTRAR "sip:example.com"
const char *registration(const char *lines);
/* registration() with credentials. */
const char *registration_of(const struct client *c);

/* The nonce of a fresh challenge to a REGISTER. */
const char *fresh_nonce(struct stage *s);
