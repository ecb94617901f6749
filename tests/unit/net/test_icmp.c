/* SPDX-License-Identifier: BSD-3-Clause */
#include "unit.h"

#define MACS "02 00 00 00 00 01  02 00 00 00 00 02 "
/*
 * A router, 203.0.113.9 or 2001:db8:9::9, to us, 192.0.2.2 or 2001:db8::2; our packet went to .1.
 *
 */
#define ROUTER4 "cb 00 71 09 "
#define US4 "c0 00 02 02 "
#define PEER4 "c0 00 02 01 "
#define ROUTER6 "20 01 0d b8 00 09 00*9 09 "
#define US6 "20 01 0d b8 00*11 02 "
#define PEER6 "20 01 0d b8 00*11 01 "
#define UDP "13 c6 13 c4 05 b4 12 34 49 4e 56 49 54 45 20 73 69 70 3a 61 "

/* A quoted IPv4 packet of 1480 bytes; an IPv6 packet of 1500. */
#define IP4 "45 00 05 c8 00 01 40 00 3f 11 00 00 " US4 PEER4
#define IP6 "60 00 00 00 05 b4 11 3f " US6 PEER6

struct row {
	const char *name;
	unsigned family;
	const char *icmp; /* type, code, 00 00, ... ; the checksum is filled in */
	bool good;
	enum net_icmp_kind kind;
	uint32_t mtu;
};

