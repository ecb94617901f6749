/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What somebody may try who knows no password, or has seen a request of somebody who does. Each
 * ends in a challenge and a counter of its own.
 */
#include "common.h"

#include <unistd.h>

#define REGISTERS \
	"\tif (!www_authorize(\"example.com\", \"subscriber\")) {\n" \
	"\t\t$var(rc) = $rc;\n\t\twww_challenge(\"example.com\", \"1\");\n\t\texit;\n\t}\n" \
	"\t$var(rc) = $rc;\n\tsl_send_reply(\"200\", \"OK\");"
#define AUTH(name, value) "modparam(\"auth\", \"" name "\", " value ")\n"

static void refused(struct stage *s, const char *message, int rc, enum auth_counter counter)
{
	uint64_t before = auth_counter(s->auth, counter),
		 accepted = auth_counter(s->auth, AUTH_COUNTER_ACCEPTED);
	const char *reply = stage_send(s, message), *challenge;
	bool stale;

	assert_status(reply, 401);
	if (stage_rc(s) != rc || auth_counter(s->auth, counter) != before + 1)
		fail_msg("$rc is %d and should be %d; %s is %u", stage_rc(s), rc,
			auth_counter_name(counter),
			(unsigned)(auth_counter(s->auth, counter) - before));
	assert_int_equal(auth_counter(s->auth, AUTH_COUNTER_ACCEPTED), accepted);
	assert_int_equal(s->ctx->credentials, 0);
	challenge = line_at(reply, "WWW-Authenticate", 0);
	stale = challenge_param(challenge, "stale") != NULL;
	assert_int_equal(stale, rc == AUTH_STALE_NONCE);
}

/* ---- nonces ---- */

static void a_forged_nonce_is_stale(void **state)
{
	struct stage *s = stage_open("", REGISTERS);
	char nonce[64];
	struct client c = {.qop = "auth", .nc = 1, .nonce = nonce};
	size_t len;

	snprintf(nonce, sizeof(nonce), "%s", fresh_nonce(s));
	len = strlen(nonce);
	assert_int_equal(len, AUTH_NONCE_LEN);
	/* Each character of it, also in another case, which base32 would read alike. */
	for (size_t i = 0; i < len; i++) {
		char was = nonce[i];

		nonce[i] = was == 'a' ? 'b' : 'a';
		refused(s, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_FORGED);
		if (was >= 'a') {
			nonce[i] = (char)(was - 32);
			refused(s, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_FORGED);
		}
		nonce[i] = was;
	}
	nonce[len - 1] = '\0';
	refused(s, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_FORGED);
	c.nonce = "";
	refused(s, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_FORGED);
	c.nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
	refused(s, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_FORGED);
	stage_close(s);
}

static void an_old_nonce_and_one_of_the_future_are_stale(void **state)
{
	struct stage *s = stage_open("", REGISTERS);
	struct client c = {.qop = "auth", .nc = 1, .nonce = fresh_nonce(s)};
	uint64_t now = s->thread.now_ns;

	s->thread.now_ns = now - 4 * CLOCK_NS_PER_S;
	refused(s, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_STALE);
	/* Clocks may differ by three seconds. */
	s->thread.now_ns = now - 3 * CLOCK_NS_PER_S;
	assert_status(stage_send(s, registration_of(&c)), 200);
	s->thread.now_ns = now + 301 * CLOCK_NS_PER_S;
	c.nc = 2;
	refused(s, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_STALE);
	stage_close(s);
}

static void a_nonce_is_of_its_realm(void **state)
{
	struct stage *s = stage_open("", REGISTERS);
	const char *reply;
	struct client c = {.qop = "auth", .nc = 1};

	assert_true(stage_load(s, "", "\twww_challenge(\"other.example\", \"1\");"));
	reply = stage_send(s, registration(""));
	c.nonce = challenge_param(line_at(reply, "WWW-Authenticate", 0), "nonce");
	assert_true(stage_load(s, "", REGISTERS));
	refused(s, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_FORGED);
	/* Credentials for another realm are none for this one. */
	c.nonce = fresh_nonce(s);
	c.realm = "other.example";
	refused(s, registration_of(&c), AUTH_NO_CREDENTIALS, AUTH_COUNTER_NONE);
	/* Nor are those that only say so. */
	c.said_realm = "example.com";
	refused(s, registration_of(&c), AUTH_WRONG_PASSWORD, AUTH_COUNTER_WRONG);
	stage_close(s);
}

