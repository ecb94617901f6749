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

static inline bool is_name(const struct held *h)
{
	return h->ctx.wait_for == ROUTE_WAIT_NAME;
}

void crossing_ask(struct worker *w, struct held *h)
{
	h->why = HELD_ANSWER;
	h->worker = (uint16_t)w->index;
	counter_add(w->count, is_name(h) ? COUNTER_HELD_NAME_ENTER : COUNTER_HELD_DATABASE_ENTER,
		h->frames);
	if (is_name(h) || waits_take(w->p->waits, h)) {
		to_control(w, h);
		return;
	}
	/* As if there had been no answer, in the next pass. */
	counter_add(w->count, COUNTER_DATABASE_REFUSED, 1);
	if (h->ctx.wait_holds)
		route_answer_set(&h->ctx, ROUTE_ANSWER_FAILED);
	else
		h->no_answer = COUNTER_DROP_HELD_FULL;
	held_go_on(w->p, h);
}

bool crossing_wait(struct worker *w, struct message *msg)
{
	struct held *h = msg->held;

	if (!slab_may_wait(w->p->slab, msg->text_len))
		return false;
	if (h != NULL && h->home != HOME_WORKER) {
		/* It came back and needs another answer: the place and its context are the
		 * message's already. */
		msg->held = NULL;
	} else {
		/* Answers take long: the places that are for crossing are not for waiting. */
		h = slab_get(w->p->slab, msg->text_len);
		if (h == NULL)
			return false;
		put_message(h, msg);
	}
	held_refer(h);
	if (h->deadline == 0)
		h->deadline = w->now + PIPELINE_NAME_WAIT_NS;
	h->no_answer = 0;
	h->frames = msg->frames;
	msg->fate = FATE_GONE;
	crossing_ask(w, h);
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
	} else {
		count_loss(w->count, kind, frames, COUNTER_DROP_HELD_FULL);
	}
	rte_pktmbuf_free(m);
}

