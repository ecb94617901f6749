/* SPDX-License-Identifier: BSD-3-Clause */
/* What each block of a script sees, changes and says, where operators know it from Kamailio; and
 * the functions of "tm" that OpenSER and OpenSIPS call by other names. */
#include "harness.h"

static const struct ask invite = {0};

/* ---- onreply_route ---- */

static void an_onreply_route_changes_its_response(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	t_on_reply(\"r\");\n	t_relay();\n}\n"
		"onreply_route[r] {\n"
		"	append_hf(\"X-Seen: $rs $rr $T_reply_code $T_reply_last $rm\\r\\n\");\n"
		"	remove_hf(\"Server\");\n"
		"	if (t_check_status(\"180\")) exit;\n"
		"	append_hf(\"X-Final: yes\\r\\n\");\n}\n"));
	const struct sent *m = call(w, invite), *r;

	answer_with(w, m, "180 Ringing", NULL, "Server: phone\n");
	r = take_response(w, 180, "INVITE");
	assert_string_equal(header(r->text, "X-Seen", 0), "180 Ringing 180 0 INVITE");
	assert_null(header(r->text, "Server", 0));
	assert_null(header(r->text, "X-Final", 0));
	answer_with(w, m, "200 OK", NULL, "Server: phone\n");
	r = take_response(w, 200, "INVITE");
	assert_string_equal(header(r->text, "X-Seen", 0), "200 OK 200 180 INVITE");
	assert_string_equal(header(r->text, "X-Final", 0), "yes");
	assert_int_equal(headers(r->text, "X-Seen"), 1);
	world_close(w);
}

static void drop_is_a_statement_and_a_call(void **state)
{
	static const char *const drops[] = {"drop;", "drop();", "{ drop; }", "route(d);"};

	for (unsigned i = 0; i < sizeof(drops) / sizeof(drops[0]); i++) {
		struct world *w = world_new((struct world_config){
			.script = printed(MODULES RFC_TIMERS
				"request_route {\n	t_on_reply(\"r\");\n	t_relay();\n}\n"
				"route[d] {\n	drop;\n}\n"
				"onreply_route[r] {\n	if ($rs == 183) %s\n"
				"	if ($rs == 199) route(d);\n}\n",
				drops[i])});
		const struct sent *m = call(w, invite);

		assert_int_equal(answer(w, m, "183 Session Progress"), FATE_DROPPED);
		assert_int_equal(w->reason, TXN_REASON_SCRIPT);
		take_nothing(w);
		answer(w, m, "180 Ringing");
		take_response(w, 180, "INVITE");
		answer(w, m, "200 OK");
		take_response(w, 200, "INVITE");
		world_close(w);
	}
}

/* ---- failure_route ---- */

#define SEEN "append_hf(\"X-Seen: $ru $du $rs $T_reply_code $T_branch_idx\\r\\n\");"

/* $ru is what t_relay() found, not what a branch_route made of it; it counts as used. */
static void a_failure_route_has_the_uri_that_t_relay_had(void **state)
{
	struct world *w = world_new(
		SCRIPT("request_route {\n	$rU = \"robert\";\n	t_on_branch(\"b\");\n"
		       "	t_on_failure(\"f\");\n	t_relay();\n}\n"
		       "branch_route[b] {\n	$rU = \"branch\";\n}\n"
		       "failure_route[f] {\n	" SEEN
		       "\n	if (t_relay()) append_hf(\"X-No: 1\\r\\n\");\n"
		       "	$ru = \"sip:mail@" MAIL "\";\n	t_relay();\n}\n"));
	const struct sent *m = call(w, invite), *mail;

	assert_string_equal(first_line(m->text), "INVITE sip:branch@" BOB " SIP/2.0");
	refuse(w, m, "486 Busy Here");
	mail = take_request(w, "INVITE", MAIL);
	assert_string_equal(first_line(mail->text), "INVITE sip:mail@" MAIL " SIP/2.0");
	assert_string_equal(header(mail->text, "X-Seen", 0), "sip:robert@" BOB " <null> 486 486 1");
	assert_null(header(mail->text, "X-No", 0));
	take_nothing(w);
	answer(w, mail, "200 OK");
	take_response(w, 200, "INVITE");
	world_close(w);
}

