/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/str.h"

#include <errno.h>

#include "base/load.h"

bool str_ieq(struct str a, struct str b)
{
	return a.len == b.len && str_istarts(a, b);
}

bool str_istarts(struct str a, struct str prefix)
{
	if (a.len < prefix.len)
		return false;
	if (prefix.len >= 8) {
		for (uint32_t i = 0; i + 8 <= prefix.len; i += 8)
			if (str_lower8(load8(a.s + i)) != str_lower8(load8(prefix.s + i)))
				return false;
		/* The rest, with what was looked at before it. */
		return str_lower8(load8(a.s + prefix.len - 8)) ==
		       str_lower8(load8(prefix.s + prefix.len - 8));
	}
	return str_lower8(load_short(a.s, prefix.len)) ==
	       str_lower8(load_short(prefix.s, prefix.len));
}

void str_lower(char *out, struct str a)
{
	uint64_t last;

	if (a.len >= 8) {
		/* Read before anything is written: the text may be its own copy. */
		last = str_lower8(load8(a.s + a.len - 8));
		for (uint32_t i = 0; i + 8 <= a.len; i += 8) {
			uint64_t word = str_lower8(load8(a.s + i));

			memcpy(out + i, &word, 8);
		}
		memcpy(out + a.len - 8, &last, 8);
		return;
	}
	for (uint32_t i = 0; i < a.len; i++)
		out[i] = str_lower_char(a.s[i]);
}

struct str str_trim(struct str a)
{
	while (a.len > 0 && str_is_lws(a.s[0])) {
		a.s++;
		a.len--;
	}
	while (a.len > 0 && str_is_lws(a.s[a.len - 1]))
		a.len--;
	return a;
}

int64_t str_find(struct str a, char c)
{
	const char *p = a.len != 0 ? memchr(a.s, c, a.len) : NULL;

	return p != NULL ? p - a.s : -1;
}

int64_t str_find_str(struct str a, struct str needle)
{
	if (needle.len == 0)
		return 0;
	if (a.len < needle.len)
		return -1;
	const char *p = memmem(a.s, a.len, needle.s, needle.len);

	return p != NULL ? p - a.s : -1;
}

int str_to_u64(struct str a, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (a.len == 0)
		return -EINVAL;
	if (a.len < 20) { /* cannot overflow */
		for (uint32_t i = 0; i < a.len; i++) {
			unsigned digit = (unsigned)(uint8_t)a.s[i] - '0';

			if (digit > 9)
				return -EINVAL;
			v = v * 10 + digit;
		}
		if (v > max)
			return -ERANGE;
		*out = v;
		return 0;
	}
	for (uint32_t i = 0; i < a.len; i++)
		if (!str_is_digit(a.s[i]))
			return -EINVAL;
	for (uint32_t i = 0; i < a.len; i++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(a.s[i] - '0'), &v))
			return -ERANGE;
	}
	if (v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

int str_to_u32(struct str a, uint32_t max, uint32_t *out)
{
	uint64_t v;
	int err = str_to_u64(a, max, &v);

	if (err == 0)
		*out = (uint32_t)v;
	return err;
}

unsigned str_from_u64(char *out, uint64_t v)
{
	char tmp[20];
	unsigned n = 0;

	if (v < 100) {
		out[0] = (char)('0' + (v >= 10 ? v / 10 : v));
		out[1 * (v >= 10)] = (char)('0' + v % 10);
		return v >= 10 ? 2 : 1;
	}
	do {
		tmp[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	for (unsigned i = 0; i < n; i++)
		out[i] = tmp[n - 1 - i];
	return n;
}

unsigned str_utf8_char(struct str a)
{
	const uint8_t *p = (const uint8_t *)a.s;
	unsigned n;

	if (a.len == 0 || (p[0] >= 0x80 && p[0] < 0xc2) || p[0] > 0xf4)
		return 0;
	n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (n > a.len)
		return 0;
	for (unsigned i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Longer than it has to be, a surrogate, beyond U+10FFFF. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

uint32_t str_utf8_len(struct str a)
{
	uint32_t at = 0;
	unsigned n;

	while (at < a.len && a.s[at] != '\0') {
		n = str_utf8_char(str_of(a.s + at, a.len - at));
		if (n == 0)
			break;
		at += n;
	}
	return at;
}
