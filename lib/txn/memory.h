/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * Chunks of a fixed arena, in some seventy sizes: multiples of 64 bytes, at most an eighth too long
 * above 1 KB. The arena is blocks of 128 KB; a block holds chunks of one size while any of them is
 * in use, and any size after that. Taking and giving back are a few stores. Pages come with their
 * first use. One thread; who sums up `used` may be another.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_UNIT 64U
#define MEMORY_BLOCK_UNITS 2048U
#define MEMORY_BLOCK (MEMORY_UNIT * MEMORY_BLOCK_UNITS)
#define MEMORY_CHUNK_MAX MEMORY_BLOCK
#define MEMORY_CLASSES_MAX 80
#define MEMORY_NONE UINT32_MAX

struct memory_block {
	uint32_t next, prev;  /* of blocks of this size that have a chunk left; or of empty ones */
	uint32_t free;        /* a chunk that was given back, the next one's number in its bytes */
	uint16_t used, fresh; /* chunks in use, chunks that were never given out */
	uint8_t size;         /* class */
};

struct memory {
	char *base;
	struct memory_block *block;
	uint32_t blocks, empty; /* how many, and the first of those that hold nothing */
	uint32_t touched;       /* blocks from here on were never used */
	unsigned classes;
	uint16_t units[MEMORY_CLASSES_MAX]; /* of a chunk */
	uint32_t partial[MEMORY_CLASSES_MAX];
	uint8_t class_of[MEMORY_BLOCK_UNITS + 1]; /* by units */
	_Atomic uint64_t used;                    /* bytes of chunks that are out */
};

/* Maps `bytes`, rounded up to whole blocks. 0 or -errno. */
int memory_create(struct memory *m, uint64_t bytes);
void memory_destroy(struct memory *m);
/* A chunk of at least `bytes`, MEMORY_NONE: there is none. */
uint32_t memory_get(struct memory *m, uint64_t bytes);
void memory_put(struct memory *m, uint32_t chunk);
/* Bytes that a chunk of this many takes. */
uint32_t memory_size(const struct memory *m, uint64_t bytes);

/* Whether what is left belongs to what is under way: new work is refused. */
static inline bool memory_is_scarce(const struct memory *m)
{
	uint64_t all = (uint64_t)m->blocks * MEMORY_BLOCK;

	return atomic_load_explicit(&m->used, memory_order_relaxed) > all - all / 16;
}

static inline void *memory_at(const struct memory *m, uint32_t chunk)
{
	return m->base + (uint64_t)chunk * MEMORY_UNIT;
}
