/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the files that read a scenario share. scenario.c has the file and its blocks `set` and
 * `mix`; scenario_token.c makes words of the text and errors of what is wrong; scenario_message.c
 * and scenario_call.c read those blocks.
 *
 * Only the first error counts; behind it every token is the end of the file.
 */
#include "internal.h"

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

/* ---- tokens ---- */

/* Line of the file at an offset, and where it begins. */
unsigned parse_line_of(const struct parser *p, uint32_t at, uint32_t *begin);
/* PATH:LINE:COLUMN, the sentence, the line and a caret. */
void parse_error(struct parser *p, uint32_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The sentence is "WHAT is expected, not ...". */
void parse_expected(struct parser *p, const char *what);
void parse_next(struct parser *p);
/* Whether the current token is this word or character; parse_take() then moves on. */
bool parse_is(const struct parser *p, const char *text);
bool parse_take(struct parser *p, const char *text);
/* It has to be. */
void parse_need(struct parser *p, const char *text);
/* A word that begins with a letter, for a name; moves on. */
bool parse_name(struct parser *p, const char *what, char out[GEN_NAME_MAX + 1]);
/* A duration, or a number up to `max`, that stands here or is a variable's value; moves on. */
uint64_t parse_duration(struct parser *p);
uint32_t parse_count(struct parser *p, const char *what, uint32_t max);

/* ---- blocks, behind their keyword ---- */

void parse_message(struct parser *p);
/* -1 where there is none of this name. */
int parse_message_index(const struct scenario *s, struct str which);
void parse_call(struct parser *p);
struct scenario_call *parse_call_named(struct scenario *s, struct str which);
