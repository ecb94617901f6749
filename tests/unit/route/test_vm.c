/* SPDX-License-Identifier: BSD-3-Clause */
/* What scripts do over a message: values, flow, stops and bounds, and the life of a script. */
#include "language.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MODULES \
	"loadmodule \"test.so\" loadmodule \"sl.so\" loadmodule \"textops.so\" loadmodule " \
	"\"pv.so\" loadmodule \"tm.so\"\n"

/* Loads blocks, which must be free of errors. */
static struct language *load(const char *blocks)
{
	char text[8192];
	struct language *l;

	snprintf(text, sizeof(text), MODULES "%s", blocks);
	l = language_load(text);
	if (l->script == NULL)
		printf("%s\n%s", blocks, route_report_text(l->report));
	assert_non_null(l->script);
	return l;
}

static void assert_calls(const char *what, const char *expected)
{
	if (strcmp(language_calls, expected) != 0)
		printf("%s\n", what);
	assert_string_equal(language_calls, expected);
}

/* ---- values ---- */

static const struct {
	const char *expression, *value;
} values[] = {
	/* numbers */
	{"1 + 2 * 3", "7"},
	{"(1 + 2) * 3", "9"},
	{"10 - 3 - 2", "5"},
	{"7 / 2", "3"},
	{"-7 / 2", "-3"},
	{"7 % 3", "1"},
	{"-(3)", "-3"},
	{"0x1F", "31"},
	{"1k + 1M", "1001000"},
	{"6 & 3", "2"},
	{"6 | 3", "7"},
	{"6 ^ 3", "5"},
	{"~0", "-1"},
	{"1 << 4", "16"},
	{"256 >> 4", "16"},
	{"1 << 64", "0"},
	{"1 / $var(zero)", "null"},
	{"1 % $var(zero)", "null"},
	{"(0 - 0x7ffffffffffffff) / (0 - 1)", "576460752303423487"},
	/* text */
	{"\"a\" + \"b\"", "ab"},
	{"\"a\" + 1 + 2", "a12"},
	{"1 + 2 + \"3\"", "6"},
	{"\"a\" + (1 + 2)", "a3"},
	{"\"sip:\" + $rU + \"@\" + $rd + \":\" + 5080", "sip:bob@example.net:5080"},
	{"$rU + \"-\" + $fU", "bob-alice"},
	{"(str)5 + 6", "56"},
	{"(int)\"5\" + 6", "11"},
	{"(int)\"x\"", "0"},
	{"$hdr(X-Number) + 1", "421"},
	{"(int)$hdr(X-Number) + 1", "43"},
	{"\"plain \" + '$ru'", "plain $ru"},
	{"$_s(to $rU at $rd)", "to bob at example.net"},
	{"$rU", "bob"},
	{"$hdr(Subject)", "lunch"},
	{"$hdr(Nothing)", "null"},
	{"$null", "null"},
	/* comparisons: by the type of the left side */
	{"1 == 1", "1"},
	{"1 == \"1\"", "1"},
	{"\"1\" == 1", "1"},
	{"\"01\" == 1", "0"},
	{"1 == \"01\"", "1"},
	{"\"a\" == \"A\"", "0"},
	{"\"a\" != \"b\"", "1"},
	{"1 != 2", "1"},
	{"$hdr(Nothing) == $null", "1"},
	{"$hdr(Nothing) == \"\"", "1"},
	{"$hdr(Nothing) == 0", "1"},
	{"$hdr(Nothing) == \"x\"", "0"},
	{"$rU == $null", "0"},
	{"$rU != $null", "1"},
	{"$var(never) == 0", "1"},
	{"2 < 10", "1"},
	{"\"2\" < \"10\"", "1"},
	{"3 >= 3", "1"},
	{"3 > 3", "0"},
	{"3 <= 2", "0"},
	/* the order of operators */
	{"1 + 1 == 2 && 2 + 2 == 4", "1"},
	{"1 || 0 && 0", "1"},
	{"(1 || 0) && 0", "0"},
	{"!0 && !0", "1"},
	{"!(1 && 0)", "1"},
	{"not 1 or 1", "1"},
	{"1 | 2 == 2", "1"},
	{"5 == 2 + 3", "1"},
	{"!\"\"", "1"},
	{"!\"1\"", "0"},
	{"!\"text\"", "1"},
	/* words of the message */
	{"method", "INVITE"},
	{"method == \"INVITE\"", "1"},
	{"method == INVITE", "1"},
	{"method != INVITE", "0"},
	{"method == \"invite\"", "0"},
	{"$rm == \"INVITE\"", "1"},
	{"method =~ \"INV|BYE\"", "1"},
	{"uri", "sip:bob@example.net:5070;x=1"},
	{"uri == myself", "1"},
	{"from_uri == myself", "0"},
	{"from_uri != myself", "1"},
	{"to_uri == myself", "1"},
	{"myself == uri", "1"},
	{"dst_ip == myself", "1"},
	{"src_ip == myself", "0"},
	{"src_ip", "192.0.2.7"},
	{"src_ip == 192.0.2.7", "1"},
	{"src_ip == 192.0.2.8", "0"},
	{"src_ip == 192.0.0.0/16", "1"},
	{"src_ip == 192.0.0.0/255.255.0.0", "1"},
	{"src_ip != 10.0.0.0/8", "1"},
	{"src_ip == \"192.0.2.7\"", "1"},
	{"$si == \"192.0.2.7\"", "1"},
	{"src_ip == [2001:db8::1]", "0"},
	{"src_port", "40000"},
	{"dst_port == 5060", "1"},
	{"proto == UDP", "1"},
	{"proto == TCP", "0"},
	{"proto == \"udp\"", "1"},
	{"af == INET", "1"},
	{"af == INET6", "0"},
	{"msg:len > 100", "1"},
	{"msg:len > 4096", "0"},
	{"msg:len < max_len", "1"},
	{"uri =~ \"^sip:b[a-z]+@\"", "1"},
	{"uri !~ \"^sip:b[a-z]+@\"", "0"},
	{"$hdr(Nothing) =~ \"x\"", "0"},
	{"$hdr(X-Number) =~ \"^[0-9]+$\"", "1"},
	/* defined, strlen */
	{"defined $hdr(Subject)", "1"},
	{"defined $hdr(Nothing)", "0"},
	{"!defined $hdr(Nothing)", "1"},
	{"strlen $rU", "3"},
	{"strlen(\"four\")", "4"},
	{"strempty \"\"", "1"},
	/* functions are true where they return more than 0 */
	{"give(5)", "1"},
	{"give(-5)", "0"},
	{"give(5) == 1 && $rc == 5", "1"},
	{"give(-3) || $rc == -3", "1"},
	/* transformations */
	{"$(rU{s.len})", "3"},
	{"$(hdr(X-Number){s.int})", "42"},
	{"$(rU{s.upper})", "BOB"},
	{"$(fn{s.lower})", "\"alice\""},
	{"$(ru{s.substr,4,3})", "bob"},
	{"$(ru{s.substr,-3,0})", "x=1"},
	{"$(ru{s.substr,4,0}{s.len})", "24"},
	{"$(ru{s.substr,99,1})", ""},
	{"$(ru{uri.user})", "bob"},
	{"$(ru{uri.host})", "example.net"},
	{"$(ru{uri.port})", "5070"},
	{"$(ru{uri.param,x})", "1"},
	{"$(ru{uri.param,y})", ""},
	{"$(fu{uri.user}{s.len})", "5"},
	{"$(hdr(Nothing){s.len})", "0"},
};

