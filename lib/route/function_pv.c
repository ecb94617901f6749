/* SPDX-License-Identifier: BSD-3-Clause */
/* pv: functions that take a variable itself, written as a string: pv_isset("$hdr(X)"). */
#include <errno.h>

#include "route/function.h"

/* The data is the format that is nothing but that variable. */
static FUNCTION_CHECK(check_variable)
{
	if (!arg[0].constant)
		return 0;
	struct route_format *format =
		arg[0].value.type == ROUTE_STR
			? route_format_compile(arg[0].value.s, &arg[0].place, report)
			: NULL;
	struct str literal;

	if (format != NULL && format_parts(format) == 1 && !format_part(format, 0, &literal)) {
		*data = format;
		return 0;
	}
	if (format != NULL || arg[0].value.type != ROUTE_STR)
		route_error(
			report, &arg[0].place, "a variable is needed here, such as \"$var(x)\"");
	route_format_free(format);
	return -EINVAL;
}

static FUNCTION_CHECK(check_unset)
{
	int err = check_variable(room, config, arg, n, place, report, data);
	const struct route_variable *variable;
	const struct route_index *index;

	if (err < 0)
		return err;
	if (!arg[0].constant) {
		route_error(report, &arg[0].place,
			"the variable to unset is written as a string: pv_unset(\"$var(x)\")");
		return -EINVAL;
	}
	variable = format_single_variable(*data, &index);
	if (format_single_var(*data) >= 0 || (variable != NULL && variable->set != NULL))
		return 0;
	route_error(report, &arg[0].place, "this variable cannot be unset");
	route_format_free(*data);
	*data = NULL;
	return -EINVAL;
}

static void free_variable(void *data)
{
	route_format_free(data);
}

/* The variable's value, or the argument's where that was no literal. */
static bool value_of(
	struct route_ctx *ctx, const struct route_args *args, struct route_value *value)
{
	if (args->data != NULL)
		return route_format_eval(ctx, args->data, value);
	*value = args->v[0];
	return true;
}

static FUNCTION_RUN(run_isset)
{
	int slot = args->data != NULL ? format_single_var(args->data) : -1;
	struct route_value value;

	if (slot >= 0)
		return truth((ctx->var_set >> slot & 1) != 0 && ctx->var[slot].type != ROUTE_NULL);
	return truth(value_of(ctx, args, &value) && value.type != ROUTE_NULL);
}

static FUNCTION_RUN(run_unset)
{
	const struct route_value null = {.type = ROUTE_NULL};
	int slot = format_single_var(args->data);
	const struct route_variable *variable;
	const struct route_index *index;

	if (slot >= 0) {
		ctx->var_set &= ~(1ULL << slot);
		return ROUTE_TRUE;
	}
	variable = format_single_variable(args->data, &index);
	return truth(variable->set(ctx, index, &null));
}

static FUNCTION_RUN(run_is_int)
{
	struct route_value value;

	return truth(value_of(ctx, args, &value) && value.type == ROUTE_INT);
}

/* A number is no text, as Kamailio has it. */
static FUNCTION_RUN(run_not_empty)
{
	struct route_value value;

	return truth(value_of(ctx, args, &value) && value.type == ROUTE_STR && value.s.len != 0);
}

static const struct route_function pv_functions[] = {
	{.name = "pv_isset",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_isset,
		.check = check_variable,
		.free_data = free_variable,
		.raw = 1,
		.usage = "pv_isset(\"$var(x)\")",
		.help = "True where the variable has a value."},
	{.name = "pv_unset",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_unset,
		.check = check_unset,
		.free_data = free_variable,
		.raw = 1,
		.usage = "pv_unset(\"$var(x)\")",
		.help = "Takes the variable's value away."},
	{.name = "is_int",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_is_int,
		.check = check_variable,
		.free_data = free_variable,
		.raw = 1,
		.usage = "is_int(\"$var(x)\")",
		.help = "True where the variable's value is a number; a text of digits is none."},
	{.name = "not_empty",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_not_empty,
		.check = check_variable,
		.free_data = free_variable,
		.raw = 1,
		.usage = "not_empty(\"$var(x)\")",
		.help = "True where the variable's value is a text that is not empty."},
	{.name = NULL},
};

struct pv_params {
	const char *aliases;
};

static const struct route_param pv_params[] = {
	{.name = "avp_aliases",
		.type = ROUTE_PARAM_STR,
		.offset = offsetof(struct pv_params, aliases),
		.help = "Other names of AVPs, as the global of that name has them."},
	{.name = NULL},
};

const struct route_module route_pv_module = {.name = "pv",
	.functions = pv_functions,
	.params = pv_params,
	.config_size = sizeof(struct pv_params)};
