/* SPDX-License-Identifier: BSD-3-Clause */
/* The report's forms: what RFC 7502 section 5 asks for is there, and nothing is claimed that was
 * not found. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "report.h"

static struct report report;

/* 100 passed, 110 failed with a reason, 99 passed. */
static void fill(enum search_kind kind, enum search_end end)
{
	static const double rates[] = {100, 110, 99};
	struct report_search *s = &report.search;

	report = (struct report){
		.kind = kind,
		.ndr = {.start = 100, .resolution = 0.01, .seconds = 5, .final_seconds = 60},
		.ser = {.r = 100, .w = 0.1, .n = 500, .repeats = 10, .max = 1e8},
		.scenario = "invite.gen",
		.target = "192.0.2.1:5060",
		.device_under_test = "Example \"5.6\"",
		.session_duration = "0 s",
		.threshold = 32,
		.notes = {"children=2"},
		.n_notes = 1,
	};
	s->ran = true;
	strcpy(s->caller, "udp 192.0.2.2:5080");
	s->result = (struct search_result){.end = end,
		.rate = 100,
		.above = 110,
		.trials = 3,
		.attempts = 1500,
		.seconds = 14.6};
	s->desk.trials = 3;
	for (unsigned i = 0; i < 3; i++) {
		s->desk.log[i] = (struct search_record){
			.ask = {.rate = rates[i],
				.attempts = 500,
				.number = i + 1,
				.full = true,
				.high = INFINITY},
			.outcome = {.attempts = 500,
				.failures = i == 1 ? 7 : 0,
				.seconds = 500 / rates[i]},
			.mark = i == 1 ? SEARCH_FAILED : SEARCH_PASSED,
		};
		s->detail[i] = (struct report_detail){
			.p50_ns = 1500, .p99_ns = 25000, .p999_ns = 3000000, .max_ns = 4000000000};
	}
	strcpy(s->detail[1].reason, "7 no answer within its time");
}

static char *printed(int (*print)(const struct report *, FILE *))
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(print(&report, f), 0);
	fclose(f);
	return text;
}

static void assert_says(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("'%s' is not in:\n%s", what, text);
}

static void test_the_form_of_session_setup(void **state)
{
	/* RFC 7502 5.1 and 5.2, item by item. */
	static const char *const items[] = {"SIP Transport Protocol",
		"Connection management strategy", "Session Attempt Rate", "Session Duration",
		"Total Sessions Attempted", "Media Streams per Session",
		"Associated Media Protocol", "Codec", "Media Packet Size",
		"Establishment Threshold time", "TLS ciphersuite used", "IPsec profile used",
		"Session Establishment Rate, \"R\"", "Is DUT acting as a media relay?"};
	char *text;

	fill(SEARCH_SER, SEARCH_FOUND);
	text = printed(report_print);
	for (unsigned i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		assert_says(text, items[i]);
	assert_says(text, "  100 sps\n");
	assert_says(text, "1500 in 3 trials");
	assert_says(text, "  - children=2\n");
	assert_says(text, "Trial 2: 7 no answer within its time.");
	/* 500 attempts at 100 a second are no extended period. */
	assert_says(text, "lasted 5.0 s, which is less than 60 s");
	assert_says(text, "1.50 us");
	assert_null(strstr(text, "Registration"));
	free(text);
}

static void test_the_form_of_registrations(void **state)
{
	char *text;

	fill(SEARCH_RR, SEARCH_FOUND);
	text = printed(report_print);
	assert_says(text, "Registration Rate                       100 rps");
	assert_says(text, "Re-registration Rate                    not measured (--reregister)");
	free(text);
	/* Nobody is told to give an option that was given. */
	report.reregister = true;
	text = printed(report_print);
	assert_says(text,
		"Re-registration Rate                    not measured (the Registration Rate was "
		"not found)");
	free(text);
	report.target = NULL;
	text = printed(report_print);
	assert_says(text, "at the reflector of this process");
	free(text);
	report.users = 1499;
	text = printed(report_print);
	assert_says(text, "1500 attempts went to 1499 addresses-of-record");
	free(text);
	report.users = 1500;
	report.again = report.search;
	report.again.result.rate = 80;
	report.waited = 60;
	text = printed(report_print);
	assert_says(text, "Re-registration Rate                    80 rps");
	assert_null(strstr(text, "addresses-of-record"));
	assert_says(text, "came 60 s after registration; RFC 7502 6.8 wants 5 to 10 minutes");
	free(text);
}

static void test_only_what_was_found_is_a_rate(void **state)
{
	static const struct {
		enum search_end end;
		const char *says;
	} ends[] = {
		{SEARCH_NONE, "not found: the system failed at every rate"},
		{SEARCH_CEILING, "not found: 100 sps passed and --max allows no more"},
		{SEARCH_GENERATOR,
			"at 110 the generator was the limit; the system carries at least 100"},
		{SEARCH_TRIALS, "not found after 3 trials"},
		{SEARCH_STOPPED, "stopped after 3 trials"},
		{SEARCH_ERROR, "a trial could not be run"},
	};

	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char *text;

		fill(SEARCH_SER, ends[i].end);
		text = printed(report_print);
		assert_says(text, ends[i].says);
		assert_says(text, "at least 100 sps\n");
		free(text);
	}
	fill(SEARCH_SER, SEARCH_GENERATOR);
	report.search.result.rate = 0;
	char *text = printed(report_print);

	assert_says(text, "says nothing about the system");
	assert_says(text, "\"R\"         none\n");
	free(text);
}

