/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * transmit: next hop, headers, checksum and fragments of a written message; frames to a queue of
 * this worker, or to the worker that owns one.
 */
#include <rte_cycles.h>

#include "pipeline/worker.h"

/* Tries of a full transmit queue before the frames are dropped. */
#define TX_TRIES 8

static void count_sent(struct worker *w, uint32_t mark)
{
	uint32_t frames = mark & 0xffffff;

	switch ((enum tx_kind)(mark >> 24)) {
	case TX_FORWARDED:
		counter_add(w->count, COUNTER_FORWARDED, frames);
		break;
	case TX_ANSWERED:
		counter_add(w->count, COUNTER_ANSWERED, frames);
		break;
	case TX_OWN:
		counter_add(w->count, COUNTER_OWN_REPLIES, 1);
		break;
	case TX_KERNEL:
		counter_add(w->count, COUNTER_FRAMES_FROM_KERNEL, 1);
		break;
	case TX_NOTHING:
		break;
	}
}

/* An outgoing frame is lost: what it carried is lost with it. */
static void count_lost(struct worker *w, uint32_t mark, unsigned counter)
{
	enum tx_kind kind = (enum tx_kind)(mark >> 24);

	counter_add(w->count, COUNTER_TX_DROPPED, 1);
	if (kind == TX_FORWARDED || kind == TX_ANSWERED)
		counter_add(w->count, counter, mark & 0xffffff);
}

