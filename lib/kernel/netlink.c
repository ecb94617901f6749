/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "kernel/kernel_internal.h"

#define EVENT_BUFFER_BYTES (4 << 20)
#define NUD_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

/* Attributes by type, the last of each; types beyond `max` are newer than we are. */
struct attributes {
	const struct nlattr *v[RTA_MAX + 1 > NDA_MAX + 1 ? RTA_MAX + 1 : NDA_MAX + 1];
};

static void parse(const struct nlmsghdr *nlh, size_t header, struct attributes *a)
{
	const struct nlattr *attr;

	memset(a, 0, sizeof(*a));
	mnl_attr_for_each(
		attr, nlh, header) if (mnl_attr_get_type(attr) < sizeof(a->v) / sizeof(a->v[0]))
		a->v[mnl_attr_get_type(attr)] = attr;
}

static struct net_addr to_addr(uint8_t family, const struct nlattr *attr)
{
	struct net_addr addr = {.family = 0};

	if (attr == NULL)
		return addr;
	if (family == AF_INET && mnl_attr_get_payload_len(attr) == 4) {
		memcpy(addr.b, mnl_attr_get_payload(attr), 4);
		addr.family = 4;
	} else if (family == AF_INET6 && mnl_attr_get_payload_len(attr) == 16) {
		memcpy(addr.b, mnl_attr_get_payload(attr), 16);
		addr.family = 6;
	}
	return addr;
}

static uint8_t af_of(const struct net_addr *addr)
{
	return addr->family == 4 ? AF_INET : AF_INET6;
}

static uint32_t addr_len(const struct net_addr *addr)
{
	return addr->family == 4 ? 4 : 16;
}

static uint32_t number(const struct nlattr *attr)
{
	return attr != NULL && mnl_attr_get_payload_len(attr) >= 4 ? mnl_attr_get_u32(attr) : 0;
}

uint16_t kernel_port_of(const struct kernel *k, int index)
{
	for (unsigned i = 0; i < k->interfaces; i++)
		if (k->interface[i].index == index)
			return k->interface[i].port;
	return KERNEL_FOREIGN;
}

/* ---- what the kernel says ---- */

static int take_link(const struct nlmsghdr *nlh, struct kernel *k)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	uint16_t port = kernel_port_of(k, ifi->ifi_index);
	const struct nlattr *attr;

	if (port == KERNEL_FOREIGN)
		return MNL_CB_OK;
	k->mirror.mtu[port] = 0;
	if (nlh->nlmsg_type == RTM_DELLINK)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh,
		sizeof(*ifi)) if (mnl_attr_get_type(attr) == IFLA_MTU && number(attr) <= UINT16_MAX)
		k->mirror.mtu[port] = (uint16_t)number(attr);
	return MNL_CB_OK;
}

static int take_address(const struct nlmsghdr *nlh, struct kernel *k)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct kernel_address *to = &k->mirror.address[k->mirror.addresses];
	struct attributes a;

	if (k->mirror.addresses == KERNEL_ADDRESSES_MAX) {
		log_warning("more than %d addresses in this network namespace: some are ignored",
			KERNEL_ADDRESSES_MAX);
		return MNL_CB_OK;
	}
	parse(nlh, sizeof(*ifa), &a);
	*to = (struct kernel_address){
		.addr = to_addr(ifa->ifa_family,
			a.v[IFA_LOCAL] != NULL ? a.v[IFA_LOCAL] : a.v[IFA_ADDRESS]),
		.port = kernel_port_of(k, (int)ifa->ifa_index),
		.bits = ifa->ifa_prefixlen,
		.scope = ifa->ifa_scope,
		.flags = a.v[IFA_FLAGS] != NULL ? number(a.v[IFA_FLAGS]) : ifa->ifa_flags,
	};
	if (to->addr.family != 0)
		k->mirror.addresses++;
	return MNL_CB_OK;
}

