/* SPDX-License-Identifier: BSD-3-Clause */
/* Design section 4: our own replies and the ACKs to them; RFC 3261 8.2.6, 16.3, 18.2. */
#include "harness.h"

static const char *answered(
	struct fixture *f, const char *text, const char *status, const char *reason)
{
	receive(f, text, "10.0.0.9", 40000, LEFT);
	assert_int_equal(call(f, "sl_send_reply", status, reason, NULL), ROUTE_TRUE);
	return write_reply(f);
}

static void a_reply_copies_what_rfc_3261_8_2_6_says(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *out = answered(f,
		replaced(INVITE, "Max-Forwards",
			"v: SIP/2.0/UDP 10.0.0.8;branch=z9hG4bKx, SIP/2.0/TCP "
			"10.0.0.7;branch=z9hG4bKy\n"
			"Record-Route: <sip:10.5.5.5;lr>\nMax-Forwards"),
		"503", "No Destination");

	assert_non_null(out);
	assert_string_equal(first_line(out), "SIP/2.0 503 No Destination");
	assert_int_equal(lines(out, "Via"), 2);
	assert_string_equal(line(out, "Via"), "SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKabc123");
	assert_string_equal(line_at(out, "Via", 1),
		"SIP/2.0/UDP 10.0.0.8;branch=z9hG4bKx, SIP/2.0/TCP 10.0.0.7;branch=z9hG4bKy");
	assert_string_equal(line(out, "From"), "Alice <sip:alice@example.org>;tag=a1");
	assert_int_equal(strncmp(line(out, "To"), "Bob <sip:bob@example.com>;tag=", 30), 0);
	assert_string_equal(line(out, "Call-ID"), "call-1@10.0.0.9");
	assert_string_equal(line(out, "CSeq"), "7 INVITE");
	assert_string_equal(line(out, "Content-Length"), "0");
	assert_string_equal(line(out, "Server"), "siplane test");
	assert_null(line(out, "Record-Route"));
	assert_true(endpoint_is(&f->to.dst, "10.0.0.9", 5060));
	assert_int_equal(f->to.listener, LEFT);
	fixture_free(f);
}

static void a_reply_goes_where_received_and_rport_say(void **state)
{
	struct fixture *f = fixture_new(NULL);

	answered(f, replaced(INVITE, "10.0.0.9:5060;", "192.168.1.1:5099;"), "404", "x");
	assert_string_equal(line(f->out, "Via"),
		"SIP/2.0/UDP 192.168.1.1:5099;received=10.0.0.9;branch=z9hG4bKabc123");
	assert_true(endpoint_is(&f->to.dst, "10.0.0.9", 5099));
	answered(f,
		replaced(INVITE, "10.0.0.9:5060;", "192.168.1.1:5099;rport;received=10.66.6.6;"),
		"404", "x");
	assert_string_equal(line(f->out, "Via"),
		"SIP/2.0/UDP 192.168.1.1:5099;rport=40000;received=10.0.0.9;branch=z9hG4bKabc123");
	assert_true(endpoint_is(&f->to.dst, "10.0.0.9", 40000));
	receive(f, replaced(INVITE, "10.0.0.9:5060;", "192.168.1.1:5099;"), "10.0.0.9", 40000,
		LEFT);
	call(f, "force_rport", NULL);
	call(f, "sl_send_reply", "404", "x", NULL);
	write_reply(f);
	assert_true(endpoint_is(&f->to.dst, "10.0.0.9", 40000));
	assert_string_equal(line(f->out, "Via"),
		"SIP/2.0/UDP 192.168.1.1:5099;received=10.0.0.9;rport=40000;branch=z9hG4bKabc123");
	fixture_free(f);
}

static void no_reply_goes_to_multicast_or_loopback(void **state)
{
	struct fixture *f = fixture_new(NULL);

	assert_null(answered(
		f, replaced(INVITE, "10.0.0.9:5060;", "10.0.0.9;maddr=224.0.1.75;"), "404", "x"));
	assert_int_equal(f->written, -PROXY_REASON_REPLY_TARGET);
	receive(f, INVITE, "127.0.0.1", 5060, LEFT);
	call(f, "sl_send_reply", "404", "x", NULL);
	assert_null(write_reply(f));
	assert_int_equal(f->written, -PROXY_REASON_REPLY_TARGET);
	fixture_free(f);
}

