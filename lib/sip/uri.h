/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What uri.c and uri_equal.c share: parameters and escapes of URIs. Internal to lib/sip. */
#include "sip/grammar.h"

/*
 * One character of URI text, unescaped for comparison only. `escaped`: it was written as "%hh" and
 * is of RFC 2396's reserved set, for which the escape is not equal to the character (RFC
 * 3261 19.1.4).
 */
struct sip_uri_char {
	char c;
	bool escaped;
};

/* Reads the character at *at, which is below text.len, and advances. */
struct sip_uri_char sip_uri_char_next(struct str text, uint32_t *at);

/* Whether two pieces of URI text mean the same. */
bool sip_uri_text_equal(struct str a, struct str b, bool ignore_case);

/* Steps through the parameters of a URI: *at is at first the offset behind the first ';'. Empty
 * ones are passed over. */
bool sip_uri_param_next(const char *buf, uint32_t *at, uint32_t end, struct sip_param *out);

/* URIs with more parameters or headers equal none but their very text: the comparison is quadratic.
 */
#define SIP_URI_PARAMS_MAX 64
#define SIP_URI_HEADERS_MAX 16

/* As sip_transport_of() for the value of a URI parameter, in which escapes may stand; never NONE.
 */
enum sip_transport sip_uri_transport_of(struct str value);
