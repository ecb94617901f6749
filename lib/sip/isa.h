/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What is compiled once for each instruction set, from the same text (plain_block.h,
 * lines_block.h, index_block.h, scan_block.h, check_block.h) on another struct text64; isa.c picks
 * one at run time. The scalar one goes byte by byte and through the general parsers alone: the
 * others are compared with it. Private to this room.
 */
#include "sip/private.h"
#include "sip/scan.h"
#include "sip/sip.h"

struct sip_isa {
	const char *name;
	sip_scan_fn *scan;
	/*
	 * Takes the header lines of a message whose blank line one round found, of which nothing is
	 * odd and whose start line is in msg. False where it has folded or malformed lines or too
	 * many; msg->present is then still 0. NULL: there is no such short way.
	 */
	bool (*lines)(struct sip_msg *msg, const char *buf, const struct sip_scan *scan);
	/*
	 * Indexes buf[start, len), of SIP_SCAN_BLOCK bytes at least and with no CRLF before its
	 * start line: SIP_OK, or what is wrong with its start line. -1: it is not at a glance what
	 * nearly all are, and nothing that stands in the view counts. NULL: there is no such short
	 * way.
	 */
	int (*index)(struct sip_msg *msg, const char *buf, uint32_t start, uint32_t len);
	/* sip_msg_check() */
	enum sip_error (*check)(struct sip_msg *msg, const char *buf);
	/* sip_uri_parse() of what is usual; false: it is not. NULL: there is no such short way. */
	bool (*uri)(const char *buf, struct sip_span in, struct sip_uri *out);
};

extern SIP_PRIVATE const struct sip_isa sip_isa_scalar;
extern SIP_PRIVATE const struct sip_isa sip_isa_sse42;
extern SIP_PRIVATE const struct sip_isa sip_isa_avx2;
extern SIP_PRIVATE const struct sip_isa sip_isa_avx512;

/* The one in use. */
extern SIP_PRIVATE const struct sip_isa *sip_isa;
