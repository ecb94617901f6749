/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the black-box tests of lib/txn share: a world of one proxy with its script, messages as text
 * in, messages out through struct txn_sender, and a clock that the test turns.
 *
 * A message takes the way that it takes in the pipeline: a worker indexes and checks it, asks
 * txn_may_have(), runs the script until that needs state, and what needs state goes on in a context
 * of the shard, over a copy of the text. Texts lie in blocks of their exact size, so that a
 * sanitizer sees any over-read, and are freed when the call is over, so that it sees whoever kept
 * them.
 *
 * Whatever leaves is parsed and checked, and held against what a transaction may do at any time
 * (observer.c): a test that does not look at a message has looked at that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../resolve/dns_server.h"
#include "txn/txn.h"

#define CALLER "10.0.0.9"
#define BOB "10.2.0.1"
#define CAROL "10.2.0.2"
#define DAVE "10.2.0.3"
#define MAIL "10.2.0.9"
#define PROXY "10.0.0.1"

#define STEP_MS 10

/* What is between two timers and the clock's steps: a timer fires when it is due or up to so much
 * later, never before. */
#define LATE_MS 30

/* RFC 3261's numbers, in milliseconds. */
#define T1 500
#define T2 4000
#define T4 5000
#define T64 (64 * T1)

/* tm's timers as the RFC has them. The provisional timer is Timer C. */
#define TIMER_C 200000
#define RFC_TIMERS \
	"modparam(\"tm\", \"fr_timer\", 32000)\n" \
	"modparam(\"tm\", \"fr_inv_timer\", 200000)\n" \
	"modparam(\"tm\", \"max_inv_lifetime\", 1000000)\n" \
	"modparam(\"tm\", \"wt_timer\", 5000)\n"
#define MODULES \
	"loadmodule \"sl.so\"\nloadmodule \"tm.so\"\nloadmodule \"rr.so\"\nloadmodule " \
	"\"maxfwd.so\"\n" \
	"loadmodule \"textops.so\"\nloadmodule \"siputils.so\"\nloadmodule \"pv.so\"\n"
/* The plainest stateful proxy. */
#define RELAY MODULES RFC_TIMERS "request_route {\n	if (!t_relay()) sl_reply_error();\n}\n"
/* A world with this script. */
#define SCRIPT(text) ((struct world_config){.script = MODULES RFC_TIMERS text})

struct world;

struct world_config {
	const char *script;    /* RELAY where NULL */
	const char *address;   /* PROXY where NULL */
	unsigned shards;       /* 1 where 0 */
	uint32_t transactions; /* 4096 where 0 */
	bool started_now;      /* the process has just begun */
	bool names;            /* a resolver with a name server of the test: w->dns */
	bool quiet;            /* what leaves is counted and nothing else: for very many messages */
	bool unobserved;       /* what leaves is no more than well formed: for input at random */
	uint64_t clock_ns;     /* of the start; 0: some hours */
	/* Makes further rooms and adds their modules, before the script is loaded; NULL: none. */
	void (*rooms)(struct world *w);
};

enum sent_as {
	SENT_MESSAGE,  /* TXN_SENDS_MESSAGE */
	SENT_REPLY,    /* TXN_SENDS_REPLY */
	SENT_OWN,      /* TXN_SENDS_OWN */
	SENT_STATELESS /* by the harness in the pipeline's place: txn has nothing to do with it */
};

/* A message that left. */
struct sent {
	uint64_t at; /* ms since the world began */
	enum sent_as as;
	struct net_endpoint to;
	bool is_response, taken;
	uint16_t status; /* 0: a request */
	char method[24]; /* of the request line, or of CSeq */
	uint32_t len;
	char *text; /* a NUL behind it */
};

