/* SPDX-License-Identifier: BSD-3-Clause */
/* AVPs and the targets of a request: what scripts read and write of them. */
#include "language.h"

#include <stdio.h>
#include <stdlib.h>

#define MODULES \
	"loadmodule \"test.so\" loadmodule \"sl.so\" loadmodule \"textops.so\" loadmodule " \
	"\"pv.so\" loadmodule \"tm.so\" loadmodule \"avpops.so\"\n"

static struct language *load(const char *blocks)
{
	char text[16384];
	struct language *l;

	snprintf(text, sizeof(text), MODULES "%s", blocks);
	l = language_load(text);
	if (l->script == NULL)
		printf("%s\n%s", blocks, route_report_text(l->report));
	assert_non_null(l->script);
	return l;
}

/* Runs request_route { body } over an INVITE; what its functions were called with. */
static void gives(const char *body, const char *expected)
{
	char blocks[8192];
	struct language *l;

	snprintf(blocks, sizeof(blocks), "request_route { %s }", body);
	l = load(blocks);
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	if (strcmp(language_calls, expected) != 0)
		printf("%s\n", body);
	assert_string_equal(language_calls, expected);
	language_free(l);
}

static void refused(const char *blocks, const char *error)
{
	char text[8192];
	struct language *l;

	snprintf(text, sizeof(text), MODULES "%s", blocks);
	l = language_load(text);
	assert_null(l->script);
	if (strstr(route_report_text(l->report), error) == NULL)
		printf("%s\n%s", blocks, route_report_text(l->report));
	assert_non_null(strstr(route_report_text(l->report), error));
	language_free(l);
}

/* ---- AVPs ---- */

static void test_avps_stack_up_as_in_kamailio(void **state)
{
	gives("note($avp(x)); note($avp(x) == $null);", "note(null) note(1)");
	gives("$avp(x) = 1; $avp(x) = \"two\"; $avp(y) = 3; note($avp(x), $avp(y));",
		"note(two,3)");
	gives("$avp(x) = 1; $avp(x) = 2; $avp(x) = 3; note($(avp(x)[0]), $(avp(x)[1]), "
	      "$(avp(x)[2]), $(avp(x)[3]));",
		"note(3,2,1,null)");
	gives("$avp(x) = 1; $avp(x) = 2; $avp(x) = 3; note($(avp(x)[-1]), $(avp(x)[-3]), "
	      "$(avp(x)[-4]));",
		"note(1,3,null)");
	gives("$avp(x) = 1; $avp(y) = \"q\"; $avp(x) = \"b\"; note($(avp(x)[*]), "
	      "$(avp(z)[*]));",
		"note(b, 1,null)");
	/* An assignment to all replaces all; $null takes the newest, or all. */
	gives("$avp(x) = 1; $avp(x) = 2; $(avp(x)[*]) = 9; note($(avp(x)[*]));", "note(9)");
	gives("$avp(x) = 1; $avp(x) = 2; $avp(x) = $null; note($(avp(x)[*]));", "note(1)");
	gives("$avp(x) = 1; $avp(y) = 5; $avp(x) = 2; $(avp(x)[*]) = $null; note($(avp(x)[*]), "
	      "$avp(y));",
		"note(null,5)");
	gives("$avp(x) = $null; note($avp(x));", "note(null)");
	/* An index at an assignment adds all the same. */
	gives("$avp(x) = 1; $(avp(x)[5]) = 2; note($(avp(x)[*]));", "note(2, 1)");
	gives("$avp(x) = 5; $avp(x) += 2; note($(avp(x)[*]));", "note(7, 5)");
	gives("$avp(x) = \"\"; note($avp(x), $avp(x) == $null, $cnt(avp(x)));", "note(,1,1)");
}

