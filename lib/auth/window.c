/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nonce-counts that have come (RFC 7616 3.4: the server detects replays by them).
 *
 * A thread numbers the nonces that it makes one by one, so a nonce has a place of its own in that
 * thread's row: its number modulo the length of the row. A place is one word:
 *
 *	taken (1)  tag (21): the number above the place's   top (16): the latest count
 *	seen (24): bit n, that top - n - 1 has come
 *
 * It is written by compare-and-swap, by whichever thread gets a request with right credentials: of
 * two with one count one wins. A nonce that is newer than the one that holds the place takes it;
 *one that is older finds it lost. So what was forgotten is never taken for new, whatever comes in
 *which order. Numbers have as many bits as place and tag, which a thread that makes a million
 *nonces a second takes three days to go round: longer than any nonce is good for.
 *
 * Beside it, words of what was accepted last: place by digest, and half a minute. Who sends the
 *same octets again within that time (RFC 3261 17.1.2.2: what comes over UDP is sent again until it
 *is answered) is heard again. A word that another one has taken costs that sender a challenge.
 */
#include <sys/mman.h>

#include "auth/internal.h"

#define TAG_BITS (AUTH_SERIAL_BITS - AUTH_ROW_BITS)
#define TOP_BITS 16
#define TAG_SHIFT (TOP_BITS + AUTH_WINDOW_BITS)
#define TAG_MASK ((1ull << TAG_BITS) - 1)
#define TOP_MASK ((1ull << TOP_BITS) - 1)
#define SEEN_MASK ((1ull << AUTH_WINDOW_BITS) - 1)
#define TAKEN (1ull << (TAG_SHIFT + TAG_BITS))
static_assert(TAG_SHIFT + TAG_BITS + 1 <= 64, "a place is one word");

#define ECHO_BITS 20
#define ECHO_TIME_BITS 10
#define ECHO_UNIT_SHIFT 30 /* of 2^30 ns, about 1.07 s */
#define ECHO_LIFE 30       /* units: 64*T1 */

int auth_window_init(struct auth_window *w)
{
	w->bytes = (uint64_t)AUTH_THREADS * sizeof(w->place[0]) << AUTH_ROW_BITS;
	w->echo_bytes = sizeof(w->echo[0]) << ECHO_BITS;
	/* Untouched pages cost nothing. */
	w->place = mmap(NULL, w->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w->echo = mmap(
		NULL, w->echo_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->place != MAP_FAILED && w->echo != MAP_FAILED)
		return 0;
	auth_window_fini(w);
	return -ENOMEM;
}

void auth_window_fini(struct auth_window *w)
{
	if (w->place != NULL && w->place != MAP_FAILED)
		munmap(w->place, w->bytes);
	if (w->echo != NULL && w->echo != MAP_FAILED)
		munmap(w->echo, w->echo_bytes);
	w->place = NULL;
	w->echo = NULL;
}

/* What a place holds once `count` has come, or why it does not. */
static enum auth_window_verdict step(uint64_t word, uint64_t tag, uint32_t count, uint64_t *out)
{
	uint64_t held = word >> TAG_SHIFT & TAG_MASK, top = word >> AUTH_WINDOW_BITS & TOP_MASK,
		 seen = word & SEEN_MASK, ahead = (held - tag) & TAG_MASK, behind;

	if (word == 0 || ahead > TAG_MASK / 2) {
		*out = TAKEN | tag << TAG_SHIFT | (uint64_t)count << AUTH_WINDOW_BITS;
		return AUTH_WINDOW_NEW;
	}
	if (ahead != 0)
		return AUTH_WINDOW_LOST;
	if (count > top) {
		behind = count - top;
		seen = behind > AUTH_WINDOW_BITS ? 0 : (seen << behind | 1ull << (behind - 1));
		*out = TAKEN | tag << TAG_SHIFT | (uint64_t)count << AUTH_WINDOW_BITS |
		       (seen & SEEN_MASK);
		return AUTH_WINDOW_NEW;
	}
	behind = top - count;
	if (behind == 0 || behind > AUTH_WINDOW_BITS || (seen >> (behind - 1) & 1) != 0)
		return AUTH_WINDOW_SEEN;
	*out = word | 1ull << (behind - 1);
	return AUTH_WINDOW_NEW;
}

enum auth_window_verdict auth_window_take(
	struct auth_window *w, unsigned thread, uint64_t serial, uint32_t count)
{
	_Atomic uint64_t *place;
	uint64_t word, next;

	if (thread >= AUTH_THREADS || count > TOP_MASK)
		return AUTH_WINDOW_LOST;
	place = &w->place[(uint64_t)thread << AUTH_ROW_BITS |
			  (serial & ((1ull << AUTH_ROW_BITS) - 1))];
	word = atomic_load_explicit(place, memory_order_relaxed);
	for (;;) {
		enum auth_window_verdict verdict =
			step(word, serial >> AUTH_ROW_BITS & TAG_MASK, count, &next);

		if (verdict != AUTH_WINDOW_NEW ||
			atomic_compare_exchange_weak_explicit(
				place, &word, next, memory_order_relaxed, memory_order_relaxed))
			return verdict;
	}
}

static inline uint64_t units(uint64_t now_ns)
{
	return now_ns >> ECHO_UNIT_SHIFT & ((1u << ECHO_TIME_BITS) - 1);
}

static inline _Atomic uint64_t *echo_of(struct auth_window *w, struct hash128 digest)
{
	return &w->echo[digest.lo & ((1u << ECHO_BITS) - 1)];
}

void auth_window_accepted(struct auth_window *w, struct hash128 digest, uint64_t now_ns)
{
	atomic_store_explicit(echo_of(w, digest),
		digest.hi >> ECHO_TIME_BITS << ECHO_TIME_BITS | units(now_ns),
		memory_order_relaxed);
}

bool auth_window_again(struct auth_window *w, struct hash128 digest, uint64_t now_ns)
{
	uint64_t word = atomic_load_explicit(echo_of(w, digest), memory_order_relaxed);

	return word >> ECHO_TIME_BITS == digest.hi >> ECHO_TIME_BITS && word != 0 &&
	       ((units(now_ns) - word) & ((1u << ECHO_TIME_BITS) - 1)) <= ECHO_LIFE;
}
