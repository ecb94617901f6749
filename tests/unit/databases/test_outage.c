/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server in trouble, seen by who asks and changes through the whole room: each ends in time and
 * with its word, what was acknowledged is there, and all comes back by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../folder.h"
#include "base/clock.h"
#include "base/log.h"
#include "db/db.h"
#include "server.h"

/* Until all goes again: the longest pause between two tries, a connection, a machine with others.
 */
#define BACK_MS (DB_RETRY_MAX_MS + 60000)
/* Of one call, whatever happens: db_ask()'s word, and a machine with others. */
#define CALL_MS (DB_TIMEOUT_MS + 26000)
#define PATIENCE_NS (120 * CLOCK_NS_PER_S) /* a test that fails waits so long */

static const char *engine;
static struct server *server;
static struct db *db;
static int used;
static unsigned find, all, put, add;
static char error[512];
static char folder[48];

static bool is(const char *name)
{
	return strcmp(engine, name) == 0;
}

struct heard {
	bool done;
	enum db_result result;
	unsigned rows;
	int64_t n;
	uint64_t asked, took; /* ms */
};

static void hear(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct heard *h = arg;

	assert_false(h->done);
	h->done = true;
	h->result = result;
	h->took = (clock_now_ns() - h->asked) / CLOCK_NS_PER_MS;
	if (rows != NULL && rows->count != 0) {
		h->rows = rows->count;
		h->n = db_value(rows, 0, 0)->type == DB_INT ? db_value(rows, 0, 0)->i : 0;
	}
}

static void wait_for(const struct heard *h)
{
	uint64_t end = clock_now_ns() + PATIENCE_NS;

	while (!h->done && clock_now_ns() < end) {
		if (db_poll(db, clock_now_ns()) == 0)
			usleep(500);
	}
	assert_true(h->done);
}

static struct str pack(
	char *bytes, unsigned statement, const struct db_value *param, unsigned params)
{
	int len = db_pack(db, bytes, DB_CALL_MAX, 0, statement, param, params);

	assert_true(len > 0);
	return str_of(bytes, (size_t)len);
}

static void start_ask(struct heard *h, unsigned statement, const char *k)
{
	struct db_value param = db_text(str_c(k));
	char bytes[DB_CALL_MAX];

	*h = (struct heard){.asked = clock_now_ns()};
	assert_int_equal(
		db_ask(db, pack(bytes, statement, &param, statement == all ? 0 : 1), hear, h), 0);
}

static void start_change(struct heard *h, unsigned statement, const char *k)
{
	struct db_value param = db_text(str_c(k));
	char bytes[DB_CALL_MAX];

	*h = (struct heard){.asked = clock_now_ns()};
	assert_int_equal(db_change(db, pack(bytes, statement, &param, 1), hear, h), 0);
}

static enum db_result ask(unsigned statement, const char *k)
{
	struct heard h;

	start_ask(&h, statement, k);
	wait_for(&h);
	assert_true(h.took < CALL_MS);
	return h.result;
}

static enum db_result change(unsigned statement, const char *k)
{
	struct heard h;

	start_change(&h, statement, k);
	wait_for(&h);
	assert_true(h.took < CALL_MS);
	return h.result;
}

/* Both ways, until they work again. Not asked for in vain, but not more often than somebody would.
 */
static void comes_back(void)
{
	uint64_t end = clock_now_ns() + BACK_MS * CLOCK_NS_PER_MS;
	struct db_state state;

	while (ask(find, "a") != DB_DONE) {
		assert_true(clock_now_ns() < end);
		usleep(20000);
	}
	while (change(add, "a") != DB_DONE) {
		assert_true(clock_now_ns() < end);
		usleep(20000);
	}
	assert_true(db_state(db, used, &state));
	assert_true(state.connected);
}

static void assert_state(bool connected, const char *with)
{
	struct db_state state;

	assert_true(db_state(db, used, &state));
	if (state.connected != connected || strstr(state.error, with) == NULL)
		fail_msg("%sconnected, %s", state.connected ? "" : "not ", state.error);
	assert_string_not_equal(state.error, "");
	assert_null(strstr(state.error, server_password()));
	assert_null(strstr(state.url, "%3A"));
}

/* ---- fixture ---- */

static int begin(void **state)
{
	snprintf(folder, sizeof(folder), "%s/siplane-spool-XXXXXX", folder_of_databases());
	assert_non_null(mkdtemp(folder));
	log_set_level(LOG_LEVEL_ERROR);
	server = server_start(engine);
	return 0;
}

