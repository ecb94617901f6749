/* SPDX-License-Identifier: BSD-3-Clause */
/* Comma-separated lists (RFC 3261 7.3.1). */
#include "sip/grammar.h"

/* The end of the quoted string that begins at p (on its first quote), or `end` where it is not
 * closed. */
static const char *skip_quoted(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\' && p + 1 < end)
			p++;
	}
	return end;
}

/* The end of the comment that begins at p, or `end` where it is not closed. */
static const char *skip_comment(const char *p, const char *end)
{
	unsigned depth = 0;

	for (; p < end; p++) {
		if (*p == '\\') {
			p++;
		} else if (*p == '(') {
			depth++;
		} else if (*p == ')' && --depth == 0) {
			return p + 1;
		}
	}
	return end;
}

/* What may stand in a list without ending a value or hiding a comma. */
#define PLAIN(c) ((c) != ',' && (c) != '"' && (c) != '<' && (c) != '(')
#define PLAIN4(c) PLAIN(c), PLAIN((c) + 1), PLAIN((c) + 2), PLAIN((c) + 3)
#define PLAIN16(c) PLAIN4(c), PLAIN4((c) + 4), PLAIN4((c) + 8), PLAIN4((c) + 12)
#define PLAIN64(c) PLAIN16(c), PLAIN16((c) + 16), PLAIN16((c) + 32), PLAIN16((c) + 48)

static const uint8_t plain_table[256] = {PLAIN64(0), PLAIN64(64), PLAIN64(128), PLAIN64(192)};
static _Alignas(16) const uint8_t plain_rows[16] = {SIP_CLASS_ROWS(PLAIN)};

/*
 * The comma that ends the value which begins at `at`, or `end`. What is opened and not closed takes
 * all that follows: to look on behind it would cost the square of the length.
 */
static inline uint32_t value_end(const char *buf, uint32_t at, uint32_t end)
{
	for (;;) {
		at = sip_class_skip(buf, at, end, plain_rows, true, plain_table, 1);
		if (at == end || buf[at] == ',')
			return at;
		if (buf[at] == '<') {
			at = sip_find(buf, at, end, '>');
			at += at != end;
		} else {
			const char *after = buf[at] == '"' ? skip_quoted(buf + at, buf + end)
							   : skip_comment(buf + at, buf + end);

			at = (uint32_t)(after - buf);
		}
	}
}

bool sip_list_next(const char *buf, struct sip_span list, uint32_t *at, struct sip_span *value)
{
	const uint32_t end = list.off + list.len;
	uint32_t begin = list.off + *at, comma;

	/* Empty values are passed over here: a list may consist of nothing but commas. */
	while (begin < end && (buf[begin] == ',' || str_is_lws(buf[begin])))
		begin++;
	if (begin >= end)
		return false;
	comma = value_end(buf, begin, end);
	*at = comma - list.off + 1;
	*value = sip_span_of(begin, sip_skip_lws_back(buf, begin, comma));
	return true;
}

bool sip_msg_list_has(
	const struct sip_msg *msg, const char *buf, enum sip_header_id id, struct str token)
{
	SIP_MSG_FOREACH (msg, id, h) {
		struct sip_span value;
		uint32_t at = 0;

		while (sip_list_next(buf, sip_header_value(h), &at, &value))
			if (str_ieq(sip_text(buf, value), token))
				return true;
	}
	return false;
}
