/* SPDX-License-Identifier: BSD-3-Clause */
#include "sip/token.h"

#define T SIP_CHAR_TOKEN
#define U SIP_CHAR_URI
#define W SIP_CHAR_WORD
#define H SIP_CHAR_HEX

/*
 * Request-URI: RFC 3986 without delims and unwise ("<>\"\\^`{|}"), space, controls and what is not
 * ASCII. '#' is let through, since telephones dial it unescaped.
 */
const uint8_t sip_char_class[256] = {
	['a' ... 'f'] = T | U | W | H,
	['g' ... 'z'] = T | U | W,
	['A' ... 'F'] = T | U | W | H,
	['G' ... 'Z'] = T | U | W,
	['0' ... '9'] = T | U | W | H,
	['-'] = T | U | W,
	['.'] = T | U | W,
	['!'] = T | U | W,
	['%'] = T | U | W,
	['*'] = T | U | W,
	['_'] = T | U | W,
	['+'] = T | U | W,
	['\''] = T | U | W,
	['~'] = T | U | W,
	['`'] = T | W,
	['#'] = U | W,
	['$'] = U | W,
	['&'] = U | W,
	['('] = U | W,
	[')'] = U | W,
	[','] = U | W,
	['/'] = U | W,
	[':'] = U | W,
	[';'] = U | W,
	['='] = U | W,
	['?'] = U | W,
	['@'] = U | W,
	['['] = U | W,
	[']'] = U | W,
	['"'] = W,
	['<'] = W,
	['>'] = W,
	['\\'] = W,
	['^'] = W,
	['{'] = W,
	['|'] = W,
	['}'] = W,
};

bool sip_chars_are(const char *buf, uint32_t len, unsigned class)
{
	unsigned all = class;

	for (uint32_t i = 0; i < len; i++)
		all &= sip_char_class[(uint8_t)buf[i]];
	return len != 0 && (all & class) != 0;
}
