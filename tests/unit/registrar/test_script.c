/* SPDX-License-Identifier: BSD-3-Clause */
/* What scripts say to save(), what a configuration may be, and what a reload changes. */
#include "common.h"

#define PHONE "<sip:alice@198.51.100.7:5060>"
#define DESK "<sip:alice@198.51.100.8:5060>"
#define REG(name, value) "modparam(\"registrar\", \"" name "\", " value ")\n"
#define USRLOC(name, value) "modparam(\"usrloc\", \"" name "\", " value ")\n"
#define SAVE_WITH(flags) "\tsave(\"location\", " flags ");\n\t$var(rc) = $rc;"

/* ---- flags ---- */

static void flags_are_kamailios_numbers(void **state)
{
	struct stage *s = stage_open("", SAVE_WITH("\"0x02\""));

	assert_null(send_registration(s, "c1", 1, "Contact: " PHONE "\n"));
	assert_int_equal(s->verdict, ROUTE_ENDED);
	assert_int_equal(stage_rc(s), 1);
	/* Refusals are silent too. */
	assert_null(send_registration(s, "c1", 0, "Contact: " PHONE "\n"));
	assert_int_equal(stage_rc(s), -1);
	assert_true(stage_load(s, "", SAVE_WITH("\"0x01\"")));
	assert_contact(send_registration(s, "c1", 2, "Contact: " DESK "\n"),
		PHONE ";expires=3600, " DESK ";expires=3600");
	/* One contact, whatever stood. */
	assert_true(stage_load(s, "", SAVE_WITH("\"0x04\"")));
	assert_contact(send_registration(s, "c1", 3, "Contact: <sip:alice@198.51.100.9>\n"),
		"<sip:alice@198.51.100.9>;expires=3600");
	assert_int_equal(stage_rc(s), 1);
	assert_contact(
		send_registration(s, "c1", 4, "Contact: " DESK ";expires=0, " PHONE ", " DESK "\n"),
		PHONE ";expires=3600");
	/* Its retransmission leaves what it left. */
	assert_contact(
		send_registration(s, "c1", 4, "Contact: " DESK ";expires=0, " PHONE ", " DESK "\n"),
		PHONE ";expires=3600");
	assert_true(stage_load(s, "", SAVE_WITH("5")));
	assert_contact(send_registration(s, "c1", 5, "Contact: " DESK "\n"), DESK ";expires=3600");
	stage_close(s);
}

static void letters_are_opensips(void **state)
{
	struct stage *s = stage_open("", SAVE_WITH("\"mr\""));

	assert_null(send_registration(s, "c1", 1, "Contact: " PHONE "\n"));
	assert_true(stage_load(s, "", SAVE_WITH("\"c1e600,E700\"")));
	assert_refused(
		send_registration(s, "c1", 2, "Contact: " DESK "\n"), 503, "Too many contacts");
	assert_contact(send_registration(s, "c1", 2, "Contact: " PHONE ";expires=1\n"),
		PHONE ";expires=600");
	assert_contact(send_registration(s, "c1", 3, "Contact: " PHONE ";expires=1000\n"),
		PHONE ";expires=700");
	/* By force: the oldest goes. */
	assert_true(stage_load(s, "", SAVE_WITH("\"c2f\"")));
	stage_pass(s, 1);
	assert_contact(send_registration(s, "c1", 4, "Contact: " DESK "\n"),
		PHONE ";expires=699, " DESK ";expires=3600");
	stage_pass(s, 1);
	assert_contact(send_registration(s, "c1", 5, "Contact: <sip:alice@198.51.100.9>\n"),
		DESK ";expires=3599, <sip:alice@198.51.100.9>;expires=3600");
	/* But none that the request itself brings. */
	assert_refused(send_registration(s, "c1", 6,
			       "Contact: <sip:alice@h1>, <sip:alice@h2>, <sip:alice@h3>\n"),
		503, "Too many contacts");
	stage_close(s);

	s = stage_open(REG("use_path", "1"), SAVE_WITH("\"p1v\""));
	assert_contact(send_registration(s, "c1", 1,
			       "Path: <sip:e;lr;received=sip:203.0.113.1:9>\nContact: " PHONE "\n"),
		PHONE ";expires=3600;received=\"sip:203.0.113.1:9\"");
	stage_close(s);
}

