/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slow: what a slow lcore does with the messages that crossed to it, and with its timers.
 *
 * A message is dealt with from its first look to its last written byte before the next one, so that
 * those of one call leave in the order in which they came.
 */
#include <rte_cycles.h>

#include "pipeline/worker.h"

/* Timers of transactions that one pass runs at most, and places of the location that it looks at.
 */
#define TIMERS_MAX 256
#define SWEEP_MAX 64u

/* ---- what transactions send ---- */

/* The largest message may be written beside a reply of our own. */
#define WRITTEN_SPARE 2

static inline void make_room(struct worker *w)
{
	if (w->writes > WRITTEN_MAX - WRITTEN_SPARE)
		transmit_burst(w);
}

static char *sender_begin(void *arg, uint32_t room)
{
	struct worker *w = arg;
	struct rte_mbuf *m;

	make_room(w);
	m = rte_pktmbuf_alloc(room <= PORT_MBUF_ROOM ? w->p->config.pool : w->p->config.pool_big);
	if (m != NULL && rte_pktmbuf_tailroom(m) < room) {
		rte_pktmbuf_free(m);
		m = NULL;
	}
	written_next(w)->m = m;
	if (m == NULL && w->hand == NULL)
		counter_add(w->count, COUNTER_OWN_LOST, 1);
	return m != NULL ? rte_pktmbuf_mtod(m, char *) : NULL;
}

#define REPLY_STATUS 8 /* where it stands: "SIP/2.0 200" */

/* What a transaction answers, or answers again, to the request in hand, is as seldom as a reply
 * without one. */
static bool is_too_often(struct worker *w, const char *text, uint32_t len)
{
	uint32_t status;

	return w->hand != NULL && !w->hand->ctx->msg.is_response && len > REPLY_STATUS + 3 &&
	       memcmp(text, "SIP/2.0 ", REPLY_STATUS) == 0 &&
	       str_to_u32(str_of(text + REPLY_STATUS, 3), 699, &status) == 0 &&
	       reply_too_often(w, w->hand, status, len);
}

static void sender_end(void *arg, uint32_t len, const struct proxy_out *to, enum txn_kind kind)
{
	static const enum tx_kind kinds[] = {[TXN_SENDS_MESSAGE] = TX_FORWARDED,
		[TXN_SENDS_REPLY] = TX_ANSWERED,
		[TXN_SENDS_OWN] = TX_TXN};
	struct worker *w = arg;
	struct written *out = written_next(w);

	if (len == 0) {
		rte_pktmbuf_free(out->m);
		return;
	}
	if (is_too_often(w, rte_pktmbuf_mtod(out->m, const char *), len)) {
		message_drop(w, w->hand, COUNTER_PROXY + PROXY_REASON_REPLY_RATE);
		w->hand->frames = 0;
		rte_pktmbuf_free(out->m);
		return;
	}
	out->m->data_len = (uint16_t)len;
	out->m->pkt_len = len;
	out->to = *to;
	out->kind = kinds[kind];
	out->frames = 0;
	if (kind != TXN_SENDS_OWN && w->hand != NULL) {
		/* What becomes of it afterwards counts nothing more. */
		out->frames = w->hand->frames;
		w->hand->frames = 0;
	}
	written_add(w);
}

static bool sender_park(void *arg, struct route_ctx *ctx)
{
	struct worker *w = arg;
	struct held *h =
		slab_may_wait(w->p->slab, ctx->msg.len) ? slab_get(w->p->slab, ctx->msg.len) : NULL;

	if (h == NULL)
		return false;
	memcpy(held_text(h), ctx->buf, ctx->msg.len);
	h->text_len = ctx->msg.len;
	route_ctx_copy(&h->ctx, ctx);
	h->ctx.script = ctx->script;
	h->script = ctx->script;
	held_refer(h);
	h->parked = true;
	h->frames = 0;
	h->deadline = w->now + PIPELINE_NAME_WAIT_NS;
	h->next = w->parked;
	w->parked = h;
	return true;
}

/* Blocks that stopped within the last call wait. `msg`: whose frames the last one
 * has now; or NULL. */
