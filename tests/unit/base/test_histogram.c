/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/histogram.h"

static struct histogram h, other;

static void a_bucket_is_its_values(void **state)
{
	/* Every bucket begins where the one before ends, and is less than 1 % wide. */
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t low = histogram_lowest(i), next = histogram_lowest(i + 1);

		assert_true(next > low);
		assert_int_equal(histogram_index(low), i);
		assert_int_equal(histogram_index(next - 1), i);
		if (low >= 256)
			assert_true((next - low) * 128 <= low);
		else
			assert_int_equal(next - low, 1);
	}
	assert_true(histogram_lowest(HISTOGRAM_BUCKETS) == HISTOGRAM_MAX + 1);
	assert_int_equal(histogram_index(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void empty(void **state)
{
	histogram_clear(&h);
	assert_int_equal(histogram_percentile(&h, 50), 0);
	assert_true(histogram_mean(&h) == 0);
	histogram_add_n(&h, 7, 0);
	assert_int_equal(h.count, 0);
	histogram_merge(&h, &h);
	assert_int_equal(h.count, 0);
}

static void percentiles(void **state)
{
	histogram_clear(&h);
	for (uint64_t v = 100; v >= 1; v--)
		histogram_add(&h, v);
	assert_int_equal(h.count, 100);
	assert_int_equal(h.min, 1);
	assert_int_equal(h.max, 100);
	assert_true(histogram_mean(&h) == 50.5);
	assert_int_equal(histogram_percentile(&h, 0), 1);
	assert_int_equal(histogram_percentile(&h, 50), 50);
	assert_int_equal(histogram_percentile(&h, 90), 90);
	assert_int_equal(histogram_percentile(&h, 99.5), 100);
	assert_int_equal(histogram_percentile(&h, 100), 100);
	/* The rank is the smallest that covers the share, not the one behind it. */
	for (uint64_t n = 1000; n <= 100000; n *= 10) {
		histogram_clear(&h);
		for (uint64_t i = 1; i <= n; i++)
			histogram_add(&h, i <= n / 1000 * 999 ? 1 : 100);
		assert_int_equal(histogram_percentile(&h, 99.9), 1);
		assert_int_equal(histogram_percentile(&h, 99.91), 100);
	}
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Against the values themselves, sorted: within 1 %. */
static void percentiles_of_many(void **state)
{
	enum { N = 20000 };
	static uint64_t value[N];
	static const double percent[] = {1, 10, 50, 90, 99, 99.9, 100};

	srand(7);
	histogram_clear(&h);
	for (unsigned i = 0; i < N; i++) {
		value[i] = (uint64_t)rand() >> (rand() % 28);
		histogram_add(&h, value[i]);
	}
	qsort(value, N, sizeof(value[0]), by_value);
	for (unsigned i = 0; i < sizeof(percent) / sizeof(percent[0]); i++) {
		unsigned rank = (unsigned)(percent[i] * N / 100 + 0.9999);
		uint64_t want = value[rank - 1], got = histogram_percentile(&h, percent[i]);

		assert_true(got >= want);
		assert_true(got <= want + want / 100);
	}
}

static void what_is_too_large_is_said(void **state)
{
	histogram_clear(&h);
	histogram_add(&h, 5);
	histogram_add(&h, 1ULL << 50);
	assert_int_equal(h.above, 1);
	assert_int_equal(h.count, 2);
	assert_true(h.max == 1ULL << 50);
	assert_true(histogram_percentile(&h, 100) == 1ULL << 50);
}

static void merging_is_adding(void **state)
{
	histogram_clear(&h);
	histogram_clear(&other);
	histogram_add_n(&h, 1000, 3);
	histogram_add_n(&other, 10, 2);
	histogram_add(&other, 1ULL << 41);
	histogram_merge(&h, &other);
	assert_int_equal(h.count, 6);
	assert_int_equal(h.min, 10);
	assert_true(h.max == 1ULL << 41);
	assert_int_equal(h.above, 1);
	assert_int_equal(histogram_percentile(&h, 33), 10);
	assert_true(h.sum == 3020 + (1ULL << 41));
}

static void written(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f;

	histogram_clear(&h);
	histogram_add_n(&h, 2000, 9);
	histogram_add(&h, 5000);
	f = open_memstream(&text, &size);
	assert_non_null(f);
	assert_int_equal(histogram_json(&h, 0.001, f), 0);
	fclose(f);
	/* 2000 lies in the bucket 2000..2007. */
	assert_string_equal(text,
		"{\"count\":10,\"min\":2,\"mean\":2.3,\"p50\":2.007,\"p90\":2.007,"
		"\"p99\":5,\"p999\":5,\"max\":5}");
	free(text);
	f = open_memstream(&text, &size);
	assert_int_equal(histogram_points(&h, 1, f), 0);
	fclose(f);
	assert_string_equal(
		text, "# value fraction count\n2007 0.900000000 9\n5000 1.000000000 1\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_is_its_values),
		cmocka_unit_test(empty),
		cmocka_unit_test(percentiles),
		cmocka_unit_test(percentiles_of_many),
		cmocka_unit_test(what_is_too_large_is_said),
		cmocka_unit_test(merging_is_adding),
		cmocka_unit_test(written),
	};

	return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
