/* SPDX-License-Identifier: BSD-3-Clause */
/* The language: globals, modules, blocks, statements. Builds the tree; its meaning is the checker's. */
%define api.pure full
%define api.prefix {route_yy}
%define api.location.type {struct ast_at}
%define parse.error custom
%locations
%param {void *scanner}
%parse-param {struct route_load *load}
%expect 0

%code requires {
#include <errno.h>
#include "route/load.h"
struct case_list {
	struct ast_case *first, **end;
};
struct stmt_list {
	struct ast_stmt *first, *last;
};
struct arg_list {
	struct ast_expr *first, *last;
	unsigned n;
};
}

%code {
#define YYMAXDEPTH 3000
#define YYLLOC_DEFAULT(current, rhs, n)                                                            \
	do {                                                                                       \
		if (n) {                                                                           \
			(current).from = YYRHSLOC(rhs, 1).from;                                    \
			(current).to = YYRHSLOC(rhs, n).to;                                        \
		} else {                                                                           \
			(current).from = (current).to = YYRHSLOC(rhs, 0).to;                       \
		}                                                                                  \
	} while (0)

int route_yylex(ROUTE_YYSTYPE *value, struct ast_at *at, void *scanner);
int route_yylex_init_extra(struct route_load *load, void **scanner);
int route_yylex_destroy(void *scanner);
void *route_yy_scan_bytes(const char *bytes, int len, void *scanner);

static void route_yyerror(const struct ast_at *at, void *scanner, struct route_load *load,
	const char *message);
static struct ast_expr *make(struct route_load *load, enum ast_kind kind, struct ast_at at);
static struct ast_expr *make_text(struct route_load *load, enum ast_kind kind, struct ast_at at,
	struct str text);
static struct ast_expr *unary(struct route_load *load, enum ast_op op, struct ast_at at,
	struct ast_expr *a);
static struct ast_expr *binary(struct route_load *load, enum ast_op op, struct ast_at at,
	struct ast_expr *a, struct ast_expr *b);
static struct ast_stmt *statement(struct route_load *load, enum ast_statement kind,
	struct ast_at at);
static void block(struct route_load *load, enum ast_block_kind kind, struct str name,
	struct ast_at at, struct ast_stmt *body);
static struct str join(struct route_load *load, struct str a, struct str b);
static struct str digits(struct route_load *load, int64_t n);
static struct str all_values(struct route_load *load, struct str variable);
static struct str span(const struct route_load *load, struct ast_at at);
}

%union {
	struct str str;
	int64_t number;
	struct ast_expr *expr;
	struct ast_stmt *stmt;
	struct stmt_list stmts;
	struct case_list cases;
	struct ast_case *one_case;
	struct arg_list args;
	struct config_value value;
	int op;
}

%token <str> IDENT "name" STRING "string" VARIABLE_NAME "variable" ADDRESS "address"
%token <str> SOCKET "socket" WORD "word" NAME_TEXT "block name"
%token <number> NUMBER "number"
%token ROUTE "route" REQUEST_ROUTE "request_route" REPLY_ROUTE "reply_route"
%token FAILURE_ROUTE "failure_route"
%token BRANCH_ROUTE "branch_route" EVENT_ROUTE "event_route" ERROR_ROUTE "error_route"
%token ONSEND_ROUTE "onsend_route"
%token IF "if" ELSE "else" WHILE "while" SWITCH "switch" CASE "case" DEFAULT "default"
%token BREAK "break" RETURN "return"
%token EXIT "exit" DROP "drop" LOADMODULE "loadmodule" MODPARAM "modparam" LISTEN "listen"
%token ALIAS "alias"
%token ADVERTISE "advertise" DEFINED "defined" STRLEN "strlen" STREMPTY "strempty"
%token CAST_INT "(int)" CAST_STR "(str)" FLAGS "flags" NAMED "name \"...\""
%token DESC "desc"
%token AND "&&" OR "||" NOT "!" EQ "==" NE "!=" MATCH "=~" NOT_MATCH "!~" LE "<=" GE ">=" SHL "<<"
%token SHR ">>"
%token REPLACE_SET ":="
%token ADD_SET "+=" SUB_SET "-=" MUL_SET "*=" DIV_SET "/=" MOD_SET "%=" OR_SET "|=" AND_SET "&="
%token XOR_SET "^="
%token JUNK "character that means nothing here"
%token END 0 "end of file"

