/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * transmit: next hop, headers, checksum and fragments of a written message; frames to a queue of
 * this worker, or to the worker that owns one.
 */
#include <rte_cycles.h>

#include "net/template.h"
#include "pipeline/worker.h"

/* Tries of a full transmit queue before the frames are dropped. */
#define TX_TRIES 8

/* What has been sent, by the kind of each frame. */
struct sent {
	uint64_t frames[TX_KINDS], times[TX_KINDS];
};

static inline void sent_add(struct sent *s, uint32_t mark)
{
	s->frames[mark >> 24] += mark & 0xffffff;
	s->times[mark >> 24]++;
}

static void count_sent(struct worker *w, const struct sent *s)
{
	counter_add(w->count, COUNTER_FORWARDED, s->frames[TX_FORWARDED]);
	counter_add(w->count, COUNTER_ANSWERED, s->frames[TX_ANSWERED]);
	counter_add(w->count, COUNTER_OWN_REPLIES, s->times[TX_OWN]);
	counter_add(w->count, COUNTER_OWN_MESSAGES, s->times[TX_TXN]);
	counter_add(w->count, COUNTER_FRAMES_FROM_KERNEL, s->times[TX_KERNEL]);
}

void count_loss(struct counters *count, enum tx_kind kind, uint32_t frames, unsigned counter)
{
	if (kind == TX_FORWARDED || kind == TX_ANSWERED)
		counter_add(count, counter, frames);
	else if (kind == TX_OWN || kind == TX_TXN)
		counter_add(count, COUNTER_OWN_LOST, 1);
}

/* An outgoing frame is lost. */
static void count_lost(struct worker *w, uint32_t mark, unsigned counter)
{
	counter_add(w->count, COUNTER_TX_DROPPED, 1);
	count_loss(w->count, (enum tx_kind)(mark >> 24), mark & 0xffffff, counter);
}

/* Passes frames to the worker that has a queue of the port. */
static void cross_port(struct worker *w, unsigned at)
{
	struct outgoing *o = &w->out[at];
	unsigned taken;

	for (unsigned i = 0; i < o->count; i++)
		o->m[i]->port = (uint16_t)at;
	taken = rte_ring_enqueue_burst(w->at[at].transmitter->in_tx, (void **)o->m, o->count, NULL);
	for (unsigned i = taken; i < o->count; i++) {
		count_lost(w, o->m[i]->hash.usr, COUNTER_DROP_CROSSING_FULL);
		rte_pktmbuf_free(o->m[i]);
	}
	o->count = 0;
}

static void send_port(struct worker *w, unsigned at)
{
	struct outgoing *o = &w->out[at];
	struct sent all = {0};
	uint32_t mark[PORT_BURST];
	unsigned sent = 0;

	for (unsigned i = 0; i < o->count; i++)
		mark[i] = o->m[i]->hash.usr;
	for (unsigned tries = 0; sent < o->count && tries < TX_TRIES; tries++)
		sent += port_tx_burst(w->at[at].port, (uint16_t)w->at[at].queue, o->m + sent,
			(uint16_t)(o->count - sent));
	for (unsigned i = 0; i < sent; i++)
		sent_add(&all, mark[i]);
	count_sent(w, &all);
	counter_add(w->count, COUNTER_FRAMES_OUT, sent);
	for (unsigned i = sent; i < o->count; i++) {
		count_lost(w, mark[i], COUNTER_DROP_TX_FULL);
		rte_pktmbuf_free(o->m[i]);
	}
	o->count = 0;
}

static void flush_port(struct worker *w, unsigned at)
{
	if (w->at[at].queue < 0)
		cross_port(w, at);
	else
		send_port(w, at);
}

void transmit_flush(struct worker *w)
{
	for (unsigned at = 0; at < w->ports; at++) {
		uint64_t begun;

		if (w->out[at].count == 0)
			continue;
		begun = rte_rdtsc();
		flush_port(w, at);
		stage_end(w, PIPELINE_STAGE_SEND, begun);
	}
}

static inline void queue_frame(struct worker *w, uint16_t port, struct rte_mbuf *m)
{
	struct outgoing *o = &w->out[port];

	/* A whole burst waits for the end of the pass: the next frame makes room for itself. */
	if (o->count == PORT_BURST)
		flush_port(w, port);
	o->m[o->count++] = m;
}

void transmit_frame(struct worker *w, uint16_t port, struct rte_mbuf *m)
{
	queue_frame(w, port, m);
}

