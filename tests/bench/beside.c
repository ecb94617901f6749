/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The case beside: what a worker does on the fast path while a slow lcore is offered more
 * registrations than it can take, and while it has nothing to do. Turns of both follow each other,
 * so that what else the machine does hits both.
 *
 * The slow lcore has a CPU of its own. Another worker takes the REGISTERs, by turns with the one
 * that is measured and on the same CPU: before each window, until the way to the slow lcore is full
 * and it refuses the next ones. So what refusing costs is not in the figure; what it and the phones
 * did to the caches is made up for by some bursts of INVITEs that do not count, in both kinds of
 * turn.
 */
#include "phones.h"

#include <limits.h>
#include <stdlib.h>

#include <rte_pause.h>

#define USERS 100000
#define SET 4096
#define ROOM 2048
#define WINDOW_BURSTS 32 /* ends before a slow lcore has registered all that wait for it */
#define WARM_BURSTS 8
#define TURNS 16
#define FAST 1 /* the worker that is measured: a slow lcore sends by worker 0 */
/* Registrations of which no reply was taken away, where the way is full: others are done. */
#define FULL (PIPELINE_SLOW_NEW + 4 * PORT_BURST)
#define REFUSED "SIP/2.0 503 "

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
	struct phones phones; /* first: what react() gets */
	struct feed feed;
	uint64_t refused;
	struct samples alone, beside, ratio, slow, waiting; /* ns a message; percent; messages */
};

static void react(struct phones *p, unsigned port, const struct net_endpoint *to, struct str text)
{
	if (port != 0)
		bench_fail(p->b, "a REGISTER went on:\n%.*s", (int)text.len, text.s);
	if (text.len > sizeof(REFUSED) && memcmp(text.s, REFUSED, sizeof(REFUSED) - 1) == 0) {
		p->open -= p->open != 0;
		((struct beside *)p)->refused++;
		return;
	}
	register_reply(p, to, text);
}

/* A pass of the other worker, and of the slow lcore where it has no thread. */
static void others(struct beside *s)
{
	struct phones *p = &s->phones;

	pipeline_worker_poll(p->rig->pipeline, 0);
	if (!phones_has_two(p))
		pipeline_slow_poll(p->rig->pipeline, 0);
	phones_take(p);
}

/* Offers REGISTERs until some are refused, and takes away what was answered meanwhile. */
static void press(struct beside *s)
{
	struct phones *p = &s->phones;
	uint64_t refused = s->refused;

	others(s);
	while (s->refused == refused || p->open > FULL) {
		phones_begin(p, UINT64_MAX);
		pipeline_worker_poll(p->rig->pipeline, 0);
		phones_take(p);
	}
}

static void rest(struct beside *s)
{
	do
		others(s);
	while (s->phones.open != 0);
}

static double waiting(const struct beside *s)
{
	uint64_t counter[COUNTER_COUNT];

	pipeline_counters(s->phones.rig->pipeline, counter);
	return (double)(counter[COUNTER_HELD_SLOW_ENTER] - counter[COUNTER_HELD_SLOW_LEAVE]);
}

/* The median window of a turn: ns a message. */
static double turn(struct beside *s, bool busy, double seconds)
{
	uint64_t end = clock_now_ns() + (uint64_t)(seconds * 1e9);
	struct samples ns;
	struct window w;
	double median;

	samples_init(&ns);
	do {
		(busy ? press : rest)(s);
		feed_window(&s->feed, WARM_BURSTS, &w);
		feed_window(&s->feed, WINDOW_BURSTS, &w);
		samples_add(&ns, (double)w.work * s->phones.b->ns_per_cycle / (double)w.frames);
		if (busy)
			samples_add(&s->waiting, waiting(s));
	} while (clock_now_ns() < end);
	for (unsigned i = 0; i < ns.n; i++)
		samples_add(busy ? &s->beside : &s->alone, ns.v[i]);
	median = samples_median(&ns);
	samples_free(&ns);
	return median;
}

static void mark(const struct beside *s, struct slow_mark *out)
{
	while (!phones_slow_mark(&s->phones, out))
		rte_pause();
}

