/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sip_msg_check() for the instruction set of the file that includes it (see isa.h).
 *
 * Each ..._usual() parses a value of the shape that nearly all have, of a message that is printable
 * ASCII: it takes the delimiters of up to 64 characters at a time from vector compares. It
 * returns false for whatever else, valid or not, and then the general parser (via.c, address.c,
 * uri.c, parsed.c) decides. What it accepts it fills in as that one does; the tests and the fuzzer
 * hold every verdict and every span against it.
 */
#include "sip/check.h"
#include "sip/grammar.h"
#include "sip/ip4.h"
#include "sip/name.h"
#include "sip/token.h"

/* What the parsers look at: the message's text, of which bytes up to `limit` may be read. */
struct source {
	const char *buf;
	uint32_t limit; /* 64 at least */
};

/* ---- up to 64 characters ---- */

/*
 * A set of characters, no two of which have the same lower half: at n the one whose lower half is
 * n, or something whose lower half is not.
 */
#define SET(c0, c2, c8, c9, ca, cb, cc, cd, ce) \
	{ \
		c0, 0, c2, 0, 0, 0, 0, 0, c8, c9, ca, cb, cc, cd, ce, 0 \
	}

/* What ends a URI in angle brackets, or must not be in it. */
static _Alignas(16) const uint8_t set_of_brackets[16] = SET(' ', '"', 0, 0, 0, 0, '<', 0, '>');
/* What ends a parameter, its name, or must not be in it; '<' must not either. */
static _Alignas(16) const uint8_t set_of_params[16] = SET(
	' ', '"', '(', ')', 0, ';', ',', '=', '>');
/* What ends a display name without quotes, or a URI without brackets, or must not be in it; '<',
 * '?' and '\\' too. */
static _Alignas(16) const uint8_t set_of_bare[16] = SET(0, '"', '(', ')', 0, ';', ',', '=', '>');
/* What ends a user or a host. */
static _Alignas(16) const uint8_t set_of_uri[16] = SET('@', 0, 0, 0, ':', ';', 0, 0, 0);

/* 64 characters from some place on, fewer where the message ends before. */
struct window {
	struct text64 text;
	uint32_t shift; /* characters of `text` before that place */
};

/* `at` is below limit. */
static inline struct window window_at(struct source in, uint32_t at)
{
	uint32_t last = in.limit - 64, from = at < last ? at : last;

	return (struct window){text64_at(in.buf + from), at - from};
}

/* Bits of the characters that are c; those that lie behind the message are none. */
static inline uint64_t window_is(struct window w, char c)
{
	return text64_is(w.text, c) >> w.shift;
}

/* Bits of the characters that are not of the class; those that lie behind the message are 0. */
static inline uint64_t window_misses(struct window w, const uint8_t rows[16])
{
	return text64_misses(w.text, rows) >> w.shift;
}

/* Bits of the characters that are of the set; those that lie behind the message are none. */
static inline uint64_t window_of_set(struct window w, const uint8_t set[16])
{
	return text64_of_set(w.text, set) >> w.shift;
}

static inline uint32_t at_most_64(uint32_t n)
{
	return n < 64 ? n : 64;
}

/* ---- words and numbers ---- */

