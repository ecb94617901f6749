/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * Code of the routing VM and the script that holds it. Internal to lib/route.
 *
 * A stack machine: an instruction is 8 bytes, values are struct route_cell. Conditions jump on the
 * cell on top or, behind a call, on $rc.
 */
#include <stdatomic.h>

#include "route/ast.h"
#include "route/transform.h"

enum code_op {
	CODE_RETURN,     /* pops $rc; 0 ends the script */
	CODE_RETURN_ONE, /* $rc 1 */
	CODE_EXIT,
	CODE_DROP,
	CODE_JUMP,       /* c: target */
	CODE_JUMP_FALSE, /* pops */
	CODE_JUMP_TRUE,
	CODE_JUMP_RC_FALSE,
	CODE_JUMP_RC_TRUE,
	CODE_CALL,  /* c: site; a: arguments are the site's constants, else on the stack */
	CODE_READY, /* a call that can be made at once: arguments are constants, and it is fast */
	CODE_TEST,  /* the same; a CODE_JUMP_RC_* follows, which is taken where $rc > 0 equals b */
	CODE_TEST_METHOD, /* of is_method() */
	CODE_GUARD, /* b: enum route_in bits of what follows; elsewhere $rc is -1 and c is next */
	CODE_ROUTE, /* c: block */
	CODE_STATE, /* c: name in const: needs the slow path */
	CODE_PUSH,  /* c: constant cell */
	CODE_PUSH_INT, /* c: int32_t */
	CODE_PUSH_RC,  /* 1 where $rc > 0, else 0 */
	CODE_POP,
	CODE_COPY,     /* the top once more */
	CODE_GET,      /* c: variable */
	CODE_GET_SLOT, /* b: slot */
	CODE_SET,      /* pops; c: variable */
	CODE_SET_SLOT,
	CODE_FORMAT,    /* c: format */
	CODE_ORIGIN,    /* b: enum code_origin */
	CODE_MYSELF,    /* b: enum ast_subject */
	CODE_PREFIX,    /* b: AST_SRC_IP or AST_DST_IP, c: prefix */
	CODE_METHOD_IS, /* b: enum sip_method */
	CODE_MATCH,     /* pops; a: negated, c: regex */
	CODE_COMPARE,   /* pops two; b: enum ast_op EQ to GE but the matches */
	CODE_ARITH,     /* pops two; b: enum ast_op */
	CODE_ADD,       /* pops two: numbers or a concatenation, by the left one's type */
	CODE_CONCAT,    /* pops b cells, all made text */
	CODE_UNARY,     /* b: enum ast_op */
	CODE_TRANSFORM, /* the top; c: transformation */
};

enum code_origin {
	CODE_ORIGIN_LENGTH,
	CODE_ORIGIN_PROTO,
	CODE_ORIGIN_FAMILY,
	CODE_ORIGIN_SRC_PORT,
	CODE_ORIGIN_DST_PORT,
	CODE_ORIGIN_RC,
};

struct code {
	uint8_t op, a;
	uint16_t b;
	uint32_t c;
};
_Static_assert(sizeof(struct code) == 8, "eight instructions a cache line");

/* A call of a function. */
struct code_site {
	int32_t (*run)(struct route_ctx *ctx, const struct route_args *args);
	const struct route_function *fn;
	struct route_args args;       /* v: the constants, or NULL where they come from the stack */
	struct route_value *constant; /* of each argument; what is no constant is ROUTE_NULL here */
	bool slow;
	bool tried; /* slow, and a worker asks run() all the same */
};

/* A pseudo-variable that the script reads or writes. */
struct code_variable {
	const struct route_variable *variable;
	struct route_index index; /* its name lies in the script's text */
};

struct code_block {
	uint32_t pc;
	uint16_t stack; /* cells that its own code needs */
	uint8_t kind;
	const char *name;
};

/* A block that is found by its name while a script runs. */
struct code_named {
	uint16_t in; /* enum route_in bit of its kind */
	uint32_t block;
	struct str name;
};

/* A line of route_explain(). */
struct code_line {
	bool slow;
	bool heading; /* a block's beginning */
	int line;
	const char *file;
	const char *text;
};

struct code_module {
	bool loaded, prepared;
	void *config;
	void *data; /* from prepare() */
};

/* What an instruction that can stop is called. */
struct code_name {
	uint32_t pc;
	const char *name;
};

#define CODE_NO_BLOCK UINT32_MAX

struct route_script {
	_Atomic uint32_t references;
	bool published;
	struct route_registry registry;
	struct route_config config;

	struct code *code;
	uint32_t codes, codes_cap;
	struct code_name *name; /* in the order of pc */
	uint32_t names, names_cap;
	struct code_variable *use;
	uint32_t uses, uses_cap;
	struct route_cell *cell; /* constants */
	uint32_t cells, cells_cap;
	char *text; /* their bytes */
	uint32_t text_len, text_cap;
	struct code_site *site;
	uint32_t sites, sites_cap;
	struct code_block *block;
	uint32_t blocks;
	struct route_regex **regex;
	uint32_t regexes, regexes_cap;
	struct route_format **format;
	uint32_t formats, formats_cap;
	struct transform *transform;
	uint32_t transforms, transforms_cap;
	struct net_prefix *prefix;
	uint32_t prefixes, prefixes_cap;
	uint32_t request, reply, error; /* blocks, or CODE_NO_BLOCK */
	uint32_t end_pc;                /* an instruction that ends the run */
	struct code_named *named;       /* in the order of code_compare_named() */
	uint32_t nameds;

	char *slot[ROUTE_VARS_MAX];
	unsigned slots;

	struct code_module module[ROUTE_MODULES_MAX];
	struct code_line *line;
	uint32_t lines, lines_cap;
	uint32_t slow_lines, statement_lines;

	char **keep; /* strings that live as long as the script */
	uint32_t keeps, keeps_cap;
};

/* Makes room for one more element; false where memory is out. */
bool code_grow(void *array, uint32_t count, uint32_t *cap, size_t size);
/* A string that lives as long as the script, or NULL. */
const char *code_keep(struct route_script *script, struct str s);
/* The order of named blocks, for qsort() and bsearch(). */
int code_compare_named(const void *a, const void *b);
/* The VM's name of a function or variable at an instruction. */
const char *code_name_at(const struct route_script *script, uint32_t pc);
