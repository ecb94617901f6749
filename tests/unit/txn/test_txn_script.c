/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scripts: failure_route, branch_route, onreply_route, what is kept between them, and the functions
 * of "tm" as operators know them.
 */
#include "harness.h"

static const struct ask invite = {0};

#define SCRIPT(text) ((struct world_config){.script = MODULES RFC_TIMERS text})

/* The routes of the deck's openser.cfg, without its registrar. */
#define DECK \
	"modparam(\"rr\", \"enable_full_lr\", 1)\n" \
	"route {\n" \
	"	if (!mf_process_maxfwd_header(\"10\")) { sl_send_reply(\"483\", \"Too Many " \
	"Hops\"); exit; }\n" \
	"	if (loose_route()) { append_hf(\"X-Via-Route: yes\\r\\n\"); route(1); }\n" \
	"	if (method==\"INVITE\" || method==\"SUBSCRIBE\") record_route();\n" \
	"	route(1);\n}\n" \
	"route[1] {\n	t_on_reply(\"1\");\n	t_on_failure(\"1\");\n" \
	"	if (!t_relay())\n		sl_reply_error();\n	exit;\n}\n" \
	"onreply_route[1] {\n" \
	"	if (status=~\"18[0-9]\" || status=~\"2[0-9][0-9]\")\n" \
	"		append_hf(\"X-Seen: reply\\r\\n\");\n}\n" \
	"failure_route[1] {\n	if (t_check_status(\"486|408\")) {\n" \
	"		revert_uri();\n		prefix(\"vm-\");\n		" \
	"append_branch();\n" \
	"		t_relay();\n	}\n}\n"

static const struct sent *call(struct world *w, struct ask a)
{
	assert_int_equal(ask(w, a), FATE_SENT);
	find_response(w, 100, "INVITE");
	return take_request(w, "INVITE", BOB);
}

/* ---- voicemail ---- */

static void the_deck_s_voicemail_answers_for_who_is_busy(void **state)
{
	struct world *w = world_new(SCRIPT(DECK));
	const struct sent *m = call(w, invite), *vm, *r;

	assert_int_equal(headers(m->text, "Record-Route"), 1);
	answer(w, m, "180 Ringing");
	r = take_response(w, 180, "INVITE");
	assert_string_equal(header(r->text, "X-Seen", 0), "reply");
	answer(w, m, "486 Busy Here");
	take_request(w, "ACK", BOB);
	vm = take_request(w, "INVITE", BOB);
	take_nothing(w); /* the caller hears nothing of it */
	assert_string_equal(first_line(vm->text), "INVITE sip:vm-bob@" BOB " SIP/2.0");
	assert_string_not_equal(branch_of(vm->text), branch_of(m->text));
	assert_int_equal(headers(vm->text, "Record-Route"), 1);
	assert_int_equal(headers(vm->text, "Via"), 2);
	assert_string_equal(
		header(vm->text, "Max-Forwards", 0), header(m->text, "Max-Forwards", 0));
	answer_with(w, vm, "200 OK", "vm", NULL);
	r = take_response(w, 200, "INVITE");
	assert_string_equal(header(r->text, "X-Seen", 0), "reply");
	assert_int_equal(headers(r->text, "X-Seen"), 1);
	take_nothing(w);
	world_close(w);
}

