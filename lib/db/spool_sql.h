/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * spool_sql: the statements of a spool's file, and what its own parts know of it. spool_file.h is
 * what others see.
 */
#include <sqlite3.h>

#include "db/spool_file.h"

#define NAME_BYTES 12
#define WHAT_MAX 65536 /* bytes of a change as text */
#define KNOWN_MAX 64   /* statements of the file whose numbers here are remembered */

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

struct numbering {
	struct spool_file *f;
	const struct database *database;
	int status; /* of SQLite */
};

/* Prepares a statement where it is not. A status of SQLite, as with all of these. */
int spool_sql_ready(struct spool_file *f, enum sql n);
/* With so many numbers as parameters: one of the first row's columns is in *out, where it is not
 * NULL. */
int spool_sql_run(struct spool_file *f, enum sql n, const int64_t *param, int params, int64_t *out);
/* With a text as parameter, or two. */
int spool_sql_text(
	struct spool_file *f, enum sql n, const char *first, const char *second, int64_t *out);
/* The number that texts have, or get. */
int spool_sql_number(struct spool_file *f, enum sql find, enum sql put, const char *first,
	const char *second, int64_t *out);
/* What became of it, and a sentence where it went wrong. */
enum spool_result spool_sql_said(struct spool_file *f, int status, char *error, size_t error_size);
