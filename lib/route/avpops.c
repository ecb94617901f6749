/* SPDX-License-Identifier: BSD-3-Clause */
/* How avpops' functions name AVPs and values. */
#include "route/avpops.h"

#include <errno.h>
#include <stdlib.h>

#include "route/avp.h"

bool avpops_take_flag(struct avpops_target *t, char c)
{
	c = str_lower_char(c);
	t->all |= c == 'g';
	t->number |= c == 'n';
	t->text |= c == 's';
	t->empty |= c == 'e';
	t->take_away |= c == 'd';
	t->ignore_case |= c == 'i';
	return c != '\0' && strchr("gnsedi", c) != NULL;
}

/* "a", "i:", "s12": OpenSER's script flags behind the letter say nothing here. */
static bool read_several(struct str text, enum avpops_match *match)
{
	char kind = text.len > 0 ? str_lower_char(text.s[0]) : '\0';

	if (text.len > 1 && text.s[text.len - 1] == ':')
		text.len--;
	for (uint32_t i = 1; i < text.len; i++) {
		if (!str_is_digit(text.s[i]))
			return false;
	}
	*match = kind == 'a' ? AVPOPS_ANY : kind == 'i' ? AVPOPS_NUMBERS : AVPOPS_TEXTS;
	return kind == 'a' || kind == 'i' || kind == 's';
}

bool avpops_read_name(struct str text, struct avpops_target *t)
{
	text = str_trim(text);
	if (text.len > 0 && (text.s[0] == '$' || (text.len > 2 && text.s[1] == ':' &&
							 strchr("sSiI", text.s[0]) != NULL))) {
		t->match = AVPOPS_NAME;
		t->name = route_avp_name(text);
		return t->name.len > 0;
	}
	t->name = STR_NONE;
	return read_several(text, &t->match);
}

bool avpops_read_target(const struct route_arg *arg, struct str text, bool several,
	struct avpops_target *t, struct route_report *report)
{
	int64_t slash = str_find(text, '/');
	bool good = true;

	for (uint32_t i = (uint32_t)slash + 1; slash >= 0 && i < text.len && good; i++)
		good = avpops_take_flag(t, text.s[i]);
	if (slash >= 0)
		text.len = (uint32_t)slash;
	if (good && avpops_read_name(text, t) && (several || t->match == AVPOPS_NAME))
		return true;
	route_error(report, &arg->place, "an AVP is needed here, such as \"$avp(s:x)\"%s",
		good ? "" : "; its flags are g, n, s, e, d and i");
	return false;
}

bool avpops_is_number(struct str name)
{
	for (uint32_t i = 0; i < name.len; i++) {
		if (!str_is_digit(name.s[i]))
			return false;
	}
	return name.len > 0;
}

bool avpops_matches(
	const struct route_ctx *ctx, const struct route_avp *avp, const struct avpops_target *t)
{
	struct str name = route_text_str(ctx, avp->name);

	switch (t->match) {
	case AVPOPS_NAME:
		return name.len == t->name.len && str_eq(name, t->name);
	case AVPOPS_NUMBERS:
		return avpops_is_number(name);
	case AVPOPS_TEXTS:
		return !avpops_is_number(name);
	case AVPOPS_ANY:
		break;
	}
	return true;
}

struct str avpops_part(struct str text, unsigned n, unsigned parts)
{
	for (unsigned i = 0; i + 1 < parts; i++) {
		int64_t slash = str_find(text, '/');

		if (i == n)
			return slash < 0 ? text : str_of(text.s, (size_t)slash);
		if (slash < 0)
			return STR_NONE;
		text = str_of(text.s + slash + 1, text.len - (uint32_t)slash - 1);
	}
	return n + 1 == parts ? text : STR_NONE;
}

