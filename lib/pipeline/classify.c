/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * classify: from Ethernet to a UDP payload for one of our listeners, or out of the fast path.
 */
#include "net/datagram.h"
#include "pipeline/guard.h"
#include "pipeline/worker.h"

#define PREFETCH_MAX 2048 /* bytes of a frame asked for ahead */

static void drop_frame(struct worker *w, struct rte_mbuf *m, unsigned counter)
{
	counter_add(w->count, counter, 1);
	rte_pktmbuf_free(m);
}

static enum kernel_reason kernel_reason_of(const struct net_frame *f)
{
	if (f->family == 0)
		return f->ether_type == RTE_ETHER_TYPE_ARP ? KERNEL_REASON_ARP
							   : KERNEL_REASON_OTHER;
	if (f->kind == NET_ICMP)
		return f->family == 6 ? KERNEL_REASON_ND : KERNEL_REASON_ICMP;
	if (f->protocol == IPPROTO_TCP)
		return KERNEL_REASON_TCP;
	return f->protocol == IPPROTO_UDP ? KERNEL_REASON_UDP : KERNEL_REASON_OTHER;
}

static void give_to_kernel(
	struct worker *w, struct port *port, struct rte_mbuf *m, const struct net_frame *f)
{
	struct kernel *k = w->p->config.kernel;
	bool taken = k != NULL &&
		     kernel_hand(k, w->index, port->index, kernel_reason_of(f),
			     rte_pktmbuf_mtod(m, const uint8_t *), rte_pktmbuf_data_len(m), w->now);

	drop_frame(w, m, taken ? COUNTER_KERNEL : COUNTER_DROP_KERNEL_FULL);
}

/* An ICMP error about a datagram of ours also concerns us: the kernel gets it too. */
static void learn_icmp(struct worker *w, const struct rte_mbuf *m, const struct net_frame *f)
{
	struct net_icmp icmp;
	struct note note = {0};

	if (!net_icmp_parse(rte_pktmbuf_mtod(m, const uint8_t *), f, &icmp) ||
		icmp.kind == NET_ICMP_OTHER)
		return;
	/* Only what quotes a datagram from a listener of ours is believed. */
	if (proxy_listener_find(w->p->config.proxy, &icmp.src, SIP_TRANSPORT_UDP) < 0)
		return;
	note.to = icmp.dst;
	if (icmp.kind == NET_ICMP_TOO_BIG) {
		note.kind = NOTE_PMTU;
		note.mtu = icmp.mtu;
		counter_add(w->count, COUNTER_ICMP_TOO_BIG, 1);
	} else {
		note.kind = NOTE_UNREACHABLE;
		counter_add(w->count, COUNTER_ICMP_UNREACHABLE, 1);
		crossing_unreachable(
			w, &icmp.dst, str_of((const char *)icmp.embedded, icmp.embedded_len));
	}
	crossing_note(w, &note);
}

