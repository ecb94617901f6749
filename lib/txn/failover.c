/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Another address of the same name, where one gives no answer or says that it can't serve (RFC 3263
 * 4.3). Its name may have to be asked for: the branch then counts as open, and its failure stands
 * where there is no such address.
 */
#include "txn/relay.h"

/* Whether b may be tried elsewhere; what is needed for it. */
static bool begin(struct relay *r, struct txn_shard *s, struct place *t, struct branch *b)
{
	const struct live *l = place_live(s, t);

	*r = (struct relay){.s = s,
		.t = t,
		.failing = b,
		.status = 500,
		.breadth = b->breadth,
		.reason = ROUTE_TEXT_NONE};
	if (l == NULL || server_is_final(t) || b->cancel != CANCEL_NONE || b->number < l->leg ||
		b->slot > l->leg_slots || l->branches >= TXN_BRANCHES_MAX || b->nth == UINT8_MAX)
		return false;
	r->on_branch = l->leg_on_branch;
	return true;
}

/* b went elsewhere: it is the same branch of the response context. */
static void done(struct relay *r)
{
	struct branch *b = r->failing;

	b->flags |= BRANCH_DROPPED;
	b->waits = 0;
	if (!branch_is_final(b))
		b->status = 408;
	txn_branch_drop_reply(r->s, b);
	shard_count(r->s, TXN_COUNTER_FAILED_OVER);
}

void relay_failover_wait(struct relay *r, bool within)
{
	struct txn_state *state = txn_state(r->ctx);
	uint16_t flags = state->flags;

	state->flags |= STATE_FAILOVER;
	state->branch = r->failing->number;
	if (!within)
		route_stop(r->ctx);
	r->waits = r->s->sender.park(r->s->sender.arg, r->ctx);
	state->flags = flags;
	if (within)
		r->s->entry.loaded = 0; /* what stands in `work` is in the midst of a block */
}

enum txn_failover txn_relay_failover(struct txn_shard *s, struct place *t, struct branch *b)
{
	const struct live *l = place_live(s, t);
	struct relay r;
	uint8_t before;

	if ((t->flags & (PLACE_NO_FAILOVER | PLACE_CANCELLED | PLACE_6XX_SEEN | PLACE_BUSY)) != 0 ||
		!begin(&r, s, t, b))
		return TXN_FAILOVER_NONE;
	r.ctx = txn_place_request(s, t);
	if (r.ctx == NULL)
		return TXN_FAILOVER_NONE;
	before = r.ctx->branches;
	r.ctx->branches = l->leg_slots;
	r.du = txn_state(r.ctx)->plan.du;
	relay_target_get(r.ctx, &r.own);
	relay_slot(&r, b->slot, b->nth + 1u);
	r.ctx->branches = before;
	if (r.waits) {
		b->waits = b->status;
		b->status = 0;
		return TXN_FAILOVER_WAITS;
	}
	if (r.sent == 0)
		return TXN_FAILOVER_NONE;
	done(&r);
	return TXN_FAILOVER_SENT;
}

void txn_relay_failover_goes_on(
	struct txn_shard *s, struct place *t, struct route_ctx *ctx, bool failed)
{
	struct branch *b = txn_branch_find(s, t, txn_state(ctx)->branch);
	struct relay r;

	/* Meanwhile its client may have hung up, or another branch have answered. */
	if (b == NULL || b->waits == 0)
		return;
	if (!failed && !ctx->result.drop && begin(&r, s, t, b)) {
		r.ctx = ctx;
		if (relay_send(&r, b->slot, b->nth + 1u) == ROUTE_PENDING)
			relay_failover_wait(&r, false);
		if (r.waits)
			return;
		if (r.sent != 0) {
			done(&r);
			return;
		}
	}
	txn_branch_give_up(b);
	txn_response_finish(s, t);
}