static void test_expressions_have_kamailios_values(void **state)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char blocks[512], expected[256];
		struct language *l;
		bool calls = strstr(values[i].expression, "give(") != NULL;
		const char *at;

		snprintf(blocks, sizeof(blocks), "request_route { note(%s); }",
			values[i].expression);
		l = load(blocks);
		language_message(l, language_invite);
		assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
		snprintf(expected, sizeof(expected), "note(%s)", values[i].value);
		at = calls ? strstr(language_calls, "note(") : language_calls;
		assert_non_null(at);
		if (strcmp(at, expected) != 0)
			printf("%s is %s\n", values[i].expression, at);
		assert_string_equal(at, expected);
		assert_int_equal(l->ctx->sp, 0);
		language_free(l);
	}
}

/* The same as a condition: what is not 0 as a number is true. */
static void test_conditions_take_values_as_numbers(void **state)
{
	static const struct {
		const char *condition;
		bool yes;
	} rows[] = {
		{"1", true},
		{"0", false},
		{"-1", true},
		{"\"1\"", true},
		{"\"0\"", false},
		{"\"text\"", false},
		{"$hdr(X-Number)", true},
		{"$hdr(Nothing)", false},
		{"$var(unset)", false},
		{"$null", false},
		{"give(1)", true},
		{"give(-1)", false},
		{"!give(-1)", true},
		{"give(7)", true},
		{"give(1) && give(-1)", false},
		{"give(-1) || give(1)", true},
		{"!(give(-1) || give(1))", false},
		{"give(1) and not give(-1)", true},
		{"is_method(\"INVITE\")", true},
		{"is_method(\"BYE\")", false},
		{"!is_method(\"BYE\")", true},
		{"is_method(\"BYE|INVITE\")", true},
		{"is_method(\"SPIRAL|BYE\")", false},
		{"is_method(\"BYE\") || is_method(\"INVITE\")", true},
		{"is_method(\"INVITE\") && !is_method(\"BYE\")", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char blocks[512];
		struct language *l;

		snprintf(blocks, sizeof(blocks),
			"request_route { if (%s) note(\"yes\"); else note(\"no\"); }",
			rows[i].condition);
		l = load(blocks);
		language_message(l, language_invite);
		assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
		if (strstr(language_calls, rows[i].yes ? "note(yes)" : "note(no)") == NULL)
			printf("%s gives %s\n", rows[i].condition, language_calls);
		assert_non_null(strstr(language_calls, rows[i].yes ? "note(yes)" : "note(no)"));
		language_free(l);
	}
}

/* A request with a method of no number, and a response, whose method is its CSeq's. What was said
 * is $rc. */
static void test_a_method_is_asked_for_in_any_message(void **state)
{
	static const char spiral[] = "SPIRAL sip:bob@example.net SIP/2.0\n"
				     "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKabc\n"
				     "From: <sip:alice@example.org>;tag=f1\n"
				     "To: <sip:bob@example.net>\n"
				     "Call-ID: c1@192.0.2.7\n"
				     "CSeq: 7 SPIRAL\n"
				     "\n";
	static const char body[] = "{ if (is_method(\"INVITE\")) note(1, $rc); else note(2, $rc); "
				   "if (is_method(\"BYE|SPIRAL\")) note(3, $rc); "
				   "if (!is_method(\"BYE|ACK\")) note(4, $rc); }";
	char blocks[512];
	struct language *l;

	snprintf(blocks, sizeof(blocks), "request_route %s reply_route %s", body, body);
	l = load(blocks);
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_calls("", "note(1,1) note(4,-1)");
	language_message(l, language_ok);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_calls("", "note(1,1) note(4,-1)");
	language_message(l, spiral);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_calls("", "note(2,-1) note(3,1) note(4,-1)");
	language_free(l);
}

/* ---- flow ---- */

static const struct {
	const char *blocks, *calls;
} flows[] = {
	{"request_route { note(1); exit; note(2); }", "note(1)"},
	{"request_route { note(1); return; note(2); }", "note(1)"},
	{"request_route { note(1); drop; note(2); }", "note(1)"},
	{"request_route { if (1) note(1); else note(2); note(3); }", "note(1) note(3)"},
	{"request_route { if (0) note(1); else if (0) note(2); else note(3); }", "note(3)"},
	{"request_route { if (0) { note(1); } note(2); { note(3); } }", "note(2) note(3)"},
	/* short circuit */
	{"request_route { if (give(-1) && give(2)) note(1); }", "give(-1)"},
	{"request_route { if (give(1) || give(2)) note(1); }", "give(1) note(1)"},
	{"request_route { if (!(give(-1) && give(2)) && give(3)) note(1); }",
		"give(-1) give(3) note(1)"},
	{"request_route { $var(x) = give(-1) || give(4); note($var(x)); }",
		"give(-1) give(4) note(1)"},
	/* a function that returns 0 ends the script, in a condition too */
	{"request_route { give(0); note(1); }", "give(0)"},
	{"request_route { if (give(0)) note(1); note(2); }", "give(0)"},
	{"request_route { route(A); note(2); } route[A] { give(0); note(1); }", "give(0)"},
	/* routes */
	{"request_route { route(A); note(2); } route[A] { note(1); }", "note(1) note(2)"},
	{"request_route { route(1); note(2); } route[1] { note(1); return; note(9); }",
		"note(1) note(2)"},
	{"request_route { route(A); note($rc); } route[A] { return -7; }", "note(-7)"},
	{"request_route { route(A); note($rc); } route[A] { return; }", "note(1)"},
	{"request_route { route(A); note($rc); } route[A] { give(-4); }", "give(-4) note(1)"},
	{"request_route { if (route(A)) note(1); else note(2); } route[A] { return -1; }",
		"note(2)"},
	{"request_route { if (!route(A)) note(1); else note(2); } route[A] { return 3; }",
		"note(2)"},
	{"request_route { route(A); note(1); } route[A] { return 0; }", ""},
	{"request_route { route(A); note(1); } route[A] { return(0); }", ""},
	{"request_route { route(A); note(1); } route[A] { exit; }", ""},
	{"request_route { route(A); note(1); } route[A] { drop(); }", ""},
	{"request_route { route(A); note(3); } route[A] { route(B); note(2); } route[B] { note(1); "
	 "}",
		"note(1) note(2) note(3)"},
	{"request_route { $var(x) = 10 + route(A) * 2; note($var(x)); } route[A] { $var(y) = 1 + "
	 "1; return 5; }",
		"note(12)"},
	{"request_route { route(A); note($rc); } route[A] { return $var(z) - 2; }", "note(-2)"},
	{"route { note(0); } route[0x2] { exit; }", "note(0)"},
	/* loops */
	{"request_route { while ($var(i) < 3) { $var(i) = $var(i) + 1; note($var(i)); } }",
		"note(1) note(2) note(3)"},
	{"request_route { while (1) { $var(i) += 1; if ($var(i) == 2) break; note($var(i)); } "
	 "note(9); }",
		"note(1) note(9)"},
	{"request_route { while ($var(i) < 2) { $var(i) += 1; $var(j) = 0; while (1) { $var(j) += "
	 "1; if ($var(j) > 2) break; note($var(j)); } } }",
		"note(1) note(2) note(1) note(2)"},
	{"request_route { while ($var(i) < 5) { $var(i) += 1; route(A); } note($var(i)); } "
	 "route[A] { if ($var(i) == 2) return; note($var(i)); }",
		"note(1) note(3) note(4) note(5) note(5)"},
	/* switch */
	{"request_route { switch (2) { case 1: note(1); break; case 2: note(2); break; default: "
	 "note(3); } note(4); }",
		"note(2) note(4)"},
	{"request_route { switch (2) { case 2: note(2); case 3: note(3); break; case 4: note(4); } "
	 "}",
		"note(2) note(3)"},
	{"request_route { switch (9) { case 1: note(1); break; default: note(3); } }", "note(3)"},
	{"request_route { switch (9) { default: note(3); case 1: note(1); break; case 2: note(2); "
	 "} }",
		"note(3) note(1)"},
	{"request_route { switch (9) { case 1: note(1); } note(2); }", "note(2)"},
	{"request_route { switch ($rm) { case \"BYE\": note(1); break; case INVITE: note(2); "
	 "break; } }",
		"note(2)"},
	{"request_route { give(-3); switch ($rc) { case -1: case -3: note(3); break; case -2: "
	 "note(2); } }",
		"give(-3) note(3)"},
	{"request_route { while (1) { switch (1) { case 1: break; } note(1); break; } }",
		"note(1)"},
	{"request_route { switch (1) { case 1: return; } note(1); }", ""},
	{"request_route { route(A); note(2); } route[A] { switch (1) { case 1: if (1) return 5; } "
	 "}",
		"note(2)"},
	/* variables and assignments */
	{"request_route { $var(x) = 5; $var(x) += 2; $var(x) -= 1; $var(x) *= 4; $var(x) /= 3; "
	 "$var(x) %= 5; note($var(x)); }",
		"note(3)"},
	{"request_route { $var(x) = 12; $var(x) |= 3; note($var(x)); $var(x) &= 6; note($var(x)); "
	 "$var(x) ^= 5; note($var(x)); }",
		"note(15) note(6) note(3)"},
	{"request_route { $var(x) = \"a\"; $var(x) += \"b\"; $var(y) = $var(x); $var(x) = \"c\"; "
	 "note($var(x), $var(y)); }",
		"note(c,ab)"},
	{"request_route { $var(x) = \"a\"; $var(x) = $null; note($var(x)); }", "note(0)"},
	{"request_route { $ru = \"sip:new@example.org\"; note($ru, $rU, uri); }",
		"note(sip:new@example.org,new,sip:new@example.org)"},
	{"request_route { $rU = \"carol\"; note($ru); }", "note(sip:carol@example.net:5070;x=1)"},
	{"request_route { $du = \"sip:10.0.0.1\"; note($du); $du = $null; note($du); }",
		"note(sip:10.0.0.1) note(null)"},
	/* arguments: constants, formats, expressions, as written */
	{"request_route { note(\"to $rU\", \"a$$b\", 5, -5, word, 10.0.0.1, udp:1.2.3.4:5060); }",
		"note(to bob,a$b,5,-5,word,10.0.0.1,udp:1.2.3.4:5060)"},
	{"request_route { note(\"$var(x)$rU$var(x)\"); }", "note(0bob0)"},
	{"request_route { raw(\"^a$rU$\"); raw(\"x\", \"$rU\"); raw($rU); }",
		"note(null) note(null,bob) note(bob)"},
	{"request_route { note(give(1) + 1, give(-1)); }", "give(1) give(-1) note(2,0)"},
	{"request_route { note('single $rU', \"es\\tc\\\\\\\"\\.\"); }",
		"note(single bob,es\tc\\\"\\.)"},
	{"request_route { even(2); even(4); }", "note(2) note(4)"},
	/* statements of one word */
	{"request_route { give; note(1); }", "give() note(1)"},
	{"request_route { if (give) note(1); }", "give() note(1)"},
};

static void test_statements_flow_as_written(void **state)
{
	for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
		struct language *l = load(flows[i].blocks);

		language_message(l, language_invite);
		assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
		assert_calls(flows[i].blocks, flows[i].calls);
		assert_int_equal(l->ctx->failure, ROUTE_FAILURE_NONE);
		language_free(l);
	}
}

