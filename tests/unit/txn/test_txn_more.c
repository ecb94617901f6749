/* SPDX-License-Identifier: BSD-3-Clause */
/* Serial forking by q, what a failure_route asks and forgets, and the pseudo-variables of "tm". */
#include "harness.h"

static const struct ask invite = {.method = NULL};

static void begin(struct world *w)
{
	assert_int_equal(ask(w, invite), FATE_SENT);
	find_response(w, 100, "INVITE");
}

/* ---- t_load_contacts, t_next_contacts ---- */

#define BY_Q \
	"request_route {\n" \
	"	append_branch(\"sip:dave@" DAVE "\", \"0.2\");\n" \
	"	append_branch(\"sip:carol@" CAROL "\", \"0.9\");\n" \
	"	append_branch(\"sip:mail@" MAIL "\", \"0.9\");\n" \
	"	$ru_q = \"0.5\";\n" \
	"	if (!t_load_contacts() || !t_next_contacts()) { sl_send_reply(\"500\", \"No\"); " \
	"exit; }\n" \
	"	t_on_failure(\"next\");\n	t_relay();\n}\n" \
	"failure_route[next] {\n" \
	"	if (t_next_contacts()) { t_on_failure(\"next\"); t_relay(); }\n}\n"

static void contacts_ring_in_the_order_of_their_q(void **state)
{
	struct world *w = world_new(SCRIPT(BY_Q));
	const struct sent *carol, *mail, *bob, *dave, *r;

	begin(w);
	carol = take_request(w, "INVITE", CAROL);
	mail = take_request(w, "INVITE", MAIL);
	take_nothing(w);
	refuse(w, carol, "486 Busy Here");
	/* The other one of this q still rings. */
	take_nothing(w);
	refuse(w, mail, "486 Busy Here");
	bob = take_request(w, "INVITE", BOB);
	assert_string_equal(first_line(bob->text), "INVITE sip:bob@" BOB " SIP/2.0");
	take_nothing(w);
	refuse(w, bob, "486 Busy Here");
	dave = take_request(w, "INVITE", DAVE);
	take_nothing(w);
	refuse(w, dave, "480 Temporarily Unavailable");
	/* None is left: the best of all. */
	r = find_response(w, 480, "INVITE");
	if (r == NULL)
		r = take_response(w, 486, "INVITE");
	take_nothing(w);
	ack(w, invite, r);
	world_close(w);
}

static void a_contact_that_answers_ends_the_search(void **state)
{
	struct world *w = world_new(SCRIPT(BY_Q));

	begin(w);
	answer(w, take_request(w, "INVITE", CAROL), "200 OK");
	take_response(w, 200, "INVITE");
	take_request(w, "INVITE", MAIL);
	take_nothing(w);
	world_close(w);
}

/* ---- $rs, $T_... ---- */

static void a_failure_route_knows_what_it_is_about(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	t_on_failure(\"f\");\n	t_relay();\n}\n"
		"failure_route[f] {\n	append_hf(\"X-F: $rs $rr; $T_reply_code $T_reply_reason; "
		"$T(reply_type) $T_branch_idx $T(branch_index)\\r\\n\");\n"
		"	if (t_grep_status(486)) append_hf(\"X-Grep: 486\\r\\n\");\n"
		"	if (t_grep_status(404)) append_hf(\"X-Grep: 404\\r\\n\");\n"
		"	if (t_local_replied(\"last\")) append_hf(\"X-Local: last\\r\\n\");\n"
		"	if (t_local_replied(\"all\")) append_hf(\"X-Local: all\\r\\n\");\n"
		"	if (t_is_set(\"failure_route\")) append_hf(\"X-Set: yes\\r\\n\");\n"
		"	if (t_is_expired()) append_hf(\"X-Expired: yes\\r\\n\");\n"
		"	$ru = \"sip:carol@" CAROL "\";\n	t_relay();\n}\n"));
	const struct sent *carol;

	refuse(w, call(w, invite), "486 Busy Here");
	carol = take_request(w, "INVITE", CAROL);
	assert_string_equal(header(carol->text, "X-F", 0), "486 Busy Here; 486 Busy Here; 0 1 1");
	assert_int_equal(headers(carol->text, "X-Grep"), 1);
	assert_string_equal(header(carol->text, "X-Grep", 0), "486");
	assert_int_equal(headers(carol->text, "X-Local"), 0);
	assert_int_equal(headers(carol->text, "X-Set"), 0);
	assert_int_equal(headers(carol->text, "X-Expired"), 0);
	answer(w, carol, "200 OK");
	world_rest(w);

	/* Nobody answers at all. */
	call(w, invite);
	pass(w, T64 + LATE_MS);
	take_request(w, "INVITE", BOB);
	carol = find_request(w, "INVITE", CAROL);
	while (carol == NULL) {
		take_request(w, "INVITE", BOB);
		carol = find_request(w, "INVITE", CAROL);
	}
	assert_string_equal(
		header(carol->text, "X-F", 0), "408 Request Timeout; 408 Request Timeout; 1 1 1");
	assert_int_equal(headers(carol->text, "X-Local"), 2);
	assert_int_equal(headers(carol->text, "X-Grep"), 0);
	answer(w, carol, "200 OK");
	world_close(w);
}