static const struct row rows[] = {
	{"port unreachable", 4, "03 03 00 00 00*4 " IP4 UDP, true, NET_ICMP_UNREACHABLE, 0},
	{"host unreachable", 4, "03 01 00 00 00*4 " IP4 UDP, true, NET_ICMP_UNREACHABLE, 0},
	{"only 8 bytes quoted", 4, "03 03 00 00 00*4 " IP4 "13 c6 13 c4 05 b4 12 34", true,
		NET_ICMP_UNREACHABLE, 0},
	{"7 bytes quoted", 4, "03 03 00 00 00*4 " IP4 "13 c6 13 c4 05 b4 12", false, 0, 0},
	{"half an IP header", 4, "03 03 00 00 00*4 45 00 05 c8", false, 0, 0},
	{"nothing quoted", 4, "03 03 00 00 00*4", false, 0, 0},
	{"7 bytes of ICMP", 4, "03 03 00 00 00*3", false, 0, 0},
	{"fragmentation needed", 4, "03 04 00 00 00 00 05 78 " IP4 UDP, true, NET_ICMP_TOO_BIG,
		1400},
	{"without an MTU", 4, "03 04 00 00 00*4 " IP4 UDP, true, NET_ICMP_TOO_BIG, 0},
	{"MTU 8 counts as 68", 4, "03 04 00 00 00 00 00 08 " IP4 UDP, true, NET_ICMP_TOO_BIG, 68},
	{"MTU above the packet", 4, "03 04 00 00 00 00 05 dc " IP4 UDP, false, 0, 0},
	{"MTU of the packet", 4, "03 04 00 00 00 00 05 c8 " IP4 UDP, false, 0, 0},
	{"time exceeded", 4, "0b 00 00 00 00*4 " IP4 UDP, true, NET_ICMP_OTHER, 0},
	{"parameter problem", 4, "0c 00 00 00 09 00*3 " IP4 UDP, true, NET_ICMP_OTHER, 0},
	{"echo request", 4, "08 00 00 00 00*4 " IP4 UDP, false, 0, 0},
	{"redirect", 4, "05 01 00 00 00*4 " IP4 UDP, false, 0, 0},
	{"of TCP", 4, "03 03 00 00 00*4 45 00 05 c8 00 01 40 00 3f 06 00 00 " US4 PEER4 UDP, false,
		0, 0},
	{"of a first fragment", 4,
		"03 03 00 00 00*4 45 00 05 c8 00 01 20 00 3f 11 00 00 " US4 PEER4 UDP, true,
		NET_ICMP_UNREACHABLE, 0},
	{"of a later fragment", 4,
		"03 03 00 00 00*4 45 00 05 c8 00 01 20 01 3f 11 00 00 " US4 PEER4 UDP, false, 0, 0},
	{"not sent by us", 4, "03 03 00 00 00*4 45 00 05 c8 00 01 40 00 3f 11 00 00 " PEER4 US4 UDP,
		false, 0, 0},
	{"quoted IHL 4", 4, "03 03 00 00 00*4 44 00 05 c8 00 01 40 00 3f 11 00 00 " US4 PEER4 UDP,
		false, 0, 0},
	{"quoted IHL past the quote", 4,
		"03 03 00 00 00*4 4f 00 05 c8 00 01 40 00 3f 11 00 00 " US4 PEER4 UDP, false, 0, 0},
	{"quoted length of 20", 4,
		"03 03 00 00 00*4 45 00 00 14 00 01 40 00 3f 11 00 00 " US4 PEER4 UDP, false, 0, 0},
	{"quoted UDP length 7", 4, "03 03 00 00 00*4 " IP4 "13 c6 13 c4 00 07 12 34", false, 0, 0},
	{"quoted version 6", 4,
		"03 03 00 00 00*4 65 00 05 c8 00 01 40 00 3f 11 00 00 " US4 PEER4 UDP, false, 0, 0},
	{"quoted options", 4,
		"03 03 00 00 00*4 46 00 05 c8 00 01 40 00 3f 11 00 00 " US4 PEER4 "01*4 " UDP, true,
		NET_ICMP_UNREACHABLE, 0},
	{"v6 port unreachable", 6, "01 04 00 00 00*4 " IP6 UDP, true, NET_ICMP_UNREACHABLE, 0},
	{"v6 too big", 6, "02 00 00 00 00 00 05 78 " IP6 UDP, true, NET_ICMP_TOO_BIG, 1400},
	{"v6 MTU 68 counts as 1280", 6, "02 00 00 00 00 00 00 44 " IP6 UDP, true, NET_ICMP_TOO_BIG,
		1280},
	{"v6 MTU 0", 6, "02 00 00 00 00*4 " IP6 UDP, false, 0, 0},
	{"v6 MTU of the packet", 6, "02 00 00 00 00 00 05 dc " IP6 UDP, false, 0, 0},
	{"v6 MTU of 4 GB", 6, "02 00 00 00 ff*4 " IP6 UDP, false, 0, 0},
	{"v6 too big for 1280", 6, "02 00 00 00 00 00 00 44 60 00 00 00 04 d8 11 3f " US6 PEER6 UDP,
		false, 0, 0},
	{"v6 time exceeded", 6, "03 00 00 00 00*4 " IP6 UDP, true, NET_ICMP_OTHER, 0},
	/* The pointer is no length. */
	{"v6 parameter problem", 6, "04 01 00 00 00 00 00 28 " IP6 UDP, true, NET_ICMP_OTHER, 0},
	{"v6 echo", 6, "80 00 00 00 00*4 " IP6 UDP, false, 0, 0},
	{"v6 first fragment", 6,
		"01 04 00 00 00*4 60 00 00 00 05 b4 2c 3f " US6 PEER6
		"11 00 00 01 de ad be ef " UDP,
		true, NET_ICMP_UNREACHABLE, 0},
	{"v6 later fragment", 6,
		"01 04 00 00 00*4 60 00 00 00 05 b4 2c 3f " US6 PEER6
		"11 00 00 08 de ad be ef " UDP,
		false, 0, 0},
	{"v6 fragment header only", 6,
		"01 04 00 00 00*4 60 00 00 00 05 b4 2c 3f " US6 PEER6 "11 00 00 01 de ad be ef",
		false, 0, 0},
	{"v6 TCP", 6, "01 04 00 00 00*4 60 00 00 00 05 b4 06 3f " US6 PEER6 UDP, false, 0, 0},
	{"v6 with options", 6, "01 04 00 00 00*4 60 00 00 00 05 b4 3c 3f " US6 PEER6 "11 00*7 " UDP,
		false, 0, 0},
	{"v6 half a header", 6, "01 04 00 00 00*4 60 00 00 00 05 b4 11 3f " US6, false, 0, 0},
	{"v6 not sent by us", 6, "01 04 00 00 00*4 60 00 00 00 05 b4 11 3f " PEER6 US6 UDP, false,
		0, 0},
};

