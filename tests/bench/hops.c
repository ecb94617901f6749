/* SPDX-License-Identifier: BSD-3-Clause */
/* Next hops as siplane has them in service: the snapshot that lib/kernel builds, of a mirror that
 * we fill. */
#include <string.h>

#include "bench.h"
#include "kernel/kernel_internal.h"

static struct net_addr addr_of(const char *text)
{
	struct net_addr addr;

	net_addr_parse(str_c(text), &addr);
	return addr;
}

static void add_link(struct kernel_mirror *m, const char *net, uint8_t bits, uint16_t port)
{
	struct kernel_route *r = &m->route[m->routes++];

	*r = (struct kernel_route){.to = {.addr = addr_of(net), .bits = bits},
		.hop = m->hops,
		.hops = 1,
		.ours = true};
	m->hop[m->hops++] = (struct kernel_route_hop){.port = port, .weight = 1};
}

static bool add_neighbour(struct kernel_mirror *m, const struct net_addr *addr, uint16_t port)
{
	uint32_t i = kernel_table_add(&m->neighbours, addr, port);

	if (i == KERNEL_TABLE_NONE)
		return false;
	m->neighbour[i].usable = true;
	m->neighbour[i].mac[0] = 0x02;
	memcpy(m->neighbour[i].mac + 2, addr->b, 4);
	return true;
}

static bool add_neighbours(struct kernel_mirror *m, const char *first, unsigned n, uint16_t port)
{
	struct net_addr addr = addr_of(first);
	bool fits = true;

	for (unsigned i = 0; i < n && fits; i++) {
		fits = add_neighbour(m, &addr, port);
		for (unsigned byte = 3; ++addr.b[byte] == 0; byte--)
			;
	}
	return fits;
}

struct kernel_hops *bench_hops(unsigned more, unsigned mtu)
{
	static const char *const address[RIG_PORTS] = {"10.10.0.1", "10.20.0.1"};
	struct kernel_hops *hops = NULL;
	struct kernel_mirror m;
	struct kernel_route *r;

	if (kernel_mirror_init(&m) != 0)
		return NULL;
	for (unsigned p = 0; p < RIG_PORTS; p++) {
		m.mtu[p] = (uint16_t)mtu;
		m.address[m.addresses++] = (struct kernel_address){
			.addr = addr_of(address[p]), .port = (uint16_t)p, .bits = 24};
	}
	add_link(&m, "10.10.0.0", 24, 0);
	add_link(&m, "10.20.0.0", 24, 1);
	add_link(&m, "10.128.0.0", 9, 1);
	/* The rest of the world is behind a gateway on the edge. */
	add_link(&m, "0.0.0.0", 0, 0);
	r = &m.route[m.routes - 1];
	m.hop[r->hop].gateway = addr_of("10.10.0.254");
	if (add_neighbours(&m, "10.10.0.2", 253, 0) && add_neighbours(&m, "10.20.0.2", 250, 1) &&
		add_neighbours(&m, "10.128.0.0", more, 1))
		hops = kernel_hops_build(&m);
	kernel_mirror_fini(&m);
	return hops;
}