static int end(void **state)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (system(command) != 0)
		print_message("%s stays\n", folder);
	server_end(server);
	return 0;
}

static unsigned statement(
	const char *text, const char *otherwise, const char *columns, unsigned params)
{
	struct db_statement s = {.text = text,
		.otherwise = otherwise,
		.columns = columns,
		.params = (uint8_t)params,
		.ttl_s = 60,
		.negative_ttl_s = 60};
	int n = db_statement(db, used, &s, error, sizeof(error));

	if (n < 0)
		fail_msg("%s: %s", text, error);
	return (unsigned)n;
}

static void open_db(const char *how)
{
	struct db_config config = {0};

	db = db_create(&config, error, sizeof(error));
	assert_non_null(db);
	used = db_use(db, server_url(server, how), error, sizeof(error));
	assert_true(used >= 0);
	find = statement("SELECT n FROM t WHERE k = ?", NULL, "i", 1);
	all = statement("SELECT n, x FROM t", NULL, "is", 0);
	put = statement("INSERT INTO t (k, n) VALUES (?, 0)", NULL, NULL, 1);
	add = statement("UPDATE t SET n = n + 1 WHERE k = ?", NULL, NULL, 1);
}

static int connect(void **state)
{
	if (server == NULL)
		return 0;
	server_sql(server,
		is("mysql") ? "SET GLOBAL max_connections = 100; DROP TABLE IF EXISTS t; "
			      "CREATE TABLE t (k VARCHAR(64) PRIMARY KEY, n BIGINT, "
			      "x LONGTEXT) ENGINE = InnoDB; INSERT INTO t VALUES ('a', 0, '')"
			    : "DROP TABLE IF EXISTS t; CREATE TABLE t (k VARCHAR(64) "
			      "PRIMARY KEY, n BIGINT, x TEXT); GRANT ALL ON t TO siplane; "
			      "INSERT INTO t VALUES ('a', 0, '')");
	open_db("");
	comes_back();
	return 0;
}

