/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages as user agents and gateways write them, of our own making: fields in an order drawn by
 * lot, optional ones now and then, several spellings, SDP of one to six codecs.
 */
#include <string.h>

#include "bench.h"

#define FIELDS_MAX 24
#define FIELD_MAX 4096
#define CALLERS 200 /* hosts 10.10.0.2 and on */
#define ROUTES_MAX 8
#define TRIES 1000
#define PADDING_MAX 1188 /* bytes of one field of it; below FIELD_MAX */

uint32_t lot_below(struct lot *lot, uint32_t bound)
{
	lot->state ^= lot->state << 13;
	lot->state ^= lot->state >> 7;
	lot->state ^= lot->state << 17;
	return (uint32_t)((lot->state >> 32) * bound >> 32);
}

/* A number that looks like none of its neighbours'. */
static uint32_t mix(uint32_t n, uint32_t salt)
{
	uint32_t x = (n + 1) * 0x9e3779b1u ^ salt * 0x85ebca77u;

	x = (x ^ x >> 15) * 0x2c1b3c6du;
	x = (x ^ x >> 12) * 0x297a2d39u;
	return x ^ x >> 15;
}

void draft_add_str(struct draft *t, struct str s)
{
	if (t->over || s.len > t->size - t->len) {
		t->over = true;
		return;
	}
	memcpy(t->s + t->len, s.s, s.len);
	t->len += s.len;
}

void draft_add(struct draft *t, const char *fmt, ...)
{
	va_list args;
	int n;

	if (t->over)
		return;
	va_start(args, fmt);
	n = vsnprintf(t->s + t->len, t->size - t->len, fmt, args);
	va_end(args);
	if (n < 0 || (uint32_t)n >= t->size - t->len)
		t->over = true;
	else
		t->len += (uint32_t)n;
}

void call_of(struct call *c, uint32_t number)
{
	memset(c, 0, sizeof(*c));
	c->number = number;
	snprintf(c->caller_host, sizeof(c->caller_host), "10.10.0.%u", 2 + number % CALLERS);
	net_addr_parse(str_c(c->caller_host), &c->caller.addr);
	c->caller.port = number % 3 == 0 ? 5080 : 5060;
	snprintf(c->id, sizeof(c->id), "%08x-%08x-%04x@%s", mix(number, 1), number,
		mix(number, 2) & 0xffff, c->caller_host);
	snprintf(c->from_tag, sizeof(c->from_tag), "%08x", mix(number, 3));
	snprintf(c->to_tag, sizeof(c->to_tag), "as%08x", mix(number, 4));
}

/* Header lines, to be shuffled before they are written. */
struct lines {
	struct draft line[FIELDS_MAX];
	char room[FIELDS_MAX][FIELD_MAX];
	unsigned n;
};

static struct draft *next_line(struct lines *l)
{
	struct draft *t = &l->line[l->n];

	*t = (struct draft){.s = l->room[l->n], .size = FIELD_MAX};
	l->n++;
	return t;
}

static void write_lines(struct lines *l, struct draft *out, struct lot *lot)
{
	while (l->n > 0) {
		unsigned pick = lot_below(lot, l->n--);
		struct draft t = l->line[pick];

		l->line[pick] = l->line[l->n];
		out->over |= t.over;
		draft_add_str(out, str_of(t.s, t.len));
		draft_add_str(out, STR("\r\n"));
	}
}

static void write_sdp(struct draft *out, const struct call *c, const char *host, struct lot *lot)
{
	static const char *const codec[] = {"0 PCMU/8000", "8 PCMA/8000", "9 G722/8000",
		"18 G729/8000", "96 opus/48000/2", "97 iLBC/8000"};
	unsigned codecs = 1 + lot_below(lot, 6);

	draft_add(out, "v=0\r\no=- %u %u IN IP4 %s\r\ns=%s\r\nc=IN IP4 %s\r\nt=0 0\r\n",
		mix(c->number, 5), mix(c->number, 5), host, c->number % 4 == 0 ? "call" : "-",
		host);
	draft_add(out, "m=audio %u RTP/AVP", 10000 + 2 * (mix(c->number, 6) % 20000));
	for (unsigned i = 0; i < codecs; i++)
		draft_add(out, " %.*s", (int)(strchr(codec[i], ' ') - codec[i]), codec[i]);
	draft_add(out, " 101\r\n");
	for (unsigned i = 0; i < codecs; i++)
		draft_add(out, "a=rtpmap:%s\r\n", codec[i]);
	draft_add(out, "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n");
	if (lot_below(lot, 2) != 0)
		draft_add(out, "a=ptime:20\r\n");
	draft_add(out, "a=sendrecv\r\n");
}

