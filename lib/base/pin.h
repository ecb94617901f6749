/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/hash.h"

/*
 * pin: what a transaction is bound to, as a small number, for choices that another message would
 * find made otherwise (RFC 3261 16.11: a stateless proxy sends the retransmission, the CANCEL and
 * the ACK of a failure where the INVITE went). A bounded table that every thread reads; one
 * compare-and-swap writes. What the number means is the caller's, who mixes into the transaction's
 * key what else the choice is of.
 *
 * Strangers make pins, so who puts them says for whom (pin_put_for()). Half of the room is there
 * for everybody, and when that is used each payer still has a part of his own. So whoever makes as
 * many pins as he can leaves half of the room to others, but for his part.
 *
 * Costs: a look 30 ns, a pin in fresh memory 160 ns; 32 bytes for each of the pins that there is
 * room for, and half a megabyte for who pays, which take memory when they are first used.
 */

/* A pin's number; 0 is none. */
#define PIN_ID_BITS 13
#define PIN_IDS (1u << PIN_ID_BITS)

/* RFC 3261 17: 64 * T1, how long a request is retransmitted. */
#define PIN_RETRANSMIT_NS (32 * CLOCK_NS_PER_S)
/* Timer C (over 3 minutes, RFC 3261 16.6 step 11), and 64 * T1 in which the final answer's ACK may
 * still come. */
#define PIN_INVITE_NS (180 * CLOCK_NS_PER_S + PIN_RETRANSMIT_NS)
/* What clocks of threads may lag behind each other, and a pin's unit of time. */
#define PIN_SLACK_NS (3 * CLOCK_NS_PER_S)

struct pin_table;

/* Room for so many pins, 1 Mi where 0. NULL and errno. */
struct pin_table *pin_create(uint32_t pins);
void pin_destroy(struct pin_table *t);
/* The id that a transaction is bound to, or 0. Any thread. */
uint16_t pin_find(const struct pin_table *t, struct hash128 key, uint64_t now_ns);
/*
 * Binds a transaction to `id` until now + life, unless it is bound already. Returns the id that it
 * is bound to, or 0 where there is no room. Any thread; lock-free.
 */
uint16_t pin_put(
	struct pin_table *t, struct hash128 key, uint16_t id, uint64_t now_ns, uint64_t life_ns);
/*
 * For whom a pin is put: a user, a source, a zone. `whose` is keyed, so that nobody chooses with
 * whom he shares: those whose hash begins with the same PIN_PAYER_BITS bits count as one. While
 * everybody has half of the room that pin_create() was asked for, a payer has one of `part` parts
 * of it at most, by a few more where threads put pins at the same time. Of both, a half can be had
 * at once, and the other half within the life of a pin.
 */
#define PIN_PAYER_BITS 16
struct pin_payer {
	uint64_t whose;
	uint32_t part;
};
/* The same, where none of the payers has had his part; else 0, and `*over`, which is false
 * otherwise. Any thread; lock-free. */
uint16_t pin_put_for(struct pin_table *t, struct hash128 key, uint16_t id, uint64_t now_ns,
	uint64_t life_ns, const struct pin_payer *payer, unsigned payers, bool *over);
/* Forgets a binding to `id`. Any thread. */
void pin_drop(struct pin_table *t, struct hash128 key, uint16_t id);
/* Control thread: clears what has expired and counts the rest, a part of the table in proportion to
 * the time since the last call, which is no longer than some minutes: once a second. */
void pin_sweep(struct pin_table *t, uint64_t now_ns);
/* Pins that stand now: a walk over the table. Control thread. */
uint64_t pin_count(const struct pin_table *t, uint64_t now_ns);
/* Those of an id, as the sweep has found them that ended last: a minute ago at most. Any thread. */
uint32_t pin_count_of(const struct pin_table *t, uint16_t id);
size_t pin_bytes(const struct pin_table *t);
