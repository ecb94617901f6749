/* SPDX-License-Identifier: BSD-3-Clause */
/* Patterns: what they match, what is refused at load, and that none of them holds a worker. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fixture.h"
#include "route/pattern.h"

static const char options[] = "OPTIONS sip:a@b SIP/2.0\nCall-ID: 1\n\n";

/* A subject at the very end of a block, so that a read past its end is seen. */
static struct str at_end(struct str text)
{
	char *block = malloc(text.len != 0 ? text.len : 1);

	assert_non_null(block);
	if (text.len != 0)
		memcpy(block, text.s, text.len);
	return str_of(block, text.len);
}

static int match(struct fixture *f, const char *pattern, unsigned flags, struct str subject,
	struct str *group, unsigned groups)
{
	char error[200] = "";
	struct route_regex *regex = regex_compile(str_c(pattern), flags, error, sizeof(error));

	if (regex == NULL)
		fail_msg("%s: %s", pattern, error);
	int rc = route_regex_match(f->ctx, regex, subject, group, groups);

	route_regex_free(regex);
	return rc;
}

static void test_patterns_match_as_posix_ones_do(void **state)
{
	static const struct {
		const char *pattern, *subject;
		unsigned flags;
		bool matches;
	} rows[] = {
		{"^sip:", "sip:a", 0, true},
		{"^SIP:", "sip:a", 0, false},
		{"^SIP:", "sip:a", REGEX_ICASE, true},
		{"", "x", 0, true},
		{"^$", "", 0, true},
		{"a|b", "xb", 0, true},
		{"[[:digit:]]{3}", "ab123", 0, true},
		{"a.c", "a\nc", 0, true},
		{"a.c", "a\nc", REGEX_LINES, false},
		{"a$", "a\n", 0, false},
		{"a$", "a\r\nb", REGEX_LINES, true},
		{"^b", "a\r\nb", REGEX_LINES, true},
		{"^b", "a\r\nb", 0, false},
		{"(a)(b)?(c)", "ac", 0, true},
	};
	struct fixture *f = fixture_create();

	fixture_message(f, options);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str subject = at_end(str_c(rows[i].subject));
		int rc = match(f, rows[i].pattern, rows[i].flags, subject, NULL, 0);

		if ((rc > 0) != rows[i].matches)
			fail_msg("%s against %s: %d", rows[i].pattern, rows[i].subject, rc);
		free((char *)subject.s);
	}
	assert_int_equal(f->ctx->failure, ROUTE_FAILURE_NONE);
	fixture_destroy(f);
}

static void test_groups_are_spans_of_the_subject(void **state)
{
	struct fixture *f = fixture_create();
	struct str subject = STR("xx=user@host"), group[5];

	fixture_message(f, options);
	assert_int_equal(match(f, "=(\\w+)(;)?@(\\w+)$", 0, subject, group, 5), 4);
	assert_ptr_equal(group[0].s, subject.s + 2);
	assert_int_equal(group[0].len, 10);
	assert_true(str_eq(group[1], STR("user")));
	assert_null(group[2].s);
	assert_true(str_eq(group[3], STR("host")));
	assert_null(group[4].s);
	/* The empty subject may have no address at all. */
	assert_int_equal(match(f, "^(x?)$", 0, STR_NONE, group, 2), 2);
	assert_int_equal(group[1].len, 0);
	fixture_destroy(f);
}

static void test_bad_patterns_are_named_at_load(void **state)
{
	static const char *const bad[] = {"(", "[a", "a{2,1}", "*a", "\\", "(?<n>a)(?<n>b)"};
	char error[200], groups[3 * REGEX_GROUPS_MAX + 1];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error[0] = '\0';
		assert_null(route_regex_compile(str_c(bad[i]), false, error, sizeof(error)));
		assert_non_null(strstr(error, " at offset "));
	}
	for (unsigned i = 0; i < REGEX_GROUPS_MAX; i++)
		memcpy(groups + 3 * i, "(a)", 4);
	assert_null(route_regex_compile(str_c(groups), false, error, sizeof(error)));
	assert_non_null(strstr(error, "32 groups"));
	groups[3 * REGEX_GROUPS_MAX - 3] = '\0';
	struct route_regex *regex = route_regex_compile(str_c(groups), false, error, sizeof(error));

	assert_non_null(regex);
	route_regex_free(regex);
	route_regex_free(NULL);
}

