/* SPDX-License-Identifier: BSD-3-Clause */
/* The module "dispatcher": its functions, parameters and list, under the names that operators of
 * OpenSER and Kamailio type. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "dispatch/dispatcher.h"

/* ---- the list ---- */

/* hash_key sets the tables of one group apart from those of others. */
static uint64_t salt_of(const char *hash_key)
{
	static const struct hash_key key = {{0x7369706c616e6520ULL, 0x73616c7420202020ULL}};

	return hash_key != NULL ? hash_text(&key, str_c(hash_key)) : 0;
}

/* What the module's parameters lead to. */
struct made {
	struct dispatch_prepared *generation; /* NULL: the list stays as it is */
	int statement;
	bool read, old;
};

static struct resolver *resolver_of(const struct dispatch *d)
{
	return d->load_resolver != NULL ? d->load_resolver : d->config.resolver;
}

static int prepare_generation(struct dispatch *d, const struct dispatcher_params *params,
	const char *name, struct dispatch_specs *specs, struct route_report *report,
	struct made *made)
{
	struct dispatch_options options = {salt_of(params->hash_key), params->use_default != 0};
	int err = dispatch_generation_prepare(d, name, specs, &options, report, &made->generation);

	dispatch_specs_free(specs);
	return err;
}

/* A table that could not be read: as access does without one (access.h). */
static int do_without(struct dispatch *d, const struct dispatcher_params *params, const char *why,
	struct route_report *report, struct made *made)
{
	struct dispatch_specs none = {NULL, 0};

	made->old = true;
	if (d->source.read && d->source.statement == made->statement) {
		made->read = true;
		route_warning(report, NULL,
			"dispatcher: table %s cannot be read: %s; what was read before stays",
			params->table_name, why);
		return 0;
	}
	if (d->source.published && d->source.statement != made->statement) {
		route_error(report, NULL,
			"dispatcher: table %s cannot be read: %s; nothing is known of it yet",
			params->table_name, why);
		return -EIO;
	}
	route_warning(report, NULL,
		"dispatcher: table %s cannot be read: %s; there are no destinations until it can "
		"be",
		params->table_name, why);
	return prepare_generation(d, params, params->table_name, &none, report, made);
}

static int prepare_table(struct dispatch *d, const struct dispatcher_params *params,
	struct route_report *report, struct made *made)
{
	const char *const column[DISPATCH_COLUMNS] = {params->setid_col, params->destination_col,
		params->flags_col, params->priority_col, params->attrs_col};
	struct dispatch_specs specs = {NULL, 0};
	char why[512];

	made->statement =
		dispatch_table_statement(d, params->db_url, params->table_name, column, report);
	if (made->statement < 0)
		return made->statement;
	if (d->reads && dispatch_table_read(d, made->statement, params->table_name, resolver_of(d),
				report, &specs, why, sizeof(why)) != 0)
		return do_without(d, params, why, report, made);
	made->read = d->reads;
	return prepare_generation(d, params, params->table_name, &specs, report, made);
}

static int prepare_file(struct dispatch *d, const struct dispatcher_params *params,
	struct route_report *report, struct made *made)
{
	struct dispatch_specs specs;
	int err = dispatch_list_read(params->list_file, resolver_of(d), d, report, &specs);

	return err != 0 ? err
			: prepare_generation(d, params, params->list_file, &specs, report, made);
}

static int prepare(void *room, const void *config, struct route_report *report, void **prepared)
{
	const struct dispatcher_params *params = config;
	struct made *made;
	int err;

	if (params->list_file == NULL && params->db_url == NULL) {
		route_error(report, NULL,
			"dispatcher: modparam(\"dispatcher\", \"list_file\", \"PATH\") is missing, "
			"or "
			"db_url");
		return -EINVAL;
	}
	made = calloc(1, sizeof(*made));
	if (made == NULL) {
		route_error(report, NULL, "dispatcher: not enough memory");
		return -ENOMEM;
	}
	made->statement = -1;
	if (params->list_file != NULL && params->db_url != NULL)
		route_warning(report, NULL,
			"dispatcher: list_file has no effect: the table of db_url is what is read");
	err = params->db_url != NULL ? prepare_table(room, params, report, made)
				     : prepare_file(room, params, report, made);
	if (err != 0)
		free(made);
	else
		*prepared = made;
	return err;
}

static void publish(void *room, void *prepared)
{
	struct dispatch *d = room;
	struct made *made = prepared;

	if (made->generation != NULL)
		dispatch_generation_publish(d, made->generation);
	d->source.published = true;
	d->source.statement = made->statement;
	d->source.read = made->read;
	d->source.old = made->old;
	if (!made->old)
		d->source.retry_after = 0;
	free(made);
}

static void discard(void *room, void *prepared)
{
	struct made *made = prepared;

	if (made->generation != NULL)
		dispatch_generation_discard(room, made->generation);
	free(made);
}

