/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that come to the caller, answered as a UA does (RFC 3261 8.2, 12.2.2): whose dialog they
 * are in is known by our tag, which nobody else's is, and by the other side's.
 */
#include "calls.h"

#define STRANGER_TAG "siplane-gen"

/* What an answer is made of. */
struct reply {
	uint16_t status;
	const char *reason;
	bool describes; /* with the session that the call's INVITE offered */
};

static struct call *find(struct calls *c, const struct packet *in)
{
	const struct sip_address *to = sip_msg_to(&c->msg, in->text);
	const struct sip_address *from = sip_msg_from(&c->msg, in->text);
	struct str ours, theirs, known;
	struct call *call;
	uint64_t tag, ref;
	uint32_t slot;

	if (to == NULL || from == NULL || to->tag.len != 16)
		return NULL;
	ours = sip_text(in->text, to->tag);
	theirs = sip_text(in->text, from->tag);
	if (!template_unhex16(ours.s, &tag))
		return NULL;
	ref = call_of_tag(c, tag);
	slot = (uint32_t)(ref & ((1U << GEN_CALLS_BITS) - 1));
	if (ref >> 52 != c->run || slot >= c->fresh)
		return NULL;
	call = &c->call[slot];
	if (call->state == CALL_FREE || call_tag(c, call) != tag)
		return NULL;
	known = dialog_part(call, c->text[slot], CALL_TO_TAG);
	if (known.len != 0)
		return str_eq(known, theirs) ? call : NULL;
	/* An early dialog is not kept, and no BYE or INVITE comes in one (15). Where the scenario's
	 * messages have no {to_tag} at all, our tag has to do. */
	return c->program_dialog[call->program] && (c->msg.method == SIP_METHOD_BYE ||
							   c->msg.method == SIP_METHOD_INVITE)
		       ? NULL
		       : call;
}

static struct str line_of(const struct sip_msg *msg, const char *buf, enum sip_header_id id)
{
	const struct sip_header *h = sip_msg_header(msg, id, 0);

	return h != NULL ? str_of(buf + h->name, sip_msg_line_end(msg, h) - h->name) : STR_NONE;
}

/* Our Contact and session description are those of the call's INVITE. */
static void describe(
	struct calls *c, const struct call *call, struct build_answer *b, bool body_too)
{
	struct str invite = call_invite(c, call);

	if (sip_msg_index(&c->peer_msg, invite.s, invite.len) != SIP_OK)
		return;
	b->contact = line_of(&c->peer_msg, invite.s, SIP_HEADER_CONTACT);
	if (!body_too || c->peer_msg.body_len == 0)
		return;
	b->content_type = line_of(&c->peer_msg, invite.s, SIP_HEADER_CONTENT_TYPE);
	b->body = str_of(invite.s + c->peer_msg.body, c->peer_msg.body_len);
}

/* false where there was no packet, or it did not fit. `again`: sent again until an ACK comes. */
static bool answer(struct calls *c, struct call *call, const struct packet *in,
	const struct reply *reply, bool again, uint64_t now)
{
	struct packet *p = outbox_next(c->config.out);
	struct build_answer b = {
		.status = reply->status,
		.reason = str_c(reply->reason),
		.to_tag = STR(STRANGER_TAG),
		.peer = in->peer,
	};

	if (p == NULL)
		return false;
	if (call != NULL && call->invite_ns != 0 && reply->status < 300)
		describe(c, call, &b, reply->describes);
	p->len = build_answer(&b, &c->msg, in->text, p->text, c->config.out->io->room);
	if (p->len == 0)
		return false;
	call_put(c, in->port, p, SIP_METHOD_NONE, errand_reference(c, 0), false);
	p->peer = in->peer;
	p->mac = in->mac;
	if (!again)
		return true;
	errand_end(&c->errands, call->reply);
	call->reply = errand_new(c);
	errand_go(c, call->reply, p, now);
	return true;
}

