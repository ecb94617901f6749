/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `message NAME {`: the lines of a message as they stand in the file.
 */
#include <stdlib.h>

#include "scenario_parser.h"

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
		parse_error(p, at,
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
		parse_error(p, at, "the text of a message begins on the next line");
		return;
	}
	m->line = parse_line_of(p, after, &begin);
	for (at = after;; at = after) {
		unsigned indent;

		if (at == p->in.len) {
			parse_error(p, p->token_at,
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
			parse_error(p, at, "not enough memory");
			return;
		}
		m->text = text;
		memcpy(m->text + m->len, line.s + indent, line.len - indent);
		m->len += line.len - indent;
		memcpy(m->text + m->len, "\r\n", 2);
		m->len += 2;
	}
	p->at = after;
	parse_next(p);
	if (m->len == 0) {
		parse_error(p, at, "message '%s' is empty", m->name);
		return;
	}
	if (!blank) {
		memcpy(m->text + m->len, "\r\n", 2);
		m->len += 2;
	}
	start_line(p, m, first_at);
}

int parse_message_index(const struct scenario *s, struct str which)
{
	for (unsigned i = 0; i < s->messages; i++)
		if (str_eq(str_c(s->message[i].name), which))
			return (int)i;
	return -1;
}

void parse_message(struct parser *p)
{
	struct scenario *s = p->s;
	struct scenario_message *m = &s->message[s->messages];
	uint32_t at = p->token_at;

	if (s->messages == GEN_MESSAGES_MAX) {
		parse_error(p, at, "there are more than %d messages", GEN_MESSAGES_MAX);
		return;
	}
	if (!parse_name(p, "a name for the message", m->name))
		return;
	if (parse_message_index(s, str_c(m->name)) >= 0) {
		parse_error(p, at, "there is a message '%s' already", m->name);
		return;
	}
	if (!parse_is(p, "{")) {
		parse_expected(p, "'{'");
		return;
	}
	s->messages++;
	message_text(p, m);
}
