/* SPDX-License-Identifier: BSD-3-Clause */
/* Format strings: text with pseudo-variables in it, split at load and put together in the arena at
 * run. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "route/load.h"
#include "route/value.h"

/* What an absent value reads as within a text, as in Kamailio. */
#define NULL_TEXT STR("<null>")

enum part_kind { PART_TEXT, PART_VARIABLE, PART_VAR, PART_RC, PART_NULL };

struct part {
	enum part_kind kind;
	int number;      /* PART_VAR: slot of ctx->var */
	struct str text; /* PART_TEXT; within format->text, or the script's own */
	const struct route_variable *variable;
	struct route_index index; /* of it; its name is within format->text */
	unsigned transforms;
	struct transform transform[TRANSFORMS_MAX];
};

struct route_format {
	char *text;
	unsigned count;
	struct part part[];
};

struct parser {
	struct str in;
	uint32_t at;
	const struct route_place *place;
	struct route_report *report;
	unsigned count;
	struct part part[FORMAT_PARTS_MAX];
};

/* Where that part of the text stands, up to where the parser is. */
static struct route_place place_from(const struct parser *p, uint32_t from)
{
	struct route_place place = *p->place;

	/* The literal begins with its quote. */
	place.column += (int)from + 1;
	place.length = (int)(p->at - from) > 0 ? (int)(p->at - from) : 1;
	return place;
}

static int fail_why(struct parser *p, uint32_t from, struct str what, const char *why)
{
	struct route_place place = place_from(p, from);

	route_error(p->report, &place, "{%.*s}: %s", STR_FMT(what), why);
	return -1;
}

static int fail(struct parser *p, uint32_t from, const char *fmt, struct str what)
{
	struct route_place place = place_from(p, from);
	char text[256];

	snprintf(text, sizeof(text), fmt, STR_FMT(what));
	route_error(p->report, &place, "%s", text);
	return -1;
}

static int add(struct parser *p, enum part_kind kind, int number, struct str text)
{
	if (kind == PART_TEXT && text.len == 0)
		return 0;
	if (p->count == FORMAT_PARTS_MAX)
		return fail(p, 0, "more than 128 parts in one string%.*s", STR(""));
	p->part[p->count++] = (struct part){.kind = kind, .number = number, .text = text};
	return 0;
}

static struct str take_name(struct parser *p)
{
	struct str rest = str_of(p->in.s + p->at, p->in.len - p->at);
	struct str name = variable_take_name(&rest);

	p->at += name.len;
	return name;
}

/* The text between a bracket at p->at and the one that closes it, which may hold balanced ones;
 * false where they do not end. */
static bool take_brackets(struct parser *p, char open, char close, struct str *inner)
{
	uint32_t from = ++p->at;
	unsigned depth = 1;

	for (; p->at < p->in.len; p->at++) {
		char c = p->in.s[p->at];

		if (c == open)
			depth++;
		else if (c == close && --depth == 0) {
			*inner = str_of(p->in.s + from, p->at - from);
			p->at++;
			return true;
		}
	}
	return false;
}

static int add_variable(
	struct parser *p, uint32_t from, struct str name, struct str index, bool indexed)
{
	if (str_eq(name, STR("var"))) {
		int slot = indexed && index.len != 0 ? route_var_slot(index) : -1;

		if (!indexed || index.len == 0)
			return fail(p, from, "$var needs a name in parentheses%.*s", STR(""));
		if (slot < 0)
			return fail(p, from, "no room for $var(%.*s): too many $var names", index);
		return add(p, PART_VAR, slot, STR_NONE);
	}
	if (str_eq(name, STR("rc")) || str_eq(name, STR("retcode")))
		return add(p, PART_RC, 0, STR_NONE);
	if (str_eq(name, STR("null")))
		return add(p, PART_NULL, 0, STR_NONE);

	if (str_eq(name, STR("sel")) && str_istarts(index, STR("cfg_get."))) {
		struct str text;

		if (!load_custom_text(index, &text))
			return fail(p, from, "this script sets no global '%.*s'", index);
		return add(p, PART_TEXT, 0, text);
	}

	const struct known *known = known_find(KNOWN_NO_VARIABLE, STR_NONE, name);
	struct variable_found found;

	if (!variable_find(name, &found) && known != NULL)
		return fail(p, from, "this variable is not there: %.*s", str_c(known->why));
	if (found.variable == NULL)
		return fail(p, from, "unknown pseudo-variable '$%.*s'", name);
	const struct route_variable *variable = found.variable;

	if (found.module != NULL)
		return fail(p, from, "$%.*s is a variable of a module that is not loaded", name);
	if (variable->index == ROUTE_INDEX_NONE && indexed)
		return fail(p, from, "$%.*s takes nothing in parentheses", name);
	if (variable->index == ROUTE_INDEX_NAME && (!indexed || index.len == 0))
		return fail(p, from, "$%.*s needs a name in parentheses", name);
	if (variable->check_index != NULL && !variable->check_index(&index))
		return fail(p, from, "'%.*s' is nothing that this pseudo-variable knows", index);
	if (add(p, PART_VARIABLE, 0, STR_NONE) < 0)
		return -1;
	p->part[p->count - 1].variable = variable;
	p->part[p->count - 1].index =
		(struct route_index){.name = index, .slot = -1, .room = found.room};
	return 0;
}

