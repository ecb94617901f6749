/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 3665 2.1 to 2.4 with authentication, and what clients and challenges may look like. */
#include "common.h"

#define REGISTERS \
	"\tif (!www_authorize(\"example.com\", \"subscriber\")) {\n" \
	"\t\t$var(rc) = $rc;\n\t\twww_challenge(\"example.com\", \"1\");\n\t\texit;\n\t}\n" \
	"\t$var(rc) = $rc;\n\tconsume_credentials();\n\tsl_send_reply(\"200\", \"OK\");"
#define NO_QOP \
	"\tif (!www_authorize(\"example.com\", \"subscriber\")) {\n" \
	"\t\t$var(rc) = $rc;\n\t\twww_challenge(\"example.com\", \"0\");\n\t\texit;\n\t}\n" \
	"\t$var(rc) = $rc;\n\tsl_send_reply(\"200\", \"OK\");"
#define AUTH(name, value) "modparam(\"auth\", \"" name "\", " value ")\n"
#define AUTH_DB(name, value) "modparam(\"auth_db\", \"" name "\", " value ")\n"

/* ---- RFC 3665 2 ---- */

/* 2.1: REGISTER, 401, REGISTER with credentials, 200. */
static void a_new_registration(void **state)
{
	struct stage *s = stage_open("", REGISTERS);
	const char *reply = stage_send(s, registration("")), *challenge;
	struct client c = {.qop = "auth", .nc = 1};

	assert_status(reply, 401);
	assert_int_equal(stage_rc(s), AUTH_NO_CREDENTIALS);
	assert_non_null(strstr(reply, "SIP/2.0 401 Unauthorized\r\n"));
	challenge = line_at(reply, "WWW-Authenticate", 0);
	assert_memory_equal(challenge, "Digest ", 7);
	assert_string_equal(challenge_param(challenge, "realm"), "example.com");
	assert_string_equal(challenge_param(challenge, "algorithm"), "MD5");
	assert_string_equal(challenge_param(challenge, "qop"), "auth");
	assert_null(challenge_param(challenge, "stale"));
	assert_null(line_at(reply, "WWW-Authenticate", 1));
	c.nonce = challenge_param(challenge, "nonce");
	assert_status(stage_send(s, registration_of(&c)), 200);
	assert_int_equal(stage_rc(s), AUTH_OK);
	assert_int_equal(s->waits, 1);
	stage_close(s);
}

/* 2.2, 2.3: the client goes on with the nonce that it has; the row is known by now. */
static void an_update_and_a_question_for_the_contacts(void **state)
{
	struct stage *s = stage_open("", REGISTERS);
	struct client c = {.qop = "auth", .nc = 1, .nonce = fresh_nonce(s)};

	assert_status(stage_send(s, registration_of(&c)), 200);
	for (c.nc = 2; c.nc < 10; c.nc++) {
		assert_status(stage_send(s, registration_of(&c)), 200);
		assert_int_equal(s->waits, 0);
	}
	stage_close(s);
}

/* 2.4: and it ends its registration, after the nonce has become too old. */
static void a_cancellation_with_an_old_nonce_is_challenged_as_stale(void **state)
{
	struct stage *s = stage_open(AUTH("nonce_expire", "60"), REGISTERS);
	struct client c = {.qop = "auth", .nc = 1, .nonce = fresh_nonce(s)};
	const char *reply, *challenge;

	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_pass(s, 60);
	c.nc = 2;
	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_pass(s, 2);
	c.nc = 3;
	reply = stage_send(s, registration_of(&c));
	assert_status(reply, 401);
	assert_int_equal(stage_rc(s), AUTH_STALE_NONCE);
	challenge = line_at(reply, "WWW-Authenticate", 0);
	assert_string_equal(challenge_param(challenge, "stale"), "true");
	c.nonce = challenge_param(challenge, "nonce");
	c.nc = 1;
	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_close(s);
}

