/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSER module "sl": replies without state. */
#include "proxy/internal.h"

struct sl_config {
	int64_t default_code;
	const char *default_reason;
};

/* A reason phrase may hold anything but what would end its line. */
static bool reason_ok(struct str reason)
{
	for (uint32_t i = 0; i < reason.len; i++) {
		if ((unsigned char)reason.s[i] < ' ' && reason.s[i] != '\t')
			return false;
	}
	return true;
}

/* A decision to forward stands; a reply replaces an earlier one. */
static int32_t reply(struct route_ctx *ctx, int64_t status, struct str reason)
{
	if (status < 100 || status > 699 || !reason_ok(reason) || ctx->result.forward)
		return ROUTE_FALSE;
	if (status / 100 == 3 && !proxy_reply_targets(ctx))
		return ROUTE_FALSE;
	proxy_reply_set(ctx, (uint16_t)status, reason);
	proxy_state(ctx)->flags |= STATE_REPLIED;
	return ROUTE_TRUE;
}

/* Where the status is none (an AVP without a value), the parameters have one. */
MODULE_RUN(run_reply)
{
	static const struct sl_config initial = {500, "Internal Server Error"};
	const struct sl_config *config = args->data != NULL ? args->data : &initial;
	struct str reason = STR_NONE;
	char digits[24];
	int64_t status;

	if (args->v[0].type == ROUTE_INT)
		status = args->v[0].i;
	else if (!arg_number(&args->v[0], INT32_MAX, &status))
		status = config->default_code;
	if (args->n > 1)
		reason = args->v[1].type != ROUTE_NULL ? arg_text(&args->v[1], digits)
						       : str_c(config->default_reason);
	return reply(ctx, status, reason);
}

/* What the last forward() or t_relay() failed for, else 500. */
MODULE_RUN(run_reply_error)
{
	if (ctx->result.reply && ctx->result.status >= 300) {
		proxy_state(ctx)->flags |= STATE_REPLIED;
		return ROUTE_TRUE;
	}
	return reply(ctx, 500, STR_NONE);
}

MODULE_CHECK(check_reply)
{
	int64_t status;

	if (arg[0].constant && (!arg_number(&arg[0].value, 699, &status) || status < 100)) {
		route_error(report, &arg[0].place, "a status is a number from 100 to 699");
		return -EINVAL;
	}
	if (n > 1 && arg[1].constant && arg[1].value.type == ROUTE_STR &&
		!reason_ok(arg[1].value.s)) {
		route_error(report, &arg[1].place, "a reason phrase stays on its line");
		return -EINVAL;
	}
	*data = (void *)(uintptr_t)config;
	return 0;
}

#define REPLY_IN (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE | ROUTE_IN_ERROR)

static const struct route_function functions[] = {
	{.name = "sl_send_reply",
		.args_min = 1,
		.args_max = 2,
		.in = REPLY_IN,
		.run = run_reply,
		.check = check_reply,
		.usage = "sl_send_reply(status [, reason])",
		.rfc = "3261 8.2.6, 16.11",
		.help = "Answers the request without state: nothing of it is kept, and copies of "
			"it run the script again.",
		.statement = "sl_reply"},
	{.name = "send_reply",
		.args_min = 1,
		.args_max = 2,
		.in = REPLY_IN,
		.run = run_reply,
		.check = check_reply,
		.usage = "send_reply(status [, reason])",
		.rfc = "3261 8.2.6, 16.11",
		.help = "Answers the request; without a transaction the same as sl_send_reply()."},
	{.name = "send_reply_mode",
		.args_min = 3,
		.args_max = 3,
		.in = REPLY_IN,
		.run = run_reply,
		.check = check_reply,
		.usage = "send_reply_mode(status, reason, mode)",
		.rfc = "3261 8.2.6, 16.11",
		.help = "The same as send_reply(): the mode is about connections."},
	{.name = "sl_reply_error",
		.in = REPLY_IN,
		.run = run_reply_error,
		.usage = "sl_reply_error()",
		.rfc = "3261 8.2.6, 16.11",
		.help = "Answers with what the last forward() or t_relay() failed for, else with "
			"500."},
	{.name = NULL},
};

static const struct route_param params[] = {
	{.name = "bind_tm",
		.type = ROUTE_PARAM_INT,
		.accepted_only = true,
		.help = "Replies find their transaction by themselves."},
	{.name = "enable_stats",
		.type = ROUTE_PARAM_INT,
		.accepted_only = true,
		.help = "Counters are always on."},
	{.name = "default_code",
		.type = ROUTE_PARAM_INT,
		.offset = offsetof(struct sl_config, default_code),
		.min = 100,
		.max = 699,
		.initial = "500",
		.help = "The status of a reply where the script's has no value."},
	{.name = "default_reason",
		.type = ROUTE_PARAM_STR,
		.offset = offsetof(struct sl_config, default_reason),
		.initial = "Internal Server Error",
		.help = "The reason phrase where the script's has no value; where it names none, "
			"RFC 3261's for the status."},
	{.name = NULL},
};

const struct route_module proxy_sl_module = {.name = "sl",
	.functions = functions,
	.params = params,
	.config_size = sizeof(struct sl_config)};
