/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages that no scenario has: made of those that were sent and of those that came.
 */
#include <errno.h>

#include "internal.h"

struct writer {
	char *out;
	uint32_t len, room;
	bool full;
};

static void put(struct writer *w, struct str s)
{
	if (s.len > w->room - w->len) {
		w->full = true;
		return;
	}
	if (s.len != 0)
		memcpy(w->out + w->len, s.s, s.len);
	w->len += s.len;
}

static void put_number(struct writer *w, uint64_t n)
{
	char text[20];

	put(w, str_of(text, str_from_u64(text, n)));
}

/* A header line as it stands; there has to be one. */
static void put_line(
	struct writer *w, const struct sip_msg *msg, const char *buf, const struct sip_header *h)
{
	if (h == NULL)
		w->full = true;
	else
		put(w, str_of(buf + h->name, sip_msg_line_end(msg, h) - h->name));
}

static void put_first(
	struct writer *w, const struct sip_msg *msg, const char *buf, enum sip_header_id id)
{
	put_line(w, msg, buf, sip_msg_header(msg, id, 0));
}

static void put_start(struct writer *w, enum sip_method method, struct str uri)
{
	put(w, sip_method_name(method));
	put(w, STR(" "));
	put(w, uri);
	put(w, STR(" SIP/2.0\r\n"));
}

static void put_cseq(struct writer *w, uint32_t number, enum sip_method method)
{
	put(w, STR("CSeq: "));
	put_number(w, number);
	put(w, STR(" "));
	put(w, sip_method_name(method));
	put(w, STR("\r\n"));
}

static void put_via(struct writer *w, const struct build *b)
{
	char branch[BRANCH_LEN + 1], host[NET_ENDPOINT_TEXT_MAX];

	memcpy(branch, BRANCH_COOKIE, 8);
	template_hex16(branch + 7, b->time);
	template_hex16(branch + 23, b->ref);
	put(w, STR("Via: SIP/2.0/UDP "));
	put(w, str_of(host, net_endpoint_format(&b->local, host)));
	put(w, STR(";branch="));
	put(w, str_of(branch, BRANCH_LEN));
	put(w, STR(";rport\r\nMax-Forwards: 70\r\n"));
}

static uint32_t finish(struct writer *w)
{
	put(w, STR("Content-Length: 0\r\n\r\n"));
	return w->full ? 0 : w->len;
}

/* What ACK and CANCEL have of their INVITE: all that a proxy goes by (RFC 3261 9.1, 17.1.1.3). */
static bool begin_like_invite(
	struct writer *w, struct sip_msg *msg, struct str invite, enum sip_method method)
{
	if (sip_msg_index(msg, invite.s, invite.len) != SIP_OK || msg->is_response ||
		!sip_msg_cseq(msg, invite.s))
		return false;
	put_start(w, method, sip_text(invite.s, msg->uri_text));
	put_first(w, msg, invite.s, SIP_HEADER_VIA);
	SIP_MSG_FOREACH (msg, SIP_HEADER_ROUTE, h)
		put_line(w, msg, invite.s, h);
	put(w, STR("Max-Forwards: 70\r\n"));
	put_first(w, msg, invite.s, SIP_HEADER_FROM);
	put_first(w, msg, invite.s, SIP_HEADER_CALL_ID);
	put_cseq(w, msg->cseq_number, method);
	return true;
}

uint32_t build_ack(
	struct sip_msg *msg, struct str invite, struct str response, char *out, uint32_t room)
{
	struct writer w = {.out = out, .room = room};

	if (!begin_like_invite(&w, msg, invite, SIP_METHOD_ACK) ||
		sip_msg_index(msg, response.s, response.len) != SIP_OK)
		return 0;
	put_first(&w, msg, response.s, SIP_HEADER_TO);
	return finish(&w);
}

uint32_t build_cancel(struct sip_msg *msg, struct str invite, char *out, uint32_t room)
{
	struct writer w = {.out = out, .room = room};

	if (!begin_like_invite(&w, msg, invite, SIP_METHOD_CANCEL))
		return 0;
	put_first(&w, msg, invite.s, SIP_HEADER_TO);
	return finish(&w);
}

uint32_t build_from_answer(const struct build *b, struct sip_msg *msg, const char *answer,
	enum sip_method method, char *out, uint32_t room)
{
	struct writer w = {.out = out, .room = room};
	struct str uri, route[SIP_VALUES_MAX];
	unsigned routes;

