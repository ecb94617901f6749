/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the files of this room share, and what its tests look at. */
#include <stdarg.h>

#include "port/port.h"

#define PORT_PROFILE_DRIVERS_MAX 8
#define PORT_PROFILE_TEXT_MAX 128
#define PORT_PROFILE_FILE_MAX 16384
#define PORT_SENTENCE_MAX 256
#define PORT_OWN_BUFFERS 512 /* of a port whose profile needs larger ones than the caller has */
#define PORT_MTU_DEFAULT 1500
/* Ethernet header, FCS and two tags around an IP packet. */
#define PORT_FRAME_OVERHEAD (RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 2 * NET_VLAN_LEN)
#define PORT_SYSFS_PCI "/sys/bus/pci/devices"

/* ---- profile ---- */

enum port_netdev {
	PORT_NETDEV_NONE, /* no kernel interface below the device */
	PORT_NETDEV_BARE, /* the device works through iface=, which we make bare (design 7) */
	PORT_NETDEV_PEER, /* the device makes iface=, and that is the other end's (tap) */
};

/* Words of `quirks`. */
#define PORT_QUIRK_SET_PORT (1u << 0)       /* set_port: the driver leaves mbuf->port alone */
#define PORT_QUIRK_TPACKET_FRAMES (1u << 1) /* tpacket_frames: framesz= follows the pool's room */
#define PORT_QUIRK_POLL_LINK (1u << 2) /* link_netdev: the driver reports no link, iface does */
#define PORT_QUIRK_CHANNELS (1u << 3)  /* channels: a queue of ours is a queue of iface */

struct port_profile {
	char name[32]; /* of the file, without .conf */
	char driver[PORT_PROFILE_DRIVERS_MAX][32];
	unsigned drivers;
	bool virtual_device;
	bool own_mac;
	unsigned rx_descriptors, tx_descriptors;
	unsigned mbuf_room;  /* 0: by MTU */
	unsigned max_mtu;    /* 0: what the device says */
	unsigned queues;     /* most pairs; 0: what the device says */
	bool spreads_itself; /* without RSS, several queues still share the traffic */
	char queue_argument[32];
	char arguments[PORT_PROFILE_TEXT_MAX];
	char environment[PORT_PROFILE_TEXT_MAX]; /* NAME=VALUE of a library below the driver */
	uint64_t rss;
	bool rx_checksum_flags, rx_pseudo_checksum, tx_checksum, promiscuous;
	enum port_netdev netdev;
	unsigned quirks;
};

/* What holds where no profile names the driver: trust nothing, ask for little. */
void port_profile_default(struct port_profile *profile);
/* Reads a profile's text. 0 or -EINVAL, with "line N: ..." in `error`. */
int port_profile_parse(struct str text, const char *name, struct port_profile *out, char *error,
	size_t error_size);
/*
 * The profile of that name, or (name NULL) the one whose `driver` is `driver`, or, where `prefix`
 * is set, the longest one that `driver` begins with. -ENOENT where none fits: *out is the default
 * then.
 */
int port_profile_find(const char *dir, const char *name, const char *driver, bool prefix,
	struct port_profile *out, char *error, size_t error_size);
/* "ipv4-udp ipv6-udp" of an RSS mask, in the profile's words. */
void port_rss_format(uint64_t rss, char *out, size_t size);
uint64_t port_rss_word(struct str word);

/* ---- setup ---- */

/* A port that is being opened. */
struct port_opening {
	const struct port_config *config;
	struct port *port;
	struct port_profile profile;
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	uint8_t rss_key[128];
	uint16_t rx_descriptors, tx_descriptors;
	unsigned default_mtu;
	char *error;
	size_t error_size;
};

/* The profile for a driver or (prefix) a device's name; the careful default where none names it. */
int port_setup_profile(struct port_opening *o, const char *driver, bool prefix);
/* From a DPDK port to one that runs: asks, checks, starts. 0 or -errno with a sentence. */
int port_setup(struct port_opening *o);
/* Fills port->description and link_mbps. */
void port_describe(const struct port_opening *o);

/* ---- errors ---- */

/* Writes a sentence and returns -err. */
int port_fail(char *error, size_t size, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* From now on DPDK's messages are kept for port_dpdk_said(). */
void port_dpdk_listen(void);
/* " (DPDK: ...)": the last message since port_dpdk_listen(), or "". */
const char *port_dpdk_said(void);

/* ---- device ---- */

/* Splits "net_tap0,iface=x": name and the rest without its comma. */
void port_device_split(const char *device, char *name, size_t name_size, const char **arguments);
/* Value of key= in "a=1,b=2"; false where it is not there. */
bool port_argument(const char *arguments, const char *key, char *out, size_t size);
bool port_device_is_pci(const char *device);
/* Whether a PCI device is there and bound to something that DPDK drives; 0 or -errno with a
 * sentence. */
int port_pci_check(const char *sysfs, const char *address, char *error, size_t error_size);
/* Finds or creates the device; 0 and its DPDK port id. */
int port_device_probe(const struct port_config *config, const struct port_profile *profile,
	uint16_t queues, uint16_t *id, char *error, size_t error_size);
void port_device_remove(uint16_t id);

/* ---- netdev ---- */

/* What port_netdev_bare() changed, for port_netdev_restore(). */
struct port_netdev_state;
int port_netdev_bare(
	const char *iface, struct port_netdev_state **out, char *error, size_t error_size);
void port_netdev_restore(struct port_netdev_state *state);
/* 0: not known. */
unsigned port_netdev_mtu(const char *iface);
/* Gives the interface as many queues as are wanted, where it can; how many can be opened. */
unsigned port_netdev_channels(struct port_netdev_state *state, unsigned wanted);
/* 1 up and running, 0 not, -ENODEV where there is none of that name in our namespace. */
int port_netdev_running(const char *iface);

/* ---- steer ---- */

/* A random RSS key; 0 or -errno. */
int port_rss_key(uint8_t *key, unsigned size);
/* How many queue pairs to open. */
uint16_t port_queue_count(const struct port_profile *profile, unsigned wanted, unsigned rx_max,
	unsigned tx_max, bool rss);