/* ---- tables ---- */

#define IN_REQUEST (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE | ROUTE_IN_BRANCH)

static const struct route_function functions[] = {
	{.name = "ds_select_dst",
		.args_min = 2,
		.args_max = 3,
		.in = IN_REQUEST,
		.run = dispatcher_run_select_dst,
		.check = dispatcher_check_select,
		.free_data = dispatcher_free_call,
		.usage = "ds_select_dst(set, algorithm [, limit])",
		.help = "Chooses a destination of the set and makes it the next hop ($du)."},
	{.name = "ds_select_domain",
		.args_min = 2,
		.args_max = 3,
		.in = IN_REQUEST,
		.run = dispatcher_run_select_domain,
		.check = dispatcher_check_select,
		.free_data = dispatcher_free_call,
		.usage = "ds_select_domain(set, algorithm [, limit])",
		.help = "Chooses a destination of the set and writes its host and port into the "
			"Request-URI."},
	{.name = "ds_select",
		.args_min = 2,
		.args_max = 3,
		.in = IN_REQUEST,
		.run = dispatcher_run_select,
		.check = dispatcher_check_select,
		.free_data = dispatcher_free_call,
		.usage = "ds_select(set, algorithm [, limit])",
		.help = "Chooses a destination of the set for ds_next_dst() or ds_next_domain() to "
			"use."},
	{.name = "ds_next_dst",
		.in = IN_REQUEST,
		.run = dispatcher_run_next_dst,
		.usage = "ds_next_dst()",
		.help = "Makes the next destination after the last one the next hop; false where "
			"all have been tried."},
	{.name = "ds_next_domain",
		.in = IN_REQUEST,
		.run = dispatcher_run_next_domain,
		.usage = "ds_next_domain()",
		.help = "Writes the next destination after the last one into the Request-URI."},
	{.name = "ds_is_from_list",
		.args_max = 3,
		.in = ROUTE_IN_ANY,
		.run = dispatcher_run_is_from_list,
		.check = dispatcher_check_from_list,
		.free_data = free,
		.usage = "ds_is_from_list([set [, mode [, uri]]])",
		.help = "Whether the message (or the URI) comes from a destination of the set, of "
			"any set where it is -1 or missing."},
	{.name = "ds_is_active",
		.args_min = 1,
		.args_max = 2,
		.in = ROUTE_IN_ANY,
		.run = dispatcher_run_is_active,
		.check = dispatcher_check_active,
		.usage = "ds_is_active(set [, uri])",
		.help = "Whether any destination of the set (or the one with this address) is "
			"enabled and up."},
	{.name = "ds_list_exist",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = dispatcher_run_list_exist,
		.check = dispatcher_check_active,
		.usage = "ds_list_exist(set)",
		.help = "Whether the list has such a set."},
	{.name = "ds_list_exists",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = dispatcher_run_list_exist,
		.check = dispatcher_check_active,
		.usage = "ds_list_exists(set)",
		.help = "The same as ds_list_exist()."},
	{.name = "ds_mark_dst",
		.args_max = 1,
		.in = IN_REQUEST,
		.run = dispatcher_run_mark_dst,
		.check = dispatcher_check_mark,
		.usage = "ds_mark_dst([state])",
		.help = "Marks the last chosen destination: \"i\" or \"d\" down (the default), "
			"\"a\" up, \"t\" no verdict; \"p\" is accepted."},
	{.name = NULL},
};

#define INT(field_name, text_name, low, high, first, words) \
	{ \
		.name = text_name, .type = ROUTE_PARAM_INT, \
		.offset = offsetof(struct dispatcher_params, field_name), .min = low, .max = high, \
		.initial = first, .help = words \
	}
#define TEXT(field_name, text_name, words) \
	{ \
		.name = text_name, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct dispatcher_params, field_name), .help = words \
	}
#define NAME(field_name, text_name, first, words) \
	{ \
		.name = text_name, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct dispatcher_params, field_name), .initial = first, \
		.help = words \
	}
#define ACCEPTED_INT(text_name, words) \
	{ \
		.name = text_name, .type = ROUTE_PARAM_INT, \
		.offset = offsetof(struct dispatcher_params, number), .min = INT64_MIN, \
		.max = INT64_MAX, .help = words, .accepted_only = true \
	}
#define ACCEPTED_TEXT(text_name, words) \
	{ \
		.name = text_name, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct dispatcher_params, text), .help = words, \
		.accepted_only = true \
	}

#define NO_PROBES "Destinations are not probed yet."
#define NO_LOAD "The load of calls is not counted yet."
#define NO_AVP "What ds_next_dst() goes on from is kept with the message."

