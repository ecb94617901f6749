/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The case scale: one worker, and two on a CPU each at the same time, every worker feeding itself.
 * One and two take turns, so that what else the machine does hits both; the idle CPU sleeps.
 */
#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "bench.h"

#define WORKERS 2
#define TURNS 12
#define SET 8192
#define ROOM 2048

struct job {
	struct bench *b;
	struct feed feed;
	double seconds;
	struct figures *figures;
};

static int run(void *arg)
{
	struct job *j = arg;

	feed_run(j->b, &j->feed, j->seconds, j->figures);
	return 0;
}

static void make_feed(struct bench *b, struct rig *r, struct job *j, unsigned worker)
{
	struct message_spec spec = {.kind = MESSAGE_INVITE, .least = 600, .greatest = 900};
	struct lot lot = {0x9e3779b97f4a7c15ULL + worker};
	struct set s;

	set_create_requests(b, &s, worker * SET, SET, &spec, &lot);
	j->b = b;
	feed_create(b, &j->feed, r, worker, s.item, s.n, ROOM);
	set_destroy(&s);
}

/* Messages a second in the median window of a turn. */
static double rate_of(const struct figures *f, unsigned first)
{
	struct samples turn = {.v = f->ns.v + first, .n = f->ns.n - first};

	return 1e9 / samples_median(&turn);
}

/* A turn of worker 0, of worker 1, or of both at once: messages a second, all together. */
static double turn(struct job *job, struct figures *figures, unsigned first_worker,
	unsigned workers, double seconds)
{
	unsigned at[WORKERS], other = rte_get_next_lcore(-1, 1, 0);
	double rate = 0;

	for (unsigned w = first_worker; w < first_worker + workers; w++) {
		at[w] = figures[w].ns.n;
		job[w].figures = &figures[w];
		job[w].seconds = seconds;
	}
	if (first_worker + workers == WORKERS)
		rte_eal_remote_launch(run, &job[1], other);
	if (first_worker == 0)
		run(&job[0]);
	/* rte_eal_wait_lcore() would spin, and whoever measures alone shall be alone. */
	while (rte_eal_get_lcore_state(other) != WAIT)
		usleep(1000);
	rte_eal_wait_lcore(other);
	for (unsigned w = first_worker; w < first_worker + workers; w++)
		rate += rate_of(&figures[w], at[w]);
	return rate;
}

/* All that both were fed with was forwarded. */
static void check(struct bench *b, struct rig *r, const struct job *job)
{
	struct figures all;

	figures_init(&all);
	pipeline_counters(r->pipeline, all.counter);
	for (unsigned w = 0; w < WORKERS; w++) {
		if (job[w].feed.in_frames == 0)
			bench_fail(b, "worker %u forwarded nothing", w);
		all.frames += job[w].feed.in_frames;
		all.out_frames += job[w].feed.out_frames;
	}
	figures_check(b, &all, COUNTER_FORWARDED, "");
	figures_free(&all);
}

int case_scale(struct bench *b)
{
	struct rig *r = bench_rig(b, WORKERS, 1500);
	struct figures alone[WORKERS], together[WORKERS];
	struct samples one, two, ratio;
	struct job job[WORKERS];
	double slice = b->seconds / TURNS / 3;

	samples_init(&one);
	samples_init(&two);
	samples_init(&ratio);
	for (unsigned w = 0; w < WORKERS; w++) {
		make_feed(b, r, &job[w], w);
		figures_init(&alone[w]);
		figures_init(&together[w]);
	}
	for (unsigned i = 0; i < TURNS; i++) {
		double rate[WORKERS], both;

		bench_say(b, "turn %u of %u", i + 1, TURNS);
		rate[0] = turn(job, alone, 0, 1, slice);
		both = turn(job, together, 0, 2, slice);
		rate[1] = turn(job, alone, 1, 1, slice);
		samples_add(&one, (rate[0] + rate[1]) / 2);
		samples_add(&two, both);
		samples_add(&ratio, 2 * both / (rate[0] + rate[1]));
	}
	check(b, r, job);
	bench_row(b, "messages_per_second/1", "1/s", &one, "ring", bench_build());
	bench_row(b, "messages_per_second/2", "1/s", &two, "ring", "two workers at once");
	bench_row(b, "ratio", "x", &ratio, "ring",
		"two workers : one, of turns that follow each other");
	samples_free(&one);
	samples_free(&two);
	samples_free(&ratio);
	for (unsigned w = 0; w < WORKERS; w++) {
		feed_destroy(&job[w].feed);
		figures_free(&alone[w]);
		figures_free(&together[w]);
	}
	bench_rig_end(r);
	return 0;
}
