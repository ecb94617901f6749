/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * schema_look: what a database has of the tables of schema.def, read from its own catalogue.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "db/schema.h"

const struct item schema_items[] = {
#define TABLE(name, version, what_for) {ITEM_TABLE, #name, version, what_for, NULL},
#define TEXT(name, size, value, without) {ITEM_TEXT, #name, size, value, without},
#define INT(name, value, without) {ITEM_INT, #name, 0, value, without},
#define REAL(name, value, without) {ITEM_REAL, #name, 0, value, without},
#define TIME(name, value, without) {ITEM_TIME, #name, 0, value, without},
#define UNIQUE(name, columns) {ITEM_UNIQUE, name, 0, columns, NULL},
#define INDEX(name, columns) {ITEM_INDEX, name, 0, columns, NULL},
#define FILL(sql) {ITEM_FILL, "", 0, sql, NULL},
#define END(name) {ITEM_END, #name, 0, NULL, NULL},
#include "db/schema.def"
#undef TABLE
#undef TEXT
#undef INT
#undef REAL
#undef TIME
#undef UNIQUE
#undef INDEX
#undef FILL
#undef END
};
const unsigned schema_items_count = sizeof(schema_items) / sizeof(*schema_items);

/* ---- what differs between engines ---- */

static const struct dialect dialects[] = {
	{
		.engine = "sqlite",
		.id = "INTEGER PRIMARY KEY NOT NULL",
		.integer = "INTEGER",
		.real = "REAL",
		.time = "TIMESTAMP WITHOUT TIME ZONE",
		.undoes = true,
		.columns = "SELECT name, lower(type), 0 FROM pragma_table_info(?)",
		.indexes = "SELECT l.name, i.name FROM pragma_index_list(?) l, "
			   "pragma_index_info(l.name) i ORDER BY l.name, i.seqno",
	},
	{
		.engine = "mysql",
		.id = "INT UNSIGNED AUTO_INCREMENT PRIMARY KEY NOT NULL",
		.integer = "INT",
		.real = "DOUBLE",
		.time = "DATETIME",
		.own_names = true,
		.lock = "SELECT GET_LOCK(CONCAT('siplane ', MD5(DATABASE())), 3)",
		.columns = "SELECT column_name, lower(data_type), character_maximum_length FROM "
			   "information_schema.columns WHERE table_schema = DATABASE() AND "
			   "table_name = ?",
		.indexes =
			"SELECT index_name, column_name FROM information_schema.statistics WHERE "
			"table_schema = DATABASE() AND table_name = ? ORDER BY index_name, "
			"seq_in_index",
		.engine_of = "SELECT engine FROM information_schema.tables WHERE "
			     "table_schema = DATABASE() AND table_name = ?",
		.typed = true,
	},
	{
		.engine = "postgres",
		.id = "SERIAL PRIMARY KEY NOT NULL",
		.integer = "INTEGER",
		.real = "DOUBLE PRECISION",
		.time = "TIMESTAMP WITHOUT TIME ZONE",
		.undoes = true,
		/* The bytes of "siplane". */
		.lock = "SELECT 1 FROM (SELECT pg_advisory_xact_lock(32485553897303653)) AS l",
		.columns = "SELECT a.attname::text, t.typname::text, CASE WHEN a.atttypmod > 4 AND "
			   "t.typname IN ('varchar', 'bpchar') THEN a.atttypmod - 4 END FROM "
			   "pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE "
			   "a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped",
		.indexes =
			"SELECT i.indexrelid::text, a.attname::text FROM pg_index i "
			"CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(n, o) "
			"JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n WHERE "
			"i.indrelid = to_regclass(?) ORDER BY i.indexrelid, k.o",
		.typed = true,
	},
};

/* ---- a database under work ---- */

