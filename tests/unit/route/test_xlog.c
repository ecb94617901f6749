/* SPDX-License-Identifier: BSD-3-Clause */
/* Log lines: what is written in the end, that nothing breaks a line, that a worker never waits, and
 * that what is lost is counted. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "route/xlog.h"

#define RING 8192

static const char invite[] = "INVITE sip:u@gw.example.com SIP/2.0\n"
			     "From: <sip:alice@a.example>;tag=1\n"
			     "Call-ID: c1\n"
			     "X-Evil: a\n"
			     " b\x1b[2J\x7f\n"
			     "\n";

/* What the log wrote since capture_begin(). */
static int saved_stderr = -1;
static FILE *captured;

static void capture_begin(void)
{
	captured = tmpfile();
	assert_non_null(captured);
	fflush(stderr);
	saved_stderr = dup(2);
	dup2(fileno(captured), 2);
	log_set_level(LOG_LEVEL_DEBUG);
}

static const char *capture_end(void)
{
	static char text[400000];
	size_t n;

	fflush(stderr);
	dup2(saved_stderr, 2);
	close(saved_stderr);
	rewind(captured);
	n = fread(text, 1, sizeof(text) - 1, captured);
	text[n] = '\0';
	fclose(captured);
	return text;
}

static struct fixture *create(const char *message)
{
	struct fixture *f = fixture_create();

	f->thread.xlog = route_xlog_create(RING);
	assert_non_null(f->thread.xlog);
	fixture_message(f, message);
	return f;
}

static void destroy(struct fixture *f)
{
	route_xlog_destroy(f->thread.xlog);
	fixture_destroy(f);
}

static void test_lines_hold_the_values_of_their_moment(void **state)
{
	struct fixture *f = create(invite);

	capture_begin();
	assert_int_equal(fixture_call(f, "xlog", "$rm $ru from $si:$sp\n", NULL), ROUTE_TRUE);
	assert_true(fixture_set(f, "ru", "sip:changed@x"));
	assert_int_equal(fixture_call(f, "xlog", "L_ERR", "now $ru, $tt, $rc$$", NULL), ROUTE_TRUE);
	assert_int_equal(fixture_call(f, "xwarn", "no variable", NULL), ROUTE_TRUE);
	assert_int_equal(fixture_call(f, "xdbg", "$rm", NULL), ROUTE_TRUE);
	assert_int_equal(fixture_call(f, "log", "$ru as it stands", NULL), ROUTE_TRUE);
	assert_int_equal(fixture_call(f, "log", "-1", "by number", NULL), ROUTE_TRUE);
	assert_int_equal(fixture_call(f, "xinfo", "", NULL), ROUTE_TRUE);
	/* The message has gone by when the lines are written. */
	memset(f->buf, 'x', f->len);
	memset(f->ctx->text, 'y', sizeof(f->ctx->text));
	assert_int_equal(route_xlog_drain(f->thread.xlog, 1, 0), 7);
	assert_int_equal(route_xlog_drain(f->thread.xlog, 1, 0), 0);
	assert_string_equal(capture_end(), "INVITE sip:u@gw.example.com from 192.0.2.7:40000\n"
					   "siplane: now sip:changed@x, <null>, 0$\n"
					   "siplane: warning: no variable\n"
					   "debug: INVITE\n"
					   "$ru as it stands\n"
					   "siplane: by number\n"
					   "\n");
	destroy(f);
}

static void test_values_take_no_room_of_the_run(void **state)
{
	struct fixture *f = create(invite);

	capture_begin();
	f->ctx->text_len = ROUTE_TEXT_MAX - 20;
	assert_int_equal(fixture_call(f, "xlog", "$si $rm", NULL), ROUTE_TRUE);
	assert_int_equal(f->ctx->text_len, ROUTE_TEXT_MAX - 20);
	/* Where there is no room even for a moment the line is lost, and the message goes on. */
	assert_int_equal(fixture_call(f, "xlog", "$si $Ri $si", NULL), ROUTE_TRUE);
	assert_int_equal(f->ctx->failure, ROUTE_FAILURE_NONE);
	assert_int_equal(route_xlog_lost(f->thread.xlog), 1);
	assert_int_equal(route_xlog_drain(f->thread.xlog, 1, 0), 1);
	const char *text = capture_end();

	assert_non_null(strstr(text, "192.0.2.7 INVITE\n"));
	assert_non_null(strstr(text, "1 lost"));
	destroy(f);
}

