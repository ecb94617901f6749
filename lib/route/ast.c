/* SPDX-License-Identifier: BSD-3-Clause */
/* The tree's memory, and its text. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "route/ast.h"

#define CHUNK_BYTES 65536

struct ast_chunk {
	struct ast_chunk *next;
	size_t size;
	_Alignas(16) char data[];
};

void *ast_alloc(struct ast_arena *arena, size_t size)
{
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (arena->chunk == NULL || arena->chunk->size - arena->used < size) {
		size_t want = size > CHUNK_BYTES ? size : CHUNK_BYTES;
		struct ast_chunk *chunk = calloc(1, sizeof(*chunk) + want);

		if (chunk == NULL)
			return NULL;
		chunk->size = want;
		chunk->next = arena->chunk;
		arena->chunk = chunk;
		arena->used = 0;
	}
	p = arena->chunk->data + arena->used;
	arena->used += size;
	return p;
}

char *ast_strdup(struct ast_arena *arena, struct str s)
{
	char *copy = ast_alloc(arena, (size_t)s.len + 1);

	if (copy != NULL && s.len > 0)
		memcpy(copy, s.s, s.len);
	return copy;
}

void ast_free(struct ast_arena *arena)
{
	while (arena->chunk != NULL) {
		struct ast_chunk *next = arena->chunk->next;

		free(arena->chunk);
		arena->chunk = next;
	}
}

void text_add(struct text *text, struct str s)
{
	if (text->cap - text->len < (size_t)s.len + 1) {
		size_t cap = (text->len + s.len + 1) * 2;
		char *grown = realloc(text->s, cap);

		if (grown == NULL)
			return;
		text->s = grown;
		text->cap = cap;
	}
	if (s.len > 0)
		memcpy(text->s + text->len, s.s, s.len);
	text->len += s.len;
	text->s[text->len] = '\0';
}

void text_addf(struct text *text, const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	text_add(text, str_of(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1));
}

void text_add_cell(struct text *text, const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		text_add(text, *s == '|' ? STR("\\|") : str_of(s, 1));
}

void text_free(struct text *text)
{
	free(text->s);
	*text = (struct text){0};
}

/* How an operator is written, and how tightly it binds: the grammar's order. */
static const struct {
	const char *text;
	int level;
} operators[] = {
	[AST_OP_OR] = {"||", 1},
	[AST_OP_AND] = {"&&", 2},
	[AST_OP_BIT_OR] = {"|", 3},
	[AST_OP_BIT_XOR] = {"^", 4},
	[AST_OP_BIT_AND] = {"&", 5},
	[AST_OP_EQ] = {"==", 6},
	[AST_OP_NE] = {"!=", 6},
	[AST_OP_MATCH] = {"=~", 6},
	[AST_OP_NOT_MATCH] = {"!~", 6},
	[AST_OP_LT] = {"<", 7},
	[AST_OP_LE] = {"<=", 7},
	[AST_OP_GT] = {">", 7},
	[AST_OP_GE] = {">=", 7},
	[AST_OP_SHL] = {"<<", 8},
	[AST_OP_SHR] = {">>", 8},
	[AST_OP_ADD] = {"+", 9},
	[AST_OP_SUB] = {"-", 9},
	[AST_OP_MUL] = {"*", 10},
	[AST_OP_DIV] = {"/", 10},
	[AST_OP_MOD] = {"%", 10},
	[AST_OP_NOT] = {"!", 11},
	[AST_OP_BIT_NOT] = {"~", 11},
	[AST_OP_NEG] = {"-", 11},
	[AST_OP_TO_INT] = {"(int)", 11},
	[AST_OP_TO_STR] = {"(str)", 11},
	[AST_OP_DEFINED] = {"defined ", 11},
	[AST_OP_STRLEN] = {"strlen ", 11},
	[AST_OP_STREMPTY] = {"strempty ", 11},
};

const char *ast_op_text(enum ast_op op)
{
	return op == AST_OP_NONE ? "" : operators[op].text;
}

const char *ast_block_text(enum ast_block_kind kind, bool named)
{
	switch (kind) {
	case AST_BLOCK_REQUEST:
		return "request_route";
	case AST_BLOCK_ROUTE:
		return "route";
	case AST_BLOCK_REPLY:
		return named ? "onreply_route" : "reply_route";
	case AST_BLOCK_FAILURE:
		return "failure_route";
	case AST_BLOCK_BRANCH:
		return "branch_route";
	case AST_BLOCK_EVENT:
		return "event_route";
	case AST_BLOCK_ERROR:
		return "error_route";
	case AST_BLOCK_ONSEND:
		return "onsend_route";
	}
	return "";
}

static void print_string(struct text *text, struct str s)
{
	text_add(text, STR("\""));
	for (uint32_t i = 0; i < s.len; i++) {
		char c = s.s[i];

		if (c == '\n')
			text_add(text, STR("\\n"));
		else if (c == '\r')
			text_add(text, STR("\\r"));
		else if (c == '\t')
			text_add(text, STR("\\t"));
		else if (c == '"')
			text_add(text, STR("\\\""));
		else if ((unsigned char)c < 0x20 || (unsigned char)c == 0x7f)
			text_addf(text, "\\x%02x", (unsigned char)c);
		else
			text_add(text, str_of(&c, 1));
	}
	text_add(text, STR("\""));
}

static int level(const struct ast_expr *expr)
{
	return expr->op != AST_OP_NONE ? operators[expr->op].level : 12;
}

static void print_below(struct text *text, const struct ast_expr *expr, int outer)
{
	bool parentheses = level(expr) < outer;

	if (parentheses)
		text_add(text, STR("("));
	ast_print(text, expr);
	if (parentheses)
		text_add(text, STR(")"));
}

void ast_print(struct text *text, const struct ast_expr *expr)
{
	switch (expr->kind) {
	case AST_INT:
		text_addf(text, "%lld", (long long)expr->i);
		break;
	case AST_STR:
		print_string(text, expr->text);
		break;
	case AST_CALL:
		text_add(text, expr->text);
		text_add(text, STR("("));
		for (const struct ast_expr *arg = expr->arg; arg != NULL; arg = arg->next) {
			ast_print(text, arg);
			if (arg->next != NULL)
				text_add(text, STR(", "));
		}
		text_add(text, STR(")"));
		break;
	case AST_ROUTE:
		text_add(text, STR("route("));
		text_add(text, expr->text);
		text_add(text, STR(")"));
		break;
	case AST_UNARY:
		text_add(text, str_c(operators[expr->op].text));
		print_below(text, expr->a, operators[expr->op].level);
		break;
	case AST_BINARY:
		print_below(text, expr->a, operators[expr->op].level);
		text_addf(text, " %s ", operators[expr->op].text);
		print_below(text, expr->b, operators[expr->op].level + 1);
		break;
	default:
		text_add(text, expr->text);
		break;
	}
}
