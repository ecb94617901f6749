/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * INVITE transactions: RFC 3261 17.1.1 and 17.2.1 as RFC 6026 has them (figures 5 and 7), with each
 * timer at its time: A, B, C, D, G, H, I, L, M.
 */
#include "harness.h"

static const struct ask invite = {0};

/* ---- client: calling ---- */

static void an_invite_is_tried_at_once_and_sent(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m, *trying;

	assert_int_equal(ask(w, invite), FATE_SENT);
	trying = take_response(w, 100, "INVITE");
	assert_due(trying, 0);
	assert_true(goes_to(trying, CALLER, 5060));
	assert_int_equal(headers(trying->text, "Via"), 1);
	assert_string_equal(param(header(trying->text, "Via", 0), "branch"), "z9hG4bKcall-1");
	assert_int_equal(trying->as, SENT_OWN);
	m = take_request(w, "INVITE", BOB);
	assert_int_equal(m->as, SENT_MESSAGE);
	assert_int_equal(headers(m->text, "Via"), 2);
	assert_string_equal(header(m->text, "Max-Forwards", 0), "69");
	assert_int_equal(strncmp(branch_of(m->text), "z9hG4bK", 7), 0);
	take_nothing(w);
	assert_int_equal(usage(w).transactions, 1);
	assert_int_equal(counted(w, TXN_COUNTER_CREATED), 1);
	assert_int_equal(counted(w, TXN_COUNTER_BRANCHES), 1);
	world_close(w);
}

static void timer_a_doubles_and_timer_b_ends_it(void **state)
{
	static const unsigned due[] = {500, 1500, 3500, 7500, 15500, 31500};
	struct world *w = world_new((struct world_config){0});
	const struct sent *first = call(w, invite), *m;

	for (unsigned i = 0; i < sizeof(due) / sizeof(due[0]); i++) {
		pass(w, due[i] + LATE_MS - now_ms(w));
		m = take_request(w, "INVITE", BOB);
		assert_due(m, due[i]);
		assert_int_equal(m->as, SENT_OWN);
		assert_int_equal(m->len, first->len);
		assert_memory_equal(m->text, first->text, m->len);
		take_nothing(w);
	}
	assert_int_equal(counted(w, TXN_COUNTER_RETRANSMITTED), 6);
	pass(w, T64 + LATE_MS - now_ms(w));
	m = take_response(w, 408, "INVITE");
	assert_due(m, T64);
	assert_non_null(param(header(m->text, "To", 0), "tag"));
	assert_int_equal(counted(w, TXN_COUNTER_TIMEOUTS), 1);
	take_nothing(w);
	assert_int_equal(ack(w, invite, m), FATE_ABSORBED);
	take_nothing(w);
	world_close(w);
}

static void any_response_stops_timer_a(void **state)
{
	static const char *const status[] = {
		"100 Trying", "180 Ringing", "200 OK", "404 Not Found"};

	for (unsigned i = 0; i < sizeof(status) / sizeof(status[0]); i++) {
		struct world *w = world_new((struct world_config){0});
		const struct sent *m = call(w, invite);

		pass(w, 600);
		take_request(w, "INVITE", BOB);
		answer(w, m, status[i]);
		pass(w, 20000);
		assert_null(find_request(w, "INVITE", BOB));
		world_close(w);
	}
}

static void a_lost_invite_is_sent_again_for_the_caller(void **state)
{
	/* The caller sends again too: he hears the 100 again, and nothing more leaves for him. */
	struct world *w = world_new((struct world_config){0});

	call(w, invite);
	pass(w, 300);
	assert_int_equal(ask(w, invite), FATE_ABSORBED);
	take_response(w, 100, "INVITE");
	take_nothing(w);
	assert_int_equal(counted(w, TXN_COUNTER_ABSORBED), 1);
	assert_int_equal(counted(w, TXN_COUNTER_CREATED), 1);
	world_close(w);
}