static void the_deck_s_voicemail_answers_for_who_does_not(void **state)
{
	struct world *w = world_new(SCRIPT(DECK));
	const struct sent *m = call(w, invite), *vm;

	answer(w, m, "100 Trying");
	pass(w, TIMER_C + LATE_MS);
	take_request(w, "CANCEL", BOB);
	vm = take_request(w, "INVITE", BOB);
	assert_string_equal(first_line(vm->text), "INVITE sip:vm-bob@" BOB " SIP/2.0");
	take_nothing(w);
	answer(w, m, "487 Request Terminated");
	take_request(w, "ACK", BOB);
	answer_with(w, vm, "200 OK", "vm", NULL);
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void the_deck_s_voicemail_answers_for_a_dead_phone(void **state)
{
	struct world *w = world_new(SCRIPT(DECK));
	const struct sent *vm;

	call(w, invite);
	pass(w, T64 - 100);
	take_all(w);
	pass(w, 100 + LATE_MS);
	vm = take_request(w, "INVITE", BOB);
	assert_due(vm, T64);
	assert_string_equal(first_line(vm->text), "INVITE sip:vm-bob@" BOB " SIP/2.0");
	take_nothing(w);
	pass(w, 500 + LATE_MS);
	assert_string_equal(take_request(w, "INVITE", BOB)->text, vm->text);
	answer_with(w, vm, "200 OK", "vm", NULL);
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void voicemail_that_fails_too_is_the_answer(void **state)
{
	struct world *w = world_new(SCRIPT(DECK));
	const struct sent *m = call(w, invite), *vm, *r;

	answer(w, m, "486 Busy Here");
	take_request(w, "ACK", BOB);
	vm = take_request(w, "INVITE", BOB);
	answer_with(w, vm, "404 Not Found", "vm", NULL);
	take_request(w, "ACK", BOB);
	/* 16.7 6 chooses among all that were tried: both are 4xx. */
	r = find_response(w, 404, "INVITE");
	if (r == NULL)
		r = take_response(w, 486, "INVITE");
	take_nothing(w);
	assert_int_equal(ack(w, invite, r), FATE_ABSORBED);
	world_close(w);
}

static void voicemail_that_fails_worse(const char *script, unsigned becomes)
{
	struct world *w = world_new((struct world_config){.script = script});

	answer(w, call(w, invite), "486 Busy Here");
	take_request(w, "ACK", BOB);
	answer_with(w, take_request(w, "INVITE", BOB), "500 Server Internal Error", "vm", NULL);
	take_request(w, "ACK", BOB);
	ack(w, invite, take_response(w, becomes, "INVITE"));
	take_nothing(w);
	assert_int_equal(requests_sent(w, "INVITE"), 2);
	world_close(w);
}

static void failure_reply_mode_says_what_is_chosen_from(void **state)
{
	/*
	 * With 3, the default as of Kamailio, what failed before a failure_route that went on
	 * counts no more. With 0 the phone's 486 is the best response of both (16.7 6); its
	 * failure_route has run and does not again.
	 */
	voicemail_that_fails_worse(MODULES RFC_TIMERS DECK, 500);
	voicemail_that_fails_worse(
		MODULES RFC_TIMERS "modparam(\"tm\", \"failure_reply_mode\", 0)\n" DECK, 486);
}

static void other_failures_are_no_case_for_voicemail(void **state)
{
	struct world *w = world_new(SCRIPT(DECK));

	answer(w, call(w, invite), "603 Decline");
	take_request(w, "ACK", BOB);
	ack(w, invite, take_response(w, 603, "INVITE"));
	take_nothing(w);
	world_close(w);
}

static void who_has_hung_up_gets_no_voicemail(void **state)
{
	struct world *w = world_new(SCRIPT(DECK));
	const struct sent *m = call(w, invite);

	answer(w, m, "180 Ringing");
	take_all(w);
	cancel(w, invite);
	take_response(w, 200, "CANCEL");
	take_request(w, "CANCEL", BOB);
	/* Even where the phone says that it is busy. */
	answer(w, m, "486 Busy Here");
	take_request(w, "ACK", BOB);
	assert_int_equal(requests_sent(w, "INVITE"), 1);
	assert_true(
		find_response(w, 486, "INVITE") != NULL || find_response(w, 487, "INVITE") != NULL);
	take_nothing(w);
	world_close(w);
}

static void a_caller_who_hangs_up_on_voicemail_cancels_that(void **state)
{
	struct world *w = world_new(SCRIPT(DECK));
	const struct sent *m = call(w, invite), *vm, *c;

	answer(w, m, "486 Busy Here");
	take_request(w, "ACK", BOB);
	vm = take_request(w, "INVITE", BOB);
	answer_with(w, vm, "180 Ringing", "vm", NULL);
	take_all(w);
	cancel(w, invite);
	take_response(w, 200, "CANCEL");
	c = take_request(w, "CANCEL", BOB);
	take_nothing(w);
	assert_string_equal(branch_of(c->text), branch_of(vm->text));
	answer_with(w, vm, "487 Request Terminated", "vm", NULL);
	take_request(w, "ACK", BOB);
	assert_true(
		find_response(w, 486, "INVITE") != NULL || find_response(w, 487, "INVITE") != NULL);
	take_nothing(w);
	world_close(w);
}

static void a_late_2xx_of_the_first_phone_goes_on(void **state)
{
	struct world *w = world_new(SCRIPT(DECK));
	const struct sent *m = call(w, invite), *vm;

	answer(w, m, "180 Ringing");
	pass(w, TIMER_C + LATE_MS);
	take_all(w);
	vm = w->sent[w->sents - 1];
	assert_string_equal(vm->method, "INVITE");
	/* It had been picked up as our CANCEL was on its way. */
	assert_int_equal(answer(w, m, "200 OK"), FATE_SENT);
	take_response(w, 200, "INVITE");
	world_close(w);
}

/* ---- serial forks ---- */

#define HUNT \
	"request_route {\n	$avp(n) = 1;\n	t_on_failure(\"hunt\");\n	t_relay();\n}\n" \
	"failure_route[hunt] {\n	if (t_is_canceled()) exit;\n" \
	"	if ($avp(n) == 1) {\n		$avp(n) = 2;\n		$ru = \"sip:carol@" CAROL \
	"\";\n		t_on_failure(\"hunt\");\n		append_branch();\n		" \
	"t_relay();\n		exit;\n	}\n" \
	"	$ru = \"sip:dave@" DAVE "\";\n	append_branch();\n	t_relay();\n}\n"

static void a_hunt_goes_from_one_to_the_next(void **state)
{
	struct world *w = world_new(SCRIPT(HUNT));
	const struct sent *bob = call(w, invite), *carol, *dave;

	answer(w, bob, "486 Busy Here");
	take_request(w, "ACK", BOB);
	carol = take_request(w, "INVITE", CAROL);
	assert_string_equal(first_line(carol->text), "INVITE sip:carol@" CAROL " SIP/2.0");
	take_nothing(w);
	answer(w, carol, "486 Busy Here");
	take_request(w, "ACK", CAROL);
	dave = take_request(w, "INVITE", DAVE);
	take_nothing(w);
	answer(w, dave, "200 OK");
	take_response(w, 200, "INVITE");
	take_nothing(w);
	assert_int_equal(requests_sent(w, "INVITE"), 3);
	assert_int_equal(counted(w, TXN_COUNTER_BRANCHES), 3);
	world_close(w);
}

static void a_hunt_without_an_end_has_one(void **state)
{
	struct world *w = world_new(
		SCRIPT("request_route {\n	t_on_failure(\"more\");\n	t_relay();\n}\n"
		       "failure_route[more] {\n	t_on_failure(\"more\");\n	append_branch();\n"
		       "	t_relay();\n}\n"));
	const struct sent *m = call(w, invite);
	unsigned n = 0;

	while (m != NULL && n++ < 1000) {
		answer(w, m, "486 Busy Here");
		take_request(w, "ACK", BOB);
		m = find_request(w, "INVITE", BOB);
	}
	assert_true(n > 1 && n <= TXN_BRANCHES_MAX);
	assert_int_equal(requests_sent(w, "INVITE"), n);
	/* ... and the caller hears of it. */
	for (unsigned i = 0; i < w->sents; i++) {
		if (w->sent[i]->status >= 300) {
			ack(w, invite, w->sent[i]);
			world_close(w);
			return;
		}
	}
	fail_msg("no final response");
}

static void a_fork_after_a_fork(void **state)
{
	struct world *w = world_new(
		SCRIPT("request_route {\n	t_on_failure(\"both\");\n	t_relay();\n}\n"
		       "failure_route[both] {\n	$ru = \"sip:carol@" CAROL
		       "\";\n	append_branch();\n"
		       "	append_branch(\"sip:dave@" DAVE "\");\n	t_relay();\n}\n"));
	const struct sent *bob = call(w, invite), *carol, *dave;

	answer(w, bob, "404 Not Found");
	take_request(w, "ACK", BOB);
	carol = take_request(w, "INVITE", CAROL);
	dave = take_request(w, "INVITE", DAVE);
	take_nothing(w);
	answer(w, carol, "180 Ringing");
	answer(w, dave, "200 OK");
	take_response(w, 180, "INVITE");
	take_response(w, 200, "INVITE");
	take_request(w, "CANCEL", CAROL);
	take_nothing(w);
	answer(w, carol, "487 Request Terminated");
	take_request(w, "ACK", CAROL);
	take_nothing(w);
	world_close(w);
}

static void a_failure_route_waits_for_all_branches(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	append_branch(\"sip:carol@" CAROL
				 "\");\n	t_on_failure(\"mail\");\n	t_relay();\n}\n"
				 "failure_route[mail] {\n	$ru = \"sip:mail@" MAIL
				 "\";\n	append_branch();\n	t_relay();\n}\n"));
	const struct sent *bob = call(w, invite), *carol = take_request(w, "INVITE", CAROL), *mail;

	answer(w, bob, "486 Busy Here");
	take_request(w, "ACK", BOB);
	take_nothing(w);
	answer(w, carol, "404 Not Found");
	take_request(w, "ACK", CAROL);
	mail = take_request(w, "INVITE", MAIL);
	take_nothing(w);
	answer(w, mail, "200 OK");
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void a_failure_route_can_answer(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	t_on_failure(\"no\");\n	t_relay();\n}\n"
				 "failure_route[no] {\n	if (t_check_status(\"4[0-9][0-9]\")) "
				 "t_reply(\"480\", \"Come Again\");\n}\n"));
	const struct sent *m = call(w, invite), *r;

	answer(w, m, "486 Busy Here");
	take_request(w, "ACK", BOB);
	r = take_response(w, 480, "INVITE");
	assert_string_equal(first_line(r->text), "SIP/2.0 480 Come Again");
	take_nothing(w);
	pass(w, 500 + LATE_MS);
	assert_string_equal(take_response(w, 480, "INVITE")->text, r->text);
	assert_int_equal(ack(w, invite, r), FATE_ABSORBED);
	pass(w, 20000);
	take_nothing(w);
	world_close(w);
}

static void a_failure_route_is_for_other_requests_too(void **state)
{
	struct world *w = world_new(
		SCRIPT("request_route {\n	t_on_failure(\"mail\");\n	t_relay();\n}\n"
		       "failure_route[mail] {\n	$ru = \"sip:mail@" MAIL
		       "\";\n	append_branch();\n	t_relay();\n}\n"));
	struct ask message = {.method = "MESSAGE", .body = "hello"};
	const struct sent *mail;

	ask(w, message);
	answer(w, take_request(w, "MESSAGE", BOB), "480 Temporarily Unavailable");
	mail = take_request(w, "MESSAGE", MAIL);
	assert_string_equal(body_of(mail->text), "hello");
	take_nothing(w);
	answer(w, mail, "200 OK");
	take_response(w, 200, "MESSAGE");
	take_nothing(w);
	world_close(w);
}

static void a_relay_in_a_failure_route_that_can_not_be_sent(void **state)
{
	struct world *w = world_new(
		SCRIPT("request_route {\n	t_on_failure(\"bad\");\n	t_relay();\n}\n"
		       "failure_route[bad] {\n	$ru = \"sip:trap@127.0.0.1\";\n	append_branch();\n"
		       "	t_relay();\n}\n"));
	const struct sent *r = NULL;

	answer(w, call(w, invite), "486 Busy Here");
	take_request(w, "ACK", BOB);
	for (unsigned i = 0; i < w->sents; i++) {
		if (w->sent[i]->status >= 300)
			r = w->sent[i];
	}
	assert_non_null(r);
	assert_int_equal(requests_sent(w, "INVITE"), 1);
	world_close(w);
}

/* ---- branches ---- */

static void what_a_branch_route_changes_stays_in_its_branch(void **state)
{
	struct world *w = world_new(
		SCRIPT("request_route {\n	append_hf(\"X-All: yes\\r\\n\");\n"
		       "	append_branch(\"sip:carol@" CAROL
		       "\");\n	append_branch(\"sip:dave@" DAVE
		       "\");\n	t_on_branch(\"b\");\n	t_relay();\n}\n"
		       "branch_route[b] {\n"
		       "	if ($rd == \"" BOB "\") { append_hf(\"X-Only: bob\\r\\n\"); "
		       "remove_hf(\"X-Drop\"); }\n"
		       "	if ($rd == \"" CAROL "\") $ru = \"sip:c@" CAROL ";user=phone\";\n"
		       "	if ($rd == \"" DAVE "\") append_hf(\"X-Only: dave\\r\\n\");\n}\n"));
	const struct sent *bob = call(w, (struct ask){.more = "X-Drop: 1\n"}),
			  *carol = take_request(w, "INVITE", CAROL),
			  *dave = take_request(w, "INVITE", DAVE);

	assert_string_equal(header(bob->text, "X-Only", 0), "bob");
	assert_int_equal(headers(bob->text, "X-Only"), 1);
	assert_null(header(bob->text, "X-Drop", 0));
	assert_string_equal(first_line(bob->text), "INVITE sip:bob@" BOB " SIP/2.0");
	assert_null(header(carol->text, "X-Only", 0));
	assert_non_null(header(carol->text, "X-Drop", 0));
	assert_string_equal(first_line(carol->text), "INVITE sip:c@" CAROL ";user=phone SIP/2.0");
	assert_string_equal(header(dave->text, "X-Only", 0), "dave");
	assert_non_null(header(dave->text, "X-Drop", 0));
	assert_string_equal(first_line(dave->text), "INVITE sip:dave@" DAVE " SIP/2.0");
	assert_int_equal(headers(bob->text, "X-All"), 1);
	assert_int_equal(headers(carol->text, "X-All"), 1);
	assert_int_equal(headers(dave->text, "X-All"), 1);
	world_close(w);
}

/* What functions of lib/proxy decide there, too. */
static void a_branch_route_s_record_route_is_its_branch_s(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	append_branch(\"sip:carol@" CAROL
		"\");\n	append_branch(\"sip:dave@" DAVE
		"\");\n	t_on_branch(\"b\");\n	t_relay();\n}\n"
		"branch_route[b] {\n"
		"	if ($rd == \"" BOB "\") record_route();\n"
		"	if ($rd == \"" CAROL "\") { add_local_rport(); add_rr_param(\";x=1\"); }\n"
		"	if ($rd == \"" DAVE "\") record_route();\n}\n"));
	const struct sent *bob = call(w, (struct ask){0}),
			  *carol = take_request(w, "INVITE", CAROL),
			  *dave = take_request(w, "INVITE", DAVE);

	assert_int_equal(headers(bob->text, "Record-Route"), 1);
	assert_int_equal(headers(carol->text, "Record-Route"), 0);
	assert_int_equal(headers(dave->text, "Record-Route"), 1);
	assert_null(strstr(header(bob->text, "Via", 0), ";rport"));
	assert_non_null(strstr(header(carol->text, "Via", 0), ";rport"));
	assert_null(strstr(header(dave->text, "Via", 0), ";rport"));
	assert_null(strstr(header(dave->text, "Record-Route", 0), ";x=1"));
	world_close(w);
}

