/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the files of this room share. Control thread, but for snapshot_*(). */
#include <ares.h>
#include <poll.h>

#include "resolve/resolve.h"

/*
 * c-ares asks again after this time, then after twice and four times of it: 7 s until it gives up.
 *
 */
#define QUERY_TIMEOUT_MS 1000
#define QUERY_TRIES 3
#define QUERY_EDNS_SIZE 1232 /* fits IPv6's least MTU without fragments */
#define QUERIES_FOR_REFRESH \
	32 /* of RESOLVE_QUERIES_MAX, so that strangers' names can't stop it \
	    */

#define HOSTS_FILE_TTL_S 60
#define SCAN_INTERVAL_NS (250 * CLOCK_NS_PER_MS)
#define SNAPSHOTS_MAX 8 /* that readers may still hold; no new one is published above that */
#define FDS_MAX 64
#define SERVERS_MAX 16
#define BUCKETS 8192 /* a power of two, above RESOLVE_NAMES_MAX */

#define DNS_A 1
#define DNS_CNAME 5
#define DNS_AAAA 28
#define DNS_SRV 33
#define DNS_NAPTR 35
#define DNS_IN 1

/* ---- name.c ---- */

/* A host name as we keep it: lower case, no dot at its end, with a NUL. */
struct host_name {
	char s[RESOLVE_NAME_MAX + 1];
	uint32_t len;
};

/*
 * RFC 1035 2.3.4 and 3.1, RFC 1123 2.1: labels of 1 to 63, 253 in all, no hyphen at their ends; the
 * last label is no number, else it were a badly written address. Underscores pass, as they are in
 * use. False where it is no host name.
 */
bool name_read(struct str text, struct host_name *out);

/* ---- answer.c ---- */

struct answer_srv {
	uint16_t priority, weight, port;
	struct host_name target; /* empty: "." (RFC 2782: there is no such service) */
};

/* RFC 3403 4: where to look for a service that we speak. */
struct answer_naptr {
	uint16_t order, preference;
	struct host_name replacement;
};

/*
 * Reads a DNS message's answer section for the records of one type that belong to `name` or to what
 * its CNAMEs lead to. Returns how many were kept, or -EBADMSG. `*ttl` is lowered to the least of
 * the records used, in seconds.
 *
 * Addresses: the lowest `max` in the order of net_addr_compare(), each once. SRV: the first `max`
 * in the order of answer_srv_compare().
 */
int answer_addresses(const uint8_t *msg, uint32_t len, const struct host_name *name, uint8_t family,
	struct net_addr *out, unsigned max, uint32_t *ttl);
int answer_services(const uint8_t *msg, uint32_t len, const struct host_name *name,
	struct answer_srv *out, unsigned max, uint32_t *ttl);

/*
 * Likewise NAPTR records of services that we speak, in the order of order, preference and
 * replacement: RFC 3263 4.1 discards the others, and all that ask for more than a look-up of SRV
 * records.
 */
int answer_naptrs(const uint8_t *msg, uint32_t len, const struct host_name *name,
	struct answer_naptr *out, unsigned max, uint32_t *ttl);

/*
 * RFC 2782: lower priority first. Among equals RFC 3263 4.4 asks a stateless proxy for an order of
 * its own: higher weight first, then by name and port.
 */
int answer_srv_compare(const struct answer_srv *a, const struct answer_srv *b);

/* ---- the table, resolver.c ---- */

struct waiter {
	struct waiter *next;
	void (*done)(void *arg, enum resolve_answer answer);
	void *arg;
};

struct query;

/* A name that is known or asked for. */
struct entry {
	struct host_name name;
	enum resolve_kind kind;
	uint32_t slot; /* of resolver.entry and shared.used */
	uint32_t bucket, chain_next;
	struct query *query; /* under way, or NULL */
	struct waiter *waiters, **waiters_end;
	struct entry *notify_next;
	bool notify;                /* stands in the resolver's list */
	bool published;             /* the current snapshot says what we say */
	enum resolve_answer answer; /* RESOLVE_MISSING before the first */
	int status;                 /* of c-ares, for the sentence of an error */
	uint32_t completions;
	uint64_t expires;
	uint64_t stale_until; /* how long it may answer while servers fail */
	struct resolve_addresses addresses;
};

/* Lives until the resolver and all snapshots are gone. */
struct shared {
	uint32_t references;
	uint32_t snapshots;
	_Atomic uint8_t used[RESOLVE_NAMES_MAX]; /* a reader has found it since the last refresh */
};

struct resolver {
	ares_channel channel;
	struct rcu *rcu;
	struct hash_key key;
	struct shared *shared;
	const struct resolve_snapshot *_Atomic snapshot;
	bool hosts_file;
	bool naptr;
	struct ares_addr_port_node *system_servers; /* resolv.conf's */
	bool closing;
	bool dirty;
	uint64_t now;
	uint64_t next_scan;
	uint64_t next_publish; /* by the real clock */

	struct entry *entry[RESOLVE_NAMES_MAX];
	uint32_t free_slot[RESOLVE_NAMES_MAX], free_slots;
	uint32_t bucket[BUCKETS];
	struct entry *notify, **notify_end;
	uint32_t queries;
	uint32_t waiters;

	struct pollfd fd[FDS_MAX];
	uint32_t fds;
	_Atomic uint64_t counter[RESOLVE_COUNTER_COUNT]; /* one thread writes */
};

static inline void resolver_count(struct resolver *r, enum resolve_counter counter)
{
	uint64_t n = atomic_load_explicit(&r->counter[counter], memory_order_relaxed);

	atomic_store_explicit(&r->counter[counter], n + 1, memory_order_relaxed);
}

/* What a query came to. */
enum outcome {
	OUTCOME_FOUND,
	OUTCOME_NONE,     /* the DNS says so */
	OUTCOME_TRANSIENT /* no answer, or none that can be used */
};

/* Finds or adds a name. NULL where the table is full of names in use. */
struct entry *resolver_entry(
	struct resolver *r, enum resolve_kind kind, const struct host_name *name);
/* Takes a finished query's result. */
void resolver_complete(struct resolver *r, struct entry *e, enum outcome outcome, int status,
	const struct resolve_addresses *found, uint32_t ttl);
/* Hands ready sockets and timeouts to c-ares, waiting for at most `timeout_ms`. */
void resolver_process(struct resolver *r, int timeout_ms);
/* Makes what is known visible to readers. Does nothing while too many old snapshots are held. */
void resolver_publish(struct resolver *r);

/* ---- query.c ---- */

/* Starts looking an entry up. Its completion may come before this returns. 0 or -ENOMEM. */
int query_start(struct resolver *r, struct entry *e);

/* ---- snapshot.c ---- */

uint64_t snapshot_hash(const struct hash_key *key, enum resolve_kind kind, struct str name);
/* Of all entries that have an answer. NULL without memory. */
struct resolve_snapshot *snapshot_new(const struct resolver *r);
/* For rcu_retire(). */
void snapshot_free(void *snapshot);
void shared_release(struct shared *shared);
