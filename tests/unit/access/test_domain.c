/* SPDX-License-Identifier: BSD-3-Clause */
#include "common.h"

LOAD(domains)

static void test_domains_count_without_case_and_final_dot(void **state)
{
	char said[1024];
	struct access_domains *table = domains_load(
		"# ours\nexample.com\n  SIP.Example.NET.   # with a dot\r\n\n192.0.2.1\n"
		"[2001:db8::1]\nexample.com\nhost_1",
		said);

	assert_string_equal(said, "");
	assert_true(access_domains_hold(table, STR("example.com")));
	assert_true(access_domains_hold(table, STR("EXAMPLE.com.")));
	assert_true(access_domains_hold(table, STR("sip.example.net")));
	assert_true(access_domains_hold(table, STR("192.0.2.1")));
	assert_true(access_domains_hold(table, STR("2001:DB8::1")));
	assert_true(access_domains_hold(table, STR("2001:db8:0:0::0:1")));
	assert_false(access_domains_hold(table, STR("2001:db8::2")));
	assert_false(access_domains_hold(table, STR("2001:db8:::1")));
	assert_true(access_domains_hold(table, STR("host_1")));
	assert_false(access_domains_hold(table, STR("a.example.com")));
	assert_false(access_domains_hold(table, STR("xample.com")));
	assert_false(access_domains_hold(table, STR("example.co")));
	assert_false(access_domains_hold(table, STR("example.com..")));
	assert_false(access_domains_hold(table, STR("ours")));
	assert_false(access_domains_hold(table, STR(".")));
	assert_false(access_domains_hold(table, STR("")));
	assert_false(access_domains_hold(table, STR_NONE));
	access_domains_free(table);
}

static void test_an_empty_table_holds_nothing(void **state)
{
	struct route_report *report = route_report_create();
	struct access_domains *table = access_domains_load(NULL, report);

	assert_non_null(table);
	assert_false(access_domains_hold(table, STR("example.com")));
	access_domains_free(table);
	route_report_destroy(report);
}

static const struct {
	const char *text, *said;
} wrong[] = {
	{"a.example b.example\n", ":1:11: error: one domain a line\n"},
	{"example.com\n *.example.com\n", ":2:2: error: neither a domain name nor an address\n"},
	{"sip:example.com\n", ":1:1: error: neither a domain name nor an address\n"},
	{"example.com:5060\n", ":1:1: error: neither a domain name nor an address\n"},
	{"u@example.com\n", ":1:1: error: neither a domain name nor an address\n"},
	{"example.com;lr\n", ":1:1: error: neither a domain name nor an address\n"},
	{"exa..mple\n", ":1:1: error: neither a domain name nor an address\n"},
	{"1.2.3\n", ":1:1: error: neither a domain name nor an address\n"},
	{"2001:db8::1\n", ":1:1: error: neither a domain name nor an address\n"},
};

static void test_what_is_wrong_is_named_by_line_and_column(void **state)
{
	char said[1024];

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_null(domains_load(wrong[i].text, said));
		if (strcmp(said, wrong[i].said) != 0)
			fail_msg("%s: '%s', not '%s'", wrong[i].text, said, wrong[i].said);
	}
}

static void test_a_name_that_is_too_long_is_refused(void **state)
{
	char text[600], said[1024];

	for (unsigned i = 0; i < 512; i++)
		text[i] = i % 64 == 63 ? '.' : 'a';
	snprintf(text + 512, sizeof(text) - 512, "z\n");
	assert_null(domains_load(text, said));
	assert_string_equal(said, ":1:1: error: neither a domain name nor an address\n");
}

/* Many names, each found, and as many strangers, none found: the table grows without losing one. */
static void test_many_domains_are_all_found(void **state)
{
	enum { COUNT = 50000 };
	char *text = malloc(COUNT * 32), path[FILE_PATH_MAX], name[32];
	struct route_report *report = route_report_create();
	struct access_domains *table;
	size_t len = 0;

	assert_non_null(text);
	for (unsigned i = 0; i < COUNT; i++)
		len += (size_t)snprintf(text + len, 32, "customer%u.example\n", i);
	file_make(path, text, len);
	table = access_domains_load(path, report);
	unlink(path);
	assert_non_null(table);
	for (unsigned i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "CUSTOMER%u.example", i);
		assert_true(access_domains_hold(table, str_c(name)));
		snprintf(name, sizeof(name), "customer%u.example", i + COUNT);
		assert_false(access_domains_hold(table, str_c(name)));
	}
	access_domains_free(table);
	route_report_destroy(report);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_domains_count_without_case_and_final_dot),
		cmocka_unit_test(test_an_empty_table_holds_nothing),
		cmocka_unit_test(test_what_is_wrong_is_named_by_line_and_column),
		cmocka_unit_test(test_a_name_that_is_too_long_is_refused),
		cmocka_unit_test(test_many_domains_are_all_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
