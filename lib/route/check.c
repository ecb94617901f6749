/* SPDX-License-Identifier: BSD-3-Clause */
/* The checker: resolves names, and says of each statement what is wrong with it before a packet is
 * touched. */
#include <errno.h>
#include <stdio.h>

#include "route/avp.h"
#include "route/check.h"

/* ---- which blocks run, and in what ---- */

static void visit_expr(
	struct route_load *load, struct ast_block *from, struct ast_expr *expr, bool *changed);

static void mark(struct ast_block *block, uint16_t in, bool *changed)
{
	if (block == NULL || ((block->in & in) == in && block->used))
		return;
	block->in |= in;
	block->used = true;
	*changed = true;
}

static uint16_t in_of(enum ast_block_kind kind)
{
	switch (kind) {
	case AST_BLOCK_REPLY:
		return ROUTE_IN_REPLY;
	case AST_BLOCK_FAILURE:
		return ROUTE_IN_FAILURE;
	case AST_BLOCK_BRANCH:
		return ROUTE_IN_BRANCH;
	case AST_BLOCK_EVENT:
		return ROUTE_IN_EVENT;
	case AST_BLOCK_ERROR:
		return ROUTE_IN_ERROR;
	default:
		return ROUTE_IN_REQUEST;
	}
}

static void visit_expr(
	struct route_load *load, struct ast_block *from, struct ast_expr *expr, bool *changed)
{
	enum ast_block_kind kind;
	struct str name;

	if (expr == NULL)
		return;
	if (expr->kind == AST_ROUTE)
		mark(check_find_block(load, AST_BLOCK_ROUTE, expr->text), from->in, changed);
	if (check_names_block(expr, &kind, &name))
		mark(check_find_block(load, kind, name), in_of(kind), changed);
	visit_expr(load, from, expr->a, changed);
	visit_expr(load, from, expr->b, changed);
	for (struct ast_expr *arg = expr->arg; arg != NULL; arg = arg->next)
		visit_expr(load, from, arg, changed);
}

static void visit_list(
	struct route_load *load, struct ast_block *from, const struct ast_stmt *stmt, bool *changed)
{
	for (; stmt != NULL; stmt = stmt->next) {
		visit_expr(load, from, stmt->expr, changed);
		visit_list(load, from, stmt->then, changed);
		visit_list(load, from, stmt->otherwise, changed);
		for (const struct ast_case *c = stmt->cases; c != NULL; c = c->next)
			visit_list(load, from, c->body, changed);
	}
}

/* Spreads from the blocks that run by themselves to those that they call. */
static void find_used(struct route_load *load)
{
	bool changed = false;

	for (struct ast_block *block = load->blocks; block != NULL; block = block->next) {
		bool runs = block->kind != AST_BLOCK_ROUTE && block->kind != AST_BLOCK_FAILURE &&
			    block->kind != AST_BLOCK_BRANCH &&
			    !(block->kind == AST_BLOCK_REPLY && block->name.len > 0);

		if (runs)
			mark(block, in_of(block->kind), &changed);
	}
	do {
		changed = false;
		for (struct ast_block *block = load->blocks; block != NULL; block = block->next) {
			if (block->used)
				visit_list(load, block, block->body, &changed);
		}
	} while (changed);
}

/* ---- expressions ---- */

/* A string outside of a function's arguments is plain text in this language: whoever writes a
 * variable there should know. */
static void warn_of_dollar(struct route_load *load, const struct ast_expr *expr)
{
	for (uint32_t i = 0; i + 1 < expr->text.len; i++) {
		uint32_t to = i + 1;
		struct variable_found found;
		struct str name;

		if (expr->text.s[i] != '$')
			continue;
		while (to < expr->text.len && str_is_alpha(expr->text.s[to]))
			to++;
		name = str_of(expr->text.s + i + 1, to - i - 1);
		if (name.len > 0 && (variable_find(name, &found) || str_eq(name, STR("var")) ||
					    state_variable(name))) {
			load_warning(load, expr->at,
				"'$%.*s' in this string is plain text: write \"...\" + $%.*s, or "
				"$_s(...)",
				STR_FMT(name), STR_FMT(name));
			return;
		}
	}
}

static void check_match(struct route_load *load, struct ast_expr *expr)
{
	struct route_script *script = load->script;
	char error[160];
	bool negated = expr->op == AST_OP_NOT_MATCH;

	check_expr(load, expr->a, CHECK_VALUE);
	expr->slow = expr->a->slow;
	if (expr->b->kind != AST_STR) {
		load_error(load, expr->b->at,
			"a regular expression is a constant string here: it is compiled once, at "
			"load");
		return;
	}
	if (!code_grow(&script->regex, script->regexes, &script->regexes_cap,
		    sizeof(script->regex[0]))) {
		load_no_memory(load);
		return;
	}
	script->regex[script->regexes] =
		route_regex_compile(expr->b->text, false, error, sizeof(error));
	if (script->regex[script->regexes] == NULL) {
		load_error(load, expr->b->at, "not a regular expression: %s", error);
		return;
	}
	expr->kind = AST_REGEX;
	expr->op = AST_OP_NONE;
	expr->row = negated;
	expr->index = script->regexes++;
}

