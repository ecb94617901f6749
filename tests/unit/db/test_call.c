/* SPDX-License-Identifier: BSD-3-Clause */
/* SQL and packed calls: what goes in comes out, and nothing is believed. */
#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void marks_are_found(void **state)
{
	static const struct {
		const char *sql;
		unsigned marks;
	} row[] = {
		{"", 0},
		{"SELECT a", 0},
		{"?", 1},
		{"a = ? AND b = ?", 2},
		{"'?' ? \"?\" ? `?`", 2},
		{"'it''s ?' ?", 1},
		{"-- ?\n ?", 1},
		{"? -- ?", 1},
		{"/* ? */ ? /* ?", 1},
		{"'?", 0},
		{"a - ? / ?", 2},
		{"''?''", 1},
	};

	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		unsigned n = 0;

		for (const char *p = row[i].sql; (p = sql_mark(p)) != NULL; p++)
			n++;
		if (n != row[i].marks)
			fail_msg("%s: %u marks", row[i].sql, n);
	}
}

static void texts_are_turned(void **state)
{
	static const struct {
		const char *text;
		bool is_int, is_real;
		int64_t i;
		double r;
	} row[] = {
		{"0", true, true, 0, 0},
		{"-17", true, true, -17, -17},
		{"+5", true, true, 5, 5},
		{"9223372036854775807", true, true, INT64_MAX, 9223372036854775807.0},
		{"9223372036854775808", false, true, 0, 9223372036854775808.0},
		{"1.5", false, true, 0, 1.5},
		{"1e3", false, true, 0, 1000},
		{"", false, false, 0, 0},
		{" 1", false, false, 0, 0},
		{"1 ", false, false, 0, 0},
		{"e", false, false, 0, 0},
		{"1-", false, false, 0, 0},
		{"0x10", false, false, 0, 0},
		{"nan", false, false, 0, 0},
		{"inf", false, false, 0, 0},
		{"-inf", false, false, 0, 0},
		{"1e999", false, false, 0, 0},
		{"-", false, false, 0, 0},
		{"1234567890123456789012345678901234567890", false, false, 0, 0},
	};

	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct db_value n = db_value_as('i', str_c(row[i].text)),
				r = db_value_as('r', str_c(row[i].text));

		if ((n.type == DB_INT) != row[i].is_int || (r.type == DB_REAL) != row[i].is_real)
			fail_msg("'%s'", row[i].text);
		if (row[i].is_int)
			assert_int_equal(n.i, row[i].i);
		if (row[i].is_real)
			assert_true(r.r == row[i].r);
	}
	/* A NUL within is no end. */
	assert_int_equal(db_value_as('i', STR("1\0002")).type, DB_NULL);
	assert_int_equal(db_value_as('s', STR("1\0002")).s.len, 3);
}

static void values_are_turned(void **state)
{
	struct db_value real = {.type = DB_REAL, .r = 2.5}, whole = {.type = DB_REAL, .r = 3},
			huge = {.type = DB_REAL, .r = 1e300}, none = {.type = DB_NULL},
			n = db_int(INT64_MIN), v;
	char text[32];

	assert_int_equal(db_value_turn('i', &real, text).type, DB_NULL);
	assert_int_equal(db_value_turn('i', &huge, text).type, DB_NULL);
	assert_int_equal(db_value_turn('i', &whole, text).i, 3);
	assert_int_equal(db_value_turn('s', &none, text).type, DB_NULL);
	v = db_value_turn('s', &n, text);
	assert_true(str_eq(v.s, STR("-9223372036854775808")));
	v = db_value_turn('s', &real, text);
	assert_true(str_eq(v.s, STR("2.5")));
	v = db_value_turn('r', &n, text);
	assert_true(v.r == -9223372036854775808.0);
	assert_int_equal(db_value_turn('i', &n, text).i, INT64_MIN);
}

