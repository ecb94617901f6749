/* SPDX-License-Identifier: BSD-3-Clause */
/* Design section 4: Record-Route tokens, double Record-Route, loose and strict routing. RFC
 * 3261 16.4, 16.6, 16.12. */
#include "harness.h"

/* An INVITE passed with Record-Route; returns its value lines joined by commas as the callee's
 * route set. */
static void set_up(struct fixture *f, unsigned in, unsigned out, char *top, char *second)
{
	assert_int_equal(
		receive(f, INVITE, in == SIX ? "2001:db8::9" : "10.0.0.9", 5060, in), PROXY_GO);
	f->ctx->socket = (int16_t)out;
	assert_int_equal(call(f, "record_route", NULL), ROUTE_TRUE);
	assert_int_equal(
		call(f, "forward", out == SIX ? "sip:[2001:db8::7]" : "sip:10.9.9.9:5062", NULL),
		ROUTE_TRUE);
	assert_non_null(write_request(f));
	snprintf(top, 256, "%s", line(f->out, "Record-Route"));
	if (second != NULL)
		snprintf(second, 256, "%s", line_at(f->out, "Record-Route", 1));
	else
		assert_int_equal(lines(f->out, "Record-Route"), 1);
}

#define BYE_DOWN \
	"BYE sip:bob@10.9.9.9:5062 SIP/2.0\n" \
	"Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKbye1\n" \
	"%s" \
	"Max-Forwards: 20\n" \
	"From: Alice <sip:alice@example.org>;tag=a1\n" \
	"To: Bob <sip:bob@example.com>;tag=b1\n" \
	"Call-ID: call-1@10.0.0.9\n" \
	"CSeq: 8 BYE\n" \
	"Content-Length: 0\n" \
	"\n"

#define BYE_UP \
	"BYE sip:alice@10.0.0.9 SIP/2.0\n" \
	"Via: SIP/2.0/UDP 10.9.9.9:5062;branch=z9hG4bKbye2\n" \
	"%s" \
	"Max-Forwards: 20\n" \
	"From: Bob <sip:bob@example.com>;tag=b1\n" \
	"To: Alice <sip:alice@example.org>;tag=a1\n" \
	"Call-ID: call-1@10.0.0.9\n" \
	"CSeq: 1 BYE\n" \
	"Content-Length: 0\n" \
	"\n"

static const char *bye(const char *form, const char *routes)
{
	static char out[4096];

	snprintf(out, sizeof(out), form, routes);
	return out;
}

static const char *routes(const char *a, const char *b)
{
	static char out[2048];

	snprintf(out, sizeof(out), b != NULL ? "Route: %s\nRoute: %s\n" : "Route: %s\n", a, b);
	return out;
}

static void one_listener_writes_one_record_route(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256];

	set_up(f, LEFT, LEFT, top, NULL);
	assert_int_equal(strncmp(top, "<sip:10.0.0.1:5060;lr;sp=", 25), 0);
	assert_string_equal(top + 25 + 13, ";ftag=a1>");
	assert_int_equal(strspn(top + 25, "abcdefghijklmnopqrstuvwxyz234567"), 13);
	fixture_free(f);
}

static void our_record_route_stands_above_the_others(void **state)
{
	struct fixture *f = fixture_new(NULL);

	receive(f, replaced(INVITE, "Contact:", "Record-Route: <sip:10.5.5.5;lr>\nContact:"),
		"10.0.0.9", 5060, LEFT);
	call(f, "record_route", NULL);
	call(f, "forward", "sip:10.9.9.9:5062", NULL);
	write_request(f);
	assert_non_null(strstr(line(f->out, "Record-Route"), "10.0.0.1"));
	assert_string_equal(line_at(f->out, "Record-Route", 1), "<sip:10.5.5.5;lr>");
	fixture_free(f);
}

static void a_retransmission_gets_the_same_record_route(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char a[256], b[256];

	set_up(f, LEFT, LEFT, a, NULL);
	set_up(f, LEFT, LEFT, b, NULL);
	assert_string_equal(a, b);
	fixture_free(f);
}

