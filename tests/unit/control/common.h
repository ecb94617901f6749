/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Commands that tests call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "control/rpc.h"

/* What the commands left. */
struct room {
	unsigned ran, changed;
	bool ready; /* what `later` waits for */
	unsigned asked, dropped;
	size_t length; /* of what `long` answers */
};

static inline void run_echo(struct rpc_call *call)
{
	struct room *room = call->room;

	room->ran++;
	call->result = json_pack("[o, I, b]", rpc_string(rpc_text(call, 0)),
		(json_int_t)rpc_number(call, 1, -1), (int)rpc_truth(call, 2, false));
}

static inline void run_fail(struct rpc_call *call)
{
	rpc_fail(call, RPC_ERROR_NOT_FOUND, "no %s here", "such thing");
}

static inline bool later_again(struct rpc_call *call)
{
	struct room *room = call->room;

	room->asked++;
	if (room->ready)
		call->result = json_string("at last");
	return room->ready;
}

static inline void later_drop(struct rpc_call *call)
{
	((struct room *)call->room)->dropped++;
}

static inline void run_later(struct rpc_call *call)
{
	call->again = later_again;
	call->drop = later_drop;
}

static inline void run_nothing(struct rpc_call *call)
{
	((struct room *)call->room)->changed++;
}

static inline void run_long(struct rpc_call *call)
{
	size_t length = ((struct room *)call->room)->length;
	char *text = malloc(length);

	memset(text, 'x', length);
	call->result = json_stringn(text, length);
	free(text);
}

static const struct rpc_command commands[] = {
	{"echo", run_echo, false, "gives back",
		{{"text", RPC_TEXT, false, "any"}, {"number", RPC_NUMBER, true, "any"},
			{"truth", RPC_TRUTH, true, "any"}}},
	{"fail", run_fail, false, "does not", {{0}}},
	{"later", run_later, false, "waits", {{0}}},
	{"nothing", run_nothing, true, "changes something", {{0}}},
	{"long", run_long, false, "says much", {{0}}},
	{0},
};
