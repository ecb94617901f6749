/* SPDX-License-Identifier: BSD-3-Clause */
/* Nonce-counts: each once, by a model of what has come, by several threads at once, and never again
 * what was forgotten. */
#include "common.h"

#include <pthread.h>

#define HOUR (3600 * CLOCK_NS_PER_S)

static struct auth_window w;

static int open_window(void **state)
{
	return auth_window_init(&w);
}

static int close_window(void **state)
{
	auth_window_fini(&w);
	return 0;
}

static enum auth_window_verdict take(uint64_t serial, uint32_t count)
{
	return auth_window_take(&w, 5, serial, count);
}

static void each_count_is_good_once(void **state)
{
	assert_int_equal(take(7, 1), AUTH_WINDOW_NEW);
	assert_int_equal(take(7, 1), AUTH_WINDOW_SEEN);
	assert_int_equal(take(7, 2), AUTH_WINDOW_NEW);
	assert_int_equal(take(7, 1), AUTH_WINDOW_SEEN);
	/* One that was overtaken. */
	assert_int_equal(take(7, 5), AUTH_WINDOW_NEW);
	assert_int_equal(take(7, 4), AUTH_WINDOW_NEW);
	assert_int_equal(take(7, 4), AUTH_WINDOW_SEEN);
	assert_int_equal(take(7, 3), AUTH_WINDOW_NEW);
	/* Another nonce has its own. */
	assert_int_equal(take(8, 4), AUTH_WINDOW_NEW);
	assert_int_equal(auth_window_take(&w, 6, 7, 4), AUTH_WINDOW_NEW);
}

static void a_count_that_lags_too_far_is_not_taken_for_new(void **state)
{
	assert_int_equal(take(9, 100), AUTH_WINDOW_NEW);
	assert_int_equal(take(9, 100 - AUTH_WINDOW_BITS), AUTH_WINDOW_NEW);
	assert_int_equal(take(9, 100 - AUTH_WINDOW_BITS - 1), AUTH_WINDOW_SEEN);
	/* A leap forgets what is far behind, and knows what is near. */
	assert_int_equal(take(9, 100 + AUTH_WINDOW_BITS), AUTH_WINDOW_NEW);
	assert_int_equal(take(9, 100), AUTH_WINDOW_SEEN);
	assert_int_equal(take(9, 101), AUTH_WINDOW_NEW);
	assert_int_equal(take(9, 1000), AUTH_WINDOW_NEW);
	assert_int_equal(take(9, 999), AUTH_WINDOW_NEW);
}

static void a_count_beyond_what_is_kept_is_lost(void **state)
{
	assert_int_equal(take(10, 65535), AUTH_WINDOW_NEW);
	assert_int_equal(take(10, 65536), AUTH_WINDOW_LOST);
	assert_int_equal(take(10, UINT32_MAX), AUTH_WINDOW_LOST);
	assert_int_equal(auth_window_take(&w, AUTH_THREADS, 1, 1), AUTH_WINDOW_LOST);
}

static void what_is_newer_takes_the_place_and_what_is_older_never_does(void **state)
{
	const uint64_t row = 1ull << AUTH_ROW_BITS;

	assert_int_equal(take(20, 1), AUTH_WINDOW_NEW);
	assert_int_equal(take(20 + row, 1), AUTH_WINDOW_NEW);
	assert_int_equal(take(20, 2), AUTH_WINDOW_LOST);
	assert_int_equal(take(20, 1), AUTH_WINDOW_LOST);
	assert_int_equal(take(20 + row, 1), AUTH_WINDOW_SEEN);
	assert_int_equal(take(20 + 9 * row, 1), AUTH_WINDOW_NEW);
	assert_int_equal(take(20 + row, 2), AUTH_WINDOW_LOST);
	assert_int_equal(take(20 + 8 * row, 1), AUTH_WINDOW_LOST);
	/* Numbers go round. */
	uint64_t last = (1ull << AUTH_SERIAL_BITS) - row + 21;

	assert_int_equal(take(last, 1), AUTH_WINDOW_NEW);
	assert_int_equal(take(21, 1), AUTH_WINDOW_NEW);
	assert_int_equal(take(last, 2), AUTH_WINDOW_LOST);
}

