/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of module "tm": t_relay and its kin, replies, which transaction a message has. */
#include <string.h>

#include "txn/module_tm.h"

#define PROXY_TEXT_MAX 300

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

/* Whether a text names a transport or a port behind its host: "udp:host", "host:port". The colons
 * of an IPv6 address are in its brackets. */
static bool has_colon(struct str text)
{
	int64_t open = str_find(text, '['), close = str_find(text, ']');

	if (open >= 0 && close > open)
		return str_find(str_of(text.s, (size_t)open), ':') >= 0 ||
		       str_find(str_of(text.s + close, text.len - (size_t)close), ':') >= 0;
	return str_find(text, ':') >= 0;
}

TM_RUN(tm_relay)
{
	char uri[PROXY_TEXT_MAX];
	struct str du = STR_NONE;
	int64_t port = 0;

	if (args->n == 0 || is_flags(&args->v[0]))
		return txn_relay(args->room, ctx, STR_NONE);
	/* (host, port), or OpenSER's (proxy, flags), where the proxy has its own port */
	if (args->n > 1 && !has_colon(args->v[0].s) && !tm_number(&args->v[1], UINT16_MAX, &port))
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

	if (!tm_number(&args->v[0], 699, &status) || status < 100) {
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

TM_RUN(tm_reply)
{
	return run_reply_in(ctx, args, false, false);
}

TM_RUN(tm_send_reply)
{
	return run_reply_in(ctx, args, true, false);
}

TM_RUN(tm_reply_error)
{
	return run_reply_in(ctx, args, false, true);
}

TM_CHECK(tm_check_reply)
{
	int64_t status;

	if (arg[0].constant && (!tm_number(&arg[0].value, 699, &status) || status < 100)) {
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

TM_RUN(tm_newtran)
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
	return begin == TXN_BEGIN_ABSORBED ? ROUTE_EXIT : tm_truth(begin == TXN_BEGIN_NEW);
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
		ret = tm_truth(what != LOOKUP_CANCEL);
	} else if (ctx->msg.is_response) {
		ret = ROUTE_FALSE;
	} else {
		bool cancel = ctx->msg.method == SIP_METHOD_CANCEL;

		t = what == LOOKUP_CANCEL && !cancel ? NULL : txn_find_request(s, ctx);
		ret = tm_truth(t != NULL);
		if (t != NULL && what == LOOKUP_CHECK && !cancel &&
			txn_server_take(s, t, ctx) != TXN_NONE) {
			txn_state(ctx)->flags |= STATE_ABSORBED;
			ret = ROUTE_EXIT;
		}
	}
	txn_leave(s, before);
	return ret;
}

TM_RUN(tm_check_trans)
{
	return lookup(ctx, args, LOOKUP_CHECK);
}

TM_RUN(tm_lookup_request)
{
	return lookup(ctx, args, LOOKUP_REQUEST);
}

TM_RUN(tm_lookup_cancel)
{
	return lookup(ctx, args, LOOKUP_CANCEL);
}

TM_RUN(tm_release)
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
	return tm_truth(found);
}
