/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The drivers, each with a real database behind it: the same values, the same refusals, the same
 * transactions; and what is wrong with a server ends within its time, in a sentence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/internal.h"
#include "server.h"

#define ROWS_MAX 64
/* Of what waits for nobody, on a machine with others: less than any wait there is. */
#define SOON_MS 2500
#define BUSY_MS 26000 /* for what others do on the machine meanwhile */

static const char *engine;
static bool tls;
static struct server *server;
static struct db *db;
static int used;
static struct link *link_a, *link_b;
static char error[DB_ERROR_MAX];

struct taken {
	unsigned rows, columns, limit;
	struct db_value value[ROWS_MAX];
	char text[DB_VALUE_MAX + 1];
};
static struct taken taken;
static enum db_fault fault; /* of the last one */

static bool is(const char *name)
{
	return strcmp(engine, name) == 0;
}

static bool take(void *arg, const struct db_value *value, unsigned columns)
{
	struct taken *t = arg;

	t->columns = columns;
	for (unsigned i = 0; i < columns && t->rows * columns + i < ROWS_MAX; i++)
		t->value[t->rows * columns + i] = value[i];
	if (value[0].type == DB_TEXT)
		snprintf(t->text, sizeof(t->text), "%.*s", STR_FMT(value[0].s));
	t->rows++;
	return t->limit == 0 || t->rows < t->limit;
}

static enum db_result ask_until(struct link *link, const char *sql, const char *columns,
	const struct db_value *param, unsigned params, uint64_t deadline, uint64_t *changed)
{
	struct db_run run = {.param = param,
		.params = params,
		.columns = columns,
		.deadline = deadline,
		.visit = take,
		.arg = &taken};
	enum db_result result;

	taken.rows = taken.columns = 0;
	error[0] = '\0';
	result = link_sql(link, sql, &run, error, sizeof(error));
	fault = run.fault;
	if (changed != NULL)
		*changed = run.changed;
	/* A sentence for each that is not done, and no word of what nobody may read. */
	assert_true((result == DB_DONE) == (error[0] == '\0'));
	assert_null(strstr(error, server_password()));
	return result;
}

static enum db_result ask(struct link *link, const char *sql, const char *columns,
	const struct db_value *param, unsigned params)
{
	return ask_until(
		link, sql, columns, param, params, clock_now_ns() + 60 * CLOCK_NS_PER_S, NULL);
}

static void must(struct link *link, const char *sql)
{
	enum db_result result = ask(link, sql, NULL, NULL, 0);

	if (result != DB_DONE)
		fail_msg("%s: %s", sql, error);
}

static void step(struct link *link, enum db_step which)
{
	if (link_step(link, which, error, sizeof(error)) != DB_DONE)
		fail_msg("step %d: %s", which, error);
}

static int64_t count(struct link *link, const char *where)
{
	char sql[256];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM t%s", where);
	if (ask(link, sql, "i", NULL, 0) != DB_DONE)
		fail_msg("%s: %s", sql, error);
	return taken.value[0].i;
}

static struct link *connect_as(enum db_role role)
{
	struct link *link = link_open(db_database_of(db, used), role, error, sizeof(error));

	if (link == NULL)
		fail_msg("no connection: %s", error);
	return link;
}

static uint64_t ms_since(uint64_t begun)
{
	return (clock_now_ns() - begun) / CLOCK_NS_PER_MS;
}

/* ---- fixture ---- */

static int begin(void **state)
{
	struct db_config config = {0};

	if (server == NULL)
		return 0; /* each test skips */
	db = db_create(&config, error, sizeof(error));
	assert_non_null(db);
	used = db_use(db, server_url(server, ""), error, sizeof(error));
	assert_true(used >= 0);
	return 0;
}

static int end(void **state)
{
	db_destroy(db);
	return 0;
}

static int connect(void **state)
{
	const char *real = is("mysql") ? "DOUBLE" : "DOUBLE PRECISION";
	char sql[256];

	if (server == NULL)
		return 0;
	link_a = connect_as(DB_ROLE_NOW);
	link_b = connect_as(DB_ROLE_WRITE);
	must(link_a, "DROP TABLE IF EXISTS t");
	snprintf(sql, sizeof(sql),
		"CREATE TABLE t (k VARCHAR(64) PRIMARY KEY, n BIGINT, r %s, x VARCHAR(8000))%s",
		real, is("mysql") ? " ENGINE = InnoDB DEFAULT CHARSET = utf8mb4" : "");
	must(link_a, sql);
	return 0;
}

static int disconnect(void **state)
{
	if (server == NULL)
		return 0;
	link_close(link_a);
	link_close(link_b);
	return 0;
}

static void need_server(void)
{
	if (server == NULL) {
		print_message(
			"skipped: %s is not installed: tools/install-packages databases\n", engine);
		skip();
	}
}

