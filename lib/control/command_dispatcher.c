/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands about the dispatcher's destinations. */
#include <inttypes.h>
#include <stdio.h>

#include "control/commands.h"

struct page {
	json_t *list;
	uint32_t at, from;
};

static void visit(void *arg, const struct dispatch_info *info)
{
	struct page *p = arg;
	char text[NET_ENDPOINT_TEXT_MAX];
	uint32_t at = p->at++;

	if (at < p->from || at >= p->from + COMMAND_PAGE)
		return;
	net_endpoint_format(&info->ep, text);
	json_array_append_new(p->list,
		json_pack("{s:I, s:I, s:o, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "set",
			(json_int_t)info->set, "id", (json_int_t)info->id, "destination",
			rpc_string(str_c(info->uri)), "address", text, "state", info->state,
			"health", info->health, "weight", (json_int_t)info->weight, "priority",
			(json_int_t)info->priority, "selected", (json_int_t)info->selected,
			"unreachable", (json_int_t)info->unreachable));
}

void command_ds_list(struct rpc_call *call)
{
	struct str text = rpc_text(call, 0);
	struct page page = {.from = 0};
	char cursor[16];

	if (text.len != 0 && str_to_u32(text, DISPATCH_DESTINATIONS_MAX, &page.from) != 0) {
		rpc_fail(call, RPC_ERROR_PARAMS, "ds.list: the cursor is of no page of it");
		return;
	}
	page.list = json_array();
	dispatch_list(command_control(call)->dispatch, visit, &page);
	snprintf(cursor, sizeof(cursor), "%" PRIu32, page.from + COMMAND_PAGE);
	call->result = json_pack("{s:o, s:o}", "destinations", page.list, "cursor",
		page.from + COMMAND_PAGE < page.at ? json_string(cursor) : json_null());
}

void command_ds_set_health(struct rpc_call *call)
{
	int64_t id = rpc_number(call, 0, 0);

	if (id < 0 || id > UINT32_MAX ||
		dispatch_set_up(command_control(call)->dispatch, (uint32_t)id,
			rpc_truth(call, 1, true)) != 0)
		rpc_fail(call, RPC_ERROR_NOT_FOUND, "there is no destination %" PRId64, id);
}
