/* SPDX-License-Identifier: BSD-3-Clause */
/* Design section 4: what a response must prove, and where it goes. RFC 3261 16.7, 18.1.2, 18.2.2,
 * RFC 3581. */
#include "harness.h"

static void expect_drop(struct fixture *f, const char *response, enum proxy_reason reason)
{
	if (receive(f, response, "10.9.9.9", 5062, LEFT) != PROXY_DROP || f->reason != reason)
		fail_msg("verdict %d reason %d instead of %d, error %s:\n%s", f->verdict, f->reason,
			reason, sip_error_name(f->error), response);
}

static void a_response_goes_back_without_our_via(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *out;

	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(
		receive(f, response_to(f->out, "200 OK"), "10.9.9.9", 5062, LEFT), PROXY_GO);
	out = write_response(f);
	assert_non_null(out);
	assert_int_equal(lines(out, "Via"), 1);
	assert_string_equal(line(out, "Via"), "SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKabc123");
	assert_true(endpoint_is(&f->to.dst, "10.0.0.9", 5060));
	assert_int_equal(f->to.listener, LEFT);
	fixture_free(f);
}

static void a_second_write_into_a_larger_buffer_changes_nothing_twice(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char *request, small[16];

	request = strdup(pass(f, INVITE, "10.0.0.9", 5060, LEFT));
	assert_int_equal(receive(f, INVITE, "10.0.0.9", 5060, LEFT), PROXY_GO);
	call(f, "forward", "sip:10.9.9.9:5062", NULL);
	assert_int_equal(proxy_request_write(f->proxy, f->ctx, small, sizeof(small), &f->to), -513);
	assert_string_equal(write_request(f), request);
	assert_int_equal(
		receive(f, response_to(request, "200 OK"), "10.9.9.9", 5062, LEFT), PROXY_GO);
	assert_int_equal(proxy_response_write(f->proxy, f->ctx, small, sizeof(small), &f->to),
		-PROXY_REASON_TOO_LARGE);
	assert_int_equal(lines(write_response(f), "Via"), 1);
	free(request);
	fixture_free(f);
}

static void a_response_leaves_from_the_listener_that_received_the_request(void **state)
{
	struct fixture *f = fixture_new(NULL);

	pass(f, INVITE, "10.0.0.9", 5060, LEFT_ALT);
	assert_int_equal(
		receive(f, response_to(f->out, "200 OK"), "10.9.9.9", 5062, RIGHT), PROXY_GO);
	write_response(f);
	assert_int_equal(f->to.listener, LEFT_ALT);
	fixture_free(f);
}

static void the_listener_is_found_by_its_address_after_a_restart(void **state)
{
	struct fixture *f = fixture_new(NULL);
	struct proxy_listener swap;

	pass(f, INVITE, "10.0.0.9", 5060, LEFT_ALT);
	swap = f->listener[0];
	f->listener[0] = f->listener[2];
	f->listener[2] = swap;
	fixture_restart(f);
	assert_int_equal(receive(f, response_to(f->out, "200 OK"), "10.9.9.9", 5062, 0), PROXY_GO);
	write_response(f);
	assert_int_equal(f->to.listener, 0);
	assert_int_equal(f->listener[f->to.listener].ep.port, 5070);
	fixture_free(f);
}

static void a_response_whose_via_is_not_ours_is_dropped(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char *r;

	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	r = strdup(response_to(f->out, "200 OK"));
	expect_drop(f, replaced(r, "10.0.0.1:5060", "10.0.0.2:5060"), PROXY_REASON_VIA_NOT_OURS);
	expect_drop(f, replaced(r, "10.0.0.1:5060", "10.0.0.1:5071"), PROXY_REASON_VIA_NOT_OURS);
	expect_drop(f, replaced(r, "UDP 10.0.0.1", "TCP 10.0.0.1"), PROXY_REASON_VIA_NOT_OURS);
	free(r);
	fixture_free(f);
}