/* ---- client and server: proceeding ---- */

static void provisionals_go_on_but_for_100(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *r;

	assert_int_equal(answer(w, m, "100 Trying"), FATE_ABSORBED);
	take_nothing(w);
	assert_int_equal(answer(w, m, "180 Ringing"), FATE_SENT);
	r = take_response(w, 180, "INVITE");
	assert_int_equal(r->as, SENT_MESSAGE);
	assert_true(goes_to(r, CALLER, 5060));
	assert_int_equal(headers(r->text, "Via"), 1);
	assert_int_equal(answer(w, m, "183 Session Progress"), FATE_SENT);
	take_response(w, 183, "INVITE");
	assert_int_equal(answer(w, m, "180 Ringing"), FATE_SENT);
	take_response(w, 180, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void a_retransmission_in_proceeding_gets_the_last_provisional(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *first, *again;

	answer(w, m, "180 Ringing");
	first = take_response(w, 180, "INVITE");
	assert_int_equal(ask(w, invite), FATE_ABSORBED);
	again = take_response(w, 180, "INVITE");
	assert_string_equal(first->text, again->text);
	answer(w, m, "183 Session Progress");
	take_response(w, 183, "INVITE");
	ask(w, invite);
	take_response(w, 183, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void timer_c_cancels_who_only_rings(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *c, *failure;

	pass(w, 1000);
	take_request(w, "INVITE", BOB);
	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	/* Each provisional but 100 starts it anew. */
	pass(w, 150000);
	answer(w, m, "183 Session Progress");
	take_response(w, 183, "INVITE");
	pass(w, TIMER_C - 1000);
	take_nothing(w);
	pass(w, 1000 + LATE_MS);
	c = take_request(w, "CANCEL", BOB);
	assert_due(c, 151000 + TIMER_C);
	assert_int_equal(answer(w, c, "200 OK"), FATE_ABSORBED);
	refuse(w, m, "487 Request Terminated");
	failure = find_response(w, 408, "INVITE");
	if (failure == NULL)
		failure = take_response(w, 487, "INVITE");
	take_nothing(w);
	ack(w, invite, failure);
	world_close(w);
}

/* ---- a final response that is a failure ---- */

static void a_100_does_not_begin_timer_c_anew(void **state)
{
	/* 16.7 2: anything but 100 does. */
	struct world *w = world_new((struct world_config){0});
	const struct sent *m;

	ask(w, (struct ask){0});
	take_response(w, 100, "INVITE");
	m = take_request(w, "INVITE", BOB);
	answer(w, m, "100 Trying");
	pass(w, 1000);
	answer(w, m, "183 Session Progress");
	take_response(w, 183, "INVITE");
	pass(w, 50000);
	answer(w, m, "100 Trying");
	pass(w, TIMER_C - 50000 - 100);
	take_nothing(w);
	pass(w, 100 + LATE_MS);
	assert_due(take_request(w, "CANCEL", BOB), 1000 + TIMER_C);
	answer(w, m, "487 Request Terminated");
	world_close(w);
}

static void a_failure_is_acknowledged_and_passed_on(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *a, *r;

	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	assert_int_equal(
		answer_with(w, m, "486 Busy Here", "busy", "X-Why: on the phone\n"), FATE_SENT);
	a = take_request(w, "ACK", BOB);
	assert_int_equal(a->as, SENT_OWN);
	assert_string_equal(param(header(a->text, "To", 0), "tag"), "busy");
	r = take_response(w, 486, "INVITE");
	assert_int_equal(r->as, SENT_MESSAGE);
	assert_string_equal(param(header(r->text, "To", 0), "tag"), "busy");
	assert_string_equal(header(r->text, "X-Why", 0), "on the phone");
	assert_int_equal(headers(r->text, "Via"), 1);
	take_nothing(w);
	assert_int_equal(ack(w, invite, r), FATE_ABSORBED);
	take_nothing(w);
	pass(w, 60000);
	take_nothing(w);
	world_close(w);
}

static void timer_d_acknowledges_each_copy_of_a_failure(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *first, *a;

	answer(w, m, "486 Busy Here");
	first = take_request(w, "ACK", BOB);
	ack(w, invite, take_response(w, 486, "INVITE"));
	for (unsigned s = 4; s <= 28; s += 4) {
		pass(w, 4000);
		assert_int_equal(answer(w, m, "486 Busy Here"), FATE_ABSORBED);
		a = take_request(w, "ACK", BOB);
		assert_string_equal(a->text, first->text);
		take_nothing(w);
	}
	pass(w, 3900); /* 31.9 s */
	refuse(w, m, "486 Busy Here");
	take_nothing(w);
	pass(w, 30000);
	assert_int_equal(answer(w, m, "486 Busy Here"), FATE_DROPPED);
	assert_int_equal(w->reason, TXN_REASON_STRAY);
	take_nothing(w);
	world_close(w);
}

static void another_failure_of_the_same_server_is_acknowledged_only(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *a;

	refuse(w, m, "486 Busy Here");
	ack(w, invite, take_response(w, 486, "INVITE"));
	assert_int_equal(answer_with(w, m, "603 Decline", "other", NULL), FATE_ABSORBED);
	a = take_request(w, "ACK", BOB);
	assert_non_null(param(header(a->text, "To", 0), "tag"));
	take_nothing(w);
	world_close(w);
}

static void timer_g_sends_the_failure_again_until_timer_h(void **state)
{
	static const unsigned due[] = {
		500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500};
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *first, *r;
	uint64_t t0;

	pass(w, 100);
	answer(w, m, "486 Busy Here");
	t0 = now_ms(w);
	take_request(w, "ACK", BOB);
	first = take_response(w, 486, "INVITE");
	for (unsigned i = 0; i < sizeof(due) / sizeof(due[0]); i++) {
		pass(w, t0 + due[i] + LATE_MS - now_ms(w));
		r = take_response(w, 486, "INVITE");
		assert_due(r, t0 + due[i]);
		assert_int_equal(r->as, SENT_OWN);
		assert_string_equal(r->text, first->text);
		take_nothing(w);
	}
	pass(w, 60000);
	take_nothing(w);
	assert_int_equal(usage(w).transactions, 0);
	world_close(w);
}

static void a_retransmission_in_completed_gets_the_failure_again(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *first, *r;

	refuse(w, m, "404 Not Found");
	first = take_response(w, 404, "INVITE");
	pass(w, 100);
	assert_int_equal(ask(w, invite), FATE_ABSORBED);
	r = take_response(w, 404, "INVITE");
	assert_string_equal(r->text, first->text);
	take_nothing(w);
	/* Confirmed: Timer I absorbs ACKs; an INVITE that was on its way is not answered again. */
	assert_int_equal(ack(w, invite, r), FATE_ABSORBED);
	for (unsigned i = 0; i < 9; i++) {
		pass(w, T4 / 10);
		assert_int_equal(ack(w, invite, r), FATE_ABSORBED);
		take_nothing(w);
	}
	assert_int_equal(ask(w, invite), FATE_ABSORBED);
	take_nothing(w);
	world_close(w);
}

static void our_own_failure_is_sent_again_until_its_ack(void **state)
{
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS "request_route {\n	t_newtran();\n	t_reply(\"603\", "
					     "\"Not Today\");\n}\n"});
	const struct sent *r;

	assert_int_equal(ask(w, invite), FATE_SENT);
	if (find_response(w, 100, "INVITE") != NULL)
		assert_int_equal(w->sents, 2);
	r = take_response(w, 603, "INVITE");
	assert_int_equal(r->as, SENT_REPLY);
	assert_non_null(param(header(r->text, "To", 0), "tag"));
	take_nothing(w);
	pass(w, 500 + LATE_MS);
	assert_string_equal(take_response(w, 603, "INVITE")->text, r->text);
	pass(w, 1000);
	take_response(w, 603, "INVITE");
	take_nothing(w);
	assert_int_equal(ack(w, invite, r), FATE_ABSORBED);
	/* Timer I, with no branch that would hold it */
	pass(w, T4 - 100);
	assert_int_equal(ack(w, invite, r), FATE_ABSORBED);
	assert_int_equal(ask(w, invite), FATE_ABSORBED);
	assert_int_equal(usage(w).transactions, 1);
	pass(w, 100 + LATE_MS);
	assert_int_equal(usage(w).transactions, 0);
	take_nothing(w);
	world_close(w);
}

static void a_failure_that_is_never_acknowledged_is_forgotten(void **state)
{
	struct world *w = world_new((struct world_config){0});

	for (unsigned i = 0; i < 50; i++) {
		struct ask a = {.call = printed("never-%u", i)};

		answer(w, call(w, a), "486 Busy Here");
		take_all(w);
	}
	pass(w, T64 + T64);
	assert_int_equal(usage(w).transactions, 0);
	assert_int_equal(usage(w).bytes, w->before.bytes);
	world_close(w);
}

/* ---- a final response that is none ---- */

static void a_2xx_goes_on_and_its_copies_until_timer_m(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *r;

	pass(w, 100);
	assert_int_equal(answer(w, m, "200 OK"), FATE_SENT);
	r = take_response(w, 200, "INVITE");
	assert_int_equal(r->as, SENT_MESSAGE);
	assert_int_equal(headers(r->text, "Via"), 1);
	take_nothing(w);
	/* The server sends it again until its ACK; nobody else does. */
	for (unsigned i = 0; i < 31; i++) {
		pass(w, 1000);
		take_nothing(w);
		assert_int_equal(answer(w, m, "200 OK"), FATE_SENT);
		assert_string_equal(take_response(w, 200, "INVITE")->text, r->text);
		take_nothing(w);
	}
	pass(w, 2000);
	assert_int_equal(usage(w).transactions, 0);
	assert_int_equal(answer(w, m, "200 OK"), FATE_DROPPED);
	assert_int_equal(w->reason, TXN_REASON_STRAY);
	take_nothing(w);
	world_close(w);
}

static void a_second_2xx_of_another_server_goes_on(void **state)
{
	/* A proxy behind us forked (RFC 3261 16.7 5; RFC 6026 7.2). */
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);

	answer_with(w, m, "200 OK", "one", NULL);
	assert_string_equal(
		param(header(take_response(w, 200, "INVITE")->text, "To", 0), "tag"), "one");
	pass(w, 3000);
	assert_int_equal(answer_with(w, m, "200 OK", "two", NULL), FATE_SENT);
	assert_string_equal(
		param(header(take_response(w, 200, "INVITE")->text, "To", 0), "tag"), "two");
	take_nothing(w);
	world_close(w);
}

static void a_failure_or_provisional_after_a_2xx_is_not_passed_on(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);

	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	assert_int_equal(answer(w, m, "180 Ringing"), FATE_ABSORBED);
	assert_int_equal(answer_with(w, m, "486 Busy Here", "other", NULL), FATE_ABSORBED);
	take_all(w); /* an ACK, or none */
	assert_int_equal(requests_sent(w, "INVITE"), 1);
	for (unsigned i = 0; i < w->sents; i++)
		assert_false(w->sent[i]->status >= 300);
	world_close(w);
}

