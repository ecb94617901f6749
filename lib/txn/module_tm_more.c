/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Further functions of module "tm", and its pseudo-variables.
 */
#include <string.h>

#include "txn/module_tm.h"

/* A number that scripts write with or without quotes. */
static bool number(const struct route_value *v, uint32_t most, uint32_t *out)
{
	if (v->type == ROUTE_INT && v->i >= 0 && v->i <= most) {
		*out = (uint32_t)v->i;
		return true;
	}
	return v->type == ROUTE_STR && str_to_u32(str_trim(v->s), most, out) == 0;
}

/* ---- serial forking ---- */

MODULE_RUN(run_load_contacts)
{
	return route_branches_load(ctx);
}

MODULE_RUN(run_next_contacts)
{
	return route_branches_next(ctx);
}

MODULE_CHECK(check_load_contacts)
{
	uint32_t mode;

	if (n == 0 || !arg[0].constant || (number(&arg[0].value, 0, &mode) && mode == 0))
		return 0;
	route_error(report, &arg[0].place, "contacts are tried by their q: the mode is 0");
	return -EINVAL;
}

/* ---- what a failure_route does with the replies ---- */

/* "a" all, "l" those of the last t_relay(), "n" none. */
static bool drop_mode(const struct route_value *v, enum txn_drop *out)
{
	uint32_t n;

	if (v->type == ROUTE_STR && v->s.len == 1 && !str_is_digit(v->s.s[0])) {
		char c = str_lower_char(v->s.s[0]);

		*out = c == 'n' ? TXN_DROP_NONE : c == 'l' ? TXN_DROP_LAST_LEG : TXN_DROP_ALL;
		return c == 'n' || c == 'l' || c == 'a';
	}
	if (!number(v, TXN_DROP_WITH_NEW, &n))
		return false;
	*out = (enum txn_drop)n;
	return true;
}

MODULE_CHECK(check_drop_replies)
{
	enum txn_drop mode;

	if (n == 0 || !arg[0].constant || drop_mode(&arg[0].value, &mode))
		return 0;
	route_error(report, &arg[0].place,
		"replies are dropped by \"a\" (all), \"l\" (of the last t_relay), \"n\" (none), "
		"or as failure_reply_mode");
	return -EINVAL;
}

MODULE_RUN(run_drop_replies)
{
	enum txn_drop mode = TXN_DROP_ALL;
	struct txn_shard *s;
	struct place *t = tm_existing(args->room, ctx, &s);
	struct live *l = t != NULL ? place_live(s, t) : NULL;

	if (l == NULL || (args->n > 0 && !drop_mode(&args->v[0], &mode)))
		return ROUTE_FALSE;
	l->drop = (uint8_t)mode;
	return ROUTE_TRUE;
}

/* ---- questions ---- */

MODULE_RUN(run_is_expired)
{
	struct txn_shard *s;
	struct place *t = tm_existing(args->room, ctx, &s);
	const struct live *l = t != NULL ? place_live(s, t) : NULL;

	return tm_truth(l != NULL && time_is_due(s, l->lifetime_at));
}

MODULE_RUN(run_grep_status)
{
	struct txn_shard *s;
	struct place *t = tm_existing(args->room, ctx, &s);
	uint32_t status;

	if (t == NULL || !number(&args->v[0], 699, &status))
		return ROUTE_FALSE;
	BRANCH_FOREACH (s, t, b) {
		if (b->status == status && branch_is_final(b))
			return ROUTE_TRUE;
	}
	return ROUTE_FALSE;
}

MODULE_CHECK(check_status)
{
	uint32_t status;

	if (!arg[0].constant || (number(&arg[0].value, 699, &status) && status >= 200))
		return 0;
	route_error(report, &arg[0].place, "a final status is a number from 200 to 699");
	return -EINVAL;
}

enum named { NAMED_BRANCH, NAMED_FAILURE, NAMED_REPLY, NAMED_NONE };

static enum named named_of(struct str s)
{
	return str_eq(s, STR("branch_route"))    ? NAMED_BRANCH
	       : str_eq(s, STR("failure_route")) ? NAMED_FAILURE
	       : str_eq(s, STR("onreply_route")) ? NAMED_REPLY
						 : NAMED_NONE;
}

MODULE_CHECK(check_is_set)
{
	if (!arg[0].constant ||
		(arg[0].value.type == ROUTE_STR && named_of(arg[0].value.s) != NAMED_NONE))
		return 0;
	route_error(report, &arg[0].place,
		"this is \"branch_route\", \"failure_route\" or \"onreply_route\"");
	return -EINVAL;
}

