/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scripts: failure_route, branch_route, onreply_route, what is kept between them, and the functions
 * of "tm" as operators know them.
 */
#include "harness.h"

static const struct ask invite = {0};

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

/* ---- voicemail ---- */

static void the_deck_s_voicemail_answers_for_who_is_busy(void **state)
{
	struct world *w = world_new(SCRIPT(DECK));
	const struct sent *m = call(w, invite), *vm, *r;

	assert_int_equal(headers(m->text, "Record-Route"), 1);
	answer(w, m, "180 Ringing");
	r = take_response(w, 180, "INVITE");
	assert_string_equal(header(r->text, "X-Seen", 0), "reply");
	refuse(w, m, "486 Busy Here");
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
	refuse(w, m, "487 Request Terminated");
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

	refuse(w, m, "486 Busy Here");
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

	refuse(w, call(w, invite), "486 Busy Here");
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

	refuse(w, call(w, invite), "603 Decline");
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
	refuse(w, m, "486 Busy Here");
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

	refuse(w, m, "486 Busy Here");
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

	refuse(w, bob, "486 Busy Here");
	carol = take_request(w, "INVITE", CAROL);
	assert_string_equal(first_line(carol->text), "INVITE sip:carol@" CAROL " SIP/2.0");
	take_nothing(w);
	refuse(w, carol, "486 Busy Here");
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
		refuse(w, m, "486 Busy Here");
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

	refuse(w, bob, "404 Not Found");
	carol = take_request(w, "INVITE", CAROL);
	dave = take_request(w, "INVITE", DAVE);
	take_nothing(w);
	answer(w, carol, "180 Ringing");
	answer(w, dave, "200 OK");
	take_response(w, 180, "INVITE");
	take_response(w, 200, "INVITE");
	take_request(w, "CANCEL", CAROL);
	take_nothing(w);
	refuse(w, carol, "487 Request Terminated");
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

	refuse(w, bob, "486 Busy Here");
	take_nothing(w);
	refuse(w, carol, "404 Not Found");
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

	refuse(w, m, "486 Busy Here");
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

	refuse(w, call(w, invite), "486 Busy Here");
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
	refuse(w, bob, "404 Not Found");
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
	refuse(w, bob, "486 Busy Here");
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
	refuse(w, m, "486 Busy Here");
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
	refuse(w, m, "486 Busy Here");
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
	refuse(w, carol, "487 Request Terminated");
	refuse(w, bob, "487 Request Terminated");
	take_nothing(w);
	world_close(w);
}

static void an_onreply_route_says_where_later_responses_and_failures_go(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	t_on_reply(\"first\");\n	t_relay();\n}\n"
		"onreply_route[first] {\n	t_on_reply(\"second\");\n	"
		"t_on_failure(\"f\");\n}\n"
		"onreply_route[second] {\n	append_hf(\"X-Second: yes\\r\\n\");\n}\n"
		"failure_route[f] {\n	$ru = \"sip:carol@" CAROL "\";\n	t_relay();\n}\n"));
	const struct sent *m = call(w, invite);

	answer(w, m, "180 Ringing");
	assert_int_equal(headers(take_response(w, 180, "INVITE")->text, "X-Second"), 0);
	answer(w, m, "183 Session Progress");
	assert_int_equal(headers(take_response(w, 183, "INVITE")->text, "X-Second"), 1);
	refuse(w, m, "486 Busy Here");
	answer(w, take_request(w, "INVITE", CAROL), "200 OK");
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void what_a_branch_route_says_of_responses_is_of_its_branch(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	append_branch(\"sip:carol@" CAROL
				 "\");\n	t_on_branch(\"b\");\n"
				 "	t_relay();\n}\n"
				 "branch_route[b] {\n	if ($ru =~ \"bob\") t_on_reply(\"r\");\n}\n"
				 "onreply_route[r] {\n	append_hf(\"X-Bob: yes\\r\\n\");\n}\n"));
	const struct sent *bob = call(w, invite), *carol = take_request(w, "INVITE", CAROL);

	answer(w, bob, "180 Ringing");
	assert_int_equal(headers(take_response(w, 180, "INVITE")->text, "X-Bob"), 1);
	answer(w, carol, "183 Session Progress");
	assert_int_equal(headers(take_response(w, 183, "INVITE")->text, "X-Bob"), 0);
	answer(w, bob, "200 OK");
	take_response(w, 200, "INVITE");
	take_request(w, "CANCEL", CAROL);
	world_close(w);
}

