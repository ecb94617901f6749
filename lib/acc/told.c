/* SPDX-License-Identifier: BSD-3-Clause */
/* What transactions say, and what is written of it. */
#include "acc/internal.h"

#define ACK_NS (32 * CLOCK_NS_PER_S) /* 64*T1: copies of an ACK */

bool acc_wants(void *arg, enum txn_event event, uint8_t method, uint32_t flags)
{
	const struct acc_settings *s = acc_settings(arg);
	bool accounted = (flags & (s->log_flag | s->db_flag)) != 0;

	switch (event) {
	case TXN_EVENT_FINAL:
		return accounted || (s->cdr && method == SIP_METHOD_BYE);
	case TXN_EVENT_LATE:
		return accounted;
	case TXN_EVENT_AGAIN:
		return s->cdr && method == SIP_METHOD_INVITE;
	case TXN_EVENT_FAILED:
		return method == SIP_METHOD_INVITE &&
		       (flags & (s->log_missed_flag | s->db_missed_flag)) != 0;
	case TXN_EVENT_EARLY:
		return s->early_media && accounted;
	case TXN_EVENT_CANCELLED:
		return s->report_cancels && accounted;
	case TXN_EVENT_ACK:
		return s->report_ack && accounted;
	}
	return false;
}

/* To the log and to the database, where these flags say so. */
static void write_both(struct acc *a, unsigned shard, const struct acc_settings *s,
	struct route_ctx *ctx, const struct acc_record *r, bool log, struct str what, int statement)
{
	struct acc_shard *sh = &a->shard[shard];
	struct acc_value extra[ACC_FIELDS_MAX];

	if (log) {
		acc_extras(a, sh, ctx, &s->log_extra, extra);
		acc_line(a, shard, s, what, r, &s->log_extra, extra);
	}
	if (statement >= 0) {
		acc_extras(a, sh, ctx, &s->db_extra, extra);
		acc_row(a, shard, statement, r, extra, s->db_extra.count, s->extra_nullable);
	}
}

static void write_accounted(struct acc *a, unsigned shard, const struct acc_settings *s,
	struct route_ctx *ctx, const struct acc_record *r, struct str what)
{
	write_both(a, shard, s, ctx, r, (ctx->flags & s->log_flag) != 0, what,
		(ctx->flags & s->db_flag) != 0 ? s->statement_acc : -1);
}

/* ---- final responses ---- */

/* An INVITE that begins a call, or might have. */
static bool is_initial(struct route_ctx *ctx)
{
	const struct sip_address *to = sip_msg_to(&ctx->msg, ctx->buf);

	return ctx->msg.method == SIP_METHOD_INVITE && to != NULL && !sip_present(to->tag);
}

static bool is_written(const struct acc_settings *s, const struct txn_news *news)
{
	uint32_t flags = news->request->flags;

	if ((flags & (s->log_flag | s->db_flag)) == 0)
		return false;
	return news->status < 300 ||
	       ((flags & s->failed_flag) != 0 && !acc_is_filtered(s, news->status));
}

static void final(
	struct acc *a, unsigned shard, const struct acc_settings *s, const struct txn_news *news)
{
	struct acc_shard *sh = &a->shard[shard];
	struct route_ctx *ctx = news->request;
	bool accounted = (ctx->flags & (s->log_flag | s->db_flag)) != 0;
	struct acc_record r;

	acc_record_of(a, sh, s, news, STR_NONE, news->now_ns, &r);
	if (is_written(s, news)) {
		acc_count(sh, news->status < 300 ? ACC_COUNTER_ANSWERED : ACC_COUNTER_FAILED);
		write_accounted(a, shard, s, ctx, &r, STR("transaction answered"));
	}
	if (!s->cdr)
		return;
	if (ctx->msg.method == SIP_METHOD_BYE)
		acc_call_end(a, shard, s, news, &r);
	else if (accounted && is_initial(ctx) && news->status < 300)
		acc_call_begin(a, shard, s, news, &r);
	else if (accounted && is_initial(ctx))
		acc_call_failed(a, shard, s, news, &r);
}

/* Once for each t_relay(): who wants the next one as well sets the flag again. */
static void failed(
	struct acc *a, unsigned shard, const struct acc_settings *s, const struct txn_news *news)
{
	struct acc_shard *sh = &a->shard[shard];
	struct route_ctx *ctx = news->request;
	struct acc_record r;

