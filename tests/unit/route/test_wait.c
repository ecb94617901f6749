/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs that wait for rows and changes of a database: what they wait for, where they go on, what
 * they are told. */
#include "language.h"

#include <stdio.h>
#include <stdlib.h>

static struct language *load(const char *blocks)
{
	char text[8192];
	struct language *l;

	snprintf(text, sizeof(text), "loadmodule \"test.so\" loadmodule \"tm.so\"\n%s", blocks);
	l = language_load(text);
	if (l->script == NULL)
		printf("%s\n%s", blocks, route_report_text(l->report));
	assert_non_null(l->script);
	route_script_publish(l->script);
	l->thread.has_state = true;
	language_message(l, language_invite);
	return l;
}

static void assert_waits(const struct language *l, enum route_wait what, const char *text)
{
	assert_int_equal(l->ctx->wait_for, what);
	assert_int_equal(l->ctx->answer, ROUTE_ANSWER_NONE);
	assert_true(str_eq(route_text_str(l->ctx, l->ctx->wait), str_c(text)));
}

static enum route_verdict answer(struct language *l, enum route_answer answer)
{
	route_answer_set(l->ctx, answer);
	return route_resume(l->ctx);
}

static void test_a_function_hears_what_became_of_what_it_waited_for(void **state)
{
	static const struct {
		enum route_answer answer;
		const char *calls;
	} rows[] = {{ROUTE_ANSWER_DONE, "rows(a) note(1,1)"}, {ROUTE_ANSWER_REFUSED, "note(1,-2)"},
		{ROUTE_ANSWER_FAILED, "note(1,-3)"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct language *l = load("request_route { rows(\"a\"); note(1, $rc); }");

		assert_int_equal(route_run(l->ctx), ROUTE_WAIT);
		assert_waits(l, ROUTE_WAIT_ROWS, "a");
		assert_int_equal(answer(l, rows[i].answer), ROUTE_ENDED);
		assert_string_equal(language_calls, rows[i].calls);
		language_free(l);
	}
}

/* An answer is said once: what a script asks or changes again is asked and changed again. */
static void test_the_same_again_is_waited_for_again(void **state)
{
	struct language *l = load("request_route { change(\"a\"); change(\"a\"); rows(\"a\"); }");
	static const enum route_wait what[] = {
		ROUTE_WAIT_CHANGE, ROUTE_WAIT_CHANGE, ROUTE_WAIT_ROWS};
	enum route_verdict verdict = route_run(l->ctx);

	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(verdict, ROUTE_WAIT);
		assert_waits(l, what[i], "a");
		verdict = answer(l, ROUTE_ANSWER_DONE);
	}
	assert_int_equal(verdict, ROUTE_ENDED);
	assert_string_equal(language_calls, "change(a) change(a) rows(a)");
	language_free(l);
}

/* Of something else than what was waited for nothing is known; nor of a host's name. */
static void test_an_answer_belongs_to_its_calls(void **state)
{
	struct language *l = load("request_route { rows(\"a\"); pending(); rows(\"bb\"); }");

	assert_int_equal(route_run(l->ctx), ROUTE_WAIT);
	route_answer_set(l->ctx, ROUTE_ANSWER_DONE);
	assert_int_equal(route_answer(l->ctx, STR("b")), ROUTE_ANSWER_NONE);
	assert_int_equal(route_answer(l->ctx, STR("ab")), ROUTE_ANSWER_NONE);
	assert_int_equal(route_answer(l->ctx, STR("")), ROUTE_ANSWER_NONE);
	assert_int_equal(route_answer(l->ctx, STR("a")), ROUTE_ANSWER_DONE);
	assert_int_equal(route_answer(l->ctx, STR("a")), ROUTE_ANSWER_NONE);

	language_message(l, language_invite);
	language_pending = 1;
	assert_int_equal(route_run(l->ctx), ROUTE_WAIT);
	assert_int_equal(answer(l, ROUTE_ANSWER_DONE), ROUTE_WAIT);
	assert_waits(l, ROUTE_WAIT_NAME, "example.net");
	route_answer_set(l->ctx, ROUTE_ANSWER_DONE);
	assert_int_equal(route_answer(l->ctx, STR("example.net")), ROUTE_ANSWER_NONE);
	assert_int_equal(route_resume(l->ctx), ROUTE_WAIT);
	assert_waits(l, ROUTE_WAIT_ROWS, "bb");
	language_free(l);
}

/* The next message knows nothing of it. */
static void test_a_reset_forgets_what_was_waited_for(void **state)
{
	struct language *l = load("request_route { rows(\"a\"); }");

	assert_int_equal(route_run(l->ctx), ROUTE_WAIT);
	route_answer_set(l->ctx, ROUTE_ANSWER_DONE);
	language_message(l, language_invite);
	assert_int_equal(l->ctx->wait_for, ROUTE_WAIT_NAME);
	assert_int_equal(route_run(l->ctx), ROUTE_WAIT);
	assert_waits(l, ROUTE_WAIT_ROWS, "a");
	language_free(l);
}

