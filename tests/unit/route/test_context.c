/* SPDX-License-Identifier: BSD-3-Clause */
/* A context: reset leaves nothing of the last message, and a copy reads as the original did,
 * wherever the run stood. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

static const char invite[] = "INVITE sip:u@gw.example.com:5080;lr SIP/2.0\n"
			     "Via: SIP/2.0/UDP 192.0.2.7:40000;branch=z9hG4bKa1\n"
			     "Max-Forwards: 70\n"
			     "From: \"A\" <sip:alice@a.example>;tag=1\n"
			     "To: <sip:bob@b.example>\n"
			     "Call-ID: c1\n"
			     "CSeq: 1 INVITE\n"
			     "Route: <sip:r@route.example;lr>\n"
			     "X: one\n"
			     "x: two\n"
			     "Content-Length: 0\n"
			     "\n";

/* Reads of all kinds: spans of the message, of the arena, remembered parses. */
static const char *const reads[] = {"$ru", "$rU", "$rd", "$rp", "$ou", "$du", "$fu", "$fU", "$ft",
	"$tu", "$td", "$tt", "$ci", "$cs", "$rm", "$hdr(X)", "$hdrc(X)", "$si", "$sp", "$Ri", "$mf",
	"$bf", "$ml", "$mb", "$var(a) $var(b) $var(z) $rc"};

/* Steps of a run; a copy is taken behind each. */
static void step(struct fixture *f, unsigned n)
{
	struct route_ctx *ctx = f->ctx;

	switch (n) {
	case 0:
		break;
	case 1:
		assert_true(fixture_set(f, "rU", "newuser"));
		break;
	case 2:
		assert_true(fixture_set(f, "du", "sip:10.0.0.1:5070"));
		break;
	case 3:
		ctx->var_set = 1ULL << route_var_slot(STR("a")) | 1ULL << route_var_slot(STR("z"));
		ctx->var[route_var_slot(STR("a"))] = (struct route_cell){
			.type = ROUTE_STR, .text = route_text_make(ctx, STR("of the arena"))};
		ctx->var[route_var_slot(STR("z"))] =
			(struct route_cell){.type = ROUTE_INT, .i = -5};
		break;
	case 4:
		assert_int_equal(fixture_call(f, "append_hf", "P-Hint: $ru\r\n", NULL), ROUTE_TRUE);
		assert_int_equal(fixture_call(f, "remove_hf", "X", NULL), ROUTE_TRUE);
		break;
	case 5:
		assert_int_equal(fixture_call(f, "setflag", "7", NULL), ROUTE_TRUE);
		assert_int_equal(fixture_call(f, "append_to_reply", "A: b", NULL), ROUTE_TRUE);
		ctx->rc = -3;
		memset(ctx->scratch, 0x42, sizeof(ctx->scratch));
		break;
	case 6:
		ctx->sp = 2;
		ctx->stack[0] = (struct route_cell){.type = ROUTE_INT, .i = 77};
		ctx->stack[1] = (struct route_cell){
			.type = ROUTE_STR, .text = route_text_make(ctx, STR("on the stack"))};
		ctx->calls = 1;
		ctx->call_pc[0] = 4711;
		ctx->pc = 99;
		ctx->wait = route_text_make(ctx, STR("name.example"));
		break;
	default:
		assert_true(fixture_set(f, "ru", "sip:last@example.org"));
		break;
	}
}
#define STEPS 8

static void assert_same_state(const struct route_ctx *a, const struct route_ctx *b)
{
	assert_int_equal(a->pc, b->pc);
	assert_int_equal(a->sp, b->sp);
	assert_int_equal(a->calls, b->calls);
	assert_int_equal(a->rc, b->rc);
	assert_int_equal(a->text_len, b->text_len);
	assert_int_equal(a->received_ns, b->received_ns);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->socket, b->socket);
	assert_memory_equal(a->scratch, b->scratch, sizeof(a->scratch));
	assert_memory_equal(&a->origin, &b->origin, sizeof(a->origin));
	for (unsigned i = 0; i < a->sp; i++) {
		assert_int_equal(a->stack[i].type, b->stack[i].type);
		if (a->stack[i].type == ROUTE_INT)
			assert_int_equal(a->stack[i].i, b->stack[i].i);
		else
			assert_true(str_eq(route_text_str(a, a->stack[i].text),
				route_text_str(b, b->stack[i].text)));
	}
	for (unsigned i = 0; i < a->calls; i++)
		assert_int_equal(a->call_pc[i], b->call_pc[i]);
	assert_true(str_eq(route_text_str(a, a->wait), route_text_str(b, b->wait)));
	assert_true(
		str_eq(route_text_str(a, a->result.headers), route_text_str(b, b->result.headers)));
	assert_true(str_eq(route_ctx_uri(a), route_ctx_uri(b)));
}

