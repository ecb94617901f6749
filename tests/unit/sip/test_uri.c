/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>

#include "input.h"
#include "message.h"

struct uri_row {
	const char *text;
	enum sip_scheme scheme;
	const char *user, *password, *host;
	uint16_t port;
	const char *params, *headers;
	enum sip_transport transport;
	bool lr;
	const char *maddr;
};

#define SIP SIP_SCHEME_SIP
#define SIPS SIP_SCHEME_SIPS

static const struct uri_row good[] = {
	{"sip:a", SIP, "", "", "a"},
	{"sip:alice@atlanta.com", SIP, "alice", "", "atlanta.com"},
	{"SIPS:alice:secret@atlanta.com:5061;transport=tcp", SIPS, "alice", "secret", "atlanta.com",
		5061, "transport=tcp", "", SIP_TRANSPORT_TCP},
	{"sip:alice:@h", SIP, "alice", "", "h"},
	{"sip:+1-212-555-1212:1234@gateway.com;user=phone", SIP, "+1-212-555-1212", "1234",
		"gateway.com", 0, "user=phone"},
	/* reserved characters in the user part: RFC 3261 25.1, RFC 4475 3.1.1.5 and 3.1.1.3 */
	{"sip:user;par=u%40example.net@example.com", SIP, "user;par=u%40example.net", "",
		"example.com"},
	{"sip:sips%3Auser%40example.com@example.net", SIP, "sips%3Auser%40example.com", "",
		"example.net"},
	{"sip:a?b/c,d&e=f+g$h;i@h", SIP, "a?b/c,d&e=f+g$h;i", "", "h"},
	{"sip:null-%00-null@example.com", SIP, "null-%00-null", "", "example.com"},
	/* sent unescaped by telephones */
	{"sip:*31#0049123@h", SIP, "*31#0049123", "", "h"},
	{"sip:j\xc3\xbcrgen@h", SIP, "j\xc3\xbcrgen", "", "h"},
	/* hosts */
	{"sip:192.0.2.4:5070", SIP, "", "", "192.0.2.4", 5070},
	{"sip:u@[2001:db8::10]:5070;lr", SIP, "u", "", "2001:db8::10", 5070, "lr", "", 0, true},
	{"sip:[2001:db8::10:5070]", SIP, "", "", "2001:db8::10:5070"},
	{"sip:[::]", SIP, "", "", "::"},
	{"sip:[::1]", SIP, "", "", "::1"},
	{"sip:[1::]", SIP, "", "", "1::"},
	{"sip:[1:2:3:4:5:6:7:8]", SIP, "", "", "1:2:3:4:5:6:7:8"},
	{"sip:[1:2:3:4:5:6:7::]", SIP, "", "", "1:2:3:4:5:6:7::"},
	{"sip:[::ffff:192.0.2.2]", SIP, "", "", "::ffff:192.0.2.2"},
	{"sip:[2001:db8::192.0.2.1]", SIP, "", "", "2001:db8::192.0.2.1"},
	/* RFC 5118 4.10 */
	{"sip:[2001:db8:::192.0.2.1]", SIP, "", "", "2001:db8:::192.0.2.1"},
	{"sip:[:::192.0.2.1]", SIP, "", "", ":::192.0.2.1"},
	{"sip:host_1.example.com.", SIP, "", "", "host_1.example.com."},
	{"sip:1a2b3c4d", SIP, "", "", "1a2b3c4d"},
	{"sip:h:00005060", SIP, "", "", "h", 5060},
	/* parameters and headers */
	{"sip:h;transport=UDP;lr=on;maddr=239.255.255.1;ttl=15?subject=x&to=y", SIP, "", "", "h", 0,
		"transport=UDP;lr=on;maddr=239.255.255.1;ttl=15", "subject=x&to=y",
		SIP_TRANSPORT_UDP, true, "239.255.255.1"},
	{"sip:h?a=b;c?d", SIP, "", "", "h", 0, "", "a=b;c?d"},
	{"sip:h;Transport=WsS", SIP, "", "", "h", 0, "Transport=WsS", "", SIP_TRANSPORT_WSS},
	{"sip:h;transport=dccp", SIP, "", "", "h", 0, "transport=dccp", "", SIP_TRANSPORT_OTHER},
	{"sip:h;maddr=[2001:db8::1]", SIP, "", "", "h", 0, "maddr=[2001:db8::1]", "", 0, false,
		"[2001:db8::1]"},
	{"sip:h;p[]/:&+$=v[]/:&+$", SIP, "", "", "h", 0, "p[]/:&+$=v[]/:&+$"},
	{"sip:h;a;;b;", SIP, "", "", "h", 0, "a;;b;"},
	{"sip:h;notlr;xlr=1", SIP, "", "", "h", 0, "notlr;xlr=1"},
	/* names and values of parameters may be escaped: RFC 4475 3.1.1.3 */
	{"sip:cal%6Cer@h;%6C%72;n%61me=v%61lue%25%34%31", SIP, "cal%6Cer", "", "h", 0,
		"%6C%72;n%61me=v%61lue%25%34%31", "", 0, true},
	{"sip:h;%74ransport=%74cp", SIP, "", "", "h", 0, "%74ransport=%74cp", "",
		SIP_TRANSPORT_TCP},
	/* tel: RFC 3966 */
	{"tel:+1-201-555-0123", SIP_SCHEME_TEL, "+1-201-555-0123", "", ""},
	{"TEL:7042;phone-context=example.com", SIP_SCHEME_TEL, "7042", "", "", 0,
		"phone-context=example.com"},
	/* others */
	{"urn:service:sos", SIP_SCHEME_OTHER, "", "", ""},
	{"nobodyKnowsThisScheme:totallyopaquecontent", SIP_SCHEME_OTHER, "", "", ""},
	{"http://www.example.com", SIP_SCHEME_OTHER, "", "", ""},
	{"sip+x-1.2:%", SIP_SCHEME_OTHER, "", "", ""},
};

