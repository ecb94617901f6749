/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * Character classes, sixteen characters at a time. A class is 16 rows: bit h of row n says whether
 * the character h << 4 | n is of it, so that one shuffle by the low half of each character and one
 * by its high half tell all sixteen. Characters beyond ASCII are all of the class, or none. Private
 * to this room.
 */
#include <tmmintrin.h>

#include "base/base.h"

/* The rows of a class that a macro of one character defines. */
#define SIP_CLASS_ROW(is, n) \
	((is((n)) ? 1 : 0) | (is((n) + 16) ? 2 : 0) | (is((n) + 32) ? 4 : 0) | \
		(is((n) + 48) ? 8 : 0) | (is((n) + 64) ? 16 : 0) | (is((n) + 80) ? 32 : 0) | \
		(is((n) + 96) ? 64 : 0) | (is((n) + 112) ? 128 : 0))
#define SIP_CLASS_ROWS(is) \
	SIP_CLASS_ROW(is, 0), SIP_CLASS_ROW(is, 1), SIP_CLASS_ROW(is, 2), SIP_CLASS_ROW(is, 3), \
		SIP_CLASS_ROW(is, 4), SIP_CLASS_ROW(is, 5), SIP_CLASS_ROW(is, 6), \
		SIP_CLASS_ROW(is, 7), SIP_CLASS_ROW(is, 8), SIP_CLASS_ROW(is, 9), \
		SIP_CLASS_ROW(is, 10), SIP_CLASS_ROW(is, 11), SIP_CLASS_ROW(is, 12), \
		SIP_CLASS_ROW(is, 13), SIP_CLASS_ROW(is, 14), SIP_CLASS_ROW(is, 15)

/* A bit for each of 16 characters that is not of the class; `high`: those beyond ASCII are. */
static inline uint32_t sip_class_misses(const char *text, const uint8_t rows[16], bool high)
{
	const __m128i bit = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
	__m128i v = _mm_loadu_si128((const __m128i *)text);
	/* The shuffle takes 0 for what is beyond ASCII. */
	__m128i low = _mm_shuffle_epi8(_mm_load_si128((const __m128i *)rows), v);
	__m128i upper = _mm_and_si128(_mm_srli_epi16(v, 4), _mm_set1_epi8(15));
	__m128i hit = _mm_and_si128(low, _mm_shuffle_epi8(bit, upper));
	uint32_t misses = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(hit, _mm_setzero_si128()));

	return high ? misses & ~(uint32_t)_mm_movemask_epi8(v) : misses;
}

/*
 * Offset of the first character of [at, end) that is not of the class, or `end`. A rest of less
 * than 16 is looked at together with what stands before it; only where the buffer itself is shorter
 * than that, one by one in `table`.
 */
static inline uint32_t sip_class_skip(const char *buf, uint32_t at, uint32_t end,
	const uint8_t rows[16], bool high, const uint8_t table[256], unsigned bits)
{
	uint32_t misses;

	for (; at + 16 <= end; at += 16) {
		misses = sip_class_misses(buf + at, rows, high);
		if (misses != 0)
			return at + (uint32_t)__builtin_ctz(misses);
	}
	if (at >= end)
		return at;
	if (__builtin_expect(end < 16, 0)) {
		while (at < end && (table[(uint8_t)buf[at]] & bits) != 0)
			at++;
		return at;
	}
	misses = sip_class_misses(buf + end - 16, rows, high) >> (16 - (end - at));
	return misses != 0 ? at + (uint32_t)__builtin_ctz(misses) : end;
}

/* Bits of the 16 characters at p that are c or d. */
static inline uint32_t sip_either(const char *p, char c, char d)
{
	__m128i v = _mm_loadu_si128((const __m128i *)p);

	return (uint32_t)_mm_movemask_epi8(_mm_or_si128(
		_mm_cmpeq_epi8(v, _mm_set1_epi8(c)), _mm_cmpeq_epi8(v, _mm_set1_epi8(d))));
}

/* Offset of the first c or d in [at, end), or `end`; looked for as by sip_class_skip(). */
static inline uint32_t sip_find_either(const char *buf, uint32_t at, uint32_t end, char c, char d)
{
	uint32_t found;

	for (; at + 16 <= end; at += 16) {
		found = sip_either(buf + at, c, d);
		if (found != 0)
			return at + (uint32_t)__builtin_ctz(found);
	}
	if (at >= end)
		return at;
	if (__builtin_expect(end < 16, 0)) {
		while (at < end && buf[at] != c && buf[at] != d)
			at++;
		return at;
	}
	found = sip_either(buf + end - 16, c, d) >> (16 - (end - at));
	return found != 0 ? at + (uint32_t)__builtin_ctz(found) : end;
}

/* The same for one character. */
static inline uint32_t sip_find(const char *buf, uint32_t at, uint32_t end, char c)
{
	return sip_find_either(buf, at, end, c, c);
}
