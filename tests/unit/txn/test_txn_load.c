/* SPDX-License-Identifier: BSD-3-Clause */
/* What "tm" refuses when a script is loaded, and what it warns of; and a pseudo-variable's two
 * ends. */
#include "harness.h"

/* In a request_route or failure_route, which exist both. */
static bool loads(
	struct world *w, const char *params, const char *statement, char *said, size_t size)
{
	struct route_report *report = route_report_create();
	struct route_script *script;
	char text[2048];

	snprintf(text, sizeof(text),
		MODULES "%s\nrequest_route {\n	%s\n}\nfailure_route[f] {\n	exit;\n}\n", params,
		statement);
	script = route_script_load_text("load.cfg", str_c(text), &w->registry, report);
	snprintf(said, size, "%s", route_report_text(report));
	route_report_destroy(report);
	if (script == NULL)
		return false;
	route_script_unref(script);
	return true;
}

static void what_cannot_work_is_refused(void **state)
{
	static const struct {
		const char *statement, *why; /* NULL: it is good */
	} row[] = {
		{"t_reply(\"404\", \"Not Here\");", NULL},
		{"t_reply(\"99\", \"Low\");", "a status is a number from 100 to 699"},
		{"t_reply(\"700\", \"High\");", "a status is a number from 100 to 699"},
		{"t_reply(\"none\", \"None\");", "a status is a number from 100 to 699"},
		{"t_reply(\"404\", \"Not\\r\\nX-Injected: yes\");",
			"a reason phrase stays on its line"},
		{"t_send_reply(\"404\", \"Not\\nHere\");", "a reason phrase stays on its line"},
		{"t_check_status(\"4[0\");", "missing"},
		{"t_check_status(\"4..\");", NULL},
		{"t_grep_status(\"486\");", NULL},
		{"t_grep_status(\"183\");", "a final status is a number from 200 to 699"},
		{"t_grep_status(\"700\");", "a final status is a number from 200 to 699"},
		{"t_is_set(\"failure_route\");", NULL},
		{"t_is_set(\"event_route\");", "\"onreply_route\""},
		{"t_local_replied(\"last\");", NULL},
		{"t_local_replied(\"first\");", "\"all\" or \"last\""},
		{"t_replicate(\"sip:10.0.0.2:5060\");", NULL},
		{"t_replicate(\"10.0.0.2\");", "a copy goes to a URI"},
		{"t_replicate();", NULL},
		{"t_replicate(\"10.0.0.2\", \"5060\");", NULL},
		{"t_replicate_udp(\"10.0.0.2\", \"5060\");", NULL},
		{"t_replicate(\"10.0.0.2\", \"65536\");", "a host and a port"},
		{"t_replicate(\"10.0.0.2\", \"0\");", "a host and a port"},
		{"t_replicate(\"a b\", \"5060\");", "a host and a port"},
		{"t_load_contacts(\"0\");", NULL},
		{"t_load_contacts(\"1\");", "the mode is 0"},
		{"t_on_failure(\"f\");", NULL},
		{"t_on_failure(\"nowhere\");", "nowhere"},
	};
	struct world *w = world_new((struct world_config){0});
	char said[1024];

	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		bool good = loads(w, "", row[i].statement, said, sizeof(said));

		if (good != (row[i].why == NULL) || (!good && strstr(said, row[i].why) == NULL))
			fail_msg("%s: %s: %s", row[i].statement, good ? "loads" : "is refused",
				said);
	}
	world_close(w);
}

/* OpenSER counted seconds: what can't be milliseconds is taken for them, and said with its line. */
static void numbers_of_openser_are_seconds(void **state)
{
	static const struct {
		const char *param;
		const char *said; /* NULL: nothing */
	} row[] = {
		{"fr_timer\", 30", "load.cfg:9:28: warning: fr_timer 30 is taken for 30 s, as "
				   "OpenSER counts; in milliseconds it is 30000"},
		{"fr_timer\", 299", "fr_timer 299 is taken for 299 s"},
		{"fr_timer\", 300", NULL},
		{"fr_inv_timer\", 120", "fr_inv_timer 120 is taken for 120 s"},
		{"fr_inv_timer\", 999", "fr_inv_timer 999 is taken for 999 s"},
		{"fr_inv_timer\", 1000", NULL},
		{"wt_timer\", 5", "wt_timer 5 is taken for 5 s"},
		{"wt_timer\", 300", NULL},
		{"retr_timer2\", 4", "retr_timer2 4 is taken for 4 s"},
		{"retr_timer2\", 61", NULL},
		{"T2_timer\", 40", NULL},
		{"fr_timeout\", 30", NULL},
		{"retr_timer1p1\", 1", "has no effect here"},
		{"delete_timer\", 2", "has no effect here"},
	};
	struct world *w = world_new((struct world_config){0});
	char param[100], said[1024];

	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		/* A call may last as long as its timer: that is another warning. */
		snprintf(param, sizeof(param),
			"modparam(\"tm\", \"max_inv_lifetime\", 1000000)\nmodparam(\"tm\", \"%s)",
			row[i].param);
		assert_true(loads(w, param, "t_relay();", said, sizeof(said)));
		if (row[i].said == NULL ? strstr(said, "load.cfg:9:") != NULL
					: strstr(said, row[i].said) == NULL)
			fail_msg("%s: %s", row[i].param, said);
	}
	assert_false(
		loads(w, "modparam(\"tm\", \"fr_timer\", 0)", "t_relay();", said, sizeof(said)));
	assert_false(loads(
		w, "modparam(\"tm\", \"retr_timer1\", 60001)", "t_relay();", said, sizeof(said)));
	world_close(w);
}

/* A bound that nobody wrote ends calls before the timer that somebody did. */
static void a_timer_that_a_lifetime_cuts_is_warned_of(void **state)
{
	struct world *w = world_new((struct world_config){0});
	char said[1024];

	assert_true(loads(
		w, "modparam(\"tm\", \"fr_inv_timer\", 300)", "t_relay();", said, sizeof(said)));
	assert_non_null(strstr(said, "fr_inv_timer (300000 ms) is longer than max_inv_lifetime "
				     "(180000 ms)"));
	assert_true(loads(
		w, "modparam(\"tm\", \"fr_inv_timer\", 180)", "t_relay();", said, sizeof(said)));
	assert_null(strstr(said, "max_inv_lifetime"));
	world_close(w);
}

static void a_transaction_has_a_number_and_without_one_there_is_none(void **state)
{
	struct world *w = world_new(
		SCRIPT("request_route {\n	append_hf(\"X-Before: $T(id_index)\\r\\n\");\n"
		       "	t_newtran();\n	append_hf(\"X-Id: $T(id_index)\\r\\n\");\n"
		       "	t_relay();\n}\n"));
	const struct sent *first = call(w, (struct ask){.call = "first"}),
			  *second = call(w, (struct ask){.call = "second"});

	assert_string_equal(header(first->text, "X-Before", 0), "<null>");
	assert_string_not_equal(header(first->text, "X-Id", 0), "<null>");
	assert_string_not_equal(header(first->text, "X-Id", 0), header(second->text, "X-Id", 0));
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_work_is_refused),
		cmocka_unit_test(numbers_of_openser_are_seconds),
		cmocka_unit_test(a_timer_that_a_lifetime_cuts_is_warned_of),
		cmocka_unit_test(a_transaction_has_a_number_and_without_one_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
