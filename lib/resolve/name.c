/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolve/internal.h"

#define LABEL_MAX 63
#define NAME_MAX_LENGTH 253 /* as text, without the dot at its end */

static bool is_host_char(char c)
{
	return str_is_alpha(c) || str_is_digit(c) || c == '-' || c == '_';
}

/* One label from `at` on; returns its length, 0 where it is none. */
static uint32_t label_length(struct str text, uint32_t at, bool *number)
{
	uint32_t n = 0;

	*number = true;
	while (at + n < text.len && is_host_char(text.s[at + n])) {
		*number = *number && str_is_digit(text.s[at + n]);
		n++;
	}
	if (n == 0 || n > LABEL_MAX || text.s[at] == '-' || text.s[at + n - 1] == '-')
		return 0;
	return n;
}

bool name_read(struct str text, struct host_name *out)
{
	bool number = false;

	if (text.len > 0 && text.s[text.len - 1] == '.')
		text.len--;
	if (text.len == 0 || text.len > NAME_MAX_LENGTH)
		return false;
	for (uint32_t at = 0;;) {
		uint32_t n = label_length(text, at, &number);

		if (n == 0)
			return false;
		at += n;
		if (at == text.len)
			break;
		if (text.s[at++] != '.')
			return false;
	}
	/* RFC 3696 2: no top-level domain is all digits. */
	if (number)
		return false;
	for (uint32_t i = 0; i < text.len; i++)
		out->s[i] = str_lower_char(text.s[i]);
	out->s[text.len] = '\0';
	out->len = text.len;
	return true;
}
