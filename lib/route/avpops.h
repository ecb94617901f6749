/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * avpops within lib/route, and what the room avpops (lib/avpops), which adds the functions that ask
 * databases, has in common with it: how AVPs are named in arguments.
 */
#include "route/variable.h"

/* Which AVPs are meant. */
enum avpops_match {
	AVPOPS_NAME,    /* those of one name */
	AVPOPS_ANY,     /* "a": all */
	AVPOPS_NUMBERS, /* "i": whose names are numbers */
	AVPOPS_TEXTS,   /* "s": the others */
};

/* "$avp(x)", "s:x", "i:5", or "a", "i", "s", with perhaps "/flags" behind it. The text lives as
 * long as the data that holds it. */
struct avpops_target {
	enum avpops_match match;
	struct str name;
	bool all, number, text, empty, take_away, ignore_case; /* g n s e d i */
};

/* Reads what stands in front of flags: false where it names no AVPs. "x" alone does not. */
bool avpops_read_name(struct str text, struct avpops_target *t);
/* ... and with flags; false after route_error(). `several`: "a", "i" and "s" are good, too. */
bool avpops_read_target(const struct route_arg *arg, struct str text, bool several,
	struct avpops_target *t, struct route_report *report);
/* A flag of any letter case. False: there is no such one. */
bool avpops_take_flag(struct avpops_target *t, char c);
/* Whether a script can name an AVP so, without "s:" or "i:". Any thread. */
bool avpops_can_name(struct str name);
/* Whether an AVP's name is a number's, "i:5". */
bool avpops_is_number(struct str name);
/* Whether the AVP in that place is meant. */
bool avpops_matches(
	const struct route_ctx *ctx, const struct route_avp *avp, const struct avpops_target *t);

/* ---- inside lib/route ---- */

/* The nth part of a text between slashes, of three at most; the last one has the rest. Empty: there
 * is none. */
struct str avpops_part(struct str text, unsigned n, unsigned parts);
/* A copy of a constant argument's text that ends with a NUL, or NULL after route_error(). */
char *avpops_copy(const struct route_arg *arg, struct route_report *report);
/* What avp_check() and avp_op() compare and compute with: "i:5", "i:0x1f", "s:text", or a format.
 * False after route_error(). */
struct avpops_value {
	bool is_number;
	int64_t number;
	struct route_format *format; /* else */
};
bool avpops_read_value(const struct route_arg *arg, struct str text, struct avpops_value *out,
	struct route_report *report);
bool avpops_value_get(
	struct route_ctx *ctx, const struct avpops_value *value, struct route_value *out);

/* Whether text is as a pattern says: `*` any, `?` one, [a-z] and [!a-z] one of those, \x x itself.
 * In time by the product of their lengths. */
bool avpops_glob(struct str pattern, struct str text);