/* $du stays as t_relay() had it, until the script writes it or takes it away. */
static void a_failure_route_has_the_destination_that_t_relay_had(void **state)
{
	static const struct {
		const char *change, *goes_to;
	} rows[] = {
		{"", CAROL},
		{"$du = \"sip:" DAVE "\";", DAVE},
		{"$du = $null;", MAIL},
		{"resetdsturi();", MAIL},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w = world_new((struct world_config){
			.script = printed(MODULES RFC_TIMERS
				"request_route {\n	$du = \"sip:" CAROL "\";\n"
				"	t_on_failure(\"f\");\n	t_relay();\n}\n"
				"failure_route[f] {\n	$ru = \"sip:mail@" MAIL "\";\n	%s\n"
				"	t_relay();\n}\n",
				rows[i].change)});
		const struct sent *m, *mail;

		ask(w, invite);
		take_response(w, 100, "INVITE");
		m = take_request(w, "INVITE", CAROL);
		assert_string_equal(first_line(m->text), "INVITE sip:bob@" BOB " SIP/2.0");
		answer(w, m, "486 Busy Here");
		take_request(w, "ACK", CAROL);
		mail = take_request(w, "INVITE", rows[i].goes_to);
		assert_string_equal(first_line(mail->text), "INVITE sip:mail@" MAIL " SIP/2.0");
		take_nothing(w);
		answer(w, mail, "200 OK");
		take_response(w, 200, "INVITE");
		world_close(w);
	}
}

/* Branches of the first t_relay() are no branches of the next. */
static void a_failure_route_appends_its_own_branches(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	append_branch(\"sip:carol@" CAROL "\");\n"
				 "	t_on_failure(\"f\");\n	t_relay();\n}\n"
				 "failure_route[f] {\n	append_branch(\"sip:dave@" DAVE "\");\n"
				 "	append_branch(\"sip:mail@" MAIL "\");\n	t_relay();\n}\n"));
	const struct sent *bob = call(w, invite), *carol = take_request(w, "INVITE", CAROL), *dave;

	refuse(w, bob, "486 Busy Here");
	take_nothing(w);
	refuse(w, carol, "480 Temporarily Unavailable");
	dave = take_request(w, "INVITE", DAVE);
	take_request(w, "INVITE", MAIL);
	take_nothing(w); /* the Request-URI had its branch */
	answer(w, dave, "200 OK");
	take_response(w, 200, "INVITE");
	world_close(w);
}

/* ---- which block ---- */

static void each_block_knows_what_it_is(void **state)
{
#define KIND \
	"	if (t_is_request_route()) append_hf(\"X-Kind: request\\r\\n\");\n" \
	"	if (t_is_branch_route()) append_hf(\"X-Kind: branch\\r\\n\");\n" \
	"	if (t_is_failure_route()) append_hf(\"X-Kind: failure\\r\\n\");\n" \
	"	if (t_is_reply_route()) append_hf(\"X-Kind: reply\\r\\n\");\n"
	struct world *w = world_new(SCRIPT(
		"request_route {\n	route(kind);\n	t_on_reply(\"r\");\n	"
		"t_on_failure(\"f\");\n"
		"	t_on_branch(\"b\");\n	t_relay();\n}\nroute[kind] {\n" KIND "}\n"
		"branch_route[b] {\n	route(kind);\n}\nonreply_route[r] {\n	route(kind);\n}\n"
		"failure_route[f] {\n	route(kind);\n	$ru = \"sip:mail@" MAIL
		"\";\n	t_relay();\n}\n"));
	const struct sent *m = call(w, invite), *r;

	assert_int_equal(headers(m->text, "X-Kind"), 2);
	assert_string_equal(header(m->text, "X-Kind", 0), "request");
	assert_string_equal(header(m->text, "X-Kind", 1), "branch");
	answer(w, m, "180 Ringing");
	r = take_response(w, 180, "INVITE");
	assert_int_equal(headers(r->text, "X-Kind"), 1);
	assert_string_equal(header(r->text, "X-Kind", 0), "reply");
	refuse(w, m, "486 Busy Here");
	m = take_request(w, "INVITE", MAIL);
	assert_string_equal(header(m->text, "X-Kind", headers(m->text, "X-Kind") - 1), "failure");
	answer(w, m, "200 OK");
	take_all(w);
	world_close(w);
}

/* ---- other names ---- */

static void seconds_and_openser_s_names_set_the_timers(void **state)
{
	struct world *w = world_new(
		(struct world_config){.script = MODULES "modparam(\"tm\", \"fr_timeout\", 5)\n"
							"modparam(\"tm\", \"fr_inv_timeout\", 30)\n"
							"modparam(\"tm\", \"T1_timer\", 200)\n"
							"modparam(\"tm\", \"T2_timer\", 800)\n"
							"modparam(\"tm\", \"auto_100trying\", 0)\n"
							"request_route {\n	t_relay();\n}\n"});
	const struct ask other = {.call = "other", .method = "MESSAGE"};
	static const unsigned due[] = {200, 600, 1400, 2200, 3000};

	ask(w, other);
	take_request(w, "MESSAGE", BOB);
	for (unsigned i = 0; i < sizeof(due) / sizeof(due[0]); i++) {
		pass(w, due[i] + LATE_MS - now_ms(w));
		assert_due(take_request(w, "MESSAGE", BOB), due[i]);
		assert_null(find_request(w, "MESSAGE", BOB));
	}
	pass(w, 5000 - now_ms(w) - LATE_MS);
	take_all(w);
	ask(w, invite);
	assert_null(find_response(w, 100, "INVITE"));
	take_request(w, "INVITE", BOB);
	pass(w, 5000 + LATE_MS);
	take_response(w, 408, "INVITE");
	world_close(w);
}