/* What became of the message that came in last. */
enum fate {
	FATE_SENT, /* forwarded or answered by the transaction */
	FATE_ABSORBED,
	FATE_DROPPED, /* w->reason */
	FATE_PARKED,
	FATE_STATELESS, /* the transaction layer had nothing to do with it; it went on */
	FATE_SILENT,    /* likewise, and nothing was to be done */
	FATE_REFUSED    /* proxy_request_receive() or proxy_response_receive() dropped it */
};

struct parked {
	struct parked *next;
	struct route_ctx *ctx;
	char *text;
	unsigned shard;
};

struct observer;

struct world {
	struct world_config config;
	struct net_endpoint address;
	uint64_t began_ns, now_ns;
	struct dns_server *dns;
	struct rcu rcu;
	struct resolver *resolver;
	struct proxy *proxy;
	struct proxy_listener listener;
	struct txn *txn;
	struct route_registry registry;
	struct route_script *script;
	struct route_thread worker;
	struct route_ctx *worker_ctx;
	struct shard {
		struct world *w;
		struct txn_shard *s;
		struct route_thread thread;
		struct route_ctx *ctx;
	} shard[TXN_SHARDS_MAX];
	struct sent **sent; /* each stays where it is until the world rests */
	unsigned sents, sents_room;
	uint64_t requests, responses; /* that left */
	struct parked *parked;
	/* the call that is under way */
	char *begun;
	uint32_t begun_room;
	unsigned of_message; /* sent as MESSAGE or REPLY within this call */
	bool in_poll, refused_begin;
	/* what the test may set */
	bool refuse_begin; /* no buffer for anybody */
	bool refuse_park;
	bool late; /* workers look at the index before what comes has its transaction there */
	bool (*lose)(struct world *w); /* a buffer now and then; NULL: none is lost */
	void *test;
	/* of the last message */
	enum fate fate;
	enum txn_reason reason;
	enum proxy_reason proxy_reason;
	struct txn_usage before; /* to be the same at the end */
	struct observer *observer;
};

struct world *world_new(struct world_config config);
/* Lets all timers run out: nothing may be left, and no memory be in use that was not at the start.
 * Forgets what left. */
void world_rest(struct world *w);
/* Comes to rest, and ends. */
void world_close(struct world *w);
/* The same without time passing: what stands is thrown away. */
void world_discard(struct world *w);

/* A message of `len` bytes from there; what becomes of it. */
enum fate come(struct world *w, const char *text, uint32_t len, const struct net_endpoint *src);
/* The same for text whose LF stand for CRLF. The observer knows that it came. */
enum fate come_text(struct world *w, const char *text, const char *src, uint16_t port);
/* The same for a response that the observer shall not believe: forged, or to what is long over. */
enum fate come_forged(struct world *w, const char *text, const char *src, uint16_t port);

/* An ICMP error quotes these bytes of a request that went there. Whether it is believed. */
bool unreachable_text(
	struct world *w, const char *text, uint32_t len, const struct net_endpoint *to);
/* The same of a request that left, the first `bytes` of it, or all (0): it has to be believed. */
void unreachable(struct world *w, const struct sent *m, uint32_t bytes);
/* The same, and it may be late or double. */
void lose_request(struct world *w, const char *text, const struct net_endpoint *to);

/* The clock goes on in steps of STEP_MS, with a poll each. */
void pass(struct world *w, uint64_t ms);
/* In steps of `step` ms. */
void pass_in_steps(struct world *w, uint64_t ms, uint64_t step);
/* The clock jumps, without a poll. */
void jump(struct world *w, int64_t ms);
/* One poll at this time. */
unsigned poll_once(struct world *w, unsigned budget);
uint64_t now_ms(const struct world *w);
/* Asks for the names that messages wait for, and goes on with these; at most `times` rounds. */
void answer_names(struct world *w);
/* None of them comes: what waits is given up. What became of the last one. */
enum fate lose_names(struct world *w);
void add_address(struct world *w, const char *name, const char *address);
void add_service(
	struct world *w, const char *name, const char *host, uint16_t priority, uint16_t port);