static void a_response_without_a_via_below_ours_is_dropped(void **state)
{
	struct fixture *f = fixture_new(NULL);

	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	expect_drop(f,
		replaced(response_to(f->out, "200 OK"),
			"Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKabc123", "X: y"),
		PROXY_REASON_VIA_NONE_BELOW);
	fixture_free(f);
}

static void a_response_without_a_token_is_dropped(void **state)
{
	struct fixture *f = fixture_new(NULL);

	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	expect_drop(
		f, replaced(response_to(f->out, "200 OK"), ";sp=", ";xx="), PROXY_REASON_VIA_MAC);
	fixture_free(f);
}

static void each_altered_character_of_the_token_and_the_branch_is_noticed(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char *r, *token, *branch;

	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	r = strdup(response_to(f->out, "200 OK"));
	token = strstr(r, ";sp=") + 4;
	branch = strstr(r, "z9hG4bK") + 7;
	for (unsigned i = 0; i < 26 + 16; i++) {
		char *p = i < 26 ? token + i : branch + i - 26, was = *p;

		*p = was == 'q' ? 'p' : 'q';
		expect_drop(f, r, PROXY_REASON_VIA_MAC);
		*p = was;
	}
	assert_int_equal(receive(f, r, "10.9.9.9", 5062, LEFT), PROXY_GO);
	free(r);
	fixture_free(f);
}

static void what_the_token_binds_cannot_be_altered(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char *r;
	static const char *const changes[][2] = {
		{"call-1@", "call-2@"},
		{"CSeq: 7 INVITE", "CSeq: 8 INVITE"},
		{"CSeq: 7 INVITE", "CSeq: 7 BYE"},
		{"10.0.0.33:6000;received", "10.0.0.34:6000;received"},
		{"10.0.0.33:6000;received", "10.0.0.33:6001;received"},
		{"z9hG4bKabc123", "z9hG4bKabc124"},
		{";received=10.0.0.9", ";received=10.66.6.6"},
		{";received=10.0.0.9", ""},
		{";rport=1234", ";rport=53"},
		{";rport=1234", ""},
		{";received=10.0.0.9", ";received=10.0.0.9;maddr=10.66.6.6"},
	};

	pass(f, replaced(INVITE, "10.0.0.9:5060;branch", "10.0.0.33:6000;rport;branch"), "10.0.0.9",
		1234, LEFT);
	r = strdup(response_to(f->out, "200 OK"));
	assert_int_equal(receive(f, r, "10.9.9.9", 5062, LEFT), PROXY_GO);
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		expect_drop(f, replaced(r, changes[i][0], changes[i][1]), PROXY_REASON_VIA_MAC);
	free(r);
	fixture_free(f);
}

static void a_token_of_another_call_is_worth_nothing(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char via[256], *r;

	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	snprintf(via, sizeof(via), "%s", line(f->out, "Via"));
	pass(f, replaced(INVITE, "call-1", "call-other"), "10.0.0.9", 5060, LEFT);
	r = strdup(response_to(f->out, "200 OK"));
	expect_drop(f, replaced(r, line(f->out, "Via"), via), PROXY_REASON_VIA_MAC);
	free(r);
	fixture_free(f);
}

