/* SPDX-License-Identifier: BSD-3-Clause */
/* The cache: what is remembered and for how long, who waits, what goes when room is short. */
#include "rows.h"

#include "base/arena.h"
#include "db/row.h"

static int begin(void **state)
{
	stand_begin(&(struct db_config){.rows = 1024, .stale_s = 300});
	return 0;
}

static int end(void **state)
{
	stand_end();
	return 0;
}

static void assert_found(const char *name, const char *text)
{
	assert_int_equal(stand_find(name), DB_FOUND);
	assert_int_equal(stand_set.rows.count, 1);
	assert_true(str_eq(db_value(&stand_set.rows, 0, 0)->s, str_c(text)));
}

/* ---- answers ---- */

static void test_what_is_asked_for_is_found(void **state)
{
	int done = 0;

	assert_int_equal(stand_find("alice"), DB_MISSING);
	assert_int_equal(db_fetch(&stand->db, stand_call("alice"), stand_done, &done), 0);
	assert_int_equal(stand->asked, 1);
	assert_int_equal(stand_find("alice"), DB_MISSING);
	stand_answer(DB_DONE, "secret", 2);
	assert_int_equal(done, 1);
	assert_int_equal(stand_find("alice"), DB_FOUND);
	assert_int_equal(stand_set.rows.count, 2);
	assert_int_equal(stand_set.rows.columns, 3);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(str_eq(db_value(&stand_set.rows, i, 0)->s, STR("secret")));
		assert_int_equal(db_value(&stand_set.rows, i, 1)->i, (int64_t)i - 1);
		assert_true(db_value(&stand_set.rows, i, 2)->r == i + 0.5);
	}
	assert_int_equal(stand_find("alic"), DB_MISSING);
	assert_int_equal(stand_find("alice2"), DB_MISSING);
	assert_int_equal(rows_counter(stand->db.rows, DB_COUNTER_FOUND), 1);
	assert_int_equal(rows_counter(stand->db.rows, DB_COUNTER_CACHED), 1);
}

static void test_nothing_is_null_and_no_text(void **state)
{
	struct db_value value[] = {{.type = DB_NULL}, db_text(STR("")), db_int(INT64_MIN)};
	struct db_rows rows = {.count = 1, .columns = 3, .value = value};
	int done = 0;

	assert_int_equal(db_fetch(&stand->db, stand_call("nobody"), stand_done, &done), 0);
	stand_answer_rows(DB_DONE, &rows);
	assert_int_equal(stand_find("nobody"), DB_FOUND);
	assert_int_equal(stand_set.value[0].type, DB_NULL);
	assert_int_equal(stand_set.value[1].type, DB_TEXT);
	assert_int_equal(stand_set.value[1].s.len, 0);
	assert_int_equal(stand_set.value[2].i, INT64_MIN);
}

static void test_answers_have_their_time(void **state)
{
	stand_put("alice", "secret");
	stand_put("eve", NULL);
	stand_pass(STAND_NEGATIVE_TTL_S * CLOCK_NS_PER_S - 1);
	assert_int_equal(stand_find("eve"), DB_NO_ROW);
	assert_int_equal(stand_set.rows.count, 0);
	stand_pass(1);
	assert_int_equal(stand_find("eve"), DB_MISSING);
	stand_pass((STAND_TTL_S - STAND_NEGATIVE_TTL_S) * CLOCK_NS_PER_S - 1);
	assert_found("alice", "secret");
	stand_pass(1);
	assert_int_equal(stand_find("alice"), DB_MISSING);
	stand_put("alice", "other");
	assert_found("alice", "other");
	stand_put("eve", "is there");
	assert_found("eve", "is there");
	assert_int_equal(rows_counter(stand->db.rows, DB_COUNTER_CACHED), 2);
}