/* A function within a block that a function runs: both are called again. */
static void test_a_block_within_a_function_waits(void **state)
{
	struct language *l = load("request_route { block(\"x\"); note(2); }\n"
				  "branch_route[x] { note(1); rows(\"a\"); rows(\"b\"); }");

	assert_int_equal(route_run(l->ctx), ROUTE_WAIT);
	assert_waits(l, ROUTE_WAIT_ROWS, "a");
	assert_int_equal(answer(l, ROUTE_ANSWER_DONE), ROUTE_WAIT);
	assert_waits(l, ROUTE_WAIT_ROWS, "b");
	/* Rows that came stay where db_find() has them: this stand-in asks anew. */
	assert_int_equal(answer(l, ROUTE_ANSWER_DONE), ROUTE_WAIT);
	assert_waits(l, ROUTE_WAIT_ROWS, "a");
	assert_string_equal(
		language_calls, "block(x) note(1) block(x) note(1) rows(a) block(x) note(1)");
	language_free(l);
}

/* However often a script waits, the arena has room for it. */
static void test_what_was_waited_for_leaves_the_arena(void **state)
{
	struct language *l = load("request_route { $var(n) = 0;\n"
				  "while ($var(n) < 2000) { rows(\"0123456789\"); "
				  "$var(n) = $var(n) + 1; } note($var(n)); }");
	enum route_verdict verdict = route_run(l->ctx);
	unsigned waits = 0;

	for (; verdict == ROUTE_WAIT; waits++) {
		language_calls[0] = '\0';
		verdict = answer(l, ROUTE_ANSWER_DONE);
	}
	assert_int_equal(verdict, ROUTE_ENDED);
	assert_int_equal(waits, 2000);
	assert_int_equal(l->ctx->text_len, 0);
	language_free(l);
}

static void test_without_room_in_the_arena_nothing_waits(void **state)
{
	struct language *l = load("request_route { rows(\"a\"); note(1); }");

	l->ctx->text_len = ROUTE_TEXT_MAX;
	assert_int_equal(route_run(l->ctx), ROUTE_FAILED);
	assert_int_equal(l->ctx->failure, ROUTE_FAILURE_TEXT_FULL);
	assert_string_equal(language_calls, "");
	language_free(l);
}

/* Where nobody can wait, rows are as if the database had failed; a name is said to be wanted. */
static void test_a_run_that_nobody_waits_for(void **state)
{
	struct language *l = load("request_route { rows(\"a\"); note(1, $rc); change(\"b\");\n"
				  "note(2, $rc); pending(); note(3); }\n"
				  "error_route { rows(\"a\"); note(4, $rc); }");

	assert_int_equal(route_resume_without(l->ctx, route_run(l->ctx)), ROUTE_ENDED);
	assert_string_equal(language_calls, "note(1,-3) note(2,-3) pending() note(3)");
	language_message(l, language_invite);
	language_pending = 1;
	assert_int_equal(route_resume_without(l->ctx, route_run(l->ctx)), ROUTE_WAIT);
	assert_int_equal(l->ctx->wait_for, ROUTE_WAIT_NAME);
	language_pending = 0;

	language_message(l, language_invite);
	l->ctx->result.reply = true;
	route_run_error(l->ctx, STR("bad"));
	assert_string_equal(language_calls, "note(4,-3)");
	assert_true(l->ctx->result.reply);
	language_free(l);
}

/* ---- rows of no cache ---- */

static void ask(struct language *l, uint64_t key)
{
	assert_int_equal(
		route_wait_ask(l->ctx, (struct hash128){key, 0}, STR("the call")), ROUTE_PENDING);
	assert_waits(l, ROUTE_WAIT_ASK, "the call");
}

static void answer_rows(struct language *l, const char *rows)
{
	uint32_t size;
	char *room = route_answer_room(l->ctx, &size);

	assert_true(strlen(rows) <= size);
	memcpy(room, rows, strlen(rows));
	route_answer_rows(l->ctx, (int)strlen(rows));
}

static void assert_asked(struct language *l, uint64_t key, enum route_answer wanted, const char *is)
{
	struct str rows = STR("");

	assert_int_equal(route_asked(l->ctx, (struct hash128){key, 0}, &rows), wanted);
	assert_true(str_eq(rows, str_c(is)));
}

