/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * textops: patterns on the message as it was received. They match lines, in any letter case (POSIX
 * REG_EXTENDED, REG_ICASE and REG_NEWLINE, as OpenSER has them), with `$` before a line's CRLF.
 */
#include <errno.h>
#include <stdlib.h>

#include "route/function.h"
#include "route/pattern.h"

struct search {
	struct route_regex *regex;
	bool own_text; /* the replacement is the operator's to the last byte */
	char which;    /* search_hf: 'a' all, 'f' the first, 'l' the last header of a name */
};

static struct route_regex *compile(
	const struct route_arg *arg, unsigned flags, struct route_report *report)
{
	char error[200];

	if (!arg->constant || arg->value.type != ROUTE_STR || arg->value.s.len == 0) {
		route_error(report, &arg->place,
			"a pattern is written as a string here: it is compiled when the file is "
			"loaded");
		return NULL;
	}
	struct route_regex *regex = regex_compile(arg->value.s, flags, error, sizeof(error));

	if (regex == NULL)
		route_error(report, &arg->place, "pattern: %s", error);
	return regex;
}

/* "$var(x)" in it, which would be looked for as text, and never found: nothing follows the end of a
 * line in it. */
static bool names_variable(struct str pattern)
{
	for (uint32_t i = 0; i + 1 < pattern.len; i++) {
		if (pattern.s[i] == '\\')
			i++;
		else if (pattern.s[i] == '$' && str_is_alpha(pattern.s[i + 1]))
			return true;
	}
	return false;
}

void free_pattern(void *data)
{
	struct search *search = data;

	if (search != NULL)
		route_regex_free(search->regex);
	free(search);
}

static struct search *make_search(const struct route_arg *pattern, unsigned flags,
	const struct route_place *place, struct route_report *report)
{
	struct search *search = calloc(1, sizeof(*search));

	if (search == NULL) {
		route_error(report, place, "out of memory");
		return NULL;
	}
	search->regex = compile(pattern, flags, report);
	if (search->regex == NULL) {
		free(search);
		return NULL;
	}
	if (names_variable(pattern->value.s))
		route_warning(report, &pattern->place,
			"a variable in a pattern is text here: =~ takes one");
	return search;
}

static int check_search(unsigned flags, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	struct search *search = make_search(&arg[0], flags, place, report);

	if (search == NULL)
		return -EINVAL;
	search->own_text = n > 1 && arg[1].constant;
	*data = search;
	return 0;
}

FUNCTION_CHECK(check_pattern)
{
	return check_search(REGEX_ICASE | REGEX_LINES, arg, n, place, report, data);
}

/* The whole text at once: `.` and `^` know no lines in it. */
FUNCTION_CHECK(check_pattern_whole)
{
	return check_search(REGEX_ICASE, arg, n, place, report, data);
}

FUNCTION_CHECK(check_search_str)
{
	*data = make_search(&arg[1], REGEX_ICASE | REGEX_LINES, place, report);
	return *data != NULL ? 0 : -EINVAL;
}

/* Which headers of a name: 'a', 'f' or 'l'; 0 after an error. */
char check_which(const struct route_arg *arg, struct route_report *report)
{
	struct str text = arg->value.s;

	if (arg->constant && arg->value.type == ROUTE_STR && text.len == 1 &&
		(text.s[0] == 'a' || text.s[0] == 'f' || text.s[0] == 'l'))
		return text.s[0];
	route_error(report, &arg->place,
		"this is \"a\" (all headers of the name), \"f\" (the first) or \"l\" (the last)");
	return 0;
}

FUNCTION_CHECK(check_search_hf)
{
	struct search *search = make_search(&arg[1], REGEX_ICASE | REGEX_LINES, place, report);

	if (search == NULL)
		return -EINVAL;
	search->which = check_which(&arg[2], report);
	if (search->which == 0) {
		free_pattern(search);
		return -EINVAL;
	}
	*data = search;
	return 0;
}

FUNCTION_CHECK(check_name_pattern)
{
	if (arg[0].constant && arg[0].value.type == ROUTE_STR && names_variable(arg[0].value.s)) {
		route_error(report, &arg[0].place,
			"a pattern is compiled when the file is loaded: it has no variables");
		return -EINVAL;
	}
	*data = compile(&arg[0], REGEX_ICASE, report);
	return *data != NULL ? 0 : -EINVAL;
}

void free_name_patterns(void *data)
{
	struct name_patterns *patterns = data;

	if (patterns == NULL)
		return;
	route_regex_free(patterns->match);
	route_regex_free(patterns->skip);
	free(patterns);
}

