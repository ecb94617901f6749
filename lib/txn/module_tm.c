/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OpenSER module "tm": what a script does with transactions. Functions that only say what the
 * transaction to come is to do write it into the context and run anywhere; all others run on the
 * slow lcore that keeps it.
 */
#include <string.h>

#include "route/variable.h"
#include "txn/internal.h"

#define PROXY_TEXT_MAX 300

#define REQUEST_IN (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE)
#define SETTING_IN (ROUTE_IN_REQUEST | ROUTE_IN_REPLY | ROUTE_IN_FAILURE | ROUTE_IN_BRANCH)

static int32_t truth(bool yes)
{
	return yes ? ROUTE_TRUE : ROUTE_FALSE;
}

/* A number that scripts write with or without quotes. */
static bool number(const struct route_value *v, int64_t most, int64_t *out)
{
	uint64_t u = 0;

	if (v->type == ROUTE_INT)
		*out = v->i;
	else if (v->type == ROUTE_STR && str_to_u64(str_trim(v->s), (uint64_t)most, &u) == 0)
		*out = (int64_t)u;
	else
		return false;
	return *out >= 0 && *out <= most;
}

/* ---- t_relay and its kin ---- */

/* "sip:host:port" of what is given as host and port, or as "udp:host:port". Empty: not over UDP, or
 * too long. */
static struct str proxy_uri(struct str text, int64_t port, char out[PROXY_TEXT_MAX])
{
	static const struct str udp = {"udp:", 4};
	uint32_t len = 4;

	if (str_istarts(text, udp)) {
		text.s += udp.len;
		text.len -= udp.len;
	} else if (str_istarts(text, STR("tcp:")) || str_istarts(text, STR("tls:")) ||
		   str_istarts(text, STR("sctp:"))) {
		return STR_NONE;
	}
	if (text.len == 0 || text.len > PROXY_TEXT_MAX - 32)
		return STR_NONE;
	memcpy(out, "sip:", 4);
	memcpy(out + len, text.s, text.len);
	len += text.len;
	if (port != 0) {
		out[len++] = ':';
		len += str_from_u64(out + len, (uint64_t)port);
	}
	return str_of(out, len);
}

/* Whether it is OpenSER's flags ("0x01") and no host: what they ask for is here as it is. */
static bool is_flags(const struct route_value *v)
{
	if (v->type == ROUTE_INT)
		return true;
	for (uint32_t i = 0; i < v->s.len; i++) {
		char c = str_lower_char(v->s.s[i]);

		if (!str_is_digit(c) && !(i == 1 && c == 'x'))
			return false;
	}
	return true;
}

MODULE_RUN(run_relay)
{
	char uri[PROXY_TEXT_MAX];
	struct str du = STR_NONE;
	int64_t port = 0;

	if (args->n == 0 || is_flags(&args->v[0]))
		return txn_relay(args->room, ctx, STR_NONE);
	/* (host, port), or OpenSER's (proxy, flags), where the proxy has its own port */
	if (args->n > 1 && str_find(args->v[0].s, ':') < 0 &&
		!number(&args->v[1], UINT16_MAX, &port))
		return ROUTE_FALSE;
	du = proxy_uri(args->v[0].s, port, uri);
	return du.len != 0 ? txn_relay(args->room, ctx, du) : ROUTE_FALSE;
}

/* ---- replies ---- */

static bool reason_ok(struct str reason)
{
	for (uint32_t i = 0; i < reason.len; i++) {
		if ((unsigned char)reason.s[i] < ' ' && reason.s[i] != '\t')
			return false;
	}
	return true;
}

static int32_t reply(struct txn_shard *s, struct place *t, const struct tm_config *config,
	const struct route_args *args)
{
	struct str reason = args->v[1].type == ROUTE_STR ? args->v[1].s : STR_NONE;
	int64_t status;

	if (!number(&args->v[0], 699, &status) || status < 100) {
		status = config->default_code;
		reason = str_c(config->default_reason);
	}
	if (server_is_final(t) || !reason_ok(reason))
		return ROUTE_FALSE;
	txn_server_reply(s, t, (uint16_t)status, reason);
	return ROUTE_TRUE;
}

