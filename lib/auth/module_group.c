/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSER module "group": who belongs to which group. */
#include "auth/internal.h"

/* modparam("group", ...) */
struct group_params {
	struct auth_asks asks;
	const char *table, *user_column, *domain_column, *group_column;
	int64_t use_domain;
};

/* Whose group it is. */
enum whose { WHOSE_URI, WHOSE_REQUEST_URI, WHOSE_TO, WHOSE_FROM, WHOSE_CREDENTIALS };

struct group_call {
	unsigned statement, params;
	enum whose whose;
};

static enum whose whose_of(const struct route_arg *arg)
{
	static const char *const names[] = {"", "Request-URI", "To", "From", "Credentials"};

	for (unsigned i = 1; arg->constant && i < sizeof(names) / sizeof(names[0]); i++) {
		if (arg->value.type == ROUTE_STR && str_ieq(arg->value.s, str_c(names[i])))
			return (enum whose)i;
	}
	return WHOSE_URI;
}

static int group_statement(struct auth *a, const struct group_params *p,
	const struct route_place *place, struct route_report *report)
{
	struct db_sql sql = {0};

	if (!db_is_name(str_c(p->table)) || !db_is_name(str_c(p->user_column)) ||
		!db_is_name(str_c(p->domain_column)) || !db_is_name(str_c(p->group_column))) {
		route_error(report, place,
			"group: tables and columns have names of letters, digits and '_'");
		return -EINVAL;
	}
	db_sql_add(&sql, "SELECT ");
	db_sql_add(&sql, p->group_column);
	db_sql_add(&sql, " FROM ");
	db_sql_add(&sql, p->table);
	db_sql_add(&sql, " WHERE ");
	db_sql_add(&sql, p->user_column);
	db_sql_add(&sql, " = ? AND ");
	db_sql_add(&sql, p->group_column);
	db_sql_add(&sql, " = ?");
	if (p->use_domain != 0) {
		db_sql_add(&sql, " AND ");
		db_sql_add(&sql, p->domain_column);
		db_sql_add(&sql, " = ?");
	}
	return auth_statement(
		a, &p->asks, sql.text, NULL, "s", p->use_domain != 0 ? 3 : 2, place, report);
}

static AUTH_CHECK(check_is_user_in)
{
	const struct group_params *p = config;
	struct group_call *call;
	enum whose whose = whose_of(&arg[0]);
	struct str user, host;
	int statement;

	if (whose == WHOSE_URI && arg[0].constant &&
		!auth_uri_read(auth_arg_text(&arg[0].value), &user, &host)) {
		route_error(report, &arg[0].place,
			"a user is a URI, or Request-URI, To, From or Credentials");
		return -EINVAL;
	}
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return -ENOMEM;
	statement = group_statement(room, p, &arg[1].place, report);
	if (statement < 0) {
		free(call);
		return statement;
	}
	call->statement = (unsigned)statement;
	call->params = p->use_domain != 0 ? 3 : 2;
	call->whose = whose;
	*data = call;
	return 0;
}

/* The user that is asked for. `who` keeps the texts of credentials. */
static bool find_user(struct route_ctx *ctx, const struct group_call *call,
	const struct route_value *uri, struct auth_verified *who, struct str *user,
	struct str *host)
{
	const struct sip_address *address;

	switch (call->whose) {
	case WHOSE_URI:
		return auth_uri_read(auth_arg_text(uri), user, host);
	case WHOSE_REQUEST_URI:
		return auth_uri_read(route_ctx_uri(ctx), user, host);
	case WHOSE_TO:
	case WHOSE_FROM:
		address = call->whose == WHOSE_TO ? sip_msg_to(&ctx->msg, ctx->buf)
						  : sip_msg_from(&ctx->msg, ctx->buf);
		return address != NULL &&
		       auth_uri_read(sip_text(ctx->buf, address->uri), user, host);
	case WHOSE_CREDENTIALS:
		if (!auth_verified(ctx, who))
			return false;
		*user = who->name;
		*host = who->domain.len != 0 ? who->domain : who->realm;
		return true;
	}
	return false;
}

static AUTH_RUN(run_is_user_in)
{
	const struct group_call *call = args->data;
	struct str group = auth_arg_text(&args->v[1]), user, host;
	struct auth_verified who;
	struct db_set row;
	int32_t ret;

	if (group.len == 0 || !find_user(ctx, call, &args->v[0], &who, &user, &host) ||
		user.len == 0)
		return ROUTE_FALSE;
	struct str param[] = {user, group, host};

	ret = auth_ask(args->room, ctx, call->statement, param, call->params, 2, &row);
	if (ret == ROUTE_FALSE)
		return -6;
	return ret == ROUTE_NO_ROWS ? -5 : ret;
}

static const struct route_function functions[] = {
	{.name = "is_user_in",
		.args_min = 2,
		.args_max = 2,
		.in = ROUTE_IN_REQUEST | ROUTE_IN_FAILURE | ROUTE_IN_BRANCH,
		.run = run_is_user_in,
		.check = check_is_user_in,
		.free_data = free,
		.usage = "is_user_in(user, group)",
		.help = "Whether a user belongs to a group. The user is a URI, or Request-URI, To, "
			"From, or Credentials for who was verified. -6: he does not, -5: the "
			"database does not answer, -1: there is no such user."},
	{.name = NULL},
};

#define TEXT(text, field, start, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct group_params, field), .initial = start, \
		.help = __VA_ARGS__ \
	}
#define NO_REGEX(text, kind) \
	{ \
		.name = text, .type = ROUTE_PARAM_##kind, .accepted_only = true, \
		.help = "There are no groups by regular expressions." \
	}

static const struct route_param params[] = {
	TEXT("db_url", asks.db_url, NULL, "Database of the groups; left out, the global db_url."),
	TEXT("table", table, "grp", "Table of the groups."),
	TEXT("user_column", user_column, "username", "Column of the user's name."),
	TEXT("domain_column", domain_column, "domain", "Column of the user's domain."),
	TEXT("group_column", group_column, "grp", "Column of the group's name."),
	{.name = "use_domain",
		.type = ROUTE_PARAM_INT,
		.offset = offsetof(struct group_params, use_domain),
		.min = 0,
		.max = 1,
		.initial = "0",
		.help = "A user is found by name and domain; else by the name alone."},
	AUTH_TTL_PARAMS(struct group_params),
	NO_REGEX("re_table", STR),
	NO_REGEX("re_exp_column", STR),
	NO_REGEX("re_gid_column", STR),
	NO_REGEX("multiple_gid", INT),
	{.name = NULL},
};

const struct route_module auth_group_module = {
	.name = "group",
	.functions = functions,
	.params = params,
	.config_size = sizeof(struct group_params),
};
