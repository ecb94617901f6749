/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OpenSER module "sanity": checks of a request by Kamailio's numbers. Most of them every message
 * has passed before the script runs (sip_msg_check(), RFC 3261 16.3); what a script asks for beyond
 * is done here.
 */
#include "proxy/internal.h"

struct sanity_config {
	int64_t default_checks, uri_checks, autodrop, noreply;
};

enum sanity_flag {
	SANITY_RURI_SCHEME = 2,
	SANITY_EXPIRES = 256,
	SANITY_PROXY_REQUIRE = 512,
	SANITY_PARSE_URIS = 1024,
	SANITY_DIGEST = 2048,
	SANITY_DEFAULT = 3047, /* all that Kamailio has but 1024, 8 and 16 */
	SANITY_URI_RURI = 1,
	SANITY_URI_FROM = 2,
	SANITY_URI_TO = 4,
	SANITY_URI_CONTACT = 8,
};

MODULE_CHECK(check_config)
{
	int64_t number;

	for (unsigned i = 0; i < n; i++) {
		if (arg[i].constant && !arg_number(&arg[i].value, INT32_MAX, &number)) {
			route_error(
				report, &arg[i].place, "the checks of sanity_check() are a number");
			return -EINVAL;
		}
	}
	*data = (void *)(uintptr_t)config;
	return 0;
}

static bool uri_ok(const struct route_ctx *ctx, struct sip_span span)
{
	struct sip_uri uri;

	return sip_uri_parse(ctx->buf, span, &uri) == 0;
}

static bool contacts_ok(const struct route_ctx *ctx)
{
	struct sip_span value;
	struct sip_address contact;

	SIP_MSG_FOREACH (&ctx->msg, SIP_HEADER_CONTACT, h) {
		uint32_t at = 0;

		while (sip_list_next(ctx->buf, sip_header_value(h), &at, &value)) {
			if (sip_address_parse(ctx->buf, value, &contact) != 0 ||
				(!contact.star && !uri_ok(ctx, contact.uri)))
				return false;
		}
	}
	return true;
}

/* The reason phrase of what is wrong with a URI, empty where none is. */
static struct str check_uris(struct route_ctx *ctx, int64_t which)
{
	const struct sip_address *from = sip_msg_from(&ctx->msg, ctx->buf),
				 *to = sip_msg_to(&ctx->msg, ctx->buf);

	if ((which & SANITY_URI_RURI) != 0 && sip_msg_uri(&ctx->msg, ctx->buf) == NULL)
		return STR("Bad Request URI");
	if ((which & SANITY_URI_FROM) != 0 && (from == NULL || !uri_ok(ctx, from->uri)))
		return STR("Bad From URI");
	if ((which & SANITY_URI_TO) != 0 && (to == NULL || !uri_ok(ctx, to->uri)))
		return STR("Bad To URI");
	if ((which & SANITY_URI_CONTACT) != 0 && !contacts_ok(ctx))
		return STR("Bad Contact URI");
	return STR("");
}

/* Digest credentials name a user, a realm and a nonce (RFC 7616 3.4). */
static bool digest_ok(const struct route_ctx *ctx, enum sip_header_id id)
{
	static const struct str names[] = {
		{"username", 8}, {"realm", 5}, {"nonce", 5}, {"uri", 3}, {"response", 8}};

	SIP_MSG_FOREACH (&ctx->msg, id, h) {
		struct sip_span list = sip_header_value(h), value;
		unsigned found = 0;
		uint32_t at = 0;

		if (!str_istarts(sip_text(ctx->buf, list), STR("Digest")) || list.len < 7)
			continue;
		list.off += 6;
		list.len -= 6;
		while (sip_list_next(ctx->buf, list, &at, &value)) {
			struct str text = sip_text(ctx->buf, value);
			int64_t equal = str_find(text, '=');
			struct str name =
				str_trim((struct str){text.s, equal < 0 ? 0 : (uint32_t)equal});

			for (unsigned i = 0; i < 5; i++) {
				if (str_ieq(name, names[i]) && (uint32_t)equal + 1 < text.len)
					found |= 1u << i;
			}
		}
		if (found != 0x1f)
			return false;
	}
	return true;
}

static int32_t refuse(struct route_ctx *ctx, const struct sanity_config *config, uint16_t status,
	struct str reason)
{
	proxy_reply_set(ctx, status, reason);
	if (config->noreply != 0)
		ctx->result.reply = false; /* what sanity_reply() would say is kept */
	else
		proxy_state(ctx)->flags |= STATE_REPLIED;
	return config->autodrop != 0 ? ROUTE_EXIT : ROUTE_FALSE;
}

