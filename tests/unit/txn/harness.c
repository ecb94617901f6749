/* SPDX-License-Identifier: BSD-3-Clause */
#include "../message.h"
#include "harness.h"

#define CLOCK_START_NS (10000 * CLOCK_NS_PER_S)
#define POLL_BUDGET 64
#define REST_MS 7200000 /* in which every transaction comes to its end */

/* ---- what leaves ---- */

static void *checked(void *p)
{
	assert_non_null(p);
	return p;
}

static struct sent *sent_add(struct world *w, const char *text, uint32_t len)
{
	struct sent *m;

	if (w->sents == w->sents_room) {
		w->sents_room = w->sents_room != 0 ? 2 * w->sents_room : 256;
		w->sent = checked(realloc(w->sent, w->sents_room * sizeof(*w->sent)));
	}
	m = w->sent[w->sents++] = checked(malloc(sizeof(*m)));
	*m = (struct sent){.at = now_ms(w), .len = len, .text = checked(malloc(len + 1))};
	memcpy(m->text, text, len);
	m->text[len] = 0;
	return m;
}

/* With TXN_TRACE in the environment, each message is a line. */
static void trace(const struct world *w, const char *text, const char *way)
{
	static int on = -1;

	if (on < 0)
		on = getenv("TXN_TRACE") != NULL;
	if (on)
		print_message("%8llu %s %s | %s | %s | %s\n", (unsigned long long)now_ms(w), way,
			first_line(text), header(text, "CSeq", 0), header(text, "Call-ID", 0),
			header(text, "Via", 0));
}

/* Parses what left as a peer would; the block ends where the message does. */
static void sent_parse(struct sent *m, bool lenient)
{
	static struct sip_msg msg;
	char *copy = checked(malloc(m->len));
	enum sip_error error;
	struct str method;

	memcpy(copy, m->text, m->len);
	error = sip_msg_index(&msg, copy, m->len);
	if (error == SIP_OK)
		error = sip_msg_check(&msg, copy);
	/* In a response more is looked at than in the request that it answers. */
	if (lenient && msg.is_response)
		error = SIP_OK;
	if (error != SIP_OK)
		fail_msg("what left is no good SIP: %s\n%s", sip_error_name(error), m->text);
	if (msg.len != m->len)
		fail_msg("bytes behind the body:\n%s", m->text);
	m->is_response = msg.is_response;
	m->status = msg.is_response ? msg.status : 0;
	if (sip_msg_cseq(&msg, copy)) {
		method = sip_text(copy, msg.is_response ? msg.cseq_method_text : msg.method_text);
		if (method.len < sizeof(m->method))
			memcpy(m->method, method.s, method.len);
	}
	free(copy);
}

static void leave(struct world *w, const char *text, uint32_t len, const struct proxy_out *to,
	enum sent_as as)
{
	struct sent *m;

	if (len > 8 && memcmp(text, "SIP/2.0 ", 8) == 0)
		w->responses++;
	else
		w->requests++;
	if (w->config.quiet)
		return;
	m = sent_add(w, text, len);
	m->as = as;
	m->to = to->dst;
	trace(w, m->text,
		as == SENT_OWN       ? "  own"
		: as == SENT_MESSAGE ? "  out"
		: as == SENT_REPLY   ? "reply"
				     : "state");
	assert_non_null(proxy_listener_at(w->proxy, to->listener));
	sent_parse(m, w->config.unobserved);
	if (!w->config.unobserved)
		observe_out(w->observer, m);
}

static char *sender_begin(void *arg, uint32_t room)
{
	struct shard *shard = arg;
	struct world *w = shard->w;

	assert_null(w->begun);
	assert_true(room > 0);
	if (w->refuse_begin || (w->lose != NULL && w->lose(w))) {
		w->refused_begin = true;
		return NULL;
	}
	w->begun = checked(malloc(room));
	w->begun_room = room;
	return w->begun;
}

static void sender_end(void *arg, uint32_t len, const struct proxy_out *to, enum txn_kind kind)
{
	struct shard *shard = arg;
	struct world *w = shard->w;
	char *text = w->begun;

	assert_non_null(text);
	assert_true(len <= w->begun_room);
	w->begun = NULL;
	if (len != 0) {
		if (kind != TXN_SENDS_OWN) {
			assert_false(w->in_poll);
			w->of_message++;
		}
		leave(w, text, len, to,
			kind == TXN_SENDS_MESSAGE ? SENT_MESSAGE
			: kind == TXN_SENDS_REPLY ? SENT_REPLY
						  : SENT_OWN);
	}
	free(text);
}

