/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * index: the SIP index and check of each message; keep-alives are answered here.
 */
#include "pipeline/worker.h"

/* CRLF and STUN on the SIP port. */
static bool keepalive(struct worker *w, struct message *msg)
{
	const struct route_origin *o = &msg->ctx->origin;
	struct rte_mbuf *m;
	char answer[128];
	int n = proxy_keepalive(&o->src, msg->text, msg->text_len, answer);

	if (n < 0)
		return false;
	if (n == 0) {
		message_drop(w, msg, COUNTER_DROP_KEEPALIVE);
		return true;
	}
	/* A STUN answer is larger than its request, whose source nobody has verified. */
	if (2 * (uint32_t)n > 3 * msg->text_len &&
		!access_rate_take(w->p->reply_rate, &o->src.addr, w->now)) {
		message_drop(w, msg, COUNTER_PROXY + PROXY_REASON_REPLY_RATE);
		return true;
	}
	m = rte_pktmbuf_alloc(w->p->config.pool);
	if (m == NULL) {
		message_drop(w, msg, COUNTER_DROP_NO_BUFFER);
		return true;
	}
	memcpy(rte_pktmbuf_append(m, (uint16_t)n), answer, (size_t)n);
	*written_add(w) = (struct written){.m = m,
		.to = {.dst = o->src, .listener = o->listener, .destination = -1},
		.kind = TX_ANSWERED,
		.frames = msg->frames};
	msg->fate = FATE_GONE;
	return true;
}

/* Whether the first octet can begin a SIP start line; anything else may be a keep-alive. */
static bool begins_like_sip(const struct message *msg)
{
	return msg->text_len > 0 && str_is_alpha(msg->text[0]);
}

void index_burst(struct worker *w)
{
	for (unsigned i = 0; i < w->batch; i++) {
		struct message *msg = &w->msg[i];
		struct route_ctx *ctx = msg->ctx;

		if (msg->fate != FATE_NONE || msg->held != NULL)
			continue;
		if (i + 1 < w->batch)
			rte_prefetch0(w->msg[i + 1].text);
		if (!begins_like_sip(msg) && keepalive(w, msg))
			continue;
		msg->error = sip_msg_index(&ctx->msg, msg->text, msg->text_len);
		if (msg->error == SIP_OK)
			msg->error = sip_msg_check(&ctx->msg, msg->text);
		if (msg->error == SIP_ERROR_NOT_SIP || msg->error == SIP_ERROR_EMPTY) {
			message_drop(w, msg, COUNTER_SIP + msg->error);
			continue;
		}
		counter_add(w->count,
			ctx->msg.is_response ? COUNTER_SIP_RESPONSES : COUNTER_SIP_REQUESTS, 1);
		ctx->buf = msg->text;
		ctx->script = w->script;
		ctx->thread = &w->thread;
		ctx->received_ns = w->now;
		ctx->frames = (uint16_t)msg->frames;
		route_ctx_reset(ctx);
	}
}
