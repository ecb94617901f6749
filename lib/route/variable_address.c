/* SPDX-License-Identifier: BSD-3-Clause */
/* $fu, $tu and what else stands in headers that hold an address or credentials. */
#include "route/variable_get.h"

enum uri_piece { PIECE_USER, PIECE_HOST };

/* A part of the URI at `uri` in the message. */
static bool piece_of(
	struct route_ctx *ctx, struct sip_span uri, enum uri_piece piece, struct route_value *out)
{
	struct sip_uri parsed;

	if (sip_uri_parse(ctx->buf, uri, &parsed) < 0)
		return value_null(out);
	if (piece == PIECE_USER)
		return value_span(out, ctx->buf, parsed.user);
	if (parsed.scheme != SIP_SCHEME_SIP && parsed.scheme != SIP_SCHEME_SIPS)
		return value_null(out);
	return value_span(out, ctx->buf, parsed.host);
}

static bool user_length_of(struct route_ctx *ctx, struct sip_span uri, struct route_value *out)
{
	struct sip_uri parsed;

	return sip_uri_parse(ctx->buf, uri, &parsed) < 0 ? value_null(out)
							 : value_int(out, parsed.user.len);
}

#define FROM(ctx) sip_msg_from(&(ctx)->msg, (ctx)->buf)
#define TO(ctx) sip_msg_to(&(ctx)->msg, (ctx)->buf)

VARIABLE_GET(get_from)
{
	const struct sip_address *a = FROM(ctx);

	return a != NULL ? value_span(out, ctx->buf, a->uri) : value_null(out);
}

VARIABLE_GET(get_from_user)
{
	const struct sip_address *a = FROM(ctx);

	return a != NULL ? piece_of(ctx, a->uri, PIECE_USER, out) : value_null(out);
}

VARIABLE_GET(get_from_host)
{
	const struct sip_address *a = FROM(ctx);

	return a != NULL ? piece_of(ctx, a->uri, PIECE_HOST, out) : value_null(out);
}

VARIABLE_GET(get_from_display)
{
	const struct sip_address *a = FROM(ctx);

	return a != NULL ? value_span(out, ctx->buf, a->display) : value_null(out);
}

VARIABLE_GET(get_from_tag)
{
	const struct sip_address *a = FROM(ctx);

	return a != NULL ? value_span(out, ctx->buf, a->tag) : value_null(out);
}

VARIABLE_GET(get_from_user_length)
{
	const struct sip_address *a = FROM(ctx);

	return a != NULL ? user_length_of(ctx, a->uri, out) : value_null(out);
}

VARIABLE_GET(get_to)
{
	const struct sip_address *a = TO(ctx);

	return a != NULL ? value_span(out, ctx->buf, a->uri) : value_null(out);
}

VARIABLE_GET(get_to_user)
{
	const struct sip_address *a = TO(ctx);

	return a != NULL ? piece_of(ctx, a->uri, PIECE_USER, out) : value_null(out);
}

VARIABLE_GET(get_to_host)
{
	const struct sip_address *a = TO(ctx);

	return a != NULL ? piece_of(ctx, a->uri, PIECE_HOST, out) : value_null(out);
}

VARIABLE_GET(get_to_display)
{
	const struct sip_address *a = TO(ctx);

	return a != NULL ? value_span(out, ctx->buf, a->display) : value_null(out);
}

VARIABLE_GET(get_to_tag)
{
	const struct sip_address *a = TO(ctx);

	return a != NULL ? value_span(out, ctx->buf, a->tag) : value_null(out);
}

VARIABLE_GET(get_to_user_length)
{
	const struct sip_address *a = TO(ctx);

	return a != NULL ? user_length_of(ctx, a->uri, out) : value_null(out);
}

/* The first value of the first header of this kind. */
static bool address_of(struct route_ctx *ctx, enum sip_header_id id, struct sip_address *address)
{
	struct sip_span value = sip_msg_value(&ctx->msg, id);

	return value.len != 0 && sip_address_parse(ctx->buf, value, address) == 0;
}

static bool address_uri(struct route_ctx *ctx, enum sip_header_id id, struct route_value *out)
{
	struct sip_address a;

	return address_of(ctx, id, &a) ? value_span(out, ctx->buf, a.uri) : value_null(out);
}

static bool address_piece(
	struct route_ctx *ctx, enum sip_header_id id, enum uri_piece piece, struct route_value *out)
{
	struct sip_address a;

	return address_of(ctx, id, &a) ? piece_of(ctx, a.uri, piece, out) : value_null(out);
}

VARIABLE_GET(get_asserted)
{
	return address_uri(ctx, SIP_HEADER_P_ASSERTED_IDENTITY, out);
}

