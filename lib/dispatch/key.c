/* SPDX-License-Identifier: BSD-3-Clause */
/* What of a message the hash algorithms hash, as Kamailio chooses it. */
#include "dispatch/internal.h"

/* Flag 1: the user alone, where there is one; else user, host, and the port unless it is the
 * scheme's own. */
static bool hash_uri(struct str text, bool user_only, uint64_t *hash)
{
	struct sip_uri uri;
	struct hash h;

	if (text.len == 0 || sip_uri_parse(text.s, (struct sip_span){0, text.len}, &uri) != 0)
		return false;
	dispatch_hash_begin(&h);
	if (uri.scheme == SIP_SCHEME_OTHER) {
		hash_str(&h, sip_text(text.s, uri.opaque));
		*hash = hash_final(&h);
		return true;
	}
	if (uri.user.len > 0)
		hash_str(&h, sip_text(text.s, uri.user));
	if (uri.user.len == 0 || !user_only) {
		uint16_t own = uri.scheme == SIP_SCHEME_SIPS ? SIPS_DEFAULT_PORT : SIP_DEFAULT_PORT;

		hash_str_lower(&h, sip_text(text.s, uri.host));
		if (uri.port != 0 && uri.port != own)
			hash_u32(&h, uri.port);
	}
	*hash = hash_final(&h);
	return true;
}

static bool hash_text_of(struct str text, uint64_t *hash)
{
	if (text.len == 0)
		return false;
	*hash = dispatch_hash_text(text);
	return true;
}

static bool hash_address(const struct route_ctx *ctx, const struct sip_address *address,
	bool user_only, uint64_t *hash)
{
	return address != NULL && hash_uri(sip_text(ctx->buf, address->uri), user_only, hash);
}

static bool hash_format(struct route_ctx *ctx, const struct route_format *format, uint64_t *hash)
{
	struct route_value value;
	char number[20];

	if (format == NULL || !route_format_eval(ctx, format, &value))
		return false;
	if (value.type == ROUTE_INT) {
		/* As text, so that "5" and 5 are one key; the sign matters not to a hash. */
		return hash_text_of(str_of(number, str_from_u64(number, (uint64_t)value.i)), hash);
	}
	return value.type == ROUTE_STR && hash_text_of(value.s, hash);
}

bool dispatch_key(struct route_ctx *ctx, unsigned algorithm, bool user_only,
	const struct route_format *format, uint64_t *hash)
{
	switch (algorithm) {
	case DISPATCH_CALL_ID:
		return hash_text_of(
			sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_CALL_ID)), hash);
	case DISPATCH_FROM_URI:
		return hash_address(ctx, sip_msg_from(&ctx->msg, ctx->buf), user_only, hash);
	case DISPATCH_TO_URI:
		return hash_address(ctx, sip_msg_to(&ctx->msg, ctx->buf), user_only, hash);
	case DISPATCH_REQUEST_URI:
		return hash_uri(route_ctx_uri(ctx), user_only, hash);
	case DISPATCH_VARIABLE:
		return hash_format(ctx, format, hash);
	default:
		/* Serial needs none; what is not pure walks on by the Call-ID. */
		if (!hash_text_of(
			    sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_CALL_ID)), hash))
			*hash = 0;
		return true;
	}
}