char *avpops_copy(const struct route_arg *arg, struct route_report *report)
{
	char *copy;

	if (!arg->constant || arg->value.type != ROUTE_STR) {
		route_error(report, &arg->place, "a string is needed here");
		return NULL;
	}
	copy = malloc((size_t)arg->value.s.len + 1);
	if (copy == NULL) {
		route_error(report, &arg->place, "out of memory");
		return NULL;
	}
	str_copy(copy, arg->value.s);
	copy[arg->value.s.len] = '\0';
	return copy;
}

/* ---- values ---- */

static bool read_number(struct str digits, int64_t *out)
{
	char text[24], *end;

	if (digits.len == 0 || digits.len >= sizeof(text))
		return false;
	memcpy(text, digits.s, digits.len);
	text[digits.len] = '\0';
	/* A leading zero makes no octal number of it. */
	errno = 0;
	*out = strtoll(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
	return *end == '\0' && errno == 0 && text[0] != ' ' && text[0] != '+';
}

bool avpops_read_value(const struct route_arg *arg, struct str text, struct avpops_value *out,
	struct route_report *report)
{
	char kind = text.len > 1 && text.s[1] == ':' ? str_lower_char(text.s[0]) : '\0';

	*out = (struct avpops_value){0};
	if (kind == 'i') {
		out->is_number = read_number(str_of(text.s + 2, text.len - 2), &out->number);
		if (!out->is_number)
			route_error(report, &arg->place, "'%.*s' is no number, as i:5 or i:0x1f is",
				STR_FMT(text));
		return out->is_number;
	}
	if (kind == 's')
		text = str_of(text.s + 2, text.len - 2);
	out->format = route_format_compile(text, &arg->place, report);
	return out->format != NULL;
}

bool avpops_value_get(
	struct route_ctx *ctx, const struct avpops_value *value, struct route_value *out)
{
	if (!value->is_number)
		return route_format_eval(ctx, value->format, out);
	*out = (struct route_value){.type = ROUTE_INT, .i = value->number};
	return true;
}

/* ---- patterns of file names, as avp_check()'s "fm" has them ---- */

/* Whether c is one of [...], which begins at *at; *at is behind it then. One that does not end is a
 * bracket. */
static bool in_brackets(struct str pattern, uint32_t *at, char c)
{
	uint32_t i = *at + 1, first;
	bool turned = i < pattern.len && (pattern.s[i] == '!' || pattern.s[i] == '^');
	bool found = false;

	i += turned;
	for (first = i; i < pattern.len && (pattern.s[i] != ']' || i == first); i++) {
		unsigned char from = (unsigned char)pattern.s[i], to = from;

		if (i + 2 < pattern.len && pattern.s[i + 1] == '-' && pattern.s[i + 2] != ']') {
			to = (unsigned char)pattern.s[i + 2];
			i += 2;
		}
		found |= (unsigned char)c >= from && (unsigned char)c <= to;
	}
	if (i >= pattern.len) {
		++*at;
		return c == '[';
	}
	*at = i + 1;
	return found != turned;
}

/* One character against what stands in the pattern at *at, which is no star. */
static bool glob_one(struct str pattern, uint32_t *at, char c)
{
	char p = pattern.s[*at];

	if (p == '[')
		return in_brackets(pattern, at, c);
	if (p == '\\' && *at + 1 < pattern.len)
		p = pattern.s[++*at];
	else if (p == '?')
		p = c;
	++*at;
	return p == c;
}

bool avpops_glob(struct str pattern, struct str text)
{
	uint32_t p = 0, t = 0, star = UINT32_MAX, tried = 0;

	while (t < text.len) {
		uint32_t next = p;

		if (p < pattern.len && pattern.s[p] == '*') {
			star = p++;
			tried = t;
		} else if (p < pattern.len && glob_one(pattern, &next, text.s[t])) {
			p = next;
			t++;
		} else if (star != UINT32_MAX) {
			/* The last star takes one more: an earlier one need not. */
			p = star + 1;
			t = ++tried;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.s[p] == '*')
		p++;
	return p == pattern.len;
}
