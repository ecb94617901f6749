/* SPDX-License-Identifier: BSD-3-Clause */
/* The module under the real language: loaded, checked, published, run, reloaded. */
#include "common.h"

#include <unistd.h>

struct stage {
	struct room room;
	struct route_registry registry;
	struct route_thread thread;
	struct route_script *script;
	struct route_ctx ctx;
	char text[2048];
	char path[64];
};

static int setup(void **state)
{
	struct stage *s = aligned_alloc(64, (sizeof(*s) + 63) & ~(size_t)63);
	int fd;

	memset(s, 0, sizeof(*s));
	room_open(&s->room, 1000);
	route_registry_init(&s->registry);
	assert_int_equal(route_registry_add(&s->registry, &dispatch_module, s->room.d), 0);
	assert_int_equal(route_thread_init(&s->thread, 0), 0);
	s->thread.now_ns = test_now();
	strcpy(s->path, "/tmp/dispatch-script-XXXXXX");
	fd = mkstemp(s->path);
	assert_true(fd >= 0);
	close(fd);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct stage *s = *state;

	if (s->script != NULL)
		route_script_unref(s->script);
	route_thread_fini(&s->thread);
	room_close(&s->room);
	unlink(s->path);
	free(s);
	return 0;
}

/* Loads a configuration whose list file has `list` in it; what runs on is the old one where it
 * fails. */
static bool load(struct stage *s, const char *list, const char *params, const char *body)
{
	char text[4096];
	struct route_script *script;
	FILE *file = fopen(s->path, "w");
	int n;

	assert_non_null(file);
	fputs(list, file);
	fclose(file);
	n = snprintf(text, sizeof(text),
		"loadmodule \"dispatcher.so\"\nmodparam(\"dispatcher\", \"list_file\", "
		"\"%s\")\n%s\nrequest_route {\n%s\n}\n",
		s->path, params, body);
	/* What has been reported before would end this load. */
	route_report_destroy(s->room.report);
	s->room.report = route_report_create();
	script = route_script_load_text(
		"test.cfg", str_of(text, (size_t)n), &s->registry, s->room.report);
	if (script == NULL)
		return false;
	route_script_publish(script);
	if (s->script != NULL)
		route_script_unref(s->script);
	s->script = script;
	return true;
}

/* The last byte of the address that $du leads to, 0 where none is set. */
static unsigned run(struct stage *s, const char *method, const char *key, const char *call_id)
{
	int n = snprintf(s->text, sizeof(s->text),
		"%s sip:bob@biloxi.example SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\r\n"
		"From: <sip:alice@atlanta.example>;tag=1\r\n"
		"To: <sip:bob@biloxi.example>\r\n"
		"Call-ID: %s\r\n"
		"CSeq: 1 %s\r\n"
		"X-Key: %s\r\n"
		"Content-Length: 0\r\n\r\n",
		method, call_id, method, key);

	assert_int_equal(sip_msg_index(&s->ctx.msg, s->text, (uint32_t)n), SIP_OK);
	route_ctx_bind(&s->ctx, s->script, &s->thread, s->text);
	route_ctx_reset(&s->ctx);
	assert_int_equal(route_run(&s->ctx), ROUTE_ENDED);
	return s->ctx.du_target.valid ? s->ctx.du_target.ep.addr.b[3] : 0;
}

#define THREE "1 sip:10.0.0.1\n1 sip:10.0.0.2\n1 sip:10.0.0.3\n"

static void hash_pvar_is_hashed_whatever_it_is_made_of(void **state)
{
	struct stage *s = *state;
	unsigned seen = 0;

	assert_true(load(s, THREE, "modparam(\"dispatcher\", \"hash_pvar\", \"key $hdr(X-Key)\")",
		"\tif (!ds_select_dst(\"1\", \"7\")) exit;"));
	for (unsigned i = 0; i < 40; i++) {
		char key[8], call_id[8];
		unsigned at;

		snprintf(key, sizeof(key), "k%u", i);
		snprintf(call_id, sizeof(call_id), "c%u", i);
		at = run(s, "MESSAGE", key, "one");
		assert_int_equal(run(s, "MESSAGE", key, call_id), at);
		seen |= 1u << at;
	}
	assert_int_equal(seen, 1u << 1 | 1u << 2 | 1u << 3);
}

static void set_and_algorithm_may_be_variables(void **state)
{
	struct stage *s = *state;

	assert_true(load(s, THREE "4 sip:10.0.0.9 0 2\n4 sip:10.0.0.8 0 1\n", "",
		"\t$var(s) = 4;\n\t$var(a) = \"8\";\n\tds_select_dst(\"$var(s)\", $var(a));\n\tif "
		"(method == \"MESSAGE\") "
		"ds_next_dst();"));
	assert_int_equal(run(s, "INVITE", "k", "one"), 9);
	assert_int_equal(run(s, "MESSAGE", "k", "one"), 8);
}