MODULE_RUN(run_is_set)
{
	const struct txn_state *state = txn_state(ctx);

	switch (args->v[0].type == ROUTE_STR ? named_of(args->v[0].s) : NAMED_NONE) {
	case NAMED_BRANCH:
		return tm_truth(state->on_branch != 0);
	case NAMED_FAILURE:
		return tm_truth(state->on_failure != 0);
	case NAMED_REPLY:
		return tm_truth(state->on_reply != 0);
	default:
		return ROUTE_FALSE;
	}
}

MODULE_CHECK(check_local_replied)
{
	if (!arg[0].constant ||
		(arg[0].value.type == ROUTE_STR && (str_eq(arg[0].value.s, STR("all")) ||
							   str_eq(arg[0].value.s, STR("last")))))
		return 0;
	route_error(report, &arg[0].place, "this is \"all\" or \"last\"");
	return -EINVAL;
}

/* Whether no branch got a response ("all"), or the last status is ours ("last"): in a failure_route
 * that of the branch that won. */
MODULE_RUN(run_local_replied)
{
	bool all = args->v[0].type == ROUTE_STR && str_eq(args->v[0].s, STR("all"));
	const struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t = tm_existing(args->room, ctx, &s);

	if (t == NULL)
		return ROUTE_FALSE;
	if (all) {
		BRANCH_FOREACH (s, t, b) {
			if ((b->flags & BRANCH_REPLIED) != 0)
				return ROUTE_FALSE;
		}
		return ROUTE_TRUE;
	}
	if ((state->flags & STATE_FAILURE) != 0)
		return tm_truth((state->branch_flags & BRANCH_LOCAL) != 0);
	return tm_truth((t->flags & PLACE_LOCAL) != 0);
}

/* ---- CANCEL ---- */

/* OpenSIPS' letters: none is the branch at hand, "o" the others, "a" all. */
MODULE_RUN(run_cancel_branch)
{
	struct str text = args->n > 0 && args->v[0].type == ROUTE_STR ? args->v[0].s : STR_NONE;
	struct route_value which = {.type = ROUTE_STR,
		.s = str_find(text, 'a') >= 0   ? STR("all")
		     : str_find(text, 'o') >= 0 ? STR("others")
						: STR("this")};
	struct route_args own = *args;

	own.n = 1;
	own.v = &which;
	return tm_cancel_branches(ctx, &own);
}

MODULE_CHECK(check_cancel_branch)
{
	struct str text = n > 0 ? arg[0].value.s : STR_NONE;

	if (n == 0 || !arg[0].constant)
		return 0;
	for (uint32_t i = 0; arg[0].value.type == ROUTE_STR && i < text.len; i++) {
		if (text.s[i] != 'a' && text.s[i] != 'o')
			break;
		if (i + 1 == text.len)
			return 0;
	}
	if (arg[0].value.type == ROUTE_STR && text.len == 0)
		return 0;
	route_error(report, &arg[0].place,
		"this is \"\" (the branch at hand), \"o\" (the others) or \"a\" (all)");
	return -EINVAL;
}

/* As in Kamailio, true where there is nothing to cancel: the script goes on as for an INVITE. */
MODULE_RUN(run_relay_cancel)
{
	int32_t ret = tm_lookup_cancel(ctx, args);

	if (ret == ROUTE_TRUE)
		return tm_relay(ctx, args);
	return ret == ROUTE_FALSE ? ROUTE_TRUE : ret;
}

/* ---- which block ---- */

MODULE_RUN(run_is_request_route)
{
	return tm_truth(ctx->in == ROUTE_IN_REQUEST);
}

MODULE_RUN(run_is_branch_route)
{
	return tm_truth(ctx->in == ROUTE_IN_BRANCH);
}

MODULE_RUN(run_is_failure_route)
{
	return tm_truth(ctx->in == ROUTE_IN_FAILURE);
}

MODULE_RUN(run_is_reply_route)
{
	return tm_truth(ctx->in == ROUTE_IN_REPLY);
}

/* What those servers' transactions need, and ours do not. */
MODULE_RUN(run_nothing_to_do)
{
	return ROUTE_TRUE;
}

/* ---- what is kept ---- */

