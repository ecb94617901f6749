/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * The preprocessor: files, includes, defines and substitutions become one text without comments,
 * and each byte of it knows where it was written. Internal to lib/route.
 */
#include "route/route.h"

#define SOURCE_FILES_MAX 256
#define SOURCE_FILE_BYTES_MAX (4u << 20)
#define SOURCE_TEXT_MAX (8u << 20) /* bytes after expansion */
#define SOURCE_INCLUDE_DEPTH_MAX 16
#define SOURCE_EXPAND_DEPTH_MAX 16
#define SOURCE_CONDITIONS_MAX 64 /* nesting of #!ifdef */
#define SOURCE_DEFINES_MAX 4096
#define SOURCE_SUBSTS_MAX 256

struct source_file {
	char *name;
	char *text;
	uint32_t len;
	uint32_t *line; /* offset of each line */
	uint32_t lines;
};

/* From output byte `out` on, the text is what stands at `off` of `file`; where `width` is set, all
 * of it stands for that many bytes there. */
struct source_mark {
	uint32_t out, off, width;
	uint16_t file;
};

struct source;

struct source *source_create(struct route_report *report);
void source_destroy(struct source *source);
/* Reads a file, or takes text under a name, and expands it. Returns 0, or -errno with errors in the
 * report. */
int source_load(struct source *source, const char *path);
int source_load_text(struct source *source, const char *name, struct str text);
/* The expanded text. */
struct str source_text(const struct source *source);
/* Where bytes [from, to) of it were written. place->file lives as long as the source. */
struct route_place source_place(const struct source *source, uint32_t from, uint32_t to);
