/* SPDX-License-Identifier: BSD-3-Clause */
/* avpops' functions on AVPs alone, in the forms that OpenSER's and Kamailio's manuals give; and
 * aliases. */
#include "language.h"

#include <stdio.h>
#include <stdlib.h>

#include "route/avpops.h"

static struct language *load(const char *head, const char *body)
{
	char text[16384];

	snprintf(text, sizeof(text),
		"loadmodule \"test.so\" loadmodule \"pv.so\" loadmodule \"avpops.so\"\n%s\n"
		"request_route { %s }",
		head, body);
	return language_load(text);
}

static void gives_with(const char *head, const char *body, const char *expected)
{
	struct language *l = load(head, body);

	if (l->script == NULL)
		fail_msg("%s\n%s", body, route_report_text(l->report));
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	if (strcmp(language_calls, expected) != 0)
		print_message("%s\n", body);
	assert_string_equal(language_calls, expected);
	language_free(l);
}

static void gives(const char *body, const char *expected)
{
	gives_with("", body, expected);
}

static void refused(const char *head, const char *body, const char *error)
{
	struct language *l = load(head, body);

	if (l->script != NULL || strstr(route_report_text(l->report), error) == NULL)
		fail_msg("%s %s\n%s", head, body, route_report_text(l->report));
	language_free(l);
}

static void avps_are_named_as_manuals_do(void **state)
{
	gives("$avp(x) = 1; $avp(i:5) = 2; if (is_avp_set(\"s:x\")) note(1); if "
	      "(is_avp_set(\"i:5\")) note(2); "
	      "if (is_avp_set(\"$avp(I:5)\")) note(3); if (is_avp_set(\"$avp(S:x)/N\")) note(4);",
		"note(1) note(2) note(3) note(4)");
	gives("$avp(x) = 1; $avp(y) = 2; $avp(i:5) = 3; $avp(i:6) = 4; avp_delete(\"i\"); "
	      "note($avp(i:6), $avp(i:5)); "
	      "avp_delete(\"s/g\"); note($avp(x), $avp(y), $avp(i:5)); avp_delete(\"a/g\"); "
	      "note($avp(i:5)); if "
	      "(!avp_delete(\"a\")) note(0);",
		"note(null,3) note(null,null,3) note(null) note(0)");
	gives("$avp(i:5) = 3; $avp(x) = 1; avp_delete(\"i:5\"); note($avp(i:5), $avp(x)); "
	      "avp_delete(\"a3\"); note($avp(x));",
		"note(null,1) note(null)");
	refused("", "is_avp_set(\"x\");", "an AVP is needed here");
	refused("", "is_avp_set(\"a\");", "an AVP is needed here");
	refused("", "is_avp_set(\"a:x\");", "an AVP is needed here");
	refused("", "is_avp_set(\"$avp(x)/q\");", "its flags are g, n, s, e, d and i");
	refused("", "is_avp_set(\"i:five\");", "an AVP is needed here");
}

static void aliases_stand_for_avps(void **state)
{
	static const char *const heads[] = {"avp_aliases = \"day=i:101;time=s:hours\"",
		"modparam(\"pv\", \"avp_aliases\", \" day = i:101 ; time=hours;\")"};

	for (unsigned i = 0; i < 2; i++) {
		gives_with(heads[i],
			"$avp(day) = 5; $avp(s:hours) = 6; note($avp(i:101), $avp(time), "
			"\"$avp(day)\", $cnt(avp(day)));",
			"note(5,6,5,1)");
		gives_with(heads[i],
			"$avp(day) = 5; if (is_avp_set(\"$avp(i:101)\")) note(1); "
			"avp_delete(\"$avp(day)\"); "
			"note($avp(101));",
			"note(1) note(null)");
		/* One that says what it is, is no alias. */
		gives_with(heads[i], "$avp(s:day) = 5; note($avp(i:101), $avp(day));",
			"note(null,null)");
	}
	/* One script's are not another's. */
	gives("$avp(day) = 5; note($avp(i:101));", "note(null)");
	refused("avp_aliases = \"day\"", "exit;",
		"avp_aliases are \"alias=i:5;other=s:name\", and not 'day'");
	refused("avp_aliases = \"day=i:x\"", "exit;", "avp_aliases are");
	refused("modparam(\"pv\", \"avp_aliases\", \"s:day=i:1\")", "exit;", "avp_aliases are");
}

