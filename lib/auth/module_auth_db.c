/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSER module "auth_db": users of a database, and their passwords. */
#include "auth/internal.h"

/* modparam("auth_db", ...) */
struct auth_db_params {
	struct auth_asks asks;
	const char *user_column, *domain_column, *password_column, *password_column_2;
	const char *sha256_column, *sha512_column, *load_credentials;
	int64_t calculate_ha1, use_domain, force_avps;
};

#define AVPS_MAX 16 /* of load_credentials */

/* What a call asks for, made when the script is loaded. */
struct subscriber_call {
	unsigned statement;
	unsigned params; /* user, and domain */
	bool clear;      /* the password column is in clear */
	bool force_avps;
	unsigned avps;
	struct str avp[AVPS_MAX]; /* as long as the script */
};

/* Columns of a row, in front of those of load_credentials. */
enum column {
	COLUMN_PASSWORD,
	COLUMN_PASSWORD_2,
	COLUMN_SHA256,
	COLUMN_SHA512,
	COLUMN_HA1, /* of who has no password in the clear, where others have */
	COLUMNS
};

/* What siplanectl stores, whatever column a script reads clear passwords from. */
#define HA1_COLUMN "ha1"

/* ---- at load ---- */

/* "$avp(rpid)=rpid;email_address": AVPs, and the columns that they are of. */
static bool read_credentials(const char *list, struct subscriber_call *call, struct db_sql *sql)
{
	struct str rest = str_trim(str_c(list));

	while (rest.len != 0) {
		int64_t end = str_find(rest, ';'), equals;
		struct str item = str_trim(end < 0 ? rest : str_of(rest.s, (size_t)end)), name;
		char column[AUTH_COLUMN_MAX + 1];

		rest = end < 0 ? STR_NONE : str_of(rest.s + end + 1, rest.len - (uint32_t)end - 1);
		equals = str_find(item, '=');
		name = equals < 0 ? item : route_avp_name(str_trim(str_of(item.s, (size_t)equals)));
		if (equals >= 0)
			item = str_trim(
				str_of(item.s + equals + 1, item.len - (uint32_t)equals - 1));
		if (!db_is_name(item) || name.len == 0 || call->avps == AVPS_MAX)
			return false;
		call->avp[call->avps++] = name;
		memcpy(column, item.s, item.len);
		column[item.len] = '\0';
		db_sql_add(sql, ", ");
		db_sql_add(sql, column);
	}
	return true;
}

static bool names_are_good(const struct auth_db_params *p)
{
	return db_is_name(str_c(p->user_column)) && db_is_name(str_c(p->domain_column)) &&
	       db_is_name(str_c(p->password_column)) && db_is_name(str_c(p->password_column_2)) &&
	       db_is_name(str_c(p->sha256_column)) && db_is_name(str_c(p->sha512_column));
}

/* FROM and WHERE of all these questions. */
static void add_where(
	struct db_sql *sql, const struct auth_db_params *p, const char *table, bool use_domain)
{
	db_sql_add(sql, " FROM ");
	db_sql_add(sql, table);
	db_sql_add(sql, " WHERE ");
	db_sql_add(sql, p->user_column);
	db_sql_add(sql, " = ?");
	if (use_domain) {
		db_sql_add(sql, " AND ");
		db_sql_add(sql, p->domain_column);
		db_sql_add(sql, " = ?");
	}
}

/* The name of a table, which has to be known when the file is read. */
static bool read_table(
	const struct route_arg *arg, char out[AUTH_COLUMN_MAX + 1], struct route_report *report)
{
	struct str name = arg->value.s;

	if (!arg->constant || arg->value.type != ROUTE_STR || !db_is_name(name)) {
		route_error(report, &arg->place,
			"a table has a name of letters, digits and '_' that is known when the file "
			"is read");
		return false;
	}
	memcpy(out, name.s, name.len);
	out[name.len] = '\0';
	return true;
}

/* Types of `columns` columns: all are texts. */
static const char *types_of(unsigned columns)
{
	static const char types[] = "ssssssssssssssssssssssssssssssss";

	return types + (sizeof(types) - 1) - columns;
}
static_assert(COLUMNS + AVPS_MAX <= DB_COLUMNS_MAX, "a row of a user");