#define PUT "INSERT INTO t (k, n, r, x) VALUES (?, ?, ?, ?)"

static enum db_result put(
	struct link *link, struct str k, struct db_value n, struct db_value r, struct db_value x)
{
	struct db_value param[] = {db_text(k), n, r, x};

	return ask(link, PUT, NULL, param, 4);
}

static const struct db_value null = {.type = DB_NULL};

static enum db_result put_key(struct link *link, const char *k)
{
	return put(link, str_c(k), null, null, null);
}

static enum db_result get(struct link *link, const char *columns, const char *k)
{
	struct db_value param = db_text(str_c(k));

	return ask(link, "SELECT x, n, r FROM t WHERE k = ?", columns, &param, 1);
}

/* ---- values ---- */

static void test_values_come_back_as_they_went(void **state)
{
	const struct str text =
		STR("it's \"q\" `b` \\ ? $1 %s -- /* ; \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	struct db_value r = {.type = DB_REAL, .r = 0.1};

	need_server();
	assert_int_equal(put(link_a, STR("a"), db_int(INT64_MIN), r, db_text(text)), DB_DONE);
	assert_int_equal(get(link_a, "sir", "a"), DB_DONE);
	assert_int_equal(taken.rows, 1);
	assert_int_equal(taken.columns, 3);
	assert_int_equal(taken.value[0].s.len, text.len);
	assert_memory_equal(taken.text, text.s, text.len);
	assert_true(taken.value[1].type == DB_INT && taken.value[1].i == INT64_MIN);
	assert_true(taken.value[2].type == DB_REAL && taken.value[2].r == 0.1);
	/* As the engine has them. */
	assert_int_equal(get(link_a, NULL, "a"), DB_DONE);
	assert_true(taken.value[0].type == DB_TEXT && taken.value[1].type == DB_INT &&
		    taken.value[2].type == DB_REAL);
}

static void test_null_and_nothing_are_two(void **state)
{
	need_server();
	assert_int_equal(put(link_a, STR("null"), null, null, null), DB_DONE);
	assert_int_equal(put(link_a, STR("empty"), db_int(0), null, db_text(STR_NONE)), DB_DONE);
	assert_int_equal(get(link_a, "sir", "null"), DB_DONE);
	for (int i = 0; i < 3; i++)
		assert_int_equal(taken.value[i].type, DB_NULL);
	assert_int_equal(get(link_a, "sir", "empty"), DB_DONE);
	assert_true(taken.value[0].type == DB_TEXT && taken.value[0].s.len == 0);
	assert_true(taken.value[1].type == DB_INT && taken.value[1].i == 0);
	assert_int_equal(get(link_a, "sir", "nobody"), DB_DONE);
	assert_int_equal(taken.rows, 0);
}

static void test_values_are_turned_as_they_are_wanted(void **state)
{
	struct db_value r = {.type = DB_REAL, .r = 2.5};

	need_server();
	assert_int_equal(put(link_a, STR("a"), db_int(42), r, db_text(STR("17"))), DB_DONE);
	assert_int_equal(get(link_a, "iss", "a"), DB_DONE);
	assert_true(taken.value[0].type == DB_INT && taken.value[0].i == 17);
	assert_true(taken.value[1].type == DB_TEXT && taken.value[1].s.len == 2);
	assert_true(taken.value[2].type == DB_TEXT && taken.value[2].s.len == 3);
	assert_int_equal(put(link_a, STR("b"), null, null, db_text(STR("17 apples"))), DB_DONE);
	assert_int_equal(get(link_a, "iir", "b"), DB_DONE);
	assert_int_equal(taken.value[0].type, DB_NULL);
}

static void test_a_decimal_fraction_stays_one(void **state)
{
	need_server();
	must(link_a, "DROP TABLE IF EXISTS q");
	must(link_a, is("mysql") ? "CREATE TABLE q (q FLOAT(10,2))" : "CREATE TABLE q (q REAL)");
	must(link_a, "INSERT INTO q VALUES (0.7)");
	assert_int_equal(ask(link_a, "SELECT q FROM q", "r", NULL, 0), DB_DONE);
	assert_true(taken.value[0].r == 0.7);
}

static void test_a_date_is_a_text(void **state)
{
	const struct db_value when = db_text(STR("2026-11-23 14:05:06"));

	need_server();
	must(link_a, "DROP TABLE IF EXISTS d");
	must(link_a, is("mysql") ? "CREATE TABLE d (d DATETIME)"
				 : "CREATE TABLE d (d TIMESTAMP WITHOUT TIME ZONE)");
	assert_int_equal(ask(link_a, "INSERT INTO d VALUES (?)", NULL, &when, 1), DB_DONE);
	assert_int_equal(
		ask(link_a, "SELECT d FROM d WHERE d > '2026-11-23 14:05:05'", "s", NULL, 0),
		DB_DONE);
	assert_int_equal(taken.rows, 1);
	assert_string_equal(taken.text, "2026-11-23 14:05:06");
	/* Now is now, and not somebody's time zone. */
	must(link_a, "DELETE FROM d");
	must(link_a, "INSERT INTO d VALUES (CURRENT_TIMESTAMP)");
	assert_int_equal(ask(link_a, "SELECT d FROM d", "s", NULL, 0), DB_DONE);
	time_t now = time(NULL);
	struct tm tm;
	char text[32];
	strftime(text, sizeof(text), "%Y-%m-%d %H:", gmtime_r(&now, &tm));
	now -= 60;
	if (strncmp(taken.text, text, strlen(text)) != 0)
		strftime(text, sizeof(text), "%Y-%m-%d %H:", gmtime_r(&now, &tm));
	assert_memory_equal(taken.text, text, strlen(text));
}

static void test_sql_in_a_value_is_a_value(void **state)
{
	static const char *const texts[] = {"' OR '1'='1", "\\' OR 1=1 -- ", "'; DROP TABLE t; --",
		"\" OR \"\"=\"", "?", "$1", "%27", "\xc2\xbf' OR 1=1 -- "};

	need_server();
	assert_int_equal(put_key(link_a, "alice"), DB_DONE);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		assert_int_equal(get(link_a, "sir", texts[i]), DB_DONE);
		assert_int_equal(taken.rows, 0);
		assert_int_equal(put_key(link_a, texts[i]), DB_DONE);
		assert_int_equal(get(link_a, "sir", texts[i]), DB_DONE);
		assert_int_equal(taken.rows, 1);
	}
	assert_int_equal(count(link_a, ""), 1 + sizeof(texts) / sizeof(*texts));
}

