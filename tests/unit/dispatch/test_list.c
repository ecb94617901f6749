/* SPDX-License-Identifier: BSD-3-Clause */
/* The list file: what it may say, and what is said of the rest, with line and column. */
#include "common.h"

#include <unistd.h>

static struct names names;

struct list {
	struct route_report *report;
	struct dispatch_specs specs;
	int err;
};

/* The text at the very end of its block, so that a byte read past it is seen. */
static struct list read_list(const char *text)
{
	struct list l = {.report = route_report_create()};
	size_t n = strlen(text);
	char *copy = malloc(n > 0 ? n : 1);

	memcpy(copy, text, n);
	l.err = dispatch_list_parse(
		"d.list", str_of(copy, n), names.resolver, NULL, l.report, &l.specs);
	free(copy);
	return l;
}

static void done(struct list *l)
{
	dispatch_specs_free(&l->specs);
	route_report_destroy(l->report);
}

static void expect_address(const struct dispatch_spec *spec, const char *text)
{
	char got[NET_ENDPOINT_TEXT_MAX];

	net_endpoint_format(&spec->ep, got);
	assert_string_equal(got, text);
}

static void columns_after_the_uri_may_be_left_out(void **state)
{
	struct list l =
		read_list("# sets\n"
			  "\n"
			  "1 sip:10.0.0.1:5080 0 0 duid=abc;socket=udp:192.168.0.125:5060;my=xyz\n"
			  "  2\tsip:10.0.0.2;px=vx  8  -5\r\n"
			  "2 sip:10.0.0.3:5060 # a comment\n"
			  "7 sip:gw@[2001:db8::5]:5070 0 10 \"weight=50;rweight=30\"\n"
			  "2 sip:10.0.0.4");

	assert_int_equal(l.err, 0);
	assert_string_equal(route_report_text(l.report), "");
	assert_int_equal(l.specs.count, 5);
	assert_int_equal(l.specs.spec[0].set, 1);
	expect_address(&l.specs.spec[0], "10.0.0.1:5080");
	assert_string_equal(l.specs.spec[0].duid, "abc");
	assert_string_equal(l.specs.spec[0].socket, "udp:192.168.0.125:5060");
	assert_string_equal(l.specs.spec[0].uri, "sip:10.0.0.1:5080");
	assert_int_equal(l.specs.spec[0].weight, 1);
	assert_int_equal(l.specs.spec[0].line, 3);
	assert_false(l.specs.spec[0].any_port);
	expect_address(&l.specs.spec[1], "10.0.0.2:5060");
	assert_int_equal(l.specs.spec[1].priority, -5);
	assert_true(l.specs.spec[1].any_port);
	expect_address(&l.specs.spec[3], "[2001:db8::5]:5070");
	assert_int_equal(l.specs.spec[3].weight, 50);
	assert_int_equal(l.specs.spec[3].rweight, 30);
	expect_address(&l.specs.spec[4], "10.0.0.4:5060");
	done(&l);
}

static void kamailio_s_flags_become_state_and_health(void **state)
{
	struct list l =
		read_list("1 sip:10.0.0.1 0\n1 sip:10.0.0.2 1\n1 sip:10.0.0.3 2\n1 sip:10.0.0.4 4\n"
			  "1 sip:10.0.0.5 9\n1 sip:10.0.0.6 8\n1 sip:10.0.0.7 48\n1 sip:10.0.0.8 0 "
			  "0 state=drain\n");
	static const struct {
		uint8_t state;
		bool down;
	} want[] = {{DISPATCH_ENABLED, false}, {DISPATCH_ENABLED, true}, {DISPATCH_ENABLED, false},
		{DISPATCH_DISABLED, false}, {DISPATCH_ENABLED, true}, {DISPATCH_ENABLED, false},
		{DISPATCH_ENABLED, false}, {DISPATCH_DRAIN, false}};

	assert_int_equal(l.err, 0);
	assert_int_equal(l.specs.count, 8);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(l.specs.spec[i].state, want[i].state);
		assert_int_equal(l.specs.spec[i].down, want[i].down);
	}
	done(&l);
}

