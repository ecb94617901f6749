/* SPDX-License-Identifier: BSD-3-Clause */
#include "../message.h"
#include "../script.h"
#include "common.h"

#include <unistd.h>

static struct net_endpoint endpoint(const char *addr, uint16_t port)
{
	struct net_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	assert_int_equal(net_addr_parse(str_c(addr), &ep.addr), 0);
	ep.port = port;
	return ep;
}

static void open_proxy(struct stage *s)
{
	static struct proxy_alias alias = {.host = "example.com"};
	struct proxy_config config = {.listener = s->listener,
		.listeners = 3,
		.alias = &alias,
		.aliases = 1,
		.require_token = true};
	static const struct {
		const char *addr;
		uint16_t port;
	} at[] = {{"192.0.2.1", 5060}, {"192.0.2.1", 5070}, {"2001:db8::1", 5060}};
	char error[256];

	s->proxy = proxy_create(&s->rcu, NULL);
	assert_non_null(s->proxy);
	assert_int_equal(proxy_secret_load(s->proxy, NULL, error, sizeof(error)), 0);
	for (unsigned i = 0; i < 3; i++) {
		s->listener[i].ep = endpoint(at[i].addr, at[i].port);
		s->listener[i].transport = SIP_TRANSPORT_UDP;
	}
	assert_int_equal(proxy_configure(s->proxy, &config), 0);
}

static struct route_ctx *new_context(void)
{
	struct route_ctx *ctx = aligned_alloc(64, (sizeof(*ctx) + 63) & ~(size_t)63);

	assert_non_null(ctx);
	memset(ctx, 0, sizeof(*ctx));
	return ctx;
}

static struct stage *open_stage(
	const char *params, const char *body, unsigned shards, uint32_t pins, const char *db_url)
{
	struct stage *s = calloc(1, sizeof(*s));
	struct location_config location = {.shards = shards, .contacts = 4096};
	struct registrar_config config;
	char error[256];

	assert_non_null(s);
	rcu_init(&s->rcu);
	open_proxy(s);
	s->location = location_create(&location, error, sizeof(error));
	if (s->location == NULL)
		fail_msg("%s", error);
	if (db_url != NULL) {
		const struct db_config db = {.threads = 1};

		s->db = db_create(&db, error, sizeof(error));
		assert_non_null(s->db);
		assert_int_equal(db_set_default(s->db, db_url), 0);
	}
	config = (struct registrar_config){.location = s->location,
		.proxy = s->proxy,
		.rcu = &s->rcu,
		.db = s->db,
		.pins = pins};
	s->registrar = registrar_create(&config);
	assert_non_null(s->registrar);
	route_registry_init(&s->registry);
	proxy_hooks(s->proxy, &s->registry.hooks);
	assert_int_equal(proxy_register(s->proxy, &s->registry), 0);
	assert_int_equal(registrar_register(s->registrar, &s->registry), 0);
	assert_int_equal(route_thread_init(&s->thread, 0), 0);
	s->thread.has_state = true;
	s->thread.now_ns = 1000 * CLOCK_NS_PER_S;
	s->ctx = new_context();
	s->source = endpoint("198.51.100.7", 5060);
	if (!stage_load(s, params, body))
		fail_msg("%s", s->said);
	return s;
}

struct stage *stage_open_shards(const char *params, const char *body, unsigned shards)
{
	return open_stage(params, body, shards, 0, NULL);
}

struct stage *stage_open_db(const char *params, const char *body, const char *url)
{
	return open_stage(params, body, 1, 0, url);
}

struct stage *stage_open_pins(const char *params, const char *body, uint32_t pins)
{
	return open_stage(params, body, 1, pins, NULL);
}

struct stage *stage_open(const char *params, const char *body)
{
	return open_stage(params, body, 1, 0, NULL);
}

void stage_close(struct stage *s)
{
	route_script_unref(s->script);
	route_thread_fini(&s->thread);
	rcu_reclaim(&s->rcu);
	registrar_destroy(s->registrar);
	if (s->db != NULL)
		db_destroy(s->db);
	location_destroy(s->location);
	proxy_destroy(s->proxy);
	rcu_reclaim(&s->rcu);
	free(s->ctx);
	free(s->buf);
	free(s);
}

