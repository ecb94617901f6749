/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * registrar: REGISTER (RFC 3261 10.3, with RFC 3327 Path, RFC 3608 Service-Route, RFC 5626
 * outbound) and the routing by what was registered (16.5).
 *
 * OpenSER modules: "registrar" (save, lookup, registered, unregister, add_sock_hdr, ...) and
 * "usrloc", whose parameters say how the table is kept.
 *
 * save() runs on the slow lcore that owns the address-of-record, since a table has one writer;
 * lookup() and registered() run on any thread.
 *
 * The canonical address-of-record: user part without escapes of characters that need none (RFC 3261
 * 19.1.4), in lower case unless `case_sensitive`; with `use_domain` also "@" and the host in lower
 * case. Port, password and parameters are no part of it; control characters are refused.
 *
 * What operators know of Kamailio's modules holds, names, numbers and return codes; where RFC 3261
 * or good sense wants more, this room differs:
 *
 *   - all of a REGISTER is done or nothing, and a 420 or 503 has stored nothing;
 *   - To of another domain than the Request-URI is a 404 (10.3 step 5), unless it is ours, one is
 *     below the other, or the Request-URI names an address;
 *   - Contacts are compared as URIs (19.1.4), not as bytes; one with +sip.instance is its
 * instance's, and its CSeq counts too;
 *   - a Contact that leads back to its own address-of-record is refused;
 *   - reg-id counts where outbound is possible (RFC 5626 6) or `regid_mode` is 1;
 *   - lives are bounded by max_expires first and then varied by expires_range;
 *   - where the user agent is (`received`) is stored when the script says so (received_avp), a Path
 *     or a neighbour's Contact parameter does, or outbound makes the flow count. NAT is not
 * guessed;
 *   - with usrloc's db_mode 3 nobody knows who came first before, and each INVITE of a stateless
 *     lookup() is pinned; what is registered is what the rows say, and REGISTERs of one user that
 *     come at once take their turns (turn.c);
 *   - there are no GRUUs, no ids of contacts (ruid), no XAVPs; reg_fetch_contacts() is not there.
 *
 * lookup() of a stateless proxy. A CANCEL, the ACK of a failure and a retransmission go to the
 * contact that their INVITE went to, whatever has been registered, removed or has ended since (RFC
 * 3261 16.11); a new INVITE goes to whoever comes first now. Nearly always nothing has changed, and
 * nothing is remembered but, for each thread, the last INVITEs. For Timer C and 64*T1 after another
 * contact has come first, transactions are remembered by pins (base/pin.h): follow.c says how.
 * Half of the room for them is there for everybody, and then each address-of-record and each source
 * has a part of its own, so that nobody takes others' by calling himself. Where a pin cannot be
 * had, the call goes on: its thread knows it as long as it is among that one's last INVITEs, and it
 * is counted. lookup() does not fail, since usual scripts answer whatever it fails with by 404, and
 * those that call t_relay() need no pin.
 *
 * Bounds are LOCATION_..._MAX and those in internal.h. What exceeds one is refused whole, with a
 * reason in P-Registrar-Error, and counted.
 *
 * Costs (callgrind, bench_registrar, release): save() of a refresh with one contact 4,400
 * instructions with its script, lookup() of one contact 1,700, with the transaction key that
 * forward() would have to compute.
 *
 * Costs of db_mode 3: a question to the database for each look-up, a question and a commit for each
 * save() that changes something.
 *
 * Files: aor, request (what a REGISTER wants), contact (its Contacts), bind (what becomes of the
 * bindings), save, reply (the 200's lines, refusals), lookup, follow (which contact a transaction
 * goes to), bring (into the caches), socket (add_sock_hdr), module (tables), manage (by
 * hand), persist (a database), statement (its SQL), load (from it), row (its rows), only, fetch,
 * turn, hand (db_mode 3: the database alone), registrar (the room).
 */
#include "db/db.h"
#include "location/location.h"
#include "proxy/proxy.h"

struct registrar;