/* Leaves the sum to the device, or makes it. */
static inline void put_checksum(const struct port *port, const struct link *link,
	const struct net_addr *dst, struct rte_mbuf *m, uint8_t *l4, uint32_t l4_len)
{
	const struct net_template *t = &link->headers;
	uint16_t sum;

	if (port->tx_udp_checksum) {
		m->l2_len = NET_ETHER_LEN + NET_VLAN_LEN * link->header.vlan_count;
		m->l3_len = t->length - NET_UDP_LEN - m->l2_len;
		m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM |
			       (t->family == 6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
		sum = net_template_pseudo_checksum(t, dst, l4_len);
	} else {
		sum = net_template_checksum(t, dst, l4, l4_len);
	}
	memcpy(l4 + 6, &sum, sizeof(sum));
}

/* Sends a datagram in pieces; all of them or none gets into buffers. */
static void transmit_fragments(
	struct worker *w, struct rte_mbuf *m, const struct way *way, uint32_t l4_len, uint32_t mark)
{
	struct net_header header = way->link->header, *h = &header;
	uint32_t l4_off = way->link->headers.length - NET_UDP_LEN;
	uint32_t head = net_fragment_header_length(h);
	const uint8_t *l4 = rte_pktmbuf_mtod_offset(m, uint8_t *, l4_off);
	uint32_t id = (uint32_t)route_random(&w->thread);
	/* An IPv4 path may be as narrow as 68 bytes; nothing we send needs more pieces than that.
	 */
	struct rte_mbuf *piece[SIP_MSG_UDP_OUT_MAX / 48 + 2];
	struct net_fragment f;
	uint32_t n = 0;
	uint16_t sum;

	h->dst = way->dst;
	memcpy(h->dst_mac, way->hop.mac, sizeof(h->dst_mac));
	sum = net_udp_checksum(&h->src.addr, &h->dst.addr, l4, l4_len);
	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, l4_off + 6), &sum, sizeof(sum));
	while (net_fragment_nth(h->src.addr.family, way->mtu, l4_len, n, &f)) {
		struct rte_mbuf *p = rte_pktmbuf_alloc(w->p->config.pool);

		if (p == NULL || rte_pktmbuf_tailroom(p) < head + f.len) {
			rte_pktmbuf_free(p);
			rte_pktmbuf_free_bulk(piece, n);
			count_lost(w, mark, COUNTER_DROP_NO_BUFFER);
			rte_pktmbuf_free(m);
			return;
		}
		uint8_t *out = (uint8_t *)rte_pktmbuf_append(p, (uint16_t)(head + f.len));

		net_fragment_header_write(h, &f, id, out);
		memcpy(out + head, l4 + f.off, f.len);
		tx_mark(p, TX_NOTHING, 0);
		piece[n++] = p;
	}
	/* A device takes a prefix of what it is offered: when the last piece has left, all have. */
	piece[n - 1]->hash.usr = mark;
	counter_add(w->count, COUNTER_FRAGMENTS_OUT, n);
	for (uint32_t i = 0; i < n; i++)
		transmit_frame(w, way->hop.port, piece[i]);
	rte_pktmbuf_free(m);
}

/*
 * A spiral: the next hop is a listener of ours, which no wire leads to. The message is received
 * again, as a frame of its own, from the queue that other workers use. Max-Forwards ends what would
 * go round for ever.
 */
static void transmit_to_ourselves(struct worker *w, struct rte_mbuf *m,
	const struct proxy_listener *from, const struct proxy_out *to)
{
	const struct proxy_listener *at = proxy_listener_at(w->p->config.proxy,
		(unsigned)proxy_listener_find(w->p->config.proxy, &to->dst, SIP_TRANSPORT_UDP));
	struct net_header h = {.dst = to->dst};
	uint32_t payload = rte_pktmbuf_pkt_len(m), header, mark = m->hash.usr;
	struct sent sent = {0};
	uint16_t sum;
	uint8_t *frame;
	int vid;

	/* A reload may have taken either away since the way was found. */
	if (at == NULL || from == NULL) {
		count_lost(w, mark, COUNTER_DROP_NO_ROUTE);
		rte_pktmbuf_free(m);
		return;
	}
	h.src = from->ep;
	vid = w->p->config.vlan[at->port];
	memcpy(h.dst_mac, w->at[at->port].port->mac, 6);
	h.src_mac[0] = 2; /* nobody's */
	if (vid > 0) {
		h.vlan_count = 1;
		h.vlan[0] = (uint16_t)vid;
	}
	header = net_header_length(&h);
	frame = (uint8_t *)rte_pktmbuf_prepend(m, (uint16_t)header);
	net_header_write(&h, payload, frame);
	sum = net_udp_checksum(
		&h.src.addr, &h.dst.addr, frame + header - NET_UDP_LEN, payload + NET_UDP_LEN);
	memcpy(frame + header - 2, &sum, sizeof(sum));
	m->port = at->port;
	if (rte_ring_enqueue(w->in_frames, m) != 0) {
		count_lost(w, mark, COUNTER_DROP_CROSSING_FULL);
		rte_pktmbuf_free(m);
		return;
	}
	sent_add(&sent, mark);
	count_sent(w, &sent);
	counter_add(w->count, COUNTER_FRAMES_IN, 1);
	counter_add(w->count, COUNTER_LOOPED, 1);
}

/* A way's place: which one does not matter much, a pass has few. */
static inline unsigned way_slot(const struct proxy_out *to)
{
	uint64_t v =
		to->dst.addr.q[0] ^ to->dst.addr.q[1] ^ (uint64_t)to->dst.port << 32 ^ to->listener;

	return (unsigned)(v * 0x9e3779b97f4a7c15ULL >> 32) % WAYS;
}

