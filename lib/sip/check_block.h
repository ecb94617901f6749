/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sip_msg_check() for the instruction set of the file that includes it (see isa.h).
 *
 * Each ..._usual(), here and in via_block.h, address_block.h and uri_block.h, parses a value of the
 * shape that nearly all have, which is printable ASCII: it takes the delimiters of up to 64
 * characters at a time from vector compares. It returns false for whatever else, valid or not, and
 * then the general parser (via.c, address.c, uri.c, parsed.c) decides. What it accepts it
 * fills in as that one does; the tests and the fuzzer hold every verdict and every span against it.
 */
#include "sip/check.h"
#include "sip/name.h"
#include "sip/token.h"

/* Digits, one space, and of a request the very method of its start line. */
static inline bool cseq_usual(struct sip_msg *msg, struct source in, struct sip_span value)
{
	const char *p = in.buf + value.off;
	__m128i text, method;
	uint32_t digits, len, number;

	if (value.off + 32 > in.limit)
		return false;
	text = _mm_loadu_si128((const __m128i *)p);
	digits = (uint32_t)__builtin_ctz(
		(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8(' '))) | 1U << 16);
	len = value.len - digits - 1;
	if (value.len <= digits + 1 || len >= SIP_NAME_SHORT ||
		!number_usual(in, (struct sip_span){value.off, digits}, &number))
		return false;
	method = _mm_loadu_si128((const __m128i *)(p + digits + 1));
	msg->cseq_method = (uint8_t)sip_method_short(method, len);
	if (msg->cseq_method == SIP_METHOD_OTHER ||
		(!msg->is_response && msg->cseq_method != msg->method))
		return false;
	if (msg->is_response)
		msg->method = msg->cseq_method;
	msg->cseq_number = number;
	msg->cseq_method_text = (struct sip_span){value.off + digits + 1, len};
	return true;
}

/* Printable it is already. */
static inline bool call_id_usual(struct source in, struct sip_span value)
{
	return value.len - 1 < 64 &&
	       (window_is(window_at(in, value.off), ' ') & bits_below(value.len)) == 0;
}

/* Whether the mandatory ones are there, and each that may stand once does. */
static inline bool present_usual(const struct sip_msg *msg)
{
	const uint64_t need = 1ULL << SIP_HEADER_VIA | 1ULL << SIP_HEADER_FROM |
			      1ULL << SIP_HEADER_TO | 1ULL << SIP_HEADER_CALL_ID |
			      1ULL << SIP_HEADER_CSEQ;
	uint64_t alone = text64_same(
		text64_at((const char *)msg->first), text64_at((const char *)msg->last));

	return (msg->present & need) == need && (msg->present & sip_once_ids & ~alone) == 0;
}

static inline const struct sip_header *first_of(const struct sip_msg *msg, enum sip_header_id id)
{
	return &msg->header[msg->first[id]];
}

/* Remembers a value that was parsed. */
static inline void remember(struct sip_msg *msg, unsigned bit)
{
	msg->parsed |= (uint16_t)bit;
}

static inline bool usual_address(struct sip_msg *msg, struct source in, enum sip_header_id id,
	unsigned bit, struct sip_address *out)
{
	if (!address_usual(in, sip_header_value(first_of(msg, id)), out))
		return false;
	out->header = msg->first[id];
	remember(msg, bit);
	return true;
}

static inline bool usual_top_via(struct sip_msg *msg, struct source in)
{
	if (!via_usual(in, sip_header_value(first_of(msg, SIP_HEADER_VIA)), &msg->via[0]))
		return false;
	msg->via[0].header = msg->first[SIP_HEADER_VIA];
	remember(msg, SIP_PARSED_VIA0);
	return true;
}

/* The Via below the topmost, on a line of its own. */
static inline bool usual_next_via(struct sip_msg *msg, struct source in)
{
	uint8_t next = first_of(msg, SIP_HEADER_VIA)->next;

	if (next == SIP_HEADER_NONE)
		return true;
	if (!via_usual(in, sip_header_value(&msg->header[next]), &msg->via[1]))
		return false;
	msg->via[1].header = next;
	remember(msg, SIP_PARSED_VIA1);
	return true;
}

/* The Vias by which a reply goes. */
static inline bool usual_via(struct sip_msg *msg, struct source in)
{
	return usual_top_via(msg, in) && (!msg->is_response || usual_next_via(msg, in));
}

static inline bool usual_address_or_none(
	const struct sip_msg *msg, struct source in, enum sip_header_id id)
{
	struct sip_address address;

	return !sip_msg_has(msg, id) ||
	       address_usual(in, sip_header_value(first_of(msg, id)), &address);
}

