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
 * Answers live for their TTL, between RESOLVE_TTL_MIN_S and RESOLVE_TTL_MAX_S. A name that was
 * found meanwhile is asked for again a little before (a tenth of it, a minute at most), and what is
 * old keeps answering until the new answer has come. One that nobody found is forgotten; its
 * addresses are kept for the case that servers fail when somebody asks again. A name that does not
 * exist (RFC 2308) is remembered as such for RESOLVE_NEGATIVE_S; one that servers fail to answer
 * for RESOLVE_FAILURE_MIN_S, and twice as long each time up to RESOLVE_FAILURE_MAX_S (RFC 9520).
 * Servers that fail are not a name that is gone: its old answer stands in for up to
 * RESOLVE_STALE_S, in use without a break, else after RESOLVE_STALE_AFTER_MS (RFC 8767).
 *
 * A name is decided within RESOLVE_QUESTION_MS, whatever is asked for it: who waits for one waits
 * no longer. What is missing when other parts of an answer are there (AAAA, the address of one of
 * several servers, NAPTR) gets RESOLVE_PATIENCE_MS; then the rest is taken for RESOLVE_TTL_MIN_S.
 * Where an older and whole answer says the same and more, that one stays.
 *
 * A stateless proxy has to send a CANCEL, and the ACK of a failure, where the INVITE went (RFC 3261
 * 16.11), also when the answer has changed in between. For as long as such a call can be under way
 * (PIN_INVITE_NS) the former addresses are kept, and transactions that begin are remembered:
 * resolve_follow(). One that nobody remembers began before the change. What a transaction sends
 * needs none of this: t_relay() keeps its branches' addresses. An INVITE of before the change that
 * comes again after it goes by the answer of now (RFC 3263 4.4 says why that is so without state).
 *
 * Where neither port nor transport is known, NAPTR records say which services there are: those of
 * the lowest order that we speak (SIP+D2U), by their preference (RFC 3263 4.1). Where there are
 * none, or none that we speak, and where the transport is known, SRV of _sip._udp comes first, and
 * A and AAAA where there is none. NAPTR that is not answered within RESOLVE_NAPTR_ALONE_MS is
 * waited for beside SRV. A server that never answers for NAPTR takes nothing away: what SRV says
 * holds for RESOLVE_TTL_MIN_S. Whether there are SRV records has to be known: guessing would part
 * the nodes of a group. Where resolv.conf is used, so is /etc/hosts, first. Answers above 1,232
 * bytes come over TCP, by c-ares. Of an answer only the records that belong to the name, or to what
 * its CNAMEs lead to, are believed. Of several targets each gets a place before any gets a second
 * one, and so do both address families.
 *
 * Strangers choose which names are asked for. So names that have been found before, and those of
 * scripts and lists (resolve_ask_ours(), resolve_now()), have RESOLVE_QUERIES_KNOWN places of their
 * own, take all but RESOLVE_QUERIES_NEW of the others' at once, and stay in the table. Others share
 * by *zones*, the last two labels of a name (three below "co.uk" and its like):
 * RESOLVE_QUERIES_ZONE at a time, and RESOLVE_QUERIES_SILENT once RESOLVE_SILENT_AFTER in a row had
 * no answer. Where all places are taken, the zone that has most of them gives up its oldest. Where
 * the table is full, failures go first, then names that were found once, of the largest zone; names
 * that are in use for a minute and more go last. Who waits is bounded for a name, a zone, and
 * strangers together. What no flood can do then is to delay or to push out a name in use; a name
 * that is new can be refused while strangers have 192 silent zones of their own.
 *
 * Bounds: names, addresses a name, queries under way and waiters are capped; what is cut or refused
 * is counted. CNAMEs are followed eight times within an answer; a target of an SRV record is a host
 * and not another service. A name is a host name of RFC 1123, where underscores pass. IP literals
 * are not for here. "localhost" is this machine, .invalid and .onion are nowhere (RFC 6761, RFC
 * 7686): nobody is asked. Costs: a find is one SipHash of the name and one compare; publishing
 * copies all names, 0.5 KB each.
 */
#include "base/hash.h"
#include "base/pin.h"
#include "net/net.h"

