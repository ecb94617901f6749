/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * textops: sed-like substitutions, "/pattern/replacement/flags". Any first character separates;
 * `\1` to `\9` and `\0` stand for groups, `\u` for the Request-URI; variables are expanded in the
 * replacement. Flags: i (any letter case), g (all matches), s (`.` matches line ends too).
 */
#include <errno.h>
#include <stdlib.h>

#include "route/function.h"
#include "route/pattern.h"

#define SUBST_PIECES_MAX 32
#define SUBST_GROUPS 10
/* Places of one text that are looked at for matches: a pattern that matches emptily could match at
 * each. */
#define SUBST_MATCHES_MAX 1000

struct piece {
	int group; /* or -1: format */
	struct route_format *format;
};

struct subst {
	struct route_regex *regex;
	bool all;
	char which; /* subst_hf: of the headers of a name */
	unsigned count;
	struct piece piece[SUBST_PIECES_MAX];
};

/* ---- load ---- */

void free_subst(void *data)
{
	struct subst *s = data;

	if (s == NULL)
		return;
	route_regex_free(s->regex);
	for (unsigned i = 0; i < s->count; i++)
		route_format_free(s->piece[i].format);
	free(s);
}

/* Offset of the next separator that no backslash precedes, or -1. */
static int64_t find_separator(struct str text, char separator)
{
	for (uint32_t i = 0; i < text.len; i++) {
		if (text.s[i] == '\\' && i + 1 < text.len)
			i++;
		else if (text.s[i] == separator)
			return i;
	}
	return -1;
}

static int add_piece(struct subst *s, int group, struct route_format *format,
	const struct route_arg *arg, struct route_report *report)
{
	if (s->count == SUBST_PIECES_MAX) {
		route_format_free(format);
		route_error(report, &arg->place, "more than %u parts in the replacement",
			SUBST_PIECES_MAX);
		return -1;
	}
	s->piece[s->count++] = (struct piece){group, format};
	return 0;
}

static int add_text(struct subst *s, const char *text, uint32_t len, const struct route_arg *arg,
	struct route_report *report)
{
	if (len == 0)
		return 0;
	struct route_format *format = route_format_compile(str_of(text, len), &arg->place, report);

	return format != NULL ? add_piece(s, -1, format, arg, report) : -1;
}

/* The replacement's groups and the texts between them. */
static int parse_replacement(
	struct subst *s, struct str in, const struct route_arg *arg, struct route_report *report)
{
	/* "$ru" is a byte longer than what it is written as; a dollar sign as long. */
	char *text = malloc(in.len + in.len / 2 + 1);
	uint32_t len = 0;
	int err = text != NULL ? 0 : -1;

	for (uint32_t i = 0; i < in.len && err == 0; i++) {
		char c = in.s[i];

		if (c != '\\' || i + 1 == in.len) {
			text[len++] = c;
			continue;
		}
		c = in.s[++i];
		if (str_is_digit(c)) {
			err = add_text(s, text, len, arg, report);
			len = 0;
			if (err == 0 && (unsigned)(c - '0') > regex_captures(s->regex)) {
				route_error(report, &arg->place, "\\%c: the pattern has %u groups",
					c, regex_captures(s->regex));
				err = -1;
			}
			if (err == 0)
				err = add_piece(s, c - '0', NULL, arg, report);
			continue;
		}
		if (c == 'u') { /* the Request-URI, as in SER */
			memcpy(text + len, "$ru", 3);
			len += 3;
			continue;
		}
		if (c == '$')
			text[len++] = c;
		text[len++] = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
	}
	if (err == 0)
		err = add_text(s, text, len, arg, report);
	free(text);
	return err;
}

static int parse_flags(struct str flags, const struct route_arg *arg, struct route_report *report,
	unsigned *regex, bool *all)
{
	*regex = REGEX_LINES;
	for (uint32_t i = 0; i < flags.len; i++) {
		switch (flags.s[i]) {
		case 'i':
			*regex |= REGEX_ICASE;
			break;
		case 's':
			*regex &= ~REGEX_LINES;
			break;
		case 'g':
			*all = true;
			break;
		default:
			route_error(report, &arg->place, "unknown flag '%c' behind the replacement",
				flags.s[i]);
			return -1;
		}
	}
	return 0;
}

/* The substitution is `arg[0]`. */
static int read_subst(const struct route_arg *arg, struct route_report *report, void **data)
{
	struct str in = arg[0].value.s, pattern, replacement;
	struct subst *s = calloc(1, sizeof(*s));
	char error[200];
	unsigned flags;
	int64_t end;

	if (s == NULL || !arg[0].constant || arg[0].value.type != ROUTE_STR || in.len < 3)
		goto malformed;
	char separator = in.s[0];

	in = str_of(in.s + 1, in.len - 1);
	end = find_separator(in, separator);
	if (end <= 0)
		goto malformed;
	pattern = str_of(in.s, (size_t)end);
	in = str_of(in.s + end + 1, in.len - (uint32_t)end - 1);
	end = find_separator(in, separator);
	if (end < 0)
		goto malformed;
	replacement = str_of(in.s, (size_t)end);
	in = str_of(in.s + end + 1, in.len - (uint32_t)end - 1);
	if (parse_flags(in, &arg[0], report, &flags, &s->all) < 0)
		goto out;
	s->regex = regex_compile(pattern, flags, error, sizeof(error));
	if (s->regex == NULL) {
		route_error(report, &arg[0].place, "pattern: %s", error);
		goto out;
	}
	if (parse_replacement(s, replacement, &arg[0], report) < 0)
		goto out;
	*data = s;
	return 0;
malformed:
	route_error(
		report, &arg[0].place, "a substitution is written \"/pattern/replacement/flags\"");
out:
	free_subst(s);
	return -EINVAL;
}