static void test_avps_have_names_of_both_kinds(void **state)
{
	gives("$avp(s:x) = 1; note($avp(x), $avp(s:x));", "note(1,1)");
	gives("$avp(i:15) = \"n\"; note($avp(i:15), $avp(15));", "note(n,n)");
	gives("$avp(X) = 1; note($avp(x));", "note(null)");
	gives("$avp(caller_uuid) = 1; $avp(a.b-c) = 2; note($avp(caller_uuid), $avp(a.b-c));",
		"note(1,2)");
	refused("request_route { $avp(i:x) = 1; }",
		"test.cfg:2:17: error: $avp cannot be asked for 'i:x'");
	refused("request_route { $avp(a b) = 1; }", "$avp cannot be asked for 'a b'");
	refused("request_route { $avp = 1; }", "$avp needs a name in parentheses");
	refused("request_route { note($(avp(x)[y])); }", "'y' is no index");
	refused("request_route { note($(ru[1])); }", "takes no index in [ ]");
	refused("request_route { note(\"$(ru[1])\"); }", "takes no index in [ ]");
	refused("request_route { note(\"$(avp(x)[y])\"); }", "'y' is no index");
}

static void test_avps_are_read_in_strings_transformed_counted_and_walked(void **state)
{
	gives("$avp(x) = \"abc\"; $avp(x) = 12; note(\"<$avp(x)> $(avp(x)[1]) $(avp(x)[*]) "
	      "$avp(no)\");",
		"note(<12> abc 12, abc <null>)");
	gives("$avp(x) = \"sip:u@h:5062\"; note($(avp(x){uri.host}), $(avp(x)[0]{s.len}), "
	      "\"$(avp(x)[-1]{uri.port})\");",
		"note(h,12,5062)");
	gives("$avp(x) = 1; $avp(x) = 2; note($cnt(avp(x)), $cnt($avp(x)), $cnt(avp(y)), "
	      "\"$cnt(avp(x))\", $cnt(hdr(Via)));",
		"note(2,2,0,2,1)");
	gives("$avp(x) = \"a\"; $avp(x) = \"b\"; $avp(x) = \"c\"; $var(i) = 0;\n"
	      "while ($(avp(x)[$var(i)]) != $null) { note($(avp(x)[$var(i)]), "
	      "\"$(avp(x)[$var(i)])\"); $var(i) = $var(i) + 1; }",
		"note(c,c) note(b,b) note(a,a)");
	gives("if (!pv_isset(\"$avp(x)\")) note(0); $avp(x) = 1; if (pv_isset(\"$avp(x)\")) "
	      "note(1); pv_unset(\"$avp(x)\"); note($avp(x));",
		"note(0) note(1) note(null)");
	gives("if (defined $avp(x)) note(1); $avp(x) = 0; if (defined $avp(x)) note(2);",
		"note(2)");
	refused("request_route { note($cnt(ru)); }", "$cnt cannot be asked for 'ru'");
}

/* A value is as it was when it was assigned, whatever becomes of what it was read from. */
static void test_avps_keep_their_values(void **state)
{
	gives("$avp(u) = $ru; $avp(f) = $fU + \"@\" + $fd; $avp(n) = $hdr(X-Number);\n"
	      "$ru = \"sip:other@else.example\"; $var(x) = \"x\" + $ru;\n"
	      "note($avp(u), $avp(f), $avp(n) + 1);",
		"note(sip:bob@example.net:5070;x=1,alice@example.org,421)");
}

static void test_avps_are_bounded(void **state)
{
	struct language *l = load("request_route { $var(i) = 0; while ($var(i) < 65) { "
				  "$avp(x) = $var(i); $var(i) = $var(i) + 1; note($var(i)); } }");

	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_FAILED);
	assert_int_equal(l->ctx->failure, ROUTE_FAILURE_AVPS_FULL);
	assert_int_equal(l->ctx->avps, ROUTE_AVPS_MAX);
	assert_non_null(strstr(language_calls, "note(64)"));
	assert_null(strstr(language_calls, "note(65)"));
	language_free(l);
}

