/* SPDX-License-Identifier: BSD-3-Clause */
/* Timers of calls, beside a model that looks at every call. */
#include "fake.h"

#include "internal.h"

#define CALLS 200
#define TICK (1ULL << WHEEL_SHIFT)

struct model {
	struct call call[CALLS];
	uint64_t due[CALLS]; /* 0: none */
	uint64_t now;        /* of the run under way */
	uint64_t before;     /* of the one before */
	unsigned came;
};

static struct wheel wheel;
static uint64_t state;

static uint64_t draw(uint64_t below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % below;
}

static void came(void *arg, struct call *call, uint64_t now)
{
	struct model *m = arg;
	size_t n = (size_t)(call - m->call);

	assert_int_equal(now, m->now);
	assert_true(m->due[n] != 0 && m->due[n] <= now); /* never early */
	/* Of those that were due two ticks before the last run, none was left. */
	assert_true(m->due[n] + 2 * TICK > m->before);
	m->due[n] = 0;
	m->came++;
	if (draw(4) == 0) {
		m->due[n] = now + 1 + draw(3 * TICK);
		wheel_set(&wheel, call, m->due[n]);
	}
}

static void change(struct model *m)
{
	static const uint64_t far[] = {TICK, 70 * TICK, 3000 * TICK, 40000 * TICK};
	size_t n = draw(CALLS);

	if (m->due[n] != 0 && draw(3) == 0) {
		m->due[n] = 0;
		m->call[n].state = CALL_ENDED; /* leaves when its list comes up */
		return;
	}
	m->call[n].state = CALL_WAITING;
	m->due[n] = m->now + 1 + draw(far[draw(4)]);
	wheel_set(&wheel, &m->call[n], m->due[n]);
}

static void due_once_never_early_and_at_most_two_ticks_late(void **unused)
{
	static const uint64_t step[] = {TICK / 3, 5 * TICK, 500 * TICK, (WHEEL_SIZE + 77) * TICK};

	for (state = 1; state <= 20; state++) {
		uint64_t seed = state;
		struct model m = {.now = 123456789012345ULL + seed};

		wheel_begin(&wheel, m.call, m.now);
		assert_true(wheel_next(&wheel) == UINT64_MAX);
		for (unsigned i = 0; i < 5000; i++) {
			uint64_t first = UINT64_MAX;

			for (uint64_t n = draw(4); n > 0; n--)
				change(&m);
			for (unsigned n = 0; n < CALLS; n++)
				if (m.due[n] != 0 && m.due[n] < first)
					first = m.due[n];
			/* Who sleeps until then is two ticks late at most, and does not wake for
			 * nothing within a turn. */
			if (first != UINT64_MAX)
				assert_true(wheel_next(&wheel) <= first + 2 * TICK);
			m.before = m.now;
			m.now += draw(step[draw(i % 50 == 0 ? 4 : 3)]);
			wheel_run(&wheel, m.now, came, &m);
			for (unsigned n = 0; n < CALLS; n++)
				assert_true(m.due[n] == 0 || m.due[n] + 2 * TICK > m.now);
		}
		assert_true(m.came > 1000);
		state = seed;
	}
}

static void the_next_time_is_that_of_a_list_with_somebody_in_it(void **unused)
{
	struct model m = {.now = 77 * TICK};

	for (uint64_t ahead = 1; ahead < WHEEL_SIZE - 1; ahead = ahead * 3 / 2 + 1) {
		wheel_begin(&wheel, m.call, m.now);
		m.call[0] = (struct call){.state = CALL_WAITING};
		wheel_set(&wheel, &m.call[0], m.now + ahead * TICK);
		assert_int_equal(wheel_next(&wheel), m.now + (ahead + 1) * TICK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(due_once_never_early_and_at_most_two_ticks_late),
		cmocka_unit_test(the_next_time_is_that_of_a_list_with_somebody_in_it),
	};

	return cmocka_run_group_tests_name("gen_wheel", tests, NULL, NULL);
}
