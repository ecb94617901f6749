/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that have a list read again: domains, addresses, destinations. */
#include "control/commands.h"

#define LIST_BITS 8

static enum control_list list_of(const struct rpc_call *call)
{
	return (enum control_list)((uintptr_t)call->state & ((1u << LIST_BITS) - 1));
}

static json_t *count(bool any, uint32_t n)
{
	return any ? json_integer((json_int_t)n) : json_null();
}

static void count_destination(void *arg, const struct dispatch_info *info)
{
	++*(uint32_t *)arg;
}

static json_t *result_of(const struct control *c, enum control_list list)
{
	json_t *warnings = rpc_string(str_c(c->list[list].text));
	struct access_list_info info;
	uint32_t destinations = 0;

	if (access_list_info(c->access, control_list_module(list), &info))
		return json_pack("{s:o, s:o, s:o}", "from_file", count(info.file, info.lines),
			"from_table", count(info.table, info.rows), "warnings", warnings);
	dispatch_list(c->dispatch, count_destination, &destinations);
	return json_pack("{s:o, s:o, s:o}", "from_file",
		count(!dispatch_list_from_table(c->dispatch), destinations), "from_table",
		count(dispatch_list_from_table(c->dispatch), destinations), "warnings", warnings);
}

static bool is_read(struct rpc_call *call)
{
	const struct control *c = command_control(call);
	enum control_list list = list_of(call);
	uint32_t number = (uint32_t)((uintptr_t)call->state >> LIST_BITS);

	if ((int32_t)(c->list[list].ended - number) < 0)
		return false;
	if (c->list[list].good)
		call->result = result_of(c, list);
	else
		rpc_fail(call, RPC_ERROR_FAILED, "the list stays as it was: %.4000s",
			c->list[list].text);
	return true;
}

static void reload(struct rpc_call *call, enum control_list list)
{
	struct control *c = command_control(call);
	uint32_t number = control_list_number(c, list);

	if (!control_reload_list(c, list)) {
		rpc_fail(call, RPC_ERROR_NOT_FOUND, "the configuration does not load the module %s",
			control_list_module(list));
		return;
	}
	call->state = (void *)((uintptr_t)number << LIST_BITS | (uintptr_t)list);
	call->again = is_read;
}

void command_domain_reload(struct rpc_call *call)
{
	reload(call, CONTROL_LIST_DOMAINS);
}

void command_address_reload(struct rpc_call *call)
{
	reload(call, CONTROL_LIST_ADDRESSES);
}

void command_ds_reload(struct rpc_call *call)
{
	reload(call, CONTROL_LIST_DESTINATIONS);
}
