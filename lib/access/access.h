/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * access: who a source is and which domains are ours: address groups (longest prefix match), the domain table, and rates by source.
 *
 * OpenSER modules: permissions (allow_source_address, allow_address, check_source_address ...) and domain (is_uri_host_local, is_from_local, is_domain_local).
 * Tables are immutable snapshots, built from files by the control thread, read by workers without a lock.
 *
 * Files: address (groups), domain, rate, permissions (functions), domain_functions.
 */
#include "route/route.h"

struct access;

/* `rcu` frees old tables. NULL and errno on failure. Control thread. */
struct access *access_create(struct rcu *rcu);
void access_destroy(struct access *a);

extern const struct route_module access_permissions_module; /* "permissions"; room: struct access * */
extern const struct route_module access_domain_module;	    /* "domain"; room: struct access * */

/* The groups (ids) that an address belongs to at its longest prefix; returns whether `group` is among them; group 0 stands for any (as in Kamailio). Worker. */
bool access_address_in_group(const struct access *a, uint32_t group, const struct net_addr *addr, uint16_t port);
bool access_domain_is_local(const struct access *a, struct str domain);

/* ---- rates: one table a worker, share nothing ---- */

/* Token buckets by source address, fixed memory: sources beyond the table share a bucket by hash. */
struct access_rate;
struct access_rate *access_rate_create(uint32_t sources, uint32_t per_second, uint32_t burst, const struct hash_key *key);
void access_rate_destroy(struct access_rate *rate);
/* Takes a token of this source; false where it has none. Its worker only. */
bool access_rate_take(struct access_rate *rate, const struct net_addr *source, uint64_t now_ns);
