/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One branch of t_relay(): its target, its branch_route, its next hop (RFC 3261 16.6).
 *
 * A branch_route has effects, so it runs once for each branch. Where the host that it names is not
 * known yet, what it changed of the message and the target is packed, and put back when t_relay()
 * is called again; without memory for that it runs again. AVPs, flags and variables stand in the
 * context, which waits as it is.
 */
#include <string.h>

#include "txn/relay.h"

/* What a branch_route made of its branch. Behind it: edits, their text. */
struct halfway {
	struct target target;
	uint8_t proxy[ROUTE_SCRATCH_BYTES];
	uint16_t on_reply, on_failure;
	uint16_t edits, edits_text;
	bool overflow;
};

/* What a branch changes of the context, as it was before. */
struct before {
	uint8_t proxy[ROUTE_SCRATCH_BYTES]; /* where there is a branch_route */
	uint16_t on_reply, on_failure;
	uint8_t branch;
	uint16_t edits, edits_text;
	bool overflow;
};

/* ---- targets ---- */

void relay_target_get(const struct route_ctx *ctx, struct target *out)
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

/* Slot 0 is the Request-URI's own. */
static void slot_set(struct relay *r, unsigned slot)
{
	struct route_ctx *ctx = r->ctx;

	if (slot == 0) {
		target_set(ctx, &r->own);
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
	if (r->du.len != 0) {
		ctx->du = r->du;
		ctx->du_target.valid = false;
	}
}

/* ---- what a branch_route did ---- */

static void keep_halfway(struct relay *r, const struct before *before)
{
	const struct route_ctx *ctx = r->ctx;
	const struct txn_state *state = txn_state(r->ctx);
	struct live *l = place_live(r->s, r->t);
	struct halfway h = {.on_reply = state->on_reply,
		.on_failure = state->on_failure,
		.edits = (uint16_t)(ctx->edits.count - before->edits),
		.edits_text = (uint16_t)(ctx->edits.text_len - before->edits_text),
		.overflow = ctx->edits.overflow};
	size_t edits = h.edits * sizeof(ctx->edits.edit[0]);
	uint32_t chunk;
	char *out;

	/* Of a t_relay() that was given up while it waited. */
	if (l->halfway != MEMORY_NONE)
		memory_put(&r->s->memory, l->halfway);
	l->halfway = chunk = memory_get(&r->s->memory, sizeof(h) + edits + h.edits_text);
	if (chunk == MEMORY_NONE)
		return;
	relay_target_get(ctx, &h.target);
	memcpy(h.proxy, ctx->scratch[ROUTE_SCRATCH_PROXY], sizeof(h.proxy));
	out = memory_at(&r->s->memory, chunk);
	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), &ctx->edits.edit[before->edits], edits);
	memcpy(out + sizeof(h) + edits, ctx->edits.text + before->edits_text, h.edits_text);
}

/* False: there is nothing, the branch_route has to run. */
static bool take_halfway(struct relay *r, unsigned slot)
{
	struct route_ctx *ctx = r->ctx;
	struct txn_state *state = txn_state(ctx);
	struct live *l = place_live(r->s, r->t);
	struct halfway h;
	const char *from;
	size_t edits;

	if (l->halfway == MEMORY_NONE || r->resumes != slot + 1)
		return false;
	from = memory_at(&r->s->memory, l->halfway);
	memcpy(&h, from, sizeof(h));
	target_set(ctx, &h.target);
	memcpy(ctx->scratch[ROUTE_SCRATCH_PROXY], h.proxy, sizeof(h.proxy));
	state->on_reply = h.on_reply;
	state->on_failure = h.on_failure;
	state->branch = l->branches;
	edits = h.edits * sizeof(ctx->edits.edit[0]);
	memcpy(&ctx->edits.edit[ctx->edits.count], from + sizeof(h), edits);
	memcpy(ctx->edits.text + ctx->edits.text_len, from + sizeof(h) + edits, h.edits_text);
	ctx->edits.count += h.edits;
	ctx->edits.text_len += h.edits_text;
	ctx->edits.overflow = h.overflow;
	memory_put(&r->s->memory, l->halfway);
	l->halfway = MEMORY_NONE;
	return true;
}

static void before_get(const struct relay *r, struct before *out)
{
	const struct txn_state *state = txn_state(r->ctx);

	/* record_route() and its like in a branch_route are of its branch. */
	if (r->on_branch != 0)
		memcpy(out->proxy, r->ctx->scratch[ROUTE_SCRATCH_PROXY], sizeof(out->proxy));
	out->on_reply = state->on_reply;
	out->on_failure = state->on_failure;
	out->branch = state->branch;
	out->edits = r->ctx->edits.count;
	out->edits_text = r->ctx->edits.text_len;
	out->overflow = r->ctx->edits.overflow;
}

static void before_set(const struct relay *r, const struct before *before)
{
	struct route_ctx *ctx = r->ctx;
	struct txn_state *state = txn_state(ctx);

	proxy_target_reset(ctx);
	if (r->on_branch != 0)
		memcpy(ctx->scratch[ROUTE_SCRATCH_PROXY], before->proxy, sizeof(before->proxy));
	ctx->edits.count = before->edits;
	ctx->edits.text_len = before->edits_text;
	ctx->edits.overflow = before->overflow;
	state->on_reply = before->on_reply;
	state->on_failure = before->on_failure;
	state->branch = before->branch;
	target_set(ctx, &r->own);
}

/* ---- sending ---- */

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

int32_t relay_send(struct relay *r, unsigned slot, unsigned nth)
{
	int32_t ret = next_hop(r, nth);
	unsigned breadth = r->breadth;
	int status;

	if (ret != ROUTE_TRUE)
		return ret;
	if (r->spare != 0) {
		r->spare--;
		breadth++;
	}
	status = r->hold ? txn_branch_hold(r->s, r->t, r->ctx, slot, nth, breadth)
			 : txn_branch_send(r->s, r->t, r->ctx, slot, nth, breadth);
	if (status == 0)
		r->sent++;
	else if (r->status == 0)
		r->status = (uint16_t)status;
	return ROUTE_TRUE;
}

int32_t relay_slot(struct relay *r, unsigned slot, unsigned nth)
{
	struct live *l = place_live(r->s, r->t);
	enum txn_ran ran = TXN_RAN;
	int32_t ret = ROUTE_FALSE;
	struct before before;

	before_get(r, &before);
	slot_set(r, slot);
	if (r->on_branch != 0 && !take_halfway(r, slot))
		ran = txn_route_branch(r->s, r->ctx, r->on_branch - 1, l->branches);
	if (ran == TXN_RAN_WAITS)
		ret = ROUTE_PENDING;
	else if (ran == TXN_RAN)
		ret = relay_send(r, slot, nth);
	if (ret == ROUTE_PENDING && r->failing != NULL)
		relay_failover_wait(r, ran == TXN_RAN_WAITS);
	else if (ret == ROUTE_PENDING && r->on_branch != 0 && ran == TXN_RAN)
		keep_halfway(r, &before);
	before_set(r, &before);
	return ret;
}

bool relay_all_known(struct relay *r)
{
	bool known = true;

	for (unsigned slot = r->first; known && slot < r->slots; slot++) {
		slot_set(r, slot);
		known = next_hop(r, 0) != ROUTE_PENDING;
		proxy_target_reset(r->ctx);
	}
	target_set(r->ctx, &r->own);
	r->status = 0;
	r->reason = ROUTE_TEXT_NONE;
	return known;
}
