/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages: the field engine, what is read of answers, digests, and the reflector's. */
#include "fake.h"

static char error[GEN_ERROR_MAX];
static char out[8192];

static struct bind bind_of(unsigned ports)
{
	struct bind b = {.target.port = 5062,
		.users = 1000,
		.process = 0xdeadbeef,
		.run = 0xabc,
		.port_first = 5070,
		.ports = ports,
		.target_uri = "sip:192.0.2.2:5062"};

	assert_int_equal(net_addr_parse(STR("192.0.2.2"), &b.target.addr), 0);
	assert_int_equal(net_addr_parse(STR("192.0.2.1"), &b.local), 0);
	return b;
}

/* Compiles one message of a scenario; NULL: `error` says why not. */
static struct scenario *compile(
	const char *set, const char *text, const struct bind *b, struct template *t)
{
	char *whole = NULL;
	struct scenario *s;

	assert_true(asprintf(&whole, "%smessage m {\n%s\n}\ncall c { send m; }", set, text) > 0);
	s = scenario_parse("x.gen", str_c(whole), NULL, 0, error, sizeof(error));
	free(whole);
	if (s == NULL)
		fail_msg("%s", error);
	if (template_compile(s, &s->message[0], b, t, error, sizeof(error)) == 0)
		return s;
	scenario_free(s);
	return NULL;
}

static struct call call_of(void)
{
	return (struct call){.seq = 0x1234, .user = 42};
}

static struct fill fill_of(const struct bind *b, const struct call *c, const char *text)
{
	return (struct fill){.bind = b,
		.call = c,
		.text = text,
		.time = 0x0123456789abcdefULL,
		.ref = 0xfedcba9876543210ULL,
		.cseq = 7,
		.local_port = 5071,
		.room = sizeof(out) - TEMPLATE_SLACK};
}

static void assert_fills(const char *set, const char *text, struct bind b, const struct call *c,
	const char *known, const char *want)
{
	struct template t;
	struct scenario *s = compile(set, text, &b, &t);
	struct fill f = fill_of(&b, c, known);
	uint32_t n;

	if (s == NULL)
		fail_msg("%s", error);
	memset(out, 'X', sizeof(out));
	n = template_fill(&t, &f, out);
	out[n] = '\0';
	assert_string_equal(out, want);
	template_free(&t);
	scenario_free(s);
}

static void hexadecimal(void **state)
{
	char text[16];
	uint64_t v, random = 3;

	template_hex16(text, 0x0123456789abcdefULL);
	assert_memory_equal(text, "0123456789abcdef", 16);
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t x = gen_random(&random) >> (i % 64);

		template_hex16(text, x);
		assert_true(template_unhex16(text, &v));
		assert_true(v == x);
	}
	/* Every character but the 16 is refused, at every place. */
	for (unsigned at = 0; at < 16; at++)
		for (unsigned c = 0; c < 256; c++) {
			bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

			memcpy(text, "0123456789abcdef", 16);
			text[at] = (char)c;
			assert_true(template_unhex16(text, &v) == digit);
		}
}

static void every_field(void **state)
{
	struct call c = call_of();

	assert_fills("",
		"OPTIONS sip:{domain} SIP/2.0\nA: {local_ip} {local_port} {remote_ip} "
		"{remote_port} {target}\n"
		"B: {branch}\nC: {call_id}\nD: {cseq} {user} {seq} {time} {family} {{x}",
		bind_of(8), &c, "",
		"OPTIONS sip:192.0.2.2:5062 SIP/2.0\r\nA: 192.0.2.1 5071 192.0.2.2 5062 "
		"192.0.2.2:5062\r\n"
		"B: z9hG4bK0123456789abcdeffedcba9876543210\r\nC: 0000000001234abc-deadbeef\r\n"
		"D: 7 042 4660 81985529216486895 IP4 {x}\r\n\r\n");
}