static int take_neighbour(const struct nlmsghdr *nlh, struct kernel *k)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	uint16_t port = kernel_port_of(k, ndm->ndm_ifindex);
	struct kernel_mirror *m = &k->mirror;
	struct kernel_neighbour new = {.dump = k->dump}, *old;
	struct net_addr addr;
	struct attributes a;
	uint32_t i;

	if (port == KERNEL_FOREIGN || (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6) ||
		(ndm->ndm_flags & NTF_PROXY) != 0)
		return MNL_CB_OK;
	parse(nlh, sizeof(*ndm), &a);
	addr = to_addr(ndm->ndm_family, a.v[NDA_DST]);
	if (addr.family == 0)
		return MNL_CB_OK;
	if (a.v[NDA_LLADDR] != NULL && mnl_attr_get_payload_len(a.v[NDA_LLADDR]) == 6) {
		memcpy(new.mac, mnl_attr_get_payload(a.v[NDA_LLADDR]), 6);
		/* Broadcast and multicast have NOARP entries: no message goes to a group. */
		new.usable = nlh->nlmsg_type == RTM_NEWNEIGH &&
			     (ndm->ndm_state & NUD_USABLE) != 0 && (new.mac[0] & 1) == 0;
	}
	i = kernel_table_find(&m->neighbours, &addr, port);
	if (!new.usable) {
		/* Unresolved and not known are the same to a worker: only what is usable takes
		 * room. */
		if (i != KERNEL_TABLE_NONE) {
			kernel_table_remove(&m->neighbours, i);
			k->dirty = true;
		}
		if (nlh->nlmsg_type == RTM_DELNEIGH &&
			kernel_table_find(&k->managed, &addr, port) != KERNEL_TABLE_NONE)
			k->managed_stale = true;
		return MNL_CB_OK;
	}
	if (i == KERNEL_TABLE_NONE) {
		i = kernel_table_add(&m->neighbours, &addr, port);
		if (i == KERNEL_TABLE_NONE)
			return MNL_CB_OK;
		m->neighbour[i] = new;
		k->dirty = true;
		return MNL_CB_OK;
	}
	old = &m->neighbour[i];
	k->dirty |= memcmp(old->mac, new.mac, sizeof(new.mac)) != 0;
	*old = new;
	return MNL_CB_OK;
}

static bool add_route_hop(struct kernel *k, struct kernel_route *r, int index, uint8_t flags,
	struct net_addr gateway, unsigned weight)
{
	struct kernel_mirror *m = &k->mirror;

	if (m->hops == KERNEL_ROUTE_HOPS_MAX || r->hops == KERNEL_MULTIPATH_MAX)
		return false;
	if ((flags & RTNH_F_DEAD) != 0)
		return true;
	m->hop[m->hops++] = (struct kernel_route_hop){
		.gateway = gateway, .port = kernel_port_of(k, index), .weight = (uint16_t)weight};
	r->hops++;
	r->ours |= m->hop[m->hops - 1].port != KERNEL_FOREIGN;
	return true;
}

/* RTA_GATEWAY, or RTA_VIA where the gateway is of the other family. */
static struct net_addr to_gateway(
	uint8_t family, const struct nlattr *gateway, const struct nlattr *via)
{
	struct net_addr addr = to_addr(family, gateway);
	const struct rtvia *v;

	if (addr.family != 0 || via == NULL || mnl_attr_get_payload_len(via) < sizeof(*v))
		return addr;
	v = mnl_attr_get_payload(via);
	if (v->rtvia_family == AF_INET6 && mnl_attr_get_payload_len(via) >= sizeof(*v) + 16) {
		memcpy(addr.b, v->rtvia_addr, 16);
		addr.family = 6;
	} else if (v->rtvia_family == AF_INET && mnl_attr_get_payload_len(via) >= sizeof(*v) + 4) {
		memcpy(addr.b, v->rtvia_addr, 4);
		addr.family = 4;
	}
	return addr;
}

static bool add_multipath(
	struct kernel *k, struct kernel_route *r, uint8_t family, const struct nlattr *multipath)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
	int left = mnl_attr_get_payload_len(multipath);

	while (RTNH_OK(hop, left)) {
		const struct nlattr *attr, *gateway = NULL, *via = NULL;

		const void *attributes = RTNH_DATA(hop);

		mnl_attr_for_each_payload(attributes, hop->rtnh_len - RTNH_LENGTH(0))
		{
			if (mnl_attr_get_type(attr) == RTA_GATEWAY)
				gateway = attr;
			else if (mnl_attr_get_type(attr) == RTA_VIA)
				via = attr;
		}
		if (!add_route_hop(k, r, hop->rtnh_ifindex, hop->rtnh_flags,
			    to_gateway(family, gateway, via), hop->rtnh_hops + 1u))
			return false;
		left -= (int)RTNH_ALIGN(hop->rtnh_len);
		hop = RTNH_NEXT(hop);
	}
	return true;
}

