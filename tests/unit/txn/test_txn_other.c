/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transactions of other requests than INVITE: RFC 3261 17.1.2 and 17.2.2 (figures 6 and 8) as RFC
 * 4320 has them, with each timer at its time: E, F, J, K.
 */
#include "harness.h"

static const struct ask message = {.method = "MESSAGE", .body = "hello"};

static const struct sent *request(struct world *w, struct ask a)
{
	assert_int_equal(ask(w, a), FATE_SENT);
	return take_request(w, a.method, BOB);
}

/* ---- client ---- */

static void a_request_is_sent_and_not_tried(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = request(w, message);

	assert_int_equal(m->as, SENT_MESSAGE);
	assert_string_equal(body_of(m->text), "hello");
	take_nothing(w);
	assert_int_equal(answer(w, m, "200 OK"), FATE_SENT);
	assert_int_equal(take_response(w, 200, "MESSAGE")->as, SENT_MESSAGE);
	take_nothing(w);
	world_close(w);
}

static void timer_e_doubles_up_to_t2_and_timer_f_ends_it_in_silence(void **state)
{
	static const unsigned due[] = {
		500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500};
	struct world *w = world_new((struct world_config){0});
	const struct sent *first = request(w, message), *m;

	for (unsigned i = 0; i < sizeof(due) / sizeof(due[0]); i++) {
		pass(w, due[i] + LATE_MS - now_ms(w));
		m = take_request(w, "MESSAGE", BOB);
		assert_due(m, due[i]);
		assert_string_equal(m->text, first->text);
		if (due[i] == 3500)
			assert_due(take_response(w, 100, "MESSAGE"), 3500);
		take_nothing(w);
	}
	pass(w, 60000);
	take_nothing(w); /* no 408: RFC 4320 4.2 */
	assert_int_equal(counted(w, TXN_COUNTER_TIMEOUTS), 1);
	assert_int_equal(usage(w).transactions, 0);
	world_close(w);
}

static void in_proceeding_timer_e_is_t2(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = request(w, message);

	pass(w, 200);
	assert_int_equal(answer(w, m, "100 Trying"), FATE_ABSORBED);
	/* What is running runs out; from then on it is T2 (17.1.2.2). */
	pass(w, 500 + LATE_MS - now_ms(w));
	assert_due(take_request(w, "MESSAGE", BOB), 500);
	pass(w, 3500 + LATE_MS - now_ms(w));
	find_response(w, 100, "MESSAGE");
	take_nothing(w);
	pass(w, 4500 + LATE_MS - now_ms(w));
	assert_due(take_request(w, "MESSAGE", BOB), 4500);
	pass(w, 8500 + LATE_MS - now_ms(w));
	assert_due(take_request(w, "MESSAGE", BOB), 8500);
	take_nothing(w);
	assert_int_equal(answer(w, m, "200 OK"), FATE_SENT);
	take_response(w, 200, "MESSAGE");
	pass(w, 60000);
	take_nothing(w);
	world_close(w);
}

static void a_provisional_does_not_stop_timer_f(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = request(w, message);

	for (unsigned i = 0; i < 15; i++) {
		pass(w, 2000);
		answer(w, m, "100 Trying");
	}
	pass(w, 32000 + LATE_MS - now_ms(w));
	assert_int_equal(counted(w, TXN_COUNTER_TIMEOUTS), 1);
	take_all(w);
	pass(w, 10000);
	take_nothing(w);
	world_close(w);
}

static void timer_k_absorbs_copies_of_the_final(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = request(w, message);

	answer(w, m, "404 Not Found");
	take_response(w, 404, "MESSAGE");
	for (unsigned i = 0; i < 9; i++) {
		pass(w, T4 / 10);
		assert_int_equal(answer(w, m, "404 Not Found"), FATE_ABSORBED);
		take_nothing(w);
	}
	/* No ACK is ever due, and no response is sent by a timer. */
	pass(w, 60000);
	take_nothing(w);
	assert_int_equal(usage(w).transactions, 0);
	assert_int_equal(answer(w, m, "404 Not Found"), FATE_DROPPED);
	assert_int_equal(w->reason, TXN_REASON_STRAY);
	world_close(w);
}

