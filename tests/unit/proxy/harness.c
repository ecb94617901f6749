/* SPDX-License-Identifier: BSD-3-Clause */
#include "../message.h"
#include "harness.h"

struct net_endpoint endpoint(const char *addr, uint16_t port)
{
	struct net_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	assert_int_equal(net_addr_parse(str_c(addr), &ep.addr), 0);
	ep.port = port;
	return ep;
}

bool endpoint_is(const struct net_endpoint *ep, const char *addr, uint16_t port)
{
	struct net_endpoint want = endpoint(addr, port);

	return net_endpoint_equal(ep, &want);
}

void fixture_configure(struct fixture *f)
{
	assert_int_equal(proxy_configure(f->proxy, &f->config), 0);
}

void fixture_restart(struct fixture *f)
{
	free(atomic_exchange(&f->proxy->sockets, NULL));
	fixture_configure(f);
}

struct fixture *fixture_new(const char *secret_path)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char error[512] = "";

	assert_non_null(f);
	rcu_init(&f->rcu);
	f->proxy = proxy_create(&f->rcu, NULL);
	assert_non_null(f->proxy);
	if (proxy_secret_load(f->proxy, secret_path, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	f->listener[LEFT] = (struct proxy_listener){.ep = endpoint("10.0.0.1", 5060),
		.transport = SIP_TRANSPORT_UDP,
		.port = 0,
		.name = "left"};
	f->listener[RIGHT] = (struct proxy_listener){.ep = endpoint("10.1.0.1", 5060),
		.transport = SIP_TRANSPORT_UDP,
		.port = 1,
		.name = "right"};
	f->listener[LEFT_ALT] = (struct proxy_listener){
		.ep = endpoint("10.0.0.1", 5070), .transport = SIP_TRANSPORT_UDP, .port = 0};
	f->listener[SIX] = (struct proxy_listener){
		.ep = endpoint("2001:db8::1", 5060), .transport = SIP_TRANSPORT_UDP, .port = 0};
	f->alias[0] = (struct proxy_alias){.host = "proxy.example.net"};
	f->config = (struct proxy_config){
		.listener = f->listener,
		.listeners = 4,
		.alias = f->alias,
		.aliases = 1,
		.require_token = true,
		.node = 3,
		.server = "siplane test",
	};
	fixture_configure(f);
	assert_int_equal(route_thread_init(&f->thread, 0), 0);
	f->ctx = aligned_alloc(64, (sizeof(*f->ctx) + 63) & ~(size_t)63);
	assert_non_null(f->ctx);
	memset(f->ctx, 0, sizeof(*f->ctx));
	return f;
}

void fixture_free(struct fixture *f)
{
	rcu_reclaim(&f->rcu);
	proxy_destroy(f->proxy);
	route_thread_fini(&f->thread);
	free(f->ctx);
	free(f->buf);
	free(f);
}

enum proxy_verdict receive_bytes(struct fixture *f, const void *bytes, uint32_t len,
	const char *src, uint16_t src_port, unsigned listener)
{
	struct route_ctx *ctx = f->ctx;

	free(f->buf);
	f->buf = malloc(len != 0 ? len : 1);
	assert_non_null(f->buf);
	memcpy(f->buf, bytes, len);
	f->len = len;
	memset(&ctx->origin, 0, sizeof(ctx->origin));
	ctx->origin.src = endpoint(src, src_port);
	ctx->origin.dst = f->config.listener[listener].ep;
	ctx->origin.transport = SIP_TRANSPORT_UDP;
	ctx->origin.listener = (uint16_t)listener;
	ctx->origin.port = f->config.listener[listener].port;
	route_ctx_bind(ctx, NULL, &f->thread, f->buf);
	f->error = sip_msg_index(&ctx->msg, f->buf, len);
	if (f->error == SIP_OK)
		f->error = sip_msg_check(&ctx->msg, f->buf);
	route_ctx_reset(ctx);
	f->reason = PROXY_REASON_NONE;
	f->verdict = ctx->msg.is_response
			     ? proxy_response_receive(f->proxy, ctx, f->error, &f->reason)
			     : proxy_request_receive(f->proxy, ctx, f->error, &f->reason);
	return f->verdict;
}

enum proxy_verdict receive(
	struct fixture *f, const char *text, const char *src, uint16_t src_port, unsigned listener)
{
	uint32_t len;
	char *crlf = message_wire(text, &len);
	enum proxy_verdict verdict = receive_bytes(f, crlf, len, src, src_port, listener);

	free(crlf);
	return verdict;
}

static const struct route_function *find_function(const char *name)
{
	const struct route_function *const tables[] = {proxy_core_functions,
		proxy_sl_module.functions, proxy_rr_module.functions, proxy_maxfwd_module.functions,
		proxy_siputils_module.functions, proxy_sanity_module.functions,
		proxy_path_module.functions};

	for (unsigned i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (const struct route_function *fn = tables[i]; fn->name != NULL; fn++) {
			if (strcmp(fn->name, name) == 0)
				return fn;
		}
	}
	fail_msg("no function %s", name);
	return NULL;
}

int32_t call(struct fixture *f, const char *name, ...)
{
	const struct route_function *fn = find_function(name);
	struct route_value v[ROUTE_ARGS_MAX];
	struct route_arg arg[ROUTE_ARGS_MAX];
	struct route_args args = {.v = v, .room = f->proxy};
	void *data = NULL;
	const char *text;
	va_list list;
	int32_t ret;

	memset(arg, 0, sizeof(arg));
	va_start(list, name);
	while ((text = va_arg(list, const char *)) != NULL) {
		assert_true(args.n < ROUTE_ARGS_MAX);
		v[args.n] = (struct route_value){.type = ROUTE_STR, .s = str_c(text)};
		arg[args.n].constant = true;
		arg[args.n].value = v[args.n];
		args.n++;
	}
	va_end(list);
	assert_in_range(args.n, fn->args_min, fn->args_max);
	if (fn->check != NULL)
		assert_int_equal(
			fn->check(f->proxy, NULL, arg, args.n, &arg[0].place, NULL, &data), 0);
	args.data = data;
	ret = fn->run(f->ctx, &args);
	if (fn->free_data != NULL)
		fn->free_data(data);
	return ret;
}

static const char *written(struct fixture *f)
{
	struct sip_msg *msg;
	enum sip_error error;
	char *copy;

	if (f->written <= 0)
		return NULL;
	f->out[f->written] = 0;
	if (f->written > SIP_MSG_UDP_MAX)
		return f->out; /* more than may come in */
	msg = malloc(sizeof(*msg));
	copy = malloc((size_t)f->written);
	memcpy(copy, f->out, (size_t)f->written);
	error = sip_msg_index(msg, copy, (uint32_t)f->written);
	if (error == SIP_OK && f->error == SIP_OK)
		error = sip_msg_check(msg, copy);
	if (error != SIP_OK)
		fail_msg("what was written does not parse: %s\n%s", sip_error_name(error), f->out);
	free(copy);
	free(msg);
	return f->out;
}

/* A request is written straight where that can be, and by edits after a buffer was too small: both
 * say the same. */
const char *write_request(struct fixture *f)
{
	static char again[sizeof(f->out)];
	int64_t n;

	f->written = proxy_request_write(f->proxy, f->ctx, f->out, sizeof(f->out) - 1, &f->to);
	if (f->written > 0) {
		assert_int_equal(proxy_request_write(f->proxy, f->ctx, again, 1, &f->to), -513);
		n = proxy_request_write(f->proxy, f->ctx, again, sizeof(again) - 1, &f->to);
		assert_int_equal(n, f->written);
		assert_memory_equal(again, f->out, (size_t)n);
	}
	return written(f);
}

const char *write_response(struct fixture *f)
{
	static char again[sizeof(f->out)];
	int64_t n;

	f->written = proxy_response_write(f->proxy, f->ctx, f->out, sizeof(f->out) - 1, &f->to);
	if (f->written > 0) {
		assert_int_equal(proxy_response_write(f->proxy, f->ctx, again, 1, &f->to),
			-PROXY_REASON_TOO_LARGE);
		n = proxy_response_write(f->proxy, f->ctx, again, sizeof(again) - 1, &f->to);
		assert_int_equal(n, f->written);
		assert_memory_equal(again, f->out, (size_t)n);
	}
	return written(f);
}

const char *write_reply(struct fixture *f)
{
	f->written = proxy_reply_write(f->proxy, f->ctx, f->out, sizeof(f->out) - 1, &f->to);
	return written(f);
}

const char *pass(
	struct fixture *f, const char *text, const char *src, uint16_t src_port, unsigned listener)
{
	const char *out;

	assert_int_equal(receive(f, text, src, src_port, listener), PROXY_GO);
	assert_int_equal(call(f, "forward", "sip:10.9.9.9:5062", NULL), ROUTE_TRUE);
	out = write_request(f);
	assert_non_null(out);
	return out;
}

static char *keep(const char *s, size_t len)
{
	static char ring[64][8192];
	static unsigned at;
	char *out = ring[at++ % 64];

	assert_true(len < sizeof(ring[0]));
	memcpy(out, s, len);
	out[len] = 0;
	return out;
}

const char *line_at(const char *text, const char *name, unsigned n)
{
	struct str value = message_value(text, name, n);

	return value.s != NULL ? keep(value.s, value.len) : NULL;
}

const char *line(const char *text, const char *name)
{
	return line_at(text, name, 0);
}

unsigned lines(const char *text, const char *name)
{
	unsigned n = 0;

	while (line_at(text, name, n) != NULL)
		n++;
	return n;
}

const char *first_line(const char *text)
{
	return keep(text, (size_t)(strstr(text, "\r\n") - text));
}

const char *branch_of(const char *text)
{
	const char *via = line(text, "Via"), *branch;

	assert_non_null(via);
	branch = strstr(via, ";branch=");
	assert_non_null(branch);
	branch += 8;
	return keep(branch, strcspn(branch, ";"));
}

const char *replaced(const char *text, const char *from, const char *to)
{
	static char ring[4][70000];
	static unsigned at;
	char *out = ring[at++ % 4];
	const char *found = strstr(text, from);

	if (found == NULL)
		fail_msg("no '%s' in\n%s", from, text);
	snprintf(out, sizeof(ring[0]), "%.*s%s%s", (int)(found - text), text, to,
		found + strlen(from));
	return out;
}

const char *response_to(const char *request, const char *status)
{
	static char ring[4][16384];
	static unsigned at;
	char *out = ring[at++ % 4];
	size_t n = (size_t)snprintf(out, sizeof(ring[0]), "SIP/2.0 %s\r\n", status);
	const char *to = line(request, "To");

	for (unsigned i = 0; i < lines(request, "Via"); i++)
		n += (size_t)snprintf(
			out + n, sizeof(ring[0]) - n, "Via: %s\r\n", line_at(request, "Via", i));
	for (unsigned i = 0; i < lines(request, "Record-Route"); i++)
		n += (size_t)snprintf(out + n, sizeof(ring[0]) - n, "Record-Route: %s\r\n",
			line_at(request, "Record-Route", i));
	snprintf(out + n, sizeof(ring[0]) - n,
		"From: %s\r\nTo: %s%s\r\nCall-ID: %s\r\nCSeq: %s\r\nContent-Length: 0\r\n\r\n",
		line(request, "From"), to, strstr(to, "tag=") != NULL ? "" : ";tag=b1",
		line(request, "Call-ID"), line(request, "CSeq"));
	return out;
}