static void values_are_copied_as_numbers_and_texts(void **state)
{
	gives("$avp(x) = 1; $avp(x) = \"2\"; avp_copy(\"$avp(x)\", \"$avp(y)/g\"); "
	      "note($(avp(y)[*])); avp_copy(\"$avp(x)\", "
	      "\"$avp(z)/GDN\"); note($avp(z) + 1, $cnt(avp(x)), $(avp(z)[*])); "
	      "avp_copy(\"$avp(z)\", \"$avp(t)/s\"); note($avp(t) + 1);",
		"note(2, 1) note(3,0,2, 1) note(21)");
	/* What is no number is not lost. */
	gives("$avp(x) = \"word\"; avp_copy(\"$avp(x)\", \"$avp(y)/dn\"); note($rc, $avp(x), "
	      "$avp(y));",
		"note(-1,word,null)");
}

static void values_are_pushed(void **state)
{
	gives("avp_pushto(\"$ru/domain\", \"$fd\"); note($ru); avp_pushto(\"$rU\", \"$fU\"); "
	      "note($rU); $var(d) = "
	      "\"sip:10.0.0.1\"; avp_pushto(\"$du\", \"$var(d)/g\"); note($du); "
	      "avp_pushto(\"$ru\", \"$hdr(No)\"); note($rc);",
		"note(sip:bob@example.org:5070;x=1) note(alice) note(sip:10.0.0.1) note(-1)");
	refused("", "avp_pushto(\"$ru\", \"sip:x@y\");", "an AVP is needed here");
}

static void values_are_checked(void **state)
{
	gives("$avp(x) = 5; if (avp_check(\"$avp(x)\", \"lt/i:6/g\")) note(1); if "
	      "(avp_check(\"$avp(x)\", \"eq/i:0x5\")) note(2); "
	      "if (avp_check(\"$avp(x)\", \"eq/s:5\")) note(3); if (avp_check(\"$avp(x)\", "
	      "\"and/i:4\")) note(4); "
	      "if (avp_check(\"$avp(x)\", \"and/i:2\")) note(5); if (avp_check(\"$avp(x)\", "
	      "\"xor/i:5\")) note(6); "
	      "if (avp_check(\"$avp(x)\", \"or/i:0\")) note(7); if (avp_check(\"$avp(x)\", "
	      "\"ge/i:-1\")) note(8);",
		"note(1) note(2) note(3) note(4) note(7) note(8)");
	gives("$avp(x) = \"sip:bob@bar.net\"; if (avp_check(\"$avp(x)\", \"re/sip:.*@bar.net/g\")) "
	      "note(1); if "
	      "(avp_check(\"$avp(x)\", \"fm/sip:*@bar.*\")) note(2); $avp(p) = \"sip:?ob@*\"; if "
	      "(avp_check(\"$avp(x)\", "
	      "\"fm/$avp(p)/g\")) note(3); if (avp_check(\"$avp(x)\", \"fm/sip:?@*\")) note(4);",
		"note(1) note(2) note(3)");
	gives("if (avp_check(\"$fd\", \"eq/EXAMPLE.org/I\")) note(1); if (avp_check(\"$fd\", "
	      "\"eq/$td\")) note(2); if "
	      "(avp_check(\"$hdr(No)\", \"ne/x\")) note(3); if (avp_check(\"$rd\", "
	      "\"re/^example/\")) note(4);",
		"note(1) note(4)");
	refused("", "avp_check(\"$avp(x)\", \"eq/i:five\");", "'i:five' is no number");
	refused("", "avp_check(\"$avp(x)\", \"re/$avp(y)\");",
		"a pattern has to be known when the file is read");
	refused("", "avp_check(\"$avp(x)\", \"eq\");", "this is \"eq/value\"");
	refused("", "avp_check(\"$avp(x)\", \"add/5\");", "this is \"eq/value\"");
}

static void patterns_of_file_names(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {{"", "", true}, {"*", "", true}, {"", "a", false}, {"a*", "a", true},
		{"*a", "bba", true}, {"a*b*c", "a12b3c", true}, {"a*b*c", "a12c3b", false},
		{"?", "", false}, {"??", "ab", true}, {"[a-c]x", "bx", true},
		{"[!a-c]x", "bx", false}, {"[^a-c]x", "dx", true}, {"[]]", "]", true},
		{"[a-]", "-", true}, {"[a", "[a", true}, {"\\*", "*", true}, {"\\*", "a", false},
		{"*aab", "aaaaab", true}, {"a\\", "a\\", true}, {"**", "x", true},
		{"*[", "a[", true}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (avpops_glob(str_c(cases[i].pattern), str_c(cases[i].text)) != cases[i].matches)
			fail_msg("%s %s", cases[i].pattern, cases[i].text);
	}
}