static int32_t run_reply_in(
	struct route_ctx *ctx, const struct route_args *args, bool make, bool error)
{
	static const struct route_value by_default[2];
	struct route_args own = *args;
	struct txn_entry before;
	struct txn_shard *s;
	struct place *t;
	int32_t ret = ROUTE_FALSE;

	if (!ctx->msg.is_response && ctx->msg.method == SIP_METHOD_ACK)
		return ROUTE_FALSE;
	s = txn_enter_function(args->room, ctx, &before);
	if (s == NULL)
		return ROUTE_NEEDS_STATE;
	t = txn_current(s, ctx);
	if (t == NULL && make && ctx->in == ROUTE_IN_REQUEST) {
		switch (txn_relay_begin(s, ctx, &t)) {
		case TXN_BEGIN_ABSORBED:
			txn_leave(s, before);
			return ROUTE_EXIT;
		case TXN_BEGIN_REFUSED:
			proxy_reply_set(ctx, 503, STR_NONE);
			break;
		default:
			break;
		}
	}
	if (t != NULL && error && ctx->result.reply && !server_is_final(t)) {
		txn_server_reply(s, t, ctx->result.status, route_text_str(ctx, ctx->result.reason));
		ret = ROUTE_TRUE;
	} else if (t != NULL) {
		if (error)
			own.v = by_default;
		ret = reply(s, t, t->config, &own);
	}
	txn_leave(s, before);
	return ret;
}

MODULE_RUN(run_reply)
{
	return run_reply_in(ctx, args, false, false);
}

MODULE_RUN(run_send_reply)
{
	return run_reply_in(ctx, args, true, false);
}

MODULE_RUN(run_reply_error)
{
	return run_reply_in(ctx, args, false, true);
}

MODULE_CHECK(check_reply)
{
	int64_t status;

	if (arg[0].constant && (!number(&arg[0].value, 699, &status) || status < 100)) {
		route_error(report, &arg[0].place, "a status is a number from 100 to 699");
		return -EINVAL;
	}
	if (arg[1].constant && arg[1].value.type == ROUTE_STR && !reason_ok(arg[1].value.s)) {
		route_error(report, &arg[1].place, "a reason phrase stays on its line");
		return -EINVAL;
	}
	return 0;
}

/* ---- which transaction ---- */

MODULE_RUN(run_newtran)
{
	struct txn_entry before;
	struct txn_shard *s;
	struct place *t;
	enum txn_begin begin;

	if (ctx->msg.method == SIP_METHOD_ACK)
		return ROUTE_FALSE;
	s = txn_enter_function(args->room, ctx, &before);
	if (s == NULL)
		return ROUTE_NEEDS_STATE;
	begin = txn_relay_begin(s, ctx, &t);
	if (begin == TXN_BEGIN_REFUSED)
		proxy_reply_set(ctx, 503, STR_NONE);
	txn_leave(s, before);
	return begin == TXN_BEGIN_ABSORBED ? ROUTE_EXIT : truth(begin == TXN_BEGIN_NEW);
}

enum lookup { LOOKUP_CHECK, LOOKUP_REQUEST, LOOKUP_CANCEL };

static int32_t lookup(struct route_ctx *ctx, const struct route_args *args, enum lookup what)
{
	struct txn_entry before;
	struct txn_shard *s = txn_enter_function(args->room, ctx, &before);
	struct place *t;
	int32_t ret;

	if (s == NULL)
		return ROUTE_NEEDS_STATE;
	t = txn_current(s, ctx);
	if (t != NULL) {
		ret = truth(what != LOOKUP_CANCEL);
	} else if (ctx->msg.is_response) {
		ret = ROUTE_FALSE;
	} else {
		bool cancel = ctx->msg.method == SIP_METHOD_CANCEL;

		t = what == LOOKUP_CANCEL && !cancel ? NULL : txn_find_request(s, ctx);
		ret = truth(t != NULL);
		if (t != NULL && what == LOOKUP_CHECK && !cancel &&
			txn_server_take(s, t, ctx) != TXN_NONE) {
			txn_state(ctx)->flags |= STATE_ABSORBED;
			ret = ROUTE_EXIT;
		}
	}
	txn_leave(s, before);
	return ret;
}

MODULE_RUN(run_check_trans)
{
	return lookup(ctx, args, LOOKUP_CHECK);
}

