/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Forks whose branch_routes name hosts that nobody has asked for yet, and failovers to such: what
 * goes out when the names are there, and what happens to the call meanwhile.
 */
#include "harness.h"

static const struct ask invite = {0};

/* Carol's branch goes to mail.test, the others where their URIs say. */
#define MAIL_IS_LATE \
	MODULES RFC_TIMERS "request_route {\n" \
			   "	append_branch(\"sip:carol@" CAROL "\");\n" \
			   "	append_branch(\"sip:dave@" DAVE "\");\n" \
			   "	t_on_branch(\"b\");\n" \
			   "	if (!t_relay()) sl_reply_error();\n}\n" \
			   "branch_route[b] {\n" \
			   "	$var(runs) = $var(runs) + 1;\n" \
			   "	append_hf(\"X-Run: $var(runs) of $T_branch_idx\\r\\n\");\n" \
			   "	if ($ru =~ \"carol\") $du = \"sip:mail.test:5060\";\n}\n"

static struct world *named(const char *script)
{
	struct world *w = world_new((struct world_config){.script = script, .names = true});

	add_address(w, "two.test", BOB);
	add_address(w, "two.test", CAROL);
	add_address(w, "late.test", DAVE);
	add_address(w, "late.test", MAIL);
	add_address(w, "bob.test", BOB);
	add_address(w, "carol.test", CAROL);
	add_address(w, "mail.test", MAIL);
	return w;
}

static void expect_run(const struct sent *m, const char *run)
{
	assert_int_equal(headers(m->text, "X-Run"), 1);
	assert_string_equal(header(m->text, "X-Run", 0), run);
}

static void a_later_branch_waits_for_its_name(void **state)
{
	struct world *w = named(MAIL_IS_LATE);
	const struct sent *m[3];
	unsigned of_message = 0;

	assert_int_equal(ask(w, invite), FATE_PARKED);
	take_response(w, 100, "INVITE");
	take_nothing(w);
	pass(w, 2000); /* what has not left is not sent again, either */
	take_nothing(w);
	answer_names(w);
	assert_int_equal(w->fate, FATE_SENT);
	m[0] = take_request(w, "INVITE", BOB);
	m[1] = take_request(w, "INVITE", MAIL);
	m[2] = take_request(w, "INVITE", DAVE);
	take_nothing(w);
	/* Its effects are there once: it has run once for each. */
	expect_run(m[0], "1 of 0");
	expect_run(m[1], "2 of 1");
	expect_run(m[2], "3 of 2");
	assert_string_equal(first_line(m[1]->text), "INVITE sip:carol@" CAROL " SIP/2.0");
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(m[i]->at, now_ms(w));
		assert_string_not_equal(branch_of(m[i]->text), branch_of(m[(i + 1) % 3]->text));
		of_message += m[i]->as == SENT_MESSAGE;
	}
	assert_int_equal(of_message, 1);
	assert_int_equal(counted(w, TXN_COUNTER_BRANCHES), 3);
	/* Timers begin with the sending. */
	pass(w, T1 + LATE_MS);
	assert_int_equal(take_all(w), 3);
	answer(w, m[1], "200 OK");
	take_response(w, 200, "INVITE");
	world_close(w);
}

static void each_branch_may_wait_for_a_name_of_its_own(void **state)
{
	static const char *const host[3] = {BOB, CAROL, MAIL};
	struct world *w = named(MODULES RFC_TIMERS
		"request_route {\n	append_branch(\"sip:b@x\");\n	"
		"append_branch(\"sip:c@x\");\n"
		"	t_on_branch(\"b\");\n	if (!t_relay()) sl_reply_error();\n}\n"
		"branch_route[b] {\n	$var(runs) = $var(runs) + 1;\n"
		"	append_hf(\"X-Run: $var(runs) of $T_branch_idx\\r\\n\");\n"
		"	setbflag($T_branch_idx);\n"
		"	switch ($T_branch_idx) {\n"
		"		case 0: $du = \"sip:bob.test:5060\"; break;\n"
		"		case 1: $du = \"sip:carol.test:5060\"; break;\n"
		"		case 2: $du = \"sip:mail.test:5060\"; t_on_reply(\"r\"); "
		"break;\n	}\n}\n"
		"onreply_route[r] {\n	append_hf(\"X-Of: mail\\r\\n\");\n}\n");

	assert_int_equal(ask(w, invite), FATE_PARKED);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(requests_sent(w, "INVITE"), 0);
		answer_names(w);
	}
	assert_int_equal(w->fate, FATE_SENT);
	take_response(w, 100, "INVITE");
	for (unsigned i = 0; i < 3; i++) {
		const struct sent *m = take_request(w, "INVITE", host[i]), *r;

		expect_run(m, printed("%u of %u", i + 1, i));
		answer(w, m, "180 Ringing");
		r = take_response(w, 180, "INVITE");
		assert_int_equal(headers(r->text, "X-Of"), i == 2);
	}
	take_nothing(w);
	world_close(w);
}