static void test_a_response_runs_reply_route_and_drop_drops_it(void **state)
{
	struct language *l = load("request_route { note(1); } reply_route { if (status == 183) "
				  "note($rs, method == INVITE); "
				  "if (status =~ \"18[0-9]\") drop; note(2); }");

	language_message(l, language_ok);
	assert_true(route_script_has_reply_route(l->script));
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_calls("", "note(183,1)");
	assert_true(l->ctx->result.drop);
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_calls("", "note(1)");
	assert_false(l->ctx->result.drop);
	language_free(l);

	l = load("request_route { drop; } onreply_route[X] { exit; }");
	assert_false(route_script_has_reply_route(l->script));
	language_message(l, language_ok);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_false(l->ctx->result.drop);
	/* Of a request drop says only that nothing was forgotten: what was decided before it stays.
	 */
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_true(l->ctx->result.drop);
	language_free(l);
	l = load("request_route { relay(); drop; }");
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_true(l->ctx->result.forward);
	language_free(l);
}

static void test_a_function_is_false_in_a_block_where_it_does_nothing(void **state)
{
	struct language *l =
		load("request_route { route(A); } reply_route { route(A); } "
		     "route[A] { if (only_reply()) note(1); else note(2); note($rc); }");

	assert_int_equal(route_report_warnings(l->report), 1);
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_calls("", "note(2) note(1)");
	language_message(l, language_ok);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_calls("", "note() note(1) note(1)");
	language_free(l);
}