static void what_is_packed_comes_out(void **state)
{
	struct bench *b = *state;
	struct db_value real = {.type = DB_REAL, .r = 0.1}, none = {.type = DB_NULL};
	struct call c;
	struct db_call out;
	struct str s;

	pack(b, &c, b->put, 3, db_text(STR("a\0b")), real, none);
	pack_more(b, &c, b->set, 2, I(-1), T(""));
	s = c.s;
	assert_int_equal(db_unpack(&s, &out), 0);
	assert_int_equal(out.statement, b->put);
	assert_int_equal(out.params, 3);
	assert_true(str_eq(out.param[0].s, STR("a\0b")));
	assert_true(out.param[1].type == DB_REAL && out.param[1].r == 0.1);
	assert_int_equal(out.param[2].type, DB_NULL);
	assert_int_equal(db_unpack(&s, &out), 0);
	assert_int_equal(out.statement, b->set);
	assert_int_equal(out.param[0].i, -1);
	assert_true(out.param[1].type == DB_TEXT && out.param[1].s.len == 0);
	assert_int_equal(db_unpack(&s, &out), -ENOENT);
}

/* The cache's key: what lies beside the values does not matter. */
static void equal_calls_are_equal_bytes(void **state)
{
	struct bench *b = *state;
	struct db_value one, other;
	struct call c, d;

	memset(&one, 0xaa, sizeof(one));
	memset(&other, 0x55, sizeof(other));
	memset(c.bytes, 0xaa, sizeof(c.bytes));
	memset(d.bytes, 0x55, sizeof(d.bytes));
	one.type = other.type = DB_TEXT;
	one.s = other.s = STR("alice");
	pack(b, &c, b->find, 1, one);
	pack(b, &d, b->find, 1, other);
	assert_true(str_eq(c.s, d.s));
}

static void bounds_hold(void **state)
{
	struct bench *b = *state;
	static char text[DB_VALUE_MAX + 1];
	struct db_value v = db_text(str_of(text, DB_VALUE_MAX));
	char out[DB_CALL_MAX + 64];
	const int whole = 8 + 3 + DB_VALUE_MAX;

	assert_int_equal(db_pack(b->db, out, sizeof(out), 0, b->find, &v, 1), whole);
	assert_int_equal(db_pack(b->db, out, (uint32_t)whole, 0, b->find, &v, 1), whole);
	assert_int_equal(db_pack(b->db, out, (uint32_t)whole - 1, 0, b->find, &v, 1), -E2BIG);
	assert_int_equal(db_pack(b->db, out, 0, 0, b->find, &v, 1), -E2BIG);
	/* Behind what is there, and never beyond DB_CALL_MAX, whatever room there is. */
	assert_int_equal(
		db_pack(b->db, out, sizeof(out), DB_CALL_MAX - whole, b->find, &v, 1), DB_CALL_MAX);
	assert_int_equal(
		db_pack(b->db, out, sizeof(out), DB_CALL_MAX - whole + 1, b->find, &v, 1), -E2BIG);
	assert_int_equal(db_pack(b->db, out, 16, 17, b->find, &v, 1), -E2BIG);
	v.s.len++;
	assert_int_equal(db_pack(b->db, out, sizeof(out), 0, b->find, &v, 1), -E2BIG);
	v.s.len = UINT32_MAX;
	assert_int_equal(db_pack(b->db, out, sizeof(out), 0, b->find, &v, 1), -E2BIG);
	v = db_int(1);
	assert_int_equal(db_pack(b->db, out, sizeof(out), 0, b->find, &v, 0), -EINVAL);
	assert_int_equal(db_pack(b->db, out, sizeof(out), 0, b->put, &v, 1), -EINVAL);
	assert_int_equal(db_pack(b->db, out, sizeof(out), 0, 99, &v, 1), -EINVAL);
	v.type = (enum db_type)9;
	assert_int_equal(db_pack(b->db, out, sizeof(out), 0, b->find, &v, 1), -EINVAL);
}

/* Cut anywhere, or with any byte another one: no byte is read beyond the end (each stands in a
 * block of its own, which the sanitizers watch), and what is taken is whole. */
