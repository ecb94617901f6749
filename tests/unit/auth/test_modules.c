/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups, URIs, aliases, who the user of credentials may say he is, and what is wrong with a
 * configuration. */
#include "common.h"

#define AUTH(name, value) "modparam(\"auth\", \"" name "\", " value ")\n"
#define AUTH_DB(name, value) "modparam(\"auth_db\", \"" name "\", " value ")\n"
#define URI_DB(name, value) "modparam(\"uri_db\", \"" name "\", " value ")\n"
#define GROUP(name, value) "modparam(\"group\", \"" name "\", " value ")\n"
#define ALIAS(name, value) "modparam(\"alias_db\", \"" name "\", " value ")\n"

/* What a statement returns for a request of alice to a URI, without credentials. */
static int rc_of(struct stage *s, const char *params, const char *statement, const char *uri)
{
	char body[1024];

	snprintf(body, sizeof(body), "\t%s;\n\t$var(rc) = $rc;", statement);
	if (!stage_load(s, params, body))
		fail_msg("%s", s->said);
	stage_send(s, request("INVITE", uri, NULL, ""));
	assert_int_equal(s->verdict, ROUTE_ENDED);
	return stage_rc(s);
}

/* The same with credentials of alice that are right. */
static int rc_as(struct stage *s, const char *params, const char *statement, const char *message,
	const struct client *c)
{
	char body[1024], lines[8400], with[16000];
	const char *at;
	struct client own = *c;

	assert_true(stage_load(s, params, "\tproxy_challenge(\"example.com\", \"1\");"));
	stage_send(s, message);
	own.nonce = challenge_param(line_at(s->reply, "Proxy-Authenticate", 0), "nonce");
	own.qop = "auth";
	own.nc = 1;
	snprintf(body, sizeof(body),
		"\tif (!proxy_authorize(\"example.com\", \"subscriber\")) exit;\n"
		"\t%s;\n\t$var(rc) = $rc;",
		statement);
	if (!stage_load(s, params, body))
		fail_msg("%s", s->said);
	snprintf(lines, sizeof(lines), "Proxy-Authorization: %s\n", credentials(&own));
	at = strstr(message, "Content-Length");
	snprintf(with, sizeof(with), "%.*s%s%s", (int)(at - message), message, lines, at);
	stage_send(s, with);
	assert_int_equal(s->verdict, ROUTE_ENDED);
	assert_true(s->ctx->credentials != 0);
	return stage_rc(s);
}

#define BOB "sip:bob@example.com"
static const struct client alice = {.method = "INVITE", .uri = BOB};

/* ---- groups ---- */

static void groups_are_rows_of_grp(void **state)
{
	struct stage *s = stage_open("", "\texit;");

	assert_int_equal(rc_of(s, "", "is_user_in(\"From\", \"local\")", BOB), 1);
	assert_int_equal(rc_of(s, "", "is_user_in(\"from\", \"international\")", BOB), 1);
	assert_int_equal(rc_of(s, "", "is_user_in(\"From\", \"pstn\")", BOB), -6);
	assert_int_equal(rc_of(s, "", "is_user_in(\"To\", \"local\")", BOB), -6);
	assert_int_equal(rc_of(s, "", "is_user_in(\"Request-URI\", \"local\")", BOB), -6);
	assert_int_equal(
		rc_of(s, "", "is_user_in(\"Request-URI\", \"local\")", "sip:alice@x.example"), 1);
	assert_int_equal(rc_of(s, "", "is_user_in(\"sip:alice@a.example\", \"local\")", BOB), 1);
	assert_int_equal(rc_of(s, "", "is_user_in($fu, \"lo\" + \"cal\")", BOB), 1);
	/* Where domains count. */
	assert_int_equal(
		rc_of(s, GROUP("use_domain", "1"), "is_user_in(\"From\", \"local\")", BOB), 1);
	assert_int_equal(
		rc_of(s, GROUP("use_domain", "1"), "is_user_in(\"From\", \"international\")", BOB),
		-6);
	/* Nobody. */
	assert_int_equal(rc_of(s, "", "is_user_in(\"Credentials\", \"local\")", BOB), -1);
	assert_int_equal(
		rc_of(s, "", "is_user_in(\"Request-URI\", \"local\")", "sip:x.example"), -1);
	assert_int_equal(rc_of(s, "", "is_user_in(\"From\", \"\")", BOB), -1);
	assert_int_equal(rc_of(s, "", "is_user_in($hdr(Subject), \"local\")", BOB), -1);
	assert_int_equal(
		rc_of(s, GROUP("table", "\"missing\""), "is_user_in(\"From\", \"local\")", BOB),
		-5);
	assert_int_equal(rc_as(s, "", "is_user_in(\"Credentials\", \"local\")",
				 request("INVITE", BOB, NULL, ""), &alice),
		1);
	assert_int_equal(
		rc_as(s, GROUP("use_domain", "1"), "is_user_in(\"Credentials\", \"international\")",
			request("INVITE", BOB, NULL, ""), &alice),
		-6);
	stage_close(s);
}

