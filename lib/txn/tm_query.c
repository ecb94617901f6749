/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of module "tm" that ask what has happened. */
#include "route/variable.h"
#include "txn/module_tm.h"

/* ---- what has happened ---- */

static int32_t place_has(struct route_ctx *ctx, const struct route_args *args, uint16_t flag)
{
	struct txn_entry before;
	struct txn_shard *s = txn_enter_function(args->room, ctx, &before);
	const struct place *t;
	bool yes;

	if (s == NULL)
		return ROUTE_NEEDS_STATE;
	t = txn_current(s, ctx);
	yes = t != NULL && (t->flags & flag) != 0;
	txn_leave(s, before);
	return tm_truth(yes);
}

TM_RUN(tm_is_canceled)
{
	return place_has(ctx, args, PLACE_CANCELLED);
}

TM_RUN(tm_any_timeout)
{
	return place_has(ctx, args, PLACE_ANY_TIMEOUT);
}

TM_RUN(tm_any_replied)
{
	return place_has(ctx, args, PLACE_ANY_REPLIED);
}

TM_RUN(tm_branch_timeout)
{
	return tm_truth((txn_state(ctx)->branch_flags & BRANCH_TIMEOUT) != 0);
}

TM_RUN(tm_branch_replied)
{
	return tm_truth((txn_state(ctx)->branch_flags & BRANCH_REPLIED) != 0);
}

/* The status that t_check_status() is about; 0: none. */
static uint16_t status_of(struct txn *room, struct route_ctx *ctx)
{
	struct txn_shard *s;
	const struct place *t;

	if (ctx->msg.is_response)
		return ctx->msg.status;
	if ((txn_state(ctx)->flags & STATE_FAILURE) != 0)
		return txn_state(ctx)->status;
	t = tm_existing(room, ctx, &s);
	return t != NULL ? t->status : 0;
}

TM_RUN(tm_check_status)
{
	char digits[20];
	uint16_t status;

	if (!ctx->thread->has_state && !ctx->msg.is_response)
		return ROUTE_NEEDS_STATE;
	status = status_of(args->room, ctx);
	return tm_truth(
		status != 0 && route_regex_match(ctx, args->data,
				       str_of(digits, str_from_u64(digits, status)), NULL, 0) > 0);
}

TM_CHECK(tm_check_check_status)
{
	char error[128], digits[24];
	struct str pattern = arg[0].value.s;

	if (!arg[0].constant) {
		route_error(report, &arg[0].place, "the expression has to be a constant");
		return -EINVAL;
	}
	if (arg[0].value.type == ROUTE_INT)
		pattern = str_of(digits, str_from_u64(digits, (uint64_t)arg[0].value.i));
	*data = route_regex_compile(pattern, true, error, sizeof(error));
	if (*data == NULL) {
		route_error(report, &arg[0].place, "%s", error);
		return -EINVAL;
	}
	return 0;
}

void tm_free_regex(void *data)
{
	route_regex_free(data);
}

TM_RUN(tm_get_status_code)
{
	uint16_t status;

	if (!ctx->thread->has_state && !ctx->msg.is_response)
		return ROUTE_NEEDS_STATE;
	status = status_of(args->room, ctx);
	return status != 0 ? status : ROUTE_FALSE;
}

TM_RUN(tm_cancel_branches)
{
	struct str which = args->v[0].type == ROUTE_STR ? args->v[0].s : STR_NONE;
	bool all = str_ieq(which, STR("all")), others = str_ieq(which, STR("others"));
	struct txn_entry before;
	struct txn_shard *s = txn_enter_function(args->room, ctx, &before);
	struct place *t;

	if (s == NULL)
		return ROUTE_NEEDS_STATE;
	t = txn_current(s, ctx);
	if (t != NULL) {
		BRANCH_FOREACH (s, t, b) {
			bool this = b->number == txn_state(ctx)->branch;

			if (!branch_is_final(b) && (all || this != others))
				txn_cancel_branch(s, t, b, 0, STR_NONE);
		}
	}
	txn_leave(s, before);
	return tm_truth(t != NULL);
}
