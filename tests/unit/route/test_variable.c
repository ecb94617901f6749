/* SPDX-License-Identifier: BSD-3-Clause */
/* Pseudo-variables: what they read of messages of all kinds, and what an assignment changes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fixture.h"

static const char invite[] =
	"INVITE sip:+4930123;ext=9:pw@gw.example.com:5080;transport=tcp;lr SIP/2.0\n"
	"Via: SIP/2.0/UDP 192.0.2.7:40000;branch=z9hG4bKa1;rport\n"
	"Max-Forwards: 70\n"
	"f: \"Alice \\\"A\\\" B\" <sips:alice@atlanta.example.com:5070>;tag=1928\n"
	"t: <sip:bob@biloxi.example.com>\n"
	"i: a84b4c76e66710@pc33\n"
	"CSeq: 0314159 INVITE\n"
	"m: <sip:alice@pc33.example.com>;q=0.5\n"
	"P-Asserted-Identity: \"Al\" <sip:al@id.example>\n"
	"P-Preferred-Identity: <sip:pref@pref.example>\n"
	"Remote-Party-ID: <sip:rp@rp.example>;party=calling\n"
	"Diversion: <sip:div@div.example>;reason=busy\n"
	"Proxy-Authorization: Digest username=\"alice@realm.example\", realm=\"r, \\\"1\", "
	"nonce=abc,\n"
	"  uri=\"sip:x@y\", response=\"0123\", algorithm=MD5\n"
	"User-Agent: test (1)\n"
	"X-List: one\n"
	"x-list : two\n"
	"X-Empty:\n"
	"X-Fold: first\n"
	"  second\n"
	"c: application/sdp\n"
	"l: 4\n"
	"\n"
	"v=0\n";

static const char response[] = "SIP/2.0 486 Busy Here\n"
			       "Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKb\n"
			       "From: sip:a@x.example;tag=f\n"
			       "To: tel:+4930;tag=t1\n"
			       "Call-ID: c1\n"
			       "CSeq: 7 REGISTER\n"
			       "Server: none\n"
			       "\n";

static const char tel[] = "OPTIONS tel:+1-201-555-0123;phone-context=example.com SIP/2.0\n"
			  "Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKt\n"
			  "From: Anonymous <sip:c8oqz84zk7z@privacy.example>;tag=1\n"
			  "To: urn:service:sos\n"
			  "Call-ID: tel1\n"
			  "CSeq: 1 OPTIONS\n"
			  "\n";

static const char ipv6[] = "BYE sips:[2001:db8::1]:5090 SIP/2.0\n"
			   "Via: SIP/2.0/UDP [2001:db8::9];branch=z9hG4bK6\n"
			   "From: <sip:[2001:db8::2]>;tag=1\n"
			   "To: <sip:u@[2001:db8::3]:5061>\n"
			   "Call-ID: six\n"
			   "CSeq: 2147483647 BYE\n"
			   "\n";

/* Mandatory headers absent or malformed: the index holds what stands there. */
static const char broken[] = "INVITE sip: SIP/2.0\n"
			     "Via: SIP/2.0/UDP\n"
			     "From: \"unterminated <sip:a@b>;tag=1\n"
			     "CSeq: x INVITE\n"
			     "Proxy-Authorization: Digestn username=\"a\"\n"
			     "Authorization: Digest\n"
			     "P-Asserted-Identity: <\n"
			     "\n";

struct row {
	const char *message, *expression, *value;
};

static void check_rows(struct fixture *f, const struct row *row, unsigned rows)
{
	for (unsigned i = 0; i < rows; i++) {
		fixture_message(f, row[i].message);
		const char *got = fixture_read(f, row[i].expression);

		if (strcmp(got, row[i].value) != 0)
			fail_msg("%s of %.30s is %s, not %s", row[i].expression, row[i].message,
				got, row[i].value);
	}
}
#define CHECK_ROWS(f, rows) check_rows(f, rows, sizeof(rows) / sizeof((rows)[0]))

