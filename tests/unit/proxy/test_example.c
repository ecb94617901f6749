/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 3261 16.12.1's worked examples, RFC 3581 6's, and the captured messages of the seed, where
 * they are there. */
#include "harness.h"

#define PROXIES 4

/* p1 to p4 of the examples, each with keys of its own, at 10.10.n.1. */
static struct fixture *proxies[PROXIES];

static int start(void **state)
{
	for (unsigned i = 0; i < PROXIES; i++) {
		char addr[32];

		proxies[i] = fixture_new(NULL);
		snprintf(addr, sizeof(addr), "10.10.%u.1", i + 1);
		proxies[i]->listener[0] = (struct proxy_listener){
			.ep = endpoint(addr, 5060), .transport = SIP_TRANSPORT_UDP};
		proxies[i]->config.listeners = 1;
		fixture_configure(proxies[i]);
	}
	return 0;
}

static int stop(void **state)
{
	for (unsigned i = 0; i < PROXIES; i++)
		fixture_free(proxies[i]);
	return 0;
}

/* The pass of proxy n (from 1), with Record-Route. */
static const char *record(unsigned n, const char *text)
{
	struct fixture *f = proxies[n - 1];

	assert_int_equal(receive(f, text, "10.20.0.1", 5060, 0), PROXY_GO);
	assert_int_equal(call(f, "record_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "forward", "10.20.0.2", NULL), ROUTE_TRUE);
	return write_request(f);
}

/* The pass of an in-dialog request, to `hop`. */
static const char *in_dialog(unsigned n, const char *text, const char *hop)
{
	struct fixture *f = proxies[n - 1];

	assert_int_equal(receive(f, text, "10.20.0.1", 5060, 0), PROXY_GO);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_non_null(write_request(f));
	assert_true(endpoint_is(&f->to.dst, hop, 5060));
	return f->out;
}

#define EXAMPLE_INVITE \
	"INVITE sip:callee@10.30.0.2 SIP/2.0\n" \
	"Via: SIP/2.0/UDP 10.20.0.1;branch=z9hG4bKu1\n" \
	"Max-Forwards: 70\n" \
	"Contact: sip:caller@10.30.0.1\n" \
	"From: <sip:caller@example.com>;tag=u1\n" \
	"To: <sip:callee@domain.com>\n" \
	"Call-ID: trapezoid\n" \
	"CSeq: 1 INVITE\n" \
	"\n"

/* A BYE of the caller (up: of the callee) with a Request-URI and Route lines. */
static const char *bye(bool up, const char *uri, const char *routes)
{
	static char out[4096];

	snprintf(out, sizeof(out),
		"BYE %s SIP/2.0\nVia: SIP/2.0/UDP 10.20.0.1;branch=z9hG4bKbye\n%sMax-Forwards: 70\n"
		"From: <sip:x@example.com>;tag=%s\nTo: <sip:y@domain.com>;tag=%s\nCall-ID: "
		"trapezoid\nCSeq: 2 BYE\n\n",
		uri, routes, up ? "u2" : "u1", up ? "u1" : "u2");
	return out;
}

static void the_basic_trapezoid_16_12_1_1(void **state)
{
	char p1[256], p2[256], routes[1024], *invite;

	invite = strdup(record(1, EXAMPLE_INVITE));
	snprintf(p1, sizeof(p1), "%s", line(invite, "Record-Route"));
	record(2, invite);
	snprintf(p2, sizeof(p2), "%s", line(proxies[1]->out, "Record-Route"));
	assert_string_equal(line_at(proxies[1]->out, "Record-Route", 1), p1);
	free(invite);

	snprintf(routes, sizeof(routes), "Route: %s,%s\n", p1, p2);
	in_dialog(1, bye(false, "sip:callee@10.30.0.2", routes), "10.10.2.1");
	assert_string_equal(first_line(proxies[0]->out), "BYE sip:callee@10.30.0.2 SIP/2.0");
	assert_string_equal(line(proxies[0]->out, "Route"), p2);
	in_dialog(2, proxies[0]->out, "10.30.0.2");
	assert_string_equal(first_line(proxies[1]->out), "BYE sip:callee@10.30.0.2 SIP/2.0");
	assert_null(line(proxies[1]->out, "Route"));
}

static void traversing_a_strict_router_16_12_1_2(void **state)
{
	char p[PROXIES][256], routes[2048], uri[256], *text = strdup(EXAMPLE_INVITE);

	for (unsigned n = 1; n <= PROXIES; n++) {
		char *next;

		/* the third one is a strict router of somebody else's: its Record-Route has no lr
		 */
		if (n == 3) {
			snprintf(p[2], sizeof(p[2]), "<sip:10.10.3.1>");
			continue;
		}
		next = strdup(record(n, text));
		snprintf(p[n - 1], sizeof(p[0]), "%s", line(next, "Record-Route"));
		free(text);
		text = next;
	}
	free(text);
	snprintf(routes, sizeof(routes), "Route: %s\nRoute: %s\nRoute: %s\nRoute: %s\n", p[3], p[2],
		p[1], p[0]);
	in_dialog(4, bye(true, "sip:caller@10.30.0.1", routes), "10.10.3.1");
	assert_string_equal(first_line(proxies[3]->out), "BYE sip:10.10.3.1 SIP/2.0");
	assert_int_equal(lines(proxies[3]->out, "Route"), 3);
	assert_string_equal(line_at(proxies[3]->out, "Route", 0), p[1]);
	assert_string_equal(line_at(proxies[3]->out, "Route", 1), p[0]);
	assert_string_equal(line_at(proxies[3]->out, "Route", 2), "<sip:caller@10.30.0.1>");
	/* what the strict router makes of it */
	snprintf(uri, sizeof(uri), "%.*s", (int)strlen(p[1]) - 2, p[1] + 1);
	snprintf(routes, sizeof(routes), "Route: %s\nRoute: <sip:caller@10.30.0.1>\n", p[0]);
	in_dialog(2, bye(true, uri, routes), "10.10.1.1");
	assert_string_equal(first_line(proxies[1]->out), "BYE sip:caller@10.30.0.1 SIP/2.0");
	assert_int_equal(lines(proxies[1]->out, "Route"), 1);
	assert_string_equal(line(proxies[1]->out, "Route"), p[0]);
	in_dialog(1, proxies[1]->out, "10.30.0.1");
	assert_string_equal(first_line(proxies[0]->out), "BYE sip:caller@10.30.0.1 SIP/2.0");
	assert_null(line(proxies[0]->out, "Route"));
}

static void between_two_name_spaces_16_12_1_3(void **state)
{
	/* Two values instead of a rewritten response: each side finds the address that it can
	 * reach. */
	struct fixture *f = fixture_new(NULL);
	char right[256], left[256], routes[1024];

	receive(f, EXAMPLE_INVITE, "10.20.0.1", 5060, LEFT);
	f->ctx->socket = RIGHT;
	call(f, "record_route", NULL);
	call(f, "forward", NULL);
	write_request(f);
	snprintf(right, sizeof(right), "%s", line(f->out, "Record-Route"));
	snprintf(left, sizeof(left), "%s", line_at(f->out, "Record-Route", 1));
	snprintf(routes, sizeof(routes), "Route: %s\nRoute: %s\n", left, right);
	receive(f, bye(false, "sip:callee@10.30.0.2", routes), "10.20.0.1", 5060, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	call(f, "forward", NULL);
	write_request(f);
	assert_int_equal(f->to.listener, RIGHT);
	assert_null(line(f->out, "Route"));
	assert_string_equal(first_line(f->out), "BYE sip:callee@10.30.0.2 SIP/2.0");
	fixture_free(f);
}

static void the_example_of_rfc_3581_6(void **state)
{
	struct fixture *f = fixture_new(NULL);

	f->listener[0].ep = endpoint("192.0.2.2", 5060);
	f->listener[1].ep = endpoint("192.0.2.2", 5070);
	f->config.listeners = 2;
	fixture_restart(f);
	receive(f,
		replaced(INVITE, "10.0.0.9:5060;branch=z9hG4bKabc123",
			"10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff"),
		"192.0.2.1", 9988, 0);
	call(f, "forward", "192.0.2.99", NULL);
	assert_string_equal(line_at(write_request(f), "Via", 1),
		"SIP/2.0/UDP 10.1.1.1:4540;received=192.0.2.1;rport=9988;branch=z9hG4bKkjshdyff");
	assert_int_equal(
		receive(f, response_to(f->out, "200 OK"), "192.0.2.99", 5060, 1), PROXY_GO);
	write_response(f);
	assert_string_equal(line(f->out, "Via"),
		"SIP/2.0/UDP 10.1.1.1:4540;received=192.0.2.1;rport=9988;branch=z9hG4bKkjshdyff");
	assert_true(endpoint_is(&f->to.dst, "192.0.2.1", 9988));
	assert_int_equal(f->to.listener, 0);
	fixture_free(f);
}

/* A message of the seed, NULL where it is not there. */
static char *seed(const char *name)
{
	const char *shared = getenv("SIPLANE_SHARED");
	char path[512], *text = calloc(1, 8192);
	FILE *file;

	snprintf(path, sizeof(path), "%s/seed/messages/%s",
		shared != NULL ? shared : SOURCE_ROOT "/../shared", name);
	file = fopen(path, "r");
	if (file == NULL || text == NULL) {
		free(text);
		return NULL;
	}
	assert_true(fread(text, 1, 8191, file) > 0);
	fclose(file);
	return text;
}

static const char *without_via(const char *text)
{
	static char ring[2][8192];
	static unsigned at;
	char *out = ring[at++ % 2];
	const char *begin = strstr(text, "Via:"), *end = begin;

	assert_non_null(begin);
	do
		end = strchr(end, '\n') + 1;
	while (*end == ' ' || strncmp(end, "Via:", 4) == 0);
	snprintf(out, sizeof(ring[0]), "%.*s%s", (int)(begin - text), text, end);
	return out;
}

/* CR is not compared: the seed's files have none. */
static void expect_same(const char *got, const char *want)
{
	static char plain[2][8192];
	const char *const from[] = {got, want};

	for (unsigned i = 0; i < 2; i++) {
		char *to = plain[i];

		for (const char *p = from[i]; *p != 0; p++) {
			if (*p != '\r')
				*to++ = *p;
		}
		*to = 0;
	}
	assert_string_equal(plain[0], plain[1]);
}

static void the_captured_call_reproduces(void **state)
{
	static const char *const answers[] = {"02-ringing.sip", "03-ok.sip"};
	struct fixture *f = fixture_new(NULL);
	char *invite = seed("01-invite.sip"), *sent;
	struct sip_via via;
	char *text;

	if (invite == NULL) {
		fixture_free(f);
		print_message("the seed's messages are not here\n");
		skip();
	}
	assert_int_equal(receive(f, invite, "192.0.2.101", 5060, LEFT), PROXY_GO);
	assert_int_equal(call(f, "forward", "192.0.2.201", NULL), ROUTE_TRUE);
	sent = strdup(write_request(f));
	expect_same(without_via(sent),
		replaced(without_via(invite), "Max-Forwards: 70", "Max-Forwards: 69"));
	for (unsigned i = 0; i < 2; i++) {
		char vias[1024];

		text = seed(answers[i]);
		assert_non_null(text);
		snprintf(vias, sizeof(vias), "Via: %s\nVia: %s\nFrom:", line(sent, "Via"),
			line_at(sent, "Via", 1));
		assert_int_equal(receive(f, replaced(without_via(text), "From:", vias),
					 "192.0.2.201", 5060, LEFT),
			PROXY_GO);
		write_response(f);
		expect_same(without_via(f->out), without_via(text));
		/* the Via says what the capture's says */
		assert_int_equal(
			sip_via_parse(line(f->out, "Via"),
				(struct sip_span){0, (uint32_t)strlen(line(f->out, "Via"))}, &via),
			0);
		assert_non_null(strstr(line(f->out, "Via"), "client.atlanta.example.com:5060"));
		assert_non_null(strstr(line(f->out, "Via"), ";branch=z9hG4bK74bf9"));
		assert_non_null(strstr(line(f->out, "Via"), ";received=192.0.2.101"));
		assert_true(endpoint_is(&f->to.dst, "192.0.2.101", 5060));
		free(text);
	}
	free(invite);
	free(sent);
	fixture_free(f);
}

static void the_captured_bye_with_a_route_reproduces(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char *text = seed("07-bye-routed.sip"), *route;

	if (text == NULL) {
		fixture_free(f);
		print_message("the seed's messages are not here\n");
		skip();
	}
	/* Its Record-Route was another proxy's of that address: a take-over, where the token is not
	 * required. */
	f->listener[0].ep = endpoint("192.168.1.104", 5060);
	f->config.require_token = false;
	fixture_configure(f);
	receive(f, text, "192.168.1.119", 14060, 0);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "is_direction", "downstream", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_non_null(write_request(f));
	assert_true(endpoint_is(&f->to.dst, "192.168.1.120", 23834));
	assert_string_equal(line_at(f->out, "Via", 1),
		"SIP/2.0/UDP "
		"192.168.1.119:14060;received=192.168.1.119;branch=z9hG4bK-d87543-c32b1e47453b7c41-"
		"1--d87543-;rport=14060");
	route = strstr(text, "Route:");
	memmove(route, strchr(route, '\n') + 1, strlen(strchr(route, '\n') + 1) + 1);
	expect_same(without_via(f->out),
		replaced(without_via(text), "Max-Forwards: 70", "Max-Forwards: 69"));
	/* and with it, as by default, it is as any initial request */
	f->config.require_token = true;
	fixture_configure(f);
	free(text);
	text = seed("07-bye-routed.sip");
	receive(f, text, "192.168.1.119", 14060, 0);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_FALSE);
	free(text);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_basic_trapezoid_16_12_1_1, start, stop),
		cmocka_unit_test_setup_teardown(traversing_a_strict_router_16_12_1_2, start, stop),
		cmocka_unit_test(between_two_name_spaces_16_12_1_3),
		cmocka_unit_test(the_example_of_rfc_3581_6),
		cmocka_unit_test(the_captured_call_reproduces),
		cmocka_unit_test(the_captured_bye_with_a_route_reproduces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