/* A server that took what it can read of such a text would find somebody else. */
static void test_bytes_that_are_no_text_are_refused(void **state)
{
	static const struct str texts[] = {{"alice\0", 6}, {"alice\xff", 6}, {"alice\xc3", 6},
		{"alice\xed\xa0\x80", 8}, {"alice\xc0\x80", 7}, {"\xf4\x90\x80\x80", 4},
		{"\x80", 1}, {"\xe0\x80\x80", 3}, {"\xf0\x80\x80\x80", 4}, {"\xe2\x82", 2}};
	struct db_value param;

	need_server();
	assert_int_equal(put_key(link_a, "alice"), DB_DONE);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		param = db_text(texts[i]);
		assert_int_equal(
			ask(link_a, "SELECT x FROM t WHERE k = ?", "s", &param, 1), DB_REFUSED);
		/* For what it holds: nothing of the schema has to be looked at again. */
		assert_int_equal(fault, DB_FAULT_VALUE);
		assert_int_equal(put(link_a, texts[i], null, null, null), DB_REFUSED);
	}
	assert_int_equal(count(link_a, ""), 1);
}

/* ---- bounds ---- */

static void test_the_longest_text_and_one_longer(void **state)
{
	static char text[DB_VALUE_MAX + 1];

	need_server();
	memset(text, 'x', sizeof(text));
	assert_int_equal(
		put(link_a, STR("most"), null, null, db_text(str_of(text, DB_VALUE_MAX))), DB_DONE);
	assert_int_equal(get(link_a, "sir", "most"), DB_DONE);
	assert_int_equal(taken.value[0].s.len, DB_VALUE_MAX);
	assert_int_equal(
		put(link_a, STR("more"), null, null, db_text(str_of(text, DB_VALUE_MAX + 1))),
		DB_DONE);
	assert_int_equal(get(link_a, "sir", "more"), DB_TOO_LONG);
	/* With more rows behind it. */
	assert_int_equal(ask(link_a, "SELECT x FROM t", "s", NULL, 0), DB_TOO_LONG);
	assert_false(link_dead(link_a));
	assert_int_equal(count(link_a, ""), 2);
}

static void test_a_text_of_megabytes(void **state)
{
	need_server();
	if (is("sqlite"))
		must(link_a, "INSERT INTO t (k, x) VALUES ('b', hex(zeroblob(4000000)))");
	else {
		must(link_a, is("mysql") ? "ALTER TABLE t MODIFY x LONGTEXT"
					 : "ALTER TABLE t ALTER x TYPE TEXT");
		must(link_a, "INSERT INTO t (k, x) VALUES ('b', repeat('x', 8000000))");
	}
	assert_int_equal(get(link_a, "sir", "b"), DB_TOO_LONG);
	assert_false(link_dead(link_a));
	assert_int_equal(count(link_a, ""), 1);
}

