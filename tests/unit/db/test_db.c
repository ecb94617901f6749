/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions and changes as a room asks them, of any engine. */
#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void asks_and_changes(void **state)
{
	struct bench *b = *state;
	struct call c;
	struct heard h;

	assert_int_equal(change(b, pack(b, &c, b->put, 3, I(1), T("alice"), I(7)), &h), DB_DONE);
	assert_int_equal(h.changed, 1);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &h), DB_DONE);
	assert_int_equal(h.rows, 1);
	assert_int_equal(h.columns, 2);
	assert_string_equal(h.text[0], "alice");
	assert_string_equal(h.text[1], "7");
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(2)), &h), DB_DONE);
	assert_int_equal(h.rows, 0);
	assert_int_equal(change(b, pack(b, &c, b->set, 2, I(8), I(9)), &h), DB_DONE);
	assert_int_equal(h.changed, 0);
}

/* A question that is asked when a change is done sees it. */
static void what_is_done_is_seen(void **state)
{
	struct bench *b = *state;
	struct call c;
	struct heard h;
	char number[24];

	assert_int_equal(change(b, pack(b, &c, b->put, 3, I(1), T("a"), I(0)), &h), DB_DONE);
	for (int i = 1; i < 200; i++) {
		assert_int_equal(change(b, pack(b, &c, b->set, 2, I(i), I(1)), &h), DB_DONE);
		assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &h), DB_DONE);
		snprintf(number, sizeof(number), "%d", i);
		assert_string_equal(h.text[1], number);
	}
}

/* Questions that were asked together are over when they are answered: who asks next sees what has
 * been done meanwhile. */
static void a_look_at_several_ends(void **state)
{
	struct bench *b = *state;
	static struct heard many;
	struct call c;
	struct heard h;
	char number[24];

	assert_int_equal(change(b, pack(b, &c, b->put, 3, I(1), T("a"), I(0)), &h), DB_DONE);
	for (int i = 1; i < 10; i++) {
		memset(&many, 0, sizeof(many));
		pack(b, &c, b->find, 1, I(1));
		for (int n = 0; n < 200; n++)
			assert_int_equal(db_ask(b->db, c.s, hear, &many), 0);
		poll_until(b, &many.times, 200);
		assert_int_equal(change(b, pack(b, &c, b->set, 2, I(i), I(1)), &h), DB_DONE);
		snprintf(number, sizeof(number), "%d", i);
		for (int n = 0; n < 6; n++) {
			assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &h), DB_DONE);
			assert_string_equal(h.text[1], number);
		}
	}
}

static void values_come_as_they_went(void **state)
{
	struct bench *b = *state;
	const char *text[] = {
		"", "'; DROP TABLE t; --", "\xc3\xa4\xe2\x82\xac", "a\\'b\"c`d?", "?1 :x @y $z"};
	const int64_t number[] = {0, -1, INT64_MAX, INT64_MIN, 5};
	char expect[24];
	struct call c;
	struct heard h;

	for (int i = 0; i < 5; i++) {
		pack(b, &c, b->put, 3, I(i), T(text[i]), I(number[i]));
		assert_int_equal(change(b, c.s, &h), DB_DONE);
		assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(i)), &h), DB_DONE);
		assert_string_equal(h.text[0], text[i]);
		snprintf(expect, sizeof(expect), "%lld", (long long)number[i]);
		assert_string_equal(h.text[1], expect);
	}
	pack(b, &c, b->put, 3, I(9), (struct db_value){.type = DB_NULL},
		(struct db_value){.type = DB_NULL});
	assert_int_equal(change(b, c.s, &h), DB_DONE);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(9)), &h), DB_DONE);
	assert_string_equal(h.text[0], "NULL");
	assert_string_equal(h.text[1], "NULL");
	assert_int_equal(bench_count(b), 6);
}

/* What is wanted as a number and is none is NULL, and never a number that nobody wrote. */
static void columns_are_turned(void **state)
{
	struct bench *b = *state;
	unsigned as = bench_statement(b, "SELECT name, n, n FROM t WHERE id = ?", NULL, "isr", 1);
	struct call c;
	struct heard h;

	assert_int_equal(change(b, pack(b, &c, b->put, 3, I(1), T("5060"), I(7)), &h), DB_DONE);
	assert_int_equal(change(b, pack(b, &c, b->put, 3, I(2), T("5060x"), I(7)), &h), DB_DONE);
	assert_int_equal(ask(b, pack(b, &c, as, 1, I(1)), &h), DB_DONE);
	assert_string_equal(h.text[0], "5060");
	assert_string_equal(h.text[1], "7");
	assert_string_equal(h.text[2], "7");
	assert_int_equal(ask(b, pack(b, &c, as, 1, I(2)), &h), DB_DONE);
	assert_string_equal(h.text[0], "NULL");
}