static void t_set_retr_holds_for_what_is_under_way(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	t_relay();\n	t_set_retr(\"100\", \"200\");\n}\n"));
	const struct sent *m = call(w, invite), *r;

	pass(w, 50);
	refuse(w, m, "486 Busy Here");
	r = take_response(w, 486, "INVITE");
	/* Timer G: T1, then twice as long each time, T2 at most. */
	pass(w, 500 + LATE_MS);
	assert_due(take_response(w, 486, "INVITE"), 150);
	assert_due(take_response(w, 486, "INVITE"), 350);
	assert_due(take_response(w, 486, "INVITE"), 550);
	take_nothing(w);
	ack(w, invite, r);
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

/* What absorbs copies does so as long as a peer sends them, whose T1 is not ours to say (RFC 3261
 * 17: 64*T1 of its 500 ms). */
static void a_short_t1_absorbs_as_long(void **state)
{
	static const char *const scripts[] = {
		MODULES RFC_TIMERS "modparam(\"tm\", \"retr_timer1\", 50)\n"
				   "request_route {\n	t_relay();\n}\n",
		MODULES RFC_TIMERS "request_route {\n	t_set_retr(50, 400);\n	t_relay();\n}\n",
	};

	for (unsigned i = 0; i < 2; i++) {
		struct world *w = world_new((struct world_config){.script = scripts[i]});
		struct ask message = {.method = "MESSAGE", .call = "message"};
		struct ask busy = {.call = "busy"}, deaf = {.call = "deaf"};
		const struct sent *yes = call(w, invite), *no = call(w, busy), *never, *r;

		never = call(w, deaf);
		ask(w, message);
		answer(w, take_request(w, "MESSAGE", BOB), "200 OK");
		answer(w, yes, "200 OK");
		answer(w, no, "486 Busy Here");
		answer(w, never, "486 Busy Here");
		take_response(w, 200, "MESSAGE");
		take_response(w, 200, "INVITE");
		r = take_response(w, 486, "INVITE");
		ack(w, busy, r);
		pass(w, T64 - 200);
		take_all(w);
		/* J, L: copies of requests */
		assert_int_equal(ask(w, message), FATE_ABSORBED);
		take_response(w, 200, "MESSAGE");
		assert_int_equal(ask(w, invite), FATE_ABSORBED);
		take_nothing(w);
		/* H: who has not acknowledged its failure hears it again */
		assert_int_equal(ask(w, deaf), FATE_ABSORBED);
		take_response(w, 486, "INVITE");
		take_nothing(w);
		/* D, M: copies of responses */
		assert_int_equal(answer(w, no, "486 Busy Here"), FATE_ABSORBED);
		take_request(w, "ACK", BOB);
		assert_int_equal(answer(w, yes, "200 OK"), FATE_SENT);
		take_response(w, 200, "INVITE");
		take_nothing(w);
		/* G goes on as T2 says. */
		world_close(w);
	}
}

static void a_short_t1_gives_a_cancelled_branch_its_time(void **state)
{
	/* 9.1: its 487 may have been lost, and comes again when the server's T1 says so. */
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"modparam(\"tm\", \"retr_timer1\", 50)\nrequest_route {\n	t_relay();\n}\n"});
	const struct sent *m = call(w, invite);

	answer(w, m, "180 Ringing");
	cancel(w, invite);
	pass(w, 20000);
	take_all(w);
	answer(w, m, "200 OK"); /* or has crossed it */
	take_response(w, 200, "INVITE");
	world_close(w);
}

/* ---- fr_timer and fr_inv_timer ---- */