static const char *method_of(enum message_kind kind)
{
	static const char *const name[] = {"INVITE", "INVITE", "ACK", "BYE", "OPTIONS", "REGISTER"};

	return name[kind];
}

static bool in_dialog(enum message_kind kind)
{
	return kind == MESSAGE_REINVITE || kind == MESSAGE_ACK || kind == MESSAGE_BYE;
}

static bool makes_offer(enum message_kind kind)
{
	return kind == MESSAGE_INVITE || kind == MESSAGE_REINVITE;
}

/* The fields without which nothing is routed. */
static void add_required(
	struct lines *l, const struct call *c, const struct message_spec *spec, struct lot *lot)
{
	char caller[64], callee[64];
	uint32_t n = c->number;
	unsigned sequence = spec->kind == MESSAGE_BYE ? 3 : spec->kind == MESSAGE_REINVITE ? 2 : 1;
	bool short_names = lot_below(lot, 16) == 0;

	snprintf(caller, sizeof(caller), "sip:+4989%07u@%s", n % 10000000, c->caller_host);
	snprintf(callee, sizeof(callee), "sip:+4930%07u@10.10.0.1", mix(n, 7) % 10000000);
	if (spec->from_callee)
		draft_add(next_line(l), "%s: SIP/2.0/UDP 10.20.0.%u:5060;branch=z9hG4bK-%08x-%u",
			short_names ? "v" : "Via", 11 + n % 4, mix(n, 8 + spec->kind), n);
	else
		draft_add(next_line(l), "%s: SIP/2.0/UDP %s:%u;branch=z9hG4bK%08x%08x%s",
			short_names ? "v" : "Via", c->caller_host, c->caller.port,
			mix(n, 8 + spec->kind), n, lot_below(lot, 4) != 0 ? ";rport" : "");
	draft_add(next_line(l), "Max-Forwards: 70");
	if (spec->bare)
		draft_add(next_line(l), "From: <%s>;tag=%s", caller, c->from_tag);
	else
		draft_add(next_line(l), "%s: \"%s %u\" <%s>;tag=%s", short_names ? "f" : "From",
			spec->from_callee ? "Callee" : "Caller", n % 1000,
			spec->from_callee ? callee : caller,
			spec->from_callee ? c->to_tag : c->from_tag);
	draft_add(next_line(l), "%s: <%s>%s%s", short_names ? "t" : "To",
		spec->from_callee ? caller : callee, in_dialog(spec->kind) ? ";tag=" : "",
		!in_dialog(spec->kind) ? ""
		: spec->from_callee    ? c->from_tag
				       : c->to_tag);
	draft_add(next_line(l), "%s: %s", short_names ? "i" : "Call-ID", c->id);
	draft_add(next_line(l), "CSeq: %u %s", 1 + n % 9000 + sequence, method_of(spec->kind));
}

/* What agents add beside. */
static void add_optional(
	struct lines *l, const struct call *c, const struct message_spec *spec, struct lot *lot)
{
	uint32_t n = c->number;

