/* SPDX-License-Identifier: BSD-3-Clause */
/* A transaction's life: made, shrunk to what absorbs retransmissions, given back. */
#include <string.h>

#include "txn/internal.h"

static uint32_t place_take(struct txn_shard *s)
{
	uint32_t i = s->free;

	if (i == TXN_NO_PLACE)
		return s->fresh < s->places ? s->fresh++ : TXN_NO_PLACE;
	s->free = s->place[i].node.next;
	return i;
}

static void place_give(struct txn_shard *s, struct place *t)
{
	t->state = SERVER_FREE;
	t->node.next = s->free;
	s->free = place_number(s, t);
}

static uint32_t milliseconds(uint64_t asked, int64_t set)
{
	uint64_t ms = asked != 0 ? asked : (uint64_t)set;

	return ms < TXN_LIFETIME_MAX ? (uint32_t)ms : TXN_LIFETIME_MAX;
}

/* Seconds in an AVP (fr_timer_avp, fr_inv_timer_avp), as ms; 0: none. `name` is "$avp(x)", "x",
 * with "s:" or "i:" in front or not. */
static uint32_t avp_milliseconds(const struct route_ctx *ctx, const char *name)
{
	struct str want = str_c(name), have;
	uint32_t seconds = 0;

	if (want.len == 0 || ctx->avps == 0)
		return 0;
	if (str_istarts(want, STR("$avp(")) && want.s[want.len - 1] == ')')
		want = str_of(want.s + 5, want.len - 6);
	if (want.len > 2 && want.s[1] == ':')
		want = str_of(want.s + 2, want.len - 2);
	for (unsigned i = ctx->avps; i-- > 0;) {
		have = route_text_str(ctx, ctx->avp[i].name);
		if (!str_eq(have, want))
			continue;
		if (ctx->avp[i].value.type == ROUTE_INT && ctx->avp[i].value.i > 0 &&
			ctx->avp[i].value.i < TXN_LIFETIME_MAX / 1000)
			return (uint32_t)ctx->avp[i].value.i * 1000;
		if (ctx->avp[i].value.type == ROUTE_STR &&
			str_to_u32(route_text_str(ctx, ctx->avp[i].value.text),
				TXN_LIFETIME_MAX / 1000, &seconds) == 0)
			return seconds * 1000;
		return 0;
	}
	return 0;
}

void txn_place_fr(const struct place *t, struct live *l, struct route_ctx *ctx)
{
	const struct tm_config *config = t->config;

	if (config->fr_timer_avp != NULL && (l->asked & TXN_ASKED_FR) == 0)
		l->fr = milliseconds(avp_milliseconds(ctx, config->fr_timer_avp), config->fr_timer);
	if (config->fr_inv_timer_avp != NULL && (l->asked & TXN_ASKED_FR_INV) == 0)
		l->fr_inv = milliseconds(
			avp_milliseconds(ctx, config->fr_inv_timer_avp), config->fr_inv_timer);
}

/* What the script said before there was a transaction, else the parameters. */
static void take_settings(
	struct txn_shard *s, struct place *t, struct live *l, struct route_ctx *ctx)
{
	const struct txn_state *state = txn_state(ctx);
	const struct tm_config *config = t->config;
	bool invite = t->method == SIP_METHOD_INVITE;
	uint32_t life = milliseconds(invite ? state->lifetime_inv : state->lifetime_other,
		invite ? config->max_inv_lifetime : config->max_noninv_lifetime);

	t->t1 = (uint16_t)milliseconds(state->t1, config->retr_timer1);
	t->t2 = (uint16_t)milliseconds(state->t2, config->retr_timer2);
	t->on_reply = state->on_reply;
	l->fr = milliseconds(state->fr, config->fr_timer);
	l->fr_inv = milliseconds(state->fr_inv, config->fr_inv_timer);
	l->asked = (uint8_t)((state->fr != 0 ? TXN_ASKED_FR : 0) |
			     (state->fr_inv != 0 ? TXN_ASKED_FR_INV : 0));
	l->lifetime_at = time_in(s, life);
	if ((state->flags & STATE_NO_6XX) != 0 ||
		(config->disable_6xx_block != 0 && (state->flags & STATE_WANT_6XX) == 0))
		t->flags |= PLACE_NO_6XX;
	if ((state->flags & STATE_NO_FAILOVER) != 0 || config->dns_failover == 0)
		t->flags |= PLACE_NO_FAILOVER;
	if ((state->flags & STATE_NO_REASON) != 0 ||
		(config->e2e_cancel_reason == 0 && (state->flags & STATE_WANT_REASON) == 0))
		t->flags |= PLACE_NO_REASON;
}