static void check_binary(struct route_load *load, struct ast_expr *expr)
{
	enum check_where where =
		expr->op == AST_OP_AND || expr->op == AST_OP_OR ? CHECK_CONDITION : CHECK_VALUE;

	if (expr->op == AST_OP_MATCH || expr->op == AST_OP_NOT_MATCH) {
		check_match(load, expr);
		return;
	}
	if (check_comparison(load, expr))
		return;
	check_expr(load, expr->a, where);
	check_expr(load, expr->b, where);
	expr->slow = expr->a->slow || expr->b->slow;
	if ((expr->op == AST_OP_DIV || expr->op == AST_OP_MOD) && expr->b->kind == AST_INT &&
		expr->b->i == 0)
		load_error(load, expr->b->at, "division by zero");
}

void check_expr(struct route_load *load, struct ast_expr *expr, enum check_where where)
{
	switch (expr->kind) {
	case AST_NAME:
		check_word(load, expr, where);
		break;
	case AST_VAR:
		check_variable(load, expr);
		break;
	case AST_CALL:
		check_call(load, expr);
		break;
	case AST_ROUTE:
		check_route(load, expr);
		break;
	case AST_STR:
		if (expr->quoted)
			warn_of_dollar(load, expr);
		break;
	case AST_ADDRESS:
	case AST_SOCKET:
		expr->kind = AST_STR;
		break;
	case AST_BINARY:
		check_binary(load, expr);
		break;
	case AST_UNARY:
		check_expr(load, expr->a, expr->op == AST_OP_NOT ? CHECK_CONDITION : CHECK_VALUE);
		expr->slow = expr->a->slow;
		if (expr->op == AST_OP_NEG && expr->a->kind == AST_INT) {
			expr->kind = AST_INT;
			expr->op = AST_OP_NONE;
			expr->i = -expr->a->i;
		}
		break;
	default:
		break;
	}
	if (expr->kind == AST_STATE)
		expr->slow = true;
}

/* ---- statements ---- */

static void check_list(struct route_load *load, struct ast_stmt *first);

/* Whether nothing behind this statement is reached. */
static bool ends(const struct ast_stmt *stmt);

static bool list_ends(const struct ast_stmt *stmt)
{
	for (; stmt != NULL; stmt = stmt->next) {
		if (ends(stmt))
			return true;
	}
	return false;
}

static bool ends(const struct ast_stmt *stmt)
{
	switch (stmt->kind) {
	case AST_BREAK:
	case AST_RETURN:
	case AST_EXIT:
	case AST_DROP:
		return true;
	case AST_BLOCK:
		return list_ends(stmt->then);
	case AST_IF:
		return stmt->otherwise != NULL && list_ends(stmt->then) &&
		       list_ends(stmt->otherwise);
	default:
		return false;
	}
}

static void check_assign(struct route_load *load, struct ast_stmt *stmt)
{
	struct ast_expr *target = stmt->target;

	check_expr(load, target, CHECK_VALUE);
	check_expr(load, stmt->expr, CHECK_VALUE);
	stmt->slow = target->slow || stmt->expr->slow;
	if (target->kind == AST_PSEUDO && target->variable != NULL && target->variable->set == NULL)
		load_error(load, target->at, "$%s is read-only", target->variable->name);
	else if (target->kind == AST_NULL || target->kind == AST_RC || target->kind == AST_FORMAT ||
		 target->kind == AST_TRANSFORM)
		load_error(load, target->at, "'%.*s' cannot be assigned to", STR_FMT(target->text));
}

static void check_switch(struct route_load *load, struct ast_stmt *stmt)
{
	bool has_default = false;

	check_expr(load, stmt->expr, CHECK_VALUE);
	stmt->slow = stmt->expr->slow;
	load->breakables++;
	for (struct ast_case *c = stmt->cases; c != NULL; c = c->next) {
		if (c->value != NULL) {
			/* `case INVITE:` of switch (method) */
			if (c->value->kind == AST_NAME &&
				sip_method_of(c->value->text) != SIP_METHOD_OTHER)
				c->value->kind = AST_STR;
			check_expr(load, c->value, CHECK_VALUE);
			if (c->value->kind != AST_STR && c->value->kind != AST_INT)
				load_error(
					load, c->at, "what a case compares with must be constant");
		} else if (has_default) {
			load_error(load, c->at, "a second default");
		} else {
			has_default = true;
		}
		check_list(load, c->body);
	}
	load->breakables--;
}

/* The statement's own line for route_explain(), before the checker turns words into what they stand
 * for. */
