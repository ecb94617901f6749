/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the files of this room share. Control thread, but for snapshot_*(). */
#include <ares.h>
#include <poll.h>

#include "resolve/resolve.h"

/*
 * c-ares asks a server again after this time, and then after twice of it. How often goes by the
 * number of servers (channel_open()), since it asks one after the other: that it gives up at about
 * the time when we do, and what nobody waits for any more does not stay.
 */
#define QUERY_TIMEOUT_MS 500
#define QUERY_EDNS_SIZE 1232 /* fits IPv6's least MTU without fragments */
/* Questions of c-ares that are open at a time: RESOLVE_QUERIES_MAX names, most with A and AAAA, and
 * what is left of names that gave way. */
#define QUESTIONS_MAX 2048
#define QUESTIONS_STRANGERS (QUESTIONS_MAX / 4 * 3) /* of them for names that are not known */
#define QUESTIONS_CALM (QUESTIONS_MAX / 4)          /* above that: */
#define TARGETS_STRANGERS 4                         /* of a name's SRV records, until it is known */

#define HOSTS_FILE_TTL_S 60
#define SCAN_INTERVAL_NS (250 * CLOCK_NS_PER_MS)
#define TICK_INTERVAL_NS (10 * CLOCK_NS_PER_MS)
#define SNAPSHOTS_MAX 8        /* that readers may still hold; no new one is published above that */
#define TTL_UNKNOWN UINT32_MAX /* of an extent: no record has said one */
#define FDS_MAX 64
#define SERVERS_MAX 16
#define BUCKETS 8192 /* a power of two, above RESOLVE_NAMES_MAX */
#define ZONE_BUCKETS 4096
/* Failures, and names found once of a zone with so many, that go together, so that a flood of them
 * is cheap. */
#define EVICT_BATCH 64
#define EVICT_FROM_ZONE 256
#define PROVEN_NS (60 * CLOCK_NS_PER_S)

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
/*
 * The part of a name that stands for who runs it: its last two labels, or three where the last two
 * are a country's "co.uk" and its like. A span of the name.
 */
struct str name_zone(const struct host_name *name);

/* Names that are not asked for, whatever servers would say. */
enum name_special {
	NAME_ORDINARY,
	NAME_LOCALHOST, /* RFC 6761 6.3: this machine */
	NAME_NOWHERE    /* RFC 6761 6.4, RFC 7686: .invalid and .onion */
};
enum name_special name_special(struct str name);

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

/* CNAMEs that are followed, and those of a message that are looked at. */
#define ANSWER_CNAMES_MAX 8
#define ANSWER_ALIASES_MAX 16

/* What else an answer says. */
struct answer_extent {
	uint32_t ttl; /* lowered to the least of the records used, in seconds */
	bool cut;     /* set where there were more than are kept */
};

/*
 * Reads a DNS message's answer section for the records of one type that belong to `name` or to what
 * its CNAMEs lead to. Returns how many were kept, or -EBADMSG.
 *
 * Addresses: the lowest `max` in the order of net_addr_compare(), each once. SRV: the first `max`
 * in the order of answer_srv_compare().
 */
int answer_addresses(const uint8_t *msg, uint32_t len, const struct host_name *name, uint8_t family,
	struct net_addr *out, unsigned max, struct answer_extent *extent);
int answer_services(const uint8_t *msg, uint32_t len, const struct host_name *name,
	struct answer_srv *out, unsigned max, struct answer_extent *extent);

/*
 * Likewise NAPTR records of services that we speak, in the order of order, preference and
 * replacement: RFC 3263 4.1 discards the others, and all that ask for more than a look-up of SRV
 * records.
 */
int answer_naptrs(const uint8_t *msg, uint32_t len, const struct host_name *name,
	struct answer_naptr *out, unsigned max, struct answer_extent *extent);

