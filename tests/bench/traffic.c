/* SPDX-License-Identifier: BSD-3-Clause */
/* Cases of SIP traffic through one worker. */
#include <stdlib.h>

#include "bench.h"

#define MTU 1500
#define SIZE_MTU 9000
#define BIG_BUFFERS 255
#define TURNS 8
#define SET 8192 /* messages: with 600 to 900 bytes each some 6 MB */
#define ROOM 2048
#define CORPUS_LEN_MAX 1100 /* so that what leaves needs no fragments */

static unsigned set_size(const struct bench *b)
{
	return b->count != 0 ? GUARD_SET : SET;
}

/* --show: prints the first messages; true where that was all. */
static bool shown(const struct bench *b, const struct set *s)
{
	for (unsigned i = 0; i < b->show && i < s->n; i++)
		printf("port %u\n%.*s\n", s->item[i].port, (int)s->item[i].text.len,
			s->item[i].text.s);
	return b->show != 0;
}

struct rig *bench_rig(struct bench *b, unsigned workers, unsigned mtu)
{
	char secret[] = "/tmp/bench-secret-XXXXXX";
	struct rig_config config = {
		.config = b->config,
		.secret_file = b->count != 0 ? secret : NULL,
		.hops = bench_hops(0, mtu),
		.workers = workers,
		.queues = workers,
		.mtu = mtu,
		.buffers_big = BIG_BUFFERS,
		/* siplane's default; in a short count as good as none, as it is in the long run. */
		.reply_rate = b->count != 0 ? 1 : 100,
	};
	struct rig *r;

	if (config.hops == NULL)
		bench_fail(b, "not enough memory for next hops");
	if (b->count != 0)
		bench_secret(b, secret);
	r = rig_create_with(&config);
	if (b->count != 0)
		remove(secret);
	if (r == NULL)
		bench_fail(b, "%s does not load", b->config);
	return r;
}

void bench_rig_end(struct rig *r)
{
	void *hops = (void *)(uintptr_t)r->hops;

	rig_destroy(r);
	free(hops);
}

/*
 * Puts one message in by the edge and copies what comes out toward the backends, with the backend
 * that it went to; false where nothing came out there.
 */
static bool forward_one(struct rig *r, const struct net_endpoint *src, struct str text,
	struct draft *out, struct net_endpoint *backend)
{
	static const char ours[] = "10.10.0.1";
	struct net_endpoint dst = {.port = 5060};
	struct rte_mbuf *m = rte_pktmbuf_alloc(text.len > 1900 ? r->pool_big : r->pool), *got;
	struct net_frame frame;
	struct str payload;

	net_addr_parse(str_c(ours), &dst.addr);
	if (m == NULL || !rig_write(r, m, 0, src, &dst, text))
		return false;
	rig_receive(r, 0, 0, m);
	pipeline_worker_poll(r->pipeline, 0);
	got = rig_sent(r, 1, &payload);
	if (got == NULL)
		return false;
	net_frame_parse(rte_pktmbuf_mtod(got, uint8_t *), got->data_len, false, &frame);
	*backend = frame.dst;
	out->len = 0;
	out->over = false;
	draft_add_str(out, payload);
	rte_pktmbuf_free(got);
	return !out->over;
}

/* What came out by the edge, of messages whose fate does not matter. */
static void drop_sent(struct rig *r)
{
	struct str payload;
	struct rte_mbuf *m;

	for (unsigned p = 0; p < RIG_PORTS; p++)
		while ((m = rig_sent(r, p, &payload)) != NULL)
			rte_pktmbuf_free(m);
}

/* Texts at work. */
struct desk {
	char room[4][MESSAGE_MAX];
	struct draft made, forwarded, response, route;
	struct net_endpoint backend;
	struct lot lot;
};

static struct desk *desk_of(void)
{
	static struct desk d;

	d.made = (struct draft){.s = d.room[0], .size = MESSAGE_MAX};
	d.forwarded = (struct draft){.s = d.room[1], .size = MESSAGE_MAX};
	d.response = (struct draft){.s = d.room[2], .size = MESSAGE_MAX};
	d.route = (struct draft){.s = d.room[3], .size = MESSAGE_MAX};
	d.lot.state = 0x9e3779b97f4a7c15ULL;
	return &d;
}