/* Who waited finds it, whatever the statement says. */
static void test_the_least_time(void **state)
{
	int done = 0;

	assert_int_equal(
		db_fetch(&stand->db, stand_call_of(STAND_SHORT, "a"), stand_done, &done), 0);
	stand_answer(DB_DONE, "x", 1);
	stand_pass(DB_TTL_MIN_S * CLOCK_NS_PER_S - 1);
	assert_int_equal(
		db_find(&stand->db, stand_call_of(STAND_SHORT, "a"), stand->now, &stand_set),
		DB_FOUND);
	/* What ends at once is asked for again: it would have gone until who waits has a look. */
	assert_int_equal(
		db_fetch(&stand->db, stand_call_of(STAND_SHORT, "a"), stand_done, &done), 0);
	assert_int_equal(stand->asked, 1);
	stand_answer(DB_DONE, "y", 1);
	assert_int_equal(done, 2);
}

static void test_an_answer_that_is_there_is_not_asked_for(void **state)
{
	int done = 0;

	stand_put("alice", "secret");
	assert_int_equal(db_fetch(&stand->db, stand_call("alice"), stand_done, &done), 0);
	assert_int_equal(done, 1);
	assert_int_equal(stand->asked, 0);
}

static void test_answers_too_long_to_keep(void **state)
{
	static char text[DB_VALUE_MAX];
	static struct db_value value[80];
	static const struct {
		unsigned count, columns;
		uint32_t text;
		enum db_found found;
	} rows[] = {{64, 1, 32, DB_FOUND}, {65, 1, 1, DB_FAILED}, {2, 32, 32, DB_FOUND},
		{1, 1, 2048, DB_FOUND}, {1, 1, 2049, DB_FAILED}, {3, 32, 0, DB_FAILED},
		{64, 1, 33, DB_FAILED}, {1, 1, DB_VALUE_MAX, DB_FAILED}};

	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct db_rows given = {
			.count = rows[i].count, .columns = rows[i].columns, .value = value};
		char name[16];
		int done = 0;

		for (unsigned j = 0; j < sizeof(value) / sizeof(value[0]); j++)
			value[j] = db_text(str_of(text, rows[i].text));
		if (given.count * given.columns > 80)
			given.value = calloc(given.count * given.columns, sizeof(*given.value));
		snprintf(name, sizeof(name), "user%zu", i);
		assert_int_equal(db_fetch(&stand->db, stand_call(name), stand_done, &done), 0);
		stand_answer_rows(DB_DONE, &given);
		assert_int_equal(done, 1);
		assert_int_equal(stand_find(name), rows[i].found);
		if (rows[i].found == DB_FOUND)
			assert_int_equal(stand_set.rows.count, rows[i].count);
		if (given.value != value)
			free((void *)given.value);
	}
}

/* The longest call and the longest answer stand together. */
static void test_the_longest_of_all(void **state)
{
	static char name[DB_VALUE_MAX + 1], text[2049];
	struct db_value value[64];
	struct db_rows rows = {.count = 64, .columns = 1, .value = value};
	int done = 0;

	memset(name, 'n', DB_VALUE_MAX);
	memset(text, 't', 2048);
	for (unsigned i = 0; i < 64; i++)
		value[i] = db_text(str_of(text, 32));
	for (unsigned i = 0; i < 500; i++) {
		name[i] = 'x';
		assert_int_equal(db_fetch(&stand->db, stand_call(name), stand_done, &done), 0);
		stand_answer_rows(DB_DONE, &rows);
		assert_int_equal(stand_find(name), DB_FOUND);
		assert_int_equal(stand_set.rows.count, 64);
		assert_int_equal(stand_set.value[63].s.len, 32);
	}
	assert_true(rows_counter(stand->db.rows, DB_COUNTER_EVICTED) > 0);
}

/* ---- failures ---- */

