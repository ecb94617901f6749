/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crossing: messages that leave their burst to wait, and come back, or for a slow lcore; the
 * control thread's side of it.
 */
#include "pipeline/worker.h"

/* How often the kernel is asked again for a neighbour that messages wait for. */
#define NEIGHBOUR_ASK_NS (250 * CLOCK_NS_PER_MS)

/* ---- workers ---- */

/* The ring has room for every place of the slab. */
static void to_control(struct worker *w, struct held *h)
{
	(void)rte_ring_enqueue(w->p->to_control, h);
}

/* Copies a message and its context into a place that has room for it. */
static void put_message(struct held *h, const struct message *msg)
{
	memcpy(held_text(h), msg->text, msg->text_len);
	h->text_len = msg->text_len;
	route_ctx_copy(&h->ctx, msg->ctx);
	h->script = msg->ctx->script;
}

void crossing_ask_name(struct worker *w, struct held *h)
{
	h->why = HELD_NAME;
	h->worker = (uint16_t)w->index;
	counter_add(w->count, COUNTER_HELD_NAME_ENTER, h->frames);
	to_control(w, h);
}

bool crossing_wait_name(struct worker *w, struct message *msg)
{
	struct held *h = msg->held;

	if (!slab_may_wait(w->p->slab, msg->text_len))
		return false;
	if (h != NULL && h->home != HOME_WORKER) {
		/* It came back and needs another name: the place and its context are the message's
		 * already. */
		msg->held = NULL;
	} else {
		/* Names take long: the places that are for crossing are not for waiting. */
		h = slab_get(w->p->slab, msg->text_len);
		if (h == NULL)
			return false;
		put_message(h, msg);
	}
	held_refer(h);
	if (h->deadline == 0)
		h->deadline = w->now + PIPELINE_NAME_WAIT_NS;
	h->no_name = false;
	h->frames = msg->frames;
	msg->fate = FATE_GONE;
	crossing_ask_name(w, h);
	return true;
}

void crossing_wait_neighbour(struct worker *w, struct rte_mbuf *m, const struct proxy_out *to,
	const struct kernel_hop *hop, enum tx_kind kind, uint32_t frames)
{
	uint32_t len = rte_pktmbuf_data_len(m);
	struct held *h = slab_may_wait(w->p->slab, len) ? slab_get(w->p->slab, len) : NULL;
	bool counts = kind == TX_FORWARDED || kind == TX_ANSWERED;

	if (h != NULL) {
		memcpy(held_text(h), rte_pktmbuf_mtod(m, const char *), len);
		h->text_len = len;
		h->why = HELD_NEIGHBOUR;
		h->worker = (uint16_t)w->index;
		h->frames = counts ? frames : 0;
		h->deadline = w->now + PIPELINE_NEIGHBOUR_WAIT_NS;
		h->to = *to;
		h->hop = *hop;
		h->kind = kind;
		counter_add(w->count, COUNTER_HELD_NEIGHBOUR_ENTER, h->frames);
		to_control(w, h);
	} else if (counts) {
		counter_add(w->count, COUNTER_DROP_HELD_FULL, frames);
	}
	rte_pktmbuf_free(m);
}

static void send_held(struct worker *w, struct held *h)
{
	bool big = h->text_len > PORT_MBUF_ROOM;
	struct rte_mbuf *m = rte_pktmbuf_alloc(big ? w->p->config.pool_big : w->p->config.pool);

	counter_add(w->count, COUNTER_HELD_NEIGHBOUR_LEAVE, h->frames);
	if (m == NULL) {
		counter_add(w->count, COUNTER_DROP_NO_BUFFER, h->frames);
	} else {
		memcpy(rte_pktmbuf_append(m, (uint16_t)h->text_len), held_text(h), h->text_len);
		transmit_message(w, m, &h->to, h->kind, h->frames);
	}
	slab_put(w->p->slab, h);
}

