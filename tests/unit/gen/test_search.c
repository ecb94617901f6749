/* SPDX-License-Identifier: BSD-3-Clause */
/* The searches against systems whose capacity is known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "search.h"

/* A system that fails above its capacity, and a generator that is late above its own. */
struct world {
	double capacity;
	double generator;  /* infinite: never the limit */
	double noise;      /* the capacity of a trial varies by that fraction, both ways */
	double hiccup;     /* probability of a trial that the generator spoils, whatever the rate */
	double short_only; /* trials shorter than 10 s pass up to that rate (a queue fills slowly)
			    */
	double loss;       /* fraction lost even at rest */
	unsigned stop_after;
	int error;
	uint64_t seed;

	unsigned trials, full;
	double highest_asked;
	double attempts_asked; /* the fewest of any trial */
	double passed[SEARCH_TRIALS_MAX], failed[SEARCH_TRIALS_MAX];
	unsigned n_passed, n_failed;
};

static double draw(struct world *world)
{
	/* xorshift64*: the same sequence everywhere */
	world->seed ^= world->seed >> 12;
	world->seed ^= world->seed << 25;
	world->seed ^= world->seed >> 27;
	return (double)((world->seed * 2685821657736338717ull) >> 11) / 9007199254740992.0;
}

static int trial(void *arg, const struct search_ask *ask, struct search_outcome *out)
{
	struct world *world = arg;
	double capacity = world->capacity, attempts, lost = 0;

	assert_true(ask->rate > 0);
	assert_true(ask->low < ask->high);
	assert_int_equal(ask->number, world->trials + 1);
	if (world->stop_after != 0 && world->trials >= world->stop_after)
		return world->error != 0 ? world->error : 1;
	world->trials++;
	world->full += ask->full;
	world->highest_asked = fmax(world->highest_asked, ask->rate);
	attempts = ask->attempts != 0 ? (double)ask->attempts : ask->rate * ask->seconds;
	world->attempts_asked = fmin(world->attempts_asked, attempts);
	out->attempts = (uint64_t)fmax(attempts, 1);
	out->seconds = attempts / ask->rate;
	if (world->short_only > 0 && out->seconds < 10)
		capacity = world->short_only;
	if (world->noise > 0)
		capacity *= 1 + world->noise * (2 * draw(world) - 1);
	out->limited =
		ask->rate > world->generator || (world->hiccup > 0 && draw(world) < world->hiccup);
	if (ask->rate > capacity)
		lost = 1 - capacity / ask->rate;
	lost = fmax(lost, world->loss);
	if (lost > 0 && !isnan(lost))
		out->failures = (uint64_t)fmax(1, lost * (double)out->attempts);
	if (!out->limited && out->failures <= ask->loss * (double)out->attempts)
		world->passed[world->n_passed++] = ask->rate;
	else if (!out->limited)
		world->failed[world->n_failed++] = ask->rate;
	return 0;
}

static struct world world_of(double capacity)
{
	return (struct world){.capacity = capacity,
		.generator = INFINITY,
		.seed = 88172645463325252ull,
		.attempts_asked = INFINITY};
}

static struct search_desk desk;

static struct ser_terms ser_terms(void)
{
	return (struct ser_terms){.r = 100, .w = 0.10, .n = 50000, .repeats = 10, .max = INFINITY};
}

static enum search_end ser(
	struct world *world, const struct ser_terms *terms, struct search_result *out)
{
	desk = (struct search_desk){.trial = trial, .arg = world, .trials_max = 400};
	return ser_find(terms, &desk, out);
}

static struct ndr_terms ndr_terms(void)
{
	return (struct ndr_terms){.start = 1000,
		.min = 1,
		.max = 1e8,
		.resolution = 0.01,
		.seconds = 2,
		.final_seconds = 60};
}

static enum search_end ndr(
	struct world *world, const struct ndr_terms *terms, struct search_result *out)
{
	desk = (struct search_desk){.trial = trial, .arg = world, .trials_max = 400};
	return ndr_find(terms, &desk, out);
}

static bool has(const double *rates, unsigned n, double rate)
{
	for (unsigned i = 0; i < n; i++)
		if (rates[i] == rate)
			return true;
	return false;
}

/* ---- RFC 7502 4.10 ---- */

/* Appendix A: "the max sps that the DUT can handle is 458 sps, which is close to the absolute
 * maximum of 460". */
