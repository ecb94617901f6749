/* SPDX-License-Identifier: BSD-3-Clause */
/* The functions as a script calls them, on real messages. */
#include "common.h"

#include <unistd.h>

#define LIST \
	"1 sip:10.0.0.1:5060 0 0 duid=a\n" \
	"1 sip:10.0.0.2:5070;px=1 0 0 duid=b;socket=udp:192.0.2.9:5060\n" \
	"1 sip:10.0.0.3 0 0 duid=c\n" \
	"2 sip:10.0.0.4:5060 0 1\n" \
	"2 sip:10.0.0.5:5060 0 9\n" \
	"3 sip:two.test:5070\n"

static struct names names;

struct bench {
	struct rcu rcu;
	int reader;
	struct dispatch *d;
	struct route_report *report;
	struct route_thread thread;
	struct route_ctx ctx;
	char text[2048];
	void *config; /* as the loader fills it */
	char path[64];
};

static struct hash128 key_of_via(void *arg, struct route_ctx *ctx)
{
	static const struct hash_key key = {{5, 6}};
	const struct sip_via *via = sip_msg_via(&ctx->msg, ctx->buf, 0);
	struct hash h;

	hash_init128(&h, &key);
	hash_str(&h, sip_text(ctx->buf, via->branch));
	return hash_final128(&h);
}

static int listener_9(void *arg, const struct net_endpoint *ep, enum sip_transport transport)
{
	struct net_addr nine;

	net_addr_parse(STR("192.0.2.9"), &nine);
	return transport == SIP_TRANSPORT_UDP && net_addr_equal(&ep->addr, &nine) &&
			       ep->port == 5060
		       ? 4
		       : -1;
}

/* Sets a parameter as the loader does. */
static void set_param(struct bench *b, const char *name, const char *text, int64_t number)
{
	for (const struct route_param *p = dispatch_module.params; p->name != NULL; p++) {
		if (strcmp(p->name, name) != 0)
			continue;
		if (p->type == ROUTE_PARAM_INT)
			*(int64_t *)(void *)((char *)b->config + p->offset) = number;
		else
			*(const char **)(void *)((char *)b->config + p->offset) = text;
		return;
	}
	fail_msg("no parameter %s", name);
}

static void write_list(struct bench *b, const char *list)
{
	FILE *file = fopen(b->path, "w");

	assert_non_null(file);
	fputs(list, file);
	fclose(file);
}

static int reload(struct bench *b)
{
	void *prepared = NULL;
	int err = dispatch_module.prepare(b->d, b->config, b->report, &prepared);

	if (err == 0)
		dispatch_module.publish(b->d, prepared);
	return err;
}

static int setup(void **state)
{
	struct bench *b = aligned_alloc(64, (sizeof(*b) + 63) & ~(size_t)63);
	struct dispatch_config config = {.rcu = &b->rcu,
		.transaction_key = key_of_via,
		.find_listener = listener_9,
		.pins = 10000,
		.now_ns = test_now};
	int fd;

	memset(b, 0, sizeof(*b));
	rcu_init(&b->rcu);
	b->reader = rcu_register(&b->rcu);
	config.resolver = names.resolver;
	b->d = dispatch_create(&config);
	b->report = route_report_create();
	b->thread.random = 1;
	b->thread.now_ns = test_now();
	b->config = calloc(1, dispatch_module.config_size);
	for (const struct route_param *p = dispatch_module.params; p->name != NULL; p++)
		if (p->initial != NULL)
			set_param(b, p->name, p->initial, atoi(p->initial));
	strcpy(b->path, "/tmp/dispatch-functions-XXXXXX");
	fd = mkstemp(b->path);
	assert_true(fd >= 0);
	close(fd);
	set_param(b, "list_file", b->path, 0);
	write_list(b, LIST);
	*state = b;
	return reload(b);
}

static int teardown(void **state)
{
	struct bench *b = *state;

	rcu_offline(&b->rcu, b->reader);
	dispatch_destroy(b->d);
	route_report_destroy(b->report);
	unlink(b->path);
	free(b->config);
	free(b);
	return 0;
}

