/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * Header names by perfect hash: the name's first 32 bytes in two vector registers, lower-cased and cut at its length, one
 * multiplication, one slot, one compare. The multiplier is searched before main() from header.def, so that a row
 * added there needs nothing else. Private to this room.
 */
#include <nmmintrin.h>

#include "sip/sip.h"

#define SIP_NAME_BITS 9			  /* slots of the table: 2 to this */
#define SIP_NAME_KNOWN_MAX 32		  /* no known name is longer */
#define SIP_NAME_ENTRIES_MAX (2 * SIP_HEADER_COUNT) /* long and compact forms */

struct sip_name_entry {
	__m128i low, high; /* lower-cased name, zeros behind it */
	uint32_t len;
	uint8_t id;
};

struct sip_name_table {
	uint64_t multiplier;
	uint8_t slot[1 << SIP_NAME_BITS]; /* index of its entry; 0: the empty entry */
	struct sip_name_entry entry[SIP_NAME_ENTRIES_MAX];
};

extern struct sip_name_table sip_name_table;

/* 16 bytes of ff, 16 of 00, so that a load at 16 - n gives n bytes of ff. */
extern const uint8_t sip_name_cut[48];

static inline __m128i sip_name_lower(__m128i text)
{
	/* Bytes from 0x80 on are negative and so never in the range. */
	__m128i upper = _mm_and_si128(_mm_cmpgt_epi8(text, _mm_set1_epi8('A' - 1)),
		_mm_cmplt_epi8(text, _mm_set1_epi8('Z' + 1)));

	return _mm_or_si128(text, _mm_and_si128(upper, _mm_set1_epi8(0x20)));
}

static inline unsigned sip_name_hash(__m128i low, __m128i high, uint64_t multiplier)
{
	uint64_t a = (uint64_t)_mm_cvtsi128_si64(low), b = (uint64_t)_mm_extract_epi64(low, 1);
	uint64_t c = (uint64_t)_mm_cvtsi128_si64(high);

	return (unsigned)(((a + 3 * b + 5 * c) * multiplier) >> (64 - SIP_NAME_BITS));
}

/* Cuts the 32 bytes of `low` and `high` at len and lowers their case. */
static inline void sip_name_prepare(__m128i *low, __m128i *high, uint32_t len)
{
	uint32_t in_low = len < 16 ? len : 16, in_high = len - in_low;
	__m128i cut_low = _mm_loadu_si128((const __m128i *)(sip_name_cut + 16 - in_low));
	__m128i cut_high = _mm_loadu_si128((const __m128i *)(sip_name_cut + 16 - in_high));

	*low = sip_name_lower(_mm_and_si128(*low, cut_low));
	*high = sip_name_lower(_mm_and_si128(*high, cut_high));
}

/*
 * The header field whose name is the first len (at most 32) bytes of `low` and `high`, which hold what was loaded from
 * the text.
 */
static inline enum sip_header_id sip_name_classify(__m128i low, __m128i high, uint32_t len)
{
	sip_name_prepare(&low, &high, len);

	unsigned slot = sip_name_table.slot[sip_name_hash(low, high, sip_name_table.multiplier)];
	const struct sip_name_entry *entry = &sip_name_table.entry[slot];
	__m128i differs = _mm_or_si128(
		_mm_xor_si128(low, entry->low), _mm_xor_si128(high, entry->high));

	/* The length too, or else "Via" with a NUL behind it would be Via. */
	return _mm_testz_si128(differs, differs) && entry->len == len ?
		(enum sip_header_id)entry->id :
		SIP_HEADER_OTHER;
}
