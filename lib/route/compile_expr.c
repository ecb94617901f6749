/* SPDX-License-Identifier: BSD-3-Clause */
/* Code of calls, expressions and conditions. */
#include "route/compile.h"

static void push_int(struct compiler *c, int64_t i)
{
	if (i >= INT32_MIN && i <= INT32_MAX)
		compile_emit(c, CODE_PUSH_INT, 0, 0, (uint32_t)(int32_t)i);
	else
		compile_emit(c, CODE_PUSH, 0, 0, compile_constant(c, ROUTE_INT, STR_NONE, i));
	compile_push(c, 1);
}

/* ---- calls ---- */

static bool is_constant(const struct route_function *fn, const struct ast_expr *arg, unsigned n)
{
	return arg->kind == AST_INT || arg->kind == AST_STR ||
	       (arg->quoted && (fn->raw >> n & 1) != 0);
}

void compile_call(struct compiler *c, const struct ast_expr *expr)
{
	struct code_site *site = &c->script->site[expr->index];
	unsigned depth = c->depth, n = 0;
	bool constants = true;
	uint32_t guard = COMPILE_NONE;

	if (expr->guard)
		guard = compile_emit(c, CODE_GUARD, 0, site->fn->in, 0);
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
				compile_emit(c, CODE_PUSH, 0, 0,
					compile_constant(c, ROUTE_NULL, STR_NONE, 0));
				compile_push(c, 1);
			} else {
				compile_value(c, arg);
			}
		}
	}
	site = &c->script->site[expr->index];
	site->args.v = constants ? site->constant : NULL;
	compile_name_here(c, expr->state.len > 0 ? expr->state : expr->text);
	compile_emit(c, CODE_CALL, constants ? 1 : 0, 0, expr->index);
	c->depth = depth;
	if (guard != COMPILE_NONE && !c->failed)
		c->script->code[guard].c = c->script->codes;
}

void compile_call_route(struct compiler *c, const struct ast_expr *expr)
{
	uint32_t n = 0;

	for (const struct ast_block *block = c->load->blocks; block != NULL;
		block = block->next, n++) {
		if (block->kind == AST_BLOCK_ROUTE && str_eq(block->name, expr->text))
			break;
	}
	compile_emit(c, CODE_ROUTE, 0, 0, n);
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
		compile_value(c, expr);
		return 1;
	}
	n = concat(c, expr->a);
	compile_value(c, expr->b);
	return n + 1;
}

static void binary(struct compiler *c, const struct ast_expr *expr)
{
	if (expr->op == AST_OP_ADD && is_text(expr->a)) {
		unsigned n = concat(c, expr);

		compile_emit(c, CODE_CONCAT, 0, n, 0);
		c->depth -= n - 1;
		return;
	}
	compile_value(c, expr->a);
	compile_value(c, expr->b);
	if (expr->op == AST_OP_ADD)
		compile_emit(c, CODE_ADD, 0, 0, 0);
	else if (expr->op >= AST_OP_EQ && expr->op <= AST_OP_GE)
		compile_emit(c, CODE_COMPARE, 0, expr->op, 0);
	else
		compile_emit(c, CODE_ARITH, 0, expr->op, 0);
	c->depth--;
}

/* && and || as a value. */
static void truth(struct compiler *c, const struct ast_expr *expr)
{
	struct label no = {COMPILE_NONE}, end = {COMPILE_NONE};

	compile_jump_if(c, expr, false, &no);
	push_int(c, 1);
	compile_jump(c, CODE_JUMP, &end);
	c->depth--;
	compile_land(c, &no);
	push_int(c, 0);
	compile_land(c, &end);
}

static void test(struct compiler *c, enum code_op op, const struct ast_expr *expr)
{
	compile_emit(c, op, 0, (unsigned)expr->row, expr->index);
	compile_push(c, 1);
}