/* A request; the context as it is when the script begins. */
static void receive(struct bench *b, const char *method, const char *uri, const char *branch,
	const char *call_id)
{
	int n = snprintf(b->text, sizeof(b->text),
		"%s %s SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK%s\r\n"
		"From: \"A\" <sip:alice@Atlanta.example>;tag=1\r\n"
		"To: <sip:bob@biloxi.example:5060>\r\n"
		"Call-ID: %s\r\n"
		"CSeq: 1 %s\r\n"
		"Max-Forwards: 70\r\n"
		"Content-Length: 0\r\n\r\n",
		method, uri, branch, call_id, method);

	assert_int_equal(sip_msg_index(&b->ctx.msg, b->text, (uint32_t)n), SIP_OK);
	route_ctx_bind(&b->ctx, NULL, &b->thread, b->text);
	route_ctx_reset(&b->ctx);
	net_addr_parse(STR("198.51.100.7"), &b->ctx.origin.src.addr);
	b->ctx.origin.src.port = 5060;
	b->ctx.origin.transport = SIP_TRANSPORT_UDP;
}

static const struct route_function *function(const char *name)
{
	for (const struct route_function *f = dispatch_module.functions; f->name != NULL; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	fail_msg("no function %s", name);
	return NULL;
}

static struct route_value text_value(const char *text)
{
	return (struct route_value){.type = ROUTE_STR, .s = str_c(text)};
}

/* Checks and runs a call with string arguments up to the first NULL; INT32_MIN where the check
 * refuses it. */
static int32_t call(
	struct bench *b, const char *name, const char *a0, const char *a1, const char *a2)
{
	const struct route_function *f = function(name);
	const char *text[3] = {a0, a1, a2};
	struct route_place place = {"test.cfg", 7, 3, 1};
	struct route_value v[3];
	struct route_arg arg[3];
	struct route_args args = {.v = v, .room = b->d};
	void *data = NULL;
	int32_t result;

	for (; args.n < 3 && text[args.n] != NULL; args.n++) {
		v[args.n] = text_value(text[args.n]);
		arg[args.n] = (struct route_arg){true, v[args.n], place};
	}
	assert_in_range(args.n, f->args_min, f->args_max);
	if (f->check != NULL &&
		f->check(b->d, b->config, arg, args.n, &place, b->report, &data) != 0)
		return INT32_MIN;
	args.data = data;
	result = f->run(&b->ctx, &args);
	if (f->free_data != NULL)
		f->free_data(data);
	return result;
}

static void expect_text(struct bench *b, struct route_text text, const char *want)
{
	struct str got = route_text_str(&b->ctx, text);

	assert_int_equal(got.len, strlen(want));
	assert_memory_equal(got.s, want, got.len);
}

static void ds_select_dst_sets_du_and_its_address(void **state)
{
	struct bench *b = *state;
	char address[NET_ENDPOINT_TEXT_MAX];

	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "one@x");
	assert_int_equal(call(b, "ds_select_dst", "2", "8", NULL), ROUTE_TRUE);
	expect_text(b, b->ctx.du, "sip:10.0.0.5:5060");
	assert_true(b->ctx.du_target.valid);
	net_endpoint_format(&b->ctx.du_target.ep, address);
	assert_string_equal(address, "10.0.0.5:5060");
	assert_int_equal(b->ctx.du_target.transport, SIP_TRANSPORT_UDP);
	assert_int_equal(b->ctx.du_target.listener, -1);
	assert_true(b->ctx.du_target.destination > 0);
	expect_text(b, b->ctx.uri, "");
}

static void the_socket_attribute_names_the_listener(void **state)
{
	struct bench *b = *state;
	bool met = false;

	for (unsigned i = 0; i < 50 && !met; i++) {
		char call_id[16];

		snprintf(call_id, sizeof(call_id), "c%u", i);
		receive(b, "INVITE", "sip:bob@biloxi.example", "1", call_id);
		assert_int_equal(call(b, "ds_select_dst", "1", "0", NULL), ROUTE_TRUE);
		met = b->ctx.du_target.ep.port == 5070;
		assert_int_equal(b->ctx.du_target.listener, met ? 4 : -1);
	}
	assert_true(met);
	expect_text(b, b->ctx.du, "sip:10.0.0.2:5070;px=1");
}

