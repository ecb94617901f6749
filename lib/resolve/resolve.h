/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * resolve: names to addresses (RFC 3263 4.2), off the packet path, and the published cache that
 * workers read.
 *
 * Workers call resolve_find() on names: a hash lookup in an immutable snapshot, no lock. What is
 * missing is asked for by the control thread with resolve_ask(), which queries by c-ares without
 * blocking, and publishes the answer in a new snapshot. The order of the answers is deterministic
 * (RFC 3263 4.4): priority, then weight (the higher first), then address and port. Targets of one
 * priority are there to share the load by their weights (RFC 2782): resolve_order() draws the order
 * for one call from a digest of its Call-ID, so that every thread and node picks the same for it,
 * and what follows (its retransmission, CANCEL, ACK, the INVITE again with credentials) goes where
 * it went, while calls spread as the domain's owner wants them to.
 *
 * Answers live for their TTL, between RESOLVE_TTL_MIN_S and RESOLVE_TTL_MAX_S. Then a name that was
 * found meanwhile is asked for again, and what is stale keeps answering until its refresh has come;
 * one that nobody found is forgotten. A name that does not exist (RFC 2308) or can't be had is
 * remembered as such for RESOLVE_NEGATIVE_S. Where servers fail, which is not the same as a name
 * that is gone, the stale answer is kept and they are asked again, up to RESOLVE_STALE_S (RFC
 * 8767).
 *
 * Where neither port nor transport is known, NAPTR records say which services there are: those of
 * the lowest order that we speak (SIP+D2U), by their preference (RFC 3263 4.1). Where there are
 * none, or none that we speak, and where the transport is known, SRV of _sip._udp comes first, and
 * A and AAAA where there is none. A server that does not answer for NAPTR takes nothing away: what
 * SRV says holds for RESOLVE_TTL_MIN_S. Where resolv.conf is used, so is /etc/hosts, first. Answers
 * above 1,232 bytes come over TCP, by c-ares. Of an answer only the records that belong to the
 * name, or to what its CNAMEs lead to, are believed.
 *
 * Bounds: names, addresses a name, queries under way and waiters are capped; a part of the queries
 * is kept for refreshes. CNAMEs are followed eight times within an answer; a target of an SRV
 * record is a host and not another service. A name is a host name of RFC 1123, where underscores
 * pass. IP literals are not for here. Costs: a find is one SipHash of the name and one compare;
 * publishing copies all names, 0.5 KB each.
 */
#include "net/net.h"

#define RESOLVE_NAME_MAX 255
#define RESOLVE_NAMES_MAX 4096
#define RESOLVE_ADDRESSES_MAX 16 /* a name */
#define RESOLVE_SERVICES_MAX 4   /* NAPTR records of a name that are followed */
#define RESOLVE_QUERIES_MAX 256
#define RESOLVE_TTL_MIN_S 5
#define RESOLVE_TTL_MAX_S 86400
#define RESOLVE_NEGATIVE_S 10
#define RESOLVE_STALE_S 3600      /* that an answer outlives its TTL while the servers fail */
#define RESOLVE_WAITERS_MAX 16384 /* of all names together */

/*
 * How a SIP target's name is looked up (RFC 3263 4.1, 4.2): with a port, addresses only; without
 * one, where the transport is known to be UDP, SRV of _sip._udp first; where it is not, NAPTR
 * before that.
 */
enum resolve_kind { RESOLVE_ADDRESS, RESOLVE_SIP_UDP, RESOLVE_SIP };

enum resolve_answer { RESOLVE_FOUND, RESOLVE_MISSING, RESOLVE_FAILED };

struct resolve_addresses {
	unsigned count;
	struct net_endpoint ep[RESOLVE_ADDRESSES_MAX]; /* first is best; port from SRV, or 0 where
							  the caller's holds */
	bool shared; /* some targets share the load: resolve_order() has something to say */
	/* Of each: the rank of its priority, the number of its target (whose addresses stand
	 * together), and the target's weight. */
	uint8_t tier[RESOLVE_ADDRESSES_MAX], target[RESOLVE_ADDRESSES_MAX];
	uint16_t weight[RESOLVE_ADDRESSES_MAX];
};

/*
 * In which order the addresses are tried for the call that `digest` stands for: RFC 2782's, whose
 * random numbers are made of the digest. out[i] is an index into ep, of the i-th to be tried. Any
 * thread.
 */
