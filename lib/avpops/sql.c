/* SPDX-License-Identifier: BSD-3-Clause */
/* SQL of names that the operator has given, and nothing else. */
#include "avpops/internal.h"

static void add_key(struct db_sql *q, struct str column, unsigned *n)
{
	db_sql_add(q, *n == 0 ? " WHERE " : " AND ");
	db_sql_add_str(q, column);
	db_sql_add(q, " = ?");
	++*n;
}

unsigned avpops_add_keys(struct db_sql *q, const struct avpops_place *place, unsigned keys)
{
	unsigned n = 0;

	if ((keys & AVPOPS_UUID) != 0)
		add_key(q, place->uuid_column, &n);
	if ((keys & AVPOPS_USER) != 0)
		add_key(q, place->user_column, &n);
	if ((keys & AVPOPS_DOMAIN) != 0)
		add_key(q, place->domain_column, &n);
	return n;
}

bool avpops_check_columns(
	const struct avpops_params *p, const struct route_place *place, struct route_report *report)
{
	const char *const names[] = {p->uuid_column, p->user_column, p->domain_column,
		p->attribute_column, p->value_column, p->type_column};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!db_is_name(str_c(names[i]))) {
			route_error(report, place,
				"avpops: '%s' is no name of a column: letters, digits and '_'",
				names[i]);
			return false;
		}
	}
	return true;
}

int avpops_database(struct avpops *a, const struct avpops_params *p,
	const struct route_place *place, struct route_report *report)
{
	char error[512] = "";
	int ret;

	if (a->db == NULL) {
		route_error(report, place, "this asks a database, and there is none");
		return -EINVAL;
	}
	ret = db_use(a->db, p->db_url, error, sizeof(error));
	if (ret < 0)
		route_error(report, place, "%s", error);
	return ret;
}

int avpops_statement(struct avpops *a, const struct avpops_params *p, int database,
	struct db_statement *statement, const struct route_place *place,
	struct route_report *report)
{
	char error[512] = "";
	int ret;

	if (statement->ttl_s == 0) {
		statement->ttl_s = (uint32_t)p->ttl;
		statement->negative_ttl_s = (uint32_t)p->negative_ttl;
	}
	ret = db_statement(a->db, database, statement, error, sizeof(error));
	if (ret < 0)
		route_error(report, place, "%s", error);
	return ret;
}