static void a_destination_by_name_has_the_address_found_at_load(void **state)
{
	struct bench *b = *state;

	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "c");
	assert_int_equal(call(b, "ds_select_dst", "3", "8", NULL), ROUTE_TRUE);
	expect_text(b, b->ctx.du, "sip:two.test:5070");
	assert_int_equal(b->ctx.du_target.ep.addr.b[1], 2);
	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "c");
	assert_int_equal(call(b, "ds_select_domain", "3", "8", NULL), ROUTE_TRUE);
	expect_text(b, b->ctx.uri, "sip:bob@10.2.0.1:5070");
}

static void ds_select_domain_keeps_user_and_parameters(void **state)
{
	struct bench *b = *state;

	receive(b, "INVITE", "sip:+49301234;cpc=x@biloxi.example:5099;user=phone", "1", "one@x");
	assert_int_equal(call(b, "ds_select_domain", "2", "8", NULL), ROUTE_TRUE);
	expect_text(b, b->ctx.uri, "sip:+49301234;cpc=x@10.0.0.5:5060;user=phone");
	expect_text(b, b->ctx.du, "");
	assert_int_equal(call(b, "ds_next_domain", NULL, NULL, NULL), ROUTE_TRUE);
	expect_text(b, b->ctx.uri, "sip:+49301234;cpc=x@10.0.0.4:5060;user=phone");
	receive(b, "INVITE", "tel:+49301234", "1", "one@x");
	assert_int_equal(call(b, "ds_select_domain", "2", "8", NULL), ROUTE_FALSE);
}

static void ds_next_dst_goes_through_all_the_others_once(void **state)
{
	static const char *const algorithm[] = {"0", "4", "6", "8", "9"};
	struct bench *b = *state;

	for (unsigned a = 0; a < 5; a++) {
		uint32_t seen = 0;

		receive(b, "INVITE", "sip:bob@biloxi.example", algorithm[a], "one@x");
		assert_int_equal(call(b, "ds_next_dst", NULL, NULL, NULL), ROUTE_FALSE);
		assert_int_equal(call(b, "ds_select_dst", "1", algorithm[a], NULL), ROUTE_TRUE);
		seen |= 1u << b->ctx.du_target.ep.addr.b[3];
		assert_int_equal(call(b, "ds_next_dst", NULL, NULL, NULL), ROUTE_TRUE);
		seen |= 1u << b->ctx.du_target.ep.addr.b[3];
		assert_int_equal(call(b, "ds_next_dst", NULL, NULL, NULL), ROUTE_TRUE);
		seen |= 1u << b->ctx.du_target.ep.addr.b[3];
		assert_int_equal(seen, 1u << 1 | 1u << 2 | 1u << 3);
		assert_int_equal(call(b, "ds_next_dst", NULL, NULL, NULL), ROUTE_FALSE);
	}
}

static void ds_next_dst_in_a_failure_route_goes_by_the_newest_table(void **state)
{
	struct dispatch_change change = {2, DISPATCH_DRAIN, STR("sip:10.0.0.4:5060")};
	struct dispatch_prepared *p;
	struct bench *b = *state;
	char why[256];

	assert_int_equal(dispatch_state_prepare(b->d, &change, &p, why, sizeof(why)), 0);
	assert_int_equal(dispatch_state_publish(b->d, p), 1);
	/* Without state it may be a retransmission, whose first copy went on to that one. */
	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "one@x");
	assert_int_equal(call(b, "ds_select_dst", "2", "8", NULL), ROUTE_TRUE);
	expect_text(b, b->ctx.du, "sip:10.0.0.5:5060");
	assert_int_equal(call(b, "ds_next_dst", NULL, NULL, NULL), ROUTE_TRUE);
	expect_text(b, b->ctx.du, "sip:10.0.0.4:5060");
	receive(b, "INVITE", "sip:bob@biloxi.example", "2", "two@x");
	assert_int_equal(call(b, "ds_select_dst", "2", "8", NULL), ROUTE_TRUE);
	b->ctx.in = ROUTE_IN_FAILURE;
	assert_int_equal(call(b, "ds_next_dst", NULL, NULL, NULL), ROUTE_FALSE);
}

static void a_limit_bounds_the_tries(void **state)
{
	struct bench *b = *state;

	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "one@x");
	assert_int_equal(call(b, "ds_select_dst", "1", "0", "2"), ROUTE_TRUE);
	assert_int_equal(call(b, "ds_next_dst", NULL, NULL, NULL), ROUTE_TRUE);
	assert_int_equal(call(b, "ds_next_dst", NULL, NULL, NULL), ROUTE_FALSE);
}