static void test_whoever_wants_no_more_rows_gets_none(void **state)
{
	char k[32];

	need_server();
	step(link_a, DB_STEP_BEGIN);
	for (int i = 0; i < 300; i++) {
		snprintf(k, sizeof(k), "%d", i);
		assert_int_equal(put_key(link_a, k), DB_DONE);
	}
	step(link_a, DB_STEP_COMMIT);
	taken.limit = 3;
	assert_int_equal(ask(link_a, "SELECT k FROM t", "s", NULL, 0), DB_DONE);
	assert_int_equal(taken.rows, 3);
	taken.limit = 0;
	assert_int_equal(ask(link_a, "SELECT k FROM t", "s", NULL, 0), DB_DONE);
	assert_int_equal(taken.rows, 300);
	assert_int_equal(count(link_a, ""), 300);
}

static void test_changed_rows_are_counted(void **state)
{
	uint64_t changed, late = clock_now_ns() + 10 * CLOCK_NS_PER_S;

	need_server();
	assert_int_equal(put_key(link_a, "a"), DB_DONE);
	assert_int_equal(put_key(link_a, "b"), DB_DONE);
	ask_until(link_a, "UPDATE t SET n = 5", NULL, NULL, 0, late, &changed);
	assert_int_equal(changed, 2);
	/* What had that value already is found as well. */
	ask_until(link_a, "UPDATE t SET n = 5 WHERE k = 'a'", NULL, NULL, 0, late, &changed);
	assert_int_equal(changed, 1);
	ask_until(link_a, "DELETE FROM t WHERE k = 'c'", NULL, NULL, 0, late, &changed);
	assert_int_equal(changed, 0);
}

static void test_another_number_of_parameters_or_columns(void **state)
{
	const struct db_value two[] = {db_int(1), db_int(2)};

	need_server();
	assert_int_equal(ask(link_a, "SELECT k FROM t WHERE n = ?", "s", two, 2), DB_REFUSED);
	assert_int_equal(
		ask(link_a, "SELECT k FROM t WHERE n = ? OR n = ?", "s", two, 1), DB_REFUSED);
	assert_int_equal(
		ask(link_a, "SELECT k FROM t WHERE n = ? AND k <> '?'", "s", two, 1), DB_DONE);
	assert_int_equal(count(link_a, ""), 0);
}

/* ---- refusals ---- */

static void test_what_is_not_there_is_refused(void **state)
{
	static const char *const sql[] = {"SELECT k FROM nowhere", "SELECT nothing FROM t",
		"SELEKT k FROM t", "", "INSERT INTO t (k) VALUES (NULL, NULL)"};

	need_server();
	for (size_t i = 0; i < sizeof(sql) / sizeof(*sql); i++) {
		/* PostgreSQL has no objection to nothing. */
		if (*sql[i] == '\0' && !is("mysql"))
			continue;
		assert_int_equal(ask(link_a, sql[i], NULL, NULL, 0), DB_REFUSED);
		assert_false(link_dead(link_a));
	}
	assert_int_equal(count(link_a, ""), 0);
}

static void test_a_refusal_does_not_say_what_was_in_it(void **state)
{
	struct db_value param[] = {db_text(STR("secret")), db_text(STR("secret-number"))};
	char text[100];

	need_server();
	assert_int_equal(put_key(link_a, "secret"), DB_DONE);
	assert_int_equal(put_key(link_a, "secret"), DB_REFUSED);
	assert_null(strstr(error, "secret"));
	if (is("sqlite"))
		return; /* its columns take anything */
	assert_int_equal(ask(link_a, "UPDATE t SET k = ?, n = ?", NULL, param, 2), DB_REFUSED);
	assert_null(strstr(error, "secret"));
	memset(text, 's', sizeof(text));
	assert_int_equal(put(link_a, str_of(text, sizeof(text)), null, null, null), DB_REFUSED);
	assert_null(strstr(error, "sss"));
	assert_int_equal(count(link_a, ""), 1);
	assert_int_equal(count(link_a, " WHERE k = 'secret'"), 1);
}

static void test_nobody_gets_in_by_a_wrong_word(void **state)
{
	static const char *const how[] = {"wrong", "absent"};
	struct link *link;
	int other;

	need_server();
	for (int i = is("sqlite") ? 1 : 0; i < 2; i++) {
		other = db_use(db, server_url(server, how[i]), error, sizeof(error));
		assert_true(other >= 0);
		error[0] = '\0';
		link = link_open(db_database_of(db, other), DB_ROLE_ASK, error, sizeof(error));
		assert_null(link);
		assert_string_not_equal(error, "");
		assert_null(strstr(error, server_password()));
		assert_null(strstr(error, "%3A"));
	}
}

