/* SPDX-License-Identifier: BSD-3-Clause */
#include "sip/each.h"

#define TIMES4(c) (c), (c), (c), (c)
#define TIMES32(c) \
	{ \
		TIMES4(c), TIMES4(c), TIMES4(c), TIMES4(c), TIMES4(c), TIMES4(c), TIMES4(c), \
			TIMES4(c) \
	}
#define ROWS4(c) TIMES32(c), TIMES32((c) + 1), TIMES32((c) + 2), TIMES32((c) + 3)
#define ROWS16(c) ROWS4(c), ROWS4((c) + 4), ROWS4((c) + 8), ROWS4((c) + 12)
#define ROWS64(c) ROWS16(c), ROWS16((c) + 16), ROWS16((c) + 32), ROWS16((c) + 48)

_Alignas(64) const uint8_t sip_each[SIP_EACH][32] = {
	ROWS64(0), ROWS64(64), ROWS64(128), ROWS64(192)};