MODULE_RUN(run_lookup_request)
{
	return lookup(ctx, args, LOOKUP_REQUEST);
}

MODULE_RUN(run_lookup_cancel)
{
	return lookup(ctx, args, LOOKUP_CANCEL);
}

MODULE_RUN(run_release)
{
	struct txn_entry before;
	struct txn_shard *s = txn_enter_function(args->room, ctx, &before);
	bool found;

	if (s == NULL)
		return ROUTE_NEEDS_STATE;
	found = txn_current(s, ctx) != NULL;
	if (found)
		txn_state(ctx)->flags |= STATE_RELEASED;
	txn_leave(s, before);
	return truth(found);
}

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
		BRANCH_FOREACH(s, t, b)
		{
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

MODULE_RUN(run_on_failure)
{
	return on(ctx, args, ON_FAILURE);
}

MODULE_RUN(run_on_branch)
{
	return on(ctx, args, ON_BRANCH);
}

MODULE_RUN(run_on_reply)
{
	return on(ctx, args, ON_REPLY);
}

/* ---- settings ---- */

/* The transaction where there is one, for settings that reach what is under way. */
static struct place *existing(struct txn *room, struct route_ctx *ctx, struct txn_shard **s)
{
	if (!ctx->thread->has_state || ctx->thread->shard >= room->shards)
		return NULL;
	*s = &room->shard[ctx->thread->shard];
	return txn_current(*s, ctx);
}

/* Branches under way end then, counted from now. */
static void change_fr(struct txn_shard *s, struct place *t, uint32_t fr, uint32_t fr_inv)
{
	struct live *l = place_live(s, t);

	if (l == NULL || server_is_final(t))
		return;
	if (fr != 0)
		l->fr = fr;
	if (fr_inv != 0)
		l->fr_inv = fr_inv;
	BRANCH_FOREACH(s, t, b)
	{
		uint32_t ms =
			b->state == BRANCH_CALLING || t->method != SIP_METHOD_INVITE ? fr : fr_inv;

		if (ms == 0 || branch_is_final(b) || b->cancel >= CANCEL_SENT)
			continue;
		b->end_at = time_in(s, ms);
		txn_timer_set(s, t, b->end_at);
	}
}

MODULE_RUN(run_set_fr)
{
	struct txn_state *state = txn_state(ctx);
	int64_t fr_inv = 0, fr = 0;
	struct txn_shard *s;
	struct place *t;

	if (!number(&args->v[0], TXN_LIFETIME_MAX, &fr_inv) ||
		(args->n > 1 && !number(&args->v[1], TXN_LIFETIME_MAX, &fr)))
		return ROUTE_FALSE;
	if (fr_inv != 0)
		state->fr_inv = (uint32_t)fr_inv;
	if (fr != 0)
		state->fr = (uint32_t)fr;
	t = existing(args->room, ctx, &s);
	if (t != NULL)
		change_fr(s, t, (uint32_t)fr, (uint32_t)fr_inv);
	return ROUTE_TRUE;
}

MODULE_RUN(run_reset_fr)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t = existing(args->room, ctx, &s);

	state->fr = state->fr_inv = 0;
	if (t != NULL)
		change_fr(s, t, (uint32_t)t->config->fr_timer, (uint32_t)t->config->fr_inv_timer);
	return ROUTE_TRUE;
}

MODULE_RUN(run_set_retr)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t;
	int64_t t1, t2;

	if (!number(&args->v[0], 60000, &t1) || !number(&args->v[1], 60000, &t2))
		return ROUTE_FALSE;
	if (t1 != 0)
		state->t1 = (uint16_t)t1;
	if (t2 != 0)
		state->t2 = (uint16_t)t2;
	t = existing(args->room, ctx, &s);
	if (t != NULL && t1 != 0)
		t->t1 = state->t1;
	if (t != NULL && t2 != 0)
		t->t2 = state->t2;
	return ROUTE_TRUE;
}

MODULE_RUN(run_reset_retr)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t = existing(args->room, ctx, &s);

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

