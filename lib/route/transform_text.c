/* SPDX-License-Identifier: BSD-3-Clause */
/* Transformations of texts: {s.*}, {line.*}. */
#include "route/transform.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char hex_digits[] = "0123456789abcdef";

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str behind(struct str s, size_t n)
{
	return n < s.len ? str_of(s.s + n, s.len - n) : STR("");
}

static struct str front(struct str s, size_t n)
{
	return n > 0 ? str_of(s.s, n < s.len ? n : s.len) : STR("");
}

/* ---- parts ---- */

/* A negative offset counts from the end; a length of 0 means all that is left. */
static struct str substring(struct str s, int64_t offset, int64_t length)
{
	if (offset < 0)
		offset += s.len;
	if (offset < 0 || offset > s.len || length < 0)
		return STR("");
	if (length == 0 || length > (int64_t)s.len - offset)
		length = (int64_t)s.len - offset;
	return str_of(s.s + offset, (size_t)length);
}

static int64_t count(struct str s, char c)
{
	int64_t n = 0;

	for (uint32_t i = 0; i < s.len; i++)
		n += s.s[i] == c;
	return n;
}

/* The nth of what stands between such characters; a negative one counts from the last. */
static struct str field(struct str s, int64_t n, char separator)
{
	if (n < 0)
		n += count(s, separator) + 1;
	while (n >= 0 && s.s != NULL) {
		int64_t end = str_find(s, separator);

		if (n-- == 0)
			return end < 0 ? s : front(s, (size_t)end);
		s = end < 0 ? STR_NONE : behind(s, (size_t)end + 1);
	}
	return STR("");
}

static struct str trim(struct str s, bool left, bool right)
{
	while (left && s.len > 0 && is_space(s.s[0]))
		s = behind(s, 1);
	while (right && s.len > 0 && is_space(s.s[s.len - 1]))
		s.len--;
	return s;
}

static struct str unwrap(struct str s, const char *open, const char *close)
{
	const char *at = s.len > 1 ? strchr(open, s.s[0]) : NULL;

	if (at == NULL || s.s[0] == '\0' || s.s[s.len - 1] != close[at - open])
		return s;
	return str_of(s.s + 1, s.len - 2);
}

static int64_t find_last(struct str s, char c)
{
	const char *at = s.len > 0 ? memrchr(s.s, c, s.len) : NULL;

	return at != NULL ? at - s.s : -1;
}

/* Lines end with LF; an end without one is a line, too. */
static int64_t count_lines(struct str s)
{
	return count(s, '\n') + (s.len > 0 && s.s[s.len - 1] != '\n');
}

static struct str line_at(struct str s, int64_t n)
{
	int64_t lines = count_lines(s);

	if (n < 0)
		n += lines;
	return n >= 0 && n < lines ? trim(field(s, n, '\n'), false, true) : STR("");
}

static struct str line_with(struct str s, struct str begin)
{
	while (s.len > 0) {
		struct str line = field(s, 0, '\n');

		if (line.len >= begin.len && memcmp(line.s, begin.s, begin.len) == 0)
			return trim(line, false, true);
		s = behind(s, line.len + 1);
	}
	return STR("");
}

bool transform_part_of_text(const struct transform *t, struct str s, struct route_value *value)
{
	uint64_t n = t->number[0] > 0 ? (uint64_t)t->number[0] : 0;
	int64_t at;

	switch (t->kind) {
	case TRANSFORM_SUBSTRING:
		return value_str(value, substring(s, t->number[0], t->number[1]));
	case TRANSFORM_SELECT:
		return value_str(value, field(s, t->number[0], t->separator));
	case TRANSFORM_STRIP:
		return value_str(value, behind(s, n));
	case TRANSFORM_STRIP_TAIL:
		return value_str(value, front(s, n < s.len ? s.len - n : 0));
	case TRANSFORM_TRIM:
		return value_str(value, trim(s, true, true));
	case TRANSFORM_TRIM_LEFT:
		return value_str(value, trim(s, true, false));
	case TRANSFORM_TRIM_RIGHT:
		return value_str(value, trim(s, false, true));
	case TRANSFORM_UNQUOTE:
		return value_str(value, unwrap(s, "\"'", "\"'"));
	case TRANSFORM_UNBRACKET:
		return value_str(value, unwrap(s, "([{<", ")]}>"));
	case TRANSFORM_COUNT:
		return value_int(value, count(s, t->separator));
	case TRANSFORM_AFTER:
		at = str_find(s, t->separator);
		return value_str(value, at < 0 ? STR("") : behind(s, (size_t)at + 1));
	case TRANSFORM_AFTER_LAST:
		at = find_last(s, t->separator);
		return value_str(value, at < 0 ? STR("") : behind(s, (size_t)at + 1));
	case TRANSFORM_BEFORE:
		at = str_find(s, t->separator);
		return value_str(value, at < 0 ? s : front(s, (size_t)at));
	case TRANSFORM_BEFORE_LAST:
		at = find_last(s, t->separator);
		return value_str(value, at < 0 ? s : front(s, (size_t)at));
	case TRANSFORM_LINE_COUNT:
		return value_int(value, count_lines(s));
	case TRANSFORM_LINE_AT:
		return value_str(value, line_at(s, t->number[0]));
	case TRANSFORM_LINE_WITH:
		return value_str(value, line_with(s, t->text[0]));
	default:
		return false;
	}
}