static void test_rooms_have_avps_too(void **state)
{
	static const struct {
		const char *spec, *name;
	} names[] = {{"$avp(i:708)", "708"}, {"$avp(s:rcv)", "rcv"}, {"$avp(rcv)", "rcv"},
		{"avp(rcv)", "rcv"}, {" s:rcv ", "rcv"}, {"i:42", "42"}, {"rcv", "rcv"},
		{"i:x", ""}, {"", ""}, {"$avp()", ""}, {"$avp(", ""}, {"a\nb", ""}};
	const struct route_value number = {.type = ROUTE_INT, .i = 7},
				 text = {.type = ROUTE_STR, .s = STR("t")};
	struct language *l = load("request_route { note($(avp(708)[*])); $avp(708) = 1; }");
	struct route_value got;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_true(str_eq(route_avp_name(str_c(names[i].spec)), str_c(names[i].name)));
	language_message(l, language_invite);
	assert_false(route_avp_get(l->ctx, STR("708"), 0, &got));
	assert_true(route_avp_add(l->ctx, STR("708"), &number));
	assert_true(route_avp_add(l->ctx, STR("708"), &text));
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_string_equal(language_calls, "note(t, 7)");
	assert_int_equal(route_avp_count(l->ctx, STR("708")), 3);
	assert_true(route_avp_get(l->ctx, STR("708"), 1, &got));
	assert_true(got.type == ROUTE_STR && str_eq(got.s, STR("t")));
	assert_true(route_avp_get(l->ctx, STR("708"), -1, &got));
	assert_int_equal(got.i, 7);
	assert_false(route_avp_get(l->ctx, STR("708"), -4, &got));
	assert_int_equal(route_avp_delete(l->ctx, STR("708"), false), 1);
	assert_int_equal(route_avp_delete(l->ctx, STR("708"), true), 2);
	assert_int_equal(l->ctx->avps, 0);
	language_free(l);
}

static void test_avpops_has_openser_s_functions(void **state)
{
	gives("if (is_avp_set(\"$avp(x)\")) note(1); $avp(s:x) = 5; if (is_avp_set(\"$avp(x)\")) "
	      "note(2); if (is_avp_set(\"$avp(x)/s\")) note(3); if (is_avp_set(\"$avp(x)/n\")) "
	      "note(4); if (is_avp_set(\"$avp(x)/e\")) note(5);",
		"note(2) note(4)");
	gives("$avp(x) = 0; if (is_avp_set(\"$avp(x)/e\")) note(1); $avp(y) = \"\"; if "
	      "(is_avp_set(\"$avp(y)/se\")) note(2);",
		"note(1) note(2)");
	gives("$avp(x) = 1; $avp(x) = 2; $avp(x) = 3; avp_delete(\"$avp(x)\"); note($(avp(x)[*])); "
	      "avp_delete(\"$avp(x)/g\"); note($avp(x)); if (!avp_delete(\"$avp(x)\")) note(10);",
		"note(2, 1) note(null) note(10)");
	gives("$avp(x) = 1; $avp(x) = 2; $avp(y) = 9; avp_copy(\"$avp(x)/g\", \"$avp(y)\"); "
	      "note($(avp(y)[*]), $(avp(x)[*])); avp_copy(\"$avp(x)/d\", \"$avp(z)\"); "
	      "note($avp(z), $avp(x)); if (!avp_copy(\"$avp(no)\", \"$avp(z)\")) note(10);",
		"note(2, 1, 9,2, 1) note(2,1) note(10)");
	gives("$avp(r) = 1; $avp(r) = 2; $avp(r) := 3; note($avp(r), $cnt(avp(r))); "
	      "$avp(r) := NULL; note($cnt(avp(r))); $var(v) := 4; note($var(v));",
		"note(3,1) note(0) note(4)");
	gives("avp_printf(\"$avp(i:10)\", \"<$rU> $cs\"); note($avp(10)); "
	      "avp_printf(\"$avp(n)\", \"$cs\"); note($avp(n));",
		"note(<bob> 7) note(7)");
	gives("$avp(x) = \"carol\"; avp_pushto(\"$ru/username\", \"$avp(x)\"); note($ru); $avp(x) "
	      "= "
	      "\"sip:d@h\"; avp_pushto(\"$ru\", \"$avp(s:x)\"); note($ru); $avp(d) = "
	      "\"sip:10.0.0.1\"; avp_pushto(\"$du\", \"$avp(d)\"); note($du); $avp(x) = \"no "
	      "uri\"; "
	      "if (!avp_pushto(\"$ru\", \"$avp(x)\")) note(10); if (!avp_pushto(\"$ru\", "
	      "\"$avp(y)\")) note(11);",
		"note(sip:carol@example.net:5070;x=1) note(sip:d@h) note(sip:10.0.0.1) note(10) "
		"note(11)");
	gives("$avp(b) = \"sip:one@h\"; $avp(b) = \"sip:two@h\"; avp_pushto(\"$br\", "
	      "\"$avp(b)/g\"); "
	      "note($branch(count), $br, $(branch(uri)[1]));",
		"note(2,sip:two@h,sip:one@h)");
	gives("$avp(x) = \"Bob\"; $avp(x) = 12; if (avp_check(\"$avp(x)\", \"eq/12\")) note(1); if "
	      "(avp_check(\"$avp(x)\", \"gt/11\")) note(2); if (avp_check(\"$avp(x)\", "
	      "\"lt/11\")) note(3); if (avp_check(\"$avp(x)\", \"eq/$rU/i\")) note(4); if "
	      "(avp_check(\"$avp(x)\", \"eq/$rU/gi\")) note(5); if (avp_check(\"$avp(x)\", "
	      "\"eq/$rU/g\")) note(6); if (avp_check(\"$avp(x)\", \"re/^b.b$/gi\")) note(7); if "
	      "(avp_check(\"$avp(y)\", \"ne/1\")) note(8); if (avp_check(\"$avp(x)\", \"ne/1\")) "
	      "note(9);",
		"note(1) note(2) note(5) note(7) note(9)");
	refused("request_route { is_avp_set(\"x\"); }", "an AVP is needed here");
	refused("request_route { is_avp_set(\"$avp(x)/q\"); }",
		"its flags are g, n, s, e, d and i");
	refused("request_route { is_avp_set($avp(x)); }", "a string is needed here");
	refused("request_route { avp_pushto(\"$fu\", \"$avp(x)\"); }", "an AVP is pushed to");
	refused("request_route { avp_check(\"$avp(x)\", \"is/5\"); }", "this is \"eq/value\"");
	refused("request_route { avp_check(\"$avp(x)\", \"re/(/\"); }", "not a regular expression");
	refused("request_route { avp_printf(\"$avp(x)\", \"$nosuch\"); }",
		"unknown pseudo-variable");
}