%left OR
%left AND
%left '|'
%left '^'
%left '&'
%left EQ NE MATCH NOT_MATCH
%left '<' '>' LE GE
%left SHL SHR
%left '+' '-'
%left '*' '/' '%'
%precedence NO_ELSE
%precedence ELSE
%precedence NOT '~' DEFINED STRLEN STREMPTY CAST_INT CAST_STR UNARY_MINUS

%type <str> string host block_name port_name
%type <number> signed
%type <value> value raw
%type <expr> expr call arg route_call condition
%type <args> args arg_list
%type <stmt> stmt simple body_or_nothing
%type <stmts> stmts
%type <cases> cases
%type <one_case> case
%type <op> assign

%%

file
	: %empty
	| file item
	;

item
	: ';'
	| global
	| LOADMODULE string			{ config_loadmodule(load, $2, @2); }
	| LOADMODULE IDENT '.' IDENT		{ config_loadmodule(load, $2, @2); }
	| MODPARAM '(' string ',' string ',' value ')'	{ config_modparam(load, $3, @3, $5, @5, &$7); }
	| LISTEN '=' WORD			{ config_listen(load, $3, @3, STR_NONE, @3, STR_NONE); }
	| LISTEN '=' WORD listen_options
	| ALIAS '=' WORD			{ config_alias(load, $3, @3); }
	| FLAGS flag_list
	| settings
	| blocks
	;

listen_options
	: ADVERTISE WORD			{ config_listen(load, $<str>0, @0, $2, @2, STR_NONE); }
	| ADVERTISE WORD NAMED STRING		{ config_listen(load, $<str>0, @0, $2, @2, $4); }
	| NAMED STRING				{ config_listen(load, $<str>0, @0, STR_NONE, @0, $2); }
	;

flag_list
	: flag
	| flag_list ',' flag
	;

flag
	: IDENT ':' NUMBER			{ load_flag_define(load, $1, @1, $3); }
	| IDENT '=' NUMBER			{ load_flag_define(load, $1, @1, $3); }
	;

global
	: IDENT '=' value			{ config_global(load, $1, @1, &$3); }
	| IDENT '.' IDENT '=' value		{ load_custom_define(load, $1, $3, @1, &$5); }
	| IDENT '.' IDENT '=' value DESC STRING	{ load_custom_define(load, $1, $3, @1, &$5); }
	;

string
	: STRING
	| string STRING				{ $$ = join(load, $1, $2); }
	;

signed
	: NUMBER
	| '-' NUMBER				{ $$ = -$2; }
	;

host
	: IDENT
	| host '.' IDENT			{ $$ = span(load, @$); }
	;

value
	: signed				{ $$ = (struct config_value){true, false, $1, span(load, @1), @1}; }
	| string				{ $$ = (struct config_value){false, true, 0, $1, @1}; }
	| host					{ $$ = (struct config_value){false, false, 0, $1, @1}; }
	| ADDRESS				{ $$ = (struct config_value){false, false, 0, $1, @1}; }
	| SOCKET				{ $$ = (struct config_value){false, false, 0, $1, @1}; }
	;

settings
	: IDENT port_name '{'			{ if (!str_eq($1, STR("port"))) {
							config_unknown_block(load, $1, @1);
							YYABORT;
						  }
						  config_port_begin(load, $2, @2); }
	  port_settings '}'			{ config_port_end(load); }
	| IDENT '{'				{ if (!str_eq($1, STR("cores")) && !str_eq($1, STR("memory"))) {
							config_unknown_block(load, $1, @1);
							YYABORT;
						  } }
	  plain_settings '}'
	;

port_name
	: STRING
	| IDENT
	;

port_settings
	: %empty
	| port_settings ';'
	| port_settings IDENT '=' raw ';'	{ config_port_set(load, $2, @2, &$4); }
	;