static void a_respaced_reordered_or_upper_case_via_still_verifies(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char *r, branch[64], token[64], via[512], below[512];
	static const char *const forms[] = {
		"SIP / 2.0 / UDP   10.0.0.1 : 5060 ; sp = %2$s ; branch = %1$s",
		"sip/2.0/udp 10.0.0.1:5060;x=y;sp=%2$s;received=10.9.1.1;rport=77;branch=%1$s",
		"SIP/2.0/UDP 10.0.0.1:5060\r\n ;branch=%1$s\r\n\t;sp=%2$s",
	};

	pass(f, replaced(INVITE, "10.0.0.9:5060;branch", "Client.example.org;rport;branch"),
		"10.0.0.9", 1234, LEFT);
	r = strdup(response_to(f->out, "200 OK"));
	for (unsigned upper = 0; upper < 2; upper++) {
		for (unsigned i = 0; i < 3; i++) {
			snprintf(branch, sizeof(branch), "%s", branch_of(f->out));
			snprintf(token, sizeof(token), "%s",
				strstr(line(f->out, "Via"), ";sp=") + 4);
			for (char *p = branch; upper && *p != 0; p++)
				*p = *p >= 'a' && *p <= 'z' ? *p - 32 : *p;
			for (char *p = token; upper && *p != 0; p++)
				*p = *p >= 'a' && *p <= 'z' ? *p - 32 : *p;
			snprintf(via, sizeof(via), forms[i], branch, token);
			snprintf(below, sizeof(below), "%s", line_at(f->out, "Via", 1));
			if (receive(f,
				    replaced(replaced(r, line(f->out, "Via"), via), below,
					    upper ? "SIP/2.0/UDP CLIENT.EXAMPLE.ORG ; "
						    "branch=Z9hG4bKABC123 ; "
						    "RPORT=1234;Received=10.0.0.9"
						  : below),
				    "10.9.9.9", 5062, LEFT) != PROXY_GO)
				fail_msg("form %u upper %u: reason %d error %s", i, upper,
					f->reason, sip_error_name(f->error));
			assert_true(endpoint_is(&f->ctx->result.target.ep, "10.0.0.9", 1234));
		}
	}
	free(r);
	fixture_free(f);
}

static void both_vias_on_one_line_are_taken_apart(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char joined[600], two[600];

	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	snprintf(two, sizeof(two), "Via: %s\r\nVia: %s", line(f->out, "Via"),
		line_at(f->out, "Via", 1));
	snprintf(joined, sizeof(joined), "v: %s , %s", line(f->out, "Via"),
		line_at(f->out, "Via", 1));
	assert_int_equal(receive(f, replaced(response_to(f->out, "200 OK"), two, joined),
				 "10.9.9.9", 5062, LEFT),
		PROXY_GO);
	assert_non_null(
		strstr(write_response(f), "v: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKabc123\r\n"));
	fixture_free(f);
}

static const struct {
	const char *sent_by, *src;
	uint16_t src_port;
	const char *to;
	uint16_t to_port;
	const char *via; /* the client's Via as it leaves */
} cases[] = {
	/* 18.2.2: no received: the host and its port; 5060 by default */
	{"10.0.0.9:5099", "10.0.0.9", 40000, "10.0.0.9", 5099,
		"10.0.0.9:5099;branch=z9hG4bKabc123"},
	{"10.0.0.9", "10.0.0.9", 40000, "10.0.0.9", 5060, "10.0.0.9;branch=z9hG4bKabc123"},
	/* 18.2.1: another source: received, and the port of sent-by */
	{"10.0.0.8:5099", "10.0.0.9", 40000, "10.0.0.9", 5099,
		"10.0.0.8:5099;received=10.0.0.9;branch=z9hG4bKabc123"},
	{"client.example.org", "10.0.0.9", 40000, "10.0.0.9", 5060,
		"client.example.org;received=10.0.0.9;branch=z9hG4bKabc123"},
	/* RFC 3581: rport gets the port, and received even where it is the host */
	{"10.0.0.9:5099;rport", "10.0.0.9", 40000, "10.0.0.9", 40000,
		"10.0.0.9:5099;received=10.0.0.9;rport=40000;branch=z9hG4bKabc123"},
	{"192.168.1.2:5099;rport", "10.0.0.9", 40000, "10.0.0.9", 40000,
		"192.168.1.2:5099;received=10.0.0.9;rport=40000;branch=z9hG4bKabc123"},
	/* what an attacker wrote there is overwritten */
	{"10.0.0.9:5099;received=10.66.6.6", "10.0.0.9", 40000, "10.0.0.9", 5099,
		"10.0.0.9:5099;received=10.0.0.9;branch=z9hG4bKabc123"},
	{"10.0.0.8:5099;received=10.66.6.6", "10.0.0.9", 40000, "10.0.0.9", 5099,
		"10.0.0.8:5099;received=10.0.0.9;branch=z9hG4bKabc123"},
	{"10.0.0.9:5099;rport=53;received=10.66.6.6", "10.0.0.9", 40000, "10.0.0.9", 40000,
		"10.0.0.9:5099;rport=40000;received=10.0.0.9;branch=z9hG4bKabc123"},
	{"10.0.0.9:5099;received=10.66.6.6;rport=53", "10.0.0.9", 40000, "10.0.0.9", 40000,
		"10.0.0.9:5099;received=10.0.0.9;rport=40000;branch=z9hG4bKabc123"},
	/* 18.2.2: maddr goes first */
	{"10.0.0.9:5099;maddr=10.0.0.44", "10.0.0.9", 40000, "10.0.0.44", 5099,
		"10.0.0.9:5099;maddr=10.0.0.44;branch=z9hG4bKabc123"},
};

