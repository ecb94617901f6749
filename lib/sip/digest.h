/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * digest: credentials (RFC 3261 20.7, 20.28, 25.1; RFC 7616 3.4; RFC 8760 2.7), that is the value
 * of one Authorization or Proxy-Authorization header field, as places in the message.
 *
 * What cannot be read for sure is refused, since two readers might take it for two things: a
 * parameter without '=', one that stands twice, a quote that never closes, a list that ends in a
 * comma, a value that is folded. A value may have quotes or not, whatever the grammar wants for its
 * name. Names that are not known are passed over. Nothing is bounded in length: who uses a value
 * does that, and reading is linear. Any thread; no allocation; no byte outside the value is read.
 */
#include "sip/sip.h"

/* SIP_DIGEST_PARAM(enum suffix, name) */
#define SIP_DIGEST_PARAMS(SIP_DIGEST_PARAM) \
	SIP_DIGEST_PARAM(USERNAME, "username") \
	SIP_DIGEST_PARAM(REALM, "realm") \
	SIP_DIGEST_PARAM(NONCE, "nonce") \
	SIP_DIGEST_PARAM(URI, "uri") \
	SIP_DIGEST_PARAM(RESPONSE, "response") \
	SIP_DIGEST_PARAM(ALGORITHM, "algorithm") \
	SIP_DIGEST_PARAM(CNONCE, "cnonce") \
	SIP_DIGEST_PARAM(OPAQUE, "opaque") \
	SIP_DIGEST_PARAM(QOP, "qop") \
	SIP_DIGEST_PARAM(NC, "nc") \
	SIP_DIGEST_PARAM(USERHASH, "userhash") \
	SIP_DIGEST_PARAM(USERNAME_EXT, "username*") /* RFC 7616 3.4, RFC 5987 */

enum sip_digest_param {
#define SIP_DIGEST_PARAM(id, name) SIP_DIGEST_##id,
	SIP_DIGEST_PARAMS(SIP_DIGEST_PARAM)
#undef SIP_DIGEST_PARAM
		SIP_DIGEST_COUNT
};
const char *sip_digest_name(enum sip_digest_param param);

/* Credentials. Spans are without quotes; those of absent parameters are empty. */
struct sip_digest {
	uint8_t header;        /* index of its header line, where sip_digest_find() found it */
	uint16_t present;      /* bit n: parameter n stands there */
	uint16_t escaped;      /* bit n: its text has quoted-pairs (RFC 3261 25.1) in it */
	struct sip_span value; /* all of it, from "Digest" on */
	struct sip_span text[SIP_DIGEST_COUNT];
};

static inline bool sip_digest_has(const struct sip_digest *d, enum sip_digest_param param)
{
	return (d->present >> param & 1) != 0;
}

enum sip_digest_error {
	SIP_DIGEST_OK = 0,
	SIP_DIGEST_SCHEME,   /* another scheme than Digest */
	SIP_DIGEST_SYNTAX,   /* not to be read */
	SIP_DIGEST_REPEATED, /* a known parameter stands twice, or username and username* both */
	SIP_DIGEST_MISSING,  /* a user name, realm, nonce, uri or response is not there */
};
const char *sip_digest_error_name(enum sip_digest_error error);

/* Reads the credentials that fill `value`. `out` is whole only with SIP_DIGEST_OK. */
enum sip_digest_error sip_digest_parse(
	const char *buf, struct sip_span value, struct sip_digest *out);

enum sip_digest_found {
	SIP_DIGEST_NONE,  /* no credentials for that realm */
	SIP_DIGEST_FOUND, /* `out` */
	SIP_DIGEST_BAD,   /* none that can be read for sure, and one that cannot */
};

/*
 * The first credentials for a realm (RFC 3261 22.3: a request may carry those of several) among the
 * header lines of `id`, AUTHORIZATION or PROXY_AUTHORIZATION. Realms are compared octet by octet,
 * without escapes (RFC 7616 3.3). Other schemes are passed over.
 */
enum sip_digest_found sip_digest_find(const struct sip_msg *msg, const char *buf,
	enum sip_header_id id, struct str realm, struct sip_digest *out);

/* A parameter's text without its escapes: in the message where it has none, else in room[size].
 * False where that is too small. */
bool sip_digest_text(const char *buf, const struct sip_digest *d, enum sip_digest_param param,
	char *room, uint32_t size, struct str *out);
/* Whether that text is `text`, octet by octet. */
bool sip_digest_is(
	const char *buf, const struct sip_digest *d, enum sip_digest_param param, struct str text);
