/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transactions of messages of all shapes: compact names, lists of Vias, Routes, IPv6, callers
 * behind a NAT (RFC 3581), and where what is written later (ACK, CANCEL, replies by a timer) goes
 * then.
 */
#include "harness.h"

/* A call that rings, is cancelled and ended; what is sent for it is held by the observer. */
static void ring_and_hang_up(struct world *w, const char *invite, const char *cancel_it,
	const char *src, uint16_t port, const char *phone)
{
	const struct sent *m, *c, *r;

	assert_int_equal(come_text(w, invite, src, port), FATE_SENT);
	r = take_response(w, 100, "INVITE");
	assert_true(goes_to(r, src, port));
	m = take_request(w, "INVITE", phone);
	pass(w, 500 + LATE_MS);
	assert_string_equal(take_request(w, "INVITE", phone)->text, m->text);
	answer(w, m, "180 Ringing");
	r = take_response(w, 180, "INVITE");
	assert_true(goes_to(r, src, port));
	assert_int_equal(come_text(w, invite, src, port), FATE_ABSORBED);
	assert_true(goes_to(take_response(w, 180, "INVITE"), src, port));
	assert_int_equal(come_text(w, cancel_it, src, port), FATE_SENT);
	assert_true(goes_to(take_response(w, 200, "CANCEL"), src, port));
	c = take_request(w, "CANCEL", phone);
	assert_int_equal(answer(w, c, "200 OK"), FATE_ABSORBED);
	refuse(w, m, "487 Request Terminated");
	r = take_response(w, 487, "INVITE");
	assert_true(goes_to(r, src, port));
	pass(w, 500 + LATE_MS);
	assert_true(goes_to(take_response(w, 487, "INVITE"), src, port));
	take_nothing(w);
}

static const char *with_method(const char *invite, const char *method)
{
	const char *text = replaced(invite, "INVITE", method);

	return replaced(text, "INVITE", method);
}

static void compact_names(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const char *invite =
		"INVITE sip:bob@" BOB " SIP/2.0\n"
		"v: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKc\n"
		"max-forwards :  9\nf : \"A\\\"l;ice\" <sip:alice@example.org>;tag=a1\n"
		"t:<sip:bob@example.org;x=y>\ni:compact\ncseq: 0007   INVITE\n"
		"m: <sip:alice@10.0.0.9>\nl: 0\n\n";

	ring_and_hang_up(w, invite, with_method(invite, "CANCEL"), CALLER, 5060, BOB);
	world_close(w);
}

static void folded_lines(void **state)
{
	/* The observer reads no folds. */
	struct world *w = world_new((struct world_config){.unobserved = true});
	const char *invite = "INVITE sip:bob@" BOB " SIP/2.0\n"
			     "Via: SIP/2.0/UDP 10.0.0.9:5060\n ;branch=z9hG4bKfold\n"
			     "Max-Forwards:\n 9\nSubject: a\n\tlong\n  one\n"
			     "From: <sip:alice@example.org>\n ;tag=a1\n"
			     "To: <sip:bob@example.org>\nCall-ID:\n folded\nCSeq: 7\n INVITE\n"
			     "Contact: <sip:alice@10.0.0.9>\nContent-Length: 0\n\n";
	const struct sent *m;

	come_text(w, invite, CALLER, 5060);
	assert_int_equal(w->fate, FATE_SENT);
	take_response(w, 100, "INVITE");
	m = take_request(w, "INVITE", BOB);
	come_text(w, printed("SIP/2.0 180 Ringing%s", strstr(m->text, "\r\n")), BOB, 5060);
	take_response(w, 180, "INVITE");
	come_text(w, with_method(invite, "CANCEL"), CALLER, 5060);
	take_response(w, 200, "CANCEL");
	take_request(w, "CANCEL", BOB);
	come_text(w, printed("SIP/2.0 487 Terminated%s", strstr(m->text, "\r\n")), BOB, 5060);
	take_request(w, "ACK", BOB);
	take_response(w, 487, "INVITE");
	come_text(w, with_method(invite, "ACK"), CALLER, 5060);
	assert_int_equal(w->fate, FATE_ABSORBED);
	take_nothing(w);
	world_close(w);
}