static void what_is_wrong_is_said_with_line_and_column(void **state)
{
	static const struct {
		const char *list, *error;
	} golden[] = {
		{"one sip:10.0.0.1\n", "d.list:1:1: error: a line begins with the number of its "
				       "set, not with 'one'\n"},
		{"-1 sip:10.0.0.1\n", "d.list:1:1: error: a line begins with the number of its "
				      "set, not with '-1'\n"},
		{"\n\n1\n", "d.list:3:2: error: a destination is missing: setid uri flags priority "
			    "attrs\n"},
		{"1 10.0.0.1:5060\n", "d.list:1:3: error: '10.0.0.1:5060' is no SIP URI\n"},
		{"1 tel:+49301234\n", "d.list:1:3: error: 'tel:+49301234' is no SIP URI\n"},
		{"1 sip:10.0.0.1;transport=tcp\n",
			"d.list:1:3: error: 'sip:10.0.0.1;transport=tcp': destinations are reached "
			"over UDP only\n"},
		{"1 sips:10.0.0.1\n", "d.list:1:3: error: 'sips:10.0.0.1': destinations are "
				      "reached over UDP only\n"},
		{"1 sip:10.0.0.1;maddr=10.0.0.2\n",
			"d.list:1:3: error: 'sip:10.0.0.1;maddr=10.0.0.2': maddr is not honoured "
			"in lists: write the address "
			"itself\n"},
		{"1 sip:224.0.0.1\n",
			"d.list:1:3: error: 224.0.0.1 is no address of a destination\n"},
		{"1 sip:0.0.0.0\n", "d.list:1:3: error: 0.0.0.0 is no address of a destination\n"},
		{"1 sip:10.0.0.1 64\n", "d.list:1:16: error: flags are a sum of 1 inactive, 2 "
					"trying, 4 disabled, 8 probing, 16 no DNS, 32 no "
					"pings, not '64'\n"},
		{"1 sip:10.0.0.1 0 high\n",
			"d.list:1:18: error: a priority is a whole number, not 'high'\n"},
		{"1 sip:10.0.0.1 0 0 duid=a;weight=1001\n",
			"d.list:1:34: error: weight is a number from 0 to 1000, not '1001'\n"},
		{"1 sip:10.0.0.1 0 0 rweight=x\n",
			"d.list:1:28: error: rweight is a number from 0 to 1000, not 'x'\n"},
		{"1 sip:10.0.0.1 0 0 duid=\n",
			"d.list:1:20: error: duid has from 1 to 63 characters\n"},
		{"1 sip:10.0.0.1 0 0 socket=tcp:10.0.0.5:5060\n",
			"d.list:1:27: error: socket is one of our listeners as udp:ADDRESS:PORT, "
			"not 'tcp:10.0.0.5:5060'\n"},
		{"1 sip:10.0.0.1 0 0 state=off\n",
			"d.list:1:26: error: state is enabled, drain or disabled, not 'off'\n"},
		{"1 sip:10.0.0.1 0 0 maxload=many\n",
			"d.list:1:28: error: maxload is a number, not 'many'\n"},
		{"1 sip:10.0.0.1 0 0 =5\n", "d.list:1:20: error: an attribute is name=value\n"},
		{"1 sip:10.0.0.1 0 0 a=1 b=2\n",
			"d.list:1:24: error: unexpected 'b=2': setid uri flags priority attrs, "
			"attributes joined by ';'\n"},
		{"1 sip:10.0.0.1\n2 sip:10.0.0.1\n1 sip:10.0.0.1\n",
			"d.list:3:1: error: set 1: 'sip:10.0.0.1' stands in line 1 already\n"},
		{"1 sip:10.0.0.1 0 0 duid=a\n1 sip:10.0.0.2 0 0 duid=a\n",
			"d.list:2:1: error: set 1: 'a' stands in line 1 already\n"},
		{"1 sip:none.test\n", "d.list:1:3: error: the destination does not resolve: "
				      "none.test: no address"},
	};

	for (unsigned i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		struct list l = read_list(golden[i].list);

		assert_int_not_equal(l.err, 0);
		assert_int_equal(l.specs.count, 0);
		/* The report shows the line below its error where it knows it. */
		assert_non_null(strstr(route_report_text(l.report), golden[i].error));
		assert_int_equal(route_report_errors(l.report), 1);
		done(&l);
	}
}

static void all_errors_of_a_list_are_said_at_once(void **state)
{
	struct list l = read_list("1 sip:10.0.0.1 99\n1 sip:10.0.0.2\nx\n");

	assert_int_not_equal(l.err, 0);
	assert_int_equal(route_report_errors(l.report), 2);
	done(&l);
}

static void a_weight_that_one_line_lacks_is_asked_about(void **state)
{
	struct list l = read_list("1 sip:10.0.0.1 0 0 weight=50\n1 sip:10.0.0.2\n2 sip:10.0.0.3\n");

	assert_int_equal(l.err, 0);
	assert_int_equal(route_report_warnings(l.report), 1);
	assert_non_null(strstr(route_report_text(l.report),
		"d.list:2:1: warning: set 1: 'sip:10.0.0.2' has no "
		"weight, but line 1 of its set has: it gets 1"));
	done(&l);
}