/* The flags, and all else that is the transaction's own, as they are now. */
MODULE_RUN(run_flush_flags)
{
	struct txn_shard *s;
	struct place *t = tm_existing(args->room, ctx, &s);
	struct live *l = t != NULL ? place_live(s, t) : NULL;
	struct str request;
	uint32_t size, chunk;

	if (l == NULL)
		return ROUTE_FALSE;
	if (t->saved == MEMORY_NONE)
		return ROUTE_TRUE; /* t_relay() keeps them */
	request = str_of(live_text(l), l->text_len);
	size = route_ctx_update_size(ctx, memory_at(&s->memory, t->saved), request);
	if (size == 0)
		return tm_truth(ctx->failure == ROUTE_FAILURE_NONE);
	chunk = memory_get(&s->memory, size);
	if (chunk == MEMORY_NONE)
		return ROUTE_FALSE;
	route_ctx_update(
		ctx, memory_at(&s->memory, t->saved), request, memory_at(&s->memory, chunk));
	memory_put(&s->memory, t->saved);
	t->saved = chunk;
	l->saved_len = size;
	t->flags |= PLACE_SHARED;
	return ROUTE_TRUE;
}

/* Changes of the message that come later are for this t_relay() alone: failure_routes see what
 * stands here. */
MODULE_RUN(run_save_lumps)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;

	if (tm_existing(args->room, ctx, &s) == NULL)
		return ROUTE_FALSE;
	state->lumps = (uint16_t)(ctx->edits.count + 1);
	state->lumps_text = ctx->edits.text_len;
	return ROUTE_TRUE;
}

/* The last reply again; behind t_lookup_request(), which has found the transaction. */
MODULE_RUN(run_retransmit_reply)
{
	struct txn_entry before;
	struct txn_shard *s = txn_enter_function(args->room, ctx, &before);
	struct place *t;

	if (s == NULL)
		return ROUTE_NEEDS_STATE;
	t = txn_current(s, ctx);
	if (t == NULL)
		t = txn_find_request(s, ctx);
	if (t != NULL && t->status != 0)
		txn_server_repeat(s, t, ctx);
	txn_leave(s, before);
	return tm_truth(t != NULL && t->status != 0);
}

/* ---- pseudo-variables ---- */

#define VARIABLE_GET(name) \
	static bool name( \
		struct route_ctx *ctx, const struct route_index *index, struct route_value *out)

static bool give_int(struct route_value *out, int64_t i)
{
	*out = (struct route_value){.type = ROUTE_INT, .i = i};
	return true;
}

static bool give_text(struct route_value *out, struct str s)
{
	*out = (struct route_value){.type = s.len != 0 ? ROUTE_STR : ROUTE_NULL, .s = s};
	return true;
}

/* As Kamailio counts: in a request_route the branches beside the Request-URI, in a failure_route
 * those that were and those to come. */
VARIABLE_GET(get_branch_index)
{
	const struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t = tm_existing(index->room, ctx, &s);
	const struct live *l = t != NULL ? place_live(s, t) : NULL;

	switch (ctx->in) {
	case ROUTE_IN_REQUEST:
		return give_int(out, ctx->branches);
	case ROUTE_IN_FAILURE:
		return give_int(out, (l != NULL ? l->branches : 0) + ctx->branches);
	default:
		return give_int(out, t != NULL ? state->branch : -1);
	}
}

/* Of this response, of the one that won, else of the last one that was sent; 0: of none. */
VARIABLE_GET(get_reply_code)
{
	struct txn_shard *s;
	const struct place *t = tm_existing(index->room, ctx, &s);

	if (ctx->msg.is_response)
		return give_int(out, ctx->msg.status);
	if (ctx->in == ROUTE_IN_FAILURE)
		return give_int(out, txn_state(ctx)->status);
	return give_int(out, t != NULL ? t->status : 0);
}

VARIABLE_GET(get_reply_reason)
{
	if (ctx->msg.is_response)
		return give_text(out, sip_text(ctx->buf, ctx->msg.reason));
	return give_text(out, route_text_str(ctx, ctx->reply_reason));
}

/* The status that the response's branch had before it, or has by it. */
VARIABLE_GET(get_reply_last)
{
	struct txn_shard *s;
	struct place *t = tm_existing(index->room, ctx, &s);
	const struct branch *b = t != NULL && ctx->msg.is_response
					 ? txn_branch_find(s, t, txn_state(ctx)->branch)
					 : NULL;

	if (b == NULL)
		return give_text(out, STR_NONE);
	return give_int(out, b->status != 0 ? b->status : b->provisional);
}

enum part {
	PART_BRANCH_INDEX,
	PART_REPLY_CODE,
	PART_REPLY_REASON,
	PART_REPLY_TYPE,
	PART_ID,
	PARTS
};