static void a_branch_route_can_drop_its_branch(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	append_branch(\"sip:carol@" CAROL
				 "\");\n	t_on_branch(\"b\");\n	t_relay();\n}\n"
				 "branch_route[b] {\n	if ($rd == \"" CAROL "\") drop;\n}\n"));
	const struct sent *bob = call(w, invite);

	take_nothing(w);
	answer(w, bob, "404 Not Found");
	take_request(w, "ACK", BOB);
	take_response(w, 404, "INVITE"); /* nobody else is waited for */
	take_nothing(w);
	world_close(w);
}

static void a_branch_route_runs_for_later_branches_too(void **state)
{
	struct world *w = world_new(
		SCRIPT("request_route {\n	t_on_branch(\"b\");\n	t_on_failure(\"f\");\n	"
		       "t_relay();\n}\n"
		       "failure_route[f] {\n	$ru = \"sip:mail@" MAIL
		       "\";\n	t_on_branch(\"b\");\n	append_branch();\n	t_relay();\n}\n"
		       "branch_route[b] {\n	append_hf(\"X-To: $rd\\r\\n\");\n}\n"));
	const struct sent *bob = call(w, invite), *mail;

	assert_string_equal(header(bob->text, "X-To", 0), BOB);
	answer(w, bob, "486 Busy Here");
	take_request(w, "ACK", BOB);
	mail = take_request(w, "INVITE", MAIL);
	assert_string_equal(header(mail->text, "X-To", 0), MAIL);
	assert_int_equal(headers(mail->text, "X-To"), 1);
	world_close(w);
}