static void another_address_can_be_given(void **state)
{
	struct stage *s = stage_open(
		"", "\tsave(\"location\", \"0x00\", \"sip:carol@\" + $td);\n\t$var(rc) = $rc;");

	assert_contact(
		send_registration(s, "c1", 1, "Contact: " PHONE "\n"), PHONE ";expires=3600");
	assert_int_equal(location_has(s->location, location_digest(s->location, 0, STR("carol")), 0,
				 STR("carol"), 1000),
		true);
	assert_int_equal(location_has(s->location, location_digest(s->location, 0, STR("alice")), 0,
				 STR("alice"), 1000),
		false);
	stage_close(s);
}

/* ---- settings ---- */

static void lives_vary_within_their_range(void **state)
{
	struct stage *s = stage_open(
		REG("expires_range", "10") REG("default_expires_range", "50"), SAVE_WITH("0"));
	unsigned least = UINT32_MAX, most = 0;

	for (unsigned i = 0; i < 400; i++) {
		const char *reply =
			send_registration(s, "c1", i + 1, "Contact: " PHONE ";expires=1000\n");
		unsigned expires = (unsigned)atoi(strstr(reply, ";expires=") + 9);

		assert_in_range(expires, 900, 1000);
		least = expires < least ? expires : least;
		most = expires > most ? expires : most;
	}
	assert_true(least < 910 && most > 990);
	for (unsigned i = 0; i < 100; i++) {
		const char *reply = send_registration(s, "c1", 1000 + i, "Contact: " PHONE "\n");

		assert_in_range(atoi(strstr(reply, ";expires=") + 9), 1800, 3600);
	}
	assert_true(stage_load(s, REG("expires_range", "10"), SAVE_WITH("\"0x10\"")));
	for (unsigned i = 0; i < 20; i++)
		assert_contact(
			send_registration(s, "c1", 2000 + i, "Contact: " PHONE ";expires=1000\n"),
			PHONE ";expires=1000");
	stage_close(s);
}

static void matching_modes_are_usrlocs(void **state)
{
	struct stage *s = stage_open(USRLOC("matching_mode", "1"), SAVE_WITH("0"));

	/* Contact and Call-ID. */
	send_registration(s, "c1", 1, "Contact: " PHONE "\n");
	assert_contact(send_registration(s, "c2", 1, "Contact: " PHONE ";expires=60\n"),
		PHONE ";expires=3600, " PHONE ";expires=60");
	assert_contact(send_registration(s, "c1", 2, "Contact: " PHONE ";expires=70\n"),
		PHONE ";expires=70, " PHONE ";expires=60");
	stage_close(s);

	/* Contact and Path. */
	s = stage_open(USRLOC("matching_mode", "2") REG("use_path", "1"), SAVE_WITH("0"));
	send_registration(s, "c1", 1, "Supported: path\nPath: <sip:a;lr>\nContact: " PHONE "\n");
	assert_contact(
		send_registration(s, "c2", 1,
			"Supported: path\nPath: <sip:b;lr>\nContact: " PHONE ";expires=60\n"),
		PHONE ";expires=3600, " PHONE ";expires=60");
	stage_close(s);

	/* Call-ID. */
	s = stage_open(USRLOC("matching_mode", "3"), SAVE_WITH("0"));
	send_registration(s, "c1", 1, "Contact: " PHONE "\n");
	assert_contact(send_registration(s, "c1", 2, "Contact: " DESK "\n"), DESK ";expires=3600");
	assert_contact(send_registration(s, "c2", 1, "Contact: " DESK "\n"),
		DESK ";expires=3600, " DESK ";expires=3600");
	stage_close(s);
}