void crossing_resume(struct worker *w, struct held *h)
{
	struct message *msg;

	if (h->why == HELD_NEIGHBOUR) {
		send_held(w, h);
		return;
	}
	if (h->why == HELD_NAME)
		counter_add(w->count, COUNTER_HELD_NAME_LEAVE, h->frames);
	msg = &w->msg[w->batch++];
	*msg = (struct message){.held = h,
		.ctx = &h->ctx,
		.text = held_text(h),
		.text_len = h->text_len,
		.frames = h->frames};
	route_ctx_bind(&h->ctx, h->script, &w->thread, held_text(h));
}

/* ---- to slow lcores ---- */

/* What is refused first when the way to a slow lcore fills up. */
enum urgency { URGENCY_NEW, URGENCY_KNOWN, URGENCY_LAST };

static enum urgency urgency_of(const struct message *msg, enum held_why why)
{
	struct route_ctx *ctx = msg->ctx;
	const struct sip_address *to;

	if (ctx->msg.is_response)
		return URGENCY_KNOWN;
	if (ctx->msg.method == SIP_METHOD_ACK || ctx->msg.method == SIP_METHOD_CANCEL)
		return URGENCY_LAST;
	to = sip_msg_to(&ctx->msg, ctx->buf);
	return why == HELD_REQUEST || (to != NULL && to->tag.len > 0) ? URGENCY_KNOWN : URGENCY_NEW;
}

/*
 * RFC 7339 5.10.2: a Retry-After would have all our clients leave us alone for that long. What a
 * transaction may know gets no answer: a final one would end, at who retransmits, the call that
 * goes on here. It comes again.
 */
static void refuse(struct worker *w, struct message *msg, enum held_why why, enum urgency urgency)
{
	static const unsigned counters[] = {[URGENCY_NEW] = COUNTER_SLOW_REFUSED_NEW,
		[URGENCY_KNOWN] = COUNTER_SLOW_REFUSED_KNOWN,
		[URGENCY_LAST] = COUNTER_SLOW_REFUSED_LAST};

	counter_add(w->count, counters[urgency], 1);
	if (msg->ctx->msg.is_response || msg->ctx->msg.method == SIP_METHOD_ACK ||
		why == HELD_REQUEST) {
		message_drop(w, msg, COUNTER_DROP_SLOW_FULL);
		return;
	}
	msg->ctx->result = (struct route_result){0};
	proxy_reply_set(msg->ctx, 503, STR("Service Unavailable"));
	msg->fate = FATE_REPLY;
}

/* A place for a message that has none: one of the worker's own where it is small. */
static struct held *place_for(struct worker *w, uint32_t text_len)
{
	if (text_len > HELD_TEXT_SMALL)
		return slab_get(w->p->slab, text_len);
	return places_take(&w->places, w->index);
}

void crossing_slow(struct worker *w, struct message *msg, enum held_why why, unsigned shard)
{
	static const unsigned limits[] = {[URGENCY_NEW] = PIPELINE_SLOW_NEW,
		[URGENCY_KNOWN] = PIPELINE_SLOW_KNOWN,
		[URGENCY_LAST] = PIPELINE_SLOW_LAST};
	enum urgency urgency = urgency_of(msg, why);
	struct to_slow *to = &w->to_slow[shard];
	struct held *h = msg->held;

	if (to->count == 0)
		to->fill = rte_ring_count(slow_of(w->p, shard)->in_slow);
	if (to->fill + to->count < limits[urgency] && h == NULL) {
		h = place_for(w, msg->text_len);
		if (h != NULL)
			put_message(h, msg);
	}
	if (to->fill + to->count >= limits[urgency] || h == NULL) {
		refuse(w, msg, why, urgency);
		return;
	}
	h->why = why;
	h->worker = (uint16_t)(w->p->config.workers + shard);
	h->frames = msg->frames;
	msg->held = NULL;
	msg->fate = FATE_GONE;
	counter_add(w->count, COUNTER_HELD_SLOW_ENTER, h->frames);
	to->held[to->count++] = h;
}

