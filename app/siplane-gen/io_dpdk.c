/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK devices: the same strings and profiles as siplane's. What is not a message of ours goes to
 * the exception interface, where the kernel answers ARP, ND and ping, unless --peer-mac says that
 * there is nobody to ask.
 *
 * One device or two; where caller and reflector share one, what is sent comes back (net_ring), and
 * the destination address says whose it is.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <rte_version.h>

#include "internal.h"
#include "kernel/kernel.h"
#include "port/port.h"

#define BUFFERS_PER_DEVICE 16384U
#define MEMORY_BESIDE_POOLS (64ULL << 20)
#define ARP_NS (5 * CLOCK_NS_PER_S)
#define LINK_NS (5 * CLOCK_NS_PER_S)
#define LINK_SETTLES_NS (50 * CLOCK_NS_PER_MS)
/* The other process learns of a link (memif) from a thread of its own, a little later than we. */
#define LINK_SETTLE_NS (100 * CLOCK_NS_PER_MS)
#define SEND_TRIES 64
#define SLEEP_NS (50 * CLOCK_NS_PER_US)
#define HEADER_MAX (NET_ETHER_LEN + NET_IPV6_LEN + NET_UDP_LEN)

struct dpdk_side {
	struct io io;
	struct device *device;
	struct net_addr address[GEN_ADDRESSES_MAX];
	unsigned addresses;
	uint32_t header;      /* bytes in front of the text */
	struct net_header to; /* of what is sent */
	bool reflector;
};

struct device {
	struct port port;
	struct rte_mempool *pool;
	struct dpdk_side *side[2]; /* that it serves */
	unsigned sides;
	uint16_t kernel_port; /* UINT16_MAX: no exception interface */
	bool open, settled;   /* the link has been up for a while */
};

static struct {
	struct device device[2];
	unsigned devices;
	struct dpdk_side side[2];
	struct kernel *kernel;
	struct kernel_port_config kernel_port[2];
	char interface[2][16];
	bool started, sleeps, hops_changed;
	struct net_endpoint target;
	uint64_t poll_at;
} d;

/* ---- in ---- */

static enum kernel_reason reason_of(const struct net_frame *f, const uint8_t *data)
{
	if (f->ether_type == RTE_ETHER_TYPE_ARP)
		return KERNEL_REASON_ARP;
	if (f->kind == NET_ICMP && f->family == 6 && f->l4_len > 0 && data[f->l4_off] >= 133 &&
		data[f->l4_off] <= 137)
		return KERNEL_REASON_ND;
	if (f->kind == NET_ICMP)
		return KERNEL_REASON_ICMP;
	if (f->protocol == IPPROTO_TCP)
		return KERNEL_REASON_TCP;
	return f->kind == NET_UDP ? KERNEL_REASON_UDP : KERNEL_REASON_OTHER;
}

static bool is_ours(const struct dpdk_side *s, const struct net_addr *addr)
{
	for (unsigned a = 0; a < s->addresses; a++)
		if (net_addr_equal(addr, &s->address[a]))
			return true;
	return false;
}

/* Whose message it is, or NULL. */
static struct dpdk_side *side_of(const struct device *dev, const struct net_frame *f)
{
	for (unsigned i = 0; i < dev->sides; i++) {
		struct dpdk_side *s = dev->side[i];

		if ((unsigned)(f->dst.port - s->io.port_first) < s->io.ports &&
			is_ours(s, &f->dst.addr))
			return s;
	}
	return NULL;
}

/* A frame that is no message to us; of a shared device, its first side counts. */
static void count_other(const struct device *dev, const struct net_frame *f)
{
	struct io *io = &dev->side[0]->io;

	if (f->kind == NET_BAD) {
		io->bad++;
		return;
	}
	for (unsigned i = 0; f->kind == NET_FRAGMENT && i < dev->sides; i++)
		if (is_ours(dev->side[i], &f->dst.addr)) {
			dev->side[i]->io.fragments++;
			return;
		}
	io->others++;
}

