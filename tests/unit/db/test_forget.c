/* SPDX-License-Identifier: BSD-3-Clause */
/* A change that says which answers it makes old. */
#include "common.h"

#include <errno.h>

static enum db_found find(struct bench *b, struct str call, struct db_set *out)
{
	return db_find(b->db, call, clock_now_ns(), out);
}

static void fetched(void *arg, enum db_result result, const struct db_rows *rows)
{
	++*(unsigned *)arg;
}

static void known(struct bench *b, struct str call)
{
	unsigned times = 0;

	assert_int_equal(db_fetch(b->db, call, fetched, &times), 0);
	poll_until(b, &times, 1);
}

/* Rows that live for longer than any test takes. */
static void setup_find(struct bench *b)
{
	struct db_statement find_row = {.text = "SELECT name, n FROM t WHERE id = ?",
		.columns = "si",
		.params = 1,
		.ttl_s = 3600,
		.negative_ttl_s = 3600};
	char error[256] = "";
	int number = db_statement(b->db, b->database, &find_row, error, sizeof(error));

	if (number < 0)
		fail_msg("%s", error);
	b->find = (unsigned)number;
}

/* When done() is called nobody finds the old answers any more; others stay. */
static void what_has_changed_is_asked_anew(void **state)
{
	struct bench *b = *state;
	struct call one, other, c;
	struct heard heard;
	struct db_set set;

	setup_find(b);
	assert_int_equal(bench_sql(b, "INSERT INTO t (id, name, n) VALUES (1, 'a', 1)"), DB_DONE);
	assert_int_equal(bench_sql(b, "INSERT INTO t (id, name, n) VALUES (2, 'b', 2)"), DB_DONE);
	pack(b, &one, b->find, 1, I(1));
	pack(b, &other, b->find, 1, I(2));
	known(b, one.s);
	known(b, other.s);
	assert_int_equal(find(b, one.s, &set), DB_FOUND);

	pack(b, &c, b->set, 2, I(11), I(1));
	pack_more(b, &c, b->find, 1, I(1));
	/* Of what nobody knows there is nothing to forget. */
	pack_more(b, &c, b->find, 1, I(3));
	assert_int_equal(change(b, c.s, &heard), DB_DONE);
	assert_int_equal(heard.changed, 1);
	assert_int_equal(find(b, one.s, &set), DB_MISSING);
	assert_int_equal(find(b, other.s, &set), DB_FOUND);
	known(b, one.s);
	assert_int_equal(find(b, one.s, &set), DB_FOUND);
	assert_int_equal(db_value(&set.rows, 0, 1)->i, 11);

	/* What the database refuses changes nothing. */
	pack(b, &c, b->put, 3, I(1), T("x"), I(1));
	pack_more(b, &c, b->find, 1, I(1));
	assert_int_equal(change(b, c.s, &heard), DB_REFUSED);
	assert_int_equal(find(b, one.s, &set), DB_FOUND);
}

static void questions_stand_behind_and_are_whole(void **state)
{
	struct bench *b = *state;
	struct heard heard = {0};
	struct call c;

	pack(b, &c, b->find, 1, I(1));
	assert_int_equal(db_change(b->db, c.s, hear, &heard), -EINVAL);
	pack_more(b, &c, b->set, 2, I(11), I(1));
	assert_int_equal(db_change(b->db, c.s, hear, &heard), -EINVAL);
	pack(b, &c, b->set, 2, I(11), I(1));
	pack_more(b, &c, b->find, 1, I(1));
	for (uint32_t len = c.s.len - 1; len > 0; len--) {
		/* Cut at the end of the change it is one. */
		if (db_change(b->db, str_of(c.s.s, len), hear, &heard) == 0)
			break;
	}
	poll_until(b, &heard.times, 1);
	assert_int_equal(heard.result, DB_DONE);
	pack_more(b, &c, b->set, 2, I(11), I(1));
	assert_int_equal(db_change(b->db, c.s, hear, &heard), -EINVAL);
	assert_int_equal(heard.times, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_has_changed_is_asked_anew, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(
			questions_stand_behind_and_are_whole, bench_setup, bench_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