/* ---- headers by number ---- */

static void test_headers_are_read_by_number(void **state)
{
	static const char message[] = "INVITE sip:bob@example.net SIP/2.0\n"
				      "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKabc\n"
				      "v: SIP/2.0/UDP 192.0.2.8:5060;branch=z9hG4bKabd\n"
				      "X-A: one\n"
				      "From: <sip:alice@example.org>;tag=f1\n"
				      "To: <sip:bob@example.net>\n"
				      "Call-ID: c1@192.0.2.7\n"
				      "x-a: two\n"
				      "CSeq: 7 INVITE\n"
				      "X-A:\n"
				      "\n";
	struct language *l = load("request_route { note($(hdr(X-A)[0]), $(hdr(X-A)[1]), "
				  "$(hdr(X-A)[2]), $(hdr(X-A)[3]));\n"
				  "note($(hdr(X-A)[-1]), $(hdr(X-A)[-2]), $(hdr(X-A)[-4]));\n"
				  "note($(hdr(Via)[1]), $(hdr(X-A)[*]), $(hdr(Y)[*]), "
				  "$(hdr(CSeq)[*])); }");

	language_message(l, message);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_string_equal(language_calls,
		"note(one,two,,null) note(,two,null) "
		"note(SIP/2.0/UDP 192.0.2.8:5060;branch=z9hG4bKabd,one,two,,null,7 INVITE)");
	language_free(l);
}

/* ---- branches ---- */