/* Random counts of some nonces of one place: what is new is never what came before. */
static void a_model_agrees(void **state)
{
	enum { NONCES = 6, COUNTS = 400 };
	static bool came[NONCES][COUNTS];
	unsigned latest = 0, news = 0, top[NONCES] = {0};
	uint64_t random = 88172645463325252ull;

	for (unsigned i = 0; i < 200000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;

		/* Mostly the newest two, which go on a little further. */
		unsigned nonce = (random >> 8) % 512 == 0 ? (random >> 16) % NONCES : latest;
		unsigned count = 1 + (unsigned)(((top[nonce] > 36 ? top[nonce] : 36) +
							(random >> 32) % 40 - 36) %
						(COUNTS - 1));
		enum auth_window_verdict verdict =
			take(30 + ((uint64_t)nonce << AUTH_ROW_BITS), count);

		if (verdict == AUTH_WINDOW_NEW) {
			assert_false(came[nonce][count]);
			assert_true(nonce >= latest);
			came[nonce][count] = true;
			news++;
			latest = nonce;
			top[nonce] = count > top[nonce] ? count : top[nonce];
		} else if (verdict == AUTH_WINDOW_LOST) {
			assert_true(nonce < latest);
		} else {
			assert_true(came[nonce][count] || count + AUTH_WINDOW_BITS < top[nonce]);
		}
	}
	assert_true(news > COUNTS);
}

/* ---- threads ---- */

#define RACERS 4
#define RACES 20000

static _Atomic unsigned won[RACES];
static pthread_barrier_t start;

static void *racer(void *arg)
{
	pthread_barrier_wait(&start);
	/* All take the same counts of nonces that share places, each from another end. */
	for (unsigned i = 0; i < RACES; i++) {
		unsigned at = (uintptr_t)arg % 2 == 0 ? i : i ^ 7;

		if (auth_window_take(&w, 1, 1000 + at / 16, 1 + at % 16) == AUTH_WINDOW_NEW)
			atomic_fetch_add_explicit(&won[at], 1, memory_order_relaxed);
	}
	return NULL;
}

static void of_many_threads_one_wins(void **state)
{
	pthread_t thread[RACERS];

	pthread_barrier_init(&start, NULL, RACERS);
	for (uintptr_t i = 0; i < RACERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, racer, (void *)i), 0);
	for (unsigned i = 0; i < RACERS; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&start);
	/* None comes later than the window reaches, so each has exactly one winner. */
	for (unsigned i = 0; i < RACES; i++)
		assert_int_equal(atomic_load_explicit(&won[i], memory_order_relaxed), 1);
}

/* ---- what comes again ---- */

static void what_was_accepted_comes_again_for_half_a_minute(void **state)
{
	struct hash128 a = {1, 0xdeadbeef00000000ull}, b = {2, 0xdeadbeef00000000ull},
		       c = {1, 0xfeedbeef00000000ull};

	assert_false(auth_window_again(&w, a, HOUR));
	auth_window_accepted(&w, a, HOUR);
	assert_true(auth_window_again(&w, a, HOUR));
	assert_true(auth_window_again(&w, a, HOUR + 31 * CLOCK_NS_PER_S));
	assert_false(auth_window_again(&w, a, HOUR + 35 * CLOCK_NS_PER_S));
	assert_false(auth_window_again(&w, b, HOUR));
	/* One that takes the word. */
	auth_window_accepted(&w, c, HOUR);
	assert_false(auth_window_again(&w, a, HOUR));
	assert_true(auth_window_again(&w, c, HOUR));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_count_is_good_once),
		cmocka_unit_test(a_count_that_lags_too_far_is_not_taken_for_new),
		cmocka_unit_test(a_count_beyond_what_is_kept_is_lost),
		cmocka_unit_test(what_is_newer_takes_the_place_and_what_is_older_never_does),
		cmocka_unit_test(a_model_agrees),
		cmocka_unit_test(of_many_threads_one_wins),
		cmocka_unit_test(what_was_accepted_comes_again_for_half_a_minute),
	};

	return cmocka_run_group_tests(tests, open_window, close_window);
}