void crossing_flush(struct worker *w)
{
	for (unsigned shard = 0; shard < w->p->config.slow; shard++) {
		struct to_slow *to = &w->to_slow[shard];

		if (to->count == 0)
			continue;
		/* The ring has room for every place there is. */
		(void)rte_ring_enqueue_bulk(
			slow_of(w->p, shard)->in_slow, (void **)to->held, to->count, NULL);
		to->count = 0;
	}
}

unsigned crossing_shard(struct worker *w, struct route_ctx *ctx)
{
	const struct pipeline_config *c = &w->p->config;
	int shard = ctx->shard;

	if (c->slow == 1)
		return 0;
	if (shard < 0 && c->registrar != NULL && !ctx->msg.is_response &&
		ctx->msg.method == SIP_METHOD_REGISTER)
		shard = registrar_shard(c->registrar, ctx);
	if (shard >= 0 && (unsigned)shard < c->slow)
		return (unsigned)shard;
	return c->txn != NULL ? txn_shard_of(c->txn, ctx)
			      : (unsigned)(proxy_call_id_digest(c->proxy, ctx).lo % c->slow);
}

void crossing_note(struct worker *w, const struct note *note)
{
	/* Notes are hints: when the control thread is behind, the next packet brings another. */
	(void)rte_ring_enqueue_elem(w->p->notes, (void *)(uintptr_t)note, sizeof(*note));
}

/* ---- control thread ---- */

static struct counters *control_count(struct pipeline *p)
{
	return &p->count[pipeline_threads(p)];
}

/* Back to its worker, whose ring has room for every place of the slab, too. */
static void back_to_worker(struct pipeline *p, struct held *h)
{
	(void)rte_ring_enqueue(p->worker[h->worker].in_held, h);
}

static void lose(struct pipeline *p, struct held *h, unsigned leave, unsigned drop)
{
	counter_add(control_count(p), leave, h->frames);
	counter_add(control_count(p), drop, h->frames);
	held_give_back(p, h);
}

/* A slow lcore has to hear of it: a transaction may wait for this run. */
static void lose_name(struct pipeline *p, struct held *h, unsigned drop)
{
	if (h->worker < p->config.workers) {
		lose(p, h, COUNTER_HELD_NAME_LEAVE, drop);
		return;
	}
	h->no_name = true;
	back_to_worker(p, h);
}

static void name_done(void *arg, enum resolve_answer answer)
{
	struct held *h = arg;

	/* A failed name resumes too: the script's forward() then says no. */
	back_to_worker(h->p, h);
}

static void begin_name(struct pipeline *p, struct held *h, uint64_t now)
{
	struct str name;

	route_ctx_bind(&h->ctx, h->script, NULL, held_text(h));
	name = route_text_str(&h->ctx, h->ctx.wait);
	if (now >= h->deadline) {
		lose_name(p, h, COUNTER_DROP_NAME_TIMEOUT);
		return;
	}
	h->p = p;
	if (resolve_ask(p->config.resolver, (enum resolve_kind)h->ctx.wait_kind, name, name_done,
		    h) != 0)
		lose_name(p, h, COUNTER_DROP_HELD_FULL);
}

static void hop_of(struct pipeline *p, const struct net_addr *to, struct kernel_hop *hop)
{
	if (p->config.hop_find != NULL)
		p->config.hop_find(p->config.hop_arg, to, hop);
	else
		kernel_hop_find(kernel_hops(p->config.kernel), to, hop);
}

static unsigned waiting_for(const struct pipeline *p, const struct net_addr *via)
{
	unsigned n = 0;

	for (const struct held *h = p->neighbours; h != NULL; h = h->next)
		n += net_addr_equal(&h->hop.via, via);
	return n;
}