static void a_nonce_may_be_bound_to_its_request(void **state)
{
	struct stage *s = stage_open(AUTH("auth_checks_register", "15"), REGISTERS);
	struct client c = {.qop = "auth", .nc = 1, .nonce = fresh_nonce(s)};
	static const char *const changes[][2] = {
		{"Call-ID: c1", "Call-ID: c2"}, {"tag=f1", "tag=f2"}};
	char text[8192], *at;

	assert_int_equal(strlen(c.nonce), AUTH_NONCE_MAX);
	assert_status(stage_send(s, registration_of(&c)), 200);
	for (unsigned i = 0; i < 2; i++) {
		c.nc++;
		snprintf(text, sizeof(text), "%s", registration_of(&c));
		at = strstr(text, changes[i][0]);
		assert_non_null(at);
		memcpy(at, changes[i][1], strlen(changes[i][1]));
		refused(s, text, AUTH_STALE_NONCE, AUTH_COUNTER_STALE);
	}
	s->source.addr.b[3]++;
	c.nc++;
	refused(s, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_STALE);
	s->source.addr.b[3]--;
	assert_status(stage_send(s, registration_of(&c)), 200);
	/* What was not bound is none where it has to be. */
	assert_true(stage_load(s, "", REGISTERS));
	c.nonce = fresh_nonce(s);
	assert_true(stage_load(s, AUTH("auth_checks_register", "8"), REGISTERS));
	refused(s, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_STALE);
	stage_close(s);
}

static void nodes_of_a_group_know_each_others_nonces(void **state)
{
	char folder[] = "/tmp/siplane-auth-secret-XXXXXX", path[64], error[256];
	struct stage *a, *b, *stranger;
	struct client c = {.qop = "auth", .nc = 1};

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/secret", folder);
	a = stage_open_node(path, 1, AUTH("nonce_count", "0"), REGISTERS);
	b = stage_open_node(path, 2, AUTH("nonce_count", "0"), REGISTERS);
	stranger = stage_open(AUTH("nonce_count", "0"), REGISTERS);
	c.nonce = fresh_nonce(a);
	assert_status(stage_send(b, registration_of(&c)), 200);
	refused(stranger, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_FORGED);
	/* Where counts are looked at, a nonce is good where it was made. */
	assert_true(stage_load(b, "", REGISTERS));
	refused(b, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_STALE);
	/* After two rolls of the keys it is proven by one that is retired. */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(proxy_secret_roll(path, error, sizeof(error)), 0);
		assert_int_equal(proxy_secret_load(a->proxy, path, error, sizeof(error)), 0);
	}
	assert_status(stage_send(a, registration_of(&c)), 200);
	assert_true(fresh_nonce(a)[0] != c.nonce[0]);
	stage_close(a);
	stage_close(b);
	stage_close(stranger);
	unlink(path);
	rmdir(folder);
}

static void a_secret_in_the_script_makes_a_group_too(void **state)
{
	static const char said[] =
		AUTH("secret", "\"sixteen bytes or so\"") AUTH("nonce_count", "0");
	struct stage *a = stage_open(said, REGISTERS), *b = stage_open(said, REGISTERS);
	struct client c = {.qop = "auth", .nc = 1, .nonce = fresh_nonce(a)};

	assert_status(stage_send(b, registration_of(&c)), 200);
	assert_true(stage_load(
		b, AUTH("secret", "\"another text of 16\"") AUTH("nonce_count", "0"), REGISTERS));
	refused(b, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_FORGED);
	assert_true(stage_load(b, "", REGISTERS));
	refused(b, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_FORGED);
	stage_close(a);
	stage_close(b);
}

/* A process that was started anew has the same keys, and remembers no counts. */
static void a_restart_forgets_no_count(void **state)
{
	char folder[] = "/tmp/siplane-auth-secret-XXXXXX", path[64];
	struct client c = {.qop = "auth", .nc = 1};
	struct stage *before, *after;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/secret", folder);
	before = stage_open_node(path, 0, "", REGISTERS);
	after = stage_open_node(path, 0, "", REGISTERS);
	/* They are drawn, and may be the same once in 16,384 runs. */
	after->auth->instance = before->auth->instance ^ 1;
	c.nonce = fresh_nonce(before);
	assert_status(stage_send(before, registration_of(&c)), 200);
	refused(after, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_STALE);
	stage_close(before);
	stage_close(after);
	unlink(path);
	rmdir(folder);
}

/* ---- replays ---- */

