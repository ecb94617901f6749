/* SPDX-License-Identifier: BSD-3-Clause */
/* Preprocessor: directives, includes, comments, and the words and strings between them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "route/source_reader.h"

/* ---- directives ---- */

/* As named, then beside the file that includes it. */
static void include(struct reader *r, uint32_t off, uint32_t width, struct str path, bool may_miss)
{
	struct source *source = r->source;
	char name[1024];
	const char *slash;
	uint16_t index;

	if (path.len == 0 || path.len >= 512) {
		source_fail(r, off, width, "not a file name: ", path);
		return;
	}
	if (r->depth + 1 >= SOURCE_INCLUDE_DEPTH_MAX) {
		source_stop(r, off, "files include each other too deeply");
		return;
	}
	snprintf(name, sizeof(name), "%.*s", STR_FMT(path));
	slash = strrchr(source->file[r->file].name, '/');
	if (name[0] != '/' && slash != NULL && access(name, F_OK) != 0)
		snprintf(name, sizeof(name), "%.*s/%.*s", (int)(slash - source->file[r->file].name),
			source->file[r->file].name, STR_FMT(path));
	if (may_miss && access(name, F_OK) != 0)
		return;
	if (source_read(source, name, &index, r, off) == 0) {
		source_put(r, STR("\n"), off, width);
		preprocess(source, index, r->depth + 1);
		source_put(r, STR("\n"), off, width);
	}
}

static struct str next_word(struct str *line)
{
	struct str word;
	uint32_t i = 0, from;

	while (i < line->len && str_is_lws(line->s[i]))
		i++;
	from = i;
	while (i < line->len && !str_is_lws(line->s[i]))
		i++;
	word = str_of(line->s + from, i - from);
	*line = str_trim(str_of(line->s + i, line->len - i));
	return word;
}

static bool is_identifier(struct str name)
{
	if (name.len == 0 || str_is_digit(name.s[0]))
		return false;
	for (uint32_t i = 0; i < name.len; i++) {
		if (!source_is_word(name.s[i]))
			return false;
	}
	return true;
}

static bool active(const struct reader *r)
{
	const struct condition *c = r->conditions > 0 ? &r->condition[r->conditions - 1] : NULL;

	return c == NULL || (c->outer && c->taken != c->in_else);
}

/* The value of a define without the comment behind it. */
static struct str strip_comment(struct str s)
{
	char quote = 0;

	for (uint32_t i = 0; i < s.len; i++) {
		if (quote != 0) {
			if (s.s[i] == '\\')
				i++;
			else if (s.s[i] == quote)
				quote = 0;
		} else if (s.s[i] == '"' || s.s[i] == '\'') {
			quote = s.s[i];
		} else if (s.s[i] == '#' && i > 0 && str_is_lws(s.s[i - 1])) {
			return str_trim(str_of(s.s, i));
		}
	}
	return s;
}

static void condition_begin(struct reader *r, uint32_t off, struct str rest, bool wanted)
{
	struct str name = next_word(&rest);

	if (r->conditions == SOURCE_CONDITIONS_MAX) {
		source_stop(r, off, "#!ifdef is nested too deeply");
		return;
	}
	if (active(r) && !is_identifier(name))
		source_fail(r, off, 7, "#!ifdef and #!ifndef want a name, not ", name);
	r->condition[r->conditions] = (struct condition){
		(define_find(r->source, name) != NULL) == wanted, false, active(r), off};
	r->conditions++;
}

static void directive_define(struct reader *r, uint32_t off, struct str rest, bool warn_again)
{
	struct str name = next_word(&rest);
	bool known;

	if (!is_identifier(name)) {
		source_fail(r, off, 8, "not a name that can be defined: ", name);
		return;
	}
	known = define_find(r->source, name) != NULL;
	if (warn_again && known) {
		struct route_place place = source_place_in(r->source, r->file, off, 8);

		route_warning(r->source->report, &place,
			"'%.*s' is defined already; #!redefine changes it", STR_FMT(name));
	}
	rest = strip_comment(rest);
	define_set(r, off, name, rest.len > 0 ? rest : STR_NONE);
}