static const char *bad[] = {
	"",
	":",
	"si",
	"sip",
	"sip:",
	"sips:",
	"tel:",
	"tel:;x",
	"urn:",
	"1sip:h",
	"+x:h",
	" sip:h",
	"sip :h",
	/* empty parts */
	"sip:@host",
	"sip::@h",
	"sip::pw@h",
	"sip:a@",
	"sip::5070",
	"sip:;lr",
	"sip:?a=b",
	"sip:a@;lr",
	"sip:;=x",
	/* '%' */
	"sip:%@h",
	"sip:%4@h",
	"sip:%zz@h",
	"sip:a%4",
	"sip:h;a=%",
	"sip:h;a=%4",
	"sip:h?a=%4g",
	"sip:h;%a",
	"sip:%41h",
	"sip:a:%0@h",
	/* delimiters and controls */
	"<sip:h>",
	"sip:h>",
	"sip:a b@h",
	"sip:h; lr",
	"sip:h ",
	"sip:a\"b@h",
	"sip:a<b@h",
	"sip:h;a=\"b\"",
	"sip:h\r\n",
	"sip:a\r\nVia: x@h",
	"sip:h;a=\x7f",
	"sip:a\tb@h",
	"urn:a b",
	"tel:1 2",
	"sip:a@b@c",
	"sip:@@q;s_'",
	/* hosts */
	"sip:2",
	"sip:1.2.3",
	"sip:1.2.3.4.5",
	"sip:256.1.1.1",
	"sip:010.1.1.1",
	"sip:1.2.3.4.",
	"sip:a.1",
	"sip:-a",
	"sip:a-",
	"sip:a..b",
	"sip:.a",
	"sip:.",
	"sip:a.-b.c",
	"sip:2001:db8::10",
	"sip:[]",
	"sip:[:]",
	"sip:[::1",
	"sip:[::1]]",
	"sip:[::1]x",
	"sip:[fe80::1%25eth0]",
	"sip:[2001:db8:::1]",
	"sip:[2001:db8:::1:192.0.2.1]",
	"sip:[1::2:::192.0.2.1]",
	"sip:[::::192.0.2.1]",
	"sip:[:::]",
	"sip:[1:2:3:4:5:6:7]",
	"sip:[1:2:3:4:5:6:7:8:9]",
	"sip:[1::2::3]",
	"sip:[1:2:3:4:5:6:7:8::]",
	"sip:[12345::]",
	"sip:[::1.2.3]",
	"sip:[::1.2.3.256]",
	"sip:[1.2.3.4::]",
	"sip:[1:2:3:4:5:6:7:1.2.3.4]",
	"sip:[1:]",
	"sip:[::1]:",
	"sip:[1.2.3.4]",
	"sip:[::192.000.002.001]",
	"sip:ex$ample.com",
	/* ports */
	"sip:h:",
	"sip:h:0",
	"sip:h:65536",
	"sip:h:99999999999999999999",
	"sip:h:5060x",
	"sip:h:-1",
	"sip:h::5060",
	"sip:h:+5060",
	"sip:h: 5060",
	/* parameters that route */
	"sip:h;maddr",
	"sip:h;maddr=",
	"sip:h;maddr=1.2.3.4.5",
	"sip:h;maddr=a;maddr=b",
	"sip:h;transport",
	"sip:h;transport=",
	"sip:h;transport=udp;transport=tcp",
	"sip:h;ttl=256",
	"sip:h;ttl=x",
	"sip:h;ttl=1;ttl=2",
	"sip:h;=v",
};

