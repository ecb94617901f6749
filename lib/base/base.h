/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * base: what every room stands on and what knows nothing of SIP, packets or DPDK.
 *
 *   load.h   words from any address
 *   str.h    text as a span that is never NUL-terminated by assumption; checked numbers
 *   hash.h   SipHash (keyed, 64 and 128 bits) and the lower-case base32 of our tokens
 *   mac.h    AES-CMAC (keyed, 128 bits), which those tokens are made of
 *   clock.h  monotonic nanoseconds
 *   log.h    messages of the control thread (workers count, they never log)
 *   rcu.h    immutable snapshots: one store publishes, quiescent readers free the old one
 *   digest_index.h  numbers by a keyed digest: one writer, readers without a lock
 *   arena.h  texts in places of one size: one writer, readers without a lock
 *   pin.h    what a transaction is bound to: any thread writes, any thread reads, without a lock
 *   histogram.h  values to 2 significant digits in a fixed array
 *
 * Nothing here needs the EAL.
 */
#include "base/load.h"
#include "base/str.h"
#include "base/hash.h"
#include "base/mac.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"
#include "base/digest_index.h"
#include "base/arena.h"
#include "base/pin.h"
#include "base/histogram.h"
