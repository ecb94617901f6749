/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/route: transformations of values, `$(ru{uri.host})`, in scripts and format strings. */
#include "route/value.h"

#define TRANSFORMS_MAX 4 /* of one variable, one behind the other */

enum transform_kind {
#define TRANSFORM(id, name, args, help) TRANSFORM_##id,
#include "route/transform.def"
#undef TRANSFORM
	TRANSFORM_KINDS
};

struct transform {
	enum transform_kind kind;
	int64_t number[2];  /* as many as it takes; of an optional one 0 where it is left out */
	struct str text[2]; /* likewise; they lie in the text that was parsed */
	char separator;     /* of fields and parameters */
};

/* Reads what stands between the braces, "s.substr,0,3". False where it is none that is known here:
 * `why` says more. */
bool transform_parse(struct str text, struct transform *out, const char **why);
/* Applies it: spans stay spans where they can. False where ctx->failure was set. */
bool transform_apply(
	struct route_ctx *ctx, const struct transform *transform, struct route_value *value);
/* Prints the rows of the reference. */
void transform_reference(int (*print)(void *arg, const char *line), void *arg);

/* ---- transform_text.c, transform_uri.c: what transform_apply() calls ---- */

/* Text that is being made at the end of the arena. */
struct transform_maker {
	struct route_ctx *ctx;
	uint32_t len;
	bool full;
};
void transform_put(struct transform_maker *m, char c);
void transform_puts(struct transform_maker *m, struct str s);

/* Makes text of `s`. False: nothing is made of this kind. */
bool transform_make_text(
	struct transform_maker *m, const struct transform *transform, struct str s);
/* A part of `s`, or a number. False: it is none of these kinds. */
bool transform_part_of_text(
	const struct transform *transform, struct str s, struct route_value *value);
bool transform_part_of_uri(
	const struct transform *transform, struct str s, struct route_value *value);
/* A URI made of parts of one. */
bool transform_make_uri(struct transform_maker *m, const struct transform *transform, struct str s);
