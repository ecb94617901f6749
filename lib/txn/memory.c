/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "txn/memory.h"

/* Sizes in units: each of the first sixteen, then eight to a doubling. */
static void make_classes(struct memory *m)
{
	unsigned units = 1, class = 0, step = 1;

	while (units <= MEMORY_BLOCK_UNITS) {
		m->units[m->classes++] = (uint16_t)units;
		if (units >= 16 * step)
			step *= 2;
		units += step;
	}
	for (units = 0; units <= MEMORY_BLOCK_UNITS; units++) {
		if (units > m->units[class])
			class ++;
		m->class_of[units] = (uint8_t) class;
	}
}

int memory_create(struct memory *m, uint64_t bytes)
{
	uint64_t blocks = (bytes + MEMORY_BLOCK - 1) / MEMORY_BLOCK;

	memset(m, 0, sizeof(*m));
	make_classes(m);
	if (blocks < m->classes)
		blocks = m->classes;
	if (blocks > MEMORY_NONE / MEMORY_BLOCK_UNITS)
		return -EOVERFLOW;
	m->blocks = (uint32_t)blocks;
	m->base = mmap(NULL, blocks * MEMORY_BLOCK, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->base == MAP_FAILED) {
		m->base = NULL;
		return -errno;
	}
	/* Huge pages where the system has them to give; not having them is no error. */
	madvise(m->base, blocks * MEMORY_BLOCK, MADV_HUGEPAGE);
	m->block = calloc(blocks, sizeof(m->block[0]));
	if (m->block == NULL) {
		memory_destroy(m);
		return -ENOMEM;
	}
	m->empty = MEMORY_NONE;
	memset(m->partial, 0xff, sizeof(m->partial));
	return 0;
}

void memory_destroy(struct memory *m)
{
	if (m->base != NULL)
		munmap(m->base, (uint64_t)m->blocks * MEMORY_BLOCK);
	free(m->block);
	memset(m, 0, sizeof(*m));
}

static void list_add(struct memory *m, uint32_t *head, uint32_t i)
{
	m->block[i].prev = MEMORY_NONE;
	m->block[i].next = *head;
	if (*head != MEMORY_NONE)
		m->block[*head].prev = i;
	*head = i;
}

static void list_remove(struct memory *m, uint32_t *head, uint32_t i)
{
	struct memory_block *b = &m->block[i];

	if (b->prev != MEMORY_NONE)
		m->block[b->prev].next = b->next;
	else
		*head = b->next;
	if (b->next != MEMORY_NONE)
		m->block[b->next].prev = b->prev;
}

/* An empty block that another class has kept. */
static uint32_t take_kept(struct memory *m)
{
	for (unsigned class = 0; class < m->classes; class ++) {
		uint32_t i = m->partial[class];

		if (i != MEMORY_NONE && m->block[i].used == 0) {
			list_remove(m, &m->partial[class], i);
			return i;
		}
	}
	return MEMORY_NONE;
}

/* An empty block becomes one of this class. */
static uint32_t open_block(struct memory *m, unsigned class)
{
	uint32_t i = m->empty;

	if (i != MEMORY_NONE)
		list_remove(m, &m->empty, i);
	else if (m->touched < m->blocks)
		i = m->touched++;
	else
		i = take_kept(m);
	if (i == MEMORY_NONE)
		return MEMORY_NONE;
	m->block[i] = (struct memory_block){.free = MEMORY_NONE,
		.fresh = (uint16_t)(MEMORY_BLOCK_UNITS / m->units[class]),
		.size = (uint8_t) class};
	list_add(m, &m->partial[class], i);
	return i;
}

static inline void count(struct memory *m, int64_t bytes)
{
	atomic_store_explicit(&m->used,
		atomic_load_explicit(&m->used, memory_order_relaxed) + (uint64_t)bytes,
		memory_order_relaxed);
}

static unsigned class_for(const struct memory *m, uint64_t bytes)
{
	return m->class_of[(bytes + MEMORY_UNIT - 1) / MEMORY_UNIT];
}

uint32_t memory_size(const struct memory *m, uint64_t bytes)
{
	return bytes > MEMORY_CHUNK_MAX ? 0 : m->units[class_for(m, bytes)] * MEMORY_UNIT;
}

uint32_t memory_get(struct memory *m, uint64_t bytes)
{
	struct memory_block *b;
	uint32_t i, chunk;
	unsigned class;

	if (bytes > MEMORY_CHUNK_MAX)
		return MEMORY_NONE;
	class = class_for(m, bytes);
	i = m->partial[class];
	if (i == MEMORY_NONE)
		i = open_block(m, class);
	if (i == MEMORY_NONE)
		return MEMORY_NONE;
	b = &m->block[i];
	if (b->free != MEMORY_NONE) {
		chunk = b->free;
		memcpy(&b->free, memory_at(m, chunk), sizeof(b->free));
	} else {
		unsigned all = MEMORY_BLOCK_UNITS / m->units[class];

		chunk = i * MEMORY_BLOCK_UNITS + (all - b->fresh) * m->units[class];
		b->fresh--;
	}
	b->used++;
	if (b->free == MEMORY_NONE && b->fresh == 0)
		list_remove(m, &m->partial[class], i);
	count(m, (int64_t)m->units[class] * MEMORY_UNIT);
	return chunk;
}

void memory_put(struct memory *m, uint32_t chunk)
{
	uint32_t i = chunk / MEMORY_BLOCK_UNITS;
	struct memory_block *b = &m->block[i];
	unsigned class = b->size;

	/* A full block is in no list. */
	if (b->free == MEMORY_NONE && b->fresh == 0)
		list_add(m, &m->partial[class], i);
	memcpy(memory_at(m, chunk), &b->free, sizeof(b->free));
	b->free = chunk;
	count(m, -(int64_t)m->units[class] * MEMORY_UNIT);
	/* One empty block of a class stays its own: what comes and goes one by one costs no more.
	 */
	if (--b->used == 0 && (b->prev != MEMORY_NONE || b->next != MEMORY_NONE)) {
		list_remove(m, &m->partial[class], i);
		list_add(m, &m->empty, i);
	}
}
