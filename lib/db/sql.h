/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * sql: what rooms write into their statements: names that an operator gives, texts that are put
 * together of them, times. Any thread; no allocation, no lock.
 */
#include "db/db.h"

#define DB_NAME_MAX 64 /* bytes of a name of a table or column */
#define DB_TIME_TEXT sizeof("2026-01-01 00:00:00")

/* Whether a text may stand in SQL as the name of a table or column: letters, digits, '_', and one
 * '.' in front of which a schema stands. */
bool db_is_name(struct str text);

/* SQL that is being put together; `full` where it did not fit. */
struct db_sql {
	uint32_t len;
	bool full;
	char text[DB_SQL_MAX];
};
void db_sql_add(struct db_sql *q, const char *text);
void db_sql_add_str(struct db_sql *q, struct str text);

/* Seconds since 1970, of whichever zone they are, as databases write them. No time zone, no lock:
 * what localtime() is not free of. */
void db_time_write(int64_t seconds, char out[DB_TIME_TEXT]);
