/* SPDX-License-Identifier: BSD-3-Clause */
/* The room: which tables are current, and how one takes another's place. */
#include <errno.h>
#include <stdlib.h>

#include "access/internal.h"

struct access *access_create(struct rcu *rcu)
{
	struct access *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->rcu = rcu;
	for (unsigned i = 0; i < ACCESS_LISTS; i++)
		a->state[i].statement = -1;
	return a;
}

void access_destroy(struct access *a)
{
	if (a == NULL)
		return;
	for (unsigned i = 0; i < ACCESS_SOURCES; i++) {
		access_addresses_free(
			atomic_load_explicit(&a->list[ACCESS_ADDRESSES][i], memory_order_relaxed));
		access_domains_free(
			atomic_load_explicit(&a->list[ACCESS_DOMAINS][i], memory_order_relaxed));
	}
	while (a->waiting != NULL) {
		struct access_waiting *waiting = a->waiting;

		a->waiting = waiting->next;
		waiting->free(waiting->table);
		free(waiting);
	}
	free(a);
}

void access_use_db(struct access *a, struct db *db, bool reads)
{
	a->db = db;
	a->reads = reads;
}

void access_retire(struct access *a, void *table, void (*table_free)(void *table))
{
	struct access_waiting *waiting, **at = &a->waiting;

	/* Where a reader is stuck the list of retired objects may be full: those tables wait here,
	 * and are never freed early. */
	while ((waiting = *at) != NULL && rcu_retire(a->rcu, waiting->table, waiting->free) == 0) {
		*at = waiting->next;
		free(waiting);
	}
	if (table == NULL || rcu_retire(a->rcu, table, table_free) == 0)
		return;
	rcu_reclaim(a->rcu);
	if (rcu_retire(a->rcu, table, table_free) == 0)
		return;
	waiting = malloc(sizeof(*waiting));
	if (waiting == NULL)
		return; /* lost, which beats freeing what a worker reads */
	*waiting = (struct access_waiting){a->waiting, table, table_free};
	a->waiting = waiting;
}

bool access_find_address(const struct access *a, uint32_t group, const struct net_addr *addr,
	uint32_t port, struct access_match *out)
{
	const struct access_addresses *file = access_current(a, ACCESS_ADDRESSES, ACCESS_FILE),
				      *table = access_current(a, ACCESS_ADDRESSES, ACCESS_TABLE);
	struct access_match other;

	if (file == NULL || !access_addresses_find(file, group, addr, port, out))
		return table != NULL && access_addresses_find(table, group, addr, port, out);
	if (table != NULL && access_addresses_find(table, group, addr, port, &other) &&
		other.bits > out->bits)
		*out = other;
	return true;
}

/* Without a record to show: nearly all that scripts ask. */
bool access_address_in_group(
	const struct access *a, uint32_t group, const struct net_addr *addr, uint32_t port)
{
	const struct access_addresses *file = access_current(a, ACCESS_ADDRESSES, ACCESS_FILE),
				      *table = access_current(a, ACCESS_ADDRESSES, ACCESS_TABLE);

	if (file != NULL && access_addresses_match(file, group, addr, port))
		return true;
	return table != NULL && access_addresses_match(table, group, addr, port);
}

int64_t access_address_group(const struct access *a, const struct net_addr *addr, uint32_t port)
{
	struct access_match match;

	return access_find_address(a, 0, addr, port, &match) ? (int64_t)match.group : -1;
}

unsigned access_address_examples(const struct access *a, struct net_endpoint *out, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ACCESS_SOURCES; i++) {
		const struct access_addresses *table = access_current(a, ACCESS_ADDRESSES, i);

		if (table != NULL)
			n += access_addresses_examples(table, out + n, max - n);
	}
	return n;
}

bool access_find_domain(const struct access *a, struct str domain, struct str *did)
{
	const struct access_domains *file = access_current(a, ACCESS_DOMAINS, ACCESS_FILE),
				    *table = access_current(a, ACCESS_DOMAINS, ACCESS_TABLE);

	/* The table first: it has ids. */
	return (table != NULL && access_domains_find(table, domain, did)) ||
	       (file != NULL && access_domains_find(file, domain, did));
}

bool access_domain_is_local(const struct access *a, struct str domain)
{
	struct str did;

	return access_find_domain(a, domain, &did);
}

bool access_domains_are_unread(const struct access *a)
{
	return atomic_load_explicit(&a->unread[ACCESS_DOMAINS], memory_order_acquire);
}

bool access_myself_is_unread(const struct access *a)
{
	return atomic_load_explicit(&a->myself, memory_order_relaxed) &&
	       access_domains_are_unread(a);
}

bool access_domain_is_myself(const struct access *a, struct str host)
{
	return atomic_load_explicit(&a->myself, memory_order_relaxed) &&
	       access_domain_is_local(a, host);
}
