/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The messages of RFC 4475 and RFC 5118, read from the corpus outside this tree: what index and
 * check give for each, and the sentence of the RFC that asks for it. That the sentence stands there
 * is tested too, where the RFC's text is at hand. golden/torture.txt holds messages of our own for
 * the same points.
 *
 * What a proxy does at a later stage (420, 483, a response toward the broadcast address) is FORWARD
 * here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "message.h"

#define FORWARD 200
#define DROP 0

static char text[TEST_TEXT_MAX];
static char rfc[512 * 1024];
static struct sip_msg msg;

struct torture {
	const char *name;
	enum sip_error error; /* of the index or else the check */
	unsigned outcome;     /* FORWARD, DROP or the status of a reply */
	const char *sentence;
};

static const struct torture rfc4475[] = {
	/* 3.1.1 valid messages */
	{"wsinv", SIP_OK, FORWARD, "All elements should treat this as a well-formed request."},
	{"intmeth", SIP_OK, FORWARD, "the proxy will forward this request normally."},
	{"esc01", SIP_OK, FORWARD, "A parser must accept this as a well-formed message."},
	{"escnull", SIP_OK, FORWARD,
		"The message is well formed - parsers must accept this message."},
	{"esc02", SIP_OK, FORWARD, "A parser should accept this message as well formed."},
	{"lwsdisp", SIP_OK, FORWARD, "Elements should accept this request as well formed."},
	{"longreq", SIP_OK, FORWARD,
		"This well-formed request contains header fields with many values and values that "
		"are "
		"very long."},
	{"dblreq", SIP_OK, FORWARD,
		"If the element is a proxy choosing to forward the REGISTER, the INVITE octets "
		"would "
		"not appear in the forwarded request."},
	{"semiuri", SIP_OK, FORWARD,
		"Receiving elements will accept this as a well-formed message."},
	{"transports", SIP_OK, FORWARD, "Parsers must accept this message as well formed."},
	{"mpart01", SIP_OK, FORWARD,
		"Parsers must accept this message as well formed, even if the application above "
		"the "
		"parser does not support multipart/signed."},
	{"unreason", SIP_OK, FORWARD,
		"This response is well formed. A parser must accept this message."},
	{"noreason", SIP_OK, FORWARD,
		"This well-formed response contains no reason phrase. A parser must accept this "
		"message."},
	/* 3.1.2 invalid messages */
	{"badinv01", SIP_ERROR_VIA, 400,
		"An element receiving this request should respond with a 400 Bad Request error."},
	{"clerr", SIP_ERROR_BODY_SHORT, 400,
		"the receiving element should respond with a 400 Bad Request error."},
	{"ncl", SIP_ERROR_CONTENT_LENGTH, 400,
		"An element receiving this message should respond with an error."},
	{"scalar02", SIP_ERROR_CSEQ, 400,
		"An element receiving this request should respond with a 400 Bad Request due to "
		"the "
		"CSeq error."},
	{"scalarlg", SIP_ERROR_CSEQ, DROP,
		"An element receiving this response will simply discard it."},
	{"quotbal", SIP_ERROR_TO, 400,
		"An element receiving this request should return a 400 Bad Request error."},
	{"ltgtruri", SIP_ERROR_URI, 400,
		"It is reasonable always to reject a request with this error with a 400 Bad "
		"Request."},
	{"lwsruri", SIP_ERROR_URI, 400,
		"An element receiving this request should respond with a 400 Bad Request."},
	{"lwsstart", SIP_ERROR_START_LINE, 400,
		"It is acceptable to reject this request as malformed."},
	{"trws", SIP_ERROR_START_LINE, 400,
		"It is acceptable to reject this request as malformed."},
	{"escruri", SIP_ERROR_URI_HEADERS, 400,
		"It is acceptable for an element to reject this request with a 400 Bad Request."},
	{"baddate", SIP_OK, FORWARD,
		"an element shouldn't do that unless the contents of the Date header field were "
		"actually important to its processing"},
	{"regbadct", SIP_ERROR_CONTACT, 400,
		"It is reasonable for an element receiving this request to respond with a 400 Bad "
		"Request."},
	{"badaspec", SIP_ERROR_TO, 400,
		"It is reasonable to reject this request with a 400 Bad Request response."},
	/* The archive's copy lacks the blank line, so this is what is found first; the names:
	   below. */
	{"baddn", SIP_ERROR_NO_BLANK_LINE, 400,
		"It is reasonable always to reject this kind of error with a 400 Bad Request "
		"response."},
	{"badvers", SIP_ERROR_VERSION, 505,
		"The element should respond to the request with a 505 Version Not Supported "
		"error."},
	{"mismatch01", SIP_ERROR_CSEQ_METHOD, 400,
		"Any element receiving this request will respond with a 400 Bad Request."},
	{"mismatch02", SIP_ERROR_CSEQ_METHOD_UNKNOWN, 501,
		"Any element receiving this response should respond with a 501 Not Implemented."},
	{"bigcode", SIP_ERROR_STATUS, DROP,
		"An element receiving this response should simply drop it."},
	/* 3.2 transaction layer */
	{"badbranch", SIP_OK, FORWARD,
		"or it could fall back to the RFC 2543-style transaction identifier."},
	/* 3.3 application layer */
	{"insuf", SIP_ERROR_MISSING_FROM, 400,
		"Ideally, it will respond with a 400 Bad Request error."},
	{"unkscm", SIP_ERROR_URI_SCHEME, 416,
		"An element receiving this request will reject it with a 416 Unsupported URI "
		"Scheme "
		"response."},
	{"novelsc", SIP_ERROR_URI_SCHEME, 416,
		"it is appropriate to treat it as unknown and return a 416 Unsupported URI Scheme "
		"response."},
	{"unksm2", SIP_OK, FORWARD,
		"Proxies should treat this message as they would any other request for this URI."},
	{"bext01", SIP_OK, FORWARD,
		"Any element receiving this request will respond with a 420 Bad Extension "
		"response"},
	{"invut", SIP_OK, FORWARD,
		"A proxy receiving this request would process it just as it would any other "
		"INVITE."},
	{"regaut01", SIP_OK, FORWARD,
		"A proxy will treat this request as it would any other REGISTER."},
	{"multi01", SIP_ERROR_DUPLICATE, 400,
		"An element receiving this request would respond with a 400 Bad Request error."},
	{"mcl01", SIP_ERROR_DUPLICATE, 400,
		"An element receiving this message should respond with an error."},
	{"bcast", SIP_OK, FORWARD,
		"The message is well formed; parsers must not fail when receiving it."},
	{"zeromf", SIP_OK, FORWARD,
		"This is a legal SIP request with the Max-Forwards header field value set to "
		"zero."},
	{"cparam01", SIP_OK, FORWARD, "This REGISTER should succeed."},
	{"cparam02", SIP_OK, FORWARD, "The register should succeed"},
	{"regescrt", SIP_OK, FORWARD, "The register should succeed"},
	{"sdp01", SIP_OK, FORWARD,
		"The recipient of this request could respond with a 406 Not Acceptable"},
	{"inv2543", SIP_OK, FORWARD,
		"should be accepted by RFC 3261 elements that want to maintain backwards "
		"compatibility."},
};

