/* SPDX-License-Identifier: BSD-3-Clause */
/* Pins: one binding for a transaction, whatever else happens at the same time. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/base.h"

#define S CLOCK_NS_PER_S
#define LIFE (32 * S)

static struct hash128 key_of(uint64_t n)
{
	static const struct hash_key key = {{3, 4}};
	struct hash h;

	hash_init128(&h, &key);
	hash_u64(&h, n);
	return hash_final128(&h);
}

static void a_binding_stands_until_its_time_is_over(void **state)
{
	struct pin_table *t = pin_create(1000);
	uint64_t now = 5000 * S;

	assert_int_equal(pin_find(t, key_of(1), now), 0);
	assert_int_equal(pin_put(t, key_of(1), 17, now, LIFE), 17);
	assert_int_equal(pin_find(t, key_of(1), now), 17);
	assert_int_equal(pin_find(t, key_of(1), now + LIFE), 17);
	/* Units are about a second. */
	assert_int_equal(pin_find(t, key_of(1), now + LIFE + 3 * S), 0);
	assert_int_equal(pin_put(t, key_of(1), 18, now + LIFE + 3 * S, LIFE), 18);
	pin_destroy(t);
}

static void the_first_binding_wins(void **state)
{
	struct pin_table *t = pin_create(1000);

	assert_int_equal(pin_put(t, key_of(1), 17, S, LIFE), 17);
	assert_int_equal(pin_put(t, key_of(1), 18, S, LIFE), 17);
	assert_int_equal(pin_count(t, S), 1);
	pin_destroy(t);
}

static void a_dropped_binding_is_gone_and_another_s_stays(void **state)
{
	struct pin_table *t = pin_create(1000);

	pin_put(t, key_of(1), 17, S, LIFE);
	pin_put(t, key_of(2), 17, S, LIFE);
	pin_drop(t, key_of(1), 16);
	assert_int_equal(pin_find(t, key_of(1), S), 17);
	pin_drop(t, key_of(1), 17);
	assert_int_equal(pin_find(t, key_of(1), S), 0);
	assert_int_equal(pin_find(t, key_of(2), S), 17);
	assert_int_equal(pin_put(t, key_of(1), 18, S, LIFE), 18);
	pin_destroy(t);
}

static void as_many_as_promised_find_room(void **state)
{
	const uint32_t n = 100000;
	struct pin_table *t = pin_create(n);
	uint32_t refused = 0;

	for (uint32_t i = 0; i < n; i++)
		refused += pin_put(t, key_of(i), 1 + i % 8000, S, LIFE) == 0;
	for (uint32_t i = 0; i < n; i++) {
		uint16_t id = pin_find(t, key_of(i), S);

		assert_true(id == 0 || id == 1 + i % 8000);
		refused -= id == 0;
	}
	print_message("%u bytes for %u pins\n", (unsigned)pin_bytes(t), n);
	assert_int_equal(refused, 0);
	pin_destroy(t);
}

static void a_full_table_refuses_and_forgets_nothing(void **state)
{
	struct pin_table *t = pin_create(64);
	uint32_t kept = 0;
	uint16_t got[4096];

	for (uint32_t i = 0; i < 4096; i++) {
		got[i] = pin_put(t, key_of(i), (uint16_t)(i + 1), S, LIFE);
		kept += got[i] != 0;
	}
	assert_true(kept >= 64 && kept < 4096);
	assert_int_equal(pin_count(t, S), kept);
	for (uint32_t i = 0; i < 4096; i++)
		assert_int_equal(pin_find(t, key_of(i), S), got[i]);
	/* Later there is room again, without a sweep too. */
	for (uint32_t i = 0; i < 64; i++)
		assert_int_not_equal(pin_put(t, key_of(10000 + i), 5, S + 40 * S, LIFE), 0);
	pin_destroy(t);
}

/* Puts so many pins for a payer; returns how many there was no room for. */
static uint32_t refused_of(
	struct pin_table *t, uint64_t whose, uint64_t first, uint32_t n, uint64_t now)
{
	const struct pin_payer payer[] = {{key_of(whose).lo, 64}, {key_of(~whose).lo, 8}};
	uint32_t refused = 0;

	for (uint32_t i = 0; i < n; i++) {
		bool over;
		uint16_t id = pin_put_for(t, key_of(first + i), 7, now, LIFE, payer, 2, &over);

		assert_int_equal(over, id == 0);
		refused += over;
	}
	return refused;
}

