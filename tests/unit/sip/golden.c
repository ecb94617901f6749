/* SPDX-License-Identifier: BSD-3-Clause */
#include "golden.h"

#include <stdlib.h>

static bool put(struct golden_case *c, char byte)
{
	if (c->message_len == sizeof(c->message))
		return false;
	c->message[c->message_len++] = byte;
	return true;
}

/* Reads one escape after its backslash; returns what follows it, or NULL. */
static const char *escape(const char *p, char *byte)
{
	char hex[3] = {0}, *end;

	switch (*p) {
	case 'r':
		*byte = '\r';
		return p + 1;
	case 'n':
		*byte = '\n';
		return p + 1;
	case 't':
		*byte = '\t';
		return p + 1;
	case 's':
		*byte = ' ';
		return p + 1;
	case '0':
		*byte = 0;
		return p + 1;
	case '\\':
		*byte = '\\';
		return p + 1;
	case 'x':
		memcpy(hex, p + 1, p[1] != 0 ? 2 : 1);
		*byte = (char)strtoul(hex, &end, 16);
		return end == hex + 2 ? p + 3 : NULL;
	default:
		return NULL;
	}
}

/* "{N}{text}" after "\*": N times text. */
static const char *repeat(struct golden_case *c, const char *p)
{
	char *end;
	unsigned long times = *p == '{' ? strtoul(p + 1, &end, 10) : 0;

	if (times == 0 || end[0] != '}' || end[1] != '{')
		return NULL;
	for (; times > 0; times--)
		for (p = end + 2; *p != '}'; p++) {
			char byte = *p;

			if (*p == 0)
				return NULL;
			if (*p == '\\') {
				const char *after = escape(p + 1, &byte);

				if (after == NULL)
					return NULL;
				p = after - 1;
			}
			if (!put(c, byte))
				return NULL;
		}
	return p + 1;
}

/* Adds one line of the message, which stands for itself and CRLF, unless a backslash ends it. */
static bool add_line(struct golden_case *c, const char *p)
{
	while (*p != 0) {
		char byte = *p++;

		if (byte == '\\') {
			if (*p == 0)
				return true;
			p = *p == '*' ? repeat(c, p + 1) : escape(p, &byte);
			if (p == NULL)
				return false;
			if (p[-1] == '}')
				continue;
		}
		if (!put(c, byte))
			return false;
	}
	return put(c, '\r') && put(c, '\n');
}

/* Reads a line without its LF; false at the end of the file. */
static bool read_line(FILE *file, unsigned *line, char *out, size_t room)
{
	if (fgets(out, (int)room, file) == NULL)
		return false;
	out[strcspn(out, "\n")] = 0;
	(*line)++;
	return true;
}

int golden_next(FILE *file, unsigned *line, struct golden_case *c)
{
	static char text[GOLDEN_EXPECT_MAX];
	long back;
	size_t used = 0;

	do {
		if (!read_line(file, line, text, sizeof(text)))
			return 0;
	} while (text[0] == 0 || text[0] == '#');
	c->line = *line;
	c->message_len = 0;
	c->expect[0] = 0;
	if (strncmp(text, "=== ", 4) != 0 || strlen(text) - 4 >= sizeof(c->name))
		return -1;
	strcpy(c->name, text + 4);
	for (;;) {
		if (!read_line(file, line, text, sizeof(text)))
			return -1;
		if (strcmp(text, "---") == 0)
			break;
		c->line = *line;
		if (!add_line(c, text))
			return -1;
	}
	for (back = ftell(file); read_line(file, line, text, sizeof(text)); back = ftell(file)) {
		if (strncmp(text, "=== ", 4) == 0) {
			fseek(file, back, SEEK_SET);
			(*line)--;
			break;
		}
		if (text[0] == 0 || text[0] == '#')
			continue;
		size_t len = strlen(text);

		if (used + len + 2 > sizeof(c->expect))
			return -1;
		memcpy(c->expect + used, text, len);
		used += len;
		c->expect[used++] = '\n';
		c->expect[used] = 0;
	}
	return used != 0 ? 1 : -1;
}

char *golden_escape(struct str text, char *out, size_t room)
{
	size_t at = 0;

	for (uint32_t i = 0; i < text.len && at + 5 < room; i++) {
		unsigned char b = (unsigned char)text.s[i];

		if (b == '\\')
			at += (size_t)sprintf(out + at, "\\\\");
		else if (b == '\r')
			at += (size_t)sprintf(out + at, "\\r");
		else if (b == '\n')
			at += (size_t)sprintf(out + at, "\\n");
		else if (b == '\t')
			at += (size_t)sprintf(out + at, "\\t");
		else if (b == 0)
			at += (size_t)sprintf(out + at, "\\0");
		else if (b < 0x20 || b >= 0x7f)
			at += (size_t)sprintf(out + at, "\\x%02x", b);
		else
			out[at++] = (char)b;
	}
	out[at] = 0;
	return out;
}