static int parse(const char *text, char **copy, struct sip_uri *uri)
{
	struct str in = str_c(text);

	*copy = input_copy(in);
	return sip_uri_parse(*copy, (struct sip_span){0, in.len}, uri);
}

static void test_parts_of_good_uris(void **state)
{
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct uri_row *row = &good[i];
		struct str in = str_c(row->text);
		struct sip_uri uri;
		char *buf;

		if (parse(row->text, &buf, &uri) != 0)
			fail_msg("%s: refused", row->text);
		input_expect("all", in, buf, uri.all, row->text);
		input_expect("user", in, buf, uri.user, row->user);
		input_expect("password", in, buf, uri.password, row->password);
		input_expect("host", in, buf, uri.host, row->host);
		input_expect("params", in, buf, uri.params, row->params != NULL ? row->params : "");
		input_expect(
			"headers", in, buf, uri.headers, row->headers != NULL ? row->headers : "");
		input_expect("maddr", in, buf, uri.maddr, row->maddr != NULL ? row->maddr : "");
		if (uri.scheme != row->scheme || uri.port != row->port || uri.lr != row->lr ||
			uri.transport != row->transport || uri.has_maddr != (row->maddr != NULL))
			fail_msg("%s: scheme %d, port %u, lr %d, transport %d", row->text,
				uri.scheme, uri.port, uri.lr, uri.transport);
		assert_int_equal(uri.host_is_ip6, strchr(row->host, ':') != NULL);
		free(buf);
	}
}

static void test_malformed_uris_are_refused(void **state)
{
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sip_uri uri;
		char *buf;

		if (parse(bad[i], &buf, &uri) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
		free(buf);
	}
}

static void test_hostport_is_as_written(void **state)
{
	struct sip_uri uri;
	char *buf;

	assert_int_equal(parse("sip:u@[2001:db8::1]:5070;a", &buf, &uri), 0);
	input_expect(
		"hostport", STR("[2001:db8::1]:5070"), buf, uri.hostport, "[2001:db8::1]:5070");
	input_expect("opaque", STR("v6"), buf, uri.opaque, "u@[2001:db8::1]:5070;a");
	input_expect("scheme", STR("v6"), buf, uri.scheme_text, "sip");
	free(buf);
}

static void test_nul_and_every_control_is_refused(void **state)
{
	for (unsigned c = 0; c < 0x21; c++) {
		char text[] = "sip:uXser@h;paX=b?hX=d";

		for (char *x = strchr(text, 'X'); x != NULL; x = strchr(x + 1, 'X')) {
			char *buf = input_copy(str_c(text));
			struct sip_uri uri;

			buf[x - text] = (char)c;
			assert_int_equal(
				sip_uri_parse(buf, (struct sip_span){0, sizeof(text) - 1}, &uri),
				-EINVAL);
			free(buf);
		}
	}
}