static void a_replay_is_stale(void **state)
{
	struct stage *s = stage_open("", REGISTERS);
	struct client c = {.qop = "auth", .nc = 1, .nonce = fresh_nonce(s)};
	char line[4096];

	assert_status(stage_send(s, registration_of(&c)), 200);
	refused(s, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_REPLAYED);
	/* With another Contact, which no digest protects. */
	snprintf(line, sizeof(line), "Authorization: %s\nContact: <sip:mallory@203.0.113.9>\n",
		credentials(&c));
	refused(s, registration(line), AUTH_STALE_NONCE, AUTH_COUNTER_REPLAYED);
	c.nc = 40;
	assert_status(stage_send(s, registration_of(&c)), 200);
	for (c.nc = 39; c.nc >= 30; c.nc -= 3)
		assert_status(stage_send(s, registration_of(&c)), 200);
	refused(s, registration_of(&(struct client){.qop = "auth", .nc = 30, .nonce = c.nonce}),
		AUTH_STALE_NONCE, AUTH_COUNTER_REPLAYED);
	/* Too far behind to be known. */
	c.nc = 2;
	refused(s, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_REPLAYED);
	c.nc = 0x10000;
	refused(s, registration_of(&c), AUTH_STALE_NONCE, AUTH_COUNTER_STALE);
	/* Another count for the same response is no response of his. */
	c.nc = 50;
	char said[129];
	struct client right = {.user = "alice",
		.password = "secret",
		.realm = "example.com",
		.uri = REGISTRAR,
		.method = "REGISTER",
		.cnonce = "0a4f113b",
		.qop = "auth",
		.nc = 49,
		.nonce = c.nonce};

	client_response(&right, said);
	c.said_response = said;
	refused(s, registration_of(&c), AUTH_WRONG_PASSWORD, AUTH_COUNTER_WRONG);
	stage_close(s);
}

static void counts_are_eight_digits_from_one(void **state)
{
	static const char *const bad[] = {", qop=auth, nc=1, cnonce=\"c\"",
		", qop=auth, nc=000000001, cnonce=\"c\"", ", qop=auth, nc=0000000g, cnonce=\"c\"",
		", qop=auth, nc=00000000, cnonce=\"c\"", ", qop=auth, cnonce=\"c\"",
		", qop=auth, nc=00000001", ", qop=auth-conf, nc=00000001, cnonce=\"c\"",
		", qop=\"\", nc=00000001, cnonce=\"c\""};
	struct stage *s = stage_open("", REGISTERS);
	const char *nonce = fresh_nonce(s);

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(s, registration_of(&(struct client){.nonce = nonce, .more = bad[i]}),
			AUTH_ERROR, AUTH_COUNTER_MALFORMED);
	stage_close(s);
}

static void a_one_time_nonce_is_good_once(void **state)
{
	static const char script[] =
		"\tif (!www_authorize(\"example.com\", \"subscriber\")) {\n"
		"\t\t$var(rc) = $rc;\n\t\twww_challenge(\"example.com\", \"0\");\n\t\texit;\n\t}\n"
		"\tsl_send_reply(\"200\", \"OK\");";
	struct stage *s = stage_open(AUTH("one_time_nonce", "1"), script);
	struct client c = {.nonce = fresh_nonce(s)};

	assert_status(stage_send(s, registration_of(&c)), 200);
	refused(s, registration_of(&c), AUTH_NONCE_REUSED, AUTH_COUNTER_REPLAYED);
	stage_close(s);
}

/* ---- talked down ---- */

static void what_was_not_offered_is_refused(void **state)
{
	struct stage *s = stage_open(AUTH("algorithm", "\"SHA-256\""), REGISTERS);
	const char *nonce = fresh_nonce(s);
	struct client c = {.qop = "auth", .nc = 1, .nonce = nonce};

	/* MD5, said or not. */
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_DOWNGRADED);
	c.algorithm = "MD5";
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_DOWNGRADED);
	c.algorithm = "SHA-512-256";
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_DOWNGRADED);
	c.algorithm = "SHA-256";
	c.session = true;
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_DOWNGRADED);
	/* Without qop, which has no count. */
	c = (struct client){.nonce = nonce, .algorithm = "SHA-256"};
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_DOWNGRADED);
	c = (struct client){.qop = "auth-int", .nc = 1, .nonce = nonce, .algorithm = "SHA-256"};
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_DOWNGRADED);
	c = (struct client){
		.nonce = nonce, .qop = "auth", .nc = 1, .more = ", algorithm=AKAv1-MD5"};
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_MALFORMED);
	/* An offer of before a reload is still what it was. */
	assert_true(stage_load(s, "", REGISTERS));
	c = (struct client){.qop = "auth", .nc = 1, .nonce = nonce};
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_DOWNGRADED);
	stage_close(s);
}

/* ---- of somebody else, of something else ---- */

