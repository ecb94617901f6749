/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OpenSER module "uri_db", which OpenSIPS calls "uri": whether To or From is who the credentials
 * say, and whether a Request-URI is a user of ours.
 */
#include "auth/internal.h"

/* modparam("uri_db", ...) */
struct uri_db_params {
	struct auth_asks asks;
	/* Kamailio's names, which stand for either table; OpenSER's for each of them. */
	const char *table, *user_column, *domain_column, *uriuser_column;
	const char *subscriber_table, *subscriber_user, *subscriber_domain;
	const char *uri_table, *uri_user, *uri_domain, *uri_uriuser;
	int64_t use_uri_table, use_domain;
};

struct uri_call {
	unsigned statement, params;
	bool asks; /* the database; else names are compared */
};

static const char *either(const char *kamailio, const char *openser)
{
	return kamailio != NULL ? kamailio : openser;
}

struct names {
	const char *table, *user, *domain, *uriuser;
};

static bool names_of(const struct uri_db_params *p, struct names *out)
{
	if (p->use_uri_table != 0)
		*out = (struct names){either(p->table, p->uri_table),
			either(p->user_column, p->uri_user),
			either(p->domain_column, p->uri_domain),
			either(p->uriuser_column, p->uri_uriuser)};
	else
		*out = (struct names){either(p->table, p->subscriber_table),
			either(p->user_column, p->subscriber_user),
			either(p->domain_column, p->subscriber_domain), p->uri_uriuser};
	return db_is_name(str_c(out->table)) && db_is_name(str_c(out->user)) &&
	       db_is_name(str_c(out->domain)) && db_is_name(str_c(out->uriuser));
}

static void add_column(struct db_sql *sql, const char *joint, const char *column)
{
	db_sql_add(sql, joint);
	db_sql_add(sql, column);
	db_sql_add(sql, " = ?");
}

/* `exists`: whether there is such a URI; else whether these credentials may say so. */
static int uri_statement(struct auth *a, const struct uri_db_params *p, bool exists,
	unsigned *params, const struct route_place *place, struct route_report *report)
{
	struct db_sql sql = {0};
	struct names names;

	if (!names_of(p, &names)) {
		route_error(report, place,
			"uri_db: tables and columns have names of letters, digits and '_'");
		return -EINVAL;
	}
	db_sql_add(&sql, "SELECT ");
	db_sql_add(&sql, names.user);
	db_sql_add(&sql, " FROM ");
	db_sql_add(&sql, names.table);
	if (exists) {
		*params = p->use_domain != 0 ? 2 : 1;
		add_column(&sql, " WHERE ", p->use_uri_table != 0 ? names.uriuser : names.user);
		if (p->use_domain != 0)
			add_column(&sql, " AND ", names.domain);
	} else {
		*params = 3;
		add_column(&sql, " WHERE ", names.user);
		add_column(&sql, " AND ", names.domain);
		add_column(&sql, " AND ", names.uriuser);
	}
	return auth_statement(a, &p->asks, sql.text, NULL, "s", *params, place, report);
}

static int make_call(struct auth *a, const struct uri_db_params *p, bool exists,
	const struct route_place *place, struct route_report *report, void **data)
{
	struct uri_call *call = calloc(1, sizeof(*call));
	int statement = 0;

	if (call == NULL)
		return -ENOMEM;
	call->asks = exists || p->use_uri_table != 0;
	if (call->asks)
		statement = uri_statement(a, p, exists, &call->params, place, report);
	if (statement < 0) {
		free(call);
		return statement;
	}
	call->statement = (unsigned)statement;
	*data = call;
	return 0;
}

static AUTH_CHECK(check_who)
{
	return make_call(room, config, false, place, report, data);
}

static AUTH_CHECK(check_exists)
{
	return make_call(room, config, true, place, report, data);
}

/* Kamailio's numbers: -1 no URI, -2 no credentials, -4 no user in it, -8 the database, -9 and -10
 * another user. */
static int32_t check_user(struct route_ctx *ctx, const struct route_args *args, struct str uri,
	struct str name, struct str domain, struct str realm)
{
	const struct uri_call *call = args->data;
	struct str user, host;
	struct db_set row;
	int32_t ret;

	if (!auth_uri_read(uri, &user, &host))
		return ROUTE_FALSE;
	if (user.len == 0)
		return -4;
	if (!call->asks)
		return str_ieq(user, name) && auth_domain_fits(domain, host) ? ROUTE_TRUE : -10;
	struct str param[] = {name, domain.len != 0 ? domain : realm, user};

	ret = auth_ask(args->room, ctx, call->statement, param, call->params, 1, &row);
	if (ret == ROUTE_FALSE)
		return -9;
	return ret == ROUTE_NO_ROWS ? -8 : ret;
}

static int32_t check_verified(
	struct route_ctx *ctx, const struct route_args *args, const struct sip_address *address)
{
	struct auth_verified who;

	if (address == NULL)
		return ROUTE_FALSE;
	if (!auth_verified(ctx, &who))
		return -2;
	return check_user(
		ctx, args, sip_text(ctx->buf, address->uri), who.name, who.domain, who.realm);
}