static void test_ser_is_the_rfc_s_own_example(void **state)
{
	struct world world = world_of(460);
	struct ser_terms terms = ser_terms();
	struct search_result out;

	assert_int_equal(ser(&world, &terms, &out), SEARCH_FOUND);
	assert_true(out.rate == 458);
	assert_int_equal(out.converging, 10);
	assert_int_equal(out.trials, 38);
	assert_true(world.attempts_asked == 50000);
	assert_true(out.above > 460);
}

static void test_ser_finds_within_ten_percent(void **state)
{
	static const double capacities[] = {
		1, 2, 5, 9, 10, 11, 50, 99, 100, 101, 109, 110, 111, 1000, 4711, 92000, 3000000};

	for (unsigned i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		struct world world = world_of(capacities[i]);
		struct ser_terms terms = ser_terms();
		struct search_result out;

		assert_int_equal(ser(&world, &terms, &out), SEARCH_FOUND);
		assert_true(out.rate <= capacities[i]);
		assert_true(out.rate >= floor(capacities[i] / 1.1));
		assert_true(has(world.passed, world.n_passed, out.rate));
		assert_false(has(world.failed, world.n_failed, out.rate));
		assert_true(out.trials <= 150);
		assert_non_null(desk_passed(&desk, out.rate));
	}
}

static void test_ser_weights(void **state)
{
	struct ser_terms terms = ser_terms();
	struct world world = world_of(460);
	struct search_result out;

	/* w = 1: 100, 200, 400, 800 fails; d = 0.5: 400; then w = 0.5, d = 0.25. */
	terms.w = 1;
	assert_int_equal(ser(&world, &terms, &out), SEARCH_FOUND);
	assert_true(desk.log[3].ask.rate == 800);
	assert_true(desk.log[4].ask.rate == 400);
	assert_true(desk.log[5].ask.rate == 600);
	assert_true(desk.log[6].ask.rate == 450);
	assert_true(out.rate <= 460 && out.rate >= 418);
}

static void test_ser_grows_n_with_the_rate(void **state)
{
	struct ser_terms terms = ser_terms();
	struct world world = world_of(5000);
	struct search_result out;

	terms.seconds = 60;
	terms.r = 4000;
	assert_int_equal(ser(&world, &terms, &out), SEARCH_FOUND);
	assert_true(world.attempts_asked > 50000);
	for (unsigned i = 0; i < desk.trials; i++)
		assert_true((double)desk.log[i].ask.attempts >= 60 * desk.log[i].ask.rate);
}

static void test_ser_no_capacity(void **state)
{
	struct world world = world_of(0);
	struct ser_terms terms = ser_terms();
	struct search_result out;

	assert_int_equal(ser(&world, &terms, &out), SEARCH_NONE);
	assert_true(out.rate == 0);
	assert_true(out.trials <= 50);
}

static void test_ser_endless_capacity(void **state)
{
	struct world world = world_of(INFINITY);
	struct ser_terms terms = ser_terms();
	struct search_result out;

	terms.max = 5000;
	assert_int_equal(ser(&world, &terms, &out), SEARCH_CEILING);
	assert_true(out.rate == 5000);
	assert_true(world.highest_asked == 5000);
	assert_true(out.above == 0);
	/* Without a ceiling nothing ends it but the number of trials. */
	world = world_of(INFINITY);
	terms.max = INFINITY;
	assert_int_equal(ser(&world, &terms, &out), SEARCH_TRIALS);
	assert_int_equal(out.trials, 400);
	assert_int_equal(world.trials, 400);
	assert_true(out.rate > 0);
}

static void test_ser_generator_is_the_limit(void **state)
{
	struct world world = world_of(INFINITY);
	struct ser_terms terms = ser_terms();
	struct search_result out;

	world.generator = 2000;
	assert_int_equal(ser(&world, &terms, &out), SEARCH_GENERATOR);
	assert_true(out.rate <= 2000 && out.rate > 1800);
	assert_true(out.above > 2000);
	assert_int_equal(world.n_failed, 0);
	/* Its limit above the system's does no harm. */
	world = world_of(1500);
	world.generator = 2000;
	assert_int_equal(ser(&world, &terms, &out), SEARCH_FOUND);
	assert_true(out.rate <= 1500 && out.rate > 1350);
	/* One that can do nothing says nothing about the system. */
	world = world_of(1500);
	world.generator = 0;
	assert_int_equal(ser(&world, &terms, &out), SEARCH_GENERATOR);
	assert_true(out.rate == 0);
}