static void test_branches_are_appended_read_and_dropped(void **state)
{
	gives("note($branch(count), $branch(uri), $br, $bR);", "note(0,null,null,null)");
	gives("append_branch(\"sip:a@h1\"); append_branch(\"sip:b@h2\", \"0.5\"); "
	      "append_branch(\"sip:c@h3\", 250);\n"
	      "note($branch(count), $br, $(branch(uri)[1]), $(branch(uri)[-1]), "
	      "$(branch(uri)[3])); note($bR);\n"
	      "note($branch(q), $(branch(q)[1]), $(branch(q)[2]));",
		"note(3,sip:a@h1,sip:b@h2,sip:c@h3,null) "
		"note(sip:a@h1, <sip:b@h2>;q=0.5, <sip:c@h3>;q=0.25) note(null,500,250)");
	/* Without a URI the Request-URI as it is. */
	gives("$rU = \"carol\"; $du = \"sip:10.0.0.7:5080\"; setbflag(3); append_branch();\n"
	      "note($branch(uri), $branch(dst_uri), $branch(flags));",
		"note(sip:carol@example.net:5070;x=1,sip:10.0.0.7:5080,8)");
	gives("append_branch(\"sip:a@h1\"); append_branch(\"sip:b@h2\"); clear_branches(); "
	      "note($branch(count));",
		"note(0)");
	gives("append_branch(\"sip:a@h1\"); append_branch(\"sip:b@h2\");\n"
	      "$branch(uri) = \"sip:x@h9\"; $(branch(dst_uri)[1]) = \"sip:10.1.1.1\"; "
	      "$(branch(q)[1]) = \"0.125\"; $(branch(flags)[1]) = 6;\n"
	      "$(branch(path)[1]) = \"<sip:p@edge;lr>\";\n"
	      "note($bR); note($(branch(dst_uri)[1]), $(branch(flags)[1]), "
	      "$(branch(path)[1]), $du);\n"
	      "$branch(uri) = $null; note($branch(count), $br); $branch(dst_uri) = $null; "
	      "note($branch(dst_uri), $rc);",
		"note(sip:x@h9, <sip:b@h2>;q=0.125) "
		"note(sip:10.1.1.1,6,<sip:p@edge;lr>,null) note(1,sip:b@h2) note(null,1)");
	/* What is none is not taken. */
	gives("if (!append_branch(\"no uri\")) note(1); if (!append_branch(\"sip:a@h?X=y\")) "
	      "note(2); append_branch(\"sip:a@h\");\n"
	      "$branch(uri) = \"<sip:b@h>\"; note($rc); $branch(dst_uri) = \"tel:1\"; note($rc);\n"
	      "$branch(q) = 1001; note($rc); $(branch(q)[4]) = 1; note($rc); $branch(path) = "
	      "\"x\"; note($rc); $branch(path) = \"<sip:x>\\r\\nA: b\"; note($rc);\n"
	      "$branch(count) = 4; note($rc); note($bR);",
		"note(1) note(2) note(-1) note(-1) note(-1) note(-1) note(-1) note(-1) note(-1) "
		"note(sip:a@h)");
	gives("append_branch(\"sip:a@h\"); setbflag(1, 0); setbflag(2, 1); if (!setbflag(3, 2)) "
	      "note(10); note($bf, $branch(flags)); if (isbflagset(2, 1)) note(a); if "
	      "(isbflagset(2)) note(b); resetbflag(2, 1); note($branch(flags));",
		"note(10) note(2,4) note(a) note(0)");
	gives("note($ru_q); $ru_q = \"0.7\"; note($ru_q); $ru_q = $null; note($ru_q);",
		"note(null) note(700) note(null)");
	refused("request_route { append_branch(\"sip:a@h\", \"1.5\"); }", "q is 0 to 1");
	refused("request_route { append_branch(\"sip:a@h\", \"0.1234\"); }", "q is 0 to 1");
	refused("request_route { note($branch(colour)); }", "$branch cannot be asked for 'colour'");
	refused("onreply_route { append_branch(); }",
		"'append_branch' cannot be used in onreply_route");
}

static void test_branches_are_bounded(void **state)
{
	gives("$var(i) = 0; while (append_branch(\"sip:a@h\")) { $var(i) = $var(i) + 1; } "
	      "note($var(i), $branch(count)); serialize_branches(1); note($branch(count));",
		"note(16,16) note(16)");
}

/* The Request-URI is no target any more once it has its branch, until somebody writes it. */
static void test_a_request_uri_is_spent_once(void **state)
{
	static const struct {
		const char *body;
		bool spent;
	} rows[] = {{"note(1);", false}, {"append_branch();", true},
		{"append_branch(\"sip:a@h\");", false}, {"append_branch(\"\", \"0.3\");", false},
		{"append_branch(); $rU = \"n\";", false}, {"clear_branches();", true},
		{"append_branch(); $ru = \"sip:n@h\";", false},
		{"append_branch(); revert_uri();", false},
		{"append_branch(); prefix(\"9\");", false},
		{"append_branch(); $du = \"sip:h\";", false},
		{"append_branch(); $branch(dst_uri) = \"sip:h\";", true},
		{"append_branch(); setflag(1);", true}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char blocks[512];
		struct language *l;

		snprintf(blocks, sizeof(blocks), "request_route { %s }", rows[i].body);
		l = load(blocks);
		language_message(l, language_invite);
		assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
		assert_int_equal(l->ctx->uri_spent, rows[i].spent);
		language_free(l);
	}
}

