/* SPDX-License-Identifier: BSD-3-Clause */
/* t_relay(): a transaction where there is none, and its branches (RFC 3261 16.6, RFC 5393, RFC 3263
 * 4.3). */
#include <string.h>

#include "txn/internal.h"

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

/* ---- targets ---- */

/* The fields that make one branch another than the next. */
struct target {
	struct route_text uri, du, path, instance;
	struct route_target du_target;
	int16_t socket;
	uint16_t q;
	uint32_t flags, reg_id;
};

static void target_get(const struct route_ctx *ctx, struct target *out)
{
	*out = (struct target){.uri = ctx->uri,
		.du = ctx->du,
		.path = ctx->path,
		.instance = ctx->instance,
		.du_target = ctx->du_target,
		.socket = ctx->socket,
		.q = ctx->q,
		.flags = ctx->branch_flags,
		.reg_id = ctx->reg_id};
}

static void target_set(struct route_ctx *ctx, const struct target *to)
{
	ctx->uri = to->uri;
	ctx->du = to->du;
	ctx->path = to->path;
	ctx->instance = to->instance;
	ctx->du_target = to->du_target;
	ctx->socket = to->socket;
	ctx->q = to->q;
	ctx->branch_flags = to->flags;
	ctx->reg_id = to->reg_id;
}

/* Slot 0 is the Request-URI's own. `du`: what all of them go to instead. */
static void slot_set(
	struct route_ctx *ctx, const struct target *own, unsigned slot, struct route_text du)
{
	if (slot == 0) {
		target_set(ctx, own);
	} else {
		const struct route_branch *b = &ctx->branch[slot - 1];

		target_set(ctx, &(struct target){.uri = b->uri,
					.du = b->du,
					.path = b->path,
					.instance = b->instance,
					.du_target = b->du_target,
					.socket = b->socket,
					.q = b->q,
					.flags = b->flags,
					.reg_id = b->reg_id});
	}
	if (du.len != 0) {
		ctx->du = du;
		ctx->du_target.valid = false;
	}
}

/* ---- sending ---- */

struct relay {
	struct txn_shard *s;
	struct place *t;
	struct route_ctx *ctx;
	struct target own;
	struct route_text du;
	unsigned first, slots; /* slots [first, slots) become branches */
	unsigned on_branch;    /* block plus one */
	unsigned breadth;      /* of each */
	unsigned spare;        /* the first so many get one more */
	unsigned sent;
	uint16_t status;          /* of the first one that failed */
	struct route_text reason; /* of the same, where its next hop was refused */
};

/* The next hop of the slot that is set: ROUTE_TRUE, ROUTE_PENDING, or it failed. */
static int32_t next_hop(struct relay *r, unsigned nth)
{
	struct route_ctx *ctx = r->ctx;
	int32_t ret;

	proxy_target_reset(ctx);
	ret = proxy_next_hop(r->s->t->proxy, ctx, nth);
	if (ret != ROUTE_TRUE && ret != ROUTE_PENDING && r->status == 0) {
		r->status = ctx->result.reply ? ctx->result.status : 500;
		r->reason = ctx->result.reply ? ctx->result.reason : ROUTE_TEXT_NONE;
	}
	return ret;
}

/* One branch; what it changes in ctx is undone. ROUTE_PENDING: nothing was sent. */
static int32_t send_slot(struct relay *r, unsigned slot, unsigned nth)
{
	struct route_ctx *ctx = r->ctx;
	struct live *l = place_live(r->s, r->t);
	struct txn_state *state = txn_state(ctx), before = *state;
	uint16_t edits = ctx->edits.count, edits_text = ctx->edits.text_len;
	bool overflow = ctx->edits.overflow;
	uint8_t proxy[ROUTE_SCRATCH_BYTES];
	enum txn_ran ran = TXN_RAN;
	int32_t ret = ROUTE_FALSE;
	int status = 0;

	/* record_route() and its like in a branch_route are of its branch. */
	memcpy(proxy, ctx->scratch[ROUTE_SCRATCH_PROXY], sizeof(proxy));
	slot_set(ctx, &r->own, slot, r->du);
	if (r->on_branch != 0)
		ran = txn_route_branch(r->s, ctx, r->on_branch - 1, l->branches);
	if (ran == TXN_RAN_WAITS)
		ret = ROUTE_PENDING;
	else if (ran == TXN_RAN)
		ret = next_hop(r, nth);
	if (ret == ROUTE_TRUE) {
		unsigned breadth = r->breadth + (r->spare != 0);

		if (r->spare != 0)
			r->spare--;
		status = txn_branch_send(r->s, r->t, ctx, slot, nth, breadth);
		if (status == 0)
			r->sent++;
		else if (r->status == 0)
			r->status = (uint16_t)status;
	}
	proxy_target_reset(ctx);
	if (r->on_branch != 0)
		memcpy(ctx->scratch[ROUTE_SCRATCH_PROXY], proxy, sizeof(proxy));
	ctx->edits.count = edits;
	ctx->edits.text_len = edits_text;
	ctx->edits.overflow = overflow;
	state->on_reply = before.on_reply;
	state->on_failure = before.on_failure;
	state->branch = before.branch;
	target_set(ctx, &r->own);
	return ret;
}

