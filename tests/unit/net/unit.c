/* SPDX-License-Identifier: BSD-3-Clause */
#include "unit.h"

struct bytes bytes_new(const void *data, uint32_t len)
{
	struct bytes b = {.len = len};

	/* malloc(0) may be NULL. */
	b.block = malloc(len + 1);
	assert_non_null(b.block);
	b.p = b.block + 1;
	if (len > 0)
		memcpy(b.p, data, len);
	return b;
}

void bytes_free(struct bytes *b)
{
	free(b->block);
}

static int digit(char c)
{
	c = str_lower_char(c);
	if (str_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

uint32_t hex_read(const char *text, uint8_t *out)
{
	uint32_t n = 0;

	while (*text != '\0') {
		if (*text == ' ' || *text == '\n' || *text == '\t') {
			text++;
			continue;
		}
		if (*text == '*') {
			long times = strtol(text + 1, (char **)&text, 10);

			assert_true(n > 0 && times > 0 && n + (uint32_t)times < 70000);
			memset(out + n, out[n - 1], (size_t)times - 1);
			n += (uint32_t)times - 1;
			continue;
		}
		if (digit(text[0]) < 0 || digit(text[1]) < 0)
			fail_msg("no hex digits at \"%s\"", text);
		assert_true(n < 70000);
		out[n++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
		text += 2;
	}
	return n;
}

uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

uint32_t random_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((random_next(state) >> 16) % n);
}
