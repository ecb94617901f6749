/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * A siplane without devices: real rooms, two ports that are rings in memory. For tests and
 * measurements of the pipeline.
 *
 *	port 0 "edge" 10.10.0.1, callers 10.10.0.0/24
 *	port 1 "core" 10.20.0.1, backends 10.20.0.0/24
 */
#include "auth/auth.h"
#include "pipeline/pipeline.h"

#define RIG_PORTS 2
#define RIG_RING 4096

struct rig {
	struct rcu *rcu;
	struct resolver *resolver;
	struct proxy *proxy;
	struct access *access;
	struct dispatch *dispatch;
	struct db *db;     /* where the configuration wants it */
	struct auth *auth; /* with db_url only */
	/* with slow lcores only */
	struct location *location;
	struct registrar *registrar;
	struct txn *txn;
	struct route_registry registry;
	struct route_script *script;
	struct rte_mempool *pool, *pool_big, *pool_control;
	struct rte_ring *rx[RIG_PORTS][PIPELINE_WORKERS_MAX], *tx[RIG_PORTS][PIPELINE_WORKERS_MAX];
	struct port port[RIG_PORTS];
	struct pipeline *pipeline;
	unsigned workers, slow;
	enum kernel_hop_state backend_hop; /* what the next-hop table says of the core side */
	const struct kernel_hops *hops;    /* the table itself, where one was given */
};

struct rig_config {
	/* Routing text that goes without loadmodule, and the dispatcher's list; or `config`. */
	const char *script, *list;
	const char *config;                /* path of a whole routing file */
	const char *secret_file;           /* NULL: keys of this process */
	const struct route_module *module; /* one more for the script, whose room is the rig; may be
					      NULL */
	bool db;                           /* there may be databases: the module names them */
	const char *db_url;                /* ... or this is the one of those who name none */
	uint32_t db_rows;                  /* that are remembered; 0: what siplane has */
	/* What begins its threads, as db_config's. NULL: as siplane has them. */
	int (*db_thread_create)(pthread_t *thread, const char *name, const pthread_attr_t *attr,
		void *(*run)(void *), void *arg);
	/* Next hops as siplane has them. The caller's, and outlives the rig. NULL: every address of
	 * the two networks is a neighbour, and `backend_hop` says in what state. */
	const struct kernel_hops *hops;
	unsigned workers, queues;        /* queues: pairs a port */
	unsigned slow;                   /* slow lcores; 0: no room that keeps state */
	uint32_t contacts, transactions; /* of all slow lcores; 0: what tests need */
	unsigned mtu;                    /* 0: 1500 */
	unsigned reply_rate;             /* pipeline_config's; 0: 1000 */
	unsigned buffers, buffers_big;   /* 0: what tests need */
	unsigned held;                   /* messages that may wait; 0: what tests need */
};

/* EAL on `cores` CPUs of those that the process may run on; once a process. `hugepages`: its memory
 * may be transparent hugepages, as service has hugepages; no setting of the machine is needed or
 * changed for that. 0 or -1. */
int rig_eal_cores(const char *program, unsigned megabytes, unsigned cores, bool hugepages);
/* The same on one CPU, always without hugepages. */
int rig_eal(const char *program, unsigned megabytes);

/* Makes everything; NULL where it failed, which is said on stderr. */
struct rig *rig_create_with(const struct rig_config *config);
/* The same with this script (globals and ports are not needed in it) and dispatcher list. */
struct rig *rig_create(const char *script, const char *list, unsigned workers, unsigned queues);
void rig_destroy(struct rig *r);

/* The rooms alone, without script, ports and pipeline, for what needs their tables only; of the
 * configuration secret_file and hops are looked at. NULL where it failed; rig_destroy() ends them.
 */
struct rig *rig_rooms(const struct rig_config *config);
/* Reads the configuration's routing file (or script and list) and publishes it, as a start does. 0,
 * or -1 and the reason on stderr. */
int rig_load(struct rig *r, const struct rig_config *config);

/* Loads another script for the rig's rooms; NULL where it has errors, which are in the report. */
struct route_script *rig_script(
	struct rig *r, const char *script, const char *list, struct route_report *report);

/* Listens at port 5060 of both addresses, as a rig does from its start, and with `more` at port
 * 5070 of the core's. 0 or -errno. */
int rig_listen(struct rig *r, bool more);

/* One pass of each worker, slow lcore and of control. */
void rig_poll(struct rig *r);
/* Polls until nothing moves. */
void rig_settle(struct rig *r);

/* Makes `m`, which is empty, a frame to our MAC on a port: a UDP datagram with its checksum. False
 * where it does not fit. */
bool rig_write(struct rig *r, struct rte_mbuf *m, unsigned port, const struct net_endpoint *src,
	const struct net_endpoint *dst, struct str payload);
/* A UDP datagram in an Ethernet frame to our MAC on a port. */
struct rte_mbuf *rig_datagram(struct rig *r, unsigned port, const char *src, uint16_t sport,
	const char *dst, uint16_t dport, struct str payload);
/* Puts a frame into a port's receive queue. */
void rig_receive(struct rig *r, unsigned port, unsigned queue, struct rte_mbuf *m);
void rig_receive_bytes(struct rig *r, unsigned port, const void *frame, uint32_t len);
/* The next frame that left by a port, or NULL; the caller frees it. `*payload` is its UDP payload.
 */
struct rte_mbuf *rig_sent(struct rig *r, unsigned port, struct str *payload);
uint64_t rig_counter(struct rig *r, unsigned id);