/* The frame around an ICMP text, checksum right. */
static struct bytes build(unsigned family, const char *icmp)
{
	static uint8_t frame[70000];
	uint32_t n, len;
	uint64_t sum = 0;
	uint16_t field;

	n = hex_read(family == 4 ? MACS "08 00 45 00 00 00 00 01 00 00 40 01 00 00 " ROUTER4 US4
				 : MACS "86 dd 60 00 00 00 00 00 3a 40 " ROUTER6 US6,
		frame);
	len = hex_read(icmp, frame + n);
	if (family == 4) {
		frame[14 + 2] = (uint8_t)((20 + len) >> 8);
		frame[14 + 3] = (uint8_t)(20 + len);
	} else {
		frame[14 + 4] = (uint8_t)(len >> 8);
		frame[14 + 5] = (uint8_t)len;
		sum = net_checksum_add(0, frame + 14 + 8, 32);
		sum += htobe32(len) + htobe16(58);
	}
	field = net_checksum_fold(net_checksum_add(sum, frame + n, len));
	memcpy(frame + n + 2, &field, 2);
	return bytes_new(frame, n + len);
}

static bool parse(const struct bytes *b, struct net_icmp *out)
{
	struct net_frame f;

	assert_int_equal(net_frame_parse(b->p, b->len, false, &f), NET_ICMP);
	return net_icmp_parse(b->p, &f, out);
}

static void test_each_error_says_what_it_says(void **state)
{
	for (unsigned i = 0; i < COUNT(rows); i++) {
		const struct row *row = &rows[i];
		struct bytes b = build(row->family, row->icmp);
		struct net_icmp out;

		if (parse(&b, &out) != row->good)
			fail_msg("\"%s\" is %staken", row->name, row->good ? "not " : "");
		if (row->good) {
			if (out.kind != row->kind || out.mtu != row->mtu)
				fail_msg("\"%s\": kind %d, MTU %u", row->name, out.kind, out.mtu);
			assert_int_equal(out.src.port, 5062);
			assert_int_equal(out.dst.port, 5060);
			assert_int_equal(out.src.addr.family, row->family);
			assert_true(out.embedded + out.embedded_len <= b.p + b.len);
		}
		bytes_free(&b);
	}
}

static void test_the_quote_and_its_tuple_are_found(void **state)
{
	for (unsigned family = 4; family <= 6; family += 2) {
		struct bytes b = build(family,
			family == 4 ? "03 03 00 00 00*4 " IP4 UDP : "01 04 00 00 00*4 " IP6 UDP);
		struct net_icmp out;
		char text[NET_ENDPOINT_TEXT_MAX];

		assert_true(parse(&b, &out));
		net_endpoint_format(&out.src, text);
		assert_string_equal(text, family == 4 ? "192.0.2.2:5062" : "[2001:db8::2]:5062");
		net_endpoint_format(&out.dst, text);
		assert_string_equal(text, family == 4 ? "192.0.2.1:5060" : "[2001:db8::1]:5060");
		assert_int_equal(out.embedded_len, 12);
		assert_memory_equal(out.embedded, "INVITE sip:a", 12);
		assert_int_equal(out.code, family == 4 ? 3 : 4);
		bytes_free(&b);
	}
}

/*
 * RFC 4884: what stands behind the quote is no SIP; nor is what the packet or the datagram never
 * held.
 */
