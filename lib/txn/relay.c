/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * t_relay(): a transaction where there is none, and its branches (RFC 3261 16.6, RFC 5393).
 *
 * Nothing is sent before all next hops are known. A branch_route has effects and may name another
 * host, so the branches that have one are made one after the other and held until the last one is;
 * where one has to wait for its name, t_relay() goes on with that one (struct txn_plan). What
 * never left is forgotten when the client hangs up. A name that does not come is one that there is
 * not: the other branches leave.
 */
#include "txn/relay.h"

/* ---- the transaction ---- */

enum txn_begin txn_relay_begin(struct txn_shard *s, struct route_ctx *ctx, struct place **out)
{
	struct txn_state *state = txn_state(ctx);
	struct place *t = txn_current(s, ctx);

	*out = t;
	if (t != NULL)
		return TXN_BEGIN_HAVE;
	if (state->place != 0)
		return TXN_BEGIN_ABSORBED; /* it had one, which is over: its client has heard */
	t = txn_find_request(s, ctx);
	if (t != NULL) {
		/* It came while the first one was on its way. */
		txn_server_take(s, t, ctx);
		state->flags |= STATE_ABSORBED;
		return TXN_BEGIN_ABSORBED;
	}
	t = txn_place_create(s, ctx);
	*out = t;
	return t != NULL ? TXN_BEGIN_NEW : TXN_BEGIN_REFUSED;
}

static void send_trying(struct txn_shard *s, struct place *t, const struct txn_state *state)
{
	bool wanted = t->config->auto_inv_100 != 0;

	if ((state->flags & STATE_NO_100) != 0)
		wanted = false;
	if ((state->flags & STATE_WANT_100) != 0)
		wanted = true;
	if (t->method == SIP_METHOD_INVITE && wanted && t->status == 0)
		txn_server_reply(s, t, 100, str_c(t->config->auto_inv_100_reason));
}

/* ---- bounds on forking (RFC 5393) ---- */

static unsigned breadth_in(const struct route_ctx *ctx)
{
	uint32_t value = TXN_BREADTH;

	if (sip_msg_has(&ctx->msg, SIP_HEADER_MAX_BREADTH) &&
		(str_to_u32(sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_MAX_BREADTH)),
			 UINT32_MAX, &value) != 0 ||
			value > TXN_BREADTH))
		value = TXN_BREADTH;
	return value;
}

/* The status that refuses the fork, 0: none. */
static uint16_t may_fork(struct relay *r)
{
	struct live *l = place_live(r->s, r->t);
	unsigned wanted = r->slots - r->first, left = breadth_in(r->ctx);

	if (l->branches + wanted > TXN_BRANCHES_MAX)
		return 500;
	/* 5.3.3.1: what failed has given its share back. */
	BRANCH_FOREACH (r->s, r->t, b) {
		if (!branch_is_final(b))
			left = left > b->breadth ? left - b->breadth : 0;
	}
	if (wanted > left) {
		shard_count(r->s, TXN_COUNTER_LOOPS);
		return 440;
	}
	r->breadth = left / wanted;
	r->spare = left % wanted;
	if (l->branches + wanted > 1 && proxy_is_loop(r->s->t->proxy, r->ctx)) {
		shard_count(r->s, TXN_COUNTER_LOOPS);
		return 482;
	}
	return 0;
}

/* ---- t_relay() ---- */

/* What its sender hears unless the script says something else. The value is minus the status. */
static int32_t refuse(struct route_ctx *ctx, uint16_t status, struct str reason)
{
	if (!ctx->result.reply || ctx->result.status != status)
		proxy_reply_set(ctx, status, reason);
	return -(int32_t)status;
}

/* 16.10, 16.11: without a transaction. */
static int32_t relay_stateless(struct txn *t, struct route_ctx *ctx, struct str du)
{
	if (du.len != 0) {
		ctx->du = route_text_keep(ctx, du);
		ctx->du_target.valid = false;
		if (ctx->du.space == ROUTE_SPACE_NONE)
			return ROUTE_FALSE;
	}
	if (ctx->result.forward)
		return ROUTE_FALSE;
	return proxy_next_hop(t->proxy, ctx, 0);
}

