/* SPDX-License-Identifier: BSD-3-Clause */
/* Digest credentials. */
#include "sip/digest.h"
#include "sip/grammar.h"

#define NEEDED \
	(1u << SIP_DIGEST_REALM | 1u << SIP_DIGEST_NONCE | 1u << SIP_DIGEST_URI | \
		1u << SIP_DIGEST_RESPONSE)
#define USERNAMES (1u << SIP_DIGEST_USERNAME | 1u << SIP_DIGEST_USERNAME_EXT)

static const struct str names[SIP_DIGEST_COUNT] = {
#define SIP_DIGEST_PARAM(id, name) {name, sizeof(name) - 1},
	SIP_DIGEST_PARAMS(SIP_DIGEST_PARAM)
#undef SIP_DIGEST_PARAM
};

const char *sip_digest_name(enum sip_digest_param param)
{
	return (unsigned)param < SIP_DIGEST_COUNT ? names[param].s : "";
}

const char *sip_digest_error_name(enum sip_digest_error error)
{
	static const char *const text[] = {"ok", "scheme", "syntax", "repeated", "missing"};

	return (unsigned)error < sizeof(text) / sizeof(text[0]) ? text[error] : "";
}

/* Names of letters only, by their first eight octets, lowered; the ninth is looked at beside. */
#define IS(name) (word == sip_word(name, sizeof(name) - 1))

/* The parameter of a name, or SIP_DIGEST_COUNT. */
static unsigned param_of(struct str name)
{
	uint64_t word = name.len != 0 ? sip_word(name.s, name.len) : 0;

	switch (name.len) {
	case 2:
		return IS("nc") ? SIP_DIGEST_NC : SIP_DIGEST_COUNT;
	case 3:
		return IS("uri") ? SIP_DIGEST_URI : IS("qop") ? SIP_DIGEST_QOP : SIP_DIGEST_COUNT;
	case 5:
		return IS("realm")   ? SIP_DIGEST_REALM
		       : IS("nonce") ? SIP_DIGEST_NONCE
				     : SIP_DIGEST_COUNT;
	case 6:
		return IS("cnonce")   ? SIP_DIGEST_CNONCE
		       : IS("opaque") ? SIP_DIGEST_OPAQUE
				      : SIP_DIGEST_COUNT;
	case 8:
		return IS("username")   ? SIP_DIGEST_USERNAME
		       : IS("response") ? SIP_DIGEST_RESPONSE
		       : IS("userhash") ? SIP_DIGEST_USERHASH
					: SIP_DIGEST_COUNT;
	case 9:
		return IS("algorithm") && str_lower_char(name.s[8]) == 'm' ? SIP_DIGEST_ALGORITHM
		       : IS("username*") && name.s[8] == '*'               ? SIP_DIGEST_USERNAME_EXT
									   : SIP_DIGEST_COUNT;
	default:
		return SIP_DIGEST_COUNT;
	}
}

/* Offset of the first octet that does not stand for itself in a quoted string: quote, backslash,
 * control. Exact only in what it passes over. */
static inline uint32_t plain_end(const char *buf, uint32_t at, uint32_t end)
{
	const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'),
		      last_control = _mm_set1_epi8(0x1f), del = _mm_set1_epi8(0x7f);

	for (; at + 16 <= end; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(buf + at)),
			special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote),
						       _mm_cmpeq_epi8(v, backslash)),
				_mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(v, last_control), v),
					_mm_cmpeq_epi8(v, del)));
		uint32_t found = (uint32_t)_mm_movemask_epi8(special);

		if (found != 0)
			return at + (uint32_t)__builtin_ctz(found);
	}
	while (at < end && (uint8_t)buf[at] > 0x1f && buf[at] != 0x7f && buf[at] != '"' &&
		buf[at] != '\\')
		at++;
	return at;
}

/*
 * Reads a value at `at` and writes the offset behind it. Quotes are no part of `text`. A line end
 * within is a fold: what it stands for is a matter of taste.
 */
static bool value_read(const char *buf, uint32_t at, uint32_t end, struct sip_span *text,
	bool *escaped, uint32_t *after)
{
	*escaped = false;
	if (at < end && buf[at] == '"') {
		uint32_t plain = plain_end(buf, at + 1, end);

		/* Nearly all are that. */
		if (plain < end && buf[plain] == '"') {
			*text = sip_span_of(at + 1, plain);
			*after = plain + 1;
			return true;
		}
		if (sip_quoted_end(buf, at, end, after) != 0)
			return false;
		*text = sip_span_of(at + 1, *after - 1);
		*escaped = sip_find(buf, at + 1, *after - 1, '\\') != *after - 1;
		return sip_find_either(buf, at + 1, *after - 1, '\r', '\n') == *after - 1;
	}
	*after = sip_skip(buf, at, end, SIP_TEXT_TOKEN);
	*text = sip_span_of(at, *after);
	return *after != at;
}

/* The longest of the names. */
#define NAME_MAX_LEN 9