/* ---- what is kept ---- */

static void avps_and_flags_live_as_long_as_the_transaction(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	$avp(who) = \"alice\";\n	$avp(n) = 7;\n	"
		"setflag(5);\n"
		"	t_on_branch(\"b\");\n	t_on_reply(\"r\");\n	t_on_failure(\"f\");\n"
		"	t_relay();\n}\n"
		"branch_route[b] {\n	append_hf(\"X-Branch: $avp(who) $avp(n)\\r\\n\");\n"
		"	if (isflagset(5)) append_hf(\"X-Flag: 5\\r\\n\");\n}\n"
		"onreply_route[r] {\n	append_hf(\"X-Reply: $avp(who) $avp(n)\\r\\n\");\n"
		"	if (isflagset(5)) append_hf(\"X-Flag: 5\\r\\n\");\n"
		"	$avp(seen) = $rs;\n	setflag(6);\n}\n"
		"failure_route[f] {\n"
		"	if (isflagset(5) && isflagset(6) && !isflagset(7))\n"
		"		t_reply(\"480\", \"$avp(who) $avp(n) $avp(seen)\");\n}\n"));
	const struct sent *m = call(w, invite), *r;

	assert_string_equal(header(m->text, "X-Branch", 0), "alice 7");
	assert_string_equal(header(m->text, "X-Flag", 0), "5");
	answer(w, m, "180 Ringing");
	r = take_response(w, 180, "INVITE");
	assert_string_equal(header(r->text, "X-Reply", 0), "alice 7");
	assert_string_equal(header(r->text, "X-Flag", 0), "5");
	answer(w, m, "486 Busy Here");
	take_request(w, "ACK", BOB);
	r = take_response(w, 480, "INVITE");
	assert_string_equal(first_line(r->text), "SIP/2.0 480 alice 7 486");
	take_nothing(w);
	ack(w, invite, r);
	world_close(w);
}