/* The "[...]" behind one. */
static int take_element(struct parser *p, uint32_t from)
{
	struct part *part = &p->part[p->count - 1];
	struct str text;

	if (p->at >= p->in.len || p->in.s[p->at] != '[')
		return 0;
	if (!take_brackets(p, '[', ']', &text))
		return fail(p, from, "'[' without ']'%.*s", STR(""));
	if (part->kind != PART_VARIABLE || !part->variable->elements)
		return fail(p, from, "this pseudo-variable takes no index in [ ]%.*s", STR(""));
	if (!variable_element(text, &part->index))
		return fail(p, from, "'%.*s' is no index: a number, * or a $var", text);
	return 0;
}

/* The "{...}" behind a variable in parentheses; they belong to the part that was added last. */
static int take_transforms(struct parser *p, uint32_t from)
{
	struct part *part = &p->part[p->count - 1];
	const char *why;
	struct str text;

	while (p->at < p->in.len && p->in.s[p->at] == '{') {
		if (!take_brackets(p, '{', '}', &text))
			return fail(p, from, "'{' without '}'%.*s", STR(""));
		if (part->transforms == TRANSFORMS_MAX)
			return fail(p, from, "more than 4 transformations of one variable%.*s",
				STR(""));
		if (str_find(text, '$') >= 0)
			return fail(p, from, "the arguments of {%.*s} must be constant", text);
		if (!transform_parse(text, &part->transform[part->transforms++], &why))
			return fail_why(p, from, text, why);
	}
	return 0;
}

/* At a '$'. */
static int take_variable(struct parser *p)
{
	uint32_t from = p->at++;
	struct str name, index = STR_NONE;
	bool braces = p->at < p->in.len && p->in.s[p->at] == '(';
	struct variable_found found;
	bool indexed = false;

	if (p->at < p->in.len && p->in.s[p->at] == '$') {
		p->at++;
		return add(p, PART_TEXT, 0, str_of(p->in.s + from, 1));
	}
	if (braces)
		p->at++;
	name = take_name(p);
	if (name.len == 0)
		return fail(
			p, from, "'$' without a name; '$$' stands for a dollar sign%.*s", STR(""));
	if (p->at < p->in.len && p->in.s[p->at] == '(' &&
		(braces || !variable_find(name, &found) ||
			found.variable->index != ROUTE_INDEX_NONE)) {
		indexed = true;
		if (!take_brackets(p, '(', ')', &index))
			return fail(p, from, "'(' without ')' behind $%.*s", name);
	}
	if (!braces)
		return add_variable(p, from, name, index, indexed);
	if (str_eq(name, STR("sel")))
		return fail(p, from, "a global of the script is written $%.*s(...) here", name);
	if (add_variable(p, from, name, index, indexed) < 0 || take_element(p, from) < 0 ||
		take_transforms(p, from) < 0)
		return -1;
	if (p->at >= p->in.len || p->in.s[p->at] != ')')
		return fail(p, from, "$(%.*s...: no ')' where it must end", name);
	p->at++;
	return 0;
}

static int parse(struct parser *p)
{
	while (p->at < p->in.len) {
		const char *dollar = memchr(p->in.s + p->at, '$', p->in.len - p->at);
		uint32_t end = dollar != NULL ? (uint32_t)(dollar - p->in.s) : p->in.len;

		if (add(p, PART_TEXT, 0, str_of(p->in.s + p->at, end - p->at)) < 0)
			return -1;
		p->at = end;
		if (dollar != NULL && take_variable(p) < 0)
			return -1;
	}
	return 0;
}

struct route_format *route_format_compile(
	struct str text, const struct route_place *place, struct route_report *report)
{
	struct parser *p = calloc(1, sizeof(*p));
	struct route_format *format = NULL;
	char *copy = malloc(text.len + 1);

	if (p == NULL || copy == NULL) {
		route_error(report, place, "out of memory");
		goto out;
	}
	if (text.len != 0)
		memcpy(copy, text.s, text.len);
	copy[text.len] = '\0';
	p->in = str_of(copy, text.len);
	p->place = place;
	p->report = report;
	if (parse(p) < 0)
		goto out;
	format = malloc(sizeof(*format) + p->count * sizeof(p->part[0]));
	if (format == NULL) {
		route_error(report, place, "out of memory");
		goto out;
	}
	format->text = copy;
	format->count = p->count;
	memcpy(format->part, p->part, p->count * sizeof(p->part[0]));
	copy = NULL;
out:
	free(copy);
	free(p);
	return format;
}

void route_format_free(struct route_format *format)
{
	if (format == NULL)
		return;
	free(format->text);
	free(format);
}

