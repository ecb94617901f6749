/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages of a call on their way out: the scenario's, and the ACK that each failed INVITE gets.
 */
#include <errno.h>

#include "calls.h"

uint64_t call_reference(const struct calls *c, const struct call *call, unsigned ordinal)
{
	return (uint64_t)c->run << 52 | (uint64_t)ordinal << 44 |
	       (uint64_t)(call->generation & 0xfffff) << GEN_CALLS_BITS |
	       (uint64_t)(call - c->call);
}

/* What the message's fields are, for a first transmission and for every other. */
static void call_fill(
	const struct calls *c, const struct call *call, const struct template *t, struct fill *f)
{
	*f = (struct fill){
		.bind = c->config.bind,
		.call = call,
		.text = c->text[call - c->call],
		.time = call->sent_ns,
		.ref = call_reference(c, call, call->ordinal),
		.cseq = call->cseq,
		.local_port = (uint16_t)(c->config.bind->port_first + call->port),
		.digest_user = c->config.digest_user,
		.digest_password = c->config.digest_password,
		.room = c->config.out->io->room,
	};
	if (t->method == SIP_METHOD_ACK || t->method == SIP_METHOD_CANCEL) {
		f->cseq = call->invite_cseq;
		f->time = call->invite_ns;
		f->ref = call_reference(
			c, call, call->invite | (t->method == SIP_METHOD_ACK ? ORDINAL_ACK : 0));
	}
}

void call_put(struct calls *c, const struct call *call, struct packet *p, enum sip_method method,
	uint64_t ref, bool again)
{
	p->port = call->port;
	p->peer = c->config.bind->target;
	p->mac = 0;
	p->method = (uint8_t)method;
	p->ref = ref;
	p->again = again;
	outbox_put(c->config.out);
	c->result->sent++;
	c->result->sent_by[method]++;
	c->result->retransmissions += again;
}

int call_transmit(struct calls *c, struct call *call, unsigned message, bool again)
{
	const struct template *t = &c->config.template[message];
	struct packet *p = outbox_next(c->config.out);
	struct fill f;

	if (p == NULL)
		return -ENOBUFS;
	call_fill(c, call, t, &f);
	p->len = template_fill(t, &f, p->text);
	if (p->len == 0)
		return -EBADMSG;
	call_put(c, call, p, t->is_response ? SIP_METHOD_NONE : t->method, f.ref, again);
	return 0;
}

unsigned call_owed(const struct call *call)
{
	return call->told > call->came + 1U ? call->told - call->came - 1U : 0;
}

int call_send(struct calls *c, struct call *call, unsigned message, uint64_t now)
{
	const struct template *t = &c->config.template[message];
	int rc;

	if (t->method == SIP_METHOD_ACK) {
		call->ack = (uint8_t)(message + 1);
	} else if (t->method == SIP_METHOD_CANCEL) {
		call->cancelled = true;
	} else {
		call->ordinal = (uint8_t)((call->ordinal + 1) % ORDINALS);
		call->cseq++;
		call->sent_ns = now;
		call->from_ns = call->slot_ns != 0 ? call->slot_ns : now;
		call->slot_ns = 0;
		call->message = (uint16_t)message;
		call->transmissions = 1;
		call->asked = call->answered = false;
		if (t->digests != 0)
			call->nonce_count++;
		if (t->method == SIP_METHOD_INVITE) {
			call->invite = call->ordinal;
			call->invite_cseq = call->cseq;
			call->invite_ns = now;
			call->invite_message = (uint16_t)message;
			call->ack = 0;
			call->cancelled = false;
			call->lacks = call->lacks || call_owed(call) > 0;
			call->told = call->came = 0;
			call->own = false;
		}
	}
	rc = call_transmit(c, call, message, false);
	if (rc != 0)
		return rc;
	c->result->message[message].sent++;
	c->result->acks += t->method == SIP_METHOD_ACK && call->own;
	return 0;
}

void call_acknowledge(struct calls *c, struct call *call, const struct packet *in)
{
	const struct template *t = &c->config.template[call->invite_message];
	struct packet *p = outbox_next(c->config.out);
	struct call then = *call;
	struct fill f;
	uint32_t n;

	if (p == NULL)
		return;
	/* The INVITE as it was: with what was known then, as far as its transaction goes. */
	then.sent_ns = call->invite_ns;
	then.ordinal = call->invite;
	then.cseq = call->invite_cseq;
	call_fill(c, call, t, &f);
	f.call = &then;
	f.time = call->invite_ns;
	f.cseq = call->invite_cseq;
	f.ref = call_reference(c, call, call->invite);
	f.room = GEN_TEXT_MAX;
	n = template_fill(t, &f, c->scratch);
	p->len = n != 0 ? answer_ack(&c->msg, c->scratch, n, in->text, in->len, p->text,
				  c->config.out->io->room)
			: 0;
	if (p->len == 0)
		return;
	call_put(c, call, p, SIP_METHOD_ACK, f.ref, false);
}

void calls_refused(void *arg, const struct packet *p)
{
	struct calls *c = arg;
	struct gen_result *r = c->result;
	uint32_t slot = (uint32_t)(p->ref & ((1U << GEN_CALLS_BITS) - 1));
	struct call *call = &c->call[slot];

	r->sent--;
	r->sent_by[p->method]--;
	r->retransmissions -= p->again;
	/* The ACK of a 2xx; that of another answer is its INVITE's. */
	if (p->method == SIP_METHOD_ACK && !p->again && (p->ref >> 44 & ORDINAL_ACK) != 0)
		r->acks -= call->own;
	/* Of the request that the call waits for; a retransmission has its next turn. */
	if (p->again || p->method == SIP_METHOD_ACK || p->method == SIP_METHOD_CANCEL ||
		slot >= c->fresh || call->state != CALL_ASKING || call->answered ||
		p->ref != call_reference(c, call, call->ordinal))
		return;
	r->message[call->message].sent--;
	r->expected--;
	call_fail(c, call, GEN_FAIL_SEND);
}
