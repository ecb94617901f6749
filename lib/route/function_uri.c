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
	if (args->n < 2)
		return truth(value.len == 0);
	return truth(str_ieq(sip_text(view.base, value), value_as_text(&args->v[1], digits[1])));
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

/* User, host and port, as Kamailio compares what identifies a user. */
FUNCTION_RUN(run_cmp_aor)
{
	struct uri_view a, b;
	uint16_t port_a, port_b;

	if (args->v[0].type != ROUTE_STR || args->v[1].type != ROUTE_STR)
		return ROUTE_FALSE;
	if (!uri_view_of(args->v[0].s, &a) || !uri_view_of(args->v[1].s, &b))
		return ROUTE_FALSE;
	port_a = a.uri->port != 0 ? a.uri->port : SIP_DEFAULT_PORT;
	port_b = b.uri->port != 0 ? b.uri->port : SIP_DEFAULT_PORT;
	return truth(port_a == port_b &&
		     str_eq(sip_text(a.base, a.uri->user), sip_text(b.base, b.uri->user)) &&
		     str_ieq(sip_text(a.base, a.uri->host), sip_text(b.base, b.uri->host)));
}

/* Short names are the long ones' (RFC 3261 7.3.3). */
FUNCTION_RUN(run_cmp_hdr_name)
{
	enum sip_header_id id;

	if (args->v[0].type != ROUTE_STR || args->v[1].type != ROUTE_STR)
		return ROUTE_FALSE;
	id = sip_header_of(args->v[0].s);
	return truth(id != SIP_HEADER_OTHER ? id == sip_header_of(args->v[1].s)
					    : str_ieq(args->v[0].s, args->v[1].s));
}

#define E164_DIGITS_MIN 2
#define E164_DIGITS_MAX 15

static bool is_e164(struct str text)
{
	return text.len > E164_DIGITS_MIN && text.len <= E164_DIGITS_MAX + 1 && text.s[0] == '+' &&
	       all_digits(str_of(text.s + 1, text.len - 1));
}

FUNCTION_RUN(run_is_e164)
{
	return truth(args->v[0].type == ROUTE_STR && is_e164(args->v[0].s));
}

FUNCTION_RUN(run_is_uri_user_e164)
{
	struct uri_view view;

	return truth(args->v[0].type == ROUTE_STR && uri_view_of(args->v[0].s, &view) &&
		     is_e164(sip_text(view.base, view.uri->user)));
}

static bool is_of(struct str text, struct str further)
{
	uint64_t more[4] = {0}; /* a bit for each byte: both may be long */

	for (uint32_t i = 0; i < further.len; i++) {
		uint8_t c = (uint8_t)further.s[i];

		more[c / 64] |= UINT64_C(1) << c % 64;
	}
	for (uint32_t i = 0; i < text.len; i++) {
		uint8_t c = (uint8_t)text.s[i];

		if (!str_is_alpha(text.s[i]) && !str_is_digit(text.s[i]) &&
			(more[c / 64] >> c % 64 & 1) == 0)
			return false;
	}
	return text.len != 0;
}

FUNCTION_RUN(run_is_alphanum)
{
	char digits[VALUE_NUMBER_MAX];

	return truth(is_of(value_as_text(&args->v[0], digits), STR_NONE));
}

FUNCTION_RUN(run_is_alphanumex)
{
	char digits[2][VALUE_NUMBER_MAX];

	return truth(is_of(
		value_as_text(&args->v[0], digits[0]), value_as_text(&args->v[1], digits[1])));
}

FUNCTION_RUN(run_is_supported)
{
	return truth(args->v[0].type == ROUTE_STR &&
		     sip_msg_list_has(&ctx->msg, ctx->buf, SIP_HEADER_SUPPORTED, args->v[0].s));
}

/* With a value or without one. */
FUNCTION_RUN(run_uri_param_any)
{
	char digits[VALUE_NUMBER_MAX];
	struct uri_view view;
	struct sip_span value;

	return truth(uri_current(ctx, &view) &&
		     sip_param_find(view.base, view.uri->params, value_as_text(&args->v[0], digits),
			     &value, NULL));
}

/* Nothing in it may become another part of the URI. */
FUNCTION_RUN(run_add_uri_param)
{
	char digits[VALUE_NUMBER_MAX];
	struct str param = value_as_text(&args->v[0], digits);
	const struct str part[3] = {route_ctx_uri(ctx), STR(";"), param};
	uint32_t mark = ctx->text_len;
	struct route_text text;

	if (ctx->msg.is_response || param.len == 0 || str_find(param, '@') >= 0 ||
		str_find(param, '?') >= 0)
		return ROUTE_FALSE;
	text = route_text_join(ctx, part, 3);
	if (text.space == ROUTE_SPACE_NONE)
		return ROUTE_FALSE;
	if (uri_replace(ctx, route_text_str(ctx, text)))
		return ROUTE_TRUE;
	ctx->text_len = mark;
	return ROUTE_FALSE;
}

bool route_host_is_myself(
	struct route_ctx *ctx, struct str host, uint16_t port, enum sip_transport transport)
{
	const struct route_hooks *hooks = route_script_hooks(ctx->script);

	if (hooks->is_myself == NULL)
		return false;
	if (hooks->is_myself(hooks->room, host, port, transport))
		return true;
	if (hooks->myself_is_unread != NULL && hooks->myself_is_unread(hooks->room))
		ctx->failure = ROUTE_FAILURE_LIST_UNREAD;
	return false;
}

/* "example.com", "sip:example.com:5060" and "udp:192.0.2.1:5060". */
FUNCTION_RUN(run_is_myself)
{
	const struct route_hooks *hooks = route_script_hooks(ctx->script);
	struct uri_view view;
	struct str text = args->v[0].s;
	enum sip_transport transport = SIP_TRANSPORT_NONE;
	char uri[256] = "sip:";
	int64_t port = 0;

	if (args->v[0].type != ROUTE_STR || hooks->is_myself == NULL || text.len > sizeof(uri) - 4)
		return ROUTE_FALSE;
	if (args->n > 1 && (!value_as_int(&args->v[1], &port) || port < 0 || port > UINT16_MAX))
		return ROUTE_FALSE;
	if (!str_istarts(text, STR("sip:")) && !str_istarts(text, STR("sips:"))) {
		int64_t colon = str_find(text, ':');
		enum sip_transport t = colon > 0 ? sip_transport_of(str_of(text.s, (size_t)colon))
						 : SIP_TRANSPORT_NONE;

		if (t != SIP_TRANSPORT_NONE && t != SIP_TRANSPORT_OTHER) {
			transport = t;
			text = str_of(text.s + colon + 1, text.len - (size_t)colon - 1);
		}
		memcpy(uri + 4, text.s, text.len);
		text = str_of(uri, text.len + 4);
	}
	if (!uri_view_of(text, &view))
		return ROUTE_FALSE;
	return truth(route_host_is_myself(ctx, sip_text(view.base, view.uri->host),
		port != 0 ? (uint16_t)port : view.uri->port, transport));
}
