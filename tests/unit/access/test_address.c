/* SPDX-License-Identifier: BSD-3-Clause */
#include "common.h"

LOAD(addresses)

static const char file[] = "# our peers\n"
			   "1 192.0.2.1\n"
			   "1\t192.0.2.2 32 5060 carrier-a   # only from its port\r\n"
			   "\n"
			   "2 10.0.0.0 8\n"
			   "  3 10.1.0.0 16 0 tag\n"
			   "4 10.1.2.3 32 5060\n"
			   "4 10.1.2.3 32 5061\n"
			   "5 2001:db8:: 32\n"
			   "6 2001:db8::1 128 0\n"
			   "6 [2001:db8::2]\n"
			   "7 203.0.113.255 32";

static const struct {
	const char *addr;
	uint16_t port;
	int64_t first; /* group by the longest prefix */
	uint32_t groups[4];
} rows[] = {
	{"192.0.2.1", 5060, 1, {1}},
	{"192.0.2.2", 5060, 1, {1}},
	{"192.0.2.2", 5061, -1, {0}},
	{"192.0.2.2", 0, 1, {1}},
	{"192.0.2.3", 5060, -1, {0}},
	{"192.0.2.0", 5060, -1, {0}},
	{"9.255.255.255", 1, -1, {0}},
	{"10.0.0.0", 1, 2, {2}},
	{"10.255.255.255", 1, 2, {2}},
	{"11.0.0.0", 1, -1, {0}},
	/* in the groups of all prefixes around it, the longest first */
	{"10.1.0.0", 1, 3, {2, 3}},
	{"10.1.255.255", 1, 3, {2, 3}},
	{"10.2.0.0", 1, 2, {2}},
	{"10.1.2.3", 5061, 4, {2, 3, 4}},
	{"10.1.2.3", 5062, 3, {2, 3}},
	{"10.1.2.4", 5061, 3, {2, 3}},
	{"2001:db8::", 1, 5, {5}},
	{"2001:db8::1", 1, 6, {5, 6}},
	{"2001:db8::2", 1, 6, {5, 6}},
	{"2001:db8::3", 1, 5, {5}},
	{"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 1, 5, {5}},
	{"2001:db9::", 1, -1, {0}},
	{"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", 1, -1, {0}},
	{"::", 1, -1, {0}},
	{"0.0.0.0", 1, -1, {0}},
	{"255.255.255.255", 1, -1, {0}},
	{"203.0.113.255", 1, 7, {7}},
	/* an IPv4 address in IPv6's clothes is another address */
	{"::ffff:192.0.2.1", 5060, -1, {0}},
};

static void test_addresses_are_in_the_groups_of_the_file(void **state)
{
	char said[1024];
	struct access_addresses *table = addresses_load(file, said);

	assert_string_equal(said, "");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_addr addr = address(rows[i].addr);

		for (uint32_t group = 1; group < 10; group++) {
			bool want = false;

			for (unsigned k = 0; k < 4; k++)
				want = want || rows[i].groups[k] == group;
			if (access_addresses_match(table, group, &addr, rows[i].port) != want)
				fail_msg("%s port %u: group %u is not %d", rows[i].addr,
					rows[i].port, group, want);
		}
		assert_int_equal(
			access_addresses_match(table, 0, &addr, rows[i].port), rows[i].first > 0);
		if (access_addresses_group(table, &addr, rows[i].port) != rows[i].first)
			fail_msg("%s port %u: not first in %d", rows[i].addr, rows[i].port,
				(int)rows[i].first);
	}
	access_addresses_free(table);
}

static void test_no_address_is_in_no_group(void **state)
{
	char said[1024];
	struct access_addresses *table = addresses_load("1 0.0.0.0 0\n1 :: 0\n", said);
	struct net_addr none = {.family = 0};

	assert_false(access_addresses_match(table, 0, &none, 0));
	none = address("255.255.255.255");
	assert_true(access_addresses_match(table, 1, &none, 1));
	none = address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_true(access_addresses_match(table, 1, &none, 1));
	access_addresses_free(table);
	table = addresses_load("", said);
	assert_false(access_addresses_match(table, 0, &none, 0));
	access_addresses_free(table);
}