static void another_address_or_port_doubles_the_record_route(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256], second[256];

	set_up(f, LEFT, RIGHT, top, second);
	assert_int_equal(strncmp(top, "<sip:10.1.0.1:5060;lr;", 22), 0);
	assert_non_null(strstr(top, ";r2=on>"));
	assert_int_equal(strncmp(second, "<sip:10.0.0.1:5060;lr;", 22), 0);
	assert_non_null(strstr(second, ";r2=on>"));
	set_up(f, LEFT, LEFT_ALT, top, second);
	assert_int_equal(strncmp(top, "<sip:10.0.0.1:5070;lr;", 22), 0);
	set_up(f, LEFT, SIX, top, second);
	assert_int_equal(strncmp(top, "<sip:[2001:db8::1]:5060;lr;", 27), 0);
	fixture_free(f);
}

static void loose_route_takes_our_route_out_in_both_directions(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256];

	set_up(f, LEFT, LEFT, top, NULL);
	assert_int_equal(
		receive(f, bye(BYE_DOWN, routes(top, NULL)), "10.0.0.9", 5060, LEFT), PROXY_GO);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "is_direction", "downstream", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "is_direction", "upstream", NULL), ROUTE_FALSE);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_int_equal(lines(write_request(f), "Route"), 0);
	assert_true(endpoint_is(&f->to.dst, "10.9.9.9", 5062));

	assert_int_equal(
		receive(f, bye(BYE_UP, routes(top, NULL)), "10.9.9.9", 5062, LEFT), PROXY_GO);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "is_direction", "upstream", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_int_equal(lines(write_request(f), "Route"), 0);
	assert_true(endpoint_is(&f->to.dst, "10.0.0.9", 5060));
	fixture_free(f);
}

