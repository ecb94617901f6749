/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What follows an INVITE that we have sent, hop by hop: the ACK to a failure (RFC 3261 17.1.1.3)
 * and the CANCEL (9.1). Both are made of the bytes that left, so that they are taken where it went:
 * the same Request-URI, topmost Via and Routes.
 */
#include "proxy/internal.h"

static void put_line(struct text *t, struct str name, struct str value)
{
	text_put(t, name);
	text_put(t, value);
	text_lit(t, "\r\n");
}

static void put_routes(struct text *t, const struct sip_msg *msg, const char *buf)
{
	SIP_MSG_FOREACH (msg, SIP_HEADER_ROUTE, h)
		put_line(t, STR("Route: "), sip_text(buf, sip_header_value(h)));
}

/* Whether it is an INVITE that can be followed. */
static bool read_invite(struct sip_msg *msg, struct str sent)
{
	static const enum sip_header_id wanted[] = {
		SIP_HEADER_FROM, SIP_HEADER_TO, SIP_HEADER_CALL_ID};

	if (sip_msg_index(msg, sent.s, sent.len) != SIP_OK || msg->is_response ||
		msg->method != SIP_METHOD_INVITE || sip_msg_via(msg, sent.s, 0) == NULL ||
		!sip_msg_cseq(msg, sent.s))
		return false;
	for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (!sip_msg_has(msg, wanted[i]))
			return false;
	}
	return true;
}

static int64_t write(struct str method, struct str sent, struct str to, struct str lines, char *out,
	uint32_t room)
{
	struct text t = {out, 0, room, false};
	struct sip_msg msg;

	if (!read_invite(&msg, sent))
		return -EINVAL;
	text_put(&t, method);
	text_lit(&t, " ");
	text_put(&t, sip_text(sent.s, msg.uri_text));
	text_lit(&t, " SIP/2.0\r\n");
	put_line(&t, STR("Via: "), sip_text(sent.s, sip_msg_via(&msg, sent.s, 0)->value));
	put_routes(&t, &msg, sent.s);
	text_lit(&t, "Max-Forwards: ");
	text_number(&t, MAX_FORWARDS_DEFAULT);
	text_lit(&t, "\r\n");
	put_line(&t, STR("From: "), sip_text(sent.s, sip_msg_value(&msg, SIP_HEADER_FROM)));
	put_line(&t, STR("To: "),
		to.len != 0 ? to : sip_text(sent.s, sip_msg_value(&msg, SIP_HEADER_TO)));
	put_line(&t, STR("Call-ID: "), sip_text(sent.s, sip_msg_value(&msg, SIP_HEADER_CALL_ID)));
	text_lit(&t, "CSeq: ");
	text_number(&t, msg.cseq_number);
	text_lit(&t, " ");
	put_line(&t, method, STR_NONE);
	text_put(&t, lines);
	text_lit(&t, "Content-Length: 0\r\n\r\n");
	return t.full ? -ENOSPC : (int64_t)t.len;
}

int64_t proxy_ack_write(struct proxy *p, struct str sent, struct str to, char *out, uint32_t room)
{
	return to.len != 0 ? write(STR("ACK"), sent, to, STR_NONE, out, room) : -EINVAL;
}

int64_t proxy_cancel_write(
	struct proxy *p, struct str sent, struct str lines, char *out, uint32_t room)
{
	return write(STR("CANCEL"), sent, STR_NONE, lines, out, room);
}