MODULE_RUN(run_sanity_check)
{
	static const struct sanity_config initial = {SANITY_DEFAULT, 7, 1, 0};
	const struct sanity_config *config = args->data != NULL ? args->data : &initial;
	int64_t checks = config->default_checks, uris = config->uri_checks;
	const struct sip_uri *uri;
	uint64_t expires;
	struct str reason;

	if ((args->n > 0 && !arg_number(&args->v[0], INT32_MAX, &checks)) ||
		(args->n > 1 && !arg_number(&args->v[1], INT32_MAX, &uris)))
		return ROUTE_FALSE;
	if (ctx->result.forward || ctx->msg.is_response)
		return ROUTE_TRUE;
	uri = sip_msg_uri(&ctx->msg, ctx->buf);
	if ((checks & SANITY_RURI_SCHEME) != 0 && (uri == NULL || uri->scheme == SIP_SCHEME_OTHER))
		return refuse(ctx, config, 416, STR_NONE);
	if ((checks & SANITY_EXPIRES) != 0 && sip_msg_has(&ctx->msg, SIP_HEADER_EXPIRES) &&
		str_to_u64(sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_EXPIRES)),
			UINT32_MAX, &expires) != 0)
		return refuse(ctx, config, 400, STR("Bad Expires"));
	if ((checks & SANITY_PROXY_REQUIRE) != 0 &&
		sip_msg_has(&ctx->msg, SIP_HEADER_PROXY_REQUIRE) &&
		ctx->msg.method != SIP_METHOD_ACK && ctx->msg.method != SIP_METHOD_CANCEL)
		return refuse(ctx, config, 420, STR_NONE);
	if ((checks & SANITY_PARSE_URIS) != 0) {
		reason = check_uris(ctx, uris);
		if (reason.len != 0)
			return refuse(ctx, config, 400, reason);
	}
	if ((checks & SANITY_DIGEST) != 0 &&
		(!digest_ok(ctx, SIP_HEADER_AUTHORIZATION) ||
			!digest_ok(ctx, SIP_HEADER_PROXY_AUTHORIZATION)))
		return refuse(ctx, config, 400, STR("Bad Digest Credentials"));
	return ROUTE_TRUE;
}

/* What the last sanity_check() found, where that said nothing itself. */
MODULE_RUN(run_sanity_reply)
{
	const struct sanity_config *config = args->data;

	if (config == NULL || config->noreply == 0 || ctx->msg.is_response || ctx->result.forward ||
		ctx->result.reply)
		return ROUTE_TRUE;
	if (ctx->result.status >= 400)
		ctx->result.reply = true;
	else
		proxy_reply_set(ctx, 500, STR("Server Sanity Failure"));
	proxy_state(ctx)->flags |= STATE_REPLIED;
	return ROUTE_TRUE;
}

static const struct route_function functions[] = {
	{.name = "sanity_check",
		.args_max = 2,
		.in = ROUTE_IN_REQUEST | ROUTE_IN_REPLY,
		.run = run_sanity_check,
		.check = check_config,
		.usage = "sanity_check([checks [, uri_checks]])",
		.rfc = "3261 16.3",
		.help = "Checks the request by Kamailio's numbers; what fails is answered. A reply "
			"that comes to a script has passed its checks: it is true."},
	{.name = "sanity_reply",
		.in = ROUTE_IN_REQUEST | ROUTE_IN_REPLY,
		.run = run_sanity_reply,
		.check = check_config,
		.usage = "sanity_reply()",
		.rfc = "3261 16.3",
		.help = "With noreply 1: answers with what sanity_check() found, 500 where it "
			"found nothing."},
	{.name = NULL},
};

#define NUMBER(field, value, text) \
	{ \
		.name = #field, .type = ROUTE_PARAM_INT, \
		.offset = offsetof(struct sanity_config, field), .min = 0, .max = 65535, \
		.initial = value, .help = text \
	}

static const struct route_param params[] = {
	NUMBER(default_checks, "3047", "The checks without an argument."),
	NUMBER(uri_checks, "7",
		"The URIs that are parsed without an argument: 1 Request-URI, 2 From, 4 To, 8 "
		"Contact."),
	NUMBER(autodrop, "1", "Ends the script where a check fails."),
	NUMBER(noreply, "0", "1: what fails is not answered; sanity_reply() or the script does."),
	{.name = "proxy_require",
		.type = ROUTE_PARAM_STR,
		.accepted_only = true,
		.help = "No extension of this kind is supported: 420 before the script."},
	{.name = NULL},
};

const struct route_module proxy_sanity_module = {.name = "sanity",
	.functions = functions,
	.params = params,
	.config_size = sizeof(struct sanity_config)};
