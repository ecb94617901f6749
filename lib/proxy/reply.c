/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replies of our own (RFC 3261 8.2.6, 16.11, 18.2.2): without state, so that every retransmission
 * of the request gets the same one. The To tag is a keyed function of the transaction, by which the
 * ACK is known again.
 */
#include "proxy/internal.h"

/* What a reply may do without, in the order in which it goes where the reply is too long for an
 * unproven source. */
enum optional { OPTIONAL_SERVER, OPTIONAL_TIMESTAMP, OPTIONAL_SCRIPT, OPTIONAL_COUNT };

/* Status codes and their reason phrases. */
#define PHRASES(X) \
	X(100, "Trying") \
	X(180, "Ringing") \
	X(181, "Call Is Being Forwarded") \
	X(182, "Queued") \
	X(183, "Session Progress") \
	X(200, "OK") \
	X(202, "Accepted") \
	X(300, "Multiple Choices") \
	X(301, "Moved Permanently") \
	X(302, "Moved Temporarily") \
	X(305, "Use Proxy") \
	X(380, "Alternative Service") \
	X(400, "Bad Request") \
	X(401, "Unauthorized") \
	X(402, "Payment Required") \
	X(403, "Forbidden") \
	X(404, "Not Found") \
	X(405, "Method Not Allowed") \
	X(406, "Not Acceptable") \
	X(407, "Proxy Authentication Required") \
	X(408, "Request Timeout") \
	X(410, "Gone") \
	X(413, "Request Entity Too Large") \
	X(414, "Request-URI Too Long") \
	X(415, "Unsupported Media Type") \
	X(416, "Unsupported URI Scheme") \
	X(420, "Bad Extension") \
	X(421, "Extension Required") \
	X(423, "Interval Too Brief") \
	X(480, "Temporarily Unavailable") \
	X(481, "Call/Transaction Does Not Exist") \
	X(482, "Loop Detected") \
	X(483, "Too Many Hops") \
	X(484, "Address Incomplete") \
	X(485, "Ambiguous") \
	X(486, "Busy Here") \
	X(487, "Request Terminated") \
	X(488, "Not Acceptable Here") \
	X(491, "Request Pending") \
	X(493, "Undecipherable") \
	X(500, "Server Internal Error") \
	X(501, "Not Implemented") \
	X(502, "Bad Gateway") \
	X(503, "Service Unavailable") \
	X(504, "Server Time-out") \
	X(505, "Version Not Supported") \
	X(513, "Message Too Large") \
	X(600, "Busy Everywhere") \
	X(603, "Decline") \
	X(604, "Does Not Exist Anywhere") \
	X(606, "Not Acceptable")

#define STATUS_MAX 699

enum line {
	LINE_NONE = 0,
#define PHRASE(code, phrase) LINE_##code,
	PHRASES(PHRASE)
#undef PHRASE
};