/* ---- what is made ---- */

static void change_case(struct transform_maker *m, struct str s, bool upper)
{
	for (uint32_t i = 0; i < s.len; i++) {
		char c = s.s[i];

		transform_put(m, !upper                 ? str_lower_char(c)
				 : c >= 'a' && c <= 'z' ? (char)(c & ~0x20)
							: c);
	}
}

static void replace(struct transform_maker *m, struct str s, struct str what, struct str by)
{
	for (uint32_t i = 0; i < s.len;) {
		if (s.len - i >= what.len && memcmp(s.s + i, what.s, what.len) == 0) {
			transform_puts(m, by);
			i += what.len;
		} else {
			transform_put(m, s.s[i++]);
		}
	}
}

static void keep(struct transform_maker *m, struct str s, bool (*wanted)(char c))
{
	for (uint32_t i = 0; i < s.len; i++) {
		if (wanted(s.s[i]))
			transform_put(m, s.s[i]);
	}
}

static bool is_digit(char c)
{
	return str_is_digit(c);
}

static bool is_no_space(char c)
{
	return !is_space(c);
}

/* The arena bounds what comes of a long one. */
static void prefixes(struct transform_maker *m, struct str s, int64_t most, bool quoted)
{
	for (uint32_t n = 1; n <= s.len && (most <= 0 || n <= most) && !m->full; n++) {
		if (n > 1)
			transform_put(m, ',');
		if (quoted)
			transform_put(m, '\'');
		transform_puts(m, front(s, n));
		if (quoted)
			transform_put(m, '\'');
	}
}

/* ---- hexadecimal, base64 ---- */

static int hex(char c)
{
	c = str_lower_char(c);
	return str_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void put_hex(struct transform_maker *m, char c)
{
	transform_put(m, hex_digits[(unsigned char)c >> 4]);
	transform_put(m, hex_digits[(unsigned char)c & 15]);
}

/* What cannot be decoded is empty. */
static void decode_hex(struct transform_maker *m, struct str s)
{
	for (uint32_t i = 0; i + 1 < s.len; i += 2) {
		int high = hex(s.s[i]), low = hex(s.s[i + 1]);

		if (high < 0 || low < 0) {
			m->len = 0;
			return;
		}
		transform_put(m, (char)(high << 4 | low));
	}
	if (s.len % 2 != 0)
		m->len = 0;
}

static void encode_64(struct transform_maker *m, struct str s, const char *letters, bool padding)
{
	for (uint32_t i = 0; i < s.len; i += 3) {
		uint32_t n = s.len - i < 3 ? s.len - i : 3, bits = 0;

		for (uint32_t k = 0; k < 3; k++)
			bits = bits << 8 | (k < n ? (unsigned char)s.s[i + k] : 0);
		for (uint32_t k = 0; k < 4; k++) {
			if (k <= n)
				transform_put(m, letters[bits >> (18 - 6 * k) & 63]);
			else if (padding)
				transform_put(m, '=');
		}
	}
}

static void decode_64(struct transform_maker *m, struct str s, const char *letters, bool padding)
{
	uint32_t bits = 0, have = 0, len = s.len;

	while (len > 0 && s.len - len < 2 && s.s[len - 1] == '=')
		len--;
	/* One letter has no byte, and padding makes fours. */
	if (len % 4 == 1 || (padding && s.len % 4 != 0))
		return;
	for (uint32_t i = 0; i < len; i++) {
		const char *at = s.s[i] != '\0' ? strchr(letters, s.s[i]) : NULL;

		if (at == NULL) {
			m->len = 0;
			return;
		}
		bits = bits << 6 | (uint32_t)(at - letters);
		have += 6;
		if (have >= 8) {
			have -= 8;
			transform_put(m, (char)(bits >> have & 0xff));
		}
	}
}

/* ---- escapes ---- */

static void escape_common(struct transform_maker *m, struct str s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		char c = s.s[i];

		if (c == '\'' || c == '"' || c == '\\' || c == '\0')
			transform_put(m, '\\');
		transform_put(m, c == '\0' ? '0' : c);
	}
}

static void unescape_common(struct transform_maker *m, struct str s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		char c = s.s[i];

		if (c == '\\' && i + 1 < s.len && strchr("'\"\\0", s.s[i + 1]) != NULL) {
			c = s.s[++i];
			c = c == '0' ? '\0' : c;
		}
		transform_put(m, c);
	}
}

