/* SPDX-License-Identifier: BSD-3-Clause */
#include "sip/grammar.h"
#include "sip/ip4.h"

#define DIGIT(c) ((c) >= '0' && (c) <= '9')
#define ALPHA(c) (((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z'))
#define ALNUM(c) (DIGIT(c) || ALPHA(c))
#define HEX(c) (DIGIT(c) || ((c) >= 'a' && (c) <= 'f') || ((c) >= 'A' && (c) <= 'F'))
#define VISIBLE(c) ((c) > 0x20 && (c) != 0x7f)
#define TOKEN(c) \
	(ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '!' || (c) == '%' || (c) == '*' || \
		(c) == '_' || (c) == '+' || (c) == '`' || (c) == '\'' || (c) == '~')
#define HOST(c) (ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_')
#define URI(c) (VISIBLE(c) && (c) != '"' && (c) != '<' && (c) != '>')
/* Wider than gen-value, since branches and tags in the wild hold '=', '@' or '/'; it ends where the
 * list does. */
#define VALUE(c) (URI(c) && (c) != ',' && (c) != ';' && (c) != '(' && (c) != ')')
#define QUOTED(c) \
	((VISIBLE(c) && (c) != '"' && (c) != '\\') || (c) == ' ' || (c) == '\t' || (c) == '\r' || \
		(c) == '\n')
#define PLAIN(c) (URI(c) && (c) != '%' && (c) != '@')
#define SCHEME(c) (ALNUM(c) || (c) == '+' || (c) == '-' || (c) == '.')

#define CLASS(c) \
	((TOKEN(c) ? SIP_TEXT_TOKEN : 0) | (HOST(c) ? SIP_TEXT_HOST : 0) | \
		(URI(c) ? SIP_TEXT_URI : 0) | (VALUE(c) ? SIP_TEXT_VALUE : 0) | \
		(HEX(c) ? SIP_TEXT_HEX : 0) | (PLAIN(c) ? SIP_TEXT_PLAIN : 0) | \
		(QUOTED(c) ? SIP_TEXT_QUOTED : 0) | (SCHEME(c) ? SIP_TEXT_SCHEME : 0))
#define CLASS4(c) CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define CLASS16(c) CLASS4(c), CLASS4((c) + 4), CLASS4((c) + 8), CLASS4((c) + 12)
#define CLASS64(c) CLASS16(c), CLASS16((c) + 16), CLASS16((c) + 32), CLASS16((c) + 48)

const uint8_t sip_text_class[256] = {CLASS64(0), CLASS64(64), CLASS64(128), CLASS64(192)};

_Alignas(16) const uint8_t sip_text_rows[8][16] = {
	{SIP_CLASS_ROWS(TOKEN)},
	{SIP_CLASS_ROWS(HOST)},
	{SIP_CLASS_ROWS(URI)},
	{SIP_CLASS_ROWS(VALUE)},
	{SIP_CLASS_ROWS(HEX)},
	{SIP_CLASS_ROWS(PLAIN)},
	{SIP_CLASS_ROWS(QUOTED)},
	{SIP_CLASS_ROWS(SCHEME)},
};

int sip_quoted_end(const char *buf, uint32_t at, uint32_t end, uint32_t *after)
{
	for (at = sip_skip(buf, at + 1, end, SIP_TEXT_QUOTED); at < end;
		at = sip_skip(buf, at + 1, end, SIP_TEXT_QUOTED)) {
		if (buf[at] == '"') {
			*after = at + 1;
			return 0;
		}
		/* quoted-pair: anything but CR and LF, a NUL too (RFC 3261 25.1) */
		if (buf[at] != '\\' || ++at == end || buf[at] == '\r' || buf[at] == '\n')
			return -EINVAL;
	}
	return -EINVAL;
}

