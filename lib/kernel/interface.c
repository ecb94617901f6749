/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel/kernel_internal.h"

#define VLAN_ETHER_TYPE 0x8100
#define MAC_PAIR 12 /* bytes of both MACs */

static uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

int kernel_interface_mac(const char *name, uint8_t mac[6])
{
	struct ifreq ifr = {0};
	int fd, rc;

	if (strlen(name) >= IF_NAMESIZE)
		return -EINVAL;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	memcpy(ifr.ifr_name, name, strlen(name));
	rc = ioctl(fd, SIOCGIFHWADDR, &ifr) == 0 ? 0 : -errno;
	if (rc == 0)
		memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	close(fd);
	return rc;
}

static int open_tap(struct kernel_interface *i, char *error, size_t error_size)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int rc;

	i->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (i->fd < 0)
		return kernel_fail(error, error_size, errno,
			"exception interface %s: /dev/net/tun: %s\n         load it:  modprobe tun",
			i->name, strerror(errno));
	memcpy(ifr.ifr_name, i->name, sizeof(i->name));
	if (ioctl(i->fd, TUNSETIFF, &ifr) == 0)
		return 0;
	rc = errno;
	close(i->fd);
	i->fd = -1;
	if (rc == EBUSY)
		return kernel_fail(error, error_size, rc,
			"exception interface %s is held by another process: is siplane running "
			"already?",
			i->name);
	if (rc == EPERM)
		return kernel_fail(error, error_size, rc,
			"exception interface %s: no permission: CAP_NET_ADMIN is needed: run as "
			"root, or:  setcap "
			"cap_net_admin,cap_net_raw+ep $(command -v siplane)",
			i->name);
	if (rc == EINVAL && !i->created)
		return kernel_fail(error, error_size, EEXIST,
			"exception interface %s: an interface of that name is there and is no "
			"single-queue tap: "
			"remove it (ip link del %s) or name another",
			i->name, i->name);
	return kernel_fail(
		error, error_size, rc, "exception interface %s: %s", i->name, strerror(rc));
}

int kernel_interface_open(struct kernel_interface *i, const struct kernel_port_config *config,
	char *error, size_t error_size)
{
	int rc;

	*i = (struct kernel_interface){
		.fd = -1,
		.mtu = config->mtu,
		.port = config->port,
		.vlan = config->vlan,
		.complete_checksums = config->complete_checksums,
		.carrier = true,
		.announce = true,
	};
	if (strlen(config->interface) >= sizeof(i->name) || config->interface[0] == '\0')
		return kernel_fail(error, error_size, EINVAL,
			"exception interface '%s': a name has 1 to %d characters",
			config->interface, IF_NAMESIZE - 1);
	memcpy(i->name, config->interface, strlen(config->interface) + 1);
	memcpy(i->mac, config->mac, sizeof(i->mac));
	i->created = if_nametoindex(i->name) == 0;
	rc = open_tap(i, error, error_size);
	if (rc != 0)
		return rc;
	i->index = (int)if_nametoindex(i->name);
	/*
	 * Persistent, so that addresses, routes and sessions of routing daemons outlive a crash of
	 * ours. No offloads: the kernel then finishes all checksums and segments before we get a
	 * frame.
	 */
	if (ioctl(i->fd, TUNSETPERSIST, 1) != 0 || ioctl(i->fd, TUNSETOFFLOAD, 0) != 0) {
		rc = kernel_fail(error, error_size, errno, "exception interface %s: %s", i->name,
			strerror(errno));
		kernel_interface_close(i);
		return rc;
	}
	/* A run that died may have left it without. */
	kernel_interface_carrier(i, true);
	return 0;
}

void kernel_interface_close(struct kernel_interface *i)
{
	if (i->fd < 0)
		return;
	if (i->created)
		ioctl(i->fd, TUNSETPERSIST, 0);
	close(i->fd);
	i->fd = -1;
}

static bool is_fragment(const uint8_t *frame, const struct net_frame *f)
{
	if (f->family == 4)
		return (get_be16(frame + f->l3_off + 6) & 0x3fff) != 0;
	return f->frag_more || f->frag_off != 0;
}

/* A sum that a sender on this host left to its "NIC" is finished here: the kernel would drop the
 * frame. */