static void hostile_bytes_are_not_believed(void **state)
{
	struct bench *b = *state;
	struct call c;
	struct db_call out;
	unsigned count;

	pack(b, &c, b->put, 3, I(1), T("some text"), I(5));
	pack_more(b, &c, b->set, 2, I(1), T("abc"));
	for (uint32_t len = 0; len < c.s.len; len++) {
		char *copy = malloc(len + 1);
		struct str s = str_of(copy, len);
		unsigned calls = 0;

		memcpy(copy, c.bytes, len);
		copy = realloc(copy, len != 0 ? len : 1);
		s.s = copy;
		while (db_unpack(&s, &out) == 0)
			calls++;
		assert_true(calls < 2);
		if (db_calls_check(b->db, str_of(copy, len), true, &count) >= 0)
			assert_int_equal(count, 1);
		free(copy);
	}
	for (uint32_t at = 0; at < c.s.len; at++) {
		for (unsigned value = 0; value < 256; value++) {
			char *copy = malloc(c.s.len);
			struct str s = str_of(copy, c.s.len);

			memcpy(copy, c.bytes, c.s.len);
			copy[at] = (char)value;
			(void)db_calls_check(b->db, s, true, &count);
			while (db_unpack(&s, &out) == 0) {
				for (unsigned i = 0; i < out.params; i++) {
					struct str t = out.param[i].s;

					assert_true(out.param[i].type != DB_TEXT ||
						    (t.s >= copy && t.s + t.len <= copy + c.s.len));
				}
			}
			free(copy);
		}
	}
}

/* ---- URLs ---- */

static void urls_are_read(void **state)
{
	static const struct db_driver server = {.name = "serverish", .scheme = {"server", "srv"}};
	struct db *db;
	char error[DB_ERROR_MAX];
	struct db_url u;

	db = db_create(&(struct db_config){0}, error, sizeof(error));
	assert_non_null(db);
	assert_int_equal(db_driver_add(db, &server), 0);
	assert_int_equal(
		db_url_parse(db, "sqlite:///a/b.sqlite", "/base", &u, error, sizeof(error)), 0);
	assert_string_equal(u.path, "/a/b.sqlite");
	assert_string_equal(u.text, "sqlite:///a/b.sqlite");
	assert_false(u.fast);
	assert_int_equal(db_url_parse(db, "SQLite://b%20c", "/base", &u, error, sizeof(error)), 0);
	assert_string_equal(u.path, "/base/b c");
	assert_string_equal(u.text, "sqlite:///base/b%20c");
	assert_int_equal(
		db_url_parse(db, "sqlite:////a?synchronous=normal", NULL, &u, error, sizeof(error)),
		0);
	assert_string_equal(u.path, "//a");
	assert_true(u.fast);
	assert_int_equal(db_url_parse(db, "server://me:s%40cr%3at@db.example:3307/sip", NULL, &u,
				 error, sizeof(error)),
		0);
	assert_string_equal(u.user, "me");
	assert_string_equal(u.password, "s@cr:t");
	assert_string_equal(u.host, "db.example");
	assert_int_equal(u.port, 3307);
	assert_string_equal(u.database, "sip");
	assert_string_equal(u.text, "server://me:***@db.example:3307/sip");
	assert_int_equal(db_url_parse(db, "srv://me:a@b/c@h/d", NULL, &u, error, sizeof(error)), 0);
	assert_string_equal(u.password, "a@b/c");
	assert_int_equal(db_url_parse(db, "srv://h/d", NULL, &u, error, sizeof(error)), 0);
	assert_string_equal(u.text, "server://h/d");
	assert_int_equal(db_url_parse(db, "srv://u@[::1]:9/d", NULL, &u, error, sizeof(error)), 0);
	assert_string_equal(u.host, "::1");
	assert_false(u.socket);
	assert_string_equal(u.text, "server://u@[::1]:9/d");
	assert_int_equal(
		db_url_parse(db, "srv://u:p@[/run/a/b.sock]/d", NULL, &u, error, sizeof(error)), 0);
	assert_true(u.socket);
	assert_string_equal(u.host, "/run/a/b.sock");
	assert_string_equal(u.text, "server://u:***@[/run/a/b.sock]/d");
	db_destroy(db);
}