/* #!defenv NAME or NAME=VARIABLE: an environment variable as a define. */
static void directive_environment(struct reader *r, uint32_t off, struct str rest, bool may_miss)
{
	struct str word = next_word(&rest), name = word;
	char variable[256];
	int64_t equals = str_find(word, '=');
	const char *value;

	if (equals > 0) {
		name = str_of(word.s, (size_t)equals);
		word = str_of(word.s + equals + 1, word.len - (size_t)equals - 1);
	}
	snprintf(variable, sizeof(variable), "%.*s", STR_FMT(word));
	value = getenv(variable);
	if (!is_identifier(name))
		source_fail(r, off, 8, "not a name that can be defined: ", name);
	else if (value != NULL)
		define_set(r, off, name, str_c(value));
	else if (!may_miss)
		source_fail(r, off, 8, "no such environment variable: ", word);
}

/* A line that begins with #! or !!; `line` is what follows, with continued lines joined. */
static void directive(struct reader *r, uint32_t off, struct str line)
{
	struct str rest = line, word = next_word(&rest);
	static const char *const dialects[] = {
		"KAMAILIO", "OPENSER", "SER", "MAXCOMPAT", "ALL", "SIPLANE", "OPENSIPS"};

	if (str_eq(word, STR("ifdef")))
		condition_begin(r, off, rest, true);
	else if (str_eq(word, STR("ifndef")))
		condition_begin(r, off, rest, false);
	else if (str_eq(word, STR("else"))) {
		if (r->conditions == 0 || r->condition[r->conditions - 1].in_else)
			source_fail(r, off, 6, "#!else without its #!ifdef", STR(""));
		else
			r->condition[r->conditions - 1].in_else = true;
	} else if (str_eq(word, STR("endif"))) {
		if (r->conditions == 0)
			source_fail(r, off, 7, "#!endif without its #!ifdef", STR(""));
		else
			r->conditions--;
	} else if (!active(r)) {
		return;
	} else if (str_eq(word, STR("define")) || str_eq(word, STR("def"))) {
		directive_define(r, off, rest, true);
	} else if (str_eq(word, STR("redefine")) || str_eq(word, STR("redef"))) {
		directive_define(r, off, rest, false);
	} else if (str_eq(word, STR("trydefine")) || str_eq(word, STR("trydef"))) {
		struct str peek = rest;

		if (define_find(r->source, next_word(&peek)) == NULL)
			directive_define(r, off, rest, false);
	} else if (str_eq(word, STR("undef")) || str_eq(word, STR("undefine"))) {
		define_drop(r->source, next_word(&rest));
	} else if (str_eq(word, STR("defenv"))) {
		directive_environment(r, off, rest, false);
	} else if (str_eq(word, STR("trydefenv"))) {
		directive_environment(r, off, rest, true);
	} else if (str_eq(word, STR("subst"))) {
		subst_add(r, off, define_unquote(strip_comment(rest)), false, false);
	} else if (str_eq(word, STR("substdef"))) {
		subst_add(r, off, define_unquote(strip_comment(rest)), true, false);
	} else if (str_eq(word, STR("substdefs"))) {
		subst_add(r, off, define_unquote(strip_comment(rest)), true, true);
	} else if (str_eq(word, STR("include_file"))) {
		include(r, off, 14, define_unquote(strip_comment(rest)), false);
	} else if (str_eq(word, STR("import_file"))) {
		include(r, off, 13, define_unquote(strip_comment(rest)), true);
	} else if (word.len > 0 && word.s[0] == '/') {
		return; /* #!/usr/sbin/...: how the file is run */
	} else {
		for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
			if (str_eq(word, str_c(dialects[i])))
				return;
		}
		source_fail(r, off, word.len + 2, "unknown directive #!", word);
	}
}