static void test_parts_of_a_request_are_read(void **state)
{
	static const struct row rows[] = {
		{invite, "$ru", "sip:+4930123;ext=9:pw@gw.example.com:5080;transport=tcp;lr"},
		{invite, "$rU", "+4930123;ext=9"},
		{invite, "$rd", "gw.example.com"},
		{invite, "$rp", "5080"},
		{invite, "$rP", "tcp"},
		{invite, "$rz", "sip"},
		{invite, "$rUl", "14"},
		{invite, "$oUl", "14"},
		{invite, "$ou", "sip:+4930123;ext=9:pw@gw.example.com:5080;transport=tcp;lr"},
		{invite, "$od", "gw.example.com"},
		{invite, "$du", "NULL"},
		{invite, "$dd", "NULL"},
		{invite, "$fu", "sips:alice@atlanta.example.com:5070"},
		{invite, "$fU", "alice"},
		{invite, "$fd", "atlanta.example.com"},
		{invite, "$fn", "\"Alice \\\"A\\\" B\""},
		{invite, "$ft", "1928"},
		{invite, "$tu", "sip:bob@biloxi.example.com"},
		{invite, "$tU", "bob"},
		{invite, "$td", "biloxi.example.com"},
		{invite, "$tn", "NULL"},
		{invite, "$tt", "NULL"},
		{invite, "$ci", "a84b4c76e66710@pc33"},
		{invite, "$cs", "314159"},
		{invite, "$csb", "0314159 INVITE"},
		{invite, "$rm", "INVITE"},
		{invite, "$rs", "NULL"},
		{invite, "$rr", "NULL"},
		{invite, "$rv", "SIP/2.0"},
		{invite, "$mt", "1"},
		{invite, "$ct", "<sip:alice@pc33.example.com>;q=0.5"},
		{invite, "$cT", "application/sdp"},
		{invite, "$cl", "4"},
		{invite, "$ua", "test (1)"},
		{invite, "$ai", "sip:al@id.example"},
		{invite, "$pu", "sip:pref@pref.example"},
		{invite, "$pU", "pref"},
		{invite, "$pd", "pref.example"},
		{invite, "$pn", "NULL"},
		{invite, "$re", "sip:rp@rp.example"},
		{invite, "$di", "sip:div@div.example"},
		{invite, "$rt", "NULL"},
		{invite, "$au", "alice"},
		{invite, "$aU", "alice@realm.example"},
		{invite, "$ad", "realm.example"},
		{invite, "$ar", "r, \"1"},
		{invite, "$adn", "abc"},
		{invite, "$adu", "sip:x@y"},
		{invite, "$adr", "0123"},
		{invite, "$aa", "MD5"},
	};
	struct fixture *f = fixture_create();

	CHECK_ROWS(f, rows);
	/* Content-Length holds as soon as the message is checked. */
	fixture_message(f, invite);
	assert_int_equal(sip_msg_check(&f->ctx->msg, f->buf), SIP_OK);
	assert_string_equal(fixture_read(f, "$bs <$rb>"), "4 <v=0\r>");
	fixture_destroy(f);
}

static void test_other_kinds_of_messages(void **state)
{
	static const struct row rows[] = {
		{response, "$rs", "486"},
		{response, "$rr", "Busy Here"},
		{response, "$rm", "REGISTER"},
		{response, "$mt", "2"},
		{response, "$ru", "NULL"},
		{response, "$rU", "NULL"},
		{response, "$rp", "NULL"},
		{response, "$ou", "NULL"},
		{response, "$fu", "sip:a@x.example"},
		{response, "$ft", "f"},
		{response, "$tu", "tel:+4930"},
		{response, "$tU", "+4930"},
		{response, "$td", "NULL"},
		{response, "$tt", "t1"},
		{response, "$rb", "NULL"},
		{response, "$bs", "0"},
		{response, "$ua", "NULL"},
		{response, "$cl", "NULL"},
		{tel, "$ru", "tel:+1-201-555-0123;phone-context=example.com"},
		{tel, "$rU", "+1-201-555-0123"},
		{tel, "$rd", "NULL"},
		{tel, "$rp", "NULL"},
		{tel, "$rP", "NULL"},
		{tel, "$rz", "tel"},
		{tel, "$fn", "Anonymous"},
		{tel, "$tu", "urn:service:sos"},
		{tel, "$tU", "NULL"},
		{tel, "$td", "NULL"},
		{ipv6, "$rd", "2001:db8::1"},
		{ipv6, "$rp", "5090"},
		{ipv6, "$rP", "TLS"},
		{ipv6, "$rU", "NULL"},
		{ipv6, "$rz", "sips"},
		{ipv6, "$fd", "2001:db8::2"},
		{ipv6, "$fU", "NULL"},
		{ipv6, "$td", "2001:db8::3"},
		{ipv6, "$cs", "2147483647"},
		{ipv6, "$tt", "NULL"},
	};
	struct fixture *f = fixture_create();

	CHECK_ROWS(f, rows);
	fixture_destroy(f);
}

