/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the files of this room share. Nothing outside the room includes it, tests of the room apart.
 *
 * A transaction is a place of two cache lines, which stands as long as anything is absorbed, and
 * chunks that hang on it: while it is in progress `live` (the request's text and what its script
 * asked for) and `saved` (the packed context); one for each branch, with the bytes that went out or
 * the ACK that goes with a failure; and the reply that a retransmission gets. The ACK, and a reply
 * that no timer sends, are kept without what the message brings that they go out for (echo.h).
 *
 * Names: a *server* side and its state (RFC 3261 17.2), *branches* with a client transaction each
 * (17.1). A branch is final when its response is known; it is alive while its client transaction
 * is, which may be longer.
 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "txn/echo.h"
#include "txn/memory.h"
#include "txn/txn.h"
#include "txn/wheel.h"

#define TXN_NO_PLACE UINT32_MAX
#define TXN_BYTES_EACH 4096 /* of the arena, for each transaction that there is room for */
#define TXN_MESSAGE_MAX SIP_MSG_UDP_OUT_MAX
#define TXN_GROWTH 700        /* what a message that leaves usually grows by at most */
#define TXN_REASON_LINES 512  /* bytes of a CANCEL's Reason lines that are passed on */
#define TXN_TIMERS 64U        /* 64 * T1: timers H, J, L, M, D */
#define TXN_LATE_TRYING 3500U /* ms: when such a peer's Timer E comes to T2 */
#define TXN_SAME_BRANCH_MAX 4 /* requests with one branch that differ otherwise */
#define TXN_BREADTH 60        /* RFC 5393 5.3.3 */
#define TXN_STRAY_MS 180000   /* responses to an earlier process's transactions: Timer C's time */
#define TXN_LIFETIME_MAX 0x3fffffffU /* ms */

/* ---- parameters of module "tm" ---- */

struct tm_config {
	int64_t fr_timer, fr_inv_timer, wt_timer, max_inv_lifetime, max_noninv_lifetime;
	int64_t retr_timer1, retr_timer2, absorb_timer;
	int64_t auto_inv_100, restart_fr_on_each_reply, failure_reply_mode, faked_reply_prio;
	int64_t aggregate_challenges, remap_503_500, disable_6xx_block, unmatched_cancel;
	int64_t local_cancel_reason, e2e_cancel_reason, dns_failover;
	int64_t default_code, reply_408_code;
	const char *auto_inv_100_reason, *default_reason, *reply_408_reason;
	const char *fr_timer_avp, *fr_inv_timer_avp, *failover_reply_codes;
};

/* unmatched_cancel: with or without state means the same here (16.10) */
enum { TXN_CANCEL_STATEFUL = 0, TXN_CANCEL_STATELESS, TXN_CANCEL_DROP };

/* failure_reply_mode, t_drop_replies(): which failures count no more behind a failure_route. */
enum txn_drop { TXN_DROP_NONE = 0, TXN_DROP_ALL, TXN_DROP_LAST_LEG, TXN_DROP_WITH_NEW };

/* ---- a transaction ---- */

/* RFC 3261 figures 7 and 8, with RFC 6026. All from COMPLETED on have sent their final reply. */
enum server_state {
	SERVER_FREE = 0,
	SERVER_TRYING,
	SERVER_PROCEEDING, /* a provisional reply was sent */
	SERVER_COMPLETED,  /* INVITE: a failure, which wants its ACK; others: any final reply */
	SERVER_CONFIRMED,  /* INVITE: the ACK came */
	SERVER_ACCEPTED,   /* INVITE: a 2xx */
	SERVER_TERMINATED  /* branches are still alive */
};