static const char *const part_name[PARTS] = {
	"branch_index", "reply_code", "reply_reason", "reply_type", "id_index"};

static bool check_part(struct str *name)
{
	for (unsigned i = 0; i < PARTS; i++) {
		if (str_eq(*name, str_c(part_name[i])))
			return true;
	}
	return false;
}

/* $T(reply_type): 1 where the status is ours, 0 where a branch received it. */
static bool get_reply_type(struct route_ctx *ctx, struct txn *room, struct route_value *out)
{
	struct txn_shard *s;
	const struct place *t = tm_existing(room, ctx, &s);
	const struct txn_state *state = txn_state(ctx);

	if (t == NULL)
		return give_text(out, STR_NONE);
	if (ctx->msg.is_response)
		return give_int(out, 0);
	if (ctx->in == ROUTE_IN_FAILURE)
		return give_int(out, (state->branch_flags & BRANCH_LOCAL) != 0);
	return give_int(out, (t->flags & PLACE_LOCAL) != 0);
}

VARIABLE_GET(get_part)
{
	struct txn_shard *s;
	const struct place *t;
	unsigned i = 0;

	while (i < PARTS && !str_eq(index->name, str_c(part_name[i])))
		i++;
	switch ((enum part)i) {
	case PART_BRANCH_INDEX:
		return get_branch_index(ctx, index, out);
	case PART_REPLY_CODE:
		return get_reply_code(ctx, index, out);
	case PART_REPLY_REASON:
		return get_reply_reason(ctx, index, out);
	case PART_REPLY_TYPE:
		return get_reply_type(ctx, index->room, out);
	default:
		t = tm_existing(index->room, ctx, &s);
		return t != NULL ? give_int(out, place_number(s, t)) : give_text(out, STR_NONE);
	}
}

const struct route_variable txn_variables[] = {
	{.name = "T_branch_idx",
		.get = get_branch_index,
		.help = "number of the branch that a branch_route is of, or the response of an "
			"onreply_route; in failure_route how many there were, and those to come"},
	{.name = "T_reply_code",
		.get = get_reply_code,
		.help = "status of the response; in failure_route of the one that won, else of the "
			"last one that was sent, or 0"},
	{.name = "T_reply_reason",
		.get = get_reply_reason,
		.help = "reason phrase of the response, or of the one that won"},
	{.name = "T_reply_last",
		.get = get_reply_last,
		.help = "onreply_route: the status that its branch had before"},
	{.name = "T",
		.index = ROUTE_INDEX_NAME,
		.get = get_part,
		.check_index = check_part,
		.help = "of the transaction: `branch_index`, `reply_code`, `reply_reason`, "
			"`reply_type` (1: the status is ours), `id_index`"},
	{.name = NULL},
};

/* ---- the table ---- */

#define ANY ROUTE_IN_ANY
#define REQUEST_IN (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE)
#define KNOWING_IN (REQUEST_IN | ROUTE_IN_REPLY | ROUTE_IN_BRANCH)
#define FAST ROUTE_PATH_FAST
#define SLOW ROUTE_PATH_SLOW

#define FN(n, least, most, where, blocks, does, how, ...) \
	{ \
		.name = n, .args_min = least, .args_max = most, .path = where, .in = blocks, \
		.run = does, .usage = how, .help = __VA_ARGS__ \
	}
#define FN_CHECK(checks, n, least, most, where, blocks, does, how, ...) \
	{ \
		.name = n, .args_min = least, .args_max = most, .path = where, .in = blocks, \
		.run = does, .check = checks, .usage = how, .help = __VA_ARGS__ \
	}

