/* SPDX-License-Identifier: BSD-3-Clause */
/* A SQLite file on bad days: not there, not ours, locked, damaged, full, replaced, read-only, slow.
 */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static const char *program;

static const char *path_of(struct bench *b, const char *name)
{
	static char path[2][128];
	static unsigned turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", b->folder, name);
	return path[turn];
}

static const char *error_of(struct bench *b)
{
	static struct db_state is;

	assert_true(db_state(b->db, b->database, &is));
	return is.error;
}

#define PATIENCE_MS 60000 /* a test that fails waits so long */

/* The thread that has met it says so behind its answer. */
static void expect_error(struct bench *b, const char *wanted)
{
	for (int i = 0; i < PATIENCE_MS / 10 && strcmp(error_of(b), wanted) != 0; i++)
		pause_ms(10);
	assert_string_equal(error_of(b), wanted);
}

/* Asks until it is answered, for as long as pauses between connections may be. */
static void comes_back(struct bench *b)
{
	struct heard h;
	struct call c;
	uint64_t end = clock_now_ns() + (DB_RETRY_MAX_MS + PATIENCE_MS) * CLOCK_NS_PER_MS;

	while (ask(b, pack(b, &c, b->find, 1, I(1)), &h) != DB_DONE && clock_now_ns() < end)
		pause_ms(10);
	assert_int_equal(h.result, DB_DONE);
	while (change(b, pack(b, &c, b->set, 2, I(1), I(99999)), &h) != DB_DONE &&
		clock_now_ns() < end)
		pause_ms(10);
	assert_int_equal(h.result, DB_DONE);
	/* A thread may have met what was wrong just now. */
	while (error_of(b)[0] != '\0' && clock_now_ns() < end)
		(void)ask(b, pack(b, &c, b->find, 1, I(1)), &h);
	assert_string_equal(error_of(b), "");
}

static int setup(void **state)
{
	struct bench *b = bench_new();

	log_set_level(getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	snprintf(b->url, sizeof(b->url), "sqlite://%s/test.sqlite", b->folder);
	*state = b;
	return 0;
}

static void open_with_row(struct bench *b)
{
	bench_open(b);
	bench_tables(b);
	assert_int_equal(bench_sql(b, "INSERT INTO t (id, name, n) VALUES (1, 'a', 1)"), DB_DONE);
}

/* Another process that does `what` to `path`, and has done so when this returns. */
static pid_t another(const char *what, const char *path)
{
	char ready = 0;
	int fd[2];
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		char number[16];

		snprintf(number, sizeof(number), "%d", fd[1]);
		execl(program, program, what, path, number, (char *)NULL);
		_exit(127);
	}
	close(fd[1]);
	assert_int_equal(read(fd[0], &ready, 1), 1);
	close(fd[0]);
	return pid;
}

static void end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* ---- the file ---- */

static void a_folder_that_is_not_there_is_named(void **state)
{
	struct bench *b = *state;
	struct heard h;
	struct call c;

	snprintf(b->url, sizeof(b->url), "sqlite://%s/no/test.sqlite", b->folder);
	bench_open(b);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &h), DB_DOWN);
	assert_non_null(strstr(error_of(b), "the folder "));
	assert_non_null(strstr(error_of(b), "/no: No such file"));
	assert_int_equal(mkdir(path_of(b, "no"), 0700), 0);
	/* It is there, and empty: what is missing now is the table. */
	for (int i = 0; i < PATIENCE_MS / 10 && h.result == DB_DOWN; i++) {
		pause_ms(10);
		(void)ask(b, pack(b, &c, b->find, 1, I(1)), &h);
	}
	assert_int_equal(h.result, DB_REFUSED);
	assert_non_null(strstr(error_of(b), "no such table: t"));
	db_destroy(b->db);
	b->db = NULL;
	(void)unlink(path_of(b, "no/test.sqlite"));
	(void)rmdir(path_of(b, "no"));
}