void resolve_order(
	const struct resolve_addresses *a, uint64_t digest, uint8_t out[RESOLVE_ADDRESSES_MAX]);

struct resolver;
struct resolve_snapshot;

/*
 * `servers`: "127.0.0.1:5353,[::1]:53", at most 16, or NULL for the system's resolv.conf and hosts
 * file. Old snapshots are retired to `rcu`, which must outlive them. NULL and errno on failure.
 * Control thread.
 */
struct resolver *resolver_create(const char *servers, struct rcu *rcu);
/* Those who wait are not called any more. The last snapshot is freed by RCU. */
void resolver_destroy(struct resolver *r);
/* Asks other servers from now on, in the form of resolver_create()'s. 0, -EINVAL, or -EBUSY while
 * queries are under way. Control thread. */
int resolver_set_servers(struct resolver *r, const char *servers);

/* The current snapshot: take it once a burst, drop it before rcu_quiescent(). Any RCU reader. */
const struct resolve_snapshot *resolver_snapshot(const struct resolver *r);
/*
 * Looks a name up (any case, with or without a dot at its end). FOUND fills `*out` with a pointer
 * into the snapshot. MISSING: ask and wait. FAILED: it does not resolve, or is no host name; the
 * caller answers now. Any RCU reader.
 */
enum resolve_answer resolve_find(const struct resolve_snapshot *s, enum resolve_kind kind,
	struct str name, const struct resolve_addresses **out);

/*
 * Starts resolving, or joins what is under way. `done` is called once on the control thread, from
 * resolver_poll() or at once, when the current snapshot has the answer; it may call resolve_ask().
 * Control thread. 0; or, without a call of `done`, -EAGAIN (too many names, queries or waiters) or
 * -EINVAL (no host name).
 */
int resolve_ask(struct resolver *r, enum resolve_kind kind, struct str name,
	void (*done)(void *arg, enum resolve_answer answer), void *arg);
/*
 * Control thread's loop, every few milliseconds: handles sockets that are ready, timeouts,
 * refreshes; publishes; calls those who wait. Never blocks. `now_ns` is clock_now_ns(), by which
 * TTLs run. Returns the number of names under way.
 */
unsigned resolver_poll(struct resolver *r, uint64_t now_ns);

/* Whether NAPTR records are asked for; at first they are. Control thread. */
void resolver_set_naptr(struct resolver *r, bool naptr);

/* RESOLVE_COUNTER(enum suffix, counter name) */
#define RESOLVE_COUNTERS(RESOLVE_COUNTER) \
	RESOLVE_COUNTER(LOOKUPS, "dns_lookups") /* names asked for, refreshes included */ \
	RESOLVE_COUNTER(NAPTR, "dns_naptr")     /* questions, by type */ \
	RESOLVE_COUNTER(SRV, "dns_srv") \
	RESOLVE_COUNTER(ADDRESS, "dns_address") /* A and AAAA */ \
	RESOLVE_COUNTER(FOUND, "dns_found")     /* lookups that gave an address */ \
	RESOLVE_COUNTER(NONE, "dns_none")       /* ... of which the DNS says that there is none */ \
	RESOLVE_COUNTER(FAILED, "dns_failed")   /* ... that no server answered as it should */ \
	RESOLVE_COUNTER(STALE, "dns_stale")     /* ... of these, whose old answer is kept */ \
	RESOLVE_COUNTER(REFUSED, "dns_refused") /* resolve_ask() without room */

enum resolve_counter {
#define RESOLVE_COUNTER(id, name) RESOLVE_COUNTER_##id,
	RESOLVE_COUNTERS(RESOLVE_COUNTER)
#undef RESOLVE_COUNTER
		RESOLVE_COUNTER_COUNT
};
/* Any thread. */
uint64_t resolver_counter(const struct resolver *r, enum resolve_counter counter);
const char *resolver_counter_name(enum resolve_counter counter);

/*
 * Resolves at load, waiting up to `timeout_ms`: for names in lists and in the configuration. A
 * remembered failure is tried anew, an answer within its TTL taken as it is. Control thread before
 * start-up or in a reload. Returns the number of addresses, or -ENOENT (no such name, or no
 * address), -ETIMEDOUT (no answer, or none that can be used), -EINVAL (no host name), -EAGAIN (too
 * many names), -ENOMEM; `error` gets a sentence.
 */
int resolve_now(struct resolver *r, enum resolve_kind kind, struct str name, unsigned timeout_ms,
	struct resolve_addresses *out, char *error, size_t error_size);
