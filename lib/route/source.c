/* SPDX-License-Identifier: BSD-3-Clause */
/* Preprocessor: files and includes, #!define and its kin, comments. */
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "route/load.h"

#define SUBST_GROUPS 10
#define STRING_MAX 65536 /* bytes of one string after #!subst */

struct define {
	char *name;
	char *value; /* NULL: defined without one */
	bool busy;   /* being expanded: its own name in its value stays as it is */
};

struct subst {
	regex_t regex;
	char *replacement;
	bool all;
};

struct source {
	struct route_report *report;
	struct source_file file[SOURCE_FILES_MAX];
	unsigned files;
	char *out;
	uint32_t len, cap;
	struct source_mark *mark;
	uint32_t marks, marks_cap;
	struct define define[SOURCE_DEFINES_MAX];
	unsigned defines;
	struct subst subst[SOURCE_SUBSTS_MAX];
	unsigned substs;
	bool failed; /* a bound was met: said once */
};

/* One file while it is read. */
struct reader {
	struct source *source;
	const char *s;
	uint32_t at, len;
	uint16_t file;
	unsigned depth;
	/* nesting of #!ifdef: bit 0 taken, bit 1 in #!else, and where it began */
	struct condition {
		bool taken, in_else, outer;
		uint32_t at;
	} condition[SOURCE_CONDITIONS_MAX];
	unsigned conditions;
};

static bool is_word(char c)
{
	return str_is_alpha(c) || str_is_digit(c) || c == '_';
}

static struct route_place place_in(const struct source *source, uint16_t file, uint32_t off, uint32_t width)
{
	const struct source_file *f = &source->file[file];
	uint32_t low = 0, high = f->lines;

	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;

		if (f->line[middle] <= off)
			low = middle;
		else
			high = middle;
	}
	return (struct route_place){f->name, (int)low + 1, (int)(off - f->line[low]) + 1, width > 0 ? (int)width : 1};
}

static void fail(const struct reader *r, uint32_t off, uint32_t width, const char *message, struct str what)
{
	struct route_place place = place_in(r->source, r->file, off, width);

	route_error(r->source->report, &place, "%s%.*s", message, STR_FMT(what));
}

/* A bound is met: said once, and the expansion ends. */
static void stop(const struct reader *r, uint32_t off, const char *message)
{
	if (!r->source->failed)
		fail(r, off, 1, message, STR(""));
	r->source->failed = true;
}

static void put(struct reader *r, struct str s, uint32_t off, uint32_t width)
{
	struct source *source = r->source;
	const struct source_mark *last = source->marks > 0 ? &source->mark[source->marks - 1] : NULL;

	if (s.len == 0 || source->failed)
		return;
	if (s.len > SOURCE_TEXT_MAX - source->len) {
		stop(r, off, "the configuration is larger than 8 MB once it is expanded");
		return;
	}
	if (source->cap - source->len < s.len) {
		uint32_t cap = (source->len + s.len) * 2;
		char *grown = realloc(source->out, cap);

		if (grown == NULL) {
			stop(r, off, "not enough memory");
			return;
		}
		source->out = grown;
		source->cap = cap;
	}
	/* A run that goes on where the last one ended needs no mark. */
	if (last == NULL || width != 0 || last->width != 0 || last->file != r->file ||
		off - last->off != source->len - last->out) {
		if (!code_grow(&source->mark, source->marks, &source->marks_cap, sizeof(source->mark[0]))) {
			stop(r, off, "not enough memory");
			return;
		}
		source->mark[source->marks++] = (struct source_mark){source->len, off, width, r->file};
	}
	memcpy(source->out + source->len, s.s, s.len);
	source->len += s.len;
}

/* ---- defines ---- */

static struct str unquote(struct str s)
{
	if (s.len >= 2 && (s.s[0] == '"' || s.s[0] == '\'') && s.s[s.len - 1] == s.s[0])
		return str_of(s.s + 1, s.len - 2);
	return s;
}

static struct define *define_find(struct source *source, struct str name)
{
	for (unsigned i = 0; i < source->defines; i++) {
		if (str_eq(str_c(source->define[i].name), name))
			return &source->define[i];
	}
	return NULL;
}

