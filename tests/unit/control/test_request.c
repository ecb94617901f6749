/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON-RPC 2.0: what is answered to what. */
#include "common.h"

static struct room room;

/* The answer to a framed text; "" for none. */
static const char *answer(const char *text)
{
	static char copy[65536];
	static struct rpc_work w;
	struct rpc_out out = {0};

	memset(&w, 0, sizeof(w));
	rpc_work_begin(&w, text, strlen(text), &out);
	for (unsigned i = 0; w.request != NULL && i < 1000; i++)
		(void)rpc_work_step(&w, commands, &room, &out);
	assert_null(w.request);
	assert_false(w.failed);
	assert_true(out.len < sizeof(copy));
	if (out.len > 0)
		memcpy(copy, out.text, out.len);
	copy[out.len] = '\0';
	free(out.text);
	return copy;
}

#define CALL(method, params, id) \
	"{\"jsonrpc\": \"2.0\", \"method\": \"" method "\", \"params\": " params ", \"id\": " id "}"
#define RESULT(result, id) "{\"jsonrpc\":\"2.0\",\"result\":" result ",\"id\":" id "}"
#define ERROR(code, message, id) \
	"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":" code ",\"message\":\"" message \
	"\"},\"id\":" id "}"

static void arguments_have_names_or_places(void **state)
{
	assert_string_equal(answer(CALL("echo", "{\"number\": 7, \"text\": \"a\"}", "1")),
		RESULT("[\"a\",7,false]", "1") "\n");
	assert_string_equal(answer(CALL("echo", "[\"b\", 8, true]", "\"x\"")),
		RESULT("[\"b\",8,true]", "\"x\"") "\n");
	assert_string_equal(
		answer(CALL("echo", "[\"c\"]", "null")), RESULT("[\"c\",-1,false]", "null") "\n");
	assert_string_equal(answer("{\"jsonrpc\":\"2.0\",\"method\":\"nothing\",\"id\":1.5}"),
		RESULT("null", "1.5") "\n");
}

static void what_is_wrong_with_them_is_said(void **state)
{
	static const struct {
		const char *params, *want;
	} cases[] = {
		{"{}", "'text' (any) is missing"},
		{"[]", "'text' (any) is missing"},
		{"[1]", "'text' is a text"},
		{"{\"text\": null}", "'text' is a text"},
		{"[\"a\", \"1\"]", "'number' is a number"},
		{"[\"a\", 1.0]", "'number' is a number"},
		{"[\"a\", 1, 1]", "'truth' is a truth"},
		{"[\"a\", 1, true, 1]", "takes 3 parameters at most"},
		{"{\"text\": \"a\", \"more\": 1}", "has no parameter 'more'"},
		{"\"a\"", "params is an object or an array"},
	};
	unsigned ran = room.ran;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];
		const char *got;

		snprintf(text, sizeof(text),
			"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":%s,\"id\":1}",
			cases[i].params);
		got = answer(text);
		assert_non_null(strstr(got, "-32602"));
		if (strstr(got, cases[i].want) == NULL)
			fail_msg("%s: %s", cases[i].params, got);
	}
	assert_int_equal(room.ran, ran);
}

static void what_is_no_request_is_refused(void **state)
{
	static const char *const none[] = {"{}",
		"{\"jsonrpc\":\"1.0\",\"method\":\"echo\",\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"method\":1,\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":{}}",
		"{\"jsonrpc\":2.0,\"method\":\"echo\",\"id\":1}", "[]"};

	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_non_null(strstr(answer(none[i]), "\"code\":-32600"));
	assert_non_null(strstr(answer("{\"a\" 1}"), "\"code\":-32700"));
	assert_non_null(strstr(answer("{\"a\": 1, \"a\": 2}"), "\"code\":-32700"));
	assert_non_null(strstr(answer("{\"a\": \"\\u0000\"}"), "\"code\":-32700"));
	assert_non_null(strstr(answer("{\"a\": \"\xff\"}"), "\"code\":-32700"));
	assert_string_equal(answer(CALL("none", "[]", "4")),
		ERROR("-32601", "there is no method 'none'; rpc.list names all", "4") "\n");
	assert_string_equal(
		answer(CALL("fail", "[]", "4")), ERROR("-32001", "no such thing here", "4") "\n");
}

