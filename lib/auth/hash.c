/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What RFC 7616 3.4 computes. H() of several texts is of them with colons in between, and its
 * result is lower-case hexadecimal, which goes into the next one as it is.
 *
 * Libcrypto 3.0's EVP takes memory each time that a hash begins, which a worker may not: these are
 * its older functions, which are the same code without that.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <emmintrin.h>
#include <openssl/sha.h>
#include <tmmintrin.h>

#include "auth/internal.h"

static const struct {
	struct str name;
	uint8_t bytes;
} algorithms[AUTH_ALGORITHMS] = {
	[AUTH_MD5] = {{"MD5", 3}, AUTH_MD5_LEN},
	[AUTH_SHA256] = {{"SHA-256", 7}, SHA256_DIGEST_LENGTH},
	[AUTH_SHA512_256] = {{"SHA-512-256", 11}, 32},
};

struct str auth_algorithm_name(enum auth_algorithm algorithm)
{
	return (unsigned)algorithm < AUTH_ALGORITHMS ? algorithms[algorithm].name : STR_NONE;
}

int auth_algorithm_of(struct str name)
{
	for (int i = 0; i < AUTH_ALGORITHMS; i++) {
		if (str_ieq(name, algorithms[i].name))
			return i;
	}
	return -1;
}

uint32_t auth_hex_len(enum auth_algorithm algorithm)
{
	return 2u * algorithms[algorithm].bytes;
}

/* Sixteen bytes become 32 characters. */
static void hex_of_16(const uint8_t in[16], char out[32])
{
	const __m128i digits = _mm_setr_epi8('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a',
			      'b', 'c', 'd', 'e', 'f'),
		      low_bits = _mm_set1_epi8(15);
	__m128i v = _mm_loadu_si128((const __m128i *)in),
		high = _mm_shuffle_epi8(digits, _mm_and_si128(_mm_srli_epi16(v, 4), low_bits)),
		low = _mm_shuffle_epi8(digits, _mm_and_si128(v, low_bits));

	_mm_storeu_si128((__m128i *)out, _mm_unpacklo_epi8(high, low));
	_mm_storeu_si128((__m128i *)(out + 16), _mm_unpackhi_epi8(high, low));
}

/* FIPS 180-4 5.3.6.2: SHA-512 that begins with these, and of which half is kept. */
static void sha512_256(const void *text, size_t len, uint8_t out[SHA512_DIGEST_LENGTH])
{
	static const uint64_t begin[] = {0x22312194fc2bf72c, 0x9f555fa3c84c64c2, 0x2393b86b6f53b151,
		0x963877195940eabd, 0x96283ee2a88effe3, 0xbe5e1e2553863992, 0x2b0199fc2c85b8aa,
		0x0eb72ddc81c52ca2};
	SHA512_CTX ctx;

	SHA512_Init(&ctx);
	for (unsigned i = 0; i < 8; i++)
		ctx.h[i] = begin[i];
	SHA512_Update(&ctx, text, len);
	SHA512_Final(out, &ctx);
}

static void hash(
	enum auth_algorithm algorithm, const void *text, uint32_t len, struct auth_hex *out)
{
	uint8_t bytes[SHA512_DIGEST_LENGTH];
	SHA256_CTX ctx;

	switch (algorithm) {
	case AUTH_SHA256:
		SHA256_Init(&ctx);
		SHA256_Update(&ctx, text, len);
		SHA256_Final(bytes, &ctx);
		break;
	case AUTH_SHA512_256:
		sha512_256(text, len, bytes);
		break;
	default:
		auth_md5(text, len, bytes);
	}
	hex_of_16(bytes, out->text);
	if (algorithms[algorithm].bytes == 32)
		hex_of_16(bytes + 16, out->text + 32);
	out->len = auth_hex_len(algorithm);
}

/* The parts with colons in between, in h->text. Their length, 0 where they are too long. */
static uint32_t join(struct auth_hasher *h, const struct str *part, unsigned parts)
{
	char *at = h->text, *end = h->text + sizeof(h->text);

	for (unsigned i = 0; i < parts; i++) {
		if (part[i].len >= (size_t)(end - at))
			return 0;
		if (i != 0)
			*at++ = ':';
		str_copy(at, part[i]);
		at += part[i].len;
	}
	return (uint32_t)(at - h->text);
}