/* Whether the UDP checksum of the datagram at l4 permits to go on. */
static inline bool checksum_ok(const struct port *port, const struct rte_mbuf *m,
	const struct route_origin *o, const uint8_t *l4, uint32_t l4_len)
{
	if (port->rx_checksum_flags &&
		(m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		return true;
	if (net_datagram_holds(&o->src.addr, &o->dst.addr, l4, l4_len))
		return true;
	switch (net_datagram_verify(&o->src.addr, &o->dst.addr, l4, l4_len)) {
	case NET_CHECKSUM_GOOD:
	case NET_CHECKSUM_NONE:
		return true;
	case NET_CHECKSUM_PSEUDO:
		return port->rx_pseudo_checksum;
	case NET_CHECKSUM_BAD:
		break;
	}
	return false;
}

/* The place of the next message of the burst. */
static inline struct route_origin *next_origin(struct worker *w)
{
	return &w->ctx[w->batch].origin;
}

/* Adds a message whose next_origin() has addresses and tags. */
static inline void admit(struct worker *w, const struct port *port, struct rte_mbuf *m, char *text,
	uint32_t text_len, int listener, uint32_t frames)
{
	struct message *msg = &w->msg[w->batch];
	struct route_ctx *ctx = &w->ctx[w->batch++];

	guard_mbuf(m);
	msg->m = m;
	msg->held = NULL;
	msg->ctx = ctx;
	msg->text = text;
	msg->text_len = text_len;
	msg->frames = frames;
	msg->fate = FATE_NONE;
	msg->error = SIP_OK;
	ctx->origin.transport = SIP_TRANSPORT_UDP;
	ctx->origin.listener = (uint16_t)listener;
	ctx->origin.port = port->index;
}

static void set_origin(struct route_origin *o, const struct net_frame *f)
{
	o->src = f->src;
	o->dst = f->dst;
	o->vlan_count = f->vlan_count;
	for (unsigned i = 0; i < f->vlan_count; i++)
		o->vlan[i] = f->vlan[i];
}

/* A reassembled datagram moves into a big buffer, so that the reassembler can go on. */
static void admit_datagram(struct worker *w, struct port *port, const struct net_reassembled *r)
{
	struct rte_mbuf *m;
	struct net_frame f;
	int listener;

	/* An IPv6 packet can be longer than a buffer; no message is. */
	if (r->len > UINT16_MAX) {
		counter_add(w->count, COUNTER_DROP_REASSEMBLY_TOO_BIG, r->frames);
		return;
	}
	m = rte_pktmbuf_alloc(w->p->config.pool_big);
	/* The largest datagram needs all of the buffer; nothing is put before it. */
	if (m != NULL)
		m->data_off = 0;
	if (m == NULL || rte_pktmbuf_tailroom(m) < r->len) {
		counter_add(w->count, COUNTER_DROP_NO_BUFFER, r->frames);
		rte_pktmbuf_free(m);
		return;
	}
	memcpy(rte_pktmbuf_append(m, (uint16_t)r->len), r->packet, r->len);
	if (net_packet_parse(rte_pktmbuf_mtod(m, uint8_t *), r->len, &f) == NET_BAD) {
		counter_add(w->count, COUNTER_NET + f.reason, r->frames);
		rte_pktmbuf_free(m);
		return;
	}
	listener = f.kind == NET_UDP
			   ? proxy_listener_find(w->p->config.proxy, &f.dst, SIP_TRANSPORT_UDP)
			   : -1;
	if (listener < 0) {
		counter_add(w->count, COUNTER_DROP_FRAGMENT_NOT_SIP, r->frames);
		rte_pktmbuf_free(m);
		return;
	}
	enum net_checksum sum = net_udp_verify(rte_pktmbuf_mtod(m, uint8_t *), &f);

	/* A sender that leaves the sum to its device cannot do so for fragments, so no port excuses
	 * a partial one. */
	if (sum == NET_CHECKSUM_BAD || sum == NET_CHECKSUM_PSEUDO) {
		counter_add(w->count, COUNTER_NET + NET_REASON_UDP_CHECKSUM, r->frames);
		rte_pktmbuf_free(m);
		return;
	}
	set_origin(next_origin(w), &f);
	admit(w, port, m, rte_pktmbuf_mtod_offset(m, char *, f.payload_off), f.payload_len,
		listener, r->frames);
}

static void lose_fragments(struct worker *w, uint32_t frames, unsigned counter)
{
	counter_add(w->count, COUNTER_HELD_REASSEMBLY_LEAVE, frames);
	counter_add(w->count, counter, frames);
}

static void take_fragment(
	struct worker *w, struct port *port, struct rte_mbuf *m, const struct net_frame *f)
{
	struct net_reassembled whole = {0};
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);

	enum net_reassembly outcome = net_reassemble(w->reassembler, data, f, w->now, &whole);

	counter_add(w->count, COUNTER_HELD_REASSEMBLY_ENTER, 1);
	if (whole.evicted > 0)
		lose_fragments(w, whole.evicted, COUNTER_DROP_REASSEMBLY_FULL);
	switch (outcome) {
	case NET_REASSEMBLY_HELD:
		break;
	case NET_REASSEMBLY_WHOLE:
		counter_add(w->count, COUNTER_HELD_REASSEMBLY_LEAVE, whole.frames);
		admit_datagram(w, port, &whole);
		break;
	case NET_REASSEMBLY_DUPLICATE:
		lose_fragments(w, 1, COUNTER_DROP_REASSEMBLY_DUPLICATE);
		break;
	case NET_REASSEMBLY_OVERLAP:
		lose_fragments(w, whole.frames, COUNTER_DROP_REASSEMBLY_OVERLAP);
		break;
	case NET_REASSEMBLY_TOO_BIG:
		lose_fragments(w, whole.frames, COUNTER_DROP_REASSEMBLY_TOO_BIG);
		break;
	case NET_REASSEMBLY_BAD:
		lose_fragments(w, whole.frames, COUNTER_DROP_REASSEMBLY_BAD);
		break;
	case NET_REASSEMBLY_FULL:
		lose_fragments(w, whole.frames, COUNTER_DROP_REASSEMBLY_FULL);
		break;
	}
	rte_pktmbuf_free(m);
}

/* Passes a frame to the worker that must see it. */
static void cross(struct worker *w, struct port *port, struct rte_mbuf *m, unsigned owner)
{
	m->port = port->index;
	if (rte_ring_enqueue(w->p->worker[owner].in_frames, m) != 0)
		drop_frame(w, m, COUNTER_DROP_CROSSING_FULL);
	else
		counter_add(w->count, COUNTER_CROSSED, 1);
}

/* The worker for a datagram where the device has fewer queues than there are workers: those that
 * share a queue take turns by hash. */
static unsigned spread_owner(
	const struct worker *w, const struct port *port, const struct net_endpoint *src)
{
	unsigned workers = w->p->config.workers, queue = w->index % port->queues;
	unsigned sharers = (workers - queue + port->queues - 1) / port->queues;
	struct hash h;

	hash_init(&h, &w->p->spread_key);
	hash_bytes(&h, src->addr.b, 16);
	hash_u32(&h, src->port);
	return queue + port->queues * (unsigned)(hash_final(&h) % sharers);
}

/* One tag at most; VID 0 is a priority tag and no VLAN (IEEE 802.1Q). */
static inline bool vlan_is_ours(int vid, const struct net_frame *f)
{
	int got = f->vlan_count > 0 ? f->vlan[0] & 0xfff : 0;

	if (f->vlan_count > 1)
		return false;
	return got == (vid > 0 ? vid : 0);
}

/* What the frames of a burst have in common, and is asked for once. */
struct burst {
	struct worker *w;
	struct port *port;
	uint64_t mac; /* the port's */
	int vid;
	bool spread; /* workers share the port's queues */
	/* the last datagram's destination, and the listener there or -1 */
	struct net_endpoint dst;
	int listener;
};

/* The 6 bytes at p, of at least 8 that can be read. */
static inline uint64_t mac_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v << 16;
}