/* RFC 4320 4.1: when a client's Timer E has come to T2, it hears 100, and not before. The client's
 * timers are those of the network, whatever t_set_retr() says of ours, or the RFC's. */
static uint32_t late_trying(const struct txn_shard *s, const struct place *t)
{
	uint32_t at = 0, interval = (uint32_t)t->config->retr_timer1;

	for (; interval < t->config->retr_timer2; interval *= 2)
		at += interval;
	return time_in(s, at > TXN_LATE_TRYING ? at : TXN_LATE_TRYING);
}

static void fill(struct txn_shard *s, struct place *t, struct route_ctx *ctx, uint32_t live)
{
	struct live *l = memory_at(&s->memory, live);
	struct txn_state *state = txn_state(ctx);
	uint32_t serial = t->serial + 1;

	memset(t, 0, sizeof(*t));
	t->serial = serial;
	t->key = proxy_transaction_key(s->t->proxy, ctx);
	t->call_id = proxy_call_id_digest(s->t->proxy, ctx).lo;
	t->cseq = ctx->msg.cseq_number;
	t->state = SERVER_TRYING;
	t->method = ctx->msg.method;
	if (t->method == SIP_METHOD_OTHER)
		t->method_hash = txn_method_hash(sip_text(ctx->buf, ctx->msg.method_text));
	t->flags = PLACE_BUSY;
	t->script = ctx->script;
	t->config = route_script_module_config_at(ctx->script, "tm", &s->module_at);
	t->live = live;
	t->saved = t->branch = t->reply = MEMORY_NONE;
	route_script_ref(t->script);
	memset(l, 0, sizeof(*l));
	l->halfway = MEMORY_NONE;
	l->text_len = ctx->msg.len;
	memcpy(live_text(l), ctx->buf, ctx->msg.len);
	echo_lines_of(&ctx->msg, &l->lines);
	take_settings(s, t, l, ctx);
	state->place = place_number(s, t) + 1;
	state->serial = serial;
	state->shard = (uint16_t)s->number;
}

/*
 * Who gives another request the branch that a first one has (another Call-ID or CSeq number) gets a
 * transaction of its own, whose branches are numbered behind those of the others: no two requests
 * leave with one branch. False: there are too many.
 */
static bool number_branches(struct txn_shard *s, struct route_ctx *ctx, uint16_t *first)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	struct hash128 key = proxy_transaction_key(s->t->proxy, ctx);
	unsigned n = digest_index_find(s->index, key.lo, found);
	unsigned taken = 0, free;

	for (unsigned i = 0; i < n; i++) {
		const struct place *t = &s->place[found[i]];

		if (t->key.lo == key.lo)
			taken |= 1U << t->numbers;
	}
	free = ~taken & ((1U << TXN_SAME_BRANCH_MAX) - 1);
	if (free == 0)
		return false;
	*first = (uint16_t)__builtin_ctz(free);
	return true;
}

struct place *txn_place_create(struct txn_shard *s, struct route_ctx *ctx)
{
	uint16_t numbers = 0;
	uint32_t live, i;
	struct place *t;

	if (!sip_msg_cseq(&ctx->msg, ctx->buf))
		return NULL;
	live = !memory_is_scarce(&s->memory) && number_branches(s, ctx, &numbers)
		       ? memory_get(&s->memory, sizeof(struct live) + ctx->msg.len)
		       : MEMORY_NONE;
	i = live != MEMORY_NONE ? place_take(s) : TXN_NO_PLACE;
	if (i == TXN_NO_PLACE) {
		if (live != MEMORY_NONE)
			memory_put(&s->memory, live);
		shard_count(s, TXN_COUNTER_REFUSED);
		return NULL;
	}
	t = &s->place[i];
	fill(s, t, ctx, live);
	t->numbers = (uint8_t)numbers;
	if (digest_index_insert(s->index, t->key.lo, i) != 0) {
		txn_state(ctx)->place = 0;
		memory_put(&s->memory, live);
		route_script_unref(t->script);
		place_give(s, t);
		shard_count(s, TXN_COUNTER_REFUSED);
		return NULL;
	}
	shard_count(s, TXN_COUNTER_CREATED);
	shard_gauge(&s->transactions, 1);
	txn_timer_set(s, t, place_live(s, t)->lifetime_at);
	if (t->method != SIP_METHOD_INVITE) {
		t->flags |= PLACE_LATE_TRYING;
		t->retr_at = late_trying(s, t);
		txn_timer_set(s, t, t->retr_at);
	}
	return t;
}

