/* SPDX-License-Identifier: BSD-3-Clause */
/* Which transaction a message belongs to. The index is asked by 64 bits of the transaction key; all
 * else is compared here. */
#include "txn/internal.h"

uint32_t txn_method_hash(struct str method)
{
	uint32_t v = 2166136261U;

	/* No table hangs on it: it only tells methods without a number from each other. */
	for (uint32_t i = 0; i < method.len; i++)
		v = (v ^ (unsigned char)method.s[i]) * 16777619U;
	return v;
}

/* Whether a message of this method belongs to the transaction: its own, or for an INVITE what goes
 * with it. */
static bool method_fits(const struct place *t, uint8_t method, struct str text, bool with_ack)
{
	if (t->method == SIP_METHOD_INVITE &&
		(method == SIP_METHOD_CANCEL || (with_ack && method == SIP_METHOD_ACK)))
		return true;
	return t->method == method &&
	       (method != SIP_METHOD_OTHER || t->method_hash == txn_method_hash(text));
}

/* With or without those of t_replicate(), whose client hears nothing of them. */
static struct place *find_request(struct txn_shard *s, struct route_ctx *ctx, uint16_t silent)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	struct hash128 key = proxy_transaction_key(s->t->proxy, ctx);
	unsigned n = digest_index_find(s->index, key.lo, found);
	uint64_t call_id;

	if (n == 0)
		return NULL;
	call_id = proxy_call_id_digest(s->t->proxy, ctx).lo;
	if (!sip_msg_cseq(&ctx->msg, ctx->buf))
		return NULL;
	for (unsigned i = 0; i < n; i++) {
		struct place *t = &s->place[found[i]];

		if (t->key.lo == key.lo && t->key.hi == key.hi && t->call_id == call_id &&
			t->cseq == ctx->msg.cseq_number && (t->flags & PLACE_SILENT) == silent &&
			method_fits(
				t, ctx->msg.method, sip_text(ctx->buf, ctx->msg.method_text), true))
			return t;
	}
	return NULL;
}

struct place *txn_find_request(struct txn_shard *s, struct route_ctx *ctx)
{
	return find_request(s, ctx, 0);
}

struct place *txn_find_copy(struct txn_shard *s, struct route_ctx *ctx)
{
	return find_request(s, ctx, PLACE_SILENT);
}

struct place *txn_find_response(
	struct txn_shard *s, struct route_ctx *ctx, const struct proxy_branch *at)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	unsigned n = digest_index_find(s->index, at->key, found);
	uint64_t call_id;

	if (n == 0 || !sip_msg_cseq(&ctx->msg, ctx->buf))
		return NULL;
	call_id = proxy_call_id_digest(s->t->proxy, ctx).lo;
	for (unsigned i = 0; i < n; i++) {
		struct place *t = &s->place[found[i]];

		if (t->key.lo == at->key && t->numbers == at->branch / TXN_BRANCHES_MAX &&
			t->call_id == call_id && t->cseq == ctx->msg.cseq_number &&
			method_fits(t, ctx->msg.cseq_method,
				sip_text(ctx->buf, ctx->msg.cseq_method_text), false))
			return t;
	}
	return NULL;
}