FUNCTION_CHECK(check_name_patterns)
{
	struct name_patterns *patterns = calloc(1, sizeof(*patterns));
	void *made = NULL;

	if (patterns == NULL) {
		route_error(report, place, "out of memory");
		return -EINVAL;
	}
	for (unsigned i = 0; i < 2; i++) {
		if (check_name_pattern(room, config, &arg[i], 1, place, report, &made) != 0) {
			free_name_patterns(patterns);
			return -EINVAL;
		}
		*(i == 0 ? &patterns->match : &patterns->skip) = made;
	}
	*data = patterns;
	return 0;
}

void free_name_pattern(void *data)
{
	route_regex_free(data);
}

static struct str whole(const struct route_ctx *ctx)
{
	return str_of(ctx->buf, ctx->msg.len);
}

/* All but the first line, which other functions change. */
static struct str behind_first_line(const struct route_ctx *ctx)
{
	return str_of(ctx->buf + ctx->msg.headers, ctx->msg.len - ctx->msg.headers);
}

static struct str body(const struct route_ctx *ctx)
{
	return str_of(ctx->buf + ctx->msg.body, ctx->msg.body_len);
}

static int32_t search(struct route_ctx *ctx, const struct route_args *args, struct str in)
{
	const struct search *data = args->data;

	return truth(route_regex_match(ctx, data->regex, in, NULL, 0) > 0);
}

FUNCTION_RUN(run_search)
{
	return search(ctx, args, whole(ctx));
}

FUNCTION_RUN(run_search_body)
{
	return ctx->msg.body_len != 0 ? search(ctx, args, body(ctx)) : ROUTE_FALSE;
}

FUNCTION_RUN(run_search_str)
{
	char digits[VALUE_NUMBER_MAX];

	return search(ctx, args, value_as_text(&args->v[0], digits));
}

/* Of the headers of a name one, or any. */
FUNCTION_RUN(run_search_hf)
{
	const struct search *data = args->data;
	struct header_walk walk = {.which = data->which};
	const struct sip_header *h;

	if (args->v[0].type != ROUTE_STR)
		return ROUTE_FALSE;
	while ((h = header_walk(ctx, args->v[0].s, &walk)) != NULL) {
		if (route_regex_match(
			    ctx, data->regex, sip_text(ctx->buf, sip_header_value(h)), NULL, 0) > 0)
			return ROUTE_TRUE;
	}
	return ROUTE_FALSE;
}

/* The text that a function puts into the message: a value of a message may not end the line that it
 * is put into. */
static bool text_to_put(
	const struct route_args *args, char digits[VALUE_NUMBER_MAX], struct str *text)
{
	const struct search *data = args->data;

	*text = value_as_text(&args->v[1], digits);
	return data->own_text || text_stays_in_line(*text);
}

static int32_t search_append(struct route_ctx *ctx, const struct route_args *args, struct str in)
{
	const struct search *data = args->data;
	char digits[VALUE_NUMBER_MAX];
	struct str match, text;

	if (!text_to_put(args, digits, &text))
		return ROUTE_FALSE;
	if (route_regex_match(ctx, data->regex, in, &match, 1) <= 0)
		return ROUTE_FALSE;
	return truth(edit_text(ctx, str_of(match.s + match.len, 0), text));
}

FUNCTION_RUN(run_search_append)
{
	return search_append(ctx, args, behind_first_line(ctx));
}

FUNCTION_RUN(run_search_append_body)
{
	return ctx->msg.body_len != 0 ? search_append(ctx, args, body(ctx)) : ROUTE_FALSE;
}

/* Replaces the first match, or all; an empty match is nothing that could be replaced. */
static int32_t replace(
	struct route_ctx *ctx, const struct route_args *args, struct str in, bool all)
{
	const struct search *data = args->data;
	char digits[VALUE_NUMBER_MAX];
	struct str match, text;
	uint32_t at = 0;
	bool replaced = false;

	if (!text_to_put(args, digits, &text))
		return ROUTE_FALSE;
	while (regex_match_from(ctx, data->regex, in, at, &match, 1) > 0 && match.len != 0) {
		if (!edit_text(ctx, match, text))
			return ROUTE_FALSE;
		replaced = true;
		at = (uint32_t)(match.s + match.len - in.s);
		if (!all)
			break;
	}
	return truth(replaced && ctx->failure == ROUTE_FAILURE_NONE);
}

FUNCTION_RUN(run_replace)
{
	return replace(ctx, args, behind_first_line(ctx), false);
}

FUNCTION_RUN(run_replace_hdrs)
{
	return replace(ctx, args,
		str_of(ctx->buf + ctx->msg.headers, ctx->msg.headers_end - ctx->msg.headers),
		false);
}

FUNCTION_RUN(run_replace_all)
{
	return replace(ctx, args, behind_first_line(ctx), true);
}

FUNCTION_RUN(run_replace_body)
{
	return replace(ctx, args, body(ctx), false);
}

FUNCTION_RUN(run_replace_body_all)
{
	return replace(ctx, args, body(ctx), true);
}
