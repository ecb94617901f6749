/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RFC 3665 section 2, the registrations, without their authentication and over UDP. Each REGISTER
 * and the 200 that it gets, as texts.
 */
#include "common.h"

#define HEAD(branch, cseq) \
	"REGISTER sips:ss2.biloxi.example.com SIP/2.0\n" \
	"Via: SIP/2.0/UDP client.biloxi.example.com:5061;branch=" branch "\n" \
	"Max-Forwards: 70\n" \
	"From: Bob <sips:bob@biloxi.example.com>;tag=a73kszlfl\n" \
	"To: Bob <sips:bob@biloxi.example.com>\n" \
	"Call-ID: 1j9FpLxk3uxtm8tn@biloxi.example.com\n" \
	"CSeq: " cseq " REGISTER\n"
#define OK(branch, cseq) \
	"SIP/2.0 200 OK\r\n" \
	"Via: SIP/2.0/UDP client.biloxi.example.com:5061;received=192.0.2.201;branch=" branch \
	"\r\n" \
	"From: Bob <sips:bob@biloxi.example.com>;tag=a73kszlfl\r\n" \
	"To: Bob <sips:bob@biloxi.example.com>;tag=T\r\n" \
	"Call-ID: 1j9FpLxk3uxtm8tn@biloxi.example.com\r\n" \
	"CSeq: " cseq " REGISTER\r\n"
#define END "Content-Length: 0\n\n"
#define OK_END "Content-Length: 0\r\n\r\n"

static struct stage *open_at(const char *source)
{
	struct stage *s = stage_open("", "\tsave(\"location\");");

	assert_int_equal(net_addr_parse(str_c(source), &s->source.addr), 0);
	return s;
}

/* 2.1 F3, F4; 2.2; 2.3; 2.4. */
static void bob_registers_updates_asks_and_cancels(void **state)
{
	struct stage *s = open_at("192.0.2.201");

	assert_string_equal(
		stage_send(s, HEAD("z9hG4bKnashd92",
				      "2") "Contact: <sips:bob@client.biloxi.example.com>\n" END),
		OK("z9hG4bKnashd92",
			"2") "Contact: "
			     "<sips:bob@client.biloxi.example.com>;expires=3600\r\n" OK_END);
	assert_string_equal(
		stage_send(s,
			HEAD("z9hG4bKnashds7", "3") "Contact: mailto:bob@biloxi.example.com\n" END),
		OK("z9hG4bKnashds7",
			"3") "Contact: <sips:bob@client.biloxi.example.com>;expires=3600, "
			     "<mailto:bob@biloxi.example.com>;expires=3600\r\n" OK_END);
	assert_string_equal(stage_send(s, HEAD("z9hG4bKnashds8", "4") END),
		OK("z9hG4bKnashds8",
			"4") "Contact: <sips:bob@client.biloxi.example.com>;expires=3600, "
			     "<mailto:bob@biloxi.example.com>;expires=3600\r\n" OK_END);
	assert_string_equal(
		stage_send(s, HEAD("z9hG4bKnashds9", "5") "Expires: 0\nContact: *\n" END),
		OK("z9hG4bKnashds9", "5") OK_END);
	assert_string_equal(
		stage_send(s, HEAD("z9hG4bKnashdsa", "6") END), OK("z9hG4bKnashdsa", "6") OK_END);
	stage_close(s);
}

/* RFC 3261 24.1: F1, F2 of the session before the call. */
static void rfc_3261_24_1(void **state)
{
	struct stage *s = open_at("192.0.2.4");

	assert_string_equal(
		stage_send(s, "REGISTER sip:registrar.biloxi.com SIP/2.0\n"
			      "Via: SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bKnashds7\n"
			      "Max-Forwards: 70\n"
			      "To: Bob <sip:bob@biloxi.com>\n"
			      "From: Bob <sip:bob@biloxi.com>;tag=456248\n"
			      "Call-ID: 843817637684230@998sdasdh09\n"
			      "CSeq: 1826 REGISTER\n"
			      "Contact: <sip:bob@192.0.2.4>\n"
			      "Expires: 7200\n"
			      "Content-Length: 0\n\n"),
		"SIP/2.0 200 OK\r\n"
		"Via: SIP/2.0/UDP "
		"bobspc.biloxi.com:5060;received=192.0.2.4;branch=z9hG4bKnashds7\r\n"
		"From: Bob <sip:bob@biloxi.com>;tag=456248\r\n"
		"To: Bob <sip:bob@biloxi.com>;tag=T\r\n"
		"Call-ID: 843817637684230@998sdasdh09\r\n"
		"CSeq: 1826 REGISTER\r\n"
		"Contact: <sip:bob@192.0.2.4>;expires=7200\r\n"
		"Content-Length: 0\r\n\r\n");
	stage_close(s);
}

/* RFC 3327 5.5.2's REGISTER as it comes to the registrar, and its 200. */
static void rfc_3327_5_5(void **state)
{
	struct stage *s = stage_open("modparam(\"registrar\", \"use_path\", 1)\n"
				     "modparam(\"registrar\", \"service_route\", "
				     "\"<sip:P2.HOME.EXAMPLE.COM;lr>\")",
		"\tsave(\"location\");");
	const char *reply =
		stage_send(s, "REGISTER sip:REGISTRAR.EXAMPLE.COM SIP/2.0\n"
			      "Via: SIP/2.0/UDP 10.3.3.3:5060;branch=z9hG4bKnashds7\n"
			      "Via: SIP/2.0/UDP 10.1.1.1:5060;branch=z9hG4bKnashds8\n"
			      "Via: SIP/2.0/UDP 10.4.4.4;branch=z9hG4bKnashds9\n"
			      "Max-Forwards: 68\n"
			      "To: UA1 <sip:UA1@EXAMPLE.COM>\n"
			      "From: UA1 <sip:UA1@EXAMPLE.COM>;tag=456248\n"
			      "Call-ID: 843817637684230@998sdasdh09\n"
			      "CSeq: 1826 REGISTER\n"
			      "Contact: <sip:UA1@192.0.2.4>\n"
			      "Supported: path\n"
			      "Path: <sip:P3.EXAMPLE.COM;lr>,<sip:P1.EXAMPLEVISITED.COM;lr>\n"
			      "Content-Length: 0\n\n");

	assert_contact(reply, "<sip:UA1@192.0.2.4>;expires=3600");
	assert_string_equal(
		line(reply, "Path"), "<sip:P3.EXAMPLE.COM;lr>,<sip:P1.EXAMPLEVISITED.COM;lr>");
	assert_string_equal(line(reply, "Service-Route"), "<sip:P2.HOME.EXAMPLE.COM;lr>");
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bob_registers_updates_asks_and_cancels),
		cmocka_unit_test(rfc_3261_24_1),
		cmocka_unit_test(rfc_3327_5_5),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