static void the_to_tag_is_the_same_for_every_retransmission(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char a[128], b[128];

	snprintf(a, sizeof(a), "%s", line(answered(f, INVITE, "503", "x"), "To"));
	snprintf(b, sizeof(b), "%s", line(answered(f, INVITE, "503", "x"), "To"));
	assert_string_equal(a, b);
	snprintf(b, sizeof(b), "%s",
		line(answered(f, replaced(INVITE, "abc123", "abc124"), "503", "x"), "To"));
	assert_string_not_equal(a, b);
	/* a tag that is there stays */
	assert_string_equal(line(answered(f,
					 replaced(INVITE, "To: Bob <sip:bob@example.com>",
						 "t: <sip:b@x>;tag=mine"),
					 "481", ""),
				    "To"),
		"<sip:b@x>;tag=mine");
	/* without angle brackets it is a parameter of the header field */
	assert_int_equal(strncmp(line(answered(f,
					      replaced(INVITE, "To: Bob <sip:bob@example.com>",
						      "To: sip:b@x"),
					      "481", ""),
					 "To"),
				 "sip:b@x;tag=", 12),
		0);
	fixture_free(f);
}

static const char *ack_for(const char *reply)
{
	static char text[1024];

	snprintf(text, sizeof(text),
		"ACK sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP "
		"10.0.0.9:5060;branch=z9hG4bKabc123\nMax-Forwards: 70\n"
		"From: %s\nTo: %s\nCall-ID: %s\nCSeq: 7 ACK\nContent-Length: 0\n\n",
		line(reply, "From"), line(reply, "To"), line(reply, "Call-ID"));
	return text;
}

static void the_ack_to_our_own_483_is_absorbed_before_the_script(void **state)
{
	struct fixture *f = fixture_new(NULL);
	char tag[64];
	const char *ack;

	assert_int_equal(receive(f, replaced(INVITE, "Max-Forwards: 20", "Max-Forwards: 0"),
				 "10.0.0.9", 5060, LEFT),
		PROXY_REPLY);
	ack = ack_for(write_reply(f));
	assert_string_equal(first_line(f->out), "SIP/2.0 483 Too Many Hops");
	assert_int_equal(receive(f, ack, "10.0.0.9", 5060, LEFT), PROXY_DROP);
	assert_int_equal(f->reason, PROXY_REASON_ACK_OWN_REPLY);
	/* from another port, at another listener, with another letter case */
	assert_int_equal(
		receive(f, replaced(ack, "z9hG4bKabc", "Z9HG4bKABC"), "10.0.0.9", 1024, RIGHT),
		PROXY_DROP);
	assert_int_equal(f->reason, PROXY_REASON_ACK_OWN_REPLY);
	/* of another transaction, or for somebody else's reply, it goes on */
	assert_int_equal(
		receive(f, replaced(ack, "abc123", "abc124"), "10.0.0.9", 5060, LEFT), PROXY_GO);
	snprintf(tag, sizeof(tag), "%s", strstr(line(f->out, "To"), ";tag="));
	assert_int_equal(
		receive(f, replaced(ack, tag, ";tag=b7"), "10.0.0.9", 5060, LEFT), PROXY_GO);
	fixture_free(f);
}

static void the_ack_is_known_on_another_process_after_a_roll(void **state)
{
	char folder[] = "/tmp/siplane-proxy-XXXXXX", path[64], error[256], ack[1024];
	struct fixture *f;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/secret", folder);
	f = fixture_new(path);
	snprintf(ack, sizeof(ack), "%s", ack_for(answered(f, INVITE, "503", "x")));
	fixture_free(f);
	for (int i = 0; i < 10; i++)
		assert_int_equal(proxy_secret_roll(path, error, sizeof(error)), 0);
	f = fixture_new(path);
	assert_int_equal(receive(f, ack, "10.0.0.9", 5060, LEFT), PROXY_DROP);
	assert_int_equal(f->reason, PROXY_REASON_ACK_OWN_REPLY);
	fixture_free(f);
	remove(path);
	remove(folder);
}

