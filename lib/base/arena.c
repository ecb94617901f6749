/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The writer makes a version odd, changes the words that differ, and makes it even again; who reads
 * meanwhile sees it and reads anew. Two fences order the words after the version: what a reader has
 * copied between two equal even versions is one text.
 *
 * What a reader copies while it changes may be of two texts, or of one that has gone. Until it
 * knows that it is not, it believes no length and no link beyond their bounds.
 */
#include <errno.h>
#include <immintrin.h>
#include <sys/mman.h>

#include "base/arena.h"

enum kind { FREE, FIRST, FURTHER };

static inline enum kind kind_of(uint32_t link)
{
	return (enum kind)(link >> 30);
}

static inline uint32_t next_of(uint32_t link)
{
	return link & ARENA_PLACES_MAX;
}

static inline uint32_t link_to(enum kind kind, uint32_t next)
{
	return (uint32_t)kind << 30 | next;
}

int arena_create(struct arena *a, uint32_t places, bool huge)
{
	void *map;

	a->bytes = (size_t)places * sizeof(struct arena_place);
	map = mmap(NULL, a->bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return -ENOMEM;
	a->place = map;
	a->places = places;
	/* A wish: where the kernel does not grant it, lookups miss the TLB too. */
	if (huge)
		(void)madvise(map, a->bytes, MADV_HUGEPAGE);
	return 0;
}

void arena_destroy(struct arena *a)
{
	if (a->place != NULL)
		munmap(a->place, a->bytes);
	a->place = NULL;
}

static uint32_t load_version(const struct arena_place *p)
{
	return atomic_load_explicit(&p->version, memory_order_acquire);
}

bool arena_unchanged(const struct arena *a, uint32_t number, uint32_t version)
{
	/* The copies before are not moved behind this. */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&a->place[number].version, memory_order_relaxed) == version;
}

static inline uint64_t load_word(const struct arena_place *p, uint32_t i)
{
	return atomic_load_explicit(&p->word[i], memory_order_relaxed);
}

static inline uint32_t load_link(const struct arena_place *p)
{
	return atomic_load_explicit(&p->link, memory_order_relaxed);
}

/* What is torn by a writer is not believed either, so two words at a time do: the compiler must not
 * see that they are atomics. */
static inline void copy_words(const struct arena_place *p, char *out, uint32_t words)
{
	uint32_t i = 0;
	uint64_t last;
	__m128i two;

	for (; i + 2 <= words; i += 2) {
		__asm__ volatile("movdqu %1, %0" : "=x"(two) : "m"(*(const __m128i *)&p->word[i]));
		_mm_storeu_si128((__m128i *)(out + i * 8), two);
	}
	if (i < words) {
		last = load_word(p, i);
		memcpy(out + i * 8, &last, 8);
	}
}

/* Copies words of a chain, false where it ends too soon. */
static bool copy_chain(
	const struct arena *a, const struct arena_place *p, char *out, uint32_t words)
{
	for (;;) {
		uint32_t n = words < ARENA_WORDS ? words : ARENA_WORDS, next;

		copy_words(p, out, n);
		words -= n;
		if (words == 0)
			return true;
		out += ARENA_PLACE;
		next = next_of(load_link(p));
		if (next == 0 || next > a->places)
			return false;
		p = &a->place[next - 1];
	}
}

int arena_copy(const struct arena *a, uint32_t number, char *text, uint32_t *version)
{
	const struct arena_place *p = &a->place[number];
	uint64_t first;
	uint16_t bytes;
	bool whole;

	*version = load_version(p);
	if (kind_of(load_link(p)) != FIRST)
		return arena_unchanged(a, number, *version) ? -ENOENT : -EAGAIN;
	if (*version % 2 != 0)
		return -EAGAIN;
	first = load_word(p, 0);
	bytes = arena_length(&first);
	whole = bytes <= ARENA_TEXT_MAX && copy_chain(a, p, text, (bytes + 7u) / 8);
	if (!arena_unchanged(a, number, *version) || !whole)
		return -EAGAIN;
	return bytes;
}

/* ---- writer ---- */

static void store_version(struct arena_place *p, uint32_t version)
{
	atomic_store_explicit(&p->version, version, memory_order_release);
}

static uint32_t own_version(const struct arena_place *p)
{
	return atomic_load_explicit(&p->version, memory_order_relaxed);
}

/* From here on no reader believes what it copies. */
static void begin(struct arena_place *p)
{
	store_version(p, own_version(p) | 1);
	atomic_thread_fence(memory_order_release);
}

static void end(struct arena_place *p)
{
	store_version(p, own_version(p) + 1);
}

