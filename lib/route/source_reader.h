/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside the preprocessor: what source.c (files, places), define.c (defines, substitutions) and
 * preprocess.c (directives, text) share. */
#include <regex.h>

#include "route/load.h"

#define STRING_MAX 65536 /* bytes of one string after #!subst */

struct define {
	char *name;
	char *value; /* NULL: defined without one */
	bool busy;   /* being expanded: its own name in its value stays as it is */
};

struct subst {
	regex_t regex;
	char *replacement;
	bool all;
};

struct source {
	struct route_report *report;
	struct source_file file[SOURCE_FILES_MAX];
	unsigned files;
	char *out;
	uint32_t len, cap;
	struct source_mark *mark;
	uint32_t marks, marks_cap;
	struct define define[SOURCE_DEFINES_MAX];
	unsigned defines;
	struct subst subst[SOURCE_SUBSTS_MAX];
	unsigned substs;
	bool failed; /* a bound was met: said once */
};

/* One file while it is read. */
struct reader {
	struct source *source;
	const char *s;
	uint32_t at, len;
	uint16_t file;
	unsigned depth;
	/* nesting of #!ifdef: bit 0 taken, bit 1 in #!else, and where it began */
	struct condition {
		bool taken, in_else, outer;
		uint32_t at;
	} condition[SOURCE_CONDITIONS_MAX];
	unsigned conditions;
};

static inline bool source_is_word(char c)
{
	return str_is_alpha(c) || str_is_digit(c) || c == '_';
}

/* ---- source.c ---- */

/* An error at `off` of the reader's file: `message` and, behind it, `what`. */
void source_fail(
	const struct reader *r, uint32_t off, uint32_t width, const char *message, struct str what);
/* A bound is met: said once, and the expansion ends. */
void source_stop(const struct reader *r, uint32_t off, const char *message);
struct route_place source_place_in(
	const struct source *source, uint16_t file, uint32_t off, uint32_t width);
/* Adds expanded text that stands at `off`; with a width all of it stands for that many bytes there.
 */
void source_put(struct reader *r, struct str s, uint32_t off, uint32_t width);
/* Reads a file and notes it; `from` and `off` say who asks for it. */
int source_read(struct source *source, const char *path, uint16_t *index, const struct reader *from,
	uint32_t off);

/* ---- define.c ---- */

struct define *define_find(struct source *source, struct str name);
/* A value without text (s NULL): defined, and no more. */
void define_set(const struct reader *r, uint32_t off, struct str name, struct str value);
void define_drop(struct source *source, struct str name);
/* What stands between quotes, if there are some. */
struct str define_unquote(struct str s);
/* "/regex/replacement/flags", its delimiter being the first byte; `define`: also a define, its
 * value in quotes where `quote`. */
void subst_add(struct reader *r, uint32_t off, struct str text, bool define, bool quote);
/* A string's content with substitutions and $def(NAME) done; false where nothing changed. */
bool subst_expand(struct reader *r, uint32_t off, struct str content, struct text *out);

/* ---- preprocess.c ---- */

/* Expands a file into the source's text. */
void preprocess(struct source *source, uint16_t file, unsigned depth);
