/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSER module "maxfwd". What leaves is written once, whether or not the script asks (RFC
 * 3261 16.6 step 3). */
#include "proxy/internal.h"

struct maxfwd_config {
	int64_t max_limit;
};

/* The functions find the module's parameters at args->data. */
MODULE_CHECK(check_number)
{
	int64_t number;

	if (arg[0].constant && !arg_number(&arg[0].value, 255, &number)) {
		route_error(report, &arg[0].place, "Max-Forwards is a number from 0 to 255");
		return -EINVAL;
	}
	*data = (void *)(uintptr_t)config;
	return 0;
}

/* 2: there was none and the given one is added; 1: decremented; -1: it is 0; -2: cannot. */
MODULE_RUN(run_process)
{
	const struct maxfwd_config *config = args->data;
	struct proxy_state *state = proxy_state(ctx);
	int64_t limit = config != NULL ? config->max_limit : MAX_FORWARDS_DEFAULT, number;

	if (!arg_number(&args->v[0], 255, &number))
		return -2;
	if (!sip_msg_has(&ctx->msg, SIP_HEADER_MAX_FORWARDS)) {
		state->max_forwards = (uint8_t)number;
		state->flags |= STATE_MAX_FORWARDS;
		return 2;
	}
	if (!sip_msg_max_forwards(&ctx->msg, ctx->buf))
		return -2;
	if (ctx->msg.max_forwards == 0)
		return ROUTE_FALSE;
	number = (int64_t)ctx->msg.max_forwards - 1;
	state->max_forwards = (uint8_t)(number < limit ? number : limit);
	state->flags |= STATE_MAX_FORWARDS;
	return ROUTE_TRUE;
}

/* 1: it is there and less; -1: not less; -2: there is none; -3: malformed. What the function above
 * has made of it, or added, counts as being there. */
MODULE_RUN(run_is_lt)
{
	const struct proxy_state *state = proxy_state(ctx);
	int64_t number;

	if ((state->flags & STATE_MAX_FORWARDS) != 0) {
		if (!arg_number(&args->v[0], 255, &number))
			return -3;
		return state->max_forwards < number ? ROUTE_TRUE : ROUTE_FALSE;
	}
	if (!sip_msg_has(&ctx->msg, SIP_HEADER_MAX_FORWARDS))
		return -2;
	if (!arg_number(&args->v[0], 255, &number) || !sip_msg_max_forwards(&ctx->msg, ctx->buf))
		return -3;
	return ctx->msg.max_forwards < number ? ROUTE_TRUE : ROUTE_FALSE;
}

static const struct route_function functions[] = {
	{.name = "mf_process_maxfwd_header",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_REQUEST,
		.run = run_process,
		.check = check_number,
		.usage = "mf_process_maxfwd_header(value)",
		.rfc = "3261 16.3, 16.6",
		.help = "Decrements Max-Forwards (1), or adds it with this value (2); false where "
			"it is 0.",
		.statement = "maxfwd_process"},
	{.name = "process_maxfwd_header",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_REQUEST,
		.run = run_process,
		.check = check_number,
		.usage = "process_maxfwd_header(value)",
		.rfc = "3261 16.3, 16.6",
		.help = "The same as mf_process_maxfwd_header().",
		.statement = "process_maxfwd"},
	{.name = "is_maxfwd_lt",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_REQUEST | ROUTE_IN_FAILURE | ROUTE_IN_BRANCH,
		.run = run_is_lt,
		.check = check_number,
		.usage = "is_maxfwd_lt(value)",
		.rfc = "3261 20.22",
		.help = "True where Max-Forwards is less, as mf_process_maxfwd_header() has left "
			"or added it; false -1 where not, -2 where there is none.",
		.statement = "mf_lowlimit"},
	{.name = "maxfwd_at_least",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_REQUEST | ROUTE_IN_FAILURE | ROUTE_IN_BRANCH,
		.run = run_is_lt,
		.check = check_number,
		.usage = "maxfwd_at_least(value)",
		.rfc = "3261 20.22",
		.help = "The same as is_maxfwd_lt()."},
	{.name = NULL},
};

static const struct route_param params[] = {
	{.name = "max_limit",
		.type = ROUTE_PARAM_INT,
		.offset = offsetof(struct maxfwd_config, max_limit),
		.min = 1,
		.max = 256, /* as Kamailio has it: no limit */
		.initial = "70",
		.help = "The largest Max-Forwards that leaves after mf_process_maxfwd_header()."},
	{.name = NULL},
};

const struct route_module proxy_maxfwd_module = {.name = "maxfwd",
	.functions = functions,
	.params = params,
	.config_size = sizeof(struct maxfwd_config)};
