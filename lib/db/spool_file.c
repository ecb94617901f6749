/* SPDX-License-Identifier: BSD-3-Clause */
/* spool_file: a spool on disk: it is opened, closed, filled and emptied. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "db/spool_sql.h"

#define APPLICATION 0x73707331 /* "sps1": its form, in SQLite's header */
#define PAGE 4096
#define BUSY_MS 1000    /* somebody looks into it with a shell */
#define REFUSED_SHARE 2 /* of the file is for what was refused and never stood in it */
#define WHAT_SHARE 8    /* ... from which on they say nothing as text */
#define OVER_SHARE 4
#define COUNT_NS (10 * CLOCK_NS_PER_S)

#define FORM \
	"PRAGMA application_id=%d; BEGIN IMMEDIATE;" \
	"CREATE TABLE spool (name TEXT NOT NULL, next INTEGER NOT NULL);" \
	"INSERT INTO spool VALUES (lower(hex(randomblob(%d))), 1);" \
	"CREATE TABLE database (id INTEGER PRIMARY KEY, url TEXT NOT NULL UNIQUE);" \
	"CREATE TABLE statement (id INTEGER PRIMARY KEY, text TEXT NOT NULL, " \
	"otherwise TEXT NOT NULL, UNIQUE (text, otherwise));" \
	"CREATE TABLE change (database INTEGER NOT NULL, id INTEGER NOT NULL, " \
	"calls BLOB NOT NULL, PRIMARY KEY (database, id)) WITHOUT ROWID;" \
	"CREATE TABLE sentence (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);" \
	"CREATE TABLE refused (database INTEGER NOT NULL, id INTEGER NOT NULL, " \
	"calls BLOB NOT NULL, at INTEGER NOT NULL, sentence INTEGER NOT NULL, what TEXT, " \
	"PRIMARY KEY (database, id)) WITHOUT ROWID;" \
	"CREATE VIEW why AS SELECT d.url, r.id, datetime(r.at, 'unixepoch') AS at, " \
	"s.text AS sentence, r.what FROM refused AS r JOIN database AS d ON d.id = r.database " \
	"JOIN sentence AS s ON s.id = r.sentence; COMMIT;"

static void forget_numbers(struct spool_file *f)
{
	memset(f->database, 0, sizeof(f->database));
	memset(f->statement, 0, sizeof(f->statement));
}

/* ---- open, close ---- */