static inline uint64_t load8(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load4(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* A short name in lower case, to compare with a WORD(). Other characters than letters may change,
 * but none becomes a letter; a name of more than eight is no WORD() of less. */
#define LOWER8 0x2020202020202020ULL
#define WORD_CHAR(s, i) ((i) < sizeof(s) - 1 ? (uint64_t)(uint8_t)((s)[i]) << (8 * (i)) : 0)
#define WORD(s) \
	(WORD_CHAR(s "\0\0\0\0\0\0\0\0", 0) | WORD_CHAR(s "\0\0\0\0\0\0\0\0", 1) | \
		WORD_CHAR(s "\0\0\0\0\0\0\0\0", 2) | WORD_CHAR(s "\0\0\0\0\0\0\0\0", 3) | \
		WORD_CHAR(s "\0\0\0\0\0\0\0\0", 4) | WORD_CHAR(s "\0\0\0\0\0\0\0\0", 5) | \
		WORD_CHAR(s "\0\0\0\0\0\0\0\0", 6) | WORD_CHAR(s "\0\0\0\0\0\0\0\0", 7))

static inline uint64_t word_of(const char *p, uint32_t len)
{
	return (load8(p) | LOWER8) & bits_below(8 * (len < 8 ? len : 8));
}

/* len (1 to 4) digits at p, of which four bytes may be read; false where one is none. */
static inline bool read_4_digits(const char *p, uint32_t len, uint32_t *out)
{
	uint32_t v = (load4(p) ^ 0x30303030U) << (32 - 8 * len);

	if ((((v + 0x06060606U) | v) & 0xf0f0f0f0U) != 0)
		return false;
	/* Two pairs of digits, then all four. */
	v = v * 10 + (v >> 8);
	*out = (v & 0xff) * 100 + ((v >> 16) & 0xff);
	return true;
}

/* The same for 1 to 8 digits and eight bytes. */
static inline bool read_8_digits(const char *p, uint32_t len, uint32_t *out)
{
	uint64_t v = (load8(p) ^ 0x3030303030303030ULL) << (64 - 8 * len);

	if ((((v + 0x0606060606060606ULL) | v) & 0xf0f0f0f0f0f0f0f0ULL) != 0)
		return false;
	v = v * 10 + (v >> 8);
	v = (v & 0x00ff00ff00ff00ffULL) * 100 + ((v >> 16) & 0x00ff00ff00ff00ffULL);
	v = (v & 0x0000ffff0000ffffULL) * 10000 + ((v >> 32) & 0x0000ffff0000ffffULL);
	*out = (uint32_t)v;
	return true;
}

/* A number of 1 to 8 digits that fills the value. */
static inline bool number_usual(struct source in, struct sip_span value, uint32_t *out)
{
	if (value.off + 8 > in.limit)
		return false;
	if (__builtin_expect(value.len - 1 < 4, 1))
		return read_4_digits(in.buf + value.off, value.len, out);
	return value.len - 1 < 8 && read_8_digits(in.buf + value.off, value.len, out);
}

/* ":port" up to `end`. */
static inline bool port_usual(struct source in, uint32_t colon, uint32_t end, uint16_t *port)
{
	uint32_t number;

	if (!number_usual(in, sip_span_of(colon + 1, end), &number) || number - 1 >= UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	return true;
}

/* ---- hosts ---- */

/*
 * A name of at most 63 characters: labels that neither begin nor end with '-', and a letter at the
 * end, which no address has.
 */
static __attribute__((noinline)) bool name_usual(struct source in, uint32_t at, uint32_t len)
{
	struct window w;
	uint64_t dots, hyphens, all = bits_below(at_most_64(len)), begin;

	if (len - 1 >= 63 || !str_is_alpha(in.buf[at + len - 1]))
		return false;
	w = window_at(in, at);
	dots = window_is(w, '.');
	hyphens = window_is(w, '-');
	begin = dots << 1 | 1;
	return ((window_misses(w, sip_text_rows[__builtin_ctz(SIP_TEXT_HOST)]) |
			((dots | hyphens) & begin) | (hyphens & dots >> 1)) &
		       all) == 0;
}

/* Whether [at, at + len) is a host; *ip4 and *address as in struct sip_host. */
static inline bool host_usual(
	struct source in, uint32_t at, uint32_t len, bool *ip4, uint32_t *address)
{
	if (__builtin_expect(at + 16 <= in.limit && sip_ip4_short(in.buf + at, len, address), 1)) {
		*ip4 = true;
		return true;
	}
	*ip4 = false;
	*address = 0;
	return name_usual(in, at, len);
}

/* ---- parameters of header fields ---- */

/* Those from the ';' at `at` to `end`, through a window that moves on. */
struct params {
	struct source in;
	uint32_t at, end;
	uint32_t base;  /* where the window begins */
	uint64_t stops; /* of set_of_params, and '<' */
};

struct param {
	uint64_t word; /* of its name */
	struct sip_span name, value;
	bool has_value;
};

static inline void params_window(struct params *p, struct window w, uint32_t base)
{
	uint64_t inside = bits_below(at_most_64(p->end - base));

	p->base = base;
	p->stops = ((window_of_set(w, set_of_params) | window_is(w, '<')) & inside) | ~inside;
}

/* The first stop at or behind `from`, or where the parameters end; 64 where neither is in the
 * window. */
static inline uint32_t params_stop(const struct params *p, uint32_t from)
{
	return first_bit(p->stops & ~bits_below(from));
}

/*
 * The next one; false where it is not ";name" or ";name=value", with at least one character each
 * and no LWS, quote, parenthesis or comma in it. Of the name it is only known that a value might
 * hold it.
 */
static inline bool param_usual(struct params *p, struct param *out)
{
	const char *text = p->in.buf + p->base;
	uint32_t name, equal, stop;

	/* Where the window does not show all of it, once more in one that begins with it. Behind
	 * the last one stands what ends a header's value, and no '='. */
	for (;;) {
		name = p->at + 1 - p->base;
		equal = stop = params_stop(p, name);
		while (stop < 64 && text[stop] == '=')
			stop = params_stop(p, stop + 1);
		if (__builtin_expect(stop < 64, 1))
			break;
		if (p->base == p->at)
			return false;
		params_window(p, window_at(p->in, p->at), p->at);
		text = p->in.buf + p->base;
	}
	if ((text[stop] != ';' && p->base + stop != p->end) || equal == name ||
		p->base + name + 8 > p->in.limit)
		return false;
	out->has_value = equal != stop;
	out->name = (struct sip_span){p->base + name, equal - name};
	out->value = sip_span_of(p->base + equal + 1, p->base + stop);
	out->word = word_of(text + name, equal - name);
	p->at = p->base + stop;
	return !out->has_value || equal + 1 != stop;
}

/* Whether a name that is none of those that are known by word is a token. */
static inline bool name_is_token(const struct params *p, const struct param *param)
{
	return sip_skip(p->in.buf, param->name.off, param->name.off + param->name.len,
		       SIP_TEXT_TOKEN) == param->name.off + param->name.len;
}

/* ---- Via ---- */

static inline bool via_branch(struct source in, const struct param *param, struct sip_via *out)
{
	if (!param->has_value || sip_present(out->branch))
		return false;
	out->branch = param->value;
	out->has_magic = param->value.len >= 7 && param->value.off + 8 <= in.limit &&
			 word_of(in.buf + param->value.off, 7) == WORD("z9hg4bk");
	return param->value.off + 8 <= in.limit;
}

static inline bool via_rport(
	struct source in, const struct param *param, struct sip_span whole, struct sip_via *out)
{
	uint32_t number;

	if (out->has_rport)
		return false;
	out->has_rport = true;
	out->rport_param = whole;
	if (!param->has_value)
		return true;
	if (!number_usual(in, param->value, &number) || number - 1 >= UINT16_MAX)
		return false;
	out->rport = (uint16_t)number;
	return true;
}

static inline bool via_received(
	struct source in, const struct param *param, struct sip_span whole, struct sip_via *out)
{
	uint32_t address;

	if (param->name.len != 8 || sip_present(out->received_param) || !param->has_value ||
		param->value.off + 16 > in.limit ||
		!sip_ip4_short(in.buf + param->value.off, param->value.len, &address))
		return false;
	out->received = param->value;
	out->received_param = whole;
	return true;
}

static inline bool via_param(struct params *p, const struct param *param, struct sip_via *out)
{
	struct sip_span whole = sip_span_of(param->name.off - 1, p->at);

	if (param->word == WORD("branch"))
		return via_branch(p->in, param, out);
	if (param->word == WORD("rport"))
		return via_rport(p->in, param, whole, out);
	if (param->word == WORD("received"))
		return via_received(p->in, param, whole, out);
	if (param->word == WORD(SIP_VIA_TOKEN_PARAM)) {
		if (sip_present(out->token) || !param->has_value)
			return false;
		out->token = param->value;
		return true;
	}
	return param->word != WORD("maddr") && param->word != WORD("ttl") &&
	       name_is_token(p, param);
}

/* The protocol's name and the space behind it; 0 where it is none of those that are usual. */
static inline enum sip_transport transport_usual(uint32_t text)
{
	return text == (uint32_t)WORD("UDP ")   ? SIP_TRANSPORT_UDP
	       : text == (uint32_t)WORD("TCP ") ? SIP_TRANSPORT_TCP
	       : text == (uint32_t)WORD("TLS ") ? SIP_TRANSPORT_TLS
						: SIP_TRANSPORT_NONE;
}

/* "SIP/2.0/UDP host:port;params", and no further value behind it. */
static __attribute__((noinline)) bool via_usual(
	struct source in, struct sip_span value, struct sip_via *out)
{
	const uint32_t at = value.off + 12, end = value.off + value.len;
	uint32_t stop, port_end;
	struct params params = {.in = in, .end = end};
	struct param param;
	struct window w;

	if (value.len <= 12 || load8(in.buf + value.off) != WORD("SIP/2.0/"))
		return false;
	memset(out, 0, sizeof(*out));
	out->transport = transport_usual(load4(in.buf + value.off + 8));
	if (out->transport == SIP_TRANSPORT_NONE)
		return false;
	w = window_at(in, at);
	params_window(&params, w, at);
	/* Nothing that stops has to stand in a host or a port, so that the first is its end. */
	port_end = params_stop(&params, 0);
	stop = first_bit(window_is(w, ':') & bits_below(port_end));
	stop = stop < port_end ? stop : port_end;
	if (port_end == 64 || (at + port_end != end && in.buf[at + port_end] != ';') ||
		!host_usual(in, at, stop, &out->host_is_ip4, &out->ip4) ||
		(stop != port_end && !port_usual(in, at + stop, at + port_end, &out->port)))
		return false;
	out->host = (struct sip_span){at, stop};
	out->sent_by = (struct sip_span){at, port_end};
	out->value = value;
	params.at = at + port_end;
	if (params.at == end)
		return true;
	out->params = sip_span_of(params.at, end);
	do {
		if (!param_usual(&params, &param) || !via_param(&params, &param, out))
			return false;
	} while (params.at != end);
	return true;
}

/* ---- From, To, Contact, Route, Record-Route ---- */

/* Length of a scheme that is usual, with its colon; 0 where it is another. */
static inline uint32_t scheme_usual(const char *p)
{
	uint64_t word = load8(p) | LOWER8;

	return (uint32_t)word == (uint32_t)WORD("sip:")    ? 4
	       : (word & 0xffffffffffULL) == WORD("sips:") ? 5
	       : (uint32_t)word == (uint32_t)WORD("tel:")  ? 4
							   : 0;
}

static __attribute__((noinline)) bool address_params(
	struct source in, uint32_t at, uint32_t end, struct sip_address *out)
{
	struct params params = {.in = in, .at = at, .end = end};
	struct param param;

	out->params = sip_span_of(at, end);
	params_window(&params, window_at(in, at), at);
	do {
		if (!param_usual(&params, &param))
			return false;
		if (param.word == WORD("tag")) {
			if (sip_present(out->tag) || !param.has_value)
				return false;
			out->tag = param.value;
		} else if (!name_is_token(&params, &param)) {
			return false;
		}
	} while (params.at != end);
	return true;
}

/* `<uri>;params`, where the bracket opens at `open` in the value, whose beginning the window shows.
 */
static inline bool brackets_usual(struct source in, struct sip_span value, uint32_t open,
	struct window w, struct sip_address *out)
{
	const uint32_t end = value.off + value.len;
	uint64_t stops = window_of_set(w, set_of_brackets) & ~bits_below(open + 1 - value.off);
	uint32_t close = value.off + first_bit(stops), scheme;

	if (__builtin_expect(stops == 0, 0)) {
		/* The name was too long; the URI alone may do. */
		stops = window_of_set(window_at(in, open), set_of_brackets) & ~1ULL;
		close = open + first_bit(stops);
	}
	if (stops == 0 || close >= end || in.buf[close] != '>' || open + 9 > in.limit)
		return false;
	scheme = scheme_usual(in.buf + open + 1);
	if (scheme == 0 || open + 1 + scheme >= close)
		return false;
	out->brackets = true;
	out->value = value;
	out->uri = sip_span_of(open + 1, close);
	return close + 1 == end ||
	       (in.buf[close + 1] == ';' && address_params(in, close + 1, end, out));
}

/* `name <uri>;params`, without quotes, or `uri;params`, without brackets. */
static __attribute__((noinline)) bool bare_usual(
	struct source in, struct sip_span value, struct sip_address *out)
{
	struct window w = window_at(in, value.off);
	uint64_t stops = window_of_set(w, set_of_bare) | window_is(w, '<') | window_is(w, '?') |
			 window_is(w, '\\');
	uint32_t stop = first_bit(stops), room = at_most_64(value.len), scheme;
	uint32_t at = value.off + stop, end = value.off + value.len;

	if (stop < room && in.buf[at] == '<') {
		out->display = sip_span_of(value.off, sip_skip_lws_back(in.buf, value.off, at));
		return brackets_usual(in, value, at, w, out);
	}
	stop = stop < room ? stop : room;
	at = value.off + stop;
	if (stop == 64 || (at != end && in.buf[at] != ';') ||
		(window_is(w, ' ') & bits_below(stop)) != 0 || value.off + 8 > in.limit)
		return false;
	scheme = scheme_usual(in.buf + value.off);
	if (scheme == 0 || scheme >= stop)
		return false;
	out->value = value;
	out->uri = sip_span_of(value.off, at);
	return at == end || address_params(in, at, end, out);
}

/*
 * A URI in angle brackets, behind a display name or not, or one without; and no further value
 * behind it.
 */
static __attribute__((noinline)) bool address_usual(
	struct source in, struct sip_span value, struct sip_address *out)
{
	const uint32_t end = value.off + value.len;
	uint32_t open = value.off, quote;
	struct window w = window_at(in, open);

	memset(out, 0, sizeof(*out));
	if (value.len == 0)
		return false;
	if (in.buf[open] == '<')
		return brackets_usual(in, value, open, w, out);
	if (in.buf[open] != '"')
		return bare_usual(in, value, out);
	quote = first_bit(window_is(w, '"') & ~1ULL);
	open += quote + 1;
	if (quote == 64 || open >= end || in.buf[open - 2] == '\\')
		return false;
	out->display = sip_span_of(value.off, open);
	open += in.buf[open] == ' ';
	return in.buf[open] == '<' && brackets_usual(in, value, open, w, out);
}

/* ---- the Request-URI ---- */

/*
 * sip: or sips:, with or without user and port, of at most 63 characters without escapes, headers
 * and IPv6 references. That is what sip_check_uri() asks too.
 */
static inline bool uri_usual(struct source in, struct sip_span text, struct sip_uri *out)
{
	const uint32_t at = text.off, len = text.len;
	struct window w = window_at(in, at);
	uint64_t all = bits_below(at_most_64(len)), signs = window_is(w, '@') & all;
	uint64_t stops = (window_of_set(w, set_of_uri) & all) | ~all;
	uint32_t scheme, host, host_end, port_end;

	if (len - 1 >= 63 || at + 8 > in.limit || (signs & (signs - 1)) != 0 ||
		(window_misses(w, sip_char_rows[__builtin_ctz(SIP_CHAR_PLAIN)]) & all) != 0)
		return false;
	memset(out, 0, sizeof(*out));
	scheme = scheme_usual(in.buf + at);
	out->scheme = scheme == 5 ? SIP_SCHEME_SIPS : SIP_SCHEME_SIP;
	if (scheme == 0 || scheme >= len || (in.buf[at] | 0x20) == 't')
		return false;
	host = scheme;
	if (signs != 0) {
		uint32_t sign = first_bit(signs);
		uint64_t colon = window_is(w, ':') & bits_below(sign) & ~bits_below(scheme);
		uint32_t user_end = first_bit(colon | signs);

		if (user_end == scheme)
			return false;
		out->user = (struct sip_span){at + scheme, user_end - scheme};
		if (user_end != sign)
			out->password = sip_span_of(at + user_end + 1, at + sign);
		host = sign + 1;
	}
	host_end = port_end = first_bit(stops & ~bits_below(host));
	if (host_end < len && in.buf[at + host_end] == ':') {
		port_end = first_bit(stops & ~bits_below(host_end + 1));
		if (!port_usual(in, at + host_end, at + port_end, &out->port))
			return false;
	}
	if (port_end < len && in.buf[at + port_end] != ';')
		return false;
	if (!host_usual(in, at + host, host_end - host, &out->host_is_ip4, &out->ip4))
		return false;
	out->all = text;
	out->scheme_text = (struct sip_span){at, scheme - 1};
	out->opaque = sip_span_of(at + scheme, at + len);
	out->host = sip_span_of(at + host, at + host_end);
	out->hostport = sip_span_of(at + host, at + port_end);
	if (port_end == len)
		return true;
	out->params = sip_span_of(at + port_end + 1, at + len);
	return sip_uri_params_read(in.buf, out) == 0;
}

/* ---- the rest ---- */

/* Digits, one space, and of a request the very method of its start line. */
static inline bool cseq_usual(struct sip_msg *msg, struct source in, struct sip_span value)
{
	const char *p = in.buf + value.off;
	__m128i text, method;
	uint32_t digits, len, number;

	if (value.off + 32 > in.limit)
		return false;
	text = _mm_loadu_si128((const __m128i *)p);
	digits = (uint32_t)__builtin_ctz(
		(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8(' '))) | 1U << 16);
	len = value.len - digits - 1;
	if (value.len <= digits + 1 || len >= SIP_NAME_SHORT ||
		!number_usual(in, (struct sip_span){value.off, digits}, &number))
		return false;
	method = _mm_loadu_si128((const __m128i *)(p + digits + 1));
	msg->cseq_method = (uint8_t)sip_method_short(method, len);
	if (msg->cseq_method == SIP_METHOD_OTHER ||
		(!msg->is_response && msg->cseq_method != msg->method))
		return false;
	if (msg->is_response)
		msg->method = msg->cseq_method;
	msg->cseq_number = number;
	msg->cseq_method_text = (struct sip_span){value.off + digits + 1, len};
	return true;
}

/* Printable it is already. */
static inline bool call_id_usual(struct source in, struct sip_span value)
{
	return value.len - 1 < 64 &&
	       (window_is(window_at(in, value.off), ' ') & bits_below(value.len)) == 0;
}

/* Whether the mandatory ones are there, and each that may stand once does. */
static inline bool present_usual(const struct sip_msg *msg)
{
	const uint64_t need = 1ULL << SIP_HEADER_VIA | 1ULL << SIP_HEADER_FROM |
			      1ULL << SIP_HEADER_TO | 1ULL << SIP_HEADER_CALL_ID |
			      1ULL << SIP_HEADER_CSEQ;
	uint64_t alone = text64_same(
		text64_at((const char *)msg->first), text64_at((const char *)msg->last));

	return (msg->present & need) == need && (msg->present & sip_once_ids & ~alone) == 0;
}

static inline const struct sip_header *first_of(const struct sip_msg *msg, enum sip_header_id id)
{
	return &msg->header[msg->first[id]];
}

/* Remembers a value that was parsed. */
static inline void remember(struct sip_msg *msg, unsigned bit)
{
	msg->parsed |= (uint16_t)bit;
}

static inline bool usual_address(struct sip_msg *msg, struct source in, enum sip_header_id id,
	unsigned bit, struct sip_address *out)
{
	if (!address_usual(in, sip_header_value(first_of(msg, id)), out))
		return false;
	out->header = msg->first[id];
	remember(msg, bit);
	return true;
}

static inline bool usual_top_via(struct sip_msg *msg, struct source in)
{
	if (!via_usual(in, sip_header_value(first_of(msg, SIP_HEADER_VIA)), &msg->via[0]))
		return false;
	msg->via[0].header = msg->first[SIP_HEADER_VIA];
	remember(msg, SIP_PARSED_VIA0);
	return true;
}

/* The Via below the topmost, on a line of its own. */
static inline bool usual_next_via(struct sip_msg *msg, struct source in)
{
	uint8_t next = first_of(msg, SIP_HEADER_VIA)->next;

	if (next == SIP_HEADER_NONE)
		return true;
	if (!via_usual(in, sip_header_value(&msg->header[next]), &msg->via[1]))
		return false;
	msg->via[1].header = next;
	remember(msg, SIP_PARSED_VIA1);
	return true;
}

/* The Vias by which a reply goes. */
static inline bool usual_via(struct sip_msg *msg, struct source in)
{
	return usual_top_via(msg, in) && (!msg->is_response || usual_next_via(msg, in));
}

static inline bool usual_address_or_none(
	const struct sip_msg *msg, struct source in, enum sip_header_id id)
{
	struct sip_address address;

	return !sip_msg_has(msg, id) ||
	       address_usual(in, sip_header_value(first_of(msg, id)), &address);
}

static inline bool usual_max_forwards(struct sip_msg *msg, struct source in)
{
	struct sip_span value;

	if (!sip_msg_has(msg, SIP_HEADER_MAX_FORWARDS))
		return true;
	value = sip_header_value(first_of(msg, SIP_HEADER_MAX_FORWARDS));
	if (!number_usual(in, value, &msg->max_forwards) ||
		msg->max_forwards > SIP_MAX_FORWARDS_MAX)
		return false;
	remember(msg, SIP_PARSED_MAX_FORWARDS);
	return true;
}

static inline bool usual_cseq(struct sip_msg *msg, struct source in)
{
	if (!cseq_usual(msg, in, sip_header_value(first_of(msg, SIP_HEADER_CSEQ))))
		return false;
	remember(msg, SIP_PARSED_CSEQ);
	return true;
}

static inline bool usual_uri(struct sip_msg *msg, struct source in)
{
	if (!uri_usual(in, msg->uri_text, &msg->uri))
		return false;
	remember(msg, SIP_PARSED_URI);
	return true;
}

static inline enum sip_error check_body(struct sip_msg *msg, struct source in)
{
	uint32_t said;

	if (!sip_msg_has(msg, SIP_HEADER_CONTENT_LENGTH))
		return SIP_OK;
	if (!number_usual(in, sip_header_value(first_of(msg, SIP_HEADER_CONTENT_LENGTH)), &said))
		return sip_check_body(msg, in.buf);
	return sip_check_body_length(msg, said);
}

static enum sip_error check_request(struct sip_msg *msg, struct source in)
{
	enum sip_error error;

	if (!usual_max_forwards(msg, in) && (error = sip_check_max_forwards(msg, in.buf)) != SIP_OK)
		return error;
	if (sip_msg_has(msg, SIP_HEADER_ROUTE) &&
		!usual_address(msg, in, SIP_HEADER_ROUTE, SIP_PARSED_ROUTE0, &msg->route) &&
		(error = sip_check_route(msg, in.buf)) != SIP_OK)
		return error;
	if (!usual_address_or_none(msg, in, SIP_HEADER_RECORD_ROUTE) &&
		(error = sip_check_record_route(msg, in.buf)) != SIP_OK)
		return error;
	if (!usual_address_or_none(msg, in, SIP_HEADER_CONTACT) &&
		(error = sip_check_contact(msg, in.buf)) != SIP_OK)
		return error;
	return usual_uri(msg, in) ? SIP_OK : sip_check_uri(msg, in.buf);
}

/* The same steps as sip_check_general(), each in the usual way first. */
static enum sip_error ISA(check)(struct sip_msg *msg, const char *buf)
{
	const struct source in = {buf, msg->len};
	enum sip_error error;

	if (__builtin_expect(!msg->plain || msg->len < 64 || msg->parsed != 0, 0))
		return sip_check_general(msg, buf);
	if (!present_usual(msg) && (error = sip_check_present(msg)) != SIP_OK)
		return error;
	if (!usual_via(msg, in) && (error = sip_check_via(msg, buf)) != SIP_OK)
		return error;
	if (!usual_cseq(msg, in) && (error = sip_check_cseq(msg, buf)) != SIP_OK)
		return error;
	if (!call_id_usual(in, sip_header_value(first_of(msg, SIP_HEADER_CALL_ID))) &&
		(error = sip_check_call_id(msg, buf)) != SIP_OK)
		return error;
	if (!usual_address(msg, in, SIP_HEADER_FROM, SIP_PARSED_FROM, &msg->from) &&
		(error = sip_check_from(msg, buf)) != SIP_OK)
		return error;
	if (!usual_address(msg, in, SIP_HEADER_TO, SIP_PARSED_TO, &msg->to) &&
		(error = sip_check_to(msg, buf)) != SIP_OK)
		return error;
	error = check_body(msg, in);
	return error != SIP_OK || msg->is_response ? error : check_request(msg, in);
}
