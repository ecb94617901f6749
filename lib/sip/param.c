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

/* Parameters of more text than this are looked through sixteen characters at a time. */
#define PARAMS_SHORT 64

/*
 * Offset of the first ';' in [at, end), not inside quotes, that may begin a parameter whose name
 * begins with these two letters (LWS may stand before it), or `end`. Exact only in what it passes
 * over.
 */
static uint32_t param_next(const char *buf, uint32_t at, uint32_t end, const char letters[2])
{
	const __m128i space = _mm_set1_epi8(' '), first = _mm_set1_epi8((char)(letters[0] | 0x20)),
		      second = _mm_set1_epi8((char)(letters[1] | 0x20));

	for (; at + 18 <= end; at += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(buf + at + 1)),
			w = _mm_loadu_si128((const __m128i *)(buf + at + 2)),
			name = _mm_and_si128(_mm_cmpeq_epi8(_mm_or_si128(v, space), first),
				_mm_cmpeq_epi8(_mm_or_si128(w, space), second)),
			lws = _mm_cmpeq_epi8(_mm_min_epu8(v, space), v);
		uint32_t quote = sip_either(buf + at, '"', '"'),
			 found = sip_either(buf + at, ';', ';') &
				 (uint32_t)_mm_movemask_epi8(_mm_or_si128(name, lws));

		if (quote != 0 && (found & (quote ^ (quote - 1))) == 0)
			break;
		if (found != 0)
			return at + (uint32_t)__builtin_ctz(found);
	}
	return param_end(buf, at, end);
}

bool sip_param_find(const char *buf, struct sip_span params, struct str name,
	struct sip_span *value, struct sip_span *whole)
{
	uint32_t at = params.off, end = params.off + params.len;
	bool many = params.len > PARAMS_SHORT && name.len >= 2 && str_is_alpha(name.s[0]) &&
		    str_is_alpha(name.s[1]);

	while (at < end) {
		uint32_t begin = at, name_at, name_end, after, text_end;

		if (buf[at] == ';')
			at++;
		else if (at > 0 && buf[at - 1] == ';')
			begin = at - 1; /* a URI's span begins behind its first ';' */
		name_at = sip_skip_lws(buf, at, end);
		if (name.len > end - name_at || !str_ieq(str_of(buf + name_at, name.len), name)) {
			at = many ? param_next(buf, name_at, end, name.s)
				  : param_end(buf, name_at, end);
			continue;
		}
		after = at = param_end(buf, name_at, end);
		name_end = name_at + name.len;
		if (name_end > after ||
			(name_end < after && buf[name_end] != '=' && !str_is_lws(buf[name_end])))
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
