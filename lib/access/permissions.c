/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OpenSER's module permissions, as far as it is about addresses. Groups and ports may be numbers,
 * strings of digits, or values of a message: what is no number then is in no group.
 *
 * Under OpenSIPS' names group 0 is any group, and port 0 any port. Kamailio's know no such thing: a
 * group that a variable does not have is not to let everybody in.
 */
#include <errno.h>
#include <stdlib.h>

#include "access/internal.h"

#define DEFAULT_GROUP 1 /* of allow_source_address() without an argument */

#define LOAD_ADDRESSES 1 /* bit of load_backends */

struct permissions_config {
	struct access_source source;
	const char *peer_tag_avp;
	int64_t load_backends;
};

/* What check() leaves for run(). */
struct call {
	bool constant; /* the group is known */
	bool any;      /* 0 is any: a name of OpenSIPS */
	uint32_t group;
	struct str tag_avp; /* a name; empty: none is set. In the parameters of the script */
};

static bool number_of(const struct route_value *value, uint32_t max, uint32_t *out)
{
	if (value->type == ROUTE_STR)
		return str_to_u32(value->s, max, out) == 0;
	if (value->type != ROUTE_INT || value->i < 0 || value->i > (int64_t)max)
		return false;
	*out = (uint32_t)value->i;
	return true;
}

/* The record that holds an address; its tag becomes the value of peer_tag_avp. */
static bool find(struct route_ctx *ctx, const struct route_args *args, uint32_t group,
	const struct net_addr *addr, uint32_t port, struct access_match *match)
{
	const struct call *call = args->data;

	if (!access_find_address(args->room, group, addr, port, match))
		return false;
	if (call->tag_avp.len != 0 && match->tag.len != 0) {
		struct route_value value = {.type = ROUTE_STR, .s = match->tag};

		return route_avp_add(ctx, call->tag_avp, &value);
	}
	return true;
}

static int32_t in_group(struct route_ctx *ctx, const struct route_args *args, uint32_t group,
	const struct net_addr *addr, uint32_t port)
{
	const struct call *call = args->data;
	struct access_match match;
	bool found = call->tag_avp.len == 0 ? access_address_in_group(args->room, group, addr, port)
					    : find(ctx, args, group, addr, port, &match);

	return found ? ROUTE_TRUE : ROUTE_FALSE;
}

static int32_t group_of(struct route_ctx *ctx, const struct route_args *args,
	const struct net_addr *addr, uint32_t port)
{
	struct access_match match;

	return find(ctx, args, 0, addr, port, &match) ? (int32_t)match.group : ROUTE_FALSE;
}

/* Of the first argument, which is a constant mostly. */
static bool group_argument(const struct route_args *args, uint32_t *group)
{
	const struct call *call = args->data;

	*group = call->group;
	if (!call->constant && !number_of(&args->v[0], INT32_MAX, group))
		return false;
	return *group != 0 || call->any;
}

/* A message's port, or one that Kamailio's functions are asked for: 0 is none. */
static uint32_t port_of(uint32_t port)
{
	return port != 0 ? port : ACCESS_PORT_NONE;
}

static int32_t run_allow_source_address(struct route_ctx *ctx, const struct route_args *args)
{
	const struct net_endpoint *src = &ctx->origin.src;
	uint32_t group;

	if (!group_argument(args, &group))
		return ROUTE_FALSE;
	return in_group(ctx, args, group, &src->addr, port_of(src->port));
}

static int32_t run_allow_source_address_group(struct route_ctx *ctx, const struct route_args *args)
{
	const struct net_endpoint *src = &ctx->origin.src;

	return group_of(ctx, args, &src->addr, port_of(src->port));
}

/* Reads an address and a port from two arguments. */
static bool endpoint_of(const struct route_value *v, struct net_addr *addr, uint16_t *port)
{
	uint32_t number;

	if (v[0].type != ROUTE_STR || net_addr_parse(v[0].s, addr) != 0 ||
		!number_of(&v[1], UINT16_MAX, &number))
		return false;
	*port = (uint16_t)number;
	return true;
}

static int32_t run_allow_address(struct route_ctx *ctx, const struct route_args *args)
{
	const struct call *call = args->data;
	struct net_addr addr;
	uint32_t group;
	uint16_t port;

	if (!group_argument(args, &group) || !endpoint_of(&args->v[1], &addr, &port))
		return ROUTE_FALSE;
	return in_group(ctx, args, group, &addr, call->any ? port : port_of(port));
}

static int32_t run_allow_address_group(struct route_ctx *ctx, const struct route_args *args)
{
	struct net_addr addr;
	uint16_t port;

	if (!endpoint_of(&args->v[0], &addr, &port))
		return ROUTE_FALSE;
	return group_of(ctx, args, &addr, port_of(port));
}

/* ---- what can be wrong at load ---- */

static bool check_number(
	const struct route_arg *arg, uint32_t max, const char *what, struct route_report *report)
{
	uint32_t number;

	if (!arg->constant || number_of(&arg->value, max, &number))
		return true;
	route_error(report, &arg->place, "%s is a number from 0 to %u", what, max);
	return false;
}

