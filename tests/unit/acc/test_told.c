/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of transactions, and which lines and rows that makes: one each, never two. */
#include "common.h"

#define ALL "setflag(1); setflag(2); setflag(3); setflag(4);"
#define RELAYS "request_route { " ALL " if (!t_relay()) sl_reply_error(); }\n"
#define ROWS "SELECT method, sip_code, sip_reason, from_tag, to_tag, callid FROM "

static const struct ask invite = {.from_tag = "me"};
static const struct ask bye = {
	.method = "BYE", .from_tag = "me", .to_tag = "it", .call = "call", .cseq = 2};

static void an_answered_call_is_one_row(void **state)
{
	struct world *w = acc_world(FLAGS RELAYS);
	const struct sent *m = call(w, invite);

	answer(w, m, "180 Ringing");
	answer_with(w, m, "200 Fine", "it", NULL);
	answer_with(w, m, "200 Fine", "it", NULL); /* it comes again */
	line_has(next_line(), "ACC: transaction answered: timestamp=");
	assert_string_equal(rows_of(ROWS "acc", 1), "INVITE|200|Fine|me|it|call");
	ask(w, bye);
	answer(w, take_request(w, "BYE", BOB), "200 OK");
	line_has(next_line(), ";method=BYE;from_tag=me;to_tag=it;call_id=call;code=200;reason=OK");
	assert_string_equal(rows_of(ROWS "acc WHERE method = 'BYE'", 1), "BYE|200|OK|me|it|call");
	assert_int_equal(count_rows("acc"), 2);
	assert_int_equal(count_rows("missed_calls"), 0);
	assert_int_equal(acc_counted(ACC_COUNTER_ANSWERED), 2);
	take_all(w);
	acc_close(w);
}

static void what_is_not_marked_is_not_accounted(void **state)
{
	struct world *w = acc_world(
		FLAGS "request_route { setflag(6); if (!t_relay()) sl_reply_error(); }\n");

	answer(w, call(w, invite), "200 OK");
	assert_int_equal(count_rows("acc"), 0);
	take_all(w);
	acc_close(w);
}

static void log_and_database_are_marked_apart(void **state)
{
	struct world *w = acc_world(
		FLAGS "request_route { if (is_method(\"INVITE\")) setflag(1); else setflag(2);\n"
		      " if (!t_relay()) sl_reply_error(); }\n");

	answer(w, call(w, invite), "200 OK");
	line_has(next_line(), "method=INVITE");
	ask(w, bye);
	answer(w, take_request(w, "BYE", BOB), "200 OK");
	assert_string_equal(rows_of("SELECT method FROM acc", 1), "BYE");
	take_all(w);
	acc_close(w);
}

static void a_failure_is_accounted_where_it_is_marked(void **state)
{
	struct world *w =
		acc_world(FLAGS "modparam(\"acc\", \"failed_filter\", \"404,407\")\n"
				"request_route { setflag(2); if ($rU == \"bob\") setflag(5);\n"
				" if (!t_relay()) sl_reply_error(); }\n");
	const struct ask known = {.call = "1"}, filtered = {.call = "2"},
			 other = {.call = "3", .uri = "sip:eve@10.2.0.1"};

	refuse(w, call(w, known), "486 Busy Here");
	ack(w, known, take_response(w, 486, "INVITE"));
	refuse(w, call(w, filtered), "404 Not Found");
	ack(w, filtered, take_response(w, 404, "INVITE"));
	refuse(w, call(w, other), "486 Busy Here");
	ack(w, other, take_response(w, 486, "INVITE"));
	assert_string_equal(
		rows_of("SELECT callid, sip_code, sip_reason FROM acc", 1), "1|486|Busy Here");
	assert_int_equal(acc_counted(ACC_COUNTER_FAILED), 1);
	take_all(w);
	acc_close(w);
}

static void a_missed_call_is_another_row(void **state)
{
	struct world *w = acc_world(
		FLAGS "request_route { " ALL " t_on_failure(\"mail\"); t_relay(); }\n"
		      "failure_route[mail] { $ru = \"sip:mail@" MAIL "\"; t_relay(); }\n");

	refuse(w, call(w, invite), "486 Busy Here");
	line_has(next_line(), "ACC: call missed: ");
	assert_string_equal(
		rows_of("SELECT sip_code, sip_reason FROM missed_calls", 1), "486|Busy Here");
	answer(w, take_request(w, "INVITE", MAIL), "200 OK");
	line_has(next_line(), "ACC: transaction answered: ");
	assert_string_equal(rows_of("SELECT sip_code FROM acc", 1), "200");
	assert_int_equal(count_rows("missed_calls"), 1);
	take_all(w);
	acc_close(w);
}

