/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * net: Ethernet to UDP on plain bytes: addresses, frames, checksums, fragments, ICMP.
 *
 * It knows no mbuf and no EAL: callers pass linear bytes and lengths, all of which are hostile.
 * net_frame_parse() checks every length before use; no byte past `len` is read. Workers call all of
 * it; a reassembler belongs to one thread.
 *
 * Files: addr (text and order), frame (parse), datagram (the frames that nearly all are), write and
 * template (headers), checksum, reassemble (what a
 * fragment means), slot (where fragments wait), fragment, icmp; wire.h and slot.h are theirs alone.
 */
#include <endian.h>

#include "base/base.h"

/* ---- addr ---- */

/*
 * An IPv4 or IPv6 address, network byte order. All bytes that the family does not use are 0:
 * compare with memcmp.
 */
struct net_addr {
	union {
		uint8_t b[16];
		uint32_t v4;
		uint64_t q[2];
	};
	uint8_t family; /* 4, 6, or 0 for none */
	uint8_t zero[7];
};

struct net_endpoint {
	struct net_addr addr;
	uint16_t port; /* host byte order */
	uint8_t zero[6];
};

struct net_prefix {
	struct net_addr addr; /* host bits are 0 */
	uint8_t bits;
};

#define NET_ADDR_TEXT_MAX 46     /* with the NUL */
#define NET_ENDPOINT_TEXT_MAX 54 /* "[v6]:65535" with the NUL */

