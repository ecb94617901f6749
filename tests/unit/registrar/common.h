/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the tests of this room share: a registrar under the real language, one message at a time,
 * with a clock that they turn. Messages lie at the very end of a malloc'd block, so that a
 * sanitizer sees any over-read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "registrar/internal.h"

#define MAIN 0  /* listener 192.0.2.1:5060 */
#define OTHER 1 /* listener 192.0.2.1:5070 */
#define SIX 2   /* listener [2001:db8::1]:5060 */

struct stage {
	struct rcu rcu;
	struct proxy *proxy;
	struct proxy_listener listener[3];
	struct location *location;
	struct db *db;      /* where stage_open_db() was asked for it */
	unsigned waits;     /* for changes, of the message that was sent last */
	unsigned asks;      /* likewise, for rows of no cache */
	unsigned turns;     /* likewise, for its turn */
	bool nobody_waits;  /* a run that waits stays where it is */
	bool holds_changes; /* one that waits for a change does */
	bool deaf;          /* the change is made, and nobody hears of it */
	struct registrar *registrar;
	struct route_registry registry;
	struct route_thread thread;
	struct route_script *script;
	struct route_ctx *ctx;
	struct registrar_brought brought;
	unsigned sends; /* how many messages were */
	enum route_verdict verdict;
	enum sip_error error; /* of the message that was sent last */
	char *buf;            /* the message, exactly as long as it is */
	uint32_t len;
	struct net_endpoint source; /* 198.51.100.7:5060 unless set */
	unsigned at;                /* listener */
	char said[4096];            /* by a load */
	char reply[70000];
};

/* A registrar whose script is `body` in request_route, with these modparams. */
struct stage *stage_open(const char *params, const char *body);
struct stage *stage_open_shards(const char *params, const char *body, unsigned shards);
/* With room for so many transactions whose contact changes. */
struct stage *stage_open_pins(const char *params, const char *body, uint32_t pins);
/* With a database. */
struct stage *stage_open_db(const char *params, const char *body, const char *url);
void stage_close(struct stage *s);
/* Loads another configuration; false where it is refused, and `said` says why. */
bool stage_load(struct stage *s, const char *params, const char *body);
/* What the script left in its first $var. */
int stage_rc(const struct stage *s);
/* Lets time pass. */
void stage_pass(struct stage *s, unsigned seconds);

/* Sends a message; LF becomes CRLF. Returns the reply as text, its To tag replaced by "T", or NULL
 * where none was made. */
const char *stage_send(struct stage *s, const char *text);
const char *stage_send_bytes(struct stage *s, const void *bytes, uint32_t len);

/* What a message waits for stays undone while others are sent; then it is done, and its script goes
 * on: the reply. */
struct stage_waiting {
	struct route_ctx *ctx;
	char *buf;
};
void stage_suspend(struct stage *s, struct stage_waiting *w);
const char *stage_resume(struct stage *s, struct stage_waiting *w);

/* A REGISTER of alice with these further lines ("Contact: ...\n"). In one of eight static buffers.
 */
const char *registration(const char *call_id, unsigned cseq, const char *lines);
/* A request of a method to a Request-URI, of a transaction of its own. */
const char *request(const char *method, const char *uri);
/* Sends a REGISTER; its reply. */
const char *send_registration(
	struct stage *s, const char *call_id, unsigned cseq, const char *lines);
/* Likewise, of another user than alice. */
const char *send_registration_of(
	struct stage *s, const char *uri, const char *call_id, unsigned cseq, const char *lines);

/* Value of the first line of that name, NULL where there is none. One of sixteen static buffers. */
const char *line(const char *text, const char *name);
int status(const char *reply);
/* The Contact of a REGISTER without one: what is registered; "" for nothing. */
const char *registered_contacts(struct stage *s);

/* URIs of users, of all kinds that have a form of their own in a table's columns. NULL ends them.
 */
extern const char *const users_of_all_kinds[];

#define assert_status(reply, code) assert_int_equal(status(reply), code)
/* Fails where the reply is none of this status, or says another reason. */
void assert_refused(const char *reply, int code, const char *why);
void assert_contact(const char *reply, const char *contact);
