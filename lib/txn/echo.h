/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * echo: a message that goes out again only when another one comes in again, without what that one
 * brings: the reply to a request that is retransmitted (RFC 3261 17.2), the ACK to a failure that
 * is (17.1.1.3). Via, From, To, Call-ID and CSeq of the one are, wholly or for the most part, those
 * of the other; what is left of a usual reply is a quarter of it.
 *
 * What is kept is steps: a line of the other message, as it is or with another piece in the place
 * of some of its bytes; one of a few phrases that nearly all messages have; bytes. A message that
 * comes again to the letter gives the same bytes that were sent before. One that differs in these
 * header fields gives a reply with its own ones, as 8.2.6.2 has it, or nothing where that is
 * impossible.
 *
 * Nothing is allocated. Any thread.
 */
#include <stdint.h>

#include "sip/sip.h"

#define ECHO_VIAS 4
enum echo_field {
	ECHO_FROM,
	ECHO_TO,
	ECHO_CALL_ID,
	ECHO_CSEQ,
	ECHO_VIA,
	ECHO_FIELDS = ECHO_VIA + ECHO_VIAS
};

/* Where the values of these fields stand in a message; len 0: it has no such line. */
struct echo_lines {
	struct {
		uint16_t at, len;
	} value[ECHO_FIELDS];
};

/* Bytes that a text of `len` takes at most. */
#define ECHO_ROOM(len) ((len) + 3U)

/* Of a message that was indexed. What stands behind its first 64 KB is as if it were not there. */
void echo_lines_of(const struct sip_msg *msg, struct echo_lines *out);
/* Writes what is to be kept of `text`, given the message of `buf` and `lines`, to
 * out[ECHO_ROOM(len)]; returns its bytes. */
uint32_t echo_pack(
	const char *text, uint32_t len, const char *buf, const struct echo_lines *lines, char *out);
/* The length of the text that was packed. */
uint32_t echo_length(const char *packed);
/* Writes it again, as the message of `buf` and `lines` has it. Bytes written, or -1: they do not
 * fit `room`, or this message lacks a part of it. */
int64_t echo_unpack(const char *packed, uint32_t packed_len, const char *buf,
	const struct echo_lines *lines, char *out, uint32_t room);