static void a_caller_behind_another_proxy(void **state)
{
	/* Its Via stands above the caller's, in one line, and names no port. */
	struct world *w = world_new((struct world_config){0});
	const char *invite = "INVITE sip:bob@" BOB " SIP/2.0\n"
			     "Via: SIP/2.0/UDP 10.0.0.20;branch=z9hG4bKabove , SIP/2.0/TCP "
			     "caller.example.org;branch=z9hG4bKbelow;received=192.0.2.1\n"
			     "Via: SIP/2.0/UDP far.example.org:5099\n"
			     "Max-Forwards: 9\nFrom: <sip:alice@example.org>;tag=a1\n"
			     "To: <sip:bob@example.org>\nCall-ID: above\nCSeq: 7 INVITE\n"
			     "Contact: <sip:alice@10.0.0.9>\nContent-Length: 0\n\n";

	ring_and_hang_up(w, invite, with_method(invite, "CANCEL"), "10.0.0.20", 5060, BOB);
	for (unsigned i = 0; i < w->sents; i++) {
		const struct sent *m = w->sent[i];

		/* Responses go back with all that came; ACK and CANCEL are between us two. */
		if (m->is_response)
			assert_non_null(
				strstr(m->text, "Via: SIP/2.0/UDP far.example.org:5099\r\n"));
		else if (strcmp(m->method, "INVITE") != 0)
			assert_null(strstr(m->text, "example.org:5099"));
	}
	world_close(w);
}

static void a_caller_behind_a_nat(void **state)
{
	/* RFC 3581 4: with rport, all goes back to where it came from; also what a timer sends. */
	struct world *w = world_new((struct world_config){0});
	const char *invite = replaced(
		ask_text((struct ask){.from = "192.168.1.5"}), ";branch=", ";rport;branch=");
	const char *cancel_it = replaced(
		cancel_text((struct ask){.from = "192.168.1.5"}), ";branch=", ";rport;branch=");

	ring_and_hang_up(w, invite, cancel_it, "198.51.100.7", 40001, BOB);
	for (unsigned i = 0; i < w->sents; i++) {
		if (w->sent[i]->is_response) {
			assert_non_null(strstr(w->sent[i]->text, ";received=198.51.100.7"));
			assert_non_null(strstr(w->sent[i]->text, ";rport=40001"));
		}
	}
	world_close(w);
}

static void a_caller_without_rport_is_answered_at_its_via_s_port(void **state)
{
	/* RFC 3261 18.2.2: received says the address, the Via the port. */
	struct world *w = world_new((struct world_config){0});
	const struct sent *m;

	come_text(w, ask_text((struct ask){.from = "192.168.1.5"}), "198.51.100.7", 40001);
	assert_true(goes_to(take_response(w, 100, "INVITE"), "198.51.100.7", 5060));
	m = take_request(w, "INVITE", BOB);
	answer(w, m, "486 Busy Here");
	assert_true(goes_to(take_response(w, 486, "INVITE"), "198.51.100.7", 5060));
	pass(w, 500 + LATE_MS);
	assert_true(goes_to(take_response(w, 486, "INVITE"), "198.51.100.7", 5060));
	world_close(w);
}

static void ipv6(void **state)
{
	struct world *w = world_new((struct world_config){.address = "2001:db8::1"});
	struct ask a = {.from = "[2001:db8::9]", .uri = "sip:bob@[2001:db8::b]:5062"};

	ring_and_hang_up(w, ask_text(a), cancel_text(a), "2001:db8::9", 5060, "2001:db8::b");
	a.call = "timeout";
	come_text(w, ask_text(a), "2001:db8::9", 5060);
	pass(w, T64 + LATE_MS);
	assert_true(goes_to(take_response(w, 408, "INVITE"), "2001:db8::9", 5060));
	world_close(w);
}

/* t_relay(host, port): the colons of an address in brackets are no port of its own. */
static void the_port_beside_an_ipv6_address_counts(void **state)
{
	static const struct {
		const char *call;
		uint16_t port;
	} cases[] = {
		{"t_relay(\"[2001:db8::b]\", \"5070\")", 5070},
		{"t_relay_to_udp(\"[2001:db8::b]\", 5070)", 5070},
		{"t_relay(\"[2001:db8::b]\")", 5060},
		{"t_relay_to(\"udp:[2001:db8::b]:5072\", \"0x01\")", 5072},
		{"t_relay_to(\"udp:[2001:db8::b]\", \"0x01\")", 5060},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = world_new((struct world_config){.address = "2001:db8::1",
			.script = printed(
				MODULES RFC_TIMERS "request_route {\n	%s;\n}\n", cases[i].call)});
		struct ask a = {.from = "[2001:db8::9]", .uri = "sip:bob@[2001:db8::d]:5062"};
		const struct sent *m;

		assert_int_equal(come_text(w, ask_text(a), "2001:db8::9", 5060), FATE_SENT);
		m = take_request(w, "INVITE", "2001:db8::b");
		assert_int_equal(m->to.port, cases[i].port);
		assert_int_equal(answer(w, m, "486 Busy Here"), FATE_SENT);
		take_all(w);
		world_close(w);
	}
}

