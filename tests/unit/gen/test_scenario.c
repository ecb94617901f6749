/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <stdio.h>

#include "fake.h"

static char error[GEN_ERROR_MAX];

static struct scenario *parse(const char *text)
{
	error[0] = '\0';
	return scenario_parse("x.gen", str_c(text), NULL, 0, error, sizeof(error));
}

#define M "message m {\n\tOPTIONS sip:a SIP/2.0\n}\n"

static void a_message_is_its_lines(void **state)
{
	struct scenario *s =
		parse("# comment\nmessage m { \n\n\t\tINVITE sip:a SIP/2.0\n\t\tA: b\n\t\t\t"
		      "folded\n\n\t\tv=0\n\t}\ncall c { send m; }\n");

	if (s == NULL)
		fail_msg("%s", error);
	assert_int_equal(s->messages, 1);
	assert_int_equal(s->message[0].method, SIP_METHOD_INVITE);
	assert_false(s->message[0].is_response);
	assert_int_equal(s->message[0].line, 4);
	assert_true(str_eq(str_of(s->message[0].text, s->message[0].len),
		STR("INVITE sip:a SIP/2.0\r\nA: b\r\n\tfolded\r\n\r\nv=0\r\n")));
	scenario_free(s);
}

static void a_header_alone_gets_its_blank_line(void **state)
{
	struct scenario *s =
		parse("message m {\r\nSIP/2.0 200 OK\r\nA: b\r\n}\r\ncall c { send m; }");

	if (s == NULL)
		fail_msg("%s", error);
	assert_true(s->message[0].is_response);
	assert_true(str_eq(str_of(s->message[0].text, s->message[0].len),
		STR("SIP/2.0 200 OK\r\nA: b\r\n\r\n")));
	scenario_free(s);
}

static void steps_are_read(void **state)
{
	struct scenario *s = parse(
		"set t = 250ms; set n = 3;" M "call c { send m; expect 180-183 | 2xx optional; "
		"expect 404 within {t}; wait 1s to 2s;\n"
		"repeat {n} { send m; expect 200; } }\ncall d { send m; } mix { c 2; d 5; }");
	const struct step *step;

	if (s == NULL)
		fail_msg("%s", error);
	assert_int_equal(s->calls, 2);
	assert_int_equal(s->weights, 7);
	step = s->call[0].step;
	assert_int_equal(s->call[0].steps, 8);
	assert_int_equal(step[0].kind, STEP_SEND);
	assert_int_equal(step[1].kind, STEP_EXPECT);
	assert_true(step[1].optional);
	assert_int_equal(step[1].ranges, 2);
	assert_int_equal(step[1].range[0].high, 183);
	assert_int_equal(step[1].range[1].low, 200);
	assert_int_equal(step[1].range[1].high, 299);
	assert_int_equal(step[2].from_ns, 250000000);
	assert_int_equal(step[3].kind, STEP_WAIT);
	assert_int_equal(step[3].to_ns, 2000000000);
	assert_int_equal(step[4].kind, STEP_REPEAT);
	assert_int_equal(step[4].count, 3);
	assert_int_equal(step[4].jump, 8);
	assert_int_equal(step[7].kind, STEP_AGAIN);
	assert_int_equal(step[7].jump, 5);
	scenario_free(s);
}

static void a_request_is_awaited(void **state)
{
	struct scenario *s =
		parse(M "call c { send m; expect 200; expect BYE within 5s; expect UPDATE; }");
	const struct step *step;

	if (s == NULL)
		fail_msg("%s", error);
	step = s->call[0].step;
	assert_int_equal(s->call[0].steps, 4);
	assert_int_equal(step[2].kind, STEP_AWAIT);
	assert_int_equal(step[2].method, SIP_METHOD_BYE);
	assert_int_equal(step[2].from_ns, 5000000000);
	assert_int_equal(step[3].method, SIP_METHOD_UPDATE);
	assert_int_equal(step[3].from_ns, GEN_WITHIN_NS);
	scenario_free(s);
}

static void variables_are_overridden(void **state)
{
	const struct gen_variable set[] = {{"a", "2"}, {"nothing", "x"}};
	const char *text = "set a = 1; set b = \"two words\";" M "call c { send m; }";
	struct scenario *s = scenario_parse("x.gen", str_c(text), set, 1, error, sizeof(error));

	assert_non_null(s);
	assert_string_equal(scenario_variable(s, STR("a")), "2");
	assert_string_equal(scenario_variable(s, STR("b")), "two words");
	assert_null(scenario_variable(s, STR("c")));
	scenario_free(s);
	assert_null(scenario_parse("x.gen", str_c(text), set, 2, error, sizeof(error)));
	assert_non_null(strstr(error, "--set nothing=...: the scenario has no 'set nothing"));
}