enum place_flag {
	PLACE_BUSY = 1 << 0,        /* its script runs or waits: it must not go away */
	PLACE_CANCELLED = 1 << 1,   /* by the client */
	PLACE_ABSORBING = 1 << 2,   /* counted as such: only absorbs */
	PLACE_TRYING_SENT = 1 << 3, /* our 100 went out */
	PLACE_ANY_REPLIED = 1 << 4, /* a branch got a response */
	PLACE_ANY_TIMEOUT = 1 << 5, /* a branch got none in time */
	PLACE_SILENT = 1 << 6,      /* t_replicate(): its client hears nothing of it */
	PLACE_6XX_SEEN = 1 << 7,
	PLACE_NO_6XX = 1 << 8,       /* 6xx are as other failures */
	PLACE_NO_FAILOVER = 1 << 9,  /* t_set_disable_failover() */
	PLACE_LATE_TRYING = 1 << 10, /* retr_at is when RFC 4320's 100 is due */
	PLACE_LOCAL = 1 << 11,       /* the final reply was one of our own */
	PLACE_SHARED = 1 << 12,      /* it has AVPs or flags, which late responses see too */
	PLACE_ECHO = 1 << 13,        /* its reply is packed: it takes the request to send it */
	PLACE_NO_REASON = 1 << 14,   /* the client's CANCEL keeps its Reason to itself */
	PLACE_EARLY_TOLD = 1 << 15   /* TXN_EVENT_EARLY */
};

/* An address, a port and a listener: where replies go. */
struct reply_to {
	uint8_t addr[16];
	uint16_t port, listener;
	uint8_t family;
};

struct place {
	/* what lookups and timers look at */
	struct hash128 key;
	uint64_t call_id; /* digest */
	struct wheel_node node;
	uint32_t cseq;
	uint32_t serial; /* another one for each transaction that stood here */
	uint8_t state;   /* enum server_state */
	uint8_t method;  /* enum sip_method */
	uint16_t flags;
	uint32_t retr_at, end_at; /* 0: none; timer G, and H, I, J or L */
	uint16_t status;          /* of the last reply that was sent upstream, 0: none */
	uint16_t on_reply;        /* block plus one, of late 2xx */
	uint16_t interval, t1;    /* of timer G; T1 */
	/* and the rest */
	const struct route_script *script;
	const struct tm_config *config;
	uint32_t live, saved, branch, reply; /* chunks */
	union {
		uint32_t method_hash;  /* of a method that has no number */
		uint32_t branch_flags; /* INVITE: of the branch that was answered */
	};
	uint16_t reply_len;
	uint16_t t2;
	bool armed;      /* its node is in the wheel */
	uint8_t numbers; /* its branches are numbered from TXN_BRANCHES_MAX times this */
	struct reply_to reply_to;
};
static_assert(sizeof(struct place) == 128, "a place is two cache lines");

enum txn_asked { TXN_ASKED_FR = 1 << 0, TXN_ASKED_FR_INV = 1 << 1 };

/* What is known while the transaction is in progress; the request's text follows. */
struct live {
	uint32_t text_len, saved_len;
	uint32_t flags;         /* setflag(), as it was saved */
	uint32_t fr, fr_inv;    /* ms */
	uint32_t lifetime_at;   /* when it ends whatever happens; 0: never */
	uint8_t branches;       /* ever, which is the number of the next one */
	uint8_t leg;            /* number of the first branch of the latest t_relay() */
	uint8_t leg_slots;      /* ctx->branches of that */
	uint8_t last_leg;       /* ... and of the one before */
	uint8_t before_failure; /* branches when the failure_route began */
	uint8_t drop;           /* enum txn_drop */
	uint8_t busy;           /* seconds that its script is overdue */
	uint8_t asked;          /* enum txn_asked: by t_set_fr(), which goes before AVPs */
	bool late; /* TXN_EVENT_LATE is wanted: it stays, though the client has heard */
	uint16_t leg_on_branch;  /* block plus one */
	uint32_t halfway;        /* chunk: what a branch_route did whose branch waits (slot.c) */
	struct echo_lines lines; /* of the request */
};

static inline char *live_text(struct live *l)
{
	return (char *)(l + 1);
}

/* RFC 3261 figures 5 and 6, with RFC 6026. */
enum branch_state {
	BRANCH_CALLING, /* or Trying */
	BRANCH_PROCEEDING,
	BRANCH_COMPLETED, /* INVITE: the ACK to its failure is kept (timer D) */
	BRANCH_TERMINATED
};