static void avps_of_one_call_are_not_another_s(void **state)
{
	struct world *w = world_new(
		SCRIPT("request_route {\n	$avp(who) = $ci;\n	t_on_reply(\"r\");\n	"
		       "t_relay();\n}\n"
		       "onreply_route[r] {\n	append_hf(\"X-Who: $avp(who)\\r\\n\");\n}\n"));
	const struct sent *m[5];

	for (unsigned i = 0; i < 5; i++)
		m[i] = call(w, (struct ask){.call = printed("call-%u", i)});
	for (unsigned i = 0; i < 5; i++) {
		const struct sent *r;

		answer(w, m[4 - i], "180 Ringing");
		r = take_response(w, 180, "INVITE");
		assert_string_equal(header(r->text, "X-Who", 0), printed("call-%u", 4 - i));
		assert_int_equal(headers(r->text, "X-Who"), 1);
	}
	world_close(w);
}

static void a_failure_route_sees_the_request_as_it_came(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	$var(x) = \"v\";\n	append_hf(\"X-Once: yes\\r\\n\");\n"
		"	t_on_failure(\"f\");\n	t_relay();\n}\n"
		"failure_route[f] {\n	$ru = \"sip:mail@" MAIL
		"\";\n	append_hf(\"X-More: $rm $fU $hdr(X-Mine)\\r\\n\");\n	append_branch();\n"
		"	t_relay();\n}\n"));
	const struct sent *m = call(w, (struct ask){.more = "X-Mine: own\n", .body = "v=0"}), *mail;

	answer(w, m, "486 Busy Here");
	mail = take_request(w, "INVITE", MAIL);
	assert_string_equal(header(mail->text, "X-More", 0), "INVITE alice own");
	assert_string_equal(header(mail->text, "X-Once", 0), "yes");
	assert_int_equal(headers(mail->text, "X-Once"), 1);
	assert_string_equal(body_of(mail->text), "v=0");
	assert_int_equal(headers(mail->text, "Via"), 2);
	world_close(w);
}

/* ---- replies ---- */

static void the_reply_route_runs_before_the_transaction_s(void **state)
{
	struct world *w = world_new(
		SCRIPT("request_route {\n	t_on_reply(\"r\");\n	t_relay();\n}\n"
		       "reply_route {\n	append_hf(\"X-Order: main\\r\\n\");\n}\n"
		       "onreply_route[r] {\n	append_hf(\"X-Order: named\\r\\n\");\n}\n"));
	const struct sent *m = call(w, invite), *r;

	answer(w, m, "180 Ringing");
	r = take_response(w, 180, "INVITE");
	assert_string_equal(header(r->text, "X-Order", 0), "main");
	assert_string_equal(header(r->text, "X-Order", 1), "named");
	assert_int_equal(headers(r->text, "X-Order"), 2);
	answer(w, m, "486 Busy Here");
	r = take_response(w, 486, "INVITE");
	assert_int_equal(headers(r->text, "X-Order"), 2);
	ack(w, invite, r);
	world_close(w);
}

static void a_provisional_can_be_dropped_and_no_final(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	t_on_reply(\"r\");\n	t_relay();\n}\n"
				 "onreply_route[r] {\n	if (status == \"183\") drop;\n}\n"));
	const struct sent *m = call(w, invite);

	assert_int_equal(answer(w, m, "183 Session Progress"), FATE_DROPPED);
	assert_int_equal(w->reason, TXN_REASON_SCRIPT);
	take_nothing(w);
	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	pass(w, 2000);
	take_nothing(w); /* Timer A has ended all the same */
	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	world_close(w);
}

static void a_final_response_that_is_dropped_is_not_lost(void **state)
{
	/* Nobody could ever end the caller's transaction. */
	struct world *w =
		world_new(SCRIPT("request_route {\n	t_on_reply(\"r\");\n	t_relay();\n}\n"
				 "onreply_route[r] {\n	if (status =~ \"[2-6]..\") drop;\n}\n"));
	const struct sent *m = call(w, invite);

	answer(w, m, "180 Ringing");
	answer(w, m, "486 Busy Here");
	take_request(w, "ACK", BOB);
	pass(w, TIMER_C + T64 + 1000);
	world_close(w); /* the observer asks for a final response */
}

static void an_onreply_route_that_answers_ends_all_branches(void **state)
{
	struct world *w = world_new(SCRIPT("request_route {\n	append_branch(\"sip:carol@" CAROL
					   "\");\n	t_on_reply(\"r\");\n	t_relay();\n}\n"
					   "onreply_route[r] {\n	if (status == \"183\") "
					   "t_reply(\"488\", \"Enough\");\n}\n"));
	const struct sent *bob = call(w, invite), *carol = take_request(w, "INVITE", CAROL), *r;

	answer(w, carol, "180 Ringing");
	take_response(w, 180, "INVITE");
	answer(w, bob, "183 Session Progress");
	r = take_response(w, 488, "INVITE");
	take_request(w, "CANCEL", CAROL);
	take_request(w, "CANCEL", BOB);
	take_nothing(w); /* and no 183 behind it */
	ack(w, invite, r);
	answer(w, carol, "487 Request Terminated");
	take_request(w, "ACK", CAROL);
	answer(w, bob, "487 Request Terminated");
	take_request(w, "ACK", BOB);
	take_nothing(w);
	world_close(w);
}