static void one_uri_over_two_sockets_is_two_destinations(void **state)
{
	struct list l = read_list("1 sip:10.0.0.1 0 0 socket=udp:10.9.0.1:5060\n1 sip:10.0.0.1 0 0 "
				  "socket=udp:10.9.0.2:5060\n");

	assert_int_equal(l.err, 0);
	assert_int_equal(l.specs.count, 2);
	done(&l);
}

static void a_name_becomes_all_its_addresses(void **state)
{
	struct list l =
		read_list("1 sip:two.test:5070 0 0 weight=5\n1 sip:srv.test\n1 sip:10.0.0.1\n");

	assert_int_equal(l.err, 0);
	assert_int_equal(l.specs.count, 5);
	expect_address(&l.specs.spec[0], "10.2.0.1:5070");
	expect_address(&l.specs.spec[1], "10.2.0.2:5070");
	assert_int_equal(l.specs.spec[1].weight, 5);
	assert_true(l.specs.spec[1].by_name);
	/* Ports of SRV records hold, RFC 3263 4.2. */
	expect_address(&l.specs.spec[2], "10.3.0.1:5081");
	expect_address(&l.specs.spec[3], "10.3.0.2:5082");
	assert_false(l.specs.spec[4].by_name);
	done(&l);
}

static void names_that_do_not_resolve_end_the_load_after_a_few(void **state)
{
	char text[4096], *at = text;
	struct list l;

	for (unsigned i = 0; i < 50; i++)
		at += sprintf(at, "1 sip:none%u.test\n", i);
	l = read_list(text);
	assert_int_not_equal(l.err, 0);
	assert_int_equal(route_report_errors(l.report), 6);
	assert_non_null(strstr(
		route_report_text(l.report), "d.list:5:1: error: too many names do not resolve"));
	done(&l);
}

/* Names are asked for together: the load waits for the slowest, not for their sum. */
static void names_of_a_list_are_asked_for_together(void **state)
{
	char text[4096], *at = text;
	uint64_t began = clock_now_ns();
	struct list l;

	dns_server_mode(names.dns, "*.silent.test", 0, DNS_SILENT);
	for (unsigned i = 0; i < 4; i++)
		at += sprintf(at, "1 sip:none%u.silent.test:5060\n", i);
	l = read_list(text);
	assert_int_not_equal(l.err, 0);
	assert_int_equal(route_report_errors(l.report), 4);
	assert_non_null(strstr(route_report_text(l.report), "no answer"));
	/* Each alone would be waited for for two seconds. */
	assert_true(clock_now_ns() - began < 6 * CLOCK_NS_PER_S);
	assert_true(dns_server_questions(names.dns, "none3.silent.test", 0) > 0);
	done(&l);
}

/* While no name server answers, what is running stays where it is and the list can be changed; a
 * name that is new, or one of another set, is refused. */
static void names_that_run_stand_in_while_no_server_answers(void **state)
{
	static const char list[] = "1 sip:two.test\n1 sip:10.0.0.9\n2 sip:srv.test\n";
	struct dispatch_options options = {0, false};
	struct dispatch_prepared *p;
	struct names own;
	struct room room;
	struct list l = {0};

	names_open(&own);
	room_open(&room, 0);
	assert_int_equal(dispatch_list_parse("d.list", str_c(list), own.resolver, room.d,
				 room.report, &l.specs),
		0);
	assert_int_equal(
		dispatch_generation_prepare(room.d, "d.list", &l.specs, &options, room.report, &p),
		0);
	dispatch_generation_publish(room.d, p);
	dispatch_specs_free(&l.specs);

	/* A reload asks with a resolver that knows nothing yet. */
	resolver_destroy(own.resolver);
	own.resolver = resolver_create(dns_server_address(own.dns), &own.rcu);
	dns_server_mode(own.dns, "*.test", 0, DNS_SILENT);
	l.report = route_report_create();
	assert_int_equal(
		dispatch_list_parse("d.list", STR("1 sip:two.test\n2 sip:srv.test 0 1 weight=3\n"),
			own.resolver, room.d, l.report, &l.specs),
		0);
	assert_int_equal(l.specs.count, 4);
	expect_address(&l.specs.spec[0], "10.2.0.1:5060");
	expect_address(&l.specs.spec[1], "10.2.0.2:5060");
	expect_address(&l.specs.spec[2], "10.3.0.1:5081");
	expect_address(&l.specs.spec[3], "10.3.0.2:5082");
	assert_int_equal(l.specs.spec[3].weight, 3);
	assert_int_equal(route_report_warnings(l.report), 2);
	assert_non_null(strstr(route_report_text(l.report),
		"d.list:1:3: warning: the destination does not resolve now: "));
	done(&l);

	l.report = route_report_create();
	assert_int_not_equal(dispatch_list_parse("d.list",
				     STR("2 sip:two.test\n1 sip:new.test\n1 sip:two.test\n"),
				     own.resolver, room.d, l.report, &l.specs),
		0);
	assert_int_equal(route_report_errors(l.report), 2);
	done(&l);
	room_close(&room);
	names_close(&own);
}

