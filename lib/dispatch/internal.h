/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the files of this room share. */
#include <pthread.h>

#include "dispatch/dispatch.h"
#include "route/variable.h"

#define DISPATCH_URI_MAX 255   /* bytes of a destination's URI */
#define DISPATCH_DUID_MAX 63   /* bytes of a duid */
#define DISPATCH_SOCKET_MAX 63 /* bytes of a socket attribute */

/*
 * Ids of destinations. An id stands for one (set, duid, URI, address, socket) and outlives reloads.
 * The ids of removed destinations stay taken until no pin can name them any more, so there are more
 * ids than destinations. Id 0 is none.
 */
#define DISPATCH_IDS PIN_IDS

#define DISPATCH_WORKERS_MAX RCU_READERS_MAX
#define DISPATCH_VERSIONS_MAX 16 /* of one set, within PIN_INVITE_NS */
#define DISPATCH_CHAINS_MAX (2 * DISPATCH_SETS_MAX)
#define DISPATCH_TRIES_MAX 40 /* destinations that one message may try */

/* Kamailio's numbers. */
enum dispatch_algorithm {
	DISPATCH_CALL_ID = 0,
	DISPATCH_FROM_URI = 1,
	DISPATCH_TO_URI = 2,
	DISPATCH_REQUEST_URI = 3,
	DISPATCH_ROUND_ROBIN = 4,
	DISPATCH_RANDOM = 6,
	DISPATCH_VARIABLE = 7,
	DISPATCH_SERIAL = 8,
	DISPATCH_WEIGHT = 9,
	DISPATCH_RELATIVE_WEIGHT = 11,
};

/* ---- list ---- */

/* One destination as the list names it, names resolved. */
struct dispatch_spec {
	uint32_t set, line;
	int64_t priority;
	uint32_t weight, rweight;
	uint8_t state;  /* enum dispatch_state: what holds, */
	uint8_t listed; /* ... and what the list says; another where a state is by hand */
	bool down;      /* Kamailio's inactive bit: starts as down */
	bool any_port;  /* the list gave no port: requests from it match with any */
	bool by_name;   /* the address came from DNS */
	bool has_weight;
	struct net_endpoint ep;
	char uri[DISPATCH_URI_MAX + 1];
	char duid[DISPATCH_DUID_MAX + 1];
	char socket[DISPATCH_SOCKET_MAX + 1];
};

struct dispatch_specs {
	struct dispatch_spec *spec;
	unsigned count;
};

/*
 * Reads list_file. 0, or -errno after route_error(). Where no server answers for a name, the
 * destinations of that URI in `running` keep their addresses, with a warning: a list can be changed
 * while DNS is out of order. NULL: there are none.
 */
int dispatch_list_read(const char *path, struct resolver *resolver, struct dispatch *running,
	struct route_report *report, struct dispatch_specs *out);
/* The same from memory; `name` stands for the file in messages. */
int dispatch_list_parse(const char *name, struct str text, struct resolver *resolver,
	struct dispatch *running, struct route_report *report, struct dispatch_specs *out);
/* The same of rows that have become lines: one that is wrong is left out, with a warning for the
 * first DISPATCH_ROWS_SAID. Where all of them are of no use, `failed` says why. */
#define DISPATCH_ROWS_SAID 8
int dispatch_list_parse_rows(const char *name, struct str text, struct resolver *resolver,
	struct dispatch *running, struct route_report *report, struct dispatch_specs *out,
	unsigned *left_out, const char **failed);
/* Addresses of the current destinations of a set that have this URI; how many. Any thread but
 * workers. */
unsigned dispatch_running(struct dispatch *d, uint32_t set, struct str uri,
	struct net_endpoint out[RESOLVE_ADDRESSES_MAX]);
/* Of set and stable name (see set.c): what may stand once in a list. */
struct hash128 dispatch_stable_hash(const struct dispatch_spec *spec);
/* "udp:10.0.0.5:5060", "10.0.0.5:5060", "10.0.0.5": a socket attribute. 0 or -EINVAL. */
int dispatch_socket_parse(struct str text, struct net_endpoint *out);
void dispatch_specs_free(struct dispatch_specs *specs);