/* ---- functions ---- */

static void t_check_status_reads_an_expression(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	t_on_failure(\"f\");\n	t_relay();\n}\n"
		"failure_route[f] {\n	if (t_check_status(\"40[34]\")) t_reply(\"481\", "
		"\"One\");\n"
		"	else if (t_check_status(\"5..\")) t_reply(\"482\", \"Two\");\n"
		"	else if (!t_check_status(\"486\")) t_reply(\"483\", \"Three\");\n}\n"));
	static const struct {
		const char *status;
		unsigned becomes;
	} row[] = {{"404 Not Found", 481}, {"403 Forbidden", 481}, {"500 Error", 482},
		{"486 Busy Here", 486}, {"302 Moved", 483}};

	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct ask a = {.call = printed("call-%u", i)};

		answer(w, call(w, a), row[i].status);
		ack(w, a, take_response(w, row[i].becomes, "INVITE"));
	}
	world_close(w);
}

static void timeouts_are_told_from_replies(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	t_on_failure(\"f\");\n	t_relay();\n}\n"
		"failure_route[f] {\n"
		"	if (t_branch_timeout() && !t_branch_replied() && t_any_timeout())\n"
		"		t_reply(\"480\", \"Silent\");\n"
		"	else if (t_branch_timeout() && t_branch_replied())\n"
		"		t_reply(\"480\", \"Rang\");\n"
		"	else if (t_branch_replied() && t_any_replied() && !t_any_timeout())\n"
		"		t_reply(\"480\", \"Answered\");\n}\n"));
	struct ask silent = {.call = "silent"}, rang = {.call = "rang"}, said = {.call = "said"};
	const struct sent *r;

	call(w, silent);
	pass(w, T64 + 100);
	r = take_response(w, 480, "INVITE");
	assert_string_equal(first_line(r->text), "SIP/2.0 480 Silent");
	ack(w, silent, r);
	take_all(w);
	answer(w, call(w, said), "408 Request Timeout");
	r = take_response(w, 480, "INVITE");
	assert_string_equal(first_line(r->text), "SIP/2.0 480 Answered");
	ack(w, said, r);
	answer(w, call(w, rang), "180 Ringing");
	pass(w, TIMER_C + 100);
	r = take_response(w, 480, "INVITE");
	assert_string_equal(first_line(r->text), "SIP/2.0 480 Rang");
	ack(w, rang, r);
	world_close(w);
}

static void t_is_canceled_is_true_then_and_only_then(void **state)
{
	static const char *const name[] = {"t_is_canceled", "t_was_cancelled"};

	for (unsigned i = 0; i < 2; i++) {
		struct world *w = world_new((struct world_config){
			.script = printed("%s%s%s",
				MODULES RFC_TIMERS
				"request_route {\n	t_on_failure(\"f\");\n	t_relay();\n}\n"
				"failure_route[f] {\n	if (!",
				name[i], "()) t_reply(\"480\", \"Not\");\n}\n")});
		struct ask kept = {.call = "kept"}, hung = {.call = "hung"};
		const struct sent *m;

		answer(w, call(w, kept), "486 Busy Here");
		ack(w, kept, take_response(w, 480, "INVITE"));
		m = call(w, hung);
		answer(w, m, "180 Ringing");
		cancel(w, hung);
		answer(w, m, "487 Request Terminated");
		ack(w, hung, take_response(w, 487, "INVITE"));
		world_close(w);
	}
}

static void t_set_fr_sets_the_timers_of_one_call(void **state)
{
	struct world *w = world_new(SCRIPT("request_route {\n	if ($rU == \"soon\") "
					   "t_set_fr(5000, 2000);\n	t_relay();\n}\n"));
	struct ask soon = {.call = "soon", .uri = "sip:soon@" BOB};
	struct ask rings = {.call = "rings", .uri = "sip:soon@" BOB};
	struct ask later = {.call = "later"};
	const struct sent *r;

	call(w, soon);
	answer(w, call(w, rings), "180 Ringing");
	answer(w, call(w, later), "180 Ringing");
	pass(w, 2000 + LATE_MS);
	r = take_response(w, 408, "INVITE");
	assert_due(r, 2000);
	assert_string_equal(header(r->text, "Call-ID", 0), "soon");
	ack(w, soon, r);
	pass(w, 3000);
	assert_due(take_request(w, "CANCEL", BOB), 5000);
	pass(w, 10000);
	for (unsigned i = 0; i < w->sents; i++)
		assert_false(w->sent[i]->status >= 300 &&
			     strcmp(header(w->sent[i]->text, "Call-ID", 0), "later") == 0);
	world_close(w);
}

static void t_reset_fr_takes_them_back(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	t_set_fr(5000, 2000);\n	t_reset_fr();\n	t_relay();\n}\n"));

	call(w, invite);
	pass(w, T64 - 100);
	assert_null(find_response(w, 408, "INVITE"));
	pass(w, 100 + LATE_MS);
	assert_due(take_response(w, 408, "INVITE"), T64);
	world_close(w);
}

static void t_set_retr_sets_t1_of_one_call(void **state)
{
	static const unsigned due[] = {200, 600, 1400, 3000, 6200};
	struct world *w =
		world_new(SCRIPT("request_route {\n	t_set_retr(200, 800);\n	t_relay();\n}\n"));

	ask(w, invite);
	take_request(w, "INVITE", BOB);
	for (unsigned i = 0; i < sizeof(due) / sizeof(due[0]); i++) {
		pass(w, due[i] + LATE_MS - now_ms(w));
		assert_due(take_request(w, "INVITE", BOB), due[i]);
		assert_null(find_request(w, "INVITE", BOB));
	}
	world_close(w);
}