#define RESOLVE_NAME_MAX 255
#define RESOLVE_NAMES_MAX 4096
#define RESOLVE_ADDRESSES_MAX 16 /* a name */
#define RESOLVE_FORMER_MAX 16    /* addresses that a name had before */
#define RESOLVE_SERVICES_MAX 4   /* NAPTR records of a name that are followed */
#define RESOLVE_OURS_MAX 2048    /* names of scripts and lists that have such rights */
#define RESOLVE_QUERIES_MAX 256
#define RESOLVE_QUERIES_KNOWN 64 /* of them, for names that are known or ours */
#define RESOLVE_QUERIES_NEW 64   /* of them, for names that are neither */
#define RESOLVE_QUERIES_ZONE 32  /* of a zone, for known ones and for others */
#define RESOLVE_QUERIES_SILENT 2 /* of a zone whose servers do not answer */
#define RESOLVE_SILENT_AFTER 8   /* names in a row */
#define RESOLVE_QUESTION_MS 4000 /* less than a message waits: PIPELINE_NAME_WAIT_NS */
#define RESOLVE_PATIENCE_MS 1000
#define RESOLVE_NAPTR_ALONE_MS 250
#define RESOLVE_STALE_AFTER_MS 1500
#define RESOLVE_TTL_MIN_S 5
#define RESOLVE_TTL_MAX_S 86400
#define RESOLVE_AHEAD_PART 10  /* of a TTL that is left when a name in use is asked for again */
#define RESOLVE_AHEAD_MAX_S 60 /* ... at most */
#define RESOLVE_NEGATIVE_S 10
#define RESOLVE_FAILURE_MIN_S 5
#define RESOLVE_FAILURE_MAX_S 40
#define RESOLVE_STALE_S 3600      /* that an answer outlives its TTL while the servers fail */
#define RESOLVE_WAITERS_MAX 16384 /* of all names together; resolver_set_waiters() */
/* Parts of them that may wait for one name that is not known, and for all those of a zone. Of all
 * of these together: a half; for a known name: a half. */
#define RESOLVE_WAIT_NAME 16
#define RESOLVE_WAIT_ZONE 8

/*
 * How a SIP target's name is looked up (RFC 3263 4.1, 4.2): with a port, addresses only; without
 * one, where the transport is known to be UDP, SRV of _sip._udp first; where it is not, NAPTR
 * before that.
 */
enum resolve_kind { RESOLVE_ADDRESS, RESOLVE_SIP_UDP, RESOLVE_SIP };

enum resolve_answer { RESOLVE_FOUND, RESOLVE_MISSING, RESOLVE_FAILED };

struct resolve_former;

struct resolve_addresses {
	unsigned count;
	struct net_endpoint ep[RESOLVE_ADDRESSES_MAX]; /* first is best; port from SRV, or 0 where
							  the caller's holds */
	bool shared; /* some targets share the load: resolve_order() has something to say */
	/* Of each: the rank of its priority, the number of its target (whose addresses stand
	 * together), and the target's weight. */
	uint8_t tier[RESOLVE_ADDRESSES_MAX], target[RESOLVE_ADDRESSES_MAX];
	uint16_t weight[RESOLVE_ADDRESSES_MAX];
	const struct resolve_former *former; /* the answer has changed lately: resolve_follow() */
};

/*
 * In which order the addresses are tried for the call that `digest` stands for: by priority, then
 * as RFC 2782 draws targets by their weights, with numbers made of the digest and of the target. So
 * when an answer changes, only calls whose target is gone, or that a new one takes its share of, go
 * elsewhere. out[i] is an index into ep, of the i-th to be tried. Any thread.
 */
void resolve_order(
	const struct resolve_addresses *a, uint64_t digest, uint8_t out[RESOLVE_ADDRESSES_MAX]);

struct resolver;
struct resolve_snapshot;

/* What a message of a transaction without state is (RFC 3261 16.11). */
enum resolve_role {
	RESOLVE_INVITE,
	RESOLVE_FOLLOWS, /* CANCEL, ACK: of use only where the INVITE went */
	RESOLVE_OTHER
};
/*
 * Where a name's answer has changed (found->former) and calls of before may be under way, for
 * PIN_INVITE_NS: what the transaction `key` was bound to, if it was; it may be an address that the
 * name has no more. Else a message that FOLLOWS one from before the change has to choose from the
 * answer of then, which `*found` becomes. True: `*ep` is the one, with port 0 where the caller's
 * holds. Any RCU reader.
 */
bool resolve_follow(struct resolver *r, const struct resolve_addresses **found, struct hash128 key,
	enum resolve_role role, uint64_t now_ns, struct net_endpoint *ep);
/* Binds the transaction to an endpoint of `found`, as it stands there. Without room, or where the
 * name's zone has had its part of that, it is counted, and the message goes on: a CANCEL that
 * follows it goes by the answer of before. Any thread. */
