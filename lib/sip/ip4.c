/* SPDX-License-Identifier: BSD-3-Clause */
#include "sip/ip4.h"

#include <stdlib.h>

struct sip_ip4_table sip_ip4_table;

/* Puts the shape of parts of these lengths in its slot; false where that is taken. */
static bool place(const unsigned length[4], uint32_t multiplier)
{
	static const uint8_t least[4] = {0, 0, 10, 100};
	struct sip_ip4_shape made;
	unsigned at = 0;

	memset(&made, 0, sizeof(made));
	memset(made.digits, 0xff, sizeof(made.digits));
	for (unsigned part = 0; part < 4; part++) {
		for (unsigned i = 0; i < length[part]; i++)
			made.digits[4 * part + 3 - length[part] + i] = (uint8_t)(at + i);
		made.least[part] = least[length[part]];
		at += length[part];
		/* The dot, or behind the last part the end. */
		made.shape |= 1U << at++;
	}

	struct sip_ip4_shape *slot =
		&sip_ip4_table.slot[(made.shape * multiplier) >> (32 - SIP_IP4_BITS)];

	if (slot->shape != 0)
		return false;
	*slot = made;
	return true;
}

static bool place_all(uint32_t multiplier)
{
	memset(sip_ip4_table.slot, 0, sizeof(sip_ip4_table.slot));
	for (unsigned n = 0; n < 81; n++) {
		const unsigned length[4] = {n % 3 + 1, n / 3 % 3 + 1, n / 9 % 3 + 1, n / 27 + 1};

		if (!place(length, multiplier))
			return false;
	}
	sip_ip4_table.multiplier = multiplier;
	return true;
}

/* Before main(): the first multiplier of a fixed sequence under which no two shapes share a slot.
 */
__attribute__((constructor)) static void build_table(void)
{
	uint32_t multiplier = 0x9e3779b1U;

	for (unsigned tries = 0; tries < 1000000; tries++) {
		if (place_all(multiplier))
			return;
		multiplier = (multiplier * 1664525U + 1013904223U) | 1;
	}
	abort();
}