static void refused_is_said(void **state)
{
	struct bench *b = *state;
	unsigned table = bench_statement(b, "SELECT a FROM nowhere", NULL, "s", 0);
	unsigned column = bench_statement(b, "SELECT nothing FROM t", NULL, "s", 0);
	unsigned more = bench_statement(b, "SELECT name, n FROM t", NULL, "s", 0);
	struct db_state is;
	struct call c;
	struct heard h;

	assert_int_equal(change(b, pack(b, &c, b->put, 3, I(1), T("a"), I(7)), &h), DB_DONE);
	assert_int_equal(ask(b, pack(b, &c, table, 0), &h), DB_REFUSED);
	assert_true(db_state(b->db, b->database, &is));
	assert_non_null(strstr(is.error, "nowhere"));
	assert_int_equal(ask(b, pack(b, &c, column, 0), &h), DB_REFUSED);
	assert_int_equal(ask(b, pack(b, &c, more, 0), &h), DB_REFUSED);
	assert_int_equal(change(b, pack(b, &c, b->put, 3, I(1), T("b"), I(7)), &h), DB_REFUSED);
	assert_int_equal(db_counter(b->db, DB_COUNTER_REFUSED), 4);
	/* The connections are as good as before. */
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &h), DB_DONE);
	assert_string_equal(h.text[0], "a");
	assert_int_equal(db_counter(b->db, DB_COUNTER_LOST), 0);
}

/* A schema without a column, and then with it. */
static void the_other_way_is_taken(void **state)
{
	struct bench *b = *state;
	unsigned s = bench_statement(b, "SELECT name, extra FROM t WHERE id = ?",
		"SELECT name, 'none' FROM t WHERE id = ?", "ss", 1);
	unsigned neither = bench_statement(b, "SELECT bad1 FROM t", "SELECT bad2 FROM t", "s", 0);
	struct db_state is;
	struct call c;
	struct heard h;

	assert_int_equal(change(b, pack(b, &c, b->put, 3, I(1), T("a"), I(7)), &h), DB_DONE);
	assert_int_equal(ask(b, pack(b, &c, s, 1, I(1)), &h), DB_DONE);
	assert_string_equal(h.text[1], "none");
	/* What is said is what is wrong with the first. */
	assert_int_equal(ask(b, pack(b, &c, neither, 0), &h), DB_REFUSED);
	assert_true(db_state(b->db, b->database, &is));
	assert_non_null(strstr(is.error, "bad1"));
}

/* One that was good, whose column goes, takes the other way from then on. */
static void a_column_that_goes(void **state)
{
	struct bench *b = *state;
	unsigned s = bench_statement(b, "SELECT name, extra FROM t WHERE id = ?",
		"SELECT name, 'none' FROM t WHERE id = ?", "ss", 1);
	struct call c;
	struct heard h;

	assert_int_equal(bench_sql(b, "ALTER TABLE t ADD COLUMN extra VARCHAR(8)"), DB_DONE);
	assert_int_equal(
		bench_sql(b, "INSERT INTO t (id, name, extra) VALUES (1, 'a', 'x')"), DB_DONE);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(ask(b, pack(b, &c, s, 1, I(1)), &h), DB_DONE);
		assert_string_equal(h.text[1], "x");
	}
	assert_int_equal(bench_sql(b, "ALTER TABLE t DROP COLUMN extra"), DB_DONE);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(ask(b, pack(b, &c, s, 1, I(1)), &h), DB_DONE);
		assert_string_equal(h.text[1], "none");
	}
}