static int take_route(const struct nlmsghdr *nlh, struct kernel *k)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct kernel_mirror *m = &k->mirror;
	struct kernel_route r = {.hop = m->hops};
	const struct nlattr *attr;
	struct attributes a;
	bool ok = true;

	if (nlh->nlmsg_type != RTM_NEWROUTE || (rtm->rtm_flags & RTM_F_CLONED) != 0 ||
		rtm->rtm_tos != 0 || (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6))
		return MNL_CB_OK;
	parse(nlh, sizeof(*rtm), &a);
	if ((a.v[RTA_TABLE] != NULL ? number(a.v[RTA_TABLE]) : rtm->rtm_table) != RT_TABLE_MAIN ||
		a.v[RTA_SRC] != NULL)
		return MNL_CB_OK;
	r.to.addr = to_addr(rtm->rtm_family, a.v[RTA_DST]);
	r.to.addr.family = rtm->rtm_family == AF_INET ? 4 : 6;
	r.to.bits = rtm->rtm_dst_len;
	r.metric = number(a.v[RTA_PRIORITY]);
	r.source = to_addr(rtm->rtm_family, a.v[RTA_PREFSRC]);
	if (a.v[RTA_METRICS] != NULL)
		mnl_attr_for_each_nested(
			attr, a.v[RTA_METRICS]) if (mnl_attr_get_type(attr) == RTAX_MTU &&
						    number(attr) <= UINT16_MAX) r.mtu =
			(uint16_t)number(attr);
	if (rtm->rtm_type == RTN_UNICAST && a.v[RTA_MULTIPATH] != NULL)
		ok = add_multipath(k, &r, rtm->rtm_family, a.v[RTA_MULTIPATH]);
	else if (rtm->rtm_type == RTN_UNICAST && a.v[RTA_OIF] != NULL)
		ok = add_route_hop(k, &r, (int)number(a.v[RTA_OIF]), (uint8_t)rtm->rtm_flags,
			to_gateway(rtm->rtm_family, a.v[RTA_GATEWAY], a.v[RTA_VIA]), 1);
	if (!ok || m->routes == KERNEL_ROUTES_MAX) {
		log_warning("more routes than %d, or than %d next hops of one: some are ignored",
			KERNEL_ROUTES_MAX, KERNEL_MULTIPATH_MAX);
		return MNL_CB_OK;
	}
	m->route[m->routes++] = r;
	return MNL_CB_OK;
}

static int take(const struct nlmsghdr *nlh, void *arg)
{
	struct kernel *k = arg;
	size_t n = mnl_nlmsg_get_payload_len(nlh);

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return n >= sizeof(struct ifinfomsg) ? take_link(nlh, k) : MNL_CB_OK;
	case RTM_NEWADDR:
		return n >= sizeof(struct ifaddrmsg) ? take_address(nlh, k) : MNL_CB_OK;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		return n >= sizeof(struct ndmsg) ? take_neighbour(nlh, k) : MNL_CB_OK;
	case RTM_NEWROUTE:
		return n >= sizeof(struct rtmsg) ? take_route(nlh, k) : MNL_CB_OK;
	}
	return MNL_CB_OK;
}

/* ---- dump and events ---- */

