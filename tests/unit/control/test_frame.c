/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a request ends, wherever the stream stops meanwhile. */
#include "common.h"

static enum rpc_framed read_whole(const char *text, size_t *at)
{
	struct rpc_frame f = {0};

	*at = 0;
	return rpc_frame_read(&f, text, strlen(text), at);
}

static void a_request_ends_with_its_last_bracket(void **state)
{
	static const struct {
		const char *text;
		size_t end;
	} cases[] = {
		{"{}", 2},
		{"{}{}", 2},
		{"[{\"a\": [1, {}]}, 2] tail", 19},
		{"{\n\t\"a\" : \"}\"\n}\n", 14},
		{"{\"a\\\"}\": 1}x", 11},
		{"{\"\\\\\": \"{[\"}", 12},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t at;

		assert_int_equal(read_whole(cases[i].text, &at), RPC_FRAME_WHOLE);
		assert_int_equal(at, cases[i].end);
	}
}

static void it_may_come_in_any_pieces(void **state)
{
	static const char text[] = "[{\"a\\\"}]\": [\"\\\\\", {}]}]";
	size_t len = sizeof(text) - 1;

	for (size_t cut = 0; cut < len; cut++) {
		struct rpc_frame f = {0};
		size_t at = 0;

		assert_int_equal(rpc_frame_read(&f, text, cut, &at), RPC_FRAME_MORE);
		assert_int_equal(at, cut);
		assert_int_equal(rpc_frame_read(&f, text, len, &at), RPC_FRAME_WHOLE);
		assert_int_equal(at, len);
		assert_int_equal(f.depth, 0);
	}
}

static void what_begins_otherwise_or_too_deep_is_none(void **state)
{
	static const char *const cases[] = {"x", "\"{}\"", "}", "1", "GET / HTTP/1.1\r\n", "\xff"};
	char deep[RPC_DEPTH_MAX + 2];
	size_t at;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(read_whole(cases[i], &at), RPC_FRAME_BAD);
	memset(deep, '[', sizeof(deep));
	deep[RPC_DEPTH_MAX] = '\0';
	assert_int_equal(read_whole(deep, &at), RPC_FRAME_MORE);
	deep[RPC_DEPTH_MAX] = '[';
	deep[RPC_DEPTH_MAX + 1] = '\0';
	assert_int_equal(read_whole(deep, &at), RPC_FRAME_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_ends_with_its_last_bracket),
		cmocka_unit_test(it_may_come_in_any_pieces),
		cmocka_unit_test(what_begins_otherwise_or_too_deep_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