VARIABLE_GET(get_preferred)
{
	return address_uri(ctx, SIP_HEADER_P_PREFERRED_IDENTITY, out);
}

VARIABLE_GET(get_preferred_user)
{
	return address_piece(ctx, SIP_HEADER_P_PREFERRED_IDENTITY, PIECE_USER, out);
}

VARIABLE_GET(get_preferred_host)
{
	return address_piece(ctx, SIP_HEADER_P_PREFERRED_IDENTITY, PIECE_HOST, out);
}

VARIABLE_GET(get_preferred_display)
{
	struct sip_address a;

	return address_of(ctx, SIP_HEADER_P_PREFERRED_IDENTITY, &a)
		       ? value_span(out, ctx->buf, a.display)
		       : value_null(out);
}

VARIABLE_GET(get_remote_party)
{
	return address_uri(ctx, SIP_HEADER_REMOTE_PARTY_ID, out);
}

VARIABLE_GET(get_refer_to)
{
	return address_uri(ctx, SIP_HEADER_REFER_TO, out);
}

VARIABLE_GET(get_diversion)
{
	return address_uri(ctx, SIP_HEADER_DIVERSION, out);
}

/* ---- credentials (RFC 3261 20.7, 20.28; RFC 7616): read, not verified ---- */

/* A parameter of "Digest a=b, c="d"", without its quotes. */
static bool digest_param(
	const char *buf, struct sip_span credentials, struct str name, struct str *value)
{
	struct str all = sip_text(buf, credentials);
	uint32_t at = 0;
	struct sip_span item;

	/* The scheme ends with LWS (RFC 3261 25.1: "Digest" LWS dig-resp). */
	if (!str_istarts(all, STR("Digest")) || all.len < 8 || !str_is_lws(all.s[6]))
		return false;
	struct sip_span list = {credentials.off + 7, credentials.len - 7};

	while (sip_list_next(buf, list, &at, &item)) {
		struct str text = sip_text(buf, item);
		int64_t equals = str_find(text, '=');

		if (equals < 0 || !str_ieq(str_trim(str_of(text.s, (size_t)equals)), name))
			continue;
		*value = str_trim(str_of(text.s + equals + 1, text.len - (uint32_t)equals - 1));
		if (value->len >= 2 && value->s[0] == '"' && value->s[value->len - 1] == '"')
			*value = str_of(value->s + 1, value->len - 2);
		return true;
	}
	return false;
}

/* From the credentials that a request of this method is expected to carry, else from the other
 * kind. */
static bool credential(struct route_ctx *ctx, struct str name, struct str *value)
{
	bool registrar = ctx->msg.method == SIP_METHOD_REGISTER;
	const enum sip_header_id order[] = {
		registrar ? SIP_HEADER_AUTHORIZATION : SIP_HEADER_PROXY_AUTHORIZATION,
		registrar ? SIP_HEADER_PROXY_AUTHORIZATION : SIP_HEADER_AUTHORIZATION};

	for (unsigned i = 0; i < 2; i++) {
		if (!sip_msg_has(&ctx->msg, order[i]))
			continue;
		if (digest_param(ctx->buf, sip_msg_value(&ctx->msg, order[i]), name, value))
			return true;
	}
	return false;
}

static bool credential_value(struct route_ctx *ctx, struct str name, struct route_value *out)
{
	struct str value;

	return credential(ctx, name, &value) ? value_text(out, value) : value_null(out);
}

VARIABLE_GET(get_auth_user)
{
	struct str name;

	if (!credential(ctx, STR("username"), &name))
		return value_null(out);
	int64_t at = str_find(name, '@');

	return value_text(out, at < 0 ? name : str_of(name.s, (size_t)at));
}

VARIABLE_GET(get_auth_username)
{
	return credential_value(ctx, STR("username"), out);
}

VARIABLE_GET(get_auth_domain)
{
	struct str name;
	int64_t at;

	if (credential(ctx, STR("username"), &name) && (at = str_find(name, '@')) >= 0)
		return value_text(out, str_of(name.s + at + 1, name.len - (uint32_t)at - 1));
	return credential_value(ctx, STR("realm"), out);
}

VARIABLE_GET(get_auth_realm)
{
	return credential_value(ctx, STR("realm"), out);
}

VARIABLE_GET(get_auth_uri)
{
	return credential_value(ctx, STR("uri"), out);
}

VARIABLE_GET(get_auth_nonce)
{
	return credential_value(ctx, STR("nonce"), out);
}

VARIABLE_GET(get_auth_response)
{
	return credential_value(ctx, STR("response"), out);
}

VARIABLE_GET(get_auth_algorithm)
{
	return credential_value(ctx, STR("algorithm"), out);
}
