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
	out->has_magic = param->end - value >= 7 &&
			 (word8(in.buf + value) & WORD_MASK(7)) == WORD("z9hg4bk");
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
static bool via_other(struct source in, const struct via_param *param)
{
	uint32_t end = sip_skip(in.buf, param->begin, param->end, SIP_TEXT_TOKEN);
	uint64_t name = word_of(in.buf + param->begin, end - param->begin);

	return param_is_whole(in, param->begin, end, param->end) && name != WORD("branch") &&
	       name != WORD("rport") && name != WORD("received") && name != WORD("maddr") &&
	       name != WORD("ttl") && name != WORD(SIP_VIA_TOKEN_PARAM);
}

static inline bool via_param(struct source in, const struct via_param *param, struct sip_via *out)
{
	if ((param->word & WORD_MASK(7)) == WORD("branch="))
		return via_branch(in, param, out);
	if ((param->word & WORD_MASK(5)) == WORD("rport") &&
		(param->end - param->begin == 5 || in.buf[param->begin + 5] == '='))
		return via_rport(in, param, out);
	if (param->word == WORD("received"))
		return via_received(in, param, out);
	if ((param->word & WORD_MASK(sizeof(SIP_VIA_TOKEN_PARAM "=") - 1)) ==
		WORD(SIP_VIA_TOKEN_PARAM "="))
		return via_token(in, param, out);
	return via_other(in, param);
}

/* The protocol's name and the space behind it; 0 where it is none of those that are usual. */
static inline enum sip_transport transport_usual(uint32_t text)
{
	return text == (uint32_t)WORD("UDP ")   ? SIP_TRANSPORT_UDP
	       : text == (uint32_t)WORD("TCP ") ? SIP_TRANSPORT_TCP
	       : text == (uint32_t)WORD("TLS ") ? SIP_TRANSPORT_TLS
						: SIP_TRANSPORT_NONE;
}

/* "SIP/2.0/UDP host:port;params", and no further value behind it. */
static __attribute__((noinline)) bool via_usual(
	struct source in, struct sip_span value, struct sip_via *out)
{
	const uint32_t at = value.off + 12, end = value.off + value.len;
	uint32_t host_end, port_end;
	struct params params = {.in = in, .at = at, .end = end};
	struct via_param param;
	struct window w;

	if (value.len <= 12 || load8(in.buf + value.off) != WORD("SIP/2.0/"))
		return false;
	memset(out, 0, sizeof(*out));
	out->transport = transport_usual(load4(in.buf + value.off + 8));
	if (out->transport == SIP_TRANSPORT_NONE)
		return false;
	w = window_at(in, at);
	params_window(&params, w, at);
	/* Nothing that stops has to stand in a host or a port, so that the first is its end. */
	if (!params_stop(&params, &port_end))
		return false;
	host_end = host_end_usual(in, w, at, port_end);
	if (!host_usual(in, at, host_end - at, &out->host_is_ip4, &out->ip4) ||
		(host_end != port_end && !port_usual(in, host_end, port_end, &out->port)))
		return false;
	out->host = sip_span_of(at, host_end);
	out->sent_by = sip_span_of(at, port_end);
	out->value = value;
	if (port_end == end)
		return true;
	out->params = sip_span_of(port_end, end);
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