plain_settings
	: %empty				{ $<str>$ = $<str>-2; }
	| plain_settings ';'			{ $<str>$ = $<str>1; }
	| plain_settings IDENT '=' raw ';'	{ if (str_eq($<str>1, STR("cores")))
							config_cores_set(load, $2, @2, &$4);
						  else if (str_eq($<str>1, STR("memory")))
							config_memory_set(load, $2, @2, &$4);
						  $<str>$ = $<str>1; }
	;

raw
	: signed				{ $$ = (struct config_value){true, false, $1, span(load, @1), @1}; }
	| string				{ $$ = (struct config_value){false, true, 0, $1, @1}; }
	| IDENT					{ $$ = (struct config_value){false, false, 0, $1, @1}; }
	| ADDRESS				{ $$ = (struct config_value){false, false, 0, $1, @1}; }
	| SOCKET				{ $$ = (struct config_value){false, false, 0, $1, @1}; }
	| raw raw_more				{ $$ = (struct config_value){false, false, 0, span(load, @$), @$}; }
	;

raw_more
	: ',' | '-' | ':' | '.' | '/' | NUMBER | IDENT | ADDRESS | SOCKET
	;

blocks
	: REQUEST_ROUTE '{' stmts '}'		{ block(load, AST_BLOCK_REQUEST, STR_NONE, @1, $3.first); }
	| ROUTE '{' stmts '}'			{ block(load, AST_BLOCK_REQUEST, STR_NONE, @1, $3.first); }
	| ROUTE block_name '{' stmts '}'
		{ block(load, str_eq($2, STR("0")) ? AST_BLOCK_REQUEST : AST_BLOCK_ROUTE,
							str_eq($2, STR("0")) ? STR_NONE : $2, @2, $4.first); }
	| REPLY_ROUTE '{' stmts '}'		{ block(load, AST_BLOCK_REPLY, STR_NONE, @1, $3.first); }
	| REPLY_ROUTE block_name '{' stmts '}'
		{ block(load, AST_BLOCK_REPLY, str_eq($2, STR("0")) ? STR_NONE : $2, @2,
			$4.first); }
	| FAILURE_ROUTE block_name '{' stmts '}' { block(load, AST_BLOCK_FAILURE, $2, @2, $4.first); }
	| BRANCH_ROUTE block_name '{' stmts '}'	{ block(load, AST_BLOCK_BRANCH, $2, @2, $4.first); }
	| EVENT_ROUTE block_name '{' stmts '}'	{ block(load, AST_BLOCK_EVENT, $2, @2, $4.first); }
	| ERROR_ROUTE '{' stmts '}'		{ block(load, AST_BLOCK_ERROR, STR_NONE, @1, $3.first); }
	| ONSEND_ROUTE '{' stmts '}'		{ block(load, AST_BLOCK_ONSEND, STR_NONE, @1, $3.first); }
	;

block_name
	: '[' NAME_TEXT ']'			{ $$ = $2; }
	;

stmts
	: %empty				{ $$ = (struct stmt_list){NULL, NULL}; }
	| stmts stmt				{ $$ = $1;
						  if ($2 != NULL) {
							if ($$.last != NULL)
								$$.last->next = $2;
							else
								$$.first = $2;
							$$.last = $2;
						  } }
	;

stmt
	: ';'					{ $$ = NULL; }
	| '{' stmts '}'				{ $$ = statement(load, AST_BLOCK, @$); $$->then = $2.first; }
	| IF condition stmt ELSE stmt
		{ $$ = statement(load, AST_IF, @2); $$->expr = $2; $$->then = $3;
			$$->otherwise = $5; }
	| IF condition stmt %prec NO_ELSE
		{ $$ = statement(load, AST_IF, @2); $$->expr = $2; $$->then = $3; }
	| WHILE condition stmt			{ $$ = statement(load, AST_WHILE, @2); $$->expr = $2; $$->then = $3; }
	| SWITCH '(' expr ')' '{' cases '}'
		{ $$ = statement(load, AST_SWITCH, @3); $$->expr = $3; $$->cases = $6.first; }
	| simple ';'
	;

condition
	: expr
	;