static void test_failures_are_remembered_for_a_moment(void **state)
{
	static const enum db_result results[] = {DB_DOWN, DB_REFUSED, DB_FULL, DB_TOO_LONG};

	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		int done = 0;

		assert_int_equal(db_fetch(&stand->db, stand_call("alice"), stand_done, &done), 0);
		stand_answer(results[i], NULL, 0);
		assert_int_equal(done, 1);
		assert_int_equal(stand_find("alice"), DB_FAILED);
		assert_int_equal(db_fetch(&stand->db, stand_call("alice"), stand_done, &done), 0);
		assert_int_equal(done, 2);
		assert_int_equal(stand->asked, 0);
		stand_pass(DB_FAILURE_MS * CLOCK_NS_PER_MS);
		assert_int_equal(stand_find("alice"), DB_MISSING);
	}
	assert_int_equal(rows_counter(stand->db.rows, DB_COUNTER_FOUND), 0);
}

static void cannot(const char *name, enum db_result result)
{
	int done = 0;

	assert_int_equal(db_fetch(&stand->db, stand_call(name), stand_done, &done), 0);
	stand_answer(result, NULL, 0);
	assert_int_equal(done, 1);
}

static void test_what_was_known_stands_in_for_a_while(void **state)
{
	stand_put("alice", "secret");
	stand_put("eve", NULL);
	stand_pass(STAND_TTL_S * CLOCK_NS_PER_S);
	cannot("alice", DB_DOWN);
	assert_found("alice", "secret");
	cannot("eve", DB_DOWN);
	assert_int_equal(stand_find("eve"), DB_NO_ROW);
	assert_int_equal(rows_counter(stand->db.rows, DB_COUNTER_STALE), 2);
	/* It is asked again, and again, and then it is too old. */
	for (unsigned s = 0; s < 299; s++) {
		stand_pass(DB_FAILURE_MS * CLOCK_NS_PER_MS);
		assert_int_equal(stand_find("alice"), DB_MISSING);
		cannot("alice", DB_DOWN);
		assert_found("alice", "secret");
	}
	stand_pass(DB_FAILURE_MS * CLOCK_NS_PER_MS);
	cannot("alice", DB_DOWN);
	assert_int_equal(stand_find("alice"), DB_FAILED);
}

/* Who says no has answered. */
static void test_nothing_stands_in_for_a_refusal(void **state)
{
	stand_put("alice", "secret");
	stand_pass(STAND_TTL_S * CLOCK_NS_PER_S);
	cannot("alice", DB_REFUSED);
	assert_int_equal(stand_find("alice"), DB_FAILED);
	stand_pass(DB_FAILURE_MS * CLOCK_NS_PER_MS);
	cannot("alice", DB_DOWN);
	assert_int_equal(stand_find("alice"), DB_FAILED);
}

static void test_what_was_known_stands_in_where_nothing_can_be_asked(void **state)
{
	int done = 0;

	stand_put("alice", "secret");
	stand_pass(STAND_TTL_S * CLOCK_NS_PER_S);
	stand->asked_max = 0;
	assert_int_equal(db_fetch(&stand->db, stand_call("alice"), stand_done, &done), 0);
	assert_int_equal(done, 1);
	assert_found("alice", "secret");
	assert_int_equal(db_fetch(&stand->db, stand_call("bob"), stand_done, &done), -EAGAIN);
	assert_int_equal(done, 1);
}

static void test_what_was_known_stands_in_where_too_many_wait(void **state)
{
	int done = 0, fetched = 0;

	stand_end();
	stand_begin(&(struct db_config){.waiters = 40, .stale_s = 300});
	stand_put("alice", "secret");
	stand_pass(STAND_TTL_S * CLOCK_NS_PER_S);
	for (unsigned i = 0; i < 11; i++)
		fetched += db_fetch(&stand->db, stand_call("alice"), stand_done, &done) == 0;
	assert_int_equal(fetched, 11);
	assert_int_equal(done, 1);
	assert_found("alice", "secret");
	stand_answer(DB_DONE, "other", 1);
	assert_int_equal(done, 11);
	assert_found("alice", "other");
}