static void t_send_reply_keeps_its_reply(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	t_send_reply(\"202\", \"Taken\");\n}\n"));
	struct ask message = {.method = "MESSAGE"};
	const struct sent *r;

	assert_int_equal(ask(w, message), FATE_SENT);
	r = take_response(w, 202, "MESSAGE");
	assert_int_equal(usage(w).transactions, 1);
	assert_int_equal(ask(w, message), FATE_ABSORBED);
	assert_string_equal(take_response(w, 202, "MESSAGE")->text, r->text);
	take_nothing(w);
	world_close(w);
}

static void t_release_ends_in_silence(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	t_newtran();\n	t_release();\n}\n"));

	ask(w, (struct ask){.method = "MESSAGE"});
	take_nothing(w);
	pass(w, 100);
	take_nothing(w);
	assert_int_equal(usage(w).transactions, 0);
	world_close(w);
}

static void t_set_auto_inv_100_keeps_the_100_back(void **state)
{
	struct world *w = world_new(
		SCRIPT("request_route {\n	t_set_auto_inv_100(0);\n	t_relay();\n}\n"));

	ask(w, invite);
	take_request(w, "INVITE", BOB);
	take_nothing(w);
	world_close(w);
}

static void t_newtran_absorbs_what_comes_again(void **state)
{
	struct world *w = world_new(SCRIPT("request_route {\n	if (!t_newtran()) { "
					   "sl_send_reply(\"500\", \"Twice\"); exit; "
					   "}\n	t_relay();\n}\n"));
	const struct sent *m = call(w, invite);

	ask(w, invite);
	find_response(w, 100, "INVITE");
	take_nothing(w);
	answer(w, m, "404 Not Found");
	take_request(w, "ACK", BOB);
	ack(w, invite, take_response(w, 404, "INVITE"));
	take_nothing(w);
	world_close(w);
}

static void a_transaction_that_the_script_forgets_is_answered(void **state)
{
	/* t_newtran() and nothing more: whoever asked hears a failure. */
	struct world *w = world_new(SCRIPT("request_route {\n	t_newtran();\n}\n"));
	const struct sent *r = NULL;

	ask(w, invite);
	for (unsigned i = 0; i < w->sents; i++) {
		if (w->sent[i]->status >= 500)
			r = w->sent[i];
	}
	assert_non_null(r);
	ack(w, invite, r);
	world_close(w);
}

static void a_script_that_does_nothing_makes_no_transaction(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	if (t_check_trans()) exit;\n	t_on_failure(\"f\");\n}\n"
		"failure_route[f] {\n	exit;\n}\n"));

	assert_int_equal(ask(w, invite), FATE_SILENT);
	take_nothing(w);
	assert_int_equal(usage(w).transactions, 0);
	world_close(w);
}

static void t_relay_takes_a_host_and_a_port(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	t_relay(\"" MAIL "\", \"5099\");\n}\n"));
	const struct sent *m;

	ask(w, invite);
	m = take_request(w, "INVITE", MAIL);
	assert_true(goes_to(m, MAIL, 5099));
	assert_string_equal(first_line(m->text), "INVITE sip:bob@" BOB " SIP/2.0");
	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	world_close(w);
}

static void du_is_where_it_goes(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	$du = \"sip:" MAIL ":5070\";\n	t_on_failure(\"f\");\n	"
		"t_relay();\n}\n"
		"failure_route[f] {\n	$du = \"sip:" DAVE "\";\n	append_branch();\n	"
		"t_relay();\n}\n"));
	const struct sent *m;

	ask(w, invite);
	m = take_request(w, "INVITE", MAIL);
	assert_true(goes_to(m, MAIL, 5070));
	answer(w, m, "500 Server Error");
	m = take_request(w, "INVITE", DAVE);
	assert_string_equal(first_line(m->text), "INVITE sip:bob@" BOB " SIP/2.0");
	world_close(w);
}

static void sl_replies_are_no_transaction(void **state)
{
	struct world *w = world_new(SCRIPT("request_route {\n	if ($rU == \"no\") { "
					   "sl_send_reply(\"404\", \"No\"); exit; }\n"
					   "	t_relay();\n}\n"));
	struct ask a = {.uri = "sip:no@" BOB};
	const struct sent *r;

	assert_int_equal(ask(w, a), FATE_STATELESS);
	r = take_response(w, 404, "INVITE");
	assert_int_equal(usage(w).transactions, 0);
	/* Its ACK is known by our tag and absorbed before the script. */
	assert_int_equal(ack(w, a, r), FATE_REFUSED);
	assert_int_equal(w->proxy_reason, PROXY_REASON_ACK_OWN_REPLY);
	take_nothing(w);
	world_close(w);
}

