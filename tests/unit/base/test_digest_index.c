/* SPDX-License-Identifier: BSD-3-Clause */
/* The index: what was put in is found, what was taken out is not, whatever else stands there, and
 * readers never miss what stands while they look. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/base.h"

static uint64_t random_of(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* A digest of each number: what a keyed hash would make of it. */
static uint64_t digest_of(uint32_t number)
{
	uint64_t state = number * 2ULL + 1;

	return random_of(&state);
}

static bool finds(const struct digest_index *x, uint64_t digest, uint32_t number)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	unsigned n = digest_index_find(x, digest, found);

	assert_true(n <= DIGEST_INDEX_FOUND_MAX);
	assert_int_equal(n != 0, digest_index_may_have(x, digest));
	for (unsigned i = 0; i < n; i++) {
		if (found[i] == number)
			return true;
	}
	return false;
}

static void what_was_put_in_is_found(void **state)
{
	struct digest_index *x = digest_index_create(1000);

	assert_non_null(x);
	for (uint32_t i = 0; i < 1000; i++) {
		digest_index_prefetch(x, digest_of(i));
		assert_false(finds(x, digest_of(i), i));
		assert_int_equal(digest_index_insert(x, digest_of(i), i), 0);
		assert_true(finds(x, digest_of(i), i));
	}
	assert_int_equal(digest_index_count(x), 1000);
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(finds(x, digest_of(i), i));
	for (uint32_t i = 1000; i < 20000; i++)
		assert_false(digest_index_may_have(x, digest_of(i)));
	for (uint32_t i = 0; i < 1000; i += 2)
		assert_true(digest_index_remove(x, digest_of(i), i));
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(finds(x, digest_of(i), i), i % 2);
		assert_int_equal(digest_index_remove(x, digest_of(i), i), i % 2);
	}
	assert_int_equal(digest_index_count(x), 0);
	digest_index_destroy(x);
}

static void more_than_there_is_room_for_is_refused(void **state)
{
	struct digest_index *x = digest_index_create(100);

	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(digest_index_insert(x, digest_of(i), i), 0);
	assert_int_equal(digest_index_insert(x, digest_of(100), 100), -ENOSPC);
	assert_true(digest_index_remove(x, digest_of(7), 7));
	assert_int_equal(digest_index_insert(x, digest_of(100), DIGEST_INDEX_NONE), -ENOSPC);
	assert_int_equal(digest_index_insert(x, digest_of(100), 100), 0);
	digest_index_destroy(x);
}

/* The numbers and digests at the ends of their ranges, an empty slot's word among them. */
static void no_digest_and_no_number_is_taken_for_an_empty_slot(void **state)
{
	static const uint64_t digests[] = {
		0, 1, UINT32_MAX, 1ULL << 32, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX << 32};
	static const uint32_t numbers[] = {0, 1, UINT32_MAX - 1};

	for (unsigned d = 0; d < 7; d++) {
		for (unsigned n = 0; n < 3; n++) {
			struct digest_index *x = digest_index_create(64);

			for (unsigned e = 0; e < 7; e++)
				assert_false(digest_index_may_have(x, digests[e]));
			assert_int_equal(digest_index_insert(x, digests[d], numbers[n]), 0);
			assert_true(finds(x, digests[d], numbers[n]));
			assert_false(digest_index_remove(x, digests[d], numbers[n] ^ 2));
			assert_false(digest_index_remove(x, digests[d], DIGEST_INDEX_NONE));
			assert_true(digest_index_remove(x, digests[d], numbers[n]));
			assert_false(digest_index_may_have(x, digests[d]));
			digest_index_destroy(x);
		}
	}
}

/* One digest for many numbers: both buckets, and what no find could tell is refused. */
static void as_many_of_one_digest_as_a_find_can_tell(void **state)
{
	struct digest_index *x = digest_index_create(1000);
	uint32_t found[DIGEST_INDEX_FOUND_MAX];

	for (uint32_t i = 0; i < DIGEST_INDEX_FOUND_MAX; i++) {
		assert_int_equal(digest_index_insert(x, 42, i), 0);
		assert_int_equal(digest_index_find(x, 42, found), i + 1);
	}
	assert_int_equal(digest_index_insert(x, 42, 99), -ENOSPC);
	for (uint32_t i = 0; i < DIGEST_INDEX_FOUND_MAX; i++)
		assert_true(finds(x, 42, i));
	assert_true(digest_index_remove(x, 42, 3));
	assert_int_equal(digest_index_insert(x, 42, 99), 0);
	assert_true(finds(x, 42, 99));
	assert_false(finds(x, 42, 3));
	digest_index_destroy(x);
}

/* Digests that have their first bucket in common: their second ones run over, too. */
static void what_finds_both_buckets_full_spills(void **state)
{
	enum { ENTRIES = 4096 };
	struct digest_index *x = digest_index_create(ENTRIES);
	uint64_t random = 3, digest[ENTRIES];
	bool stands[ENTRIES];
	uint32_t n = 0;

	for (uint32_t i = 0; i < ENTRIES; i++) {
		digest[i] = 1234567ULL << 32 | (uint32_t)random_of(&random);
		stands[i] = digest_index_insert(x, digest[i], i) == 0;
		n += stands[i];
		assert_int_equal(finds(x, digest[i], i), stands[i]);
	}
	/* One choice fills a table to 5/8 with some 3 % too many for their bucket. */
	assert_true(n > ENTRIES - ENTRIES / 64);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		assert_int_equal(finds(x, digest[i], i), stands[i]);
		assert_int_equal(digest_index_remove(x, digest[i], i), stands[i]);
	}
	assert_int_equal(digest_index_count(x), 0);
	for (uint32_t i = 0; i < ENTRIES; i++)
		assert_false(digest_index_may_have(x, digest[i]));
	digest_index_destroy(x);
}

