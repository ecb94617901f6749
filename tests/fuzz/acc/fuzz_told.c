/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any request and any response to it, as transactions tell of them: each line of the log has the
 * fields that it is to have and no other, is UTF-8 without controls, and no value of a row exceeds
 * its column; calls that have begun are counted as such.
 *
 * The input's first byte chooses the event, the second one the status; then the request and, behind
 * a NUL, the response.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "acc/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct db *db;
static struct acc *room;
static struct route_script *script;
static struct route_thread thread;
static struct route_ctx *ctx;
static char request[SIP_MSG_UDP_MAX], response[SIP_MSG_UDP_MAX];

/* Says which line found it. */
static void require_at(bool holds, int line)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_told.c:%d: does not hold\n", line);
	abort();
}
#define require(holds) require_at((holds), __LINE__)

static unsigned count(struct str s, char c)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < s.len; i++)
		n += s.s[i] == c;
	return n;
}

/* On the thread of the log. */
static void check_line(void *arg, int facility, int level, struct str line)
{
	bool call = str_istarts(line, STR("ACC: call ended")) ||
		    str_istarts(line, STR("ACC: call displaced")) ||
		    str_istarts(line, STR("ACC: call failed"));

	require(str_istarts(line, STR("ACC: ")));
	require(str_utf8_len(line) == line.len);
	for (uint32_t i = 0; i < line.len; i++)
		require((unsigned char)line.s[i] >= ' ' && line.s[i] != 0x7f);
	/* Three times or a time, what is always there, and the extra fields. */
	require(count(line, ';') == (call ? 8 + 2 : 6 + 2));
}

static const char text[] =
	"loadmodule \"acc.so\"\n"
	"modparam(\"acc\", \"log_flag\", 0)\nmodparam(\"acc\", \"db_flag\", 0)\n"
	"modparam(\"acc\", \"log_missed_flag\", 0)\nmodparam(\"acc\", \"db_missed_flag\", 0)\n"
	"modparam(\"acc\", \"failed_transaction_flag\", 0)\n"
	"modparam(\"acc\", \"report_ack\", 1)\nmodparam(\"acc\", \"report_cancels\", 1)\n"
	"modparam(\"acc\", \"early_media\", 1)\nmodparam(\"acc\", \"cdr_enable\", 1)\n"
	"modparam(\"acc\", \"reason_from_hf\", 1)\n"
	"modparam(\"acc\", \"cdrs_table\", \"acc_cdrs\")\nmodparam(\"acc\", \"spool_file\", \"\")\n"
	"modparam(\"acc\", \"log_extra\", \"a=$hdr(Subject);b=$fu\")\n"
	"modparam(\"acc\", \"db_extra\", \"a=$hdr(Subject);b=$fu\")\n"
	"modparam(\"acc\", \"cdr_extra\", \"a=$hdr(Subject);b=$fu\")\n"
	"request_route { exit; }\n";

static void begin(void)
{
	struct route_report *report = route_report_create();
	struct route_registry registry;
	char error[256];

	db = db_create(&(struct db_config){0}, error, sizeof(error));
	require(db != NULL && db_set_default(db, "sqlite:///nowhere/acc.sqlite") == 0);
	room = acc_create(
		&(struct acc_config){.db = db, .shards = 1, .calls = 64, .write = check_line});
	require(room != NULL);
	route_registry_init(&registry);
	require(acc_register(room, &registry) == 0);
	script = route_script_load_text("fuzz.cfg", str_c(text), &registry, report);
	if (script == NULL)
		fprintf(stderr, "%s\n", route_report_text(report));
	require(script != NULL);
	route_report_destroy(report);
	route_script_publish(script);
	require(route_thread_init(&thread, 0) == 0);
	ctx = calloc(1, sizeof(*ctx));
	require(ctx != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t status[] = {200, 183, 408, 481, 486, 487, 603, 407};
	static uint64_t now = CLOCK_NS_PER_S;
	struct txn_news news = {.request = ctx};
	const uint8_t *end;
	size_t n;

	if (room == NULL)
		begin();
	if (size < 3 || size > SIP_MSG_UDP_MAX)
		return 0;
	news.event = data[0] % (TXN_EVENT_LATE + 1);
	news.status = status[data[1] % 8];
	news.sent = data[1] < 0xc0;
	data += 2;
	size -= 2;
	end = memchr(data, 0, size);
	n = end != NULL ? (size_t)(end - data) : size;
	memcpy(request, data, n);
	route_ctx_bind(ctx, script, &thread, request);
	if (sip_msg_index(&ctx->msg, request, (uint32_t)n) != SIP_OK || ctx->msg.is_response)
		return 0;
	sip_msg_check(&ctx->msg, request);
	route_ctx_reset(ctx);
	ctx->flags = 1;
	if (end != NULL) {
		memcpy(response, end + 1, size - n - 1);
		news.response = str_of(response, size - n - 1);
	}
	if (news.event == TXN_EVENT_AGAIN)
		news.request = NULL;
	thread.now_ns = news.now_ns = now += CLOCK_NS_PER_MS;
	acc_told(room, 0, &news);
	acc_poll(room, 0, now);
	require(acc_counter(room, ACC_COUNTER_CALLS_NOW) <= 64);
	require(acc_counter(room, ACC_COUNTER_CALLS) ==
		acc_counter(room, ACC_COUNTER_CALLS_NOW) +
			acc_counter(room, ACC_COUNTER_CALLS_ENDED) +
			acc_counter(room, ACC_COUNTER_CALLS_EXPIRED) +
			acc_counter(room, ACC_COUNTER_CALLS_DISPLACED));
	return 0;
}
