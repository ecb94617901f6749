/* SPDX-License-Identifier: BSD-3-Clause */
#include "sip/start_line.h"

#include <nmmintrin.h>

#include "sip/name.h"
#include "sip/token.h"

static struct sip_span span(uint32_t from, uint32_t to)
{
	return (struct sip_span){from, to - from};
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Whether buf[from, to) begins with "SIP/" in any case. */
static bool begins_sip(const char *buf, uint32_t from, uint32_t to)
{
	return to - from >= 4 && str_lower_char(buf[from]) == 's' &&
	       str_lower_char(buf[from + 1]) == 'i' && str_lower_char(buf[from + 2]) == 'p' &&
	       buf[from + 3] == '/';
}

/* SIP-Version = "SIP" "/" 1*DIGIT "." 1*DIGIT, which compares without case; only 2.0 is ours (505).
 */
static enum sip_error check_version(const char *buf, struct sip_span version)
{
	uint32_t at = version.off + 4, end = version.off + version.len, digits = at;

	if (version.len == 7 && memcmp(buf + at, "2.0", 3) == 0)
		return SIP_OK;
	while (at < end && str_is_digit(buf[at]))
		at++;
	if (at == digits || at == end || buf[at] != '.')
		return SIP_ERROR_START_LINE;
	digits = ++at;
	while (at < end && str_is_digit(buf[at]))
		at++;
	return at == end && at > digits ? SIP_ERROR_VERSION : SIP_ERROR_START_LINE;
}

/* Status-Line = SIP-Version SP 3DIGIT SP Reason-Phrase; the last SP may be missing (RFC
 * 4475 3.1.1.13). */
static enum sip_error parse_status_line(
	struct sip_msg *msg, const char *buf, uint32_t from, uint32_t to)
{
	uint32_t at = from, digits;
	uint32_t status;

	msg->is_response = true;
	while (at < to && buf[at] != ' ')
		at++;
	msg->version = span(from, at);

	enum sip_error error = check_version(buf, msg->version);

	if (error != SIP_OK)
		return error;
	digits = at < to ? ++at : at;
	while (at < to && str_is_digit(buf[at]))
		at++;
	if (at == digits || (at < to && buf[at] != ' '))
		return SIP_ERROR_START_LINE;
	if (at - digits != 3 || str_to_u32(str_of(buf + digits, 3), 699, &status) != 0 ||
		status < 100)
		return SIP_ERROR_STATUS;
	msg->status = (uint16_t)status;
	if (at < to)
		msg->reason = span(at + 1, to);
	return SIP_OK;
}

/* Bits of the spaces and tabs among the 16 bytes at p. */
static inline unsigned blanks_of(const char *p)
{
	__m128i text = _mm_loadu_si128((const __m128i *)p);

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(text, _mm_set1_epi8(' ')),
		_mm_cmpeq_epi8(text, _mm_set1_epi8('\t'))));
}

/* Offset of the first space or tab in buf[at, to), or `to`. */
static inline uint32_t find_blank(const char *buf, uint32_t at, uint32_t to)
{
	unsigned blanks;

	for (; to - at >= 16; at += 16) {
		blanks = blanks_of(buf + at);
		if (blanks != 0)
			return at + (uint32_t)__builtin_ctz(blanks);
	}
	if (__builtin_expect(to < 16, 0)) {
		while (at < to && !is_blank(buf[at]))
			at++;
		return at;
	}
	/* The rest together with what stands before it. */
	blanks = blanks_of(buf + to - 16) >> (16 - (to - at));
	return blanks != 0 ? at + (uint32_t)__builtin_ctz(blanks) : to;
}

/* Offset behind the last space or tab in buf[from, to), or `from`. */
static uint32_t last_word(const char *buf, uint32_t from, uint32_t to)
{
	for (; to - from >= 16; to -= 16) {
		unsigned blanks = blanks_of(buf + to - 16);

		if (blanks != 0)
			return to - (uint32_t)__builtin_clz(blanks << 16);
	}
	while (to > from && !is_blank(buf[to - 1]))
		to--;
	return to;
}

bool sip_start_line_strange(const char *buf, uint32_t from, uint32_t to)
{
	uint32_t end = to, version;

	if (begins_sip(buf, from, to))
		return false;
	while (end > from && is_blank(buf[end - 1]))
		end--;
	version = last_word(buf, from, end);
	return version == from || !begins_sip(buf, version, end);
}

/* What stands between the first space and the version. */
static enum sip_error check_uri_text(const char *buf, struct sip_span uri, uint32_t to)
{
	uint32_t end = uri.off + uri.len;

	if (uri.len == 0 || is_blank(buf[uri.off]) || is_blank(buf[end - 1]))
		return SIP_ERROR_START_LINE;
	/* On into the version, at `to` the end of the line: the space before it may be the first.
	 */
	return find_blank(buf, uri.off, to) < end ? SIP_ERROR_URI : SIP_OK;
}

/*
 * Request-Line = Method SP Request-URI SP SIP-Version. Extra spaces are refused: RFC 4475 3.1.2.8
 * to 3.1.2.10 allow that, and whoever is lenient here has to mend what he forwards.
 */
static enum sip_error parse_request_line(
	struct sip_msg *msg, const char *buf, uint32_t from, uint32_t to)
{
	uint32_t end = to, version, at;

	while (end > from && is_blank(buf[end - 1]))
		end--;
	version = last_word(buf, from, end);
	if (version == from || !begins_sip(buf, version, end))
		return SIP_ERROR_NOT_SIP;
	at = find_blank(buf, from, to);
	msg->method_text = span(from, at);
	msg->method = (uint8_t)sip_method_of(str_of(buf + from, at - from));
	msg->version = span(version, end);
	if (at == from || at + 1 >= version || end != to || buf[at] != ' ' ||
		buf[version - 1] != ' ')
		return SIP_ERROR_START_LINE;
	msg->uri_text = span(at + 1, version - 1);
	if (msg->method == SIP_METHOD_OTHER && !sip_chars_are(buf, from, at, SIP_CHAR_TOKEN))
		return SIP_ERROR_METHOD_SYNTAX;

	enum sip_error error = check_uri_text(buf, msg->uri_text, to);

	return error != SIP_OK ? error : check_version(buf, msg->version);
}

enum sip_error sip_start_line(struct sip_msg *msg, const char *buf, uint32_t from, uint32_t to)
{
	msg->start_line = span(from, to);
	if (begins_sip(buf, from, to))
		return parse_status_line(msg, buf, from, to);
	return parse_request_line(msg, buf, from, to);
}