static void lengths(void **state)
{
	struct call c = call_of();

	assert_fills("", "INFO a SIP/2.0\nL: {length}", bind_of(1), &c, "",
		"INFO a SIP/2.0\r\nL:     0\r\n\r\n");
	assert_fills("", "INFO a SIP/2.0\nL: {length}\n\nabc\nu={user}", bind_of(1), &c, "",
		"INFO a SIP/2.0\r\nL:    12\r\n\r\nabc\r\nu=042\r\n");
}

static void what_an_answer_said(void **state)
{
	struct call c = call_of();
	const char *text = "BYE {contact} SIP/2.0\n{routes}\nTo: <sip:b>{to_tag}";

	assert_fills("", text, bind_of(1), &c, "",
		"BYE sip:192.0.2.2:5062 SIP/2.0\r\nTo: <sip:b>\r\n\r\n");
	c.part[CALL_TO_TAG] = 3;
	c.part[CALL_CONTACT] = 7;
	c.part[CALL_ROUTES] = 14;
	assert_fills("", text, bind_of(1), &c, "tagsip:a@bRoute: <sip:r>\r\n",
		"BYE sip:a@b SIP/2.0\r\nRoute: <sip:r>To: <sip:b>;tag=tag\r\n\r\n");
}

static void variables(void **state)
{
	struct call c = call_of();

	assert_fills("set who = \"u{user}\"; set empty = \"\";",
		"INFO sip:{who} SIP/2.0\n{empty}A: {who}{empty}", bind_of(1), &c, "",
		"INFO sip:u042 SIP/2.0\r\nA: u042\r\n\r\n");
}

static void what_does_not_fit_is_not_written(void **state)
{
	struct bind b = bind_of(1);
	struct call c = call_of();
	struct template t;
	struct scenario *s = compile("", "INFO sip:x SIP/2.0\nTo: x{to_tag}", &b, &t);
	struct fill f = fill_of(&b, &c, "abcdefgh");
	uint32_t n = template_fill(&t, &f, out);

	assert_int_equal(n, t.most);
	f.room = n;
	assert_int_equal(template_fill(&t, &f, out), n);
	f.room = n - 1;
	assert_int_equal(template_fill(&t, &f, out), 0);
	c.part[CALL_TO_TAG] = 8;
	f.room = n + 12;
	assert_int_equal(template_fill(&t, &f, out), 0);
	f.room = n + 13;
	assert_int_equal(template_fill(&t, &f, out), n + 13);
	template_free(&t);
	scenario_free(s);
}

static void a_wrong_field_is_said(void **state)
{
	static const struct {
		const char *set, *text, *says;
	} wrong[] = {
		{"", "INFO sip:{usr} SIP/2.0", "x.gen:2:10: error: 'usr' is no field"},
		{"", "INFO sip:a SIP/2.0\nA: {user", "x.gen:3:4: error: '{' begins the name"},
		{"", "INFO sip:a SIP/2.0\nA: {}", "x.gen:3:4: error: '{' begins the name"},
		{"", "INFO sip:a SIP/2.0\nA: {routes}",
			"x.gen:3:4: error: '{routes}' stands alone on its line"},
		{"", "INFO sip:a SIP/2.0\nA: {length}\nB: {length}",
			"x.gen:4:4: error: '{length}' stands once"},
		{"", "INFO sip:a SIP/2.0\n\n{length}",
			"x.gen:4:1: error: '{length}' stands in the header"},
		{"set a = \"{b}\"; set b = 1;", "INFO sip:a SIP/2.0\nA: {a}",
			"x.gen:3:4: error: variable 'b' stands in another"},
	};
	struct bind b = bind_of(1);
	struct template t;

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_null(compile(wrong[i].set, wrong[i].text, &b, &t));
		if (strncmp(error, wrong[i].says, strlen(wrong[i].says)) != 0)
			fail_msg("'%s':\n%s\nand not\n%s", wrong[i].text, error, wrong[i].says);
	}
}

/* ---- answers ---- */