static void a_choice_that_fails_is_false(void **state)
{
	struct stage *s = *state;

	assert_true(load(s, "1 sip:10.0.0.1 1\n", "",
		"\tif (!ds_select_dst(\"1\", \"4\")) { setflag(5); exit; }\n\tsetflag(6);"));
	assert_int_equal(run(s, "INVITE", "k", "one"), 0);
	assert_int_equal(s->ctx.flags, 1u << 5);
	dispatch_set_up(s->room.d, room_id(&s->room, 1, "sip:10.0.0.1"), true);
	assert_int_equal(run(s, "INVITE", "k", "one"), 1);
	assert_int_equal(s->ctx.flags, 1u << 6);
}

static void what_is_wrong_has_its_line_and_column(void **state)
{
	static const struct {
		const char *list, *params, *body, *says;
	} bad[] = {
		{THREE, "", "\tds_select_dst(\"1\", \"12\");",
			"test.cfg:5:21: error: algorithm 12 forks to all destinations"},
		{THREE, "", "\tds_select_dst(\"1\", \"7\");",
			"test.cfg:5:21: error: algorithm 7 needs modparam"},
		{THREE, "", "\tds_select_dst(\"x\", \"0\");",
			"test.cfg:5:16: error: a set is a number"},
		{THREE "1 sip:10.0.0.1\n", "", "\tds_select_dst(\"1\", \"0\");",
			":4:1: error: set 1: 'sip:10.0.0.1' stands in line 1 already"},
		{THREE, "modparam(\"dispatcher\", \"hash_pvar\", \"$nothing\")",
			"\tds_select_dst(\"1\", \"7\");", "hash_pvar"},
	};
	struct stage *s = *state;

	assert_true(load(s, THREE, "", "\tds_select_dst(\"1\", \"0\");"));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(load(s, bad[i].list, bad[i].params, bad[i].body));
		if (strstr(route_report_text(s->room.report), bad[i].says) == NULL)
			fail_msg("%s", route_report_text(s->room.report));
	}
	assert_int_not_equal(run(s, "INVITE", "k", "one"), 0);
}

static void parameters_without_effect_are_accepted_with_a_warning(void **state)
{
	struct stage *s = *state;

	assert_true(load(s, THREE,
		"modparam(\"dispatcher\", \"ds_ping_interval\", 10)\nmodparam(\"dispatcher\", "
		"\"flags\", 2)\n"
		"modparam(\"dispatcher\", \"xavp_dst\", \"_dsdst_\")\nmodparam(\"dispatcher\", "
		"\"ds_load_mode\", 1)",
		"\tif (ds_is_from_list()) exit;\n\tds_select_dst(\"1\", \"0\");"));
	assert_true(route_report_warnings(s->room.report) >= 3);
	assert_non_null(strstr(route_report_text(s->room.report), "ds_ping_interval"));
	assert_non_null(strstr(route_report_text(s->room.report), "ds_load_mode"));
	/* Here is no database. */
	assert_false(
		load(s, THREE, "modparam(\"dispatcher\", \"db_url\", \"sqlite:///x\")", "\texit;"));
	assert_non_null(strstr(route_report_text(s->room.report), "there is no database here"));
	assert_int_not_equal(run(s, "INVITE", "k", "one"), 0);
}

static void a_reload_of_the_script_keeps_calls_where_they_are(void **state)
{
	struct stage *s = *state;
	unsigned before[100], moved = 0;
	char call_id[16];

	assert_true(load(s, THREE, "", "\tds_select_dst(\"1\", \"0\");"));
	for (unsigned i = 0; i < 100; i++) {
		snprintf(call_id, sizeof(call_id), "c%u", i);
		before[i] = run(s, "INVITE", "k", call_id);
	}
	assert_true(
		load(s, "1 sip:10.0.0.1\n1 sip:10.0.0.3\n", "", "\tds_select_dst(\"1\", \"0\");"));
	for (unsigned i = 0; i < 100; i++) {
		snprintf(call_id, sizeof(call_id), "c%u", i);
		/* The key of these transactions is one: only messages without a pin of their own
		 * tell. */
		assert_int_equal(run(s, "CANCEL", "k", call_id), before[i]);
	}
	room_pass(&s->room, 250 * S);
	s->thread.now_ns = test_now();
	for (unsigned i = 0; i < 100; i++) {
		snprintf(call_id, sizeof(call_id), "c%u", i);
		moved += run(s, "CANCEL", "k", call_id) != before[i];
	}
	assert_in_range(moved, 15, 55);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hash_pvar_is_hashed_whatever_it_is_made_of),
		TEST(set_and_algorithm_may_be_variables),
		TEST(a_choice_that_fails_is_false),
		TEST(what_is_wrong_has_its_line_and_column),
		TEST(parameters_without_effect_are_accepted_with_a_warning),
		TEST(a_reload_of_the_script_keeps_calls_where_they_are),
	};

	return cmocka_run_group_tests_name("dispatch/script", tests, NULL, NULL);
}
