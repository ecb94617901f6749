/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * avp_db_query(): SQL of the operator's own. Each variable in it becomes a parameter while the file
 * is read, and where it stands within quotes the whole quoted text does: so nothing that a message
 * carries is ever SQL, whatever the script does about escaping.
 */
#include "avpops/internal.h"
#include "route/value.h"

#define QUERY_PARAMS_MAX 16
#define QUERY_COLUMNS_MAX 16

struct query {
	struct db *db;
	unsigned statement;
	bool asks; /* SELECT */
	unsigned params;
	struct route_format *param[QUERY_PARAMS_MAX];
	bool text[QUERY_PARAMS_MAX]; /* it stood within quotes */
	unsigned avps;               /* of columns from the first on; the others are passed over */
	struct str avp[QUERY_COLUMNS_MAX];
	char own[QUERY_COLUMNS_MAX][4]; /* names where the script gives none: 1, 2, ... */
	char *names;                    /* the second argument */
};

void avpops_free_query(void *data)
{
	struct query *q = data;

	if (q == NULL)
		return;
	for (unsigned i = 0; i < q->params; i++)
		route_format_free(q->param[i]);
	free(q->names);
	free(q);
}

/* ---- reading SQL ---- */

struct reader {
	struct query *query;
	const struct route_arg *arg;
	struct route_report *report;
	struct str in;
	uint32_t at;
	struct db_sql sql;
};

static bool refuse(struct reader *r, const char *why)
{
	route_error(r->report, &r->arg->place, "%s", why);
	return false;
}

static bool add_param(struct reader *r, struct str format, bool text)
{
	struct query *q = r->query;

	if (q->params == QUERY_PARAMS_MAX)
		return refuse(r, "more than 16 variables in a query");
	q->param[q->params] = route_format_compile(format, &r->arg->place, r->report);
	if (q->param[q->params] == NULL)
		return false;
	q->text[q->params++] = text;
	db_sql_add(&r->sql, "?");
	return true;
}

/* Where what is in brackets at `at` is over. */
static uint32_t behind_brackets(struct str in, uint32_t at)
{
	unsigned depth = 0;

	for (; at < in.len; at++) {
		if (in.s[at] == '(')
			depth++;
		else if (in.s[at] == ')' && --depth == 0)
			return at + 1;
	}
	return at;
}

/* "$ru", "$avp(x)", "$(ru{uri.user})" */
static bool take_variable(struct reader *r)
{
	uint32_t from = r->at++;

	if (r->at < r->in.len && r->in.s[r->at] == '(') {
		r->at = behind_brackets(r->in, r->at);
	} else {
		struct str rest = str_of(r->in.s + r->at, r->in.len - r->at);

		r->at += variable_take_name(&rest).len;
		if (r->at < r->in.len && r->in.s[r->at] == '(')
			r->at = behind_brackets(r->in, r->at);
	}
	return add_param(r, str_of(r->in.s + from, r->at - from), false);
}

/* 'text', "text" or `text`: where there is a variable in it, it is a parameter as it stands there.
 */
static bool take_quoted(struct reader *r)
{
	char quote = r->in.s[r->at], text[DB_SQL_MAX];
	uint32_t from = r->at++, len = 0;
	bool variable = false, doubled;

	for (;; r->at++) {
		if (r->at == r->in.len)
			return refuse(r, "a quote in this query does not end");
		doubled = r->in.s[r->at] == quote && r->at + 1 < r->in.len &&
			  r->in.s[r->at + 1] == quote;
		if (r->in.s[r->at] == quote && !doubled)
			break;
		if (r->in.s[r->at] == '\\')
			return refuse(r, "a quote within quotes is written twice, and no "
					 "backslash stands there");
		if (len == sizeof(text))
			return refuse(r, "the query is too long");
		variable |= r->in.s[r->at] == '$';
		text[len++] = r->in.s[r->at];
		r->at += doubled;
	}
	r->at++;
	if (!variable) {
		db_sql_add_str(&r->sql, str_of(r->in.s + from, r->at - from));
		return true;
	}
	if (quote == '`')
		return refuse(r, "the name of a table or column cannot be a variable");
	return add_param(r, str_of(text, len), true);
}

static bool read_sql(struct reader *r)
{
	while (r->at < r->in.len) {
		char c = r->in.s[r->at];
		bool good = true;

		if (c == '$')
			good = take_variable(r);
		else if (c == '\'' || c == '"' || c == '`')
			good = take_quoted(r);
		else if (c == '?' || c == ';')
			return refuse(r, "a query is one statement without '?': variables stand in "
					 "it as they are");
		else
			db_sql_add_str(&r->sql, str_of(&r->in.s[r->at++], 1));
		if (!good)
			return false;
	}
	return r->sql.full ? refuse(r, "the query is too long") : true;
}