static void test_what_is_malformed_or_absent_is_null(void **state)
{
	static const char *const expression[] = {"$rU", "$rd", "$rp", "$rP", "$rz", "$oU", "$fu",
		"$fU", "$fd", "$fn", "$ft", "$tu", "$tU", "$td", "$tn", "$tt", "$ci", "$cs", "$ct",
		"$cT", "$cl", "$ua", "$ai", "$pu", "$pU", "$re", "$rt", "$di", "$au", "$aU", "$ar",
		"$ad", "$adn", "$hdr(X)", "$rUl", "$fUl"};
	struct fixture *f = fixture_create();

	for (unsigned i = 0; i < sizeof(expression) / sizeof(expression[0]); i++) {
		fixture_message(f, broken);
		assert_string_equal(fixture_read(f, expression[i]), "NULL");
		assert_int_equal(f->ctx->failure, ROUTE_FAILURE_NONE);
	}
	fixture_destroy(f);
}

static void test_headers_are_found_in_every_spelling(void **state)
{
	static const struct row rows[] = {
		{invite, "$hdr(X-List)", "one"},
		{invite, "$hdr(x-LIST)", "one"},
		{invite, "$hdrc(X-List)", "2"},
		{invite, "$hdrc(Call-ID)", "1"},
		{invite, "$hdrc(i)", "1"},
		{invite, "$hdr(From)",
			"\"Alice \\\"A\\\" B\" <sips:alice@atlanta.example.com:5070>;tag=1928"},
		{invite, "$hdr(f)",
			"\"Alice \\\"A\\\" B\" <sips:alice@atlanta.example.com:5070>;tag=1928"},
		{invite, "$hdr(Content-Type)", "application/sdp"},
		/* Folding is kept as it was written. */
		{invite, "$hdr(X-Fold)", "first\r\n  second"},
		{invite, "$hdr(X-Empty)", ""},
		{invite, "$hdr(X-None)", "NULL"},
		{invite, "$hdrc(X-None)", "0"},
		{invite, "$hdrc(X-Lis)", "0"},
	};
	struct fixture *f = fixture_create();

	CHECK_ROWS(f, rows);
	fixture_destroy(f);
}

static void test_packet_and_flags_are_read(void **state)
{
	static const struct row rows[] = {
		{invite, "$si", "192.0.2.7"},
		{invite, "$sp", "40000"},
		{invite, "$su", "sip:192.0.2.7:40000"},
		{invite, "$sut", "sip:192.0.2.7:40000;transport=udp"},
		{invite, "$pr", "udp"},
		{invite, "$proto", "udp"},
		{invite, "$af", "4"},
		{invite, "$Ri", "198.51.100.1"},
		{invite, "$Rp", "5060"},
		{invite, "$Ru", "sip:198.51.100.1:5060;transport=udp"},
		{invite, "$fs", "NULL"},
		{invite, "$mf", "0"},
		{invite, "$mF", "00000000"},
	};
	struct fixture *f = fixture_create();
	char whole[32];

	CHECK_ROWS(f, rows);
	fixture_message(f, invite);
	assert_true(fixture_set(f, "mf", "-1"));
	assert_string_equal(fixture_read(f, "$mF"), "ffffffff");
	assert_true(fixture_set(f, "mf", "4294967295"));
	assert_false(fixture_set(f, "mf", "4294967296"));
	assert_false(fixture_set(f, "mf", "x"));
	assert_true(fixture_set(f, "bf", "5"));
	assert_string_equal(fixture_read(f, "$bF/$bf"), "00000005/5");
	net_addr_parse(STR("2001:db8::5"), &f->ctx->origin.src.addr);
	f->ctx->origin.transport = SIP_TRANSPORT_TCP;
	assert_string_equal(fixture_read(f, "$si $su $af"),
		"2001:db8::5 sip:[2001:db8::5]:40000;transport=tcp 6");
	snprintf(whole, sizeof(whole), "%u", f->len);
	assert_string_equal(fixture_read(f, "$ml"), whole);
	assert_int_equal(strlen(fixture_read(f, "$mb")), f->len);
	fixture_destroy(f);
}

