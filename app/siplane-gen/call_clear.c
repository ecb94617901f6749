/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is done for the other side's sake, and no scenario says: a call that failed is cancelled or
 * ended, a 2xx that nobody wants is acknowledged and ended, a reliable 1xx gets its PRACK.
 */
#include "calls.h"

/* PRACKs of a call of which nothing is known may have taken numbers behind its INVITE's; a gap is
 * no fault (RFC 3261 12.2.2). */
#define CSEQ_GAP 256

static struct build build_of(
	struct calls *c, uint16_t port, uint64_t ref, uint32_t cseq, uint64_t now)
{
	const struct bind *bind = c->config.bind;

	return (struct build){
		.local = {.addr = bind->local, .port = (uint16_t)(bind->port_first + port)},
		/* Nothing is measured by it: only unique. */
		.time = now ^ (uint64_t)++c->strays << 40,
		.ref = ref,
		.cseq = cseq,
		.target_uri = str_c(bind->target_uri),
	};
}

/* A request that waits for its answer beside the steps. */
static void put_errand(struct calls *c, uint32_t id, uint16_t port, struct packet *p,
	enum sip_method method, uint64_t ref, uint64_t now)
{
	if (p->len != 0)
		call_put(c, port, p, method, ref, false);
	errand_go(c, id, p, now);
}

void call_ack_answer(struct calls *c, const struct packet *in, uint64_t now)
{
	uint64_t ref = (uint64_t)c->run << 52 | (uint64_t)ORDINAL_ACK << 44 | ERRAND_PLACE;
	struct packet *p = outbox_next(c->config.out);
	struct build b = build_of(c, in->port, ref, c->msg.cseq_number, now);

	if (p == NULL)
		return;
	p->len = build_from_answer(
		&b, &c->msg, in->text, SIP_METHOD_ACK, p->text, c->config.out->io->room);
	if (p->len == 0)
		return;
	call_put(c, in->port, p, SIP_METHOD_ACK, ref, false);
}

void call_unwanted(struct calls *c, struct call *call, const struct packet *in, uint64_t now)
{
	uint32_t id, cseq;
	struct packet *p;
	struct build b;

	if (!answer_is_to(&c->msg, in->text, in->len, SIP_METHOD_INVITE))
		return;
	call_ack_answer(c, in, now);
	if (call != NULL && call->cleared)
		return;
	p = outbox_next(c->config.out);
	if (p == NULL)
		return;
	cseq = call != NULL ? call->cseq + 1 : c->msg.cseq_number + CSEQ_GAP;
	id = errand_new(c);
	b = build_of(c, in->port, errand_reference(c, id), cseq, now);
	p->len = build_from_answer(
		&b, &c->msg, in->text, SIP_METHOD_BYE, p->text, c->config.out->io->room);
	put_errand(c, id, in->port, p, SIP_METHOD_BYE, b.ref, now);
}

void call_cancel(struct calls *c, struct call *call, uint64_t now)
{
	struct packet *p;
	struct str invite;

	if (call->cancelled || call->invite_ns == 0)
		return;
	invite = call_invite(c, call);
	p = outbox_next(c->config.out);
	if (p == NULL)
		return;
	p->len = build_cancel(&c->msg, invite, p->text, c->config.out->io->room);
	if (p->len == 0)
		return;
	call->cancelled = true;
	call->cancel = errand_new(c);
	put_errand(c, call->cancel, call->port, p, SIP_METHOD_CANCEL,
		call_reference(c, call, call->invite), now);
}

/* The dialog of a call that failed. */
static void bye(struct calls *c, struct call *call, uint64_t now)
{
	struct str invite = call_invite(c, call);
	struct packet *p = outbox_next(c->config.out);
	uint32_t id;
	struct build b;

	if (p == NULL)
		return;
	call->over = true;
	id = errand_new(c);
	b = build_of(c, call->port, errand_reference(c, id), call->cseq + 1, now);
	p->len = build_bye(&b, &c->msg, invite, call, c->text[call - c->call], p->text,
		c->config.out->io->room);
	put_errand(c, id, call->port, p, SIP_METHOD_BYE, b.ref, now);
}

void call_abort(struct calls *c, struct call *call, enum gen_fail why, uint64_t now)
{
	enum sip_method method = c->config.template[call->message].method;

	/* What has not been answered at all cannot be cancelled (RFC 3261 9.1). */
	if (call->state == CALL_ASKING && method == SIP_METHOD_INVITE && call->gave_up &&
		call->answered)
		call_cancel(c, call, now);
	if (call->has_dialog && !call->over && call->invite_ns != 0)
		bye(c, call, now);
	call_fail(c, call, why);
}

void call_prack(struct calls *c, struct call *call, const struct packet *in, uint64_t now)
{
	const struct sip_header *h;
	struct packet *p;
	struct build b;
	char rack[64];
	uint32_t rseq, id;

	if (sip_msg_index(&c->msg, in->text, in->len) != SIP_OK ||
		!sip_msg_cseq(&c->msg, in->text) ||
		!sip_msg_list_has(&c->msg, in->text, SIP_HEADER_REQUIRE, STR("100rel")))
		return;
	h = sip_msg_header_named(&c->msg, in->text, STR("RSeq"));
	if (h == NULL ||
		str_to_u32(sip_text(in->text, sip_header_value(h)), SIP_CSEQ_MAX, &rseq) != 0 ||
		rseq == 0)
		return;
	/* One that comes again has its PRACK under way; one that is ahead comes again. */
	if (call->rseq != 0 && rseq != call->rseq + 1)
		return;
	p = outbox_next(c->config.out);
	if (p == NULL)
		return;
	id = errand_new(c);
	b = build_of(c, call->port, errand_reference(c, id), call->cseq + 1, now);
	b.more = str_of(rack, (size_t)snprintf(rack, sizeof(rack), "RAck: %u %u INVITE\r\n", rseq,
				      c->msg.cseq_number));
	p->len = build_from_answer(
		&b, &c->msg, in->text, SIP_METHOD_PRACK, p->text, c->config.out->io->room);
	if (p->len != 0) {
		call->rseq = rseq;
		call->cseq++;
	}
	put_errand(c, id, call->port, p, SIP_METHOD_PRACK, b.ref, now);
}
