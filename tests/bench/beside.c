/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The case beside: what a worker does on the fast path while a slow lcore has all it can do with
 * registrations, and while it has nothing to do. Windows of both take turns, so that what else the
 * machine does hits both. The clock runs for the worker's passes with INVITEs alone: its passes
 * with REGISTERs, and with the replies that the slow lcore hands it, are between them.
 */
#include "phones.h"

#include <stdlib.h>

#include <rte_cycles.h>

#define USERS 100000
#define SET 4096
#define ROOM 2048
#define WINDOW_BURSTS 64
#define TURNS 16
#define UNDER_WAY 640 /* registrations: a worker refuses from 768 on */

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
	uint64_t forwarded, sent;
	struct samples alone, busy, ratio, slow; /* ns a message; percent */
};

static struct beside *self;

static void begin(struct phones *p)
{
	register_any(p);
}

static void react(struct phones *p, unsigned port, const struct net_endpoint *to, struct str text)
{
	if (port == 0)
		register_reply(p, to, text);
	else
		self->forwarded++;
}

/* One window: ns a message. */
static double window(struct beside *s, bool busy)
{
	struct phones *p = &s->phones;
	struct pipeline *pipeline = p->rig->pipeline;
	uint64_t spent = 0, frames = 0, at;

	for (unsigned i = 0; i < WINDOW_BURSTS; i++) {
		if (busy)
			phones_begin(p, UINT64_MAX);
		/* What the slow lcore has handed over leaves, too. */
		pipeline_worker_poll(pipeline, 0);
		frames += feed_refill(&s->feed);
		at = rte_rdtsc();
		pipeline_worker_poll(pipeline, 0);
		spent += rte_rdtsc() - at;
		phones_take(p);
		if (!phones_has_two(p))
			pipeline_slow_poll(pipeline, 0);
	}
	s->sent += frames;
	p->in_frames += frames;
	return frames != 0 ? (double)spent * p->b->ns_per_cycle / (double)frames : 0;
}

/* The median window of a turn. */
static double turn(struct beside *s, bool busy, double seconds)
{
	uint64_t end = clock_now_ns() + (uint64_t)(seconds * 1e9);
	struct samples ns;
	double median;

	samples_init(&ns);
	do
		samples_add(&ns, window(s, busy));
	while (clock_now_ns() < end);
	for (unsigned i = 0; i < ns.n; i++)
		samples_add(busy ? &s->busy : &s->alone, ns.v[i]);
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
	phones_create(b, &s->phones, config, USERS, 0);
	remove(config);
	remove(list);
	register_templates(&s->phones, USERS);
	s->phones.window = UNDER_WAY;
	s->phones.begin = begin;
	s->phones.react = react;
	set_create_requests(b, &set, 0, SET, &spec, &s->phones.lot);
	feed_create(b, &s->feed, s->phones.rig, 0, set.item, set.n, ROOM);
	set_destroy(&set);
	samples_init(&s->alone);
	samples_init(&s->busy);
	samples_init(&s->ratio);
	samples_init(&s->slow);
}

int case_beside(struct bench *b)
{
	struct beside *s = self = bench_alloc(b, 1, sizeof(*s));

	make(b, s);
	phones_start(&s->phones);
	s->phones.inspects = true;
	window(s, true);
	s->phones.inspects = false;
	turns(b, s);
	phones_stop(&s->phones);
	phones_settle(&s->phones);
	if (s->forwarded != s->sent || s->phones.done == 0)
		bench_fail(b, "%" PRIu64 " of %" PRIu64 " INVITEs were forwarded", s->forwarded,
			s->sent);
	bench_rate_row(b, "messages_per_second/alone", &s->alone, "ring",
		"INVITEs forwarded by a worker, the slow lcore idle");
	bench_rate_row(b, "messages_per_second/beside", &s->busy, "ring",
		"the same while the slow lcore registers");
	bench_row(
		b, "ratio", "x", &s->ratio, "ring", "beside : alone, turns that follow each other");
	bench_row(b, "slow_busy", "%", &s->slow, "ring", "of the slow lcore's time, beside");
	samples_free(&s->alone);
	samples_free(&s->busy);
	samples_free(&s->ratio);
	samples_free(&s->slow);
	feed_destroy(&s->feed);
	phones_destroy(&s->phones);
	free(s);
	return 0;
}
