/* SPDX-License-Identifier: BSD-3-Clause */
#include "unit.h"

static int parse(const char *text, struct net_addr *out)
{
	struct bytes b = bytes_new(text, (uint32_t)strlen(text));
	int err = net_addr_parse(str_of((char *)b.p, b.len), out);

	bytes_free(&b);
	return err;
}

/* Text in, shortest text out (RFC 5952); a second reading gives the same address. */
static void test_addresses_are_read_and_written_shortest(void **state)
{
	static const char *const cases[][2] = {
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"10.0.0.1", "10.0.0.1"},
		{"::", "::"},
		{"::1", "::1"},
		{"1::", "1::"},
		{"[2001:DB8::1]", "2001:db8::1"},
		{"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
		/*
		 * RFC 5952 4.2.2: one zero group stays; 4.2.3: the longest run, the first of
		 * 		   equals.
		 */
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
		{"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
		{"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
		{"::ffff:c000:201", "::ffff:192.0.2.1"},
		{"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
		{"fe80::aBcD", "fe80::abcd"},
		{"1:2:3:4::5.6.7.8", "1:2:3:4::506:708"},
		/* RFC 5118 4.10: the third colon that RFC 3261's grammar had */
		{"2001:db8:::192.0.2.1", "2001:db8::c000:201"},
		{":::192.0.2.1", "::c000:201"},
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct net_addr a, again;
		char text[NET_ADDR_TEXT_MAX];

		if (parse(cases[i][0], &a) != 0)
			fail_msg("%s is not read", cases[i][0]);
		assert_int_equal(net_addr_format(&a, text), strlen(cases[i][1]));
		assert_string_equal(text, cases[i][1]);
		assert_int_equal(parse(text, &again), 0);
		assert_memory_equal(&a, &again, sizeof(a));
	}
}

static void test_what_is_no_address_is_refused(void **state)
{
	static const char *const cases[] = {"", "1", "1.2.3", "1.2.3.", "1.2.3.4.", "1.2.3.4.5",
		".1.2.3", "1..2.3", "256.1.1.1", "01.2.3.4", "1.2.3.00", "1.2.3.0004", "0x1.2.3.4",
		"1.2.3.4 ", " 1.2.3.4", "+1.2.3.4", "1.2.3.-4", "[1.2.3.4]", "1.2.3.4:5060",
		/* RFC 5954 2.1 */
		"2001:db8:::1", "2001:db8:::1:192.0.2.1", ":::", "::::1.2.3.4", "1:::2::1.2.3.4",
		"1::2:::1.2.3.4", ":::1.2.3", "1:2:3:4:5:6:::1.2.3.4", ":", "1:", ":1", "1::2::3",
		"1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:5", "::1.2.3", "::1.2.3.400",
		"12345::", "g::", "1:2", "[::1", "::1]", "[]", "[", "]", "[[::1]]", "fe80::1%eth0",
		"::ffff:01.2.3.4", "1::2:", "1:2:3:4:5:6::1.2.3.4",
		"00000000000000000000000000000000000000000000000000000001::"};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct net_addr a;

		if (parse(cases[i], &a) != -EINVAL)
			fail_msg("\"%s\" is taken for an address", cases[i]);
	}
}

static void test_random_addresses_survive_text(void **state)
{
	uint64_t seed = 1;

	for (unsigned i = 0; i < 20000; i++) {
		struct net_addr a = {.family = 6}, b;
		struct net_endpoint ep;
		char text[NET_ENDPOINT_TEXT_MAX];

		a.q[0] = random_next(&seed);
		a.q[1] = random_next(&seed);
		/* Runs of zero groups, which random numbers hardly have. */
		for (unsigned g = 0, zero = random_below(&seed, 256); g < 8; g++)
			if ((zero >> g & 1) != 0)
				a.b[2 * g] = a.b[2 * g + 1] = 0;
		if (i % 4 == 0)
			a = net_addr_v4((uint32_t)a.q[0]);
		assert_true(net_addr_format(&a, text) < NET_ADDR_TEXT_MAX);
		assert_int_equal(parse(text, &b), 0);
		assert_memory_equal(&a, &b, sizeof(a));
		ep = (struct net_endpoint){.addr = a, .port = 65535};
		assert_true(net_endpoint_format(&ep, text) < NET_ENDPOINT_TEXT_MAX);
	}
}

static void test_endpoints_are_written_with_brackets_for_ipv6_only(void **state)
{
	struct net_endpoint ep = {.port = 5060};
	char text[NET_ENDPOINT_TEXT_MAX];

	assert_int_equal(parse("10.0.0.1", &ep.addr), 0);
	assert_int_equal(net_endpoint_format(&ep, text), 13);
	assert_string_equal(text, "10.0.0.1:5060");
	assert_int_equal(parse("2001:db8::1", &ep.addr), 0);
	net_endpoint_format(&ep, text);
	assert_string_equal(text, "[2001:db8::1]:5060");
}

static void test_prefixes_hold_what_they_cover(void **state)
{
	static const struct {
		const char *prefix, *addr;
		bool holds;
	} cases[] = {
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "::ffff:10.0.0.1", false},
		{"192.0.2.128/25", "192.0.2.127", false},
		{"192.0.2.128/25", "192.0.2.128", true},
		{"0.0.0.0/0", "1.2.3.4", true},
		{"0.0.0.0/0", "::1", false},
		{"::/0", "ffff::", true},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1/32", "192.0.2.0", false},
		{"2001:db8::/33", "2001:db8:7fff::", true},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"[2001:db8::1]", "2001:db8::1", true},
		{"2001:db8::1/128", "2001:db8::", false},
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct net_prefix p;
		struct net_addr a;

		assert_int_equal(net_prefix_parse(str_c(cases[i].prefix), &p), 0);
		assert_int_equal(parse(cases[i].addr, &a), 0);
		if (net_prefix_holds(&p, &a) != cases[i].holds)
			fail_msg("%s and %s", cases[i].prefix, cases[i].addr);
	}
}

