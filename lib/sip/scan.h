/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * The search for line ends under sip_msg_index(), where a message is not what plain_block.h takes.
 * A scanner notes each LF up to the blank line, in rounds of at most SIP_SCAN_ROOM, and whether
 * there was anything odd: a CR or LF that has no partner, or a NUL. What exactly is odd is found
 * out line by line afterwards, by the same code for all scanners. Private to this room.
 */
#include "base/base.h"

#define SIP_SCAN_BLOCK 64 /* bytes that a scanner looks at in one step */
#define SIP_SCAN_ROOM \
	192 /* line ends of one round; a message of the usual kind takes one round \
	     */

struct sip_scan {
	const char *buf;
	uint32_t start; /* first byte of the message */
	uint32_t len;   /* bytes of buf */
	uint32_t at;    /* bytes before this have been looked at */
	uint32_t blank; /* offset of the blank line's LF; 0 while it was not found */
	uint32_t count; /* line ends found in this round, without the blank line's */
	bool odd;       /* CR without LF, LF without CR, or NUL in [start, at); once set it stays */
	bool plain;     /* all in [start, at) is printable ASCII, CR and LF; once false it stays */
	bool control;   /* where not plain: there is a control character but CR, LF, TAB, DEL */
	uint64_t before_lf; /* bits 0 and 1: whether bytes at - 2 and at - 1 are LF */
	uint64_t before_cr; /* whether byte at - 1 is CR */
	/* Room for what a step writes ahead of its count. */
	uint32_t lf[SIP_SCAN_ROOM + SIP_SCAN_BLOCK];
};

/* Looks on from `at`. The round ends at the blank line, at `len`, or when SIP_SCAN_ROOM is reached.
 */
typedef void sip_scan_fn(struct sip_scan *scan);

/* Before the first round over buf[start, len), which is not empty. */
static inline void sip_scan_begin(
	struct sip_scan *scan, const char *buf, uint32_t start, uint32_t len)
{
	scan->buf = buf;
	scan->start = scan->at = start;
	scan->len = len;
	scan->blank = 0;
	scan->count = 0;
	scan->odd = false;
	scan->plain = true;
	scan->control = false;
	scan->before_lf = 0;
	scan->before_cr = 0;
}
