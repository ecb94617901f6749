/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSER module "alias_db": URIs that stand for a user of ours. */
#include "auth/internal.h"

/* modparam("alias_db", ...) */
struct alias_params {
	struct auth_asks asks;
	const char *user_column, *domain_column, *alias_user_column, *alias_domain_column;
	const char *domain_prefix;
	int64_t use_domain, append_branches;
};

struct alias_call {
	unsigned statement, params;
	bool append;
	struct str prefix; /* as long as the script */
	struct str avp;    /* of alias_db_find(), likewise */
};

#define URI_MAX 512

static int alias_statement(struct auth *a, const struct alias_params *p, const char *table,
	bool use_domain, bool reverse, const struct route_place *place, struct route_report *report)
{
	const char *want[] = {p->user_column, p->domain_column},
		   *by[] = {p->alias_user_column, p->alias_domain_column};
	struct db_sql sql = {0};

	for (unsigned i = 0; i < 2; i++) {
		if (!db_is_name(str_c(want[i])) || !db_is_name(str_c(by[i]))) {
			route_error(report, place,
				"alias_db: a column has a name of letters, digits and '_'");
			return -EINVAL;
		}
	}
	db_sql_add(&sql, "SELECT ");
	db_sql_add(&sql, reverse ? by[0] : want[0]);
	db_sql_add(&sql, ", ");
	db_sql_add(&sql, reverse ? by[1] : want[1]);
	db_sql_add(&sql, " FROM ");
	db_sql_add(&sql, table);
	db_sql_add(&sql, " WHERE ");
	db_sql_add(&sql, reverse ? want[0] : by[0]);
	db_sql_add(&sql, " = ?");
	if (use_domain) {
		db_sql_add(&sql, " AND ");
		db_sql_add(&sql, reverse ? want[1] : by[1]);
		db_sql_add(&sql, " = ?");
	}
	return auth_statement(a, &p->asks, sql.text, NULL, "ss", use_domain ? 2 : 1, place, report);
}

/* Letters: d without the domain, u with it, r from a user to his alias. */
static bool read_flags(const struct route_arg *arg, bool *use_domain, bool *reverse)
{
	if (!arg->constant || arg->value.type != ROUTE_STR)
		return false;
	for (uint32_t i = 0; i < arg->value.s.len; i++) {
		switch (str_lower_char(arg->value.s.s[i])) {
		case 'd':
			*use_domain = false;
			break;
		case 'u':
			*use_domain = true;
			break;
		case 'r':
			*reverse = true;
			break;
		default:
			return false;
		}
	}
	return true;
}

/* `flags`: the argument that they are in, where there is one. */
static int make_call(struct auth *a, const struct alias_params *p, const struct route_arg *table,
	const struct route_arg *flags, struct str avp, struct route_report *report, void **data)
{
	bool use_domain = p->use_domain != 0, reverse = false;
	struct str name = auth_arg_text(&table->value);
	char text[AUTH_COLUMN_MAX + 1];
	struct alias_call *call;
	int statement;

	if (!table->constant || !db_is_name(name)) {
		route_error(report, &table->place,
			"a table has a name of letters, digits and '_' that is known when the file "
			"is read");
		return -EINVAL;
	}
	if (flags != NULL && !read_flags(flags, &use_domain, &reverse)) {
		route_error(report, &flags->place,
			"flags are letters: d (without the domain), u (with it), r (from a user to "
			"his alias)");
		return -EINVAL;
	}
	memcpy(text, name.s, name.len);
	text[name.len] = '\0';
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return -ENOMEM;
	statement = alias_statement(a, p, text, use_domain, reverse, &table->place, report);
	if (statement < 0) {
		free(call);
		return statement;
	}
	*call = (struct alias_call){.statement = (unsigned)statement,
		.params = use_domain ? 2 : 1,
		.append = p->append_branches != 0,
		.prefix = str_c(p->domain_prefix),
		.avp = avp};
	*data = call;
	return 0;
}

static AUTH_CHECK(check_lookup)
{
	return make_call(room, config, &arg[0], n > 1 ? &arg[1] : NULL, STR_NONE, report, data);
}

static AUTH_CHECK(check_find)
{
	struct str avp = arg[2].constant ? route_avp_name(auth_arg_text(&arg[2].value)) : STR_NONE;

	if (avp.len == 0) {
		route_error(
			report, &arg[2].place, "what is found goes into an AVP: \"$avp(name)\"");
		return -EINVAL;
	}
	return make_call(room, config, &arg[0], n > 3 ? &arg[3] : NULL, avp, report, data);
}

/* The row's URI, "sip:user@domain": empty where it is none. */
static struct str uri_of(const struct db_set *set, unsigned row, char out[URI_MAX])
{
	const struct db_value *user = db_value(&set->rows, row, 0),
			      *domain = db_value(&set->rows, row, 1);
	struct str said_user, said_host;
	struct sip_uri uri;
	uint32_t len;

	if (user->type != DB_TEXT || domain->type != DB_TEXT || user->s.len == 0 ||
		user->s.len + domain->s.len + sizeof("sip:@") > URI_MAX)
		return STR_NONE;
	memcpy(out, "sip:", 4);
	str_copy(out + 4, user->s);
	out[4 + user->s.len] = '@';
	str_copy(out + 5 + user->s.len, domain->s);
	len = 5 + user->s.len + domain->s.len;
	/* What stands in a row shall be user and host, and nothing else. */
	if (sip_uri_parse(out, (struct sip_span){0, len}, &uri) != 0 || uri.params.len != 0 ||
		uri.headers.len != 0)
		return STR_NONE;
	said_user = sip_text(out, uri.user);
	said_host = sip_text(out, uri.hostport);
	return str_eq(said_user, user->s) && str_eq(said_host, domain->s) ? str_of(out, len)
									  : STR_NONE;
}

