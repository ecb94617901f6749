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

static int worker_init(struct pipeline *p, unsigned index, char *error, size_t error_size)
{
	const struct pipeline_config *c = &p->config;
	struct worker *w = &p->worker[index];
	struct hash_key key;
	int err;

	w->p = p;
	w->index = index;
	w->count = &p->count[index];
	w->ports = (uint16_t)c->ports;
	for (unsigned i = 0; i < c->ports; i++) {
		unsigned queues = c->port[i].queues;

		w->at[i].port = &c->port[i];
		w->at[i].queue = index < queues ? (int)index : -1;
		w->at[i].transmitter = &p->worker[index % queues];
	}
	err = hash_key_random(&key);
	if (err == 0)
		err = route_thread_init(&w->thread, index);
	if (err != 0) {
		snprintf(error, error_size, "worker %u: %s", index, strerror(-err));
		return err;
	}
	w->thread.xlog = p->xlog[index] = route_xlog_create(XLOG_BYTES);
	w->in_frames = ring_create("in_frames", index, RING_SIZE);
	w->in_held = ring_create("in_held", index, held_ring_size(c));
	w->in_tx = ring_create("in_tx", index, RING_SIZE);
	w->reassembler = net_reassembler_create(&reassembler_config, &key);
	w->reply_rate = access_rate_create(REPLY_SOURCES, c->reply_rate, 2 * c->reply_rate, &key);
	w->ctx = aligned_alloc(64, PORT_BURST * RTE_ALIGN_CEIL(sizeof(*w->ctx), 64));
	if (w->in_frames == NULL || w->in_held == NULL || w->in_tx == NULL ||
		w->reassembler == NULL || w->reply_rate == NULL || w->ctx == NULL ||
		p->xlog[index] == NULL) {
		snprintf(error, error_size, "worker %u: not enough memory", index);
		return -ENOMEM;
	}
	memset(w->ctx, 0, PORT_BURST * sizeof(*w->ctx));
	w->reader = rcu_register(c->rcu);
	if (w->reader < 0) {
		snprintf(error, error_size, "worker %u: more than %u readers", index,
			RCU_READERS_MAX);
		return w->reader;
	}
	return 0;
}

struct pipeline *pipeline_create(
	const struct pipeline_config *config, char *error, size_t error_size)
{
	struct pipeline *p = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*p), 64));
	unsigned workers = config->workers;
	char notes[RTE_RING_NAMESIZE];

	pipelines_made++;
	snprintf(error, error_size, "not enough memory");
	if (p == NULL)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->config = *config;
	p->worker = aligned_alloc(64, workers * sizeof(*p->worker));
	p->count = aligned_alloc(64, (workers + 1) * sizeof(*p->count));
	p->xlog = calloc(workers, sizeof(*p->xlog));
	p->slab = slab_create(config->held_small, config->held_big);
	p->to_control = ring_create("to_control", 0, held_ring_size(config));
	snprintf(notes, sizeof(notes), "notes_%u", pipelines_made);
	p->notes = rte_ring_create_elem(notes, sizeof(struct note), NOTES_SIZE, SOCKET_ID_ANY,
		RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
	if (p->worker == NULL || p->count == NULL || p->xlog == NULL || p->slab == NULL ||
		p->to_control == NULL || p->notes == NULL ||
		hash_key_random(&p->fragment_key) != 0 || hash_key_random(&p->spread_key) != 0)
		goto fail;
	memset(p->worker, 0, workers * sizeof(*p->worker));
	memset(p->count, 0, (workers + 1) * sizeof(*p->count));
	for (unsigned i = 0; i < workers; i++)
		if (worker_init(p, i, error, error_size) != 0)
			goto fail;
	return p;
fail:
	pipeline_destroy(p);
	return NULL;
}

static void worker_fini(struct worker *w)
{
	void *m;

	if (w->p == NULL)
		return;
	while (w->in_frames != NULL && rte_ring_dequeue(w->in_frames, &m) == 0)
		rte_pktmbuf_free(m);
	while (w->in_tx != NULL && rte_ring_dequeue(w->in_tx, &m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(w->in_frames);
	rte_ring_free(w->in_held);
	rte_ring_free(w->in_tx);
	net_reassembler_destroy(w->reassembler);
	access_rate_destroy(w->reply_rate);
	route_thread_fini(&w->thread);
	free(w->ctx);
}

void pipeline_destroy(struct pipeline *p)
{
	struct route_script *script;

	if (p == NULL)
		return;
	for (unsigned i = 0; p->worker != NULL && i < p->config.workers; i++) {
		worker_fini(&p->worker[i]);
		if (p->xlog != NULL)
			route_xlog_destroy(p->xlog[i]);
	}
	script = atomic_load(&p->script);
	if (script != NULL)
		route_script_unref(script);
	rte_ring_free(p->to_control);
	rte_ring_free(p->notes);
	slab_destroy(p->slab);
	free(p->worker);
	free(p->count);
	free(p->xlog);
	free(p);
}

static void unref_script(void *script)
{
	route_script_unref(script);
}

void pipeline_publish(struct pipeline *p, struct route_script *script)
{
	struct route_script *old;

	route_script_publish(script);
	old = atomic_exchange_explicit(&p->script, script, memory_order_acq_rel);
	if (old != NULL && rcu_retire(p->config.rcu, old, unref_script) != 0)
		log_error("a worker has not passed a quiescent state for %u changes; an old script "
			  "stays in memory",
			RCU_RETIRED_MAX);
}

void pipeline_set_xlog(struct pipeline *p, enum log_level level, uint32_t rate)
{
	p->config.xlog_rate = rate;
	for (unsigned i = 0; i < p->config.workers; i++)
		route_xlog_set_level(p->xlog[i], level);
}

void pipeline_set_kernel(struct pipeline *p, struct kernel *kernel)
{
	p->config.kernel = kernel;
}

uint64_t pipeline_xlog_lost(const struct pipeline *p)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < p->config.workers; i++)
		n += route_xlog_lost(p->xlog[i]);
	return n;
}

void pipeline_stages(const struct pipeline *p, struct pipeline_stages *out)
{
	*out = (struct pipeline_stages){.hz = rte_get_tsc_hz()};
	for (unsigned i = 0; i < p->config.workers; i++) {
		const struct stages *s = &p->worker[i].stages;

		for (unsigned stage = 0; stage < PIPELINE_STAGE_COUNT; stage++)
			out->cycles[stage] +=
				atomic_load_explicit(&s->cycles[stage], memory_order_relaxed);
		out->frames += atomic_load_explicit(&s->frames, memory_order_relaxed);
		out->messages += atomic_load_explicit(&s->messages, memory_order_relaxed);
	}
}

const char *pipeline_stage_name(enum pipeline_stage stage)
{
	static const char *const names[PIPELINE_STAGE_COUNT] = {
#define PIPELINE_STAGE(id, name) [PIPELINE_STAGE_##id] = name,
		PIPELINE_STAGES(PIPELINE_STAGE)
#undef PIPELINE_STAGE
	};

	return names[stage];
}

void pipeline_counters(const struct pipeline *p, uint64_t out[COUNTER_COUNT])
{
	counter_sum(p->count, p->config.workers + 1, out);
}