/* ---- stops ---- */

static void move(struct language *l, struct route_ctx **other, char **other_buf)
{
	struct route_ctx *to = aligned_alloc(64, (sizeof(*to) + 63) & ~(size_t)63);
	char *buf = malloc(l->ctx->msg.len);

	assert_non_null(to);
	assert_non_null(buf);
	memset(to, 0x5a, sizeof(*to));
	memcpy(buf, l->buf, l->ctx->msg.len);
	route_ctx_copy(to, l->ctx);
	route_ctx_bind(to, l->script, &l->thread, buf);
	*other = to;
	*other_buf = buf;
}

static void test_a_stopped_run_goes_on_in_a_copy_elsewhere(void **state)
{
	/* pending() stands at every kind of place; each resumption is in another context with
	 * another buffer. */
	static const char *const scripts[] = {
		"request_route { $var(a) = \"x\" + $rU; pending(); note($var(a), $ru); }",
		"request_route { pending($rU, \"at $rd\", 5); note(1); }",
		"request_route { if (pending() && give(2)) note(1); }",
		"request_route { note(\"a\" + $rU, pending($fU), \"b\" + $rd); }",
		"request_route { $var(i) = 0; while ($var(i) < 3) { $var(i) += 1; "
		"pending($var(i)); } note($var(i)); }",
		"request_route { switch ($rU) { case \"bob\": pending(1); note(\"$rU\"); break; "
		"default: note(2); } }",
		("request_route { $var(k) = \"keep\" + 1; route(A); note($rc, $var(k)); } route[A] "
		 "{ $ru = \"sip:z@example.net\"; route(B); return 5; } "
		 "route[B] { pending($rU); note($rU); }"),
		"request_route { $var(x) = 1 + (2 * (3 + pending())); note($var(x)); }",
		"request_route { append_hf(\"X-A: 1\\r\\n\"); setflag(3); pending(); if "
		"(isflagset(3)) note(1); }",
	};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		char expected[sizeof(language_calls)];
		struct language *l = load(scripts[i]);

		language_pending = 0;
		language_message(l, language_invite);
		assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
		strcpy(expected, language_calls);
		/* n stops before it goes on, each in a context of its own */
		for (int n = 1; n <= 4; n++) {
			struct route_ctx *held[8], *ctx = l->ctx;
			char *bufs[8];
			int stops = 0;
			enum route_verdict verdict;

			language_message(l, language_invite);
			language_pending = n;
			verdict = route_run(l->ctx);
			while (verdict == ROUTE_WAIT) {
				struct language here = *l;

				assert_true(stops < 8);
				assert_true(
					str_eq(route_text_str(ctx, ctx->wait), STR("example.net")));
				here.ctx = ctx;
				here.buf = ctx->buf;
				move(&here, &held[stops], &bufs[stops]);
				/* What is left behind may be anything from now on. */
				memset(ctx->stack, 0xee, sizeof(ctx->stack));
				memset(ctx->text, 0xee, sizeof(ctx->text));
				memset(ctx->var, 0xee, sizeof(ctx->var));
				ctx = held[stops++];
				verdict = route_resume(ctx);
			}
			assert_int_equal(verdict, ROUTE_ENDED);
			assert_int_equal(stops, n);
			assert_calls(scripts[i], expected);
			assert_int_equal(ctx->sp, 0);
			while (stops-- > 0) {
				free(held[stops]);
				free(bufs[stops]);
			}
		}
		language_free(l);
	}
}