static inline int listener_at(struct burst *b, const struct net_endpoint *dst)
{
	if (!net_endpoint_equal(&b->dst, dst)) {
		b->dst = *dst;
		b->listener = proxy_listener_find(b->w->p->config.proxy, dst, SIP_TRANSPORT_UDP);
	}
	return b->listener;
}

/* Fragments to their owner, all else to the kernel. */
static void classify_other(
	struct worker *w, struct port *port, struct rte_mbuf *m, const struct net_frame *f)
{
	if (f->kind == NET_FRAGMENT && f->protocol == IPPROTO_UDP) {
		unsigned owner = net_fragment_owner(&w->p->fragment_key, f, w->p->config.workers);

		if (owner != w->index)
			cross(w, port, m, owner);
		else
			take_fragment(w, port, m, f);
		return;
	}
	if (f->kind == NET_ICMP)
		learn_icmp(w, m, f);
	give_to_kernel(w, port, m, f);
}

/* A datagram for a listener of ours whose frame is right in all else. */
static inline void take_datagram(
	struct burst *b, struct rte_mbuf *m, const uint8_t *l4, uint32_t payload_len, int listener)
{
	struct worker *w = b->w;
	const struct route_origin *o = next_origin(w);

	if (b->spread) {
		unsigned owner = spread_owner(w, b->port, &o->src);

		if (owner != w->index) {
			cross(w, b->port, m, owner);
			return;
		}
	}
	if (checksum_ok(b->port, m, o, l4, NET_UDP_LEN + payload_len))
		admit(w, b->port, m, (char *)(uintptr_t)l4 + NET_UDP_LEN, payload_len, listener, 1);
	else
		drop_frame(w, m, COUNTER_NET + NET_REASON_UDP_CHECKSUM);
}

