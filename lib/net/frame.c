/* SPDX-License-Identifier: BSD-3-Clause */
#include "net/datagram.h"
#include "net/wire.h"

static enum net_kind bad(struct net_frame *f, enum net_reason reason)
{
	f->kind = NET_BAD;
	f->reason = reason;
	return NET_BAD;
}

static enum net_kind is(struct net_frame *f, enum net_kind kind)
{
	f->kind = kind;
	return kind;
}

/*
 * Sources that no packet from a wire can have: a reply to them would go to a group or to ourselves
 * (RFC 1122 3.2.1.3, RFC 4291 2.5.3 and 2.7), or would look like IPv4 to whoever compares it
 * (2.5.5.2).
 */
static bool source_is_impossible(const struct net_addr *src)
{
	return net_addr_is_multicast(src) || net_addr_is_loopback(src) ||
	       net_addr_is_v4_mapped(src);
}

/*
 * RFC 768. An unspecified source can't be answered; only a DHCP client has one, and the kernel
 * serves those.
 */
static enum net_kind parse_udp(const uint8_t *data, struct net_frame *f)
{
	const uint8_t *udp = data + f->l4_off;
	uint32_t len;

	if (f->l4_len < NET_UDP_LEN)
		return bad(f, NET_REASON_UDP_LENGTH);
	len = wire_get16(udp + 4);
	if (len < NET_UDP_LEN || len > f->l4_len)
		return bad(f, NET_REASON_UDP_LENGTH);
	f->src.port = wire_get16(udp);
	f->dst.port = wire_get16(udp + 2);
	f->payload_off = f->l4_off + NET_UDP_LEN;
	f->payload_len = len - NET_UDP_LEN;
	memcpy(&f->udp_checksum, udp + 6, 2);
	if (f->dst.port == 0)
		return bad(f, NET_REASON_UDP_PORT);
	if (net_addr_is_unspecified(&f->src.addr) && f->dst.port != WIRE_PORT_BOOTP_SERVER)
		return bad(f, NET_REASON_IP_SOURCE);
	/* RFC 8200 8.1; the exception of RFC 6936 is for tunnels. */
	if (f->udp_checksum == 0 && f->family == 6)
		return bad(f, NET_REASON_UDP_CHECKSUM);
	return is(f, NET_UDP);
}

/*
 * Checks one fragment by itself: it holds bytes, in units of 8 unless it is the last, and the
 * datagram stays within 65,535 bytes with this fragment's own headers (RFC 791 3.2, RFC 8200 4.5).
 */
static enum net_kind parse_fragment(struct net_frame *f, uint32_t headers)
{
	if (net_addr_is_unspecified(&f->src.addr))
		return bad(f, NET_REASON_IP_SOURCE);
	if (f->l4_len == 0 || (f->frag_more && f->l4_len % 8 != 0) ||
		headers + f->frag_off + f->l4_len > WIRE_IP_MAX)
		return bad(f, NET_REASON_FRAGMENT_SIZE);
	return is(f, NET_FRAGMENT);
}

/*
 * RFC 791 3.1 options: their lengths, and no source route, which would make us send where a
 * stranger says (RFC 7126 4.3, 4.4).
 */
static enum net_reason check_options(const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len;) {
		uint8_t type = p[i], size;

		if (type == WIRE_IPV4_OPTION_END)
			break;
		if (type == WIRE_IPV4_OPTION_NOP) {
			i++;
			continue;
		}
		if (len - i < 2)
			return NET_REASON_IP_HEADER;
		size = p[i + 1];
		if (size < 2 || size > len - i)
			return NET_REASON_IP_HEADER;
		if (type == WIRE_IPV4_OPTION_LSRR || type == WIRE_IPV4_OPTION_SSRR)
			return NET_REASON_IP_ROUTING_HEADER;
		i += size;
	}
	return NET_REASON_NONE;
}

