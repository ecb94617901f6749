/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipeline: making and ending it, and what the control thread asks of it as a whole.
 */
#include <stdlib.h>

#include <rte_cycles.h>

#include "pipeline/worker.h"

#define RING_SIZE 2048
#define NOTES_SIZE 1024
#define XLOG_BYTES (1u << 20)
#define REPLY_SOURCES 65536

static const struct net_reassembler_config reassembler_config = {
	.datagrams_max = 1024,
	.datagrams_per_source_max = 64,
	.bytes_max = 16ULL << 20,
	.timeout_ns = PIPELINE_REASSEMBLY_NS,
};

/* DPDK's names are the process's: a second pipeline (tests have several) needs its own. */
static unsigned pipelines_made;

static struct rte_ring *ring_create(const char *name, unsigned index, unsigned size)
{
	char full[RTE_RING_NAMESIZE];

	snprintf(full, sizeof(full), "%s_%u_%u", name, pipelines_made, index);
	return rte_ring_create(full, size, SOCKET_ID_ANY, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
}

/* Holds all messages that can wait. */
static unsigned held_ring_size(const struct pipeline_config *c)
{
	return rte_align32pow2(c->held_small + c->held_big + 1);
}

/* A worker's own places for messages that cross: twice what one slow lcore takes, so that one that
 * is behind leaves some for the others. */
static unsigned places_of_worker(const struct pipeline_config *c)
{
	return c->slow == 0 ? 0
			    : 2 * PIPELINE_SLOW_LAST * ((c->slow + c->workers - 1) / c->workers);
}

/* Marks on their way at a time: reloads that follow each other that fast wait. */
#define MARKS_MAX 16

/* Holds all that can cross. */
static unsigned slow_ring_size(const struct pipeline_config *c)
{
	return rte_align32pow2(
		c->workers * places_of_worker(c) + c->held_small + c->held_big + MARKS_MAX + 1);
}

uint64_t pipeline_ring_bytes(const struct pipeline_config *c)
{
	uint64_t held = rte_ring_get_memsize(held_ring_size(c));
	uint64_t frames = rte_ring_get_memsize(RING_SIZE);

	return (c->workers + c->slow + 1) * held + 2 * c->workers * frames +
	       c->slow * (uint64_t)rte_ring_get_memsize(slow_ring_size(c));
}

/* A worker's own: what it receives frames with, and what it crosses by. */
static int receiver_init(struct worker *w, const struct hash_key *key)
{
	const struct pipeline_config *c = &w->p->config;

	w->in_frames = ring_create("in_frames", w->index, RING_SIZE);
	w->in_tx = ring_create("in_tx", w->index, RING_SIZE);
	w->reassembler = net_reassembler_create(&reassembler_config, key);
	w->ctx = aligned_alloc(64, PORT_BURST * RTE_ALIGN_CEIL(sizeof(*w->ctx), 64));
	if (w->in_frames == NULL || w->in_tx == NULL || w->reassembler == NULL || w->ctx == NULL)
		return -ENOMEM;
	memset(w->ctx, 0, PORT_BURST * sizeof(*w->ctx));
	return c->slow > 0 ? places_create(&w->places, places_of_worker(c)) : 0;
}

/* A slow lcore's own. What it sends to ourselves is received by the worker that sends for it. */
static int slow_init(struct worker *w, unsigned shard)
{
	const struct pipeline_config *c = &w->p->config;
	struct location_stats stats;

	w->is_slow = true;
	w->in_frames = w->p->worker[shard % c->workers].in_frames;
	w->in_slow = ring_create("in_slow", w->index, slow_ring_size(c));
	if (w->in_slow == NULL)
		return -ENOMEM;
	if (c->location != NULL) {
		location_stats(c->location, &stats);
		w->sweep_places = (uint32_t)(stats.contacts_max / c->slow);
	}
	return slow_open(w, shard);
}

/* Slow lcores own no queue. */
static void find_queues(struct worker *w)
{
	const struct pipeline_config *c = &w->p->config;

	w->ports = (uint16_t)c->ports;
	for (unsigned i = 0; i < c->ports; i++) {
		unsigned owners = RTE_MIN((unsigned)c->port[i].queues, c->workers);

		w->at[i].port = &c->port[i];
		w->at[i].queue = w->index < owners ? (int)w->index : -1;
		w->at[i].transmitter = &w->p->worker[w->index % owners];
	}
}

static int worker_init(struct pipeline *p, unsigned index, char *error, size_t error_size)
{
	const struct pipeline_config *c = &p->config;
	struct worker *w = &p->worker[index];
	struct hash_key key;
	int err;

	w->p = p;
	w->index = index;
	w->count = &p->count[index];
	find_queues(w);
	err = hash_key_random(&key);
	if (err == 0)
		err = route_thread_init(&w->thread, index);
	if (err != 0) {
		snprintf(error, error_size, "worker %u: %s", index, strerror(-err));
		return err;
	}
	w->thread.xlog = p->xlog[index] = route_xlog_create(XLOG_BYTES);
	w->in_held = ring_create("in_held", index, held_ring_size(c));
	if (c->slow > 0) {
		w->to_slow = calloc(c->slow, sizeof(*w->to_slow));
		w->share = share_create();
	}
	if (w->in_held == NULL || p->xlog[index] == NULL ||
		(c->slow > 0 && (w->to_slow == NULL || w->share == NULL)) ||
		(index < c->workers ? receiver_init(w, &key) : slow_init(w, index - c->workers)) !=
			0) {
		snprintf(error, error_size, "worker %u: not enough memory", index);
		return -ENOMEM;
	}
	w->reader = rcu_register(c->rcu);
	if (w->reader < 0) {
		snprintf(error, error_size, "worker %u: more than %u readers", index,
			RCU_READERS_MAX);
		return w->reader;
	}
	return 0;
}

/* A script that was passing; `at`: where it stands in the list. */
static void let_go(struct passing **at)
{
	struct passing *s = *at;

	*at = s->next;
	s->orphan = true;
	if (!s->quiet)
		return; /* only at the end: RCU frees it */
	route_script_unref(s->script);
	free(s);
}

struct pipeline *pipeline_create(
	const struct pipeline_config *config, char *error, size_t error_size)
{
	struct pipeline *p = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*p), 64));
	unsigned threads = config->workers + config->slow;
	struct hash_key key;
	char notes[RTE_RING_NAMESIZE];

	pipelines_made++;
	snprintf(error, error_size, "not enough memory");
	if (p == NULL)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->config = *config;
	p->mark.why = HELD_MARK;
	p->worker = aligned_alloc(64, threads * sizeof(*p->worker));
	p->count = aligned_alloc(64, (threads + 1) * sizeof(*p->count));
	p->xlog = calloc(threads, sizeof(*p->xlog));
	p->slab = slab_create(config->held_small, config->held_big);
	p->to_control = ring_create("to_control", 0, held_ring_size(config));
	snprintf(notes, sizeof(notes), "notes_%u", pipelines_made);
	p->notes = rte_ring_create_elem(notes, sizeof(struct note), NOTES_SIZE, SOCKET_ID_ANY,
		RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
	if (p->worker == NULL || p->count == NULL || p->xlog == NULL || p->slab == NULL ||
		p->to_control == NULL || p->notes == NULL ||
		hash_key_random(&p->fragment_key) != 0 || hash_key_random(&p->spread_key) != 0 ||
		hash_key_random(&key) != 0)
		goto fail;
	p->reply_rate =
		access_rate_create(REPLY_SOURCES, config->reply_rate, 2 * config->reply_rate, &key);
	p->waits = waits_create((config->held_small + config->held_big) / 2, &p->spread_key);
	if (p->reply_rate == NULL || p->waits == NULL)
		goto fail;
	memset(p->worker, 0, threads * sizeof(*p->worker));
	memset(p->count, 0, (threads + 1) * sizeof(*p->count));
	for (unsigned i = 0; i < threads; i++)
		if (worker_init(p, i, error, error_size) != 0)
			goto fail;
	return p;
fail:
	pipeline_destroy(p);
	return NULL;
}

