/* SPDX-License-Identifier: BSD-3-Clause */
/* Preprocessor: what is defined, and what is substituted in strings. */
#include <stdio.h>
#include <stdlib.h>

#include "route/source_reader.h"

#define SUBST_GROUPS 10

struct str define_unquote(struct str s)
{
	if (s.len >= 2 && (s.s[0] == '"' || s.s[0] == '\'') && s.s[s.len - 1] == s.s[0])
		return str_of(s.s + 1, s.len - 2);
	return s;
}

struct define *define_find(struct source *source, struct str name)
{
	for (unsigned i = 0; i < source->defines; i++) {
		if (str_eq(str_c(source->define[i].name), name))
			return &source->define[i];
	}
	return NULL;
}

void define_set(const struct reader *r, uint32_t off, struct str name, struct str value)
{
	struct source *source = r->source;
	struct define *d = define_find(source, name);
	char *copy = value.s != NULL ? strndup(value.s, value.len) : NULL;

	if (d == NULL) {
		if (source->defines == SOURCE_DEFINES_MAX) {
			free(copy);
			source_stop(r, off, "too many defines");
			return;
		}
		d = &source->define[source->defines];
		d->name = strndup(name.s, name.len);
		if (d->name == NULL) {
			free(copy);
			source_stop(r, off, "not enough memory");
			return;
		}
		d->value = copy;
		source->defines++;
		return;
	}
	free(d->value);
	d->value = copy;
}

void define_drop(struct source *source, struct str name)
{
	struct define *d = define_find(source, name);

	if (d == NULL)
		return;
	free(d->name);
	free(d->value);
	*d = source->define[--source->defines];
	source->define[source->defines] = (struct define){0};
}

/* ---- substitutions in strings ---- */

static bool subst_append(struct text *out, struct str s)
{
	if (out->len + s.len > STRING_MAX)
		return false;
	text_add(out, s);
	return true;
}

/* One substitution over `in`; false where the result is too long. */
static bool subst_run(const struct subst *subst, const char *in, struct text *out)
{
	regmatch_t m[SUBST_GROUPS];
	int flags = 0;

	while (regexec(&subst->regex, in, SUBST_GROUPS, m, flags) == 0) {
		if (!subst_append(out, str_of(in, (size_t)m[0].rm_so)))
			return false;
		for (const char *p = subst->replacement; *p != '\0'; p++) {
			unsigned group =
				(unsigned)(p[0] == '\\' && str_is_digit(p[1]) ? p[1] - '0'
									      : SUBST_GROUPS);
			bool good;

			if (group < SUBST_GROUPS) {
				p++;
				good = m[group].rm_so < 0 ||
				       subst_append(out,
					       str_of(in + m[group].rm_so,
						       (size_t)(m[group].rm_eo - m[group].rm_so)));
			} else {
				good = subst_append(out, str_of(p, 1));
			}
			if (!good)
				return false;
		}
		in += m[0].rm_eo;
		if (m[0].rm_eo == m[0].rm_so) {
			if (*in == '\0')
				break;
			if (!subst_append(out, str_of(in, 1)))
				return false;
			in++;
		}
		flags = REG_NOTBOL;
		if (!subst->all)
			break;
	}
	return subst_append(out, str_c(in));
}

/* A string's content with #!subst and $def(NAME) done: false where nothing changed. */
bool subst_expand(struct reader *r, uint32_t off, struct str content, struct text *out)
{
	struct source *source = r->source;
	struct text now = {0}, next = {0};
	bool changed = false;

	if (source->substs == 0 && str_find_str(content, STR("$def(")) < 0)
		return false;
	if (memchr(content.s, '\0', content.len) != NULL)
		return false;
	for (uint32_t i = 0; i < content.len; i++) {
		struct str rest = str_of(content.s + i, content.len - i);
		int64_t end;
		struct define *d;

		if (str_istarts(rest, STR("$def(")) && (end = str_find(rest, ')')) > 0 &&
			(d = define_find(source, str_of(rest.s + 5, (size_t)end - 5))) != NULL &&
			d->value != NULL) {
			text_add(&now, define_unquote(str_c(d->value)));
			i += (uint32_t)end;
			changed = true;
		} else {
			text_add(&now, str_of(rest.s, 1));
		}
	}
	for (unsigned i = 0; i < source->substs && now.s != NULL; i++) {
		if (regexec(&source->subst[i].regex, now.s, 0, NULL, 0) != 0)
			continue;
		changed = true;
		next = (struct text){0};
		if (!subst_run(&source->subst[i], now.s, &next)) {
			text_free(&next);
			source_stop(r, off, "a string becomes longer than 64 KB by #!subst");
			break;
		}
		text_free(&now);
		now = next;
	}
	if (changed)
		*out = now;
	else
		text_free(&now);
	return changed;
}

/* "/regex/replacement/flags", its delimiter being the first byte. */
void subst_add(struct reader *r, uint32_t off, struct str text, bool define, bool quote)
{
	struct source *source = r->source;
	struct subst *subst = &source->subst[source->substs];
	struct str part[3] = {STR_NONE, STR_NONE, STR_NONE};
	unsigned n = 0;
	uint32_t from = 1;
	char *pattern = NULL;
	int flags = REG_EXTENDED;

	if (source->substs == SOURCE_SUBSTS_MAX) {
		source_stop(r, off, "too many substitutions");
		return;
	}
	for (uint32_t i = 1; i < text.len && n < 2; i++) {
		if (text.s[i] == '\\' && i + 1 < text.len) {
			i++;
		} else if (text.s[i] == text.s[0]) {
			part[n++] = str_of(text.s + from, i - from);
			from = i + 1;
		}
	}
	if (n < 2 || part[0].len == 0) {
		source_fail(r, off, text.len,
			"a substitution is written \"/expression/replacement/\", not ", text);
		return;
	}
	part[2] = str_of(text.s + from, text.len - from);
	for (uint32_t i = 0; i < part[2].len; i++) {
		if (part[2].s[i] == 'i') {
			flags |= REG_ICASE;
		} else if (part[2].s[i] == 'g') {
			subst->all = true;
		} else {
			source_fail(r, off, text.len, "unknown flag of a substitution: ", part[2]);
			return;
		}
	}
	pattern = strndup(part[0].s, part[0].len);
	subst->replacement = strndup(part[1].s, part[1].len);
	if (pattern == NULL || subst->replacement == NULL ||
		regcomp(&subst->regex, pattern, flags) != 0) {
		source_fail(r, off, text.len, "not a regular expression: ", part[0]);
		free(subst->replacement);
		*subst = (struct subst){0};
		free(pattern);
		return;
	}
	source->substs++;
	free(pattern);
	if (define) {
		struct text value = {0};

		if (quote)
			text_addf(&value, "\"%.*s\"", STR_FMT(part[1]));
		else
			text_add(&value, part[1]);
		define_set(r, off, part[0], str_of(value.s, value.len));
		text_free(&value);
	}
}