static void store_link(struct arena_place *p, enum kind kind, uint32_t next)
{
	atomic_store_explicit(&p->link, link_to(kind, next), memory_order_relaxed);
}

static void counts(struct arena *a, int32_t places)
{
	atomic_store_explicit(&a->used,
		atomic_load_explicit(&a->used, memory_order_relaxed) + (uint64_t)(int64_t)places,
		memory_order_relaxed);
}

static uint32_t take(struct arena *a)
{
	uint32_t number = atomic_load_explicit(&a->fresh, memory_order_relaxed);

	if (a->free != 0) {
		number = a->free - 1;
		a->free = next_of(load_link(&a->place[number]));
		a->free_count--;
	} else {
		atomic_store_explicit(&a->fresh, number + 1, memory_order_relaxed);
	}
	counts(a, 1);
	return number;
}

/* Frees a chain from a link on. What readers copy of it they do not believe: its first place's
 * version has changed. */
static void give_back(struct arena *a, uint32_t link)
{
	for (uint32_t next = next_of(link); next != 0;) {
		struct arena_place *p = &a->place[next - 1];
		uint32_t after = next_of(load_link(p));

		store_link(p, FREE, a->free);
		a->free = next;
		a->free_count++;
		counts(a, -1);
		next = after;
	}
}

static void store_words(struct arena_place *p, const uint64_t *text, uint32_t from, uint32_t words)
{
	for (uint32_t i = from; i < words; i++)
		atomic_store_explicit(&p->word[i], text[i], memory_order_relaxed);
}

static void fill(struct arena_place *p, const uint64_t *text, uint32_t words)
{
	store_words(p, text, 0, words < ARENA_WORDS ? words : ARENA_WORDS);
}

/* Places for a text from its place `from` on, the last first; there is room. Returns the link to
 * them. */
static uint32_t write_further(struct arena *a, const uint64_t *text, uint32_t bytes, uint32_t from)
{
	uint32_t next = 0;

	for (uint32_t n = arena_places(bytes); n > from; n--) {
		uint32_t at = (n - 1) * ARENA_WORDS, words = (bytes + 7) / 8 - at;
		uint32_t number = take(a);
		struct arena_place *p = &a->place[number];

		fill(p, text + at, words);
		store_link(p, FURTHER, next);
		next = number + 1;
	}
	return next;
}

int arena_write(struct arena *a, const uint64_t *text, uint32_t bytes, uint32_t *number)
{
	uint32_t words = (bytes + 7) / 8, next;
	struct arena_place *p;

	if (!arena_has_room(a, arena_places(bytes)))
		return -ENOSPC;
	*number = take(a);
	p = &a->place[*number];
	begin(p);
	next = write_further(a, text, bytes, 1);
	fill(p, text, words);
	store_link(p, FIRST, next);
	end(p);
	return 0;
}

/* Only what differs is written. */
static void write_over(struct arena_place *p, const uint64_t *old, uint32_t old_words,
	const uint64_t *text, uint32_t words)
{
	uint32_t n = words < ARENA_WORDS ? words : ARENA_WORDS,
		 both = old_words < n ? old_words : n;

	for (uint32_t i = 0; i < both; i++) {
		if (text[i] != old[i])
			atomic_store_explicit(&p->word[i], text[i], memory_order_relaxed);
	}
	store_words(p, text, both, n);
}

int arena_rewrite(struct arena *a, uint32_t number, const uint64_t *old, uint32_t old_bytes,
	const uint64_t *text, uint32_t bytes)
{
	uint32_t have = arena_places(old_bytes), need = arena_places(bytes), more = 0, link;
	uint32_t old_words = (old_bytes + 7) / 8, words = (bytes + 7) / 8;
	struct arena_place *first = &a->place[number], *p = first;

	if (need > have) {
		if (!arena_has_room(a, need - have))
			return -ENOSPC;
		/* Nobody finds these before the last one that it has leads to them. */
		more = write_further(a, text, bytes, have);
	}
	begin(first);
	for (uint32_t n = 0;;) {
		write_over(p, old + n, old_words - n, text + n, words - n);
		n += ARENA_WORDS;
		link = load_link(p);
		if (n >= words || n >= old_words)
			break;
		p = &a->place[next_of(link) - 1];
	}
	if (need != have)
		store_link(p, kind_of(link), more);
	end(first);
	if (need < have)
		give_back(a, link);
	return 0;
}

void arena_forget(struct arena *a, uint32_t number)
{
	struct arena_place *p = &a->place[number];
	uint32_t link = load_link(p);

	begin(p);
	give_back(a, link);
	store_link(p, FREE, a->free);
	a->free = number + 1;
	a->free_count++;
	counts(a, -1);
}
