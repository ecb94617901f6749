/* SPDX-License-Identifier: BSD-3-Clause */
/* From the checked tree to code. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "route/explain.h"

#define CODES_MAX (1u << 20)
#define BREAKS_MAX 64 /* nesting of while and switch */
#define NONE UINT32_MAX

/* Jumps to one place that is not known yet: each holds the one before it in its operand. */
struct label {
	uint32_t last;
};

struct compiler {
	struct route_load *load;
	struct route_script *script;
	unsigned depth, depth_max; /* cells on the stack */
	struct label *breaks;
	unsigned nesting;
	bool failed;
};

static void value(struct compiler *c, const struct ast_expr *expr);
static void jump_if(
	struct compiler *c, const struct ast_expr *expr, bool when, struct label *label);
static void list(struct compiler *c, const struct ast_stmt *stmt);

static void no_memory(struct compiler *c)
{
	load_no_memory(c->load);
	c->failed = true;
}

static uint32_t emit(struct compiler *c, enum code_op op, unsigned a, unsigned b, uint32_t operand)
{
	struct route_script *script = c->script;

	if (script->codes >= CODES_MAX || !code_grow(&script->code, script->codes,
						  &script->codes_cap, sizeof(script->code[0]))) {
		no_memory(c);
		return 0;
	}
	script->code[script->codes] = (struct code){(uint8_t)op, (uint8_t)a, (uint16_t)b, operand};
	return script->codes++;
}

static void push(struct compiler *c, unsigned n)
{
	c->depth += n;
	if (c->depth > c->depth_max)
		c->depth_max = c->depth;
}

static void jump(struct compiler *c, enum code_op op, struct label *label)
{
	label->last = emit(c, op, 0, 0, label->last);
}

/* All jumps to this label come here. */
static void land(struct compiler *c, struct label *label)
{
	uint32_t at = label->last;

	while (at != NONE && !c->failed) {
		uint32_t before = c->script->code[at].c;

		c->script->code[at].c = c->script->codes;
		at = before;
	}
	label->last = NONE;
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
			no_memory(c);
			return 0;
		}
		script->text = grown;
		script->text_cap = cap;
	}
	memcpy(script->text + at, s.s, s.len);
	script->text_len += s.len;
	return at;
}

static uint32_t constant(struct compiler *c, enum route_type type, struct str s, int64_t i)
{
	struct route_script *script = c->script;
	struct route_cell cell = {.type = (uint8_t)type, .i = i};

	if (type == ROUTE_STR)
		cell.text = (struct route_text){intern(c, s), s.len, ROUTE_SPACE_CONST};
	if (c->failed || !code_grow(&script->cell, script->cells, &script->cells_cap,
				 sizeof(script->cell[0]))) {
		no_memory(c);
		return 0;
	}
	script->cell[script->cells] = cell;
	return script->cells++;
}

/* What the next instruction is called where a run stops at it. */
static void name_here(struct compiler *c, struct str name)
{
	struct route_script *script = c->script;

	if (!code_grow(&script->name, script->names, &script->names_cap, sizeof(script->name[0]))) {
		no_memory(c);
		return;
	}
	script->name[script->names] = (struct code_name){script->codes, code_keep(script, name)};
	if (script->name[script->names++].name == NULL)
		no_memory(c);
}

static void push_int(struct compiler *c, int64_t i)
{
	if (i >= INT32_MIN && i <= INT32_MAX)
		emit(c, CODE_PUSH_INT, 0, 0, (uint32_t)(int32_t)i);
	else
		emit(c, CODE_PUSH, 0, 0, constant(c, ROUTE_INT, STR_NONE, i));
	push(c, 1);
}

/* ---- calls ---- */

static bool is_constant(const struct route_function *fn, const struct ast_expr *arg, unsigned n)
{
	return arg->kind == AST_INT || arg->kind == AST_STR ||
	       (arg->quoted && (fn->raw >> n & 1) != 0);
}