/* ---- who says he is whom ---- */

static void from_and_to_are_who_was_verified(void **state)
{
	struct stage *s = stage_open("", "\texit;");
	char text[4096];

	assert_int_equal(rc_of(s, "", "check_from()", BOB), -2);
	assert_int_equal(rc_of(s, "", "is_user(\"alice\")", BOB), -1);
	snprintf(text, sizeof(text), "%s", request("INVITE", BOB, NULL, ""));
	assert_int_equal(rc_as(s, "", "check_from()", text, &alice), 1);
	assert_int_equal(rc_as(s, "", "db_check_from()", text, &alice), 1);
	assert_int_equal(rc_as(s, "", "check_to()", text, &alice), -10);
	assert_int_equal(rc_as(s, "", "is_user(\"alice\")", text, &alice), 1);
	assert_int_equal(rc_as(s, "", "is_user(\"Alice\")", text, &alice), -1);
	assert_int_equal(rc_as(s, "", "check_uri(\"sip:ALICE@far.example\")", text, &alice), 1);
	assert_int_equal(rc_as(s, "", "check_uri(\"sip:bob@far.example\")", text, &alice), -10);
	assert_int_equal(rc_as(s, "", "check_uri(\"sip:far.example\")", text, &alice), -4);
	assert_int_equal(rc_as(s, "", "check_uri(\"junk\")", text, &alice), -1);
	assert_int_equal(
		rc_as(s, "", "check_uri(\"sip:bob@x\", \"bob\", \"example.com\")", text, &alice),
		1);
	/* A name of the domain in front of whose '@' it stands. */
	struct client domain = alice;

	domain.user = "alice@example.com";
	assert_int_equal(rc_as(s, "", "check_from()", text, &domain), 1);
	/* By a table of URIs. */
	memcpy(strstr(text, "From: <sip:alice"), "From: <sip:sales", 16);
	assert_int_equal(rc_as(s, "", "check_from()", text, &alice), -10);
	assert_int_equal(rc_as(s, URI_DB("use_uri_table", "1"), "check_from()", text, &alice), 1);
	memcpy(strstr(text, "From: <sip:sales"), "From: <sip:'--ab", 16);
	assert_int_equal(rc_as(s, URI_DB("use_uri_table", "1"), "check_from()", text, &alice), -9);
	assert_int_equal(rc_as(s, URI_DB("use_uri_table", "1") URI_DB("uri_table", "\"missing\""),
				 "check_from()", text, &alice),
		-8);
	stage_close(s);
}

static void who_registers_registers_himself(void **state)
{
	struct stage *s = stage_open("", "\texit;");
	static const char script[] =
		"\tif (auth_check(\"example.com\", \"subscriber\", \"1\")) {\n\t\t$var(rc) = $rc;\n"
		"\t\tsl_send_reply(\"200\", \"OK\");\n\t\texit;\n\t}\n\t$var(rc) = $rc;\n"
		"\tauth_challenge(\"example.com\", \"1\");";
	struct client c = {.qop = "auth", .nc = 1};
	char text[8192];

	assert_true(stage_load(s, "", script));
	c.nonce = fresh_nonce(s);
	assert_status(stage_send(s, registration_of(&c)), 200);
	/* With bob's credentials for alice. */
	c.nc = 2;
	c.user = "bob";
	c.password = "zanzibar";
	assert_status(stage_send(s, registration_of(&c)), 401);
	assert_int_equal(stage_rc(s), AUTH_USER_MISMATCH);
	/* Of oneself, said by somebody else. */
	c = (struct client){.qop = "auth", .nc = 3, .nonce = c.nonce};
	snprintf(text, sizeof(text), "%s", registration_of(&c));
	memcpy(strstr(text, "From: <sip:alice"), "From: <sip:mally", 16);
	assert_status(stage_send(s, text), 401);
	assert_int_equal(stage_rc(s), AUTH_USER_MISMATCH);
	/* An ACK is nobody's business. */
	stage_send(s, request("ACK", BOB, NULL, ""));
	assert_int_equal(stage_rc(s), AUTH_OK);
	stage_close(s);
}