static struct route_ctx *ctx_new(void)
{
	struct route_ctx *ctx = checked(aligned_alloc(64, (sizeof(*ctx) + 63) & ~(size_t)63));

	memset(ctx, 0, sizeof(*ctx));
	return ctx;
}

/* A context and the text of its message, from another context. */
static char *ctx_take(struct route_ctx *to, const struct route_ctx *from, uint32_t len,
	const struct route_script *script, struct route_thread *thread)
{
	char *text = checked(malloc(len != 0 ? len : 1));

	memcpy(text, from->buf, len);
	route_ctx_copy(to, from);
	route_ctx_bind(to, script, thread, text);
	return text;
}

static bool park(struct shard *shard, const struct route_ctx *ctx)
{
	struct world *w = shard->w;
	struct parked *p = checked(calloc(1, sizeof(*p))), **end = &w->parked;

	assert_true(ctx->wait.len > 0);
	p->ctx = ctx_new();
	p->shard = (unsigned)(shard - w->shard);
	p->text = ctx_take(p->ctx, ctx, ctx->msg.len, ctx->script, ctx->thread);
	route_script_ref(p->ctx->script);
	while (*end != NULL)
		end = &(*end)->next;
	*end = p;
	return true;
}

static bool sender_park(void *arg, struct route_ctx *ctx)
{
	struct shard *shard = arg;

	return !shard->w->refuse_park && park(shard, ctx);
}

/* ---- what the pipeline does ---- */

static void call_begins(struct world *w)
{
	w->of_message = 0;
	w->refused_begin = false;
	w->reason = TXN_REASON_NONE;
	w->proxy_reason = PROXY_REASON_NONE;
}

/* Conservation: what the verdict says is what the sender saw. */
static enum fate settle(struct world *w, enum txn_verdict verdict)
{
	assert_null(w->begun);
	if (verdict == TXN_SENT && w->refused_begin)
		assert_true(w->of_message <= 1);
	else
		assert_int_equal(w->of_message, verdict == TXN_SENT);
	assert_int_equal(verdict == TXN_DROPPED, w->reason != TXN_REASON_NONE);
	switch (verdict) {
	case TXN_SENT:
		return FATE_SENT;
	case TXN_ABSORBED:
		return FATE_ABSORBED;
	case TXN_DROPPED:
		return FATE_DROPPED;
	case TXN_PARKED:
		return FATE_PARKED;
	case TXN_NONE:
		break;
	}
	fail_msg("no verdict");
	return FATE_SILENT;
}

static enum fate stateless(struct world *w, struct route_ctx *ctx)
{
	static char out[70000];
	struct proxy_out to;
	int64_t n;

	if (ctx->result.forward) {
		n = proxy_request_write(w->proxy, ctx, out, sizeof(out), &to);
		if (n < 0) {
			proxy_reply_set(ctx, (uint16_t)-n, STR_NONE);
			ctx->result.reply = ctx->msg.method != SIP_METHOD_ACK;
			ctx->result.forward = false;
		}
	} else {
		n = 0;
	}
	if (n <= 0 && ctx->result.reply)
		n = proxy_reply_write(w->proxy, ctx, out, sizeof(out), &to);
	if (n <= 0)
		return FATE_SILENT;
	leave(w, out, (uint32_t)n, &to, SENT_STATELESS);
	return FATE_STATELESS;
}

static enum fate run_ended(
	struct world *w, struct shard *shard, struct route_ctx *ctx, enum route_verdict verdict);

/* The context goes to a shard and on there; `from` is the sender's own. */
static enum fate on_shard(struct world *w, unsigned at, const struct route_ctx *from,
	enum fate (*work)(struct world *w, struct shard *shard, struct route_ctx *ctx))
{
	struct shard *shard = &w->shard[at];
	enum fate fate;
	char *text;

	assert_true(at < w->config.shards);
	text = ctx_take(shard->ctx, from, from->msg.len, w->script, &shard->thread);
	shard->thread.now_ns = w->now_ns;
	fate = work(w, shard, shard->ctx);
	free(text);
	return fate;
}

static enum fate resume(struct world *w, struct shard *shard, struct route_ctx *ctx)
{
	return run_ended(w, shard, ctx, route_resume(ctx));
}

static enum fate run_ended(
	struct world *w, struct shard *shard, struct route_ctx *ctx, enum route_verdict verdict)
{
	enum txn_verdict v = TXN_NONE;