static void timer_l_absorbs_the_invite_after_a_2xx(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);

	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	for (unsigned i = 0; i < 31; i++) {
		pass(w, 1000);
		assert_int_equal(ask(w, invite), FATE_ABSORBED);
		take_nothing(w);
	}
	assert_int_equal(counted(w, TXN_COUNTER_CREATED), 1);
	pass(w, 2000);
	assert_int_equal(usage(w).transactions, 0);
	/* As new as any other. */
	assert_int_equal(ask(w, (struct ask){.branch = "another"}), FATE_SENT);
	take_request(w, "INVITE", BOB);
	assert_int_equal(counted(w, TXN_COUNTER_CREATED), 2);
	world_close(w);
}

static void the_ack_of_a_2xx_goes_on_without_a_transaction(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *r, *a;
	struct ask own = {.method = "ACK", .branch = "ack", .to_tag = "t" BOB};

	answer(w, m, "200 OK");
	r = take_response(w, 200, "INVITE");
	assert_int_equal(ask(w, own), FATE_STATELESS);
	a = take_request(w, "ACK", BOB);
	assert_string_not_equal(branch_of(a->text), branch_of(m->text));
	take_nothing(w);
	assert_int_equal(usage(w).transactions, 1);
	/* A client that gives it the INVITE's branch: RFC 6026 7.1, passed on as well. */
	assert_int_equal(ack(w, invite, r) != FATE_ABSORBED, true);
	take_request(w, "ACK", BOB);
	take_nothing(w);
	assert_int_equal(counted(w, TXN_COUNTER_CREATED), 1);
	world_close(w);
}

