/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What one load of a configuration shares among lexer, grammar, checker and compiler. Internal to
 * lib/route.
 */
#include "route/ast.h"
#include "route/code.h"
#include "route/source.h"

#define LOAD_ERRORS_MAX 20 /* after these a load gives up */

/* flags NAME : 1, ... */
struct load_flag {
	struct str name;
	int64_t value;
	struct load_flag *next;
};

/* pstn.gw = "10.0.0.1", as Kamailio has it: $sel(cfg_get.pstn.gw) is its value. */
struct load_custom {
	struct str group, name, text;
	struct ast_at at;
	bool is_number, read;
	int64_t number;
	struct load_custom *next;
};

struct route_load {
	const struct route_registry *registry;
	struct route_report *report;
	struct source *source;
	struct ast_arena arena;
	struct route_script *script; /* being made */
	struct ast_block *blocks, **blocks_end;
	unsigned block_count, statements;
	struct load_flag *flags;
	struct load_custom *customs;
	/* lexer */
	bool expect_name; /* the next '[' begins a block's name */
	bool gave_up, module_missing;
	/* checker: the block at hand, loops and switches around */
	struct ast_block *block;
	unsigned breakables;
	uint64_t warned_globals[6];
};

struct route_place load_place(const struct route_load *load, struct ast_at at);
/* A file's name as written at `at`, kept with the script: a relative one is found beside the file
 * that names it. NULL where memory ends. */
const char *load_keep_path(struct route_load *load, struct str path, struct ast_at at);
void load_error(struct route_load *load, struct ast_at at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void load_warning(struct route_load *load, struct ast_at at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Out of memory: said once. */
void load_no_memory(struct route_load *load);

/* ---- grammar ---- */
/* Parses the source's text into load->blocks and the script's configuration. */
int grammar_parse(struct route_load *load);

/* ---- config: called by the grammar ---- */
struct config_value {
	bool is_number, is_string;
	int64_t number;
	struct str text; /* as written, or the string's content */
	struct ast_at at;
};
/* yes, no, on, off, true, false, 1, 0. */
bool config_truth(const struct config_value *value, int64_t *out);
void config_global(struct route_load *load, struct str name, struct ast_at at,
	const struct config_value *value);
void config_listen(struct route_load *load, struct str word, struct ast_at at, struct str advertise,
	struct ast_at advertise_at, struct str name);
void config_alias(struct route_load *load, struct str word, struct ast_at at);
void config_loadmodule(struct route_load *load, struct str name, struct ast_at at);
void config_modparam(struct route_load *load, struct str modules, struct ast_at modules_at,
	struct str name, struct ast_at name_at, const struct config_value *value);
/* `port "edge" {`: begins one; the settings that follow are its. */
void config_port_begin(struct route_load *load, struct str name, struct ast_at at);
void config_port_set(struct route_load *load, struct str key, struct ast_at at,
	const struct config_value *value);
void config_port_end(struct route_load *load);
void config_cores_set(struct route_load *load, struct str key, struct ast_at at,
	const struct config_value *value);
void config_memory_set(struct route_load *load, struct str key, struct ast_at at,
	const struct config_value *value);
/* A copy that lives as long as the script, or NULL where memory is out. */
const char *config_keep(struct route_load *load, struct str s);
/* What can be judged once all has been read: listeners. */
void config_finish(struct route_load *load);
/* Defaults, before the grammar runs. */
void config_init(struct route_config *config);
/* A word before `{` that begins nothing. */
void config_unknown_block(struct route_load *load, struct str word, struct ast_at at);
/* Prints the rows of the reference. */
void config_reference(int (*print)(void *arg, const char *line), void *arg);

/* ---- flags with names ---- */
void load_flag_define(struct route_load *load, struct str name, struct ast_at at, int64_t number);
/* The number of `flags NAME:3`, or of a flag that a parameter named. */
bool load_flag_find(const struct route_load *load, struct str name, int64_t *number);
/* Whether a parameter's value is the name of a flag, as OpenSIPS has them: one that is new gets the
 * highest number that is free. `number` may be NULL. */
bool load_flag_of_param(struct route_load *load, struct str param, const struct config_value *value,
	int64_t *number);

/* ---- globals of the script's own ---- */
void load_custom_define(struct route_load *load, struct str group, struct str name,
	struct ast_at at, const struct config_value *value);
/* The one that "cfg_get.GROUP.NAME" is, or NULL. */
const struct load_custom *load_custom_find(struct route_load *load, struct str select);
/* The text of it in the load at hand, as long as its script lives; false: there is none. */
bool load_custom_text(struct str select, struct str *out);
/* Where this is an alias of the load at hand (avp_aliases), the AVP's name that it stands for. */
void load_avp_alias(struct str *name);
/* Behind the blocks: warns of those that nothing reads. */
void load_custom_finish(struct route_load *load);

/* ---- check, compile ---- */
int check_all(struct route_load *load);
int compile_all(struct route_load *load);

/* ---- registry ---- */
/* The slot of a module name in the registry, or -1. */
int registry_find(const struct route_registry *registry, struct str name);
/* Finds a function by its name or its statement name, in a loaded module first; its module in
 * *module. */
const struct route_function *registry_function(
	const struct route_script *script, struct str name, unsigned args, unsigned *module);
/* Loads the core's own module; false where memory is out. */
bool registry_load_core(struct route_script *script);
/* Modules whose functions are known by name only, NULL behind the last: function_state.c. A room
 * that does their work takes their place. */
extern const struct route_module *const route_state_modules[];
/* Whether a variable of this name needs state: $avp and its like. */
bool state_variable(struct str name);

/* ---- known: names of other servers that stand in no table ---- */
enum known_kind {
	KNOWN_GLOBAL, /* accepted, with a warning, as PARAM and EVENT; others are errors */
	KNOWN_PARAM,
	KNOWN_NO_PARAM,
	KNOWN_NO_FUNCTION,
	KNOWN_NO_VARIABLE,
	KNOWN_NO_MODULE,
	KNOWN_EVENT,
	KNOWN_NO_EVENT,
};
struct known {
	enum known_kind kind;
	const char *module; /* empty for globals, modules and events */
	const char *names;  /* with blanks between them */
	const char *why;    /* or what to do instead: a sentence without its end */
};
/* The row of a name, NULL where there is none; an empty module: any. */
const struct known *known_find(enum known_kind kind, struct str module, struct str name);
/* Prints the rows of a module that are of the kinds whose bits are set. */
void known_reference(
	unsigned kinds, struct str module, int (*print)(void *arg, const char *line), void *arg);

/* ---- did you mean ---- */
struct suggest {
	struct str wanted;
	unsigned distance;
	const char *best;
	char kept[64];
};
void suggest_begin(struct suggest *s, struct str wanted);
void suggest_offer(struct suggest *s, struct str name);
/* The nearest name, or NULL where none is near. */
const char *suggest_end(const struct suggest *s);

/* Adds a file's text, so that messages can show its lines. */
void report_source(struct route_report *report, const char *name, struct str text);