static struct str draft_str(const struct draft *t)
{
	return str_of(t->s, t->len);
}

static void make(
	struct bench *b, struct desk *d, const struct call *c, const struct message_spec *spec)
{
	message_request(&d->made, c, spec, &d->lot);
	if (d->made.over)
		bench_fail(b, "a message cannot be of %u to %u bytes", spec->least, spec->greatest);
}

/* Makes the call's INVITE and lets it through: d->made, d->forwarded. */
static void make_call(struct bench *b, struct desk *d, struct rig *r, const struct call *c)
{
	struct message_spec spec = {.kind = MESSAGE_INVITE, .least = 600, .greatest = 900};

	make(b, d, c, &spec);
	if (!forward_one(r, &c->caller, draft_str(&d->made), &d->forwarded, &d->backend))
		bench_fail(b, "an INVITE was not forwarded:\n%.*s", (int)d->made.len, d->made.s);
}

/* Builds the feed, measures, checks, prints. */
static void measure(struct bench *b, struct rig *r, const struct set *s,
	unsigned frames_per_message, unsigned room, double seconds, unsigned end,
	const char *variant, const char *note)
{
	struct figures f;
	struct feed feed;

	feed_create(b, &feed, r, 0, s->item, s->n, room);
	feed.frames_per_message = frames_per_message;
	figures_init(&f);
	feed_run(b, &feed, seconds, &f);
	figures_check(b, &f, end, variant);
	feed_rows(b, &f, variant, note);
	figures_free(&f);
	feed_destroy(&feed);
}

/* The whole of a case whose set is made. */
static int measure_case(
	struct bench *b, struct rig *r, struct set *s, unsigned end, const char *note)
{
	if (!shown(b, s))
		measure(b, r, s, 1, ROOM, b->seconds, end, "", note);
	set_destroy(s);
	bench_rig_end(r);
	return 0;
}

/*
 * Messages of others, such as go through at once (the trial says so), drawn by lot. They are
 * shorter than ours on the whole and spelled in more ways.
 */
static bool make_corpus(struct bench *b, struct desk *d, struct rig *r, struct set *s)
{
	unsigned n = 0, kept = 0;
	struct str *text = bench_corpus(&n);
	struct call c;

	if (text == NULL)
		return false;
	call_of(&c, 1);
	for (unsigned i = 0; i < n; i++) {
		if (text[i].len <= CORPUS_LEN_MAX &&
			forward_one(r, &c.caller, text[i], &d->forwarded, &d->backend))
			text[kept++] = text[i];
		drop_sent(r);
	}
	bench_say(b, "%u of %u messages of others go through", kept, n);
	if (kept > 0) {
		set_create(b, s, SET);
		for (unsigned i = 0; i < SET; i++) {
			call_of(&c, i);
			set_add(b, s, 0, &c.caller, text[lot_below(&d->lot, kept)]);
		}
	}
	free(text);
	return kept > 0;
}

/* Both sets by turns, so that what the machine does meanwhile hits both; the ratio is of turns that
 * follow each other. */
static void compare(
	struct bench *b, struct rig *r, const struct set *ours, const struct set *others)
{
	struct samples ratio;
	struct figures f[2];
	struct feed feed[2];

	samples_init(&ratio);
	for (unsigned i = 0; i < 2; i++) {
		feed_create(b, &feed[i], r, 0, i == 0 ? ours->item : others->item,
			i == 0 ? ours->n : others->n, ROOM);
		figures_init(&f[i]);
	}
	for (unsigned turn = 0; turn < TURNS; turn++) {
		double median[2];

		for (unsigned i = 0; i < 2; i++) {
			unsigned first = f[i].ns.n;

			feed_run(b, &feed[i], b->seconds / TURNS, &f[i]);
			median[i] = samples_median(
				&(struct samples){f[i].ns.v + first, f[i].ns.n - first});
		}
		samples_add(&ratio, median[1] / median[0]);
	}
	figures_check(b, &f[0], COUNTER_FORWARDED, "");
	figures_check(b, &f[1], COUNTER_FORWARDED, "/corpus");
	feed_rows(b, &f[0], "", bench_build());
	feed_rows(b, &f[1], "/corpus", "messages of others, drawn by lot");
	bench_row(b, "ratio/corpus", "x", &ratio, "ring",
		"time for a message of others : for ours; shall be within 1.25");
	for (unsigned i = 0; i < 2; i++) {
		figures_free(&f[i]);
		feed_destroy(&feed[i]);
	}
	samples_free(&ratio);
}

