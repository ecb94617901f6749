/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rewrite: writes what leaves into a fresh buffer: the request, the response, or our own reply.
 */
#include "pipeline/worker.h"

/* What a proxy adds at most to a message that still fits a small buffer: Via, two Record-Routes,
 * received, rport. */
#define GROWTH 700

typedef int64_t write_fn(
	struct proxy *p, struct route_ctx *ctx, char *out, uint32_t room, struct proxy_out *to);

static int64_t write_into(struct worker *w, struct message *msg, struct rte_mempool *pool,
	write_fn *write, struct written *out)
{
	int64_t n;

	out->m = rte_pktmbuf_alloc(pool);
	if (out->m == NULL)
		return 0;
	n = write(w->p->config.proxy, msg->ctx, rte_pktmbuf_mtod(out->m, char *),
		rte_pktmbuf_tailroom(out->m), &out->to);
	if (n > 0) {
		out->m->data_len = (uint16_t)n;
		out->m->pkt_len = (uint32_t)n;
	} else {
		rte_pktmbuf_free(out->m);
		out->m = NULL;
	}
	return n;
}

/* Bytes written; 0: no buffer; negative as the room's function says. A message that outgrows a
 * small buffer is written again into a big one. */
static int64_t write_message(
	struct worker *w, struct message *msg, write_fn *write, struct written *out)
{
	int64_t n = -1;

	if (msg->text_len + GROWTH <= PORT_MBUF_ROOM)
		n = write_into(w, msg, w->p->config.pool, write, out);
	if (n < 0)
		n = write_into(w, msg, w->p->config.pool_big, write, out);
	return n;
}

/* A challenge, a redirection, and the contacts of a user, may be longer than other replies, so that
 * a source that is not its own could have it sent to somebody else: as seldom as replies to
 * malformed messages.
 */
bool reply_too_often(struct worker *w, const struct message *msg, unsigned status, uint32_t len)
{
	const struct route_ctx *ctx = msg->ctx;
	bool may_be_long = status == 401 || status == 407 || status / 100 == 3 ||
			   (ctx->msg.method == SIP_METHOD_REGISTER && status / 100 == 2);

	return may_be_long && 2 * (uint64_t)len > 3 * (uint64_t)ctx->msg.len &&
	       !access_rate_take(w->p->reply_rate, &ctx->origin.src.addr, w->now);
}

/* The next place of w->written holds a message, which stays there. */
static void keep(struct worker *w, const struct message *msg, enum tx_kind kind)
{
	struct written *out = written_add(w);

	out->kind = kind;
	out->frames = msg->frames;
}

static void send_reply(struct worker *w, struct message *msg, enum tx_kind kind)
{
	struct written *out = written_next(w);
	int64_t n = write_message(w, msg, proxy_reply_write, out);

	if (n > 0 && reply_too_often(w, msg, msg->ctx->result.status, (uint32_t)n)) {
		rte_pktmbuf_free(out->m);
		n = -(int64_t)PROXY_REASON_REPLY_RATE;
	}
	if (n > 0) {
		keep(w, msg, kind);
		return;
	}
	count_loss(w->count, kind, msg->frames,
		n == 0 ? COUNTER_DROP_NO_BUFFER : COUNTER_PROXY + (unsigned)-n);
}

static void send_request(struct worker *w, struct message *msg)
{
	int64_t n = write_message(w, msg, proxy_request_write, written_next(w));

	if (n == 0) {
		message_drop(w, msg, COUNTER_DROP_NO_BUFFER);
		return;
	}
	if (n < 0) {
		/* It cannot leave: its sender hears why, unless nobody may be answered. */
		if (msg->ctx->msg.method == SIP_METHOD_ACK) {
			message_drop(w, msg, COUNTER_PROXY + PROXY_REASON_ACK_UNROUTABLE);
			return;
		}
		proxy_reply_set(msg->ctx, (uint16_t)-n, STR_NONE);
		send_reply(w, msg, TX_ANSWERED);
		return;
	}
	keep(w, msg, TX_FORWARDED);
	if (msg->ctx->result.reply)
		send_reply(w, msg, TX_OWN);
}

static void send_response(struct worker *w, struct message *msg)
{
	int64_t n = write_message(w, msg, proxy_response_write, written_next(w));

	if (n > 0)
		keep(w, msg, TX_FORWARDED);
	else
		message_drop(
			w, msg, n == 0 ? COUNTER_DROP_NO_BUFFER : COUNTER_PROXY + (unsigned)-n);
}

void rewrite_burst(struct worker *w, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++) {
		struct message *msg = &w->msg[i];

		switch (msg->fate) {
		case FATE_REQUEST:
			send_request(w, msg);
			break;
		case FATE_RESPONSE:
			send_response(w, msg);
			break;
		case FATE_REPLY:
			send_reply(w, msg, TX_ANSWERED);
			break;
		case FATE_NONE:
		case FATE_GONE:
			break;
		}
		msg->fate = FATE_GONE;
	}
}
