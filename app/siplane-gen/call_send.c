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

/*
 * Bijective, so that the call is found again, and with the process in it, so that it is no other
 * process's.
 */
#define TAG_FACTOR 0x9e3779b97f4a7c15ULL
#define TAG_INVERSE 0xf1de83e19937733dULL /* TAG_FACTOR times this is 1 */

uint64_t call_tag(const struct calls *c, const struct call *call)
{
	return (call_reference(c, call, call->dialog & 0xff) ^ c->config.bind->process) *
	       TAG_FACTOR;
}

uint64_t call_of_tag(const struct calls *c, uint64_t tag)
{
	return tag * TAG_INVERSE ^ c->config.bind->process;
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
		.tag = call_tag(c, call),
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

void call_put(struct calls *c, uint16_t port, struct packet *p, enum sip_method method,
	uint64_t ref, bool again)
{
	p->port = port;
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
	call_put(c, call->port, p, t->is_response ? SIP_METHOD_NONE : t->method, f.ref, again);
	/* It waits for its own answer, while the call waits for the INVITE's (RFC 3261 9.1). */
	if (t->method == SIP_METHOD_CANCEL && !t->is_response) {
		errand_end(&c->errands, call->cancel);
		call->cancel = errand_new(c);
		errand_go(c, call->cancel, p, c->now);
	}
	return 0;
}

unsigned call_owed(const struct call *call)
{
	return call->told > call->came + 1U ? call->told - call->came - 1U : 0;
}

/*
 * An INVITE outside of a dialog begins a new one: what is known of the last one goes. Its Call-ID
 * and tag are new, too, unless it is the same INVITE's second try (RFC 3261 8.1.1.4, 8.1.3).
 */
static void begin_dialog(struct calls *c, struct call *call)
{
	call->dialog += call->cseq > 1 && !call->retry;
	dialog_forget(call, c->text[call - c->call], !call->redirected);
	call->has_dialog = call->over = call->peer_over = false;
	call->redirected = call->peer_asked = false;
}

static void begin_invite(struct calls *c, struct call *call, unsigned message, uint64_t now)
{
	const struct template *t = &c->config.template[message];

	if (!call->has_dialog || call->over || t->to_tags == 0)
		begin_dialog(c, call);
	call->invite = call->ordinal;
	call->invite_cseq = call->cseq;
	call->invite_ns = now;
	call->invite_message = (uint16_t)message;
	call->ack = 0;
	call->rseq = 0;
	call->cancelled = call->cleared = call->retry = false;
	call->lacks = call->lacks || call_owed(call) > 0;
	call->told = call->came = 0;
	call->own = false;
}

/* A new request, other than ACK and CANCEL, which belong to one that was. */
static void begin_request(struct calls *c, struct call *call, unsigned message, uint64_t now)
{
	const struct template *t = &c->config.template[message];

	call->ordinal = (uint8_t)((call->ordinal + 1) % ORDINALS);
	call->cseq++;
	call->sent_ns = now;
	call->from_ns = call->slot_ns != 0 ? call->slot_ns : now;
	call->slot_ns = 0;
	call->message = (uint16_t)message;
	call->transmissions = 1;
	call->asked = call->answered = false;
	for (unsigned i = 0; i < 2 && t->digests != 0; i++)
		call->nonce_count[i]++;
	if (t->method == SIP_METHOD_INVITE)
		begin_invite(c, call, message, now);
	else if (t->method == SIP_METHOD_BYE)
		call->over = true;
}

int call_send(struct calls *c, struct call *call, unsigned message, uint64_t now)
{
	const struct template *t = &c->config.template[message];
	int rc;

	c->now = now;
	if (t->method == SIP_METHOD_ACK)
		call->ack = (uint8_t)(message + 1);
	else if (t->method == SIP_METHOD_CANCEL)
		call->cancelled = true;
	else
		begin_request(c, call, message, now);
	rc = call_transmit(c, call, message, false);
	if (rc != 0)
		return rc;
	c->result->message[message].sent++;
	c->result->acks += t->method == SIP_METHOD_ACK && call->own;
	return 0;
}

int call_authorize(struct calls *c, struct call *call, uint64_t now)
{
	int rc;

	call->authorizations++;
	if (!call->has_dialog && c->config.template[call->message].method == SIP_METHOD_INVITE)
		call->retry = true;
	rc = call_send(c, call, call->message, now);
	if (rc == 0)
		call_ask(c, call, now);
	return rc;
}

struct str call_invite(struct calls *c, const struct call *call)
{
	const struct template *t = &c->config.template[call->invite_message];
	struct call then = *call;
	struct fill f;

	/* With what was known then, as far as its transaction goes. */
	then.sent_ns = call->invite_ns;
	then.ordinal = call->invite;
	then.cseq = call->invite_cseq;
	call_fill(c, call, t, &f);
	f.call = &then;
	f.time = call->invite_ns;
	f.cseq = call->invite_cseq;
	f.ref = call_reference(c, call, call->invite);
	f.room = GEN_TEXT_MAX;
	return str_of(c->scratch, template_fill(t, &f, c->scratch));
}

void call_acknowledge(struct calls *c, struct call *call, const struct packet *in)
{
	struct str invite = call_invite(c, call);
	struct packet *p = outbox_next(c->config.out);

	if (p == NULL)
		return;
	p->len = build_ack(
		&c->msg, invite, str_of(in->text, in->len), p->text, c->config.out->io->room);
	if (p->len == 0)
		return;
	call_put(c, call->port, p, SIP_METHOD_ACK, call_reference(c, call, call->invite), false);
}

void calls_refused(void *arg, const struct packet *p)
{
	struct calls *c = arg;
	struct gen_result *r = c->result;
	uint32_t slot = (uint32_t)(p->ref & ((1U << GEN_CALLS_BITS) - 1));
	struct call *call;

	r->sent--;
	r->sent_by[p->method]--;
	r->retransmissions -= p->again;
	if (slot >= c->fresh)
		return; /* beside the calls: it is sent again, or comes again */
	call = &c->call[slot];
	/* The ACK of a 2xx; that of another answer is its INVITE's. */
	if (p->method == SIP_METHOD_ACK && !p->again && (p->ref >> 44 & ORDINAL_ACK) != 0)
		r->acks -= call->own;
	/* Of the request that the call waits for; a retransmission has its next turn. */
	if (p->again || p->method == SIP_METHOD_ACK || p->method == SIP_METHOD_CANCEL ||
		call->state != CALL_ASKING || call->answered ||
		p->ref != call_reference(c, call, call->ordinal))
		return;
	r->message[call->message].sent--;
	r->expected--;
	call_fail(c, call, GEN_FAIL_SEND);
}
