/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index of a usual message for the instruction set of the file that includes it (see isa.h):
 * its start line here, its line ends by plain_block.h, its header lines by lines_block.h.
 */
#include "sip/start_line.h"

static inline struct sip_span span_between(uint32_t begin, uint32_t end)
{
	return (struct sip_span){begin, end - begin};
}

/*
 * A start line of up to 63 bytes, of printable ASCII: "SIP/2.0", three digits and a reason, or a
 * method that is known, one space, a URI without blanks and " SIP/2.0". False where it is not just
 * this; *msg is then as sip_msg_reset() left it.
 */
static inline bool start_usual(struct sip_msg *msg, const char *buf, uint32_t from, uint32_t to)
{
	const char *p = buf + from;
	uint32_t len = to - from, method_len, version;
	uint64_t spaces;
	enum sip_method method;

	if (len >= 64)
		return false;
	if (memcmp(p, "SIP/2.0 ", 8) == 0) {
		uint32_t hundreds = (uint8_t)p[8] - '0', tens = (uint8_t)p[9] - '0',
			 ones = (uint8_t)p[10] - '0';

		if (len < 12 || hundreds - 1 > 5 || tens > 9 || ones > 9 || p[11] != ' ')
			return false;
		msg->is_response = true;
		msg->status = (uint16_t)(hundreds * 100 + tens * 10 + ones);
		msg->start_line = span_between(from, to);
		msg->version = (struct sip_span){from, 7};
		msg->reason = span_between(from + 12, to);
		return true;
	}
	spaces = text64_is(text64_at(p), ' ') & bits_below(len);
	method_len = first_bit(spaces);
	spaces &= spaces - 1;
	version = first_bit(spaces);
	/* The third space, or none. */
	if (len < 16 || method_len - 1 >= SIP_NAME_SHORT - 1 || version + 8 != len ||
		version <= method_len + 1 || memcmp(p + version, " SIP/2.0", 8) != 0)
		return false;
	method = sip_method_short(_mm_loadu_si128((const __m128i *)p), method_len);
	if (method == SIP_METHOD_OTHER)
		return false;
	msg->method = (uint8_t)method;
	msg->start_line = span_between(from, to);
	msg->method_text = (struct sip_span){from, method_len};
	msg->uri_text = span_between(from + method_len + 1, from + version);
	msg->version = (struct sip_span){from + version + 1, 7};
	return true;
}

/* See isa.h. */
static int ISA(index)(struct sip_msg *msg, const char *buf, uint32_t start, uint32_t len)
{
	enum sip_error error = SIP_OK;
	struct plain plain;

	if (!plain_lines(&plain, buf, start, len))
		return -1;
	sip_msg_reset(msg, len);
	if (!start_usual(msg, buf, start, plain.lf[0] - 1))
		error = sip_start_line(msg, buf, start, plain.lf[0] - 1);
	if (error == SIP_ERROR_NOT_SIP || !take_lines(msg, buf, len, plain.lf, plain.count - 1))
		return -1;
	msg->plain = true;
	msg->headers = plain.lf[0] + 1;
	msg->headers_end = plain.lf[plain.count - 1] + 1;
	msg->body = plain.blank + 1;
	msg->body_len = len - msg->body;
	return (int)error;
}
