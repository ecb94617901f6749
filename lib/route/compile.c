/* SPDX-License-Identifier: BSD-3-Clause */
/* From the checked tree to code. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "route/compile.h"
#include "route/explain.h"
#include "route/function.h"

#define CODES_MAX (1u << 20)
#define BREAKS_MAX 64  /* nesting of while and switch */
#define TEXT_FIRST 256 /* bytes of constants that there is room for at first */

void compile_no_memory(struct compiler *c)
{
	load_no_memory(c->load);
	c->failed = true;
}

uint32_t compile_emit(struct compiler *c, enum code_op op, unsigned a, unsigned b, uint32_t operand)
{
	struct route_script *script = c->script;

	if (script->codes >= CODES_MAX || !code_grow(&script->code, script->codes,
						  &script->codes_cap, sizeof(script->code[0]))) {
		compile_no_memory(c);
		return 0;
	}
	script->code[script->codes] = (struct code){(uint8_t)op, (uint8_t)a, (uint16_t)b, operand};
	return script->codes++;
}

void compile_push(struct compiler *c, unsigned n)
{
	c->depth += n;
	if (c->depth > c->depth_max)
		c->depth_max = c->depth;
}

void compile_jump(struct compiler *c, enum code_op op, struct label *label)
{
	label->last = compile_emit(c, op, 0, 0, label->last);
}

/* All jumps to this label come here. */
void compile_land(struct compiler *c, struct label *label)
{
	uint32_t at = label->last;

	while (at != COMPILE_NONE && !c->failed) {
		uint32_t before = c->script->code[at].c;

		c->script->code[at].c = c->script->codes;
		at = before;
	}
	label->last = COMPILE_NONE;
}

/* The offset of a constant's bytes. */
static uint32_t intern(struct compiler *c, struct str s)
{
	struct route_script *script = c->script;
	uint32_t at = script->text_len;

	if (s.len == 0)
		return 0;
	for (uint32_t i = 0; i < script->cells; i++) {
		const struct route_cell *cell = &script->cell[i];

		if (cell->type == ROUTE_STR && cell->text.len == s.len &&
			memcmp(script->text + cell->text.off, s.s, s.len) == 0)
			return cell->text.off;
	}
	if (script->text_cap - at < s.len) {
		uint32_t cap = (at + s.len) * 2;
		char *grown = realloc(script->text, cap);

		if (grown == NULL) {
			compile_no_memory(c);
			return 0;
		}
		script->text = grown;
		script->text_cap = cap;
	}
	memcpy(script->text + at, s.s, s.len);
	script->text_len += s.len;
	return at;
}

uint32_t compile_constant(struct compiler *c, enum route_type type, struct str s, int64_t i)
{
	struct route_script *script = c->script;
	struct route_cell cell = {.type = (uint8_t)type, .i = i};

	if (type == ROUTE_STR)
		cell.text = (struct route_text){intern(c, s), s.len, ROUTE_SPACE_CONST};
	if (c->failed || !code_grow(&script->cell, script->cells, &script->cells_cap,
				 sizeof(script->cell[0]))) {
		compile_no_memory(c);
		return 0;
	}
	script->cell[script->cells] = cell;
	return script->cells++;
}

uint32_t compile_use(struct compiler *c, const struct ast_expr *expr)
{
	struct route_script *script = c->script;

	if (!code_grow(&script->use, script->uses, &script->uses_cap, sizeof(script->use[0]))) {
		compile_no_memory(c);
		return 0;
	}
	script->use[script->uses] = (struct code_variable){expr->variable, expr->which};
	return script->uses++;
}

/* What the next instruction is called where a run stops at it. */
void compile_name_here(struct compiler *c, struct str name)
{
	struct route_script *script = c->script;

	if (!code_grow(&script->name, script->names, &script->names_cap, sizeof(script->name[0]))) {
		compile_no_memory(c);
		return;
	}
	script->name[script->names] = (struct code_name){script->codes, code_keep(script, name)};
	if (script->name[script->names++].name == NULL)
		compile_no_memory(c);
}

