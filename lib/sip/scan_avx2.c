/* SPDX-License-Identifier: BSD-3-Clause */
#include <immintrin.h>

#include "base/base.h"

/* A byte is odd where exactly one of "it is LF" and "the one before is CR" holds, or it is NUL. */
static inline __m256i odd_bytes(__m256i v, __m256i prev, __m256i line)
{
	__m256i after_cr = _mm256_cmpeq_epi8(prev, _mm256_set1_epi8('\r'));

	return _mm256_or_si256(
		_mm256_xor_si256(line, after_cr), _mm256_cmpeq_epi8(v, _mm256_setzero_si256()));
}

static inline void block_masks(const char *p, uint64_t *lf, uint64_t *odd)
{
	const __m256i is_lf = _mm256_set1_epi8('\n');
	__m256i v0 = _mm256_loadu_si256((const __m256i *)p);
	__m256i v1 = _mm256_loadu_si256((const __m256i *)(p + 32));
	__m256i line0 = _mm256_cmpeq_epi8(v0, is_lf), line1 = _mm256_cmpeq_epi8(v1, is_lf);
	__m256i odd0 = odd_bytes(v0, _mm256_loadu_si256((const __m256i *)(p - 1)), line0);
	__m256i odd1 = odd_bytes(v1, _mm256_loadu_si256((const __m256i *)(p + 31)), line1);
	__m256i strange = _mm256_or_si256(odd0, odd1);

	*lf = (uint32_t)_mm256_movemask_epi8(line0) |
	      (uint64_t)(uint32_t)_mm256_movemask_epi8(line1) << 32;
	*odd = 0;
	if (__builtin_expect(!_mm256_testz_si256(strange, strange), 0))
		*odd = (uint32_t)_mm256_movemask_epi8(odd0) |
		       (uint64_t)(uint32_t)_mm256_movemask_epi8(odd1) << 32;
}

#define SCAN sip_scan_avx2
#define SCAN_LEAVE() _mm256_zeroupper()
#include "sip/scan_block.h"