static void bad_urls_are_refused_and_not_quoted(void **state)
{
	static const struct db_driver server = {.name = "serverish", .scheme = {"server", "srv"}};
	static const char *const bad[] = {
		"",
		"sqlite",
		"sqlite:",
		"sqlite:/",
		"sqlite://",
		"sqlite:///",
		"sqlite:///a/",
		"sqlite:///a?",
		"sqlite:///a?synchronous=off",
		"sqlite:///a%0",
		"sqlite:///a%zz",
		"sqlite:///a%00b",
		"sqlite:///a\nb",
		"text:///a",
		"://a",
		"srv://",
		"srv://h",
		"srv:///d",
		"srv://h/",
		"srv://:1/d",
		"srv://h:0/d",
		"srv://h:65536/d",
		"srv://h:x/d",
		"srv://h:/d",
		"srv://[::1/d",
		"srv://[]/d",
		"srv://[::1]x/d",
		"srv://[/s]:1/d",
		"srv://u:geheim@",
		"srv://u:geheim@h",
		"srv://u:geheim@h:99999/d",
		"srv://u:gehe%im@h/d",
		"srv://u:geheim@h/d/e",
		"srv://u:geheim@h/d?x=y",
		"nosuch://u:geheim@h/d",
	};
	char text[2 * DB_URL_MAX], error[DB_ERROR_MAX];
	struct db_url u;
	struct db *db = db_create(&(struct db_config){0}, error, sizeof(error));

	assert_non_null(db);
	assert_int_equal(db_driver_add(db, &server), 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error[0] = '\0';
		if (db_url_parse(db, bad[i], NULL, &u, error, sizeof(error)) != -EINVAL)
			fail_msg("%s: taken", bad[i]);
		assert_true(error[0] != '\0');
		assert_null(strstr(error, "geheim"));
	}
	/* Each part at its bound and beyond. */
	for (unsigned n = 1; n < sizeof(text) - 64; n++) {
		static const char *const form[] = {"sqlite:///%.*s", "srv://%.*s:geheim@h/d",
			"srv://u:%.*s@h/d", "srv://%.*s/d", "srv://h/%.*s",
			"srv://u:geheim@[/%.*s]/d"};

		for (unsigned f = 0; f < sizeof(form) / sizeof(form[0]); f++) {
			static char fill[2 * DB_URL_MAX];

			memset(fill, 'a', sizeof(fill));
			snprintf(text, sizeof(text), form[f], (int)n, fill);
			error[0] = '\0';
			if (db_url_parse(db, text, NULL, &u, error, sizeof(error)) == 0)
				assert_true(strlen(u.text) < sizeof(u.text));
			else
				assert_true(error[0] != '\0');
			assert_null(strstr(error, "geheim"));
		}
	}
	db_destroy(db);
}

static void a_driver_is_not_doubled(void **state)
{
	static const struct db_driver server = {.name = "serverish", .scheme = {"server"}};
	char error[DB_ERROR_MAX];
	struct db *db = db_create(&(struct db_config){0}, error, sizeof(error));
	int n = 0;

	assert_non_null(db);
	for (int i = 0; n == 0 && i < 100; i++)
		n = db_driver_add(db, &server);
	assert_int_equal(n, -ENOSPC);
	for (int i = 0; i < DB_DATABASES_MAX; i++) {
		char url[64];

		snprintf(url, sizeof(url), "server://h/d%d", i);
		assert_int_equal(db_use(db, url, error, sizeof(error)), i);
		assert_int_equal(db_use(db, url, error, sizeof(error)), i);
	}
	assert_int_equal(db_use(db, "server://h/more", error, sizeof(error)), -ENOSPC);
	assert_non_null(strstr(error, "restart"));
	/* Another password is another database. */
	assert_int_equal(db_use(db, "server://u:x@h/d0", error, sizeof(error)), -ENOSPC);
	assert_string_equal(db_url_text(db, 3), "server://h/d3");
	assert_string_equal(db_url_text(db, 99), "");
	db_destroy(db);
}

