/* SPDX-License-Identifier: BSD-3-Clause */
/* Puts bursts of a set before a worker, takes away what leaves, and measures both apart. */
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "bench.h"

#define WINDOW_BURSTS 64 /* 2,048 messages: some hundred microseconds */
#define WARM_SECONDS 0.3
#define SAY_EVERY_S 2

/* What a buffer of the set has to be again before each use; in its private room. */
struct kept {
	uint32_t len;
};

static struct rte_mempool *make_pool(
	struct bench *b, const struct feed *f, unsigned port, unsigned room)
{
	static unsigned made;
	struct rte_mempool *pool;
	char name[32];

	snprintf(name, sizeof(name), "feed%u", made++);
	pool = rte_pktmbuf_pool_create_by_ops(name, f->count[port], 0,
		RTE_ALIGN(sizeof(struct kept), RTE_MBUF_PRIV_ALIGN),
		(uint16_t)(room + RTE_PKTMBUF_HEADROOM), SOCKET_ID_ANY, "ring_sp_sc");
	if (pool == NULL)
		bench_fail(b, "no memory for %u messages", f->count[port]);
	return pool;
}

static void fill(struct bench *b, struct feed *f, struct rte_mbuf *m, const struct feed_item *item)
{
	static const char *const ours[RIG_PORTS] = {"10.10.0.1", "10.20.0.1"};
	struct net_endpoint dst = {.port = 5060};
	bool fits = true;

	rte_pktmbuf_reset(m);
	rte_mbuf_refcnt_set(m, 1);
	net_addr_parse(str_c(ours[item->port]), &dst.addr);
	if (item->frame != NULL) {
		fits = item->frame_len <= rte_pktmbuf_tailroom(m);
		if (fits)
			memcpy(rte_pktmbuf_append(m, (uint16_t)item->frame_len), item->frame,
				item->frame_len);
	} else {
		fits = rig_write(f->rig, m, item->port, &item->src, &dst, item->text);
	}
	if (!fits)
		bench_fail(b, "a message of %u bytes does not fit its buffer", item->text.len);
	((struct kept *)rte_mbuf_to_priv(m))->len = m->data_len;
	f->bytes += m->data_len;
}

void feed_create(struct bench *b, struct feed *f, struct rig *r, unsigned worker,
	const struct feed_item *item, unsigned n, unsigned buffer_room)
{
	*f = (struct feed){.b = b, .rig = r, .worker = worker, .frames_per_message = 1};
	for (unsigned i = 0; i < n; i++)
		f->count[item[i].port]++;
	for (unsigned p = 0; p < RIG_PORTS; p++) {
		struct rte_mbuf **m;
		unsigned filled = 0;

		if (f->count[p] == 0)
			continue;
		if (f->count[p] % PORT_BURST != 0)
			bench_fail(b, "%u messages are no whole bursts", f->count[p]);
		f->pool[p] = make_pool(b, f, p, buffer_room);
		m = bench_alloc(b, f->count[p], sizeof(*m));
		if (rte_mempool_get_bulk(f->pool[p], (void **)m, f->count[p]) != 0)
			bench_fail(b, "no memory for %u messages", f->count[p]);
		for (unsigned i = 0; i < n; i++)
			if (item[i].port == p)
				fill(b, f, m[filled++], &item[i]);
		rte_mempool_put_bulk(f->pool[p], (void **)m, filled);
		free(m);
	}
}

void feed_destroy(struct feed *f)
{
	for (unsigned p = 0; p < RIG_PORTS; p++)
		rte_mempool_free(f->pool[p]);
}

/* Ports take turns as their shares have it. */
static unsigned next_port(struct feed *f)
{
	unsigned all = (f->count[0] + f->count[1]) / PORT_BURST, one = f->count[1] / PORT_BURST,
		 i = f->at++ % all;

	return (i + 1) * one / all != i * one / all;
}

unsigned feed_refill(struct feed *f)
{
	struct rte_mbuf *m[PORT_BURST];
	unsigned port = next_port(f);

	if (rte_mempool_get_bulk(f->pool[port], (void **)m, PORT_BURST) != 0)
		return 0; /* the worker keeps some: the next burst will do */
	for (unsigned i = 0; i < PORT_BURST; i++) {
		m[i]->data_off = RTE_PKTMBUF_HEADROOM;
		m[i]->data_len = (uint16_t)((struct kept *)rte_mbuf_to_priv(m[i]))->len;
		m[i]->pkt_len = m[i]->data_len;
		m[i]->ol_flags = 0;
		if (f->renew != NULL)
			f->renew(f->renew_arg, rte_pktmbuf_mtod(m[i], uint8_t *), m[i]->data_len);
	}
	return rte_ring_enqueue_bulk(f->rig->rx[port][f->worker], (void **)m, PORT_BURST, NULL);
}

/* What is wrong with a frame that came out; NULL: nothing. `broken`: it has to be an answer, and no
 * more. */
