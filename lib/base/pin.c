/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pins: what a transaction is bound to, readable by every worker.
 *
 * A bucket is two cache lines: a head and 15 slots, each one 64-bit word (tag of the key, expiry,
 * id). A pin is written by one compare-and-swap of the head, which moves from what the writer saw
 * *before* it looked for the key to the new word; what stood in the head was copied to a free slot
 * first. So of two workers that bind one transaction at the same time one fails, looks again, and
 * finds what the other wrote: there is never a second binding, whatever expires meanwhile. Readers
 * look at the head first, then at the slots: a word leaves the head only when its copy stands.
 *
 * 60 bits of the key decide: 17 or more choose the bucket, 41 are the tag.
 *
 * What a payer owes is one word: the time at which it is paid off, at a rate of half of his part in
 * the life of a pin. Who owes as much as takes a life to pay off gets no further pin. So half of
 * his part may come at once and the other half in the life of a pin, which is his part at most; and
 * nothing has to be done when pins end. All pins are likewise paid for by everybody together, whose
 * part is a half: who has had his part goes on while they are not at theirs.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/pin.h"

#define PIN_DEFAULT (1u << 20)
#define PIN_MIN 64
#define PIN_MAX (1u << 28)
#define BUCKET_WORDS 16 /* the head and 15 slots */
#define SLACK_FACTOR 3  /* words for each pin, so that a bucket is hardly ever full */

#define UNIT_SHIFT 30 /* time in units of 2^30 ns, about 1.07 s */
#define EXPIRY_BITS 10
#define EXPIRY_MASK ((1u << EXPIRY_BITS) - 1)
#define TAG_SHIFT (EXPIRY_BITS + PIN_ID_BITS)
#define LIFE_MAX_UNITS 400 /* expiries are compared in a circle of 1,024 units */

#define SWEEP_NS (32 * CLOCK_NS_PER_S) /* the whole table is swept in this time */
#define PAYERS (1u << PIN_PAYER_BITS)
#define COMMON_PART 2 /* of the room: for everybody, whoever pays */
#define PART_MIN 4    /* pins of a part, however small the table */

#define RETRIES_MAX 1024 /* races lost in a row on one bucket: then it counts as full */

struct bucket {
	_Alignas(128) _Atomic uint64_t word[BUCKET_WORDS];
};

/* Times, in ns, at which what is owed is paid off. */
struct owed {
	_Alignas(64) _Atomic uint64_t common;
	_Alignas(64) _Atomic uint64_t by[PAYERS];
};

struct pin_table {
	struct bucket *bucket;
	uint64_t buckets; /* a power of two */
	uint32_t pins;    /* that were asked for */
	size_t bytes;     /* of both mappings */
	struct owed *owed;
	uint64_t swept_ns;
	uint64_t sweep_at;
	uint32_t counting[PIN_IDS];        /* of the sweep at hand, */
	_Atomic uint32_t counted[PIN_IDS]; /* and of the one before */
};

static void *map(size_t bytes)
{
	/* Untouched pages cost nothing. */
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED ? p : NULL;
}

struct pin_table *pin_create(uint32_t pins)
{
	struct pin_table *t = calloc(1, sizeof(*t));
	uint64_t words;

	if (t == NULL)
		return NULL;
	if (pins == 0)
		pins = PIN_DEFAULT;
	if (pins < PIN_MIN)
		pins = PIN_MIN;
	if (pins > PIN_MAX)
		pins = PIN_MAX;
	words = (uint64_t)pins * SLACK_FACTOR;
	t->buckets = 1;
	while (t->buckets * BUCKET_WORDS < words)
		t->buckets *= 2;
	t->pins = pins;
	t->bytes = t->buckets * sizeof(struct bucket) + sizeof(struct owed);
	t->bucket = map(t->buckets * sizeof(struct bucket));
	t->owed = map(sizeof(struct owed));
	if (t->bucket == NULL || t->owed == NULL) {
		pin_destroy(t);
		errno = ENOMEM;
		return NULL;
	}
	return t;
}

void pin_destroy(struct pin_table *t)
{
	if (t == NULL)
		return;
	if (t->bucket != NULL)
		munmap(t->bucket, t->buckets * sizeof(struct bucket));
	if (t->owed != NULL)
		munmap(t->owed, sizeof(struct owed));
	free(t);
}

size_t pin_bytes(const struct pin_table *t)
{
	return t->bytes;
}

static inline uint32_t units(uint64_t ns)
{
	return (uint32_t)(ns >> UNIT_SHIFT) & EXPIRY_MASK;
}