static void who_names_none_has_the_default_one(void **state)
{
	static char longest[DB_URL_MAX + 1];
	char error[DB_ERROR_MAX];
	struct db *db = db_create(&(struct db_config){0}, error, sizeof(error));

	assert_non_null(db);
	assert_int_equal(db_use(db, NULL, error, sizeof(error)), -EINVAL);
	memset(longest, 'x', DB_URL_MAX);
	assert_int_equal(db_set_default(db, longest), -EINVAL);
	assert_int_equal(db_use(db, NULL, error, sizeof(error)), -EINVAL);
	assert_int_equal(db_set_default(db, "sqlite:///a"), 0);
	assert_int_equal(db_use(db, NULL, error, sizeof(error)), 0);
	assert_int_equal(db_use(db, "sqlite:///a", error, sizeof(error)), 0);
	/* As a reload does; who has the other one keeps it. */
	assert_int_equal(db_set_default(db, "sqlite:///b"), 0);
	assert_int_equal(db_use(db, NULL, error, sizeof(error)), 1);
	assert_string_equal(db_url_text(db, 0), "sqlite:///a");
	assert_int_equal(db_set_default(db, "nothing of ours"), 0);
	assert_int_equal(db_use(db, NULL, error, sizeof(error)), -EINVAL);
	db_destroy(db);
}

static int setup(void **state)
{
	struct bench *b = bench_new();

	*state = b;
	bench_open(b);
	return 0;
}

/* Rows as bytes: what goes in comes out; of what is cut, what is whole. */
static void packed_rows_come_out(void **state)
{
	const struct db_value value[] = {db_text(STR("a\0b")), db_int(-5), {.type = DB_NULL},
		{.type = DB_REAL, .r = 0.5}, db_text(STR("")), db_int(INT64_MAX)};
	const struct db_rows rows = {.count = 2, .columns = 3, .value = value};
	struct db_value v[3];
	char out[128], text[DB_VALUE_MAX + 1] = "";
	int len = db_rows_pack(&rows, out, sizeof(out));
	struct str s = str_of(out, (size_t)len);

	assert_int_equal(len, (1 + 2 + 3) + 9 + 1 + 9 + 3 + 9);
	assert_true(db_rows_next(&s, v, 3));
	assert_true(v[0].type == DB_TEXT && str_eq(v[0].s, STR("a\0b")));
	assert_true(v[1].type == DB_INT && v[1].i == -5);
	assert_int_equal(v[2].type, DB_NULL);
	assert_true(db_rows_next(&s, v, 3));
	assert_true(v[0].type == DB_REAL && v[0].r == 0.5);
	assert_true(v[1].type == DB_TEXT && v[1].s.len == 0);
	assert_true(v[2].i == INT64_MAX);
	assert_false(db_rows_next(&s, v, 3));
	assert_int_equal(db_rows_pack(&rows, out, (uint32_t)len), len);
	for (int cut = 0; cut < len; cut++) {
		unsigned n = 0;

		assert_int_equal(db_rows_pack(&rows, text, (uint32_t)cut), -E2BIG);
		for (s = str_of(out, (size_t)cut); db_rows_next(&s, v, 3);)
			n++;
		assert_int_equal(n, cut >= 16 ? 1 : 0);
	}
	assert_int_equal(db_rows_pack(&(struct db_rows){.value = value}, out, 0), 0);
	/* A text that no call may have. */
	v[0] = db_text(str_of(text, sizeof(text)));
	assert_int_equal(db_rows_pack(&(struct db_rows){.count = 1, .columns = 1, .value = v}, text,
				 sizeof(text)),
		-E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, bench_teardown)
		cmocka_unit_test(marks_are_found),
		cmocka_unit_test(texts_are_turned),
		cmocka_unit_test(values_are_turned),
		CASE(what_is_packed_comes_out),
		cmocka_unit_test(packed_rows_come_out),
		CASE(equal_calls_are_equal_bytes),
		CASE(bounds_hold),
		CASE(hostile_bytes_are_not_believed),
		cmocka_unit_test(urls_are_read),
		cmocka_unit_test(bad_urls_are_refused_and_not_quoted),
		cmocka_unit_test(a_driver_is_not_doubled),
		cmocka_unit_test(who_names_none_has_the_default_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