bool auth_hash(struct auth_hasher *h, enum auth_algorithm algorithm, const struct str *part,
	unsigned parts, struct auth_hex *out)
{
	uint32_t len;

	/* One alone may be long: a body. */
	if (parts == 1) {
		hash(algorithm, part[0].s, part[0].len, out);
		return true;
	}
	len = join(h, part, parts);
	if (len == 0)
		return false;
	hash(algorithm, h->text, len, out);
	return true;
}

/* H(A2) of a method and a URI. Neither is a secret. */
static bool hash_a2(struct auth_hasher *h, enum auth_algorithm algorithm, const struct str part[2],
	struct auth_hex *out)
{
	uint32_t len = join(h, part, 2);
	struct auth_known_a2 *known =
		&h->a2[(part[0].len + 3 * part[1].len + 5 * (uint32_t)algorithm) % AUTH_KNOWN_A2];

	if (len == 0)
		return false;
	if (known->len == len && known->algorithm == algorithm &&
		memcmp(known->text, h->text, len) == 0) {
		*out = known->hex;
		return true;
	}
	hash(algorithm, h->text, len, out);
	if (len > AUTH_KNOWN_A2_MAX)
		return true;
	known->len = len;
	known->algorithm = algorithm;
	memcpy(known->text, h->text, len);
	known->hex = *out;
	return true;
}

bool auth_hash_password(struct auth_hasher *h, enum auth_algorithm algorithm, struct str user,
	struct str realm, struct str password, struct auth_hex *out)
{
	struct str part[] = {user, realm, password};

	return auth_hash(h, algorithm, part, 3, out);
}

bool auth_hash_response(
	struct auth_hasher *h, const struct auth_response *r, struct str ha1, struct auth_hex *out)
{
	static const struct str qop_name[] = {{"", 0}, {"auth", 4}, {"auth-int", 8}};
	struct auth_hex session, ha2, body;
	struct str a2[] = {r->method, r->uri, STR_NONE};

	if (r->session) {
		struct str part[] = {ha1, r->nonce, r->cnonce};

		if (!auth_hash(h, r->algorithm, part, 3, &session))
			return false;
		ha1 = auth_hex_str(&session);
	}
	if (r->qop == AUTH_QOP_AUTH_INT) {
		if (!auth_hash(h, r->algorithm, &r->body, 1, &body))
			return false;
		a2[2] = auth_hex_str(&body);
	}
	if (r->qop == AUTH_QOP_AUTH_INT ? !auth_hash(h, r->algorithm, a2, 3, &ha2)
					: !hash_a2(h, r->algorithm, a2, &ha2))
		return false;
	if (r->qop == AUTH_QOP_NONE) {
		/* RFC 2069 */
		struct str part[] = {ha1, r->nonce, auth_hex_str(&ha2)};

		return auth_hash(h, r->algorithm, part, 3, out);
	}
	struct str part[] = {ha1, r->nonce, r->nc, r->cnonce, qop_name[r->qop], auth_hex_str(&ha2)};

	return auth_hash(h, r->algorithm, part, 6, out);
}

bool auth_hex_equal(const struct auth_hex *want, struct str said)
{
	uint8_t differs = 0;

	/* How long they are is no secret. */
	if (said.len != want->len)
		return false;
	for (uint32_t i = 0; i < said.len; i++)
		differs |= (uint8_t)(want->text[i] ^ said.s[i]);
	return differs == 0;
}

unsigned auth_ha1(enum auth_algorithm algorithm, struct str user, struct str realm,
	struct str password, char out[AUTH_HEX_MAX])
{
	struct auth_hasher *h;
	struct auth_hex hex;
	unsigned len = 0;

	if ((unsigned)algorithm >= AUTH_ALGORITHMS || user.len > AUTH_USER_MAX ||
		realm.len > AUTH_REALM_MAX || password.len > AUTH_PASSWORD_MAX)
		return 0;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return 0;
	if (auth_hash_password(h, algorithm, user, realm, password, &hex)) {
		len = hex.len;
		memcpy(out, hex.text, len);
	}
	/* The password stood there. */
	explicit_bzero(h, sizeof(*h));
	free(h);
	return len;
}