static void complete_checksum(uint8_t *frame, uint32_t len)
{
	struct net_frame f;
	uint32_t field, address;
	uint64_t pseudo;
	uint8_t tail[4];
	uint16_t sum, unfinished;

	if (net_frame_parse(frame, len, false, &f) == NET_BAD || f.family == 0 ||
		is_fragment(frame, &f) || f.l4_len > UINT16_MAX)
		return;
	if (f.protocol == IPPROTO_TCP && f.l4_len >= 20)
		field = 16;
	else if (f.protocol == IPPROTO_UDP && f.l4_len >= NET_UDP_LEN)
		field = 6;
	else
		return;
	address = f.family == 4 ? 4 : 16;
	tail[0] = 0;
	tail[1] = f.protocol;
	tail[2] = (uint8_t)(f.l4_len >> 8);
	tail[3] = (uint8_t)f.l4_len;
	pseudo = net_checksum_add(0, f.src.addr.b, address);
	pseudo = net_checksum_add(pseudo, f.dst.addr.b, address);
	pseudo = net_checksum_add(pseudo, tail, sizeof(tail));
	memcpy(&sum, frame + f.l4_off + field, 2);
	unfinished = (uint16_t)~net_checksum_fold(pseudo);
	if (sum != unfinished)
		return;
	memset(frame + f.l4_off + field, 0, 2);
	sum = net_checksum_fold(net_checksum_add(pseudo, frame + f.l4_off, f.l4_len));
	if (sum == 0)
		sum = 0xffff;
	memcpy(frame + f.l4_off + field, &sum, 2);
}

bool kernel_interface_write(struct kernel_interface *i, uint8_t *frame, uint32_t len)
{
	ssize_t n;

	if (len < NET_ETHER_LEN || i->fd < 0)
		return false;
	if (get_be16(frame + MAC_PAIR) == VLAN_ETHER_TYPE && len >= NET_ETHER_LEN + NET_VLAN_LEN) {
		int vid = get_be16(frame + NET_ETHER_LEN) & 0xfff;

		if (i->vlan >= 0 && vid != i->vlan)
			return false;
		/* A priority tag says nothing of a network: the kernel gets the frame without. */
		if (i->vlan >= 0 || vid == 0) {
			memmove(frame + NET_VLAN_LEN, frame, MAC_PAIR);
			frame += NET_VLAN_LEN;
			len -= NET_VLAN_LEN;
		}
	} else if (i->vlan > 0) {
		return false;
	}
	if (i->complete_checksums)
		complete_checksum(frame, len);
	n = write(i->fd, frame, len);
	if (n != (ssize_t)len)
		i->refused++;
	return n == (ssize_t)len;
}

uint32_t kernel_interface_tag(const struct kernel_interface *i, uint8_t *frame, uint32_t len)
{
	if (i->vlan <= 0)
		return len;
	memmove(frame, frame + NET_VLAN_LEN, MAC_PAIR);
	frame[12] = VLAN_ETHER_TYPE >> 8;
	frame[13] = VLAN_ETHER_TYPE & 0xff;
	frame[14] = (uint8_t)(i->vlan >> 8);
	frame[15] = (uint8_t)i->vlan;
	return len + NET_VLAN_LEN;
}

uint32_t kernel_interface_read(struct kernel_interface *i, uint8_t *frame)
{
	ssize_t n;

	if (i->fd < 0)
		return 0;
	n = read(i->fd, frame + (i->vlan > 0 ? NET_VLAN_LEN : 0), KERNEL_FRAME_MAX);
	return n < NET_ETHER_LEN ? 0 : kernel_interface_tag(i, frame, (uint32_t)n);
}

int kernel_interface_carrier(struct kernel_interface *i, bool up)
{
	int on = up;

	i->carrier = up;
	return ioctl(i->fd, TUNSETCARRIER, &on) == 0 ? 0 : -errno;
}

static void set_number(const char *family, const char *what, const struct kernel_interface *i,
	const char *key, unsigned value)
{
	char path[128], text[16];
	int fd, n;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/%s/%s/%s", family, what, i->name, key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* an older kernel, or IPv6 is off */
	n = snprintf(text, sizeof(text), "%u", value);
	if (write(fd, text, (size_t)n) != n)
		log_debug("%s: not set to %u: %s", path, value, strerror(errno));
	close(fd);
}

void kernel_interface_allow_ipv6(const struct kernel_interface *i)
{
	set_number("ipv6", "conf", i, "disable_ipv6", 0);
}

/*
 * The kernel sends nothing to SIP's next hops itself, so its neighbours only age by these clocks.
 * They make it ask again after some 5 s, find out within 3 s more that a MAC is gone, and then ask
 * everybody: a peer that changed its MAC is back within about 10 s, for one ARP request every few
 * seconds and next hop.
 */
void kernel_interface_tune(const struct kernel_interface *i)
{
	static const char *const families[] = {"ipv4", "ipv6"};

	for (unsigned f = 0; f < 2; f++) {
		set_number(families[f], "neigh", i, "base_reachable_time_ms", 5000);
		set_number(families[f], "neigh", i, "interval_probe_time_ms", 1000);
		set_number(families[f], "neigh", i, "delay_first_probe_time", 1);
		set_number(families[f], "neigh", i, "ucast_solicit", 2);
		set_number(families[f], "neigh", i, "mcast_resolicit", 3);
	}
	/* A gratuitous ARP and an unsolicited NA when it comes up: peers may remember the MAC of an
	 * earlier run. */
	set_number("ipv4", "conf", i, "arp_notify", 1);
	set_number("ipv6", "conf", i, "ndisc_notify", 1);
}