enum cancel_state {
	CANCEL_NONE = 0,
	CANCEL_HELD, /* until a provisional response comes (9.1) */
	CANCEL_SENT,
	CANCEL_ANSWERED
};

enum branch_flag {
	BRANCH_REPLIED = 1 << 0, /* any response came */
	BRANCH_TIMEOUT = 1 << 1, /* none came, or no final one */
	BRANCH_LOCAL = 1 << 2,   /* its status is ours */
	BRANCH_DROPPED = 1 << 3, /* it counts no more (t_drop_replies, failure_reply_mode) */
	BRANCH_UNSENT = 1 << 4   /* nobody has seen it: there was no buffer for it, or it is held */
};

struct branch {
	uint32_t next; /* chunk of the one made before it */
	uint8_t state, cancel, number, flags;
	uint16_t status;               /* 0: no final one is known */
	uint16_t provisional;          /* highest provisional one */
	uint16_t cause;                /* CANCEL: of its Reason, 0: none */
	uint8_t slot;                  /* 0: of the Request-URI, n: of ctx->branch[n - 1] */
	uint8_t nth;                   /* of its name's addresses */
	uint16_t on_reply, on_failure; /* blocks plus one */
	uint16_t breadth;
	uint16_t waits; /* its failure, while the name of another address is asked for; or 0 */
	uint32_t branch_flags;               /* setbflag() */
	uint32_t interval, cancel_interval;  /* ms: timers A, E */
	uint32_t retr_at, end_at, cancel_at; /* 0: none */
	uint32_t reason, reason_len;         /* chunk: the client's Reason lines */
	uint32_t reply, reply_len;           /* chunk: its failure, as it would be sent upstream */
	uint32_t sent_len;                   /* bytes follow: what was sent, or the ACK, packed */
	struct proxy_out to;
};

static inline char *branch_sent(struct branch *b)
{
	return (char *)(b + 1);
}

/* ---- what a script's run knows of its transaction: ctx->scratch[ROUTE_SCRATCH_TXN] ---- */

/* A t_relay() that waits for the name of one of its slots. `du` stays: where all branches of the
 * latest one that sent some go instead, for their next addresses. */
struct txn_plan {
	uint8_t slot;  /* plus one; 0: none waits */
	uint8_t first; /* number of the first of its branches */
	uint8_t sent;  /* how many of them there are */
	uint16_t breadth, spare, status;
	struct route_text reason, du;
};

struct txn_state {
	uint32_t place; /* plus one; 0: it has none */
	uint32_t serial;
	uint16_t shard;
	/* asked for before there was a transaction; blocks plus one, ms, 0: not asked for */
	uint16_t on_failure, on_branch, on_reply;
	uint16_t t1, t2;
	uint16_t flags; /* enum state_flag */
	uint32_t fr, fr_inv, lifetime_inv, lifetime_other;
	/* the failure that a failure_route is about */
	uint16_t status;
	uint8_t branch; /* the one whose response won, or that a branch or reply route is of */
	uint8_t branch_flags; /* enum branch_flag of it */
	/* Edits that failure_routes begin with, plus one: those of t_save_lumps(), else of the
	 * first t_relay(). Their bytes. */
	uint16_t lumps, lumps_text;
	struct txn_plan plan;
};
static_assert(sizeof(struct txn_state) <= ROUTE_SCRATCH_BYTES, "txn_state fits its scratch");

enum txn_state_flag {
	STATE_CARRIED = 1 << 0,  /* the message in hand went on, or was answered */
	STATE_ABSORBED = 1 << 1, /* it was a retransmission, an ACK or a CANCEL: all is done */
	STATE_ANSWERED = 1 << 2, /* ... and answered */
	STATE_NO_100 = 1 << 3,
	STATE_WANT_100 = 1 << 4, /* t_set_auto_inv_100() */
	STATE_NO_6XX = 1 << 5,
	STATE_WANT_6XX = 1 << 6, /* t_set_disable_6xx() */
	STATE_RELEASED = 1 << 7, /* t_release() */
	STATE_FAILURE = 1 << 8,  /* this is a failure_route's context */
	STATE_NO_FAILOVER = 1 << 9,
	STATE_DROPPED = 1 << 10,  /* unmatched_cancel */
	STATE_FAILOVER = 1 << 11, /* it waits for the name of a branch's next address */
	STATE_NO_REASON = 1 << 12,
	STATE_WANT_REASON = 1 << 13 /* t_set_no_e2e_cancel_reason() */
};

