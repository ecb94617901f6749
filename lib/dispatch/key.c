/* SPDX-License-Identifier: BSD-3-Clause */
/* What of a message the hash algorithms hash, as Kamailio chooses it. */
#include <endian.h>

#include "base/load.h"
#include "dispatch/internal.h"

/* Not secret: all nodes have to agree. */
static const struct hash_key text_key = {{0x7369706c616e6520ULL, 0x6b65792074657874ULL}};

static inline uint64_t word_at(const char *p)
{
	return le64toh(load8(p));
}

/* Up to 16 bytes as two words that hold all of them; no byte behind them is read. */
static inline void last_words(const char *p, uint32_t len, uint64_t w[2])
{
	uint32_t low, high;

	if (len >= 8) {
		w[0] = word_at(p);
		w[1] = word_at(p + len - 8);
	} else if (len >= 4) {
		memcpy(&low, p, 4);
		memcpy(&high, p + len - 4, 4);
		w[0] = le32toh(low);
		w[1] = le32toh(high);
	} else if (len > 0) {
		w[0] = (uint8_t)p[0];
		w[1] = (uint64_t)(uint8_t)p[len >> 1] << 8 | (uint8_t)p[len - 1];
	} else {
		w[0] = w[1] = 0;
	}
}

/* The two halves of a product of 128 bits, each of which depends on all that was multiplied. */
static inline uint64_t folded_product(uint64_t a, uint64_t b)
{
	__extension__ unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * A hash that spreads, and resists nobody: with a key that is no secret no hash would, and who
 * wants all calls at one destination need only keep to one Call-ID. A product for each 16 bytes
 * keeps the choice of a destination from waiting for the dozens of rounds that a keyed function
 * takes.
 */
uint64_t dispatch_hash_text(struct str text)
{
	const char *p = text.s;
	uint64_t h = text_key.k[0] ^ text.len, w[2];
	uint32_t len = text.len;

	for (; len > 16; len -= 16, p += 16)
		h = folded_product(word_at(p) ^ h, word_at(p + 8) ^ text_key.k[1]) + h;
	last_words(p, len, w);
	return dispatch_mix(folded_product(w[0] ^ h, w[1] ^ text_key.k[1]) + h);
}

void dispatch_hash_begin(struct hash *h)
{
	hash_init(h, &text_key);
}

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

static inline bool hash_text_of(struct str text, uint64_t *hash)
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

static inline bool hash_call_id(const struct route_ctx *ctx, uint64_t *hash)
{
	return hash_text_of(sip_text(ctx->buf, sip_msg_value(&ctx->msg, SIP_HEADER_CALL_ID)), hash);
}

__attribute__((noinline)) static bool other_key(struct route_ctx *ctx, unsigned algorithm,
	bool user_only, const struct route_format *format, uint64_t *hash)
{
	switch (algorithm) {
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
		if (!hash_call_id(ctx, hash))
			*hash = 0;
		return true;
	}
}

bool dispatch_key(struct route_ctx *ctx, unsigned algorithm, bool user_only,
	const struct route_format *format, uint64_t *hash)
{
	return algorithm == DISPATCH_CALL_ID ? hash_call_id(ctx, hash)
					     : other_key(ctx, algorithm, user_only, format, hash);
}