static void both_halves_of_a_double_record_route_go_in_both_directions(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256], second[256];

	set_up(f, LEFT, RIGHT, top, second);
	/* the caller's route set is the record route reversed */
	receive(f, bye(BYE_DOWN, routes(second, top)), "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_int_equal(lines(write_request(f), "Route"), 0);
	assert_int_equal(f->to.listener, RIGHT);
	receive(f, bye(BYE_UP, routes(top, second)), "10.9.9.9", 5062, RIGHT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_int_equal(lines(write_request(f), "Route"), 0);
	assert_int_equal(f->to.listener, LEFT);
	/* and from one line, with a third proxy behind */
	receive(f,
		bye(BYE_UP, replaced(replaced(routes(top, second), "\nRoute: ", ", "), "\n",
				    ",<sip:10.5.5.5;lr>\n")),
		"10.9.9.9", 5062, RIGHT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	write_request(f);
	assert_string_equal(line(f->out, "Route"), "<sip:10.5.5.5;lr>");
	assert_int_equal(lines(f->out, "Route"), 1);
	assert_true(endpoint_is(&f->to.dst, "10.5.5.5", 5060));
	fixture_free(f);
}

/* What comes back letter by letter is known without being parsed; all else means the same. */
static void a_route_of_ours_may_come_back_in_other_words(void **state)
{
	static const char *const words[][2] = {{"<sip:", "<SIP:"}, {";lr;", ";LR;"},
		{";lr;", ";x=y;lr;"}, {";lr;sp=", ";lr;Sp="}, {";r2=on>", ";R2=on>"},
		{";r2=on>", ";r2>"}, {";r2=on>", ";r2=on;z>"}, {";ftag=a1", ""},
		{";ftag=a1", ";ftag=other"}};
	struct fixture *f = fixture_new(NULL);
	char top[256], second[256];

	set_up(f, LEFT, RIGHT, top, second);
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		for (unsigned half = 0; half < 2; half++) {
			char a[256], b[256];

			snprintf(a, sizeof(a), "%s",
				half == 0 ? replaced(second, words[i][0], words[i][1]) : second);
			snprintf(b, sizeof(b), "%s",
				half == 1 ? replaced(top, words[i][0], words[i][1]) : top);
			receive(f, bye(BYE_DOWN, routes(a, b)), "10.0.0.9", 5060, LEFT);
			if (call(f, "loose_route", NULL) != ROUTE_TRUE)
				fail_msg("%s, %s", a, b);
			assert_int_equal(call(f, "is_direction", "downstream", NULL), ROUTE_TRUE);
			assert_int_equal(
				call(f, "check_route_param", "^lr|;lr|LR", NULL), ROUTE_TRUE);
			assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
			assert_int_equal(lines(write_request(f), "Route"), 0);
			assert_int_equal(f->to.listener, RIGHT);
		}
	}
	fixture_free(f);
}

static void the_token_survives_changes_of_source_contact_uri_and_case(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256];

	set_up(f, LEFT, LEFT, top, NULL);
	for (char *p = strstr(top, ";sp=") + 4; *p != ';'; p++)
		*p = *p >= 'a' && *p <= 'z' ? *p - 32 : *p;
	receive(f,
		replaced(bye(BYE_DOWN, routes(top, NULL)), "sip:bob@10.9.9.9:5062",
			"sip:other@10.8.8.8"),
		"10.33.0.9", 1, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	receive(f, replaced(bye(BYE_DOWN, routes(top, NULL)), "tag=b1", "tag=b2"), "10.33.0.9", 1,
		LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	/* tags are tokens: without case */
	receive(f, replaced(bye(BYE_DOWN, routes(top, NULL)), "org>;tag=a1", "org>;tag=A1"),
		"10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	fixture_free(f);
}

static void the_token_survives_a_restart_and_rolls(void **state)
{
	char file[] = "/tmp/siplane-proxy-XXXXXX", path[64], top[256], error[256];
	struct fixture *f;

	assert_non_null(mkdtemp(file));
	snprintf(path, sizeof(path), "%s/secret", file);
	f = fixture_new(path);
	set_up(f, LEFT, LEFT, top, NULL);
	fixture_free(f);
	for (int i = 0; i < 3; i++)
		assert_int_equal(proxy_secret_roll(path, error, sizeof(error)), 0);
	f = fixture_new(path);
	receive(f, bye(BYE_UP, routes(top, NULL)), "10.9.9.9", 5062, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	fixture_free(f);
	remove(path);
	remove(file);
}

/* The request is as any initial one: our Route is gone, loose_route() is false, and no Route of
 * somebody else's is followed. */
static void expect_untrusted(struct fixture *f, const char *text)
{
	receive(f, text, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_FALSE);
	assert_true(call(f, "forward", NULL) < 0);
	assert_int_equal(proxy_refusal(f->ctx), PROXY_REFUSAL_ROUTE_TOKEN);
	assert_false(f->ctx->result.forward);
	assert_true(f->ctx->result.reply);
	assert_int_equal(f->ctx->result.status, 403);
}

static void a_forged_route_relays_nothing(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256], forged[256];
	const char *const victim = "<sip:10.66.6.6:25;lr>";

	set_up(f, LEFT, LEFT, top, NULL);
	expect_untrusted(f, bye(BYE_DOWN, routes("<sip:10.0.0.1;lr>", victim)));
	expect_untrusted(f, bye(BYE_DOWN, routes("<sip:10.0.0.1;lr;sp=aaaaaaaaaaaaa>", victim)));
	/* one character of the token changed */
	snprintf(forged, sizeof(forged), "%s", top);
	strstr(forged, ";sp=")[8] ^= 1;
	expect_untrusted(f, bye(BYE_DOWN, routes(forged, victim)));
	/* the token of another Call-ID, and of another From tag */
	expect_untrusted(f, replaced(bye(BYE_DOWN, routes(top, victim)), "call-1", "call-2"));
	expect_untrusted(
		f, replaced(bye(BYE_DOWN, routes(top, victim)), "org>;tag=a1", "org>;tag=a2"));
	/* without a To tag it is no request of a dialog */
	expect_untrusted(f, replaced(bye(BYE_DOWN, routes(top, victim)), ";tag=b1", ""));
	/* and a Route that is not ours at all */
	expect_untrusted(f, bye(BYE_DOWN, routes(victim, NULL)));
	fixture_free(f);
}

static void a_route_of_ours_without_a_token_is_popped_and_the_uri_decides(void **state)
{
	struct fixture *f = fixture_new(NULL);

	receive(f, bye(BYE_DOWN, routes("<sip:10.0.0.1;lr>", NULL)), "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_FALSE);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_int_equal(lines(write_request(f), "Route"), 0);
	assert_true(endpoint_is(&f->to.dst, "10.9.9.9", 5062));
	fixture_free(f);
}

static bool trust_seven(void *arg, uint32_t group, const struct net_addr *src, uint16_t port)
{
	return group == 7 && src->b[3] == 9;
}

static void require_token_exempts_trusted_groups_and_can_be_off(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *text = bye(BYE_DOWN, routes("<sip:10.0.0.1;lr>", "<sip:10.5.5.5;lr>"));

	f->config.token_trusted_group = 7;
	f->config.is_trusted = trust_seven;
	fixture_configure(f);
	receive(f, text, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	receive(f, text, "10.0.0.8", 5060, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_FALSE);
	f->config.require_token = false;
	fixture_configure(f);
	receive(f, text, "10.0.0.8", 5060, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	fixture_free(f);
}

static void a_valid_token_does_not_open_forbidden_destinations(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const hops[] = {"<sip:127.0.0.1;lr>", "<sip:224.0.1.75;lr>",
		"<sip:0.0.0.0;lr>", "<sip:255.255.255.255;lr>", "<sip:[::1];lr>",
		"<sip:[::ffff:10.0.0.5];lr>", "<sip:10.1.1.1;lr;maddr=127.0.0.1>"};
	char top[256];

	set_up(f, LEFT, LEFT, top, NULL);
	for (unsigned i = 0; i < sizeof(hops) / sizeof(hops[0]); i++) {
		receive(f, bye(BYE_DOWN, routes(top, hops[i])), "10.0.0.9", 5060, LEFT);
		assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
		assert_true(call(f, "forward", NULL) < 0);
		assert_int_equal(proxy_refusal(f->ctx), PROXY_REFUSAL_ADDRESS);
	}
	fixture_free(f);
}

static void a_strict_router_put_our_token_into_the_request_uri(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256], second[256], uri[256], text[2048];

	set_up(f, LEFT, LEFT, top, NULL);
	snprintf(uri, sizeof(uri), "%.*s", (int)strlen(top) - 2, top + 1);
	snprintf(text, sizeof(text), "%s",
		replaced(bye(BYE_UP, "Route: <sip:10.5.5.5;lr>, <sip:alice@10.0.0.9>\n"),
			"sip:alice@10.0.0.9", uri));
	assert_int_equal(receive(f, text, "10.9.9.9", 5062, LEFT), PROXY_GO);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	write_request(f);
	assert_string_equal(first_line(f->out), "BYE sip:alice@10.0.0.9 SIP/2.0");
	assert_string_equal(line(f->out, "Route"), "<sip:10.5.5.5;lr>");
	assert_int_equal(lines(f->out, "Route"), 1);
	assert_true(endpoint_is(&f->to.dst, "10.5.5.5", 5060));
	/* without a token it is a request to us, whatever the Route says */
	receive(f, replaced(text, strstr(uri, ";sp="), ""), "10.9.9.9", 5062, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_FALSE);
	assert_true(call(f, "forward", NULL) < 0);
	/* both halves of a double one */
	set_up(f, LEFT, RIGHT, top, second);
	snprintf(uri, sizeof(uri), "%.*s", (int)strlen(top) - 2, top + 1);
	snprintf(text, sizeof(text), "%s",
		replaced(bye(BYE_UP, routes(second, "<sip:alice@10.0.0.9>")), "sip:alice@10.0.0.9",
			uri));
	receive(f, text, "10.9.9.9", 5062, RIGHT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	write_request(f);
	assert_string_equal(first_line(f->out), "BYE sip:alice@10.0.0.9 SIP/2.0");
	assert_int_equal(lines(f->out, "Route"), 0);
	assert_int_equal(f->to.listener, LEFT);
	fixture_free(f);
}

static void a_strict_next_hop_gets_its_uri_in_front_and_ours_at_the_end(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256];

	set_up(f, LEFT, LEFT, top, NULL);
	receive(f,
		bye(BYE_DOWN, replaced(routes(top, "<sip:10.5.5.5>"), "<sip:10.5.5.5>",
				      "<sip:10.5.5.5>, <sip:10.6.6.6;lr>")),
		"10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	write_request(f);
	assert_string_equal(first_line(f->out), "BYE sip:10.5.5.5 SIP/2.0");
	assert_string_equal(line(f->out, "Route"), "<sip:10.6.6.6;lr>");
	assert_string_equal(line_at(f->out, "Route", 1), "<sip:bob@10.9.9.9:5062>");
	assert_true(endpoint_is(&f->to.dst, "10.5.5.5", 5060));
	/* where it was the only one left */
	receive(f, bye(BYE_DOWN, routes(top, "<sip:10.5.5.5>")), "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	write_request(f);
	assert_int_equal(lines(f->out, "Route"), 1);
	assert_string_equal(line(f->out, "Route"), "<sip:bob@10.9.9.9:5062>");
	fixture_free(f);
}

static void a_malformed_route_behind_ours_is_refused(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256];

	set_up(f, LEFT, LEFT, top, NULL);
	receive(f, bye(BYE_DOWN, routes(top, "<sip:10.5.5.5")), "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_true(call(f, "forward", NULL) < 0);
	assert_int_equal(f->ctx->result.status, 400);
	fixture_free(f);
}

static void an_rfc_2543_caller_without_a_tag_keeps_its_dialog(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256];

	receive(f, replaced(INVITE, ";tag=a1", ""), "10.0.0.9", 5060, LEFT);
	call(f, "record_route", NULL);
	call(f, "forward", "sip:10.9.9.9:5062", NULL);
	write_request(f);
	snprintf(top, sizeof(top), "%s", line(f->out, "Record-Route"));
	receive(f, replaced(bye(BYE_DOWN, routes(top, NULL)), ";tag=a1", ""), "10.0.0.9", 5060,
		LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	receive(f, replaced(bye(BYE_UP, routes(top, NULL)), ";tag=a1", ""), "10.9.9.9", 5062, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "is_direction", "upstream", NULL), ROUTE_TRUE);
	/* The token of a call without tags is no leave for another one, which has no To tag either.
	 */
	expect_untrusted(
		f, replaced(replaced(replaced(bye(BYE_UP, routes(top, "<sip:10.66.6.6:25;lr>")),
					     ";tag=a1", ""),
				    "BYE sip:", "INVITE sip:"),
			   "1 BYE", "1 INVITE"));
	fixture_free(f);
}

static void parameters_travel_in_the_record_route_and_are_found_again(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256];

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "add_rr_param", ";nat=yes", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "record_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "add_rr_param", "vip", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "add_rr_param", ";x>\r\nEvil: y", NULL), ROUTE_FALSE);
	call(f, "forward", "sip:10.9.9.9:5062", NULL);
	write_request(f);
	snprintf(top, sizeof(top), "%s", line(f->out, "Record-Route"));
	assert_non_null(strstr(top, ";nat=yes;vip>"));
	receive(f, bye(BYE_UP, routes(top, NULL)), "10.9.9.9", 5062, LEFT);
	assert_int_equal(call(f, "check_route_param", "nat=yes", NULL),
		ROUTE_FALSE); /* not before loose_route() */
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "check_route_param", "nat=y.s", NULL), ROUTE_TRUE);
	assert_int_equal(call(f, "check_route_param", "nat=no", NULL), ROUTE_FALSE);
	fixture_free(f);
}

static void preset_and_advertised_addresses_replace_the_listeners(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256];

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(
		call(f, "record_route_preset", "proxy.example.net:5060;x=1", NULL), ROUTE_TRUE);
	call(f, "forward", "sip:10.9.9.9:5062", NULL);
	write_request(f);
	snprintf(top, sizeof(top), "%s", line(f->out, "Record-Route"));
	assert_int_equal(strncmp(top, "<sip:proxy.example.net:5060;x=1;lr;sp=", 38), 0);
	receive(f, bye(BYE_UP, routes(top, NULL)), "10.9.9.9", 5062, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(
		call(f, "record_route_preset", "10.1.0.1:5060", "10.0.0.1:5060", NULL), ROUTE_TRUE);
	call(f, "forward", "sip:10.9.9.9:5062", NULL);
	write_request(f);
	assert_int_equal(strncmp(line(f->out, "Record-Route"), "<sip:10.1.0.1:5060;lr;", 22), 0);
	assert_int_equal(
		strncmp(line_at(f->out, "Record-Route", 1), "<sip:10.0.0.1:5060;lr;", 22), 0);
	assert_non_null(strstr(line(f->out, "Record-Route"), ";r2=on>"));

	/* As Kamailio's manual has it: once is enough. */
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "record_route_preset", "10.1.0.1:5060;r2=on;x=1",
				 "10.0.0.1:5060;r2=on", NULL),
		ROUTE_TRUE);
	call(f, "forward", "sip:10.9.9.9:5062", NULL);
	write_request(f);
	assert_int_equal(
		strncmp(line(f->out, "Record-Route"), "<sip:10.1.0.1:5060;x=1;lr;", 26), 0);
	assert_int_equal(
		strncmp(line_at(f->out, "Record-Route", 1), "<sip:10.0.0.1:5060;lr;", 22), 0);
	assert_non_null(strstr(line(f->out, "Record-Route"), ";r2=on>"));

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	f->ctx->socket = RIGHT;
	assert_int_equal(call(f, "record_route_advertised_address", "proxy.example.net:5060", NULL),
		ROUTE_TRUE);
	call(f, "forward", "sip:10.9.9.9:5062", NULL);
	write_request(f);
	assert_int_equal(lines(f->out, "Record-Route"), 2);
	assert_int_equal(
		strncmp(line_at(f->out, "Record-Route", 1), "<sip:proxy.example.net:5060;lr;", 31),
		0);
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "record_route_preset", "x>\r\n", NULL), ROUTE_FALSE);
	fixture_free(f);
}

