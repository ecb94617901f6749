/* SPDX-License-Identifier: BSD-3-Clause */
#include "unit.h"

#include "net/template.h"
#include "net/wire.h"

#define MACS "02 00 00 00 00 01  02 00 00 00 00 02 "
#define V4 MACS "08 00 "
#define V6 MACS "86 dd "
/* 192.0.2.1 to 192.0.2.2; 2001:db8::1 to 2001:db8::2. */
#define A4 "c0 00 02 01  c0 00 02 02 "
#define A6 "20 01 0d b8 00*11 01  20 01 0d b8 00*11 02 "
/* UDP 5060 to 5062 with checksum 1234, and four bytes. */
#define UDP "13 c4 13 c6 00 0c 12 34 " DATA
#define DATA "61 62 63 64 "
#define V4_UDP "45 00 00 20 00 01 40 00 40 11 00 00 " A4 UDP
#define V6_UDP "60 00 00 00 00 0c 11 40 " A6 UDP

struct row {
	const char *name, *frame;
	enum net_kind kind;
	enum net_reason reason;
};

#define GOOD(name, frame) \
	{ \
		name, frame, NET_UDP, NET_REASON_NONE \
	}
#define KIND(name, kind, frame) \
	{ \
		name, frame, kind, NET_REASON_NONE \
	}
#define BAD(name, reason, frame) \
	{ \
		name, frame, NET_BAD, NET_REASON_##reason \
	}

