/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * name-addr and addr-spec (RFC 3261 20.10, 25.1) with the parameters of their header field.
 *
 * The URI's text is held against the characters a URI may have and against "scheme:"; its own
 * syntax is sip_uri_parse()'s business, and of whoever needs it. A display name without quotes may
 * hold more than tokens ("Müller" and "bob@home" are common), but no comma: RFC 4475 3.1.2.15 lets
 * us refuse that, and for a list it would be two values.
 */
#include "sip/grammar.h"

/* Whether [at, end), all of which may stand in a URI, is "scheme:" and at least one more character.
 */
static inline bool uri_text_valid(const char *buf, uint32_t at, uint32_t end)
{
	uint32_t colon = sip_skip(buf, at, end, SIP_TEXT_SCHEME);

	return colon > at && str_is_alpha(buf[at]) && end - colon > 1 && buf[colon] == ':';
}

/*
 * Whether each '(' in [at, end) has its ')' there. Lists hide the commas of comments, and a display
 * name or URI must not be one value to us and two to sip_list_next(), or the other way round.
 */
static bool parentheses_close(const char *buf, uint32_t at, uint32_t end)
{
	uint32_t open = 0;

	for (; at < end; at++) {
		if (buf[at] == '\\' && open > 0)
			at++;
		else if (buf[at] == '(')
			open++;
		else if (buf[at] == ')' && open > 0)
			open--;
	}
	return open == 0;
}

/* The text up to '<', which `*at` is left on. */
static int parse_display(const char *buf, uint32_t *at, uint32_t end, struct sip_address *out)
{
	uint32_t begin = *at, p = begin, after;

	if (buf[p] == '"') {
		if (sip_quoted_end(buf, p, end, &after) != 0)
			return -EINVAL;
		p = sip_skip_lws(buf, after, end);
		if (p == end || buf[p] != '<')
			return -EINVAL;
	} else {
		while (p < end && buf[p] != '<') {
			if (buf[p] == '"' || buf[p] == '\\' ||
				!sip_text_is(buf[p], SIP_TEXT_QUOTED))
				return -EINVAL;
			p++;
		}
		if (!parentheses_close(buf, begin, p))
			return -EINVAL;
		after = sip_skip_lws_back(buf, begin, p);
	}
	if (after > begin)
		out->display = sip_span_of(begin, after);
	*at = p;
	return 0;
}

static int parse_name_addr(const char *buf, uint32_t *at, uint32_t end, struct sip_address *out)
{
	uint32_t begin, p;
	int err = parse_display(buf, at, end, out);

	if (err != 0)
		return err;
	begin = *at + 1;
	p = sip_skip(buf, begin, end, SIP_TEXT_URI);
	if (p == end || buf[p] != '>' || !uri_text_valid(buf, begin, p))
		return -EINVAL;
	out->brackets = true;
	out->uri = sip_span_of(begin, p);
	*at = p + 1;
	return 0;
}

static int parse_addr_spec(const char *buf, uint32_t *at, uint32_t end, struct sip_address *out)
{
	uint32_t p = *at;

	/* ';' begins the header's parameters and ',' the next value; a '?' must not stand outside
	 * brackets (20.10). */
	while (p < end && buf[p] != ';' && buf[p] != ',' && sip_text_is(buf[p], SIP_TEXT_URI)) {
		if (buf[p] == '?')
			return -EINVAL;
		p++;
	}
	if (!uri_text_valid(buf, *at, p) || !parentheses_close(buf, *at, p))
		return -EINVAL;
	out->uri = sip_span_of(*at, p);
	*at = p;
	return 0;
}

/* Whether '<' or a quote comes before the value ends. */
static bool has_brackets(const char *buf, uint32_t at, uint32_t end)
{
	for (; at < end && buf[at] != ';' && buf[at] != ','; at++)
		if (buf[at] == '<' || buf[at] == '"')
			return true;
	return false;
}

static int parse_params(const char *buf, uint32_t *at, uint32_t end, struct sip_address *out)
{
	struct sip_param param;

	for (;;) {
		uint32_t p = sip_skip_lws(buf, *at, end);

		if (p == end || buf[p] != ';')
			return 0;
		if (!sip_present(out->params))
			out->params = sip_span_of(p, p);
		if (sip_header_param_read(buf, &p, end, &param) != 0 ||
			(param.has_value && param.value.len == 0))
			return -EINVAL;
		out->params.len = p - out->params.off;
		*at = p;
		if (!SIP_IS(sip_text(buf, param.name), "tag"))
			continue;
		/* Two tags would be two dialogs; which one depends on the reader. */
		if (sip_present(out->tag) || !param.has_value || buf[param.value.off] == '"')
			return -EINVAL;
		out->tag = param.value;
	}
}

int sip_address_parse(const char *buf, struct sip_span in, struct sip_address *out)
{
	uint32_t end = in.off + in.len, at = sip_skip_lws(buf, in.off, end), begin = at;
	int err;

	memset(out, 0, sizeof(*out));
	if (at == end)
		return -EINVAL;
	if (buf[at] == '*' && sip_skip_lws(buf, at + 1, end) == end) {
		out->star = true;
		out->value = sip_span_of(at, at + 1);
		return 0;
	}
	err = has_brackets(buf, at, end) ? parse_name_addr(buf, &at, end, out)
					 : parse_addr_spec(buf, &at, end, out);
	if (err == 0)
		err = parse_params(buf, &at, end, out);
	if (err != 0)
		return err;
	out->value = sip_span_of(begin, at);
	return sip_value_next(buf, sip_skip_lws(buf, at, end), end, &out->next);
}
