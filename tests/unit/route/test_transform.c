/* SPDX-License-Identifier: BSD-3-Clause */
/* Transformations, each with the examples of Kamailio's cookbook where it has some. */
#include "language.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "route/transform.h"

static const struct {
	const char *value, *transform, *expected;
} cases[] = {
	{"abc", "s.len", "3"},
	{"1234", "s.int", "1234"},
	{"12x", "s.int", "0"},
	{"AbC", "s.tolower", "abc"},
	{"AbC", "s.toupper", "ABC"},
	{"abcd", "s.substr,1,0", "bcd"},
	{"abcd", "s.substr, -3, 2", "bc"},
	{"12,34,56", "s.select,1,,", "34"},
	{"12,34,56", "s.select,-2,,", "34"},
	{"12,34,56", "s.select,3,,", ""},
	{"12,34,56", "s.select,-4,,", ""},
	{"a b", "s.select,1, ", "b"},
	{"abc", "s.select,0,;", "abc"},
	{"1234", "s.strip,2", "34"},
	{"1234", "s.strip,9", ""},
	{"1234", "s.strip,-1", "1234"},
	{"1234", "s.striptail,1", "123"},
	{"1234", "s.striptail,4", ""},
	{" \ta b\r ", "s.trim", "a b"},
	{" a ", "s.ltrim", "a "},
	{" a ", "s.rtrim", " a"},
	{"  ", "s.trim", ""},
	{"\\\"alice\\\"", "s.unquote", "alice"},
	{"'alice'", "s.unquote", "alice"},
	{"'alice\\\"", "s.unquote", "'alice\""},
	{"'", "s.unquote", "'"},
	{"<sip:a@b>", "s.unbracket", "sip:a@b"},
	{"(x]", "s.unbracket", "(x]"},
	{"abababa", "s.count,a", "4"},
	{"abcdef", "s.after,c", "def"},
	{"abcdef", "s.after,x", ""},
	{"abcdef", "s.after,f", ""},
	{"abcdefcgh", "s.rafter,c", "gh"},
	{"abcdef", "s.before,c", "ab"},
	{"abcdef", "s.before,x", "abcdef"},
	{"abcdefcgh", "s.rbefore,c", "abcdef"},
	{"a,b", "s.after,,", "b"},
	{"(040)1234/567-89", "s.numeric", "040123456789"},
	{"abababa", "s.replace,a,c", "cbcbcbc"},
	{"abababa", "s.replace,ab,", "a"},
	{"aab", "s.replace,aab,x,y", "x,y"},
	{"a-test-b", "s.rm,test", "a--b"},
	{" a\tb ", "s.rmws", "ab"},
	{"123456", "s.prefixes", "1,12,123,1234,12345,123456"},
	{"123456", "s.prefixes,4", "1,12,123,1234"},
	{"123", "s.prefixes.quoted,2", "'1','12'"},
	{"a~", "s.encode.hexa", "617e"},
	{"617E", "s.decode.hexa", "a~"},
	{"617", "s.decode.hexa", ""},
	{"61x7", "s.decode.hexa", ""},
	{"any carnal pleas", "s.encode.base64", "YW55IGNhcm5hbCBwbGVhcw=="},
	{"any carnal pleas", "s.encode.base64t", "YW55IGNhcm5hbCBwbGVhcw"},
	{"any carnal pleasu", "s.encode.base64", "YW55IGNhcm5hbCBwbGVhc3U="},
	{"any carnal pleasur", "s.encode.base64", "YW55IGNhcm5hbCBwbGVhc3Vy"},
	{"~?~?", "s.encode.base64", "fj9+Pw=="},
	{"~?~?", "s.encode.base64url", "fj9-Pw=="},
	{"~?~?", "s.encode.base64urlt", "fj9-Pw"},
	{"fj9+Pw==", "s.decode.base64", "~?~?"},
	{"fj9+Pw", "s.decode.base64", ""},
	{"fj9+Pw", "s.decode.base64t", "~?~?"},
	{"fj9-Pw==", "s.decode.base64url", "~?~?"},
	{"fj9-Pw", "s.decode.base64urlt", "~?~?"},
	{"fj9*Pw==", "s.decode.base64", ""},
	{"f", "s.decode.base64t", ""},
	{"it's", "s.escape.common", "it\\'s"},
	{"it's", "s.escape.common}{s.unescape.common", "it's"},
	{"a b@c;d", "s.escape.user", "a%20b%40c;d"},
	{"a%20b%4", "s.unescape.user", "a b%4"},
	{"a b;c[", "s.escape.param", "a%20b%3bc["},
	{"a%3bb", "s.unescape.param", "a;b"},
	{"foo,bar\\\"baz", "s.escape.csv", "\"foo,bar\"\"baz\""},
	{"a b&c~", "s.urlencode.param", "a+b%26c~"},
	{"a+b%26c", "s.urldecode.param", "a b&c"},
	{"sip:u:p@h:5070;a=1;lr?x=y", "uri.user", "u"},
	{"sip:u:p@h:5070;a=1;lr?x=y", "uri.passwd", "p"},
	{"sip:u:p@h:5070;a=1;lr?x=y", "uri.domain", "h"},
	{"sip:u:p@h:5070;a=1;lr?x=y", "uri.port", "5070"},
	{"sip:u:p@h:5070;a=1;lr?x=y", "uri.params", "a=1;lr"},
	{"sip:u:p@h:5070;a=1;lr?x=y", "uri.param,A", "1"},
	{"sip:u:p@h:5070;a=1;lr?x=y", "uri.headers", "x=y"},
	{"sip:u:p@h:5070;a=1;lr?x=y", "uri.scheme", "sip"},
	{"sips:h;transport=tcp;ttl=5;user=phone;maddr=m;method=BYE;r2=on", "uri.transport", "tcp"},
	{"sips:h;transport=tcp;ttl=5;user=phone;maddr=m;method=BYE;r2=on", "uri.ttl", "5"},
	{"sips:h;transport=tcp;ttl=5;user=phone;maddr=m;method=BYE;r2=on", "uri.uparam", "phone"},
	{"sips:h;transport=tcp;ttl=5;user=phone;maddr=m;method=BYE;r2=on", "uri.maddr", "m"},
	{"sips:h;transport=tcp;ttl=5;user=phone;maddr=m;method=BYE;r2=on", "uri.method", "BYE"},
	{"sips:h;transport=tcp;ttl=5;user=phone;maddr=m;method=BYE;r2=on", "uri.r2", "on"},
	{"sips:h;transport=tcp;ttl=5;user=phone;maddr=m;method=BYE;r2=on", "uri.lr", ""},
	{"sip:alice@server.com:5060;nat=yes;transport=tcp;line=xyz", "uri.duri",
		"sip:server.com:5060;transport=tcp"},
	{"sip:alice@server.com:5060;nat=yes;transport=tcp;line=xyz", "uri.saor",
		"sip:alice@server.com"},
	{"sip:alice@server.com:5060;nat=yes;transport=tcp;line=xyz", "uri.suri",
		"sip:alice@server.com:5060;transport=tcp"},
	{"sip:[2001:db8::1]:5070", "uri.saor", "sip:[2001:db8::1]"},
	{"sip:test@127.0.0.1:5060;transport=udp", "uri.tosocket", "udp:127.0.0.1:5060"},
	{"no uri", "uri.saor", ""},
	{"no uri", "uri.user", ""},
	{"no uri", "uri.port", "0"},
	{"a=1;b=2;c=3", "param.value,c", "3"},
	{"a=1;b=2;c=3", "param.value,C", "3"},
	{"a=1;b=2;c=3", "param.value,d", ""},
	{"a=1;b=2;c=3", "param.in,c", "1"},
	{"a=1;b=2;c=3", "param.in,d", "0"},
	{"a=1;b=2;c=3", "param.valueat,1", "2"},
	{"a=1;b=2;c=3", "param.valueat,-1", "3"},
	{"a=1;b=2;c=3", "param.name,1", "b"},
	{"a=1;b=2;c=3", "param.name,3", ""},
	{"a=1;b=2;c=3", "param.count", "3"},
	{"a=1&b=2", "param.value,b,&", "2"},
	{";; a = \\\"x;y\\\" ;b", "param.value,a", "x;y"},
	{";; a = \\\"x;y\\\" ;b", "param.count", "2"},
	{";; a = \\\"x;y\\\" ;b", "param.in,b", "1"},
	{"", "param.count", "0"},
	{"\\\"test\\\" <sip:test@kamailio.net>;x", "nameaddr.name", "test"},
	{"\\\"test\\\" <sip:test@kamailio.net>;x", "nameaddr.uri", "sip:test@kamailio.net"},
	{"\\\"test\\\" <sip:test@kamailio.net>;x", "nameaddr.len", "30"},
	{"sip:a@b;tag=1", "nameaddr.uri", "sip:a@b"},
	{"sip:a@b;tag=1", "nameaddr.len", "7"},
	{"<>", "nameaddr.uri", ""},
	{"<>", "nameaddr.len", "0"},
	{"Bob <sip:bob@b.example:5070>;tag=t1;y", "tobody.uri", "sip:bob@b.example:5070"},
	{"Bob <sip:bob@b.example:5070>;tag=t1;y", "tobody.display", "Bob"},
	{"Bob <sip:bob@b.example:5070>;tag=t1;y", "tobody.tag", "t1"},
	{"Bob <sip:bob@b.example:5070>;tag=t1;y", "tobody.user", "bob"},
	{"Bob <sip:bob@b.example:5070>;tag=t1;y", "tobody.host", "b.example"},
	{"<tel:+123>", "tobody.host", ""},
	{"a\\r\\nbc\\nd", "line.count", "3"},
	{"a\\r\\nbc\\nd\\n", "line.count", "3"},
	{"a\\r\\nbc\\nd", "line.at,0", "a"},
	{"a\\r\\nbc\\nd", "line.at,-1", "d"},
	{"a\\r\\nbc\\nd\\n", "line.at,3", ""},
	{"a\\r\\nbc\\nd", "line.sw,b", "bc"},
	{"a\\r\\nbc\\nd", "line.sw,x", ""},
	{"a\\r\\nbc\\nd", "line.sw,d", "d"},
	{"a\\r\\nbc\\r\\n", "line.sw,bc", "bc"},
	{"\\n\\n\\nab\\n\\nac\\n", "line.sw,a", "ab"},
	{"ab\\nabc", "line.sw,abc", "abc"},
	{"", "line.count", "0"},
	{"x", "val.n0", "x"},
	{"x", "val.ne", "x"},
};

