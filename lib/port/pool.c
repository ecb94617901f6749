/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_errno.h>
#include <rte_mbuf.h>

#include "port/port_internal.h"

#define POOL_CACHE_MAX 256 /* mbufs an lcore keeps; below RTE_MEMPOOL_CACHE_MAX_SIZE */

struct rte_mempool *port_pool_create(
	const char *name, unsigned count, unsigned room, bool preemptible_users, int socket)
{
	/* A cache holds up to one and a half times its size: small pools must not be swallowed by
	 * it. */
	unsigned cache = RTE_MIN(count / 16, (unsigned)POOL_CACHE_MAX);

	if (count == 0 || room == 0 || room > PORT_MBUF_BIG_ROOM) {
		rte_errno = EINVAL;
		return NULL;
	}
	/*
	 * A thread that is preempted in the middle of an enqueue stalls all others of a
	 * multi-producer ring; the RTS variant only lets them wait for their own turn.
	 */
	return rte_pktmbuf_pool_create_by_ops(name, count, cache & ~1u, 0,
		(uint16_t)(room + RTE_PKTMBUF_HEADROOM), socket,
		preemptible_users ? "ring_mt_rts" : "ring_mp_mc");
}