/* The columns of an answer, in front of those of load_credentials: `all` of them, or those that an
 * older table has. */
static void add_columns(struct db_sql *sql, const struct auth_db_params *p, bool all)
{
	bool clear = p->calculate_ha1 != 0, hashed = !clear || all;

	db_sql_add(sql, "SELECT ");
	db_sql_add(sql, p->password_column);
	db_sql_add(sql, ", ");
	db_sql_add(sql, hashed ? p->password_column_2 : "NULL");
	db_sql_add(sql, ", ");
	db_sql_add(sql, !clear && all ? p->sha256_column : "NULL");
	db_sql_add(sql, ", ");
	db_sql_add(sql, !clear && all ? p->sha512_column : "NULL");
	db_sql_add(sql, ", ");
	db_sql_add(sql, clear && all ? HA1_COLUMN : "NULL");
}

/* The question for a password, and how it is asked of a database without the columns for SHA, or,
 * where passwords are in the clear, without those for hashes. */
static int password_statement(struct auth *a, const struct auth_db_params *p, const char *table,
	struct subscriber_call *call, const struct route_place *place, struct route_report *report)
{
	struct db_sql sql = {0}, other = {0}, more = {0};

	if (!names_are_good(p) || !read_credentials(p->load_credentials, call, &more)) {
		route_error(report, place,
			"auth_db: a column has a name of letters, digits and '_', and "
			"load_credentials is a list of at most %d columns, each as \"column\" or "
			"\"$avp(name)=column\"",
			AVPS_MAX);
		return -EINVAL;
	}
	add_columns(&sql, p, true);
	add_columns(&other, p, false);
	db_sql_add(&sql, more.text);
	db_sql_add(&other, more.text);
	add_where(&sql, p, table, p->use_domain != 0);
	add_where(&other, p, table, p->use_domain != 0);
	if (sql.full || other.full)
		return -E2BIG;
	call->clear = p->calculate_ha1 != 0;
	call->params = p->use_domain != 0 ? 2 : 1;
	call->force_avps = p->force_avps != 0;
	return auth_statement(a, &p->asks, sql.text, other.text, types_of(COLUMNS + call->avps),
		call->params, place, report);
}

static int keep_call(int statement, struct subscriber_call *call, void **data)
{
	if (statement < 0) {
		free(call);
		return statement;
	}
	call->statement = (unsigned)statement;
	*data = call;
	return 0;
}

static AUTH_CHECK(check_authenticate)
{
	char table[AUTH_COLUMN_MAX + 1];
	struct subscriber_call *call;

	if (!read_table(&arg[1], table, report))
		return -EINVAL;
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return -ENOMEM;
	return keep_call(
		password_statement(room, config, table, call, &arg[1].place, report), call, data);
}

static AUTH_CHECK(check_auth_check)
{
	int64_t checks;

	if (arg[2].constant &&
		!auth_arg_number(&arg[2].value, AUTH_IDENTITY | AUTH_SKIP_FROM, &checks)) {
		route_error(report, &arg[2].place,
			"checks are the sum of 1 (the user of From or To) and 2 (not of INVITE and "
			"its like)");
		return -EINVAL;
	}
	return check_authenticate(room, config, arg, n, place, report, data);
}

/* ---- passwords ---- */

static struct str column_text(const struct db_set *row, unsigned column)
{
	const struct db_value *v = db_value(&row->rows, 0, column);

	return v->type == DB_TEXT ? v->s : STR_NONE;
}

/* Of a user with a row. Who has no password in the clear has a hash: siplanectl stores no other. */
static enum auth_secret_kind kind_of(const struct db_set *row, bool clear)
{
	return clear && (column_text(row, COLUMN_PASSWORD).len != 0 ||
				column_text(row, COLUMN_HA1).len == 0)
		       ? AUTH_SECRET_PASSWORD
		       : AUTH_SECRET_HA1;
}

