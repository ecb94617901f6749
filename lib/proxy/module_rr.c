/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSER module "rr": Record-Route and loose routing. */
#include "proxy/internal.h"
#include "route/variable.h"

struct rr_config {
	int64_t enable_full_lr, append_fromtag, enable_double_rr, add_username;
};

MODULE_CHECK(check_config)
{
	*data = (void *)(uintptr_t)config;
	return 0;
}

static const struct rr_config *config_of(const struct route_args *args)
{
	static const struct rr_config initial = {0, 1, 1, 0};

	return args->data != NULL ? args->data : &initial;
}

/* Kamailio wants scripts to write r2=on where there are two: here it is there by itself. */
static int32_t keep_host(struct route_ctx *ctx, struct str text, struct route_text *host)
{
	static const struct str pair = {";r2=on", 6};
	int64_t at = str_find_str(text, pair);
	struct str part[2] = {text, STR_NONE};

	if (at >= 0) {
		part[0] = str_of(text.s, (size_t)at);
		part[1] = str_of(text.s + at + pair.len, text.len - (size_t)at - pair.len);
	}
	*host = route_text_join(ctx, part, 2);
	return host->space != ROUTE_SPACE_NONE ? ROUTE_TRUE : ROUTE_FALSE;
}

/* What a script may put behind our URI: nothing that ends the URI, the header or the line. */
static bool uri_text_ok(struct str text)
{
	for (uint32_t i = 0; i < text.len; i++) {
		char c = text.s[i];

		if ((unsigned char)c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '"' ||
			c == '?' || c == ',')
			return false;
	}
	return text.len <= PARAMS_TEXT_MAX;
}

static int32_t add_params(struct route_ctx *ctx, struct str text)
{
	struct proxy_state *state = proxy_state(ctx);
	struct str part[] = {route_text_str(ctx, state->rr_params),
		text.len != 0 && text.s[0] == ';' ? STR("") : STR(";"), text};
	struct route_text joined;

	if (text.len == 0)
		return ROUTE_TRUE;
	if (!uri_text_ok(text) || part[0].len + text.len + 1 > PARAMS_TEXT_MAX)
		return ROUTE_FALSE;
	joined = route_text_join(ctx, part, 3);
	if (joined.space == ROUTE_SPACE_NONE)
		return ROUTE_FALSE;
	state->rr_params = joined;
	return ROUTE_TRUE;
}

static void mark(struct route_ctx *ctx, const struct rr_config *config, uint32_t how)
{
	struct proxy_state *state = proxy_state(ctx);

	state->flags &= ~(uint32_t)(STATE_RR_PRESET | STATE_RR_ADVERTISED);
	state->flags |= STATE_RR | how | (config->append_fromtag != 0 ? STATE_RR_FTAG : 0) |
			(config->enable_full_lr != 0 ? STATE_RR_LR_ON : 0) |
			(config->enable_double_rr == 0 ? STATE_RR_SINGLE : 0) |
			(config->add_username != 0 ? STATE_RR_USER : 0);
}

MODULE_RUN(run_record_route)
{
	char digits[24];

	if (args->n > 0 && add_params(ctx, arg_text(&args->v[0], digits)) != ROUTE_TRUE)
		return ROUTE_FALSE;
	mark(ctx, config_of(args), 0);
	return ROUTE_TRUE;
}

static int32_t preset(struct route_ctx *ctx, const struct route_args *args, uint32_t how)
{
	struct proxy_state *state = proxy_state(ctx);
	struct route_text host[2] = {ROUTE_TEXT_NONE, ROUTE_TEXT_NONE};
	char digits[24];

	for (unsigned i = 0; i < args->n && i < 2; i++) {
		struct str text = str_trim(arg_text(&args->v[i], digits));

		if (text.len == 0 || text.len >= SOCKET_TEXT_MAX || !uri_text_ok(text))
			return ROUTE_FALSE;
		if (keep_host(ctx, text, &host[i]) != ROUTE_TRUE)
			return ROUTE_FALSE;
	}
	memcpy(state->rr_host, host, sizeof(host));
	mark(ctx, config_of(args), how);
	return ROUTE_TRUE;
}

