/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks that something else than a message starts: from within a function, or over a context that
 * was kept. */
#include "language.h"

#include <stdio.h>
#include <stdlib.h>

#define MODULES \
	"loadmodule \"test.so\" loadmodule \"sl.so\" loadmodule \"textops.so\" loadmodule " \
	"\"tm.so\"\n"

static struct language *load(const char *blocks)
{
	char text[8192];
	struct language *l;

	snprintf(text, sizeof(text), MODULES "%s", blocks);
	l = language_load(text);
	if (l->script == NULL)
		printf("%s\n%s", blocks, route_report_text(l->report));
	assert_non_null(l->script);
	route_script_publish(l->script);
	l->thread.has_state = true;
	return l;
}

static void test_blocks_are_found_by_kind_and_name(void **state)
{
	struct language *l = load("request_route { t_on_failure(\"1\"); t_on_branch(\"1\");\n"
				  "t_on_reply(\"1\"); t_on_failure(\"next\"); }\n"
				  "failure_route[next] { note(\"f-next\"); }\n"
				  "branch_route[1] { note(\"b-1\"); }\n"
				  "onreply_route { note(\"main\"); }\n"
				  "onreply_route[1] { note(\"r-1\"); }\n"
				  "failure_route[1] { note(\"f-1\"); }\n"
				  "event_route[tm:local-request] { note(\"e\"); }\n");
	static const struct {
		enum route_in in;
		const char *name, *calls;
	} rows[] = {{ROUTE_IN_FAILURE, "1", "note(f-1)"},
		{ROUTE_IN_FAILURE, "next", "note(f-next)"}, {ROUTE_IN_BRANCH, "1", "note(b-1)"},
		{ROUTE_IN_REPLY, "1", "note(r-1)"},
		{ROUTE_IN_EVENT, "tm:local-request", "note(e)"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t block = route_script_block(l->script, rows[i].in, str_c(rows[i].name));

		assert_int_not_equal(block, ROUTE_NO_BLOCK);
		language_message(l, language_invite);
		assert_int_equal(route_run_block(l->ctx, block, rows[i].in), ROUTE_ENDED);
		assert_string_equal(language_calls, rows[i].calls);
	}
	assert_int_equal(route_script_block(l->script, ROUTE_IN_FAILURE, STR("2")), ROUTE_NO_BLOCK);
	assert_int_equal(route_script_block(l->script, ROUTE_IN_FAILURE, STR("")), ROUTE_NO_BLOCK);
	assert_int_equal(
		route_script_block(l->script, ROUTE_IN_FAILURE, STR("nex")), ROUTE_NO_BLOCK);
	assert_int_equal(
		route_script_block(l->script, ROUTE_IN_BRANCH, STR("next")), ROUTE_NO_BLOCK);
	language_free(l);
}

static void test_a_script_says_whether_it_needs_state(void **state)
{
	static const struct {
		const char *blocks;
		bool state;
	} rows[] = {
		{"request_route { if (is_method(\"INVITE\")) sl_send_reply(\"404\", \"No\"); }",
			false},
		{"request_route { slow(); }", true},
		{"request_route { either(); }", true},
		{"request_route { if (t_relay()) exit; }", true},
		{"request_route { route(a); } route[a] { if (1) { if (1) { slow(); } } }", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct language *l = load(rows[i].blocks);

		assert_int_equal(route_script_has_state(l->script), rows[i].state);
		language_free(l);
	}
}

static void test_a_worker_asks_a_function_that_may_do_without_state(void **state)
{
	static const char ack[] = "ACK sip:bob@example.net SIP/2.0\n"
				  "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKabd\n"
				  "From: <sip:alice@example.org>;tag=f1\n"
				  "To: <sip:bob@example.net>;tag=t\n"
				  "Call-ID: c1@192.0.2.7\n"
				  "CSeq: 7 ACK\n"
				  "\n";
	struct language *l = load("request_route { note(1); either(5); note(2); }");

	l->thread.has_state = false;
	language_message(l, ack);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_string_equal(language_calls, "note(1) either(5) note(2)");
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_SLOW);
	assert_string_equal(route_stop_name(l->ctx), "either");
	l->thread.has_state = true;
	assert_int_equal(route_resume(l->ctx), ROUTE_ENDED);
	assert_string_equal(language_calls, "note(1) either(5) note(2)");
	language_free(l);
}

/* The block around goes on as if nothing had run: values on its stack, calls, loops. */
static void test_a_block_within_a_function_leaves_the_one_around(void **state)
{
	struct language *l = load(
		"request_route { $var(n) = 0;\n"
		"while ($var(n) < 3) { $var(n) = $var(n) + 1; route(a); }\n"
		"note(\"end\" + $var(n), 1 + block(\"x\", $rU)); }\n"
		"route[a] { route(b); note($rc); }\n"
		"route[b] { note(\"s\", $var(n) + block(\"x\"), 7); return (9); }\n"
		"branch_route[x] { route(deep); if ($var(n) == 2) drop; note(\"x\" + $var(n)); }\n"
		"route[deep] { $var(m) = ($rU + \"1\") + ($rU + (\"2\" + \"3\")); return; }\n");

	/* Nobody names branch_route[x] where the checker looks: it is a test's function that does.
	 */
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_string_equal(language_calls, "block(x) note(x1) note(s,2,7) note(9) "
					    "block(x) note(s,2,7) note(9) "
					    "block(x) note(x3) note(s,4,7) note(9) "
					    "block(x,bob) note(x3) note(end3,2)");
	assert_int_equal(l->ctx->sp, 0);
	assert_int_equal(l->ctx->calls, 0);
	assert_false(l->ctx->calling);
	language_free(l);
}

static void test_a_block_ends_by_exit_drop_and_return(void **state)
{
	static const struct {
		const char *body;
		bool drop;
	} rows[] = {{"exit;", false}, {"drop;", true}, {"return;", false}, {"return(0);", false},
		{"return(-1);", false}, {"route(sub); note(\"on\");", false}, {"give(0);", false}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char blocks[512];
		struct language *l;

		snprintf(blocks, sizeof(blocks),
			"request_route { append_to_reply(\"A: b\\r\\n\"); block(\"x\"); "
			"note($rc); }\n"
			"route[sub] { exit; }\n"
			"branch_route[x] { %s }",
			rows[i].body);
		l = load(blocks);
		language_message(l, language_invite);
		assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
		assert_non_null(strstr(language_calls, rows[i].drop ? "note(-2)" : "note(2)"));
		assert_null(strstr(language_calls, "note(on)"));
		assert_true(
			str_eq(route_text_str(l->ctx, l->ctx->result.headers), STR("A: b\r\n")));
		language_free(l);
	}
}

static void test_steps_calls_and_stack_are_bounded_over_both(void **state)
{
	/* Each block alone stays far below the bound. */
	struct language *l =
		load("request_route { $var(n) = 0;\n"
		     "while ($var(n) < 100) { $var(n) = $var(n) + 1; block(\"x\"); } }\n"
		     "branch_route[x] { $var(m) = 0;\n"
		     "while ($var(m) < 1000) { $var(m) = $var(m) + 1; } }\n");

	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_FAILED);
	assert_int_equal(l->ctx->failure, ROUTE_FAILURE_STEPS);
	assert_int_equal(language_block_verdict, ROUTE_FAILED);
	language_free(l);

	/* A block that runs itself. */
	l = load("request_route { block(\"x\"); }\n"
		 "branch_route[x] { block(\"x\"); }\n");
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_FAILED);
	assert_int_equal(l->ctx->failure, ROUTE_FAILURE_CALLS);
	language_free(l);

	l = load("request_route { note(1, 2, 3, 4, block(\"x\")); }\n"
		 "branch_route[x] { note(1, 2, 3, 4, 5, $var(x), block(\"x\")); }\n");
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_FAILED);
	assert_int_equal(l->ctx->failure, ROUTE_FAILURE_STACK);
	language_free(l);
}

