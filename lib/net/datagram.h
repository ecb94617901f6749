/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What nearly every frame is: an untagged IP packet without options or extensions that holds a
 * whole UDP datagram. net_datagram_parse() looks at a few words instead of walking, and says
 * nothing (false) of any frame that it does not find right in all points: net_frame_parse() then
 * finds its kind, or what is wrong.
 */
#include "base/load.h"
#include "net/net.h"

/* Where such a frame's datagram is. */
struct net_datagram {
	uint32_t l4_off, l4_len; /* the IP payload; UDP's own length may be less */
	uint32_t payload_len;    /* of UDP, by the UDP header */
};

/* Whether 20 bytes of IPv4 header, as words in memory order, sum to all ones (RFC 791 3.1). */
static inline bool net_datagram_sum_holds(uint64_t low, uint64_t middle, uint32_t high)
{
	uint64_t sum = (low >> 32) + (uint32_t)low + (middle >> 32) + (uint32_t)middle + high;
	uint32_t half = (uint32_t)(sum >> 32) + (uint32_t)sum;

	half += half < (uint32_t)sum;
	/* Of both halves added either way round, the upper has the carry of the lower. */
	return (half + (half << 16 | half >> 16)) >> 16 == 0xffff;
}

/* Ports and length of the UDP header in an IP payload of out->l4_len bytes. */
static inline bool net_datagram_udp(const uint8_t *data, struct net_endpoint *src,
	struct net_endpoint *dst, struct net_datagram *out)
{
	uint64_t udp = be64toh(load8(data + out->l4_off));
	uint32_t len = udp >> 16 & 0xffff;

	src->port = (uint16_t)(udp >> 48);
	dst->port = (uint16_t)(udp >> 32);
	out->payload_len = len - NET_UDP_LEN;
	return len >= NET_UDP_LEN && len <= out->l4_len && dst->port != 0;
}

static inline bool net_datagram_ipv4(const uint8_t *data, uint32_t len, struct net_endpoint *src,
	struct net_endpoint *dst, struct net_datagram *out)
{
	const uint8_t *ip = data + NET_ETHER_LEN;
	uint64_t low = load8(ip), middle = load8(ip + 8);
	uint32_t to = load4(ip + 16), first = ip[12];
	uint32_t total = be64toh(low) >> 32 & 0xffff;

	/* Version and header length have been seen. No fragment; UDP; no source of class D and E,
	 * loopback, or network 0: the walk tells good from bad. */
	if ((low & htobe64(0x3fff)) != 0 || ip[9] != 17 || first - 1 >= 223 || first == 127 ||
		total < NET_IPV4_LEN + NET_UDP_LEN || total > len - NET_ETHER_LEN ||
		!net_datagram_sum_holds(low, middle, to))
		return false;
	*src = (struct net_endpoint){.addr = {.v4 = (uint32_t)(middle >> 32), .family = 4}};
	*dst = (struct net_endpoint){.addr = {.v4 = to, .family = 4}};
	out->l4_off = NET_ETHER_LEN + NET_IPV4_LEN;
	out->l4_len = total - NET_IPV4_LEN;
	return net_datagram_udp(data, src, dst, out);
}

static inline bool net_datagram_ipv6(const uint8_t *data, uint32_t len, struct net_endpoint *src,
	struct net_endpoint *dst, struct net_datagram *out)
{
	const uint8_t *ip = data + NET_ETHER_LEN;
	uint32_t payload;

	if (len < NET_ETHER_LEN + NET_IPV6_LEN + NET_UDP_LEN || ip[6] != 17)
		return false;
	payload = (uint32_t)ip[4] << 8 | ip[5];
	/* A group, or what begins with 64 zeros: unspecified, loopback, IPv4-mapped. Without a
	 * checksum (RFC 8200 8.1). */
	if (payload < NET_UDP_LEN || payload > len - NET_ETHER_LEN - NET_IPV6_LEN ||
		ip[8] == 0xff || load8(ip + 8) == 0 || (ip[46] | ip[47]) == 0)
		return false;
	*src = (struct net_endpoint){.addr = {.family = 6}};
	*dst = (struct net_endpoint){.addr = {.family = 6}};
	memcpy(src->addr.b, ip + 8, 16);
	memcpy(dst->addr.b, ip + 24, 16);
	out->l4_off = NET_ETHER_LEN + NET_IPV6_LEN;
	out->l4_len = payload;
	return net_datagram_udp(data, src, dst, out);
}

/* All checks of net_frame_parse() with that of the IPv4 header's sum have been made where this
 * returns true; where it returns false, what it has written means nothing. */
static inline bool net_datagram_parse(const uint8_t *data, uint32_t len, struct net_endpoint *src,
	struct net_endpoint *dst, struct net_datagram *out)
{
	uint32_t type;

	if (len < NET_ETHER_LEN + NET_IPV4_LEN + NET_UDP_LEN)
		return false;
	/* EtherType, and the first byte of the IP header. */
	type = be32toh(load4(data + 12));
	if (type >> 8 == 0x080045)
		return net_datagram_ipv4(data, len, src, dst, out);
	return type >> 12 == 0x86dd6 && net_datagram_ipv6(data, len, src, dst, out);
}
