/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way to slow lcores and back, with functions that need state and keep none: what crosses, what
 * is refused, in which order things leave, and the equation after each. tests/mutation expects this
 * program or test_pipeline to fail when an increment is missing.
 */
#include "common.h"

#include <string.h>

static const char list[] = "1 sip:10.20.0.11:5060\n1 sip:10.20.0.12:5060\n";

static const char script[] =
	"loadmodule \"test\"\n"
	"request_route {\n"
	"	if ($rU == \"fast\") { sl_send_reply(\"404\", \"Not Found\"); exit; }\n"
	"	$var(before) = $rU;\n"
	"	append_hf(\"X-Before: yes\\r\\n\");\n"
	"	if ($rU == \"elsewhere\") there(\"1\");\n"
	"	if ($rU == \"nowhere\") there(\"7\");\n"
	"	if ($rU == \"around\") around();\n"
	"	here();\n"
	"	if ($rU == \"reply\") { sl_send_reply(\"200\", \"$var(before) and $ci\"); exit; }\n"
	"	if ($rU == \"endless\") { while (1 == 1) { $var(x) = 1; } }\n"
	"	if ($rU == \"silent\") exit;\n"
	"	if ($rU =~ \"^host\") { $du = \"sip:\" + $rU + \".test:5060\"; if (!forward()) "
	"sl_send_reply(\"500\", \"No Name\"); exit; }\n"
	"	if ($rU == \"spiral\") { $rU = \"fast\"; $du = \"sip:10.10.0.1:5060\"; forward(); "
	"exit; }\n"
	"	if ($rU == \"trying\") sl_send_reply(\"100\", \"Trying\");\n"
	"	$du = \"sip:10.20.0.11:5060\";\n"
	"	forward();\n"
	"}\n"
	"reply_route { if ($rs == 699) here(); }\n";

/* ---- functions that need state ---- */

static unsigned runs, shards_seen;
static unsigned generations; /* scripts that stand */

static int32_t run_here(struct route_ctx *ctx, const struct route_args *args)
{
	assert_true(ctx->thread->has_state);
	runs++;
	shards_seen |= 1u << ctx->thread->shard;
	return ROUTE_TRUE;
}

/* Runs on that shard alone. */
static int32_t run_there(struct route_ctx *ctx, const struct route_args *args)
{
	int shard = args->v[0].s.s[0] - '0';

	assert_true(ctx->thread->has_state);
	if (ctx->thread->shard == shard)
		return ROUTE_TRUE;
	ctx->shard = (int16_t)shard;
	return ROUTE_NEEDS_STATE;
}

/* Never where it runs. */
static int32_t run_around(struct route_ctx *ctx, const struct route_args *args)
{
	ctx->shard = (int16_t)((ctx->thread->shard + 1) % 3);
	return ROUTE_NEEDS_STATE;
}

static int check_here(void *room, const void *config, const struct route_arg *arg, unsigned n,
	const struct route_place *place, struct route_report *report, void **data)
{
	generations++;
	*data = &generations;
	return 0;
}

static void free_here(void *data)
{
	generations--;
}

static const struct route_function functions[] = {
	{.name = "here",
		.path = ROUTE_PATH_SLOW,
		.in = ROUTE_IN_ANY,
		.run = run_here,
		.check = check_here,
		.free_data = free_here,
		.usage = "here()",
		.help = "Needs state."},
	{.name = "there",
		.args_min = 1,
		.args_max = 1,
		.path = ROUTE_PATH_SLOW,
		.in = ROUTE_IN_ANY,
		.run = run_there,
		.usage = "there(shard)",
		.help = "Needs the state of a shard."},
	{.name = "around",
		.path = ROUTE_PATH_SLOW,
		.in = ROUTE_IN_ANY,
		.run = run_around,
		.usage = "around()",
		.help = "Needs the state of another shard, always."},
	{0},
};
static const struct route_module module = {.name = "test", .functions = functions};

/* ---- helpers ---- */

static char text[70000];