static void the_missed_flag_is_for_one_attempt(void **state)
{
	struct world *w =
		acc_world(FLAGS "request_route { setflag(4); t_on_failure(\"next\"); t_relay(); }\n"
				"failure_route[next] { if ($T_reply_code == 486) setflag(4);\n"
				" if ($ru =~ \"" BOB "\") { $ru = \"sip:carol@" CAROL
				"\"; t_on_failure(\"next\"); }\n"
				" else { $ru = \"sip:dave@" DAVE "\"; }\n"
				" t_relay(); }\n");

	refuse(w, call(w, invite), "486 Busy Here");
	refuse(w, take_request(w, "INVITE", CAROL), "480 Away");
	refuse(w, take_request(w, "INVITE", DAVE), "603 Decline");
	/* The first two: for the third it was not set again. */
	assert_string_equal(
		rows_of("SELECT sip_code FROM missed_calls ORDER BY id", 2), "486\n480");
	assert_int_equal(count_rows("missed_calls"), 2);
	ack(w, invite, take_response(w, 603, "INVITE"));
	take_all(w);
	acc_close(w);
}

static void a_forked_call_is_one_row(void **state)
{
	struct world *w = acc_world(FLAGS "request_route { " ALL " append_branch(\"sip:carol@" CAROL
					  "\"); t_relay(); }\n");
	const struct sent *bob = call(w, invite), *carol = take_request(w, "INVITE", CAROL);

	answer(w, bob, "180 Ringing");
	answer_with(w, carol, "200 OK", "carol", NULL);
	answer_with(w, bob, "200 OK", "bob", NULL); /* at the same time */
	next_line();
	assert_string_equal(rows_of("SELECT to_tag FROM acc", 1), "carol");
	assert_int_equal(count_rows("acc"), 1);
	assert_int_equal(count_rows("missed_calls"), 0);
	take_all(w);
	acc_close(w);
}

static void a_cancelled_call_is_missed(void **state)
{
	struct world *w = acc_world(FLAGS "modparam(\"acc\", \"report_cancels\", 1)\n" RELAYS);
	const struct sent *m = call(w, invite);

	answer(w, m, "180 Ringing");
	cancel(w, invite);
	cancel(w, invite);
	line_has(next_line(), "method=CANCEL;from_tag=me;to_tag=;call_id=call;code=200;reason=OK");
	answer(w, take_request(w, "CANCEL", BOB), "200 OK");
	refuse(w, m, "487 Request Terminated");
	line_has(next_line(), "ACC: call missed: ");
	ack(w, invite, take_response(w, 487, "INVITE"));
	assert_string_equal(rows_of("SELECT method, sip_code FROM acc", 1), "CANCEL|200");
	assert_string_equal(rows_of("SELECT sip_code FROM missed_calls", 1), "487");
	assert_int_equal(count_rows("acc"), 1);
	take_all(w);
	acc_close(w);
}

static void who_does_not_answer_is_408(void **state)
{
	struct world *w = acc_world(FLAGS "request_route { " ALL " setflag(5); t_relay(); }\n");

	call(w, invite);
	ask(w, (struct ask){.method = "MESSAGE", .call = "m"});
	pass(w, T64 + LATE_MS);
	ack(w, invite, take_response(w, 408, "INVITE"));
	rows_of("SELECT * FROM acc", 2);
	assert_string_equal(
		rows_of("SELECT method, sip_code, sip_reason FROM acc ORDER BY method", 2),
		"INVITE|408|Request Timeout\nMESSAGE|408|Request Timeout");
	assert_string_equal(rows_of("SELECT sip_code FROM missed_calls", 1), "408");
	for (unsigned i = 0; i < 3; i++)
		next_line();
	take_all(w);
	acc_close(w);
}

static void an_ack_that_is_lost_makes_no_further_row(void **state)
{
	struct world *w = acc_world(FLAGS "request_route { " ALL " setflag(5); t_relay(); }\n");
	const struct sent *m = call(w, invite);

	refuse(w, m, "486 Busy Here");
	pass(w, 5000); /* Timer G sends it again and again */
	assert_true(take_all(w) > 3);
	ask(w, invite);
	assert_int_equal(answer(w, m, "486 Busy Here"), FATE_ABSORBED);
	pass(w, T64);
	rows_of("SELECT 1 FROM acc", 1);
	assert_int_equal(count_rows("acc"), 1);
	assert_int_equal(count_rows("missed_calls"), 1);
	next_line();
	next_line();
	take_all(w);
	acc_close(w);
}

