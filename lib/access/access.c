/* SPDX-License-Identifier: BSD-3-Clause */
/* The room: which tables are current, and how one takes another's place. */
#include <errno.h>
#include <stdlib.h>

#include "access/internal.h"

struct access *access_create(struct rcu *rcu)
{
	struct access *a = calloc(1, sizeof(*a));

	if (a != NULL)
		a->rcu = rcu;
	return a;
}

void access_destroy(struct access *a)
{
	if (a == NULL)
		return;
	access_addresses_free(atomic_load_explicit(&a->addresses, memory_order_relaxed));
	access_domains_free(atomic_load_explicit(&a->domains, memory_order_relaxed));
	while (a->waiting != NULL) {
		struct access_waiting *waiting = a->waiting;

		a->waiting = waiting->next;
		waiting->free(waiting->table);
		free(waiting);
	}
	free(a);
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

bool access_address_in_group(
	const struct access *a, uint32_t group, const struct net_addr *addr, uint16_t port)
{
	const struct access_addresses *table =
		atomic_load_explicit(&a->addresses, memory_order_acquire);

	return table != NULL && access_addresses_match(table, group, addr, port);
}

int64_t access_address_group(const struct access *a, const struct net_addr *addr, uint16_t port)
{
	const struct access_addresses *table =
		atomic_load_explicit(&a->addresses, memory_order_acquire);

	return table != NULL ? access_addresses_group(table, addr, port) : -1;
}

unsigned access_address_examples(const struct access *a, struct net_endpoint *out, unsigned max)
{
	const struct access_addresses *table =
		atomic_load_explicit(&a->addresses, memory_order_acquire);

	return table != NULL ? access_addresses_examples(table, out, max) : 0;
}

bool access_domain_is_local(const struct access *a, struct str domain)
{
	const struct access_domains *table =
		atomic_load_explicit(&a->domains, memory_order_acquire);

	return table != NULL && access_domains_hold(table, domain);
}
