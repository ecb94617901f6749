/* SPDX-License-Identifier: BSD-3-Clause */
/* Chunks: none overlap, all come back, and what was of one size serves another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "txn/memory.h"

#define CHUNKS 3000

static uint64_t used(struct memory *m)
{
	return atomic_load_explicit(&m->used, memory_order_relaxed);
}

static void sizes_are_little_more_than_asked_for(void **state)
{
	struct memory m;

	assert_int_equal(memory_create(&m, 0), 0);
	for (uint64_t bytes = 1; bytes <= MEMORY_CHUNK_MAX; bytes++) {
		uint32_t size = memory_size(&m, bytes);

		assert_true(size >= bytes && size % MEMORY_UNIT == 0);
		assert_true(size < bytes + MEMORY_UNIT || size <= bytes + bytes / 8 + MEMORY_UNIT);
	}
	assert_int_equal(memory_size(&m, MEMORY_CHUNK_MAX + 1), 0);
	assert_int_equal(memory_get(&m, MEMORY_CHUNK_MAX + 1), MEMORY_NONE);
	memory_destroy(&m);
}

/* Each chunk is filled with its own byte, which nobody else's writing changes. */
static void chunks_at_random_do_not_overlap(void **state)
{
	static uint32_t chunk[CHUNKS], len[CHUNKS];
	uint64_t random = 42, sum = 0;
	struct memory m;

	assert_int_equal(memory_create(&m, 64 << 20), 0);
	memset(chunk, 0xff, sizeof(chunk));
	for (unsigned round = 0; round < 60000; round++) {
		unsigned i;

		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		i = (unsigned)(random >> 33) % CHUNKS;
		if (chunk[i] != MEMORY_NONE) {
			const unsigned char *at = memory_at(&m, chunk[i]);

			for (uint32_t n = 0; n < len[i]; n++)
				assert_int_equal(at[n], (unsigned char)i);
			sum -= memory_size(&m, len[i]);
			memory_put(&m, chunk[i]);
			chunk[i] = MEMORY_NONE;
			continue;
		}
		len[i] = 1 + (uint32_t)(random >> 13) % ((round & 15) == 0 ? 70000 : 3000);
		chunk[i] = memory_get(&m, len[i]);
		if (chunk[i] == MEMORY_NONE)
			continue;
		sum += memory_size(&m, len[i]);
		memset(memory_at(&m, chunk[i]), (int)i, len[i]);
		assert_int_equal(used(&m), sum);
	}
	for (unsigned i = 0; i < CHUNKS; i++) {
		if (chunk[i] != MEMORY_NONE)
			memory_put(&m, chunk[i]);
	}
	assert_int_equal(used(&m), 0);
	memory_destroy(&m);
}

/* Takes chunks until there are no more; they are linked through their bytes. */
static unsigned take_all(struct memory *m, uint64_t bytes, uint32_t *first)
{
	unsigned n = 0;
	uint32_t chunk;

	*first = MEMORY_NONE;
	while ((chunk = memory_get(m, bytes)) != MEMORY_NONE) {
		memcpy(memory_at(m, chunk), first, sizeof(*first));
		*first = chunk;
		n++;
	}
	return n;
}

static void give_all(struct memory *m, uint32_t chunk)
{
	while (chunk != MEMORY_NONE) {
		uint32_t next;

		memcpy(&next, memory_at(m, chunk), sizeof(next));
		memory_put(m, chunk);
		chunk = next;
	}
}

static void what_was_of_one_size_serves_another(void **state)
{
	static const uint32_t sizes[] = {64, 500, 1500, 4000, 20000, 66000, 131072, 64, 66000};
	struct memory m;

	assert_int_equal(memory_create(&m, 16 << 20), 0);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t first;
		unsigned n = take_all(&m, sizes[i], &first);

		/* All of the arena, whatever stood in it before. */
		assert_int_equal(n, m.blocks * (MEMORY_BLOCK / memory_size(&m, sizes[i])));
		give_all(&m, first);
		assert_int_equal(used(&m), 0);
	}
	memory_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_little_more_than_asked_for),
		cmocka_unit_test(chunks_at_random_do_not_overlap),
		cmocka_unit_test(what_was_of_one_size_serves_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
