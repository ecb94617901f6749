/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `call NAME {`: the steps of an attempt.
 */
#include "scenario_parser.h"

#define REPEAT_MAX 1000000000U

static struct step *add_step(struct parser *p, struct scenario_call *c, enum step_kind kind)
{
	struct step *step = &c->step[c->steps];

	if (c->steps == GEN_STEPS_MAX) {
		parse_error(
			p, p->token_at, "call '%s' has more than %d steps", c->name, GEN_STEPS_MAX);
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
	m = p->token.kind == TOKEN_WORD ? parse_message_index(p->s, p->token.text) : -1;
	if (m < 0) {
		if (p->token.kind == TOKEN_WORD)
			parse_error(p, p->token_at, "there is no message '%.*s' above",
				STR_FMT(p->token.text));
		else
			parse_expected(p, "the name of a message");
		return;
	}
	step->message = (uint16_t)m;
	parse_next(p);
}

/* 200, 2xx, 180-183 */
static void range(struct parser *p, struct step *step)
{
	struct str t = p->token.text;
	uint32_t low, high;

	if (step->ranges == GEN_RANGES_MAX) {
		parse_error(p, p->token_at, "an expect has at most %d statuses or ranges",
			GEN_RANGES_MAX);
		return;
	}
	if (p->token.kind == TOKEN_WORD && t.len == 3 && t.s[0] >= '1' && t.s[0] <= '6' &&
		str_eq(str_of(t.s + 1, 2), STR("xx"))) {
		low = (uint32_t)(t.s[0] - '0') * 100;
		high = low + 99;
		parse_next(p);
	} else {
		if (p->token.kind != TOKEN_WORD || t.len != 3 || str_to_u32(t, 699, &low) != 0 ||
			low < 100) {
			parse_expected(p, "a status (200, 2xx, 180-183) or a method");
			return;
		}
		high = low;
		parse_next(p);
		if (parse_take(p, "-")) {
			t = p->token.text;
			if (p->token.kind != TOKEN_WORD || t.len != 3 ||
				str_to_u32(t, 699, &high) != 0 || high < low) {
				parse_expected(p, "a higher status");
				return;
			}
			parse_next(p);
		}
	}
	step->range[step->ranges].low = (uint16_t)low;
	step->range[step->ranges++].high = (uint16_t)high;
	step->final = step->final || high >= 200;
}

/* A request of the other side's. */
static void step_await(struct parser *p, struct scenario_call *c)
{
	struct step *step = add_step(p, c, STEP_AWAIT);

	if (step == NULL)
		return;
	step->method = (uint8_t)sip_method_of(p->token.text);
	step->from_ns = GEN_WITHIN_NS;
	parse_next(p);
	if (parse_take(p, "within"))
		step->from_ns = parse_duration(p);
}

static bool is_method(const struct parser *p)
{
	enum sip_method method = sip_method_of(p->token.text);

	return p->token.kind == TOKEN_WORD && method != SIP_METHOD_OTHER &&
	       method != SIP_METHOD_NONE && method != SIP_METHOD_ACK && method != SIP_METHOD_CANCEL;
}

static void step_expect(struct parser *p, struct scenario_call *c)
{
	struct step *step;
	uint32_t at = p->token_at;

	if (is_method(p)) {
		step_await(p, c);
		return;
	}
	if (c->steps == 0 || (c->step[c->steps - 1].kind != STEP_SEND &&
				     c->step[c->steps - 1].kind != STEP_EXPECT)) {
		parse_error(p, at, "an answer is expected to what was sent: 'send' comes first");
		return;
	}
	if (c->step[c->steps - 1].kind == STEP_EXPECT && c->step[c->steps - 1].final &&
		!c->step[c->steps - 1].optional) {
		parse_error(p, at, "the 'expect' above takes the final answer: there is no other");
		return;
	}
	step = add_step(p, c, STEP_EXPECT);
	if (step == NULL)
		return;
	step->from_ns = GEN_WITHIN_NS;
	do
		range(p, step);
	while (!p->failed && parse_take(p, "|"));
	for (;;) {
		if (parse_take(p, "optional"))
			step->optional = true;
		else if (parse_take(p, "within"))
			step->from_ns = parse_duration(p);
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
	step->from_ns = step->to_ns = parse_duration(p);
	at = p->token_at;
	if (parse_take(p, "to")) {
		step->to_ns = parse_duration(p);
		if (step->to_ns < step->from_ns)
			parse_error(p, at, "the second duration is shorter than the first");
	}
}

static void steps(struct parser *p, struct scenario_call *c, bool inner);

static void step_repeat(struct parser *p, struct scenario_call *c)
{
	unsigned begin = c->steps;
	struct step *step = add_step(p, c, STEP_REPEAT);

	if (step == NULL)
		return;
	step->count = parse_count(p, "a number of rounds", REPEAT_MAX);
	parse_need(p, "{");
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
	while (!p->failed && !parse_is(p, "}")) {
		uint32_t at = p->token_at;

		if (parse_take(p, "repeat")) {
			if (inner)
				parse_error(p, at, "'repeat' stands in no other");
			else
				step_repeat(p, c);
			continue;
		}
		if (parse_take(p, "send"))
			step_send(p, c);
		else if (parse_is(p, "expect")) {
			/* The word's own place is where its error is. */
			parse_next(p);
			step_expect(p, c);
		} else if (parse_take(p, "wait"))
			step_wait(p, c);
		else
			parse_expected(p, "'send', 'expect', 'wait', 'repeat' or '}'");
		parse_need(p, ";");
	}
	parse_next(p);
}

struct scenario_call *parse_call_named(struct scenario *s, struct str which)
{
	for (unsigned i = 0; i < s->calls; i++)
		if (str_eq(str_c(s->call[i].name), which))
			return &s->call[i];
	return NULL;
}

void parse_call(struct parser *p)
{
	struct scenario *s = p->s;
	struct scenario_call *c = &s->call[s->calls];
	uint32_t at = p->token_at;

	if (s->calls == GEN_CALLS_MAX) {
		parse_error(p, at, "there are more than %d calls", GEN_CALLS_MAX);
		return;
	}
	if (!parse_name(p, "a name for the call", c->name))
		return;
	if (parse_call_named(s, str_c(c->name)) != NULL) {
		parse_error(p, at, "there is a call '%s' already", c->name);
		return;
	}
	s->calls++;
	parse_need(p, "{");
	steps(p, c, false);
	if (!p->failed &&
		(c->steps == 0 || (c->step[0].kind != STEP_SEND && c->step[0].kind != STEP_WAIT &&
					  c->step[0].kind != STEP_REPEAT)))
		parse_error(p, at, "call '%s' sends nothing", c->name);
}
