/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether an indexed message may be routed. The measure is RFC 3261 16.3 step 1: what the proxy
 * works with has to be well formed; "any other components, well-formed or not, SHOULD be ignored
 * and remain unchanged", so a bad Date or Expires refuses nothing here.
 */
#include "sip/check.h"

#include "sip/token.h"

enum sip_error sip_check_present(const struct sip_msg *msg)
{
	static const struct {
		enum sip_header_id id;
		enum sip_error error;
	} needed[] = {
		{SIP_HEADER_VIA, SIP_ERROR_MISSING_VIA},
		{SIP_HEADER_FROM, SIP_ERROR_MISSING_FROM},
		{SIP_HEADER_TO, SIP_ERROR_MISSING_TO},
		{SIP_HEADER_CALL_ID, SIP_ERROR_MISSING_CALL_ID},
		{SIP_HEADER_CSEQ, SIP_ERROR_MISSING_CSEQ},
	};
	for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!sip_msg_has(msg, needed[i].id))
			return needed[i].error;
	for (uint64_t ids = msg->present & sip_once_ids; ids != 0; ids &= ids - 1) {
		unsigned id = (unsigned)__builtin_ctzll(ids);

		if (msg->first[id] != msg->last[id])
			return SIP_ERROR_DUPLICATE;
	}
	return SIP_OK;
}

/*
 * Call-ID is compared octet by octet and never taken apart, so what matters is that it is one word.
 * RFC 3261's `word` is narrower, but base64 with its '=' is met in the field.
 */
enum sip_error sip_check_call_id(const struct sip_msg *msg, const char *buf)
{
	struct sip_span value = sip_msg_value(msg, SIP_HEADER_CALL_ID);

	return sip_chars_are(buf, value.off, value.off + value.len, SIP_CHAR_WORD)
		       ? SIP_OK
		       : SIP_ERROR_CALL_ID;
}

enum sip_error sip_check_cseq(struct sip_msg *msg, const char *buf)
{
	if (!sip_msg_cseq(msg, buf))
		return SIP_ERROR_CSEQ;
	if (msg->is_response ||
		str_eq(sip_text(buf, msg->cseq_method_text), sip_text(buf, msg->method_text)))
		return SIP_OK;
	/* RFC 4475 3.1.2.18: for an unknown method 501 "has better future-proof characteristics".
	 */
	return msg->method == SIP_METHOD_OTHER ? SIP_ERROR_CSEQ_METHOD_UNKNOWN
					       : SIP_ERROR_CSEQ_METHOD;
}

/*
 * The Via by which a reply goes: of a request the topmost, of a response also the one below ours. A
 * branch that is only the magic cookie is one of RFC 2543 (RFC 4475 3.2.1), which sip_via_parse()
 * says by has_magic.
 */
enum sip_error sip_check_via(struct sip_msg *msg, const char *buf)
{
	if (sip_msg_via(msg, buf, 0) == NULL)
		return SIP_ERROR_VIA;
	if (msg->is_response && sip_msg_via(msg, buf, 1) == NULL &&
		(msg->broken & SIP_PARSED_VIA1) != 0)
		return SIP_ERROR_VIA;
	return SIP_OK;
}

/* RFC 3261 20: a URI that holds a comma, question mark or semicolon has to stand in angle brackets.
 */
static bool address_ok(const struct sip_address *address, const char *buf)
{
	return address != NULL &&
	       (address->brackets || address->star ||
		       memchr(buf + address->uri.off, '?', address->uri.len) == NULL);
}

/* The same for From and To, which hold one value. */
static bool only_address_ok(const struct sip_address *address, const char *buf)
{
	return address_ok(address, buf) && !address->star && address->next == 0;
}

static bool first_address_ok(const struct sip_msg *msg, const char *buf, enum sip_header_id id)
{
	struct sip_address address;

	if (!sip_msg_has(msg, id))
		return true;
	return sip_address_parse(buf, sip_msg_value(msg, id), &address) == 0 &&
	       address_ok(&address, buf) && (!address.star || id == SIP_HEADER_CONTACT);
}

enum sip_error sip_check_from(struct sip_msg *msg, const char *buf)
{
	return only_address_ok(sip_msg_from(msg, buf), buf) ? SIP_OK : SIP_ERROR_FROM;
}

enum sip_error sip_check_to(struct sip_msg *msg, const char *buf)
{
	return only_address_ok(sip_msg_to(msg, buf), buf) ? SIP_OK : SIP_ERROR_TO;
}