static struct str request_of(const char *method, const char *user, unsigned call, unsigned cseq,
	const char *to_tag, unsigned body)
{
	int n = snprintf(text, sizeof(text),
		"%s sip:%s@10.10.0.1 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 10.10.0.2:5080;branch=z9hG4bKslow%u-%u;rport\r\n"
		"Max-Forwards: 70\r\n"
		"From: <sip:bob@10.10.0.2>;tag=f%u\r\n"
		"To: <sip:%s@10.10.0.1>%s\r\n"
		"Call-ID: slow-%u@10.10.0.2\r\n"
		"CSeq: %u %s\r\n"
		"Contact: <sip:bob@10.10.0.2:5080>\r\n"
		"Content-Length: %u\r\n\r\n",
		method, user, call, cseq, call, user, to_tag, call, cseq, method, body);

	memset(text + n, 'b', body);
	return str_of(text, (size_t)n + body);
}

static struct str request(const char *method, const char *user, unsigned call)
{
	return request_of(method, user, call, 1, "", 0);
}

static int begin_runs(void **state)
{
	runs = shards_seen = 0;
	return begin(state);
}

static struct rig *make(const char *text_of_script, unsigned workers, unsigned slow)
{
	struct rig_config config = {.script = text_of_script,
		.list = list,
		.module = &module,
		.workers = workers,
		.queues = 1,
		.slow = slow};
	struct rig *r = rig_create_with(&config);

	assert_non_null(r);
	return r;
}

/* ---- messages ---- */

static void test_a_stateful_request_crosses_and_is_answered(void **state)
{
	struct str out;
	struct rte_mbuf *m;

	send_to(0, request("OPTIONS", "reply", 1));
	assert_ends(COUNTER_ANSWERED, 1);
	assert_crossed(1);
	assert_int_equal(runs, 1);
	m = rig_sent(rig, 0, &out);
	assert_non_null(m);
	/* What the script had made before it crossed is there after it. */
	assert_true(str_istarts(out, STR("SIP/2.0 200 reply and slow-1@10.10.0.2\r\n")));
	rte_pktmbuf_free(m);
}

static void test_a_stateless_request_stays(void **state)
{
	send_to(0, request("OPTIONS", "fast", 2));
	assert_ends(COUNTER_ANSWERED, 1);
	assert_crossed(0);
	assert_int_equal(runs, 0);
}

static void test_a_stateful_request_is_forwarded_and_its_response_comes_back(void **state)
{
	struct str out;
	struct rte_mbuf *m;
	char reply[4096];
	int n;

	send_to(0, request("INVITE", "alice", 3));
	assert_ends(COUNTER_FORWARDED, 1);
	assert_crossed(1);
	assert_int_equal(delta(COUNTER_FRAMES_OUT), 1);
	m = rig_sent(rig, 1, &out);
	assert_non_null(m);
	assert_true(str_find_str(out, STR("X-Before: yes\r\n")) > 0);
	n = snprintf(reply, sizeof(reply), "SIP/2.0 699 No%.*s",
		(int)(out.len - (uint32_t)str_find(out, '\r')), out.s + str_find(out, '\r'));
	rte_pktmbuf_free(m);
	begin_runs(state);
	rig_receive(rig, 1, 0,
		rig_datagram(
			rig, 1, "10.20.0.11", 5060, "10.20.0.1", 5060, str_of(reply, (size_t)n)));
	assert_ends(COUNTER_FORWARDED, 1);
	assert_crossed(1); /* for its reply_route */
	assert_int_equal(runs, 1);
	m = rig_sent(rig, 0, &out);
	assert_non_null(m);
	assert_true(str_istarts(out, STR("SIP/2.0 699 No\r\n")));
	rte_pktmbuf_free(m);
}

static void test_each_end_of_a_stateful_request(void **state)
{
	static const struct {
		const char *user;
		unsigned counter;
	} ends[] = {
		{"silent", COUNTER_DROP_SILENT},
		{"endless", COUNTER_ANSWERED},
		{"nowhere", COUNTER_ANSWERED},
		{"elsewhere", COUNTER_ANSWERED}, /* the first number that is too high */
		{"trying", COUNTER_FORWARDED},
	};

	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		begin_runs(state);
		send_to(0, request("INVITE", ends[i].user, 100 + i));
		assert_ends(ends[i].counter, 1);
		assert_crossed(1);
		assert_int_equal(
			delta(COUNTER_SCRIPT_FAILED), strcmp(ends[i].user, "endless") == 0);
		assert_int_equal(
			delta(COUNTER_STATE_REFUSED), strstr(ends[i].user, "where") != NULL);
		assert_int_equal(delta(COUNTER_OWN_REPLIES), strcmp(ends[i].user, "trying") == 0);
	}
}