static void too_long_is_never_cut(void **state)
{
	struct bench *b = *state;
	char text[DB_VALUE_MAX + 1];
	struct call c;
	struct heard h;

	memset(text, 'x', sizeof(text));
	text[DB_VALUE_MAX] = '\0';
	for (int i = 0; i < 4; i++) {
		pack(b, &c, b->put, 3, I(i), T(text), I(i));
		assert_int_equal(change(b, c.s, &h), DB_DONE);
	}
	/* Four such texts and their numbers exceed what an answer may have, three do not. */
	assert_int_equal(ask(b, pack(b, &c, b->all, 0), &h), DB_TOO_LONG);
	assert_int_equal(bench_sql(b, "DELETE FROM t WHERE id = 3"), DB_DONE);
	assert_int_equal(ask(b, pack(b, &c, b->all, 0), &h), DB_DONE);
	assert_int_equal(h.rows, 3);
	assert_int_equal(strlen(h.text[1]), DB_VALUE_MAX);
	/* One character more than a text may have. */
	assert_int_equal(
		bench_sql(b, bench_is_sqlite(b)
				     ? "UPDATE t SET name = name || 'y' WHERE id = 0"
				     : "UPDATE t SET name = CONCAT(name, 'y') WHERE id = 0"),
		DB_DONE);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(0)), &h), DB_TOO_LONG);
}

static void too_many_rows_are_refused(void **state)
{
	struct bench *b = *state;
	struct heard h;
	struct call c;

	for (int i = 0; i <= DB_ROWS_MAX; i += 16) {
		c.s.len = 0;
		for (int n = i; n < i + 16 && n <= DB_ROWS_MAX; n++)
			pack_more(b, &c, b->put, 3, I(n), T(""), I(n));
		assert_int_equal(change(b, c.s, &h), DB_DONE);
	}
	assert_int_equal(bench_count(b), DB_ROWS_MAX + 1);
	assert_int_equal(ask(b, pack(b, &c, b->all, 0), &h), DB_TOO_LONG);
	assert_int_equal(bench_sql(b, "DELETE FROM t WHERE id = 100"), DB_DONE);
	assert_int_equal(ask(b, pack(b, &c, b->all, 0), &h), DB_DONE);
	assert_int_equal(h.rows, DB_ROWS_MAX);
}

/* ---- db_now() ---- */

struct seen {
	unsigned rows, most;
	int64_t sum;
};

static bool see(void *arg, const struct db_value *value, unsigned columns)
{
	struct seen *s = arg;

	assert_int_equal(columns, 3);
	s->sum += value[0].i;
	return ++s->rows < s->most;
}

static void now_has_no_bound(void **state)
{
	struct bench *b = *state;
	struct seen s = {.most = UINT32_MAX};
	char error[DB_ERROR_MAX] = "";
	uint64_t changed;
	struct call c = {0};

	for (int i = 0; i < 2000; i += 100) {
		c.s.len = 0;
		for (int n = i; n < i + 100; n++)
			pack_more(b, &c, b->put, 3, I(n), T("name"), I(n));
		assert_int_equal(
			db_now(b->db, c.s, NULL, NULL, &changed, error, sizeof(error)), DB_DONE);
		assert_int_equal(changed, 100);
	}
	pack(b, &c, b->all, 0);
	assert_int_equal(db_now(b->db, c.s, see, &s, NULL, error, sizeof(error)), DB_DONE);
	assert_int_equal(s.rows, 2000);
	assert_int_equal(s.sum, 1999 * 2000 / 2);
	s = (struct seen){.most = 3};
	assert_int_equal(db_now(b->db, c.s, see, &s, NULL, error, sizeof(error)), DB_DONE);
	assert_int_equal(s.rows, 3);
}

static void now_says_what_is_wrong(void **state)
{
	struct bench *b = *state;
	unsigned s = bench_statement(b, "SELECT nothing FROM t", NULL, "s", 0);
	char error[DB_ERROR_MAX] = "";
	struct call c = {0};

	pack(b, &c, s, 0);
	assert_int_equal(db_now(b->db, c.s, NULL, NULL, NULL, error, sizeof(error)), DB_REFUSED);
	assert_non_null(strstr(error, "nothing"));
	/* Several are all or none. */
	pack(b, &c, b->put, 3, I(1), T("a"), I(1));
	pack_more(b, &c, b->put, 3, I(1), T("b"), I(1));
	assert_int_equal(db_now(b->db, c.s, NULL, NULL, NULL, error, sizeof(error)), DB_REFUSED);
	assert_int_equal(bench_count(b), 0);
	c.s.len--;
	assert_int_equal(db_now(b->db, c.s, NULL, NULL, NULL, error, sizeof(error)), DB_REFUSED);
}

/* ---- what is given away ---- */