const struct route_function txn_more_functions[] = {
	FN_CHECK(check_load_contacts, "t_load_contacts", 0, 1, FAST, REQUEST_IN, run_load_contacts,
		"t_load_contacts()",
		"All targets wait, in the order of their q, for t_next_contacts(); a single one "
		"is left as it is.",
		.rfc = "3261 16.6"),
	FN("t_next_contacts", 0, 0, FAST, REQUEST_IN, run_next_contacts, "t_next_contacts()",
		"The waiting targets with the highest q are what t_relay() forks to, of one "
		"+sip.instance one flow at a time; -2 where none waits.",
		.rfc = "3261 16.6; 5626 5.3"),
	FN_CHECK(check_drop_replies, "t_drop_replies", 0, 1, SLOW, ROUTE_IN_FAILURE,
		run_drop_replies, "t_drop_replies([\"a\" | \"l\" | \"n\"])",
		"Replies so far that count no more behind this failure_route: all, those of the "
		"last t_relay(), none. Takes the place of failure_reply_mode.",
		.rfc = "3261 16.7"),
	FN("t_is_expired", 0, 0, SLOW, KNOWING_IN, run_is_expired, "t_is_expired()",
		"Whether the transaction has lived as long as it may."),
	FN_CHECK(check_status, "t_grep_status", 1, 1, SLOW, KNOWING_IN, run_grep_status,
		"t_grep_status(status)", "Whether a branch has had this final status.",
		.rfc = "3261 16.7"),
	FN_CHECK(check_is_set, "t_is_set", 1, 1, FAST, KNOWING_IN, run_is_set,
		"t_is_set(\"branch_route\" | \"failure_route\" | \"onreply_route\")",
		"Whether such a route is named for the next t_relay()."),
	FN_CHECK(check_local_replied, "t_local_replied", 1, 1, SLOW, KNOWING_IN, run_local_replied,
		"t_local_replied(\"all\" | \"last\")",
		"Whether no branch got any response, or whether the last status was ours.",
		.rfc = "3261 16.8"),
	FN("t_set_disable_internal_reply", 1, 1, FAST, ANY, run_nothing_to_do,
		"t_set_disable_internal_reply(0|1)",
		"True, and nothing to do: what t_relay() failed for is replied where the script "
		"replies nothing."),
	FN("t_use_uac_headers", 0, 0, FAST, ANY, run_nothing_to_do, "t_use_uac_headers()",
		"True, and nothing to do: an ACK or CANCEL of ours is always made from the request "
		"that was sent."),
	FN("t_clean", 0, 0, FAST, ANY, run_nothing_to_do, "t_clean()",
		"True, and nothing to do: transactions end by their timers."),
	FN("t_flush_flags", 0, 0, SLOW, KNOWING_IN, run_flush_flags, "t_flush_flags()",
		"The transaction has the flags and AVPs as they are now."),
	FN("t_save_lumps", 0, 0, SLOW, ROUTE_IN_REQUEST, run_save_lumps, "t_save_lumps()",
		"Changes of the message from here on are for the next t_relay() alone: a "
		"failure_route has it as it is now. Behind t_newtran()."),
	FN("t_retransmit_reply", 0, 0, SLOW, ROUTE_IN_REQUEST, run_retransmit_reply,
		"t_retransmit_reply()", "Sends the last reply again. Behind t_lookup_request().",
		.rfc = "3261 17.2"),
	FN_CHECK(tm_check_replicate, "t_replicate", 0, 2, SLOW, ROUTE_IN_REQUEST, tm_replicate,
		"t_replicate([uri | host, port])",
		"Sends a copy of the request, as it is now, there, or to where it would go itself, "
		"and again where it is not answered; its responses go nowhere. The request itself "
		"goes on without a transaction. Not of INVITE.",
		.rfc = "3261 17.1.2"),
	FN_CHECK(tm_check_replicate, "t_replicate_udp", 2, 2, SLOW, ROUTE_IN_REQUEST, tm_replicate,
		"t_replicate_udp(host, port)", "The same as t_replicate().", .rfc = "3261 17.1.2"),
	FN_CHECK(check_cancel_branch, "t_cancel_branch", 0, 1, SLOW, ROUTE_IN_REPLY,
		run_cancel_branch, "t_cancel_branch([\"\" | \"o\" | \"a\"])",
		"Cancels the branch at hand, the others or all, as OpenSIPS has it.",
		.rfc = "3261 9.1, 16.10"),
	FN("t_relay_cancel", 0, 0, SLOW, ROUTE_IN_REQUEST, run_relay_cancel, "t_relay_cancel()",
		"t_relay() of a CANCEL whose INVITE is here, which ends the script; true where "
		"there is none.",
		.rfc = "3261 16.10"),
	FN("t_is_request_route", 0, 0, FAST, ANY, run_is_request_route, "t_is_request_route()",
		"Whether this runs in request_route."),
	FN("t_is_branch_route", 0, 0, FAST, ANY, run_is_branch_route, "t_is_branch_route()",
		"Whether this runs in a branch_route."),
	FN("t_is_failure_route", 0, 0, FAST, ANY, run_is_failure_route, "t_is_failure_route()",
		"Whether this runs in a failure_route."),
	FN("t_is_reply_route", 0, 0, FAST, ANY, run_is_reply_route, "t_is_reply_route()",
		"Whether this runs in an onreply_route or reply_route."),
	{.name = NULL},
};
