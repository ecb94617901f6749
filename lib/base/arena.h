/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * arena: texts in places of one size. One thread writes, any thread reads without a lock and
 * without waiting: it copies a text and looks at its version before and after. The memory is never
 * unmapped while anybody may read, so a number that is no longer anybody's can be looked at.
 *
 * A text is whole words in one place, or in a chain of them; the first two bytes are its length.
 * The first place's version stands for all: it is odd while the text is changed, and after it has
 * gone. Who finds the number of a text (digest_index.h) compares what stands there: it may be
 * another one by now.
 */
#define ARENA_WORDS 21
#define ARENA_PLACE (ARENA_WORDS * 8) /* bytes of text in a place */
#define ARENA_TEXT_MAX 16384
#define ARENA_PLACES_MAX ((1u << 30) - 1)

struct arena_place {
	_Atomic uint32_t version;
	_Atomic uint32_t link; /* what stands here, and the number of the next place plus one */
	_Atomic uint64_t word[ARENA_WORDS];
};

/* Its first line is read by all, the other is its writer's. */
struct arena {
	struct arena_place *place;
	uint32_t places;
	size_t bytes;

	_Alignas(64) _Atomic uint32_t fresh; /* places from this one on were never used */
	uint32_t free;                       /* the first free one plus one; 0: none */
	uint32_t free_count;
	_Atomic uint64_t used;
};

static inline uint32_t arena_places(uint32_t bytes)
{
	return (bytes + ARENA_PLACE - 1) / ARENA_PLACE;
}

/* Whole words are written and copied: what follows a text in its last one is zero. */
static inline uint16_t arena_length(const void *text)
{
	uint16_t bytes;

	memcpy(&bytes, text, sizeof(bytes));
	return bytes;
}

/* Maps room for so many places, at most ARENA_PLACES_MAX; pages come when they are first used, huge
 * ones where they are wanted and the system gives them. 0 or -ENOMEM; `a` is all zero before. */
int arena_create(struct arena *a, uint32_t places, bool huge);
void arena_destroy(struct arena *a);

/* Any thread: asks for the lines of a place. */
static inline void arena_prefetch(const struct arena *a, uint32_t number)
{
	const struct arena_place *p = &a->place[number];
	const char *line = (const char *)p;

	/* A place may begin in the middle of a line. */
	__builtin_prefetch(line);
	__builtin_prefetch(line + 64);
	__builtin_prefetch(line + 128);
	__builtin_prefetch(line + sizeof(*p) - 1);
}

/*
 * Any thread: copies a text to `text`, which has ARENA_TEXT_MAX bytes. Returns its length, -ENOENT
 * where none begins there, -EAGAIN where it changed meanwhile. `*version` is the text's then.
 */
int arena_copy(const struct arena *a, uint32_t number, char *text, uint32_t *version);
/* Any thread: whether a text is what it was. */
bool arena_unchanged(const struct arena *a, uint32_t number, uint32_t version);
/* Any thread: places from this number on were never used. */
static inline uint32_t arena_fresh(const struct arena *a)
{
	return atomic_load_explicit(&a->fresh, memory_order_acquire);
}

/* Writer: whether there is room for so many places. */
static inline bool arena_has_room(const struct arena *a, uint32_t places)
{
	uint32_t fresh = atomic_load_explicit(&a->fresh, memory_order_relaxed);

	return places <= a->free_count + (a->places - fresh);
}

/* Writer: places for a text, or -ENOSPC. `*number` is the first one. */
int arena_write(struct arena *a, const uint64_t *text, uint32_t bytes, uint32_t *number);
/* Writer: another text in its place, 0 or -ENOSPC, and then it stays. `old` is what stands there.
 */
int arena_rewrite(struct arena *a, uint32_t number, const uint64_t *old, uint32_t old_bytes,
	const uint64_t *text, uint32_t bytes);
/* Writer: nobody finds it any more. */
void arena_forget(struct arena *a, uint32_t number);
