/* SPDX-License-Identifier: BSD-3-Clause */
/* spool_text: changes as SQL with their values, for people who look into a spool. */
#include <stdio.h>

#include "db/spool_file.h"

struct text {
	char *out;
	size_t len, size;
};

/* False: there is no room. */
static bool write_text(struct text *t, const char *s, size_t len)
{
	if (len > t->size - t->len)
		return false;
	memcpy(t->out + t->len, s, len);
	t->len += len;
	return true;
}

static bool write_quoted(struct text *t, struct str s)
{
	bool room = write_text(t, "'", 1);

	for (uint32_t i = 0; i < s.len && room; i++)
		room = write_text(t, s.s[i] == '\'' ? "''" : &s.s[i], s.s[i] == '\'' ? 2 : 1);
	return room && write_text(t, "'", 1);
}

static bool write_value(struct text *t, const struct db_value *v)
{
	char text[32] = "NULL";

	if (v->type == DB_TEXT)
		return write_quoted(t, v->s);
	if (v->type == DB_INT)
		snprintf(text, sizeof(text), "%lld", (long long)v->i);
	else if (v->type == DB_REAL)
		snprintf(text, sizeof(text), "%.17g", v->r);
	return write_text(t, text, strlen(text));
}

size_t spool_text_write(const struct db *db, struct str calls, char *out, size_t size)
{
	static const char too_long[] = "(too long as text)";
	const struct statement *s;
	struct db_call call;
	struct text t = {out, 0, size};
	bool room = true;

	while (room && db_unpack(&calls, &call) == 0) {
		s = db_statement_of(db, call.statement);
		room = (t.len == 0 || write_text(&t, "; ", 2)) && s != NULL &&
		       write_text(&t, s->text, strlen(s->text));
		for (unsigned i = 0; i < call.params && room; i++)
			room = write_text(&t, i == 0 ? " (" : ", ", 2) &&
			       write_value(&t, &call.param[i]);
		if (call.params != 0)
			room = room && write_text(&t, ")", 1);
	}
	if (room)
		return t.len;
	memcpy(out, too_long, sizeof(too_long) - 1);
	return sizeof(too_long) - 1;
}