static void let_parked_wait(struct worker *w, struct message *msg)
{
	struct held *h;

	while ((h = w->parked) != NULL) {
		w->parked = h->next;
		if (msg != NULL) {
			h->frames = msg->frames;
			msg->frames = 0;
			msg = NULL;
		}
		crossing_ask(w, h);
	}
}

int slow_open(struct worker *w, unsigned shard)
{
	struct pipeline *p = w->p;
	struct txn_sender sender = {
		.arg = w, .begin = sender_begin, .end = sender_end, .park = sender_park};

	w->thread.has_state = true;
	w->thread.shard = (uint16_t)shard;
	if (p->config.txn == NULL)
		return 0;
	w->shard = txn_shard_open(p->config.txn, shard, &sender, &w->thread);
	return w->shard != NULL ? 0 : -ENOMEM;
}

/* ---- verdicts ---- */

/* What a transaction says has become of a message; false: nothing, it is not the transaction's. The
 * reason is read here and not by the caller: the call that gives the verdict writes it, and
 * arguments have no order. */
static bool take_verdict(struct worker *w, struct message *msg, enum txn_verdict verdict,
	const enum txn_reason *reason)
{
	let_parked_wait(w, verdict == TXN_PARKED ? msg : NULL);
	switch (verdict) {
	case TXN_NONE:
		return false;
	case TXN_SENT:
		/* Where there was no buffer for it, nobody has counted it. */
		message_drop(w, msg, COUNTER_DROP_NO_BUFFER);
		break;
	case TXN_ABSORBED:
	case TXN_PARKED:
		message_drop(w, msg, COUNTER_ABSORBED);
		break;
	case TXN_DROPPED:
		message_drop(w, msg, COUNTER_TXN + *reason);
		break;
	}
	return true;
}

/* Whether the end of this run is a transaction's business: a response's own blocks run within
 * txn_response(). */
static inline bool concerns_txn(const struct worker *w, const struct message *msg)
{
	return w->shard != NULL && (!msg->ctx->msg.is_response || msg->held->parked);
}

/* The run cannot go on. */
static void failed(struct worker *w, struct message *msg, struct str why, unsigned counter)
{
	enum txn_reason reason = TXN_REASON_NONE;

	if (concerns_txn(w, msg) &&
		take_verdict(w, msg, txn_script_failed(w->shard, msg->ctx, &reason), &reason))
		return;
	if (msg->held->parked)
		message_drop(w, msg, counter);
	else
		route_fail(w, msg, why, counter);
}

/* A transaction whose run gets no answer hears of it: its client has a 100 already. */
static void no_answer(struct worker *w, struct message *msg, unsigned counter)
{
	enum txn_reason reason = TXN_REASON_NONE;

	if (concerns_txn(w, msg) &&
		take_verdict(w, msg, txn_script_failed(w->shard, msg->ctx, &reason), &reason))
		return;
	if (msg->held->parked)
		message_drop(w, msg, counter);
	else
		route_no_answer(w, msg, counter);
}

/* False: it cannot wait, and its function is to hear so. */
static bool wait_for_answer(struct worker *w, struct message *msg)
{
	if (concerns_txn(w, msg))
		txn_script_waits(w->shard, msg->ctx);
	if (crossing_wait(w, msg))
		return true;
	if (msg->ctx->wait_holds)
		return false;
	no_answer(w, msg, COUNTER_DROP_HELD_FULL);
	return true;
}

/* To the shard that a function asked for. A transaction cannot follow: one that was made before
 * ends with a 500, as nobody would ever answer it from there. */