/*
 * RFC 2782: lower priority first. Among equals RFC 3263 4.4 asks a stateless proxy for an order of
 * its own: higher weight first, then by name and port.
 */
int answer_srv_compare(const struct answer_srv *a, const struct answer_srv *b);

/* ---- the table, table.c ---- */

struct waiter {
	struct waiter *next;
	void (*done)(void *arg, enum resolve_answer answer);
	void *arg;
	bool strange; /* counted as one for a stranger's name */
};

/* Whose names they are: what one of them does to our resources is held against all of it. */
struct zone {
	struct zone *next;
	uint32_t names;            /* in the table */
	uint32_t strangers, known; /* under way */
	uint32_t waiters;          /* for strangers */
	uint32_t silent;           /* names in a row that no server answered for */
	uint32_t bucket, len;
	char s[];
};

struct query;

#define PINS_ZONE_PART 64 /* of the room for pins, for each zone: base/pin.h */

/* What a name had before, in a snapshot. */
struct resolve_former {
	uint64_t name;                   /* stands for it in the key of a pin */
	uint64_t zone;                   /* for whom pins are put */
	struct resolve_addresses before; /* of before the first change; count 0: long ago */
	unsigned count;
	/* What it had since, and has no more. */
	struct net_endpoint ep[RESOLVE_FORMER_MAX];
};

/* The same as it is kept. */
struct history {
	uint64_t before_until;
	uint64_t until[RESOLVE_FORMER_MAX];
	uint64_t last; /* until all is over */
	struct resolve_former former;
};

/* A name that is known or asked for. */
struct entry {
	struct host_name name;
	enum resolve_kind kind;
	struct zone *zone;
	uint32_t slot; /* of resolver.entry and shared.used */
	uint32_t bucket, chain_next;
	struct query *query; /* under way, or NULL */
	struct waiter *waiters, **waiters_end;
	uint32_t waiting;
	struct entry *notify_next;
	bool notify;                /* stands in the resolver's list */
	bool published;             /* the current snapshot says what we say */
	bool ours;                  /* a script or a list has it */
	bool used;                  /* found since the last refresh began */
	bool partial;               /* a part of the answer is missing */
	bool ahead;                 /* asked for by resolve_ahead(): the answer is new */
	enum resolve_answer answer; /* what readers are told; RESOLVE_MISSING: nothing */
	int status;                 /* of c-ares, for the sentence of an error */
	uint32_t completions;
	uint32_t failures;   /* in a row, of servers and not of the name */
	uint64_t first_use;  /* when it was found first */
	uint64_t last_use;   /* seen by a scan */
	uint64_t refresh_at; /* asked for again, where it is in use */
	uint64_t expires;
	/* How long the addresses may answer while servers fail; and where there are none, how long
	 * the failures are remembered. */
	uint64_t keep_until;
	struct resolve_addresses addresses; /* also while they are not told; count 0: none */
	struct history *history;            /* NULL: nothing has changed for a while */
};

/* Lives until the resolver and all snapshots are gone. */
struct shared {
	uint32_t references;
	uint32_t snapshots;
	_Atomic uint8_t used[RESOLVE_NAMES_MAX]; /* a reader has found it since the last scan */
};

struct resolver {
	ares_channel channel;
	struct rcu *rcu;
	struct hash_key key;
	struct shared *shared;
	const struct resolve_snapshot *_Atomic snapshot;
	const _Atomic bool *stop; /* resolve_now() waits no longer; NULL: nothing stops it */
	bool hosts_file;
	bool naptr;
	bool dirty;
	uint64_t now;
	uint64_t next_scan, next_tick, next_sweep;
	uint64_t pins_until; /* until then there are pins */
	struct pin_table *pins;
	uint64_t next_publish; /* by the real clock */

