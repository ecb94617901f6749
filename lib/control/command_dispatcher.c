/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands about the dispatcher's destinations. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/commands.h"

struct page {
	json_t *list;
	uint32_t at, from;
	uint64_t now_ns;
};

/* Seconds from one time to another; null where there is no such time. */
static json_t *seconds(uint64_t from_ns, uint64_t to_ns)
{
	if (from_ns == 0 || to_ns == 0)
		return json_null();
	return json_integer(to_ns > from_ns ? (json_int_t)((to_ns - from_ns) / CLOCK_NS_PER_S) : 0);
}

static void visit(void *arg, const struct dispatch_info *info)
{
	struct page *p = arg;
	char text[NET_ENDPOINT_TEXT_MAX];
	uint32_t at = p->at++;

	if (at < p->from || at >= p->from + COMMAND_PAGE)
		return;
	net_endpoint_format(&info->ep, text);
	json_array_append_new(p->list,
		json_pack("{s:I, s:I, s:o, s:s, s:s, s:s, s:o, s:o, s:s, s:I, s:I, s:I, s:I, s:I}",
			"set", (json_int_t)info->set, "id", (json_int_t)info->id, "destination",
			rpc_string(str_c(info->uri)), "address", text, "state", info->state, "by",
			info->by_hand ? "hand" : "list", "since",
			seconds(info->since_ns, p->now_ns), "left",
			seconds(p->now_ns, info->until_ns), "health", info->health, "weight",
			(json_int_t)info->weight, "priority", (json_int_t)info->priority,
			"selected", (json_int_t)info->selected, "pins", (json_int_t)info->pins,
			"unreachable", (json_int_t)info->unreachable));
}

void command_ds_list(struct rpc_call *call)
{
	struct str text = rpc_text(call, 0);
	struct page page = {.now_ns = clock_now_ns()};
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

/* ---- states ---- */

/* What new calls of a set have left. */
struct usable {
	uint32_t set, n;
};

static void count_usable(void *arg, const struct dispatch_info *info)
{
	struct usable *u = arg;

	u->n += info->set == u->set && strcmp(info->health, "up") == 0 &&
		strcmp(info->state, dispatch_state_name(DISPATCH_ENABLED)) == 0;
}

static bool is_set(struct rpc_call *call)
{
	struct control *c = command_control(call);
	struct control_states *s = call->state;
	struct usable usable = {.set = s->change.set};

	control_set_states(c, s);
	if (!s->done)
		return false;
	dispatch_list(c->dispatch, count_usable, &usable);
	if (s->err == 0)
		call->result = json_pack("{s:i, s:i}", "destinations", (int)s->destinations,
			"usable", (int)usable.n);
	else
		rpc_fail(call, s->err == -ENOENT ? RPC_ERROR_NOT_FOUND : RPC_ERROR_FAILED,
			"%.4000s", s->why);
	free(s);
	return true;
}

static void drop_set(struct rpc_call *call)
{
	struct control *c = command_control(call);

	/* The loader may still read it. */
	if (c->states != call->state)
		free(call->state);
}

void command_ds_set_state(struct rpc_call *call)
{
	int64_t set = rpc_number(call, 0, 0);
	struct str uris = rpc_text(call, 1), name = rpc_text(call, 2);
	enum dispatch_state state;
	struct control_states *s;
	char *text;

	if (set < 0 || set > UINT32_MAX) {
		rpc_fail(call, RPC_ERROR_NOT_FOUND, "there is no set %" PRId64, set);
		return;
	}
	if (dispatch_state_of(name, &state) != 0) {
		rpc_fail(call, RPC_ERROR_PARAMS,
			"ds.set_state: a state is enabled, drain or disabled, not '%.*s'",
			(int)(name.len < 64 ? name.len : 64), name.s);
		return;
	}
	s = calloc(1, sizeof(*s) + uris.len);
	if (s == NULL) {
		rpc_fail(call, RPC_ERROR_BUSY, "not enough memory");
		return;
	}
	text = (char *)(s + 1);
	memcpy(text, uris.s, uris.len);
	s->change = (struct dispatch_change){
		.set = (uint32_t)set, .state = state, .uris = str_of(text, uris.len)};
	call->state = s;
	call->again = is_set;
	call->drop = drop_set;
}