static int disconnect(void **state)
{
	if (server != NULL)
		db_destroy(db);
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

static int64_t n_of(const char *k)
{
	struct heard h;

	start_ask(&h, find, k);
	wait_for(&h);
	assert_int_equal(h.result, DB_DONE);
	return h.rows == 0 ? -1 : h.n;
}

/* ---- a server that goes ---- */

static void test_killed_it_is_gone_at_once_and_comes_back(void **state)
{
	int64_t before, acknowledged = 0;
	uint64_t begun;

	need_server();
	before = n_of("a");
	for (int i = 0; i < 10; i++)
		acknowledged += change(add, "a") == DB_DONE;
	server_do(server, "kill");
	assert_int_equal(change(add, "a"), DB_DOWN);
	assert_int_equal(ask(find, "a"), DB_DOWN);
	/* Nobody waits for one that is known to be gone. */
	begun = clock_now_ns();
	for (int i = 0; i < 100; i++)
		assert_int_equal(ask(find, "a"), DB_DOWN);
	assert_true(clock_now_ns() - begun < 100 * DB_TIMEOUT_MS / 8 * CLOCK_NS_PER_MS);
	assert_state(false, "");
	server_do(server, "start");
	assert_int_equal(acknowledged, 10);
	comes_back();
	/* All ten, what comes_back() has added, and at most the one whose end nobody knows. */
	assert_in_range(n_of("a"), before + 11, before + 12);
}

static void test_killed_in_the_middle_of_changes_it_loses_none_that_was_done(void **state)
{
	enum { MANY = 300 };
	static struct heard h[MANY];
	int64_t done = 0, maybe = 0, n;
	char k[16];

	need_server();
	for (int i = 0; i < MANY; i++) {
		snprintf(k, sizeof(k), "k%d", i);
		start_change(&h[i], put, k);
		if (i == MANY / 3) {
			wait_for(&h[0]);
			server_do(server, "pause");
		}
	}
	usleep(50000);
	server_do(server, "kill");
	for (int i = 0; i < MANY; i++) {
		wait_for(&h[i]);
		assert_true(h[i].result == DB_DONE || h[i].result == DB_DOWN);
		assert_true(h[i].took < CALL_MS);
		done += h[i].result == DB_DONE;
		maybe += h[i].result == DB_DOWN;
	}
	assert_true(done > 0 && maybe > 0);
	server_do(server, "start");
	comes_back();
	for (int i = 0; i < MANY; i++) {
		snprintf(k, sizeof(k), "k%d", i);
		n = n_of(k);
		assert_true(n == 0 || h[i].result == DB_DOWN);
	}
}

/* Every call has its answer in time, those that came while it hung, too. */
static void test_one_that_hangs_is_waited_for_until_then(void **state)
{
	struct heard h[40];

	need_server();
	server_do(server, "pause");
	for (int i = 0; i < 40; i++) {
		if (i % 2 == 0)
			start_ask(&h[i], find, "a");
		else
			start_change(&h[i], add, "a");
		usleep(2000);
	}
	for (int i = 0; i < 40; i++) {
		wait_for(&h[i]);
		assert_int_equal(h[i].result, DB_DOWN);
		assert_true(h[i].took < CALL_MS);
	}
	assert_state(false, "");
	server_do(server, "resume");
	comes_back();
}

/* Of one that may take long, db_now()'s, there is an end to silence. */
static void test_one_that_hangs_ends_a_long_question(void **state)
{
	uint64_t begun, ms;
	char call[64];
	int len = db_pack(db, call, sizeof(call), 0, all, NULL, 0);

	assert_int_equal(
		db_now(db, str_of(call, (size_t)len), NULL, NULL, NULL, error, sizeof(error)),
		DB_DONE);
	server_do(server, "pause");
	begun = clock_now_ns();
	assert_int_equal(
		db_now(db, str_of(call, (size_t)len), NULL, NULL, NULL, error, sizeof(error)),
		DB_DOWN);
	ms = (clock_now_ns() - begun) / CLOCK_NS_PER_MS;
	assert_true(ms >= DB_SILENCE_MS - 100);
	/* The connection that there was, and the one that cannot be made. */
	assert_true(ms < DB_SILENCE_MS + CALL_MS);
	assert_true(error[0] != '\0');
	server_do(server, "resume");
}

/* What lcores gave is kept, and made when it is back; once, though it was killed with it in hand.
 */
static void test_what_lanes_hold_is_made_when_it_is_back(void **state)
{
	struct db_lane *lane;
	struct heard h;
	struct db_value param;
	char bytes[DB_CALL_MAX], k[16];
	uint64_t end;
	unsigned count;

	need_server();
	count = statement("SELECT COUNT(*) FROM t WHERE k LIKE 'lane%'", NULL, "i", 0);
	lane = db_lane_create(db, 1 << 20);
	assert_non_null(lane);
	for (int i = 0; i < 500; i++) {
		snprintf(k, sizeof(k), "lane%d", i);
		param = db_text(str_c(k));
		assert_true(db_lane_change(lane, pack(bytes, put, &param, 1)));
		if (i == 100)
			usleep(3000);
		if (i == 200)
			server_do(server, "kill");
	}
	usleep(200000);
	server_do(server, "start");
	end = clock_now_ns() + BACK_MS * CLOCK_NS_PER_MS;
	do {
		char call[DB_CALL_MAX];

		assert_true(clock_now_ns() < end);
		usleep(50000);
		h = (struct heard){.asked = clock_now_ns()};
		assert_int_equal(db_ask(db, pack(call, count, NULL, 0), hear, &h), 0);
		wait_for(&h);
	} while (h.result != DB_DONE || h.n < 500);
	assert_int_equal(h.n, 500);
	assert_int_equal(db_lane_refused(lane), 0);
}

/* ---- a spool ---- */

static void spool_of(struct db_lane *lane)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/spool", folder);
	assert_int_equal(
		db_lane_spool(lane, &(struct db_spool_config){.path = path, .bytes = 16 << 20},
			error, sizeof(error)),
		0);
}

static void wait_for_number(unsigned statement_of_it, int64_t n)
{
	uint64_t end = clock_now_ns() + PATIENCE_NS;
	struct heard h;
	char call[DB_CALL_MAX];

	do {
		assert_true(clock_now_ns() < end);
		usleep(20000);
		h = (struct heard){.asked = clock_now_ns()};
		assert_int_equal(db_ask(db, pack(call, statement_of_it, NULL, 0), hear, &h), 0);
		wait_for(&h);
	} while (h.result != DB_DONE || h.n < n);
	assert_int_equal(h.n, n);
}

/* It goes, hangs, is killed with changes in hand, again and again: more than a lane holds is there
 * at the end, and none twice. A restart of ours comes between. */
