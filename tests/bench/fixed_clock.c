/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes the place of lib/base's clock in the program guard: what depends on time does so alike in
 * each run. */
#include "base/clock.h"

uint64_t clock_now_ns(void)
{
	return 1000 * CLOCK_NS_PER_S;
}
