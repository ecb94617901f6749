/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "sip/sip.h"

/*
 * Parses buf[from, to), the start line without its CRLF, into msg (RFC 3261 7.1, 7.2). What could
 * be read is filled in on an error too, so that a reply to the request can be built.
 * SIP_ERROR_NOT_SIP: it is something else altogether.
 */
enum sip_error sip_start_line(struct sip_msg *msg, const char *buf, uint32_t from, uint32_t to);

/* Whether buf[from, to), without a CR, LF or NUL, can't be a start line for it: sip_start_line()
 * would say SIP_ERROR_NOT_SIP. */
bool sip_start_line_strange(const char *buf, uint32_t from, uint32_t to);
