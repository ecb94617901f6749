/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows as bytes: what a db thread found goes to whoever asked, wherever that is by then. */
#include <errno.h>

#include "db/internal.h"

int db_rows_pack(const struct db_rows *rows, char *out, uint32_t size)
{
	uint32_t len = 0;

	for (unsigned i = 0; i < rows->count * rows->columns; i++) {
		const struct db_value *v = &rows->value[i];
		uint32_t bytes = db_value_bytes(v);

		if (bytes > size - len || (v->type == DB_TEXT && v->s.len > DB_VALUE_MAX))
			return -E2BIG;
		(void)db_value_put(out + len, v);
		len += bytes;
	}
	return (int)len;
}

bool db_rows_next(struct str *packed, struct db_value *value, unsigned columns)
{
	if (packed->len == 0)
		return false;
	for (unsigned i = 0; i < columns; i++)
		if (!db_value_get(packed, &value[i]))
			return false;
	return true;
}