static void a_2xx_that_came_before_any_provisional(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);

	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	pass(w, 100000);
	take_nothing(w);
	world_close(w);
}

static void a_2xx_after_the_timeout_goes_on_until_the_transaction_ends(void **state)
{
	/* 408 has gone out (Timer B). While its ACK is waited for (Timer H), a 2xx goes on all the
	 * same (16.7 5); then there is nobody whose any response could be (RFC 6026 7.2).
	 */
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);

	pass(w, T64 + 100);
	take_response(w, 408, "INVITE");
	take_all(w);
	assert_int_equal(answer(w, m, "200 OK"), FATE_SENT);
	assert_int_equal(take_response(w, 200, "INVITE")->as, SENT_MESSAGE);
	take_nothing(w);
	pass(w, T64 + 100);
	take_all(w);
	assert_int_equal(usage(w).transactions, 0);
	assert_int_equal(answer(w, m, "200 OK"), FATE_DROPPED);
	assert_int_equal(w->reason, TXN_REASON_STRAY);
	assert_int_equal(answer(w, m, "486 Busy Here"), FATE_DROPPED);
	assert_int_equal(w->reason, TXN_REASON_STRAY);
	assert_int_equal(answer(w, m, "180 Ringing"), FATE_DROPPED);
	assert_int_equal(w->reason, TXN_REASON_STRAY);
	take_nothing(w);
	world_close(w);
}