static void show(struct route_load *load, struct ast_stmt *stmt)
{
	struct text text = {0};

	switch (stmt->kind) {
	case AST_IF:
	case AST_WHILE:
	case AST_SWITCH:
		text_addf(&text, "%s ",
			stmt->kind == AST_IF      ? "if"
			: stmt->kind == AST_WHILE ? "while"
						  : "switch");
		ast_print(&text, stmt->expr);
		break;
	case AST_BREAK:
		text_addf(&text, "break");
		break;
	case AST_RETURN:
		text_addf(&text, stmt->expr != NULL ? "return " : "return");
		if (stmt->expr != NULL)
			ast_print(&text, stmt->expr);
		break;
	case AST_EXIT:
		text_addf(&text, "exit");
		break;
	case AST_DROP:
		text_addf(&text, "drop");
		break;
	case AST_ASSIGN:
		ast_print(&text, stmt->target);
		text_addf(&text, " %s= ", ast_op_text((enum ast_op)stmt->op));
		ast_print(&text, stmt->expr);
		break;
	case AST_EXPR:
		ast_print(&text, stmt->expr);
		if (stmt->expr->kind == AST_NAME)
			text_addf(&text, "()");
		break;
	default:
		break;
	}
	stmt->shown = text.s != NULL ? ast_strdup(&load->arena, str_of(text.s, text.len)) : "";
	text_free(&text);
	if (stmt->shown == NULL)
		load_no_memory(load);
}

static void check_stmt(struct route_load *load, struct ast_stmt *stmt)
{
	show(load, stmt);
	switch (stmt->kind) {
	case AST_IF:
		check_expr(load, stmt->expr, CHECK_CONDITION);
		stmt->slow = stmt->expr->slow;
		check_list(load, stmt->then);
		check_list(load, stmt->otherwise);
		break;
	case AST_WHILE:
		check_expr(load, stmt->expr, CHECK_CONDITION);
		stmt->slow = stmt->expr->slow;
		load->breakables++;
		check_list(load, stmt->then);
		load->breakables--;
		break;
	case AST_SWITCH:
		check_switch(load, stmt);
		break;
	case AST_BREAK:
		if (load->breakables == 0)
			load_error(load, stmt->at, "'break' outside of while and switch");
		break;
	case AST_RETURN:
		if (stmt->expr != NULL) {
			check_expr(load, stmt->expr, CHECK_VALUE);
			stmt->slow = stmt->expr->slow;
		}
		break;
	case AST_ASSIGN:
		check_assign(load, stmt);
		break;
	case AST_EXPR:
		check_expr(load, stmt->expr, CHECK_STATEMENT);
		stmt->slow = stmt->expr->slow;
		break;
	case AST_BLOCK:
		check_list(load, stmt->then);
		break;
	default:
		break;
	}
}

static void check_list(struct route_load *load, struct ast_stmt *first)
{
	bool warned = false;

	for (struct ast_stmt *stmt = first; stmt != NULL && !load->gave_up; stmt = stmt->next) {
		if (route_report_errors(load->report) >= LOAD_ERRORS_MAX)
			return;
		check_stmt(load, stmt);
		if (stmt->next != NULL && !warned && ends(stmt)) {
			load_warning(load, stmt->next->at, "this statement is never reached");
			warned = true;
		}
	}
}

/* What nothing here runs: a warning, or an error where a script relies on it. */
static void check_event(struct route_load *load, const struct ast_block *block)
{
	const struct known *known = known_find(KNOWN_NO_EVENT, STR_NONE, block->name);

	if (block->kind == AST_BLOCK_EVENT && known != NULL) {
		load_error(load, block->at, "event_route[%.*s] is not there: %s",
			STR_FMT(block->name), known->why);
		return;
	}
	known = known_find(KNOWN_EVENT, STR_NONE, block->name);
	load_warning(load, block->at, "%s is accepted, and nothing runs it%s%s",
		ast_block_text((enum ast_block_kind)block->kind, false),
		block->kind == AST_BLOCK_EVENT && known != NULL ? ": " : "",
		block->kind == AST_BLOCK_EVENT && known != NULL ? known->why : "");
}

int check_all(struct route_load *load)
{
	find_used(load);
	avp_alias_check(load);
	if (check_find_block(load, AST_BLOCK_REQUEST, STR_NONE) == NULL &&
		route_report_errors(load->report) == 0) {
		struct route_place place = source_place(load->source, 0, 0);

		place.line = 0;
		route_warning(load->report, &place,
			"there is no request_route: no request will be forwarded");
	}
	for (struct ast_block *block = load->blocks; block != NULL; block = block->next) {
		if (!block->used) {
			load_warning(load, block->at, "%s[%.*s] is never used",
				ast_block_text(
					(enum ast_block_kind)block->kind, block->name.len > 0),
				STR_FMT(block->name));
			block->in = in_of((enum ast_block_kind)block->kind);
		}
		if (block->kind == AST_BLOCK_EVENT || block->kind == AST_BLOCK_ONSEND)
			check_event(load, block);
		load->block = block;
		check_list(load, block->body);
	}
	load_custom_finish(load);
	return route_report_errors(load->report) == 0 ? 0 : -EINVAL;
}