	switch (verdict) {
	case ROUTE_ENDED:
		v = txn_script_ended(shard->s, ctx, &w->reason);
		break;
	case ROUTE_WAIT:
		txn_script_waits(shard->s, ctx);
		park(shard, ctx);
		return FATE_PARKED;
	case ROUTE_SLOW:
		if (ctx->shard < 0 || ctx->shard == shard->thread.shard)
			fail_msg("the script stops at %s", route_stop_name(ctx));
		fail_msg("a hop within a hop");
		break;
	case ROUTE_FAILED:
		v = txn_script_failed(shard->s, ctx, &w->reason);
		if (v == TXN_NONE)
			proxy_reply_set(ctx, 500, STR("Script Limit Reached"));
		break;
	}
	return v != TXN_NONE ? settle(w, v) : stateless(w, ctx);
}

static enum fate receive_and_run(struct world *w, struct shard *shard, struct route_ctx *ctx)
{
	enum route_verdict verdict;

	switch (proxy_request_receive(w->proxy, ctx, SIP_OK, &w->proxy_reason)) {
	case PROXY_REPLY:
		return stateless(w, ctx);
	case PROXY_DROP:
		return FATE_REFUSED;
	case PROXY_GO:
		break;
	}
	verdict = route_run(ctx);
	if (shard != NULL)
		return run_ended(w, shard, ctx, verdict);
	switch (verdict) {
	case ROUTE_ENDED:
		return stateless(w, ctx);
	case ROUTE_SLOW:
		return on_shard(w,
			ctx->shard >= 0 ? (unsigned)ctx->shard : txn_shard_of(w->txn, ctx), ctx,
			resume);
	case ROUTE_WAIT:
		fail_msg("no test waits on a worker");
		break;
	case ROUTE_FAILED:
		proxy_reply_set(ctx, 500, STR("Script Limit Reached"));
		return stateless(w, ctx);
	}
	return FATE_SILENT;
}

static enum fate request_of_transaction(struct world *w, struct shard *shard, struct route_ctx *ctx)
{
	enum txn_verdict v = txn_request(shard->s, ctx, &w->reason);

	return v != TXN_NONE ? settle(w, v) : receive_and_run(w, shard, ctx);
}

static enum fate come_request(struct world *w, struct route_ctx *ctx, enum sip_error error)
{
	unsigned shard;

	if (error != SIP_OK) {
		if (proxy_request_receive(w->proxy, ctx, error, &w->proxy_reason) == PROXY_REPLY)
			return stateless(w, ctx);
		return FATE_REFUSED;
	}
	shard = txn_shard_of(w->txn, ctx);
	assert_true(shard < w->config.shards);
	if (!w->late && txn_may_have(w->txn, shard, ctx))
		return on_shard(w, shard, ctx, request_of_transaction);
	return receive_and_run(w, NULL, ctx);
}

static enum fate pass_response_on(struct world *w, struct route_ctx *ctx)
{
	static char out[70000];
	struct proxy_out to;
	int64_t n;

	if (sip_msg_via(&ctx->msg, ctx->buf, 1) == NULL)
		return FATE_SILENT;
	if (route_script_has_reply_route(w->script) && route_run(ctx) != ROUTE_ENDED)
		return FATE_SILENT;
	n = proxy_response_write(w->proxy, ctx, out, sizeof(out), &to);
	if (n <= 0)
		return FATE_SILENT;
	leave(w, out, (uint32_t)n, &to, SENT_STATELESS);
	return FATE_STATELESS;
}

static enum fate response_of_transaction(
	struct world *w, struct shard *shard, struct route_ctx *ctx)
{
	enum txn_verdict v = txn_response(shard->s, ctx, &w->reason);

	return v != TXN_NONE ? settle(w, v) : pass_response_on(w, ctx);
}

static enum fate come_response(struct world *w, struct route_ctx *ctx, enum sip_error error)
{
	struct proxy_branch branch;

	if (proxy_response_receive(w->proxy, ctx, error, &w->proxy_reason) != PROXY_GO)
		return FATE_REFUSED;
	if (!proxy_response_branch(ctx, &branch) || !branch.ours ||
		branch.owner >= w->config.shards)
		return pass_response_on(w, ctx);
	return on_shard(w, branch.owner, ctx, response_of_transaction);
}

enum fate come(struct world *w, const char *text, uint32_t len, const struct net_endpoint *src)
{
	struct route_ctx *ctx = w->worker_ctx;
	char *buf = checked(malloc(len != 0 ? len : 1));
	enum sip_error error;

