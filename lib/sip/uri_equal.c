/* SPDX-License-Identifier: BSD-3-Clause */
/* Equality of URIs: RFC 3261 19.1.4, RFC 5954 4.2 (IPv6), RFC 3966 4 (tel). */
#include "sip/uri.h"

static bool span_equal(const char *buf_a, struct sip_span a, const char *buf_b, struct sip_span b,
	bool ignore_case)
{
	if (sip_present(a) != sip_present(b))
		return false;
	return sip_uri_text_equal(sip_text(buf_a, a), sip_text(buf_b, b), ignore_case);
}

static bool host_equal(
	const char *buf_a, const struct sip_uri *a, const char *buf_b, const struct sip_uri *b)
{
	struct str x = sip_text(buf_a, a->host), y = sip_text(buf_b, b->host);
	uint8_t bytes_x[16], bytes_y[16];

	if (a->host_is_ip6 != b->host_is_ip6)
		return false;
	if (!a->host_is_ip6)
		return str_ieq(x, y);
	/* One address has many spellings; what counts is the address. */
	return sip_ip6_read(x, bytes_x) && sip_ip6_read(y, bytes_y) &&
	       memcmp(bytes_x, bytes_y, 16) == 0;
}

static bool param_lookup(
	const char *buf, struct sip_span params, struct str name, struct sip_param *out)
{
	uint32_t at = params.off;

	while (sip_uri_param_next(buf, &at, params.off + params.len, out))
		if (sip_uri_text_equal(sip_text(buf, out->name), name, true))
			return true;
	return false;
}

/* Parameters that must be in both URIs or in none, even with their default value. */
static bool never_ignored(struct str name)
{
	static const struct str names[] = {
		{"user", 4}, {"ttl", 3}, {"method", 6}, {"maddr", 5}, {"transport", 9}};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (sip_uri_text_equal(name, names[i], true))
			return true;
	return false;
}

/* Whether each parameter of `a` has its match in `b`; `all`: also those that 19.1.4 lets be in one
 * URI only. */
static bool params_match(
	const char *buf_a, struct sip_span a, const char *buf_b, struct sip_span b, bool all)
{
	uint32_t at = a.off;
	struct sip_param x, y;
	unsigned n = 0;

	while (sip_uri_param_next(buf_a, &at, a.off + a.len, &x)) {
		struct str name = sip_text(buf_a, x.name);

		if (n++ == SIP_URI_PARAMS_MAX)
			return false;
		if (!param_lookup(buf_b, b, name, &y)) {
			if (all || never_ignored(name))
				return false;
			continue;
		}
		if (!sip_uri_text_equal(sip_text(buf_a, x.value), sip_text(buf_b, y.value), true))
			return false;
	}
	return true;
}

/* The n-th of the '&'-separated headers. */
static bool header_nth(struct str headers, unsigned n, struct str *out)
{
	for (;;) {
		int64_t end = str_find(headers, '&');

		*out = str_of(headers.s, end < 0 ? headers.len : (size_t)end);
		if (n-- == 0)
			return true;
		if (end < 0)
			return false;
		headers = str_of(headers.s + end + 1, headers.len - (size_t)end - 1);
	}
}

/* Names compare without case, values as written: what their case means depends on the header field.
 */
static bool header_equal(struct str a, struct str b)
{
	int64_t i = str_find(a, '='), j = str_find(b, '=');

	if (i < 0 || j < 0)
		return i == j && sip_uri_text_equal(a, b, true);
	return sip_uri_text_equal(str_of(a.s, (size_t)i), str_of(b.s, (size_t)j), true) &&
	       sip_uri_text_equal(str_of(a.s + i, a.len - (size_t)i),
		       str_of(b.s + j, b.len - (size_t)j), false);
}

/* Whether each header of `a` stands as often in `a` as in `b`. */
static bool headers_match(struct str a, struct str b)
{
	struct str x, y;

	for (unsigned n = 0; header_nth(a, n, &x); n++) {
		unsigned in_a = 0, in_b = 0;

		for (unsigned i = 0; header_nth(a, i, &y); i++)
			in_a += header_equal(x, y);
		for (unsigned i = 0; header_nth(b, i, &y); i++)
			in_b += header_equal(x, y);
		if (in_a != in_b)
			return false;
	}
	return true;
}

static bool headers_equal(
	const char *buf_a, const struct sip_uri *a, const char *buf_b, const struct sip_uri *b)
{
	struct str x = sip_text(buf_a, a->headers), y = sip_text(buf_b, b->headers), nth;

	if (x.len == 0 || y.len == 0)
		return x.len == y.len;
	if (header_nth(x, SIP_URI_HEADERS_MAX, &nth) || header_nth(y, SIP_URI_HEADERS_MAX, &nth))
		return false;
	return headers_match(x, y) && headers_match(y, x);
}

static bool is_separator(char c)
{
	return c == '-' || c == '.' || c == '(' || c == ')';
}

/* RFC 3966 4: visual separators do not count. */
static bool number_equal(struct str a, struct str b)
{
	uint32_t i = 0, j = 0;

	for (;;) {
		while (i < a.len && is_separator(a.s[i]))
			i++;
		while (j < b.len && is_separator(b.s[j]))
			j++;
		if (i == a.len || j == b.len)
			return i == a.len && j == b.len;
		if (str_lower_char(a.s[i++]) != str_lower_char(b.s[j++]))
			return false;
	}
}

bool sip_uri_equal(
	const char *buf_a, const struct sip_uri *a, const char *buf_b, const struct sip_uri *b)
{
	if (a->scheme != b->scheme)
		return false;
	if (str_eq(sip_text(buf_a, a->all), sip_text(buf_b, b->all)))
		return true;
	if (a->scheme == SIP_SCHEME_TEL)
		return number_equal(sip_text(buf_a, a->user), sip_text(buf_b, b->user)) &&
		       params_match(buf_a, a->params, buf_b, b->params, true) &&
		       params_match(buf_b, b->params, buf_a, a->params, true);
	if (a->scheme != SIP_SCHEME_SIP && a->scheme != SIP_SCHEME_SIPS)
		return str_ieq(sip_text(buf_a, a->scheme_text), sip_text(buf_b, b->scheme_text)) &&
		       str_eq(sip_text(buf_a, a->opaque), sip_text(buf_b, b->opaque));
	return a->port == b->port && host_equal(buf_a, a, buf_b, b) &&
	       span_equal(buf_a, a->user, buf_b, b->user, false) &&
	       span_equal(buf_a, a->password, buf_b, b->password, false) &&
	       params_match(buf_a, a->params, buf_b, b->params, false) &&
	       params_match(buf_b, b->params, buf_a, a->params, false) &&
	       headers_equal(buf_a, a, buf_b, b);
}