int case_dispatch(struct bench *b)
{
	struct message_spec spec = {.kind = MESSAGE_INVITE, .least = 600, .greatest = 900};
	struct rig *r = bench_rig(b, 1, MTU);
	struct desk *d = desk_of();
	struct set ours, others;

	set_create_requests(b, &ours, 0, set_size(b), &spec, &d->lot);
	if (b->count != 0 || b->show != 0 || !make_corpus(b, d, r, &others))
		return measure_case(b, r, &ours, COUNTER_FORWARDED, bench_build());
	compare(b, r, &ours, &others);
	set_destroy(&ours);
	set_destroy(&others);
	bench_rig_end(r);
	return 0;
}

int case_response(struct bench *b)
{
	unsigned n = set_size(b);
	struct rig *r = bench_rig(b, 1, MTU);
	struct desk *d = desk_of();
	struct call c;
	struct set s;

	set_create(b, &s, n);
	for (unsigned i = 0; i < n; i++) {
		call_of(&c, i);
		make_call(b, d, r, &c);
		message_response(&d->response, draft_str(&d->forwarded), &c, i % 2 == 0 ? 200 : 180,
			&d->lot);
		set_add(b, &s, 1, &d->backend, draft_str(&d->response));
	}
	return measure_case(b, r, &s, COUNTER_FORWARDED, "180, and 200 with SDP");
}

/* Adds an in-dialog request of one side, with the route set that the INVITE left it. */
static void add_indialog(struct bench *b, struct desk *d, struct set *s, const struct call *c,
	enum message_kind kind, bool from_callee)
{
	struct message_spec spec = {.kind = kind, .from_callee = from_callee};

	message_route(&d->route, draft_str(&d->forwarded), from_callee);
	spec.route = draft_str(&d->route);
	make(b, d, c, &spec);
	set_add(b, s, from_callee, from_callee ? &d->backend : &c->caller, draft_str(&d->made));
}

int case_indialog(struct bench *b)
{
	static const enum message_kind caller[] = {MESSAGE_ACK, MESSAGE_BYE, MESSAGE_REINVITE},
				       callee[] = {MESSAGE_BYE, MESSAGE_REINVITE};
	struct rig *r = bench_rig(b, 1, MTU);
	struct desk *d = desk_of();
	struct call c;
	struct set s;

	set_create(b, &s, set_size(b));
	for (unsigned i = 0; i < set_size(b); i++) {
		bool from_callee = i / PORT_BURST % 4 == 3;

		call_of(&c, i);
		make_call(b, d, r, &c);
		add_indialog(b, d, &s, &c,
			from_callee ? callee[i % 2] : caller[i % RTE_DIM(caller)], from_callee);
	}
	return measure_case(
		b, r, &s, COUNTER_FORWARDED, "ACK, BYE, re-INVITE; a quarter from the callee");
}

int case_options(struct bench *b)
{
	struct message_spec spec = {.kind = MESSAGE_OPTIONS};
	struct rig *r = bench_rig(b, 1, MTU);
	struct set s;

	set_create_requests(b, &s, 0, set_size(b), &spec, &desk_of()->lot);
	return measure_case(b, r, &s, COUNTER_ANSWERED, "200 from options_reply()");
}