#define BRANCH "z9hG4bK0123456789abcdeffedcba9876543210"

static void answers_are_read(void **state)
{
	static const struct {
		const char *text;
		enum answer_kind kind;
		unsigned status;
	} cases[] = {
		{"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a:5;branch=" BRANCH "\r\n\r\n",
			ANSWER_RESPONSE, 200},
		{"SIP/2.0 180 Ringing\r\nvia: SIP/2.0/UDP a;branch=" BRANCH ";rport=5\r\n\r\n",
			ANSWER_RESPONSE, 180},
		{"SIP/2.0 404 x\r\nv: SIP/2.0/UDP a;rport;branch=" BRANCH " ,SIP/2.0/UDP b\r\n\r\n",
			ANSWER_RESPONSE, 404},
		{"SIP/2.0 404 \r\nVIA : SIP/2.0/UDP a;branch=" BRANCH "\r\n\r\n", ANSWER_RESPONSE,
			404},
		{"SIP/2.0 200 OK\r\nTo: <sip:a>\r\nVia: SIP/2.0/UDP a:5 ; branch = " BRANCH
		 "\r\n\r\n",
			ANSWER_RESPONSE, 200},
		{"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\n ;branch=" BRANCH "\r\n\r\n",
			ANSWER_RESPONSE, 200},
		{"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=" BRANCH "x\r\n\r\n", ANSWER_FOREIGN,
			200},
		{"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP "
		 "a;branch=z9hG4bK0123456789abcdeffedcba987654321G\r\n\r\n",
			ANSWER_FOREIGN, 200},
		{"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP "
		 "b;branch=" BRANCH "\r\n\r\n",
			ANSWER_FOREIGN, 200},
		{"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\n\r\n", ANSWER_FOREIGN, 200},
		{"SIP/2.0 200 OK\r\nTo: <sip:a>\r\n\r\n", ANSWER_MALFORMED, 0},
		{"SIP/2.0 700 OK\r\nVia: SIP/2.0/UDP a;branch=" BRANCH "\r\n\r\n", ANSWER_MALFORMED,
			0},
		{"SIP/2.0 2x0 OK\r\nVia: SIP/2.0/UDP a;branch=" BRANCH "\r\n\r\n", ANSWER_MALFORMED,
			0},
		{"SIP/2.0 200 OK, and no line end at all", ANSWER_MALFORMED, 0},
		{"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=" BRANCH, ANSWER_MALFORMED, 0},
		{"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=" BRANCH "\r\n\r\n",
			ANSWER_REQUEST, 0},
		{"GET / HTTP/1.1\r\n\r\n", ANSWER_MALFORMED, 0},
		{"", ANSWER_MALFORMED, 0},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t len = (uint32_t)strlen(cases[i].text);
		char *copy = malloc(len + 1); /* its end is where the sanitizer looks */
		struct answer a;

		memcpy(copy, cases[i].text, len);
		copy = realloc(copy, len > 0 ? len : 1);
		if (answer_read(copy, len, &a) != cases[i].kind)
			fail_msg("%u: '%s'", i, cases[i].text);
		if (cases[i].kind == ANSWER_RESPONSE) {
			assert_int_equal(a.status, cases[i].status);
			assert_true(a.time == 0x0123456789abcdefULL);
			assert_true(a.ref == 0xfedcba9876543210ULL);
		}
		free(copy);
	}
}

static const char dialog[] =
	"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nRecord-Route: <sip:p3;lr>, "
	"<sip:p2;lr>;x=y\r\n"
	"From: <sip:a>;tag=f\r\nTo: \"B\" <sip:b>;tag=t7\r\nRecord-Route: <sip:p1;lr>\r\nCall-ID: "
	"x\r\nCSeq: 1 INVITE\r\n"
	"Contact: \"who\" <sip:b@192.0.2.9:5080;ob>;q=1\r\nContent-Length: 0\r\n\r\n";