static void an_ack_is_never_answered(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *ack = replaced(replaced(INVITE, "INVITE sip", "ACK sip"), "7 INVITE", "7 ACK");

	assert_null(answered(f, ack, "404", "x"));
	assert_int_equal(f->written, -PROXY_REASON_ACK_UNROUTABLE);
	assert_int_equal(receive(f, replaced(ack, "Max-Forwards: 20", "Max-Forwards: 0"),
				 "10.0.0.9", 5060, LEFT),
		PROXY_DROP);
	assert_int_equal(f->reason, PROXY_REASON_ACK_UNROUTABLE);
	/* malformed */
	assert_int_equal(receive(f, replaced(ack, "Call-ID: call-1@10.0.0.9", "X: y"), "10.0.0.9",
				 5060, LEFT),
		PROXY_DROP);
	assert_int_equal(f->reason, PROXY_REASON_NONE);
	fixture_free(f);
}

static void a_malformed_request_is_answered_with_its_fault(void **state)
{
	struct fixture *f = fixture_new(NULL);

	assert_int_equal(receive(f, replaced(INVITE, "Max-Forwards: 20", "Max-Forwards: many"),
				 "10.0.0.9", 5060, LEFT),
		PROXY_REPLY);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 400 Malformed Max-Forwards");
	assert_int_equal(receive(f,
				 replaced(INVITE, "INVITE sip:bob@example.com",
					 "INVITE <sip:bob@example.com>"),
				 "10.0.0.9", 5060, LEFT),
		PROXY_REPLY);
	assert_int_equal(f->ctx->result.status, 400);
	/* Of a Via that cannot be read: to the source, the Via as it came (RFC 4475 3.1.2.1), and
	 * the same again for a retransmission. */
	for (unsigned i = 0; i < 2; i++) {
		static char first[sizeof(f->out)];

		assert_int_equal(receive(f, replaced(INVITE, ";branch=z9hG4bKabc123", ";;,;,,"),
					 "10.0.0.77", 40000, LEFT),
			PROXY_REPLY);
		assert_string_equal(first_line(write_reply(f)), "SIP/2.0 400 Malformed Via");
		assert_string_equal(line(f->out, "Via"), "SIP/2.0/UDP 10.0.0.9:5060;;,;,,");
		assert_true(endpoint_is(&f->to.dst, "10.0.0.77", 40000));
		if (i == 0)
			memcpy(first, f->out, sizeof(first));
		else
			assert_string_equal(f->out, first);
	}
	/* without a Via there is nowhere to send it */
	assert_int_equal(
		receive(f,
			replaced(INVITE, "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKabc123",
				"X: y"),
			"10.0.0.9", 5060, LEFT),
		PROXY_DROP);
	fixture_free(f);
}

static void an_unknown_scheme_gets_416(void **state)
{
	struct fixture *f = fixture_new(NULL);

	assert_int_equal(
		receive(f, replaced(INVITE, "sip:bob@example.com SIP", "nobodyknows:x SIP"),
			"10.0.0.9", 5060, LEFT),
		PROXY_REPLY);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 416 Unsupported URI Scheme");
	assert_int_equal(
		receive(f, replaced(INVITE, "sip:bob@example.com SIP", "tel:+15551234 SIP"),
			"10.0.0.9", 5060, LEFT),
		PROXY_GO);
	fixture_free(f);
}

static void an_unknown_proxy_require_gets_420_that_names_it(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *text = replaced(INVITE, "Contact:", "Proxy-Require: foo, bar\nContact:");

	assert_int_equal(receive(f, text, "10.0.0.9", 5060, LEFT), PROXY_REPLY);
	write_reply(f);
	assert_string_equal(first_line(f->out), "SIP/2.0 420 Bad Extension");
	assert_string_equal(line(f->out, "Unsupported"), "foo, bar");
	/* 8.2.2.3: ignored in CANCEL */
	assert_int_equal(receive(f,
				 replaced(replaced(text, "INVITE sip", "CANCEL sip"), "7 INVITE",
					 "7 CANCEL"),
				 "10.0.0.9", 5060, LEFT),
		PROXY_GO);
	fixture_free(f);
}