/* ---- table: the same of a database ---- */

#define DISPATCH_COLUMNS 5 /* setid, destination, flags, priority, attrs */

/* The statement that reads it, or negative after route_error(). */
int dispatch_table_statement(struct dispatch *d, const char *url, const char *table,
	const char *const column[DISPATCH_COLUMNS], struct route_report *report);
/* Reads it. 0; or negative and a sentence. Rows that are wrong are left out, with warnings. The
 * loader's thread. */
int dispatch_table_read(struct dispatch *d, int statement, const char *table,
	struct resolver *resolver, struct route_report *report, struct dispatch_specs *out,
	char *error, size_t error_size);

/* ---- maglev ---- */

struct maglev_target {
	struct str identity; /* what its permutation is made of */
	uint32_t weight;     /* 0: no slots */
	uint16_t id;         /* what its slots hold */
};

struct maglev {
	uint32_t size; /* a prime */
	uint16_t slot[];
};

/* The table's size for n targets: a prime above 100 * n, 65,537 for up to 655. */
uint32_t maglev_size(unsigned n);
/*
 * Builds the table. `target` is sorted by identity on return; the result depends on nothing else
 * than identities and weights. NULL where nothing has a weight, or for want of memory (errno
 * ENOMEM).
 */
struct maglev *maglev_build(struct maglev_target *target, unsigned n);

/*
 * A key's way through a table: its slot, then on by a step of its own. The size is prime, so the
 * way visits every slot, and the order in which it meets the targets is the key's own permutation
 * of them.
 */
struct maglev_walk {
	uint32_t at, step;
};

static inline struct maglev_walk maglev_begin(const struct maglev *m, uint64_t hash)
{
	return (struct maglev_walk){
		.at = (uint32_t)(((hash >> 32) * m->size) >> 32),
		.step = 1 + (uint32_t)(((hash & 0xffffffffu) * (m->size - 1)) >> 32),
	};
}

static inline uint16_t maglev_next(const struct maglev *m, struct maglev_walk *w)
{
	uint16_t id = m->slot[w->at];

	w->at += w->step;
	if (w->at >= m->size)
		w->at -= m->size;
	return id;
}

/* Splits `total` by weights: whole shares that add up to it, each within one of exact, and at least
 * one where the weight is not 0. */
void maglev_quotas(const uint32_t *weight, unsigned n, uint32_t total, uint32_t *quota);
/*
 * An order of turns: target i `quota[i]` times, evenly spread. Writes sum(quota) indexes at `turn`.
 * 0 or -ENOMEM.
 */
int maglev_turns(const uint32_t *quota, unsigned n, uint16_t *turn);

/* A cycle of ids for round-robin by weight: len entries. */
struct dispatch_cycle {
	uint32_t len;
	uint16_t id[];
};
#define DISPATCH_CYCLE_MAX 65536 /* longer ones are rounded */
struct dispatch_cycle *dispatch_cycle_build(const struct maglev_target *target, unsigned n);

/* ---- identities and health ---- */

/* What an id stands for; immutable while the id is taken. */
struct dispatch_target {
	uint32_t set;
	uint16_t id;
	bool any_port;
	uint8_t socket_transport; /* enum sip_transport; NONE: no socket attribute */
	struct net_endpoint ep;
	struct net_endpoint socket;
	uint16_t uri_len;
	uint8_t hostport_len;
	char uri[DISPATCH_URI_MAX + 1];
	char hostport[NET_ENDPOINT_TEXT_MAX]; /* what ds_select_domain writes */
	struct hash128 identity;
};

/* ---- a set ---- */

struct dispatch_member {
	uint16_t id;
	uint8_t state;
	uint32_t weight, rweight;
	int64_t priority;
};