static const char moved[] = "SIP/2.0 200 OK\r\nContact: <sip:new>\r\n\r\n";

static void a_dialog_is_kept(void **state)
{
	static struct sip_msg msg;
	char text[CALL_TEXT_MAX] = "Digest nonce=\"n\"";
	struct call c = {.part[CALL_CHALLENGE] = 9, .part[CALL_PROXY_CHALLENGE] = 7};

	assert_int_equal(dialog_take(&msg, dialog, sizeof(dialog) - 1, &c, text), 0);
	/* RFC 3261 12.1.2: in reverse; the challenges are still there. */
	assert_true(str_istarts(str_of(text, sizeof(text)),
		STR("t7sip:b@192.0.2.9:5080;obRoute: <sip:p1;lr>\r\nRoute: <sip:p2;lr>;x=y\r\n"
		    "Route: <sip:p3;lr>\r\nDigest nonce=\"n\"")));
	assert_true(str_eq(dialog_part(&c, text, CALL_TO_TAG), STR("t7")));
	assert_true(str_eq(dialog_part(&c, text, CALL_CONTACT), STR("sip:b@192.0.2.9:5080;ob")));
	assert_true(str_eq(dialog_part(&c, text, CALL_CHALLENGE), STR("Digest no")));
	assert_true(str_eq(dialog_part(&c, text, CALL_PROXY_CHALLENGE), STR("nce=\"n\"")));
	/* A target refresh moves what stands behind it. */
	assert_int_equal(sip_msg_index(&msg, moved, sizeof(moved) - 1), SIP_OK);
	assert_int_equal(dialog_target(&msg, moved, &c, text), 0);
	assert_true(str_eq(dialog_part(&c, text, CALL_CONTACT), STR("sip:new")));
	assert_true(str_istarts(dialog_part(&c, text, CALL_ROUTES), STR("Route: <sip:p1;lr>\r\n")));
	assert_true(str_eq(dialog_part(&c, text, CALL_PROXY_CHALLENGE), STR("nce=\"n\"")));
	dialog_forget(&c, text, false);
	assert_int_equal(c.part[CALL_TO_TAG] + c.part[CALL_ROUTES], 0);
	assert_true(str_eq(dialog_part(&c, text, CALL_CONTACT), STR("sip:new")));
	dialog_forget(&c, text, true);
	assert_true(str_eq(str_of(text, 16), STR("Digest nonce=\"n\"")));
}

static void a_dialog_that_is_too_long_is_refused(void **state)
{
	static struct sip_msg msg;
	char text[CALL_TEXT_MAX], big[4096];
	struct call c = {0};
	int n = snprintf(big, sizeof(big),
		"SIP/2.0 200 OK\r\nTo: <sip:b>;tag=t\r\nContact: <sip:%02100d>\r\n\r\n", 1);

	assert_int_equal(dialog_take(&msg, big, (uint32_t)n, &c, text), -ENOSPC);
	assert_int_equal(c.part[CALL_TO_TAG] + c.part[CALL_CONTACT] + c.part[CALL_ROUTES], 0);
	assert_int_equal(sip_msg_index(&msg, big, (uint32_t)n), SIP_OK);
	assert_int_equal(dialog_target(&msg, big, &c, text), -ENOSPC);
	assert_int_equal(dialog_take(&msg, "SIP/2.0 200 OK\r\n\r\n", 18, &c, text), -EBADMSG);
}