/* Reads the directive at r->at (behind its #!), joining lines that end in a backslash. */
static void read_directive(struct reader *r)
{
	uint32_t off = r->at;
	struct text line = {0};

	r->at += 2;
	while (r->at < r->len && r->s[r->at] != '\n') {
		if (r->s[r->at] == '\\' && r->at + 1 < r->len &&
			(r->s[r->at + 1] == '\n' ||
				(r->s[r->at + 1] == '\r' && r->at + 2 < r->len &&
					r->s[r->at + 2] == '\n'))) {
			r->at += r->s[r->at + 1] == '\r' ? 3 : 2;
			text_add(&line, STR(" "));
			continue;
		}
		text_add(&line, str_of(r->s + r->at, 1));
		r->at++;
	}
	directive(r, off, line.s != NULL ? str_trim(str_of(line.s, line.len)) : STR(""));
	text_free(&line);
}

/* ---- text between directives ---- */

/* Length of the string that begins at s[0], both quotes included; 0 where it does not end. */
static uint32_t string_length(struct str s)
{
	for (uint32_t i = 1; i < s.len; i++) {
		if (s.s[i] == '\\' && s.s[0] == '"')
			i++;
		else if (s.s[i] == s.s[0])
			return i + 1;
	}
	return 0;
}

/* Length of a $variable at s[0], with its parentheses as far as they are on one line. */
static uint32_t variable_length(struct str s)
{
	uint32_t i = 1, depth = 0;

	while (i < s.len && (source_is_word(s.s[i]) || s.s[i] == '?'))
		i++;
	if (i >= s.len || s.s[i] != '(')
		return i;
	for (uint32_t j = i; j < s.len && s.s[j] != '\n'; j++) {
		if (s.s[j] == '(')
			depth++;
		else if (s.s[j] == ')' && --depth == 0)
			return j + 1;
	}
	return i;
}

/* Words of a define's value, with the defines in them expanded; all of it stands for the word at
 * `off`. */
static void put_expanded(
	struct reader *r, struct str text, uint32_t off, uint32_t width, unsigned depth)
{
	struct source *source = r->source;

	if (depth >= SOURCE_EXPAND_DEPTH_MAX) {
		source_stop(r, off, "defines refer to each other too deeply");
		return;
	}
	for (uint32_t i = 0; i < text.len && !source->failed;) {
		struct str rest = str_of(text.s + i, text.len - i);
		uint32_t n = 1;

		if (rest.s[0] == '"' || rest.s[0] == '\'') {
			n = string_length(rest);
			n = n > 0 ? n : rest.len;
		} else if (rest.s[0] == '$') {
			n = variable_length(rest);
		} else if (source_is_word(rest.s[0])) {
			struct define *d;

			while (n < rest.len && source_is_word(rest.s[n]))
				n++;
			d = define_find(source, str_of(rest.s, n));
			if (d != NULL && d->value != NULL && !d->busy) {
				d->busy = true;
				put_expanded(r, str_c(d->value), off, width, depth + 1);
				d->busy = false;
				i += n;
				continue;
			}
		}
		source_put(r, str_of(rest.s, n), off, width);
		i += n;
	}
}

static void read_string(struct reader *r)
{
	struct str rest = str_of(r->s + r->at, r->len - r->at);
	uint32_t n = string_length(rest);
	struct text changed = {0};

	if (n == 0) {
		const char *line_end = memchr(rest.s, '\n', rest.len);

		source_fail(r, r->at, line_end != NULL ? (uint32_t)(line_end - rest.s) : rest.len,
			"this string does not end", STR(""));
		r->source->failed = true;
		r->at = r->len;
		return;
	}
	if (subst_expand(r, r->at, str_of(rest.s + 1, n - 2), &changed)) {
		source_put(r, str_of(rest.s, 1), r->at, n);
		source_put(r, str_of(changed.s, changed.len), r->at, n);
		source_put(r, str_of(rest.s, 1), r->at, n);
		text_free(&changed);
	} else {
		source_put(r, str_of(rest.s, n), r->at, 0);
	}
	r->at += n;
}

