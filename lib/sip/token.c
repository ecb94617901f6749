/* SPDX-License-Identifier: BSD-3-Clause */
#include "sip/token.h"

#define DIGIT(c) ((c) >= '0' && (c) <= '9')
#define ALPHA(c) (((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z'))
#define HEX(c) (DIGIT(c) || ((c) >= 'a' && (c) <= 'f') || ((c) >= 'A' && (c) <= 'F'))
#define TOKEN(c) \
	(DIGIT(c) || ALPHA(c) || (c) == '-' || (c) == '.' || (c) == '!' || (c) == '%' || \
		(c) == '*' || (c) == '_' || (c) == '+' || (c) == '`' || (c) == '\'' || (c) == '~')
#define WORD(c) ((c) > 0x20 && (c) < 0x7f)
/*
 * Request-URI: RFC 3986 without delims and unwise ("<>\"\\^`{|}"), space, controls and what is not
 * ASCII. '#' is let through, since telephones dial it unescaped.
 */
#define URI(c) \
	(WORD(c) && (c) != '<' && (c) != '>' && (c) != '"' && (c) != '\\' && (c) != '^' && \
		(c) != '`' && (c) != '{' && (c) != '|' && (c) != '}')

#define PLAIN(c) (URI(c) && (c) != '%' && (c) != '?')

#define CLASS(c) \
	((TOKEN(c) ? SIP_CHAR_TOKEN : 0) | (URI(c) ? SIP_CHAR_URI : 0) | \
		(WORD(c) ? SIP_CHAR_WORD : 0) | (HEX(c) ? SIP_CHAR_HEX : 0) | \
		(PLAIN(c) ? SIP_CHAR_PLAIN : 0))
#define CLASS4(c) CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define CLASS16(c) CLASS4(c), CLASS4((c) + 4), CLASS4((c) + 8), CLASS4((c) + 12)
#define CLASS64(c) CLASS16(c), CLASS16((c) + 16), CLASS16((c) + 32), CLASS16((c) + 48)

const uint8_t sip_char_class[256] = {CLASS64(0), CLASS64(64), CLASS64(128), CLASS64(192)};

_Alignas(16) const uint8_t sip_char_rows[5][16] = {
	{SIP_CLASS_ROWS(TOKEN)},
	{SIP_CLASS_ROWS(URI)},
	{SIP_CLASS_ROWS(WORD)},
	{SIP_CLASS_ROWS(HEX)},
	{SIP_CLASS_ROWS(PLAIN)},
};
