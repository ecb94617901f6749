/* SPDX-License-Identifier: BSD-3-Clause */
/* The functions of the core, textops and pv: what they answer, and what they do to the message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fixture.h"
#include "route/function.h"

static const char invite[] = "INVITE sip:+4930123@gw.example.com;user=phone;x=Y SIP/2.0\n"
			     "Via: SIP/2.0/UDP 192.0.2.7:40000;branch=z9hG4bKa1\n"
			     "From: <sip:alice@a.example>;tag=1\n"
			     "To: <sip:bob@b.example>\n"
			     "Call-ID: c1\n"
			     "CSeq: 1 INVITE\n"
			     "X-One: first\n"
			     "Subject: hello\n"
			     "x-ONE\t: second\n"
			     "s: again\n"
			     "X-Evil: a\n"
			     " b\n"
			     "X-One:third\n"
			     " folded\n"
			     "Content-Type: application/sdp;charset=utf-8\n"
			     "Content-Length: 29\n"
			     "\n"
			     "v=0\n"
			     "c=IN IP4 10.0.0.1\n"
			     "t=0\n";

static const char bye_200[] = "SIP/2.0 200 OK\n"
			      "Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKb\n"
			      "From: <sip:alice@a.example>;tag=1\n"
			      "To: <sip:bob@b.example>;tag=2\n"
			      "Call-ID: c1\n"
			      "CSeq: 2 BYE\n"
			      "\n";

static const char extension[] = "SPIRAL tel:+1234 SIP/2.0\n"
				"Via: SIP/2.0/UDP 192.0.2.7:40000;branch=z9hG4bKa1\n"
				"From: <sip:alice@a.example>;tag=1\n"
				"To: <sip:bob@b.example>;tag=2\n"
				"Call-ID: c1\n"
				"CSeq: 1 SPIRAL\n"
				"\n";

static const char lower[] = "invite sip:bob@b.example SIP/2.0\nCall-ID: c1\n\n";
static const char optional[] = "INVITE sip:bob@b.example SIP/2.0\n"
			       "Call-ID: c1\n"
			       "Supported: 100rel\n"
			       "k: gruu , path\n"
			       "Privacy: id; critical\n"
			       "\n";
static const char nobody[] = "INVITE sip:example.com;lr SIP/2.0\nCall-ID: 1\n\n";
static const char password[] = "INVITE sips:u:pw@[2001:db8::1]:5071;a=b SIP/2.0\nCall-ID: 1\n\n";
static const char urn[] = "INVITE urn:service:sos SIP/2.0\nCall-ID: 1\n\n";
static const char malformed[] = "INVITE sip: SIP/2.0\nCall-ID: 1\n\n";

struct call {
	const char *message, *function, *arg[2];
	int32_t rc;
};

static void check_calls(const struct call *row, unsigned rows)
{
	struct fixture *f = fixture_create();

	for (unsigned i = 0; i < rows; i++) {
		fixture_message(f, row[i].message);
		int32_t rc = fixture_call(f, row[i].function, row[i].arg[0], row[i].arg[1], NULL);

		if (rc != row[i].rc)
			fail_msg("%s(\"%s\", \"%s\") of %.30s is %d", row[i].function,
				row[i].arg[0], row[i].arg[1], row[i].message, rc);
	}
	fixture_destroy(f);
}
#define CHECK_CALLS(rows) check_calls(rows, sizeof(rows) / sizeof((rows)[0]))
#define YES ROUTE_TRUE
#define NO ROUTE_FALSE

static void test_is_method(void **state)
{
	static const struct call rows[] = {
		{invite, "is_method", {"INVITE"}, YES},
		{invite, "is_method", {"ACK|INVITE"}, YES},
		{invite, "is_method", {"ACK | INVITE"}, YES},
		{invite, "is_method", {"ACK|BYE|CANCEL"}, NO},
		/* Of the script; on the wire there is one letter case (RFC 3261 7.1). */
		{invite, "is_method", {"invite"}, YES},
		{lower, "is_method", {"INVITE|invite"}, NO},
		{invite, "is_method", {"SPIRAL|INVITE"}, YES},
		{invite, "is_method", {"$rm"}, YES},
		{invite, "is_method", {"BYE|$rm"}, YES},
		{invite, "is_method", {"X$rm"}, NO},
		/* A response is of the method of its CSeq. */
		{bye_200, "is_method", {"BYE"}, YES},
		{bye_200, "is_method", {"INVITE"}, NO},
		{extension, "is_method", {"SPIRAL"}, YES},
		{extension, "is_method", {"BYE|SPIRAL"}, YES},
		{extension, "is_method", {"SPIRALX|SPIRA"}, NO},
		{extension, "is_method", {"BYE"}, NO},
		{invite, "is_method", {""}, NOT_LOADED},
		{invite, "is_method", {"INVITE||ACK"}, NOT_LOADED},
		{invite, "is_method", {"INVITE|"}, NOT_LOADED},
	};

	CHECK_CALLS(rows);
}

static bool contains_slowly(struct str text, struct str part, bool any_case)
{
	for (uint32_t i = 0; part.len != 0 && i + part.len <= text.len; i++) {
		struct str here = str_of(text.s + i, part.len);

		if (any_case ? str_ieq(here, part) : str_eq(here, part))
			return true;
	}
	return false;
}

/* Each text of up to 10 letters a, A and b, and each part of up to 5 of them: all periods and none.
 */
static void test_a_part_is_found_where_it_is(void **state)
{
	char text[10], part[5];
	unsigned found = 0, parts = 1;

	for (unsigned n = 0; n <= sizeof(part); n++, parts *= 3) {
		for (unsigned p = 0; p < parts; p++) {
			for (unsigned i = 0, rest = p; i < n; i++, rest /= 3)
				part[i] = "aAb"[rest % 3];
			for (unsigned t = 0; t < 59049; t += 1 + t % 23) {
				struct str all = str_of(text, t % (sizeof(text) + 1));

				for (unsigned i = 0, rest = t; i < sizeof(text); i++, rest /= 3)
					text[i] = "abA"[rest % 3];
				for (unsigned any = 0; any < 2; any++) {
					bool is = contains_slowly(all, str_of(part, n), any != 0);

					assert_int_equal(
						text_contains(all, str_of(part, n), any != 0), is);
					found += is;
				}
			}
		}
	}
	assert_true(found > 10000);
}

/* Half a message that nearly is at each place of a whole one: twenty times sooner found out than by
 * comparing there, by the CPU's time of both. */