MODULE_RUN(run_record_route_preset)
{
	return preset(ctx, args, STATE_RR_PRESET);
}

MODULE_RUN(run_record_route_advertised)
{
	return preset(ctx, args, STATE_RR_ADVERTISED);
}

MODULE_RUN(run_remove_record_route)
{
	proxy_state(ctx)->flags &= ~(uint32_t)STATE_RR;
	return ROUTE_TRUE;
}

MODULE_RUN(run_add_rr_param)
{
	char digits[24];

	return add_params(ctx, arg_text(&args->v[0], digits));
}

/*
 * True where the request came to us by a Route (or, from a strict router, a Request-URI) of ours
 * whose token says that its dialog passed here. A Route of ours without one is taken away all the
 * same, and the request is as any initial one.
 */
MODULE_RUN(run_loose_route)
{
	const struct proxy_state *state = proxy_state(ctx);

	proxy_route_set_preprocess(args->room, ctx);
	return (state->flags & (STATE_ROUTE_OURS | STATE_ROUTE_VALID)) ==
			       (STATE_ROUTE_OURS | STATE_ROUTE_VALID)
		       ? ROUTE_TRUE
		       : ROUTE_FALSE;
}

MODULE_CHECK(check_pattern)
{
	char error[160];

	if (!arg[0].constant || arg[0].value.type != ROUTE_STR) {
		route_error(report, &arg[0].place,
			"the pattern of check_route_param() is a constant string");
		return -EINVAL;
	}
	*data = route_regex_compile(arg[0].value.s, false, error, sizeof(error));
	if (*data != NULL)
		return 0;
	route_error(report, &arg[0].place, "%s", error);
	return -EINVAL;
}

static void free_pattern(void *data)
{
	route_regex_free(data);
}

MODULE_RUN(run_check_route_param)
{
	const struct proxy_state *state = proxy_state(ctx);
	struct str group[1];

	if ((state->flags & STATE_ROUTE_OURS) == 0 || args->data == NULL)
		return ROUTE_FALSE;
	return route_regex_match(ctx, args->data, sip_text(ctx->buf, state->own_params), group, 1) >
			       0
		       ? ROUTE_TRUE
		       : ROUTE_FALSE;
}

static bool is_upstream_word(struct str word)
{
	return str_ieq(word, STR("upstream"));
}

MODULE_CHECK(check_direction)
{
	if (arg[0].constant && !(arg[0].value.type == ROUTE_STR &&
				       (is_upstream_word(arg[0].value.s) ||
					       str_ieq(arg[0].value.s, STR("downstream"))))) {
		route_error(report, &arg[0].place, "a direction is \"upstream\" or \"downstream\"");
		return -EINVAL;
	}
	return 0;
}

/* By the token where there is a valid one, since nobody can forge that; else by `ftag`, as OpenSER
 * does. */
MODULE_RUN(run_is_direction)
{
	const struct proxy_state *state = proxy_state(ctx);
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf);
	char digits[24];
	struct str word = arg_text(&args->v[0], digits);
	struct sip_span ftag;
	bool upstream;

	if ((state->flags & (STATE_DOWNSTREAM | STATE_UPSTREAM)) != 0)
		upstream = (state->flags & STATE_UPSTREAM) != 0;
	else if ((state->flags & STATE_ROUTE_OURS) != 0 && from != NULL &&
		 sip_param_find(ctx->buf, state->own_params, STR("ftag"), &ftag, NULL))
		upstream = !str_ieq(sip_text(ctx->buf, ftag), sip_text(ctx->buf, from->tag));
	else
		upstream = false;
	return upstream == is_upstream_word(word) ? ROUTE_TRUE : ROUTE_FALSE;
}

#define RR_IN (ROUTE_IN_REQUEST | ROUTE_IN_FAILURE | ROUTE_IN_BRANCH)

