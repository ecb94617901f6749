/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls: which function, how many arguments, in which blocks, and what its own check() says. */
#include <stdio.h>
#include <stdlib.h>

#include "route/check.h"
#include "route/function.h"

const char *check_in_text(unsigned in)
{
	if ((in & ROUTE_IN_REPLY) != 0)
		return "onreply_route";
	if ((in & ROUTE_IN_FAILURE) != 0)
		return "failure_route";
	if ((in & ROUTE_IN_BRANCH) != 0)
		return "branch_route";
	if ((in & ROUTE_IN_EVENT) != 0)
		return "event_route";
	if ((in & ROUTE_IN_ERROR) != 0)
		return "error_route";
	return "request_route";
}

struct ast_block *check_find_block(
	const struct route_load *load, enum ast_block_kind kind, struct str name)
{
	for (struct ast_block *block = load->blocks; block != NULL; block = block->next) {
		if (block->kind == kind && str_eq(block->name, name))
			return block;
	}
	return NULL;
}

struct str check_state_in(struct str text)
{
	for (uint32_t i = 0; i + 1 < text.len; i++) {
		uint32_t from = i + 1, to;

		if (text.s[i] != '$')
			continue;
		if (text.s[from] == '$') {
			i++;
			continue;
		}
		from += text.s[from] == '(';
		for (to = from;
			to < text.len && (str_is_alpha(text.s[to]) || str_is_digit(text.s[to]) ||
						 text.s[to] == '_');)
			to++;
		struct variable_found found;

		if (to > from && state_variable(str_of(text.s + from, to - from)) &&
			!variable_find(str_of(text.s + from, to - from), &found))
			return str_of(text.s + i, to - i);
	}
	return STR_NONE;
}

bool check_names_block(const struct ast_expr *call, enum ast_block_kind *kind, struct str *name)
{
	static const struct {
		const char *function;
		enum ast_block_kind kind;
	} namers[] = {
		{"t_on_reply", AST_BLOCK_REPLY},
		{"t_on_failure", AST_BLOCK_FAILURE},
		{"t_on_branch", AST_BLOCK_BRANCH},
	};

	if (call->kind != AST_CALL || call->arg == NULL)
		return false;
	for (size_t i = 0; i < sizeof(namers) / sizeof(namers[0]); i++) {
		if (str_eq(call->text, str_c(namers[i].function)) &&
			(call->arg->kind == AST_STR || call->arg->kind == AST_NAME ||
				call->arg->kind == AST_INT)) {
			*kind = namers[i].kind;
			*name = call->arg->text;
			return name->len > 0 && !str_eq(*name, STR("0"));
		}
	}
	return false;
}

static void unknown_function(struct route_load *load, const struct ast_expr *expr)
{
	const struct known *known = known_find(KNOWN_NO_FUNCTION, STR_NONE, expr->text);
	struct suggest near;

	if (known != NULL) {
		load_error(load, expr->at, "'%.*s' of module '%s' is not there: %s",
			STR_FMT(expr->text), known->module, known->why);
		return;
	}
	suggest_begin(&near, expr->text);
	for (unsigned i = 0; i < load->registry->count; i++) {
		for (const struct route_function *fn = load->registry->module[i]->functions;
			fn != NULL && fn->name != NULL; fn++) {
			suggest_offer(&near, str_c(fn->name));
			if (fn->statement != NULL)
				suggest_offer(&near, str_c(fn->statement));
		}
	}
	if (suggest_end(&near) != NULL)
		load_error(load, expr->at, "unknown function '%.*s' (did you mean '%s'?)",
			STR_FMT(expr->text), suggest_end(&near));
	else
		load_error(load, expr->at, "unknown function '%.*s'", STR_FMT(expr->text));
}

static bool check_arity(
	struct route_load *load, const struct ast_expr *expr, const struct route_function *fn)
{
	if (expr->args >= fn->args_min && expr->args <= fn->args_max)
		return true;
	if (fn->args_min == fn->args_max)
		load_error(load, expr->at, "'%.*s' takes %u argument%s, not %u: %s",
			STR_FMT(expr->text), fn->args_min, fn->args_min == 1 ? "" : "s", expr->args,
			fn->usage != NULL ? fn->usage : fn->name);
	else
		load_error(load, expr->at, "'%.*s' takes %u to %u arguments, not %u: %s",
			STR_FMT(expr->text), fn->args_min, fn->args_max, expr->args,
			fn->usage != NULL ? fn->usage : fn->name);
	return false;
}

