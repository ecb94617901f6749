/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * dispatch: sets of destinations and the choice among them.
 *
 * OpenSER module "dispatcher": ds_select_dst, ds_select_domain, ds_next_dst, ds_next_domain, ds_is_from_list, ds_mark_dst; list_file in Kamailio's format (`setid uri flags priority
 * attrs`); algorithms under Kamailio's numbers.
 *
 * Hash algorithms (0, 1, 2, 3, 7) are pure functions on a weighted Maglev table built from the configured set; a destination that is down is skipped along the key's own
 * permutation, so that nobody else moves. Choices that are not pure (4, 6, 8 among equals, 9, 11) and keys that a planned change of the table moved are remembered
 * for the transaction in a pin table that every worker reads, keyed with the transaction key of lib/proxy: a retransmission, the CANCEL and the ACK of a failure go where the INVITE went. (RFC 3261 16.11)
 *
 * Threads: lists and tables are built by the control thread and read by all; verdicts on health are one atomic store.
 *
 * Files: list (file to set), maglev, select (algorithms), pin, generation (a planned change), health, dispatcher (functions).
 */
#include "proxy/proxy.h"
#include "resolve/resolve.h"
#include "route/route.h"

#define DISPATCH_SETS_MAX 256
#define DISPATCH_DESTINATIONS_MAX 4096 /* of all sets together */
#define DISPATCH_WEIGHT_MAX 1000

struct dispatch;

struct dispatch_config {
	struct rcu *rcu;
	struct resolver *resolver; /* names in lists */
	struct proxy *proxy;	   /* transaction keys */
	uint32_t pins;		   /* transactions remembered at most; 0: 1 Mi */
	uint64_t (*now_ns)(void);  /* clock_now_ns, or a test's */
};
struct dispatch *dispatch_create(const struct dispatch_config *config);
void dispatch_destroy(struct dispatch *d);

extern const struct route_module dispatch_module; /* "dispatcher"; room: struct dispatch * */

/* One destination as siplanectl and the log show it. */
struct dispatch_info {
	uint32_t set, id;
	const char *uri;
	struct net_endpoint ep;
	uint32_t weight, priority;
	const char *state;  /* "enabled", "disabled", "drain" */
	const char *health; /* "up", "down" */
	uint64_t selected;  /* times chosen, all threads */
};
/* Visits all destinations of the current generation. Control thread. */
void dispatch_list(struct dispatch *d, void (*visit)(void *arg, const struct dispatch_info *info), void *arg);
/* A verdict: one atomic store, seen by every worker at its next choice. Any thread. 0 or -ENOENT. */
int dispatch_set_up(struct dispatch *d, uint32_t id, bool up);
/* Whether an address is a destination of set `set` (0: of any). Any RCU reader. */
bool dispatch_is_destination(const struct dispatch *d, uint32_t set, const struct net_endpoint *ep, bool with_port);
/* Drops a planned change's old generation whose time is over; pins that have expired. Control thread, once a second. */
void dispatch_tick(struct dispatch *d, uint64_t now_ns);
