/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listeners and next hops. The mirror of lib/kernel is a private structure: a tree in which it
 * looks otherwise needs this file as its own tests/bench/hops.c has it.
 */
#include <string.h>

#include "differential.h"
#include "kernel/kernel_internal.h"

#define KNOWN_NEIGHBOURS 99

static struct net_addr addr_of(const char *text)
{
	struct net_addr addr = {0};

	net_addr_parse(str_c(text), &addr);
	return addr;
}

static void add_route(
	struct kernel_mirror *m, const char *net, uint8_t bits, uint16_t port, const char *gateway)
{
	struct kernel_route *r = &m->route[m->routes++];

	*r = (struct kernel_route){.to = {.addr = addr_of(net), .bits = bits},
		.hop = m->hops,
		.hops = 1,
		.ours = true};
	m->hop[m->hops] = (struct kernel_route_hop){.port = port, .weight = 1};
	if (gateway != NULL)
		m->hop[m->hops].gateway = addr_of(gateway);
	m->hops++;
}

/* `addr` and those after it, by their last byte, up to KNOWN_NEIGHBOURS. */
static bool add_neighbours(struct kernel_mirror *m, const char *first, uint16_t port)
{
	struct net_addr addr = addr_of(first);
	uint8_t *last = &addr.b[addr.family == 4 ? 3 : 15];

	for (; *last <= KNOWN_NEIGHBOURS; ++*last) {
		uint32_t i = kernel_table_add(&m->neighbours, &addr, port);

		if (i == KERNEL_TABLE_NONE)
			return false;
		m->neighbour[i].usable = true;
		memcpy(m->neighbour[i].mac, (uint8_t[]){2, 0, addr.family, (uint8_t)port, 0, *last},
			6);
	}
	return true;
}

struct kernel_hops *diff_hops(void)
{
	static const struct {
		const char *address, *net, *neighbours;
		uint8_t bits;
		uint16_t port;
	} link[] = {
		{"10.10.0.1", "10.10.0.0", "10.10.0.2", 24, 0},
		{"10.20.0.1", "10.20.0.0", "10.20.0.2", 24, 1},
		{"fd00:10::1", "fd00:10::", "fd00:10::2", 64, 0},
		{"fd00:20::1", "fd00:20::", "fd00:20::2", 64, 1},
	};
	struct kernel_hops *hops = NULL;
	struct kernel_mirror m;
	bool fits = true;

	if (kernel_mirror_init(&m) != 0)
		return NULL;
	for (unsigned p = 0; p < RIG_PORTS; p++)
		m.mtu[p] = DIFF_MTU;
	for (unsigned i = 0; i < sizeof(link) / sizeof(link[0]); i++) {
		m.address[m.addresses++] = (struct kernel_address){.addr = addr_of(link[i].address),
			.port = link[i].port,
			.bits = link[i].bits};
		add_route(&m, link[i].net, link[i].bits, link[i].port, NULL);
		fits = fits && add_neighbours(&m, link[i].neighbours, link[i].port);
	}
	add_route(&m, "192.0.0.0", 8, 0, "10.10.0.9");
	if (fits)
		hops = kernel_hops_build(&m);
	kernel_mirror_fini(&m);
	return hops;
}

static bool route_to(void *arg, const struct net_addr *to, struct net_addr *source, uint16_t *port)
{
	const struct rig *rig = arg;
	struct kernel_hop hop;

	if (to->family == 4 && memcmp(to->b, (uint8_t[]){198, 51, 100}, 3) == 0) {
		*source = addr_of("10.20.0.1");
		*port = 1;
		return true;
	}
	kernel_hop_find(rig->hops, to, &hop);
	*source = hop.source;
	*port = hop.port;
	return hop.state != KERNEL_HOP_NO_ROUTE;
}

int diff_listen(struct rig *rig)
{
	static const struct {
		const char *address;
		uint16_t number, port;
	} at[] = {{"10.10.0.1", 5060, 0}, {"10.20.0.1", 5060, 1}, {"fd00:10::1", 5060, 0},
		{"fd00:20::1", 5060, 1}, {"10.20.0.1", 5070, 1}, {"10.10.0.1", 5070, 0},
		{"fd00:20::1", 5070, 1}};
	struct proxy_listener l[sizeof(at) / sizeof(at[0])] = {0};
	struct proxy_alias alias = {.host = "example.com"};
	struct proxy_config config = {.listener = l,
		.listeners = sizeof(at) / sizeof(at[0]),
		.alias = &alias,
		.aliases = 1,
		.server = "siplane",
		.require_token = true,
		.route = route_to,
		.route_arg = rig};

	for (unsigned i = 0; i < config.listeners; i++) {
		l[i].ep.addr = addr_of(at[i].address);
		l[i].ep.port = at[i].number;
		l[i].transport = SIP_TRANSPORT_UDP;
		l[i].port = at[i].port;
	}
	return proxy_configure(rig->proxy, &config);
}
