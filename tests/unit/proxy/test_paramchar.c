/* SPDX-License-Identifier: BSD-3-Clause */
/* Characters of a URI's parameters (RFC 3261 25.1), 16 at a time and one by one. */
#include "harness.h"

#include "proxy/paramchar.h"

#define LEN 40

static void the_grammar_says_which(void **state)
{
	static const char marks[] = "-_.!~*'()[]/:&+$";

	for (unsigned c = 0; c < 256; c++) {
		bool is = str_is_alpha((char)c) || str_is_digit((char)c) ||
			  (c != 0 && strchr(marks, (int)c) != NULL);

		assert_int_equal(proxy_paramchar[c], is);
	}
}

/* The text ends where its memory does: nothing behind it is read. */
static void each_octet_ends_them_at_each_place_or_does_not(void **state)
{
	char *text = malloc(LEN);

	assert_non_null(text);
	for (unsigned c = 0; c < 256; c++) {
		for (uint32_t at = 0; at < LEN; at++) {
			uint32_t end = LEN - at % 7,
				 want = at < end && !proxy_paramchar[c] ? at : end;

			memset(text, 'a', LEN);
			text[at] = (char)c;
			for (uint32_t from = 0; from <= at; from++)
				assert_int_equal(proxy_paramchars(text, LEN, from, end),
					from > end ? end : want);
		}
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_grammar_says_which),
		cmocka_unit_test(each_octet_ends_them_at_each_place_or_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
