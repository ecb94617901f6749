/* SPDX-License-Identifier: BSD-3-Clause */
/* Spools: what lanes hold outlives outages, restarts and kill -9. */
#include "common.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1u << 20)
#define LONG_NS (60 * CLOCK_NS_PER_S)
#define TABLE_T "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(5000), n BIGINT)"

static const char *spool_path(struct bench *b)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/spool", b->folder);
	return path;
}

static struct db_lane *lane_of(struct bench *b, uint32_t room, uint64_t bytes)
{
	struct db_spool_config config = {spool_path(b), bytes};
	struct db_lane *lane = db_lane_create(b->db, room);
	char error[DB_ERROR_MAX] = "";

	assert_non_null(lane);
	if (db_lane_spool(lane, &config, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	return lane;
}

/* ---- bounds ---- */

static int spool_error(struct db_lane *lane, const char *path, uint64_t bytes, char *error)
{
	struct db_spool_config config = {path, bytes};

	error[0] = '\0';
	return db_lane_spool(lane, &config, error, DB_ERROR_MAX);
}

static void what_is_no_spool_is_said(void **state)
{
	struct bench *b = *state;
	struct db_lane *lane = db_lane_create(b->db, 32768);
	char error[DB_ERROR_MAX], path[160];
	struct stat st;
	FILE *file;

	assert_non_null(lane);
	assert_int_equal(spool_error(lane, NULL, MIB, error), -EINVAL);
	assert_int_equal(spool_error(lane, "", MIB, error), -EINVAL);
	assert_int_equal(spool_error(lane, spool_path(b), DB_SPOOL_MIN - 1, error), -EINVAL);
	snprintf(path, sizeof(path), "%s/absent/spool", b->folder);
	assert_int_equal(spool_error(lane, path, MIB, error), -EIO);
	assert_non_null(strstr(error, "the folder"));
	/* The database itself, and no database. */
	snprintf(path, sizeof(path), "%s/test.sqlite", b->folder);
	if (bench_is_sqlite(b)) {
		assert_int_equal(spool_error(lane, path, MIB, error), -EIO);
		assert_non_null(strstr(error, "no spool"));
	}
	snprintf(path, sizeof(path), "%s/text", b->folder);
	file = fopen(path, "w");
	assert_non_null(file);
	for (int i = 0; i < 1000; i++)
		fprintf(file, "not a database\n");
	fclose(file);
	assert_int_equal(spool_error(lane, path, MIB, error), -EIO);
	assert_non_null(strstr(error, path));
	/* None of these has made it one. */
	assert_int_equal(spool_error(lane, spool_path(b), MIB, error), 0);
	assert_int_equal(stat(spool_path(b), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* The same again; not another one. */
	assert_int_equal(spool_error(lane, spool_path(b), 2 * MIB, error), 0);
	snprintf(path, sizeof(path), "%s/other", b->folder);
	assert_int_equal(spool_error(lane, path, MIB, error), -EINVAL);
}

/* Two processes would make what it holds twice. */
static void one_process_uses_it(void **state)
{
	struct bench *b = *state;
	struct db_config config = {0};
	char error[DB_ERROR_MAX];
	struct db_lane *lane;
	struct db *other;

	(void)lane_of(b, 32768, MIB);
	other = db_create(&config, error, sizeof(error));
	assert_non_null(other);
	lane = db_lane_create(other, 32768);
	assert_non_null(lane);
	assert_int_equal(spool_error(lane, spool_path(b), MIB, error), -EBUSY);
	assert_non_null(strstr(error, "another process"));
	db_destroy(other);
}

/* ---- no outage ---- */

static void wait_for_count(struct bench *b, int64_t count)
{
	uint64_t end = clock_now_ns() + LONG_NS;

	while (bench_count(b) != count && clock_now_ns() < end)
		pause_ms(5);
	assert_int_equal(bench_count(b), count);
}

static void without_an_outage_nothing_is_spooled(void **state)
{
	enum { N = 500 };
	struct bench *b = *state;
	struct db_lane *lane = lane_of(b, 1 << 18, MIB);
	struct call c;

	for (unsigned i = 0; i < N; i++)
		assert_true(db_lane_change(lane, pack(b, &c, b->put, 3, I(i), T("x"), I(i))));
	wait_for_count(b, N);
	assert_int_equal(db_counter(b->db, DB_COUNTER_SPOOLED), 0);
	assert_int_equal(db_counter(b->db, DB_COUNTER_SPOOL_LOST), 0);
}

/* ---- an outage ---- */

/* The database is in a folder that is not there. */
static int setup_away(void **state)
{
	struct bench *b = bench_new();

	log_set_level(getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	snprintf(b->url, sizeof(b->url), "sqlite://%s/away/test.sqlite", b->folder);
	*state = b;
	bench_open(b);
	return 0;
}

static void folder_of(struct bench *b, char path[128])
{
	snprintf(path, 128, "%s/away", b->folder);
}

static int teardown_away(void **state)
{
	struct bench *b = *state;
	char path[192], folder[128];
	static const char *const name[] = {"", "-wal", "-shm"};

	db_destroy(b->db);
	b->db = NULL;
	folder_of(b, folder);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/test.sqlite%s", folder, name[i]);
		(void)unlink(path);
	}
	(void)rmdir(folder);
	return bench_teardown(state);
}

/* It is there, with its tables at once: nobody sees it without them. */
static void come_back(struct bench *b, const char *sql)
{
	char folder[128], later[128], path[160];
	sqlite3 *file;

	folder_of(b, folder);
	snprintf(later, sizeof(later), "%s/later", b->folder);
	snprintf(path, sizeof(path), "%s/test.sqlite", later);
	assert_int_equal(mkdir(later, 0700), 0);
	assert_int_equal(sqlite3_open(path, &file), SQLITE_OK);
	assert_int_equal(sqlite3_exec(file, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(file);
	assert_int_equal(rename(later, folder), 0);
}

static void comes_back(struct bench *b)
{
	come_back(b, TABLE_T);
}

static void give(struct bench *b, struct db_lane *lane, unsigned from, unsigned to)
{
	struct call c;

	for (unsigned i = from; i < to; i++) {
		uint64_t end = clock_now_ns() + LONG_NS;

		pack(b, &c, b->put, 3, I(i), T("it's a text"), I(i));
		while (!db_lane_change(lane, c.s)) {
			assert_true(clock_now_ns() < end);
			usleep(200);
		}
	}
}

static int64_t number(struct bench *b, const char *sql)
{
	unsigned s = bench_statement(b, sql, NULL, "i", 0);
	struct call c;
	struct heard h;

	assert_int_equal(ask(b, pack(b, &c, s, 0), &h), DB_DONE);
	return atoll(h.text[0]);
}

static void wait_for_counter(struct bench *b, enum db_counter counter, uint64_t n)
{
	uint64_t end = clock_now_ns() + LONG_NS;

	while (db_counter(b->db, counter) != n && clock_now_ns() < end)
		pause_ms(2);
	assert_int_equal(db_counter(b->db, counter), n);
}

/* More than the lanes hold, of several; each in its order. */
static void an_outage_goes_to_the_file(void **state)
{
	enum { N = 4000, LANES = 3 };
	struct bench *b = *state;
	struct db_lane *lane[LANES];
	struct db_state is;
	char sql[256];

	for (unsigned i = 0; i < LANES; i++)
		lane[i] = lane_of(b, 32768, 16 * MIB);
	for (unsigned from = 0; from < N; from += 100) {
		for (unsigned i = 0; i < LANES; i++)
			give(b, lane[i], i * N + from, i * N + from + 100);
	}
	wait_for_counter(b, DB_COUNTER_SPOOLED, LANES * N);
	assert_int_equal(db_counter(b->db, DB_COUNTER_SPOOL_ROWS), LANES * N);
	assert_true(db_state(b->db, b->database, &is));
	assert_false(is.connected);
	comes_back(b);
	wait_for_count(b, LANES * N);
	wait_for_counter(b, DB_COUNTER_SPOOL_ROWS, 0);
	assert_int_equal(db_counter(b->db, DB_COUNTER_REFUSED), 0);
	for (unsigned i = 0; i < LANES; i++) {
		snprintf(sql, sizeof(sql),
			"SELECT COUNT(*) FROM t AS x JOIN t AS y ON y.id = x.id + 1 "
			"WHERE y.rowid < x.rowid AND x.id >= %u AND y.id < %u",
			i * N, (i + 1) * N);
		assert_int_equal(number(b, sql), 0);
	}
	/* And then as ever. */
	for (unsigned i = 0; i < LANES; i++)
		give(b, lane[i], LANES * N + i, LANES * N + i + 1);
	wait_for_count(b, LANES * N + LANES);
	assert_int_equal(db_counter(b->db, DB_COUNTER_SPOOLED), LANES * N);
}

/* Numbers of statements are of one process. */
static void a_restart_goes_on_with_it(void **state)
{
	enum { N = 1000 };
	struct bench *b = *state;
	struct db_lane *lane = lane_of(b, 1 << 18, 16 * MIB);
	char error[DB_ERROR_MAX];

	give(b, lane, 0, N);
	db_destroy(b->db);
	b->db = db_create(&b->config, error, sizeof(error));
	assert_non_null(b->db);
	b->database = db_use(b->db, b->url, error, sizeof(error));
	(void)bench_statement(b, "DELETE FROM t", NULL, NULL, 0);
	(void)bench_statement(b, "SELECT 1", NULL, "i", 0);
	comes_back(b);
	(void)lane_of(b, 1 << 18, 16 * MIB);
	wait_for_count(b, N);
	wait_for_counter(b, DB_COUNTER_SPOOL_ROWS, 0);
	assert_int_equal(number(b, "SELECT SUM(n) FROM t"), N * (N - 1) / 2);
	assert_int_equal(number(b, "SELECT COUNT(*) FROM t WHERE name = 'it''s a text'"), N);
}

/* ---- full ---- */

/* And stays so. How many were taken. */
static unsigned give_until_full(struct bench *b, struct db_lane *lane)
{
	uint64_t end = clock_now_ns() + LONG_NS;
	unsigned refused = 0, taken = 0;
	struct call c;

	while (refused < 500 && clock_now_ns() < end) {
		pack(b, &c, b->put, 3, I(taken), T("it's a text"), I(0));
		if (db_lane_change(lane, c.s)) {
			taken++;
			refused = 0;
		} else {
			refused++;
			usleep(1000);
		}
	}
	assert_int_equal(refused, 500);
	return taken;
}

static void a_full_one_refuses_and_counts(void **state)
{
	struct bench *b = *state;
	struct db_lane *lane = lane_of(b, 32768, MIB);
	unsigned taken = give_until_full(b, lane);
	struct stat st;

	assert_true(db_counter(b->db, DB_COUNTER_SPOOL_LOST) >= 500);
	assert_int_equal(db_counter(b->db, DB_COUNTER_SPOOL_LOST), db_lane_refused(lane));
	/* All that was taken is there; and another one finds room again. */
	comes_back(b);
	wait_for_count(b, taken);
	wait_for_counter(b, DB_COUNTER_SPOOL_ROWS, 0);
	assert_int_equal(stat(spool_path(b), &st), 0);
	assert_true(st.st_size <= MIB);
	give(b, lane, taken, taken + 100);
	wait_for_count(b, taken + 100);
}

/* ---- refused ---- */

static int64_t in_file(struct bench *b, const char *sql)
{
	sqlite3_stmt *stmt;
	sqlite3 *file;
	int64_t n = -1;

	assert_int_equal(sqlite3_open(spool_path(b), &file), SQLITE_OK);
	sqlite3_busy_timeout(file, 10000);
	if (sqlite3_prepare_v2(file, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(file));
	while (sqlite3_step(stmt) == SQLITE_ROW)
		n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(file);
	return n;
}

/* It holds nothing up, and is not lost: from a lane, and from the file. */
static void what_is_refused_is_kept_aside(void **state)
{
	enum { N = 600, REFUSED = N / 3 + N / 3 - 1 };
	struct bench *b = *state;
	struct db_lane *lane = lane_of(b, 1 << 16, 4 * MIB);
	unsigned missing =
		bench_statement(b, "INSERT INTO t (id, missing) VALUES (?, ?)", NULL, NULL, 2);
	struct call c;

	for (unsigned i = 0; i < N; i++) {
		/* Another one has such a key, a column is not there, all is well. */
		pack(b, &c, b->put, 3, I(i % 3 == 0 ? 0 : i), T("x"), I(0));
		if (i % 3 == 1)
			pack(b, &c, missing, 2, I(i), T("it's missing"));
		if (i == N / 2) {
			wait_for_counter(b, DB_COUNTER_SPOOLED, N / 2);
			comes_back(b);
			wait_for_counter(b, DB_COUNTER_SPOOL_ROWS, 0);
		}
		while (!db_lane_change(lane, c.s))
			usleep(200);
	}
	wait_for_count(b, N / 3 + 1);
	wait_for_counter(b, DB_COUNTER_REFUSED, REFUSED);
	for (unsigned i = 0; i < 3000; i++) {
		if (in_file(b, "SELECT COUNT(*) FROM refused") == REFUSED)
			break;
		pause_ms(10);
	}
	assert_int_equal(in_file(b, "SELECT COUNT(*) FROM refused"), REFUSED);
	assert_int_equal(in_file(b, "SELECT COUNT(*) FROM why WHERE what = 'INSERT INTO t "
				    "(id, missing) VALUES (?, ?) (301, ''it''''s missing'')' AND "
				    "sentence LIKE '%no column named missing%'"),
		1);
	assert_int_equal(
		in_file(b, "SELECT COUNT(*) FROM why WHERE sentence LIKE 'UNIQUE%'"), N / 3 - 1);
	assert_int_equal(in_file(b, "SELECT COUNT(*) FROM change"), 0);
	/* Somebody puts it right, and puts them back. */
	assert_int_equal(bench_sql(b, "ALTER TABLE t ADD COLUMN missing VARCHAR(20)"), DB_DONE);
	(void)in_file(b, "INSERT INTO change SELECT database, id, calls FROM refused "
			 "WHERE sentence IN (SELECT id FROM sentence WHERE text LIKE '%missing%')");
	(void)in_file(b, "DELETE FROM refused WHERE sentence IN "
			 "(SELECT id FROM sentence WHERE text LIKE '%missing%')");
	wait_for_count(b, N / 3 + 1 + N / 3);
}

/* A disk that takes nothing is no reason to leave a database alone that is back. */
static void without_its_disk_a_database_is_tried(void **state)
{
	struct bench *b = *state;
	struct db_lane *lane = lane_of(b, 1 << 16, 4 * MIB);
	uint64_t end = clock_now_ns() + LONG_NS;
	sqlite3 *file;

	assert_int_equal(sqlite3_open(spool_path(b), &file), SQLITE_OK);
	assert_int_equal(sqlite3_exec(file, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	give(b, lane, 0, 20);
	while (db_counter(b->db, DB_COUNTER_LOST) == 0 && clock_now_ns() < end)
		pause_ms(2);
	assert_int_equal(db_counter(b->db, DB_COUNTER_SPOOLED), 0);
	comes_back(b);
	wait_for_count(b, 20);
	assert_int_equal(sqlite3_exec(file, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(file);
}

/* A full one, whose database says no to all of it until somebody makes the table: what was taken is
 * made then, but for what is counted. */
static void a_full_one_that_is_refused_loses_nothing(void **state)
{
	struct bench *b = *state;
	struct db_lane *lane = lane_of(b, 32768, MIB);
	unsigned taken = give_until_full(b, lane);
	uint64_t end = clock_now_ns() + 2 * LONG_NS,
		 lost = db_counter(b->db, DB_COUNTER_SPOOL_LOST),
		 in_it = db_counter(b->db, DB_COUNTER_SPOOLED);

	come_back(b, "CREATE TABLE other (id BIGINT)");
	while (in_file(b, "SELECT COUNT(*) FROM refused") < (int64_t)in_it && clock_now_ns() < end)
		pause_ms(10);
	assert_true(in_file(b, "SELECT COUNT(*) FROM refused") >= (int64_t)in_it);
	bench_tables(b);
	while (bench_count(b) + (int64_t)(db_counter(b->db, DB_COUNTER_SPOOL_LOST) - lost) <
			taken &&
		clock_now_ns() < end) {
		(void)in_file(b, "INSERT INTO change SELECT database, id, calls FROM refused "
				 "WHERE true ON CONFLICT DO NOTHING");
		(void)in_file(b, "DELETE FROM refused WHERE EXISTS (SELECT * FROM change AS c "
				 "WHERE c.database = refused.database AND c.id = refused.id)");
		pause_ms(200);
	}
	lost = db_counter(b->db, DB_COUNTER_SPOOL_LOST) - lost;
	assert_int_equal(bench_count(b) + (int64_t)lost, taken);
	/* What stood in lanes behind it at most. */
	assert_true(lost <= taken - in_it);
}

/* ---- killed ---- */

static void reopen(struct bench *b)
{
	bench_open(b);
	(void)lane_of(b, 1 << 18, 16 * MIB);
}

/* A child of one thread, none of ours runs: it gives, and says how many are in the file. */
static void give_for_ever(struct bench *b, int fd)
{
	struct db_lane *lane;
	uint64_t n;

	bench_open(b);
	lane = lane_of(b, 1 << 18, 64 * MIB);
	for (unsigned i = 0; i < 1 << 20; i++) {
		give(b, lane, i, i + 1);
		n = db_counter(b->db, DB_COUNTER_SPOOLED);
		if (i % 16 == 0 && write(fd, &n, sizeof(n)) != sizeof(n))
			_exit(1);
		if (i % 64 == 0)
			usleep(50);
	}
}

static void killed_in_an_outage_it_loses_nothing(void **state)
{
	struct bench *b = *state;
	uint64_t n, told = 0;
	int fd[2], status;
	pid_t pid;

	db_destroy(b->db);
	b->db = NULL;
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		close(fd[0]);
		give_for_ever(b, fd[1]);
		_exit(0);
	}
	close(fd[1]);
	while (told < 5000 && read(fd[0], &n, sizeof(n)) == sizeof(n))
		told = n;
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (read(fd[0], &n, sizeof(n)) == sizeof(n))
		told = n;
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && told >= 5000);
	comes_back(b);
	reopen(b);
	wait_for_counter(b, DB_COUNTER_SPOOL_ROWS, 0);
	for (unsigned i = 0; i < 3000 && bench_count(b) < (int64_t)told; i++)
		pause_ms(10);
	wait_for_counter(b, DB_COUNTER_SPOOL_ROWS, 0);
	/* In order, so that all up to the last are there, each once. */
	assert_true(bench_count(b) >= (int64_t)told);
	assert_int_equal(number(b, "SELECT MAX(id) - COUNT(*) FROM t"), -1);
	assert_int_equal(db_counter(b->db, DB_COUNTER_REFUSED), 0);
	print_message("%lld were in the file of the killed\n", (long long)bench_count(b));
}

/* Killed while it makes what was there, until that is all. How many were made twice. */
static int64_t kill_on_the_way_back(struct bench *b, const char *tables)
{
	enum { N = 30000 };
	struct db_lane *lane = lane_of(b, 1 << 18, 16 * MIB);
	unsigned kills = 0, after_us = 2000;
	int64_t twice;

	give(b, lane, 0, N);
	db_destroy(b->db);
	b->db = NULL;
	come_back(b, tables);
	for (; in_file(b, "SELECT COUNT(*) FROM change") != 0; kills++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			reopen(b);
			for (;;)
				pause();
		}
		/* At any moment of it: later each time, so that there is an end. */
		usleep(after_us);
		after_us += after_us / 5;
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
	}
	reopen(b);
	wait_for_count(b, N);
	assert_int_equal(number(b, "SELECT MAX(id) FROM t"), N - 1);
	/* The key has refused those that were made a second time. */
	twice = in_file(b, "SELECT COUNT(*) FROM refused");
	print_message("%u kills, %lld of %d were made twice\n", kills, (long long)twice, N);
	assert_true(twice <= (int64_t)kills * 4096);
	return twice;
}

static void killed_on_the_way_back_it_loses_nothing(void **state)
{
	(void)kill_on_the_way_back(*state, TABLE_T);
}

/* Where the database keeps how far it has come. */
static void with_a_mark_nothing_is_made_twice(void **state)
{
	assert_int_equal(kill_on_the_way_back(*state,
				 TABLE_T ";CREATE TABLE siplane_spool (name VARCHAR(64) NOT NULL "
					 "UNIQUE, last VARCHAR(24) NOT NULL)"),
		0);
}

/* ---- stuck ---- */

static struct {
	struct db *db;
	_Atomic bool commits, goes_on, closed;
} stuck;

/* A driver that nobody can interrupt. */
static enum db_result stuck_step(void *link, enum db_step step, char *error, size_t error_size)
{
	if (step == DB_STEP_COMMIT) {
		stuck.commits = true;
		while (!stuck.goes_on)
			usleep(50);
	}
	return db_sqlite.step(link, step, error, error_size);
}

static void stuck_close(void *link)
{
	db_sqlite.close(link);
	stuck.closed = true;
}

/* A writer whose driver comes back when all has been stopped finds the spool, which it still works
 * on. What is freed too early is no text and no lock any more (M_PERTURB). */
static void a_writer_that_comes_back_too_late(void **state)
{
	struct bench *b = *state, other = *b;
	struct db_driver driver = db_sqlite;
	struct db_lane *lane;
	struct call c;
	char error[DB_ERROR_MAX] = "", url[DB_URL_MAX];

	if (!bench_is_sqlite(b))
		skip();
	driver.name = "stuck";
	driver.scheme[0] = "stuck";
	driver.step = stuck_step;
	driver.close = stuck_close;
	driver.interrupt = NULL;
	stuck.db = other.db = db_create(&other.config, error, sizeof(error));
	assert_non_null(other.db);
	assert_int_equal(db_driver_add(other.db, &driver), 0);
	snprintf(url, sizeof(url), "stuck://%s/test.sqlite", b->folder);
	other.database = db_use(other.db, url, error, sizeof(error));
	if (other.database < 0)
		fail_msg("%s", error);
	other.put = bench_statement(
		&other, "INSERT INTO t (id, name, n) VALUES (?, ?, ?)", NULL, NULL, 3);
	lane = lane_of(&other, 32768, MIB);
	assert_true(db_lane_change(lane, pack(&other, &c, other.put, 3, I(1), T("x"), I(1))));
	for (uint64_t end = clock_now_ns() + LONG_NS; !stuck.commits && clock_now_ns() < end;)
		usleep(50);
	assert_true(stuck.commits);
	mallopt(M_PERTURB, 0xa5);
	db_destroy(other.db);
	stuck.goes_on = true;
	for (uint64_t end = clock_now_ns() + LONG_NS; !stuck.closed && clock_now_ns() < end;)
		usleep(50);
	mallopt(M_PERTURB, 0);
	assert_true(stuck.closed);
	assert_int_equal(bench_count(b), 1);
}

/* ---- a slow disk ---- */

/* A spool's thread stands in the middle of a group: in the fsync of its file's log. */
static struct {
	sqlite3_vfs shim, *real;
	sqlite3_io_methods log; /* as the real ones, but for this: */
	int (*sync)(sqlite3_file *file, int flags);
	_Atomic bool on, stands, goes_on;
	_Atomic unsigned takes_ms; /* each time */
} disk;

static int slow_sync(sqlite3_file *file, int flags)
{
	if (disk.on)
		disk.stands = true;
	while (disk.on && !disk.goes_on)
		usleep(50);
	pause_ms(disk.takes_ms);
	return disk.sync(file, flags);
}

static int slow_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	int status = disk.real->xOpen(disk.real, name, file, flags, out);
	size_t len = name != NULL ? strlen(name) : 0;

	if (status != SQLITE_OK || len < 10 || strcmp(name + len - 10, "/spool-wal") != 0)
		return status;
	disk.log = *file->pMethods;
	disk.sync = disk.log.xSync;
	disk.log.xSync = slow_sync;
	file->pMethods = &disk.log;
	return status;
}

static void disk_begins(void)
{
	disk.on = disk.stands = disk.goes_on = false;
	disk.takes_ms = 0;
	disk.real = sqlite3_vfs_find(NULL);
	disk.shim = *disk.real;
	disk.shim.zName = "slow";
	disk.shim.xOpen = slow_open;
	assert_int_equal(sqlite3_vfs_register(&disk.shim, 1), SQLITE_OK);
}

static void disk_ends(void)
{
	assert_int_equal(sqlite3_vfs_unregister(&disk.shim), SQLITE_OK);
	assert_ptr_equal(sqlite3_vfs_find(NULL), disk.real);
}

/* The end waits for a disk that is slow as long as that goes on. */
static void a_slow_disk_is_waited_for(void **state)
{
	/* In all more than a disk has to answer; far less for a commit, which waits for it up to
	 * three times. */
	enum { N = 6 * 4096 + 100, TAKES_MS = DB_TIMEOUT_MS / 4, WAITED_MS = 2 * DB_TIMEOUT_MS };
	struct bench *b = *state;
	struct db_lane *lane;
	uint64_t begun;

	db_destroy(b->db);
	disk_begins();
	bench_open(b);
	lane = lane_of(b, 1 << 22, 16 * MIB);
	disk.takes_ms = TAKES_MS;
	give(b, lane, 0, N);
	begun = clock_now_ns();
	db_destroy(b->db);
	b->db = NULL;
	assert_true(clock_now_ns() - begun > WAITED_MS * CLOCK_NS_PER_MS);
	disk.takes_ms = 0;
	disk_ends();
	assert_int_equal(in_file(b, "SELECT COUNT(*) FROM change"), N);
}

/* A driver whose transactions stand at their beginning, and fail then. */
static struct {
	_Atomic bool on, stands, goes_on;
} broken;

static enum db_result broken_step(void *link, enum db_step step, char *error, size_t error_size)
{
	if (!broken.on || step != DB_STEP_BEGIN)
		return db_sqlite.step(link, step, error, error_size);
	broken.stands = true;
	while (!broken.goes_on)
		usleep(50);
	snprintf(error, error_size, "broken");
	return DB_DOWN;
}

static int use(struct bench *b, const char *url)
{
	char error[DB_ERROR_MAX] = "";
	int database = db_use(b->db, url, error, sizeof(error));

	if (database < 0)
		fail_msg("%s: %s", url, error);
	return database;
}

static bool holds_nothing(const struct db_lane *lane, int database)
{
	uint64_t at = lane_begin(lane, (unsigned)database);
	struct str calls;

	return !lane_next(lane, (unsigned)database, &at, &calls);
}

#define WAIT_UNTIL(condition) \
	do { \
		uint64_t end_ = clock_now_ns() + LONG_NS; \
\
		while (!(condition) && clock_now_ns() < end_) \
			usleep(50); \
		assert_true(condition); \
	} while (0)

/*
 * The spool takes what a lane has for a database that is away. While its file is written, another
 * one fails, to which the lane has given `before` changes by then, and becomes the spool's as well:
 * what that database has made already is not made again, and the lane goes on.
 */
static void what_was_made_stays_so(struct bench *b, unsigned before)
{
	enum { AT_ONCE = 100, DURING = 20 };
	const char *const insert = "INSERT INTO t (id, name, n) VALUES (?, ?, ?)";
	struct bench other = *b;
	struct db_driver driver = db_sqlite;
	struct db_lane *lane;
	char error[DB_ERROR_MAX] = "", url[DB_URL_MAX];
	unsigned put_away;
	struct call c;

	driver.name = "broken";
	driver.scheme[0] = "broken";
	driver.step = broken_step;
	broken.on = broken.stands = broken.goes_on = false;
	disk_begins();
	other.db = db_create(&other.config, error, sizeof(error));
	assert_non_null(other.db);
	assert_int_equal(db_driver_add(other.db, &driver), 0);
	snprintf(url, sizeof(url), "sqlite://%s/away/test.sqlite", b->folder);
	other.database = use(&other, url);
	put_away = bench_statement(&other, insert, NULL, NULL, 3);
	snprintf(url, sizeof(url), "broken://%s/test.sqlite", b->folder);
	other.database = use(&other, url);
	other.put = bench_statement(&other, insert, NULL, NULL, 3);
	lane = lane_of(&other, 32768, 16 * MIB);
	/* Not so many at once that the spool helps its writer. */
	for (unsigned n = 0; n < before; n += AT_ONCE) {
		give(&other, lane, n, n + AT_ONCE);
		WAIT_UNTIL(holds_nothing(lane, other.database));
	}
	assert_int_equal(db_counter(other.db, DB_COUNTER_SPOOLED), 0);
	/* One writer stands, then the spool behind the other one's change. */
	broken.on = true;
	give(&other, lane, before, before + DURING);
	WAIT_UNTIL(broken.stands);
	disk.on = true;
	assert_true(db_lane_change(lane, pack(&other, &c, put_away, 3, I(0), T("x"), I(0))));
	WAIT_UNTIL(disk.stands);
	assert_false(lane_is_spooled(lane, (unsigned)other.database));
	broken.goes_on = true;
	WAIT_UNTIL(lane_is_spooled(lane, (unsigned)other.database));
	broken.on = false;
	disk.goes_on = true;
	give(&other, lane, before + DURING, before + 2 * DURING);
	wait_for_count(b, before + 2 * DURING);
	db_destroy(other.db);
	disk_ends();
	assert_int_equal(in_file(b, "SELECT COUNT(*) FROM refused"), 0);
	assert_int_equal(in_file(b, "SELECT COUNT(*) FROM change"), 1);
	assert_int_equal(bench_count(b), before + 2 * DURING);
}

static void a_lane_that_becomes_spooled_in_a_group_keeps_its_place(void **state)
{
	if (!bench_is_sqlite(*state))
		skip();
	what_was_made_stays_so(*state, 100);
}

/* What was there at the beginning of its memory stands there no more. */
static void a_lane_that_went_round_and_becomes_spooled_goes_on(void **state)
{
	if (!bench_is_sqlite(*state))
		skip();
	what_was_made_stays_so(*state, 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
#define AWAY(f) cmocka_unit_test_setup_teardown(f, setup_away, teardown_away)
		CASE(what_is_no_spool_is_said),
		CASE(one_process_uses_it),
		CASE(without_an_outage_nothing_is_spooled),
		AWAY(an_outage_goes_to_the_file),
		AWAY(a_restart_goes_on_with_it),
		AWAY(a_full_one_refuses_and_counts),
		AWAY(what_is_refused_is_kept_aside),
		AWAY(without_its_disk_a_database_is_tried),
		AWAY(a_full_one_that_is_refused_loses_nothing),
		AWAY(killed_in_an_outage_it_loses_nothing),
		AWAY(killed_on_the_way_back_it_loses_nothing),
		AWAY(with_a_mark_nothing_is_made_twice),
		AWAY(a_slow_disk_is_waited_for),
		CASE(a_writer_that_comes_back_too_late),
		CASE(a_lane_that_becomes_spooled_in_a_group_keeps_its_place),
		CASE(a_lane_that_went_round_and_becomes_spooled_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