/* ---- forgetting ---- */

static void test_one_is_forgotten(void **state)
{
	stand_put("alice", "secret");
	stand_put("bob", "secret");
	db_forget(&stand->db, stand_call("alice"));
	db_forget(&stand->db, stand_call("carol"));
	assert_int_equal(stand_find("alice"), DB_MISSING);
	assert_found("bob", "secret");
	/* Nor does it stand in. */
	cannot("alice", DB_DOWN);
	assert_int_equal(stand_find("alice"), DB_FAILED);
}

static void test_all_are_forgotten(void **state)
{
	stand_put("alice", "secret");
	stand_put("eve", NULL);
	db_forget(&stand->db, STR_NONE);
	assert_int_equal(stand_find("alice"), DB_MISSING);
	assert_int_equal(stand_find("eve"), DB_MISSING);
	cannot("alice", DB_DOWN);
	assert_int_equal(stand_find("alice"), DB_FAILED);
	for (unsigned i = 0; i < 100; i++)
		stand_pass(1);
	assert_int_equal(rows_counter(stand->db.rows, DB_COUNTER_CACHED), 1);
	stand_put("eve", "x");
	assert_found("eve", "x");
}

/* What was asked before is asked again, and who waits waits for that. */
static void test_what_is_forgotten_on_its_way_does_not_come_back(void **state)
{
	for (unsigned all = 0; all < 2; all++) {
		int done = 0;

		db_forget(&stand->db, STR_NONE);
		assert_int_equal(db_fetch(&stand->db, stand_call("alice"), stand_done, &done), 0);
		db_forget(&stand->db, all ? STR_NONE : stand_call("alice"));
		stand_answer(DB_DONE, "old", 1);
		assert_int_equal(done, 0);
		assert_int_equal(stand_find("alice"), DB_MISSING);
		assert_int_equal(stand->asked, 1);
		stand_answer(DB_DONE, "new", 1);
		assert_int_equal(done, 1);
		assert_found("alice", "new");
	}
}

/* It is not asked for ever: who waits hears that nothing is known. */
static void test_forgotten_again_and_again(void **state)
{
	int done = 0;
	unsigned asked = 0;

	assert_int_equal(db_fetch(&stand->db, stand_call("alice"), stand_done, &done), 0);
	for (; stand->asked > 0; asked++) {
		db_forget(&stand->db, stand_call("alice"));
		stand_answer(DB_DONE, "old", 1);
	}
	assert_in_range(asked, 2, 10);
	assert_int_equal(done, 1);
	assert_int_equal(stand_find("alice"), DB_FAILED);
	stand_pass(DB_FAILURE_MS * CLOCK_NS_PER_MS);
	assert_int_equal(db_fetch(&stand->db, stand_call("alice"), stand_done, &done), 0);
	db_forget(&stand->db, stand_call("alice"));
	stand->asked_max = 0;
	stand_answer(DB_DONE, "old", 1);
	assert_int_equal(done, 2);
	assert_int_equal(stand_find("alice"), DB_FAILED);
}

/* ---- who waits ---- */

static void test_who_asks_for_the_same_joins(void **state)
{
	int done = 0;

	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(db_fetch(&stand->db, stand_call("alice"), stand_done, &done), 0);
	assert_int_equal(db_fetch(&stand->db, stand_call("bob"), stand_done, &done), 0);
	assert_int_equal(stand->asked, 2);
	stand_answer(DB_DONE, "a", 1);
	assert_int_equal(done, 100);
	stand_answer(DB_DONE, "b", 1);
	assert_int_equal(done, 101);
	assert_found("alice", "a");
	assert_found("bob", "b");
}

