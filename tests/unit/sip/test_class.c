/* SPDX-License-Identifier: BSD-3-Clause */
/* Character classes sixteen at a time: the same as one by one, and no byte outside is read. */
#include "input.h"

#include "sip/grammar.h"
#include "sip/token.h"

#define SPAN_MAX 50

struct class
{
	const uint8_t *table, *rows;
	unsigned bit;
	bool high;
};

static unsigned all_classes(struct class *out)
{
	const unsigned high = SIP_TEXT_URI | SIP_TEXT_VALUE | SIP_TEXT_PLAIN | SIP_TEXT_QUOTED;
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++)
		out[n++] = (struct class){
			sip_text_class, sip_text_rows[i], 1U << i, (high >> i & 1) != 0};
	for (unsigned i = 0; i < 5; i++)
		out[n++] = (struct class){sip_char_class, sip_char_rows[i], 1U << i, false};
	return n;
}

static void test_the_rows_say_what_the_table_says_of_every_character(void **state)
{
	struct class class[13];
	unsigned n = all_classes(class);

	for (unsigned i = 0; i < n; i++)
		for (unsigned c = 0; c < 256; c++) {
			char text[16];

			memset(text, (int)c, sizeof(text));
			assert_int_equal(sip_class_misses(text, class[i].rows, class[i].high),
				(class[i].table[c] & class[i].bit) != 0 ? 0 : 0xffff);
		}
}

/* Every span of a text that begins and ends where its block does, with a stranger at every place.
 */
static void test_a_skip_stops_where_one_by_one_would(void **state)
{
	struct class class[13];
	unsigned n = all_classes(class);

	for (uint32_t len = 0; len <= SPAN_MAX; len++) {
		char *text = malloc(len != 0 ? len : 1);

		for (uint32_t stranger = 0; stranger <= len; stranger++) {
			memset(text, 'a', len);
			if (stranger < len)
				text[stranger] = '\x01';
			for (uint32_t at = 0; at <= len; at++)
				for (unsigned i = 0; i < n; i++)
					assert_int_equal(sip_class_skip(text, at, len,
								 class[i].rows, class[i].high,
								 class[i].table, class[i].bit),
						stranger >= at ? stranger : len);
		}
		free(text);
	}
}

static void test_nothing_is_of_no_class(void **state)
{
	assert_true(sip_chars_are("abc", 1, 3, SIP_CHAR_TOKEN));
	assert_false(sip_chars_are("abc", 3, 3, SIP_CHAR_TOKEN));
	assert_false(sip_chars_are("ab c", 0, 4, SIP_CHAR_WORD));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_rows_say_what_the_table_says_of_every_character),
		cmocka_unit_test(test_a_skip_stops_where_one_by_one_would),
		cmocka_unit_test(test_nothing_is_of_no_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
