/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside the compiler: compile.c has statements, blocks and the script's arrays, compile_expr.c
 * calls and expressions. */
#include "route/load.h"

#define COMPILE_NONE UINT32_MAX

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

/* ---- compile.c ---- */

void compile_no_memory(struct compiler *c);
/* Adds an instruction; its number. */
uint32_t compile_emit(
	struct compiler *c, enum code_op op, unsigned a, unsigned b, uint32_t operand);
/* Notes that so many cells more are on the stack. */
void compile_push(struct compiler *c, unsigned n);
/* A jump to a label, and the label's place: here. */
void compile_jump(struct compiler *c, enum code_op op, struct label *label);
void compile_land(struct compiler *c, struct label *label);
/* A constant cell; its number. */
uint32_t compile_constant(struct compiler *c, enum route_type type, struct str s, int64_t i);
/* A use of a pseudo-variable; its number. */
uint32_t compile_use(struct compiler *c, const struct ast_expr *expr);
/* What the next instruction is called where a run stops at it. */
void compile_name_here(struct compiler *c, struct str name);

/* ---- compile_expr.c ---- */

/* Puts the value of an expression on the stack. */
void compile_value(struct compiler *c, const struct ast_expr *expr);
/* Jumps to the label where the condition is `when`, else goes on behind. */
void compile_jump_if(
	struct compiler *c, const struct ast_expr *expr, bool when, struct label *label);
/* Calls; the result is $rc. */
void compile_call(struct compiler *c, const struct ast_expr *expr);
void compile_call_route(struct compiler *c, const struct ast_expr *expr);
