/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * schema_check: says what the tables of a database are good for.
 */
#include <errno.h>
#include <stdlib.h>

#include "db/schema.h"

/* The columns that the table under work has of ours, asked for once: may we, do they belong to it?
 */
static bool readable(struct schema *s, struct sql *said)
{
	char error[DB_ERROR_MAX] = "";
	struct sql sql = {0};
	const char *between = "";

	schema_add(&sql, "SELECT ");
	for (const struct item *item = s->table + 1; item->kind != ITEM_END; item++) {
		if (!is_column(item) || schema_column(s, item->name) == NULL)
			continue;
		schema_add(&sql, "%s\"%s\"", between, item->name);
		between = ", ";
	}
	schema_add(&sql, " FROM \"%s\" WHERE 1 = 0", s->table->name);
	if (schema_ask(s, sql.s, NULL, 0, NULL, NULL, error, sizeof(error)) == DB_DONE)
		return true;
	schema_add(said, "; cannot be read: %s", error);
	return false;
}

/* Columns that are not there or not of use. False: without them the table is not, either. */
static bool report_columns(const struct schema *s, struct sql *said)
{
	const char *before = "; without ";
	const struct column *c;
	bool usable = true;

	for (const struct item *item = s->table + 1; item->kind != ITEM_END; item++) {
		if (!is_column(item))
			continue;
		c = schema_column(s, item->name);
		if (c != NULL && schema_fits(s, item, c))
			continue;
		schema_add(said, "%s%s", before, item->name);
		if (c != NULL)
			schema_add(said, ", which is of the type %s here", c->type);
		if (item->without != NEEDED)
			schema_add(said, " (%s)", item->without);
		before = ", ";
		usable &= item->without != NEEDED;
	}
	return usable;
}

static void report_sizes(const struct schema *s, struct sql *said)
{
	const char *before = "; refuses more than ";
	const struct column *c;

	for (const struct item *item = s->table + 1; item->kind != ITEM_END; item++) {
		c = item->kind == ITEM_TEXT ? schema_column(s, item->name) : NULL;
		if (c == NULL || c->size <= 0 || c->size >= item->number)
			continue;
		schema_add(said, "%s%lld characters of %s", before, (long long)c->size, item->name);
		before = ", ";
	}
}

static void report_indexes(const struct schema *s, struct sql *said)
{
	const char *before = "; slow, as there is no index over ";

	for (const struct item *item = s->table + 1; item->kind != ITEM_END; item++) {
		if (!is_index(item) || schema_has_index(s, item->text))
			continue;
		schema_add(said, "%s(%s)", before, item->text);
		before = ", ";
	}
}

/* One sentence about the table under work, and whether it can be used. */
static bool describe(struct schema *s, struct sql *said)
{
	bool usable;

	schema_add(said, "%s", s->table->text);
	if (s->columns == 0) {
		schema_add(said, "; is not there");
		return false;
	}
	if (s->version >= 0 && s->version != s->table->number)
		schema_add(said, "; version %lld instead of %u", (long long)s->version,
			s->table->number);
	usable = report_columns(s, said);
	usable = readable(s, said) && usable;
	if (usable) {
		report_sizes(s, said);
		report_indexes(s, said);
	}
	if (usable && s->stored[0] != '\0' && strcasecmp(s->stored, "InnoDB") != 0)
		schema_add(said,
			"; kept by %s, which has no transactions: what is cut off stays half done",
			s->stored);
	return usable;
}

static int check_table(
	struct schema *s, const struct item *table, bool *versions, bool *usable, struct sql *said)
{
	int err = schema_look(s, table);

	if (err != 0)
		return err;
	/* The first of them is `version` itself. */
	if (table == schema_items)
		*versions = s->columns != 0 && !schema_is_stranger(s);
	if (*versions && s->columns != 0) {
		err = schema_look_version(s);
		/* Who may not read it is told so at its own line. */
		if (err == -EPERM)
			*versions = false;
		else if (err != 0)
			return err;
	}
	*usable = describe(s, said);
	return link_dead(s->link) ? schema_failed(s, -EAGAIN, "the connection was lost") : 0;
}

int db_schema_check(struct db *db, int database,
	void (*report)(void *arg, const char *table, bool usable, const char *text), void *arg,
	char *error, size_t error_size)
{
	struct schema *s = malloc(sizeof(*s));
	bool versions = false, usable = false;
	int err, unusable = 0;

	if (s == NULL) {
		snprintf(error, error_size, "no memory");
		return -ENOMEM;
	}
	err = schema_open(s, db, database, error, error_size);
	for (size_t i = 0; i < schema_items_count && err == 0; i++) {
		struct sql said = {0};

		if (schema_items[i].kind != ITEM_TABLE)
			continue;
		err = check_table(s, &schema_items[i], &versions, &usable, &said);
		if (err != 0)
			break;
		report(arg, schema_items[i].name, usable, said.s);
		unusable += !usable;
	}
	link_close(s->link);
	free(s);
	return err != 0 ? err : unusable;
}
