/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CANCEL: RFC 3261 9.1, 9.2, 16.10; Reason: RFC 3326.
 */
#include "harness.h"

static const struct ask invite = {0};

#define FORK \
	MODULES RFC_TIMERS "request_route {\n" \
			   "	if (method == \"INVITE\") append_branch(\"sip:carol@" CAROL \
			   "\");\n" \
			   "	if (!t_relay()) sl_reply_error();\n}\n"

static const struct sent *ring(struct world *w, struct ask a)
{
	const struct sent *m = call(w, a);

	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	return m;
}

/* The caller cancels, and hears 200. */
static const struct sent *hang_up(struct world *w, struct ask a)
{
	const struct sent *r;

	assert_int_equal(cancel(w, a), FATE_SENT);
	r = take_response(w, 200, "CANCEL");
	assert_int_equal(r->as, SENT_REPLY);
	assert_true(goes_to(r, CALLER, 5060));
	assert_int_equal(headers(r->text, "Via"), 1);
	assert_non_null(param(header(r->text, "To", 0), "tag"));
	return r;
}

static void after_a_provisional_it_goes_on_at_once(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = ring(w, invite), *c, *r;

	pass(w, 2000);
	hang_up(w, invite);
	c = take_request(w, "CANCEL", BOB);
	assert_due(c, 2000);
	assert_int_equal(c->as, SENT_OWN);
	assert_string_equal(branch_of(c->text), branch_of(m->text));
	take_nothing(w);
	assert_int_equal(answer(w, c, "200 OK"), FATE_ABSORBED);
	take_nothing(w);
	assert_int_equal(answer(w, m, "487 Request Terminated"), FATE_SENT);
	take_request(w, "ACK", BOB);
	r = take_response(w, 487, "INVITE");
	take_nothing(w);
	assert_int_equal(ack(w, invite, r), FATE_ABSORBED);
	pass(w, 60000);
	take_nothing(w);
	assert_int_equal(counted(w, TXN_COUNTER_CANCELLED), 1);
	world_close(w);
}

static void before_a_provisional_it_is_held_back(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *c;

	pass(w, 100);
	hang_up(w, invite);
	take_nothing(w);
	pass(w, 500 + LATE_MS - now_ms(w));
	take_request(w, "INVITE", BOB); /* Timer A runs on */
	take_nothing(w);
	answer(w, m, "100 Trying");
	c = take_request(w, "CANCEL", BOB);
	take_nothing(w);
	pass(w, 300);
	take_nothing(w); /* ... and stops now */
	answer(w, c, "200 OK");
	refuse(w, m, "487 Request Terminated");
	ack(w, invite, take_response(w, 487, "INVITE"));
	take_nothing(w);
	world_close(w);
}

static void held_back_and_answered_by_a_failure_it_is_never_sent(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *r;

	hang_up(w, invite);
	refuse(w, m, "486 Busy Here");
	r = find_response(w, 486, "INVITE");
	if (r == NULL)
		r = take_response(w, 487, "INVITE");
	ack(w, invite, r);
	pass(w, 10000);
	take_nothing(w);
	world_close(w);
}

static void held_back_where_nobody_ever_answers(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *r;

	call(w, invite);
	hang_up(w, invite);
	pass(w, T64 + LATE_MS);
	r = find_response(w, 487, "INVITE");
	if (r == NULL)
		r = take_response(w, 408, "INVITE");
	ack(w, invite, r);
	assert_null(find_request(w, "CANCEL", BOB));
	world_close(w);
}

static void it_crosses_a_2xx(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = ring(w, invite), *c;

	hang_up(w, invite);
	c = take_request(w, "CANCEL", BOB);
	/* The server had answered before the CANCEL came there. */
	assert_int_equal(answer(w, m, "200 OK"), FATE_SENT);
	take_response(w, 200, "INVITE");
	answer(w, c, "481 Call/Transaction Does Not Exist");
	take_nothing(w);
	pass(w, 60000);
	take_nothing(w);
	world_close(w);
}

static void it_crosses_a_2xx_before_any_provisional(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);

	hang_up(w, invite);
	assert_int_equal(answer(w, m, "200 OK"), FATE_SENT);
	take_response(w, 200, "INVITE");
	take_nothing(w);
	pass(w, 60000);
	take_nothing(w);
	world_close(w);
}

