/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of module "tm" that say what the transaction is to do: in the context of the request
 * where there is none yet, and in it where it stands. */
#include "txn/module_tm.h"

/* ---- routes to come ---- */

enum on { ON_FAILURE, ON_BRANCH, ON_REPLY };

/* In a reply's route the transaction's branches are told, which are under way already. */
static void tell_branches(struct txn *room, struct route_ctx *ctx, enum on what, uint16_t block)
{
	struct txn_entry before;
	struct txn_shard *s = txn_enter_function(room, ctx, &before);
	struct place *t = s != NULL ? txn_current(s, ctx) : NULL;

	if (s == NULL)
		return;
	if (t != NULL) {
		BRANCH_FOREACH (s, t, b) {
			if (what == ON_FAILURE)
				b->on_failure = block;
			else if (what == ON_REPLY)
				b->on_reply = block;
		}
	}
	txn_leave(s, before);
}

static int32_t on(struct route_ctx *ctx, const struct route_args *args, enum on what)
{
	static const enum route_in in[] = {ROUTE_IN_FAILURE, ROUTE_IN_BRANCH, ROUTE_IN_REPLY};
	struct txn_state *state = txn_state(ctx);
	const struct route_value *v = &args->v[0];
	char digits[20];
	struct str name = v->type == ROUTE_STR ? v->s : STR_NONE;
	uint32_t block = ROUTE_NO_BLOCK;
	bool none;

	if (v->type == ROUTE_INT && v->i >= 0)
		name = str_of(digits, str_from_u64(digits, (uint64_t)v->i));
	/* 0 and the empty name take back what was said. */
	none = name.len == 0 || (name.len == 1 && name.s[0] == '0');
	block = route_script_block(ctx->script, in[what], name);
	if (block >= UINT16_MAX - 1) {
		if (!none)
			return ROUTE_FALSE;
		block = UINT32_MAX; /* plus one: none */
	}
	if (what == ON_FAILURE)
		state->on_failure = (uint16_t)(block + 1);
	else if (what == ON_BRANCH)
		state->on_branch = (uint16_t)(block + 1);
	else
		state->on_reply = (uint16_t)(block + 1);
	if (ctx->msg.is_response)
		tell_branches(args->room, ctx, what, (uint16_t)(block + 1));
	return ROUTE_TRUE;
}

TM_RUN(tm_on_failure)
{
	return on(ctx, args, ON_FAILURE);
}

TM_RUN(tm_on_branch)
{
	return on(ctx, args, ON_BRANCH);
}

TM_RUN(tm_on_reply)
{
	return on(ctx, args, ON_REPLY);
}

/* ---- settings ---- */

/* Branches under way end then, counted from now. `asked`: not as AVPs say, from here on. */
static void change_fr(
	struct txn_shard *s, struct place *t, uint32_t fr, uint32_t fr_inv, bool asked)
{
	struct live *l = place_live(s, t);

	if (l == NULL || server_is_final(t))
		return;
	l->asked |= (uint8_t)((fr != 0 ? TXN_ASKED_FR : 0) | (fr_inv != 0 ? TXN_ASKED_FR_INV : 0));
	if (!asked)
		l->asked = 0;
	if (fr != 0)
		l->fr = fr;
	if (fr_inv != 0)
		l->fr_inv = fr_inv;
	BRANCH_FOREACH (s, t, b) {
		uint32_t ms =
			b->state == BRANCH_CALLING || t->method != SIP_METHOD_INVITE ? fr : fr_inv;

		/* end_at 0: it is held, its time begins when it leaves. */
		if (ms == 0 || branch_is_final(b) || b->cancel >= CANCEL_SENT || b->waits != 0 ||
			b->end_at == 0)
			continue;
		b->end_at = time_in(s, ms);
		txn_timer_set(s, t, b->end_at);
	}
}

TM_RUN(tm_set_fr)
{
	struct txn_state *state = txn_state(ctx);
	int64_t fr_inv = 0, fr = 0;
	struct txn_shard *s;
	struct place *t;

	if (!tm_number(&args->v[0], TXN_LIFETIME_MAX, &fr_inv) ||
		(args->n > 1 && !tm_number(&args->v[1], TXN_LIFETIME_MAX, &fr)))
		return ROUTE_FALSE;
	if (fr_inv != 0)
		state->fr_inv = (uint32_t)fr_inv;
	if (fr != 0)
		state->fr = (uint32_t)fr;
	t = tm_existing(args->room, ctx, &s);
	if (t != NULL)
		change_fr(s, t, (uint32_t)fr, (uint32_t)fr_inv, true);
	return ROUTE_TRUE;
}

