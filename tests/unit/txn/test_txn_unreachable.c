/* SPDX-License-Identifier: BSD-3-Clause */
/* The network says that a request did not arrive (RFC 3261 16.9, 18.4): what is believed, and what
 * becomes of the call. */
#include "harness.h"

static const struct ask invite = {0};

static const struct sent *sent_to(struct world *w, struct ask a)
{
	if (ask(w, a) == FATE_PARKED)
		answer_names(w);
	assert_int_equal(w->fate, FATE_SENT);
	take_response(w, 100, "INVITE");
	for (unsigned i = 0; i < w->sents; i++) {
		if (!w->sent[i]->taken && !w->sent[i]->is_response) {
			w->sent[i]->taken = true;
			return w->sent[i];
		}
	}
	fail_msg("no INVITE");
	return NULL;
}

/* Bytes up to the end of our Via. */
static uint32_t via_end(const struct sent *m)
{
	const char *via = strstr(m->text, "\r\n") + 2;

	return (uint32_t)(strstr(via, "\r\n") + 2 - m->text);
}

static void who_can_not_be_reached_is_given_up_at_once(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = sent_to(w, invite);

	unreachable(w, m, 0);
	ack(w, invite, take_response(w, 500, "INVITE"));
	assert_int_equal(counted(w, TXN_COUNTER_UNREACHABLE), 1);
	assert_int_equal(counted(w, TXN_COUNTER_TIMEOUTS), 0);
	assert_false(unreachable_text(w, m->text, m->len, &m->to));
	pass(w, T64 + 1000);
	take_nothing(w);
	world_close(w);
}

static void the_next_address_is_tried_at_once(void **state)
{
	struct world *w = world_new((struct world_config){.names = true});
	const struct sent *m, *next;

	add_address(w, "two.test", BOB);
	add_address(w, "two.test", CAROL);
	m = sent_to(w, (struct ask){.uri = "sip:bob@two.test:5060"});
	unreachable(w, m, via_end(m));
	next = take_request(w, "INVITE", goes_to(m, BOB, 0) ? CAROL : BOB);
	take_nothing(w);
	assert_int_equal(counted(w, TXN_COUNTER_FAILED_OVER), 1);
	pass(w, T1 + LATE_MS);
	take_request(w, "INVITE", goes_to(m, BOB, 0) ? CAROL : BOB);
	take_nothing(w); /* the other is not sent again */
	answer(w, next, "200 OK");
	take_response(w, 200, "INVITE");
	world_close(w);
}

static void a_failure_route_hears_503(void **state)
{
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"request_route {\n	t_on_failure(\"f\");\n	t_relay();\n}\n"
		"failure_route[f] {\n	if (!t_check_status(\"503\") || t_branch_timeout() ||\n"
		"		t_branch_replied()) exit;\n"
		"	$ru = \"sip:mail@" MAIL "\";\n	append_branch();\n	t_relay();\n}\n"});
	const struct sent *m = sent_to(w, invite);

	unreachable(w, m, 0);
	answer(w, take_request(w, "INVITE", MAIL), "200 OK");
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void the_other_branches_go_on(void **state)
{
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS "request_route {\n	append_branch(\"sip:carol@" CAROL
					     "\");\n	t_relay();\n}\n"});
	const struct sent *m[2];

	m[0] = sent_to(w, invite);
	m[1] = take_request(w, "INVITE", CAROL);
	unreachable(w, m[0], 0);
	take_nothing(w);
	answer(w, m[1], "486 Busy Here");
	take_request(w, "ACK", CAROL);
	ack(w, invite, take_response(w, 486, "INVITE"));
	world_close(w);
}

static void another_request_than_invite(void **state)
{
	struct world *w = world_new((struct world_config){0});
	struct ask message = {.method = "MESSAGE"};

	ask(w, message);
	unreachable(w, take_request(w, "MESSAGE", BOB), 0);
	take_response(w, 500, "MESSAGE");
	ask(w, message);
	take_response(w, 500, "MESSAGE");
	take_nothing(w);
	world_close(w);
}