int case_mix(struct bench *b)
{
	static const unsigned statuses[] = {100, 180, 200};
	unsigned calls = SET / 7 / PORT_BURST * PORT_BURST;
	struct message_spec bye = {.kind = MESSAGE_BYE};
	struct rig *r = bench_rig(b, 1, MTU);
	struct desk *d = desk_of();
	struct call c;
	struct set s;

	set_create(b, &s, 7 * calls);
	for (unsigned i = 0; i < calls; i++) {
		call_of(&c, i);
		make_call(b, d, r, &c);
		set_add(b, &s, 0, &c.caller, draft_str(&d->made));
		for (unsigned n = 0; n < RTE_DIM(statuses); n++) {
			message_response(
				&d->response, draft_str(&d->forwarded), &c, statuses[n], &d->lot);
			set_add(b, &s, 1, &d->backend, draft_str(&d->response));
		}
		add_indialog(b, d, &s, &c, MESSAGE_ACK, false);
		message_route(&d->route, draft_str(&d->forwarded), false);
		bye.route = draft_str(&d->route);
		make(b, d, &c, &bye);
		set_add(b, &s, 0, &c.caller, draft_str(&d->made));
		if (!forward_one(r, &c.caller, draft_str(&d->made), &d->forwarded, &d->backend))
			bench_fail(
				b, "a BYE was not forwarded:\n%.*s", (int)d->made.len, d->made.s);
		message_response(&d->response, draft_str(&d->forwarded), &c, 200, &d->lot);
		set_add(b, &s, 1, &d->backend, draft_str(&d->response));
	}
	set_shuffle(&s, &d->lot);
	return measure_case(b, r, &s, COUNTER_FORWARDED, "INVITE, 100, 180, 200, ACK, BYE, 200");
}

/* ---- fragments ---- */

/* Splits a datagram as its sender's IP would. */
static void add_fragments(struct bench *b, struct set *s, struct rig *r, uint16_t id,
	const struct net_endpoint *src, struct str text)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool_big);
	struct net_header h = {.src = *src, .dst = {.port = 5060}};
	uint32_t l4_len = NET_UDP_LEN + text.len, head;
	struct net_fragment f;
	const uint8_t *l4;

	net_addr_parse(STR("10.10.0.1"), &h.dst.addr);
	if (m == NULL || !rig_write(r, m, 0, src, &h.dst, text))
		bench_fail(b, "no buffer for a datagram of %u bytes", text.len);
	memcpy(h.dst_mac, r->port[0].mac, 6);
	h.src_mac[0] = 2;
	l4 = rte_pktmbuf_mtod_offset(m, uint8_t *, net_header_length(&h) - NET_UDP_LEN);
	head = net_fragment_header_length(&h);
	for (uint32_t n = 0; net_fragment_nth(4, MTU, l4_len, n, &f); n++) {
		uint8_t frame[MTU + 64];

		net_fragment_header_write(&h, &f, id, frame);
		memcpy(frame + head, l4 + f.off, f.len);
		set_add_frame(b, s, 0, frame, head + f.len);
	}
	rte_pktmbuf_free(m);
}

int case_fragments(struct bench *b)
{
	struct message_spec spec = {.kind = MESSAGE_INVITE, .least = 1700, .greatest = 2500};
	struct rig *r = bench_rig(b, 1, MTU);
	struct desk *d = desk_of();
	struct call c;
	struct set s;

	set_create(b, &s, SET / 2);
	for (unsigned i = 0; i < SET / 4; i++) {
		call_of(&c, i);
		make(b, d, &c, &spec);
		add_fragments(b, &s, r, (uint16_t)i, &c.caller, draft_str(&d->made));
	}
	measure(b, r, &s, 2, ROOM, b->seconds, COUNTER_FORWARDED, "",
		"a message: two frames in, two out");
	set_destroy(&s);
	bench_rig_end(r);
	return 0;
}

/* ---- sizes ---- */

int case_size(struct bench *b)
{
	static const unsigned size[] = {
		300, 400, 600, 800, 1000, 1400, 2000, 3000, 4000, 6000, 8000};
	struct rig *r = bench_rig(b, 1, SIZE_MTU);
	struct desk *d = desk_of();

	for (unsigned i = 0; i < RTE_DIM(size); i++) {
		struct message_spec spec = {.kind = MESSAGE_INVITE,
			.bare = size[i] < 800,
			.least = size[i] - 20,
			.greatest = size[i] + 20};
		/* 6 MB of each, so that none has the caches for itself. */
		unsigned n = RTE_MIN(6000000 / size[i], (unsigned)SET) / PORT_BURST * PORT_BURST;
		struct set s;
		char variant[16];

		if (size[i] == 300)
			spec.least = 0, spec.greatest = 330;
		set_create_requests(b, &s, 0, n, &spec, &d->lot);
		snprintf(variant, sizeof(variant), "/%u", size[i]);
		measure(b, r, &s, 1, SIZE_MTU + 100, b->seconds / 4, COUNTER_FORWARDED, variant,
			"MTU 9000");
		set_destroy(&s);
	}
	bench_rig_end(r);
	return 0;
}
