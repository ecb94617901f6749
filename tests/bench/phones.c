/* SPDX-License-Identifier: BSD-3-Clause */
/* Phones and backends around a stateful siplane. */
#include "phones.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#define BUFFERS 8191 /* of the phones */
#define RIG_BUFFERS 32767
#define BUFFERS_BIG 255
#define WINDOW_NS (20 * CLOCK_NS_PER_MS)
#define STUCK_NS (5 * CLOCK_NS_PER_S)
#define SETTLE_NS (5 * CLOCK_NS_PER_S)
#define CALLERS 200
#define HEX "0123456789abcdef"

/* ---- templates ---- */

void phones_shuffled(struct draft *out, const char *const *line, unsigned lines, struct lot *lot)
{
	unsigned order[PHONES_SPOTS_MAX];

	for (unsigned i = 0; i < lines; i++)
		order[i] = i;
	while (lines > 0) {
		unsigned pick = lot_below(lot, lines--), at = order[pick];

		order[pick] = order[lines];
		draft_add_str(out, str_c(line[at]));
	}
}

static void find_spots(struct phones *p, struct phones_template *t)
{
	for (uint32_t i = 0; i < t->len; i++) {
		uint8_t kind = (uint8_t)t->text[i];

		if (kind < PHONES_USER || kind > PHONES_CSEQ)
			continue;
		if (t->spots == PHONES_SPOTS_MAX)
			bench_fail(p->b, "a template has too many spots");
		t->spot[t->spots].at = (uint16_t)i;
		t->spot[t->spots++].kind = kind;
		i += 7;
	}
}

void phones_templates(
	struct phones *p, void (*write)(struct draft *out, unsigned host, struct lot *lot))
{
	p->template = bench_alloc(p->b, PHONES_TEMPLATES, sizeof(*p->template));
	for (unsigned i = 0; i < PHONES_TEMPLATES; i++) {
		struct phones_template *t = &p->template[i];
		struct draft d = {.s = t->text, .size = sizeof(t->text)};

		t->host = 2 + i % CALLERS;
		write(&d, t->host, &p->lot);
		if (d.over)
			bench_fail(p->b, "a template is too long");
		t->len = d.len;
		find_spots(p, t);
	}
}

static void write_hex(char *out, uint32_t v)
{
	for (unsigned i = 8; i-- > 0; v >>= 4)
		out[i] = HEX[v & 15];
}

static void write_decimal(char *out, uint32_t v)
{
	for (unsigned i = 8; i-- > 0; v /= 10)
		out[i] = (char)('0' + v % 10);
}

struct str phones_fill(
	const struct phones_template *t, uint32_t user, uint32_t serial, uint32_t cseq, char *out)
{
	memcpy(out, t->text, t->len);
	for (unsigned i = 0; i < t->spots; i++) {
		char *at = out + t->spot[i].at;

		if (t->spot[i].kind == PHONES_USER)
			write_decimal(at, user);
		else if (t->spot[i].kind == PHONES_SERIAL)
			write_hex(at, serial);
		else
			write_decimal(at, cseq);
	}
	return str_of(out, t->len);
}

struct net_endpoint phones_caller(unsigned host)
{
	return (struct net_endpoint){
		.port = 5060, .addr = {.family = 4, .b = {10, 10, 0, (uint8_t)host}}};
}

/* ---- the rig ---- */

void phones_create_with(struct bench *b, struct phones *p, const struct rig_config *config)
{
	char secret[] = "/tmp/bench-secret-XXXXXX";
	struct rig_config rc = *config;

	rc.secret_file = b->count != 0 ? secret : NULL;
	rc.hops = bench_hops(0, 1500);
	rc.queues = rc.workers;
	rc.slow = 1;
	rc.buffers = RIG_BUFFERS;
	rc.buffers_big = BUFFERS_BIG;
	memset(p, 0, sizeof(*p));
	p->b = b;
	p->window_ns = WINDOW_NS;
	p->lot.state = 0x9e3779b97f4a7c15ULL;
	if (rc.hops == NULL)
		bench_fail(b, "not enough memory for next hops");
	if (b->count != 0)
		bench_secret(b, secret);
	p->rig = rig_create_with(&rc);
	if (b->count != 0)
		remove(secret);
	if (p->rig == NULL)
		bench_fail(b, "%s does not load", rc.config);
	p->pool = port_pool_create("phones", BUFFERS, PORT_MBUF_ROOM, true, SOCKET_ID_ANY);
	if (p->pool == NULL)
		bench_fail(b, "no memory for %u messages", BUFFERS);
}

