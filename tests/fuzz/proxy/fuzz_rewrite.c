/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any message through receive, forward and write: what leaves parses again and means the same; its
 * response finds back to where the request came from; a second pass writes the same bytes; a reply
 * of ours is a message and not longer than it may be; no response that we did not ask for passes.
 * A branch of a transaction leaves the context as it was, its response says whose it is, and its
 * ACK and CANCEL are messages of its transaction. The input's first two bytes choose what the
 * script does.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/internal.h"

#define OUT_MAX (SIP_MSG_UDP_OUT_MAX + 1)

/* What the script does, by bits of the first two bytes; the second's first three say where the
 * message came from. */
#define HOST 1
#define RECORD_ROUTE 2
#define RPORT 4
#define LOCAL_RPORT 8
#define SOCKET 16
#define URI 32
#define LOOSE_ROUTE 64
#define KEPT 128
#define PATH 256
#define FORKED 512
#define EDIT 1024
#define ADD_PATH 2048

#define OWNER 1000
#define BRANCH(script) ((uint16_t)((script) % PROXY_BRANCHES_MAX))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct proxy *proxy;
static struct proxy_listener listener[3];
static struct route_ctx *ctx;
static struct route_thread thread;
static struct sip_msg parsed;
static char out[OUT_MAX], by_edits[OUT_MAX], again[OUT_MAX], back[OUT_MAX];

/* Says which line found it. */
static void require_at(bool holds, int line)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_rewrite.c:%d: does not hold\n", line);
	abort();
}
#define require(holds) require_at((holds), __LINE__)

static void set_up(void)
{
	static struct proxy_alias alias = {.host = "example.com"};
	struct proxy_config config = {.listener = listener,
		.listeners = 3,
		.alias = &alias,
		.aliases = 1,
		.require_token = true,
		.server = "fuzz"};
	static const char *const addr[] = {"192.0.2.1", "198.51.100.1", "2001:db8::1"};
	struct keys *keys = calloc(1, sizeof(*keys));

	for (unsigned i = 0; i < 3; i++) {
		require(net_addr_parse(str_c(addr[i]), &listener[i].ep.addr) == 0);
		listener[i].ep.port = 5060;
		listener[i].transport = SIP_TRANSPORT_UDP;
	}
	proxy = proxy_create(NULL, NULL);
	/* Fixed keys: a finding stays one. */
	keys->count = 1;
	keys->branch = (struct hash_key){{1, 2}};
	keys->mac[0].id = 'a';
	keys->mac[0].key = (struct hash_key){{3, 4}};
	proxy_keys_derive(keys);
	atomic_store(&proxy->keys, keys);
	require(proxy_configure(proxy, &config) == 0);
	require(route_thread_init(&thread, 0) == 0);
	ctx = aligned_alloc(64, (sizeof(*ctx) + 63) & ~(size_t)63);
	memset(ctx, 0, sizeof(*ctx));
}

static enum sip_error take(const char *buf, uint32_t len, const char *src, unsigned at)
{
	enum sip_error error;

	memset(&ctx->origin, 0, sizeof(ctx->origin));
	require(net_addr_parse(str_c(src), &ctx->origin.src.addr) == 0);
	ctx->origin.src.port = 40000;
	ctx->origin.dst = listener[at].ep;
	ctx->origin.transport = SIP_TRANSPORT_UDP;
	ctx->origin.listener = (uint16_t)at;
	route_ctx_bind(ctx, NULL, &thread, (char *)(uintptr_t)buf);
	error = sip_msg_index(&ctx->msg, buf, len);
	if (error == SIP_OK)
		error = sip_msg_check(&ctx->msg, buf);
	route_ctx_reset(ctx);
	return error;
}

static unsigned values(const struct sip_msg *m, const char *buf, enum sip_header_id id)
{
	unsigned n = 0;

	SIP_MSG_FOREACH (m, id, h) {
		struct sip_span value;
		uint32_t at = 0;

		while (sip_list_next(buf, sip_header_value(h), &at, &value))
			n++;
	}
	return n;
}

static bool same_value(const struct sip_msg *a, const char *buf_a, const struct sip_msg *b,
	const char *buf_b, enum sip_header_id id)
{
	return str_eq(sip_text(buf_a, sip_msg_value(a, id)), sip_text(buf_b, sip_msg_value(b, id)));
}