static inline struct txn_state *txn_state(struct route_ctx *ctx)
{
	return (struct txn_state *)ctx->scratch[ROUTE_SCRATCH_TXN];
}

/* ---- a shard ---- */

enum txn_hand { TXN_HAND_NONE = 0, TXN_HAND_REQUEST, TXN_HAND_RESPONSE };

/* What the call into this room that is being served has in its hands. */
struct txn_entry {
	enum txn_hand hand;
	uint16_t *flags; /* STATE_CARRIED: the message in hand has gone on, or was answered */
	struct route_ctx *running; /* a request's context, in use by its own script; or NULL */
	uint32_t loaded;           /* place whose request stands in `work`, plus one */
	uint8_t branch;            /* the response in hand is this one's, plus one */
};

struct txn_shard {
	struct txn *t;
	unsigned number;
	bool open;
	struct txn_sender sender;
	struct route_thread *thread;
	struct digest_index *index;
	struct place *place;
	uint32_t places, fresh, free; /* how many, how many were ever used, the first free one */
	struct memory memory;
	struct wheel wheel;
	uint64_t told_ns,
		skew_ns; /* the last time that was told; what a clock that went back lacks */
	uint32_t now;    /* ms, wraps */
	struct txn_entry entry;
	unsigned module_at; /* "tm" among the modules of the last script */
	/* The context that requests are loaded into. */
	struct route_ctx *work;
	char *buffer; /* TXN_MESSAGE_MAX, where the sender has no place */
	char *packed; /* ECHO_ROOM of that */
	/* Written by the shard's thread, read by any. */
	_Alignas(64) _Atomic uint64_t counter[TXN_COUNTER_COUNT];
	_Atomic uint64_t transactions, absorbing;
};

struct txn {
	struct proxy *proxy;
	struct txn_watcher watcher;
	uint64_t started_ns;
	unsigned shards;
	struct txn_shard shard[TXN_SHARDS_MAX];
};

static inline void shard_count(struct txn_shard *s, enum txn_counter counter)
{
	atomic_store_explicit(&s->counter[counter],
		atomic_load_explicit(&s->counter[counter], memory_order_relaxed) + 1,
		memory_order_relaxed);
}

static inline void shard_gauge(_Atomic uint64_t *gauge, int by)
{
	atomic_store_explicit(gauge,
		atomic_load_explicit(gauge, memory_order_relaxed) + (uint64_t)(int64_t)by,
		memory_order_relaxed);
}

/* txn.c: a call into this room begins and ends. */
struct txn_entry txn_enter(
	struct txn_shard *s, enum txn_hand hand, uint16_t *flags, struct route_ctx *running);
static inline void txn_leave(struct txn_shard *s, struct txn_entry before)
{
	s->entry = before;
}
/* The same for a function that a script calls: NULL on a worker. In a block that the room runs
 * itself, what is in hand stays so. */
struct txn_shard *txn_enter_function(
	struct txn *t, struct route_ctx *ctx, struct txn_entry *before);
/* Takes the caller's clock over; one that goes back stands still. */
void txn_shard_time(struct txn_shard *s, uint64_t now_ns);

static inline uint32_t place_number(const struct txn_shard *s, const struct place *t)
{
	return (uint32_t)(t - s->place);
}
static inline struct live *place_live(const struct txn_shard *s, const struct place *t)
{
	return t->live != MEMORY_NONE ? memory_at(&s->memory, t->live) : NULL;
}
static inline struct branch *branch_at(const struct txn_shard *s, uint32_t chunk)
{
	return chunk != MEMORY_NONE ? memory_at(&s->memory, chunk) : NULL;
}
#define BRANCH_FOREACH(s, t, b) \
	for (struct branch *b = branch_at((s), (t)->branch); b != NULL; b = branch_at((s), b->next))
