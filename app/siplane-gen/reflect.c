/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reflector: a UAS (or what a B2BUA shows of itself) without any state. All it says is a
 * function of the request and of a key, so a retransmission gets the same answer.
 *
 * Answers go where the request came from (RFC 3581's way, asked for or not).
 */
#include <stdarg.h>
#include <stdlib.h>

#include "internal.h"

#define TEXT_MAX 512
#define BLOCK_MAX 8192

/* What the reflector says. */
enum say {
	SAY_TRYING,
	SAY_RINGING,
	SAY_FINAL,
	SAY_OK,
	SAY_UNAUTHORIZED,
	SAY_FORBIDDEN,
	SAY_TERMINATED,
	SAY_COUNT
};

struct text {
	char s[TEXT_MAX];
	uint32_t len;
};

struct reflector {
	struct reflector_config config;
	struct hash_key key;
	struct {
		uint16_t status;
		struct text line, tail; /* the status line; what stands behind the copied headers */
	} say[SAY_COUNT];
	char nonce[13], name[REFLECTOR_NAME_LEN + 1];
	char block[BLOCK_MAX];    /* the headers of several answers to one request */
	struct net_endpoint peer; /* `seen` is its */
	struct text seen;
	struct sip_msg msg;
};

/* One request on its way to its answers. */
struct exchange {
	struct reflector *r;
	const struct packet *in;
	struct outbox *out;
	struct gen_reflected *count;
	struct str block; /* made already; empty: not yet */
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
	{401, "Unauthorized"},
	{403, "Forbidden"},
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

static void set(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* All of these are short: addresses and a port. */
static void set(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->len = (uint32_t)vsnprintf(t->s, sizeof(t->s), fmt, ap);
	va_end(ap);
}

static void set_say(struct reflector *r, enum say what, uint16_t status)
{
	r->say[what].status = status;
	set(&r->say[what].line, "SIP/2.0 %u %s\r\n", status, reason_of(status));
	set(&r->say[what].tail, "Content-Length: 0\r\n\r\n");
}

static void write_texts(struct reflector *r)
{
	struct net_endpoint ep = {.addr = r->config.local, .port = r->config.port_first};
	char at[NET_ENDPOINT_TEXT_MAX], ip[NET_ADDR_TEXT_MAX], sdp[TEXT_MAX / 2];
	int n;

	net_endpoint_format(&ep, at);
	net_addr_format(&ep.addr, ip);
	set_say(r, SAY_TRYING, 100);
	set_say(r, SAY_RINGING, 180);
	set_say(r, SAY_FINAL, r->config.status);
	set_say(r, SAY_OK, 200);
	set_say(r, SAY_UNAUTHORIZED, 401);
	set_say(r, SAY_FORBIDDEN, 403);
	set_say(r, SAY_TERMINATED, 487);
	set(&r->say[SAY_RINGING].tail, "Contact: <sip:%s>\r\nContent-Length: 0\r\n\r\n", at);
	/* What ends an INVITE says how many answers it had, a 100 left out: that goes one hop. */
	hash_base32(r->name, hash_text(&r->key, STR("name")), 60);
	set(&r->say[SAY_FINAL].tail, REFLECTOR_ANSWERS "%u %s\r\nContent-Length: 0\r\n\r\n",
		r->config.ringing + 1, r->name);
	set(&r->say[SAY_TERMINATED].tail, "%s", r->say[SAY_FINAL].tail.s);
	n = snprintf(sdp, sizeof(sdp),
		"v=0\r\no=- 1 1 IN IP%u %s\r\ns=-\r\nc=IN IP%u %s\r\nt=0 0\r\n"
		"m=audio 40000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n",
		ep.addr.family, ip, ep.addr.family, ip);
	if (r->config.status < 300)
		set(&r->say[SAY_FINAL].tail,
			"Contact: <sip:%s>\r\n" REFLECTOR_ANSWERS
			"%u %s\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
			at, r->config.ringing + 1, r->name, n, sdp);
	hash_base32(r->nonce, hash_text(&r->key, STR("nonce")), 60);
	set(&r->say[SAY_UNAUTHORIZED].tail,
		"WWW-Authenticate: Digest realm=\"siplane-gen\", nonce=\"%s\", algorithm=%s, "
		"qop=\"auth\"\r\nContent-Length: 0\r\n\r\n",
		r->nonce, r->config.challenge != NULL ? r->config.challenge : "MD5");
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
	write_texts(r);
	return r;
}

const char *reflector_name(const struct reflector *r)
{
	return r->name;
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

/*
 * Offset behind the first ";name" of a header's text, in lower case, or -1. Only where no quote or
 * comma stands before it: else -2, and whoever asks has to parse.
 */
static int32_t find_param(struct str text, struct str name)
{
	const char *at = text.s, *end = text.s + text.len, *odd;

	while ((at = memchr(at, ';', (size_t)(end - at))) != NULL) {
		at++;
		if ((uint32_t)(end - at) < name.len)
			return -1;
		if (str_ieq(str_of(at, name.len), name)) {
			uint32_t off = (uint32_t)(at - text.s);

			odd = memchr(text.s, ',', off);
			if (odd == NULL)
				odd = memchr(text.s, '"', off);
			return odd == NULL ? (int32_t)(off + name.len) : -2;
		}
	}
	return -1;
}

/* The To tag: the same for the INVITE, its retransmissions and its CANCEL. */
static void put_tag(struct reflector *r, const char *buf, struct response *o)
{
	const struct sip_header *id = sip_msg_header(&r->msg, SIP_HEADER_CALL_ID, 0);
	char text[5 + 12];

	memcpy(text, ";tag=", 5);
	hash_base32(text + 5, hash_text(&r->key, sip_text(buf, sip_header_value(id))), 60);
	put(o, text, sizeof(text));
}

/* A To line without a tag: ours goes to its end. */
static void put_to(
	struct reflector *r, const char *buf, const struct sip_header *h, struct response *o)
{
	struct str value = sip_text(buf, sip_header_value(h));
	int32_t tag = find_param(value, STR("tag="));
	const struct sip_address *to;

	put(o, buf + h->name, h->value + h->value_len - h->name);
	if (tag == -1 || (tag == -2 && (to = sip_msg_to(&r->msg, buf)) != NULL && to->tag.len == 0))
		put_tag(r, buf, o);
	put(o, "\r\n", 2);
}

/* What we see of the sender; the same one sends again and again. */
static const struct text *seen_of(struct reflector *r, const struct net_endpoint *peer)
{
	if (!net_endpoint_equal(peer, &r->peer) || r->seen.len == 0) {
		char ip[NET_ADDR_TEXT_MAX];

		net_addr_format(&peer->addr, ip);
		set(&r->seen, "=%u;received=%s", peer->port, ip);
		r->peer = *peer;
	}
	return &r->seen;
}

/* Where the top Via asks for it, what we see of the sender (RFC 3581 4, RFC 3261 18.2.1). */
static void put_via(
	struct reflector *r, const char *buf, const struct packet *in, struct response *o)
{
	struct sip_msg *msg = &r->msg;
	const struct sip_header *h = sip_msg_header(msg, SIP_HEADER_VIA, 0);
	uint32_t end = sip_msg_line_end(msg, h);
	struct str line = str_of(buf + h->name, end - h->name);
	int32_t asks = find_param(line, STR("rport"));
	const struct sip_via *via;

	if (asks == -2) {
		via = sip_msg_via(msg, buf, 0);
		asks = -1;
		if (via != NULL && sip_present(via->rport_param))
			asks = (int32_t)(via->rport_param.off + via->rport_param.len - h->name);
	}
	if (asks > 0 && strchr("; ,\r", line.s[asks]) != NULL) {
		const struct text *seen = seen_of(r, &in->peer);

		put(o, line.s, (uint32_t)asks);
		put(o, seen->s, seen->len);
		put(o, line.s + asks, line.len - (uint32_t)asks);
	} else {
		put(o, line.s, line.len);
	}
}

/* The INVITE that a CANCEL is about has its number, and its own method. */
static void put_cseq(struct reflector *r, const char *buf, const struct sip_header *h,
	enum sip_method method, struct response *o)
{
	struct sip_msg *msg = &r->msg;
	struct str name = sip_method_name(method);

	if (method == msg->method || !sip_msg_cseq(msg, buf)) {
		put(o, buf + h->name, sip_msg_line_end(msg, h) - h->name);
		return;
	}
	put(o, buf + h->name, msg->cseq_method_text.off - h->name);
	put(o, name.s, name.len);
	put(o, "\r\n", 2);
}

/* Lines that go into every answer, in the request's order; those that stand side by side at once.
 */
static void put_headers(struct reflector *r, const char *buf, const struct packet *in,
	uint16_t status, enum sip_method method, struct response *o)
{
	const uint64_t copied =
		1ULL << SIP_HEADER_VIA | 1ULL << SIP_HEADER_FROM | 1ULL << SIP_HEADER_CALL_ID |
		(status > 100 && status < 300 ? 1ULL << SIP_HEADER_RECORD_ROUTE : 0) |
		(r->msg.method == SIP_METHOD_REGISTER ? 1ULL << SIP_HEADER_CONTACT : 0) |
		(status == 100 ? 1ULL << SIP_HEADER_TO : 0) |
		(method == r->msg.method ? 1ULL << SIP_HEADER_CSEQ : 0);
	const struct sip_msg *msg = &r->msg;
	unsigned top = msg->first[SIP_HEADER_VIA];
	uint32_t from = 0, to = 0; /* not yet copied */

	for (unsigned i = 0; i < msg->header_count; i++) {
		const struct sip_header *h = &msg->header[i];

		if ((copied >> h->id & 1) && i != top) {
			if (h->name != to) {
				put(o, buf + from, to - from);
				from = h->name;
			}
			to = sip_msg_line_end(msg, h);
			continue;
		}
		if (h->id != SIP_HEADER_TO && h->id != SIP_HEADER_CSEQ && i != top)
			continue;
		put(o, buf + from, to - from);
		from = to = 0;
		if (i == top)
			put_via(r, buf, in, o);
		else if (h->id == SIP_HEADER_TO)
			put_to(r, buf, h, o);
		else
			put_cseq(r, buf, h, method, o);
	}
	put(o, buf + from, to - from);
}

static void answer(const struct exchange *e, enum say what, enum sip_method method)
{
	struct reflector *r = e->r;
	struct packet *p = outbox_next(e->out);
	struct response o = {.room = e->out->io->room};

	if (p == NULL)
		return; /* counted by the outbox */
	o.out = p->text;
	put(&o, r->say[what].line.s, r->say[what].line.len);
	if (e->block.len != 0)
		put(&o, e->block.s, e->block.len);
	else
		put_headers(r, e->in->text, e->in, r->say[what].status, method, &o);
	put(&o, r->say[what].tail.s, r->say[what].tail.len);
	if (o.full) {
		e->count->refused++;
		return;
	}
	p->len = o.len;
	p->port = e->in->port;
	p->peer = e->in->peer;
	p->mac = e->in->mac;
	outbox_put(e->out);
	e->count->responses++;
}

/* false where the request has been refused. */
static bool admit(const struct exchange *e)
{
	struct reflector *r = e->r;
	enum sip_method method = r->msg.method;
	struct sip_span credentials;

	if (r->config.challenge == NULL ||
		(method != SIP_METHOD_REGISTER && method != SIP_METHOD_INVITE))
		return true;
	credentials = sip_msg_value(&r->msg, SIP_HEADER_AUTHORIZATION);
	if (credentials.len == 0) {
		answer(e, SAY_UNAUTHORIZED, method);
		return false;
	}
	if (digest_verify(sip_text(e->in->text, credentials), sip_method_name(method),
		    str_c(r->config.password), str_c(r->nonce)))
		return true;
	answer(e, SAY_FORBIDDEN, method);
	return false;
}

static void invite(struct exchange *e)
{
	const struct reflector_config *c = &e->r->config;

	if (c->trying)
		answer(e, SAY_TRYING, SIP_METHOD_INVITE);
	/* Of ringing and a 2xx the headers are the same. */
	if (c->status < 300 && c->ringing + (c->status >= 200) > 1) {
		struct response o = {.out = e->r->block, .room = BLOCK_MAX};

		put_headers(e->r, e->in->text, e->in, c->status, SIP_METHOD_INVITE, &o);
		if (!o.full)
			e->block = str_of(o.out, o.len);
	}
	for (unsigned i = 0; i < c->ringing; i++)
		answer(e, SAY_RINGING, SIP_METHOD_INVITE);
	if (c->status >= 200)
		answer(e, SAY_FINAL, SIP_METHOD_INVITE);
}

static bool is_request(const struct sip_msg *msg)
{
	const uint64_t needed = 1ULL << SIP_HEADER_VIA | 1ULL << SIP_HEADER_TO |
				1ULL << SIP_HEADER_FROM | 1ULL << SIP_HEADER_CALL_ID |
				1ULL << SIP_HEADER_CSEQ;

	return !msg->is_response && (msg->present & needed) == needed;
}

void reflector_take(struct reflector *r, const struct packet *in, struct outbox *out,
	struct gen_reflected *count)
{
	struct exchange e = {.r = r, .in = in, .out = out, .count = count};
	struct sip_msg *msg = &r->msg;

	if (sip_msg_index(msg, in->text, in->len) != SIP_OK || !is_request(msg)) {
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
		if (admit(&e))
			invite(&e);
		break;
	case SIP_METHOD_CANCEL:
		/* An INVITE that has its final answer already is not changed (RFC 3261 9.2). */
		answer(&e, SAY_OK, SIP_METHOD_CANCEL);
		if (r->config.status < 200)
			answer(&e, SAY_TERMINATED, SIP_METHOD_INVITE);
		break;
	default:
		if (admit(&e))
			answer(&e, SAY_OK, msg->method);
		break;
	}
}
