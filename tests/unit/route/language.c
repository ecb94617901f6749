/* SPDX-License-Identifier: BSD-3-Clause */
#include "../message.h"
#include "language.h"

#include <stdio.h>
#include <stdlib.h>

char language_calls[4096];
char language_life[256];
int language_pending, language_block_verdict;
bool language_needs_state;
bool language_refuse_prepare;

const char language_invite[] = "INVITE sip:bob@example.net:5070;x=1 SIP/2.0\n"
			       "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKabc\n"
			       "From: \"Alice\" <sip:alice@example.org>;tag=f1\n"
			       "To: <sip:bob@example.net>\n"
			       "Call-ID: c1@192.0.2.7\n"
			       "CSeq: 7 INVITE\n"
			       "Max-Forwards: 70\n"
			       "Subject: lunch\n"
			       "X-Number: 42\n"
			       "X-Empty:\n"
			       "Content-Length: 0\n"
			       "\n";

const char language_ok[] = "SIP/2.0 183 Session Progress\n"
			   "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKabc\n"
			   "From: <sip:alice@example.org>;tag=f1\n"
			   "To: <sip:bob@example.net>;tag=t1\n"
			   "Call-ID: c1@192.0.2.7\n"
			   "CSeq: 7 INVITE\n"
			   "Content-Length: 0\n"
			   "\n";

static void record(const char *name, const struct route_args *args)
{
	size_t at = strlen(language_calls);

	at += (size_t)snprintf(
		language_calls + at, sizeof(language_calls) - at, "%s%s(", at > 0 ? " " : "", name);
	for (unsigned i = 0; i < args->n && at < sizeof(language_calls); i++) {
		const struct route_value *v = &args->v[i];
		const char *comma = i > 0 ? "," : "";

		if (v->type == ROUTE_INT)
			at += (size_t)snprintf(language_calls + at, sizeof(language_calls) - at,
				"%s%lld", comma, (long long)v->i);
		else if (v->type == ROUTE_STR)
			at += (size_t)snprintf(language_calls + at, sizeof(language_calls) - at,
				"%s%.*s", comma, STR_FMT(v->s));
		else
			at += (size_t)snprintf(
				language_calls + at, sizeof(language_calls) - at, "%snull", comma);
	}
	if (at < sizeof(language_calls))
		snprintf(language_calls + at, sizeof(language_calls) - at, ")");
}

/* Returns its first argument where that is a number, else 1. */
static int32_t run_give(struct route_ctx *ctx, const struct route_args *args)
{
	record("give", args);
	return args->n > 0 && args->v[0].type == ROUTE_INT ? (int32_t)args->v[0].i : 1;
}

static int32_t run_note(struct route_ctx *ctx, const struct route_args *args)
{
	record("note", args);
	return 1;
}

static int32_t run_pending(struct route_ctx *ctx, const struct route_args *args)
{
	if (language_pending > 0) {
		language_pending--;
		return route_wait_name(ctx, STR("example.net"), 0);
	}
	record("pending", args);
	return 1;
}

/* What a function does that looks rows up, or changes some: its argument stands for the call. */
static int32_t asked(struct route_ctx *ctx, const char *name, const struct route_args *args,
	int32_t (*wait)(struct route_ctx *ctx, struct str call))
{
	switch (route_answer(ctx, args->v[0].s)) {
	case ROUTE_ANSWER_NONE:
		return wait(ctx, args->v[0].s);
	case ROUTE_ANSWER_DONE:
		record(name, args);
		return 1;
	case ROUTE_ANSWER_REFUSED:
		return -2;
	case ROUTE_ANSWER_FAILED:
	case ROUTE_ANSWER_TOO_LONG:
		break;
	}
	return -3;
}

static int32_t run_rows(struct route_ctx *ctx, const struct route_args *args)
{
	return asked(ctx, "rows", args, route_wait_rows);
}

static int32_t run_change(struct route_ctx *ctx, const struct route_args *args)
{
	return asked(ctx, "change", args, route_wait_change);
}

static int32_t run_needs(struct route_ctx *ctx, const struct route_args *args)
{
	if (language_needs_state)
		return ROUTE_NEEDS_STATE;
	record("needs", args);
	return 1;
}

static int32_t run_slow(struct route_ctx *ctx, const struct route_args *args)
{
	record("slow", args);
	return 1;
}

