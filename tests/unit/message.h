/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef UNIT_MESSAGE_H
#define UNIT_MESSAGE_H
/* Messages as tests write them, with LF, and what they look for in those that were written. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

/* With CRLF, and a NUL behind it that is not counted; the caller frees it. */
static inline char *message_wire(const char *text, uint32_t *len)
{
	char *out = malloc(2 * strlen(text) + 1);

	if (out == NULL)
		abort();
	*len = 0;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\n' && (p == text || p[-1] != '\r'))
			out[(*len)++] = '\r';
		out[(*len)++] = *p;
	}
	out[*len] = '\0';
	return out;
}

/* The value of the header that is number `n` (from 0) of those with this name; `s` is NULL where
 * there is none. */
static inline struct str message_value(const char *text, const char *name, unsigned n)
{
	size_t len = strlen(name);

	for (const char *p = text; p != NULL && (p = strstr(p, "\r\n")) != NULL;) {
		p += 2;
		if (strncmp(p, "\r\n", 2) == 0)
			break;
		if (strncasecmp(p, name, len) != 0 || p[len] != ':' || n-- != 0)
			continue;
		p += len + 1;
		p += strspn(p, " ");
		return str_of(p, (size_t)(strstr(p, "\r\n") - p));
	}
	return (struct str){0};
}

#endif
