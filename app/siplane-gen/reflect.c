/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reflector: a UAS (or what a B2BUA shows of itself) without any state. All it says is a
 * function of the request and of a key, so a retransmission gets the same answer.
 *
 * Answers go where the request came from (RFC 3581's way, asked for or not).
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

#define TAIL_MAX 512

struct tail {
	char text[TAIL_MAX];
	uint32_t len;
};

struct reflector {
	struct reflector_config config;
	struct hash_key key;
	struct tail ringing, answer, plain; /* Contact; Contact and SDP; neither */
	struct sip_msg msg;
};

struct response {
	char *out;
	uint32_t len, room;
	bool full;
};

static const struct {
	uint16_t status;
	const char *reason;
} reasons[] = {
	{100, "Trying"},
	{180, "Ringing"},
	{183, "Session Progress"},
	{200, "OK"},
	{302, "Moved Temporarily"},
	{404, "Not Found"},
	{408, "Request Timeout"},
	{480, "Temporarily Unavailable"},
	{481, "Call/Transaction Does Not Exist"},
	{486, "Busy Here"},
	{487, "Request Terminated"},
	{500, "Server Internal Error"},
	{503, "Service Unavailable"},
	{600, "Busy Everywhere"},
	{603, "Decline"},
};

static const char *reason_of(uint16_t status)
{
	for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Answer";
}

static void write_tails(struct reflector *r)
{
	struct net_endpoint ep = {.addr = r->config.local, .port = r->config.port_first};
	char at[NET_ENDPOINT_TEXT_MAX], ip[NET_ADDR_TEXT_MAX], sdp[TAIL_MAX / 2];
	int n;

	net_endpoint_format(&ep, at);
	net_addr_format(&ep.addr, ip);
	n = snprintf(sdp, sizeof(sdp),
		"v=0\r\no=- 1 1 IN IP%u %s\r\ns=-\r\nc=IN IP%u %s\r\nt=0 0\r\n"
		"m=audio 40000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n",
		ep.addr.family, ip, ep.addr.family, ip);
	r->answer.len = (uint32_t)snprintf(r->answer.text, TAIL_MAX,
		"Contact: <sip:%s>\r\nContent-Type: application/sdp\r\nContent-Length: "
		"%d\r\n\r\n%s",
		at, n, sdp);
	r->ringing.len = (uint32_t)snprintf(
		r->ringing.text, TAIL_MAX, "Contact: <sip:%s>\r\nContent-Length: 0\r\n\r\n", at);
	r->plain.len = (uint32_t)snprintf(r->plain.text, TAIL_MAX, "Content-Length: 0\r\n\r\n");
}

struct reflector *reflector_create(const struct reflector_config *config)
{
	struct reflector *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->config = *config;
	if (hash_key_random(&r->key) != 0) {
		free(r);
		return NULL;
	}
	write_tails(r);
	return r;
}

void reflector_destroy(struct reflector *r)
{
	free(r);
}

static inline void put(struct response *o, const char *s, uint32_t len)
{
	if (len > o->room - o->len) {
		o->full = true;
		return;
	}
	memcpy(o->out + o->len, s, len);
	o->len += len;
}

/* "SIP/2.0 200 OK\r\n" */
static void put_status(struct response *o, uint16_t status)
{
	char text[64];

	put(o, text,
		(uint32_t)snprintf(
			text, sizeof(text), "SIP/2.0 %u %s\r\n", status, reason_of(status)));
}

/* The To tag: the same for the INVITE, its retransmissions and its CANCEL. */
static void put_tag(struct reflector *r, const char *buf, struct response *o)
{
	struct sip_msg *msg = &r->msg;
	const struct sip_header *id = sip_msg_header(msg, SIP_HEADER_CALL_ID, 0);
	const struct sip_header *from = sip_msg_header(msg, SIP_HEADER_FROM, 0);
	char text[5 + 12];
	struct hash h;

	hash_init(&h, &r->key);
	if (id != NULL)
		hash_str(&h, sip_text(buf, sip_header_value(id)));
	if (from != NULL)
		hash_str(&h, sip_text(buf, sip_header_value(from)));
	memcpy(text, ";tag=", 5);
	hash_base32(text + 5, hash_final(&h), 60);
	put(o, text, sizeof(text));
}

/* A To line without a tag: ours goes to its end. */
static void put_to(struct reflector *r, const char *buf, const struct sip_header *h, bool tag,
	struct response *o)
{
	struct str value = sip_text(buf, sip_header_value(h));

	put(o, buf + h->name, h->value + h->value_len - h->name);
	if (tag && memmem(value.s, value.len, "tag=", 4) == NULL)
		put_tag(r, buf, o);
	put(o, "\r\n", 2);
}

/* Where the top Via asks for it, what we see of the sender (RFC 3581 4, RFC 3261 18.2.1). */
static void put_via(
	struct reflector *r, const char *buf, const struct packet *in, struct response *o)
{
	struct sip_msg *msg = &r->msg;
	const struct sip_header *h = sip_msg_header(msg, SIP_HEADER_VIA, 0);
	uint32_t end = sip_msg_line_end(msg, h);
	struct str line = str_of(buf + h->name, end - h->name);
	const char *asks = memmem(line.s, line.len, ";rport", 6);
	const struct sip_via *via;
	char text[NET_ADDR_TEXT_MAX + 32];
	unsigned n;

	if (asks == NULL || asks[6] == '=' || (via = sip_msg_via(msg, buf, 0)) == NULL ||
		!sip_present(via->rport_param) || via->rport != 0) {
		put(o, line.s, line.len);
		return;
	}
	put(o, line.s, via->rport_param.off - h->name);
	n = (unsigned)snprintf(text, sizeof(text), ";rport=%u", in->peer.port);
	if (!sip_present(via->received)) {
		memcpy(text + n, ";received=", 10);
		n += 10;
		n += net_addr_format(&in->peer.addr, text + n);
	}
	put(o, text, n);
	n = via->rport_param.off + via->rport_param.len;
	put(o, buf + n, end - n);
}

/* Lines that go into every answer, in the request's order. */
static void put_headers(struct reflector *r, const char *buf, const struct packet *in,
	uint16_t status, struct response *o)
{
	const uint64_t copied =
		1ULL << SIP_HEADER_VIA | 1ULL << SIP_HEADER_FROM | 1ULL << SIP_HEADER_CALL_ID |
		1ULL << SIP_HEADER_CSEQ |
		(status > 100 && status < 300 ? 1ULL << SIP_HEADER_RECORD_ROUTE : 0) |
		(r->msg.method == SIP_METHOD_REGISTER ? 1ULL << SIP_HEADER_CONTACT : 0);
	const struct sip_msg *msg = &r->msg;
	unsigned top = msg->first[SIP_HEADER_VIA];

	for (unsigned i = 0; i < msg->header_count; i++) {
		const struct sip_header *h = &msg->header[i];

		if (h->id == SIP_HEADER_TO)
			put_to(r, buf, h, status > 100, o);
		else if (i == top)
			put_via(r, buf, in, o);
		else if (copied >> h->id & 1)
			put(o, buf + h->name, sip_msg_line_end(msg, h) - h->name);
	}
}

static void answer(struct reflector *r, const struct packet *in, uint16_t status,
	const struct tail *tail, struct outbox *out, struct gen_reflected *count)
{
	struct packet *p = outbox_next(out);
	struct response o = {.room = out->io->room};

	if (p == NULL) {
		count->refused++;
		return;
	}
	o.out = p->text;
	put_status(&o, status);
	put_headers(r, in->text, in, status, &o);
	put(&o, tail->text, tail->len);
	if (o.full) {
		count->refused++;
		return;
	}
	p->len = o.len;
	p->port = in->port;
	p->peer = in->peer;
	p->mac = in->mac;
	outbox_put(out);
	count->responses++;
}

static void invite(struct reflector *r, const struct packet *in, struct outbox *out,
	struct gen_reflected *count)
{
	const struct reflector_config *c = &r->config;

	if (c->trying)
		answer(r, in, 100, &r->plain, out, count);
	for (unsigned i = 0; i < c->ringing; i++)
		answer(r, in, 180, &r->ringing, out, count);
	if (c->status >= 200)
		answer(r, in, c->status, c->status < 300 ? &r->answer : &r->plain, out, count);
}

void reflector_take(struct reflector *r, const struct packet *in, struct outbox *out,
	struct gen_reflected *count)
{
	struct sip_msg *msg = &r->msg;

	if (sip_msg_index(msg, in->text, in->len) != SIP_OK || msg->is_response ||
		!sip_msg_has(msg, SIP_HEADER_VIA) || !sip_msg_has(msg, SIP_HEADER_TO) ||
		!sip_msg_has(msg, SIP_HEADER_FROM) || !sip_msg_has(msg, SIP_HEADER_CALL_ID) ||
		!sip_msg_has(msg, SIP_HEADER_CSEQ)) {
		count->malformed++;
		return;
	}
	count->requests++;
	count->requests_by[msg->method]++;
	switch (msg->method) {
	case SIP_METHOD_ACK:
		count->acks++;
		break;
	case SIP_METHOD_INVITE:
		invite(r, in, out, count);
		break;
	default:
		answer(r, in, 200, &r->plain, out, count);
		break;
	}
}
