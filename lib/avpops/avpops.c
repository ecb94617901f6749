/* SPDX-License-Identifier: BSD-3-Clause */
/* The room: its life, and the table of the module avpops. */
#include "avpops/internal.h"

#define LOAD_IN (ROUTE_IN_REQUEST | ROUTE_IN_REPLY | ROUTE_IN_FAILURE | ROUTE_IN_BRANCH)
#define CHANGE_IN (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE)
#define SOURCE_HELP \
	"The source is a variable or a text, and perhaps /uri, /username, /domain or /uuid " \
	"behind " \
	"it: $ru, $fu, $tu and $ou are URIs, others uuids. The name is an AVP's, or a (all), i " \
	"(those with numbers for names) or s (the others), and perhaps /TABLE behind it"

/* Arguments are read as they are written. */
static const struct route_function functions[] = {
	{.name = "avp_db_load",
		.args_min = 2,
		.args_max = 2,
		.in = LOAD_IN,
		.run = avpops_run_load,
		.check = avpops_check_load,
		.free_data = avpops_free_load,
		.raw = 3,
		.usage = "avp_db_load(\"source[/whose]\", \"name[/table]\")",
		.help = "Adds what the database has for a user to his AVPs. " SOURCE_HELP
			" or /$SCHEME. -1: there is nothing, -2: the database does not answer, or "
			"has more than fits."},
	{.name = "avp_db_store",
		.args_min = 2,
		.args_max = 2,
		.in = CHANGE_IN,
		.run = avpops_run_store,
		.check = avpops_check_store,
		.free_data = avpops_free_change,
		.raw = 3,
		.usage = "avp_db_store(\"source[/whose]\", \"name[/table]\")",
		.help = "Stores AVPs for a user, those that were loaded or stored apart, and goes "
			"on when that is on disk. " SOURCE_HELP
			". -1: there is nothing to store, or the database refuses it, -2: it does "
			"not answer."},
	{.name = "avp_db_delete",
		.args_min = 2,
		.args_max = 2,
		.in = CHANGE_IN,
		.run = avpops_run_delete,
		.check = avpops_check_delete,
		.free_data = avpops_free_change,
		.raw = 3,
		.usage = "avp_db_delete(\"source[/whose]\", \"name[/table]\")",
		.help = "Takes a user's rows out of the database; AVPs stay. " SOURCE_HELP
			". -1: the database refuses it, -2: it does not answer."},
	{.name = "avp_db_query",
		.args_min = 1,
		.args_max = 2,
		.in = CHANGE_IN,
		.run = avpops_run_query,
		.check = avpops_check_query,
		.free_data = avpops_free_query,
		.raw = 3,
		.usage = "avp_db_query(\"SQL\" [, \"$avp(a);$avp(b)\"])",
		.help = "Runs a SELECT, whose columns go into the AVPs ($avp(i:1), $avp(i:2) where "
			"none are named), the first row's values first; or an INSERT, UPDATE, "
			"DELETE or REPLACE, and goes on when that is on disk. Variables in it are "
			"parameters, with the quotes around them, and need no escaping: within "
			"quotes they are texts ('' where there is none), without them a number is "
			"a number. Behind LIKE, % and _ of a variable are wildcards. A SELECT is "
			"remembered for query_cache_ttl, so one that changes something by calling "
			"a function does not do so for each message. -2: there "
			"is no row, -1: the database refuses it, does not answer, or has more than "
			"fits."},
	{.name = NULL},
};

#define TEXT(text, field, start, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct avpops_params, field), .initial = start, \
		.help = __VA_ARGS__ \
	}
#define SECONDS(text, field, start, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_INT, \
		.offset = offsetof(struct avpops_params, field), .min = DB_TTL_MIN_S, \
		.max = 86400, .initial = start, .help = __VA_ARGS__ \
	}

static const struct route_param params[] = {
	TEXT("db_url", db_url, NULL, "Database of the AVPs; left out, the global db_url."),
	TEXT("avp_url", db_url, NULL, "The same, as OpenSER has it."),
	TEXT("avp_table", table, "usr_preferences", "Table of the AVPs."),
	TEXT("avp_aliases", aliases, NULL, "Other names of AVPs, as the global of that name."),
	{.name = "use_domain",
		.type = ROUTE_PARAM_INT,
		.offset = offsetof(struct avpops_params, use_domain),
		.min = 0,
		.max = 1,
		.initial = "0",
		.help = "The rows of a URI are found by user and domain; else by the user alone."},
	TEXT("uuid_column", uuid_column, "uuid", "Column of the uuid."),
	TEXT("username_column", user_column, "username", "Column of the user's name."),
	TEXT("domain_column", domain_column, "domain", "Column of the user's domain."),
	TEXT("attribute_column", attribute_column, "attribute", "Column of the AVP's name."),
	TEXT("value_column", value_column, "value", "Column of the value."),
	TEXT("type_column", type_column, "type",
		"Column of the type: 1 where the value is a number, and 2 more where the name is."),
	{.name = "db_scheme",
		.type = ROUTE_PARAM_STR,
		.offset = offsetof(struct avpops_params, schemes),
		.adds = true,
		.help = "A table of another kind for avp_db_load(): \"NAME:table=T;username_col=C;"
			"domain_col=C;uuid_col=C;value_col=C;value_type=string\", or integer. May "
			"be "
			"said several times."},
	SECONDS("cache_ttl", ttl, "120", "Seconds that rows which were read are remembered."),
	SECONDS("cache_negative_ttl", negative_ttl, "120",
		"Seconds that it is remembered that there are no such rows."),
	SECONDS("query_cache_ttl", query_ttl, "1",
		"Seconds that the answer to a SELECT of avp_db_query() is remembered; one behind a "
		"change of the same run is asked anew."),
	{.name = NULL},
};

/* Only for publish() to be called. */
static int prepare(void *room, const void *config, struct route_report *report, void **prepared)
{
	return 0;
}

static void publish(void *room, void *prepared)
{
	struct avpops *a = room;

	avpops_sites_publish(a->sites);
}

/* The module: lib/route's functions, and behind them those of this room. Made once, as scripts may
 * outlive the room. */
static struct route_function all_functions[AVPOPS_FUNCTIONS_MAX];
static struct route_module module = {.functions = all_functions,
	.params = params,
	.config_size = sizeof(struct avpops_params),
	.prepare = prepare,
	.publish = publish};

static int add_functions(unsigned *n, const struct route_function *f)
{
	for (; f->name != NULL; f++) {
		/* The last one has no name. */
		if (*n + 1 == AVPOPS_FUNCTIONS_MAX)
			return -ENOSPC;
		all_functions[(*n)++] = *f;
	}
	return 0;
}

static int make_module(void)
{
	unsigned n = 0;
	int err;

	if (module.name != NULL)
		return 0;
	err = add_functions(&n, route_avpops_module.functions);
	if (err == 0)
		err = add_functions(&n, functions);
	if (err == 0)
		module.name = route_avpops_module.name;
	return err;
}

struct avpops *avpops_create(struct db *db)
{
	struct avpops *a;
	int err = make_module();

	if (err != 0) {
		errno = -err;
		return NULL;
	}
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	a->db = db;
	a->sites = avpops_sites_create();
	if (a->sites == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

void avpops_destroy(struct avpops *a)
{
	if (a == NULL)
		return;
	avpops_sites_leave(a->sites);
	free(a);
}

int avpops_register(struct avpops *a, struct route_registry *registry)
{
	return route_registry_add(registry, &module, a);
}