/* The transaction that a script's run made or found, NULL: none. */
struct place *txn_current(struct txn_shard *s, struct route_ctx *ctx);

static inline bool server_is_final(const struct place *t)
{
	return t->state >= SERVER_COMPLETED;
}
static inline bool branch_is_alive(const struct branch *b)
{
	return b->state != BRANCH_TERMINATED;
}
static inline bool branch_is_final(const struct branch *b)
{
	return b->status >= 200;
}

/* Times: a and b are less than 2^31 ms apart. */
static inline bool time_is_due(const struct txn_shard *s, uint32_t at)
{
	return at != 0 && (int32_t)(at - s->now) <= 0;
}
static inline uint32_t time_in(const struct txn_shard *s, uint32_t ms)
{
	uint32_t at = s->now + (ms < TXN_LIFETIME_MAX ? ms : TXN_LIFETIME_MAX);

	return at != 0 ? at : 1;
}
static inline uint32_t time_earlier(uint32_t a, uint32_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return (int32_t)(a - b) < 0 ? a : b;
}

/* ---- index.c ---- */

/* The transaction that a request belongs to (17.2.3): the same branch, sent-by, Call-ID and CSeq
 * number; for ACK and CANCEL, the INVITE. */
struct place *txn_find_request(struct txn_shard *s, struct route_ctx *ctx);
/* The one of t_replicate() for it. */
struct place *txn_find_copy(struct txn_shard *s, struct route_ctx *ctx);
/* Of a response (17.1.3). */
struct place *txn_find_response(
	struct txn_shard *s, struct route_ctx *ctx, const struct proxy_branch *at);
uint32_t txn_method_hash(struct str method);

/* ---- place.c ---- */

/* A transaction for the request in ctx; NULL: no room. Its chunks are made, nothing is sent. */
struct place *txn_place_create(struct txn_shard *s, struct route_ctx *ctx);
/* Gives back what an end that has been reached does not need; the whole place where nothing is
 * left: t is not to be used afterwards where it returns false. */
bool txn_place_settle(struct txn_shard *s, struct place *t);
/* Packs the context for the routes to come. False: no room; what was kept stays. */
bool txn_place_save(struct txn_shard *s, struct place *t, struct route_ctx *ctx);
/* The request in a context: its own where its script runs, else the shard's, loaded. NULL where it
 * is not kept any more. */
struct route_ctx *txn_place_request(struct txn_shard *s, struct place *t);
/* Keeps a reply as it is sent upstream, for retransmissions. Without room there is none. `whole`:
 * timer G sends it, or it is provisional, which lasts too short a time to be packed for. */
void txn_place_keep_reply(
	struct txn_shard *s, struct place *t, const char *text, uint32_t len, bool whole);
void txn_place_drop_reply(struct txn_shard *s, struct place *t);
void txn_reply_to_set(struct reply_to *to, const struct proxy_out *from);
void txn_reply_to_get(const struct reply_to *to, struct proxy_out *out);
/* 64 * T1, and not less than absorb_timer: a peer has a T1 of its own, and what absorbs its copies
 * does so as long as they come. */
uint32_t txn_place_t1_64(const struct place *t);
/* Before these timers start: fr_timer and fr_inv_timer are those of the AVPs in ctx (fr_timer_avp,
 * fr_inv_timer_avp), else the parameters; not where t_set_fr() has set them. */
void txn_place_fr(const struct place *t, struct live *l, struct route_ctx *ctx);

/* ---- timer.c ---- */

/* A deadline of the transaction, or of one of its branches, was set to `at` (0: to none). */
void txn_timer_set(struct txn_shard *s, struct place *t, uint32_t at);
void txn_timer_stop(struct txn_shard *s, struct place *t);

/* ---- server.c ---- */

