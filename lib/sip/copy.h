/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* A short text into a room where more than its bytes may be read. Private to this room. */
#include <nmmintrin.h>

#include "base/load.h"

/* 1 to 63 bytes of p into 64, with zeros behind them. No other byte of p is read. */
static inline void sip_copy_short(char room[64], const char *p, uint32_t len)
{
	const __m128i zero = _mm_setzero_si128();

	/* The first bytes and the last ones, which may be the same ones. */
	for (unsigned i = 0; i < 64; i += 16)
		_mm_storeu_si128((__m128i *)(room + i), zero);
	if (len >= 16) {
		__m128i first = _mm_loadu_si128((const __m128i *)p);
		__m128i last = _mm_loadu_si128((const __m128i *)(p + len - 16));

		if (len > 32) {
			__m128i second = _mm_loadu_si128((const __m128i *)(p + 16));
			__m128i third = _mm_loadu_si128((const __m128i *)(p + len - 32));

			_mm_storeu_si128((__m128i *)(room + 16), second);
			_mm_storeu_si128((__m128i *)(room + len - 32), third);
		}
		_mm_storeu_si128((__m128i *)room, first);
		_mm_storeu_si128((__m128i *)(room + len - 16), last);
	} else if (len >= 8) {
		uint64_t first = load8(p), last = load8(p + len - 8);

		memcpy(room, &first, 8);
		memcpy(room + len - 8, &last, 8);
	} else {
		uint64_t all = load_short(p, len);

		memcpy(room, &all, 8);
	}
}