static void max_forwards_0_gets_483_and_options_to_us_its_200(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *text = replaced(INVITE, "Max-Forwards: 20", "Max-Forwards: 0");
	static const struct {
		const char *uri;
		unsigned status;
	} options[] = {{"sip:10.0.0.1", 200}, {"sip:bob@10.0.0.1", 483}, {"sip:example.com", 483},
		{"sip:bob@example.com", 483}};

	assert_int_equal(receive(f, text, "10.0.0.9", 5060, LEFT), PROXY_REPLY);
	assert_int_equal(f->ctx->result.status, 483);
	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		char start[64];

		text = replaced(INVITE, "Max-Forwards: 20", "Max-Forwards: 0");
		snprintf(start, sizeof(start), "OPTIONS %s SIP", options[i].uri);
		assert_int_equal(
			receive(f,
				replaced(replaced(text, "INVITE sip:bob@example.com SIP", start),
					"7 INVITE", "7 OPTIONS"),
				"10.0.0.9", 5060, LEFT),
			PROXY_REPLY);
		assert_int_equal(f->ctx->result.status, options[i].status);
		assert_non_null(write_reply(f));
		assert_int_equal(line(f->out, "Accept") != NULL, options[i].status == 200);
	}
	fixture_free(f);
}

static void a_100_has_the_timestamp_and_no_tag(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *text = replaced(INVITE, "Contact:", "Timestamp: 54.5\nContact:");

	answered(f, text, "100", "Trying");
	assert_string_equal(line(f->out, "Timestamp"), "54.5");
	assert_string_equal(line(f->out, "To"), "Bob <sip:bob@example.com>");
	answered(f, text, "404", "x");
	assert_null(line(f->out, "Timestamp"));
	fixture_free(f);
}

static void a_200_carries_the_record_route(void **state)
{
	struct fixture *f = fixture_new(NULL);

	answered(f, replaced(INVITE, "Contact:", "Record-Route: <sip:10.5.5.5;lr>\nContact:"),
		"200", "OK");
	assert_string_equal(line(f->out, "Record-Route"), "<sip:10.5.5.5;lr>");
	fixture_free(f);
}

/* RFC 3261 10.3. */
static void a_registration_carries_no_record_route(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *text =
		replaced(INVITE, "Contact:", "Record-Route: <sip:10.5.5.5;lr>\nContact:");

	text = replaced(text, "INVITE sip:bob", "REGISTER sip:bob");
	answered(f, replaced(text, "7 INVITE", "7 REGISTER"), "200", "OK");
	assert_null(line(f->out, "Record-Route"));
	fixture_free(f);
}

static void a_reply_is_at_most_one_and_a_half_times_its_request(void **state)
{
	struct fixture *f = fixture_new(NULL);
	/* 152 bytes */
	static const char text[] =
		"OPTIONS sip:a@b SIP/2.0\nv:SIP/2.0/UDP "
		"h;branch=z9hG4bK1\nf:sip:a@b;tag=1\nt:sip:a@b\ni:1\nCSeq:1 OPTIONS\n"
		"Max-Forwards:9\n\n";
	char longer[1024];

	snprintf(f->config.server, sizeof(f->config.server), "%0100d", 1);
	fixture_configure(f);
	/* the Server header goes first */
	assert_non_null(answered(f, text, "404", "x"));
	assert_null(line(f->out, "Server"));
	assert_true(2 * f->written <= 3 * f->len);
	/* then the script's headers */
	receive(f, text, "10.0.0.9", 40000, LEFT);
	snprintf(longer, sizeof(longer), "X-Long: %0300d\r\n", 1);
	f->ctx->result.headers = route_text_make(f->ctx, str_c(longer));
	call(f, "sl_send_reply", "404", "x", NULL);
	assert_non_null(write_reply(f));
	assert_null(line(f->out, "X-Long"));
	/* then the reply */
	snprintf(longer, sizeof(longer), "%0300d", 1);
	assert_null(answered(f, text, "404", longer));
	assert_int_equal(f->written, -PROXY_REASON_REPLY_SIZE);
	/* not where the source has proven itself, nor for a challenge */
	proxy_source_verified(f->ctx);
	assert_non_null(write_reply(f));
	assert_non_null(answered(f, text, "401", longer));
	fixture_free(f);
}