static void call(struct compiler *c, const struct ast_expr *expr)
{
	struct code_site *site = &c->script->site[expr->index];
	unsigned depth = c->depth, n = 0;
	bool constants = true;
	uint32_t guard = NONE;

	if (expr->guard)
		guard = emit(c, CODE_GUARD, 0, site->fn->in, 0);
	for (const struct ast_expr *arg = expr->arg; arg != NULL; arg = arg->next, n++)
		constants &= is_constant(site->fn, arg, n);
	if (site->run == NULL) {
		/* Nothing runs it: its arguments are not evaluated either. */
		constants = true;
	} else if (!constants) {
		n = 0;
		for (const struct ast_expr *arg = expr->arg; arg != NULL && !c->failed;
			arg = arg->next, n++) {
			if (arg->quoted && arg->kind == AST_STR && (site->fn->raw >> n & 1) != 0) {
				emit(c, CODE_PUSH, 0, 0, constant(c, ROUTE_NULL, STR_NONE, 0));
				push(c, 1);
			} else {
				value(c, arg);
			}
		}
	}
	site = &c->script->site[expr->index];
	site->args.v = constants ? site->constant : NULL;
	name_here(c, expr->state.len > 0 ? expr->state : expr->text);
	emit(c, CODE_CALL, constants ? 1 : 0, 0, expr->index);
	c->depth = depth;
	if (guard != NONE && !c->failed)
		c->script->code[guard].c = c->script->codes;
}

static void call_route(struct compiler *c, const struct ast_expr *expr)
{
	uint32_t n = 0;

	for (const struct ast_block *block = c->load->blocks; block != NULL;
		block = block->next, n++) {
		if (block->kind == AST_BLOCK_ROUTE && str_eq(block->name, expr->text))
			break;
	}
	emit(c, CODE_ROUTE, 0, 0, n);
}

/* ---- expressions ---- */

static const uint16_t origin_of[] = {[AST_WHOLE] = CODE_ORIGIN_LENGTH,
	[AST_PROTO] = CODE_ORIGIN_PROTO,
	[AST_FAMILY] = CODE_ORIGIN_FAMILY};

/* a + b + c of which a is known to be text: one concatenation. */
static bool is_text(const struct ast_expr *expr)
{
	return expr->kind == AST_STR ||
	       (expr->kind == AST_BINARY && expr->op == AST_OP_ADD && is_text(expr->a)) ||
	       (expr->kind == AST_UNARY && expr->op == AST_OP_TO_STR);
}

static unsigned concat(struct compiler *c, const struct ast_expr *expr)
{
	unsigned n;

	if (expr->kind != AST_BINARY || expr->op != AST_OP_ADD || !is_text(expr->a)) {
		value(c, expr);
		return 1;
	}
	n = concat(c, expr->a);
	value(c, expr->b);
	return n + 1;
}

static void binary(struct compiler *c, const struct ast_expr *expr)
{
	if (expr->op == AST_OP_ADD && is_text(expr->a)) {
		unsigned n = concat(c, expr);

		emit(c, CODE_CONCAT, 0, n, 0);
		c->depth -= n - 1;
		return;
	}
	value(c, expr->a);
	value(c, expr->b);
	if (expr->op == AST_OP_ADD)
		emit(c, CODE_ADD, 0, 0, 0);
	else if (expr->op >= AST_OP_EQ && expr->op <= AST_OP_GE)
		emit(c, CODE_COMPARE, 0, expr->op, 0);
	else
		emit(c, CODE_ARITH, 0, expr->op, 0);
	c->depth--;
}

/* && and || as a value. */
static void truth(struct compiler *c, const struct ast_expr *expr)
{
	struct label no = {NONE}, end = {NONE};

	jump_if(c, expr, false, &no);
	push_int(c, 1);
	jump(c, CODE_JUMP, &end);
	c->depth--;
	land(c, &no);
	push_int(c, 0);
	land(c, &end);
}