static void test_ser_a_spoilt_trial_is_run_again(void **state)
{
	unsigned found = 0;

	for (unsigned seed = 1; seed <= 50; seed++) {
		struct world world = world_of(1000);
		struct ser_terms terms = ser_terms();
		struct search_result out;

		world.seed = seed * 7919;
		world.hiccup = 0.1;
		found += ser(&world, &terms, &out) == SEARCH_FOUND && out.rate > 900;
		assert_true(out.rate <= 1000);
	}
	assert_true(found >= 45);
}

/* The last word about a reported rate is that it passed, and nothing at or below it failed since.
 */
static void assert_stands(const struct search_result *out)
{
	const struct search_record *passed = desk_passed(&desk, out->rate);

	assert_non_null(passed);
	for (unsigned i = passed->ask.number; i < desk.trials; i++)
		assert_false(
			desk.log[i].mark == SEARCH_FAILED && desk.log[i].ask.rate <= out->rate);
}

static void test_ser_noise(void **state)
{
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct world world = world_of(1000);
		struct ser_terms terms = ser_terms();
		struct search_result out;

		world.seed = seed * 104729;
		world.noise = 0.2;
		ser(&world, &terms, &out);
		assert_int_equal(out.end, SEARCH_FOUND);
		assert_true(out.rate <= 1200 && out.rate >= 600);
		assert_true(out.trials <= 400);
		assert_stands(&out);
	}
}

/* ---- trials that end as a script says, whatever the rate ---- */

static int scripted(void *arg, const struct search_ask *ask, struct search_outcome *out)
{
	const char **script = arg;
	char c = **script;

	if (c == '\0')
		return 1;
	(*script)++;
	out->attempts = c == '0' ? 0 : 100;
	out->failures = c == 'F';
	out->limited = c == 'L';
	out->seconds = 1;
	return 0;
}

static enum search_end ser_scripted(
	const char *script, const struct ser_terms *terms, struct search_result *out)
{
	desk = (struct search_desk){
		.trial = scripted, .arg = &script, .trials_max = 5 * SEARCH_TRIALS_MAX};
	return ser_find(terms, &desk, out);
}

/* Below 10 floor(r + 0.10 r) is r: the RFC's loop would count that as converging. */
static void test_ser_rises_by_one_at_least(void **state)
{
	struct ser_terms terms = ser_terms();
	struct world world = world_of(9);
	struct search_result out;

	terms.r = 5;
	assert_int_equal(ser(&world, &terms, &out), SEARCH_FOUND);
	assert_true(out.rate == 9);
}

static void test_ser_only_a_failure_takes_back_what_passed(void **state)
{
	struct ser_terms terms = ser_terms();
	struct search_result out;

	/* 100 and 110 pass, 121 fails, 108 is limited thrice: 110 stands. */
	assert_int_equal(ser_scripted("PPFLLL", &terms, &out), SEARCH_STOPPED);
	assert_true(desk.log[3].ask.rate == 108 && desk.log[5].ask.rate == 108);
	assert_true(out.rate == 110);
	/* 108 fails: 100 is left; then 97 fails too: nothing is. */
	assert_int_equal(ser_scripted("PPFF", &terms, &out), SEARCH_STOPPED);
	assert_true(out.rate == 100);
	assert_int_equal(ser_scripted("PPFFF", &terms, &out), SEARCH_STOPPED);
	assert_true(desk.log[4].ask.rate == 97 && out.rate == 0);
}

static void test_ser_a_failure_near_by_is_an_answer(void **state)
{
	struct ser_terms terms = ser_terms();
	struct search_result out;

	/* 100 passes, 110 fails; 99, 108 is limited: less than the failure, but 110 is within a
	 * step. */
	terms.repeats = 2;
	assert_int_equal(ser_scripted("PFPLLLP", &terms, &out), SEARCH_FOUND);
	assert_true(desk.log[3].ask.rate == 108 && out.rate == 100 && out.above == 108);
	/* A trial that was limited and passed when it was run again bounds nothing. */
	terms.max = 110;
	assert_int_equal(ser_scripted("PLPPP", &terms, &out), SEARCH_CEILING);
	assert_true(out.rate == 110 && out.above == 0);
	/* Nor does one that was limited at first and failed then. */
	assert_int_equal(ser_scripted("PLFPLFP", &terms, &out), SEARCH_FOUND);
}