static void a_script_may_know_the_password_itself(void **state)
{
	struct stage *s = stage_open("", "\texit;");
	char body[1024], ha1[AUTH_HEX_MAX + 1] = "";
	struct client c = {.qop = "auth", .nc = 0};
	static const char *const calls[] = {
		"pv_www_authorize(\"example.com\", \"open sesame\", \"0\")",
		"pv_www_authenticate(\"example.com\", \"open sesame\", 0)",
		"pv_www_authenticate(\"example.com\", \"open sesame\", \"32\", \"REGISTER\")",
		"pv_auth_check(\"example.com\", \"open sesame\", \"0\", \"1\")"};

	assert_true(stage_load(s, "", "\twww_challenge(\"example.com\", \"1\");"));
	c.nonce = fresh_nonce(s);
	c.password = "open sesame";
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		snprintf(body, sizeof(body), "\t%s;\n\t$var(rc) = $rc;", calls[i]);
		assert_true(stage_load(s, "", body));
		c.nc++;
		stage_send(s, registration_of(&c));
		assert_int_equal(stage_rc(s), AUTH_OK);
	}
	assert_int_equal(
		auth_ha1(AUTH_MD5, STR("alice"), STR("example.com"), STR("open sesame"), ha1), 32);
	snprintf(body, sizeof(body),
		"\tpv_www_authorize(\"example.com\", \"%s\", \"1\");\n\t$var(rc) = $rc;", ha1);
	assert_true(stage_load(s, "", body));
	c.nc++;
	stage_send(s, registration_of(&c));
	assert_int_equal(stage_rc(s), AUTH_OK);
	c.password = "close sesame";
	c.nc++;
	stage_send(s, registration_of(&c));
	assert_int_equal(stage_rc(s), AUTH_WRONG_PASSWORD);
	assert_true(stage_load(s, "",
		"\tpv_www_authorize(\"example.com\", $hdr(Subject), \"0\");\n\t$var(rc) = $rc;"));
	stage_send(s, registration_of(&c));
	assert_int_equal(stage_rc(s), AUTH_ERROR);
	stage_close(s);
}

static void credentials_are_there_or_not(void **state)
{
	struct stage *s = stage_open("", "\thas_credentials(\"example.com\");\n\t$var(rc) = $rc;");

	stage_send(s, registration(""));
	assert_int_equal(stage_rc(s), -1);
	stage_send(s, registration_of(&(struct client){.nonce = "x"}));
	assert_int_equal(stage_rc(s), 1);
	stage_send(s, registration_of(&(struct client){.nonce = "x", .realm = "far.example"}));
	assert_int_equal(stage_rc(s), -1);
	/* None were verified. */
	assert_true(stage_load(s, "", "\tconsume_credentials();\n\t$var(rc) = $rc;"));
	stage_send(s, registration_of(&(struct client){.nonce = "x"}));
	assert_int_equal(stage_rc(s), -1);
	stage_close(s);
}

static struct str variable(struct stage *s, const char *name)
{
	struct route_value value;

	return route_avp_get(s->ctx, str_c(name), 0, &value) && value.type == ROUTE_STR ? value.s
											: STR_NONE;
}