/* Sends a text as OWN; false: the sender had no place. */
bool txn_send(struct txn_shard *s, const char *text, uint32_t len, const struct proxy_out *to);
/* The same for what may be the message in hand, or the answer to it. */
bool txn_send_in_hand(struct txn_shard *s, const char *text, uint32_t len,
	const struct proxy_out *to, enum txn_hand hand, enum txn_kind kind);
/* A place to write a message, the sender's or, where it has none, one of our own. Ended by
 * txn_write_end(), with len 0 where nothing came of it; the text stays readable until then. */
char *txn_write_begin(struct txn_shard *s, uint32_t room, bool *ours);
void txn_write_end(struct txn_shard *s, bool ours, uint32_t len, const struct proxy_out *to,
	enum txn_kind kind);
/* MESSAGE for the request or response in hand, REPLY for the request, where it has not been carried
 * on yet; else OWN. */
enum txn_kind txn_take_hand(struct txn_shard *s, enum txn_hand hand, enum txn_kind kind);
/* Our own reply to the request of t, provisional or final; the script's headers go with it. */
bool txn_server_reply(struct txn_shard *s, struct place *t, uint16_t status, struct str reason);
/* The transaction's end is this final status: timers and states of 17.2. */
void txn_server_final(struct txn_shard *s, struct place *t, uint16_t status);
/* A retransmission, the request in ctx, came: what was sent goes out again. NULL: timer G. */
void txn_server_repeat(struct txn_shard *s, struct place *t, struct route_ctx *ctx);
/* A request of an existing transaction. */
enum txn_verdict txn_server_take(struct txn_shard *s, struct place *t, struct route_ctx *ctx);
/* A run of the script over t's request is over, and branches are under way: keeps its context. */
void txn_keep_context(struct txn_shard *s, struct place *t, struct route_ctx *ctx);
/* Timers of the server side that are due. */
void txn_server_timer(struct txn_shard *s, struct place *t);

/* ---- branch.c ---- */

/* Writes and sends the request in ctx, whose target is known, as another branch; 0, or the status
 * of the reply that it stands for. */
int txn_branch_send(struct txn_shard *s, struct place *t, struct route_ctx *ctx, unsigned slot,
	unsigned nth, unsigned breadth);
/* The same, and it leaves when it is released. */
int txn_branch_hold(struct txn_shard *s, struct place *t, struct route_ctx *ctx, unsigned slot,
	unsigned nth, unsigned breadth);
void txn_branch_release(struct txn_shard *s, struct place *t, struct branch *b);
struct branch *txn_branch_find(struct txn_shard *s, struct place *t, unsigned number);
/* How many have no final response yet. */
unsigned txn_branch_open(struct txn_shard *s, const struct place *t);
/* It has this final status, of our own. */
void txn_branch_fail(struct branch *b, uint16_t status, unsigned flags);
/* Nothing of it has left (BRANCH_UNSENT), and now nothing does. */
void txn_branch_forget(struct branch *b);
/* It waits for another address no longer: its failure stands. */
void txn_branch_give_up(struct branch *b);
/* It took too long (timers B, C, F): 408, and CANCEL where it has a provisional response (16.8). */
void txn_branch_timeout(struct txn_shard *s, struct place *t, struct branch *b);
/* Sends the ACK to the failure in ctx and keeps it in place of the request (17.1.1.3). */
void txn_branch_ack(struct txn_shard *s, struct place *t, struct branch **b, struct route_ctx *ctx);
void txn_branch_free(struct txn_shard *s, struct place *t, struct branch *b);
void txn_branch_drop_reply(struct txn_shard *s, struct branch *b);
/* Timers of a branch that are due. */
void txn_branch_timer(struct txn_shard *s, struct place *t, struct branch *b);

/* ---- cancel.c ---- */

/* 9.1: cancels a branch that is alive, now or when its first provisional response comes. `cause`
 * is of the Reason, 0: none; or the client's lines. */
void txn_cancel_branch(
	struct txn_shard *s, struct place *t, struct branch *b, unsigned cause, struct str lines);
void txn_cancel_branches(struct txn_shard *s, struct place *t, unsigned cause);
/* Sends what is held back, or again. */
void txn_cancel_send(struct txn_shard *s, struct place *t, struct branch *b);
/* A CANCEL came (9.2, 16.10): 200, and its effect. */
void txn_cancel_take(struct txn_shard *s, struct place *t, struct route_ctx *ctx);