enum sip_error sip_check_max_forwards(struct sip_msg *msg, const char *buf)
{
	return !sip_msg_has(msg, SIP_HEADER_MAX_FORWARDS) || sip_msg_max_forwards(msg, buf)
		       ? SIP_OK
		       : SIP_ERROR_MAX_FORWARDS;
}

enum sip_error sip_check_route(struct sip_msg *msg, const char *buf)
{
	return !sip_msg_has(msg, SIP_HEADER_ROUTE) ||
			       (address_ok(sip_msg_route(msg, buf), buf) && !msg->route.star)
		       ? SIP_OK
		       : SIP_ERROR_ROUTE;
}

enum sip_error sip_check_record_route(const struct sip_msg *msg, const char *buf)
{
	return first_address_ok(msg, buf, SIP_HEADER_RECORD_ROUTE) ? SIP_OK
								   : SIP_ERROR_RECORD_ROUTE;
}

enum sip_error sip_check_contact(const struct sip_msg *msg, const char *buf)
{
	return first_address_ok(msg, buf, SIP_HEADER_CONTACT) ? SIP_OK : SIP_ERROR_CONTACT;
}

/* RFC 3261 18.3: what trails the body is dropped, a body that is shorter than said is an error. */
enum sip_error sip_check_body(struct sip_msg *msg, const char *buf)
{
	uint64_t said;
	int err;

	if (!sip_msg_has(msg, SIP_HEADER_CONTENT_LENGTH))
		return SIP_OK;
	err = str_to_u64(
		sip_text(buf, sip_msg_value(msg, SIP_HEADER_CONTENT_LENGTH)), UINT32_MAX, &said);
	if (err != 0)
		return SIP_ERROR_CONTENT_LENGTH;
	return sip_check_body_length(msg, said);
}

/* What no URI may hold, of any scheme; each '%' is followed by two hexadecimal digits. */
static bool uri_text_ok(const char *buf, struct sip_span uri)
{
	const char *p = buf + uri.off;

	if (!sip_chars_are(buf, uri.off, uri.off + uri.len, SIP_CHAR_URI))
		return false;
	if (memchr(p, '%', uri.len) == NULL)
		return true;
	for (uint32_t i = 0; i < uri.len; i++)
		if (p[i] == '%' && (uri.len - i < 3 || !sip_char_is(p[i + 1], SIP_CHAR_HEX) ||
					   !sip_char_is(p[i + 2], SIP_CHAR_HEX)))
			return false;
	return true;
}

enum sip_error sip_check_uri(struct sip_msg *msg, const char *buf)
{
	const struct sip_uri *uri;

	if (!uri_text_ok(buf, msg->uri_text))
		return SIP_ERROR_URI;
	uri = sip_msg_uri(msg, buf);
	if (uri == NULL)
		return SIP_ERROR_URI;
	if (uri->scheme == SIP_SCHEME_OTHER)
		return SIP_ERROR_URI_SCHEME;
	if (uri->scheme != SIP_SCHEME_TEL && uri->headers.len != 0)
		return SIP_ERROR_URI_HEADERS;
	return SIP_OK;
}

enum sip_error sip_check_general(struct sip_msg *msg, const char *buf)
{
	enum sip_error error;

	if ((error = sip_check_present(msg)) != SIP_OK ||
		(error = sip_check_via(msg, buf)) != SIP_OK ||
		(error = sip_check_cseq(msg, buf)) != SIP_OK ||
		(error = sip_check_call_id(msg, buf)) != SIP_OK ||
		(error = sip_check_from(msg, buf)) != SIP_OK ||
		(error = sip_check_to(msg, buf)) != SIP_OK ||
		(error = sip_check_body(msg, buf)) != SIP_OK || msg->is_response)
		return error;
	if ((error = sip_check_max_forwards(msg, buf)) != SIP_OK ||
		(error = sip_check_route(msg, buf)) != SIP_OK ||
		(error = sip_check_record_route(msg, buf)) != SIP_OK ||
		(error = sip_check_contact(msg, buf)) != SIP_OK)
		return error;
	return sip_check_uri(msg, buf);
}

bool sip_msg_can_reply(const struct sip_msg *msg)
{
	return !msg->is_response && msg->method != SIP_METHOD_NONE &&
	       msg->method != SIP_METHOD_ACK && sip_msg_has(msg, SIP_HEADER_VIA) &&
	       sip_msg_has(msg, SIP_HEADER_CSEQ);
}