__attribute__((format(printf, 2, 3))) void schema_add(struct sql *sql, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(sql->s + sql->len, sizeof(sql->s) - sql->len, fmt, args);
	va_end(args);
	/* It is not run then: see run() in schema.c. */
	sql->len += n > 0 ? (size_t)n : 0;
	if (sql->len >= sizeof(sql->s))
		sql->len = sizeof(sql->s) - 1;
}

int schema_errno(enum db_result result)
{
	return result == DB_DOWN ? -EAGAIN : result == DB_TOO_LONG ? -E2BIG : -EPERM;
}

/* What went wrong with the table under work. */
int schema_failed(struct schema *s, int err, const char *text)
{
	if (s->table != NULL)
		snprintf(s->error, s->error_size, "%s: %s", s->table->name, text);
	else
		snprintf(s->error, s->error_size, "%s", text);
	return err;
}

enum db_result schema_ask(struct schema *s, const char *sql, const struct db_value *param,
	unsigned params, db_visit visit, void *arg, char *error, size_t error_size)
{
	struct db_run run = {.param = param, .params = params, .visit = visit, .arg = arg};

	return link_sql(s->link, sql, &run, error, error_size);
}

int schema_execute(struct schema *s, const char *sql, const struct db_value *param, unsigned params,
	db_visit visit, void *arg)
{
	char error[DB_ERROR_MAX] = "";
	enum db_result result = schema_ask(s, sql, param, params, visit, arg, error, sizeof(error));

	return result == DB_DONE ? 0 : schema_failed(s, schema_errno(result), error);
}

static void copy_value(char *out, size_t size, const struct db_value *value)
{
	snprintf(out, size, "%.*s", value->type == DB_TEXT ? (int)value->s.len : 0,
		value->type == DB_TEXT ? value->s.s : "");
}

bool schema_take_text(void *arg, const struct db_value *value, unsigned columns)
{
	copy_value(arg, SCHEMA_NAME_SIZE, &value[0]);
	return true;
}

bool schema_take_number(void *arg, const struct db_value *value, unsigned columns)
{
	*(int64_t *)arg = value[0].type == DB_INT ? value[0].i : 0;
	return true;
}

/* Connects. The connection is of nobody else, and with its end the lock ends. */
int schema_open(struct schema *s, struct db *db, int database, char *error, size_t error_size)
{
	const char *engine;

	*s = (struct schema){.error = error, .error_size = error_size};
	s->database = db_database_of(db, database);
	if (s->database == NULL)
		return schema_failed(s, -EINVAL, "there is no such database");
	engine = s->database->url.driver->name;
	for (size_t i = 0; i < sizeof(dialects) / sizeof(*dialects); i++) {
		if (strcmp(dialects[i].engine, engine) == 0)
			s->dialect = &dialects[i];
	}
	if (s->dialect == NULL)
		return schema_failed(s, -ENOTSUP, "no tables are known for such a database");
	s->link = link_open(s->database, DB_ROLE_NOW, error, error_size);
	return s->link != NULL ? 0 : -EAGAIN;
}

/* ---- what is there ---- */

static bool take_column(void *arg, const struct db_value *value, unsigned columns)
{
	struct schema *s = arg;
	struct column *c = &s->column[s->columns];

	if (s->columns == SCHEMA_COLUMNS_MAX) {
		s->unreadable = true;
		return false;
	}
	copy_value(c->name, sizeof(c->name), &value[0]);
	copy_value(c->type, sizeof(c->type), &value[1]);
	c->size = value[2].type == DB_INT ? value[2].i : 0;
	s->columns++;
	return true;
}

