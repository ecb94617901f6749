/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of a database's table: what is wrong with one. */
#include "access/internal.h"

struct str access_row_text(const struct db_value *value)
{
	return value->type == DB_TEXT ? value->s : STR_NONE;
}

void access_row_refuse(struct access_rows *r, struct str value, const char *why)
{
	if (++r->refused > ACCESS_REFUSED_SAID)
		return;
	if (value.len != 0)
		route_warning(r->report, NULL, "table %s: '%.*s': %s; the row is left out", r->name,
			STR_FMT(value), why);
	else
		route_warning(r->report, NULL, "table %s: %s; the row is left out", r->name, why);
}

void access_rows_end(const struct access_rows *r)
{
	if (r->refused > ACCESS_REFUSED_SAID)
		route_warning(r->report, NULL, "table %s: %u more rows are wrong and left out",
			r->name, r->refused - ACCESS_REFUSED_SAID);
}