static void routes_know_their_branch(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	append_branch(\"sip:carol@" CAROL "\");\n"
		"	append_hf(\"X-Q: $T_branch_idx $T_reply_code\\r\\n\");\n"
		"	t_on_branch(\"b\");\n	t_on_reply(\"r\");\n	t_relay();\n}\n"
		"branch_route[b] {\n	append_hf(\"X-B: $T_branch_idx $T_reply_code $T(reply_type)"
		"\\r\\n\");\n}\n"
		"onreply_route[r] {\n	append_hf(\"X-R: $T_branch_idx $T_reply_code "
		"$T_reply_reason $T_reply_last $T(reply_type)\\r\\n\");\n}\n"));
	const struct sent *bob, *carol, *r;

	bob = call(w, invite);
	carol = take_request(w, "INVITE", CAROL);
	assert_string_equal(header(bob->text, "X-Q", 0), "1 0");
	assert_string_equal(header(bob->text, "X-B", 0), "0 100 0");
	assert_string_equal(header(carol->text, "X-B", 0), "1 100 0");
	answer(w, carol, "180 Ringing");
	r = take_response(w, 180, "INVITE");
	assert_non_null(strstr(header(r->text, "X-R", 0), "1 180 Ringing "));
	answer(w, bob, "183 Session Progress");
	r = take_response(w, 183, "INVITE");
	assert_non_null(strstr(header(r->text, "X-R", 0), "0 183 Session Progress "));
	answer(w, carol, "200 OK");
	r = take_response(w, 200, "INVITE");
	assert_string_equal(header(r->text, "X-R", 0), "1 200 OK 180 0");
	take_request(w, "CANCEL", BOB);
	refuse(w, bob, "487 Request Terminated");
	world_close(w);
}

/* ---- t_drop_replies ---- */

static void dropped(const char *mode, unsigned expected)
{
	char script[2000];
	struct world *w;
	const struct sent *r;

	snprintf(script, sizeof(script),
		MODULES RFC_TIMERS
		"modparam(\"tm\", \"failure_reply_mode\", 0)\n"
		"request_route {\n	$avp(n) = 0;\n	t_on_failure(\"f\");\n	t_relay();\n}\n"
		"failure_route[f] {\n	$avp(n) += 1;\n"
		"	if ($avp(n) == 1) {\n		t_on_failure(\"f\");\n"
		"		$ru = \"sip:carol@" CAROL "\";\n		t_relay();\n"
		"	} else {\n		t_drop_replies(%s);\n"
		"		$ru = \"sip:dave@" DAVE "\";\n		t_relay();\n	}\n}\n",
		mode);
	w = world_new((struct world_config){.script = script});
	refuse(w, call(w, invite), "404 Not Found");
	refuse(w, take_request(w, "INVITE", CAROL), "403 Forbidden");
	refuse(w, take_request(w, "INVITE", DAVE), "500 Server Internal Error");
	r = take_response(w, expected, "INVITE");
	take_nothing(w);
	ack(w, invite, r);
	world_close(w);
}

