/* SPDX-License-Identifier: BSD-3-Clause */
#include <immintrin.h>

#include "base/base.h"

#include "sip/copy.h"
#include "sip/each.h"

/* 64 bytes of text in registers. */
struct text64 {
	__m256i low, high;
};

/* 32 times c, as an operand in memory: to make it in a register takes gcc three instructions. */
static inline __m256i each32(unsigned char c)
{
	return _mm256_load_si256((const __m256i *)sip_each[c]);
}

static inline struct text64 text64_at(const char *p)
{
	return (struct text64){_mm256_loadu_si256((const __m256i *)p),
		_mm256_loadu_si256((const __m256i *)(p + 32))};
}

static inline uint64_t text64_mask(__m256i low, __m256i high)
{
	return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
							     << 32;
}

/* 1 to 63 bytes of p into 64, with zeros behind them. No other byte of p is read. */
static inline void text64_copy(char room[64], const char *p, uint32_t len)
{
	sip_copy_short(room, p, len);
}

/* Bits of the bytes that are c. */
static inline uint64_t text64_is(struct text64 text, char c)
{
	const __m256i wanted = each32((unsigned char)c);

	return text64_mask(
		_mm256_cmpeq_epi8(text.low, wanted), _mm256_cmpeq_epi8(text.high, wanted));
}

/* One up, DEL and all beyond ASCII are negative. */
static inline __m256i printable32(__m256i v)
{
	return _mm256_cmpgt_epi8(_mm256_add_epi8(v, each32(1)), each32(' '));
}

/* Bits of the bytes that are the same in both. */
static inline uint64_t text64_same(struct text64 a, struct text64 b)
{
	return text64_mask(_mm256_cmpeq_epi8(a.low, b.low), _mm256_cmpeq_epi8(a.high, b.high));
}

/* Bits of the bytes that are printable ASCII. */
static inline uint64_t text64_printable(struct text64 text)
{
	return text64_mask(printable32(text.low), printable32(text.high));
}

static inline __m256i unprintable32(__m256i v)
{
	return _mm256_cmpgt_epi8(each32(' ' + 1), _mm256_add_epi8(v, each32(1)));
}

/* Bits of the bytes that are not printable ASCII. */
static inline uint64_t text64_unprintable(struct text64 text)
{
	return text64_mask(unprintable32(text.low), unprintable32(text.high));
}

static inline __m256i below_space32(__m256i v)
{
	return _mm256_cmpeq_epi8(_mm256_min_epu8(v, each32(' ' - 1)), v);
}

/* Bits of the bytes that are below the space. */
static inline uint64_t text64_below_space(struct text64 text)
{
	return text64_mask(below_space32(text.low), below_space32(text.high));
}

static inline __m256i misses32(__m256i v, __m256i rows)
{
	const __m256i bit = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0));
	__m256i upper = _mm256_and_si256(_mm256_srli_epi16(v, 4), each32(15));

	return _mm256_cmpeq_epi8(
		_mm256_and_si256(_mm256_shuffle_epi8(rows, v), _mm256_shuffle_epi8(bit, upper)),
		_mm256_setzero_si256());
}

/* Bits of the bytes that are not of the class (class.h); those beyond ASCII are of none. */
static inline uint64_t text64_misses(struct text64 text, const uint8_t rows[16])
{
	__m256i r = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)rows));

	return text64_mask(misses32(text.low, r), misses32(text.high, r));
}

/* Bits of the bytes that are of a set (window_block.h). */
static inline uint64_t text64_of_set(struct text64 text, const uint8_t set[16])
{
	__m256i s = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)set));

	return text64_mask(_mm256_cmpeq_epi8(_mm256_shuffle_epi8(s, text.low), text.low),
		_mm256_cmpeq_epi8(_mm256_shuffle_epi8(s, text.high), text.high));
}

static inline __m256i of_set_or32(__m256i v, __m256i set, char c)
{
	return _mm256_or_si256(_mm256_cmpeq_epi8(_mm256_shuffle_epi8(set, v), v),
		_mm256_cmpeq_epi8(v, each32((unsigned char)c)));
}

/* Bits of the bytes that are of a set, or c. */
static inline uint64_t text64_of_set_or(struct text64 text, const uint8_t set[16], char c)
{
	__m256i s = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)set));

	return text64_mask(of_set_or32(text.low, s, c), of_set_or32(text.high, s, c));
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

#define ISA(name) name##_avx2
#define ISA_NAME "avx2"
#include "sip/isa_block.h"
