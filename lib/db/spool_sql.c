/* SPDX-License-Identifier: BSD-3-Clause */
/* spool_sql: the statements of a spool's file. */
#include <stdio.h>

#include "db/spool_sql.h"

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

int spool_sql_ready(struct spool_file *f, enum sql n)
{
	if (f->stmt[n] != NULL)
		return SQLITE_OK;
	return sqlite3_prepare_v3(
		f->sqlite, sql_text[n], -1, SQLITE_PREPARE_PERSISTENT, &f->stmt[n], NULL);
}

int spool_sql_run(struct spool_file *f, enum sql n, const int64_t *param, int params, int64_t *out)
{
	int status = spool_sql_ready(f, n);

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

int spool_sql_text(
	struct spool_file *f, enum sql n, const char *first, const char *second, int64_t *out)
{
	int status = spool_sql_ready(f, n);

	if (status == SQLITE_OK)
		status = sqlite3_bind_text(f->stmt[n], 1, first, -1, SQLITE_STATIC);
	if (status == SQLITE_OK && second != NULL)
		status = sqlite3_bind_text(f->stmt[n], 2, second, -1, SQLITE_STATIC);
	return status == SQLITE_OK ? spool_sql_run(f, n, NULL, 0, out) : status;
}

int spool_sql_number(struct spool_file *f, enum sql find, enum sql put, const char *first,
	const char *second, int64_t *out)
{
	int status = spool_sql_text(f, find, first, second, out);

	if (status != SQLITE_DONE)
		return status == SQLITE_ROW ? SQLITE_OK : status;
	status = spool_sql_text(f, put, first, second, NULL);
	*out = sqlite3_last_insert_rowid(f->sqlite);
	return status == SQLITE_DONE ? SQLITE_OK : status;
}

enum spool_result spool_sql_said(struct spool_file *f, int status, char *error, size_t error_size)
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
