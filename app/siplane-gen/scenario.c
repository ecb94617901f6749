/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A scenario file becomes messages and steps. One pass over the text by hand: the grammar is small,
 * and an error says line, column and what was expected.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define DURATION_MAX_NS (86400 * CLOCK_NS_PER_S)
#define REPEAT_MAX 1000000000U
#define VALUE_MAX 1024

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_TEXT, TOKEN_PUNCTUATION };

struct token {
	enum token_kind kind;
	struct str text; /* TEXT: without its quotes */
};

struct parser {
	struct scenario *s;
	struct str in;
	uint32_t at; /* behind the current token */
	uint32_t token_at;
	struct token token;
	const struct gen_variable *set;
	unsigned sets;
	char *error;
	size_t error_size;
	bool failed;
	bool mixed; /* a `mix` was there */
};

int gen_fail(char *error, size_t size, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, size, fmt, ap);
	va_end(ap);
	return -err;
}

static unsigned line_of(const struct parser *p, uint32_t at, uint32_t *begin)
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

static void fail_at(struct parser *p, uint32_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Only the first error counts; what follows it is its consequence. */
static void fail_at(struct parser *p, uint32_t at, const char *fmt, ...)
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
	line = line_of(p, at, &begin);
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

static void next(struct parser *p)
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
			fail_at(p, p->token_at, "this text is not closed on its line");
		else
			i++;
	} else {
		p->token = (struct token){TOKEN_PUNCTUATION, str_of(s + i, 1)};
		i++;
	}
	p->at = i;
}

static bool is(const struct parser *p, const char *text)
{
	return p->token.kind != TOKEN_TEXT && p->token.kind != TOKEN_END &&
	       str_eq(p->token.text, str_c(text));
}

static bool take(struct parser *p, const char *text)
{
	if (!is(p, text))
		return false;
	next(p);
	return true;
}

static void expected(struct parser *p, const char *what)
{
	if (p->token.kind == TOKEN_END)
		fail_at(p, p->token_at, "%s is expected, and the file ends", what);
	else
		fail_at(p, p->token_at, "%s is expected, not '%.*s'", what,
			(int)(p->token.text.len > 40 ? 40 : p->token.text.len), p->token.text.s);
}

static void need(struct parser *p, const char *text)
{
	char what[8];

	if (take(p, text))
		return;
	snprintf(what, sizeof(what), "'%s'", text);
	expected(p, what);
}

/* A word that begins with a letter, for a name; moves on. */
static bool name(struct parser *p, const char *what, char out[GEN_NAME_MAX + 1])
{
	if (p->token.kind != TOKEN_WORD || str_is_digit(p->token.text.s[0])) {
		expected(p, what);
		return false;
	}
	if (p->token.text.len > GEN_NAME_MAX) {
		fail_at(p, p->token_at, "names have at most %d characters", GEN_NAME_MAX);
		return false;
	}
	memcpy(out, p->token.text.s, p->token.text.len);
	out[p->token.text.len] = '\0';
	next(p);
	return true;
}

const char *scenario_variable(const struct scenario *s, struct str which)
{
	for (unsigned i = 0; i < s->variables; i++)
		if (str_eq(str_c(s->variable[i].name), which))
			return s->variable[i].value;
	return NULL;
}

/* A number or duration that stands here, or the value of {variable}; moves on. */
static bool value(struct parser *p, const char *what, uint32_t *at, char out[GEN_NAME_MAX + 1])
{
	const char *v;

	*at = p->token_at;
	if (take(p, "{")) {
		v = p->token.kind == TOKEN_WORD ? scenario_variable(p->s, p->token.text) : NULL;
		if (v == NULL) {
			expected(p, "the name of a variable (set NAME = VALUE;)");
			return false;
		}
		if (strlen(v) > GEN_NAME_MAX) {
			fail_at(p, *at, "%s is expected, not '%.40s...'", what, v);
			return false;
		}
		memcpy(out, v, strlen(v) + 1);
		next(p);
		need(p, "}");
		return !p->failed;
	}
	if (p->token.kind != TOKEN_WORD || p->token.text.len > GEN_NAME_MAX) {
		expected(p, what);
		return false;
	}
	memcpy(out, p->token.text.s, p->token.text.len);
	out[p->token.text.len] = '\0';
	next(p);
	return true;
}

static uint64_t duration(struct parser *p)
{
	char text[GEN_NAME_MAX + 1];
	uint64_t ns = 0;
	uint32_t at;

	if (!value(p, "a duration (2s, 250ms, 10us)", &at, text))
		return 0;
	if (gen_duration_parse(text, &ns) != 0 || ns > DURATION_MAX_NS)
		fail_at(p, at, "'%s' is no duration (2s, 250ms, 10us; at most a day)", text);
	return ns;
}

