/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a configuration: it loads or says why not. What loads is explained and runs over a
 * request and a response, and a run that waits is resumed in a copy.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../unit/route/language.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int print(void *arg, const char *line)
{
	*(size_t *)arg += strlen(line);
	return 0;
}

static uint32_t begin(struct route_script *script, struct route_ctx *ctx,
	struct route_thread *thread, const char *message, char buf[2048])
{
	uint32_t len = 0;

	for (const char *p = message; *p != '\0'; p++) {
		if (*p == '\n')
			buf[len++] = '\r';
		buf[len++] = *p;
	}
	if (sip_msg_index(&ctx->msg, buf, len) != SIP_OK)
		abort();
	memset(&ctx->origin, 0, sizeof(ctx->origin));
	net_addr_parse(STR("192.0.2.7"), &ctx->origin.src.addr);
	net_addr_parse(STR("198.51.100.1"), &ctx->origin.dst.addr);
	route_ctx_bind(ctx, script, thread, buf);
	route_ctx_reset(ctx);
	return len;
}

static void *save(const struct route_ctx *ctx, uint32_t *size)
{
	void *saved;

	*size = route_ctx_saved_size(ctx);
	saved = malloc(*size);
	if (saved == NULL)
		abort();
	route_ctx_save(ctx, saved);
	return saved;
}

/* What `ctx` has changed of what was kept, kept again; it has to come back as long as it was. */
static void *update(struct route_ctx *ctx, void *saved, struct str request)
{
	uint32_t size = route_ctx_update_size(ctx, saved, request);
	void *updated = size != 0 ? malloc(size) : NULL;

	if (updated == NULL)
		return saved;
	route_ctx_update(ctx, saved, request, updated);
	free(saved);
	return updated;
}

/* As a transaction does with it: kept behind the request, seen by a response, run over again. */
static void keep(struct route_script *script, struct route_ctx *ctx, struct route_thread *thread)
{
	static struct route_ctx other;
	char buf[2048];
	struct str request = str_of(ctx->buf, ctx->msg.len);
	uint32_t size, again;
	void *saved = save(ctx, &size);

	begin(script, &other, thread, language_invite, buf);
	route_ctx_load(&other, saved);
	free(save(&other, &again));
	if (size != again || route_ctx_update_size(&other, saved, request) != 0)
		abort();
	for (uint32_t block = 0; block < 8; block++) {
		other.failure = ROUTE_FAILURE_NONE;
		other.steps = 0;
		language_pending = 0;
		if (route_run_block(&other, block, ROUTE_IN_FAILURE) == ROUTE_FAILED &&
			other.failure == ROUTE_FAILURE_NONE)
			abort();
		saved = update(&other, saved, request);
	}
	begin(script, &other, thread, language_ok, buf);
	if (route_ctx_load_shared(&other, saved, request)) {
		if (route_ctx_update_size(&other, saved, request) != 0)
			abort();
		for (uint32_t block = 0; block < 8; block++) {
			other.failure = ROUTE_FAILURE_NONE;
			other.steps = 0;
			route_run_block(&other, block, ROUTE_IN_REPLY);
		}
		saved = update(&other, saved, request);
	}
	begin(script, &other, thread, language_invite, buf);
	route_ctx_load(&other, saved);
	while (route_branches_next(&other) == ROUTE_TRUE)
		continue;
	free(saved);
}

static void run(struct route_script *script, struct route_ctx *ctx, struct route_thread *thread,
	const char *message)
{
	static struct route_ctx copy;
	char buf[2048];
	enum route_verdict verdict;

	begin(script, ctx, thread, message, buf);
	language_calls[0] = '\0';
	language_pending = 2;
	thread->has_state = false;
	verdict = route_run(ctx);
	for (int i = 0; i < 4 && (verdict == ROUTE_WAIT || verdict == ROUTE_SLOW); i++) {
		route_ctx_copy(&copy, ctx);
		route_ctx_bind(&copy, script, thread, buf);
		thread->has_state = true;
		verdict = route_resume(&copy);
		route_ctx_copy(ctx, &copy);
	}
	if (verdict == ROUTE_FAILED && ctx->failure == ROUTE_FAILURE_NONE)
		abort();
	if (verdict == ROUTE_SLOW && route_stop_name(ctx)[0] == '\0')
		abort();
	if (!ctx->msg.is_response)
		keep(script, ctx, thread);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct route_ctx ctx;
	static struct route_thread thread;
	static struct route_registry registry;
	static bool ready;
	struct route_report *report = route_report_create();
	char *text = malloc(size);
	struct route_script *script;
	size_t printed = 0;

	if (!ready) {
		language_registry(&registry);
		if (route_thread_init(&thread, 0) != 0)
			abort();
		ready = true;
	}
	if (report == NULL || (text == NULL && size > 0))
		abort();
	/* The text ends where its block ends, so that an over-read is seen. */
	if (size > 0)
		memcpy(text, data, size);
	language_life[0] = '\0';
	script = route_script_load_text("fuzz.cfg", str_of(text, size), &registry, report);
	free(text);
	if ((script == NULL) != (route_report_errors(report) > 0))
		abort();
	if (script != NULL) {
		if (route_explain(script, print, &printed) != 0)
			abort();
		route_script_publish(script);
		run(script, &ctx, &thread, language_invite);
		run(script, &ctx, &thread, language_ok);
	}
	route_script_unref(script);
	route_report_destroy(report);
	return 0;
}