/* ---- response.c ---- */

/* All branches that were open may be final now: the failure_route, the best response (16.7). */
void txn_response_finish(struct txn_shard *s, struct place *t);
/* The failure_route is over. */
void txn_response_failure_done(struct txn_shard *s, struct place *t);
/* The branch whose response would go upstream; NULL: none. */
struct branch *txn_response_best(struct txn_shard *s, struct place *t);

/* ---- relay.c ---- */

enum txn_begin { TXN_BEGIN_NEW, TXN_BEGIN_HAVE, TXN_BEGIN_ABSORBED, TXN_BEGIN_REFUSED };
/* The transaction of the request in ctx, made where there is none. */
enum txn_begin txn_relay_begin(struct txn_shard *s, struct route_ctx *ctx, struct place **t);
/* t_relay(): the value for the script. `du`: where all branches go instead, empty: their own. */
int32_t txn_relay(struct txn *t, struct route_ctx *ctx, struct str du);
/* A run that waited in t_relay() is over: it goes on without the names that did not come. */
void txn_relay_without(struct txn_shard *s, struct place *t, struct route_ctx *ctx);

/* ---- failover.c ---- */

/* RFC 3263 4.3: another branch, to the next address of b's next hop, instead of b, which has
 * failed. WAITS: when its name is known, until when b is open (b->waits). */
enum txn_failover { TXN_FAILOVER_NONE, TXN_FAILOVER_SENT, TXN_FAILOVER_WAITS };
enum txn_failover txn_relay_failover(struct txn_shard *s, struct place *t, struct branch *b);
/* The name is known, or (failed) does not come; ctx is the one that has waited. */
void txn_relay_failover_goes_on(
	struct txn_shard *s, struct place *t, struct route_ctx *ctx, bool failed);

/* ---- route.c: blocks of the script ---- */

/* FATAL_DROP: the main reply_route dropped it, before any transaction saw it. */
enum txn_ran { TXN_RAN, TXN_RAN_DROP, TXN_RAN_FATAL_DROP, TXN_RAN_WAITS };
/* Over a response: reply_route and onreply_route. */
enum txn_ran txn_route_reply(
	struct txn_shard *s, struct place *t, const struct branch *b, struct route_ctx *ctx);
/* Over the request in ctx, for one branch. */
enum txn_ran txn_route_branch(
	struct txn_shard *s, struct route_ctx *ctx, unsigned block, unsigned number);
enum txn_ran txn_route_failure(
	struct txn_shard *s, struct place *t, const struct branch *best, unsigned block);

/* ---- news.c ---- */

/* Tells the watcher, where it wants to hear of it. `response` is what goes upstream. */
void txn_tell(struct txn_shard *s, struct place *t, enum txn_event event, uint16_t status,
	struct str response);
/* What a 2xx that goes upstream is. */
enum txn_event txn_event_of_success(const struct txn_shard *s, const struct place *t);
/* A provisional response with a body. */
void txn_tell_provisional(
	struct txn_shard *s, struct place *t, uint16_t status, struct str response);
/* An ACK that t_relay() sends on without state: it has to be on a slow lcore for that. */
bool txn_ack_has_to_be_told(const struct txn *t, const struct route_ctx *ctx);
void txn_tell_ack(struct txn *t, struct route_ctx *ctx);

/* ---- modules ---- */

#define MODULE_RUN(name) static int32_t name(struct route_ctx *ctx, const struct route_args *args)
#define MODULE_CHECK(name) \
	static int name(void *room, const void *config, const struct route_arg *arg, unsigned n, \
		const struct route_place *place, struct route_report *report, void **data)

extern const struct route_module txn_module;             /* module_tm.c; with these functions: */
extern const struct route_function txn_functions[];      /* module_tm.c */
extern const struct route_function txn_more_functions[]; /* module_tm_more.c */
extern const struct route_variable txn_variables[];      /* module_tm_more.c */