static const struct route_param parameters[] = {
	{.name = "list_file",
		.type = ROUTE_PARAM_FILE,
		.offset = offsetof(struct dispatcher_params, list_file),
		.help = "The file with the sets: setid uri flags priority attrs."},
	INT(flags, "flags", 0, 3, "0",
		"1: hash only the user of a URI. 2: failover, which is always on here."),
	INT(force_dst, "force_dst", 0, 1, "1",
		"0: ds_select_dst() is false where $du is set already."),
	INT(use_default, "use_default", 0, 1, "0",
		"1: the last destination of a set is for when no other is up."),
	TEXT(hash_pvar, "hash_pvar", "What algorithm 7 hashes: a string with pseudo-variables."),
	TEXT(hash_key, "hash_key",
		"Any text: tables of another text spread keys in another way. The same on all "
		"nodes of a group."),
	TEXT(db_url, "db_url",
		"Database with the sets, instead of list_file: a row is what a line is there."),
	NAME(table_name, "table_name", "dispatcher", "Table of the sets."),
	NAME(setid_col, "setid_col", "setid", "Column of the set."),
	NAME(destination_col, "destination_col", "destination", "Column of the URI."),
	NAME(flags_col, "flags_col", "flags", "Column of the flags."),
	NAME(priority_col, "priority_col", "priority", "Column of the priority."),
	NAME(attrs_col, "attrs_col", "attrs", "Column of the attributes."),
	ACCEPTED_TEXT("dst_avp", NO_AVP),
	ACCEPTED_TEXT("grp_avp", NO_AVP),
	ACCEPTED_TEXT("cnt_avp", NO_AVP),
	ACCEPTED_TEXT("dstid_avp", NO_AVP),
	ACCEPTED_TEXT("attrs_avp", NO_AVP),
	ACCEPTED_TEXT("sock_avp", NO_AVP),
	ACCEPTED_TEXT("xavp_dst", NO_AVP),
	ACCEPTED_INT("xavp_dst_mode", NO_AVP),
	ACCEPTED_TEXT("xavp_ctx", NO_AVP),
	ACCEPTED_INT("xavp_ctx_mode", NO_AVP),
	ACCEPTED_TEXT("setid_pvname", "Not set yet by ds_is_from_list()."),
	ACCEPTED_TEXT("attrs_pvname", "Not set yet by ds_is_from_list()."),
	ACCEPTED_TEXT("ds_ping_method", NO_PROBES),
	ACCEPTED_TEXT("ds_ping_from", NO_PROBES),
	ACCEPTED_INT("ds_ping_interval", NO_PROBES),
	ACCEPTED_INT("ds_ping_latency_stats", NO_PROBES),
	ACCEPTED_INT("ds_retain_latency_stats", NO_PROBES),
	ACCEPTED_INT("ds_latency_estimator_alpha", NO_PROBES),
	ACCEPTED_INT("ds_probing_threshold", NO_PROBES),
	ACCEPTED_INT("ds_probing_threshhold", NO_PROBES),
	ACCEPTED_INT("ds_inactive_threshold", NO_PROBES),
	ACCEPTED_TEXT("ds_ping_reply_codes", NO_PROBES),
	ACCEPTED_INT("ds_probing_mode", NO_PROBES),
	ACCEPTED_TEXT("ds_ping_socket", NO_PROBES),
	ACCEPTED_TEXT("outbound_proxy", NO_PROBES),
	ACCEPTED_TEXT("ds_default_socket",
		"The listener is chosen by route, or by the attribute socket."),
	ACCEPTED_TEXT("ds_default_sockname",
		"The listener is chosen by route, or by the attribute socket."),
	ACCEPTED_INT("ds_hash_size", NO_LOAD),
	ACCEPTED_INT("ds_hash_expire", NO_LOAD),
	ACCEPTED_INT("ds_hash_initexpire", NO_LOAD),
	ACCEPTED_INT("ds_hash_check_interval", NO_LOAD),
	ACCEPTED_INT("ds_timer_mode", NO_PROBES),
	ACCEPTED_TEXT("event_callback", "There is no scripting language but this one."),
	ACCEPTED_INT("ds_attrs_none", "Attributes are not handed to the script yet."),
	ACCEPTED_INT("ds_db_extra_attrs", "Attributes are those of attrs_col."),
	ACCEPTED_INT("ds_load_mode", NO_LOAD),
	ACCEPTED_INT(
		"reload_delta", "Reloads are never too close: what would split a call is refused."),
	ACCEPTED_INT("ds_dns_mode", "Names are resolved at load."),
	ACCEPTED_INT("ds_dns_interval", "Names are resolved at load."),
	ACCEPTED_INT("ds_dns_ttl", "Names are resolved at load."),
	{.name = NULL},
};

const struct route_module dispatch_module = {
	.name = "dispatcher",
	.functions = functions,
	.params = parameters,
	.config_size = sizeof(struct dispatcher_params),
	.prepare = prepare,
	.publish = publish,
	.discard = discard,
};