/* A step that waits for just this request is met. */
static bool awaited(struct calls *c, struct call *call, enum sip_method method, uint64_t now)
{
	const struct step *step = call_step(c, call, call->step);

	if (!call->awaiting || step == NULL || step->method != method)
		return false;
	call->awaiting = false;
	call->step++;
	call_go_on(c, call, now);
	return true;
}

/* A re-INVITE while ours is under way (RFC 3261 14.2). */
static bool glares(const struct calls *c, const struct call *call)
{
	return call->state == CALL_ASKING &&
	       c->config.template[call->message].method == SIP_METHOD_INVITE;
}

static void in_dialog(struct calls *c, struct call *call, const struct packet *in, uint64_t now)
{
	enum sip_method method = c->msg.method;
	uint32_t cseq = c->msg.cseq_number;
	bool again = call->peer_asked && cseq == call->remote_cseq;
	bool refreshes = method == SIP_METHOD_INVITE || method == SIP_METHOD_UPDATE;
	/* An UPDATE without an offer gets no answer to one (RFC 3311 5.2). */
	struct reply ok = {200, "OK",
		method == SIP_METHOD_INVITE || method == SIP_METHOD_OPTIONS ||
			(method == SIP_METHOD_UPDATE && c->msg.body_len != 0)};

	if (method == SIP_METHOD_CANCEL) {
		/* What it is about was answered at once (9.2). */
		answer(c, call, in, &ok, false, now);
		return;
	}
	if (call->peer_asked && cseq < call->remote_cseq) {
		answer(c, call, in, &(struct reply){500, "Server Internal Error", false}, false,
			now);
		return;
	}
	if (call->over && method != SIP_METHOD_BYE) {
		answer(c, call, in, &(struct reply){481, "Call/Transaction Does Not Exist", false},
			false, now);
		return;
	}
	if (method == SIP_METHOD_INVITE && glares(c, call)) {
		answer(c, call, in, &(struct reply){491, "Request Pending", false}, false, now);
		return;
	}
	if (!answer(c, call, in, &ok, method == SIP_METHOD_INVITE, now))
		return;
	call->remote_cseq = cseq;
	call->peer_asked = true;
	if (again)
		return;
	if (refreshes)
		dialog_target(&c->msg, in->text, call, c->text[call - c->call]);
	if (method == SIP_METHOD_BYE) {
		/* Our own BYE may cross it: the answer to that one ends the call. */
		bool ended = call->over || call->state == CALL_ENDED;

		call->over = call->peer_over = true;
		if (!awaited(c, call, method, now) && !ended)
			call_fail(c, call, GEN_FAIL_PEER);
	} else {
		awaited(c, call, method, now);
	}
}

void call_requested(struct calls *c, const struct packet *in, uint64_t now)
{
	struct sip_msg *msg = &c->msg;
	const struct sip_address *to;
	struct call *call;

	if (sip_msg_index(msg, in->text, in->len) != SIP_OK || msg->is_response ||
		!sip_msg_cseq(msg, in->text) || msg->cseq_method != msg->method ||
		!sip_msg_has(msg, SIP_HEADER_VIA) || !sip_msg_has(msg, SIP_HEADER_CALL_ID) ||
		(to = sip_msg_to(msg, in->text)) == NULL || sip_msg_from(msg, in->text) == NULL) {
		c->result->malformed++;
		return;
	}
	c->result->received_requests++;
	call = find(c, in);
	if (msg->method == SIP_METHOD_ACK) {
		if (call != NULL && msg->cseq_number == call->remote_cseq)
			errand_end(&c->errands, call->reply);
	} else if (call != NULL) {
		in_dialog(c, call, in, now);
	} else if (to->tag.len == 0 && msg->method == SIP_METHOD_OPTIONS) {
		/* Someone asks whether we are there. */
		answer(c, NULL, in, &(struct reply){200, "OK", false}, false, now);
	} else {
		answer(c, NULL, in, &(struct reply){481, "Call/Transaction Does Not Exist", false},
			false, now);
	}
}
