/* SPDX-License-Identifier: BSD-3-Clause */
/* Databases, from the side of one who may wait. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "siplanectl.h"

#define ERROR_MAX 512

int open_database(struct ctl *c)
{
	struct db_config config = {.threads = 1};
	char error[ERROR_MAX];

	if (c->db != NULL)
		return DONE;
	c->db = db_create(&config, error, sizeof(error));
	if (c->db == NULL)
		return fail("%s", error);
	c->database = db_use(c->db, c->settings.db_url, error, sizeof(error));
	if (c->database < 0) {
		db_destroy(c->db);
		c->db = NULL;
		return fail("db_url: %s", error);
	}
	return DONE;
}

/* What a result other than DB_DONE means to an operator. */
static int say_result(const struct ctl *c, enum db_result result, const char *error)
{
	const char *url = db_url_text(c->db, c->database);

	if (error[0] == '\0')
		error = db_result_text(result);
	if (result == DB_REFUSED)
		return fail("%s: %s\n('siplanectl db check' says which tables there are, 'db "
			    "create' makes them)",
			url, error);
	return fail("%s: %s", url, error);
}

/* Packs one behind `len` bytes; the new length, or negative where it has been said. */
static int pack(struct ctl *c, const struct query *q, char *out, uint32_t size, uint32_t len)
{
	struct db_statement statement = {.text = q->text,
		.otherwise = q->otherwise,
		.columns = q->columns,
		.params = (uint8_t)q->params};
	char error[ERROR_MAX];
	int number = db_statement(c->db, c->database, &statement, error, sizeof(error)), n;

	if (number < 0) {
		fail("%s", error);
		return -1;
	}
	n = db_pack(c->db, out, size, len, (unsigned)number, q->param, q->params);
	if (n < 0)
		fail("what is to be stored is too long");
	return n < 0 ? -1 : n;
}

int ask_database(struct ctl *c, struct query *q)
{
	char call[DB_CALL_MAX], error[ERROR_MAX] = "";
	enum db_result result;
	int len;

	q->refused = false;
	if (open_database(c) != DONE)
		return FAILED;
	len = pack(c, q, call, sizeof(call), 0);
	if (len < 0)
		return FAILED;
	result = db_now(c->db, str_of(call, (size_t)len), q->visit, q->arg, &q->changed, error,
		sizeof(error));
	if (result == DB_DONE)
		return DONE;
	q->refused = result == DB_REFUSED;
	if (q->refused && q->may_refuse)
		return FAILED;
	return say_result(c, result, error);
}

struct outcome {
	bool there;
	enum db_result result;
};

static void note(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct outcome *o = arg;

	o->there = true;
	o->result = result;
}

int change_database(struct ctl *c, const struct query *q, unsigned count)
{
	char calls[DB_CALL_MAX];
	struct outcome o = {.there = false};
	struct db_state state;
	int len = 0, err;

	if (open_database(c) != DONE)
		return FAILED;
	for (unsigned i = 0; i < count; i++) {
		len = pack(c, &q[i], calls, sizeof(calls), (uint32_t)len);
		if (len < 0)
			return FAILED;
	}
	err = db_change(c->db, str_of(calls, (size_t)len), note, &o);
	if (err != 0)
		return fail("%s: %s", db_url_text(c->db, c->database), strerror(-err));
	/* Each change ends: the room sees to its time. */
	while (!o.there) {
		if (db_poll(c->db, clock_now_ns()) == 0)
			usleep(1000);
	}
	if (o.result == DB_DONE)
		return DONE;
	return say_result(c, o.result, db_state(c->db, c->database, &state) ? state.error : "");
}

/* ---- rows that are shown ---- */

struct showing {
	struct table table;
	const char *const *column;
};

static json_t *json_of(const struct db_value *value)
{
	json_t *text;

	switch (value->type) {
	case DB_INT:
		return json_integer(value->i);
	case DB_REAL:
		return json_real(value->r);
	case DB_TEXT:
		text = json_stringn(value->s.len != 0 ? value->s.s : "", value->s.len);
		return text != NULL ? text : json_string("(no UTF-8)");
	case DB_NULL:
		break;
	}
	return json_null();
}

static bool show_row(void *arg, const struct db_value *value, unsigned columns)
{
	struct showing *s = arg;
	json_t *row = json_object();

	for (unsigned i = 0; i < columns && s->column[i] != NULL; i++)
		json_object_set_new(row, s->column[i], json_of(&value[i]));
	table_row(&s->table, row);
	return true;
}

int show_rows(struct ctl *c, struct query *q, const char *const *columns, const char *none)
{
	struct showing s = {.column = columns};
	int status;

	table_begin(&s.table, columns);
	q->visit = show_row;
	q->arg = &s;
	status = ask_database(c, q);
	if (status == DONE)
		return table_end(&s.table, none);
	json_decref(s.table.rows);
	return status;
}

static bool note_row(void *arg, const struct db_value *value, unsigned columns)
{
	*(bool *)arg = true;
	return false;
}

int has_row(struct ctl *c, struct query *q, bool *found)
{
	*found = false;
	q->visit = note_row;
	q->arg = found;
	return ask_database(c, q);
}