/* A script whose only statement is note() of `expression`, over an INVITE. */
static void gives(const char *before, const char *expression, const char *expected)
{
	struct language *l;
	char text[2048];

	snprintf(text, sizeof(text),
		"loadmodule \"test.so\" loadmodule \"pv.so\"\nrequest_route { %s note(%s); }",
		before, expression);
	l = language_load(text);
	if (l->script == NULL)
		fail_msg("%s", route_report_text(l->report));
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	snprintf(text, sizeof(text), "note(%s)", expected);
	if (strcmp(language_calls, text) != 0)
		print_message("%s %s\n", before, expression);
	assert_string_equal(language_calls, text);
	language_free(l);
}

static void each_gives_what_the_cookbook_says(void **state)
{
	char before[512], expression[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(before, sizeof(before), "$var(x) = \"%s\";", cases[i].value);
		snprintf(expression, sizeof(expression), "$(var(x){%s})", cases[i].transform);
		gives(before, expression, cases[i].expected);
		snprintf(expression, sizeof(expression), "\"$(var(x){%s})\"", cases[i].transform);
		gives(before, expression, cases[i].expected);
	}
}

static void what_is_null_and_what_is_a_number(void **state)
{
	gives("", "$(avp(no){val.n0})", "0");
	gives("", "$(avp(no){val.ne})", "");
	gives("", "$(avp(no){val.ne}{s.len})", "0");
	gives("", "$(avp(no){s.tolower})", "");
	gives("", "$(avp(no){uri.user})", "");
	gives("$var(x) = -1234;", "$(var(x){s.strip,2})", "234");
	gives("$var(x) = 1234;", "$(var(x){s.encode.hexa})", "31323334");
	gives("$var(x) = 1234;", "$(var(x){s.prefixes,2})", "1,12");
	gives("", "$(ru{uri.param,x}{s.int}) + 1", "2");
}

