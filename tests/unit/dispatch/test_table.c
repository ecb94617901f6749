/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows that have become lines: what is wrong with one, and with all of them. */
#include "common.h"

static struct route_report *report;
static struct dispatch_specs specs;
static unsigned left_out;
static const char *failed;

static int parse(const char *text)
{
	int err;

	if (report != NULL)
		route_report_destroy(report);
	report = route_report_create();
	err = dispatch_list_parse_rows(
		"dispatcher", str_c(text), NULL, NULL, report, &specs, &left_out, &failed);
	assert_int_equal(route_report_errors(report), 0);
	return err;
}

static void says(const char *text)
{
	if (strstr(route_report_text(report), text) == NULL)
		fail_msg("'%s' is not in\n%s", text, route_report_text(report));
}

static void test_a_row_that_is_wrong_is_left_out(void **state)
{
	assert_int_equal(
		parse("1 sip:10.0.0.1 0 0 weight=5\n1 http://x 0 0 \n1 sip:10.0.0.2 99 0 \n"
		      "2 sip:10.0.0.3 0 -7 \n1 sip:10.0.0.4 0 0 weight=x\n"),
		0);
	assert_int_equal(specs.count, 2);
	assert_int_equal(left_out, 3);
	assert_null(failed);
	assert_int_equal(specs.spec[0].weight, 5);
	assert_int_equal(specs.spec[1].priority, -7);
	says("dispatcher:2:3: warning: 'http://x' is no SIP URI");
	dispatch_specs_free(&specs);
}

static void test_of_rows_that_are_the_same_the_first_stays(void **state)
{
	assert_int_equal(
		parse("1 sip:10.0.0.1 0 0 weight=5\n1 sip:10.0.0.2 0 0 \n1 sip:10.0.0.1 0 0 \n"
		      "2 sip:10.0.0.1 0 0 \n1 sip:10.0.0.1 0 0 weight=7\n"),
		0);
	assert_int_equal(specs.count, 3);
	assert_int_equal(left_out, 2);
	assert_int_equal(specs.spec[0].weight, 5);
	assert_string_equal(specs.spec[1].uri, "sip:10.0.0.2");
	assert_int_equal(specs.spec[2].set, 2);
	says("dispatcher:3:1: warning: set 1: 'sip:10.0.0.1' stands in line 1 already");
	says("dispatcher:5:1: warning: set 1: 'sip:10.0.0.1' stands in line 1 already");
	dispatch_specs_free(&specs);
}

static void test_not_each_of_many_is_said(void **state)
{
	char text[4096] = "";

	for (unsigned i = 0; i < 100; i++)
		strcat(text, "1 x\n");
	assert_int_equal(parse(text), 0);
	assert_int_equal(specs.count, 0);
	assert_int_equal(left_out, 100);
	assert_int_equal(route_report_warnings(report), DISPATCH_ROWS_SAID);
	dispatch_specs_free(&specs);
}

static void test_more_than_there_may_be_are_none(void **state)
{
	size_t size = 64 * (DISPATCH_DESTINATIONS_MAX + 1), len = 0;
	char *text = malloc(size);

	assert_non_null(text);
	for (unsigned i = 0; i <= DISPATCH_DESTINATIONS_MAX; i++)
		len += (size_t)snprintf(
			text + len, size - len, "1 sip:10.0.%u.%u 0 0 \n", i >> 8, i & 255);
	assert_true(parse(text) < 0);
	assert_string_equal(failed, "more than 4096 destinations");
	assert_int_equal(specs.count, 0);
	free(text);
}

static int teardown(void **state)
{
	route_report_destroy(report);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_row_that_is_wrong_is_left_out),
		cmocka_unit_test(test_of_rows_that_are_the_same_the_first_stays),
		cmocka_unit_test(test_not_each_of_many_is_said),
		cmocka_unit_test(test_more_than_there_may_be_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
