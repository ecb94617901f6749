/* SPDX-License-Identifier: BSD-3-Clause */
#include "sip/scan.h"

/* Byte by byte and without the other scanners' code: the reference that they are compared with. */
void sip_scan_scalar(struct sip_scan *scan)
{
	const char *buf = scan->buf;

	scan->count = 0;
	while (scan->count < SIP_SCAN_ROOM && scan->at < scan->len) {
		uint32_t at = scan->at++;
		bool lf = buf[at] == '\n';

		if (buf[at] == 0 || lf != (at > scan->start && buf[at - 1] == '\r'))
			scan->odd = true;
		if (!lf)
			continue;
		if (at >= scan->start + 3 && memcmp(buf + at - 3, "\r\n\r\n", 4) == 0) {
			scan->blank = at;
			break;
		}
		scan->lf[scan->count++] = at;
	}
}
