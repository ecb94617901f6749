/* SPDX-License-Identifier: BSD-3-Clause */
/* xlog() and its kin, and the core's log(): the worker's side. A log line never fails a message,
 * and never waits. */
#include <errno.h>
#include <stdlib.h>

#include "route/function.h"
#include "route/xlog.h"

/* One call in a script. */
struct call {
	struct route_format
		*format; /* NULL: the text has no variables, or is the argument's value */
	int line;
	int level; /* or LEVEL_OF_VARIABLE */
	struct route_format *level_of;
	bool from_argument;
};
#define LEVEL_OF_VARIABLE (-1)

static const struct level_name {
	const char *name;
	int number; /* Kamailio's */
	int level;
} level_names[] = {
	{"L_ALERT", -5, LOG_LEVEL_ERROR},
	{"L_BUG", -4, LOG_LEVEL_ERROR},
	{"L_CRIT2", -3, LOG_LEVEL_ERROR},
	{"L_CRIT", -2, LOG_LEVEL_ERROR},
	{"L_ERR", -1, LOG_LEVEL_ERROR},
	{"L_ERROR", -1, LOG_LEVEL_ERROR},
	{"L_WARN", 0, LOG_LEVEL_WARNING},
	{"L_WARNING", 0, LOG_LEVEL_WARNING},
	{"L_NOTICE", 1, LOG_LEVEL_NOTICE},
	{"L_INFO", 2, LOG_LEVEL_INFO},
	{"L_DBG", 3, LOG_LEVEL_DEBUG},
	{"L_DEBUG", 3, LOG_LEVEL_DEBUG},
};
#define LEVEL_NAMES (sizeof(level_names) / sizeof(level_names[0]))

static int find_level(const struct route_arg *arg, struct route_report *report)
{
	int64_t number;
	bool is_number = value_as_int(&arg->value, &number);

	for (unsigned i = 0; arg->constant && i < LEVEL_NAMES; i++) {
		if (is_number ? number == level_names[i].number
			      : str_eq(arg->value.s, str_c(level_names[i].name)))
			return level_names[i].level;
	}
	if (arg->constant && is_number)
		return number < -5 ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG;
	route_error(report, &arg->place,
		"a log level is needed here: L_ERR, L_WARN, L_NOTICE, L_INFO or L_DBG");
	return -EINVAL;
}

/* A level that is known when the line is written: by its number; what is none is an error. */
static int level_of_value(const struct route_value *value)
{
	int64_t number;

	if (!value_as_int(value, &number))
		return LOG_LEVEL_ERROR;
	for (unsigned i = 0; i < LEVEL_NAMES; i++) {
		if (level_names[i].number == number)
			return level_names[i].level;
	}
	return number < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG;
}

/* A level as the script writes it: LEVEL_OF_VARIABLE, with its format or without where it is the
 * argument's value. -EINVAL after an error. */
static int read_level(
	const struct route_arg *arg, struct route_report *report, struct route_format **format)
{
	*format = NULL;
	if (!arg->constant)
		return LEVEL_OF_VARIABLE;
	if (arg->value.type != ROUTE_STR || !str_istarts(arg->value.s, STR("$")))
		return find_level(arg, report);
	*format = route_format_compile(arg->value.s, &arg->place, report);
	return *format != NULL ? LEVEL_OF_VARIABLE : -EINVAL;
}

/* Fills call->format and call->line from a literal. */
static int take_text(
	struct call *call, const struct route_arg *arg, bool variables, struct route_report *report)
{
	struct xlog_piece piece[FORMAT_PARTS_MAX] = {{.value = true}};
	unsigned count = 1, values = 0;

	if (!arg->constant) {
		call->from_argument = true;
	} else if (!variables || arg->value.type != ROUTE_STR) {
		char digits[VALUE_NUMBER_MAX];

		piece[0] = (struct xlog_piece){false, value_as_text(&arg->value, digits)};
	} else {
		call->format = route_format_compile(arg->value.s, &arg->place, report);
		if (call->format == NULL)
			return -EINVAL;
		count = format_parts(call->format);
		for (unsigned i = 0; i < count; i++) {
			piece[i].value = !format_part(call->format, i, &piece[i].text);
			if (piece[i].value) {
				piece[i].text = STR_NONE;
				values++;
			}
		}
	}
	if (values > XLOG_VALUES_MAX) {
		route_error(
			report, &arg->place, "more than %u values in one line", XLOG_VALUES_MAX);
		return -EINVAL;
	}
	call->line = xlog_line_intern(piece, count);
	if (call->line >= 0)
		return 0;
	route_error(report, &arg->place, "no room for another log line (%u texts are in use)",
		XLOG_LINES_MAX);
	return -EINVAL;
}

static void free_call(void *data)
{
	struct call *call = data;

	if (call->line >= 0)
		xlog_line_release(call->line);
	route_format_free(call->format);
	route_format_free(call->level_of);
	free(call);
}

static int check_call(int level, const struct route_arg *text, bool variables,
	struct route_report *report, void **data)
{
	struct call *call = calloc(1, sizeof(*call));

	if (call == NULL) {
		route_error(report, &text->place, "out of memory");
		return -EINVAL;
	}
	call->line = -1;
	call->level = level;
	if (take_text(call, text, variables, report) < 0) {
		free_call(call);
		return -EINVAL;
	}
	*data = call;
	return 0;
}

