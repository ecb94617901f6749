/* SPDX-License-Identifier: BSD-3-Clause */
/* avp_db_load(): rows of a user become AVPs. */
#include "avpops/internal.h"

#define CALL_MAX 1024 /* bytes of a packed question: what is longer is no row of anybody's */

struct load {
	struct avpops_source source;
	struct avpops_target target;
	unsigned keys, statement;
	bool named;           /* one attribute is asked for, target.name */
	bool scheme, numbers; /* a row is a value, and nothing else */
	struct db *db;
	struct avpops_sites *sites;
	struct avpops_site *site; /* NULL: it has none */
	char *text;               /* of the argument */
};

#define TYPE_NUMBER 1 /* the value is one */
#define TYPE_ID 2     /* the attribute is: "i:5" */

void avpops_free_load(void *data)
{
	struct load *l = data;

	if (l == NULL)
		return;
	if (l->site != NULL)
		avpops_site_give(l->sites, l->site);
	route_format_free(l->source.format);
	free(l->text);
	free(l);
}

/* ---- the question ---- */

/* The columns of a row: its value; of what is no scheme the type; where any AVP is asked for, the
 * attribute. */
static int make_statement(struct avpops *a, const struct avpops_params *p, int database,
	const struct load *l, const struct avpops_place *place, const struct route_arg *arg,
	struct route_report *report)
{
	struct db_statement statement = {.columns = l->scheme ? "s" : l->named ? "si" : "sis"};
	struct db_sql ordered = {0}, plain;
	unsigned params;

	db_sql_add(&ordered, "SELECT ");
	db_sql_add_str(&ordered, place->value_column);
	if (!l->scheme) {
		db_sql_add(&ordered, ", ");
		db_sql_add(&ordered, p->type_column);
	}
	if (!l->scheme && !l->named) {
		db_sql_add(&ordered, ", ");
		db_sql_add(&ordered, p->attribute_column);
	}
	db_sql_add(&ordered, " FROM ");
	db_sql_add_str(&ordered, place->table);
	params = avpops_add_keys(&ordered, place, l->keys);
	if (l->named && !l->scheme) {
		db_sql_add(&ordered, " AND ");
		db_sql_add(&ordered, p->attribute_column);
		db_sql_add(&ordered, " = ?");
		params++;
	}
	/* Not every table has that column. */
	plain = ordered;
	db_sql_add(&ordered, " ORDER BY id");
	statement.text = ordered.text;
	statement.otherwise = plain.text;
	statement.params = (uint8_t)params;
	return avpops_statement(a, p, database, &statement, &arg->place, report);
}

/* Remembers that this is asked, for those who change it. */
static bool add_site(struct avpops *a, int database, struct load *l,
	const struct avpops_place *place, const struct route_arg *arg, struct route_report *report)
{
	const struct avpops_question q = {.statement = l->statement,
		.keys = l->keys,
		.database = database,
		.table = place->table,
		.attribute = l->named ? l->target.name : STR_NONE};

	l->sites = a->sites;
	l->site = avpops_site_take(a->sites, &q);
	if (l->site != NULL)
		return true;
	if (errno == ENOSPC)
		route_error(report, &arg->place,
			"more than %u AVPs are loaded from databases, those of configurations "
			"before this one included",
			AVPOPS_SITES_MAX);
	else
		route_error(report, &arg->place, "out of memory");
	return false;
}

static bool read_load(struct avpops *a, const struct avpops_params *p, struct load *l,
	const struct route_arg *arg, struct route_report *report)
{
	struct str text, name;
	struct avpops_place place;
	int64_t slash;
	int database, statement;

	if (!avpops_check_columns(p, &arg[0].place, report) ||
		!avpops_read_source(&arg[0], &l->source, report))
		return false;
	if (!arg[1].constant || arg[1].value.type != ROUTE_STR) {
		route_error(report, &arg[1].place, "a string is needed here");
		return false;
	}
	l->text = strndup(arg[1].value.s.s, arg[1].value.s.len);
	if (l->text == NULL) {
		route_error(report, &arg[1].place, "out of memory");
		return false;
	}
	text = str_c(l->text);
	slash = str_find(text, '/');
	name = slash < 0 ? text : str_of(text.s, (size_t)slash);
	text = slash < 0 ? STR_NONE : str_of(text.s + slash + 1, text.len - (uint32_t)slash - 1);
	if (!avpops_read_target(&arg[1], name, true, &l->target, report) ||
		!avpops_read_place(p, &arg[1], text, &place, report))
		return false;
	l->named = l->target.match == AVPOPS_NAME;
	l->scheme = place.scheme;
	l->numbers = place.numbers;
	if (l->scheme && !l->named) {
		route_error(report, &arg[1].place, "with a db_scheme the AVP needs a name");
		return false;
	}
	l->keys = avpops_keys(&l->source, p);
	database = avpops_database(a, p, &arg[0].place, report);
	if (database < 0)
		return false;
	statement = make_statement(a, p, database, l, &place, &arg[1], report);
	if (statement < 0)
		return false;
	l->db = a->db;
	l->statement = (unsigned)statement;
	return l->scheme || add_site(a, database, l, &place, &arg[1], report);
}