static int dump_one(struct kernel *k, uint16_t type, uint8_t family)
{
	struct kernel_netlink *n = &k->netlink;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(n->buffer);
	uint32_t seq = ++n->seq;
	ssize_t got;
	int rc;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	/* All of these headers begin with the family, and 0 means all in the rest. */
	*(uint8_t *)mnl_nlmsg_put_extra_header(nlh, type == RTM_GETROUTE  ? sizeof(struct rtmsg)
						    : type == RTM_GETADDR ? sizeof(struct ifaddrmsg)
						    : type == RTM_GETNEIGH
							    ? sizeof(struct ndmsg)
							    : sizeof(struct ifinfomsg)) = family;
	if (mnl_socket_sendto(n->requests, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		got = mnl_socket_recvfrom(n->requests, n->buffer, KERNEL_NETLINK_BUFFER);
		if (got < 0)
			return -errno;
		rc = mnl_cb_run(
			n->buffer, (size_t)got, seq, mnl_socket_get_portid(n->requests), take, k);
	} while (rc > MNL_CB_STOP);
	return rc < 0 ? -errno : 0;
}

int kernel_netlink_dump(struct kernel *k, bool neighbours)
{
	struct kernel_mirror *m = &k->mirror;
	int rc;

	m->addresses = 0;
	m->routes = 0;
	m->hops = 0;
	memset(m->mtu, 0, sizeof(m->mtu));
	k->dirty = true;
	rc = dump_one(k, RTM_GETLINK, AF_UNSPEC);
	if (rc == 0)
		rc = dump_one(k, RTM_GETADDR, AF_UNSPEC);
	if (rc == 0)
		rc = dump_one(k, RTM_GETROUTE, AF_INET);
	if (rc == 0)
		rc = dump_one(k, RTM_GETROUTE, AF_INET6);
	/* A kernel without IPv6 knows no such dump. */
	if (rc == -EOPNOTSUPP || rc == -EAFNOSUPPORT)
		rc = 0;
	if (rc != 0 || !neighbours)
		return rc;
	k->dump++;
	rc = dump_one(k, RTM_GETNEIGH, AF_UNSPEC);
	for (uint32_t i = 0; rc == 0 && i < m->neighbours.high; i++)
		if (m->neighbours.key[i].used && m->neighbour[i].dump != k->dump)
			kernel_table_remove(&m->neighbours, i);
	return rc;
}

static int take_event(const struct nlmsghdr *nlh, void *arg)
{
	struct kernel *k = arg;

	if (nlh->nlmsg_type == RTM_NEWNEIGH || nlh->nlmsg_type == RTM_DELNEIGH)
		return take(nlh, k);
	/*
	 * Routes, addresses and links are few and change together, and the kernel is silent about
	 * some of what a link takes with it: they are read anew instead of patched.
	 */
	k->routes_stale = true;
	return MNL_CB_OK;
}

int kernel_netlink_events(struct kernel *k, unsigned *done)
{
	struct kernel_netlink *n = &k->netlink;

	for (unsigned i = 0; i < KERNEL_EVENTS_MAX; i++) {
		ssize_t got = recv(mnl_socket_get_fd(n->events), n->buffer, KERNEL_NETLINK_BUFFER,
			MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (mnl_cb_run(n->buffer, (size_t)got, 0, 0, take_event, k) < 0)
			return -errno;
		++*done;
	}
	return 0;
}

/* ---- what we ask of the kernel ---- */

static struct mnl_socket *open_socket(unsigned groups)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (nl != NULL && mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) != 0) {
		int err = errno;

		mnl_socket_close(nl);
		errno = err;
		return NULL;
	}
	return nl;
}

/*
 * After a loss, what still waits in the socket is older than the dump that will follow, and would
 * undo it: a new socket begins with the present.
 */
