/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include <rte_errno.h>
#include <rte_ether.h>

#include "base/log.h"
#include "port/port_internal.h"

#define PORT_DESCRIPTORS_MIN 32
#define RX_CHECKSUMS (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)

int port_setup_profile(struct port_opening *o, const char *driver, bool prefix)
{
	const struct port_config *c = o->config;
	int rc;

	rc = port_profile_find(
		c->profile_dir, c->profile, driver, prefix, &o->profile, o->error, o->error_size);
	if (rc == -ENOENT && c->profile == NULL) {
		if (!prefix)
			log_notice("port %s: no profile names driver %s: only what every driver "
				   "does is used",
				c->name, driver);
		return 0;
	}
	return rc;
}

static int choose_mtu(struct port_opening *o)
{
	unsigned wanted = o->config->mtu != 0 ? o->config->mtu : o->default_mtu, most;
	unsigned room = rte_pktmbuf_data_room_size(o->config->pool) - RTE_PKTMBUF_HEADROOM;

	most = o->info.max_mtu != 0 ? o->info.max_mtu : (unsigned)UINT16_MAX;
	/* Some drivers count the frame, others the packet: both bounds hold. */
	if (o->info.max_rx_pktlen != 0)
		most = RTE_MIN(most, o->info.max_rx_pktlen - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN);
	if (o->profile.max_mtu != 0)
		most = RTE_MIN(most, o->profile.max_mtu);
	if (wanted > most) {
		log_warning("port %s: MTU %u: %s carries at most %u, which is used",
			o->config->name, wanted, o->info.driver_name, most);
		wanted = most;
	}
	if (room < wanted + PORT_FRAME_OVERHEAD)
		return port_fail(o->error, o->error_size, EINVAL,
			"MTU %u needs packet buffers of %u bytes, and the pool's have %u", wanted,
			wanted + PORT_FRAME_OVERHEAD, room);
	o->port->mtu = (uint16_t)wanted;
	o->conf.rxmode.mtu = wanted;
	return 0;
}

static void choose_rss(struct port_opening *o)
{
	uint64_t rss = o->profile.rss & o->info.flow_type_rss_offloads;
	unsigned size = o->info.hash_key_size != 0 ? o->info.hash_key_size : 40;

	if (o->port->queues < 2 || rss == 0)
		return;
	if (size > sizeof(o->rss_key) || port_rss_key(o->rss_key, size) != 0)
		return;
	o->conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	o->conf.rx_adv_conf.rss_conf.rss_hf = rss;
	o->conf.rx_adv_conf.rss_conf.rss_key = o->rss_key;
	o->conf.rx_adv_conf.rss_conf.rss_key_len = (uint8_t)size;
	o->port->rss = true;
}