static void same_meaning(const char *buf, const char *text)
{
	static const enum sip_header_id kept[] = {SIP_HEADER_FROM, SIP_HEADER_TO,
		SIP_HEADER_CALL_ID, SIP_HEADER_CSEQ, SIP_HEADER_CONTENT_LENGTH,
		SIP_HEADER_CONTENT_TYPE, SIP_HEADER_CONTACT, SIP_HEADER_SUBJECT};

	require(parsed.method == ctx->msg.method);
	require(str_eq(sip_text(text, parsed.method_text), sip_text(buf, ctx->msg.method_text)));
	for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		require(same_value(&ctx->msg, buf, &parsed, text, kept[i]));
	require(values(&parsed, text, SIP_HEADER_VIA) ==
		values(&ctx->msg, buf, SIP_HEADER_VIA) + 1);
	require(parsed.body_len == ctx->msg.body_len);
	require(memcmp(text + parsed.body, buf + ctx->msg.body, parsed.body_len) == 0);
	require(sip_msg_max_forwards(&parsed, text) && parsed.max_forwards < 255);
}

static int64_t pass(uint16_t script, char *to)
{
	struct route_value host = {.type = ROUTE_STR, .s = STR("sip:203.0.113.9:5070")};
	struct route_args args = {.v = &host, .n = (script & HOST) != 0, .room = proxy};
	struct route_text uri;
	struct proxy_out where;
	int64_t n;

	if ((script & RECORD_ROUTE) != 0)
		proxy_state(ctx)->flags |= STATE_RR | STATE_RR_FTAG;
	if ((script & RPORT) != 0)
		proxy_state(ctx)->flags |= STATE_RPORT;
	if ((script & LOCAL_RPORT) != 0)
		proxy_state(ctx)->flags |= STATE_LOCAL_RPORT;
	if ((script & SOCKET) != 0)
		ctx->socket = 1;
	if ((script & URI) != 0)
		ctx->uri = route_text_make(ctx, STR("sip:carol@203.0.113.77"));
	if ((script & PATH) != 0)
		ctx->path = route_text_make(ctx, STR("<sip:203.0.113.8;lr>, <sip:p.example;lr>"));
	if ((script & ADD_PATH) != 0)
		proxy_state(ctx)->flags |= STATE_PATH | STATE_PATH_RECEIVED;
	if ((script & EDIT) != 0)
		sip_edit_insert(&ctx->edits, ctx->msg.headers_end, SIP_EDIT_LAST, STR("X: y\r\n"));
	if ((script & KEPT) != 0 && (script & FORKED) != 0)
		require(!proxy_is_loop(proxy, ctx));
	if ((script & KEPT) != 0)
		proxy_branch_set(ctx, OWNER, BRANCH(script));
	if (proxy_core_functions[0].run(ctx, &args) != ROUTE_TRUE) {
		require(!ctx->result.forward);
		return 0;
	}
	uri = ctx->uri;
	n = proxy_request_write(proxy, ctx, to, OUT_MAX, &where);
	/* By edits, as after a buffer that was too small, it is the same. */
	if (n > 0) {
		require(proxy_request_write(proxy, ctx, by_edits, 1, &where) == -513);
		require(proxy_request_write(proxy, ctx, by_edits, OUT_MAX, &where) == n);
		require(memcmp(by_edits, to, (size_t)n) == 0);
	}
	if ((script & KEPT) != 0) {
		require(ctx->edits.count == ((script & EDIT) != 0) && !ctx->edits.overflow);
		require(memcmp(&ctx->uri, &uri, sizeof(uri)) == 0);
	}
	return n;
}

