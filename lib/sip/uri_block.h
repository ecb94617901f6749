/* SPDX-License-Identifier: BSD-3-Clause */
/* ---- the Request-URI ---- */

/*
 * sip: or sips:, with or without user and port, of at most 63 characters without escapes, headers
 * and IPv6 references. That is what sip_check_uri() asks too.
 */
static inline bool uri_usual(struct source in, struct sip_span text, struct sip_uri *out)
{
	const uint32_t at = text.off, len = text.len;
	struct window w = window_at(in, at);
	uint64_t all = bits_below(at_most_64(len)), signs = window_is(w, '@') & all;
	uint64_t stops = (window_of_set(w, set_of_uri) & all) | ~all;
	uint32_t scheme, host, host_end, port_end;

	if (len - 1 >= 63 || at + 8 > in.limit || (signs & (signs - 1)) != 0 ||
		(window_misses(w, sip_char_rows[__builtin_ctz(SIP_CHAR_PLAIN)]) & all) != 0)
		return false;
	memset(out, 0, sizeof(*out));
	scheme = scheme_usual(in.buf + at);
	out->scheme = scheme == 5 ? SIP_SCHEME_SIPS : SIP_SCHEME_SIP;
	if (scheme == 0 || scheme >= len || (in.buf[at] | 0x20) == 't')
		return false;
	host = scheme;
	if (signs != 0) {
		uint32_t sign = first_bit(signs);
		uint64_t colon = window_is(w, ':') & bits_below(sign) & ~bits_below(scheme);
		uint32_t user_end = first_bit(colon | signs);

		if (user_end == scheme)
			return false;
		out->user = (struct sip_span){at + scheme, user_end - scheme};
		if (user_end != sign)
			out->password = sip_span_of(at + user_end + 1, at + sign);
		host = sign + 1;
	}
	host_end = port_end = first_bit(stops & ~bits_below(host));
	if (host_end < len && in.buf[at + host_end] == ':') {
		port_end = first_bit(stops & ~bits_below(host_end + 1));
		if (!port_usual(in, at + host_end, at + port_end, &out->port))
			return false;
	}
	if (port_end < len && in.buf[at + port_end] != ';')
		return false;
	if (!host_usual(in, at + host, host_end - host, &out->host_is_ip4, &out->ip4))
		return false;
	out->all = text;
	out->scheme_text = (struct sip_span){at, scheme - 1};
	out->opaque = sip_span_of(at + scheme, at + len);
	out->host = sip_span_of(at + host, at + host_end);
	out->hostport = sip_span_of(at + host, at + port_end);
	if (port_end == len)
		return true;
	out->params = sip_span_of(at + port_end + 1, at + len);
	return sip_uri_params_read(in.buf, out) == 0;
}
