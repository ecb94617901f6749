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
 * What cannot go on at once (a name, a neighbour's MAC) is copied into a held slab (crossing) and
 * comes back by a ring. No received buffer is kept.
 *
 * What needs state goes by a ring to the slow lcore of its shard (slow): the request whose script
 * met such an operation, with its context, and what belongs to a transaction before any script. A
 * slow lcore goes on at that very instruction, works the transactions' timers, and sends through
 * the workers' queues. Messages of one Call-ID stay in order. Where the slow path has no room, a
 * worker answers 503 without Retry-After (RFC 7339 5.10.2), new requests first, ACK and CANCEL
 * last; what may not be answered, and what a transaction may know, is dropped and counted.
 *
 * Threads: pipeline_worker_poll(i) and pipeline_slow_poll(i) belong to one thread each; everything
 * else to the control thread. Several workers, slow lcores and the control loop may share one
 * thread.
 *
 * The equation of counter.def holds whenever nothing is in flight.
 */
#include "access/access.h"
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
#define PIPELINE_NAME_WAIT_NS (5 * CLOCK_NS_PER_S)
#define PIPELINE_HELD_PER_HOP 256 /* messages that wait for one neighbour */
#define PIPELINE_REASSEMBLY_NS (2 * CLOCK_NS_PER_S)
/* Messages on their way to one slow lcore at which a worker refuses the next: one outside a dialog,
 * one of a dialog or a transaction, ACK and CANCEL. */
#define PIPELINE_SLOW_NEW 768
#define PIPELINE_SLOW_KNOWN 896
#define PIPELINE_SLOW_LAST 1024
#define PIPELINE_HOPS_MAX 4                     /* from one slow lcore to another, of one message */
#define PIPELINE_SWEEP_NS (60 * CLOCK_NS_PER_S) /* all contacts are looked at once in that time */

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
	struct dispatch *dispatch; /* hears of ICMP errors; may be NULL */
	/* What slow lcores work on; each may be NULL, and has as many shards as there are of them.
	 */
	struct txn *txn;
	struct registrar *registrar;
	struct location *location;
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

/* The control loop's share: messages that wait for names and neighbours, notes of workers, script
 * logs. Returns the number of things done. */
unsigned pipeline_control_poll(struct pipeline *p, uint64_t now_ns);
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
/* Messages that wait at this moment, all kinds, and those on their way to slow lcores. */
unsigned pipeline_held(const struct pipeline *p);