bool stage_load(struct stage *s, const char *params, const char *body)
{
	char text[8192];
	int n = snprintf(text, sizeof(text),
		"loadmodule \"sl.so\"\nloadmodule \"usrloc.so\"\nloadmodule \"registrar.so\"\n"
		"loadmodule \"pv.so\"\nloadmodule \"textops.so\"\n%s\nrequest_route {\n%s\n}\n"
		"reply_route {\n\tsave(\"location\");\n}\n",
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

/* The tag is another one in each process. */
static void mask_tag(char *text)
{
	char *to = strstr(text, "\r\nTo: "), *tag, *end;

	if (to == NULL)
		return;
	end = strstr(to + 2, "\r\n");
	tag = strstr(to, ";tag=");
	if (tag == NULL || end == NULL || tag > end || end - tag != 5 + 12)
		return;
	tag[5] = 'T';
	memmove(tag + 6, end, strlen(end) + 1);
}

static void change_done(void *arg, enum db_result result, const struct db_rows *rows)
{
	*(enum route_answer *)arg = result == DB_DONE      ? ROUTE_ANSWER_DONE
				    : result == DB_REFUSED ? ROUTE_ANSWER_REFUSED
							   : ROUTE_ANSWER_FAILED;
}

struct asking {
	struct route_ctx *ctx;
	enum route_answer answer;
};

static void rows_done(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct asking *a = arg;
	uint32_t size;
	char *room;

	change_done(&a->answer, result, rows);
	if (result == DB_DONE) {
		room = route_answer_room(a->ctx, &size);
		route_answer_rows(a->ctx, db_rows_pack(rows, room, size));
		a->answer = (enum route_answer)a->ctx->answer;
	} else if (result == DB_TOO_LONG) {
		a->answer = ROUTE_ANSWER_TOO_LONG;
	}
}

static void rest(struct stage *s)
{
	if (db_poll(s->db, clock_now_ns()) == 0)
		usleep(50);
}

/* As the pipeline does with a message that waits for rows, or for its turn. */
static void wait_for_rows(struct stage *s)
{
	struct asking a = {.ctx = s->ctx};

	if (s->ctx->wait_for == ROUTE_WAIT_TURN) {
		s->turns++;
		s->thread.now_ns += 10 * CLOCK_NS_PER_MS;
		a.answer = ROUTE_ANSWER_DONE;
	} else {
		s->asks++;
		assert_int_equal(
			db_ask(s->db, route_text_str(s->ctx, s->ctx->wait), rows_done, &a), 0);
	}
	while (a.answer == ROUTE_ANSWER_NONE)
		rest(s);
	route_answer_set(s->ctx, a.answer);
	s->verdict = route_resume(s->ctx);
}

/* As the pipeline does with a message that waits for a change. */
static void wait_for_changes(struct stage *s)
{
	struct route_ctx *ctx = s->ctx;

	s->asks = s->turns = 0;
	for (s->waits = 0;
		s->verdict == ROUTE_WAIT && ctx->wait_for != ROUTE_WAIT_NAME && !s->nobody_waits;) {
		enum route_answer answer = ROUTE_ANSWER_NONE;
		struct str calls = route_text_str(ctx, ctx->wait);

		if (ctx->wait_for != ROUTE_WAIT_CHANGE) {
			wait_for_rows(s);
			continue;
		}
		if (s->holds_changes)
			return;
		s->waits++;
		assert_int_equal(db_change(s->db, calls, change_done, &answer), 0);
		/* With a rest: under valgrind one thread runs at a time, and this is not the one.
		 */
		while (answer == ROUTE_ANSWER_NONE)
			rest(s);
		route_answer_set(ctx, s->deaf ? ROUTE_ANSWER_FAILED : answer);
		s->verdict = route_resume(ctx);
	}
}

/* What the message that was run is answered with. */
static const char *reply_of(struct stage *s)
{
	struct proxy_out to;
	int64_t n;

	if (s->verdict != ROUTE_ENDED || !s->ctx->result.reply)
		return NULL;
	n = proxy_reply_write(s->proxy, s->ctx, s->reply, sizeof(s->reply) - 1, &to);
	if (n <= 0)
		return NULL;
	s->reply[n] = '\0';
	mask_tag(s->reply);
	return s->reply;
}

void stage_suspend(struct stage *s, struct stage_waiting *w)
{
	assert_int_equal(s->verdict, ROUTE_WAIT);
	*w = (struct stage_waiting){s->ctx, s->buf};
	s->ctx = new_context();
	s->buf = NULL;
}

const char *stage_resume(struct stage *s, struct stage_waiting *w)
{
	free(s->ctx);
	free(s->buf);
	s->ctx = w->ctx;
	s->buf = w->buf;
	route_ctx_bind(s->ctx, s->script, &s->thread, s->buf);
	s->verdict = ROUTE_WAIT;
	wait_for_changes(s);
	return reply_of(s);
}

const char *stage_send_bytes(struct stage *s, const void *bytes, uint32_t len)
{
	struct route_ctx *ctx = s->ctx;

	free(s->buf);
	s->buf = malloc(len != 0 ? len : 1);
	assert_non_null(s->buf);
	memcpy(s->buf, bytes, len);
	s->len = len;
	memset(&ctx->origin, 0, sizeof(ctx->origin));
	ctx->origin.src = s->source;
	ctx->origin.dst = s->listener[s->at].ep;
	ctx->origin.transport = SIP_TRANSPORT_UDP;
	ctx->origin.listener = (uint16_t)s->at;
	route_ctx_bind(ctx, s->script, &s->thread, s->buf);
	s->error = sip_msg_index(&ctx->msg, s->buf, len);
	if (s->error == SIP_OK)
		s->error = sip_msg_check(&ctx->msg, s->buf);
	if (s->error == SIP_ERROR_URI_SCHEME)
		s->error = SIP_OK;
	route_ctx_reset(ctx);
	if (s->error != SIP_OK)
		return NULL;
	/* As workers do and, for REGISTERs, slow lcores; here now and then one comes unannounced.
	 */
	if ((registrar_looks(s->registrar) ||
		    (ctx->msg.method == SIP_METHOD_REGISTER && s->sends % 3 != 0)) &&
		registrar_bring(s->registrar, ctx, &s->brought))
		registrar_bring_record(s->registrar, &s->brought);
	s->sends++;
	s->verdict = route_run(ctx);
	wait_for_changes(s);
	return reply_of(s);
}

const char *stage_send(struct stage *s, const char *text)
{
	uint32_t len;
	char *crlf = message_wire(text, &len);
	const char *reply = stage_send_bytes(s, crlf, len);

	free(crlf);
	return reply;
}

const char *const users_of_all_kinds[] = {
	"sip:Alice@Example.COM",
	"sip:sip.example.com",
	"sip:sip.sip.example.com",
	"sip:bob@sip.sip.example.com",
	"sips:[2001:DB8::1]",
	"sip:alice@[2001:db8::1]",
	"sip:alice@192.0.2.1:5070",
	"sip:192.0.2.1",
	"tel:+49-30-1234567",
	"tel:7042;phone-context=example.com",
	"tel:a:b",
	"sip:a%40b@example.com",
	"sip:a%3Ab:secret@example.com",
	"sip:%2541%2F@example.com",
	"sip:;x=1?y&z$@example.com",
	"sip:gr%C3%BC%C3%9F@example.com",
	NULL,
};

static const char *registration_of(
	const char *uri, const char *call_id, unsigned cseq, const char *lines)
{
	static char ring[8][70000];
	static unsigned at;
	char *out = ring[at++ % 8];

	snprintf(out, sizeof(ring[0]),
		"REGISTER sip:example.com SIP/2.0\n"
		"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK%s-%u\n"
		"Max-Forwards: 70\n"
		"From: <sip:alice@example.com>;tag=f1\n"
		"To: <%s>\n"
		"Call-ID: %s\n"
		"CSeq: %u REGISTER\n"
		"%s"
		"Content-Length: 0\n\n",
		call_id, cseq, uri, call_id, cseq, lines);
	return out;
}

const char *registration(const char *call_id, unsigned cseq, const char *lines)
{
	return registration_of("sip:alice@example.com", call_id, cseq, lines);
}

const char *request(const char *method, const char *uri)
{
	static char out[4096];
	static unsigned transaction;

	snprintf(out, sizeof(out),
		"%s %s SIP/2.0\n"
		"Via: SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bKq%u\n"
		"Max-Forwards: 70\n"
		"From: <sip:bob@example.com>;tag=f2\n"
		"To: <sip:alice@example.com>\n"
		"Call-ID: call-1\n"
		"CSeq: 1 %s\n"
		"Content-Length: 0\n\n",
		method, uri, ++transaction, method);
	return out;
}

const char *send_registration(
	struct stage *s, const char *call_id, unsigned cseq, const char *lines)
{
	return stage_send(s, registration(call_id, cseq, lines));
}

const char *send_registration_of(
	struct stage *s, const char *uri, const char *call_id, unsigned cseq, const char *lines)
{
	return stage_send(s, registration_of(uri, call_id, cseq, lines));
}

const char *line(const char *text, const char *name)
{
	static char ring[16][16384];
	static unsigned at;
	struct str value = message_value(text, name, 0);
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

const char *registered_contacts(struct stage *s)
{
	const char *reply = send_registration(s, "fetch", 1, ""), *contact;

	assert_status(reply, 200);
	contact = line(reply, "Contact");
	return contact != NULL ? contact : "";
}

void assert_refused(const char *reply, int code, const char *why)
{
	const char *said;

	assert_non_null(reply);
	said = line(reply, "P-Registrar-Error");
	if (status(reply) != code || said == NULL || strcmp(said, why) != 0)
		fail_msg("not %d '%s' but\n%s", code, why, reply);
}

void assert_contact(const char *reply, const char *contact)
{
	const char *said;

	assert_non_null(reply);
	said = line(reply, "Contact");
	if (status(reply) != 200 || said == NULL || strcmp(said, contact) != 0)
		fail_msg("not a 200 with Contact '%s' but\n%s", contact, reply);
}
