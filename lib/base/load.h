/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * Words from any address, in the order of memory. No byte behind what is asked for is read. Any
 * thread.
 */
#include <stdint.h>
#include <string.h>

static inline uint32_t load4(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load8(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Less than eight bytes, the first one lowest (on the little-endian CPUs that we are built for). */
static inline uint64_t load_short(const void *p, uint32_t len)
{
	const uint8_t *b = p;

	/* Two loads that overlap; the shift drops what both have. */
	if (len >= 4)
		return (uint64_t)load4(b + len - 4) >> (8 * (8 - len)) << 32 | load4(b);
	if (len == 0)
		return 0;
	/* One, two or three: the middle and the last may be the first again. */
	return (uint64_t)b[0] | (uint64_t)b[len >> 1] << (8 * (len >> 1)) |
	       (uint64_t)b[len - 1] << (8 * (len - 1));
}
