/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/mac_chain.h"

#include <errno.h>

bool mac_has_aes;

/* FIPS 197 5.1.1, a row for each value of the high four bits. */
static const _Alignas(MAC_BLOCK) uint8_t substitution[16][MAC_BLOCK] = {
	{0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30, 0x01, 0x67, 0x2b, 0xfe, 0xd7, 0xab,
		0x76},
	{0xca, 0x82, 0xc9, 0x7d, 0xfa, 0x59, 0x47, 0xf0, 0xad, 0xd4, 0xa2, 0xaf, 0x9c, 0xa4, 0x72,
		0xc0},
	{0xb7, 0xfd, 0x93, 0x26, 0x36, 0x3f, 0xf7, 0xcc, 0x34, 0xa5, 0xe5, 0xf1, 0x71, 0xd8, 0x31,
		0x15},
	{0x04, 0xc7, 0x23, 0xc3, 0x18, 0x96, 0x05, 0x9a, 0x07, 0x12, 0x80, 0xe2, 0xeb, 0x27, 0xb2,
		0x75},
	{0x09, 0x83, 0x2c, 0x1a, 0x1b, 0x6e, 0x5a, 0xa0, 0x52, 0x3b, 0xd6, 0xb3, 0x29, 0xe3, 0x2f,
		0x84},
	{0x53, 0xd1, 0x00, 0xed, 0x20, 0xfc, 0xb1, 0x5b, 0x6a, 0xcb, 0xbe, 0x39, 0x4a, 0x4c, 0x58,
		0xcf},
	{0xd0, 0xef, 0xaa, 0xfb, 0x43, 0x4d, 0x33, 0x85, 0x45, 0xf9, 0x02, 0x7f, 0x50, 0x3c, 0x9f,
		0xa8},
	{0x51, 0xa3, 0x40, 0x8f, 0x92, 0x9d, 0x38, 0xf5, 0xbc, 0xb6, 0xda, 0x21, 0x10, 0xff, 0xf3,
		0xd2},
	{0xcd, 0x0c, 0x13, 0xec, 0x5f, 0x97, 0x44, 0x17, 0xc4, 0xa7, 0x7e, 0x3d, 0x64, 0x5d, 0x19,
		0x73},
	{0x60, 0x81, 0x4f, 0xdc, 0x22, 0x2a, 0x90, 0x88, 0x46, 0xee, 0xb8, 0x14, 0xde, 0x5e, 0x0b,
		0xdb},
	{0xe0, 0x32, 0x3a, 0x0a, 0x49, 0x06, 0x24, 0x5c, 0xc2, 0xd3, 0xac, 0x62, 0x91, 0x95, 0xe4,
		0x79},
	{0xe7, 0xc8, 0x37, 0x6d, 0x8d, 0xd5, 0x4e, 0xa9, 0x6c, 0x56, 0xf4, 0xea, 0x65, 0x7a, 0xae,
		0x08},
	{0xba, 0x78, 0x25, 0x2e, 0x1c, 0xa6, 0xb4, 0xc6, 0xe8, 0xdd, 0x74, 0x1f, 0x4b, 0xbd, 0x8b,
		0x8a},
	{0x70, 0x3e, 0xb5, 0x66, 0x48, 0x03, 0xf6, 0x0e, 0x61, 0x35, 0x57, 0xb9, 0x86, 0xc1, 0x1d,
		0x9e},
	{0xe1, 0xf8, 0x98, 0x11, 0x69, 0xd9, 0x8e, 0x94, 0x9b, 0x1e, 0x87, 0xe9, 0xce, 0x55, 0x28,
		0xdf},
	{0x8c, 0xa1, 0x89, 0x0d, 0xbf, 0xe6, 0x42, 0x68, 0x41, 0x99, 0x2d, 0x0f, 0xb0, 0x54, 0xbb,
		0x16},
};

/*
 * SubBytes without a look-up that depends on the content: each row is tried for all bytes, and a
 * byte whose high bits are not the row's asks for nothing (its index has the highest bit set).
 */
static inline __m128i substitute(__m128i v)
{
	const __m128i other = _mm_set1_epi8(0x70);
	__m128i out = _mm_setzero_si128();

	for (unsigned row = 0; row < 16; row++) {
		__m128i at = _mm_xor_si128(v, _mm_set1_epi8((char)(row << 4)));

		at = _mm_adds_epu8(at, other);
		out = _mm_or_si128(out, _mm_shuffle_epi8(mac_load(substitution[row]), at));
	}
	return out;
}

