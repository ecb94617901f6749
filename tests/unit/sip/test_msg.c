/* SPDX-License-Identifier: BSD-3-Clause */
/* The functions that need no whole message: names, tables, lists, single accessors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "message.h"

static const struct {
	enum sip_header_id id;
	const char *name;
	char compact;
} known[] = {
#define SIP_HEADER(id, name, compact, rule) {SIP_HEADER_##id, name, compact},
#include "sip/header.def"
#undef SIP_HEADER
};
#define KNOWN (sizeof(known) / sizeof(known[0]))

/* Letters of `name` in both cases, by the bits of `mask`. */
static struct str vary_case(const char *name, unsigned mask, char *out)
{
	uint32_t len = 0;

	for (; name[len] != 0; len++) {
		char c = str_lower_char(name[len]);

		out[len] = str_is_alpha(c) && (mask >> (len % 16) & 1) != 0 ? (char)(c - 32) : c;
	}
	return str_of(out, len);
}

static void test_each_name_is_found_in_any_case(void **state)
{
	char out[64];

	for (unsigned i = 0; i < KNOWN; i++) {
		for (unsigned mask = 0; mask < 65536; mask += 257)
			assert_int_equal(
				sip_header_of(vary_case(known[i].name, mask, out)), known[i].id);
		if (known[i].compact != 0) {
			char upper = (char)(known[i].compact - 32);

			assert_int_equal(sip_header_of(str_of(&known[i].compact, 1)), known[i].id);
			assert_int_equal(sip_header_of(str_of(&upper, 1)), known[i].id);
		}
		assert_true(str_eq(sip_header_name(known[i].id), str_c(known[i].name)));
	}
}

/* Whether a name is known, by comparing it with all of them. */
static enum sip_header_id slow_header_of(struct str name)
{
	for (unsigned i = 0; i < KNOWN; i++)
		if (str_ieq(name, str_c(known[i].name)) ||
			(known[i].compact != 0 && str_ieq(name, str_of(&known[i].compact, 1))))
			return known[i].id;
	return SIP_HEADER_OTHER;
}

/* Each known name with each byte replaced by each value, cut at each length, and with each byte
 * appended. */
static void test_names_that_resemble_known_ones_are_others(void **state)
{
	char out[64];

	for (unsigned i = 0; i < KNOWN; i++) {
		uint32_t len = (uint32_t)strlen(known[i].name);

		for (uint32_t cut = 0; cut <= len; cut++) {
			struct str part = str_of(known[i].name, cut);

			assert_int_equal(sip_header_of(part), slow_header_of(part));
		}
		for (unsigned byte = 0; byte < 256; byte++) {
			for (uint32_t at = 0; at <= len; at++) {
				struct str name = str_of(out, at == len ? len + 1 : len);

				memcpy(out, known[i].name, len);
				out[at] = (char)byte;
				assert_int_equal(sip_header_of(name), slow_header_of(name));
			}
		}
	}
	for (unsigned byte = 0; byte < 256; byte++) {
		char c = (char)byte;

		assert_int_equal(sip_header_of(str_of(&c, 1)), slow_header_of(str_of(&c, 1)));
	}
	assert_int_equal(sip_header_of(STR_NONE), SIP_HEADER_OTHER);
	memset(out, 'v', sizeof(out));
	for (uint32_t len = 2; len <= sizeof(out); len++)
		assert_int_equal(sip_header_of(str_of(out, len)), SIP_HEADER_OTHER);
}

static void test_names_of_ids_that_are_none_are_empty(void **state)
{
	assert_int_equal(sip_header_name(SIP_HEADER_OTHER).len, 0);
	assert_int_equal(sip_header_name((enum sip_header_id)SIP_HEADER_COUNT).len, 0);
	assert_int_equal(sip_method_name(SIP_METHOD_NONE).len, 0);
	assert_int_equal(sip_method_name(SIP_METHOD_OTHER).len, 0);
	assert_int_equal(sip_method_name((enum sip_method)SIP_METHOD_COUNT).len, 0);
}

