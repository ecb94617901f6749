/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * Pseudo-variables: what `$ru` or `$hdr(Subject)` reads and what an assignment to it changes. One
 * table, looked up by name at load; the compiled code holds the row's number.
 */
#include "route/route.h"

/* What stands in the parentheses of $name(...). */
enum route_variable_index { ROUTE_INDEX_NONE, ROUTE_INDEX_NAME };

struct route_variable {
	const char *name; /* without '$' */
	enum route_variable_index index;
	/*
	 * Reads into *out: an int, a string (spans of the message or of ctx's arena), or ROUTE_NULL
	 * where the message has no such thing. `index` is the text in parentheses. Returns false
	 * where ctx->failure was set.
	 */
	bool (*get)(struct route_ctx *ctx, struct str index, struct route_value *out);
	/* Assigns; NULL where it is read-only. `$x = $null` passes ROUTE_NULL. Returns false where
	 * it cannot be (the assignment is then -1 in $rc, or ctx->failure is set). */
	bool (*set)(struct route_ctx *ctx, struct str index, const struct route_value *value);
	/* Checks `index` at load: NULL accepts any non-empty one. */
	bool (*check_index)(struct str index);
	const char *help;
};

/* All rows; ends with .name == NULL. `$var(name)` is not among them: the compiler gives it a slot
 * of ctx->var. */
extern const struct route_variable route_variables[];
/* The row of a name, or -1. */
int route_variable_find(struct str name);

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
extern const struct route_module route_xlog_module;    /* "xlog" */
extern const struct route_module route_pv_module;      /* "pv" */

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