cases
	: %empty				{ $$ = (struct case_list){NULL, NULL}; }
	| cases case				{ $$ = $1;
						  if ($$.first == NULL)
							$$.first = $2;
						  else
							*$$.end = $2;
						  $$.end = &$2->next; }
	;

case
	: CASE expr ':' body_or_nothing		{ $$ = ast_alloc(&load->arena, sizeof(struct ast_case));
						  if ($$ == NULL) { load_no_memory(load); YYABORT; }
						  $$->at = @2; $$->value = $2; $$->body = $4; }
	| CASE '/' expr '/' ':' body_or_nothing
		{ load_error(load, @3, "a case compares with a constant: write if and =~ instead");
			load->gave_up = true; $$ = NULL; YYABORT; }
	| DEFAULT ':' body_or_nothing		{ $$ = ast_alloc(&load->arena, sizeof(struct ast_case));
						  if ($$ == NULL) { load_no_memory(load); YYABORT; }
						  $$->at = @1; $$->body = $3; }
	;

body_or_nothing
	: stmts					{ $$ = $1.first; }
	;

simple
	: call					{ $$ = statement(load, AST_EXPR, @1); $$->expr = $1; }
	| route_call				{ $$ = statement(load, AST_EXPR, @1); $$->expr = $1; }
	| VARIABLE_NAME assign expr		{ $$ = statement(load, AST_ASSIGN, @$);
						  $$->target = make_text(load, AST_VAR, @1, $1); $$->op = (uint8_t)$2; $$->expr = $3; }
	| VARIABLE_NAME REPLACE_SET expr	{ $$ = statement(load, AST_ASSIGN, @$);
						  $$->target = make_text(load, AST_VAR, @1, all_values(load, $1));
						  $$->op = AST_OP_NONE; $$->expr = $3; }
	| BREAK					{ $$ = statement(load, AST_BREAK, @1); }
	| RETURN				{ $$ = statement(load, AST_RETURN, @1); }
	| RETURN expr				{ $$ = statement(load, AST_RETURN, @1); $$->expr = $2; }
	| RETURN '(' ')'			{ $$ = statement(load, AST_RETURN, @1); }
	| EXIT					{ $$ = statement(load, AST_EXIT, @1); }
	| EXIT expr				{ $$ = statement(load, AST_EXIT, @1); }
	| EXIT '(' ')'				{ $$ = statement(load, AST_EXIT, @1); }
	| DROP					{ $$ = statement(load, AST_DROP, @1); }
	| DROP expr				{ $$ = statement(load, AST_DROP, @1); }
	| DROP '(' ')'				{ $$ = statement(load, AST_DROP, @1); }
	;

assign
	: '='					{ $$ = AST_OP_NONE; }
	| ADD_SET				{ $$ = AST_OP_ADD; }
	| SUB_SET				{ $$ = AST_OP_SUB; }
	| MUL_SET				{ $$ = AST_OP_MUL; }
	| DIV_SET				{ $$ = AST_OP_DIV; }
	| MOD_SET				{ $$ = AST_OP_MOD; }
	| OR_SET				{ $$ = AST_OP_BIT_OR; }
	| AND_SET				{ $$ = AST_OP_BIT_AND; }
	| XOR_SET				{ $$ = AST_OP_BIT_XOR; }
	;

call
	: IDENT					{ $$ = make_text(load, AST_NAME, @1, $1); }
	| IDENT '(' args ')'
		{ $$ = make_text(load, AST_CALL, @1, $1); $$->arg = $3.first; $$->args = $3.n;
						  for (struct ast_expr *a = $3.first; a != NULL; a = a->next)
							if (a->depth >= $$->depth) $$->depth = (uint16_t)(a->depth + 1); }
	;

route_call
	: ROUTE '(' IDENT ')'			{ $$ = make_text(load, AST_ROUTE, @3, $3); }
	| ROUTE '(' NUMBER ')'			{ $$ = make_text(load, AST_ROUTE, @3, digits(load, $3)); }
	| ROUTE '(' STRING ')'			{ $$ = make_text(load, AST_ROUTE, @3, $3); $$->quoted = true; }
	| ROUTE '(' VARIABLE_NAME ')'
		{ load_error(load, @3,
			"the name of a route must stand in the script: what it does is checked at load");
						  $$ = make(load, AST_INT, @3); }
	;

