/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the files of the program `differential` share; datagram.py has the same addresses. */
#include "base/clock.h"
#include "../unit/pipeline/rig.h"

#define DIFF_MTU 1500

/* Lets time pass; else it stands still. */
void diff_clock_advance(uint64_t ns);

/*
 * Next hops as lib/kernel builds them: both networks of the rig, fd00:10::/64 and fd00:20::/64 at
 * the same ports, and 192.0.0.0/8 behind a gateway. Addresses up to .99 (::63) are neighbours whose
 * MAC is known, the others' is not, and the rest of the world has no route. The caller's, free()
 * it; NULL without memory.
 */
struct kernel_hops *diff_hops(void);

/*
 * Listens at seven endpoints: 5060 of 10.10.0.1, 10.20.0.1, fd00:10::1 and fd00:20::1, 5070 of
 * 10.10.0.1, 10.20.0.1 and fd00:20::1; example.com is our name. 198.51.100.0/24 has a route when it
 * is asked for, and none when a message is to leave. 0 or -errno.
 */
int diff_listen(struct rig *rig);