static int find_listener(void *room, struct str text)
{
	return str_eq(text, STR("udp:10.0.0.5:5060")) || str_eq(text, STR("edge")) ? 4 : -1;
}

static unsigned listener_text(void *room, unsigned listener, char *out, unsigned size)
{
	return (unsigned)snprintf(out, size, "udp:10.0.0.5:%u", listener);
}

static void test_the_socket_is_asked_of_the_room_above(void **state)
{
	struct fixture *f = fixture_create();
	struct route_registry registry;

	route_registry_init(&registry);
	registry.hooks = (struct route_hooks){
		.find_listener = find_listener, .listener_text = listener_text};
	struct route_script *script = route_script_load_text(
		"test", STR("request_route { exit; }"), &registry, f->report);

	assert_non_null(script);
	fixture_message(f, invite);
	/* Without a script nobody knows listeners. */
	assert_false(fixture_set(f, "fs", "edge"));
	f->ctx->script = script;
	assert_string_equal(fixture_read(f, "$fs"), "NULL");
	assert_true(fixture_set(f, "fs", "edge"));
	assert_int_equal(f->ctx->socket, 4);
	assert_string_equal(fixture_read(f, "$fs"), "udp:10.0.0.5:4");
	assert_false(fixture_set(f, "fs", "nowhere"));
	assert_int_equal(f->ctx->socket, 4);
	assert_true(fixture_set(f, "fs", NULL));
	assert_int_equal(f->ctx->socket, -1);
	route_script_unref(script);
	fixture_destroy(f);
}

static void test_time_is_now(void **state)
{
	struct fixture *f = fixture_create();
	double seconds, micro;

	fixture_message(f, invite);
	assert_true(atoll(fixture_read(f, "$Ts")) > 1600000000);
	sscanf(fixture_read(f, "$TV(Sn)"), "%lf", &seconds);
	assert_true(seconds > 1600000000);
	micro = atof(fixture_read(f, "$TV(u)"));
	assert_true(micro >= 0 && micro < 1000000);
	assert_string_equal(fixture_read(f, "$TV(x)"), "NOT LOADED");
	/* Local time, which is the one that it says. */
	struct tm at = {.tm_isdst = -1};
	const char *end = strptime(fixture_read(f, "$Tf"), "%a %b %d %H:%M:%S %Y", &at);

	assert_true(end != NULL && *end == '\0');
	assert_in_range(time(NULL) - mktime(&at), 0, 30);
	assert_string_equal(fixture_read(f, "$(TF{s.len})"), "24");
	fixture_destroy(f);
}

static void test_values_are_spans_and_take_no_room(void **state)
{
	static const char *const span[] = {"$ru", "$rU", "$rd", "$fu", "$fU", "$fd", "$fn", "$ft",
		"$tu", "$ci", "$rm", "$hdr(X-Fold)", "$ua", "$rv", "$mb", "$ct", "$au", "$ou"};
	static const struct route_place place = {.file = "test"};
	struct fixture *f = fixture_create();

	fixture_message(f, invite);
	for (unsigned i = 0; i < sizeof(span) / sizeof(span[0]); i++) {
		struct route_format *format =
			route_format_compile(str_c(span[i]), &place, f->report);
		struct route_value value;

		assert_true(route_format_eval(f->ctx, format, &value));
		assert_true(value.s.s >= f->buf && value.s.s + value.s.len <= f->buf + f->len);
		route_format_free(format);
	}
	assert_int_equal(f->ctx->text_len, 0);
	fixture_destroy(f);
}

struct change {
	const char *message, *variable, *value; /* value NULL: $null */
	bool done;
	const char *after; /* $ru */
};