AVPOPS_CHECK(avpops_check_load)
{
	struct load *l = calloc(1, sizeof(*l));

	if (l != NULL && read_load(room, config, l, arg, report)) {
		*data = l;
		return 0;
	}
	avpops_free_load(l);
	return l != NULL ? -EINVAL : -ENOMEM;
}

/* ---- the answer ---- */

/* Text that is a number, as a row with such a type has it. */
static bool read_number(struct str text, int64_t *out)
{
	bool negative = text.len > 0 && text.s[0] == '-';
	uint64_t u;

	text = str_trim(text);
	if (negative)
		text = str_of(text.s + 1, text.len - 1);
	if (str_to_u64(text, INT64_MAX, &u) != 0)
		return false;
	*out = negative ? -(int64_t)u : (int64_t)u;
	return true;
}

/* False: there is no room. A row that makes no AVP is passed over. */
static bool add_row(struct route_ctx *ctx, const struct load *l, const struct db_set *set,
	unsigned row, bool *made)
{
	const struct db_value *value = db_value(&set->rows, row, 0);
	int64_t type = l->numbers ? TYPE_NUMBER : 0;
	struct str name = l->target.name;
	struct route_value v = {.type = ROUTE_STR};

	if (value->type != DB_TEXT)
		return true;
	if (!l->scheme && db_value(&set->rows, row, 1)->type == DB_INT)
		type = db_value(&set->rows, row, 1)->i;
	if (!l->named) {
		const struct db_value *attribute = db_value(&set->rows, row, 2);

		if (attribute->type != DB_TEXT ||
			(l->target.match == AVPOPS_NUMBERS && (type & TYPE_ID) == 0) ||
			(l->target.match == AVPOPS_TEXTS && (type & TYPE_ID) != 0))
			return true;
		/* What no script can name is none. */
		name = attribute->s;
		if (!avpops_can_name(name))
			return true;
	}
	v.s = value->s;
	if ((type & TYPE_NUMBER) != 0) {
		v.type = ROUTE_INT;
		if (!read_number(value->s, &v.i))
			return true;
	}
	if (!route_avp_add(ctx, name, &v))
		return false;
	ctx->avp[ctx->avps - 1].value.stored = true;
	*made = true;
	return true;
}

/* Negative: there is no such user, or no room. */
static int pack_load(struct route_ctx *ctx, const struct load *l, char call[static CALL_MAX])
{
	struct db_value param[4];
	struct avpops_who who;
	unsigned params;

	if (!avpops_find_who(ctx, &l->source, &who))
		return -ENOENT;
	params = avpops_put_keys(&who, l->keys, param);
	if (l->named && !l->scheme)
		param[params++] = db_text(l->target.name);
	return db_pack(l->db, call, CALL_MAX, 0, l->statement, param, params);
}

AVPOPS_RUN(avpops_run_load)
{
	const struct load *l = args->data;
	char call[CALL_MAX];
	int len = avpops_waited(ctx, l, call, sizeof(call));
	struct db_set set;
	bool made = false;
	int32_t ret;

	if (len == 0)
		len = pack_load(ctx, l, call);
	if (len < 0)
		return ROUTE_FALSE;
	ret = avpops_rows(ctx, l, l->db, str_of(call, (size_t)len), &set);
	if (ret != ROUTE_TRUE)
		return ret;
	for (unsigned row = 0; row < set.rows.count; row++) {
		if (!add_row(ctx, l, &set, row, &made))
			return ROUTE_FALSE;
	}
	return made ? ROUTE_TRUE : ROUTE_FALSE;
}
