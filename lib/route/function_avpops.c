/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * avpops: OpenSER's functions on AVPs, which take them by name: "$avp(s:x)/g". Those that ask
 * databases are the room avpops'; what computes with values is in function_avpops_op.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "route/avpops.h"
#include "route/branch.h"
#include "route/function_avpops.h"
#include "route/xlog.h"

enum push { PUSH_URI, PUSH_USER, PUSH_HOST, PUSH_DESTINATION, PUSH_BRANCH, PUSHES };

static const char *const push_name[PUSHES][2] = {[PUSH_URI] = {"$ru", "$ruri"},
	[PUSH_USER] = {"$ru/username", "$ruri/username"},
	[PUSH_HOST] = {"$ru/domain", "$ruri/domain"},
	[PUSH_DESTINATION] = {"$du", "$duri"},
	[PUSH_BRANCH] = {"$br", "$branch"}};

/* What a call does, read at load. */
struct avpops {
	struct avpops_target from, to;
	enum push push;
	struct route_format *format; /* of avp_printf; what avp_pushto takes where it is no AVP */
	char *text[2];               /* of the arguments */
};

static void free_avpops(void *data)
{
	struct avpops *a = data;

	if (a == NULL)
		return;
	route_format_free(a->format);
	free(a->text[0]);
	free(a->text[1]);
	free(a);
}

/* Room for what is read of constant arguments; their text is copied. NULL after an error. */
static struct avpops *create(const struct route_arg *arg, unsigned n, struct route_report *report)
{
	struct avpops *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		route_error(report, &arg->place, "out of memory");
		return NULL;
	}
	for (unsigned i = 0; i < n && i < 2; i++) {
		a->text[i] = avpops_copy(&arg[i], report);
		if (a->text[i] == NULL) {
			free_avpops(a);
			return NULL;
		}
	}
	return a;
}

static int give(struct avpops *a, bool good, void **data)
{
	if (good) {
		*data = a;
		return 0;
	}
	free_avpops(a);
	return -EINVAL;
}

static FUNCTION_CHECK(check_one)
{
	struct avpops *a = create(arg, n, report);

	return a != NULL ? give(a,
				   avpops_read_target(
					   &arg[0], str_c(a->text[0]), false, &a->from, report),
				   data)
			 : -EINVAL;
}

static FUNCTION_CHECK(check_delete)
{
	struct avpops *a = create(arg, n, report);

	return a != NULL ? give(a,
				   avpops_read_target(
					   &arg[0], str_c(a->text[0]), true, &a->from, report),
				   data)
			 : -EINVAL;
}

/* Flags stand behind the new name, and behind the old one as well. */
static FUNCTION_CHECK(check_copy)
{
	struct avpops *a = create(arg, n, report);
	bool good = a != NULL &&
		    avpops_read_target(&arg[0], str_c(a->text[0]), false, &a->from, report) &&
		    avpops_read_target(&arg[1], str_c(a->text[1]), false, &a->to, report);

	if (a == NULL)
		return -EINVAL;
	a->from.all |= a->to.all;
	a->from.take_away |= a->to.take_away;
	a->to.number |= a->from.number;
	a->to.text |= a->from.text;
	return give(a, good, data);
}

static FUNCTION_CHECK(check_printf)
{
	struct avpops *a = create(arg, n, report);
	bool good;

	if (a == NULL)
		return -EINVAL;
	a->format = route_format_compile(str_c(a->text[1]), &arg[1].place, report);
	good = a->format != NULL &&
	       avpops_read_target(&arg[0], str_c(a->text[0]), false, &a->to, report);
	return give(a, good, data);
}

/* What is pushed: an AVP, or any other variable, "$hdr(X-To)". */
static bool read_pushed(const struct route_arg *arg, struct avpops *a, struct route_report *report)
{
	struct str text = str_c(a->text[1]);

	if (text.len == 0 || text.s[0] != '$' || str_istarts(text, STR("$avp(")))
		return avpops_read_target(arg, text, false, &a->from, report);
	a->format = route_format_compile(avpops_part(text, 0, 2), &arg->place, report);
	return a->format != NULL;
}

static FUNCTION_CHECK(check_pushto)
{
	struct avpops *a = create(arg, n, report);
	unsigned i = 0;

	if (a == NULL)
		return -EINVAL;
	if (strcmp(a->text[0], "$rU") == 0)
		i = PUSH_USER;
	else if (strcmp(a->text[0], "$rd") == 0)
		i = PUSH_HOST;
	else
		while (i < PUSHES && strcmp(a->text[0], push_name[i][0]) != 0 &&
			strcmp(a->text[0], push_name[i][1]) != 0)
			i++;
	a->push = (enum push)i;
	if (i == PUSHES)
		route_error(report, &arg[0].place,
			"an AVP is pushed to $ru, $ru/username, $ru/domain, $du or $br");
	return give(a, i < PUSHES && read_pushed(&arg[1], a, report), data);
}

