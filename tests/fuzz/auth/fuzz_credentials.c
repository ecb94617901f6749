/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any credentials of a REGISTER, with nonces that are good: whoever does not know the password gets
 * a challenge, one whose lines are ours; none of them is verified, and nothing is read or written
 * past anything.
 *
 * The input's first byte chooses the settings. "NONCE" in what follows becomes a nonce that was
 * made for it, and all else is the value of Authorization.
 */
#include <stdio.h>
#include <stdlib.h>

#include "auth/internal.h"

#define SCRIPTS 4
#define TEXT_MAX 60000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct proxy *proxy;
static struct auth *room;
static struct route_script *script[SCRIPTS];
static struct route_thread thread;
static struct route_ctx *ctx;
static char message[2 * SIP_MSG_UDP_MAX], out[SIP_MSG_UDP_OUT_MAX];

/* Says which line found it. */
static void require_at(bool holds, int line)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_credentials.c:%d: does not hold\n", line);
	abort();
}
#define require(holds) require_at((holds), __LINE__)

/* Realm, password and algorithms. A password that nobody can find in the script's text: the fuzzer
 * would have to make a hash of it. */
static const char *const settings[SCRIPTS] = {"",
	"modparam(\"auth\", \"algorithm\", \"MD5,SHA-256,SHA-512-256,MD5-sess,SHA-256-sess\")\n",
	"modparam(\"auth\", \"one_time_nonce\", 1)\nmodparam(\"auth\", \"nonce_count\", 0)\n",
	"modparam(\"auth\", \"auth_checks_register\", 15)\nmodparam(\"auth\", \"check_uri\", 0)\n"};
static const char *const flags[SCRIPTS] = {"1", "2", "0", "1"};

static struct route_script *load(unsigned n)
{
	struct route_report *report = route_report_create();
	struct route_script *loaded;
	struct route_registry registry;
	char text[2048];
	int len = snprintf(text, sizeof(text),
		"loadmodule \"auth.so\"\n%srequest_route {\n"
		"\tif (pv_www_authorize(\"r\", \"a password of some length\", \"0\")) {\n"
		"\t\tconsume_credentials();\n\t\texit;\n\t}\n"
		"\thas_credentials(\"r\");\n\twww_challenge(\"r\", \"%s\");\n}\n",
		settings[n], flags[n]);

	route_registry_init(&registry);
	proxy_hooks(proxy, &registry.hooks);
	require(auth_register(room, &registry) == 0);
	loaded = route_script_load_text("fuzz.cfg", str_of(text, (size_t)len), &registry, report);
	if (loaded == NULL)
		fprintf(stderr, "%s\n", route_report_text(report));
	require(loaded != NULL);
	route_report_destroy(report);
	return loaded;
}

static void begin(void)
{
	static struct proxy_listener listener = {.transport = SIP_TRANSPORT_UDP};
	struct proxy_config config = {.listener = &listener, .listeners = 1};
	char error[256];

	proxy = proxy_create(NULL, NULL);
	require(proxy != NULL && net_addr_parse(STR("192.0.2.1"), &listener.ep.addr) == 0);
	listener.ep.port = 5060;
	require(proxy_secret_load(proxy, NULL, error, sizeof(error)) == 0);
	require(proxy_configure(proxy, &config) == 0);
	room = auth_create(&(struct auth_config){.proxy = proxy});
	ctx = aligned_alloc(64, (sizeof(*ctx) + 63) & ~(size_t)63);
	require(room != NULL && ctx != NULL && route_thread_init(&thread, 0) == 0);
	memset(ctx, 0, sizeof(*ctx));
	thread.now_ns = clock_now_ns();
	auth_tick(room, thread.now_ns);
	for (unsigned i = 0; i < SCRIPTS; i++)
		script[i] = load(i);
}

/* Runs a script over message[0, len), which is copied to a place of its own. False: it is no
 * message. The reply's length, 0: there is none. */
static bool run(unsigned n, uint32_t len, int64_t *reply)
{
	char *exact = malloc(len);
	struct proxy_out to;
	bool good;

	require(exact != NULL);
	memcpy(exact, message, len);
	memset(&ctx->origin, 0, sizeof(ctx->origin));
	ctx->origin.src.addr.family = 4;
	ctx->origin.src.addr.v4 = 0x076433c6;
	ctx->origin.src.port = 5060;
	ctx->origin.transport = SIP_TRANSPORT_UDP;
	route_ctx_bind(ctx, script[n], &thread, exact);
	good = sip_msg_index(&ctx->msg, exact, len) == SIP_OK &&
	       sip_msg_check(&ctx->msg, exact) == SIP_OK;
	route_ctx_reset(ctx);
	*reply = 0;
	if (good) {
		require(route_run(ctx) == ROUTE_ENDED);
		require(ctx->credentials == 0 && ctx->result.reply && ctx->result.status == 401);
		*reply = proxy_reply_write(proxy, ctx, out, sizeof(out), &to);
	}
	free(exact);
	return good;
}

static uint32_t put(uint32_t at, const char *text, size_t len)
{
	memcpy(message + at, text, len);
	return at + (uint32_t)len;
}

static uint32_t put_head(void)
{
	static const char head[] =
		"REGISTER sip:r SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:alice@r>;tag=1\r\nTo: <sip:alice@r>\r\n"
		"Call-ID: 1\r\nCSeq: 1 REGISTER\r\n";

	return put(0, head, sizeof(head) - 1);
}

/* What stands in the quotes behind nonce= in the reply. */
static struct str nonce_of(int64_t len)
{
	struct str all = str_of(out, (size_t)len);
	int64_t at = str_find_str(all, STR("nonce=\"")), end;

	require(at >= 0);
	all = str_of(all.s + at + 7, all.len - (uint32_t)at - 7);
	end = str_find(all, '"');
	require(end == AUTH_NONCE_LEN || end == AUTH_NONCE_MAX);
	return str_of(all.s, (size_t)end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char tail[] = "\r\nContent-Length: 0\r\n\r\n";
	char nonce[AUTH_NONCE_MAX];
	struct sip_msg reply;
	uint64_t accepted;
	struct str made;
	uint32_t len;
	int64_t n;

	if (room == NULL)
		begin();
	if (size == 0 || size > TEXT_MAX / 10)
		return 0;
	/* Without credentials there is a challenge. */
	len = put_head() - 2;
	len = put(len, tail, sizeof(tail) - 1);
	require(run(data[0] % SCRIPTS, len, &n) && n > 0);
	made = nonce_of(n);
	memcpy(nonce, made.s, made.len);
	made.s = nonce;

	accepted = auth_counter(room, AUTH_COUNTER_ACCEPTED);
	len = put(put_head(), "Authorization: ", 15);
	for (size_t i = 1; i < size; i++) {
		if (size - i >= 5 && memcmp(data + i, "NONCE", 5) == 0) {
			len = put(len, made.s, made.len);
			i += 4;
		} else {
			message[len++] = (char)data[i];
		}
	}
	len = put(len, tail, sizeof(tail) - 1);
	if (!run(data[0] % SCRIPTS, len, &n))
		return 0;
	require(auth_counter(room, AUTH_COUNTER_ACCEPTED) == accepted);
	if (n > 0) {
		require(sip_msg_index(&reply, out, (uint32_t)n) == SIP_OK);
		require(sip_msg_has(&reply, SIP_HEADER_WWW_AUTHENTICATE));
	}
	return 0;
}