static void test_what_a_spool_holds_is_made_when_it_is_back(void **state)
{
	enum { ROUNDS = 4, EACH = 3000 };
	static const char *const how[ROUNDS] = {"stop", "kill", "pause", "kill"};
	struct db_lane *lane;
	unsigned insert, count, n = 0;

	need_server();
	server_sql(server,
		is("mysql") ? "DROP TABLE IF EXISTS s, siplane_spool; CREATE TABLE s (n BIGINT) "
			      "ENGINE = InnoDB; CREATE TABLE siplane_spool (name VARCHAR(64) "
			      "PRIMARY KEY, last VARCHAR(24)) ENGINE = InnoDB"
			    : "DROP TABLE IF EXISTS s, siplane_spool; CREATE TABLE s (n BIGINT); "
			      "CREATE TABLE siplane_spool (name VARCHAR(64) PRIMARY KEY, "
			      "last VARCHAR(24)); GRANT ALL ON s, siplane_spool TO siplane");
	for (unsigned round = 0; round < ROUNDS; round++) {
		insert = statement("INSERT INTO s (n) VALUES (?)", NULL, NULL, 1);
		count = statement("SELECT COUNT(*) FROM s", NULL, "i", 0);
		lane = db_lane_create(db, 1 << 15);
		assert_non_null(lane);
		spool_of(lane);
		for (unsigned i = 0; i < EACH; i++, n++) {
			struct db_value param = db_int(n);
			uint64_t end = clock_now_ns() + PATIENCE_NS;
			char bytes[DB_CALL_MAX];

			if (i == EACH / 10) {
				/* Nothing is on its way, of which nobody would know. */
				wait_for_number(count, n);
				server_do(server, how[round]);
			}
			if (i == EACH / 2 && round == 1) {
				server_do(server, "start");
				server_do(server, "kill");
			}
			while (!db_lane_change(lane, pack(bytes, insert, &param, 1))) {
				assert_true(clock_now_ns() < end);
				usleep(1000);
			}
		}
		assert_true(db_counter(db, DB_COUNTER_SPOOLED) > 0);
		if (round % 2 == 0) {
			db_destroy(db);
			open_db("");
			count = statement("SELECT COUNT(*) FROM s", NULL, "i", 0);
			(void)statement("INSERT INTO s (n) VALUES (?)", NULL, NULL, 1);
			lane = db_lane_create(db, 1 << 15);
			assert_non_null(lane);
			spool_of(lane);
		}
		server_do(server, round == 2 ? "resume" : "start");
		wait_for_number(count, n);
	}
	wait_for_number(statement("SELECT COUNT(DISTINCT n) FROM s", NULL, "i", 0), n);
	assert_int_equal(db_counter(db, DB_COUNTER_REFUSED), 0);
}

/* ---- one that does not let us in ---- */

static void test_a_password_that_is_refused(void **state)
{
	need_server();
	db_destroy(db);
	open_db("wrong");
	assert_int_equal(ask(find, "a"), DB_DOWN);
	assert_int_equal(change(add, "a"), DB_DOWN);
	assert_state(false, is("mysql") ? "Access denied" : "password authentication failed");
	/* Somebody puts it right. */
	server_sql(server, is("mysql") ? "SET PASSWORD FOR siplane@'127.0.0.1' = PASSWORD('wrong')"
				       : "ALTER ROLE siplane PASSWORD 'wrong'");
	comes_back();
	server_sql(server,
		is("mysql") ? "SET PASSWORD FOR siplane@'127.0.0.1' = PASSWORD('a:b@c/d %41?e''f')"
			    : "ALTER ROLE siplane PASSWORD 'a:b@c/d %41?e''f'");
}

static void test_a_database_that_is_made_later(void **state)
{
	need_server();
	db_destroy(db);
	open_db("absent");
	assert_int_equal(ask(find, "a"), DB_DOWN);
	assert_state(false, is("mysql") ? "absent" : "does not exist");
	server_sql(server, is("mysql")
				   ? "CREATE DATABASE absent; GRANT ALL ON absent.* TO "
				     "siplane@'127.0.0.1'; CREATE TABLE absent.t (k VARCHAR(64) "
				     "PRIMARY KEY, n BIGINT, x TEXT)"
				   : "CREATE DATABASE absent OWNER siplane");
	if (!is("mysql")) {
		/* It is there, and its table is not: another word. */
		uint64_t end_ns = clock_now_ns() + BACK_MS * CLOCK_NS_PER_MS;

		while (ask(find, "a") != DB_REFUSED) {
			assert_true(clock_now_ns() < end_ns);
			usleep(20000);
		}
		char bytes[DB_CALL_MAX];
		struct heard h = {.asked = clock_now_ns()};
		unsigned make =
			statement("CREATE TABLE t (k VARCHAR(64) PRIMARY KEY, n BIGINT, x TEXT)",
				NULL, NULL, 0);

		do {
			h = (struct heard){.asked = clock_now_ns()};
			assert_int_equal(db_change(db, pack(bytes, make, NULL, 0), hear, &h), 0);
			wait_for(&h);
			assert_true(clock_now_ns() < end_ns);
		} while (h.result == DB_DOWN);
		assert_int_equal(h.result, DB_DONE);
	}
	comes_back();
	db_destroy(db);
	db = NULL;
	server_sql(server, "DROP DATABASE absent");
	open_db("");
}