static void ds_select_leaves_the_message_alone_until_next(void **state)
{
	struct bench *b = *state;

	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "one@x");
	assert_int_equal(call(b, "ds_select", "2", "8", NULL), ROUTE_TRUE);
	expect_text(b, b->ctx.du, "");
	assert_int_equal(call(b, "ds_next_dst", NULL, NULL, NULL), ROUTE_TRUE);
	expect_text(b, b->ctx.du, "sip:10.0.0.5:5060");
	assert_int_equal(call(b, "ds_next_dst", NULL, NULL, NULL), ROUTE_TRUE);
	expect_text(b, b->ctx.du, "sip:10.0.0.4:5060");
	assert_int_equal(call(b, "ds_next_dst", NULL, NULL, NULL), ROUTE_FALSE);
}

static void the_state_goes_with_a_copied_context(void **state)
{
	struct bench *b = *state;
	struct route_ctx *copy = aligned_alloc(64, (sizeof(*copy) + 63) & ~(size_t)63);
	struct route_args args = {.room = b->d};
	struct route_thread other = {.index = 5, .now_ns = test_now(), .random = 9};

	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "one@x");
	assert_int_equal(call(b, "ds_select_dst", "2", "8", NULL), ROUTE_TRUE);
	memset(copy, 0, sizeof(*copy));
	route_ctx_copy(copy, &b->ctx);
	route_ctx_bind(copy, NULL, &other, b->text);
	assert_int_equal(function("ds_next_dst")->run(copy, &args), ROUTE_TRUE);
	assert_int_equal(copy->du_target.ep.addr.b[3], 4);
	free(copy);
}

static uint8_t chosen(struct bench *b, const char *algorithm, const char *method, const char *uri,
	const char *branch, const char *call_id)
{
	receive(b, method, uri, branch, call_id);
	assert_int_equal(call(b, "ds_select_dst", "1", algorithm, NULL), ROUTE_TRUE);
	return b->ctx.du_target.ep.addr.b[3];
}

static void cancel_and_ack_go_where_the_invite_went(void **state)
{
	static const char *const algorithm[] = {"0", "1", "2", "3", "4", "6", "8", "9", "11"};
	struct bench *b = *state;

	for (unsigned i = 0; i < 200; i++) {
		const char *a = algorithm[i % 9];
		char branch[16], call_id[16], uri[40];
		uint8_t at;

		snprintf(branch, sizeof(branch), "b%u", i);
		snprintf(call_id, sizeof(call_id), "c%u", i);
		snprintf(uri, sizeof(uri), "sip:u%u@biloxi.example", i);
		at = chosen(b, a, "INVITE", uri, branch, call_id);
		b->thread.index = i % 7;
		assert_int_equal(chosen(b, a, "INVITE", uri, branch, call_id), at);
		assert_int_equal(chosen(b, a, "CANCEL", uri, branch, call_id), at);
		assert_int_equal(chosen(b, a, "ACK", uri, branch, call_id), at);
	}
}

static unsigned spread(struct bench *b, const char *algorithm, bool by_uri)
{
	unsigned seen = 0;

	for (unsigned i = 0; i < 60; i++) {
		char call_id[16], uri[40];

		snprintf(call_id, sizeof(call_id), "c%u", by_uri ? 0 : i);
		snprintf(uri, sizeof(uri), "sip:u%u@biloxi.example", by_uri ? i : 0);
		seen |= 1u << chosen(b, algorithm, "MESSAGE", uri, "x", call_id);
	}
	return (unsigned)__builtin_popcount(seen);
}