/* 2.5 (wrong password): the same challenge again, and not as stale. */
static void a_wrong_password_is_challenged_again(void **state)
{
	struct stage *s = stage_open("", REGISTERS);
	struct client c = {.password = "wrong", .qop = "auth", .nc = 1, .nonce = fresh_nonce(s)};
	const char *reply = stage_send(s, registration_of(&c)), *challenge;

	assert_status(reply, 401);
	assert_int_equal(stage_rc(s), AUTH_WRONG_PASSWORD);
	challenge = line_at(reply, "WWW-Authenticate", 0);
	assert_null(challenge_param(challenge, "stale"));
	/* It has used nothing up: the right one comes with the same count. */
	c.password = NULL;
	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_close(s);
}

/* ---- clients ---- */

static void clients_of_rfc_2069_are_heard_where_no_qop_was_offered(void **state)
{
	struct stage *s = stage_open("", NO_QOP);
	struct client c = {.nonce = fresh_nonce(s)};

	assert_null(challenge_param(line_at(s->reply, "WWW-Authenticate", 0), "qop"));
	assert_status(stage_send(s, registration_of(&c)), 200);
	/* As often as they like, for there is no count. */
	assert_status(stage_send(s, registration_of(&c)), 200);
	/* A parameter may give all challenges a qop, without a change of the script. */
	assert_true(stage_load(s, AUTH("qop", "\"auth\""), NO_QOP));
	c = (struct client){.nonce = fresh_nonce(s), .qop = "auth", .nc = 1};
	assert_string_equal(
		challenge_param(line_at(s->reply, "WWW-Authenticate", 0), "qop"), "auth");
	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_close(s);
}

static void algorithms_are_offered_the_strongest_first(void **state)
{
	static const char *const names[] = {"SHA-512-256", "SHA-256", "MD5"};
	struct stage *s = stage_open(AUTH("algorithm", "\"MD5, SHA-256,SHA-512-256\""), REGISTERS);
	const char *reply = stage_send(s, registration(""));
	char nonce[64];

	snprintf(nonce, sizeof(nonce), "%s",
		challenge_param(line_at(reply, "WWW-Authenticate", 0), "nonce"));
	for (unsigned i = 0; i < 3; i++) {
		const char *challenge = line_at(reply, "WWW-Authenticate", i);

		assert_string_equal(challenge_param(challenge, "algorithm"), names[i]);
		assert_string_equal(challenge_param(challenge, "nonce"), nonce);
	}
	assert_null(line_at(reply, "WWW-Authenticate", 3));
	for (unsigned i = 0; i < 3; i++) {
		struct client c = {
			.qop = "auth", .nc = i + 1, .nonce = nonce, .algorithm = names[i]};

		assert_status(stage_send(s, registration_of(&c)), 200);
		c.password = "wrong";
		c.nc += 10;
		assert_status(stage_send(s, registration_of(&c)), 401);
		assert_int_equal(stage_rc(s), AUTH_WRONG_PASSWORD);
	}
	/* A client that says none means MD5. */
	assert_status(stage_send(s, registration_of(&(struct client){
					    .qop = "auth", .nc = 4, .nonce = nonce})),
		200);
	stage_close(s);
}

static void sessions_and_bodies_are_verified_where_they_are_offered(void **state)
{
	struct stage *s = stage_open(AUTH("algorithm", "\"SHA-256-sess,MD5-sess\"")
					     AUTH_DB("calculate_ha1", "1")
						     AUTH_DB("password_column", "\"password\""),
		REGISTERS);
	struct client c = {.qop = "auth", .nc = 1, .nonce = fresh_nonce(s), .session = true};

	assert_status(stage_send(s, registration_of(&c)), 200);
	c.algorithm = "SHA-256";
	c.nc = 2;
	assert_status(stage_send(s, registration_of(&c)), 200);
	/* Without -sess it was not. */
	c.session = false;
	c.nc = 3;
	assert_status(stage_send(s, registration_of(&c)), 401);
	assert_int_equal(stage_rc(s), AUTH_ERROR);
	assert_true(stage_load(s, AUTH("qop", "\"auth-int\""), NO_QOP));
	c = (struct client){.qop = "auth-int", .nc = 1, .nonce = fresh_nonce(s)};
	assert_status(stage_send(s, registration_of(&c)), 200);
	c.nc = 2;
	c.body = "v=0";
	assert_status(stage_send(s, registration_of(&c)), 401);
	assert_int_equal(stage_rc(s), AUTH_WRONG_PASSWORD);
	stage_close(s);
}