struct place *txn_current(struct txn_shard *s, struct route_ctx *ctx)
{
	const struct txn_state *state = txn_state(ctx);
	struct place *t;

	if (state->place == 0 || state->shard != s->number || state->place > s->fresh)
		return NULL;
	t = &s->place[state->place - 1];
	return t->state != SERVER_FREE && t->serial == state->serial ? t : NULL;
}

uint32_t txn_place_t1_64(const struct place *t)
{
	uint32_t ms = TXN_TIMERS * t->t1;

	return ms > (uint32_t)t->config->absorb_timer ? ms : (uint32_t)t->config->absorb_timer;
}

/* ---- what is kept ---- */

bool txn_place_save(struct txn_shard *s, struct place *t, struct route_ctx *ctx)
{
	struct live *l = place_live(s, t);
	uint8_t branches = ctx->branches;
	uint32_t size, chunk;

	if (l == NULL)
		return false;
	/* The branches of the last t_relay(), for their next addresses; unless the script has begun
	 * to name others. */
	if (branches == 0)
		ctx->branches = l->leg_slots;
	else
		l->leg_slots = 0;
	size = route_ctx_saved_size(ctx);
	/* The same chunk where it has the size. */
	if (t->saved == MEMORY_NONE ||
		memory_size(&s->memory, size) != memory_size(&s->memory, l->saved_len)) {
		chunk = memory_get(&s->memory, size);
		if (chunk == MEMORY_NONE) {
			ctx->branches = branches;
			return false;
		}
		if (t->saved != MEMORY_NONE)
			memory_put(&s->memory, t->saved);
		t->saved = chunk;
	}
	l->saved_len = size;
	l->flags = ctx->flags;
	route_ctx_save(ctx, memory_at(&s->memory, t->saved));
	ctx->branches = branches;
	t->flags &= (uint16_t)~PLACE_SHARED;
	if (ctx->avps != 0 || ctx->flags != 0)
		t->flags |= PLACE_SHARED;
	return true;
}

struct route_ctx *txn_place_request(struct txn_shard *s, struct place *t)
{
	struct route_ctx *ctx = s->entry.running;
	struct live *l = place_live(s, t);
	uint32_t number = place_number(s, t) + 1;

	if (ctx != NULL && txn_state(ctx)->place == number && txn_state(ctx)->serial == t->serial)
		return ctx;
	if (s->entry.loaded == number)
		return s->work;
	if (l == NULL || t->saved == MEMORY_NONE)
		return NULL;
	ctx = s->work;
	route_ctx_bind(ctx, t->script, s->thread, live_text(l));
	/* It was sound when it came. */
	if (sip_msg_index(&ctx->msg, ctx->buf, l->text_len) != SIP_OK)
		return NULL;
	sip_msg_check(&ctx->msg, ctx->buf);
	route_ctx_load(ctx, memory_at(&s->memory, t->saved));
	ctx->frames = 0;
	ctx->result = (struct route_result){
		.target = {.listener = -1, .destination = -1}, .headers = ctx->result.headers};
	proxy_target_reset(ctx);
	s->entry.loaded = number;
	return ctx;
}

void txn_place_drop_reply(struct txn_shard *s, struct place *t)
{
	if (t->reply != MEMORY_NONE)
		memory_put(&s->memory, t->reply);
	t->reply = MEMORY_NONE;
	t->reply_len = 0;
}

void txn_place_keep_reply(
	struct txn_shard *s, struct place *t, const char *text, uint32_t len, bool whole)
{
	struct live *l = place_live(s, t);
	bool echo = !whole && l != NULL;