	acc_record_of(a, sh, s, news, STR_NONE, news->now_ns, &r);
	acc_count(sh, ACC_COUNTER_MISSED);
	write_both(a, shard, s, ctx, &r, (ctx->flags & s->log_missed_flag) != 0, STR("call missed"),
		(ctx->flags & s->db_missed_flag) != 0 ? s->statement_missed : -1);
	ctx->flags &= ~(s->log_missed_flag | s->db_missed_flag);
}

/* ---- the others ---- */

/* Whether this ACK has been accounted already. Where two share a place the older one is forgotten:
 * its next copy would be another row. */
static bool is_copy(struct acc *a, struct acc_shard *sh, struct route_ctx *ctx,
	const struct acc_record *r, uint64_t now_ns)
{
	struct acc_ack *place;
	struct hash h;
	uint64_t digest;

	hash_init(&h, &a->key);
	hash_str(&h, r->call_id);
	hash_str(&h, r->from_tag);
	hash_str(&h, r->to_tag);
	hash_str(&h, sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_CSEQ)));
	digest = hash_final(&h);
	place = &sh->ack[digest % ACC_ACKS];
	if (place->digest == digest && now_ns < place->until_ns)
		return true;
	*place = (struct acc_ack){digest, now_ns + ACK_NS};
	return false;
}

static void other(struct acc *a, unsigned shard, const struct acc_settings *s,
	const struct txn_news *news, struct str what)
{
	struct acc_shard *sh = &a->shard[shard];
	struct acc_record r;

	acc_record_of(a, sh, s, news, news->event == TXN_EVENT_CANCELLED ? STR("CANCEL") : STR_NONE,
		news->now_ns, &r);
	if (news->event == TXN_EVENT_ACK && is_copy(a, sh, news->request, &r, news->now_ns))
		return;
	acc_count(sh, ACC_COUNTER_ANSWERED);
	write_accounted(a, shard, s, news->request, &r, what);
}

/* A script that does without the module, be it behind one that had it, accounts nothing. */
static bool is_ours(struct acc_shard *sh, const struct txn_news *news)
{
	return news->request == NULL ||
	       route_script_module_config_at(news->request->script, "acc", &sh->module_at) != NULL;
}

void acc_told(void *arg, unsigned shard, const struct txn_news *news)
{
	struct acc *a = arg;
	const struct acc_settings *s = acc_settings(a);

	if (shard >= a->config.shards || !is_ours(&a->shard[shard], news))
		return;
	acc_begin(&a->shard[shard]);
	switch (news->event) {
	case TXN_EVENT_FINAL:
	case TXN_EVENT_LATE: /* what has failed is answered after all */
		final(a, shard, s, news);
		break;
	case TXN_EVENT_AGAIN:
		acc_call_again(a, shard, s, news);
		break;
	case TXN_EVENT_FAILED:
		failed(a, shard, s, news);
		break;
	case TXN_EVENT_EARLY:
	case TXN_EVENT_CANCELLED:
		other(a, shard, s, news, STR("transaction answered"));
		break;
	case TXN_EVENT_ACK:
		other(a, shard, s, news, STR("request acknowledged"));
		break;
	}
}

/* ---- by hand ---- */

void acc_by_hand(struct acc *a, struct route_ctx *ctx, struct str comment, bool log,
	const struct acc_fields *db_extra, int statement)
{
	const struct acc_settings *s = acc_settings(a);
	const struct txn_news news = {.request = ctx};
	unsigned shard = ctx->thread->shard;
	struct acc_shard *sh = &a->shard[shard];
	struct acc_value extra[ACC_FIELDS_MAX];
	struct acc_record r;

	acc_begin(sh);
	acc_record_of(a, sh, s, &news, STR_NONE, ctx->thread->now_ns, &r);
	acc_comment(a, sh, comment, &r);
	acc_count(sh, ACC_COUNTER_REQUESTS);
	if (log) {
		acc_extras(a, sh, ctx, &s->log_extra, extra);
		acc_line(a, shard, s, STR("request accounted"), &r, &s->log_extra, extra);
	}
	if (statement >= 0) {
		acc_extras(a, sh, ctx, db_extra, extra);
		acc_row(a, shard, statement, &r, extra, db_extra->count, s->extra_nullable);
	}
}