uint64_t counted(const struct world *w, enum txn_counter counter);
struct txn_usage usage(const struct world *w);

/* ---- what left ---- */

/* The first message that has not been taken: such a request to that host, or such a response to it
 * (CSeq method). It is taken. The test fails where there is none. */
const struct sent *take_request(struct world *w, const char *method, const char *host);
const struct sent *take_response(struct world *w, unsigned status, const char *method);
/* The same, NULL where there is none. */
const struct sent *find_request(struct world *w, const char *method, const char *host);
const struct sent *find_response(struct world *w, unsigned status, const char *method);
/* Everything that left has been taken. */
#define take_nothing(w) take_nothing_at((w), __LINE__)
void take_nothing_at(struct world *w, int line);
/* Takes everything; how many. */
unsigned take_all(struct world *w);
/* How many messages left in all, and how many requests of this method. */
unsigned requests_sent(const struct world *w, const char *method);
/* It left when it was due. */
#define assert_due(m, ms) assert_due_at((m), (ms), __LINE__)
void assert_due_at(const struct sent *m, uint64_t ms, int line);

/* Value of a message's n-th header line of that name, NULL where there is none; kept for a while.
 */
const char *header(const char *text, const char *name, unsigned n);
unsigned headers(const char *text, const char *name);
const char *first_line(const char *text);
const char *body_of(const char *text);
/* The value of a parameter of a header value ("branch", "tag"); NULL where there is none. */
const char *param(const char *value, const char *name);
const char *branch_of(const char *text);
const char *replaced(const char *text, const char *from, const char *to);
const char *printed(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool goes_to(const struct sent *m, const char *host, uint16_t port);

/* ---- who sends ---- */

/* A request as a caller makes it; what is not said is the usual. */
struct ask {
	const char *method; /* INVITE */
	const char *uri;    /* sip:bob@10.2.0.1 */
	const char *call;   /* Call-ID: "call" */
	const char *branch; /* behind the cookie: Call-ID, "-", CSeq number */
	const char *from;   /* address of the caller: CALLER */
	const char *from_tag;
	const char *to_tag; /* none */
	const char *more;   /* header lines, each with its LF */
	const char *body;
	unsigned cseq; /* 1 */
};
const char *ask_text(struct ask ask);
enum fate ask(struct world *w, struct ask ask);
/* The CANCEL of it, and the ACK to a failure that came back. */
const char *cancel_text(struct ask ask);
enum fate cancel(struct world *w, struct ask ask);
const char *ack_text(struct ask ask, const struct sent *failure);
enum fate ack(struct world *w, struct ask ask, const struct sent *failure);

/* The response of the server that the request went to: "180 Ringing". The To tag, where the request
 * has none, is of the host, or `tag`. */
const char *answer_text(
	const struct sent *request, const char *status, const char *tag, const char *more);
enum fate answer(struct world *w, const struct sent *request, const char *status);
enum fate answer_with(struct world *w, const struct sent *request, const char *status,
	const char *tag, const char *more);

/* ---- what most calls begin and end with ---- */

/* An INVITE comes: the 100 went back, and this is what left for BOB. */
const struct sent *call(struct world *w, struct ask ask);
/* The server that an INVITE went to fails it, and gets its ACK (17.1.1.3). */
void refuse(struct world *w, const struct sent *invite, const char *status);

/* observer.c */
struct observer *observer_new(struct world *w);
void observer_free(struct observer *o);
void observe_in(struct observer *o, const char *text);
/* The network says that this request did not arrive; and that was not believed. */
void observe_lost(struct observer *o, const char *text);
void observe_not_lost(struct observer *o, const char *text);
/* After the call that took what came in. */
void observe_done(struct observer *o, const char *text);
void observe_out(struct observer *o, const struct sent *m);
/* When the world has come to rest. */
void observe_rest(struct observer *o);
