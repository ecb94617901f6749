/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Request-URI of the usual shape (see check_block.h), for the instruction set of the file that
 * includes it (see isa.h).
 */

/*
 * sip: or sips:, with or without user and port, of at most 63 characters without password, escapes,
 * headers and IPv6 references, and with no ';' in the user. That is what sip_check_uri() asks too.
 */
static inline bool uri_usual(struct source in, struct sip_span text, struct sip_uri *out)
{
	const uint32_t at = text.off, len = text.len;
	const struct window w = window_at(in, at);
	const uint64_t all = bits_below(at_most_64(len));
	uint64_t stops = (window_of_set(w, set_of_uri) & all) | ~all;
	uint32_t scheme, host, stop;

	if (len - 1 >= 63 || at + 8 > in.limit ||
		(window_misses(w, sip_char_rows[__builtin_ctz(SIP_CHAR_PLAIN)]) & all) != 0)
		return false;
	memset(out, 0, sizeof(*out));
	scheme = scheme_usual(in.buf + at);
	out->scheme = scheme == 5 ? SIP_SCHEME_SIPS : SIP_SCHEME_SIP;
	if (scheme == 0 || scheme >= len || (in.buf[at] | 0x20) == 't')
		return false;
	/* Behind the scheme's colon. At `len` stands the space before the version. */
	stops &= ~bits_below(scheme);
	host = scheme;
	stop = (uint32_t)first_bit(stops);
	if (in.buf[at + stop] == '@') {
		if (stop == scheme)
			return false;
		out->user = (struct sip_span){at + scheme, stop - scheme};
		host = stop + 1;
		stops &= stops - 1;
		stop = (uint32_t)first_bit(stops);
	}
	if (!host_usual(in, at + host, stop - host, &out->host_is_ip4, &out->ip4))
		return false;
	out->host = (struct sip_span){at + host, stop - host};
	if (in.buf[at + stop] == ':') {
		uint32_t colon = stop;

		stops &= stops - 1;
		stop = (uint32_t)first_bit(stops);
		if (!port_usual(in, at + colon, at + stop, &out->port))
			return false;
	}
	out->all = text;
	out->scheme_text = (struct sip_span){at, scheme - 1};
	out->opaque = sip_span_of(at + scheme, at + len);
	out->hostport = sip_span_of(at + host, at + stop);
	if (stop == len)
		return true;
	/* What came before was a user where an '@' comes now. */
	if (in.buf[at + stop] != ';' || (window_is(w, '@') & all & ~bits_below(stop)) != 0)
		return false;
	out->params = sip_span_of(at + stop + 1, at + len);
	return sip_uri_params_read(in.buf, out) == 0;
}