int kernel_netlink_listen(struct kernel_netlink *n)
{
	struct mnl_socket *fresh =
		open_socket(RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			    RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
	int bytes = EVENT_BUFFER_BYTES;

	if (fresh == NULL)
		return -errno;
	/* Smaller where the capability is missing: overruns are then more frequent, not wrong. */
	if (setsockopt(mnl_socket_get_fd(fresh), SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
		    sizeof(bytes)) != 0)
		setsockopt(mnl_socket_get_fd(fresh), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (n->events != NULL)
		mnl_socket_close(n->events);
	n->events = fresh;
	return 0;
}

int kernel_netlink_open(struct kernel_netlink *n)
{
	*n = (struct kernel_netlink){.buffer = malloc(KERNEL_NETLINK_BUFFER)};
	if (n->buffer == NULL)
		return -ENOMEM;
	n->requests = open_socket(0);
	return n->requests != NULL ? kernel_netlink_listen(n) : -errno;
}

void kernel_netlink_close(struct kernel_netlink *n)
{
	if (n->requests != NULL)
		mnl_socket_close(n->requests);
	if (n->events != NULL)
		mnl_socket_close(n->events);
	free(n->buffer);
	*n = (struct kernel_netlink){.buffer = NULL};
}

int kernel_netlink_talk(struct kernel_netlink *n, struct nlmsghdr *nlh)
{
	uint32_t seq = ++n->seq;
	ssize_t got;

	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = seq;
	if (mnl_socket_sendto(n->requests, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	got = mnl_socket_recvfrom(n->requests, n->buffer, KERNEL_NETLINK_BUFFER);
	if (got < 0)
		return -errno;
	return mnl_cb_run(n->buffer, (size_t)got, seq, mnl_socket_get_portid(n->requests), NULL,
		       NULL) < 0
		       ? -errno
		       : 0;
}

int kernel_netlink_link(
	struct kernel_netlink *n, int index, const uint8_t *mac, unsigned mtu, bool up)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(n->buffer);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	nlh->nlmsg_type = RTM_NEWLINK;
	ifi->ifi_index = index;
	if (up) {
		ifi->ifi_flags = IFF_UP;
		ifi->ifi_change = IFF_UP;
	}
	if (mac != NULL)
		mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
	if (mtu != 0)
		mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	return kernel_netlink_talk(n, nlh);
}

int kernel_netlink_address(
	struct kernel_netlink *n, int index, const struct net_addr *addr, unsigned bits, bool add)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(n->buffer);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));

	nlh->nlmsg_type = add ? RTM_NEWADDR : RTM_DELADDR;
	nlh->nlmsg_flags = add ? NLM_F_CREATE | NLM_F_EXCL : 0;
	ifa->ifa_family = af_of(addr);
	ifa->ifa_prefixlen = (uint8_t)bits;
	ifa->ifa_index = (uint32_t)index;
	mnl_attr_put(nlh, IFA_LOCAL, addr_len(addr), addr->b);
	mnl_attr_put(nlh, IFA_ADDRESS, addr_len(addr), addr->b);
	if (addr->family == 4 && bits < 31) {
		struct net_addr broadcast = *addr;

		broadcast.v4 |= htobe32(UINT32_MAX >> bits);
		mnl_attr_put(nlh, IFA_BROADCAST, 4, broadcast.b);
	}
	/* Usable at once: an appliance's address is assigned, and a second of waiting is calls
	 * lost. */
	if (addr->family == 6)
		mnl_attr_put_u32(nlh, IFA_FLAGS, IFA_F_NODAD);
	return kernel_netlink_talk(n, nlh);
}

int kernel_netlink_default(struct kernel_netlink *n, int index, const struct net_addr *gateway,
	uint32_t metric, bool add)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(n->buffer);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	nlh->nlmsg_type = add ? RTM_NEWROUTE : RTM_DELROUTE;
	nlh->nlmsg_flags = add ? NLM_F_CREATE | NLM_F_EXCL : 0;
	rtm->rtm_family = af_of(gateway);
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_scope = RT_SCOPE_UNIVERSE;
	rtm->rtm_type = RTN_UNICAST;
	mnl_attr_put(nlh, RTA_GATEWAY, addr_len(gateway), gateway->b);
	mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)index);
	if (metric != 0)
		mnl_attr_put_u32(nlh, RTA_PRIORITY, metric);
	return kernel_netlink_talk(n, nlh);
}

static int neighbour(struct kernel_netlink *n, int index, const struct net_addr *addr,
	uint16_t flags, uint16_t state, uint8_t ndm_flags, uint32_t extended)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(n->buffer);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));

	nlh->nlmsg_type = RTM_NEWNEIGH;
	nlh->nlmsg_flags = flags;
	ndm->ndm_family = af_of(addr);
	ndm->ndm_ifindex = index;
	ndm->ndm_state = state;
	ndm->ndm_flags = ndm_flags;
	mnl_attr_put(nlh, NDA_DST, addr_len(addr), addr->b);
	if (extended != 0)
		mnl_attr_put_u32(nlh, NDA_FLAGS_EXT, extended);
	return kernel_netlink_talk(n, nlh);
}

int kernel_netlink_neighbour(
	struct kernel_netlink *n, int index, const struct net_addr *addr, bool managed)
{
	return neighbour(n, index, addr, NLM_F_CREATE | NLM_F_REPLACE, NUD_NONE, NTF_USE,
		managed ? NTF_EXT_MANAGED : 0);
}

int kernel_netlink_neighbour_forget(
	struct kernel_netlink *n, int index, const struct net_addr *addr)
{
	return neighbour(n, index, addr, NLM_F_REPLACE, NUD_STALE, 0, 0);
}