/* Full all the time, and all of it replaced many times: a place is found each time. */
static void a_full_table_in_use_for_long_refuses_nothing(void **state)
{
	static const uint32_t sizes[] = {1, 2, 16, 17, 64, 100, 1000, 30000};
	uint64_t random = 1;

	for (unsigned s = 0; s < 8; s++) {
		uint32_t entries = sizes[s], *name = calloc(entries, sizeof(*name)), next = 0;
		struct digest_index *x = digest_index_create(entries);

		for (uint32_t i = 0; i < entries; i++) {
			name[i] = next;
			assert_int_equal(digest_index_insert(x, digest_of(next++), i), 0);
		}
		for (uint32_t n = 0; n < 30 * entries + 10000; n++) {
			uint32_t i = (uint32_t)(random_of(&random) % entries);

			assert_true(digest_index_remove(x, digest_of(name[i]), i));
			name[i] = next;
			assert_int_equal(digest_index_insert(x, digest_of(next++), i), 0);
		}
		for (uint32_t i = 0; i < entries; i++)
			assert_true(finds(x, digest_of(name[i]), i));
		assert_int_equal(digest_index_count(x), entries);
		digest_index_destroy(x);
		free(name);
	}
}

/* Digests whose 32 bits of mark are the same: all find their own, and may find others. */
static void digests_of_one_mark_are_kept_apart_by_their_buckets(void **state)
{
	struct digest_index *x = digest_index_create(10000);
	unsigned more = 0;

	for (uint32_t i = 0; i < 10000; i++)
		assert_int_equal(digest_index_insert(x, digest_of(i) << 32 | 0xabcdef01, i), 0);
	for (uint32_t i = 0; i < 10000; i++) {
		uint32_t found[DIGEST_INDEX_FOUND_MAX];

		assert_true(finds(x, digest_of(i) << 32 | 0xabcdef01, i));
		more += digest_index_find(x, digest_of(i) << 32 | 0xabcdef01, found) > 1;
	}
	assert_true(more > 0);
	digest_index_destroy(x);
}

/* ---- readers beside the writer ---- */

#define STANDING 2000 /* never removed: never missed */
#define MOVING 2000   /* come and go */

struct race {
	struct digest_index *index;
	_Atomic uint64_t stamp[MOVING]; /* what the writer wrote before it inserted the number */
	_Atomic uint64_t missed, unwritten, foreign, looked;
	_Atomic bool stop;
};

static void *read_on(void *arg)
{
	struct race *r = arg;
	uint64_t random = (uint64_t)(uintptr_t)&random;

	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		uint32_t name = (uint32_t)(random_of(&random) % (STANDING + MOVING));
		uint32_t found[DIGEST_INDEX_FOUND_MAX];
		unsigned n = digest_index_find(r->index, digest_of(name), found);
		bool has = false;

		for (unsigned i = 0; i < n; i++) {
			has |= found[i] == name;
			if (found[i] >= STANDING + MOVING)
				atomic_fetch_add(&r->foreign, 1);
			/* What was written before the insert is seen. */
			else if (found[i] >= STANDING &&
				 atomic_load_explicit(
					 &r->stamp[found[i] - STANDING], memory_order_relaxed) == 0)
				atomic_fetch_add(&r->unwritten, 1);
		}
		if (name < STANDING && !has)
			atomic_fetch_add(&r->missed, 1);
		atomic_fetch_add_explicit(&r->looked, 1, memory_order_relaxed);
	}
	return NULL;
}

static void readers_never_miss_what_stands(void **state)
{
	static struct race r;
	pthread_t reader[2];
	bool stands[MOVING] = {false};
	uint64_t random = 5;

	/* So tight that some spill. */
	r.index = digest_index_create(STANDING + MOVING);
	for (uint32_t i = 0; i < STANDING; i++)
		assert_int_equal(digest_index_insert(r.index, digest_of(i), i), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&reader[i], NULL, read_on, &r), 0);
	for (uint32_t n = 0; n < 400000 || atomic_load(&r.looked) < 100000; n++) {
		uint32_t i = (uint32_t)(random_of(&random) % MOVING);
		uint32_t name = STANDING + i;

		if (stands[i]) {
			assert_true(digest_index_remove(r.index, digest_of(name), name));
		} else {
			atomic_store_explicit(&r.stamp[i], n + 1, memory_order_relaxed);
			assert_int_equal(digest_index_insert(r.index, digest_of(name), name), 0);
		}
		stands[i] = !stands[i];
	}
	atomic_store(&r.stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(reader[i], NULL);
	assert_int_equal(r.missed, 0);
	assert_int_equal(r.unwritten, 0);
	assert_int_equal(r.foreign, 0);
	digest_index_destroy(r.index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_in_is_found),
		cmocka_unit_test(more_than_there_is_room_for_is_refused),
		cmocka_unit_test(no_digest_and_no_number_is_taken_for_an_empty_slot),
		cmocka_unit_test(as_many_of_one_digest_as_a_find_can_tell),
		cmocka_unit_test(what_finds_both_buckets_full_spills),
		cmocka_unit_test(a_full_table_in_use_for_long_refuses_nothing),
		cmocka_unit_test(digests_of_one_mark_are_kept_apart_by_their_buckets),
		cmocka_unit_test(readers_never_miss_what_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
