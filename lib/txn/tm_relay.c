/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions of module "tm": t_relay and its kin, replies, which transaction a message has. */
#include <string.h>

#include "txn/module_tm.h"

#define PROXY_TEXT_MAX 300

/* The flags of OpenSER's t_relay() and Kamailio's t_relay_to(). */
enum { RELAY_NO_100 = 1, RELAY_NO_REPLY = 2, RELAY_NO_FAILOVER = 4, RELAY_FLAGS = 7 };

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

/* OpenSIPS' names of flags, with commas. False where one is none of them. */
static bool read_names(struct str text, uint64_t *flags)
{
	static const struct {
		struct str name;
		uint64_t flag;
	} names[] = {
		{{"no-auto-477", 11}, RELAY_NO_REPLY},
		{{"no-dns-failover", 15}, RELAY_NO_FAILOVER},
		{{"pass-reason-hdr", 15}, 0},
	};

	*flags = 0;
	for (;;) {
		int64_t comma = str_find(text, ',');
		struct str one = str_trim(str_of(text.s, comma >= 0 ? (size_t)comma : text.len));
		size_t i = 0;

		while (i < sizeof(names) / sizeof(names[0]) && !str_ieq(one, names[i].name))
			i++;
		if (i == sizeof(names) / sizeof(names[0]))
			return false;
		*flags |= names[i].flag;
		if (comma < 0)
			return true;
		text.s += comma + 1;
		text.len -= (uint32_t)comma + 1;
	}
}

/* Whether it is flags ("0x01", 3, "no-dns-failover") and no host. */
static bool read_flags(const struct route_value *v, uint64_t *flags)
{
	static const char digits[] = "0123456789abcdef";
	struct str s = v->type == ROUTE_STR ? str_trim(v->s) : STR_NONE;

	if (v->type != ROUTE_STR) {
		*flags = (uint64_t)v->i;
		return v->type == ROUTE_INT;
	}
	if (!str_istarts(s, STR("0x")))
		return str_to_u64(s, UINT64_MAX, flags) == 0 || read_names(s, flags);
	*flags = 0;
	for (uint32_t i = 2; i < s.len; i++) {
		const char *digit = strchr(digits, str_lower_char(s.s[i]));

		if (digit == NULL || *digit == 0)
			return false;
		*flags = *flags << 4 | (uint64_t)(digit - digits);
	}
	return s.len > 2;
}

/* A proxy, of which no part is missing. */
static bool is_proxy(const struct route_value *v)
{
	uint64_t flags;

	return v->type == ROUTE_STR && !read_flags(v, &flags);
}

/* Written as flags are, and as no port is. */
static bool is_hexadecimal(const struct route_value *v)
{
	return v->type == ROUTE_STR && str_istarts(str_trim(v->s), STR("0x"));
}

/* Whether a text names a port behind its host. The colons of an IPv6 address are in its brackets.
 */
static bool has_port(struct str text)
{
	int64_t close = str_find(text, ']');

	if (str_istarts(text, STR("udp:")))
		close = close > 4 ? close : 4;
	return str_find(str_of(text.s + (close > 0 ? close : 0),
				text.len - (size_t)(close > 0 ? close : 0)),
		       ':') >= 0;
}

/* Of the t_relay()s from here on. RELAY_NO_REPLY is so in any case. */
static void obey(struct txn *room, struct route_ctx *ctx, uint64_t flags)
{
	struct txn_state *state = txn_state(ctx);
	struct txn_shard *s;
	struct place *t;

	if ((flags & RELAY_NO_100) != 0) {
		state->flags &= (uint16_t)~STATE_WANT_100;
		state->flags |= STATE_NO_100;
	}
	if ((flags & RELAY_NO_FAILOVER) == 0)
		return;
	state->flags |= STATE_NO_FAILOVER;
	t = tm_existing(room, ctx, &s);
	if (t != NULL)
		t->flags |= PLACE_NO_FAILOVER;
}

/* SER's (host, port); OpenSER's and Kamailio's (proxy, flags), where the proxy has its own port;
 * OpenSIPS' (flags, proxy); (flags). No port is as low as the flags are; OpenSIPS has more of them,
 * in hexadecimal. */
TM_RUN(tm_relay)
{
	const struct route_value *proxy = args->v;
	uint64_t flags = 0, port = 0;
	char uri[PROXY_TEXT_MAX];
	struct str du;

	if (args->n == 0 || (args->n == 1 && read_flags(proxy, &flags))) {
		obey(args->room, ctx, flags);
		return txn_relay(args->room, ctx, STR_NONE);
	}
	if (args->n > 1 && read_flags(proxy, &flags)) {
		proxy = &args->v[1];
	} else if (args->n > 1) {
		if (!read_flags(&args->v[1], &port))
			return ROUTE_FALSE;
		if (port <= RELAY_FLAGS || is_hexadecimal(&args->v[1])) {
			flags = port;
			port = 0;
		}
	}
	/* The Request-URI does not stand in for one that is missing. */
	if (!is_proxy(proxy) || port > UINT16_MAX)
		return ROUTE_FALSE;
	obey(args->room, ctx, flags);
	du = proxy_uri(proxy->s, has_port(proxy->s) ? 0 : (int64_t)port, uri);
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

static int32_t reply(
	struct txn_shard *s, struct place *t, struct route_ctx *ctx, const struct route_args *args)
{
	const struct tm_config *config = t->config;
	struct str reason = args->v[1].type == ROUTE_STR ? args->v[1].s : STR_NONE;
	int64_t status;

	if (!tm_number(&args->v[0], 699, &status) || status < 100) {
		status = config->default_code;
		reason = str_c(config->default_reason);
	}
	if (server_is_final(t) || !reason_ok(reason) ||
		(status / 100 == 3 && !proxy_reply_targets(ctx)))
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
		ret = reply(s, t, ctx, &own);
	}
	txn_leave(s, before);
	return ret;
}

TM_RUN(tm_reply)
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

enum lookup { LOOKUP_CHECK, LOOKUP_REQUEST, LOOKUP_CANCEL, LOOKUP_OTHER };

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
		ret = tm_truth(what == LOOKUP_CHECK || what == LOOKUP_REQUEST);
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

/* Of the transaction that a CANCEL is about. */
static void take_flags(struct txn *room, struct route_ctx *ctx)
{
	struct txn_entry before;
	struct txn_shard *s = txn_enter_function(room, ctx, &before);
	const struct place *t = s != NULL ? txn_find_request(s, ctx) : NULL;

	if (t != NULL && t->saved != MEMORY_NONE)
		ctx->flags = route_ctx_saved_flags(memory_at(&s->memory, t->saved));
	if (s != NULL)
		txn_leave(s, before);
}

TM_RUN(tm_lookup_request)
{
	return lookup(ctx, args, LOOKUP_REQUEST);
}

/* Another copy of the request made a transaction: one's own is no answer, and an ACK or a CANCEL
 * has none to be looked for. */
TM_RUN(tm_precheck_trans)
{
	if (ctx->msg.method == SIP_METHOD_ACK || ctx->msg.method == SIP_METHOD_CANCEL)
		return ROUTE_FALSE;
	return lookup(ctx, args, LOOKUP_OTHER);
}

/* With 1 the flags become those of the INVITE. */
TM_RUN(tm_lookup_cancel)
{
	int32_t ret = lookup(ctx, args, LOOKUP_CANCEL);
	int64_t take = 0;

	if (ret == ROUTE_TRUE && args->n > 0 && tm_number(&args->v[0], INT32_MAX, &take) &&
		take == 1)
		take_flags(args->room, ctx);
	return ret;
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