static void test(struct compiler *c, enum code_op op, const struct ast_expr *expr)
{
	emit(c, op, 0, (unsigned)expr->row, expr->index);
	push(c, 1);
}

static uint32_t index_of(struct compiler *c, const struct ast_expr *expr)
{
	return constant(c, expr->i >= 0 ? ROUTE_STR : ROUTE_NULL, expr->text, 0);
}

static void value(struct compiler *c, const struct ast_expr *expr)
{
	if (c->failed)
		return;
	switch ((enum ast_kind)expr->kind) {
	case AST_INT:
		push_int(c, expr->i);
		break;
	case AST_STR:
		emit(c, CODE_PUSH, 0, 0, constant(c, ROUTE_STR, expr->text, 0));
		push(c, 1);
		break;
	case AST_NULL:
		emit(c, CODE_PUSH, 0, 0, constant(c, ROUTE_NULL, STR_NONE, 0));
		push(c, 1);
		break;
	case AST_RC:
		emit(c, CODE_ORIGIN, 0, CODE_ORIGIN_RC, 0);
		push(c, 1);
		break;
	case AST_PSEUDO:
		emit(c, CODE_GET, 0, (unsigned)expr->row, index_of(c, expr));
		push(c, 1);
		break;
	case AST_SLOT:
		emit(c, CODE_GET_SLOT, 0, (unsigned)expr->row, 0);
		push(c, 1);
		break;
	case AST_FORMAT:
		emit(c, CODE_FORMAT, 0, 0, expr->index);
		push(c, 1);
		break;
	case AST_STATE:
		name_here(c, expr->text);
		emit(c, CODE_STATE, 0, 0, 0);
		push(c, 1);
		break;
	case AST_WHOLE:
	case AST_PROTO:
	case AST_FAMILY:
		emit(c, CODE_ORIGIN, 0, origin_of[expr->kind], 0);
		push(c, 1);
		break;
	case AST_PORT:
		emit(c, CODE_ORIGIN, 0,
			expr->row == 0 ? CODE_ORIGIN_SRC_PORT : CODE_ORIGIN_DST_PORT, 0);
		push(c, 1);
		break;
	case AST_MYSELF:
		test(c, CODE_MYSELF, expr);
		break;
	case AST_PREFIX:
		test(c, CODE_PREFIX, expr);
		break;
	case AST_METHOD_IS:
		test(c, CODE_METHOD_IS, expr);
		break;
	case AST_REGEX:
		value(c, expr->a);
		emit(c, CODE_MATCH, (unsigned)expr->row, 0, expr->index);
		break;
	case AST_TRANSFORM:
		value(c, expr->a);
		emit(c, CODE_TRANSFORM, 0, 0, expr->index);
		break;
	case AST_CALL:
		call(c, expr);
		emit(c, CODE_PUSH_RC, 0, 0, 0);
		push(c, 1);
		break;
	case AST_ROUTE:
		call_route(c, expr);
		emit(c, CODE_PUSH_RC, 0, 0, 0);
		push(c, 1);
		break;
	case AST_UNARY:
		if (expr->op == AST_OP_NOT) {
			truth(c, expr);
			break;
		}
		value(c, expr->a);
		emit(c, CODE_UNARY, 0, expr->op, 0);
		break;
	case AST_BINARY:
		if (expr->op == AST_OP_AND || expr->op == AST_OP_OR)
			truth(c, expr);
		else
			binary(c, expr);
		break;
	case AST_NAME:
	case AST_VAR:
	case AST_ADDRESS:
	case AST_SOCKET:
		/* The checker leaves none of these. */
		c->failed = true;
		break;
	}
}