static void replies_are_dropped_as_the_route_says(void **state)
{
	/* A 4xx goes before a 5xx, wherever it still counts. */
	dropped("\"a\"", 500);
	dropped("", 500);
	dropped("\"l\"", 404);
	struct world *w =
		world_new(SCRIPT("request_route {\n	t_on_failure(\"f\");\n	t_relay();\n}\n"
				 "failure_route[f] {\n	t_drop_replies(\"n\");\n"
				 "	$ru = \"sip:carol@" CAROL "\";\n	t_relay();\n}\n"));
	refuse(w, call(w, invite), "404 Not Found");
	refuse(w, take_request(w, "INVITE", CAROL), "500 Server Internal Error");
	ack(w, invite, take_response(w, 404, "INVITE"));
	world_close(w);
}

/* ---- t_save_lumps, t_flush_flags ---- */

static void what_comes_behind_t_save_lumps_is_for_one_relay(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	t_newtran();\n	append_hf(\"X-A: all\\r\\n\");\n"
		"	t_save_lumps();\n	append_hf(\"X-B: first\\r\\n\");\n"
		"	remove_hf(\"X-Gone\");\n	t_on_failure(\"f\");\n	t_relay();\n"
		"	$avp(late) = 7;\n}\n"
		"failure_route[f] {\n	append_hf(\"X-C: $avp(late)\\r\\n\");\n"
		"	$ru = \"sip:carol@" CAROL "\";\n	t_relay();\n}\n"));
	const struct ask with = {.more = "X-Gone: here\n"};
	const struct sent *bob, *carol;

	assert_int_equal(ask(w, with), FATE_SENT);
	find_response(w, 100, "INVITE");
	bob = take_request(w, "INVITE", BOB);
	assert_int_equal(headers(bob->text, "X-A") * 100 + headers(bob->text, "X-B") * 10 +
				 headers(bob->text, "X-Gone"),
		110);
	refuse(w, bob, "486 Busy Here");
	carol = take_request(w, "INVITE", CAROL);
	assert_int_equal(headers(carol->text, "X-A") * 100 + headers(carol->text, "X-B") * 10 +
				 headers(carol->text, "X-Gone"),
		101);
	assert_string_equal(header(carol->text, "X-C", 0), "7");
	answer(w, carol, "200 OK");
	world_close(w);
}

/* Each leg has what its own failure_route puts there, and what was there before the first. */
static void changes_in_failure_routes_do_not_add_up(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	append_hf(\"X-A: all\\r\\n\");\n	$avp(n) = 0;\n"
		"	t_on_failure(\"f\");\n	t_relay();\n	append_hf(\"X-L: "
		"late\\r\\n\");\n}\n"
		"failure_route[f] {\n	$avp(n) = $avp(n) + 1;\n"
		"	append_hf(\"X-N: $avp(n)\\r\\n\");\n	t_on_failure(\"f\");\n"
		"	$rU = \"bob\" + $avp(n);\n	t_relay();\n}\n"));
	const struct sent *m;

	m = call(w, invite);
	for (unsigned n = 1; n < 4; n++) {
		refuse(w, m, "486 Busy Here");
		m = take_request(w, "INVITE", BOB);
		assert_int_equal(headers(m->text, "X-A"), 1);
		assert_int_equal(headers(m->text, "X-L"), 0);
		assert_int_equal(headers(m->text, "X-N"), 1);
		assert_string_equal(header(m->text, "X-N", 0), printed("%u", n));
		assert_non_null(strstr(first_line(m->text), printed("sip:bob%u@", n)));
	}
	answer(w, m, "200 OK");
	world_close(w);
}