/* reliability 4e by its rows N2, N4, N5, N6; checksums are not looked at here. */
static const struct row rows[] = {
	GOOD("IPv4", V4 V4_UDP),
	GOOD("IPv6", V6 V6_UDP),
	GOOD("padded to 60 bytes", V4 V4_UDP "00*14"),
	GOOD("one tag", MACS "81 00 00 64 08 00 " V4_UDP),
	GOOD("priority tag", MACS "81 00 a0 00 08 00 " V4_UDP),
	GOOD("two tags", MACS "88 a8 00 05 81 00 00 64 86 dd " V6_UDP),
	BAD("three tags", VLAN_DEPTH, MACS "81 00 00 01 81 00 00 02 81 00 00 03 08 00 " V4_UDP),
	BAD("truncated tag", FRAME_SHORT, MACS "81 00 00 64 08"),
	BAD("truncated second tag", FRAME_SHORT, MACS "88 a8 00 05 81 00 00 64"),
	BAD("tag and nothing", FRAME_SHORT, MACS "81 00 00 64 08 00"),
	BAD("empty frame", FRAME_SHORT, ""),
	BAD("13 bytes", FRAME_SHORT, MACS "08"),
	BAD("no IP header", FRAME_SHORT, V4),
	BAD("19 bytes of IPv4", FRAME_SHORT, V4 "45 00*18"),
	BAD("39 bytes of IPv6", FRAME_SHORT, V6 "60 00*38"),
	KIND("ARP", NET_OTHER, MACS "08 06 00 01 08 00 06 04 00 01"),
	KIND("802.3 length", NET_OTHER, MACS "00 26 42 42 03 00*35"),
	BAD("version 6 in 0800", IP_VERSION, V4 "60 00 00 00 00 0c 11 40 " A6 UDP),
	BAD("version 4 in 86dd", IP_VERSION, V6 V4_UDP "00*20"),
	BAD("version 0", IP_VERSION, V4 "05 00 00 20 00 01 40 00 40 11 00 00 " A4 UDP),
	BAD("IHL 4", IP_HEADER, V4 "44 00 00 20 00 01 40 00 40 11 00 00 " A4 UDP),
	BAD("IHL 0", IP_HEADER, V4 "40 00 00 20 00 01 40 00 40 11 00 00 " A4 UDP),
	BAD("IHL past the frame", IP_HEADER, V4 "4f 00 00 20 00 01 40 00 40 11 00 00 " A4 UDP),
	BAD("total below IHL", IP_LENGTH, V4 "45 00 00 13 00 01 40 00 40 11 00 00 " A4 UDP),
	BAD("IHL above total", IP_LENGTH, V4 "46 00 00 17 00 01 40 00 40 11 00 00 " A4 UDP),
	BAD("total past the frame", IP_LENGTH, V4 "45 00 00 21 00 01 40 00 40 11 00 00 " A4 UDP),
	BAD("total 65535", IP_LENGTH, V4 "45 00 ff ff 00 01 40 00 40 11 00 00 " A4 UDP),
	BAD("IPv6 payload past the frame", IP_LENGTH, V6 "60 00 00 00 00 0d 11 40 " A6 UDP),
	BAD("no UDP header", UDP_LENGTH, V4 "45 00 00 1b 00 01 40 00 40 11 00 00 " A4 UDP),
	BAD("UDP length 7", UDP_LENGTH,
		V4 "45 00 00 20 00 01 40 00 40 11 00 00 " A4 "13 c4 13 c6 00 07 12 34 " DATA),
	BAD("UDP length 0", UDP_LENGTH,
		V6 "60 00 00 00 00 0c 11 40 " A6 "13 c4 13 c6 00 00 12 34 " DATA),
	BAD("UDP past IP", UDP_LENGTH,
		V4 "45 00 00 20 00 01 40 00 40 11 00 00 " A4 "13 c4 13 c6 00 0d 12 34 " DATA "65"),
	GOOD("UDP length 8",
		V4 "45 00 00 20 00 01 40 00 40 11 00 00 " A4 "13 c4 13 c6 00 08 12 34 " DATA),
	BAD("port 0", UDP_PORT,
		V4 "45 00 00 20 00 01 40 00 40 11 00 00 " A4 "13 c4 00 00 00 0c 12 34 " DATA),
	GOOD("source port 0",
		V4 "45 00 00 20 00 01 40 00 40 11 00 00 " A4 "00 00 13 c4 00 0c 12 34 " DATA),
	GOOD("IPv4 without checksum",
		V4 "45 00 00 20 00 01 40 00 40 11 00 00 " A4 "13 c4 13 c6 00 0c 00 00 " DATA),
	BAD("IPv6 without checksum", UDP_CHECKSUM,
		V6 "60 00 00 00 00 0c 11 40 " A6 "13 c4 13 c6 00 0c 00 00 " DATA),
	/* sources */
	BAD("from a group", IP_SOURCE,
		V4 "45 00 00 20 00 01 40 00 40 11 00 00 e0 00 00 01 c0 00 02 02 " UDP),
	BAD("from broadcast", IP_SOURCE,
		V4 "45 00 00 20 00 01 40 00 40 11 00 00 ff*4 c0 00 02 02 " UDP),
	BAD("from loopback", IP_SOURCE,
		V4 "45 00 00 20 00 01 40 00 40 11 00 00 7f 00 00 01 c0 00 02 02 " UDP),
	BAD("from nobody", IP_SOURCE,
		V4 "45 00 00 20 00 01 40 00 40 11 00 00 00*4 c0 00 02 02 " UDP),
	GOOD("DHCP discover",
		V4 "45 00 00 20 00 01 00 00 40 11 00 00 00*4 ff*4 00 44 00 43 00 0c 12 34 " DATA),
	BAD("from ::1", IP_SOURCE, V6 "60 00 00 00 00 0c 11 40 00*15 01 20 01 0d b8 00*11 02 " UDP),
	BAD("from ff02::1", IP_SOURCE,
		V6 "60 00 00 00 00 0c 11 40 ff 02 00*13 01 20 01 0d b8 00*11 02 " UDP),
	BAD("from ::", IP_SOURCE, V6 "60 00 00 00 00 0c 11 40 00*16 20 01 0d b8 00*11 02 " UDP),
	BAD("from ::ffff:192.0.2.1", IP_SOURCE,
		V6 "60 00 00 00 00 0c 11 40 00*10 ff ff c0 00 02 01 20 01 0d b8 00*11 02 " UDP),
	KIND("duplicate address detection, from ::", NET_ICMP,
		V6 "60 00 00 00 00 08 3a ff 00*16 ff 02 00*13 01 87 00*7"),
	/* IPv4 options */
	GOOD("router alert and end",
		V4 "47 00 00 28 00 01 40 00 40 11 00 00 " A4 "94 04 00 00 01 00 ff ff " UDP),
	BAD("loose source route", IP_ROUTING_HEADER,
		V4 "47 00 00 28 00 01 40 00 40 11 00 00 " A4 "83 07 04 01 02 03 04 00 " UDP),
	BAD("strict source route behind nop", IP_ROUTING_HEADER,
		V4 "47 00 00 28 00 01 40 00 40 11 00 00 " A4 "01 89 07 04 01 02 03 04 " UDP),
	BAD("option longer than the header", IP_HEADER,
		V4 "46 00 00 24 00 01 40 00 40 11 00 00 " A4 "07 05 00 00 " UDP),
	BAD("option of length 1", IP_HEADER,
		V4 "46 00 00 24 00 01 40 00 40 11 00 00 " A4 "07 01 00 00 " UDP),
	BAD("option of length 0", IP_HEADER,
		V4 "46 00 00 24 00 01 40 00 40 11 00 00 " A4 "07 00 00 00 " UDP),
	BAD("option without length", IP_HEADER,
		V4 "46 00 00 24 00 01 40 00 40 11 00 00 " A4 "01 01 01 07 " UDP),
	/* what is above IP */
	KIND("TCP", NET_OTHER, V4 "45 00 00 20 00 01 40 00 40 06 00 00 " A4 UDP),
	KIND("ICMP", NET_ICMP, V4 "45 00 00 20 00 01 40 00 40 01 00 00 " A4 UDP),
	KIND("ICMP's number in IPv6", NET_OTHER, V6 "60 00 00 00 00 0c 01 40 " A6 UDP),
	KIND("ICMPv6's number in IPv4", NET_OTHER,
		V4 "45 00 00 20 00 01 40 00 40 3a 00 00 " A4 UDP),
	KIND("IPv6 no next header", NET_OTHER, V6 "60 00 00 00 00 00 3b 40 " A6),
	KIND("ESP", NET_OTHER, V6 "60 00 00 00 00 0c 32 40 " A6 UDP),
	KIND("AH", NET_OTHER, V6 "60 00 00 00 00 0c 33 40 " A6 UDP),
	/* IPv4 fragments */
	KIND("first fragment", NET_FRAGMENT, V4 "45 00 00 24 00 07 20 00 40 11 00 00 " A4 "00*16"),
	KIND("last fragment, one byte", NET_FRAGMENT,
		V4 "45 00 00 15 00 07 00 02 40 11 00 00 " A4 "00"),
	KIND("last fragment, padded", NET_FRAGMENT,
		V4 "45 00 00 15 00 07 00 02 40 11 00 00 " A4 "00*26"),
	KIND("first fragment of 8 bytes", NET_FRAGMENT,
		V4 "45 00 00 1c 00 07 20 00 40 11 00 00 " A4 "00*8"),
	BAD("empty fragment", FRAGMENT_SIZE, V4 "45 00 00 14 00 07 20 00 40 11 00 00 " A4 "00*26"),
	BAD("empty last fragment", FRAGMENT_SIZE, V4 "45 00 00 14 00 07 00 09 40 11 00 00 " A4),
	BAD("12 bytes and more", FRAGMENT_SIZE,
		V4 "45 00 00 20 00 07 20 00 40 11 00 00 " A4 "00*12"),
	KIND("up to 65,535", NET_FRAGMENT, V4 "45 00 00 17 00 07 1f fd 40 11 00 00 " A4 "00*3"),
	BAD("up to 65,536", FRAGMENT_SIZE, V4 "45 00 00 18 00 07 1f fd 40 11 00 00 " A4 "00*4"),
	BAD("ping of death", FRAGMENT_SIZE, V4 "45 00 03 fc 00 07 1f ff 40 11 00 00 " A4 "00*1000"),
	BAD("fragment from nobody", IP_SOURCE,
		V4 "45 00 00 1c 00 00 20 00 40 11 00 00 00*4 c0 00 02 02 00*8"),
	KIND("fragment of ping", NET_OTHER, V4 "45 00 00 1c 00 07 20 00 40 01 00 00 " A4 "00*8"),
	KIND("fragment of TCP", NET_OTHER, V4 "45 00 00 1c 00 07 00 01 40 06 00 00 " A4 "00*8"),
	/* IPv6 extension headers */
	GOOD("hop-by-hop with router alert",
		V6 "60 00 00 00 00 14 00 40 " A6 "11 00 05 02 00 00 01 00 " UDP),
	GOOD("destination options twice",
		V6 "60 00 00 00 00 1c 3c 40 " A6 "3c 00 01 04 00*4 11 00 01 04 00*4 " UDP),
	GOOD("8 headers",
		V6 "60 00 00 00 00 4c 3c 40 " A6 "3c 00 00*6 3c 00 00*6 3c 00 00*6 3c 00 00*6 3c "
		   "00 00*6 3c 00 00*6 3c 00 00*6 11 00 00*6 " UDP),
	BAD("9 headers", IP_EXTENSIONS,
		V6 "60 00 00 00 00 54 3c 40 " A6
		   "3c 00 00*6 3c 00 00*6 3c 00 00*6 3c 00 00*6 3c 00 00*6 3c 00 00*6 3c 00 00*6 "
		   "3c 00 00*6 11 00 00*6 " UDP),
	BAD("hop-by-hop not first", IP_EXTENSIONS,
		V6 "60 00 00 00 00 1c 3c 40 " A6 "00 00 00*6 11 00 00*6 " UDP),
	BAD("header cut off", IP_EXTENSIONS, V6 "60 00 00 00 00 07 3c 40 " A6 "11 00 00*5"),
	BAD("header longer than the packet", IP_EXTENSIONS,
		V6 "60 00 00 00 00 14 3c 40 " A6 "11 02 00*6 " UDP),
	BAD("option longer than its header", IP_EXTENSIONS,
		V6 "60 00 00 00 00 14 3c 40 " A6 "11 00 01 05 00*4 " UDP),
	BAD("option without length", IP_EXTENSIONS,
		V6 "60 00 00 00 00 14 3c 40 " A6 "11 00 01 03 00*3 01 " UDP),
	BAD("unknown option that asks to drop", IP_EXTENSIONS,
		V6 "60 00 00 00 00 14 3c 40 " A6 "11 00 de 04 00*4 " UDP),
	KIND("the same to the kernel", NET_OTHER,
		V6 "60 00 00 00 00 14 3c 40 " A6 "06 00 de 04 00*4 " UDP),
	GOOD("unknown option to skip", V6 "60 00 00 00 00 14 3c 40 " A6 "11 00 1e 04 00*4 " UDP),
	BAD("jumbogram", IP_LENGTH,
		V6 "60 00 00 00 00 00 00 40 " A6 "11 00 c2 04 00 01 00 00 " UDP),
	BAD("jumbo option in a small packet", IP_LENGTH,
		V6 "60 00 00 00 00 14 00 40 " A6 "11 00 c2 04 00 01 00 00 " UDP),
	BAD("routing type 0", IP_ROUTING_HEADER,
		V6 "60 00 00 00 00 14 2b 40 " A6 "11 00 00 00 00*4 " UDP),
	BAD("routing on the way", IP_ROUTING_HEADER,
		V6 "60 00 00 00 00 14 2b 40 " A6 "11 00 04 01 00*4 " UDP),
	GOOD("routing that has arrived", V6 "60 00 00 00 00 14 2b 40 " A6 "11 00 04 00 00*4 " UDP),
	KIND("MLD behind hop-by-hop", NET_ICMP,
		V6 "60 00 00 00 00 10 00 01 " A6 "3a 00 05 02 00*4 8f 00*7"),
	/* IPv6 fragments */
	GOOD("atomic fragment", V6 "60 00 00 00 00 14 2c 40 " A6 "11 00 00 00 de ad be ef " UDP),
	GOOD("atomic fragment behind options",
		V6 "60 00 00 00 00 1c 3c 40 " A6 "2c 00 00*6 11 00 00 00 de ad be ef " UDP),
	GOOD("options behind an atomic fragment",
		V6 "60 00 00 00 00 1c 2c 40 " A6 "3c 00 00 00 de ad be ef 11 00 00*6 " UDP),
	BAD("atomic fragment twice", IP_EXTENSIONS,
		V6 "60 00 00 00 00 1c 2c 40 " A6 "2c 00 00*6 11 00 00*6 " UDP),
	KIND("first", NET_FRAGMENT,
		V6 "60 00 00 00 00 18 2c 40 " A6 "11 00 00 01 de ad be ef 00*16"),
	KIND("last", NET_FRAGMENT, V6 "60 00 00 00 00 09 2c 40 " A6 "11 00 00 08 de ad be ef 00"),
	BAD("empty", FRAGMENT_SIZE, V6 "60 00 00 00 00 08 2c 40 " A6 "11 00 00 09 de ad be ef"),
	BAD("9 bytes and more", FRAGMENT_SIZE,
		V6 "60 00 00 00 00 11 2c 40 " A6 "11 00 00 09 de ad be ef 00*9"),
	KIND("payload up to 65,535", NET_FRAGMENT,
		V6 "60 00 00 00 00 0f 2c 40 " A6 "11 00 ff f8 de ad be ef 00*7"),
	BAD("payload up to 65,536", FRAGMENT_SIZE,
		V6 "60 00 00 00 00 10 2c 40 " A6 "11 00 ff f8 de ad be ef 00*8"),
	BAD("payload with options up to 65,536", FRAGMENT_SIZE,
		V6 "60 00 00 00 00 18 3c 40 " A6 "2c 00 00*6 11 00 ff f0 de ad be ef 00*8"),
	BAD("header cut off", IP_EXTENSIONS,
		V6 "60 00 00 00 00 07 2c 40 " A6 "11 00 00 01 de ad be"),
	/* RFC 7112: the whole header chain in the first fragment. */
	KIND("options, then UDP", NET_FRAGMENT,
		V6 "60 00 00 00 00 18 2c 40 " A6 "3c 00 00 01 de ad be ef 11 00 00*6 00*8"),
	BAD("options, UDP in the next", IP_EXTENSIONS,
		V6 "60 00 00 00 00 10 2c 40 " A6 "3c 00 00 01 de ad be ef 11 00 00*6"),
	BAD("options go on in the next", IP_EXTENSIONS,
		V6 "60 00 00 00 00 10 2c 40 " A6 "3c 00 00 01 de ad be ef 11 01 00*6"),
	BAD("fragment in a fragment", IP_EXTENSIONS,
		V6 "60 00 00 00 00 20 2c 40 " A6 "2c 00 00 01 de ad be ef 11 00 00 01 00*4 00*16"),
	BAD("routing type 0 inside", IP_ROUTING_HEADER,
		V6 "60 00 00 00 00 20 2c 40 " A6 "2b 00 00 01 de ad be ef 11 00 00*6 00*16"),
	BAD("refused option inside", IP_EXTENSIONS,
		V6 "60 00 00 00 00 18 2c 40 " A6 "3c 00 00 01 de ad be ef 11 00 c2 04 00*4 00*8"),
	KIND("options, then TCP", NET_OTHER,
		V6 "60 00 00 00 00 18 2c 40 " A6 "3c 00 00 01 de ad be ef 06 00 00*6 00*8"),
	KIND("fragment of ping", NET_OTHER,
		V6 "60 00 00 00 00 10 2c 40 " A6 "3a 00 00 01 de ad be ef 00*8"),
	BAD("refused option before", IP_EXTENSIONS,
		V6 "60 00 00 00 00 18 3c 40 " A6 "2c 00 c4 04 00*4 11 00 00 08 de ad be ef 00*8"),
	BAD("from ::", IP_SOURCE,
		V6
		"60 00 00 00 00 10 2c 40 00*16 20 01 0d b8 00*11 02 11 00 00 01 de ad be ef 00*8"),
};

