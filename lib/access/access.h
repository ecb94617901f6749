/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * access: who a source is and which domains are ours: address groups (longest prefix match), the
 * domain table, and rates by source.
 *
 * OpenSER modules: permissions (allow_source_address, allow_address, check_source_address ...) and
 * domain (is_uri_host_local, is_from_local, is_domain_local, lookup_domain). Both have a list that
 * comes from a file, from a table of a database, or from both: then what either of them says
 * counts. Lists are immutable snapshots, built at prepare(), read by workers without a lock.
 *
 * address_file has Kamailio's columns: group address [mask [port [tag]]]; group from 1, port 0 for
 * any. An address is in the groups of all prefixes that hold it. domain_file has one domain or
 * address a line. In both '#' begins a comment. A file with an error publishes nothing.
 *
 * A table is read where the module's db_url names one, or where there is no file. Rows that are
 * wrong are left out with a sentence each: who else writes there must not keep siplane from
 * starting or from reading the others. A database that does not answer is no reason not to start:
 * the table is read as soon as it does, and until then nothing is known of it: an address is in no
 * group by it; who asks for a domain that is not found fails (500), as a script that takes our
 * users for strangers asks them for no password. When a table is read again, and cannot be, what
 * was read before stays.
 *
 * Files: access (the room), address (groups), domain, rate, file (list files), table (rows), list
 * (where a list comes from, and how it becomes current), permissions and domain_functions (what
 * scripts call).
 */
#include "route/route.h"

#define ACCESS_ADDRESSES_MAX 100000 /* lines of an address_file, rows of a table */
#define ACCESS_DOMAINS_MAX 1000000  /* different domains of a domain_file, or of a table */
#define ACCESS_DOMAIN_MAX 257       /* bytes of one, with a dot at its end or brackets */
#define ACCESS_TAG_MAX 64           /* bytes of an address's tag */
#define ACCESS_REFUSED_SAID 8       /* rows of a table that are refused with a sentence each */
/* How soon a table that could not be read is asked for again. */
#define ACCESS_RETRY_MIN_NS CLOCK_NS_PER_S
#define ACCESS_RETRY_MAX_NS (30 * CLOCK_NS_PER_S)

#define ACCESS_PORT_NONE 0x10000u /* a port that is none: in what is listed for any port */

struct access;

/* `rcu` frees old tables. NULL and errno on failure. Control thread. */
struct access *access_create(struct rcu *rcu);
/* No worker may use the room any more. Tables that rcu holds are freed by its rcu_reclaim().
 * Control thread. */
void access_destroy(struct access *a);

/* The databases that tables are in; NULL: there is none, and tables are not read. `reads`: false
 * for a configuration that is looked at only. Before a script is loaded. Control thread. */
void access_use_db(struct access *a, struct db *db, bool reads);

extern const struct route_module
	access_permissions_module;                     /* "permissions"; room: struct access * */
extern const struct route_module access_domain_module; /* "domain"; room: struct access * */

/*
 * Whether `group` is among the groups that an address belongs to by any prefix that holds it, the
 * longest first; group 0 stands for any, and port 0 for any port. Any thread that
 * is online for RCU.
 *
 * Costs one access by the top 16 bits and a binary search among the ranges that share them, then a
 * step for each group that the address is in until one fits.
 */
bool access_address_in_group(
	const struct access *a, uint32_t group, const struct net_addr *addr, uint32_t port);
/* The group of the longest prefix that holds an address (the lowest of several), or -1. Likewise.
 */
int64_t access_address_group(const struct access *a, const struct net_addr *addr, uint32_t port);
/* An address of each group, at most `max` of them, for checks on paper. Returns how many. Control
 * thread. */
unsigned access_address_examples(const struct access *a, struct net_endpoint *out, unsigned max);
/* Whether a host as it stands in a URI (no brackets) is in the domain table; without case, with or
 * without a dot at its end. */
bool access_domain_is_local(const struct access *a, struct str domain);

/* The same, where the module domain says that its domains are names of ours (register_myself). */
bool access_domain_is_myself(const struct access *a, struct str host);

/* Whether the table of domains is wanted and was never read: a domain that was not found may be
 * ours all the same. Any thread. */
bool access_domains_are_unread(const struct access *a);
/* The same, where its domains are names of ours. */
bool access_myself_is_unread(const struct access *a);

/* ---- lists: control thread ---- */

struct access_list_info {
	bool file, table; /* that it comes from */
	bool current;     /* the table could be read when it was last asked for */
	uint32_t lines, rows;
};
/* Of the module "permissions" or "domain"; false: of no other. */
bool access_list_info(const struct access *a, const char *module, struct access_list_info *out);
/* A module whose table could not be read and is to be asked for again now; NULL: none. */
const char *access_list_due(struct access *a, uint64_t now_ns);

/* ---- rates ---- */

/*
 * Token buckets by source address, fixed memory: sources beyond the table share a bucket by hash.
 * Sources of IPv6 count by their /64. Rates are a second; `burst` at least 1; per_second 0 lets
 * nothing through. NULL and errno on failure. Threads may share a table: a refusal writes nothing,
 * and what is let through writes one number, so many times a second and source.
 */
struct access_rate;
struct access_rate *access_rate_create(
	uint32_t sources, uint32_t per_second, uint32_t burst, const struct hash_key *key);
void access_rate_destroy(struct access_rate *rate);
/* Takes a token of this source; false where it has none. Any thread; the times that threads say may
 * differ by as much as their passes last. */
bool access_rate_take(struct access_rate *rate, const struct net_addr *source, uint64_t now_ns);
/* Whether it has none. What other sources have taken counts for nothing here, so that of a source
 * that shares a bucket it is false. Writes nothing. Any thread. */
bool access_rate_spent(
	const struct access_rate *rate, const struct net_addr *source, uint64_t now_ns);
