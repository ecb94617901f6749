/* SPDX-License-Identifier: BSD-3-Clause */
/* The timer wheel against a model: nothing is early, nothing is lost, no call does more than it
 * may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "txn/wheel.h"

#define NODES 4000

struct timer {
	char front[20]; /* a node stands anywhere in its object */
	struct wheel_node node;
	bool stands;
};

struct bench {
	struct wheel wheel;
	struct timer timer[NODES];
	uint64_t random;
};

static struct bench *bench_new(uint32_t now)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	wheel_init(&b->wheel, (char *)b->timer + offsetof(struct timer, node), sizeof(struct timer),
		now);
	b->random = 88172645463325252ULL;
	return b;
}

static uint32_t draw(struct bench *b, uint32_t below)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return (uint32_t)(b->random >> 16) % below;
}

static void add(struct bench *b, uint32_t i, uint32_t due)
{
	assert_false(b->timer[i].stands);
	b->timer[i].stands = true;
	wheel_add(&b->wheel, i, due);
}

/* Takes out all that is due; returns how many, each of which has to be. */
static unsigned drain(struct bench *b, uint32_t now)
{
	unsigned budget = 1000000, n = 0;
	uint32_t i;

	while ((i = wheel_next(&b->wheel, now, &budget)) != WHEEL_NONE) {
		assert_in_range(i, 0, NODES - 1);
		assert_true(b->timer[i].stands);
		assert_true((int32_t)(b->timer[i].node.due - now) <= 0);
		b->timer[i].stands = false;
		n++;
	}
	assert_true(budget > 0);
	for (i = 0; i < NODES; i++)
		assert_true(!b->timer[i].stands || (int32_t)(b->timer[i].node.due - now) > 0);
	return n;
}

static void each_fires_in_its_tick(void **state)
{
	static const uint32_t after[] = {0, 1, 2, 255, 256, 257, 500, 511, 512, 4000, 32000, 65535,
		65536, 65537, 120000, 180000, 16777215, 16777216, 16777217, 36000000, 0x7ffffffe};
	static const uint32_t starts[] = {
		0, 1, 255, 65535, 16777215, 0xffffff00, 0xffffffff, 12345678};

	for (unsigned s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
		for (unsigned i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
			struct bench *b = bench_new(starts[s]);

			add(b, 7, starts[s] + after[i]);
			if (after[i] > 0)
				assert_int_equal(drain(b, starts[s] + after[i] - 1), 0);
			assert_int_equal(drain(b, starts[s] + after[i]), 1);
			assert_int_equal(drain(b, starts[s] + after[i]), 0);
			free(b);
		}
	}
}

static void at_random_it_is_as_a_list_would_be(void **state)
{
	static const uint32_t ranges[] = {10, 1000, 100000, 50000000};
	uint32_t now = 0xfffff000;
	struct bench *b = bench_new(now);

	for (unsigned round = 0; round < 3000; round++) {
		for (unsigned n = draw(b, 20); n > 0; n--) {
			uint32_t i = draw(b, NODES);

			if (b->timer[i].stands) {
				wheel_remove(&b->wheel, i);
				b->timer[i].stands = false;
			} else {
				add(b, i, now + draw(b, ranges[draw(b, 4)]));
			}
		}
		now += draw(b, 10) == 0 ? draw(b, 3000000) : draw(b, 300);
		drain(b, now);
	}
	drain(b, now + 60000000);
	for (uint32_t i = 0; i < NODES; i++)
		assert_false(b->timer[i].stands);
	free(b);
}

static void no_call_does_more_than_its_budget(void **state)
{
	struct bench *b = bench_new(1000);
	unsigned calls = 0, fired = 0;

	/* All in one tick, two levels up: each is moved down twice before it fires. */
	for (uint32_t i = 0; i < NODES; i++)
		add(b, i, 1000 + 200000);
	while (fired < NODES) {
		unsigned budget = 10;
		uint32_t i;

		while ((i = wheel_next(&b->wheel, 1000 + 200000, &budget)) != WHEEL_NONE) {
			b->timer[i].stands = false;
			fired++;
		}
		assert_int_equal(budget, 0);
		calls++;
		assert_in_range(calls, 1, NODES);
	}
	assert_in_range(calls, NODES / 10, NODES);
	free(b);
}

static void what_is_set_for_the_past_fires_at_once(void **state)
{
	struct bench *b = bench_new(50000);

	add(b, 1, 49000);
	add(b, 2, 50000);
	assert_int_equal(drain(b, 50000), 2);
	/* And while others of the same tick fire. */
	add(b, 3, 50000);
	assert_int_equal(drain(b, 50001), 1);
	free(b);
}

static void hours_without_a_timer_cost_nothing(void **state)
{
	struct bench *b = bench_new(77);
	unsigned budget = 3;

	add(b, 1, 77 + 36000000);
	/* A few moves down its levels. */
	assert_int_equal(wheel_next(&b->wheel, 77 + 36000000 - 1, &budget), WHEEL_NONE);
	assert_int_equal(drain(b, 77 + 36000000), 1);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fires_in_its_tick),
		cmocka_unit_test(at_random_it_is_as_a_list_would_be),
		cmocka_unit_test(no_call_does_more_than_its_budget),
		cmocka_unit_test(what_is_set_for_the_past_fires_at_once),
		cmocka_unit_test(hours_without_a_timer_cost_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