static void a_body_is_what_auth_int_protects(void **state)
{
	struct stage *s = stage_open(AUTH("qop", "\"auth-int\""), NO_QOP);
	struct client c = {.qop = "auth-int", .nc = 1, .nonce = fresh_nonce(s), .body = "v=0\r\n"};
	char text[4096];

	for (unsigned i = 0; i < 2; i++, c.nc++) {
		snprintf(text, sizeof(text),
			"REGISTER sip:example.com SIP/2.0\r\n"
			"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKb%u\r\n"
			"Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=f1\r\n"
			"To: <sip:alice@example.com>\r\nCall-ID: c1\r\nCSeq: 1 REGISTER\r\n"
			"Authorization: %s\r\nContent-Length: 5\r\n\r\nv=%u\r\n",
			i, credentials(&c), i);
		assert_status(
			stage_send_bytes(s, text, (uint32_t)strlen(text)), i == 0 ? 200 : 401);
	}
	stage_close(s);
}

static void names_come_with_their_domain_too(void **state)
{
	static const char *const params[] = {"", AUTH_DB("use_domain", "1"),
		AUTH_DB("calculate_ha1", "1") AUTH_DB("password_column", "\"password\"")};
	struct stage *s = stage_open("", REGISTERS);

	for (unsigned i = 0; i < 3; i++) {
		assert_true(stage_load(s, params[i], REGISTERS));
		struct client c = {.user = "alice@example.com",
			.qop = "auth",
			.nc = 1,
			.nonce = fresh_nonce(s)};

		assert_status(stage_send(s, registration_of(&c)), 200);
		c.user = "alice";
		c.nc++;
		assert_status(stage_send(s, registration_of(&c)), 200);
		/* Another domain has no such user, where domains count. */
		c.user = "alice@other.example";
		c.nc++;
		assert_status(stage_send(s, registration_of(&c)), i == 2 ? 200 : 401);
		assert_int_equal(stage_rc(s), i == 2   ? AUTH_OK
					      : i == 1 ? AUTH_USER_UNKNOWN
						       : AUTH_WRONG_PASSWORD);
	}
	stage_close(s);
}

/*
 * RFC 3261 19.1.4 of the domain, RFC 7616 3.4.2 of the text that is hashed: the user's row is
 * found, and what the client has hashed is the name as he wrote it. A password in clear is good for
 * both; ha1b was made of the name in lower case.
 */
static void a_domain_behind_a_name_is_one_however_it_is_written(void **state)
{
	static const char *const params[] = {AUTH_DB("use_domain", "1"),
		AUTH_DB("use_domain", "1") AUTH_DB("calculate_ha1", "1")
			AUTH_DB("password_column", "\"password\"")};
	struct stage *s = stage_open("", REGISTERS);

	for (unsigned i = 0; i < 2; i++) {
		assert_true(stage_load(s, params[i], REGISTERS));
		struct client c = {.user = "alice@EXAMPLE.com",
			.qop = "auth",
			.nc = 1,
			.nonce = fresh_nonce(s)};

		assert_status(stage_send(s, registration_of(&c)), i == 1 ? 200 : 401);
		assert_int_equal(stage_rc(s), i == 1 ? AUTH_OK : AUTH_WRONG_PASSWORD);
		c.user = "ALICE@example.com";
		c.nc++;
		assert_status(stage_send(s, registration_of(&c)), 401);
		assert_int_equal(stage_rc(s), AUTH_USER_UNKNOWN);
	}
	stage_close(s);
}

#define ANY_REALM \
	"\tif (!www_authorize(\"\", \"subscriber\")) {\n" \
	"\t\t$var(rc) = $rc;\n\t\twww_challenge(\"\", \"1\");\n\t\texit;\n\t}\n" \
	"\t$var(rc) = $rc;\n\tsl_send_reply(\"200\", \"OK\");"

