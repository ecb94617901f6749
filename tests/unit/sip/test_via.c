/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>

#include "input.h"

struct via_row {
	const char *text;
	enum sip_transport transport;
	const char *sent_by, *host;
	uint16_t port;
	const char *params, *branch;
	bool has_magic;
	const char *received, *maddr, *token;
	bool has_rport;
	uint16_t rport;
	const char *rport_param, *received_param;
};

#define UDP SIP_TRANSPORT_UDP
#define TCP SIP_TRANSPORT_TCP

static const struct via_row good[] = {
	{"SIP/2.0/UDP h", UDP, "h", "h"},
	{"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776", UDP, "192.0.2.1:5060", "192.0.2.1", 5060,
		";branch=z9hG4bK776", "z9hG4bK776", true},
	/* LWS around slashes, colon, semicolons and equal signs, with folds: RFC 4475 3.1.1.1 */
	{"SIP / 2.0\r\n / UDP\r\n\t h :  5061 ;\r\n branch  =\r\n z9hG4bK30239 ; rport", UDP,
		"h :  5061", "h", 5061, ";\r\n branch  =\r\n z9hG4bK30239 ; rport", "z9hG4bK30239",
		true, "", "", "", true, 0, "; rport"},
	{"sip/2.0/tcp spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8", TCP,
		"spindle.example.com", "spindle.example.com", 0, ";\r\n  branch  =   z9hG4bK9ikj8",
		"z9hG4bK9ikj8", true},
	/* IPv6: in brackets as sent-by, with and without in received (RFC 5118 4.5) */
	{"SIP/2.0/UDP [2001:db8::9:1]:6050;received=[2001:db8::9:255];branch=z9hG4bKas3", UDP,
		"[2001:db8::9:1]:6050", "2001:db8::9:1", 6050,
		";received=[2001:db8::9:255];branch=z9hG4bKas3", "z9hG4bKas3", true,
		"[2001:db8::9:255]", "", "", false, 0, "", ";received=[2001:db8::9:255]"},
	{"SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3", UDP,
		"[2001:db8::9:1]", "2001:db8::9:1", 0,
		";received=2001:db8::9:255;branch=z9hG4bKas3", "z9hG4bKas3", true,
		"2001:db8::9:255", "", "", false, 0, "", ";received=2001:db8::9:255"},
	{"SIP/2.0/UDP [::ffff:192.0.2.10]:19823", UDP, "[::ffff:192.0.2.10]:19823",
		"::ffff:192.0.2.10", 19823},
	/* rport: RFC 3581 */
	{"SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff", UDP, "10.1.1.1:4540", "10.1.1.1",
		4540, ";rport;branch=z9hG4bKkjshdyff", "z9hG4bKkjshdyff", true, "", "", "", true, 0,
		";rport"},
	{"SIP/2.0/UDP 10.1.1.1;received=192.0.2.1;RPORT=9988;branch=Z9HG4BKx", UDP, "10.1.1.1",
		"10.1.1.1", 0, ";received=192.0.2.1;RPORT=9988;branch=Z9HG4BKx", "Z9HG4BKx", true,
		"192.0.2.1", "", "", true, 9988, ";RPORT=9988", ";received=192.0.2.1"},
	/* branches: none, empty, bare cookie (RFC 4475 3.3.10), without cookie */
	{"SIP/2.0/UDP h;branch=", UDP, "h", "h", 0, ";branch=", ""},
	{"SIP/2.0/UDP h;branch= ;rport", UDP, "h", "h", 0, ";branch= ;rport", "", false, "", "", "",
		true, 0, ";rport"},
	{"SIP/2.0/UDP h;branch=z9hG4bK", UDP, "h", "h", 0, ";branch=z9hG4bK", "z9hG4bK", true},
	{"SIP/2.0/UDP h;branch=390skdjuw", UDP, "h", "h", 0, ";branch=390skdjuw", "390skdjuw"},
	{"SIP/2.0/TCP h;branch=z9hG4bK-.!%66*_+`'~", TCP, "h", "h", 0,
		";branch=z9hG4bK-.!%66*_+`'~", "z9hG4bK-.!%66*_+`'~", true},
	{"SIP/2.0/UDP h;branch=z9hG4bK@a/b=c:d", UDP, "h", "h", 0, ";branch=z9hG4bK@a/b=c:d",
		"z9hG4bK@a/b=c:d", true},
	/* maddr, ttl, our token, RFC 2543's hidden, quoted values */
	{"SIP/2.0/UDP h;maddr=224.2.0.1;ttl=16;hidden", UDP, "h", "h", 0,
		";maddr=224.2.0.1;ttl=16;hidden", "", false, "", "224.2.0.1"},
	{"SIP/2.0/UDP h;branch=z9hG4bKa;sp=abc234", UDP, "h", "h", 0, ";branch=z9hG4bKa;sp=abc234",
		"z9hG4bKa", true, "", "", "abc234"},
	{"SIP/2.0/UDP h;x=\"a,b;received=1.2.3.4\";branch=z9hG4bKa", UDP, "h", "h", 0,
		";x=\"a,b;received=1.2.3.4\";branch=z9hG4bKa", "z9hG4bKa", true},
	/* comments: RFC 2543 */
	{"SIP/2.0/UDP h:4054 ;ttl=16; branch=a7c6 (Acme, (the \\) server))", UDP, "h:4054", "h",
		4054, ";ttl=16; branch=a7c6", "a7c6"},
	{"SIP/2.0/UDP h (a)(b)", UDP, "h", "h"},
	/* transports */
	{"SIP/2.0/TLS h", SIP_TRANSPORT_TLS, "h", "h"},
	{"SIP/2.0/SCTP h", SIP_TRANSPORT_SCTP, "h", "h"},
	{"SIP/2.0/wss df7jal23ls0d.invalid", SIP_TRANSPORT_WSS, "df7jal23ls0d.invalid",
		"df7jal23ls0d.invalid"},
	{"SIP/2.0/UNKNOWN h", SIP_TRANSPORT_OTHER, "h", "h"},
	/* another version is for the request line to refuse (505), by a reply that needs this Via
	 */
	{"SIP/7.0/UDP h", UDP, "h", "h"},
};