static void hop(struct worker *w, struct message *msg)
{
	enum txn_reason reason = TXN_REASON_NONE;
	struct held *h = msg->held;
	int shard = msg->ctx->shard;

	if (shard < 0 || (unsigned)shard >= w->p->config.slow || shard == w->thread.shard ||
		h->parked || h->hops == PIPELINE_HOPS_MAX) {
		counter_add(w->count, COUNTER_STATE_REFUSED, 1);
		failed(w, msg, STR("Stateful Processing Not Available"), COUNTER_DROP_SCRIPT);
		return;
	}
	if (concerns_txn(w, msg) &&
		take_verdict(w, msg, txn_script_failed(w->shard, msg->ctx, &reason), &reason)) {
		counter_add(w->count, COUNTER_STATE_REFUSED, 1);
		return;
	}
	counter_add(w->count, COUNTER_SLOW_HOPPED, 1);
	h->hops++;
	/* The other one may have met the mark behind the last message of this script. */
	held_refer(h);
	crossing_slow(w, msg, HELD_SCRIPT, (unsigned)shard);
	crossing_flush(w);
}

static void judge(struct worker *w, struct message *msg, enum route_verdict verdict)
{
	enum txn_reason reason = TXN_REASON_NONE;

	switch (verdict) {
	case ROUTE_ENDED:
		if (concerns_txn(w, msg) &&
			take_verdict(
				w, msg, txn_script_ended(w->shard, msg->ctx, &reason), &reason))
			return;
		if (msg->held->parked) /* it belongs to nothing any more */
			message_drop(w, msg, COUNTER_ABSORBED);
		else
			route_ended(w, msg);
		break;
	case ROUTE_SLOW:
		hop(w, msg);
		break;
	case ROUTE_WAIT:
		/* What it waits for next is a name, of which nobody holds anything. */
		if (!wait_for_answer(w, msg))
			judge(w, msg, route_resume_without(msg->ctx, verdict));
		break;
	case ROUTE_FAILED:
		counter_add(w->count, COUNTER_SCRIPT_FAILED, 1);
		failed(w, msg, STR("Script Limit Reached"), COUNTER_DROP_SCRIPT);
		break;
	}
}

/* ---- messages ---- */

static void take_request(struct worker *w, struct message *msg)
{
	enum txn_reason reason = TXN_REASON_NONE;

	if (w->shard != NULL &&
		take_verdict(w, msg, txn_request(w->shard, msg->ctx, &reason), &reason))
		return;
	if (route_begin(w, msg))
		judge(w, msg, route_run(msg->ctx));
}

static void take_response(struct worker *w, struct message *msg)
{
	enum txn_reason reason = TXN_REASON_NONE;

	if (w->shard != NULL &&
		take_verdict(w, msg, txn_response(w->shard, msg->ctx, &reason), &reason))
		return;
	if (route_script_has_reply_route(msg->ctx->script))
		judge(w, msg, route_run(msg->ctx));
	else
		msg->fate = FATE_RESPONSE;
}

static void take(struct worker *w, struct message *msg)
{
	switch (msg->held->why) {
	case HELD_REQUEST:
		take_request(w, msg);
		break;
	case HELD_RESPONSE:
		take_response(w, msg);
		break;
	case HELD_ANSWER:
		if (msg->held->no_answer != 0) {
			no_answer(w, msg, msg->held->no_answer);
			break;
		}
		/* fallthrough */
	default:
		judge(w, msg, route_resume(msg->ctx));
		break;
	}
}

/* Contacts that REGISTERs will change. */
static void bring_contacts(struct worker *w)
{
	const struct registrar *r = w->p->config.registrar;
	unsigned n = 0;

	for (unsigned i = 0; r != NULL && i < w->batch; i++) {
		struct route_ctx *ctx = w->msg[i].ctx;

		if (ctx->msg.method == SIP_METHOD_REGISTER && !ctx->msg.is_response &&
			registrar_bring(r, ctx, &w->brought[n]))
			n++;
	}
	for (unsigned i = 0; i < n; i++)
		registrar_bring_record(r, &w->brought[i]);
}

/* Transactions that messages belong to, or will: the index is asked for a new one, too, and takes
 * it up. A REGISTER is save()'s in nearly all scripts. */
static void bring_transactions(struct worker *w)
{
	for (unsigned i = 0; w->shard != NULL && i < w->batch; i++) {
		const struct message *msg = &w->msg[i];
		enum held_why why = msg->held->why;

		if (why == HELD_REQUEST || why == HELD_RESPONSE ||
			(why == HELD_SCRIPT && msg->ctx->msg.method != SIP_METHOD_REGISTER))
			txn_bring(w->p->config.txn, w->thread.shard, msg->ctx);
	}
}