static const char *flaw(const uint8_t *data, uint32_t len, bool broken, struct str *payload)
{
	struct net_frame frame;
	struct sip_msg msg;
	enum sip_error error;

	*payload = STR_NONE;
	switch (net_frame_parse(data, len, true, &frame)) {
	case NET_FRAGMENT:
		return NULL;
	case NET_UDP:
		break;
	default:
		return "no datagram";
	}
	*payload = str_of((const char *)data + frame.payload_off, frame.payload_len);
	if (net_udp_verify(data, &frame) != NET_CHECKSUM_GOOD)
		return "a wrong checksum";
	if (broken)
		return str_istarts(*payload, STR("SIP/2.0 ")) ? NULL : "no answer";
	error = sip_msg_index(&msg, payload->s, payload->len);
	if (error == SIP_OK)
		error = sip_msg_check(&msg, payload->s);
	return error == SIP_OK ? NULL : sip_error_name(error);
}

const char *bench_flaw(const uint8_t *data, uint32_t len)
{
	struct str payload;

	return flaw(data, len, false, &payload);
}

static void inspect(const struct feed *f, const struct rte_mbuf *m)
{
	const char *what = "longer than any message";
	struct str payload = STR_NONE;
	uint8_t room[MESSAGE_MAX];

	if (m->pkt_len <= sizeof(room))
		what = flaw(
			rte_pktmbuf_read(m, 0, m->pkt_len, room), m->pkt_len, f->broken, &payload);
	if (what != NULL)
		bench_fail(f->b, "what came out is no message: %s\n%.*s", what, (int)payload.len,
			payload.s);
}

static void take_away(struct feed *f)
{
	struct rte_mbuf *out[2 * PORT_BURST];

	for (unsigned p = 0; p < RIG_PORTS; p++) {
		unsigned n;

		while ((n = rte_ring_dequeue_burst(f->rig->tx[p][f->worker], (void **)out,
				2 * PORT_BURST, NULL)) > 0) {
			for (unsigned i = 0; i < n; i++)
				f->out_bytes += out[i]->pkt_len;
			for (unsigned i = 0; i < n && f->inspects; i++)
				inspect(f, out[i]);
			f->out_frames += n;
			rte_pktmbuf_free_bulk(out, n);
		}
	}
}

void feed_window(struct feed *f, unsigned bursts, struct window *out)
{
	struct pipeline_stages before, after;
	uint64_t at = rte_rdtsc(), now;

	*out = (struct window){0};
	pipeline_stages(f->rig->pipeline, &before);
	for (unsigned i = 0; i < bursts; i++) {
		out->frames += feed_refill(f);
		now = rte_rdtsc();
		out->refill += now - at;
		at = now;
		CALLGRIND_TOGGLE_COLLECT;
		pipeline_worker_poll(f->rig->pipeline, f->worker);
		CALLGRIND_TOGGLE_COLLECT;
		now = rte_rdtsc();
		out->work += now - at;
		at = now;
		take_away(f);
	}
	out->refill += rte_rdtsc() - at;
	f->in_frames += out->frames;
	pipeline_stages(f->rig->pipeline, &after);
	for (unsigned i = 0; i < PIPELINE_STAGE_COUNT; i++)
		out->stage[i] = after.cycles[i] - before.cycles[i];
}

void figures_init(struct figures *f)
{
	memset(f, 0, sizeof(*f));
	samples_init(&f->ns);
	samples_init(&f->refill);
	samples_init(&f->cycles);
	for (unsigned i = 0; i < PIPELINE_STAGE_COUNT; i++)
		samples_init(&f->stage[i]);
}

void figures_free(struct figures *f)
{
	samples_free(&f->ns);
	samples_free(&f->refill);
	samples_free(&f->cycles);
	for (unsigned i = 0; i < PIPELINE_STAGE_COUNT; i++)
		samples_free(&f->stage[i]);
}

static void keep_window(
	const struct bench *b, const struct feed *f, const struct window *w, struct figures *out)
{
	double messages = (double)w->frames / f->frames_per_message;

	samples_add(&out->ns, (double)w->work * b->ns_per_cycle / messages);
	samples_add(&out->refill, (double)w->refill * b->ns_per_cycle / messages);
	samples_add(&out->cycles, (double)w->work / messages);
	for (unsigned i = 0; i < PIPELINE_STAGE_COUNT; i++)
		samples_add(&out->stage[i], (double)w->stage[i] / messages);
}

/* Windows for `seconds`, none of them without messages. */
static void run_windows(struct bench *b, struct feed *f, double seconds, struct figures *out)
{
	uint64_t begun = rte_rdtsc(), said = begun, now;
	double hz = 1e9 / b->ns_per_cycle;
	struct window w;

	do {
		feed_window(f, WINDOW_BURSTS, &w);
		if (w.frames == 0)
			bench_fail(b, "the worker keeps all messages");
		keep_window(b, f, &w, out);
		now = rte_rdtsc();
		if ((double)(now - said) > SAY_EVERY_S * hz) {
			said = now;
			bench_say(b, "%.0f of %.0f s", (double)(now - begun) / hz, seconds);
		}
	} while ((double)(now - begun) < seconds * hz);
}

