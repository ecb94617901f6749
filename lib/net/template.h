/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Headers of a struct net_template in front of a payload. */
#include <emmintrin.h>

#include "net/net.h"

static inline void net_template_copy16(uint8_t *to, const uint8_t *from)
{
	_mm_storeu_si128((__m128i *)to, _mm_load_si128((const __m128i *)from));
}

/* The 32 bits at the end of the UDP header but one: destination port and length. */
static inline void net_template_put_udp(uint8_t *payload, uint16_t port, uint32_t l4_len)
{
	uint32_t v = htobe32((uint32_t)port << 16 | l4_len);

	memcpy(payload - 6, &v, sizeof(v));
}

/*
 * Writes what net_header_write() writes, from the template's source to `dst`, which is of its
 * family, by the neighbour at `mac`, into the bytes before `payload`, of which NET_TEMPLATE_ROOM
 * are the caller's: those that the headers do not need are overwritten, too.
 */
static inline void net_template_write(const struct net_template *t, const uint8_t mac[6],
	const struct net_endpoint *dst, uint32_t payload_len, uint8_t *payload)
{
	uint8_t *at = payload - NET_TEMPLATE_ROOM, *ip;
	uint32_t l4_len = NET_UDP_LEN + payload_len, sum;
	uint16_t field;

	/* Ethernet, IPv4 and UDP need the last 42 bytes. */
	net_template_copy16(at + 64, t->room + 64);
	net_template_copy16(at + 48, t->room + 48);
	net_template_copy16(at + 32, t->room + 32);
	net_template_put_udp(payload, dst->port, l4_len);
	if (t->length > 48) {
		net_template_copy16(at + 16, t->room + 16);
		net_template_copy16(at, t->room);
	}
	memcpy(payload - t->length, mac, 6);
	if (t->family == 6) {
		ip = payload - NET_UDP_LEN - NET_IPV6_LEN;
		memcpy(ip + 24, dst->addr.b, 16);
		field = htobe16((uint16_t)l4_len);
		memcpy(ip + 4, &field, sizeof(field));
		return;
	}
	ip = payload - NET_UDP_LEN - NET_IPV4_LEN;
	memcpy(ip + 16, &dst->addr.v4, 4);
	field = htobe16((uint16_t)(NET_IPV4_LEN + l4_len));
	memcpy(ip + 2, &field, sizeof(field));
	/* Four words of 16 bits: what overflows fits into the sum once it has come round. */
	sum = t->ip_sum + (dst->addr.v4 & 0xffff) + (dst->addr.v4 >> 16) + field;
	sum = (sum >> 16) + (sum & 0xffff);
	field = (uint16_t) ~((sum >> 16) + sum);
	memcpy(ip + 10, &field, sizeof(field));
}

/* The pseudo header's sum from the template's source to `dst`. */
static inline uint64_t net_template_pseudo(
	const struct net_template *t, const struct net_addr *dst, uint32_t l4_len)
{
	uint64_t sum = net_checksum_carry(t->pseudo_sum, htobe32(l4_len));

	if (t->family == 4)
		return sum + dst->v4;
	return net_checksum_carry(net_checksum_carry(sum, dst->q[0]), dst->q[1]);
}

/* net_udp_checksum() and net_udp_pseudo_checksum() from the template's source to `dst`. */
static inline uint16_t net_template_checksum(const struct net_template *t,
	const struct net_addr *dst, const uint8_t *l4, uint32_t l4_len)
{
	return net_checksum_of_udp(net_template_pseudo(t, dst, l4_len), l4, l4_len);
}

static inline uint16_t net_template_pseudo_checksum(
	const struct net_template *t, const struct net_addr *dst, uint32_t l4_len)
{
	return (uint16_t)~net_checksum_fold(net_template_pseudo(t, dst, l4_len));
}