static void another_final_of_the_same_server_is_not_passed_on(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = request(w, message);

	answer(w, m, "404 Not Found");
	take_response(w, 404, "MESSAGE");
	assert_int_equal(answer_with(w, m, "200 OK", "other", NULL), FATE_ABSORBED);
	assert_int_equal(answer(w, m, "100 Trying"), FATE_ABSORBED);
	take_nothing(w);
	world_close(w);
}

static void all_methods_are_known_as_others(void **state)
{
	static const char *const method[] = {"BYE", "OPTIONS", "REGISTER", "SUBSCRIBE", "NOTIFY",
		"REFER", "INFO", "UPDATE", "PRACK", "PUBLISH", "FLY"};
	struct world *w = world_new((struct world_config){0});

	for (unsigned i = 0; i < sizeof(method) / sizeof(method[0]); i++) {
		struct ask a = {.method = method[i], .call = method[i]};
		const struct sent *m = request(w, a);

		pass(w, 500 + LATE_MS);
		assert_string_equal(take_request(w, method[i], BOB)->text, m->text);
		answer(w, m, "202 Accepted");
		take_response(w, 202, method[i]);
		assert_int_equal(ask(w, a), FATE_ABSORBED);
		take_response(w, 202, method[i]);
		take_nothing(w);
	}
	world_close(w);
}

/* ---- server ---- */

static void in_trying_a_retransmission_is_absorbed(void **state)
{
	struct world *w = world_new((struct world_config){0});

	request(w, message);
	for (unsigned i = 0; i < 4; i++) {
		pass(w, 100);
		assert_int_equal(ask(w, message), FATE_ABSORBED);
		take_nothing(w);
	}
	assert_int_equal(counted(w, TXN_COUNTER_ABSORBED), 4);
	world_close(w);
}

static void a_100_comes_when_timer_e_is_at_t2(void **state)
{
	/* RFC 4320 4.1: neither before nor never. Then a retransmission gets it again (17.2.2). */
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = request(w, message), *r;

	answer(w, m, "100 Trying");
	pass(w, 3490);
	assert_null(find_response(w, 100, "MESSAGE"));
	pass(w, 10 + LATE_MS);
	r = take_response(w, 100, "MESSAGE");
	assert_due(r, 3500);
	take_all(w);
	assert_int_equal(ask(w, message), FATE_ABSORBED);
	assert_string_equal(take_response(w, 100, "MESSAGE")->text, r->text);
	take_nothing(w);
	answer(w, m, "200 OK");
	take_response(w, 200, "MESSAGE");
	world_close(w);
}

static void no_100_after_the_final_response(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = request(w, message);

	pass(w, 3400);
	take_all(w);
	answer(w, m, "200 OK");
	take_response(w, 200, "MESSAGE");
	pass(w, 10000);
	take_nothing(w);
	world_close(w);
}

static void other_provisionals_are_not_passed_on(void **state)
{
	/* RFC 4320 4.1 */
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = request(w, message);

	assert_int_equal(answer(w, m, "180 Ringing"), FATE_ABSORBED);
	assert_int_equal(answer(w, m, "183 Session Progress"), FATE_ABSORBED);
	take_nothing(w);
	answer(w, m, "200 OK");
	take_response(w, 200, "MESSAGE");
	take_nothing(w);
	world_close(w);
}

static void a_408_is_not_passed_on(void **state)
{
	/* RFC 4320 4.2 */
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = request(w, message);

	answer(w, m, "408 Request Timeout");
	take_nothing(w);
	pass(w, 60000);
	assert_null(find_response(w, 408, "MESSAGE"));
	world_close(w);
}