/* As an openser.cfg of 2008 has them. */
static void timers_of_an_openser_script_are_in_seconds(void **state)
{
	struct world *w = world_new(
		(struct world_config){.script = MODULES "modparam(\"tm\", \"fr_timer\", 10)\n"
							"modparam(\"tm\", \"fr_inv_timer\", 15)\n"
							"request_route {\n	t_relay();\n}\n"});
	struct ask rings = {.call = "rings"};

	call(w, invite);
	answer(w, call(w, rings), "180 Ringing");
	take_response(w, 180, "INVITE");
	pass(w, 10000 + LATE_MS);
	assert_due(take_response(w, 408, "INVITE"), 10000);
	pass(w, 5000);
	assert_due(take_request(w, "CANCEL", BOB), 15000);
	world_close(w);
}

#define FR_AVPS \
	"modparam(\"tm\", \"fr_timer_avp\", \"$avp(fr)\")\n" \
	"modparam(\"tm\", \"fr_inv_timer_avp\", \"$avp(fr_inv)\")\n"

static void an_avp_sets_the_timers_of_a_call(void **state)
{
	struct world *w = world_new(SCRIPT(FR_AVPS
		"request_route {\n	$avp(fr) = 3;\n	$avp(fr_inv) = \"7\";\n	t_relay();\n}\n"));
	struct ask rings = {.call = "rings"};

	call(w, invite);
	answer(w, call(w, rings), "180 Ringing");
	pass(w, 3000 + LATE_MS);
	assert_due(take_response(w, 408, "INVITE"), 3000);
	pass(w, 4000);
	assert_due(take_request(w, "CANCEL", BOB), 7000);
	world_close(w);
}

/* An onreply_route may give the phone that rings another time; without a word of it, it has the
 * request's. */
static void an_avp_of_a_reply_route_sets_the_time_to_ring(void **state)
{
	static const struct {
		const char *request, *reply;
		unsigned due;
	} cases[] = {
		{"", "$avp(fr_inv) = 6;", 6000},
		{"$avp(fr_inv) = 9;", "$avp(fr_inv) = 6;", 6000},
		{"$avp(fr_inv) = 9;", "$avp(other) = 6;", 9000},
		{"$avp(fr_inv) = 9;", "", 9000},
		{"$avp(fr_inv) = 9;", "$avp(fr_inv) = $null;", TIMER_C},
		{"t_set_fr(9000);", "$avp(fr_inv) = 6;", 9000},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = world_new(
			(struct world_config){.script = printed(MODULES RFC_TIMERS FR_AVPS
						      "request_route {\n	%s\n	"
						      "t_on_reply(\"r\");\n	t_relay();\n}\n"
						      "onreply_route[r] {\n	%s\n}\n",
						      cases[i].request, cases[i].reply)});
		const struct sent *m = call(w, invite);

		answer(w, m, "180 Ringing");
		take_response(w, 180, "INVITE");
		pass(w, cases[i].due - 100);
		take_nothing(w);
		pass(w, 100 + LATE_MS);
		assert_due(take_request(w, "CANCEL", BOB), cases[i].due);
		world_close(w);
	}
}