static const struct torture rfc5118[] = {
	{"ipv6-good", SIP_OK, FORWARD,
		"The request below is well-formatted according to the grammar in [RFC3261]."},
	{"ipv6-bad", SIP_ERROR_URI, 400,
		"A SIP implementation receiving this request should respond with a 400 Bad Request "
		"error."},
	{"port-ambiguous", SIP_OK, FORWARD,
		"From a parsing perspective, the request below is well-formed."},
	{"port-unambiguous", SIP_OK, FORWARD,
		"This REGISTER request is well formatted per the grammar in [RFC3261]."},
	{"via-received-param-with-delim", SIP_OK, FORWARD,
		"robust implementations must nonetheless be able to parse the topmost Via header "
		"field and continue processing the request."},
	{"via-received-param-no-delim", SIP_OK, FORWARD,
		"This request is valid according to the grammar in [RFC3261]."},
	{"ipv6-in-sdp", SIP_OK, FORWARD,
		"This request below is valid and well-formed according to the grammar in "
		"[RFC3261]."},
	{"mult-ip-in-header", SIP_OK, FORWARD,
		"The Via list contains a mix of IPv4 addresses and IPv6 references."},
	{"mult-ip-in-sdp", SIP_OK, FORWARD,
		"The SDP contains multiple media lines, and each media line is identified by a "
		"different network connection address."},
	{"ipv4-mapped-ipv6", SIP_OK, FORWARD,
		"A SIP implementation receiving a message that contains such a mapped address must "
		"be "
		"prepared to parse it successfully."},
	{"ipv6-bug-abnf-3-colons", SIP_OK, FORWARD,
		"an implementation must tolerate both of the above constructs."},
	{"ipv6-correct-abnf-2-colons", SIP_OK, FORWARD,
		"The next message has the correct syntax for the IPv6 reference in the R-URI."},
};

