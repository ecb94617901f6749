/* SPDX-License-Identifier: BSD-3-Clause */
/* Comma-separated lists (RFC 3261 7.3.1). */
#include "sip/sip.h"

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

static const char *skip_brackets(const char *p, const char *end)
{
	const char *close = memchr(p, '>', (size_t)(end - p));

	return close != NULL ? close + 1 : end;
}

/*
 * The comma that ends the value which begins at p, or `end`. What is opened and not closed takes
 * all that follows: to look on behind it would cost the square of the length.
 */
static const char *value_end(const char *p, const char *end)
{
	while (p < end && *p != ',') {
		if (*p == '"')
			p = skip_quoted(p, end);
		else if (*p == '<')
			p = skip_brackets(p, end);
		else if (*p == '(')
			p = skip_comment(p, end);
		else
			p++;
	}
	return p;
}

bool sip_list_next(const char *buf, struct sip_span list, uint32_t *at, struct sip_span *value)
{
	const char *end = buf + list.off + list.len;

	while (*at < list.len) {
		const char *begin = buf + list.off + *at;
		const char *comma = value_end(begin, end);
		struct str text = str_trim(str_of(begin, (size_t)(comma - begin)));

		*at = (uint32_t)(comma - (buf + list.off)) + 1;
		if (text.len == 0)
			continue;
		*value = (struct sip_span){(uint32_t)(text.s - buf), text.len};
		return true;
	}
	return false;
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