/* Its own time for each target that is tried, by AVPs or t_set_fr(), wherever they are set. */
static void each_leg_has_the_timers_that_it_was_given(void **state)
{
	static const struct {
		const char *relay, *failure, *branch;
		unsigned first, second; /* ms that they may take to answer, and to be answered */
		unsigned rings;
	} cases[] = {
		{"$avp(fr) = 3;", "$avp(fr) = 5; $avp(fr_inv) = 9;", "", 3000, 5000, 9000},
		{"$avp(fr) = 3;", "$avp(fr) = $null; $avp(fr_inv) = 9;", "", 3000, T64, 9000},
		{"$avp(fr) = 3;", "t_set_fr(9000, 5000);", "", 3000, 5000, 9000},
		{"t_set_fr(0, 3000);", "t_set_fr(9000, 5000);", "", 3000, 5000, 9000},
		/* What the script says is above what an AVP says. */
		{"t_set_fr(9000, 3000);", "$avp(fr) = 5;", "", 3000, 3000, 9000},
		{"t_set_fr(0, 3000);", "t_reset_fr();", "", 3000, T64, TIMER_C},
		{"$avp(fr) = 3;", "t_set_fr(9000, 4000); t_reset_fr(); $avp(fr) = 5;", "", 3000,
			5000, TIMER_C},
		{"t_on_branch(\"b\");", "t_on_branch(\"b\");",
			"if ($rU == \"mail\") { t_set_fr(9000, 5000); } else { t_set_fr(0, 3000); "
			"}",
			3000, 5000, 9000},
		{"t_on_branch(\"b\");", "t_on_branch(\"b\");",
			"if ($rU == \"mail\") { $avp(fr) = 5; $avp(fr_inv) = 9; } else { $avp(fr) "
			"= 3; }",
			3000, 5000, 9000},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (unsigned rings = 0; rings < 2; rings++) {
			struct world *w = world_new((struct world_config){
				.script = printed(MODULES RFC_TIMERS FR_AVPS
					"request_route {\n	t_on_failure(\"f\");\n	%s\n"
					"	t_relay();\n}\n"
					"failure_route[f] {\n	$ru = \"sip:mail@" MAIL
					"\";\n	append_branch();\n	%s\n	t_relay();\n}\n"
					"branch_route[b] {\n	%s\n}\n",
					cases[i].relay, cases[i].failure, cases[i].branch)});
			uint64_t at;

			call(w, invite);
			pass(w, cases[i].first + LATE_MS);
			find_request(w, "INVITE", BOB);
			{
				const struct sent *m = take_request(w, "INVITE", MAIL);

				assert_due(m, cases[i].first);
				at = now_ms(w);
				if (rings != 0)
					answer(w, m, "180 Ringing");
				else
					at = m->at;
			}
			pass(w, (rings != 0 ? cases[i].rings : cases[i].second) - 100);
			assert_null(find_response(w, 408, "INVITE"));
			assert_int_equal(requests_sent(w, "CANCEL"), 0);
			pass(w, 200);
			if (rings != 0)
				assert_due(take_request(w, "CANCEL", MAIL), at + cases[i].rings);
			else
				assert_due(take_response(w, 408, "INVITE"), at + cases[i].second);
			world_close(w);
		}
	}
}

static void a_reply_route_sets_the_timers_of_what_is_under_way(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	t_on_reply(\"r\");\n	t_relay();\n}\n"
				 "onreply_route[r] {\n	if (status == 180) t_set_fr(6000);\n}\n"));
	const struct sent *m = call(w, invite);

	pass(w, 1000);
	take_all(w);
	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	pass(w, 6000 + LATE_MS);
	assert_due(take_request(w, "CANCEL", BOB), 7000);
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
	refuse(w, m, "404 Not Found");
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

static void t_newtran_and_forward_is_a_request_without_state(void **state)
{
	/* Nobody would ever answer in that transaction: its responses go on without one. */
	struct world *w =
		world_new(SCRIPT("request_route {\n	if (!is_method(\"ACK\")) t_newtran();\n"
				 "	forward();\n}\n"));
	const struct sent *m, *r;
	const char *branch;

	assert_int_equal(ask(w, invite), FATE_STATELESS);
	m = take_request(w, "INVITE", BOB);
	branch = branch_of(m->text);
	take_nothing(w);
	/* As any request without state: what comes again goes again, and all of it by one branch.
	 */
	assert_int_equal(ask(w, invite), FATE_STATELESS);
	assert_string_equal(branch_of(take_request(w, "INVITE", BOB)->text), branch);
	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	assert_int_equal(cancel(w, invite), FATE_STATELESS);
	assert_string_equal(branch_of(take_request(w, "CANCEL", BOB)->text), branch);
	answer(w, m, "487 Request Terminated");
	r = take_response(w, 487, "INVITE");
	assert_int_equal(ack(w, invite, r), FATE_STATELESS);
	assert_string_equal(branch_of(take_request(w, "ACK", BOB)->text), branch);
	take_nothing(w);
	assert_int_equal(usage(w).transactions, 0);
	world_close(w);
}

