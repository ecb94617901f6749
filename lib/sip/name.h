/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * Names of header fields and methods by perfect hash: over the first eight bytes and the length,
 * one multiplication, one slot, one compare. The multipliers are searched before main() from
 * header.def and method.def, so that a row added there needs nothing else; one cannot be found only
 * where two names of equal length begin with the same eight bytes. Private to this room.
 */
#include <nmmintrin.h>

#include "sip/each.h"
#include "sip/private.h"
#include "sip/sip.h"

#define SIP_NAME_BITS 9       /* slots of the table: 2 to this */
#define SIP_NAME_SHORT 16     /* names shorter than this are known in one step */
#define SIP_NAME_KNOWN_MAX 28 /* no known name is longer */

#define SIP_NAME_CUTS 65 /* for the lowest bit of 64, which is 64 where none is set */

/* What a free place holds, which no name as sip_name_short() makes it does. */
#define SIP_NAME_FREE 1

/*
 * A name with its letters lowered and zeros behind its end, so that it differs from every other
 * name of whatever length.
 */
struct sip_name {
	_Alignas(32) char text[SIP_NAME_KNOWN_MAX];
	/* As the last four octets of struct sip_header. */
	uint8_t len;
	uint8_t id;
	uint8_t unused[2];
};

struct sip_name_table {
	struct sip_name slot[1 << SIP_NAME_BITS];
	/* cut[n]: the first n octets are all ones, the others 0; from [SIP_NAME_SHORT] on all are
	 * 0. */
	_Alignas(16) uint8_t cut[SIP_NAME_CUTS][16];
	uint64_t multiplier;
};

extern SIP_PRIVATE struct sip_name_table sip_name_table;

_Static_assert(sizeof(struct sip_name) == 32, "sip_name_slot() counts in bytes");

/* The slot of a name of that length, by its first eight bytes. */
static inline struct sip_name *sip_name_slot(uint64_t first, uint64_t len, uint64_t multiplier)
{
	uint64_t bytes = ((first + len) * multiplier) >> (64 - SIP_NAME_BITS - 5) & ~31ULL;

	return (struct sip_name *)((char *)sip_name_table.slot + bytes);
}

/* The first len bytes of a name, in lower case, and zeros. */
static inline __m128i sip_name_lower(__m128i text, uint64_t len)
{
	return _mm_and_si128(_mm_or_si128(text, sip_each16(0x20)),
		_mm_load_si128((const __m128i *)sip_name_table.cut[len]));
}

/*
 * The only entry that a name of less than SIP_NAME_SHORT bytes may have, with which `text` begins.
 * A CR is taken for a '-': who asks has seen that each CR has its LF, which is in no name.
 */
static inline const struct sip_name *sip_name_short(__m128i text, uint64_t len)
{
	return sip_name_slot((uint64_t)_mm_cvtsi128_si64(sip_name_lower(text, len)), len,
		sip_name_table.multiplier);
}

/* Whether that entry is this name's; never where `len` is SIP_NAME_SHORT or more. */
static inline bool sip_name_is(const struct sip_name *known, __m128i text, uint64_t len)
{
	__m128i differs = _mm_xor_si128(
		sip_name_lower(text, len), _mm_load_si128((const __m128i *)known->text));

	return _mm_testz_si128(differs, differs);
}

#define SIP_METHOD_BITS 7 /* slots of the table of methods: 2 to this */
#define SIP_METHOD_KNOWN_MAX 16

/* As above, but with letters as they are. */
struct sip_method_table {
	uint64_t multiplier;
	uint8_t id[1 << SIP_METHOD_BITS]; /* enum sip_method; OTHER where the place is free */
	_Alignas(16) char name[1 << SIP_METHOD_BITS][SIP_METHOD_KNOWN_MAX];
};

extern SIP_PRIVATE struct sip_method_table sip_method_table;

static inline unsigned sip_method_slot(uint64_t first, uint64_t len, uint64_t multiplier)
{
	return (unsigned)(((first + len) * multiplier) >> (64 - SIP_METHOD_BITS));
}

/* The method of the first len (1 to 15) bytes of text. */
static inline enum sip_method sip_method_short(__m128i text, uint64_t len)
{
	__m128i name =
		_mm_and_si128(text, _mm_load_si128((const __m128i *)sip_name_table.cut[len]));
	unsigned slot = sip_method_slot(
		(uint64_t)_mm_cvtsi128_si64(name), len, sip_method_table.multiplier);
	__m128i differs =
		_mm_xor_si128(name, _mm_load_si128((const __m128i *)sip_method_table.name[slot]));

	return _mm_testz_si128(differs, differs) ? (enum sip_method)sip_method_table.id[slot]
						 : SIP_METHOD_OTHER;
}