static const char *reason_name(enum net_reason reason)
{
	static const char *const names[] = {"none",
#define NET_REASON(id, name) name,
		NET_REASONS(NET_REASON)
#undef NET_REASON
	};

	return names[reason];
}

static struct bytes read_row(const char *text)
{
	static uint8_t buffer[70000];
	uint32_t len = hex_read(text, buffer);

	return bytes_new(buffer, len);
}

/* Nothing that a frame says of itself leads past its end. */
static void check_bounds(const struct net_frame *f, uint32_t len)
{
	assert_true(f->l3_off <= len && f->l3_len <= len - f->l3_off);
	if (f->kind == NET_UDP || f->kind == NET_FRAGMENT || f->kind == NET_ICMP) {
		assert_true(f->l4_off >= f->l3_off);
		assert_true(f->l4_off + f->l4_len == f->l3_off + f->l3_len);
	}
	if (f->kind == NET_UDP) {
		assert_int_equal(f->payload_off, f->l4_off + NET_UDP_LEN);
		assert_true(f->payload_off + f->payload_len <= f->l4_off + f->l4_len);
	}
}

static void test_each_frame_is_what_it_is(void **state)
{
	bool seen[NET_REASON_COUNT] = {false};
	unsigned wrong = 0;

	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct bytes b = read_row(rows[i].frame);
		struct net_frame f;
		enum net_kind kind = net_frame_parse(b.p, b.len, false, &f);

		assert_int_equal(kind, f.kind);
		if (kind != NET_BAD)
			assert_int_equal(f.reason, NET_REASON_NONE);
		if (kind != rows[i].kind || f.reason != rows[i].reason) {
			print_error("\"%s\": kind %d, %s; should be kind %d, %s\n", rows[i].name,
				kind, reason_name(f.reason), rows[i].kind,
				reason_name(rows[i].reason));
			wrong++;
		}
		check_bounds(&f, b.len);
		seen[f.reason] = true;
		bytes_free(&b);
	}
	assert_int_equal(wrong, 0);
	/* The checksum has a test of its own below. */
	seen[NET_REASON_IP_CHECKSUM] = true;
	for (unsigned r = 0; r < NET_REASON_COUNT; r++)
		if (!seen[r])
			fail_msg("no frame is refused for %s", reason_name(r));
}