static bool take(const struct device *dev, struct rte_mbuf *m, struct packet *p)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t len = rte_pktmbuf_data_len(m);
	const struct dpdk_side *side;
	struct net_frame f;

	if (net_frame_parse(data, len, false, &f) == NET_UDP && (side = side_of(dev, &f)) != NULL) {
		*p = (struct packet){
			.text = rte_pktmbuf_mtod_offset(m, char *, f.payload_off),
			.len = f.payload_len,
			.port = (uint16_t)(f.dst.port - side->io.port_first),
			.reflector = side->reflector,
			.peer = f.src,
			.handle = m,
		};
		memcpy(&p->mac, data + 6, 6);
		return true;
	}
	count_other(dev, &f);
	if (dev->kernel_port != UINT16_MAX && f.kind != NET_BAD)
		kernel_hand(d.kernel, 0, dev->kernel_port, reason_of(&f, data), data, len,
			clock_now_ns());
	rte_pktmbuf_free(m);
	return false;
}

static unsigned dpdk_receive(struct io *io, struct packet *p, unsigned n)
{
	const struct dpdk_side *s = (const struct dpdk_side *)io;
	struct rte_mbuf *m[GEN_BURST];
	unsigned got, kept = 0;

	/* A shared device is read by its first side. */
	if (s->device->side[0] != s)
		return 0;
	got = port_rx_burst(&s->device->port, 0, m, (uint16_t)(n < GEN_BURST ? n : GEN_BURST));
	for (unsigned i = 0; i < got; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	for (unsigned i = 0; i < got; i++)
		kept += take(s->device, m[i], &p[kept]);
	return kept;
}

static void dpdk_done(struct io *io, struct packet *p, unsigned n)
{
	struct rte_mbuf *m[GEN_BURST];

	(void)io;
	for (unsigned i = 0; i < n; i++)
		m[i] = p[i].handle;
	rte_pktmbuf_free_bulk(m, n);
}

/* ---- out ---- */

static unsigned dpdk_get(struct io *io, struct packet *p, unsigned n)
{
	struct dpdk_side *s = (struct dpdk_side *)io;
	struct rte_mbuf *m[GEN_BURST];

	if (n == 0 || rte_pktmbuf_alloc_bulk(s->device->pool, m, n) != 0)
		return 0;
	for (unsigned i = 0; i < n; i++)
		p[i] = (struct packet){
			.text = rte_pktmbuf_mtod_offset(m[i], char *, s->header), .handle = m[i]};
	return n;
}

static void put_checksum(
	const struct port *port, const struct net_header *h, struct rte_mbuf *m, uint32_t header)
{
	uint32_t l4_len = m->pkt_len - header + NET_UDP_LEN;
	uint8_t *l4 = rte_pktmbuf_mtod_offset(m, uint8_t *, header - NET_UDP_LEN);
	uint16_t sum;

	if (port->tx_udp_checksum) {
		m->l2_len = NET_ETHER_LEN;
		m->l3_len = header - NET_UDP_LEN - NET_ETHER_LEN;
		m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM |
			       (h->src.addr.family == 4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
		sum = net_udp_pseudo_checksum(&h->src.addr, &h->dst.addr, l4_len);
	} else {
		sum = net_udp_checksum(&h->src.addr, &h->dst.addr, l4, l4_len);
	}
	memcpy(l4 + 6, &sum, 2);
}

static void put_frame(struct dpdk_side *s, const struct packet *p)
{
	struct rte_mbuf *m = p->handle;
	struct net_header *h = &s->to;

	m->data_len = (uint16_t)(s->header + p->len);
	m->pkt_len = m->data_len;
	h->src.port = (uint16_t)(s->io.port_first + p->port);
	if (s->reflector) {
		h->dst = p->peer;
		memcpy(h->dst_mac, &p->mac, 6);
	}
	net_header_write(h, p->len, rte_pktmbuf_mtod(m, uint8_t *));
	put_checksum(&s->device->port, h, m, s->header);
}

static unsigned send_frames(struct device *dev, struct rte_mbuf **m, unsigned n)
{
	unsigned sent = 0;

	for (unsigned tries = 0; sent < n && tries < SEND_TRIES; tries++) {
		if (tries > 0)
			rte_pause();
		sent += port_tx_burst(&dev->port, 0, m + sent, (uint16_t)(n - sent));
	}
	if (sent < n)
		rte_pktmbuf_free_bulk(m + sent, n - sent);
	return sent;
}

static unsigned dpdk_send(struct io *io, struct packet *p, unsigned n)
{
	struct dpdk_side *s = (struct dpdk_side *)io;
	struct rte_mbuf *m[GEN_BURST];
	unsigned sent;

	for (unsigned i = 0; i < n; i++) {
		put_frame(s, &p[i]);
		m[i] = p[i].handle;
	}
	sent = send_frames(s->device, m, n);
	for (unsigned i = sent; i < n; i++)
		p[i].refused = true;
	return sent;
}

/* ---- the kernel's part ---- */

static void transmit_for_kernel(void *arg, uint16_t port, const uint8_t *frame, uint32_t len)
{
	(void)arg;
	for (unsigned i = 0; i < d.devices; i++) {
		struct device *dev = &d.device[i];
		struct rte_mbuf *m;
		char *to;

		if (dev->kernel_port != port)
			continue;
		m = rte_pktmbuf_alloc(dev->pool);
		if (m == NULL)
			return;
		to = rte_pktmbuf_append(m, (uint16_t)len);
		if (to == NULL) {
			rte_pktmbuf_free(m);
			return;
		}
		memcpy(to, frame, len);
		send_frames(dev, &m, 1);
	}
}

static void hops_changed(void *arg)
{
	(void)arg;
	d.hops_changed = true;
}

/* The target's MAC, as the kernel knows it now. */
static enum kernel_hop_state find_target(struct dpdk_side *s, struct kernel_hop *hop)
{
	kernel_hop_find(kernel_hops(d.kernel), &d.target.addr, hop);
	if (hop->state == KERNEL_HOP_READY)
		memcpy(s->to.dst_mac, hop->mac, 6);
	return hop->state;
}

static void dpdk_poll(struct io *io, uint64_t now)
{
	struct dpdk_side *s = (struct dpdk_side *)io;
	struct kernel_hop hop;

	if (d.kernel == NULL || now < d.poll_at)
		return;
	d.poll_at = now + CLOCK_NS_PER_MS;
	for (unsigned i = 0; i < d.devices; i++)
		if (d.device[i].kernel_port != UINT16_MAX)
			kernel_set_carrier(
				d.kernel, d.device[i].kernel_port, port_link_up(&d.device[i].port));
	kernel_poll(d.kernel, now);
	if (!d.hops_changed || s->reflector || s->device->kernel_port == UINT16_MAX)
		return;
	d.hops_changed = false;
	if (find_target(s, &hop) == KERNEL_HOP_UNRESOLVED)
		kernel_resolve(d.kernel, &hop);
}

/*
 * Whether there is a link, now or soon. One that has just come up (memif) loses what is sent while
 * the other side still sets up its queues.
 */
static bool link_wait(const struct dpdk_side *s)
{
	uint64_t begun = clock_now_ns();
	bool waited = false;

	while (!port_link_up(&s->device->port)) {
		if (gen_interrupted || clock_now_ns() - begun > LINK_NS)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		waited = true;
	}
	if (waited || !s->device->settled)
		nanosleep(&(struct timespec){.tv_nsec = LINK_SETTLES_NS}, NULL);
	s->device->settled = true;
	return true;
}

/* ARP and ND, before anything is measured. */
static int dpdk_ready(
	struct io *io, const struct net_endpoint *target, char *error, size_t error_size)
{
	struct dpdk_side *s = (struct dpdk_side *)io;
	uint64_t begun = clock_now_ns(), now = begun, asked = 0;
	char text[NET_ADDR_TEXT_MAX];
	struct packet p[GEN_BURST];
	struct kernel_hop hop = {0};

	net_addr_format(&target->addr, text);
	if (!link_wait(s))
		return gen_fail(error, error_size, ENETDOWN, "no link: is the other side there?");
	if (d.kernel == NULL || s->device->kernel_port == UINT16_MAX)
		return 0;
	for (; now - begun < ARP_NS && !gen_interrupted; now = clock_now_ns()) {
		unsigned n = dpdk_receive(io, p, GEN_BURST);

		dpdk_done(io, p, n);
		d.poll_at = 0;
		dpdk_poll(io, now);
		switch (find_target(s, &hop)) {
		case KERNEL_HOP_READY:
			return 0;
		case KERNEL_HOP_LOCAL:
			return gen_fail(error, error_size, EINVAL,
				"--target %s is an address of this machine: give --peer-mac", text);
		case KERNEL_HOP_UNRESOLVED:
			if (now - asked > 200 * CLOCK_NS_PER_MS) {
				kernel_resolve(d.kernel, &hop);
				asked = now;
			}
			break;
		case KERNEL_HOP_NO_ROUTE: /* the interface may be coming up */
			break;
		}
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
	}
	if (hop.state == KERNEL_HOP_NO_ROUTE)
		return gen_fail(error, error_size, ENETUNREACH,
			"no route to %s: give --address ADDR/LEN in its network, or --gateway",
			text);
	return gen_fail(error, error_size, EHOSTUNREACH, "%s does not answer ARP or ND", text);
}

/* ---- beside ---- */

static uint64_t dpdk_now(struct io *io)
{
	(void)io;
	return clock_now_ns();
}

static void dpdk_idle(struct io *io, uint64_t until)
{
	uint64_t now;

	(void)io;
	if (!d.sleeps) {
		rte_pause();
		return;
	}
	now = clock_now_ns();
	if (until > now)
		nanosleep(&(struct timespec){.tv_nsec = (long)(until - now < SLEEP_NS ? until - now
										      : SLEEP_NS)},
			NULL);
}

static uint64_t dpdk_lost(struct io *io)
{
	const struct dpdk_side *s = (const struct dpdk_side *)io;
	struct port_losses l;

	if (s->device->side[0] != s)
		return 0;
	port_losses(&s->device->port, &l);
	return l.rx_missed + l.rx_nombuf;
}

static void dpdk_close(struct io *io)
{
	(void)io;
	io_dpdk_close();
}

/* Everything at once, with the first side that is closed. */
void io_dpdk_close(void)
{
	if (!d.started)
		return;
	d.started = false;
	if (d.kernel != NULL)
		kernel_destroy(d.kernel);
	d.kernel = NULL;
	for (unsigned i = 0; i < d.devices; i++)
		if (d.device[i].open)
			port_close(&d.device[i].port);
	port_eal_stop();
}

/* ---- open ---- */

static int parse_mac(
	const char *what, const char *text, uint8_t mac[6], char *error, size_t error_size)
{
	struct rte_ether_addr addr;

	if (rte_ether_unformat_addr(text, &addr) != 0)
		return gen_fail(error, error_size, EINVAL,
			"--%s '%s': a MAC such as 02:00:00:00:00:01 is expected", what, text);
	memcpy(mac, addr.addr_bytes, 6);
	return 0;
}

static int first_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 0;
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			return i;
	return 0;
}

static unsigned room_of(const struct gen_side *g)
{
	return RTE_MAX((unsigned)PORT_MBUF_ROOM, g->mtu + HEADER_MAX + 2U * TEMPLATE_SLACK);
}

static int eal_start(const struct gen_config *config, const struct gen_side *const *device,
	unsigned n, char *error, size_t error_size)
{
	const char *name[2] = {device[0]->device, n > 1 ? device[1]->device : NULL};
	int cpu = config->cpu >= 0 ? config->cpu : first_cpu();
	struct port_eal eal = {
		.program = "siplane-gen",
		.lcores = 1,
		.cpu = &cpu,
		.huge = -1,
		.memory_bytes = MEMORY_BESIDE_POOLS,
		.device = name,
		.devices = n,
		.debug = config->debug,
	};

	for (unsigned i = 0; i < n; i++)
		eal.memory_bytes += BUFFERS_PER_DEVICE * (uint64_t)(room_of(device[i]) + 512);
	return port_eal_start(&eal, error, error_size);
}

static int open_device(const struct gen_config *config, const struct gen_side *g,
	struct device *dev, char *error, size_t error_size)
{
	static const char *const names[2] = {"a", "b"};
	const char *name = names[dev - d.device];
	uint8_t mac[6];
	struct port_config pc = {
		.name = name,
		.device = g->device,
		.profile_dir = config->profiles,
		.queues = 1,
		.mtu = g->mtu,
	};
	char pool[16], why[PORT_ERROR_MAX];

	if (g->mac != NULL) {
		if (parse_mac("mac", g->mac, mac, error, error_size) != 0)
			return -EINVAL;
		pc.mac = mac;
	}
	snprintf(pool, sizeof(pool), "packets-%s", name);
	dev->pool =
		port_pool_create(pool, BUFFERS_PER_DEVICE - 1, room_of(g), d.sleeps, SOCKET_ID_ANY);
	if (dev->pool == NULL)
		return gen_fail(error, error_size, ENOMEM, "not enough memory for packet buffers");
	pc.pool = dev->pool;
	if (port_open(&pc, &dev->port, why, sizeof(why)) != 0)
		return gen_fail(error, error_size, EIO, "device %s: %s", g->device, why);
	dev->open = true;
	dev->kernel_port = UINT16_MAX;
	return 0;
}

static int open_kernel(const struct gen_side *const *device, char *error, size_t error_size)
{
	struct kernel_config kc = {
		.port = d.kernel_port,
		.workers = 1,
		.transmit = transmit_for_kernel,
		.changed = hops_changed,
	};
	char why[512];

	for (unsigned i = 0; i < d.devices; i++) {
		struct device *dev = &d.device[i];
		struct kernel_port_config *kp = &d.kernel_port[kc.ports];

		if (device[i]->peer_mac != NULL || dev->sides > 1)
			continue;
		snprintf(d.interface[i], sizeof(d.interface[i]), "gen%d%s", (int)getpid(),
			i == 0 ? "a" : "b");
		*kp = (struct kernel_port_config){
			.interface = d.interface[i],
			.mtu = dev->port.mtu,
			.address = device[i]->address,
			.addresses = device[i]->addresses,
			.gateway = {device[i]->gateway, NULL},
			.port = (uint16_t)kc.ports,
			.complete_checksums = dev->port.rx_pseudo_checksum,
		};
		memcpy(kp->mac, dev->port.mac, 6);
		dev->kernel_port = (uint16_t)kc.ports++;
	}
	if (kc.ports == 0)
		return 0;
	d.kernel = kernel_create(&kc, why, sizeof(why));
	if (d.kernel == NULL)
		return gen_fail(error, error_size, EIO, "%s (or give --peer-mac)", why);
	return 0;
}

static int open_side(const struct gen_side *g, bool reflector, struct device *dev,
	struct dpdk_side *s, char *error, size_t error_size)
{
	char text[NET_ADDR_TEXT_MAX];
	uint32_t room;

	if (g->addresses == 0)
		return gen_fail(error, error_size, EINVAL, "--%saddress is needed with a device",
			reflector ? "reflect-" : "");
	for (; s->addresses < g->addresses; s->addresses++) {
		struct str a = str_c(g->address[s->addresses]);
		int64_t slash = str_find(a, '/');

		if (slash >= 0)
			a.len = (uint32_t)slash;
		if (net_addr_parse(a, &s->address[s->addresses]) != 0)
			return gen_fail(error, error_size, EINVAL, "'%s' is no address",
				g->address[s->addresses]);
	}
	s->reflector = reflector;
	s->device = dev;
	dev->side[dev->sides++] = s;
	s->io = (struct io){
		.receive = dpdk_receive,
		.done = dpdk_done,
		.get = dpdk_get,
		.send = dpdk_send,
		.now = dpdk_now,
		.idle = dpdk_idle,
		.poll = dpdk_poll,
		.lost = dpdk_lost,
		.ready = dpdk_ready,
		.close = dpdk_close,
		.port_first = g->port_first,
		.ports = g->port_last - g->port_first + 1U,
		.local = s->address[0],
		/* A full ring is one that the other side does not empty. */
		.peer_queue = strcmp(dev->port.driver, "net_memif") == 0,
	};
	for (unsigned i = 0; i < s->addresses; i++)
		if (s->address[i].family == d.target.addr.family)
			s->io.local = s->address[i];
	if (!reflector && s->io.local.family != d.target.addr.family)
		return gen_fail(error, error_size, EINVAL,
			"--address and --target are not of one family (IPv4, IPv6)");
	s->to.src.addr = s->io.local;
	s->to.dst = d.target;
	s->header = net_header_length(&s->to);
	memcpy(s->to.src_mac, dev->port.mac, 6);
	memcpy(s->to.dst_mac, dev->port.mac, 6); /* on a wire of its own */
	room = rte_pktmbuf_data_room_size(dev->pool) - RTE_PKTMBUF_HEADROOM - s->header -
	       TEMPLATE_SLACK;
	s->io.room = RTE_MIN(room, dev->port.mtu - (s->header - NET_ETHER_LEN));
	net_addr_format(&s->io.local, text);
	snprintf(s->io.description, sizeof(s->io.description), "%.90s, %s ports %u-%u",
		dev->port.description, text, g->port_first, g->port_last);
	if (g->peer_mac != NULL)
		return parse_mac("peer-mac", g->peer_mac, s->to.dst_mac, error, error_size);
	return 0;
}

int io_dpdk_open(const struct gen_config *config, const struct net_endpoint *target,
	struct io *both[2], char *error, size_t error_size)
{
	const struct gen_side *want[2] = {&config->caller, &config->reflector}, *device[2];
	bool is_wanted[2] = {!config->reflect, config->reflect || config->reflect_too};
	bool shared = is_wanted[0] && is_wanted[1] &&
		      strcmp(config->caller.device, config->reflector.device) == 0;
	unsigned n = 0;
	int rc;

	memset(&d, 0, sizeof(d));
	d.target = *target;
	d.sleeps = config->sleep;
	for (unsigned i = 0; i < 2; i++)
		if (is_wanted[i] && !(i == 1 && shared))
			device[n++] = want[i];
	rc = eal_start(config, device, n, error, error_size);
	if (rc != 0)
		return rc;
	d.started = true;
	for (unsigned i = 0; rc == 0 && i < n; i++, d.devices++)
		rc = open_device(config, device[i], &d.device[i], error, error_size);
	for (unsigned i = 0, at = 0; rc == 0 && i < 2; i++) {
		if (!is_wanted[i])
			continue;
		rc = open_side(want[i], i == 1, &d.device[at], &d.side[i], error, error_size);
		both[i] = &d.side[i].io;
		at += shared ? 0 : 1;
	}
	if (rc == 0)
		rc = open_kernel(device, error, error_size);
	if (rc != 0) {
		both[0] = both[1] = NULL;
		io_dpdk_close();
	}
	return rc;
}