/* RFC 3261 19.1.4 with its own examples; 1: equal, 0: not. */
static const struct {
	int equal;
	const char *a, *b;
} pairs[] = {
	{1, "sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"},
	{1, "sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"},
	{1, "sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"},
	{1, "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
		"sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"},
	{1, "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
		"sip:alice@atlanta.com?priority=urgent&subject=project%20x"},
	{0, "SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"},
	{0, "sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"},
	{0, "sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"},
	{0, "sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"},
	{0, "sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"},
	{0, "sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"},
	{0, "sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"},
	{0, "sip:a@h", "sips:a@h"},
	{0, "sip:a@h", "sip:h"},
	{0, "sip:a@h", "sip:a:b@h"},
	{0, "sip:a:b@h", "sip:a:B@h"},
	{0, "sip:a%3Bb@h", "sip:a;b@h"},
	{1, "sip:a%3bb@h", "sip:a%3Bb@h"},
	{1, "sip:h;x=%41", "sip:h;X=a"},
	{0, "sip:h;user=phone", "sip:h"},
	{0, "sip:h", "sip:h;maddr=1.2.3.4"},
	{0, "sip:h;ttl=1", "sip:h"},
	{0, "sip:h;method=INVITE", "sip:h"},
	{0, "sip:h?a=b&a=b", "sip:h?a=b&c=d"},
	{0, "sip:h?a=b&a=b", "sip:h?a=b"},
	{1, "sip:h?A=b", "sip:h?a=b"},
	{0, "sip:h?a=b", "sip:h?a=B"},
	{1, "sip:[2001:DB8::1]", "sip:[2001:db8:0:0:0:0:0:1]"},
	{1, "sip:[::ffff:192.0.2.1]", "sip:[::ffff:c000:201]"},
	{1, "sip:[2001:db8:::192.0.2.1]", "sip:[2001:db8::c000:201]"},
	{0, "sip:[2001:db8::1]", "sip:[2001:db8::2]"},
	{1, "tel:+1-201-555-0123", "tel:+12015550123"},
	{0, "tel:+12015550123", "tel:12015550123"},
	{0, "tel:7042;phone-context=a.com", "tel:7042"},
	{1, "tel:7042;a=1;phone-context=a.com", "TEL:70-42;phone-context=A.com;a=1"},
	{1, "URN:service:sos", "urn:service:sos"},
	{0, "urn:service:sos", "urn:service:SOS"},
};

static void test_equality_follows_rfc3261_19_1_4(void **state)
{
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct sip_uri a, b;
		char *x, *y;

		assert_int_equal(parse(pairs[i].a, &x, &a), 0);
		assert_int_equal(parse(pairs[i].b, &y, &b), 0);
		if (sip_uri_equal(x, &a, y, &b) != pairs[i].equal ||
			sip_uri_equal(y, &b, x, &a) != pairs[i].equal)
			fail_msg("%s and %s: not %d", pairs[i].a, pairs[i].b, pairs[i].equal);
		assert_true(sip_uri_equal(x, &a, x, &a));
		free(x);
		free(y);
	}
}

/* A message full of parameters, or of headers, costs no more than it is long. */
static void test_equality_of_huge_uris_is_bounded(void **state)
{
	enum { SIZE = 60000 };
	static const char *unit[] = {";a=%u", "&a=%u"};
	static const char *head[] = {"sip:h", "sip:h?b=1"};

	for (unsigned kind = 0; kind < 2; kind++) {
		char *a = malloc(SIZE), *b = malloc(SIZE);
		struct sip_uri x, y;
		uint32_t len = (uint32_t)snprintf(a, SIZE, "%s", head[kind]);

		for (unsigned i = 0; len < SIZE - 16; i++)
			len += (uint32_t)snprintf(a + len, SIZE - len, unit[kind], i);
		memcpy(b, a, len);
		b[4] = 'g';
		assert_int_equal(sip_uri_parse(a, (struct sip_span){0, len}, &x), 0);
		assert_int_equal(sip_uri_parse(b, (struct sip_span){0, len}, &y), 0);
		assert_true(sip_uri_equal(a, &x, a, &x));
		assert_false(sip_uri_equal(a, &x, b, &y));
		/* The same host, and another text. */
		b[4] = 'H';
		assert_false(sip_uri_equal(a, &x, b, &y));
		free(a);
		free(b);
	}
}

static const struct {
	const char *params, *name, *value, *whole;
} finds[] = {
	{"a=1;b", "a", "1", "a=1"},
	{"a=1;b", "B", "", ";b"},
	{";a=1;b", "a", "1", ";a=1"},
	{";a=1;b", "c", NULL, NULL},
	{"; a = 1 ;\r\n b", "a", "1", "; a = 1"},
	{"; a = 1 ;\r\n b", "b", "", ";\r\n b"},
	{";x=\"a;tag=2\";tag=1", "tag", "1", ";tag=1"},
	{";x=\"a\\\";tag=2\";tag=1", "tag", "1", ";tag=1"},
	{";x=\"a;tag=2", "tag", NULL, NULL},
	{";x=\"v\"", "x", "\"v\"", ";x=\"v\""},
	{";tagg=1;ta=2;tag=3", "tag", "3", ";tag=3"},
	{";a=", "a", "", ";a="},
	{";;a=b=c;", "a", "b=c", ";a=b=c"},
	{";a=1;a=2", "a", "1", ";a=1"},
	{"", "a", NULL, NULL},
	{";", "a", NULL, NULL},
};

