/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <net/if.h>

#include <rte_errno.h>
#include <rte_ether.h>

#include "base/log.h"
#include "port/port_internal.h"

/* What a port needs besides the public part until it is closed. */
static struct opened {
	bool used;
	struct port_netdev_state *bare;
	enum port_netdev netdev;
	unsigned quirks;
	char iface[IF_NAMESIZE];
	struct rte_mempool *pool; /* of its own, or NULL */
} opened[RTE_MAX_ETHPORTS];

unsigned port_mbuf_room(const struct port_config *config)
{
	struct port_profile profile;
	unsigned mtu = config->mtu != 0 ? config->mtu : PORT_MTU_DEFAULT, room, frame;
	char name[64], error[PORT_ERROR_MAX];
	const char *rest;

	port_device_split(config->device, name, sizeof(name), &rest);
	port_profile_find(
		config->profile_dir, config->profile, name, true, &profile, error, sizeof(error));
	room = RTE_MAX((unsigned)PORT_MBUF_ROOM, profile.mbuf_room);
	frame = RTE_ALIGN(mtu + PORT_FRAME_OVERHEAD, 64u);
	room = RTE_MAX(room, frame);
	return RTE_MIN(room, (unsigned)PORT_MBUF_BIG_ROOM);
}

/*
 * The pool of a port whose profile needs more room than the caller's pool has: a few large buffers
 * of its own, since what is received does not outlive its pass. NULL: the caller's will do, or has
 * to.
 */
static struct rte_mempool *own_pool(const struct port_config *config, const struct port_profile *p)
{
	unsigned room = rte_pktmbuf_data_room_size(config->pool) - RTE_PKTMBUF_HEADROOM;
	static unsigned unique;
	struct rte_mempool *pool;
	char name[32];

	if (p->mbuf_room <= room)
		return NULL;
	snprintf(name, sizeof(name), "port-%u", unique++);
	pool = rte_pktmbuf_pool_create_by_ops(name, PORT_OWN_BUFFERS, PORT_OWN_BUFFERS / 16, 0,
		(uint16_t)(p->mbuf_room + RTE_PKTMBUF_HEADROOM), SOCKET_ID_ANY,
		rte_mempool_get_ops(config->pool->ops_index)->name);
	if (pool == NULL)
		log_warning("port %s: no memory for %u buffers of %u bytes: what the kernel puts "
			    "together of IPv4 "
			    "fragments beyond %u bytes is lost",
			config->name, PORT_OWN_BUFFERS, p->mbuf_room, room);
	return pool;
}

/* Buffers may still be on their way elsewhere: such a pool stays. */
static void free_pool(struct rte_mempool *pool)
{
	if (pool != NULL && rte_mempool_full(pool))
		rte_mempool_free(pool);
}

/* Makes the interface below bare; one that is not there is explained when the device is probed. */
static int take_netdev(struct port_opening *o, const char *iface, struct port_netdev_state **bare,
	uint16_t *queues)
{
	int rc;

	if (o->profile.netdev != PORT_NETDEV_BARE || port_netdev_running(iface) < 0)
		return 0;
	rc = port_netdev_bare(iface, bare, o->error, o->error_size);
	if (rc != 0)
		return rc;
	/* Its MTU may be less for a reason: a tunnel, a cloud. */
	if (port_netdev_mtu(iface) != 0)
		o->default_mtu = port_netdev_mtu(iface);
	if ((o->profile.quirks & PORT_QUIRK_CHANNELS) != 0)
		*queues = (uint16_t)port_netdev_channels(*bare, *queues);
	return 0;
}

int port_open(const struct port_config *config, struct port *port, char *error, size_t error_size)
{
	struct port_config own = *config;
	struct port_opening o = {.config = &own,
		.port = port,
		.error = error,
		.error_size = error_size,
		.default_mtu = PORT_MTU_DEFAULT};
	uint16_t index = port->index;
	struct port_netdev_state *bare = NULL;
	struct rte_mempool *pool;
	char name[64], iface[IF_NAMESIZE] = "";
	const char *given;
	uint16_t queues;
	int rc;

	*port = (struct port){.index = index, .id = RTE_MAX_ETHPORTS};
	snprintf(port->name, sizeof(port->name), "%s", config->name);
	error[0] = '\0';
	port_dpdk_listen();
	port_device_split(config->device, name, sizeof(name), &given);
	if (config->profile != NULL || !port_device_is_pci(config->device)) {
		rc = port_setup_profile(&o, name, true);
		if (rc != 0)
			return rc;
	} else {
		port_profile_default(&o.profile);
	}
	port_argument(given, "iface", iface, sizeof(iface));
	queues = port_queue_count(
		&o.profile, config->queues, PORT_QUEUES_MAX, PORT_QUEUES_MAX, o.profile.rss != 0);
	rc = take_netdev(&o, iface, &bare, &queues);
	if (rc != 0)
		return rc;
	pool = own_pool(config, &o.profile);
	if (pool != NULL)
		own.pool = pool;
	rc = port_device_probe(&own, &o.profile, queues, &port->id, error, error_size);
	if (rc == 0)
		rc = port_setup(&o);
	if (rc != 0) {
		if (port->id < RTE_MAX_ETHPORTS)
			port_device_remove(port->id);
		port_netdev_restore(bare);
		free_pool(pool);
		return rc;
	}
	opened[port->id] = (struct opened){.used = true,
		.bare = bare,
		.netdev = o.profile.netdev,
		.quirks = o.profile.quirks,
		.pool = pool};
	snprintf(opened[port->id].iface, sizeof(opened[port->id].iface), "%s", iface);
	port_describe(&o);
	return 0;
}

void port_close(struct port *port)
{
	struct opened *o;

	if (port->id >= RTE_MAX_ETHPORTS || !opened[port->id].used)
		return;
	o = &opened[port->id];
	rte_eth_dev_stop(port->id);
	port_device_remove(port->id);
	port_netdev_restore(o->bare);
	free_pool(o->pool);
	*o = (struct opened){.used = false};
	port->id = RTE_MAX_ETHPORTS;
}

bool port_link_up(const struct port *port)
{
	const struct opened *o = &opened[port->id];
	struct rte_eth_link link;

	if ((o->quirks & PORT_QUIRK_POLL_LINK) != 0 && o->iface[0] != '\0') {
		int running = port_netdev_running(o->iface);

		/* A tap's netdev is often moved to the other end's namespace: its queues go on to
		 * work. */
		if (running == -ENODEV)
			return o->netdev == PORT_NETDEV_PEER;
		return running > 0;
	}
	return rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

void port_losses(const struct port *port, struct port_losses *out)
{
	struct rte_eth_stats stats;

	*out = (struct port_losses){0};
	if (rte_eth_stats_get(port->id, &stats) != 0)
		return;
	out->rx_missed = stats.imissed;
	out->rx_errors = stats.ierrors;
	out->rx_nombuf = stats.rx_nombuf;
	out->tx_errors = stats.oerrors;
}