/* ---- running ---- */

static FUNCTION_RUN(run_is_set)
{
	const struct avpops *a = args->data;
	const struct avpops_target *t = &a->from;
	struct route_value v;

	for (int64_t i = 0; route_avp_get(ctx, t->name, i, &v); i++) {
		bool empty = v.type == ROUTE_INT ? v.i == 0 : v.s.len == 0;

		if ((t->number && v.type != ROUTE_INT) || (t->text && v.type != ROUTE_STR) ||
			(t->empty && !empty))
			continue;
		return ROUTE_TRUE;
	}
	return ROUTE_FALSE;
}

static FUNCTION_RUN(run_delete)
{
	const struct avpops *a = args->data;
	unsigned gone = 0;

	if (a->from.match == AVPOPS_NAME)
		return truth(route_avp_delete(ctx, a->from.name, a->from.all) > 0);
	/* The newest of them, or all. */
	for (unsigned i = ctx->avps; i-- > 0 && (a->from.all || gone == 0);) {
		if (!avpops_matches(ctx, &ctx->avp[i], &a->from))
			continue;
		ctx->avps--;
		memmove(&ctx->avp[i], &ctx->avp[i + 1], (ctx->avps - i) * sizeof(ctx->avp[0]));
		gone++;
	}
	return truth(gone > 0);
}

/* The value as a number or as a text, where that is asked for. False: it is no number. */
static bool convert(struct route_ctx *ctx, const struct avpops_target *to, struct route_value *v)
{
	char digits[VALUE_NUMBER_MAX];
	int64_t number;

	if (to->number) {
		if (!value_as_int(v, &number))
			return false;
		value_int(v, number);
	} else if (to->text && v->type == ROUTE_INT) {
		return value_made(ctx, v, value_as_text(v, digits));
	}
	return true;
}

/* The order of values stays: the oldest is added first. */
static FUNCTION_RUN(run_copy)
{
	const struct avpops *a = args->data;
	int64_t n = a->from.all ? route_avp_count(ctx, a->from.name) : 1;
	struct route_value v[ROUTE_AVPS_MAX];

	if (!route_avp_get(ctx, a->from.name, 0, &v[0]))
		return ROUTE_FALSE;
	for (int64_t i = 1; i < n; i++)
		route_avp_get(ctx, a->from.name, i, &v[i]);
	for (int64_t i = 0; i < n; i++) {
		if (!convert(ctx, &a->to, &v[i]))
			return ROUTE_FALSE;
	}
	if (a->from.take_away)
		route_avp_delete(ctx, a->from.name, a->from.all);
	while (n-- > 0) {
		if (!route_avp_add(ctx, a->to.name, &v[n]))
			return ROUTE_FALSE;
	}
	return ROUTE_TRUE;
}

static FUNCTION_RUN(run_printf)
{
	const struct avpops *a = args->data;
	char digits[VALUE_NUMBER_MAX];
	struct route_value v, text = {.type = ROUTE_STR};

	if (!route_format_eval(ctx, a->format, &v))
		return ROUTE_FALSE;
	text.s = value_as_text(&v, digits);
	return truth(route_avp_add(ctx, a->to.name, &text));
}

static bool push(struct route_ctx *ctx, enum push where, const struct route_value *value)
{
	const struct route_index none = {.slot = -1};
	struct route_args args = {.v = value, .n = 1};

	switch (where) {
	case PUSH_URI:
		return set_ruri(ctx, &none, value);
	case PUSH_USER:
		return set_ruri_user(ctx, &none, value);
	case PUSH_HOST:
		return set_ruri_host(ctx, &none, value);
	case PUSH_DESTINATION:
		return set_destination(ctx, &none, value);
	default:
		return run_append_branch(ctx, &args) == ROUTE_TRUE;
	}
}

static FUNCTION_RUN(run_pushto)
{
	const struct avpops *a = args->data;
	bool all = a->from.all && a->push == PUSH_BRANCH, done = false;
	struct route_value v;

	if (a->format != NULL)
		return truth(route_format_eval(ctx, a->format, &v) && v.type != ROUTE_NULL &&
			     push(ctx, a->push, &v));
	for (int64_t i = 0; route_avp_get(ctx, a->from.name, i, &v); i++) {
		if (!push(ctx, a->push, &v))
			return ROUTE_FALSE;
		done = true;
		if (!all)
			break;
	}
	return truth(done);
}