static void credentials_are_of_their_user_method_and_uri(void **state)
{
	struct stage *s = stage_open("", REGISTERS);
	const char *nonce = fresh_nonce(s);
	struct client c = {.qop = "auth", .nc = 1, .nonce = nonce, .said_user = "bob"};

	refused(s, registration_of(&c), AUTH_WRONG_PASSWORD, AUTH_COUNTER_WRONG);
	c = (struct client){.qop = "auth", .nc = 1, .nonce = nonce, .method = "INVITE"};
	refused(s, registration_of(&c), AUTH_WRONG_PASSWORD, AUTH_COUNTER_WRONG);
	/* Another uri than it was made with, and one that was made for another request. */
	c = (struct client){
		.qop = "auth", .nc = 1, .nonce = nonce, .said_uri = "sip:other.example"};
	refused(s, registration_of(&c), AUTH_WRONG_PASSWORD, AUTH_COUNTER_WRONG);
	c = (struct client){
		.qop = "auth", .nc = 1, .nonce = nonce, .uri = "sip:premium@example.com"};
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_OTHER_URI);
	c.uri = "sip:other.example";
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_OTHER_URI);
	c.uri = "not a uri";
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_OTHER_URI);
	c.uri = "";
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_OTHER_URI);
	/* What means the same: our address for our name, a port, parameters. */
	static const char *const same[] = {"sip:192.0.2.1", "sip:example.com:5060",
		"sip:example.com;transport=udp", "sip:EXAMPLE.com", "sips:example.com"};

	for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		c.uri = same[i];
		assert_status(stage_send(s, registration_of(&c)), 200);
		c.nc++;
	}
	assert_true(stage_load(s, AUTH("check_uri", "0"), REGISTERS));
	c.uri = "sip:premium@example.com";
	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_close(s);
}

/* ---- the same for a user that there is not ---- */

static void nobody_and_a_wrong_password_look_the_same(void **state)
{
	struct stage *s = stage_open("", REGISTERS);
	const char *nonce = fresh_nonce(s);
	char first[4096];
	struct client wrong = {.password = "wrong", .qop = "auth", .nc = 1, .nonce = nonce},
		      nobody = {.user = "nobody", .qop = "auth", .nc = 1, .nonce = nonce};

	assert_status(stage_send(s, registration_of(&wrong)), 401);
	assert_int_equal(stage_rc(s), AUTH_WRONG_PASSWORD);
	snprintf(first, sizeof(first), "%.4000s", s->reply);
	assert_status(stage_send(s, registration_of(&nobody)), 401);
	assert_int_equal(stage_rc(s), AUTH_USER_UNKNOWN);
	assert_int_equal(strlen(first), strlen(s->reply));
	assert_null(challenge_param(line_at(s->reply, "WWW-Authenticate", 0), "stale"));
	/* Whoever knows what stands in for a hash has no way in. */
	nobody.ha1 = "0123456789abcdef0123456789abcdef";
	refused(s, registration_of(&nobody), AUTH_USER_UNKNOWN, AUTH_COUNTER_UNKNOWN);
	assert_true(stage_load(s,
		"modparam(\"auth_db\", \"calculate_ha1\", 1)\n"
		"modparam(\"auth_db\", \"password_column\", \"password\")\n",
		REGISTERS));
	nobody.ha1 = NULL;
	nobody.password = "01234567";
	refused(s, registration_of(&nobody), AUTH_USER_UNKNOWN, AUTH_COUNTER_UNKNOWN);
	stage_close(s);
}

/* ---- who guesses ---- */

static void a_source_has_so_many_wrong_passwords(void **state)
{
	enum { LIMIT = 5, BURST = 4 * LIMIT };
	struct stage *s = stage_open(AUTH("wrong_limit", "5"), REGISTERS);
	struct client wrong = {.password = "wrong", .qop = "auth", .nc = 1},
		      right = {.qop = "auth", .nc = 1}, other = {.qop = "auth", .nc = 1};
	uint64_t limited = 0;

	wrong.nonce = right.nonce = fresh_nonce(s);
	for (unsigned i = 0; i < BURST; i++) {
		wrong.user = i % 2 != 0 ? "alice" : "nobody";
		assert_status(stage_send(s, registration_of(&wrong)), 401);
	}
	/* All that comes from there has to wait, who knows his password, too: 503, and not 401. */
	for (unsigned i = 0; i < 3; i++) {
		assert_status(stage_send(s, registration_of(i == 1 ? &right : &wrong)), 503);
		assert_int_equal(stage_rc(s), AUTH_ERROR);
		assert_int_equal(s->waits, 0);
		assert_int_equal(auth_counter(s->auth, AUTH_COUNTER_LIMITED), ++limited);
	}
	/* Who has no credentials yet is asked for them. */
	assert_status(stage_send(s, registration("")), 401);
	/* Others do not. */
	s->source.addr.b[3]++;
	other.nonce = fresh_nonce(s);
	assert_status(stage_send(s, registration_of(&other)), 200);
	s->source.addr.b[3]--;
	/* A second later there are so many again; right ones cost none. */
	stage_pass(s, 1);
	for (right.nc = 2; right.nc < 40; right.nc++)
		assert_status(stage_send(s, registration_of(&right)), 200);
	for (unsigned i = 0; i < LIMIT; i++)
		assert_status(stage_send(s, registration_of(&wrong)), 401);
	assert_status(stage_send(s, registration_of(&wrong)), 503);
	assert_int_equal(auth_counter(s->auth, AUTH_COUNTER_WRONG) +
				 auth_counter(s->auth, AUTH_COUNTER_UNKNOWN),
		BURST + LIMIT);
	/* Another configuration has no limit, or counts from its beginning. */
	assert_true(stage_load(s, "", REGISTERS));
	for (unsigned i = 0; i < 2 * BURST; i++)
		assert_status(stage_send(s, registration_of(&wrong)), 401);
	stage_close(s);
}