static void each_hash_looks_at_its_part_of_the_message(void **state)
{
	struct bench *b = *state;

	assert_int_equal(spread(b, "0", false), 3);
	assert_int_equal(spread(b, "0", true), 1);
	assert_int_equal(spread(b, "3", false), 1);
	assert_int_equal(spread(b, "3", true), 3);
	assert_int_equal(spread(b, "1", true), 1);
	assert_int_equal(spread(b, "2", false), 1);
	/* The port of the scheme is none; flag 1 hashes the user alone. */
	assert_int_equal(chosen(b, "3", "MESSAGE", "sip:bob@biloxi.example", "x", "c"),
		chosen(b, "3", "MESSAGE", "sip:bob@BILOXI.example:5060;x=1", "x", "d"));
	set_param(b, "flags", NULL, 1);
	for (unsigned i = 0; i < 20; i++) {
		char uri[40];

		snprintf(uri, sizeof(uri), "sip:bob@h%u.example:%u", i, 6000 + i);
		assert_int_equal(chosen(b, "3", "MESSAGE", uri, "x", "c"),
			chosen(b, "3", "MESSAGE", "sip:bob@x.example", "x", "c"));
	}
}

static void sets_and_algorithms_may_be_numbers_or_text_of_variables(void **state)
{
	struct bench *b = *state;
	const struct route_function *f = function("ds_select_dst");
	struct route_place place = {"test.cfg", 7, 3, 1};
	struct route_arg arg[2] = {{false, {0}, place}, {false, {0}, place}};
	struct route_value v[2] = {{.type = ROUTE_INT, .i = 2}, {.type = ROUTE_STR, .s = STR("8")}};
	struct route_args args = {.v = v, .n = 2, .room = b->d};
	void *data = NULL;

	assert_int_equal(f->check(b->d, b->config, arg, 2, &place, b->report, &data), 0);
	args.data = data;
	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "one@x");
	assert_int_equal(f->run(&b->ctx, &args), ROUTE_TRUE);
	v[1].s = STR("5");
	assert_int_equal(f->run(&b->ctx, &args), ROUTE_FALSE);
	v[1].s = STR("");
	assert_int_equal(f->run(&b->ctx, &args), ROUTE_FALSE);
	v[1] = (struct route_value){.type = ROUTE_NULL};
	assert_int_equal(f->run(&b->ctx, &args), ROUTE_FALSE);
	v[1] = (struct route_value){.type = ROUTE_INT, .i = 8};
	v[0].i = -1;
	assert_int_equal(f->run(&b->ctx, &args), ROUTE_FALSE);
	v[0].i = 99;
	assert_int_equal(f->run(&b->ctx, &args), ROUTE_FALSE);
	f->free_data(data);
}

static void force_dst_0_leaves_a_du_that_is_set(void **state)
{
	struct bench *b = *state;

	set_param(b, "force_dst", NULL, 0);
	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "one@x");
	b->ctx.du = route_text_make(&b->ctx, STR("sip:elsewhere.example"));
	assert_int_equal(call(b, "ds_select_dst", "2", "8", NULL), ROUTE_FALSE);
	expect_text(b, b->ctx.du, "sip:elsewhere.example");
	set_param(b, "force_dst", NULL, 1);
	assert_int_equal(call(b, "ds_select_dst", "2", "8", NULL), ROUTE_TRUE);
}

static void what_cannot_work_is_refused_at_load(void **state)
{
	static const struct {
		const char *name, *a0, *a1, *a2, *says;
	} bad[] = {
		{"ds_select_dst", "one", "0", NULL,
			"test.cfg:7:3: error: a set is a number as in the list file"},
		{"ds_select_dst", "1", "5", NULL, "algorithm 5 hashes the authorization user"},
		{"ds_select_dst", "1", "10", NULL, "algorithm 10 needs the load of calls"},
		{"ds_select_dst", "1", "12", NULL, "algorithm 12 forks"},
		{"ds_select_dst", "1", "13", NULL, "algorithm 13 needs the latency"},
		{"ds_select_dst", "1", "64", NULL, "algorithm 64 needs overload control"},
		{"ds_select_dst", "1", "77", NULL, "algorithm 77 is unknown: 0 Call-ID"},
		{"ds_select_dst", "1", "x", NULL, "an algorithm is a number"},
		{"ds_select_dst", "1", "7", NULL,
			"algorithm 7 needs modparam(\"dispatcher\", \"hash_pvar\""},
		{"ds_select_dst", "1", "0", "-3", "a limit is how many destinations may be tried"},
		{"ds_is_from_list", "x", NULL, NULL,
			"a set is a number as in the list file, -1 for all"},
		{"ds_is_from_list", "1", "99", NULL, "a mode is a sum of 1 any port"},
		{"ds_is_from_list", "1", "0", "sip:name.example", "names are not looked up here"},
		{"ds_mark_dst", "z", NULL, NULL, "a state is one of"},
	};
	struct bench *b = *state;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		receive(b, "INVITE", "sip:bob@biloxi.example", "1", "one@x");
		assert_int_equal(call(b, bad[i].name, bad[i].a0, bad[i].a1, bad[i].a2), INT32_MIN);
		assert_non_null(strstr(route_report_text(b->report), bad[i].says));
		assert_int_equal(route_report_errors(b->report), i + 1);
	}
}