static void nobody_takes_the_part_of_another(void **state)
{
	struct pin_table *t = pin_create(64000);
	uint64_t now = 9000 * S;

	/* One takes what is there for everybody at once, a quarter, and no more. */
	assert_int_equal(refused_of(t, 1, 0, 16000, now), 0);
	assert_int_equal(refused_of(t, 1, 16000, 500000, now), 500000);
	assert_int_equal(pin_count(t, now), 16000);
	/* Others have their 64th, a half of it at once. */
	assert_int_equal(refused_of(t, 2, 1000000, 500, now), 0);
	assert_int_equal(refused_of(t, 2, 1000500, 500, now), 500);
	assert_int_equal(refused_of(t, 3, 2000000, 500, now), 0);
	/* In the life of a pin, half of the room is everybody's, and a 64th each one's. */
	for (unsigned i = 1; i < 32; i++)
		refused_of(t, 1, 3000000 + i * 10000, 10000, now + i * S);
	assert_in_range(pin_count(t, now + 31 * S), 31000, 33000);
	/* Who owed as much as there is owes no more than that: when all has ended, his part is
	 * there, whoever takes the rest. */
	now += 3 * LIFE;
	pin_sweep(t, now - 1);
	pin_sweep(t, now);
	assert_int_equal(refused_of(t, 4, 5000000, 16000, now), 0);
	assert_int_equal(refused_of(t, 1, 6000000, 500, now), 0);
	assert_int_equal(refused_of(t, 1, 6000500, 500, now), 500);
	pin_destroy(t);
}

static void who_pays_first_makes_no_second_binding(void **state)
{
	const struct pin_payer payer = {key_of(1).lo, 64};
	struct pin_table *t = pin_create(64);
	bool over = true;

	assert_int_equal(pin_put_for(t, key_of(1), 17, S, LIFE, &payer, 1, &over), 17);
	assert_false(over);
	assert_int_equal(pin_put_for(t, key_of(1), 18, S, LIFE, &payer, 1, &over), 17);
	/* Nor where no more is to be had. */
	while (!over)
		pin_put_for(t, key_of(pin_count(t, S) + 100), 5, S, LIFE, &payer, 1, &over);
	assert_int_equal(pin_put_for(t, key_of(1), 18, S, LIFE, &payer, 1, &over), 17);
	assert_true(over);
	pin_destroy(t);
}

static void a_sweep_leaves_what_lives_and_clears_the_rest_before_time_comes_round(void **state)
{
	struct pin_table *t = pin_create(10000);
	uint64_t now = 7 * S;

	for (uint32_t i = 0; i < 5000; i++)
		pin_put(t, key_of(i), 9, now, LIFE);
	/* Expiries are kept in a circle of 1,099 s: without the sweep these would live again. */
	for (unsigned i = 0; i < 1500; i++) {
		now += S;
		pin_sweep(t, now);
		if (i == 20)
			assert_int_equal(pin_count(t, now), 5000);
		if (i > 40)
			assert_int_equal(pin_find(t, key_of(i), now), 0);
	}
	assert_int_equal(pin_count(t, now), 0);
	pin_destroy(t);
}

static void a_sweep_counts_what_each_id_has(void **state)
{
	struct pin_table *t = pin_create(10000);
	uint64_t now = 7 * S;

	for (uint32_t i = 0; i < 5000; i++)
		pin_put(t, key_of(i), i % 5 == 0 ? 9 : 8191, now, 5 * LIFE);
	assert_int_equal(pin_count_of(t, 9), 0);
	for (unsigned i = 0; i < 66; i++)
		pin_sweep(t, now += S / 4);
	assert_int_equal(pin_count_of(t, 9), 0); /* not all have been seen yet */
	for (unsigned i = 0; i < 70; i++)
		pin_sweep(t, now += S / 4);
	assert_int_equal(pin_count_of(t, 9), 1000);
	assert_int_equal(pin_count_of(t, 8191), 4000);
	assert_int_equal(pin_count_of(t, 5), 0);
	assert_int_equal(pin_count_of(t, 8192), 0);
	for (uint32_t i = 0; i < 5000; i += 10)
		pin_drop(t, key_of(i), 9);
	for (unsigned i = 0; i < 270; i++)
		pin_sweep(t, now += S / 4);
	assert_int_equal(pin_count_of(t, 9), 500);
	for (unsigned i = 0; i < 1200; i++)
		pin_sweep(t, now += S / 4);
	assert_int_equal(pin_count_of(t, 9), 0);
	assert_int_equal(pin_count_of(t, 8191), 0);
	pin_destroy(t);
}

