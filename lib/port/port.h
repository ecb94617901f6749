/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * port: a NIC from its name in the configuration to queues that workers poll.
 *
 * What we ask of a device is a profile (drivers-config/profiles/, data by driver name) cut down to
 * what the device reports: each feature is asked for, checked, and replaced by software with a word
 * in the log where it is missing: RSS, checksum offload, queues, MTU. A frame always lies in one
 * buffer: port_mbuf_room() says how large the pool's have to be.
 *
 * Control thread: everything but port_rx_burst() and port_tx_burst(), which belong to the worker
 * that owns the queue.
 *
 * Files: eal (memory, lcores, command line), profile, port, device (from its name to DPDK's port;
 * refusals explained), setup (asks, checks, starts), netdev (the kernel interface below a device),
 * pool (mbufs), steer (RSS key, queues), error (sentences, what DPDK said).
 */
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "net/net.h"

#define PORT_BURST 32
#define PORT_MAX 16
#define PORT_QUEUES_MAX 64
#define PORT_ERROR_MAX 512

/* ---- EAL ---- */

struct port_eal {
	const char *program;
	unsigned lcores;           /* threads: main (control) and workers, slow lcores */
	const int *cpu;            /* CPU of each lcore; several may share one */
	int huge;                  /* -1: where there are enough pages, 0: no, 1: yes */
	uint64_t memory_bytes;     /* what pools and tables need, for -m */
	const char *const *device; /* as in the configuration: only these are probed */
	unsigned devices;
	bool debug;
};
/*
 * Starts the EAL: unique file prefix, --no-huge --no-shconf with computed -m, or --in-memory with
 * hugepages. Vdevs are created later, by port_open(). On failure returns -errno and says in `error`
 * what is wrong and which command mends it.
 */
int port_eal_start(const struct port_eal *config, char *error, size_t error_size);
/* Removes the EAL's run-time folder; the process ends soon after. All ports are closed before. Call
 * this and not rte_eal_cleanup(), which may crash. */
void port_eal_stop(void);

/* ---- pools ---- */

/* Packets of up to PORT_MBUF_ROOM bytes behind the headroom; and big ones for messages up to 65,000
 * bytes. */
#define PORT_MBUF_ROOM 2048
#define PORT_MBUF_BIG_ROOM 65407
/* NULL and rte_errno. Preemptible users: threads that are no lcores allocate and free there, too.
 */
struct rte_mempool *port_pool_create(
	const char *name, unsigned count, unsigned room, bool preemptible_users, int socket);

/* ---- ports ---- */

struct port_config {
	const char *name;   /* "edge" */
	const char *device; /* "0000:3b:00.0", "net_tap0,iface=...", "net_af_packet0,iface=...",
			       "net_memif0,...", "net_ring0", "net_pcap0,..." */
	const char *profile_dir; /* drivers-config/profiles */
	const char *profile;     /* NULL: by driver name */
	const uint8_t *mac;      /* NULL: the device's, or a random local one on virtual devices */
	unsigned queues;         /* wanted pairs: one a worker */
	unsigned mtu;            /* 0: 1500, or that of the netdev below (af_packet, af_xdp) */
	unsigned rx_descriptors, tx_descriptors; /* 0: the profile's */
	struct rte_mempool *pool;
};

/*
 * Bytes of data room that this port's packets take: by its MTU, and by its profile (net_af_packet
 * gets whole datagrams, since its driver lets the kernel put IPv4 fragments together before we see
 * them). At most PORT_MBUF_BIG_ROOM. A pool must have the MTU's part; for the profile's, a port
 * brings 512 buffers of its own where the pool has less (port_eal_start() reckons with them).
 */
unsigned port_mbuf_room(const struct port_config *config);

struct port {
	char name[32];
	char driver[32];
	uint16_t id;     /* DPDK's */
	uint16_t index;  /* ours: order in the configuration */
	uint16_t queues; /* pairs that are open */
	uint16_t mtu;
	int socket; /* NUMA node or SOCKET_ID_ANY */
	bool virtual_device;
	uint8_t mac[6]; /* what we answer to */
	/* what the device does for us */
	bool rss;
	/* the sum's field holds net_udp_pseudo_checksum(), and l2_len, l3_len and ol_flags are set
	 */
	bool tx_udp_checksum;
	bool tx_ip_checksum;
	bool rx_checksum_flags;  /* its RX_*_CKSUM flags may be believed */
	bool rx_pseudo_checksum; /* peers on this host leave pseudo-header sums: accept them
				    (profile) */
	bool rx_set_port;        /* mbuf->port is not set by the driver (net_ring) */
	uint32_t link_mbps;      /* 0: unknown */
	char description[192];   /* for the start-up table: "net_ice 25G up, 6 queues, rss ipv4-udp,
				    checksum offload" */
};

/*
 * Creates the vdev where the device is one, configures queues, MTU, offloads, RSS with a random
 * key, promiscuous mode on virtual devices, and starts it. For af_packet and af_xdp makes the
 * netdev bare (design 7: no address, promiscuous, arp_ignore=8, disable_ipv6=1). 0 or -errno with a
 * sentence in `error`, which does not name the port: no such device, bound to another driver
 * (which; the bind command), no permission, too few descriptors. port->index is left as it is.
 */
int port_open(const struct port_config *config, struct port *port, char *error, size_t error_size);
void port_close(struct port *port);
bool port_link_up(const struct port *port);

static inline uint16_t port_rx_burst(
	const struct port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	uint16_t got = rte_eth_rx_burst(port->id, queue, m, n);

	if (port->rx_set_port)
		for (uint16_t i = 0; i < got; i++)
			m[i]->port = port->id;
	return got;
}

static inline uint16_t port_tx_burst(
	const struct port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	return rte_eth_tx_burst(port->id, queue, m, n);
}

/* The device's own loss counters. */
struct port_losses {
	uint64_t rx_missed, rx_errors, rx_nombuf, tx_errors;
};
void port_losses(const struct port *port, struct port_losses *out);