static void test_nearly_found_takes_no_time(void **state)
{
	const uint32_t n = 60000, half = n / 2;
	struct str text = str_of(malloc(n), n), part = str_of(malloc(half), half);
	char *t = (char *)(uintptr_t)text.s, *p = (char *)(uintptr_t)part.s;
	clock_t began, slowly;

	memset(t, 'a', n);
	memset(p, 'A', half);
	p[half - 1] = 'b';
	began = clock();
	assert_false(contains_slowly(text, part, true));
	slowly = clock() - began;
	began = clock();
	for (unsigned i = 0; i < 5; i++) {
		p[half - 1] = 'b';
		assert_false(text_contains(text, part, true));
		p[half - 1] = 'A';
		p[i] = 'b';
		assert_false(text_contains(text, part, true));
		t[half + i] = 'B';
		assert_true(text_contains(text, part, true));
		t[half + i] = 'a';
		p[i] = 'A';
		assert_false(text_contains(text, part, false));
	}
	assert_true(clock() - began < slowly);
	assert_true(text_contains(text, part, true));
	free(t);
	free(p);
}

static void test_questions_about_texts_and_uris(void **state)
{
	static const struct call rows[] = {
		{invite, "ends_with", {"$rd", ".example.com"}, YES},
		{invite, "ends_with", {"com", "example.com"}, NO},
		{invite, "ends_with", {"com", ""}, YES},
		{invite, "str_find", {"$rd", "example"}, YES},
		{invite, "str_find", {"$rd", "EXAMPLE"}, NO},
		{invite, "str_find", {"ab", "abc"}, NO},
		{invite, "str_find", {"ab", ""}, NO},
		{invite, "str_ifind", {"$rd", "EXAMPLE"}, YES},
		{invite, "str_ifind", {"$rd", "m"}, YES},
		{invite, "is_e164", {"$rU"}, YES},
		{invite, "is_e164", {"+1"}, NO},
		{invite, "is_e164", {"+12"}, YES},
		{invite, "is_e164", {"+123456789012345"}, YES},
		{invite, "is_e164", {"+1234567890123456"}, NO},
		{invite, "is_e164", {"493012345"}, NO},
		{invite, "is_e164", {"+49a0123"}, NO},
		{invite, "is_uri_user_e164", {"$ru"}, YES},
		{invite, "is_uri_user_e164", {"$fu"}, NO},
		{invite, "is_uri_user_e164", {"no uri"}, NO},
		{invite, "is_alphanum", {"aZ09"}, YES},
		{invite, "is_alphanum", {"a-b"}, NO},
		{invite, "is_alphanum", {""}, NO},
		{invite, "is_alphanumex", {"a-b_c", "-_"}, YES},
		{invite, "is_alphanumex", {"a.b", "-_"}, NO},
		{invite, "is_alphanumex", {"a\xc3\xa4", "\xc3\xa4"}, YES},
		{invite, "is_alphanumex", {"a\xc3\xa4", "\xc3"}, NO},
		{invite, "cmp_aor", {"sip:a@b;x=1", "sip:a@B:5060"}, YES},
		{invite, "cmp_aor", {"sip:a@b", "sip:A@b"}, NO},
		{invite, "cmp_aor", {"sip:a@b", "sip:a@b:5061"}, NO},
		{invite, "cmp_aor", {"sip:a@b", "b"}, NO},
		{invite, "cmp_hdr_name", {"s", "Subject"}, YES},
		{invite, "cmp_hdr_name", {"X-One", "x-one"}, YES},
		{invite, "cmp_hdr_name", {"X-One", "X-Two"}, NO},
		{invite, "cmp_hdr_name", {"X-One", "Subject"}, NO},
		{invite, "is_supported", {"path"}, NO},
		{optional, "is_supported", {"path"}, YES},
		{optional, "is_supported", {"GRUU"}, YES},
		{optional, "is_supported", {"pat"}, NO},
		{optional, "is_privacy", {"id"}, YES},
		{optional, "is_privacy", {"critical"}, YES},
		{optional, "is_privacy", {"user"}, NO},
		{invite, "is_privacy", {"id"}, NO},
		{invite, "is_privacy", {"secret"}, NOT_LOADED},
		{invite, "uri_param_any", {"x"}, YES},
		{invite, "uri_param_any", {"y"}, NO},
		{invite, "has_totag", {NULL}, NO},
		{bye_200, "has_totag", {NULL}, YES},
		{urn, "has_totag", {NULL}, NO},
		{invite, "is_request", {NULL}, YES},
		{bye_200, "is_request", {NULL}, NO},
		{bye_200, "is_reply", {NULL}, YES},
		{invite, "has_body", {NULL}, YES},
		{bye_200, "has_body", {NULL}, NO},
		{invite, "has_body", {"application/sdp"}, YES},
		{invite, "has_body", {"Application/SDP"}, YES},
		{invite, "has_body", {"application/sd"}, NO},
		{invite, "has_body", {"$cT"}, YES},
		{bye_200, "has_body", {"application/sdp"}, NO},
		{invite, "has_body", {"sdp"}, NOT_LOADED},
		/* With one argument a parameter that has no value is asked for. */
		{invite, "uri_param", {"user"}, NO},
		{invite, "uri_param_any", {"user"}, YES},
		{invite, "uri_param", {"USER", "Phone"}, YES},
		{invite, "uri_param", {"x", "z"}, NO},
		{invite, "uri_param", {"lr"}, NO},
		{nobody, "uri_param", {"lr"}, YES},
		{malformed, "uri_param", {"lr"}, NO},
		{bye_200, "uri_param", {"lr"}, NO},
		{invite, "is_uri", {"sip:a@b"}, YES},
		{invite, "is_uri", {"tel:+1"}, YES},
		{invite, "is_uri", {"urn:x:y"}, NO},
		{invite, "is_uri", {"a@b"}, NO},
		{invite, "is_uri", {"sip:a b@c"}, NO},
		{invite, "is_uri", {""}, NO},
		{invite, "is_tel_number", {"$rU"}, YES},
		{invite, "is_tel_number", {"+"}, NO},
		{invite, "is_tel_number", {"12a"}, NO},
		{invite, "is_tel_number", {"++1"}, NO},
		{invite, "is_numeric", {"$rU"}, NO},
		{invite, "is_numeric", {"$cs"}, YES},
		{invite, "cmp_uri", {"sip:%61lice@EXAMPLE.com", "sip:alice@example.com"}, YES},
		{invite, "cmp_uri", {"sip:Alice@example.com", "sip:alice@example.com"}, NO},
		{invite, "cmp_str", {"$rm", "INVITE"}, YES},
		{invite, "cmp_str", {"$rm", "invite"}, NO},
		{invite, "cmp_istr", {"$rm", "invite"}, YES},
		{invite, "cmp_istr", {"$rm", "invit"}, NO},
		{invite, "starts_with", {"$rm", "INV"}, YES},
		{invite, "starts_with", {"$rm", "inv"}, NO},
		{invite, "starts_with", {"IN", "$rm"}, NO},
		{invite, "starts_with", {"$rm", ""}, YES},
		{invite, "pv_isset", {"$rU"}, YES},
		{nobody, "pv_isset", {"$rU"}, NO},
		{invite, "pv_isset", {"$hdr(X-One)"}, YES},
		{invite, "pv_isset", {"$hdr(X-Two)"}, NO},
		{invite, "pv_isset", {"$var(a)"}, NO},
		{invite, "pv_isset", {"rU"}, NOT_LOADED},
		{invite, "pv_isset", {"$nosuch"}, NOT_LOADED},
		{invite, "pv_isset", {"$rU$rd"}, NOT_LOADED},
		{invite, "pv_unset", {"$rm"}, NOT_LOADED},
		{invite, "is_int", {"$cs"}, YES},
		{invite, "is_int", {"$rm"}, NO},
		{invite, "is_int", {"$hdr(X-Two)"}, NO},
	};
	struct fixture *f = fixture_create();

	CHECK_CALLS(rows);
	fixture_message(f, invite);
	assert_int_equal(fixture_call(f, "in_list", "b", "a, b,c", ",", NULL), YES);
	assert_int_equal(fixture_call(f, "in_list", "c", "a, b,c", ",", NULL), YES);
	assert_int_equal(fixture_call(f, "in_list", "d", "a, b,c", ",", NULL), NO);
	assert_int_equal(fixture_call(f, "in_list", "d", "a, b,c", ", ", NULL), NOT_LOADED);
	assert_int_equal(fixture_call(f, "in_list_prefix", "bcd", "a, bc,x", ",", NULL), YES);
	assert_int_equal(fixture_call(f, "in_list_prefix", "b", "a, bc,x", ",", NULL), NO);
	assert_int_equal(fixture_call(f, "in_list_prefix", "a", "a, bc,x", ",", NULL), YES);
	assert_int_equal(fixture_call(f, "in_list_prefix", "cab", "a, bc,x", ",", NULL), NO);
	fixture_destroy(f);
}