/* A realm that is left to the domain of To is that domain's one name, which stored digests are of:
 * the client hashes what he is challenged with. */
static void a_realm_that_is_the_domain_is_in_lower_case(void **state)
{
	struct stage *s = stage_open(AUTH_DB("use_domain", "1"), ANY_REALM);
	struct client c = {.qop = "auth", .nc = 1};
	char line[8400], *text;
	const char *challenge;

	for (unsigned i = 0; i < 2; i++) {
		line[0] = '\0';
		if (i > 0)
			snprintf(line, sizeof(line), "Authorization: %s\n", credentials(&c));
		text = strdup(registration(line));
		assert_non_null(strstr(text, "alice@example.com>\nCall-ID"));
		memcpy(strstr(text, "alice@example.com>\nCall-ID"), "alice@EXAMPLE.com", 17);
		challenge = stage_send(s, text);
		assert_status(challenge, i == 0 ? 401 : 200);
		free(text);
		if (i > 0)
			continue;
		challenge = line_at(challenge, "WWW-Authenticate", 0);
		c.nonce = strdup(challenge_param(challenge, "nonce"));
		assert_string_equal(challenge_param(challenge, "realm"), "example.com");
	}
	free((char *)c.nonce);
	stage_close(s);
	/* One that the script names is what the script says. */
	s = stage_open("", "\twww_challenge(\"Example\", \"1\");");
	challenge = line_at(stage_send(s, registration("")), "WWW-Authenticate", 0);
	assert_string_equal(challenge_param(challenge, "realm"), "Example");
	stage_close(s);
}

/* RFC 7616 3.3: a realm is a text, and with use_domain one that the script names is asked for as it
 * stands there. A domain behind the user's name is asked for in lower case all the same. */
static void a_realm_that_the_script_names_is_found_as_it_names_it(void **state)
{
	static const char body[] =
		"\tif (!www_authorize(\"Example.COM\", \"subscriber\")) {\n"
		"\t\t$var(rc) = $rc;\n\t\twww_challenge(\"Example.COM\", \"1\");\n\t\texit;\n\t}\n"
		"\t$var(rc) = $rc;\n\tsl_send_reply(\"200\", \"OK\");";
	struct stage *s = stage_open(AUTH_DB("use_domain", "1") AUTH_DB("calculate_ha1", "1")
					     AUTH_DB("password_column", "\"password\""),
		body);
	struct client c = {.user = "carol",
		.password = "song",
		.realm = "Example.COM",
		.qop = "auth",
		.nc = 1,
		.nonce = fresh_nonce(s)};

	stage_sql(s, "INSERT INTO subscriber (username, domain, password) VALUES "
		     "('carol', 'Example.COM', 'song'), ('dave', 'example.com', 'deed')");
	assert_status(stage_send(s, registration_of(&c)), 200);
	c.user = "dave";
	c.password = "deed";
	c.nc++;
	assert_status(stage_send(s, registration_of(&c)), 401);
	assert_int_equal(stage_rc(s), AUTH_USER_UNKNOWN);
	c.user = "dave@EXAMPLE.com";
	c.nc++;
	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_close(s);
}

static void escapes_in_a_name_are_its_characters(void **state)
{
	struct stage *s = stage_open("", REGISTERS);
	struct client c = {.said_user = "al\\ice", .qop = "auth", .nc = 1, .nonce = fresh_nonce(s)};

	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_close(s);
}

static void a_password_column_may_hold_what_its_algorithm_makes(void **state)
{
	struct stage *s = stage_open(AUTH("algorithm", "\"SHA-256\"")
					     AUTH_DB("password_column", "\"ha1_sha256\"")
						     AUTH_DB("hash_column_sha256", "\"rpid\""),
		REGISTERS);
	struct client c = {.user = "bob",
		.password = "zanzibar",
		.qop = "auth",
		.nc = 1,
		.algorithm = "SHA-256"};

	/* As in Kamailio's schema, which has no other column: here bob's is empty. */
	c.nonce = fresh_nonce(s);
	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_close(s);
}