static void flush_port(struct worker *w, unsigned at)
{
	struct outgoing *o = &w->out[at];
	uint32_t mark[PORT_BURST];
	unsigned sent = 0;

	for (unsigned i = 0; i < o->count; i++)
		mark[i] = o->m[i]->hash.usr;
	for (unsigned tries = 0; sent < o->count && tries < TX_TRIES; tries++)
		sent += port_tx_burst(w->at[at].port, (uint16_t)w->at[at].queue, o->m + sent,
			(uint16_t)(o->count - sent));
	for (unsigned i = 0; i < sent; i++)
		count_sent(w, mark[i]);
	counter_add(w->count, COUNTER_FRAMES_OUT, sent);
	for (unsigned i = sent; i < o->count; i++) {
		count_lost(w, mark[i], COUNTER_DROP_TX_FULL);
		rte_pktmbuf_free(o->m[i]);
	}
	o->count = 0;
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

void transmit_frame(struct worker *w, uint16_t port, struct rte_mbuf *m)
{
	struct outgoing *o = &w->out[port];

	if (w->at[port].queue < 0) {
		uint32_t mark = m->hash.usr;

		m->port = port;
		if (rte_ring_enqueue(w->at[port].transmitter->in_tx, m) != 0) {
			count_lost(w, mark, COUNTER_DROP_CROSSING_FULL);
			rte_pktmbuf_free(m);
		}
		return;
	}
	/* A whole burst waits for the end of the pass: the next frame makes room for itself. */
	if (o->count == PORT_BURST)
		flush_port(w, port);
	o->m[o->count++] = m;
}

static void fill_header(const struct worker *w, const struct proxy_listener *from,
	const struct proxy_out *to, const struct kernel_hop *hop, struct net_header *h)
{
	const struct port *port = w->at[hop->port].port;
	int vid = w->p->config.vlan[hop->port];

	*h = (struct net_header){.src = from->ep, .dst = to->dst};
	memcpy(h->dst_mac, hop->mac, 6);
	memcpy(h->src_mac, port->mac, 6);
	if (vid > 0) {
		h->vlan_count = 1;
		h->vlan[0] = (uint16_t)vid;
	}
}

/* Leaves the sum to the device, or makes it. */
static void put_checksum(
	const struct port *port, const struct net_header *h, struct rte_mbuf *m, uint32_t l4_len)
{
	uint32_t l3_off = NET_ETHER_LEN + NET_VLAN_LEN * h->vlan_count;
	uint32_t l4_off = net_header_length(h) - NET_UDP_LEN;
	uint8_t *l4 = rte_pktmbuf_mtod_offset(m, uint8_t *, l4_off);
	uint16_t sum;

	if (port->tx_udp_checksum) {
		m->l2_len = l3_off;
		m->l3_len = l4_off - l3_off;
		m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM |
			       (h->src.addr.family == 6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
		sum = net_udp_pseudo_checksum(&h->src.addr, &h->dst.addr, l4_len);
	} else {
		sum = net_udp_checksum(&h->src.addr, &h->dst.addr, l4, l4_len);
	}
	memcpy(l4 + 6, &sum, sizeof(sum));
}

/* Sends a datagram in pieces; all of them or none gets into buffers. */
static void transmit_fragments(struct worker *w, struct rte_mbuf *m, const struct net_header *h,
	const struct kernel_hop *hop, uint32_t l4_len, uint32_t mark)
{
	const struct port *port = w->at[hop->port].port;
	uint32_t l4_off = net_header_length(h) - NET_UDP_LEN;
	uint32_t head = net_fragment_header_length(h);
	const uint8_t *l4 = rte_pktmbuf_mtod_offset(m, uint8_t *, l4_off);
	uint32_t id = (uint32_t)route_random(&w->thread);
	/* An IPv4 path may be as narrow as 68 bytes; nothing we send needs more pieces than that.
	 */
	struct rte_mbuf *piece[SIP_MSG_UDP_OUT_MAX / 48 + 2];
	struct net_fragment f;
	uint32_t n = 0;
	uint16_t sum = net_udp_checksum(&h->src.addr, &h->dst.addr, l4, l4_len);

	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, l4_off + 6), &sum, sizeof(sum));
	while (net_fragment_nth(h->src.addr.family, RTE_MIN(hop->mtu, port->mtu), l4_len, n, &f)) {
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
		transmit_frame(w, hop->port, piece[i]);
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
	struct net_header h = {.src = from->ep, .dst = to->dst};
	uint32_t payload = rte_pktmbuf_pkt_len(m), header, mark = m->hash.usr;
	int vid = w->p->config.vlan[at->port];
	uint16_t sum;
	uint8_t *frame;

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
	count_sent(w, mark);
	counter_add(w->count, COUNTER_FRAMES_IN, 1);
	counter_add(w->count, COUNTER_LOOPED, 1);
}

void transmit_message(struct worker *w, struct rte_mbuf *m, const struct proxy_out *to,
	enum tx_kind kind, uint32_t frames)
{
	const struct proxy_listener *from = proxy_listener_at(w->p->config.proxy, to->listener);
	const struct pipeline_config *c = &w->p->config;
	struct kernel_hop hop = {.state = KERNEL_HOP_NO_ROUTE};
	struct net_header h;
	uint32_t payload = rte_pktmbuf_pkt_len(m), l4_len = payload + NET_UDP_LEN, header;

	tx_mark(m, kind, frames);
	if (from != NULL && proxy_listener_find(c->proxy, &to->dst, SIP_TRANSPORT_UDP) >= 0) {
		transmit_to_ourselves(w, m, from, to);
		return;
	}
	if (from != NULL) {
		if (c->hop_find != NULL)
			c->hop_find(c->hop_arg, &to->dst.addr, &hop);
		else
			kernel_hop_find(w->hops, &to->dst.addr, &hop);
	}
	if (hop.state == KERNEL_HOP_NO_ROUTE || hop.state == KERNEL_HOP_LOCAL) {
		count_lost(w, m->hash.usr, COUNTER_DROP_NO_ROUTE);
		rte_pktmbuf_free(m);
		return;
	}
	if (hop.state == KERNEL_HOP_UNRESOLVED) {
		crossing_wait_neighbour(w, m, to, &hop, kind, frames);
		return;
	}
	fill_header(w, from, to, &hop, &h);
	header = net_header_length(&h);
	net_header_write(&h, payload, (uint8_t *)rte_pktmbuf_prepend(m, (uint16_t)header));
	if (header - NET_ETHER_LEN - NET_VLAN_LEN * h.vlan_count + payload >
		(uint32_t)RTE_MIN(hop.mtu, w->at[hop.port].port->mtu)) {
		transmit_fragments(w, m, &h, &hop, l4_len, m->hash.usr);
		return;
	}
	put_checksum(w->at[hop.port].port, &h, m, l4_len);
	transmit_frame(w, hop.port, m);
}

void transmit_burst(struct worker *w)
{
	for (unsigned i = 0; i < w->writes; i++) {
		const struct written *out = &w->written[i];

		transmit_message(w, out->m, &out->to, out->kind, out->frames);
	}
	w->writes = 0;
}