static void no_call_is_refused(void **state)
{
	struct bench *b = *state;
	struct call c;
	struct heard h = {0};

	pack(b, &c, b->find, 1, I(1));
	assert_int_equal(db_change(b->db, c.s, hear, &h), -EINVAL);
	pack_more(b, &c, b->find, 1, I(1));
	assert_int_equal(db_ask(b->db, c.s, hear, &h), -EINVAL);
	pack(b, &c, b->put, 3, I(1), T("a"), I(1));
	assert_int_equal(db_ask(b->db, c.s, hear, &h), -EINVAL);
	assert_int_equal(db_ask(b->db, STR_NONE, hear, &h), -EINVAL);
	assert_int_equal(db_change(b->db, STR_NONE, hear, &h), -EINVAL);
	/* A statement of another number. */
	c.bytes[4] = (char)200;
	assert_int_equal(db_change(b->db, c.s, hear, &h), -EINVAL);
	assert_int_equal(h.times, 0);
}

static void changes_of_two_databases_are_none(void **state)
{
	struct bench *b = *state;
	struct db_statement put = {.text = "INSERT INTO t (id) VALUES (?)", .params = 1};
	char error[DB_ERROR_MAX], url[DB_URL_MAX];
	struct heard h = {0};
	struct call c;
	int other, s;

	snprintf(url, sizeof(url), "sqlite://%s/other.sqlite", b->folder);
	other = db_use(b->db, url, error, sizeof(error));
	assert_int_equal(other, 1);
	assert_int_equal(db_use(b->db, url, error, sizeof(error)), 1);
	s = db_statement(b->db, other, &put, error, sizeof(error));
	assert_true(s > 0);
	assert_int_equal(db_statement(b->db, other, &put, error, sizeof(error)), s);
	pack(b, &c, b->put, 3, I(1), T("a"), I(1));
	pack_more(b, &c, (unsigned)s, 1, I(1));
	assert_int_equal(db_change(b->db, c.s, hear, &h), -EINVAL);
}

static void statements_are_checked(void **state)
{
	struct bench *b = *state;
	static char long_text[DB_SQL_MAX + 8];
	char error[DB_ERROR_MAX];
	struct db_statement s = {
		.text = "SELECT '?' FROM t WHERE a = ? -- ?", .columns = "s", .params = 1};

	assert_true(db_statement(b->db, b->database, &s, error, sizeof(error)) > 0);
	s.params = 2;
	assert_int_equal(db_statement(b->db, b->database, &s, error, sizeof(error)), -EINVAL);
	s.params = 1;
	s.columns = "x";
	assert_int_equal(db_statement(b->db, b->database, &s, error, sizeof(error)), -EINVAL);
	s.columns = "s";
	s.otherwise = "SELECT a FROM t";
	assert_int_equal(db_statement(b->db, b->database, &s, error, sizeof(error)), -EINVAL);
	s.otherwise = NULL;
	memset(long_text, 'x', sizeof(long_text) - 1);
	s.text = long_text;
	s.params = 0;
	assert_int_equal(db_statement(b->db, b->database, &s, error, sizeof(error)), -EINVAL);
	s.text = "";
	assert_int_equal(db_statement(b->db, b->database, &s, error, sizeof(error)), -EINVAL);
	s.text = "SELECT 1";
	assert_int_equal(db_statement(b->db, 7, &s, error, sizeof(error)), -EINVAL);
}

static void statements_have_a_bound(void **state)
{
	struct bench *b = *state;
	struct db_statement s = {.columns = "i"};
	char text[64], error[DB_ERROR_MAX];
	int n = 0;

	for (int i = 0; n >= 0; i++) {
		snprintf(text, sizeof(text), "SELECT %d", i);
		s.text = text;
		n = db_statement(b->db, b->database, &s, error, sizeof(error));
		assert_true(i <= DB_STATEMENTS_MAX);
	}
	assert_int_equal(n, -ENOSPC);
	/* What to do about it. */
	assert_non_null(strstr(error, "restart"));
	s.text = "SELECT 1";
	assert_true(db_statement(b->db, b->database, &s, error, sizeof(error)) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
		CASE(asks_and_changes),
		CASE(what_is_done_is_seen),
		CASE(a_look_at_several_ends),
		CASE(values_come_as_they_went),
		CASE(columns_are_turned),
		CASE(refused_is_said),
		CASE(the_other_way_is_taken),
		CASE(a_column_that_goes),
		CASE(too_long_is_never_cut),
		CASE(too_many_rows_are_refused),
		CASE(now_has_no_bound),
		CASE(now_says_what_is_wrong),
		CASE(no_call_is_refused),
		CASE(changes_of_two_databases_are_none),
		CASE(statements_are_checked),
		CASE(statements_have_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