/* Runs branch_route[its argument] from within the call, and says what came of it. */
static int32_t run_block(struct route_ctx *ctx, const struct route_args *args)
{
	uint32_t block = route_script_block(ctx->script, ROUTE_IN_BRANCH, args->v[0].s);
	enum route_verdict verdict;

	record("block", args);
	verdict = route_run_block(ctx, block, ROUTE_IN_BRANCH);
	language_block_verdict = (int)verdict;
	if (verdict == ROUTE_WAIT)
		return ROUTE_PENDING;
	return ctx->result.drop ? -2 : 2;
}

/* A worker can do it for an ACK. */
static int32_t run_either(struct route_ctx *ctx, const struct route_args *args)
{
	if (!ctx->thread->has_state && ctx->msg.method != SIP_METHOD_ACK)
		return ROUTE_NEEDS_STATE;
	record("either", args);
	return 1;
}

static int32_t run_reply(struct route_ctx *ctx, const struct route_args *args)
{
	record("reply", args);
	ctx->result.reply = true;
	return 1;
}

static int32_t run_forward(struct route_ctx *ctx, const struct route_args *args)
{
	record("forward", args);
	ctx->result.forward = true;
	return 1;
}

static int32_t run_yes(struct route_ctx *ctx, const struct route_args *args)
{
	return 1;
}

static int32_t run_no(struct route_ctx *ctx, const struct route_args *args)
{
	return -1;
}

static int check_even(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	if (n > 0 && arg[0].constant && arg[0].value.type == ROUTE_INT && arg[0].value.i % 2 != 0) {
		route_error(report, &arg[0].place, "%lld is odd", (long long)arg[0].value.i);
		return -EINVAL;
	}
	*data = malloc(16);
	return *data != NULL ? 0 : -EINVAL;
}

struct test_config {
	int64_t number;
	const char *word;
};

static int prepare(void *room, const void *config, struct route_report *report, void **prepared)
{
	strcat(language_life, "p");
	if (language_refuse_prepare) {
		route_error(report, NULL, "the list cannot be read");
		return -EIO;
	}
	*prepared = malloc(1);
	return *prepared != NULL ? 0 : -ENOMEM;
}

static void publish(void *room, void *prepared)
{
	strcat(language_life, "P");
	free(prepared);
}

static void discard(void *room, void *prepared)
{
	strcat(language_life, "d");
	free(prepared);
}

static const struct route_function test_functions[] = {{.name = "give",
							       .args_min = 0,
							       .args_max = 3,
							       .in = ROUTE_IN_ANY,
							       .run = run_give,
							       .usage = "give([rc])"},
	{.name = "note",
		.args_min = 0,
		.args_max = 8,
		.in = ROUTE_IN_ANY,
		.run = run_note,
		.usage = "note(...)"},
	{.name = "raw",
		.args_min = 1,
		.args_max = 2,
		.in = ROUTE_IN_ANY,
		.run = run_note,
		.raw = 1,
		.usage = "raw(pattern)"},
	{.name = "pending",
		.args_min = 0,
		.args_max = 4,
		.in = ROUTE_IN_ANY,
		.run = run_pending,
		.usage = "pending()"},
	{.name = "rows",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_rows,
		.usage = "rows(call)"},
	{.name = "change",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_change,
		.usage = "change(calls)"},
	{.name = "needs",
		.args_min = 0,
		.args_max = 4,
		.in = ROUTE_IN_ANY,
		.run = run_needs,
		.usage = "needs()"},
	{.name = "slow",
		.args_min = 0,
		.args_max = 4,
		.in = ROUTE_IN_ANY,
		.path = ROUTE_PATH_SLOW,
		.run = run_slow,
		.usage = "slow()"},
	{.name = "either",
		.args_min = 0,
		.args_max = 4,
		.in = ROUTE_IN_ANY,
		.path = ROUTE_PATH_EITHER,
		.run = run_either,
		.usage = "either()"},
	{.name = "unheard",
		.in = ROUTE_IN_ANY,
		.path = ROUTE_PATH_SLOW,
		.usage = "unheard()",
		.help = "nothing runs it"},
	{.name = "block",
		.args_min = 1,
		.args_max = 3,
		.in = ROUTE_IN_ANY,
		.path = ROUTE_PATH_SLOW,
		.run = run_block,
		.usage = "block(name)"},
	{.name = "even",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_ANY,
		.run = run_note,
		.check = check_even,
		.free_data = free,
		.usage = "even(n)"},
	{.name = "only_reply",
		.args_min = 0,
		.args_max = 0,
		.in = ROUTE_IN_REPLY,
		.run = run_note,
		.usage = "only_reply()"},
	{.name = NULL}};