static void test_a_socket_is_as_good_as_a_port(void **state)
{
	struct link *link;
	int other;

	need_server();
	other = db_use(db, server_url(server, "socket"), error, sizeof(error));
	assert_true(other >= 0);
	link = link_open(db_database_of(db, other), DB_ROLE_ASK, error, sizeof(error));
	assert_non_null(link);
	assert_int_equal(ask(link, "SELECT k FROM t", "s", NULL, 0), DB_DONE);
	link_close(link);
}

static void test_the_connection_is_as_private_as_it_was_asked_for(void **state)
{
	const char *sql = is("mysql")
				  ? "SELECT variable_value FROM information_schema.session_status "
				    "WHERE variable_name = 'Ssl_version'"
				  : "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

	need_server();
	assert_int_equal(ask(link_a, sql, "s", NULL, 0), DB_DONE);
	assert_int_equal(taken.rows, 1);
	if (tls)
		assert_memory_equal(taken.text, "TLSv1.", 6);
	else
		assert_string_equal(taken.text, "");
}

static void test_a_question_changes_nothing(void **state)
{
	struct link *link;

	need_server();
	link = connect_as(DB_ROLE_ASK);
	assert_int_not_equal(put_key(link, "a"), DB_DONE);
	assert_int_equal(count(link_a, ""), 0);
	link_close(link);
}

static void test_who_may_only_look(void **state)
{
	struct link *link;
	int other;

	need_server();
	other = db_use(db, server_url(server, "reader"), error, sizeof(error));
	link = link_open(db_database_of(db, other), DB_ROLE_WRITE, error, sizeof(error));
	assert_non_null(link);
	assert_int_equal(put_key(link, "a"), DB_REFUSED);
	assert_int_equal(count(link, ""), 0);
	link_close(link);
}

/* ---- transactions ---- */

static void test_what_is_rolled_back_was_never_there(void **state)
{
	need_server();
	step(link_a, DB_STEP_BEGIN);
	assert_int_equal(put_key(link_a, "a"), DB_DONE);
	assert_int_equal(count(link_b, ""), 0);
	step(link_a, DB_STEP_ROLLBACK);
	assert_int_equal(count(link_a, ""), 0);
	step(link_a, DB_STEP_BEGIN);
	assert_int_equal(put_key(link_a, "b"), DB_DONE);
	step(link_a, DB_STEP_COMMIT);
	assert_int_equal(count(link_b, " WHERE k = 'b'"), 1);
}

static void test_one_part_that_is_refused_takes_no_other_with_it(void **state)
{
	need_server();
	assert_int_equal(put_key(link_a, "there"), DB_DONE);
	step(link_a, DB_STEP_BEGIN);
	for (int i = 0; i < 3; i++) {
		step(link_a, DB_STEP_PART);
		assert_int_equal(put_key(link_a, i == 0   ? "first"
						 : i == 1 ? "second"
							  : "third"),
			DB_DONE);
		assert_int_equal(put_key(link_a, i == 1   ? "there"
						 : i == 0 ? "1"
							  : "3"),
			i == 1 ? DB_REFUSED : DB_DONE);
		step(link_a, i == 1 ? DB_STEP_PART_UNDO : DB_STEP_PART_KEEP);
	}
	step(link_a, DB_STEP_COMMIT);
	assert_int_equal(count(link_b, ""), 5);
	assert_int_equal(count(link_b, " WHERE k = 'second'"), 0);
	assert_int_equal(count(link_b, " WHERE k IN ('first', 'third')"), 2);
}

static void test_a_transaction_that_failed_is_not_committed_in_silence(void **state)
{
	bool goes_on = !is("postgres");

	need_server();
	assert_int_equal(put_key(link_a, "there"), DB_DONE);
	step(link_a, DB_STEP_BEGIN);
	assert_int_equal(put_key(link_a, "a"), DB_DONE);
	assert_int_equal(put_key(link_a, "there"), DB_REFUSED);
	assert_int_equal(link_step(link_a, DB_STEP_COMMIT, error, sizeof(error)),
		goes_on ? DB_DONE : DB_REFUSED);
	assert_int_equal(count(link_b, " WHERE k = 'a'"), goes_on ? 1 : 0);
}

/* ---- others who want the same ---- */