static void read_word(struct reader *r)
{
	uint32_t from = r->at;
	struct str word;
	struct define *d;

	while (r->at < r->len && source_is_word(r->s[r->at]))
		r->at++;
	word = str_of(r->s + from, r->at - from);
	if (str_eq(word, STR("include_file")) || str_eq(word, STR("import_file"))) {
		uint32_t at = r->at, n = 0;

		while (at < r->len && str_is_lws(r->s[at]))
			at++;
		if (at < r->len && (r->s[at] == '"' || r->s[at] == '\''))
			n = string_length(str_of(r->s + at, r->len - at));
		if (n == 0) {
			source_fail(r, from, word.len, "a file name in quotes is missing behind ",
				word);
			return;
		}
		r->at = at + n;
		include(r, from, word.len, str_of(r->s + at + 1, n - 2), word.s[1] == 'm');
		return;
	}
	d = define_find(r->source, word);
	if (d == NULL || d->value == NULL) {
		source_put(r, word, from, 0);
		return;
	}
	d->busy = true;
	put_expanded(r, str_c(d->value), from, word.len, 0);
	d->busy = false;
}

/* $def(NAME) outside a string is the value in quotes. */
static bool read_def_variable(struct reader *r, struct str variable)
{
	struct define *d;
	struct text value = {0};

	if (!str_istarts(variable, STR("$def(")))
		return false;
	d = define_find(r->source, str_trim(str_of(variable.s + 5, variable.len - 6)));
	if (d == NULL)
		return false;
	text_addf(&value, "\"%.*s\"",
		STR_FMT(define_unquote(str_c(d->value != NULL ? d->value : ""))));
	source_put(r, str_of(value.s, value.len), r->at, variable.len);
	text_free(&value);
	return true;
}

static void read_comment(struct reader *r)
{
	struct str rest = str_of(r->s + r->at + 2, r->len - r->at - 2);
	int64_t end = str_find_str(rest, STR("*/"));

	if (end < 0) {
		source_fail(r, r->at, 2, "this comment does not end", STR(""));
		r->source->failed = true;
		r->at = r->len;
		return;
	}
	source_put(r, STR(" "), r->at, 1);
	r->at += (uint32_t)end + 4;
}

static void skip_line(struct reader *r)
{
	const char *end = memchr(r->s + r->at, '\n', r->len - r->at);

	r->at = end != NULL ? (uint32_t)(end - r->s) : r->len;
}

static bool at_line_start(const struct reader *r)
{
	for (uint32_t i = r->at; i > 0; i--) {
		if (r->s[i - 1] == '\n')
			return true;
		if (r->s[i - 1] != ' ' && r->s[i - 1] != '\t')
			return false;
	}
	return true;
}

static void read_one(struct reader *r)
{
	char c = r->s[r->at], next = r->at + 1 < r->len ? r->s[r->at + 1] : '\0';
	struct str rest = str_of(r->s + r->at, r->len - r->at);

	if ((c == '#' || c == '!') && next == '!' && at_line_start(r)) {
		read_directive(r);
	} else if (!active(r)) {
		if (c == '\n')
			r->at++;
		else if (c == ' ' || c == '\t')
			r->at++;
		else
			skip_line(r);
	} else if (c == '#' || (c == '/' && next == '/')) {
		skip_line(r);
	} else if (c == '/' && next == '*') {
		read_comment(r);
	} else if (c == '"' || c == '\'') {
		read_string(r);
	} else if (c == '$') {
		uint32_t n = variable_length(rest);

		if (!read_def_variable(r, str_of(rest.s, n)))
			source_put(r, str_of(rest.s, n), r->at, 0);
		r->at += n;
	} else if (source_is_word(c)) {
		read_word(r);
	} else {
		source_put(r, str_of(rest.s, 1), r->at, 0);
		r->at++;
	}
}

static void expand(struct reader *r)
{
	while (r->at < r->len && !r->source->failed)
		read_one(r);
	if (r->conditions > 0 && !r->source->failed)
		source_fail(r, r->condition[r->conditions - 1].at, 7, "this #!ifdef has no #!endif",
			STR(""));
}

void preprocess(struct source *source, uint16_t index, unsigned depth)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		source->failed = true;
		return;
	}
	r->source = source;
	r->s = source->file[index].text;
	r->len = source->file[index].len;
	r->file = index;
	r->depth = depth;
	expand(r);
	free(r);
}