static void nobody_else_may_read_it(void **state)
{
	struct bench *b = *state;
	const char *name[] = {"test.sqlite", "test.sqlite-wal", "test.sqlite-shm"};
	mode_t before = umask(0);
	struct heard h;
	struct call c;
	struct stat st;

	open_with_row(b);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &h), DB_DONE);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(stat(path_of(b, name[i]), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	umask(before);
}

static void the_mode_of_a_file_that_is_there_stays(void **state)
{
	struct bench *b = *state;
	struct stat st;

	close(open(path_of(b, "test.sqlite"), O_CREAT | O_WRONLY, 0600));
	assert_int_equal(chmod(path_of(b, "test.sqlite"), 0640), 0);
	open_with_row(b);
	assert_int_equal(stat(path_of(b, "test.sqlite"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void a_relative_path_is_below_its_folder(void **state)
{
	struct bench *b = *state;
	struct stat st;

	b->config.base_dir = b->folder;
	snprintf(b->url, sizeof(b->url), "sqlite://test.sqlite");
	open_with_row(b);
	assert_int_equal(stat(path_of(b, "test.sqlite"), &st), 0);
}

static int64_t number(struct bench *b, const char *sql)
{
	unsigned s = bench_statement(b, sql, NULL, "i", 0);
	struct heard h;
	struct call c;

	assert_int_equal(ask(b, pack(b, &c, s, 0), &h), DB_DONE);
	return atoll(h.text[0]);
}

static void a_commit_is_on_disk_unless_the_url_says_otherwise(void **state)
{
	struct bench *b = *state;

	open_with_row(b);
	assert_int_equal(number(b, "PRAGMA synchronous"), 2);
	db_destroy(b->db);
	snprintf(b->url, sizeof(b->url), "sqlite://%s/test.sqlite?synchronous=normal", b->folder);
	bench_open(b);
	assert_int_equal(number(b, "PRAGMA synchronous"), 1);
	assert_int_equal(bench_count(b), 1);
}

/* Questions change nothing, whatever they are. */
static void who_asks_may_not_change(void **state)
{
	struct bench *b = *state;
	unsigned s;
	struct heard h;
	struct call c;

	open_with_row(b);
	s = bench_statement(b, "DELETE FROM t RETURNING name", NULL, "s", 0);
	assert_int_not_equal(ask(b, pack(b, &c, s, 0), &h), DB_DONE);
	assert_int_equal(bench_count(b), 1);
}

static void what_is_no_database_is_said(void **state)
{
	struct bench *b = *state;
	char junk[8192];
	struct heard h;
	struct call c;
	int fd = open(path_of(b, "test.sqlite"), O_CREAT | O_WRONLY, 0600);

	memset(junk, 'j', sizeof(junk));
	assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
	close(fd);
	bench_open(b);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &h), DB_DOWN);
	assert_non_null(strstr(error_of(b), "not a database"));
	assert_int_equal(change(b, pack(b, &c, b->set, 2, I(1), I(1)), &h), DB_DOWN);
	assert_int_equal(unlink(path_of(b, "test.sqlite")), 0);
	bench_tables(b);
	comes_back(b);
}

static void a_damaged_file_is_said(void **state)
{
	struct bench *b = *state;
	char junk[4096];
	struct heard h;
	struct call c;
	struct stat st;
	unsigned down = 0;
	int fd;

	bench_open(b);
	bench_tables(b);
	for (int i = 0; i < 5000; i += 100) {
		c.s.len = 0;
		for (int n = i; n < i + 100; n++)
			pack_more(
				b, &c, b->put, 3, I(n), T("some name that takes its place"), I(n));
		assert_int_equal(change(b, c.s, &h), DB_DONE);
	}
	db_destroy(b->db);
	b->db = NULL;
	assert_int_equal(stat(path_of(b, "test.sqlite"), &st), 0);
	memset(junk, 0xff, sizeof(junk));
	fd = open(path_of(b, "test.sqlite"), O_WRONLY);
	/* All but the first page and some at the end. */
	for (off_t at = 4096; at < st.st_size - 10 * 4096; at += 4096)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
	close(fd);
	bench_open(b);
	for (int i = 0; i < 20; i++) {
		down += ask(b, pack(b, &c, b->find, 1, I(i)), &h) == DB_DOWN;
		assert_int_not_equal(h.result, DB_DONE);
	}
	assert_true(down != 0);
	assert_non_null(strstr(error_of(b), "malformed"));
	assert_int_not_equal(change(b, pack(b, &c, b->put, 3, I(1), T(""), I(1)), &h), DB_DONE);
	/* A good one is put in its place. */
	(void)unlink(path_of(b, "test.sqlite-wal"));
	(void)unlink(path_of(b, "test.sqlite-shm"));
	assert_int_equal(unlink(path_of(b, "test.sqlite")), 0);
	bench_tables(b);
	comes_back(b);
}

/* What is written into a file that has been removed would be lost. */
static void a_file_that_is_replaced_is_taken(void **state)
{
	struct bench *b = *state;
	struct heard h;
	struct call c;
	char error[DB_ERROR_MAX];
	struct bench *other = bench_new();

	snprintf(other->url, sizeof(other->url), "sqlite://%s/other.sqlite", b->folder);
	bench_open(other);
	bench_tables(other);
	assert_int_equal(
		bench_sql(other, "INSERT INTO t (id, name, n) VALUES (1, 'new', 1)"), DB_DONE);
	db_destroy(other->db);
	rmdir(other->folder);
	free(other);
	open_with_row(b);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &h), DB_DONE);
	assert_string_equal(h.text[0], "a");
	assert_int_equal(change(b, pack(b, &c, b->set, 2, I(7), I(1)), &h), DB_DONE);
	(void)unlink(path_of(b, "test.sqlite-wal"));
	(void)unlink(path_of(b, "test.sqlite-shm"));
	assert_int_equal(rename(path_of(b, "other.sqlite"), path_of(b, "test.sqlite")), 0);
	assert_int_equal(change(b, pack(b, &c, b->set, 2, I(8), I(1)), &h), DB_DONE);
	pause_ms(120);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &h), DB_DONE);
	assert_string_equal(h.text[0], "new");
	assert_string_equal(h.text[1], "8");
	pack(b, &c, b->find, 1, I(1));
	assert_int_equal(db_now(b->db, c.s, NULL, NULL, NULL, error, sizeof(error)), DB_DONE);
}