struct registrar_config {
	struct location *location;
	struct proxy *proxy;
	struct rcu *rcu;
	struct db *db; /* of contacts (usrloc's db_mode); NULL: there is none */
	uint32_t pins; /* transactions remembered at most whose contact changes; 0: 1 Mi */
};

struct registrar *registrar_create(const struct registrar_config *config);
void registrar_destroy(struct registrar *r);
/* Adds both modules. 0 or -errno. */
int registrar_register(struct registrar *r, struct route_registry *registry);

/* What became of the rows of the tables at the start. */
struct registrar_loaded {
	uint64_t contacts, ended, malformed, no_room;
};
/*
 * Reads the tables (db_mode 1, 2 and 4) of the scripts that were published, before any slow lcore
 * runs: the caller is all of their threads. 0, or -EIO and a sentence: a part may have been read.
 * Says in the log how far it is, and ends where the database is silent for DB_SILENCE_MS.
 */
int registrar_load(struct registrar *r, uint64_t now_ns, struct registrar_loaded *out, char *error,
	size_t error_size);

/* Contacts whose rows found no room on their way to the database are sent anew, some each time:
 * called once a pass. How many. The thread of slow lcore `shard`. */
unsigned registrar_persist_poll(struct registrar *r, unsigned shard, uint64_t now_ns);

/* Forgets what was remembered of transactions that have ended; rows of contacts that have ended go.
 * Control thread, once a second. */
void registrar_tick(struct registrar *r, uint64_t now_ns);

/* The shard that a REGISTER in ctx belongs to (its To), or -1 where To is malformed. Any thread. */
int registrar_shard(struct registrar *r, struct route_ctx *ctx);

/* An address-of-record in its canonical form. */
struct registrar_aor {
	uint32_t len;
	char text[LOCATION_AOR_MAX];
};

static inline struct str registrar_aor_str(const struct registrar_aor *aor)
{
	return str_of(aor->text, aor->len);
}

/* Whose contacts a message asks for: of a REGISTER, its To's; else its Request-URI's, as it came.
 * In the first table. */
struct registrar_brought {
	struct hash128 digest;
	struct str host; /* of a REGISTER: To's, in the message */
	struct registrar_aor aor;
};

/*
 * For the messages of a burst, before the first of their scripts runs: registrar_bring() for each
 * of them, then registrar_bring_record() for each that it was true for. So what save() (of a
 * REGISTER) or lookup() will read is in the caches; and neither computes again what was computed
 * for it: ctx->brought is `b`, which has to stay until its script has ended or stopped.
 * What is brought may turn out not to be wanted. Any thread.
 */
bool registrar_looks(const struct registrar *r); /* whether any script has looked contacts up */
bool registrar_bring(const struct registrar *r, struct route_ctx *ctx, struct registrar_brought *b);
void registrar_bring_record(const struct registrar *r, const struct registrar_brought *b);

/*
 * ---- for who manages the table by hand ----
 */

/* An address-of-record as an operator writes it: USER, USER@DOMAIN or a URI. In the form in which
 * contacts are found by it. 0 or -EINVAL. Any thread. */
int registrar_aor_read(const struct registrar *r, struct str text, struct registrar_aor *out);
/* usrloc's tables by their numbers; NULL behind the last one. Any thread. */
const char *registrar_table_name(const struct registrar *r, unsigned table);
/*
 * Removes the contacts of an address-of-record, or only the one of that URI (19.1.4). Returns how
 * many; -EAGAIN. The thread of slow lcore `shard`, which is location_shard()'s.
 */
int registrar_remove(struct registrar *r, unsigned shard, uint8_t table,
	const struct registrar_aor *aor, struct str uri, uint32_t now);

/*
 * With usrloc's db_mode 3 nothing of that is in memory, and what an operator wants is asked of the
 * database. All of it the control thread's.
 */
bool registrar_asks(const struct registrar *r);
/* The contacts of an address-of-record, or their removal. calloc()ed by who asks, who fills it in.
 */
