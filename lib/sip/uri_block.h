/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A URI of the usual shape (see check_block.h), for the instruction set of the file that includes
 * it (see isa.h): of the start line, and of whatever text.
 */

/* What a parameter may be that needs no closer look. */
#define URI_PARAM_OTHER(first) \
	((first) != 'l' && (first) != 'm' && (first) != 't' && (first) != ';' && (first) != '=')

/*
 * The parameter of `len` characters at p, of which 16 may be read. False where it is, or may be,
 * one that sip_uri_params_read() has to look at: whatever is not lr or transport alone.
 */
static inline bool uri_param(const char *p, uint32_t len, struct sip_uri *out)
{
	uint64_t word = word8(p);

	if (__builtin_expect(URI_PARAM_OTHER((char)word), 1))
		return len != 0;
	if (len == 2 && WORD_BEGINS(word, "lr") && !out->lr) {
		out->lr = true;
		return true;
	}
	if (len != 13 || word != WORD("transpor") || !WORD_BEGINS(word8(p + 8), "t=") ||
		out->transport != SIP_TRANSPORT_NONE)
		return false;
	word = word_of(p + 10, 3);
	out->transport = word == WORD("udp")   ? SIP_TRANSPORT_UDP
			 : word == WORD("tcp") ? SIP_TRANSPORT_TCP
			 : word == WORD("tls") ? SIP_TRANSPORT_TLS
					       : SIP_TRANSPORT_NONE;
	return out->transport != SIP_TRANSPORT_NONE;
}

/* Those of the len characters at p, each behind one of `semicolons`. */
static inline bool uri_params(const char *p, uint32_t len, uint64_t semicolons, struct sip_uri *out)
{
	uint64_t ends = (semicolons & (semicolons - 1)) | 1ULL << len;

	for (; semicolons != 0; semicolons &= semicolons - 1, ends &= ends - 1) {
		uint32_t begin = (uint32_t)first_bit(semicolons) + 1;

		if (!uri_param(p + begin, (uint32_t)first_bit(ends) - begin, out))
			return false;
	}
	return true;
}

/*
 * sip: or sips:, with or without user and port, of at most 63 characters without password, escapes,
 * headers and IPv6 references, with no ';' in the user, and with no parameter that means something
 * to a proxy but lr and transport. That is what sip_check_uri() asks too.
 *
 * It stands in the source from `from` on; the spans count as `text` says. Behind it stands no
 * character that could be in one, and 16 bytes from any of its parameters on may be read.
 */
static inline __attribute__((always_inline)) bool uri_at(
	struct source in, uint32_t from, struct sip_span text, struct sip_uri *out)
{
	const char *p = in.buf + from;
	const uint32_t at = text.off, len = text.len;
	const struct window w = window_at(in, from);
	const uint64_t all = bits_below(at_most_64(len));
	uint64_t stops = (window_of_set(w, set_of_uri) & all) | ~all;
	uint32_t scheme, host, stop;

	if ((window_misses(w, sip_char_rows[__builtin_ctz(SIP_CHAR_PLAIN)]) & all) != 0)
		return false;
	memset(out, 0, sizeof(*out));
	scheme = scheme_usual(p);
	out->scheme = scheme == 5 ? SIP_SCHEME_SIPS : SIP_SCHEME_SIP;
	if (scheme == 0 || scheme >= len || (p[0] | 0x20) == 't')
		return false;
	/* Behind the scheme's colon. */
	stops &= ~bits_below(scheme);
	host = scheme;
	stop = (uint32_t)first_bit(stops);
	if (p[stop] == '@') {
		if (stop == scheme)
			return false;
		out->user = (struct sip_span){at + scheme, stop - scheme};
		host = stop + 1;
		stops &= stops - 1;
		stop = (uint32_t)first_bit(stops);
	}
	if (!host_usual(in, from + host, stop - host, &out->host_is_ip4, &out->ip4))
		return false;
	out->host = (struct sip_span){at + host, stop - host};
	if (p[stop] == ':') {
		uint32_t colon = stop;

		stops &= stops - 1;
		stop = (uint32_t)first_bit(stops);
		if (!port_usual(in, from + colon, from + stop, &out->port))
			return false;
	}
	out->all = text;
	out->scheme_text = (struct sip_span){at, scheme - 1};
	out->opaque = sip_span_of(at + scheme, at + len);
	out->hostport = sip_span_of(at + host, at + stop);
	if (stop == len)
		return true;
	/* What came before was a user where an '@' comes now. */
	if (p[stop] != ';' || (window_is(w, '@') & all & ~bits_below(stop)) != 0)
		return false;
	out->params = sip_span_of(at + stop + 1, at + len);
	return uri_params(p, len, window_is(w, ';') & all & ~bits_below(stop), out);
}

/* The Request-URI, behind which stands a space and the version. */
static inline bool uri_usual(struct source in, struct sip_span text, struct sip_uri *out)
{
	return text.len - 1 < 63 && text.off + text.len + 16 <= in.limit &&
	       uri_at(in, text.off, text, out);
}

#define URI_ROOM (SIP_SCAN_BLOCK + 16)

/* Any text: out of a copy, since nothing may be read behind it. */
static bool ISA(uri)(const char *buf, struct sip_span text, struct sip_uri *out)
{
	_Alignas(64) char room[URI_ROOM];

	if (text.len - 1 >= 63)
		return false;
	text64_copy(room, buf + text.off, text.len);
	memset(room + SIP_SCAN_BLOCK, 0, URI_ROOM - SIP_SCAN_BLOCK);
	return uri_at((struct source){room, URI_ROOM}, 0, text, out);
}
