/* SPDX-License-Identifier: BSD-3-Clause */
/* Destinations of a database's table. Each row becomes a line as list_file has it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "dispatch/internal.h"

#define TEXT_MAX (4u << 20) /* bytes of all lines, as of a list_file */
#define NUMBERS_MAX 64      /* bytes of the numbers of a line, and what is between its words */

int dispatch_table_statement(struct dispatch *d, const char *url, const char *table,
	const char *const column[DISPATCH_COLUMNS], struct route_report *report)
{
	struct db_table t = {.name = table, .types = "isiis", .needed = 3, .ordered = 2};
	char error[512] = "there is no database here";
	int ret = d->db != NULL ? db_use(d->db, url, error, sizeof(error)) : -EINVAL;

	for (unsigned i = 0; i < DISPATCH_COLUMNS; i++)
		t.column[i] = column[i];
	if (ret >= 0)
		ret = db_table(d->db, ret, &t, error, sizeof(error));
	if (ret < 0)
		route_error(report, NULL, "dispatcher: db_url: %s", error);
	return ret;
}

struct reading {
	struct route_report *report;
	const char *table;
	char *text;
	size_t len, room;
	unsigned row, refused;
	const char *failed; /* the table as a whole is no good */
};

/* A word of a line: what would end it, or the line, is none. */
static bool is_word(struct str text)
{
	for (uint32_t i = 0; i < text.len; i++)
		if ((unsigned char)text.s[i] <= ' ' || text.s[i] == 0x7f)
			return false;
	return text.len == 0 || text.s[0] != '#';
}

static struct str text_of(const struct db_value *value)
{
	return value->type == DB_TEXT ? str_trim(value->s) : STR_NONE;
}

static bool make_room(struct reading *r, size_t more)
{
	char *bigger;

	if (r->len + more <= r->room)
		return true;
	r->failed = "it is larger than 4 MiB";
	if (r->len + more > TEXT_MAX)
		return false;
	r->failed = "not enough memory";
	r->room = 2 * r->room + more + 4096;
	bigger = realloc(r->text, r->room);
	if (bigger == NULL)
		return false;
	r->failed = NULL;
	r->text = bigger;
	return true;
}

static void refuse(struct reading *r, struct str destination, const char *why)
{
	if (++r->refused <= DISPATCH_ROWS_SAID)
		route_warning(r->report, NULL, "table %s: '%.*s': %s", r->table,
			STR_FMT(destination), why);
}

static bool take_row(void *arg, const struct db_value *v, unsigned columns)
{
	struct reading *r = arg;
	struct str destination = text_of(&v[1]), attributes = text_of(&v[4]);
	int64_t flags = v[2].type == DB_INT ? v[2].i : 0;
	int64_t priority = v[3].type == DB_INT ? v[3].i : 0;

	r->row++;
	if (v[0].type != DB_INT || v[0].i < 0) {
		refuse(r, destination, "a set is a number from 0 on");
	} else if (destination.len == 0 || !is_word(destination)) {
		refuse(r, destination, "a destination is a SIP URI without spaces");
	} else if (!is_word(attributes)) {
		refuse(r, destination, "attributes are name=value;name=value without spaces");
	} else if (make_room(r, NUMBERS_MAX + destination.len + attributes.len)) {
		r->len += (size_t)snprintf(r->text + r->len, r->room - r->len,
			"%" PRId64 " %.*s %" PRId64 " %" PRId64 " %.*s\n", v[0].i,
			STR_FMT(destination), flags, priority, STR_FMT(attributes));
	}
	return r->failed == NULL;
}

int dispatch_table_read(struct dispatch *d, int statement, const char *table,
	struct resolver *resolver, struct route_report *report, struct dispatch_specs *out,
	char *error, size_t error_size)
{
	struct reading r = {.report = report, .table = table};
	char name[128];
	enum db_result result;
	unsigned left_out = 0;
	int err = -EIO;

	error[0] = '\0';
	result = db_table_read(d->db, statement, take_row, &r, error, error_size);
	snprintf(name, sizeof(name), "table %s", table);
	if (result == DB_DONE && r.failed == NULL)
		err = dispatch_list_parse_rows(name, str_of(r.text != NULL ? r.text : "", r.len),
			resolver, d, report, out, &left_out, &r.failed);
	if (r.failed != NULL)
		snprintf(error, error_size, "%s", r.failed);
	else if (err != 0 && error[0] == '\0')
		snprintf(error, error_size, "%s", db_result_text(result));
	left_out += r.refused;
	if (left_out > 0)
		route_warning(report, NULL, "table %s: %u row%s wrong and left out", table,
			left_out, left_out == 1 ? " is" : "s are");
	free(r.text);
	return err;
}
