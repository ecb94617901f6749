/* SPDX-License-Identifier: BSD-3-Clause */
#include "../message.h"
#include "../script.h"
#include "common.h"

#include <openssl/evp.h>
#include <unistd.h>

/* ---- rows ---- */

static void fetched(void *arg, enum db_result result, const struct db_rows *rows)
{
	*(bool *)arg = true;
}

/* As the control thread does for a message that waits. */
static enum route_answer fetch(struct stage *s, struct str call)
{
	bool done = false;

	if (s->dead)
		return ROUTE_ANSWER_FAILED;
	assert_int_equal(db_fetch(s->db, call, fetched, &done), 0);
	while (!done) {
		db_poll(s->db, s->thread.now_ns);
		usleep(100);
	}
	return ROUTE_ANSWER_DONE;
}

void stage_forget_rows(struct stage *s)
{
	db_forget(s->db, STR_NONE);
}

void stage_sql(struct stage *s, const char *sql)
{
	struct db_statement statement = {.text = sql};
	char error[256] = "", call[256];
	int number = db_statement(s->db, s->database, &statement, error, sizeof(error)), len;

	if (number < 0)
		fail_msg("%s", error);
	len = db_pack(s->db, call, sizeof(call), 0, (unsigned)number, NULL, 0);
	assert_true(len > 0);
	if (db_now(s->db, str_of(call, (size_t)len), NULL, NULL, NULL, error, sizeof(error)) !=
		DB_DONE)
		fail_msg("%s: %s", sql, error);
}

/* ---- the stage ---- */

static struct net_endpoint endpoint(const char *addr, uint16_t port)
{
	struct net_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	assert_int_equal(net_addr_parse(str_c(addr), &ep.addr), 0);
	ep.port = port;
	return ep;
}