/* ---- locks, time ---- */

static void locked_for_a_while_is_waited_for(void **state)
{
	struct bench *b = *state;
	struct heard h = {0};
	struct call c;
	pid_t pid;

	open_with_row(b);
	pid = another("lock", path_of(b, "test.sqlite"));
	assert_int_equal(db_change(b->db, pack(b, &c, b->set, 2, I(7), I(1)), hear, &h), 0);
	for (int i = 0; i < 30; i++) {
		pause_ms(10);
		(void)db_poll(b->db, clock_now_ns());
	}
	assert_int_equal(h.times, 0);
	end(pid);
	poll_until(b, &h.times, 1);
	assert_int_equal(h.result, DB_DONE);
}

static void locked_for_long_is_said(void **state)
{
	struct bench *b = *state;
	struct heard h, asked;
	struct call c;
	uint64_t before;
	pid_t pid;

	open_with_row(b);
	pid = another("lock", path_of(b, "test.sqlite"));
	before = clock_now_ns();
	memset(&h, 0, sizeof(h));
	assert_int_equal(db_change(b->db, pack(b, &c, b->set, 2, I(7), I(1)), hear, &h), 0);
	/* Who asks sees what was there before. */
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &asked), DB_DONE);
	assert_true(clock_now_ns() - before < 3 * CLOCK_NS_PER_S);
	poll_until(b, &h.times, 1);
	assert_int_equal(h.result, DB_DOWN);
	assert_in_range(clock_now_ns() - before, 3800 * CLOCK_NS_PER_MS, 20000 * CLOCK_NS_PER_MS);
	expect_error(b, "locked by another process");
	/* At once, meanwhile. */
	before = clock_now_ns();
	assert_int_equal(change(b, pack(b, &c, b->set, 2, I(7), I(1)), &h), DB_DOWN);
	assert_true(clock_now_ns() - before < 3 * CLOCK_NS_PER_S);
	end(pid);
	comes_back(b);
}