static void reply_is_a_message(bool well_formed)
{
	struct proxy_out where;
	uint32_t request = ctx->msg.len - ctx->msg.start_line.off;
	int64_t n = proxy_reply_write(proxy, ctx, out, OUT_MAX, &where);
	enum sip_error error;

	if (n < 0)
		return;
	require(2 * n <= 3 * (int64_t)request);
	require(sip_msg_index(&parsed, out, (uint32_t)n) == SIP_OK);
	require(parsed.is_response && parsed.status == ctx->result.status && parsed.body_len == 0);
	/* A Via below the sender's is none of our business in a request, but is looked at in a
	 * response. */
	error = sip_msg_check(&parsed, out);
	require(!well_formed || error == SIP_OK ||
		(error == SIP_ERROR_VIA && sip_msg_via(&parsed, out, 0) != NULL));
	require(net_addr_equal(&where.dst.addr, &ctx->origin.src.addr) ||
		sip_present(ctx->msg.via[0].maddr));
}

/* The response's branch is the one that left. */
static void is_branch(uint16_t script, uint64_t key)
{
	struct proxy_branch branch;

	require(proxy_response_branch(ctx, &branch) == ((script & KEPT) != 0));
	if ((script & KEPT) == 0)
		return;
	require(branch.key == key && branch.owner == OWNER && branch.branch == BRANCH(script) &&
		branch.ours);
}

/* What follows an INVITE that left as `out`. */
static void follows(uint16_t script, int64_t n, uint64_t key)
{
	struct str sent = {out, (uint32_t)n};
	int64_t ack = proxy_ack_write(proxy, sent, STR("<sip:a@b>;tag=c"), again, OUT_MAX), cancel;
	struct sip_span via;
	enum proxy_reason reason;
	enum sip_error error;

	if (ctx->msg.method != SIP_METHOD_INVITE) {
		require(ack == -EINVAL);
		return;
	}
	require(ack > 0 && ack < n + 200);
	if (ack > SIP_MSG_UDP_MAX)
		return;
	require(sip_msg_index(&parsed, again, (uint32_t)ack) == SIP_OK);
	require(sip_msg_check(&parsed, again) == SIP_OK);
	require(parsed.method == SIP_METHOD_ACK && values(&parsed, again, SIP_HEADER_VIA) == 1);
	cancel = proxy_cancel_write(proxy, sent, STR_NONE, again, OUT_MAX);
	require(cancel > 0 &&
		proxy_cancel_write(proxy, sent, STR_NONE, back, (uint32_t)cancel - 1) == -ENOSPC);
	require(sip_msg_index(&parsed, again, (uint32_t)cancel) == SIP_OK);
	require(sip_msg_check(&parsed, again) == SIP_OK);
	require(parsed.method == SIP_METHOD_CANCEL && values(&parsed, again, SIP_HEADER_VIA) == 1);
	require(sip_msg_via(&parsed, again, 0) != NULL);
	via = parsed.via[0].value;
	require(memmem(out, (size_t)n, again + via.off, via.len) != NULL);
	/* Its answer is taken where its INVITE is kept. */
	memcpy(back, "SIP/2.0 200 OK", 14);
	memcpy(back + 14, again + parsed.start_line.len, (size_t)cancel - parsed.start_line.len);
	error = take(back, (uint32_t)cancel - parsed.start_line.len + 14, "203.0.113.9", 1);
	require(error == SIP_OK);
	if ((script & KEPT) == 0) {
		require(proxy_response_receive(proxy, ctx, error, &reason) == PROXY_DROP);
		return;
	}
	require(proxy_response_receive(proxy, ctx, error, &reason) == PROXY_GO);
	require(!ctx->result.forward);
	is_branch(script, key);
}