static void test_assignments_change_the_request_uri(void **state)
{
	static const char plain[] = "MESSAGE sip:u@h SIP/2.0\nCall-ID: 1\n\n";
	static const char secret[] = "MESSAGE sips:u:pw@h:5071;a=b?c=d SIP/2.0\nCall-ID: 1\n\n";
	static const char nobody[] = "MESSAGE sip:h;lr SIP/2.0\nCall-ID: 1\n\n";
	static const struct change rows[] = {
		{plain, "ru", "sip:x@y:5062;lr", true, "sip:x@y:5062;lr"},
		{plain, "ru", "tel:+1234", true, "tel:+1234"},
		{plain, "ru", "sip:x@y\r\nVia: z", false, "sip:u@h"},
		{plain, "ru", "sip:x@y SIP/2.0", false, "sip:u@h"},
		{plain, "ru", "sip:x@y?Route=%3Csip:evil%3E", false, "sip:u@h"},
		{plain, "ru", "sip:", false, "sip:u@h"},
		{plain, "ru", "", false, "sip:u@h"},
		{plain, "ru", NULL, false, "sip:u@h"},
		{plain, "rU", "bob", true, "sip:bob@h"},
		{plain, "rU", NULL, true, "sip:h"},
		{plain, "rU", "a@evil", false, "sip:u@h"},
		{plain, "rU", "a\r\nVia: x", false, "sip:u@h"},
		{plain, "rU", "a>b", false, "sip:u@h"},
		{plain, "rU", "a b", false, "sip:u@h"},
		{plain, "rU", "a:b", false, "sip:u@h"},
		{plain, "rU", "%61;x=y", true, "sip:%61;x=y@h"},
		{plain, "rd", "example.com", true, "sip:u@example.com"},
		{plain, "rd", "2001:db8::1", true, "sip:u@[2001:db8::1]"},
		{plain, "rd", "[2001:db8::1]", true, "sip:u@[2001:db8::1]"},
		{plain, "rd", "a;b=c", false, "sip:u@h"},
		{plain, "rd", "a:5060", false, "sip:u@h"},
		{plain, "rd", "x@y", false, "sip:u@h"},
		{plain, "rd", "", false, "sip:u@h"},
		{plain, "rd", NULL, false, "sip:u@h"},
		{plain, "rp", "5066", true, "sip:u@h:5066"},
		{plain, "rp", "0", false, "sip:u@h"},
		{plain, "rp", "65536", false, "sip:u@h"},
		{plain, "rp", "5;x=y", false, "sip:u@h"},
		{plain, "rp", "-1", false, "sip:u@h"},
		{secret, "rU", "bob", true, "sips:bob:pw@h:5071;a=b?c=d"},
		{secret, "rU", NULL, true, "sips:h:5071;a=b?c=d"},
		{secret, "rd", "g", true, "sips:u:pw@g:5071;a=b?c=d"},
		{secret, "rp", NULL, true, "sips:u:pw@h;a=b?c=d"},
		{nobody, "rU", "new", true, "sip:new@h;lr"},
		{nobody, "rd", "g", true, "sip:g;lr"},
		{ipv6, "rU", "x", true, "sips:x@[2001:db8::1]:5090"},
		{ipv6, "rp", "5091", true, "sips:[2001:db8::1]:5091"},
		/* These have no host that could be rewritten. */
		{tel, "rU", "1", false, "tel:+1-201-555-0123;phone-context=example.com"},
		{tel, "rd", "h", false, "tel:+1-201-555-0123;phone-context=example.com"},
		{tel, "rp", "1", false, "tel:+1-201-555-0123;phone-context=example.com"},
		{tel, "ru", "sip:a@b", true, "sip:a@b"},
		{broken, "rU", "x", false, "sip:"},
		{response, "ru", "sip:a@b", false, "NULL"},
		{response, "rU", "a", false, "NULL"},
	};
	struct fixture *f = fixture_create();

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fixture_message(f, rows[i].message);
		bool done = fixture_set(f, rows[i].variable, rows[i].value);
		const char *after = fixture_read(f, "$ru");

		if (done != rows[i].done || strcmp(after, rows[i].after) != 0)
			fail_msg("$%s = %s of %.25s: %d, $ru is %s", rows[i].variable,
				rows[i].value, rows[i].message, done, after);
		/* A refused assignment leaves nothing behind. */
		if (!done)
			assert_int_equal(f->ctx->text_len, 0);
		assert_int_equal(f->ctx->failure, ROUTE_FAILURE_NONE);
	}
	fixture_destroy(f);
}

