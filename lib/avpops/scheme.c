/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where rows are. db_scheme names a table of somebody else's, one column of which is a value:
 * "name:table=subscriber;username_col=username;value_col=rpid;value_type=string".
 */
#include "avpops/internal.h"

struct element {
	const char *name;
	size_t column; /* of struct avpops_place */
};

static const struct element elements[] = {
	{"table", offsetof(struct avpops_place, table)},
	{"uuid_col", offsetof(struct avpops_place, uuid_column)},
	{"username_col", offsetof(struct avpops_place, user_column)},
	{"domain_col", offsetof(struct avpops_place, domain_column)},
	{"value_col", offsetof(struct avpops_place, value_column)},
};
#define ELEMENTS (sizeof(elements) / sizeof(elements[0]))

/* What stands in front of the next `c`; `rest` is what stands behind it. */
static struct str next(struct str *rest, char c)
{
	int64_t at = str_find(*rest, c);
	struct str part = str_trim(at < 0 ? *rest : str_of(rest->s, (size_t)at));

	*rest = at < 0 ? STR_NONE : str_of(rest->s + at + 1, rest->len - (uint32_t)at - 1);
	return part;
}

static bool take_element(struct avpops_place *out, struct str name, struct str value)
{
	if (str_ieq(name, STR("value_type"))) {
		out->numbers = str_ieq(value, STR("integer"));
		return out->numbers || str_ieq(value, STR("string"));
	}
	for (size_t i = 0; i < ELEMENTS; i++) {
		if (!str_ieq(name, str_c(elements[i].name)))
			continue;
		memcpy((char *)out + elements[i].column, &value, sizeof(value));
		return db_is_name(value);
	}
	return false;
}

static bool read_scheme(const struct route_arg *arg, struct str text, struct avpops_place *out,
	struct route_report *report)
{
	struct str element, name;

	out->scheme = true;
	out->table = STR_NONE;
	while (text.len != 0) {
		element = next(&text, ';');
		if (element.len == 0)
			continue;
		name = next(&element, '=');
		if (!take_element(out, name, str_trim(element))) {
			route_error(report, &arg->place,
				"db_scheme: '%.*s=%.*s' is none of table, uuid_col, username_col, "
				"domain_col, value_col (each a name of letters, digits and '_') "
				"and value_type (integer or string)",
				STR_FMT(name), STR_FMT(element));
			return false;
		}
	}
	if (out->table.len == 0)
		route_error(report, &arg->place, "db_scheme: it names no table");
	return out->table.len != 0;
}

static bool find_scheme(const struct avpops_params *p, struct str wanted, struct str *out)
{
	struct str all = p->schemes != NULL ? str_c(p->schemes) : STR_NONE, line, name;

	while (all.len != 0) {
		line = next(&all, '\n');
		name = next(&line, ':');
		if (str_ieq(name, wanted)) {
			*out = line;
			return true;
		}
	}
	return false;
}

bool avpops_read_place(const struct avpops_params *p, const struct route_arg *arg, struct str text,
	struct avpops_place *out, struct route_report *report)
{
	struct str line;

	*out = (struct avpops_place){.table = str_c(p->table),
		.uuid_column = str_c(p->uuid_column),
		.user_column = str_c(p->user_column),
		.domain_column = str_c(p->domain_column),
		.value_column = str_c(p->value_column)};
	text = str_trim(text);
	if (text.len != 0 && text.s[0] == '$') {
		text = str_of(text.s + 1, text.len - 1);
		if (find_scheme(p, text, &line))
			return read_scheme(arg, line, out, report);
		route_error(report, &arg->place, "no db_scheme is called '%.*s'", STR_FMT(text));
		return false;
	}
	if (text.len != 0)
		out->table = text;
	if (db_is_name(out->table))
		return true;
	route_error(report, &arg->place, "'%.*s' is no name of a table: letters, digits and '_'",
		STR_FMT(out->table));
	return false;
}
