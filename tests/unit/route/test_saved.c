/* SPDX-License-Identifier: BSD-3-Clause */
/* What a transaction keeps of a context: it reads the same when it comes back. */
#include "language.h"

#include <stdio.h>
#include <stdlib.h>

#define MODULES "loadmodule \"test.so\" loadmodule \"textops.so\"\n"

static const char script[] =
	MODULES "request_route { $var(text) = \"v\" + $rU; $var(n) = 41; $rU = \"new\" + $fU;\n"
		"$du = \"sip:10.0.0.1:5070\"; append_hf(\"P-Hint: $ru\\r\\n\"); "
		"remove_hf(\"Subject\");\n"
		"append_to_reply(\"A: $ru\\r\\n\"); setflag(7); note(\"" /* arena */ "\" + $ru);\n"
		"note($var(z)); }\n"
		"onreply_route { note(1); }\n"
		"event_route[after] { note($var(text), $var(n), $ru, $du, $mf, $var(z)); }\n";

static struct language *load(void)
{
	struct language *l = language_load(script);

	if (l->script == NULL)
		printf("%s", route_report_text(l->report));
	assert_non_null(l->script);
	return l;
}

static struct route_text arena(struct route_ctx *ctx, const char *s)
{
	return route_text_make(ctx, str_c(s));
}

static void add_avp(struct route_ctx *ctx, struct route_text name, struct route_text text)
{
	ctx->avp[ctx->avps].name = name;
	ctx->avp[ctx->avps].value.type = ROUTE_STR;
	ctx->avp[ctx->avps++].value.text = text;
}

/* Everything that has a place in what is kept. */
static void fill(struct route_ctx *ctx)
{
	for (unsigned i = 0; i < 3; i++) {
		char uri[32];

		snprintf(uri, sizeof(uri), "sip:b%u@10.0.0.9", i);
		ctx->branch[i] = (struct route_branch){
			.uri = arena(ctx, uri), .q = (uint16_t)(100 * i), .socket = -1};
		ctx->branch[ROUTE_BRANCHES_MAX - 1 - i] = (struct route_branch){
			.du = arena(ctx, uri), .flags = i, .socket = (int16_t)i};
	}
	ctx->branches = 3;
	ctx->waiting = 2;
	add_avp(ctx, arena(ctx, "kept"), route_text_of_span(ctx->msg.uri_text));
	add_avp(ctx, arena(ctx, "other"), arena(ctx, "value"));
	ctx->avp[ctx->avps].name = arena(ctx, "7");
	ctx->avp[ctx->avps++].value = (struct route_cell){.type = ROUTE_INT, .i = -12};
	ctx->q = 700;
	ctx->shard = 3;
	ctx->socket = 2;
	ctx->branch_flags = 5;
	ctx->reg_id = 4;
	ctx->instance = arena(ctx, "\"<urn:uuid:1>\"");
	memset(ctx->scratch[ROUTE_SCRATCH_TXN], 0x42, ROUTE_SCRATCH_BYTES);
	ctx->scratch[ROUTE_SCRATCH_PROXY][ROUTE_SCRATCH_BYTES - 1] = 1;
	ctx->received_ns = 1234567;
	ctx->frames = 3;
}

static void *save(struct route_ctx *ctx, uint32_t *size)
{
	uint32_t n = route_ctx_saved_size(ctx);
	/* Of any alignment, and not a byte more than was asked for. */
	char *room = malloc(n + 1);

	assert_non_null(room);
	route_ctx_save(ctx, room + 1);
	*size = n;
	return room;
}

/* As the transaction does it: the text again, indexed again, in a context that held another. */
static void comes_back(struct language *l, const char *message)
{
	memset(l->ctx, 0x5a, sizeof(*l->ctx));
	language_message(l, message);
}