static void a_response_follows_received_rport_and_maddr(void **state)
{
	struct fixture *f = fixture_new(NULL);

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[256];

		pass(f, replaced(INVITE, "10.0.0.9:5060", cases[i].sent_by), cases[i].src,
			cases[i].src_port, LEFT);
		snprintf(want, sizeof(want), "SIP/2.0/UDP %s", cases[i].via);
		assert_string_equal(line_at(f->out, "Via", 1), want);
		assert_int_equal(receive(f, response_to(f->out, "200 OK"), "10.9.9.9", 5062, LEFT),
			PROXY_GO);
		assert_non_null(write_response(f));
		if (!endpoint_is(&f->to.dst, cases[i].to, cases[i].to_port))
			fail_msg("case %u goes elsewhere", i);
	}
	fixture_free(f);
}

static void an_ipv6_client_is_answered_at_its_address(void **state)
{
	struct fixture *f = fixture_new(NULL);

	receive(f, replaced(INVITE, "10.0.0.9:5060", "[2001:DB8:0::9]:5099"), "2001:db8::9", 40000,
		SIX);
	call(f, "forward", "sip:[2001:db8::7]", NULL);
	assert_non_null(write_request(f));
	assert_string_equal(
		line_at(f->out, "Via", 1), "SIP/2.0/UDP [2001:DB8:0::9]:5099;branch=z9hG4bKabc123");
	assert_true(endpoint_is(&f->to.dst, "2001:db8::7", 5060));
	assert_int_equal(f->to.listener, SIX);
	assert_int_equal(
		receive(f, response_to(f->out, "200 OK"), "2001:db8::7", 5060, SIX), PROXY_GO);
	write_response(f);
	assert_true(endpoint_is(&f->to.dst, "2001:db8::9", 5099));

	receive(f, replaced(INVITE, "10.0.0.9:5060", "[2001:db8::8]:5099;rport"), "2001:db8::9",
		40000, SIX);
	call(f, "forward", "sip:[2001:db8::7]", NULL);
	assert_non_null(write_request(f));
	assert_string_equal(line_at(f->out, "Via", 1),
		"SIP/2.0/UDP "
		"[2001:db8::8]:5099;received=2001:db8::9;rport=40000;branch=z9hG4bKabc123");
	fixture_free(f);
}

static void no_response_goes_to_multicast_loopback_or_nowhere(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const maddr[] = {
		"224.0.1.75", "255.255.255.255", "127.0.0.1", "0.0.0.0", "250.1.2.3"};
	char via[128];

	for (unsigned i = 0; i < sizeof(maddr) / sizeof(maddr[0]); i++) {
		snprintf(via, sizeof(via), "10.0.0.9:5060;maddr=%s", maddr[i]);
		pass(f, replaced(INVITE, "10.0.0.9:5060", via), "10.0.0.9", 5060, LEFT);
		expect_drop(f, response_to(f->out, "200 OK"), PROXY_REASON_RESPONSE_TARGET);
	}
	fixture_free(f);
}