/* Received again on the worker that sends for the slow lcore, and answered; so is the answer. */
static void test_a_spiral_from_a_slow_lcore(void **state)
{
	struct str out;
	struct rte_mbuf *m;

	send_to(0, request("OPTIONS", "spiral", 5));
	rig_settle(rig);
	assert_crossed(1);
	assert_int_equal(delta(COUNTER_FRAMES_IN), 3);
	assert_int_equal(delta(COUNTER_LOOPED), 2);
	assert_int_equal(delta(COUNTER_FORWARDED), 2);
	assert_int_equal(delta(COUNTER_ANSWERED), 1);
	assert_balanced();
	m = rig_sent(rig, 0, &out);
	assert_non_null(m);
	assert_true(str_istarts(out, STR("SIP/2.0 404 ")));
	rte_pktmbuf_free(m);
}

static void test_a_long_message_crosses(void **state)
{
	struct str out;
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig->pool_big);
	struct net_endpoint from = {.port = 5080}, to = {.port = 5060};

	net_addr_parse(STR("10.10.0.2"), &from.addr);
	net_addr_parse(STR("10.10.0.1"), &to.addr);
	assert_true(
		rig_write(rig, m, 0, &from, &to, request_of("MESSAGE", "alice", 6, 1, "", 9000)));
	rig_receive(rig, 0, 0, m);
	assert_ends(COUNTER_FORWARDED, 1);
	assert_crossed(1);
	while ((m = rig_sent(rig, 1, &out)) != NULL)
		rte_pktmbuf_free(m);
}

static void test_it_waits_for_a_name_elsewhere_than_on_its_way(void **state)
{
	send_to(0, request("INVITE", "host1", 7));
	rig_poll(rig);
	assert_crossed(1);
	assert_int_equal(delta(COUNTER_HELD_NAME_ENTER), 1);
	assert_balanced();
	await_held();
	assert_int_equal(delta(COUNTER_HELD_NAME_LEAVE), delta(COUNTER_HELD_NAME_ENTER));
	assert_int_equal(delta(COUNTER_ANSWERED) + delta(COUNTER_DROP_NAME_TIMEOUT), 1);
	assert_balanced();
}

static void test_a_name_that_never_comes_ends_on_the_slow_lcore(void **state)
{
	send_to(0, request("INVITE", "host2", 8));
	rig_poll(rig);
	assert_int_equal(delta(COUNTER_HELD_NAME_ENTER), 1);
	/* Whoever asks again too late gets no answer: as if five seconds had passed. */
	for (unsigned i = 0; i < 3; i++)
		pipeline_control_poll(rig->pipeline, clock_now_ns() + PIPELINE_NAME_WAIT_NS);
	await_held();
	assert_int_equal(delta(COUNTER_ANSWERED) + delta(COUNTER_DROP_NAME_TIMEOUT), 1);
	assert_balanced();
}

static void test_it_waits_for_a_neighbour(void **state)
{
	struct str out;
	struct rte_mbuf *m;

	rig->backend_hop = KERNEL_HOP_UNRESOLVED;
	send_to(0, request("INVITE", "alice", 9));
	for (unsigned i = 0; i < 4; i++)
		rig_poll(rig);
	assert_int_equal(delta(COUNTER_HELD_NEIGHBOUR_ENTER), 1);
	assert_balanced();
	rig->backend_hop = KERNEL_HOP_READY;
	pipeline_hops_changed(rig->pipeline);
	assert_ends(COUNTER_FORWARDED, 1);
	m = rig_sent(rig, 1, &out);
	assert_non_null(m);
	rte_pktmbuf_free(m);
}

/* ---- the way is full ---- */

static void fill(const char *method, const char *to_tag, unsigned call, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		send_to(0, request_of(method, "reply", call + i, 1, to_tag, 0));
		pipeline_worker_poll(rig->pipeline, 0); /* the slow lcore is asleep */
	}
}

/* Leaves the answers to so many calls, `status` of each, in `answers`. */
static void make_answers(unsigned call, char answers[][1024], unsigned count, unsigned status)
{
	for (unsigned i = 0; i < count; i++) {
		struct rte_mbuf *m;
		struct str out;

		send_to(0, request("INVITE", "alice", call + i));
		rig_settle(rig);
		m = rig_sent(rig, 1, &out);
		assert_non_null(m);
		assert_true(snprintf(answers[i], sizeof(answers[i]), "SIP/2.0 %u No%.*s", status,
				    (int)(out.len - (uint32_t)str_find(out, '\r')),
				    out.s + str_find(out, '\r')) < (int)sizeof(answers[i]));
		rte_pktmbuf_free(m);
	}
}

