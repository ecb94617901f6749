/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * The vector search under sip_msg_index(). A scanner notes each LF up to the blank line, in rounds
 * of at most SIP_SCAN_ROOM, and whether there was anything odd: a CR or LF that has no partner, or
 * a NUL. What exactly is odd is found out line by line afterwards, by the same code for all
 * scanners. Private to this room.
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
	uint64_t before; /* bits 0 and 1: whether bytes at - 2 and at - 1 are LF */
	/* Room for what a step writes ahead of its count. */
	uint32_t lf[SIP_SCAN_ROOM + SIP_SCAN_BLOCK];
};

/* Looks on from `at`. The round ends at the blank line, at `len`, or when SIP_SCAN_ROOM is reached.
 */
typedef void sip_scan_fn(struct sip_scan *scan);

sip_scan_fn sip_scan_scalar;
sip_scan_fn sip_scan_sse42;
sip_scan_fn sip_scan_avx2;
sip_scan_fn sip_scan_avx512;

/* The one in use. */
extern sip_scan_fn *sip_scan_run;