static struct str first_word(struct str text)
{
	uint32_t len = 0;

	while (len < text.len && str_is_alpha(text.s[len]))
		len++;
	return str_of(text.s, len);
}

/* Columns that a SELECT names: commas outside of brackets and quotes up to FROM. 0: it has a star.
 */
static unsigned count_columns(struct str sql)
{
	unsigned depth = 0, columns = 1;

	for (uint32_t i = 6; i < sql.len; i++) {
		char c = sql.s[i];
		struct str rest = str_of(sql.s + i, sql.len - i);

		if (c == '\'' || c == '"' || c == '`') {
			int64_t end = str_find(str_of(rest.s + 1, rest.len - 1), c);

			i += end < 0 ? rest.len : (uint32_t)end + 1;
		} else if (c == '(') {
			depth++;
		} else if (c == ')') {
			depth -= depth > 0;
		} else if (depth == 0 && c == ',') {
			columns++;
		} else if (depth == 0 && c == '*') {
			return 0;
		} else if (depth == 0 && !str_is_alpha(sql.s[i - 1]) &&
			   str_ieq(first_word(rest), STR("from"))) {
			break;
		}
	}
	return columns;
}

/* ---- load ---- */

/* "$avp(a);$avp(b)" */
static bool read_avps(struct query *q, const struct route_arg *arg, struct route_report *report)
{
	struct str rest;

	q->names = arg->constant && arg->value.type == ROUTE_STR
			   ? strndup(arg->value.s.s, arg->value.s.len)
			   : NULL;
	rest = q->names != NULL ? str_c(q->names) : STR_NONE;
	while (rest.len != 0) {
		int64_t end = str_find(rest, ';');
		struct str item = str_trim(end < 0 ? rest : str_of(rest.s, (size_t)end));
		struct avpops_target t = {0};

		rest = end < 0 ? STR_NONE : str_of(rest.s + end + 1, rest.len - (uint32_t)end - 1);
		if (item.len == 0 && rest.len == 0)
			break;
		if (q->avps == QUERY_COLUMNS_MAX || !avpops_read_name(item, &t) ||
			t.match != AVPOPS_NAME) {
			q->avps = 0;
			break;
		}
		q->avp[q->avps++] = t.name;
	}
	if (q->avps == 0)
		route_error(report, &arg->place,
			"what is found goes into AVPs, \"$avp(s:a);$avp(s:b)\", 16 at most");
	return q->avps != 0;
}

/* The AVPs of columns, and "aa": as many as there are, of the type that each has. */
static bool read_columns(struct query *q, struct str sql, const struct route_arg *arg, unsigned n,
	char columns[DB_COLUMNS_MAX + 1], struct route_report *report)
{
	unsigned count = count_columns(sql);

	if (n > 1 && !read_avps(q, &arg[1], report))
		return false;
	if (count == 0)
		count = q->avps;
	if (count == 0 || count > QUERY_COLUMNS_MAX || q->avps > count) {
		route_error(report, &arg[0].place,
			count == 0 ? "say which columns are wanted, or into which AVPs they go"
				   : "a query has 16 columns at most, and no fewer than AVPs");
		return false;
	}
	for (unsigned i = 0; n < 2 && i < count; i++) {
		q->avp[i] = str_of(q->own[i], str_from_u64(q->own[i], i + 1));
		q->avps = i + 1;
	}
	memset(columns, 'a', count);
	columns[count] = '\0';
	return true;
}

static bool read_query(struct avpops *a, const struct avpops_params *p, struct query *q,
	const struct route_arg *arg, unsigned n, struct route_report *report)
{
	struct reader r = {.query = q, .arg = &arg[0], .report = report};
	struct db_statement statement = {
		.ttl_s = (uint32_t)p->query_ttl, .negative_ttl_s = (uint32_t)p->query_ttl};
	char columns[DB_COLUMNS_MAX + 1];
	struct str word;
	int database, number;

	if (!arg[0].constant || arg[0].value.type != ROUTE_STR)
		return refuse(&r, "a query has to be known when the file is read: write variables "
				  "into it, which become its parameters");
	r.in = str_trim(arg[0].value.s);
	while (r.in.len != 0 && (r.in.s[r.in.len - 1] == ';' || r.in.s[r.in.len - 1] == ' '))
		r.in.len--;
	word = first_word(r.in);
	q->asks = str_ieq(word, STR("select"));
	if (!q->asks && !str_ieq(word, STR("insert")) && !str_ieq(word, STR("update")) &&
		!str_ieq(word, STR("delete")) && !str_ieq(word, STR("replace")))
		return refuse(&r, "a query is a SELECT, INSERT, UPDATE, DELETE or REPLACE");
	if (!read_sql(&r))
		return false;
	statement.text = r.sql.text;
	statement.params = (uint8_t)q->params;
	if (q->asks) {
		if (!read_columns(q, str_of(r.sql.text, r.sql.len), arg, n, columns, report))
			return false;
		statement.columns = columns;
	}
	database = avpops_database(a, p, &arg[0].place, report);
	if (database < 0)
		return false;
	number = avpops_statement(a, p, database, &statement, &arg[0].place, report);
	q->db = a->db;
	q->statement = (unsigned)number;
	return number >= 0;
}