static void test_what_needs_state_stops_the_run_and_is_named(void **state)
{
	static const struct {
		const char *blocks, *name, *calls;
	} rows[] = {
		{"request_route { note(1); t_relay(); note(2); }", "t_relay", "note(1)"},
		{"request_route { if (!t_relay(\"x\" + $rU, 5)) note(2); }", "t_relay", ""},
		{"request_route { $xavp(x) = 5; note(2); }", "$xavp(x)", ""},
		{"request_route { note($xavp(x)); }", "$xavp(x)", ""},
		{"request_route { note(1); note(\"of $xavp(x)\"); }", "$xavp", "note(1)"},
		{"request_route { if ($sht(a=>b) == 1) note(2); }", "$sht(a=>b)", ""},
		{"request_route { route(A); } route[A] { slow(); }", "slow", ""},
		{"request_route { t_reply(404, \"No\"); }", "t_reply", ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct language *l = load(rows[i].blocks);

		language_message(l, language_invite);
		assert_int_equal(route_run(l->ctx), ROUTE_SLOW);
		assert_string_equal(route_stop_name(l->ctx), rows[i].name);
		assert_calls(rows[i].blocks, rows[i].calls);
		/* Still there when asked again. */
		assert_int_equal(route_resume(l->ctx), ROUTE_SLOW);
		assert_string_equal(route_stop_name(l->ctx), rows[i].name);
		language_free(l);
	}
}

static void test_a_thread_with_state_goes_on_where_a_worker_stopped(void **state)
{
	struct language *l = load(
		"request_route { note(1); if (slow($rU, \"5\")) note(2); needs($rd); note(3); }");

	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_SLOW);
	assert_calls("", "note(1)");
	l->thread.has_state = true;
	language_needs_state = true;
	assert_int_equal(route_resume(l->ctx), ROUTE_SLOW);
	assert_string_equal(route_stop_name(l->ctx), "needs");
	language_needs_state = false;
	assert_int_equal(route_resume(l->ctx), ROUTE_ENDED);
	assert_calls("", "note(1) slow(bob,5) note(2) needs(example.net) note(3)");
	language_free(l);
}

/* ---- bounds ---- */

static void test_runs_are_bounded(void **state)
{
	static const struct {
		const char *blocks;
		enum route_failure failure;
	} rows[] = {
		{"request_route { while (1) { $var(x) = 1; } }", ROUTE_FAILURE_STEPS},
		{"request_route { route(A); } route[A] { route(A); }", ROUTE_FAILURE_CALLS},
		{"request_route { while (1) { $var(x) = $var(x) + \"0123456789abcdef\"; $var(x) = "
		 "\"a\" + $var(x); } }",
			ROUTE_FAILURE_TEXT_FULL},
		{"request_route { $var(x) = 1 + (1 + (1 + (1 + route(A)))); } route[A] { return 1 "
		 "+ (1 + (1 + (1 + (1 + route(A))))); }",
			ROUTE_FAILURE_STACK},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct language *l = load(rows[i].blocks);

		language_message(l, language_invite);
		assert_int_equal(route_run(l->ctx), ROUTE_FAILED);
		assert_int_equal(l->ctx->failure, rows[i].failure);
		/* The next message is as any. */
		language_message(l, language_ok);
		assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
		language_free(l);
	}
}