struct registrar_hand {
	uint8_t table;
	bool removes;
	struct registrar_aor aor;
	uint32_t uri_len; /* of the one contact that is removed; 0: all are */
	char uri[LOCATION_URI_MAX];
	/* from here on the room's */
	struct registrar *registrar;
	bool over, dropped;
	uint32_t now;
	int result; /* contacts (that were removed); -EIO: the database does not answer or says no;
		       -E2BIG: they are too many or too long */
	struct location_set set;
};
/* 0, or -EAGAIN: the database has no room for it. Then it is `over` in DB_TIMEOUT_MS twice, at
 * most.
 */
int registrar_hand_begin(struct registrar *r, struct registrar_hand *h, uint32_t now);
/* It is of no more interest: freed now, or when it is over. */
void registrar_hand_drop(struct registrar_hand *h);

/* What is counted, by thread (route_thread.index), without a shared line.
 * REGISTRAR_COUNTER(enum suffix, counter name) */
#define REGISTRAR_COUNTERS(REGISTRAR_COUNTER) \
	REGISTRAR_COUNTER(ACCEPTED, "registrar_accepted") /* REGISTERs answered 200 */ \
	REGISTRAR_COUNTER(REJECTED, "registrar_rejected") /* ... with a failure */ \
	REGISTRAR_COUNTER(FULL, "registrar_full")         /* ... because the table is full */ \
	REGISTRAR_COUNTER(TOO_MANY, \
		"registrar_too_many") /* ... for their contacts: too many, too long, too like */ \
	REGISTRAR_COUNTER( \
		NOT_KEPT, "registrar_not_kept") /* ... because the database did not take them */ \
	REGISTRAR_COUNTER(BEHIND, \
		"registrar_behind") /* changes that found no room on their way to the database */ \
	REGISTRAR_COUNTER(OUT_OF_ORDER, \
		"registrar_out_of_order") /* ... for a CSeq that is not above the one before */ \
	REGISTRAR_COUNTER(TURNS, "registrar_turns")   /* db_mode 3: REGISTERs that waited for \
							 another one of   their user */ \
	REGISTRAR_COUNTER(BUSY, "registrar_busy")     /* ... for too long: a 500 */ \
	REGISTRAR_COUNTER(COPIES, "registrar_copies") /* ... copies of one that was under way, \
							 which are dropped */ \
	REGISTRAR_COUNTER(FETCH_FAILED, "registrar_rows_failed") /* db_mode 3: looks for rows that \
								    the database did not answer */ \
	REGISTRAR_COUNTER(FETCH_TOO_MUCH, \
		"registrar_rows_too_many") /* ... that found too many rows, or too long ones */ \
	REGISTRAR_COUNTER(ROWS_MALFORMED, \
		"registrar_rows_malformed") /* ... rows that are no contacts, passed over */ \
	REGISTRAR_COUNTER(LOOKUPS, "registrar_lookups")         /* lookup() and its kin */ \
	REGISTRAR_COUNTER(LOOKUP_HITS, "registrar_lookup_hits") /* ... that found a contact */ \
	REGISTRAR_COUNTER( \
		LOOKUP_LEFT, "registrar_lookup_left") /* contacts that no branch was left for */ \
	REGISTRAR_COUNTER( \
		LOOKUP_PINNED, "registrar_lookup_pinned") /* lookups that were remembered: who \
							     comes first changes */ \
	REGISTRAR_COUNTER(LOOKUP_FOLLOWED, \
		"registrar_lookup_followed") /* ... that went where their transaction had gone */ \
	REGISTRAR_COUNTER(LOOKUP_PIN_SHARE, \
		"registrar_lookup_pin_share") /* ... that were not remembered, but by their \
						 thread: their user or source has had its part */ \
	REGISTRAR_COUNTER(LOOKUP_PIN_FULL, \
		"registrar_lookup_pin_full") /* ... likewise: there is no room at all */

enum registrar_counter {
#define REGISTRAR_COUNTER(id, name) REGISTRAR_COUNTER_##id,
	REGISTRAR_COUNTERS(REGISTRAR_COUNTER)
#undef REGISTRAR_COUNTER
		REGISTRAR_COUNTER_COUNT
};
/* The sum over all threads. Any thread. */
uint64_t registrar_counter(const struct registrar *r, enum registrar_counter counter);
const char *registrar_counter_name(enum registrar_counter counter);