static void test_waiters_are_bounded(void **state)
{
	int done = 0, taken = 0;
	char name[32];

	stand_end();
	stand_begin(&(struct db_config){.waiters = 100});
	for (unsigned i = 0; i < 200; i++)
		taken += db_fetch(&stand->db, stand_call("alice"), stand_done, &done) == 0;
	assert_int_equal(taken, 25);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "user%u", i);
		taken += db_fetch(&stand->db, stand_call(name), stand_done, &done) == 0;
	}
	assert_int_equal(taken, 100);
	assert_int_equal(stand->asked, 76);
	while (stand->asked > 0)
		stand_answer(DB_DONE, "x", 1);
	assert_int_equal(done, 100);
	/* There is room again. */
	assert_int_equal(db_fetch(&stand->db, stand_call("one more"), stand_done, &done), 0);
	stand->asked_max = 1;
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(
			db_fetch(&stand->db, stand_call("refused"), stand_done, &done), -EAGAIN);
	stand->asked_max = STAND_ASKED_MAX;
	assert_int_equal(db_fetch(&stand->db, stand_call("refused"), stand_done, &done), 0);
}

static void test_what_is_no_question(void **state)
{
	struct str call = stand_call("alice");
	int done = 0;

	assert_int_equal(db_fetch(&stand->db, STR_NONE, stand_done, &done), -EINVAL);
	assert_int_equal(
		db_fetch(&stand->db, STR("garbage that is no call"), stand_done, &done), -EINVAL);
	assert_int_equal(
		db_fetch(&stand->db, str_of(call.s, call.len - 1), stand_done, &done), -EINVAL);
	assert_int_equal(
		db_fetch(&stand->db, stand_call_of(STAND_CHANGE, "x"), stand_done, &done), -EINVAL);
	assert_int_equal(done, 0);
	assert_int_equal(stand->asked, 0);
	assert_int_equal(db_find(&stand->db, STR_NONE, stand->now, &stand_set), DB_FAILED);
}

static int again_done;

static void fetch_again(void *arg, enum db_result result, const struct db_rows *rows)
{
	assert_int_equal(stand_find("alice"), DB_FOUND);
	assert_int_equal(db_fetch(&stand->db, stand_call("alice"), stand_done, &again_done), 0);
	db_forget(&stand->db, stand_call("alice"));
	assert_int_equal(db_fetch(&stand->db, stand_call("alice"), stand_done, &again_done), 0);
}

static void test_who_is_called_may_ask(void **state)
{
	again_done = 0;
	assert_int_equal(db_fetch(&stand->db, stand_call("alice"), fetch_again, NULL), 0);
	stand_answer(DB_DONE, "a", 1);
	assert_int_equal(again_done, 1);
	assert_int_equal(stand->asked, 1);
	stand_answer(DB_DONE, "b", 1);
	assert_int_equal(again_done, 2);
	assert_found("alice", "b");
}

static void test_who_waits_at_the_end_is_not_called(void **state)
{
	int done = 0;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(
			db_fetch(&stand->db, stand_call(i < 2 ? "a" : "b"), stand_done, &done), 0);
	stand_end();
	assert_int_equal(done, 0);
	stand_begin(&(struct db_config){0});
}

/* ---- room ---- */

#define FLOOD 50000

static void flood(const char *what, const char *text)
{
	char name[64];

	for (unsigned i = 0; i < FLOOD; i++) {
		snprintf(name, sizeof(name), "%s%u", what, i);
		stand_put(name, text);
		assert_int_equal(stand_find(name), text != NULL ? DB_FOUND : DB_NO_ROW);
	}
}

static unsigned here(const char *what, unsigned count)
{
	char name[64];
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s%u", what, i);
		n += stand_find(name) == DB_FOUND;
	}
	return n;
}

static void put_users(unsigned count)
{
	char name[64];

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "user%u", i);
		stand_put(name, "secret");
	}
}

/* Names that the database has not have an eighth, however many they are. */
static void test_made_up_names_push_nothing_out(void **state)
{
	put_users(800);
	flood("stranger", NULL);
	assert_int_equal(here("user", 800), 800);
	assert_int_equal(rows_counter(stand->db.rows, DB_COUNTER_CACHED), 800 + 1024 / 8);
}

