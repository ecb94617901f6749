/* SPDX-License-Identifier: BSD-3-Clause */
#include <immintrin.h>

#include "base/base.h"

#include "sip/copy.h"

/* 64 bytes of text in registers. */
struct text64 {
	__m128i v[4];
};

static inline struct text64 text64_at(const char *p)
{
	struct text64 text;

	for (int i = 0; i < 4; i++)
		text.v[i] = _mm_loadu_si128((const __m128i *)(p + 16 * i));
	return text;
}

static inline uint64_t text64_mask(__m128i a, __m128i b, __m128i c, __m128i d)
{
	return (uint64_t)(uint32_t)_mm_movemask_epi8(a) |
	       (uint64_t)(uint32_t)_mm_movemask_epi8(b) << 16 |
	       (uint64_t)(uint32_t)_mm_movemask_epi8(c) << 32 |
	       (uint64_t)(uint32_t)_mm_movemask_epi8(d) << 48;
}

/* 1 to 63 bytes of p into 64, with zeros behind them. No other byte of p is read. */
static inline void text64_copy(char room[64], const char *p, uint32_t len)
{
	sip_copy_short(room, p, len);
}

/* Bits of the bytes that are c. */
static inline uint64_t text64_is(struct text64 text, char c)
{
	const __m128i wanted = _mm_set1_epi8(c);

	return text64_mask(_mm_cmpeq_epi8(text.v[0], wanted), _mm_cmpeq_epi8(text.v[1], wanted),
		_mm_cmpeq_epi8(text.v[2], wanted), _mm_cmpeq_epi8(text.v[3], wanted));
}

/* One up, DEL and all beyond ASCII are negative. */
static inline __m128i printable16(__m128i v)
{
	return _mm_cmpgt_epi8(_mm_add_epi8(v, _mm_set1_epi8(1)), _mm_set1_epi8(' '));
}

/* Bits of the bytes that are the same in both. */
static inline uint64_t text64_same(struct text64 a, struct text64 b)
{
	return text64_mask(_mm_cmpeq_epi8(a.v[0], b.v[0]), _mm_cmpeq_epi8(a.v[1], b.v[1]),
		_mm_cmpeq_epi8(a.v[2], b.v[2]), _mm_cmpeq_epi8(a.v[3], b.v[3]));
}

/* Bits of the bytes that are printable ASCII. */
static inline uint64_t text64_printable(struct text64 text)
{
	return text64_mask(printable16(text.v[0]), printable16(text.v[1]), printable16(text.v[2]),
		printable16(text.v[3]));
}

static inline __m128i unprintable16(__m128i v)
{
	return _mm_cmpgt_epi8(_mm_set1_epi8(' ' + 1), _mm_add_epi8(v, _mm_set1_epi8(1)));
}

/* Bits of the bytes that are not printable ASCII. */
static inline uint64_t text64_unprintable(struct text64 text)
{
	return text64_mask(unprintable16(text.v[0]), unprintable16(text.v[1]),
		unprintable16(text.v[2]), unprintable16(text.v[3]));
}

static inline __m128i below_space16(__m128i v)
{
	return _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(' ' - 1)), v);
}

/* Bits of the bytes that are below the space. */
static inline uint64_t text64_below_space(struct text64 text)
{
	return text64_mask(below_space16(text.v[0]), below_space16(text.v[1]),
		below_space16(text.v[2]), below_space16(text.v[3]));
}

static inline __m128i misses16(__m128i v, __m128i rows)
{
	const __m128i bit = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
	__m128i upper = _mm_and_si128(_mm_srli_epi16(v, 4), _mm_set1_epi8(15));

	return _mm_cmpeq_epi8(
		_mm_and_si128(_mm_shuffle_epi8(rows, v), _mm_shuffle_epi8(bit, upper)),
		_mm_setzero_si128());
}

/* Bits of the bytes that are not of the class (class.h); those beyond ASCII are of none. */
static inline uint64_t text64_misses(struct text64 text, const uint8_t rows[16])
{
	__m128i r = _mm_load_si128((const __m128i *)rows);

	return text64_mask(misses16(text.v[0], r), misses16(text.v[1], r), misses16(text.v[2], r),
		misses16(text.v[3], r));
}

/* Bits of the bytes that are of a set (window_block.h). */
static inline uint64_t text64_of_set(struct text64 text, const uint8_t set[16])
{
	__m128i s = _mm_load_si128((const __m128i *)set);

	return text64_mask(_mm_cmpeq_epi8(_mm_shuffle_epi8(s, text.v[0]), text.v[0]),
		_mm_cmpeq_epi8(_mm_shuffle_epi8(s, text.v[1]), text.v[1]),
		_mm_cmpeq_epi8(_mm_shuffle_epi8(s, text.v[2]), text.v[2]),
		_mm_cmpeq_epi8(_mm_shuffle_epi8(s, text.v[3]), text.v[3]));
}

static inline __m128i of_set_or16(__m128i v, __m128i set, char c)
{
	return _mm_or_si128(
		_mm_cmpeq_epi8(_mm_shuffle_epi8(set, v), v), _mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
}

/* Bits of the bytes that are of a set, or c. */
static inline uint64_t text64_of_set_or(struct text64 text, const uint8_t set[16], char c)
{
	__m128i s = _mm_load_si128((const __m128i *)set);

	return text64_mask(of_set_or16(text.v[0], s, c), of_set_or16(text.v[1], s, c),
		of_set_or16(text.v[2], s, c), of_set_or16(text.v[3], s, c));
}

/* The lowest bit that is set, 64 where none is. */
static inline uint64_t first_bit(uint64_t bits)
{
	return bits != 0 ? (uint64_t)__builtin_ctzll(bits) : 64;
}

/* The lowest n bits; all from 64 on. */
static inline uint64_t bits_below(uint32_t n)
{
	return n < 64 ? (1ULL << n) - 1 : UINT64_MAX;
}

#define ISA(name) name##_sse42
#define ISA_NAME "sse42"
#include "sip/isa_block.h"