	memcpy(buf, text, len);
	call_begins(w);
	w->worker.now_ns = w->now_ns;
	memset(&ctx->origin, 0, sizeof(ctx->origin));
	ctx->origin.src = *src;
	ctx->origin.dst = w->address;
	ctx->origin.transport = SIP_TRANSPORT_UDP;
	ctx->received_ns = w->now_ns;
	ctx->frames = 1;
	route_ctx_bind(ctx, w->script, &w->worker, buf);
	error = sip_msg_index(&ctx->msg, buf, len);
	if (error == SIP_OK)
		error = sip_msg_check(&ctx->msg, buf);
	if (error == SIP_ERROR_NOT_SIP || error == SIP_ERROR_EMPTY) {
		w->fate = FATE_REFUSED;
	} else {
		route_ctx_reset(ctx);
		w->fate = ctx->msg.is_response ? come_response(w, ctx, error)
					       : come_request(w, ctx, error);
	}
	free(buf);
	return w->fate;
}

static struct net_endpoint endpoint(const char *addr, uint16_t port)
{
	struct net_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	assert_int_equal(net_addr_parse(str_c(addr), &ep.addr), 0);
	ep.port = port;
	return ep;
}

enum fate come_text(struct world *w, const char *text, const char *src, uint16_t port)
{
	struct net_endpoint from = endpoint(src, port);
	uint32_t len;
	char *bytes = message_wire(text, &len);
	enum fate fate;

	trace(w, bytes, "   in");
	if (!w->config.quiet && !w->config.unobserved)
		observe_in(w->observer, bytes);
	fate = come(w, bytes, len, &from);
	if (!w->config.quiet && !w->config.unobserved)
		observe_done(w->observer, bytes);
	free(bytes);
	return fate;
}

enum fate come_forged(struct world *w, const char *text, const char *src, uint16_t port)
{
	struct net_endpoint from = endpoint(src, port);
	uint32_t len;
	char *bytes = message_wire(text, &len);
	enum fate fate = come(w, bytes, len, &from);

	free(bytes);
	return fate;
}

bool unreachable_text(
	struct world *w, const char *text, uint32_t len, const struct net_endpoint *to)
{
	char *bytes = checked(malloc(len != 0 ? len : 1));
	bool believed = false;
	int shard;

	memcpy(bytes, text, len);
	shard = txn_unreachable_shard(w->txn, str_of(bytes, len));
	call_begins(w);
	if (shard >= 0) {
		assert_true((unsigned)shard < w->config.shards);
		w->shard[shard].thread.now_ns = w->now_ns;
		believed = txn_unreachable(w->shard[shard].s, str_of(bytes, len), to);
	}
	assert_null(w->begun);
	assert_int_equal(w->of_message, 0);
	free(bytes);
	return believed;
}

void unreachable(struct world *w, const struct sent *m, uint32_t bytes)
{
	observe_lost(w->observer, m->text);
	assert_true(unreachable_text(
		w, m->text, bytes != 0 && bytes < m->len ? bytes : m->len, &m->to));
}

void lose_request(struct world *w, const char *text, const struct net_endpoint *to)
{
	observe_lost(w->observer, text);
	if (!unreachable_text(w, text, (uint32_t)strlen(text), to))
		observe_not_lost(w->observer, text);
}

/* ---- time ---- */

uint64_t now_ms(const struct world *w)
{
	return (w->now_ns - w->began_ns) / CLOCK_NS_PER_MS;
}

unsigned poll_once(struct world *w, unsigned budget)
{
	unsigned ran = 0;

	call_begins(w);
	w->in_poll = true;
	for (unsigned i = 0; i < w->config.shards; i++) {
		unsigned n;

		w->shard[i].thread.now_ns = w->now_ns;
		n = txn_poll(w->shard[i].s, w->now_ns, budget);
		assert_true(n <= budget);
		ran += n;
	}
	w->in_poll = false;
	assert_null(w->begun);
	return ran;
}

void pass_in_steps(struct world *w, uint64_t ms, uint64_t step)
{
	while (ms > 0) {
		step = step < ms ? step : ms;
		ms -= step;
		w->now_ns += step * CLOCK_NS_PER_MS;
		while (poll_once(w, POLL_BUDGET) >= POLL_BUDGET)
			;
	}
}

void pass(struct world *w, uint64_t ms)
{
	pass_in_steps(w, ms, STEP_MS);
}

void jump(struct world *w, int64_t ms)
{
	w->now_ns += (uint64_t)(ms * (int64_t)CLOCK_NS_PER_MS);
}

/* ---- names ---- */

void add_address(struct world *w, const char *name, const char *address)
{
	dns_server_add(w->dns,
		(struct dns_record){.name = name, .type = TYPE_A, .ttl = 3600, .data = address});
}

