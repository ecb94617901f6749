/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Inside lib/route: what the pseudo-variables and the functions of this room share. */
#include "route/variable.h"

/* Bytes for the decimal form of any int64_t. */
#define VALUE_NUMBER_MAX 21

static inline bool value_null(struct route_value *out)
{
	*out = (struct route_value){.type = ROUTE_NULL};
	return true;
}

static inline bool value_int(struct route_value *out, int64_t i)
{
	*out = (struct route_value){.type = ROUTE_INT, .i = i};
	return true;
}

static inline bool value_str(struct route_value *out, struct str s)
{
	*out = (struct route_value){.type = ROUTE_STR, .s = s};
	return true;
}

/* A string, or null where it is empty. */
static inline bool value_text(struct route_value *out, struct str s)
{
	return s.len != 0 ? value_str(out, s) : value_null(out);
}

static inline bool value_span(struct route_value *out, const char *base, struct sip_span span)
{
	return span.len != 0 ? value_str(out, sip_text(base, span)) : value_null(out);
}

/* Copies text that was made in a local buffer into the arena. */
static inline bool value_made(struct route_ctx *ctx, struct route_value *out, struct str s)
{
	struct route_text text = route_text_make(ctx, s);

	return text.space != ROUTE_SPACE_NONE ? value_str(out, route_text_str(ctx, text)) : false;
}

/* A value as text: a string's own, an int's digits in `digits`; empty for null. */
struct str value_as_text(const struct route_value *value, char digits[VALUE_NUMBER_MAX]);
/* A value as a number: an int, or a string that is one ("-5"). */
bool value_as_int(const struct route_value *value, int64_t *out);

/*
 * The URI that `text` holds, whose spans count from text.s. Null where it is malformed. For the
 * Request-URI as it will leave, uri_current() gives the view's own parse where the script has not
 * changed it.
 */
struct uri_view {
	const struct sip_uri *uri;
	const char *base;
	struct sip_uri own;
};
bool uri_view_of(struct str text, struct uri_view *view);
bool uri_current(struct route_ctx *ctx, struct uri_view *view);
/* The hook is_myself, where there is one. False may leave ctx->failure: nobody knows yet. */
bool route_host_is_myself(
	struct route_ctx *ctx, struct str host, uint16_t port, enum sip_transport transport);

/* ---- rewrite.c: the Request-URI. All return false, and change nothing, where the result would be
 * no URI of that kind. ---- */

enum uri_part { URI_USER = 1 << 0, URI_PASSWORD = 1 << 1, URI_HOST = 1 << 2, URI_PORT = 1 << 3 };

/* The parts that `set` names are replaced by these; empty text takes a part away. */
struct uri_change {
	unsigned set;
	struct str user[2]; /* joined */
	struct str password, host, port;
};
bool uri_rewrite(struct route_ctx *ctx, const struct uri_change *change);
/* Replaces the whole URI, of any scheme. */
bool uri_replace(struct route_ctx *ctx, struct str uri);
/* $du: sip and sips only, or null to take it away. */
bool uri_set_destination(struct route_ctx *ctx, struct str uri);
/* Whether no byte of text could end or split what a URI stands in: no control, no space, no <>". */
bool uri_text_is_clean(struct str text);

/* ---- format.c ---- */

#define FORMAT_PARTS_MAX 128 /* of one string: literals and variables */

/*
 * As route_format_eval(), for text that goes into header lines: a folded value is unfolded, and one
 * that holds any other CR, LF or NUL makes
 * `*clean` false. A value that ends the format may end with the CRLF of its line.
 */
bool format_eval_line(struct route_ctx *ctx, const struct route_format *format,
	struct route_value *out, bool *clean);
/* The variables of a format, one after the other, without making its text: false for one past the
 * last. For xlog. */
unsigned format_parts(const struct route_format *format);
bool format_part(const struct route_format *format, unsigned n, struct str *literal);
bool format_part_get(struct route_ctx *ctx, const struct route_format *format, unsigned n,
	struct route_value *out);
/* The slot of a format that is nothing but `$var(x)`, else -1. The variable of one that is nothing
 * but another, else NULL. */
int format_single_var(const struct route_format *format);
const struct route_variable *format_single_variable(
	const struct route_format *format, const struct route_index **index);