static void test_no_such_block_is_a_failure(void **state)
{
	struct language *l = load("request_route { block(\"y\"); }");

	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_FAILED);
	assert_int_equal(l->ctx->failure, ROUTE_FAILURE_INTERNAL);
	language_free(l);
}

/* The function is called again when the name is there, and the block runs from its start. */
static void test_a_name_that_a_function_s_block_waits_for(void **state)
{
	struct language *l =
		load("request_route { note(1, block(\"x\")); note(2); }\n"
		     "branch_route[x] { note(\"before\"); pending(); note(\"behind\"); }");

	language_message(l, language_invite);
	language_pending = 1;
	assert_int_equal(route_run(l->ctx), ROUTE_WAIT);
	assert_true(str_eq(route_text_str(l->ctx, l->ctx->wait), STR("example.net")));
	assert_int_equal(route_resume(l->ctx), ROUTE_ENDED);
	assert_string_equal(language_calls, "block(x) note(before) block(x) note(before) pending() "
					    "note(behind) note(1,1) note(2)");
	language_free(l);
}

static void test_a_block_that_stands_alone_waits_inside(void **state)
{
	struct language *l =
		load("request_route { t_on_failure(\"f\"); }\n"
		     "failure_route[f] { note(\"before\"); route(a); note(\"end\"); }\n"
		     "route[a] { pending(); note(\"behind\"); }");
	uint32_t block = route_script_block(l->script, ROUTE_IN_FAILURE, STR("f"));

	language_message(l, language_invite);
	language_pending = 2;
	assert_int_equal(route_run_block(l->ctx, block, ROUTE_IN_FAILURE), ROUTE_WAIT);
	assert_int_equal(l->ctx->in, ROUTE_IN_FAILURE);
	assert_int_equal(route_resume(l->ctx), ROUTE_WAIT);
	assert_int_equal(route_resume(l->ctx), ROUTE_ENDED);
	assert_string_equal(language_calls, "note(before) pending() note(behind) note(end)");
	assert_int_equal(l->ctx->calls, 0);
	language_free(l);
}