/* t_relay(host, port) of SER, t_relay_to(proxy, flags) of OpenSER and Kamailio. */
static void t_relay_knows_ports_from_flags(void **state)
{
	static const struct {
		const char *arguments;
		uint16_t port;
		bool trying;
	} cases[] = {
		{"\"" MAIL "\"", 5060, true},
		{"\"" MAIL ":5071\"", 5071, true},
		{"\"udp:" MAIL "\"", 5060, true},
		{"\"udp:" MAIL ":5071\"", 5071, true},
		{"\"" MAIL "\", \"5070\"", 5070, true},
		{"\"" MAIL "\", 5070", 5070, true},
		{"\"udp:" MAIL "\", \"5070\"", 5070, true},
		{"\"udp:" MAIL ":5071\", \"5070\"", 5071, true},
		{"\"" MAIL "\", \"0x01\"", 5060, false},
		{"\"" MAIL "\", \"1\"", 5060, false},
		{"\"" MAIL ":5071\", \"0x05\"", 5071, false},
		{"\"udp:" MAIL ":5071\", \"0x1\"", 5071, false},
		{"\"udp:" MAIL "\", \"0x04\"", 5060, true},
		{"\"udp:" MAIL "\", 3", 5060, false},
		/* OpenSIPS has the flags in front, by number or by name. */
		{"1, \"" MAIL ":5071\"", 5071, false},
		{"\"0x05\", \"udp:" MAIL "\"", 5060, false},
		{"\"no-dns-failover\", \"udp:" MAIL ":5071\"", 5071, true},
		{"\"no-auto-477, no-dns-failover\", \"" MAIL "\"", 5060, true},
		/* Flags that are not known here are flags all the same. */
		{"\"udp:" MAIL "\", \"0x0c\"", 5060, true},
		{"\"" MAIL "\", \"0x0D\"", 5060, false},
	};
	static const char *const functions[] = {"t_relay", "t_relay_to"};

	for (unsigned i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = world_new((struct world_config){
			.script = printed(MODULES RFC_TIMERS "request_route {\n	%s(%s);\n}\n",
				functions[i % 2], cases[i / 2].arguments)});
		const struct sent *m;

		ask(w, invite);
		m = take_request(w, "INVITE", MAIL);
		if (!goes_to(m, MAIL, cases[i / 2].port) ||
			(find_response(w, 100, "INVITE") != NULL) != cases[i / 2].trying)
			fail_msg("%s(%s)", functions[i % 2], cases[i / 2].arguments);
		take_nothing(w);
		world_close(w);
	}
}

static void t_relay_with_flags_alone(void **state)
{
	static const char *const flags[] = {"\"0x05\"", "5", "\"no-auto-477,no-dns-failover\""};

	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct world *w = world_new((struct world_config){
			.script = printed(MODULES RFC_TIMERS "request_route {\n	t_relay(%s);\n}\n",
				flags[i])});

		ask(w, invite);
		take_request(w, "INVITE", BOB);
		if (i == 2)
			take_response(w, 100, "INVITE");
		take_nothing(w);
		world_close(w);
	}
}

/* The Request-URI is the caller's to choose: it does not stand in for a proxy that is missing. */
static void t_relay_to_no_proxy_is_false(void **state)
{
	static const char *const arguments[] = {
		"$avp(gw)", "$avp(gw), 1", "1, $avp(gw)", "\"\"", "1, 2", "\"udp:\""};

	for (unsigned i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
		struct world *w = world_new((struct world_config){
			.script = printed(MODULES RFC_TIMERS
				"request_route {\n	if (!t_relay_to(%s)) "
				"sl_send_reply(\"503\", \"No\");\n}\n",
				arguments[i])});

		ask(w, invite);
		if (find_response(w, 503, "INVITE") == NULL)
			fail_msg("t_relay_to(%s)", arguments[i]);
		assert_int_equal(requests_sent(w, "INVITE"), 0);
		take_nothing(w);
		world_close(w);
	}
}

/* ---- t_check_trans(), t_precheck_trans() ---- */

#define PRECHECK \
	"request_route {\n" \
	"	if (t_precheck_trans()) {\n		$var(pre) = 1;\n		" \
	"t_check_trans();\n" \
	"		sl_send_reply(\"500\", \"Not Known\");\n		exit;\n	}\n" \
	"	if (t_check_trans() && !is_method(\"CANCEL\")) " \
	"sl_send_reply(\"500\", \"Known\");\n" \
	"	if (!t_relay()) sl_reply_error();\n}\n"

