/* SPDX-License-Identifier: BSD-3-Clause */
/* What an operator reads: each statement with its path, and the reference of the language. */
#include <errno.h>
#include <stdio.h>

#include "route/explain.h"

#define INDENT 4
#define INDENT_MAX 40 /* nesting that is still shown by indenting */

/* A line is a statement; neighbours on one source line share it. */
struct maker {
	struct route_load *load;
	struct text text;
	struct ast_at at; /* of the line at hand */
	bool open, slow;
	unsigned depth;
};

static void flush(struct maker *m)
{
	struct route_script *script = m->load->script;
	struct route_place place;
	struct code_line *line;

	if (!m->open)
		return;
	m->open = false;
	if (!code_grow(&script->line, script->lines, &script->lines_cap, sizeof(script->line[0]))) {
		load_no_memory(m->load);
		return;
	}
	place = load_place(m->load, m->at);
	line = &script->line[script->lines];
	*line = (struct code_line){.slow = m->slow, .line = place.line};
	line->file = code_keep(script, str_c(place.file));
	line->text = code_keep(script, str_of(m->text.s, m->text.len));
	text_free(&m->text);
	if (line->file == NULL || line->text == NULL) {
		load_no_memory(m->load);
		return;
	}
	script->lines++;
	script->statement_lines++;
	script->slow_lines += m->slow;
}

static void begin(struct maker *m, struct ast_at at, bool slow)
{
	flush(m);
	m->open = true;
	m->at = at;
	m->slow = slow;
	for (unsigned i = 0; i < m->depth * INDENT && i < INDENT_MAX; i++)
		text_add(&m->text, STR(" "));
}

/* A line without a path: a block's name, else, case. */
static void heading(struct maker *m, struct ast_at at, const char *fmt, struct str name)
{
	struct route_script *script = m->load->script;

	begin(m, at, false);
	text_addf(&m->text, fmt, STR_FMT(name));
	flush(m);
	if (script->lines > 0) {
		script->line[script->lines - 1].heading = true;
		script->statement_lines--;
	}
}

static void list(struct maker *m, const struct ast_stmt *stmt);

static void body(struct maker *m, const struct ast_stmt *stmt)
{
	m->depth++;
	list(m, stmt);
	flush(m);
	m->depth--;
}

static void branch(struct maker *m, const struct ast_stmt *stmt, const char *before)
{
	const struct ast_stmt *otherwise = stmt->otherwise;

	begin(m, stmt->at, stmt->slow);
	text_addf(&m->text, "%s", before);
	text_add(&m->text, str_c(stmt->shown));
	flush(m);
	body(m, stmt->then);
	if (otherwise == NULL)
		return;
	if (otherwise->kind == AST_IF) {
		branch(m, otherwise, "else ");
		return;
	}
	heading(m, otherwise->at, "else%.*s", STR(""));
	body(m, otherwise);
}

static void cases(struct maker *m, const struct ast_stmt *stmt)
{
	begin(m, stmt->at, stmt->slow);
	text_add(&m->text, str_c(stmt->shown));
	flush(m);
	m->depth++;
	for (const struct ast_case *c = stmt->cases; c != NULL; c = c->next) {
		struct text value = {0};

		if (c->value != NULL)
			ast_print(&value, c->value);
		heading(m, c->at, c->value != NULL ? "case %.*s" : "default%.*s",
			value.s != NULL ? str_of(value.s, value.len) : STR(""));
		text_free(&value);
		body(m, c->body);
	}
	m->depth--;
}

static void simple(struct maker *m, const struct ast_stmt *stmt)
{
	struct route_place last, here = load_place(m->load, stmt->at);

	last = m->open ? load_place(m->load, m->at) : (struct route_place){0};
	if (m->open && last.line == here.line && strcmp(last.file, here.file) == 0) {
		text_add(&m->text, STR("; "));
		m->slow |= stmt->slow;
	} else {
		begin(m, stmt->at, stmt->slow);
	}
	text_add(&m->text, str_c(stmt->shown));
}

static void list(struct maker *m, const struct ast_stmt *stmt)
{
	for (; stmt != NULL; stmt = stmt->next) {
		switch ((enum ast_statement)stmt->kind) {
		case AST_IF:
			branch(m, stmt, "");
			break;
		case AST_WHILE:
			begin(m, stmt->at, stmt->slow);
			text_add(&m->text, str_c(stmt->shown));
			flush(m);
			body(m, stmt->then);
			break;
		case AST_SWITCH:
			cases(m, stmt);
			break;
		case AST_BLOCK:
			list(m, stmt->then);
			break;
		default:
			simple(m, stmt);
			break;
		}
	}
}