static uint32_t count(struct parser *p, const char *what, uint32_t max)
{
	char text[GEN_NAME_MAX + 1];
	uint32_t n = 0, at;

	if (!value(p, what, &at, text))
		return 0;
	if (str_to_u32(str_c(text), max, &n) != 0)
		fail_at(p, at, "'%s' is not %s (0 to %u)", text, what, max);
	return n;
}

/* ---- message ---- */

static bool line_closes(struct str line)
{
	return str_eq(str_trim(line), STR("}"));
}

/* The line at `at`, without its end; `*after` is behind it. */
static struct str line_at(const struct parser *p, uint32_t at, uint32_t *after)
{
	uint32_t end = at;

	while (end < p->in.len && p->in.s[end] != '\n')
		end++;
	*after = end < p->in.len ? end + 1 : end;
	if (end > at && p->in.s[end - 1] == '\r')
		end--;
	return str_of(p->in.s + at, end - at);
}

static unsigned indent_of(struct str line)
{
	unsigned n = 0;

	while (n < line.len && (line.s[n] == ' ' || line.s[n] == '\t'))
		n++;
	return n;
}

static void start_line(struct parser *p, struct scenario_message *m, uint32_t at)
{
	struct str line =
		str_of(m->text, (uint32_t)str_find_str(str_of(m->text, m->len), STR("\r\n")));
	int64_t space = str_find(line, ' ');

	if (str_istarts(line, STR("SIP/2.0 "))) {
		m->is_response = true;
		return;
	}
	if (space <= 0 || line.len < 9 ||
		!str_eq(str_of(line.s + line.len - 8, 8), STR(" SIP/2.0"))) {
		fail_at(p, at,
			"a message begins with 'METHOD URI SIP/2.0' or 'SIP/2.0 STATUS REASON'");
		return;
	}
	m->method = sip_method_of(str_of(line.s, (uint32_t)space));
}

/*
 * The lines up to one that is a single '}'. The first line's indentation goes from all. Where no
 * blank line ends the header, one is put at the end.
 */
static void message_text(struct parser *p, struct scenario_message *m)
{
	uint32_t at = p->at, after, begin, first_at = 0;
	bool blank = false;
	struct str line;
	char *text;

	/* Behind the brace, the line ends. */
	line = line_at(p, at, &after);
	if (str_trim(line).len != 0) {
		fail_at(p, at, "the text of a message begins on the next line");
		return;
	}
	m->line = line_of(p, after, &begin);
	for (at = after;; at = after) {
		unsigned indent;

		if (at == p->in.len) {
			fail_at(p, p->token_at,
				"message '%s' is not closed by a '}' on a line of its own",
				m->name);
			return;
		}
		line = line_at(p, at, &after);
		if (line_closes(line))
			break;
		indent = indent_of(line);
		if (m->len == 0) {
			if (line.len == indent) { /* blank lines in front */
				m->line++;
				continue;
			}
			m->indent = indent;
			first_at = at + indent;
		} else if (indent > m->indent) {
			indent = m->indent;
		}
		blank = blank || line.len == indent;
		/* CR may double what a line without one takes. */
		text = realloc(m->text, m->len + line.len + 16);
		if (text == NULL) {
			fail_at(p, at, "not enough memory");
			return;
		}
		m->text = text;
		memcpy(m->text + m->len, line.s + indent, line.len - indent);
		m->len += line.len - indent;
		memcpy(m->text + m->len, "\r\n", 2);
		m->len += 2;
	}
	p->at = after;
	next(p);
	if (m->len == 0) {
		fail_at(p, at, "message '%s' is empty", m->name);
		return;
	}
	if (!blank) {
		memcpy(m->text + m->len, "\r\n", 2);
		m->len += 2;
	}
	start_line(p, m, first_at);
}

static int message_index(const struct scenario *s, struct str which)
{
	for (unsigned i = 0; i < s->messages; i++)
		if (str_eq(str_c(s->message[i].name), which))
			return (int)i;
	return -1;
}

static void message(struct parser *p)
{
	struct scenario *s = p->s;
	struct scenario_message *m = &s->message[s->messages];
	uint32_t at = p->token_at;

	if (s->messages == GEN_MESSAGES_MAX) {
		fail_at(p, at, "there are more than %d messages", GEN_MESSAGES_MAX);
		return;
	}
	if (!name(p, "a name for the message", m->name))
		return;
	if (message_index(s, str_c(m->name)) >= 0) {
		fail_at(p, at, "there is a message '%s' already", m->name);
		return;
	}
	if (!is(p, "{")) {
		expected(p, "'{'");
		return;
	}
	s->messages++;
	message_text(p, m);
}