/* ---- serial forking ---- */

static void test_contacts_are_tried_by_q(void **state)
{
	gives("$ru_q = \"0.5\"; append_branch(\"sip:low@h\", \"0.1\"); "
	      "append_branch(\"sip:high@h\", \"0.9\"); append_branch(\"sip:mid@h\", \"0.5\"); "
	      "append_branch(\"sip:first@h\");\n"
	      "note(serialize_branches(1), $branch(count));\n"
	      "while (next_branches()) note($ru, $bR);\n"
	      "note(next_branches()); next_branches(); note($rc);",
		"note(1,0) note(sip:first@h,null) note(sip:high@h,null) "
		"note(sip:bob@example.net:5070;x=1,<sip:mid@h>;q=0.5) note(sip:low@h,null) "
		"note(0) note(-2)");
	/* One target is left where it is. */
	gives("note(load_contacts()); next_contacts(); note($rc, $ru);",
		"note(1) note(-2,sip:bob@example.net:5070;x=1)");
	gives("append_branch(); note(load_contacts(), $branch(count));", "note(1,1)");
	/* Those that wait stay, or are forgotten. */
	gives("append_branch(\"sip:a@h\", \"0.1\"); serialize_branches(1); "
	      "append_branch(\"sip:b@h\"); append_branch(\"sip:c@h\"); "
	      "if (!serialize_branches(0)) note(10); serialize_branches(1); "
	      "next_branches(); note($ru, $bR); next_branches(); note($rc);",
		"note(10) note(sip:b@h,sip:c@h) note(-2)");
	/* All that belongs to a target goes with it. */
	gives("$du = \"sip:10.0.0.1\"; setbflag(1); $ru_q = 100; $var(ru) = $ru;\n"
	      "append_branch(\"sip:b@h\", \"0.5\"); $branch(dst_uri) = \"sip:10.0.0.2\"; "
	      "$branch(flags) = 8; load_contacts();\n"
	      "next_contacts(); note($ru, $du, $bf, $ru_q); next_contacts(); note($ru, $du, $bf, "
	      "$ru_q);",
		"note(sip:b@h,sip:10.0.0.2,8,500) "
		"note(sip:bob@example.net:5070;x=1,sip:10.0.0.1,2,100)");
}

static void test_one_flow_of_an_instance_at_a_time(void **state)
{
	struct language *l = load("request_route { while (next_branches()) note($ru, $bR); }");
	struct route_ctx *ctx = l->ctx;
	static const char *const uri[] = {"sip:a1@h", "sip:b@h", "sip:a2@h", "sip:c@h"};
	static const char *const instance[] = {"\"<urn:a>\"", "", "\"<urn:a>\"", "\"<urn:c>\""};

	language_message(l, language_invite);
	for (unsigned i = 0; i < 4; i++)
		ctx->branch[ctx->branches++] =
			(struct route_branch){.uri = route_text_make(ctx, str_c(uri[i])),
				.instance = route_text_make(ctx, str_c(instance[i])),
				.socket = -1,
				.q = ROUTE_Q_NONE};
	ctx->uri_spent = true;
	assert_int_equal(route_branches_load(ctx), ROUTE_TRUE);
	assert_int_equal(ctx->branches, 0);
	assert_int_equal(ctx->waiting, 4);
	assert_int_equal(route_run(ctx), ROUTE_ENDED);
	assert_string_equal(language_calls, "note(sip:a1@h,sip:b@h, sip:c@h) note(sip:a2@h,null)");
	language_free(l);
}