static void a_question_that_takes_too_long_ends(void **state)
{
	struct bench *b = *state;
	struct heard h[2], quick;
	unsigned slow, meanwhile = 0;
	uint64_t before;
	struct call c;

	open_with_row(b);
	slow = bench_statement(b,
		"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < "
		"1000000000000) SELECT COUNT(*) FROM c",
		NULL, "i", 0);
	memset(h, 0, sizeof(h));
	before = clock_now_ns();
	assert_int_equal(db_ask(b->db, pack(b, &c, slow, 0), hear, &h[0]), 0);
	/* The other thread goes on meanwhile: behind that question nothing would be answered before
	 * it. */
	pause_ms(50);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &quick), DB_DONE);
		meanwhile += h[0].times == 0;
	}
	assert_true(meanwhile > 0);
	poll_until(b, &h[0].times, 1);
	assert_int_equal(h[0].result, DB_DOWN);
	assert_in_range(clock_now_ns() - before, 3800 * CLOCK_NS_PER_MS, 20000 * CLOCK_NS_PER_MS);
	/* The connection is good. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &quick), DB_DONE);
	assert_int_equal(db_counter(b->db, DB_COUNTER_LOST), 0);
}

static void the_end_does_not_wait_for_questions(void **state)
{
	struct bench *b = *state;
	struct heard h = {0};
	uint64_t before;
	unsigned slow;
	struct call c;

	open_with_row(b);
	slow = bench_statement(b,
		"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < "
		"1000000000000) SELECT COUNT(*) FROM c",
		NULL, "i", 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(db_ask(b->db, pack(b, &c, slow, 0), hear, &h), 0);
	pause_ms(50);
	before = clock_now_ns();
	db_destroy(b->db);
	b->db = NULL;
	assert_true(clock_now_ns() - before < 3 * CLOCK_NS_PER_S);
}

/* Two of us, as two processes would: neither loses a change to the other. */
static void two_writers_share_it(void **state)
{
	enum { N = 300 };
	struct bench *b = *state, other;
	static struct heard h[2];
	struct call c;

	open_with_row(b);
	other = *b;
	bench_open(&other);
	memset(h, 0, sizeof(h));
	for (int i = 0; i < N; i++) {
		pack(b, &c, b->put, 3, I(10 + 2 * i), T("x"), I(0));
		assert_int_equal(db_change(b->db, c.s, hear, &h[0]), 0);
		pack(&other, &c, other.put, 3, I(11 + 2 * i), T("x"), I(0));
		assert_int_equal(db_change(other.db, c.s, hear, &h[1]), 0);
		if (i % 10 == 0) {
			(void)db_poll(b->db, clock_now_ns());
			(void)db_poll(other.db, clock_now_ns());
			assert_int_equal(h[0].result, DB_DONE);
			assert_int_equal(h[1].result, DB_DONE);
		}
	}
	poll_until(b, &h[0].times, N);
	poll_until(&other, &h[1].times, N);
	assert_int_equal(bench_count(b), 1 + 2 * N);
	db_destroy(other.db);
}

/* The first that is asked of a file that is not there yet, by all at once. */
static void *first_asks(void *arg)
{
	struct bench *b = arg;
	char error[DB_ERROR_MAX] = "";
	struct link *l = now_take(db_database_of(b->db, 0), error, sizeof(error));
	struct db_run run = {0};

	if (l == NULL)
		return strdup(error);
	if (link_sql(l, "CREATE TABLE IF NOT EXISTS t (id INTEGER)", &run, error, sizeof(error)) !=
		DB_DONE)
		return strdup(error);
	now_give(db_database_of(b->db, 0), l);
	return NULL;
}