static bool read_message(const char *folder, const char *name, const char *ending, uint32_t *len)
{
	char relative[256], path[1024];

	snprintf(relative, sizeof(relative), "corpus/%s/%s.%s", folder, name, ending);
	test_shared_path(path, sizeof(path), relative);
	return test_read_file(path, text, sizeof(text), len);
}

static enum sip_error verdict(const char *name, uint32_t len, unsigned *outcome)
{
	enum sip_error index, check, error;
	const char *wrong = test_every_way(str_of(text, len), &msg, &index, &check);

	if (wrong != NULL)
		fail_msg("%s: %s", name, wrong);
	error = index != SIP_OK ? index : check;
	*outcome = error == SIP_OK           ? FORWARD
		   : sip_msg_can_reply(&msg) ? sip_error_status(error)
					     : DROP;
	return error;
}

static void run(const struct torture *list, size_t count, const char *folder, const char *ending)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t len;
		unsigned outcome;

		if (!read_message(folder, list[i].name, ending, &len)) {
			print_message("no %s/%s.%s: skipped\n", folder, list[i].name, ending);
			skip();
		}

		enum sip_error error = verdict(list[i].name, len, &outcome);

		if (error != list[i].error || outcome != list[i].outcome)
			fail_msg("%s: %s and %u, not %s and %u", list[i].name,
				sip_error_name(error), outcome, sip_error_name(list[i].error),
				list[i].outcome);
	}
}

static void test_rfc4475_messages_get_what_it_asks_for(void **state)
{
	assert_int_equal(sizeof(rfc4475) / sizeof(rfc4475[0]), 49);
	run(rfc4475, sizeof(rfc4475) / sizeof(rfc4475[0]), "rfc4475", "dat");
}

static void test_rfc5118_messages_get_what_it_asks_for(void **state)
{
	run(rfc5118, sizeof(rfc5118) / sizeof(rfc5118[0]), "rfc5118-crlf", "sip");
}

/* RFC 4475 3.1.2.15 with the blank line that its archive lacks: the display names are what is
 * wrong. */
static void test_baddn_with_its_blank_line(void **state)
{
	unsigned outcome;
	uint32_t len;

	if (!read_message("rfc4475", "baddn", "dat", &len)) {
		print_message("no rfc4475/%s.dat\n", "baddn");
		skip();
	}
	memcpy(text + len, "\r\n", 2);
	assert_int_equal(verdict("baddn", len + 2, &outcome), SIP_ERROR_FROM);
	assert_int_equal(outcome, 400);
}

static void expect(struct sip_span span, const char *want)
{
	struct str got = sip_text(text, span);

	if (!str_eq(got, str_c(want)))
		fail_msg("'%.*s' is not '%s'", STR_FMT(got), want);
}

static void load(const char *name)
{
	unsigned outcome;
	uint32_t len;

	if (!read_message("rfc4475", name, "dat", &len)) {
		print_message("no rfc4475/%s.dat\n", name);
		skip();
	}
	verdict(name, len, &outcome);
}

/* RFC 4475 3.1.1.1: what folding and LWS must not hide. */
static void test_wsinv_is_read_through_its_folds(void **state)
{
	load("wsinv");
	expect(sip_msg_to(&msg, text)->tag, "1918181833n");
	expect(sip_msg_from(&msg, text)->tag, "98asjd8");
	expect(sip_msg_from(&msg, text)->uri, "sip:jdrosen@example.com");
	assert_true(sip_msg_cseq(&msg, text) && sip_msg_max_forwards(&msg, text));
	assert_int_equal(msg.cseq_number, 9);
	assert_int_equal(msg.cseq_method, SIP_METHOD_INVITE);
	assert_int_equal(msg.max_forwards, 68);
	expect(sip_msg_via(&msg, text, 0)->host, "192.0.2.2");
	expect(sip_msg_via(&msg, text, 0)->branch, "390skdjuw");
	expect(sip_msg_via(&msg, text, 1)->host, "spindle.example.com");
	expect(sip_msg_via(&msg, text, 1)->branch, "z9hG4bK9ikj8");
	expect(sip_msg_value(&msg, SIP_HEADER_SUBJECT), "");
	expect(sip_header_value(
		       sip_msg_header_named(&msg, text, STR("unknownheaderwithunusualvalue"))),
		";;,,;;,;");
	assert_int_equal(msg.body_len, 150);
}