static void make_link(struct worker *w, const struct proxy_listener *from, uint16_t listener,
	uint16_t port, struct link *link)
{
	int vid = w->p->config.vlan[port];
	struct net_header *h = &link->header;

	link->pass = w->pass;
	link->listener = listener;
	link->port = port;
	*h = (struct net_header){.src = from->ep, .dst.addr.family = from->ep.addr.family};
	memcpy(h->src_mac, w->at[port].port->mac, sizeof(h->src_mac));
	if (vid > 0) {
		h->vlan_count = 1;
		h->vlan[0] = (uint16_t)vid;
	}
	net_template_make(h, &link->headers);
}

static const struct link *link_of(
	struct worker *w, const struct proxy_listener *from, uint16_t listener, uint16_t port)
{
	struct link *link = &w->link[(listener ^ (unsigned)port << 1) % LINKS];

	if (link->pass != w->pass || link->listener != listener || link->port != port)
		make_link(w, from, listener, port, link);
	return link;
}

static void find_way(struct worker *w, const struct proxy_out *to, struct way *way)
{
	const struct proxy_listener *from = proxy_listener_at(w->p->config.proxy, to->listener);
	const struct pipeline_config *c = &w->p->config;

	way->pass = w->pass;
	way->dst = to->dst;
	way->listener = to->listener;
	way->to_ourselves = false;
	way->link = NULL;
	way->hop.state = KERNEL_HOP_NO_ROUTE;
	if (from == NULL)
		return;
	if (proxy_listener_find(c->proxy, &to->dst, SIP_TRANSPORT_UDP) >= 0) {
		way->to_ourselves = true;
		return;
	}
	if (c->hop_find != NULL)
		c->hop_find(c->hop_arg, &to->dst.addr, &way->hop);
	else
		kernel_hop_find(w->hops, &to->dst.addr, &way->hop);
	if (way->hop.state != KERNEL_HOP_READY)
		return;
	way->mtu = RTE_MIN(way->hop.mtu, w->at[way->hop.port].port->mtu);
	way->link = link_of(w, from, to->listener, way->hop.port);
}

static inline const struct way *way_to(struct worker *w, const struct proxy_out *to)
{
	struct way *way = &w->way[way_slot(to)];

	if (way->pass != w->pass || way->listener != to->listener ||
		!net_endpoint_equal(&way->dst, &to->dst) ||
		/* Another way's link may have taken its place since. */
		(way->link != NULL &&
			(way->link->listener != to->listener || way->link->port != way->hop.port)))
		find_way(w, to, way);
	return way;
}

/* What has no hop that is ready. */
static void transmit_otherwise(struct worker *w, struct rte_mbuf *m, const struct proxy_out *to,
	const struct way *way, enum tx_kind kind, uint32_t frames)
{
	if (way->to_ourselves) {
		transmit_to_ourselves(
			w, m, proxy_listener_at(w->p->config.proxy, to->listener), to);
	} else if (way->hop.state == KERNEL_HOP_UNRESOLVED) {
		crossing_wait_neighbour(w, m, to, &way->hop, kind, frames);
	} else {
		count_lost(w, m->hash.usr, COUNTER_DROP_NO_ROUTE);
		crossing_no_route(w, m, to);
		rte_pktmbuf_free(m);
	}
}

/* Headers are written with what they need not into the bytes before them. */
_Static_assert(RTE_PKTMBUF_HEADROOM >= NET_TEMPLATE_ROOM, "templates fit a buffer's headroom");

static inline void send_message(struct worker *w, struct rte_mbuf *m, const struct proxy_out *to,
	enum tx_kind kind, uint32_t frames)
{
	const struct way *way = way_to(w, to);
	const struct link *link = way->link;
	uint32_t payload = rte_pktmbuf_pkt_len(m), l4_len = payload + NET_UDP_LEN;
	uint8_t *text;

	tx_mark(m, kind, frames);
	if (link == NULL) {
		transmit_otherwise(w, m, to, way, kind, frames);
		return;
	}
	text = rte_pktmbuf_mtod(m, uint8_t *);
	net_template_write(&link->headers, way->hop.mac, &way->dst, payload, text);
	rte_pktmbuf_prepend(m, link->headers.length);
	if ((link->headers.family == 6 ? NET_IPV6_LEN : NET_IPV4_LEN) + l4_len > way->mtu) {
		transmit_fragments(w, m, way, l4_len, m->hash.usr);
		return;
	}
	put_checksum(w->at[link->port].port, link, &way->dst.addr, m, text - NET_UDP_LEN, l4_len);
	queue_frame(w, link->port, m);
}

void transmit_message(struct worker *w, struct rte_mbuf *m, const struct proxy_out *to,
	enum tx_kind kind, uint32_t frames)
{
	send_message(w, m, to, kind, frames);
}

void transmit_burst(struct worker *w)
{
	for (unsigned i = 0; i < w->writes; i++) {
		const struct written *out = &w->written[i];

		send_message(w, out->m, &out->to, out->kind, out->frames);
	}
	w->writes = 0;
}