void phones_create(struct bench *b, struct phones *p, const char *config, unsigned workers,
	uint32_t contacts, uint32_t transactions)
{
	phones_create_with(b, p,
		&(struct rig_config){.config = config,
			.workers = workers,
			.contacts = contacts,
			.transactions = transactions});
}

void phones_destroy(struct phones *p)
{
	bench_rig_end(p->rig);
	rte_mempool_free(p->pool);
	free(p->template);
}

/* ---- what goes in and comes out ---- */

void phones_send(struct phones *p, unsigned port, const struct net_endpoint *src, struct str text)
{
	struct net_endpoint dst = {
		.port = 5060, .addr = {.family = 4, .b = {10, (uint8_t)(10 + 10 * port), 0, 1}}};
	struct rte_mbuf *m;

	if (p->wire != NULL) {
		phones_wire_send(p, port, src, text);
		return;
	}
	m = rte_pktmbuf_alloc(p->pool);
	if (m == NULL || !rig_write(p->rig, m, port, src, &dst, text) ||
		rte_ring_enqueue(p->rig->rx[port][0], m) != 0)
		bench_fail(p->b, "no room for a message of %u bytes", text.len);
	p->in_frames++;
}

static void take_frame(struct phones *p, unsigned port, struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	struct net_frame frame;
	struct net_endpoint to;
	struct str text;
	const char *what;

	if (p->inspects) {
		what = bench_flaw(data, m->pkt_len);
		if (what != NULL)
			bench_fail(p->b, "what came out is no message: %s\n%.*s", what,
				(int)m->data_len, (const char *)data);
	}
	if (net_frame_parse(data, m->pkt_len, true, &frame) != NET_UDP)
		bench_fail(p->b, "what came out is no datagram");
	to = frame.dst;
	text = str_of((const char *)data + frame.payload_off, frame.payload_len);
	p->react(p, port, &to, text);
}

void phones_take(struct phones *p)
{
	struct rte_mbuf *out[PORT_BURST];

	for (unsigned port = 0; port < RIG_PORTS; port++) {
		unsigned n;

		while ((n = rte_ring_dequeue_burst(
				p->rig->tx[port][0], (void **)out, PORT_BURST, NULL)) > 0) {
			for (unsigned i = 0; i < n; i++)
				take_frame(p, port, out[i]);
			p->out_frames += n;
			rte_pktmbuf_free_bulk(out, n);
		}
	}
}

/* ---- threads ---- */

struct slow_thread {
	struct phones *p;
	pthread_t thread;
	cpu_set_t cpu;
	_Atomic bool stop;
	_Atomic unsigned asked, told; /* how often a mark was wanted, and made */
	unsigned taken;               /* the asking thread's: the last one that it has */
	struct slow_mark mark;        /* the last one told */
};

static void make_slow_mark(const struct phones *p, struct slow_mark *out)
{
	pipeline_slow_stages(p->rig->pipeline, &out->stages);
	out->tsc = rte_rdtsc();
}

static void *slow_main(void *arg)
{
	struct slow_thread *t = arg;

	if (pthread_setaffinity_np(pthread_self(), sizeof(t->cpu), &t->cpu) != 0 ||
		rte_thread_register() != 0)
		bench_fail(t->p->b, "no thread for the slow lcore");
	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		unsigned asked = atomic_load_explicit(&t->asked, memory_order_acquire);

		pipeline_slow_poll(t->p->rig->pipeline, 0);
		if (asked == atomic_load_explicit(&t->told, memory_order_relaxed))
			continue;
		make_slow_mark(t->p, &t->mark);
		atomic_store_explicit(&t->told, asked, memory_order_release);
	}
	rte_thread_unregister();
	return NULL;
}

bool phones_has_two(const struct phones *p)
{
	return p->b->threads > 1 && p->b->count == 0;
}

void phones_start(struct phones *p)
{
	struct slow_thread *t;

	if (!phones_has_two(p))
		return;
	p->slow = t = bench_alloc(p->b, 1, sizeof(*t));
	t->p = p;
	t->cpu = rte_lcore_cpuset(rte_get_next_lcore(-1, 1, 0));
	if (pthread_create(&t->thread, NULL, slow_main, t) != 0)
		bench_fail(p->b, "no thread for the slow lcore");
}