/* Where the name at `at` ends and behind which '=' its value begins; false where there is none. */
static inline bool name_read(
	const char *buf, uint32_t at, uint32_t end, unsigned *param, uint32_t *behind)
{
	uint32_t name_end, equal;

	/* A known name is a token, and mostly '=' follows it. */
	if (at + 16 <= end) {
		uint32_t found = sip_either(buf + at, '=', '=');

		name_end = found != 0 ? (uint32_t)__builtin_ctz(found) : 16;
		if (name_end <= NAME_MAX_LEN) {
			*param = param_of(str_of(buf + at, name_end));
			*behind = at + name_end + 1;
			if (*param != SIP_DIGEST_COUNT)
				return true;
		}
	}
	name_end = sip_skip(buf, at, end, SIP_TEXT_TOKEN);
	equal = sip_skip_lws(buf, name_end, end);
	if (name_end == at || equal == end || buf[equal] != '=')
		return false;
	*param = param_of(str_of(buf + at, name_end - at));
	*behind = equal + 1;
	return true;
}

/* "name=value" at *at, of which *at is left behind. */
static enum sip_digest_error param_read(
	const char *buf, uint32_t *at, uint32_t end, struct sip_digest *out)
{
	struct sip_span text;
	uint32_t behind;
	unsigned param;
	bool escaped;

	if (!name_read(buf, *at, end, &param, &behind))
		return SIP_DIGEST_SYNTAX;
	if (!value_read(buf, sip_skip_lws(buf, behind, end), end, &text, &escaped, at))
		return SIP_DIGEST_SYNTAX;
	if (param == SIP_DIGEST_COUNT)
		return SIP_DIGEST_OK;
	if ((out->present >> param & 1) != 0)
		return SIP_DIGEST_REPEATED;
	out->present |= (uint16_t)(1u << param);
	out->escaped |= (uint16_t)(escaped << param);
	out->text[param] = text;
	return SIP_DIGEST_OK;
}

enum sip_digest_error sip_digest_parse(
	const char *buf, struct sip_span value, struct sip_digest *out)
{
	static const struct str scheme = {"Digest", 6};
	uint32_t at = value.off, end = value.off + value.len;
	enum sip_digest_error error;

	*out = (struct sip_digest){.header = SIP_HEADER_NONE, .value = value};
	/* RFC 3261 25.1: "Digest" LWS dig-resp. "Digestive" is another scheme. */
	if (value.len < scheme.len || !str_ieq(str_of(buf + at, scheme.len), scheme) ||
		(value.len > scheme.len && sip_text_is(buf[at + scheme.len], SIP_TEXT_TOKEN)))
		return SIP_DIGEST_SCHEME;
	at += scheme.len;
	if (at == end || !str_is_lws(buf[at]))
		return SIP_DIGEST_SYNTAX;
	for (;;) {
		at = sip_skip_lws(buf, at, end);
		error = param_read(buf, &at, end, out);
		if (error != SIP_DIGEST_OK)
			return error;
		at = sip_skip_lws(buf, at, end);
		if (at == end)
			break;
		if (buf[at++] != ',')
			return SIP_DIGEST_SYNTAX;
	}
	if ((out->present & USERNAMES) == USERNAMES)
		return SIP_DIGEST_REPEATED;
	if ((out->present & NEEDED) != NEEDED || (out->present & USERNAMES) == 0)
		return SIP_DIGEST_MISSING;
	return SIP_DIGEST_OK;
}

enum sip_digest_found sip_digest_find(const struct sip_msg *msg, const char *buf,
	enum sip_header_id id, struct str realm, struct sip_digest *out)
{
	bool bad = false;

	SIP_MSG_FOREACH (msg, id, h) {
		enum sip_digest_error error = sip_digest_parse(buf, sip_header_value(h), out);

		if (error == SIP_DIGEST_OK && sip_digest_is(buf, out, SIP_DIGEST_REALM, realm)) {
			out->header = (uint8_t)(h - msg->header);
			return SIP_DIGEST_FOUND;
		}
		bad |= error != SIP_DIGEST_OK && error != SIP_DIGEST_SCHEME;
	}
	return bad ? SIP_DIGEST_BAD : SIP_DIGEST_NONE;
}

/* Takes the character at *at of an escaped text. A backslash that ends it is refused by the parser.
 */
static char unescape(struct str text, uint32_t *at)
{
	if (text.s[*at] == '\\' && *at + 1 < text.len)
		(*at)++;
	return text.s[(*at)++];
}

bool sip_digest_text(const char *buf, const struct sip_digest *d, enum sip_digest_param param,
	char *room, uint32_t size, struct str *out)
{
	struct str text = sip_text(buf, d->text[param]);
	uint32_t len = 0;

	*out = text;
	if ((d->escaped >> param & 1) == 0)
		return true;
	for (uint32_t at = 0; at < text.len;) {
		if (len == size)
			return false;
		room[len++] = unescape(text, &at);
	}
	*out = str_of(room, len);
	return true;
}

bool sip_digest_is(
	const char *buf, const struct sip_digest *d, enum sip_digest_param param, struct str text)
{
	struct str own = sip_text(buf, d->text[param]);
	uint32_t at = 0, i = 0;

	if ((d->escaped >> param & 1) == 0)
		return str_eq(own, text);
	while (at < own.len && i < text.len) {
		if (unescape(own, &at) != text.s[i++])
			return false;
	}
	return at == own.len && i == text.len;
}