static int32_t relay_cancel(
	struct txn *t, struct txn_shard *s, struct route_ctx *ctx, struct str du)
{
	const struct tm_config *config = route_script_module_config(ctx->script, "tm");
	struct place *invite = txn_find_request(s, ctx);

	if (invite != NULL) {
		txn_server_take(s, invite, ctx);
		txn_state(ctx)->flags |= STATE_ABSORBED;
		return ROUTE_EXIT;
	}
	if (config->unmatched_cancel == TXN_CANCEL_DROP) {
		txn_state(ctx)->flags |= STATE_DROPPED;
		return ROUTE_EXIT;
	}
	return relay_stateless(t, ctx, du);
}

/* All branches that were held leave. */
static void release(struct relay *r, unsigned first)
{
	unsigned end = place_live(r->s, r->t)->branches;

	for (unsigned n = first; r->hold && n < end; n++) {
		struct branch *b = txn_branch_find(r->s, r->t, n);

		if (b != NULL && !branch_is_final(b))
			txn_branch_release(r->s, r->t, b);
	}
}

/* The slot's name has to be asked for: the next call goes on there. */
static int32_t wait_at(struct relay *r, unsigned slot, unsigned first)
{
	txn_state(r->ctx)->plan = (struct txn_plan){.slot = (uint8_t)(slot + 1),
		.first = (uint8_t)first,
		.sent = (uint8_t)r->sent,
		.breadth = (uint16_t)r->breadth,
		.spare = (uint16_t)r->spare,
		.status = r->status,
		.reason = r->reason,
		.du = r->du};
	return ROUTE_PENDING;
}

/* Slots `from` and on; the first branch of all is number `first`. `last`: there is no later call.
 */
static int32_t send_all(struct relay *r, unsigned from, unsigned first, bool last)
{
	struct route_ctx *ctx = r->ctx;
	struct live *l = place_live(r->s, r->t);

	for (unsigned slot = from; slot < r->slots; slot++) {
		if (relay_slot(r, slot, 0) != ROUTE_PENDING)
			continue;
		if (!last)
			return wait_at(r, slot, first);
		if (r->status == 0)
			r->status = 478;
	}
	release(r, first);
	if (r->sent != 0) {
		l->last_leg = l->leg;
		l->leg = (uint8_t)first;
		l->leg_slots = ctx->branches;
		l->leg_on_branch = (uint16_t)r->on_branch;
		txn_state(ctx)->plan.du = r->du;
	}
	txn_state(ctx)->plan.slot = 0;
	ctx->branches = 0;
	ctx->uri_spent = true;
	return ROUTE_TRUE;
}

/* What a call begins with, the first one and those that go on. */
static void relay_init(struct relay *r, struct txn_shard *s, struct place *t, struct route_ctx *ctx)
{
	const struct txn_state *state = txn_state(ctx);
	const struct txn_plan *plan = &state->plan;

	*r = (struct relay){.s = s,
		.t = t,
		.ctx = ctx,
		.first = ctx->uri_spent ? 1 : 0,
		.slots = ctx->branches + 1u,
		.on_branch = state->on_branch,
		.reason = ROUTE_TEXT_NONE};
	r->hold = r->on_branch != 0 && r->slots > r->first + 1;
	relay_target_get(ctx, &r->own);
	if (plan->slot == 0)
		return;
	r->resumes = plan->slot;
	r->sent = plan->sent;
	r->breadth = plan->breadth;
	r->spare = plan->spare;
	r->status = plan->status;
	r->reason = plan->reason;
	r->du = plan->du;
}

/* 0, or the status that refuses it. */
static uint16_t relay_begin(struct relay *r, struct str du, struct str *reason)
{
	struct route_ctx *ctx = r->ctx;
	struct txn_state *state = txn_state(ctx);
	uint16_t status;

	if (r->first >= r->slots) {
		*reason = STR("No Branches To Forward To");
		return 500;
	}
	if (du.len != 0) {
		r->du = route_text_keep(ctx, du);
		if (r->du.space == ROUTE_SPACE_NONE)
			return 500;
	}
	if (state->lumps == 0) {
		state->lumps = (uint16_t)(ctx->edits.count + 1);
		state->lumps_text = ctx->edits.text_len;
	}
	send_trying(r->s, r->t, state);
	status = may_fork(r);
	if (status == 440)
		*reason = STR("Max-Breadth Exceeded");
	return status;
}