static void a_failure_after_the_timeout_goes_nowhere(void **state)
{
	/* Timer B has ended the client's transaction: no ACK, and the caller has its 408. */
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);

	pass(w, T64 + 100);
	ack(w, invite, take_response(w, 408, "INVITE"));
	take_all(w);
	assert_int_equal(answer(w, m, "180 Ringing"), FATE_ABSORBED);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(
			come_forged(w, answer_text(m, "486 Busy Here", NULL, NULL), BOB, 5060),
			FATE_ABSORBED);
	take_nothing(w);
	world_close(w);
}

static void a_server_that_changes_its_mind(void **state)
{
	/* 486, then 200, and each again: every 486 has its ACK, every 200 goes on. */
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *a;

	answer(w, m, "486 Busy Here");
	a = take_request(w, "ACK", BOB);
	ack(w, invite, take_response(w, 486, "INVITE"));
	for (unsigned i = 0; i < 3; i++) {
		pass(w, 100);
		answer_with(w, m, "200 OK", "other", NULL);
		take_all(w); /* 16.7 5 says that it goes on, 17.2.1 that it does not */
		answer(w, m, "486 Busy Here");
		assert_string_equal(take_request(w, "ACK", BOB)->text, a->text);
		take_nothing(w);
	}
	world_close(w);
}

