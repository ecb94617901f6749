/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Places. The writer makes a version odd, changes the words that differ, and makes it even again;
 * who reads meanwhile sees it and reads anew. Two fences order the words after the version: what a
 * reader has copied between two equal even versions is one record.
 *
 * What a reader copies while it changes may be of two records, or of one that has gone. Until it
 * knows that it is not, it believes no length and no link beyond their bounds.
 */
#include <errno.h>
#include <immintrin.h>

#include "location/internal.h"

static uint32_t load_version(const struct place *p)
{
	return atomic_load_explicit(&p->version, memory_order_acquire);
}

bool place_unchanged(const struct shard *s, uint32_t number, uint32_t version)
{
	/* The copies before are not moved behind this. */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&s->place[number].version, memory_order_relaxed) == version;
}

static inline uint64_t load_word(const struct place *p, uint32_t i)
{
	return atomic_load_explicit(&p->word[i], memory_order_relaxed);
}

static inline uint32_t load_link(const struct place *p)
{
	return atomic_load_explicit(&p->link, memory_order_relaxed);
}

/* What is torn by a writer is not believed either, so two words at a time do: the compiler must not
 * see that they are atomics. */
static inline void copy_words(const struct place *p, char *out, uint32_t words)
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
static bool copy_chain(const struct shard *s, const struct place *p, char *out, uint32_t words)
{
	for (;;) {
		uint32_t n = words < PLACE_WORDS ? words : PLACE_WORDS, next;

		copy_words(p, out, n);
		words -= n;
		if (words == 0)
			return true;
		out += PLACE_TEXT;
		next = place_next(load_link(p));
		if (next == 0 || next > s->places)
			return false;
		p = &s->place[next - 1];
	}
}

int place_copy(const struct shard *s, uint32_t number, char *text, uint32_t *version)
{
	const struct place *p = &s->place[number];
	uint64_t first;
	struct record_head head;
	bool whole;

	*version = load_version(p);
	if (place_kind(load_link(p)) != PLACE_FIRST)
		return place_unchanged(s, number, *version) ? -ENOENT : -EAGAIN;
	if (*version % 2 != 0)
		return -EAGAIN;
	first = load_word(p, 0);
	head = record_head(&first);
	whole = head.bytes <= RECORD_MAX && copy_chain(s, p, text, (head.bytes + 7u) / 8);
	if (!place_unchanged(s, number, *version) || !whole)
		return -EAGAIN;
	return head.bytes;
}

/* ---- writer ---- */

static void store_version(struct place *p, uint32_t version)
{
	atomic_store_explicit(&p->version, version, memory_order_release);
}

static uint32_t own_version(const struct place *p)
{
	return atomic_load_explicit(&p->version, memory_order_relaxed);
}

/* From here on no reader believes what it copies. */
static void begin(struct place *p)
{
	store_version(p, own_version(p) | 1);
	atomic_thread_fence(memory_order_release);
}

static void end(struct place *p)
{
	store_version(p, own_version(p) + 1);
}

static void store_link(struct place *p, enum place_kind kind, uint32_t next)
{
	atomic_store_explicit(&p->link, place_link(kind, next), memory_order_relaxed);
}

static void counts(struct shard *s, int32_t places)
{
	atomic_store_explicit(&s->used,
		atomic_load_explicit(&s->used, memory_order_relaxed) + (uint64_t)(int64_t)places,
		memory_order_relaxed);
}

static bool has_room(const struct shard *s, uint32_t places)
{
	uint32_t fresh = atomic_load_explicit(&s->fresh, memory_order_relaxed);

	return places <= s->free_count + (s->places - fresh);
}

static uint32_t take(struct shard *s)
{
	uint32_t number = atomic_load_explicit(&s->fresh, memory_order_relaxed);

	if (s->free != 0) {
		number = s->free - 1;
		s->free = place_next(load_link(&s->place[number]));
		s->free_count--;
	} else {
		atomic_store_explicit(&s->fresh, number + 1, memory_order_relaxed);
	}
	counts(s, 1);
	return number;
}