static void all_open_it_at_once(void **state)
{
	enum { N = 12 };
	struct bench *b = *state;
	pthread_t thread[N];
	void *error[N];

	for (int round = 0; round < 5; round++) {
		bench_open(b);
		for (int i = 0; i < N; i++)
			assert_int_equal(pthread_create(&thread[i], NULL, first_asks, b), 0);
		for (int i = 0; i < N; i++)
			pthread_join(thread[i], &error[i]);
		for (int i = 0; i < N; i++) {
			if (error[i] != NULL)
				fail_msg("%s", (char *)error[i]);
		}
		db_destroy(b->db);
		b->db = NULL;
		assert_int_equal(unlink(path_of(b, "test.sqlite")), 0);
	}
}

/* ---- the log ---- */

struct reader {
	const char *path;
	_Atomic bool *stop;
	unsigned after_ms;
};

/* Reads for 20 ms at a time. Two of them leave no moment without a reader. */
static void *read_on(void *arg)
{
	struct reader *r = arg;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(r->path, &db), SQLITE_OK);
	pause_ms(r->after_ms);
	while (!*r->stop) {
		(void)sqlite3_exec(db, "BEGIN; SELECT COUNT(*) FROM u", NULL, NULL, NULL);
		pause_ms(20);
		(void)sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	}
	sqlite3_close(db);
	return NULL;
}

static void the_log_does_not_grow_for_ever(void **state)
{
	enum { N = 60000 };
	struct bench *b = *state;
	static char text[3800];
	_Atomic bool stop = false;
	struct reader reader[2];
	pthread_t thread[2];
	struct heard h = {0};
	off_t most = 0;
	struct call c;
	struct stat st;

	open_with_row(b);
	for (unsigned i = 0; i < 2; i++) {
		reader[i] = (struct reader){b->url + strlen("sqlite://"), &stop, i * 10};
		assert_int_equal(pthread_create(&thread[i], NULL, read_on, &reader[i]), 0);
	}
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 2; i < N; i++) {
		pack(b, &c, b->put, 3, I(i), T(text), I(i));
		assert_int_equal(db_change(b->db, c.s, hear, &h), 0);
		while (h.times + 1000 < (unsigned)i)
			if (db_poll(b->db, clock_now_ns()) == 0)
				usleep(50);
		if (i % 100 == 0 && stat(path_of(b, "test.sqlite-wal"), &st) == 0 &&
			st.st_size > most)
			most = st.st_size;
	}
	poll_until(b, &h.times, N - 2);
	stop = true;
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	print_message("%lld bytes\n", (long long)most);
	assert_true(most < 128 << 20);
}

/* ---- full, read-only ---- */

static void a_full_disk_is_said(void **state)
{
	struct bench *b = *state;
	static char text[4001];
	struct heard h;
	struct call c;
	char *filler;
	int fd, i = 2;

	/* In a mount namespace of this process, which ends with it. */
	if (unshare(CLONE_NEWNS) != 0 ||
		mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("tmpfs", b->folder, "tmpfs", 0, "size=2m") != 0) {
		print_message("skipped: no file system can be mounted: %s\n", strerror(errno));
		skip();
	}
	open_with_row(b);
	memset(text, 'x', sizeof(text) - 1);
	/* All but half a megabyte. */
	fd = open(path_of(b, "filler"), O_CREAT | O_WRONLY, 0600);
	filler = calloc(1, 1400 << 10);
	assert_true(write(fd, filler, 1400 << 10) > 0);
	free(filler);
	do
		(void)change(b, pack(b, &c, b->put, 3, I(i), T(text), I(i)), &h);
	while (h.result == DB_DONE && ++i < 1000);
	assert_int_equal(h.result, DB_DOWN);
	expect_error(b, "the disk is full");
	/* What was done is there, what was not is not. */
	assert_int_equal(bench_count(b), i - 1);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(i)), &h), DB_DONE);
	assert_int_equal(h.rows, 0);
	close(fd);
	assert_int_equal(unlink(path_of(b, "filler")), 0);
	comes_back(b);
	db_destroy(b->db);
	b->db = NULL;
	assert_int_equal(umount(b->folder), 0);
}