static void a_reply_of_our_own_is_accounted(void **state)
{
	struct world *w = acc_world(FLAGS "request_route { setflag(2); setflag(5); "
					  "t_reply(\"403\", \"Not You\"); setflag(1); }\n");
	const struct sent *r;

	ask(w, invite);
	r = take_response(w, 403, "INVITE");
	ack(w, invite, r);
	ask(w, invite); /* again */
	assert_string_equal(
		rows_of("SELECT sip_code, sip_reason, to_tag = '' FROM acc", 1), "403|Not You|0");
	assert_string_equal(
		rows_of("SELECT to_tag FROM acc", 1), param(header(r->text, "To", 0), "tag"));
	take_all(w);
	acc_close(w);
}

static void flags_of_later_blocks_count(void **state)
{
	struct world *w = acc_world(FLAGS "request_route { t_on_reply(\"r\"); t_relay(); }\n"
					  "onreply_route[r] { if ($rs == 200) setflag(1); }\n");

	answer(w, call(w, invite), "200 OK");
	line_has(next_line(), "code=200");
	take_all(w);
	acc_close(w);
}

static void early_media_is_one_row(void **state)
{
	struct world *w = acc_world(FLAGS "modparam(\"acc\", \"early_media\", 1)\n" RELAYS);
	const struct sent *m = call(w, invite);

	answer(w, m, "180 Ringing");
	for (unsigned i = 0; i < 2; i++)
		answer_with(w, m, "183 Listen", "it", "Content-Length: 3\n\nabc");
	line_has(next_line(), "to_tag=it;call_id=call;code=183;reason=Listen");
	answer_with(w, m, "200 OK", "it", NULL);
	line_has(next_line(), "code=200");
	assert_int_equal(count_rows("acc"), 2);
	take_all(w);
	acc_close(w);
}

static void an_ack_is_one_row(void **state)
{
	struct world *w = acc_world(FLAGS "modparam(\"acc\", \"report_ack\", 1)\n" RELAYS);
	const struct ask ack_ask = {
		.method = "ACK", .from_tag = "me", .to_tag = "it", .branch = "ack", .cseq = 1};

	answer_with(w, call(w, invite), "200 OK", "it", NULL);
	next_line();
	ask(w, ack_ask);
	line_has(next_line(), "ACC: request acknowledged: ");
	ask(w, ack_ask); /* as its 200 has come again */
	assert_int_equal(requests_sent(w, "ACK"), 2);
	assert_string_equal(rows_of(ROWS "acc WHERE method = 'ACK'", 1), "ACK|200|OK|me|it|call");
	assert_int_equal(count_rows("acc"), 2);
	take_all(w);
	acc_close(w);
}

static void acks_are_left_alone_else(void **state)
{
	struct world *w = acc_world(FLAGS RELAYS);

	answer_with(w, call(w, invite), "200 OK", "it", NULL);
	next_line();
	ask(w, (struct ask){.method = "ACK", .from_tag = "me", .to_tag = "it", .branch = "ack"});
	assert_int_equal(requests_sent(w, "ACK"), 1);
	assert_int_equal(count_rows("acc"), 1);
	take_all(w);
	acc_close(w);
}

static void a_copy_for_somebody_else_is_not_accounted(void **state)
{
	struct world *w = acc_world_unobserved(
		FLAGS "request_route { " ALL " t_replicate(\"sip:" DAVE "\"); t_relay(); }\n");
	const struct ask message = {.method = "MESSAGE", .from_tag = "me"};

	ask(w, message);
	answer_with(w, take_request(w, "MESSAGE", DAVE), "200 OK", "copy", NULL);
	answer_with(w, take_request(w, "MESSAGE", BOB), "200 OK", "it", NULL);
	next_line();
	assert_string_equal(rows_of("SELECT to_tag FROM acc", 1), "it");
	assert_int_equal(count_rows("acc"), 1);
	take_all(w);
	acc_close(w);
}

static void by_hand(void **state)
{
	struct world *w = acc_world(
		FLAGS "request_route { $var(code) = 404; acc_log_request(\"$var(code) Not $rU\");\n"
		      " acc_db_request(\"nobody is there\", \"missed_calls\");\n"
		      " acc_request(\"480\", \"acc\"); sl_send_reply(\"404\", \"Not Found\"); }\n");

	ask(w, invite);
	line_has(next_line(),
		"method=INVITE;from_tag=me;to_tag=;call_id=call;code=404;reason=Not bob");
	line_has(next_line(), "method=INVITE;from_tag=me;to_tag=;call_id=call;code=480;reason=");
	assert_string_equal(rows_of(ROWS "missed_calls", 1), "INVITE|0|nobody is there|me||call");
	assert_string_equal(rows_of("SELECT sip_code, sip_reason FROM acc", 1), "480|");
	assert_int_equal(acc_counted(ACC_COUNTER_REQUESTS), 3);
	take_all(w);
	acc_close(w);
}