	struct entry *entry[RESOLVE_NAMES_MAX];
	uint32_t free_slot[RESOLVE_NAMES_MAX], free_slots;
	uint32_t bucket[BUCKETS];
	struct zone *zone[ZONE_BUCKETS];
	uint32_t cursor; /* of make_room() */
	uint32_t ours;   /* names of scripts and lists */
	struct entry *notify, **notify_end;

	struct query *query[RESOLVE_QUERIES_MAX]; /* under way, in no order */
	uint32_t queries, strangers;
	uint32_t questions; /* of c-ares, also those that nobody waits for any more */
	uint32_t waiters, strange_waiters, waiters_max;

	struct pollfd fd[FDS_MAX];
	uint32_t fds;
	_Atomic uint64_t counter[RESOLVE_COUNTER_COUNT]; /* one thread writes */
};

static inline void resolver_set_counter(
	struct resolver *r, enum resolve_counter counter, uint64_t value)
{
	atomic_store_explicit(&r->counter[counter], value, memory_order_relaxed);
}

static inline void resolver_count(struct resolver *r, enum resolve_counter counter)
{
	resolver_set_counter(
		r, counter, atomic_load_explicit(&r->counter[counter], memory_order_relaxed) + 1);
}

/* NULL where it is not there. */
struct entry *table_find(
	const struct resolver *r, enum resolve_kind kind, const struct host_name *name);
struct zone *table_zone(const struct resolver *r, const struct host_name *name);
/* Adds a name that is not there. NULL where the table is full of names that have more right to
 * their places, or without memory. */
struct entry *table_add(
	struct resolver *r, enum resolve_kind kind, const struct host_name *name, bool ours);
/* A name that nobody waits for and that is not asked for. */
void table_remove(struct resolver *r, struct entry *e);
/* A script or a list has it; RESOLVE_OURS_MAX of them count. */
void table_set_ours(struct resolver *r, struct entry *e);

/* Whether there is an answer that may stand in where servers fail (RFC 8767). */
static inline bool entry_has_stale(const struct resolver *r, const struct entry *e)
{
	return e->addresses.count != 0 && r->now < e->keep_until;
}

/* A name that has been found before, or is ours: no flood of strangers' goes before it. */
static inline bool entry_is_known(const struct resolver *r, const struct entry *e)
{
	return e->ours || entry_has_stale(r, e);
}

/* ---- former.c ---- */

/* The name's addresses are about to be replaced. */
void former_keep(struct resolver *r, struct entry *e, const struct resolve_addresses *by);
/* Forgets what is over by now. Returns whether something was. */
bool former_forget(struct resolver *r, struct entry *e);

/* ---- resolver.c ---- */

/* What a query came to. */
enum outcome {
	OUTCOME_FOUND,
	OUTCOME_PARTIAL,  /* addresses, but servers did not tell all */
	OUTCOME_NONE,     /* the DNS says so */
	OUTCOME_TRANSIENT /* no answer, or none that can be used */
};

/* Takes a finished query's result. */
void resolver_complete(struct resolver *r, struct entry *e, enum outcome outcome, int status,
	const struct resolve_addresses *found, uint32_t ttl);
/* Tells readers the old addresses while the query for new ones goes on. */
void resolver_serve_stale(struct resolver *r, struct entry *e);
/* Makes what is known visible to readers. Does nothing while too many old snapshots are held. */
void resolver_publish(struct resolver *r);
/* ---- channel.c ---- */

/* For these servers, NULL: the system's. 0, -EINVAL or -ENOMEM. */
int channel_open(struct resolver *r, const char *servers, ares_channel *out);
/* All questions end; what waits for them is left to the caller. */
void channel_close(struct resolver *r);
/* Hands ready sockets and timeouts to c-ares, waiting for at most `timeout_ms`; then looks after
 * the queries whose time has come. */
void resolver_process(struct resolver *r, int timeout_ms);
/* One question to the servers, for a name that is known or not. `done` may be called before this
 * returns; it has to call resolver_answered(). */
void resolver_question(struct resolver *r, bool known, enum resolve_counter counter,
	const char *name, int type, ares_callback done, void *arg);