static enum net_kind parse_ipv4(
	const uint8_t *data, uint32_t off, uint32_t len, bool check_ip, struct net_frame *f)
{
	const uint8_t *ip = data + off;
	uint32_t header, total, fragment;

	if (len - off < NET_IPV4_LEN)
		return bad(f, NET_REASON_FRAME_SHORT);
	if (ip[0] >> 4 != 4)
		return bad(f, NET_REASON_IP_VERSION);
	header = (uint32_t)(ip[0] & 15) * 4;
	total = wire_get16(ip + 2);
	if (header < NET_IPV4_LEN || header > len - off)
		return bad(f, NET_REASON_IP_HEADER);
	if (total < header || total > len - off)
		return bad(f, NET_REASON_IP_LENGTH);
	if (check_ip && net_checksum_fold(net_checksum_add(0, ip, header)) != 0)
		return bad(f, NET_REASON_IP_CHECKSUM);
	f->family = 4;
	f->l3_len = total;
	f->l4_off = off + header;
	f->l4_len = total - header;
	f->tos = ip[1];
	f->ttl = ip[8];
	f->protocol = ip[9];
	f->src.addr = wire_get_v4(ip + 12);
	f->dst.addr = wire_get_v4(ip + 16);
	if (source_is_impossible(&f->src.addr))
		return bad(f, NET_REASON_IP_SOURCE);
	if (header > NET_IPV4_LEN) {
		enum net_reason reason = check_options(ip + NET_IPV4_LEN, header - NET_IPV4_LEN);

		if (reason != NET_REASON_NONE)
			return bad(f, reason);
	}
	fragment = wire_get16(ip + 6);
	if ((fragment & (WIRE_IPV4_MORE | WIRE_IPV4_OFFSET)) != 0) {
		/* Of anything but UDP, ping above all, the kernel makes its own whole. */
		if (f->protocol != WIRE_UDP)
			return is(f, NET_OTHER);
		f->frag_id = wire_get16(ip + 4);
		f->frag_off = (fragment & WIRE_IPV4_OFFSET) * 8;
		f->frag_more = (fragment & WIRE_IPV4_MORE) != 0;
		return parse_fragment(f, header);
	}
	if (f->protocol == WIRE_UDP)
		return parse_udp(data, f);
	return is(f, f->protocol == WIRE_ICMP ? NET_ICMP : NET_OTHER);
}

/* What a walk along IPv6 headers has met so far. */
struct walk {
	uint32_t at, end; /* next header's place; end of the packet */
	uint32_t next_at; /* place of the byte that names it */
	uint8_t next;
	uint8_t count;
	bool option_refused; /* an option that asks whoever does not know it to drop the packet */
	bool jumbo;
	bool fragment; /* `at` stands behind a fragment header that is not atomic */
};

/* RFC 8200 4.2. Returns false where the options do not fit in their header. */
static bool walk_options(const uint8_t *data, uint32_t at, uint32_t end, struct walk *w)
{
	while (at < end) {
		uint8_t type = data[at];

		if (type == WIRE_IPV6_OPTION_PAD1) {
			at++;
			continue;
		}
		if (end - at < 2 || (uint32_t)data[at + 1] + 2 > end - at)
			return false;
		w->jumbo |= type == WIRE_IPV6_OPTION_JUMBO;
		w->option_refused |= (type & WIRE_IPV6_OPTION_REFUSE) != 0;
		at += (uint32_t)data[at + 1] + 2;
	}
	return true;
}

static enum net_reason walk_fragment(const uint8_t *data, struct walk *w, struct net_frame *f)
{
	const uint8_t *h = data + w->at;
	uint32_t word;

	if (w->end - w->at < WIRE_IPV6_FRAGMENT_LEN)
		return NET_REASON_IP_EXTENSIONS;
	/* A fragment in a fragment, be one of them atomic, has no honest maker. */
	if (f->frag_next_off != 0)
		return NET_REASON_IP_EXTENSIONS;
	word = wire_get16(h + 2);
	f->frag_next_off = w->next_at;
	f->frag_id = wire_get32(h + 4);
	f->frag_off = word & 0xfff8;
	f->frag_more = (word & 1) != 0;
	/* RFC 6946: an atomic fragment is whole, whatever else is under way with its id. */
	w->fragment = f->frag_off != 0 || f->frag_more;
	w->next_at = w->at;
	w->next = h[0];
	w->at += WIRE_IPV6_FRAGMENT_LEN;
	return NET_REASON_NONE;
}

static enum net_reason walk_step(const uint8_t *data, struct walk *w, struct net_frame *f)
{
	const uint8_t *h = data + w->at;
	uint32_t size;