/* The whole start lines, and which of them a status has. */
static const struct {
	uint8_t len;
	char text[64 + PUT_SLACK];
} lines[] = {{0, ""},
#define PHRASE(code, phrase) \
	{sizeof("SIP/2.0 " #code " " phrase "\r\n") - 1, "SIP/2.0 " #code " " phrase "\r\n"},
	PHRASES(PHRASE)
#undef PHRASE
};

static const uint8_t line_of[STATUS_MAX + 1] = {
#define PHRASE(code, phrase) [code] = LINE_##code,
	PHRASES(PHRASE)
#undef PHRASE
};

#define LINE_BEFORE_PHRASE (sizeof("SIP/2.0 100 ") - 1)

struct str proxy_reply_phrase(uint16_t status)
{
	unsigned line = status <= STATUS_MAX ? line_of[status] : LINE_NONE;

	if (line == LINE_NONE)
		return STR("Unnamed");
	return (struct str){lines[line].text + LINE_BEFORE_PHRASE,
		lines[line].len - (uint32_t)(LINE_BEFORE_PHRASE + sizeof("\r\n") - 1)};
}

void proxy_reply_set(struct route_ctx *ctx, uint16_t status, struct str reason)
{
	uint8_t failure = ctx->failure;

	ctx->result.forward = false;
	ctx->result.reply = true;
	ctx->result.status = status;
	ctx->result.reason = ROUTE_TEXT_NONE;
	if (reason.len != 0 && !str_eq(reason, proxy_reply_phrase(status)))
		ctx->result.reason = route_text_keep(ctx, reason);
	ctx->failure = failure; /* a full arena costs the phrase, not the reply */
}

void proxy_reply_chosen(struct route_ctx *ctx)
{
	proxy_state(ctx)->flags |= STATE_REPLIED;
}

void proxy_source_verified(struct route_ctx *ctx)
{
	proxy_state(ctx)->flags |= STATE_VERIFIED;
}

void proxy_reply_options(struct route_ctx *ctx, struct str headers)
{
	uint8_t failure = ctx->failure;

	proxy_reply_set(ctx, 200, STR_NONE);
	if (headers.len != 0) {
		struct str part[] = {route_text_str(ctx, ctx->result.headers), headers};

		ctx->result.headers = route_text_join(ctx, part, 2);
		ctx->failure = failure;
	}
}

/* The Vias as they came, the topmost with what we learned of its sender where it can be read
 * (`top`). */
static char *put_vias(char *at, const struct route_ctx *ctx, const struct sip_via *top,
	const struct via_stamp *stamp)
{
	bool first = true;

	SIP_MSG_FOREACH (&ctx->msg, SIP_HEADER_VIA, h) {
		struct sip_span rest = sip_header_value(h);
		uint32_t end = rest.off + rest.len;

		at = put_lit(at, "Via: ");
		for (unsigned i = 0; first && top != NULL && i < stamp->changes; i++) {
			at = proxy_put_piece(at, ctx, rest.off, stamp->change[i].off);
			at = proxy_via_change_put(at, stamp, i);
			rest.off = stamp->change[i].off + stamp->change[i].del;
		}
		at = proxy_put_piece(at, ctx, rest.off, end);
		at = put_lit(at, "\r\n");
		first = false;
	}
	return at;
}

/* A header of which there is one, under its long name: "Name: ". */
static inline char *put_header(
	char *at, const struct route_ctx *ctx, enum sip_header_id id, struct str name)
{
	const struct sip_header *h;

	if (!sip_msg_has(&ctx->msg, id))
		return at;
	h = &ctx->msg.header[ctx->msg.first[id]];
	at = put_str(at, name);
	at = proxy_put_piece(at, ctx, h->value, h->value + h->value_len);
	return put_lit(at, "\r\n");
}

static char *put_all(char *at, const struct route_ctx *ctx, enum sip_header_id id, struct str name)
{
	SIP_MSG_FOREACH (&ctx->msg, id, h) {
		at = put_str(at, name);
		at = proxy_put_piece(at, ctx, h->value, h->value + h->value_len);
		at = put_lit(at, "\r\n");
	}
	return at;
}

/* 8.2.6.2: every reply but 100 has a To tag. Where To is malformed nothing can be added to it. */
static char *put_to(char *at, struct proxy *p, struct route_ctx *ctx)
{
	const struct sip_address *to = sip_msg_to(&ctx->msg, ctx->buf);

	if (to == NULL || to->tag.len != 0 || ctx->result.status == 100)
		return put_header(at, ctx, SIP_HEADER_TO, STR("To: "));
	at = put_lit(at, "To: ");
	at = proxy_put_piece(at, ctx, to->value.off, to->value.off + to->value.len);
	at = put_lit(at, ";tag=");
	proxy_tag_write(proxy_keys(p), proxy_transaction_key(p, ctx), at);
	return put_lit(at + TAG_LEN, "\r\n");
}

/* What is written in any case and is no text of the message: the status line, names, the tag,
 * Content-Length. */
#define REPLY_FIXED 256

static uint64_t lines_room(const struct sip_msg *msg, enum sip_header_id id)
{
	uint64_t room = 0;

	SIP_MSG_FOREACH (msg, id, h)
		room += sizeof("Record-Route: \r\n") + h->value_len;
	return room;
}

/* The most that a name of ours exceeds the name that a line came with, and what is around it. */
#define LINE_GROWTH 16

/* Whether what put_reply() writes fits. */
static bool reply_fits(const struct route_ctx *ctx, const struct sockets *s, uint32_t room)
{
	static const enum sip_header_id copied[] = {SIP_HEADER_VIA, SIP_HEADER_FROM, SIP_HEADER_TO,
		SIP_HEADER_CALL_ID, SIP_HEADER_CSEQ, SIP_HEADER_RECORD_ROUTE, SIP_HEADER_TIMESTAMP,
		SIP_HEADER_PROXY_REQUIRE};
	uint64_t most = REPLY_FIXED + 2 * VIA_CHANGE_MAX + ctx->result.reason.len +
			ctx->result.headers.len + s->server_len + PIECE;

	/* Mostly all header lines would. */
	if (most + ctx->msg.headers_end + LINE_GROWTH * ctx->msg.header_count <= room)
		return true;
	for (unsigned i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
		if (sip_msg_has(&ctx->msg, copied[i]))
			most += lines_room(&ctx->msg, copied[i]);
	}
	return most <= room;
}

static char *put_start(char *at, const struct route_ctx *ctx)
{
	const struct route_result *r = &ctx->result;
	unsigned line = r->status <= STATUS_MAX ? line_of[r->status] : LINE_NONE;

	if (line != LINE_NONE && r->reason.len == 0)
		return put_padded(at, lines[line].text, lines[line].len);
	at = put_lit(at, "SIP/2.0 ");
	at = put_number(at, r->status);
	at = put_lit(at, " ");
	at = put_str(at, r->reason.len != 0 ? route_text_str(ctx, r->reason)
					    : proxy_reply_phrase(r->status));
	return put_lit(at, "\r\n");
}

static char *put_reply(char *at, struct proxy *p, struct route_ctx *ctx, const struct sip_via *top,
	const struct via_stamp *stamp, unsigned dropped)
{
	const struct sockets *s = proxy_sockets(p);
	const struct route_result *r = &ctx->result;

	at = put_start(at, ctx);
	at = put_vias(at, ctx, top, stamp);
	at = put_header(at, ctx, SIP_HEADER_FROM, STR("From: "));
	at = put_to(at, p, ctx);
	at = put_header(at, ctx, SIP_HEADER_CALL_ID, STR("Call-ID: "));
	at = put_header(at, ctx, SIP_HEADER_CSEQ, STR("CSeq: "));
	/* 12.1.1: only what makes a dialog carries the route set; 10.3: a registration never. */
	if (r->status > 100 && r->status < 300 && ctx->msg.method != SIP_METHOD_REGISTER)
		at = put_all(at, ctx, SIP_HEADER_RECORD_ROUTE, STR("Record-Route: "));
	if (r->status == 100 && dropped <= OPTIONAL_TIMESTAMP)
		at = put_header(at, ctx, SIP_HEADER_TIMESTAMP, STR("Timestamp: ")); /* 8.2.6.1 */
	if (r->status == 420)
		at = put_all(at, ctx, SIP_HEADER_PROXY_REQUIRE,
			STR("Unsupported: ")); /* we know no extension of this kind */
	if (dropped <= OPTIONAL_SCRIPT && r->headers.len != 0)
		at = put_str(at, route_text_str(ctx, r->headers));
	if (dropped <= OPTIONAL_SERVER)
		at = put_str(at, (struct str){s->server, s->server_len});
	return put_lit(at, "Content-Length: 0\r\n\r\n");
}

/* Challenges may be longer than what they answer, and a redirection, which is nothing without its
 * Contacts; the caller limits their rate by source. So may a list of contacts, which has to be
 * whole (RFC 3261 10.3 step 8): how many there can be is the registrar's setting. */
static bool may_be_long(const struct route_ctx *ctx)
{
	const struct proxy_state *state =
		(const struct proxy_state *)ctx->scratch[ROUTE_SCRATCH_PROXY];

	return (state->flags & STATE_VERIFIED) != 0 || ctx->result.status == 401 ||
	       ctx->result.status == 407 || ctx->result.status / 100 == 3 ||
	       (ctx->msg.method == SIP_METHOD_REGISTER && ctx->result.status / 100 == 2);
}

int64_t proxy_reply_write(
	struct proxy *p, struct route_ctx *ctx, char *out, uint32_t room, struct proxy_out *to)
{
	const struct sockets *s = proxy_sockets(p);
	const struct proxy_state *state = proxy_state(ctx);
	const struct sip_via *top = sip_msg_via(&ctx->msg, ctx->buf, 0);
	bool force_rport = (state->flags & STATE_RPORT) != 0;
	struct via_stamp stamp;
	struct net_endpoint dst;
	uint32_t request_len = ctx->msg.len - ctx->msg.start_line.off, limit = room;
	unsigned dropped = 0;
	uint64_t len;

	if (ctx->msg.is_response || ctx->msg.method == SIP_METHOD_ACK)
		return -(int64_t)PROXY_REASON_ACK_UNROUTABLE;
	if (s == NULL || proxy_keys(p) == NULL || !sip_msg_has(&ctx->msg, SIP_HEADER_VIA) ||
		!proxy_sockets_has(s, ctx->origin.listener))
		return -(int64_t)PROXY_REASON_REPLY_TARGET;
	/* RFC 4475 3.1.2.1 wants a 400 for a Via that cannot be read too: it goes to where the
	 * request came from. */
	dst = ctx->origin.src;
	if (top != NULL)
		proxy_via_reply_target(ctx, top, force_rport, &dst);
	if (dst.addr.family != s->socket[ctx->origin.listener].listener.ep.addr.family ||
		!proxy_sockets_may_send(&s->socket[ctx->origin.listener], &dst))
		return -(int64_t)PROXY_REASON_REPLY_TARGET;
	if (top != NULL)
		proxy_via_stamp(ctx, top, force_rport, &stamp);
	if (!may_be_long(ctx) && limit > request_len + request_len / 2)
		limit = request_len + request_len / 2;
	if (limit > SIP_MSG_UDP_OUT_MAX)
		limit = SIP_MSG_UDP_OUT_MAX;
	if (!reply_fits(ctx, s, room))
		return -(int64_t)PROXY_REASON_REPLY_SIZE;
	do
		len = (uint64_t)(put_reply(out, p, ctx, top, &stamp, dropped) - out);
	while (len > limit && ++dropped <= OPTIONAL_COUNT);
	if (len > limit)
		return -(int64_t)PROXY_REASON_REPLY_SIZE;
	to->dst = dst;
	to->listener = ctx->origin.listener;
	to->destination = -1;
	return (int64_t)len;
}