/* Which column has what the credentials are to be verified by. */
static struct str secret_of(const struct auth_attempt *t, const struct db_set *row, bool clear,
	enum auth_secret_kind kind)
{
	static const uint8_t of_algorithm[AUTH_ALGORITHMS] = {
		[AUTH_SHA256] = COLUMN_SHA256, [AUTH_SHA512_256] = COLUMN_SHA512};
	bool with_domain = t->domain.len != 0 && kind == AUTH_SECRET_HA1;
	struct str text = STR_NONE;

	/* Of a user name with its domain, that is of another text, there is a hash by MD5 only. */
	if (t->response.algorithm != AUTH_MD5 && !with_domain && !clear)
		text = column_text(row, of_algorithm[t->response.algorithm]);
	if (text.len != 0)
		return text;
	if (clear && kind == AUTH_SECRET_HA1 && !with_domain)
		return column_text(row, COLUMN_HA1);
	return column_text(row, with_domain ? COLUMN_PASSWORD_2 : COLUMN_PASSWORD);
}

static void load_avps(
	struct route_ctx *ctx, const struct subscriber_call *call, const struct db_set *row)
{
	for (unsigned i = 0; i < call->avps; i++) {
		struct str text = column_text(row, COLUMNS + i);
		struct route_value value = {.type = ROUTE_STR, .s = text};

		if (db_value(&row->rows, 0, COLUMNS + i)->type == DB_TEXT)
			route_avp_add(ctx, call->avp[i], &value);
	}
}

/* The attempt's user's row, or why there is none: ROUTE_TRUE, ROUTE_FALSE, ROUTE_PENDING,
 * ROUTE_NO_ROWS. What the user writes behind his name is a domain; a realm is a text, which
 * auth_realm_of() has put in lower case where the script names none. */
static int32_t find_row(
	const struct auth_attempt *t, const struct subscriber_call *call, struct db_set *row)
{
	bool has_domain = t->domain.len != 0;
	struct str param[] = {t->name, has_domain ? t->domain : t->realm};

	return auth_ask(t->auth, t->ctx, call->statement, param, call->params,
		has_domain ? 1 : call->params, row);
}

/* Of a user that there is not: a row like others', so that he takes the steps of others. */
static void stand_in(struct db_set *row, unsigned columns)
{
	static const char hash[AUTH_HEX_MAX + 1] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	static const uint32_t len[COLUMNS] = {32, 32, AUTH_HEX_MAX, AUTH_HEX_MAX, 32};
	char *at = row->text;

	row->rows = (struct db_rows){.count = 1, .columns = columns, .value = row->value};
	for (unsigned i = 0; i < columns; i++) {
		uint32_t n = i < COLUMNS ? len[i] : 0;

		row->value[i] = db_text(str_of(at, n));
		memcpy(at, hash, n);
		at += n;
	}
}

static int32_t authenticate(struct route_ctx *ctx, const struct route_args *args,
	enum sip_header_id id, struct str method, struct auth_attempt *t)
{
	const struct subscriber_call *call = args->data;
	struct auth_secret secret = {.clear = call->clear};
	struct db_set row;
	int32_t ret = auth_attempt_begin(t, args->room, ctx, id, auth_arg_text(&args->v[0]));

	if (ret != 0)
		return ret;
	ret = find_row(t, call, &row);
	if (ret == ROUTE_PENDING)
		return ret;
	if (ret == ROUTE_NO_ROWS ||
		(ret == ROUTE_TRUE && row.rows.columns < COLUMNS + call->avps)) {
		ctx->no_secret = true;
		return AUTH_ERROR;
	}
	if (ret == ROUTE_TRUE)
		secret.kind = kind_of(&row, call->clear);
	else
		stand_in(&row, COLUMNS + call->avps);
	secret.text = secret_of(t, &row, call->clear, secret.kind);
	ret = auth_attempt_end(t, &secret, method);
	if (ret == AUTH_OK || (call->force_avps && secret.kind != AUTH_SECRET_NONE))
		load_avps(ctx, call, &row);
	return ret;
}

static struct str method_of(const struct route_ctx *ctx)
{
	return sip_text(ctx->buf, ctx->msg.method_text);
}

static AUTH_RUN(run_www)
{
	struct auth_attempt t;

	return authenticate(ctx, args, SIP_HEADER_AUTHORIZATION,
		args->n > 2 ? auth_arg_text(&args->v[2]) : method_of(ctx), &t);
}