static void send_answer(const char *answer)
{
	rig_receive(rig, 1, 0,
		rig_datagram(rig, 1, "10.20.0.11", 5060, "10.20.0.1", 5060, str_c(answer)));
	pipeline_worker_poll(rig->pipeline, 0);
}

static void assert_503(struct str *out)
{
	struct rte_mbuf *m = rig_sent(rig, 0, out);

	assert_non_null(m);
	assert_true(str_istarts(*out, STR("SIP/2.0 503 ")));
	assert_true(str_find_str(*out, STR("Retry-After")) < 0);
	rte_pktmbuf_free(m);
}

/* A To tag, an ACK and a CANCEL are not proof enough for the last places: anybody can write them. A
 * response has been verified. */
static void test_what_is_new_is_refused_first_and_what_is_known_last(void **state)
{
	enum { KNOWN = PIPELINE_SLOW_KNOWN - PIPELINE_SLOW_CLAIMED };
	static char answers[KNOWN + 1][1024];
	struct str out;

	make_answers(500, answers, KNOWN + 1, 699);
	begin(state);
	fill("INVITE", "", 1000, PIPELINE_SLOW_NEW);
	assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER), PIPELINE_SLOW_NEW);
	assert_int_equal(delta(COUNTER_ANSWERED), 0);
	fill("INVITE", "", 3000, 3);
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_NEW), 3);
	assert_int_equal(delta(COUNTER_ANSWERED), 3);
	assert_503(&out);

	fill("CANCEL", "", 4000, 30);
	fill("ACK", ";tag=t", 4100, 4);
	fill("BYE", ";tag=t", 4200, PIPELINE_SLOW_CLAIMED - PIPELINE_SLOW_NEW - 34);
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_CLAIMED), 0);
	assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER), PIPELINE_SLOW_CLAIMED);
	fill("BYE", ";tag=t", 6000, 2);
	fill("ACK", ";tag=t", 6100, 1);
	fill("CANCEL", "", 6200, 1);
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_CLAIMED), 4);
	assert_int_equal(delta(COUNTER_ANSWERED), 5);
	assert_int_equal(delta(COUNTER_DROP_SLOW_FULL), 2);

	for (unsigned i = 0; i < KNOWN; i++)
		send_answer(answers[i]);
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_KNOWN), 0);
	assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER), PIPELINE_SLOW_KNOWN);
	send_answer(answers[KNOWN]);
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_KNOWN), 1);
	assert_int_equal(delta(COUNTER_DROP_SLOW_FULL), 3);
	assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER), PIPELINE_SLOW_KNOWN);
	assert_balanced();

	for (unsigned i = 0; i < 100; i++) {
		rig_poll(rig);
		clear_sent();
	}
	rig_settle(rig);
	assert_crossed(PIPELINE_SLOW_KNOWN);
	assert_int_equal(delta(COUNTER_FORWARDED), KNOWN);
	/* The ACKs' script replies to everything, which nothing is sent for. */
	assert_int_equal(
		delta(COUNTER_ANSWERED) + delta(COUNTER_PROXY + PROXY_REASON_ACK_UNROUTABLE),
		PIPELINE_SLOW_CLAIMED + 5);
	assert_balanced();

	/* And it takes new ones again. */
	begin_runs(state);
	send_to(0, request("INVITE", "reply", 9900));
	assert_ends(COUNTER_ANSWERED, 1);
	assert_crossed(1);
}

/* Who has no room to wait for a name is told on a slow lcore as on a worker. */
static void test_no_room_to_wait_for_a_name(void **state)
{
	enum { CALLS = 70 };
	struct str out;

	for (unsigned i = 0; i < CALLS; i++) {
		send_to(0, request("INVITE", "host3", 32000 + i));
		pipeline_worker_poll(rig->pipeline, 0);
		pipeline_slow_poll(rig->pipeline, 0); /* the control thread is asleep */
	}
	assert_int_equal(delta(COUNTER_HELD_NAME_ENTER), 64);
	pipeline_worker_poll(rig->pipeline, 0);
	assert_int_equal(delta(COUNTER_ANSWERED), CALLS - 64);
	assert_503(&out);
	send_to(0, request("CANCEL", "host3", 32000));
	pipeline_worker_poll(rig->pipeline, 0);
	pipeline_slow_poll(rig->pipeline, 0);
	assert_int_equal(delta(COUNTER_DROP_HELD_FULL), 1);
	assert_balanced();
	/* Five seconds later. */
	for (unsigned i = 0; i < 3; i++)
		pipeline_control_poll(rig->pipeline, clock_now_ns() + PIPELINE_NAME_WAIT_NS);
	clear_sent();
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_ANSWERED), CALLS);
	assert_balanced();
}