/* One version of a set. Immutable; `refs` belongs to the control thread. */
struct dispatch_set {
	uint32_t set;
	uint32_t refs;
	struct hash128 digest; /* of all that it was made of */
	uint64_t salt;         /* of hash_key */
	unsigned members;      /* by descending priority, then as in the list */
	struct dispatch_member *member;
	unsigned count;                /* of those that may be chosen */
	uint16_t *order;               /* their ids, in the order of member */
	struct maglev *maglev;         /* NULL: empty */
	struct dispatch_cycle *cycle;  /* by weight */
	struct dispatch_cycle *rcycle; /* by rweight; may be the same as cycle */
	uint16_t fallback;             /* use_default: chosen where nothing else is up; 0: none */
};

/* The versions of a set that a message under way may have met, oldest first. */
struct dispatch_chain {
	uint32_t set;
	uint32_t count;
	uint64_t since[DISPATCH_VERSIONS_MAX]; /* when each was published; 0: at the start */
	struct dispatch_set *version[DISPATCH_VERSIONS_MAX];
};

/* Who is asked for by address. */
struct dispatch_address {
	struct net_addr addr;
	uint16_t port; /* 0: any */
	uint16_t id;
	bool disabled;
	uint32_t set;
};

struct dispatch_addresses {
	uint32_t refs;
	unsigned count;
	struct dispatch_address at[];
};

/* What workers read: one snapshot. */
struct dispatch_view {
	struct dispatch *d;
	struct dispatch_view *next; /* of those that wait to be retired */
	struct dispatch_addresses *addresses;
	unsigned chains; /* sorted by set */
	struct dispatch_chain chain[DISPATCH_CHAINS_MAX];
};

/* ---- the room ---- */

struct dispatch_worker {
	_Alignas(64) _Atomic uint64_t count[DISPATCH_COUNTER_COUNT];
	uint32_t cursor[DISPATCH_CHAINS_MAX][2]; /* round-robin by weight, by rweight */
	_Atomic uint64_t selected[DISPATCH_IDS];
};

/* Health of a destination: bits of dispatch.health[id]. */
#define DISPATCH_HEALTH_DOWN 1

struct dispatch_identity {
	struct dispatch_target *target; /* of the id; NULL: free */
	uint32_t refs;                  /* sets that hold it */
	uint64_t release_ns;            /* refs 0: free from then on */
	uint64_t selected_base;         /* counts of the id's former life */
	_Atomic uint64_t unreachable;   /* what ICMP said */
	bool listed_down;               /* the list said so when it was last read */
	/* enum dispatch_state, and when it became that; when it was last left enabled. As
	 * published: the control thread's, read by telemetry too. */
	_Atomic uint8_t state;
	_Atomic bool by_hand;
	_Atomic uint64_t since_ns, out_ns;
};

struct dispatch_options {
	uint64_t salt;
	bool use_default;
};

struct dispatch {
	struct dispatch_config config;
	struct resolver *load_resolver; /* of the load at hand; NULL: the configured one */
	struct db *db;                  /* that tables are in; NULL: there is none */
	bool reads;                     /* them */
	/* What is known of the list's table; the control thread's, and a loader's while it
	 * prepares.
	 */
	struct {
		bool published; /* any list, ever */
		int statement;  /* -1: it is a file */
		bool read;      /* rows of it are known */
		bool old;       /* they could not be read the last time */
		uint64_t retry_at, retry_after;
	} source;
	uint64_t (*now_ns)(void);
	/* read by workers */
	_Atomic(struct dispatch_view *) view;
	struct pin_table *pins;
	struct dispatch_worker *worker; /* DISPATCH_WORKERS_MAX */
	void *worker_memory;
	_Alignas(64) _Atomic uint64_t
		disturbed_until; /* until then a pin may exist for a key whose table is calm */
	_Atomic(const struct dispatch_target *) target[DISPATCH_IDS];
	_Alignas(64) _Atomic uint8_t health[DISPATCH_IDS];
	/* control thread only */
	_Alignas(64) struct dispatch_identity identity[DISPATCH_IDS];
	struct dispatch_view *unretired;
	/*
	 * Identities and what counts them (sets, views) belong to who holds this: a load, while it
	 * prepares, or the control thread, which never waits: what it finds taken it does at
	 * another turn.
	 */
	pthread_mutex_t tables;
	/* What was published last, for states by hand; likewise. */
	struct dispatch_specs listed;
	struct dispatch_options options;
	struct dispatch_view *dead; /* views that no reader has and that could not be freed yet */
	uint16_t index[2 *
		       DISPATCH_IDS]; /* ids by identity: open addressing, made anew by each load */
};