static AUTH_RUN(run_proxy)
{
	struct auth_attempt t;

	return authenticate(ctx, args, SIP_HEADER_PROXY_AUTHORIZATION, method_of(ctx), &t);
}

static AUTH_RUN(run_auth_check)
{
	struct auth_attempt t = {.name = STR_NONE};
	int64_t checks;
	int32_t ret;

	if (!auth_arg_number(&args->v[2], AUTH_IDENTITY | AUTH_SKIP_FROM, &checks))
		return AUTH_ERROR;
	ret = authenticate(ctx, args,
		ctx->msg.method == SIP_METHOD_REGISTER ? SIP_HEADER_AUTHORIZATION
						       : SIP_HEADER_PROXY_AUTHORIZATION,
		method_of(ctx), &t);
	/* Without a name it is a method that cannot be challenged. */
	if (ret != AUTH_OK || t.name.len == 0)
		return ret;
	return auth_check_identity(ctx, t.name, t.domain, checks,
		((const struct subscriber_call *)args->data)->params == 2);
}

/* ---- is_subscriber() ---- */

#define SUBSCRIBER_DOMAIN 1
#define SUBSCRIBER_NO_AVPS 2
#define SUBSCRIBER_FLAGS 3

static int subscriber_statement(struct auth *a, const struct auth_db_params *p, const char *table,
	int64_t flags, struct subscriber_call *call, const struct route_place *place,
	struct route_report *report)
{
	struct db_sql sql = {0}, more = {0};

	if (!names_are_good(p) || !read_credentials(p->load_credentials, call, &more)) {
		route_error(report, place, "auth_db: a column's name, or load_credentials");
		return -EINVAL;
	}
	if ((flags & SUBSCRIBER_NO_AVPS) != 0) {
		call->avps = 0;
		more = (struct db_sql){0};
	}
	/* As many columns as where there is a password, so that AVPs stand where they do there. */
	db_sql_add(&sql, "SELECT ");
	db_sql_add(&sql, p->user_column);
	db_sql_add(&sql, ", NULL, NULL, NULL, NULL");
	db_sql_add(&sql, more.text);
	call->params = (flags & SUBSCRIBER_DOMAIN) != 0 ? 2 : 1;
	add_where(&sql, p, table, call->params == 2);
	if (sql.full)
		return -E2BIG;
	return auth_statement(a, &p->asks, sql.text, NULL, types_of(COLUMNS + call->avps),
		call->params, place, report);
}

static AUTH_CHECK(check_is_subscriber)
{
	char table[AUTH_COLUMN_MAX + 1];
	struct subscriber_call *call;
	int64_t flags;

	if (!read_table(&arg[1], table, report))
		return -EINVAL;
	if (!arg[2].constant || !auth_arg_number(&arg[2].value, SUBSCRIBER_FLAGS, &flags)) {
		route_error(report, &arg[2].place,
			"flags are the sum of 1 (with the domain) and 2 (no load_credentials), "
			"known when the file is read");
		return -EINVAL;
	}
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return -ENOMEM;
	return keep_call(
		subscriber_statement(room, config, table, flags, call, &arg[1].place, report), call,
		data);
}

static AUTH_RUN(run_is_subscriber)
{
	const struct subscriber_call *call = args->data;
	struct str param[2];
	struct db_set row;
	int32_t ret;

	if (!auth_uri_read(auth_arg_text(&args->v[0]), &param[0], &param[1]))
		return AUTH_ERROR;
	ret = auth_ask(args->room, ctx, call->statement, param, call->params, 1, &row);
	if (ret == ROUTE_FALSE)
		return -2;
	if (ret != ROUTE_TRUE)
		return ret == ROUTE_PENDING ? ret : AUTH_ERROR;
	if (row.rows.columns >= COLUMNS + call->avps)
		load_avps(ctx, call, &row);
	return ROUTE_TRUE;
}

/* ---- tables ---- */

#define FUNCTION(function, least, most, blocks, work, checked, how, ...) \
	{ \
		.name = function, .args_min = least, .args_max = most, .in = blocks, .run = work, \
		.check = checked, .free_data = free, .usage = how, .help = __VA_ARGS__ \
	}