static void test_a_date_of_now(void **state)
{
	struct fixture *f = fixture_create();
	time_t before = time(NULL), after;
	struct str line;
	struct tm at = {0};
	const char *date;

	fixture_message(f, invite);
	assert_int_equal(fixture_call(f, "append_time", NULL), YES);
	line = route_text_str(f->ctx, f->ctx->result.headers);
	assert_true(str_istarts(line, STR("Date: ")));
	assert_int_equal(line.len, strlen("Date: Sat, 13 Nov 2010 23:29:00 GMT\r\n"));
	assert_int_equal(fixture_call(f, "append_time_to_request", NULL), YES);
	date = strstr(fixture_output(f), "\nDate: ");
	assert_non_null(date);
	after = time(NULL);
	assert_non_null(strptime(date + 7, "%a, %d %b %Y %H:%M:%S GMT", &at));
	assert_in_range(timegm(&at), before, after);
	fixture_destroy(f);
}

struct rewrite {
	const char *message, *function, *arg;
	int32_t rc;
	const char *after;
};

static void test_rewriting_the_request_uri(void **state)
{
	static const char user_phone[] = "sip:+4930123@gw.example.com;user=phone;x=Y";
	static const struct rewrite rows[] = {
		{invite, "add_uri_param", "lr", YES,
			"sip:+4930123@gw.example.com;user=phone;x=Y;lr"},
		{invite, "add_uri_param", "a=$cs", YES,
			"sip:+4930123@gw.example.com;user=phone;x=Y;a=1"},
		{invite, "add_uri_param", "x@evil.example", NO, user_phone},
		{invite, "add_uri_param", "x?Subject=1", NO, user_phone},
		{invite, "add_uri_param", "a b", NO, user_phone},
		{invite, "add_uri_param", "", NO, user_phone},
		{invite, "sethost", "h.example", YES, "sip:+4930123@h.example;user=phone;x=Y"},
		{invite, "rewritehost", "h.example", YES, "sip:+4930123@h.example;user=phone;x=Y"},
		{invite, "sethost", "$fd", YES, "sip:+4930123@a.example;user=phone;x=Y"},
		{invite, "sethost", "h;lr", NO, user_phone},
		{invite, "sethost", "", NO, user_phone},
		{invite, "sethost", "$hdr(X-Evil)", NO, user_phone},
		{password, "sethost", "h", YES, "sips:u:pw@h:5071;a=b"},
		{password, "sethostport", "h", YES, "sips:u:pw@h;a=b"},
		{password, "sethostport", "h:1", YES, "sips:u:pw@h:1;a=b"},
		{password, "sethostport", "[2001:db8::2]:7", YES, "sips:u:pw@[2001:db8::2]:7;a=b"},
		{password, "sethostport", "[2001:db8::2]", YES, "sips:u:pw@[2001:db8::2];a=b"},
		{password, "sethostport", "h:0", NO, "sips:u:pw@[2001:db8::1]:5071;a=b"},
		{password, "sethostport", "h:", NO, "sips:u:pw@[2001:db8::1]:5071;a=b"},
		{password, "sethostport", "h:99999", NO, "sips:u:pw@[2001:db8::1]:5071;a=b"},
		{password, "setport", "6000", YES, "sips:u:pw@[2001:db8::1]:6000;a=b"},
		{password, "setport", "", YES, "sips:u:pw@[2001:db8::1];a=b"},
		{password, "setuser", "v", YES, "sips:v:pw@[2001:db8::1]:5071;a=b"},
		{password, "setuser", "", YES, "sips:[2001:db8::1]:5071;a=b"},
		{password, "setuserpass", "v:secret", YES, "sips:v:secret@[2001:db8::1]:5071;a=b"},
		{password, "setuserpass", "v", YES, "sips:v@[2001:db8::1]:5071;a=b"},
		{password, "setuserpass", "v:a@b", NO, "sips:u:pw@[2001:db8::1]:5071;a=b"},
		{invite, "prefix", "00", YES, "sip:00+4930123@gw.example.com;user=phone;x=Y"},
		{invite, "prefix", "a@", NO, user_phone},
		{nobody, "prefix", "9", YES, "sip:9@example.com;lr"},
		{invite, "strip", "1", YES, "sip:4930123@gw.example.com;user=phone;x=Y"},
		{invite, "strip", "0", YES, user_phone},
		{invite, "strip", "100", YES, "sip:gw.example.com;user=phone;x=Y"},
		{invite, "strip", "-1", NOT_LOADED, user_phone},
		{invite, "strip", "x", NOT_LOADED, user_phone},
		{invite, "strip", "$rm", NO, user_phone},
		{invite, "strip_tail", "3", YES, "sip:+4930@gw.example.com;user=phone;x=Y"},
		{nobody, "strip_tail", "3", YES, "sip:example.com;lr"},
		{invite, "seturi", "sip:new@n.example", YES, "sip:new@n.example"},
		{invite, "rewriteuri", "tel:+49", YES, "tel:+49"},
		{invite, "seturi", "sip:a@b\r\nX: y", NO, user_phone},
		{invite, "seturi", "nonsense", NO, user_phone},
		{invite, "subst_uri", "/^sip:([0-9+]+)@(.*)$/sip:u\\1@\\2/", YES,
			"sip:u+4930123@gw.example.com;user=phone;x=Y"},
		{invite, "subst_uri", "!GW!x!i", YES, "sip:+4930123@x.example.com;user=phone;x=Y"},
		{invite, "subst_uri", "/GW/x/", NO, user_phone},
		{nobody, "subst_uri", "/^.*$/\\u;a/", YES, "sip:example.com;lr;a"},
		{invite, "subst_uri", "/e/3/g", YES, "sip:+4930123@gw.3xampl3.com;us3r=phon3;x=Y"},
		{invite, "subst_uri", "/gw/$fU/", YES,
			"sip:+4930123@alice.example.com;user=phone;x=Y"},
		{invite, "subst_uri", "/gw/\\$\\/\\0/", NO, user_phone},
		{invite, "subst_uri", "/user=phone/a=\\$/", YES,
			"sip:+4930123@gw.example.com;a=$;x=Y"},
		{invite, "subst_uri", "/sip/nonsense /", NO, user_phone},
		{invite, "subst_uri", "/gw/$hdr(X-Evil)/", NO, user_phone},
		{invite, "subst_uri", "/$/;z/", YES,
			"sip:+4930123@gw.example.com;user=phone;x=Y;z"},
		{invite, "subst_uri", "/gw/x", NOT_LOADED, user_phone},
		{invite, "subst_uri", "/gw/x/q", NOT_LOADED, user_phone},
		{invite, "subst_uri", "/(/x/", NOT_LOADED, user_phone},
		{invite, "subst_uri", "//x/", NOT_LOADED, user_phone},
		{invite, "subst_uri", "/gw/\\1/", NOT_LOADED, user_phone},
		{invite, "subst_user", "/^\\+49/0/", YES,
			"sip:030123@gw.example.com;user=phone;x=Y"},
		{invite, "subst_user", "/.*//", YES, "sip:gw.example.com;user=phone;x=Y"},
		{invite, "subst_user", "/3/x@y/", NO, user_phone},
		{nobody, "subst_user", "/^$/new/", YES, "sip:new@example.com;lr"},
		/* No part of these can be rewritten: they fail, and stay as they are (P16). */
		{extension, "sethost", "h", NO, "tel:+1234"},
		{extension, "sethostport", "h:1", NO, "tel:+1234"},
		{extension, "setport", "1", NO, "tel:+1234"},
		{extension, "setuser", "u", NO, "tel:+1234"},
		{extension, "setuserpass", "u:p", NO, "tel:+1234"},
		{extension, "prefix", "9", NO, "tel:+1234"},
		{extension, "strip", "1", NO, "tel:+1234"},
		{extension, "strip_tail", "1", NO, "tel:+1234"},
		{extension, "subst_user", "/1/2/", NO, "tel:+1234"},
		{extension, "seturi", "sip:a@b", YES, "sip:a@b"},
		{extension, "subst_uri", "/^tel:(.*)$/sip:\\1@pstn.example/", YES,
			"sip:+1234@pstn.example"},
		{urn, "sethost", "h", NO, "urn:service:sos"},
		{urn, "setuser", "u", NO, "urn:service:sos"},
		{urn, "prefix", "9", NO, "urn:service:sos"},
		{urn, "strip", "1", NO, "urn:service:sos"},
		{malformed, "sethost", "h", NO, "sip:"},
		{malformed, "setuser", "u", NO, "sip:"},
		{malformed, "prefix", "9", NO, "sip:"},
		{malformed, "strip_tail", "1", NO, "sip:"},
		{malformed, "seturi", "sip:a@b", YES, "sip:a@b"},
		{bye_200, "sethost", "h", NO, "NULL"},
		{bye_200, "seturi", "sip:a@b", NO, "NULL"},
		{bye_200, "subst_uri", "/a/b/", NO, "NULL"},
	};
	struct fixture *f = fixture_create();

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fixture_message(f, rows[i].message);
		int32_t rc = fixture_call(f, rows[i].function, rows[i].arg, NULL);
		const char *after = fixture_read(f, "$ru");

		if (rc != rows[i].rc || strcmp(after, rows[i].after) != 0)
			fail_msg("%s(\"%s\") of %.30s is %d and leaves %s", rows[i].function,
				rows[i].arg, rows[i].message, rc, after);
		assert_int_equal(f->ctx->failure, ROUTE_FAILURE_NONE);
	}
	fixture_destroy(f);
}

