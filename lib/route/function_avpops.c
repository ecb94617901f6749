/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * avpops: OpenSER's functions on AVPs, which take them by name: "$avp(s:x)/g". What asks a database
 * is known by name only.
 */
#include <errno.h>
#include <stdlib.h>

#include "route/avp.h"
#include "route/branch.h"
#include "route/pattern.h"

/* "$avp(x)/flags"; the text lives as long as the data that holds it. */
struct target {
	struct str name;
	bool all, number, text, empty, take_away, ignore_case;
};

enum check_op { CHECK_EQ, CHECK_NE, CHECK_LT, CHECK_LE, CHECK_GT, CHECK_GE, CHECK_RE, CHECK_OPS };

enum push { PUSH_URI, PUSH_USER, PUSH_HOST, PUSH_DESTINATION, PUSH_BRANCH, PUSHES };

static const char *const push_name[PUSHES][2] = {[PUSH_URI] = {"$ru", "$ruri"},
	[PUSH_USER] = {"$rU", "$ru/username"},
	[PUSH_HOST] = {"$rd", "$ru/domain"},
	[PUSH_DESTINATION] = {"$du", "$duri"},
	[PUSH_BRANCH] = {"$br", "$branch"}};

/* What a call does, read at load. */
struct avpops {
	struct target from, to;
	enum push push;
	enum check_op op;
	struct route_format *format; /* value of avp_check, avp_printf */
	struct route_regex *regex;
	char *text[2]; /* of the arguments */
};

static void free_avpops(void *data)
{
	struct avpops *a = data;

	if (a == NULL)
		return;
	route_format_free(a->format);
	route_regex_free(a->regex);
	free(a->text[0]);
	free(a->text[1]);
	free(a);
}

/* Room for what is read of constant arguments; their text is copied. NULL after an error. */
static struct avpops *create(const struct route_arg *arg, unsigned n, struct route_report *report)
{
	struct avpops *a = calloc(1, sizeof(*a));

	for (unsigned i = 0; i < n && i < 2 && a != NULL; i++) {
		if (!arg[i].constant || arg[i].value.type != ROUTE_STR) {
			route_error(report, &arg[i].place, "a string is needed here");
			free_avpops(a);
			return NULL;
		}
		a->text[i] = malloc(arg[i].value.s.len + 1);
		if (a->text[i] == NULL) {
			free_avpops(a);
			a = NULL;
		} else {
			str_copy(a->text[i], arg[i].value.s);
			a->text[i][arg[i].value.s.len] = '\0';
		}
	}
	if (a == NULL)
		route_error(report, NULL, "out of memory");
	return a;
}

static bool take_flag(struct target *t, char c)
{
	t->all |= c == 'g';
	t->number |= c == 'n';
	t->text |= c == 's';
	t->empty |= c == 'e';
	t->take_away |= c == 'd';
	t->ignore_case |= c == 'i';
	return strchr("gnsedi", c) != NULL;
}

/* "$avp(x)" with perhaps "/flags" behind it. */
static bool read_target(const struct route_arg *arg, const char *text, struct target *t,
	struct route_report *report)
{
	struct str s = str_c(text);
	int64_t slash = str_find(s, '/');
	bool good = true;

	for (uint32_t i = (uint32_t)slash + 1; slash >= 0 && i < s.len && good; i++)
		good = take_flag(t, s.s[i]);
	if (slash >= 0)
		s.len = (uint32_t)slash;
	t->name = s.len > 0 && s.s[0] == '$' ? route_avp_name(s) : STR_NONE;
	if (good && t->name.len > 0)
		return true;
	route_error(report, &arg->place, "an AVP is needed here, such as \"$avp(s:x)\"%s",
		good ? "" : "; its flags are g, n, s, e, d and i");
	return false;
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

	return a != NULL ? give(a, read_target(&arg[0], a->text[0], &a->from, report), data)
			 : -EINVAL;
}

static FUNCTION_CHECK(check_copy)
{
	struct avpops *a = create(arg, n, report);

	return a != NULL ? give(a,
				   read_target(&arg[0], a->text[0], &a->from, report) &&
					   read_target(&arg[1], a->text[1], &a->to, report),
				   data)
			 : -EINVAL;
}