bool route_format_is_constant(const struct route_format *format)
{
	for (unsigned i = 0; i < format->count; i++)
		if (format->part[i].kind != PART_TEXT)
			return false;
	return true;
}

static bool get_cell(struct route_ctx *ctx, int slot, struct route_value *out)
{
	const struct route_cell *cell = &ctx->var[slot];

	/* A $var that nothing was assigned to reads 0, as in Kamailio. */
	if ((ctx->var_set >> slot & 1) == 0)
		return value_int(out, 0);
	if (cell->type == ROUTE_INT)
		return value_int(out, cell->i);
	if (cell->type == ROUTE_STR)
		return value_str(out, route_text_str(ctx, cell->text));
	return value_null(out);
}

static bool get_plain(struct route_ctx *ctx, const struct part *part, struct route_value *out)
{
	switch (part->kind) {
	case PART_TEXT:
		return value_str(out, part->text);
	case PART_VARIABLE:
		return part->variable->get(ctx, &part->index, out);
	case PART_VAR:
		return get_cell(ctx, part->number, out);
	case PART_RC:
		return value_int(out, ctx->rc);
	case PART_NULL:
		break;
	}
	return value_null(out);
}

static bool get_part(struct route_ctx *ctx, const struct part *part, struct route_value *out)
{
	if (!get_plain(ctx, part, out))
		return false;
	for (unsigned i = 0; i < part->transforms; i++)
		if (!transform_apply(ctx, &part->transform[i], out))
			return false;
	return true;
}

/*
 * Makes a value the last text of the arena, where `at` is its end now. Evaluation may have put the
 * value (and more) behind `at` already.
 */
static bool append(struct route_ctx *ctx, uint32_t at, struct str s)
{
	if (s.len > ROUTE_TEXT_MAX - at) {
		ctx->failure = ROUTE_FAILURE_TEXT_FULL;
		return false;
	}
	if (s.len != 0 && s.s != ctx->text + at)
		memmove(ctx->text + at, s.s, s.len);
	ctx->text_len = at + s.len;
	return true;
}

/* Unfolds the text in place. False where it holds a CR, LF or NUL that is no folding, save a CRLF
 * at the end of the line where that is allowed. */
static bool clean_value(char *s, uint32_t len, bool ends_line)
{
	for (uint32_t i = 0; i < len; i++) {
		if (s[i] != '\r' && s[i] != '\n' && s[i] != '\0')
			continue;
		bool crlf = s[i] == '\r' && len - i >= 2 && s[i + 1] == '\n';

		if (crlf && len - i == 2 && ends_line)
			return true;
		if (!crlf || len - i < 3 || (s[i + 2] != ' ' && s[i + 2] != '\t'))
			return false;
		s[i] = s[i + 1] = ' ';
	}
	return true;
}

static bool eval(struct route_ctx *ctx, const struct route_format *format, struct route_value *out,
	bool *clean)
{
	uint32_t start = ctx->text_len;

	for (unsigned i = 0; i < format->count; i++) {
		const struct part *part = &format->part[i];
		uint32_t at = ctx->text_len;
		char digits[VALUE_NUMBER_MAX];
		struct route_value value;

		if (!get_part(ctx, part, &value))
			return false;
		if (!append(ctx, at,
			    value.type == ROUTE_NULL ? NULL_TEXT : value_as_text(&value, digits)))
			return false;
		if (clean != NULL && part->kind != PART_TEXT &&
			!clean_value(ctx->text + at, ctx->text_len - at, i + 1 == format->count))
			*clean = false;
	}
	return value_str(out, str_of(ctx->text + start, ctx->text_len - start));
}

bool route_format_eval(
	struct route_ctx *ctx, const struct route_format *format, struct route_value *out)
{
	if (format->count == 0)
		return value_str(out, str_of(format->text, 0));
	if (format->count == 1)
		return get_part(ctx, &format->part[0], out);
	return eval(ctx, format, out, NULL);
}

bool format_eval_line(struct route_ctx *ctx, const struct route_format *format,
	struct route_value *out, bool *clean)
{
	*clean = true;
	return eval(ctx, format, out, clean);
}

unsigned format_parts(const struct route_format *format)
{
	return format->count;
}

bool format_part(const struct route_format *format, unsigned n, struct str *literal)
{
	*literal = format->part[n].text;
	return format->part[n].kind == PART_TEXT;
}

bool format_part_get(struct route_ctx *ctx, const struct route_format *format, unsigned n,
	struct route_value *out)
{
	return get_part(ctx, &format->part[n], out);
}

int format_single_var(const struct route_format *format)
{
	const struct part *part = &format->part[0];

	return format->count == 1 && part->kind == PART_VAR && part->transforms == 0 ? part->number
										     : -1;
}

const struct route_variable *format_single_variable(
	const struct route_format *format, const struct route_index **index)
{
	if (format->count != 1 || format->part[0].kind != PART_VARIABLE ||
		format->part[0].transforms != 0)
		return NULL;
	*index = &format->part[0].index;
	return format->part[0].variable;
}