/* The blocks that may run this one against those in which the function may stand. */
static void check_in(
	struct route_load *load, struct ast_expr *expr, const struct route_function *fn)
{
	unsigned in = load->block->in, wrong = in & ~(unsigned)fn->in;

	if (wrong == 0)
		return;
	if (wrong == in) {
		load_error(load, expr->at, "'%.*s' cannot be used in %s%s", STR_FMT(expr->text),
			load->block->kind == AST_BLOCK_ROUTE ? "a route that runs in " : "",
			check_in_text(wrong));
		return;
	}
	load_warning(load, expr->at,
		"this route also runs in %s, where '%.*s' does nothing and is false",
		check_in_text(wrong), STR_FMT(expr->text));
	expr->guard = true;
}

static bool has_dollar(struct str s)
{
	return str_find(s, '$') >= 0;
}

/* A constant's text that lives as long as the script. */
static struct str keep(struct route_load *load, struct str s)
{
	const char *kept = code_keep(load->script, s);

	if (kept == NULL) {
		load_no_memory(load);
		return STR("");
	}
	return str_of(kept, s.len);
}

/* A string with variables in it. */
static void check_format(struct route_load *load, struct ast_expr *arg)
{
	struct route_script *script = load->script;
	struct route_place place = load_place(load, arg->at);
	struct route_format *format;

	if (!code_grow(&script->format, script->formats, &script->formats_cap,
		    sizeof(script->format[0]))) {
		load_no_memory(load);
		return;
	}
	format = route_format_compile(arg->text, &place, load->report);
	if (format == NULL)
		return;
	script->format[script->formats] = format;
	arg->kind = AST_FORMAT;
	arg->index = script->formats++;
}

/* One argument: what check() sees of it and, where it is constant, what run() gets. */
static void check_arg(struct route_load *load, struct ast_expr *call, struct ast_expr *arg,
	bool raw, bool flag, struct route_arg *out, struct route_value *constant)
{
	bool literal = arg->kind == AST_STR && arg->quoted;

	out->place = load_place(load, arg->at);
	if (flag && literal && load_flag_find(load, arg->text, &arg->i)) {
		arg->kind = AST_INT;
		literal = false;
	}
	if (literal && check_state_in(arg->text).len > 0) {
		call->slow = true;
		call->state = check_state_in(arg->text);
	} else if (literal && !raw && has_dollar(arg->text)) {
		check_format(load, arg);
		return;
	}
	if (arg->kind == AST_ADDRESS || arg->kind == AST_SOCKET)
		arg->kind = AST_STR;
	else if (arg->kind != AST_STR)
		check_expr(load, arg, CHECK_ARGUMENT);
	call->slow |= arg->slow;
	if (arg->kind == AST_INT) {
		out->constant = true;
		out->value = (struct route_value){.type = ROUTE_INT, .i = arg->i};
	} else if (arg->kind == AST_STR) {
		out->constant = true;
		out->value = (struct route_value){.type = ROUTE_STR, .s = keep(load, arg->text)};
	}
	if (!(literal && raw))
		*constant = out->value;
}

/* Said once of each function, where it stands first. */
static void warn_of_name_only(
	struct route_load *load, const struct ast_expr *expr, const struct route_function *fn)
{
	const struct route_script *script = load->script;

	for (uint32_t i = 0; i < script->sites; i++) {
		if (script->site[i].fn == fn)
			return;
	}
	load_warning(load, expr->at,
		"'%.*s' is known by name only so far: a request that meets it is answered 500",
		STR_FMT(expr->text));
}

