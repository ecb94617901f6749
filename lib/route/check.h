/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside the checker: names, calls and blocks stand in files of their own. */
#include "route/load.h"

/* Where an expression stands. */
enum check_where { CHECK_VALUE, CHECK_CONDITION, CHECK_ARGUMENT, CHECK_STATEMENT };

void check_expr(struct route_load *load, struct ast_expr *expr, enum check_where where);
/* check_word.c: bare words and $variables become what they stand for. */
void check_word(struct route_load *load, struct ast_expr *expr, enum check_where where);
void check_variable(struct route_load *load, struct ast_expr *expr);
/* Comparisons that have an instruction of their own: myself, addresses, methods. True where it was
 * one (or an error). */
bool check_comparison(struct route_load *load, struct ast_expr *expr);
/* check_call.c */
void check_call(struct route_load *load, struct ast_expr *expr);
void check_route(struct route_load *load, struct ast_expr *expr);
struct ast_block *check_find_block(
	const struct route_load *load, enum ast_block_kind kind, struct str name);
/* The name of the first variable in a string that needs state, or an empty span. */
struct str check_state_in(struct str text);
/* What a block may be: "in onreply_route". */
const char *check_in_text(unsigned in);
/* Whether this function names a block by its argument (t_on_failure("1")); its kind in *kind. */
bool check_names_block(const struct ast_expr *call, enum ast_block_kind *kind, struct str *name);
