/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "kernel/kernel_internal.h"

int kernel_mirror_init(struct kernel_mirror *m)
{
	struct hash_key key;
	int rc;

	*m = (struct kernel_mirror){.addresses = 0};
	rc = hash_key_random(&key);
	if (rc == 0)
		rc = kernel_table_init(&m->neighbours, KERNEL_HOPS_MAX);
	if (rc == 0)
		rc = kernel_table_init(&m->pmtus, KERNEL_PMTU_MAX);
	if (rc != 0)
		return rc;
	m->seed = key.k[0];
	/* Sized for the bounds; pages that nothing is written to cost nothing. */
	m->neighbour = calloc(KERNEL_HOPS_MAX, sizeof(*m->neighbour));
	m->pmtu = calloc(KERNEL_PMTU_MAX, sizeof(*m->pmtu));
	m->address = calloc(KERNEL_ADDRESSES_MAX, sizeof(*m->address));
	m->route = calloc(KERNEL_ROUTES_MAX, sizeof(*m->route));
	m->hop = calloc(KERNEL_ROUTE_HOPS_MAX, sizeof(*m->hop));
	if (m->neighbour == NULL || m->pmtu == NULL || m->address == NULL || m->route == NULL ||
		m->hop == NULL)
		return -ENOMEM;
	return 0;
}

void kernel_mirror_fini(struct kernel_mirror *m)
{
	kernel_table_fini(&m->neighbours);
	kernel_table_fini(&m->pmtus);
	free(m->neighbour);
	free(m->pmtu);
	free(m->address);
	free(m->route);
	free(m->hop);
}