static void check_args(struct route_load *load, struct ast_expr *expr,
	const struct route_function *fn, unsigned module)
{
	struct route_arg arg[ROUTE_ARGS_MAX] = {0};
	struct route_script *script = load->script;
	unsigned n = 0, errors = route_report_errors(load->report);
	struct code_site *site;
	struct route_place place = load_place(load, expr->at);
	void *data = NULL;

	if (!code_grow(&script->site, script->sites, &script->sites_cap, sizeof(script->site[0]))) {
		load_no_memory(load);
		return;
	}
	/* Arguments may hold calls of their own: this site gets its number behind theirs. */
	struct route_value *constant = calloc(ROUTE_ARGS_MAX, sizeof(*constant));

	if (constant == NULL) {
		load_no_memory(load);
		return;
	}
	for (struct ast_expr *a = expr->arg; a != NULL; a = a->next, n++)
		check_arg(load, expr, a, (fn->raw >> n & 1) != 0, fn->check == check_flag, &arg[n],
			&constant[n]);
	if (!code_grow(&script->site, script->sites, &script->sites_cap, sizeof(script->site[0]))) {
		free(constant);
		load_no_memory(load);
		return;
	}
	if (fn->run == NULL)
		warn_of_name_only(load, expr, fn);
	site = &script->site[script->sites];
	/* Nothing can make a text of a variable that needs state yet. */
	*site = (struct code_site){
		.run = expr->state.len > 0 ? NULL : fn->run, .fn = fn, .constant = constant};
	site->slow = site->run == NULL || fn->path != ROUTE_PATH_FAST;
	site->tried = fn->path == ROUTE_PATH_EITHER;
	expr->slow |= site->slow;
	site->args.n = n;
	site->args.room = script->registry.room[module];
	expr->index = script->sites++;
	if (fn->check == NULL || route_report_errors(load->report) != errors || expr->state.len > 0)
		return;
	if (fn->check(site->args.room, script->module[module].config, arg, n, &place, load->report,
		    &data) != 0 &&
		route_report_errors(load->report) == errors)
		load_error(load, expr->at, "'%.*s' does not take these arguments",
			STR_FMT(expr->text));
	script->site[expr->index].args.data = data;
}

/* t_on_failure("1"): there has to be such a block. */
static void check_named_block(struct route_load *load, const struct ast_expr *call)
{
	enum ast_block_kind kind;
	struct suggest near;
	struct str name;

	if (!check_names_block(call, &kind, &name) || check_find_block(load, kind, name) != NULL)
		return;
	suggest_begin(&near, name);
	for (const struct ast_block *block = load->blocks; block != NULL; block = block->next) {
		if (block->kind == kind && block->name.len > 0)
			suggest_offer(&near, block->name);
	}
	if (suggest_end(&near) != NULL)
		load_error(load, call->arg->at, "there is no %s[%.*s] (did you mean '%s'?)",
			ast_block_text(kind, true), STR_FMT(name), suggest_end(&near));
	else
		load_error(load, call->arg->at, "there is no %s[%.*s]", ast_block_text(kind, true),
			STR_FMT(name));
}

void check_call(struct route_load *load, struct ast_expr *expr)
{
	unsigned module = 0;
	const struct route_function *fn =
		registry_function(load->script, expr->text, expr->args, &module);
	const char *name;

	if (fn == NULL) {
		unknown_function(load, expr);
		return;
	}
	name = load->registry->module[module]->name;
	if (!load->script->module[module].loaded) {
		load_error(load, expr->at,
			"'%.*s' is a function of module '%s', which is not loaded: loadmodule "
			"\"%s.so\"",
			STR_FMT(expr->text), name, name);
		return;
	}
	if (!check_arity(load, expr, fn))
		return;
	if (expr->args > ROUTE_ARGS_MAX) {
		load_error(load, expr->at, "more than %d arguments", ROUTE_ARGS_MAX);
		return;
	}
	check_in(load, expr, fn);
	check_named_block(load, expr);
	check_args(load, expr, fn, module);
}

void check_route(struct route_load *load, struct ast_expr *expr)
{
	struct suggest near;

	if (check_find_block(load, AST_BLOCK_ROUTE, expr->text) != NULL)
		return;
	suggest_begin(&near, expr->text);
	for (const struct ast_block *block = load->blocks; block != NULL; block = block->next) {
		if (block->kind == AST_BLOCK_ROUTE)
			suggest_offer(&near, block->name);
	}
	if (suggest_end(&near) != NULL)
		load_error(load, expr->at, "there is no route[%.*s] (did you mean '%s'?)",
			STR_FMT(expr->text), suggest_end(&near));
	else
		load_error(load, expr->at, "there is no route[%.*s]", STR_FMT(expr->text));
}