static const char *bad[] = {
	"",
	" ",
	"SIP",
	"SIP/2.0",
	"SIP/2.0/",
	"SIP/2.0/UDP",
	"SIP/2.0/UDP ",
	"/2.0/UDP h",
	"SIP//UDP h",
	"SIP/2.0/? h",
	"SIP/2.0/UDP/h",
	"SIP 2.0 UDP h",
	"SIP/2.0/UDP;branch=x",
	/* hosts and ports (P10) */
	"SIP/2.0/UDP :5060",
	"SIP/2.0/UDP host::5060",
	"SIP/2.0/UDP host:",
	"SIP/2.0/UDP host:;branch=x",
	"SIP/2.0/UDP 1.2.3.4:99999",
	"SIP/2.0/UDP 1.2.3.4:0",
	"SIP/2.0/UDP 1.2.3.4:65536",
	"SIP/2.0/UDP h:5060x",
	"SIP/2.0/UDP h:50 60",
	"SIP/2.0/UDP h:-1",
	"SIP/2.0/UDP ;branch=z9hG4bKa",
	"SIP/2.0/UDP 2001:db8::9:1",
	"SIP/2.0/UDP [2001:db8:::1]",
	"SIP/2.0/UDP [2001:db8::1",
	"SIP/2.0/UDP []",
	"SIP/2.0/UDP h h",
	"SIP/2.0/UDP 1.2.3.4.5",
	"SIP/2.0/UDP 300.1.1.1",
	"SIP/2.0/UDP h/5060",
	"SIP/2.0/UDP <h>",
	"SIP/2.0/UDP \"h\"",
	"SIP/2.0/UDP user@h",
	"SIP/2.0/UDP h:4294972356",
	/* parameters: RFC 4475 3.1.2.1 */
	"SIP/2.0/UDP 192.0.2.15;;,;,,",
	"SIP/2.0/UDP h;",
	"SIP/2.0/UDP h;;a",
	"SIP/2.0/UDP h; ;a",
	"SIP/2.0/UDP h;=x",
	"SIP/2.0/UDP h;a=",
	"SIP/2.0/UDP h;a b",
	"SIP/2.0/UDP h;a=b c",
	"SIP/2.0/UDP h;a=\"b",
	"SIP/2.0/UDP h;a=\"b\\",
	"SIP/2.0/UDP h;a=\"b\"c",
	"SIP/2.0/UDP h;a=<b>",
	"SIP/2.0/UDP h branch=x",
	"SIP/2.0/UDP h;a=\"\\\r\n\"",
	"SIP/2.0/UDP h;branch",
	"SIP/2.0/UDP h;branch=\"x\"",
	"SIP/2.0/UDP h;branch=a;branch=b",
	"SIP/2.0/UDP h;branch=;branch=b",
	"SIP/2.0/UDP h;rport=",
	"SIP/2.0/UDP h;rport=0",
	"SIP/2.0/UDP h;rport=65536",
	"SIP/2.0/UDP h;rport=5x",
	"SIP/2.0/UDP h;rport;rport=5",
	"SIP/2.0/UDP h;received",
	"SIP/2.0/UDP h;received=",
	"SIP/2.0/UDP h;received=host",
	"SIP/2.0/UDP h;received=1.2.3",
	"SIP/2.0/UDP h;received=[1.2.3.4]",
	"SIP/2.0/UDP h;received=1.2.3.4;received=1.2.3.4",
	"SIP/2.0/UDP h;received=2001:db8:::1",
	"SIP/2.0/UDP h;received=[2001:db8::1",
	"SIP/2.0/UDP h;maddr",
	"SIP/2.0/UDP h;maddr=1.2.3",
	"SIP/2.0/UDP h;maddr=a;maddr=b",
	"SIP/2.0/UDP h;ttl=999",
	"SIP/2.0/UDP h;ttl",
	"SIP/2.0/UDP h;ttl=x",
	"SIP/2.0/UDP h;sp=a;sp=b",
	"SIP/2.0/UDP h;sp=",
	/* comments and the list */
	"SIP/2.0/UDP h (a",
	"SIP/2.0/UDP h (a\\",
	"SIP/2.0/UDP h (a) b",
	"SIP/2.0/UDP h a)",
	"SIP/2.0/UDP h,",
	"SIP/2.0/UDP h , ",
	",SIP/2.0/UDP h",
	"SIP/2.0/UDP h;branch=a,\r\n ",
};