static AUTH_RUN(run_check_to)
{
	return check_verified(ctx, args, sip_msg_to(&ctx->msg, ctx->buf));
}

static AUTH_RUN(run_check_from)
{
	return check_verified(ctx, args, sip_msg_from(&ctx->msg, ctx->buf));
}

static AUTH_RUN(run_check_uri)
{
	struct auth_verified who;

	if (args->n > 2 && args->v[1].type == ROUTE_STR && args->v[1].s.len != 0 &&
		args->v[2].type == ROUTE_STR && args->v[2].s.len != 0)
		return check_user(ctx, args, auth_arg_text(&args->v[0]), args->v[1].s, STR_NONE,
			args->v[2].s);
	if (!auth_verified(ctx, &who))
		return -2;
	return check_user(ctx, args, auth_arg_text(&args->v[0]), who.name, who.domain, who.realm);
}

static AUTH_RUN(run_does_uri_exist)
{
	const struct uri_call *call = args->data;
	struct str param[2];
	struct db_set row;
	int32_t ret;

	if (!auth_uri_read(route_ctx_uri(ctx), &param[0], &param[1]))
		return ROUTE_FALSE;
	if (param[0].len == 0)
		return -5;
	ret = auth_ask(args->room, ctx, call->statement, param, call->params, 1, &row);
	if (ret == ROUTE_FALSE)
		return -5;
	return ret == ROUTE_NO_ROWS ? -4 : ret;
}

#define FUNCTION(function, least, most, work, checked, how, what) \
	{ \
		.name = function, .args_min = least, .args_max = most, \
		.in = ROUTE_IN_REQUEST | ROUTE_IN_FAILURE, .run = work, .check = checked, \
		.free_data = free, .usage = how, .help = what \
	}
#define CHECK_HELP(whose) \
	"Whether the user of " whose \
	" is the one whose credentials were verified, or one that the " \
	"URI table allows him (use_uri_table). -2: none were, -10 or -9: another one."

static const struct route_function functions[] = {
	FUNCTION("check_to", 0, 0, run_check_to, check_who, "check_to()", CHECK_HELP("To")),
	FUNCTION("check_from", 0, 0, run_check_from, check_who, "check_from()", CHECK_HELP("From")),
	FUNCTION("check_uri", 1, 3, run_check_uri, check_who, "check_uri(uri [, user, realm])",
		"Whether a URI's user is the one whose credentials were verified, or the one "
		"given."),
	FUNCTION("does_uri_exist", 0, 0, run_does_uri_exist, check_exists, "does_uri_exist()",
		"Whether the Request-URI is a user of the database. -5: it is none, -4: the "
		"database does not answer."),
	{.name = NULL},
};

static const struct route_function opensips_functions[] = {
	FUNCTION("db_check_to", 0, 0, run_check_to, check_who, "db_check_to()", CHECK_HELP("To")),
	FUNCTION("db_check_from", 0, 0, run_check_from, check_who, "db_check_from()",
		CHECK_HELP("From")),
	FUNCTION("db_does_uri_exist", 0, 0, run_does_uri_exist, check_exists, "db_does_uri_exist()",
		"Whether the Request-URI is a user of the database."),
	{.name = NULL},
};

#define TEXT(text, field, start, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct uri_db_params, field), .initial = start, \
		.help = __VA_ARGS__ \
	}
#define SWITCH(text, field, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_INT, \
		.offset = offsetof(struct uri_db_params, field), .min = 0, .max = 1, \
		.initial = "0", .help = __VA_ARGS__ \
	}

static const struct route_param params[] = {
	TEXT("db_url", asks.db_url, NULL, "Database of the users; left out, the global db_url."),
	TEXT("db_table", table, NULL,
		"The table: subscriber or, with use_uri_table, the one of URIs."),
	TEXT("user_column", user_column, NULL, "Its column of the user's name."),
	TEXT("domain_column", domain_column, NULL, "Its column of the domain."),
	TEXT("uriuser_column", uriuser_column, NULL, "Its column of the URI's user."),
	TEXT("subscriber_table", subscriber_table, "subscriber", "Table of the users."),
	TEXT("subscriber_user_column", subscriber_user, "username", "Column of the user's name."),
	TEXT("subscriber_domain_column", subscriber_domain, "domain", "Column of the domain."),
	TEXT("uri_table", uri_table, "uri", "Table of the URIs that a user may have."),
	TEXT("uri_user_column", uri_user, "username", "Column of the user's name."),
	TEXT("uri_domain_column", uri_domain, "domain", "Column of the domain."),
	TEXT("uri_uriuser_column", uri_uriuser, "uri_user", "Column of the URI's user."),
	SWITCH("use_uri_table", use_uri_table,
		"A table says which users of URIs the user of the credentials may be."),
	SWITCH("use_domain", use_domain, "does_uri_exist() looks for name and domain."),
	AUTH_TTL_PARAMS(struct uri_db_params),
	{.name = NULL},
};

const struct route_module auth_uri_db_module = {
	.name = "uri_db",
	.functions = functions,
	.params = params,
	.config_size = sizeof(struct uri_db_params),
};

const struct route_module auth_uri_module = {
	.name = "uri",
	.functions = opensips_functions,
	.params = params,
	.config_size = sizeof(struct uri_db_params),
};