static void a_route_is_followed_by_all_that_belongs_to_the_call(void **state)
{
	struct world *w = world_new((struct world_config){0});
	struct ask plain = {.more = "Route: <sip:" DAVE ":5071;lr>, <sip:far.example.org;lr>\n"
				    "Route: <sip:further.example.org;lr>\n"};
	const struct sent *m;

	ring_and_hang_up(w, ask_text(plain), cancel_text(plain), CALLER, 5060, DAVE);
	for (unsigned i = 0; i < w->sents; i++) {
		m = w->sent[i];
		if (m->is_response)
			continue;
		assert_true(goes_to(m, DAVE, 5071));
		assert_non_null(strstr(m->text, "<sip:further.example.org;lr>"));
	}
	world_close(w);
}

static void a_request_uri_of_parameters_and_a_port(void **state)
{
	struct world *w = world_new((struct world_config){0});
	struct ask a = {.uri = "sip:+49-30;phone-context=x@" BOB ":5099;user=phone;transport=udp"};

	ring_and_hang_up(w, ask_text(a), cancel_text(a), CALLER, 5060, BOB);
	for (unsigned i = 0; i < w->sents; i++) {
		if (!w->sent[i]->is_response)
			assert_true(goes_to(w->sent[i], BOB, 5099));
	}
	world_close(w);
}

static void record_routes_come_back_with_the_responses(void **state)
{
	struct world *w = world_new((struct world_config){.script = MODULES RFC_TIMERS
							  "request_route {\n	record_route();\n"
							  "	append_branch(\"sip:carol@" CAROL
							  "\");\n	t_relay();\n}\n"});
	const struct sent *bob, *carol, *r;

	ask(w, (struct ask){0});
	bob = take_request(w, "INVITE", BOB);
	carol = take_request(w, "INVITE", CAROL);
	assert_int_equal(headers(bob->text, "Record-Route"), 1);
	assert_int_equal(headers(carol->text, "Record-Route"), 1);
	assert_string_equal(
		header(bob->text, "Record-Route", 0), header(carol->text, "Record-Route", 0));
	answer(w, carol, "200 OK");
	r = take_response(w, 200, "INVITE");
	assert_string_equal(
		header(r->text, "Record-Route", 0), header(carol->text, "Record-Route", 0));
	world_close(w);
}

static void max_forwards(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const char *text = ask_text((struct ask){0});

	/* 1 becomes 0 and goes on; 0 is refused before there is a transaction; none becomes 70. */
	come_text(w, replaced(text, "Max-Forwards: 70", "Max-Forwards: 1"), CALLER, 5060);
	assert_string_equal(header(take_request(w, "INVITE", BOB)->text, "Max-Forwards", 0), "0");
	text = ask_text((struct ask){.call = "none"});
	come_text(w, replaced(text, "Max-Forwards: 70", "Max-Forwards: 0"), CALLER, 5060);
	take_response(w, 483, "INVITE");
	assert_int_equal(counted(w, TXN_COUNTER_CREATED), 1);
	text = ask_text((struct ask){.call = "absent"});
	come_text(w, replaced(text, "Max-Forwards: 70\n", ""), CALLER, 5060);
	assert_string_equal(header(take_request(w, "INVITE", BOB)->text, "Max-Forwards", 0), "70");
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compact_names),
		cmocka_unit_test(folded_lines),
		cmocka_unit_test(a_caller_behind_another_proxy),
		cmocka_unit_test(a_caller_behind_a_nat),
		cmocka_unit_test(a_caller_without_rport_is_answered_at_its_via_s_port),
		cmocka_unit_test(ipv6),
		cmocka_unit_test(the_port_beside_an_ipv6_address_counts),
		cmocka_unit_test(a_route_is_followed_by_all_that_belongs_to_the_call),
		cmocka_unit_test(a_request_uri_of_parameters_and_a_port),
		cmocka_unit_test(record_routes_come_back_with_the_responses),
		cmocka_unit_test(max_forwards),
	};

	cmocka_set_test_filter(getenv("TXN_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