static void test_what_is_kept_reads_the_same(void **state)
{
	struct language *l = load(), *other = load();
	uint32_t size;
	char before[sizeof(language_calls)], out[4000], want[4000];
	int64_t n, wanted;

	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	fill(l->ctx);
	language_calls[0] = '\0';

	uint32_t after = route_script_block(l->script, ROUTE_IN_EVENT, STR("after"));
	char *room = save(l->ctx, &size);

	assert_int_equal(route_run_block(l->ctx, after, ROUTE_IN_EVENT), ROUTE_ENDED);
	memcpy(before, language_calls, sizeof(before));
	assert_non_null(strstr(before, "note(vbob,41,sip:newalice@example.net:5070;x=1,"));
	wanted = sip_edit_apply(&l->ctx->edits, l->buf, l->ctx->msg.len, want, sizeof(want));

	language_message(other, language_invite);
	comes_back(other, language_invite);
	route_ctx_bind(other->ctx, l->script, &other->thread, other->buf);
	route_ctx_load(other->ctx, room + 1);
	struct route_ctx *ctx = other->ctx;

	assert_int_equal(ctx->steps + ctx->pc + ctx->sp + ctx->calls, 0);
	assert_int_equal(ctx->failure, ROUTE_FAILURE_NONE);
	language_calls[0] = '\0';
	assert_int_equal(route_run_block(ctx, after, ROUTE_IN_EVENT), ROUTE_ENDED);
	assert_string_equal(language_calls, before);
	n = sip_edit_apply(&ctx->edits, other->buf, ctx->msg.len, out, sizeof(out));
	assert_int_equal(n, wanted);
	assert_memory_equal(out, want, (size_t)n);
	assert_true(str_eq(route_text_str(ctx, ctx->result.headers),
		STR("A: sip:newalice@example.net:5070;x=1\r\n")));
	assert_int_equal(ctx->branches, 3);
	for (unsigned i = 0; i < 3; i++) {
		char uri[32];

		snprintf(uri, sizeof(uri), "sip:b%u@10.0.0.9", i);
		assert_true(str_eq(route_text_str(ctx, ctx->branch[i].uri), str_c(uri)));
		assert_int_equal(ctx->branch[i].q, 100 * i);
	}
	assert_int_equal(ctx->waiting, 2);
	assert_true(str_eq(route_text_str(ctx, ctx->branch[ROUTE_BRANCHES_MAX - 2].du),
		STR("sip:b1@10.0.0.9")));
	assert_int_equal(ctx->branch[ROUTE_BRANCHES_MAX - 1].socket, 0);
	assert_int_equal(ctx->avps, 3);
	assert_true(str_eq(
		route_text_str(ctx, ctx->avp[0].value.text), STR("sip:bob@example.net:5070;x=1")));
	assert_true(str_eq(route_text_str(ctx, ctx->avp[1].name), STR("other")));
	assert_int_equal(ctx->avp[2].value.i, -12);
	assert_int_equal(ctx->q, 700);
	assert_int_equal(ctx->shard, 3);
	assert_int_equal(ctx->socket, 2);
	assert_int_equal(ctx->branch_flags, 5);
	assert_int_equal(ctx->reg_id, 4);
	assert_int_equal(ctx->received_ns, 1234567);
	assert_int_equal(ctx->frames, 3);
	assert_int_equal(ctx->origin.src.port, 40000);
	assert_int_equal(ctx->scratch[ROUTE_SCRATCH_TXN][77], 0x42);
	assert_int_equal(ctx->scratch[ROUTE_SCRATCH_PROXY][ROUTE_SCRATCH_BYTES - 1], 1);
	assert_int_equal(ctx->scratch[ROUTE_SCRATCH_DISPATCH][0], 0);
	/* It can be kept again, and is the same. */
	uint32_t again;
	char *second;

	ctx->result.forward = l->ctx->result.forward;
	second = save(ctx, &again);
	assert_int_equal(again, size);
	free(second);
	free(room);
	language_free(other);
	language_free(l);
}

/* A script that does little leaves little to keep. */
static void test_what_is_kept_is_small(void **state)
{
	struct language *l = language_load(MODULES "request_route { setflag(1); }");

	assert_non_null(l->script);
	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	assert_in_range(route_ctx_saved_size(l->ctx), 1, 400);
	language_free(l);
}

static bool avp_is(const struct route_ctx *ctx, unsigned i, const char *name, const char *value)
{
	return str_eq(route_text_str(ctx, ctx->avp[i].name), str_c(name)) &&
	       str_eq(route_text_str(ctx, ctx->avp[i].value.text), str_c(value));
}

static void test_a_response_sees_and_changes_what_the_transaction_has(void **state)
{
	struct language *l = load(), *reply = load();
	uint32_t size, updated;

	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	fill(l->ctx);
	char *room = save(l->ctx, &size);
	struct str request = str_of(l->buf, l->ctx->msg.len);

	language_message(reply, language_ok);
	route_ctx_bind(reply->ctx, l->script, &reply->thread, reply->buf);
	assert_true(route_ctx_load_shared(reply->ctx, room + 1, str_of(l->buf, l->ctx->msg.len)));
	struct route_ctx *ctx = reply->ctx;

	assert_int_equal(ctx->flags, 1u << 7);
	assert_int_equal(ctx->avps, 3);
	assert_true(avp_is(ctx, 0, "kept", "sip:bob@example.net:5070;x=1"));
	assert_true(avp_is(ctx, 1, "other", "value"));
	assert_int_equal(ctx->avp[2].value.i, -12);
	/* Nothing but that. */
	assert_int_equal(ctx->branches + ctx->waiting, 0);
	assert_int_equal(ctx->var_set, 0);
	assert_int_equal(ctx->edits.count, 0);
	/* Nothing has changed: nothing to keep. */
	assert_int_equal(route_ctx_update_size(ctx, room + 1, request), 0);
	/* A change, an addition of the response's own text, a flag. */
	ctx->avp[1].value.text = route_text_make(ctx, STR("another value"));
	add_avp(ctx, arena(ctx, "reason"), route_text_of_span(ctx->msg.reason));
	add_avp(ctx, arena(ctx, "empty"), arena(ctx, ""));
	ctx->flags |= 1;
	updated = route_ctx_update_size(ctx, room + 1, request);
	assert_in_range(updated, size + 1, size + 300);
	char *second = malloc(updated);

	route_ctx_update(ctx, room + 1, request, second);
	free(room);
	comes_back(reply, language_invite);
	route_ctx_bind(ctx, l->script, &reply->thread, reply->buf);
	route_ctx_load(ctx, second);
	assert_int_equal(ctx->flags, 1u << 7 | 1);
	assert_int_equal(ctx->avps, 5);
	assert_true(avp_is(ctx, 0, "kept", "sip:bob@example.net:5070;x=1"));
	assert_true(avp_is(ctx, 1, "other", "another value"));
	assert_int_equal(ctx->avp[2].value.i, -12);
	assert_true(avp_is(ctx, 3, "reason", "Session Progress"));
	assert_true(avp_is(ctx, 4, "empty", ""));
	/* All else is the request's. */
	assert_int_equal(ctx->branches, 3);
	assert_int_equal(ctx->waiting, 2);
	assert_true(str_eq(route_text_str(ctx, ctx->branch[ROUTE_BRANCHES_MAX - 2].du),
		STR("sip:b1@10.0.0.9")));
	assert_true(str_eq(route_ctx_uri(ctx), STR("sip:newalice@example.net:5070;x=1")));
	assert_int_equal(route_ctx_saved_size(ctx), updated);
	free(second);
	language_free(reply);
	language_free(l);
}

