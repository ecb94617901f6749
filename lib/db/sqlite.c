/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sqlite: a file, embedded. A write-ahead log, so that who asks waits for no one who changes; a
 * commit is on disk when it returns (synchronous=FULL) unless the URL says otherwise.
 *
 * A file that is replaced under us (an old copy brought back) is still there for who has it open:
 * what would be written into it would be lost, so each look at it asks whether it has moved.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/internal.h"

#define CACHE "PRAGMA cache_size=-16384" /* KiB of each connection */
/* The writer's: rows that are changed stand anywhere in the file, and a page that has gone from its
 * cache is read before it is written. Taken as it is used. */
#define CACHE_WRITE "PRAGMA cache_size=-262144"
/* Bytes that undo a statement stay in memory up to here: a file for them costs as many system calls
 * as the log. */
#define UNDO_BYTES (4 << 20)
#define LOG_LIMIT \
	"PRAGMA journal_size_limit=67108864" /* bytes that the log keeps when it is empty */
/* Pages of the log from which on it is written back, and from which on this waits for a moment in
 * which nobody reads it, so that it begins anew: where somebody always does, it would grow for
 * ever. */
#define LOG_PAGES 4000
#define LOG_PAGES_MAX 16000
#define LOG_WAIT_NS (200 * CLOCK_NS_PER_MS)
#define MODE 0600 /* it holds what passwords are checked by */
#define PROGRESS_STEPS 4096
#define LOOK_NS (100 * CLOCK_NS_PER_MS)
#define BUSY_MAX_US 10000
#define STEPS (DB_STEP_LOOK_END + 1)

struct file {
	sqlite3 *db;
	enum db_role role;
	bool dead;
	uint64_t deadline; /* of what it does now */
	uint64_t looked;   /* whether it has moved */
	int log_pages;     /* after the last commit */
	sqlite3_stmt *step[STEPS];
};

static const char *const step_sql[STEPS] = {
	[DB_STEP_BEGIN] = "BEGIN IMMEDIATE",
	[DB_STEP_COMMIT] = "COMMIT",
	[DB_STEP_ROLLBACK] = "ROLLBACK",
	[DB_STEP_PART] = "SAVEPOINT part",
	[DB_STEP_PART_KEEP] = "RELEASE part",
	/* One statement that does both there is not: see step_undo(). */
	[DB_STEP_PART_UNDO] = "ROLLBACK TO part",
	[DB_STEP_LOOK] = "BEGIN",
	[DB_STEP_LOOK_END] = "COMMIT",
};

/* ---- what went wrong ---- */

static enum db_result say(char *error, size_t error_size, enum db_result result, const char *text)
{
	snprintf(error, error_size, "%s", text);
	return result;
}

static enum db_result said(struct file *f, int status, char *error, size_t error_size)
{
	switch (status & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return say(error, error_size, DB_DOWN, "locked by another process");
	case SQLITE_INTERRUPT:
		return say(error, error_size, DB_DOWN, "it took too long");
	case SQLITE_FULL:
		return say(error, error_size, DB_DOWN, "the disk is full");
	case SQLITE_READONLY:
		/* What is allowed is looked at when the file is opened. */
		f->dead = true;
		return say(error, error_size, DB_DOWN, "the file may only be read");
	case SQLITE_ERROR:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_SCHEMA:
	case SQLITE_TOOBIG:
	case SQLITE_RANGE:
	case SQLITE_AUTH:
		return say(error, error_size, DB_REFUSED, sqlite3_errmsg(f->db));
	default:
		/* A disk that fails, a file that is damaged or none of SQLite's. */
		f->dead = true;
		return say(error, error_size, DB_DOWN, sqlite3_errmsg(f->db));
	}
}

/* ---- time ---- */

static void set_deadline(struct file *f, uint64_t deadline)
{
	f->deadline = deadline != 0 ? deadline : clock_now_ns() + DB_TIMEOUT_MS * CLOCK_NS_PER_MS;
}

/* Somebody else has locked it: longer and longer pauses. */
static int busy(void *arg, int count)
{
	struct file *f = arg;
	unsigned us = count < 10 ? 20u << count : BUSY_MAX_US;

	if (clock_now_ns() >= f->deadline)
		return 0;
	usleep(us < BUSY_MAX_US ? us : BUSY_MAX_US);
	return 1;
}

