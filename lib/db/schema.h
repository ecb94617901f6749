/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * schema: what schema, schema_look and schema_check share: the items of schema.def, and a database
 * under work. One thread, which may block.
 */
#include "db/internal.h"

#define SCHEMA_NAME_SIZE 64
#define SCHEMA_INDEX_COLUMNS_SIZE 256
#define SCHEMA_COLUMNS_MAX 96 /* of a table of others, of which more are not looked at */
#define SCHEMA_INDEXES_MAX 32
#define NEEDED NULL

enum item_kind {
	ITEM_TABLE,
	ITEM_TEXT,
	ITEM_INT,
	ITEM_REAL,
	ITEM_TIME,
	ITEM_UNIQUE,
	ITEM_INDEX,
	ITEM_FILL,
	ITEM_END
};

struct item {
	enum item_kind kind;
	const char *name;
	unsigned number;     /* a table's version, a text's size */
	const char *text;    /* what a table is for; a column's default; an index's columns; SQL */
	const char *without; /* of a column; NEEDED */
};

/* Those of schema.def in their order. */
extern const struct item schema_items[];
extern const unsigned schema_items_count;

static inline bool is_column(const struct item *item)
{
	return item->kind >= ITEM_TEXT && item->kind <= ITEM_TIME;
}

static inline bool is_index(const struct item *item)
{
	return item->kind == ITEM_UNIQUE || item->kind == ITEM_INDEX;
}

/* What differs between engines. */
struct dialect {
	const char *engine;
	const char *id, *integer, *real, *time;
	bool undoes;      /* a transaction holds what makes tables, too */
	bool own_names;   /* an index's name is its table's own */
	const char *lock; /* answers 1: it is ours; NULL: BEGIN is enough */
	/* of a table: name, type, size of each column; then index, column of each column of one */
	const char *columns, *indexes;
	const char *engine_of; /* of a table: how it is stored; NULL: there is one way */
	bool typed;            /* a column holds what it is declared for, and nothing else */
};

struct column {
	char name[SCHEMA_NAME_SIZE], type[SCHEMA_NAME_SIZE];
	int64_t size;
};

struct index {
	char name[SCHEMA_NAME_SIZE], columns[SCHEMA_INDEX_COLUMNS_SIZE];
};

struct schema {
	struct database *database;
	const struct dialect *dialect;
	struct link *link;
	char collation[SCHEMA_NAME_SIZE]; /* MySQL's for new tables */
	char *error;
	size_t error_size;
	/* Of the table under work: */
	const struct item *table;
	unsigned columns, indexes;
	struct column column[SCHEMA_COLUMNS_MAX];
	struct index index[SCHEMA_INDEXES_MAX];
	bool unreadable; /* it has more */
	char stored[SCHEMA_NAME_SIZE];
	int64_t version; /* -1: nobody says */
};

struct sql {
	size_t len;
	char s[DB_SQL_MAX];
};

/* Connects. The connection is of nobody else, and with its end the lock ends. 0, or -errno and a
 * sentence. The caller closes s->link, which may be NULL. */
int schema_open(struct schema *s, struct db *db, int database, char *error, size_t error_size);
/* Says in s->error what went wrong with the table under work. Returns err. */
int schema_failed(struct schema *s, int err, const char *text);
int schema_errno(enum db_result result);
enum db_result schema_ask(struct schema *s, const char *sql, const struct db_value *param,
	unsigned params, db_visit visit, void *arg, char *error, size_t error_size);
/* The same; 0, or -errno, and said. */
int schema_execute(struct schema *s, const char *sql, const struct db_value *param, unsigned params,
	db_visit visit, void *arg);
/* db_visit: the first column as text[SCHEMA_NAME_SIZE], as int64_t. */
bool schema_take_text(void *arg, const struct db_value *value, unsigned columns);
bool schema_take_number(void *arg, const struct db_value *value, unsigned columns);

/* Reads what the database has of a table; s->columns 0: it has none. */
int schema_look(struct schema *s, const struct item *table);
/* s->version of the table under work. There is a table `version`. */
int schema_look_version(struct schema *s);
const struct column *schema_column(const struct schema *s, const char *name);
/* Whether an index begins with these columns. */
bool schema_has_index(const struct schema *s, const char *columns);
/* Whether a column can hold what it is for. SQLite's can hold anything. */
bool schema_fits(const struct schema *s, const struct item *item, const struct column *c);
/* Somebody else's table, that has our table's name: what ours cannot do without is of another type,
 * or is not there though each row has to bring it. */
bool schema_is_stranger(const struct schema *s);

/* What does not fit is never run. */
__attribute__((format(printf, 2, 3))) void schema_add(struct sql *sql, const char *fmt, ...);