/* All of w->msg; empties it. */
static void slow_burst(struct worker *w, uint64_t at)
{
	if (w->batch == 0)
		return;
	bring_contacts(w);
	bring_transactions(w);
	for (unsigned i = 0; i < w->batch; i++) {
		w->hand = &w->msg[i];
		take(w, w->hand);
		let_parked_wait(w, NULL);
		make_room(w);
		rewrite_burst(w, i, 1);
	}
	w->hand = NULL;
	at = stage_end(w, PIPELINE_STAGE_STATE, at);
	transmit_burst(w);
	for (unsigned i = 0; i < w->batch; i++)
		if (w->msg[i].held != NULL)
			held_give_back(w->p, w->msg[i].held);
	w->batch = 0;
	stage_end(w, PIPELINE_STAGE_TRANSMIT, at);
}

/* Lines of a place that its message's way begins with. */
static inline void prefetch_held(struct held *h)
{
	const char *ctx = (const char *)&h->ctx, *text = held_text(h);

	for (unsigned off = 0; off < offsetof(struct route_ctx, call_pc); off += 64)
		rte_prefetch0(ctx + off);
	for (unsigned off = 0; off < offsetof(struct sip_msg, header) + 512; off += 64)
		rte_prefetch0((const char *)&h->ctx.msg + off);
	for (unsigned off = 0; off < 512; off += 64)
		rte_prefetch0(text + off);
}

static void take_unreachable(struct worker *w, struct held *h)
{
	if (w->shard != NULL)
		(void)txn_unreachable(w->shard, str_of(held_text(h), h->text_len), &h->to.dst);
	let_parked_wait(w, NULL);
	held_give_back(w->p, h);
}

static void add_crossed(struct worker *w, struct held *h)
{
	counter_add(w->count, COUNTER_HELD_SLOW_LEAVE, h->frames);
	counter_add(w->count, COUNTER_SLOW_CROSSED, 1);
	h->ctx.script = h->script;
	crossing_resume(w, h);
}

static unsigned take_crossed(struct worker *w)
{
	struct held *h[PORT_BURST];
	uint64_t at = rte_rdtsc();
	unsigned n = rte_ring_dequeue_burst(w->in_slow, (void **)h, PORT_BURST, NULL), marks = 0;
	unsigned lost = 0;

	if (n == 0)
		return 0;
	for (unsigned i = 0; i < n; i++)
		rte_prefetch0(h[i]);
	if (h[0]->why != HELD_MARK)
		prefetch_held(h[0]);
	for (unsigned i = 0; i < n; i++) {
		if (i + 1 < n && h[i + 1]->why != HELD_MARK)
			prefetch_held(h[i + 1]);
		if (h[i]->why == HELD_MARK)
			marks++;
		else if (h[i]->why == HELD_UNREACHABLE)
			h[lost++] = h[i];
		else
			add_crossed(w, h[i]);
	}
	stage_messages(w, w->batch);
	slow_burst(w, at);
	/* An answer that stood before one of them has been taken. */
	for (unsigned i = 0; i < lost; i++)
		take_unreachable(w, h[i]);
	/* All that stood before them is done. */
	if (marks > 0)
		atomic_store_explicit(&w->marks,
			atomic_load_explicit(&w->marks, memory_order_relaxed) + marks,
			memory_order_release);
	return n;
}

static unsigned take_back(struct worker *w)
{
	struct held *h[PORT_BURST];
	uint64_t at = rte_rdtsc();
	unsigned n = rte_ring_dequeue_burst(w->in_held, (void **)h, PORT_BURST, NULL);

	for (unsigned i = 0; i < n; i++) {
		if (h[i]->why == HELD_UNREACHABLE)
			take_unreachable(w, h[i]);
		else
			crossing_resume(w, h[i]);
	}
	stage_messages(w, w->batch);
	slow_burst(w, at);
	return n;
}

/* ---- timers ---- */

