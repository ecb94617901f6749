/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* Character classes of RFC 3261 25.1 as table look-ups. Private to this room. */
#include "base/base.h"

#define SIP_CHAR_TOKEN 1u /* token */
#define SIP_CHAR_URI 2u   /* may stand in a Request-URI: what no URI may hold is left out */
#define SIP_CHAR_WORD 4u  /* printable without space: what we take in a Call-ID */
#define SIP_CHAR_HEX 8u   /* HEXDIG */

extern const uint8_t sip_char_class[256];

static inline bool sip_char_is(char c, unsigned class)
{
	return (sip_char_class[(uint8_t)c] & class) != 0;
}

/* Whether buf[0, len) is not empty and made of that class only. */
bool sip_chars_are(const char *buf, uint32_t len, unsigned class);
