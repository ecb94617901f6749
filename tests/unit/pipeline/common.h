/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the tests of the pipeline ask of a rig: where frames ended, that each is accounted for, that
 * every buffer came back. A test begins with begin() and ends with end(), which are its setup and
 * teardown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

/* The rig at hand. A test that makes one of its own puts the other one back. */
extern struct rig *rig;

int begin(void **state);
int end(void **state);

/* A datagram for us: from the caller 10.10.0.2:5080 at port 0, or from 10.20.0.11:5060 at port 1.
 */
void send_to(unsigned port, struct str payload);
/* Forgets all that left. */
void clear_sent(void);

/* How far a counter went since begin(). */
uint64_t delta(unsigned id);
/* Conservation: what came in has ended, or is held. */
void assert_balanced(void);
/* ... and nothing is held. */
void assert_all_ended(void);
/* When nothing moves any more, so many frames have ended in exactly this counter and none in
 * another. */
void assert_ends(unsigned id, uint64_t frames);
/* So many messages went to a slow lcore, and none is on its way. */
void assert_crossed(uint64_t messages);
/* Until nothing is held: what waits for a name waits for as long as that takes. */
void await_held(void);
/* Lets a millisecond pass, for who waits for something: of the machine's time, unless the test has
 * a clock of its own. */
extern void (*rest)(void);