static void what_a_load_says_no_to(void **state)
{
	static const struct {
		const char *transform, *why;
	} no[] = {{"s.nothing", "{s.nothing}: it is no transformation that is known here"},
		{"s.md5", "{s.md5}: scripts compute no digests"},
		{"sql.val.int", "{sql.val.int}: variables of avp_db_query() are parameters"},
		{"re.subst,/a/b/", "{re.subst,/a/b/}: subst_uri(), subst_user() and avp_subst()"},
		{"s.len,1", "its arguments are others"}, {"s.substr,1", "its arguments are others"},
		{"s.substr,a,1", "its arguments are others"},
		{"s.after", "its arguments are others"}, {"s.after,ab", "its arguments are others"},
		{"s.select,1", "its arguments are others"},
		{"s.replace,,x", "its arguments are others"}, {"s.rm,", "its arguments are others"},
		{"param.value", "its arguments are others"},
		{"param.value,a,;;", "its arguments are others"},
		{"uri.param,", "its arguments are others"},
		{"s.strip,$var(n)", "the arguments of {s.strip,$var(n)} must be constant"}};
	struct language *l;
	char text[512];

	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		for (unsigned quoted = 0; quoted < 2; quoted++) {
			const char *quote = quoted ? "\"" : "";

			snprintf(text, sizeof(text),
				"loadmodule \"test.so\" loadmodule \"pv.so\"\nrequest_route { "
				"note(%s$(ru{%s})%s); }",
				quote, no[i].transform, quote);
			l = language_load(text);
			if (l->script != NULL ||
				strstr(route_report_text(l->report), no[i].why) == NULL)
				fail_msg("%s\n%s", text, route_report_text(l->report));
			language_free(l);
		}
	}
}