static void after_a_final_response_it_is_answered_and_nothing_else(void **state)
{
	static const char *const status[] = {"200 OK", "486 Busy Here"};

	for (unsigned i = 0; i < 2; i++) {
		struct world *w = world_new((struct world_config){0});
		const struct sent *m = ring(w, invite);

		answer(w, m, status[i]);
		take_all(w);
		hang_up(w, invite);
		take_nothing(w);
		if (i == 0) {
			pass(w, 10000);
			take_nothing(w);
		}
		world_close(w);
	}
}

static void its_retransmission_is_answered_again(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = ring(w, invite), *first;

	first = hang_up(w, invite);
	take_request(w, "CANCEL", BOB);
	for (unsigned i = 0; i < 3; i++) {
		pass(w, 100);
		assert_string_equal(hang_up(w, invite)->text, first->text);
		take_nothing(w);
	}
	assert_int_equal(counted(w, TXN_COUNTER_CANCELLED), 1);
	answer(w, m, "487 Request Terminated");
	take_all(w);
	world_close(w);
}

static void ours_is_sent_again_until_it_is_answered(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = ring(w, invite), *c, *again;

	hang_up(w, invite);
	c = take_request(w, "CANCEL", BOB);
	for (unsigned i = 0, due = 500; i < 3; i++, due = 2 * due + 500) {
		pass(w, due + LATE_MS - now_ms(w));
		again = take_request(w, "CANCEL", BOB);
		assert_due(again, due);
		assert_string_equal(again->text, c->text);
		take_nothing(w);
	}
	answer(w, c, "200 OK");
	pass(w, 8000);
	take_nothing(w);
	refuse(w, m, "487 Request Terminated");
	take_response(w, 487, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void a_server_that_answers_the_cancel_only_is_given_up(void **state)
{
	/* 9.1: 64*T1 after the CANCEL the INVITE counts as cancelled. */
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = ring(w, invite), *r;

	hang_up(w, invite);
	answer(w, take_request(w, "CANCEL", BOB), "200 OK");
	pass(w, T64 - 1000);
	take_nothing(w);
	pass(w, 2000);
	r = find_response(w, 487, "INVITE");
	if (r == NULL)
		r = take_response(w, 408, "INVITE");
	ack(w, invite, r);
	take_all(w);
	/* It comes at last: a stray or absorbed, in no case passed on. */
	answer(w, m, "180 Ringing");
	take_nothing(w);
	world_close(w);
}

static void a_dead_server_is_given_up_too(void **state)
{
	struct world *w = world_new((struct world_config){0});

	ring(w, invite);
	hang_up(w, invite);
	pass(w, T64 + 1000);
	assert_true(
		find_response(w, 487, "INVITE") != NULL || find_response(w, 408, "INVITE") != NULL);
	world_close(w);
}

/* ---- forked ---- */

static void a_forked_call_is_cancelled_where_it_was_heard_of(void **state)
{
	struct world *w = world_new((struct world_config){.script = FORK});
	const struct sent *bob = call(w, invite), *carol = take_request(w, "INVITE", CAROL), *cb,
			  *cc, *r;

	answer(w, bob, "180 Ringing");
	take_response(w, 180, "INVITE");
	hang_up(w, invite);
	cb = take_request(w, "CANCEL", BOB);
	take_nothing(w);
	answer(w, cb, "200 OK");
	refuse(w, bob, "487 Request Terminated");
	take_nothing(w); /* Carol has not said a word yet */
	answer(w, carol, "180 Ringing");
	cc = take_request(w, "CANCEL", CAROL);
	find_response(w, 180, "INVITE");
	answer(w, cc, "200 OK");
	refuse(w, carol, "487 Request Terminated");
	r = take_response(w, 487, "INVITE");
	take_nothing(w);
	ack(w, invite, r);
	world_close(w);
}

static void a_branch_that_is_answered_is_not_cancelled(void **state)
{
	struct world *w = world_new((struct world_config){.script = FORK});
	const struct sent *bob = call(w, invite), *carol = take_request(w, "INVITE", CAROL);

	answer(w, bob, "180 Ringing");
	answer(w, carol, "180 Ringing");
	answer(w, carol, "486 Busy Here");
	take_all(w);
	hang_up(w, invite);
	take_request(w, "CANCEL", BOB);
	take_nothing(w);
	refuse(w, bob, "487 Request Terminated");
	assert_true(
		find_response(w, 487, "INVITE") != NULL || find_response(w, 486, "INVITE") != NULL);
	take_nothing(w);
	world_close(w);
}

static void a_branch_that_answers_all_the_same_has_won(void **state)
{
	struct world *w = world_new((struct world_config){.script = FORK});
	const struct sent *bob = call(w, invite), *carol = take_request(w, "INVITE", CAROL);

	answer(w, bob, "180 Ringing");
	answer(w, carol, "180 Ringing");
	take_all(w);
	hang_up(w, invite);
	take_request(w, "CANCEL", BOB);
	take_request(w, "CANCEL", CAROL);
	refuse(w, bob, "487 Request Terminated");
	answer(w, carol, "200 OK");
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

/* ---- what it carries ---- */

static void its_reason_is_carried_to_each_branch(void **state)
{
	struct world *w = world_new((struct world_config){.script = FORK});
	const struct sent *bob = call(w, invite), *carol = take_request(w, "INVITE", CAROL), *c;
	struct ask why = {.more = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\n"
				  "Reason: Q.850;cause=16\n"};

	answer(w, bob, "180 Ringing");
	take_response(w, 180, "INVITE");
	hang_up(w, why);
	c = take_request(w, "CANCEL", BOB);
	assert_string_equal(
		header(c->text, "Reason", 0), "SIP;cause=200;text=\"Call completed elsewhere\"");
	assert_non_null(strstr(c->text, "Q.850;cause=16"));
	/* And the one that was held back. */
	answer(w, carol, "180 Ringing");
	c = take_request(w, "CANCEL", CAROL);
	assert_string_equal(
		header(c->text, "Reason", 0), "SIP;cause=200;text=\"Call completed elsewhere\"");
	answer(w, bob, "487 Request Terminated");
	answer(w, carol, "487 Request Terminated");
	take_all(w);
	world_close(w);
}

static void without_a_reason_there_is_none(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = ring(w, invite);

	hang_up(w, invite);
	assert_null(header(take_request(w, "CANCEL", BOB)->text, "Reason", 0));
	answer(w, m, "487 Request Terminated");
	world_close(w);
}

/* ---- forged and lost ones ---- */

/* 16.10: what is of no INVITE here is passed on without state, on a branch that is not the call's,
 * for whom it is sent to, to answer; nobody has a 200 for it, and no branch of the call is
 * cancelled. */
static void cancel_of_another(struct world *w, const struct sent *call, const struct ask a)
{
	const struct sent *c;

	assert_int_equal(cancel(w, a), FATE_STATELESS);
	c = take_request(w, "CANCEL", BOB);
	assert_int_equal(c->as, SENT_STATELESS);
	assert_string_not_equal(branch_of(c->text), branch_of(call->text));
	take_nothing(w);
}

static void a_forged_cancel_ends_nothing(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = ring(w, invite);

	cancel_of_another(w, m, (struct ask){.call = "stranger", .branch = "call-1"});
	cancel_of_another(w, m, (struct ask){.cseq = 2, .branch = "call-1"});
	cancel_of_another(w, m, (struct ask){.from = "10.0.0.66", .branch = "call-1"});
	cancel_of_another(w, m, (struct ask){.branch = "call-2"});
	assert_int_equal(counted(w, TXN_COUNTER_CANCELLED), 0);
	assert_int_equal(usage(w).transactions, 1);
	pass(w, 5000);
	take_nothing(w);
	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	world_close(w);
}

static void a_forged_cancel_is_answered_by_a_script_that_asks(void **state)
{
	/* 9.2: 481 to each, and the call goes on. */
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"request_route {\n"
		"	if (method == \"CANCEL\") {\n"
		"		if (t_check_trans()) t_relay(); else sl_send_reply(\"481\", \"No "
		"Call\");\n		exit;\n	}\n	t_relay();\n}\n"});
	const struct sent *m = ring(w, invite);
	const struct ask forged[] = {{.call = "stranger", .branch = "call-1"},
		{.cseq = 2, .branch = "call-1"}, {.from = "10.0.0.66", .branch = "call-1"},
		{.branch = "call-2"}};

	for (unsigned i = 0; i < sizeof(forged) / sizeof(*forged); i++) {
		cancel(w, forged[i]);
		take_response(w, 481, "CANCEL");
		take_nothing(w);
	}
	assert_int_equal(counted(w, TXN_COUNTER_CANCELLED), 0);
	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	world_close(w);
}

static void a_cancel_of_nothing_is_passed_on_without_state(void **state)
{
	/* 16.10: the INVITE may have been forwarded so. */
	struct world *w = world_new((struct world_config){0});

	assert_int_equal(cancel(w, invite), FATE_STATELESS);
	assert_int_equal(take_request(w, "CANCEL", BOB)->as, SENT_STATELESS);
	take_nothing(w);
	assert_int_equal(usage(w).transactions, 0);
	world_close(w);
}

static void a_cancel_of_another_method_has_no_effect(void **state)
{
	/* 9.1, 9.2 */
	struct world *w = world_new((struct world_config){0});
	struct ask message = {.method = "MESSAGE"};
	const struct sent *m;

	ask(w, message);
	m = take_request(w, "MESSAGE", BOB);
	answer(w, m, "100 Trying");
	come_text(w, cancel_text(message), CALLER, 5060);
	for (unsigned i = 0; i < w->sents; i++)
		assert_false(
			strcmp(w->sent[i]->method, "CANCEL") == 0 && w->sent[i]->as == SENT_OWN);
	take_all(w);
	answer(w, m, "200 OK");
	take_response(w, 200, "MESSAGE");
	take_nothing(w);
	world_close(w);
}

static void a_response_to_our_cancel_that_nobody_sent_is_dropped(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = ring(w, invite), *c;

	hang_up(w, invite);
	c = take_request(w, "CANCEL", BOB);
	/* Another branch number, another Call-ID. */
	come_forged(w,
		replaced(answer_text(c, "200 OK", NULL, NULL), "Call-ID: call", "Call-ID: other"),
		BOB, 5060);
	assert_int_equal(w->fate, FATE_REFUSED);
	pass(w, 500 + LATE_MS);
	take_request(w, "CANCEL", BOB); /* still waiting for its answer */
	take_nothing(w);
	answer(w, c, "200 OK");
	answer(w, m, "487 Request Terminated");
	take_all(w);
	world_close(w);
}

static void with_t_check_trans_a_script_tells_a_cancel_apart(void **state)
{
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"request_route {\n"
		"	if (method == \"CANCEL\") {\n"
		"		if (t_check_trans()) t_relay(); else sl_send_reply(\"481\", \"No "
		"Call\");\n		exit;\n	}\n	t_relay();\n}\n"});
	const struct sent *m;

	cancel(w, (struct ask){.call = "unknown"});
	take_response(w, 481, "CANCEL");
	m = ring(w, invite);
	hang_up(w, invite);
	take_request(w, "CANCEL", BOB);
	take_nothing(w);
	answer(w, m, "487 Request Terminated");
	take_all(w);
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_a_provisional_it_goes_on_at_once),
		cmocka_unit_test(before_a_provisional_it_is_held_back),
		cmocka_unit_test(held_back_and_answered_by_a_failure_it_is_never_sent),
		cmocka_unit_test(held_back_where_nobody_ever_answers),
		cmocka_unit_test(it_crosses_a_2xx),
		cmocka_unit_test(it_crosses_a_2xx_before_any_provisional),
		cmocka_unit_test(after_a_final_response_it_is_answered_and_nothing_else),
		cmocka_unit_test(its_retransmission_is_answered_again),
		cmocka_unit_test(ours_is_sent_again_until_it_is_answered),
		cmocka_unit_test(a_server_that_answers_the_cancel_only_is_given_up),
		cmocka_unit_test(a_dead_server_is_given_up_too),
		cmocka_unit_test(a_forked_call_is_cancelled_where_it_was_heard_of),
		cmocka_unit_test(a_branch_that_is_answered_is_not_cancelled),
		cmocka_unit_test(a_branch_that_answers_all_the_same_has_won),
		cmocka_unit_test(its_reason_is_carried_to_each_branch),
		cmocka_unit_test(without_a_reason_there_is_none),
		cmocka_unit_test(a_forged_cancel_ends_nothing),
		cmocka_unit_test(a_forged_cancel_is_answered_by_a_script_that_asks),
		cmocka_unit_test(a_cancel_of_nothing_is_passed_on_without_state),
		cmocka_unit_test(a_cancel_of_another_method_has_no_effect),
		cmocka_unit_test(a_response_to_our_cancel_that_nobody_sent_is_dropped),
		cmocka_unit_test(with_t_check_trans_a_script_tells_a_cancel_apart),
	};

	cmocka_set_test_filter(getenv("TXN_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