static void a_single_branch_is_routed_once(void **state)
{
	struct world *w = named(MODULES RFC_TIMERS
		"request_route {\n	t_on_branch(\"b\");\n	if (!t_relay()) "
		"sl_reply_error();\n}\n"
		"branch_route[b] {\n	$var(runs) = $var(runs) + 1;\n"
		"	append_hf(\"X-Run: $var(runs)\\r\\n\");\n	record_route();\n"
		"	$ru = \"sip:changed@x\";\n	$du = \"sip:mail.test:5060\";\n}\n");
	const struct sent *m;

	assert_int_equal(ask(w, invite), FATE_PARKED);
	answer_names(w);
	m = take_request(w, "INVITE", MAIL);
	expect_run(m, "1");
	assert_string_equal(first_line(m->text), "INVITE sip:changed@x SIP/2.0");
	assert_int_equal(headers(m->text, "Record-Route"), 1);
	world_close(w);
}

static void who_hangs_up_meanwhile(void **state)
{
	struct world *w = named(MAIL_IS_LATE);
	const struct sent *r;

	assert_int_equal(ask(w, invite), FATE_PARKED);
	take_response(w, 100, "INVITE");
	assert_int_equal(cancel(w, invite), FATE_SENT);
	take_response(w, 200, "CANCEL");
	r = take_response(w, 487, "INVITE");
	answer_names(w);
	take_nothing(w); /* no INVITE, and no CANCEL of what never left */
	assert_int_equal(ack(w, invite, r), FATE_ABSORBED);
	world_close(w);
}

static void a_name_that_is_none_takes_no_other_branch_with_it(void **state)
{
	struct world *w = named(MODULES RFC_TIMERS
		"request_route {\n	append_branch(\"sip:carol@" CAROL "\");\n"
		"	append_branch(\"sip:dave@" DAVE "\");\n	t_on_branch(\"b\");\n"
		"	if (!t_relay()) sl_reply_error();\n}\n"
		"branch_route[b] {\n	if ($ru =~ \"carol\") $du = "
		"\"sip:none.test:5060\";\n}\n");

	assert_int_equal(ask(w, invite), FATE_PARKED);
	answer_names(w);
	take_response(w, 100, "INVITE");
	take_request(w, "INVITE", BOB);
	take_request(w, "INVITE", DAVE);
	take_nothing(w);
	assert_int_equal(counted(w, TXN_COUNTER_BRANCHES), 2);
	world_close(w);
}

/* The name server has gone: nothing comes, and the run is given up. */
static void a_name_that_never_comes_takes_no_other_branch_with_it(void **state)
{
	static const char *const scripts[] = {
		MAIL_IS_LATE,
		/* without a branch_route */
		MODULES RFC_TIMERS "request_route {\n"
				   "	append_branch(\"sip:carol@mail.test:5060\");\n"
				   "	append_branch(\"sip:dave@" DAVE "\");\n"
				   "	if (!t_relay()) sl_reply_error();\n}\n",
	};

	for (unsigned i = 0; i < 2; i++) {
		struct world *w = named(scripts[i]);

		assert_int_equal(ask(w, invite), FATE_PARKED);
		pass(w, 5000);
		assert_int_equal(lose_names(w), FATE_SENT);
		take_response(w, 100, "INVITE");
		take_request(w, "INVITE", BOB);
		refuse(w, take_request(w, "INVITE", DAVE), "486 Busy Here");
		take_nothing(w);
		world_close(w);
	}
}

static void a_single_name_that_never_comes_is_answered(void **state)
{
	struct world *w = named(NULL);
	const struct sent *r;

	assert_int_equal(ask(w, (struct ask){.uri = "sip:bob@two.test:5060"}), FATE_PARKED);
	lose_names(w);
	find_response(w, 100, "INVITE");
	r = take_response(w, 500, "INVITE");
	ack(w, invite, r);
	take_nothing(w);
	world_close(w);
}