static void test_changes_of_the_uri_add_up_and_are_taken_back(void **state)
{
	struct fixture *f = fixture_create();

	fixture_message(f, invite);
	assert_int_equal(fixture_call(f, "strip", "3", NULL), YES);
	assert_int_equal(fixture_call(f, "prefix", "0", NULL), YES);
	assert_int_equal(fixture_call(f, "sethostport", "10.0.0.1:5070", NULL), YES);
	assert_string_equal(fixture_read(f, "$ru"), "sip:030123@10.0.0.1:5070;user=phone;x=Y");
	assert_string_equal(fixture_read(f, "$ou"), "sip:+4930123@gw.example.com;user=phone;x=Y");
	assert_int_equal(fixture_call(f, "revert_uri", NULL), YES);
	assert_string_equal(fixture_read(f, "$rd"), "gw.example.com");
	fixture_destroy(f);
}

static void test_destination_and_flags(void **state)
{
	struct fixture *f = fixture_create();

	fixture_message(f, invite);
	assert_int_equal(fixture_call(f, "isdsturiset", NULL), NO);
	assert_int_equal(fixture_call(f, "setdsturi", "sip:10.0.0.1", NULL), YES);
	assert_int_equal(fixture_call(f, "isdsturiset", NULL), YES);
	assert_int_equal(fixture_call(f, "setdsturi", "10.0.0.1", NULL), NO);
	assert_string_equal(fixture_read(f, "$du"), "sip:10.0.0.1");
	assert_int_equal(fixture_call(f, "resetdsturi", NULL), YES);
	assert_int_equal(fixture_call(f, "isdsturiset", NULL), NO);

	assert_int_equal(fixture_call(f, "isflagset", "31", NULL), NO);
	assert_int_equal(fixture_call(f, "setflag", "31", NULL), YES);
	assert_int_equal(fixture_call(f, "setflag", "0", NULL), YES);
	assert_int_equal(fixture_call(f, "isflagset", "31", NULL), YES);
	assert_int_equal(fixture_call(f, "resetflag", "31", NULL), YES);
	assert_int_equal(f->ctx->flags, 1);
	assert_int_equal(fixture_call(f, "setflag", "32", NULL), NOT_LOADED);
	assert_int_equal(fixture_call(f, "setflag", "-1", NULL), NOT_LOADED);
	assert_int_equal(fixture_call(f, "setflag", "x", NULL), NOT_LOADED);
	assert_int_equal(fixture_call(f, "setflag", "$rm", NULL), NO);
	assert_int_equal(fixture_call(f, "setbflag", "3", NULL), YES);
	assert_int_equal(fixture_call(f, "isbflagset", "3", "0", NULL), YES);
	assert_int_equal(fixture_call(f, "isbflagset", "3", "1", NULL), NO);
	assert_int_equal(fixture_call(f, "resetbflag", "3", NULL), YES);
	assert_int_equal(f->ctx->branch_flags, 0);
	fixture_destroy(f);
}

