/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names: a request that waits for one, and the next of its addresses where one fails (RFC 3263
 * 4.3), with the real resolver and a name server of the test.
 */
#include "harness.h"

static const struct ask two = {.uri = "sip:bob@two.test:5060"};

static struct world *named(const char *script)
{
	struct world *w = world_new((struct world_config){.script = script, .names = true});

	add_address(w, "two.test", BOB);
	add_address(w, "two.test", CAROL);
	add_address(w, "mail.test", MAIL);
	add_service(w, "_sip._udp.srv.test", "first.test", 1, 5071);
	add_service(w, "_sip._udp.srv.test", "second.test", 2, 5072);
	add_address(w, "first.test", CAROL);
	add_address(w, "second.test", DAVE);
	return w;
}

/* The INVITE to the first address of two.test. */
static const struct sent *call_by_name(struct world *w, struct ask a)
{
	const struct sent *m;

	if (ask(w, a) == FATE_PARKED)
		answer_names(w);
	assert_int_equal(w->fate, FATE_SENT);
	take_response(w, 100, "INVITE");
	m = find_request(w, "INVITE", BOB);
	return m != NULL ? m : take_request(w, "INVITE", CAROL);
}

static const char *other(const struct sent *m)
{
	return goes_to(m, BOB, 0) ? CAROL : BOB;
}

static void a_request_waits_for_a_name(void **state)
{
	struct world *w = named(NULL);
	const struct sent *m;

	assert_int_equal(ask(w, two), FATE_PARKED);
	assert_int_equal(requests_sent(w, "INVITE"), 0);
	pass(w, 200);
	answer_names(w);
	assert_int_equal(w->fate, FATE_SENT);
	m = find_request(w, "INVITE", BOB);
	if (m == NULL)
		m = take_request(w, "INVITE", CAROL);
	assert_string_equal(first_line(m->text), "INVITE sip:bob@two.test:5060 SIP/2.0");
	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	world_close(w);
}

static void a_name_that_is_none_is_answered(void **state)
{
	struct world *w = named(NULL);
	unsigned finals = 0;

	if (ask(w, (struct ask){.uri = "sip:bob@nowhere.test:5060"}) == FATE_PARKED)
		answer_names(w);
	for (unsigned i = 0; i < w->sents; i++)
		finals += w->sent[i]->status >= 300;
	assert_int_equal(finals, 1);
	assert_int_equal(requests_sent(w, "INVITE"), 0);
	world_close(w);
}

/* t_relay() says why there is nowhere to go as forward() does: in the status line. */
static void what_refuses_a_target_is_said(void **state)
{
	static const char *const cases[][2] = {
		{"sip:bob@none.test:5060", "SIP/2.0 478 Unresolvable Destination"},
		{"sip:bob@10.2.0.1;transport=tcp", "SIP/2.0 480 Transport Not Available"},
		{"sips:bob@10.2.0.1", "SIP/2.0 416 Unsupported URI Scheme"},
		{"sip:bob@0.0.0.0", "SIP/2.0 403 Destination Not Allowed"},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = named(NULL);
		struct ask a = {.uri = cases[i][0]};
		const struct sent *m;

		if (ask(w, a) == FATE_PARKED)
			answer_names(w);
		for (unsigned n = 0; n < w->sents; n++) {
			m = w->sent[n];
			if (m->status >= 200)
				assert_string_equal(first_line(m->text), cases[i][1]);
		}
		m = take_response(w, (unsigned)atoi(cases[i][1] + 8), "INVITE");
		ack(w, a, m);
		world_close(w);
	}
}