static void begin_neighbour(struct pipeline *p, struct held *h)
{
	struct held **end = &p->neighbours;

	if (waiting_for(p, &h->hop.via) >= PIPELINE_HELD_PER_HOP) {
		lose(p, h, COUNTER_HELD_NEIGHBOUR_LEAVE, COUNTER_DROP_HELD_FULL);
		return;
	}
	if (p->config.kernel != NULL)
		(void)kernel_resolve(p->config.kernel, &h->hop);
	while (*end != NULL)
		end = &(*end)->next;
	h->next = NULL;
	*end = h;
}

/* Lets go of those whose neighbour is known, in their order, and drops those that have waited too
 * long. */
static unsigned neighbours_poll(struct pipeline *p, uint64_t now)
{
	struct held **at = &p->neighbours, *h;
	bool ask = now >= p->ask_at && p->config.kernel != NULL;
	unsigned done = 0;

	if (ask)
		p->ask_at = now + NEIGHBOUR_ASK_NS;

	while ((h = *at) != NULL) {
		struct kernel_hop hop = {.state = KERNEL_HOP_NO_ROUTE};

		hop_of(p, &h->to.dst.addr, &hop);
		if (hop.state == KERNEL_HOP_UNRESOLVED && now < h->deadline) {
			/* A request that came while the kernel was still at the last one is not
			 * remembered there. */
			if (ask)
				(void)kernel_resolve(p->config.kernel, &hop);
			at = &h->next;
			continue;
		}
		*at = h->next;
		if (hop.state == KERNEL_HOP_READY) {
			back_to_worker(p, h);
		} else {
			lose(p, h, COUNTER_HELD_NEIGHBOUR_LEAVE, COUNTER_DROP_NEIGHBOUR_TIMEOUT);
		}
		done++;
	}
	return done;
}

static unsigned notes_poll(struct pipeline *p, uint64_t now)
{
	struct note note;
	unsigned n = 0;

	while (n < PORT_BURST && rte_ring_dequeue_elem(p->notes, &note, sizeof(note)) == 0) {
		if (note.kind == NOTE_PMTU && p->config.kernel != NULL)
			kernel_pmtu(p->config.kernel, &note.to.addr, note.mtu, now);
		if (note.kind == NOTE_UNREACHABLE && p->config.dispatch != NULL)
			dispatch_unreachable(p->config.dispatch, &note.to);
		n++;
	}
	return n;
}

void pipeline_hops_changed(struct pipeline *p)
{
	neighbours_poll(p, clock_now_ns());
}

unsigned pipeline_control_poll(struct pipeline *p, uint64_t now)
{
	unsigned n = 0;
	void *h;

	while (n < PORT_BURST && rte_ring_dequeue(p->to_control, &h) == 0) {
		struct held *held = h;

		if (held->why == HELD_NAME)
			begin_name(p, held, now);
		else
			begin_neighbour(p, held);
		n++;
	}
	if (p->neighbours != NULL)
		n += neighbours_poll(p, now);
	n += notes_poll(p, now);
	passing_poll(p);
	for (unsigned i = 0; i < pipeline_threads(p); i++)
		n += route_xlog_drain(p->xlog[i], now, p->config.xlog_rate);
	return n;
}

unsigned pipeline_held(const struct pipeline *p)
{
	unsigned n = slab_used(p->slab);

	for (unsigned i = 0; i < p->config.slow; i++)
		n += rte_ring_count(p->worker[p->config.workers + i].in_slow);
	return n;
}

void pipeline_transmit(struct pipeline *p, uint16_t port, const uint8_t *frame, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(p->config.pool_control);
	struct worker *owner = p->worker[0].at[port].queue >= 0 ? &p->worker[0]
								: p->worker[0].at[port].transmitter;

	if (m == NULL || rte_pktmbuf_tailroom(m) < len) {
		rte_pktmbuf_free(m);
		counter_add(control_count(p), COUNTER_TX_DROPPED, 1);
		return;
	}
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	tx_mark(m, TX_KERNEL, 0);
	m->port = port;
	if (rte_ring_enqueue(owner->in_tx, m) != 0) {
		counter_add(control_count(p), COUNTER_TX_DROPPED, 1);
		rte_pktmbuf_free(m);
	}
}