/* Every row cut short at every byte: no read past the end, and nothing found beyond it. */
static void test_no_prefix_of_a_frame_is_read_past_its_end(void **state)
{
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct bytes whole = read_row(rows[i].frame);

		for (uint32_t len = 0; len <= whole.len; len++) {
			struct bytes b = bytes_new(whole.p, len);
			struct net_frame f;

			net_frame_parse(b.p, len, true, &f);
			check_bounds(&f, len);
			if (len > NET_ETHER_LEN) {
				net_packet_parse(b.p + NET_ETHER_LEN, len - NET_ETHER_LEN, &f);
				check_bounds(&f, len - NET_ETHER_LEN);
			}
			bytes_free(&b);
		}
		bytes_free(&whole);
	}
}

/* Bytes changed at random: whatever comes out stays inside. */
static void test_no_altered_frame_leads_past_its_end(void **state)
{
	uint64_t seed = 11;

	for (unsigned round = 0; round < 200; round++)
		for (unsigned i = 0; i < COUNT(rows); i++) {
			struct bytes b = read_row(rows[i].frame);
			struct net_frame f;

			for (unsigned n = random_below(&seed, 4); n > 0 && b.len > 0; n--)
				b.p[random_below(&seed, b.len)] = (uint8_t)random_next(&seed);
			net_frame_parse(b.p, b.len, false, &f);
			check_bounds(&f, b.len);
			bytes_free(&b);
		}
}

