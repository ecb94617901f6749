/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * kernel: the part that Linux plays. It owns addresses, ARP, ND, ICMP, routes; we mirror what it
 * knows and hand it what is not ours.
 *
 * One exception interface a port (a tap device, persistent, with the port's addresses and MAC):
 * frames that are not SIP over UDP go in there, what the kernel sends comes out and is transmitted
 * by a queue's owner. Neighbours and routes are read by netlink into an immutable snapshot that
 * answers a worker in one lookup: "to this address: that port, these MACs, this source address,
 * this MTU".
 *
 * A netlink socket and tap devices live in the network namespace of the process. A tap's file is
 * read and written without blocking.
 *
 * What other hosts may remember is put right: the first poll, and each after a link came back,
 * announces the port's addresses (gratuitous ARP, unsolicited NA).
 *
 * Threads: the control thread owns everything; workers use kernel_hops(), kernel_hop_find() and
 * kernel_hand() only.
 *
 * Files: interface (tap), netlink (what the kernel says and is asked), mirror (what it has said,
 * changeable), hop_build and hop (snapshot, lookup), hand (rings and rates from the workers),
 * announce (gratuitous ARP, NA), placeholder (sockets that show in ss), table (keyed numbers),
 * kernel (create, loop, PMTU).
 */
#include "net/net.h"

#define KERNEL_PORTS_MAX 16
#define KERNEL_HOPS_MAX 65536 /* neighbours in the snapshot */
#define KERNEL_ROUTES_MAX 65536
#define KERNEL_PMTU_MAX 4096 /* remembered path MTUs */
#define KERNEL_PMTU_NS (600ULL * CLOCK_NS_PER_S)
/* Smaller claims are taken as this (RFC 1191's advice against forged ones). */
#define KERNEL_PMTU_MIN_V4 576
/* A frame that the kernel sends. */
#define KERNEL_FRAME_MAX 9216
/* One that it is handed: a whole datagram (net_af_packet), with Ethernet header and a tag. */
#define KERNEL_HAND_MAX 65553

struct kernel;
struct kernel_hops;

/* Why a frame goes to the kernel: each reason has its own rate. KERNEL_REASON(enum suffix, counter
 * name, frames a second a port) */
#define KERNEL_REASONS(KERNEL_REASON) \
	KERNEL_REASON(ARP, "arp", 2000) \
	KERNEL_REASON(ND, "nd", 2000) \
	KERNEL_REASON(ICMP, "icmp", 2000) \
	KERNEL_REASON(TCP, "tcp", 200000) \
	KERNEL_REASON(UDP, "udp", 50000) \
	KERNEL_REASON(OTHER, "other", 10000)

enum kernel_reason {
#define KERNEL_REASON(id, name, rate) KERNEL_REASON_##id,
	KERNEL_REASONS(KERNEL_REASON)
#undef KERNEL_REASON
		KERNEL_REASON_COUNT
};

struct kernel_port_config {
	const char *interface; /* name of the exception interface */
	uint8_t mac[6];
	unsigned mtu;
	const char *const *address; /* "10.0.0.5/24", put on it */
	unsigned addresses;
	const char *gateway[2]; /* default routes, or NULL */
	uint16_t port;          /* index of the port */
	/* VID of the port's traffic, -1 (or 0) untagged: tags go before the kernel, and come after
	 * it. */
	int vlan;
	/* port.rx_pseudo_checksum: sums that hold only the pseudo header are finished for the
	 * kernel. */
	bool complete_checksums;
};

struct kernel_config {
	const struct kernel_port_config *port;
	unsigned ports;
	unsigned workers;
	struct rcu *rcu;
	/* Called on the control thread for each frame that the kernel sends: transmits it on that
	 * port (copying it). */
	void (*transmit)(void *arg, uint16_t port, const uint8_t *frame, uint32_t len);
	/* Called on the control thread when neighbours, routes or addresses have changed and the
	 * new snapshot is published. */
	void (*changed)(void *arg);
	void *arg;
};

/* Opens the interfaces, puts addresses and routes there, dumps the kernel's tables. NULL and a
 * sentence in `error`. */
struct kernel *kernel_create(const struct kernel_config *config, char *error, size_t error_size);
/* Removes what kernel_create() made: interfaces that were there before stay. */
void kernel_destroy(struct kernel *k);
/* The control loop's share: taps, netlink, placeholder sockets, managed neighbours, carrier. Never
 * blocks; returns the number of things done. */
unsigned kernel_poll(struct kernel *k, uint64_t now_ns);
/* Follows the port's link on the exception interface's carrier; the next poll announces the port's
 * addresses to a link that came back. */
void kernel_set_carrier(struct kernel *k, uint16_t port, bool up);

/* MAC of an interface that is there: what an earlier run left, worth keeping because peers remember
 * it. 0 or -errno. */
int kernel_interface_mac(const char *interface, uint8_t mac[6]);

/* Addresses that a port has now, IPv4 first; no link-local, tentative or duplicate ones. Returns
 * how many were written. */
unsigned kernel_addresses(
	const struct kernel *k, uint16_t port, struct net_addr *out, unsigned max);

/*
 * Binds a UDP socket on the listener's address with a filter that drops all, so that `ss` shows it
 * and a port in use is noticed. 0, or -errno (EADDRINUSE, EADDRNOTAVAIL, EACCES; EALREADY where it
 * is open already; ENOSPC).
 */
int kernel_placeholder_open(struct kernel *k, const struct net_endpoint *ep);
void kernel_placeholder_close(struct kernel *k, const struct net_endpoint *ep);

/* ---- workers ---- */

/* The kernel gets a copy of the frame. Returns false where the reason's rate or the ring is
 * exceeded (the caller counts a drop). One producer a worker number. */
bool kernel_hand(struct kernel *k, unsigned worker, uint16_t port, enum kernel_reason reason,
	const uint8_t *frame, uint32_t len, uint64_t now_ns);

enum kernel_hop_state {
	KERNEL_HOP_READY,
	/* kernel_resolve(); `changed` tells when it is worth asking again */
	KERNEL_HOP_UNRESOLVED,
	/* none, or not by a port of ours; multicast, broadcast, loopback */
	KERNEL_HOP_NO_ROUTE,
	/* an address of ours: no frame reaches it, the message comes round inside (a spiral) */
	KERNEL_HOP_LOCAL
};

/* How to reach an address. */
struct kernel_hop {
	enum kernel_hop_state state;
	uint16_t port;
	uint16_t mtu;           /* of the path: the port's, the route's, or what ICMP said */
	uint8_t mac[6];         /* of the neighbour; READY */
	struct net_addr via;    /* the neighbour: the gateway or the address itself */
	struct net_addr source; /* of ours, that the kernel would send from; family 0: none */
};

/* Current snapshot: take it once a burst, drop it before rcu_quiescent(). */
const struct kernel_hops *kernel_hops(const struct kernel *k);
/* Longest prefix match, then neighbour. Flat cost. */
void kernel_hop_find(
	const struct kernel_hops *hops, const struct net_addr *to, struct kernel_hop *out);
/* The same of what tells a listener from others, without the rest: by which port it goes, and what
 * the kernel would send it from (family 0: nothing). False where there is no route. */
bool kernel_hop_source(const struct kernel_hops *hops, const struct net_addr *to,
	struct net_addr *source, uint16_t *port);

/* ---- control thread, on behalf of workers ---- */

/* Asks the kernel to resolve a neighbour (and to keep it: NTF_EXT_MANAGED where it can). `changed`
 * will tell. */
int kernel_resolve(struct kernel *k, const struct kernel_hop *hop);
/* Remembers a path MTU learnt from an ICMP error whose embedded tuple the caller has checked. */
void kernel_pmtu(struct kernel *k, const struct net_addr *to, unsigned mtu, uint64_t now_ns);
