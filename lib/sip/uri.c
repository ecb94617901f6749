/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * URIs (RFC 3261 19.1.1, RFC 3966). Taken is what 25.1 allows, and in user, parameters and headers
 * also those octets that can't be mistaken for a delimiter though 25.1 wants them escaped
 * ("sip:*31#0049@host", UTF-8): peers send them, and nothing here is ever unescaped into a message.
 * Refused are spaces, controls, '"', '<', '>', a second
 * '@', and a '%' without two hexadecimal digits.
 */
#include "sip/grammar.h"
#include "sip/isa.h"
#include "sip/uri.h"

#define TTL_MAX 255

static const struct {
	enum sip_transport transport;
	struct str name;
} transports[] = {
	{SIP_TRANSPORT_UDP, {"UDP", 3}},
	{SIP_TRANSPORT_TCP, {"TCP", 3}},
	{SIP_TRANSPORT_TLS, {"TLS", 3}},
	{SIP_TRANSPORT_SCTP, {"SCTP", 4}},
	{SIP_TRANSPORT_WS, {"WS", 2}},
	{SIP_TRANSPORT_WSS, {"WSS", 3}},
};

enum sip_transport sip_transport_of(struct str token)
{
	if (SIP_IS(token, "udp"))
		return SIP_TRANSPORT_UDP;
	if (SIP_IS(token, "tcp"))
		return SIP_TRANSPORT_TCP;
	if (SIP_IS(token, "tls"))
		return SIP_TRANSPORT_TLS;
	if (SIP_IS(token, "ws"))
		return SIP_TRANSPORT_WS;
	if (SIP_IS(token, "wss"))
		return SIP_TRANSPORT_WSS;
	if (SIP_IS(token, "sctp"))
		return SIP_TRANSPORT_SCTP;
	return token.len == 0 ? SIP_TRANSPORT_NONE : SIP_TRANSPORT_OTHER;
}

struct str sip_transport_name(enum sip_transport transport)
{
	for (unsigned i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (transports[i].transport == transport)
			return transports[i].name;
	return STR("");
}

/* Whether all of [at, end) may stand in a URI and each '%' leads two hexadecimal digits. */
static bool text_valid(const char *buf, uint32_t at, uint32_t end)
{
	for (;;) {
		at = sip_skip(buf, at, end, SIP_TEXT_PLAIN);
		if (at == end)
			return true;
		if (buf[at] != '%' || end - at < 3 || !sip_text_is(buf[at + 1], SIP_TEXT_HEX) ||
			!sip_text_is(buf[at + 2], SIP_TEXT_HEX))
			return false;
		at += 3;
	}
}

struct sip_uri_char sip_uri_char_next(struct str text, uint32_t *at)
{
	char c = text.s[(*at)++];

	/* A lone '%' can't come here from a parsed URI, but the span may be anybody's. */
	if (c != '%' || text.len - *at < 2 || !sip_text_is(text.s[*at], SIP_TEXT_HEX) ||
		!sip_text_is(text.s[*at + 1], SIP_TEXT_HEX))
		return (struct sip_uri_char){c, false};
	c = (char)(sip_hex(text.s[*at]) << 4 | sip_hex(text.s[*at + 1]));
	*at += 2;
	return (struct sip_uri_char){c, c != '\0' && strchr(";/?:@&=+$,", c) != NULL};
}

static bool has_escape(struct str text)
{
	return sip_find(text.s, 0, text.len, '%') != text.len;
}

bool sip_uri_text_equal(struct str a, struct str b, bool ignore_case)
{
	uint32_t i = 0, j = 0;

	if (!has_escape(a) && !has_escape(b))
		return ignore_case ? str_ieq(a, b) : str_eq(a, b);
	while (i < a.len && j < b.len) {
		struct sip_uri_char x = sip_uri_char_next(a, &i), y = sip_uri_char_next(b, &j);

		if (ignore_case) {
			x.c = str_lower_char(x.c);
			y.c = str_lower_char(y.c);
		}
		if (x.c != y.c || x.escaped != y.escaped)
			return false;
	}
	return i == a.len && j == b.len;
}

bool sip_uri_param_next(const char *buf, uint32_t *at, uint32_t end, struct sip_param *out)
{
	uint32_t p = *at, begin;

	while (p < end && buf[p] == ';')
		p++;
	begin = p;
	if (begin == end)
		return false;
	p = sip_find_either(buf, p, end, ';', '=');
	out->name = sip_span_of(begin, p);
	out->has_value = p < end && buf[p] == '=';
	p += out->has_value;
	out->value = sip_span_of(p, p);
	if (out->has_value)
		p = sip_find(buf, p, end, ';');
	out->value.len = p - out->value.off;
	out->whole = sip_span_of(begin, p);
	*at = p;
	return true;
}

enum param { PARAM_OTHER, PARAM_LR, PARAM_TRANSPORT, PARAM_MADDR, PARAM_TTL };
#define PARAM_NAME_MAX 9 /* "transport" */

/* The parameters that routing looks at, by a name without escapes. */
static inline enum param param_named(struct str name)
{
	if (SIP_IS(name, "lr"))
		return PARAM_LR;
	if (SIP_IS(name, "maddr"))
		return PARAM_MADDR;
	if (SIP_IS(name, "ttl"))
		return PARAM_TTL;
	if (name.len == PARAM_NAME_MAX && str_ieq(name, STR("transport")))
		return PARAM_TRANSPORT;
	return PARAM_OTHER;
}

/* The same by a name with escapes: as many characters as the longest one has are enough to tell. */
static enum param param_escaped(struct str name)
{
	char plain[PARAM_NAME_MAX];
	uint32_t at = 0, len = 0;