void add_service(
	struct world *w, const char *name, const char *host, uint16_t priority, uint16_t port)
{
	dns_server_add(w->dns, (struct dns_record){.name = name,
				       .type = TYPE_SRV,
				       .ttl = 3600,
				       .data = host,
				       .priority = priority,
				       .weight = 1,
				       .port = port});
}

/* Goes on with all that waits, with the answer to its name or without one. */
static void go_on(struct world *w, bool answered)
{
	struct parked *list = w->parked;

	w->parked = NULL;
	while (list != NULL) {
		struct parked *p = list;
		struct shard *shard = &w->shard[p->shard];
		struct resolve_addresses found;
		char error[256];

		list = p->next;
		if (answered)
			resolve_now(w->resolver, (enum resolve_kind)p->ctx->wait_kind,
				route_text_str(p->ctx, p->ctx->wait), 2000, &found, error,
				sizeof(error));
		call_begins(w);
		shard->thread.now_ns = w->now_ns;
		route_ctx_bind(p->ctx, p->ctx->script, &shard->thread, p->text);
		w->fate = answered ? resume(w, shard, p->ctx)
				   : run_ended(w, shard, p->ctx, ROUTE_FAILED);
		route_script_unref(p->ctx->script);
		free(p->text);
		free(p->ctx);
		free(p);
	}
}

void answer_names(struct world *w)
{
	go_on(w, true);
}

enum fate lose_names(struct world *w)
{
	go_on(w, false);
	return w->fate;
}

/* ---- a world ---- */

static void load(struct world *w)
{
	struct route_report *report = route_report_create();

	route_registry_init(&w->registry);
	proxy_hooks(w->proxy, &w->registry.hooks);
	assert_int_equal(proxy_register(w->proxy, &w->registry), 0);
	assert_int_equal(txn_register(w->txn, &w->registry), 0);
	if (w->config.rooms != NULL)
		w->config.rooms(w);
	w->script =
		route_script_load_text("test.cfg", str_c(w->config.script), &w->registry, report);
	if (w->script == NULL)
		fail_msg("%s", route_report_text(report));
	route_report_destroy(report);
	route_script_publish(w->script);
	assert_true(route_script_has_state(w->script));
}

static void open_shards(struct world *w)
{
	for (unsigned i = 0; i < w->config.shards; i++) {
		struct shard *shard = &w->shard[i];
		struct txn_sender sender = {shard, sender_begin, sender_end, sender_park};

		shard->w = w;
		assert_int_equal(route_thread_init(&shard->thread, 1 + i), 0);
		shard->thread.has_state = true;
		shard->thread.shard = (uint16_t)i;
		shard->thread.now_ns = w->now_ns;
		shard->ctx = ctx_new();
		shard->s = txn_shard_open(w->txn, i, &sender, &shard->thread);
		assert_non_null(shard->s);
		/* The shard's clock begins here. */
		txn_poll(shard->s, w->now_ns, POLL_BUDGET);
	}
}