	if (echo) {
		len = echo_pack(text, len, live_text(l), &l->lines, s->packed);
		text = s->packed;
	}
	if (t->reply == MEMORY_NONE ||
		memory_size(&s->memory, len) != memory_size(&s->memory, t->reply_len)) {
		txn_place_drop_reply(s, t);
		t->reply = memory_get(&s->memory, len);
		if (t->reply == MEMORY_NONE)
			return;
	}
	t->reply_len = (uint16_t)len;
	memcpy(memory_at(&s->memory, t->reply), text, len);
	t->flags &= (uint16_t)~PLACE_ECHO;
	if (echo)
		t->flags |= PLACE_ECHO;
}

void txn_reply_to_set(struct reply_to *to, const struct proxy_out *from)
{
	memcpy(to->addr, from->dst.addr.b, sizeof(to->addr));
	to->family = from->dst.addr.family;
	to->port = from->dst.port;
	to->listener = from->listener;
}

void txn_reply_to_get(const struct reply_to *to, struct proxy_out *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->dst.addr.b, to->addr, sizeof(to->addr));
	out->dst.addr.family = to->family;
	out->dst.port = to->port;
	out->listener = to->listener;
	out->destination = -1;
}

/* ---- the end ---- */

static void drop_live(struct txn_shard *s, struct place *t)
{
	const struct live *l = place_live(s, t);

	if (l != NULL && l->halfway != MEMORY_NONE)
		memory_put(&s->memory, l->halfway);
	if (t->saved != MEMORY_NONE)
		memory_put(&s->memory, t->saved);
	if (t->live != MEMORY_NONE)
		memory_put(&s->memory, t->live);
	t->saved = t->live = MEMORY_NONE;
}

static void destroy(struct txn_shard *s, struct place *t)
{
	txn_timer_stop(s, t);
	digest_index_remove(s->index, t->key.lo, place_number(s, t));
	drop_live(s, t);
	txn_place_drop_reply(s, t);
	route_script_unref(t->script);
	if ((t->flags & PLACE_ABSORBING) != 0)
		shard_gauge(&s->absorbing, -1);
	shard_gauge(&s->transactions, -1);
	shard_count(s, TXN_COUNTER_ENDED);
	place_give(s, t);
}

/* Branches that nothing is waited for of any more. Returns whether any still works. */
static bool drop_branches(struct txn_shard *s, struct place *t)
{
	bool works = false;
	struct branch *b, *next;

	for (b = branch_at(s, t->branch); b != NULL; b = next) {
		next = branch_at(s, b->next);
		if (!branch_is_alive(b))
			txn_branch_free(s, t, b);
		else if (b->state != BRANCH_COMPLETED)
			works = true;
		else
			txn_branch_drop_reply(s, b);
	}
	return works;
}

/*
 * A late 2xx is seen by its onreply_route with the transaction's AVPs and flags: they are packed
 * without the request that they came from. Without room for them they go, too.
 */
static void keep_shared(struct txn_shard *s, struct place *t)
{
	struct live *l = place_live(s, t);
	struct route_ctx *ctx = s->work;
	uint32_t chunk = MEMORY_NONE;

	s->entry.loaded = 0;
	route_ctx_bind(ctx, t->script, s->thread, live_text(l));
	route_ctx_reset(ctx);
	if (t->saved != MEMORY_NONE && route_ctx_load_shared(ctx, memory_at(&s->memory, t->saved),
					       str_of(live_text(l), l->text_len)))
		chunk = memory_get(&s->memory, route_ctx_saved_size(ctx));
	drop_live(s, t);
	if (chunk != MEMORY_NONE)
		route_ctx_save(ctx, memory_at(&s->memory, chunk));
	t->saved = chunk;
}

bool txn_place_settle(struct txn_shard *s, struct place *t)
{
	bool works;

	if ((t->flags & PLACE_BUSY) != 0 || !server_is_final(t))
		return true;
	works = drop_branches(s, t);
	if (t->state == SERVER_TERMINATED && t->branch == MEMORY_NONE) {
		destroy(s, t);
		return false;
	}
	if (t->live != MEMORY_NONE && !place_live(s, t)->late) {
		if (t->state == SERVER_ACCEPTED && t->on_reply != 0 &&
			(t->flags & PLACE_SHARED) != 0)
			keep_shared(s, t);
		else
			drop_live(s, t);
	}
	if (!works && (t->flags & PLACE_ABSORBING) == 0) {
		t->flags |= PLACE_ABSORBING;
		shard_gauge(&s->absorbing, 1);
	}
	return true;
}