static void turns(struct bench *b, struct beside *s)
{
	double seconds = b->seconds / TURNS / 2;

	for (unsigned i = 0; i < TURNS; i++) {
		struct slow_mark before, after;
		double alone = turn(s, false, seconds), busy, spent = 0;

		press(s);
		mark(s, &before);
		busy = turn(s, true, seconds);
		mark(s, &after);
		for (unsigned k = 0; k < PIPELINE_STAGE_ALL; k++)
			spent += (double)(after.stages.cycles[k] - before.stages.cycles[k]);
		samples_add(&s->slow, 100 * spent / (double)(after.tsc - before.tsc));
		samples_add(&s->ratio, alone / busy);
	}
	rest(s);
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
	s->phones.window = UINT_MAX;
	s->phones.begin = register_any;
	s->phones.react = react;
	set_create_requests(b, &set, 0, SET, &spec, &s->phones.lot);
	feed_create(b, &s->feed, s->phones.rig, FAST, set.item, set.n, ROOM);
	set_destroy(&set);
	samples_init(&s->alone);
	samples_init(&s->beside);
	samples_init(&s->ratio);
	samples_init(&s->slow);
	samples_init(&s->waiting);
}

/* All INVITEs were forwarded, all REGISTERs answered: registered, or refused for want of room. */
static void check(struct beside *s)
{
	uint64_t counter[COUNTER_COUNT];
	struct phones *p = &s->phones;

	p->in_frames += s->feed.in_frames;
	p->out_frames += s->feed.out_frames;
	phones_settle(p);
	pipeline_counters(p->rig->pipeline, counter);
	if (counter[COUNTER_FORWARDED] != s->feed.in_frames ||
		counter[COUNTER_ANSWERED] != p->done + s->refused || p->done == 0)
		bench_fail(p->b, "%" PRIu64 " of %" PRIu64 " INVITEs were forwarded",
			counter[COUNTER_FORWARDED], s->feed.in_frames);
	if (counter[COUNTER_SLOW_REFUSED_NEW] != s->refused || s->refused == 0)
		bench_fail(p->b, "%" PRIu64 " REGISTERs were refused, %" PRIu64 " counted",
			s->refused, counter[COUNTER_SLOW_REFUSED_NEW]);
}

static void rows(struct bench *b, struct beside *s)
{
	char note[128];

	bench_rate_row(b, "messages_per_second/alone", &s->alone, "ring",
		"INVITEs forwarded by a worker, the slow lcore idle");
	bench_rate_row(b, "messages_per_second/beside", &s->beside, "ring",
		"the same, the slow lcore on the other CPU offered more than it takes; REGISTERs "
		"are another worker's, between these windows, and refusing them is not in the "
		"figure");
	bench_row(
		b, "ratio", "x", &s->ratio, "ring", "beside : alone, turns that follow each other");
	bench_row(b, "slow_busy", "%", &s->slow, "ring", "of the slow lcore's time, beside");
	bench_row(b, "slow_waiting", "", &s->waiting, "ring",
		"messages that wait for the slow lcore when a window ends");
	snprintf(note, sizeof(note),
		"REGISTERs answered 503, the way to the slow lcore full; %" PRIu64 " registered",
		s->phones.done);
	bench_value(b, "slow_refused_new", "", (double)s->refused, "ring", note);
}

int case_beside(struct bench *b)
{
	struct window w;
	struct beside *s = bench_alloc(b, 1, sizeof(*s));

	make(b, s);
	s->feed.inspects = true;
	feed_window(&s->feed, SET / PORT_BURST, &w);
	s->feed.inspects = false;
	phones_start(&s->phones);
	turns(b, s);
	phones_stop(&s->phones);
	check(s);
	rows(b, s);
	samples_free(&s->alone);
	samples_free(&s->beside);
	samples_free(&s->ratio);
	samples_free(&s->slow);
	samples_free(&s->waiting);
	feed_destroy(&s->feed);
	phones_destroy(&s->phones);
	free(s);
	return 0;
}