static const struct route_function functions[] = {
	{.name = "record_route",
		.args_max = 1,
		.in = RR_IN,
		.run = run_record_route,
		.check = check_config,
		.usage = "record_route([params])",
		.rfc = "3261 16.6",
		.help = "Asks that the dialog's further requests come by here; two values where "
			"they leave from another listener."},
	{.name = "record_route_preset",
		.args_min = 1,
		.args_max = 2,
		.in = RR_IN,
		.run = run_record_route_preset,
		.check = check_config,
		.usage = "record_route_preset(host:port [, host:port])",
		.rfc = "3261 16.6",
		.help = "The same with these addresses: the second, where given, is the side that "
			"the request came from."},
	{.name = "record_route_advertised_address",
		.args_min = 1,
		.args_max = 1,
		.in = RR_IN,
		.run = run_record_route_advertised,
		.check = check_config,
		.usage = "record_route_advertised_address(host:port)",
		.rfc = "3261 16.6",
		.help = "The same as record_route() with this address instead of the listeners' "
			"own."},
	{.name = "remove_record_route",
		.in = RR_IN,
		.run = run_remove_record_route,
		.usage = "remove_record_route()",
		.rfc = "3261 16.6",
		.help = "Takes back what record_route() decided."},
	{.name = "add_rr_param",
		.args_min = 1,
		.args_max = 1,
		.in = RR_IN,
		.run = run_add_rr_param,
		.usage = "add_rr_param(params)",
		.rfc = "3261 16.6",
		.help = "Adds parameters to our Record-Route, before or after record_route()."},
	{.name = "loose_route",
		.in = ROUTE_IN_REQUEST,
		.run = run_loose_route,
		.usage = "loose_route()",
		.rfc = "3261 16.4, 16.12",
		.help = "True where the request came by a Route that we made for its dialog; our "
			"Routes are taken out."},
	{.name = "check_route_param",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY & ~ROUTE_IN_REPLY,
		.run = run_check_route_param,
		.check = check_pattern,
		.free_data = free_pattern,
		.raw = 1,
		.usage = "check_route_param(pattern)",
		.rfc = "3261 20.34",
		.help = "After loose_route(): true where the parameters of our Route match. Ends "
			"of the call can change them: believe them no more than a header."},
	{.name = "is_direction",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY & ~ROUTE_IN_REPLY,
		.run = run_is_direction,
		.check = check_direction,
		.usage = "is_direction(\"upstream\" | \"downstream\")",
		.rfc = "3261 12.2",
		.help = "After loose_route(): whether the request goes as the first one of its "
			"dialog did (downstream) or against it."},
	{.name = NULL},
};

#define FLAG(field, value, text) \
	{ \
		.name = #field, .type = ROUTE_PARAM_INT, \
		.offset = offsetof(struct rr_config, field), .min = 0, .max = 1, .initial = value, \
		.help = text \
	}

static const struct route_param params[] = {
	FLAG(enable_full_lr, "0",
		"Writes ;lr=on instead of ;lr, for peers that lose parameters without a value."),
	FLAG(append_fromtag, "1", "Adds ;ftag= with the From tag."),
	{.name = "enable_double_rr",
		.type = ROUTE_PARAM_INT,
		.offset = offsetof(struct rr_config, enable_double_rr),
		.min = 0,
		.max = 2,
		.initial = "1",
		.help = "Two values where a request leaves from another listener than it came by; "
			"2 is the same over UDP."},
	FLAG(add_username, "0", "Puts the Request-URI's user into our URI."),
	{.name = "enable_socket_mismatch_warning",
		.type = ROUTE_PARAM_INT,
		.accepted_only = true,
		.help = "The data path writes no warnings."},
	{.name = "ignore_user",
		.type = ROUTE_PARAM_INT,
		.accepted_only = true,
		.help = "Our Route is known by its token, whatever its user is."},
	{.name = "ignore_sips",
		.type = ROUTE_PARAM_INT,
		.accepted_only = true,
		.help = "SIP is spoken over UDP so far."},
	{.name = "force_send_socket",
		.type = ROUTE_PARAM_INT,
		.accepted_only = true,
		.help = "The second Route of a pair always says it."},
	{.name = "custom_user_avp",
		.type = ROUTE_PARAM_STR,
		.accepted_only = true,
		.help = "The user of our Record-Route is the Request-URI's, or none "
			"(add_username)."},
	{.name = NULL},
};

const struct route_module proxy_rr_module = {.name = "rr",
	.functions = functions,
	.params = params,
	.config_size = sizeof(struct rr_config)};