int explain_make(struct route_load *load)
{
	struct maker m = {.load = load};

	for (const struct ast_block *block = load->blocks; block != NULL; block = block->next) {
		struct text name = {0};

		text_addf(&name, block->name.len > 0 ? "%s[%.*s]" : "%s",
			ast_block_text((enum ast_block_kind)block->kind, block->name.len > 0),
			STR_FMT(block->name));
		if (load->block_count > 1 && name.s != NULL)
			heading(&m, block->at, "%.*s", str_of(name.s, name.len));
		text_free(&name);
		m.depth = load->block_count > 1;
		list(&m, block->body);
		flush(&m);
		m.depth = 0;
	}
	return load->gave_up ? -ENOMEM : 0;
}

static bool is_slow_name(const struct route_script *script, uint32_t i)
{
	const struct code *code = &script->code[script->name[i].pc];

	return code->op == CODE_STATE || (code->op == CODE_CALL && script->site[code->c].slow);
}

/* The names that stop on the slow path, each once. */
static void print_slow_names(const struct route_script *script, struct text *text)
{
	unsigned shown = 0;

	for (uint32_t i = 0; i < script->names; i++) {
		bool again = !is_slow_name(script, i);

		for (uint32_t j = 0; j < i && !again; j++)
			again = is_slow_name(script, j) &&
				strcmp(script->name[i].name, script->name[j].name) == 0;
		if (again)
			continue;
		text_addf(text, "%s%s", shown++ > 0 ? ", " : "", script->name[i].name);
	}
}

int route_explain(
	const struct route_script *script, int (*print)(void *arg, const char *line), void *arg)
{
	const char *main_file = script->lines > 0 ? script->line[0].file : "";
	struct text text = {0};
	int err = print(arg, "path   line  statement");

	for (uint32_t i = 0; i < script->lines && err == 0; i++) {
		const struct code_line *line = &script->line[i];

		text_addf(&text, "%-4s%7d  ",
			line->heading ? ""
			: line->slow  ? "slow"
				      : "fast",
			line->line);
		text_add(&text, str_c(line->text));
		if (strcmp(line->file, main_file) != 0)
			text_addf(&text, "  # %s", line->file);
		err = text.s != NULL ? print(arg, text.s) : -ENOMEM;
		text_free(&text);
	}
	if (err != 0)
		return err;
	if (script->slow_lines == 0) {
		text_addf(&text,
			"All %u statements run on the workers: no message needs the slow path.",
			script->statement_lines);
	} else {
		text_addf(&text, "%u of %u statements need the slow path: ", script->slow_lines,
			script->statement_lines);
		print_slow_names(script, &text);
		text_add(&text, STR("."));
	}
	err = text.s != NULL ? print(arg, text.s) : -ENOMEM;
	text_free(&text);
	return err;
}

/* ---- reference ---- */

static void print_text(int (*print)(void *arg, const char *line), void *arg, struct text *text)
{
	if (text->s != NULL)
		print(arg, text->s);
	text_free(text);
}

