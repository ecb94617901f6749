/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdint.h>

#include "base/str.h"

/*
 * SipHash-2-4 (Aumasson, Bernstein): a keyed pseudo-random function, so that whoever chooses the
 *text can neither forge a token nor aim at one bucket. Incremental, because what we hash lies in
 *several spans:
 *
 *	struct hash h;
 *	hash_init(&h, &key);
 *	hash_str(&h, call_id);
 *	hash_str(&h, from_tag);         spans are framed: ("ab","c") and ("a","bc") differ
 *	uint64_t v = hash_final(&h);
 *
 * Any thread; no allocation.
 */
struct hash_key {
	uint64_t k[2];
};

struct hash {
	uint64_t v0, v1, v2, v3;
	uint64_t tail;   /* bytes not yet mixed in, little-endian */
	uint32_t length; /* bytes so far */
	bool wide;
};

/* 128-bit results of hash_final128(). */
struct hash128 {
	uint64_t lo, hi;
};

/* Begins a hash whose result is hash_final()'s 64 bits. */
void hash_init(struct hash *h, const struct hash_key *key);

/* Begins a hash whose result is hash_final128()'s 128 bits. */
void hash_init128(struct hash *h, const struct hash_key *key);

/* Adds raw bytes, unframed. */
void hash_bytes(struct hash *h, const void *data, uint32_t len);

/* Adds a span and its length. */
void hash_str(struct hash *h, struct str s);

/* Adds a span with ASCII letters lowered, and its length. */
void hash_str_lower(struct hash *h, struct str s);

/* Adds a number, little-endian. */
void hash_u64(struct hash *h, uint64_t v);
void hash_u32(struct hash *h, uint32_t v);

uint64_t hash_final(struct hash *h);
struct hash128 hash_final128(struct hash *h);

/* One span at once: hash_init, hash_bytes, hash_final. */
uint64_t hash_text(const struct hash_key *key, struct str s);

/* Fills a key from the kernel's random source. Control thread. Returns 0 or -errno. */
int hash_key_random(struct hash_key *key);

/*
 * The eight characters of the top 40 bits, first one lowest. Computed in one word: no look-up tells
 * a neighbour on the core what was written.
 */
static inline uint64_t hash_base32_of_40(uint64_t v)
{
	const uint64_t each = 0x0101010101010101ULL;
	uint64_t x = v >> 44 << 32 | (v >> 24 & 0xfffff);

	x = (x & 0x000003ff000003ffULL) | (x & 0x000ffc00000ffc00ULL) << 6;
	x = (x & 0x001f001f001f001fULL) | (x & 0x03e003e003e003e0ULL) << 3;
	/* From 26 on, digits: bit 5 of the value plus 6. */
	x += 'a' * each - ((x + 6 * each) >> 5 & each) * ('a' + 26 - '2');
	return __builtin_bswap64(x);
}

/*
 * Base32 with the alphabet a-z2-7, most significant bits first: what SIP tokens may carry, in one
 * letter case, since SIP compares tokens without case. `bits` is a multiple of 5 up to 60 for u64,
 * and the top `bits` bits of `v` are written, bits / 5 characters. Reading accepts both cases;
 * returns false on another character.
 */
static inline void hash_base32(char *out, uint64_t v, unsigned bits)
{
	unsigned n = bits / 5;

	for (; n >= 8; n -= 8, v <<= 40, out += 8) {
		uint64_t text = hash_base32_of_40(v);

		memcpy(out, &text, 8);
	}
	if (n != 0) {
		uint64_t text = hash_base32_of_40(v);

		memcpy(out, &text, n);
	}
}

bool hash_unbase32(struct str in, uint64_t *v);

/* The sixteen characters of the first 80 bits of `v`, in the order of memory. */
void hash_base32_of_80(char out[16], struct hash128 v);

/* hash_unbase32() of exactly twelve characters: the 60 bits come out at the top. */
bool hash_unbase32_60(const char in[12], uint64_t *v);
