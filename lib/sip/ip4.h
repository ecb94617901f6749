/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * IPv4 addresses in a few instructions. Where the dots of an address stand, and how long it is, is
 * one of 81 shapes; a shape says which of its characters are the hundreds, tens and ones of each
 * part. Private to this room.
 */
#include <nmmintrin.h>

#include "sip/each.h"
#include "sip/private.h"

#include "base/base.h"

#define SIP_IP4_BITS 9 /* slots of the table: 2 to this */

struct sip_ip4_shape {
	_Alignas(16) uint8_t digits[16]; /* for each part: hundreds, tens, ones, nothing */
	uint8_t least[4]; /* a part of two digits is at least 10, of three 100: no leading zero */
	uint32_t shape;   /* bits of the dots, and one behind the end; 0: free */
};

struct sip_ip4_table {
	uint32_t multiplier;
	struct sip_ip4_shape slot[1 << SIP_IP4_BITS];
};

extern SIP_PRIVATE struct sip_ip4_table sip_ip4_table;

/*
 * Whether the first len bytes at p, of which 16 may be read, are an IPv4 address (four parts of 0
 * to 255 without leading zeros); *out is it in network byte order.
 */
static inline bool sip_ip4_short(const char *p, uint32_t len, uint32_t *out)
{
	const __m128i nine = _mm_set1_epi8(9);
	const __m128i weight = _mm_set1_epi32(100 | 10 << 8 | 1 << 16);
	__m128i text = _mm_loadu_si128((const __m128i *)p);
	uint32_t end = 1U << (len & 31);
	uint32_t dots = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(text, sip_each16('.')));
	uint32_t shape = (dots & (end - 1)) | end;
	const struct sip_ip4_shape *slot =
		&sip_ip4_table.slot[(shape * sip_ip4_table.multiplier) >> (32 - SIP_IP4_BITS)];

	if (len > 15 || slot->shape != shape)
		return false;

	__m128i digits = _mm_shuffle_epi8(_mm_sub_epi8(text, _mm_set1_epi8('0')),
		_mm_load_si128((const __m128i *)slot->digits));
	__m128i part = _mm_madd_epi16(_mm_maddubs_epi16(digits, weight), _mm_set1_epi16(1));
	__m128i least;
	uint32_t least4, address;

	memcpy(&least4, slot->least, sizeof(least4));
	least = _mm_cvtepu8_epi32(_mm_cvtsi32_si128((int)least4));

	__m128i bad = _mm_or_si128(_mm_subs_epu8(digits, nine),
		_mm_or_si128(
			_mm_cmpgt_epi32(part, _mm_set1_epi32(255)), _mm_cmpgt_epi32(least, part)));

	if (!_mm_testz_si128(bad, bad))
		return false;
	part = _mm_shuffle_epi8(
		part, _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
	address = (uint32_t)_mm_cvtsi128_si32(part);
	memcpy(out, &address, sizeof(address));
	return true;
}