static void who_has_hung_up_hears_487(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = sent_to(w, invite);

	cancel(w, invite);
	take_response(w, 200, "CANCEL");
	take_nothing(w);
	unreachable(w, m, 0);
	ack(w, invite, take_response(w, 487, "INVITE"));
	take_nothing(w);
	world_close(w);
}

/* ---- what is not believed ---- */

static void a_quote_that_is_too_short_proves_nothing(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = sent_to(w, invite);

	for (uint32_t len = 0; len < via_end(m); len++)
		assert_false(unreachable_text(w, m->text, len, &m->to));
	unreachable(w, m, via_end(m));
	world_close(w);
}

static void a_quote_that_differs_proves_nothing(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = sent_to(w, invite);
	struct net_endpoint to = m->to;
	char *text = strdup(m->text);

	for (uint32_t i = 0; i < m->len; i++) {
		text[i] ^= 1;
		assert_false(unreachable_text(w, text, m->len, &m->to));
		text[i] ^= 1;
	}
	to.port++;
	assert_false(unreachable_text(w, text, m->len, &to));
	to.port--;
	to.addr.b[0] ^= 1;
	assert_false(unreachable_text(w, text, m->len, &to));
	/* More than was sent. */
	text = realloc(text, m->len + 10);
	memcpy(text + m->len, "0123456789", 10);
	assert_false(unreachable_text(w, text, m->len + 10, &m->to));
	free(text);
	take_nothing(w);
	assert_int_equal(counted(w, TXN_COUNTER_UNREACHABLE), 0);
	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	world_close(w);
}

static void who_has_answered_is_there(void **state)
{
	static const char *const statuses[] = {"100 Trying", "180 Ringing", "200 OK", "486 Busy"};

	for (unsigned i = 0; i < 4; i++) {
		struct world *w = world_new((struct world_config){0});
		const struct sent *m = sent_to(w, invite);

		answer(w, m, statuses[i]);
		take_all(w);
		assert_false(unreachable_text(w, m->text, m->len, &m->to));
		take_nothing(w);
		world_close(w);
	}
}

static void what_is_no_request_of_a_branch_is_nothing(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = sent_to(w, invite), *c, *r;

	answer(w, m, "180 Ringing");
	r = take_response(w, 180, "INVITE");
	assert_false(unreachable_text(w, r->text, r->len, &r->to));
	cancel(w, invite);
	take_response(w, 200, "CANCEL");
	c = take_request(w, "CANCEL", BOB);
	assert_false(unreachable_text(w, c->text, c->len, &c->to));
	answer(w, m, "487 Request Terminated");
	c = take_request(w, "ACK", BOB);
	assert_false(unreachable_text(w, c->text, c->len, &c->to));
	ack(w, invite, take_response(w, 487, "INVITE"));
	world_close(w);
	/* Without state. */
	w = world_new((struct world_config){.script = MODULES RFC_TIMERS
					    "request_route {\n	if (is_method(\"REGISTER\")) "
					    "t_relay();\n	forward();\n}\n"});
	ask(w, invite);
	m = take_request(w, "INVITE", BOB);
	assert_false(unreachable_text(w, m->text, m->len, &m->to));
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_can_not_be_reached_is_given_up_at_once),
		cmocka_unit_test(the_next_address_is_tried_at_once),
		cmocka_unit_test(a_failure_route_hears_503),
		cmocka_unit_test(the_other_branches_go_on),
		cmocka_unit_test(another_request_than_invite),
		cmocka_unit_test(who_has_hung_up_hears_487),
		cmocka_unit_test(a_quote_that_is_too_short_proves_nothing),
		cmocka_unit_test(a_quote_that_differs_proves_nothing),
		cmocka_unit_test(who_has_answered_is_there),
		cmocka_unit_test(what_is_no_request_of_a_branch_is_nothing),
	};

	cmocka_set_test_filter(getenv("TXN_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