static void define_set(const struct reader *r, uint32_t off, struct str name, struct str value)
{
	struct source *source = r->source;
	struct define *d = define_find(source, name);
	char *copy = value.s != NULL ? strndup(value.s, value.len) : NULL;

	if (d == NULL) {
		if (source->defines == SOURCE_DEFINES_MAX) {
			free(copy);
			stop(r, off, "too many defines");
			return;
		}
		d = &source->define[source->defines];
		d->name = strndup(name.s, name.len);
		if (d->name == NULL) {
			free(copy);
			stop(r, off, "not enough memory");
			return;
		}
		d->value = copy;
		source->defines++;
		return;
	}
	free(d->value);
	d->value = copy;
}

static void define_drop(struct source *source, struct str name)
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
			unsigned group = (unsigned)(p[0] == '\\' && str_is_digit(p[1]) ? p[1] - '0' : SUBST_GROUPS);
			bool good;

			if (group < SUBST_GROUPS) {
				p++;
				good = m[group].rm_so < 0 || subst_append(out, str_of(in + m[group].rm_so,
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
static bool string_expand(struct reader *r, uint32_t off, struct str content, struct text *out)
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
			(d = define_find(source, str_of(rest.s + 5, (size_t)end - 5))) != NULL && d->value != NULL) {
			text_add(&now, unquote(str_c(d->value)));
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
			stop(r, off, "a string becomes longer than 64 KB by #!subst");
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
static void subst_add(struct reader *r, uint32_t off, struct str text, bool define, bool quote)
{
	struct source *source = r->source;
	struct subst *subst = &source->subst[source->substs];
	struct str part[3] = {STR_NONE, STR_NONE, STR_NONE};
	unsigned n = 0;
	uint32_t from = 1;
	char *pattern = NULL;
	int flags = REG_EXTENDED;

	if (source->substs == SOURCE_SUBSTS_MAX) {
		stop(r, off, "too many substitutions");
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
		fail(r, off, text.len, "a substitution is written \"/expression/replacement/\", not ", text);
		return;
	}
	part[2] = str_of(text.s + from, text.len - from);
	for (uint32_t i = 0; i < part[2].len; i++) {
		if (part[2].s[i] == 'i') {
			flags |= REG_ICASE;
		} else if (part[2].s[i] == 'g') {
			subst->all = true;
		} else {
			fail(r, off, text.len, "unknown flag of a substitution: ", part[2]);
			return;
		}
	}
	pattern = strndup(part[0].s, part[0].len);
	subst->replacement = strndup(part[1].s, part[1].len);
	if (pattern == NULL || subst->replacement == NULL || regcomp(&subst->regex, pattern, flags) != 0) {
		fail(r, off, text.len, "not a regular expression: ", part[0]);
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

/* ---- files ---- */

static int read_text(struct source *source, const char *path, uint16_t *index, const struct reader *from, uint32_t off);
static void expand(struct reader *r);
static int add_file(struct source *source, const char *name, struct str text, uint16_t *index);

static void run_file(struct source *source, uint16_t index, unsigned depth)
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

/* As named, then beside the file that includes it. */
static void include(struct reader *r, uint32_t off, uint32_t width, struct str path, bool may_miss)
{
	struct source *source = r->source;
	char name[1024];
	const char *slash;
	uint16_t index;

	if (path.len == 0 || path.len >= 512) {
		fail(r, off, width, "not a file name: ", path);
		return;
	}
	if (r->depth + 1 >= SOURCE_INCLUDE_DEPTH_MAX) {
		stop(r, off, "files include each other too deeply");
		return;
	}
	snprintf(name, sizeof(name), "%.*s", STR_FMT(path));
	slash = strrchr(source->file[r->file].name, '/');
	if (name[0] != '/' && slash != NULL && access(name, F_OK) != 0)
		snprintf(name, sizeof(name), "%.*s/%.*s", (int)(slash - source->file[r->file].name),
			source->file[r->file].name, STR_FMT(path));
	if (may_miss && access(name, F_OK) != 0)
		return;
	if (read_text(source, name, &index, r, off) == 0) {
		put(r, STR("\n"), off, width);
		run_file(source, index, r->depth + 1);
		put(r, STR("\n"), off, width);
	}
}

/* ---- directives ---- */

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
		if (!is_word(name.s[i]))
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
		stop(r, off, "#!ifdef is nested too deeply");
		return;
	}
	if (active(r) && !is_identifier(name))
		fail(r, off, 7, "#!ifdef and #!ifndef want a name, not ", name);
	r->condition[r->conditions] = (struct condition){
		(define_find(r->source, name) != NULL) == wanted, false, active(r), off};
	r->conditions++;
}

static void directive_define(struct reader *r, uint32_t off, struct str rest, bool warn_again)
{
	struct str name = next_word(&rest);
	bool known;

	if (!is_identifier(name)) {
		fail(r, off, 8, "not a name that can be defined: ", name);
		return;
	}
	known = define_find(r->source, name) != NULL;
	if (warn_again && known) {
		struct route_place place = place_in(r->source, r->file, off, 8);

		route_warning(r->source->report, &place, "'%.*s' is defined already; #!redefine changes it", STR_FMT(name));
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
		fail(r, off, 8, "not a name that can be defined: ", name);
	else if (value != NULL)
		define_set(r, off, name, str_c(value));
	else if (!may_miss)
		fail(r, off, 8, "no such environment variable: ", word);
}

/* A line that begins with #! or !!; `line` is what follows, with continued lines joined. */
static void directive(struct reader *r, uint32_t off, struct str line)
{
	struct str rest = line, word = next_word(&rest);
	static const char *const dialects[] = {"KAMAILIO", "OPENSER", "SER", "MAXCOMPAT", "ALL", "SIPLANE", "OPENSIPS"};

	if (str_eq(word, STR("ifdef")))
		condition_begin(r, off, rest, true);
	else if (str_eq(word, STR("ifndef")))
		condition_begin(r, off, rest, false);
	else if (str_eq(word, STR("else"))) {
		if (r->conditions == 0 || r->condition[r->conditions - 1].in_else)
			fail(r, off, 6, "#!else without its #!ifdef", STR(""));
		else
			r->condition[r->conditions - 1].in_else = true;
	} else if (str_eq(word, STR("endif"))) {
		if (r->conditions == 0)
			fail(r, off, 7, "#!endif without its #!ifdef", STR(""));
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
		subst_add(r, off, unquote(strip_comment(rest)), false, false);
	} else if (str_eq(word, STR("substdef"))) {
		subst_add(r, off, unquote(strip_comment(rest)), true, false);
	} else if (str_eq(word, STR("substdefs"))) {
		subst_add(r, off, unquote(strip_comment(rest)), true, true);
	} else if (str_eq(word, STR("include_file"))) {
		include(r, off, 14, unquote(strip_comment(rest)), false);
	} else if (str_eq(word, STR("import_file"))) {
		include(r, off, 13, unquote(strip_comment(rest)), true);
	} else if (word.len > 0 && word.s[0] == '/') {
		return; /* #!/usr/sbin/...: how the file is run */
	} else {
		for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
			if (str_eq(word, str_c(dialects[i])))
				return;
		}
		fail(r, off, word.len + 2, "unknown directive #!", word);
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
			(r->s[r->at + 1] == '\n' || (r->s[r->at + 1] == '\r' && r->at + 2 < r->len && r->s[r->at + 2] == '\n'))) {
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

	while (i < s.len && (is_word(s.s[i]) || s.s[i] == '?'))
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

/* Words of a define's value, with the defines in them expanded; all of it stands for the word at `off`. */
static void put_expanded(struct reader *r, struct str text, uint32_t off, uint32_t width, unsigned depth)
{
	struct source *source = r->source;

	if (depth >= SOURCE_EXPAND_DEPTH_MAX) {
		stop(r, off, "defines refer to each other too deeply");
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
		} else if (is_word(rest.s[0])) {
			struct define *d;

			while (n < rest.len && is_word(rest.s[n]))
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
		put(r, str_of(rest.s, n), off, width);
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

		fail(r, r->at, line_end != NULL ? (uint32_t)(line_end - rest.s) : rest.len, "this string does not end", STR(""));
		r->source->failed = true;
		r->at = r->len;
		return;
	}
	if (string_expand(r, r->at, str_of(rest.s + 1, n - 2), &changed)) {
		put(r, str_of(rest.s, 1), r->at, n);
		put(r, str_of(changed.s, changed.len), r->at, n);
		put(r, str_of(rest.s, 1), r->at, n);
		text_free(&changed);
	} else {
		put(r, str_of(rest.s, n), r->at, 0);
	}
	r->at += n;
}

static void read_word(struct reader *r)
{
	uint32_t from = r->at;
	struct str word;
	struct define *d;

	while (r->at < r->len && is_word(r->s[r->at]))
		r->at++;
	word = str_of(r->s + from, r->at - from);
	if (str_eq(word, STR("include_file")) || str_eq(word, STR("import_file"))) {
		uint32_t at = r->at, n = 0;

		while (at < r->len && str_is_lws(r->s[at]))
			at++;
		if (at < r->len && (r->s[at] == '"' || r->s[at] == '\''))
			n = string_length(str_of(r->s + at, r->len - at));
		if (n == 0) {
			fail(r, from, word.len, "a file name in quotes is missing behind ", word);
			return;
		}
		r->at = at + n;
		include(r, from, word.len, str_of(r->s + at + 1, n - 2), word.s[1] == 'm');
		return;
	}
	d = define_find(r->source, word);
	if (d == NULL || d->value == NULL) {
		put(r, word, from, 0);
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
	text_addf(&value, "\"%.*s\"", STR_FMT(unquote(str_c(d->value != NULL ? d->value : ""))));
	put(r, str_of(value.s, value.len), r->at, variable.len);
	text_free(&value);
	return true;
}

static void read_comment(struct reader *r)
{
	struct str rest = str_of(r->s + r->at + 2, r->len - r->at - 2);
	int64_t end = str_find_str(rest, STR("*/"));

	if (end < 0) {
		fail(r, r->at, 2, "this comment does not end", STR(""));
		r->source->failed = true;
		r->at = r->len;
		return;
	}
	put(r, STR(" "), r->at, 1);
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
			put(r, str_of(rest.s, n), r->at, 0);
		r->at += n;
	} else if (is_word(c)) {
		read_word(r);
	} else {
		put(r, str_of(rest.s, 1), r->at, 0);
		r->at++;
	}
}

static void expand(struct reader *r)
{
	while (r->at < r->len && !r->source->failed)
		read_one(r);
	if (r->conditions > 0 && !r->source->failed)
		fail(r, r->condition[r->conditions - 1].at, 7, "this #!ifdef has no #!endif", STR(""));
}

static int add_file(struct source *source, const char *name, struct str text, uint16_t *index)
{
	struct source_file *f = &source->file[source->files];
	uint32_t lines = 1;

	for (uint32_t i = 0; i < text.len; i++)
		lines += text.s[i] == '\n';
	f->name = strdup(name);
	f->text = malloc((size_t)text.len + 1);
	f->line = malloc(lines * sizeof(f->line[0]));
	if (f->name == NULL || f->text == NULL || f->line == NULL) {
		free(f->name);
		free(f->text);
		free(f->line);
		*f = (struct source_file){0};
		return -ENOMEM;
	}
	if (text.len > 0)
		memcpy(f->text, text.s, text.len);
	f->text[text.len] = '\0';
	f->len = text.len;
	f->line[f->lines++] = 0;
	for (uint32_t i = 0; i < text.len; i++) {
		if (text.s[i] == '\n')
			f->line[f->lines++] = i + 1;
	}
	*index = (uint16_t)source->files++;
	report_source(source->report, name, text);
	return 0;
}

/* Reads a regular file of bounded size. */
static char *slurp(const char *path, uint32_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error = 0;
	struct stat st;
	char *text = NULL;
	ssize_t n = 0;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) != 0)
		error = errno;
	else if (!S_ISREG(st.st_mode))
		error = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	else if (st.st_size > SOURCE_FILE_BYTES_MAX)
		error = EFBIG;
	else if ((text = malloc((size_t)st.st_size + 1)) == NULL)
		error = ENOMEM;
	else if ((n = read(fd, text, (size_t)st.st_size)) < 0)
		error = errno;
	close(fd);
	if (error != 0) {
		free(text);
		errno = error;
		return NULL;
	}
	*len = (uint32_t)n;
	return text;
}

static int read_text(struct source *source, const char *path, uint16_t *index, const struct reader *from, uint32_t off)
{
	uint32_t len = 0;
	struct route_place place = from != NULL ? place_in(source, from->file, off, 12) : (struct route_place){.file = path};
	char *text;
	int err;

	if (source->files == SOURCE_FILES_MAX) {
		route_error(source->report, &place, "more than %d files", SOURCE_FILES_MAX);
		source->failed = true;
		return -E2BIG;
	}
	text = slurp(path, &len);
	if (text == NULL) {
		err = -errno;
		if (from != NULL)
			route_error(source->report, &place, "cannot read '%s': %s", path, strerror(-err));
		else
			route_error(source->report, &place, "cannot read it: %s", strerror(-err));
		return err;
	}
	err = add_file(source, path, str_of(text, len), index);
	free(text);
	if (err != 0)
		source->failed = true;
	return err;
}

struct source *source_create(struct route_report *report)
{
	static const char *const known[] = {"SIPLANE", "KAMAILIO", "KAMAILIO_5", "KAMAILIO_5_6"};
	struct source *source = calloc(1, sizeof(*source));

	if (source == NULL)
		return NULL;
	source->report = report;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		source->define[i].name = strdup(known[i]);
		if (source->define[i].name == NULL) {
			source_destroy(source);
			return NULL;
		}
		source->defines++;
	}
	return source;
}

void source_destroy(struct source *source)
{
	if (source == NULL)
		return;
	for (unsigned i = 0; i < source->files; i++) {
		free(source->file[i].name);
		free(source->file[i].text);
		free(source->file[i].line);
	}
	for (unsigned i = 0; i < source->defines; i++) {
		free(source->define[i].name);
		free(source->define[i].value);
	}
	for (unsigned i = 0; i < source->substs; i++) {
		regfree(&source->subst[i].regex);
		free(source->subst[i].replacement);
	}
	free(source->out);
	free(source->mark);
	free(source);
}

static int load_index(struct source *source, uint16_t index)
{
	run_file(source, index, 0);
	return source->failed ? -EINVAL : 0;
}

int source_load(struct source *source, const char *path)
{
	uint16_t index;
	int err = read_text(source, path, &index, NULL, 0);

	return err != 0 ? err : load_index(source, index);
}

int source_load_text(struct source *source, const char *name, struct str text)
{
	uint16_t index;
	int err;

	if (text.len > SOURCE_FILE_BYTES_MAX)
		return -EFBIG;
	err = add_file(source, name, text, &index);
	return err != 0 ? err : load_index(source, index);
}

struct str source_text(const struct source *source)
{
	return source->len > 0 ? str_of(source->out, source->len) : STR("");
}

struct route_place source_place(const struct source *source, uint32_t from, uint32_t to)
{
	uint32_t low = 0, high = source->marks, width = to > from ? to - from : 1;
	const struct source_mark *mark;

	if (source->marks == 0)
		return source->files > 0 ? (struct route_place){source->file[0].name, 1, 1, 1} : (struct route_place){0};
	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;

		if (source->mark[middle].out <= from)
			low = middle;
		else
			high = middle;
	}
	mark = &source->mark[low];
	if (mark->width != 0)
		return place_in(source, mark->file, mark->off, mark->width);
	/* The underline ends where text from elsewhere begins. */
	if (low + 1 < source->marks && source->mark[low + 1].out < from + width)
		width = source->mark[low + 1].out - from;
	return place_in(source, mark->file, mark->off + (from - mark->out), width);
}
