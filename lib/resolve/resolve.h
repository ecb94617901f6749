/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * resolve: names to addresses (RFC 3263), off the packet path, and the published cache that workers read.
 *
 * Workers call resolve_find() on names: a hash lookup in an immutable snapshot, no lock. What is missing is asked for by the control
 * thread with resolve_ask(), which queries by c-ares without blocking, and publishes the answer in a new snapshot. The order of the answers is
 * deterministic (RFC 3263 4.4): priority, then weight, then address, so that every thread and node picks the same. Answers live for their TTL,
 * between RESOLVE_TTL_MIN and RESOLVE_TTL_MAX; a failed name is remembered as such for a while. What is stale keeps answering
 * until its refresh has come or failed.
 *
 * Bounds: names, addresses a name, and queries under way are capped; SRV chains and CNAME loops end by c-ares.
 */
#include "net/net.h"

#define RESOLVE_NAME_MAX 255
#define RESOLVE_NAMES_MAX 4096
#define RESOLVE_ADDRESSES_MAX 16 /* a name */
#define RESOLVE_QUERIES_MAX 256
#define RESOLVE_TTL_MIN_S 5
#define RESOLVE_TTL_MAX_S 86400
#define RESOLVE_NEGATIVE_S 10

/* How a SIP target's name is looked up (RFC 3263 4.2): with a port, addresses only; without, SRV of _sip._udp first. */
enum resolve_kind { RESOLVE_ADDRESS, RESOLVE_SIP_UDP };

enum resolve_answer { RESOLVE_FOUND, RESOLVE_MISSING, RESOLVE_FAILED };

struct resolve_addresses {
	unsigned count;
	struct net_endpoint ep[RESOLVE_ADDRESSES_MAX]; /* port from SRV, or 0 where the caller's holds */
};

struct resolver;
struct resolve_snapshot;

/* `servers`: "127.0.0.1:5353,..." or NULL for resolv.conf. `rcu` frees old snapshots. NULL and errno on failure. Control thread. */
struct resolver *resolver_create(const char *servers, struct rcu *rcu);
void resolver_destroy(struct resolver *r);

/* The current snapshot: take it once a burst, drop it before rcu_quiescent(). Any RCU reader. */
const struct resolve_snapshot *resolver_snapshot(const struct resolver *r);
/*
 * Looks a name up (any case). FOUND fills `*out` with a pointer into the snapshot. MISSING: ask and wait. FAILED: it does not resolve; the
 * caller answers now.
 */
enum resolve_answer resolve_find(const struct resolve_snapshot *s, enum resolve_kind kind, struct str name,
	const struct resolve_addresses **out);

/* Starts resolving. `done` is called on the control thread, from resolver_poll() or at once, when the snapshot has the answer. 0, -EAGAIN (too many), -EINVAL (no host name). */
int resolve_ask(struct resolver *r, enum resolve_kind kind, struct str name, void (*done)(void *arg, enum resolve_answer answer),
	void *arg);
/* Control thread's loop: handles sockets that are ready, timeouts, refreshes. Never blocks. Returns the number of queries under way. */
unsigned resolver_poll(struct resolver *r, uint64_t now_ns);

/*
 * Resolves at load, waiting up to `timeout_ms`: for names in lists and in the configuration. Control thread before start-up or in a reload. Returns the
 * number of addresses, or -ENOENT (no such name), -ETIMEDOUT, -EINVAL; `error` gets a sentence.
 */
int resolve_now(struct resolver *r, enum resolve_kind kind, struct str name, unsigned timeout_ms, struct resolve_addresses *out,
	char *error, size_t error_size);
