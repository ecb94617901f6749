/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * pipeline: a packet's way through the worker: receive, classify, index, route, rewrite, transmit.
 * Each stage works on a burst and calls one room for the work.
 *
 *   receive   takes a burst from each queue of the worker, and what other threads have passed to it
 *   classify  Ethernet to UDP; fragments to their owner; what is not SIP over UDP to the kernel
 *   index     the SIP index and check; keep-alives answered here
 *   route     the proxy's own rules, then the operator's script
 *   rewrite   writes the message (or our reply) into a fresh buffer
 *   transmit  next hop, headers, checksum, fragments; to the queue, or to the worker that owns one
 *
 * What cannot go on at once (a name, rows of a database, a neighbour's MAC) is copied into a held
 * slab (crossing, ask) and comes back by a ring. No received buffer is kept.
 *
 * What needs state goes by a ring to the slow lcore of its shard (slow): the request whose script
 * met such an operation, with its context, and what belongs to a transaction before any script. A
 * slow lcore goes on at that very instruction, works the transactions' timers, and sends through
 * the workers' queues. Messages of one Call-ID stay in order. Where the slow path has no room, a
 * worker answers 503 without Retry-After (RFC 7339 5.10.2), new requests first, ACK and CANCEL of
 * transactions last; what may not be answered, a CANCEL, and what a transaction may know, is
 * dropped and counted.
 *
 * Threads: pipeline_worker_poll(i) and pipeline_slow_poll(i) belong to one thread each; everything
 * else to the control thread. Several workers, slow lcores and the control loop may share one
 * thread.
 *
 * The equation of counter.def holds whenever nothing is in flight.
 */
#include "acc/acc.h"
#include "access/access.h"
#include "db/db.h"
#include "dispatch/dispatch.h"
#include "kernel/kernel.h"
#include "pipeline/counter.h"
#include "port/port.h"
#include "proxy/proxy.h"
#include "registrar/registrar.h"
#include "resolve/resolve.h"
#include "route/route.h"
#include "txn/txn.h"

/* What a worker's time goes to, and a slow lcore's: its messages are charged to `state` as a whole,
 * from the script to what is written. PIPELINE_STAGE(enum suffix, name) */
#define PIPELINE_STAGES(PIPELINE_STAGE) \
	PIPELINE_STAGE(RECEIVE, "receive")   /* frames from the device */ \
	PIPELINE_STAGE(CLASSIFY, "classify") /* Ethernet to UDP */ \
	PIPELINE_STAGE(INDEX, "index")       /* the SIP index and check */ \
	PIPELINE_STAGE(ROUTE, "route")       /* the proxy's rules and the script */ \
	PIPELINE_STAGE(REWRITE, "rewrite")   /* what leaves is written */ \
	PIPELINE_STAGE(TRANSMIT, "transmit") /* next hop, headers, checksum; buffers freed */ \
	PIPELINE_STAGE(SEND, "send")         /* frames to the device */

enum pipeline_stage {
#define PIPELINE_STAGE(id, name) PIPELINE_STAGE_##id,
	PIPELINE_STAGES(PIPELINE_STAGE)
#undef PIPELINE_STAGE
		PIPELINE_STAGE_COUNT, /* of a worker */
	PIPELINE_STAGE_STATE = PIPELINE_STAGE_COUNT,
	PIPELINE_STAGE_TIMERS, /* of transactions, and contacts that have ended */
	PIPELINE_STAGE_ALL
};

#define PIPELINE_WORKERS_MAX 64
#define PIPELINE_SLOW_MAX 32
#define PIPELINE_NEIGHBOUR_WAIT_NS (3 * CLOCK_NS_PER_S)
/* Who wants what somebody else is at looks again after so long. */
#define PIPELINE_TURN_NS (10 * CLOCK_NS_PER_MS)
#define PIPELINE_NAME_WAIT_NS (5 * CLOCK_NS_PER_S) /* for rows and changes, too */
/* Half of the places for messages that wait are for those that wait for databases: who hangs leaves
 * the other half to names and neighbours. Half of these are there for whoever comes first; when
 * that is used, each source (of IPv6 its /64) may have one of so many parts of them, and a /48
 * four. So who makes up users keeps nobody's else out, from one address or network. Who has many,
 * or forges them with a nonce that is bound to no source (auth_checks_*, wrong_limit), does where
 * the database is slower than he. */
#define PIPELINE_DATABASE_PARTS 16
#define PIPELINE_DATABASE_SITE 4
#define PIPELINE_HELD_PER_HOP 256 /* messages that wait for one neighbour */
#define PIPELINE_REASSEMBLY_NS (2 * CLOCK_NS_PER_S)
/* Messages on their way to one slow lcore at which a worker refuses the next: one outside a dialog;
 * one that says it belongs to something (a To tag, an ACK, a CANCEL); one that does, by a
 * transaction's branch or our token; ACK and CANCEL of a transaction. */
#define PIPELINE_SLOW_NEW 768
#define PIPELINE_SLOW_CLAIMED 832
#define PIPELINE_SLOW_KNOWN 896
#define PIPELINE_SLOW_LAST 1024
/* So much of what belongs to one call (to its Call-ID, or to one of its transactions) crosses from
 * one worker in that time with that precedence. What goes beyond is refused before all others: at
 * that many messages on their way, from which on it is counted. */
#define PIPELINE_SHARE 64
#define PIPELINE_SHARE_NS (200 * CLOCK_NS_PER_MS)
#define PIPELINE_SLOW_REPEATED 512
/* ICMP errors that may be about what a transaction sent, which anybody can write, cross up to here;
 * those of one burst more. */
#define PIPELINE_SLOW_UNREACHABLE 256
#define PIPELINE_HOPS_MAX 4                     /* from one slow lcore to another, of one message */
#define PIPELINE_SWEEP_NS (60 * CLOCK_NS_PER_S) /* all contacts are looked at once in that time */
/* Where room is short they are looked at as fast as passes go, and then not for so many times as
 * long as that took. */
#define PIPELINE_SWEEP_REST 8

struct pipeline;

struct pipeline_config {
	struct port *port; /* open */
	unsigned ports;
	int vlan[PORT_MAX]; /* VID of each port's traffic, -1: untagged */
	unsigned workers;
	unsigned slow;                       /* slow lcores; 0: what needs state is answered 500 */
	struct rte_mempool *pool, *pool_big; /* the workers' */
	struct rte_mempool *pool_control;    /* for threads that can be preempted */
	struct rcu *rcu;
	struct proxy *proxy;
	struct access *access;
	struct resolver *resolver;
	struct db *db;             /* NULL: what a script wants of databases fails */
	struct dispatch *dispatch; /* hears of ICMP errors; may be NULL */
	/* What slow lcores work on; each may be NULL, and has as many shards as there are of them.
	 */
	struct txn *txn;
	struct registrar *registrar;
	struct location *location;
	struct acc *acc;
	struct kernel *kernel; /* may be NULL: no exception interface (tests, measurements) */
	/* Instead of the kernel's snapshot, for tests and measurements: fills the hop. NULL:
	 * kernel_hop_find(). */
	void (*hop_find)(void *arg, const struct net_addr *to, struct kernel_hop *out);
	void *hop_arg;
	uint32_t held_small,
		held_big;   /* messages that may wait: up to 2 KB, up to 64 KB; the
			       latter also those of this size that cross to slow lcores */
	uint32_t xlog_rate; /* lines a second and worker */
	/* Replies to malformed messages, and challenges of more than 1.5 times their request, a
	 * source and second. */
	uint32_t reply_rate;
};

/* Allocates everything. NULL and a sentence in `error`. */
struct pipeline *pipeline_create(
	const struct pipeline_config *config, char *error, size_t error_size);
void pipeline_destroy(struct pipeline *p);

/* Bytes of the EAL's memory that the rings of such a pipeline take; workers, slow and held_* are
 * looked at. */
uint64_t pipeline_ring_bytes(const struct pipeline_config *config);

/* Makes a script the one that new messages run. The old one lives until its last context lets go.
 */
void pipeline_publish(struct pipeline *p, struct route_script *script);

/* One pass of worker `index`; returns the frames and messages it handled, 0 when idle. */
unsigned pipeline_worker_poll(struct pipeline *p, unsigned index);
/* The same of slow lcore `shard`. */
unsigned pipeline_slow_poll(struct pipeline *p, unsigned shard);
/* Before and after its thread sleeps. */
void pipeline_worker_sleep(struct pipeline *p, unsigned index, bool asleep);
void pipeline_slow_sleep(struct pipeline *p, unsigned shard, bool asleep);
/* Whether the current script needs state. The thread of any worker or slow lcore. */
bool pipeline_has_state(struct pipeline *p);

/* The control loop's share: messages that wait for names, databases and neighbours, answers of
 * databases, notes of workers, script logs. Returns the number of things done. */
unsigned pipeline_control_poll(struct pipeline *p, uint64_t now_ns);
/*
 * Something that a slow lcore does for the control thread between two of its messages: what it
 * alone may write is changed so. run() is as short as the work for a message, and blocks, logs and
 * allocates as little. When `done` is seen to be set (acquire), the job is the caller's again.
 */
struct pipeline_job {
	void (*run)(struct pipeline_job *job, unsigned shard, uint64_t now_ns);
	_Atomic bool done;
	struct pipeline_job *next; /* the pipeline's */
};
/* 0, or -ENODEV where there is no such slow lcore. */
int pipeline_ask_slow(struct pipeline *p, unsigned shard, struct pipeline_job *job);

/* New next hops are published: messages that waited for one go on. */
void pipeline_hops_changed(struct pipeline *p);
/* Sends a frame that the kernel gave (copied). */
void pipeline_transmit(struct pipeline *p, uint16_t port, const uint8_t *frame, uint32_t len);
/* Script logs: the lowest level that is written, lines a second and worker. */
void pipeline_set_xlog(struct pipeline *p, enum log_level level, uint32_t rate);
void pipeline_set_kernel(struct pipeline *p, struct kernel *kernel);

/* Lines of script logs that found no room. */
uint64_t pipeline_xlog_lost(const struct pipeline *p);
/* Sum over all threads. */
void pipeline_counters(const struct pipeline *p, uint64_t out[COUNTER_COUNT]);
/*
 * What the workers' time went to: TSC cycles by stage, counted once a burst, and what they were
 * spent on. A pass that finds nothing is not counted, so that cycles / messages is the cost of one
 * under load and idleness does not dilute it. Sums over all workers since the start. Any thread.
 */
struct pipeline_stages {
	uint64_t cycles[PIPELINE_STAGE_ALL];
	uint64_t frames;   /* that classify looked at */
	uint64_t messages; /* that index looked at, or that came back from waiting, or (slow lcores)
			      that crossed */
	uint64_t hz;       /* cycles a second */
};
void pipeline_stages(const struct pipeline *p, struct pipeline_stages *out);
/* The same of the slow lcores. */
void pipeline_slow_stages(const struct pipeline *p, struct pipeline_stages *out);
const char *pipeline_stage_name(enum pipeline_stage stage);
/* Places for messages that wait or are large: how many are in use, and how many there are. */
void pipeline_places(const struct pipeline *p, uint32_t *used, uint32_t *max);
/* Messages that wait at this moment, all kinds, and those on their way to slow lcores. */
unsigned pipeline_held(const struct pipeline *p);
