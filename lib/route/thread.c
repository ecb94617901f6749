/* SPDX-License-Identifier: BSD-3-Clause */
/* What a running thread brings along. */
#include <errno.h>
#include <sys/random.h>

#include "route/pattern.h"
#include "route/route.h"

int route_thread_init(struct route_thread *thread, uint32_t index)
{
	uint64_t seed = 0;

	memset(thread, 0, sizeof(*thread));
	thread->index = index;
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return -errno;
	/* xorshift stays at 0 for ever. */
	thread->random = seed != 0 ? seed : 1;
	thread->now_ns = clock_now_ns();
	thread->regex = regex_thread_create();
	return thread->regex != NULL ? 0 : -ENOMEM;
}

void route_thread_fini(struct route_thread *thread)
{
	regex_thread_destroy(thread->regex);
	thread->regex = NULL;
}

uint64_t route_random(struct route_thread *thread)
{
	uint64_t x = thread->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	thread->random = x;
	return x * 0x2545f4914f6cdd1dULL;
}