static int progress(void *arg)
{
	struct file *f = arg;

	return f->deadline != UINT64_MAX && clock_now_ns() >= f->deadline;
}

/* ---- open, close ---- */

static void close_file(void *link)
{
	struct file *f = link;

	for (unsigned i = 0; i < STEPS; i++)
		sqlite3_finalize(f->step[i]);
	/* The log of the last connection is written back. */
	sqlite3_close_v2(f->db);
	free(f);
}

/* Its folder has to be there: one that is made up would hide a wrong path. */
bool sqlite_make_file(const char *path, char *error, size_t error_size)
{
	char folder[DB_URL_MAX];
	char *slash;
	struct stat st;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash != NULL && slash != folder) {
		*slash = '\0';
		if (stat(folder, &st) != 0) {
			snprintf(error, error_size, "the folder %.180s: %s", folder,
				strerror(errno));
			return false;
		}
	}
	/* Without a descriptor: to close one would release the locks that other threads of this
	 * process have on the file. Its log gets the same mode from SQLite. */
	if (mknod(path, S_IFREG | MODE, 0) != 0 && errno != EEXIST) {
		snprintf(error, error_size, "%.180s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

static int note_log(void *arg, sqlite3 *db, const char *name, int pages)
{
	((struct file *)arg)->log_pages = pages;
	return SQLITE_OK;
}

static int pragma(struct file *f, const char *sql)
{
	return sqlite3_exec(f->db, sql, NULL, NULL, NULL);
}

/* Where several open a file at once that has no log yet, each has what the other one wants: SQLite
 * does not let them wait for each other. */
static int use_log(struct file *f)
{
	int status;

	for (int n = 0;; n++) {
		status = pragma(f, "PRAGMA journal_mode=WAL");
		if ((status & 0xff) != SQLITE_BUSY || !busy(f, n))
			return status;
	}
}

static int prepare_file(struct file *f, const struct db_url *url)
{
	int status;

	sqlite3_extended_result_codes(f->db, 1);
	sqlite3_busy_handler(f->db, busy, f);
	sqlite3_progress_handler(f->db, PROGRESS_STEPS, progress, f);
	sqlite3_db_config(f->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* Instead of writing back within a commit that somebody waits for: see rest(). */
	if (f->role == DB_ROLE_WRITE)
		sqlite3_wal_hook(f->db, note_log, f);
	/* A schema that others wrote calls no functions of its own accord. */
	sqlite3_db_config(f->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	status = pragma(f, f->role == DB_ROLE_WRITE ? CACHE_WRITE : CACHE);
	/* The first look at the file, too: whether it is one. */
	if (status == SQLITE_OK && !sqlite3_db_readonly(f->db, "main"))
		status = use_log(f);
	else if (status == SQLITE_OK)
		status = pragma(f, "PRAGMA schema_version");
	if (status == SQLITE_OK)
		status = pragma(
			f, url->fast ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL");
	if (status == SQLITE_OK)
		status = pragma(f, LOG_LIMIT);
	if (status == SQLITE_OK && f->role == DB_ROLE_ASK)
		status = pragma(f, "PRAGMA query_only=ON");
	return status;
}

/* Memory that is counted is counted under a lock of the process. Both without effect where somebody
 * has used the library before. */
static void set_library(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	(void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, UNDO_BYTES);
}

void sqlite_set_library(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, set_library);
}

static void *open_file(const struct db_url *url, enum db_role role, char *error, size_t error_size)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	struct file *f;
	int status;

	sqlite_set_library();
	if (!sqlite_make_file(url->path, error, error_size))
		return NULL;
	f = calloc(1, sizeof(*f));
	if (f == NULL) {
		snprintf(error, error_size, "no memory");
		return NULL;
	}
	f->role = role;
	set_deadline(f, 0);
	status = sqlite3_open_v2(url->path, &f->db, flags, NULL);
	if (status == SQLITE_OK)
		status = prepare_file(f, url);
	if (status == SQLITE_OK)
		return f;
	if (f->db != NULL)
		(void)said(f, status, error, error_size);
	else
		snprintf(error, error_size, "%s", sqlite3_errstr(status));
	close_file(f);
	return NULL;
}

static bool file_dead(void *link)
{
	return ((struct file *)link)->dead;
}

static void interrupt_file(void *link)
{
	sqlite3_interrupt(((struct file *)link)->db);
}

static bool has_moved(struct file *f, char *error, size_t error_size)
{
	int moved = 0;

	if (sqlite3_file_control(f->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK ||
		moved == 0)
		return false;
	f->dead = true;
	snprintf(error, error_size, "the file was removed or replaced");
	return true;
}

/* ---- statements ---- */

static enum db_result prepare(
	void *link, const char *sql, unsigned params, void **ready, char *error, size_t error_size)
{
	struct file *f = link;
	sqlite3_stmt *stmt = NULL;
	const char *rest = NULL;
	int status;

	set_deadline(f, 0);
	status = sqlite3_prepare_v3(f->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, &rest);
	if (status != SQLITE_OK)
		return said(f, status, error, error_size);
	if (stmt == NULL || rest[strspn(rest, " \t\r\n;")] != '\0' ||
		(unsigned)sqlite3_bind_parameter_count(stmt) != params) {
		sqlite3_finalize(stmt);
		return say(
			error, error_size, DB_REFUSED, "not one statement with so many parameters");
	}
	*ready = stmt;
	return DB_DONE;
}

static void unprepare(void *link, void *ready)
{
	sqlite3_finalize(ready);
}

static int bind(sqlite3_stmt *stmt, const struct db_run *run)
{
	int status = SQLITE_OK;

	for (unsigned i = 0; i < run->params && status == SQLITE_OK; i++) {
		const struct db_value *v = &run->param[i];
		int n = (int)i + 1;

		if (v->type == DB_INT)
			status = sqlite3_bind_int64(stmt, n, v->i);
		else if (v->type == DB_REAL)
			status = sqlite3_bind_double(stmt, n, v->r);
		else if (v->type == DB_TEXT)
			/* An empty span may have no place, which would be NULL. */
			status = sqlite3_bind_text(
				stmt, n, v->s.len != 0 ? v->s.s : "", (int)v->s.len, SQLITE_STATIC);
		else
			status = sqlite3_bind_null(stmt, n);
	}
	return status;
}

static void get_column(sqlite3_stmt *stmt, int n, struct db_value *v)
{
	switch (sqlite3_column_type(stmt, n)) {
	case SQLITE_INTEGER:
		*v = db_int(sqlite3_column_int64(stmt, n));
		break;
	case SQLITE_FLOAT:
		*v = (struct db_value){.type = DB_REAL, .r = sqlite3_column_double(stmt, n)};
		break;
	case SQLITE_NULL:
		*v = (struct db_value){.type = DB_NULL};
		break;
	default:
		/* A blob is text, too: its bytes. */
		v->s.s = sqlite3_column_blob(stmt, n);
		*v = db_text(str_of(v->s.s, (size_t)sqlite3_column_bytes(stmt, n)));
	}
}

/* DB_DONE, DB_REFUSED or DB_TOO_LONG; false in *more where no more rows are wanted. */
static enum db_result give_row(
	sqlite3_stmt *stmt, struct db_run *run, bool *more, char *error, size_t error_size)
{
	unsigned columns = (unsigned)sqlite3_column_count(stmt);
	struct db_value value[DB_COLUMNS_MAX];
	char number[DB_COLUMNS_MAX][32];

	if (columns > DB_COLUMNS_MAX || (run->columns != NULL && strlen(run->columns) != columns)) {
		snprintf(error, error_size, "%u columns, which are not those that are wanted",
			columns);
		return DB_REFUSED;
	}
	for (unsigned i = 0; i < columns; i++) {
		get_column(stmt, (int)i, &value[i]);
		if (value[i].type == DB_TEXT && value[i].s.len > DB_VALUE_MAX) {
			snprintf(error, error_size, "column %s: a text of %u bytes",
				sqlite3_column_name(stmt, (int)i), value[i].s.len);
			return DB_TOO_LONG;
		}
		if (run->columns != NULL)
			value[i] = db_value_turn(run->columns[i], &value[i], number[i]);
	}
	*more = run->visit(run->arg, value, columns);
	return DB_DONE;
}

static enum db_result run_rows(
	struct file *f, sqlite3_stmt *stmt, struct db_run *run, char *error, size_t error_size)
{
	enum db_result result = DB_DONE;
	bool more = true;
	int status = SQLITE_ROW;

	while (more && result == DB_DONE && (status = sqlite3_step(stmt)) == SQLITE_ROW) {
		/* An answer that is long may take long, as long as there is another row in time. */
		if (run->deadline == 0)
			set_deadline(f, 0);
		if (run->visit != NULL)
			result = give_row(stmt, run, &more, error, error_size);
	}
	if (status != SQLITE_ROW && status != SQLITE_DONE)
		return said(f, status, error, error_size);
	return result;
}

/* Now and then: a question may be all that uses a connection. */
static bool look(struct file *f, char *error, size_t error_size)
{
	uint64_t now = clock_now_ns();

	if (now - f->looked < LOOK_NS || !sqlite3_get_autocommit(f->db))
		return true;
	f->looked = now;
	return !has_moved(f, error, error_size);
}

static enum db_result run(
	void *link, void *ready, struct db_run *run, char *error, size_t error_size)
{
	struct file *f = link;
	sqlite3_stmt *stmt = ready;
	enum db_result result;
	int status;

	run->changed = 0;
	if (!look(f, error, error_size))
		return DB_DOWN;
	set_deadline(f, run->deadline);
	status = bind(stmt, run);
	if (status == SQLITE_OK)
		result = run_rows(f, stmt, run, error, error_size);
	else
		result = said(f, status, error, error_size);
	/* It was no lock of somebody else's: that was waited for before the first change. */
	if (result == DB_DOWN && !f->dead && clock_now_ns() >= f->deadline &&
		f->role == DB_ROLE_WRITE)
		run->fault = DB_FAULT_LOCKED;
	if (result == DB_DONE && !sqlite3_stmt_readonly(stmt))
		run->changed = (uint64_t)sqlite3_changes64(f->db);
	sqlite3_reset(stmt);
	return result;
}

/* ---- transactions ---- */

static int run_step(struct file *f, enum db_step step)
{
	int status;

	if (f->step[step] == NULL) {
		status = sqlite3_prepare_v3(
			f->db, step_sql[step], -1, SQLITE_PREPARE_PERSISTENT, &f->step[step], NULL);
		if (status != SQLITE_OK)
			return status;
	}
	status = sqlite3_step(f->step[step]);
	sqlite3_reset(f->step[step]);
	return status == SQLITE_DONE ? SQLITE_OK : status;
}

static enum db_result take_step(void *link, enum db_step step, char *error, size_t error_size)
{
	struct file *f = link;
	int status;

	/* A disk that is full or fails has ended the transaction by itself. */
	if (step == DB_STEP_ROLLBACK && sqlite3_get_autocommit(f->db))
		return DB_DONE;
	/* Who changes has the file for himself. */
	if (step == DB_STEP_HURRY || step == DB_STEP_PATIENCE)
		return DB_DONE;
	if ((step == DB_STEP_BEGIN || step == DB_STEP_LOOK) && has_moved(f, error, error_size))
		return DB_DOWN;
	set_deadline(f, 0);
	/* One that nothing could end before. */
	if ((step == DB_STEP_BEGIN || step == DB_STEP_LOOK) && !sqlite3_get_autocommit(f->db))
		(void)run_step(f, DB_STEP_ROLLBACK);
	status = run_step(f, step);
	/* What was rolled back to is still there. */
	if (status == SQLITE_OK && step == DB_STEP_PART_UNDO)
		status = run_step(f, DB_STEP_PART_KEEP);
	return status == SQLITE_OK ? DB_DONE : said(f, status, error, error_size);
}

/* Where somebody else is in the way it is tried again after the next commit. */
static void rest(void *link)
{
	struct file *f = link;
	int mode = f->log_pages < LOG_PAGES_MAX ? SQLITE_CHECKPOINT_PASSIVE
						: SQLITE_CHECKPOINT_RESTART;
	char ignored[DB_ERROR_MAX];
	int status;

	if (f->log_pages < LOG_PAGES)
		return;
	f->log_pages = 0;
	set_deadline(f, clock_now_ns() + LOG_WAIT_NS);
	status = sqlite3_wal_checkpoint_v2(f->db, "main", mode, NULL, NULL);
	if (status != SQLITE_OK)
		(void)said(f, status, ignored, sizeof(ignored));
}

const struct db_driver db_sqlite = {
	.name = "sqlite",
	.scheme = {"sqlite"},
	.file = true,
	.goes_on = true,
	.open = open_file,
	.close = close_file,
	.prepare = prepare,
	.unprepare = unprepare,
	.run = run,
	.step = take_step,
	.dead = file_dead,
	.rest = rest,
	.interrupt = interrupt_file,
};