/* How often `what` stands in the output. */
static unsigned times(struct fixture *f, const char *what)
{
	unsigned n = 0;

	for (const char *p = fixture_output(f); (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

static void test_headers_are_added_where_they_belong(void **state)
{
	struct fixture *f = fixture_create();

	fixture_message(f, invite);
	assert_int_equal(fixture_call(f, "append_hf", "A: last\r\n", NULL), YES);
	assert_int_equal(fixture_call(f, "append_hf", "B: later", NULL), YES);
	assert_int_equal(fixture_call(f, "insert_hf", "C: $ci", NULL), YES);
	assert_int_equal(fixture_call(f, "append_hf", "D: behind\r\n", "subject", NULL), YES);
	assert_int_equal(fixture_call(f, "insert_hf", "E: before\r\nE2: two\r\n", "To", NULL), YES);
	assert_int_equal(fixture_call(f, "append_hf", "F: behind a fold", "X-Evil", NULL), YES);
	assert_int_equal(fixture_call(f, "append_hf", "G: behind the third", "x-one", NULL), YES);
	const char *out = fixture_output(f);

	assert_non_null(strstr(out, "SIP/2.0\r\nC: c1\r\nVia:"));
	/* Behind the last of that name, in any spelling. */
	assert_non_null(strstr(out, "s: again\r\nD: behind\r\nX-Evil"));
	assert_non_null(strstr(out, " folded\r\nG: behind the third\r\nContent-Type"));
	assert_non_null(strstr(out, ";tag=1\r\nE: before\r\nE2: two\r\nTo:"));
	assert_non_null(strstr(out, "\r\n b\r\nF: behind a fold\r\nX-One:third"));
	assert_non_null(strstr(out, "Length: 29\r\nA: last\r\nB: later\r\n\r\nv=0"));
	/* What they were made of takes no room. */
	assert_int_equal(f->ctx->text_len, 0);
	fixture_destroy(f);
}

static void test_no_value_smuggles_a_header_in(void **state)
{
	static const struct {
		const char *line;
		int32_t rc;
	} rows[] = {
		/* A value cannot hold a line end but a folding, which is taken out. */
		{"X: $var(e)", NO},
		{"X: $var(e)\r\n", NO},
		{"X: <$var(e)>", NO},
		{"$var(e)", NO},
		{"X$var(e): y", NO},
		{"X: $var(n)", NO},
		{"X: $var(c)", NO},
		{"X: $var(z)", NO},
		{"$var(w)", YES},
		{"$var(w)$var(w)", NO},
		{"X: $var(w)\r\n", NO},
		{"$var(p)", NO},
		{"X: $hdr(X-Evil)\r\n", YES},
		/* The operator's own text is judged when the file is loaded. */
		{"X: y\r\nEvil: z\r\n", YES},
		{"X: y\r\n z\r\n", YES},
		{"X: y\nEvil: z\r\n", NOT_LOADED},
		{"X: y\rEvil: z\r\n", NOT_LOADED},
		{"X: y\n", NOT_LOADED},
		{"X: y\r", NOT_LOADED},
		{"X: y\r\n\r\nv=0", NOT_LOADED},
		{"X: y\r\n\r\n", NOT_LOADED},
		{"X y", NOT_LOADED},
		{": y", NOT_LOADED},
		{" X: y", NOT_LOADED},
		{"X Y: z", NOT_LOADED},
		{"", NOT_LOADED},
		{"no colon $rm\r\n", NO},
		{"$rm\r\nEvil: x", NO},
	};
	static const struct {
		char name;
		struct str text;
	} values[] = {
		{'e', {"a\r\nEvil: b", 10}},
		{'n', {"a\nEvil: b", 9}},
		{'c', {"a\rEvil: b", 9}},
		{'z', {"a\0b", 3}},
		{'w', {"W: x\r\n", 6}},
		{'p', {"plain", 5}},
	};
	struct fixture *f = fixture_create();

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fixture_message(f, invite);
		for (unsigned n = 0; n < sizeof(values) / sizeof(values[0]); n++) {
			int slot = route_var_slot(str_of(&values[n].name, 1));

			f->ctx->var_set |= 1ULL << slot;
			f->ctx->var[slot] = (struct route_cell){
				.type = ROUTE_STR, .text = route_text_make(f->ctx, values[n].text)};
		}
		uint32_t mark = f->ctx->text_len;
		const char *const function[] = {"append_hf", "insert_hf", "append_to_reply"};

		for (unsigned n = 0; n < 3; n++) {
			int32_t rc = fixture_call(f, function[n], rows[i].line, NULL);

			if (rc != rows[i].rc)
				fail_msg("%s(\"%s\") is %d", function[n], rows[i].line, rc);
			if (rc != YES) {
				assert_int_equal(f->ctx->edits.count, 0);
				assert_int_equal(f->ctx->text_len, mark);
				assert_int_equal(f->ctx->result.headers.len, 0);
			}
		}
		/* Whatever was added, the message has as many lines more as the operator wrote. */
		assert_int_equal(times(f, "\r\nEvil:"),
			strstr(rows[i].line, "Evil: z\r\n") != NULL && rows[i].rc == YES ? 2 : 0);
	}
	fixture_message(f, invite);
	assert_int_equal(fixture_call(f, "append_hf", "X: $hdr(X-Evil)!", NULL), YES);
	assert_int_equal(times(f, "\r\nX: a   b!\r\n"), 1);
	fixture_destroy(f);
}

static void test_reply_headers_are_collected(void **state)
{
	struct fixture *f = fixture_create();

	fixture_message(f, invite);
	assert_int_equal(fixture_call(f, "append_to_reply", "Retry-After: 5\r\n", NULL), YES);
	assert_int_equal(fixture_call(f, "append_to_reply", "X: $rm", NULL), YES);
	struct str headers = route_text_str(f->ctx, f->ctx->result.headers);

	assert_true(str_eq(headers, STR("Retry-After: 5\r\nX: INVITE\r\n")));
	fixture_destroy(f);
}

static void test_all_spellings_are_removed(void **state)
{
	struct fixture *f = fixture_create();

	fixture_message(f, invite);
	assert_int_equal(fixture_call(f, "is_present_hf", "x-one", NULL), YES);
	assert_int_equal(fixture_call(f, "remove_hf", "X-One", NULL), YES);
	assert_int_equal(
		times(f, "irst") + times(f, "second") + times(f, "third") + times(f, "folded"), 0);
	assert_int_equal(times(f, "X-Evil: a\r\n b\r\nContent-Type"), 1);
	assert_int_equal(fixture_call(f, "remove_hf", "Subject", NULL), YES);
	assert_int_equal(times(f, "hello") + times(f, "again"), 0);
	assert_int_equal(fixture_call(f, "remove_hf", "X-O", NULL), NO);
	assert_int_equal(fixture_call(f, "remove_hf", "X-None", NULL), NO);

	fixture_message(f, invite);
	assert_int_equal(fixture_call(f, "remove_hf", "s", NULL), YES);
	assert_int_equal(times(f, "hello") + times(f, "again"), 0);

	fixture_message(f, invite);
	assert_int_equal(fixture_call(f, "is_present_hf_re", "^x-", NULL), YES);
	assert_int_equal(fixture_call(f, "is_present_hf_re", "^y-", NULL), NO);
	/* Kamailio's _pv forms take variables: what would never match is an error. */
	assert_int_equal(fixture_call(f, "is_present_hf_re", "^$var(x)", NULL), NOT_LOADED);
	assert_int_equal(fixture_call(f, "remove_hf_re", "^X-$fU$", NULL), NOT_LOADED);
	assert_int_equal(fixture_call(f, "is_present_hf_re", "^x\\$y$", NULL), NO);
	assert_int_equal(fixture_call(f, "remove_hf_re", "^x-(one|evil)$", NULL), YES);
	assert_int_equal(times(f, "X-") + times(f, "x-"), 0);

	/* What a message cannot do without stays. */
	fixture_message(f, invite);
	assert_int_equal(fixture_call(f, "remove_hf", "Via", NULL), NOT_LOADED);
	assert_int_equal(fixture_call(f, "remove_hf", "v", NULL), NOT_LOADED);
	assert_int_equal(fixture_call(f, "remove_hf", "call-id", NULL), NOT_LOADED);
	assert_int_equal(fixture_call(f, "remove_hf", "a:b", NULL), NOT_LOADED);
	assert_int_equal(fixture_call(f, "remove_hf", "", NULL), NOT_LOADED);
	assert_int_equal(fixture_call(f, "remove_hf_re", ".*", NULL), YES);
	assert_int_equal(times(f, "Via:") + times(f, "From:") + times(f, "To:") +
				 times(f, "Call-ID:") + times(f, "CSeq:"),
		5);
	assert_int_equal(times(f, "X-"), 0);
	fixture_destroy(f);
}

static void test_patterns_on_the_message(void **state)
{
	static const struct call rows[] = {
		{invite, "search", {"^subject:[ ]*HELLO$"}, YES},
		{invite, "search", {"^subject:.*again"}, NO},
		{invite, "search", {"^invite"}, YES},
		{invite, "search", {"tag=1$"}, YES},
		{invite, "search", {"c=IN"}, YES},
		{invite, "search", {"nothing"}, NO},
		{invite, "search", {"("}, NOT_LOADED},
		{invite, "search", {""}, NOT_LOADED},
		{invite, "search_body", {"^c=IN IP4 10\\."}, YES},
		{invite, "search_body", {"^Subject"}, NO},
		{bye_200, "search_body", {"."}, NO},
	};

	CHECK_CALLS(rows);
}

static void test_replacements_keep_content_length_true(void **state)
{
	struct fixture *f = fixture_create();

	fixture_message(f, invite);
	assert_int_equal(
		fixture_call(f, "replace_body", "10\\.0\\.0\\.1", "192.168.100.200", NULL), YES);
	assert_int_equal(times(f, "\r\n\r\nv=0\r\nc=IN IP4 192.168.100.200\r\nt=0\r\n"), 1);
	assert_int_equal(times(f, "Content-Length: 36\r\n"), 1);
	assert_int_equal(fixture_call(f, "replace_body_all", "0$", "11", NULL), YES);
	assert_int_equal(times(f, "v=11\r\nc=IN IP4 192.168.100.200\r\nt=11\r\n"), 1);
	assert_int_equal(times(f, "Content-Length: 38\r\n"), 1);
	assert_int_equal(times(f, "Content-Length"), 1);
	/* What was replaced is not there to be replaced again. */
	assert_int_equal(fixture_call(f, "replace_body", "10\\.0", "x", NULL), NO);

	fixture_message(f, invite);
	assert_int_equal(
		fixture_call(f, "replace", "INVITE", "X", NULL), YES); /* not in the first line */
	assert_int_equal(times(f, "INVITE sip:"), 1);
	assert_int_equal(times(f, "CSeq: 1 X\r\n"), 1);
	assert_int_equal(fixture_call(f, "replace_all", "example", "test", NULL), YES);
	assert_int_equal(times(f, "a.test") + times(f, "b.test"), 2);
	assert_int_equal(times(f, "Content-Length: 29\r\n"), 1);
	assert_int_equal(fixture_call(f, "replace", "hello", "$var(a)", NULL), YES);
	assert_int_equal(times(f, "Subject: 0\r\n"), 1);
	assert_int_equal(fixture_call(f, "replace", "again", "$hdr(X-Evil)", NULL), NO);
	assert_int_equal(fixture_call(f, "replace", "29(\r\n)+v=0", "x", NULL),
		NO); /* over the end of the headers */
	assert_int_equal(fixture_call(f, "replace", "x*", "y", NULL), NO);
	assert_int_equal(fixture_call(f, "search_append", "^s: again", "!", NULL), YES);
	assert_int_equal(times(f, "s: again!\r\n"), 1);

	fixture_message(f, invite);
	assert_int_equal(
		fixture_call(f, "subst", "/^Subject: (.*)$/Subject: <\\1> $rm/", NULL), YES);
	assert_int_equal(times(f, "Subject: <hello> INVITE\r\n"), 1);
	assert_int_equal(fixture_call(f, "subst", "/EXAMPLE/x/gi", NULL), YES);
	assert_int_equal(times(f, "a.x") + times(f, "b.x"), 2);
	assert_int_equal(fixture_call(f, "subst", "/again/$hdr(X-Evil)\\r\\nEvil: 1/", NULL), YES);
	assert_int_equal(times(f, "s: a   b\r\nEvil: 1\r\n"), 1);
	assert_int_equal(fixture_call(f, "subst_body", "/=0/=10/g", NULL), YES);
	assert_int_equal(times(f, "Content-Length: 31\r\n"), 1);
	assert_int_equal(fixture_call(f, "subst_body", "/hello/x/", NULL), NO);
	assert_int_equal(f->ctx->text_len, 0);
	fixture_destroy(f);
}

static void test_too_many_changes_are_refused_and_remembered(void **state)
{
	struct fixture *f = fixture_create();
	int32_t rc = YES;

	fixture_message(f, invite);
	for (unsigned i = 0; i < SIP_EDITS_MAX + 1 && rc == YES; i++)
		rc = fixture_call(f, "append_hf", "X: y", NULL);
	assert_int_equal(rc, NO);
	assert_true(f->ctx->edits.overflow);
	fixture_destroy(f);
}

static void test_unset_takes_a_value_away(void **state)
{
	struct fixture *f = fixture_create();
	int slot = route_var_slot(STR("a"));

	fixture_message(f, invite);
	f->ctx->var_set = 1ULL << slot;
	f->ctx->var[slot] = (struct route_cell){.type = ROUTE_INT, .i = 5};
	assert_int_equal(fixture_call(f, "pv_isset", "$var(a)", NULL), YES);
	assert_int_equal(fixture_call(f, "is_int", "$var(a)", NULL), YES);
	/* A text of digits is a text. */
	assert_int_equal(fixture_call(f, "is_int", "$hdr(Content-Length)", NULL), NO);
	assert_int_equal(fixture_call(f, "pv_unset", "$var(a)", NULL), YES);
	assert_int_equal(fixture_call(f, "pv_isset", "$var(a)", NULL), NO);
	assert_int_equal(fixture_call(f, "setdsturi", "sip:h", NULL), YES);
	assert_int_equal(fixture_call(f, "pv_unset", "$du", NULL), YES);
	assert_string_equal(fixture_read(f, "$du"), "NULL");
	fixture_destroy(f);
}

/* Headers by name and pattern, as Kamailio's manual has them. */
static void test_headers_of_a_name_are_found_and_changed(void **state)
{
	static const struct {
		const char *function, *arg[3];
		int32_t rc;
		const char *leaves; /* a part of what leaves, or NULL */
	} rows[] = {
		{"search_hf", {"X-One", "first", "a"}, YES, NULL},
		{"search_hf", {"x-one", "^SECOND$", "a"}, YES, NULL},
		{"search_hf", {"X-One", "first", "f"}, YES, NULL},
		{"search_hf", {"X-One", "first", "l"}, NO, NULL},
		{"search_hf", {"X-One", "third", "l"}, YES, NULL},
		{"search_hf", {"X-One", "hello", "a"}, NO, NULL},
		{"search_hf", {"Subject", "again", "l"}, YES, NULL},
		{"search_hf", {"X-None", ".*", "a"}, NO, NULL},
		{"search_hf", {"X-One", "first", "x"}, NOT_LOADED, NULL},
		{"search_hf", {"X-One", "(", "a"}, NOT_LOADED, NULL},
		{"subst_hf", {"X-One", "/s/Z/", "f"}, YES, "X-One: firZt\r\nSubject: hello\r\n"},
		{"subst_hf", {"Subject", "/.*/<$rm>/", "a"}, YES,
			"Subject: <INVITE>\r\nx-ONE\t: second\r\ns: <INVITE>"},
		{"subst_hf", {"Subject", "/hello/x/", "l"}, NO, "Subject: hello"},
		{"subst_hf", {"Subject", "/hello/x/", "y"}, NOT_LOADED, NULL},
		{"subst_hf", {"Subject", "hello", "a"}, NOT_LOADED, NULL},
		{"subst_hf", {"Subject", "/hello/$var(e)/", "a"}, NO, "Subject: hello"},
		{"search_str", {"$fu", "ALICE@", NULL}, YES, NULL},
		{"search_str", {"$fu", "bob", NULL}, NO, NULL},
		{"search_append_body", {"10\\.0", "X", NULL}, YES, "IP4 10.0X.0.1"},
		{"search_append_body", {"hello", "X", NULL}, NO, "hello\r\n"},
		{"replace_hdrs", {"hello", "bye", NULL}, YES, "Subject: bye\r\n"},
		{"replace_hdrs", {"IN IP4", "x", NULL}, NO, "c=IN IP4"},
		{"replace_body_atonce", {"^.+$", "", NULL}, YES, "Content-Length: 0\r\n\r\n"},
		{"replace_body_atonce", {"c=.*t=", "t=", NULL}, YES, "v=0\r\nt=0"},
		{"remove_hf_exp", {"^X-", "Evil", NULL}, YES,
			"Subject: hello\r\ns: again\r\nX-Evil: a"},
		{"remove_hf_exp", {"^X-", "^X-", NULL}, NO, "X-One: first"},
		{"remove_hf_exp", {"(", "^X-", NULL}, NOT_LOADED, NULL},
		{"remove_hf_exp", {"^X-", "(", NULL}, NOT_LOADED, NULL},
		{"remove_hf_idx", {"X-One", "0", NULL}, YES, "CSeq: 1 INVITE\r\nSubject"},
		{"remove_hf_idx", {"X-One", "-1", NULL}, YES, " b\r\nContent-Type"},
		{"remove_hf_idx", {"X-One", "3", NULL}, NO, "X-One: first"},
		{"remove_hf_idx", {"X-One", "-4", NULL}, NO, "X-One: first"},
		{"remove_hf_idx", {"Via", "0", NULL}, NO, "Via: "},
		{"append_urihf", {"CC-Diversion: ", "\r\n", NULL}, YES,
			"Length: 29\r\nCC-Diversion: "
			"sip:+4930123@gw.example.com;user=phone;x=Y\r\n\r\n"},
		{"append_urihf", {"CC: <", ">", NULL}, YES,
			"CC: <sip:+4930123@gw.example.com;user=phone;x=Y>\r\n\r\n"},
		{"append_urihf", {"no colon", "", NULL}, NO, "Length: 29\r\n\r\n"},
		{"append_urihf", {"$var(e)", "", NULL}, NO, "Length: 29\r\n\r\n"},
	};
	struct fixture *f = fixture_create();

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int slot = route_var_slot(STR("e"));

		fixture_message(f, invite);
		f->ctx->var_set |= 1ULL << slot;
		f->ctx->var[slot] = (struct route_cell){.type = ROUTE_STR,
			.text = route_text_make(f->ctx, str_of("A: b\r\nEvil: c", 13))};
		int32_t rc = fixture_call(
			f, rows[i].function, rows[i].arg[0], rows[i].arg[1], rows[i].arg[2], NULL);
		const char *out = fixture_output(f);

		if (rc != rows[i].rc ||
			(rows[i].leaves != NULL && strstr(out, rows[i].leaves) == NULL))
			fail_msg("%s(\"%s\", \"%s\", \"%s\") is %d and leaves %s", rows[i].function,
				rows[i].arg[0], rows[i].arg[1], rows[i].arg[2], rc, out);
	}
	fixture_destroy(f);
}

/* The same functions as the compiler calls them: arguments read as written, constants, numbers,
 * values. */
static void test_a_script_calls_them(void **state)
{
	static const char script_text[] =
		"loadmodule \"textops.so\"\n"
		"loadmodule \"xlog.so\"\n"
		"loadmodule \"pv.so\"\n"
		"request_route {\n"
		"	xlog(\"L_ERR\", \"$rm $(fu{uri.user}) 100$$\\n\");\n"
		"	xinfo(\"to $tu\");\n"
		"	log(\"plain $ru\\n\");\n"
		"	if (!is_method(\"ACK|INVITE\") || is_method(\"BYE\")) exit;\n"
		"	if (search(\"^Subject: hello$\") && !search_body(\"nothing\")) "
		"setflag(1);\n"
		"	append_hf(\"X-Added: $rU at $si\\r\\n\");\n"
		"	insert_hf(\"X-First: 1\\r\\n\", \"To\");\n"
		"	if (!append_hf(\"X-Bad: $hdr(X-Evil)\\r\\nEvil: $rb\\r\\n\")) setflag(2);\n"
		"	remove_hf(\"X-One\");\n"
		"	if (is_present_hf(\"s\")) setflag(3);\n"
		"	replace_body(\"10\\.0\\.0\\.1\", \"10.9.9.9\");\n"
		"	subst(\"/^Subject: (.*)$/Subject: \\1 $rm/\");\n"
		"	if (pv_isset(\"$hdr(X-Evil)\") && !pv_isset(\"$hdr(X-None)\")) "
		"setflag(4);\n"
		"	if (cmp_istr(\"$rm\", \"invite\") && starts_with(\"$rU\", \"+49\")) "
		"setflag(5);\n"
		"	if (in_list(\"$rm\", \"ACK,INVITE\", \",\")) setflag(6);\n"
		"	strip(3); prefix(\"0\"); setport(5070); sethost(\"$fd\");\n"
		"	subst_uri(\"/user=phone/u=\\$/\");\n"
		"	append_to_reply(\"Retry-After: 5\\r\\n\");\n"
		"	if (isflagset(6) && has_body(\"application/sdp\") && !has_totag()) "
		"setbflag(7);\n"
		"}\n";
	struct fixture *f = fixture_create();
	struct route_registry registry;

	route_registry_init(&registry);
	struct route_script *script =
		route_script_load_text("test", str_c(script_text), &registry, f->report);

	if (script == NULL)
		fail_msg("%s", route_report_text(f->report));
	route_script_publish(script);
	f->thread.xlog = route_xlog_create(8192);
	fixture_message(f, invite);
	f->ctx->script = script;
	assert_int_equal(route_run(f->ctx), ROUTE_ENDED);
	assert_int_equal(f->ctx->flags, 0x7e);
	assert_int_equal(f->ctx->branch_flags, 0x80);
	assert_string_equal(fixture_read(f, "$ru"), "sip:030123@a.example:5070;u=$;x=Y");
	assert_int_equal(times(f, "\r\nX-Added: +4930123 at 192.0.2.7\r\n\r\nv=0"), 1);
	assert_int_equal(times(f, ";tag=1\r\nX-First: 1\r\nTo:"), 1);
	assert_int_equal(times(f, "Evil: v=0") + times(f, "X-One") + times(f, "x-ONE"), 0);
	assert_int_equal(times(f, "\r\nSubject: hello INVITE\r\n"), 1);
	assert_int_equal(times(f, "c=IN IP4 10.9.9.9\r\n"), 1);
	assert_int_equal(f->ctx->result.headers.len, strlen("Retry-After: 5\r\n"));
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(route_xlog_drain(f->thread.xlog, 1, 0), 3);
	route_xlog_destroy(f->thread.xlog);
	route_script_unref(script);
	fixture_destroy(f);
}

static void test_tables_are_complete(void **state)
{
	static const struct route_module *const module[] = {
		&route_core_module, &route_textops_module, &route_pv_module, &route_xlog_module};

	for (unsigned m = 0; m < 4; m++) {
		for (const struct route_function *fn = module[m]->functions; fn->name != NULL;
			fn++) {
			assert_non_null(fn->run);
			assert_non_null(fn->usage);
			assert_non_null(fn->help);
			assert_int_equal(strncmp(fn->usage, fn->name, strlen(fn->name)), 0);
			assert_true(fn->args_min <= fn->args_max && fn->args_max <= ROUTE_ARGS_MAX);
			assert_int_not_equal(fn->in, 0);
			assert_int_equal(fn->path, ROUTE_PATH_FAST);
			if (fn->free_data != NULL)
				assert_non_null(fn->check);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_method),
		cmocka_unit_test(test_a_part_is_found_where_it_is),
		cmocka_unit_test(test_nearly_found_takes_no_time),
		cmocka_unit_test(test_questions_about_texts_and_uris),
		cmocka_unit_test(test_a_date_of_now),
		cmocka_unit_test(test_rewriting_the_request_uri),
		cmocka_unit_test(test_changes_of_the_uri_add_up_and_are_taken_back),
		cmocka_unit_test(test_destination_and_flags),
		cmocka_unit_test(test_headers_are_added_where_they_belong),
		cmocka_unit_test(test_no_value_smuggles_a_header_in),
		cmocka_unit_test(test_reply_headers_are_collected),
		cmocka_unit_test(test_all_spellings_are_removed),
		cmocka_unit_test(test_patterns_on_the_message),
		cmocka_unit_test(test_replacements_keep_content_length_true),
		cmocka_unit_test(test_too_many_changes_are_refused_and_remembered),
		cmocka_unit_test(test_unset_takes_a_value_away),
		cmocka_unit_test(test_headers_of_a_name_are_found_and_changed),
		cmocka_unit_test(test_a_script_calls_them),
		cmocka_unit_test(test_tables_are_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