static void ds_is_from_list_knows_who_sent_it(void **state)
{
	struct bench *b = *state;

	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "one@x");
	assert_int_equal(call(b, "ds_is_from_list", NULL, NULL, NULL), ROUTE_FALSE);
	net_addr_parse(STR("10.0.0.2"), &b->ctx.origin.src.addr);
	assert_int_equal(
		call(b, "ds_is_from_list", NULL, NULL, NULL), ROUTE_FALSE); /* its port is 5070 */
	assert_int_equal(call(b, "ds_is_from_list", "1", "1", NULL), ROUTE_TRUE);
	b->ctx.origin.src.port = 5070;
	assert_int_equal(call(b, "ds_is_from_list", NULL, NULL, NULL), ROUTE_TRUE);
	assert_int_equal(call(b, "ds_is_from_list", "-1", NULL, NULL), ROUTE_TRUE);
	assert_int_equal(call(b, "ds_is_from_list", "1", NULL, NULL), ROUTE_TRUE);
	assert_int_equal(call(b, "ds_is_from_list", "2", NULL, NULL), ROUTE_FALSE);
	b->ctx.origin.transport = SIP_TRANSPORT_TCP;
	assert_int_equal(call(b, "ds_is_from_list", "1", "0", NULL), ROUTE_FALSE);
	assert_int_equal(call(b, "ds_is_from_list", "1", "2", NULL), ROUTE_TRUE);
	assert_int_equal(call(b, "ds_is_from_list", "2", "0", "sip:x@10.0.0.4"), ROUTE_TRUE);
	assert_int_equal(call(b, "ds_is_from_list", "2", "0", "sip:x@10.0.0.4:5061"), ROUTE_FALSE);
}

static void ds_mark_dst_moves_calls_away_and_back(void **state)
{
	struct bench *b = *state;

	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "one@x");
	assert_int_equal(
		call(b, "ds_mark_dst", NULL, NULL, NULL), ROUTE_FALSE); /* nothing chosen yet */
	assert_int_equal(call(b, "ds_select_dst", "2", "8", NULL), ROUTE_TRUE);
	assert_int_equal(call(b, "ds_mark_dst", "tp", NULL, NULL), ROUTE_TRUE);
	assert_int_equal(call(b, "ds_is_active", "2", "sip:10.0.0.5", NULL), ROUTE_TRUE);
	assert_int_equal(call(b, "ds_mark_dst", "ip", NULL, NULL), ROUTE_TRUE);
	assert_int_equal(call(b, "ds_is_active", "2", "sip:10.0.0.5", NULL), ROUTE_FALSE);
	assert_int_equal(call(b, "ds_is_active", "2", NULL, NULL), ROUTE_TRUE);
	receive(b, "INVITE", "sip:bob@biloxi.example", "2", "two@x");
	assert_int_equal(call(b, "ds_select_dst", "2", "8", NULL), ROUTE_TRUE);
	expect_text(b, b->ctx.du, "sip:10.0.0.4:5060");
	dispatch_set_up(b->d, (uint32_t)b->ctx.du_target.destination, false);
	assert_int_equal(call(b, "ds_is_active", "2", NULL, NULL), ROUTE_FALSE);
	assert_int_equal(call(b, "ds_mark_dst", "a", NULL, NULL), ROUTE_TRUE);
	assert_int_equal(call(b, "ds_is_active", "2", NULL, NULL), ROUTE_TRUE);
}

static void ds_list_exist_tells_sets_apart(void **state)
{
	struct bench *b = *state;

	assert_int_equal(call(b, "ds_list_exist", "2", NULL, NULL), ROUTE_TRUE);
	assert_int_equal(call(b, "ds_list_exists", "9", NULL, NULL), ROUTE_FALSE);
}

