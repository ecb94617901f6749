/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Via values: RFC 3261 20.42 and 25.1, RFC 3581, RFC 5118 4.5, and the comment that RFC 2543
 * allowed at the end.
 *
 * The parameters that decide where a response goes may stand once only, and must be what the
 * grammar says: a second `received` that another reader prefers would send it elsewhere.
 */
#include "sip/grammar.h"

#define VIA_TTL_MAX 255

#define MAGIC_COOKIE "z9hG4bK"

/* "SIP / 2.0 / UDP" and the LWS behind it. */
static int parse_protocol(const char *buf, uint32_t *at, uint32_t end, struct sip_via *via)
{
	static const struct str usual = {"SIP/2.0/UDP ", 12};
	uint32_t p = *at, begin;

	if (end - p > usual.len && memcmp(buf + p, usual.s, usual.len) == 0) {
		via->transport = SIP_TRANSPORT_UDP;
		*at = sip_skip_lws(buf, p + usual.len, end);
		return 0;
	}
	for (unsigned part = 0; part < 3; part++) {
		if (part != 0) {
			p = sip_skip_lws(buf, p, end);
			if (p == end || buf[p] != '/')
				return -EINVAL;
			p = sip_skip_lws(buf, p + 1, end);
		}
		begin = p;
		p = sip_skip(buf, p, end, SIP_TEXT_TOKEN);
		if (p == begin)
			return -EINVAL;
	}
	via->transport = sip_transport_of(str_of(buf + begin, p - begin));
	if (p == end || !str_is_lws(buf[p]))
		return -EINVAL;
	*at = sip_skip_lws(buf, p, end);
	return 0;
}

/* host [ ":" port ] with LWS around the colon. */
static int parse_sent_by(const char *buf, uint32_t *at, uint32_t end, struct sip_via *via)
{
	struct sip_host host;
	uint32_t p, after;
	int err = sip_host_read(buf, *at, end, &host);

	if (err != 0)
		return err;
	via->host = host.text;
	via->host_is_ip6 = host.ip6;
	via->host_is_ip4 = host.ip4;
	via->ip4 = host.address;
	after = host.after;
	p = sip_skip_lws(buf, after, end);
	if (p < end && buf[p] == ':') {
		err = sip_port_read(buf, sip_skip_lws(buf, p + 1, end), end, &via->port, &after);
		if (err != 0)
			return err;
	}
	via->sent_by = sip_span_of(*at, after);
	*at = after;
	return 0;
}

static int take_branch(const char *buf, const struct sip_param *param, struct sip_via *via)
{
	struct str text = sip_text(buf, param->value);

	if (sip_present(via->branch) || !param->has_value || (text.len > 0 && text.s[0] == '"'))
		return -EINVAL;
	via->branch = param->value;
	/* Of what may stand in a value, nothing but these seven characters makes this word. */
	via->has_magic = text.len >= sizeof(MAGIC_COOKIE) - 1 &&
			 sip_word(text.s, sizeof(MAGIC_COOKIE) - 1) ==
				 sip_word(MAGIC_COOKIE, sizeof(MAGIC_COOKIE) - 1);
	return 0;
}

static int take_rport(const char *buf, const struct sip_param *param, struct sip_via *via)
{
	uint32_t after;

	if (via->has_rport)
		return -EINVAL;
	if (param->has_value &&
		(sip_port_read(buf, param->value.off, param->value.off + param->value.len,
			 &via->rport, &after) != 0 ||
			after != param->value.off + param->value.len))
		return -EINVAL;
	via->has_rport = true;
	via->rport_param = param->whole;
	return 0;
}

static int take_received(const char *buf, const struct sip_param *param, struct sip_via *via)
{
	struct str text = sip_text(buf, param->value);

	if (sip_present(via->received_param))
		return -EINVAL;
	via->received_is_ip4 = sip_ip4_read(text, &via->received_ip4);
	if (!via->received_is_ip4 && !sip_ip6_text_valid(text))
		return -EINVAL;
	via->received = param->value;
	via->received_param = param->whole;
	return 0;
}

static int take_maddr(const char *buf, const struct sip_param *param, struct sip_via *via)
{
	if (sip_present(via->maddr) || !sip_host_valid(buf, param->value))
		return -EINVAL;
	via->maddr = param->value;
	return 0;
}

static int take_token(const struct sip_param *param, struct sip_via *via)
{
	if (sip_present(via->token))
		return -EINVAL;
	via->token = param->value;
	return 0;
}

static int take_param(const char *buf, const struct sip_param *param, struct sip_via *via)
{
	struct str name = sip_text(buf, param->name);
	uint32_t ttl;

	if (SIP_IS(name, "branch"))
		return take_branch(buf, param, via);
	if (param->has_value && param->value.len == 0)
		return -EINVAL;
	if (SIP_IS(name, "rport"))
		return take_rport(buf, param, via);
	if (SIP_IS(name, "received"))
		return take_received(buf, param, via);
	if (SIP_IS(name, SIP_VIA_TOKEN_PARAM))
		return take_token(param, via);
	if (SIP_IS(name, "maddr"))
		return take_maddr(buf, param, via);
	if (SIP_IS(name, "ttl") && str_to_u32(sip_text(buf, param->value), VIA_TTL_MAX, &ttl) != 0)
		return -EINVAL;
	return 0;
}

int sip_via_parse(const char *buf, struct sip_span in, struct sip_via *out)
{
	uint32_t end = in.off + in.len, at = sip_skip_lws(buf, in.off, end), begin = at, after, p;
	struct sip_param param;
	int err;

	memset(out, 0, sizeof(*out));
	err = parse_protocol(buf, &at, end, out);
	if (err != 0)
		return err;
	err = parse_sent_by(buf, &at, end, out);
	if (err != 0)
		return err;
	after = at;
	for (;;) {
		p = sip_skip_lws(buf, at, end);
		if (p == end || buf[p] != ';')
			break;
		if (!sip_present(out->params))
			out->params = sip_span_of(p, p);
		at = p;
		err = sip_header_param_read(buf, &at, end, &param);
		if (err == 0)
			err = take_param(buf, &param, out);
		if (err != 0)
			return err;
		after = at;
		out->params.len = at - out->params.off;
	}
	while (p < end && buf[p] == '(') {
		err = sip_comment_end(buf, p, end, &after);
		if (err != 0)
			return err;
		p = sip_skip_lws(buf, after, end);
	}
	out->value = sip_span_of(begin, after);
	return sip_value_next(buf, p, end, &out->next);
}