/* Places are the worker's: what a slow lcore that is behind holds is not lost for the others. */
static void test_one_full_shard_leaves_room_for_the_others(void **state)
{
	struct rig *plain = rig;
	unsigned crossed = 0;

	rig = make(script, 1, 2);
	begin_runs(state);
	/* Both fill up, more than one of them takes. */
	fill("INVITE", "", 10000, 4 * PIPELINE_SLOW_NEW);
	assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER), 2 * PIPELINE_SLOW_NEW);
	for (unsigned i = 0; i < 200; i++) {
		crossed += pipeline_slow_poll(rig->pipeline, 1);
		pipeline_worker_poll(rig->pipeline, 0);
		clear_sent();
	}
	assert_int_equal(crossed, PIPELINE_SLOW_NEW);
	begin_runs(state);
	rig_settle(rig);
	assert_balanced();
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

static void test_no_buffer_on_a_slow_lcore_is_a_counted_drop(void **state)
{
	static struct rte_mbuf *all[20000];
	unsigned n = 0;

	send_to(0, request("INVITE", "alice", 11));
	pipeline_worker_poll(rig->pipeline, 0);
	while ((all[n] = rte_pktmbuf_alloc(rig->pool)) != NULL)
		n++;
	while ((all[n] = rte_pktmbuf_alloc(rig->pool_big)) != NULL)
		n++;
	assert_ends(COUNTER_DROP_NO_BUFFER, 1);
	rte_pktmbuf_free_bulk(all, n);
}

/* ---- several slow lcores ---- */

static unsigned number_in(struct str message, const char *before_it)
{
	int64_t at = str_find_str(message, str_c(before_it));

	assert_true(at >= 0);
	return (unsigned)strtoul(message.s + at + strlen(before_it), NULL, 10);
}

/* Requests of some calls, mixed, and some of them hop: those of one call leave in their order. */
static void test_messages_of_a_call_stay_in_order(void **state)
{
	enum { CALLS = 40, EACH = 20 };
	static unsigned next[CALLS];
	struct rig *plain = rig;
	struct rte_mbuf *m;
	struct str out;
	unsigned left = 0;

	rig = make(script, 1, 3);
	begin_runs(state);
	memset(next, 0, sizeof(next));
	for (unsigned i = 0; i < EACH; i++)
		for (unsigned call = 0; call < CALLS; call++) {
			send_to(0, request_of("MESSAGE", call % 4 == 3 ? "elsewhere" : "alice",
					   call, i, "", 0));
			if (call % 7 == 6)
				pipeline_worker_poll(rig->pipeline, 0);
			if (call % 11 == 10)
				pipeline_slow_poll(rig->pipeline, (call + i) % 3);
		}
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_FORWARDED), CALLS * EACH);
	assert_true(delta(COUNTER_SLOW_HOPPED) > 0);
	assert_int_equal(delta(COUNTER_SLOW_CROSSED), CALLS * EACH + delta(COUNTER_SLOW_HOPPED));
	assert_int_equal(shards_seen, 7);
	assert_balanced();
	while ((m = rig_sent(rig, 1, &out)) != NULL) {
		unsigned call = number_in(out, "Call-ID: slow-");

		assert_int_equal(number_in(out, "CSeq: "), next[call]++);
		rte_pktmbuf_free(m);
		left++;
	}
	assert_int_equal(left, CALLS * EACH);

	/* A function that is never content does not go round for ever. */
	begin_runs(state);
	send_to(0, request("INVITE", "around", 900));
	assert_ends(COUNTER_ANSWERED, 1);
	assert_int_equal(delta(COUNTER_SLOW_HOPPED), PIPELINE_HOPS_MAX);
	assert_int_equal(delta(COUNTER_STATE_REFUSED), 1);
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

