/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * txn: transactions (RFC 3261 16, 17, with RFC 6026, RFC 4320, RFC 5393): what a stateful proxy
 * keeps of a request until it is done with it.
 *
 * OpenSER module "tm": t_relay, t_newtran, t_reply, t_check_trans, t_on_failure, ... and its
 * parameters.
 *
 * A shard is a slow lcore's share, by Call-ID (a REGISTER's by its address-of-record): its
 * transactions, its timer wheel, its memory. One thread works on it. What others see of it is its
 * index, by the transaction key of lib/proxy, so that a worker knows a CANCEL, an ACK or a
 * retransmission before it runs the script.
 *
 * A transaction keeps the text of its request, what the script made of its context (packed), a
 * branch for each request that it sent, with the bytes that went out, and the response that would
 * go to the client. When it is done it shrinks to what absorbs retransmissions.
 * Memory is a fixed arena in chunks of several sizes; what finds none is refused (503), and what is
 * under way goes on.
 *
 * The branch that a request leaves with is the 16 characters of the transaction key and two more
 * for the number of the branch; the token beside it names the shard. So a response finds its
 * transaction, and the same index serves both ways.
 *
 * Time is what the caller says, in txn_poll() and, for messages, in the shard's thread->now_ns: one
 * clock, which nothing here looks at. Where it goes back, the room's own stands still. Nothing
 * allocates, blocks, locks or logs. This room links without the EAL.
 *
 * Files: txn (shards, figures), memory (chunks), wheel, index, echo (what is kept of a reply);
 * place (a transaction's life), timer, server, branch, cancel, response (what goes upstream, the
 * best one), relay, slot (one branch of it), failover, unreachable (ICMP), route (blocks of the
 * script), news (what others are told), module_tm* and tm_* (functions of scripts).
 */
#include "base/digest_index.h"
#include "proxy/proxy.h"

#define TXN_SHARDS_MAX 64
#define TXN_BRANCHES_MAX \
	32 /* requests that one transaction sends in its life, all forks together */

struct txn;
struct txn_shard;

/* What a message that is sent was for. */
enum txn_kind {
	TXN_SENDS_MESSAGE, /* the message in hand goes on: its frames are counted as forwarded */
	TXN_SENDS_REPLY,   /* the message in hand is answered */
	TXN_SENDS_OWN      /* anything else: further branches, retransmissions, CANCEL, ACK, 100 */
};

/* Where messages go, one a shard; called by the shard's thread inside the calls below. */
struct txn_sender {
	void *arg;
	/* A place for a message of at most `room` bytes, or NULL: there is none now, and the
	 * message is lost as if on the wire. */
	char *(*begin)(void *arg, uint32_t room);
	/* Sends what was written there; len 0: nothing after all. */
	void (*end)(void *arg, uint32_t len, const struct proxy_out *to, enum txn_kind kind);
	/*
	 * A block of the script, or another address for a branch, waits for a name (ctx->wait):
	 * copies the context and its text, and calls route_resume() and txn_script_ended() on this
	 * shard's thread when the name is known, txn_script_failed() where it does not come. False:
	 * there is no room.
	 */
	bool (*park)(void *arg, struct route_ctx *ctx);
};

struct txn_config {
	struct proxy *proxy;
	unsigned shards;
	uint32_t transactions; /* of all shards together */
	uint64_t started_ns;   /* responses to transactions of an earlier run are passed on for
				  Timer C's time after it */
};

/* Maps all memory; pages come with their first use. NULL, and errno and a sentence. */
struct txn *txn_create(const struct txn_config *config, char *error, size_t error_size);
void txn_destroy(struct txn *t);
/* Adds the module "tm". */
int txn_register(struct txn *t, struct route_registry *registry);
/* Before the shard's first message. `thread` runs the blocks that timers and responses start. */
struct txn_shard *txn_shard_open(struct txn *t, unsigned shard, const struct txn_sender *sender,
	struct route_thread *thread);

/* ---- who keeps account of transactions ---- */