static FUNCTION_CHECK(check_printf)
{
	struct avpops *a = create(arg, n, report);
	bool good;

	if (a == NULL)
		return -EINVAL;
	a->format = route_format_compile(str_c(a->text[1]), &arg[1].place, report);
	good = a->format != NULL && read_target(&arg[0], a->text[0], &a->to, report);
	return give(a, good, data);
}

static FUNCTION_CHECK(check_pushto)
{
	struct avpops *a = create(arg, n, report);
	unsigned i = 0;

	if (a == NULL)
		return -EINVAL;
	while (i < PUSHES && strcmp(a->text[0], push_name[i][0]) != 0 &&
		strcmp(a->text[0], push_name[i][1]) != 0)
		i++;
	a->push = (enum push)i;
	if (i == PUSHES)
		route_error(report, &arg[0].place,
			"an AVP is pushed to $ru, $ru/username, $ru/domain, $du or $br");
	return give(a, i < PUSHES && read_target(&arg[1], a->text[1], &a->from, report), data);
}

/* "eq/$ru/i": the operation, what it compares with, flags. */
static bool read_check(const struct route_arg *arg, struct avpops *a, struct route_report *report)
{
	static const char *const ops[CHECK_OPS] = {"eq", "ne", "lt", "le", "gt", "ge", "re"};
	struct str s = str_c(a->text[1]), value;
	int64_t slash = str_find(s, '/');
	const char *last;
	unsigned op = 0;
	char error[160];

	while (op < CHECK_OPS &&
		!(slash >= 0 && str_eq(str_of(s.s, (size_t)slash), str_c(ops[op]))))
		op++;
	if (op == CHECK_OPS) {
		route_error(report, &arg->place,
			"this is \"eq/value\", with eq, ne, lt, le, gt, ge or re, and perhaps "
			"\"/gi\" behind it");
		return false;
	}
	a->op = (enum check_op)op;
	value = str_of(s.s + slash + 1, s.len - (size_t)slash - 1);
	/* Flags behind the last slash, unless that is part of the value. */
	last = memrchr(value.s, '/', value.len);
	if (last != NULL && (size_t)(value.s + value.len - last) <= 3) {
		bool flags = true;

		for (const char *c = last + 1; c < value.s + value.len; c++)
			flags &= *c == 'g' || *c == 'i';
		for (const char *c = last + 1; flags && c < value.s + value.len; c++)
			take_flag(&a->from, *c);
		if (flags)
			value.len = (uint32_t)(last - value.s);
	}
	if (a->op != CHECK_RE) {
		a->format = route_format_compile(value, &arg->place, report);
		return a->format != NULL;
	}
	a->regex = route_regex_compile(value, a->from.ignore_case, error, sizeof(error));
	if (a->regex == NULL)
		route_error(report, &arg->place, "not a regular expression: %s", error);
	return a->regex != NULL;
}

static FUNCTION_CHECK(check_check)
{
	struct avpops *a = create(arg, n, report);

	return a != NULL ? give(a,
				   read_target(&arg[0], a->text[0], &a->from, report) &&
					   read_check(&arg[1], a, report),
				   data)
			 : -EINVAL;
}

/* ---- running ---- */

static FUNCTION_RUN(run_is_set)
{
	const struct avpops *a = args->data;
	const struct target *t = &a->from;
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

	return truth(route_avp_delete(ctx, a->from.name, a->from.all) > 0);
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

	for (int64_t i = 0; route_avp_get(ctx, a->from.name, i, &v); i++) {
		if (!push(ctx, a->push, &v))
			return ROUTE_FALSE;
		done = true;
		if (!all)
			break;
	}
	return truth(done);
}

static bool compare(
	const struct avpops *a, const struct route_value *x, const struct route_value *y)
{
	char digits_x[VALUE_NUMBER_MAX], digits_y[VALUE_NUMBER_MAX];
	struct str s = value_as_text(x, digits_x), t = value_as_text(y, digits_y);
	int64_t i = 0, j = 0;

	if (a->op == CHECK_EQ || a->op == CHECK_NE)
		return (a->from.ignore_case ? str_ieq(s, t) : str_eq(s, t)) == (a->op == CHECK_EQ);
	if (!value_as_int(x, &i) || !value_as_int(y, &j))
		return false;
	return a->op == CHECK_LT   ? i < j
	       : a->op == CHECK_LE ? i <= j
	       : a->op == CHECK_GT ? i > j
				   : i >= j;
}

