/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * The tree of one configuration, as the grammar builds it and the checker completes it. It lives in
 * the arena of its load and is gone once the code is made. Internal to lib/route.
 */
#include "route/route.h"
#include "route/variable.h"

#define AST_DEPTH_MAX 400 /* nesting of one expression */
#define AST_STATEMENTS_MAX 20000
#define AST_BLOCKS_MAX 1024

/* Bytes [from, to) of the expanded text. */
struct ast_at {
	uint32_t from, to;
};

enum ast_op {
	AST_OP_NONE,
	AST_OP_OR,
	AST_OP_AND,
	AST_OP_BIT_OR,
	AST_OP_BIT_XOR,
	AST_OP_BIT_AND,
	AST_OP_EQ,
	AST_OP_NE,
	AST_OP_MATCH,
	AST_OP_NOT_MATCH,
	AST_OP_LT,
	AST_OP_LE,
	AST_OP_GT,
	AST_OP_GE,
	AST_OP_SHL,
	AST_OP_SHR,
	AST_OP_ADD,
	AST_OP_SUB,
	AST_OP_MUL,
	AST_OP_DIV,
	AST_OP_MOD,
	/* unary */
	AST_OP_NOT,
	AST_OP_BIT_NOT,
	AST_OP_NEG,
	AST_OP_TO_INT,
	AST_OP_TO_STR,
	AST_OP_DEFINED,
	AST_OP_STRLEN,
	AST_OP_STREMPTY,
};

enum ast_kind {
	/* from the grammar */
	AST_INT,     /* i */
	AST_STR,     /* text */
	AST_NAME,    /* text: a bare word */
	AST_VAR,     /* text: "$ru", "$(hdr(x){s.len})", all of it */
	AST_ADDRESS, /* text: 10.0.0.1, 10.0.0.0/8, [2001:db8::1] */
	AST_SOCKET,  /* text: udp:10.0.0.1:5060, uri:host: an argument's own syntax */
	AST_CALL,    /* text(args) */
	AST_ROUTE,   /* route(text) */
	AST_UNARY,   /* op a */
	AST_BINARY,  /* a op b */
	/* made by the checker of NAME, VAR and BINARY */
	AST_NULL,
	AST_RC,
	AST_PSEUDO,    /* variable, which */
	AST_SLOT,      /* row: slot of $var */
	AST_FORMAT,    /* index */
	AST_STATE,     /* text: a variable that needs state */
	AST_WHOLE,     /* msg:len */
	AST_PROTO,     /* transport of origin */
	AST_FAMILY,    /* 2 or 10, as AF_INET and AF_INET6 */
	AST_PORT,      /* row 0: src_port, 1: dst_port */
	AST_MYSELF,    /* row: enum ast_subject */
	AST_PREFIX,    /* row: AST_SRC_IP or AST_DST_IP; index */
	AST_METHOD_IS, /* row: enum sip_method */
	AST_REGEX,     /* a =~ index; row: 1 where negated */
	AST_TRANSFORM, /* a{...}: index */
};

enum ast_subject { AST_URI, AST_FROM_URI, AST_TO_URI, AST_SRC_IP, AST_DST_IP };

struct ast_expr {
	uint8_t kind, op;
	uint16_t depth;
	bool called_bare; /* AST_CALL of a name without parentheses */
	bool quoted;      /* AST_STR that was written in quotes */
	int32_t row;
	struct ast_at at;
	struct str text;
	int64_t i;
	struct ast_expr *a, *b;
	struct ast_expr *arg; /* AST_CALL: first argument */
	unsigned args;
	struct ast_expr *next; /* in a list of arguments */
	/* what the checker found */
	const struct route_function *fn;
	unsigned module;
	struct ast_block *target;              /* AST_ROUTE */
	const struct route_variable *variable; /* AST_PSEUDO */
	struct route_index which;
	uint32_t index; /* AST_CALL: site, AST_FORMAT, AST_REGEX, AST_PREFIX: of the script's arrays
			 */
	bool slow;      /* needs state */
	struct str state; /* AST_CALL: the variable in one of its strings that needs it */
	bool guard;       /* AST_CALL: the block may also run where the function may not */
};

enum ast_statement {
	AST_IF,
	AST_WHILE,
	AST_SWITCH,
	AST_BREAK,
	AST_RETURN,
	AST_EXIT,
	AST_DROP,
	AST_ASSIGN,
	AST_EXPR,
	AST_BLOCK,
};

struct ast_case {
	struct ast_at at;
	struct ast_expr *value; /* NULL: default */
	bool regex;             /* case /re/: */
	struct ast_stmt *body;
	struct ast_case *next;
};

struct ast_stmt {
	uint8_t kind;
	uint8_t op;        /* AST_ASSIGN: AST_OP_NONE for `=`, else of `+=` and so on */
	bool slow;         /* checker: what stands in the statement itself needs state */
	const char *shown; /* as route_explain() prints it */
	struct ast_at at;
	struct ast_expr *expr;             /* condition, value */
	struct ast_expr *target;           /* AST_ASSIGN */
	struct ast_stmt *then, *otherwise; /* bodies */
	struct ast_case *cases;
	struct ast_stmt *next;
};

enum ast_block_kind {
	AST_BLOCK_REQUEST,
	AST_BLOCK_ROUTE,
	AST_BLOCK_REPLY,
	AST_BLOCK_FAILURE,
	AST_BLOCK_BRANCH,
	AST_BLOCK_EVENT,
	AST_BLOCK_ERROR,
	AST_BLOCK_ONSEND,
};

struct ast_block {
	uint8_t kind;
	struct str name;  /* empty: the main one of its kind */
	struct ast_at at; /* keyword and name */
	struct ast_stmt *body;
	struct ast_block *next;
	/* checker */
	uint16_t in; /* enum route_in bits in which it may run */
	bool used;
	bool returns_value;
	/* compiler */
	uint32_t pc;
	uint16_t stack;
};

/* ---- memory of a load: freed at once ---- */

struct ast_chunk;
struct ast_arena {
	struct ast_chunk *chunk;
	size_t used;
};
/* Zeroed memory, or NULL. */
void *ast_alloc(struct ast_arena *arena, size_t size);
/* A NUL-terminated copy. */
char *ast_strdup(struct ast_arena *arena, struct str s);
void ast_free(struct ast_arena *arena);

/* ---- text ---- */

const char *ast_op_text(enum ast_op op);
/* "route", "onreply_route", ... ; `named`: there is a name behind it. */
const char *ast_block_text(enum ast_block_kind kind, bool named);

/* A growing line of text; stops growing when memory is out. */
struct text {
	char *s;
	size_t len, cap;
};
void text_add(struct text *text, struct str s);
void text_addf(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Text of a cell of a Markdown table: a bar would end it. */
void text_add_cell(struct text *text, const char *s);
void text_free(struct text *text);

/* Writes an expression as the language spells it. */
void ast_print(struct text *text, const struct ast_expr *expr);