/* Where, and what. */
static const struct {
	const char *text, *says;
} wrong[] = {
	{"", "x.gen:1:1: error: there is no 'call'"},
	{"bogus", "x.gen:1:1: error: 'set', 'message', 'call' or 'mix' is expected, not 'bogus'"},
	{"message", "x.gen:1:8: error: a name for the message is expected, and the file ends"},
	{"message 5 {\n", "x.gen:1:9: error: a name for the message is expected, not '5'"},
	{"message m { INVITE\n}",
		"x.gen:1:12: error: the text of a message begins on the next line"},
	{"message m {\nINVITE sip:a SIP/2.0\n", "x.gen:1:11: error: message 'm' is not closed"},
	{"message m {\n}\n", "x.gen:2:1: error: message 'm' is empty"},
	{"message m {\n  hello world\n}\n", "x.gen:2:3: error: a message begins with"},
	{"message m {\nA b SIP/2.0x\n}\n", "x.gen:2:1: error: a message begins with"},
	{M M, "x.gen:4:9: error: there is a message 'm' already"},
	{M "call c { send x; }", "x.gen:4:15: error: there is no message 'x' above"},
	{M "call c { send ; }", "x.gen:4:15: error: the name of a message is expected, not ';'"},
	{M "call c { send m }", "x.gen:4:17: error: ';' is expected, not '}'"},
	{M "call c { send m; expect; }",
		"x.gen:4:24: error: a status (200, 2xx, 180-183) or a method is expected"},
	{M "call c { send m; expect 99; }", "x.gen:4:25: error: a status"},
	{M "call c { send m; expect 7xx; }", "x.gen:4:25: error: a status"},
	{M "call c { send m; expect ACK; }", "x.gen:4:25: error: a status (200, 2xx, 180-183) or a "
					     "method is expected, not 'ACK'"},
	{M "call c { send m; expect bye; }", "x.gen:4:25: error: a status"},
	{M "call c { send m; expect BYE; expect 200; }",
		"x.gen:4:37: error: an answer is expected to what was sent"},
	{M "call c { send m; expect BYE optional; }", "x.gen:4:29: error: ';' is expected"},
	{M "call c { expect BYE; }", "x.gen:4:6: error: call 'c' sends nothing"},
	{M "call c { send m; expect 200-100; }", "x.gen:4:29: error: a higher status"},
	{M "call c { send m; expect 200 within; }", "x.gen:4:35: error: a duration"},
	{M "call c { send m; expect 200 within 5y; }", "x.gen:4:36: error: '5y' is no duration"},
	{M "call c { send m; expect 200; expect 200; }",
		"x.gen:4:37: error: the 'expect' above takes"},
	{M "call c { expect 200; }", "x.gen:4:17: error: an answer is expected to what was sent"},
	{M "call c { wait {x}; }", "x.gen:4:16: error: the name of a variable"},
	{M "call c { wait 2s to 1s; send m; }",
		"x.gen:4:18: error: the second duration is shorter"},
	{M "call c { repeat 2 { repeat 2 { send m; } } }",
		"x.gen:4:21: error: 'repeat' stands in no other"},
	{M "call c { repeat x { send m; } }", "x.gen:4:17: error: 'x' is not a number of rounds"},
	{M "call c { }", "x.gen:4:6: error: call 'c' sends nothing"},
	{M "call c { send m;",
		"x.gen:4:17: error: 'send', 'expect', 'wait', 'repeat' or '}' is expected, and"},
	{M "call c { send m; }\ncall c { send m; }",
		"x.gen:5:6: error: there is a call 'c' already"},
	{M "mix { c 1; }", "x.gen:4:7: error: the name of a call above is expected, not 'c'"},
	{M "call c { send m; } mix { c 0; }", "x.gen:4:32: error: all weights of 'mix' are 0"},
	{M "call c { send m; } mix { c 1; } mix { c 1; }",
		"x.gen:4:37: error: there is a 'mix' already"},
	{"set a = \"b", "x.gen:1:9: error: this text is not closed on its line"},
	{"set a = ;", "x.gen:1:9: error: a value is expected, not ';'"},
	{"set a = 1; set a = 2;", "x.gen:1:16: error: 'a' is set already"},
	{"set abcdefghijabcdefghijabcdefghijab = 1;", "x.gen:1:5: error: names have at most 31"},
};

static void errors_say_where(void **state)
{
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct scenario *s = parse(wrong[i].text);

		if (s != NULL)
			fail_msg("'%s' was taken", wrong[i].text);
		if (strncmp(error, wrong[i].says, strlen(wrong[i].says)) != 0)
			fail_msg("'%s':\n%s\nand not\n%s", wrong[i].text, error, wrong[i].says);
	}
}

