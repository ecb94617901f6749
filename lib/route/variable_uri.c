/* SPDX-License-Identifier: BSD-3-Clause */
/* $ru, $ou, $du and their parts. */
#include "route/variable_get.h"

bool uri_view_of(struct str text, struct uri_view *view)
{
	view->base = text.s;
	view->uri = &view->own;
	return text.len != 0 &&
	       sip_uri_parse(text.s, (struct sip_span){0, text.len}, &view->own) == 0;
}

bool uri_current(struct route_ctx *ctx, struct uri_view *view)
{
	if (ctx->msg.is_response)
		return false;
	if (ctx->uri.space != ROUTE_SPACE_NONE)
		return uri_view_of(route_text_str(ctx, ctx->uri), view);
	view->base = ctx->buf;
	view->uri = sip_msg_uri(&ctx->msg, ctx->buf);
	return view->uri != NULL;
}

static bool uri_original(struct route_ctx *ctx, struct uri_view *view)
{
	view->base = ctx->buf;
	view->uri = ctx->msg.is_response ? NULL : sip_msg_uri(&ctx->msg, ctx->buf);
	return view->uri != NULL;
}

static bool uri_destination(struct route_ctx *ctx, struct uri_view *view)
{
	return ctx->du.space != ROUTE_SPACE_NONE && uri_view_of(route_text_str(ctx, ctx->du), view);
}

typedef bool uri_source(struct route_ctx *ctx, struct uri_view *view);

static inline bool is_sip(const struct sip_uri *uri)
{
	return uri->scheme == SIP_SCHEME_SIP || uri->scheme == SIP_SCHEME_SIPS;
}

static bool user_of(struct route_ctx *ctx, uri_source *source, struct route_value *out)
{
	struct uri_view view;

	return source(ctx, &view) ? value_span(out, view.base, view.uri->user) : value_null(out);
}

static bool host_of(struct route_ctx *ctx, uri_source *source, struct route_value *out)
{
	struct uri_view view;

	return source(ctx, &view) && is_sip(view.uri) ? value_span(out, view.base, view.uri->host)
						      : value_null(out);
}

static bool port_of(struct route_ctx *ctx, uri_source *source, struct route_value *out)
{
	struct uri_view view;

	if (!source(ctx, &view) || !is_sip(view.uri))
		return value_null(out);
	if (view.uri->port != 0)
		return value_int(out, view.uri->port);
	bool tls = view.uri->scheme == SIP_SCHEME_SIPS || view.uri->transport == SIP_TRANSPORT_TLS;

	return value_int(out, tls ? SIPS_DEFAULT_PORT : SIP_DEFAULT_PORT);
}

static bool transport_of(struct route_ctx *ctx, uri_source *source, struct route_value *out)
{
	struct uri_view view;
	struct sip_span value;

	if (!source(ctx, &view) || !is_sip(view.uri))
		return value_null(out);
	/* As written, like Kamailio: scripts compare with "tcp" and with "TCP". */
	if (view.uri->transport != SIP_TRANSPORT_NONE &&
		sip_param_find(view.base, view.uri->params, STR("transport"), &value, NULL) &&
		value.len != 0)
		return value_str(out, sip_text(view.base, value));
	return value_str(out, view.uri->scheme == SIP_SCHEME_SIPS ? STR("TLS") : STR("UDP"));
}

VARIABLE_GET(get_ruri)
{
	return ctx->msg.is_response ? value_null(out) : value_text(out, route_ctx_uri(ctx));
}

VARIABLE_GET(get_ruri_user)
{
	return user_of(ctx, uri_current, out);
}

VARIABLE_GET(get_ruri_host)
{
	return host_of(ctx, uri_current, out);
}

VARIABLE_GET(get_ruri_port)
{
	return port_of(ctx, uri_current, out);
}

VARIABLE_GET(get_ruri_transport)
{
	return transport_of(ctx, uri_current, out);
}

VARIABLE_GET(get_ruri_scheme)
{
	struct uri_view view;

	return uri_current(ctx, &view) ? value_span(out, view.base, view.uri->scheme_text)
				       : value_null(out);
}

VARIABLE_GET(get_ruri_user_length)
{
	struct uri_view view;

	return uri_current(ctx, &view) ? value_int(out, view.uri->user.len) : value_null(out);
}

VARIABLE_SET(set_ruri)
{
	return value->type == ROUTE_STR && uri_replace(ctx, value->s);
}

VARIABLE_SET(set_ruri_user)
{
	char digits[VALUE_NUMBER_MAX];
	struct uri_change change = {.set = URI_USER, .user = {value_as_text(value, digits)}};

	return uri_rewrite(ctx, &change);
}

VARIABLE_SET(set_ruri_host)
{
	char digits[VALUE_NUMBER_MAX];
	struct uri_change change = {.set = URI_HOST, .host = value_as_text(value, digits)};

	return uri_rewrite(ctx, &change);
}

VARIABLE_SET(set_ruri_port)
{
	char digits[VALUE_NUMBER_MAX];
	struct uri_change change = {.set = URI_PORT, .port = value_as_text(value, digits)};

	return uri_rewrite(ctx, &change);
}

VARIABLE_GET(get_original)
{
	return ctx->msg.is_response ? value_null(out)
				    : value_span(out, ctx->buf, ctx->msg.uri_text);
}

VARIABLE_GET(get_original_user)
{
	return user_of(ctx, uri_original, out);
}

VARIABLE_GET(get_original_user_length)
{
	struct route_value user;

	if (!user_of(ctx, uri_original, &user) || user.type == ROUTE_NULL)
		return value_null(out);
	return value_int(out, user.s.len);
}

VARIABLE_GET(get_original_host)
{
	return host_of(ctx, uri_original, out);
}

VARIABLE_GET(get_original_port)
{
	return port_of(ctx, uri_original, out);
}

VARIABLE_GET(get_original_transport)
{
	return transport_of(ctx, uri_original, out);
}

VARIABLE_GET(get_destination)
{
	return value_text(out, route_text_str(ctx, ctx->du));
}

VARIABLE_GET(get_destination_host)
{
	return host_of(ctx, uri_destination, out);
}

VARIABLE_GET(get_destination_port)
{
	return port_of(ctx, uri_destination, out);
}

VARIABLE_GET(get_destination_transport)
{
	return transport_of(ctx, uri_destination, out);
}

VARIABLE_SET(set_destination)
{
	if (value->type == ROUTE_INT)
		return false;
	return uri_set_destination(ctx, value->s);
}