static void a_table_without_columns_for_sha_serves_md5(void **state)
{
	struct stage *s = stage_open("", REGISTERS);
	struct client c = {.qop = "auth", .nc = 1};

	stage_sql(s, "CREATE TABLE old AS SELECT username, domain, ha1, ha1b FROM subscriber");
	assert_true(stage_load(s, "",
		"\tif (!www_authorize(\"example.com\", \"old\")) {\n"
		"\t\twww_challenge(\"example.com\", \"1\");\n\t\texit;\n\t}\n"
		"\tsl_send_reply(\"200\", \"OK\");"));
	c.nonce = fresh_nonce(s);
	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_close(s);
}

/* ---- proxies ---- */

#define PROXY \
	"\tif (!proxy_authorize(\"\", \"subscriber\")) {\n" \
	"\t\t$var(rc) = $rc;\n\t\tproxy_challenge(\"\", \"1\");\n\t\texit;\n\t}\n" \
	"\t$var(rc) = $rc;\n\tconsume_credentials();\n\tforward(\"203.0.113.1\");"

static const char *forwarded(struct stage *s)
{
	static char out[8192];
	struct proxy_out to;
	int64_t n;

	assert_int_equal(s->verdict, ROUTE_ENDED);
	assert_true(s->ctx->result.forward);
	n = proxy_request_write(s->proxy, s->ctx, out, sizeof(out) - 1, &to);
	assert_true(n > 0);
	out[n] = '\0';
	return out;
}

/* RFC 3261 22.3: credentials of ours go no further, those of others do. */
static void a_proxy_consumes_its_credentials_and_no_others(void **state)
{
	struct stage *s = stage_open("", PROXY);
	const char *reply = stage_send(s, request("INVITE", "sip:bob@example.com", NULL, "")), *out;
	struct client c = {
		.qop = "auth", .nc = 1, .method = "INVITE", .uri = "sip:bob@example.com"};
	char lines[4096];

	assert_status(reply, 407);
	c.nonce = challenge_param(line_at(reply, "Proxy-Authenticate", 0), "nonce");
	snprintf(lines, sizeof(lines),
		"Proxy-Authorization: Digest username=\"a\", realm=\"far.example\", nonce=\"n\", "
		"uri=\"sip:bob@example.com\", response=\"r\"\nProxy-Authorization: %s\n",
		credentials(&c));
	assert_null(stage_send(s, request("INVITE", "sip:bob@example.com", NULL, lines)));
	out = forwarded(s);
	assert_non_null(strstr(out, "realm=\"far.example\""));
	assert_null(strstr(out, "realm=\"example.com\""));
	/* Neither can be challenged: a CANCEL has its INVITE's CSeq, an ACK no answer. */
	assert_null(stage_send(s, request("ACK", "sip:bob@example.com", NULL, "")));
	assert_true(s->ctx->result.forward);
	assert_null(stage_send(s, request("CANCEL", "sip:bob@example.com", NULL, "")));
	assert_true(s->ctx->result.forward);
	stage_close(s);
}