/* A row is a column of an index, one behind the other. */
static bool take_index(void *arg, const struct db_value *value, unsigned columns)
{
	struct schema *s = arg;
	struct index *last = s->indexes != 0 ? &s->index[s->indexes - 1] : NULL;
	char name[SCHEMA_NAME_SIZE], column[SCHEMA_NAME_SIZE];
	size_t len;

	copy_value(name, sizeof(name), &value[0]);
	copy_value(column, sizeof(column), &value[1]);
	if (last == NULL || strcmp(last->name, name) != 0) {
		if (s->indexes == SCHEMA_INDEXES_MAX)
			return false;
		last = &s->index[s->indexes++];
		snprintf(last->name, sizeof(last->name), "%s", name);
		snprintf(last->columns, sizeof(last->columns), "%s", column);
		return true;
	}
	len = strlen(last->columns);
	snprintf(last->columns + len, sizeof(last->columns) - len, ", %s", column);
	return true;
}

const struct column *schema_column(const struct schema *s, const char *name)
{
	for (unsigned i = 0; i < s->columns; i++) {
		if (strcasecmp(s->column[i].name, name) == 0)
			return &s->column[i];
	}
	return NULL;
}

/* Whether an index begins with these columns. */
bool schema_has_index(const struct schema *s, const char *columns)
{
	size_t len = strlen(columns);

	for (unsigned i = 0; i < s->indexes; i++) {
		const char *have = s->index[i].columns;

		if (strncasecmp(have, columns, len) == 0 && (have[len] == '\0' || have[len] == ','))
			return true;
	}
	return false;
}

/* Reads what the database has of a table; s->columns 0: it has none. */
int schema_look(struct schema *s, const struct item *table)
{
	struct db_value name = db_text(str_c(table->name));
	int err;

	s->table = table;
	s->columns = s->indexes = 0;
	s->unreadable = false;
	s->stored[0] = '\0';
	s->version = -1;
	err = schema_execute(s, s->dialect->columns, &name, 1, take_column, s);
	if (err == 0 && s->unreadable)
		return schema_failed(s, -E2BIG, "it has too many columns");
	if (err == 0)
		err = schema_execute(s, s->dialect->indexes, &name, 1, take_index, s);
	if (err == 0 && s->dialect->engine_of != NULL)
		err = schema_execute(
			s, s->dialect->engine_of, &name, 1, schema_take_text, s->stored);
	return err;
}

/* s->version of the table under work. There is a table `version`. */
int schema_look_version(struct schema *s)
{
	struct db_value name = db_text(str_c(s->table->name));

	return schema_execute(s, "SELECT table_version FROM version WHERE table_name = ?", &name, 1,
		schema_take_number, &s->version);
}

static bool begins_with_one(const char *type, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (strncmp(type, *names, strlen(*names)) == 0)
			return true;
	}
	return false;
}

/* Whether a column can hold what it is for. SQLite's can hold anything. */
bool schema_fits(const struct schema *s, const struct item *item, const struct column *c)
{
	static const char *const integer[] = {
		"int", "bigint", "smallint", "mediumint", "tinyint", "bool", NULL};
	static const char *const real[] = {"float", "double", "decimal", "numeric", NULL};
	static const char *const text[] = {"varchar", "char", "bpchar", "text", "tinytext",
		"mediumtext", "longtext", "varbinary", "citext", "name", NULL};
	static const char *const time[] = {"datetime", "timestamp", NULL};

	if (!s->dialect->typed)
		return true;
	switch (item->kind) {
	case ITEM_INT:
		return begins_with_one(c->type, integer);
	case ITEM_REAL:
		return begins_with_one(c->type, real) || begins_with_one(c->type, integer);
	case ITEM_TIME:
		return begins_with_one(c->type, time);
	default:
		return begins_with_one(c->type, text);
	}
}

/* Somebody else's table, that has our table's name: what ours cannot do without is of another type,
 * or is not there though each row has to bring it. */
bool schema_is_stranger(const struct schema *s)
{
	const struct column *c;

	for (const struct item *item = s->table + 1; item->kind != ITEM_END; item++) {
		if (!is_column(item) || item->without != NEEDED)
			continue;
		c = schema_column(s, item->name);
		if (c != NULL ? !schema_fits(s, item, c) : *item->text == '\0')
			return true;
	}
	return false;
}