static inline uint16_t word_id(uint64_t word)
{
	return (uint16_t)(word >> EXPIRY_BITS & (PIN_IDS - 1));
}

/* Free, or its time is over. */
static inline bool is_over(uint64_t word, uint32_t now)
{
	/* How far the expiry lies ahead, in the circle: more than half of it is the past. */
	return word == 0 || (((uint32_t)word - now) & EXPIRY_MASK) > EXPIRY_MASK / 2;
}

static inline uint64_t tag_of(struct hash128 key)
{
	return key.hi >> TAG_SHIFT;
}

static inline struct bucket *bucket_of(const struct pin_table *t, struct hash128 key)
{
	return &t->bucket[key.lo & (t->buckets - 1)];
}

/* The word of a key among the slots and the head as read before, or 0. */
static inline uint64_t find(const struct bucket *b, uint64_t head, uint64_t tag, uint32_t now)
{
	if (head >> TAG_SHIFT == tag && !is_over(head, now))
		return head;
	for (unsigned i = 1; i < BUCKET_WORDS; i++) {
		uint64_t word = atomic_load_explicit(&b->word[i], memory_order_acquire);

		if (word >> TAG_SHIFT == tag && !is_over(word, now))
			return word;
	}
	return 0;
}

uint16_t pin_find(const struct pin_table *t, struct hash128 key, uint64_t now_ns)
{
	const struct bucket *b = bucket_of(t, key);
	uint64_t head = atomic_load_explicit(&b->word[0], memory_order_acquire);

	return word_id(find(b, head, tag_of(key), units(now_ns)));
}

/* Makes sure that a word stands in a slot. False where there is none free. */
static bool copy_to_slot(struct bucket *b, uint64_t copy, uint32_t now)
{
	for (unsigned i = 1; i < BUCKET_WORDS; i++) {
		uint64_t word = atomic_load_explicit(&b->word[i], memory_order_relaxed);

		if (is_over(word, now) &&
			atomic_compare_exchange_strong_explicit(&b->word[i], &word, copy,
				memory_order_release, memory_order_relaxed))
			return true;
		if (word == copy)
			return true;
	}
	return false;
}

uint16_t pin_put(
	struct pin_table *t, struct hash128 key, uint16_t id, uint64_t now_ns, uint64_t life_ns)
{
	struct bucket *b = bucket_of(t, key);
	uint64_t tag = tag_of(key), word, life = (life_ns >> UNIT_SHIFT) + 1;
	uint32_t now = units(now_ns);

	if (life > LIFE_MAX_UNITS)
		life = LIFE_MAX_UNITS;
	word = tag << TAG_SHIFT | (uint64_t)id << EXPIRY_BITS | ((now + life) & EXPIRY_MASK);
	for (unsigned i = 0; i < RETRIES_MAX; i++) {
		uint64_t head = atomic_load_explicit(&b->word[0], memory_order_acquire);
		uint64_t found = find(b, head, tag, now);

		if (found != 0)
			return word_id(found);
		if (!is_over(head, now) && !copy_to_slot(b, head, now))
			return 0;
		if (atomic_compare_exchange_strong_explicit(
			    &b->word[0], &head, word, memory_order_acq_rel, memory_order_relaxed))
			return id;
	}
	return 0;
}

/* ---- who pays ---- */

/* What a pin adds to what is owed, in ns. */
static uint64_t price(const struct pin_table *t, uint32_t part, uint64_t life_ns)
{
	uint64_t pins = t->pins / part;

	return life_ns * 2 / (pins > PART_MIN ? pins : PART_MIN);
}

static bool may_owe(
	const _Atomic uint64_t *owed, uint64_t price_ns, uint64_t now_ns, uint64_t life_ns)
{
	return atomic_load_explicit(owed, memory_order_relaxed) + price_ns <= now_ns + life_ns;
}

/* Who owes as much as there is goes on owing that: nobody pays for others' time to come. */
static void owe(_Atomic uint64_t *owed, uint64_t price_ns, uint64_t now_ns, uint64_t life_ns)
{
	uint64_t was = atomic_load_explicit(owed, memory_order_relaxed), is;

	do {
		is = (was > now_ns ? was : now_ns) + price_ns;
		if (is > now_ns + life_ns)
			return;
	} while (!atomic_compare_exchange_weak_explicit(
		owed, &was, is, memory_order_relaxed, memory_order_relaxed));
}

static _Atomic uint64_t *owed_by(struct pin_table *t, const struct pin_payer *payer)
{
	return &t->owed->by[payer->whose >> (64 - PIN_PAYER_BITS)];
}