struct world *world_new(struct world_config config)
{
	struct world *w = checked(aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63));
	struct proxy_config pc = {.listener = &w->listener, .listeners = 1, .server = "test"};
	struct txn_config tc;
	char error[512] = "";

	memset(w, 0, sizeof(*w));
	if (config.script == NULL)
		config.script = RELAY;
	if (config.address == NULL)
		config.address = PROXY;
	if (config.shards == 0)
		config.shards = 1;
	if (config.transactions == 0)
		config.transactions = 4096;
	if (config.clock_ns == 0)
		config.clock_ns = CLOCK_START_NS;
	w->config = config;
	w->began_ns = w->now_ns = config.clock_ns;
	w->address = endpoint(config.address, 5060);
	rcu_init(&w->rcu);
	if (config.names) {
		w->dns = checked(dns_server_start());
		w->resolver = checked(resolver_create(dns_server_address(w->dns), &w->rcu));
	}
	w->proxy = checked(proxy_create(&w->rcu, w->resolver));
	if (proxy_secret_load(w->proxy, NULL, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	w->listener = (struct proxy_listener){.ep = w->address, .transport = SIP_TRANSPORT_UDP};
	assert_int_equal(proxy_configure(w->proxy, &pc), 0);
	tc = (struct txn_config){.proxy = w->proxy,
		.shards = config.shards,
		.transactions = config.transactions,
		.started_ns = config.started_now ? w->now_ns : 0};
	w->txn = txn_create(&tc, error, sizeof(error));
	if (w->txn == NULL)
		fail_msg("%s", error);
	load(w);
	assert_int_equal(route_thread_init(&w->worker, 0), 0);
	w->worker_ctx = ctx_new();
	w->observer = observer_new(w);
	open_shards(w);
	w->before = usage(w);
	assert_int_equal(w->before.transactions, 0);
	return w;
}

void world_discard(struct world *w)
{
	while (w->parked != NULL) {
		struct parked *p = w->parked;

		w->parked = p->next;
		route_script_unref(p->ctx->script);
		free(p->text);
		free(p->ctx);
		free(p);
	}
	txn_destroy(w->txn);
	for (unsigned i = 0; i < w->config.shards; i++) {
		route_thread_fini(&w->shard[i].thread);
		free(w->shard[i].ctx);
	}
	observer_free(w->observer);
	route_thread_fini(&w->worker);
	free(w->worker_ctx);
	route_script_unref(w->script);
	rcu_reclaim(&w->rcu);
	proxy_destroy(w->proxy);
	if (w->resolver != NULL)
		resolver_destroy(w->resolver);
	if (w->dns != NULL)
		dns_server_stop(w->dns);
	rcu_reclaim(&w->rcu);
	for (unsigned i = 0; i < w->sents; i++) {
		free(w->sent[i]->text);
		free(w->sent[i]);
	}
	free(w->sent);
	free(w);
}

void world_rest(struct world *w)
{
	struct txn_usage now;

	assert_null(w->parked);
	for (uint64_t ms = 0; ms < REST_MS && usage(w).transactions > 0; ms += 1000)
		pass_in_steps(w, 1000, 1000);
	now = usage(w);
	assert_int_equal(now.transactions, 0);
	assert_int_equal(now.absorbing, 0);
	assert_int_equal(now.bytes, w->before.bytes);
	assert_int_equal(counted(w, TXN_COUNTER_CREATED), counted(w, TXN_COUNTER_ENDED));
	if (!w->config.quiet && !w->config.unobserved)
		observe_rest(w->observer);
	observer_free(w->observer);
	w->observer = observer_new(w);
	for (unsigned i = 0; i < w->sents; i++) {
		free(w->sent[i]->text);
		free(w->sent[i]);
	}
	w->sents = 0;
}

void world_close(struct world *w)
{
	world_rest(w);
	world_discard(w);
}

uint64_t counted(const struct world *w, enum txn_counter counter)
{
	return txn_counter(w->txn, counter);
}

struct txn_usage usage(const struct world *w)
{
	struct txn_usage out;

	txn_usage(w->txn, &out);
	return out;
}

/* ---- looking at what left ---- */

bool goes_to(const struct sent *m, const char *host, uint16_t port)
{
	struct net_endpoint want = endpoint(host, port != 0 ? port : m->to.port);

	return net_endpoint_equal(&m->to, &want);
}

static void print_untaken(const struct world *w)
{
	for (unsigned i = 0; i < w->sents; i++) {
		const struct sent *m = w->sent[i];
		char addr[80];

		if (m->taken)
			continue;
		addr[net_endpoint_format(&m->to, addr)] = 0;
		print_message("  %6llu ms to %s: %s (%s)\n", (unsigned long long)m->at, addr,
			first_line(m->text), header(m->text, "CSeq", 0));
	}
}

const struct sent *find_request(struct world *w, const char *method, const char *host)
{
	for (unsigned i = 0; i < w->sents; i++) {
		struct sent *m = w->sent[i];

		if (!m->taken && !m->is_response && strcmp(m->method, method) == 0 &&
			goes_to(m, host, 0)) {
			m->taken = true;
			return m;
		}
	}
	return NULL;
}

const struct sent *find_response(struct world *w, unsigned status, const char *method)
{
	for (unsigned i = 0; i < w->sents; i++) {
		struct sent *m = w->sent[i];

		if (!m->taken && m->is_response && m->status == status &&
			strcmp(m->method, method) == 0) {
			m->taken = true;
			return m;
		}
	}
	return NULL;
}

const struct sent *take_request(struct world *w, const char *method, const char *host)
{
	const struct sent *m = find_request(w, method, host);

	if (m == NULL) {
		print_untaken(w);
		fail_msg("%llu ms: no %s to %s", (unsigned long long)now_ms(w), method, host);
	}
	return m;
}

const struct sent *take_response(struct world *w, unsigned status, const char *method)
{
	const struct sent *m = find_response(w, status, method);

	if (m == NULL) {
		print_untaken(w);
		fail_msg("%llu ms: no %u to %s", (unsigned long long)now_ms(w), status, method);
	}
	return m;
}

void take_nothing_at(struct world *w, int line)
{
	for (unsigned i = 0; i < w->sents; i++) {
		if (!w->sent[i]->taken) {
			print_untaken(w);
			fail_msg("line %d, %llu ms: more left than was to", line,
				(unsigned long long)now_ms(w));
		}
	}
}

unsigned take_all(struct world *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->sents; i++) {
		n += !w->sent[i]->taken;
		w->sent[i]->taken = true;
	}
	return n;
}