static void a_server_that_changes_its_mind_after_a_2xx(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);

	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	for (unsigned i = 0; i < 3; i++) {
		pass(w, 100);
		answer_with(w, m, "486 Busy Here", "other", NULL);
		take_all(w); /* an ACK or none: no other response, says the observer */
		answer(w, m, "200 OK");
		take_response(w, 200, "INVITE");
		take_nothing(w);
	}
	world_close(w);
}

/* ---- who is who ---- */

static void a_retransmission_is_known_by_more_than_its_branch(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);

	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	/* The same branch and sent-by with another Call-ID or CSeq: no retransmission. It gets its
	 * own answer or none, never the other call's. */
	ask(w, (struct ask){.call = "stranger", .branch = "call-1"});
	assert_null(find_response(w, 180, "INVITE"));
	ask(w, (struct ask){.cseq = 2, .branch = "call-1"});
	assert_null(find_response(w, 180, "INVITE"));
	/* Another sent-by. */
	ask(w, (struct ask){.from = "10.0.0.8", .branch = "call-1"});
	assert_null(find_response(w, 180, "INVITE"));
	take_all(w);
	ask(w, invite);
	take_response(w, 180, "INVITE");
	world_close(w);
}

static void an_rfc_2543_client_is_served(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const char *text = replaced(ask_text(invite), ";branch=z9hG4bKcall-1", "");
	const char *ack_of_it;
	const struct sent *m, *r;

	assert_int_equal(come_text(w, text, CALLER, 5060), FATE_SENT);
	take_response(w, 100, "INVITE");
	m = take_request(w, "INVITE", BOB);
	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	come_text(w, text, CALLER, 5060);
	take_response(w, 180, "INVITE");
	take_nothing(w);
	refuse(w, m, "486 Busy Here");
	r = take_response(w, 486, "INVITE");
	ack_of_it = replaced(ack_text(invite, r), ";branch=z9hG4bKcall-1", "");
	assert_int_equal(come_text(w, ack_of_it, CALLER, 5060), FATE_ABSORBED);
	pass(w, 20000);
	take_nothing(w);
	world_close(w);
}

static void two_calls_of_one_caller_are_two_transactions(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *a = call(w, (struct ask){.call = "a"}),
			  *b = call(w, (struct ask){.call = "b"});

	assert_string_not_equal(branch_of(a->text), branch_of(b->text));
	refuse(w, b, "486 Busy Here");
	assert_string_equal(header(take_response(w, 486, "INVITE")->text, "Call-ID", 0), "b");
	answer(w, a, "200 OK");
	assert_string_equal(header(take_response(w, 200, "INVITE")->text, "Call-ID", 0), "a");
	take_nothing(w);
	world_close(w);
}

static void a_body_and_long_headers_arrive_whole(void **state)
{
	struct world *w = world_new((struct world_config){0});
	char body[3001], more[2100];
	const struct sent *m;

	memset(body, 'b', sizeof(body) - 1);
	body[sizeof(body) - 1] = 0;
	memset(more, 'm', sizeof(more));
	memcpy(more, "X-Long: ", 8);
	strcpy(more + 2000, "\n");
	m = call(w, (struct ask){.body = body, .more = more});
	assert_string_equal(body_of(m->text), body);
	assert_int_equal(strlen(header(m->text, "X-Long", 0)), 1992);
	pass(w, 500 + LATE_MS);
	assert_string_equal(take_request(w, "INVITE", BOB)->text, m->text);
	refuse(w, m, "404 Not Found");
	take_response(w, 404, "INVITE");
	take_nothing(w);
	world_close(w);
}

/* ---- responses of an earlier run ---- */