/* One block behind another over one message, however the first one ended. */
static void test_blocks_one_after_the_other(void **state)
{
	struct language *l = load("request_route { t_on_reply(\"1\"); }\n"
				  "onreply_route { note(\"main\", 1 + give(0)); }\n"
				  "onreply_route[1] { route(a); }\n"
				  "route[a] { note(\"one\"); drop; }");
	uint32_t block = route_script_block(l->script, ROUTE_IN_REPLY, STR("1"));

	language_message(l, language_ok);
	for (unsigned i = 0; i < 100; i++) {
		language_calls[0] = '\0';
		assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
		assert_int_equal(route_run_block(l->ctx, block, ROUTE_IN_REPLY), ROUTE_ENDED);
		assert_true(l->ctx->result.drop);
		assert_string_equal(language_calls, "give(0) note(one)");
		l->ctx->steps = 0;
	}
	language_free(l);
}

static void test_what_nothing_runs_stops_and_is_named(void **state)
{
	struct language *l = load("request_route { block(\"x\"); note($rc); }\n"
				  "branch_route[x] { unheard(); }");

	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_int_equal(language_block_verdict, ROUTE_SLOW);
	assert_string_equal(route_stop_name(l->ctx), "unheard");
	language_free(l);
}

static void test_error_route_may_change_the_reply(void **state)
{
	static const struct {
		const char *body, *calls;
		bool reply, drop;
		uint16_t status;
	} rows[] = {
		{"note($(err.class), $(err.level), $err.info, $(err.rcode), $err.rreason, $rs);",
			"note(1,3,bad_via,400,Bad Via,400)", true, false, 400},
		{"note(\"$(err.info): $err.rcode.\"); exit;", "note(bad_via: 400.)", true, false,
			400},
		{"sl_send_reply(\"$err.rcode\", \"X\");", "reply(400,X)", true, false, 0},
		{"drop;", "", false, true, 0},
		{"append_to_reply(\"X: y\\r\\n\"); note(1);", "note(1)", true, false, 400},
		{"slow();", NULL, true, false, 400},
		{"pending();", "", true, false, 400},
		{"while (1) $var(i) = 1;", "", true, false, 400},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char blocks[512];
		struct language *l;
		struct route_ctx *ctx;

		snprintf(blocks, sizeof(blocks),
			"request_route { note($err.info); } error_route { %s }", rows[i].body);
		l = load(blocks);
		assert_true(route_script_has_error_route(l->script));
		l->thread.has_state = false;
		language_message(l, language_invite);
		language_pending = 1;
		ctx = l->ctx;
		ctx->result.reply = true;
		ctx->result.status = 400;
		ctx->result.reason = route_text_make(ctx, STR("Bad Via"));
		route_run_error(ctx, STR("bad_via"));
		if (rows[i].calls != NULL)
			assert_string_equal(language_calls, rows[i].calls);
		assert_int_equal(ctx->result.reply, rows[i].reply);
		assert_int_equal(ctx->result.drop, rows[i].drop);
		assert_int_equal(ctx->result.status, rows[i].status);
		assert_int_equal(ctx->result.headers.len,
			strstr(rows[i].body, "append_to_reply") != NULL ? 6 : 0);
		assert_int_equal(ctx->failure, ROUTE_FAILURE_NONE);
		language_pending = 0;
		language_message(l, language_invite);
		assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
		assert_string_equal(language_calls, "note(null)");
		language_free(l);
	}
	struct language *l = language_load("loadmodule \"sl.so\" error_route { relay(); }");

	assert_null(l->script);
	assert_non_null(
		strstr(route_report_text(l->report), "'relay' cannot be used in error_route"));
	language_free(l);
	l = load("request_route { exit; }");
	assert_false(route_script_has_error_route(l->script));
	language_free(l);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_are_found_by_kind_and_name),
		cmocka_unit_test(test_a_script_says_whether_it_needs_state),
		cmocka_unit_test(test_a_worker_asks_a_function_that_may_do_without_state),
		cmocka_unit_test(test_a_block_within_a_function_leaves_the_one_around),
		cmocka_unit_test(test_a_block_ends_by_exit_drop_and_return),
		cmocka_unit_test(test_steps_calls_and_stack_are_bounded_over_both),
		cmocka_unit_test(test_no_such_block_is_a_failure),
		cmocka_unit_test(test_a_name_that_a_function_s_block_waits_for),
		cmocka_unit_test(test_a_block_that_stands_alone_waits_inside),
		cmocka_unit_test(test_blocks_one_after_the_other),
		cmocka_unit_test(test_what_nothing_runs_stops_and_is_named),
		cmocka_unit_test(test_error_route_may_change_the_reply),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
