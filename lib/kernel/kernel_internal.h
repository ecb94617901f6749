/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the files of this room share, and what its tests look at. */
#include <net/if.h>
#include <stdarg.h>

#include "kernel/kernel.h"

struct mnl_socket;
struct nlmsghdr;

#define KERNEL_ADDRESSES_MAX 1024    /* of all interfaces of the namespace */
#define KERNEL_ROUTE_HOPS_MAX 131072 /* next hops of all routes together */
#define KERNEL_MULTIPATH_MAX 64      /* next hops of one route */
#define KERNEL_MANAGED_MAX 16384     /* next hops that the kernel is asked to keep fresh */
#define KERNEL_PLACEHOLDERS_MAX 256
#define KERNEL_RING_BYTES (1u << 20)
#define KERNEL_DRAIN_FRAMES 256 /* a worker's ring, a poll */
#define KERNEL_READ_FRAMES 64   /* a tap, a poll */
#define KERNEL_EVENTS_MAX 64    /* netlink reads a poll */
#define KERNEL_NETLINK_BUFFER 65536
#define KERNEL_RESOLVE_NS (200 * CLOCK_NS_PER_MS) /* between two requests for one neighbour */
#define KERNEL_BURST_NS (100 * CLOCK_NS_PER_MS)   /* of a reason's rate, at once */

/* ---- table: (address, tag) -> number below max; the caller keeps arrays by that number ---- */

#define KERNEL_TABLE_NONE UINT32_MAX

struct kernel_table_key {
	struct net_addr addr;
	uint32_t tag;
	uint32_t next;
	bool used;
};

struct kernel_table {
	uint64_t seed;
	uint32_t max, count, high; /* numbers in use are below high */
	uint32_t mask, free;
	uint32_t *bucket;
	struct kernel_table_key *key;
};

int kernel_table_init(struct kernel_table *t, uint32_t max);
void kernel_table_fini(struct kernel_table *t);
uint32_t kernel_table_find(const struct kernel_table *t, const struct net_addr *addr, uint32_t tag);
/* The number of an entry that is there or is made; KERNEL_TABLE_NONE when full. */
uint32_t kernel_table_add(struct kernel_table *t, const struct net_addr *addr, uint32_t tag);
void kernel_table_remove(struct kernel_table *t, uint32_t number);
uint64_t kernel_hash(uint64_t seed, const struct net_addr *addr, uint32_t tag);

/* ---- mirror: what netlink said, in the control thread's hands ---- */

#define KERNEL_FOREIGN UINT16_MAX /* of an interface that is none of ours */

struct kernel_neighbour {
	uint8_t mac[6];
	bool usable;
	uint32_t dump; /* the dump that has seen it last */
};

struct kernel_address {
	struct net_addr addr;
	uint16_t port;
	uint8_t bits;
	uint8_t scope;
	uint32_t flags; /* IFA_F_* */
};

struct kernel_route_hop {
	struct net_addr gateway; /* family 0: on-link */
	uint16_t port;
	uint16_t weight;
};

struct kernel_route {
	struct net_prefix to;
	uint32_t metric;
	uint32_t hop;  /* first in mirror.hop */
	uint16_t hops; /* 0: unreachable, blackhole, prohibit */
	uint16_t mtu;  /* 0: the interface's */
	bool ours;
	struct net_addr source; /* family 0: to be chosen */
};

struct kernel_mirror {
	struct kernel_table neighbours; /* tag: port */
	struct kernel_neighbour *neighbour;
	struct kernel_address *address;
	unsigned addresses;
	struct kernel_route *route;
	unsigned routes;
	struct kernel_route_hop *hop;
	unsigned hops;
	uint16_t mtu[KERNEL_PORTS_MAX]; /* of the exception interfaces; 0: not there */
	unsigned ports;
	struct kernel_table pmtus; /* tag 0 */
	struct kernel_pmtu {
		uint16_t mtu;
		uint64_t expires;
	} * pmtu;
	uint64_t seed;
};

int kernel_mirror_init(struct kernel_mirror *m);
void kernel_mirror_fini(struct kernel_mirror *m);

/* ---- hop ---- */

/* Builds the snapshot; NULL without memory. One block: free() it. */
struct kernel_hops *kernel_hops_build(const struct kernel_mirror *m);

/* ---- interface ---- */

struct kernel_interface {
	char name[IF_NAMESIZE];
	int index;
	int fd;
	uint8_t mac[6];
	unsigned mtu;
	uint16_t port;
	int vlan;
	bool complete_checksums;
	bool created, carrier;
	bool announce;    /* the addresses, with the next poll */
	uint64_t refused; /* frames that the tap did not take */
};

int kernel_interface_open(struct kernel_interface *i, const struct kernel_port_config *config,
	char *error, size_t error_size);
void kernel_interface_close(struct kernel_interface *i);
/* A frame as the wire had it: the tag goes. False where it is not for this interface or not taken.
 */
bool kernel_interface_write(struct kernel_interface *i, uint8_t *frame, uint32_t len);
/* The next frame that the kernel sends, with its tag, at `frame` (KERNEL_FRAME_MAX + NET_VLAN_LEN);
 * 0 for none. */
