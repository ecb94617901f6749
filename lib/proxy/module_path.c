/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSER module "path": the way back of registrations that go on to a registrar (RFC 3327). */
#include "proxy/internal.h"

/* RFC 3261 25.1, what a user part has without escapes or with. */
static bool user_ok(struct str text)
{
	for (uint32_t i = 0; i < text.len; i++) {
		char c = text.s[i];

		if (!str_is_alpha(c) && !str_is_digit(c) &&
			(c == 0 || strchr("-_.!~*'()&=+$,%", c) == NULL))
			return false;
	}
	return text.len <= PARAMS_TEXT_MAX;
}

/* Nothing that ends the parameters, the URI or the line. */
static bool params_ok(struct str text)
{
	for (uint32_t i = 0; i < text.len; i++) {
		char c = text.s[i];

		if ((unsigned char)c <= ' ' || c == 0x7f || strchr("<>\"?,", c) != NULL)
			return false;
	}
	return text.len <= PARAMS_TEXT_MAX;
}

static int32_t add(struct route_ctx *ctx, const struct route_args *args, uint32_t how)
{
	struct proxy_state *state = proxy_state(ctx);
	char digits[2][24];
	struct str text[2] = {STR_NONE, STR_NONE};
	struct route_text kept[2] = {ROUTE_TEXT_NONE, ROUTE_TEXT_NONE};

	/* RFC 3327 4: Path is of REGISTER. */
	if (ctx->msg.method != SIP_METHOD_REGISTER)
		return ROUTE_FALSE;
	for (unsigned i = 0; i < args->n && i < 2; i++) {
		text[i] = str_trim(arg_text(&args->v[i], digits[i]));
		if (text[i].len == 0)
			continue;
		if (!(i == 0 ? user_ok(text[i]) : params_ok(text[i])))
			return ROUTE_FALSE;
		kept[i] = route_text_keep(ctx, text[i]);
		if (kept[i].space == ROUTE_SPACE_NONE)
			return ROUTE_FALSE;
	}
	state->path_user = kept[0];
	state->path_params = kept[1];
	state->flags &= ~(uint32_t)STATE_PATH_RECEIVED;
	state->flags |= STATE_PATH | how;
	return ROUTE_TRUE;
}

MODULE_RUN(run_add_path)
{
	return add(ctx, args, 0);
}

MODULE_RUN(run_add_path_received)
{
	return add(ctx, args, STATE_PATH_RECEIVED);
}

#define PATH_IN (ROUTE_IN_REQUEST | ROUTE_IN_BRANCH)

static const struct route_function functions[] = {
	{.name = "add_path",
		.args_max = 2,
		.in = PATH_IN,
		.run = run_add_path,
		.usage = "add_path([user [, params]])",
		.rfc = "3327 5.2, 5626 5.2",
		.help = "Adds a Path of ours to a REGISTER that goes on: requests that come back "
			"by it "
			"go where the REGISTER came from, and loose_route() is true for them. "
			"False "
			"for another request."},
	{.name = "add_path_received",
		.args_max = 2,
		.in = PATH_IN,
		.run = run_add_path_received,
		.usage = "add_path_received([user [, params]])",
		.rfc = "3327 5.2, 5626 5.2",
		.help = "The same, and says the source in a parameter `received`, for a registrar "
			"that asks for it."},
	{.name = NULL},
};

static const struct route_param params[] = {
	{.name = "use_received",
		.type = ROUTE_PARAM_INT,
		.accepted_only = true,
		.help = "The token of our Path says it always."},
	{.name = "received_format",
		.type = ROUTE_PARAM_INT,
		.accepted_only = true,
		.help = "The parameter is received=\"sip:ADDRESS:PORT\"."},
	{.name = "received_name",
		.type = ROUTE_PARAM_STR,
		.accepted_only = true,
		.help = "The parameter is called received."},
	{.name = "enable_r2",
		.type = ROUTE_PARAM_INT,
		.accepted_only = true,
		.help = "The token says by which listener the way back goes."},
	{.name = NULL},
};

const struct route_module proxy_path_module = {
	.name = "path", .functions = functions, .params = params};
