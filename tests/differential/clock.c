/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes the place of lib/base's clock and of the C library's randomness: what two programs do does
 * not depend on when they do it. */
#include <sys/random.h>

#include "differential.h"

static uint64_t now = 1000 * CLOCK_NS_PER_S;

uint64_t clock_now_ns(void)
{
	return now;
}

void diff_clock_advance(uint64_t ns)
{
	now += ns;
}

ssize_t getrandom(void *buffer, size_t length, unsigned int flags)
{
	static unsigned char next = 1;

	for (size_t i = 0; i < length; i++)
		((unsigned char *)buffer)[i] = (unsigned char)(next++ * 167);
	return (ssize_t)length;
}
