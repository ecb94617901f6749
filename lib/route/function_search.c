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

FUNCTION_CHECK(check_pattern)
{
	struct search *search = calloc(1, sizeof(*search));

	if (search == NULL) {
		route_error(report, place, "out of memory");
		return -EINVAL;
	}
	search->regex = compile(&arg[0], REGEX_ICASE | REGEX_LINES, report);
	search->own_text = n > 1 && arg[1].constant;
	if (search->regex == NULL) {
		free(search);
		return -EINVAL;
	}
	*data = search;
	return 0;
}

void free_pattern(void *data)
{
	struct search *search = data;

	if (search != NULL)
		route_regex_free(search->regex);
	free(search);
}

FUNCTION_CHECK(check_name_pattern)
{
	*data = compile(&arg[0], REGEX_ICASE, report);
	return *data != NULL ? 0 : -EINVAL;
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

/* The text that a function puts into the message: a value of a message may not end the line that it
 * is put into. */
static bool text_to_put(
	const struct route_args *args, char digits[VALUE_NUMBER_MAX], struct str *text)
{
	const struct search *data = args->data;

	*text = value_as_text(&args->v[1], digits);
	return data->own_text || text_stays_in_line(*text);
}

FUNCTION_RUN(run_search_append)
{
	const struct search *data = args->data;
	char digits[VALUE_NUMBER_MAX];
	struct str match, text;

	if (!text_to_put(args, digits, &text))
		return ROUTE_FALSE;
	if (route_regex_match(ctx, data->regex, behind_first_line(ctx), &match, 1) <= 0)
		return ROUTE_FALSE;
	return truth(edit_text(ctx, str_of(match.s + match.len, 0), text));
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
