/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker: the loop over queues and rings, and what begins and ends a burst.
 */
#include <rte_cycles.h>

#include "pipeline/guard.h"
#include "pipeline/worker.h"

/* Its owner only: no locked instruction, and a reader never sees a torn value. */
static inline void own_add(_Atomic uint64_t *n, uint64_t add)
{
	atomic_store_explicit(
		n, atomic_load_explicit(n, memory_order_relaxed) + add, memory_order_relaxed);
}

uint64_t stage_end(struct worker *w, enum pipeline_stage stage, uint64_t begun)
{
	uint64_t now = rte_rdtsc();

	own_add(&w->stages.cycles[stage], now - begun);
	return now;
}

void stage_messages(struct worker *w, unsigned n)
{
	own_add(&w->stages.messages, n);
}

/* All at once: a pool takes many for hardly more than one. */
static void free_received(struct worker *w)
{
	struct rte_mbuf *m[PORT_BURST];
	unsigned n = 0;

	for (unsigned i = 0; i < w->batch; i++) {
		const struct message *msg = &w->msg[i];

		if (msg->held != NULL)
			held_give_back(w->p, msg->held);
		if (msg->m == NULL)
			continue;
		unguard_mbuf(msg->m);
		m[n++] = msg->m;
	}
	rte_pktmbuf_free_bulk(m, n);
	w->batch = 0;
}

/* What has been classified, or came back from waiting, goes the rest of its way; empties w->msg.
 * Classification ended at `at`. */
static void finish_burst(struct worker *w, uint64_t at)
{
	if (w->batch == 0)
		return;
	stage_messages(w, w->batch);
	index_burst(w);
	at = stage_end(w, PIPELINE_STAGE_INDEX, at);
	route_burst(w);
	crossing_flush(w);
	at = stage_end(w, PIPELINE_STAGE_ROUTE, at);
	rewrite_burst(w, 0, w->batch);
	at = stage_end(w, PIPELINE_STAGE_REWRITE, at);
	transmit_burst(w);
	free_received(w);
	stage_end(w, PIPELINE_STAGE_TRANSMIT, at);
}

/* Classifies, at most a burst, and lets them go the rest of their way. */
static void begin_burst(
	struct worker *w, struct port *port, struct rte_mbuf **m, unsigned n, bool crossed)
{
	uint64_t at = rte_rdtsc();

	own_add(&w->stages.frames, n);
	classify_burst(w, port, m, n, crossed);
	finish_burst(w, stage_end(w, PIPELINE_STAGE_CLASSIFY, at));
	if (w->unreachable != NULL)
		crossing_flush_unreachable(w);
}

static unsigned take_from_threads(struct worker *w)
{
	struct pipeline *p = w->p;
	struct rte_mbuf *m[PORT_BURST];
	void *got[PORT_BURST];
	unsigned total = 0, n;

	n = rte_ring_dequeue_burst(w->in_held, got, PORT_BURST, NULL);
	for (unsigned i = 0; i < n; i++)
		crossing_resume(w, got[i]);
	finish_burst(w, rte_rdtsc());
	total += n;
	n = rte_ring_dequeue_burst(w->in_frames, (void **)m, PORT_BURST, NULL);
	/* As many at once as stand together and came by the same port. */
	for (unsigned i = 0, next; i < n; i = next) {
		for (next = i + 1; next < n && m[next]->port == m[i]->port;)
			next++;
		begin_burst(w, &p->config.port[m[i]->port], m + i, next - i, true);
	}
	total += n;
	n = rte_ring_dequeue_burst(w->in_tx, got, PORT_BURST, NULL);
	for (unsigned i = 0; i < n; i++)
		transmit_frame(w, ((struct rte_mbuf *)got[i])->port, got[i]);
	return total + n;
}

static unsigned take_from_ports(struct worker *w)
{
	struct rte_mbuf *m[PORT_BURST];
	unsigned total = 0;

	for (unsigned at = 0; at < w->ports; at++) {
		uint64_t begun;
		uint16_t n;

		if (w->at[at].queue < 0)
			continue;
		begun = rte_rdtsc();
		n = port_rx_burst(w->at[at].port, (uint16_t)w->at[at].queue, m, PORT_BURST);
		if (n == 0)
			continue;
		stage_end(w, PIPELINE_STAGE_RECEIVE, begun);
		counter_add(w->count, COUNTER_FRAMES_IN, n);
		counter_add(w->count, COUNTER_BURSTS, 1);
		begin_burst(w, w->at[at].port, m, n, false);
		total += n;
	}
	return total;
}

static void expire_fragments(struct worker *w)
{
	uint32_t frames = net_reassembler_expire(w->reassembler, w->now);

	counter_add(w->count, COUNTER_HELD_REASSEMBLY_LEAVE, frames);
	counter_add(w->count, COUNTER_DROP_REASSEMBLY_TIMEOUT, frames);
	w->reassembly_at = w->now + 10 * CLOCK_NS_PER_MS;
}

void worker_begin_pass(struct worker *w)
{
	struct pipeline *p = w->p;

	w->now = clock_now_ns();
	w->thread.now_ns = w->now;
	w->pass++;
	w->script = atomic_load_explicit(&p->script, memory_order_acquire);
	w->has_state = atomic_load_explicit(&p->has_state, memory_order_relaxed);
	w->hops = p->config.kernel != NULL ? kernel_hops(p->config.kernel) : NULL;
	if (w->has_state)
		places_collect(&w->places);
}

unsigned pipeline_worker_poll(struct pipeline *p, unsigned index)
{
	struct worker *w = &p->worker[index];
	unsigned total;

	worker_begin_pass(w);
	total = take_from_threads(w);
	total += take_from_ports(w);
	if (w->now >= w->reassembly_at)
		expire_fragments(w);
	transmit_flush(w);
	rcu_quiescent(p->config.rcu, w->reader);
	return total;
}

void pipeline_worker_sleep(struct pipeline *p, unsigned index, bool asleep)
{
	if (asleep)
		rcu_offline(p->config.rcu, p->worker[index].reader);
	else
		rcu_online(p->config.rcu, p->worker[index].reader);
}