/* Places that it is time for. */
static uint64_t sweep_due(struct worker *w)
{
	uint64_t each = PIPELINE_SWEEP_NS / w->sweep_places, due;

	due = (w->now - w->swept) / (each != 0 ? each : 1);
	/* What a thread that slept long has missed comes with the next round. */
	if (due > SWEEP_MAX) {
		due = SWEEP_MAX;
		w->swept = w->now;
	} else {
		w->swept += due * each;
	}
	return due;
}

/* Contacts that have ended would have phones refused that could have their room: one round goes
 * through all of them. A table that is full of what lives costs that round now and then. */
static bool sweep_hurries(struct worker *w)
{
	if (w->sweep_left == 0 && w->now >= w->sweep_rests) {
		w->sweep_left = location_wants_sweep(w->p->config.location, w->thread.shard);
		w->sweep_began = w->now;
	}
	return w->sweep_left > 0;
}

static unsigned sweep(struct worker *w)
{
	struct location *l = w->p->config.location;
	uint64_t due;

	if (l == NULL || w->sweep_places == 0)
		return 0;
	due = sweep_due(w);
	if (sweep_hurries(w)) {
		due = RTE_MIN(w->sweep_left, SWEEP_MAX);
		w->sweep_left -= (uint32_t)due;
		if (w->sweep_left == 0)
			w->sweep_rests = w->now + PIPELINE_SWEEP_REST * (w->now - w->sweep_began);
	}
	if (due == 0)
		return 0;
	return location_sweep(
		l, w->thread.shard, (uint32_t)(w->now / CLOCK_NS_PER_S), (unsigned)due);
}

static unsigned timers(struct worker *w)
{
	uint64_t at = rte_rdtsc();
	unsigned n = 0;

	if (w->shard != NULL)
		n = txn_poll(w->shard, w->now, TIMERS_MAX);
	let_parked_wait(w, NULL);
	if (w->writes > 0)
		transmit_burst(w);
	n += sweep(w);
	if (w->p->config.registrar != NULL)
		n += registrar_persist_poll(w->p->config.registrar, w->thread.shard, w->now);
	if (w->p->config.acc != NULL)
		n += acc_poll(w->p->config.acc, w->thread.shard, w->now);
	if (n > 0)
		stage_end(w, PIPELINE_STAGE_TIMERS, at);
	return n;
}

/* ---- what the control thread asks for ---- */

int pipeline_ask_slow(struct pipeline *p, unsigned shard, struct pipeline_job *job)
{
	struct worker *w;

	if (shard >= p->config.slow)
		return -ENODEV;
	w = slow_of(p, shard);
	atomic_store_explicit(&job->done, false, memory_order_relaxed);
	job->next = atomic_load_explicit(&w->jobs, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(
		&w->jobs, &job->next, job, memory_order_release, memory_order_relaxed))
		;
	return 0;
}

/* All that were asked for, in their order. */
static unsigned run_jobs(struct worker *w)
{
	struct pipeline_job *job, *next, *first = NULL;
	unsigned n = 0;

	if (atomic_load_explicit(&w->jobs, memory_order_relaxed) == NULL)
		return 0;
	job = atomic_exchange_explicit(&w->jobs, NULL, memory_order_acquire);
	for (; job != NULL; job = next) {
		next = job->next;
		job->next = first;
		first = job;
	}
	for (; first != NULL; first = next, n++) {
		next = first->next;
		first->run(first, w->thread.shard, w->now);
		atomic_store_explicit(&first->done, true, memory_order_release);
	}
	return n;
}

unsigned pipeline_slow_poll(struct pipeline *p, unsigned shard)
{
	struct worker *w = slow_of(p, shard);
	unsigned n;

	worker_begin_pass(w);
	n = take_back(w);
	n += take_crossed(w);
	n += run_jobs(w);
	n += timers(w);
	transmit_flush(w);
	rcu_quiescent(p->config.rcu, w->reader);
	return n;
}

void pipeline_slow_sleep(struct pipeline *p, unsigned shard, bool asleep)
{
	pipeline_worker_sleep(p, p->config.workers + shard, asleep);
}