static inline bool net_addr_equal(const struct net_addr *a, const struct net_addr *b)
{
	return a->family == b->family && a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

static inline bool net_endpoint_equal(const struct net_endpoint *a, const struct net_endpoint *b)
{
	return a->port == b->port && net_addr_equal(&a->addr, &b->addr);
}

/* A total order, the same on every node: family, then bytes. Below, at or above 0 as memcmp. */
int net_addr_compare(const struct net_addr *a, const struct net_addr *b);

struct net_addr net_addr_v4(uint32_t network_order);
struct net_addr net_addr_v6(const uint8_t bytes[16]);

/*
 * Reads an address: dotted quad (no leading zeros, no short forms) or RFC 4291 text, with or
 * without brackets; no zone. RFC 5954's grammar, but RFC 3261's third colon in
 * "2001:db8:::192.0.2.1" is tolerated (RFC 5118 4.10). Returns 0 or -EINVAL.
 */
int net_addr_parse(struct str text, struct net_addr *out);
/* "10.0.0.0/8", "2001:db8::/32", or a bare address. Refuses host bits. */
int net_prefix_parse(struct str text, struct net_prefix *out);
/*
 * Shortest text (RFC 5952), no brackets. Writes at most NET_ADDR_TEXT_MAX with a NUL; returns the
 * length without.
 */
unsigned net_addr_format(const struct net_addr *addr, char *out);
/* "10.0.0.1:5060" or "[2001:db8::1]:5060". */
unsigned net_endpoint_format(const struct net_endpoint *ep, char *out);
bool net_prefix_holds(const struct net_prefix *prefix, const struct net_addr *addr);

/*
 * Kinds of address that a SIP message is never sent to unless configured (16.4, multicast,
 * loopback, unspecified).
 */
bool net_addr_is_loopback(const struct net_addr *addr);
bool net_addr_is_multicast(const struct net_addr *addr);   /* and limited broadcast */
bool net_addr_is_unspecified(const struct net_addr *addr); /* 0.0.0.0/8, :: */
bool net_addr_is_link_local(const struct net_addr *addr);
/* ::ffff:0:0/96, which is for APIs and not for wires: such a source is refused. */
bool net_addr_is_v4_mapped(const struct net_addr *addr);

/* ---- frame ---- */

#define NET_ETHER_LEN 14
#define NET_VLAN_LEN 4
#define NET_VLAN_TAGS_MAX 2
#define NET_IPV4_LEN 20
#define NET_IPV6_LEN 40
#define NET_UDP_LEN 8
#define NET_IPV6_EXTENSIONS_MAX 8
#define NET_MTU_MIN_IPV4 68   /* RFC 791 3.2 */
#define NET_MTU_MIN_IPV6 1280 /* RFC 8200 5 */

enum net_kind {
	NET_UDP,      /* a whole UDP datagram: ports, payload set */
	NET_FRAGMENT, /* a fragment of what may be UDP: see frag_*; l4_off, l4_len are its share of
			 the datagram */
	NET_ICMP,     /* ICMP or ICMPv6: l4_off, l4_len set */
	NET_OTHER,    /* well formed as far as looked at, and for the kernel: ARP, TCP, fragments of
			 ping, ... */
	NET_BAD       /* see reason */
};

/*
 * NET_BAD's reasons; the pipeline makes drop counters of them. NET_REASON(enum suffix, counter
 * name)
 */
#define NET_REASONS(NET_REASON) \
	NET_REASON(FRAME_SHORT, "frame_short") \
	NET_REASON(VLAN_DEPTH, "vlan_depth") \
	NET_REASON(IP_VERSION, "ip_version") \
	NET_REASON(IP_HEADER, "ip_header") \
	NET_REASON(IP_LENGTH, "ip_length") \
	NET_REASON(IP_CHECKSUM, "ip_checksum") \
	NET_REASON(IP_EXTENSIONS, "ip_extensions") \
	NET_REASON(IP_ROUTING_HEADER, "ip_routing_header") \
	NET_REASON(IP_SOURCE, "ip_source") \
	NET_REASON(FRAGMENT_SIZE, "fragment_size") \
	NET_REASON(UDP_LENGTH, "udp_length") \
	NET_REASON(UDP_PORT, "udp_port") \
	NET_REASON(UDP_CHECKSUM, "udp_checksum")

enum net_reason {
	NET_REASON_NONE = 0,
#define NET_REASON(id, name) NET_REASON_##id,
	NET_REASONS(NET_REASON)
#undef NET_REASON
		NET_REASON_COUNT
};

struct net_frame {
	enum net_kind kind;
	enum net_reason reason;
	uint8_t family;   /* 4, 6, or 0 */
	uint8_t protocol; /* of the layer above IP */
	uint8_t vlan_count;
	bool multicast_mac;               /* group bit of the destination MAC */
	uint16_t vlan[NET_VLAN_TAGS_MAX]; /* TCI, outermost first; a VID of 0 is a priority tag */
	uint16_t vlan_type[NET_VLAN_TAGS_MAX]; /* 0x8100 or 0x88a8; copy both to net_header to
						  answer with the same tags */
	uint16_t ether_type;                   /* of the innermost */
	uint32_t l3_off, l3_len; /* IP packet; l3_len by the IP header, at most the frame */
	uint32_t l4_off, l4_len; /* behind IP header and extensions */
	uint32_t payload_off, payload_len; /* of UDP, by the UDP header */
	struct net_endpoint src, dst;      /* ports of UDP only */
	uint8_t ttl, tos;
	uint16_t udp_checksum; /* as received, 0 = none */
	/* NET_FRAGMENT */
	uint32_t frag_id;
	uint32_t frag_off; /* bytes */
	bool frag_more;
	uint32_t frag_next_off; /* IPv6: the byte that names the fragment header; also of an atomic
				   fragment */
};

/*
 * Looks at an Ethernet frame and fills `out`. Checks version, header lengths, total length against
 * the frame (padding behind the IP packet is no error), the IPv4 header checksum where `check_ip`
 * is set, extension headers (bounded; routing type 0 refused; an atomic fragment is taken as whole,
 * RFC 6946), UDP length 8..IP payload, UDP destination port not 0, UDP over IPv6 without checksum
 * (refused). IP_SOURCE: the source is a group, broadcast, loopback, IPv4-mapped, or (but for a DHCP
 * client) unspecified; a group as destination or our own address as source is not judged here.
 * IP_ROUTING_HEADER is also IPv4's source route. FRAGMENT_SIZE: a fragment that is empty, no
 * multiple of 8 before the last, or beyond 65,535. RFC 7112: an IPv6 first fragment without the UDP
 * header is refused (IP_EXTENSIONS). AH and ESP are the kernel's. Returns out->kind.
 */
enum net_kind net_frame_parse(
	const uint8_t *data, uint32_t len, bool check_ip, struct net_frame *out);

/* The same for a bare IP packet at data[0] (a reassembled datagram). */
enum net_kind net_packet_parse(const uint8_t *data, uint32_t len, struct net_frame *out);

/* What a frame that we send needs. */
struct net_header {
	uint8_t dst_mac[6], src_mac[6];
	uint8_t vlan_count;
	uint16_t vlan[NET_VLAN_TAGS_MAX];
	uint16_t vlan_type[NET_VLAN_TAGS_MAX]; /* 0: 0x8100, and 0x88a8 for the outer of two */
	struct net_endpoint src, dst;          /* one family */
	uint8_t ttl;                           /* 64 where 0 */
	uint8_t tos;
	uint16_t ip_id; /* IPv4 */
	bool dont_fragment;
};

/* Bytes in front of the UDP payload: Ethernet, tags, IP, UDP. */
uint32_t net_header_length(const struct net_header *h);
/*
 * Writes all headers into out[0, net_header_length()), for a payload of payload_len bytes that the
 * caller has put behind them (or will). The UDP checksum is left 0 for net_udp_checksum() or the
 * NIC; the IPv4 header checksum is written.
 */
void net_header_write(const struct net_header *h, uint32_t payload_len, uint8_t *out);
/*
 * Writes only the UDP header's 8 bytes, checksum 0: the first bytes of a datagram that is to be
 * fragmented.
 */
void net_udp_write(const struct net_header *h, uint32_t payload_len, uint8_t *out);

/*
 * The headers of what leaves from one endpoint by one device, written once and then copied in front
 * of each payload: the destination, lengths and checksums differ (template.h writes them). Room for
 * Ethernet, two tags, IPv6 and UDP, the last byte of the UDP header in the last byte of the
 * template.
 */
#define NET_TEMPLATE_ROOM 80

struct net_template {
	_Alignas(16) uint8_t room[NET_TEMPLATE_ROOM];
	uint8_t family;
	uint8_t length;      /* net_header_length() */
	uint32_t ip_sum;     /* of the IPv4 header with a length and a destination of 0 */
	uint64_t pseudo_sum; /* of the pseudo header with a length and a destination of 0 */
};

/* Of h->dst the family counts, and nothing else; h->dst_mac does not count. */
void net_template_make(const struct net_header *h, struct net_template *out);

/*
 * ---- checksum (RFC 1071) ----
 *
 * All 16-bit results are in memory order: store them with memcpy, no byte swap. 22 ns for 900 bytes
 * on the machine that it was written on.
 */

/*
 * Sum of data as 16-bit words in memory order, on top of `sum`; not folded. Pieces before the last
 * have an even length.
 */
uint64_t net_checksum_add(uint64_t sum, const void *data, uint32_t len);
uint16_t net_checksum_fold(uint64_t sum);
/* The same of up to 65,536 bytes, folded and not complemented: as this CPU does it best. */
extern uint16_t (*net_checksum_folded)(uint64_t sum, const uint8_t *p, uint32_t len);

/* One's complement addition: what overflows comes back at the bottom (RFC 1071 2 (A)). Also within
 * code for other CPUs. */
__attribute__((always_inline)) static inline uint64_t net_checksum_carry(uint64_t sum, uint64_t v)
{
	sum += v;
	return sum + (sum < v);
}

/* RFC 768, RFC 8200 8.1: addresses, protocol and length, in memory order; not folded. */
static inline uint64_t net_checksum_pseudo(
	const struct net_addr *src, const struct net_addr *dst, uint32_t l4_len)
{
	uint64_t sum = (uint64_t)htobe16(17) + htobe32(l4_len);

	if (src->family == 4)
		return sum + src->v4 + dst->v4;
	sum = net_checksum_carry(net_checksum_carry(sum, src->q[0]), src->q[1]);
	return net_checksum_carry(net_checksum_carry(sum, dst->q[0]), dst->q[1]);
}

/* What goes into the UDP header at l4, whatever stands there: the field counts as 0, so what it
 * holds is taken off again. */
static inline uint16_t net_checksum_of_udp(uint64_t pseudo, const uint8_t *l4, uint32_t l4_len)
{
	uint16_t field;

	memcpy(&field, l4 + 6, sizeof(field));
	field = (uint16_t)~net_checksum_folded(
		net_checksum_carry(pseudo, (uint16_t)~field), l4, l4_len);
	return field != 0 ? field : 0xffff;
}
/*
 * Checksum of the pseudo header, UDP header and payload; a result of 0 is returned as 0xffff (RFC
 * 768). l4 is the UDP header, l4_len at least 8.
 */
uint16_t net_udp_checksum(
	const struct net_addr *src, const struct net_addr *dst, const uint8_t *l4, uint32_t l4_len);
/*
 * Only the pseudo header, not complemented: what NICs with offload want in the field, and what veth
 * and tap may leave there.
 */
uint16_t net_udp_pseudo_checksum(
	const struct net_addr *src, const struct net_addr *dst, uint32_t l4_len);

enum net_checksum { NET_CHECKSUM_GOOD, NET_CHECKSUM_BAD, NET_CHECKSUM_NONE, NET_CHECKSUM_PSEUDO };
/*
 * Verifies a UDP datagram that net_frame_parse() found. NONE: IPv4 without one (legal). PSEUDO:
 * holds just the pseudo header's sum, as a sender with offload on the same host leaves it: only
 * ports whose profile says so accept that.
 */
enum net_checksum net_udp_verify(const uint8_t *data, const struct net_frame *frame);
/* Whether a datagram has a checksum, and that is right: what nearly all have. */
static inline bool net_datagram_holds(
	const struct net_addr *src, const struct net_addr *dst, const uint8_t *l4, uint32_t l4_len)
{
	uint16_t field;

	memcpy(&field, l4 + 6, sizeof(field));
	return field != 0 &&
	       net_checksum_folded(net_checksum_pseudo(src, dst, l4_len), l4, l4_len) == 0xffff;
}
/* net_udp_verify() for a datagram whose UDP header is at l4; its addresses are of one family. */
enum net_checksum net_datagram_verify(
	const struct net_addr *src, const struct net_addr *dst, const uint8_t *l4, uint32_t l4_len);

/* ---- reassemble ---- */

/*
 * NET_FRAGMENT's way to a whole datagram (RFC 791 3.2, RFC 8200 4.5, RFC 5722, RFC 6946). What
 * comes out is one linear IP packet for net_packet_parse(); any number of fragments, down to 8
 * bytes each, in any order, up to 65,535 bytes.
 *
 * All memory is taken at creation: bytes_max, and about 3 KB a datagram. Bounds are kept by
 * dropping the oldest: of the same source where datagrams_per_source_max is met (an IPv6 source is
 * its /64), of all where datagrams_max or bytes_max is. So a flood of halves shortens the time that
 * others have, and shuts nobody out.
 *
 * Every frame that is handed in is afterwards held, or part of a whole datagram, or reported as
 * dropped, once: frames in = net_reassembler_held() + the sums of `frames` and `evicted` + what
 * net_reassembler_expire() returned.
 */
struct net_reassembler;

#define NET_REASSEMBLER_DATAGRAMS_MAX (1U << 20)

struct net_reassembler_config {
	uint32_t datagrams_max; /* under way at once */
	uint32_t datagrams_per_source_max;
	uint64_t bytes_max; /* of buffers, all datagrams together; a datagram takes them in steps of
			       1 KB */
	uint64_t timeout_ns; /* from the first fragment that came; 2 s is the design's */
};

enum net_reassembly {
	NET_REASSEMBLY_HELD,  /* taken; the datagram is not whole yet */
	NET_REASSEMBLY_WHOLE, /* `packet` is the datagram, one IP packet without fragment header */
	NET_REASSEMBLY_DUPLICATE, /* bounds and bytes of one that we have: the frame is ignored */
	NET_REASSEMBLY_OVERLAP,   /* the datagram and this fragment are dropped (RFC 5722) */
	NET_REASSEMBLY_TOO_BIG,   /* beyond 65,535 bytes: dropped with its datagram */
	NET_REASSEMBLY_BAD,  /* two ends, data behind the end, headers above 256 bytes: dropped with
				its datagram */
	NET_REASSEMBLY_FULL, /* bytes_max is too small for this datagram alone: dropped with it */
};

/* What became of frames by one call. */
struct net_reassembled {
	const uint8_t *packet; /* WHOLE: valid until the next call on this reassembler */
	uint32_t len;
	/*
	 * Frames that left by the verdict, this one included: WHOLE, those of the datagram; HELD,
	 * 0; DUPLICATE, 1; otherwise those dropped.
	 */
	uint32_t frames;
	/*
	 * Frames of older datagrams that were dropped to make room, or because their time was over.
	 * With any verdict.
	 */
	uint32_t evicted;
};

/* NULL and errno (EINVAL, ENOMEM) on failure. `key` is for its hash tables. */
struct net_reassembler *net_reassembler_create(
	const struct net_reassembler_config *config, const struct hash_key *key);
void net_reassembler_destroy(struct net_reassembler *r);
/*
 * Takes one fragment: `data` is the frame, `frame` what net_frame_parse() said of it
 * (NET_FRAGMENT). The key is source, destination and id, and for IPv4 the protocol. `now` in
 * nanoseconds, never less than before.
 */
enum net_reassembly net_reassemble(struct net_reassembler *r, const uint8_t *data,
	const struct net_frame *frame, uint64_t now, struct net_reassembled *out);
/*
 * Drops what is older than the timeout, at most 32 datagrams a call; returns the number of frames
 * that were dropped.
 */
uint32_t net_reassembler_expire(struct net_reassembler *r, uint64_t now);
/* Frames held at this moment. */
uint64_t net_reassembler_held(const struct net_reassembler *r);
/* The thread that owns a datagram's fragments, the same for all of them: 0..owners-1. */
uint32_t net_fragment_owner(
	const struct hash_key *key, const struct net_frame *frame, uint32_t owners);

/* ---- fragment ---- */

/* One piece of a datagram that exceeds the MTU. */
struct net_fragment {
	uint32_t off; /* of its data in the UDP datagram (UDP header first) */
	uint32_t len;
	bool more;
};
/*
 * The n-th fragment (from 0) of a UDP datagram of l4_len bytes (UDP header and its checksum
 * included) for an MTU in bytes of IP packet, in this family. Returns false past the last. MTU
 * below NET_MTU_MIN_* is taken as that. Only for what exceeds the MTU: an IPv6 packet gets a
 * fragment header in any case.
 */
bool net_fragment_nth(
	uint8_t family, uint32_t mtu, uint32_t l4_len, uint32_t n, struct net_fragment *out);
/* Bytes of Ethernet, tags, IP and (IPv6) fragment header. */
uint32_t net_fragment_header_length(const struct net_header *h);
/*
 * Writes them for one fragment; its data follows. `id` is the same for all fragments of a datagram,
 * IPv4 takes its lower 16 bits.
 */
void net_fragment_header_write(
	const struct net_header *h, const struct net_fragment *f, uint32_t id, uint8_t *out);

/* ---- icmp ---- */

enum net_icmp_kind {
	NET_ICMP_OTHER, /* another error, time exceeded or parameter problem: worth a counter */
	NET_ICMP_UNREACHABLE, /* destination unreachable but for the next */
	NET_ICMP_TOO_BIG      /* fragmentation needed, packet too big */
};

/* What an ICMP error says of a UDP datagram of ours. */
struct net_icmp {
	enum net_icmp_kind kind;
	uint8_t code;
	uint32_t mtu; /* TOO_BIG; at least NET_MTU_MIN_*, 0 where the router did not say (RFC 1191
			 5) */
	struct net_endpoint src, dst; /* of the embedded UDP datagram: src is ours */
	const uint8_t *embedded;      /* what is quoted of its UDP payload */
	uint32_t embedded_len;
};
/*
 * Reads an ICMP or ICMPv6 error with an embedded UDP header (RFC 792, 1191, 4443, 4884). Checks the
 * checksum, the lengths, that what is quoted was sent from the address that the error came to, and
 * that an MTU is below the size of the packet that it refuses (RFC 5927 7): more than the quote
 * can't be checked here. The caller compares the embedded tuple and, as far as it is quoted, the
 * branch with what it has sent, limits the rate, and keeps a floor of its own under the path MTU.
 * Returns false where it is anything else.
 */
bool net_icmp_parse(const uint8_t *data, const struct net_frame *frame, struct net_icmp *out);
