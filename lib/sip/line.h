/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* The view before its first line, and one header line: for the index. Private to this room. */
#include "sip/sip.h"

/*
 * Any line buf[from, to), without its CRLF, of which nothing is odd and which is not folded: fills
 * all of *out but `next`. Returns its enum sip_header_id, or -1 where its name is malformed or it
 * begins with LWS.
 */
int sip_line_any(const char *buf, uint32_t from, uint32_t to, struct sip_header *out);

/* The view of a message of that many bytes of which nothing is known. */
static inline void sip_msg_reset(struct sip_msg *msg, uint32_t len)
{
	/* From is_response up to what was parsed: nothing of it holds. */
	const size_t begin = offsetof(struct sip_msg, is_response),
		     end = offsetof(struct sip_msg, uri);

	msg->len = len;
	msg->headers = msg->headers_end = msg->body = len;
	msg->body_len = 0;
	memset((char *)msg + begin, 0, end - begin);
	msg->present = 0;
}
