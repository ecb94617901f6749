/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the files of this room share: numbers of the protocols, and bytes in network order. Not for
 * other rooms.
 */
#include "base/load.h"
#include "net/net.h"

#include <endian.h>

#define WIRE_ETHER_IPV4 0x0800
#define WIRE_ETHER_IPV6 0x86dd
#define WIRE_ETHER_VLAN 0x8100
#define WIRE_ETHER_QINQ 0x88a8

#define WIRE_ICMP 1
#define WIRE_UDP 17
#define WIRE_ICMPV6 58

#define WIRE_IP_MAX 65535
#define WIRE_IPV4_MORE 0x2000
#define WIRE_IPV4_DONT_FRAGMENT 0x4000
#define WIRE_IPV4_OFFSET 0x1fff
#define WIRE_IPV4_OPTION_END 0
#define WIRE_IPV4_OPTION_NOP 1
#define WIRE_IPV4_OPTION_LSRR 131
#define WIRE_IPV4_OPTION_SSRR 137

#define WIRE_IPV6_HOP_BY_HOP 0
#define WIRE_IPV6_ROUTING 43
#define WIRE_IPV6_FRAGMENT 44
#define WIRE_IPV6_DESTINATION 60
#define WIRE_IPV6_FRAGMENT_LEN 8
#define WIRE_IPV6_OPTION_PAD1 0
#define WIRE_IPV6_OPTION_JUMBO 0xc2
#define WIRE_IPV6_OPTION_REFUSE 0xc0 /* either bit: drop where unknown (RFC 8200 4.2) */

#define WIRE_PORT_BOOTP_SERVER 67
#define WIRE_TTL 64

static inline uint16_t wire_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t wire_get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return be32toh(v);
}

/* The 20 bytes of an IPv4 header without options, not folded. */
static inline uint64_t wire_ipv4_sum(const uint8_t *ip)
{
	return (uint64_t)load4(ip) + load4(ip + 4) + load4(ip + 8) + load4(ip + 12) +
	       load4(ip + 16);
}

static inline void wire_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void wire_put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, 4);
}

static inline struct net_addr wire_get_v4(const uint8_t *p)
{
	uint32_t v4;

	memcpy(&v4, p, 4);
	return net_addr_v4(v4);
}

/* checksum.c: sums that are not folded. The pseudo header's without the length (RFC 768, RFC 8200
 * 8.1). */
uint64_t wire_pseudo_sum(const struct net_addr *src, const struct net_addr *dst);

/* write.c: the parts of a frame in front of UDP. Each returns the bytes written. */
uint32_t wire_write_ether(const struct net_header *h, uint8_t *out);
uint32_t wire_write_ipv4(
	const struct net_header *h, uint32_t l4_len, uint16_t id, uint16_t fragment, uint8_t *out);
uint32_t wire_write_ipv6(
	const struct net_header *h, uint32_t payload_len, uint8_t next_header, uint8_t *out);

/* frame.c: net_frame_parse() without its shortcut for the most common frames; for tests. */
enum net_kind wire_frame_parse(
	const uint8_t *data, uint32_t len, bool check_ip, struct net_frame *out);

/* Picks how checksums are summed; false where the CPU lacks it. The best is picked before main():
 * this is for tests. */
enum wire_vector { WIRE_SSE2, WIRE_AVX2, WIRE_AVX512 };
bool wire_checksum_select(enum wire_vector with);