	if (++w->count > NET_IPV6_EXTENSIONS_MAX)
		return NET_REASON_IP_EXTENSIONS;
	if (w->next == WIRE_IPV6_FRAGMENT)
		return walk_fragment(data, w, f);
	/* RFC 8200 4.1: hop-by-hop options stand right behind the IPv6 header. */
	if (w->next == WIRE_IPV6_HOP_BY_HOP && w->count > 1)
		return NET_REASON_IP_EXTENSIONS;
	if (w->end - w->at < 8)
		return NET_REASON_IP_EXTENSIONS;
	size = ((uint32_t)h[1] + 1) * 8;
	if (size > w->end - w->at)
		return NET_REASON_IP_EXTENSIONS;
	if (w->next == WIRE_IPV6_ROUTING) {
		/* RFC 5095: type 0 is gone. RFC 8200 4.4: of others only what has arrived. */
		if (h[2] == 0 || h[3] != 0)
			return NET_REASON_IP_ROUTING_HEADER;
	} else if (!walk_options(data, w->at + 2, w->at + size, w)) {
		return NET_REASON_IP_EXTENSIONS;
	}
	w->next_at = w->at;
	w->next = h[0];
	w->at += size;
	return NET_REASON_NONE;
}

static bool is_extension(uint8_t next)
{
	return next == WIRE_IPV6_HOP_BY_HOP || next == WIRE_IPV6_ROUTING ||
	       next == WIRE_IPV6_FRAGMENT || next == WIRE_IPV6_DESTINATION;
}

/*
 * RFC 7112 5: the first fragment holds all headers up to UDP's, so that what a filter decides of
 * the first holds for the datagram. Continues the walk behind the fragment header, on a copy. Other
 * fragments hold no headers.
 */
static enum net_kind parse_ipv6_fragment(const uint8_t *data, struct walk w, struct net_frame *f)
{
	enum net_reason reason;

	if (!is_extension(w.next) && w.next != WIRE_UDP)
		return is(f, NET_OTHER);
	if (w.option_refused)
		return bad(f, NET_REASON_IP_EXTENSIONS);
	/* The length that counts is that of the payload, without the IPv6 and fragment headers. */
	if (parse_fragment(f, f->l4_off - f->l3_off - NET_IPV6_LEN - WIRE_IPV6_FRAGMENT_LEN) ==
		NET_BAD)
		return NET_BAD;
	if (f->frag_off != 0)
		return NET_FRAGMENT;
	while (is_extension(w.next)) {
		reason = walk_step(data, &w, f);
		if (reason != NET_REASON_NONE)
			return bad(f, reason);
	}
	if (w.option_refused)
		return bad(f, NET_REASON_IP_EXTENSIONS);
	if (w.next != WIRE_UDP)
		return is(f, NET_OTHER);
	if (w.end - w.at < NET_UDP_LEN)
		return bad(f, NET_REASON_IP_EXTENSIONS);
	return NET_FRAGMENT;
}

static enum net_kind parse_ipv6(
	const uint8_t *data, uint32_t off, uint32_t len, struct net_frame *f)
{
	const uint8_t *ip = data + off;
	struct walk w = {.at = off + NET_IPV6_LEN, .next_at = off + 6};
	uint32_t payload;

	if (len - off < NET_IPV6_LEN)
		return bad(f, NET_REASON_FRAME_SHORT);
	if (ip[0] >> 4 != 6)
		return bad(f, NET_REASON_IP_VERSION);
	payload = wire_get16(ip + 4);
	if (payload > len - off - NET_IPV6_LEN)
		return bad(f, NET_REASON_IP_LENGTH);
	f->family = 6;
	f->l3_len = NET_IPV6_LEN + payload;
	f->tos = (uint8_t)(ip[0] << 4 | ip[1] >> 4);
	f->ttl = ip[7];
	f->src.addr = net_addr_v6(ip + 8);
	f->dst.addr = net_addr_v6(ip + 24);
	if (source_is_impossible(&f->src.addr))
		return bad(f, NET_REASON_IP_SOURCE);
	/*
	 * A payload of 0 with hop-by-hop options is a jumbogram (RFC 2675), which no link of ours
	 * carries.
	 */
	if (payload == 0 && ip[6] == WIRE_IPV6_HOP_BY_HOP)
		return bad(f, NET_REASON_IP_LENGTH);
	w.next = ip[6];
	w.end = off + f->l3_len;
	while (is_extension(w.next) && !w.fragment) {
		enum net_reason reason = walk_step(data, &w, f);

		if (reason != NET_REASON_NONE)
			return bad(f, reason);
	}
	if (w.jumbo)
		return bad(f, NET_REASON_IP_LENGTH);
	f->protocol = w.next;
	f->l4_off = w.at;
	f->l4_len = w.end - w.at;
	if (w.fragment)
		return parse_ipv6_fragment(data, w, f);
	if (w.next == WIRE_UDP)
		return w.option_refused ? bad(f, NET_REASON_IP_EXTENSIONS) : parse_udp(data, f);
	return is(f, w.next == WIRE_ICMPV6 ? NET_ICMP : NET_OTHER);
}

