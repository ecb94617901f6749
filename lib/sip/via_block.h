/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Via of the usual shape (see check_block.h), for the instruction set of the file that includes
 * it (see isa.h).
 */

/* What is kept of a parameter that stands at [begin, end), with the ';' before it. */
struct via_param {
	uint32_t begin, end;
	uint64_t word; /* its first eight characters */
};

static inline bool via_branch(struct source in, const struct via_param *param, struct sip_via *out)
{
	const uint32_t value = param->begin + 7;

	if (out->branch.off != 0 || value >= param->end || value + 8 > in.limit)
		return false;
	out->branch = sip_span_of(value, param->end);
	out->has_magic = param->end - value >= 7 && WORD_BEGINS(word8(in.buf + value), "z9hg4bk");
	return true;
}

static inline bool via_rport(struct source in, const struct via_param *param, struct sip_via *out)
{
	const uint32_t equal = param->begin + 5;

	if (out->has_rport)
		return false;
	out->has_rport = true;
	out->rport_param = sip_span_of(param->begin - 1, param->end);
	return equal == param->end ||
	       (in.buf[equal] == '=' && port_usual(in, equal, param->end, &out->rport));
}

static inline bool via_received(
	struct source in, const struct via_param *param, struct sip_via *out)
{
	const uint32_t value = param->begin + 9;

	if (out->received_param.off != 0 || value >= param->end || in.buf[value - 1] != '=' ||
		value + 16 > in.limit ||
		!sip_ip4_short(in.buf + value, param->end - value, &out->received_ip4))
		return false;
	out->received_is_ip4 = true;
	out->received = sip_span_of(value, param->end);
	out->received_param = sip_span_of(param->begin - 1, param->end);
	return true;
}

static inline bool via_token(struct source in, const struct via_param *param, struct sip_via *out)
{
	const uint32_t value = param->begin + sizeof(SIP_VIA_TOKEN_PARAM "=") - 1;

	if (out->token.off != 0 || value >= param->end)
		return false;
	out->token = sip_span_of(value, param->end);
	return true;
}

/* A parameter that nobody looks at: a token that is none of those names, and maybe a value. */
static __attribute__((noinline)) bool via_other(struct source in, uint32_t begin, uint32_t end)
{
	uint32_t name_end = sip_skip(in.buf, begin, end, SIP_TEXT_TOKEN);
	uint64_t name;

	if (!param_is_whole(in, begin, name_end, end))
		return false;
	/* No such name has one letter only: the shortest parameters, of which a message has room
	 * for most, are the cheapest. */
	if (name_end - begin == 1)
		return true;
	name = word_of(in.buf + begin, name_end - begin);
	return name != WORD("branch") && name != WORD("rport") && name != WORD("received") &&
	       name != WORD("maddr") && name != WORD("ttl") && name != WORD(SIP_VIA_TOKEN_PARAM);
}

static inline bool via_param(struct source in, const struct via_param *param, struct sip_via *out)
{
	if (WORD_BEGINS(param->word, "branch="))
		return via_branch(in, param, out);
	if (WORD_BEGINS(param->word, "rport") &&
		(param->end - param->begin == 5 || in.buf[param->begin + 5] == '='))
		return via_rport(in, param, out);
	if (param->word == WORD("received"))
		return via_received(in, param, out);
	if (WORD_BEGINS(param->word, SIP_VIA_TOKEN_PARAM "="))
		return via_token(in, param, out);
	return via_other(in, param->begin, param->end);
}

/* The protocol's name and the space behind it; 0 where it is none of those that are usual. */
static inline enum sip_transport transport_usual(uint32_t text)
{
	return text == (uint32_t)WORD("UDP ")   ? SIP_TRANSPORT_UDP
	       : text == (uint32_t)WORD("TCP ") ? SIP_TRANSPORT_TCP
	       : text == (uint32_t)WORD("TLS ") ? SIP_TRANSPORT_TLS
						: SIP_TRANSPORT_NONE;
}

/* Length of a host that is no address, of at most 63 characters up to ':', ';' or `end`; else 0. */
static __attribute__((noinline)) uint32_t name_length(struct source in, uint32_t at, uint32_t end)
{
	struct window w = window_at(in, at);
	uint64_t inside = bits_below(at_most_64(end - at));
	uint32_t len =
		(uint32_t)first_bit(((window_is(w, ':') | window_is(w, ';')) & inside) | ~inside);

	return len < 64 && name_usual(in, at, len) ? len : 0;
}

/* Digits that begin at `at`, of a port; *stop is the offset behind them. */
static inline bool via_port(struct source in, uint32_t at, uint32_t *stop, uint16_t *port)
{
	uint64_t v = load8(in.buf + at) ^ 0x3030303030303030ULL;
	uint64_t others = ((v + 0x0606060606060606ULL) | v) & 0xf0f0f0f0f0f0f0f0ULL;
	uint32_t digits = (uint32_t)first_bit(others) / 8, number;

	*stop = at + digits;
	if (digits - 1 >= 5)
		return false;
	number = number_of_8(v << (64 - 8 * digits));
	*port = (uint16_t)number;
	return number - 1 < UINT16_MAX;
}

/* host or host:port up to a ';' or `end`; *stop is the offset behind it. */
static inline bool via_sent_by(
	struct source in, uint32_t at, uint32_t end, uint32_t *stop, struct sip_via *out)
{
	__m128i text = _mm_loadu_si128((const __m128i *)(in.buf + at));
	uint32_t len = (uint32_t)first_bit((uint32_t)_mm_movemask_epi8(_mm_or_si128(
		_mm_cmpeq_epi8(text, sip_each16(':')), _mm_cmpeq_epi8(text, sip_each16(';')))));

	len = len < end - at ? len : end - at;
	if (__builtin_expect(sip_ip4_short(in.buf + at, len, &out->ip4), 1)) {
		out->host_is_ip4 = true;
	} else {
		len = name_length(in, at, end);
		if (len == 0)
			return false;
	}
	*stop = at + len;
	out->host = (struct sip_span){at, len};
	if (*stop != end && in.buf[*stop] == ':' &&
		(*stop + 9 > in.limit || !via_port(in, *stop + 1, stop, &out->port)))
		return false;
	out->sent_by = sip_span_of(at, *stop);
	return *stop == end || in.buf[*stop] == ';';
}

/* "SIP/2.0/UDP host:port;params", and no further value behind it. */
static __attribute__((noinline)) bool via_usual(
	struct source in, struct sip_span value, struct sip_via *out)
{
	const uint32_t at = value.off + 12, end = value.off + value.len;
	struct params params = {.in = in, .end = end};
	struct via_param param;

	if (value.len <= 12 || at + 16 > in.limit || load8(in.buf + value.off) != WORD("SIP/2.0/"))
		return false;
	memset(out, 0, sizeof(*out));
	out->transport = transport_usual(load4(in.buf + value.off + 8));
	if (out->transport == SIP_TRANSPORT_NONE || !via_sent_by(in, at, end, &params.at, out))
		return false;
	out->value = value;
	if (params.at == end)
		return true;
	out->params = sip_span_of(params.at, end);
	params_begin(&params);
	do {
		param.begin = params.at + 1;
		if (!params_stop(&params, &param.end) || param.begin + 8 > in.limit)
			return false;
		param.word = word8(in.buf + param.begin);
		if (param.begin == param.end || !via_param(in, &param, out))
			return false;
	} while (param.end != end);
	return true;
}
