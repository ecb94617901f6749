/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers of transactions beside messages, on a clock of the test's: very many that are due at once
 * take many passes, and in each of them messages are served; what comes when a transaction is over.
 */
#include "common.h"

#include "base/clock.h"

#define CALLS 3000
#define IN_A_PASS 256 /* timers at most */
#define TIMER_J_NS (32 * CLOCK_NS_PER_S)
/* Responses to an earlier run go on for so long after a start. */
#define EARLIER_RUN_NS (180 * CLOCK_NS_PER_S)

static const char script[] =
	"loadmodule \"tm\"\nloadmodule \"textops\"\n"
	"request_route {\n"
	"	if (is_method(\"MESSAGE\")) { $du = \"sip:10.20.0.11:5060\"; t_relay(); exit; }\n"
	"	t_newtran();\n"
	"	t_reply(\"200\", \"OK\");\n"
	"}\n";

/* Takes the place of lib/base's clock. */
static uint64_t now = 1000 * CLOCK_NS_PER_S;

uint64_t clock_now_ns(void)
{
	return now;
}

static char text[2048];

static struct str request_of(const char *method, unsigned call)
{
	int n = snprintf(text, sizeof(text),
		"%s sip:alice@10.10.0.1 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 10.10.0.2:5080;branch=z9hG4bKtimer%u;rport\r\n"
		"Max-Forwards: 70\r\n"
		"From: <sip:bob@10.10.0.2>;tag=f%u\r\n"
		"To: <sip:alice@10.10.0.1>\r\n"
		"Call-ID: timer-%u@10.10.0.2\r\n"
		"CSeq: 1 %s\r\n"
		"Content-Length: 0\r\n\r\n",
		method, call, call, call, method);

	return str_of(text, (size_t)n);
}

static struct str request(unsigned call)
{
	return request_of("OPTIONS", call);
}

static uint64_t standing(void)
{
	struct txn_usage usage;

	txn_usage(rig->txn, &usage);
	return usage.transactions;
}

static bool was_answered(void)
{
	struct str out;
	struct rte_mbuf *m = rig_sent(rig, 0, &out);
	bool answered = m != NULL && str_istarts(out, STR("SIP/2.0 200 "));

	rte_pktmbuf_free(m);
	return answered;
}

static void test_a_pass_does_a_part_of_what_is_due_and_serves_messages(void **state)
{
	unsigned passes = 0;

	for (unsigned i = 0; i < CALLS; i++) {
		send_to(0, request(i));
		rig_settle(rig);
		assert_true(was_answered());
	}
	assert_int_equal(standing(), CALLS);
	begin(state);
	now += TIMER_J_NS + CLOCK_NS_PER_S;
	for (uint64_t left = CALLS; left > 0; passes++) {
		uint64_t before = standing(), served = 0;

		if (passes % 4 == 0) {
			send_to(0, request(CALLS + passes));
			pipeline_worker_poll(rig->pipeline, 0);
			served = 1;
		}
		pipeline_slow_poll(rig->pipeline, 0);
		pipeline_worker_poll(rig->pipeline, 0);
		assert_int_equal(was_answered(), served);
		assert_true(before + served - standing() <= IN_A_PASS);
		left -= before + served - standing();
		assert_true(passes < 3 * CALLS / IN_A_PASS + 3);
	}
	assert_true(passes >= CALLS / IN_A_PASS);
	assert_int_equal(standing(), (passes + 3) / 4);
	assert_all_ended();
}

/* The answer of the core's phone to the request that has left for it, in `text`. */
static struct str answered(void)
{
	static char made[2048];
	struct str out;
	struct rte_mbuf *m = rig_sent(rig, 1, &out);
	int64_t line;
	int n;

	assert_non_null(m);
	line = str_find(out, '\r');
	assert_true(line > 0);
	n = snprintf(made, sizeof(made), "SIP/2.0 200 OK%.*s", (int)(out.len - line), out.s + line);
	rte_pktmbuf_free(m);
	assert_in_range(n, 1, sizeof(made) - 1);
	return str_of(made, (size_t)n);
}

static void test_a_response_to_a_transaction_that_ended(void **state)
{
	struct str late;

	/* What the tests before have left ends first. */
	now += TIMER_J_NS + CLOCK_NS_PER_S;
	while (standing() > 0)
		rig_poll(rig);
	send_to(0, request_of("MESSAGE", 1));
	rig_settle(rig);
	late = answered();
	send_to(1, late);
	rig_settle(rig);
	assert_true(was_answered());
	/* It stands: its response was sent on, another is its own. */
	begin(state);
	assert_int_equal(standing(), 1);
	send_to(1, late);
	assert_ends(COUNTER_ABSORBED, 1);
	assert_crossed(1);
	/* It has ended, and the process is young: an earlier one may have asked. */
	now += TIMER_J_NS + CLOCK_NS_PER_S;
	while (standing() > 0)
		rig_poll(rig);
	begin(state);
	send_to(1, late);
	assert_ends(COUNTER_FORWARDED, 1);
	assert_crossed(1);
	assert_true(was_answered());
	/* Nobody else can have: it goes nowhere, and is counted as what it is. */
	now += EARLIER_RUN_NS;
	begin(state);
	send_to(1, late);
	assert_string_equal(counter_name(COUNTER_TXN + TXN_REASON_STRAY), "txn_stray");
	assert_ends(COUNTER_TXN + TXN_REASON_STRAY, 1);
	assert_crossed(1);
	assert_false(was_answered());
	assert_all_ended();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_pass_does_a_part_of_what_is_due_and_serves_messages, begin, end),
		cmocka_unit_test_setup_teardown(
			test_a_response_to_a_transaction_that_ended, begin, end),
	};
	int failed;

	if (rig_eal("test_timers", 512) != 0)
		return 1;
	rig = rig_create_with(&(struct rig_config){.script = script,
		.list = "1 sip:10.20.0.11:5060\n",
		.workers = 1,
		.queues = 1,
		.slow = 1,
		.transactions = 2 * CALLS});
	if (rig == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rig_destroy(rig);
	return failed;
}
