/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Each octet 32 times, for vector compares. Private to this room. */
#include <emmintrin.h>
#include <stdint.h>

#include "sip/private.h"

#define SIP_EACH 256

extern SIP_PRIVATE const uint8_t sip_each[SIP_EACH][32];

/* 16 times c, as an operand in memory: to make it in a register takes gcc up to three instructions.
 */
static inline __m128i sip_each16(uint8_t c)
{
	return _mm_load_si128((const __m128i *)sip_each[c]);
}