static void after_a_503_the_next_address_is_tried(void **state)
{
	struct world *w = named(NULL);
	const struct sent *m = call_by_name(w, two), *next;

	answer(w, m, "503 Service Unavailable");
	take_request(w, "ACK", goes_to(m, BOB, 0) ? BOB : CAROL);
	next = take_request(w, "INVITE", other(m));
	take_nothing(w); /* the caller hears nothing of it */
	assert_string_equal(first_line(next->text), first_line(m->text));
	assert_string_not_equal(branch_of(next->text), branch_of(m->text));
	assert_int_equal(counted(w, TXN_COUNTER_FAILED_OVER), 1);
	answer(w, next, "180 Ringing");
	take_response(w, 180, "INVITE");
	answer(w, next, "200 OK");
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void after_a_timeout_the_next_address_is_tried(void **state)
{
	struct world *w = named(NULL);
	const struct sent *m = call_by_name(w, two), *next;

	pass(w, T64 - 100);
	take_all(w);
	pass(w, 100 + LATE_MS);
	next = take_request(w, "INVITE", other(m));
	assert_due(next, T64);
	take_nothing(w);
	pass(w, 500 + LATE_MS);
	assert_string_equal(take_request(w, "INVITE", other(m))->text, next->text);
	answer(w, next, "486 Busy Here");
	take_request(w, "ACK", other(m));
	ack(w, two, take_response(w, 486, "INVITE"));
	take_nothing(w);
	world_close(w);
}

static void when_all_addresses_failed_the_caller_hears_it(void **state)
{
	struct world *w = named(NULL);
	const struct sent *m = call_by_name(w, two), *next, *r;

	answer(w, m, "503 Service Unavailable");
	next = take_request(w, "INVITE", other(m));
	answer(w, next, "503 Service Unavailable");
	r = take_response(w, 500, "INVITE");
	ack(w, two, r);
	assert_int_equal(requests_sent(w, "INVITE"), 2);
	world_close(w);
}

static void other_failures_are_final(void **state)
{
	static const char *const status[] = {"404 Not Found", "500 Server Internal Error",
		"486 Busy Here", "603 Decline", "302 Moved", "504 Server Time-out"};

	for (unsigned i = 0; i < sizeof(status) / sizeof(status[0]); i++) {
		struct world *w = named(NULL);
		const struct sent *m = call_by_name(w, two);

		answer(w, m, status[i]);
		ack(w, two, take_response(w, (unsigned)strtoul(status[i], NULL, 10), "INVITE"));
		assert_int_equal(requests_sent(w, "INVITE"), 1);
		world_close(w);
	}
}

static void a_phone_that_rang_is_not_given_up_for_another_address(void **state)
{
	/* 4.3: a timeout of the transaction layer; whoever rings has been reached. */
	struct world *w = named(NULL);
	const struct sent *m = call_by_name(w, two);

	answer(w, m, "180 Ringing");
	pass(w, TIMER_C + 1000);
	assert_int_equal(requests_sent(w, "INVITE"), 1);
	assert_int_equal(requests_sent(w, "CANCEL") > 0, true);
	answer(w, m, "487 Request Terminated");
	world_close(w);
}

static void who_has_hung_up_is_not_called_at_another_address(void **state)
{
	struct world *w = named(NULL);
	const struct sent *m = call_by_name(w, two);

	cancel(w, two);
	answer(w, m, "503 Service Unavailable");
	assert_int_equal(requests_sent(w, "INVITE"), 1);
	world_close(w);
}

static void who_is_cancelled_is_not_called_at_another_address(void **state)
{
	/* By the script, before it has answered. */
	static const bool silent[] = {false, true};

	for (unsigned i = 0; i < 2; i++) {
		struct world *w = named(MODULES RFC_TIMERS
			"request_route {\n	append_branch(\"sip:dave@" DAVE "\");\n"
			"	t_on_reply(\"r\");\n	t_relay();\n}\n"
			"onreply_route[r] {\n	if (status == 180) "
			"t_cancel_branches(\"others\");\n}\n");
		const struct sent *m, *dave;

		if (ask(w, two) == FATE_PARKED)
			answer_names(w);
		take_response(w, 100, "INVITE");
		dave = take_request(w, "INVITE", DAVE);
		m = find_request(w, "INVITE", BOB);
		m = m != NULL ? m : take_request(w, "INVITE", CAROL);
		answer(w, dave, "180 Ringing");
		if (silent[i])
			pass(w, T64 + 1000);
		else
			answer(w, m, "503 Service Unavailable");
		take_all(w);
		assert_int_equal(counted(w, TXN_COUNTER_FAILED_OVER), 0);
		assert_int_equal(counted(w, TXN_COUNTER_BRANCHES), 2);
		answer(w, dave, "200 OK");
		take_response(w, 200, "INVITE");
		world_close(w);
	}
}

static void services_are_tried_in_their_order(void **state)
{
	struct world *w = named(NULL);
	struct ask srv = {.uri = "sip:bob@srv.test", .method = "MESSAGE"};
	const struct sent *m;

	if (ask(w, srv) == FATE_PARKED)
		answer_names(w);
	m = take_request(w, "MESSAGE", CAROL);
	assert_true(goes_to(m, CAROL, 5071));
	answer(w, m, "503 Service Unavailable");
	m = take_request(w, "MESSAGE", DAVE);
	assert_true(goes_to(m, DAVE, 5072));
	answer(w, m, "200 OK");
	take_response(w, 200, "MESSAGE");
	take_nothing(w);
	world_close(w);
}

static void a_failure_route_that_waits_for_a_name_goes_on(void **state)
{
	struct world *w = named(MODULES RFC_TIMERS
		"request_route {\n	t_on_failure(\"f\");\n	t_relay();\n}\n"
		"failure_route[f] {\n	$ru = \"sip:mail@mail.test:5060\";\n	append_branch();\n"
		"	t_relay();\n}\n");
	const struct sent *mail;

	ask(w, (struct ask){0});
	assert_int_equal(answer(w, take_request(w, "INVITE", BOB), "486 Busy Here"), FATE_ABSORBED);
	assert_non_null(w->parked);
	take_request(w, "ACK", BOB);
	take_response(w, 100, "INVITE");
	take_nothing(w);
	pass(w, 300);
	take_nothing(w);
	answer_names(w);
	mail = take_request(w, "INVITE", MAIL);
	take_nothing(w);
	answer(w, mail, "200 OK");
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void a_failure_route_that_waits_and_the_caller_hangs_up(void **state)
{
	struct world *w = named(MODULES RFC_TIMERS
		"request_route {\n	t_on_failure(\"f\");\n	t_relay();\n}\n"
		"failure_route[f] {\n	$ru = \"sip:mail@mail.test:5060\";\n	append_branch();\n"
		"	t_relay();\n}\n");
	struct ask a = {0};

	ask(w, a);
	answer(w, take_request(w, "INVITE", BOB), "486 Busy Here");
	cancel(w, a);
	take_response(w, 200, "CANCEL");
	answer_names(w);
	assert_null(find_request(w, "INVITE", MAIL));
	world_close(w); /* with a final response: the observer sees to it */
}

static void where_there_is_no_room_to_wait_the_caller_hears_it(void **state)
{
	struct world *w = named(MODULES RFC_TIMERS
		"request_route {\n	t_on_failure(\"f\");\n	t_relay();\n}\n"
		"failure_route[f] {\n	$ru = \"sip:mail@mail.test:5060\";\n	append_branch();\n"
		"	t_relay();\n}\n");

	ask(w, (struct ask){0});
	w->refuse_park = true;
	refuse(w, take_request(w, "INVITE", BOB), "486 Busy Here");
	assert_int_equal(requests_sent(w, "INVITE"), 1);
	/* At once, and not when its transaction is given up. */
	ack(w, (struct ask){0}, take_response(w, 486, "INVITE"));
	world_close(w);
}

static void a_parked_request_that_comes_again_is_one(void **state)
{
	/* Two copies wait for the name: one transaction comes of it. */
	struct world *w = named(NULL);

	ask(w, two);
	ask(w, two);
	answer_names(w);
	assert_int_equal(requests_sent(w, "INVITE"), 1);
	assert_int_equal(counted(w, TXN_COUNTER_CREATED), 1);
	world_close(w);
}

static void who_hangs_up_while_the_name_is_asked_for(void **state)
{
	struct world *w = named(NULL);
	const struct sent *r;

	assert_int_equal(ask(w, two), FATE_PARKED);
	find_response(w, 100, "INVITE");
	assert_int_equal(cancel(w, two), FATE_SENT);
	take_response(w, 200, "CANCEL");
	r = take_response(
		w, 487, "INVITE"); /* nobody else would say it, and names take their time */
	answer_names(w);
	assert_int_equal(requests_sent(w, "INVITE"), 0);
	take_nothing(w);
	assert_int_equal(ack(w, two, r), FATE_ABSORBED);
	world_close(w);
}

static void a_name_that_is_never_answered(void **state)
{
	/* Whoever waits for it hears of it at the end of the transaction's life, and what waits
	 * finds nothing to do any more. */
	struct world *w = named(NULL);
	unsigned finals = 0;

	assert_int_equal(ask(w, two), FATE_PARKED);
	pass_in_steps(w, 1200000, 100);
	for (unsigned i = 0; i < w->sents; i++)
		finals += w->sent[i]->status >= 300 && !w->sent[i]->taken;
	take_all(w);
	answer_names(w);
	for (unsigned i = 0; i < w->sents; i++)
		finals += w->sent[i]->status >= 300 && !w->sent[i]->taken;
	assert_true(finals > 0);
	assert_int_equal(requests_sent(w, "CANCEL"), 0);
	world_close(w);
}

/* Where the script sends all branches to a proxy, its addresses are tried, and not those of the
 * Request-URI, which is the caller's to choose. */
static void the_next_address_is_that_of_the_proxy_which_the_script_names(void **state)
{
	static const char *const scripts[] = {
		MODULES "request_route {\n	t_relay_to(\"udp:two.test:5060\");\n}\n",
		MODULES "request_route {\n	t_relay_to_udp(\"two.test\", \"5060\");\n}\n",
		MODULES "request_route {\n	t_on_branch(\"b\");\n"
			"	t_relay_to(\"udp:two.test:5060\");\n}\n"
			"branch_route[b] {\n	append_hf(\"X-Branch: 1\\r\\n\");\n}\n",
		MODULES "request_route {\n	t_on_failure(\"f\");\n"
			"	t_relay_to(\"udp:" DAVE "\");\n}\n"
			"failure_route[f] {\n	$ru = \"sip:bob@uri.test:5060\";\n"
			"	t_relay_to(\"udp:two.test:5060\");\n}\n",
		/* What an earlier t_relay_to() said is not for a later t_relay(). */
		MODULES "request_route {\n	t_on_failure(\"f\");\n"
			"	t_relay_to(\"udp:" DAVE "\");\n}\n"
			"failure_route[f] {\n	$ru = \"sip:bob@two.test:5060\";\n"
			"	t_relay();\n}\n",
	};

	for (unsigned i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		struct world *w = named(scripts[i]);
		const struct ask a = {.uri = "sip:bob@uri.test:5060"};
		const struct sent *m;

		add_address(w, "uri.test", "10.2.0.7");
		add_address(w, "uri.test", "10.2.0.8");
		if (ask(w, a) == FATE_PARKED)
			answer_names(w);
		take_response(w, 100, "INVITE");
		m = find_request(w, "INVITE", DAVE);
		if (m != NULL) {
			refuse(w, m, "486 Busy Here");
			answer_names(w);
		}
		m = find_request(w, "INVITE", BOB);
		if (m == NULL)
			m = take_request(w, "INVITE", CAROL);
		refuse(w, m, "503 Service Unavailable");
		answer_names(w);
		m = take_request(w, "INVITE", other(m));
		take_nothing(w);
		assert_int_equal(counted(w, TXN_COUNTER_FAILED_OVER), 1);
		answer(w, m, "200 OK");
		take_response(w, 200, "INVITE");
		world_close(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_waits_for_a_name),
		cmocka_unit_test(a_name_that_is_none_is_answered),
		cmocka_unit_test(what_refuses_a_target_is_said),
		cmocka_unit_test(after_a_503_the_next_address_is_tried),
		cmocka_unit_test(after_a_timeout_the_next_address_is_tried),
		cmocka_unit_test(the_next_address_is_that_of_the_proxy_which_the_script_names),
		cmocka_unit_test(when_all_addresses_failed_the_caller_hears_it),
		cmocka_unit_test(other_failures_are_final),
		cmocka_unit_test(a_phone_that_rang_is_not_given_up_for_another_address),
		cmocka_unit_test(who_has_hung_up_is_not_called_at_another_address),
		cmocka_unit_test(who_is_cancelled_is_not_called_at_another_address),
		cmocka_unit_test(services_are_tried_in_their_order),
		cmocka_unit_test(a_failure_route_that_waits_for_a_name_goes_on),
		cmocka_unit_test(a_failure_route_that_waits_and_the_caller_hangs_up),
		cmocka_unit_test(where_there_is_no_room_to_wait_the_caller_hears_it),
		cmocka_unit_test(a_parked_request_that_comes_again_is_one),
		cmocka_unit_test(who_hangs_up_while_the_name_is_asked_for),
		cmocka_unit_test(a_name_that_is_never_answered),
	};

	cmocka_set_test_filter(getenv("TXN_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
