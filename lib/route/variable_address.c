/* SPDX-License-Identifier: BSD-3-Clause */
/* $fu, $tu and what else stands in headers that hold an address or credentials. */
#include "route/variable_get.h"
#include "sip/digest.h"

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

/* ---- credentials (RFC 3261 20.7, 20.28; RFC 7616): read, and verified only where that is said
 * ----
 */

/* Those that were verified, else what a request of this method is expected to carry, else the other
 * kind. */
static bool find_credentials(struct route_ctx *ctx, struct sip_digest *out)
{
	bool registrar = ctx->msg.method == SIP_METHOD_REGISTER;
	const enum sip_header_id order[] = {
		registrar ? SIP_HEADER_AUTHORIZATION : SIP_HEADER_PROXY_AUTHORIZATION,
		registrar ? SIP_HEADER_PROXY_AUTHORIZATION : SIP_HEADER_AUTHORIZATION};

	if (ctx->credentials != 0 && ctx->credentials <= ctx->msg.header_count)
		return sip_digest_parse(ctx->buf,
			       sip_header_value(&ctx->msg.header[ctx->credentials - 1]),
			       out) == SIP_DIGEST_OK;
	for (unsigned i = 0; i < 2; i++) {
		if (sip_msg_has(&ctx->msg, order[i]) &&
			sip_digest_parse(ctx->buf, sip_msg_value(&ctx->msg, order[i]), out) ==
				SIP_DIGEST_OK)
			return true;
	}
	return false;
}

#define CREDENTIAL_MAX 1024 /* of a text with escapes in it */

/* A parameter without its escapes: where it has some, in the arena. */
static bool credential_of(struct route_ctx *ctx, const struct sip_digest *digest,
	enum sip_digest_param param, struct str *value)
{
	char room[CREDENTIAL_MAX];
	struct route_text made;

	if (!sip_digest_has(digest, param) ||
		!sip_digest_text(ctx->buf, digest, param, room, sizeof(room), value))
		return false;
	if (value->s != room)
		return true;
	made = route_text_make(ctx, *value);
	*value = route_text_str(ctx, made);
	return made.space != ROUTE_SPACE_NONE;
}

static bool credential(struct route_ctx *ctx, enum sip_digest_param param, struct str *value)
{
	struct sip_digest digest;

	return find_credentials(ctx, &digest) && credential_of(ctx, &digest, param, value);
}

static bool credential_value(
	struct route_ctx *ctx, enum sip_digest_param param, struct route_value *out)
{
	struct str value;

	return credential(ctx, param, &value) ? value_text(out, value) : value_null(out);
}

static struct str before_at(struct str name)
{
	int64_t at = str_find(name, '@');

	return at < 0 ? name : str_of(name.s, (size_t)at);
}

VARIABLE_GET(get_auth_user)
{
	struct str name;

	return credential(ctx, SIP_DIGEST_USERNAME, &name) ? value_text(out, before_at(name))
							   : value_null(out);
}

VARIABLE_GET(get_auth_username)
{
	return credential_value(ctx, SIP_DIGEST_USERNAME, out);
}

VARIABLE_GET(get_auth_domain)
{
	struct str name;
	int64_t at;

	if (credential(ctx, SIP_DIGEST_USERNAME, &name) && (at = str_find(name, '@')) >= 0)
		return value_text(out, str_of(name.s + at + 1, name.len - (uint32_t)at - 1));
	return credential_value(ctx, SIP_DIGEST_REALM, out);
}

#define GET_CREDENTIAL(name, param) \
	VARIABLE_GET(name) \
	{ \
		return credential_value(ctx, param, out); \
	}
GET_CREDENTIAL(get_auth_realm, SIP_DIGEST_REALM)
GET_CREDENTIAL(get_auth_uri, SIP_DIGEST_URI)
GET_CREDENTIAL(get_auth_nonce, SIP_DIGEST_NONCE)
GET_CREDENTIAL(get_auth_response, SIP_DIGEST_RESPONSE)
GET_CREDENTIAL(get_auth_algorithm, SIP_DIGEST_ALGORITHM)
GET_CREDENTIAL(get_auth_cnonce, SIP_DIGEST_CNONCE)
GET_CREDENTIAL(get_auth_opaque, SIP_DIGEST_OPAQUE)

/* Who is to be billed: the user whose credentials were verified, else From's. */
VARIABLE_GET(get_account_user)
{
	struct str name;

	if (ctx->credentials == 0 || !credential(ctx, SIP_DIGEST_USERNAME, &name))
		return get_from_user(ctx, index, out);
	return value_text(out, before_at(name));
}

/* The same with realm or host behind an '@'. */
VARIABLE_GET(get_account)
{
	struct route_value user, host = {.type = ROUTE_NULL};
	struct route_text made;

	if (!get_account_user(ctx, index, &user))
		return false;
	if (ctx->credentials != 0 ? !credential_value(ctx, SIP_DIGEST_REALM, &host)
				  : !get_from_host(ctx, index, &host))
		return false;
	if (user.type != ROUTE_STR || host.type != ROUTE_STR)
		return value_null(out);
	made = route_text_join(ctx, (const struct str[]){user.s, STR("@"), host.s}, 3);
	return made.space != ROUTE_SPACE_NONE && value_text(out, route_text_str(ctx, made));
}