unsigned requests_sent(const struct world *w, const char *method)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->sents; i++)
		n += !w->sent[i]->is_response && strcmp(w->sent[i]->method, method) == 0;
	return n;
}

void assert_due_at(const struct sent *m, uint64_t ms, int line)
{
	if (m->at < ms || m->at > ms + LATE_MS)
		fail_msg("line %d: due at %llu ms, left at %llu: %s", line, (unsigned long long)ms,
			(unsigned long long)m->at, first_line(m->text));
}

static char *keep(const char *s, size_t len)
{
	static char ring[128][8192];
	static unsigned at;
	char *out = ring[at++ % 128];

	assert_true(len < sizeof(ring[0]));
	memmove(out, s, len);
	out[len] = 0;
	return out;
}

/* Whether a line begins with this name or its compact form (RFC 3261 7.3.3); the length of it. */
static size_t named(const char *line, const char *name)
{
	static const char *const compact[][2] = {{"Via", "v"}, {"From", "f"}, {"To", "t"},
		{"Call-ID", "i"}, {"Contact", "m"}, {"Content-Length", "l"}};
	size_t len = strcspn(line, ": \r");

	if (line[len + strspn(line + len, " ")] != ':')
		return 0;
	if (len == strlen(name) && strncasecmp(line, name, len) == 0)
		return len;
	for (unsigned i = 0; len == 1 && i < sizeof(compact) / sizeof(compact[0]); i++) {
		if (strcmp(compact[i][0], name) == 0 && strncasecmp(line, compact[i][1], 1) == 0)
			return len;
	}
	return 0;
}

const char *header(const char *text, const char *name, unsigned n)
{
	const char *p = text;

	while ((p = strstr(p, "\r\n")) != NULL) {
		size_t len;

		p += 2;
		if (strncmp(p, "\r\n", 2) == 0 || *p == 0)
			return NULL;
		len = named(p, name);
		if (len != 0 && n-- == 0) {
			p += len + strspn(p + len, " ") + 1;
			p += strspn(p, " ");
			return keep(p, (size_t)(strstr(p, "\r\n") - p));
		}
	}
	return NULL;
}

unsigned headers(const char *text, const char *name)
{
	unsigned n = 0;

	while (header(text, name, n) != NULL)
		n++;
	return n;
}

const char *first_line(const char *text)
{
	return keep(text, strcspn(text, "\r\n"));
}

const char *body_of(const char *text)
{
	return strstr(text, "\r\n\r\n") + 4;
}

const char *param(const char *value, const char *name)
{
	size_t len = strlen(name);

	assert_non_null(value);
	for (const char *p = strchr(value, ';'); p != NULL; p = strchr(p, ';')) {
		p++;
		if (strncmp(p, name, len) == 0 && p[len] == '=')
			return keep(p + len + 1, strcspn(p + len + 1, ";>, "));
	}
	return NULL;
}

const char *branch_of(const char *text)
{
	const char *branch = param(header(text, "Via", 0), "branch");

	assert_non_null(branch);
	return branch;
}

const char *replaced(const char *text, const char *from, const char *to)
{
	const char *found = strstr(text, from);

	if (found == NULL)
		fail_msg("no '%s' in\n%s", from, text);
	return printed("%.*s%s%s", (int)(found - text), text, to, found + strlen(from));
}

const char *printed(const char *format, ...)
{
	static char ring[64][16384];
	static unsigned at;
	char *out = ring[at++ % 64];
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(out, sizeof(ring[0]), format, list);
	va_end(list);
	assert_in_range(n, 0, sizeof(ring[0]) - 1);
	return out;
}

/* ---- who sends ---- */

static struct ask usual(struct ask a)
{
	a.method = a.method != NULL ? a.method : "INVITE";
	a.uri = a.uri != NULL ? a.uri : "sip:bob@" BOB;
	a.call = a.call != NULL ? a.call : "call";
	a.from = a.from != NULL ? a.from : CALLER;
	a.from_tag = a.from_tag != NULL ? a.from_tag : "a1";
	a.more = a.more != NULL ? a.more : "";
	a.body = a.body != NULL ? a.body : "";
	a.cseq = a.cseq != 0 ? a.cseq : 1;
	a.branch = a.branch != NULL ? a.branch : printed("%s-%u", a.call, a.cseq);
	return a;
}