static void test_a_copy_reads_the_same_at_any_point(void **state)
{
	for (unsigned stop = 0; stop < STEPS; stop++) {
		struct fixture *original = fixture_create(), *copy = fixture_create();
		char want[sizeof(reads) / sizeof(reads[0])][1000];

		fixture_message(original, invite);
		original->ctx->received_ns = 12345;
		for (unsigned n = 0; n <= stop; n++)
			step(original, n);
		/* The copy's text is its own block; the original's is overwritten before the copy
		 * is read. */
		copy->buf = malloc(original->len);
		memcpy(copy->buf, original->buf, original->len);
		copy->len = original->len;
		route_ctx_copy(copy->ctx, original->ctx);
		route_ctx_bind(copy->ctx, NULL, &copy->thread, copy->buf);
		assert_same_state(original->ctx, copy->ctx);

		char *output = strdup(fixture_output(original));

		for (unsigned i = 0; i < sizeof(reads) / sizeof(reads[0]); i++)
			snprintf(want[i], sizeof(want[i]), "%s", fixture_read(original, reads[i]));
		memset(original->buf, 'x', original->len);
		memset(original->ctx, 0x5a, sizeof(*original->ctx));
		for (unsigned i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
			const char *got = fixture_read(copy, reads[i]);

			if (strcmp(got, want[i]) != 0)
				fail_msg("behind step %u %s is %s, not %s", stop, reads[i], got,
					want[i]);
		}
		assert_string_equal(fixture_output(copy), output);
		/* And it goes on. */
		assert_true(fixture_set(copy, "rU", "onward"));
		assert_string_equal(fixture_read(copy, "$rU"), "onward");
		free(output);
		fixture_destroy(original);
		fixture_destroy(copy);
	}
}

/* Texts that are the script's own constants need no copy, and are read through whichever script the
 * copy is bound to. */
static void test_a_run_script_leaves_what_a_copy_can_read(void **state)
{
	struct fixture *f = fixture_create(), *copy = fixture_create();
	struct route_registry registry;

	route_registry_init(&registry);
	struct route_script *script = route_script_load_text("test",
		STR("loadmodule \"textops.so\" request_route { $du = \"sip:10.0.0.9\"; $rU = "
		    "\"new\"; append_to_reply(\"A: $rU\"); setflag(3); }"),
		&registry, f->report);

	if (script == NULL)
		fail_msg("%s", route_report_text(f->report));
	route_script_publish(script);
	fixture_message(f, invite);
	f->ctx->script = script;
	assert_int_equal(route_run(f->ctx), ROUTE_ENDED);
	assert_int_equal(f->ctx->du.space, ROUTE_SPACE_CONST);
	copy->buf = malloc(f->len);
	memcpy(copy->buf, f->buf, f->len);
	route_ctx_copy(copy->ctx, f->ctx);
	route_ctx_bind(copy->ctx, script, &copy->thread, copy->buf);
	memset(f->ctx, 0x5a, sizeof(*f->ctx));
	assert_string_equal(fixture_read(copy, "$du $dd $ru $mf"),
		"sip:10.0.0.9 10.0.0.9 sip:new@gw.example.com:5080;lr 8");
	assert_true(
		str_eq(route_text_str(copy->ctx, copy->ctx->result.headers), STR("A: new\r\n")));
	route_script_unref(script);
	fixture_destroy(f);
	fixture_destroy(copy);
}

static void test_reset_leaves_nothing_of_the_last_message(void **state)
{
	struct fixture *f = fixture_create();

	fixture_message(f, invite);
	for (unsigned n = 0; n < STEPS; n++)
		step(f, n);
	f->ctx->failure = ROUTE_FAILURE_STEPS;
	f->ctx->socket = 3;
	f->ctx->du_target.valid = true;
	f->ctx->result.forward = f->ctx->result.reply = true;
	f->ctx->received_ns = 99;
	f->ctx->frames = 2;
	fixture_message(f, invite);
	struct route_ctx *ctx = f->ctx;

	assert_string_equal(fixture_read(f, "$ru"), "sip:u@gw.example.com:5080;lr");
	assert_string_equal(fixture_read(f, "$du $mf $var(a) $var(z) $rc"), "<null> 0 0 0 0");
	ctx->text_len = 0;
	assert_int_equal(ctx->failure, ROUTE_FAILURE_NONE);
	assert_int_equal(ctx->socket, -1);
	assert_int_equal(ctx->du_target.listener, -1);
	assert_int_equal(ctx->result.target.destination, -1);
	assert_int_equal(ctx->result.target.listener, -1);
	assert_false(ctx->du_target.valid || ctx->result.forward || ctx->result.reply ||
		     ctx->result.drop);
	assert_int_equal(ctx->edits.count + ctx->edits.text_len + ctx->edits.overflow, 0);
	assert_int_equal(ctx->pc + ctx->sp + ctx->calls + ctx->steps, 0);
	assert_int_equal(route_text_str(ctx, ctx->result.headers).len, 0);
	for (unsigned i = 0; i < sizeof(ctx->scratch); i++)
		assert_int_equal(((uint8_t *)ctx->scratch)[i], 0);
	/* The facts of arrival are not the reset's. */
	assert_int_equal(ctx->received_ns, 99);
	assert_int_equal(ctx->frames, 2);
	fixture_destroy(f);
}

