/* SPDX-License-Identifier: BSD-3-Clause */
#include <immintrin.h>

#include "base/base.h"

/* A byte is odd where exactly one of "it is LF" and "the one before is CR" holds, or it is NUL. */
static inline void block_masks(const char *p, uint64_t *lf, uint64_t *odd)
{
	__m512i v = _mm512_loadu_si512(p);
	__m512i prev = _mm512_loadu_si512(p - 1);
	uint64_t lines = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\n'));
	uint64_t after_cr = _mm512_cmpeq_epi8_mask(prev, _mm512_set1_epi8('\r'));

	*lf = lines;
	*odd = (lines ^ after_cr) | _mm512_testn_epi8_mask(v, v);
}

#define SCAN sip_scan_avx512
#define SCAN_LEAVE() _mm256_zeroupper()
#include "sip/scan_block.h"
