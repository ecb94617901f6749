/* SPDX-License-Identifier: BSD-3-Clause */
#include <immintrin.h>

#include "base/base.h"

/* A byte is odd where exactly one of "it is LF" and "the one before is CR" holds, or it is NUL. */
static inline void block_masks(const char *p, uint64_t *lf, uint64_t *odd)
{
	const __m128i is_lf = _mm_set1_epi8('\n'), is_cr = _mm_set1_epi8('\r');
	const __m128i zero = _mm_setzero_si128();
	__m128i strange = zero, bits[4];
	uint64_t lines = 0;

	for (int i = 0; i < 4; i++) {
		__m128i v = _mm_loadu_si128((const __m128i *)(p + 16 * i));
		__m128i prev = _mm_loadu_si128((const __m128i *)(p + 16 * i - 1));
		__m128i line = _mm_cmpeq_epi8(v, is_lf);

		lines |= (uint64_t)(uint32_t)_mm_movemask_epi8(line) << (16 * i);
		bits[i] = _mm_or_si128(
			_mm_xor_si128(line, _mm_cmpeq_epi8(prev, is_cr)), _mm_cmpeq_epi8(v, zero));
		strange = _mm_or_si128(strange, bits[i]);
	}
	*lf = lines;
	*odd = 0;
	if (__builtin_expect(!_mm_testz_si128(strange, strange), 0))
		for (int i = 0; i < 4; i++)
			*odd |= (uint64_t)(uint32_t)_mm_movemask_epi8(bits[i]) << (16 * i);
}

#define SCAN sip_scan_sse42
#define SCAN_LEAVE() ((void)0)
#include "sip/scan_block.h"
