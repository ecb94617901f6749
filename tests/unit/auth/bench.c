/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the functions of this room cost, for counting instructions:
 *
 *	valgrind --tool=callgrind --toggle-collect=route_run bench_auth md5 1000
 *
 * REGISTERs of users whose rows are known: right credentials by md5, sha256 or sha512; challenge:
 * none, which are answered 401 (the reply is not written); wrong: of another password. Each has a
 * nonce of its own, or with "again" behind it the count of one goes on. Without valgrind it prints
 * nanoseconds.
 */
#include "common.h"

#define USERS 200
#define ROUNDS_MAX 20000

struct message {
	char text[1400];
	uint32_t len;
	struct sip_msg msg;
};

static struct message *message;

static void make(struct message *m, unsigned n, const char *authorization)
{
	unsigned user = n % USERS;

	m->len = (uint32_t)snprintf(m->text, sizeof(m->text),
		"REGISTER sip:example.com SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 198.51.100.7:5060;rport;branch=z9hG4bK-524287-1---0123456789ab-"
		"%u\r\n"
		"Max-Forwards: 70\r\n"
		"Contact: <sip:user%06u@198.51.100.7:5060>\r\n"
		"To: <sip:user%06u@example.com>\r\n"
		"From: <sip:user%06u@example.com>;tag=8f3a2b1c\r\n"
		"Call-ID: 84381MTc2NDMwOTg4ZWU0-%u\r\n"
		"CSeq: 2 REGISTER\r\n"
		"Expires: 3600\r\n"
		"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE\r\n"
		"User-Agent: siplane bench 1.0 on a phone\r\n"
		"%sContent-Length: 0\r\n\r\n",
		n, user, user, user, n, authorization);
	assert_true(m->len < sizeof(m->text));
	assert_int_equal(sip_msg_index(&m->msg, m->text, m->len), SIP_OK);
	assert_int_equal(sip_msg_check(&m->msg, m->text), SIP_OK);
}

/* Users with their hashes, in one statement that is asked again and again. */
static void add_users(struct stage *s)
{
	struct db_statement statement = {
		.text = "INSERT INTO subscriber VALUES (?, 'example.com', '', ?, '', ?, ?, '')",
		.params = 4};
	char error[256], call[1024];
	int number = db_statement(s->db, s->database, &statement, error, sizeof(error)), len;

	assert_true(number >= 0);
	for (unsigned i = 0; i < USERS; i++) {
		char user[16], hash[AUTH_ALGORITHMS][AUTH_HEX_MAX];
		struct db_value value[1 + AUTH_ALGORITHMS];

		snprintf(user, sizeof(user), "user%06u", i);
		value[0] = db_text(str_c(user));
		for (int a = 0; a < AUTH_ALGORITHMS; a++)
			value[1 + a] = db_text(
				str_of(hash[a], auth_ha1((enum auth_algorithm)a, str_c(user),
							STR("example.com"), STR("pw"), hash[a])));
		len = db_pack(s->db, call, sizeof(call), 0, (unsigned)number, value, 4);
		assert_true(len > 0);
		if (db_now(s->db, str_of(call, (size_t)len), NULL, NULL, NULL, error,
			    sizeof(error)) != DB_DONE)
			fail_msg("%s", error);
	}
}

static void run(struct stage *s, struct message *m)
{
	s->ctx->msg = m->msg;
	route_ctx_bind(s->ctx, s->script, &s->thread, m->text);
	route_ctx_reset(s->ctx);
	s->ctx->origin.src = s->source;
	if (route_run(s->ctx) != ROUTE_ENDED)
		fail_msg("%s", m->text);
}

static void make_authorized(struct stage *s, struct message *m, unsigned n, const char *nonce,
	unsigned nc, const char *what)
{
	bool sha256 = strcmp(what, "sha256") == 0, sha512 = strcmp(what, "sha512") == 0;
	char user[16], line[1024];
	struct client c = {.user = user,
		.password = strcmp(what, "wrong") == 0 ? "px" : "pw",
		.nonce = nonce,
		.qop = "auth",
		.nc = nc,
		.algorithm = sha256   ? "SHA-256"
			     : sha512 ? "SHA-512-256"
				      : "MD5"};

	snprintf(user, sizeof(user), "user%06u", n % USERS);
	snprintf(line, sizeof(line), "Authorization: %s\r\n", credentials(&c));
	make(m, n, line);
}

#define SCRIPT \
	"\twww_authorize(\"example.com\", \"subscriber\");\n\t$var(rc) = $rc;\n" \
	"\tif ($rc < 0) www_challenge(\"example.com\", \"1\");"

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "md5";
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 1000;
	bool again = argc > 3, challenge = strcmp(what, "challenge") == 0,
	     wrong = strcmp(what, "wrong") == 0;
	struct stage *s;
	uint64_t before;
	char nonce[64];

	message = calloc(rounds, sizeof(*message));
	if (message == NULL || rounds > ROUNDS_MAX || (again && rounds > 60000))
		return 1;
	s = stage_open("modparam(\"auth\", \"algorithm\", \"MD5,SHA-256,SHA-512-256\")\n",
		"\twww_challenge(\"example.com\", \"1\");");
	add_users(s);
	for (unsigned i = 0; i < rounds; i++) {
		if (i == 0 || !again)
			snprintf(nonce, sizeof(nonce), "%s", fresh_nonce(s));
		if (challenge)
			make(&message[i], i, "");
		else
			make_authorized(
				s, &message[i], again ? 0 : i, nonce, again ? i + 1 : 1, what);
	}
	assert_true(stage_load(
		s, "modparam(\"auth\", \"algorithm\", \"MD5,SHA-256,SHA-512-256\")\n", SCRIPT));
	/* Wrong passwords leave no mark but that the rows are known. */
	for (unsigned i = 0; i < USERS; i++) {
		struct message m;

		make_authorized(s, &m, i, nonce, 1, "wrong");
		stage_send_bytes(s, m.text, m.len);
		assert_int_equal(stage_rc(s), AUTH_WRONG_PASSWORD);
	}
	before = clock_now_ns();
	for (unsigned i = 0; i < rounds; i++) {
		run(s, &message[i]);
		if (stage_rc(s) != (challenge      ? AUTH_NO_CREDENTIALS
					   : wrong ? AUTH_WRONG_PASSWORD
						   : AUTH_OK))
			fail_msg("%d: %s", stage_rc(s), message[i].text);
	}
	printf("%s: %.0f ns\n", what, (double)(clock_now_ns() - before) / rounds);
	stage_close(s);
	free(message);
	return 0;
}