/* Places are freed with what they stand in; scripts are counted. */
static void lose_scripts(struct rte_ring *ring)
{
	void *at;

	while (ring != NULL && rte_ring_dequeue(ring, &at) == 0) {
		struct held *h = at;

		if (h->why != HELD_MARK && h->why != HELD_NEIGHBOUR && h->why != HELD_UNREACHABLE &&
			h->referred)
			route_script_unref(h->script);
	}
}

static void worker_fini(struct worker *w)
{
	void *m;

	if (w->p == NULL)
		return;
	if (w->is_slow)
		w->in_frames = NULL; /* a worker's */
	while (w->in_frames != NULL && rte_ring_dequeue(w->in_frames, &m) == 0)
		rte_pktmbuf_free(m);
	while (w->in_tx != NULL && rte_ring_dequeue(w->in_tx, &m) == 0)
		rte_pktmbuf_free(m);
	lose_scripts(w->in_held);
	lose_scripts(w->in_slow);
	rte_ring_free(w->in_frames);
	rte_ring_free(w->in_held);
	rte_ring_free(w->in_slow);
	rte_ring_free(w->in_tx);
	places_destroy(&w->places);
	free(w->to_slow);
	free(w->share);
	net_reassembler_destroy(w->reassembler);
	route_thread_fini(&w->thread);
	free(w->ctx);
}