static void test_the_log_is_bounded(void **state)
{
	static char script[SEARCH_TRIALS_MAX + 100];
	struct ser_terms terms = ser_terms();
	struct search_result out;

	memset(script, 'P', sizeof(script) - 1);
	terms.max = 1000;
	terms.repeats = UINT32_MAX;
	assert_int_equal(ser_scripted(script, &terms, &out), SEARCH_TRIALS);
	assert_int_equal(desk.trials, SEARCH_TRIALS_MAX);
	assert_true(out.rate == 1000);
}

static void test_nothing_attempted_is_no_success(void **state)
{
	struct ser_terms terms = ser_terms();
	struct search_result out;

	assert_int_equal(ser_scripted("0", &terms, &out), SEARCH_STOPPED);
	assert_int_equal(desk.log[0].mark, SEARCH_FAILED);
	assert_true(out.rate == 0);
}

/* ---- RFC 2544 26.1 ---- */

static void test_ndr_converges_within_resolution(void **state)
{
	static const double resolutions[] = {0.1, 0.01, 0.001};
	static const double capacities[] = {
		1, 1.5, 3, 42, 99.5, 100, 101, 999, 1000, 1001, 65536, 3e6, 9.9e7};

	for (unsigned i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++)
		for (unsigned k = 0; k < 3; k++) {
			struct world world = world_of(capacities[i]);
			struct ndr_terms terms = ndr_terms();
			struct search_result out;
			double room;

			terms.resolution = resolutions[k];
			assert_int_equal(ndr(&world, &terms, &out), SEARCH_FOUND);
			room = fmax(resolutions[k] * out.rate, out.rate < 100 ? 0 : 1) + 1e-9;
			assert_true(out.rate <= capacities[i]);
			assert_true(capacities[i] - out.rate <= room);
			assert_true(out.above - out.rate <= room);
			assert_false(has(world.failed, world.n_failed, out.rate));
			assert_true(desk_passed(&desk, out.rate)->ask.full);
			assert_true(desk_passed(&desk, out.rate)->ask.seconds == 60);
			assert_int_equal(world.full, 1);
			assert_true(out.trials <= 45);
		}
}

/* A queue that fills within half a minute: short trials see more than what lasts. */
static void test_ndr_the_full_length_decides(void **state)
{
	struct world world = world_of(900);
	struct ndr_terms terms = ndr_terms();
	struct search_result out;

	world.short_only = 1400;
	assert_int_equal(ndr(&world, &terms, &out), SEARCH_FOUND);
	assert_true(out.rate <= 900 && out.rate >= 890);
	assert_true(desk_passed(&desk, out.rate)->ask.full);
	assert_false(has(world.failed, world.n_failed, out.rate));
	assert_true(world.full <= 20);
}

static void test_ndr_no_capacity(void **state)
{
	struct world world = world_of(0);
	struct ndr_terms terms = ndr_terms();
	struct search_result out;

	assert_int_equal(ndr(&world, &terms, &out), SEARCH_NONE);
	assert_true(out.rate == 0 && out.above == 1);
	assert_true(out.trials <= 12);
	/* Or one that only short trials pass. */
	world = world_of(0);
	world.short_only = 500;
	assert_int_equal(ndr(&world, &terms, &out), SEARCH_NONE);
	assert_true(out.rate == 0);
	assert_true(out.trials <= 40);
}

static void test_ndr_endless_capacity(void **state)
{
	struct world world = world_of(INFINITY);
	struct ndr_terms terms = ndr_terms();
	struct search_result out;

	terms.max = 100000;
	assert_int_equal(ndr(&world, &terms, &out), SEARCH_CEILING);
	assert_true(out.rate == 100000 && world.highest_asked == 100000 && out.above == 0);
	assert_true(desk_passed(&desk, out.rate)->ask.full);
	assert_true(out.trials <= 10);
}

static void test_ndr_generator_is_the_limit(void **state)
{
	struct world world = world_of(INFINITY);
	struct ndr_terms terms = ndr_terms();
	struct search_result out;

	world.generator = 12345;
	assert_int_equal(ndr(&world, &terms, &out), SEARCH_GENERATOR);
	assert_true(out.rate <= 12345 && out.rate >= 12200 && out.above > 12345);
	assert_int_equal(world.n_failed, 0);
	world = world_of(4000);
	world.generator = 6000;
	assert_int_equal(ndr(&world, &terms, &out), SEARCH_FOUND);
	assert_true(out.rate <= 4000 && out.rate >= 3960);
	/* Both at the same rate: the generator is believed first, since it did not offer what it
	 * should. */
	world = world_of(0);
	world.generator = 0;
	assert_int_equal(ndr(&world, &terms, &out), SEARCH_GENERATOR);
	assert_true(out.rate == 0);
}