/* With a limit, a nonce is good at the address that it was given to: who writes another's address
 * on his datagrams never sees one that counts against it. */
static void nobody_guesses_in_another_ones_name(void **state)
{
	static const char *const with[] = {AUTH("wrong_limit", "5"),
		AUTH("wrong_limit", "5") AUTH("auth_checks_register", "7")};

	for (unsigned i = 0; i < 2; i++) {
		struct stage *s = stage_open(with[i], REGISTERS);
		struct client wrong = {.password = "wrong", .qop = "auth", .nc = 1},
			      right = {.qop = "auth", .nc = 1};

		s->source.addr.b[3] ^= 77;
		wrong.nonce = fresh_nonce(s);
		s->source.addr.b[3] ^= 77;
		for (unsigned n = 0; n < 40; n++) {
			assert_status(stage_send(s, registration_of(&wrong)), 401);
			assert_int_equal(stage_rc(s), AUTH_STALE_NONCE);
		}
		assert_int_equal(auth_counter(s->auth, AUTH_COUNTER_WRONG), 0);
		right.nonce = fresh_nonce(s);
		assert_status(stage_send(s, registration_of(&right)), 200);
		stage_close(s);
	}
}

/* ---- texts ---- */

static void sql_in_a_text_is_text(void **state)
{
	static const char *const names[] = {"alice' OR '1'='1", "alice'--",
		"alice';DROP TABLE subscriber;--", "%", "_____", "alice\\\\",
		"' UNION SELECT 'a','b','c','d' --", "?", "$1", "\x01", "alice\xc3\xa9",
		"al\\\"ice"};
	struct stage *s = stage_open("modparam(\"auth_db\", \"use_domain\", 1)\n", REGISTERS);
	const char *nonce = fresh_nonce(s);
	struct client c = {.qop = "auth", .nc = 1, .nonce = nonce};
	char name[128];

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		c.said_user = names[i];
		if (names[i][0] == '\x01')
			refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_MALFORMED);
		else
			refused(s, registration_of(&c), AUTH_USER_UNKNOWN, AUTH_COUNTER_UNKNOWN);
		snprintf(name, sizeof(name), "alice@%s", names[i]);
		c.said_user = name;
		if (names[i][0] == '\x01')
			refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_MALFORMED);
		else
			refused(s, registration_of(&c), AUTH_USER_UNKNOWN, AUTH_COUNTER_UNKNOWN);
	}
	c.said_user = NULL;
	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_close(s);
}

static bool take_number(void *arg, const struct db_value *value, unsigned columns)
{
	*(int64_t *)arg = value[0].i;
	return true;
}

/* Rows of all tables, by a connection of its own. */
static int64_t rows_of_all(struct stage *s)
{
	struct db_statement statement = {
		.text = "SELECT (SELECT COUNT(*) FROM subscriber) + (SELECT COUNT(*) FROM grp) + "
			"(SELECT COUNT(*) FROM uri) + (SELECT COUNT(*) FROM dbaliases)",
		.columns = "i",
		.ttl_s = 1,
		.negative_ttl_s = 1};
	char error[256], call[64];
	int n = db_statement(s->db, s->database, &statement, error, sizeof(error)),
	    len = n >= 0 ? db_pack(s->db, call, sizeof(call), 0, (unsigned)n, NULL, 0) : -1;
	int64_t rows = 0;

	assert_true(len > 0);
	if (db_now(s->db, str_of(call, (size_t)len), take_number, &rows, NULL, error,
		    sizeof(error)) != DB_DONE)
		fail_msg("%s", error);
	return rows;
}

/*
 * What a message carries reaches databases from the credentials, From, To, the Request-URI and
 * header lines that a script looks at. Each field in its turn has each text; whoever made SQL of
 * one would find somebody, lose a table or be refused by the database.
 */