int sip_comment_end(const char *buf, uint32_t at, uint32_t end, uint32_t *after)
{
	uint32_t depth = 0;

	for (; at < end; at++) {
		char c = buf[at];

		if (c == '(') {
			depth++;
		} else if (c == ')') {
			if (--depth == 0) {
				*after = at + 1;
				return 0;
			}
		} else if (c == '\\') {
			if (++at == end || buf[at] == '\r' || buf[at] == '\n')
				return -EINVAL;
		} else if (c != '"' && !sip_text_is(c, SIP_TEXT_QUOTED)) {
			return -EINVAL;
		}
	}
	return -EINVAL;
}

/* Four parts of 0 to 255; a leading zero is octal to some readers and decimal to others. */
bool sip_ip4_read(struct str text, uint32_t *address)
{
	char copy[16] = {0};

	if (text.len < sizeof("0.0.0.0") - 1 || text.len >= sizeof(copy))
		return false;
	str_copy(copy, text);
	return sip_ip4_short(copy, text.len, address);
}

/*
 * Behind "::", the third colon that RFC 3261's grammar had before a dotted quad. RFC 5954 took it
 * out; RFC 5118 4.10: "an implementation must tolerate both of the above constructs".
 */
static uint32_t skip_third_colon(struct str text, uint32_t at)
{
	uint32_t ip4;

	return at < text.len && text.s[at] == ':' &&
			       sip_ip4_read(str_of(text.s + at + 1, text.len - at - 1), &ip4)
		       ? at + 1
		       : at;
}

bool sip_ip6_read(struct str text, uint8_t out[16])
{
	uint8_t bytes[16];
	unsigned have = 0;
	int gap = -1;
	uint32_t at = 0;

	if (text.len >= 2 && text.s[0] == ':' && text.s[1] == ':') {
		gap = 0;
		at = skip_third_colon(text, 2);
	}
	while (at < text.len) {
		uint32_t begin = at, value = 0;

		while (at < text.len && at - begin < 4 && sip_text_is(text.s[at], SIP_TEXT_HEX))
			value = value << 4 | sip_hex(text.s[at++]);
		if (at == begin)
			return false;
		if (at < text.len && text.s[at] == '.') {
			uint32_t ip4;

			if (have > 12 ||
				!sip_ip4_read(str_of(text.s + begin, text.len - begin), &ip4))
				return false;
			memcpy(bytes + have, &ip4, sizeof(ip4));
			have += 4;
			at = text.len;
			break;
		}
		if (have == 16)
			return false;
		bytes[have++] = (uint8_t)(value >> 8);
		bytes[have++] = (uint8_t)value;
		if (at == text.len)
			break;
		if (text.s[at++] != ':' || at == text.len)
			return false;
		if (text.s[at] == ':') {
			if (gap >= 0)
				return false;
			gap = (int)have;
			at = skip_third_colon(text, at + 1);
		}
	}
	if (gap < 0 ? have != 16 : have > 14)
		return false;
	if (gap < 0)
		gap = 16;
	memset(out, 0, 16);
	memcpy(out, bytes, (unsigned)gap < have ? (unsigned)gap : have);
	if ((unsigned)gap < have)
		memcpy(out + 16 - (have - (unsigned)gap), bytes + gap, have - (unsigned)gap);
	return true;
}

bool sip_ip6_text_valid(struct str text)
{
	uint8_t bytes[16];

	if (text.len > 2 && text.s[0] == '[' && text.s[text.len - 1] == ']')
		return sip_ip6_read(str_of(text.s + 1, text.len - 2), bytes);
	return sip_ip6_read(text, bytes);
}

/*
 * Labels of letters, digits, '-' and '_', that neither begin nor end with '-'; one '.' may end the
 * name. The last label has more than digits.
 */
static bool name_valid(struct str name)
{
	char before = '.';
	bool digits = true;

	for (uint32_t i = 0; i < name.len; i++) {
		char c = name.s[i];

		if (c == '.' ? before == '.' || before == '-' : before == '.' && c == '-')
			return false;
		if (before == '.')
			digits = true;
		digits = digits && (c == '.' || str_is_digit(c));
		before = c;
	}
	return before != '-' && !digits;
}