static void test_long_made_up_names_push_nothing_out(void **state)
{
	static char name[DB_VALUE_MAX + 1];

	put_users(800);
	memset(name, 'x', DB_VALUE_MAX);
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, 16, "%u", i);
		name[strlen(name)] = 'x';
		stand_put(name, NULL);
		assert_int_equal(stand_find(name), DB_NO_ROW);
	}
	assert_int_equal(here("user", 800), 800);
}

/* Who goes through all users once takes nothing from those who are here. */
static void test_users_in_use_stay(void **state)
{
	static const char *const passing[] = {"a", "b", "c", "d"};

	put_users(600);
	stand_pass(3 * CLOCK_NS_PER_S);
	assert_int_equal(here("user", 600), 600);
	/* They are asked for beside a flood. */
	for (unsigned round = 0; round < 4; round++) {
		flood(passing[round], "x");
		assert_int_equal(here("user", 600), 600);
		stand_pass(3 * CLOCK_NS_PER_S);
		assert_int_equal(here("user", 600), 600);
	}
	assert_in_range(rows_counter(stand->db.rows, DB_COUNTER_CACHED), 800, 1024);
}

/* Where more are wanted again and again than may be known, those go that are wanted no more. */
static void test_of_known_ones_the_idle_go(void **state)
{
	char name[64];

	/* 672 may be known: 640 are, of which every eighth is wanted no more. */
	put_users(640);
	stand_pass(3 * CLOCK_NS_PER_S);
	assert_int_equal(here("user", 640), 640);
	flood("a", "x");
	stand_pass(3 * CLOCK_NS_PER_S);
	for (unsigned i = 0; i < 640; i++) {
		snprintf(name, sizeof(name), "user%u", i);
		if (i % 8 != 0)
			assert_int_equal(stand_find(name), DB_FOUND);
	}
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "more%u", i);
		stand_put(name, "x");
	}
	stand_pass(3 * CLOCK_NS_PER_S);
	assert_int_equal(here("more", 100), 100);
	flood("b", "x");
	assert_int_equal(here("more", 100), 100);
	for (unsigned i = 0; i < 640; i++) {
		snprintf(name, sizeof(name), "user%u", i);
		if (i % 8 != 0)
			assert_int_equal(stand_find(name), DB_FOUND);
	}
	assert_in_range(here("user", 640), 560, 580);
}

/* What nobody wants any more goes, though it was known. */
static void test_what_was_in_use_goes(void **state)
{
	static const char *const passing[] = {"a", "b", "c"};
	unsigned wanted = 0;

	put_users(600);
	for (unsigned round = 0; round < 3; round++) {
		stand_pass(3 * CLOCK_NS_PER_S);
		assert_int_equal(here("user", 600), 600);
		flood(passing[round], "x");
	}
	for (unsigned round = 0; round < 6; round++) {
		char name[64];

		for (unsigned i = 0; i < 700; i++) {
			snprintf(name, sizeof(name), "later%u", i);
			stand_put(name, "x");
		}
		stand_pass(3 * CLOCK_NS_PER_S);
		wanted = here("later", 700);
	}
	assert_in_range(wanted, 600, 700);
}

/* A share is full when its last place is taken, and not before. */
static void a_share_is_used_up(const char *text, enum queue queue, uint32_t *share)
{
	struct rows *r = stand->db.rows;
	char name[16];

	stand_put("name0", text);
	*share = 5 * r->queue[queue].places;
	for (unsigned i = 1; i < 6; i++) {
		assert_int_equal(rows_counter(r, DB_COUNTER_EVICTED), 0);
		snprintf(name, sizeof(name), "name%u", i);
		stand_put(name, text);
	}
	assert_int_equal(rows_counter(r, DB_COUNTER_EVICTED), 1);
	assert_int_equal(r->queue[queue].places, *share);
	assert_int_equal(stand_find("name0"), DB_MISSING);
	assert_int_equal(stand_find("name1"), text != NULL ? DB_FOUND : DB_NO_ROW);
}