/* Long subjects are searched in windows: the seams between them hide nothing. */
static void test_windows_hide_no_match(void **state)
{
	struct fixture *f = fixture_create();
	static char subject[20000];
	struct str group[1];

	fixture_message(f, options);
	for (uint32_t len = 1; len <= sizeof(subject); len = len * 3 / 2 + 1) {
		for (uint32_t at = 0; at + 6 <= len; at += at < 2000 ? 37 : 1009) {
			memset(subject, '.', len);
			memcpy(subject + at, "needle", 6);
			struct str s = at_end(str_of(subject, len));

			assert_int_equal(match(f, "ne+dle", 0, s, group, 1), 1);
			assert_ptr_equal(group[0].s, s.s + at);
			assert_int_equal(match(f, "needle$", 0, s, group, 1), at + 6 == len);
			assert_int_equal(match(f, "^needle", 0, s, group, 1), at == 0);
			assert_int_equal(match(f, "\\.needle", 0, s, group, 1), at != 0);
			free((char *)s.s);
		}
	}
	memset(subject, '.', sizeof(subject));
	assert_int_equal(match(f, "$", 0, str_of(subject, sizeof(subject)), group, 1), 1);
	assert_ptr_equal(group[0].s, subject + sizeof(subject));
	assert_int_equal(match(f, "x", 0, str_of(subject, sizeof(subject)), group, 1), 0);
	fixture_destroy(f);
}

static uint64_t ns_by(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static unsigned looks_until_away;
static uint64_t away_ns;

/* Takes the place of lib/base's clock: at one look at it others have had the CPU for a while. */
uint64_t clock_now_ns(void)
{
	if (looks_until_away != 0 && --looks_until_away == 0)
		away_ns += CLOCK_NS_PER_S;
	return ns_by(CLOCK_MONOTONIC) + away_ns;
}

/* Whoever else has the CPU in the midst of it: a search that is fast is not ended. */
static void test_a_search_goes_on_after_others_had_the_cpu(void **state)
{
	struct fixture *f = fixture_create();
	static char subject[20000];
	unsigned away = 0;

	fixture_message(f, options);
	memset(subject, '.', sizeof(subject));
	for (unsigned look = 2; look < 40; look += 3) {
		f->ctx->failure = ROUTE_FAILURE_NONE;
		looks_until_away = look;
		assert_int_equal(
			match(f, "needle", 0, str_of(subject, sizeof(subject)), NULL, 0), 0);
		assert_int_equal(f->ctx->failure, ROUTE_FAILURE_NONE);
		/* Where others have it without our doing the clock is looked at less often. */
		away += looks_until_away == 0;
		looks_until_away = 0;
	}
	assert_true(away > 0);
	fixture_destroy(f);
}

/* Patterns that backtrack without end on subjects made for them. */
static void test_no_pattern_holds_a_worker(void **state)
{
	static const char *const evil[] = {"(a+)+[xy]", "(a|aa)+[xy]", "(a*)*[xy]",
		".*a.*a.*a.*a.*[xy]", "a*a*a*a*a*[bx]", "^(.*a){12}[xy]", "([a-z]+)*[0-9]",
		"(?=.*[xy])a", "(a*)*\\1*[xy]", "[ab]*[ac][ab]*[de]", "a(?=[ab]*[ac][ab]*[de])",
		"(.|a)*(.|a)*[xy]"};
	static const uint32_t sizes[] = {30, 300, 1000, 3000, 64000};
	struct fixture *f = fixture_create();
	static char subject[64000];
	uint64_t slowest = 0;

	fixture_message(f, options);
	memset(subject, 'a', sizeof(subject));
	for (unsigned i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
		for (unsigned n = 0;
			n < (fixture_in_valgrind() ? 2 : sizeof(sizes) / sizeof(sizes[0])); n++) {
			char error[200];
			struct route_regex *regex =
				regex_compile(str_c(evil[i]), 0, error, sizeof(error));
			uint64_t began = ns_by(CLOCK_THREAD_CPUTIME_ID);

			assert_non_null(regex);
			f->ctx->failure = ROUTE_FAILURE_NONE;
			int rc = route_regex_match(
				f->ctx, regex, str_of(subject, sizes[n]), NULL, 0);
			uint64_t took = ns_by(CLOCK_THREAD_CPUTIME_ID) - began;

			/* None matches; where that is not found out in time the run fails, and says
			 * why. */
			assert_true(rc == 0 || rc == -1);
			assert_int_equal(f->ctx->failure,
				rc == 0 ? ROUTE_FAILURE_NONE : ROUTE_FAILURE_REGEX_LIMIT);
			slowest = took > slowest ? took : slowest;
			route_regex_free(regex);
		}
	}
	print_message("slowest of them: %.3f ms\n", (double)slowest / 1e6);
	/* Much more than it takes: for sanitizers and busy machines. */
	assert_true(slowest < (fixture_in_valgrind() ? 20000 : 500) * CLOCK_NS_PER_MS);
	/* What follows on this thread is not hurt. */
	f->ctx->failure = ROUTE_FAILURE_NONE;
	assert_int_equal(match(f, "a", 0, STR("a"), NULL, 0), 1);
	fixture_destroy(f);
}

static void test_an_ordinary_long_match_is_no_fault(void **state)
{
	static const char *const good[] = {
		"^(.*)@(.*)$", "[0-9]+", "^sip:\\+?[0-9]*@", "a.*b", "(a|b|c)*z?"};
	struct fixture *f = fixture_create();
	static char subject[1000];

	fixture_message(f, options);
	memset(subject, 'a', sizeof(subject));
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		match(f, good[i], REGEX_ICASE, str_of(subject, sizeof(subject)), NULL, 0);
		assert_int_equal(f->ctx->failure, ROUTE_FAILURE_NONE);
	}
	fixture_destroy(f);
}