MODULE_RUN(run_set_max_lifetime)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t;
	int64_t inv, other;

	if (!number(&args->v[0], TXN_LIFETIME_MAX, &inv) ||
		!number(&args->v[1], TXN_LIFETIME_MAX, &other))
		return ROUTE_FALSE;
	if (inv != 0)
		state->lifetime_inv = (uint32_t)inv;
	if (other != 0)
		state->lifetime_other = (uint32_t)other;
	t = existing(args->room, ctx, &s);
	if (t != NULL)
		change_lifetime(s, t, (uint32_t)(t->method == SIP_METHOD_INVITE ? inv : other));
	return ROUTE_TRUE;
}

MODULE_RUN(run_reset_max_lifetime)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t = existing(args->room, ctx, &s);

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

	if (!number(&args->v[0], INT32_MAX, &yes))
		return ROUTE_FALSE;
	state->flags &= (uint16_t) ~(set | unset);
	state->flags |= yes != 0 ? set : unset;
	t = of_place != 0 ? existing(args->room, ctx, &s) : NULL;
	if (t != NULL)
		t->flags = (uint16_t)((t->flags & ~of_place) | (yes != 0 ? of_place : 0));
	return ROUTE_TRUE;
}

MODULE_RUN(run_set_auto_inv_100)
{
	return set_flag(ctx, args, STATE_WANT_100, STATE_NO_100, 0);
}

MODULE_RUN(run_set_disable_6xx)
{
	return set_flag(ctx, args, STATE_NO_6XX, STATE_WANT_6XX, PLACE_NO_6XX);
}

MODULE_RUN(run_set_disable_failover)
{
	return set_flag(ctx, args, STATE_NO_FAILOVER, 0, PLACE_NO_FAILOVER);
}

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
	return truth(yes);
}

MODULE_RUN(run_is_canceled)
{
	return place_has(ctx, args, PLACE_CANCELLED);
}

MODULE_RUN(run_any_timeout)
{
	return place_has(ctx, args, PLACE_ANY_TIMEOUT);
}

MODULE_RUN(run_any_replied)
{
	return place_has(ctx, args, PLACE_ANY_REPLIED);
}

MODULE_RUN(run_branch_timeout)
{
	return truth((txn_state(ctx)->branch_flags & BRANCH_TIMEOUT) != 0);
}

MODULE_RUN(run_branch_replied)
{
	return truth((txn_state(ctx)->branch_flags & BRANCH_REPLIED) != 0);
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
	t = existing(room, ctx, &s);
	return t != NULL ? t->status : 0;
}

MODULE_RUN(run_check_status)
{
	char digits[20];
	uint16_t status;

	if (!ctx->thread->has_state && !ctx->msg.is_response)
		return ROUTE_NEEDS_STATE;
	status = status_of(args->room, ctx);
	return truth(
		status != 0 && route_regex_match(ctx, args->data,
				       str_of(digits, str_from_u64(digits, status)), NULL, 0) > 0);
}

MODULE_CHECK(check_check_status)
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

static void free_regex(void *data)
{
	route_regex_free(data);
}

MODULE_RUN(run_get_status_code)
{
	uint16_t status;

	if (!ctx->thread->has_state && !ctx->msg.is_response)
		return ROUTE_NEEDS_STATE;
	status = status_of(args->room, ctx);
	return status != 0 ? status : ROUTE_FALSE;
}

MODULE_RUN(run_cancel_branches)
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
		BRANCH_FOREACH(s, t, b)
		{
			bool this = b->number == txn_state(ctx)->branch;

			if (!branch_is_final(b) && (all || this != others))
				txn_cancel_branch(s, t, b, 0, STR_NONE);
		}
	}
	txn_leave(s, before);
	return truth(t != NULL);
}

/* ---- the table ---- */

/* FN(name, least and most arguments, path, blocks, run, usage, help and what follows it) */
#define FN(n, least, most, where, blocks, does, how, ...) \
	{ \
		.name = n, .args_min = least, .args_max = most, .path = where, .in = blocks, \
		.run = does, .usage = how, .help = __VA_ARGS__ \
	}
#define FN_CHECK(checks, frees, n, least, most, where, blocks, does, how, ...) \
	{ \
		.name = n, .args_min = least, .args_max = most, .path = where, .in = blocks, \
		.run = does, .check = checks, .free_data = frees, .usage = how, \
		.help = __VA_ARGS__ \
	}
