/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * A buffer of a mempool has neighbours, so AddressSanitizer sees nothing wrong in a read past its
 * data. In builds with that sanitizer what surrounds a received message is poisoned while the
 * message is worked on; elsewhere this is nothing.
 */
#include <rte_mbuf.h>

#if defined(__SANITIZE_ADDRESS__)
#define GUARD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GUARD 1
#endif
#endif

#ifdef GUARD
#include <sanitizer/asan_interface.h>

static inline void guard_mbuf(struct rte_mbuf *m)
{
	char *data = rte_pktmbuf_mtod(m, char *), *base = m->buf_addr;

	ASAN_POISON_MEMORY_REGION(base, (size_t)(data - base));
	ASAN_POISON_MEMORY_REGION(
		data + m->data_len, (size_t)(base + m->buf_len - data) - m->data_len);
}

static inline void unguard_mbuf(struct rte_mbuf *m)
{
	if (m != NULL)
		ASAN_UNPOISON_MEMORY_REGION(m->buf_addr, m->buf_len);
}
#else
static inline void guard_mbuf(struct rte_mbuf *m)
{
}

static inline void unguard_mbuf(struct rte_mbuf *m)
{
}
#endif
