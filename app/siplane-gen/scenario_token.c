/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The words of a scenario file, names and values, and what is said where another was expected.
 */
#include <stdarg.h>

#include "scenario_parser.h"

#define DURATION_MAX_NS (86400 * CLOCK_NS_PER_S)

unsigned parse_line_of(const struct parser *p, uint32_t at, uint32_t *begin)
{
	unsigned line = 1;

	*begin = 0;
	for (uint32_t i = 0; i < at; i++)
		if (p->in.s[i] == '\n') {
			line++;
			*begin = i + 1;
		}
	return line;
}

/* Only the first error counts; what follows it is its consequence. */
void parse_error(struct parser *p, uint32_t at, const char *fmt, ...)
{
	uint32_t begin, end;
	unsigned line;
	char what[512];
	va_list ap;

	if (p->failed)
		return;
	p->failed = true;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	line = parse_line_of(p, at, &begin);
	for (end = begin; end < p->in.len && p->in.s[end] != '\n'; end++)
		;
	if (end - begin > 160)
		end = begin + 160;
	snprintf(p->error, p->error_size, "%s:%u:%u: error: %s\n%5u | %.*s\n      | %*s^",
		p->s->path, line, at - begin + 1, what, line, (int)(end - begin), p->in.s + begin,
		(int)(at - begin > 160 ? 160 : at - begin), "");
	/* Tabs count as one column: keep the caret below its character. */
	for (char *c = p->error; *c != '\0'; c++)
		if (*c == '\t')
			*c = ' ';
}

static bool is_word(char c)
{
	return str_is_alpha(c) || str_is_digit(c) || c == '_' || c == '.';
}

void parse_next(struct parser *p)
{
	const char *s = p->in.s;
	uint32_t i = p->at;

	if (p->failed) {
		p->token = (struct token){TOKEN_END, STR_NONE};
		return;
	}
	for (;;) {
		while (i < p->in.len && str_is_lws(s[i]))
			i++;
		if (i == p->in.len || s[i] != '#')
			break;
		while (i < p->in.len && s[i] != '\n')
			i++;
	}
	p->token_at = i;
	if (i == p->in.len) {
		p->token = (struct token){TOKEN_END, STR_NONE};
	} else if (is_word(s[i])) {
		uint32_t from = i;

		while (i < p->in.len && is_word(s[i]))
			i++;
		p->token = (struct token){TOKEN_WORD, str_of(s + from, i - from)};
	} else if (s[i] == '"') {
		uint32_t from = ++i;

		while (i < p->in.len && s[i] != '"' && s[i] != '\n')
			i++;
		p->token = (struct token){TOKEN_TEXT, str_of(s + from, i - from)};
		if (i == p->in.len || s[i] != '"')
			parse_error(p, p->token_at, "this text is not closed on its line");
		else
			i++;
	} else {
		p->token = (struct token){TOKEN_PUNCTUATION, str_of(s + i, 1)};
		i++;
	}
	p->at = i;
}

bool parse_is(const struct parser *p, const char *text)
{
	return p->token.kind != TOKEN_TEXT && p->token.kind != TOKEN_END &&
	       str_eq(p->token.text, str_c(text));
}

bool parse_take(struct parser *p, const char *text)
{
	if (!parse_is(p, text))
		return false;
	parse_next(p);
	return true;
}

void parse_expected(struct parser *p, const char *what)
{
	if (p->token.kind == TOKEN_END)
		parse_error(p, p->token_at, "%s is expected, and the file ends", what);
	else
		parse_error(p, p->token_at, "%s is expected, not '%.*s'", what,
			(int)(p->token.text.len > 40 ? 40 : p->token.text.len), p->token.text.s);
}

void parse_need(struct parser *p, const char *text)
{
	char what[8];

	if (parse_take(p, text))
		return;
	snprintf(what, sizeof(what), "'%s'", text);
	parse_expected(p, what);
}

bool parse_name(struct parser *p, const char *what, char out[GEN_NAME_MAX + 1])
{
	if (p->token.kind != TOKEN_WORD || str_is_digit(p->token.text.s[0])) {
		parse_expected(p, what);
		return false;
	}
	if (p->token.text.len > GEN_NAME_MAX) {
		parse_error(p, p->token_at, "names have at most %d characters", GEN_NAME_MAX);
		return false;
	}
	memcpy(out, p->token.text.s, p->token.text.len);
	out[p->token.text.len] = '\0';
	parse_next(p);
	return true;
}

/* A number or duration that stands here, or the value of {variable}; moves on. */
static bool value(struct parser *p, const char *what, uint32_t *at, char out[GEN_NAME_MAX + 1])
{
	const char *v;

	*at = p->token_at;
	if (parse_take(p, "{")) {
		v = p->token.kind == TOKEN_WORD ? scenario_variable(p->s, p->token.text) : NULL;
		if (v == NULL) {
			parse_expected(p, "the name of a variable (set NAME = VALUE;)");
			return false;
		}
		if (strlen(v) > GEN_NAME_MAX) {
			parse_error(p, *at, "%s is expected, not '%.40s...'", what, v);
			return false;
		}
		memcpy(out, v, strlen(v) + 1);
		parse_next(p);
		parse_need(p, "}");
		return !p->failed;
	}
	if (p->token.kind != TOKEN_WORD || p->token.text.len > GEN_NAME_MAX) {
		parse_expected(p, what);
		return false;
	}
	memcpy(out, p->token.text.s, p->token.text.len);
	out[p->token.text.len] = '\0';
	parse_next(p);
	return true;
}

uint64_t parse_duration(struct parser *p)
{
	char text[GEN_NAME_MAX + 1];
	uint64_t ns = 0;
	uint32_t at;

	if (!value(p, "a duration (2s, 250ms, 10us)", &at, text))
		return 0;
	if (gen_duration_parse(text, &ns) != 0 || ns > DURATION_MAX_NS)
		parse_error(p, at, "'%s' is no duration (2s, 250ms, 10us; at most a day)", text);
	return ns;
}

uint32_t parse_count(struct parser *p, const char *what, uint32_t max)
{
	char text[GEN_NAME_MAX + 1];
	uint32_t n = 0, at;

	if (!value(p, what, &at, text))
		return 0;
	if (str_to_u32(str_c(text), max, &n) != 0)
		parse_error(p, at, "'%s' is not %s (0 to %u)", text, what, max);
	return n;
}