static void reference_statements(int (*print)(void *arg, const char *line), void *arg)
{
	static const char *const rows[][2] = {
		{"`request_route { }`, `route { }`", "runs for each request"},
		{"`reply_route { }`, `onreply_route { }`", "runs for each response"},
		{"`route[NAME] { }`", "runs where `route(NAME)` stands; `return N` sets `$rc`, and "
				      "0 ends the script"},
		{"`onreply_route[NAME] { }`, `failure_route[NAME] { }`, `branch_route[NAME] { }`",
			"named by t_on_reply, t_on_failure, t_on_branch"},
		{"`error_route { }`",
			"runs for a malformed request that can be answered, before the reply goes "
			"out: `$(err.info)`, `$(err.rcode)`; what it does not answer or drop gets "
			"that reply"},
		{"`event_route[MODULE:EVENT] { }`, `onsend_route { }`",
			"accepted as Kamailio has them; nothing runs them"},
		{"`if (CONDITION) STATEMENT [else STATEMENT]`",
			"a function is true where it returns more than 0"},
		{"`while (CONDITION) STATEMENT`", "bounded by the number of steps of a run"},
		{"`switch (VALUE) { case CONSTANT: ... default: ... }`",
			"one without `break` goes on in the next"},
		{"`break`", "leaves the innermost while or switch"},
		{"`return [VALUE]`", "leaves the block; without a value 1"},
		{"`exit`", "ends the script"},
		{"`drop`", "ends the script: a response is dropped (in onreply_route[NAME] a "
			   "provisional one), in branch_route the branch is not sent, a request "
			   "goes where it was sent before, if anywhere"},
		{"`$name = VALUE`", "also `:=`, which replaces all values of an AVP, `+=`, `-=`, "
				    "`*=`, `/=`, `%=`, `|=`, `&=`, `^=`"},
	};

	print(arg, "## Blocks and statements");
	print(arg, "");
	print(arg, "| statement | meaning |");
	print(arg, "|---|---|");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct text line = {0};

		text_add(&line, STR("| "));
		text_add_cell(&line, rows[i][0]);
		text_add(&line, STR(" | "));
		text_add_cell(&line, rows[i][1]);
		text_add(&line, STR(" |"));
		print_text(print, arg, &line);
	}
	print(arg, "");
	print(arg, "Operators, the tightest last: `||` `or`, `&&` `and`, `|`, `^`, `&`, `==` `eq` "
		   "`!=` `ne` `=~` `!~`, `<` `<=` `>` `>=`, "
		   "`<<` `>>`, `+` `-`, `*` `/` `%`, `!` `not` `~` `(int)` `(str)` `defined` "
		   "`strlen` `strempty`.");
	print(arg, "");
	print(arg,
		"Words: `method`, `uri`, `from_uri`, `to_uri`, `status`, `src_ip`, `src_port`, "
		"`dst_ip`, `dst_port`, `proto`, `af`, "
		"`msg:len`, `max_len`, `retcode`, `myself`, `NULL`; of `af` `INET` and `INET6`, of "
		"`proto` `UDP`, `TCP`, `TLS`, `SCTP`, `WS` and `WSS`.");
	print(arg, "");
	print(arg, "Transformations: `{s.len}`, `{s.int}`, `{s.lower}` `{s.tolower}`, `{s.upper}` "
		   "`{s.toupper}`, "
		   "`{s.substr,OFFSET,LENGTH}`, `{uri.user}`, `{uri.host}`, "
		   "`{uri.port}`, `{uri.param,NAME}`.");
	print(arg, "");
}

static void variable_rows(
	const struct route_variable *v, int (*print)(void *arg, const char *line), void *arg)
{
	for (; v->name != NULL; v++) {
		struct text line = {0};

		text_addf(&line, "| `$%s%s` | %s | %s |", v->name,
			v->index == ROUTE_INDEX_NAME ? "(name)" : "", v->set != NULL ? "yes" : "no",
			v->help != NULL ? v->help : "");
		print_text(print, arg, &line);
	}
}

static void reference_variables(int (*print)(void *arg, const char *line), void *arg)
{
	print(arg, "## Pseudo-variables");
	print(arg, "");
	print(arg, "| name | assignable | meaning |");
	print(arg, "|---|---|---|");
	print(arg, "| `$var(name)` | yes | a variable of this run; 0 until it is written |");
	print(arg, "| `$rc`, `$retcode`, `$?` | no | what the last function or route returned |");
	print(arg, "| `$null` | no | no value |");
	print(arg, "| `$_s(format)` | no | the text of a format with variables in it |");
	variable_rows(route_variables, print, arg);
	print(arg, "");
	transform_reference(print, arg);
}

static void reference_blocks(struct text *line, unsigned in)
{
	static const struct {
		unsigned in;
		const char *name;
	} names[] = {{ROUTE_IN_REQUEST, "request"}, {ROUTE_IN_REPLY, "reply"},
		{ROUTE_IN_FAILURE, "failure"}, {ROUTE_IN_BRANCH, "branch"},
		{ROUTE_IN_EVENT, "event"}, {ROUTE_IN_ERROR, "error"}};
	unsigned shown = 0;

	if ((in & ROUTE_IN_ANY) == ROUTE_IN_ANY) {
		text_add(line, STR("any"));
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((in & names[i].in) != 0)
			text_addf(line, "%s%s", shown++ > 0 ? ", " : "", names[i].name);
	}
}