static void test_a_locked_row_is_waited_for_a_while(void **state)
{
	uint64_t begun, hurry;

	need_server();
	assert_int_equal(put_key(link_a, "a"), DB_DONE);
	step(link_a, DB_STEP_BEGIN);
	must(link_a, "UPDATE t SET n = 1 WHERE k = 'a'");
	begun = clock_now_ns();
	assert_int_equal(ask_until(link_b, "UPDATE t SET n = 2 WHERE k = 'a'", NULL, NULL, 0,
				 begun + DB_TIMEOUT_MS * CLOCK_NS_PER_MS, NULL),
		DB_DOWN);
	assert_true(ms_since(begun) < DB_TIMEOUT_MS + BUSY_MS);
	assert_false(link_dead(link_b));
	if (!is("sqlite")) {
		assert_int_equal(fault, DB_FAULT_LOCKED);
		step(link_b, DB_STEP_HURRY);
		begun = clock_now_ns();
		assert_int_equal(
			ask(link_b, "UPDATE t SET n = 2 WHERE k = 'a'", NULL, NULL, 0), DB_DOWN);
		assert_int_equal(fault, DB_FAULT_LOCKED);
		hurry = ms_since(begun);
		step(link_b, DB_STEP_PATIENCE);
		begun = clock_now_ns();
		assert_int_equal(
			ask(link_b, "UPDATE t SET n = 2 WHERE k = 'a'", NULL, NULL, 0), DB_DOWN);
		assert_true(ms_since(begun) > SOON_MS);
		assert_true(ms_since(begun) > hurry);
	}
	step(link_a, DB_STEP_COMMIT);
	must(link_b, "UPDATE t SET n = 3 WHERE k = 'a'");
	assert_int_equal(count(link_a, " WHERE n = 3"), 1);
}

static void *lock_b_then_a(void *arg)
{
	struct db_run run = {.deadline = clock_now_ns() + 60 * CLOCK_NS_PER_S};
	char text[DB_ERROR_MAX];

	return (void *)(intptr_t)link_sql(
		link_b, "UPDATE t SET n = 2 WHERE k = 'a'", &run, text, sizeof(text));
}

/* One of two is chosen; what it does next is not done outside of its transaction. */
static void test_a_deadlock_ends_one_of_two(void **state)
{
	enum db_result a, b;
	pthread_t thread;
	void *returned;

	need_server();
	assert_int_equal(put_key(link_a, "a"), DB_DONE);
	assert_int_equal(put_key(link_a, "b"), DB_DONE);
	step(link_a, DB_STEP_BEGIN);
	step(link_b, DB_STEP_BEGIN);
	must(link_a, "UPDATE t SET n = 1 WHERE k = 'a'");
	must(link_b, "UPDATE t SET n = 2 WHERE k = 'b'");
	pthread_create(&thread, NULL, lock_b_then_a, NULL);
	usleep(200000);
	a = ask(link_a, "UPDATE t SET n = 1 WHERE k = 'b'", NULL, NULL, 0);
	assert_int_equal(fault, a == DB_DOWN && !is("sqlite") ? DB_FAULT_DEADLOCK : DB_FAULT_NONE);
	/* Who was not chosen waits for nobody any more. */
	if (a == DB_DOWN) {
		assert_int_not_equal(put_key(link_a, "alone"), DB_DONE);
		assert_int_not_equal(
			link_step(link_a, DB_STEP_COMMIT, error, sizeof(error)), DB_DONE);
	}
	pthread_join(thread, &returned);
	b = (enum db_result)(intptr_t)returned;
	assert_true((a == DB_DONE && b == DB_DOWN) || (a == DB_DOWN && b == DB_DONE));
	if (b == DB_DOWN) {
		assert_int_not_equal(put_key(link_b, "alone"), DB_DONE);
		assert_int_not_equal(
			link_step(link_b, DB_STEP_COMMIT, error, sizeof(error)), DB_DONE);
	}
	/* A transaction that is over already: what does not go back is dead. */
	(void)link_step(a == DB_DOWN ? link_a : link_b, DB_STEP_ROLLBACK, error, sizeof(error));
	step(a == DB_DONE ? link_a : link_b, DB_STEP_COMMIT);
	assert_false(link_dead(link_a) || link_dead(link_b));
	assert_int_equal(count(link_a, " WHERE k = 'alone'"), 0);
	assert_int_equal(count(link_a, a == DB_DONE ? " WHERE n = 1" : " WHERE n = 2"), 2);
}

/* ---- a server in trouble ---- */

static void reconnect(void)
{
	link_close(link_a);
	link_close(link_b);
	link_a = connect_as(DB_ROLE_NOW);
	link_b = connect_as(DB_ROLE_WRITE);
}