static void expect(const struct via_row *row, const char *buf, const struct sip_via *via)
{
	struct str in = str_c(row->text);

	input_expect("value", in, buf, via->value, row->text);
	input_expect("sent_by", in, buf, via->sent_by, row->sent_by);
	input_expect("host", in, buf, via->host, row->host);
	input_expect("params", in, buf, via->params, row->params != NULL ? row->params : "");
	input_expect("branch", in, buf, via->branch, row->branch != NULL ? row->branch : "");
	input_expect(
		"received", in, buf, via->received, row->received != NULL ? row->received : "");
	input_expect("maddr", in, buf, via->maddr, row->maddr != NULL ? row->maddr : "");
	input_expect("token", in, buf, via->token, row->token != NULL ? row->token : "");
	input_expect("rport_param", in, buf, via->rport_param,
		row->rport_param != NULL ? row->rport_param : "");
	input_expect("received_param", in, buf, via->received_param,
		row->received_param != NULL ? row->received_param : "");
	if (via->transport != row->transport || via->port != row->port ||
		via->has_magic != row->has_magic || via->has_rport != row->has_rport ||
		via->rport != row->rport)
		fail_msg("%s: transport %d, port %u, magic %d, rport %d %u", row->text,
			via->transport, via->port, via->has_magic, via->has_rport, via->rport);
	assert_int_equal(via->host_is_ip6, strchr(row->host, ':') != NULL);

	struct in_addr address = {0};

	assert_int_equal(via->received_is_ip4,
		row->received != NULL && inet_pton(AF_INET, row->received, &address) == 1);
	assert_int_equal(via->received_ip4, address.s_addr);
}