static void test_methods_compare_with_case_and_whole(void **state)
{
	char out[32];

#define SIP_METHOD(id, text) \
	assert_int_equal(sip_method_of(STR(text)), SIP_METHOD_##id); \
	assert_true(str_eq(sip_method_name(SIP_METHOD_##id), STR(text))); \
	assert_int_equal(sip_method_of(str_of(text, sizeof(text) - 2)), SIP_METHOD_OTHER); \
	assert_int_equal(sip_method_of(STR(text "X")), SIP_METHOD_OTHER); \
	assert_int_equal(sip_method_of(vary_case(text, 0, out)), SIP_METHOD_OTHER);
#include "sip/method.def"
#undef SIP_METHOD
	assert_int_equal(sip_method_of(STR_NONE), SIP_METHOD_NONE);
}

static void test_each_error_has_a_name_a_status_and_a_reason(void **state)
{
	for (unsigned i = 1; i < SIP_ERROR_COUNT; i++) {
		enum sip_error error = (enum sip_error)i;

		assert_true(sip_error_status(error) >= 400 && sip_error_status(error) < 600);
		assert_true(sip_error_reason(error).len > 3);
		for (unsigned k = 1; k < i; k++)
			assert_string_not_equal(
				sip_error_name(error), sip_error_name((enum sip_error)k));
	}
	assert_string_equal(sip_error_name(SIP_OK), "ok");
	assert_int_equal(sip_error_status((enum sip_error)SIP_ERROR_COUNT), 500);
}

static unsigned count_values(const char *list, const char *last)
{
	struct sip_span all = {0, (uint32_t)strlen(list)}, value = {0, 0};
	char *buf = test_exact_copy(str_c(list));
	uint32_t at = 0;
	unsigned n = 0;

	while (sip_list_next(buf, all, &at, &value))
		n++;
	if (n != 0)
		assert_true(str_eq(sip_text(buf, value), str_c(last)));
	assert_false(sip_list_next(buf, all, &at, &value));
	free(buf);
	return n;
}

static void test_lists_are_cut_at_their_commas(void **state)
{
	assert_int_equal(count_values("", ""), 0);
	assert_int_equal(count_values(" \t\r\n ", ""), 0);
	assert_int_equal(count_values(",", ""), 0);
	assert_int_equal(count_values(",,a,,", "a"), 1);
	assert_int_equal(count_values("a", "a"), 1);
	assert_int_equal(count_values(" a ,\r\n b\t", "b"), 2);
	assert_int_equal(count_values("\"a,b\",c", "c"), 2);
	assert_int_equal(count_values("\"a\\\",b\",c", "c"), 2);
	assert_int_equal(count_values("\"a\\\\\",b", "b"), 2);
	assert_int_equal(count_values("<a,b>,c", "c"), 2);
	assert_int_equal(count_values("<a\",\"b>,c", "c"), 2);
	assert_int_equal(count_values("(a,(b,c),d),e", "e"), 2);
	assert_int_equal(count_values("(a\\),b),c", "c"), 2);
	assert_int_equal(count_values("a,b(,c", "b(,c"), 2);
	assert_int_equal(count_values("a(,(b),c", "a(,(b),c"), 1);
	assert_int_equal(count_values("a),b", "b"), 2);
	assert_int_equal(count_values("\"a,b", "\"a,b"), 1);
	assert_int_equal(count_values("a,\"b\\", "\"b\\"), 2);
	assert_int_equal(count_values("a,<b,c", "<b,c"), 2);
	assert_int_equal(count_values("a,(b\\", "(b\\"), 2);
}

/* A hostile list must not cost more than its length: 60,000 opening parentheses, quotes or
 * brackets. */
static void test_lists_cost_no_more_than_their_length(void **state)
{
	static const char *const pieces[] = {"(", "\"", "<", "(,", ",(", "a(,", "\\(", "<(,"};

	for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		uint32_t len = (uint32_t)strlen(pieces[i]), used = 0, at = 0;
		struct sip_span value;
		char *buf = malloc(60000);

		assert_non_null(buf);
		for (; used + len <= 60000; used += len)
			memcpy(buf + used, pieces[i], len);
		alarm(10);
		while (sip_list_next(buf, (struct sip_span){0, used}, &at, &value))
			;
		alarm(0);
		free(buf);
	}
}

static struct sip_msg msg;

static const char request[] = "INVITE sip:bob@example.com SIP/2.0\r\n"
			      "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
			      "X-A: 1\r\n"
			      "Via: SIP/2.0/UDP b;branch=z9hG4bK2\r\n"
			      "x-a: 2\r\n"
			      "X-AB: 3\r\n"
			      "v: SIP/2.0/UDP c;branch=z9hG4bK3\r\n"
			      "\r\n";

static void test_headers_are_found_by_id_number_and_name(void **state)
{
	assert_int_equal(sip_msg_index(&msg, request, sizeof(request) - 1), SIP_OK);
	assert_ptr_equal(sip_msg_header(&msg, SIP_HEADER_VIA, 0), &msg.header[0]);
	assert_ptr_equal(sip_msg_header(&msg, SIP_HEADER_VIA, 1), &msg.header[2]);
	assert_ptr_equal(sip_msg_header(&msg, SIP_HEADER_VIA, 2), &msg.header[5]);
	assert_null(sip_msg_header(&msg, SIP_HEADER_VIA, 3));
	assert_null(sip_msg_header(&msg, SIP_HEADER_TO, 0));
	assert_ptr_equal(sip_msg_header_named(&msg, request, STR("VIA")), &msg.header[0]);
	assert_ptr_equal(sip_msg_header_named(&msg, request, STR("v")), &msg.header[0]);
	assert_ptr_equal(sip_msg_header_named(&msg, request, STR("X-a")), &msg.header[1]);
	assert_ptr_equal(sip_msg_header_named(&msg, request, STR("x-ab")), &msg.header[4]);
	assert_null(sip_msg_header_named(&msg, request, STR("x-")));
	assert_null(sip_msg_header_named(&msg, request, STR_NONE));
	assert_null(sip_msg_header_named(&msg, request, STR("To")));
	assert_false(sip_present(sip_msg_value(&msg, SIP_HEADER_TO)));
	assert_int_equal(sip_msg_line_end(&msg, &msg.header[5]), msg.headers_end);
}

/* The view holds offsets only: it is good beside a copy of the text at another place. */
static void test_a_copied_view_reads_a_copied_text(void **state)
{
	struct sip_msg copy;
	char *text = test_exact_copy(str_of(request, sizeof(request) - 1));

	assert_int_equal(sip_msg_index(&msg, request, sizeof(request) - 1), SIP_OK);
	assert_non_null(sip_msg_via(&msg, request, 0));
	copy = msg;
	memset(&msg, 0xff, sizeof(msg));
	assert_true(str_eq(sip_text(text, sip_msg_via(&copy, text, 0)->host), STR("a")));
	assert_true(str_eq(sip_text(text, sip_msg_via(&copy, text, 1)->host), STR("b")));
	assert_int_equal(copy.via[1].header, 2);
	free(text);
}

static void test_what_failed_is_remembered_as_broken(void **state)
{
	static const char text[] = "INVITE sip:bob@ SIP/2.0\r\n"
				   "Via: nonsense\r\nFrom: \"\r\nCSeq: x\r\nMax-Forwards: 256\r\n"
				   "Route: <\r\n\r\n";

	assert_int_equal(sip_msg_index(&msg, text, sizeof(text) - 1), SIP_OK);
	assert_int_equal(msg.parsed, 0);
	for (unsigned round = 0; round < 2; round++) {
		assert_null(sip_msg_uri(&msg, text));
		assert_null(sip_msg_via(&msg, text, 0));
		assert_null(sip_msg_via(&msg, text, 1));
		assert_null(sip_msg_from(&msg, text));
		assert_null(sip_msg_to(&msg, text));
		assert_null(sip_msg_route(&msg, text));
		assert_false(sip_msg_cseq(&msg, text));
		assert_false(sip_msg_max_forwards(&msg, text));
	}
	/* To is absent, and what is absent is not broken. */
	assert_int_equal(msg.broken, SIP_PARSED_URI | SIP_PARSED_VIA0 | SIP_PARSED_FROM |
					     SIP_PARSED_CSEQ | SIP_PARSED_MAX_FORWARDS |
					     SIP_PARSED_ROUTE0);
	assert_int_equal(msg.parsed, msg.broken);
}

/* A response's method is that of its CSeq. */
static void test_a_response_takes_its_method_from_cseq(void **state)
{
	static const char text[] = "SIP/2.0 200 OK\r\nCSeq: 7 BYE\r\n\r\n";

	assert_int_equal(sip_msg_index(&msg, text, sizeof(text) - 1), SIP_OK);
	assert_int_equal(msg.method, SIP_METHOD_NONE);
	assert_true(sip_msg_cseq(&msg, text));
	assert_int_equal(msg.method, SIP_METHOD_BYE);
	assert_false(sip_msg_can_reply(&msg));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_name_is_found_in_any_case),
		cmocka_unit_test(test_names_that_resemble_known_ones_are_others),
		cmocka_unit_test(test_names_of_ids_that_are_none_are_empty),
		cmocka_unit_test(test_methods_compare_with_case_and_whole),
		cmocka_unit_test(test_each_error_has_a_name_a_status_and_a_reason),
		cmocka_unit_test(test_lists_are_cut_at_their_commas),
		cmocka_unit_test(test_lists_cost_no_more_than_their_length),
		cmocka_unit_test(test_headers_are_found_by_id_number_and_name),
		cmocka_unit_test(test_a_copied_view_reads_a_copied_text),
		cmocka_unit_test(test_what_failed_is_remembered_as_broken),
		cmocka_unit_test(test_a_response_takes_its_method_from_cseq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
