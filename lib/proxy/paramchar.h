/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Characters of a URI's parameters, 16 at a time. Private to this room. */
#include <immintrin.h>

#include "proxy/internal.h"

/* What may stand in a URI's parameter as it is (RFC 3261 25.1 paramchar, without escapes). */
extern const bool proxy_paramchar[256];

/*
 * The end of such characters from `at` to `end` at most, in a text of `len`. A character is one
 * where the row of its lower half has the bit of its upper half.
 */
static inline uint32_t proxy_paramchars(const char *buf, uint32_t len, uint32_t at, uint32_t end)
{
	const __m128i rows = _mm_setr_epi8((char)0xa8, (char)0xfc, (char)0xf8, (char)0xf8,
			      (char)0xfc, (char)0xf8, (char)0xfc, (char)0xfc, (char)0xfc,
			      (char)0xfc, (char)0xfc, (char)0x74, (char)0x50, (char)0x74,
			      (char)0xd4, (char)0x74),
		      bits = _mm_setr_epi8(
			      1, 2, 4, 8, 16, 32, 64, (char)128, 0, 0, 0, 0, 0, 0, 0, 0);

	for (; at + 16 <= len && at < end; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(buf + at));
		__m128i upper = _mm_and_si128(_mm_srli_epi16(v, 4), _mm_set1_epi8(15));
		__m128i both =
			_mm_and_si128(_mm_shuffle_epi8(rows, v), _mm_shuffle_epi8(bits, upper));
		unsigned others =
			(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(both, _mm_setzero_si128()));

		if (others != 0) {
			at += (unsigned)__builtin_ctz(others);
			return at < end ? at : end;
		}
	}
	while (at < end && proxy_paramchar[(uint8_t)buf[at]])
		at++;
	return at < end ? at : end;
}