static void test_a_run_that_meets_the_limit_fails(void **state)
{
	struct fixture *f = fixture_create();
	char body[3000] = "OPTIONS sip:a@b SIP/2.0\nCall-ID: 1\n\n";

	memset(body + strlen(body), 'a', 2500);
	fixture_message(f, body);
	assert_int_equal(fixture_call(f, "search", "(a+)+[xy]", NULL), ROUTE_FALSE);
	assert_int_equal(f->ctx->failure, ROUTE_FAILURE_REGEX_LIMIT);
	f->ctx->failure = ROUTE_FAILURE_NONE;
	assert_int_equal(fixture_call(f, "replace", "(a+)+[xy]", "b", NULL), ROUTE_FALSE);
	assert_int_equal(f->ctx->failure, ROUTE_FAILURE_REGEX_LIMIT);
	assert_int_equal(f->ctx->edits.count, 0);
	fixture_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns_match_as_posix_ones_do),
		cmocka_unit_test(test_groups_are_spans_of_the_subject),
		cmocka_unit_test(test_bad_patterns_are_named_at_load),
		cmocka_unit_test(test_windows_hide_no_match),
		cmocka_unit_test(test_a_search_goes_on_after_others_had_the_cpu),
		cmocka_unit_test(test_no_pattern_holds_a_worker),
		cmocka_unit_test(test_an_ordinary_long_match_is_no_fault),
		cmocka_unit_test(test_a_run_that_meets_the_limit_fails),
	};

	/* PCRE2 has no JIT there. */
	regex_tune(true, fixture_in_valgrind() ? 500 : 1);
	int failed = cmocka_run_group_tests_name("as the machine has it", tests, NULL, NULL);

	regex_tune(false, fixture_in_valgrind() ? 500 : 5);
	return failed + cmocka_run_group_tests_name("interpreted", tests, NULL, NULL);
}