/* ---- threads ---- */

#define THREADS 4
#define ROUNDS 1500
#define KEYS 64 /* in one small table: buckets are fought for */

struct shared {
	struct pin_table *t;
	_Atomic uint32_t ready, round;
	_Atomic uint64_t now;
	uint16_t got[THREADS][KEYS];
	_Atomic bool stop;
};

struct hammer {
	struct shared *shared;
	unsigned index;
};

static void wait_for(struct shared *s, uint32_t round)
{
	atomic_fetch_add(&s->ready, 1);
	while (atomic_load(&s->round) < round)
		sched_yield();
}

/* All bind the same transactions at the same time, each to a destination of its own. */
static void *hammer(void *arg)
{
	struct hammer *h = arg;
	struct shared *s = h->shared;

	for (uint32_t round = 1; round <= ROUNDS; round++) {
		wait_for(s, round);
		for (unsigned i = 0; i < KEYS; i++) {
			unsigned k = (i * 7 + h->index * 13) % KEYS;
			struct hash128 key = key_of((uint64_t)round * KEYS + k);
			/* Time goes on under all of them: what one takes for free is not so yet for
			 * another. */
			uint64_t now = h->index == 0 ? atomic_fetch_add(&s->now, S / 128)
						     : atomic_load(&s->now);

			s->got[h->index][k] =
				pin_put(s->t, key, (uint16_t)(h->index + 1), now, 8 * S);
			if (s->got[h->index][k] != 0)
				assert_int_equal(pin_find(s->t, key, now), s->got[h->index][k]);
		}
	}
	wait_for(s, ROUNDS + 1);
	return NULL;
}

static void *sweeper(void *arg)
{
	struct shared *s = arg;

	while (!atomic_load(&s->stop)) {
		pin_sweep(s->t, atomic_load_explicit(&s->now, memory_order_relaxed));
		sched_yield();
	}
	return NULL;
}

static void workers_that_bind_one_transaction_agree(void **state)
{
	struct shared *s = calloc(1, sizeof(*s));
	struct hammer h[THREADS];
	pthread_t thread[THREADS], sweep;
	unsigned refused = 0;

	/* Small enough that rounds share buckets with those before, which expire meanwhile. */
	s->t = pin_create(KEYS * 16);
	atomic_store(&s->now, 1000 * S);
	for (unsigned i = 0; i < THREADS; i++) {
		h[i] = (struct hammer){s, i};
		assert_int_equal(pthread_create(&thread[i], NULL, hammer, &h[i]), 0);
	}
	assert_int_equal(pthread_create(&sweep, NULL, sweeper, s), 0);
	for (uint32_t round = 1; round <= ROUNDS + 1; round++) {
		while (atomic_load(&s->ready) < THREADS)
			sched_yield();
		if (round > 1) {
			for (unsigned k = 0; k < KEYS; k++) {
				for (unsigned i = 1; i < THREADS; i++)
					assert_true(s->got[i][k] == s->got[0][k] ||
						    s->got[i][k] == 0 || s->got[0][k] == 0);
				refused += s->got[0][k] == 0;
			}
		}
		atomic_store(&s->ready, 0);
		atomic_store(&s->round, round);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	atomic_store(&s->stop, true);
	pthread_join(sweep, NULL);
	print_message("%u of %u bindings were refused for want of room\n", refused, ROUNDS * KEYS);
	assert_true(refused < ROUNDS * KEYS / 10);
	pin_destroy(s->t);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_binding_stands_until_its_time_is_over),
		cmocka_unit_test(the_first_binding_wins),
		cmocka_unit_test(a_dropped_binding_is_gone_and_another_s_stays),
		cmocka_unit_test(as_many_as_promised_find_room),
		cmocka_unit_test(a_full_table_refuses_and_forgets_nothing),
		cmocka_unit_test(nobody_takes_the_part_of_another),
		cmocka_unit_test(who_pays_first_makes_no_second_binding),
		cmocka_unit_test(
			a_sweep_leaves_what_lives_and_clears_the_rest_before_time_comes_round),
		cmocka_unit_test(a_sweep_counts_what_each_id_has),
		cmocka_unit_test(workers_that_bind_one_transaction_agree),
	};

	return cmocka_run_group_tests_name("base/pin", tests, NULL, NULL);
}
