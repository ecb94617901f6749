/* SPDX-License-Identifier: BSD-3-Clause */
/* spool_file: a spool on disk. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "db/spool_file.h"

#define APPLICATION 0x73707331 /* "sps1": its form, in SQLite's header */
#define PAGE 4096
#define BUSY_MS 1000    /* somebody looks into it with a shell */
#define REFUSED_SHARE 2 /* of the file is for what was refused and never stood in it */
#define WHAT_SHARE 8    /* ... from which on they say nothing as text */
#define OVER_SHARE 4
#define COUNT_NS (10 * CLOCK_NS_PER_S)
#define WHAT_MAX 65536 /* bytes of a change as text */
#define NAME_BYTES 12
#define KNOWN_MAX 64 /* statements of the file whose numbers here are remembered */

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

enum sql {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_NEXT,
	SQL_DATABASE,
	SQL_DATABASE_PUT,
	SQL_SENTENCE,
	SQL_SENTENCE_PUT,
	SQL_STATEMENT,
	SQL_STATEMENT_PUT,
	SQL_STATEMENT_OF,
	SQL_PUT,
	SQL_STRIKE,
	SQL_STRIKE_ONE,
	SQL_REFUSE,
	SQL_COUNT,
	SQL_READ,
	SQL_COUNT_OF
};

static const char *const sql_text[SQL_COUNT_OF] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_NEXT] = "UPDATE spool SET next = next + 1 RETURNING next - 1",
	[SQL_DATABASE] = "SELECT id FROM database WHERE url = ?",
	[SQL_DATABASE_PUT] = "INSERT INTO database (url) VALUES (?)",
	[SQL_SENTENCE] = "SELECT id FROM sentence WHERE text = ?",
	[SQL_SENTENCE_PUT] = "INSERT INTO sentence (text) VALUES (?)",
	[SQL_STATEMENT] = "SELECT id FROM statement WHERE text = ? AND otherwise = ?",
	[SQL_STATEMENT_PUT] = "INSERT INTO statement (text, otherwise) VALUES (?, ?)",
	[SQL_STATEMENT_OF] = "SELECT text, otherwise FROM statement WHERE id = ?",
	[SQL_PUT] = "INSERT INTO change (database, id, calls) VALUES (?, ?, ?)",
	[SQL_STRIKE] = "DELETE FROM change WHERE database = ? AND id <= ?",
	[SQL_STRIKE_ONE] = "DELETE FROM change WHERE database = ? AND id = ?",
	/* What stands there keeps its bytes, which may be none of ours. */
	[SQL_REFUSE] = "INSERT INTO refused (database, id, calls, at, sentence, what) "
		       "VALUES (?1, ?2, coalesce((SELECT calls FROM change "
		       "WHERE database = ?1 AND id = ?2), ?4), unixepoch(), ?3, ?5)",
	[SQL_COUNT] = "SELECT count(*) FROM change WHERE database = ?",
	[SQL_READ] =
		"SELECT id, calls FROM change WHERE database = ? AND id > ? ORDER BY id LIMIT ?",
};

struct known {
	int64_t id;
	unsigned database, number;
};

struct spool_file {
	struct db *db;
	sqlite3 *sqlite;
	sqlite3_stmt *stmt[SQL_COUNT_OF];
	int lock; /* of FILE-lock */
	char name[2 * NAME_BYTES + 1];
	uint64_t bytes, refused;
	uint64_t counted; /* when those were */
	/* Numbers in the file of what has one here; 0: not known. Forgotten where a transaction
	 * is undone. */
	int64_t database[DB_DATABASES_MAX], statement[DB_STATEMENTS_MAX];
	struct known known[KNOWN_MAX];
	unsigned known_next;
	char calls[DB_CALL_MAX];
	char what[WHAT_MAX];
};

/* ---- what went wrong ---- */

static enum spool_result said(struct spool_file *f, int status, char *error, size_t error_size)
{
	switch (status & 0xff) {
	case SQLITE_DONE:
	case SQLITE_ROW:
	case SQLITE_OK:
		return SPOOL_DONE;
	case SQLITE_FULL:
		snprintf(error, error_size, "no room is left in it");
		return SPOOL_FULL;
	default:
		snprintf(error, error_size, "%s", sqlite3_errmsg(f->sqlite));
		return SPOOL_FAILED;
	}
}

/* ---- statements ---- */