static void a_notification_is_done_and_not_answered(void **state)
{
	unsigned changed = room.changed;

	assert_string_equal(answer("{\"jsonrpc\":\"2.0\",\"method\":\"nothing\"}"), "");
	assert_int_equal(room.changed, changed + 1);
	assert_string_equal(answer("{\"jsonrpc\":\"2.0\",\"method\":\"fail\"}"), "");
	assert_string_equal(answer("{\"jsonrpc\":\"2.0\",\"method\":\"none\"}"), "");
	assert_string_equal(answer("[{\"jsonrpc\":\"2.0\",\"method\":\"nothing\"},"
				   "{\"jsonrpc\":\"2.0\",\"method\":\"nothing\"}]"),
		"");
	assert_int_equal(room.changed, changed + 3);
}

static void a_batch_is_answered_in_its_order(void **state)
{
	char text[16384];
	size_t len = 0;

	room.ready = true;
	assert_string_equal(
		answer("[" CALL("echo", "[\"a\"]", "1") ", 1, " CALL("later", "[]",
			"2") ", {\"jsonrpc\":\"2.0\",\"method\":\"nothing\"}, [], " CALL("fail",
			"[]", "3") "]"),
		"[" RESULT("[\"a\",-1,false]", "1") "," ERROR("-32600",
			"no request of JSON-RPC 2.0: {\\\"jsonrpc\\\": \\\"2.0\\\", "
			"\\\"method\\\": TEXT, \\\"params\\\": {...}, \\\"id\\\": ...}",
			"null") "," RESULT("\"at last\"", "2") "," ERROR("-32600",
			"no request of JSON-RPC 2.0: {\\\"jsonrpc\\\": \\\"2.0\\\", "
			"\\\"method\\\": TEXT, \\\"params\\\": {...}, \\\"id\\\": ...}",
			"null") "," ERROR("-32001", "no such thing here", "3") "]\n");
	for (unsigned i = 0; i <= RPC_BATCH_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%c%s", i == 0 ? '[' : ',',
			CALL("fail", "[]", "3"));
	strcpy(text + len, "]");
	assert_string_equal(
		answer(text), ERROR("-32600", "a batch has 1 to 64 requests", "null") "\n");
}

/* An answer beyond the bound is an error, and takes no other of its batch with it. */
static void too_long_an_answer_is_said(void **state)
{
	room.length = RPC_ANSWER_MAX;
	assert_string_equal(answer("[" CALL("fail", "[]", "1") "," CALL("long", "[]", "2") "," CALL(
				    "fail", "[]", "3") "]"),
		"[" ERROR("-32001", "no such thing here", "1") "," ERROR("-32002",
			"the answer is too long",
			"2") "," ERROR("-32001", "no such thing here", "3") "]\n");
}

static void any_bytes_become_a_text(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", ""},
		{"a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"\xff", "\xef\xbf\xbd"},
		{"a\xc3", "a\xef\xbf\xbd"},
		{"\xc0\x80z", "\xef\xbf\xbd\xef\xbf\xbdz"},
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].in);
		char *exact = malloc(len != 0 ? len : 1);
		json_t *text;

		memcpy(exact, cases[i].in, len);
		text = rpc_string(str_of(exact, len));
		assert_non_null(text);
		assert_string_equal(json_string_value(text), cases[i].out);
		json_decref(text);
		free(exact);
	}
}

static void the_table_describes_itself(void **state)
{
	json_t *list = rpc_describe(commands);
	const json_t *echo = json_array_get(list, 0);

	assert_int_equal(json_array_size(list), 5);
	assert_string_equal(json_string_value(json_object_get(echo, "name")), "echo");
	assert_int_equal(json_array_size(json_object_get(echo, "params")), 3);
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_have_names_or_places),
		cmocka_unit_test(what_is_wrong_with_them_is_said),
		cmocka_unit_test(what_is_no_request_is_refused),
		cmocka_unit_test(a_notification_is_done_and_not_answered),
		cmocka_unit_test(a_batch_is_answered_in_its_order),
		cmocka_unit_test(too_long_an_answer_is_said),
		cmocka_unit_test(any_bytes_become_a_text),
		cmocka_unit_test(the_table_describes_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