void pipeline_destroy(struct pipeline *p)
{
	struct route_script *script;

	if (p == NULL)
		return;
	/* Slow lcores first: their messages stand in workers' places. */
	for (unsigned i = pipeline_threads(p); p->worker != NULL && i-- > 0;) {
		worker_fini(&p->worker[i]);
		if (p->xlog != NULL)
			route_xlog_destroy(p->xlog[i]);
	}
	script = atomic_load(&p->script);
	if (script != NULL)
		route_script_unref(script);
	while (p->passing != NULL)
		let_go(&p->passing);
	lose_scripts(p->to_control);
	for (const struct held *h = p->turns; h != NULL; h = h->next)
		route_script_unref(h->script);
	rte_ring_free(p->to_control);
	rte_ring_free(p->notes);
	slab_destroy(p->slab);
	access_rate_destroy(p->reply_rate);
	free(p->waits);
	free(p->worker);
	free(p->count);
	free(p->xlog);
	free(p);
}

/* No worker runs it any more. */
static void quiet(void *object)
{
	struct passing *s = object;

	if (!s->orphan) {
		s->quiet = true;
		return;
	}
	route_script_unref(s->script);
	free(s);
}

static bool all_have_passed(const struct pipeline *p, uint64_t mark)
{
	for (unsigned i = 0; i < p->config.slow; i++) {
		const struct worker *w = &p->worker[p->config.workers + i];

		if (atomic_load_explicit(&w->marks, memory_order_acquire) < mark)
			return false;
	}
	return true;
}

/* One more mark in each slow lcore's ring; no more at a time than these have room for. */
static bool put_marks(struct pipeline *p)
{
	if (p->marks >= MARKS_MAX && !all_have_passed(p, p->marks + 1 - MARKS_MAX))
		return false;
	for (unsigned i = 0; i < p->config.slow; i++)
		(void)rte_ring_enqueue(slow_of(p, i)->in_slow, &p->mark);
	p->marks++;
	return true;
}

/*
 * Messages on their way to slow lcores hold no reference to their script. When no worker runs it
 * any more, a mark behind them tells when they have been taken. Transactions that began with it do
 * hold one, and ours is kept until theirs are gone: it ends here, and not on a slow lcore.
 */