static void test_sources_are_bounded(void **state)
{
	static const struct {
		const char *begin, *repeat, *end, *says;
		unsigned times;
	} rows[] = {
		{"request_route { $var(x) = ", "1 + ", "1; }", "nested too deeply", 5000},
		{"request_route { $var(x) = ", "(", "1; }", NULL, 50000},
		{"request_route { $var(x) = ", "!", "1; }", "nested too deeply", 2000},
		{"request_route { ", "if (1) ", "exit; }", NULL, 50000},
		{"request_route { ", "{", "}", NULL, 50000},
		{"request_route { ", "while (1) { ", "exit; }", NULL, 100},
		{"request_route { ", "exit; ", "}", "more than 20000 statements", 30000},
		{"", "route[X] { exit; }\n", "", "a second route[X]", 30},
		{"#!define A A A A A A A A\n#!define B A A A A A A A A\n", "#!define A1 B\n",
			"request_route { A A1 B; }", NULL, 1},
		{"request_route { ", "$var(x) = \"some longer text\" + $rU;", "}", NULL, 3000},
		{"", "#!ifdef A\n", "", "nested too deeply", 100},
		{"request_route { if (", "1 || ", "1) exit; }", "nested too deeply", 1000},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = strlen(rows[i].repeat);
		char *text = malloc(
			     strlen(rows[i].begin) + n * rows[i].times + strlen(rows[i].end) + 1),
		     *at;
		struct language *l;

		assert_non_null(text);
		at = stpcpy(text, rows[i].begin);
		for (unsigned k = 0; k < rows[i].times; k++)
			at = stpcpy(at, rows[i].repeat);
		strcpy(at, rows[i].end);
		l = language_load(text);
		if (rows[i].says != NULL) {
			assert_null(l->script);
			assert_non_null(strstr(route_report_text(l->report), rows[i].says));
		}
		assert_true((l->script == NULL) == (route_report_errors(l->report) > 0));
		language_free(l);
		free(text);
	}
}

static void test_names_of_variables_are_bounded(void **state)
{
	char text[8192] = "request_route { ", one[64];
	struct language *l;

	for (unsigned i = 0; i <= ROUTE_VARS_MAX; i++) {
		snprintf(one, sizeof(one), "$var(v%u) = 1;", i);
		strcat(text, one);
	}
	strcat(text, " }");
	l = language_load(text);
	assert_null(l->script);
	assert_non_null(strstr(route_report_text(l->report), "more than 64 names of $var"));
	language_free(l);
}

/* ---- a script's life ---- */

static void test_modules_prepare_at_load_and_publish_at_once(void **state)
{
	struct language *l = load("modparam(\"test\", \"number\", 7)\nmodparam(\"test\", \"word\", "
				  "\"seven\")\nrequest_route { exit; }");
	const struct {
		int64_t number;
		const char *word;
	} *config = route_script_module_config(l->script, "test");

	assert_string_equal(language_life, "p");
	assert_int_equal(config->number, 7);
	assert_string_equal(config->word, "seven");
	assert_null(route_script_module_config(l->script, "rr"));
	assert_null(route_script_module_config(l->script, "no such"));
	route_script_publish(l->script);
	assert_string_equal(language_life, "pP");
	route_script_publish(l->script);
	language_free(l);
	assert_string_equal(language_life, "pP");

	/* Never published: what was prepared is discarded. */
	l = load("request_route { exit; }");
	config = route_script_module_config(l->script, "test");
	assert_int_equal(config->number, 5);
	assert_string_equal(config->word, "none");
	language_free(l);
	assert_string_equal(language_life, "pd");

	language_refuse_prepare = true;
	l = language_load(MODULES "request_route { exit; }");
	language_refuse_prepare = false;
	assert_null(l->script);
	assert_string_equal(language_life, "p");
	assert_non_null(strstr(route_report_text(l->report), "the list cannot be read"));
	language_free(l);
}

static void test_a_script_lives_until_the_last_reference_goes(void **state)
{
	struct language *l =
		load("request_route { $var(x) = \"constant\"; pending(); note($var(x)); }");

	route_script_publish(l->script);
	language_message(l, language_invite);
	language_pending = 1;
	assert_int_equal(route_run(l->ctx), ROUTE_WAIT);
	route_script_ref(l->script);
	route_script_unref(l->script);
	assert_int_equal(route_resume(l->ctx), ROUTE_ENDED);
	assert_calls("", "pending() note(constant)");
	language_free(l);
}

struct seen {
	bool refuse;
	unsigned times;
	char url[64];
	char calls[256]; /* what modules had done by then */
};

static int see_globals(void *arg, const struct route_config *config, struct route_report *report)
{
	struct seen *seen = arg;

	seen->times++;
	snprintf(seen->url, sizeof(seen->url), "%s", config->db_url);
	snprintf(seen->calls, sizeof(seen->calls), "%s", language_life);
	if (seen->refuse)
		route_error(report, NULL, "not this database");
	return seen->refuse ? -EINVAL : 0;
}

/* Rooms hear of them before what goes by them is checked, wherever they stand in the file. */
static void test_globals_are_known_before_functions_are_checked(void **state)
{
	struct seen seen = {.refuse = false};

	for (unsigned i = 0; i < 3; i++) {
		const char *text = i < 2 ? "loadmodule \"test.so\"\n"
					   "request_route { even(2); }\n"
					   "db_default_url = \"sqlite:///x\"\n"
					 : "loadmodule \"test.so\"\nrequest_route { even(2); }\n";
		struct route_report *report = route_report_create();
		struct route_registry registry;
		struct route_script *script;

		language_life[0] = '\0';
		language_registry(&registry);
		registry.globals = see_globals;
		registry.globals_arg = &seen;
		seen = (struct seen){.refuse = i == 1};
		script = route_script_load_text("test.cfg", str_c(text), &registry, report);
		assert_int_equal(seen.times, 1);
		assert_string_equal(seen.url,
			i < 2 ? "sqlite:///x" : "sqlite:///var/lib/siplane/siplane.sqlite");
		assert_string_equal(seen.calls, "");
		assert_true((script == NULL) == seen.refuse);
		assert_true((strstr(route_report_text(report), "not this database") != NULL) ==
			    seen.refuse);
		route_script_unref(script);
		route_report_destroy(report);
	}
}

