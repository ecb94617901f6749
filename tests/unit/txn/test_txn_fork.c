/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parallel forks: RFC 3261 16.6, 16.7 (choice of the best response, challenges, 6xx, 2xx), RFC 5393
 * 5.3.3.
 */
#include "harness.h"

static const struct ask invite = {0};

#define FORK \
	MODULES RFC_TIMERS "request_route {\n" \
			   "	append_branch(\"sip:carol@" CAROL "\");\n" \
			   "	append_branch(\"sip:dave@" DAVE "\");\n" \
			   "	if (!t_relay()) sl_reply_error();\n}\n"

static const char *const host[3] = {BOB, CAROL, DAVE};

static struct world *forked(struct ask a, const struct sent *m[3])
{
	struct world *w = world_new((struct world_config){.script = FORK});

	a.method = a.method != NULL ? a.method : "INVITE";
	assert_int_equal(ask(w, a), FATE_SENT);
	find_response(w, 100, "INVITE");
	for (unsigned i = 0; i < 3; i++)
		m[i] = take_request(w, a.method, host[i]);
	take_nothing(w);
	return w;
}

static void each_branch_is_a_request_of_its_own(void **state)
{
	const struct sent *m[3];
	struct world *w = forked(invite, m);
	unsigned of_message = 0;

	assert_string_equal(first_line(m[0]->text), "INVITE sip:bob@" BOB " SIP/2.0");
	assert_string_equal(first_line(m[1]->text), "INVITE sip:carol@" CAROL " SIP/2.0");
	assert_string_equal(first_line(m[2]->text), "INVITE sip:dave@" DAVE " SIP/2.0");
	for (unsigned i = 0; i < 3; i++) {
		assert_string_not_equal(branch_of(m[i]->text), branch_of(m[(i + 1) % 3]->text));
		assert_string_equal(header(m[i]->text, "To", 0), "<sip:bob@example.org>");
		assert_string_equal(header(m[i]->text, "Max-Forwards", 0), "69");
		of_message += m[i]->as == SENT_MESSAGE;
	}
	/* One of them is the message that came, the others are further ones. */
	assert_int_equal(of_message, 1);
	assert_int_equal(counted(w, TXN_COUNTER_BRANCHES), 3);
	assert_int_equal(counted(w, TXN_COUNTER_CREATED), 1);
	world_close(w);
}

static void each_branch_has_timers_of_its_own(void **state)
{
	const struct sent *m[3];
	struct world *w = forked(invite, m);

	answer(w, m[1], "100 Trying");
	pass(w, 500 + LATE_MS);
	assert_string_equal(take_request(w, "INVITE", BOB)->text, m[0]->text);
	assert_string_equal(take_request(w, "INVITE", DAVE)->text, m[2]->text);
	take_nothing(w);
	world_close(w);
}

static void all_provisionals_go_on(void **state)
{
	const struct sent *m[3];
	struct world *w = forked(invite, m);

	for (unsigned i = 0; i < 3; i++) {
		const struct sent *r;

		answer(w, m[i], "180 Ringing");
		r = take_response(w, 180, "INVITE");
		assert_string_equal(
			param(header(r->text, "To", 0), "tag"), printed("t%s", host[i]));
	}
	take_nothing(w);
	world_close(w);
}

static void a_2xx_goes_on_at_once_and_ends_the_others(void **state)
{
	const struct sent *m[3], *c;
	struct world *w = forked(invite, m);

	answer(w, m[0], "180 Ringing");
	answer(w, m[1], "180 Ringing");
	take_all(w);
	assert_int_equal(answer(w, m[1], "200 OK"), FATE_SENT);
	take_response(w, 200, "INVITE");
	c = take_request(w, "CANCEL", BOB);
	/* RFC 3326 2: so that Bob's phone does not show a missed call. */
	assert_non_null(header(c->text, "Reason", 0));
	assert_non_null(strstr(header(c->text, "Reason", 0), "cause=200"));
	take_nothing(w); /* Dave has not answered: his is held back */
	answer(w, c, "200 OK");
	refuse(w, m[0], "487 Request Terminated");
	answer(w, m[2], "180 Ringing");
	take_request(w, "CANCEL", DAVE);
	refuse(w, m[2], "487 Request Terminated");
	take_nothing(w);
	world_close(w);
}