static void test_no_value_breaks_a_line(void **state)
{
	struct fixture *f = create(invite);

	capture_begin();
	fixture_call(f, "xlog", "<$hdr(X-Evil)>", NULL);
	fixture_call(f, "xlog", "$mb", NULL);
	route_xlog_drain(f->thread.xlog, 1, 0);
	const char *text = capture_end();

	assert_non_null(strstr(text, "<a\\r\\n b\\x1b[2J\\x7f>\n"));
	for (const char *p = text; *p != '\0'; p++)
		assert_true(
			(unsigned char)*p >= ' ' || (*p == '\n' && (p[1] == '\0' || p[1] == 'I')));
	destroy(f);
}

static void test_long_values_are_cut_and_say_so(void **state)
{
	char message[6000] = "INVITE sip:u@h SIP/2.0\nX: ";
	size_t n = strlen(message);

	memset(message + n, 'v', 5000);
	strcpy(message + n + 5000, "\n\n");
	struct fixture *f = create(message);

	capture_begin();
	fixture_call(f, "xlog", "one $hdr(X) $rm", NULL);
	fixture_call(f, "xlog", "after", NULL);
	assert_int_equal(route_xlog_drain(f->thread.xlog, 1, 0), 2);
	const char *text = capture_end();

	assert_non_null(strstr(text, "vvv...\nafter\n"));
	assert_true(strlen(text) < 2100);
	destroy(f);
}

static void test_a_full_ring_loses_lines_and_counts_them(void **state)
{
	struct fixture *f = create(invite);
	unsigned calls = 1000;

	capture_begin();
	for (unsigned i = 0; i < calls; i++)
		assert_int_equal(fixture_call(f, "xlog", "line $rm $ci", NULL), ROUTE_TRUE);
	uint64_t lost = route_xlog_lost(f->thread.xlog);
	unsigned written = route_xlog_drain(f->thread.xlog, 1, 0);

	assert_int_equal(written + lost, calls);
	assert_true(written > 50 && lost > 50);
	/* Emptied, it takes lines again. */
	fixture_call(f, "xlog", "afterwards", NULL);
	assert_int_equal(route_xlog_drain(f->thread.xlog, 2, 0), 1);
	assert_int_equal(route_xlog_lost(f->thread.xlog), lost);
	const char *text = capture_end();
	char want[100];

	snprintf(want, sizeof(want),
		"siplane: warning: xlog: 0 lines not written, being over the rate; %u lost",
		(unsigned)lost);
	assert_non_null(strstr(text, want));
	destroy(f);
}

static void test_the_rate_is_kept_and_said_once_a_second(void **state)
{
	struct fixture *f = create(invite);
	uint64_t now = 1000 * CLOCK_NS_PER_S;
	unsigned written = 0, said = 0;

	capture_begin();
	for (unsigned ms = 0; ms < 3000; ms += 10) {
		for (unsigned i = 0; i < 5; i++)
			fixture_call(f, "xlog", "x", NULL);
		written += route_xlog_drain(f->thread.xlog, now + ms * CLOCK_NS_PER_MS, 20);
	}
	/* A second's worth at once, and then twenty a second. */
	assert_in_range(written, 75, 81);
	for (const char *p = capture_end(); (p = strstr(p, "over the rate")) != NULL; p++)
		said++;
	assert_in_range(said, 3, 4);
	assert_int_equal(route_xlog_lost(f->thread.xlog), 0);
	destroy(f);
}

static void test_levels_and_missing_rings(void **state)
{
	struct fixture *f = create(invite);

	capture_begin();
	route_xlog_set_level(f->thread.xlog, LOG_LEVEL_WARNING);
	fixture_call(f, "xlog", "L_INFO", "no", NULL);
	fixture_call(f, "xlog", "L_WARN", "yes", NULL);
	assert_int_equal(route_xlog_drain(f->thread.xlog, 1, 0), 1);
	assert_string_equal(capture_end(), "siplane: warning: yes\n");
	assert_int_equal(fixture_call(f, "xlog", "L_NONSENSE", "x", NULL), NOT_LOADED);
	assert_int_equal(fixture_call(f, "xlog", "$nosuch", NULL), NOT_LOADED);
	/* The level may be a variable, by Kamailio's numbers; and a facility stands in front. */
	int slot = route_var_slot(STR("level"));

	capture_begin();
	f->ctx->var_set |= 1ULL << slot;
	f->ctx->var[slot] = (struct route_cell){.type = ROUTE_INT, .i = 2};
	fixture_call(f, "xlog", "$var(level)", "no", NULL);
	f->ctx->var[slot].i = -1;
	fixture_call(f, "xlog", "$var(level)", "an error", NULL);
	fixture_call(f, "xlog", "$rm", "without a level", NULL);
	fixture_call(f, "xlog", "LOG_LOCAL3", "L_WARNING", "with a facility", NULL);
	fixture_call(f, "xlog", "LOG_LOCAL3", "L_DEBUG", "no", NULL);
	assert_int_equal(route_xlog_drain(f->thread.xlog, 9, 0), 3);
	assert_string_equal(capture_end(), "siplane: an error\n"
					   "siplane: without a level\n"
					   "siplane: warning: with a facility\n");
	assert_int_equal(fixture_call(f, "xlog", "LOCAL3", "L_ERR", "x", NULL), NOT_LOADED);
	struct route_xlog *xlog = f->thread.xlog;

	f->thread.xlog = NULL;
	assert_int_equal(fixture_call(f, "xlog", "x", NULL), ROUTE_TRUE);
	f->thread.xlog = xlog;
	destroy(f);
	assert_null(route_xlog_create(UINT32_MAX));
	route_xlog_destroy(NULL);
}