static void t_cancel_branch_takes_opensips_letters(void **state)
{
	static const struct {
		const char *argument;
		bool bob, carol;
	} rows[] = {{"", true, false}, {"\"\"", true, false}, {"\"o\"", false, true},
		{"\"a\"", true, true}, {"\"ao\"", true, true}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w = world_new((struct world_config){
			.script = printed(MODULES RFC_TIMERS
				"request_route {\n	append_branch(\"sip:carol@" CAROL "\");\n"
				"	t_on_reply(\"r\");\n	t_relay();\n}\n"
				"onreply_route[r] {\n	if ($rs == 183) t_cancel_branch(%s);\n}\n",
				rows[i].argument)});
		const struct sent *bob = call(w, invite), *carol = take_request(w, "INVITE", CAROL);

		answer(w, carol, "180 Ringing");
		take_response(w, 180, "INVITE");
		answer(w, bob, "183 Session Progress");
		take_response(w, 183, "INVITE");
		assert_int_equal(find_request(w, "CANCEL", BOB) != NULL, rows[i].bob);
		assert_int_equal(find_request(w, "CANCEL", CAROL) != NULL, rows[i].carol);
		refuse(w, bob, "487 Request Terminated");
		refuse(w, carol, "487 Request Terminated");
		take_all(w);
		world_close(w);
	}
}

/* As Kamailio's manual has it: the run ends where the INVITE is here, what has none goes on as an
 * INVITE would, and false is an error. */
static void t_relay_cancel_ends_the_run_where_the_invite_is_here(void **state)
{
	struct world *w = world_new(SCRIPT("request_route {\n	if (method == \"CANCEL\") {\n"
					   "		if (!t_relay_cancel()) {\n"
					   "			sl_reply(\"500\", \"Error\");\n"
					   "			drop;\n		}\n"
					   "		append_hf(\"X-Nothing: 1\\r\\n\");\n	}\n"
					   "	t_relay();\n}\n"));
	const struct sent *m, *c;

	assert_int_equal(cancel(w, (struct ask){.call = "other"}), FATE_STATELESS);
	c = take_request(w, "CANCEL", BOB);
	assert_string_equal(header(c->text, "X-Nothing", 0), "1");
	m = call(w, invite);
	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	cancel(w, invite);
	take_response(w, 200, "CANCEL");
	c = take_request(w, "CANCEL", BOB);
	assert_null(header(c->text, "X-Nothing", 0));
	refuse(w, m, "487 Request Terminated");
	take_all(w);
	world_close(w);
}

static void t_lookup_cancel_brings_the_invite_s_flags(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	if (method == \"CANCEL\") {\n"
				 "		setflag(4);\n"
				 "		if (!t_lookup_cancel()) exit;\n"
				 "		if (isflagset(3)) exit;\n"
				 "		if (!t_lookup_cancel(\"1\")) exit;\n"
				 "		if (isflagset(3) && !isflagset(4)) t_relay();\n"
				 "		exit;\n	}\n"
				 "	setflag(3);\n	t_relay();\n}\n"));
	const struct sent *m = call(w, invite);

	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	cancel(w, invite);
	take_response(w, 200, "CANCEL");
	take_request(w, "CANCEL", BOB);
	refuse(w, m, "487 Request Terminated");
	take_all(w);
	world_close(w);
}

/* For one transaction, whichever way the parameter says it for all. */
static void a_script_keeps_the_reason_of_a_cancel(void **state)
{
	static const struct {
		const char *script;
		bool goes_on;
	} row[] = {
		{MODULES "request_route {\n	t_set_no_e2e_cancel_reason(1);\n	"
			 "t_relay();\n}\n",
			false},
		{MODULES "request_route {\n	t_set_no_e2e_cancel_reason(0);\n	"
			 "t_relay();\n}\n",
			true},
		{MODULES "modparam(\"tm\", \"e2e_cancel_reason\", 0)\n"
			 "request_route {\n	t_set_no_e2e_cancel_reason(0);\n	"
			 "t_relay();\n}\n",
			true},
		{MODULES "modparam(\"tm\", \"e2e_cancel_reason\", 0)\n"
			 "request_route {\n	t_relay();\n}\n",
			false},
	};

	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct world *w = world_new((struct world_config){.script = row[i].script});
		const struct sent *m = call(w, invite), *c;

		answer(w, m, "180 Ringing");
		take_response(w, 180, "INVITE");
		cancel(w, (struct ask){.more = "Reason: SIP;cause=200\n"});
		take_response(w, 200, "CANCEL");
		c = take_request(w, "CANCEL", BOB);
		if ((header(c->text, "Reason", 0) != NULL) != row[i].goes_on)
			fail_msg("row %u: %s", i, c->text);
		refuse(w, m, "487 Request Terminated");
		take_all(w);
		world_close(w);
	}
}