static void the_first_challenge_that_can_be_met(void **state)
{
	static const char text[] = "SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest "
				   "realm=\"r\", nonce=\"n\", algorithm=NEW\r\n"
				   "WWW-Authenticate: Basic realm=\"r\"\r\n"
				   "WWW-Authenticate: Digest realm=\"r\", nonce=\"n2\", "
				   "algorithm=SHA-256, qop=\"auth-int,auth\"\r\n\r\n";
	static struct sip_msg msg;
	char kept[CALL_TEXT_MAX] = "tag";
	struct call c = {.part[CALL_TO_TAG] = 3};
	bool worth;

	assert_int_equal(dialog_challenge(&msg, text, sizeof(text) - 1, &c, kept, &worth), 0);
	assert_true(worth);
	assert_true(str_istarts(str_of(kept, 3U + c.part[CALL_CHALLENGE]),
		STR("tagDigest realm=\"r\", nonce=\"n2\"")));
	assert_int_equal(c.part[CALL_PROXY_CHALLENGE], 0);
	/* The same realm asks again: the password was wrong. */
	assert_int_equal(dialog_challenge(&msg, text, sizeof(text) - 1, &c, kept, &worth), 0);
	assert_false(worth);
}

/* ---- digest ---- */

/* RFC 7616 3.9.1 */
#define RFC7616(algorithm, response) \
	STR("Digest username=\"Mufasa\", realm=\"http-auth@example.org\", " \
	    "uri=\"/dir/index.html\", algorithm=" algorithm \
	    ", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, " \
	    "cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, " \
	    "response=\"" response "\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"")

static void digests_of_the_rfc(void **state)
{
	const struct str get = STR("GET"), password = STR("Circle of Life");
	const struct str nonce = STR("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v");

	assert_true(digest_verify(
		RFC7616("MD5", "8ca523f5e9506fed4657c9700eebdbec"), get, password, nonce));
	assert_true(digest_verify(
		RFC7616("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db58"
				   "56cb6c1"),
		get, password, nonce));
	assert_false(digest_verify(
		RFC7616("MD5", "8ca523f5e9506fed4657c9700eebdbed"), get, password, nonce));
	assert_false(digest_verify(
		RFC7616("MD5", "8ca523f5e9506fed4657c9700eebdbec"), get, STR("other"), nonce));
	assert_false(digest_verify(
		RFC7616("MD5", "8ca523f5e9506fed4657c9700eebdbec"), get, password, STR("other")));
}

/* By another implementation (Python's hashlib). */
static void sha_512_256(void **state)
{
	struct digest d = {.method = STR("REGISTER"),
		.uri = STR("sip:example.com"),
		.user = STR("u1"),
		.password = STR("secret"),
		.challenge = STR("Digest realm=\"example.com\", nonce=\"abc\", "
				 "algorithm=SHA-512-256, opaque=\"o\"")};
	uint32_t n = digest_answer(&d, out, sizeof(out));

	out[n] = '\0';
	assert_string_equal(out,
		"Authorization: Digest "
		"username=\"u1\",realm=\"example.com\",nonce=\"abc\",uri=\"sip:example.com\","
		"response=\"7c3f2bcdbd75ab6da64143e1ef33781742ff6845e5507ba6dd25b508110b8acf\","
		"algorithm=SHA-512-256,opaque=\"o\"\r\n");
}

static void what_is_answered_is_verified(void **state)
{
	static const char *const algorithms[] = {
		"MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"};

	for (unsigned i = 0; i < 6; i++) {
		char challenge[256];
		struct digest d = {.method = STR("INVITE"),
			.uri = STR("sip:b@c"),
			.user = STR("u"),
			.password = STR("p"),
			.proxy = true,
			.cnonce = 99,
			.count = 3};
		uint32_t n;

		snprintf(challenge, sizeof(challenge),
			"Digest realm=\"r\",nonce=\"n\",qop=\"auth\",algorithm=%s", algorithms[i]);
		d.challenge = str_c(challenge);
		assert_true(digest_known(d.challenge));
		n = digest_answer(&d, out, sizeof(out));
		assert_true(n > 30);
		assert_memory_equal(out, "Proxy-Authorization: Digest ", 28);
		assert_true(
			digest_verify(str_of(out + 21, n - 23), d.method, d.password, STR("n")));
		/* No byte beyond the room. */
		assert_int_equal(digest_answer(&d, out, n), 0);
		assert_int_equal(digest_answer(&d, out, n + 1), n);
	}
	assert_false(digest_known(STR("Digest realm=\"r\"")));
	assert_false(digest_known(STR("Basic realm=\"r\"")));
	assert_false(digest_known(STR("Digest nonce=\"n\",qop=\"auth-int\"")));
	assert_false(digest_known(STR("Digest")));
	assert_false(digest_known(STR("")));
}

/* ---- reflector ---- */

static struct {
	char text[8][2048];
	uint32_t len[8];
	unsigned count;
} answers;

static unsigned keep_get(struct io *io, struct packet *p, unsigned n)
{
	static char room[GEN_BURST][2048];

	for (unsigned i = 0; i < n; i++)
		p[i] = (struct packet){.text = room[i]};
	return n;
}

static unsigned keep_send(struct io *io, struct packet *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_true(answers.count < 8);
		memcpy(answers.text[answers.count], p[i].text, p[i].len);
		answers.text[answers.count][p[i].len] = '\0';
		answers.len[answers.count++] = p[i].len;
	}
	return n;
}