/* ---- call ---- */

static struct step *add_step(struct parser *p, struct scenario_call *c, enum step_kind kind)
{
	struct step *step = &c->step[c->steps];

	if (c->steps == GEN_STEPS_MAX) {
		fail_at(p, p->token_at, "call '%s' has more than %d steps", c->name, GEN_STEPS_MAX);
		return NULL;
	}
	c->steps++;
	step->kind = kind;
	return step;
}

static void step_send(struct parser *p, struct scenario_call *c)
{
	struct step *step = add_step(p, c, STEP_SEND);
	int m;

	if (step == NULL)
		return;
	m = p->token.kind == TOKEN_WORD ? message_index(p->s, p->token.text) : -1;
	if (m < 0) {
		if (p->token.kind == TOKEN_WORD)
			fail_at(p, p->token_at, "there is no message '%.*s' above",
				STR_FMT(p->token.text));
		else
			expected(p, "the name of a message");
		return;
	}
	step->message = (uint16_t)m;
	next(p);
}

/* 200, 2xx, 180-183 */
static void range(struct parser *p, struct step *step)
{
	struct str t = p->token.text;
	uint32_t low, high;

	if (step->ranges == GEN_RANGES_MAX) {
		fail_at(p, p->token_at, "an expect has at most %d statuses or ranges",
			GEN_RANGES_MAX);
		return;
	}
	if (p->token.kind == TOKEN_WORD && t.len == 3 && t.s[0] >= '1' && t.s[0] <= '6' &&
		str_eq(str_of(t.s + 1, 2), STR("xx"))) {
		low = (uint32_t)(t.s[0] - '0') * 100;
		high = low + 99;
		next(p);
	} else {
		if (p->token.kind != TOKEN_WORD || t.len != 3 || str_to_u32(t, 699, &low) != 0 ||
			low < 100) {
			expected(p, "a status (200, 2xx, 180-183)");
			return;
		}
		high = low;
		next(p);
		if (take(p, "-")) {
			t = p->token.text;
			if (p->token.kind != TOKEN_WORD || t.len != 3 ||
				str_to_u32(t, 699, &high) != 0 || high < low) {
				expected(p, "a higher status");
				return;
			}
			next(p);
		}
	}
	step->range[step->ranges].low = (uint16_t)low;
	step->range[step->ranges++].high = (uint16_t)high;
	step->final = step->final || high >= 200;
}

static void step_expect(struct parser *p, struct scenario_call *c)
{
	struct step *step;
	uint32_t at = p->token_at;

	if (c->steps == 0 || (c->step[c->steps - 1].kind != STEP_SEND &&
				     c->step[c->steps - 1].kind != STEP_EXPECT)) {
		fail_at(p, at, "an answer is expected to what was sent: 'send' comes first");
		return;
	}
	if (c->step[c->steps - 1].kind == STEP_EXPECT && c->step[c->steps - 1].final &&
		!c->step[c->steps - 1].optional) {
		fail_at(p, at, "the 'expect' above takes the final answer: there is no other");
		return;
	}
	step = add_step(p, c, STEP_EXPECT);
	if (step == NULL)
		return;
	step->from_ns = GEN_WITHIN_NS;
	do
		range(p, step);
	while (!p->failed && take(p, "|"));
	for (;;) {
		if (take(p, "optional"))
			step->optional = true;
		else if (take(p, "within"))
			step->from_ns = duration(p);
		else
			break;
	}
}

static void step_wait(struct parser *p, struct scenario_call *c)
{
	struct step *step = add_step(p, c, STEP_WAIT);
	uint32_t at;

	if (step == NULL)
		return;
	step->from_ns = step->to_ns = duration(p);
	at = p->token_at;
	if (take(p, "to")) {
		step->to_ns = duration(p);
		if (step->to_ns < step->from_ns)
			fail_at(p, at, "the second duration is shorter than the first");
	}
}

static void steps(struct parser *p, struct scenario_call *c, bool inner);

static void step_repeat(struct parser *p, struct scenario_call *c)
{
	unsigned begin = c->steps;
	struct step *step = add_step(p, c, STEP_REPEAT);

	if (step == NULL)
		return;
	step->count = count(p, "a number of rounds", REPEAT_MAX);
	need(p, "{");
	steps(p, c, true);
	step = add_step(p, c, STEP_AGAIN);
	if (step == NULL)
		return;
	step->jump = (uint16_t)(begin + 1);
	c->step[begin].jump = (uint16_t)c->steps;
}