/* Jumps to the label where the condition is `when`, else goes on behind. */
static void jump_if(struct compiler *c, const struct ast_expr *expr, bool when, struct label *label)
{
	bool is_and = expr->kind == AST_BINARY && expr->op == AST_OP_AND,
	     is_or = expr->kind == AST_BINARY && expr->op == AST_OP_OR;

	if (c->failed)
		return;
	if (expr->kind == AST_UNARY && expr->op == AST_OP_NOT) {
		jump_if(c, expr->a, !when, label);
	} else if ((is_and && !when) || (is_or && when)) {
		jump_if(c, expr->a, when, label);
		jump_if(c, expr->b, when, label);
	} else if (is_and || is_or) {
		struct label skip = {NONE};

		jump_if(c, expr->a, !when, &skip);
		jump_if(c, expr->b, when, label);
		land(c, &skip);
	} else if (expr->kind == AST_CALL || expr->kind == AST_ROUTE) {
		if (expr->kind == AST_CALL)
			call(c, expr);
		else
			call_route(c, expr);
		jump(c, when ? CODE_JUMP_RC_TRUE : CODE_JUMP_RC_FALSE, label);
	} else {
		value(c, expr);
		jump(c, when ? CODE_JUMP_TRUE : CODE_JUMP_FALSE, label);
		c->depth--;
	}
}

/* ---- statements ---- */

static void assign(struct compiler *c, const struct ast_stmt *stmt)
{
	const struct ast_expr *target = stmt->target;

	if (target->kind == AST_STATE) {
		name_here(c, target->text);
		emit(c, CODE_STATE, 0, 0, 0);
		return;
	}
	if (stmt->op != AST_OP_NONE)
		value(c, target);
	value(c, stmt->expr);
	if (stmt->op != AST_OP_NONE) {
		if (stmt->op == AST_OP_ADD)
			emit(c, CODE_ADD, 0, 0, 0);
		else
			emit(c, CODE_ARITH, 0, stmt->op, 0);
		c->depth--;
	}
	if (target->kind == AST_SLOT)
		emit(c, CODE_SET_SLOT, 0, (unsigned)target->row, 0);
	else
		emit(c, CODE_SET, 0, (unsigned)target->row, index_of(c, target));
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
	struct label end = {NONE}, *outer = c->breaks;
	uint32_t start = c->script->codes;

	if (!breakable(c, stmt))
		return;
	c->breaks = &end;
	jump_if(c, stmt->expr, false, &end);
	list(c, stmt->then);
	emit(c, CODE_JUMP, 0, 0, start);
	land(c, &end);
	c->breaks = outer;
	c->nesting--;
}

/*
 * First the comparisons, each with a stub that drops the value and enters its body, then the bodies
 * one behind the other, so that one without `break` goes on in the next.
 */
static void select_case(struct compiler *c, const struct ast_stmt *stmt)
{
	struct label end = {NONE}, *outer = c->breaks;
	unsigned n = 0, otherwise = NONE;
	struct label *body;

	if (!breakable(c, stmt))
		return;
	for (const struct ast_case *one = stmt->cases; one != NULL; one = one->next, n++) {
		if (one->value == NULL)
			otherwise = n;
	}
	body = calloc(n + 1, sizeof(*body));
	if (body == NULL) {
		no_memory(c);
		return;
	}
	value(c, stmt->expr);
	n = 0;
	for (const struct ast_case *one = stmt->cases; one != NULL; one = one->next, n++) {
		struct label next = {NONE};

		body[n].last = NONE;
		if (one->value == NULL)
			continue;
		emit(c, CODE_COPY, 0, 0, 0);
		push(c, 1);
		value(c, one->value);
		emit(c, CODE_COMPARE, 0, AST_OP_EQ, 0);
		c->depth--;
		jump(c, CODE_JUMP_FALSE, &next);
		c->depth--;
		emit(c, CODE_POP, 0, 0, 0);
		jump(c, CODE_JUMP, &body[n]);
		land(c, &next);
	}
	emit(c, CODE_POP, 0, 0, 0);
	c->depth--;
	jump(c, CODE_JUMP, otherwise != NONE ? &body[otherwise] : &end);
	c->breaks = &end;
	n = 0;
	for (const struct ast_case *one = stmt->cases; one != NULL; one = one->next, n++) {
		land(c, &body[n]);
		list(c, one->body);
	}
	land(c, &end);
	free(body);
	c->breaks = outer;
	c->nesting--;
}

