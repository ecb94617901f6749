/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Takes the place of lib/base's clock and of the C library's randomness in the program guard: what
 * depends on time and on keys does so alike in each run.
 */
#include <sys/random.h>

#include "base/clock.h"

uint64_t clock_now_ns(void)
{
	return 1000 * CLOCK_NS_PER_S;
}

ssize_t getrandom(void *buffer, size_t length, unsigned int flags)
{
	static unsigned char next = 1;

	for (size_t i = 0; i < length; i++)
		((unsigned char *)buffer)[i] = (unsigned char)(next++ * 167);
	return (ssize_t)length;
}