/* Without a transaction an INVITE that is sent again runs the script again. */
static void a_retransmission_is_the_same_request(void **state)
{
	struct stage *s = stage_open("", PROXY);
	struct client c = {
		.qop = "auth", .nc = 1, .method = "INVITE", .uri = "sip:bob@example.com"};
	const char *reply = stage_send(s, request("INVITE", "sip:bob@example.com", NULL, ""));
	char lines[4096], text[8192];

	c.nonce = challenge_param(line_at(reply, "Proxy-Authenticate", 0), "nonce");
	snprintf(lines, sizeof(lines), "Proxy-Authorization: %s\n", credentials(&c));
	snprintf(
		text, sizeof(text), "%s", request("INVITE", "sip:bob@example.com", "again", lines));
	assert_null(stage_send(s, text));
	assert_true(s->ctx->result.forward);
	for (unsigned i = 0; i < 4; i++) {
		stage_pass(s, 4);
		assert_null(stage_send(s, text));
		assert_true(s->ctx->result.forward);
	}
	assert_int_equal(auth_counter(s->auth, AUTH_COUNTER_REPEATED), 4);
	/* From somebody else it is none, nor with any octet changed, nor when its time is over. */
	s->source.port++;
	assert_status(stage_send(s, text), 407);
	assert_int_equal(stage_rc(s), AUTH_STALE_NONCE);
	s->source.port--;
	assert_null(stage_send(s, text));
	assert_status(stage_send(s, request("INVITE", "sip:bob@example.com", "other", lines)), 407);
	*strstr(text, "Max-Forwards: 70") = 'm';
	assert_status(stage_send(s, text), 407);
	*strstr(text, "max-Forwards: 70") = 'M';
	stage_pass(s, 20);
	assert_status(stage_send(s, text), 407);
	assert_int_equal(stage_rc(s), AUTH_STALE_NONCE);
	stage_close(s);
}

/* ---- challenges ---- */

static void a_realm_that_is_left_empty_is_the_domain(void **state)
{
	struct stage *s = stage_open("", "\tauth_challenge(\"\", \"1\");");
	const char *reply = stage_send(s, registration(""));

	assert_status(reply, 401);
	assert_string_equal(
		challenge_param(line_at(reply, "WWW-Authenticate", 0), "realm"), "example.com");
	reply = stage_send(s, request("INVITE", "sip:bob@far.example", NULL, ""));
	assert_status(reply, 407);
	assert_string_equal(
		challenge_param(line_at(reply, "Proxy-Authenticate", 0), "realm"), "example.com");
	stage_close(s);
}

static void a_prefix_is_taken_off_a_realm(void **state)
{
	struct stage *s = stage_open(AUTH("realm_prefix", "\"sip.\""),
		"\tif (!www_authorize(\"sip.example.com\", \"subscriber\")) {\n"
		"\t\twww_challenge(\"sip.example.com\", \"1\");\n\t\texit;\n\t}\n"
		"\tsl_send_reply(\"200\", \"OK\");");
	struct client c = {.qop = "auth", .nc = 1, .nonce = fresh_nonce(s)};

	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_close(s);
}

static void a_realm_keeps_to_its_quotes(void **state)
{
	struct stage *s = stage_open("", "\twww_challenge($hdr(Subject), \"1\");");
	const char *reply = stage_send(s, registration("Subject: a\"b\\c\n"));

	assert_string_equal(line_at(reply, "WWW-Authenticate", 0) != NULL ? "there" : "", "there");
	assert_non_null(strstr(reply, "realm=\"a\\\"b\\\\c\""));
	/* What would leave its line is refused, and so is one that is too long. */
	assert_status(stage_send(s, registration("Subject: a\n b\n")), 500);
	char line[600] = "Subject: ";

	memset(line + 9, 'x', 300);
	strcpy(line + 309, "\n");
	assert_status(stage_send(s, registration(line)), 500);
	assert_true(stage_load(s, "", "\twww_challenge($hdr(Subject), \"5\");\n\t$var(rc) = $rc;"));
	assert_null(stage_send(s, registration(line)));
	assert_int_equal(stage_rc(s), -2);
	stage_close(s);
}

static void a_challenge_names_algorithms_and_headers_of_its_own(void **state)
{
	struct stage *s = stage_open(AUTH("www_challenge_header", "\"X-Challenge\""),
		"\twww_challenge(\"example.com\", \"17\", \"SHA-256\");");
	const char *reply = stage_send(s, registration("")), *challenge;

	challenge = line_at(reply, "X-Challenge", 0);
	assert_string_equal(challenge_param(challenge, "algorithm"), "SHA-256");
	assert_string_equal(challenge_param(challenge, "stale"), "true");
	assert_null(line_at(reply, "X-Challenge", 1));
	stage_close(s);
}