static int make_ready(struct spool_file *f, enum sql n)
{
	if (f->stmt[n] != NULL)
		return SQLITE_OK;
	return sqlite3_prepare_v3(
		f->sqlite, sql_text[n], -1, SQLITE_PREPARE_PERSISTENT, &f->stmt[n], NULL);
}

/* With so many numbers as parameters: one of the first row's columns is in *out, where it is not
 * NULL. A status of SQLite. */
static int run(struct spool_file *f, enum sql n, const int64_t *param, int params, int64_t *out)
{
	int status = make_ready(f, n);

	for (int i = 0; i < params && status == SQLITE_OK; i++)
		status = sqlite3_bind_int64(f->stmt[n], i + 1, param[i]);
	if (status != SQLITE_OK)
		return status;
	status = sqlite3_step(f->stmt[n]);
	if (status == SQLITE_ROW && out != NULL) {
		*out = sqlite3_column_int64(f->stmt[n], 0);
		/* To its end, as one that changes is done then. */
		while ((status = sqlite3_step(f->stmt[n])) == SQLITE_ROW)
			;
		status = status == SQLITE_DONE ? SQLITE_ROW : status;
	}
	sqlite3_reset(f->stmt[n]);
	return status;
}

static int run_text(
	struct spool_file *f, enum sql n, const char *first, const char *second, int64_t *out)
{
	int status = make_ready(f, n);

	if (status == SQLITE_OK)
		status = sqlite3_bind_text(f->stmt[n], 1, first, -1, SQLITE_STATIC);
	if (status == SQLITE_OK && second != NULL)
		status = sqlite3_bind_text(f->stmt[n], 2, second, -1, SQLITE_STATIC);
	return status == SQLITE_OK ? run(f, n, NULL, 0, out) : status;
}

/* The number that texts have, or get. */
static int number_of(struct spool_file *f, enum sql find, enum sql put, const char *first,
	const char *second, int64_t *out)
{
	int status = run_text(f, find, first, second, out);

	if (status != SQLITE_DONE)
		return status == SQLITE_ROW ? SQLITE_OK : status;
	status = run_text(f, put, first, second, NULL);
	*out = sqlite3_last_insert_rowid(f->sqlite);
	return status == SQLITE_DONE ? SQLITE_OK : status;
}

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
	return said(f, run(f, SQL_BEGIN, NULL, 0, NULL), error, error_size);
}

enum spool_result spool_file_commit(struct spool_file *f, char *error, size_t error_size)
{
	enum spool_result result = said(f, run(f, SQL_COMMIT, NULL, 0, NULL), error, error_size);

	if (result != SPOOL_DONE)
		spool_file_undo(f);
	return result;
}

void spool_file_undo(struct spool_file *f)
{
	if (spool_file_goes_on(f))
		(void)run(f, SQL_ROLLBACK, NULL, 0, NULL);
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
		status = number_of(f, SQL_DATABASE, SQL_DATABASE_PUT, d->url.text, NULL, known);
	if (status != SQLITE_OK)
		*known = 0;
	*out = *known;
	return status;
}

struct numbering {
	struct spool_file *f;
	const struct database *database;
	int status; /* of SQLite */
};