static bool lock_file(struct spool_file *f, const char *path, char *error, size_t error_size)
{
	char name[DB_URL_MAX + 8];

	snprintf(name, sizeof(name), "%s-lock", path);
	f->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (f->lock >= 0 && flock(f->lock, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (f->lock >= 0 && errno == EWOULDBLOCK) {
		errno = EBUSY;
		snprintf(error, error_size, "another process uses it");
	} else {
		snprintf(error, error_size, "%.180s: %s", name, strerror(errno));
		errno = EIO;
	}
	return false;
}

static int number_by(struct spool_file *f, const char *sql, int64_t *out)
{
	sqlite3_stmt *stmt = NULL;
	int status = sqlite3_prepare_v2(f->sqlite, sql, -1, &stmt, NULL);

	if (status == SQLITE_OK && (status = sqlite3_step(stmt)) == SQLITE_ROW) {
		*out = sqlite3_column_int64(stmt, 0);
		status = SQLITE_OK;
	}
	sqlite3_finalize(stmt);
	return status;
}

static int read_name(struct spool_file *f)
{
	sqlite3_stmt *stmt = NULL;
	int status = sqlite3_prepare_v2(f->sqlite, "SELECT name FROM spool", -1, &stmt, NULL);

	if (status == SQLITE_OK && (status = sqlite3_step(stmt)) == SQLITE_ROW) {
		snprintf(f->name, sizeof(f->name), "%s", sqlite3_column_text(stmt, 0));
		status = SQLITE_OK;
	}
	sqlite3_finalize(stmt);
	return status;
}

/* The bytes of those. */
static int count_refused(struct spool_file *f)
{
	int64_t bytes = 0;
	int status = number_by(f,
		"SELECT CAST(total(length(calls) + length(coalesce(what, ''))) AS INTEGER) "
		"FROM refused",
		&bytes);

	f->refused = (uint64_t)bytes;
	return status;
}

static int execute(struct spool_file *f, const char *sql)
{
	return sqlite3_exec(f->sqlite, sql, NULL, NULL, NULL);
}

/* Empty ones become a spool; -1: it is something else. */
static int take_form(struct spool_file *f)
{
	int64_t application = 0, tables = 0;
	char sql[sizeof(FORM) + 32];
	int status = number_by(f, "PRAGMA application_id", &application);

	if (status == SQLITE_OK)
		status = number_by(f, "SELECT count(*) FROM sqlite_schema", &tables);
	if (status != SQLITE_OK || (application == APPLICATION && tables != 0))
		return status;
	/* Where it was made and not finished it has the mark and no tables. */
	if (tables != 0 || (application != 0 && application != APPLICATION))
		return -1;
	snprintf(sql, sizeof(sql), FORM, APPLICATION, NAME_BYTES);
	return execute(f, sql);
}

static int prepare_file(struct spool_file *f)
{
	int status;

	sqlite3_extended_result_codes(f->sqlite, 1);
	sqlite3_busy_timeout(f->sqlite, BUSY_MS);
	sqlite3_db_config(f->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(f->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* Before its first page; the mode of the log comes after that. */
	status = execute(f, "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL");
	if (status == SQLITE_OK)
		status = execute(f, "PRAGMA journal_mode=WAL");
	if (status == SQLITE_OK)
		status = execute(f, "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=4194304");
	if (status == SQLITE_OK)
		status = take_form(f);
	if (status == SQLITE_OK)
		status = read_name(f);
	if (status == SQLITE_OK)
		status = count_refused(f);
	return status;
}

struct spool_file *spool_file_open(
	struct db *db, const char *path, uint64_t bytes, char *error, size_t error_size)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	struct spool_file *f = calloc(1, sizeof(*f));
	int status;

	if (f == NULL) {
		snprintf(error, error_size, "no memory");
		errno = ENOMEM;
		return NULL;
	}
	f->db = db;
	f->lock = -1;
	sqlite_set_library();
	if (!sqlite_make_file(path, error, error_size)) {
		free(f);
		errno = EIO;
		return NULL;
	}
	if (!lock_file(f, path, error, error_size)) {
		status = errno;
		spool_file_close(f);
		errno = status;
		return NULL;
	}
	status = sqlite3_open_v2(path, &f->sqlite, flags, NULL);
	if (status == SQLITE_OK)
		status = prepare_file(f);
	if (status == SQLITE_OK) {
		spool_file_limit(f, bytes, false);
		return f;
	}
	if (status == -1)
		snprintf(error, error_size, "a database, and no spool");
	else
		snprintf(error, error_size, "%s",
			f->sqlite != NULL ? sqlite3_errmsg(f->sqlite) : sqlite3_errstr(status));
	spool_file_close(f);
	errno = EIO;
	return NULL;
}

void spool_file_close(struct spool_file *f)
{
	for (unsigned i = 0; i < SQL_COUNT_OF; i++)
		sqlite3_finalize(f->stmt[i]);
	sqlite3_close_v2(f->sqlite);
	if (f->lock >= 0)
		close(f->lock);
	free(f);
}

void spool_file_limit(struct spool_file *f, uint64_t bytes, bool over)
{
	char sql[64];

	f->bytes = bytes;
	if (over)
		bytes += bytes / OVER_SHARE;
	snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%llu",
		(unsigned long long)(bytes / PAGE < INT32_MAX ? bytes / PAGE : INT32_MAX));
	(void)execute(f, sql);
}

const char *spool_file_name(const struct spool_file *f)
{
	return f->name;
}

/* ---- transactions ---- */

enum spool_result spool_file_begin(struct spool_file *f, char *error, size_t error_size)
{
	return spool_sql_said(f, spool_sql_run(f, SQL_BEGIN, NULL, 0, NULL), error, error_size);
}

enum spool_result spool_file_commit(struct spool_file *f, char *error, size_t error_size)
{
	enum spool_result result =
		spool_sql_said(f, spool_sql_run(f, SQL_COMMIT, NULL, 0, NULL), error, error_size);

	if (result != SPOOL_DONE)
		spool_file_undo(f);
	return result;
}

void spool_file_undo(struct spool_file *f)
{
	if (spool_file_goes_on(f))
		(void)spool_sql_run(f, SQL_ROLLBACK, NULL, 0, NULL);
	forget_numbers(f);
}

bool spool_file_goes_on(const struct spool_file *f)
{
	return sqlite3_get_autocommit(f->sqlite) == 0;
}

/* ---- what comes in ---- */

static int database_of(struct spool_file *f, const struct database *d, int64_t *out)
{
	int64_t *known = &f->database[d->number];
	int status = SQLITE_OK;

	if (*known == 0)
		status = spool_sql_number(
			f, SQL_DATABASE, SQL_DATABASE_PUT, d->url.text, NULL, known);
	if (status != SQLITE_OK)
		*known = 0;
	*out = *known;
	return status;
}

static int to_file(void *arg, unsigned statement)
{
	struct numbering *n = arg;
	const struct statement *s = db_statement_of(n->f->db, statement);
	int64_t *known;

	if (s == NULL)
		return -EINVAL;
	known = &n->f->statement[statement];
	if (*known == 0)
		n->status = spool_sql_number(n->f, SQL_STATEMENT, SQL_STATEMENT_PUT, s->text,
			s->otherwise != NULL ? s->otherwise : "", known);
	if (n->status == SQLITE_OK && *known <= UINT16_MAX)
		return (int)*known;
	*known = 0;
	return -EINVAL;
}

/* The calls with the file's numbers, in f->calls. A status of SQLite. */
static int renumber_to_file(struct spool_file *f, struct str calls)
{
	struct numbering n = {.f = f, .status = SQLITE_OK};

	if (calls.len > sizeof(f->calls))
		return SQLITE_TOOBIG;
	memcpy(f->calls, calls.s, calls.len);
	if (db_renumber(f->calls, calls.len, to_file, &n) == 0)
		return SQLITE_OK;
	return n.status != SQLITE_OK ? n.status : SQLITE_MISMATCH;
}

enum spool_result spool_file_put(struct spool_file *f, const struct database *d, struct str calls,
	char *error, size_t error_size)
{
	int64_t id = 0, database = 0;
	int status = renumber_to_file(f, calls);

	if (status == SQLITE_OK)
		status = database_of(f, d, &database);
	if (status == SQLITE_OK)
		status = spool_sql_run(f, SQL_NEXT, NULL, 0, &id);
	if (status == SQLITE_ROW)
		status = spool_sql_ready(f, SQL_PUT);
	if (status == SQLITE_OK)
		status = sqlite3_bind_blob(
			f->stmt[SQL_PUT], 3, f->calls, (int)calls.len, SQLITE_STATIC);
	if (status == SQLITE_OK)
		status = spool_sql_run(f, SQL_PUT, (int64_t[]){database, id}, 2, NULL);
	return spool_sql_said(f, status, error, error_size);
}

/* ---- what goes ---- */

enum spool_result spool_file_strike(struct spool_file *f, const struct database *d, int64_t to,
	uint64_t *count, char *error, size_t error_size)
{
	int64_t database = 0;
	int status = database_of(f, d, &database);

	if (status == SQLITE_OK)
		status = spool_sql_run(f, SQL_STRIKE, (int64_t[]){database, to}, 2, NULL);
	*count = status == SQLITE_DONE ? (uint64_t)sqlite3_changes64(f->sqlite) : 0;
	return spool_sql_said(f, status, error, error_size);
}

/* Whether so much more has room in a share of the file; somebody may have taken some away. */
static bool has_share(struct spool_file *f, uint64_t bytes, unsigned share)
{
	uint64_t now = clock_now_ns();

	if (f->refused + bytes > f->bytes / share && now - f->counted > COUNT_NS) {
		(void)count_refused(f);
		f->counted = now;
	}
	return f->refused + bytes <= f->bytes / share;
}

/* The calls are in f->calls, with the file's numbers; f->what has so many bytes, or none of use. */
static int refuse(struct spool_file *f, int64_t database, int64_t id, uint32_t calls,
	const char *sentence, size_t what)
{
	int64_t param[] = {database, id, 0};
	int status = spool_sql_number(f, SQL_SENTENCE, SQL_SENTENCE_PUT, sentence, NULL, &param[2]);

	if (status == SQLITE_OK)
		status = spool_sql_ready(f, SQL_REFUSE);
	if (status == SQLITE_OK)
		status = sqlite3_bind_blob(
			f->stmt[SQL_REFUSE], 4, f->calls, (int)calls, SQLITE_STATIC);
	if (status == SQLITE_OK && what != 0)
		status = sqlite3_bind_text(
			f->stmt[SQL_REFUSE], 5, f->what, (int)what, SQLITE_STATIC);
	else if (status == SQLITE_OK)
		status = sqlite3_bind_null(f->stmt[SQL_REFUSE], 5);
	if (status == SQLITE_OK)
		status = spool_sql_run(f, SQL_REFUSE, param, 3, NULL);
	if (status == SQLITE_DONE)
		status = spool_sql_run(f, SQL_STRIKE_ONE, param, 2, NULL);
	return status;
}

enum spool_result spool_file_refuse(struct spool_file *f, const struct database *d, int64_t id,
	struct str calls, const char *sentence, char *error, size_t error_size)
{
	int64_t database = 0;
	size_t what = 0;
	int status;

	if (id == 0 && !has_share(f, calls.len, REFUSED_SHARE)) {
		snprintf(error, error_size, "what was refused before has its share of it");
		return SPOOL_FULL;
	}
	if (has_share(f, calls.len, WHAT_SHARE))
		what = spool_text_write(f->db, calls, f->what, sizeof(f->what));
	status = renumber_to_file(f, calls);
	if (status == SQLITE_OK)
		status = database_of(f, d, &database);
	if (status == SQLITE_OK && id == 0) {
		status = spool_sql_run(f, SQL_NEXT, NULL, 0, &id);
		status = status == SQLITE_ROW ? SQLITE_OK : status;
	}
	if (status == SQLITE_OK)
		status = refuse(f, database, id, calls.len, sentence, what);
	if (status == SQLITE_DONE)
		f->refused += calls.len + what;
	return spool_sql_said(f, status, error, error_size);
}

/* ---- what is there ---- */

enum spool_result spool_file_count(struct spool_file *f, const struct database *d, uint64_t *count,
	char *error, size_t error_size)
{
	int64_t database = 0, n = 0;
	int status = spool_sql_text(f, SQL_DATABASE, d->url.text, NULL, &database);

	/* Nothing was ever there for it. */
	*count = 0;
	if (status == SQLITE_DONE)
		return SPOOL_DONE;
	if (status == SQLITE_ROW)
		status = spool_sql_run(f, SQL_COUNT, &database, 1, &n);
	*count = (uint64_t)n;
	return spool_sql_said(f, status, error, error_size);
}

void spool_file_shrink(struct spool_file *f)
{
	(void)execute(f, "PRAGMA incremental_vacuum");
}