static void no_challenge_replaces_what_goes_on(void **state)
{
	struct stage *s =
		stage_open("", "\tforward(\"203.0.113.1\");\n"
			       "\twww_challenge(\"example.com\", \"1\");\n\t$var(rc) = $rc;");

	assert_null(stage_send(s, registration("")));
	assert_true(s->ctx->result.forward);
	assert_int_equal(stage_rc(s), -3);
	stage_close(s);
}

/* ---- Authentication-Info (RFC 7616 3.5) ---- */

#define INFO AUTH("add_authinfo_hdr", "1")
#define ANSWERED_BY_PROXY \
	"\tif (!proxy_authorize(\"example.com\", \"subscriber\")) {\n" \
	"\t\tproxy_challenge(\"example.com\", \"1\");\n\t\texit;\n\t}\n" \
	"\tsl_send_reply(\"200\", \"OK\");"

/* The value of the line, in which everything that is not a nonce stands as it should for these
 * credentials. */
static const char *proven(const struct stage *s, const char *name, const struct client *c)
{
	const char *line = line_at(s->reply, name, 0);
	char proof[129], nc[16];
	struct client server = *c;

	server.user = "alice";
	server.password = "secret";
	server.realm = "example.com";
	server.uri = REGISTRAR;
	server.cnonce = c->cnonce != NULL ? c->cnonce : "0a4f113b";
	server.method = ""; /* RFC 7616 3.5: A2 begins with the colon */
	client_response(&server, proof);
	snprintf(nc, sizeof(nc), "%08x", c->nc);
	assert_non_null(line);
	assert_null(line_at(s->reply, name, 1));
	assert_string_equal(challenge_param(line, "rspauth"), proof);
	assert_string_equal(challenge_param(line, "qop"), "auth");
	assert_string_equal(challenge_param(line, "nc"), nc);
	assert_string_equal(challenge_param(line, "cnonce"), server.cnonce);
	return line;
}

static void a_reply_proves_who_we_are(void **state)
{
	struct stage *s = stage_open(INFO AUTH("nonce_expire", "60"), REGISTERS);
	struct client c = {.qop = "auth", .nc = 1, .nonce = fresh_nonce(s)};
	const char *line, *next;
	char first[AUTH_NONCE_LEN + 1];

	snprintf(first, sizeof(first), "%s", c.nonce);
	c.nonce = first;
	assert_null(line_at(s->reply, "Authentication-Info", 0));
	assert_status(stage_send(s, registration_of(&c)), 200);
	line = proven(s, "Authentication-Info", &c);
	assert_null(challenge_param(line, "nextnonce"));
	/* Half of its time later the next one is there, and is good. */
	stage_pass(s, 31);
	c.nc = 2;
	assert_status(stage_send(s, registration_of(&c)), 200);
	next = challenge_param(proven(s, "Authentication-Info", &c), "nextnonce");
	assert_non_null(next);
	stage_pass(s, 40);
	assert_status(stage_send(s, registration_of(&(struct client){
					    .qop = "auth", .nc = 1, .nonce = next})),
		200);
	/* Nothing of the kind for who is wrong, and none unless it is asked for. */
	assert_status(
		stage_send(s, registration_of(&(struct client){
				      .qop = "auth", .nc = 2, .nonce = next, .password = "wrong"})),
		401);
	assert_null(line_at(s->reply, "Authentication-Info", 0));
	assert_true(stage_load(s, "", REGISTERS));
	assert_status(stage_send(s, registration_of(&(struct client){
					    .qop = "auth", .nc = 2, .nonce = next})),
		200);
	assert_null(line_at(s->reply, "Authentication-Info", 0));
	stage_close(s);
}

static void what_a_reply_proves_keeps_to_its_quotes(void **state)
{
	struct stage *s = stage_open(INFO, REGISTERS);
	char longest[AUTH_CNONCE_MAX + 1];
	struct client c = {.qop = "auth", .nc = 1, .nonce = fresh_nonce(s), .cnonce = longest};

	memset(longest, 'c', AUTH_CNONCE_MAX);
	longest[AUTH_CNONCE_MAX] = '\0';
	assert_status(stage_send(s, registration_of(&c)), 200);
	proven(s, "Authentication-Info", &c);
	/* Nor is there any without qop, or for a body that is not there yet. */
	assert_true(stage_load(s, INFO, NO_QOP));
	c = (struct client){.nonce = fresh_nonce(s)};
	assert_status(stage_send(s, registration_of(&c)), 200);
	assert_null(line_at(s->reply, "Authentication-Info", 0));
	stage_close(s);
}

