/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A digest may stand in either of two buckets, and is put into the emptier one. Filled to 5/8, as
 * the table is sized, some 3 in 100,000 numbers find both full once it has been in use for long;
 * they spill into a third bucket of a small area behind, which is looked at only while anything
 * stands in it: a bit each says so. 12.9 bytes for each number that there is room for.
 *
 * A slot is one word: 32 bits of the digest, and the number plus one, so that an empty one is 0. It
 * is written by one store; whoever reads a word either sees all of it or what stood there before.
 */
#include <errno.h>
#include <immintrin.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/digest_index.h"

#define SLOTS 8 /* of a bucket */
/* Buckets are full by LOAD_NUMBER / LOAD_OF when all entries stand. */
#define LOAD_NUMBER 5
#define LOAD_OF 8
#define BUCKETS_MIN 16
#define SPILL_SHARE 2048 /* one bucket to spill into for so many entries */
#define SPILL_MIN 8
#define NOT_THE_FIRST 0x9e3779b97f4a7c15ULL /* odd: mixes a digest for its second bucket */
#define NOT_THE_SECOND 0xc2b2ae3d27d4eb4fULL

struct bucket {
	_Alignas(64) _Atomic uint64_t slot[SLOTS];
};

struct digest_index {
	struct bucket *bucket;
	struct bucket *spill;      /* behind the last bucket */
	_Atomic uint64_t *spilled; /* behind those: a bit for each that is not empty */
	uint32_t buckets, spills;
	uint32_t entries;
	size_t bytes;
	/* Written with each insert: what readers look at stands in another line. */
	_Alignas(64) _Atomic uint32_t count;
};

struct digest_index *digest_index_create(uint32_t entries)
{
	uint64_t buckets = (uint64_t)entries * LOAD_OF / (LOAD_NUMBER * SLOTS) + 1;
	uint64_t spills = entries / SPILL_SHARE + SPILL_MIN;
	struct digest_index *x = aligned_alloc(64, sizeof(*x));

	if (x == NULL)
		return NULL;
	memset(x, 0, sizeof(*x));
	if (buckets < BUCKETS_MIN)
		buckets = BUCKETS_MIN;
	x->buckets = (uint32_t)buckets;
	x->spills = (uint32_t)spills;
	x->entries = entries;
	x->bytes = (buckets + spills) * sizeof(struct bucket) + (spills / 64 + 1) * 8;
	x->bucket = mmap(NULL, x->bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (x->bucket == MAP_FAILED) {
		free(x);
		errno = ENOMEM;
		return NULL;
	}
	x->spill = x->bucket + buckets;
	x->spilled = (_Atomic uint64_t *)(x->spill + spills);
	/* A wish: where the kernel does not grant it, lookups miss the TLB too. */
	(void)madvise(x->bucket, x->bytes, MADV_HUGEPAGE);
	return x;
}

void digest_index_destroy(struct digest_index *x)
{
	if (x == NULL)
		return;
	munmap(x->bucket, x->bytes);
	free(x);
}

/* A number below `range`, evenly from 32 bits. */
static inline uint32_t below(uint64_t bits, uint32_t range)
{
	return (uint32_t)((bits >> 32) * range >> 32);
}

static inline struct bucket *first_of(const struct digest_index *x, uint64_t digest)
{
	return &x->bucket[below(digest, x->buckets)];
}

/* Another one than the first. All bits of the digest have a say, so that two digests of one mark
 * that share it are as rare as in the first. */
static inline struct bucket *second_of(const struct digest_index *x, uint64_t digest)
{
	uint32_t n = below((digest ^ digest >> 32) * NOT_THE_FIRST, x->buckets);

	if (n == below(digest, x->buckets))
		n = n == 0 ? 1 : n - 1;
	return &x->bucket[n];
}

static inline uint32_t spill_of(const struct digest_index *x, uint64_t digest)
{
	return below((digest ^ digest >> 32) * NOT_THE_SECOND, x->spills);
}

static inline bool has_spilled(const struct digest_index *x, uint32_t spill)
{
	return (atomic_load_explicit(&x->spilled[spill / 64], memory_order_acquire) >> spill % 64 &
		       1) != 0;
}

/* What a slot of this digest begins with. */
static inline uint64_t mark_of(uint64_t digest)
{
	return digest << 32;
}

/* Half a bucket's upper words, two slots at a time. The writer may store meanwhile: of each slot
 * half is looked at, and four bytes that are aligned are never torn. The compiler must not see
 * that. */
static inline __m128i upper_words(const _Atomic uint64_t slot[4])
{
	__m128i low, high;

	__asm__("movdqa %1, %0" : "=x"(low) : "m"(*(const __m128i *)slot));
	__asm__("movdqa %1, %0" : "=x"(high) : "m"(*(const __m128i *)(slot + 2)));
	return _mm_castps_si128(
		_mm_shuffle_ps(_mm_castsi128_ps(low), _mm_castsi128_ps(high), 0xdd));
}

/* Slots of two buckets that bear the mark, a bit each; an empty one may seem to. */
static inline unsigned marked(const struct bucket *first, const struct bucket *second, __m128i mark)
{
	__m128i f = _mm_packs_epi32(_mm_cmpeq_epi32(upper_words(first->slot), mark),
			_mm_cmpeq_epi32(upper_words(first->slot + 4), mark)),
		s = _mm_packs_epi32(_mm_cmpeq_epi32(upper_words(second->slot), mark),
			_mm_cmpeq_epi32(upper_words(second->slot + 4), mark));

	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(f, s));
}