static FUNCTION_RUN(run_check)
{
	const struct avpops *a = args->data;
	char digits[VALUE_NUMBER_MAX];
	struct route_value v, with = {.type = ROUTE_NULL};

	if (a->format != NULL && !route_format_eval(ctx, a->format, &with))
		return ROUTE_FALSE;
	for (int64_t i = 0; route_avp_get(ctx, a->from.name, i, &v); i++) {
		if (a->regex != NULL ? route_regex_match(ctx, a->regex, value_as_text(&v, digits),
					       NULL, 0) > 0
				     : compare(a, &v, &with))
			return ROUTE_TRUE;
		if (!a->from.all)
			break;
	}
	return ROUTE_FALSE;
}

/* ---- the table ---- */

/* Arguments are read as they are written. */
#define FN(n, count, does, checks, how, what) \
	{ \
		.name = n, .args_min = count, .args_max = count, .in = ROUTE_IN_ANY, .run = does, \
		.check = checks, .free_data = free_avpops, .raw = 3, .usage = how, .help = what \
	}
#define LATER(n, least, most, how, what) \
	{ \
		.name = n, .args_min = least, .args_max = most, .in = ROUTE_IN_ANY, \
		.path = ROUTE_PATH_SLOW, .usage = how, .help = what \
	}

static const struct route_function functions[] = {
	FN("is_avp_set", 1, run_is_set, check_one, "is_avp_set(\"$avp(x)[/nse]\")",
		"True where the AVP has a value: a number (n), a text (s), an empty one or 0 (e)."),
	FN("avp_delete", 1, run_delete, check_one, "avp_delete(\"$avp(x)[/g]\")",
		"Takes the newest value away, with g all. True where there was one."),
	FN("avp_copy", 2, run_copy, check_copy, "avp_copy(\"$avp(x)[/gd]\", \"$avp(y)\")",
		"Adds the newest value of one AVP to another, with g all; d takes it away there."),
	FN("avp_printf", 2, run_printf, check_printf, "avp_printf(\"$avp(x)\", format)",
		"Adds the text of a format."),
	FN("avp_pushto", 2, run_pushto, check_pushto,
		"avp_pushto(\"$ru\" | \"$ru/username\" | \"$ru/domain\" | \"$du\" | \"$br\", "
		"\"$avp(x)[/g]\")",
		"Puts the newest value there; with g each value becomes a branch."),
	FN("avp_check", 2, run_check, check_check, "avp_check(\"$avp(x)\", \"eq/value[/gi]\")",
		"Compares the newest value, with g any: eq, ne, lt, le, gt, ge, or re for a "
		"pattern. The value may have variables in it; i: in any letter case."),
	LATER("avp_subst", 2, 2, "avp_subst(name, expression)", "changes AVPs"),
	LATER("avp_op", 2, 2, "avp_op(name, operation)", "calculates"),
	LATER("avp_print", 0, 0, "avp_print()", "logs all AVPs"),
	LATER("avp_write", 2, 2, "avp_write(value, name)", "writes an AVP"),
	LATER("avp_db_load", 2, 3, "avp_db_load(source, name)", "reads AVPs from the database"),
	LATER("avp_db_store", 2, 3, "avp_db_store(source, name)", "writes AVPs to the database"),
	LATER("avp_db_delete", 2, 3, "avp_db_delete(source, name)",
		"deletes AVPs from the database"),
	LATER("avp_db_query", 1, 2, "avp_db_query(query [, destination])", "asks the database"),
	{.name = NULL},
};

#define NO_EFFECT(n, kind) \
	{ \
		.name = n, .type = kind, .accepted_only = true, .help = "" \
	}
#define I ROUTE_PARAM_INT
#define S ROUTE_PARAM_STR

static const struct route_param params[] = {NO_EFFECT("db_url", S), NO_EFFECT("avp_url", S),
	NO_EFFECT("avp_table", S), NO_EFFECT("avp_aliases", S), NO_EFFECT("use_domain", I),
	NO_EFFECT("uuid_column", S), NO_EFFECT("username_column", S), NO_EFFECT("domain_column", S),
	NO_EFFECT("attribute_column", S), NO_EFFECT("value_column", S), NO_EFFECT("type_column", S),
	NO_EFFECT("db_scheme", S), {.name = NULL}};

const struct route_module route_avpops_module = {
	.name = "avpops", .functions = functions, .params = params};