/* ---- statements ---- */

static void list(struct compiler *c, const struct ast_stmt *stmt);

static void assign(struct compiler *c, const struct ast_stmt *stmt)
{
	const struct ast_expr *target = stmt->target;

	if (target->kind == AST_STATE) {
		compile_name_here(c, target->text);
		compile_emit(c, CODE_STATE, 0, 0, 0);
		return;
	}
	if (stmt->op != AST_OP_NONE)
		compile_value(c, target);
	compile_value(c, stmt->expr);
	if (stmt->op != AST_OP_NONE) {
		if (stmt->op == AST_OP_ADD)
			compile_emit(c, CODE_ADD, 0, 0, 0);
		else
			compile_emit(c, CODE_ARITH, 0, stmt->op, 0);
		c->depth--;
	}
	if (target->kind == AST_SLOT)
		compile_emit(c, CODE_SET_SLOT, 0, (unsigned)target->row, 0);
	else
		compile_emit(c, CODE_SET, 0, 0, compile_use(c, target));
	c->depth--;
}

static bool breakable(struct compiler *c, const struct ast_stmt *stmt)
{
	if (c->nesting++ < BREAKS_MAX)
		return true;
	load_error(c->load, stmt->at, "while and switch are nested too deeply");
	c->failed = true;
	return false;
}

static void loop(struct compiler *c, const struct ast_stmt *stmt)
{
	struct label end = {COMPILE_NONE}, *outer = c->breaks;
	uint32_t start = c->script->codes;

	if (!breakable(c, stmt))
		return;
	c->breaks = &end;
	compile_jump_if(c, stmt->expr, false, &end);
	list(c, stmt->then);
	compile_emit(c, CODE_JUMP, 0, 0, start);
	compile_land(c, &end);
	c->breaks = outer;
	c->nesting--;
}

/*
 * First the comparisons, each with a stub that drops the value and enters its body, then the bodies
 * one behind the other, so that one without `break` goes on in the next.
 */
static void select_case(struct compiler *c, const struct ast_stmt *stmt)
{
	struct label end = {COMPILE_NONE}, *outer = c->breaks;
	unsigned n = 0, otherwise = COMPILE_NONE;
	struct label *body;

	if (!breakable(c, stmt))
		return;
	for (const struct ast_case *one = stmt->cases; one != NULL; one = one->next, n++) {
		if (one->value == NULL)
			otherwise = n;
	}
	body = calloc(n + 1, sizeof(*body));
	if (body == NULL) {
		compile_no_memory(c);
		return;
	}
	compile_value(c, stmt->expr);
	n = 0;
	for (const struct ast_case *one = stmt->cases; one != NULL; one = one->next, n++) {
		struct label next = {COMPILE_NONE};

		body[n].last = COMPILE_NONE;
		if (one->value == NULL)
			continue;
		compile_emit(c, CODE_COPY, 0, 0, 0);
		compile_push(c, 1);
		compile_value(c, one->value);
		compile_emit(c, CODE_COMPARE, 0, AST_OP_EQ, 0);
		c->depth--;
		compile_jump(c, CODE_JUMP_FALSE, &next);
		c->depth--;
		compile_emit(c, CODE_POP, 0, 0, 0);
		compile_jump(c, CODE_JUMP, &body[n]);
		compile_land(c, &next);
	}
	compile_emit(c, CODE_POP, 0, 0, 0);
	c->depth--;
	compile_jump(c, CODE_JUMP, otherwise != COMPILE_NONE ? &body[otherwise] : &end);
	c->breaks = &end;
	n = 0;
	for (const struct ast_case *one = stmt->cases; one != NULL; one = one->next, n++) {
		compile_land(c, &body[n]);
		list(c, one->body);
	}
	compile_land(c, &end);
	free(body);
	c->breaks = outer;
	c->nesting--;
}