static void a_bad_list_leaves_the_running_one(void **state)
{
	struct bench *b = *state;

	write_list(b, "2 sip:10.0.0.9\nnonsense\n");
	assert_int_not_equal(reload(b), 0);
	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "one@x");
	assert_int_equal(call(b, "ds_select_dst", "2", "8", NULL), ROUTE_TRUE);
	expect_text(b, b->ctx.du, "sip:10.0.0.5:5060");
	set_param(b, "list_file", NULL, 0);
	assert_int_not_equal(reload(b), 0);
	assert_non_null(strstr(route_report_text(b->report), "list_file"));
}

static void what_is_prepared_and_discarded_leaves_no_trace(void **state)
{
	struct bench *b = *state;
	void *prepared = NULL;

	write_list(b, "2 sip:10.0.0.9\n");
	assert_int_equal(dispatch_module.prepare(b->d, b->config, b->report, &prepared), 0);
	dispatch_module.discard(b->d, prepared);
	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "one@x");
	assert_int_equal(call(b, "ds_select_dst", "2", "8", NULL), ROUTE_TRUE);
	expect_text(b, b->ctx.du, "sip:10.0.0.5:5060");
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void figures(void **state)
{
	struct bench *b = *state;
	struct route_value v[2] = {text_value("1"), text_value("0")};
	struct route_arg arg[2] = {{true, v[0], {"t", 1, 1, 1}}, {true, v[1], {"t", 1, 1, 1}}};
	struct route_args args = {.v = v, .n = 2, .room = b->d};
	const struct route_function *f = function("ds_select_dst");
	char *list = list_of(1, 1000, NULL);
	double ns[101];
	void *data = NULL;

	write_list(b, list);
	free(list);
	assert_int_equal(reload(b), 0);
	/* Until the change is over, pins are looked at. */
	test_now_ns += 600 * S;
	dispatch_tick(b->d, test_now());
	b->thread.now_ns = test_now();
	assert_int_equal(f->check(b->d, b->config, arg, 2, &arg[0].place, b->report, &data), 0);
	args.data = data;
	receive(b, "INVITE", "sip:bob@biloxi.example", "1", "843817637684230@998sdasdh09");
	for (unsigned w = 0; w < 101; w++) {
		uint64_t begin = clock_now_ns();

		for (unsigned i = 0; i < 1000; i++) {
			b->ctx.text_len = 0;
			assert_true(f->run(&b->ctx, &args) == ROUTE_TRUE);
		}
		ns[w] = (double)(clock_now_ns() - begin) / 1000;
	}
	f->free_data(data);
	qsort(ns, 101, sizeof(ns[0]), by_value);
	print_message("ds_select_dst(\"1\", \"0\") over 1,000 destinations: %.0f ns at least, %.0f "
		      "ns median\n",
		ns[0], ns[50]);
}

static int open_names(void **state)
{
	names_open(&names);
	return 0;
}

static int close_names(void **state)
{
	names_close(&names);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ds_select_dst_sets_du_and_its_address),
		TEST(the_socket_attribute_names_the_listener),
		TEST(a_destination_by_name_has_the_address_found_at_load),
		TEST(ds_select_domain_keeps_user_and_parameters),
		TEST(ds_next_dst_goes_through_all_the_others_once),
		TEST(ds_next_dst_in_a_failure_route_goes_by_the_newest_table),
		TEST(a_limit_bounds_the_tries),
		TEST(ds_select_leaves_the_message_alone_until_next),
		TEST(the_state_goes_with_a_copied_context),
		TEST(cancel_and_ack_go_where_the_invite_went),
		TEST(each_hash_looks_at_its_part_of_the_message),
		TEST(sets_and_algorithms_may_be_numbers_or_text_of_variables),
		TEST(force_dst_0_leaves_a_du_that_is_set),
		TEST(what_cannot_work_is_refused_at_load),
		TEST(ds_is_from_list_knows_who_sent_it),
		TEST(ds_mark_dst_moves_calls_away_and_back),
		TEST(ds_list_exist_tells_sets_apart),
		TEST(a_bad_list_leaves_the_running_one),
		TEST(what_is_prepared_and_discarded_leaves_no_trace),
		TEST(figures),
	};

	return cmocka_run_group_tests_name("dispatch/functions", tests, open_names, close_names);
}
