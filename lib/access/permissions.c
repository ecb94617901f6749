/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OpenSER's module permissions, as far as it is about addresses. Groups and ports may be numbers,
 * strings of digits, or values of a message: what is no number then is in no group.
 */
#include <errno.h>
#include <stdlib.h>

#include "access/internal.h"

#define DEFAULT_GROUP 1 /* of allow_source_address() without an argument */

struct permissions_config {
	const char *address_file;
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

static int32_t in_group(
	const struct route_args *args, uint32_t group, const struct net_addr *addr, uint16_t port)
{
	return access_address_in_group(args->room, group, addr, port) ? ROUTE_TRUE : ROUTE_FALSE;
}

static int32_t group_as_result(int64_t group)
{
	return group > 0 ? (int32_t)group : ROUTE_FALSE;
}

static int32_t run_allow_source_address(struct route_ctx *ctx, const struct route_args *args)
{
	const struct net_endpoint *src = &ctx->origin.src;
	const uint32_t *constant = args->data;
	uint32_t group = DEFAULT_GROUP;

	if (constant != NULL)
		group = *constant;
	else if (args->n > 0 && !number_of(&args->v[0], INT32_MAX, &group))
		return ROUTE_FALSE;
	return in_group(args, group, &src->addr, src->port);
}

static int32_t run_allow_source_address_group(struct route_ctx *ctx, const struct route_args *args)
{
	const struct net_endpoint *src = &ctx->origin.src;

	return group_as_result(access_address_group(args->room, &src->addr, src->port));
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
	struct net_addr addr;
	uint32_t group;
	uint16_t port;

	if (!number_of(&args->v[0], INT32_MAX, &group) || !endpoint_of(&args->v[1], &addr, &port))
		return ROUTE_FALSE;
	return in_group(args, group, &addr, port);
}

static int32_t run_allow_address_group(struct route_ctx *ctx, const struct route_args *args)
{
	struct net_addr addr;
	uint16_t port;

	if (!endpoint_of(&args->v[0], &addr, &port))
		return ROUTE_FALSE;
	return group_as_result(access_address_group(args->room, &addr, port));
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

/* OpenSIPS' protocol: the file has no such column, so that any would match; a word that is none is
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

/* Reads a group that is known by now, once. */
static int check_group(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	uint32_t *group;

	if (n > 0 && !check_number(&arg[0], INT32_MAX, "a group", report))
		return -EINVAL;
	if (n > 0 && !arg[0].constant)
		return 0;
	group = malloc(sizeof(*group));
	if (group == NULL) {
		route_error(report, place, "out of memory");
		return -ENOMEM;
	}
	*group = DEFAULT_GROUP;
	if (n > 0)
		number_of(&arg[0].value, INT32_MAX, group);
	*data = group;
	return 0;
}

static int check_group_endpoint(void *room, const void *config, const struct route_arg *arg,
	unsigned n, const struct route_place *place, struct route_report *report, void **data)
{
	bool good = check_number(&arg[0], INT32_MAX, "a group", report) &&
		    check_address(&arg[1], report) &&
		    check_number(&arg[2], UINT16_MAX, "a port", report) &&
		    (n < 4 || check_protocol(&arg[3], report));

	return good ? 0 : -EINVAL;
}

static int check_endpoint(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	bool good = check_address(&arg[0], report) &&
		    check_number(&arg[1], UINT16_MAX, "a port", report);

	return good ? 0 : -EINVAL;
}

/* ---- the tables ---- */

static int prepare(void *room, const void *config, struct route_report *report, void **prepared)
{
	const struct permissions_config *c = config;

	*prepared = access_addresses_load(c->address_file, report);
	return *prepared != NULL ? 0 : -EINVAL;
}

static void publish(void *room, void *prepared)
{
	struct access *a = room;
	struct access_addresses *old =
		atomic_exchange_explicit(&a->addresses, prepared, memory_order_acq_rel);

	access_retire(a, old, access_addresses_free);
}

static void discard(void *room, void *prepared)
{
	access_addresses_free(prepared);
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
			"given, any for 0."},
	{.name = "check_source_address",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_allow_source_address,
		.check = check_group,
		.free_data = free,
		.usage = "check_source_address(group)",
		.help = "The same under OpenSIPS' name."},
	{.name = "allow_source_address_group",
		.in = ROUTE_IN_ANY,
		.run = run_allow_source_address_group,
		.usage = "allow_source_address_group()",
		.help = "Returns the group that the message's source is in by its longest prefix, "
			"false for none."},
	{.name = "allow_address",
		.args_min = 3,
		.args_max = 3,
		.in = ROUTE_IN_ANY,
		.run = run_allow_address,
		.check = check_group_endpoint,
		.usage = "allow_address(group, address, port)",
		.help = "Whether an address and port (0: any) are in a group (0: any)."},
	{.name = "check_address",
		.args_min = 3,
		.args_max = 4,
		.in = ROUTE_IN_ANY,
		.run = run_allow_address,
		.check = check_group_endpoint,
		.usage = "check_address(group, address, port [, protocol])",
		.help = "The same under OpenSIPS' name; the protocol decides nothing, since "
			"address_file has none."},
	{.name = "allow_address_group",
		.args_min = 2,
		.args_max = 2,
		.in = ROUTE_IN_ANY,
		.run = run_allow_address_group,
		.check = check_endpoint,
		.usage = "allow_address_group(address, port)",
		.help = "Returns the group that an address is in by its longest prefix, false for "
			"none."},
	{.name = NULL},
};

#define DB_PARAM(text) \
	{ \
		.name = text, .type = ROUTE_PARAM_STR, .accepted_only = true \
	}
#define DB_NUMBER(text) \
	{ \
		.name = text, .type = ROUTE_PARAM_INT, .min = INT64_MIN, .max = INT64_MAX, \
		.accepted_only = true \
	}

static const struct route_param params[] = {
	{.name = "address_file",
		.type = ROUTE_PARAM_FILE,
		.offset = offsetof(struct permissions_config, address_file),
		.help = "File of address groups: group address [mask [port [tag]]] a line."},
	DB_PARAM("db_url"),
	DB_NUMBER("db_mode"),
	DB_PARAM("address_table"),
	DB_PARAM("grp_col"),
	DB_PARAM("ip_addr_col"),
	DB_PARAM("ip_col"),
	DB_PARAM("mask_col"),
	DB_PARAM("port_col"),
	DB_PARAM("proto_col"),
	DB_PARAM("tag_col"),
	DB_PARAM("pattern_col"),
	DB_PARAM("info_col"),
	DB_PARAM("partition"),
	DB_PARAM("peer_tag_avp"),
	DB_NUMBER("peer_tag_mode"),
	DB_NUMBER("max_subnets"),
	DB_NUMBER("load_backends"),
	DB_NUMBER("reload_delta"),
	DB_PARAM("trusted_table"),
	DB_PARAM("source_col"),
	DB_PARAM("from_col"),
	DB_PARAM("ruri_col"),
	DB_PARAM("priority_col"),
	DB_PARAM("default_allow_file"),
	DB_PARAM("default_deny_file"),
	DB_NUMBER("check_all_branches"),
	DB_PARAM("allow_suffix"),
	DB_PARAM("deny_suffix"),
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