static void a_response_that_passes_is_saved_and_not_answered(void **state)
{
	struct stage *s = stage_open("", SAVE_WITH("0"));
	static const char ok[] = "SIP/2.0 200 OK\n"
				 "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\n"
				 "From: <sip:alice@example.com>;tag=1\n"
				 "To: <sip:alice@example.com>;tag=2\nCall-ID: c1\n"
				 "CSeq: 1 %s\nContact: " PHONE ";expires=60\n"
				 "Content-Length: 0\n\n";
	char text[1024];

	snprintf(text, sizeof(text), ok, "REGISTER");
	assert_null(stage_send(s, text));
	assert_int_equal(s->verdict, ROUTE_ENDED);
	assert_string_equal(registered_contacts(s), PHONE ";expires=60");
	/* The 200 of an INVITE has a Contact, too. */
	send_registration(s, "c2", 1, "Expires: 0\nContact: *\n");
	snprintf(text, sizeof(text), ok, "INVITE");
	assert_null(stage_send(s, text));
	snprintf(text, sizeof(text), ok, "REGISTER");
	memcpy(text, "SIP/2.0 401", 11);
	assert_null(stage_send(s, text));
	assert_string_equal(registered_contacts(s), "");
	stage_close(s);
}

static void a_reload_keeps_what_is_registered(void **state)
{
	struct stage *s = stage_open("", SAVE_WITH("0"));

	send_registration(s, "c1", 1, "Contact: " PHONE "\n");
	for (unsigned i = 0; i < 5; i++) {
		assert_true(stage_load(s, REG("default_expires", "100"), SAVE_WITH("0")));
		assert_string_equal(registered_contacts(s), PHONE ";expires=3600");
	}
	assert_contact(send_registration(s, "c1", 2, "Contact: " PHONE "\n"), PHONE ";expires=100");
	/* One that is refused changes nothing. */
	assert_false(stage_load(
		s, REG("default_expires", "200") USRLOC("db_mode", "1"), SAVE_WITH("0")));
	assert_false(stage_load(
		s, REG("default_expires", "200") REG("flow_timer", "60"), SAVE_WITH("0")));
	assert_contact(send_registration(s, "c1", 3, "Contact: " PHONE "\n"), PHONE ";expires=100");
	stage_close(s);
}

static void a_header_tells_the_listener(void **state)
{
	struct stage *s =
		stage_open("", "\tadd_sock_hdr(\"Sock-Info\");\n\tforward(\"203.0.113.1\");");
	char out[4096];
	struct proxy_out to;
	int64_t n;

	s->at = OTHER;
	assert_null(send_registration(s, "c1", 1, "Contact: " PHONE "\n"));
	n = proxy_request_write(s->proxy, s->ctx, out, sizeof(out) - 1, &to);
	assert_true(n > 0);
	out[n] = '\0';
	assert_string_equal(line(out, "Sock-Info"), "udp:192.0.2.1:5070");
	stage_close(s);
}

/* ---- shards ---- */

static void a_register_goes_to_the_shard_of_its_user(void **state)
{
	struct stage *s = stage_open_shards("", SAVE_WITH("0"), 2);
	unsigned met[2] = {0, 0};

	for (unsigned i = 0; i < 40; i++) {
		char out[1024];
		int shard;

		snprintf(out, sizeof(out),
			"REGISTER sip:example.com SIP/2.0\n"
			"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK%u\n"
			"Max-Forwards: 70\nFrom: <sip:u%u@example.com>;tag=1\n"
			"To: <sip:u%u@example.com>\nCall-ID: c%u\nCSeq: 1 REGISTER\n"
			"Contact: " PHONE "\nContent-Length: 0\n\n",
			i, i, i, i);
		stage_send(s, out);
		shard = registrar_shard(s->registrar, s->ctx);
		assert_in_range(shard, 0, 1);
		met[shard]++;
		s->thread.shard = (uint16_t)(1 - shard);
		assert_null(stage_send(s, out));
		assert_int_equal(s->verdict, ROUTE_SLOW);
		assert_int_equal(s->ctx->shard, shard);
		/* There it goes on at that statement. */
		s->thread.shard = (uint16_t)shard;
		assert_int_equal(route_resume(s->ctx), ROUTE_ENDED);
		assert_int_equal(s->ctx->result.status, 200);
		assert_int_equal(stage_rc(s), 1);
	}
	assert_true(met[0] > 5 && met[1] > 5);
	stage_close(s);
}