uint32_t kernel_interface_read(struct kernel_interface *i, uint8_t *frame);
/* Puts the tag into a frame that stands NET_VLAN_LEN behind `frame` (at `frame` where there is no
 * VLAN); the new length. */
uint32_t kernel_interface_tag(const struct kernel_interface *i, uint8_t *frame, uint32_t len);
int kernel_interface_carrier(struct kernel_interface *i, bool up);
void kernel_interface_tune(const struct kernel_interface *i);
/* Where a machine has IPv6 off by default: an address of it is asked for here. */
void kernel_interface_allow_ipv6(const struct kernel_interface *i);

/* ---- netlink ---- */

struct kernel_netlink {
	struct mnl_socket *requests, *events;
	uint32_t seq;
	char *buffer; /* KERNEL_NETLINK_BUFFER */
};

int kernel_netlink_open(struct kernel_netlink *n);
void kernel_netlink_close(struct kernel_netlink *n);
/* Subscribes anew, forgetting what waits. 0 or -errno. */
int kernel_netlink_listen(struct kernel_netlink *n);
/* Sends the request in n->buffer and waits for its answer (the kernel gives it inside the call). 0
 * or -errno. */
int kernel_netlink_talk(struct kernel_netlink *n, struct nlmsghdr *nlh);
int kernel_netlink_link(
	struct kernel_netlink *n, int index, const uint8_t *mac, unsigned mtu, bool up);
int kernel_netlink_address(
	struct kernel_netlink *n, int index, const struct net_addr *addr, unsigned bits, bool add);
int kernel_netlink_default(struct kernel_netlink *n, int index, const struct net_addr *gateway,
	uint32_t metric, bool add);
int kernel_netlink_neighbour(
	struct kernel_netlink *n, int index, const struct net_addr *addr, bool managed);
/* Lets a neighbour that is kept fresh age as any other. */
int kernel_netlink_neighbour_forget(
	struct kernel_netlink *n, int index, const struct net_addr *addr);
/* An ifindex's port, or KERNEL_FOREIGN. */
uint16_t kernel_port_of(const struct kernel *k, int index);
/* Reads links, addresses and routes anew, or neighbours too. 0 or -errno. */
int kernel_netlink_dump(struct kernel *k, bool neighbours);
/* Takes waiting events; -ENOBUFS where some were lost. */
int kernel_netlink_events(struct kernel *k, unsigned *done);

/* ---- hand ---- */

struct kernel_ring {
	_Alignas(64) _Atomic uint32_t head; /* the worker's */
	uint32_t tail_seen;
	_Alignas(64) _Atomic uint32_t tail; /* the control thread's */
	_Alignas(64) uint8_t *data;
};

struct kernel_bucket {
	_Alignas(64) _Atomic uint64_t full_at;
};

bool kernel_ring_put(struct kernel_ring *r, uint16_t port, const uint8_t *frame, uint32_t len);
/* The next frame, or NULL; it stays until kernel_ring_drop(). */
uint8_t *kernel_ring_peek(struct kernel_ring *r, uint16_t *port, uint32_t *len);
void kernel_ring_drop(struct kernel_ring *r);
bool kernel_bucket_take(struct kernel_bucket *b, uint64_t rate, uint64_t now);

/* ---- kernel ---- */

struct kernel_placeholder {
	struct net_endpoint ep;
	int fd;
};

/* What kernel_create() put there and kernel_destroy() takes away. */
struct kernel_made {
	uint16_t interface;
	uint8_t bits;
	bool is_default;
	uint32_t metric;
	struct net_addr addr;
};

struct kernel {
	struct kernel_hops *_Atomic hops;
	struct kernel_config config;
	struct kernel_interface interface[KERNEL_PORTS_MAX]; /* by order of the configuration */
	unsigned interfaces;
	struct kernel_mirror mirror;
	struct kernel_netlink netlink;
	uint32_t dump; /* number of the last neighbour dump */
	bool dirty, routes_stale, all_stale, managed_stale;
	bool lost; /* events; no new subscription yet */
	uint64_t dump_after, build_after, sweep_after, managed_after;
	struct kernel_hops *unretired; /* RCU was full: waits here */
	struct kernel_table managed;   /* tag: port */
	struct kernel_managed {
		uint64_t asked;
	} * managed_state;
	bool no_managed; /* the kernel refuses NTF_EXT_MANAGED */
	struct kernel_placeholder placeholder[KERNEL_PLACEHOLDERS_MAX];
	unsigned placeholders;
	struct kernel_made *made;
	unsigned mades;
	struct kernel_ring *ring;                            /* by worker */
	struct kernel_bucket (*bucket)[KERNEL_REASON_COUNT]; /* by port index */
	uint8_t *frame;
	uint64_t overruns, builds; /* for tests and for the operator's eye */
};

/* Tells the network where the port's addresses are. */
void kernel_announce(struct kernel *k, uint16_t port);

int kernel_fail(char *error, size_t size, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
