/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Character classes of RFC 3261 25.1 as table look-ups. Private to this room. */
#include "sip/class.h"
#include "sip/private.h"

#define SIP_CHAR_TOKEN 1u  /* token */
#define SIP_CHAR_URI 2u    /* may stand in a Request-URI: what no URI may hold is left out */
#define SIP_CHAR_WORD 4u   /* printable without space: what we take in a Call-ID */
#define SIP_CHAR_HEX 8u    /* HEXDIG */
#define SIP_CHAR_PLAIN 16u /* URI without '%' and '?' */

extern SIP_PRIVATE const uint8_t sip_char_class[256];
/* The same classes by bit number, as class.h wants them. */
extern SIP_PRIVATE const uint8_t sip_char_rows[5][16];

static inline bool sip_char_is(char c, unsigned class)
{
	return (sip_char_class[(uint8_t)c] & class) != 0;
}

/* Whether buf[at, end) is not empty and made of that class only. */
static inline bool sip_chars_are(const char *buf, uint32_t at, uint32_t end, unsigned class)
{
	return at < end && sip_class_skip(buf, at, end, sip_char_rows[__builtin_ctz(class)], false,
				   sip_char_class, class) == end;
}
