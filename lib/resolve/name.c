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

/* "co" of "co.uk": what stands below a country and is nobody's own. */
static bool is_shared_label(struct str label)
{
	static const char *const labels[] = {"ac", "co", "com", "edu", "go", "gob", "gov", "gv",
		"ne", "net", "nom", "or", "org"};

	for (unsigned i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		if (str_eq(label, str_c(labels[i])))
			return true;
	return false;
}

/* Where the label before the one at `at` begins. */
static uint32_t label_before(const struct host_name *name, uint32_t at)
{
	uint32_t begin = at > 0 ? at - 1 : 0;

	while (begin > 0 && name->s[begin - 1] != '.')
		begin--;
	return begin;
}

struct str name_zone(const struct host_name *name)
{
	uint32_t top = label_before(name, name->len + 1), second = label_before(name, top);

	if (second > 0 && name->len - top == 2 &&
		is_shared_label(str_of(name->s + second, top - 1 - second)))
		second = label_before(name, second);
	return str_of(name->s + second, name->len - second);
}

enum name_special name_special(struct str name)
{
	static const struct {
		const char *end;
		enum name_special is;
	} ends[] = {
		{"localhost", NAME_LOCALHOST}, {"invalid", NAME_NOWHERE}, {"onion", NAME_NOWHERE}};

	if (name.len > 0 && name.s[name.len - 1] == '.')
		name.len--;
	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct str end = str_c(ends[i].end);
		uint32_t n = end.len;

		if (name.len >= n && str_ieq(str_of(name.s + name.len - n, n), end) &&
			(name.len == n || name.s[name.len - n - 1] == '.'))
			return ends[i].is;
	}
	return NAME_ORDINARY;
}