/* Through the closing brace. */
static void steps(struct parser *p, struct scenario_call *c, bool inner)
{
	while (!p->failed && !is(p, "}")) {
		uint32_t at = p->token_at;

		if (take(p, "repeat")) {
			if (inner)
				fail_at(p, at, "'repeat' stands in no other");
			else
				step_repeat(p, c);
			continue;
		}
		if (take(p, "send"))
			step_send(p, c);
		else if (is(p, "expect")) {
			/* The word's own place is where its error is. */
			next(p);
			step_expect(p, c);
		} else if (take(p, "wait"))
			step_wait(p, c);
		else
			expected(p, "'send', 'expect', 'wait', 'repeat' or '}'");
		need(p, ";");
	}
	next(p);
}

static struct scenario_call *call_named(struct scenario *s, struct str which)
{
	for (unsigned i = 0; i < s->calls; i++)
		if (str_eq(str_c(s->call[i].name), which))
			return &s->call[i];
	return NULL;
}

static void call(struct parser *p)
{
	struct scenario *s = p->s;
	struct scenario_call *c = &s->call[s->calls];
	uint32_t at = p->token_at;

	if (s->calls == GEN_CALLS_MAX) {
		fail_at(p, at, "there are more than %d calls", GEN_CALLS_MAX);
		return;
	}
	if (!name(p, "a name for the call", c->name))
		return;
	if (call_named(s, str_c(c->name)) != NULL) {
		fail_at(p, at, "there is a call '%s' already", c->name);
		return;
	}
	s->calls++;
	need(p, "{");
	steps(p, c, false);
	if (!p->failed &&
		(c->steps == 0 || (c->step[0].kind != STEP_SEND && c->step[0].kind != STEP_WAIT &&
					  c->step[0].kind != STEP_REPEAT)))
		fail_at(p, at, "call '%s' sends nothing", c->name);
}

static void mix(struct parser *p)
{
	uint32_t at = p->token_at;

	if (p->mixed) {
		fail_at(p, at, "there is a 'mix' already");
		return;
	}
	p->mixed = true;
	need(p, "{");
	while (!p->failed && !take(p, "}")) {
		struct scenario_call *c = call_named(p->s, p->token.text);

		if (p->token.kind != TOKEN_WORD || c == NULL) {
			expected(p, "the name of a call above");
			return;
		}
		next(p);
		c->weight = count(p, "a weight", 1000000);
		need(p, ";");
	}
}

static void set(struct parser *p)
{
	struct scenario *s = p->s;
	struct scenario_variable *v = &s->variable[s->variables];
	struct str text;
	uint32_t at = p->token_at;

	if (s->variables == GEN_VARIABLES_MAX) {
		fail_at(p, at, "there are more than %d variables", GEN_VARIABLES_MAX);
		return;
	}
	if (!name(p, "a name for the variable", v->name))
		return;
	if (scenario_variable(s, str_c(v->name)) != NULL) {
		fail_at(p, at, "'%s' is set already", v->name);
		return;
	}
	v->line = line_of(p, at, &(uint32_t){0});
	need(p, "=");
	if (p->token.kind != TOKEN_WORD && p->token.kind != TOKEN_TEXT) {
		expected(p, "a value");
		return;
	}
	text = p->token.text;
	if (text.len > VALUE_MAX) {
		fail_at(p, p->token_at, "a value has at most %d characters", VALUE_MAX);
		return;
	}
	for (unsigned i = 0; i < p->sets; i++)
		if (strcmp(p->set[i].name, v->name) == 0)
			text = str_c(p->set[i].value);
	v->value = strndup(text.len != 0 ? text.s : "", text.len);
	if (v->value == NULL) {
		fail_at(p, p->token_at, "not enough memory");
		return;
	}
	s->variables++;
	next(p);
	need(p, ";");
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
		fail_at(p, p->in.len, "there is no 'call'");
		return;
	}
	for (unsigned i = 0; i < s->calls; i++) {
		if (!p->mixed)
			s->call[i].weight = 1;
		s->weights += s->call[i].weight;
	}
	if (s->weights == 0)
		fail_at(p, p->in.len, "all weights of 'mix' are 0");
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
	next(&p);
	while (!p.failed && p.token.kind != TOKEN_END) {
		if (take(&p, "message"))
			message(&p);
		else if (take(&p, "call"))
			call(&p);
		else if (take(&p, "mix"))
			mix(&p);
		else if (take(&p, "set"))
			set(&p);
		else
			expected(&p, "'set', 'message', 'call' or 'mix'");
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