static void t_cancel_branches_ends_the_others(void **state)
{
	struct world *w = world_new(SCRIPT("request_route {\n	append_branch(\"sip:carol@" CAROL
					   "\");\n	t_on_reply(\"r\");\n	t_relay();\n}\n"
					   "onreply_route[r] {\n	if (status == \"183\") "
					   "t_cancel_branches(\"others\");\n}\n"));
	const struct sent *bob = call(w, invite), *carol = take_request(w, "INVITE", CAROL), *c;

	answer(w, carol, "180 Ringing");
	take_response(w, 180, "INVITE");
	answer(w, bob, "183 Session Progress");
	take_response(w, 183, "INVITE");
	c = take_request(w, "CANCEL", CAROL);
	take_nothing(w);
	answer(w, c, "200 OK");
	answer(w, carol, "487 Request Terminated");
	take_request(w, "ACK", CAROL);
	take_nothing(w);
	answer(w, bob, "200 OK");
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void t_set_disable_6xx_takes_a_6xx_as_any_failure(void **state)
{
	struct world *w = world_new(SCRIPT("request_route {\n	append_branch(\"sip:carol@" CAROL
					   "\");\n	t_set_disable_6xx(1);\n	t_relay();\n}\n"));
	const struct sent *bob = call(w, invite), *carol = take_request(w, "INVITE", CAROL);

	answer(w, carol, "180 Ringing");
	answer(w, bob, "603 Decline");
	assert_null(find_request(w, "CANCEL", CAROL));
	answer(w, carol, "200 OK");
	take_response(w, 200, "INVITE");
	world_close(w);
}

static void t_set_max_lifetime_bounds_a_call_that_rings(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	t_set_max_lifetime(20000, 10000);\n	t_relay();\n}\n"));
	const struct sent *m = call(w, invite), *r;

	for (unsigned i = 0; i < 19; i++) {
		answer(w, m, "180 Ringing");
		pass(w, 1000);
	}
	take_all(w);
	pass(w, 1000 + LATE_MS);
	take_request(w, "CANCEL", BOB);
	answer(w, m, "487 Request Terminated");
	r = find_response(w, 408, "INVITE");
	if (r == NULL)
		r = take_response(w, 487, "INVITE");
	ack(w, invite, r);
	world_close(w);
}

/* As in Kamailio's own kamailio.cfg: what comes here has been checked, so it is true; and what is
 * about connections is nothing to do over UDP. */
static void a_reply_route_may_ask_for_sanity(void **state)
{
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"loadmodule \"sanity.so\"\n"
		"request_route {\n	set_reply_no_connect();\n	t_relay();\n}\n"
		"reply_route {\n	if (!sanity_check(\"17604\", "
		"\"6\")) {\n		drop;\n	}\n}\n"});
	const struct sent *m;

	ask(w, (struct ask){0});
	m = take_request(w, "INVITE", BOB);
	assert_int_equal(answer(w, m, "200 OK"), FATE_SENT);
	take_response(w, 200, "INVITE");
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_deck_s_voicemail_answers_for_who_is_busy),
		cmocka_unit_test(the_deck_s_voicemail_answers_for_who_does_not),
		cmocka_unit_test(the_deck_s_voicemail_answers_for_a_dead_phone),
		cmocka_unit_test(voicemail_that_fails_too_is_the_answer),
		cmocka_unit_test(failure_reply_mode_says_what_is_chosen_from),
		cmocka_unit_test(other_failures_are_no_case_for_voicemail),
		cmocka_unit_test(who_has_hung_up_gets_no_voicemail),
		cmocka_unit_test(a_caller_who_hangs_up_on_voicemail_cancels_that),
		cmocka_unit_test(a_late_2xx_of_the_first_phone_goes_on),
		cmocka_unit_test(a_hunt_goes_from_one_to_the_next),
		cmocka_unit_test(a_hunt_without_an_end_has_one),
		cmocka_unit_test(a_fork_after_a_fork),
		cmocka_unit_test(a_failure_route_waits_for_all_branches),
		cmocka_unit_test(a_failure_route_can_answer),
		cmocka_unit_test(a_failure_route_is_for_other_requests_too),
		cmocka_unit_test(a_relay_in_a_failure_route_that_can_not_be_sent),
		cmocka_unit_test(what_a_branch_route_changes_stays_in_its_branch),
		cmocka_unit_test(a_branch_route_s_record_route_is_its_branch_s),
		cmocka_unit_test(a_branch_route_can_drop_its_branch),
		cmocka_unit_test(a_branch_route_runs_for_later_branches_too),
		cmocka_unit_test(avps_and_flags_live_as_long_as_the_transaction),
		cmocka_unit_test(avps_of_one_call_are_not_another_s),
		cmocka_unit_test(a_failure_route_sees_the_request_as_it_came),
		cmocka_unit_test(the_reply_route_runs_before_the_transaction_s),
		cmocka_unit_test(a_provisional_can_be_dropped_and_no_final),
		cmocka_unit_test(a_final_response_that_is_dropped_is_not_lost),
		cmocka_unit_test(an_onreply_route_that_answers_ends_all_branches),
		cmocka_unit_test(t_check_status_reads_an_expression),
		cmocka_unit_test(timeouts_are_told_from_replies),
		cmocka_unit_test(t_is_canceled_is_true_then_and_only_then),
		cmocka_unit_test(t_set_fr_sets_the_timers_of_one_call),
		cmocka_unit_test(t_reset_fr_takes_them_back),
		cmocka_unit_test(t_set_retr_sets_t1_of_one_call),
		cmocka_unit_test(a_reply_route_may_ask_for_sanity),
		cmocka_unit_test(t_send_reply_keeps_its_reply),
		cmocka_unit_test(t_release_ends_in_silence),
		cmocka_unit_test(t_set_auto_inv_100_keeps_the_100_back),
		cmocka_unit_test(t_newtran_absorbs_what_comes_again),
		cmocka_unit_test(a_transaction_that_the_script_forgets_is_answered),
		cmocka_unit_test(a_script_that_does_nothing_makes_no_transaction),
		cmocka_unit_test(t_relay_takes_a_host_and_a_port),
		cmocka_unit_test(du_is_where_it_goes),
		cmocka_unit_test(sl_replies_are_no_transaction),
		cmocka_unit_test(t_cancel_branches_ends_the_others),
		cmocka_unit_test(t_set_disable_6xx_takes_a_6xx_as_any_failure),
		cmocka_unit_test(t_set_max_lifetime_bounds_a_call_that_rings),
	};

	cmocka_set_test_filter(getenv("TXN_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
