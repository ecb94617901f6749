/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts in places: what stands there is what was written last, whoever reads meanwhile. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/arena.h"

#define PLACES 512
#define TEXTS 64
#define ROUNDS 60000
#define READERS 2

/* Beside the length in front, all bytes of a text are one. */
struct text {
	bool stands;
	uint32_t number, bytes;
	uint8_t fill;
};

static uint64_t random_state = 88172645463325252ULL;

static uint32_t draw(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % below;
}

static void make(uint64_t *out, uint32_t bytes, uint8_t fill)
{
	uint16_t length = (uint16_t)bytes;

	memset(out, 0, (bytes + 7) / 8 * 8);
	memset(out, fill, bytes);
	memcpy(out, &length, 2);
}

static bool is_one(const char *text, uint32_t bytes, uint8_t fill)
{
	for (uint32_t i = 2; i < bytes; i++)
		if ((uint8_t)text[i] != fill)
			return false;
	return arena_length(text) == bytes;
}

static void assert_text(const struct arena *a, const struct text *t)
{
	static char out[ARENA_TEXT_MAX];
	uint32_t version;

	assert_int_equal(arena_copy(a, t->number, out, &version), t->bytes);
	assert_true(is_one(out, t->bytes, t->fill));
	assert_true(arena_unchanged(a, t->number, version));
}

static uint32_t draw_length(void)
{
	static const uint32_t lengths[] = {2, 167, 168, 169, 336, 337, 4096, ARENA_TEXT_MAX};

	return draw(2) == 0 ? lengths[draw(8)] : 2 + draw(900);
}

/* One change of a text; false where there was no room, and then nothing has changed. */
static bool change(struct arena *a, struct text *t)
{
	static uint64_t old[ARENA_TEXT_MAX / 8], new[ARENA_TEXT_MAX / 8];
	uint32_t bytes = draw_length(), places = arena_places(bytes);
	uint8_t fill = (uint8_t)draw(256);
	uint64_t used = a->used;
	int err;

	make(new, bytes, fill);
	if (t->stands) {
		uint32_t had = arena_places(t->bytes);

		make(old, t->bytes, t->fill);
		err = arena_rewrite(a, t->number, old, t->bytes, new, bytes);
		assert_int_equal(err, places <= had || used + places - had <= PLACES ? 0 : -ENOSPC);
	} else {
		err = arena_write(a, new, bytes, &t->number);
		assert_int_equal(err, used + places <= PLACES ? 0 : -ENOSPC);
	}
	if (err != 0)
		return false;
	*t = (struct text){true, t->number, bytes, fill};
	return true;
}

static void test_texts_are_what_was_written(void **state)
{
	struct text text[TEXTS] = {0};
	struct arena a = {0};
	char out[ARENA_TEXT_MAX];
	unsigned refused = 0;
	uint32_t version;

	assert_int_equal(arena_create(&a, PLACES, false), 0);
	assert_int_equal(arena_copy(&a, 0, out, &version), -ENOENT);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct text *t = &text[draw(TEXTS)];
		uint64_t used = 0;

		if (t->stands && draw(3) == 0) {
			arena_forget(&a, t->number);
			t->stands = false;
			assert_int_equal(arena_copy(&a, t->number, out, &version), -ENOENT);
		} else {
			refused += !change(&a, t);
		}
		if (t->stands)
			assert_text(&a, t);
		if (round % 64 != 0)
			continue;
		for (unsigned i = 0; i < TEXTS; i++) {
			if (!text[i].stands)
				continue;
			assert_text(&a, &text[i]);
			used += arena_places(text[i].bytes);
		}
		assert_int_equal(a.used, used);
		assert_true(arena_has_room(&a, (uint32_t)(PLACES - used)));
		assert_false(arena_has_room(&a, (uint32_t)(PLACES - used + 1)));
	}
	assert_int_not_equal(refused, 0);
	arena_destroy(&a);
}

struct race {
	struct arena arena;
	_Atomic bool stop;
	_Atomic uint64_t whole, again, mixed;
};

static void *read_all(void *arg)
{
	static _Thread_local char out[ARENA_TEXT_MAX];
	struct race *r = arg;
	uint32_t version, at = 0;

	while (!r->stop) {
		int bytes = arena_copy(&r->arena, at++ % PLACES, out, &version);

		if (bytes == -EAGAIN)
			r->again++;
		else if (bytes > 0 && is_one(out, (uint32_t)bytes, (uint8_t)out[2]))
			r->whole++;
		else if (bytes > 2)
			r->mixed++;
	}
	return NULL;
}

static void test_readers_see_whole_texts(void **state)
{
	static struct race r;
	struct text text[TEXTS] = {0};
	pthread_t reader[READERS];

	assert_int_equal(arena_create(&r.arena, PLACES, false), 0);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&reader[i], NULL, read_all, &r), 0);
	for (unsigned round = 0; round < ROUNDS || r.whole < ROUNDS; round++) {
		struct text *t = &text[draw(TEXTS)];

		if (t->stands && draw(3) == 0) {
			arena_forget(&r.arena, t->number);
			t->stands = false;
		} else {
			(void)change(&r.arena, t);
		}
	}
	r.stop = true;
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(reader[i], NULL);
	assert_int_equal(r.mixed, 0);
	assert_true(r.whole > 0);
	arena_destroy(&r.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts_are_what_was_written),
		cmocka_unit_test(test_readers_see_whole_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