/* RFC 3261 25.1: unreserved, and `more`. */
static void escape_percent(struct transform_maker *m, struct str s, const char *more)
{
	for (uint32_t i = 0; i < s.len; i++) {
		char c = s.s[i];

		if (str_is_alpha(c) || str_is_digit(c) || (c != '\0' && strchr(more, c) != NULL)) {
			transform_put(m, c);
		} else {
			transform_put(m, '%');
			put_hex(m, c);
		}
	}
}

static void unescape_percent(struct transform_maker *m, struct str s, bool plus)
{
	for (uint32_t i = 0; i < s.len; i++) {
		int high = s.s[i] == '%' && i + 2 < s.len ? hex(s.s[i + 1]) : -1;
		int low = high >= 0 ? hex(s.s[i + 2]) : -1;

		if (low >= 0) {
			transform_put(m, (char)(high << 4 | low));
			i += 2;
		} else {
			transform_put(m, plus && s.s[i] == '+' ? ' ' : s.s[i]);
		}
	}
}

static void url_encode(struct transform_maker *m, struct str s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.s[i] == ' ')
			transform_put(m, '+');
		else
			escape_percent(m, str_of(s.s + i, 1), "-_.~");
	}
}

static void escape_csv(struct transform_maker *m, struct str s)
{
	transform_put(m, '"');
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.s[i] == '"')
			transform_put(m, '"');
		transform_put(m, s.s[i]);
	}
	transform_put(m, '"');
}

/* What is in code that does not depend on who calls. */
static bool make_code(struct transform_maker *m, const struct transform *t, struct str s)
{
	switch (t->kind) {
	case TRANSFORM_ENCODE_HEX:
		for (uint32_t i = 0; i < s.len; i++)
			put_hex(m, s.s[i]);
		return true;
	case TRANSFORM_DECODE_HEX:
		decode_hex(m, s);
		return true;
	case TRANSFORM_ENCODE_64:
	case TRANSFORM_ENCODE_64T:
		encode_64(m, s, alphabet, t->kind == TRANSFORM_ENCODE_64);
		return true;
	case TRANSFORM_ENCODE_64URL:
	case TRANSFORM_ENCODE_64URLT:
		encode_64(m, s, alphabet_url, t->kind == TRANSFORM_ENCODE_64URL);
		return true;
	case TRANSFORM_DECODE_64:
	case TRANSFORM_DECODE_64T:
		decode_64(m, s, alphabet, t->kind == TRANSFORM_DECODE_64);
		return true;
	case TRANSFORM_DECODE_64URL:
	case TRANSFORM_DECODE_64URLT:
		decode_64(m, s, alphabet_url, t->kind == TRANSFORM_DECODE_64URL);
		return true;
	case TRANSFORM_ESCAPE_COMMON:
		escape_common(m, s);
		return true;
	case TRANSFORM_UNESCAPE_COMMON:
		unescape_common(m, s);
		return true;
	case TRANSFORM_ESCAPE_USER:
		escape_percent(m, s, "-_.!~*'()&=+$,;?/");
		return true;
	case TRANSFORM_ESCAPE_PARAM:
		escape_percent(m, s, "-_.!~*'()[]/:&+$");
		return true;
	case TRANSFORM_UNESCAPE_USER:
	case TRANSFORM_UNESCAPE_PARAM:
		unescape_percent(m, s, false);
		return true;
	case TRANSFORM_URL_ENCODE:
		url_encode(m, s);
		return true;
	case TRANSFORM_URL_DECODE:
		unescape_percent(m, s, true);
		return true;
	case TRANSFORM_ESCAPE_CSV:
		escape_csv(m, s);
		return true;
	default:
		return false;
	}
}

bool transform_make_text(struct transform_maker *m, const struct transform *t, struct str s)
{
	switch (t->kind) {
	case TRANSFORM_LOWER:
	case TRANSFORM_LOWER2:
		change_case(m, s, false);
		return true;
	case TRANSFORM_UPPER:
	case TRANSFORM_UPPER2:
		change_case(m, s, true);
		return true;
	case TRANSFORM_NUMERIC:
		keep(m, s, is_digit);
		return true;
	case TRANSFORM_REMOVE_SPACE:
		keep(m, s, is_no_space);
		return true;
	case TRANSFORM_REPLACE:
		replace(m, s, t->text[0], t->text[1]);
		return true;
	case TRANSFORM_REMOVE:
		replace(m, s, t->text[0], STR(""));
		return true;
	case TRANSFORM_PREFIXES:
	case TRANSFORM_PREFIXES_QUOTED:
		prefixes(m, s, t->number[0], t->kind == TRANSFORM_PREFIXES_QUOTED);
		return true;
	default:
		return make_code(m, t, s);
	}
}
