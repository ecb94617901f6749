/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a frame and as a bare packet. Whatever the parser says lies inside the input (which
 * ends where its block ends), and a datagram that it accepts can be written anew and read back as
 * the same.
 */
#include <stdlib.h>

#include "net/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_bounds(const struct net_frame *f, uint32_t len)
{
	check(f->l3_off <= len && f->l3_len <= len - f->l3_off);
	check((f->kind == NET_BAD) == (f->reason != NET_REASON_NONE));
	if (f->kind == NET_OTHER || f->kind == NET_BAD)
		return;
	check(f->l4_off >= f->l3_off + NET_IPV4_LEN);
	check(f->l4_off + f->l4_len == f->l3_off + f->l3_len);
	if (f->kind == NET_FRAGMENT)
		check(f->l4_len > 0 && f->frag_off + f->l4_len <= 65535 &&
			(f->frag_off != 0 || f->frag_more));
	if (f->kind == NET_UDP)
		check(f->payload_off == f->l4_off + NET_UDP_LEN &&
			f->payload_len <= f->l4_len - NET_UDP_LEN && f->dst.port != 0);
}

/* The same tuple, tags and payload in a frame of ours. */
static void write_anew(const uint8_t *data, const struct net_frame *f)
{
	struct net_header h = {.vlan_count = f->vlan_count,
		.src = f->src,
		.dst = f->dst,
		.ttl = f->ttl,
		.tos = f->tos};
	struct net_frame again;
	uint32_t front;
	uint16_t sum;
	uint8_t *out;

	memcpy(h.vlan, f->vlan, sizeof(h.vlan));
	memcpy(h.vlan_type, f->vlan_type, sizeof(h.vlan_type));
	front = net_header_length(&h);
	out = malloc(front + f->payload_len);
	check(out != NULL);
	net_header_write(&h, f->payload_len, out);
	memcpy(out + front, data + f->payload_off, f->payload_len);
	sum = net_udp_checksum(&f->src.addr, &f->dst.addr, out + front - NET_UDP_LEN,
		NET_UDP_LEN + f->payload_len);
	memcpy(out + front - 2, &sum, 2);
	check(net_frame_parse(out, front + f->payload_len, true, &again) == NET_UDP);
	check(net_udp_verify(out, &again) == NET_CHECKSUM_GOOD);
	check(net_endpoint_equal(&again.src, &f->src) && net_endpoint_equal(&again.dst, &f->dst));
	check(again.payload_len == f->payload_len && again.vlan_count == f->vlan_count);
	check(again.tos == f->tos);
	free(out);
}

static void look(const uint8_t *data, const struct net_frame *f, uint32_t len)
{
	struct net_icmp icmp;

	check_bounds(f, len);
	if (f->kind == NET_UDP) {
		net_udp_verify(data, f);
		write_anew(data, f);
	}
	if (net_icmp_parse(data, f, &icmp)) {
		check(f->kind == NET_ICMP && icmp.embedded >= data + f->l4_off);
		check(icmp.embedded + icmp.embedded_len <= data + len);
		check(net_addr_equal(&icmp.src.addr, &f->dst.addr));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net_frame f, unchecked;
	uint32_t len = (uint32_t)size;

	if (size > 66000)
		return 0;
	net_frame_parse(data, len, true, &f);
	look(data, &f, len);
	/* Its shortcut for the most common frames says what the walk says. */
	check(wire_frame_parse(data, len, true, &unchecked) == f.kind &&
		unchecked.reason == f.reason && unchecked.payload_off == f.payload_off &&
		unchecked.payload_len == f.payload_len &&
		net_endpoint_equal(&unchecked.src, &f.src) &&
		net_endpoint_equal(&unchecked.dst, &f.dst));
	net_frame_parse(data, len, false, &unchecked);
	look(data, &unchecked, len);
	check(f.kind == unchecked.kind || f.reason == NET_REASON_IP_CHECKSUM);
	net_packet_parse(data, len, &f);
	look(data, &f, len);
	return 0;
}