TM_RUN(tm_reset_fr)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t = tm_existing(args->room, ctx, &s);

	state->fr = state->fr_inv = 0;
	if (t != NULL)
		change_fr(s, t, (uint32_t)t->config->fr_timer, (uint32_t)t->config->fr_inv_timer,
			false);
	return ROUTE_TRUE;
}

TM_RUN(tm_set_retr)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t;
	int64_t t1, t2;

	if (!tm_number(&args->v[0], 60000, &t1) || !tm_number(&args->v[1], 60000, &t2))
		return ROUTE_FALSE;
	if (t1 != 0)
		state->t1 = (uint16_t)t1;
	if (t2 != 0)
		state->t2 = (uint16_t)t2;
	t = tm_existing(args->room, ctx, &s);
	if (t != NULL && t1 != 0)
		t->t1 = state->t1;
	if (t != NULL && t2 != 0)
		t->t2 = state->t2;
	return ROUTE_TRUE;
}

TM_RUN(tm_reset_retr)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t = tm_existing(args->room, ctx, &s);

	state->t1 = state->t2 = 0;
	if (t != NULL) {
		t->t1 = (uint16_t)t->config->retr_timer1;
		t->t2 = (uint16_t)t->config->retr_timer2;
	}
	return ROUTE_TRUE;
}

static void change_lifetime(struct txn_shard *s, struct place *t, uint32_t ms)
{
	struct live *l = place_live(s, t);

	if (l == NULL || ms == 0)
		return;
	l->lifetime_at = time_in(s, ms);
	txn_timer_set(s, t, l->lifetime_at);
}

TM_RUN(tm_set_max_lifetime)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t;
	int64_t inv, other;

	if (!tm_number(&args->v[0], TXN_LIFETIME_MAX, &inv) ||
		!tm_number(&args->v[1], TXN_LIFETIME_MAX, &other))
		return ROUTE_FALSE;
	if (inv != 0)
		state->lifetime_inv = (uint32_t)inv;
	if (other != 0)
		state->lifetime_other = (uint32_t)other;
	t = tm_existing(args->room, ctx, &s);
	if (t != NULL)
		change_lifetime(s, t, (uint32_t)(t->method == SIP_METHOD_INVITE ? inv : other));
	return ROUTE_TRUE;
}

TM_RUN(tm_reset_max_lifetime)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t = tm_existing(args->room, ctx, &s);

	state->lifetime_inv = state->lifetime_other = 0;
	if (t != NULL)
		change_lifetime(s, t,
			(uint32_t)(t->method == SIP_METHOD_INVITE
					   ? t->config->max_inv_lifetime
					   : t->config->max_noninv_lifetime));
	return ROUTE_TRUE;
}

/* A setting that is on or off: a flag of the context, and of a transaction that stands. */
static int32_t set_flag(struct route_ctx *ctx, const struct route_args *args, uint16_t set,
	uint16_t unset, uint16_t of_place)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t;
	int64_t yes;

	if (!tm_number(&args->v[0], INT32_MAX, &yes))
		return ROUTE_FALSE;
	state->flags &= (uint16_t) ~(set | unset);
	state->flags |= yes != 0 ? set : unset;
	t = of_place != 0 ? tm_existing(args->room, ctx, &s) : NULL;
	if (t != NULL)
		t->flags = (uint16_t)((t->flags & ~of_place) | (yes != 0 ? of_place : 0));
	return ROUTE_TRUE;
}

TM_RUN(tm_set_auto_inv_100)
{
	return set_flag(ctx, args, STATE_WANT_100, STATE_NO_100, 0);
}

TM_RUN(tm_set_disable_6xx)
{
	return set_flag(ctx, args, STATE_NO_6XX, STATE_WANT_6XX, PLACE_NO_6XX);
}

TM_RUN(tm_set_disable_failover)
{
	return set_flag(ctx, args, STATE_NO_FAILOVER, 0, PLACE_NO_FAILOVER);
}

TM_RUN(tm_set_no_e2e_cancel_reason)
{
	return set_flag(ctx, args, STATE_NO_REASON, STATE_WANT_REASON, PLACE_NO_REASON);
}
