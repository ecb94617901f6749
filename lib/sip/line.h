/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* One header line, for the index. Private to this room. */
#include "sip/sip.h"

/*
 * Any line buf[from, to), without its CRLF, of which nothing is odd and which is not folded: fills
 * all of *out but `next`. Returns its enum sip_header_id, or -1 where its name is malformed or it
 * begins with LWS.
 */
int sip_line_any(const char *buf, uint32_t from, uint32_t to, struct sip_header *out);