AVPOPS_CHECK(avpops_check_query)
{
	struct query *q = calloc(1, sizeof(*q));

	if (q != NULL && read_query(room, config, q, arg, n, report)) {
		*data = q;
		return 0;
	}
	avpops_free_query(q);
	return q != NULL ? -EINVAL : -ENOMEM;
}

/* ---- run ---- */

#define QUERY_NONE (-2) /* there is no such row */

static bool add_value(struct route_ctx *ctx, struct str name, const struct db_value *value)
{
	struct route_value v = {.type = ROUTE_STR, .s = value->s};
	char real[32];

	switch (value->type) {
	case DB_INT:
		v = (struct route_value){.type = ROUTE_INT, .i = value->i};
		break;
	case DB_REAL:
		v.s = str_of(real, (size_t)snprintf(real, sizeof(real), "%.15g", value->r));
		break;
	case DB_TEXT:
		if (value->s.len != 0)
			break;
		return true;
	case DB_NULL:
		return true;
	}
	return route_avp_add(ctx, name, &v);
}

/* The first row's values come last, so that they are found first. */
static int32_t take_rows(struct route_ctx *ctx, const struct query *q, const struct db_set *set)
{
	for (unsigned row = set->rows.count; row-- > 0;) {
		for (unsigned i = 0; i < q->avps && i < set->rows.columns; i++) {
			if (!add_value(ctx, q->avp[i], db_value(&set->rows, row, i)))
				return ROUTE_FALSE;
		}
	}
	return ROUTE_TRUE;
}

/* What stands within quotes is a text, whatever it looks like: MySQL compares a text with a number
 * as if it were one, and each that begins with no digit is 0. */
static struct db_value param_of(
	const struct route_value *v, bool text, char digits[VALUE_NUMBER_MAX])
{
	if (text)
		return db_text(value_as_text(v, digits));
	return v->type == ROUTE_INT   ? db_int(v->i)
	       : v->type == ROUTE_STR ? db_text(v->s)
				      : (struct db_value){.type = DB_NULL};
}

/* Negative: there is no room, or a text is none. */
static int pack_query(struct route_ctx *ctx, const struct query *q, char call[static DB_CALL_MAX])
{
	struct db_value param[QUERY_PARAMS_MAX];
	char digits[QUERY_PARAMS_MAX][VALUE_NUMBER_MAX];
	struct route_value v;

	for (unsigned i = 0; i < q->params; i++) {
		if (!route_format_eval(ctx, q->param[i], &v) ||
			(v.type == ROUTE_STR && str_utf8_len(v.s) != v.s.len))
			return -EINVAL;
		param[i] = param_of(&v, q->text[i], digits[i]);
	}
	return db_pack(q->db, call, DB_CALL_MAX, 0, q->statement, param, q->params);
}

AVPOPS_RUN(avpops_run_query)
{
	const struct query *q = args->data;
	char call[DB_CALL_MAX];
	int len = avpops_waited(ctx, q, call, sizeof(call));
	bool waited = len != 0;
	struct db_set set;
	int32_t ret;

	if (!waited)
		len = pack_query(ctx, q, call);
	if (len < 0)
		return ROUTE_FALSE;
	if (!q->asks) {
		ret = avpops_change(ctx, q, str_of(call, (size_t)len));
		return ret == ROUTE_NO_ROWS ? ROUTE_FALSE : ret;
	}
	if (ctx->changed && !waited) {
		ctx->wait_note = (uintptr_t)q;
		return route_wait_anew(ctx, str_of(call, (size_t)len));
	}
	ret = avpops_rows(ctx, q, q->db, str_of(call, (size_t)len), &set);
	if (ret == ROUTE_TRUE)
		return take_rows(ctx, q, &set);
	return ret == ROUTE_FALSE ? QUERY_NONE : ret == ROUTE_NO_ROWS ? ROUTE_FALSE : ret;
}