/* What a line without a level is: shown with the default settings, as L_ERR is in Kamailio. */
#define LEVEL_DEFAULT LOG_LEVEL_NOTICE

/* Kamailio's syslog facility of one line: all lines go to one. */
static int check_facility(const struct route_arg *arg, struct route_report *report)
{
	if (!arg->constant || arg->value.type != ROUTE_STR ||
		!str_istarts(arg->value.s, STR("LOG_"))) {
		route_error(report, &arg->place,
			"of three arguments the first is a syslog facility, such as LOG_LOCAL0");
		return -1;
	}
	route_warning(report, &arg->place,
		"'%.*s' has no effect here: lines go to standard error, or to syslog as daemon",
		STR_FMT(arg->value.s));
	return 0;
}

static FUNCTION_CHECK(check_xlog)
{
	struct route_format *format = NULL;
	int level = LEVEL_DEFAULT;

	if (n > 2 && check_facility(&arg[0], report) < 0)
		return -EINVAL;
	if (n > 1)
		level = read_level(&arg[n - 2], report, &format);
	if (level == -EINVAL || check_call(level, &arg[n - 1], true, report, data) < 0) {
		route_format_free(format);
		return -EINVAL;
	}
	((struct call *)*data)->level_of = format;
	return 0;
}

FUNCTION_CHECK(check_log)
{
	int level = n > 1 ? find_level(&arg[0], report) : LEVEL_DEFAULT;

	return level < 0 ? -EINVAL : check_call(level, &arg[n - 1], false, report, data);
}

#define CHECK_LEVEL(name, level) \
	static FUNCTION_CHECK(name) \
	{ \
		return check_call(level, &arg[0], true, report, data); \
	}
CHECK_LEVEL(check_xerr, LOG_LEVEL_ERROR)
CHECK_LEVEL(check_xwarn, LOG_LEVEL_WARNING)
CHECK_LEVEL(check_xnotice, LOG_LEVEL_NOTICE)
CHECK_LEVEL(check_xinfo, LOG_LEVEL_INFO)
CHECK_LEVEL(check_xdbg, LOG_LEVEL_DEBUG)

/* The values of the format, in order; false where one could not be made. */
static bool values_of(struct route_ctx *ctx, const struct route_format *format,
	struct route_value *value, unsigned *count)
{
	struct str literal;

	for (unsigned i = 0; i < format_parts(format); i++) {
		if (format_part(format, i, &literal))
			continue;
		if (!format_part_get(ctx, format, i, &value[(*count)++]))
			return false;
	}
	return true;
}

FUNCTION_RUN(run_log)
{
	const struct call *call = args->data;
	struct route_xlog *xlog = ctx->thread->xlog;
	struct route_value value[XLOG_VALUES_MAX];
	uint32_t mark = ctx->text_len;
	unsigned count = 0;
	int level = call->level;
	bool made = true;

	if (xlog == NULL)
		return ROUTE_TRUE;
	if (level == LEVEL_OF_VARIABLE) {
		struct route_value of = args->v[args->n - 2];

		if (call->level_of != NULL && !route_format_eval(ctx, call->level_of, &of)) {
			of = (struct route_value){.type = ROUTE_NULL};
			ctx->failure = ROUTE_FAILURE_NONE;
		}
		level = level_of_value(&of);
		ctx->text_len = mark;
	}
	if (!xlog_wants(xlog, level))
		return ROUTE_TRUE;
	if (call->from_argument)
		value[count++] = args->v[args->n - 1];
	else if (call->format != NULL)
		made = values_of(ctx, call->format, value, &count);
	if (made) {
		xlog_put(xlog, call->line, level, value, count);
	} else {
		ctx->failure = ROUTE_FAILURE_NONE;
		xlog_lose(xlog);
	}
	ctx->text_len = mark;
	return ROUTE_TRUE;
}

#define LINE(fn, checker, text) \
	{ \
		.name = fn, .args_min = 1, .args_max = 1, .in = ROUTE_IN_ANY, .run = run_log, \
		.check = checker, .free_data = free_call, .raw = 1, .usage = fn "(format)", \
		.help = text \
	}

static const struct route_function xlog_functions[] = {
	{.name = "xlog",
		.args_min = 1,
		.args_max = 3,
		.in = ROUTE_IN_ANY,
		.run = run_log,
		.check = check_xlog,
		.free_data = free_call,
		.raw = 7,
		.usage = "xlog([[facility,] level,] format)",
		.help = "Writes a line, with variables in it, to the log; level is L_ERR, L_WARN, "
			"L_NOTICE (the default), L_INFO or L_DBG, or a variable with Kamailio's "
			"number of "
			"it. A facility has no effect."},
	LINE("xerr", check_xerr, "xlog() at level L_ERR."),
	LINE("xalert", check_xerr, "xlog() at level L_ERR: there is none above."),
	LINE("xbug", check_xerr, "xlog() at level L_ERR: there is none above."),
	LINE("xcrit", check_xerr, "xlog() at level L_ERR: there is none above."),
	LINE("xwarn", check_xwarn, "xlog() at level L_WARN."),
	LINE("xnotice", check_xnotice, "xlog() at level L_NOTICE."),
	LINE("xinfo", check_xinfo, "xlog() at level L_INFO."),
	LINE("xdbg", check_xdbg, "xlog() at level L_DBG."),
	{.name = NULL},
};

const struct route_module route_xlog_module = {
	.name = "xlog", .functions = xlog_functions, .always = true};

void free_log(void *data)
{
	free_call(data);
}
