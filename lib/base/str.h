/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A span of text or of any bytes. It does not own what it points at and has no NUL at its end. */
struct str {
	const char *s;
	uint32_t len;
};

/* printf("%.*s", STR_FMT(x)) */
#define STR_FMT(x) (int)(x).len, (x).s
#define STR(lit) ((struct str){(lit), sizeof(lit) - 1})
#define STR_NONE ((struct str){NULL, 0})

static inline struct str str_of(const char *s, size_t len)
{
	return (struct str){s, (uint32_t)len};
}

/* A C string's span, without its NUL. NULL gives the empty span. */
static inline struct str str_c(const char *s)
{
	return (struct str){s, s != NULL ? (uint32_t)strlen(s) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0);
}

/* Copies a span to out[a.len]. Most that are copied here are too short to be worth a call. */
static inline void str_copy(char *out, struct str a)
{
	uint64_t first8, last8;
	uint32_t first4, last4;

	if (a.len > 16) {
		memcpy(out, a.s, a.len);
	} else if (a.len >= 8) {
		memcpy(&first8, a.s, 8);
		memcpy(&last8, a.s + a.len - 8, 8);
		memcpy(out, &first8, 8);
		memcpy(out + a.len - 8, &last8, 8);
	} else if (a.len >= 4) {
		memcpy(&first4, a.s, 4);
		memcpy(&last4, a.s + a.len - 4, 4);
		memcpy(out, &first4, 4);
		memcpy(out + a.len - 4, &last4, 4);
	} else if (a.len != 0) {
		/* One to three: the middle one may be the last or the first. */
		out[0] = a.s[0];
		out[a.len >> 1] = a.s[a.len >> 1];
		out[a.len - 1] = a.s[a.len - 1];
	}
}

/* Eight characters with their ASCII letters lowered. */
static inline uint64_t str_lower8(uint64_t v)
{
	const uint64_t each = 0x0101010101010101ULL;
	uint64_t ascii = v & 0x7f * each;
	uint64_t from_a = ascii + (0x80 - 'A') * each, past_z = ascii + (0x7f - 'Z') * each;

	return v | ((from_a ^ past_z) & ~v & 0x80 * each) >> 2;
}

static inline char str_lower_char(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool str_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool str_is_alpha(char c)
{
	c = str_lower_char(c);
	return c >= 'a' && c <= 'z';
}

/* RFC 3261 25.1 LWS as single octets: space, tab, and the CR and LF of a folded line. */
static inline bool str_is_lws(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Equal without regard to ASCII case. */
bool str_ieq(struct str a, struct str b);

/* Whether `a` begins with `prefix`, without regard to ASCII case. */
bool str_istarts(struct str a, struct str prefix);

/* Writes `a` with its ASCII letters lowered to out[a.len], which may be its own place. */
void str_lower(char *out, struct str a);

/* `a` without LWS at both ends. */
struct str str_trim(struct str a);

/* Offset of the first `c` in `a`, or -1. */
int64_t str_find(struct str a, char c);

/* Offset of the first occurrence of `needle` in `a`, or -1. An empty needle is at 0. */
int64_t str_find_str(struct str a, struct str needle);

/*
 * An unsigned decimal number that fills the whole span (1*DIGIT, leading zeros allowed) and is at
 * most `max`. Returns 0, or -EINVAL where the span is empty or holds another character, or -ERANGE
 * where it exceeds `max`.
 * `*out` is written only on success.
 */
int str_to_u64(struct str a, uint64_t max, uint64_t *out);
int str_to_u32(struct str a, uint32_t max, uint32_t *out);

/* Bytes of the UTF-8 character that a text begins with (RFC 3629 4: none is longer than it has to
 * be, and there are no surrogates); 0 where it begins with none. */
unsigned str_utf8_char(struct str a);
/* How much of a text is UTF-8 without NUL: what databases take as text. */
uint32_t str_utf8_len(struct str a);

/* Writes the decimal form of `v` at `out` (room for 20 bytes); returns its length. No NUL. */
unsigned str_from_u64(char *out, uint64_t v);