static void sql_in_each_field_is_text(void **state)
{
	static const char *const texts[] = {"x'%20OR%20'1'='1", "x'--",
		"x';DROP%20TABLE%20subscriber;--", "alice'%20--", "x'/**/OR/**/'1'='1",
		"alice'%3B--", "%25", "_____", "alice'%7C%7C'", "$1", "x'or'1'='1"};
	static const char script[] =
		"\tif (www_authorize(\"example.com\", \"subscriber\")) "
		"sl_send_reply(\"200\", \"OK\");\n"
		"\telse if (is_user_in(\"From\", \"local\")) sl_send_reply(\"201\", \"OK\");\n"
		"\telse if (is_user_in(\"To\", $hdr(Subject))) sl_send_reply(\"202\", \"OK\");\n"
		"\telse if (is_user_in($hdr(Subject), \"local\")) sl_send_reply(\"203\", \"OK\");\n"
		"\telse if (is_subscriber($fu, \"subscriber\", \"1\")) "
		"sl_send_reply(\"204\", \"OK\");\n"
		"\telse if (does_uri_exist()) sl_send_reply(\"205\", \"OK\");\n"
		"\telse if (alias_db_lookup(\"dbaliases\")) sl_send_reply(\"206\", \"OK\");\n"
		"\telse sl_send_reply(\"404\", \"Nobody\");";
	struct stage *s = stage_open("modparam(\"auth_db\", \"use_domain\", 1)\n"
				     "modparam(\"group\", \"use_domain\", 1)\n"
				     "modparam(\"alias_db\", \"use_domain\", 1)\n",
		REGISTERS);
	const char *nonce = fresh_nonce(s);
	int64_t rows = rows_of_all(s);

	if (!stage_load(s,
		    "modparam(\"auth_db\", \"use_domain\", 1)\n"
		    "modparam(\"group\", \"use_domain\", 1)\n"
		    "modparam(\"alias_db\", \"use_domain\", 1)\n",
		    script))
		fail_msg("%s", s->said);
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (unsigned field = 0; field < 9; field++) {
			const char *text = texts[i], *none = "nobody";
			struct client c = {.user = field == 0 ? text : none,
				.password = "x",
				.cnonce = field == 1 ? text : "c",
				.said_uri = field == 2 ? text : REGISTRAR,
				.said_response = field == 3 ? text : NULL,
				.qop = "auth",
				.nc = 1,
				.nonce = field == 4 ? text : nonce};
			char message[4096];

			snprintf(message, sizeof(message),
				"REGISTER sip:%s@example.com SIP/2.0\n"
				"Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKsql%u\n"
				"Max-Forwards: 70\nFrom: <sip:%s@example.com>;tag=f1\n"
				"To: <sip:%s@example.com>\nCall-ID: sql\nCSeq: 1 REGISTER\n"
				"Subject: %s\nAuthorization: %s\nContent-Length: 0\n\n",
				field == 5 ? text : none, i, field == 6 ? text : none,
				field == 7 ? text : none, field == 8 ? text : none,
				credentials(&c));
			if (status(stage_send(s, message)) != 404)
				fail_msg("%.12s: %s", s->reply, message);
		}
	}
	/* Who is there is found by the same script. */
	assert_status(stage_send(s, registration("")), 201);
	/* Nor did any of it cost a row, or fail. */
	assert_int_equal(rows_of_all(s), rows);
	assert_int_equal(auth_counter(s->auth, AUTH_COUNTER_NO_ANSWER), 0);
	assert_int_equal(db_counter(s->db, DB_COUNTER_REFUSED), 0);
	assert_int_equal(auth_counter(s->auth, AUTH_COUNTER_ACCEPTED), 0);
	stage_close(s);
}

static void what_exceeds_a_bound_is_refused(void **state)
{
	static char longest[70000], line[80000];
	struct stage *s = stage_open("", REGISTERS);
	const char *nonce = fresh_nonce(s);
	struct client c = {.qop = "auth", .nc = 1, .nonce = nonce};

	memset(longest, 'x', AUTH_USER_MAX + 1);
	c.said_user = longest;
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_MALFORMED);
	longest[AUTH_USER_MAX] = '\0';
	refused(s, registration_of(&c), AUTH_USER_UNKNOWN, AUTH_COUNTER_UNKNOWN);
	c = (struct client){.qop = "auth", .nc = 1, .nonce = nonce, .cnonce = longest};
	assert_status(stage_send(s, registration_of(&c)), 200);
	longest[AUTH_USER_MAX] = 'x';
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_MALFORMED);
	c = (struct client){.qop = "auth", .nc = 1, .nonce = nonce, .said_user = ""};
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_MALFORMED);
	c.said_user = "@example.com";
	refused(s, registration_of(&c), AUTH_ERROR, AUTH_COUNTER_MALFORMED);
	/* 60 kB of nonce. */
	memset(longest, 'n', 60000);
	longest[60000] = '\0';
	snprintf(line, sizeof(line),
		"REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKl\n"
		"Max-Forwards: 70\nFrom: <sip:alice@example.com>;tag=f1\n"
		"To: <sip:alice@example.com>\nCall-ID: c1\nCSeq: 1 REGISTER\n"
		"Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"%s\", "
		"uri=\"sip:example.com\", response=\"r\"\nContent-Length: 0\n\n",
		longest);
	refused(s, line, AUTH_STALE_NONCE, AUTH_COUNTER_FORGED);
	stage_close(s);
}