static void branch(struct compiler *c, const struct ast_stmt *stmt)
{
	struct label otherwise = {COMPILE_NONE}, end = {COMPILE_NONE};

	compile_jump_if(c, stmt->expr, false, &otherwise);
	list(c, stmt->then);
	if (stmt->otherwise == NULL) {
		compile_land(c, &otherwise);
		return;
	}
	compile_jump(c, CODE_JUMP, &end);
	compile_land(c, &otherwise);
	list(c, stmt->otherwise);
	compile_land(c, &end);
}

static void statement(struct compiler *c, const struct ast_stmt *stmt)
{
	switch ((enum ast_statement)stmt->kind) {
	case AST_IF:
		branch(c, stmt);
		break;
	case AST_WHILE:
		loop(c, stmt);
		break;
	case AST_SWITCH:
		select_case(c, stmt);
		break;
	case AST_BREAK:
		compile_jump(c, CODE_JUMP, c->breaks);
		break;
	case AST_RETURN:
		if (stmt->expr != NULL) {
			compile_value(c, stmt->expr);
			compile_emit(c, CODE_RETURN, 0, 0, 0);
			c->depth--;
		} else {
			compile_emit(c, CODE_RETURN_ONE, 0, 0, 0);
		}
		break;
	case AST_EXIT:
		compile_emit(c, CODE_EXIT, 0, 0, 0);
		break;
	case AST_DROP:
		compile_emit(c, CODE_DROP, 0, 0, 0);
		break;
	case AST_ASSIGN:
		assign(c, stmt);
		break;
	case AST_EXPR:
		if (stmt->expr->kind == AST_CALL) {
			compile_call(c, stmt->expr);
		} else if (stmt->expr->kind == AST_ROUTE) {
			compile_call_route(c, stmt->expr);
		} else {
			c->failed = true;
		}
		break;
	case AST_BLOCK:
		list(c, stmt->then);
		break;
	}
}

static void list(struct compiler *c, const struct ast_stmt *stmt)
{
	for (; stmt != NULL && !c->failed; stmt = stmt->next)
		statement(c, stmt);
}

/* ---- blocks ---- */

static int block(struct compiler *c, const struct ast_block *b, uint32_t n)
{
	struct code_block *out = &c->script->block[n];
	struct text name = {0};

	c->depth = c->depth_max = 0;
	out->pc = c->script->codes;
	out->kind = b->kind;
	list(c, b->body);
	compile_emit(c, CODE_RETURN_ONE, 0, 0, 0);
	out->stack = (uint16_t)c->depth_max;
	text_addf(&name, b->name.len > 0 ? "%s[%.*s]" : "%s",
		ast_block_text((enum ast_block_kind)b->kind, b->name.len > 0), STR_FMT(b->name));
	out->name = name.s != NULL ? code_keep(c->script, str_of(name.s, name.len)) : NULL;
	text_free(&name);
	if (out->name == NULL)
		compile_no_memory(c);
	if (b->kind == AST_BLOCK_REQUEST)
		c->script->request = n;
	else if (b->kind == AST_BLOCK_REPLY && b->name.len == 0)
		c->script->reply = n;
	else if (b->kind == AST_BLOCK_ERROR)
		c->script->error = n;
	if (c->depth_max > ROUTE_STACK_MAX) {
		load_error(c->load, b->at,
			"an expression in this block needs more than %d values at a time",
			ROUTE_STACK_MAX);
		return -EINVAL;
	}
	return c->failed ? -ENOMEM : 0;
}

/* The bytes of a constant among those of all: first they find their place, since that may move
 * the others; then the span is made. */
static void settle(struct compiler *c, int pass, struct str *s)
{
	if (pass == 0)
		compile_constant(c, ROUTE_STR, *s, 0);
	else if (s->len > 0)
		s->s = c->script->text + intern(c, *s);
}