static bool check_address(const struct route_arg *arg, struct route_report *report)
{
	struct net_addr addr;

	if (!arg->constant ||
		(arg->value.type == ROUTE_STR && net_addr_parse(arg->value.s, &addr) == 0))
		return true;
	route_error(report, &arg->place, "this is neither an IPv4 nor an IPv6 address");
	return false;
}

/* OpenSIPS' protocol: the list has no such column, so that any would match; a word that is none is
 * still an error. */
static bool check_protocol(const struct route_arg *arg, struct route_report *report)
{
	enum sip_transport transport;

	if (!arg->constant)
		return true;
	transport =
		arg->value.type == ROUTE_STR ? sip_transport_of(arg->value.s) : SIP_TRANSPORT_OTHER;
	if (transport == SIP_TRANSPORT_NONE || transport == SIP_TRANSPORT_OTHER) {
		if (arg->value.type != ROUTE_STR || !str_ieq(arg->value.s, STR("any"))) {
			route_error(report, &arg->place,
				"a protocol is any, udp, tcp, tls, sctp, ws or wss");
			return false;
		}
	}
	return true;
}

static int make_call(const struct permissions_config *c, const struct route_arg *group, bool any,
	const struct route_place *place, struct route_report *report, void **data)
{
	struct call *call = calloc(1, sizeof(*call));

	if (call == NULL) {
		route_error(report, place, "out of memory");
		return -ENOMEM;
	}
	call->group = DEFAULT_GROUP;
	call->constant = group == NULL || group->constant;
	if (group != NULL && group->constant)
		number_of(&group->value, INT32_MAX, &call->group);
	call->any = any;
	if (call->constant && call->group == 0 && !any)
		route_warning(report, place,
			"no address is in group 0; check_source_address(0) and check_address(0, "
			"...) "
			"ask for any");
	if (c->peer_tag_avp != NULL)
		call->tag_avp = route_avp_name(str_c(c->peer_tag_avp));
	if (c->peer_tag_avp != NULL && call->tag_avp.len == 0) {
		route_error(report, place, "permissions: peer_tag_avp '%s' is no AVP: $avp(name)",
			c->peer_tag_avp);
		free(call);
		return -EINVAL;
	}
	*data = call;
	return 0;
}

static int check_group_of(const void *config, const struct route_arg *arg, unsigned n, bool any,
	const struct route_place *place, struct route_report *report, void **data)
{
	if (n > 0 && !check_number(&arg[0], INT32_MAX, "a group", report))
		return -EINVAL;
	return make_call(config, n > 0 ? &arg[0] : NULL, any, place, report, data);
}

static int check_group(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	return check_group_of(config, arg, n, false, place, report, data);
}

static int check_any_group(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	return check_group_of(config, arg, n, true, place, report, data);
}

static int check_none(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	return make_call(config, NULL, false, place, report, data);
}

static int check_endpoint_of(const void *config, const struct route_arg *arg, unsigned n, bool any,
	const struct route_place *place, struct route_report *report, void **data)
{
	bool good = check_number(&arg[0], INT32_MAX, "a group", report) &&
		    check_address(&arg[1], report) &&
		    check_number(&arg[2], UINT16_MAX, "a port", report) &&
		    (n < 4 || check_protocol(&arg[3], report));

	return good ? make_call(config, &arg[0], any, place, report, data) : -EINVAL;
}

static int check_group_endpoint(void *room, const void *config, const struct route_arg *arg,
	unsigned n, const struct route_place *place, struct route_report *report, void **data)
{
	return check_endpoint_of(config, arg, n, false, place, report, data);
}

static int check_any_endpoint(void *room, const void *config, const struct route_arg *arg,
	unsigned n, const struct route_place *place, struct route_report *report, void **data)
{
	return check_endpoint_of(config, arg, n, true, place, report, data);
}

static int check_endpoint(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	bool good = check_address(&arg[0], report) &&
		    check_number(&arg[1], UINT16_MAX, "a port", report);

	return good ? make_call(config, NULL, false, place, report, data) : -EINVAL;
}

/* ---- the tables ---- */

static int prepare(void *room, const void *config, struct route_report *report, void **prepared)
{
	const struct permissions_config *c = config;
	struct access_prepared *p = NULL;
	int err = access_list_prepare(room, ACCESS_ADDRESSES, &c->source,
		(c->load_backends & LOAD_ADDRESSES) != 0, report, &p);

	*prepared = p;
	return err;
}

static void publish(void *room, void *prepared)
{
	access_list_publish(room, prepared);
}

static void discard(void *room, void *prepared)
{
	access_list_discard(prepared);
}

