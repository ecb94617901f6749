/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands about the process as a whole. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <rte_version.h>

#include "control/commands.h"

void command_rpc_list(struct rpc_call *call)
{
	call->result = rpc_describe(control_commands);
}

void command_core_version(struct rpc_call *call)
{
	call->result = json_pack("{s:s, s:s, s:s, s:i}", "name", "siplane", "version",
		SIPLANE_VERSION, "dpdk", rte_version(), "pid", (int)getpid());
}

void command_core_uptime(struct rpc_call *call)
{
	const struct control *c = command_control(call);
	uint64_t up = (clock_now_ns() - c->started_ns) / CLOCK_NS_PER_S;
	time_t since = time(NULL) - (time_t)up;
	struct tm tm;
	char text[32] = "";

	if (gmtime_r(&since, &tm) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	call->result = json_pack("{s:I, s:s, s:i, s:o}", "uptime_s", (json_int_t)up, "since", text,
		"generation", (int)c->generation, "config", rpc_string(str_c(c->path)));
}

static void add_figure(void *arg, const char *name, uint64_t value)
{
	json_object_set_new(arg, name, json_integer((json_int_t)value));
}

void command_core_stats(struct rpc_call *call)
{
	struct str want = rpc_text(call, 0);
	json_t *groups = json_object();

	for (unsigned group = 0; group < CONTROL_GROUP_COUNT; group++) {
		json_t *figures;

		if (want.len != 0 && !str_eq(want, str_c(control_group_name(group))))
			continue;
		figures = json_object();
		control_figures(command_control(call), group, add_figure, figures);
		json_object_set_new(groups, control_group_name(group), figures);
	}
	if (json_object_size(groups) == 0) {
		rpc_fail(call, RPC_ERROR_NOT_FOUND, "there is no group '%.*s'", STR_FMT(want));
		json_decref(groups);
		return;
	}
	call->result = groups;
}

/* ---- reload ---- */

static bool is_reloaded(struct rpc_call *call)
{
	const struct control *c = command_control(call);
	uint32_t number = (uint32_t)(uintptr_t)call->state;

	if ((int32_t)(c->reloads_ended - number) < 0)
		return false;
	if (c->reload_good)
		call->result = json_pack("{s:i, s:o}", "generation", (int)c->generation, "warnings",
			rpc_string(str_c(c->reload_text)));
	else
		rpc_fail(call, RPC_ERROR_FAILED, "the running configuration stays: %.4000s",
			c->reload_text);
	return true;
}

void command_cfg_reload(struct rpc_call *call)
{
	struct control *c = command_control(call);

	call->state = (void *)(uintptr_t)control_reload_number(c);
	call->again = is_reloaded;
	control_reload(c);
}
