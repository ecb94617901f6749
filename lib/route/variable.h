/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * Inside lib/route: the pseudo-variables that need no room above. One table, looked up by name at
 * load; those of modules stand with the modules.
 */
#include "route/route.h"

/* All rows; ends with .name == NULL. `$var(name)` is not among them: the compiler gives it a slot
 * of ctx->var. */
extern const struct route_variable route_variables[];
/* The row of a name, or -1. */
int route_variable_find(struct str name);
/* A variable of this table or of a module, while a script is loaded. */
struct variable_found {
	const struct route_variable *variable;
	void *room;
	const char *module; /* of a module that is not loaded: nothing may use it; else NULL */
};
bool variable_find(struct str name, struct variable_found *out);
/* Reads what stands in [ ] behind a name: a number, `*`, or a $var. False where it is none. */
bool variable_element(struct str text, struct route_index *out);
/* Takes a name off the front of a text; "err.class" is one, and so is "?". Empty: there is none. */
struct str variable_take_name(struct str *rest);

/* ---- regular expressions (PCRE2), compiled at load ---- */

struct route_regex;
/* POSIX-like or Perl-like pattern text; NULL with a sentence and the offset in `error`.
 * `ignore_case` for ~ /x/i. */
struct route_regex *route_regex_compile(
	struct str pattern, bool ignore_case, char *error, size_t error_size);
void route_regex_free(struct route_regex *regex);
/*
 * Matches with the thread's match data. Returns the number of captured groups plus one, 0 where it
 * does not match, -1 where the match limit was met (ctx->failure is set). group[0..groups) get
 * spans of the subject.
 */
int route_regex_match(struct route_ctx *ctx, const struct route_regex *regex, struct str subject,
	struct str *group, unsigned groups);

/* ---- function tables of this room ---- */

/* The core's functions and statements, the module "textops", "xlog", "pv", "siputils"-like ones
 * that need nothing above this room. */
extern const struct route_module route_core_module;    /* "" */
extern const struct route_module route_textops_module; /* "textops" */
extern const struct route_module route_sipmsgops_module;
extern const struct route_module route_xlog_module;   /* "xlog" */
extern const struct route_module route_pv_module;     /* "pv" */
extern const struct route_module route_avpops_module; /* "avpops" */

/* A format string with pseudo-variables in it ("src=$si ru=$ru"), parsed at load; constants have
 * one part. */
struct route_format;
struct route_format *route_format_compile(
	struct str text, const struct route_place *place, struct route_report *report);
void route_format_free(struct route_format *format);
bool route_format_is_constant(const struct route_format *format);
/* Evaluates into the arena (or straight from the message where it is a single variable). False
 * where ctx->failure is set. */
bool route_format_eval(
	struct route_ctx *ctx, const struct route_format *format, struct route_value *out);
/*
 * A literal `$$` stands for a dollar sign, an absent value reads "<null>" among other parts, and a
 * $var that nothing was assigned to reads 0.
 */
/* For `$var(x)` inside formats: the slot of a name, made on first use; -1 when there are too many.
 * Provided by the checker of the script being loaded. */
int route_var_slot(struct str name);
