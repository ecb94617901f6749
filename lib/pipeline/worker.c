/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker: the loop over queues and rings, and what begins and ends a burst.
 */
#include "pipeline/guard.h"
#include "pipeline/worker.h"

void worker_finish_burst(struct worker *w)
{
	index_burst(w);
	route_burst(w);
	rewrite_burst(w);
	for (unsigned i = 0; i < w->batch; i++) {
		struct message *msg = &w->msg[i];

		unguard_mbuf(msg->m);
		rte_pktmbuf_free(msg->m);
		if (msg->held != NULL) {
			route_script_unref(msg->held->ctx.script);
			slab_put(w->p->slab, msg->held);
		}
	}
	w->batch = 0;
}

static unsigned take_from_threads(struct worker *w)
{
	struct pipeline *p = w->p;
	void *got[PORT_BURST];
	unsigned total = 0, n;

	n = rte_ring_dequeue_burst(w->in_held, got, PORT_BURST, NULL);
	for (unsigned i = 0; i < n; i++)
		crossing_resume(w, got[i]);
	total += n;
	n = rte_ring_dequeue_burst(w->in_frames, got, PORT_BURST, NULL);
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = got[i];

		classify_burst(w, &p->config.port[m->port], &m, 1, true);
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
		uint16_t n;

		if (w->at[at].queue < 0)
			continue;
		n = port_rx_burst(w->at[at].port, (uint16_t)w->at[at].queue, m, PORT_BURST);
		if (n == 0)
			continue;
		counter_add(w->count, COUNTER_FRAMES_IN, n);
		counter_add(w->count, COUNTER_BURSTS, 1);
		classify_burst(w, w->at[at].port, m, n, false);
		worker_finish_burst(w);
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

unsigned pipeline_worker_poll(struct pipeline *p, unsigned index)
{
	struct worker *w = &p->worker[index];
	unsigned total;

	w->now = clock_now_ns();
	w->thread.now_ns = w->now;
	w->script = atomic_load_explicit(&p->script, memory_order_acquire);
	w->hops = p->config.kernel != NULL ? kernel_hops(p->config.kernel) : NULL;
	total = take_from_threads(w);
	if (w->batch > 0)
		worker_finish_burst(w);
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