static int to_file(void *arg, unsigned statement)
{
	struct numbering *n = arg;
	const struct statement *s = db_statement_of(n->f->db, statement);
	int64_t *known;

	if (s == NULL)
		return -EINVAL;
	known = &n->f->statement[statement];
	if (*known == 0)
		n->status = number_of(n->f, SQL_STATEMENT, SQL_STATEMENT_PUT, s->text,
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
		status = run(f, SQL_NEXT, NULL, 0, &id);
	if (status == SQLITE_ROW)
		status = make_ready(f, SQL_PUT);
	if (status == SQLITE_OK)
		status = sqlite3_bind_blob(
			f->stmt[SQL_PUT], 3, f->calls, (int)calls.len, SQLITE_STATIC);
	if (status == SQLITE_OK)
		status = run(f, SQL_PUT, (int64_t[]){database, id}, 2, NULL);
	return said(f, status, error, error_size);
}

/* ---- what goes ---- */

enum spool_result spool_file_strike(struct spool_file *f, const struct database *d, int64_t to,
	uint64_t *count, char *error, size_t error_size)
{
	int64_t database = 0;
	int status = database_of(f, d, &database);

	if (status == SQLITE_OK)
		status = run(f, SQL_STRIKE, (int64_t[]){database, to}, 2, NULL);
	*count = status == SQLITE_DONE ? (uint64_t)sqlite3_changes64(f->sqlite) : 0;
	return said(f, status, error, error_size);
}

/* False: there is no room. */
static bool write_text(struct spool_file *f, size_t *n, const char *s, size_t len)
{
	if (len > sizeof(f->what) - *n)
		return false;
	memcpy(f->what + *n, s, len);
	*n += len;
	return true;
}

static bool write_quoted(struct spool_file *f, size_t *n, struct str s)
{
	bool room = write_text(f, n, "'", 1);

	for (uint32_t i = 0; i < s.len && room; i++)
		room = write_text(f, n, s.s[i] == '\'' ? "''" : &s.s[i], s.s[i] == '\'' ? 2 : 1);
	return room && write_text(f, n, "'", 1);
}

static bool write_value(struct spool_file *f, size_t *n, const struct db_value *v)
{
	char text[32] = "NULL";

	if (v->type == DB_TEXT)
		return write_quoted(f, n, v->s);
	if (v->type == DB_INT)
		snprintf(text, sizeof(text), "%lld", (long long)v->i);
	else if (v->type == DB_REAL)
		snprintf(text, sizeof(text), "%.17g", v->r);
	return write_text(f, n, text, strlen(text));
}

/* SQL, and its values, of each call; in f->what, so many bytes. */
static size_t write_what(struct spool_file *f, struct str calls)
{
	static const char too_long[] = "(too long as text)";
	const struct statement *s;
	struct db_call call;
	bool room = true;
	size_t n = 0;

	while (room && db_unpack(&calls, &call) == 0) {
		s = db_statement_of(f->db, call.statement);
		room = (n == 0 || write_text(f, &n, "; ", 2)) && s != NULL &&
		       write_text(f, &n, s->text, strlen(s->text));
		for (unsigned i = 0; i < call.params && room; i++)
			room = write_text(f, &n, i == 0 ? " (" : ", ", 2) &&
			       write_value(f, &n, &call.param[i]);
		if (call.params != 0)
			room = room && write_text(f, &n, ")", 1);
	}
	if (room)
		return n;
	memcpy(f->what, too_long, sizeof(too_long) - 1);
	return sizeof(too_long) - 1;
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
	int status = number_of(f, SQL_SENTENCE, SQL_SENTENCE_PUT, sentence, NULL, &param[2]);

	if (status == SQLITE_OK)
		status = make_ready(f, SQL_REFUSE);
	if (status == SQLITE_OK)
		status = sqlite3_bind_blob(
			f->stmt[SQL_REFUSE], 4, f->calls, (int)calls, SQLITE_STATIC);
	if (status == SQLITE_OK && what != 0)
		status = sqlite3_bind_text(
			f->stmt[SQL_REFUSE], 5, f->what, (int)what, SQLITE_STATIC);
	else if (status == SQLITE_OK)
		status = sqlite3_bind_null(f->stmt[SQL_REFUSE], 5);
	if (status == SQLITE_OK)
		status = run(f, SQL_REFUSE, param, 3, NULL);
	if (status == SQLITE_DONE)
		status = run(f, SQL_STRIKE_ONE, param, 2, NULL);
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
		what = write_what(f, calls);
	status = renumber_to_file(f, calls);
	if (status == SQLITE_OK)
		status = database_of(f, d, &database);
	if (status == SQLITE_OK && id == 0) {
		status = run(f, SQL_NEXT, NULL, 0, &id);
		status = status == SQLITE_ROW ? SQLITE_OK : status;
	}
	if (status == SQLITE_OK)
		status = refuse(f, database, id, calls.len, sentence, what);
	if (status == SQLITE_DONE)
		f->refused += calls.len + what;
	return said(f, status, error, error_size);
}

/* ---- what is there ---- */

enum spool_result spool_file_count(struct spool_file *f, const struct database *d, uint64_t *count,
	char *error, size_t error_size)
{
	int64_t database = 0, n = 0;
	int status = run_text(f, SQL_DATABASE, d->url.text, NULL, &database);

	/* Nothing was ever there for it. */
	*count = 0;
	if (status == SQLITE_DONE)
		return SPOOL_DONE;
	if (status == SQLITE_ROW)
		status = run(f, SQL_COUNT, &database, 1, &n);
	*count = (uint64_t)n;
	return said(f, status, error, error_size);
}

/* The number here of what has this one in the file, or -EINVAL. */
static int find_known(const struct spool_file *f, int64_t id, unsigned database)
{
	for (unsigned i = 0; i < KNOWN_MAX; i++) {
		if (f->known[i].id == id && f->known[i].database == database)
			return (int)f->known[i].number;
	}
	return -EINVAL;
}

static unsigned count_marks(const char *sql)
{
	unsigned n = 0;

	for (const char *p = sql; (p = sql_mark(p)) != NULL; p++)
		n++;
	return n;
}

static int add_statement(struct numbering *n, sqlite3_stmt *stmt)
{
	const char *text = (const char *)sqlite3_column_text(stmt, 0),
		   *otherwise = (const char *)sqlite3_column_text(stmt, 1);
	struct db_statement s = {.text = text};
	char ignored[DB_ERROR_MAX];

	if (text == NULL || otherwise == NULL || count_marks(text) > DB_PARAMS_MAX)
		return -EINVAL;
	s.otherwise = otherwise[0] != '\0' ? otherwise : NULL;
	s.params = (uint8_t)count_marks(text);
	return db_statement(n->f->db, (int)n->database->number, &s, ignored, sizeof(ignored));
}

static int from_file(void *arg, unsigned statement)
{
	struct numbering *n = arg;
	struct spool_file *f = n->f;
	int number = find_known(f, statement, n->database->number);
	sqlite3_stmt *stmt;

	if (number >= 0)
		return number;
	n->status = make_ready(f, SQL_STATEMENT_OF);
	stmt = f->stmt[SQL_STATEMENT_OF];
	if (n->status == SQLITE_OK)
		n->status = sqlite3_bind_int64(stmt, 1, statement);
	if (n->status != SQLITE_OK)
		return -EINVAL;
	n->status = sqlite3_step(stmt);
	number = n->status == SQLITE_ROW ? add_statement(n, stmt) : -EINVAL;
	sqlite3_reset(stmt);
	if (n->status == SQLITE_ROW || n->status == SQLITE_DONE)
		n->status = SQLITE_OK;
	if (number < 0)
		return number;
	f->known[f->known_next++ % KNOWN_MAX] = (struct known){
		.id = statement, .database = n->database->number, .number = (unsigned)number};
	return number;
}

/* One row, whose calls find room in room[size]. False: there is none for it, or SQLite has failed
 * (n->status). What cannot be made has no calls. */
static bool read_row(
	struct numbering *n, sqlite3_stmt *stmt, struct spool_row *row, char *room, size_t size)
{
	int len = sqlite3_column_bytes(stmt, 1);
	unsigned count;

	row->id = sqlite3_column_int64(stmt, 0);
	row->calls = str_of(room, 0);
	if (len <= 0 || len > DB_CALL_MAX)
		return true;
	if ((size_t)len > size)
		return false;
	memcpy(room, sqlite3_column_blob(stmt, 1), (size_t)len);
	if (db_renumber(room, (uint32_t)len, from_file, n) == 0 &&
		db_calls_check(n->f->db, str_of(room, (size_t)len), true, &count) ==
			(int)n->database->number)
		row->calls.len = (uint32_t)len;
	return n->status == SQLITE_OK;
}

enum spool_result spool_file_read(struct spool_file *f, const struct database *d, int64_t after,
	struct spool_row *row, unsigned *rows, char *room, size_t size, char *error,
	size_t error_size)
{
	struct numbering n = {.f = f, .database = d, .status = SQLITE_OK};
	unsigned most = *rows;
	int64_t database = 0;
	sqlite3_stmt *stmt;
	int status = run_text(f, SQL_DATABASE, d->url.text, NULL, &database);

	*rows = 0;
	if (status != SQLITE_ROW)
		return said(f, status, error, error_size);
	status = make_ready(f, SQL_READ);
	stmt = f->stmt[SQL_READ];
	if (status == SQLITE_OK)
		status = sqlite3_bind_int64(stmt, 1, database);
	if (status == SQLITE_OK)
		status = sqlite3_bind_int64(stmt, 2, after);
	if (status == SQLITE_OK)
		status = sqlite3_bind_int64(stmt, 3, most);
	if (status != SQLITE_OK)
		return said(f, status, error, error_size);
	while ((status = sqlite3_step(stmt)) == SQLITE_ROW &&
		read_row(&n, stmt, &row[*rows], room, size)) {
		room += row[*rows].calls.len;
		size -= row[*rows].calls.len;
		++*rows;
	}
	sqlite3_reset(stmt);
	return said(f, n.status != SQLITE_OK ? n.status : status, error, error_size);
}

void spool_file_shrink(struct spool_file *f)
{
	(void)execute(f, "PRAGMA incremental_vacuum");
}