static struct gen_reflected reflect(struct reflector_config c, const char *text)
{
	struct io io = {.get = keep_get, .send = keep_send, .room = 2000};
	struct outbox o = {.io = &io};
	struct gen_reflected count = {0};
	struct packet in = {
		.text = (char *)(uintptr_t)text, .len = (uint32_t)strlen(text), .peer.port = 5071};
	static struct reflector *r;
	static struct reflector_config made;

	if (r == NULL || memcmp(&made, &c, sizeof(c)) != 0) {
		reflector_destroy(r);
		r = reflector_create(&c);
		made = c;
	}
	assert_int_equal(net_addr_parse(STR("192.0.2.7"), &in.peer.addr), 0);
	answers.count = 0;
	reflector_take(r, &in, &o, &count);
	outbox_flush(&o);
	return count;
}

static struct reflector_config uas(void)
{
	struct reflector_config c;

	memset(&c, 0, sizeof(c)); /* compared as a whole */
	c.status = 200;
	c.ringing = 1;
	c.port_first = 5060;
	assert_int_equal(net_addr_parse(STR("192.0.2.2"), &c.local), 0);
	return c;
}

#define REQUEST(method, via, rest) \
	method " sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5071;branch=z9hG4bK1" via \
	       "\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK2\r\nRecord-Route: <sip:p;lr>\r\nFrom: " \
	       "<sip:a>;tag=1\r\nTo: <sip:b>" rest "\r\nCall-ID: i\r\nCSeq: 5 " method \
	       "\r\nContact: <sip:a@192.0.2.7>\r\nContent-Length: 0\r\n\r\n"

static void an_invite_rings_and_is_answered(void **state)
{
	struct gen_reflected n = reflect(uas(), REQUEST("INVITE", "", ""));
	static struct sip_msg msg;
	char tag[32];

	assert_int_equal(n.requests, 1);
	assert_int_equal(n.responses, 2);
	assert_int_equal(answers.count, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(sip_msg_index(&msg, answers.text[i], answers.len[i]), SIP_OK);
		assert_int_equal(sip_msg_check(&msg, answers.text[i]), SIP_OK);
		assert_int_equal(msg.status, i == 0 ? 180 : 200);
		assert_non_null(strstr(answers.text[i],
			"\r\nVia: SIP/2.0/UDP 192.0.2.7:5071;branch=z9hG4bK1\r\n"
			"Via: SIP/2.0/UDP c;branch=z9hG4bK2\r\n"
			"Record-Route: <sip:p;lr>\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>;tag="));
		assert_non_null(strstr(answers.text[i],
			"\r\nCall-ID: i\r\nCSeq: 5 INVITE\r\nContact: <sip:192.0.2.2:5060>\r\n"));
	}
	assert_true(msg.body_len > 50);
	assert_memory_equal(answers.text[1] + msg.body, "v=0\r\n", 5);
	/* The same request again, the same tag. */
	assert_int_equal(sip_msg_to(&msg, answers.text[1])->tag.len, 12);
	memcpy(tag, answers.text[1] + sip_msg_to(&msg, answers.text[1])->tag.off, 12);
	reflect(uas(), REQUEST("INVITE", "", ""));
	assert_int_equal(sip_msg_index(&msg, answers.text[0], answers.len[0]), SIP_OK);
	assert_memory_equal(tag, answers.text[0] + sip_msg_to(&msg, answers.text[0])->tag.off, 12);
}