/* Digits and dots: what must be an IPv4 address. */
static bool looks_like_ip4(struct str text)
{
	for (uint32_t i = 0; i < text.len; i++)
		if (!str_is_digit(text.s[i]) && text.s[i] != '.')
			return false;
	return true;
}

int sip_host_read(const char *buf, uint32_t at, uint32_t end, struct sip_host *out)
{
	uint32_t begin = at;
	uint8_t bytes[16];
	struct str text;

	if (at == end)
		return -EINVAL;
	out->ip4 = false;
	out->address = 0;
	out->ip6 = buf[at] == '[';
	if (out->ip6) {
		begin = ++at;
		while (at < end &&
			(sip_text_is(buf[at], SIP_TEXT_HEX) || buf[at] == ':' || buf[at] == '.'))
			at++;
		if (at == end || buf[at] != ']' ||
			!sip_ip6_read(str_of(buf + begin, at - begin), bytes))
			return -EINVAL;
		out->text = sip_span_of(begin, at);
		out->after = at + 1;
		return 0;
	}
	at = sip_skip(buf, at, end, SIP_TEXT_HOST);
	text = str_of(buf + begin, at - begin);
	if (text.len == 0 || text.len > SIP_HOST_MAX)
		return -EINVAL;
	out->ip4 = sip_ip4_read(text, &out->address);
	if (!out->ip4 && (looks_like_ip4(text) || !name_valid(text)))
		return -EINVAL;
	out->text = sip_span_of(begin, at);
	out->after = at;
	return 0;
}

bool sip_host_valid(const char *buf, struct sip_span in)
{
	struct sip_host host;

	return sip_host_read(buf, in.off, in.off + in.len, &host) == 0 &&
	       host.after == in.off + in.len;
}

int sip_port_read(const char *buf, uint32_t at, uint32_t end, uint16_t *port, uint32_t *after)
{
	uint32_t begin = at, value = 0;

	for (; at < end && str_is_digit(buf[at]); at++) {
		value = value * 10 + (uint32_t)(buf[at] - '0');
		if (value > UINT16_MAX)
			return -EINVAL;
	}
	if (at == begin || value == 0)
		return -EINVAL;
	*port = (uint16_t)value;
	*after = at;
	return 0;
}

int sip_header_param_read(const char *buf, uint32_t *at, uint32_t end, struct sip_param *out)
{
	uint32_t p = sip_skip_lws(buf, *at + 1, end);
	uint32_t name = p, after;
	int err;

	p = sip_skip(buf, p, end, SIP_TEXT_TOKEN);
	if (p == name)
		return -EINVAL;
	out->name = sip_span_of(name, p);
	out->value = (struct sip_span){0, 0};
	out->has_value = false;
	after = p;
	p = sip_skip_lws(buf, p, end);
	if (p < end && buf[p] == '=') {
		uint32_t value = sip_skip_lws(buf, p + 1, end);

		out->has_value = true;
		/* An empty value ends right behind its '=', so that `whole` holds no LWS at its
		 * end. */
		after = p + 1;
		if (value < end && buf[value] == '"') {
			err = sip_quoted_end(buf, value, end, &after);
			if (err != 0)
				return err;
			out->value = sip_span_of(value, after);
		} else {
			uint32_t value_end = sip_skip(buf, value, end, SIP_TEXT_VALUE);

			after = value_end != value ? value_end : after;
			out->value = sip_span_of(value_end != value ? value : after, after);
		}
	}
	out->whole = sip_span_of(*at, after);
	*at = after;
	return 0;
}

int sip_value_next(const char *buf, uint32_t at, uint32_t end, uint32_t *next)
{
	*next = 0;
	if (at == end)
		return 0;
	if (buf[at] != ',')
		return -EINVAL;
	at = sip_skip_lws(buf, at + 1, end);
	if (at == end)
		return -EINVAL;
	*next = at;
	return 0;
}