static void test_parts_of_good_values(void **state)
{
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct str in = str_c(good[i].text);
		char *buf = input_copy(in);
		struct sip_via via;

		if (sip_via_parse(buf, (struct sip_span){0, in.len}, &via) != 0)
			fail_msg("%s: refused", good[i].text);
		expect(&good[i], buf, &via);
		assert_int_equal(via.next, 0);
		free(buf);
	}
}

static void test_malformed_values_are_refused(void **state)
{
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct str in = str_c(bad[i]);
		char *buf = input_copy(in);
		struct sip_via via;

		if (sip_via_parse(buf, (struct sip_span){0, in.len}, &via) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
		free(buf);
	}
}

/* Any good value reads the same between any two others, each found by the `next` of the one before.
 */
static void test_values_on_one_line_are_stepped_through(void **state)
{
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char line[1024];
		int len = snprintf(line, sizeof(line),
			" SIP/2.0/UDP first;branch=z9hG4bK1 ,\r\n %s\t,SIP/2.0/TCP last",
			good[i].text);
		char *buf = input_copy(str_of(line, (size_t)len));
		struct sip_span in = {0, (uint32_t)len};
		struct sip_via via, middle;
		struct sip_span shifted;

		assert_int_equal(sip_via_parse(buf, in, &via), 0);
		input_expect(
			"value", str_c(line), buf, via.value, "SIP/2.0/UDP first;branch=z9hG4bK1");
		assert_true(via.next > 0);
		in = (struct sip_span){via.next, (uint32_t)len - via.next};
		assert_int_equal(sip_via_parse(buf, in, &middle), 0);
		expect(&good[i], buf, &middle);
		assert_true(middle.next > 0);
		shifted = (struct sip_span){middle.next, (uint32_t)len - middle.next};
		assert_int_equal(sip_via_parse(buf, shifted, &via), 0);
		input_expect("value", str_c(line), buf, via.value, "SIP/2.0/TCP last");
		assert_int_equal(via.next, 0);
		free(buf);
	}
}

/* A cut value is refused or read within bounds; which, ASan and the spans say. */
static void check_every_cut(struct str text)
{
	for (uint32_t len = text.len; len > 0; len--) {
		char *buf = input_copy(str_of(text.s, len));
		struct sip_via via;

		if (sip_via_parse(buf, (struct sip_span){0, len}, &via) == 0) {
			assert_true(via.host.len > 0);
			assert_true(via.value.off + via.value.len <= len);
			assert_true(via.next < len);
		}
		free(buf);
	}
}

static void test_every_cut_stays_in_bounds(void **state)
{
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		check_every_cut(str_c(good[i].text));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_every_cut(str_c(bad[i]));
}

static void test_nul_anywhere_is_refused(void **state)
{
	const char text[] = "SIP/2.0/UDP h:5060;branch=z9hG4bKa;x=\"y\" (c)";

	for (unsigned i = 0; i < sizeof(text) - 1; i++) {
		char *buf = input_copy(str_of(text, sizeof(text) - 1));
		struct sip_via via;

		buf[i] = '\0';
		assert_int_equal(
			sip_via_parse(buf, (struct sip_span){0, sizeof(text) - 1}, &via), -EINVAL);
		free(buf);
	}
}

static unsigned refused;

static void check_osip(struct str text)
{
	char *buf = input_copy(text);
	struct sip_via via;

	if (sip_via_parse(buf, (struct sip_span){0, text.len}, &via) != 0) {
		/* In this file: a value cut over two lines, and a quote that never closes. */
		if (text.s[0] != ';' && str_find(text, '"') < 0)
			fail_msg("%.*s: refused", STR_FMT(text));
		refused++;
	}
	free(buf);
	check_every_cut(text);
}

static void test_osip_values_are_read(void **state)
{
	refused = 0;
	if (input_shared_lines("corpus/osip-res/vias.txt", check_osip) < 0)
		skip();
	assert_int_equal(refused, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_of_good_values),
		cmocka_unit_test(test_malformed_values_are_refused),
		cmocka_unit_test(test_values_on_one_line_are_stepped_through),
		cmocka_unit_test(test_every_cut_stays_in_bounds),
		cmocka_unit_test(test_nul_anywhere_is_refused),
		cmocka_unit_test(test_osip_values_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