static const struct route_param test_params[] = {
	{.name = "number",
		.type = ROUTE_PARAM_INT,
		.offset = offsetof(struct test_config, number),
		.min = 1,
		.max = 9,
		.initial = "5"},
	{.name = "word",
		.type = ROUTE_PARAM_STR,
		.offset = offsetof(struct test_config, word),
		.initial = "none"},
	{.name = "old", .type = ROUTE_PARAM_INT, .accepted_only = true}, {.name = NULL}};
static const struct route_module test_module = {
	"test", test_functions, test_params, sizeof(struct test_config), prepare, publish, discard};

static const struct route_function sl_functions[] = {
	{.name = "sl_send_reply",
		.args_min = 2,
		.args_max = 2,
		.in = ROUTE_IN_REQUEST | ROUTE_IN_ERROR,
		.run = run_reply,
		.usage = "sl_send_reply(code, reason)"},
	{.name = "send_reply",
		.args_min = 2,
		.args_max = 2,
		.in = ROUTE_IN_REQUEST | ROUTE_IN_ERROR,
		.run = run_reply,
		.usage = "send_reply(code, reason)"},
	{.name = "sl_reply_error",
		.args_min = 0,
		.args_max = 0,
		.in = ROUTE_IN_REQUEST,
		.run = run_reply,
		.usage = "sl_reply_error()"},
	{.name = "relay",
		.args_min = 0,
		.args_max = 2,
		.in = ROUTE_IN_REQUEST | ROUTE_IN_FAILURE,
		.run = run_forward,
		.usage = "relay()"},
	{.name = NULL}};
static const struct route_module sl_module = {"sl", sl_functions, NULL, 0, NULL, NULL, NULL};

static const struct route_function rr_functions[] = {{.name = "record_route",
							     .args_min = 0,
							     .args_max = 1,
							     .in = ROUTE_IN_REQUEST,
							     .run = run_yes,
							     .usage = "record_route([params])"},
	{.name = "loose_route",
		.args_min = 0,
		.args_max = 0,
		.in = ROUTE_IN_REQUEST,
		.run = run_no,
		.usage = "loose_route()"},
	{.name = NULL}};
static const struct route_param rr_params[] = {
	{.name = "enable_full_lr", .type = ROUTE_PARAM_INT, .accepted_only = true},
	{.name = "append_fromtag", .type = ROUTE_PARAM_INT, .accepted_only = true}, {.name = NULL}};
static const struct route_module rr_module = {"rr", rr_functions, rr_params, 0, NULL, NULL, NULL};

static const struct route_function maxfwd_functions[] = {
	{.name = "mf_process_maxfwd_header",
		.args_min = 1,
		.args_max = 1,
		.in = ROUTE_IN_REQUEST,
		.run = run_yes,
		.usage = "mf_process_maxfwd_header(max)"},
	{.name = NULL}};
static const struct route_module maxfwd_module = {
	"maxfwd", maxfwd_functions, NULL, 0, NULL, NULL, NULL};

static const struct route_function dispatcher_functions[] = {
	{.name = "ds_select_dst",
		.args_min = 2,
		.args_max = 3,
		.in = ROUTE_IN_REQUEST,
		.run = run_yes,
		.usage = "ds_select_dst(set, algorithm [, limit])"},
	{.name = "ds_next_dst",
		.args_min = 0,
		.args_max = 0,
		.in = ROUTE_IN_ANY,
		.run = run_yes,
		.usage = "ds_next_dst()"},
	{.name = NULL}};
static const struct route_param dispatcher_params[] = {
	{.name = "list_file", .type = ROUTE_PARAM_STR, .offset = 0}, {.name = NULL}};
static const struct route_module dispatcher_module = {
	"dispatcher", dispatcher_functions, dispatcher_params, sizeof(char *), NULL, NULL, NULL};

/* What needs state, and says yes where there is some. */
#define STATEFUL(function, least, most) \
	{ \
		.name = function, .args_min = least, .args_max = most, .path = ROUTE_PATH_SLOW, \
		.in = ROUTE_IN_ANY, .run = run_yes, .usage = function "()" \
	}
#define NUMBER(param) \
	{ \
		.name = param, .type = ROUTE_PARAM_INT, .min = -1, .max = INT32_MAX \
	}
#define TEXT(param) \
	{ \
		.name = param, .type = ROUTE_PARAM_STR \
	}

static const struct route_function no_functions[] = {{.name = NULL}};
static const struct route_param usrloc_params[] = {NUMBER("db_mode"), NUMBER("use_domain"),
	NUMBER("nat_bflag"), TEXT("db_url"), {.name = NULL}};
static const struct route_module usrloc_module = {
	"usrloc", no_functions, usrloc_params, sizeof(int64_t), NULL, NULL, NULL};