/* ---- one that says no ---- */

static void test_tables_that_come_and_go(void **state)
{
	need_server();
	server_sql(server, "ALTER TABLE t RENAME TO away");
	assert_int_equal(ask(find, "a"), DB_REFUSED);
	assert_int_equal(change(add, "a"), DB_REFUSED);
	server_sql(server, "ALTER TABLE away RENAME TO t");
	assert_int_equal(ask(find, "a"), DB_DONE);
	assert_int_equal(change(add, "a"), DB_DONE);
}

static void test_a_column_that_is_missing_has_another_way(void **state)
{
	unsigned other, none;

	need_server();
	other = statement(
		"SELECT missing FROM t WHERE k = ?", "SELECT n FROM t WHERE k = ?", "i", 1);
	assert_int_equal(ask(other, "a"), DB_DONE);
	none = statement("SELECT missing, n FROM t WHERE k = ?", NULL, "ii", 1);
	assert_int_equal(ask(none, "a"), DB_REFUSED);
	server_sql(server, "ALTER TABLE t ADD COLUMN missing INT NOT NULL DEFAULT 7");
	assert_int_equal(ask(none, "a"), DB_DONE);
	assert_int_equal(ask(other, "a"), DB_DONE);
	/* And it goes again. */
	server_sql(server, "ALTER TABLE t DROP COLUMN missing");
	assert_int_equal(ask(none, "a"), DB_REFUSED);
	assert_int_equal(ask(other, "a"), DB_DONE);
	assert_int_equal(ask(find, "a"), DB_DONE);
}

/* What a migration makes of a column's type is no reason to stop. */
static void test_a_column_that_changes_its_type(void **state)
{
	need_server();
	assert_int_equal(ask(find, "a"), DB_DONE);
	server_sql(server, is("mysql") ? "ALTER TABLE t MODIFY n VARCHAR(20)"
				       : "ALTER TABLE t ALTER n TYPE VARCHAR(20)");
	while (ask(find, "a") == DB_DOWN)
		usleep(20000);
	assert_int_equal(ask(find, "a"), DB_DONE);
}

static void test_answers_that_are_too_long(void **state)
{
	need_server();
	server_sql(server, "UPDATE t SET x = repeat('x', 4096)");
	assert_int_equal(ask(all, ""), DB_DONE);
	server_sql(server, "UPDATE t SET x = repeat('x', 4097)");
	assert_int_equal(ask(all, ""), DB_TOO_LONG);
	server_sql(server, "UPDATE t SET x = repeat('x', 8000000)");
	assert_int_equal(ask(all, ""), DB_TOO_LONG);
	/* More than any packet may have: of no use, and over. */
	server_sql(server, is("mysql") ? "SET GLOBAL max_allowed_packet = 1073741824" : "SELECT 1");
	server_sql(server, "UPDATE t SET x = repeat('x', 15000000); "
			   "UPDATE t SET x = concat(x, x)");
	assert_int_not_equal(ask(all, ""), DB_DONE);
	server_sql(server, "UPDATE t SET x = ''");
	comes_back();
	server_sql(server, is("mysql") ? "INSERT INTO t (k, n) SELECT seq, 0 FROM seq_1_to_300"
				       : "INSERT INTO t (k, n) SELECT i::text, 0 FROM "
					 "generate_series(1, 300) AS i");
	assert_int_equal(ask(all, ""), DB_TOO_LONG);
	assert_int_equal(ask(find, "a"), DB_DONE);
}

static void *hold_the_row(void *arg)
{
	server_sql(server,
		is("mysql")
			? "START TRANSACTION; UPDATE t SET n = n WHERE k = 'a'; "
			  "SELECT GET_LOCK('held', 0); SELECT SLEEP(10); COMMIT"
			: "BEGIN; UPDATE t SET n = n WHERE k = 'a'; SELECT pg_advisory_lock(1); "
			  "SELECT pg_sleep(10); COMMIT");
	return NULL;
}