/* The script has sent it on, and waits for something else. */
static void an_answer_comes_while_the_script_waits(void **state)
{
	struct world *w = acc_world_unobserved(
		FLAGS CDRS "request_route { setflag(2); t_relay(); setflag(1);\n"
			   " $du = \"sip:mail.test:5060\"; forward(); }\n");
	const struct sent *m;

	add_address(w, "mail.test", MAIL);
	assert_int_equal(ask(w, invite), FATE_PARKED);
	m = take_request(w, "INVITE", BOB);
	answer_with(w, m, "200 OK", "it", NULL);
	assert_string_equal(rows_of(ROWS "acc", 1), "INVITE|200|OK|me|it|call");
	line_has(next_line(), "ACC: transaction answered: ");
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS), 1);
	acc_discard(w);
}

#define WAITS \
	"request_route { t_on_failure(\"f\"); t_relay(); }\n" \
	"failure_route[f] { setflag(1); setflag(2); $avp(who) = $T_reply_code;\n" \
	" wait_for(\"one.test\"); setflag(5); $avp(who) = \"one\"; wait_for(\"two.test\");\n" \
	" $avp(who) = \"two\"; }\n"

/* A call whose failure_route waits for the first of two names. */
static struct world *waiting_world(const struct sent **m)
{
	struct world *w = acc_world_unobserved(
		FLAGS CDRS "modparam(\"acc\", \"log_extra\", \"who=$avp(who)\")\n"
			   "modparam(\"acc\", \"cdr_log_enable\", 0)\n" WAITS);

	add_address(w, "one.test", MAIL);
	add_address(w, "two.test", MAIL);
	*m = call(w, invite);
	refuse(w, *m, "486 Busy Here");
	assert_null(find_response(w, 486, "INVITE"));
	return w;
}

static void waits_no_more(struct world *w)
{
	answer_names(w);
	answer_names(w);
	take_all(w);
	acc_close(w);
}

/* What the failure_route has said until then counts, whatever ends the transaction meanwhile. */
static void a_failure_route_that_waits(void **state)
{
	const struct sent *m;
	struct world *w = waiting_world(&m);

	/* A phone answers behind its failure. */
	answer_with(w, m, "200 OK", "it", NULL);
	line_has(next_line(), ";code=200;reason=OK;who=486");
	assert_int_equal(acc_counted(ACC_COUNTER_CALLS), 1);
	waits_no_more(w);
	/* Its caller hangs up, while it waits for the other. */
	w = waiting_world(&m);
	answer_names(w);
	cancel(w, invite);
	ack(w, invite, take_response(w, 487, "INVITE"));
	line_has(next_line(), ";code=487;reason=Request Terminated;who=one");
	assert_string_equal(rows_of("SELECT sip_code FROM acc", 1), "487");
	waits_no_more(w);
	/* The name never comes. */
	w = waiting_world(&m);
	answer_names(w);
	lose_names(w);
	ack(w, invite, take_response(w, 486, "INVITE"));
	line_has(next_line(), ";code=486;reason=Busy Here;who=one");
	waits_no_more(w);
	/* All is well. */
	w = waiting_world(&m);
	answer_names(w);
	answer_names(w);
	ack(w, invite, take_response(w, 486, "INVITE"));
	line_has(next_line(), ";code=486;reason=Busy Here;who=two");
	waits_no_more(w);
	/* Nobody ever says so: it is given up. */
	w = waiting_world(&m);
	jump(w, 1000000);
	pass_in_steps(w, 70000, 1000);
	ack(w, invite, take_response(w, 500, "INVITE"));
	/* Without failed_transaction_flag. */
	no_line();
	waits_no_more(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_while_the_script_waits),
		cmocka_unit_test(an_answered_call_is_one_row),
		cmocka_unit_test(what_is_not_marked_is_not_accounted),
		cmocka_unit_test(log_and_database_are_marked_apart),
		cmocka_unit_test(a_failure_is_accounted_where_it_is_marked),
		cmocka_unit_test(a_missed_call_is_another_row),
		cmocka_unit_test(the_missed_flag_is_for_one_attempt),
		cmocka_unit_test(a_forked_call_is_one_row),
		cmocka_unit_test(a_cancelled_call_is_missed),
		cmocka_unit_test(who_does_not_answer_is_408),
		cmocka_unit_test(an_ack_that_is_lost_makes_no_further_row),
		cmocka_unit_test(a_reply_of_our_own_is_accounted),
		cmocka_unit_test(flags_of_later_blocks_count),
		cmocka_unit_test(early_media_is_one_row),
		cmocka_unit_test(an_ack_is_one_row),
		cmocka_unit_test(acks_are_left_alone_else),
		cmocka_unit_test(a_copy_for_somebody_else_is_not_accounted),
		cmocka_unit_test(by_hand),
		cmocka_unit_test(a_failure_route_that_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