/* A failure_route cannot go to another shard, and says so. */
static void a_block_of_a_transaction_stays_in_its_shard(void **state)
{
	struct stage *s = stage_open_shards("failure_route[f] {\n"
					    "\tunregister(\"location\", $tu);\n"
					    "\t$var(rc) = $rc;\n}\n",
		SAVE_WITH("0"), 2);
	int shard;

	/* The one where it is saved. */
	for (shard = 0; shard < 2; shard++) {
		s->thread.shard = (uint16_t)shard;
		if (send_registration(s, "c1", 1, "Contact: " PHONE "\n") != NULL)
			break;
	}
	assert_in_range(shard, 0, 1);
	for (int there = 1; there >= 0; there--) {
		uint32_t block = route_script_block(s->script, ROUTE_IN_FAILURE, STR("f"));

		s->thread.shard = (uint16_t)(there ? 1 - shard : shard);
		route_ctx_reset(s->ctx);
		assert_int_equal(route_run_block(s->ctx, block, ROUTE_IN_FAILURE), ROUTE_ENDED);
		assert_int_equal(stage_rc(s), there ? -2 : 1);
	}
	stage_close(s);
}

static void a_register_of_nobody_has_no_shard(void **state)
{
	struct stage *s = stage_open_shards("", SAVE_WITH("0"), 2);

	stage_send(s, "REGISTER sip:example.com SIP/2.0\n"
		      "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\n"
		      "Max-Forwards: 70\nFrom: <sip:u@example.com>;tag=1\nTo: <sip:example.com>\n"
		      "Call-ID: c\nCSeq: 1 REGISTER\nContent-Length: 0\n\n");
	assert_int_equal(registrar_shard(s->registrar, s->ctx), -1);
	assert_refused(s->reply, 400, "To has no user");
	stage_close(s);
}

/* ---- what is wrong with a configuration ---- */

static void refused(struct stage *s, const char *params, const char *body, const char *why)
{
	assert_false(stage_load(s, params, body));
	if (strstr(s->said, why) == NULL)
		fail_msg("no '%s' in\n%s", why, s->said);
}

static void what_cannot_work_is_said_when_it_is_loaded(void **state)
{
	struct stage *s = stage_open("", SAVE_WITH("0"));

	refused(s, USRLOC("db_mode", "1"), "\texit;", "there is no database here");
	refused(s, USRLOC("db_mode", "3"), "\texit;", "db_mode 3: there is no database here");
	refused(s, USRLOC("matching_mode", "4"), "\texit;", "matching_mode");
	assert_true(strncmp(s->said, "test.cfg:", 9) == 0);
	refused(s, REG("max_contacts", "65"), "\texit;", "max_contacts");
	refused(s, REG("flow_timer", "60"), "\texit;", "flow_timer needs outbound_mode");
	refused(s, REG("max_expires", "10"), "\texit;", "max_expires is below min_expires");
	refused(s, REG("received_avp", "\"rcv\""), "\texit;", "received_avp is an AVP");
	refused(s, REG("received_avp", "\"$var(rcv)\""), "\texit;", "received_avp is an AVP");
	refused(s, REG("service_route", "\"<sip:a;lr>, <sip:b>\""), "\texit;",
		"is no <sip:...;lr>");
	refused(s, REG("service_route", "\"sip:a;lr\""), "\texit;", "is no <sip:...;lr>");
	refused(s, REG("realm_prefix", "\"a\tb\""), "\texit;", "without control characters");
	refused(s, "", SAVE_WITH("\"0x08\""), "flags are a number");
	refused(s, "", SAVE_WITH("\"x\""), "flags are a number");
	refused(s, "", SAVE_WITH("\"c\""), "flags are a number");
	refused(s, "", SAVE_WITH("\"c65\""), "flags are a number");
	refused(s, "", SAVE_WITH("\"p3\""), "flags are a number");
	refused(s, "", SAVE_WITH("\"m5\""), "flags are a number");
	refused(s, "", SAVE_WITH("-1"), "flags are a number");
	refused(s, "", SAVE_WITH("$var(f)"), "flags are a number");
	refused(s, "", "\tsave($var(t));", "a name that is known");
	refused(s, "", "\tlookup(\"\");", "has a name of 1 to 64 bytes");
	refused(s, "", "\tunregister(\"location\", $ru, \"uloc-1\");", "no ids (ruid)");
	refused(s, "", "\tadd_sock_hdr(\"a b\");", "cannot be the name of a header field");
	refused(s, "", "\treg_fetch_contacts(\"location\", $ru, \"p\");",
		"lookup() makes branches of contacts");
	refused(s, "", "\tlookup(\"location\", \"x\");", "or flags: m");
	refused(s, "", "\tlookup(\"location\", \"mx\");", "or flags: m");
	refused(s, "", "\tlookup(\"location\", $ru, $fu);", "takes a table and a URI");
	/* Known from OpenSER, and without effect. */
	assert_true(stage_load(s,
		USRLOC("hash_size", "12") USRLOC("preload", "\"location\"")
			USRLOC("db_url", "\"mysql://x\"") REG("gruu_enabled", "0"),
		SAVE_WITH("0")));
	assert_non_null(strstr(s->said, "hash_size"));
	stage_close(s);
}

