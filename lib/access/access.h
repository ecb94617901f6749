/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * access: who a source is and which domains are ours: address groups (longest prefix match), the
 * domain table, and rates by source.
 *
 * OpenSER modules: permissions (allow_source_address, allow_address, check_source_address ...) and
 * domain (is_uri_host_local, is_from_local, is_domain_local). Tables are immutable snapshots, built
 * from files by the control thread at prepare(), read by workers without a lock; a file with an
 * error publishes nothing.
 *
 * address_file has Kamailio's columns: group address [mask [port [tag]]]; group from 1, port 0 for
 * any; the tag is accepted and not used. An address is in the groups of all prefixes that hold it.
 * domain_file has one domain or address a line. In both '#' begins a comment.
 *
 * Files: access (the room), address (groups), domain, rate, file (list files), permissions and
 * domain_functions (what scripts call).
 */
#include "route/route.h"

#define ACCESS_ADDRESSES_MAX 100000 /* lines of an address_file */
#define ACCESS_DOMAINS_MAX 1000000  /* different domains of a domain_file */
#define ACCESS_DOMAIN_MAX 257       /* bytes of one, with a dot at its end or brackets */

struct access;

/* `rcu` frees old tables. NULL and errno on failure. Control thread. */
struct access *access_create(struct rcu *rcu);
/* No worker may use the room any more. Tables that rcu holds are freed by its rcu_reclaim().
 * Control thread. */
void access_destroy(struct access *a);

extern const struct route_module
	access_permissions_module;                     /* "permissions"; room: struct access * */
extern const struct route_module access_domain_module; /* "domain"; room: struct access * */

/*
 * Whether `group` is among the groups that an address belongs to by any prefix that holds it, the
 * longest first; group 0 stands for any (as in Kamailio), and port 0 for any port. Any thread that
 * is online for RCU.
 *
 * Costs one access by the top 16 bits and a binary search among the ranges that share them, then a
 * step for each group that the address is in until one fits.
 */
bool access_address_in_group(
	const struct access *a, uint32_t group, const struct net_addr *addr, uint16_t port);
/* The group of the longest prefix that holds an address (the lowest of several), or -1. Likewise.
 */
int64_t access_address_group(const struct access *a, const struct net_addr *addr, uint16_t port);
/* An address of each group, at most `max` of them, for checks on paper. Returns how many. Control
 * thread. */
unsigned access_address_examples(const struct access *a, struct net_endpoint *out, unsigned max);
/* Whether a host as it stands in a URI (no brackets) is in the domain table; without case, with or
 * without a dot at its end. */
bool access_domain_is_local(const struct access *a, struct str domain);

/* ---- rates: one table a worker, share nothing ---- */

/*
 * Token buckets by source address, fixed memory: sources beyond the table share a bucket by hash.
 * Sources of IPv6 count by their /64. Rates are a second; `burst` at least 1; per_second 0 lets
 * nothing through. NULL and errno on failure.
 */
struct access_rate;
struct access_rate *access_rate_create(
	uint32_t sources, uint32_t per_second, uint32_t burst, const struct hash_key *key);
void access_rate_destroy(struct access_rate *rate);
/* Takes a token of this source; false where it has none. Its worker only. */
bool access_rate_take(struct access_rate *rate, const struct net_addr *source, uint64_t now_ns);