static void send_held(struct worker *w, struct held *h)
{
	bool big = h->text_len > PORT_MBUF_ROOM;
	struct rte_mbuf *m = rte_pktmbuf_alloc(big ? w->p->config.pool_big : w->p->config.pool);

	counter_add(w->count, COUNTER_HELD_NEIGHBOUR_LEAVE, h->frames);
	if (m == NULL) {
		count_loss(w->count, h->kind, h->frames, COUNTER_DROP_NO_BUFFER);
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
	if (h->why == HELD_ANSWER) {
		waits_give_back(w->p->waits, h);
		counter_add(w->count,
			is_name(h) ? COUNTER_HELD_NAME_LEAVE : COUNTER_HELD_DATABASE_LEAVE,
			h->frames);
	}
	msg = &w->msg[w->batch++];
	*msg = (struct message){.held = h,
		.ctx = &h->ctx,
		.text = held_text(h),
		.text_len = h->text_len,
		.frames = h->frames};
	route_ctx_bind(&h->ctx, h->script, &w->thread, held_text(h));
}

/* ---- to slow lcores ---- */

/*
 * What is refused first when the way to a slow lcore fills up. What anybody can write counts for
 * little: a To tag, or that it is an ACK or a CANCEL, only says that there is something that it
 * belongs to; the branch of a transaction and our tokens prove it. Who has one can send it again
 * and again: what is beyond the share of a call goes first.
 */
enum urgency { URGENCY_REPEATED, URGENCY_NEW, URGENCY_CLAIMED, URGENCY_KNOWN, URGENCY_LAST };

static enum urgency urgency_of(const struct message *msg, enum held_why why)
{
	struct route_ctx *ctx = msg->ctx;
	const struct sip_address *to;
	bool follows;

	if (ctx->msg.is_response)
		return URGENCY_KNOWN; /* its token was verified before anything else */
	follows = ctx->msg.method == SIP_METHOD_ACK || ctx->msg.method == SIP_METHOD_CANCEL;
	if (why == HELD_REQUEST)
		return follows ? URGENCY_LAST : URGENCY_KNOWN;
	if (proxy_is_in_dialog(ctx))
		return URGENCY_KNOWN;
	to = sip_msg_to(&ctx->msg, ctx->buf);
	return follows || (to != NULL && to->tag.len > 0) ? URGENCY_CLAIMED : URGENCY_NEW;
}

/*
 * Whether the call of what is known has had its share. What proves that it is known names the call:
 * a branch its transaction, and our tokens bind its Call-ID. The digests are there already.
 */
static bool is_beyond_share(struct worker *w, struct message *msg, enum held_why why)
{
	struct proxy *proxy = w->p->config.proxy;
	uint64_t digest = why == HELD_REQUEST ? proxy_transaction_key(proxy, msg->ctx).lo
					      : proxy_call_id_digest(proxy, msg->ctx).lo;

	return !share_take(w->share, w->now, digest);
}

/*
 * RFC 7339 5.10.2: a Retry-After would have all our clients leave us alone for that long. What a
 * transaction may know gets no answer: a final one would end, at who retransmits, the call that
 * goes on here. Nor does a CANCEL, whose INVITE may be ahead of it on the same way: refused, it
 * would not be sent again. All that comes again; so does a response, since its server sends it
 * again, or since the transaction sends its request again (RFC 3261 17.1.1.2, 17.2.1, 17.1.2.2).
 */
static void refuse(struct worker *w, struct message *msg, enum held_why why, enum urgency urgency)
{
	static const unsigned counters[] = {[URGENCY_REPEATED] = COUNTER_SLOW_REFUSED_REPEATED,
		[URGENCY_NEW] = COUNTER_SLOW_REFUSED_NEW,
		[URGENCY_CLAIMED] = COUNTER_SLOW_REFUSED_CLAIMED,
		[URGENCY_KNOWN] = COUNTER_SLOW_REFUSED_KNOWN,
		[URGENCY_LAST] = COUNTER_SLOW_REFUSED_LAST};

	counter_add(w->count, counters[urgency], 1);
	if (why == HELD_REQUEST)
		message_drop(w, msg, COUNTER_DROP_SLOW_FULL);
	else
		route_no_room(w, msg, COUNTER_DROP_SLOW_FULL);
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
	static const unsigned limits[] = {[URGENCY_REPEATED] = PIPELINE_SLOW_REPEATED,
		[URGENCY_NEW] = PIPELINE_SLOW_NEW,
		[URGENCY_CLAIMED] = PIPELINE_SLOW_CLAIMED,
		[URGENCY_KNOWN] = PIPELINE_SLOW_KNOWN,
		[URGENCY_LAST] = PIPELINE_SLOW_LAST};
	enum urgency urgency = urgency_of(msg, why);
	struct to_slow *to = &w->to_slow[shard];
	struct held *h = msg->held;
	unsigned fill;

	if (to->count == 0)
		to->fill = rte_ring_count(slow_of(w->p, shard)->in_slow);
	fill = to->fill + to->count;
	if (fill >= PIPELINE_SLOW_REPEATED && urgency >= URGENCY_KNOWN &&
		is_beyond_share(w, msg, why))
		urgency = URGENCY_REPEATED;
	if (fill < limits[urgency] && h == NULL) {
		h = place_for(w, msg->text_len);
		if (h != NULL)
			put_message(h, msg);
	}
	if (fill >= limits[urgency] || h == NULL) {
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

void crossing_no_route(struct worker *w, const struct rte_mbuf *m, const struct proxy_out *to)
{
	uint32_t len = rte_pktmbuf_data_len(m);
	struct held *h = w->shard != NULL && slab_may_wait(w->p->slab, len)
				 ? slab_get(w->p->slab, len)
				 : NULL;

	if (h == NULL)
		return;
	memcpy(held_text(h), rte_pktmbuf_mtod(m, const char *), len);
	h->text_len = len;
	h->why = HELD_UNREACHABLE;
	h->worker = (uint16_t)w->index;
	h->frames = 0;
	h->to = *to;
	held_go_on(w->p, h);
}

void crossing_unreachable(struct worker *w, const struct net_endpoint *to, struct str quoted)
{
	const struct pipeline_config *c = &w->p->config;
	int shard = c->txn != NULL ? txn_unreachable_shard(c->txn, quoted) : -1;
	struct held *h;

	if (shard < 0 || (unsigned)shard >= c->slow)
		return;
	/* Where it is lost, its branch's next retransmission brings another one. */
	h = rte_ring_count(slow_of(w->p, (unsigned)shard)->in_slow) < PIPELINE_SLOW_UNREACHABLE
		    ? places_take(&w->places, w->index)
		    : NULL;
	if (h == NULL) {
		counter_add(w->count, COUNTER_SLOW_REFUSED_UNREACHABLE, 1);
		return;
	}
	/* A part is enough. */
	h->text_len = quoted.len < HELD_TEXT_SMALL ? quoted.len : HELD_TEXT_SMALL;
	memcpy(held_text(h), quoted.s, h->text_len);
	h->why = HELD_UNREACHABLE;
	h->worker = (uint16_t)(c->workers + (unsigned)shard);
	h->frames = 0;
	h->to.dst = *to;
	h->next = w->unreachable;
	w->unreachable = h;
}

void crossing_flush_unreachable(struct worker *w)
{
	struct held *h;

	while ((h = w->unreachable) != NULL) {
		w->unreachable = h->next;
		/* The ring has room for every place there is. */
		(void)rte_ring_enqueue(w->p->worker[h->worker].in_slow, h);
	}
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

/* A transaction whose message found nobody in time hears of it. */
static void lose_neighbour(struct pipeline *p, struct held *h, unsigned drop)
{
	counter_add(control_count(p), COUNTER_HELD_NEIGHBOUR_LEAVE, h->frames);
	count_loss(control_count(p), h->kind, h->frames, drop);
	if (drop == COUNTER_DROP_NEIGHBOUR_TIMEOUT && h->worker >= p->config.workers) {
		h->why = HELD_UNREACHABLE;
		held_go_on(p, h);
	} else {
		held_give_back(p, h);
	}
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
		lose_neighbour(p, h, COUNTER_DROP_HELD_FULL);
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
			held_go_on(p, h);
		} else {
			lose_neighbour(p, h, COUNTER_DROP_NEIGHBOUR_TIMEOUT);
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

		if (held->why == HELD_ANSWER)
			ask_begin(p, held, now);
		else
			begin_neighbour(p, held);
		n++;
	}
	if (p->neighbours != NULL)
		n += neighbours_poll(p, now);
	n += turns_poll(p, now);
	if (p->config.db != NULL)
		n += db_poll(p->config.db, now);
	n += notes_poll(p, now);
	passing_poll(p);
	for (unsigned i = 0; i < pipeline_threads(p); i++)
		n += route_xlog_drain(p->xlog[i], now, p->config.xlog_rate);
	return n;
}

void pipeline_places(const struct pipeline *p, uint32_t *used, uint32_t *max)
{
	*used = slab_used(p->slab);
	*max = p->config.held_small + p->config.held_big;
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