#define FAST ROUTE_PATH_FAST
#define SLOW ROUTE_PATH_SLOW
#define EITHER ROUTE_PATH_EITHER

const struct route_function txn_functions[] = {
	FN("t_relay", 0, 2, EITHER, REQUEST_IN, run_relay, "t_relay([host, port])",
		"Relays the request to $du, else by its Routes, else to the Request-URI, and to "
		"all branches, as a transaction: makes it, answers INVITE with 100, and takes care "
		"of "
		"retransmissions, failures and CANCEL. An ACK, and a CANCEL of nothing here, go on "
		"without state, an ACK on the fast path. Minus a status where it fails: the sender "
		"hears that one, unless the script replies.",
		.rfc = "3261 16.6, 17; 6026"),
	FN("t_relay_to", 0, 2, EITHER, REQUEST_IN, run_relay, "t_relay_to([proxy, flags])",
		"Relays to \"udp:host:port\".", .rfc = "3261 16.6"),
	FN("t_relay_to_udp", 0, 2, EITHER, REQUEST_IN, run_relay, "t_relay_to_udp([host, port])",
		"Relays over UDP.", .rfc = "3261 16.6"),
	FN("t_forward_nonack", 0, 2, SLOW, REQUEST_IN, run_relay, "t_forward_nonack([host, port])",
		"The same as t_relay().", .rfc = "3261 16.6"),
	FN("t_newtran", 0, 0, SLOW, ROUTE_IN_REQUEST, run_newtran, "t_newtran()",
		"Makes the transaction: retransmissions are absorbed from here on. A transaction "
		"that the script does nothing more with is answered 500.",
		.rfc = "3261 17.2"),
	FN("t_check_trans", 0, 0, SLOW, ROUTE_IN_REQUEST | ROUTE_IN_REPLY | ROUTE_IN_BRANCH,
		run_check_trans, "t_check_trans()",
		"Whether the message belongs to a transaction. A retransmission, or the ACK to a "
		"failure, is dealt with, and the script ends; a CANCEL has its INVITE here.",
		.rfc = "3261 17.2.3"),
	FN("t_lookup_request", 0, 0, SLOW, ROUTE_IN_REQUEST, run_lookup_request,
		"t_lookup_request()", "Whether the request has a transaction.",
		.rfc = "3261 17.2.3"),
	FN("t_precheck_trans", 0, 0, SLOW, ROUTE_IN_REQUEST, run_lookup_request,
		"t_precheck_trans()", "Whether the request is being worked on already.",
		.rfc = "3261 17.2.3"),
	FN("t_lookup_cancel", 0, 1, SLOW, ROUTE_IN_REQUEST, run_lookup_cancel, "t_lookup_cancel()",
		"Whether the CANCEL has an INVITE here.", .rfc = "3261 9.2"),
	FN("t_release", 0, 0, SLOW, ROUTE_IN_REQUEST, run_release, "t_release()",
		"Ends the transaction without a reply, where nothing was sent or replied."),
	FN_CHECK(check_reply, NULL, "t_reply", 2, 2, SLOW,
		ROUTE_IN_REQUEST | ROUTE_IN_REPLY | ROUTE_IN_FAILURE, run_reply,
		"t_reply(status, reason)",
		"Replies in the transaction; a final one cancels what is under way.",
		.rfc = "3261 8.2.6, 17.2"),
	FN_CHECK(check_reply, NULL, "t_send_reply", 2, 2, SLOW,
		ROUTE_IN_REQUEST | ROUTE_IN_REPLY | ROUTE_IN_FAILURE, run_send_reply,
		"t_send_reply(status, reason)",
		"The same, and makes the transaction where there is none.",
		.rfc = "3261 8.2.6, 17.2"),
	FN("t_reply_error", 0, 0, SLOW, ROUTE_IN_REQUEST | ROUTE_IN_FAILURE, run_reply_error,
		"t_reply_error()", "Replies what t_relay() failed for, else default_code.",
		.rfc = "3261 8.2.6, 17.2"),
	FN("t_on_failure", 1, 1, FAST, SETTING_IN, run_on_failure, "t_on_failure(name)",
		"Names the failure_route that runs when all branches have failed; for the next "
		"t_relay()s, in a failure_route to be named again.",
		.rfc = "3261 16.7"),
	FN("t_on_branch", 1, 1, FAST, REQUEST_IN, run_on_branch, "t_on_branch(name)",
		"Names the branch_route that runs for each branch of the next t_relay().",
		.rfc = "3261 16.6"),
	FN("t_on_reply", 1, 1, FAST, SETTING_IN, run_on_reply, "t_on_reply(name)",
		"Names the onreply_route that runs over each response, after the main one.",
		.rfc = "3261 16.7"),
	FN_CHECK(check_check_status, free_regex, "t_check_status", 1, 1, EITHER,
		REQUEST_IN | ROUTE_IN_REPLY, run_check_status, "t_check_status(expression)",
		"Whether a status matches: in a failure_route that of the best response, in an "
		"onreply_route that of this one, else of the last that was sent.",
		.rfc = "3261 16.7"),
	FN("t_get_status_code", 0, 0, EITHER, REQUEST_IN | ROUTE_IN_REPLY | ROUTE_IN_BRANCH,
		run_get_status_code, "t_get_status_code()", "That status, in $rc."),
	FN("t_was_cancelled", 0, 0, SLOW, SETTING_IN, run_is_canceled, "t_was_cancelled()",
		"Whether the client has cancelled the request.", .rfc = "3261 9.2"),
	FN("t_is_canceled", 0, 0, SLOW, SETTING_IN, run_is_canceled, "t_is_canceled()",
		"Whether the client has cancelled the request.", .rfc = "3261 9.2"),
	FN("t_any_timeout", 0, 0, SLOW, SETTING_IN, run_any_timeout, "t_any_timeout()",
		"Whether a branch got no answer in time.", .rfc = "3261 16.8"),
	FN("t_any_replied", 0, 0, SLOW, SETTING_IN, run_any_replied, "t_any_replied()",
		"Whether a branch got any response."),
	FN("t_branch_timeout", 0, 0, SLOW, ROUTE_IN_FAILURE, run_branch_timeout,
		"t_branch_timeout()", "Whether the branch that won got no answer in time.",
		.rfc = "3261 16.8"),
	FN("t_branch_replied", 0, 0, SLOW, ROUTE_IN_FAILURE, run_branch_replied,
		"t_branch_replied()", "Whether the branch that won got any response."),
	FN("t_set_fr", 1, 2, FAST, SETTING_IN, run_set_fr, "t_set_fr(fr_inv_timer [, fr_timer])",
		"Sets these timers of the transaction, in ms; 0 leaves one as it is.",
		.rfc = "3261 16.8, 17.1"),
	FN("t_reset_fr", 0, 0, FAST, SETTING_IN, run_reset_fr, "t_reset_fr()",
		"Makes them the parameters' again.", .rfc = "3261 16.8, 17.1"),
	FN("t_set_retr", 2, 2, FAST, SETTING_IN, run_set_retr, "t_set_retr(t1, t2)",
		"Sets T1 and T2 of the transaction, in ms.", .rfc = "3261 17.1"),
	FN("t_reset_retr", 0, 0, FAST, SETTING_IN, run_reset_retr, "t_reset_retr()",
		"Makes them the parameters' again.", .rfc = "3261 17.1"),
	FN("t_set_max_lifetime", 2, 2, FAST, SETTING_IN, run_set_max_lifetime,
		"t_set_max_lifetime(invite, other)",
		"Bounds the time that the transaction may wait for final responses, in ms."),
	FN("t_reset_max_lifetime", 0, 0, FAST, SETTING_IN, run_reset_max_lifetime,
		"t_reset_max_lifetime()", "Makes it the parameters' again."),
	FN("t_set_auto_inv_100", 1, 1, FAST, ROUTE_IN_REQUEST, run_set_auto_inv_100,
		"t_set_auto_inv_100(0|1)", "Whether t_relay() answers this INVITE with 100.",
		.rfc = "3261 17.2.1"),
	FN("t_set_disable_6xx", 1, 1, FAST, SETTING_IN, run_set_disable_6xx,
		"t_set_disable_6xx(0|1)", "Whether a 6xx leaves the other branches alone.",
		.rfc = "3261 16.7"),
	FN("t_set_disable_failover", 1, 1, FAST, SETTING_IN, run_set_disable_failover,
		"t_set_disable_failover(0|1)",
		"Whether a next hop's further addresses are left alone.", .rfc = "3263 4.3"),
	FN("t_cancel_branches", 1, 1, SLOW, ROUTE_IN_REPLY, run_cancel_branches,
		"t_cancel_branches(\"all\" | \"others\" | \"this\")",
		"Cancels branches that have no final response.", .rfc = "3261 9.1, 16.10"),
	{.name = NULL},
};