static void function_row(
	const struct route_function *fn, int (*print)(void *arg, const char *line), void *arg)
{
	static const char *const path[] = {[ROUTE_PATH_FAST] = "fast",
		[ROUTE_PATH_SLOW] = "slow",
		[ROUTE_PATH_EITHER] = "slow, or fast where it can"};
	struct text line = {0};

	text_add(&line, STR("| `"));
	text_add_cell(&line, fn->usage != NULL ? fn->usage : fn->name);
	text_add(&line, STR("`"));
	if (fn->statement != NULL)
		text_addf(&line, ", `%s`", fn->statement);
	text_addf(&line, " | %s | ", path[fn->path]);
	reference_blocks(&line, fn->in);
	text_addf(&line, " | %s | ", fn->rfc != NULL ? fn->rfc : "");
	text_add_cell(&line, fn->help);
	text_addf(&line, "%s |", fn->run == NULL ? " (answers 500: nothing runs it yet)" : "");
	print_text(print, arg, &line);
}

static void parameter_row(
	const struct route_param *p, int (*print)(void *arg, const char *line), void *arg)
{
	struct text line = {0};

	text_addf(&line, "| `%s` | %s", p->name, p->type == ROUTE_PARAM_INT ? "number" : "text");
	if (p->type == ROUTE_PARAM_INT && !p->accepted_only && (p->min != 0 || p->max != 0))
		text_addf(&line, " %lld to %lld", (long long)p->min, (long long)p->max);
	text_addf(&line, " | %s | %s%s |", p->initial != NULL ? p->initial : "",
		p->help != NULL ? p->help : "",
		p->accepted_only ? " (accepted, no effect here)" : "");
	print_text(print, arg, &line);
}

/* All that modules of one name have: the core's functions come from several rooms. */
static void reference_module(const struct route_registry *registry, unsigned first,
	int (*print)(void *arg, const char *line), void *arg)
{
	const struct route_module *module = registry->module[first];
	const struct route_function *textops = route_textops_module.functions;
	struct text line = {0};
	bool any = false;

	if (module->name[0] != '\0')
		text_addf(&line, "## Module `%s`", module->name);
	else
		text_addf(&line, "## Functions of the core");
	print_text(print, arg, &line);
	print(arg, "");
	for (unsigned i = first; i < registry->count; i++) {
		const struct route_function *fn = registry->module[i]->functions;

		if (strcmp(registry->module[i]->name, module->name) != 0)
			continue;
		if (fn == textops && module != &route_textops_module) {
			print(arg, "Its functions are those of module `textops`.");
			continue;
		}
		for (; fn != NULL && fn->name != NULL; fn++) {
			if (!any) {
				print(arg, "| function | path | blocks | RFC | meaning |");
				print(arg, "|---|---|---|---|---|");
			}
			any = true;
			function_row(fn, print, arg);
		}
	}
	if (module->variables != NULL && module->variables->name != NULL) {
		print(arg, "");
		print(arg, "| variable | assignable | meaning |");
		print(arg, "|---|---|---|");
		variable_rows(module->variables, print, arg);
	}
	if (module->params != NULL && module->params->name != NULL) {
		print(arg, "");
		print(arg, "| parameter | type | default | meaning |");
		print(arg, "|---|---|---|---|");
	}
	for (const struct route_param *p = module->params; p != NULL && p->name != NULL; p++)
		parameter_row(p, print, arg);
	if (module->name[0] != '\0')
		known_reference(1u << KNOWN_PARAM | 1u << KNOWN_NO_PARAM | 1u << KNOWN_NO_FUNCTION |
					1u << KNOWN_NO_VARIABLE,
			str_c(module->name), print, arg);
	print(arg, "");
}

void route_reference(
	const struct route_registry *registry, int (*print)(void *arg, const char *line), void *arg)
{
	config_reference(print, arg);
	reference_statements(print, arg);
	reference_variables(print, arg);
	for (unsigned i = 0; i < registry->count; i++) {
		if (registry_find(registry, str_c(registry->module[i]->name)) == (int)i)
			reference_module(registry, i, print, arg);
	}
	print(arg, "## Events and modules of other servers");
	known_reference(1u << KNOWN_EVENT | 1u << KNOWN_NO_EVENT | 1u << KNOWN_NO_MODULE, STR(""),
		print, arg);
}