static void a_response_is_compared_whole(void **state)
{
	struct stage *s = stage_open("", REGISTERS);
	struct client c = {.qop = "auth", .nc = 1, .nonce = fresh_nonce(s)},
		      whole = {.user = "alice",
			      .password = "secret",
			      .realm = "example.com",
			      .uri = REGISTRAR,
			      .method = "REGISTER",
			      .cnonce = "0a4f113b",
			      .qop = "auth",
			      .nc = 1,
			      .nonce = c.nonce};
	char said[140];

	client_response(&whole, said);
	c.said_response = said;
	said[31] ^= 1;
	refused(s, registration_of(&c), AUTH_WRONG_PASSWORD, AUTH_COUNTER_WRONG);
	said[31] ^= 1;
	strcpy(said + 32, "0");
	refused(s, registration_of(&c), AUTH_WRONG_PASSWORD, AUTH_COUNTER_WRONG);
	said[31] = '\0';
	refused(s, registration_of(&c), AUTH_WRONG_PASSWORD, AUTH_COUNTER_WRONG);
	c.said_response = "";
	refused(s, registration_of(&c), AUTH_WRONG_PASSWORD, AUTH_COUNTER_WRONG);
	/* In capitals it is the same number. */
	client_response(&whole, said);
	for (char *p = said; *p != '\0'; p++)
		*p = *p >= 'a' ? (char)(*p - 32) : *p;
	c.said_response = said;
	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_close(s);
}

/* ---- a database that fails ---- */

/* No challenge, which would have the phone ask for a password. */
static void unanswered(struct stage *s, const char *message)
{
	uint64_t before = auth_counter(s->auth, AUTH_COUNTER_NO_ANSWER),
		 challenges = auth_counter(s->auth, AUTH_COUNTER_CHALLENGES);
	const char *reply = stage_send(s, message);

	assert_status(reply, 503);
	assert_int_equal(stage_rc(s), AUTH_ERROR);
	assert_null(line_at(reply, "WWW-Authenticate", 0));
	assert_null(line_at(reply, "Retry-After", 0));
	assert_int_equal(auth_counter(s->auth, AUTH_COUNTER_NO_ANSWER), before + 1);
	assert_int_equal(auth_counter(s->auth, AUTH_COUNTER_CHALLENGES), challenges);
}

static void without_an_answer_nobody_comes_in(void **state)
{
	struct stage *s = stage_open("", REGISTERS);
	struct client c = {.qop = "auth", .nc = 1, .nonce = fresh_nonce(s)};

	s->dead = true;
	unanswered(s, registration_of(&c));
	assert_int_equal(s->waits, 1);
	/* Who has no credentials is asked for them. */
	refused(s, registration(""), AUTH_NO_CREDENTIALS, AUTH_COUNTER_NONE);
	s->dead = false;
	assert_status(stage_send(s, registration_of(&c)), 200);
	/* What is known serves on. */
	s->dead = true;
	c.nc = 2;
	assert_status(stage_send(s, registration_of(&c)), 200);
	/* A table that is not there. */
	s->dead = false;
	assert_true(stage_load(s, "",
		"\tif (!www_authorize(\"example.com\", \"missing\")) {\n"
		"\t\t$var(rc) = $rc;\n\t\twww_challenge(\"example.com\", \"1\");\n\t\texit;\n\t}\n"
		"\tsl_send_reply(\"200\", \"OK\");"));
	c.nc = 3;
	unanswered(s, registration_of(&c));
	/* A script that makes its own replies. */
	s->dead = true;
	stage_forget_rows(s);
	assert_true(stage_load(s, "",
		"\tif (!www_authorize(\"example.com\", \"subscriber\")) {\n"
		"\t\twww_challenge(\"example.com\", \"5\");\n\t\t$var(rc) = $rc;\n"
		"\t\tsl_send_reply(\"480\", \"Later\");\n\t}"));
	c.nc = 4;
	assert_status(stage_send(s, registration_of(&c)), 480);
	assert_int_equal(stage_rc(s), -2);
	stage_close(s);
}