/* Multiplication by x in the field of FIPS 197 4.2. */
static inline __m128i times_x(__m128i v)
{
	__m128i overflow = _mm_cmplt_epi8(v, _mm_setzero_si128());

	return _mm_xor_si128(_mm_add_epi8(v, v), _mm_and_si128(overflow, _mm_set1_epi8(0x1b)));
}

__m128i mac_encrypt_portable(const struct mac_key *key, __m128i v)
{
	const __m128i shift_rows =
			      _mm_setr_epi8(0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11),
		      next = _mm_setr_epi8(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12),
		      over_next =
			      _mm_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);

	v = _mm_xor_si128(v, mac_load(key->round[0]));
	for (unsigned i = 1; i <= MAC_ROUNDS; i++) {
		v = _mm_shuffle_epi8(substitute(v), shift_rows);
		if (i < MAC_ROUNDS) {
			/* MixColumns: 2a + 3b + c + d for each byte and those below it. */
			__m128i sum = _mm_xor_si128(v, _mm_shuffle_epi8(v, next));
			__m128i rest = _mm_xor_si128(
				_mm_shuffle_epi8(v, next), _mm_shuffle_epi8(sum, over_next));

			v = _mm_xor_si128(times_x(sum), rest);
		}
		v = _mm_xor_si128(v, mac_load(key->round[i]));
	}
	return v;
}

MAC_AESNI static struct hash128 bytes_aesni(
	const struct mac_key *key, const void *data, uint32_t len)
{
	return mac_of_bytes(mac_encrypt_aesni, key, data, len);
}

static struct hash128 bytes_portable(const struct mac_key *key, const void *data, uint32_t len)
{
	return mac_of_bytes(mac_encrypt_portable, key, data, len);
}

struct hash128 mac_bytes(const struct mac_key *key, const void *data, uint32_t len)
{
	return mac_has_aes ? bytes_aesni(key, data, len) : bytes_portable(key, data, len);
}

/* Twice a value in the field of 2**128 elements, most significant byte first (RFC 4493 2.3). */
static void double_block(uint8_t out[MAC_BLOCK], const uint8_t in[MAC_BLOCK])
{
	uint8_t overflow = in[0] >> 7;

	for (unsigned i = 0; i < MAC_BLOCK; i++)
		out[i] = (uint8_t)(in[i] << 1 | (i + 1 < MAC_BLOCK ? in[i + 1] >> 7 : 0));
	out[MAC_BLOCK - 1] ^= (uint8_t)(overflow * 0x87);
}

/* FIPS 197 5.2. */
static void expand(struct mac_key *key, const struct hash_key *secret)
{
	uint8_t constant = 1;

	memcpy(key->round[0], secret, MAC_BLOCK);
	for (unsigned i = 1; i <= MAC_ROUNDS; i++) {
		const uint8_t *before = key->round[i - 1];
		uint8_t *out = key->round[i], s[MAC_BLOCK];

		_mm_storeu_si128((__m128i *)s, substitute(mac_load(before)));
		out[0] = (uint8_t)(before[0] ^ s[13] ^ constant);
		out[1] = before[1] ^ s[14];
		out[2] = before[2] ^ s[15];
		out[3] = before[3] ^ s[12];
		for (unsigned at = 4; at < MAC_BLOCK; at++)
			out[at] = before[at] ^ out[at - 4];
		constant = (uint8_t)(constant << 1 ^ (constant >> 7) * 0x1b);
	}
}

void mac_key_set(struct mac_key *key, const struct hash_key *secret)
{
	uint8_t zero[MAC_BLOCK];

	expand(key, secret);
	_mm_storeu_si128((__m128i *)zero, mac_encrypt_portable(key, _mm_setzero_si128()));
	double_block(key->subkey[0], zero);
	double_block(key->subkey[1], key->subkey[0]);
}

int mac_select(const char *name)
{
	bool fast = strcmp(name, "aesni") == 0;

	if (!fast && strcmp(name, "portable") != 0)
		return -EINVAL;
	if (fast && !__builtin_cpu_supports("aes"))
		return -ENOTSUP;
	mac_has_aes = fast;
	return 0;
}

__attribute__((constructor)) static void select_best(void)
{
	__builtin_cpu_init();
	(void)mac_select("aesni");
}