static void a_request_that_nobody_works_on(void **state)
{
	struct world *w = world_new(SCRIPT(PRECHECK));
	const struct sent *m = call(w, invite);

	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	ask(w, (struct ask){.method = "OPTIONS", .call = "other"});
	answer(w, take_request(w, "OPTIONS", BOB), "200 OK");
	take_response(w, 200, "OPTIONS");
	take_nothing(w);
	world_close(w);
}

static void a_request_that_is_worked_on(void **state)
{
	struct world *w = world_new(SCRIPT(PRECHECK));

	call(w, invite);
	w->late = true;
	assert_int_equal(ask(w, invite), FATE_ABSORBED);
	take_response(w, 100, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void a_cancel_and_an_ack_are_not_prechecked(void **state)
{
	struct world *w = world_new(SCRIPT(PRECHECK));
	const struct sent *m = call(w, invite), *c, *r;

	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	w->late = true;
	assert_int_equal(cancel(w, invite), FATE_SENT);
	take_response(w, 200, "CANCEL");
	c = take_request(w, "CANCEL", BOB);
	answer(w, c, "200 OK");
	answer(w, m, "487 Request Terminated");
	take_request(w, "ACK", BOB);
	r = take_response(w, 487, "INVITE");
	/* The ACK to a failure ends at t_check_trans(). */
	assert_int_equal(ack(w, invite, r), FATE_ABSORBED);
	take_nothing(w);
	world_close(w);
}

static void ones_own_transaction_is_nobody_else_s(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	t_newtran();\n"
				 "	if (t_precheck_trans()) t_reply(\"500\", \"Mine\");\n"
				 "	if (t_check_trans()) t_relay();\n}\n"));

	ask(w, invite);
	take_request(w, "INVITE", BOB);
	assert_null(find_response(w, 500, "INVITE"));
	world_close(w);
}

static void a_cancel_of_nothing_is_not_known(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	if (t_precheck_trans()) sl_send_reply(\"501\", \"Pre\");\n"
		"	else if (t_check_trans()) sl_send_reply(\"502\", \"Known\");\n"
		"	else sl_send_reply(\"481\", \"Unknown\");\n}\n"));

	cancel(w, invite);
	take_response(w, 481, "CANCEL");
	take_nothing(w);
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
	refuse(w, carol, "487 Request Terminated");
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
		cmocka_unit_test(t_newtran_and_forward_is_a_request_without_state),
		cmocka_unit_test(t_relay_knows_ports_from_flags),
		cmocka_unit_test(t_relay_with_flags_alone),
		cmocka_unit_test(t_relay_to_no_proxy_is_false),
		cmocka_unit_test(a_request_that_nobody_works_on),
		cmocka_unit_test(a_request_that_is_worked_on),
		cmocka_unit_test(a_cancel_and_an_ack_are_not_prechecked),
		cmocka_unit_test(ones_own_transaction_is_nobody_else_s),
		cmocka_unit_test(a_cancel_of_nothing_is_not_known),
		cmocka_unit_test(a_short_t1_absorbs_as_long),
		cmocka_unit_test(a_short_t1_gives_a_cancelled_branch_its_time),
		cmocka_unit_test(timers_of_an_openser_script_are_in_seconds),
		cmocka_unit_test(an_avp_sets_the_timers_of_a_call),
		cmocka_unit_test(an_avp_of_a_reply_route_sets_the_time_to_ring),
		cmocka_unit_test(each_leg_has_the_timers_that_it_was_given),
		cmocka_unit_test(a_reply_route_sets_the_timers_of_what_is_under_way),
		cmocka_unit_test(du_is_where_it_goes),
		cmocka_unit_test(sl_replies_are_no_transaction),
		cmocka_unit_test(t_cancel_branches_ends_the_others),
		cmocka_unit_test(t_set_disable_6xx_takes_a_6xx_as_any_failure),
		cmocka_unit_test(t_set_max_lifetime_bounds_a_call_that_rings),
		cmocka_unit_test(an_onreply_route_says_where_later_responses_and_failures_go),
		cmocka_unit_test(what_a_branch_route_says_of_responses_is_of_its_branch),
		cmocka_unit_test(t_set_retr_holds_for_what_is_under_way),
	};

	cmocka_set_test_filter(getenv("TXN_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