const char *ask_text(struct ask a)
{
	a = usual(a);
	return printed("%s %s SIP/2.0\nVia: SIP/2.0/UDP %s:5060;branch=z9hG4bK%s\n"
		       "Max-Forwards: 70\nFrom: <sip:alice@example.org>;tag=%s\n"
		       "To: <sip:bob@example.org>%s%s\nCall-ID: %s\nCSeq: %u %s\n"
		       "Contact: <sip:alice@%s>\n%sContent-Length: %zu\n\n%s",
		a.method, a.uri, a.from, a.branch, a.from_tag, a.to_tag != NULL ? ";tag=" : "",
		a.to_tag != NULL ? a.to_tag : "", a.call, a.cseq, a.method, a.from, a.more,
		strlen(a.body), a.body);
}

enum fate ask(struct world *w, struct ask a)
{
	return come_text(w, ask_text(a), usual(a).from, 5060);
}

static const char *kin_text(struct ask a, const char *method, const char *to_value, bool with_more)
{
	a = usual(a);
	return printed("%s %s SIP/2.0\nVia: SIP/2.0/UDP %s:5060;branch=z9hG4bK%s\n"
		       "Max-Forwards: 70\nFrom: <sip:alice@example.org>;tag=%s\n"
		       "To: %s\nCall-ID: %s\nCSeq: %u %s\n%sContent-Length: 0\n\n",
		method, a.uri, a.from, a.branch, a.from_tag, to_value, a.call, a.cseq, method,
		with_more ? a.more : "");
}

const char *cancel_text(struct ask a)
{
	return kin_text(a, "CANCEL",
		a.to_tag != NULL ? printed("<sip:bob@example.org>;tag=%s", a.to_tag)
				 : "<sip:bob@example.org>",
		true);
}

enum fate cancel(struct world *w, struct ask a)
{
	return come_text(w, cancel_text(a), usual(a).from, 5060);
}

const char *ack_text(struct ask a, const struct sent *failure)
{
	return kin_text(a, "ACK", header(failure->text, "To", 0), false);
}

enum fate ack(struct world *w, struct ask a, const struct sent *failure)
{
	return come_text(w, ack_text(a, failure), usual(a).from, 5060);
}

const char *answer_text(
	const struct sent *request, const char *status, const char *tag, const char *more)
{
	const char *text = request->text, *to = header(text, "To", 0), *out;
	char host[64];

	host[net_addr_format(&request->to.addr, host)] = 0;
	out = printed("SIP/2.0 %s\n", status);
	for (unsigned i = 0; i < headers(text, "Via"); i++)
		out = printed("%sVia: %s\n", out, header(text, "Via", i));
	for (unsigned i = 0; i < headers(text, "Record-Route"); i++)
		out = printed("%sRecord-Route: %s\n", out, header(text, "Record-Route", i));
	return printed("%sFrom: %s\nTo: %s%s%s\nCall-ID: %s\nCSeq: %s\n"
		       "Contact: <sip:bob@%s%s%s>\n%sContent-Length: 0\n\n",
		out, header(text, "From", 0), to,
		param(to, "tag") != NULL || strncmp(status, "100", 3) == 0 ? "" : ";tag=",
		param(to, "tag") != NULL || strncmp(status, "100", 3) == 0 ? ""
		: tag != NULL                                              ? tag
									   : printed("t%s", host),
		header(text, "Call-ID", 0), header(text, "CSeq", 0),
		strchr(host, ':') != NULL ? "[" : "", host, strchr(host, ':') != NULL ? "]" : "",
		more != NULL ? more : "");
}

enum fate answer_with(struct world *w, const struct sent *request, const char *status,
	const char *tag, const char *more)
{
	char host[64];

	host[net_addr_format(&request->to.addr, host)] = 0;
	return come_text(w, answer_text(request, status, tag, more), host, request->to.port);
}

enum fate answer(struct world *w, const struct sent *request, const char *status)
{
	return answer_with(w, request, status, NULL, NULL);
}

const struct sent *call(struct world *w, struct ask a)
{
	assert_int_equal(ask(w, a), FATE_SENT);
	take_response(w, 100, "INVITE");
	return take_request(w, "INVITE", BOB);
}

void refuse(struct world *w, const struct sent *invite, const char *status)
{
	answer(w, invite, status);
	for (unsigned i = 0; i < w->sents; i++) {
		struct sent *m = w->sent[i];

		if (!m->taken && strcmp(m->method, "ACK") == 0 && !m->is_response &&
			net_endpoint_equal(&m->to, &invite->to)) {
			m->taken = true;
			return;
		}
	}
	print_untaken(w);
	fail_msg("%llu ms: no ACK to %s", (unsigned long long)now_ms(w), status);
}