static inline bool dispatch_is_up(const struct dispatch *d, uint16_t id)
{
	return (atomic_load_explicit(&d->health[id], memory_order_acquire) &
		       DISPATCH_HEALTH_DOWN) == 0;
}

static inline const struct dispatch_target *dispatch_target_at(
	const struct dispatch *d, uint16_t id)
{
	return atomic_load_explicit(&d->target[id], memory_order_acquire);
}

static inline void dispatch_count(struct dispatch_worker *w, enum dispatch_counter counter)
{
	uint64_t v = atomic_load_explicit(&w->count[counter], memory_order_relaxed);

	atomic_store_explicit(&w->count[counter], v + 1, memory_order_relaxed);
}

static inline void dispatch_selected(struct dispatch_worker *w, uint16_t id)
{
	uint64_t v = atomic_load_explicit(&w->selected[id], memory_order_relaxed);

	atomic_store_explicit(&w->selected[id], v + 1, memory_order_relaxed);
	dispatch_count(w, DISPATCH_COUNTER_SELECTED);
}

/* Until `until_ns` every choice looks at the pins. Any thread. */
void dispatch_disturb(struct dispatch *d, uint64_t until_ns);
/* A name of the list for a set: its 128 bits are what ids are kept by. */
struct hash128 dispatch_identity_of(const struct dispatch_spec *spec);
/* Makes the index anew. The thread that loads. */
void dispatch_identity_index(struct dispatch *d);
/* The id of a destination, known or new, with one reference more. 0 where there is none left. The
 * thread that loads. */
uint16_t dispatch_identity_take(struct dispatch *d, const struct dispatch_spec *spec);
void dispatch_identity_put(struct dispatch *d, uint16_t id, uint64_t now_ns);
/* Frees the ids whose time is over. Control thread. */
void dispatch_identity_release(struct dispatch *d, uint64_t now_ns);

/* ---- generation ---- */

struct dispatch_prepared;

/*
 * Makes sets of a list, sharing with the current view what has not changed, and with the states
 * that were given by hand. Nothing is published. 0, or -errno after route_error().
 */
int dispatch_generation_prepare(struct dispatch *d, const char *name,
	const struct dispatch_specs *specs, const struct dispatch_options *options,
	struct route_report *report, struct dispatch_prepared **out);
/* The same of specs as they are, which become what is prepared, or are freed; with the lock held.
 * `name` may be NULL. */
int dispatch_generation_build(struct dispatch *d, const char *name, struct dispatch_specs *specs,
	const struct dispatch_options *options, struct route_report *report,
	struct dispatch_prepared **out);
/* How many destinations have another state than before. */
unsigned dispatch_generation_publish(struct dispatch *d, struct dispatch_prepared *prepared);
void dispatch_generation_discard(struct dispatch *d, struct dispatch_prepared *prepared);
/* Drops versions whose time is over, and frees views that could not be freed when no reader had
 * them any more. With the lock held. */
void dispatch_generation_tick(struct dispatch *d, uint64_t now_ns);
/* Frees everything; no reader is left. */
void dispatch_generation_fini(struct dispatch *d);
/* ---- state ---- */

/* A copy of specs; false: not enough memory. */
bool dispatch_specs_copy(const struct dispatch_specs *from, struct dispatch_specs *to);
/* Destinations that were given a state by hand keep it where the list says of them what it said
 * before. With the lock held. */