static void test_ndr_bounds(void **state)
{
	struct world world = world_of(50);
	struct ndr_terms terms = ndr_terms();
	struct search_result out;

	terms.min = 200;
	assert_int_equal(ndr(&world, &terms, &out), SEARCH_NONE);
	for (unsigned i = 0; i < desk.trials; i++)
		assert_true(desk.log[i].ask.rate >= 200);
	world = world_of(1e9);
	terms.max = 1500;
	terms.start = 1500;
	assert_int_equal(ndr(&world, &terms, &out), SEARCH_CEILING);
	assert_true(out.rate == 1500);
}

static void test_pdr_allows_a_loss(void **state)
{
	struct world world = world_of(10000);
	struct ndr_terms terms = ndr_terms();
	struct search_result out;

	world.loss = 0.002;
	assert_int_equal(ndr(&world, &terms, &out), SEARCH_NONE);
	world = world_of(10000);
	world.loss = 0.002;
	terms.loss = 0.005;
	assert_int_equal(ndr(&world, &terms, &out), SEARCH_FOUND);
	/* At 10050 half a percent is lost. */
	assert_true(out.rate >= 9900 && out.rate <= 10051);
}

static void test_ndr_noise(void **state)
{
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct world world = world_of(10000);
		struct ndr_terms terms = ndr_terms();
		struct search_result out;

		world.seed = seed * 15485863;
		world.noise = 0.1;
		world.hiccup = 0.05;
		ndr(&world, &terms, &out);
		assert_true(out.end == SEARCH_FOUND || out.end == SEARCH_GENERATOR);
		assert_true(out.rate >= 5000 && out.rate <= 11000);
		assert_true(desk_passed(&desk, out.rate)->ask.full);
		assert_stands(&out);
		assert_true(out.trials <= 120);
	}
}

/* ---- both ---- */

static void test_stop_and_error(void **state)
{
	struct world world = world_of(5000);
	struct ser_terms s = ser_terms();
	struct ndr_terms n = ndr_terms();
	struct search_result out;

	world.stop_after = 5;
	assert_int_equal(ser(&world, &s, &out), SEARCH_STOPPED);
	assert_true(out.rate == 146); /* 100, 110, 121, 133, 146 passed */
	assert_int_equal(out.trials, 5);
	world = world_of(5000);
	world.stop_after = 2;
	world.error = -19;
	assert_int_equal(ndr(&world, &n, &out), SEARCH_ERROR);
	assert_int_equal(out.error, 19);
	assert_true(out.rate == 2000);
}

static void test_trials_are_bounded(void **state)
{
	struct world world = world_of(5000);
	struct ndr_terms terms = ndr_terms();
	struct search_result out;

	desk = (struct search_desk){.trial = trial, .arg = &world, .trials_max = 3};
	assert_int_equal(ndr_find(&terms, &desk, &out), SEARCH_TRIALS);
	assert_int_equal(world.trials, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ser_is_the_rfc_s_own_example),
		cmocka_unit_test(test_ser_finds_within_ten_percent),
		cmocka_unit_test(test_ser_weights),
		cmocka_unit_test(test_ser_grows_n_with_the_rate),
		cmocka_unit_test(test_ser_no_capacity),
		cmocka_unit_test(test_ser_endless_capacity),
		cmocka_unit_test(test_ser_generator_is_the_limit),
		cmocka_unit_test(test_ser_a_spoilt_trial_is_run_again),
		cmocka_unit_test(test_ser_noise),
		cmocka_unit_test(test_ndr_converges_within_resolution),
		cmocka_unit_test(test_ndr_the_full_length_decides),
		cmocka_unit_test(test_ndr_no_capacity),
		cmocka_unit_test(test_ndr_endless_capacity),
		cmocka_unit_test(test_ndr_generator_is_the_limit),
		cmocka_unit_test(test_ndr_bounds),
		cmocka_unit_test(test_pdr_allows_a_loss),
		cmocka_unit_test(test_ndr_noise),
		cmocka_unit_test(test_stop_and_error),
		cmocka_unit_test(test_trials_are_bounded),
		cmocka_unit_test(test_ser_rises_by_one_at_least),
		cmocka_unit_test(test_ser_only_a_failure_takes_back_what_passed),
		cmocka_unit_test(test_ser_a_failure_near_by_is_an_answer),
		cmocka_unit_test(test_the_log_is_bounded),
		cmocka_unit_test(test_nothing_attempted_is_no_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