static void bounds_are_refused_with_a_reason(void **state)
{
	size_t size = 5000 * 40;
	char *text = malloc(size), *at = text;
	struct list l;

	for (unsigned i = 0; i <= DISPATCH_DESTINATIONS_MAX; i++)
		at += sprintf(at, "1 sip:10.1.%u.%u\n", i / 250, i % 250 + 1);
	l = read_list(text);
	assert_int_not_equal(l.err, 0);
	assert_non_null(strstr(
		route_report_text(l.report), "d.list:4097:3: error: more than 4096 destinations"));
	done(&l);

	memset(text, 'x', 3000);
	strcpy(text + 3000, "\n1 sip:10.0.0.1\n");
	l = read_list(text);
	assert_non_null(strstr(route_report_text(l.report),
		"d.list:1:1: error: a line has at most 2048 characters"));
	done(&l);

	strcpy(text, "1 sip:");
	memset(text + 6, 'a', 300);
	strcpy(text + 306, "@10.0.0.1\n");
	l = read_list(text);
	assert_non_null(strstr(route_report_text(l.report),
		"d.list:1:3: error: a destination has at most 255 characters"));
	done(&l);
	free(text);
}

static void any_bytes_end_in_a_list_or_in_an_error(void **state)
{
	static const char seed[] =
		"1 sip:10.0.0.1:5060 0 0 weight=5;duid=a;socket=udp:[2001:db8::1]:5060\n"
		"2 sip:[2001:db8::2]:5070 9 -3 rweight=7 # x\n";
	uint64_t random = 4711;

	for (unsigned i = 0; i < 20000; i++) {
		char text[sizeof(seed)];
		struct list l;

		memcpy(text, seed, sizeof(seed));
		for (unsigned n = 1 + (unsigned)(test_random(&random) % 4); n > 0; n--)
			text[test_random(&random) % (sizeof(seed) - 1)] =
				(char)(1 + test_random(&random) % 255);
		text[test_random(&random) % sizeof(seed)] = '\0';
		l = read_list(text);
		assert_true((l.err == 0) == (route_report_errors(l.report) == 0));
		done(&l);
	}
}

static void a_file_that_cannot_be_read_is_said_so(void **state)
{
	struct route_report *report = route_report_create();
	struct dispatch_specs specs;
	char path[] = "/tmp/dispatch-list-XXXXXX";
	int fd;

	assert_int_equal(
		dispatch_list_read("/nonexistent/d.list", NULL, NULL, report, &specs), -ENOENT);
	assert_non_null(strstr(route_report_text(report),
		"/nonexistent/d.list: error: cannot be read: No such file"));
	assert_int_not_equal(dispatch_list_read("/", NULL, NULL, report, &specs), 0);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "3 sip:10.0.0.1\n", 15), 15);
	close(fd);
	assert_int_equal(dispatch_list_read(path, NULL, NULL, report, &specs), 0);
	assert_int_equal(specs.count, 1);
	assert_int_equal(specs.spec[0].set, 3);
	dispatch_specs_free(&specs);
	unlink(path);
	route_report_destroy(report);
}

static int open_names(void **state)
{
	names_open(&names);
	return 0;
}

static int close_names(void **state)
{
	names_close(&names);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_after_the_uri_may_be_left_out),
		cmocka_unit_test(kamailio_s_flags_become_state_and_health),
		cmocka_unit_test(what_is_wrong_is_said_with_line_and_column),
		cmocka_unit_test(all_errors_of_a_list_are_said_at_once),
		cmocka_unit_test(a_weight_that_one_line_lacks_is_asked_about),
		cmocka_unit_test(one_uri_over_two_sockets_is_two_destinations),
		cmocka_unit_test(a_name_becomes_all_its_addresses),
		cmocka_unit_test(names_that_do_not_resolve_end_the_load_after_a_few),
		cmocka_unit_test(names_of_a_list_are_asked_for_together),
		cmocka_unit_test(names_that_run_stand_in_while_no_server_answers),
		cmocka_unit_test(bounds_are_refused_with_a_reason),
		cmocka_unit_test(any_bytes_end_in_a_list_or_in_an_error),
		cmocka_unit_test(a_file_that_cannot_be_read_is_said_so),
	};

	return cmocka_run_group_tests_name("dispatch/list", tests, open_names, close_names);
}
