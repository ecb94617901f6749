/* SPDX-License-Identifier: BSD-3-Clause */
/* Names, texts and times that rooms write into statements. */
#include "common.h"

#include <time.h>

#include "db/sql.h"

static void a_name_is_letters_digits_and_one_dot(void **state)
{
	static const char *const good[] = {"location", "a", "_x9", "kamailio.subscriber"},
				 *const bad[] = {"", "9a", ".a", "a.", "a.b.c", "a b", "a;b", "a'",
					 "a-b", "\xc3\xa4"};
	char longest[DB_NAME_MAX + 2];

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(db_is_name(str_c(good[i])));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(db_is_name(str_c(bad[i])));
	memset(longest, 'a', sizeof(longest));
	assert_true(db_is_name(str_of(longest, DB_NAME_MAX)));
	assert_false(db_is_name(str_of(longest, DB_NAME_MAX + 1)));
}

/* What does not fit is not there, nor anything behind it. */
static void what_is_too_long_is_said(void **state)
{
	static struct db_sql q;
	static char most[DB_SQL_MAX];

	memset(most, 'x', sizeof(most));
	db_sql_add(&q, "SELECT ");
	db_sql_add_str(&q, str_of(most, DB_SQL_MAX - 7 - 1));
	assert_false(q.full);
	assert_int_equal(strlen(q.text), DB_SQL_MAX - 1);
	db_sql_add(&q, "");
	assert_false(q.full);
	db_sql_add(&q, "y");
	assert_true(q.full);
	db_sql_add(&q, "");
	assert_int_equal(strlen(q.text), DB_SQL_MAX - 1);
	assert_null(strchr(q.text, 'y'));
}

/* As the C library has it, over leap years, centuries and ends of months. */
static void a_time_is_the_calendars(void **state)
{
	char want[DB_TIME_TEXT], got[DB_TIME_TEXT];

	for (int64_t t = 0; t < 253402300800; t += 86400 * 13 + 3607) {
		time_t at = (time_t)t;
		struct tm tm;

		assert_non_null(gmtime_r(&at, &tm));
		assert_int_equal(
			strftime(want, sizeof(want), "%Y-%m-%d %H:%M:%S", &tm), sizeof(want) - 1);
		db_time_write(t, got);
		assert_string_equal(got, want);
	}
	db_time_write(951782399, got);
	assert_string_equal(got, "2000-02-28 23:59:59");
	db_time_write(951782400, got);
	assert_string_equal(got, "2000-02-29 00:00:00");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_letters_digits_and_one_dot),
		cmocka_unit_test(what_is_too_long_is_said),
		cmocka_unit_test(a_time_is_the_calendars),
	};

	return cmocka_run_group_tests_name("db_sql", tests, NULL, NULL);
}