args
	: %empty				{ $$ = (struct arg_list){NULL, NULL, 0}; }
	| arg_list
	;

arg_list
	: arg					{ $$ = (struct arg_list){$1, $1, 1}; }
	| arg_list ',' arg			{ $$ = $1; $$.last->next = $3; $$.last = $3; $$.n++; }
	;

arg
	: expr
	| IDENT '.' host			{ $$ = make_text(load, AST_SOCKET, @$, span(load, @$)); }
	;

expr
	: call
	| route_call
	| NUMBER				{ $$ = make_text(load, AST_INT, @1, span(load, @1)); $$->i = $1; }
	| string				{ $$ = make_text(load, AST_STR, @1, $1); $$->quoted = true; }
	| VARIABLE_NAME				{ $$ = make_text(load, AST_VAR, @1, $1); }
	| ADDRESS				{ $$ = make_text(load, AST_ADDRESS, @1, $1); }
	| SOCKET				{ $$ = make_text(load, AST_SOCKET, @1, $1); }
	| '(' expr ')'				{ $$ = $2; }
	| expr OR expr				{ $$ = binary(load, AST_OP_OR, @$, $1, $3); }
	| expr AND expr				{ $$ = binary(load, AST_OP_AND, @$, $1, $3); }
	| expr '|' expr				{ $$ = binary(load, AST_OP_BIT_OR, @$, $1, $3); }
	| expr '^' expr				{ $$ = binary(load, AST_OP_BIT_XOR, @$, $1, $3); }
	| expr '&' expr				{ $$ = binary(load, AST_OP_BIT_AND, @$, $1, $3); }
	| expr EQ expr				{ $$ = binary(load, AST_OP_EQ, @$, $1, $3); }
	| expr NE expr				{ $$ = binary(load, AST_OP_NE, @$, $1, $3); }
	| expr MATCH expr			{ $$ = binary(load, AST_OP_MATCH, @$, $1, $3); }
	| expr NOT_MATCH expr			{ $$ = binary(load, AST_OP_NOT_MATCH, @$, $1, $3); }
	| expr '<' expr				{ $$ = binary(load, AST_OP_LT, @$, $1, $3); }
	| expr '>' expr				{ $$ = binary(load, AST_OP_GT, @$, $1, $3); }
	| expr LE expr				{ $$ = binary(load, AST_OP_LE, @$, $1, $3); }
	| expr GE expr				{ $$ = binary(load, AST_OP_GE, @$, $1, $3); }
	| expr SHL expr				{ $$ = binary(load, AST_OP_SHL, @$, $1, $3); }
	| expr SHR expr				{ $$ = binary(load, AST_OP_SHR, @$, $1, $3); }
	| expr '+' expr				{ $$ = binary(load, AST_OP_ADD, @$, $1, $3); }
	| expr '-' expr				{ $$ = binary(load, AST_OP_SUB, @$, $1, $3); }
	| expr '*' expr				{ $$ = binary(load, AST_OP_MUL, @$, $1, $3); }
	| expr '/' expr				{ $$ = binary(load, AST_OP_DIV, @$, $1, $3); }
	| expr '%' expr				{ $$ = binary(load, AST_OP_MOD, @$, $1, $3); }
	| NOT expr				{ $$ = unary(load, AST_OP_NOT, @$, $2); }
	| '~' expr				{ $$ = unary(load, AST_OP_BIT_NOT, @$, $2); }
	| '-' expr %prec UNARY_MINUS		{ $$ = unary(load, AST_OP_NEG, @$, $2); }
	| CAST_INT expr				{ $$ = unary(load, AST_OP_TO_INT, @$, $2); }
	| CAST_STR expr				{ $$ = unary(load, AST_OP_TO_STR, @$, $2); }
	| DEFINED expr				{ $$ = unary(load, AST_OP_DEFINED, @$, $2); }
	| STRLEN expr				{ $$ = unary(load, AST_OP_STRLEN, @$, $2); }
	| STREMPTY expr				{ $$ = unary(load, AST_OP_STREMPTY, @$, $2); }
	;