static void test_dblreq_is_one_register_without_a_body(void **state)
{
	load("dblreq");
	assert_int_equal(msg.body_len, 0);
	assert_int_equal(msg.len, msg.body);
	assert_int_equal(msg.method, SIP_METHOD_REGISTER);
}

static void test_esc02_has_two_contacts_and_an_unknown_method(void **state)
{
	load("esc02");
	assert_int_equal(msg.method, SIP_METHOD_OTHER);
	assert_non_null(sip_msg_header(&msg, SIP_HEADER_CONTACT, 1));
	assert_null(sip_msg_header(&msg, SIP_HEADER_CONTACT, 2));
}

static void test_semiuri_keeps_its_parameter_in_the_user_part(void **state)
{
	load("semiuri");
	expect(sip_msg_uri(&msg, text)->user, "user;par=u%40example.net");
}

static void test_longreq_has_34_vias(void **state)
{
	unsigned n = 0;

	load("longreq");
	SIP_MSG_FOREACH (&msg, SIP_HEADER_VIA, h)
		n++;
	assert_int_equal(n, 34);
}

static void test_mpart01_has_its_whole_binary_body(void **state)
{
	load("mpart01");
	assert_int_equal(msg.body_len, 553);
}

/* ---- the sentences ---- */

static bool is_page_break(const char *line)
{
	return strncmp(line, "RFC ", 4) == 0 || strstr(line, "[Page ") != NULL;
}

/* The RFC's text as words with one space between them, without what stands at the page breaks. */
static bool read_rfc(const char *name)
{
	char path[1024], line[1024];
	size_t used = 0;

	test_shared_path(path, sizeof(path), name);

	FILE *file = fopen(path, "r");

	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (is_page_break(line))
			continue;
		for (char *word = strtok(line, " \t\r\n\f"); word != NULL;
			word = strtok(NULL, " \t\r\n\f"))
			if (used + strlen(word) + 2 < sizeof(rfc))
				used += (size_t)sprintf(rfc + used, "%s ", word);
	}
	fclose(file);
	return true;
}

static void find_sentences(const char *name, const struct torture *list, size_t count)
{
	if (!read_rfc(name)) {
		print_message("no %s: skipped\n", name);
		skip();
	}
	for (size_t i = 0; i < count; i++)
		if (strstr(rfc, list[i].sentence) == NULL)
			fail_msg("%s: the RFC does not say '%s'", list[i].name, list[i].sentence);
}

static void test_rfc4475_says_so(void **state)
{
	find_sentences("rfc/rfc4475.txt", rfc4475, sizeof(rfc4475) / sizeof(rfc4475[0]));
}

static void test_rfc5118_says_so(void **state)
{
	find_sentences("rfc/rfc5118.txt", rfc5118, sizeof(rfc5118) / sizeof(rfc5118[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc4475_messages_get_what_it_asks_for),
		cmocka_unit_test(test_rfc5118_messages_get_what_it_asks_for),
		cmocka_unit_test(test_baddn_with_its_blank_line),
		cmocka_unit_test(test_wsinv_is_read_through_its_folds),
		cmocka_unit_test(test_dblreq_is_one_register_without_a_body),
		cmocka_unit_test(test_esc02_has_two_contacts_and_an_unknown_method),
		cmocka_unit_test(test_semiuri_keeps_its_parameter_in_the_user_part),
		cmocka_unit_test(test_longreq_has_34_vias),
		cmocka_unit_test(test_mpart01_has_its_whole_binary_body),
		cmocka_unit_test(test_rfc4475_says_so),
		cmocka_unit_test(test_rfc5118_says_so),
	};

	test_scanners_find();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