static void open_proxy(struct stage *s, const char *secret_file, uint16_t node)
{
	static struct proxy_alias alias = {.host = "example.com"};
	struct proxy_config config = {.listener = &s->listener,
		.listeners = 1,
		.alias = &alias,
		.aliases = 1,
		.require_token = true,
		.node = node};
	char error[256];

	s->proxy = proxy_create(&s->rcu, NULL);
	assert_non_null(s->proxy);
	if (proxy_secret_load(s->proxy, secret_file, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	s->listener.ep = endpoint("192.0.2.1", 5060);
	s->listener.transport = SIP_TRANSPORT_UDP;
	assert_int_equal(proxy_configure(s->proxy, &config), 0);
}

static void add_user(struct stage *s, const char *user, const char *password, const char *rpid)
{
	char with_domain[64], ha1[65] = "", ha1b[65] = "", sha256[65] = "", sha512[65] = "",
			      sql[1024];
	struct str realm = STR("example.com");

	snprintf(with_domain, sizeof(with_domain), "%s@example.com", user);
	assert_int_equal(auth_ha1(AUTH_MD5, str_c(user), realm, str_c(password), ha1), 32);
	assert_int_equal(auth_ha1(AUTH_MD5, str_c(with_domain), realm, str_c(password), ha1b), 32);
	assert_int_equal(auth_ha1(AUTH_SHA256, str_c(user), realm, str_c(password), sha256), 64);
	assert_int_equal(
		auth_ha1(AUTH_SHA512_256, str_c(user), realm, str_c(password), sha512), 64);
	snprintf(sql, sizeof(sql),
		"INSERT INTO subscriber VALUES ('%s', 'example.com', '%s', '%s', '%s', '%s', '%s', "
		"'%s')",
		user, password, ha1, ha1b, sha256, sha512, rpid);
	stage_sql(s, sql);
}

static void open_database(struct stage *s)
{
	struct db_config config = {.threads = 1};
	char url[256], error[256] = "";

	snprintf(s->folder, sizeof(s->folder), "/tmp/siplane-auth-XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	s->db = db_create(&config, error, sizeof(error));
	if (s->db == NULL)
		fail_msg("%s", error);
	snprintf(url, sizeof(url), "sqlite://%s/users.sqlite", s->folder);
	s->database = db_use(s->db, url, error, sizeof(error));
	if (s->database < 0)
		fail_msg("%s", error);
	stage_sql(s,
		"CREATE TABLE subscriber (username TEXT, domain TEXT, password TEXT, ha1 TEXT, "
		"ha1b TEXT, ha1_sha256 TEXT, ha1_sha512t256 TEXT, rpid TEXT)");
	add_user(s, "alice", "secret", "12345");
	add_user(s, "bob", "zanzibar", "");
	stage_sql(s, "CREATE TABLE grp (username TEXT, domain TEXT, grp TEXT)");
	stage_sql(s, "INSERT INTO grp VALUES ('alice', 'example.com', 'local')");
	stage_sql(s, "INSERT INTO grp VALUES ('alice', 'other.example', 'international')");
	stage_sql(s, "CREATE TABLE uri (username TEXT, domain TEXT, uri_user TEXT)");
	stage_sql(s, "INSERT INTO uri VALUES ('alice', 'example.com', 'sales')");
	stage_sql(s, "CREATE TABLE dbaliases (alias_username TEXT, alias_domain TEXT, "
		     "username TEXT, domain TEXT)");
	stage_sql(s, "INSERT INTO dbaliases VALUES ('100', 'example.com', 'alice', 'example.com')");
	stage_sql(s, "INSERT INTO dbaliases VALUES ('100', 'example.com', 'bob', 'example.com')");
	stage_sql(s, "INSERT INTO dbaliases VALUES ('bad', 'example.com', 'x', 'example.com;lr')");
	snprintf(url, sizeof(url), "sqlite://%s/users.sqlite", s->folder);
	assert_int_equal(auth_set_db_url(s->auth, url), 0);
}

struct stage *stage_open_node(
	const char *secret_file, uint16_t node, const char *params, const char *body)
{
	struct stage *s = calloc(1, sizeof(*s));
	struct auth_config config;

	assert_non_null(s);
	rcu_init(&s->rcu);
	open_proxy(s, secret_file, node);
	config = (struct auth_config){.proxy = s->proxy, .rcu = &s->rcu};
	s->auth = auth_create(&config);
	assert_non_null(s->auth);
	open_database(s);
	s->auth->config.db = s->db;
	route_registry_init(&s->registry);
	proxy_hooks(s->proxy, &s->registry.hooks);
	assert_int_equal(proxy_register(s->proxy, &s->registry), 0);
	assert_int_equal(auth_register(s->auth, &s->registry), 0);
	assert_int_equal(route_thread_init(&s->thread, 3), 0);
	s->thread.now_ns = 1000 * CLOCK_NS_PER_S;
	auth_tick(s->auth, s->thread.now_ns);
	s->ctx = aligned_alloc(64, (sizeof(*s->ctx) + 63) & ~(size_t)63);
	assert_non_null(s->ctx);
	memset(s->ctx, 0, sizeof(*s->ctx));
	s->source = endpoint("198.51.100.7", 5060);
	if (!stage_load(s, params, body))
		fail_msg("%s", s->said);
	return s;
}

struct stage *stage_open(const char *params, const char *body)
{
	return stage_open_node(NULL, 0, params, body);
}

void stage_close(struct stage *s)
{
	char path[128];

	route_script_unref(s->script);
	route_thread_fini(&s->thread);
	rcu_reclaim(&s->rcu);
	auth_destroy(s->auth);
	proxy_destroy(s->proxy);
	rcu_reclaim(&s->rcu);
	db_destroy(s->db);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const tails[] = {"", "-wal", "-shm"};

		snprintf(path, sizeof(path), "%s/users.sqlite%s", s->folder, tails[i]);
		unlink(path);
	}
	rmdir(s->folder);
	free(s->ctx);
	free(s->buf);
	free(s);
}

bool stage_load(struct stage *s, const char *params, const char *body)
{
	char text[8192];
	int n = snprintf(text, sizeof(text),
		"loadmodule \"sl.so\"\nloadmodule \"auth.so\"\nloadmodule \"auth_db.so\"\n"
		"loadmodule \"group.so\"\nloadmodule \"uri_db.so\"\nloadmodule \"uri.so\"\n"
		"loadmodule \"alias_db.so\"\nloadmodule \"pv.so\"\nloadmodule \"textops.so\"\n"
		"%s\nrequest_route {\n%s\n}\n",
		params, body);

	assert_true(n > 0 && n < (int)sizeof(text));
	return script_replace(
		&s->script, str_of(text, (size_t)n), &s->registry, s->said, sizeof(s->said));
}

int stage_rc(const struct stage *s)
{
	return (int)s->ctx->var[0].i;
}

void stage_pass(struct stage *s, unsigned seconds)
{
	s->thread.now_ns += seconds * CLOCK_NS_PER_S;
}

/* ---- messages ---- */

const char *stage_send_bytes(struct stage *s, const char *bytes, uint32_t len)
{
	struct route_ctx *ctx = s->ctx;
	struct proxy_out to;
	enum sip_error error;
	int64_t n;

	free(s->buf);
	s->buf = malloc(len != 0 ? len : 1);
	assert_non_null(s->buf);
	memcpy(s->buf, bytes, len);
	s->len = len;
	s->waits = 0;
	memset(&ctx->origin, 0, sizeof(ctx->origin));
	ctx->origin.src = s->source;
	ctx->origin.dst = s->listener.ep;
	ctx->origin.transport = SIP_TRANSPORT_UDP;
	route_ctx_bind(ctx, s->script, &s->thread, s->buf);
	error = sip_msg_index(&ctx->msg, s->buf, len);
	if (error == SIP_OK)
		error = sip_msg_check(&ctx->msg, s->buf);
	route_ctx_reset(ctx);
	if (error != SIP_OK && error != SIP_ERROR_URI_SCHEME)
		return NULL;
	s->verdict = route_run(ctx);
	while (s->verdict == ROUTE_WAIT) {
		assert_int_equal(ctx->wait_for, ROUTE_WAIT_ROWS);
		assert_true(++s->waits < 20);
		route_answer_set(ctx, fetch(s, route_text_str(ctx, ctx->wait)));
		s->verdict = route_resume(ctx);
	}
	if (s->verdict != ROUTE_ENDED || !ctx->result.reply)
		return NULL;
	n = proxy_reply_write(s->proxy, ctx, s->reply, sizeof(s->reply) - 1, &to);
	if (n <= 0)
		return NULL;
	s->reply[n] = '\0';
	return s->reply;
}

const char *stage_send(struct stage *s, const char *text)
{
	uint32_t len;
	char *crlf = message_wire(text, &len);
	const char *reply = stage_send_bytes(s, crlf, len);

	free(crlf);
	return reply;
}

const char *line_at(const char *text, const char *name, unsigned n)
{
	static char ring[16][4096];
	static unsigned at;
	struct str value = message_value(text, name, n);
	char *out = ring[at++ % 16];

	if (value.s == NULL)
		return NULL;
	snprintf(out, sizeof(ring[0]), "%.*s", (int)value.len, value.s);
	return out;
}

int status(const char *reply)
{
	return reply != NULL ? atoi(reply + strlen("SIP/2.0 ")) : 0;
}

const char *challenge_param(const char *challenge, const char *name)
{
	static char ring[16][512];
	static unsigned at;
	struct str all = str_c(challenge);
	struct sip_span value;
	uint32_t from = 0, scheme;

	assert_non_null(challenge);
	/* Authentication-Info has no scheme. */
	scheme = str_istarts(all, STR("Digest ")) ? 7 : 0;
	while (sip_list_next(
		challenge, (struct sip_span){scheme, all.len - scheme}, &from, &value)) {
		struct str item = sip_text(challenge, value);
		int64_t equals = str_find(item, '=');

		assert_true(equals > 0);
		if (!str_ieq(str_of(item.s, (size_t)equals), str_c(name)))
			continue;
		item = str_of(item.s + equals + 1, item.len - (uint32_t)equals - 1);
		if (item.s[0] == '"')
			item = str_of(item.s + 1, item.len - 2);
		snprintf(ring[at % 16], sizeof(ring[0]), "%.*s", STR_FMT(item));
		return ring[at++ % 16];
	}
	return NULL;
}

/* ---- the client ---- */

void libcrypto_hex(const char *algorithm, const char *text, size_t len, char out[129])
{
	uint8_t hash[64];
	unsigned bytes = 0;
	const EVP_MD *md =
		EVP_get_digestbyname(algorithm == NULL                       ? "MD5"
				     : strcmp(algorithm, "SHA-256") == 0     ? "SHA256"
				     : strcmp(algorithm, "SHA-512-256") == 0 ? "SHA512-256"
									     : algorithm);

	assert_non_null(md);
	assert_int_equal(EVP_Digest(text, len, hash, &bytes, md, NULL), 1);
	for (unsigned i = 0; i < bytes; i++)
		sprintf(out + 2 * i, "%02x", hash[i]);
}

void client_response(const struct client *c, char out[129])
{
	char a1[129], a2[129], text[8192], body[129];

	snprintf(text, sizeof(text), "%s:%s:%s", c->user, c->realm, c->password);
	libcrypto_hex(c->algorithm, text, strlen(text), a1);
	if (c->ha1 != NULL)
		snprintf(a1, sizeof(a1), "%s", c->ha1);
	if (c->session) {
		snprintf(text, sizeof(text), "%s:%s:%s", a1, c->nonce, c->cnonce);
		libcrypto_hex(c->algorithm, text, strlen(text), a1);
	}
	snprintf(text, sizeof(text), "%s:%s", c->method, c->uri);
	if (c->qop != NULL && strcmp(c->qop, "auth-int") == 0) {
		libcrypto_hex(c->algorithm, c->body, strlen(c->body), body);
		snprintf(text, sizeof(text), "%s:%s:%s", c->method, c->uri, body);
	}
	libcrypto_hex(c->algorithm, text, strlen(text), a2);
	if (c->qop != NULL)
		snprintf(text, sizeof(text), "%s:%s:%08x:%s:%s:%s", a1, c->nonce, c->nc, c->cnonce,
			c->qop, a2);
	else
		snprintf(text, sizeof(text), "%s:%s:%s", a1, c->nonce, a2);
	libcrypto_hex(c->algorithm, text, strlen(text), out);
}

const char *credentials(const struct client *given)
{
	static char ring[8][8192];
	static unsigned at;
	struct client c = *given;
	char *out = ring[at++ % 8], response[129];
	int n;

	c.user = c.user != NULL ? c.user : "alice";
	c.password = c.password != NULL ? c.password : "secret";
	c.realm = c.realm != NULL ? c.realm : "example.com";
	c.uri = c.uri != NULL ? c.uri : REGISTRAR;
	c.method = c.method != NULL ? c.method : "REGISTER";
	c.cnonce = c.cnonce != NULL ? c.cnonce : "0a4f113b";
	c.body = c.body != NULL ? c.body : "";
	client_response(&c, response);
	n = snprintf(out, sizeof(ring[0]),
		"Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", response=\"%s\"",
		c.said_user != NULL ? c.said_user : c.user,
		c.said_realm != NULL ? c.said_realm : c.realm, c.nonce,
		c.said_uri != NULL ? c.said_uri : c.uri,
		c.said_response != NULL ? c.said_response : response);
	if (c.algorithm != NULL || c.session)
		n += snprintf(out + n, sizeof(ring[0]) - (size_t)n, ", algorithm=%s%s",
			c.algorithm != NULL ? c.algorithm : "MD5", c.session ? "-sess" : "");
	if (c.qop != NULL)
		n += snprintf(
			out + n, sizeof(ring[0]) - (size_t)n, ", qop=%s, nc=%08x", c.qop, c.nc);
	if (c.qop != NULL || c.session)
		n += snprintf(out + n, sizeof(ring[0]) - (size_t)n, ", cnonce=\"%s\"", c.cnonce);
	snprintf(out + n, sizeof(ring[0]) - (size_t)n, "%s", c.more != NULL ? c.more : "");
	return out;
}

const char *request(const char *method, const char *uri, const char *branch, const char *lines)
{
	static char ring[8][16384];
	static unsigned at, transaction;
	char *out = ring[at++ % 8], own[32];

	snprintf(own, sizeof(own), "t%u", ++transaction);
	snprintf(out, sizeof(ring[0]),
		"%s %s SIP/2.0\n"
		"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK%s\n"
		"Max-Forwards: 70\n"
		"From: <sip:alice@example.com>;tag=f1\n"
		"To: <sip:%s@example.com>\n"
		"Call-ID: c1\n"
		"CSeq: 1 %s\n"
		"%sContent-Length: 0\n\n",
		method, uri, branch != NULL ? branch : own,
		strcmp(method, "REGISTER") == 0 ? "alice" : "bob", method, lines);
	return out;
}

const char *registration(const char *lines)
{
	return request("REGISTER", REGISTRAR, NULL, lines);
}

const char *registration_of(const struct client *c)
{
	static char line[8400];

	snprintf(line, sizeof(line), "Authorization: %s\n", credentials(c));
	return registration(line);
}

const char *fresh_nonce(struct stage *s)
{
	const char *reply = stage_send(s, registration("")), *challenge;

	assert_status(reply, 401);
	challenge = line_at(reply, "WWW-Authenticate", 0);
	assert_non_null(challenge);
	return challenge_param(challenge, "nonce");
}
