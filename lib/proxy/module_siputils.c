/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSER module "siputils", as far as it asks the proxy; what asks the message alone is in the
 * language's own tables. */
#include "proxy/internal.h"

#include <stdlib.h>

struct siputils_config {
	const char *accept, *encoding, *language, *supported;
};

#define HEADERS_MAX 768

/* What options_reply() adds, put together when the script is loaded. */
struct options_headers {
	uint32_t len;
	char text[HEADERS_MAX];
};

MODULE_CHECK(check_options)
{
	static const struct siputils_config initial = {"*/*", "", "en", ""};
	const struct siputils_config *c = config != NULL ? config : &initial;
	struct options_headers *h = calloc(1, sizeof(*h));
	struct text t = {h != NULL ? h->text : NULL, 0, HEADERS_MAX, false};

	if (h == NULL)
		return -ENOMEM;
	text_lit(&t, "Accept: ");
	text_put(&t, str_c(c->accept));
	text_lit(&t, "\r\nAccept-Encoding: ");
	text_put(&t, str_c(c->encoding));
	text_lit(&t, "\r\nAccept-Language: ");
	text_put(&t, str_c(c->language));
	text_lit(&t, "\r\nSupported: ");
	text_put(&t, str_c(c->supported));
	text_lit(&t, "\r\n");
	h->len = t.full ? 0 : t.len;
	*data = h;
	return 0;
}

/* RFC 3261 11.2: an OPTIONS to us and to nobody's user. */
MODULE_RUN(run_options_reply)
{
	const struct options_headers *headers = args->data;
	const struct sockets *s = proxy_sockets(args->room);
	struct str text = route_ctx_uri(ctx);
	const struct sip_uri *uri;
	struct sip_uri parsed;

	if (ctx->msg.method != SIP_METHOD_OPTIONS || ctx->result.forward)
		return ROUTE_FALSE;
	if (ctx->uri.space == ROUTE_SPACE_NONE) {
		uri = sip_msg_uri(&ctx->msg, ctx->buf);
		text.s = ctx->buf;
	} else {
		uri = sip_uri_parse(text.s, (struct sip_span){0, text.len}, &parsed) == 0 ? &parsed
											  : NULL;
	}
	if (uri == NULL || uri->user.len != 0 || !proxy_uri_is_myself(s, text.s, uri))
		return ROUTE_FALSE;
	proxy_reply_options(
		ctx, headers != NULL ? (struct str){headers->text, headers->len} : STR_NONE);
	proxy_state(ctx)->flags |= STATE_REPLIED;
	return ROUTE_TRUE;
}

/* The responder's first hop is the proxy whose Record-Route stands on top; `address`: only where
 * that is an address, and not where the response comes from, which would be a loop. */
static bool is_first_of_response(struct route_ctx *ctx, const struct sockets *s, bool address)
{
	struct sip_span list, value;
	struct sip_address record;
	struct net_addr addr;
	struct sip_uri uri;
	uint32_t at = 0;

	if (!sip_msg_has(&ctx->msg, SIP_HEADER_RECORD_ROUTE))
		return true;
	list = sip_msg_value(&ctx->msg, SIP_HEADER_RECORD_ROUTE);
	if (!sip_list_next(ctx->buf, list, &at, &value) ||
		sip_address_parse(ctx->buf, value, &record) != 0 ||
		sip_uri_parse(ctx->buf, record.uri, &uri) != 0 ||
		!proxy_uri_is_myself(s, ctx->buf, &uri))
		return false;
	if (!address)
		return true;
	if (net_addr_parse(sip_text(ctx->buf, uri.host), &addr) != 0)
		return false;
	return !net_addr_equal(&addr, &ctx->origin.src.addr) ||
	       ctx->origin.src.port != (uri.port != 0 ? uri.port : SIP_DEFAULT_PORT);
}

/* A request with one Via comes from who made it. */
MODULE_RUN(run_is_first_hop)
{
	const struct sip_via *via = sip_msg_via(&ctx->msg, ctx->buf, 0);
	int64_t mode = 0;

	if (args->n > 0 && !arg_number(&args->v[0], 1, &mode))
		return ROUTE_FALSE;
	if (ctx->msg.is_response)
		return is_first_of_response(ctx, proxy_sockets(args->room), mode == 0)
			       ? ROUTE_TRUE
			       : ROUTE_FALSE;
	return via != NULL && via->next == 0 &&
			       ctx->msg.first[SIP_HEADER_VIA] == ctx->msg.last[SIP_HEADER_VIA]
		       ? ROUTE_TRUE
		       : ROUTE_FALSE;
}

static const struct route_function functions[] = {
	{.name = "options_reply",
		.in = ROUTE_IN_REQUEST,
		.run = run_options_reply,
		.check = check_options,
		.free_data = free,
		.usage = "options_reply()",
		.rfc = "3261 11.2",
		.help = "Answers an OPTIONS to us without a user with 200 and what we support; "
			"else false."},
	{.name = "is_first_hop",
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_is_first_hop,
		.usage = "is_first_hop([mode])",
		.help = "True where the request has one Via: it comes from who made it; and where "
			"the topmost Record-Route of a response is ours, in mode 0 by an address "
			"that the response does not come from."},
	{.name = NULL},
};

#define TEXT(name_text, field, value, text) \
	{ \
		.name = name_text, .type = ROUTE_PARAM_STR, \
		.offset = offsetof(struct siputils_config, field), .initial = value, .help = text \
	}

static const struct route_param params[] = {
	TEXT("options_accept", accept, "*/*", "Accept of options_reply()."),
	TEXT("options_accept_encoding", encoding, "", "Accept-Encoding of options_reply()."),
	TEXT("options_accept_language", language, "en", "Accept-Language of options_reply()."),
	TEXT("options_support", supported, "", "Supported of options_reply()."),
	{.name = NULL},
};

static bool stays_in_line(const char *text)
{
	return text == NULL || strpbrk(text, "\r\n") == NULL;
}

static int prepare(void *room, const void *config, struct route_report *report, void **prepared)
{
	const struct siputils_config *c = config;
	static const struct route_place nowhere = {.file = "siputils", .length = 1};

	*prepared = NULL;
	if (stays_in_line(c->accept) && stays_in_line(c->encoding) && stays_in_line(c->language) &&
		stays_in_line(c->supported))
		return 0;
	route_error(report, &nowhere, "a parameter of siputils stays on one line");
	return -EINVAL;
}

const struct route_module proxy_siputils_module = {.name = "siputils",
	.functions = functions,
	.params = params,
	.config_size = sizeof(struct siputils_config),
	.prepare = prepare};