enum txn_event {
	TXN_EVENT_FINAL,  /* the client gets its final response: once a transaction, that which is
			     not answered (RFC 4320 4.2) included */
	TXN_EVENT_AGAIN,  /* another 2xx to an INVITE goes upstream: of a fork, or the same again */
	TXN_EVENT_FAILED, /* all branches have failed, ahead of the failure_route: once for each
			     t_relay() whose branches did */
	TXN_EVENT_EARLY,  /* the first provisional response with a body goes upstream */
	TXN_EVENT_CANCELLED, /* the client's first CANCEL has come */
	TXN_EVENT_ACK,       /* t_relay() has sent an ACK on: each copy of it */
	TXN_EVENT_LATE       /* the first 2xx to an INVITE goes upstream whose client has had a
				failure (16.7 step 5). A transaction that was sent, whose FINAL was
				a failure, and told, keeps its request for this one where it is
				wanted then */
};

struct txn_news {
	enum txn_event event;
	/* The request as its script has left it, with its AVPs and flags, which may be changed;
	 * what is evaluated over it is taken back. Of ACK, the ACK. NULL: AGAIN. */
	struct route_ctx *request;
	uint16_t status;
	struct str response; /* as it goes upstream, or would; empty: there is none */
	bool sent; /* FINAL: t_relay() has sent the request to somebody, whoever answers it now */
	uint64_t now_ns;
};

struct txn_watcher {
	void *arg;
	/* Whether a transaction of that method whose script has set these flags is of interest:
	 * asked for each event, of an ACK on any thread. */
	bool (*wants)(void *arg, enum txn_event event, uint8_t method, uint32_t flags);
	/* On the shard's thread: does not block, allocate, log, and calls nothing of this room. */
	void (*told)(void *arg, unsigned shard, const struct txn_news *news);
};
/* There is one at most. Before the first shard is opened. Of t_replicate()'s copies nothing is
 * told: nobody waits for them. */
void txn_watch(struct txn *t, const struct txn_watcher *watcher);

/* ---- any thread ---- */

/* The shard of a request or response by its Call-ID. */
unsigned txn_shard_of(struct txn *t, struct route_ctx *ctx);
/* Whether the request in ctx may belong to a transaction of this shard: rarely wrong with a yes,
 * which the shard finds out; a no can be wrong only for a request that is still on its way to the
 * shard. One cache miss. */
bool txn_may_have(struct txn *t, unsigned shard, struct route_ctx *ctx);
/* Brings the line that txn_may_have() or, of a response that was received, txn_response() will look
 * at first: for the messages of a burst, before the first of them is dealt with. */
void txn_bring(struct txn *t, unsigned shard, struct route_ctx *ctx);

/* The shard of the transaction that seems to have sent the request whose first bytes an ICMP error
 * quotes, or -1. */
int txn_unreachable_shard(struct txn *t, struct str quoted);

/* ---- the shard's thread ---- */

enum txn_verdict {
	TXN_NONE,     /* not the transaction's: the caller goes on with the message as it would */
	TXN_SENT,     /* sent as TXN_SENDS_MESSAGE or TXN_SENDS_REPLY: it is counted when it left */
	TXN_ABSORBED, /* a transaction took it: a retransmission, an ACK, a response that is kept */
	TXN_DROPPED,  /* for `reason` */
	TXN_PARKED    /* its script waits: the sender's park() has it */
};

/* TXN_REASON(enum suffix, counter name): why a message was dropped, each a counter. */
#define TXN_REASONS(TXN_REASON) \
	TXN_REASON(STRAY, "txn_stray")         /* a response to no transaction */ \
	TXN_REASON(NO_MEMORY, "txn_no_memory") /* no room to keep it, and nobody to answer */ \
	TXN_REASON(WRITE, "txn_write")         /* it could not be written */ \
	TXN_REASON(SCRIPT, "txn_script_drop")  /* a block of the script dropped it */

enum txn_reason {
	TXN_REASON_NONE = 0,
#define TXN_REASON(id, name) TXN_REASON_##id,
	TXN_REASONS(TXN_REASON)
#undef TXN_REASON
		TXN_REASON_COUNT
};

