/* SPDX-License-Identifier: BSD-3-Clause */
#include <immintrin.h>

#include "base/base.h"

/* 64 bytes of text in a register. */
struct text64 {
	__m512i v;
};

static inline struct text64 text64_at(const char *p)
{
	return (struct text64){_mm512_loadu_si512(p)};
}

/* 1 to 63 bytes of p into 64, with zeros behind them. No other byte of p is read. */
static inline void text64_copy(char room[64], const char *p, uint32_t len)
{
	_mm512_storeu_si512(room, _mm512_maskz_loadu_epi8(UINT64_MAX >> (64 - len), p));
}

/* Bits of the bytes that are c. */
static inline uint64_t text64_is(struct text64 text, char c)
{
	return _mm512_cmpeq_epi8_mask(text.v, _mm512_set1_epi8(c));
}

/* Bits of the bytes that are the same in both. */
static inline uint64_t text64_same(struct text64 a, struct text64 b)
{
	return _mm512_cmpeq_epi8_mask(a.v, b.v);
}

/* Bits of the bytes that are printable ASCII. */
static inline uint64_t text64_printable(struct text64 text)
{
	return _mm512_cmplt_epu8_mask(
		_mm512_sub_epi8(text.v, _mm512_set1_epi8(' ')), _mm512_set1_epi8(0x7f - ' '));
}

/* Bits of the bytes that are not printable ASCII. */
static inline uint64_t text64_unprintable(struct text64 text)
{
	return _mm512_cmpge_epu8_mask(
		_mm512_sub_epi8(text.v, _mm512_set1_epi8(' ')), _mm512_set1_epi8(0x7f - ' '));
}

/* Bits of the bytes that are below the space. */
static inline uint64_t text64_below_space(struct text64 text)
{
	return _mm512_cmplt_epu8_mask(text.v, _mm512_set1_epi8(' '));
}

/* Bits of the bytes that are not of the class (class.h); those beyond ASCII are of none. */
static inline uint64_t text64_misses(struct text64 text, const uint8_t rows[16])
{
	const __m512i bit = _mm512_broadcast_i32x4(
		_mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0));
	__m512i low = _mm512_shuffle_epi8(
		_mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)rows)), text.v);
	__m512i upper = _mm512_and_si512(_mm512_srli_epi16(text.v, 4), _mm512_set1_epi8(15));

	return _mm512_testn_epi8_mask(low, _mm512_shuffle_epi8(bit, upper));
}

/* Bits of the bytes that are of a set (window_block.h). */
static inline uint64_t text64_of_set(struct text64 text, const uint8_t set[16])
{
	__m512i s = _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)set));

	return _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(s, text.v), text.v);
}

/* Bits of the bytes that are of a set, or c. */
static inline uint64_t text64_of_set_or(struct text64 text, const uint8_t set[16], char c)
{
	return text64_of_set(text, set) | text64_is(text, c);
}

/* The lowest bit that is set, 64 where none is. */
static inline uint64_t first_bit(uint64_t bits)
{
	return _tzcnt_u64(bits);
}

/* The lowest n bits; all from 64 on. n is below 256. */
static inline uint64_t bits_below(uint32_t n)
{
	return _bzhi_u64(UINT64_MAX, n);
}

#define ISA(name) name##_avx512
#define ISA_NAME "avx512"
#include "sip/isa_block.h"