/* Those of several keys stay, also beside what else a run makes; then the room is there again. */
static void test_rows_stay_until_they_are_forgotten(void **state)
{
	struct language *l = load("request_route { note(1); }");
	uint32_t before = l->ctx->text_len;

	assert_asked(l, 1, ROUTE_ANSWER_NONE, "");
	ask(l, 1);
	assert_asked(l, 1, ROUTE_ANSWER_NONE, "");
	answer_rows(l, "longer than the call that they take the place of");
	ask(l, 2);
	/* Nobody has looked at the first one before the second was asked for: it was not kept. */
	answer_rows(l, "b");
	assert_asked(l, 1, ROUTE_ANSWER_NONE, "");
	assert_asked(l, 2, ROUTE_ANSWER_DONE, "b");
	route_asked_forget(l->ctx);
	l->ctx->text_len = before;
	ask(l, 1);
	answer_rows(l, "a");
	assert_asked(l, 1, ROUTE_ANSWER_DONE, "a");
	ask(l, 2);
	route_answer_set(l->ctx, ROUTE_ANSWER_FAILED);
	assert_asked(l, 2, ROUTE_ANSWER_FAILED, "");
	ask(l, 3);
	answer_rows(l, "");
	assert_asked(l, 3, ROUTE_ANSWER_DONE, "");
	assert_asked(l, 2, ROUTE_ANSWER_FAILED, "");
	assert_asked(l, 1, ROUTE_ANSWER_DONE, "a");
	assert_asked(l, 4, ROUTE_ANSWER_NONE, "");
	assert_int_equal(route_asked_bytes(l->ctx), l->ctx->text_len - before);
	route_asked_forget(l->ctx);
	assert_int_equal(l->ctx->text_len, before);
	assert_asked(l, 1, ROUTE_ANSWER_NONE, "");
	assert_int_equal(route_asked_bytes(l->ctx), 0);
	/* What stands behind them stays. */
	ask(l, 1);
	answer_rows(l, "a");
	assert_asked(l, 1, ROUTE_ANSWER_DONE, "a");
	assert_int_not_equal(route_text_make(l->ctx, STR("text")).space, ROUTE_SPACE_NONE);
	before = l->ctx->text_len;
	assert_int_equal(route_asked_bytes(l->ctx), 0);
	route_asked_forget(l->ctx);
	assert_int_equal(l->ctx->text_len, before);
	language_free(l);
}

static void test_rows_without_room_are_said(void **state)
{
	struct language *l = load("request_route { note(1); }");
	uint32_t size;

	ask(l, 1);
	(void)route_answer_room(l->ctx, &size);
	assert_int_equal(size, ROUTE_TEXT_MAX - ROUTE_ASK_BYTES);
	route_answer_rows(l->ctx, -7);
	assert_asked(l, 1, ROUTE_ANSWER_TOO_LONG, "");
	route_asked_forget(l->ctx);
	assert_int_equal(l->ctx->text_len, 0);
	/* As many as there is room for. */
	ask(l, 1);
	route_answer_rows(l->ctx, (int)size);
	assert_int_equal(
		route_asked(l->ctx, (struct hash128){1, 0}, &(struct str){0}), ROUTE_ANSWER_DONE);
	assert_int_equal(l->ctx->text_len, ROUTE_TEXT_MAX);
	route_asked_forget(l->ctx);
	ask(l, 1);
	answer_rows(l, "a");
	assert_asked(l, 1, ROUTE_ANSWER_DONE, "a");
	/* The next message knows nothing of it. */
	language_message(l, language_invite);
	assert_asked(l, 1, ROUTE_ANSWER_NONE, "");
	l->ctx->text_len = ROUTE_TEXT_MAX - ROUTE_ASK_BYTES;
	assert_int_equal(route_wait_ask(l->ctx, (struct hash128){1, 0}, STR("a")), ROUTE_FALSE);
	language_free(l);
}

static void test_a_turn_comes(void **state)
{
	struct language *l = load("request_route { note(1); }");

	assert_int_equal(route_wait_turn(l->ctx), ROUTE_PENDING);
	assert_waits(l, ROUTE_WAIT_TURN, "");
	assert_int_equal(route_answer_any(l->ctx, ROUTE_WAIT_TURN), ROUTE_ANSWER_NONE);
	route_answer_set(l->ctx, ROUTE_ANSWER_DONE);
	assert_int_equal(route_answer_any(l->ctx, ROUTE_WAIT_TURN), ROUTE_ANSWER_DONE);
	assert_int_equal(route_answer_any(l->ctx, ROUTE_WAIT_TURN), ROUTE_ANSWER_NONE);
	language_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_function_hears_what_became_of_what_it_waited_for),
		cmocka_unit_test(test_the_same_again_is_waited_for_again),
		cmocka_unit_test(test_an_answer_belongs_to_its_calls),
		cmocka_unit_test(test_a_reset_forgets_what_was_waited_for),
		cmocka_unit_test(test_a_block_within_a_function_waits),
		cmocka_unit_test(test_what_was_waited_for_leaves_the_arena),
		cmocka_unit_test(test_without_room_in_the_arena_nothing_waits),
		cmocka_unit_test(test_a_run_that_nobody_waits_for),
		cmocka_unit_test(test_rows_stay_until_they_are_forgotten),
		cmocka_unit_test(test_rows_without_room_are_said),
		cmocka_unit_test(test_a_turn_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