static void test_a_server_that_hangs_is_waited_for_until_then(void **state)
{
	uint64_t begun;

	need_server();
	assert_int_equal(put_key(link_a, "a"), DB_DONE);
	must(link_a, "SELECT k FROM t");
	server_do(server, "pause");
	begun = clock_now_ns();
	assert_int_equal(ask_until(link_a, "SELECT k FROM t", "s", NULL, 0, 0, NULL), DB_DOWN);
	assert_in_range(ms_since(begun), DB_TIMEOUT_MS - 10, DB_TIMEOUT_MS + BUSY_MS);
	assert_true(link_dead(link_a));
	/* Nor does it take longer to be told so again, or to go. */
	begun = clock_now_ns();
	assert_int_equal(ask_until(link_a, "SELECT k FROM t", "s", NULL, 0, 0, NULL), DB_DOWN);
	assert_true(ms_since(begun) < SOON_MS);
	assert_int_equal(link_step(link_a, DB_STEP_BEGIN, error, sizeof(error)), DB_DOWN);
	link_close(link_a);
	assert_true(ms_since(begun) < SOON_MS);
	begun = clock_now_ns();
	link_a = link_open(db_database_of(db, used), DB_ROLE_ASK, error, sizeof(error));
	assert_null(link_a);
	assert_in_range(ms_since(begun), DB_TIMEOUT_MS - 10, DB_TIMEOUT_MS + BUSY_MS);
	assert_string_not_equal(error, "");
	server_do(server, "resume");
	reconnect();
	assert_int_equal(count(link_a, ""), 1);
}

#define SLOW_MS 60000

static const char *slow_question(void)
{
	return is("mysql") ? "SELECT SLEEP(60)" : "SELECT 1 FROM pg_sleep(60)";
}

/* With more time than it takes. */
static enum db_result ask_slowly(struct link *link)
{
	return ask_until(link, slow_question(), "i", NULL, 0,
		clock_now_ns() + 2 * SLOW_MS * CLOCK_NS_PER_MS, NULL);
}

static void test_a_question_that_takes_too_long(void **state)
{
	struct db_run run = {.visit = take, .arg = &taken};
	const struct statement *s;
	uint64_t begun;
	int n;

	need_server();
	assert_int_equal(put_key(link_a, "a"), DB_DONE);
	n = db_statement(db, used, &(struct db_statement){.text = slow_question(), .columns = "i"},
		error, sizeof(error));
	assert_true(n >= 0);
	s = db_statement_of(db, (unsigned)n);
	begun = clock_now_ns();
	run.deadline = begun + 700 * CLOCK_NS_PER_MS;
	assert_int_equal(link_run(link_a, s, &run, error, sizeof(error)), DB_DOWN);
	assert_in_range(ms_since(begun), 690, SLOW_MS - 1);
	assert_true(link_dead(link_a));
	/* Who asks with all the time there is is cut off by the server, and stays connected. */
	link_close(link_a);
	link_a = connect_as(DB_ROLE_ASK);
	begun = clock_now_ns();
	run.deadline = begun + 2 * SLOW_MS * CLOCK_NS_PER_MS;
	assert_int_equal(link_run(link_a, s, &run, error, sizeof(error)), DB_DOWN);
	assert_true(ms_since(begun) < SLOW_MS);
	assert_false(link_dead(link_a));
	assert_int_equal(count(link_a, ""), 1);
}

static void *stop_it(void *arg)
{
	usleep(300000);
	link_interrupt(link_a);
	return NULL;
}

static void test_another_thread_ends_the_waiting(void **state)
{
	pthread_t thread;
	uint64_t begun;

	need_server();
	assert_int_equal(put_key(link_a, "a"), DB_DONE);
	pthread_create(&thread, NULL, stop_it, NULL);
	begun = clock_now_ns();
	assert_int_equal(ask_slowly(link_a), DB_DOWN);
	assert_in_range(ms_since(begun), 250, SLOW_MS - 1);
	pthread_join(thread, NULL);
	assert_true(link_dead(link_a));
}

static void *kill_it(void *arg)
{
	usleep(300000);
	server_do(server, "kill");
	return NULL;
}

static void test_a_server_killed_in_the_middle_of_a_question(void **state)
{
	pthread_t thread;
	uint64_t begun;

	need_server();
	assert_int_equal(put_key(link_a, "a"), DB_DONE);
	pthread_create(&thread, NULL, kill_it, NULL);
	begun = clock_now_ns();
	assert_int_equal(ask_slowly(link_a), DB_DOWN);
	assert_true(ms_since(begun) < SLOW_MS);
	pthread_join(thread, NULL);
	assert_true(link_dead(link_a));
	/* Nobody is there. */
	begun = clock_now_ns();
	assert_null(link_open(db_database_of(db, used), DB_ROLE_ASK, error, sizeof(error)));
	assert_true(ms_since(begun) < SOON_MS);
	server_do(server, "start");
	/* The other connection finds out when it is used, and takes nobody else's answer. */
	assert_int_equal(ask(link_b, "SELECT k FROM t", "s", NULL, 0), DB_DOWN);
	assert_true(link_dead(link_b));
	reconnect();
	assert_int_equal(count(link_a, ""), 1);
}

static void *commit_it(void *arg)
{
	char text[DB_ERROR_MAX];

	return (void *)(intptr_t)link_step(link_b, DB_STEP_COMMIT, text, sizeof(text));
}