/* What is read without anything below it. */
static bool leaf(struct compiler *c, const struct ast_expr *expr)
{
	switch ((enum ast_kind)expr->kind) {
	case AST_INT:
		push_int(c, expr->i);
		return true;
	case AST_MYSELF:
		test(c, CODE_MYSELF, expr);
		return true;
	case AST_PREFIX:
		test(c, CODE_PREFIX, expr);
		return true;
	case AST_METHOD_IS:
		test(c, CODE_METHOD_IS, expr);
		return true;
	case AST_STR:
		compile_emit(c, CODE_PUSH, 0, 0, compile_constant(c, ROUTE_STR, expr->text, 0));
		break;
	case AST_NULL:
		compile_emit(c, CODE_PUSH, 0, 0, compile_constant(c, ROUTE_NULL, STR_NONE, 0));
		break;
	case AST_RC:
		compile_emit(c, CODE_ORIGIN, 0, CODE_ORIGIN_RC, 0);
		break;
	case AST_PSEUDO:
		compile_emit(c, CODE_GET, 0, 0, compile_use(c, expr));
		break;
	case AST_SLOT:
		compile_emit(c, CODE_GET_SLOT, 0, (unsigned)expr->row, 0);
		break;
	case AST_FORMAT:
		compile_emit(c, CODE_FORMAT, 0, 0, expr->index);
		break;
	case AST_STATE:
		compile_name_here(c, expr->text);
		compile_emit(c, CODE_STATE, 0, 0, 0);
		break;
	case AST_WHOLE:
	case AST_PROTO:
	case AST_FAMILY:
		compile_emit(c, CODE_ORIGIN, 0, origin_of[expr->kind], 0);
		break;
	case AST_PORT:
		compile_emit(c, CODE_ORIGIN, 0,
			expr->row == 0 ? CODE_ORIGIN_SRC_PORT : CODE_ORIGIN_DST_PORT, 0);
		break;
	default:
		return false;
	}
	compile_push(c, 1);
	return true;
}

void compile_value(struct compiler *c, const struct ast_expr *expr)
{
	if (c->failed || leaf(c, expr))
		return;
	switch ((enum ast_kind)expr->kind) {
	case AST_REGEX:
		compile_value(c, expr->a);
		compile_emit(c, CODE_MATCH, (unsigned)expr->row, 0, expr->index);
		break;
	case AST_TRANSFORM:
		compile_value(c, expr->a);
		compile_emit(c, CODE_TRANSFORM, 0, 0, expr->index);
		break;
	case AST_CALL:
		compile_call(c, expr);
		compile_emit(c, CODE_PUSH_RC, 0, 0, 0);
		compile_push(c, 1);
		break;
	case AST_ROUTE:
		compile_call_route(c, expr);
		compile_emit(c, CODE_PUSH_RC, 0, 0, 0);
		compile_push(c, 1);
		break;
	case AST_UNARY:
		if (expr->op == AST_OP_NOT) {
			truth(c, expr);
			break;
		}
		compile_value(c, expr->a);
		compile_emit(c, CODE_UNARY, 0, expr->op, 0);
		break;
	case AST_BINARY:
		if (expr->op == AST_OP_AND || expr->op == AST_OP_OR)
			truth(c, expr);
		else
			binary(c, expr);
		break;
	default:
		/* The checker leaves no others. */
		c->failed = true;
		break;
	}
}

/* Jumps to the label where the condition is `when`, else goes on behind. */
void compile_jump_if(
	struct compiler *c, const struct ast_expr *expr, bool when, struct label *label)
{
	bool is_and = expr->kind == AST_BINARY && expr->op == AST_OP_AND,
	     is_or = expr->kind == AST_BINARY && expr->op == AST_OP_OR;

	if (c->failed)
		return;
	if (expr->kind == AST_UNARY && expr->op == AST_OP_NOT) {
		compile_jump_if(c, expr->a, !when, label);
	} else if ((is_and && !when) || (is_or && when)) {
		compile_jump_if(c, expr->a, when, label);
		compile_jump_if(c, expr->b, when, label);
	} else if (is_and || is_or) {
		struct label skip = {COMPILE_NONE};

		compile_jump_if(c, expr->a, !when, &skip);
		compile_jump_if(c, expr->b, when, label);
		compile_land(c, &skip);
	} else if (expr->kind == AST_CALL || expr->kind == AST_ROUTE) {
		if (expr->kind == AST_CALL)
			compile_call(c, expr);
		else
			compile_call_route(c, expr);
		compile_jump(c, when ? CODE_JUMP_RC_TRUE : CODE_JUMP_RC_FALSE, label);
	} else {
		compile_value(c, expr);
		compile_jump(c, when ? CODE_JUMP_TRUE : CODE_JUMP_FALSE, label);
		c->depth--;
	}
}
