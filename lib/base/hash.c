/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/hash.h"

#include <errno.h>
#include <immintrin.h>
#include <sys/random.h>

#include "base/load.h"

/*
 * The state while it is mixed: a copy, which the compiler keeps in registers, since what is hashed
 * could be the hash itself as far as it knows.
 */
struct state {
	uint64_t v0, v1, v2, v3;
};

static inline struct state load(const struct hash *h)
{
	return (struct state){h->v0, h->v1, h->v2, h->v3};
}

static inline void store(struct hash *h, const struct state *s)
{
	h->v0 = s->v0;
	h->v1 = s->v1;
	h->v2 = s->v2;
	h->v3 = s->v3;
}

static inline uint64_t rotate(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static inline void sip_round(struct state *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static inline void mix(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

static inline struct state begin(const struct hash_key *key)
{
	return (struct state){0x736f6d6570736575ULL ^ key->k[0], 0x646f72616e646f6dULL ^ key->k[1],
		0x6c7967656e657261ULL ^ key->k[0], 0x7465646279746573ULL ^ key->k[1]};
}

static void start(struct hash *h, const struct hash_key *key)
{
	struct state s = begin(key);

	store(h, &s);
	h->tail = 0;
	h->length = 0;
	h->wide = false;
}

void hash_init(struct hash *h, const struct hash_key *key)
{
	start(h, key);
}

void hash_init128(struct hash *h, const struct hash_key *key)
{
	start(h, key);
	h->v1 ^= 0xee;
	h->wide = true;
}

void hash_bytes(struct hash *h, const void *data, uint32_t len)
{
	const uint8_t *p = data;
	unsigned have = h->length & 7;
	struct state s;

	if (len == 0)
		return;
	h->length += len;
	s = load(h);
	if (have != 0) {
		uint32_t n = len < 8 - have ? len : 8 - have;

		h->tail |= load_short(p, n) << (8 * have);
		if (have + n < 8)
			return;
		mix(&s, h->tail);
		p += n;
		len -= n;
	}
	for (; len >= 8; len -= 8, p += 8)
		mix(&s, load8(p));
	h->tail = load_short(p, len);
	store(h, &s);
}

void hash_str(struct hash *h, struct str s)
{
	hash_u32(h, s.len);
	hash_bytes(h, s.s, s.len);
}

void hash_str_lower(struct hash *h, struct str s)
{
	char low[64];

	hash_u32(h, s.len);
	while (s.len > 0) {
		uint32_t n = s.len < sizeof(low) ? s.len : (uint32_t)sizeof(low);

		str_lower(low, (struct str){s.s, n});
		hash_bytes(h, low, n);
		s.s += n;
		s.len -= n;
	}
}

void hash_u64(struct hash *h, uint64_t v)
{
	hash_bytes(h, &v, sizeof(v));
}

void hash_u32(struct hash *h, uint32_t v)
{
	hash_bytes(h, &v, sizeof(v));
}

static inline uint64_t finish(struct state *s, uint64_t last, bool wide)
{
	mix(s, last);
	s->v2 ^= wide ? 0xee : 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t hash_final(struct hash *h)
{
	struct state s = load(h);

	return finish(&s, h->tail | (uint64_t)h->length << 56, h->wide);
}

struct hash128 hash_final128(struct hash *h)
{
	struct state s = load(h);
	struct hash128 out;

	out.lo = finish(&s, h->tail | (uint64_t)h->length << 56, h->wide);
	s.v1 ^= 0xdd;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	out.hi = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
	return out;
}

uint64_t hash_text(const struct hash_key *key, struct str text)
{
	const uint8_t *p = (const uint8_t *)text.s;
	uint32_t len = text.len;
	struct state s = begin(key);

	for (; len >= 8; len -= 8, p += 8)
		mix(&s, load8(p));
	return finish(&s, load_short(p, len) | (uint64_t)text.len << 56, false);
}

int hash_key_random(struct hash_key *key)
{
	ssize_t n = getrandom(key, sizeof(*key), 0);

	if (n == (ssize_t)sizeof(*key))
		return 0;
	return n < 0 ? -errno : -EIO;
}

bool hash_unbase32(struct str in, uint64_t *v)
{
	uint64_t out = 0;

	if (in.len > 12)
		return false;
	for (uint32_t i = 0; i < in.len; i++) {
		char c = str_lower_char(in.s[i]);
		uint64_t digit;

		if (c >= 'a' && c <= 'z')
			digit = (uint64_t)(c - 'a');
		else if (c >= '2' && c <= '7')
			digit = (uint64_t)(c - '2') + 26;
		else
			return false;
		out |= digit << (59 - 5 * i);
	}
	*v = out;
	return true;
}

void hash_base32_of_80(char out[16], struct hash128 v)
{
	/* Each character's five bits lie in two neighbouring bytes, which make a word with the
	 * first one on top: multiplied, they stand at its upper end. */
	const __m128i even_bytes = _mm_setr_epi8(1, 0, 2, 1, 3, 2, 4, 3, 6, 5, 7, 6, 8, 7, 9, 8),
		      odd_bytes = _mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 6, 5, 7, 6, 9, 8, 10, 9),
		      even_shift = _mm_setr_epi16(1, 4, 16, 64, 1, 4, 16, 64),
		      odd_shift = _mm_setr_epi16(32, 128, 2, 8, 32, 128, 2, 8);
	__m128i in = _mm_set_epi64x((int64_t)v.hi, (int64_t)v.lo), even, odd, digits, letters;

	even = _mm_mullo_epi16(_mm_shuffle_epi8(in, even_bytes), even_shift);
	odd = _mm_mullo_epi16(_mm_shuffle_epi8(in, odd_bytes), odd_shift);
	digits = _mm_or_si128(_mm_srli_epi16(even, 11), _mm_slli_epi16(_mm_srli_epi16(odd, 11), 8));
	letters = _mm_add_epi8(digits, _mm_set1_epi8('a'));
	/* From 26 on, digits. */
	digits = _mm_and_si128(
		_mm_cmpgt_epi8(digits, _mm_set1_epi8(25)), _mm_set1_epi8('a' + 26 - '2'));
	_mm_storeu_si128((__m128i *)out, _mm_sub_epi8(letters, digits));
}

bool hash_unbase32_60(const char in[12], uint64_t *v)
{
	uint64_t first8, high;
	uint32_t last4;
	__m128i c, letter, digit, value;

	memcpy(&first8, in, 8);
	memcpy(&last4, in + 8, 4);
	/* The four that are missing are zeros. */
	c = _mm_set_epi64x((int64_t)(0x6161616100000000ULL | last4), (int64_t)first8);
	letter = _mm_and_si128(_mm_cmpgt_epi8(c, _mm_set1_epi8('A' - 1)),
		_mm_cmplt_epi8(c, _mm_set1_epi8('Z' + 1)));
	c = _mm_or_si128(c, _mm_and_si128(letter, _mm_set1_epi8('a' - 'A')));
	letter = _mm_and_si128(_mm_cmpgt_epi8(c, _mm_set1_epi8('a' - 1)),
		_mm_cmplt_epi8(c, _mm_set1_epi8('z' + 1)));
	digit = _mm_and_si128(_mm_cmpgt_epi8(c, _mm_set1_epi8('2' - 1)),
		_mm_cmplt_epi8(c, _mm_set1_epi8('7' + 1)));
	if (_mm_movemask_epi8(_mm_or_si128(letter, digit)) != 0xffff)
		return false;
	value = _mm_sub_epi8(c, _mm_set1_epi8('a'));
	value = _mm_add_epi8(value, _mm_and_si128(digit, _mm_set1_epi8('a' + 26 - '2')));
	/* Pairs, then fours, then the eights of each half. */
	value = _mm_maddubs_epi16(value, _mm_set1_epi16(1 << 8 | 32));
	value = _mm_madd_epi16(value, _mm_set1_epi32(1 << 16 | 1024));
	first8 = (uint64_t)_mm_cvtsi128_si64(value);
	high = (uint64_t)_mm_extract_epi64(value, 1);
	*v = first8 << 44 | first8 >> 32 << 24 | (high & 0xfffff) << 4;
	return true;
}