static void a_2xx_of_each_branch_goes_on(void **state)
{
	const struct sent *m[3];
	struct world *w = forked(invite, m);

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(answer(w, m[i], "200 OK"), FATE_SENT);
		take_response(w, 200, "INVITE");
	}
	take_nothing(w);
	pass(w, 4000);
	answer(w, m[2], "200 OK");
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void a_failure_waits_for_the_others(void **state)
{
	const struct sent *m[3];
	struct world *w = forked(invite, m);

	assert_int_equal(answer(w, m[0], "486 Busy Here"), FATE_ABSORBED);
	take_request(w, "ACK", BOB);
	assert_int_equal(answer(w, m[1], "404 Not Found"), FATE_ABSORBED);
	take_request(w, "ACK", CAROL);
	take_nothing(w);
	answer(w, m[2], "200 OK");
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

/* ---- the best response (16.7 6) ---- */

struct best {
	const char *answer[3]; /* NULL: none, until the timer ends it */
	unsigned may[3];       /* statuses of which one goes to the caller; 0: no more */
};

static const struct best bests[] = {
	{{"404 Not Found", "486 Busy Here", "500 Server Internal Error"}, {404, 486}},
	{{"500 Server Internal Error", "404 Not Found", "503 Service Unavailable"}, {404}},
	{{"503 Service Unavailable", "503 Service Unavailable", "503 Service Unavailable"}, {500}},
	{{"503 Service Unavailable", "500 Server Internal Error", "503 Service Unavailable"},
		{500}},
	{{"503 Service Unavailable", "502 Bad Gateway", "503 Service Unavailable"}, {500, 502}},
	{{"404 Not Found", "302 Moved", "500 Server Internal Error"}, {302}},
	{{"302 Moved", "486 Busy Here", "404 Not Found"}, {302}},
	{{"404 Not Found", "302 Moved", "603 Decline"}, {603}},
	{{"603 Decline", "404 Not Found", "404 Not Found"}, {603}},
	{{"404 Not Found", "600 Busy Everywhere", "486 Busy Here"}, {600}},
	{{"486 Busy Here", "401 Unauthorized", "404 Not Found"}, {401}},
	{{"407 Proxy Authentication Required", "486 Busy Here", "404 Not Found"}, {407}},
	{{"404 Not Found", "486 Busy Here", "415 Unsupported Media Type"}, {415}},
	{{"404 Not Found", "420 Bad Extension", "486 Busy Here"}, {420}},
	{{"404 Not Found", "484 Address Incomplete", "486 Busy Here"}, {484}},
	{{"484 Address Incomplete", "503 Service Unavailable", NULL}, {484}},
	{{NULL, "404 Not Found", "500 Server Internal Error"}, {404, 408}},
	{{NULL, "500 Server Internal Error", "503 Service Unavailable"}, {408}},
	{{NULL, NULL, "302 Moved"}, {302}},
	{{NULL, NULL, NULL}, {408}},
};

static void one_best(const struct best *best, const unsigned order[3])
{
	const struct sent *m[3];
	struct world *w = forked(invite, m);
	const struct sent *r = NULL;

	for (unsigned i = 0; i < 3; i++) {
		unsigned at = order[i];

		if (best->answer[at] == NULL)
			continue;
		answer(w, m[at], best->answer[at]);
		take_request(w, "ACK", host[at]);
		/* 6xx ends the others: those that are cancelled answer 487, or what they will. */
		pass(w, 20);
	}
	pass(w, T64 + 100);
	for (unsigned i = 0; i < 3 && best->may[i] != 0 && r == NULL; i++)
		r = find_response(w, best->may[i], "INVITE");
	if (r == NULL) {
		take_response(w, best->may[0], "INVITE");
		return;
	}
	ack(w, invite, r);
	/* No other final response than that one, and its copies. */
	for (unsigned i = 0; i < w->sents; i++)
		assert_true(w->sent[i]->status < 200 || w->sent[i]->status == r->status);
	world_close(w);
}

static void the_best_response_is_chosen(void **state)
{
	static const unsigned order[6][3] = {
		{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	for (unsigned i = 0; i < sizeof(bests) / sizeof(bests[0]); i++)
		for (unsigned k = 0; k < 6; k++)
			one_best(&bests[i], order[k]);
}

static void a_503_alone_becomes_500(void **state)
{
	/* 16.7 6: with a 503 upstream would take all of us for overloaded. */
	struct world *w = world_new((struct world_config){0});
	const struct sent *r;

	ask(w, invite);
	answer_with(w, take_request(w, "INVITE", BOB), "503 Service Unavailable", NULL,
		"Retry-After: 100\n");
	take_request(w, "ACK", BOB);
	r = take_response(w, 500, "INVITE");
	assert_null(header(r->text, "Retry-After", 0));
	assert_int_equal(headers(r->text, "Via"), 1);
	ack(w, invite, r);
	ask(w, (struct ask){.method = "MESSAGE", .cseq = 2});
	answer(w, take_request(w, "MESSAGE", BOB), "503 Service Unavailable");
	take_response(w, 500, "MESSAGE");
	world_close(w);
}

static void challenges_are_put_together(void **state)
{
	/* 16.7 7 */
	const struct sent *m[3], *r;
	struct world *w = forked(invite, m);

	answer_with(w, m[0], "401 Unauthorized", NULL,
		"WWW-Authenticate: Digest realm=\"bob\", nonce=\"1\"\n");
	answer_with(w, m[1], "407 Proxy Authentication Required", NULL,
		"Proxy-Authenticate: Digest realm=\"carol\", nonce=\"2\"\n"
		"WWW-Authenticate: Digest realm=\"carol-too\", nonce=\"3\"\n");
	answer_with(w, m[2], "401 Unauthorized", NULL,
		"WWW-Authenticate: Digest realm=\"dave\", nonce=\"4\"\n");
	r = find_response(w, 401, "INVITE");
	if (r == NULL)
		r = take_response(w, 407, "INVITE");
	assert_int_equal(headers(r->text, "WWW-Authenticate"), 3);
	assert_int_equal(headers(r->text, "Proxy-Authenticate"), 1);
	for (unsigned i = 0; i < 4; i++) {
		static const char *const realm[] = {
			"\"bob\"", "\"carol\"", "\"carol-too\"", "\"dave\""};

		assert_non_null(strstr(r->text, realm[i]));
	}
	ack(w, invite, r);
	world_close(w);
}

static void of_one_challenge_nothing_is_doubled(void **state)
{
	const struct sent *m[3], *r;
	struct world *w = forked(invite, m);

	answer(w, m[0], "404 Not Found");
	answer_with(w, m[1], "407 Proxy Authentication Required", NULL,
		"Proxy-Authenticate: Digest realm=\"carol\", nonce=\"2\"\n");
	answer(w, m[2], "486 Busy Here");
	r = take_response(w, 407, "INVITE");
	assert_int_equal(headers(r->text, "Proxy-Authenticate"), 1);
	ack(w, invite, r);
	world_close(w);
}

/* ---- 6xx ---- */

static void a_6xx_ends_the_others_and_goes_on_when_they_have(void **state)
{
	const struct sent *m[3], *r;
	struct world *w = forked(invite, m);

	answer(w, m[1], "180 Ringing");
	answer(w, m[2], "180 Ringing");
	take_all(w);
	refuse(w, m[0], "603 Decline");
	take_request(w, "CANCEL", CAROL);
	take_request(w, "CANCEL", DAVE);
	r = find_response(w, 603, "INVITE");
	refuse(w, m[1], "487 Request Terminated");
	refuse(w, m[2], "487 Request Terminated");
	if (r == NULL)
		r = take_response(w, 603, "INVITE");
	take_nothing(w);
	ack(w, invite, r);
	world_close(w);
}

static void a_2xx_that_crosses_a_6xx_goes_on(void **state)
{
	/* 16.7 5, 6: it is waited for what the others say, and a 2xx is passed on. */
	const struct sent *m[3];
	struct world *w = forked(invite, m);

	answer(w, m[1], "180 Ringing");
	answer(w, m[2], "180 Ringing");
	answer(w, m[0], "603 Decline");
	take_all(w);
	assert_int_equal(answer(w, m[1], "200 OK"), FATE_SENT);
	take_response(w, 200, "INVITE");
	refuse(w, m[2], "487 Request Terminated");
	take_nothing(w);
	world_close(w);
}

static void a_6xx_ends_the_search_of_a_failure_route_too(void **state)
{
	/* What a failure_route begins after a 6xx is a search of its own. */
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"request_route {\n	t_on_failure(\"f\");\n	t_relay();\n}\n"
		"failure_route[f] {\n	append_branch(\"sip:carol@" CAROL "\");\n"
		"	append_branch(\"sip:dave@" DAVE "\");\n	t_relay();\n}\n"});
	const struct sent *m, *r;

	ask(w, invite);
	take_response(w, 100, "INVITE");
	answer(w, take_request(w, "INVITE", BOB), "603 Decline");
	take_request(w, "ACK", BOB);
	m = take_request(w, "INVITE", DAVE);
	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	answer(w, take_request(w, "INVITE", CAROL), "600 Busy Everywhere");
	take_request(w, "ACK", CAROL);
	take_request(w, "CANCEL", DAVE);
	answer(w, m, "487 Request Terminated");
	take_request(w, "ACK", DAVE);
	r = take_response(w, 600, "INVITE");
	take_nothing(w);
	ack(w, invite, r);
	world_close(w);
}

/* ---- others than INVITE ---- */

static void a_forked_message_is_answered_once(void **state)
{
	const struct sent *m[3];
	struct world *w = forked((struct ask){.method = "MESSAGE"}, m);

	assert_int_equal(answer(w, m[0], "404 Not Found"), FATE_ABSORBED);
	take_nothing(w);
	assert_int_equal(answer(w, m[1], "200 OK"), FATE_SENT);
	take_response(w, 200, "MESSAGE");
	assert_int_equal(answer(w, m[2], "200 OK"), FATE_ABSORBED);
	take_nothing(w);
	pass(w, 60000);
	take_nothing(w); /* no CANCEL (9.1), nothing sent again */
	world_close(w);
}

static void a_forked_message_that_one_server_ignores(void **state)
{
	/* RFC 4320: no 408, but what the others said is passed on while there is somebody to hear
	 * it. */
	const struct sent *m[3];
	struct world *w = forked((struct ask){.method = "MESSAGE"}, m);

	answer(w, m[0], "404 Not Found");
	answer(w, m[1], "486 Busy Here");
	pass(w, 80000);
	assert_null(find_response(w, 408, "MESSAGE"));
	world_close(w);
}

/* ---- breadth ---- */

static void breadth_is_divided(void **state)
{
	static const char *const came[] = {NULL, "60", "10", "3", "500"};

	for (unsigned i = 0; i < sizeof(came) / sizeof(came[0]); i++) {
		const struct sent *m[3];
		struct world *w = forked(
			(struct ask){.more = came[i] != NULL ? printed("Max-Breadth: %s\n", came[i])
							     : NULL},
			m);
		unsigned long sum = 0, most = came[i] != NULL ? strtoul(came[i], NULL, 10) : 60;

		for (unsigned k = 0; k < 3; k++) {
			unsigned long n;

			assert_int_equal(headers(m[k]->text, "Max-Breadth"), 1);
			n = strtoul(header(m[k]->text, "Max-Breadth", 0), NULL, 10);
			assert_true(n >= 1);
			sum += n;
		}
		/* All that came, and no more (5.3.3). */
		assert_int_equal(sum, most > 60 ? 60 : most);
		world_close(w);
	}
}

static void a_fork_wider_than_its_breadth_is_refused_or_serial(void **state)
{
	static const unsigned came[] = {1, 2};

	for (unsigned i = 0; i < 2; i++) {
		struct world *w = world_new((struct world_config){.script = FORK});
		const struct sent *r;

		ask(w, (struct ask){.more = printed("Max-Breadth: %u\n", came[i])});
		find_response(w, 100, "INVITE");
		r = find_response(w, 440, "INVITE");
		assert_true(requests_sent(w, "INVITE") <= came[i]);
		if (r != NULL) {
			assert_int_equal(requests_sent(w, "INVITE"), 0);
			assert_string_equal(
				first_line(r->text), "SIP/2.0 440 Max-Breadth Exceeded");
			assert_int_equal(counted(w, TXN_COUNTER_LOOPS), 1);
		}
		world_close(w);
	}
}

static void a_request_to_one_place_keeps_its_breadth(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m;

	ask(w, (struct ask){.more = "Max-Breadth: 7\n"});
	m = take_request(w, "INVITE", BOB);
	assert_int_equal(headers(m->text, "Max-Breadth"), 1);
	assert_string_equal(header(m->text, "Max-Breadth", 0), "7");
	ask(w, (struct ask){.call = "wide", .more = "Max-Breadth: 61\n"});
	m = take_request(w, "INVITE", BOB);
	assert_int_equal(headers(m->text, "Max-Breadth"), 1);
	assert_string_equal(header(m->text, "Max-Breadth", 0), "60");
	world_close(w);
}

static void every_proxied_request_has_a_breadth(void **state)
{
	/* 5.3.3: MUST add one. */
	struct world *w = world_new((struct world_config){0});

	ask(w, invite);
	assert_string_equal(header(take_request(w, "INVITE", BOB)->text, "Max-Breadth", 0), "60");
	world_close(w);
}

/* ---- what can't be sent ---- */

static void a_branch_that_can_not_be_sent_does_not_stop_the_others(void **state)
{
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"request_route {\n	append_branch(\"sip:trap@127.0.0.1\");\n"
		"	append_branch(\"sip:dave@" DAVE
		"\");\n	if (!t_relay()) sl_reply_error();\n}\n"});

	assert_int_equal(ask(w, invite), FATE_SENT);
	take_request(w, "INVITE", BOB);
	take_request(w, "INVITE", DAVE);
	assert_null(find_request(w, "INVITE", "127.0.0.1"));
	world_close(w);
}