/* A well-formed request that txn_may_have() said yes to, before its script: an ACK to a failure, a
 * retransmission, a CANCEL of an INVITE that is here are dealt with (17.2, 9.2). */
enum txn_verdict txn_request(struct txn_shard *s, struct route_ctx *ctx, enum txn_reason *reason);
/* A response whose owner this shard is, received by proxy_response_receive(). TXN_NONE: pass it on
 * without state. (17.1, 16.7) */
enum txn_verdict txn_response(struct txn_shard *s, struct route_ctx *ctx, enum txn_reason *reason);
/* The script ended over a request (or over a parked block) on this shard. TXN_NONE: it made no
 * transaction, its result stands in ctx->result as on a worker. */
enum txn_verdict txn_script_ended(
	struct txn_shard *s, struct route_ctx *ctx, enum txn_reason *reason);
/* The run of a request, or of a failure_route that goes on, waits (ROUTE_WAIT): a response or a
 * CANCEL that comes meanwhile finds what the script has said of its transaction until now, and is
 * accounted. */
void txn_script_waits(struct txn_shard *s, struct route_ctx *ctx);
/* The run failed or can't go on (ROUTE_FAILED; a name that never came): its transaction, where it
 * has one, answers 500. */
enum txn_verdict txn_script_failed(
	struct txn_shard *s, struct route_ctx *ctx, enum txn_reason *reason);
/*
 * The network says that a request to `to` did not arrive, of which it quotes the first bytes, or
 * all. Where a transaction has sent exactly these and nobody has answered, the branch is as if it
 * were answered 503: the next address of its name, the failure_route, the best response. False:
 * there is none. (RFC 3261 16.9, 18.4; RFC 3263 4.3)
 */
bool txn_unreachable(struct txn_shard *s, struct str quoted, const struct net_endpoint *to);
/* Timers that are due, at most `budget` of them; returns how many it looked at. Called each pass.
 */
unsigned txn_poll(struct txn_shard *s, uint64_t now_ns, unsigned budget);

/* ---- figures ---- */

/* TXN_COUNTER(enum suffix, counter name) */
#define TXN_COUNTERS(TXN_COUNTER) \
	TXN_COUNTER(CREATED, "txn_created") \
	TXN_COUNTER(ENDED, "txn_ended") \
	TXN_COUNTER(REFUSED, "txn_refused")   /* 503: the pool was empty */ \
	TXN_COUNTER(BRANCHES, "txn_branches") /* requests sent, without retransmissions */ \
	TXN_COUNTER( \
		RETRANSMITTED, "txn_retransmitted") /* requests and replies that a timer sent */ \
	TXN_COUNTER(ABSORBED, "txn_absorbed")       /* retransmissions that came in */ \
	TXN_COUNTER(TIMEOUTS, "txn_timeouts")       /* branches that nobody answered (408) */ \
	TXN_COUNTER(UNREACHABLE, "txn_unreachable") /* branches that did not arrive (ICMP) */ \
	TXN_COUNTER(CANCELLED, "txn_cancelled")     /* branches that were sent a CANCEL */ \
	TXN_COUNTER(LOOPS, "txn_loops")             /* 482, 440 (RFC 5393) */ \
	TXN_COUNTER(FAILED_OVER, "txn_failed_over") /* branches that went to another address */

enum txn_counter {
#define TXN_COUNTER(id, name) TXN_COUNTER_##id,
	TXN_COUNTERS(TXN_COUNTER)
#undef TXN_COUNTER
		TXN_COUNTER_COUNT
};
/* The sum over all shards. Any thread. */
uint64_t txn_counter(const struct txn *t, enum txn_counter counter);
const char *txn_counter_name(enum txn_counter counter);
/* Transactions that stand and room for them, those of them that only absorb, bytes of chunks in
 * use. Of one shard, and the sum over all of them. Any thread. */
struct txn_usage {
	uint64_t transactions, transactions_max, absorbing, bytes, bytes_max;
};
void txn_shard_usage(const struct txn *t, unsigned shard, struct txn_usage *out);
void txn_usage(const struct txn *t, struct txn_usage *out);