static void loopback_is_served_by_a_loopback_listener(void **state)
{
	struct fixture *f = fixture_new(NULL);

	f->listener[LEFT].ep = endpoint("127.0.0.1", 5060);
	fixture_configure(f);
	receive(f, replaced(INVITE, "10.0.0.9:5060", "127.0.0.1:6060"), "127.0.0.1", 6060, LEFT);
	assert_int_equal(call(f, "forward", "sip:127.0.0.1:7070", NULL), ROUTE_TRUE);
	assert_non_null(write_request(f));
	assert_int_equal(
		receive(f, response_to(f->out, "200 OK"), "127.0.0.1", 7070, LEFT), PROXY_GO);
	write_response(f);
	assert_true(endpoint_is(&f->to.dst, "127.0.0.1", 6060));
	fixture_free(f);
}

static void a_malformed_response_is_dropped_under_the_name_of_its_error(void **state)
{
	struct fixture *f = fixture_new(NULL);

	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	expect_drop(f, replaced(response_to(f->out, "200 OK"), "CSeq: 7 INVITE", "CSeq: x"),
		PROXY_REASON_NONE);
	assert_int_equal(f->error, SIP_ERROR_CSEQ);
	fixture_free(f);
}

static void a_response_is_taken_on_any_node_of_the_group(void **state)
{
	struct fixture *f = fixture_new(NULL), *g = fixture_new(NULL);
	struct keys *copy = malloc(sizeof(*copy));
	struct proxy_branch branch;

	/* the same keys, another node number, listeners in another order */
	*copy = *proxy_keys(f->proxy);
	free(atomic_exchange(&g->proxy->keys, copy));
	g->config.node = 77;
	g->listener[0] = f->listener[1];
	g->listener[1] = f->listener[0];
	fixture_restart(g);
	pass(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(receive(g, response_to(f->out, "200 OK"), "10.9.9.9", 5062, 0), PROXY_GO);
	write_response(g);
	assert_int_equal(g->to.listener, 1);
	assert_false(proxy_response_branch(g->ctx, &branch));
	fixture_free(f);
	fixture_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_response_goes_back_without_our_via),
		cmocka_unit_test(a_second_write_into_a_larger_buffer_changes_nothing_twice),
		cmocka_unit_test(a_response_leaves_from_the_listener_that_received_the_request),
		cmocka_unit_test(the_listener_is_found_by_its_address_after_a_restart),
		cmocka_unit_test(a_response_whose_via_is_not_ours_is_dropped),
		cmocka_unit_test(a_response_without_a_via_below_ours_is_dropped),
		cmocka_unit_test(a_response_without_a_token_is_dropped),
		cmocka_unit_test(each_altered_character_of_the_token_and_the_branch_is_noticed),
		cmocka_unit_test(what_the_token_binds_cannot_be_altered),
		cmocka_unit_test(a_token_of_another_call_is_worth_nothing),
		cmocka_unit_test(a_respaced_reordered_or_upper_case_via_still_verifies),
		cmocka_unit_test(both_vias_on_one_line_are_taken_apart),
		cmocka_unit_test(a_response_follows_received_rport_and_maddr),
		cmocka_unit_test(an_ipv6_client_is_answered_at_its_address),
		cmocka_unit_test(no_response_goes_to_multicast_loopback_or_nowhere),
		cmocka_unit_test(loopback_is_served_by_a_loopback_listener),
		cmocka_unit_test(a_malformed_response_is_dropped_under_the_name_of_its_error),
		cmocka_unit_test(a_response_is_taken_on_any_node_of_the_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
