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
 *   - there are no GRUUs, no ids of contacts (ruid), no XAVPs; reg_fetch_contacts() is not there.
 *
 * Bounds are LOCATION_..._MAX and those in internal.h. What exceeds one is refused whole, with a
 * reason in P-Registrar-Error, and counted.
 *
 * Costs (callgrind, bench_registrar, release): save() of a refresh with one contact 4,300
 * instructions with its script, lookup() of one contact 1,400.
 *
 * Files: aor, request (what a REGISTER wants), contact (its Contacts), bind (what becomes of the
 * bindings), save, reply (the 200's lines, refusals), lookup, bring (into the caches), socket
 * (add_sock_hdr), module (tables), registrar (the room).
 */
#include "location/location.h"
#include "proxy/proxy.h"

struct registrar;

struct registrar_config {
	struct location *location;
	struct proxy *proxy;
	struct rcu *rcu;
};

struct registrar *registrar_create(const struct registrar_config *config);
void registrar_destroy(struct registrar *r);
/* Adds both modules. 0 or -errno. */
int registrar_register(struct registrar *r, struct route_registry *registry);

/* The shard that a REGISTER in ctx belongs to (its To), or -1 where To is malformed. Any thread. */
int registrar_shard(struct registrar *r, struct route_ctx *ctx);

/*
 * For the messages of a burst, before the first of their scripts runs: registrar_bring() for each
 * of them, then registrar_bring_record() for each that it was true for. So what save() (of a
 * REGISTER) or lookup() will read is in the caches. A hint: it changes nothing, and what it says
 * may be wrong. Any thread.
 */
bool registrar_looks(const struct registrar *r); /* whether any script has looked contacts up */
bool registrar_bring(const struct registrar *r, struct route_ctx *ctx, struct hash128 *digest);
void registrar_bring_record(const struct registrar *r, struct hash128 digest);

/* What is counted, by thread (route_thread.index), without a shared line.
 * REGISTRAR_COUNTER(enum suffix, counter name) */
#define REGISTRAR_COUNTERS(REGISTRAR_COUNTER) \
	REGISTRAR_COUNTER(ACCEPTED, "registrar_accepted") /* REGISTERs answered 200 */ \
	REGISTRAR_COUNTER(REJECTED, "registrar_rejected") /* ... with a failure */ \
	REGISTRAR_COUNTER(FULL, "registrar_full")         /* ... because the table is full */ \
	REGISTRAR_COUNTER(TOO_MANY, \
		"registrar_too_many") /* ... for their contacts: too many, too long, too like */ \
	REGISTRAR_COUNTER(OUT_OF_ORDER, \
		"registrar_out_of_order") /* ... for a CSeq that is not above the one before */ \
	REGISTRAR_COUNTER(LOOKUPS, "registrar_lookups")         /* lookup() and its kin */ \
	REGISTRAR_COUNTER(LOOKUP_HITS, "registrar_lookup_hits") /* ... that found a contact */ \
	REGISTRAR_COUNTER( \
		LOOKUP_LEFT, "registrar_lookup_left") /* contacts that no branch was left for */

enum registrar_counter {
#define REGISTRAR_COUNTER(id, name) REGISTRAR_COUNTER_##id,
	REGISTRAR_COUNTERS(REGISTRAR_COUNTER)
#undef REGISTRAR_COUNTER
		REGISTRAR_COUNTER_COUNT
};
/* The sum over all threads. Any thread. */
uint64_t registrar_counter(const struct registrar *r, enum registrar_counter counter);
const char *registrar_counter_name(enum registrar_counter counter);