static const struct route_function functions[] = {
	{.name = "allow_source_address",
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_allow_source_address,
		.check = check_group,
		.free_data = free,
		.usage = "allow_source_address([group])",
		.help = "Whether the message's source is in an address group: 1 where none is "
			"given."},
	{.name = "check_source_address",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_allow_source_address,
		.check = check_any_group,
		.free_data = free,
		.usage = "check_source_address(group)",
		.help = "The same under OpenSIPS' name; group 0 is any."},
	{.name = "allow_source_address_group",
		.in = ROUTE_IN_ANY,
		.run = run_allow_source_address_group,
		.check = check_none,
		.free_data = free,
		.usage = "allow_source_address_group()",
		.help = "Returns the group that the message's source is in by its longest prefix, "
			"false for none."},
	{.name = "allow_address",
		.args_min = 3,
		.args_max = 3,
		.in = ROUTE_IN_ANY,
		.run = run_allow_address,
		.check = check_group_endpoint,
		.free_data = free,
		.usage = "allow_address(group, address, port)",
		.help = "Whether an address and port are in a group; port 0 is in what is listed "
			"for any port."},
	{.name = "check_address",
		.args_min = 3,
		.args_max = 4,
		.in = ROUTE_IN_ANY,
		.run = run_allow_address,
		.check = check_any_endpoint,
		.free_data = free,
		.usage = "check_address(group, address, port [, protocol])",
		.help = "The same under OpenSIPS' name; group 0 is any, port 0 too; the protocol "
			"decides nothing, since "
			"addresses are listed without."},
	{.name = "allow_address_group",
		.args_min = 2,
		.args_max = 2,
		.in = ROUTE_IN_ANY,
		.run = run_allow_address_group,
		.check = check_endpoint,
		.free_data = free,
		.usage = "allow_address_group(address, port)",
		.help = "Returns the group that an address is in by its longest prefix, false for "
			"none."},
	{.name = NULL},
};

#define NO_TRUSTED "There is no table of trusted peers: addresses have groups."
#define NO_RULES "There are no files of rules."
#define ACCEPTED(text, kind, why) \
	{ \
		.name = text, .type = ROUTE_PARAM_##kind, .accepted_only = true, .help = why \
	}
#define TEXT(text, field, start, ...) \
	{ \
		.name = text, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct permissions_config, field), .initial = start, \
		.help = __VA_ARGS__ \
	}

static const struct route_param params[] = {
	{.name = "address_file",
		.type = ROUTE_PARAM_FILE,
		.offset = offsetof(struct permissions_config, source.file),
		.help = "File of address groups: group address [mask [port [tag]]] a line."},
	TEXT("db_url", source.db_url, NULL,
		"Database with a table of address groups, beside those of address_file. Left out, "
		"the global db_url where there is no address_file."),
	TEXT("address_table", source.table, "address", "Table of address groups."),
	TEXT("grp_col", source.column[0], "grp", "Column of the group."),
	TEXT("ip_addr_col", source.column[1], "ip_addr", "Column of the address."),
	TEXT("mask_col", source.column[2], "mask", "Column of the mask: a number of bits."),
	TEXT("port_col", source.column[3], "port", "Column of the port; 0 is any."),
	TEXT("tag_col", source.column[4], "tag", "Column of the tag."),
	TEXT("peer_tag_avp", peer_tag_avp, NULL,
		"AVP that gets the tag of the address which a function has found."),
	{.name = "load_backends",
		.type = ROUTE_PARAM_INT,
		.offset = offsetof(struct permissions_config, load_backends),
		.min = 0,
		.max = 0xffff,
		.initial = "65535",
		.help = "A sum, of which 1 has the table of address groups read; there are no "
			"others."},
	ACCEPTED("ip_col", STR, "The column is ip_addr_col's."),
	ACCEPTED("pattern_col", STR, "Addresses have no patterns."),
	ACCEPTED("info_col", STR, "The column is tag_col's."),
	ACCEPTED("partition", STR, "There is one list of addresses."),
	ACCEPTED("max_subnets", INT, "A list may have 100,000 addresses and networks."),
	ACCEPTED("reload_delta", INT, "Reloads are never too close."),
	ACCEPTED("db_mode", INT, NO_TRUSTED),
	ACCEPTED("peer_tag_mode", INT, NO_TRUSTED),
	ACCEPTED("proto_col", STR, NO_TRUSTED),
	ACCEPTED("trusted_table", STR, NO_TRUSTED),
	ACCEPTED("source_col", STR, NO_TRUSTED),
	ACCEPTED("from_col", STR, NO_TRUSTED),
	ACCEPTED("ruri_col", STR, NO_TRUSTED),
	ACCEPTED("priority_col", STR, NO_TRUSTED),
	ACCEPTED("default_allow_file", STR, NO_RULES),
	ACCEPTED("default_deny_file", STR, NO_RULES),
	ACCEPTED("check_all_branches", INT, NO_RULES),
	ACCEPTED("allow_suffix", STR, NO_RULES),
	ACCEPTED("deny_suffix", STR, NO_RULES),
	{.name = NULL},
};

const struct route_module access_permissions_module = {
	.name = "permissions",
	.functions = functions,
	.params = params,
	.config_size = sizeof(struct permissions_config),
	.prepare = prepare,
	.publish = publish,
	.discard = discard,
};
