/* SPDX-License-Identifier: BSD-3-Clause */
/* What is told of transactions to who keeps account of them (txn_watch()). */
#include "txn/internal.h"

void txn_watch(struct txn *t, const struct txn_watcher *watcher)
{
	t->watcher = *watcher;
}

/* The transaction's flags now, without loading its request. */
static uint32_t flags_of(const struct txn_shard *s, const struct place *t)
{
	struct route_ctx *running = s->entry.running;
	const struct live *l = place_live(s, t);
	uint32_t number = place_number(s, t) + 1;

	if (running != NULL && txn_state(running)->place == number &&
		txn_state(running)->serial == t->serial)
		return running->flags;
	if (s->entry.loaded == number)
		return s->work->flags;
	return l != NULL ? l->flags : 0;
}

static void tell(struct txn_shard *s, struct route_ctx *ctx, struct txn_news *news)
{
	uint32_t text = ctx != NULL ? ctx->text_len : 0;
	uint8_t failure = ctx != NULL ? ctx->failure : 0;

	news->now_ns = s->thread->now_ns;
	s->t->watcher.told(s->t->watcher.arg, s->number, news);
	/* What was evaluated for it leaves no trace. */
	if (ctx != NULL) {
		ctx->text_len = text;
		ctx->failure = failure;
	}
}

/* The same with the status that it is told of: $T_reply_code is of that, not of what its client has
 * heard before, or its failure_route was about. */
static void tell_status(
	struct txn_shard *s, struct place *t, struct route_ctx *ctx, struct txn_news *news)
{
	struct txn_state *state = txn_state(ctx);
	uint16_t of_place = t->status, of_state = state->status;

	t->status = state->status = news->status;
	tell(s, ctx, news);
	t->status = of_place;
	state->status = of_state;
}

static bool is_sent(struct txn_shard *s, const struct place *t)
{
	BRANCH_FOREACH (s, t, b) {
		if ((b->flags & BRANCH_UNSENT) == 0)
			return true;
	}
	return false;
}

void txn_tell(struct txn_shard *s, struct place *t, enum txn_event event, uint16_t status,
	struct str response)
{
	const struct txn_watcher *w = &s->t->watcher;
	struct txn_news news = {.event = event, .status = status, .response = response};
	struct live *l = place_live(s, t);

	if (w->told == NULL || !w->wants(w->arg, event, t->method, flags_of(s, t)))
		return;
	if (event == TXN_EVENT_AGAIN) {
		tell(s, NULL, &news);
		return;
	}
	news.request = txn_place_request(s, t);
	/* Without its context nothing is known of what its script wanted. */
	if (news.request == NULL)
		return;
	news.sent = event == TXN_EVENT_FINAL && is_sent(s, t);
	tell_status(s, t, news.request, &news);
	if (l == NULL)
		return;
	l->flags = news.request->flags;
	/* Once its client has heard, the request goes unless it is needed: where nobody has seen
	 * it, no 2xx comes. */
	l->late = news.sent && status >= 300 && t->method == SIP_METHOD_INVITE &&
		  w->wants(w->arg, TXN_EVENT_LATE, t->method, l->flags);
}

enum txn_event txn_event_of_success(const struct txn_shard *s, const struct place *t)
{
	const struct live *l = place_live(s, t);

	if (!server_is_final(t))
		return TXN_EVENT_FINAL;
	return l != NULL && l->late ? TXN_EVENT_LATE : TXN_EVENT_AGAIN;
}

void txn_tell_provisional(struct txn_shard *s, struct place *t, uint16_t status, struct str text)
{
	if ((t->flags & PLACE_EARLY_TOLD) != 0)
		return;
	t->flags |= PLACE_EARLY_TOLD;
	txn_tell(s, t, TXN_EVENT_EARLY, status, text);
}

bool txn_ack_has_to_be_told(const struct txn *t, const struct route_ctx *ctx)
{
	const struct txn_watcher *w = &t->watcher;

	return w->told != NULL && w->wants(w->arg, TXN_EVENT_ACK, SIP_METHOD_ACK, ctx->flags);
}

void txn_tell_ack(struct txn *t, struct route_ctx *ctx)
{
	struct txn_news news = {.event = TXN_EVENT_ACK, .request = ctx, .status = 200};

	if (ctx->thread->has_state && ctx->thread->shard < t->shards)
		tell(&t->shard[ctx->thread->shard], ctx, &news);
}