/* Its time is over: the branches that were held never leave. */
static int32_t relay_too_late(struct relay *r)
{
	struct txn_plan *plan = &txn_state(r->ctx)->plan;

	BRANCH_FOREACH (r->s, r->t, b) {
		if (plan->slot != 0 && b->number >= plan->first && !branch_is_final(b)) {
			txn_branch_forget(b);
			txn_branch_fail(b, 408, BRANCH_TIMEOUT);
		}
	}
	plan->slot = 0;
	return refuse(r->ctx, 408, STR_NONE);
}

static int32_t relay_in(struct txn_shard *s, struct place *t, struct route_ctx *ctx, struct str du)
{
	struct txn_state *state = txn_state(ctx);
	const struct live *l = place_live(s, t);
	struct str reason = STR_NONE;
	unsigned from, first;
	struct relay r;
	uint16_t status;

	if (server_is_final(t))
		return ROUTE_FALSE;
	if ((t->flags & PLACE_CANCELLED) != 0)
		return refuse(ctx, 487, STR_NONE);
	relay_init(&r, s, t, ctx);
	/* A failure_route at the end of its lifetime: nobody waits for what it would try. */
	if (l == NULL || l->lifetime_at == 0 || time_is_due(s, l->lifetime_at))
		return relay_too_late(&r);
	from = r.hold && r.resumes != 0 ? r.resumes - 1 : r.first;
	first = r.resumes != 0 ? state->plan.first : l->branches;
	if (r.resumes == 0) {
		status = relay_begin(&r, du, &reason);
		if (status != 0)
			return refuse(ctx, status, reason);
	}
	/* Where there is one only, its sending finds out. */
	if (r.on_branch == 0 && r.slots > r.first + 1 && !relay_all_known(&r))
		wait_at(&r, r.first, first);
	else
		send_all(&r, from, first, false);
	if (state->plan.slot != 0) {
		/* A CANCEL may come before the name is known. */
		txn_place_save(s, t, ctx);
		return ROUTE_PENDING;
	}
	if (r.sent == 0)
		return refuse(ctx, r.status != 0 ? r.status : 500, route_text_str(ctx, r.reason));
	ctx->result.reply = false;
	state->on_branch = 0;
	return ROUTE_TRUE;
}

void txn_relay_without(struct txn_shard *s, struct place *t, struct route_ctx *ctx)
{
	struct txn_state *state = txn_state(ctx);
	struct relay r;

	if (state->plan.slot == 0)
		return;
	relay_init(&r, s, t, ctx);
	if (!server_is_final(t) && (t->flags & PLACE_CANCELLED) == 0 && place_live(s, t) != NULL)
		send_all(&r, r.hold ? r.resumes - 1 : r.first, state->plan.first, true);
	state->plan.slot = 0;
	if (r.sent != 0)
		state->on_branch = 0;
}

static int32_t relay_ack(struct txn *t, struct route_ctx *ctx, struct str du)
{
	bool told = txn_ack_has_to_be_told(t, ctx);
	int32_t ret;

	if (told && !ctx->thread->has_state)
		return ROUTE_NEEDS_STATE;
	ret = relay_stateless(t, ctx, du);
	if (told && ret == ROUTE_TRUE)
		txn_tell_ack(t, ctx);
	return ret;
}

int32_t txn_relay(struct txn *room, struct route_ctx *ctx, struct str du)
{
	struct txn_entry before;
	struct txn_shard *s;
	struct place *t;
	int32_t ret;

	if (ctx->msg.method == SIP_METHOD_ACK)
		return relay_ack(room, ctx, du);
	s = txn_enter_function(room, ctx, &before);
	if (s == NULL)
		return ROUTE_NEEDS_STATE;
	if (ctx->msg.method == SIP_METHOD_CANCEL) {
		ret = relay_cancel(room, s, ctx, du);
		txn_leave(s, before);
		return ret;
	}
	switch (txn_relay_begin(s, ctx, &t)) {
	case TXN_BEGIN_ABSORBED:
		ret = ROUTE_EXIT;
		break;
	case TXN_BEGIN_REFUSED:
		ret = refuse(ctx, 503, STR_NONE);
		break;
	default:
		ret = relay_in(s, t, ctx, du);
		break;
	}
	txn_leave(s, before);
	return ret;
}