static const struct {
	const char *text, *said;
} wrong[] = {
	{"1\n", ":1:1: error: a line is: group address [mask [port [tag]]]\n"},
	{"1 10.0.0.1 32 0 tag more\n",
		":1:21: error: 'more': a line is: group address [mask [port [tag]]]\n"},
	{"\n x 10.0.0.1\n", ":2:2: error: 'x': a group is a number from 1 on\n"},
	{"0 10.0.0.1\n", ":1:1: error: '0': a group is a number from 1 on\n"},
	{"-1 10.0.0.1\n", ":1:1: error: '-1': a group is a number from 1 on\n"},
	{"1 10.0.0.0/8\n", ":1:3: error: '10.0.0.0/8': neither an IPv4 nor an IPv6 address (the "
			   "mask is a column of its own)\n"},
	{"1 10.0.0\n", ":1:3: error: '10.0.0': neither an IPv4 nor an IPv6 address (the mask is a "
		       "column of its own)\n"},
	{"1 2001:db8:::1\n", ":1:3: error: '2001:db8:::1': neither an IPv4 nor an IPv6 address "
			     "(the mask is a column of its own)\n"},
	{"1 10.0.0.1 33\n", ":1:12: error: '33': a mask is 0 to 32 bits\n"},
	{"1 10.0.0.1 255.0.0.0\n", ":1:12: error: '255.0.0.0': a mask is 0 to 32 bits\n"},
	{"1 2001:db8::\t129\n", ":1:14: error: '129': a mask is 0 to 128 bits\n"},
	{"1 10.0.0.1 32 65536\n", ":1:15: error: '65536': a port is 0 (any) to 65535\n"},
	{"1 10.0.0.1 32 udp\n", ":1:15: error: 'udp': a port is 0 (any) to 65535\n"},
	/* every line that is wrong is named */
	{"1 a\n1 10.0.0.1\n1 10.0.0.1 99\n", ":1:3: error: 'a': neither an IPv4 nor an IPv6 "
					     "address (the mask is a column of its own)\n"
					     ":3:12: error: '99': a mask is 0 to 32 bits\n"},
};

static void test_what_is_wrong_is_named_by_line_and_column(void **state)
{
	char said[1024];

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_null(addresses_load(wrong[i].text, said));
		if (strcmp(said, wrong[i].said) != 0)
			fail_msg("%s: '%s', not '%s'", wrong[i].text, said, wrong[i].said);
	}
}

static void test_a_missing_file_is_an_error(void **state)
{
	struct route_report *report = route_report_create();

	assert_null(access_addresses_load("/nonexistent/address.list", report));
	assert_string_equal(route_report_text(report),
		"/nonexistent/address.list: error: cannot open the "
		"file: No such file or directory\n");
	route_report_destroy(report);
	report = route_report_create();
	assert_null(access_addresses_load("/tmp", report));
	assert_int_equal(route_report_errors(report), 1);
	route_report_destroy(report);
}

static void test_bits_below_the_mask_are_warned_of(void **state)
{
	char said[1024];
	struct access_addresses *table = addresses_load("1 10.1.2.3 16\n", said);
	struct net_addr addr = address("10.1.255.1");

	assert_string_equal(said,
		":1:3: warning: '10.1.2.3' has bits below its mask of 16, which do not count\n");
	assert_true(access_addresses_match(table, 1, &addr, 1));
	access_addresses_free(table);
}

/* ---- against a naive reference ---- */

struct reference_rule {
	struct net_prefix prefix;
	uint32_t group;
	uint16_t port;
};

#define RULES_MAX 300

/* Addresses out of a few bytes, so that prefixes nest and meet. */
static struct net_addr draw_address(struct draw *d, uint8_t family)
{
	static const uint8_t bytes[] = {0x00, 0x0a, 0x7f, 0x80, 0xff};
	struct net_addr addr = {.family = family};

	for (unsigned i = 0; i < (family == 4 ? 4u : 16u); i++)
		addr.b[i] = i == 0 || draw(d, 4) == 0 ? bytes[draw(d, sizeof(bytes))]
						      : (uint8_t)draw(d, 4);
	return addr;
}

static bool bit_equal(const struct net_addr *a, const struct net_addr *b, unsigned bit)
{
	return ((a->b[bit / 8] ^ b->b[bit / 8]) >> (7 - bit % 8) & 1) == 0;
}

static bool holds(const struct net_prefix *p, const struct net_addr *addr)
{
	if (p->addr.family != addr->family)
		return false;
	for (unsigned bit = 0; bit < p->bits; bit++)
		if (!bit_equal(&p->addr, addr, bit))
			return false;
	return true;
}

static void check_address(const struct access_addresses *table, const struct reference_rule *rule,
	unsigned rules, const struct net_addr *addr, uint16_t port)
{
	bool in[6] = {false};
	int longest = -1;
	int64_t first = -1;

	for (unsigned i = 0; i < rules; i++) {
		if (!holds(&rule[i].prefix, addr) ||
			(rule[i].port != 0 && port != 0 && rule[i].port != port))
			continue;
		in[0] = in[rule[i].group] = true;
		if (rule[i].prefix.bits > longest ||
			(rule[i].prefix.bits == longest && (int64_t)rule[i].group < first)) {
			longest = rule[i].prefix.bits;
			first = rule[i].group;
		}
	}
	for (uint32_t group = 0; group < 6; group++)
		assert_int_equal(access_addresses_match(table, group, addr, port), in[group]);
	assert_int_equal(access_addresses_group(table, addr, port), first);
}