static void whose_time_is_over_gets_no_branch(void **state)
{
	struct world *w = named(MODULES RFC_TIMERS
		"modparam(\"tm\", \"max_inv_lifetime\", 3000)\n"
		"request_route {\n	append_branch(\"sip:carol@" CAROL "\");\n"
		"	t_on_branch(\"b\");\n	if (!t_relay()) sl_reply_error();\n}\n"
		"branch_route[b] {\n	if ($ru =~ \"carol\") $du = "
		"\"sip:mail.test:5060\";\n}\n");
	unsigned finals = 0;

	assert_int_equal(ask(w, invite), FATE_PARKED);
	pass_in_steps(w, 70000, 100);
	answer_names(w);
	assert_int_equal(requests_sent(w, "INVITE"), 0);
	assert_int_equal(requests_sent(w, "CANCEL"), 0);
	for (unsigned i = 0; i < w->sents; i++)
		finals += w->sent[i]->status >= 300;
	assert_true(finals > 0);
	world_close(w);
}

/* ---- failure_routes ---- */

#define HUNT \
	MODULES RFC_TIMERS "request_route {\n	t_on_failure(\"f\");\n	t_relay();\n}\n" \
			   "failure_route[f] {\n" \
			   "	append_branch(\"sip:carol@" CAROL "\");\n" \
			   "	append_branch(\"sip:dave@" DAVE "\");\n" \
			   "	t_on_branch(\"b\");\n" \
			   "	if (!t_relay()) t_reply(\"480\", \"Nobody\");\n}\n" \
			   "branch_route[b] {\n" \
			   "	$var(runs) = $var(runs) + 1;\n" \
			   "	append_hf(\"X-Run: $var(runs) of $T_branch_idx\\r\\n\");\n" \
			   "	if ($ru =~ \"dave\") $du = \"sip:mail.test:5060\";\n}\n"

static struct world *hunting(void)
{
	struct world *w = named(HUNT);

	assert_int_equal(ask(w, invite), FATE_SENT);
	take_response(w, 100, "INVITE");
	refuse(w, take_request(w, "INVITE", BOB), "486 Busy Here");
	assert_non_null(w->parked);
	take_nothing(w);
	return w;
}

static void in_a_failure_route_a_later_branch_waits_too(void **state)
{
	struct world *w = hunting();
	const struct sent *m[2], *r;

	answer_names(w);
	m[0] = take_request(w, "INVITE", CAROL);
	m[1] = take_request(w, "INVITE", MAIL);
	expect_run(m[0], "1 of 1");
	expect_run(m[1], "2 of 2");
	take_nothing(w);
	refuse(w, m[0], "404 Not Found");
	take_nothing(w);
	refuse(w, m[1], "603 Decline");
	r = take_response(w, 603, "INVITE");
	ack(w, invite, r);
	take_nothing(w);
	world_close(w);
}

static void who_hangs_up_while_a_failure_route_waits(void **state)
{
	struct world *w = hunting();
	const struct sent *r;

	cancel(w, invite);
	take_response(w, 200, "CANCEL");
	r = take_response(w, 487, "INVITE");
	answer_names(w);
	take_nothing(w);
	ack(w, invite, r);
	world_close(w);
}

static void in_a_failure_route_a_name_never_comes(void **state)
{
	struct world *w = hunting();
	const struct sent *m, *r;

	lose_names(w);
	m = take_request(w, "INVITE", CAROL);
	take_nothing(w);
	refuse(w, m, "404 Not Found");
	r = take_response(w, 404, "INVITE");
	ack(w, invite, r);
	take_nothing(w);
	world_close(w);
}

static void in_a_failure_route_there_is_no_room_to_wait(void **state)
{
	struct world *w = named(HUNT);
	const struct sent *m;

	ask(w, invite);
	w->refuse_park = true;
	answer(w, take_request(w, "INVITE", BOB), "486 Busy Here");
	assert_null(w->parked);
	m = take_request(w, "INVITE", CAROL);
	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	world_close(w);
}

/* ---- failover ---- */

/* From its second run on the branch_route sends to late.test, of which nothing is known. */
#define MOVES \
	"	t_on_branch(\"b\");\n	if (!t_relay()) sl_reply_error();\n}\n" \
	"branch_route[b] {\n	$var(runs) = $var(runs) + 1;\n" \
	"	append_hf(\"X-Run: $var(runs)\\r\\n\");\n" \
	"	if ($var(runs) == $var(move)) $du = \"sip:late.test:5060\";\n}\n"