void phones_stop(struct phones *p)
{
	if (p->slow == NULL)
		return;
	atomic_store(&p->slow->stop, true);
	pthread_join(p->slow->thread, NULL);
	free(p->slow);
	p->slow = NULL;
}

bool phones_slow_mark(const struct phones *p, struct slow_mark *out)
{
	struct slow_thread *t = p->slow;
	unsigned asked;

	if (t == NULL) {
		make_slow_mark(p, out);
		return true;
	}
	asked = atomic_load_explicit(&t->asked, memory_order_relaxed);
	if (t->taken == asked)
		atomic_store_explicit(&t->asked, ++asked, memory_order_release);
	if (atomic_load_explicit(&t->told, memory_order_acquire) != asked)
		return false;
	*out = t->mark;
	t->taken = asked;
	return true;
}

void phones_begin(struct phones *p, uint64_t last)
{
	for (unsigned i = 0; i < PORT_BURST && p->open < p->window && p->begun < last; i++) {
		p->open++;
		p->begun++;
		p->begin(p);
	}
}

/* One pass of all that runs on this thread. */
static void pass(struct phones *p, uint64_t last)
{
	phones_begin(p, last);
	CALLGRIND_TOGGLE_COLLECT;
	pipeline_worker_poll(p->rig->pipeline, 0);
	if (!phones_has_two(p))
		pipeline_slow_poll(p->rig->pipeline, 0);
	CALLGRIND_TOGGLE_COLLECT;
	phones_take(p);
}

/* ---- measuring ---- */

void load_init(struct load *l)
{
	memset(l, 0, sizeof(*l));
	samples_init(&l->ns);
	samples_init(&l->worker);
	samples_init(&l->slow);
	samples_init(&l->busy);
	samples_init(&l->own_slow);
	samples_init(&l->own);
}

void load_free(struct load *l)
{
	samples_free(&l->ns);
	samples_free(&l->worker);
	samples_free(&l->slow);
	samples_free(&l->busy);
	samples_free(&l->own_slow);
	samples_free(&l->own);
}

struct mark {
	uint64_t ns, cpu_ns, done;
	struct pipeline_stages worker;
	struct slow_mark slow;
};

/* False: the slow lcore is within a pass. */
static bool set_mark(const struct phones *p, struct mark *m)
{
	struct timespec cpu;

	if (!phones_slow_mark(p, &m->slow))
		return false;
	m->ns = clock_now_ns();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	m->cpu_ns = (uint64_t)cpu.tv_sec * CLOCK_NS_PER_S + (uint64_t)cpu.tv_nsec;
	m->done = p->done;
	pipeline_stages(p->rig->pipeline, &m->worker);
	return true;
}

static uint64_t cycles_since(
	const struct pipeline_stages *from, const struct pipeline_stages *to, double *stage)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < PIPELINE_STAGE_ALL; i++) {
		sum += to->cycles[i] - from->cycles[i];
		stage[i] += (double)(to->cycles[i] - from->cycles[i]);
	}
	return sum;
}

/* Ends a window and begins the next one, unless a thread has lost its CPU: then the window goes on.
 */
static void keep_window(const struct phones *p, struct mark *from, struct load *out)
{
	double n = (double)(p->done - from->done), worker, slow, ns = p->b->ns_per_cycle;
	struct mark now;

	if (n == 0 && clock_now_ns() - from->ns >= STUCK_NS)
		bench_fail(p->b, "nothing was done in %.0f s",
			(double)(clock_now_ns() - from->ns) / 1e9);
	if (n == 0 || !set_mark(p, &now))
		return;
	samples_add(&out->ns, (double)(now.ns - from->ns) / n);
	worker = (double)cycles_since(&from->worker, &now.worker, out->stage);
	slow = (double)cycles_since(&from->slow.stages, &now.slow.stages, out->stage);
	samples_add(&out->worker, worker / n);
	samples_add(&out->slow, slow / n);
	samples_add(&out->busy, 100 * slow / (double)(now.slow.tsc - from->slow.tsc));
	/* The TSC goes on while others have the CPU; of one thread it is known how long that was.
	 */
	if (!phones_has_two(p) && now.ns != from->ns)
		ns *= (double)(now.cpu_ns - from->cpu_ns) / (double)(now.ns - from->ns);
	samples_add(&out->own_slow, slow / n * ns);
	samples_add(&out->own, (worker + slow) / n * ns);
	out->done += p->done - from->done;
	*from = now;
}