/* The response to what was written, with the request's own headers. */
static void response_finds_back(
	uint16_t script, uint64_t key, const char *src, unsigned at, int64_t n)
{
	static const char status[] = "SIP/2.0 200 OK";
	uint32_t line = parsed.start_line.len, len = (uint32_t)n - line + sizeof(status) - 1;
	unsigned vias = values(&parsed, out, SIP_HEADER_VIA);
	enum proxy_reason reason;
	struct net_addr from;
	struct proxy_out where;
	enum sip_error error;
	int64_t written;

	if (len > SIP_MSG_UDP_MAX)
		return;
	memcpy(back, status, sizeof(status) - 1);
	memcpy(back + sizeof(status) - 1, out + line, (size_t)n - line);
	error = take(back, len, "203.0.113.9", 1);
	require(error == SIP_OK);
	if (proxy_response_receive(proxy, ctx, error, &reason) != PROXY_GO) {
		require(reason == PROXY_REASON_RESPONSE_TARGET);
		return;
	}
	is_branch(script, key);
	written = proxy_response_write(proxy, ctx, again, OUT_MAX, &where);
	require(written > 0);
	require(proxy_response_write(proxy, ctx, by_edits, 1, &where) == -PROXY_REASON_TOO_LARGE);
	require(proxy_response_write(proxy, ctx, by_edits, OUT_MAX, &where) == written);
	require(memcmp(by_edits, again, (size_t)written) == 0);
	require(sip_msg_index(&parsed, again, len) <= SIP_ERROR_COUNT);
	/* From the listener that the request came to; a maddr of the other family is not reached
	 * from it. */
	require(where.listener == at ||
		(sip_present(ctx->msg.via[1].maddr) &&
			where.dst.addr.family != listener[at].ep.addr.family));
	require(net_addr_parse(str_c(src), &from) == 0);
	require(net_addr_equal(&where.dst.addr, &from) || sip_present(ctx->msg.via[1].maddr));
	require(vias == values(&ctx->msg, back, SIP_HEADER_VIA));
}

static void loose_route(const struct route_args *args)
{
	const struct route_function *fn = proxy_rr_module.functions;

	while (strcmp(fn->name, "loose_route") != 0)
		fn++;
	(void)fn->run(ctx, args);
}

static void request(uint16_t script, enum sip_error error, const char *buf, uint32_t len,
	const char *src, unsigned at)
{
	enum proxy_reason reason;
	struct route_args args = {.room = proxy};
	uint64_t key;
	int64_t n;

	switch (proxy_request_receive(proxy, ctx, error, &reason)) {
	case PROXY_DROP:
		return;
	case PROXY_REPLY:
		reply_is_a_message(error == SIP_OK);
		return;
	case PROXY_GO:
		break;
	}
	if ((script & LOOSE_ROUTE) != 0)
		loose_route(&args);
	n = pass(script, out);
	if (n <= 0) {
		proxy_reply_set(ctx,
			n < 0               ? (uint16_t)-n
			: ctx->result.reply ? ctx->result.status
					    : 500,
			STR_NONE);
		if (ctx->msg.method != SIP_METHOD_ACK)
			reply_is_a_message(true);
		return;
	}
	if (n <= SIP_MSG_UDP_MAX) {
		require(sip_msg_index(&parsed, out, (uint32_t)n) == SIP_OK);
		require(sip_msg_check(&parsed, out) == SIP_OK);
		same_meaning(buf, out);
	}
	/* Once more: the same bytes. */
	require(take(buf, len, src, at) == SIP_OK);
	require(proxy_request_receive(proxy, ctx, SIP_OK, &reason) == PROXY_GO);
	require(pass(script, again) == n && memcmp(out, again, (size_t)n) == 0);
	key = proxy_transaction_key(proxy, ctx).lo;
	if (n <= SIP_MSG_UDP_MAX) {
		require(sip_msg_index(&parsed, out, (uint32_t)n) == SIP_OK);
		response_finds_back(script, key, src, at, n);
		require(take(buf, len, src, at) == SIP_OK);
		follows(script, n, key);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const sources[] = {
		"192.0.2.77", "10.0.0.9", "2001:db8::9", "198.51.100.9"};
	enum proxy_reason reason;
	enum sip_error error;
	const char *src;
	unsigned at;
	char *buf;
	uint32_t len;

	if (proxy == NULL)
		set_up();
	if (size < 2 || size > SIP_MSG_UDP_MAX)
		return 0;
	len = (uint32_t)size - 2;
	buf = malloc(len != 0 ? len : 1);
	memcpy(buf, data + 2, len);
	src = sources[data[1] & 3];
	at = (data[1] & 3) == 2 ? 2 : (data[1] >> 2) & 1;
	(void)proxy_keepalive(&listener[0].ep, buf, len, again);
	error = take(buf, len, src, at);
	if (ctx->msg.is_response)
		require(proxy_response_receive(proxy, ctx, error, &reason) == PROXY_DROP);
	else
		request((uint16_t)(data[0] | data[1] >> 3 << 8), error, buf, len, src, at);
	free(buf);
	return 0;
}
