/* SPDX-License-Identifier: BSD-3-Clause */
/* Properties of the tables: fair, bounded in what a change moves, the same everywhere. */
#include "common.h"

#define TARGETS_MAX 1001

struct fixture {
	struct maglev_target target[TARGETS_MAX];
	char name[TARGETS_MAX][32];
};

static uint32_t equal_weight(unsigned i)
{
	return 1;
}

static uint32_t mixed_weight(unsigned i)
{
	static const uint32_t weight[] = {1, 50, 3, 1000, 7, 100, 25};

	return weight[i % 7];
}

/* Targets 0..n, without `skip`; ids begin at 1 and stay with their names. */
static unsigned fill(struct fixture *f, unsigned n, unsigned skip, uint32_t (*weight)(unsigned))
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		if (i == skip)
			continue;
		snprintf(f->name[count], sizeof(f->name[count]), "sip:10.0.%u.%u:5060", i / 256,
			i % 256);
		f->target[count] =
			(struct maglev_target){str_c(f->name[count]), weight(i), (uint16_t)(i + 1)};
		count++;
	}
	return count;
}

static struct maglev *build(struct fixture *f, unsigned n)
{
	struct maglev *m = maglev_build(f->target, n);

	assert_non_null(m);
	return m;
}

static void shares(const struct maglev *m, uint32_t *share)
{
	memset(share, 0, (TARGETS_MAX + 1) * sizeof(*share));
	for (uint32_t i = 0; i < m->size; i++) {
		assert_in_range(m->slot[i], 1, TARGETS_MAX);
		share[m->slot[i]]++;
	}
}

static void size_is_a_prime_above_a_hundred_slots_each(void **state)
{
	static const unsigned n[] = {0, 1, 2, 26, 150, 655, 656, 1000, 4096};

	for (unsigned i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
		uint32_t size = maglev_size(n[i]);

		assert_true(size >= 65537 && size > 100 * n[i]);
		for (uint32_t p = 2; p * p <= size; p++)
			assert_true(size % p != 0);
	}
	assert_int_equal(maglev_size(26), 65537);
	assert_int_equal(maglev_size(655), 65537);
	/* Steps are wide, as another size moves nearly every key. */
	assert_int_equal(maglev_size(656), maglev_size(1310));
}

static void equal_targets_differ_by_one_slot_at_most(void **state)
{
	/* 26 and 150 are where tables of 100 slots give one target a quarter or all. */
	static const unsigned n[] = {1, 2, 3, 7, 26, 150, 500, 1000};
	struct fixture *f = calloc(1, sizeof(*f));
	uint32_t share[TARGETS_MAX + 1];

	for (unsigned i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
		struct maglev *m = build(f, fill(f, n[i], UINT32_MAX, equal_weight));
		uint32_t low = UINT32_MAX, high = 0;

		shares(m, share);
		for (unsigned j = 1; j <= n[i]; j++) {
			low = share[j] < low ? share[j] : low;
			high = share[j] > high ? share[j] : high;
		}
		assert_true(high - low <= 1);
		free(m);
	}
	free(f);
}

static void weighted_shares_are_exact_to_a_slot(void **state)
{
	static const unsigned n[] = {2, 5, 26, 150, 1000};
	struct fixture *f = calloc(1, sizeof(*f));
	uint32_t share[TARGETS_MAX + 1];

	for (unsigned i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
		struct maglev *m = build(f, fill(f, n[i], UINT32_MAX, mixed_weight));
		unsigned lifted = 0;
		double sum = 0;

		for (unsigned j = 0; j < n[i]; j++)
			sum += mixed_weight(j);
		shares(m, share);
		for (unsigned j = 0; j < n[i]; j++) {
			double exact = mixed_weight(j) * (double)m->size / sum;

			assert_true(share[j + 1] >= 1);
			lifted += exact < 1;
			if (mixed_weight(j) < 1000)
				assert_true(
					share[j + 1] > exact - 1 && share[j + 1] < exact + 1.001);
			else /* the largest give what lifts others to one slot */
				assert_true(share[j + 1] > exact - 1 - lifted &&
					    share[j + 1] < exact + 1);
		}
		free(m);
	}
	free(f);
}

static uint32_t mostly_heavy(unsigned i)
{
	return i == 0 ? 1 : 1000;
}

static void the_lightest_of_a_thousand_still_has_a_slot(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct maglev *m = build(f, fill(f, 1000, UINT32_MAX, mostly_heavy));
	uint32_t share[TARGETS_MAX + 1];

	shares(m, share);
	assert_int_equal(share[1], 1);
	free(m);
	free(f);
}

static double moved(const struct maglev *a, const struct maglev *b)
{
	uint32_t n = 0;

	assert_int_equal(a->size, b->size);
	for (uint32_t i = 0; i < a->size; i++)
		n += a->slot[i] != b->slot[i];
	return (double)n / a->size;
}

/* What has to move is the share of who comes or goes; Maglev moves a few per cent of the table
 * beside it. */