static int32_t find_rows(
	struct route_ctx *ctx, const struct route_args *args, struct str uri, struct db_set *set)
{
	const struct alias_call *call = args->data;
	struct str param[2];
	int32_t ret;

	if (!auth_uri_read(uri, &param[0], &param[1]) || param[0].len == 0)
		return ROUTE_FALSE;
	if (call->prefix.len != 0 && call->prefix.len < param[1].len &&
		str_istarts(param[1], call->prefix))
		param[1] = str_of(param[1].s + call->prefix.len, param[1].len - call->prefix.len);
	ret = auth_ask(args->room, ctx, call->statement, param, call->params, 1, set);
	return ret == ROUTE_TRUE && set->rows.columns == 2 ? ROUTE_TRUE
	       : ret == ROUTE_PENDING                      ? ret
							   : ROUTE_FALSE;
}

static bool set_uri(struct route_ctx *ctx, struct str uri)
{
	struct route_text text = route_text_make(ctx, uri);

	if (text.space == ROUTE_SPACE_NONE)
		return false;
	ctx->uri = text;
	route_uri_changed(ctx);
	return true;
}

/* A target beside the Request-URI's. */
static bool add_branch(struct route_ctx *ctx, struct str uri)
{
	struct route_branch *branch = &ctx->branch[ctx->branches];
	struct route_text text;

	if (ctx->branches + ctx->waiting >= ROUTE_BRANCHES_MAX)
		return false;
	text = route_text_make(ctx, uri);
	if (text.space == ROUTE_SPACE_NONE)
		return false;
	*branch = (struct route_branch){.uri = text, .socket = -1, .q = ROUTE_Q_NONE};
	branch->du_target.listener = -1;
	branch->du_target.destination = -1;
	ctx->branches++;
	return true;
}

static AUTH_RUN(run_lookup)
{
	const struct alias_call *call = args->data;
	char text[URI_MAX];
	struct db_set set;
	int32_t ret = find_rows(ctx, args, route_ctx_uri(ctx), &set);

	if (ret != ROUTE_TRUE)
		return ret;
	for (unsigned row = 0; row < set.rows.count && (row == 0 || call->append); row++) {
		struct str uri = uri_of(&set, row, text);

		if (uri.len == 0 || !(row == 0 ? set_uri(ctx, uri) : add_branch(ctx, uri)))
			return ROUTE_FALSE;
	}
	return ROUTE_TRUE;
}

static AUTH_RUN(run_find)
{
	const struct alias_call *call = args->data;
	char text[URI_MAX];
	struct db_set set;
	int32_t ret = find_rows(ctx, args, auth_arg_text(&args->v[1]), &set);

	if (ret != ROUTE_TRUE)
		return ret;
	route_avp_delete(ctx, call->avp, true);
	for (unsigned row = 0; row < set.rows.count && (row == 0 || call->append); row++) {
		struct route_value value = {.type = ROUTE_STR, .s = uri_of(&set, row, text)};

		if (value.s.len == 0 || !route_avp_add(ctx, call->avp, &value))
			return ROUTE_FALSE;
	}
	return ROUTE_TRUE;
}

#define AVP_ARGUMENT (1u << 2)

static const struct route_function functions[] = {
	{.name = "alias_db_lookup",
		.args_min = 1,
		.args_max = 2,
		.in = ROUTE_IN_REQUEST | ROUTE_IN_FAILURE,
		.run = run_lookup,
		.check = check_lookup,
		.free_data = free,
		.usage = "alias_db_lookup(table [, flags])",
		.help = "Replaces the Request-URI by the user that it is an alias of. Flags: d "
			"without the domain, u with it, r from a user to his alias."},
	{.name = "alias_db_find",
		.args_min = 3,
		.args_max = 4,
		.in = ROUTE_IN_ANY & ~ROUTE_IN_ERROR,
		.run = run_find,
		.check = check_find,
		.free_data = free,
		.usage = "alias_db_find(table, uri, avp [, flags])",
		.help = "Looks up what a URI is an alias of, into an AVP.",
		.raw = AVP_ARGUMENT},
	{.name = NULL},
};

#define TEXT(text, field, start, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct alias_params, field), .initial = start, \
		.help = __VA_ARGS__ \
	}
#define SWITCH(text, field, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_INT, \
		.offset = offsetof(struct alias_params, field), .min = 0, .max = 1, \
		.initial = "0", .help = __VA_ARGS__ \
	}

static const struct route_param params[] = {
	TEXT("db_url", asks.db_url, NULL, "Database of the aliases; left out, the global db_url."),
	TEXT("user_column", user_column, "username", "Column of the user's name."),
	TEXT("domain_column", domain_column, "domain", "Column of the user's domain."),
	TEXT("alias_user_column", alias_user_column, "alias_username",
		"Column of the alias' user."),
	TEXT("alias_domain_column", alias_domain_column, "alias_domain",
		"Column of the alias' domain."),
	TEXT("domain_prefix", domain_prefix, "",
		"What is taken off the front of a domain: \"sip.\"."),
	SWITCH("use_domain", use_domain, "An alias is found by user and domain; else by the user."),
	SWITCH("append_branches", append_branches,
		"Further rows become branches, or further values of the AVP."),
	AUTH_TTL_PARAMS(struct alias_params),
	{.name = NULL},
};

const struct route_module auth_alias_db_module = {
	.name = "alias_db",
	.functions = functions,
	.params = params,
	.config_size = sizeof(struct alias_params),
};