static void an_advertised_listener_writes_that_name_everywhere(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256];

	snprintf(f->listener[LEFT].advertise_host, sizeof(f->listener[LEFT].advertise_host),
		"sip.example.net");
	f->listener[LEFT].advertise_port = 15060;
	fixture_configure(f);
	set_up(f, LEFT, LEFT, top, NULL);
	assert_int_equal(strncmp(top, "<sip:sip.example.net:15060;lr;", 30), 0);
	assert_int_equal(
		strncmp(line(f->out, "Via"), "SIP/2.0/UDP sip.example.net:15060;branch=", 41), 0);
	assert_int_equal(
		receive(f, response_to(f->out, "200 OK"), "10.9.9.9", 5062, LEFT), PROXY_GO);
	receive(f, bye(BYE_UP, routes(top, NULL)), "10.9.9.9", 5062, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	fixture_free(f);
}

static void at_most_one_pass_of_ours_is_popped(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char top[256], twice[2048];

	set_up(f, LEFT, LEFT, top, NULL);
	snprintf(twice, sizeof(twice), "%s", routes(top, top));
	receive(f, bye(BYE_DOWN, twice), "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "loose_route", NULL), ROUTE_TRUE);
	/* the second one is another pass through us: a spiral */
	assert_int_equal(call(f, "forward", NULL), ROUTE_TRUE);
	assert_int_equal(lines(write_request(f), "Route"), 1);
	assert_true(endpoint_is(&f->to.dst, "10.0.0.1", 5060));
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_listener_writes_one_record_route),
		cmocka_unit_test(our_record_route_stands_above_the_others),
		cmocka_unit_test(a_retransmission_gets_the_same_record_route),
		cmocka_unit_test(another_address_or_port_doubles_the_record_route),
		cmocka_unit_test(loose_route_takes_our_route_out_in_both_directions),
		cmocka_unit_test(both_halves_of_a_double_record_route_go_in_both_directions),
		cmocka_unit_test(a_route_of_ours_may_come_back_in_other_words),
		cmocka_unit_test(the_token_survives_changes_of_source_contact_uri_and_case),
		cmocka_unit_test(the_token_survives_a_restart_and_rolls),
		cmocka_unit_test(a_forged_route_relays_nothing),
		cmocka_unit_test(a_route_of_ours_without_a_token_is_popped_and_the_uri_decides),
		cmocka_unit_test(require_token_exempts_trusted_groups_and_can_be_off),
		cmocka_unit_test(a_valid_token_does_not_open_forbidden_destinations),
		cmocka_unit_test(a_strict_router_put_our_token_into_the_request_uri),
		cmocka_unit_test(a_strict_next_hop_gets_its_uri_in_front_and_ours_at_the_end),
		cmocka_unit_test(a_malformed_route_behind_ours_is_refused),
		cmocka_unit_test(an_rfc_2543_caller_without_a_tag_keeps_its_dialog),
		cmocka_unit_test(parameters_travel_in_the_record_route_and_are_found_again),
		cmocka_unit_test(preset_and_advertised_addresses_replace_the_listeners),
		cmocka_unit_test(an_advertised_listener_writes_that_name_everywhere),
		cmocka_unit_test(at_most_one_pass_of_ours_is_popped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
