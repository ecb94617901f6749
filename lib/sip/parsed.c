/* SPDX-License-Identifier: BSD-3-Clause */
/* What is parsed when first asked for, and then remembered in the view. */
#include "sip/sip.h"

#include "sip/token.h"

/* Whether `bit` is to be parsed now. */
static bool first_time(struct sip_msg *msg, unsigned bit)
{
	bool first = (msg->parsed & bit) == 0;

	msg->parsed |= (uint16_t)bit;
	return first;
}

static bool broken(const struct sip_msg *msg, unsigned bit)
{
	return (msg->broken & bit) != 0;
}

const struct sip_uri *sip_msg_parse_uri(struct sip_msg *msg, const char *buf)
{
	if (msg->uri_text.len == 0)
		return NULL;
	if (first_time(msg, SIP_PARSED_URI) && sip_uri_parse(buf, msg->uri_text, &msg->uri) != 0)
		msg->broken |= SIP_PARSED_URI;
	return broken(msg, SIP_PARSED_URI) ? NULL : &msg->uri;
}

static bool parse_via(struct sip_msg *msg, const char *buf, struct sip_span in,
	const struct sip_header *h, unsigned n)
{
	if (sip_via_parse(buf, in, &msg->via[n]) != 0)
		return false;
	msg->via[n].header = (uint8_t)(h - msg->header);
	return true;
}

static const struct sip_via *top_via(struct sip_msg *msg, const char *buf)
{
	if (!sip_msg_has(msg, SIP_HEADER_VIA))
		return NULL;
	if (first_time(msg, SIP_PARSED_VIA0)) {
		const struct sip_header *h = &msg->header[msg->first[SIP_HEADER_VIA]];

		if (!parse_via(msg, buf, sip_header_value(h), h, 0))
			msg->broken |= SIP_PARSED_VIA0;
	}
	return broken(msg, SIP_PARSED_VIA0) ? NULL : &msg->via[0];
}

static const struct sip_via *second_via(struct sip_msg *msg, const char *buf)
{
	const struct sip_via *top = top_via(msg, buf);

	if (top == NULL)
		return NULL;

	const struct sip_header *h = &msg->header[top->header];
	struct sip_span in = sip_header_value(h);

	if (top->next != 0) {
		in.len -= top->next - in.off;
		in.off = top->next;
	} else if (h->next != SIP_HEADER_NONE) {
		h = &msg->header[h->next];
		in = sip_header_value(h);
	} else {
		return NULL;
	}
	if (first_time(msg, SIP_PARSED_VIA1) && !parse_via(msg, buf, in, h, 1))
		msg->broken |= SIP_PARSED_VIA1;
	return broken(msg, SIP_PARSED_VIA1) ? NULL : &msg->via[1];
}

const struct sip_via *sip_msg_parse_via(struct sip_msg *msg, const char *buf, unsigned n)
{
	if (n > 1)
		return NULL;
	return n == 0 ? top_via(msg, buf) : second_via(msg, buf);
}

static const struct sip_address *parse_address(struct sip_msg *msg, const char *buf,
	enum sip_header_id id, unsigned bit, struct sip_address *out)
{
	if (!sip_msg_has(msg, id))
		return NULL;
	if (first_time(msg, bit)) {
		const struct sip_header *h = &msg->header[msg->first[id]];

		if (sip_address_parse(buf, sip_header_value(h), out) != 0)
			msg->broken |= (uint16_t)bit;
		out->header = msg->first[id];
	}
	return broken(msg, bit) ? NULL : out;
}

const struct sip_address *sip_msg_parse_from(struct sip_msg *msg, const char *buf)
{
	return parse_address(msg, buf, SIP_HEADER_FROM, SIP_PARSED_FROM, &msg->from);
}

const struct sip_address *sip_msg_parse_to(struct sip_msg *msg, const char *buf)
{
	return parse_address(msg, buf, SIP_HEADER_TO, SIP_PARSED_TO, &msg->to);
}

const struct sip_address *sip_msg_route(struct sip_msg *msg, const char *buf)
{
	return parse_address(msg, buf, SIP_HEADER_ROUTE, SIP_PARSED_ROUTE0, &msg->route);
}

/* CSeq = 1*DIGIT LWS Method (RFC 3261 20.16), with a number below 2^31 (8.1.1.5). */
static bool parse_cseq(struct sip_msg *msg, const char *buf, struct sip_span value)
{
	uint32_t at = value.off, end = value.off + value.len, number;

	while (at < end && str_is_digit(buf[at]))
		at++;
	if (str_to_u32(str_of(buf + value.off, at - value.off), SIP_CSEQ_MAX, &number) != 0)
		return false;

	struct str method = str_trim(str_of(buf + at, end - at));

	/* The value is trimmed: where no space follows the number, nothing was cut here. */
	uint32_t begin = (uint32_t)(method.s - buf);

	if (begin == at)
		return false;
	msg->cseq_method = (uint8_t)sip_method_of(method);
	if (msg->cseq_method >= SIP_METHOD_OTHER &&
		!sip_chars_are(buf, begin, begin + method.len, SIP_CHAR_TOKEN))
		return false;
	msg->cseq_number = number;
	msg->cseq_method_text = (struct sip_span){begin, method.len};
	if (msg->is_response)
		msg->method = msg->cseq_method;
	return true;
}

bool sip_msg_parse_cseq(struct sip_msg *msg, const char *buf)
{
	if (!sip_msg_has(msg, SIP_HEADER_CSEQ))
		return false;
	if (first_time(msg, SIP_PARSED_CSEQ) &&
		!parse_cseq(msg, buf, sip_msg_value(msg, SIP_HEADER_CSEQ)))
		msg->broken |= SIP_PARSED_CSEQ;
	return !broken(msg, SIP_PARSED_CSEQ);
}

bool sip_msg_parse_max_forwards(struct sip_msg *msg, const char *buf)
{
	if (!sip_msg_has(msg, SIP_HEADER_MAX_FORWARDS))
		return false;
	if (first_time(msg, SIP_PARSED_MAX_FORWARDS) &&
		str_to_u32(sip_text(buf, sip_msg_value(msg, SIP_HEADER_MAX_FORWARDS)),
			SIP_MAX_FORWARDS_MAX, &msg->max_forwards) != 0)
		msg->broken |= SIP_PARSED_MAX_FORWARDS;
	return !broken(msg, SIP_PARSED_MAX_FORWARDS);
}