static const struct route_function functions[] = {
	FUNCTION("www_authorize", 2, 2, ROUTE_IN_REQUEST, run_www, check_authenticate,
		"www_authorize(realm, table)",
		"Verifies the credentials in Authorization by a table of users. 1, or -1 an error, "
		"-2 wrong password, -3 no such user, -4 the nonce is too old, -5 no credentials, "
		"-6 the nonce was used.",
		.rfc = "3261 22.2, 7616 3.4"),
	FUNCTION("www_authenticate", 2, 3, ROUTE_IN_REQUEST, run_www, check_authenticate,
		"www_authenticate(realm, table [, method])", "The same as www_authorize().",
		.rfc = "3261 22.2, 7616 3.4"),
	FUNCTION("proxy_authorize", 2, 2, ROUTE_IN_REQUEST, run_proxy, check_authenticate,
		"proxy_authorize(realm, table)",
		"Verifies the credentials in Proxy-Authorization, likewise.",
		.rfc = "3261 22.3, 7616 3.4"),
	FUNCTION("proxy_authenticate", 2, 2, ROUTE_IN_REQUEST, run_proxy, check_authenticate,
		"proxy_authenticate(realm, table)", "The same as proxy_authorize().",
		.rfc = "3261 22.3, 7616 3.4"),
	FUNCTION("auth_check", 3, 3, ROUTE_IN_REQUEST, run_auth_check, check_auth_check,
		"auth_check(realm, table, checks)",
		"Verifies the credentials that the method wants, and with checks 1 that From (of "
		"REGISTER and PUBLISH: To) is their user: -8.",
		.rfc = "3261 22.2, 22.3, 7616 3.4"),
	FUNCTION("is_subscriber", 3, 3, ROUTE_IN_ANY, run_is_subscriber, check_is_subscriber,
		"is_subscriber(uri, table, flags)",
		"Whether a URI is a user of the table; flags 1: with its domain, 2: "
		"load_credentials are left out. -2: it is none, -1: an error."),
	{.name = NULL},
};

#define COLUMN(text, field, start, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct auth_db_params, field), .initial = start, \
		.help = __VA_ARGS__ \
	}
#define SWITCH(text, field, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_INT, \
		.offset = offsetof(struct auth_db_params, field), .min = 0, .max = 1, \
		.initial = "0", .help = __VA_ARGS__ \
	}

static const struct route_param params[] = {
	COLUMN("db_url", asks.db_url, NULL, "Database of the users; left out, the global db_url."),
	COLUMN("user_column", user_column, "username", "Column of the user's name."),
	COLUMN("domain_column", domain_column, "domain", "Column of the user's domain."),
	COLUMN("password_column", password_column, "ha1",
		"Column of the HA1, or of the password where calculate_ha1 is 1."),
	COLUMN("password_column_2", password_column_2, "ha1b",
		"Column of the HA1 of users who give their name with their domain."),
	COLUMN("hash_column_sha256", sha256_column, "ha1_sha256",
		"Column of the HA1 by SHA-256; where it is not there or empty, password_column."),
	COLUMN("hash_column_sha512t256", sha512_column, "ha1_sha512t256",
		"Column of the HA1 by SHA-512/256, likewise."),
	COLUMN("load_credentials", load_credentials, "",
		"Columns that become AVPs: \"rpid;$avp(mail)=email_address\"."),
	SWITCH("calculate_ha1", calculate_ha1,
		"The password column is in clear; whose is empty has the hashes of ha1 and "
		"password_column_2, if they are there (MD5)."),
	SWITCH("use_domain", use_domain,
		"A user is found by name and domain; else by the name alone."),
	SWITCH("force_generate_avps", force_avps,
		"load_credentials are there after a wrong password, too."),
	AUTH_TTL_PARAMS(struct auth_db_params),
	{.name = "version_table",
		.type = ROUTE_PARAM_INT,
		.accepted_only = true,
		.help = "Tables are taken by their columns; siplanectl db check looks at "
			"versions."},
	{.name = NULL},
};

const struct route_module auth_db_module = {
	.name = "auth_db",
	.functions = functions,
	.params = params,
	.config_size = sizeof(struct auth_db_params),
};
