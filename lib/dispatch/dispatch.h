/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * dispatch: sets of destinations and the choice among them.
 *
 * OpenSER module "dispatcher": ds_select_dst, ds_select_domain, ds_select, ds_next_dst,
 * ds_next_domain, ds_is_from_list, ds_is_active, ds_list_exist, ds_mark_dst; list_file in
 * Kamailio's format (`setid uri flags priority attrs`); algorithms under Kamailio's numbers.
 *
 * Hash algorithms (0, 1, 2, 3, 7) are pure functions on a weighted Maglev table built from the
 * configured set; a destination that is down is skipped along the key's own permutation, so that
 * nobody else moves. Serial (8) is the same with the list's order for a permutation. What is not
 * pure is remembered for the transaction in a table of pins that every worker reads, keyed with the
 * transaction key of lib/proxy, so that a retransmission, the CANCEL and the ACK of a failure go
 * where the INVITE went (RFC 3261 16.11):
 *
 *   4, 6, 9, 11		always
 *   0-3, 7, 8		where the first choice is down, and where a planned change moves the key
 *
 * A planned change (a reload that adds, removes, disables or re-weights) leaves the former table in
 * force beside the new one. An INVITE that nobody remembers goes by the table that was current
 * 64*T1 ago: it may be a retransmission. A CANCEL or ACK that nobody remembers goes by the oldest
 * table in force: its INVITE came before the change. A table leaves when no INVITE of its time can
 * be under way (Timer C and 64*T1). So a removed destination still gets new calls for 32 seconds
 * unless it is down: a death moves its keys at once. With several changes in a row the rules are
 * the same, up to 16 of one set within that time; the next is refused with a sentence.
 *
 * Threads: lists and tables are built by the control thread and read by all; verdicts on health are
 * one atomic store. A choice takes no lock and no memory and writes no shared line but a pin's.
 *
 * Costs, measured over 1,000 destinations on one core of a small VM (figures() in
 * tests/unit/dispatch): ds_select_dst by Call-ID 50 ns; the choice itself 21 ns, 52 ns while pins
 * are looked at (minutes after a change or a recovery), some 160 ns where one is written to fresh
 * memory. Reading, building and publishing the set takes 16 ms and 1.3 MB; 1 Mi pins are 32 MB.
 *
 * The list is list_file, or a table of the database that db_url names, whose rows are read as
 * lines. A row that is wrong is left out and named. A table that cannot be read is no reason not to
 * start: there are no destinations until it can be; and what has been read stays.
 *
 * An operator takes destinations out of service and back by hand (dispatch_state_prepare()): the
 * list's word (state=drain, state=disabled) without the list, and a planned change as a reload is
 * one. It splits no transaction, and holds through reloads until the list says another thing of the
 * destination than it did, or names it no more; a restart forgets it.
 *
 * Files: list (file to destinations), table (of a database), maglev (tables), set (one version of a
 * set), identity (ids, health), generation (a planned change), state (by hand), select
 * (algorithms), key (what is hashed), dispatcher (the module), function_select, function_query,
 * dispatch (the room).
 */
#include "proxy/proxy.h"
#include "resolve/resolve.h"
#include "route/route.h"

#define DISPATCH_SETS_MAX 256
#define DISPATCH_DESTINATIONS_MAX 4096 /* of all sets together */
#define DISPATCH_WEIGHT_MAX 1000
/* How soon a table that could not be read is asked for again. */
#define DISPATCH_RETRY_MIN_NS CLOCK_NS_PER_S
#define DISPATCH_RETRY_MAX_NS (30 * CLOCK_NS_PER_S)

struct dispatch;

struct dispatch_config {
	struct rcu *rcu;
	struct resolver *resolver; /* names in lists */
	struct proxy *proxy;       /* transaction keys, listeners */
	/*
	 * Tests may bring their own key of the transaction that ctx's request belongs to, and index
	 * of the listener that is bound to an endpoint, or -1. NULL: proxy_transaction_key() and
	 * proxy_listener_find().
	 */
	struct hash128 (*transaction_key)(void *arg, struct route_ctx *ctx);
	int (*find_listener)(
		void *arg, const struct net_endpoint *ep, enum sip_transport transport);
	void *arg;
	uint32_t pins;            /* transactions remembered at most; 0: 1 Mi */
	uint64_t (*now_ns)(void); /* NULL: clock_now_ns; or a test's */
};

/* Control thread. NULL and errno on failure. */
struct dispatch *dispatch_create(const struct dispatch_config *config);
/* When no reader is left: whatever still waits in the RCU is freed. */
void dispatch_destroy(struct dispatch *d);

/* The databases that tables are in; NULL: there is none. `reads`: false for a configuration that is
 * looked at only. Before a script is loaded. Control thread. */
void dispatch_use_db(struct dispatch *d, struct db *db, bool reads);
/* Whether the list comes from a table; whether that could be read when it was last asked for, and
 * whether it is to be asked for again now. Control thread. */
bool dispatch_list_from_table(const struct dispatch *d);
bool dispatch_list_current(const struct dispatch *d);
bool dispatch_list_due(struct dispatch *d, uint64_t now_ns);

