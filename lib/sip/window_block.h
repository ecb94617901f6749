/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Up to 64 characters at a time, numbers and hosts: what via_block.h, address_block.h and
 * uri_block.h share, for the instruction set of the file that includes it (see isa.h).
 */
#include "sip/grammar.h"
#include "sip/ip4.h"

/* What the parsers look at: the message's text, of which bytes up to `limit` may be read. */
struct source {
	const char *buf;
	uint64_t limit; /* 64 at least */
};

/* ---- up to 64 characters ---- */

/*
 * A set of characters, no two of which have the same lower half: at n the one whose lower half is
 * n, or something whose lower half is not.
 */
#define SET(c0, c2, c8, c9, ca, cb, cc, cd, ce) \
	{ \
		c0, 0, c2, 0, 0, 0, 0, 0, c8, c9, ca, cb, cc, cd, ce, 0 \
	}

/* What ends a URI in angle brackets, or must not be in it. */
static _Alignas(16) const uint8_t set_of_brackets[16] = SET(' ', '"', 0, 0, 0, 0, '<', 0, '>');
/* What ends a parameter of a header field, or must not be in it; '<' must not either. */
static _Alignas(16) const uint8_t set_of_params[16] = SET(' ', '"', '(', ')', 0, ';', ',', 0, '>');
/* What ends a display name without quotes, or a URI without brackets, or must not be in it; '<',
 * '?' and '\\' too. */
static _Alignas(16) const uint8_t set_of_bare[16] = SET(0, '"', '(', ')', 0, ';', ',', '=', '>');
/* What ends a user or a host. */
static _Alignas(16) const uint8_t set_of_uri[16] = SET('@', 0, 0, 0, ':', ';', 0, 0, 0);

/* 64 characters from some place on, fewer where the message ends before. */
struct window {
	struct text64 text;
	uint32_t shift; /* characters of `text` before that place */
};

/* `at` is below limit. */
static inline struct window window_at(struct source in, uint32_t at)
{
	uint32_t last = (uint32_t)in.limit - 64, from = at < last ? at : last;

	return (struct window){text64_at(in.buf + from), at - from};
}

/* Bits of the characters that are c; those that lie behind the message are none. */
static inline uint64_t window_is(struct window w, char c)
{
	return text64_is(w.text, c) >> w.shift;
}

/* Bits of the characters that are not of the class; those that lie behind the message are 0. */
static inline uint64_t window_misses(struct window w, const uint8_t rows[16])
{
	return text64_misses(w.text, rows) >> w.shift;
}

/* Bits of the characters that are of the set, or c; those that lie behind the message are none. */
static inline uint64_t window_of_set_or(struct window w, const uint8_t set[16], char c)
{
	return text64_of_set_or(w.text, set, c) >> w.shift;
}

/* Bits of the characters that are of the set; those that lie behind the message are none. */
static inline uint64_t window_of_set(struct window w, const uint8_t set[16])
{
	return text64_of_set(w.text, set) >> w.shift;
}

static inline uint32_t at_most_64(uint32_t n)
{
	return n < 64 ? n : 64;
}

/* Whether all of a value is printable ASCII. */
static inline bool value_is_plain(struct source in, struct sip_span value)
{
	const uint32_t end = value.off + value.len;

	for (uint32_t at = value.off; at < end; at += 64) {
		struct window w = window_at(in, at);

		if ((text64_unprintable(w.text) >> w.shift & bits_below(at_most_64(end - at))) != 0)
			return false;
	}
	return true;
}

/* ---- words and numbers ---- */

/* A short name in lower case, to compare with a WORD(). Other characters than letters may change,
 * but none becomes a letter; a name of more than eight is no WORD() of less. */
#define LOWER8 0x2020202020202020ULL
#define WORD_CHAR(s, i) ((i) < sizeof(s) - 1 ? (uint64_t)(uint8_t)((s)[i]) << (8 * (i)) : 0)
#define WORD(s) \
	(WORD_CHAR(s "\0\0\0\0\0\0\0\0", 0) | WORD_CHAR(s "\0\0\0\0\0\0\0\0", 1) | \
		WORD_CHAR(s "\0\0\0\0\0\0\0\0", 2) | WORD_CHAR(s "\0\0\0\0\0\0\0\0", 3) | \
		WORD_CHAR(s "\0\0\0\0\0\0\0\0", 4) | WORD_CHAR(s "\0\0\0\0\0\0\0\0", 5) | \
		WORD_CHAR(s "\0\0\0\0\0\0\0\0", 6) | WORD_CHAR(s "\0\0\0\0\0\0\0\0", 7))

static inline uint64_t word_of(const char *p, uint32_t len)
{
	return (load8(p) | LOWER8) & bits_below(8 * (len < 8 ? len : 8));
}

/* Eight characters in lower case. */
static inline uint64_t word8(const char *p)
{
	return load8(p) | LOWER8;
}

/* Whether such a word begins with that text of at most eight. One constant, and no mask of the
 * word. */
#define WORD_BEGINS(word, s) ((((word) ^ WORD(s)) << (72 - 8 * sizeof(s))) == 0)