/* Whatever take_usual() leaves. */
__attribute__((noinline)) static void classify_frame(struct burst *b, struct rte_mbuf *m)
{
	struct worker *w = b->w;
	struct port *port = b->port;
	const uint8_t *data;
	struct net_frame f;
	int listener = -1;

	if (m->nb_segs > 1 && rte_pktmbuf_linearize(m) != 0) {
		drop_frame(w, m, COUNTER_DROP_SEGMENTS);
		return;
	}
	data = rte_pktmbuf_mtod(m, const uint8_t *);
	if (net_frame_parse(data, rte_pktmbuf_data_len(m), true, &f) == NET_BAD) {
		drop_frame(w, m, COUNTER_NET + f.reason);
		return;
	}
	/* What is not bad has 14 bytes. */
	if (!f.multicast_mac && mac_at(data) != b->mac) {
		drop_frame(w, m, COUNTER_DROP_NOT_OUR_MAC);
		return;
	}
	if (mac_at(data + 6) == b->mac) {
		drop_frame(w, m, COUNTER_DROP_OWN_MAC);
		return;
	}
	if (!vlan_is_ours(b->vid, &f)) {
		drop_frame(w, m, COUNTER_DROP_VLAN);
		return;
	}
	if (f.kind == NET_UDP && !f.multicast_mac)
		listener = listener_at(b, &f.dst);
	if (listener < 0) {
		classify_other(w, port, m, &f);
		return;
	}
	set_origin(next_origin(w), &f);
	take_datagram(b, m, data + f.l4_off, f.payload_len, listener);
}

/* What nearly every frame is, with as few looks as it takes: an untagged datagram from somebody
 * else to us, to a listener. False, and nothing done, where anything is otherwise. */
static inline bool take_usual(struct burst *b, struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	struct route_origin *o = next_origin(b->w);
	struct net_datagram d;
	int listener;

	if (b->vid > 0 || m->nb_segs > 1 ||
		!net_datagram_parse(data, rte_pktmbuf_data_len(m), &o->src, &o->dst, &d) ||
		mac_at(data) != b->mac || mac_at(data + 6) == b->mac)
		return false;
	listener = listener_at(b, &o->dst);
	if (listener < 0)
		return false;
	o->vlan_count = 0;
	take_datagram(b, m, data + d.l4_off, d.payload_len, listener);
	return true;
}

/* All of a frame but its first line, which has been asked for: its checksum is made over all of it,
 * at once, and the core's own prefetching comes too late for that. */
static inline void prefetch_rest(const struct rte_mbuf *m)
{
	const char *data = rte_pktmbuf_mtod(m, const char *);
	uint32_t len = RTE_MIN(rte_pktmbuf_data_len(m), PREFETCH_MAX);

	/* Four at a time; a line behind the end costs less than a look at each. */
	for (uint32_t off = RTE_CACHE_LINE_SIZE; off < len; off += 4 * RTE_CACHE_LINE_SIZE) {
		rte_prefetch0(data + off);
		rte_prefetch0(data + off + RTE_CACHE_LINE_SIZE);
		rte_prefetch0(data + off + 2 * RTE_CACHE_LINE_SIZE);
		rte_prefetch0(data + off + 3 * RTE_CACHE_LINE_SIZE);
	}
}

void classify_burst(
	struct worker *w, struct port *port, struct rte_mbuf **m, unsigned n, bool crossed)
{
	struct burst b = {.w = w,
		.port = port,
		.mac = (uint64_t)port->mac[0] << 16 | (uint64_t)port->mac[1] << 24 |
		       (uint64_t)port->mac[2] << 32 | (uint64_t)port->mac[3] << 40 |
		       (uint64_t)port->mac[4] << 48 | (uint64_t)port->mac[5] << 56,
		.vid = w->p->config.vlan[port->index],
		.spread = !crossed && port->queues < w->p->config.workers,
		.listener = -1};

	for (unsigned i = 0; i < n; i++)
		rte_prefetch0(m[i]);
	for (unsigned i = 0; i < n && i < 4; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	for (unsigned i = 0; i < n; i++) {
		if (i + 4 < n)
			rte_prefetch0(rte_pktmbuf_mtod(m[i + 4], void *));
		if (i + 2 < n)
			prefetch_rest(m[i + 2]);
		if (!take_usual(&b, m[i]))
			classify_frame(&b, m[i]);
	}
}