static void assert_same_frame(const struct net_frame *a, const struct net_frame *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->reason, b->reason);
	assert_int_equal(a->multicast_mac, b->multicast_mac);
	assert_int_equal(a->vlan_count, b->vlan_count);
	assert_int_equal(a->ether_type, b->ether_type);
	assert_int_equal(a->l3_off, b->l3_off);
	assert_int_equal(a->l3_len, b->l3_len);
	assert_int_equal(a->family, b->family);
	assert_int_equal(a->protocol, b->protocol);
	assert_int_equal(a->l4_off, b->l4_off);
	assert_int_equal(a->l4_len, b->l4_len);
	assert_int_equal(a->payload_off, b->payload_off);
	assert_int_equal(a->payload_len, b->payload_len);
	assert_memory_equal(&a->src, &b->src, sizeof(a->src));
	assert_memory_equal(&a->dst, &b->dst, sizeof(a->dst));
	assert_int_equal(a->ttl, b->ttl);
	assert_int_equal(a->tos, b->tos);
	assert_int_equal(a->udp_checksum, b->udp_checksum);
	assert_int_equal(a->frag_id, b->frag_id);
	assert_int_equal(a->frag_off, b->frag_off);
	assert_int_equal(a->frag_more, b->frag_more);
	assert_int_equal(a->frag_next_off, b->frag_next_off);
}