static const struct route_function registrar_functions[] = {STATEFUL("save", 1, 3),
	STATEFUL("lookup", 1, 2), STATEFUL("registered", 1, 4), STATEFUL("unregister", 2, 3),
	{.name = NULL}};
static const struct route_param registrar_params[] = {NUMBER("method_filtering"),
	NUMBER("max_expires"), NUMBER("append_branches"), NUMBER("gruu_enabled"),
	TEXT("received_avp"),
	{.name = "tcp_persistent_flag", .type = ROUTE_PARAM_INT, .accepted_only = true},
	{.name = NULL}};
static const struct route_module registrar_module = {
	"registrar", registrar_functions, registrar_params, sizeof(int64_t), NULL, NULL, NULL};

static const struct route_function tm_functions[] = {STATEFUL("t_relay", 0, 2),
	STATEFUL("t_newtran", 0, 0), STATEFUL("t_reply", 2, 2), STATEFUL("t_check_trans", 0, 0),
	STATEFUL("t_precheck_trans", 0, 0), STATEFUL("t_on_reply", 1, 1),
	STATEFUL("t_on_failure", 1, 1), STATEFUL("t_on_branch", 1, 1),
	STATEFUL("t_check_status", 1, 1), STATEFUL("t_is_canceled", 0, 0),
	STATEFUL("t_is_set", 1, 1), {.name = NULL}};
static const struct route_param tm_params[] = {
	NUMBER("fr_timer"), NUMBER("fr_inv_timer"), NUMBER("failure_reply_mode"), {.name = NULL}};
static bool get_five(
	struct route_ctx *ctx, const struct route_index *index, struct route_value *out)
{
	*out = (struct route_value){.type = ROUTE_INT, .i = 5};
	return true;
}

static const struct route_variable tm_variables[] = {
	{.name = "T_branch_idx", .get = get_five}, {.name = NULL}};
static const struct route_module tm_module = {
	"tm", tm_functions, tm_params, sizeof(int64_t), NULL, NULL, NULL, tm_variables};

static bool is_myself(void *room, struct str host, uint16_t port, enum sip_transport transport)
{
	return str_ieq(host, STR("example.net")) || str_eq(host, STR("198.51.100.1"));
}

void language_registry(struct route_registry *registry)
{
	route_registry_init(registry);
	registry->hooks.is_myself = is_myself;
	route_registry_add(registry, &test_module, NULL);
	route_registry_add(registry, &sl_module, NULL);
	route_registry_add(registry, &rr_module, NULL);
	route_registry_add(registry, &maxfwd_module, NULL);
	route_registry_add(registry, &dispatcher_module, NULL);
	route_registry_add(registry, &usrloc_module, NULL);
	route_registry_add(registry, &registrar_module, NULL);
	route_registry_add(registry, &tm_module, NULL);
}

struct language *language_load(const char *text)
{
	struct language *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	language_calls[0] = '\0';
	language_life[0] = '\0';
	language_registry(&l->registry);
	l->report = route_report_create();
	assert_non_null(l->report);
	l->script = route_script_load_text("test.cfg", str_c(text), &l->registry, l->report);
	l->ctx = aligned_alloc(64, (sizeof(*l->ctx) + 63) & ~(size_t)63);
	assert_non_null(l->ctx);
	memset(l->ctx, 0xa5, sizeof(*l->ctx));
	assert_int_equal(route_thread_init(&l->thread, 0), 0);
	return l;
}

void language_free(struct language *l)
{
	route_script_unref(l->script);
	route_report_destroy(l->report);
	route_thread_fini(&l->thread);
	free(l->ctx);
	free(l->buf);
	free(l);
}

void language_message(struct language *l, const char *text)
{
	uint32_t len;

	free(l->buf);
	l->buf = message_wire(text, &len);
	/* Not a byte more: a sanitizer tells who reads behind it. */
	l->buf = realloc(l->buf, len);
	assert_non_null(l->buf);
	assert_int_equal(sip_msg_index(&l->ctx->msg, l->buf, len), SIP_OK);
	memset(&l->ctx->origin, 0, sizeof(l->ctx->origin));
	net_addr_parse(STR("192.0.2.7"), &l->ctx->origin.src.addr);
	l->ctx->origin.src.port = 40000;
	net_addr_parse(STR("198.51.100.1"), &l->ctx->origin.dst.addr);
	l->ctx->origin.dst.port = 5060;
	l->ctx->origin.transport = SIP_TRANSPORT_UDP;
	route_ctx_bind(l->ctx, l->script, &l->thread, l->buf);
	route_ctx_reset(l->ctx);
	language_calls[0] = '\0';
}