/* Whom the next loads ask for the names in their lists; NULL: the configured resolver again, which
 * is the control thread's. Before and after a load on another thread. */
void dispatch_resolve_by(struct dispatch *d, struct resolver *resolver);

extern const struct route_module dispatch_module; /* "dispatcher"; room: struct dispatch * */

/*
 * Whether a destination gets what is new. For the choice the two that do not are the same: nothing
 * new is sent there, and what went there before stays there. One that is drained is on its way out,
 * and still a peer; one that is disabled is out, and not active for ds_is_from_list() either.
 */
enum dispatch_state { DISPATCH_ENABLED = 0, DISPATCH_DISABLED, DISPATCH_DRAIN, DISPATCH_STATES };
/* As lists and commands have it: "enabled", "disabled", "drain". */
const char *dispatch_state_name(enum dispatch_state state);
/* 0 or -EINVAL. */
int dispatch_state_of(struct str name, enum dispatch_state *out);

/* One destination as telemetry and the log show it. */
struct dispatch_info {
	uint32_t set, id;
	const char *uri;
	struct net_endpoint ep;
	uint32_t weight, priority;
	const char *state;    /* dispatch_state_name() */
	bool by_hand;         /* the list says another state */
	uint64_t since_ns;    /* when it got that state; 0: when the process began */
	uint64_t until_ns;    /* until then what began before may be sent there; 0: enabled */
	uint32_t pins;        /* transactions remembered to be there, as half a minute ago */
	const char *health;   /* "up", "down" */
	uint64_t selected;    /* times chosen, all threads */
	uint64_t unreachable; /* times that ICMP said it cannot be reached */
};
/* Visits all destinations of the current generation. Control thread. */
void dispatch_list(
	struct dispatch *d, void (*visit)(void *arg, const struct dispatch_info *info), void *arg);
/*
 * Another state for all destinations of a set that have one of these URIs, by hand. Built beside
 * the traffic and then published, as a list is; no list is read between the two.
 */
struct dispatch_change {
	uint32_t set;
	enum dispatch_state state;
	struct str uris; /* as the list has them, with spaces between */
};
struct dispatch_prepared;
/*
 * 0; or with a sentence -ENOENT: there is no such set or destination; -EALREADY: all are in that
 * state; -EBUSY, -ENOMEM, -ENOSPC: not now. The thread that loads.
 */
int dispatch_state_prepare(struct dispatch *d, const struct dispatch_change *change,
	struct dispatch_prepared **prepared, char *error, size_t error_size);
/* Control thread. How many destinations have another state now. */
unsigned dispatch_state_publish(struct dispatch *d, struct dispatch_prepared *prepared);
void dispatch_state_discard(struct dispatch *d, struct dispatch_prepared *prepared);
/* A verdict: one atomic store, seen by every worker at its next choice. Any thread. 0 or -ENOENT.
 */
int dispatch_set_up(struct dispatch *d, uint32_t id, bool up);
/* An ICMP error says that nothing reaches this address: counted for every destination there. No
 * verdict by itself, as anybody can write such an error. Control thread. */
void dispatch_unreachable(struct dispatch *d, const struct net_endpoint *ep);
/* Whether an address is a destination of set `set` (0: of any). Any RCU reader. */
bool dispatch_is_destination(
	const struct dispatch *d, uint32_t set, const struct net_endpoint *ep, bool with_port);
/* Drops a planned change's old generation whose time is over; pins that have expired. Control
 * thread, once a second. */
void dispatch_tick(struct dispatch *d, uint64_t now_ns);

/* What is counted, by worker, without a shared line. DISPATCH_COUNTER(enum suffix, counter name) */
#define DISPATCH_COUNTERS(DISPATCH_COUNTER) \
	DISPATCH_COUNTER(SELECTED, "dispatch_selected") /* choices that gave a destination */ \
	DISPATCH_COUNTER( \
		NONE, "dispatch_none") /* no destination: set unknown, empty or all down */ \
	DISPATCH_COUNTER(PIN_FULL, "dispatch_pin_full") /* no room to remember the choice */ \
	DISPATCH_COUNTER(PINNED, "dispatch_pinned")     /* choices remembered */ \
	DISPATCH_COUNTER(FOLLOWED, "dispatch_followed") /* choices that followed a pin */ \
	DISPATCH_COUNTER( \
		SKIPPED, "dispatch_skipped") /* choices that passed a destination that is down */

enum dispatch_counter {
#define DISPATCH_COUNTER(id, name) DISPATCH_COUNTER_##id,
	DISPATCH_COUNTERS(DISPATCH_COUNTER)
#undef DISPATCH_COUNTER
		DISPATCH_COUNTER_COUNT
};

/* The sum of a counter over all workers. Any thread. */
uint64_t dispatch_counter(const struct dispatch *d, enum dispatch_counter counter);
const char *dispatch_counter_name(enum dispatch_counter counter);
/* Pins that stand, bytes of all tables. Control thread; a walk over all of them. */
uint64_t dispatch_pins(const struct dispatch *d);
size_t dispatch_bytes(const struct dispatch *d);