static void other_requests(void **state)
{
	struct gen_reflected n = reflect(uas(), REQUEST("BYE", ";rport", ";tag=mine"));

	assert_int_equal(answers.count, 1);
	assert_non_null(strstr(answers.text[0], "SIP/2.0 200 OK\r\n"));
	assert_non_null(strstr(answers.text[0], "To: <sip:b>;tag=mine\r\n"));
	assert_non_null(
		strstr(answers.text[0], ";branch=z9hG4bK1;rport=5071;received=192.0.2.7\r\n"));
	n = reflect(uas(), REQUEST("ACK", "", ";tag=x"));
	assert_int_equal(n.acks, 1);
	assert_int_equal(answers.count, 0);
	n = reflect(uas(), REQUEST("REGISTER", "", ""));
	assert_non_null(strstr(answers.text[0], "Contact: <sip:a@192.0.2.7>\r\n"));
	n = reflect(uas(), "SIP/2.0 200 OK\r\n\r\n");
	assert_int_equal(n.malformed, 1);
	n = reflect(uas(), "INVITE sip:a SIP/2.0\r\nVia: x\r\n\r\n");
	assert_int_equal(n.malformed, 1);
	assert_int_equal(answers.count, 0);
}

static void what_was_asked_for_by_options(void **state)
{
	struct reflector_config c = uas();

	c.trying = true;
	c.ringing = 3;
	c.status = 486;
	reflect(c, REQUEST("INVITE", "", ""));
	assert_int_equal(answers.count, 5);
	assert_non_null(strstr(answers.text[0], "SIP/2.0 100 Trying"));
	assert_null(strstr(answers.text[0], "Record-Route"));
	assert_non_null(strstr(answers.text[0], "To: <sip:b>\r\n"));
	assert_non_null(strstr(answers.text[4], "SIP/2.0 486 Busy Here"));
	c.trying = false;
	c.ringing = 1;
	c.status = 180;
	reflect(c, REQUEST("INVITE", "", ""));
	assert_int_equal(answers.count, 1);
	reflect(c, REQUEST("CANCEL", "", ""));
	assert_int_equal(answers.count, 2);
	assert_non_null(strstr(answers.text[0], "SIP/2.0 200 OK"));
	assert_non_null(strstr(answers.text[0], "CSeq: 5 CANCEL\r\n"));
	assert_non_null(strstr(answers.text[1], "SIP/2.0 487 Request Terminated"));
	assert_non_null(strstr(answers.text[1], "CSeq: 5 INVITE\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hexadecimal),
		cmocka_unit_test(every_field),
		cmocka_unit_test(lengths),
		cmocka_unit_test(what_an_answer_said),
		cmocka_unit_test(variables),
		cmocka_unit_test(what_does_not_fit_is_not_written),
		cmocka_unit_test(a_wrong_field_is_said),
		cmocka_unit_test(answers_are_read),
		cmocka_unit_test(a_dialog_is_kept),
		cmocka_unit_test(a_dialog_that_is_too_long_is_refused),
		cmocka_unit_test(the_first_challenge_that_can_be_met),
		cmocka_unit_test(digests_of_the_rfc),
		cmocka_unit_test(sha_512_256),
		cmocka_unit_test(what_is_answered_is_verified),
		cmocka_unit_test(an_invite_rings_and_is_answered),
		cmocka_unit_test(other_requests),
		cmocka_unit_test(what_was_asked_for_by_options),
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
