/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * Header names by perfect hash: over the name's first eight bytes and its length, one
 * multiplication, one slot, one compare. The multiplier is searched before main() from header.def,
 * so that a row added there needs nothing else; it cannot be found only where two names of equal
 * length begin with the same eight bytes. Private to this room.
 */
#include <nmmintrin.h>

#include "sip/sip.h"

#define SIP_NAME_BITS 9                             /* slots of the table: 2 to this */
#define SIP_NAME_SHORT 16                           /* names up to here are compared in one step */
#define SIP_NAME_KNOWN_MAX 32                       /* no known name is longer */
#define SIP_NAME_ENTRIES_MAX (2 * SIP_HEADER_COUNT) /* long and compact forms */

/* A name, and the bits of it that count: not the one that tells case in a letter, and none behind
 * its end. */
struct sip_name_entry {
	__m128i text[2];
	__m128i mask[2];
};

struct sip_name_slot {
	uint8_t entry;
	uint8_t len; /* 0: free, since no name is empty */
	uint8_t id;
	uint8_t unused;
};

struct sip_name_table {
	uint64_t multiplier;
	struct sip_name_slot slot[1 << SIP_NAME_BITS];
	struct sip_name_entry entry[SIP_NAME_ENTRIES_MAX];
};

extern struct sip_name_table sip_name_table;

/* Bits of eight bytes that are behind a name of that length. A branch on the length is never
 * predicted. */
extern const uint8_t sip_name_behind[SIP_NAME_KNOWN_MAX + 1];

/* `first` holds the first eight bytes from where the name begins, whatever follows it; len is not
 * 0. */
static inline unsigned sip_name_hash(uint64_t first, uint32_t len, uint64_t multiplier)
{
	first = (first | 0x2020202020202020ULL) << sip_name_behind[len];
	return (unsigned)(((first + len) * multiplier) >> (64 - SIP_NAME_BITS));
}

/* The bits in which 16 bytes of text differ from half h of an entry, case apart. */
static inline __m128i sip_name_differs(const struct sip_name_entry *entry, unsigned h, __m128i text)
{
	return _mm_and_si128(_mm_xor_si128(text, entry->text[h]), entry->mask[h]);
}

/* The header field whose name is the first len bytes (1 to SIP_NAME_SHORT) of `text`, OTHER where
 * none is. */
static inline enum sip_header_id sip_name_short(__m128i text, uint32_t len)
{
	const struct sip_name_slot *slot = &sip_name_table.slot[sip_name_hash(
		(uint64_t)_mm_cvtsi128_si64(text), len, sip_name_table.multiplier)];
	__m128i differs = sip_name_differs(&sip_name_table.entry[slot->entry], 0, text);

	return slot->len == len && _mm_testz_si128(differs, differs) ? (enum sip_header_id)slot->id
								     : SIP_HEADER_OTHER;
}
