/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands about databases. */
#include "control/commands.h"

void command_db_forget(struct rpc_call *call)
{
	const struct control *c = command_control(call);
	uint64_t rows = db_counter(c->db, DB_COUNTER_CACHED);

	db_forget(c->db, STR_NONE);
	call->result = json_pack("{s:I}", "rows", (json_int_t)rows);
}

void command_db_list(struct rpc_call *call)
{
	const struct control *c = command_control(call);
	json_t *list = json_array();
	struct db_state state;

	for (int i = 0; db_state(c->db, i, &state); i++)
		json_array_append_new(
			list, json_pack("{s:o, s:b, s:I, s:o}", "url", rpc_string(str_c(state.url)),
				      "connected", (int)state.connected, "waiting",
				      (json_int_t)state.waiting, "error",
				      rpc_string(str_c(state.error))));
	call->result = list;
}