#define FAILOVER_WAITS MODULES RFC_TIMERS "request_route {\n	$var(move) = 2;\n" MOVES
#define FORK_FAILOVER_WAITS \
	MODULES RFC_TIMERS "request_route {\n	$var(move) = 3;\n" \
			   "	append_branch(\"sip:carol@" CAROL "\");\n" MOVES

/* The first INVITE has met a 503. */
static struct world *refused(const char *script, const struct sent *m[2])
{
	struct world *w = named(script);

	assert_int_equal(ask(w, invite), FATE_SENT);
	take_response(w, 100, "INVITE");
	m[0] = take_request(w, "INVITE", BOB);
	m[1] = find_request(w, "INVITE", CAROL);
	refuse(w, m[0], "503 Service Unavailable");
	assert_non_null(w->parked);
	take_nothing(w);
	return w;
}

static const struct sent *late_one(struct world *w)
{
	const struct sent *m = find_request(w, "INVITE", DAVE);

	return m != NULL ? m : take_request(w, "INVITE", MAIL);
}

static void a_failover_waits_for_a_name(void **state)
{
	const struct sent *m[2], *next, *r;
	struct world *w = refused(FAILOVER_WAITS, m);

	/* Its copies are acknowledged and begin nothing. */
	refuse(w, m[0], "503 Service Unavailable");
	take_nothing(w);
	pass(w, 1000);
	take_nothing(w);
	answer_names(w);
	next = late_one(w);
	expect_run(next, "2");
	take_nothing(w);
	assert_int_equal(counted(w, TXN_COUNTER_FAILED_OVER), 1);
	answer(w, next, "486 Busy Here");
	find_request(w, "ACK", DAVE);
	find_request(w, "ACK", MAIL);
	r = take_response(w, 486, "INVITE");
	ack(w, invite, r);
	take_nothing(w);
	world_close(w);
}

