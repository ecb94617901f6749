/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>

#include "common.h"

static const struct hash_key key = {{1, 2}};
static const uint64_t start = 1000 * CLOCK_NS_PER_S;

static unsigned take(
	struct access_rate *rate, const struct net_addr *source, unsigned times, uint64_t now)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < times; i++) {
		/* It is seen before it is taken, and looking takes nothing. */
		bool spent = access_rate_spent(rate, source, now);
		bool took;

		assert_int_equal(spent, access_rate_spent(rate, source, now));
		took = access_rate_take(rate, source, now);
		assert_int_equal(took, !spent);
		taken += took;
	}
	return taken;
}

static void test_a_source_gets_its_burst_and_then_its_rate(void **state)
{
	struct access_rate *rate = access_rate_create(1024, 10, 5, &key);
	struct net_addr source = address("192.0.2.1");

	assert_int_equal(take(rate, &source, 100, start), 5);
	assert_int_equal(take(rate, &source, 100, start + 99 * CLOCK_NS_PER_MS), 0);
	assert_int_equal(take(rate, &source, 100, start + 100 * CLOCK_NS_PER_MS), 1);
	assert_int_equal(take(rate, &source, 100, start + 350 * CLOCK_NS_PER_MS), 2);
	assert_int_equal(take(rate, &source, 100, start + 400 * CLOCK_NS_PER_MS), 1);
	/* Long silence fills the bucket, and no more than that. */
	assert_int_equal(take(rate, &source, 100, start + 1000 * CLOCK_NS_PER_S), 5);
	access_rate_destroy(rate);
}

static void test_the_clock_may_begin_at_nothing_and_stand(void **state)
{
	struct access_rate *rate = access_rate_create(1, 1, 3, &key);
	struct net_addr source = address("192.0.2.1");

	assert_int_equal(take(rate, &source, 10, 0), 3);
	assert_int_equal(take(rate, &source, 10, 0), 0);
	assert_int_equal(take(rate, &source, 10, CLOCK_NS_PER_S), 1);
	/* A thread's clock that is behind gives nothing away. */
	assert_int_equal(take(rate, &source, 10, 0), 0);
	access_rate_destroy(rate);
}

static void test_extremes_of_rate_and_burst(void **state)
{
	struct net_addr source = address("192.0.2.1");
	struct access_rate *rate = access_rate_create(16, 0, 10, &key);

	assert_int_equal(take(rate, &source, 10, start), 0);
	access_rate_destroy(rate);
	rate = access_rate_create(16, 1, 0, &key);
	assert_int_equal(take(rate, &source, 10, start), 1);
	access_rate_destroy(rate);
	rate = access_rate_create(0, UINT32_MAX, UINT32_MAX, &key);
	assert_int_equal(take(rate, &source, 1000, start), 1000);
	access_rate_destroy(rate);
}

/* One bucket a source with floating-point tokens that are refilled, as a textbook has it. */
static void test_any_arrival_gets_what_a_refilled_bucket_gives(void **state)
{
	enum { SOURCES = 8, PER_SECOND = 40, BURST = 7 };
	struct access_rate *rate = access_rate_create(4096, PER_SECOND, BURST, &key);
	struct net_addr source[SOURCES];
	uint64_t tokens[SOURCES], last[SOURCES], now = start;
	struct draw d = {99};
	const uint64_t unit = CLOCK_NS_PER_S / PER_SECOND;

	for (unsigned i = 0; i < SOURCES; i++) {
		source[i] = net_addr_v4(0x01020300 + i);
		tokens[i] = BURST * unit;
		last[i] = now;
	}
	for (unsigned n = 0; n < 100000; n++) {
		unsigned i = draw(&d, SOURCES);
		bool want;

		now += draw(&d, 8) == 0 ? draw(&d, 400) * CLOCK_NS_PER_MS
					: draw(&d, 3) * CLOCK_NS_PER_MS;
		tokens[i] += now - last[i];
		if (tokens[i] > BURST * unit)
			tokens[i] = BURST * unit;
		last[i] = now;
		want = tokens[i] >= unit;
		if (want)
			tokens[i] -= unit;
		assert_int_equal(access_rate_take(rate, &source[i], now), want);
	}
	access_rate_destroy(rate);
}