/* Any bytes, in a block of their own: a sanitizer sees what is read beside them. And the arena's
 * end. */
static void any_value_is_borne(void **state)
{
	static const char some[] = "a1%;=\"'\\<>[]@:/?&,. \r\n\t\0\xff"
				   "sip:";
	struct language *l = language_load("request_route { exit; }");
	uint64_t seed = 12345;

	assert_non_null(l->script);
	language_message(l, language_invite);
	route_ctx_reset(l->ctx);
	for (unsigned round = 0; round < 20000; round++) {
		struct transform t = {
			.kind = (enum transform_kind)(round % TRANSFORM_KINDS), .separator = ';'};
		uint32_t len;
		char *text;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		len = (uint32_t)(seed >> 33) % 40;
		text = malloc(len > 0 ? len : 1);
		assert_non_null(text);
		for (uint32_t i = 0; i < len; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			text[i] = some[(seed >> 33) % (sizeof(some) - 1)];
		}
		t.number[0] = (int64_t)(seed >> 40) % 7 - 3;
		t.number[1] = (int64_t)(seed >> 50) % 7 - 1;
		t.text[0] = round % 3 == 0 ? STR("a") : STR("s");
		t.text[1] = STR("xyz");
		struct route_value v = {.type = ROUTE_STR, .s = str_of(text, len)};

		l->ctx->text_len = round % 5 == 0 ? ROUTE_TEXT_MAX - 8 : 0;
		l->ctx->failure = ROUTE_FAILURE_NONE;
		if (!transform_apply(l->ctx, &t, &v)) {
			assert_int_equal(l->ctx->failure, ROUTE_FAILURE_TEXT_FULL);
			assert_int_equal(round % 5, 0);
		}
		assert_true(l->ctx->text_len <= ROUTE_TEXT_MAX);
		free(text);
	}
	language_free(l);
}

/* CPU time that it takes to find no such line, the least of some. */
static uint64_t cost_of_lines(struct language *l, struct str text)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < 5; i++) {
		struct transform t = {.kind = TRANSFORM_LINE_WITH, .text = {STR("zzz")}};
		struct route_value v = {.type = ROUTE_STR, .s = text};
		struct timespec from, to;
		uint64_t ns;

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
		assert_true(transform_apply(l->ctx, &t, &v));
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
		ns = (uint64_t)(to.tv_sec - from.tv_sec) * CLOCK_NS_PER_S + (uint64_t)to.tv_nsec -
		     (uint64_t)from.tv_nsec;
		least = ns < least ? ns : least;
	}
	return least;
}

/* A body of line ends alone costs by its length: 16 times the lines are not 256 times the work. */
static void lines_are_looked_at_once(void **state)
{
	enum { LINES = 60000, FEWER = LINES / 16 };
	struct language *l = language_load("request_route { exit; }");
	char *text = malloc(LINES);
	uint64_t few, many;

	assert_non_null(l->script);
	assert_non_null(text);
	memset(text, '\n', LINES);
	language_message(l, language_invite);
	route_ctx_reset(l->ctx);
	few = cost_of_lines(l, str_of(text, FEWER));
	many = cost_of_lines(l, str_of(text, LINES));
	if (many > 64 * (few + 1000))
		fail_msg("%d lines take %llu ns, %d take %llu", FEWER, (unsigned long long)few,
			LINES, (unsigned long long)many);
	free(text);
	language_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_gives_what_the_cookbook_says),
		cmocka_unit_test(what_is_null_and_what_is_a_number),
		cmocka_unit_test(what_a_load_says_no_to),
		cmocka_unit_test(any_value_is_borne),
		cmocka_unit_test(lines_are_looked_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
