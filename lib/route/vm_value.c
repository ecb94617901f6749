/* SPDX-License-Identifier: BSD-3-Clause */
/* The operators of the VM. */
#include "route/vm.h"

/* As Kamailio converts: text that is no number, and null, are 0. */
int64_t vm_to_int(const struct route_ctx *ctx, const struct route_cell *cell)
{
	struct route_value v;
	int64_t i = 0;

	if (cell->type == ROUTE_INT)
		return cell->i;
	if (cell->type == ROUTE_NULL)
		return 0;
	vm_get_value(ctx, cell, &v);
	return value_as_int(&v, &i) ? i : 0;
}

struct str vm_to_text(
	const struct route_ctx *ctx, const struct route_cell *cell, char digits[VALUE_NUMBER_MAX])
{
	struct route_value v;

	vm_get_value(ctx, cell, &v);
	return value_as_text(&v, digits);
}

/* == by the left one's type, where that is null by the right one's; the order by number. */
bool vm_compare(const struct route_ctx *ctx, enum ast_op op, const struct route_cell *a,
	const struct route_cell *b)
{
	char digits_a[VALUE_NUMBER_MAX], digits_b[VALUE_NUMBER_MAX];
	int64_t i, j;

	if (op == AST_OP_EQ || op == AST_OP_NE) {
		bool equal;

		if (a->type == ROUTE_INT || (a->type == ROUTE_NULL && b->type == ROUTE_INT))
			equal = vm_to_int(ctx, a) == vm_to_int(ctx, b);
		else if (a->type == ROUTE_STR && b->type == ROUTE_STR)
			equal = a->text.len == b->text.len &&
				str_eq(vm_str(ctx, a), vm_str(ctx, b));
		else
			equal = str_eq(vm_to_text(ctx, a, digits_a), vm_to_text(ctx, b, digits_b));
		return equal == (op == AST_OP_EQ);
	}
	i = vm_to_int(ctx, a);
	j = vm_to_int(ctx, b);
	switch (op) {
	case AST_OP_LT:
		return i < j;
	case AST_OP_LE:
		return i <= j;
	case AST_OP_GT:
		return i > j;
	default:
		return i >= j;
	}
}

/* Numbers wrap; a division by zero is null. */
void vm_arithmetic(const struct route_ctx *ctx, enum ast_op op, struct route_cell *a,
	const struct route_cell *b)
{
	int64_t i = vm_to_int(ctx, a), j = vm_to_int(ctx, b);
	uint64_t u = (uint64_t)i, v = (uint64_t)j;

	if ((op == AST_OP_DIV || op == AST_OP_MOD) && j == 0) {
		*a = (struct route_cell){.type = ROUTE_NULL};
		return;
	}
	switch (op) {
	case AST_OP_SUB:
		u -= v;
		break;
	case AST_OP_MUL:
		u *= v;
		break;
	case AST_OP_DIV:
		u = j == -1 ? 0 - u : (uint64_t)(i / j);
		break;
	case AST_OP_MOD:
		u = j == -1 ? 0 : (uint64_t)(i % j);
		break;
	case AST_OP_BIT_OR:
		u |= v;
		break;
	case AST_OP_BIT_AND:
		u &= v;
		break;
	case AST_OP_BIT_XOR:
		u ^= v;
		break;
	case AST_OP_SHL:
		u = v < 64 ? u << v : 0;
		break;
	case AST_OP_SHR:
		u = v < 64 ? u >> v : 0;
		break;
	default:
		break;
	}
	vm_set_int(a, (int64_t)u);
}

/* Joins n cells as text into the first. */
bool vm_concat(struct route_ctx *ctx, struct route_cell *cell, unsigned n)
{
	char digits[ROUTE_STACK_MAX][VALUE_NUMBER_MAX];
	struct str part[ROUTE_STACK_MAX];

	for (unsigned i = 0; i < n; i++)
		part[i] = vm_to_text(ctx, &cell[i], digits[i]);
	cell->text = route_text_join(ctx, part, n);
	cell->type = ROUTE_STR;
	return cell->text.space != ROUTE_SPACE_NONE;
}

bool vm_add(struct route_ctx *ctx, struct route_cell *a)
{
	if (a[0].type != ROUTE_INT)
		return vm_concat(ctx, a, 2);
	vm_set_int(&a[0], (int64_t)((uint64_t)a[0].i + (uint64_t)vm_to_int(ctx, &a[1])));
	return true;
}

bool vm_unary(struct route_ctx *ctx, enum ast_op op, struct route_cell *cell)
{
	char digits[VALUE_NUMBER_MAX];

	switch (op) {
	case AST_OP_NEG:
		vm_set_int(cell, (int64_t)(0 - (uint64_t)vm_to_int(ctx, cell)));
		break;
	case AST_OP_BIT_NOT:
		vm_set_int(cell, ~vm_to_int(ctx, cell));
		break;
	case AST_OP_TO_INT:
		vm_set_int(cell, vm_to_int(ctx, cell));
		break;
	case AST_OP_TO_STR:
		return cell->type == ROUTE_STR || vm_concat(ctx, cell, 1);
	case AST_OP_DEFINED:
		vm_set_int(cell, cell->type != ROUTE_NULL);
		break;
	case AST_OP_STRLEN:
		vm_set_int(cell, vm_to_text(ctx, cell, digits).len);
		break;
	case AST_OP_STREMPTY:
		vm_set_int(cell, vm_to_text(ctx, cell, digits).len == 0);
		break;
	default:
		break;
	}
	return true;
}