void passing_poll(struct pipeline *p)
{
	for (struct passing *s = p->passing; s != NULL && s->quiet; s = s->next) {
		if (s->mark == 0 && !put_marks(p))
			break;
		if (s->mark == 0)
			s->mark = p->marks;
	}
	for (struct passing **at = &p->passing; *at != NULL;) {
		struct passing *s = *at;

		if (s->mark == 0 || !all_have_passed(p, s->mark))
			break;
		if (route_script_is_last(s->script))
			let_go(at);
		else
			at = &s->next;
	}
}

static int retire_script(struct pipeline *p, struct route_script *script)
{
	struct passing *s = calloc(1, sizeof(*s)), **end = &p->passing;
	int err;

	if (s == NULL)
		return -ENOMEM;
	s->script = script;
	err = rcu_retire(p->config.rcu, s, quiet);
	if (err != 0) {
		free(s);
		return err;
	}
	while (*end != NULL)
		end = &(*end)->next;
	*end = s;
	return 0;
}

void pipeline_publish(struct pipeline *p, struct route_script *script)
{
	struct route_script *old;

	route_script_publish(script);
	if (p->config.slow > 0 && route_script_has_state(script))
		atomic_store_explicit(&p->has_state, true, memory_order_relaxed);
	old = atomic_exchange_explicit(&p->script, script, memory_order_acq_rel);
	if (old != NULL && retire_script(p, old) != 0)
		log_error("a worker has not passed a quiescent state for %u changes; an old script "
			  "stays in memory",
			RCU_RETIRED_MAX);
}

void pipeline_set_xlog(struct pipeline *p, enum log_level level, uint32_t rate)
{
	p->config.xlog_rate = rate;
	for (unsigned i = 0; i < pipeline_threads(p); i++)
		route_xlog_set_level(p->xlog[i], level);
}

void pipeline_set_kernel(struct pipeline *p, struct kernel *kernel)
{
	p->config.kernel = kernel;
}

uint64_t pipeline_xlog_lost(const struct pipeline *p)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < pipeline_threads(p); i++)
		n += route_xlog_lost(p->xlog[i]);
	return n;
}

static void sum_stages(const struct worker *worker, unsigned workers, struct pipeline_stages *out)
{
	*out = (struct pipeline_stages){.hz = rte_get_tsc_hz()};
	for (unsigned i = 0; i < workers; i++) {
		const struct stages *s = &worker[i].stages;

		for (unsigned stage = 0; stage < PIPELINE_STAGE_ALL; stage++)
			out->cycles[stage] +=
				atomic_load_explicit(&s->cycles[stage], memory_order_relaxed);
		out->frames += atomic_load_explicit(&s->frames, memory_order_relaxed);
		out->messages += atomic_load_explicit(&s->messages, memory_order_relaxed);
	}
}

void pipeline_stages(const struct pipeline *p, struct pipeline_stages *out)
{
	sum_stages(p->worker, p->config.workers, out);
}

void pipeline_slow_stages(const struct pipeline *p, struct pipeline_stages *out)
{
	sum_stages(p->worker + p->config.workers, p->config.slow, out);
}

bool pipeline_has_state(struct pipeline *p)
{
	return atomic_load_explicit(&p->has_state, memory_order_relaxed);
}

const char *pipeline_stage_name(enum pipeline_stage stage)
{
	static const char *const names[PIPELINE_STAGE_ALL] = {
#define PIPELINE_STAGE(id, name) [PIPELINE_STAGE_##id] = name,
		PIPELINE_STAGES(PIPELINE_STAGE)
#undef PIPELINE_STAGE
			[PIPELINE_STAGE_STATE] = "state",
		[PIPELINE_STAGE_TIMERS] = "timers",
	};

	return names[stage];
}

void pipeline_counters(const struct pipeline *p, uint64_t out[COUNTER_COUNT])
{
	counter_sum(p->count, pipeline_threads(p) + 1, out);
}
