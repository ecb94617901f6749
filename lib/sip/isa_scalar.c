/* SPDX-License-Identifier: BSD-3-Clause */
/* Byte by byte and without the others' code: the reference that they are compared with. */
#include "sip/check.h"
#include "sip/isa.h"

static void scan_scalar(struct sip_scan *scan)
{
	const char *buf = scan->buf;

	scan->count = 0;
	while (scan->count < SIP_SCAN_ROOM && scan->at < scan->len) {
		uint32_t at = scan->at++;
		bool lf = buf[at] == '\n', cr = buf[at] == '\r';

		if (buf[at] == 0 || lf != (at > scan->start && buf[at - 1] == '\r'))
			scan->odd = true;
		if (!lf && !cr && (buf[at] < ' ' || buf[at] == 0x7f))
			scan->plain = false;
		if ((uint8_t)buf[at] < ' ' && !lf && !cr && buf[at] != '\t')
			scan->control = true;
		if (!lf)
			continue;
		if (at >= scan->start + 3 && memcmp(buf + at - 3, "\r\n\r\n", 4) == 0) {
			scan->blank = at;
			break;
		}
		scan->lf[scan->count++] = at;
	}
}

const struct sip_isa sip_isa_scalar = {"scalar", scan_scalar, NULL, NULL, sip_check_general, NULL};