static void test_several_workers_and_slow_lcores(void **state)
{
	struct rig *plain = rig;

	rig = make(script, 3, 2);
	begin_runs(state);
	for (unsigned i = 0; i < 600; i++) {
		rig_receive(rig, 0, 0,
			rig_datagram(rig, 0, "10.10.0.2", (uint16_t)(6000 + i), "10.10.0.1", 5060,
				request("OPTIONS", "reply", 20000 + i)));
		if (i % 32 == 31)
			rig_poll(rig);
	}
	assert_ends(COUNTER_ANSWERED, 600);
	assert_crossed(600);
	assert_int_equal(shards_seen, 3);
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

/* ---- reload ---- */

static void publish(const char *text_of_script)
{
	struct route_report *report = route_report_create();
	struct route_script *made = rig_script(rig, text_of_script, list, report);

	assert_non_null(made);
	route_report_destroy(report);
	pipeline_publish(rig->pipeline, made);
}

static const char other[] = "loadmodule \"test\"\n"
			    "request_route { here(); sl_send_reply(\"200\", \"Other\"); }\n";

static void test_a_script_lives_until_its_last_message_is_done(void **state)
{
	struct rig *plain = rig;
	struct rte_mbuf *m;
	struct str out;
	unsigned stood;

	rig = make(script, 1, 2);
	begin_runs(state);
	/* The rig keeps a reference to its first script. */
	publish(script);
	for (unsigned i = 0; i < 4; i++) {
		rig_settle(rig);
		rcu_reclaim(rig->rcu);
	}
	stood = generations;
	send_to(0, request("OPTIONS", "reply", 30000));
	pipeline_worker_poll(rig->pipeline, 0);
	publish(other);
	for (unsigned i = 0; i < 4; i++) {
		/* All have passed a quiescent state but no slow lcore has looked at its ring. */
		pipeline_worker_poll(rig->pipeline, 0);
		pipeline_control_poll(rig->pipeline, clock_now_ns());
	}
	assert_int_equal(generations, stood + 1);
	rig_settle(rig);
	m = rig_sent(rig, 0, &out);
	assert_non_null(m);
	assert_true(str_istarts(out, STR("SIP/2.0 200 reply and")));
	rte_pktmbuf_free(m);
	for (unsigned i = 0; i < 4; i++) {
		rig_settle(rig);
		rcu_reclaim(rig->rcu);
	}
	assert_true(generations < stood + 1);
	send_to(0, request("OPTIONS", "reply", 30001));
	rig_settle(rig);
	m = rig_sent(rig, 0, &out);
	assert_non_null(m);
	assert_true(str_istarts(out, STR("SIP/2.0 200 Other")));
	rte_pktmbuf_free(m);

	/* Many at once, some of which are still on their way at the end. */
	for (unsigned i = 0; i < 40; i++) {
		publish(i % 2 ? script : other);
		if (i % 8 == 0)
			rig_settle(rig);
		rcu_reclaim(rig->rcu);
		pipeline_control_poll(rig->pipeline, clock_now_ns());
	}
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

/* Worker and control pass quiescent states: no worker runs the old script any more. */
static void let_worker_pass(void)
{
	for (unsigned i = 0; i < 4; i++) {
		pipeline_worker_poll(rig->pipeline, 0);
		rcu_reclaim(rig->rcu);
		pipeline_control_poll(rig->pipeline, clock_now_ns());
	}
}

/* It hops to a slow lcore that has nothing else of its script to come. */
static void test_a_script_lives_until_a_message_that_hops_is_done(void **state)
{
	struct rig *plain = rig;
	struct rte_mbuf *m;
	struct str out;
	unsigned stood, call = 31000;

	rig = make(script, 1, 2);
	begin_runs(state);
	publish(script);
	rig_settle(rig);
	let_worker_pass();
	rig_settle(rig);
	let_worker_pass();
	stood = generations;
	/* One that is on its way to the first of them, and has to go on to the second. */
	do {
		rig_settle(rig);
		begin_runs(state);
		send_to(0, request("OPTIONS", "elsewhere", call++));
		pipeline_worker_poll(rig->pipeline, 0);
		pipeline_slow_poll(rig->pipeline, 1);
	} while (delta(COUNTER_SLOW_CROSSED) != 0);
	publish(other);
	for (unsigned i = 0; i < 4; i++) {
		pipeline_slow_sleep(rig->pipeline, 0, true);
		let_worker_pass();
		pipeline_slow_sleep(rig->pipeline, 0, false);
		pipeline_slow_poll(rig->pipeline, 1); /* its mark, and nothing before it */
	}
	assert_int_equal(generations, stood + 1);
	pipeline_slow_poll(rig->pipeline, 0);
	assert_int_equal(delta(COUNTER_SLOW_HOPPED), 1);
	let_worker_pass();
	assert_int_equal(generations, stood + 1);
	/* Done: but what it ran is for the control thread to free. */
	pipeline_slow_poll(rig->pipeline, 1);
	assert_int_equal(generations, stood + 1);
	rig_settle(rig);
	assert_true(generations < stood + 1);
	m = rig_sent(rig, 1, &out);
	assert_non_null(m);
	assert_true(str_find_str(out, STR("X-Before: yes")) > 0);
	rte_pktmbuf_free(m);
	let_worker_pass();
	assert_true(generations < stood + 1);
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

static void test_stages_of_a_slow_lcore(void **state)
{
	struct pipeline_stages first, then, idle;

	pipeline_slow_stages(rig->pipeline, &first);
	send_to(0, request("INVITE", "alice", 40));
	send_to(0, request("OPTIONS", "reply", 41));
	rig_settle(rig);
	pipeline_slow_stages(rig->pipeline, &then);
	assert_int_equal(then.messages - first.messages, 2);
	assert_true(then.cycles[PIPELINE_STAGE_STATE] > first.cycles[PIPELINE_STAGE_STATE]);
	assert_true(then.cycles[PIPELINE_STAGE_TRANSMIT] > first.cycles[PIPELINE_STAGE_TRANSMIT]);
	assert_true(then.cycles[PIPELINE_STAGE_SEND] > first.cycles[PIPELINE_STAGE_SEND]);
	for (unsigned i = 0; i < PIPELINE_STAGE_ALL; i++)
		assert_non_null(pipeline_stage_name((enum pipeline_stage)i));
	rig_settle(rig);
	pipeline_slow_stages(rig->pipeline, &idle);
	assert_memory_equal(&idle, &then, sizeof(idle));
}

/* A slow lcore that sleeps keeps nobody from freeing. */
static void test_a_sleeping_slow_lcore_is_no_reader(void **state)
{
	pipeline_slow_sleep(rig->pipeline, 0, true);
	pipeline_worker_sleep(rig->pipeline, 0, true);
	publish(script);
	assert_int_equal(rcu_reclaim(rig->rcu), 0);
	pipeline_worker_sleep(rig->pipeline, 0, false);
	pipeline_slow_sleep(rig->pipeline, 0, false);
	send_to(0, request("OPTIONS", "reply", 42));
	assert_ends(COUNTER_ANSWERED, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_runs, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_stateful_request_crosses_and_is_answered),
		TEST(test_a_stateless_request_stays),
		TEST(test_a_stateful_request_is_forwarded_and_its_response_comes_back),
		TEST(test_each_end_of_a_stateful_request),
		TEST(test_a_spiral_from_a_slow_lcore),
		TEST(test_a_long_message_crosses),
		TEST(test_it_waits_for_a_name_elsewhere_than_on_its_way),
		TEST(test_a_name_that_never_comes_ends_on_the_slow_lcore),
		TEST(test_it_waits_for_a_neighbour),
		TEST(test_what_is_new_is_refused_first_and_what_is_known_last),
		TEST(test_no_room_to_wait_for_a_name),
		TEST(test_one_full_shard_leaves_room_for_the_others),
		TEST(test_no_buffer_on_a_slow_lcore_is_a_counted_drop),
		TEST(test_messages_of_a_call_stay_in_order),
		TEST(test_several_workers_and_slow_lcores),
		TEST(test_a_script_lives_until_its_last_message_is_done),
		TEST(test_a_script_lives_until_a_message_that_hops_is_done),
		TEST(test_stages_of_a_slow_lcore),
		TEST(test_a_sleeping_slow_lcore_is_no_reader),
	};
	int failed;

	if (rig_eal("test_slow", 512) != 0)
		return 1;
	rig = make(script, 1, 1);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rig_destroy(rig);
	if (generations != 0) {
		fprintf(stderr, "%u functions of scripts are not freed\n", generations);
		failed++;
	}
	return failed;
}