static void test_a_failure_route_reads_the_reply(void **state)
{
	struct language *l = load("request_route { t_on_failure(\"f\"); note($rs, $rr); }\n"
				  "failure_route[f] { note($rs, $rr); if (status =~ \"4..\") "
				  "note(4); }");

	language_message(l, language_invite);
	l->ctx->reply_status = 486;
	l->ctx->reply_reason = route_text_make(l->ctx, STR("Busy Here"));
	assert_int_equal(
		route_run_block(l->ctx, route_script_block(l->script, ROUTE_IN_FAILURE, STR("f")),
			ROUTE_IN_FAILURE),
		ROUTE_ENDED);
	assert_string_equal(language_calls, "note(486,Busy Here) note(4)");
	language_free(l);
}

/* ---- variables of modules ---- */

static bool get_mine(
	struct route_ctx *ctx, const struct route_index *index, struct route_value *out)
{
	out->type = ROUTE_INT;
	out->i = *(const int *)index->room + index->element;
	return true;
}

static bool set_mine(
	struct route_ctx *ctx, const struct route_index *index, const struct route_value *value)
{
	*(int *)index->room = (int)value->i;
	return true;
}

static void test_a_module_brings_variables(void **state)
{
	static const struct route_variable variables[] = {
		{.name = "mine", .elements = true, .get = get_mine, .set = set_mine, .help = "x"},
		{.name = "fixed", .get = get_mine, .help = "y"}, {.name = NULL}};
	static const struct route_function none[] = {{.name = NULL}};
	static const struct route_module module = {
		.name = "mine", .functions = none, .variables = variables};
	static const struct {
		const char *text, *error;
	} wrong[] = {{"request_route { xlog(\"$mine\"); }",
			     "error: $mine is a variable of a module that is not loaded"},
		{"request_route { if ($mine == 1) exit; }",
			"error: '$mine' is a variable of module 'mine', which is not loaded: "
			"loadmodule "
			"\"mine.so\""},
		{"loadmodule \"mine.so\" request_route { $fixed = 1; }", "$fixed is read-only"},
		{"loadmodule \"mine.so\" request_route { if ($mime == 1) exit; }",
			"(did you mean '$mine'?)"},
		{"loadmodule \"mine.so\" request_route { if ($mine(x) == 1) exit; }",
			"$mine takes nothing in parentheses"}};
	int number = 4;
	struct language *l = load("request_route { exit; }");
	struct route_registry registry;
	struct route_script *script;

	language_registry(&registry);
	assert_int_equal(route_registry_add(&registry, &module, &number), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct route_report *report = route_report_create();
		char text[512];

		snprintf(text, sizeof(text), "loadmodule \"xlog.so\" %s", wrong[i].text);
		assert_null(route_script_load_text("t", str_c(text), &registry, report));
		if (strstr(route_report_text(report), wrong[i].error) == NULL)
			printf("%s", route_report_text(report));
		assert_non_null(strstr(route_report_text(report), wrong[i].error));
		route_report_destroy(report);
	}
	script = route_script_load_text("t",
		STR("loadmodule \"mine.so\" loadmodule \"test.so\" request_route { note($mine, "
		    "$(mine[3]), \"$mine\"); $mine = 9; note($mine); }"),
		&registry, l->report);
	if (script == NULL)
		fail_msg("%s", route_report_text(l->report));
	language_message(l, language_invite);
	l->ctx->script = script;
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_string_equal(language_calls, "note(4,7,4) note(9)");
	assert_int_equal(number, 9);
	route_script_unref(script);
	language_free(l);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_avps_stack_up_as_in_kamailio),
		cmocka_unit_test(test_avps_have_names_of_both_kinds),
		cmocka_unit_test(test_avps_are_read_in_strings_transformed_counted_and_walked),
		cmocka_unit_test(test_avps_keep_their_values),
		cmocka_unit_test(test_avps_are_bounded),
		cmocka_unit_test(test_rooms_have_avps_too),
		cmocka_unit_test(test_avpops_has_openser_s_functions),
		cmocka_unit_test(test_headers_are_read_by_number),
		cmocka_unit_test(test_branches_are_appended_read_and_dropped),
		cmocka_unit_test(test_branches_are_bounded),
		cmocka_unit_test(test_a_request_uri_is_spent_once),
		cmocka_unit_test(test_contacts_are_tried_by_q),
		cmocka_unit_test(test_one_flow_of_an_instance_at_a_time),
		cmocka_unit_test(test_a_failure_route_reads_the_reply),
		cmocka_unit_test(test_a_module_brings_variables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