static void test_a_server_killed_in_the_middle_of_a_commit(void **state)
{
	pthread_t thread;
	void *returned;
	int64_t rows;

	need_server();
	step(link_b, DB_STEP_BEGIN);
	for (int i = 0; i < 20; i++) {
		char k[8];

		snprintf(k, sizeof(k), "%d", i);
		assert_int_equal(put_key(link_b, k), DB_DONE);
	}
	server_do(server, "pause");
	pthread_create(&thread, NULL, commit_it, NULL);
	usleep(200000);
	server_do(server, "kill");
	pthread_join(thread, &returned);
	/* Whether it was is known to nobody: all or none. */
	assert_int_equal((intptr_t)returned, DB_DOWN);
	assert_true(link_dead(link_b));
	server_do(server, "start");
	reconnect();
	rows = count(link_a, "");
	assert_true(rows == 0 || rows == 20);
}

/* What was acknowledged is there after a kill -9 of the server, too. */
static void test_what_is_committed_survives_the_server(void **state)
{
	need_server();
	for (int i = 0; i < 20; i++) {
		char k[8];

		snprintf(k, sizeof(k), "%d", i);
		step(link_b, DB_STEP_BEGIN);
		assert_int_equal(put_key(link_b, k), DB_DONE);
		step(link_b, DB_STEP_COMMIT);
	}
	server_do(server, "kill");
	server_do(server, "start");
	reconnect();
	assert_int_equal(count(link_a, ""), 20);
}

static void test_a_server_that_is_stopped_says_goodbye(void **state)
{
	need_server();
	server_do(server, "stop");
	assert_int_equal(put_key(link_a, "a"), DB_DOWN);
	assert_true(link_dead(link_a));
	server_do(server, "start");
	reconnect();
	assert_int_equal(count(link_a, ""), 0);
}

#define WITH_LINKS(test) cmocka_unit_test_setup_teardown(test, connect, disconnect)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_LINKS(test_values_come_back_as_they_went),
		WITH_LINKS(test_null_and_nothing_are_two),
		WITH_LINKS(test_values_are_turned_as_they_are_wanted),
		WITH_LINKS(test_a_decimal_fraction_stays_one),
		WITH_LINKS(test_a_date_is_a_text),
		WITH_LINKS(test_sql_in_a_value_is_a_value),
		WITH_LINKS(test_the_longest_text_and_one_longer),
		WITH_LINKS(test_a_text_of_megabytes),
		WITH_LINKS(test_whoever_wants_no_more_rows_gets_none),
		WITH_LINKS(test_changed_rows_are_counted),
		WITH_LINKS(test_another_number_of_parameters_or_columns),
		WITH_LINKS(test_what_is_not_there_is_refused),
		WITH_LINKS(test_a_refusal_does_not_say_what_was_in_it),
		WITH_LINKS(test_nobody_gets_in_by_a_wrong_word),
		WITH_LINKS(test_a_question_changes_nothing),
		WITH_LINKS(test_what_is_rolled_back_was_never_there),
		WITH_LINKS(test_one_part_that_is_refused_takes_no_other_with_it),
		WITH_LINKS(test_a_transaction_that_failed_is_not_committed_in_silence),
		WITH_LINKS(test_a_locked_row_is_waited_for_a_while),
	};
	/* What only a process can be that is not ours. */
	const struct CMUnitTest of_servers[] = {
		WITH_LINKS(test_the_connection_is_as_private_as_it_was_asked_for),
		WITH_LINKS(test_bytes_that_are_no_text_are_refused),
		WITH_LINKS(test_a_socket_is_as_good_as_a_port),
		WITH_LINKS(test_who_may_only_look),
		WITH_LINKS(test_a_deadlock_ends_one_of_two),
		WITH_LINKS(test_a_server_that_hangs_is_waited_for_until_then),
		WITH_LINKS(test_a_question_that_takes_too_long),
		WITH_LINKS(test_another_thread_ends_the_waiting),
		WITH_LINKS(test_a_server_killed_in_the_middle_of_a_question),
		WITH_LINKS(test_a_server_killed_in_the_middle_of_a_commit),
		WITH_LINKS(test_what_is_committed_survives_the_server),
		WITH_LINKS(test_a_server_that_is_stopped_says_goodbye),
	};
	int failed;

	engine = argc > 1 ? argv[1] : "sqlite";
	server = server_start(engine);
	/* PostgreSQL's library has it where the server does. */
	tls = is("postgres") || argc > 2;
	if (argc > 2 && server != NULL)
		server_use_tls(server);
	failed = cmocka_run_group_tests_name(engine, tests, begin, end);
	if (!is("sqlite"))
		failed += cmocka_run_group_tests_name("servers", of_servers, begin, end);
	server_end(server);
	return failed;
}