static void test_parts_follow_an_assignment(void **state)
{
	struct fixture *f = fixture_create();

	fixture_message(f, invite);
	assert_true(fixture_set(f, "ru", "sips:new@host.example:6000"));
	assert_string_equal(
		fixture_read(f, "$rU $rd $rp $rP $rz"), "new host.example 6000 TLS sips");
	assert_string_equal(fixture_read(f, "$oU $op"), "+4930123;ext=9 5080");
	assert_true(fixture_set(f, "rU", "again"));
	assert_true(fixture_set(f, "rp", NULL));
	assert_string_equal(fixture_read(f, "$ru"), "sips:again@host.example");
	assert_string_equal(fixture_read(f, "$rp"), "5061");
	fixture_destroy(f);
}

static void test_destination_uri(void **state)
{
	struct fixture *f = fixture_create();

	fixture_message(f, invite);
	f->ctx->du_target.valid = true;
	assert_true(fixture_set(f, "du", "sip:10.0.0.1:5070;transport=tcp"));
	/* The address belonged to another URI. */
	assert_false(f->ctx->du_target.valid);
	assert_string_equal(fixture_read(f, "$du $dd $dp $dP"),
		"sip:10.0.0.1:5070;transport=tcp 10.0.0.1 5070 tcp");
	assert_false(fixture_set(f, "du", "tel:+1"));
	assert_false(fixture_set(f, "du", "sip:a b"));
	assert_false(fixture_set(f, "du", "nonsense"));
	assert_false(fixture_set(f, "du", "sip:h?Via=x"));
	assert_string_equal(fixture_read(f, "$dd"), "10.0.0.1");
	assert_true(fixture_set(f, "du", NULL));
	assert_string_equal(fixture_read(f, "$du"), "NULL");
	assert_int_equal(fixture_call(f, "isdsturiset", NULL), ROUTE_FALSE);
	fixture_destroy(f);
}

static void test_a_full_arena_fails_the_run_and_nothing_else(void **state)
{
	struct fixture *f = fixture_create();
	char *big = malloc(ROUTE_TEXT_MAX);

	fixture_message(f, invite);
	memset(big, 'a', ROUTE_TEXT_MAX);
	memcpy(big, "sip:", 4);
	big[ROUTE_TEXT_MAX - 1] = '\0';
	f->ctx->text_len = ROUTE_TEXT_MAX - 3;
	assert_false(fixture_set(f, "ru", "sip:x@somewhere.example"));
	assert_int_equal(f->ctx->failure, ROUTE_FAILURE_TEXT_FULL);
	assert_string_equal(fixture_read(f, "$rd"), "gw.example.com");
	f->ctx->failure = ROUTE_FAILURE_NONE;
	assert_string_equal(fixture_read(f, "$si"), "FAILED 1");
	f->ctx->failure = ROUTE_FAILURE_NONE;
	assert_string_equal(fixture_read(f, "x$ci"), "FAILED 1");
	free(big);
	fixture_destroy(f);
}