static void test_the_quote_ends_where_it_ends(void **state)
{
	static const struct {
		unsigned family;
		const char *icmp;
		uint32_t len;
	} cases[] = {
		{4, "03 03 00 00 00 0a 00 00 " IP4 UDP "20 00 00 00", 12},
		{4, "03 03 00 00 00 ff 00 00 " IP4 UDP, 12},
		/* A quote of a 30-byte packet, padded to 128 bytes. */
		{4,
			"03 03 00 00 00 20 00 00 45 00 00 1e 00 01 40 00 3f 11 00 00 " US4 PEER4
			"13 c6 13 c4 00 0a 12 34 61 62 00*98 20 00 00 00",
			2},
		/* Bytes behind the datagram, in its packet. */
		{4,
			"03 03 00 00 00*4 45 00 00 24 00 01 40 00 3f 11 00 00 " US4 PEER4
			"13 c6 13 c4 00 0a 12 34 61 62 63 64 65 66 67 68",
			2},
		{6, "01 04 00 00 08 00 00 00 " IP6 UDP "00*12 20 00 00 00", 16},
		{6, "01 04 00 00 07 00 00 00 " IP6 UDP, 8},
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct bytes b = build(cases[i].family, cases[i].icmp);
		struct net_icmp out;

		assert_true(parse(&b, &out));
		if (out.embedded_len != cases[i].len)
			fail_msg("case %u: %u bytes", i, out.embedded_len);
		bytes_free(&b);
	}
}

static void test_one_wrong_bit_is_seen(void **state)
{
	for (unsigned family = 4; family <= 6; family += 2) {
		struct bytes b = build(family,
			family == 4 ? "03 03 00 00 00*4 " IP4 UDP : "01 04 00 00 00*4 " IP6 UDP);
		uint32_t l4 = NET_ETHER_LEN + (family == 4 ? 20 : 40);

		for (uint32_t bit = 8 * l4; bit < 8 * b.len; bit++) {
			struct net_icmp out;

			b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(parse(&b, &out));
			b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		bytes_free(&b);
	}
}

/* Cut anywhere and altered anywhere, with a right checksum, it leads nowhere outside. */
static void test_no_error_leads_past_its_end(void **state)
{
	uint64_t seed = 41;
	unsigned good = 0;

	for (unsigned round = 0; round < 60000; round++) {
		const struct row *row = &rows[random_below(&seed, COUNT(rows))];
		struct bytes whole = build(row->family, row->icmp), b;
		uint32_t front = NET_ETHER_LEN + (row->family == 4 ? 20 : 40);
		uint32_t len = random_below(&seed, whole.len - front + 1);
		struct net_frame f = {.kind = NET_ICMP,
			.family = (uint8_t)row->family,
			.l3_off = NET_ETHER_LEN,
			.l4_off = front};
		struct net_icmp out;
		uint16_t field = 0;

		f.src.addr = row->family == 4 ? net_addr_v4(0) : net_addr_v6(whole.p + 22);
		f.dst.addr = row->family == 4 ? net_addr_v4(htobe32(0xc0000202))
					      : net_addr_v6(whole.p + 38);
		if (random_below(&seed, 2) == 0)
			len = whole.len - front;
		for (unsigned n = random_below(&seed, 4); n > 0; n--)
			whole.p[front + random_below(&seed, whole.len - front)] =
				(uint8_t)random_next(&seed);
		b = bytes_new(whole.p, front + len);
		f.l4_len = len;
		if (len >= 4) {
			uint64_t sum = 0;

			if (row->family == 6)
				sum = net_checksum_add(0, b.p + 22, 32) + htobe32(len) +
				      htobe16(58);
			memcpy(b.p + front + 2, &field, 2);
			field = net_checksum_fold(net_checksum_add(sum, b.p + front, len));
			memcpy(b.p + front + 2, &field, 2);
		}
		if (net_icmp_parse(b.p, &f, &out)) {
			good++;
			assert_true(out.embedded >= b.p + front + 8);
			assert_true(out.embedded + out.embedded_len <= b.p + b.len);
		}
		bytes_free(&b);
		bytes_free(&whole);
	}
	assert_true(good > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_error_says_what_it_says),
		cmocka_unit_test(test_the_quote_and_its_tuple_are_found),
		cmocka_unit_test(test_the_quote_ends_where_it_ends),
		cmocka_unit_test(test_one_wrong_bit_is_seen),
		cmocka_unit_test(test_no_error_leads_past_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