/* A user a row, who sends an empty password: `columns` are the password's and ha1's. */
static void nobody_comes_in(struct stage *s, const char *const *columns, unsigned count)
{
	char sql[256], user[16];

	for (unsigned i = 0; i < count; i++) {
		struct client c = {.qop = "auth", .nc = 1, .user = user, .password = ""};

		snprintf(user, sizeof(user), "u%u", i);
		snprintf(sql, sizeof(sql),
			"INSERT INTO subscriber VALUES ('%s', 'example.com', %s, '', '', '', '')",
			user, columns[i]);
		stage_sql(s, sql);
		c.nonce = fresh_nonce(s);
		assert_status(stage_send(s, registration_of(&c)), 401);
		assert_int_equal(stage_rc(s), AUTH_WRONG_PASSWORD);
	}
	stage_close(s);
}

static void a_hash_that_is_none_lets_nobody_in(void **state)
{
	static const char *const columns[] = {"'', ''", "'', NULL", "'', 'short'",
		"'', '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'"};

	nobody_comes_in(stage_open("", REGISTERS), columns, sizeof(columns) / sizeof(columns[0]));
}

/* Where passwords are kept in the clear, an empty column is none: siplanectl leaves it so. */
static void an_empty_password_lets_nobody_in(void **state)
{
	static const char *const columns[] = {"'', ''", "NULL, ''"};

	nobody_comes_in(stage_open("modparam(\"auth_db\", \"calculate_ha1\", 1)\n"
				   "modparam(\"auth_db\", \"password_column\", \"password\")\n",
				REGISTERS),
		columns, sizeof(columns) / sizeof(columns[0]));
}

/* ... but whom siplanectl has added beside those of others comes in by his hash. */
static void without_a_clear_password_a_hash_is_one(void **state)
{
	struct stage *s = stage_open("modparam(\"auth_db\", \"calculate_ha1\", 1)\n"
				     "modparam(\"auth_db\", \"password_column\", \"password\")\n",
		REGISTERS);
	struct client c = {.qop = "auth", .nc = 1, .user = "erin"};

	stage_sql(s, "INSERT INTO subscriber SELECT 'erin', domain, '', ha1, ha1b, ha1_sha256, "
		     "ha1_sha512t256, '' FROM subscriber WHERE username = 'alice'");
	c.nonce = fresh_nonce(s);
	/* It is alice's: of another name. */
	assert_status(stage_send(s, registration_of(&c)), 401);
	assert_int_equal(stage_rc(s), AUTH_WRONG_PASSWORD);
	stage_sql(s, "UPDATE subscriber SET password = '' WHERE username = 'alice'");
	stage_forget_rows(s);
	c.user = "alice";
	c.nonce = fresh_nonce(s);
	assert_status(stage_send(s, registration_of(&c)), 200);
	c.user = "alice@example.com";
	c.nc = 2;
	assert_status(stage_send(s, registration_of(&c)), 200);
	c.password = "wrong";
	c.nc = 3;
	assert_status(stage_send(s, registration_of(&c)), 401);
	assert_int_equal(stage_rc(s), AUTH_WRONG_PASSWORD);
	/* A table without hashes serves as it is. */
	stage_sql(s, "ALTER TABLE subscriber DROP COLUMN ha1b");
	stage_sql(s, "UPDATE subscriber SET password = 'clear' WHERE username = 'alice'");
	stage_forget_rows(s);
	c = (struct client){.qop = "auth", .nc = 1, .password = "clear", .nonce = fresh_nonce(s)};
	assert_status(stage_send(s, registration_of(&c)), 200);
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forged_nonce_is_stale),
		cmocka_unit_test(an_old_nonce_and_one_of_the_future_are_stale),
		cmocka_unit_test(a_nonce_is_of_its_realm),
		cmocka_unit_test(a_nonce_may_be_bound_to_its_request),
		cmocka_unit_test(nodes_of_a_group_know_each_others_nonces),
		cmocka_unit_test(a_secret_in_the_script_makes_a_group_too),
		cmocka_unit_test(a_restart_forgets_no_count),
		cmocka_unit_test(a_replay_is_stale),
		cmocka_unit_test(counts_are_eight_digits_from_one),
		cmocka_unit_test(a_one_time_nonce_is_good_once),
		cmocka_unit_test(what_was_not_offered_is_refused),
		cmocka_unit_test(credentials_are_of_their_user_method_and_uri),
		cmocka_unit_test(nobody_and_a_wrong_password_look_the_same),
		cmocka_unit_test(a_source_has_so_many_wrong_passwords),
		cmocka_unit_test(nobody_guesses_in_another_ones_name),
		cmocka_unit_test(sql_in_a_text_is_text),
		cmocka_unit_test(sql_in_each_field_is_text),
		cmocka_unit_test(what_exceeds_a_bound_is_refused),
		cmocka_unit_test(a_response_is_compared_whole),
		cmocka_unit_test(without_an_answer_nobody_comes_in),
		cmocka_unit_test(a_hash_that_is_none_lets_nobody_in),
		cmocka_unit_test(an_empty_password_lets_nobody_in),
		cmocka_unit_test(without_a_clear_password_a_hash_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