static void responses_of_an_earlier_run_are_passed_on(void **state)
{
	struct world *w = world_new((struct world_config){.started_now = true});
	const struct sent *m = call(w, invite);

	refuse(w, m, "486 Busy Here");
	ack(w, invite, take_response(w, 486, "INVITE"));
	pass(w, 60000);
	assert_int_equal(usage(w).transactions, 0);
	assert_int_equal(
		come_forged(w, answer_text(m, "200 OK", NULL, NULL), BOB, 5060), FATE_STATELESS);
	world_discard(w);
}

static void kamailio_s_numbers_are_the_default(void **state)
{
	/* fr_timer 30 s, fr_inv_timer 120 s. */
	struct world *w = world_new(
		(struct world_config){.script = MODULES "request_route {\n	t_relay();\n}\n"});
	const struct sent *m, *r;

	call(w, (struct ask){.call = "silent"});
	m = call(w, (struct ask){.call = "rings"});
	answer(w, m, "180 Ringing");
	pass(w, 30000 + LATE_MS);
	r = take_response(w, 408, "INVITE");
	assert_due(r, 30000);
	assert_string_equal(header(r->text, "Call-ID", 0), "silent");
	ack(w, (struct ask){.call = "silent"}, r);
	take_all(w);
	pass(w, 90000);
	assert_due(take_request(w, "CANCEL", BOB), 120000);
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_invite_is_tried_at_once_and_sent),
		cmocka_unit_test(timer_a_doubles_and_timer_b_ends_it),
		cmocka_unit_test(any_response_stops_timer_a),
		cmocka_unit_test(a_lost_invite_is_sent_again_for_the_caller),
		cmocka_unit_test(provisionals_go_on_but_for_100),
		cmocka_unit_test(a_retransmission_in_proceeding_gets_the_last_provisional),
		cmocka_unit_test(timer_c_cancels_who_only_rings),
		cmocka_unit_test(a_100_does_not_begin_timer_c_anew),
		cmocka_unit_test(a_failure_is_acknowledged_and_passed_on),
		cmocka_unit_test(timer_d_acknowledges_each_copy_of_a_failure),
		cmocka_unit_test(another_failure_of_the_same_server_is_acknowledged_only),
		cmocka_unit_test(timer_g_sends_the_failure_again_until_timer_h),
		cmocka_unit_test(a_retransmission_in_completed_gets_the_failure_again),
		cmocka_unit_test(our_own_failure_is_sent_again_until_its_ack),
		cmocka_unit_test(a_failure_that_is_never_acknowledged_is_forgotten),
		cmocka_unit_test(a_2xx_goes_on_and_its_copies_until_timer_m),
		cmocka_unit_test(a_second_2xx_of_another_server_goes_on),
		cmocka_unit_test(a_failure_or_provisional_after_a_2xx_is_not_passed_on),
		cmocka_unit_test(timer_l_absorbs_the_invite_after_a_2xx),
		cmocka_unit_test(the_ack_of_a_2xx_goes_on_without_a_transaction),
		cmocka_unit_test(a_2xx_that_came_before_any_provisional),
		cmocka_unit_test(a_2xx_after_the_timeout_goes_on_until_the_transaction_ends),
		cmocka_unit_test(a_failure_after_the_timeout_goes_nowhere),
		cmocka_unit_test(a_server_that_changes_its_mind),
		cmocka_unit_test(a_server_that_changes_its_mind_after_a_2xx),
		cmocka_unit_test(a_retransmission_is_known_by_more_than_its_branch),
		cmocka_unit_test(an_rfc_2543_client_is_served),
		cmocka_unit_test(two_calls_of_one_caller_are_two_transactions),
		cmocka_unit_test(a_body_and_long_headers_arrive_whole),
		cmocka_unit_test(responses_of_an_earlier_run_are_passed_on),
		cmocka_unit_test(kamailio_s_numbers_are_the_default),
	};

	cmocka_set_test_filter(getenv("TXN_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