/* Whether all next hops are known: nothing is sent before. Where there is one only, its sending
 * finds out. */
static bool all_known(struct relay *r)
{
	bool known = true;

	for (unsigned slot = r->first; known && r->slots - r->first > 1 && slot < r->slots;
		slot++) {
		slot_set(r->ctx, &r->own, slot, r->du);
		known = next_hop(r, 0) != ROUTE_PENDING;
		proxy_target_reset(r->ctx);
	}
	target_set(r->ctx, &r->own);
	r->status = 0;
	r->reason = ROUTE_TEXT_NONE;
	return known;
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

static int32_t send_all(struct relay *r)
{
	struct route_ctx *ctx = r->ctx;
	struct live *l = place_live(r->s, r->t);
	unsigned first = l->branches;
	int32_t ret;

	for (unsigned slot = r->first; slot < r->slots; slot++) {
		ret = send_slot(r, slot, 0);
		if (ret == ROUTE_PENDING) {
			if (r->sent == 0)
				return ROUTE_PENDING;
			if (r->status == 0)
				r->status = 478; /* its branch_route named another host */
		}
	}
	if (r->sent != 0) {
		l->last_leg = l->leg;
		l->leg = (uint8_t)first;
		l->leg_slots = ctx->branches;
		l->leg_on_branch = (uint16_t)r->on_branch;
	}
	return ROUTE_TRUE;
}

static int32_t relay_in(struct txn_shard *s, struct place *t, struct route_ctx *ctx, struct str du)
{
	struct txn_state *state = txn_state(ctx);
	struct relay r = {.s = s,
		.t = t,
		.ctx = ctx,
		.on_branch = state->on_branch,
		.reason = ROUTE_TEXT_NONE};
	const struct live *l = place_live(s, t);
	uint16_t status;

	if (server_is_final(t))
		return ROUTE_FALSE;
	if ((t->flags & PLACE_CANCELLED) != 0)
		return refuse(ctx, 487, STR_NONE);
	/* A failure_route at the end of its lifetime: nobody waits for what it would try. */
	if (l == NULL || l->lifetime_at == 0 || time_is_due(s, l->lifetime_at))
		return refuse(ctx, 408, STR_NONE);
	r.first = ctx->uri_spent ? 1 : 0;
	r.slots = ctx->branches + 1u;
	if (r.first >= r.slots)
		return refuse(ctx, 500, STR("No Branches To Forward To"));
	if (du.len != 0) {
		r.du = route_text_keep(ctx, du);
		if (r.du.space == ROUTE_SPACE_NONE)
			return refuse(ctx, 500, STR_NONE);
	}
	if (state->lumps == 0) {
		state->lumps = (uint16_t)(ctx->edits.count + 1);
		state->lumps_text = ctx->edits.text_len;
	}
	target_get(ctx, &r.own);
	send_trying(s, t, state);
	status = may_fork(&r);
	if (status != 0)
		return refuse(ctx, status, status == 440 ? STR("Max-Breadth Exceeded") : STR_NONE);
	if (!all_known(&r) || send_all(&r) == ROUTE_PENDING) {
		/* A CANCEL may come before the name is known. */
		txn_place_save(s, t, ctx);
		return ROUTE_PENDING;
	}
	ctx->branches = 0;
	ctx->uri_spent = true;
	if (r.sent == 0)
		return refuse(ctx, r.status != 0 ? r.status : 500, route_text_str(ctx, r.reason));
	ctx->result.reply = false;
	state->on_branch = 0;
	return ROUTE_TRUE;
}

int32_t txn_relay(struct txn *room, struct route_ctx *ctx, struct str du)
{
	struct txn_entry before;
	struct txn_shard *s;
	struct place *t;
	int32_t ret;

	if (ctx->msg.method == SIP_METHOD_ACK)
		return relay_stateless(room, ctx, du);
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

/* ---- another address of the same name ---- */

bool txn_relay_failover(struct txn_shard *s, struct place *t, struct branch *b)
{
	struct live *l = place_live(s, t);
	struct relay r = {.s = s, .t = t, .status = 500, .reason = ROUTE_TEXT_NONE};
	unsigned before;

	if ((t->flags & (PLACE_NO_FAILOVER | PLACE_CANCELLED | PLACE_6XX_SEEN | PLACE_BUSY)) != 0 ||
		l == NULL || b->number < l->leg || l->branches >= TXN_BRANCHES_MAX ||
		b->nth == UINT8_MAX || server_is_final(t))
		return false;
	r.ctx = txn_place_request(s, t);
	if (r.ctx == NULL)
		return false;
	before = r.ctx->branches;
	if (b->slot > l->leg_slots)
		return false;
	r.ctx->branches = l->leg_slots;
	r.on_branch = l->leg_on_branch;
	r.breadth = b->breadth;
	target_get(r.ctx, &r.own);
	send_slot(&r, b->slot, b->nth + 1u);
	r.ctx->branches = (uint8_t)before;
	if (r.sent == 0)
		return false;
	/* It is the same branch of the response context, elsewhere. */
	b->flags |= BRANCH_DROPPED;
	if (!branch_is_final(b))
		b->status = 408;
	txn_branch_drop_reply(s, b);
	shard_count(s, TXN_COUNTER_FAILED_OVER);
	return true;
}
