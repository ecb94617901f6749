/* SPDX-License-Identifier: BSD-3-Clause */
/* table: a whole table, for rooms that keep its rows in memory. */
#include <errno.h>
#include <stdio.h>

#include "db/internal.h"
#include "db/sql.h"

/* SELECT of the columns, NULL for those from `have` on. */
static void write_select(char *sql, size_t size, const struct db_table *t, unsigned have)
{
	int n = snprintf(sql, size, "SELECT ");

	for (unsigned i = 0; t->column[i] != NULL; i++)
		n += snprintf(sql + n, size - (size_t)n, "%s%s", i > 0 ? ", " : "",
			i < have ? t->column[i] : "NULL");
	n += snprintf(sql + n, size - (size_t)n, " FROM %s", t->name);
	for (unsigned i = 0; i < t->ordered; i++)
		n += snprintf(sql + n, size - (size_t)n, "%s%s", i > 0 ? ", " : " ORDER BY ",
			t->column[i]);
}

int db_table(struct db *db, int database, const struct db_table *t, char *error, size_t error_size)
{
	char sql[(DB_TABLE_COLUMNS_MAX * 2 + 2) * (DB_NAME_MAX + 2)], older[sizeof(sql)];
	struct db_statement statement = {.text = sql, .columns = t->types};
	unsigned columns = 0;

	while (columns < DB_TABLE_COLUMNS_MAX && t->column[columns] != NULL)
		if (!db_is_name(str_c(t->column[columns++])))
			columns = DB_TABLE_COLUMNS_MAX + 1;
	if (!db_is_name(str_c(t->name)) || columns > DB_TABLE_COLUMNS_MAX) {
		snprintf(error, error_size,
			"tables and columns have names of letters, digits and '_'");
		return -EINVAL;
	}
	write_select(sql, sizeof(sql), t, columns);
	if (t->needed < columns) {
		write_select(older, sizeof(older), t, t->needed);
		statement.otherwise = older;
	}
	return db_statement(db, database, &statement, error, error_size);
}

enum db_result db_table_read(
	struct db *db, int statement, db_visit visit, void *arg, char *error, size_t error_size)
{
	char call[64];
	int len = statement >= 0 ? db_pack(db, call, sizeof(call), 0, (unsigned)statement, NULL, 0)
				 : -EINVAL;

	if (len < 0) {
		snprintf(error, error_size, "no table");
		return DB_REFUSED;
	}
	return db_now(db, str_of(call, (size_t)len), visit, arg, NULL, error, error_size);
}