void dispatch_state_keep(const struct dispatch *d, struct dispatch_specs *specs);

/* The chain of a set, or NULL. */
const struct dispatch_chain *dispatch_chain_find(const struct dispatch_view *view, uint32_t set);

/* ---- set (building and letting go) ---- */

/* Builds one version from the specs of one set, in the order of the list. Takes references on ids.
 * NULL: errno. */
struct dispatch_set *dispatch_set_build(struct dispatch *d, uint32_t set,
	const struct dispatch_spec *const *spec, unsigned n,
	const struct dispatch_options *options);
/* What a version is made of, for comparison. */
struct hash128 dispatch_set_digest(uint32_t set, const struct dispatch_spec *const *spec,
	unsigned n, const struct dispatch_options *options);
void dispatch_set_unref(struct dispatch *d, struct dispatch_set *set, uint64_t now_ns);

/* ---- who is asked for by address ---- */

struct dispatch_query {
	uint32_t set;
	bool any_set, with_port, active;
	struct net_endpoint ep;
	const struct net_endpoint *socket; /* NULL: any */
};
/* RCU readers. */
bool dispatch_find(const struct dispatch *d, const struct dispatch_query *query);

/* ---- select ---- */

/* How a message counts for the rules of a planned change. */
enum dispatch_class {
	DISPATCH_CLASS_INVITE,
	DISPATCH_CLASS_FOLLOWS /* CANCEL, ACK */,
	DISPATCH_CLASS_OTHER
};

/* One choice, and all that it depends on. */
struct dispatch_choice {
	uint32_t set;
	uint8_t algorithm;
	uint8_t klass;
	bool once;                                /* its retransmissions choose nothing */
	uint64_t hash;                            /* of the key: 0-3, 7 */
	struct hash128 (*transaction)(void *arg); /* called where a pin may matter */
	void *arg;
	struct route_thread *thread;
	uint64_t now_ns;
};

/* Whether an algorithm depends on nothing but message, table and health. */
static inline bool dispatch_algorithm_is_pure(unsigned algorithm)
{
	return algorithm <= DISPATCH_REQUEST_URI || algorithm == DISPATCH_VARIABLE ||
	       algorithm == DISPATCH_SERIAL;
}
/* NULL where the number is one of ours, else why it is refused. */
const char *dispatch_algorithm_refused(int64_t algorithm);
/*
 * The choice where nothing can make it another: a pure algorithm, one version of the set, its
 * primary up, and no time in which pins count. 0 where any of this is not so, and dispatch_choose()
 * is to be asked. RCU readers.
 */
uint16_t dispatch_choose_calmly(struct dispatch *d, uint32_t set, unsigned algorithm, uint64_t hash,
	const struct route_thread *thread);
/* The id of the destination, or 0 where there is none. RCU readers; nothing is locked. */
uint16_t dispatch_choose(struct dispatch *d, const struct dispatch_choice *choice);
/* The next destination after those in tried[0, n), or 0. Pure: by c->hash, or by the list's order
 * for serial. `once`: by the newest table, as in a failure_route, where a transaction keeps what it
 * has chosen. */
uint16_t dispatch_choose_next(
	struct dispatch *d, const struct dispatch_choice *c, const uint16_t *tried, unsigned n);

/* A bijection that spreads each bit over all (the finalizer of MurmurHash3, by constants). */
static inline uint64_t dispatch_mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

/* Text into key: the hash of the algorithms 0-3 and 7. Begin, then base/hash.h. */
uint64_t dispatch_hash_text(struct str text);
void dispatch_hash_begin(struct hash *h);

/* ---- key ---- */

/*
 * The key that an algorithm hashes. False where the message has no such thing. `format`: of
 * hash_pvar, for 7. Algorithms that hash nothing get what ds_next_dst walks on by.
 */
bool dispatch_key(struct route_ctx *ctx, unsigned algorithm, bool user_only,
	const struct route_format *format, uint64_t *hash);