static inline bool usual_max_forwards(struct sip_msg *msg, struct source in)
{
	struct sip_span value;

	if (!sip_msg_has(msg, SIP_HEADER_MAX_FORWARDS))
		return true;
	value = sip_header_value(first_of(msg, SIP_HEADER_MAX_FORWARDS));
	if (!number_usual(in, value, &msg->max_forwards) ||
		msg->max_forwards > SIP_MAX_FORWARDS_MAX)
		return false;
	remember(msg, SIP_PARSED_MAX_FORWARDS);
	return true;
}

static inline bool usual_cseq(struct sip_msg *msg, struct source in)
{
	if (!cseq_usual(msg, in, sip_header_value(first_of(msg, SIP_HEADER_CSEQ))))
		return false;
	remember(msg, SIP_PARSED_CSEQ);
	return true;
}

static inline bool usual_uri(struct sip_msg *msg, struct source in)
{
	if (!uri_usual(in, msg->uri_text, &msg->uri))
		return false;
	remember(msg, SIP_PARSED_URI);
	return true;
}

static inline enum sip_error check_body(struct sip_msg *msg, struct source in)
{
	uint32_t said;

	if (!sip_msg_has(msg, SIP_HEADER_CONTENT_LENGTH))
		return SIP_OK;
	if (!number_usual(in, sip_header_value(first_of(msg, SIP_HEADER_CONTENT_LENGTH)), &said))
		return sip_check_body(msg, in.buf);
	return sip_check_body_length(msg, said);
}

static enum sip_error check_request(struct sip_msg *msg, struct source in)
{
	enum sip_error error;

	if (!usual_max_forwards(msg, in) && (error = sip_check_max_forwards(msg, in.buf)) != SIP_OK)
		return error;
	if (sip_msg_has(msg, SIP_HEADER_ROUTE) &&
		!usual_address(msg, in, SIP_HEADER_ROUTE, SIP_PARSED_ROUTE0, &msg->route) &&
		(error = sip_check_route(msg, in.buf)) != SIP_OK)
		return error;
	if (!usual_address_or_none(msg, in, SIP_HEADER_RECORD_ROUTE) &&
		(error = sip_check_record_route(msg, in.buf)) != SIP_OK)
		return error;
	if (!usual_address_or_none(msg, in, SIP_HEADER_CONTACT) &&
		(error = sip_check_contact(msg, in.buf)) != SIP_OK)
		return error;
	return usual_uri(msg, in) ? SIP_OK : sip_check_uri(msg, in.buf);
}

/*
 * Whether the values that are looked at below are printable ASCII, in a message that is not: it has
 * UTF-8, a tab or a fold, which most often stands in another field.
 */
static __attribute__((noinline)) bool values_are_plain(const struct sip_msg *msg, struct source in)
{
	const uint64_t looked_at = 1ULL << SIP_HEADER_VIA | 1ULL << SIP_HEADER_FROM |
				   1ULL << SIP_HEADER_TO | 1ULL << SIP_HEADER_CALL_ID |
				   1ULL << SIP_HEADER_CSEQ | 1ULL << SIP_HEADER_ROUTE |
				   1ULL << SIP_HEADER_RECORD_ROUTE | 1ULL << SIP_HEADER_CONTACT;

	for (unsigned i = 0; i < msg->header_count; i++) {
		const struct sip_header *h = &msg->header[i];

		if ((looked_at >> h->id & 1) != 0 && !value_is_plain(in, sip_header_value(h)))
			return false;
	}
	return true;
}

/* The same steps as sip_check_general(), each in the usual way first. */
static enum sip_error ISA(check)(struct sip_msg *msg, const char *buf)
{
	const struct source in = {buf, msg->len};
	enum sip_error error;

	if (__builtin_expect(msg->len < 64 || msg->parsed != 0, 0) ||
		(__builtin_expect(!msg->plain, 0) && !values_are_plain(msg, in)))
		return sip_check_general(msg, buf);
	if (!present_usual(msg) && (error = sip_check_present(msg)) != SIP_OK)
		return error;
	if (!usual_via(msg, in) && (error = sip_check_via(msg, buf)) != SIP_OK)
		return error;
	if (!usual_cseq(msg, in) && (error = sip_check_cseq(msg, buf)) != SIP_OK)
		return error;
	if (!call_id_usual(in, sip_header_value(first_of(msg, SIP_HEADER_CALL_ID))) &&
		(error = sip_check_call_id(msg, buf)) != SIP_OK)
		return error;
	if (!usual_address(msg, in, SIP_HEADER_FROM, SIP_PARSED_FROM, &msg->from) &&
		(error = sip_check_from(msg, buf)) != SIP_OK)
		return error;
	if (!usual_address(msg, in, SIP_HEADER_TO, SIP_PARSED_TO, &msg->to) &&
		(error = sip_check_to(msg, buf)) != SIP_OK)
		return error;
	error = check_body(msg, in);
	return error != SIP_OK || msg->is_response ? error : check_request(msg, in);
}