	/* One whose Contact is broken is sent to where the INVITE went: better than nothing. */
	if (dialog_contact(msg, answer, &uri) != 0 || uri.len == 0)
		uri = b->target_uri;
	if (dialog_routes(msg, answer, true, route, &routes) != 0)
		return 0;
	put_start(&w, method, uri);
	put_via(&w, b);
	for (unsigned i = 0; i < routes; i++) {
		put(&w, STR("Route: "));
		put(&w, route[i]);
		put(&w, STR("\r\n"));
	}
	put_first(&w, msg, answer, SIP_HEADER_FROM);
	put_first(&w, msg, answer, SIP_HEADER_TO);
	put_first(&w, msg, answer, SIP_HEADER_CALL_ID);
	put_cseq(&w, b->cseq, method);
	put(&w, b->more);
	return finish(&w);
}

uint32_t build_bye(const struct build *b, struct sip_msg *msg, struct str invite,
	const struct call *call, const char *text, char *out, uint32_t room)
{
	struct writer w = {.out = out, .room = room};
	struct str uri = dialog_part(call, text, CALL_CONTACT);
	struct str tag = dialog_part(call, text, CALL_TO_TAG);
	const struct sip_address *to;

	if (sip_msg_index(msg, invite.s, invite.len) != SIP_OK ||
		(to = sip_msg_to(msg, invite.s)) == NULL)
		return 0;
	put_start(&w, SIP_METHOD_BYE, uri.len != 0 ? uri : b->target_uri);
	put_via(&w, b);
	put(&w, dialog_part(call, text, CALL_ROUTES));
	put_first(&w, msg, invite.s, SIP_HEADER_FROM);
	put(&w, STR("To: "));
	put(&w, sip_text(invite.s, to->value));
	if (to->tag.len == 0 && tag.len != 0) {
		put(&w, STR(";tag="));
		put(&w, tag);
	}
	put(&w, STR("\r\n"));
	put_first(&w, msg, invite.s, SIP_HEADER_CALL_ID);
	put_cseq(&w, b->cseq, SIP_METHOD_BYE);
	return finish(&w);
}

/* ---- answers ---- */

/* Where the top Via asks for it, what we see of the sender (RFC 3581 4, RFC 3261 18.2.1). */
static void put_top_via(struct writer *w, struct sip_msg *msg, const char *buf,
	const struct sip_header *h, const struct net_endpoint *peer)
{
	const struct sip_via *via = sip_msg_via(msg, buf, 0);
	char ip[NET_ADDR_TEXT_MAX];
	uint32_t at;

	if (via == NULL || !sip_present(via->rport_param) || sip_present(via->received_param)) {
		put_line(w, msg, buf, h);
		return;
	}
	at = via->rport_param.off;
	put(w, str_of(buf + h->name, at - h->name));
	put(w, STR(";rport="));
	put_number(w, peer->port);
	put(w, STR(";received="));
	put(w, str_of(ip, net_addr_format(&peer->addr, ip)));
	at += via->rport_param.len;
	put(w, str_of(buf + at, sip_msg_line_end(msg, h) - at));
}

static void put_to(struct writer *w, struct sip_msg *msg, const char *buf, struct str tag)
{
	const struct sip_address *to = sip_msg_to(msg, buf);

	if (to == NULL || to->tag.len != 0) {
		put_first(w, msg, buf, SIP_HEADER_TO);
		return;
	}
	put(w, STR("To: "));
	put(w, sip_text(buf, to->value));
	put(w, STR(";tag="));
	put(w, tag);
	put(w, STR("\r\n"));
}

uint32_t build_answer(const struct build_answer *b, struct sip_msg *msg, const char *request,
	char *out, uint32_t room)
{
	struct writer w = {.out = out, .room = room};
	bool top = true;

	put(&w, STR("SIP/2.0 "));
	put_number(&w, b->status);
	put(&w, STR(" "));
	put(&w, b->reason);
	put(&w, STR("\r\n"));
	SIP_MSG_FOREACH (msg, SIP_HEADER_VIA, h) {
		if (top)
			put_top_via(&w, msg, request, h, &b->peer);
		else
			put_line(&w, msg, request, h);
		top = false;
	}
	if (b->status < 300)
		SIP_MSG_FOREACH (msg, SIP_HEADER_RECORD_ROUTE, h)
			put_line(&w, msg, request, h);
	put_first(&w, msg, request, SIP_HEADER_FROM);
	put_to(&w, msg, request, b->to_tag);
	put_first(&w, msg, request, SIP_HEADER_CALL_ID);
	put_first(&w, msg, request, SIP_HEADER_CSEQ);
	put(&w, b->contact);
	put(&w, b->content_type);
	put(&w, STR("Content-Length: "));
	put_number(&w, b->body.len);
	put(&w, STR("\r\n\r\n"));
	put(&w, b->body);
	return w.full ? 0 : w.len;
}