static void numbers_are_computed(void **state)
{
	gives("$avp(x) = 10; avp_op(\"$avp(x)\", \"add/i:5\"); note($(avp(x)[*])); "
	      "avp_op(\"$avp(x)\", \"sub/$avp(x)\"); note($avp(x));",
		"note(15) note(0)");
	gives("$avp(x) = 1; $avp(x) = \"two\"; $avp(x) = \"3\"; avp_op(\"$avp(x)\", "
	      "\"mul/i:0x10/g\"); note($(avp(x)[*]));",
		"note(48, two, 16)");
	gives("$avp(x) = 1; $avp(x) = 7; avp_op(\"$avp(x)/$avp(y)\", \"mod/i:4/d\"); "
	      "note($(avp(x)[*]), $(avp(y)[*])); "
	      "avp_op(\"$avp(x)/$avp(y)/gd\", \"or/i:2\"); note($(avp(x)[*]), $(avp(y)[*]));",
		"note(1,3) note(null,3, 3)");
	gives("$avp(x) = 12; avp_op(\"$avp(x)\", \"div/i:0\"); note($rc, $avp(x)); "
	      "avp_op(\"$avp(x)\", \"div/i:-5\"); note($rc, "
	      "$avp(x)); avp_op(\"$avp(x)\", \"not\"); note($avp(x)); avp_op(\"$avp(x)\", "
	      "\"and/i:3\"); note($avp(x)); "
	      "avp_op(\"$avp(x)\", \"xor/i:2\"); note($avp(x)); avp_op(\"$avp(no)\", \"add/i:1\"); "
	      "note($rc);",
		"note(-1,12) note(1,-2) note(1) note(1) note(3) note(-1)");
	refused("", "avp_op(\"$avp(x)\", \"add\");", "this is \"add/value\"");
	refused("", "avp_op(\"$avp(x)\", \"pow/i:2\");", "this is \"add/value\"");
	refused("", "avp_op(\"$avp(x)/$avp(y)/x\", \"add/i:2\");", "flags are g and d, not 'x'");
	refused("", "avp_op(\"$avp(x)/y\", \"add/i:2\");", "an AVP is needed here");
}

static void texts_are_substituted(void **state)
{
	gives("$avp(i:678) = \"bob@old.net\"; avp_subst(\"$avp(i:678)\", \"/(.*)@(.*)/\\1@$rd/\"); "
	      "note($(avp(i:678)[*]));",
		"note(bob@example.net)");
	gives("$avp(x) = \"a-a\"; $avp(x) = 5; $avp(x) = \"b-A\"; avp_subst(\"$avp(x)/$avp(y)/g\", "
	      "\"/a/c/gi\"); note($(avp(x)[*]), "
	      "$(avp(y)[*])); avp_subst(\"$avp(x)\", \"/none/x/\"); note($rc);",
		"note(b-A, 5, a-a,b-c, c-c) note(-1)");
	gives("$avp(x) = \"one\"; $avp(x) = \"two\"; avp_subst(\"$avp(x)/$avp(y)/d\", "
	      "\"/o$$/0/\"); note($(avp(x)[*]), $(avp(y)[*]));",
		"note(one,tw0)");
	refused("", "avp_subst(\"$avp(x)\", \"no\");", "a substitution is written");
	refused("", "avp_subst_pv(\"$avp(x)\", \"/a/b/\");",
		"'avp_subst_pv' of module 'avpops' is not there");
}

static void all_avps_are_printed(void **state)
{
	struct language *l =
		load("", "avp_print(); $avp(x) = 1; $avp(y) = \"two\"; $avp(x) = 3; avp_print();");
	struct route_xlog *xlog = route_xlog_create(8192);

	assert_non_null(l->script);
	assert_non_null(xlog);
	l->thread.xlog = xlog;
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_int_equal(l->ctx->rc, 1);
	/* The first one has nothing to say. */
	assert_int_equal(route_xlog_drain(xlog, 1, 0), 3);
	route_xlog_set_level(xlog, LOG_LEVEL_WARNING);
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_int_equal(route_xlog_drain(xlog, 2, 0), 0);
	l->thread.xlog = NULL;
	language_free(l);
	route_xlog_destroy(xlog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(avps_are_named_as_manuals_do),
		cmocka_unit_test(aliases_stand_for_avps),
		cmocka_unit_test(values_are_copied_as_numbers_and_texts),
		cmocka_unit_test(values_are_pushed),
		cmocka_unit_test(values_are_checked),
		cmocka_unit_test(patterns_of_file_names),
		cmocka_unit_test(numbers_are_computed),
		cmocka_unit_test(texts_are_substituted),
		cmocka_unit_test(all_avps_are_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