static void choose_offloads(struct port_opening *o)
{
	uint64_t rx = o->info.rx_offload_capa, tx = o->info.tx_offload_capa;
	struct port *p = o->port;

	if (o->profile.rx_checksum_flags && (rx & RX_CHECKSUMS) == RX_CHECKSUMS) {
		o->conf.rxmode.offloads |= RX_CHECKSUMS;
		p->rx_checksum_flags = true;
	}
	if (!o->profile.tx_checksum)
		return;
	if ((tx & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0) {
		o->conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
		p->tx_udp_checksum = true;
	}
	if ((tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0) {
		o->conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
		p->tx_ip_checksum = true;
	}
}

static int choose_descriptors(struct port_opening *o)
{
	const struct port_config *c = o->config;

	o->rx_descriptors =
		(uint16_t)(c->rx_descriptors != 0 ? c->rx_descriptors : o->profile.rx_descriptors);
	o->tx_descriptors =
		(uint16_t)(c->tx_descriptors != 0 ? c->tx_descriptors : o->profile.tx_descriptors);
	rte_eth_dev_adjust_nb_rx_tx_desc(o->port->id, &o->rx_descriptors, &o->tx_descriptors);
	if (o->rx_descriptors < PORT_DESCRIPTORS_MIN || o->tx_descriptors < PORT_DESCRIPTORS_MIN)
		return port_fail(o->error, o->error_size, EINVAL,
			"%u receive and %u transmit descriptors are too few: %u is the least",
			o->rx_descriptors, o->tx_descriptors, PORT_DESCRIPTORS_MIN);
	if ((c->rx_descriptors != 0 && o->rx_descriptors != c->rx_descriptors) ||
		(c->tx_descriptors != 0 && o->tx_descriptors != c->tx_descriptors))
		log_warning("port %s: %u receive and %u transmit descriptors are used: %s allows "
			    "no more",
			c->name, o->rx_descriptors, o->tx_descriptors, o->info.driver_name);
	return 0;
}

static int configure(struct port_opening *o)
{
	struct port *p = o->port;
	int rc;

	rc = rte_eth_dev_configure(p->id, p->queues, p->queues, &o->conf);
	if (rc != 0 && p->rss) {
		/* Said to be able to and refuses: one queue, and software spreads. */
		log_notice("port %s: %s refuses RSS (%s): one queue is used", o->config->name,
			o->info.driver_name, rte_strerror(-rc));
		p->rss = false;
		p->queues = port_queue_count(&o->profile, p->queues, o->info.max_rx_queues,
			o->info.max_tx_queues, false);
		o->conf.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
		memset(&o->conf.rx_adv_conf, 0, sizeof(o->conf.rx_adv_conf));
		rc = rte_eth_dev_configure(p->id, p->queues, p->queues, &o->conf);
	}
	if (rc != 0)
		return port_fail(o->error, o->error_size, -rc,
			"%s refuses %u queues with MTU %u: %s%s", o->info.driver_name, p->queues,
			p->mtu, rte_strerror(-rc), port_dpdk_said());
	rc = choose_descriptors(o);
	if (rc != 0)
		return rc;
	for (uint16_t q = 0; rc == 0 && q < p->queues; q++) {
		struct rte_eth_rxconf rx = o->info.default_rxconf;
		struct rte_eth_txconf tx = o->info.default_txconf;

		rx.offloads = o->conf.rxmode.offloads;
		tx.offloads = o->conf.txmode.offloads;
		rc = rte_eth_rx_queue_setup(
			p->id, q, o->rx_descriptors, (unsigned)p->socket, &rx, o->config->pool);
		if (rc == 0)
			rc = rte_eth_tx_queue_setup(
				p->id, q, o->tx_descriptors, (unsigned)p->socket, &tx);
	}
	if (rc != 0)
		return port_fail(o->error, o->error_size, -rc,
			"%s gives no queue of %u and %u descriptors: %s%s", o->info.driver_name,
			o->rx_descriptors, o->tx_descriptors, rte_strerror(-rc), port_dpdk_said());
	rc = rte_eth_dev_set_mtu(p->id, p->mtu);
	if (rc != 0 && rc != -ENOTSUP && p->mtu != o->default_mtu)
		return port_fail(o->error, o->error_size, -rc, "%s refuses an MTU of %u: %s%s",
			o->info.driver_name, p->mtu, rte_strerror(-rc), port_dpdk_said());
	return 0;
}

/* Locally administered, unicast. */
static int random_mac(uint8_t mac[6])
{
	if (getrandom(mac, 6, 0) != 6)
		return -EIO;
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
	return 0;
}

static int choose_mac(struct port_opening *o)
{
	struct port *p = o->port;
	struct rte_ether_addr mac;
	int rc;

	if (o->config->mac != NULL) {
		memcpy(p->mac, o->config->mac, sizeof(p->mac));
	} else if (o->profile.own_mac) {
		rc = random_mac(p->mac);
		if (rc != 0)
			return port_fail(
				o->error, o->error_size, -rc, "no random MAC: %s", strerror(-rc));
		return 0;
	} else {
		rc = rte_eth_macaddr_get(p->id, &mac);
		if (rc != 0)
			return port_fail(o->error, o->error_size, -rc,
				"the device's MAC is not known: %s", rte_strerror(-rc));
		memcpy(p->mac, mac.addr_bytes, sizeof(p->mac));
		return 0;
	}
	if (o->profile.own_mac)
		return 0; /* the driver's belongs to the other end or to the netdev below */
	memcpy(mac.addr_bytes, p->mac, sizeof(p->mac));
	rc = rte_eth_dev_default_mac_addr_set(p->id, &mac);
	if (rc != 0 && rte_eth_promiscuous_enable(p->id) != 0)
		return port_fail(o->error, o->error_size, -rc, "%s does not take another MAC: %s",
			o->info.driver_name, rte_strerror(-rc));
	return 0;
}

static void receive_all(struct port_opening *o)
{
	uint16_t id = o->port->id;

	if (o->profile.promiscuous) {
		int rc = rte_eth_promiscuous_enable(id);

		if (rc != 0 && rc != -ENOTSUP)
			log_warning("port %s: no promiscuous mode: %s", o->config->name,
				rte_strerror(-rc));
		return;
	}
	/* Neighbour discovery and VRRP come to multicast MACs. */
	if (rte_eth_allmulticast_enable(id) != 0 && rte_eth_promiscuous_enable(id) != 0)
		log_warning("port %s: %s passes no multicast: IPv6 neighbours may not find us",
			o->config->name, o->info.driver_name);
}

void port_describe(const struct port_opening *o)
{
	struct port *p = o->port;
	char speed[32] = "", rss[64];
	struct rte_eth_link link;

	if (rte_eth_link_get_nowait(p->id, &link) == 0 &&
		link.link_speed != RTE_ETH_SPEED_NUM_NONE &&
		link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN && !p->virtual_device)
		p->link_mbps = link.link_speed;
	if (p->link_mbps >= 1000)
		snprintf(speed, sizeof(speed), " %uG", p->link_mbps / 1000);
	else if (p->link_mbps != 0)
		snprintf(speed, sizeof(speed), " %uM", p->link_mbps);
	port_rss_format(o->conf.rx_adv_conf.rss_conf.rss_hf, rss, sizeof(rss));
	snprintf(p->description, sizeof(p->description), "%s%s %s, %u queue%s%s%s%s", p->driver,
		speed, port_link_up(p) ? "up" : "down", p->queues, p->queues > 1 ? "s" : "",
		p->rss ? ", rss " : "", p->rss ? rss : "",
		p->tx_udp_checksum ? ", checksum offload" : "");
}

int port_setup(struct port_opening *o)
{
	struct port *p = o->port;
	int rc;

	rc = rte_eth_dev_info_get(p->id, &o->info);
	if (rc != 0)
		return port_fail(o->error, o->error_size, -rc,
			"the device does not describe itself: %s", rte_strerror(-rc));
	snprintf(p->driver, sizeof(p->driver), "%s", o->info.driver_name);
	if (o->profile.drivers == 0) {
		rc = port_setup_profile(o, p->driver, false);
		if (rc != 0)
			return rc;
	}
	p->virtual_device = o->profile.virtual_device;
	p->rx_pseudo_checksum = o->profile.rx_pseudo_checksum;
	p->rx_set_port = (o->profile.quirks & PORT_QUIRK_SET_PORT) != 0;
	p->socket = rte_eth_dev_socket_id(p->id);
	p->queues = port_queue_count(&o->profile, o->config->queues, o->info.max_rx_queues,
		o->info.max_tx_queues, (o->profile.rss & o->info.flow_type_rss_offloads) != 0);
	rc = choose_mtu(o);
	if (rc != 0)
		return rc;
	choose_rss(o);
	choose_offloads(o);
	rc = configure(o);
	if (rc != 0)
		return rc;
	rc = rte_eth_dev_start(p->id);
	if (rc != 0)
		return port_fail(o->error, o->error_size, -rc, "%s does not start: %s%s", p->driver,
			rte_strerror(-rc), port_dpdk_said());
	rc = choose_mac(o);
	if (rc != 0)
		return rc;
	receive_all(o);
	if (p->queues < o->config->queues)
		log_info("port %s: %u of %u queues: %s", o->config->name, p->queues,
			o->config->queues, p->driver);
	return 0;
}