static void test_a_row_that_somebody_keeps_locked(void **state)
{
	enum { OTHERS = 60 };
	struct heard h, other[OTHERS];
	struct db_state state_now;
	pthread_t thread;
	unsigned held;
	char k[16];

	need_server();
	held = statement(is("mysql") ? "SELECT IS_USED_LOCK('held') IS NOT NULL"
				     : "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'",
		NULL, "i", 0);
	pthread_create(&thread, NULL, hold_the_row, NULL);
	wait_for_number(held, 1);
	/* Others in front of it and behind it, as one batch or several, are made: they wait once.
	 */
	for (int i = 0; i < OTHERS; i++) {
		if (i == OTHERS / 2)
			start_change(&h, add, "a");
		snprintf(k, sizeof(k), "o%d", i);
		start_change(&other[i], put, k);
	}
	/* Questions go on. */
	assert_int_equal(ask(find, "a"), DB_DONE);
	for (int i = 0; i < OTHERS; i++) {
		wait_for(&other[i]);
		assert_int_equal(other[i].result, DB_DONE);
		snprintf(k, sizeof(k), "o%d", i);
		assert_int_equal(n_of(k), 0);
	}
	wait_for(&h);
	assert_int_equal(h.result, DB_DOWN);
	assert_true(db_state(db, used, &state_now));
	assert_true(state_now.connected);
	pthread_join(thread, NULL);
	assert_int_equal(change(add, "a"), DB_DONE);
}

static void test_no_room_for_another_connection(void **state)
{
	need_server();
	db_destroy(db);
	open_db("");
	server_sql(server, is("mysql") ? "SET GLOBAL max_connections = 10"
				       : "ALTER ROLE siplane CONNECTION LIMIT 0");
	if (!is("mysql")) {
		assert_int_equal(ask(find, "a"), DB_DOWN);
		assert_state(false, "too many connections");
	}
	server_sql(server, is("mysql") ? "SET GLOBAL max_connections = 100"
				       : "ALTER ROLE siplane CONNECTION LIMIT -1");
	comes_back();
}

#define END_CONNECTIONS \
	"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'siplane'"

static void test_one_that_may_only_be_read(void **state)
{
	need_server();
	server_sql(server, is("mysql") ? "SET GLOBAL read_only = 1"
				       : "ALTER ROLE siplane SET default_transaction_read_only = "
					 "on; " END_CONNECTIONS);
	while (ask(find, "a") != DB_DONE)
		usleep(20000);
	for (int i = 0; i < 3; i++)
		assert_int_equal(change(add, "a"), DB_DOWN);
	assert_state(true, "read-only");
	server_sql(server, is("mysql") ? "SET GLOBAL read_only = 0"
				       : "ALTER ROLE siplane RESET default_transaction_read_only");
	comes_back();
}

static void test_connections_that_an_operator_ends(void **state)
{
	need_server();
	server_sql(server, is("mysql") ? "KILL USER siplane" : END_CONNECTIONS);
	comes_back();
}

#define WITH_DB(test) cmocka_unit_test_setup_teardown(test, connect, disconnect)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(test_killed_it_is_gone_at_once_and_comes_back),
		WITH_DB(test_killed_in_the_middle_of_changes_it_loses_none_that_was_done),
		WITH_DB(test_one_that_hangs_is_waited_for_until_then),
		WITH_DB(test_one_that_hangs_ends_a_long_question),
		WITH_DB(test_what_lanes_hold_is_made_when_it_is_back),
		WITH_DB(test_what_a_spool_holds_is_made_when_it_is_back),
		WITH_DB(test_a_password_that_is_refused),
		WITH_DB(test_a_database_that_is_made_later),
		WITH_DB(test_tables_that_come_and_go),
		WITH_DB(test_a_column_that_is_missing_has_another_way),
		WITH_DB(test_a_column_that_changes_its_type),
		WITH_DB(test_answers_that_are_too_long),
		WITH_DB(test_a_row_that_somebody_keeps_locked),
		WITH_DB(test_no_room_for_another_connection),
		WITH_DB(test_one_that_may_only_be_read),
		WITH_DB(test_connections_that_an_operator_ends),
	};

	engine = argc > 1 ? argv[1] : "mysql";
	return cmocka_run_group_tests(tests, begin, end);
}