static void the_line_is_shown(void **state)
{
	assert_null(parse(M "call c {\n\tsend x;\n}"));
	assert_string_equal(error, "x.gen:5:7: error: there is no message 'x' above\n"
				   "    5 |  send x;\n"
				   "      |       ^");
}

static void bounds_are_kept(void **state)
{
	static char text[GEN_SCENARIO_MAX + 2];
	struct scenario *s;
	size_t at;

	memset(text, ' ', GEN_SCENARIO_MAX + 1);
	assert_null(scenario_parse(
		"x.gen", str_of(text, GEN_SCENARIO_MAX + 1), NULL, 0, error, sizeof(error)));
	assert_non_null(strstr(error, "at most 262144 bytes"));
	assert_null(scenario_parse("x.gen", str_of("set\0", 4), NULL, 0, error, sizeof(error)));
	assert_non_null(strstr(error, "NUL"));
	/* Exactly as many steps as there may be, and one more. */
	for (unsigned n = GEN_STEPS_MAX; n <= GEN_STEPS_MAX + 1; n++) {
		at = (size_t)sprintf(text, "%scall c {", M);
		for (unsigned i = 0; i < n; i++)
			at += (size_t)sprintf(text + at, "send m;");
		strcpy(text + at, "}");
		s = parse(text);
		assert_true((s != NULL) == (n == GEN_STEPS_MAX));
		scenario_free(s);
	}
	assert_non_null(strstr(error, "more than 64 steps"));
}

/* What is shipped can be loaded. */
static void samples(void **state)
{
	DIR *d = opendir(SOURCE_ROOT "/conf/gen");
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		size_t len = strlen(entry->d_name);
		char path[512];
		struct scenario *s;

		if (len < 4 || strcmp(entry->d_name + len - 4, ".gen") != 0)
			continue;
		snprintf(path, sizeof(path), SOURCE_ROOT "/conf/gen/%s", entry->d_name);
		s = scenario_read(path, NULL, 0, error, sizeof(error));
		if (s == NULL)
			fail_msg("%s", error);
		scenario_free(s);
		n++;
	}
	closedir(d);
	assert_true(n >= 8);
	assert_null(scenario_read("/nowhere/x.gen", NULL, 0, error, sizeof(error)));
	assert_non_null(strstr(error, "No such file"));
}

static void durations_and_numbers(void **state)
{
	uint64_t ns;
	double v;

	assert_int_equal(gen_duration_parse("2", &ns), 0);
	assert_int_equal(ns, 2000000000);
	assert_int_equal(gen_duration_parse("1.5ms", &ns), 0);
	assert_int_equal(ns, 1500000);
	assert_int_equal(gen_duration_parse("0", &ns), 0);
	assert_int_equal(ns, 0);
	assert_int_equal(gen_duration_parse("3m", &ns), 0);
	assert_int_equal(ns, 180000000000);
	assert_int_equal(gen_duration_parse("7ns", &ns), 0);
	assert_int_equal(ns, 7);
	assert_int_equal(gen_duration_parse("-1", &ns), -EINVAL);
	assert_int_equal(gen_duration_parse("", &ns), -EINVAL);
	assert_int_equal(gen_duration_parse("1h", &ns), -EINVAL);
	assert_int_equal(gen_duration_parse("0x10", &ns), -EINVAL);
	assert_int_equal(gen_duration_parse("1e300", &ns), -EINVAL);
	assert_int_equal(gen_duration_parse("nan", &ns), -EINVAL);
	assert_int_equal(gen_number_parse("1.5M", &v), 0);
	assert_true(v == 1500000);
	assert_int_equal(gen_number_parse("50k", &v), 0);
	assert_true(v == 50000);
	assert_int_equal(gen_number_parse("50kk", &v), -EINVAL);
	assert_int_equal(gen_number_parse("inf", &v), -EINVAL);
	assert_int_equal(gen_number_parse("1e999", &v), -EINVAL);
}

static void the_reference_names_every_field(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_int_equal(scenario_reference(f), 0);
	fclose(f);
#define FIELD(id, name, most, what) assert_non_null(strstr(text, "{" name "}"));
	FIELDS(FIELD)
#undef FIELD
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_its_lines),
		cmocka_unit_test(a_header_alone_gets_its_blank_line),
		cmocka_unit_test(steps_are_read),
		cmocka_unit_test(a_request_is_awaited),
		cmocka_unit_test(variables_are_overridden),
		cmocka_unit_test(errors_say_where),
		cmocka_unit_test(the_line_is_shown),
		cmocka_unit_test(bounds_are_kept),
		cmocka_unit_test(samples),
		cmocka_unit_test(durations_and_numbers),
		cmocka_unit_test(the_reference_names_every_field),
	};

	return cmocka_run_group_tests_name("scenario", tests, NULL, NULL);
}
