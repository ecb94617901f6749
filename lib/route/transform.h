/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/route: transformations of values, `$(ru{uri.host})`, in format strings. */
#include "route/value.h"

#define TRANSFORMS_MAX 4 /* of one variable, one behind the other */

enum transform_kind {
	TRANSFORM_LENGTH,
	TRANSFORM_INT,
	TRANSFORM_LOWER,
	TRANSFORM_UPPER,
	TRANSFORM_SUBSTRING,
	TRANSFORM_URI_USER,
	TRANSFORM_URI_HOST,
	TRANSFORM_URI_PORT,
	TRANSFORM_URI_PARAM,
};

struct transform {
	enum transform_kind kind;
	int64_t offset, length; /* of a substring */
	struct str name;        /* of a URI parameter; lies in the text that was parsed */
};

/* Reads what stands between the braces, "s.substr,0,3". False where it is no transformation that is
 * known here. */
bool transform_parse(struct str text, struct transform *out);
/* Applies it: spans stay spans where they can. False where ctx->failure was set. */
bool transform_apply(
	struct route_ctx *ctx, const struct transform *transform, struct route_value *value);