static int try_read_only(const char *folder)
{
	struct bench b = {0};
	char error[DB_ERROR_MAX];
	struct db_state is;
	struct heard *h = calloc(1, sizeof(*h));
	struct call c;

	snprintf(b.url, sizeof(b.url), "sqlite://%s/test.sqlite", folder);
	b.db = db_create(&b.config, error, sizeof(error));
	b.database = db_use(b.db, b.url, error, sizeof(error));
	b.find = bench_statement(&b, "SELECT name, n FROM t WHERE id = ?", NULL, "si", 1);
	b.set = bench_statement(&b, "UPDATE t SET n = ? WHERE id = ?", NULL, NULL, 2);
	if (ask(&b, pack(&b, &c, b.find, 1, I(1)), h) != DB_DONE || h->rows != 1)
		return 1;
	if (change(&b, pack(&b, &c, b.set, 2, I(1), I(1)), h) != DB_DOWN)
		return 2;
	for (int i = 0; i < PATIENCE_MS / 10 && db_state(b.db, 0, &is) &&
			strcmp(is.error, "the file may only be read") != 0;
		i++)
		pause_ms(10);
	if (!db_state(b.db, 0, &is) || strcmp(is.error, "the file may only be read") != 0)
		return 3;
	if (ask(&b, pack(&b, &c, b.find, 1, I(1)), h) != DB_DONE)
		return 4;
	db_destroy(b.db);
	free(h);
	return 0;
}

static void a_file_that_may_only_be_read_is_read(void **state)
{
	struct bench *b = *state;
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("skipped: only root can become somebody who may not write\n");
		skip();
	}
	open_with_row(b);
	assert_int_equal(bench_sql(b, "PRAGMA journal_mode=DELETE"), DB_DONE);
	db_destroy(b->db);
	b->db = NULL;
	assert_int_equal(chmod(path_of(b, "test.sqlite"), 0444), 0);
	assert_int_equal(chmod(b->folder, 0755), 0);
	pid = fork();
	if (pid == 0) {
		if (setresuid(NOBODY, NOBODY, NOBODY) != 0)
			_exit(99);
		_exit(try_read_only(b->folder));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- another process ---- */

static int lock(const char *path)
{
	sqlite3 *db;

	if (sqlite3_open(path, &db) != SQLITE_OK ||
		sqlite3_exec(db, "BEGIN IMMEDIATE; UPDATE t SET n = n", NULL, NULL, NULL) !=
			SQLITE_OK)
		return 1;
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, bench_teardown)
		CASE(a_folder_that_is_not_there_is_named),
		CASE(nobody_else_may_read_it),
		CASE(the_mode_of_a_file_that_is_there_stays),
		CASE(a_relative_path_is_below_its_folder),
		CASE(a_commit_is_on_disk_unless_the_url_says_otherwise),
		CASE(who_asks_may_not_change),
		CASE(what_is_no_database_is_said),
		CASE(a_damaged_file_is_said),
		CASE(a_file_that_is_replaced_is_taken),
		CASE(locked_for_a_while_is_waited_for),
		CASE(locked_for_long_is_said),
		CASE(a_question_that_takes_too_long_ends),
		CASE(the_end_does_not_wait_for_questions),
		CASE(two_writers_share_it),
		CASE(all_open_it_at_once),
		CASE(the_log_does_not_grow_for_ever),
		CASE(a_full_disk_is_said),
		CASE(a_file_that_may_only_be_read_is_read),
	};

	program = argv[0];
	if (argc == 4 && strcmp(argv[1], "lock") == 0) {
		if (lock(argv[2]) != 0 || write(atoi(argv[3]), "", 1) != 1)
			return 1;
		pause();
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