static void test_parameters_are_found_by_name(void **state)
{
	for (unsigned i = 0; i < sizeof(finds) / sizeof(finds[0]); i++) {
		struct str in = str_c(finds[i].params);
		char *buf = input_copy(in);
		struct sip_span value = {0}, whole = {0}, all = {0, in.len};
		bool found = sip_param_find(buf, all, str_c(finds[i].name), &value, &whole);

		if (found != (finds[i].value != NULL))
			fail_msg("'%s': %s", finds[i].params, finds[i].name);
		assert_int_equal(sip_param_find(buf, all, str_c(finds[i].name), NULL, NULL), found);
		if (found) {
			input_expect("value", in, buf, value, finds[i].value);
			input_expect("whole", in, buf, whole, finds[i].whole);
		}
		free(buf);
	}
}

static void test_a_uri_parameter_is_found_with_the_semicolon_before_it(void **state)
{
	struct sip_span value, whole;
	struct sip_uri uri;
	char *buf;

	assert_int_equal(parse("sip:h;a=1;b", &buf, &uri), 0);
	assert_true(sip_param_find(buf, uri.params, STR("a"), &value, &whole));
	input_expect("whole", STR("a"), buf, whole, ";a=1");
	free(buf);
}

/* Pieces put together at random: everything of it is a text that a URI may have as parameters. */
static uint32_t pieces(const char *const piece[], unsigned n, char *out, uint32_t room)
{
	uint32_t len = 0, want = (uint32_t)rand() % room;

	for (;;) {
		struct str add = str_c(piece[(unsigned)rand() % n]);

		if (len + add.len > want)
			return len;
		memcpy(out + len, add.s, add.len);
		len += add.len;
	}
}

/* What stands for a parameter's name without escapes and in lower case; only escapes of letters
 * stand in what these tests make. */
static uint32_t plain_name(struct str name, char *out)
{
	uint32_t len = 0;

	for (uint32_t i = 0; i < name.len; i++) {
		unsigned code;

		out[len] = name.s[i];
		if (name.s[i] == '%' && sscanf(name.s + i + 1, "%2x", &code) == 1) {
			out[len] = (char)code;
			i += 2;
		}
		out[len] = str_lower_char(out[len]);
		len++;
	}
	return len;
}

struct looked_at {
	unsigned lr, transport, maddr, ttl;
	bool nameless;
};

/* One parameter after the other, one character after the other. */
static void look_at(struct str text, struct looked_at *out)
{
	for (uint32_t at = 0, next; at < text.len; at = next + 1) {
		char plain[512];
		struct str name;

		for (next = at; next < text.len && text.s[next] != ';';)
			next++;
		for (name = str_of(text.s + at, 0);
			name.len < next - at && name.s[name.len] != '=';)
			name.len++;
		name = str_of(plain, plain_name(name, plain));
		out->nameless |= name.len == 0 && next != at;
		out->lr += str_eq(name, STR("lr"));
		out->transport += str_eq(name, STR("transport"));
		out->maddr += str_eq(name, STR("maddr"));
		out->ttl += str_eq(name, STR("ttl"));
	}
}