FUNCTION_CHECK(check_subst)
{
	return read_subst(&arg[0], report, data);
}

FUNCTION_CHECK(check_subst_hf)
{
	char which = check_which(&arg[2], report);

	if (which == 0 || read_subst(&arg[1], report, data) != 0)
		return -EINVAL;
	((struct subst *)*data)->which = which;
	return 0;
}

/* ---- run ---- */

/* What one match is replaced by, in the arena; values of the message may not end the line. */
static bool replacement_of(
	struct route_ctx *ctx, const struct subst *s, const struct str *group, struct str *out)
{
	struct str part[SUBST_PIECES_MAX];

	for (unsigned i = 0; i < s->count; i++) {
		const struct piece *piece = &s->piece[i];
		struct route_value value;
		bool clean = true;

		if (piece->group >= 0) {
			part[i] = group[piece->group];
			continue;
		}
		if (!format_eval_line(ctx, piece->format, &value, &clean) || !clean)
			return false;
		part[i] = value.s;
	}
	struct route_text text = route_text_join(ctx, part, s->count);

	*out = route_text_str(ctx, text);
	return text.space != ROUTE_SPACE_NONE;
}

/* Edits the matches within `in`, which lies in the message. */
static int32_t substitute_message(struct route_ctx *ctx, const struct subst *s, struct str in)
{
	struct str group[SUBST_GROUPS], text;
	uint32_t at = 0, mark = ctx->text_len;
	bool done = false;

	while (regex_match_from(ctx, s->regex, in, at, group, SUBST_GROUPS) > 0 &&
		group[0].len != 0) {
		if (!replacement_of(ctx, s, group, &text) || !edit_text(ctx, group[0], text))
			return ROUTE_FALSE;
		ctx->text_len = mark;
		done = true;
		at = (uint32_t)(group[0].s + group[0].len - in.s);
		if (!s->all)
			break;
	}
	return truth(done && ctx->failure == ROUTE_FAILURE_NONE);
}

FUNCTION_RUN(run_subst)
{
	return substitute_message(ctx, args->data,
		str_of(ctx->buf + ctx->msg.headers, ctx->msg.len - ctx->msg.headers));
}

/* In the values of the headers of a name. */
FUNCTION_RUN(run_subst_hf)
{
	const struct subst *s = args->data;
	struct header_walk walk = {.which = s->which};
	const struct sip_header *h;
	bool done = false;

	if (args->v[0].type != ROUTE_STR)
		return ROUTE_FALSE;
	while ((h = header_walk(ctx, args->v[0].s, &walk)) != NULL)
		done |= substitute_message(ctx, s, sip_text(ctx->buf, sip_header_value(h))) ==
			ROUTE_TRUE;
	return truth(done && ctx->failure == ROUTE_FAILURE_NONE);
}

FUNCTION_RUN(run_subst_body)
{
	return substitute_message(
		ctx, args->data, str_of(ctx->buf + ctx->msg.body, ctx->msg.body_len));
}

bool subst_text(struct route_ctx *ctx, const struct subst *s, struct str in, struct str *out)
{
	struct str group[SUBST_GROUPS];
	struct str head = STR_NONE; /* what is made so far */
	uint32_t at = 0, copied = 0;
	bool done = false;

	for (unsigned n = 0; at <= in.len; n++) {
		if (n == SUBST_MATCHES_MAX)
			return false;
		if (regex_match_from(ctx, s->regex, in, at, group, SUBST_GROUPS) <= 0)
			break;
		uint32_t off = (uint32_t)(group[0].s - in.s);
		struct str part[3] = {head, str_of(in.s + copied, off - copied)};

		if (!replacement_of(ctx, s, group, &part[2]))
			return false;
		struct route_text text = route_text_join(ctx, part, 3);

		if (text.space == ROUTE_SPACE_NONE)
			return false;
		head = route_text_str(ctx, text);
		done = true;
		copied = off + group[0].len;
		/* Behind an empty match the next one begins a byte further. */
		at = copied + (group[0].len == 0 ? 1 : 0);
		if (!s->all)
			break;
	}
	if (!done || ctx->failure != ROUTE_FAILURE_NONE)
		return false;
	const struct str part[2] = {head, str_of(in.s + copied, in.len - copied)};
	struct route_text text = route_text_join(ctx, part, 2);

	*out = route_text_str(ctx, text);
	return text.space != ROUTE_SPACE_NONE;
}

FUNCTION_RUN(run_subst_uri)
{
	struct str made;

	if (ctx->msg.is_response || !subst_text(ctx, args->data, route_ctx_uri(ctx), &made))
		return ROUTE_FALSE;
	return truth(uri_replace(ctx, made));
}

FUNCTION_RUN(run_subst_user)
{
	struct uri_view view;
	struct str made, user;

	if (!uri_current(ctx, &view))
		return ROUTE_FALSE;
	user = view.uri->user.len != 0 ? sip_text(view.base, view.uri->user) : STR("");
	if (!subst_text(ctx, args->data, user, &made))
		return ROUTE_FALSE;
	struct uri_change change = {.set = URI_USER, .user = {made}};

	return truth(uri_rewrite(ctx, &change));
}
