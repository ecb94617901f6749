/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside the VM: cells as values, and what the operators do with them (vm_value.c). */
#include "route/code.h"
#include "route/value.h"

/* As Kamailio converts: text that is no number, and null, are 0. */
int64_t vm_to_int(const struct route_ctx *ctx, const struct route_cell *cell);
struct str vm_to_text(
	const struct route_ctx *ctx, const struct route_cell *cell, char digits[VALUE_NUMBER_MAX]);
bool vm_compare(const struct route_ctx *ctx, enum ast_op op, const struct route_cell *a,
	const struct route_cell *b);
/* a becomes a op b. */
void vm_arithmetic(const struct route_ctx *ctx, enum ast_op op, struct route_cell *a,
	const struct route_cell *b);
/* These return false where the arena is full. Joins n cells as text into the first. */
bool vm_concat(struct route_ctx *ctx, struct route_cell *cell, unsigned n);
bool vm_add(struct route_ctx *ctx, struct route_cell *a);
bool vm_unary(struct route_ctx *ctx, enum ast_op op, struct route_cell *cell);

static inline struct str vm_str(const struct route_ctx *ctx, const struct route_cell *cell)
{
	if (cell->text.space == ROUTE_SPACE_CONST)
		return str_of(ctx->script->text + cell->text.off, cell->text.len);
	return route_text_str(ctx, cell->text);
}

static inline void vm_set_int(struct route_cell *cell, int64_t i)
{
	cell->type = ROUTE_INT;
	cell->i = i;
}

/* A value onto the stack; false where its text finds no room. */
static inline bool vm_set_value(
	struct route_ctx *ctx, struct route_cell *cell, const struct route_value *v)
{
	cell->type = (uint8_t)v->type;
	cell->i = v->i;
	cell->text = ROUTE_TEXT_NONE;
	if (v->type != ROUTE_STR || v->s.len == 0)
		return true;
	cell->text = route_text_keep(ctx, v->s);
	return cell->text.space != ROUTE_SPACE_NONE;
}

static inline void vm_get_value(
	const struct route_ctx *ctx, const struct route_cell *cell, struct route_value *v)
{
	v->type = (enum route_type)cell->type;
	v->i = cell->i;
	v->s = cell->type == ROUTE_STR ? vm_str(ctx, cell) : STR_NONE;
}

static inline bool vm_is_true(const struct route_ctx *ctx, const struct route_cell *cell)
{
	return (cell->type == ROUTE_INT ? cell->i : vm_to_int(ctx, cell)) != 0;
}