static void flags_are_flushed_from_where_they_are_set(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	t_on_failure(\"f\");\n	t_on_reply(\"r\");\n	"
		"t_relay();\n"
		"	setflag(5);\n	if (!t_flush_flags()) setflag(6);\n	resetflag(5);\n"
		"	setflag(5);\n}\n"
		"onreply_route[r] {\n	if (isflagset(5)) setflag(7);\n}\n"
		"failure_route[f] {\n	append_hf(\"X-F: $mf\\r\\n\");\n"
		"	$ru = \"sip:carol@" CAROL "\";\n	t_relay();\n}\n"));
	const struct sent *carol;

	refuse(w, call(w, invite), "486 Busy Here");
	carol = take_request(w, "INVITE", CAROL);
	assert_string_equal(header(carol->text, "X-F", 0), "160");
	answer(w, carol, "200 OK");
	world_close(w);
}

static void flags_are_flushed_from_a_failure_route(void **state)
{
	struct world *w = world_new(
		SCRIPT("request_route {\n	$avp(x) = \"kept\";\n	t_on_failure(\"f\");\n	"
		       "t_relay();\n}\n"
		       "failure_route[f] {\n	setflag(9);\n	if (!t_flush_flags()) exit;\n"
		       "	t_on_failure(\"g\");\n	$ru = \"sip:carol@" CAROL
		       "\";\n	t_relay();\n}\n"
		       "failure_route[g] {\n	append_hf(\"X-G: $mf $avp(x)\\r\\n\");\n"
		       "	$ru = \"sip:dave@" DAVE "\";\n	t_relay();\n}\n"));
	const struct sent *dave;

	refuse(w, call(w, invite), "486 Busy Here");
	refuse(w, take_request(w, "INVITE", CAROL), "486 Busy Here");
	dave = take_request(w, "INVITE", DAVE);
	assert_string_equal(header(dave->text, "X-G", 0), "512 kept");
	answer(w, dave, "200 OK");
	world_close(w);
}

static void lines_for_our_reply_outlive_the_request_route(void **state)
{
	struct world *w =
		world_new(SCRIPT("request_route {\n	append_to_reply(\"X-R: one\\r\\n\");\n	"
				 "t_on_failure(\"f\");\n"
				 "	t_relay();\n}\n"
				 "failure_route[f] {\n	append_to_reply(\"X-R: two\\r\\n\");\n"
				 "	t_reply(\"480\", \"Later\");\n}\n"));
	const struct sent *r;

	refuse(w, call(w, invite), "486 Busy Here");
	r = take_response(w, 480, "INVITE");
	assert_int_equal(headers(r->text, "X-R"), 2);
	assert_string_equal(header(r->text, "X-R", 0), "one");
	assert_string_equal(header(r->text, "X-R", 1), "two");
	ack(w, invite, r);
	world_close(w);
}

/* ---- t_replicate ---- */

#define TWICE \
	"request_route {\n	append_hf(\"X-A: b\\r\\n\");\n" \
	"	if (!t_replicate(\"sip:" CAROL "\")) { sl_send_reply(\"500\", \"No Copy\"); " \
	"exit; }\n" \
	"	sl_send_reply(\"200\", \"Kept\");\n}\n"

/* To a host and a port, and to where the request would go itself. */
static void a_copy_goes_where_the_script_says(void **state)
{
	static const char *const script[] = {
		MODULES RFC_TIMERS "request_route {\n	t_replicate(\"10.2.0.2\", \"5060\");\n"
				   "	sl_send_reply(\"200\", \"Kept\");\n}\n",
		MODULES RFC_TIMERS "request_route {\n	$du = \"sip:" CAROL
				   "\";\n	t_replicate();\n"
				   "	sl_send_reply(\"200\", \"Kept\");\n}\n",
		MODULES RFC_TIMERS "request_route {\n	$ru = \"sip:" CAROL
				   "\";\n	t_replicate();\n"
				   "	sl_send_reply(\"200\", \"Kept\");\n}\n",
	};

	for (unsigned i = 0; i < sizeof(script) / sizeof(script[0]); i++) {
		struct world *w = world_new((struct world_config){.script = script[i]});
		const struct sent *copy;

		ask(w, (struct ask){.method = "REGISTER", .uri = "sip:" BOB});
		copy = take_request(w, "REGISTER", CAROL);
		take_response(w, 200, "REGISTER");
		answer(w, copy, "200 OK");
		take_nothing(w);
		world_close(w);
	}
}

