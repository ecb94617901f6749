/* SPDX-License-Identifier: BSD-3-Clause */
/* The core module: the Request-URI, the destination URI, flags, log(). */
#include <errno.h>

#include "route/function.h"

static struct str text_arg(const struct route_args *args, unsigned n, char digits[VALUE_NUMBER_MAX])
{
	return n < args->n ? value_as_text(&args->v[n], digits) : STR_NONE;
}

/* ---- the Request-URI ---- */

FUNCTION_RUN(run_sethost)
{
	char digits[VALUE_NUMBER_MAX];
	struct uri_change change = {.set = URI_HOST, .host = text_arg(args, 0, digits)};

	return truth(uri_rewrite(ctx, &change));
}

FUNCTION_RUN(run_sethostport)
{
	char digits[VALUE_NUMBER_MAX];
	struct str text = text_arg(args, 0, digits);
	struct uri_change change = {.set = URI_HOST | URI_PORT, .host = text};

	if (text.s == NULL)
		return ROUTE_FALSE;
	const char *bracket = memrchr(text.s, ']', text.len);
	const char *colon = memrchr(text.s, ':', text.len);

	/* The last colon, but not one within an IPv6 reference. */
	if (colon != NULL && (bracket == NULL || colon > bracket)) {
		change.host = str_of(text.s, (size_t)(colon - text.s));
		change.port = str_of(colon + 1, (size_t)(text.s + text.len - colon - 1));
		if (change.port.len == 0)
			return ROUTE_FALSE;
	}
	return truth(uri_rewrite(ctx, &change));
}

FUNCTION_RUN(run_setport)
{
	char digits[VALUE_NUMBER_MAX];
	struct uri_change change = {.set = URI_PORT, .port = text_arg(args, 0, digits)};

	return truth(uri_rewrite(ctx, &change));
}

FUNCTION_RUN(run_setuser)
{
	char digits[VALUE_NUMBER_MAX];
	struct uri_change change = {.set = URI_USER, .user = {text_arg(args, 0, digits)}};

	return truth(uri_rewrite(ctx, &change));
}

FUNCTION_RUN(run_setuserpass)
{
	char digits[VALUE_NUMBER_MAX];
	struct str text = text_arg(args, 0, digits);
	struct uri_change change = {.set = URI_USER | URI_PASSWORD, .user = {text}};
	int64_t colon = str_find(text, ':');

	if (colon >= 0) {
		change.user[0] = str_of(text.s, (size_t)colon);
		change.password = str_of(text.s + colon + 1, text.len - (uint32_t)colon - 1);
	}
	return truth(uri_rewrite(ctx, &change));
}

FUNCTION_RUN(run_seturi)
{
	return truth(args->v[0].type == ROUTE_STR && uri_replace(ctx, args->v[0].s));
}

FUNCTION_RUN(run_reverturi)
{
	if (ctx->msg.is_response)
		return ROUTE_FALSE;
	ctx->uri = ROUTE_TEXT_NONE;
	route_uri_changed(ctx);
	return ROUTE_TRUE;
}

FUNCTION_RUN(run_prefix)
{
	char digits[VALUE_NUMBER_MAX];
	struct uri_view view;

	if (!uri_current(ctx, &view))
		return ROUTE_FALSE;
	struct uri_change change = {.set = URI_USER,
		.user = {text_arg(args, 0, digits), sip_text(view.base, view.uri->user)}};

	return truth(uri_rewrite(ctx, &change));
}

/* Takes `count` bytes off one end of the user; more than there are take all of it, as in Kamailio.
 */
static int32_t strip(struct route_ctx *ctx, const struct route_args *args, bool tail)
{
	struct uri_view view;
	int64_t count;

	if (!value_as_int(&args->v[0], &count) || count < 0 || !uri_current(ctx, &view))
		return ROUTE_FALSE;
	struct str user = sip_text(view.base, view.uri->user);
	uint32_t off = count < user.len ? (uint32_t)count : user.len;

	user.len -= off;
	user.s += tail ? 0 : off;
	struct uri_change change = {.set = URI_USER, .user = {user}};

	return truth(uri_rewrite(ctx, &change));
}

FUNCTION_RUN(run_strip)
{
	return strip(ctx, args, false);
}

FUNCTION_RUN(run_strip_tail)
{
	return strip(ctx, args, true);
}

FUNCTION_CHECK(check_count)
{
	int64_t count;

	if (!arg[0].constant || (value_as_int(&arg[0].value, &count) && count >= 0))
		return 0;
	route_error(report, &arg[0].place, "a number of characters, 0 or more, is needed here");
	return -EINVAL;
}

/* ---- the destination URI ---- */

FUNCTION_RUN(run_setdsturi)
{
	return truth(args->v[0].type == ROUTE_STR && args->v[0].s.len != 0 &&
		     uri_set_destination(ctx, args->v[0].s));
}

FUNCTION_RUN(run_resetdsturi)
{
	return truth(uri_set_destination(ctx, STR_NONE));
}

FUNCTION_RUN(run_isdsturiset)
{
	return truth(ctx->du.space != ROUTE_SPACE_NONE && ctx->du.len != 0);
}

/* ---- flags ---- */

#define FLAGS_MAX 32

FUNCTION_CHECK(check_flag)
{
	int64_t flag;

	for (unsigned i = 0; i < n; i++) {
		if (!arg[i].constant)
			continue;
		if (value_as_int(&arg[i].value, &flag) && flag >= 0 && flag < FLAGS_MAX)
			continue;
		route_error(report, &arg[i].place,
			"flags and branches have numbers from 0 to 31, or a name: flags NAME:3");
		return -EINVAL;
	}
	return 0;
}

/* The bit of a flag's number; 0 where there is no such flag. */
static uint32_t flag_bit(const struct route_args *args)
{
	int64_t flag;

	return value_as_int(&args->v[0], &flag) && flag >= 0 && flag < FLAGS_MAX ? 1u << flag : 0;
}

/* The flags of a branch: 0 is the Request-URI's own, others are those of append_branch(). NULL
 * where there is no such branch or flag. */
static uint32_t *branch_flags(struct route_ctx *ctx, const struct route_args *args)
{
	int64_t branch = 0;

	if (flag_bit(args) == 0 || (args->n > 1 && !value_as_int(&args->v[1], &branch)) ||
		branch < 0 || branch > ctx->branches)
		return NULL;
	return branch == 0 ? &ctx->branch_flags : &ctx->branch[branch - 1].flags;
}

FUNCTION_RUN(run_setflag)
{
	uint32_t bit = flag_bit(args);

	ctx->flags |= bit;
	return truth(bit != 0);
}

FUNCTION_RUN(run_resetflag)
{
	uint32_t bit = flag_bit(args);

	ctx->flags &= ~bit;
	return truth(bit != 0);
}

FUNCTION_RUN(run_isflagset)
{
	return truth((ctx->flags & flag_bit(args)) != 0);
}

FUNCTION_RUN(run_setbflag)
{
	uint32_t *flags = branch_flags(ctx, args);

	if (flags == NULL)
		return ROUTE_FALSE;
	*flags |= flag_bit(args);
	return ROUTE_TRUE;
}

FUNCTION_RUN(run_resetbflag)
{
	uint32_t *flags = branch_flags(ctx, args);

	if (flags == NULL)
		return ROUTE_FALSE;
	*flags &= ~flag_bit(args);
	return ROUTE_TRUE;
}

FUNCTION_RUN(run_isbflagset)
{
	const uint32_t *flags = branch_flags(ctx, args);

	return truth(flags != NULL && (*flags & flag_bit(args)) != 0);
}