/* Frees a chain from a link on. What readers copy of it they do not believe: its first place's
 * version has changed. */
static void give_back(struct shard *s, uint32_t link)
{
	for (uint32_t next = place_next(link); next != 0;) {
		struct place *p = &s->place[next - 1];
		uint32_t after = place_next(load_link(p));

		store_link(p, PLACE_FREE, s->free);
		s->free = next;
		s->free_count++;
		counts(s, -1);
		next = after;
	}
}

static void store_words(struct place *p, const uint64_t *text, uint32_t from, uint32_t words)
{
	for (uint32_t i = from; i < words; i++)
		atomic_store_explicit(&p->word[i], text[i], memory_order_relaxed);
}

static void fill(struct place *p, const uint64_t *text, uint32_t words)
{
	store_words(p, text, 0, words < PLACE_WORDS ? words : PLACE_WORDS);
}

/* Places for a text from its place `from` on, the last first; there is room. Returns the link to
 * them. */
static uint32_t write_further(struct shard *s, const uint64_t *text, uint32_t bytes, uint32_t from)
{
	uint32_t next = 0;

	for (uint32_t n = place_count(bytes); n > from; n--) {
		uint32_t at = (n - 1) * PLACE_WORDS, words = (bytes + 7) / 8 - at;
		uint32_t number = take(s);
		struct place *p = &s->place[number];

		fill(p, text + at, words);
		store_link(p, PLACE_FURTHER, next);
		next = number + 1;
	}
	return next;
}

int place_write(struct shard *s, const uint64_t *text, uint32_t bytes, uint32_t *number)
{
	uint32_t words = (bytes + 7) / 8, next;
	struct place *p;

	if (!has_room(s, place_count(bytes)))
		return -ENOSPC;
	*number = take(s);
	p = &s->place[*number];
	begin(p);
	next = write_further(s, text, bytes, 1);
	fill(p, text, words);
	store_link(p, PLACE_FIRST, next);
	end(p);
	return 0;
}

/* Only what differs is written. */
static void write_over(struct place *p, const uint64_t *old, uint32_t old_words,
	const uint64_t *text, uint32_t words)
{
	uint32_t n = words < PLACE_WORDS ? words : PLACE_WORDS,
		 both = old_words < n ? old_words : n;

	for (uint32_t i = 0; i < both; i++) {
		if (text[i] != old[i])
			atomic_store_explicit(&p->word[i], text[i], memory_order_relaxed);
	}
	store_words(p, text, both, n);
}

int place_rewrite(struct shard *s, uint32_t number, const uint64_t *old, uint32_t old_bytes,
	const uint64_t *text, uint32_t bytes)
{
	uint32_t have = place_count(old_bytes), need = place_count(bytes), more = 0, link;
	uint32_t old_words = (old_bytes + 7) / 8, words = (bytes + 7) / 8;
	struct place *first = &s->place[number], *p = first;

	if (need > have) {
		if (!has_room(s, need - have))
			return -ENOSPC;
		/* Nobody finds these before the last one that it has leads to them. */
		more = write_further(s, text, bytes, have);
	}
	begin(first);
	for (uint32_t n = 0;;) {
		write_over(p, old + n, old_words - n, text + n, words - n);
		n += PLACE_WORDS;
		link = load_link(p);
		if (n >= words || n >= old_words)
			break;
		p = &s->place[place_next(link) - 1];
	}
	if (need != have)
		store_link(p, place_kind(link), more);
	end(first);
	if (need < have)
		give_back(s, link);
	return 0;
}

void place_forget(struct shard *s, uint32_t number)
{
	struct place *p = &s->place[number];
	uint32_t link = load_link(p);

	begin(p);
	give_back(s, link);
	store_link(p, PLACE_FREE, s->free);
	s->free = number + 1;
	s->free_count++;
	counts(s, -1);
}