static void a_copy_goes_its_own_way(void **state)
{
	struct world *w = world_new(SCRIPT(TWICE));
	const struct ask reg = {.method = "REGISTER", .uri = "sip:" BOB};
	const struct sent *copy, *again;

	assert_int_equal(ask(w, reg), FATE_STATELESS);
	copy = take_request(w, "REGISTER", CAROL);
	assert_int_equal(copy->as, SENT_OWN);
	assert_string_equal(first_line(copy->text), "REGISTER sip:" BOB " SIP/2.0");
	assert_string_equal(header(copy->text, "X-A", 0), "b");
	take_response(w, 200, "REGISTER");
	take_nothing(w);
	/* The client has not heard us: it is answered, and there is no second copy. */
	assert_int_equal(ask(w, reg), FATE_STATELESS);
	take_response(w, 200, "REGISTER");
	take_nothing(w);
	/* Nor has the other server: Timer E. */
	pass(w, T1 + LATE_MS);
	again = take_request(w, "REGISTER", CAROL);
	assert_string_equal(again->text, copy->text);
	assert_int_equal(answer(w, copy, "200 OK"), FATE_ABSORBED);
	take_nothing(w);
	world_rest(w);

	/* One that fails, and one that is never answered. */
	ask(w, reg);
	copy = take_request(w, "REGISTER", CAROL);
	take_response(w, 200, "REGISTER");
	assert_int_equal(answer(w, copy, "503 Service Unavailable"), FATE_ABSORBED);
	take_nothing(w);
	world_rest(w);
	ask(w, reg);
	take_all(w);
	pass(w, T64 + LATE_MS);
	for (unsigned i = 0; i < w->sents; i++)
		assert_true(w->sent[i]->status == 0 || w->sent[i]->status == 200);
	take_all(w);
	world_close(w);
}

static void an_invite_has_no_copy(void **state)
{
	struct world *w = world_new(SCRIPT(TWICE));

	ask(w, invite);
	take_response(w, 500, "INVITE");
	take_nothing(w);
	world_close(w);
}

/* ---- without a transaction ---- */

static void a_request_without_a_transaction_knows_none(void **state)
{
	struct world *w = world_new(SCRIPT(
		"request_route {\n	t_lookup_request();\n"
		"	if (t_grep_status(486) || t_local_replied(\"all\") || "
		"t_local_replied(\"last\") || "
		"t_is_expired() || t_flush_flags() || t_save_lumps() || t_retransmit_reply()) {\n"
		"		sl_send_reply(\"500\", \"It does\");\n		exit;\n	}\n"
		"	t_on_branch(\"b\");\n"
		"	if (t_is_set(\"branch_route\") && !t_is_set(\"onreply_route\"))\n"
		"		sl_send_reply(\"404\", \"$T_branch_idx $T_reply_code "
		"$T(reply_type)\");\n}\n"
		"branch_route[b] {\n	exit;\n}\n"));
	const struct sent *r;

	ask(w, (struct ask){.method = "OPTIONS"});
	r = find_response(w, 404, "OPTIONS");
	assert_non_null(r);
	assert_string_equal(first_line(r->text), "SIP/2.0 404 0 0 <null>");
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contacts_ring_in_the_order_of_their_q),
		cmocka_unit_test(a_contact_that_answers_ends_the_search),
		cmocka_unit_test(a_failure_route_knows_what_it_is_about),
		cmocka_unit_test(routes_know_their_branch),
		cmocka_unit_test(replies_are_dropped_as_the_route_says),
		cmocka_unit_test(what_comes_behind_t_save_lumps_is_for_one_relay),
		cmocka_unit_test(changes_in_failure_routes_do_not_add_up),
		cmocka_unit_test(flags_are_flushed_from_where_they_are_set),
		cmocka_unit_test(flags_are_flushed_from_a_failure_route),
		cmocka_unit_test(lines_for_our_reply_outlive_the_request_route),
		cmocka_unit_test(a_copy_goes_its_own_way),
		cmocka_unit_test(a_copy_goes_where_the_script_says),
		cmocka_unit_test(an_invite_has_no_copy),
		cmocka_unit_test(a_request_without_a_transaction_knows_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