	if (spec->kind != MESSAGE_BYE && spec->kind != MESSAGE_ACK) {
		if (spec->from_callee)
			draft_add(next_line(l), "Contact: <sip:+4930%07u@10.20.0.%u:5060>",
				mix(n, 7) % 10000000, 11 + n % 4);
		else
			draft_add(next_line(l), "Contact: <sip:+4989%07u@%s:%u%s>%s", n % 10000000,
				c->caller_host, c->caller.port,
				lot_below(lot, 3) == 0 ? ";transport=udp" : "",
				spec->kind == MESSAGE_REGISTER ? ";expires=600" : "");
		if (lot_below(lot, 4) != 0)
			draft_add(next_line(l),
				"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE%s",
				lot_below(lot, 2) != 0 ? ", REFER, NOTIFY, SUBSCRIBE" : "");
		if (lot_below(lot, 2) != 0)
			draft_add(next_line(l), "Supported: timer, replaces%s",
				lot_below(lot, 2) != 0 ? ", 100rel" : "");
	}
	if (lot_below(lot, 4) != 0)
		draft_add(next_line(l), "User-Agent: Example PBX %u.%u.%u", n % 9, n % 20, n % 7);
	if (makes_offer(spec->kind)) {
		if (lot_below(lot, 3) == 0)
			draft_add(next_line(l), "Session-Expires: 1800;refresher=uac");
		if (lot_below(lot, 3) == 0)
			draft_add(next_line(l), "P-Asserted-Identity: <sip:+4989%07u@10.10.0.1>",
				n % 10000000);
		if (lot_below(lot, 4) == 0)
			draft_add(next_line(l), "X-Trunk: carrier-%u", n % 40);
		if (lot_below(lot, 4) == 0)
			draft_add(next_line(l), "Date: Sat, 21 Nov 2026 %02u:%02u:%02u GMT", n % 24,
				n % 60, n % 59);
		draft_add(next_line(l), "Content-Type: application/sdp");
	}
	if (spec->route.len > 0)
		draft_add(next_line(l), "Route: %.*s", (int)spec->route.len, spec->route.s);
}

/* Fields that nobody reads make up what is missing to the wanted size, as long ones in real
 * messages do: identities, histories, tokens. */
static void add_padding(struct lines *l, uint32_t bytes, struct lot *lot)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	while (bytes > 16 && l->n < FIELDS_MAX - 1) {
		uint32_t n = bytes > PADDING_MAX + 12 ? 1000 : bytes - 12;
		struct draft *t = next_line(l);

		draft_add(t, "X-Info-%02u: ", l->n);
		for (uint32_t i = 0; i < n; i++)
			t->s[t->len++] = letters[lot_below(lot, sizeof(letters) - 1)];
		bytes -= n + 13 > bytes ? bytes : n + 13;
	}
}

static void request_once(struct draft *out, const struct call *c, const struct message_spec *spec,
	struct lot *lot, uint32_t padding)
{
	static struct lines l;
	char sdp_room[1024];
	struct draft sdp = {.s = sdp_room, .size = sizeof(sdp_room)};
	uint32_t n = c->number;

	l.n = 0;
	out->len = 0;
	out->over = false;
	if (in_dialog(spec->kind) && spec->from_callee)
		draft_add(out, "%s sip:+4989%07u@%s:%u SIP/2.0\r\n", method_of(spec->kind),
			n % 10000000, c->caller_host, c->caller.port);
	else if (in_dialog(spec->kind))
		draft_add(out, "%s sip:+4930%07u@10.20.0.%u:5060 SIP/2.0\r\n",
			method_of(spec->kind), mix(n, 7) % 10000000, 11 + n % 4);
	else if (spec->kind == MESSAGE_OPTIONS || spec->kind == MESSAGE_REGISTER)
		draft_add(out, "%s sip:10.10.0.1%s SIP/2.0\r\n", method_of(spec->kind),
			n % 2 == 0 ? ":5060" : "");
	else
		draft_add(out, "%s sip:+4930%07u@10.10.0.1%s SIP/2.0\r\n", method_of(spec->kind),
			mix(n, 7) % 10000000, n % 4 == 0 ? ";user=phone" : "");
	if (makes_offer(spec->kind) && !spec->bare)
		write_sdp(&sdp, c, spec->from_callee ? "10.20.0.11" : c->caller_host, lot);
	add_required(&l, c, spec, lot);
	if (!spec->bare)
		add_optional(&l, c, spec, lot);
	add_padding(&l, padding, lot);
	draft_add(
		next_line(&l), "%s: %u", lot_below(lot, 16) == 0 ? "l" : "Content-Length", sdp.len);
	write_lines(&l, out, lot);
	draft_add_str(out, STR("\r\n"));
	draft_add_str(out, str_of(sdp.s, sdp.len));
}

void message_request(
	struct draft *out, const struct call *c, const struct message_spec *spec, struct lot *lot)
{
	uint32_t padding = 0;

	/* The lot falls otherwise each time: some draw fits, with padding where the size is far. */
	for (unsigned tries = 0; tries < TRIES; tries++) {
		request_once(out, c, spec, lot, padding);
		if (out->over)
			return;
		if (out->len < spec->least) {
			padding += tries > 4 ? spec->least - out->len : 0;
			continue;
		}
		if (spec->greatest == 0 || out->len <= spec->greatest)
			return;
		padding -= RTE_MIN(padding, out->len - spec->greatest);
	}
	out->over = true;
}