/* Before anybody was verified, what stands there; then who it was, whatever else stands there. */
static void variables_say_who_it_was(void **state)
{
	static const char sets[] = "$avp(u) = $au; $avp(U) = $AU; $avp(a) = $Au; $avp(w) = $aU; "
				   "$avp(r) = $ar; $avp(c) = $adc";
	struct stage *s = stage_open("", "\texit;");
	char text[4096], *at;

	rc_of(s, "", sets, BOB);
	assert_int_equal(variable(s, "u").len, 0);
	assert_true(str_eq(variable(s, "U"), STR("alice")));
	assert_true(str_eq(variable(s, "a"), STR("alice@example.com")));
	snprintf(text, sizeof(text), "%s",
		request("INVITE", BOB, NULL,
			"Proxy-Authorization: Digest username=\"m\\al\", realm=\"far.example\", "
			"nonce=\"n\", uri=\"sip:x\", response=\"r\"\n"));
	stage_send(s, text);
	assert_true(str_eq(variable(s, "u"), STR("mal")));
	assert_true(str_eq(variable(s, "U"), STR("alice")));
	struct client domain = alice;

	domain.user = "alice@example.com";
	rc_as(s, "", sets, text, &domain);
	assert_true(str_eq(variable(s, "u"), STR("alice")));
	assert_true(str_eq(variable(s, "U"), STR("alice")));
	assert_true(str_eq(variable(s, "a"), STR("alice@example.com")));
	assert_true(str_eq(variable(s, "w"), STR("alice@example.com")));
	assert_true(str_eq(variable(s, "r"), STR("example.com")));
	assert_true(str_eq(variable(s, "c"), STR("0a4f113b")));
	/* What cannot be read for sure is not read. */
	at = strstr(text, "response=");
	memcpy(at, "username=", 9);
	rc_of(s, "", sets, BOB);
	stage_send(s, text);
	assert_int_equal(variable(s, "u").len, 0);
	stage_close(s);
}

/* ---- users and aliases ---- */

static void users_are_rows_of_subscriber(void **state)
{
	struct stage *s = stage_open("", "\texit;");

	assert_int_equal(rc_of(s, "", "does_uri_exist()", BOB), 1);
	assert_int_equal(rc_of(s, "", "db_does_uri_exist()", BOB), 1);
	assert_int_equal(rc_of(s, "", "does_uri_exist()", "sip:carol@example.com"), -5);
	assert_int_equal(rc_of(s, "", "does_uri_exist()", "sip:example.com"), -5);
	assert_int_equal(rc_of(s, "", "does_uri_exist()", "sip:bob@far.example"), 1);
	assert_int_equal(
		rc_of(s, URI_DB("use_domain", "1"), "does_uri_exist()", "sip:bob@far.example"), -5);
	assert_int_equal(
		rc_of(s, URI_DB("use_uri_table", "1"), "does_uri_exist()", "sip:sales@example.com"),
		1);
	assert_int_equal(rc_of(s, URI_DB("db_table", "\"missing\""), "does_uri_exist()", BOB), -4);
	assert_int_equal(rc_of(s, "", "is_subscriber($ru, \"subscriber\", 0)", BOB), 1);
	assert_int_equal(rc_of(s, "", "is_subscriber(\"sip:x@y\", \"subscriber\", 0)", BOB), -2);
	assert_int_equal(
		rc_of(s, "", "is_subscriber(\"sip:bob@far.example\", \"subscriber\", 1)", BOB), -2);
	assert_int_equal(rc_of(s, "", "is_subscriber(\"junk\", \"subscriber\", 1)", BOB), -1);
	stage_close(s);
}

/* RFC 3261 19.1.4: hosts compare without case, users with it. Rows have their domains in lower
 * case. */
static void a_domain_is_one_however_its_letters_are_written(void **state)
{
	static const char load[] = AUTH_DB("use_domain", "1");
	struct stage *s = stage_open("", "\texit;");

	assert_int_equal(
		rc_of(s, URI_DB("use_domain", "1"), "does_uri_exist()", "sip:bob@EXAMPLE.com"), 1);
	assert_int_equal(
		rc_of(s, URI_DB("use_domain", "1"), "does_uri_exist()", "sip:Bob@example.com"), -5);
	assert_int_equal(
		rc_of(s, URI_DB("use_uri_table", "1"), "does_uri_exist()", "sip:sales@Example.Com"),
		1);
	assert_int_equal(
		rc_of(s, load, "is_subscriber(\"sip:bob@EXAMPLE.COM\", \"subscriber\", 1)", BOB),
		1);
	assert_int_equal(
		rc_of(s, load, "is_subscriber(\"sip:BOB@example.com\", \"subscriber\", 1)", BOB),
		-2);
	assert_int_equal(rc_of(s, GROUP("use_domain", "1"),
				 "is_user_in(\"sip:alice@EXAMPLE.com\", \"local\")", BOB),
		1);
	assert_int_equal(rc_of(s, GROUP("use_domain", "1"),
				 "is_user_in(\"sip:alice@example.com\", \"LOCAL\")", BOB),
		-6);
	assert_int_equal(
		rc_of(s, URI_DB("use_uri_table", "1"),
			"check_uri(\"sip:sales@x.example\", \"alice\", \"EXAMPLE.com\")", BOB),
		1);
	assert_int_equal(rc_of(s, ALIAS("use_domain", "1"), "alias_db_lookup(\"dbaliases\")",
				 "sip:100@EXAMPLE.com"),
		1);
	assert_true(str_eq(route_ctx_uri(s->ctx), STR("sip:alice@example.com")));
	assert_int_equal(rc_of(s, ALIAS("use_domain", "1") ALIAS("domain_prefix", "\"sip.\""),
				 "alias_db_lookup(\"dbaliases\")", "sip:100@SIP.Example.com"),
		1);
	stage_close(s);
}