/* ---- t_reply() ---- */

/* RFC 3261 21.3: a 3xx says where else. What has been tried is no such place. */
static void a_redirection_has_its_targets(void **state)
{
	struct world *w = world_new(
		SCRIPT("request_route {\n	t_on_failure(\"f\");\n"
		       "	if ($rU == \"new\") {\n"
		       "		$ru = \"sip:new@n.example\";\n"
		       "		append_branch(\"sip:two@t.example\", \"0.5\");\n"
		       "		t_reply(\"302\", \"Moved\");\n		exit;\n	}\n"
		       "	$ru = \"sip:tried@" BOB "\";\n	t_relay();\n}\n"
		       "failure_route[f] {\n"
		       "	if (t_check_status(\"486\")) $ru = \"sip:mail@m.example\";\n"
		       "	t_reply(\"302\", \"Moved\");\n}\n"));
	const struct sent *r;

	ask(w, (struct ask){.call = "new", .uri = "sip:new@b"});
	r = take_response(w, 302, "INVITE");
	assert_string_equal(
		header(r->text, "Contact", 0), "<sip:new@n.example>, <sip:two@t.example>;q=0.5");
	ack(w, (struct ask){.call = "new", .uri = "sip:new@b"}, r);
	refuse(w, call(w, invite), "486 Busy Here");
	r = take_response(w, 302, "INVITE");
	assert_string_equal(header(r->text, "Contact", 0), "<sip:mail@m.example>");
	ack(w, invite, r);
	refuse(w, call(w, (struct ask){.call = "gone"}), "404 Not Found");
	r = take_response(w, 302, "INVITE");
	assert_null(header(r->text, "Contact", 0));
	ack(w, (struct ask){.call = "gone"}, r);
	take_nothing(w);
	world_close(w);
}

/* As OpenSIPS' scripts expect of it; Kamailio's is false there. */
static void t_reply_makes_the_transaction(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	t_reply(\"404\", \"Not Found\");\n}\n"));
	const struct sent *r;

	ask(w, invite);
	r = take_response(w, 404, "INVITE");
	assert_int_equal(counted(w, TXN_COUNTER_CREATED), 1);
	pass(w, T1 + LATE_MS);
	take_response(w, 404, "INVITE"); /* Timer G */
	assert_int_equal(ack(w, invite, r), FATE_ABSORBED);
	pass(w, T4);
	take_nothing(w);
	world_close(w);
}

/* RFC 3261 13.3.1.4 is for who takes the call. */
static void a_200_of_ours_comes_again_where_its_invite_does(void **state)
{
	struct world *w = world_new(SCRIPT("request_route {\n	if (method == \"ACK\") exit;\n"
					   "	t_reply(\"200\", \"OK\");\n}\n"));

	ask(w, invite);
	take_response(w, 200, "INVITE");
	pass(w, T64 - 1000);
	take_nothing(w);
	assert_int_equal(ask(w, invite), FATE_ABSORBED);
	take_response(w, 200, "INVITE");
	take_nothing(w);
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_onreply_route_changes_its_response),
		cmocka_unit_test(drop_is_a_statement_and_a_call),
		cmocka_unit_test(a_failure_route_has_the_uri_that_t_relay_had),
		cmocka_unit_test(a_failure_route_has_the_destination_that_t_relay_had),
		cmocka_unit_test(a_failure_route_appends_its_own_branches),
		cmocka_unit_test(each_block_knows_what_it_is),
		cmocka_unit_test(seconds_and_openser_s_names_set_the_timers),
		cmocka_unit_test(t_cancel_branch_takes_opensips_letters),
		cmocka_unit_test(t_relay_cancel_ends_the_run_where_the_invite_is_here),
		cmocka_unit_test(t_lookup_cancel_brings_the_invite_s_flags),
		cmocka_unit_test(a_script_keeps_the_reason_of_a_cancel),
		cmocka_unit_test(a_redirection_has_its_targets),
		cmocka_unit_test(t_reply_makes_the_transaction),
		cmocka_unit_test(a_200_of_ours_comes_again_where_its_invite_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
