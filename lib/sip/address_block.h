/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values of From, To, Contact, Route and Record-Route of the usual shape (see check_block.h), for
 * the instruction set of the file that includes it (see isa.h).
 */

/* Length of a scheme that is usual, with its colon; 0 where it is another. */
static inline uint32_t scheme_usual(const char *p)
{
	uint64_t word = load8(p) | LOWER8;

	return (uint32_t)word == (uint32_t)WORD("sip:")    ? 4
	       : (word & 0xffffffffffULL) == WORD("sips:") ? 5
	       : (uint32_t)word == (uint32_t)WORD("tel:")  ? 4
							   : 0;
}

/* A parameter at [begin, end). */
static bool address_param(struct source in, uint32_t begin, uint32_t end, struct sip_address *out)
{
	uint32_t name_end;

	if (begin + 8 > in.limit)
		return false;
	if (WORD_BEGINS(word8(in.buf + begin), "tag=")) {
		if (sip_present(out->tag) || begin + 4 >= end)
			return false;
		out->tag = sip_span_of(begin + 4, end);
		return true;
	}
	name_end = sip_skip(in.buf, begin, end, SIP_TEXT_TOKEN);
	return param_is_whole(in, begin, name_end, end) &&
	       word_of(in.buf + begin, name_end - begin) != WORD("tag");
}

/* Those at [at, end), which begin with a ';'. */
static __attribute__((noinline)) bool address_params(
	struct source in, uint32_t at, uint32_t end, struct sip_address *out)
{
	struct params params = {.in = in, .at = at, .end = end};
	uint32_t begin, stop;

	out->params = sip_span_of(at, end);
	params_begin(&params);
	do {
		begin = params.at + 1;
		if (!params_stop(&params, &stop) || !address_param(in, begin, stop, out))
			return false;
	} while (stop != end);
	return true;
}

/* ";tag=..." alone, up to `end` and not too long for a window; false where it is not just this. */
static inline bool tag_alone(struct source in, uint32_t at, uint32_t end, struct sip_address *out)
{
	const uint32_t tag = at + 5;

	if (tag >= end || end - tag > 64 || tag + 8 > in.limit ||
		!WORD_BEGINS(word8(in.buf + at), ";tag=") ||
		(window_of_set_or(window_at(in, tag), set_of_params, '<') &
			bits_below(end - tag)) != 0)
		return false;
	out->params = sip_span_of(at, end);
	out->tag = sip_span_of(tag, end);
	return true;
}

/* What follows the '>' or the URI. */
static inline bool address_end(struct source in, uint32_t at, uint32_t end, struct sip_address *out)
{
	return at == end || tag_alone(in, at, end, out) ||
	       (in.buf[at] == ';' && address_params(in, at, end, out));
}

/* `<uri>;params`, where the bracket opens at `open` in the value, whose beginning the window shows.
 */
static inline bool brackets_usual(struct source in, struct sip_span value, uint32_t open,
	struct window w, struct sip_address *out)
{
	const uint32_t end = value.off + value.len;
	uint64_t stops = window_of_set(w, set_of_brackets) & ~bits_below(open + 1 - value.off);
	uint32_t close = value.off + first_bit(stops), scheme;

	if (__builtin_expect(stops == 0, 0)) {
		/* The name was too long; the URI alone may do. */
		stops = window_of_set(window_at(in, open), set_of_brackets) & ~1ULL;
		close = open + first_bit(stops);
	}
	if (stops == 0 || close >= end || in.buf[close] != '>' || open + 9 > in.limit)
		return false;
	scheme = scheme_usual(in.buf + open + 1);
	if (scheme == 0 || open + 1 + scheme >= close)
		return false;
	out->brackets = true;
	out->value = value;
	out->uri = sip_span_of(open + 1, close);
	return address_end(in, close + 1, end, out);
}

/* `name <uri>;params`, without quotes, or `uri;params`, without brackets. */
static __attribute__((noinline)) bool bare_usual(
	struct source in, struct sip_span value, struct sip_address *out)
{
	struct window w = window_at(in, value.off);
	uint64_t stops = window_of_set(w, set_of_bare) | window_is(w, '<') | window_is(w, '?') |
			 window_is(w, '\\');
	uint32_t stop = first_bit(stops), room = at_most_64(value.len), scheme;
	uint32_t at = value.off + stop, end = value.off + value.len;

	if (stop < room && in.buf[at] == '<') {
		out->display = sip_span_of(value.off, sip_skip_lws_back(in.buf, value.off, at));
		return brackets_usual(in, value, at, w, out);
	}
	stop = stop < room ? stop : room;
	at = value.off + stop;
	if (stop == 64 || (at != end && in.buf[at] != ';') ||
		(window_is(w, ' ') & bits_below(stop)) != 0 || value.off + 8 > in.limit)
		return false;
	scheme = scheme_usual(in.buf + value.off);
	if (scheme == 0 || scheme >= stop)
		return false;
	out->value = value;
	out->uri = sip_span_of(value.off, at);
	return address_end(in, at, end, out);
}

/*
 * A URI in angle brackets, behind a display name or not, or one without; and no further value
 * behind it.
 */
static __attribute__((noinline)) bool address_usual(
	struct source in, struct sip_span value, struct sip_address *out)
{
	const uint32_t end = value.off + value.len;
	uint32_t open = value.off, quote;
	struct window w = window_at(in, open);

	memset(out, 0, sizeof(*out));
	if (value.len == 0)
		return false;
	if (in.buf[open] == '<')
		return brackets_usual(in, value, open, w, out);
	if (in.buf[open] != '"')
		return bare_usual(in, value, out);
	quote = first_bit(window_is(w, '"') & ~1ULL);
	open += quote + 1;
	if (quote == 64 || open >= end || in.buf[open - 2] == '\\')
		return false;
	out->display = sip_span_of(value.off, open);
	open += in.buf[open] == ' ';
	return in.buf[open] == '<' && brackets_usual(in, value, open, w, out);
}
