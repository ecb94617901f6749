/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/wire.h"

#define ICMP_HEADER_LEN 8

/* RFC 792, RFC 1191 */
#define ICMP_UNREACHABLE 3
#define ICMP_CODE_FRAGMENTATION_NEEDED 4
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER_PROBLEM 12

/* RFC 4443 */
#define ICMPV6_UNREACHABLE 1
#define ICMPV6_TOO_BIG 2
#define ICMPV6_TIME_EXCEEDED 3
#define ICMPV6_PARAMETER_PROBLEM 4

/* What an error quotes: the packet, its length by its own header, and its UDP part. */
struct quote {
	const uint8_t *p;
	uint32_t len;
	uint32_t packet_len;
	uint32_t udp_off;
};

/* RFC 4443 2.3 has the pseudo header in the sum, RFC 792 has not. */
static bool checksum_is_good(const uint8_t *data, const struct net_frame *f)
{
	uint64_t sum = 0;

	if (f->family == 6) {
		sum = (uint64_t)htobe32(f->l4_len) + htobe16(WIRE_ICMPV6);
		sum = net_checksum_add(sum, f->src.addr.b, 16);
		sum = net_checksum_add(sum, f->dst.addr.b, 16);
	}
	return net_checksum_fold(net_checksum_add(sum, data + f->l4_off, f->l4_len)) == 0;
}

/* Kind, code and MTU. False where it is no error. */
static bool read_type(const uint8_t *icmp, uint8_t family, struct net_icmp *out)
{
	uint8_t type = icmp[0];

	out->code = icmp[1];
	if (type == (family == 4 ? ICMP_UNREACHABLE : ICMPV6_UNREACHABLE))
		out->kind = NET_ICMP_UNREACHABLE;
	else if (type == (family == 4 ? ICMP_TIME_EXCEEDED : ICMPV6_TIME_EXCEEDED) ||
		 type == (family == 4 ? ICMP_PARAMETER_PROBLEM : ICMPV6_PARAMETER_PROBLEM))
		out->kind = NET_ICMP_OTHER;
	else if (family == 6 && type == ICMPV6_TOO_BIG)
		out->kind = NET_ICMP_TOO_BIG;
	else
		return false;
	if (family == 4 && out->kind == NET_ICMP_UNREACHABLE &&
		out->code == ICMP_CODE_FRAGMENTATION_NEEDED)
		out->kind = NET_ICMP_TOO_BIG;
	if (out->kind == NET_ICMP_TOO_BIG)
		out->mtu = family == 4 ? wire_get16(icmp + 6) : wire_get32(icmp + 4);
	return true;
}

/*
 * RFC 4884 4: behind a quote whose length is given stand extensions, which are not of our packet.
 * IPv4 counts words of 4 bytes, in its sixth byte; IPv6 of 8, in its fifth, but not where an MTU or
 * a pointer stands.
 */
static uint32_t quote_length(const uint8_t *icmp, const struct net_frame *f)
{
	uint32_t len = f->l4_len - ICMP_HEADER_LEN, given = 0;

	if (f->family == 4)
		given = icmp[5] * 4U;
	else if (icmp[0] == ICMPV6_UNREACHABLE || icmp[0] == ICMPV6_TIME_EXCEEDED)
		given = icmp[4] * 8U;
	return given != 0 && given < len ? given : len;
}

static bool quote_ipv4(struct quote *q, struct net_icmp *out)
{
	const uint8_t *ip = q->p;
	uint32_t header;

	if (q->len < NET_IPV4_LEN || ip[0] >> 4 != 4)
		return false;
	header = (ip[0] & 15U) * 4;
	q->packet_len = wire_get16(ip + 2);
	if (header < NET_IPV4_LEN || q->packet_len < header || ip[9] != WIRE_UDP)
		return false;
	/* Only the first fragment of a datagram has its ports. */
	if ((wire_get16(ip + 6) & WIRE_IPV4_OFFSET) != 0)
		return false;
	q->udp_off = header;
	out->src.addr = wire_get_v4(ip + 12);
	out->dst.addr = wire_get_v4(ip + 16);
	return true;
}

/* What we send has a fragment header at most: any other header is not ours. */
static bool quote_ipv6(struct quote *q, struct net_icmp *out)
{
	const uint8_t *ip = q->p;
	uint8_t next;

	if (q->len < NET_IPV6_LEN + WIRE_IPV6_FRAGMENT_LEN || ip[0] >> 4 != 6)
		return false;
	q->packet_len = NET_IPV6_LEN + wire_get16(ip + 4);
	q->udp_off = NET_IPV6_LEN;
	next = ip[6];
	if (next == WIRE_IPV6_FRAGMENT) {
		if ((wire_get16(ip + NET_IPV6_LEN + 2) & 0xfff8) != 0)
			return false;
		next = ip[NET_IPV6_LEN];
		q->udp_off += WIRE_IPV6_FRAGMENT_LEN;
	}
	if (next != WIRE_UDP)
		return false;
	out->src.addr = net_addr_v6(ip + 8);
	out->dst.addr = net_addr_v6(ip + 24);
	return true;
}

/*
 * RFC 5927 7: a router that refuses a packet names an MTU below its size. What is below the
 * family's minimum is raised to it (RFC 1191 3, RFC 8201 4): nobody makes us send 8 bytes a packet.
 * Only IPv4's older routers name none.
 */
static bool check_mtu(const struct quote *q, uint8_t family, struct net_icmp *out)
{
	uint32_t floor = family == 4 ? NET_MTU_MIN_IPV4 : NET_MTU_MIN_IPV6;

	if (out->kind != NET_ICMP_TOO_BIG)
		return true;
	if (out->mtu == 0)
		return family == 4;
	if (out->mtu < floor)
		out->mtu = floor;
	return out->mtu < q->packet_len;
}

bool net_icmp_parse(const uint8_t *data, const struct net_frame *frame, struct net_icmp *out)
{
	const uint8_t *icmp = data + frame->l4_off, *udp;
	uint32_t udp_len, len;
	struct quote q;

	*out = (struct net_icmp){0};
	if (frame->kind != NET_ICMP || frame->l4_len < ICMP_HEADER_LEN)
		return false;
	if (!read_type(icmp, frame->family, out) || !checksum_is_good(data, frame))
		return false;
	q.p = icmp + ICMP_HEADER_LEN;
	q.len = quote_length(icmp, frame);
	if (!(frame->family == 4 ? quote_ipv4(&q, out) : quote_ipv6(&q, out)))
		return false;
	if (q.len < q.udp_off + NET_UDP_LEN || q.packet_len < q.udp_off + NET_UDP_LEN)
		return false;
	/* Routers send errors to the source of what they refuse. */
	if (!net_addr_equal(&out->src.addr, &frame->dst.addr) || !check_mtu(&q, frame->family, out))
		return false;
	udp = q.p + q.udp_off;
	out->src.port = wire_get16(udp);
	out->dst.port = wire_get16(udp + 2);
	udp_len = wire_get16(udp + 4);
	if (udp_len < NET_UDP_LEN)
		return false;
	/* The shortest of what was quoted, what this packet held, and what the datagram had. */
	len = (q.len < q.packet_len ? q.len : q.packet_len) - q.udp_off;
	out->embedded = udp + NET_UDP_LEN;
	out->embedded_len = (len < udp_len ? len : udp_len) - NET_UDP_LEN;
	return true;
}