static void columns_become_avps(void **state)
{
	static const char load[] = AUTH_DB("load_credentials", "\"rpid;$avp(mine)=password\"");
	struct stage *s = stage_open("", "\texit;");

	assert_int_equal(
		rc_as(s, load, "$var(x) = 1", request("INVITE", BOB, NULL, ""), &alice), 1);
	assert_true(str_eq(variable(s, "rpid"), STR("12345")));
	assert_true(str_eq(variable(s, "mine"), STR("secret")));
	assert_int_equal(rc_of(s, load, "is_subscriber($fu, \"subscriber\", 0)", BOB), 1);
	assert_true(str_eq(variable(s, "rpid"), STR("12345")));
	assert_int_equal(rc_of(s, load, "is_subscriber($fu, \"subscriber\", 2)", BOB), 1);
	assert_int_equal(variable(s, "rpid").len, 0);
	stage_close(s);
}

static void aliases_stand_for_users(void **state)
{
	struct stage *s = stage_open("", "\texit;");

	assert_int_equal(rc_of(s, "", "alias_db_lookup(\"dbaliases\")", "sip:100@example.com"), 1);
	assert_true(str_eq(route_ctx_uri(s->ctx), STR("sip:alice@example.com")));
	assert_int_equal(s->ctx->branches, 0);
	assert_int_equal(rc_of(s, ALIAS("append_branches", "1"), "alias_db_lookup(\"dbaliases\")",
				 "sip:100@example.com"),
		1);
	assert_int_equal(s->ctx->branches, 1);
	assert_true(
		str_eq(route_text_str(s->ctx, s->ctx->branch[0].uri), STR("sip:bob@example.com")));
	assert_int_equal(rc_of(s, "", "alias_db_lookup(\"dbaliases\")", "sip:101@example.com"), -1);
	assert_true(str_eq(route_ctx_uri(s->ctx), STR("sip:101@example.com")));
	/* Flags, and what the parameters say without them. */
	assert_int_equal(
		rc_of(s, "", "alias_db_lookup(\"dbaliases\", \"u\")", "sip:100@x.example"), -1);
	assert_int_equal(rc_of(s, ALIAS("use_domain", "1"), "alias_db_lookup(\"dbaliases\")",
				 "sip:100@x.example"),
		-1);
	assert_int_equal(rc_of(s, ALIAS("use_domain", "1"), "alias_db_lookup(\"dbaliases\", \"d\")",
				 "sip:100@x.example"),
		1);
	assert_int_equal(rc_of(s, ALIAS("use_domain", "1") ALIAS("domain_prefix", "\"sip.\""),
				 "alias_db_lookup(\"dbaliases\")", "sip:100@sip.example.com"),
		1);
	assert_int_equal(rc_of(s, "", "alias_db_lookup(\"dbaliases\", \"ru\")", BOB), 1);
	assert_true(str_eq(route_ctx_uri(s->ctx), STR("sip:100@example.com")));
	/* A row that would say more than user and host. */
	assert_int_equal(rc_of(s, "", "alias_db_lookup(\"dbaliases\")", "sip:bad@example.com"), -1);
	assert_true(str_eq(route_ctx_uri(s->ctx), STR("sip:bad@example.com")));
	assert_int_equal(rc_of(s, "", "alias_db_find(\"dbaliases\", $ru, \"$avp(who)\")",
				 "sip:100@example.com"),
		1);
	assert_true(str_eq(variable(s, "who"), STR("sip:alice@example.com")));
	assert_true(str_eq(route_ctx_uri(s->ctx), STR("sip:100@example.com")));
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
	struct stage *s = stage_open("", "\texit;");

	refused(s, AUTH("algorithm", "\"SHA-512\""), "\texit;", "algorithm is a list of MD5");
	refused(s, AUTH("qop", "\"auth-conf\""), "\texit;", "qop is auth, auth-int or empty");
	refused(s, AUTH("secret", "\"short\""), "\texit;", "can be guessed");
	refused(s, AUTH("nonce_expire", "0"), "\texit;", "nonce_expire");
	refused(s, AUTH("auth_checks_register", "16"), "\texit;", "auth_checks_register");
	refused(s, AUTH("www_challenge_header", "\"a b\""), "\texit;", "a challenge header's name");
	refused(s, "", "\twww_challenge(\"a\", \"8\");", "flags are the sum of");
	refused(s, "", "\twww_challenge(\"a\", \"1\", \"MD4\");", "algorithms are a list of MD5");
	refused(s, "", "\twww_challenge(\"a\", \"1\", $fU);", "algorithms are a list of MD5");
	refused(s, "", "\tpv_www_authorize(\"a\", \"b\", \"2\");",
		"no challenge is put into an AVP");
	refused(s, "", "\tpv_www_authorize(\"a\", \"b\", \"x\");", "flags are the sum of");
	refused(s, "", "\tpv_auth_check(\"a\", \"b\", \"0\", \"4\");", "checks are the sum of");
	refused(s, "", "\twww_authorize(\"a\", $fU);", "a table has a name");
	refused(s, "", "\twww_authorize(\"a\", \"sub scriber\");", "a table has a name");
	refused(s, "", "\twww_authorize(\"a\", \"x;--\");", "a table has a name");
	refused(s, AUTH_DB("password_column", "\"a'b\""), "\twww_authorize(\"a\", \"t\");",
		"a column has a name");
	refused(s, AUTH_DB("load_credentials", "\"$var(x)=rpid\""),
		"\twww_authorize(\"a\", \"t\");", "load_credentials is a list");
	refused(s, AUTH_DB("db_url", "\"oracle://x\""), "\twww_authorize(\"a\", \"t\");",
		"begins with one of sqlite://");
	refused(s, "", "\tauth_check(\"a\", \"t\", \"7\");", "checks are the sum of");
	refused(s, "", "\tis_subscriber($ru, \"t\", \"9\");", "flags are the sum of");
	refused(s, "", "\tis_user_in(\"Nobody\", \"g\");", "Request-URI, To, From or Credentials");
	refused(s, GROUP("table", "\"a b\""), "\tis_user_in(\"From\", \"g\");", "group: tables");
	refused(s, URI_DB("db_table", "\"a b\""), "\tdoes_uri_exist();", "uri_db: tables");
	refused(s, ALIAS("user_column", "\"\""), "\talias_db_lookup(\"t\");", "alias_db: a column");
	refused(s, "", "\talias_db_lookup(\"t\", \"x\");", "flags are letters");
	refused(s, "", "\talias_db_find(\"t\", $ru, \"$var(x)\");", "goes into an AVP");
	s->auth->config.db = NULL;
	refused(s, "", "\twww_authorize(\"a\", \"t\");", "db_url names none");
	/* What asks no database needs none. */
	assert_true(stage_load(s, "", "\tcheck_from();\n\twww_challenge(\"a\", \"1\");"));
	stage_close(s);
}

static void what_has_no_effect_is_said(void **state)
{
	struct stage *s = stage_open("", "\texit;");

	assert_true(
		stage_load(s, AUTH("nid_pool_no", "4") AUTH_DB("version_table", "0"), "\texit;"));
	assert_non_null(strstr(s->said, "nid_pool_no"));
	assert_non_null(strstr(s->said, "version_table"));
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_are_rows_of_grp),
		cmocka_unit_test(from_and_to_are_who_was_verified),
		cmocka_unit_test(who_registers_registers_himself),
		cmocka_unit_test(a_script_may_know_the_password_itself),
		cmocka_unit_test(credentials_are_there_or_not),
		cmocka_unit_test(variables_say_who_it_was),
		cmocka_unit_test(users_are_rows_of_subscriber),
		cmocka_unit_test(columns_become_avps),
		cmocka_unit_test(aliases_stand_for_users),
		cmocka_unit_test(what_cannot_work_is_said_when_it_is_loaded),
		cmocka_unit_test(what_has_no_effect_is_said),
		cmocka_unit_test(a_domain_is_one_however_its_letters_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
