/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>

#include "base/log.h"
#include "port/port_internal.h"

#define NETDEV_SAVED_MAX 128 /* addresses and routes that are put back */

/*
 * The netdev under af_packet and af_xdp. The exception interface owns the addresses (design 7), so
 * this one must not answer: no address, no IPv6, no ARP for what other interfaces hold. Offloads
 * that glue frames together are off, since a glued frame is longer than a frame of ours can be.
 */
struct port_netdev_state {
	char iface[IF_NAMESIZE];
	int index;
	short flags;
	int arp_ignore, disable_ipv6; /* -1: not known */
	int gro, lro;
	unsigned mtu, channels; /* 0: not changed by us */
	unsigned saved;
	struct nlmsghdr *message[NETDEV_SAVED_MAX];
};

static int sysctl_set(const char *family, const char *iface, const char *key, int value)
{
	char path[256], text[16];
	int old = -1, fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, iface, key);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	if (n > 0) {
		text[n] = '\0';
		old = atoi(text);
	}
	n = snprintf(text, sizeof(text), "%d", value);
	if (pwrite(fd, text, (size_t)n, 0) != n)
		log_warning("%s: cannot be set to %d: %s", path, value, strerror(errno));
	close(fd);
	return old;
}

static int ioctl_iface(const char *iface, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", iface);
	if (ioctl(fd, request, ifr) != 0)
		rc = -errno;
	close(fd);
	return rc;
}

int port_netdev_running(const char *iface)
{
	struct ifreq ifr = {0};

	if (ioctl_iface(iface, SIOCGIFFLAGS, &ifr) != 0)
		return -ENODEV;
	return (ifr.ifr_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}

/* Sets an ethtool switch and returns what it was, or -1. */
static int ethtool_switch(const char *iface, uint32_t get, uint32_t set, uint32_t bit, bool on)
{
	struct ethtool_value value = {.cmd = get};
	struct ifreq ifr = {.ifr_data = (char *)&value};
	int old;

	if (ioctl_iface(iface, SIOCETHTOOL, &ifr) != 0)
		return -1;
	old = bit != 0 ? (value.data & bit) != 0 : value.data != 0;
	if (old == on)
		return old;
	value.cmd = set;
	value.data = bit != 0 ? (value.data & ~bit) | (on ? bit : 0) : on;
	ifr.ifr_data = (char *)&value;
	return ioctl_iface(iface, SIOCETHTOOL, &ifr) == 0 ? old : -1;
}

unsigned port_netdev_mtu(const char *iface)
{
	struct ifreq ifr = {.ifr_mtu = 0};

	return ioctl_iface(iface, SIOCGIFMTU, &ifr) == 0 && ifr.ifr_mtu > 0 ? (unsigned)ifr.ifr_mtu
									    : 0;
}

unsigned port_netdev_channels(struct port_netdev_state *s, unsigned wanted)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq ifr = {.ifr_data = (char *)&channels};
	unsigned now;

	if (ioctl_iface(s->iface, SIOCETHTOOL, &ifr) != 0 || channels.max_combined == 0)
		return 1;
	now = channels.combined_count;
	if (wanted > channels.max_combined)
		wanted = channels.max_combined;
	if (wanted == now)
		return now;
	channels.cmd = ETHTOOL_SCHANNELS;
	channels.combined_count = wanted;
	ifr.ifr_data = (char *)&channels;
	if (ioctl_iface(s->iface, SIOCETHTOOL, &ifr) == 0) {
		s->channels = now;
		return wanted;
	}
	if (wanted < now)
		log_warning("interface %s has %u queues and keeps them: what arrives on the last "
			    "%u is lost. Set "
			    "them by hand:  ethtool -L %s combined %u",
			s->iface, now, now - wanted, s->iface, wanted);
	return wanted < now ? wanted : now;
}

/* Best effort: the interface may have changed hands meanwhile. */
static void restore_channels(const struct port_netdev_state *s)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq ifr = {.ifr_data = (char *)&channels};

	if (s->channels == 0 || ioctl_iface(s->iface, SIOCETHTOOL, &ifr) != 0)
		return;
	channels.cmd = ETHTOOL_SCHANNELS;
	channels.combined_count = s->channels;
	ifr.ifr_data = (char *)&channels;
	ioctl_iface(s->iface, SIOCETHTOOL, &ifr);
}

static struct nlmsghdr *save(struct port_netdev_state *s, const struct nlmsghdr *nlh)
{
	struct nlmsghdr *copy;

	if (s->saved == NETDEV_SAVED_MAX || (copy = malloc(nlh->nlmsg_len)) == NULL)
		return NULL;
	memcpy(copy, nlh, nlh->nlmsg_len);
	return s->message[s->saved++] = copy;
}

static int on_address(const struct nlmsghdr *nlh, void *arg)
{
	struct port_netdev_state *s = arg;
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type == RTM_NEWADDR && (int)ifa->ifa_index == s->index)
		save(s, nlh);
	return MNL_CB_OK;
}

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	struct port_netdev_state *s = arg;
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	/* The kernel makes its own ones again when the addresses return. */
	if (nlh->nlmsg_type != RTM_NEWROUTE || rtm->rtm_table != RT_TABLE_MAIN ||
		rtm->rtm_protocol == RTPROT_KERNEL)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		struct nlmsghdr *copy;

		if (mnl_attr_get_type(attr) != RTA_OIF || (int)mnl_attr_get_u32(attr) != s->index)
			continue;
		copy = save(s, nlh);
		/* What the kernel says of the link's state it does not take back. */
		if (copy != NULL)
			((struct rtmsg *)mnl_nlmsg_get_payload(copy))->rtm_flags &= RTNH_F_ONLINK;
	}
	return MNL_CB_OK;
}

