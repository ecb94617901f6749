/* SPDX-License-Identifier: BSD-3-Clause */
#include "db/sql.h"

bool db_is_name(struct str text)
{
	unsigned dots = 0;

	if (text.len == 0 || text.len > DB_NAME_MAX || str_is_digit(text.s[0]) ||
		text.s[0] == '.' || text.s[text.len - 1] == '.')
		return false;
	for (uint32_t i = 0; i < text.len; i++) {
		char c = text.s[i];

		dots += c == '.';
		if (!str_is_alpha(c) && !str_is_digit(c) && c != '_' && c != '.')
			return false;
	}
	return dots <= 1;
}

void db_sql_add_str(struct db_sql *q, struct str text)
{
	if (q->full || text.len >= sizeof(q->text) - q->len) {
		q->full = true;
		return;
	}
	str_copy(q->text + q->len, text);
	q->len += text.len;
	q->text[q->len] = '\0';
}

void db_sql_add(struct db_sql *q, const char *text)
{
	db_sql_add_str(q, str_c(text));
}

void db_time_write(int64_t seconds, char out[DB_TIME_TEXT])
{
	int64_t days = seconds / 86400, left = seconds % 86400, z = days + 719468, era = z / 146097;
	int64_t of_era = z - era * 146097;
	int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
	unsigned day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
	unsigned month = (unsigned)(m < 10 ? m + 3 : m - 9);
	unsigned year = (unsigned)(y + era * 400 + (month <= 2)), second = (unsigned)left;
	unsigned part[] = {
		year / 100, year % 100, month, day, second / 3600, second / 60 % 60, second % 60};
	static const uint8_t at[] = {0, 2, 5, 8, 11, 14, 17};

	memcpy(out, "0000-00-00 00:00:00", DB_TIME_TEXT);
	for (unsigned i = 0; i < sizeof(at); i++) {
		out[at[i]] = (char)('0' + part[i] / 10 % 10);
		out[at[i] + 1] = (char)('0' + part[i] % 10);
	}
}
