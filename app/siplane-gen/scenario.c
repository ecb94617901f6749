/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A scenario file becomes messages and steps. One pass over the text by hand: the grammar is small,
 * and an error says line, column and what was expected.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "scenario_parser.h"

#define VALUE_MAX 1024

int gen_fail(char *error, size_t size, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, size, fmt, ap);
	va_end(ap);
	return -err;
}

const char *scenario_variable(const struct scenario *s, struct str which)
{
	for (unsigned i = 0; i < s->variables; i++)
		if (str_eq(str_c(s->variable[i].name), which))
			return s->variable[i].value;
	return NULL;
}

static void mix(struct parser *p)
{
	uint32_t at = p->token_at;

	if (p->mixed) {
		parse_error(p, at, "there is a 'mix' already");
		return;
	}
	p->mixed = true;
	parse_need(p, "{");
	while (!p->failed && !parse_take(p, "}")) {
		struct scenario_call *c = parse_call_named(p->s, p->token.text);

		if (p->token.kind != TOKEN_WORD || c == NULL) {
			parse_expected(p, "the name of a call above");
			return;
		}
		parse_next(p);
		c->weight = parse_count(p, "a weight", 1000000);
		parse_need(p, ";");
	}
}

static void set(struct parser *p)
{
	struct scenario *s = p->s;
	struct scenario_variable *v = &s->variable[s->variables];
	struct str text;
	uint32_t at = p->token_at, begin;

	if (s->variables == GEN_VARIABLES_MAX) {
		parse_error(p, at, "there are more than %d variables", GEN_VARIABLES_MAX);
		return;
	}
	if (!parse_name(p, "a name for the variable", v->name))
		return;
	if (scenario_variable(s, str_c(v->name)) != NULL) {
		parse_error(p, at, "'%s' is set already", v->name);
		return;
	}
	parse_need(p, "=");
	if (p->token.kind != TOKEN_WORD && p->token.kind != TOKEN_TEXT) {
		parse_expected(p, "a value");
		return;
	}
	text = p->token.text;
	if (text.len > VALUE_MAX) {
		parse_error(p, p->token_at, "a value has at most %d characters", VALUE_MAX);
		return;
	}
	at = (uint32_t)(text.s - p->in.s);
	v->line = parse_line_of(p, at, &begin);
	v->column = at - begin + 1;
	for (unsigned i = 0; i < p->sets; i++)
		if (strcmp(p->set[i].name, v->name) == 0) {
			text = str_c(p->set[i].value);
			v->line = 0;
		}
	v->value = strndup(text.len != 0 ? text.s : "", text.len);
	if (v->value == NULL) {
		parse_error(p, p->token_at, "not enough memory");
		return;
	}
	s->variables++;
	parse_next(p);
	parse_need(p, ";");
}

/* ---- file ---- */

static void check_set(struct parser *p)
{
	for (unsigned i = 0; i < p->sets && !p->failed; i++)
		if (scenario_variable(p->s, str_c(p->set[i].name)) == NULL) {
			p->failed = true;
			gen_fail(p->error, p->error_size, EINVAL,
				"%s: --set %s=...: the scenario has no 'set %s = ...;'", p->s->path,
				p->set[i].name, p->set[i].name);
		}
}

static void weigh(struct parser *p)
{
	struct scenario *s = p->s;

	if (s->calls == 0) {
		parse_error(p, p->in.len, "there is no 'call'");
		return;
	}
	for (unsigned i = 0; i < s->calls; i++) {
		if (!p->mixed)
			s->call[i].weight = 1;
		s->weights += s->call[i].weight;
	}
	if (s->weights == 0)
		parse_error(p, p->in.len, "all weights of 'mix' are 0");
}

struct scenario *scenario_parse(const char *path, struct str text, const struct gen_variable *sets,
	unsigned set_count, char *error, size_t error_size)
{
	struct scenario *s = calloc(1, sizeof(*s));
	struct parser p = {.s = s,
		.in = text,
		.set = sets,
		.sets = set_count,
		.error = error,
		.error_size = error_size};

	if (s == NULL || (s->path = strdup(path)) == NULL) {
		free(s);
		gen_fail(error, error_size, ENOMEM, "%s: not enough memory", path);
		return NULL;
	}
	if (text.len > GEN_SCENARIO_MAX) {
		gen_fail(error, error_size, EFBIG, "%s: a scenario has at most %d bytes", path,
			GEN_SCENARIO_MAX);
		scenario_free(s);
		return NULL;
	}
	if (memchr(text.s != NULL ? text.s : "", '\0', text.len) != NULL) {
		gen_fail(error, error_size, EINVAL, "%s: it holds a NUL and is no text", path);
		scenario_free(s);
		return NULL;
	}
	parse_next(&p);
	while (!p.failed && p.token.kind != TOKEN_END) {
		if (parse_take(&p, "message"))
			parse_message(&p);
		else if (parse_take(&p, "call"))
			parse_call(&p);
		else if (parse_take(&p, "mix"))
			mix(&p);
		else if (parse_take(&p, "set"))
			set(&p);
		else
			parse_expected(&p, "'set', 'message', 'call' or 'mix'");
	}
	if (!p.failed)
		check_set(&p);
	if (!p.failed)
		weigh(&p);
	if (p.failed) {
		scenario_free(s);
		return NULL;
	}
	return s;
}

struct scenario *scenario_read(const char *path, const struct gen_variable *sets,
	unsigned set_count, char *error, size_t error_size)
{
	struct scenario *s = NULL;
	char *text = malloc(GEN_SCENARIO_MAX + 1);
	FILE *f = fopen(path, "re");
	size_t n;

	if (f == NULL || text == NULL) {
		gen_fail(error, error_size, errno, "%s: %s", path, strerror(errno));
	} else {
		n = fread(text, 1, GEN_SCENARIO_MAX + 1, f);
		if (ferror(f))
			gen_fail(error, error_size, errno, "%s: %s", path, strerror(errno));
		else
			s = scenario_parse(
				path, str_of(text, n), sets, set_count, error, error_size);
	}
	if (f != NULL)
		fclose(f);
	free(text);
	return s;
}

void scenario_free(struct scenario *s)
{
	if (s == NULL)
		return;
	for (unsigned i = 0; i < s->messages; i++)
		free(s->message[i].text);
	for (unsigned i = 0; i < s->variables; i++)
		free(s->variable[i].value);
	free(s->path);
	free(s);
}
