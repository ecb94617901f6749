/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be asked on the control socket: one table, which checks parameters and is rpc.list's
 * answer. */
#include <errno.h>
#include <stdio.h>

#include "control/commands.h"
#include "route/route.h"

const struct rpc_command control_commands[] = {
	{"rpc.list", command_rpc_list, false, "the methods, with their parameters", {{0}}},
	{"core.version", command_core_version, false, "what runs", {{0}}},
	{"core.uptime", command_core_uptime, false,
		"since when it runs, and by which configuration", {{0}}},
	{"core.stats", command_core_stats, false, "figures by groups",
		{{"group", RPC_TEXT, true,
			"only this one: stats, location, registrar, transactions, db, auth, acc, "
			"control"}}},
	{"cfg.reload", command_cfg_reload, true,
		"reads the configuration and its lists again; answers when it is current, or says "
		"why not",
		{{0}}},
	{"domain.reload", command_domain_reload, true,
		"reads domain_file and the table of domains again; answers how many there are, or "
		"why it stays as it was",
		{{0}}},
	{"address.reload", command_address_reload, true,
		"reads address_file and the table of addresses again, likewise", {{0}}},
	{"permissions.addressReload", command_address_reload, true,
		"the same under Kamailio's name", {{0}}},
	{"ul.dump", command_ul_dump, false,
		"a page of the registered contacts; the next one by its cursor, until that is null",
		{{"cursor", RPC_TEXT, true, "where the page before ended"}}},
	{"ul.lookup", command_ul_lookup, false, "the contacts of an address-of-record",
		{{"aor", RPC_TEXT, false, "user, user@domain or a URI"},
			{"table", RPC_TEXT, true, "of usrloc; location where it is left out"}}},
	{"ul.rm", command_ul_rm, true, "removes contacts of an address-of-record",
		{{"aor", RPC_TEXT, false, "user, user@domain or a URI"},
			{"contact", RPC_TEXT, true, "only the one of this URI"},
			{"table", RPC_TEXT, true, "of usrloc; location where it is left out"}}},
	{"ds.list", command_ds_list, false,
		"a page of the dispatcher's destinations; the next one by its cursor, until that "
		"is null",
		{{"cursor", RPC_TEXT, true, "where the page before ended"}}},
	{"ds.reload", command_ds_reload, true, "reads the dispatcher's list again, likewise",
		{{0}}},
	{"dispatcher.reload", command_ds_reload, true, "the same under Kamailio's name", {{0}}},
	{"ds.set_health", command_ds_set_health, true,
		"a verdict about a destination: whether it gets new calls",
		{{"id", RPC_NUMBER, false, "as ds.list has it"},
			{"up", RPC_TRUTH, false, "true: it does"}}},
	{"ds.set_state", command_ds_set_state, true,
		"a state by hand, through reloads until the list says something new of the "
		"destination, and no restart; answers when new calls go by it",
		{{"set", RPC_NUMBER, false, "as the list has it"},
			{"destination", RPC_TEXT, false,
				"its URI as the list has it, or several with spaces between"},
			{"state", RPC_TEXT, false,
				"enabled; drain: nothing new is sent there; disabled: nor is it "
				"active"}}},
	{"db.list", command_db_list, false,
		"the databases that modules name, whether they are connected, and what was last "
		"wrong",
		{{0}}},
	{"db.forget", command_db_forget, true,
		"what was read from databases is read again: for who has changed rows there",
		{{0}}},
	{0},
};

int control_listen(
	struct control *c, const struct route_config *config, char *error, size_t error_size)
{
	struct rpc_config rc = {
		.path = config->control_socket != NULL ? config->control_socket
						       : CONTROL_SOCKET_DEFAULT,
		.group = config->control_group,
		.commands = control_commands,
		.room = c,
	};

	c->rpc = rpc_open(&rc, error, error_size);
	return c->rpc != NULL ? 0 : -errno;
}