void resolver_answered(struct resolver *r);

/* ---- share.c ---- */

/*
 * Whether a name of this zone (NULL: none of it is there) may be asked for now. Where all places
 * are taken, the zone that has the most of them gives one up.
 */
bool share_admit(struct resolver *r, const struct zone *zone, bool known);
/* Whether one more may wait for this name. */
bool share_wait(const struct resolver *r, const struct entry *e, bool known);

/* ---- query.c ---- */

/* What is being done for one name. */
struct query {
	struct resolver *resolver;
	struct entry *entry;
	uint32_t slot; /* of resolver.query */
	bool known;    /* counted as such */
	uint64_t began;
	struct naptr *naptr;         /* asked for and not answered, or NULL */
	struct answer_extent extent; /* of NAPTR's answer */
	bool naptr_failed;
	bool advancing, again;
	bool not_in_hosts; /* /etc/hosts has been asked for the name, and has it not */
	struct host_name service[RESOLVE_SERVICES_MAX + 1];
	unsigned services;
	struct walk *walk; /* NULL: not begun */
};

/* Starts looking an entry up, which has been admitted. Its completion may come before this returns.
 * 0 or -ENOMEM. */
int query_start(struct resolver *r, struct entry *e);
enum query_end {
	QUERY_DONE,   /* the name's answer is what there is by now */
	QUERY_PUSHED, /* likewise; others took its place, which says nothing of its servers */
	QUERY_DROPPED /* the name has no answer of it */
};
void query_end(struct query *q, enum query_end how);
/* Goes on after an answer has come or time has passed; it may be over then. */
void query_advance(struct query *q);

/* ---- walk.c ---- */

/* A host whose addresses are looked up: the name itself, or the target of an SRV record. */
struct target {
	struct answer_srv srv; /* priority, weight and port are 0 without SRV */
	unsigned count[2];     /* of IPv4, of IPv6 */
	struct net_addr address[2][RESOLVE_ADDRESSES_MAX];
};

/* From the places where SRV records may be to addresses. Lives until c-ares has let go of it. */
struct walk {
	struct resolver *resolver;
	struct query *query; /* whose it is; NULL: nobody's any more */
	struct host_name name;
	struct host_name service[RESOLVE_SERVICES_MAX + 1];
	unsigned services, asked;
	unsigned pending; /* questions, and one while more are being asked */
	bool done;
	bool transient;        /* a part of the answer is missing, for now */
	int status;            /* of the part that failed */
	uint64_t usable_since; /* when the first address came; 0: none yet */
	struct answer_extent extent;
	uint32_t ttl_before; /* what NAPTR's records allow */
	unsigned targets;
	struct target *target;
	struct lookup *lookup; /* two of each target */
};

/* For the query's services in their order, then for the name itself; sets q->walk. Within
 * query_advance(), since it may be done before this returns. 0 or -ENOMEM. */
int walk_start(struct query *q);
/* Nobody wants what it finds any more. */
void walk_leave(struct walk *w);
/* What has been found so far; `*cut` where it was more than there is room for. */
void walk_collect(const struct walk *w, struct resolve_addresses *out, bool *cut);
/* /etc/hosts has the name. */
bool walk_hosts_file_has(struct resolver *r, const struct host_name *name);
/* The DNS has said that there is nothing; everything else is a failure to answer. */
bool walk_is_definite(int status);

/* ---- snapshot.c ---- */

uint64_t snapshot_hash(const struct hash_key *key, enum resolve_kind kind, struct str name);
/* Of all entries that have an answer. NULL without memory. */
struct resolve_snapshot *snapshot_new(const struct resolver *r);
/* What "localhost" stands for. */
extern const struct resolve_addresses snapshot_localhost;
/* For rcu_retire(). */
void snapshot_free(void *snapshot);
void shared_release(struct shared *shared);