static void headers_of_the_script_are_in_the_reply(void **state)
{
	struct fixture *f = fixture_new(NULL);

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	f->ctx->result.headers = route_text_make(f->ctx, STR("Retry-After: 5\r\n"));
	call(f, "send_reply", "503", "Overloaded", NULL);
	write_reply(f);
	assert_string_equal(line(f->out, "Retry-After"), "5");
	fixture_free(f);
}

static void a_reason_cannot_add_headers(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const struct route_value v[] = {
		{.type = ROUTE_INT, .i = 404}, {.type = ROUTE_STR, .s = STR("x\r\nEvil: y")}};
	const struct route_args args = {.v = v, .n = 2, .room = f->proxy};

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(proxy_sl_module.functions[0].run(f->ctx, &args), ROUTE_FALSE);
	assert_false(f->ctx->result.reply);
	fixture_free(f);
}

static void a_number_is_a_status_too(void **state)
{
	struct fixture *f = fixture_new(NULL);
	struct route_value v[] = {{.type = ROUTE_INT, .i = 486}};
	const struct route_args args = {.v = v, .n = 1, .room = f->proxy};

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(proxy_sl_module.functions[0].run(f->ctx, &args), ROUTE_TRUE);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 486 Busy Here");
	v[0].i = 99;
	assert_int_equal(proxy_sl_module.functions[0].run(f->ctx, &args), ROUTE_FALSE);
	v[0].i = 700;
	assert_int_equal(proxy_sl_module.functions[0].run(f->ctx, &args), ROUTE_FALSE);
	fixture_free(f);
}

static void sl_reply_error_says_why_forward_failed(void **state)
{
	struct fixture *f = fixture_new(NULL);

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_true(call(f, "forward", "sip:127.0.0.1", NULL) < 0);
	assert_int_equal(call(f, "sl_reply_error", NULL), ROUTE_TRUE);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 403 Destination Not Allowed");
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "sl_reply_error", NULL), ROUTE_TRUE);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 500 Server Internal Error");
	fixture_free(f);
}

static void options_to_us_without_a_user_are_answered(void **state)
{
	struct fixture *f = fixture_new(NULL);
	const char *options =
		replaced(replaced(INVITE, "INVITE sip:bob@example.com", "OPTIONS sip:10.0.0.1"),
			"7 INVITE", "7 OPTIONS");

	receive(f, options, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "options_reply", NULL), ROUTE_TRUE);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 200 OK");
	assert_string_equal(line(f->out, "Accept"), "*/*");
	receive(f, replaced(options, "sip:10.0.0.1", "sip:proxy.EXAMPLE.net"), "10.0.0.9", 5060,
		LEFT);
	assert_int_equal(call(f, "options_reply", NULL), ROUTE_TRUE);
	receive(f, replaced(options, "sip:10.0.0.1", "sip:bob@10.0.0.1"), "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "options_reply", NULL), ROUTE_FALSE);
	receive(f, replaced(options, "sip:10.0.0.1", "sip:10.0.0.2"), "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "options_reply", NULL), ROUTE_FALSE);
	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "options_reply", NULL), ROUTE_FALSE);
	fixture_free(f);
}