/* The shortcut for the most common frames says what the walk says, also of what is nearly such a
 * frame: one byte of it changed, and cut at any byte. */
static void test_shortcut_says_what_the_walk_says(void **state)
{
	static const char *const common[] = {V4 V4_UDP, V6 V6_UDP, V4 V4_UDP "00*14",
		V4 "45 b8 00 20 00 01 40 00 3f 11 f6 11 " A4 UDP,
		V6 "6b 80 00 00 00 0c 11 3f " A6 UDP "00*3"};
	uint32_t udp = 0;

	for (unsigned i = 0; i < COUNT(common); i++) {
		struct bytes whole = read_row(common[i]);

		for (uint32_t at = 0; at < whole.len; at++)
			for (unsigned value = 0; value < 512; value++) {
				uint32_t len = value < 256 ? whole.len : at;
				struct bytes b = bytes_new(whole.p, len);
				struct net_frame fast, slow;

				memset(&fast, 0xa5, sizeof(fast));
				if (value < 256)
					b.p[at] = (uint8_t)value;
				net_frame_parse(b.p, len, value % 2 == 0, &fast);
				wire_frame_parse(b.p, len, value % 2 == 0, &slow);
				assert_same_frame(&fast, &slow);
				udp += fast.kind == NET_UDP;
				bytes_free(&b);
				if (value >= 257)
					break;
			}
		bytes_free(&whole);
	}
	assert_true(udp > 1000);
}