/* failure_route: contacts whose turn has come wait no more, and the request is as it was. */
static void test_a_request_that_comes_back_takes_from_what_waits(void **state)
{
	struct language *l = load();
	uint32_t size, updated;

	language_message(l, language_invite);
	assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
	fill(l->ctx);
	char *room = save(l->ctx, &size), *second;
	struct route_ctx *ctx = l->ctx;

	comes_back(l, language_invite);
	route_ctx_load(ctx, room + 1);
	assert_int_equal(route_ctx_update_size(ctx, room + 1, str_of(l->buf, ctx->msg.len)), 0);
	ctx->waiting = 1;
	ctx->uri = arena(ctx, "sip:somewhere@else.example");
	ctx->avps = 1;
	updated = route_ctx_update_size(ctx, room + 1, str_of(l->buf, ctx->msg.len));
	assert_int_equal(
		updated, size - sizeof(struct route_branch) - 2 * sizeof(struct route_avp));
	second = malloc(updated);
	route_ctx_update(ctx, room + 1, str_of(l->buf, ctx->msg.len), second);
	comes_back(l, language_invite);
	route_ctx_load(ctx, second);
	assert_int_equal(ctx->waiting, 1);
	assert_true(str_eq(route_text_str(ctx, ctx->branch[ROUTE_BRANCHES_MAX - 1].du),
		STR("sip:b0@10.0.0.9")));
	assert_int_equal(ctx->avps, 1);
	assert_true(avp_is(ctx, 0, "kept", "sip:bob@example.net:5070;x=1"));
	assert_true(str_eq(route_ctx_uri(ctx), STR("sip:newalice@example.net:5070;x=1")));
	assert_int_equal(ctx->edits.count > 0, 1);
	free(second);
	free(room);
	language_free(l);
}

static void test_what_is_shared_is_bounded(void **state)
{
	struct language *l = load();
	static char big[ROUTE_TEXT_MAX];
	uint32_t size;

	memset(big, 'b', sizeof(big));
	language_message(l, language_invite);
	add_avp(l->ctx, arena(l->ctx, "a"), arena(l->ctx, "c"));
	char *room = save(l->ctx, &size);

	comes_back(l, language_ok);
	assert_true(route_ctx_load_shared(l->ctx, room + 1, STR("")));
	l->ctx->avp[0].value.text =
		route_text_make(l->ctx, str_of(big, ROUTE_TEXT_MAX - l->ctx->text_len));
	assert_int_equal(
		route_ctx_update_size(l->ctx, room + 1, STR("")), ROUTE_TEXT_MAX + size - 2);
	add_avp(l->ctx, route_text_of_span(l->ctx->msg.reason), arena(l->ctx, ""));
	assert_int_equal(route_ctx_update_size(l->ctx, room + 1, STR("")), 0);
	assert_int_equal(l->ctx->failure, ROUTE_FAILURE_TEXT_FULL);
	/* And into a context that has no room for it. */
	comes_back(l, language_ok);
	l->ctx->text_len = ROUTE_TEXT_MAX - 1;
	assert_false(route_ctx_load_shared(l->ctx, room + 1, STR("")));
	assert_int_equal(l->ctx->failure, ROUTE_FAILURE_TEXT_FULL);
	free(room);
	language_free(l);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_kept_reads_the_same),
		cmocka_unit_test(test_what_is_kept_is_small),
		cmocka_unit_test(test_a_response_sees_and_changes_what_the_transaction_has),
		cmocka_unit_test(test_a_request_that_comes_back_takes_from_what_waits),
		cmocka_unit_test(test_what_is_shared_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
