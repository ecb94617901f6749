/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * schema: makes the tables of schema.def, and brings those of others up to them.
 *
 * What is there is read from the database's own catalogue, and only what is missing is added: so it
 * can be done again, and over a database of OpenSER or Kamailio. Their rows of `version` stay as
 * they are, as these programs refuse a table whose version is not theirs.
 *
 * One at a time changes a schema: in a transaction behind a lock where the engine can undo what was
 * made, else (MySQL) behind a lock of the server, and each step such that the next run goes on
 * behind it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/schema.h"

#define LOCK_TRIES 10 /* of some three seconds */

static bool is_whole(const struct schema *s)
{
	for (const struct item *item = s->table + 1; item->kind != ITEM_END; item++) {
		if (is_column(item) && schema_column(s, item->name) == NULL)
			return false;
	}
	return true;
}

/* ---- what is added ---- */

static int run(struct schema *s, const struct sql *sql)
{
	if (sql->len + 1 >= sizeof(sql->s))
		return schema_failed(s, -E2BIG, "its SQL is too long");
	return schema_execute(s, sql->s, NULL, 0, NULL, NULL);
}

static void add_column(struct sql *sql, const struct schema *s, const struct item *item)
{
	bool empty = strcmp(item->text, "NULL") == 0;

	schema_add(sql, "\"%s\" ", item->name);
	switch (item->kind) {
	case ITEM_TEXT:
		schema_add(sql, "VARCHAR(%u)", item->number);
		break;
	case ITEM_INT:
		schema_add(sql, "%s", s->dialect->integer);
		break;
	case ITEM_REAL:
		schema_add(sql, "%s", s->dialect->real);
		break;
	default:
		schema_add(sql, "%s", s->dialect->time);
	}
	if (*item->text != '\0')
		schema_add(sql, " DEFAULT %s", item->text);
	if (!empty)
		schema_add(sql, " NOT NULL");
}

/* "a, b" as "\"a\", \"b\"" */
static void add_names(struct sql *sql, const char *names)
{
	size_t len;

	for (; *names != '\0'; names += len + strspn(names + len, ", ")) {
		len = strcspn(names, ",");
		schema_add(sql, "\"%.*s\"%s", (int)len, names, names[len] != '\0' ? ", " : "");
	}
}

static void add_index_name(struct sql *sql, const struct schema *s, const struct item *item)
{
	if (s->dialect->own_names)
		schema_add(sql, "\"%s\"", item->name);
	else
		schema_add(sql, "\"%s_%s\"", s->table->name, item->name);
}

static int make_index(struct schema *s, const struct item *item)
{
	struct sql sql = {0};

	schema_add(&sql, "CREATE %sINDEX ", item->kind == ITEM_UNIQUE ? "UNIQUE " : "");
	add_index_name(&sql, s, item);
	schema_add(&sql, " ON \"%s\" (", s->table->name);
	add_names(&sql, item->text);
	schema_add(&sql, ")");
	return run(s, &sql);
}

static int make_table(struct schema *s)
{
	const struct dialect *d = s->dialect;
	const struct item *item;
	struct sql sql = {0};
	int err;

	schema_add(&sql, "CREATE TABLE \"%s\" (\"id\" %s", s->table->name, d->id);
	for (item = s->table + 1; item->kind != ITEM_END; item++) {
		if (!is_column(item))
			continue;
		schema_add(&sql, ", ");
		add_column(&sql, s, item);
	}
	/* One that cannot be undone is made at once with all that it has. */
	for (item = s->table + 1; item->kind != ITEM_END && !d->undoes; item++) {
		if (!is_index(item))
			continue;
		schema_add(&sql, ", %sINDEX ", item->kind == ITEM_UNIQUE ? "UNIQUE " : "");
		add_index_name(&sql, s, item);
		schema_add(&sql, " (");
		add_names(&sql, item->text);
		schema_add(&sql, ")");
	}
	schema_add(&sql, ")");
	if (!d->undoes)
		schema_add(&sql, " ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = %s",
			s->collation);
	err = run(s, &sql);
	for (item = s->table + 1; err == 0 && item->kind != ITEM_END && d->undoes; item++) {
		if (is_index(item))
			err = make_index(s, item);
	}
	return err;
}

/* Says which version the table under work has, where nobody does. */
static int write_version(struct schema *s)
{
	struct db_value param[] = {db_text(str_c(s->table->name)), db_int(s->table->number)};
	int err = schema_look_version(s);

	if (err != 0 || s->version >= 0)
		return err;
	return schema_execute(s, "INSERT INTO version (table_name, table_version) VALUES (?, ?)",
		param, 2, NULL, NULL);
}