void resolve_bind(struct resolver *r, const struct resolve_addresses *found, struct hash128 key,
	enum resolve_role role, uint64_t now_ns, const struct net_endpoint *ep);

/*
 * `servers`: "127.0.0.1:5353,[::1]:53", at most 16, or NULL for the system's resolv.conf and hosts
 * file. Old snapshots are retired to `rcu`, which must outlive them. NULL and errno on failure.
 * Control thread.
 */
struct resolver *resolver_create(const char *servers, struct rcu *rcu);
/* Those who wait are not called any more. The last snapshot is freed by RCU. */
void resolver_destroy(struct resolver *r);
/* Asks other servers from now on, in the form of resolver_create()'s, also for what is under way.
 * 0, -EINVAL or -ENOMEM, and those before stay. Control thread. */
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
 * Control thread. 0; or, without a call of `done`, -EAGAIN (too many names, queries or waiters, of
 * its zone or of all) or -EINVAL (no host name).
 */
int resolve_ask(struct resolver *r, enum resolve_kind kind, struct str name,
	void (*done)(void *arg, enum resolve_answer answer), void *arg);
/* The same for a name that stands in a script, which strangers did not choose. */
int resolve_ask_ours(struct resolver *r, enum resolve_kind kind, struct str name,
	void (*done)(void *arg, enum resolve_answer answer), void *arg);
/* How many may wait at a time, where that is less than RESOLVE_WAITERS_MAX: the places that
 * messages wait in. Control thread. */
void resolver_set_waiters(struct resolver *r, uint32_t most);
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
	RESOLVE_COUNTER(REFUSED, "dns_refused") /* resolve_ask() without room */ \
	RESOLVE_COUNTER(ZONE, "dns_zone_full") /* names not asked for: their zone has its share */ \
	RESOLVE_COUNTER(PUSHED, "dns_pushed")  /* queries given up for others */ \
	RESOLVE_COUNTER(EVICTED, "dns_evicted")   /* names with addresses that went for others */ \
	RESOLVE_COUNTER(CUT, "dns_cut")           /* answers with more than is kept */ \
	RESOLVE_COUNTER(FOLLOWED, "dns_followed") /* messages that went where their INVITE did */ \
	RESOLVE_COUNTER(PIN_FULL, "dns_pin_full") /* ... INVITEs without room to remember that */ \
	RESOLVE_COUNTER(PIN_SHARE, "dns_pin_share") /* ... of a zone that has had its part */ \
	RESOLVE_COUNTER(NAMES, "dns_names")         /* now: in the table */ \
	RESOLVE_COUNTER(ASKING, "dns_asking")       /* now: under way */ \
	RESOLVE_COUNTER(WAITING, "dns_waiting")     /* now: who waits */

enum resolve_counter {
#define RESOLVE_COUNTER(id, name) RESOLVE_COUNTER_##id,
	RESOLVE_COUNTERS(RESOLVE_COUNTER)
#undef RESOLVE_COUNTER
		RESOLVE_COUNTER_COUNT
};
/* Any thread; those of resolve_follow() and resolve_bind() are written by any. */
uint64_t resolver_counter(const struct resolver *r, enum resolve_counter counter);
const char *resolver_counter_name(enum resolve_counter counter);

/*
 * Resolves at load, waiting up to `timeout_ms`: for names in lists and in the configuration, which
 * are ours from then on. A remembered failure is tried anew, an answer within its TTL taken as it
 * is; an old one stands in where servers fail (RFC 8767). Control thread before start-up or in a
 * reload. Returns the number of addresses, or -ENOENT (no such name, or no address), -ETIMEDOUT (no
 * answer, or none that can be used), -EINVAL (no host name), -EAGAIN (too many names, or too many
 * under way in all that time), -ECANCELED (resolver_stop_by()), -ENOMEM; `error` gets a sentence.
 */
int resolve_now(struct resolver *r, enum resolve_kind kind, struct str name, unsigned timeout_ms,
	struct resolve_addresses *out, char *error, size_t error_size);
/* From now on resolve_now() waits no longer than until `*stop`, which outlives the resolver and
 * which any thread may set. */
void resolver_stop_by(struct resolver *r, const _Atomic bool *stop);
/* Begins to look up a name that resolve_now() will be asked for soon, where there is room, and does
 * not wait: the next resolve_now() takes what has come meanwhile. Control thread. */
void resolve_ahead(struct resolver *r, enum resolve_kind kind, struct str name);
