/* SPDX-License-Identifier: BSD-3-Clause */
/* Parameters of URIs and header fields by name. */
#include "sip/grammar.h"

/* Offset of the ';' that ends the parameter at `at`, or `end`: a ';' inside quotes is none. */
static uint32_t param_end(const char *buf, uint32_t at, uint32_t end)
{
	for (;;) {
		at = sip_find_either(buf, at, end, ';', '"');
		if (at == end || buf[at] == ';')
			return at;
		if (sip_quoted_end(buf, at, end, &at) != 0)
			return end; /* a quote that never closes hides the rest */
	}
}

bool sip_param_find(const char *buf, struct sip_span params, struct str name,
	struct sip_span *value, struct sip_span *whole)
{
	uint32_t at = params.off, end = params.off + params.len;

	while (at < end) {
		uint32_t begin = at, name_at, name_end, after, text_end;

		if (buf[at] == ';')
			at++;
		else if (at > 0 && buf[at - 1] == ';')
			begin = at - 1; /* a URI's span begins behind its first ';' */
		name_at = sip_skip_lws(buf, at, end);
		after = param_end(buf, name_at, end);
		at = after;
		name_end = name_at + name.len;
		if (name_end > after ||
			(name_end < after && buf[name_end] != '=' && !str_is_lws(buf[name_end])) ||
			!str_ieq(str_of(buf + name_at, name.len), name))
			continue;
		text_end = sip_skip_lws_back(buf, name_end, after);
		if (whole != NULL)
			*whole = sip_span_of(begin, text_end);
		if (value != NULL) {
			uint32_t equal = sip_skip_lws(buf, name_end, text_end);
			uint32_t v = text_end;

			if (equal < text_end && buf[equal] == '=')
				v = sip_skip_lws(buf, equal + 1, text_end);
			*value = sip_span_of(v, text_end);
		}
		return true;
	}
	return false;
}
