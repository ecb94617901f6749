/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* The commands of the control socket. Private to the room. */
#include "control/control.h"

/* Lists come in pages: an entry more than so many ends one. A contact takes some 4 us to write. */
#define COMMAND_PAGE 32

static inline struct control *command_control(const struct rpc_call *call)
{
	return call->room;
}

extern const struct rpc_command control_commands[];

#define COMMANDS(COMMAND) \
	COMMAND(rpc_list) \
	COMMAND(core_version) \
	COMMAND(core_uptime) \
	COMMAND(core_stats) \
	COMMAND(cfg_reload) \
	COMMAND(domain_reload) \
	COMMAND(address_reload) \
	COMMAND(ds_reload) \
	COMMAND(ul_dump) \
	COMMAND(ul_lookup) \
	COMMAND(ul_rm) \
	COMMAND(ds_list) \
	COMMAND(ds_set_health) \
	COMMAND(ds_set_state) \
	COMMAND(db_list) \
	COMMAND(db_forget)

#define COMMAND(name) void command_##name(struct rpc_call *call);
COMMANDS(COMMAND)
#undef COMMAND