static void branch(struct compiler *c, const struct ast_stmt *stmt)
{
	struct label otherwise = {NONE}, end = {NONE};

	jump_if(c, stmt->expr, false, &otherwise);
	list(c, stmt->then);
	if (stmt->otherwise == NULL) {
		land(c, &otherwise);
		return;
	}
	jump(c, CODE_JUMP, &end);
	land(c, &otherwise);
	list(c, stmt->otherwise);
	land(c, &end);
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
		jump(c, CODE_JUMP, c->breaks);
		break;
	case AST_RETURN:
		if (stmt->expr != NULL) {
			value(c, stmt->expr);
			emit(c, CODE_RETURN, 0, 0, 0);
			c->depth--;
		} else {
			emit(c, CODE_RETURN_ONE, 0, 0, 0);
		}
		break;
	case AST_EXIT:
		emit(c, CODE_EXIT, 0, 0, 0);
		break;
	case AST_DROP:
		emit(c, CODE_DROP, 0, 0, 0);
		break;
	case AST_ASSIGN:
		assign(c, stmt);
		break;
	case AST_EXPR:
		if (stmt->expr->kind == AST_CALL) {
			call(c, stmt->expr);
		} else if (stmt->expr->kind == AST_ROUTE) {
			call_route(c, stmt->expr);
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
	emit(c, CODE_RETURN_ONE, 0, 0, 0);
	out->stack = (uint16_t)c->depth_max;
	text_addf(&name, b->name.len > 0 ? "%s[%.*s]" : "%s",
		ast_block_text((enum ast_block_kind)b->kind, b->name.len > 0), STR_FMT(b->name));
	out->name = name.s != NULL ? code_keep(c->script, str_of(name.s, name.len)) : NULL;
	text_free(&name);
	if (out->name == NULL)
		no_memory(c);
	if (b->kind == AST_BLOCK_REQUEST)
		c->script->request = n;
	else if (b->kind == AST_BLOCK_REPLY && b->name.len == 0)
		c->script->reply = n;
	if (c->depth_max > ROUTE_STACK_MAX) {
		load_error(c->load, b->at,
			"an expression in this block needs more than %d values at a time",
			ROUTE_STACK_MAX);
		return -EINVAL;
	}
	return c->failed ? -ENOMEM : 0;
}

/* Constant arguments point into the constants' text, so that who keeps one copies nothing. */
static void settle_sites(struct compiler *c)
{
	struct route_script *script = c->script;

	for (int pass = 0; pass < 2; pass++) {
		/* First all bytes find their place, since that may move; then the spans are made.
		 */
		for (uint32_t i = 0; i < script->sites && !c->failed; i++) {
			for (unsigned n = 0; n < script->site[i].args.n; n++) {
				struct route_value *v = &script->site[i].constant[n];

				if (v->type != ROUTE_STR)
					continue;
				if (pass == 0)
					constant(c, ROUTE_STR, v->s, 0);
				else if (v->s.len > 0)
					v->s.s = script->text + intern(c, v->s);
			}
		}
	}
}

int compile_all(struct route_load *load)
{
	struct compiler c = {.load = load, .script = load->script};
	uint32_t n = 0;
	int err = 0;

	load->script->block = calloc(load->block_count + 1, sizeof(load->script->block[0]));
	if (load->script->block == NULL) {
		load_no_memory(load);
		return -ENOMEM;
	}
	for (struct ast_block *b = load->blocks; b != NULL && err == 0; b = b->next)
		err = block(&c, b, n++);
	load->script->blocks = n;
	settle_sites(&c);
	if (err == 0 && !c.failed)
		err = explain_make(load);
	return c.failed ? -ENOMEM : err;
}