/* ---- avp_print ---- */

struct print {
	int line;
};

static void free_print(void *data)
{
	struct print *p = data;

	xlog_line_release(p->line);
	free(p);
}

static FUNCTION_CHECK(check_print)
{
	static const struct xlog_piece piece[] = {
		{false, {"AVP ", 4}}, {.value = true}, {false, {" = ", 3}}, {.value = true}};
	struct print *p = malloc(sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->line = xlog_line_intern(piece, sizeof(piece) / sizeof(piece[0]));
	if (p->line < 0) {
		route_error(report, place, "no room for another log line");
		free(p);
		return -ENOMEM;
	}
	*data = p;
	return 0;
}

static FUNCTION_RUN(run_print)
{
	const struct print *p = args->data;
	struct route_value v[2];

	if (ctx->thread->xlog == NULL || !xlog_wants(ctx->thread->xlog, LOG_LEVEL_INFO))
		return ROUTE_TRUE;
	for (unsigned i = ctx->avps; i-- > 0;) {
		const struct route_cell *cell = &ctx->avp[i].value;

		value_str(&v[0], route_text_str(ctx, ctx->avp[i].name));
		if (cell->type == ROUTE_INT)
			value_int(&v[1], cell->i);
		else
			value_str(&v[1], route_text_str(ctx, cell->text));
		xlog_put(ctx->thread->xlog, p->line, LOG_LEVEL_INFO, v, 2);
	}
	return ROUTE_TRUE;
}

/* ---- the table ---- */

/* Arguments are read as they are written. */
#define FN(n, count, does, checks, frees, how, what) \
	{ \
		.name = n, .args_min = count, .args_max = count, .in = ROUTE_IN_ANY, .run = does, \
		.check = checks, .free_data = frees, .raw = 3, .usage = how, .help = what \
	}
static const struct route_function functions[] = {
	FN("is_avp_set", 1, run_is_set, check_one, free_avpops, "is_avp_set(\"$avp(x)[/nse]\")",
		"True where the AVP has a value: a number (n), a text (s), an empty one or 0 (e)."),
	FN("avp_delete", 1, run_delete, check_delete, free_avpops, "avp_delete(\"$avp(x)[/g]\")",
		"Takes the newest value away, with g all. True where there was one. \"a\" is all "
		"AVPs, \"i\" those whose names are numbers, \"s\" the others."),
	FN("avp_copy", 2, run_copy, check_copy, free_avpops,
		"avp_copy(\"$avp(x)\", \"$avp(y)[/gdns]\")",
		"Adds the newest value of one AVP to another, with g all; d takes it away there, n "
		"and s make numbers and texts of them."),
	FN("avp_printf", 2, run_printf, check_printf, free_avpops,
		"avp_printf(\"$avp(x)\", format)", "Adds the text of a format."),
	FN("avp_pushto", 2, run_pushto, check_pushto, free_avpops,
		"avp_pushto(\"$ru\" | \"$ru/username\" | \"$ru/domain\" | \"$du\" | \"$br\", "
		"\"$avp(x)[/g]\")",
		"Puts the newest value there, or another variable's; with g each value becomes a "
		"branch."),
	FN("avp_check", 2, avpops_run_check, avpops_check_check, avpops_free_check,
		"avp_check(\"$avp(x)\", \"eq/value[/gi]\")",
		"Compares the newest value, with g any: eq, ne, lt, le, gt, ge, re for a pattern, "
		"fm for one with * and ?, and, or, xor for bits. The value is i:5, i:0x1f, or a "
		"text that may have variables in it; i: in any letter case."),
	FN("avp_op", 2, avpops_run_op, avpops_check_op, avpops_free_check,
		"avp_op(\"$avp(x)[/$avp(y)]\", \"add/value[/gd]\")",
		"Computes with the newest number, with g with all: add, sub, mul, div, mod, and, "
		"or, xor, not. The result takes its place, or is added to the other AVP; d takes "
		"it away from the first then."),
	FN("avp_subst", 2, avpops_run_subst, avpops_check_subst, avpops_free_subst,
		"avp_subst(\"$avp(x)[/$avp(y)[/gd]]\", \"/pattern/replacement/[gis]\")",
		"Replaces in the newest text, with g in all, what matches, and puts it there or "
		"adds it to the other AVP; d takes it away from the first then."),
	{.name = "avp_print",
		.in = ROUTE_IN_ANY,
		.run = run_print,
		.check = check_print,
		.free_data = free_print,
		.usage = "avp_print()",
		.help = "Writes all AVPs to the log, a line each."},
	{.name = NULL},
};

const struct route_module route_avpops_module = {.name = "avpops", .functions = functions};