static void where_no_branch_can_be_sent_the_script_answers(void **state)
{
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"request_route {\n	$ru = \"sip:trap@127.0.0.1\";\n"
		"	if (!t_relay()) sl_send_reply(\"499\", \"Told You\");\n}\n"});

	ask(w, invite);
	find_response(w, 100, "INVITE");
	assert_int_equal(requests_sent(w, "INVITE"), 0);
	/* Exactly one final response, the script's or the transaction's. */
	{
		unsigned finals = 0;

		for (unsigned i = 0; i < w->sents; i++)
			finals += w->sent[i]->status >= 300;
		assert_int_equal(finals, 1);
	}
	world_close(w);
}

static void all_branches_of_the_script_are_sent(void **state)
{
	char script[4096] = MODULES RFC_TIMERS "request_route {\n";
	struct world *w;

	for (unsigned i = 1; i <= ROUTE_BRANCHES_MAX; i++) {
		const char *line = printed("append_branch(\"sip:u@10.3.0.%u\");\n", i);

		strcat(script, line);
	}
	strcat(script, "	t_relay();\n}\n");
	w = world_new((struct world_config){.script = script});
	ask(w, invite);
	take_request(w, "INVITE", BOB);
	for (unsigned i = 0; i < ROUTE_BRANCHES_MAX; i++) {
		const struct sent *m = take_request(w, "INVITE", printed("10.3.0.%u", i + 1));

		answer(w, m, "404 Not Found");
	}
	assert_null(find_response(w, 404, "INVITE"));
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_branch_is_a_request_of_its_own),
		cmocka_unit_test(each_branch_has_timers_of_its_own),
		cmocka_unit_test(all_provisionals_go_on),
		cmocka_unit_test(a_2xx_goes_on_at_once_and_ends_the_others),
		cmocka_unit_test(a_2xx_of_each_branch_goes_on),
		cmocka_unit_test(a_failure_waits_for_the_others),
		cmocka_unit_test(the_best_response_is_chosen),
		cmocka_unit_test(a_503_alone_becomes_500),
		cmocka_unit_test(challenges_are_put_together),
		cmocka_unit_test(of_one_challenge_nothing_is_doubled),
		cmocka_unit_test(a_6xx_ends_the_others_and_goes_on_when_they_have),
		cmocka_unit_test(a_2xx_that_crosses_a_6xx_goes_on),
		cmocka_unit_test(a_6xx_ends_the_search_of_a_failure_route_too),
		cmocka_unit_test(a_forked_message_is_answered_once),
		cmocka_unit_test(a_forked_message_that_one_server_ignores),
		cmocka_unit_test(breadth_is_divided),
		cmocka_unit_test(a_fork_wider_than_its_breadth_is_refused_or_serial),
		cmocka_unit_test(a_request_to_one_place_keeps_its_breadth),
		cmocka_unit_test(every_proxied_request_has_a_breadth),
		cmocka_unit_test(a_branch_that_can_not_be_sent_does_not_stop_the_others),
		cmocka_unit_test(where_no_branch_can_be_sent_the_script_answers),
		cmocka_unit_test(all_branches_of_the_script_are_sent),
	};

	cmocka_set_test_filter(getenv("TXN_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
