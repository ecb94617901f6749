/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * AES-CMAC of what is made block by block in registers, without a buffer in between. Who computes
 * codes for every message writes the computation once, with `encrypt` as a parameter of an
 * always_inline function, and calls it from two: one that is MAC_AESNI and gives
 * mac_encrypt_aesni, and one that gives mac_encrypt_portable; mac_has_aes says which to take.
 *
 *	struct mac_chain c = mac_chain_begin(first);
 *	mac_chain_add(encrypt, key, &c, second);
 *	struct hash128 code = mac_chain_end(encrypt, key, &c);
 *
 * is mac_bytes() of the 32 bytes of both.
 */
#include <immintrin.h>

#include "base/load.h"
#include "base/mac.h"

#define MAC_AESNI __attribute__((target("aes")))
#define MAC_INLINE static inline __attribute__((always_inline))

/* Whether the CPU's AES instructions are in use; mac_select() sets it. */
extern bool mac_has_aes;

typedef __m128i mac_encrypt_fn(const struct mac_key *key, __m128i block);

__m128i mac_encrypt_portable(const struct mac_key *key, __m128i v);

MAC_AESNI static inline __m128i mac_encrypt_aesni(const struct mac_key *key, __m128i v)
{
	const __m128i *round = (const __m128i *)key->round;

	/* Operands in memory: to have eleven registers filled first does not pay for two or three
	 * blocks. */
	__asm__("" : "+r"(round));
	v = _mm_xor_si128(v, round[0]);
	v = _mm_aesenc_si128(v, round[1]);
	v = _mm_aesenc_si128(v, round[2]);
	v = _mm_aesenc_si128(v, round[3]);
	v = _mm_aesenc_si128(v, round[4]);
	v = _mm_aesenc_si128(v, round[5]);
	v = _mm_aesenc_si128(v, round[6]);
	v = _mm_aesenc_si128(v, round[7]);
	v = _mm_aesenc_si128(v, round[8]);
	v = _mm_aesenc_si128(v, round[9]);
	return _mm_aesenclast_si128(v, round[MAC_ROUNDS]);
}

static inline __m128i mac_load(const void *p)
{
	return _mm_loadu_si128((const __m128i *)p);
}

/* The last one to fifteen bytes of a text, then a one and zeros (RFC 4493 2.4). No byte behind them
 * is read. */
static inline __m128i mac_padded(const uint8_t *end, uint32_t len, uint32_t rest)
{
	static const uint8_t slide[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
		0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
		0x80, 0x80};
	static const uint8_t one[32] = {[16] = 0x80};
	uint64_t low, high = 0;
	__m128i v;

	if (len >= MAC_BLOCK) {
		v = _mm_shuffle_epi8(mac_load(end - MAC_BLOCK), mac_load(slide + MAC_BLOCK - rest));
	} else {
		/* By no way through memory: to load what two stores have put there takes long. */
		low = rest >= 8 ? load8(end - rest) : load_short(end - rest, rest);
		if (rest >= 8)
			high = load8(end - 8) >> 8 * (15 - rest) >> 8;
		v = _mm_set_epi64x((long long)high, (long long)low);
	}
	return _mm_or_si128(v, mac_load(one + MAC_BLOCK - rest));
}

/* The last block waits: it is the one that gets a subkey. */
struct mac_chain {
	__m128i v, last;
};

MAC_INLINE struct mac_chain mac_chain_begin(__m128i block)
{
	return (struct mac_chain){_mm_setzero_si128(), block};
}

MAC_INLINE void mac_chain_add(
	mac_encrypt_fn *encrypt, const struct mac_key *key, struct mac_chain *c, __m128i block)
{
	c->v = encrypt(key, _mm_xor_si128(c->v, c->last));
	c->last = block;
}

/* `subkey`: 0 where the last block is whole, 1 where it is mac_padded(). */
MAC_INLINE struct hash128 mac_chain_end_with(mac_encrypt_fn *encrypt, const struct mac_key *key,
	const struct mac_chain *c, unsigned subkey)
{
	__m128i v = encrypt(
		key, _mm_xor_si128(_mm_xor_si128(c->v, c->last), mac_load(key->subkey[subkey])));

	return (struct hash128){(uint64_t)_mm_cvtsi128_si64(v), (uint64_t)_mm_extract_epi64(v, 1)};
}

MAC_INLINE struct hash128 mac_chain_end(
	mac_encrypt_fn *encrypt, const struct mac_key *key, const struct mac_chain *c)
{
	return mac_chain_end_with(encrypt, key, c, 0);
}

/* mac_bytes() */
MAC_INLINE struct hash128 mac_of_bytes(
	mac_encrypt_fn *encrypt, const struct mac_key *key, const uint8_t *data, uint32_t len)
{
	struct mac_chain c = mac_chain_begin(_mm_setzero_si128());
	const uint8_t *end = data + len;
	uint32_t rest;

	for (; end - data > MAC_BLOCK; data += MAC_BLOCK)
		c.v = encrypt(key, _mm_xor_si128(c.v, mac_load(data)));
	rest = (uint32_t)(end - data);
	c.last = rest == MAC_BLOCK ? mac_load(data) : mac_padded(end, len, rest);
	return mac_chain_end_with(encrypt, key, &c, rest != MAC_BLOCK);
}
