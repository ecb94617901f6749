/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The case beside: what a worker does on the fast path while a slow lcore has all it can do with
 * registrations, and while it has nothing to do. Turns of both follow each other, so that what else
 * the machine does hits both. Another worker takes the REGISTERs; it, the slow lcore and the phones
 * share the other CPU.
 */
#include "phones.h"

#include <pthread.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_lcore.h>

#define USERS 100000
#define SET 4096
#define ROOM 2048
#define WINDOW_BURSTS 64
#define TURNS 16
#define UNDER_WAY 640 /* registrations: a worker refuses from 768 on */
#define FAST 1        /* the worker that is measured: a slow lcore sends by worker 0 */

static const char script[] =
	"loadmodule \"sl.so\"\nloadmodule \"rr.so\"\nloadmodule \"maxfwd.so\"\n"
	"loadmodule \"siputils.so\"\nloadmodule \"usrloc.so\"\nloadmodule \"registrar.so\"\n"
	"loadmodule \"dispatcher.so\"\n"
	"modparam(\"dispatcher\", \"list_file\", \"%s\")\n"
	"request_route {\n"
	"	if (!mf_process_maxfwd_header(\"10\")) { sl_send_reply(\"483\", \"Too Many\"); "
	"exit; }\n"
	"	if (is_method(\"REGISTER\")) { save(\"location\"); exit; }\n"
	"	record_route();\n"
	"	if (!ds_select_dst(\"1\", \"0\")) { sl_send_reply(\"503\", \"None\"); exit; }\n"
	"	forward();\n"
	"}\n";

struct beside {
	struct phones phones;
	struct feed feed;
	pthread_t thread;
	_Atomic bool busy, stop;
	struct samples alone, beside, ratio, slow; /* ns a message; percent */
};

static void react(struct phones *p, unsigned port, const struct net_endpoint *to, struct str text)
{
	if (port != 0)
		bench_fail(p->b, "a REGISTER went on:\n%.*s", (int)text.len, text.s);
	register_reply(p, to, text);
}

/* A pass of all but the worker that is measured. */
static void others(struct beside *s)
{
	struct phones *p = &s->phones;

	if (atomic_load_explicit(&s->busy, memory_order_relaxed))
		phones_begin(p, UINT64_MAX);
	pipeline_worker_poll(p->rig->pipeline, 0);
	pipeline_slow_poll(p->rig->pipeline, 0);
	phones_take(p);
}

static void *others_main(void *arg)
{
	struct beside *s = arg;
	cpu_set_t cpu = rte_lcore_cpuset(rte_get_next_lcore(-1, 1, 0));

	if (pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu) != 0 ||
		rte_thread_register() != 0)
		bench_fail(s->phones.b, "no thread for the slow lcore");
	while (!atomic_load_explicit(&s->stop, memory_order_relaxed))
		others(s);
	rte_thread_unregister();
	return NULL;
}

/* The median window of a turn: ns a message. */
static double turn(struct beside *s, bool busy, double seconds)
{
	uint64_t end = clock_now_ns() + (uint64_t)(seconds * 1e9);
	struct samples ns;
	struct window w;
	double median;

	atomic_store(&s->busy, busy);
	samples_init(&ns);
	do {
		if (!phones_has_two(&s->phones))
			others(s);
		feed_window(&s->feed, WINDOW_BURSTS, &w);
		samples_add(&ns, (double)w.work * s->phones.b->ns_per_cycle / (double)w.frames);
	} while (clock_now_ns() < end);
	for (unsigned i = 0; i < ns.n; i++)
		samples_add(busy ? &s->beside : &s->alone, ns.v[i]);
	median = samples_median(&ns);
	samples_free(&ns);
	return median;
}

static void turns(struct bench *b, struct beside *s)
{
	double seconds = b->seconds / TURNS / 2;

	for (unsigned i = 0; i < TURNS; i++) {
		struct pipeline_stages before, after;
		double alone = turn(s, false, seconds), busy, spent = 0;
		uint64_t at = rte_rdtsc();

		pipeline_slow_stages(s->phones.rig->pipeline, &before);
		busy = turn(s, true, seconds);
		pipeline_slow_stages(s->phones.rig->pipeline, &after);
		for (unsigned k = 0; k < PIPELINE_STAGE_ALL; k++)
			spent += (double)(after.cycles[k] - before.cycles[k]);
		samples_add(&s->slow, 100 * spent / (double)(rte_rdtsc() - at));
		samples_add(&s->ratio, alone / busy);
	}
}

static void make(struct bench *b, struct beside *s)
{
	struct message_spec spec = {.kind = MESSAGE_INVITE, .least = 600, .greatest = 900};
	char config[] = "/tmp/bench-config-XXXXXX", list[] = "/tmp/bench-list-XXXXXX", text[2048];
	struct set set;

	bench_write_file(b, list, "1 sip:10.20.0.11:5060\n1 sip:10.20.0.12:5060\n");
	snprintf(text, sizeof(text), script, list);
	bench_write_file(b, config, text);
	phones_create(b, &s->phones, config, 2, USERS, 0);
	remove(config);
	remove(list);
	register_templates(&s->phones, USERS);
	s->phones.window = UNDER_WAY;
	s->phones.begin = register_any;
	s->phones.react = react;
	set_create_requests(b, &set, 0, SET, &spec, &s->phones.lot);
	feed_create(b, &s->feed, s->phones.rig, FAST, set.item, set.n, ROOM);
	set_destroy(&set);
	samples_init(&s->alone);
	samples_init(&s->beside);
	samples_init(&s->ratio);
	samples_init(&s->slow);
}

/* All INVITEs were forwarded, all REGISTERs answered. */
static void check(struct beside *s)
{
	uint64_t counter[COUNTER_COUNT];
	struct phones *p = &s->phones;

	p->in_frames += s->feed.in_frames;
	p->out_frames += s->feed.out_frames;
	phones_settle(p);
	pipeline_counters(p->rig->pipeline, counter);
	if (counter[COUNTER_FORWARDED] != s->feed.in_frames ||
		counter[COUNTER_ANSWERED] != p->done || p->done == 0)
		bench_fail(p->b, "%" PRIu64 " of %" PRIu64 " INVITEs were forwarded",
			counter[COUNTER_FORWARDED], s->feed.in_frames);
}

int case_beside(struct bench *b)
{
	struct window w;
	struct beside *s = bench_alloc(b, 1, sizeof(*s));

	make(b, s);
	if (phones_has_two(&s->phones) && pthread_create(&s->thread, NULL, others_main, s) != 0)
		bench_fail(b, "no thread for the slow lcore");
	s->feed.inspects = true;
	feed_window(&s->feed, SET / PORT_BURST, &w);
	s->feed.inspects = false;
	turns(b, s);
	atomic_store(&s->stop, true);
	if (phones_has_two(&s->phones))
		pthread_join(s->thread, NULL);
	check(s);
	bench_rate_row(b, "messages_per_second/alone", &s->alone, "ring",
		"INVITEs forwarded by a worker, the slow lcore idle");
	bench_rate_row(b, "messages_per_second/beside", &s->beside, "ring",
		"the same while the slow lcore registers");
	bench_row(
		b, "ratio", "x", &s->ratio, "ring", "beside : alone, turns that follow each other");
	bench_row(b, "slow_busy", "%", &s->slow, "ring",
		"of the other CPU's time, beside: the slow lcore's share");
	samples_free(&s->alone);
	samples_free(&s->beside);
	samples_free(&s->ratio);
	samples_free(&s->slow);
	feed_destroy(&s->feed);
	phones_destroy(&s->phones);
	free(s);
	return 0;
}