/* ---- answers: line by line from what came ---- */

/* The next header line, without its end; false at the blank one. */
static bool header_line(struct str *rest, struct str *line)
{
	const char *end = memchr(rest->s, '\n', rest->len);
	uint32_t n;

	if (end == NULL)
		return false;
	n = (uint32_t)(end - rest->s);
	*line = str_of(rest->s, n > 0 && rest->s[n - 1] == '\r' ? n - 1 : n);
	rest->s += n + 1;
	rest->len -= n + 1;
	return line->len > 0;
}

static bool is_field(struct str line, const char *name, const char *compact)
{
	const char *colon = memchr(line.s, ':', line.len);
	struct str have;

	if (colon == NULL)
		return false;
	have = str_trim(str_of(line.s, (uint32_t)(colon - line.s)));
	return str_ieq(have, str_c(name)) || (compact != NULL && str_ieq(have, str_c(compact)));
}

void message_response(struct draft *out, struct str request, const struct call *c, unsigned status,
	struct lot *lot)
{
	char sdp_room[1024];
	struct draft sdp = {.s = sdp_room, .size = sizeof(sdp_room)};
	struct str line, rest = request;
	bool invite = request.len > 6 && memcmp(request.s, "INVITE", 6) == 0;
	const char *phrase = status == 100   ? "Trying"
			     : status == 180 ? "Ringing"
			     : status == 183 ? "Session Progress"
					     : "OK";

	out->len = 0;
	out->over = false;
	draft_add(out, "SIP/2.0 %u %s\r\n", status, phrase);
	header_line(&rest, &line); /* the request line */
	while (header_line(&rest, &line)) {
		bool to = is_field(line, "To", "t");

		if (!to && !is_field(line, "Via", "v") && !is_field(line, "From", "f") &&
			!is_field(line, "Call-ID", "i") && !is_field(line, "CSeq", NULL) &&
			!(is_field(line, "Record-Route", NULL) && status > 100))
			continue;
		draft_add_str(out, line);
		if (to && status > 100 && memmem(line.s, line.len, ";tag=", 5) == NULL)
			draft_add(out, ";tag=%s", c->to_tag);
		draft_add_str(out, STR("\r\n"));
	}
	if (invite && status > 100)
		draft_add(out, "Contact: <sip:+4930%07u@10.20.0.%u:5060>\r\n",
			mix(c->number, 7) % 10000000, 11 + c->number % 4);
	if (lot_below(lot, 2) != 0)
		draft_add(out, "Server: Example B2BUA 2.%u\r\n", c->number % 10);
	if (lot_below(lot, 2) != 0)
		draft_add(out, "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE\r\n");
	if (invite && (status == 200 || status == 183)) {
		write_sdp(&sdp, c, "10.20.0.11", lot);
		draft_add(out, "Content-Type: application/sdp\r\n");
	}
	draft_add(out, "Content-Length: %u\r\n\r\n", sdp.len);
	draft_add_str(out, str_of(sdp.s, sdp.len));
}

/* The name-addrs of one line, which may hold several. */
static unsigned add_routes(struct str line, struct str value[ROUTES_MAX], unsigned n)
{
	const char *at = line.s, *end = line.s + line.len, *open, *close;

	while (n < ROUTES_MAX && (open = memchr(at, '<', (size_t)(end - at))) != NULL &&
		(close = memchr(open, '>', (size_t)(end - open))) != NULL) {
		value[n++] = str_of(open, (size_t)(close + 1 - open));
		at = close + 1;
	}
	return n;
}

void message_route(struct draft *out, struct str forwarded, bool from_callee)
{
	struct str line, rest = forwarded, value[ROUTES_MAX];
	unsigned n = 0;

	out->len = 0;
	out->over = false;
	while (header_line(&rest, &line))
		if (is_field(line, "Record-Route", NULL))
			n = add_routes(line, value, n);
	for (unsigned i = 0; i < n; i++) {
		if (i > 0)
			draft_add_str(out, STR(", "));
		draft_add_str(out, value[from_callee ? i : n - 1 - i]);
	}
}
