/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sys/random.h>

#include "port/port_internal.h"

/*
 * A fixed RSS key lets anybody compute which queue a packet goes to and flood one worker. A random
 * one can be poor by bad luck (long runs of equal bits spread badly): it is drawn again until
 * between a third and two thirds of its bits are set.
 */
int port_rss_key(uint8_t *key, unsigned size)
{
	for (;;) {
		unsigned ones = 0, at = 0;

		while (at < size) {
			ssize_t n = getrandom(key + at, size - at, 0);

			if (n < 0 && errno != EINTR)
				return -errno;
			if (n > 0)
				at += (unsigned)n;
		}
		for (unsigned i = 0; i < size; i++)
			ones += (unsigned)__builtin_popcount(key[i]);
		if (size < 8 || (ones > size * 8 / 3 && ones < size * 16 / 3))
			return 0;
	}
}

uint16_t port_queue_count(const struct port_profile *profile, unsigned wanted, unsigned rx_max,
	unsigned tx_max, bool rss)
{
	unsigned n = RTE_MIN(wanted, (unsigned)PORT_QUEUES_MAX);

	n = RTE_MIN(n, rx_max);
	n = RTE_MIN(n, tx_max);
	if (profile->queues != 0)
		n = RTE_MIN(n, profile->queues);
	/* Queues that nothing fills would only be polled: one, and the workers spread by software.
	 */
	if (!rss && !profile->spreads_itself)
		n = RTE_MIN(n, 1u);
	return (uint16_t)RTE_MAX(n, 1u);
}