/* Adds what is missing to a table of others. The number of things, or negative. */
static int complete_table(struct schema *s)
{
	const struct item *item;
	int done = 0, err = 0;

	for (item = s->table + 1; err == 0 && item->kind != ITEM_END; item++) {
		struct sql sql = {0};

		if (!is_column(item) || schema_column(s, item->name) != NULL)
			continue;
		schema_add(&sql, "ALTER TABLE \"%s\" ADD COLUMN ", s->table->name);
		add_column(&sql, s, item);
		err = run(s, &sql);
		done++;
	}
	for (item = s->table + 1; err == 0 && item->kind != ITEM_END; item++) {
		if (item->kind == ITEM_FILL && !schema_has_index(s, (item + 1)->text)) {
			err = schema_execute(s, item->text, NULL, 0, NULL, NULL);
		} else if (is_index(item) && !schema_has_index(s, item->text)) {
			err = make_index(s, item);
			done++;
		}
	}
	return err != 0 ? err : done;
}

/* ---- one at a time ---- */

/* MySQL's collation by which texts are equal only where they are the same: the one that does not
 * pass over blanks at the end, of which MariaDB and MySQL have their own. */
static int choose_collation(struct schema *s)
{
	snprintf(s->collation, sizeof(s->collation), "utf8mb4_bin");
	if (s->dialect->undoes)
		return 0;
	return schema_execute(s,
		"SELECT collation_name FROM information_schema.collations WHERE "
		"collation_name IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin') LIMIT 1",
		NULL, 0, schema_take_text, s->collation);
}

static enum db_result try_lock(struct schema *s, char *error, size_t error_size)
{
	enum db_result result = DB_DONE;
	int64_t ours = 1;

	if (s->dialect->undoes)
		result = link_step(s->link, DB_STEP_BEGIN, error, error_size);
	if (result == DB_DONE && s->dialect->lock != NULL) {
		ours = 0;
		result = schema_ask(
			s, s->dialect->lock, NULL, 0, schema_take_number, &ours, error, error_size);
	}
	if (result == DB_DONE && ours != 1) {
		snprintf(error, error_size, "somebody else changes the tables");
		return DB_DOWN;
	}
	return result;
}

static int lock(struct schema *s)
{
	char error[DB_ERROR_MAX] = "", ignored[DB_ERROR_MAX];
	enum db_result result = DB_DOWN;

	for (unsigned i = 0; i < LOCK_TRIES && result == DB_DOWN && !link_dead(s->link); i++) {
		result = try_lock(s, error, sizeof(error));
		if (result != DB_DONE && s->dialect->undoes && !link_dead(s->link))
			(void)link_step(s->link, DB_STEP_ROLLBACK, ignored, sizeof(ignored));
	}
	return result == DB_DONE ? 0 : schema_failed(s, schema_errno(result), error);
}

/* Commits what was done, or undoes it; disconnects. */
static int close_schema(struct schema *s, int err)
{
	char error[DB_ERROR_MAX] = "";
	enum db_result result;

	if (s->link == NULL)
		return err;
	if (s->dialect->undoes && !link_dead(s->link)) {
		result = link_step(
			s->link, err < 0 ? DB_STEP_ROLLBACK : DB_STEP_COMMIT, error, sizeof(error));
		if (err >= 0 && result != DB_DONE) {
			s->table = NULL;
			err = schema_failed(s, schema_errno(result), error);
		}
	}
	link_close(s->link);
	return err;
}

/* Makes the table where there is none; else, if wanted, adds what it lacks. The number of tables
 * that were made, or of things that were added. */
static int bring(struct schema *s, const struct item *table, bool complete)
{
	int done = 1, err = schema_look(s, table);

	if (err != 0)
		return err;
	if (s->columns == 0)
		err = make_table(s);
	else if (schema_is_stranger(s))
		return 0;
	else if (complete)
		done = err = complete_table(s);
	else if (is_whole(s))
		done = 0; /* what was cut off behind its making is made now */
	else
		return 0;
	if (err >= 0)
		err = write_version(s);
	return err < 0 ? err : done;
}

static int bring_all(struct db *db, int database, bool complete, char *error, size_t error_size)
{
	struct schema *s = malloc(sizeof(*s));
	int err, done = 0;

	if (s == NULL) {
		snprintf(error, error_size, "no memory");
		return -ENOMEM;
	}
	err = schema_open(s, db, database, error, error_size);
	if (err == 0)
		err = lock(s);
	if (err == 0)
		err = choose_collation(s);
	for (size_t i = 0; i < schema_items_count && err >= 0; i++) {
		if (schema_items[i].kind != ITEM_TABLE)
			continue;
		err = bring(s, &schema_items[i], complete);
		done += err > 0 ? err : 0;
	}
	err = close_schema(s, err);
	free(s);
	return err < 0 ? err : done;
}

int db_schema_create(struct db *db, int database, char *error, size_t error_size)
{
	return bring_all(db, database, false, error, error_size);
}

int db_schema_migrate(struct db *db, int database, char *error, size_t error_size)
{
	return bring_all(db, database, true, error, error_size);
}