static void warm(struct bench *b, struct feed *f)
{
	uint64_t begun = rte_rdtsc();
	struct window w;

	f->inspects = true;
	do {
		feed_window(f, WINDOW_BURSTS, &w);
		if (w.frames == 0)
			bench_fail(b, "the worker keeps all messages");
	} while ((double)(rte_rdtsc() - begun) * b->ns_per_cycle < WARM_SECONDS * 1e9 ||
		 f->in_frames < f->count[0] + f->count[1]);
	f->inspects = false;
}

void feed_run(struct bench *b, struct feed *f, double seconds, struct figures *out)
{
	uint64_t before[COUNTER_COUNT], after[COUNTER_COUNT];
	uint64_t frames, out_frames, out_bytes;
	struct window w;

	if (b->count == 0 && out->ns.n == 0)
		warm(b, f);
	pipeline_counters(f->rig->pipeline, before);
	frames = f->in_frames;
	out_frames = f->out_frames;
	out_bytes = f->out_bytes;
	f->inspects = b->count != 0;
	if (b->count != 0)
		feed_window(f, (unsigned)b->count, &w);
	else
		run_windows(b, f, seconds, out);
	pipeline_counters(f->rig->pipeline, after);
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		out->counter[i] += after[i] - before[i];
	frames = f->in_frames - frames;
	out->frames += frames;
	out->out_frames += f->out_frames - out_frames;
	out->bytes_in = (double)f->bytes / (f->count[0] + f->count[1]) * f->frames_per_message;
	out->bytes_out =
		(double)(f->out_bytes - out_bytes) / (double)frames * f->frames_per_message;
}

void figures_print_ends(const struct figures *f, FILE *out)
{
	fprintf(out, "%" PRIu64 " frames\n", f->frames);
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		if (f->counter[i] != 0 && counter_kind(i) != COUNTER_IN &&
			counter_kind(i) != COUNTER_INFO)
			fprintf(out, "  %s %" PRIu64 "\n", counter_name(i), f->counter[i]);
	fprintf(out, "  %s %" PRIu64 "\n", counter_name(COUNTER_FRAMES_OUT), f->out_frames);
}

/* What is wrong with how the frames ended; NULL: nothing. */
static const char *fault(const struct figures *f, unsigned end)
{
	const uint64_t *n = f->counter;
	struct counter_balance sum = counter_balance(n);

	if (n[COUNTER_FRAMES_IN] != f->frames || f->frames == 0)
		return "not all frames were received";
	if (!sum.exact || sum.held != 0)
		return "some frames wait, or are counted nowhere";
	if (n[COUNTER_FRAMES_OUT] != f->out_frames)
		return "not all that was sent came out";
	if (end != COUNTER_COUNT && n[end] != n[COUNTER_FRAMES_IN])
		return "not all frames ended as they should";
	if (end == COUNTER_FORWARDED && f->out_frames < f->frames)
		return "fewer frames came out than went in";
	if (end == COUNTER_COUNT && (n[COUNTER_FORWARDED] != 0 || n[COUNTER_KERNEL] != 0))
		return "frames were sent on that should not be";
	if (end != COUNTER_FORWARDED && f->out_frames != n[COUNTER_ANSWERED])
		return "not one answer came out for each that was counted";
	return NULL;
}

void figures_check(struct bench *b, const struct figures *f, unsigned end, const char *variant)
{
	const char *what = fault(f, end);

	if (what != NULL) {
		figures_print_ends(f, stderr);
		bench_fail(b, "%s%s (%s)", what, variant,
			end != COUNTER_COUNT ? counter_name(end) : "answered or dropped");
	}
	if (b->count != 0)
		figures_print_ends(f, stdout);
}

void feed_rows(struct bench *b, struct figures *f, const char *variant, const char *note)
{
	char metric[128];

	if (b->count != 0)
		return;
	snprintf(metric, sizeof(metric), "messages_per_second%s", variant);
	bench_rate_row(b, metric, &f->ns, "ring", note);
	snprintf(metric, sizeof(metric), "ns_per_message%s", variant);
	bench_row(b, metric, "ns", &f->ns, "ring", note);
	snprintf(metric, sizeof(metric), "refill_ns_per_message%s", variant);
	bench_row(b, metric, "ns", &f->refill, "ring",
		"feeding and taking away, not in the figures above");
	snprintf(metric, sizeof(metric), "cycles_per_message%s", variant);
	bench_row(b, metric, "cycles", &f->cycles, "ring", "TSC");
	for (unsigned i = 0; i < PIPELINE_STAGE_COUNT; i++) {
		snprintf(metric, sizeof(metric), "stage_cycles%s/%s", variant,
			pipeline_stage_name((enum pipeline_stage)i));
		bench_row(b, metric, "cycles", &f->stage[i], "ring", "TSC");
	}
	snprintf(metric, sizeof(metric), "bytes_in%s", variant);
	bench_value(b, metric, "bytes", f->bytes_in, "ring", "a message, with its headers");
	snprintf(metric, sizeof(metric), "bytes_out%s", variant);
	bench_value(b, metric, "bytes", f->bytes_out, "ring", "written for a message");
}