static void test_random_tables_say_what_the_reference_says(void **state)
{
	struct draw d = {7};

	for (unsigned round = 0; round < 200; round++) {
		static char text[RULES_MAX * 80];
		struct reference_rule rule[RULES_MAX];
		unsigned rules = draw(&d, round % 10 == 0 ? RULES_MAX : 30);
		struct access_addresses *table;
		struct route_report *report = route_report_create();
		char path[FILE_PATH_MAX];
		size_t len = 0;

		for (unsigned i = 0; i < rules; i++) {
			struct reference_rule *r = &rule[i];
			char name[NET_ADDR_TEXT_MAX];

			r->prefix.addr = draw_address(&d, draw(&d, 2) == 0 ? 4 : 6);
			r->prefix.bits = (uint8_t)draw(&d, r->prefix.addr.family == 4 ? 33 : 129);
			r->group = 1 + draw(&d, 5);
			r->port = draw(&d, 4) == 0 ? (uint16_t)(5060 + draw(&d, 2)) : 0;
			net_addr_format(&r->prefix.addr, name);
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%u %s %u %u\n",
				r->group, name, r->prefix.bits, r->port);
		}
		file_make(path, text, len);
		table = access_addresses_load(path, report);
		unlink(path);
		assert_non_null(table);
		route_report_destroy(report);
		for (unsigned i = 0; i < 300; i++) {
			struct net_addr addr = draw_address(&d, draw(&d, 2) == 0 ? 4 : 6);

			/* Half of them near a prefix: its first address, its last, and those
			 * beside. */
			if (rules != 0 && draw(&d, 2) == 0) {
				const struct net_prefix *p = &rule[draw(&d, rules)].prefix;
				unsigned bits = p->addr.family == 4 ? 32 : 128;

				addr = p->addr;
				for (unsigned bit = p->bits; bit < bits; bit++)
					addr.b[bit / 8] =
						(uint8_t)((addr.b[bit / 8] & ~(0x80u >> bit % 8)) |
							  (i % 2 == 0 ? 0 : 0x80u >> bit % 8));
				if (p->bits > 0 && draw(&d, 3) == 0)
					addr.b[(p->bits - 1) / 8] ^=
						(uint8_t)(0x80u >> (p->bits - 1) % 8);
			}
			check_address(table, rule, rules, &addr, (uint16_t)(5060 + draw(&d, 3)));
		}
		access_addresses_free(table);
	}
}

static void test_a_hundred_thousand_prefixes_and_not_one_more(void **state)
{
	size_t room = (ACCESS_ADDRESSES_MAX + 1) * 32, len = 0;
	char *text = malloc(room), path[FILE_PATH_MAX];
	struct route_report *report = route_report_create();
	struct access_addresses *table;
	struct net_addr addr;

	assert_non_null(text);
	for (uint32_t i = 0; i < ACCESS_ADDRESSES_MAX; i++)
		len += (size_t)snprintf(text + len, room - len, "%u 10.%u.%u.%u 31\n", 1 + i % 7,
			i >> 15, i >> 7 & 0xff, i << 1 & 0xff);
	file_make(path, text, len);
	table = access_addresses_load(path, report);
	unlink(path);
	assert_non_null(table);
	for (uint32_t i = 0; i < ACCESS_ADDRESSES_MAX; i += 997) {
		char name[32];

		snprintf(name, sizeof(name), "10.%u.%u.%u", i >> 15, i >> 7 & 0xff,
			(i << 1 & 0xff) + 1);
		addr = address(name);
		assert_int_equal(access_addresses_group(table, &addr, 1), 1 + i % 7);
	}
	access_addresses_free(table);
	len += (size_t)snprintf(text + len, room - len, "1 11.0.0.0 8\n1 12.0.0.0 8\n");
	file_make(path, text, len);
	assert_null(access_addresses_load(path, report));
	unlink(path);
	assert_int_equal(route_report_errors(report), 1);
	assert_non_null(strstr(route_report_text(report),
		":100001:1: error: '1': more addresses than a table holds"));
	route_report_destroy(report);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_are_in_the_groups_of_the_file),
		cmocka_unit_test(test_no_address_is_in_no_group),
		cmocka_unit_test(test_what_is_wrong_is_named_by_line_and_column),
		cmocka_unit_test(test_a_missing_file_is_an_error),
		cmocka_unit_test(test_bits_below_the_mask_are_warned_of),
		cmocka_unit_test(test_random_tables_say_what_the_reference_says),
		cmocka_unit_test(test_a_hundred_thousand_prefixes_and_not_one_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