static void test_what_routing_looks_at_is_found_among_any_parameters(void **state)
{
	/* The last ones are taken seldom: a name must not be empty. */
	static const char *const piece[] = {";", ";", ";", ";", ";lr", ";a", ";l", ";%6cr", ";L%52",
		";lr=", ";a=b", ";m=t", ";Maddr=h", ";m%61ddr=h", ";transport=udp", ";ttl=5",
		";%74ransport=tcp", ";abcdefgh=ijk", ";tr=1", ";lrx", ";mad=", ";t", ";\xc3\xa9",
		";%6c", ";=", ";=lr"};
	const unsigned usual = sizeof(piece) / sizeof(piece[0]) - 2;
	unsigned taken_with[4] = {0};

	srand(1);
	for (unsigned i = 0; i < 200000; i++) {
		char text[160] = "sip:h;";
		uint32_t len = 6 + pieces(piece, i % 8 == 0 ? usual + 2 : usual, text + 6,
					   i % 4 == 0 ? 20 : sizeof(text) - 6);
		struct looked_at want = {0};
		struct sip_uri uri;
		char *buf = input_copy(str_of(text, len));
		bool taken_it = sip_uri_parse(buf, (struct sip_span){0, len}, &uri) == 0;

		look_at(str_of(text + 6, len - 6), &want);
		if (taken_it !=
			(!want.nameless && want.transport <= 1 && want.maddr <= 1 && want.ttl <= 1))
			fail_msg("%.*s", (int)len, text);
		if (taken_it &&
			(uri.lr != (want.lr != 0) || uri.has_maddr != (want.maddr == 1) ||
				(uri.transport != SIP_TRANSPORT_NONE) != (want.transport == 1)))
			fail_msg("%.*s", (int)len, text);
		taken_with[0] += taken_it;
		taken_with[1] += taken_it && uri.lr;
		taken_with[2] += taken_it && uri.has_maddr;
		taken_with[3] += taken_it && uri.transport != SIP_TRANSPORT_NONE;
		free(buf);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_true(taken_with[i] > 1000);
}

/* The same verdict and the same parts from each scanner; returns whether it was taken. */
static bool same_from_all(struct str text, uint32_t before)
{
	char *buf = input_copy(text);
	struct sip_span in = {before, text.len - before};
	struct sip_uri want, got;
	int verdict;

	assert_int_equal(sip_scan_select(test_scanners[0]), 0);
	verdict = sip_uri_parse(buf, in, &want);
	for (unsigned i = 1; i < test_scanner_count; i++) {
		assert_int_equal(sip_scan_select(test_scanners[i]), 0);
		if (sip_uri_parse(buf, in, &got) != verdict ||
			(verdict == 0 && memcmp(&got, &want, sizeof(got)) != 0))
			fail_msg("%s: '%.*s'", test_scanners[i], STR_FMT(text));
	}
	free(buf);
	return verdict == 0;
}

static void test_each_scanner_parses_uris_alike(void **state)
{
	static const char *const scheme[] = {
		"sip:", "sip:", "sIP:", "sips:", "SIPS:", "tel:", "sip", "sipx:", ""};
	static const char *const user[] = {"alice@", "+4930#12@", "%61@", "a:b@", "a;lr@", "@",
		"a@b@", "", "", "a?b@", "\xc3\xa9@", "a b@",
		"a-very-long-user-name-of-forty-characters@"};
	static const char *const host[] = {"10.20.0.11", "192.168.100.200", "h", "a.example",
		"1.2.3.4.5", "256.1.1.1", "[::1]", "example.", "-a.b", "a..b", "host-1.example.com",
		"", "1.2.3.04"};
	static const char *const port[] = {
		"", "", ":5060", ":1", ":65535", ":65536", ":0", ":00005060", ":", ":50a"};
	static const char *const rest[] = {";", ";lr", ";ob", ";LR", ";lr=on", ";transport=udp",
		";transport=TCP", ";transport=tls", ";Transport=sctp",
		";transport=", ";transport=udpx", ";maddr=1.2.3.4", ";ttl=5", ";method=INVITE",
		";Method=x", ";method", ";methods=x", ";m=1", ";t", ";l", ";user=phone", ";x=%41",
		";=v", "?a=b", ";x@y", ":5", " ", "\x7f", ";line=0123456789abcdef", ";%6cr"};
	const char *scanner = sip_scan_name();
	unsigned taken_uris = 0, taken_methods = 0;

	srand(3);
	for (unsigned i = 0; i < 400000; i++) {
		char text[300];
		uint32_t before = (unsigned)rand() % 80, len = before;
		struct str add;

		memset(text, '@', before);
#define ADD(from) \
	(add = str_c(from[(unsigned)rand() % (sizeof(from) / sizeof(from[0]))]), \
		memcpy(text + len, add.s, add.len), len += add.len)
		ADD(scheme);
		ADD(user);
		ADD(host);
		ADD(port);
		for (unsigned n = (unsigned)rand() % 5; n > 0; n--)
			ADD(rest);
#undef ADD
		if (same_from_all(str_of(text, len), before)) {
			struct sip_uri uri;

			assert_int_equal(
				sip_uri_parse(text, (struct sip_span){before, len - before}, &uri),
				0);
			taken_uris++;
			taken_methods += uri.has_method;
		}
	}
	assert_int_equal(sip_scan_select(scanner), 0);
	assert_true(taken_uris > 20000 && taken_methods > 200);
}

static void test_a_uri_has_so_many_parameters_that_routing_looks_at(void **state)
{
	static const char *const known[] = {";lr", ";tr", ";ma=1", ";%6c%72", ";%7a"};
	char text[6000] = "sip:h";
	struct sip_uri uri;
	uint32_t len;

	for (unsigned k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
		struct str add = str_c(known[k]);

		memcpy(text + 5, ";m=1", 4);
		len = 9;
		for (unsigned n = 1; n <= SIP_URI_KNOWN_MAX + 1; n++) {
			/* Others may stand there as they like. */
			memcpy(text + len, ";abc;m;n", 8);
			memcpy(text + len + 8, add.s, add.len);
			len += 8 + add.len;
			assert_int_equal(sip_uri_parse(text, (struct sip_span){0, len}, &uri),
				n <= SIP_URI_KNOWN_MAX ? 0 : -EINVAL);
			memcpy(text + len, ";m", 2);
			assert_int_equal(sip_uri_parse(text, (struct sip_span){0, len + 2}, &uri),
				n <= SIP_URI_KNOWN_MAX ? 0 : -EINVAL);
		}
	}
	for (len = 5; len + 2 <= sizeof(text); len += 2)
		memcpy(text + len, ";a", 2);
	memcpy(text + len - 3, ";lr", 3);
	assert_int_equal(sip_uri_parse(text, (struct sip_span){0, len}, &uri), 0);
	assert_true(uri.lr);
}

/* By hand, as sip_param_find() says. */
static bool find_slowly(struct str text, struct str name, struct sip_span *value)
{
	for (uint32_t at = 0, next; at < text.len; at = next) {
		uint32_t begin = at + (text.s[at] == ';'), end;
		bool quoted = false;

		while (begin < text.len && str_is_lws(text.s[begin]))
			begin++;
		for (next = begin; next < text.len && (quoted || text.s[next] != ';'); next++)
			quoted ^= text.s[next] == '"';
		if (next - begin < name.len || !str_ieq(str_of(text.s + begin, name.len), name))
			continue;
		begin += name.len;
		if (begin < next && text.s[begin] != '=' && !str_is_lws(text.s[begin]))
			continue;
		for (end = next; end > begin && str_is_lws(text.s[end - 1]);)
			end--;
		while (begin < end && str_is_lws(text.s[begin]))
			begin++;
		if (begin < end && text.s[begin] == '=') {
			for (begin++; begin < end && str_is_lws(text.s[begin]);)
				begin++;
		} else {
			begin = end;
		}
		*value = (struct sip_span){begin, end - begin};
		return true;
	}
	return false;
}

static void test_a_parameter_is_found_among_any_others(void **state)
{
	static const char *const piece[] = {";", ";a", ";t", "; ta", ";tag", ";TAG=1", "; tag = 2 ",
		";tagx=3", ";x=\"a;tag=4;b\"", ";\t", " ", "\"", ";abcdefghijk=lmnop", "\xc3\xa9",
		";t\xc3", ";=", ";ta=", ";long=0123456789abcdef0123456789"};
	static const struct str names[] = {{"tag", 3}, {"a", 1}, {"ta", 2}};
	unsigned found = 0;

	srand(2);
	for (unsigned i = 0; i < 200000; i++) {
		struct sip_span want = {0, 0}, got = {0, 0};
		char text[200];
		uint32_t len = pieces(piece, sizeof(piece) / sizeof(piece[0]), text, sizeof(text));
		struct str name = names[i % 3];
		char *buf = input_copy(str_of(text, len));
		bool is = sip_param_find(buf, (struct sip_span){0, len}, name, &got, NULL);

		if (is != find_slowly(str_of(text, len), name, &want) ||
			(is && (got.off != want.off || got.len != want.len)))
			fail_msg("'%.*s' in '%.*s'", STR_FMT(name), (int)len, text);
		found += is;
		free(buf);
	}
	assert_true(found > 10000);
}

static void test_transport_names_go_both_ways(void **state)
{
	for (int t = SIP_TRANSPORT_UDP; t < SIP_TRANSPORT_OTHER; t++) {
		assert_true(sip_transport_name(t).len > 0);
		assert_int_equal(sip_transport_of(sip_transport_name(t)), t);
	}
	assert_int_equal(sip_transport_of(STR("tLs")), SIP_TRANSPORT_TLS);
	assert_int_equal(sip_transport_of(STR("")), SIP_TRANSPORT_NONE);
	assert_int_equal(sip_transport_of(STR("UD")), SIP_TRANSPORT_OTHER);
	assert_int_equal(sip_transport_of(STR("TLS-SCTP")), SIP_TRANSPORT_OTHER);
	assert_int_equal(sip_transport_name(SIP_TRANSPORT_NONE).len, 0);
	assert_int_equal(sip_transport_name(SIP_TRANSPORT_OTHER).len, 0);
}

/* What holds for whatever is taken: the parts are inside, in order, and every cut of it ends in
 * bounds. */
static unsigned taken;

static void check_any(struct str text)
{
	for (uint32_t len = text.len; len > 0; len--) {
		char *buf = input_copy(str_of(text.s, len));
		struct sip_uri uri;

		if (sip_uri_parse(buf, (struct sip_span){0, len}, &uri) == 0) {
			taken += len == text.len;
			assert_int_equal(uri.all.len, len);
			assert_int_equal(uri.opaque.off + uri.opaque.len, len);
			if (uri.scheme == SIP_SCHEME_SIP || uri.scheme == SIP_SCHEME_SIPS) {
				assert_true(uri.host.len > 0);
				assert_true(uri.hostport.off >= uri.user.off + uri.user.len);
				assert_true(uri.params.off == 0 ||
					    uri.params.off > uri.hostport.off + uri.hostport.len);
				assert_true(sip_uri_equal(buf, &uri, buf, &uri));
			}
		}
		free(buf);
	}
}

static void test_osip_urls_stay_in_bounds_at_every_length(void **state)
{
	taken = 0;
	if (input_shared_lines("corpus/osip-res/urls.txt", check_any) < 0)
		skip();
	assert_true(taken >= 30);
}

static void test_pjsip_seeds_stay_in_bounds_at_every_length(void **state)
{
	static const char *dirs[] = {"corpus/pjsip-fuzz-seeds/uri/fuzz-uri_seed_corpus",
		"corpus/pjsip-fuzz-seeds/url/fuzz-url_seed_corpus"};
	const char *root = getenv("SIPLANE_SHARED");
	unsigned files = 0;

	for (unsigned i = 0; i < 2; i++) {
		char path[4096];
		struct dirent *entry;
		DIR *dir;

		snprintf(path, sizeof(path), "%s/%s",
			root != NULL ? root : SOURCE_ROOT "/../shared", dirs[i]);
		dir = opendir(path);
		while (dir != NULL && (entry = readdir(dir)) != NULL) {
			size_t len = 0;
			char *data;

			snprintf(path, sizeof(path), "%s/%.255s", dirs[i], entry->d_name);
			data = entry->d_name[0] != '.' ? input_shared(path, &len) : NULL;
			if (data != NULL) {
				check_any(str_of(data, len));
				files++;
			}
			free(data);
		}
		if (dir != NULL)
			closedir(dir);
	}
	if (files == 0) {
		print_message("no %s\n", dirs[0]);
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_of_good_uris),
		cmocka_unit_test(test_malformed_uris_are_refused),
		cmocka_unit_test(test_hostport_is_as_written),
		cmocka_unit_test(test_nul_and_every_control_is_refused),
		cmocka_unit_test(test_equality_follows_rfc3261_19_1_4),
		cmocka_unit_test(test_equality_of_huge_uris_is_bounded),
		cmocka_unit_test(test_parameters_are_found_by_name),
		cmocka_unit_test(test_a_uri_parameter_is_found_with_the_semicolon_before_it),
		cmocka_unit_test(test_what_routing_looks_at_is_found_among_any_parameters),
		cmocka_unit_test(test_each_scanner_parses_uris_alike),
		cmocka_unit_test(test_a_uri_has_so_many_parameters_that_routing_looks_at),
		cmocka_unit_test(test_a_parameter_is_found_among_any_others),
		cmocka_unit_test(test_transport_names_go_both_ways),
		cmocka_unit_test(test_osip_urls_stay_in_bounds_at_every_length),
		cmocka_unit_test(test_pjsip_seeds_stay_in_bounds_at_every_length),
	};
	int failed = 0;

	test_scanners_find();
	for (unsigned i = 0; i < test_scanner_count; i++) {
		sip_scan_select(test_scanners[i]);
		print_message("%s\n", test_scanners[i]);
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return failed;
}