enum net_kind wire_frame_parse(
	const uint8_t *data, uint32_t len, bool check_ip, struct net_frame *out)
{
	uint32_t off = NET_ETHER_LEN;
	uint16_t type;

	memset(out, 0, sizeof(*out));
	if (len < NET_ETHER_LEN)
		return bad(out, NET_REASON_FRAME_SHORT);
	out->multicast_mac = (data[0] & 1) != 0;
	type = wire_get16(data + 12);
	while (type == WIRE_ETHER_VLAN || type == WIRE_ETHER_QINQ) {
		if (out->vlan_count == NET_VLAN_TAGS_MAX)
			return bad(out, NET_REASON_VLAN_DEPTH);
		if (len - off < NET_VLAN_LEN)
			return bad(out, NET_REASON_FRAME_SHORT);
		out->vlan_type[out->vlan_count] = type;
		out->vlan[out->vlan_count++] = wire_get16(data + off);
		type = wire_get16(data + off + 2);
		off += NET_VLAN_LEN;
	}
	out->ether_type = type;
	out->l3_off = off;
	out->l3_len = len - off;
	if (type == WIRE_ETHER_IPV4)
		return parse_ipv4(data, off, len, check_ip, out);
	if (type == WIRE_ETHER_IPV6)
		return parse_ipv6(data, off, len, out);
	return is(out, NET_OTHER);
}

enum net_kind net_frame_parse(
	const uint8_t *data, uint32_t len, bool check_ip, struct net_frame *out)
{
	struct net_datagram d;
	struct net_endpoint src, dst;
	const uint8_t *ip = data + NET_ETHER_LEN;

	if (!net_datagram_parse(data, len, &src, &dst, &d))
		return wire_frame_parse(data, len, check_ip, out);
	*out = (struct net_frame){.kind = NET_UDP,
		.family = src.addr.family,
		.protocol = WIRE_UDP,
		.multicast_mac = (data[0] & 1) != 0,
		.l3_off = NET_ETHER_LEN,
		.l4_off = d.l4_off,
		.l4_len = d.l4_len,
		.l3_len = d.l4_off - NET_ETHER_LEN + d.l4_len,
		.payload_off = d.l4_off + NET_UDP_LEN,
		.payload_len = d.payload_len,
		.src = src,
		.dst = dst};
	memcpy(&out->udp_checksum, data + d.l4_off + 6, 2);
	if (out->family == 4) {
		out->ether_type = WIRE_ETHER_IPV4;
		out->tos = ip[1];
		out->ttl = ip[8];
	} else {
		out->ether_type = WIRE_ETHER_IPV6;
		out->tos = (uint8_t)(ip[0] << 4 | ip[1] >> 4);
		out->ttl = ip[7];
	}
	return NET_UDP;
}

enum net_kind net_packet_parse(const uint8_t *data, uint32_t len, struct net_frame *out)
{
	memset(out, 0, sizeof(*out));
	if (len == 0)
		return bad(out, NET_REASON_FRAME_SHORT);
	out->l3_len = len;
	if (data[0] >> 4 == 4) {
		out->ether_type = WIRE_ETHER_IPV4;
		return parse_ipv4(data, 0, len, false, out);
	}
	if (data[0] >> 4 == 6) {
		out->ether_type = WIRE_ETHER_IPV6;
		return parse_ipv6(data, 0, len, out);
	}
	return bad(out, NET_REASON_IP_VERSION);
}