static void check_removal(unsigned n, uint32_t (*weight)(unsigned), double beside)
{
	struct fixture *f = calloc(1, sizeof(*f)), *g = calloc(1, sizeof(*g));
	struct maglev *all = build(f, fill(f, n, UINT32_MAX, weight));
	double sum = 0, worst = 0;

	for (unsigned i = 0; i < n; i++)
		sum += weight(i);
	for (unsigned i = 0; i < n; i += n / 5 + 1) {
		struct maglev *less = build(g, fill(g, n, i, weight));
		double excess = moved(all, less) - weight(i) / sum;

		worst = excess > worst ? excess : worst;
		free(less);
	}
	print_message("%u targets, %s: at worst %.2f %% of the slots move beside the share of who "
		      "leaves\n",
		n, weight == equal_weight ? "equal" : "weighted", 100 * worst);
	assert_true(worst <= beside);
	free(all);
	free(f);
	free(g);
}

static void a_removal_moves_little_beside_its_own_share(void **state)
{
	check_removal(2, equal_weight, 0.001);
	check_removal(4, equal_weight, 0.01);
	check_removal(26, equal_weight, 0.02);
	check_removal(150, equal_weight, 0.02);
	check_removal(600, equal_weight, 0.02);
	check_removal(1000, equal_weight, 0.02);
	check_removal(26, mixed_weight, 0.02);
	check_removal(150, mixed_weight, 0.02);
	check_removal(1000, mixed_weight, 0.02);
}

static void a_change_of_weight_moves_little_beside_the_difference(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f)), *g = calloc(1, sizeof(*g));
	unsigned n = fill(f, 10, UINT32_MAX, equal_weight);
	struct maglev *before, *after;

	for (unsigned i = 0; i < n; i++)
		f->target[i].weight = 10;
	*g = *f;
	for (unsigned i = 0; i < n; i++)
		g->target[i].identity = str_c(g->name[i]);
	g->target[3].weight = 5;
	before = build(f, n);
	after = build(g, n);
	/* It had a tenth, and has 5 of 95. */
	print_message("a weight halved: %.2f %% of the slots move, %.2f %% have to\n",
		100 * moved(before, after), 100 * (0.1 - 5.0 / 95));
	assert_true(moved(before, after) < 0.1 - 5.0 / 95 + 0.02);
	free(before);
	free(after);
	free(f);
	free(g);
}

static void the_order_of_the_list_does_not_matter(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	unsigned n = fill(f, 50, UINT32_MAX, mixed_weight);
	struct maglev *a, *b;
	struct maglev_target reversed[50];

	for (unsigned i = 0; i < n; i++)
		reversed[i] = f->target[n - 1 - i];
	a = build(f, n);
	b = maglev_build(reversed, n);
	assert_non_null(b);
	assert_true(moved(a, b) == 0);
	free(a);
	free(b);
	free(f);
}

static void nothing_with_a_weight_makes_no_table(void **state)
{
	struct maglev_target target = {STR("x"), 0, 1};

	assert_null(maglev_build(&target, 1));
	assert_int_equal(errno, 0);
	assert_null(maglev_build(&target, 0));
}

static void a_walk_meets_every_slot_once(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct maglev *m = build(f, fill(f, 3, UINT32_MAX, equal_weight));
	uint8_t *seen = calloc(m->size, 1);
	uint64_t random = 99;

	for (unsigned i = 0; i < 20; i++) {
		struct maglev_walk w = maglev_begin(m, i == 0   ? 0
						       : i == 1 ? UINT64_MAX
								: test_random(&random));

		memset(seen, 0, m->size);
		for (uint32_t j = 0; j < m->size; j++) {
			assert_true(w.at < m->size && seen[w.at] == 0);
			seen[w.at] = 1;
			maglev_next(m, &w);
		}
	}
	free(seen);
	free(m);
	free(f);
}

static void turns_are_exact_and_evenly_spread(void **state)
{
	uint32_t quota[] = {5, 1, 1, 0};
	uint16_t turn[7];
	unsigned count[4] = {0}, run = 0;

	assert_int_equal(maglev_turns(quota, 4, turn), 0);
	for (unsigned i = 0; i < 7; i++) {
		count[turn[i]]++;
		run = turn[i] == 0 ? run + 1 : 0;
		/* 5 of 7 turns never stand in one row. */
		assert_true(run <= 3);
	}
	assert_int_equal(count[0], 5);
	assert_int_equal(count[1], 1);
	assert_int_equal(count[2], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_is_a_prime_above_a_hundred_slots_each),
		cmocka_unit_test(equal_targets_differ_by_one_slot_at_most),
		cmocka_unit_test(weighted_shares_are_exact_to_a_slot),
		cmocka_unit_test(the_lightest_of_a_thousand_still_has_a_slot),
		cmocka_unit_test(a_removal_moves_little_beside_its_own_share),
		cmocka_unit_test(a_change_of_weight_moves_little_beside_the_difference),
		cmocka_unit_test(the_order_of_the_list_does_not_matter),
		cmocka_unit_test(nothing_with_a_weight_makes_no_table),
		cmocka_unit_test(a_walk_meets_every_slot_once),
		cmocka_unit_test(turns_are_exact_and_evenly_spread),
	};

	return cmocka_run_group_tests_name("dispatch/maglev", tests, NULL, NULL);
}