%%

/* Stands in where memory is out: the load fails anyway, and no caller has to look. */
static struct ast_expr spare_expr;
static struct ast_stmt spare_stmt;

static struct ast_expr *make(struct route_load *load, enum ast_kind kind, struct ast_at at)
{
	struct ast_expr *expr = ast_alloc(&load->arena, sizeof(*expr));

	if (expr == NULL) {
		load_no_memory(load);
		spare_expr = (struct ast_expr){0};
		return &spare_expr;
	}
	expr->kind = (uint8_t)kind;
	expr->at = at;
	return expr;
}

static struct ast_expr *make_text(struct route_load *load, enum ast_kind kind, struct ast_at at,
	struct str text)
{
	struct ast_expr *expr = make(load, kind, at);

	expr->text = text;
	return expr;
}

static void deepen(struct route_load *load, struct ast_expr *expr, const struct ast_expr *below)
{
	if (below->depth >= expr->depth)
		expr->depth = (uint16_t)(below->depth + 1);
	if (expr->depth == AST_DEPTH_MAX) {
		load_error(load, expr->at, "this expression is nested too deeply");
		load->gave_up = true;
	}
}

static struct ast_expr *unary(struct route_load *load, enum ast_op op, struct ast_at at,
	struct ast_expr *a)
{
	struct ast_expr *expr = make(load, AST_UNARY, at);

	expr->op = (uint8_t)op;
	expr->a = a;
	deepen(load, expr, a);
	return expr;
}

static bool is_comparison(enum ast_op op)
{
	return op >= AST_OP_EQ && op <= AST_OP_GE;
}

static bool is_negated_word(const struct ast_expr *expr)
{
	return expr->kind == AST_UNARY && expr->op == AST_OP_NOT && expr->a != NULL &&
		expr->a->kind == AST_NAME;
}

static struct ast_expr *binary(struct route_load *load, enum ast_op op, struct ast_at at,
	struct ast_expr *a, struct ast_expr *b)
{
	struct ast_expr *expr = make(load, AST_BINARY, at);
	struct ast_expr *negated = is_comparison(op) && is_negated_word(a) ? a : NULL;

	/* `!uri == myself` is OpenSER's way to write `!(uri == myself)`. */
	if (negated != NULL)
		a = negated->a;
	expr->op = (uint8_t)op;
	expr->a = a;
	expr->b = b;
	deepen(load, expr, a);
	deepen(load, expr, b);
	if (negated == NULL)
		return expr;
	negated->a = expr;
	negated->at.to = at.to;
	deepen(load, negated, expr);
	return negated;
}

static struct ast_stmt *statement(struct route_load *load, enum ast_statement kind,
	struct ast_at at)
{
	struct ast_stmt *stmt = ast_alloc(&load->arena, sizeof(*stmt));

	if (stmt == NULL) {
		load_no_memory(load);
		spare_stmt = (struct ast_stmt){0};
		return &spare_stmt;
	}
	if (++load->statements == AST_STATEMENTS_MAX) {
		load_error(load, at, "more than %d statements", AST_STATEMENTS_MAX);
		load->gave_up = true;
	}
	stmt->kind = (uint8_t)kind;
	stmt->at = at;
	return stmt;
}

static void block(struct route_load *load, enum ast_block_kind kind, struct str name,
	struct ast_at at, struct ast_stmt *body)
{
	struct ast_block *b;

	for (const struct ast_block *other = load->blocks; other != NULL; other = other->next) {
		struct route_place place;

		if (other->kind != kind || !str_eq(other->name, name))
			continue;
		place = load_place(load, other->at);
		load_error(load, at, "a second %s%s%.*s%s; the first stands at %s:%d", ast_block_text(kind,
			name.len > 0), name.len > 0 ? "[" : "",
			STR_FMT(name), name.len > 0 ? "]" : "", place.file, place.line);
		return;
	}
	if (load->block_count++ == AST_BLOCKS_MAX) {
		load_error(load, at, "more than %d blocks", AST_BLOCKS_MAX);
		load->gave_up = true;
		return;
	}
	b = ast_alloc(&load->arena, sizeof(*b));
	if (b == NULL) {
		load_no_memory(load);
		return;
	}
	b->kind = (uint8_t)kind;
	b->name = name;
	b->at = at;
	b->body = body;
	*load->blocks_end = b;
	load->blocks_end = &b->next;
}