static void run(struct phones *p, double seconds, uint64_t count, struct load *out)
{
	uint64_t said = clock_now_ns(), end = said + (uint64_t)(seconds * 1e9), now;
	uint64_t last = count != 0 ? p->begun + count : UINT64_MAX, first = p->done;
	struct mark mark;

	while (!set_mark(p, &mark))
		rte_pause();
	do {
		for (unsigned i = 0; i < 16; i++)
			pass(p, last);
		pipeline_control_poll(p->rig->pipeline, clock_now_ns());
		now = clock_now_ns();
		if (out != NULL && p->b->count == 0 && now - mark.ns >= p->window_ns)
			keep_window(p, &mark, out);
		if (now - said > 2 * CLOCK_NS_PER_S) {
			said = now;
			bench_say(p->b, "%" PRIu64 " done", p->done);
		}
	} while (count != 0 ? p->done < last : now < end || (out != NULL && p->done == first));
	while (out != NULL && (p->b->count != 0 || out->ns.n == 0) && p->done != mark.done)
		keep_window(p, &mark, out);
}

void phones_run(struct phones *p, double seconds, uint64_t count, struct load *out)
{
	phones_start(p);
	if (p->b->count != 0)
		count = p->b->count;
	run(p, seconds, count, out);
	phones_stop(p);
}

/* Whether each frame has ended and been looked at, none dropped. */
static bool is_settled(const struct phones *p, uint64_t counter[COUNTER_COUNT])
{
	struct counter_balance sum;

	pipeline_counters(p->rig->pipeline, counter);
	sum = counter_balance(counter);
	return sum.exact && sum.held == 0 && counter[COUNTER_FRAMES_IN] == p->in_frames &&
	       counter[COUNTER_FRAMES_OUT] == p->out_frames && sum.dropped == 0;
}

void phones_settle(struct phones *p)
{
	uint64_t counter[COUNTER_COUNT], until = clock_now_ns() + SETTLE_NS;
	bool in_time;

	/* What a machine that was away has sent twice is answered behind the last session's end. */
	do {
		pipeline_worker_poll(p->rig->pipeline, 0);
		pipeline_slow_poll(p->rig->pipeline, 0);
		pipeline_control_poll(p->rig->pipeline, clock_now_ns());
		phones_take(p);
		in_time = clock_now_ns() < until;
	} while ((p->open != 0 && p->b->count != 0) ||
		 (in_time && (p->open != 0 || !is_settled(p, counter))));
	if (p->open != 0)
		bench_fail(p->b, "%u never ended", p->open);
	if (!is_settled(p, counter)) {
		struct figures f = {.frames = p->in_frames, .out_frames = p->out_frames};

		memcpy(f.counter, counter, sizeof(counter));
		figures_print_ends(&f, stderr);
		bench_fail(p->b, "some frames were dropped, wait, or are counted nowhere");
	}
}

void phones_rows(struct phones *p, struct load *l, const char *what, const char *one)
{
	struct bench *b = p->b;
	const char *cpus = phones_has_two(p)
				   ? "a worker with the phones on one CPU, a slow lcore on one"
				   : "worker, slow lcore and phones take turns on one CPU";
	char metric[96];

	snprintf(metric, sizeof(metric), "%s_per_second", what);
	bench_rate_row(b, metric, &l->ns, "ring", cpus);
	snprintf(metric, sizeof(metric), "%s_per_slow_second", what);
	bench_rate_row(b, metric, &l->own_slow, "ring", "a second of the slow lcore's own time");
	snprintf(metric, sizeof(metric), "%s_per_cpu_second", what);
	bench_rate_row(b, metric, &l->own, "ring",
		"a second of the worker's and the slow lcore's own time");
	snprintf(metric, sizeof(metric), "cycles_per_%s/worker", one);
	bench_row(b, metric, "cycles", &l->worker, "ring", "TSC");
	snprintf(metric, sizeof(metric), "cycles_per_%s/slow", one);
	bench_row(b, metric, "cycles", &l->slow, "ring", "TSC");
	snprintf(metric, sizeof(metric), "slow_busy/%s", what);
	bench_row(b, metric, "%", &l->busy, "ring", "of the slow lcore's time");
	for (unsigned i = 0; i < PIPELINE_STAGE_ALL; i++) {
		snprintf(metric, sizeof(metric), "stage_cycles/%s", pipeline_stage_name(i));
		bench_value(b, metric, "cycles", l->stage[i] / (double)l->done, "ring", "both");
	}
}