static void a_failover_after_a_timeout_waits_for_a_name(void **state)
{
	struct world *w = named(FAILOVER_WAITS);

	ask(w, invite);
	pass(w, T64 + LATE_MS);
	take_all(w);
	assert_non_null(w->parked);
	answer_names(w);
	answer(w, late_one(w), "200 OK");
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void a_failover_s_name_never_comes(void **state)
{
	const struct sent *m[2], *r;
	struct world *w = refused(FAILOVER_WAITS, m);

	lose_names(w);
	r = take_response(w, 500, "INVITE"); /* its 503 */
	ack(w, invite, r);
	take_nothing(w);
	world_close(w);
}

static void a_failover_s_name_is_none(void **state)
{
	struct world *w = named(
		MODULES RFC_TIMERS "request_route {\n	t_on_branch(\"b\");\n	t_relay();\n}\n"
				   "branch_route[b] {\n	$var(runs) = $var(runs) + 1;\n"
				   "	if ($var(runs) == 2) $du = \"sip:none.test:5060\";\n}\n");

	ask(w, invite);
	take_all(w);
	answer_with(w, w->sent[1], "503 Service Unavailable", NULL, NULL);
	answer_names(w);
	take_request(w, "ACK", BOB);
	ack(w, invite, take_response(w, 500, "INVITE"));
	take_nothing(w);
	world_close(w);
}

static void who_hangs_up_while_a_failover_waits(void **state)
{
	const struct sent *m[2], *r;
	struct world *w = refused(FAILOVER_WAITS, m);

	cancel(w, invite);
	take_response(w, 200, "CANCEL");
	r = take_response(w, 487, "INVITE");
	answer_names(w);
	take_nothing(w);
	ack(w, invite, r);
	world_close(w);
}

static void who_hangs_up_on_the_rest_of_a_fork_while_a_failover_waits(void **state)
{
	const struct sent *m[2], *r, *c;
	struct world *w = refused(FORK_FAILOVER_WAITS, m);

	answer(w, m[1], "180 Ringing");
	take_response(w, 180, "INVITE");
	cancel(w, invite);
	take_response(w, 200, "CANCEL");
	c = take_request(w, "CANCEL", CAROL);
	answer_names(w);
	take_nothing(w);
	answer(w, c, "200 OK");
	refuse(w, m[1], "487 Request Terminated");
	r = take_response(w, 487, "INVITE");
	ack(w, invite, r);
	world_close(w);
}

static void another_branch_answers_while_a_failover_waits(void **state)
{
	const struct sent *m[2];
	struct world *w = refused(FORK_FAILOVER_WAITS, m);

	answer(w, m[1], "200 OK");
	take_response(w, 200, "INVITE");
	answer_names(w);
	take_nothing(w);
	world_close(w);
}

static void another_branch_fails_while_a_failover_waits(void **state)
{
	const struct sent *m[2], *next;
	struct world *w = refused(FORK_FAILOVER_WAITS, m);

	refuse(w, m[1], "404 Not Found");
	take_nothing(w); /* there is one more to hear of */
	answer_names(w);
	next = late_one(w);
	answer(w, next, "200 OK");
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void another_branch_declines_for_all_while_a_failover_waits(void **state)
{
	const struct sent *m[2], *r;
	struct world *w = refused(FORK_FAILOVER_WAITS, m);

	refuse(w, m[1], "603 Decline");
	r = take_response(w, 603, "INVITE");
	answer_names(w);
	take_nothing(w);
	ack(w, invite, r);
	world_close(w);
}

static void a_failover_that_finds_no_room_to_wait(void **state)
{
	struct world *w = named(FAILOVER_WAITS);

	ask(w, invite);
	w->refuse_park = true;
	refuse(w, take_request(w, "INVITE", BOB), "503 Service Unavailable");
	ack(w, invite, take_response(w, 500, "INVITE"));
	world_close(w);
}

static void a_transaction_that_is_over_is_not_failed_over(void **state)
{
	const struct sent *m[2];
	struct world *w = refused(FAILOVER_WAITS, m);

	pass_in_steps(w, 7200000, 1000);
	take_all(w);
	answer_names(w);
	take_nothing(w);
	world_close(w);
}

static void where_all_go_is_known_after_the_wait(void **state)
{
	/* The function's destination, not those of the URIs. */
	struct world *w = named(
		MODULES RFC_TIMERS "request_route {\n	append_branch(\"sip:carol@" CAROL
				   "\");\n	t_on_branch(\"b\");\n"
				   "	t_relay(\"udp:mail.test:5070\");\n}\n"
				   "branch_route[b] {\n	append_hf(\"X-Run: 1\\r\\n\");\n}\n");

	assert_int_equal(ask(w, invite), FATE_PARKED);
	answer_names(w);
	find_response(w, 100, "INVITE");
	for (unsigned i = 0; i < 2; i++)
		assert_true(goes_to(take_request(w, "INVITE", MAIL), MAIL, 5070));
	take_nothing(w);
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_later_branch_waits_for_its_name),
		cmocka_unit_test(each_branch_may_wait_for_a_name_of_its_own),
		cmocka_unit_test(a_single_branch_is_routed_once),
		cmocka_unit_test(who_hangs_up_meanwhile),
		cmocka_unit_test(a_name_that_is_none_takes_no_other_branch_with_it),
		cmocka_unit_test(a_name_that_never_comes_takes_no_other_branch_with_it),
		cmocka_unit_test(a_single_name_that_never_comes_is_answered),
		cmocka_unit_test(whose_time_is_over_gets_no_branch),
		cmocka_unit_test(in_a_failure_route_a_later_branch_waits_too),
		cmocka_unit_test(who_hangs_up_while_a_failure_route_waits),
		cmocka_unit_test(in_a_failure_route_a_name_never_comes),
		cmocka_unit_test(in_a_failure_route_there_is_no_room_to_wait),
		cmocka_unit_test(a_failover_waits_for_a_name),
		cmocka_unit_test(a_failover_after_a_timeout_waits_for_a_name),
		cmocka_unit_test(a_failover_s_name_never_comes),
		cmocka_unit_test(a_failover_s_name_is_none),
		cmocka_unit_test(who_hangs_up_while_a_failover_waits),
		cmocka_unit_test(who_hangs_up_on_the_rest_of_a_fork_while_a_failover_waits),
		cmocka_unit_test(another_branch_answers_while_a_failover_waits),
		cmocka_unit_test(another_branch_fails_while_a_failover_waits),
		cmocka_unit_test(another_branch_declines_for_all_while_a_failover_waits),
		cmocka_unit_test(a_failover_that_finds_no_room_to_wait),
		cmocka_unit_test(a_transaction_that_is_over_is_not_failed_over),
		cmocka_unit_test(where_all_go_is_known_after_the_wait),
	};

	cmocka_set_test_filter(getenv("TXN_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