static void test_bad_prefixes_are_refused(void **state)
{
	static const char *const cases[] = {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08",
		"10.0.0.0/-1", "10.0.0.0/8/8", "/8", "", "2001:db8::1/127", "::/129",
		"2001:db8:8000::/32", "10.0.0.0/8 ", "10.0.0.0/99999999999"};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct net_prefix p;

		if (net_prefix_parse(str_c(cases[i]), &p) != -EINVAL)
			fail_msg("\"%s\" is taken for a prefix", cases[i]);
	}
}

static void test_kinds_of_address(void **state)
{
	enum { NONE, LOOPBACK, GROUP, UNSPECIFIED, LINK, MAPPED };
	static const struct {
		const char *text;
		int kind;
	} cases[] = {{"127.0.0.1", LOOPBACK}, {"127.255.255.255", LOOPBACK}, {"128.0.0.0", NONE},
		{"::1", LOOPBACK}, {"::2", NONE}, {"1::1", NONE}, {"224.0.0.0", GROUP},
		{"239.255.255.255", GROUP}, {"240.0.0.1", NONE}, {"255.255.255.255", GROUP},
		{"ff02::1", GROUP}, {"fe00::1", NONE}, {"0.0.0.0", UNSPECIFIED},
		{"0.1.2.3", UNSPECIFIED}, {"::", UNSPECIFIED}, {"169.254.0.1", LINK},
		{"169.255.0.1", NONE}, {"fe80::1", LINK}, {"febf::1", LINK}, {"fec0::1", NONE},
		{"::ffff:10.0.0.1", MAPPED}, {"::fffe:10.0.0.1", NONE}};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct net_addr a;

		assert_int_equal(parse(cases[i].text, &a), 0);
		assert_int_equal(net_addr_is_loopback(&a), cases[i].kind == LOOPBACK);
		assert_int_equal(net_addr_is_multicast(&a), cases[i].kind == GROUP);
		assert_int_equal(net_addr_is_unspecified(&a), cases[i].kind == UNSPECIFIED);
		assert_int_equal(net_addr_is_link_local(&a), cases[i].kind == LINK);
		assert_int_equal(net_addr_is_v4_mapped(&a), cases[i].kind == MAPPED);
	}
}

static void test_the_order_is_family_then_bytes(void **state)
{
	static const char *const sorted[] = {
		"0.0.0.0", "1.2.3.4", "1.2.4.0", "200.0.0.1", "::", "::1", "1::", "ff02::1"};

	for (unsigned i = 0; i < COUNT(sorted); i++)
		for (unsigned j = 0; j < COUNT(sorted); j++) {
			struct net_addr a, b;
			int order;

			assert_int_equal(parse(sorted[i], &a), 0);
			assert_int_equal(parse(sorted[j], &b), 0);
			order = net_addr_compare(&a, &b);
			assert_int_equal(order < 0 ? -1 : order > 0, i < j ? -1 : i > j);
			assert_int_equal(net_addr_equal(&a, &b), i == j);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_are_read_and_written_shortest),
		cmocka_unit_test(test_what_is_no_address_is_refused),
		cmocka_unit_test(test_random_addresses_survive_text),
		cmocka_unit_test(test_endpoints_are_written_with_brackets_for_ipv6_only),
		cmocka_unit_test(test_prefixes_hold_what_they_cover),
		cmocka_unit_test(test_bad_prefixes_are_refused),
		cmocka_unit_test(test_kinds_of_address),
		cmocka_unit_test(test_the_order_is_family_then_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