static void test_texts_are_kept_where_they_lie(void **state)
{
	struct fixture *f = fixture_create();

	fixture_message(f, invite);
	struct route_text text = route_text_keep(f->ctx, str_of(f->buf + 7, 5));

	assert_int_equal(text.space, ROUTE_SPACE_MSG);
	assert_int_equal(text.off, 7);
	assert_int_equal(
		route_text_keep(f->ctx, str_of(f->buf + f->len, 0)).space, ROUTE_SPACE_MSG);
	text = route_text_keep(f->ctx, STR("elsewhere"));
	assert_int_equal(text.space, ROUTE_SPACE_ARENA);
	assert_true(str_eq(route_text_str(f->ctx, text), STR("elsewhere")));
	uint32_t used = f->ctx->text_len;
	struct route_text part = route_text_keep(f->ctx, str_of(f->ctx->text + text.off + 4, 5));

	assert_int_equal(f->ctx->text_len, used);
	assert_true(str_eq(route_text_str(f->ctx, part), STR("where")));
	assert_int_equal(route_text_str(f->ctx, ROUTE_TEXT_NONE).len, 0);
	fixture_destroy(f);
}

static void test_the_arena_is_bounded(void **state)
{
	struct fixture *f = fixture_create();
	static char big[ROUTE_TEXT_MAX + 1];
	const struct str halves[2] = {{big, ROUTE_TEXT_MAX / 2}, {big, ROUTE_TEXT_MAX / 2 + 1}};

	fixture_message(f, invite);
	memset(big, 'b', sizeof(big));
	assert_int_equal(
		route_text_make(f->ctx, str_of(big, ROUTE_TEXT_MAX + 1)).space, ROUTE_SPACE_NONE);
	assert_int_equal(f->ctx->failure, ROUTE_FAILURE_TEXT_FULL);
	assert_int_equal(f->ctx->text_len, 0);
	assert_int_equal(route_text_join(f->ctx, halves, 2).space, ROUTE_SPACE_NONE);
	assert_int_equal(f->ctx->text_len, 0);
	f->ctx->failure = ROUTE_FAILURE_NONE;
	struct route_text all = route_text_make(f->ctx, str_of(big, ROUTE_TEXT_MAX));

	assert_int_equal(all.len, ROUTE_TEXT_MAX);
	/* Nothing fits any more but nothing. */
	assert_int_equal(route_text_make(f->ctx, STR_NONE).space, ROUTE_SPACE_ARENA);
	assert_int_equal(f->ctx->failure, ROUTE_FAILURE_NONE);
	assert_int_equal(route_text_make(f->ctx, STR("x")).space, ROUTE_SPACE_NONE);
	fixture_destroy(f);
}

static void test_random_numbers_differ_by_thread_and_call(void **state)
{
	struct route_thread a, b;
	unsigned odd = 0, same = 0;

	assert_int_equal(route_thread_init(&a, 1), 0);
	assert_int_equal(route_thread_init(&b, 2), 0);
	assert_int_equal(a.index, 1);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t x = route_random(&a);

		odd += x >> 63;
		same += x == route_random(&b);
	}
	assert_in_range(odd, 400, 600);
	assert_int_equal(same, 0);
	route_thread_fini(&a);
	route_thread_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_copy_reads_the_same_at_any_point),
		cmocka_unit_test(test_a_run_script_leaves_what_a_copy_can_read),
		cmocka_unit_test(test_reset_leaves_nothing_of_the_last_message),
		cmocka_unit_test(test_texts_are_kept_where_they_lie),
		cmocka_unit_test(test_the_arena_is_bounded),
		cmocka_unit_test(test_random_numbers_differ_by_thread_and_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
