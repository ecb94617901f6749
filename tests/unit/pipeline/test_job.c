/* SPDX-License-Identifier: BSD-3-Clause */
/* What the control thread has slow lcores do. */
#include <pthread.h>

#include "common.h"

#define MANY 20000

static const char script[] = "request_route { exit; }\n";

struct noted {
	struct pipeline_job job;
	unsigned number, shard;
	uint64_t at_ns;
};

static unsigned order[8], ran;

static void note(struct pipeline_job *job, unsigned shard, uint64_t now_ns)
{
	struct noted *n = (struct noted *)job;

	n->shard = shard;
	n->at_ns = now_ns;
	if (ran < 8)
		order[ran] = n->number;
	ran++;
}

static int open_rig(void **state)
{
	struct rig_config config = {
		.script = script, .list = "", .workers = 1, .queues = 1, .slow = 2};

	ran = 0;
	rig = rig_create_with(&config);
	return rig != NULL ? 0 : -1;
}

static int close_rig(void **state)
{
	rig_destroy(rig);
	return 0;
}

static void jobs_run_in_their_order_on_their_own_slow_lcore(void **state)
{
	struct noted jobs[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};

	for (unsigned i = 0; i < 4; i++) {
		jobs[i].job.run = note;
		assert_int_equal(pipeline_ask_slow(rig->pipeline, i == 3 ? 1 : 0, &jobs[i].job), 0);
	}
	pipeline_worker_poll(rig->pipeline, 0);
	assert_int_equal(ran, 0);
	assert_true(pipeline_slow_poll(rig->pipeline, 0) >= 3);
	assert_int_equal(ran, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(order[i], i);
		assert_true(atomic_load(&jobs[i].job.done));
		assert_int_equal(jobs[i].shard, 0);
		assert_true(jobs[i].at_ns != 0);
	}
	assert_false(atomic_load(&jobs[3].job.done));
	pipeline_slow_poll(rig->pipeline, 1);
	assert_true(atomic_load(&jobs[3].job.done));
	assert_int_equal(jobs[3].shard, 1);
	/* Once. */
	assert_int_equal(pipeline_slow_poll(rig->pipeline, 0), 0);
	assert_int_equal(ran, 4);
}

static void there_is_no_other_slow_lcore(void **state)
{
	struct noted job = {.job.run = note};

	assert_int_equal(pipeline_ask_slow(rig->pipeline, 2, &job.job), -ENODEV);
	assert_int_equal(ran, 0);
}

/* The control thread, which waits for each before it asks again, as its commands do. */
static void *ask_many(void *arg)
{
	struct noted jobs[4] = {{.number = 0}};

	for (unsigned i = 0; i < MANY; i++) {
		struct noted *n = &jobs[i % 4];

		while (i >= 4 && !atomic_load_explicit(&n->job.done, memory_order_acquire))
			usleep(1);
		if (i >= 4 && n->shard != 0)
			return "a job that is done has not said where";
		n->shard = 77;
		n->job.run = note;
		if (pipeline_ask_slow(rig->pipeline, 0, &n->job) != 0)
			return "refused";
	}
	for (unsigned i = 0; i < 4; i++)
		while (!atomic_load_explicit(&jobs[i].job.done, memory_order_acquire))
			usleep(1);
	return NULL;
}

static void none_is_lost_between_two_threads(void **state)
{
	uint64_t end = clock_now_ns() + 60 * CLOCK_NS_PER_S;
	pthread_t control;
	void *said;

	assert_int_equal(pthread_create(&control, NULL, ask_many, NULL), 0);
	while (ran < MANY && clock_now_ns() < end)
		pipeline_slow_poll(rig->pipeline, 0);
	assert_int_equal(ran, MANY);
	pthread_join(control, &said);
	assert_null(said);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(jobs_run_in_their_order_on_their_own_slow_lcore),
		TEST(there_is_no_other_slow_lcore),
		TEST(none_is_lost_between_two_threads),
	};

	if (rig_eal("test_job", 256) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