static void sanity_check_answers_what_a_script_asks_for(void **state)
{
	struct fixture *f = fixture_new(NULL);

	receive(f, INVITE, "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "sanity_check", NULL), ROUTE_TRUE);
	receive(f, replaced(INVITE, "Contact:", "Expires: soon\nContact:"), "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "sanity_check", "256", NULL), ROUTE_EXIT);
	assert_string_equal(first_line(write_reply(f)), "SIP/2.0 400 Bad Expires");
	receive(f, replaced(INVITE, "Contact:", "Expires: soon\nContact:"), "10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "sanity_check", "1024", "7", NULL), ROUTE_TRUE);
	receive(f, replaced(INVITE, "<sip:alice@10.0.0.9>", "<sip:alice@10.0.0.9>, <sip:@@>"),
		"10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "sanity_check", "1024", "8", NULL), ROUTE_EXIT);
	receive(f, replaced(INVITE, "Contact:", "Authorization: Digest username=\"a\"\nContact:"),
		"10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "sanity_check", "2048", NULL), ROUTE_EXIT);
	receive(f,
		replaced(INVITE, "Contact:",
			"Authorization: Digest username=\"a\", realm=\"b,c\", nonce=\"n\", "
			"uri=\"sip:x\",response=\"00\"\nContact:"),
		"10.0.0.9", 5060, LEFT);
	assert_int_equal(call(f, "sanity_check", "2048", NULL), ROUTE_TRUE);
	fixture_free(f);
}

/* RFC 3261 10.3 step 8: all contacts stand in the 200, however many. */
static void a_list_of_contacts_may_be_longer_than_its_register(void **state)
{
	struct fixture *f = fixture_new(NULL);
	static const char *const status[] = {"200", "404"};
	char contacts[4096] = "";

	for (unsigned i = 0; i < 40; i++)
		snprintf(contacts + strlen(contacts), sizeof(contacts) - strlen(contacts),
			"Contact: <sip:alice@10.0.0.%u:5060>;expires=3600\r\n", i);
	for (unsigned i = 0; i < 4; i++) {
		const char *text = replaced(
			INVITE, "INVITE sip:bob", i < 2 ? "REGISTER sip:bob" : "OPTIONS sip:bob");

		assert_int_equal(
			receive(f, replaced(text, "7 INVITE", i < 2 ? "7 REGISTER" : "7 OPTIONS"),
				"10.0.0.9", 5060, LEFT),
			PROXY_GO);
		assert_int_equal(call(f, "sl_send_reply", status[i % 2], "x", NULL), ROUTE_TRUE);
		f->ctx->result.headers = route_text_make(f->ctx, str_c(contacts));
		assert_non_null(write_reply(f));
		assert_int_equal(lines(f->out, "Contact"), i == 0 ? 40 : 0);
	}
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_copies_what_rfc_3261_8_2_6_says),
		cmocka_unit_test(a_reply_goes_where_received_and_rport_say),
		cmocka_unit_test(no_reply_goes_to_multicast_or_loopback),
		cmocka_unit_test(the_to_tag_is_the_same_for_every_retransmission),
		cmocka_unit_test(the_ack_to_our_own_483_is_absorbed_before_the_script),
		cmocka_unit_test(the_ack_is_known_on_another_process_after_a_roll),
		cmocka_unit_test(an_ack_is_never_answered),
		cmocka_unit_test(a_malformed_request_is_answered_with_its_fault),
		cmocka_unit_test(an_unknown_scheme_gets_416),
		cmocka_unit_test(an_unknown_proxy_require_gets_420_that_names_it),
		cmocka_unit_test(max_forwards_0_gets_483_and_options_to_us_its_200),
		cmocka_unit_test(a_100_has_the_timestamp_and_no_tag),
		cmocka_unit_test(a_200_carries_the_record_route),
		cmocka_unit_test(a_registration_carries_no_record_route),
		cmocka_unit_test(a_reply_is_at_most_one_and_a_half_times_its_request),
		cmocka_unit_test(headers_of_the_script_are_in_the_reply),
		cmocka_unit_test(a_reason_cannot_add_headers),
		cmocka_unit_test(a_number_is_a_status_too),
		cmocka_unit_test(sl_reply_error_says_why_forward_failed),
		cmocka_unit_test(options_to_us_without_a_user_are_answered),
		cmocka_unit_test(sanity_check_answers_what_a_script_asks_for),
		cmocka_unit_test(a_list_of_contacts_may_be_longer_than_its_register),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
