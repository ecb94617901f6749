/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions about URIs and dialogs that OpenSER has in its modules uri and siputils and that need
 * nothing but the message. */
#include "route/function.h"

FUNCTION_RUN(run_has_totag)
{
	const struct sip_address *to = sip_msg_to(&ctx->msg, ctx->buf);

	return truth(to != NULL && to->tag.len != 0);
}

FUNCTION_RUN(run_uri_param)
{
	char digits[2][VALUE_NUMBER_MAX];
	struct uri_view view;
	struct sip_span value;

	if (!uri_current(ctx, &view))
		return ROUTE_FALSE;
	if (!sip_param_find(view.base, view.uri->params, value_as_text(&args->v[0], digits[0]),
		    &value, NULL))
		return ROUTE_FALSE;
	return truth(args->n < 2 ||
		     str_ieq(sip_text(view.base, value), value_as_text(&args->v[1], digits[1])));
}

FUNCTION_RUN(run_is_uri)
{
	struct uri_view view;

	if (args->v[0].type != ROUTE_STR || !uri_text_is_clean(args->v[0].s) ||
		!uri_view_of(args->v[0].s, &view))
		return ROUTE_FALSE;
	return truth(view.uri->scheme != SIP_SCHEME_NONE && view.uri->scheme != SIP_SCHEME_OTHER);
}

static bool all_digits(struct str text)
{
	for (uint32_t i = 0; i < text.len; i++)
		if (!str_is_digit(text.s[i]))
			return false;
	return text.len != 0;
}

FUNCTION_RUN(run_is_numeric)
{
	char digits[VALUE_NUMBER_MAX];

	return truth(all_digits(value_as_text(&args->v[0], digits)));
}

/* Digits with a leading plus or without. */
FUNCTION_RUN(run_is_tel_number)
{
	char digits[VALUE_NUMBER_MAX];
	struct str text = value_as_text(&args->v[0], digits);

	if (text.len != 0 && text.s[0] == '+')
		text = str_of(text.s + 1, text.len - 1);
	return truth(all_digits(text));
}

FUNCTION_RUN(run_is_request)
{
	return truth(!ctx->msg.is_response);
}

FUNCTION_RUN(run_is_reply)
{
	return truth(ctx->msg.is_response);
}

/* RFC 3261 19.1.4. */
FUNCTION_RUN(run_cmp_uri)
{
	struct uri_view a, b;

	if (args->v[0].type != ROUTE_STR || args->v[1].type != ROUTE_STR)
		return ROUTE_FALSE;
	if (!uri_view_of(args->v[0].s, &a) || !uri_view_of(args->v[1].s, &b))
		return ROUTE_FALSE;
	return truth(sip_uri_equal(a.base, a.uri, b.base, b.uri));
}