static void test_sources_do_not_share_while_there_is_room(void **state)
{
	struct access_rate *rate = access_rate_create(65536, 1, 2, &key);
	unsigned full = 0;

	for (uint32_t i = 0; i < 4096; i++) {
		struct net_addr source = net_addr_v4(i * 2654435761u);

		full += take(rate, &source, 3, start) == 2;
	}
	/* A sixteenth of the buckets is in use: a set of four with five sources is all but
	 * excluded. */
	assert_true(full >= 4090);
	access_rate_destroy(rate);
}

/* A flood of sources can't make memory grow, nor lift the sum beyond what all buckets hold. */
static void test_sources_beyond_the_table_share_its_buckets(void **state)
{
	enum { BUCKETS = 64, BURST = 4 };
	struct access_rate *rate = access_rate_create(BUCKETS, 1, BURST, &key);
	unsigned taken = 0;

	for (uint32_t i = 0; i < 100000; i++) {
		struct net_addr source = net_addr_v4(i);

		taken += access_rate_take(rate, &source, start);
	}
	assert_int_equal(taken, BUCKETS * BURST);
	access_rate_destroy(rate);
}

/* What others have spent is not held against a source that has no bucket yet, though it gets one of
 * theirs when it takes. */
static void test_nobody_is_spent_by_what_others_took(void **state)
{
	enum { BUCKETS = 4 };
	struct access_rate *rate = access_rate_create(BUCKETS, 1, 1, &key);

	for (uint32_t i = 0; i < BUCKETS; i++) {
		struct net_addr source = net_addr_v4(i);

		assert_true(access_rate_take(rate, &source, start));
		assert_true(access_rate_spent(rate, &source, start));
	}
	for (uint32_t i = BUCKETS; i < 100; i++) {
		struct net_addr source = net_addr_v4(i);

		assert_false(access_rate_take(rate, &source, start));
		assert_false(access_rate_spent(rate, &source, start));
	}
	access_rate_destroy(rate);
}

static void test_ipv6_counts_by_its_network(void **state)
{
	struct access_rate *rate = access_rate_create(1024, 1, 2, &key);
	struct net_addr a = address("2001:db8:0:1::1"), b = address("2001:db8:0:1:ffff::"),
			c = address("2001:db8:0:2::1");

	assert_true(access_rate_take(rate, &a, start));
	assert_true(access_rate_take(rate, &b, start));
	assert_false(access_rate_take(rate, &a, start));
	assert_true(access_rate_take(rate, &c, start));
	access_rate_destroy(rate);
}

/* However many threads ask at once: the rate is one. */
enum { THREADS = 4, TRIES = 20000, SHARED_BURST = 5000 };

static void *take_all(void *arg)
{
	static const struct net_addr source = {.family = 4, .b = {10, 10, 0, 2}};
	uintptr_t taken = 0;

	for (unsigned i = 0; i < TRIES; i++)
		taken += access_rate_take(arg, &source, start);
	return (void *)taken;
}

static void test_threads_share_a_rate(void **state)
{
	struct access_rate *rate = access_rate_create(1024, 1, SHARED_BURST, &key);
	pthread_t thread[THREADS];
	uintptr_t all = 0;
	void *taken;

	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, take_all, rate), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &taken);
		all += (uintptr_t)taken;
	}
	assert_int_equal(all, SHARED_BURST);
	access_rate_destroy(rate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_source_gets_its_burst_and_then_its_rate),
		cmocka_unit_test(test_the_clock_may_begin_at_nothing_and_stand),
		cmocka_unit_test(test_extremes_of_rate_and_burst),
		cmocka_unit_test(test_any_arrival_gets_what_a_refilled_bucket_gives),
		cmocka_unit_test(test_sources_do_not_share_while_there_is_room),
		cmocka_unit_test(test_sources_beyond_the_table_share_its_buckets),
		cmocka_unit_test(test_nobody_is_spent_by_what_others_took),
		cmocka_unit_test(test_ipv6_counts_by_its_network),
		cmocka_unit_test(test_threads_share_a_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