static void test_formats(void **state)
{
	static const struct row rows[] = {
		{invite, "", ""},
		{invite, "plain", "plain"},
		{invite, "$rm from $fU@$fd to $(tu) via $si:$sp",
			"INVITE from alice@atlanta.example.com to "
			"sip:bob@biloxi.example.com via 192.0.2.7:40000"},
		{invite, "$$ $$rm$$", "$ $rm$"},
		{invite, "[$tt]", "[<null>]"},
		{invite, "$(hdr(X-List))x", "onex"},
		{invite, "$rm(x)", "INVITE(x)"},
		{invite, "$var(a)$rc$null", "00<null>"},
		{invite, "$rU.$rd.", "+4930123;ext=9.gw.example.com."},
		{invite, "$nosuch", "NOT LOADED"},
		{invite, "$hdr", "NOT LOADED"},
		{invite, "$hdr()", "NOT LOADED"},
		{invite, "$hdr(x", "NOT LOADED"},
		{invite, "$(rm", "NOT LOADED"},
		{invite, "$(rm{s.len})", "6"},
		{invite, "$(rm{s.tolower}) $(fU{s.toupper})", "invite ALICE"},
		{invite, "<$(ci{s.substr,1,3})>", "<84b>"},
		{invite, "$(ci{s.substr,-4,0})", "pc33"},
		{invite, "$(ci{s.substr,-4,2}{s.len})", "2"},
		{invite, "<$(ci{s.substr,100,2})>", "<>"},
		{invite, "$(sp{s.substr,0,2})", "40"},
		{invite, "$(hdr(X-None){s.len})", "0"},
		{invite, "$(hdr(X-List){s.int})", "0"},
		{invite, "$(cs{s.int})", "314159"},
		{invite, "$(fu{uri.host}):$(fu{uri.port})", "atlanta.example.com:5070"},
		{invite, "$(ru{uri.param,TRANSPORT}{s.toupper})", "TCP"},
		{invite, "<$(ru{uri.param,none})$(ci{uri.user})>", "<>"},
		{invite, "$(rm{nonsense})", "NOT LOADED"},
		{invite, "$(rm{s.substr,1})", "NOT LOADED"},
		{invite, "$(rm{s.substr,a,b})", "NOT LOADED"},
		{invite, "$(rm{s.len,1})", "NOT LOADED"},
		{invite, "$(rm{s.len)", "NOT LOADED"},
		{invite, "$(rm{s.len}{s.len}{s.len}{s.len}{s.len})", "NOT LOADED"},
		{invite, "$(rm(x))", "NOT LOADED"},
		{invite, "100$", "NOT LOADED"},
		{invite, "a $ b", "NOT LOADED"},
		{invite, "$var()", "NOT LOADED"},
	};
	struct fixture *f = fixture_create();

	CHECK_ROWS(f, rows);
	fixture_destroy(f);
}

static void test_variables_of_the_script_in_formats(void **state)
{
	struct fixture *f = fixture_create();
	int slot = route_var_slot(STR("a"));

	fixture_message(f, invite);
	f->ctx->var_set = 1ULL << slot;
	f->ctx->var[slot] = (struct route_cell){
		.type = ROUTE_STR, .text = route_text_make(f->ctx, STR("text"))};
	f->ctx->rc = -7;
	assert_string_equal(fixture_read(f, "<$var(a)|$rc|$retcode>"), "<text|-7|-7>");
	f->ctx->var[slot] = (struct route_cell){.type = ROUTE_INT, .i = INT64_MIN};
	assert_string_equal(fixture_read(f, "$var(a) "), "-9223372036854775808 ");
	f->ctx->var[slot].type = ROUTE_NULL;
	assert_string_equal(fixture_read(f, "$var(a)"), "NULL");
	fixture_destroy(f);
}

static void test_every_row_has_help_and_is_found(void **state)
{
	for (int i = 0; route_variables[i].name != NULL; i++) {
		assert_non_null(route_variables[i].get);
		assert_non_null(route_variables[i].help);
		assert_int_equal(route_variable_find(str_c(route_variables[i].name)), i);
	}
	assert_int_equal(route_variable_find(STR("r")), -1);
	assert_int_equal(route_variable_find(STR("")), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_of_a_request_are_read),
		cmocka_unit_test(test_other_kinds_of_messages),
		cmocka_unit_test(test_what_is_malformed_or_absent_is_null),
		cmocka_unit_test(test_headers_are_found_in_every_spelling),
		cmocka_unit_test(test_packet_and_flags_are_read),
		cmocka_unit_test(test_the_socket_is_asked_of_the_room_above),
		cmocka_unit_test(test_time_is_now),
		cmocka_unit_test(test_values_are_spans_and_take_no_room),
		cmocka_unit_test(test_assignments_change_the_request_uri),
		cmocka_unit_test(test_parts_follow_an_assignment),
		cmocka_unit_test(test_destination_uri),
		cmocka_unit_test(test_a_full_arena_fails_the_run_and_nothing_else),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_variables_of_the_script_in_formats),
		cmocka_unit_test(test_every_row_has_help_and_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