/* Appends the numbers of marked slots. */
static inline unsigned collect(const struct bucket *first, const struct bucket *second,
	unsigned bits, uint64_t mark, uint32_t *found, unsigned n)
{
	for (; bits != 0 && n < DIGEST_INDEX_FOUND_MAX; bits &= bits - 1) {
		unsigned slot = (unsigned)__builtin_ctz(bits);
		uint64_t word = atomic_load_explicit(
			&(slot < SLOTS ? first : second)->slot[slot % SLOTS], memory_order_acquire);

		found[n] = (uint32_t)word - 1;
		/* It may have gone since, and the number plus one is all that may be left. */
		n += word - mark - 1 < UINT32_MAX;
	}
	return n;
}

unsigned digest_index_find(
	const struct digest_index *x, uint64_t digest, uint32_t found[DIGEST_INDEX_FOUND_MAX])
{
	const struct bucket *first = first_of(x, digest), *second = second_of(x, digest);
	__m128i upper = _mm_set1_epi32((int)(uint32_t)digest);
	uint64_t mark = mark_of(digest);
	unsigned n = collect(first, second, marked(first, second, upper), mark, found, 0);
	uint32_t spill = spill_of(x, digest);

	if (has_spilled(x, spill)) {
		first = &x->spill[spill];
		n = collect(first, first, marked(first, first, upper) & 0xff, mark, found, n);
	}
	return n;
}

bool digest_index_may_have(const struct digest_index *x, uint64_t digest)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];

	return digest_index_find(x, digest, found) != 0;
}

void digest_index_prefetch(const struct digest_index *x, uint64_t digest)
{
	__builtin_prefetch(first_of(x, digest));
	__builtin_prefetch(second_of(x, digest));
}

/* Empty slots, a bit each. Writer. */
static unsigned empty(const struct bucket *b)
{
	unsigned found = 0;

	for (unsigned i = 0; i < SLOTS; i++)
		found |= (unsigned)(atomic_load_explicit(&b->slot[i], memory_order_relaxed) == 0)
			 << i;
	return found;
}

static void put(struct bucket *b, unsigned slots, uint64_t word)
{
	atomic_store_explicit(&b->slot[__builtin_ctz(slots)], word, memory_order_release);
}

/* Writer: only it stores, so what it has loaded is what stands. */
static void counts(struct digest_index *x, int32_t by)
{
	atomic_store_explicit(&x->count,
		atomic_load_explicit(&x->count, memory_order_relaxed) + (uint32_t)by,
		memory_order_relaxed);
}

static void says_spilled(struct digest_index *x, uint32_t spill, bool is)
{
	_Atomic uint64_t *word = &x->spilled[spill / 64];
	uint64_t bit = 1ULL << spill % 64, old = atomic_load_explicit(word, memory_order_relaxed);

	atomic_store_explicit(word, is ? old | bit : old & ~bit, memory_order_release);
}

int digest_index_insert(struct digest_index *x, uint64_t digest, uint32_t number)
{
	uint64_t word = mark_of(digest) | (number + 1);
	struct bucket *first = first_of(x, digest), *second = second_of(x, digest);
	unsigned in_first = empty(first), in_second = empty(second);
	uint32_t found[DIGEST_INDEX_FOUND_MAX];

	if (atomic_load_explicit(&x->count, memory_order_relaxed) >= x->entries ||
		number == DIGEST_INDEX_NONE)
		return -ENOSPC;
	if ((in_first | in_second) != 0) {
		if (__builtin_popcount(in_first) >= __builtin_popcount(in_second))
			put(first, in_first, word);
		else
			put(second, in_second, word);
	} else {
		uint32_t spill = spill_of(x, digest);
		unsigned in_spill = empty(&x->spill[spill]);

		/* What no find can tell has no place either. */
		if (in_spill == 0 || digest_index_find(x, digest, found) == DIGEST_INDEX_FOUND_MAX)
			return -ENOSPC;
		put(&x->spill[spill], in_spill, word);
		says_spilled(x, spill, true);
	}
	counts(x, 1);
	return 0;
}

static bool take(struct bucket *b, uint64_t word)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (atomic_load_explicit(&b->slot[i], memory_order_relaxed) == word) {
			atomic_store_explicit(&b->slot[i], 0, memory_order_release);
			return true;
		}
	}
	return false;
}

bool digest_index_remove(struct digest_index *x, uint64_t digest, uint32_t number)
{
	uint64_t word = mark_of(digest) | (number + 1);

	if (number == DIGEST_INDEX_NONE)
		return false;
	if (!take(first_of(x, digest), word) && !take(second_of(x, digest), word)) {
		uint32_t spill = spill_of(x, digest);

		if (!take(&x->spill[spill], word))
			return false;
		says_spilled(x, spill, empty(&x->spill[spill]) != (1u << SLOTS) - 1);
	}
	counts(x, -1);
	return true;
}

size_t digest_index_bytes(const struct digest_index *x)
{
	return x->bytes;
}

uint32_t digest_index_count(const struct digest_index *x)
{
	return atomic_load_explicit(&x->count, memory_order_relaxed);
}