static void test_the_share_of_what_is_found_is_used_up(void **state)
{
	a_share_is_used_up("secret", QUEUE_NEW, &stand->db.rows->found_places);
}

static void test_the_share_of_what_there_is_not_is_used_up(void **state)
{
	a_share_is_used_up(NULL, QUEUE_NEGATIVE, &stand->db.rows->negative_places);
}

/* Who looks in the next second may be who waited for it; one second later it is somebody else. */
static void test_who_looks_again_is_somebody_else(void **state)
{
	struct rows *r = stand->db.rows;

	stand_put("alice", "a");
	stand_put("bob", "b");
	r->found_places = r->queue[QUEUE_NEW].places;
	stand_pass(CLOCK_NS_PER_S);
	assert_int_equal(stand_find("alice"), DB_FOUND);
	stand_pass(CLOCK_NS_PER_S);
	assert_int_equal(stand_find("bob"), DB_FOUND);
	stand_put("eve", "e");
	assert_int_equal(stand_find("alice"), DB_MISSING);
	assert_int_equal(stand_find("bob"), DB_FOUND);
	assert_int_equal(stand_find("eve"), DB_FOUND);
	assert_int_equal(r->queue[QUEUE_KNOWN].count, 0);
	stand_pass(CLOCK_NS_PER_S);
	stand_put("mallory", "m");
	assert_int_equal(stand_find("bob"), DB_FOUND);
	assert_int_equal(stand_find("eve"), DB_MISSING);
	assert_int_equal(r->queue[QUEUE_KNOWN].count, 1);
}

static void test_what_is_over_goes_by_itself(void **state)
{
	put_users(500);
	flood("stranger", NULL);
	for (unsigned s = 0; s < STAND_TTL_S + 300 + 61; s++)
		stand_pass(CLOCK_NS_PER_S);
	assert_int_equal(rows_counter(stand->db.rows, DB_COUNTER_CACHED), 0);
	stand_put("alice", "a");
	assert_found("alice", "a");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_asked_for_is_found),
		TEST(test_nothing_is_null_and_no_text),
		TEST(test_answers_have_their_time),
		TEST(test_the_least_time),
		TEST(test_an_answer_that_is_there_is_not_asked_for),
		TEST(test_answers_too_long_to_keep),
		TEST(test_the_longest_of_all),
		TEST(test_failures_are_remembered_for_a_moment),
		TEST(test_what_was_known_stands_in_for_a_while),
		TEST(test_nothing_stands_in_for_a_refusal),
		TEST(test_what_was_known_stands_in_where_nothing_can_be_asked),
		TEST(test_what_was_known_stands_in_where_too_many_wait),
		TEST(test_one_is_forgotten),
		TEST(test_all_are_forgotten),
		TEST(test_what_is_forgotten_on_its_way_does_not_come_back),
		TEST(test_forgotten_again_and_again),
		TEST(test_who_asks_for_the_same_joins),
		TEST(test_waiters_are_bounded),
		TEST(test_what_is_no_question),
		TEST(test_who_is_called_may_ask),
		TEST(test_who_waits_at_the_end_is_not_called),
		TEST(test_made_up_names_push_nothing_out),
		TEST(test_long_made_up_names_push_nothing_out),
		TEST(test_users_in_use_stay),
		TEST(test_of_known_ones_the_idle_go),
		TEST(test_what_was_in_use_goes),
		TEST(test_the_share_of_what_is_found_is_used_up),
		TEST(test_the_share_of_what_there_is_not_is_used_up),
		TEST(test_who_looks_again_is_somebody_else),
		TEST(test_what_is_over_goes_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