static int dump(struct mnl_socket *nl, uint16_t type, size_t header, mnl_cb_t cb, void *arg)
{
	char buffer[32768];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	ssize_t n;
	int rc;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, header);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
		if (n < 0)
			return -errno;
		rc = mnl_cb_run(buffer, (size_t)n, 0, mnl_socket_get_portid(nl), cb, arg);
	} while (rc > MNL_CB_STOP);
	return rc < 0 ? -errno : 0;
}

static int request(struct mnl_socket *nl, struct nlmsghdr *nlh, uint16_t type, uint16_t flags)
{
	char buffer[8192];
	ssize_t n;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	nlh->nlmsg_seq = 0;
	nlh->nlmsg_pid = 0;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
	if (n < 0)
		return -errno;
	return mnl_cb_run(buffer, (size_t)n, 0, mnl_socket_get_portid(nl), NULL, NULL) < 0 ? -errno
											   : 0;
}

static struct mnl_socket *open_netlink(void)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (nl != NULL && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) != 0) {
		mnl_socket_close(nl);
		nl = NULL;
	}
	return nl;
}

int port_netdev_bare(
	const char *iface, struct port_netdev_state **out, char *error, size_t error_size)
{
	struct port_netdev_state *s = calloc(1, sizeof(*s));
	struct mnl_socket *nl = open_netlink();
	struct ifreq ifr = {0};
	int rc;

	if (s == NULL || nl == NULL) {
		rc = port_fail(error, error_size, errno, "interface %s: netlink: %s", iface,
			strerror(errno));
		goto fail;
	}
	snprintf(s->iface, sizeof(s->iface), "%s", iface);
	s->index = (int)if_nametoindex(iface);
	rc = ioctl_iface(iface, SIOCGIFFLAGS, &ifr);
	s->flags = ifr.ifr_flags;
	if (rc != 0 || s->index == 0) {
		rc = port_fail(error, error_size, ENODEV,
			"there is no interface '%s' in this network namespace", iface);
		goto fail;
	}
	rc = dump(nl, RTM_GETADDR, sizeof(struct ifaddrmsg), on_address, s);
	if (rc == 0)
		rc = dump(nl, RTM_GETROUTE, sizeof(struct rtmsg), on_route, s);
	if (rc != 0) {
		rc = port_fail(error, error_size, -rc,
			"interface %s: its addresses cannot be read: %s", iface, strerror(-rc));
		goto fail;
	}
	s->arp_ignore = sysctl_set("ipv4", iface, "arp_ignore", 8);
	for (unsigned i = 0; i < s->saved; i++) {
		struct nlmsghdr *copy;

		if (s->message[i]->nlmsg_type != RTM_NEWADDR ||
			(copy = malloc(s->message[i]->nlmsg_len)) == NULL)
			continue;
		memcpy(copy, s->message[i], s->message[i]->nlmsg_len);
		request(nl, copy, RTM_DELADDR, 0);
		free(copy);
	}
	s->disable_ipv6 = sysctl_set("ipv6", iface, "disable_ipv6", 1);
	ifr.ifr_flags = s->flags | IFF_UP | IFF_PROMISC;
	rc = ioctl_iface(iface, SIOCSIFFLAGS, &ifr);
	if (rc != 0) {
		rc = port_fail(error, error_size, -rc, "interface %s cannot be brought up: %s",
			iface, strerror(-rc));
		mnl_socket_close(nl);
		port_netdev_restore(s);
		return rc;
	}
	s->mtu = port_netdev_mtu(iface);
	s->gro = ethtool_switch(iface, ETHTOOL_GGRO, ETHTOOL_SGRO, 0, false);
	s->lro = ethtool_switch(iface, ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, ETH_FLAG_LRO, false);
	mnl_socket_close(nl);
	*out = s;
	return 0;
fail:
	if (nl != NULL)
		mnl_socket_close(nl);
	if (s != NULL)
		for (unsigned i = 0; i < s->saved; i++)
			free(s->message[i]);
	free(s);
	return rc;
}

void port_netdev_restore(struct port_netdev_state *s)
{
	struct mnl_socket *nl;
	struct ifreq ifr = {0};

	if (s == NULL)
		return;
	nl = open_netlink();
	/* It may have been removed or moved meanwhile: nothing to put back then. */
	if (nl != NULL && (int)if_nametoindex(s->iface) == s->index) {
		if (s->gro > 0)
			ethtool_switch(s->iface, ETHTOOL_GGRO, ETHTOOL_SGRO, 0, true);
		if (s->lro > 0)
			ethtool_switch(
				s->iface, ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, ETH_FLAG_LRO, true);
		if (s->disable_ipv6 >= 0)
			sysctl_set("ipv6", s->iface, "disable_ipv6", s->disable_ipv6);
		if (s->arp_ignore >= 0)
			sysctl_set("ipv4", s->iface, "arp_ignore", s->arp_ignore);
		restore_channels(s);
		if (s->mtu != 0 && s->mtu != port_netdev_mtu(s->iface)) {
			ifr.ifr_mtu = (int)s->mtu;
			ioctl_iface(s->iface, SIOCSIFMTU, &ifr);
		}
		ifr.ifr_flags = s->flags;
		ioctl_iface(s->iface, SIOCSIFFLAGS, &ifr);
		for (unsigned i = 0; i < s->saved; i++)
			request(nl, s->message[i], s->message[i]->nlmsg_type,
				NLM_F_CREATE | NLM_F_REPLACE);
	}
	if (nl != NULL)
		mnl_socket_close(nl);
	for (unsigned i = 0; i < s->saved; i++)
		free(s->message[i]);
	free(s);
}