	while (at < name.len) {
		struct sip_uri_char c = sip_uri_char_next(name, &at);

		if (len == sizeof(plain) || !str_is_alpha(c.c))
			return PARAM_OTHER;
		plain[len++] = c.c;
	}
	return param_named((struct str){plain, len});
}

/* Takes one parameter. Those may stand once only: two readers could take different ones. */
static int take_param(
	const char *buf, const struct sip_param *param, struct sip_uri *uri, bool *has_ttl)
{
	struct str name = sip_text(buf, param->name);
	uint32_t ttl;

	if (name.len == 0)
		return -EINVAL;
	switch (has_escape(name) ? param_escaped(name) : param_named(name)) {
	case PARAM_LR:
		uri->lr = true;
		return 0;
	case PARAM_TRANSPORT:
		if (uri->transport != SIP_TRANSPORT_NONE || param->value.len == 0)
			return -EINVAL;
		uri->transport = sip_uri_transport_of(sip_text(buf, param->value));
		return 0;
	case PARAM_MADDR:
		if (uri->has_maddr || !sip_host_valid(buf, param->value))
			return -EINVAL;
		uri->has_maddr = true;
		uri->maddr = param->value;
		return 0;
	case PARAM_TTL:
		if (*has_ttl || str_to_u32(sip_text(buf, param->value), TTL_MAX, &ttl) != 0)
			return -EINVAL;
		*has_ttl = true;
		return 0;
	default:
		return 0;
	}
}

/* What the names of those begin with: "lr", "ma", "tr", "tt", or escapes of letters. */
#define KNOWN_FIRST(c) \
	((c) == 'l' || (c) == 'L' || (c) == 'm' || (c) == 'M' || (c) == 't' || (c) == 'T' || \
		(c) == '%')
#define KNOWN_SECOND(c) \
	((c) == 'r' || (c) == 'R' || (c) == 'a' || (c) == 'A' || (c) == 't' || (c) == 'T' || \
		(c) == '%' || ((c) >= '4' && (c) <= '7'))

static _Alignas(16) const uint8_t first_rows[16] = {SIP_CLASS_ROWS(KNOWN_FIRST)};
static _Alignas(16) const uint8_t second_rows[16] = {SIP_CLASS_ROWS(KNOWN_SECOND)};

/* Bits of the 16 characters at p that are a ';' before such a name, or before one that is empty.
 * Two characters behind them are looked at, too. */
static inline uint32_t known_among(const char *p)
{
	uint32_t misses = sip_class_misses(p + 1, first_rows, false) |
			  sip_class_misses(p + 2, second_rows, false);

	return sip_either(p, ';', ';') & (~misses | sip_either(p + 1, '=', '='));
}

/* Offset of the first such ';' in [at, end), or `end`. */
static uint32_t known_next(const char *buf, uint32_t at, uint32_t end)
{
	for (; at + 18 <= end; at += 16) {
		uint32_t found = known_among(buf + at);

		if (found != 0)
			return at + (uint32_t)__builtin_ctz(found);
	}
	if (at + 3 <= end && end >= 18) {
		/* What stands before `at` goes out again. */
		uint32_t found = known_among(buf + end - 18) >> (18 - (end - at));

		if (found != 0)
			return at + (uint32_t)__builtin_ctz(found);
		at = end - 2;
	}
	for (; at + 2 <= end; at++)
		if (buf[at] == ';' &&
			(buf[at + 1] == '=' || (at + 3 <= end && KNOWN_FIRST(buf[at + 1]) &&
						       KNOWN_SECOND(buf[at + 2]))))
			return at;
	return end;
}

int sip_uri_params_read(const char *buf, struct sip_uri *uri)
{
	uint32_t end = uri->params.off + uri->params.len;
	/* The first one's ';' stands before the span. */
	uint32_t at = known_next(buf, uri->params.off - 1, end);
	struct sip_param param;
	bool has_ttl = false;
	unsigned n = 0;

	while (at < end && sip_uri_param_next(buf, &at, end, &param)) {
		int err = take_param(buf, &param, uri, &has_ttl);

		if (err != 0)
			return err;
		if (++n > SIP_URI_KNOWN_MAX)
			return -EINVAL;
		at = known_next(buf, at, end);
	}
	return 0;
}

/* Whether `method` stands among the parameters, each of which is behind a ';'. */
static bool has_method(const char *buf, struct sip_span params)
{
	const struct str method = STR("method=");
	const char *at = buf + params.off, *end = at + params.len;

	while (at != NULL && end - at > (ptrdiff_t)method.len) {
		if (str_istarts(str_of(at, (size_t)(end - at)), method))
			return true;
		at = memchr(at, ';', (size_t)(end - at));
		at = at != NULL ? at + 1 : NULL;
	}
	return false;
}

enum sip_transport sip_uri_transport_of(struct str value)
{
	if (!has_escape(value))
		return value.len != 0 ? sip_transport_of(value) : SIP_TRANSPORT_OTHER;
	for (unsigned i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (sip_uri_text_equal(value, transports[i].name, true))
			return transports[i].transport;
	return SIP_TRANSPORT_OTHER;
}

/* user[:password]; an '@' follows. */
static int parse_userinfo(const char *buf, uint32_t at, uint32_t end, struct sip_uri *uri)
{
	uint32_t user_end = sip_find(buf, at, end, ':');

	if (user_end == at || !text_valid(buf, at, end))
		return -EINVAL;
	uri->user = sip_span_of(at, user_end);
	if (user_end != end)
		uri->password = sip_span_of(user_end + 1, end);
	return 0;
}

static int parse_sip(const char *buf, uint32_t at, uint32_t end, struct sip_uri *uri)
{
	/* '@' is reserved to this one place, so the first one ends the user even behind ';' or '?'
	 * (RFC 4475 3.1.1.5). */
	uint32_t sign = sip_find(buf, at, end, '@');
	struct sip_host host;
	uint32_t begin;
	int err;

	if (sign != end) {
		err = parse_userinfo(buf, at, sign, uri);
		if (err != 0)
			return err;
		at = sign + 1;
	}
	begin = at;
	err = sip_host_read(buf, at, end, &host);
	if (err != 0)
		return err;
	uri->host = host.text;
	uri->host_is_ip6 = host.ip6;
	uri->host_is_ip4 = host.ip4;
	uri->ip4 = host.address;
	at = host.after;
	if (at < end && buf[at] == ':') {
		err = sip_port_read(buf, at + 1, end, &uri->port, &at);
		if (err != 0)
			return err;
	}
	uri->hostport = sip_span_of(begin, at);
	if (at == end)
		return 0;
	if ((buf[at] != ';' && buf[at] != '?') || !text_valid(buf, at, end))
		return -EINVAL;
	if (buf[at] == ';') {
		uint32_t params_end = sip_find(buf, at, end, '?');

		uri->params = sip_span_of(at + 1, params_end);
		at = params_end;
		err = sip_uri_params_read(buf, uri);
		if (err != 0)
			return err;
		uri->has_method = has_method(buf, uri->params);
	}
	if (at < end)
		uri->headers = sip_span_of(at + 1, end);
	return 0;
}

static int parse_tel(const char *buf, uint32_t at, uint32_t end, struct sip_uri *uri)
{
	const char *semicolon = memchr(buf + at, ';', end - at);
	uint32_t number_end = semicolon != NULL ? (uint32_t)(semicolon - buf) : end;

	if (number_end == at)
		return -EINVAL;
	uri->user = sip_span_of(at, number_end);
	if (semicolon != NULL)
		uri->params = sip_span_of(number_end + 1, end);
	return 0;
}

static enum sip_scheme scheme_of(struct str text)
{
	if (SIP_IS(text, "sip"))
		return SIP_SCHEME_SIP;
	if (SIP_IS(text, "sips"))
		return SIP_SCHEME_SIPS;
	if (SIP_IS(text, "tel"))
		return SIP_SCHEME_TEL;
	return SIP_SCHEME_OTHER;
}

static __attribute__((noinline)) int parse(const char *buf, struct sip_span in, struct sip_uri *out)
{
	uint32_t at = in.off, end = in.off + in.len, colon;

	memset(out, 0, sizeof(*out));
	colon = sip_skip(buf, at, end, SIP_TEXT_SCHEME);
	if (colon == at || colon >= end || buf[colon] != ':' || !str_is_alpha(buf[at]))
		return -EINVAL;
	out->all = in;
	out->scheme_text = sip_span_of(at, colon);
	out->opaque = sip_span_of(colon + 1, end);
	out->scheme = scheme_of(sip_text(buf, out->scheme_text));
	if (out->opaque.len == 0)
		return -EINVAL;
	if (out->scheme == SIP_SCHEME_SIP || out->scheme == SIP_SCHEME_SIPS)
		return parse_sip(buf, colon + 1, end, out);
	if (sip_skip(buf, colon + 1, end, SIP_TEXT_URI) != end)
		return -EINVAL;
	return out->scheme == SIP_SCHEME_TEL ? parse_tel(buf, colon + 1, end, out) : 0;
}

int sip_uri_parse(const char *buf, struct sip_span in, struct sip_uri *out)
{
	return sip_isa->uri != NULL && sip_isa->uri(buf, in, out) ? 0 : parse(buf, in, out);
}