static void timer_j_answers_retransmissions(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = request(w, message), *r;

	answer_with(w, m, "200 OK", "x", "X-Body: yes\n");
	r = take_response(w, 200, "MESSAGE");
	for (unsigned i = 0; i < 31; i++) {
		pass(w, 1000);
		assert_int_equal(ask(w, message), FATE_ABSORBED);
		assert_string_equal(take_response(w, 200, "MESSAGE")->text, r->text);
		take_nothing(w);
	}
	assert_int_equal(counted(w, TXN_COUNTER_CREATED), 1);
	assert_int_equal(counted(w, TXN_COUNTER_ABSORBED), 31);
	pass(w, 2000);
	assert_int_equal(usage(w).transactions, 0);
	world_close(w);
}

static void our_own_reply_is_sent_again_for_retransmissions_only(void **state)
{
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"request_route {\n	t_newtran();\n	t_reply(\"200\", \"Fine\");\n}\n"});
	const struct sent *r;

	assert_int_equal(ask(w, message), FATE_SENT);
	r = take_response(w, 200, "MESSAGE");
	assert_int_equal(r->as, SENT_REPLY);
	assert_non_null(param(header(r->text, "To", 0), "tag"));
	pass(w, 20000);
	take_nothing(w);
	ask(w, message);
	assert_string_equal(take_response(w, 200, "MESSAGE")->text, r->text);
	take_nothing(w);
	world_close(w);
}

static void a_late_response_is_not_passed_on(void **state)
{
	/* RFC 4320 4.2, second paragraph. */
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = request(w, message);

	pass(w, 70000);
	take_all(w);
	assert_int_equal(usage(w).transactions, 0);
	assert_int_equal(answer(w, m, "200 OK"), FATE_DROPPED);
	take_nothing(w);
	world_close(w);
}

static void a_bye_beside_its_invite_is_a_transaction_of_its_own(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m, *bye;

	ask(w, (struct ask){0});
	m = take_request(w, "INVITE", BOB);
	answer(w, m, "200 OK");
	take_all(w);
	bye = request(w, (struct ask){.method = "BYE", .cseq = 2, .to_tag = "t" BOB});
	assert_string_not_equal(branch_of(bye->text), branch_of(m->text));
	answer(w, bye, "200 OK");
	take_response(w, 200, "BYE");
	take_nothing(w);
	assert_int_equal(usage(w).transactions, 2);
	world_close(w);
}

static void an_ack_out_of_nowhere_makes_no_transaction(void **state)
{
	struct world *w = world_new((struct world_config){0});

	assert_int_equal(ask(w, (struct ask){.method = "ACK", .to_tag = "x"}), FATE_STATELESS);
	take_request(w, "ACK", BOB);
	take_nothing(w);
	assert_int_equal(usage(w).transactions, 0);
	pass(w, 2000);
	take_nothing(w);
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_sent_and_not_tried),
		cmocka_unit_test(timer_e_doubles_up_to_t2_and_timer_f_ends_it_in_silence),
		cmocka_unit_test(in_proceeding_timer_e_is_t2),
		cmocka_unit_test(a_provisional_does_not_stop_timer_f),
		cmocka_unit_test(timer_k_absorbs_copies_of_the_final),
		cmocka_unit_test(another_final_of_the_same_server_is_not_passed_on),
		cmocka_unit_test(all_methods_are_known_as_others),
		cmocka_unit_test(in_trying_a_retransmission_is_absorbed),
		cmocka_unit_test(a_100_comes_when_timer_e_is_at_t2),
		cmocka_unit_test(no_100_after_the_final_response),
		cmocka_unit_test(other_provisionals_are_not_passed_on),
		cmocka_unit_test(a_408_is_not_passed_on),
		cmocka_unit_test(timer_j_answers_retransmissions),
		cmocka_unit_test(our_own_reply_is_sent_again_for_retransmissions_only),
		cmocka_unit_test(a_late_response_is_not_passed_on),
		cmocka_unit_test(a_bye_beside_its_invite_is_a_transaction_of_its_own),
		cmocka_unit_test(an_ack_out_of_nowhere_makes_no_transaction),
	};

	cmocka_set_test_filter(getenv("TXN_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