static void test_globals_reach_the_configuration(void **state)
{
	struct language *l = language_load(
		"debug=4 log_stderror=yes server_header=\"Server: own 1:2\" "
		"user_agent_header=\"plain\" port=5062 mhomed=on secret_file=\"/s\" xlog_rate=7 "
		"advertised_address=sip.example.net\n"
		"cores { control = 0; slow = 1,3; workers = 2-7; idle = sleep; }\n"
		"memory { contacts = 1M; transactions = 200k; rows = 2k; huge = no; } "
		"db_url = \"mysql://u:p@h/d\" db_threads=3 db_stale=0\n"
		"port \"edge\" { device = \"net_tap0,iface=x\"; address = 10.0.0.5/24; address = "
		"[2001:db8::5]/64; gateway = 10.0.0.1;\n"
		"  gateway = [2001:db8::1]; mtu = 9000; vlan = 7; mac = \"02:00:00:00:00:01\"; }\n"
		"listen = udp:edge advertise sip.example.net:5080 name \"outside\"\n"
		"listen = udp:[2001:db8::5]:5070\nlisten=10.0.0.9 alias=\"a.example\" "
		"alias=udp:b.example:5060\n"
		"request_route { exit; }");
	const struct route_config *c;

	if (l->script == NULL)
		printf("%s", route_report_text(l->report));
	assert_non_null(l->script);
	assert_int_equal(route_report_warnings(l->report), 0);
	c = route_script_config(l->script);
	assert_int_equal(c->debug, 4);
	assert_int_equal(c->log_stderror, 1);
	assert_string_equal(c->server_header, "own 1:2");
	assert_string_equal(c->user_agent_header, "plain");
	assert_int_equal(c->mhomed, 1);
	assert_int_equal(c->xlog_rate, 7);
	assert_string_equal(c->secret_file, "/s");
	assert_string_equal(c->advertised_address, "sip.example.net");
	assert_string_equal(c->cores_control, "0");
	assert_string_equal(c->cores_slow, "1,3");
	assert_string_equal(c->cores_workers, "2-7");
	assert_int_equal(c->idle, ROUTE_IDLE_SLEEP);
	assert_int_equal(c->memory_contacts, 1000000);
	assert_int_equal(c->memory_transactions, 200000);
	assert_int_equal(c->memory_huge, 0);
	assert_int_equal(c->memory_rows, 2000);
	assert_string_equal(c->db_url, "mysql://u:p@h/d");
	assert_int_equal(c->db_threads, 3);
	assert_int_equal(c->db_stale, 0);
	assert_int_equal(c->ports, 1);
	assert_string_equal(c->port[0].device, "net_tap0,iface=x");
	assert_int_equal(c->port[0].addresses, 2);
	assert_string_equal(c->port[0].address[0], "10.0.0.5/24");
	assert_string_equal(c->port[0].address[1], "[2001:db8::5]/64");
	assert_string_equal(c->port[0].gateway[0], "10.0.0.1");
	assert_string_equal(c->port[0].gateway[1], "[2001:db8::1]");
	assert_int_equal(c->port[0].mtu, 9000);
	assert_int_equal(c->port[0].vlan, 7);
	assert_string_equal(c->port[0].mac, "02:00:00:00:00:01");
	assert_int_equal(c->listens, 3);
	assert_string_equal(c->listen[0].where, "edge");
	assert_int_equal(c->listen[0].port, 5062);
	assert_int_equal(c->listen[0].transport, SIP_TRANSPORT_UDP);
	assert_string_equal(c->listen[0].advertise_host, "sip.example.net");
	assert_int_equal(c->listen[0].advertise_port, 5080);
	assert_string_equal(c->listen[0].name, "outside");
	assert_string_equal(c->listen[1].where, "[2001:db8::5]");
	assert_int_equal(c->listen[1].port, 5070);
	assert_null(c->listen[1].advertise_host);
	assert_string_equal(c->listen[2].where, "10.0.0.9");
	assert_int_equal(c->listen[2].place.line, 8);
	assert_int_equal(c->aliases, 2);
	assert_string_equal(c->alias[0].host, "a.example");
	assert_int_equal(c->alias[0].port, 0);
	assert_string_equal(c->alias[1].host, "b.example");
	assert_int_equal(c->alias[1].port, 5060);
	assert_int_equal(c->alias[1].transport, SIP_TRANSPORT_UDP);
	language_free(l);
}