/* len (1 to 4) digits at p, of which four bytes may be read; false where one is none. */
static inline bool read_4_digits(const char *p, uint32_t len, uint32_t *out)
{
	uint32_t v = (load4(p) ^ 0x30303030U) << (32 - 8 * len);

	if ((((v + 0x06060606U) | v) & 0xf0f0f0f0U) != 0)
		return false;
	/* Two pairs of digits, then all four. */
	v = v * 10 + (v >> 8);
	*out = (v & 0xff) * 100 + ((v >> 16) & 0xff);
	return true;
}

/* The number whose eight digits, the first one lowest, are the bytes of v. */
static inline uint32_t number_of_8(uint64_t v)
{
	v = v * 10 + (v >> 8);
	v = (v & 0x00ff00ff00ff00ffULL) * 100 + ((v >> 16) & 0x00ff00ff00ff00ffULL);
	v = (v & 0x0000ffff0000ffffULL) * 10000 + ((v >> 32) & 0x0000ffff0000ffffULL);
	return (uint32_t)v;
}

/* The same for 1 to 8 digits and eight bytes. */
static inline bool read_8_digits(const char *p, uint32_t len, uint32_t *out)
{
	uint64_t v = (load8(p) ^ 0x3030303030303030ULL) << (64 - 8 * len);

	if ((((v + 0x0606060606060606ULL) | v) & 0xf0f0f0f0f0f0f0f0ULL) != 0)
		return false;
	*out = number_of_8(v);
	return true;
}

/* A number of 1 to 8 digits that fills the value. */
static inline bool number_usual(struct source in, struct sip_span value, uint32_t *out)
{
	if (value.off + 8 > in.limit)
		return false;
	if (__builtin_expect(value.len - 1 < 4, 1))
		return read_4_digits(in.buf + value.off, value.len, out);
	return value.len - 1 < 8 && read_8_digits(in.buf + value.off, value.len, out);
}

/* ":port" up to `end`. */
static inline bool port_usual(struct source in, uint32_t colon, uint32_t end, uint16_t *port)
{
	uint32_t number;

	if (!number_usual(in, sip_span_of(colon + 1, end), &number) || number - 1 >= UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	return true;
}

/* ---- hosts ---- */

/*
 * A name of at most 63 characters: labels that neither begin nor end with '-', and a letter at the
 * end, which no address has.
 */
static __attribute__((noinline)) bool name_usual(struct source in, uint32_t at, uint32_t len)
{
	struct window w;
	uint64_t dots, hyphens, all = bits_below(at_most_64(len)), begin;

	if (len - 1 >= 63 || !str_is_alpha(in.buf[at + len - 1]))
		return false;
	w = window_at(in, at);
	dots = window_is(w, '.');
	hyphens = window_is(w, '-');
	begin = dots << 1 | 1;
	return ((window_misses(w, sip_text_rows[__builtin_ctz(SIP_TEXT_HOST)]) |
			((dots | hyphens) & begin) | (hyphens & dots >> 1)) &
		       all) == 0;
}

/* Whether [at, at + len) is a host; *ip4 and *address as in struct sip_host. */
static inline bool host_usual(
	struct source in, uint32_t at, uint32_t len, bool *ip4, uint32_t *address)
{
	if (__builtin_expect(at + 16 <= in.limit && sip_ip4_short(in.buf + at, len, address), 1)) {
		*ip4 = true;
		return true;
	}
	*ip4 = false;
	*address = 0;
	return name_usual(in, at, len);
}

/* ---- parameters of header fields ---- */

/* Those from the ';' at `at` to `end`, through a window that moves on. */
struct params {
	struct source in;
	uint32_t at, end;
	uint32_t base;  /* where the window begins */
	uint64_t stops; /* of what stands behind `at`: the ';' that end, and what must not be in one
			 */
};

/* A window that begins with the ';' at `at`, which it does not show. */
static inline void params_begin(struct params *p)
{
	uint64_t inside = bits_below(at_most_64(p->end - p->at));
	struct window w = window_at(p->in, p->at);

	p->base = p->at;
	p->stops = ((window_of_set_or(w, set_of_params, '<') & inside) | ~inside) & ~1ULL;
}

/*
 * Moves `at` to the end of what begins there: the next ';', or `end`. False where something stands
 * before that which must not be in a parameter, or it is longer than the window.
 */
static inline bool params_stop(struct params *p, uint32_t *stop)
{
	uint32_t bit = first_bit(p->stops);

	if (__builtin_expect(bit == 64, 0)) {
		/* Once more in a window that begins with it. */
		if (p->base == p->at)
			return false;
		params_begin(p);
		bit = first_bit(p->stops);
		if (bit == 64)
			return false;
	}
	p->stops &= p->stops - 1;
	p->at = *stop = p->base + bit;
	return p->at == p->end || p->in.buf[p->at] == ';';
}

/* Whether [begin, end) is a parameter whose name ends at `name_end`, with a value or without. */
static inline bool param_is_whole(struct source in, uint32_t begin, uint32_t name_end, uint32_t end)
{
	return name_end != begin &&
	       (name_end == end || (in.buf[name_end] == '=' && name_end + 1 != end));
}