static void test_the_ip_checksum_is_verified_where_asked(void **state)
{
	static const char frame[] = V4 "45 00 00 20 00 01 40 00 40 11 b6 c8 " A4 UDP;
	struct bytes b = read_row(frame);
	struct net_frame f;

	assert_int_equal(net_frame_parse(b.p, b.len, true, &f), NET_UDP);
	for (uint32_t bit = 0; bit < NET_IPV4_LEN * 8; bit++) {
		enum net_kind kind;

		b.p[NET_ETHER_LEN + bit / 8] ^= (uint8_t)(1 << bit % 8);
		kind = net_frame_parse(b.p, b.len, true, &f);
		assert_int_equal(kind, NET_BAD);
		/* The version and the lengths are judged before. */
		if (bit / 8 >= 4)
			assert_int_equal(f.reason, NET_REASON_IP_CHECKSUM);
		b.p[NET_ETHER_LEN + bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	b.p[NET_ETHER_LEN + 8] ^= 1;
	assert_int_equal(net_frame_parse(b.p, b.len, false, &f), NET_UDP);
	bytes_free(&b);
}

static void test_fields_are_those_of_the_frame(void **state)
{
	struct bytes b =
		read_row("01 00 5e 00 00 01  02 00 00 00 00 02 88 a8 e0 05 81 00 00 64 08 00 "
			 "46 b8 00 28 00 01 40 00 3f 11 00 00 " A4 "01*4 "
			 "13 c4 13 c6 00 0c 12 34 " DATA "65 66 67 68 00*6");
	struct net_frame f;
	char text[NET_ENDPOINT_TEXT_MAX];

	assert_int_equal(net_frame_parse(b.p, b.len, false, &f), NET_UDP);
	assert_true(f.multicast_mac);
	assert_int_equal(f.family, 4);
	assert_int_equal(f.protocol, 17);
	assert_int_equal(f.vlan_count, 2);
	assert_int_equal(f.vlan[0], 0xe005);
	assert_int_equal(f.vlan_type[0], 0x88a8);
	assert_int_equal(f.vlan[1], 100);
	assert_int_equal(f.vlan_type[1], 0x8100);
	assert_int_equal(f.ether_type, 0x0800);
	assert_int_equal(f.l3_off, 22);
	assert_int_equal(f.l3_len, 40);
	assert_int_equal(f.l4_off, 46);
	assert_int_equal(f.l4_len, 16);
	assert_int_equal(f.payload_off, 54);
	assert_int_equal(f.payload_len, 4);
	assert_int_equal(f.ttl, 63);
	assert_int_equal(f.tos, 0xb8);
	assert_int_equal(f.udp_checksum, 0x3412);
	net_endpoint_format(&f.src, text);
	assert_string_equal(text, "192.0.2.1:5060");
	net_endpoint_format(&f.dst, text);
	assert_string_equal(text, "192.0.2.2:5062");
	bytes_free(&b);

	b = read_row(V6 "60 00 00 00 00 18 3c 40 " A6 "2c 00 00*6 11 00 05 a9 de ad be ef 00*8");
	assert_int_equal(net_frame_parse(b.p, b.len, false, &f), NET_FRAGMENT);
	assert_int_equal(f.frag_id, 0xdeadbeef);
	assert_int_equal(f.frag_off, 0x5a8);
	assert_true(f.frag_more);
	assert_int_equal(f.frag_next_off, NET_ETHER_LEN + NET_IPV6_LEN);
	assert_int_equal(f.l4_off, NET_ETHER_LEN + NET_IPV6_LEN + 16);
	assert_int_equal(f.l4_len, 8);
	assert_false(f.multicast_mac);
	bytes_free(&b);
}

/*
 * What is written reads back, at every number of tags, in both families, up to the largest
 * datagram.
 */
static void test_written_headers_read_back(void **state)
{
	static uint8_t frame[66000];
	static const uint32_t lengths[] = {0, 1, 900, 1472, 65507};
	uint64_t seed = 13;

	for (unsigned i = 0; i < 2 * 3 * COUNT(lengths); i++) {
		struct net_header h = {
			.dst_mac = {2, 0, 0, 0, 0, 1}, .src_mac = {2, 0, 0, 0, 0, 2}};
		uint32_t len = lengths[i / 6];
		uint8_t b[16] = {0x20, 1, 0xd, 0xb8, [15] = 1},
			b2[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};
		struct net_frame f;
		struct bytes copy;

		h.vlan_count = (uint8_t)(i % 3);
		h.vlan[0] = (uint16_t)random_next(&seed);
		h.vlan[1] = (uint16_t)random_next(&seed);
		h.src = (struct net_endpoint){.port = 5060};
		h.dst = (struct net_endpoint){.port = (uint16_t)(1 + random_below(&seed, 65535))};
		h.src.addr = i % 2 == 0 ? net_addr_v4(htobe32(0xc0000201)) : net_addr_v6(b);
		h.dst.addr = i % 2 == 0 ? net_addr_v4(htobe32(0xc0000202)) : net_addr_v6(b2);
		h.tos = (uint8_t)random_next(&seed);
		h.ttl = (uint8_t)(i % 4 == 0 ? 0 : 9);
		h.dont_fragment = i % 5 == 0;
		h.ip_id = (uint16_t)i;
		net_header_write(&h, len, frame);
		/* IPv6 asks for a checksum. */
		frame[net_header_length(&h) - 1] = 1;
		copy = bytes_new(frame, net_header_length(&h) + len);
		assert_int_equal(net_frame_parse(copy.p, copy.len, true, &f), NET_UDP);
		assert_int_equal(f.payload_off, net_header_length(&h));
		assert_int_equal(f.payload_len, len);
		assert_true(net_endpoint_equal(&f.src, &h.src));
		assert_true(net_endpoint_equal(&f.dst, &h.dst));
		assert_int_equal(f.tos, h.tos);
		assert_int_equal(f.ttl, h.ttl != 0 ? h.ttl : 64);
		assert_int_equal(f.vlan_count, h.vlan_count);
		assert_memory_equal(f.vlan, h.vlan, 2U * h.vlan_count);
		if (h.vlan_count == 2)
			assert_int_equal(f.vlan_type[0], 0x88a8);
		if (h.vlan_count > 0)
			assert_int_equal(f.vlan_type[h.vlan_count - 1], 0x8100);
		assert_memory_equal(copy.p, h.dst_mac, 6);
		assert_memory_equal(copy.p + 6, h.src_mac, 6);
		bytes_free(&copy);
	}
}

/* N6: a reply goes out with the very tags that came in, also where two of 0x8100 stand. */
static void test_a_reply_keeps_the_tags(void **state)
{
	struct bytes b = read_row(MACS "81 00 60 05 81 00 00 00 08 00 " V4_UDP);
	struct net_frame f;
	struct net_header h = {.vlan_count = 2};
	uint8_t out[64];

	assert_int_equal(net_frame_parse(b.p, b.len, false, &f), NET_UDP);
	memcpy(h.vlan, f.vlan, sizeof(h.vlan));
	memcpy(h.vlan_type, f.vlan_type, sizeof(h.vlan_type));
	h.src = f.dst;
	h.dst = f.src;
	assert_int_equal(net_header_length(&h), f.payload_off);
	net_header_write(&h, 0, out);
	assert_memory_equal(out + 12, b.p + 12, 10);
	bytes_free(&b);
}

static void test_a_bare_packet_is_read_as_in_a_frame(void **state)
{
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct bytes b = read_row(rows[i].frame);
		struct net_frame f, p;

		net_frame_parse(b.p, b.len, false, &f);
		if ((f.ether_type == 0x0800 || f.ether_type == 0x86dd) &&
			f.reason != NET_REASON_IP_VERSION && b.len > f.l3_off) {
			net_packet_parse(b.p + f.l3_off, b.len - f.l3_off, &p);
			assert_int_equal(p.kind, f.kind);
			assert_int_equal(p.reason, f.reason);
			assert_int_equal(p.payload_len, f.payload_len);
			assert_true(net_endpoint_equal(&p.src, &f.src));
		}
		bytes_free(&b);
	}
	struct net_frame p;
	uint8_t zero = 0;

	assert_int_equal(net_packet_parse(&zero, 0, &p), NET_BAD);
	assert_int_equal(p.reason, NET_REASON_FRAME_SHORT);
	assert_int_equal(net_packet_parse(&zero, 1, &p), NET_BAD);
	assert_int_equal(p.reason, NET_REASON_IP_VERSION);
}

/* The template writes what net_header_write() writes, and sums as net_udp_checksum() does, for any
 * tags, family and length. */
static void test_template_writes_the_same_headers(void **state)
{
	static uint8_t frame[66000], want[100], room[66000];
	uint64_t seed = 23;

	for (uint32_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)random_next(&seed);
	for (unsigned round = 0; round < 3000; round++) {
		struct net_header h = {.src.port = (uint16_t)random_next(&seed),
			.dst.port = (uint16_t)random_next(&seed),
			.vlan_count = (uint8_t)(round % 3),
			.vlan = {(uint16_t)random_next(&seed), 7},
			.tos = (uint8_t)random_next(&seed),
			.ttl = (uint8_t)random_next(&seed),
			.ip_id = (uint16_t)random_next(&seed)};
		uint32_t len = random_below(&seed, round % 10 == 0 ? 65000 : 1500), front;
		uint8_t *payload = room + NET_TEMPLATE_ROOM;
		struct net_template t;
		uint8_t a[16], b[16];

		for (unsigned i = 0; i < 16; i++) {
			a[i] = (uint8_t)random_next(&seed);
			b[i] = round % 7 == 0 ? 0xff : (uint8_t)random_next(&seed);
		}
		memcpy(h.dst_mac, a, 6);
		memcpy(h.src_mac, b, 6);
		h.src.addr =
			round % 2 == 0 ? net_addr_v4((uint32_t)random_next(&seed)) : net_addr_v6(a);
		h.dst.addr =
			round % 2 == 0 ? net_addr_v4((uint32_t)random_next(&seed)) : net_addr_v6(b);
		front = net_header_length(&h);
		net_header_write(&h, len, want);
		net_template_make(&h, &t);
		memcpy(payload, frame, len);
		net_template_write(&t, h.dst_mac, &h.dst, len, payload);
		assert_int_equal(t.length, front);
		assert_memory_equal(payload - front, want, front);
		assert_memory_equal(payload, frame, len);
		assert_int_equal(net_template_checksum(&t, &h.dst.addr, payload - 8, len + 8),
			net_udp_checksum(&h.src.addr, &h.dst.addr, payload - 8, len + 8));
		assert_int_equal(net_template_pseudo_checksum(&t, &h.dst.addr, len + 8),
			net_udp_pseudo_checksum(&h.src.addr, &h.dst.addr, len + 8));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_frame_is_what_it_is),
		cmocka_unit_test(test_no_prefix_of_a_frame_is_read_past_its_end),
		cmocka_unit_test(test_no_altered_frame_leads_past_its_end),
		cmocka_unit_test(test_shortcut_says_what_the_walk_says),
		cmocka_unit_test(test_template_writes_the_same_headers),
		cmocka_unit_test(test_the_ip_checksum_is_verified_where_asked),
		cmocka_unit_test(test_fields_are_those_of_the_frame),
		cmocka_unit_test(test_written_headers_read_back),
		cmocka_unit_test(test_a_reply_keeps_the_tags),
		cmocka_unit_test(test_a_bare_packet_is_read_as_in_a_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
