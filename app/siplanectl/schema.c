/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables: made, brought up to date, looked at. */
#include "siplanectl.h"

#define ERROR_MAX 1024

int verb_db_create(struct ctl *c, int argc, char **argv)
{
	char error[ERROR_MAX];
	int n;

	if (open_database(c) != DONE)
		return FAILED;
	n = db_schema_create(c->db, c->database, error, sizeof(error));
	if (n < 0)
		return fail("%s: %s", db_url_text(c->db, c->database), error);
	return n == 0 ? done("%s: all tables are there already", db_url_text(c->db, c->database))
		      : done("%s: %d tables are made", db_url_text(c->db, c->database), n);
}

int verb_db_migrate(struct ctl *c, int argc, char **argv)
{
	char error[ERROR_MAX];
	int n;

	if (open_database(c) != DONE)
		return FAILED;
	n = db_schema_migrate(c->db, c->database, error, sizeof(error));
	if (n < 0)
		return fail("%s: %s", db_url_text(c->db, c->database), error);
	forget_rows(c);
	return done("%s: up to date", db_url_text(c->db, c->database));
}

static const char *const columns[] = {"table", "usable", "text", NULL};

static void report(void *arg, const char *table, bool usable, const char *text)
{
	table_row(arg, json_pack("{s:s, s:b, s:s}", "table", table, "usable", (int)usable, "text",
			       text != NULL ? text : ""));
}

int verb_db_check(struct ctl *c, int argc, char **argv)
{
	char error[ERROR_MAX];
	struct table t;
	int n, status;

	if (open_database(c) != DONE)
		return FAILED;
	table_begin(&t, columns);
	n = db_schema_check(c->db, c->database, report, &t, error, sizeof(error));
	if (n < 0) {
		json_decref(t.rows);
		return fail("%s: %s", db_url_text(c->db, c->database), error);
	}
	status = table_end(&t, "there are no tables");
	return n == 0 ? status : FAILED;
}