static void test_what_other_servers_write_means_the_same(void **state)
{
	static const struct {
		const char *before, *condition;
		bool holds;
	} rows[] = {
		{"", "!uri == myself", false},
		{"", "!from_uri == myself", true},
		{"", "!method == \"INVITE\"", false},
		{"", "!uri =~ \"^tel:\"", true},
		{"", "$rU == NULL", false},
		{"", "$hdr(X-None) == NULL", true},
		{"", "is_myself(\"$rd\")", true},
		{"", "is_myself(\"$ru\")", true},
		{"", "is_myself(\"udp:example.net:5060\")", true},
		{"", "is_myself(\"198.51.100.1\", \"5060\")", true},
		{"", "is_myself(\"example.org\")", false},
		{"", "is_myself(\"\")", false},
		{"", "is_present_hf_pv(\"s\")", true},
		{"gate.host = \"10.9.8.7\" desc \"there\"\ngate.port = 5070\n",
			"\"x\" + $sel(cfg_get.gate.host) + $sel(cfg_get.gate.port) == "
			"\"x10.9.8.75070\"",
			true},
		{"gate.host = \"h\"\ngate.port = 5070\n",
			"$_s(<$sel(cfg_get.gate.host):$sel(cfg_get.gate.port)>$rm) == "
			"\"<h:5070>INVITE\"",
			true},
		{"gate.host = \"\"\n", "$_s(a$sel(cfg_get.gate.host)b) == \"ab\"", true},
		{"gate.host = \"\"\n", "strempty($sel(cfg_get.gate.host))", true},
		{"gate.port = 5070\n", "$sel(cfg_get.gate.port) > 5069", true},
		{"", "not_empty(\"$hdr(Subject)\")", true},
		{"", "not_empty(\"$hdr(X-Empty)\")", false},
		{"", "not_empty(\"$hdr(X-None)\")", false},
		{"", "not_empty(\"$cs\")", false},
		{"", "$hdr(X-None) == null", true},
		{"", "$RANDOM >= 0", true},
		{"", "\"$C(rg)\" == \"$C(rg)\"", true},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];
		struct language *l;

		snprintf(text, sizeof(text), "%srequest_route { if (%s) note(1); else note(0); }",
			rows[i].before, rows[i].condition);
		l = load(text);
		language_message(l, language_invite);
		assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
		assert_calls(rows[i].condition, rows[i].holds ? "note(1)" : "note(0)");
		language_free(l);
	}
}

static void test_an_error_behind_many_warnings_is_said(void **state)
{
	static char text[65536];
	size_t n = (size_t)snprintf(text, sizeof(text), MODULES);
	struct language *l;

	for (unsigned i = 0; i < 1100; i++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n, "modparam(\"test\", \"old\", 1)\n");
	snprintf(text + n, sizeof(text) - n, "request_route { nothing_like_it(); }\n");
	l = language_load(text);
	assert_null(l->script);
	assert_int_equal(route_report_warnings(l->report), 1100);
	assert_non_null(strstr(route_report_text(l->report), "unknown function"));
	language_free(l);
}

static void test_flags_have_names(void **state)
{
	struct language *l = load("loadmodule \"usrloc\"\nflags LOW:3\n"
				  "modparam(\"usrloc\", \"nat_bflag\", \"NAT\")\n"
				  "request_route { setflag(\"LOW\"); setbflag(\"NAT\"); "
				  "setflag(NAT); resetflag(LOW); note($mf, $bf); }");

	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_calls("flags", "note(2147483648,2147483648)");
	language_free(l);
}

static int count_line(void *arg, const char *line)
{
	if (strstr(line, "`$var(name)`") != NULL || strstr(line, "`xlog_rate`") != NULL ||
		strstr(line, "`t_relay()`") != NULL ||
		strstr(line, "| `number` | number 1 to 9 | 5 |") != NULL)
		(*(int *)arg)++;
	return 0;
}

static void test_the_reference_has_globals_variables_functions_and_parameters(void **state)
{
	struct route_registry registry;
	int found = 0;

	language_registry(&registry);
	route_reference(&registry, count_line, &found);
	assert_int_equal(found, 4);
}

static void test_a_room_takes_the_place_of_a_module_known_by_name(void **state)
{
	static const struct route_module mine = {.name = "auth"};
	struct route_registry registry;

	language_registry(&registry);
	assert_int_equal(route_registry_add(&registry, &mine, NULL), 0);
	assert_int_equal(route_registry_add(&registry, &mine, NULL), -EEXIST);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expressions_have_kamailios_values),
		cmocka_unit_test(test_conditions_take_values_as_numbers),
		cmocka_unit_test(test_a_method_is_asked_for_in_any_message),
		cmocka_unit_test(test_statements_flow_as_written),
		cmocka_unit_test(test_a_response_runs_reply_route_and_drop_drops_it),
		cmocka_unit_test(test_a_function_is_false_in_a_block_where_it_does_nothing),
		cmocka_unit_test(test_a_stopped_run_goes_on_in_a_copy_elsewhere),
		cmocka_unit_test(test_what_needs_state_stops_the_run_and_is_named),
		cmocka_unit_test(test_a_thread_with_state_goes_on_where_a_worker_stopped),
		cmocka_unit_test(test_runs_are_bounded),
		cmocka_unit_test(test_sources_are_bounded),
		cmocka_unit_test(test_names_of_variables_are_bounded),
		cmocka_unit_test(test_modules_prepare_at_load_and_publish_at_once),
		cmocka_unit_test(test_a_script_lives_until_the_last_reference_goes),
		cmocka_unit_test(test_globals_are_known_before_functions_are_checked),
		cmocka_unit_test(test_globals_reach_the_configuration),
		cmocka_unit_test(test_what_other_servers_write_means_the_same),
		cmocka_unit_test(test_flags_have_names),
		cmocka_unit_test(test_an_error_behind_many_warnings_is_said),
		cmocka_unit_test(test_the_reference_has_globals_variables_functions_and_parameters),
		cmocka_unit_test(test_a_room_takes_the_place_of_a_module_known_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