static void a_one_time_nonce_brings_the_next_one(void **state)
{
	struct stage *s = stage_open(INFO AUTH("one_time_nonce", "1"), NO_QOP);
	struct client c = {.nonce = fresh_nonce(s)};
	const char *line;

	for (unsigned i = 0; i < 5; i++) {
		assert_status(stage_send(s, registration_of(&c)), 200);
		line = line_at(s->reply, "Authentication-Info", 0);
		assert_null(challenge_param(line, "rspauth"));
		c.nonce = challenge_param(line, "nextnonce");
		assert_non_null(c.nonce);
	}
	assert_int_equal(auth_counter(s->auth, AUTH_COUNTER_CHALLENGES), 1);
	stage_close(s);
}

static void a_proxy_has_a_line_of_its_own(void **state)
{
	struct stage *s = stage_open(INFO AUTH("algorithm", "\"SHA-256\""), ANSWERED_BY_PROXY);
	const char *reply = stage_send(s, request("MESSAGE", REGISTRAR, NULL, ""));
	struct client c = {.qop = "auth", .nc = 1, .method = "MESSAGE", .algorithm = "SHA-256"};
	char line[4096];

	c.nonce = challenge_param(line_at(reply, "Proxy-Authenticate", 0), "nonce");
	snprintf(line, sizeof(line), "Proxy-Authorization: %s\n", credentials(&c));
	assert_status(stage_send(s, request("MESSAGE", REGISTRAR, NULL, line)), 200);
	proven(s, "Proxy-Authentication-Info", &c);
	assert_null(line_at(s->reply, "Authentication-Info", 0));
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_registration),
		cmocka_unit_test(an_update_and_a_question_for_the_contacts),
		cmocka_unit_test(a_cancellation_with_an_old_nonce_is_challenged_as_stale),
		cmocka_unit_test(a_wrong_password_is_challenged_again),
		cmocka_unit_test(clients_of_rfc_2069_are_heard_where_no_qop_was_offered),
		cmocka_unit_test(algorithms_are_offered_the_strongest_first),
		cmocka_unit_test(sessions_and_bodies_are_verified_where_they_are_offered),
		cmocka_unit_test(a_body_is_what_auth_int_protects),
		cmocka_unit_test(names_come_with_their_domain_too),
		cmocka_unit_test(escapes_in_a_name_are_its_characters),
		cmocka_unit_test(a_password_column_may_hold_what_its_algorithm_makes),
		cmocka_unit_test(a_table_without_columns_for_sha_serves_md5),
		cmocka_unit_test(a_proxy_consumes_its_credentials_and_no_others),
		cmocka_unit_test(a_retransmission_is_the_same_request),
		cmocka_unit_test(a_realm_that_is_left_empty_is_the_domain),
		cmocka_unit_test(a_prefix_is_taken_off_a_realm),
		cmocka_unit_test(a_realm_keeps_to_its_quotes),
		cmocka_unit_test(a_challenge_names_algorithms_and_headers_of_its_own),
		cmocka_unit_test(no_challenge_replaces_what_goes_on),
		cmocka_unit_test(a_reply_proves_who_we_are),
		cmocka_unit_test(what_a_reply_proves_keeps_to_its_quotes),
		cmocka_unit_test(a_one_time_nonce_brings_the_next_one),
		cmocka_unit_test(a_proxy_has_a_line_of_its_own),
		cmocka_unit_test(a_domain_behind_a_name_is_one_however_it_is_written),
		cmocka_unit_test(a_realm_that_is_the_domain_is_in_lower_case),
		cmocka_unit_test(a_realm_that_the_script_names_is_found_as_it_names_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