static bool is_over_part(struct pin_table *t, const struct pin_payer *payer, unsigned payers,
	uint64_t now_ns, uint64_t life_ns)
{
	if (may_owe(&t->owed->common, price(t, COMMON_PART, life_ns), now_ns, life_ns))
		return false;
	for (unsigned i = 0; i < payers; i++) {
		if (!may_owe(owed_by(t, &payer[i]), price(t, payer[i].part, life_ns), now_ns,
			    life_ns))
			return true;
	}
	return false;
}

uint16_t pin_put_for(struct pin_table *t, struct hash128 key, uint16_t id, uint64_t now_ns,
	uint64_t life_ns, const struct pin_payer *payer, unsigned payers, bool *over)
{
	uint16_t bound;

	*over = is_over_part(t, payer, payers, now_ns, life_ns);
	if (*over)
		return pin_find(t, key, now_ns);
	bound = pin_put(t, key, id, now_ns, life_ns);
	/* One that another thread has put likewise a moment before is paid for twice. */
	if (bound != id)
		return bound;
	owe(&t->owed->common, price(t, COMMON_PART, life_ns), now_ns, life_ns);
	for (unsigned i = 0; i < payers; i++)
		owe(owed_by(t, &payer[i]), price(t, payer[i].part, life_ns), now_ns, life_ns);
	return bound;
}

/* ---- when they end ---- */

void pin_drop(struct pin_table *t, struct hash128 key, uint16_t id)
{
	struct bucket *b = bucket_of(t, key);
	uint64_t tag = tag_of(key);

	for (unsigned i = 0; i < BUCKET_WORDS; i++) {
		uint64_t word = atomic_load_explicit(&b->word[i], memory_order_acquire);

		if (word >> TAG_SHIFT == tag && word_id(word) == id)
			atomic_compare_exchange_strong_explicit(
				&b->word[i], &word, 0, memory_order_acq_rel, memory_order_relaxed);
	}
}

static void sweep_bucket(struct pin_table *t, struct bucket *b, uint32_t now)
{
	uint64_t head = 0;

	for (unsigned i = 0; i < BUCKET_WORDS; i++) {
		uint64_t word = atomic_load_explicit(&b->word[i], memory_order_relaxed);

		if (word == 0)
			continue;
		if (is_over(word, now))
			atomic_compare_exchange_strong_explicit(
				&b->word[i], &word, 0, memory_order_relaxed, memory_order_relaxed);
		else if (word != head) /* whose copy stands in a slot before it leaves */
			t->counting[word_id(word)]++;
		if (i == 0)
			head = word;
	}
}

static void note_counted(struct pin_table *t)
{
	for (unsigned id = 0; id < PIN_IDS; id++) {
		if (atomic_load_explicit(&t->counted[id], memory_order_relaxed) != t->counting[id])
			atomic_store_explicit(
				&t->counted[id], t->counting[id], memory_order_relaxed);
		t->counting[id] = 0;
	}
}

uint32_t pin_count_of(const struct pin_table *t, uint16_t id)
{
	return id < PIN_IDS ? atomic_load_explicit(&t->counted[id], memory_order_relaxed) : 0;
}

void pin_sweep(struct pin_table *t, uint64_t now_ns)
{
	uint64_t past = now_ns - t->swept_ns, n;

	/* The first call only notes the time: a new table is empty. */
	if (t->swept_ns == 0 || now_ns <= t->swept_ns) {
		t->swept_ns = t->swept_ns == 0 ? now_ns : t->swept_ns;
		return;
	}
	n = past >= SWEEP_NS ? t->buckets
			     : (uint64_t)((double)t->buckets * (double)past / (double)SWEEP_NS) + 1;
	t->swept_ns = now_ns;
	for (uint64_t i = 0; i < n; i++) {
		sweep_bucket(t, &t->bucket[t->sweep_at], units(now_ns));
		t->sweep_at = (t->sweep_at + 1) & (t->buckets - 1);
		if (t->sweep_at == 0)
			note_counted(t);
	}
}

uint64_t pin_count(const struct pin_table *t, uint64_t now_ns)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < t->buckets; i++) {
		uint64_t head = atomic_load_explicit(&t->bucket[i].word[0], memory_order_relaxed);
		bool head_copied = is_over(head, units(now_ns));

		for (unsigned j = 1; j < BUCKET_WORDS; j++) {
			uint64_t word =
				atomic_load_explicit(&t->bucket[i].word[j], memory_order_relaxed);

			n += !is_over(word, units(now_ns));
			head_copied = head_copied || word == head;
		}
		n += !head_copied;
	}
	return n;
}
