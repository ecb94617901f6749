/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/wire.h"

uint32_t wire_write_ether(const struct net_header *h, uint8_t *out)
{
	uint32_t n = 12;

	memcpy(out, h->dst_mac, 6);
	memcpy(out + 6, h->src_mac, 6);
	for (unsigned i = 0; i < h->vlan_count && i < NET_VLAN_TAGS_MAX; i++) {
		uint16_t type = h->vlan_type[i];

		/* IEEE 802.1Q: the outer one of two tags is a service tag. */
		if (type == 0)
			type = i + 1 < h->vlan_count ? WIRE_ETHER_QINQ : WIRE_ETHER_VLAN;
		wire_put16(out + n, type);
		wire_put16(out + n + 2, h->vlan[i]);
		n += NET_VLAN_LEN;
	}
	wire_put16(out + n, h->dst.addr.family == 6 ? WIRE_ETHER_IPV6 : WIRE_ETHER_IPV4);
	return n + 2;
}

/* An IPv4 header without its sum, of a packet of `total` bytes. */
static inline void put_ipv4(
	const struct net_header *h, uint32_t total, uint16_t id, uint16_t fragment, uint8_t *out)
{
	out[0] = 0x45;
	out[1] = h->tos;
	wire_put16(out + 2, total);
	wire_put16(out + 4, id);
	wire_put16(out + 6, fragment);
	out[8] = h->ttl != 0 ? h->ttl : WIRE_TTL;
	out[9] = WIRE_UDP;
	out[10] = out[11] = 0;
	memcpy(out + 12, h->src.addr.b, 4);
	memcpy(out + 16, h->dst.addr.b, 4);
}

uint32_t wire_write_ipv4(
	const struct net_header *h, uint32_t l4_len, uint16_t id, uint16_t fragment, uint8_t *out)
{
	uint16_t sum;

	put_ipv4(h, NET_IPV4_LEN + l4_len, id, fragment, out);
	sum = net_checksum_fold(wire_ipv4_sum(out));
	memcpy(out + 10, &sum, 2);
	return NET_IPV4_LEN;
}

uint32_t wire_write_ipv6(
	const struct net_header *h, uint32_t payload_len, uint8_t next_header, uint8_t *out)
{
	wire_put32(out, 0x60000000U | (uint32_t)h->tos << 20);
	wire_put16(out + 4, payload_len);
	out[6] = next_header;
	out[7] = h->ttl != 0 ? h->ttl : WIRE_TTL;
	memcpy(out + 8, h->src.addr.b, 16);
	memcpy(out + 24, h->dst.addr.b, 16);
	return NET_IPV6_LEN;
}

void net_udp_write(const struct net_header *h, uint32_t payload_len, uint8_t *out)
{
	wire_put16(out, h->src.port);
	wire_put16(out + 2, h->dst.port);
	wire_put16(out + 4, NET_UDP_LEN + payload_len);
	out[6] = out[7] = 0;
}

static uint32_t link_length(const struct net_header *h)
{
	uint32_t tags = h->vlan_count < NET_VLAN_TAGS_MAX ? h->vlan_count : NET_VLAN_TAGS_MAX;

	return NET_ETHER_LEN + tags * NET_VLAN_LEN;
}

uint32_t net_header_length(const struct net_header *h)
{
	return link_length(h) + (h->dst.addr.family == 6 ? NET_IPV6_LEN : NET_IPV4_LEN) +
	       NET_UDP_LEN;
}

/* The fragment field of a whole packet. */
static inline uint16_t fragment_of(const struct net_header *h)
{
	return h->dont_fragment ? WIRE_IPV4_DONT_FRAGMENT : 0;
}

void net_header_write(const struct net_header *h, uint32_t payload_len, uint8_t *out)
{
	uint32_t n = wire_write_ether(h, out), l4_len = NET_UDP_LEN + payload_len;

	if (h->dst.addr.family == 6)
		n += wire_write_ipv6(h, l4_len, WIRE_UDP, out + n);
	else
		n += wire_write_ipv4(h, l4_len, h->ip_id, fragment_of(h), out + n);
	net_udp_write(h, payload_len, out + n);
}

void net_template_make(const struct net_header *header, struct net_template *out)
{
	struct net_header h = *header;
	uint32_t length;
	uint8_t *at, *ip;

	memset(h.dst_mac, 0, sizeof(h.dst_mac));
	h.dst = (struct net_endpoint){.addr.family = header->dst.addr.family};
	length = net_header_length(&h);
	at = out->room + NET_TEMPLATE_ROOM - length;
	memset(out->room, 0, NET_TEMPLATE_ROOM / 2); /* no headers are shorter */
	out->family = h.dst.addr.family;
	out->length = (uint8_t)length;
	out->ip_sum = 0;
	out->pseudo_sum = wire_pseudo_sum(&h.src.addr, &h.dst.addr);
	ip = at + wire_write_ether(&h, at);
	if (out->family == 6) {
		wire_write_ipv6(&h, 0, WIRE_UDP, ip);
	} else {
		put_ipv4(&h, 0, h.ip_id, fragment_of(&h), ip);
		out->ip_sum = (uint16_t)~net_checksum_fold(wire_ipv4_sum(ip));
	}
	net_udp_write(&h, 0, out->room + NET_TEMPLATE_ROOM - NET_UDP_LEN);
}
