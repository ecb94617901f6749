/* SPDX-License-Identifier: BSD-3-Clause */
/* spool_read: what stands in a spool's file, with the numbers that statements have in this process.
 */
#include <errno.h>

#include "db/spool_sql.h"

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
	n->status = spool_sql_ready(f, SQL_STATEMENT_OF);
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
	int status = spool_sql_text(f, SQL_DATABASE, d->url.text, NULL, &database);

	*rows = 0;
	if (status != SQLITE_ROW)
		return spool_sql_said(f, status, error, error_size);
	status = spool_sql_ready(f, SQL_READ);
	stmt = f->stmt[SQL_READ];
	if (status == SQLITE_OK)
		status = sqlite3_bind_int64(stmt, 1, database);
	if (status == SQLITE_OK)
		status = sqlite3_bind_int64(stmt, 2, after);
	if (status == SQLITE_OK)
		status = sqlite3_bind_int64(stmt, 3, most);
	if (status != SQLITE_OK)
		return spool_sql_said(f, status, error, error_size);
	while ((status = sqlite3_step(stmt)) == SQLITE_ROW &&
		read_row(&n, stmt, &row[*rows], room, size)) {
		room += row[*rows].calls.len;
		size -= row[*rows].calls.len;
		++*rows;
	}
	sqlite3_reset(stmt);
	return spool_sql_said(f, n.status != SQLITE_OK ? n.status : status, error, error_size);
}