/* Constant arguments and the names of variables point into the constants' text, so that who keeps
 * one copies nothing. */
static void settle_constants(struct compiler *c)
{
	struct route_script *script = c->script;

	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < script->uses && !c->failed; i++)
			settle(c, pass, &script->use[i].index.name);
		for (uint32_t i = 0; i < script->sites && !c->failed; i++) {
			for (unsigned n = 0; n < script->site[i].args.n; n++) {
				struct route_value *v = &script->site[i].constant[n];

				if (v->type == ROUTE_STR)
					settle(c, pass, &v->s);
			}
		}
	}
}

static bool is_method_call(const struct code_site *site)
{
	return site->run == run_is_method && site->args.data != NULL;
}

/*
 * Nearly all calls have constant arguments, and most are asked for their truth: such a call and its
 * jump become one step. The jump stays where it is, for those that come to it from elsewhere.
 */
static void join_calls(struct route_script *script)
{
	for (uint32_t i = 0; i < script->codes; i++) {
		struct code *code = &script->code[i];

		if (code->op != CODE_CALL || code->a == 0 || script->site[code->c].slow)
			continue;
		code->op = CODE_READY;
		/* A block's last instruction is no call. */
		if (code[1].op != CODE_JUMP_RC_FALSE && code[1].op != CODE_JUMP_RC_TRUE)
			continue;
		code->op = is_method_call(&script->site[code->c]) ? CODE_TEST_METHOD : CODE_TEST;
		code->b = code[1].op == CODE_JUMP_RC_TRUE;
	}
}

/* The blocks that something names while the script runs; their end. */
static int name_blocks(struct compiler *c)
{
	static const uint16_t in_of[] = {[AST_BLOCK_REPLY] = ROUTE_IN_REPLY,
		[AST_BLOCK_FAILURE] = ROUTE_IN_FAILURE,
		[AST_BLOCK_BRANCH] = ROUTE_IN_BRANCH,
		[AST_BLOCK_EVENT] = ROUTE_IN_EVENT,
		[AST_BLOCK_ONSEND] = 0};
	struct route_script *script = c->script;
	uint32_t n = 0;

	script->end_pc = compile_emit(c, CODE_EXIT, 0, 0, 0);
	script->named = calloc(c->load->block_count + 1, sizeof(script->named[0]));
	if (script->named == NULL)
		return -ENOMEM;
	for (const struct ast_block *b = c->load->blocks; b != NULL; b = b->next, n++) {
		struct code_named *named = &script->named[script->nameds];
		const char *name;

		if (in_of[b->kind] == 0 || b->name.len == 0)
			continue;
		name = code_keep(script, b->name);
		if (name == NULL)
			return -ENOMEM;
		*named = (struct code_named){in_of[b->kind], n, str_of(name, b->name.len)};
		script->nameds++;
	}
	qsort(script->named, script->nameds, sizeof(script->named[0]), code_compare_named);
	return 0;
}

int compile_all(struct route_load *load)
{
	struct compiler c = {.load = load, .script = load->script};
	uint32_t n = 0;
	int err = 0;

	load->script->block = calloc(load->block_count + 1, sizeof(load->script->block[0]));
	load->script->text = malloc(TEXT_FIRST);
	load->script->text_cap = TEXT_FIRST;
	if (load->script->block == NULL || load->script->text == NULL) {
		load_no_memory(load);
		return -ENOMEM;
	}
	for (struct ast_block *b = load->blocks; b != NULL && err == 0; b = b->next)
		err = block(&c, b, n++);
	load->script->blocks = n;
	if (err == 0)
		err = name_blocks(&c);
	if (err == -ENOMEM)
		compile_no_memory(&c);
	settle_constants(&c);
	if (err == 0 && !c.failed) {
		join_calls(load->script);
		err = explain_make(load);
	}
	return c.failed ? -ENOMEM : err;
}