#define INT(n, field, least, most, start, what) \
	{ \
		.name = n, .type = ROUTE_PARAM_INT, .offset = offsetof(struct tm_config, field), \
		.min = least, .max = most, .initial = start, .help = what \
	}
#define TEXT(n, field, start, what) \
	{ \
		.name = n, .type = ROUTE_PARAM_STR, .offset = offsetof(struct tm_config, field), \
		.initial = start, .help = what \
	}
#define NO_EFFECT(n, kind, why) \
	{ \
		.name = n, .type = kind, .accepted_only = true, .help = why \
	}
#define SECONDS_MAX 300 /* what is below it looks like seconds */
#define HOURS_10 36000000
#define HOUR 3600000
#define KNOWN "Known from OpenSER and Kamailio."

static const struct route_param params[] = {
	INT("fr_timer", fr_timer, 1, HOUR, "30000",
		"ms that a branch may take to its first response; of other requests than INVITE, "
		"to its final one (timers B, F)."),
	INT("fr_inv_timer", fr_inv_timer, 1, HOUR, "120000",
		"ms from a provisional response of an INVITE to its final one (Timer C)."),
	INT("wt_timer", wt_timer, 1, HOUR, "5000",
		"ms that ACKs to a failure are absorbed (Timer I)."),
	INT("max_inv_lifetime", max_inv_lifetime, 1, HOURS_10, "180000",
		"ms after which an INVITE is answered 408, whatever its branches do."),
	INT("max_noninv_lifetime", max_noninv_lifetime, 1, HOURS_10, "32000",
		"ms after which nothing is waited for by another request."),
	INT("retr_timer1", retr_timer1, 1, 60000, "500",
		"T1 in ms: the first retransmission; 64 times as long, final replies stand "
		"(timers D, H, J, L, M)."),
	INT("retr_timer2", retr_timer2, 1, 60000, "4000",
		"T2 in ms: the longest time between retransmissions, those of INVITE apart, which "
		"go on doubling."),
	INT("auto_inv_100", auto_inv_100, 0, 1, "1", "Whether t_relay() answers INVITE with 100."),
	TEXT("auto_inv_100_reason", auto_inv_100_reason, "trying -- your call is important to us",
		"The reason phrase of that 100."),
	INT("restart_fr_on_each_reply", restart_fr_on_each_reply, 0, 1, "1",
		"Whether each provisional response starts fr_inv_timer anew; else the first, and "
		"those from 180 on that are higher than before."),
	INT("failure_reply_mode", failure_reply_mode, 0, 3, "3",
		"Failures that count no more behind a failure_route: 0 none are dropped, 1 all "
		"are, 2 those of the last t_relay(), 3 all where it relays anew."),
	INT("faked_reply_prio", faked_reply_prio, -10000, 10000, "0",
		"Added to the rank of a 408 of ours among failures; the lowest rank wins."),
	INT("aggregate_challenges", aggregate_challenges, 0, 1, "1",
		"Whether a 401 or 407 carries the challenges of all branches (RFC 3261 16.7)."),
	INT("remap_503_500", remap_503_500, 0, 1, "1",
		"Whether a 503 is passed on as 500 (RFC 3261 16.7)."),
	INT("disable_6xx_block", disable_6xx_block, 0, 1, "0",
		"Whether a 6xx leaves the other branches alone."),
	INT("unmatched_cancel", unmatched_cancel, 0, 2, "0",
		"What t_relay() does with a CANCEL of nothing here: 0 and 1 forward it without "
		"state (RFC 3261 16.10), 2 drops it."),
	INT("local_cancel_reason", local_cancel_reason, 0, 1, "1",
		"Whether a CANCEL for another branch's final response says so (RFC 3326)."),
	INT("e2e_cancel_reason", e2e_cancel_reason, 0, 1, "1",
		"Whether the Reason of the client's CANCEL goes on (RFC 3326)."),
	INT("dns_failover", dns_failover, 0, 1, "1",
		"Whether the next address of a next hop is tried where one gives no answer, or 503 "
		"(RFC 3263 4.3)."),
	TEXT("failover_reply_codes", failover_reply_codes, NULL,
		"Further responses that lead to the next address: \"code=403;class=5\"."),
	INT("default_code", default_code, 400, 699, "500",
		"The status of t_reply() where its own is none."),
	TEXT("default_reason", default_reason, "Server Internal Error", "Its reason phrase."),
	INT("reply_408_code", reply_408_code, 400, 699, "408",
		"The status of an INVITE that nobody answered."),
	TEXT("reply_408_reason", reply_408_reason, "Request Timeout", "Its reason phrase."),
	TEXT("fr_timer_avp", fr_timer_avp, NULL,
		"An AVP with the fr_timer of its transaction, in seconds."),
	TEXT("fr_inv_timer_avp", fr_inv_timer_avp, NULL,
		"An AVP with the fr_inv_timer of its transaction, in seconds."),
	NO_EFFECT("noisy_ctimer", ROUTE_PARAM_INT, "An INVITE that times out is always answered."),
	NO_EFFECT("cancel_b_method", ROUTE_PARAM_INT,
		"CANCEL waits for a provisional response (RFC 3261 9.1), which is 1."),
	NO_EFFECT("delete_timer", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("own_timer_proc", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("unix_tx_timeout", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("pass_provisional_replies", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("reparse_on_dns_failover", ROUTE_PARAM_INT,
		"The branch_route runs again for the next address."),
	NO_EFFECT("reparse_invite", ROUTE_PARAM_INT,
		"ACK and CANCEL are always made from the INVITE that was sent."),
	NO_EFFECT("ruri_matching", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("via1_matching", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("callid_matching", ROUTE_PARAM_INT, "The Call-ID is always compared."),
	NO_EFFECT("reply_matching", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("delayed_reply", ROUTE_PARAM_INT,
		"What t_relay() failed for is replied at the script's end, which is 1."),
	NO_EFFECT("failure_exec_mode", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("tw_append", ROUTE_PARAM_STR, KNOWN),
	NO_EFFECT("blst_503", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("blst_503_def_timeout", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("blst_503_min_timeout", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("blst_503_max_timeout", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("blst_methods_add", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("blst_methods_lookup", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("ac_extra_hdrs", ROUTE_PARAM_STR, KNOWN),
	NO_EFFECT("on_sl_reply", ROUTE_PARAM_STR, KNOWN),
	NO_EFFECT("local_ack_mode", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("local_ack_branch_mode", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("relay_100", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("rich_redirect", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("xavp_contact", ROUTE_PARAM_STR, KNOWN),
	NO_EFFECT("e2e_cancel_hop_by_hop", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("headers_mode", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("exec_time_check", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("reply_relay_mode", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("callid_cseq_matching", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("event_callback", ROUTE_PARAM_STR, KNOWN),
	NO_EFFECT("dns_reuse_rcv_socket", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("enable_uac_fr", ROUTE_PARAM_INT, KNOWN),
	NO_EFFECT("contacts_avp", ROUTE_PARAM_STR, "t_load_contacts() needs no AVP."),
	NO_EFFECT("contact_flows_avp", ROUTE_PARAM_STR, "t_next_contacts() needs no AVP."),
	{.name = NULL},
};

/* OpenSER counted seconds: 30 of them are not meant to be 30 ms. */
static int prepare(void *room, const void *config, struct route_report *report, void **prepared)
{
	const struct tm_config *c = config;

	*prepared = NULL;
	if (c->fr_timer < SECONDS_MAX || c->fr_inv_timer < SECONDS_MAX)
		route_warning(report, NULL,
			"module 'tm': fr_timer (%d) and fr_inv_timer (%d) are in milliseconds",
			(int)c->fr_timer, (int)c->fr_inv_timer);
	return 0;
}

const struct route_module txn_module = {.name = "tm",
	.functions = txn_functions,
	.params = params,
	.config_size = sizeof(struct tm_config),
	.prepare = prepare};
