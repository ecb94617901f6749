/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdint.h>

#define CLOCK_NS_PER_S 1000000000ULL
#define CLOCK_NS_PER_MS 1000000ULL
#define CLOCK_NS_PER_US 1000ULL

/*
 * Monotonic nanoseconds (CLOCK_MONOTONIC): never steps back, not related to the time of day. A room
 * takes the time as a parameter wherever it can, so that tests drive it with numbers of their own.
 */
uint64_t clock_now_ns(void);
