/* SPDX-License-Identifier: BSD-3-Clause */
/* t_replicate(): a copy of a request, in a transaction of its own that nobody waits for. */
#include "txn/module_tm.h"

#define HOST_MAX 260

static bool is_uri(struct str text)
{
	struct sip_uri uri;

	return sip_uri_parse(text.s, (struct sip_span){0, text.len}, &uri) == 0 &&
	       uri.host.len != 0;
}

/* "sip:host:port" of the two. */
static struct str uri_of(struct str host, int64_t port, char out[HOST_MAX + 16])
{
	struct str parts[] = {STR("sip:"), host, STR(":")};
	uint32_t len = 0;

	if (host.len == 0 || host.len > HOST_MAX || port < 1)
		return STR_NONE;
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		memcpy(out + len, parts[i].s, parts[i].len);
		len += parts[i].len;
	}
	len += str_from_u64(out + len, (uint64_t)port);
	return is_uri(str_of(out, len)) ? str_of(out, len) : STR_NONE;
}

TM_CHECK(tm_check_replicate)
{
	char text[HOST_MAX + 16];
	int64_t port;

	if (n == 1 && arg[0].constant &&
		(arg[0].value.type != ROUTE_STR || !is_uri(arg[0].value.s))) {
		route_error(report, &arg[0].place, "a copy goes to a URI: \"sip:10.0.0.2:5060\"");
		return -EINVAL;
	}
	if (n == 2 && arg[0].constant && arg[1].constant &&
		(arg[0].value.type != ROUTE_STR || !tm_number(&arg[1].value, UINT16_MAX, &port) ||
			uri_of(arg[0].value.s, port, text).len == 0)) {
		route_error(report, &arg[0].place, "a copy goes to a host and a port");
		return -EINVAL;
	}
	return 0;
}

/* A transaction that nobody waits for: its one branch is in `to`. */
static bool replicate(struct txn_shard *s, struct route_ctx *ctx)
{
	struct place *t;
	bool sent;

	if (txn_relay_begin(s, ctx, &t) != TXN_BEGIN_NEW)
		return false;
	t->flags &= (uint16_t) ~(PLACE_BUSY | PLACE_LATE_TRYING);
	t->flags |= PLACE_SILENT | PLACE_NO_FAILOVER;
	t->retr_at = 0;
	sent = txn_branch_send(s, t, ctx, 0, 0, 1) == 0;
	t->state = SERVER_TERMINATED;
	txn_place_settle(s, t);
	return sent;
}

/* What is done to the context for the copy is undone: the request itself goes on as if there were
 * none. */
static int32_t replicate_to(struct txn *room, struct txn_shard *s, struct route_ctx *ctx)
{
	const struct txn_state state = *txn_state(ctx);
	const struct route_result result = ctx->result;
	uint8_t proxy[ROUTE_SCRATCH_BYTES];
	uint16_t edits = ctx->edits.count, text_len = ctx->edits.text_len;
	bool overflow = ctx->edits.overflow;
	int32_t ret;

	memcpy(proxy, ctx->scratch[ROUTE_SCRATCH_PROXY], sizeof(proxy));
	proxy_target_reset(ctx);
	ret = proxy_next_hop(room->proxy, ctx, 0);
	if (ret == ROUTE_TRUE)
		ret = tm_truth(replicate(s, ctx));
	memcpy(ctx->scratch[ROUTE_SCRATCH_PROXY], proxy, sizeof(proxy));
	*txn_state(ctx) = state;
	ctx->edits.count = edits;
	ctx->edits.text_len = text_len;
	ctx->edits.overflow = overflow;
	ctx->result = result;
	return ret == ROUTE_TRUE || ret == ROUTE_PENDING ? ret : ROUTE_FALSE;
}

/* A URI, or a host and a port. */
static bool copy_goes_to(const struct route_args *args, char text[HOST_MAX + 16], struct str *uri)
{
	int64_t port;

	if (args->v[0].type != ROUTE_STR)
		return false;
	*uri = args->v[0].s;
	if (args->n > 1)
		*uri = tm_number(&args->v[1], UINT16_MAX, &port) ? uri_of(args->v[0].s, port, text)
								 : STR_NONE;
	return uri->len != 0;
}

/* INVITE has no copies: somebody would have to acknowledge their 2xx. */
TM_RUN(tm_replicate)
{
	const struct route_text du = ctx->du;
	const struct route_target du_target = ctx->du_target;
	char text[HOST_MAX + 16];
	struct str uri = STR_NONE;
	struct txn_entry before;
	struct txn_shard *s;
	struct place *t;
	int32_t ret = ROUTE_FALSE;

	if (ctx->msg.method == SIP_METHOD_INVITE || ctx->msg.method == SIP_METHOD_ACK ||
		ctx->msg.method == SIP_METHOD_CANCEL)
		return ROUTE_FALSE;
	if (args->n > 0 && !copy_goes_to(args, text, &uri))
		return ROUTE_FALSE;
	s = txn_enter_function(args->room, ctx, &before);
	if (s == NULL)
		return ROUTE_NEEDS_STATE;
	/* Nothing is in hand: the copy is one more message. */
	txn_enter(s, TXN_HAND_NONE, NULL, NULL);
	t = txn_current(s, ctx);
	if (t == NULL && (txn_find_copy(s, ctx) != NULL || txn_find_request(s, ctx) != NULL)) {
		/* Its retransmission: the copy has a transaction for that. */
		ret = ROUTE_TRUE;
	} else if (t == NULL) {
		if (uri.len != 0) {
			ctx->du = route_text_keep(ctx, uri);
			ctx->du_target.valid = false;
		}
		if (uri.len == 0 || ctx->du.space != ROUTE_SPACE_NONE)
			ret = replicate_to(args->room, s, ctx);
		ctx->du = du;
		ctx->du_target = du_target;
	}
	txn_leave(s, before);
	return ret;
}