static void there_are_so_many_tables(void **state)
{
	struct stage *s = stage_open("", SAVE_WITH("0"));
	char body[2048] = "";

	/* location is the first. */
	for (unsigned i = 1; i < REGISTRAR_TABLES_MAX; i++)
		snprintf(body + strlen(body), sizeof(body) - strlen(body), "\tlookup(\"t%u\");\n",
			i);
	assert_true(stage_load(s, "", body));
	refused(s, "", "\tlookup(\"another\");", "there are at most 16");
	assert_true(stage_load(s, "", body));
	stage_close(s);
}

/* ---- the short way to an address is the long one ---- */

static uint32_t draw(uint64_t *random, uint32_t below)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (uint32_t)(*random >> 33) % below;
}

static void an_address_is_the_same_by_any_parser(void **state)
{
	static const char *const piece[] = {"sip:", "SIP:", "sips:", "alice", "Bob", "@", ".", "-",
		"example", "com", "1", "%61", ":", ";", "?", "=", "_", "+", "192.0.2.1", "[::1]",
		"x", "/", "%", "com."};
	struct stage *s = stage_open(USRLOC("use_domain", "1"), SAVE_WITH("0"));
	uint64_t random = 88172645463325252ULL;
	unsigned good = 0;

	for (unsigned round = 0; round < 200000; round++) {
		struct registrar_aor one, other;
		enum registrar_aor_error by_text, by_uri = REGISTRAR_AOR_BAD;
		char text[128] = "sip:alice@";
		struct str host = STR_NONE;
		struct sip_uri uri;
		struct str t;

		if (draw(&random, 4) == 0)
			text[0] = '\0';
		for (unsigned i = 1 + draw(&random, 7); i > 0; i--)
			strcat(text, piece[draw(&random, sizeof(piece) / sizeof(piece[0]))]);
		t = str_c(text);
		by_text = registrar_aor_of_text(s->registrar, t, &one, &host);
		if (sip_uri_parse(text, (struct sip_span){0, t.len}, &uri) == 0)
			by_uri = registrar_aor_of(s->registrar, text, &uri, &other);
		if (by_text != by_uri)
			fail_msg("%s: %d, %d", text, by_text, by_uri);
		if (by_text != REGISTRAR_AOR_OK)
			continue;
		good++;
		assert_true(str_eq(registrar_aor_str(&one), registrar_aor_str(&other)));
		assert_true(str_eq(host, sip_text(text, uri.host)));
	}
	assert_true(good > 10000);
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_are_kamailios_numbers),
		cmocka_unit_test(letters_are_opensips),
		cmocka_unit_test(another_address_can_be_given),
		cmocka_unit_test(lives_vary_within_their_range),
		cmocka_unit_test(matching_modes_are_usrlocs),
		cmocka_unit_test(a_response_that_passes_is_saved_and_not_answered),
		cmocka_unit_test(a_reload_keeps_what_is_registered),
		cmocka_unit_test(a_header_tells_the_listener),
		cmocka_unit_test(a_register_goes_to_the_shard_of_its_user),
		cmocka_unit_test(a_block_of_a_transaction_stays_in_its_shard),
		cmocka_unit_test(a_register_of_nobody_has_no_shard),
		cmocka_unit_test(what_cannot_work_is_said_when_it_is_loaded),
		cmocka_unit_test(there_are_so_many_tables),
		cmocka_unit_test(an_address_is_the_same_by_any_parser),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