static void test_baselines(void **state)
{
	char *text;

	fill(SEARCH_SER, SEARCH_FOUND);
	report.baseline = report.search;
	report.baseline.result.rate = 150;
	text = printed(report_print);
	assert_says(text, "Baseline of the testbed (RFC 7502 6.1)  150 sps");
	assert_says(text, "less than twice that rate");
	free(text);
	report.baseline.result.rate = 1000;
	text = printed(report_print);
	assert_null(strstr(text, "less than twice"));
	free(text);
}

static void test_json(void **state)
{
	json_error_t error;
	json_t *root, *result;
	char *text;

	fill(SEARCH_NDR, SEARCH_FOUND);
	text = printed(report_json);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	root = json_loads(text, 0, &error);
	assert_non_null(root);
	result = json_object_get(root, "result");
	assert_string_equal(json_string_value(json_object_get(root, "search")), "ndr");
	assert_string_equal(json_string_value(json_object_get(result, "end")), "found");
	assert_true(json_real_value(json_object_get(result, "rate")) == 100);
	assert_int_equal(json_array_size(json_object_get(result, "trials")), 3);
	assert_true(json_real_value(json_object_get(
			    json_object_get(result, "at_rate"), "latency_us_p99")) == 25);
	assert_true(json_is_null(json_object_get(root, "baseline")));
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(root, "setup"), "device_under_test")),
		"Example \"5.6\"");
	json_decref(root);
	free(text);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_a_baseline_is_read_again(void **state)
{
	char path[] = "/tmp/test_reportXXXXXX", *text;
	const char *end = NULL;
	double rate = 0;

	close(mkstemp(path));
	fill(SEARCH_SER, SEARCH_GENERATOR);
	text = printed(report_json);
	write_file(path, text);
	free(text);
	assert_int_equal(report_read_rate(path, SEARCH_SER, &rate, &end), 0);
	assert_true(rate == 100);
	assert_string_equal(end, "generator");
	assert_int_equal(report_read_rate(path, SEARCH_RR, &rate, &end), -EINVAL);
	/* One that found nothing has no rate; other files have none either. */
	report.search.result.rate = 0;
	text = printed(report_json);
	write_file(path, text);
	free(text);
	assert_int_equal(report_read_rate(path, SEARCH_SER, &rate, &end), -EINVAL);
	write_file(path, "{\"search\":\"ser\",\"result\":{\"end\":\"good\",\"rate\":1}}");
	assert_int_equal(report_read_rate(path, SEARCH_SER, &rate, &end), -EINVAL);
	write_file(path, "[1");
	assert_int_equal(report_read_rate(path, SEARCH_SER, &rate, &end), -EINVAL);
	unlink(path);
	assert_int_equal(report_read_rate(path, SEARCH_SER, &rate, &end), -ENOENT);
}

static void test_times(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} times[] = {{0, "-"}, {999, "999 ns"}, {1000, "1.00 us"}, {12345, "12.3 us"},
		{123456, "123 us"}, {1500000, "1.50 ms"}, {32000000000, "32.0 s"}};
	char out[32];

	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		assert_string_equal(report_time(times[i].ns, out, sizeof(out)), times[i].text);
	assert_string_equal(report_rate(458, out, sizeof(out)), "458");
	assert_string_equal(report_rate(1.5, out, sizeof(out)), "1.500");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_form_of_session_setup),
		cmocka_unit_test(test_the_form_of_registrations),
		cmocka_unit_test(test_only_what_was_found_is_a_rate),
		cmocka_unit_test(test_baselines),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_a_baseline_is_read_again),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