static void test_the_same_text_has_one_number(void **state)
{
	const struct xlog_piece a[2] = {{false, STR("x=")}, {true, STR_NONE}},
				b[2] = {{false, STR("y=")}, {true, STR_NONE}};
	int first = xlog_line_intern(a, 2);

	assert_true(first >= 0);
	xlog_line_release(first);
	assert_int_equal(xlog_line_intern(a, 2), first);
	assert_int_not_equal(xlog_line_intern(b, 2), first);
	xlog_line_release(first);
}

/* One worker and the control thread at once: each line arrives whole, in order, or is counted as
 * lost. */
#define BURSTS 30000

static void *worker(void *arg)
{
	struct route_xlog *xlog = arg;
	const struct xlog_piece piece[3] = {{false, STR("n ")}, {true, STR_NONE}, {true, STR_NONE}};
	int line = xlog_line_intern(piece, 3);

	for (int64_t i = 1; i <= BURSTS; i++) {
		char text[64];

		memset(text, 'a' + (int)(i % 26), sizeof(text));
		const struct route_value value[2] = {{.type = ROUTE_INT, .i = i},
			{.type = ROUTE_STR, .s = str_of(text, (size_t)(i % 64))}};

		xlog_put(xlog, line, LOG_LEVEL_NOTICE, value, 2);
	}
	return NULL;
}

static void test_two_threads_share_a_ring(void **state)
{
	struct route_xlog *xlog = route_xlog_create(RING);
	static char text[4000000];
	unsigned written = 0, seen = 0;
	long long last = 0;
	pthread_t thread;

	/* Into a file, which is read behind. */
	FILE *file = tmpfile();

	assert_non_null(file);
	fflush(stderr);
	int saved = dup(2);

	dup2(fileno(file), 2);
	log_set_level(LOG_LEVEL_NOTICE);
	assert_int_equal(pthread_create(&thread, NULL, worker, xlog), 0);
	for (unsigned i = 0; i < 2000; i++)
		written += route_xlog_drain(xlog, 1, 0);
	pthread_join(thread, NULL);
	written += route_xlog_drain(xlog, 1, 0);
	dup2(saved, 2);
	close(saved);
	rewind(file);
	size_t n = fread(text, 1, sizeof(text) - 1, file);

	text[n] = '\0';
	fclose(file);
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		long long number;
		char tail[100] = "";

		if (strncmp(line, "siplane: warning", 16) == 0)
			continue;
		assert_true(sscanf(line, "n %lld%99s", &number, tail) >= 1);
		assert_true(number > last && number <= BURSTS);
		assert_int_equal(strlen(tail), number % 64);
		for (const char *p = tail; *p != '\0'; p++)
			assert_int_equal(*p, 'a' + number % 26);
		last = number;
		seen++;
	}
	assert_int_equal(seen, written);
	assert_int_equal(written + route_xlog_lost(xlog), BURSTS);
	route_xlog_destroy(xlog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_hold_the_values_of_their_moment),
		cmocka_unit_test(test_values_take_no_room_of_the_run),
		cmocka_unit_test(test_no_value_breaks_a_line),
		cmocka_unit_test(test_long_values_are_cut_and_say_so),
		cmocka_unit_test(test_a_full_ring_loses_lines_and_counts_them),
		cmocka_unit_test(test_the_rate_is_kept_and_said_once_a_second),
		cmocka_unit_test(test_levels_and_missing_rings),
		cmocka_unit_test(test_the_same_text_has_one_number),
		cmocka_unit_test(test_two_threads_share_a_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