static struct str join(struct route_load *load, struct str a, struct str b)
{
	char *s = ast_alloc(&load->arena, (size_t)a.len + b.len + 1);

	if (s == NULL) {
		load_no_memory(load);
		return a;
	}
	if (a.len > 0)
		memcpy(s, a.s, a.len);
	if (b.len > 0)
		memcpy(s + a.len, b.s, b.len);
	return str_of(s, (size_t)a.len + b.len);
}

/* `$avp(x) := 1` replaces all values of an AVP, as $(avp(x)[*]) = 1 does; of other variables it is an
 * assignment. */
static struct str all_values(struct route_load *load, struct str variable)
{
	static const struct str avp = {"$avp(", 5};

	if (variable.len <= avp.len || !str_eq(str_of(variable.s, avp.len), avp))
		return variable;
	return join(load, join(load, STR("$("), str_of(variable.s + 1, variable.len - 1)),
		STR("[*])"));
}

static struct str digits(struct route_load *load, int64_t n)
{
	char s[20];
	unsigned len = str_from_u64(s, (uint64_t)n);

	return join(load, str_of(s, len), STR(""));
}

static struct str span(const struct route_load *load, struct ast_at at)
{
	struct str text = source_text(load->source);

	return str_of(text.s + at.from, at.to - at.from);
}

static void route_yyerror(const struct ast_at *at, void *scanner, struct route_load *load,
	const char *message)
{
	(void)scanner;
	/* The parser's stack is bounded: all that it says by itself is that it ended. */
	load_error(load, *at, "%s", strcmp(message,
		"memory exhausted") == 0 ? "this is nested too deeply" : message);
	load->gave_up = true;
}

/* "syntax error: unexpected X, expected Y or Z". */
static int yyreport_syntax_error(const yypcontext_t *context, void *scanner,
	struct route_load *load)
{
	enum { SHOWN = 4 };
	yysymbol_kind_t expected[SHOWN];
	yysymbol_kind_t token = yypcontext_token(context);
	int n = yypcontext_expected_tokens(context, expected, SHOWN);
	struct ast_at at = *yypcontext_location(context);
	struct text message = {0};
	struct str text = source_text(load->source);

	(void)scanner;
	text_addf(&message, "syntax error: unexpected ");
	if (token == YYSYMBOL_YYEMPTY || token == YYSYMBOL_YYEOF)
		text_addf(&message, "end of file");
	else
		text_addf(&message, "'%.*s'", at.to - at.from > 40 ? 40 : (int)(at.to - at.from),
			text.s + at.from);
	for (int i = 0; i < n; i++)
		text_addf(&message, "%s%s", i == 0 ? ", expected " : i + 1 == n ? " or " : ", ",
			yysymbol_name(expected[i]));
	/* The end of the file has no line of its own to show: the last byte has. */
	if (token == YYSYMBOL_YYEOF && at.from > 0) {
		at.from = text.len;
		while (at.from > 0 && str_is_lws(text.s[at.from - 1]))
			at.from--;
		at.from -= at.from > 0;
		at.to = at.from + 1;
	}
	load_error(load, at, "%s", message.s != NULL ? message.s : "syntax error");
	text_free(&message);
	return 0;
}

int grammar_parse(struct route_load *load)
{
	struct str text = source_text(load->source);
	void *scanner = NULL;
	int err = -ENOMEM;

	if (route_yylex_init_extra(load, &scanner) != 0) {
		load_no_memory(load);
		return -ENOMEM;
	}
	if (route_yy_scan_bytes(text.s, (int)text.len, scanner) == NULL)
		load_no_memory(load);
	else
		err = route_yyparse(scanner, load) == 0 ? 0 : -EINVAL;
	route_yylex_destroy(scanner);
	return err;
}
