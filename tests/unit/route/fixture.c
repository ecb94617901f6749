/* SPDX-License-Identifier: BSD-3-Clause */
#include "../message.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "route/pattern.h"

static const struct route_module *const modules[] = {
	&route_core_module, &route_textops_module, &route_pv_module, &route_xlog_module};

bool fixture_in_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

struct fixture *fixture_create(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (fixture_in_valgrind())
		regex_tune(false, 100);

	assert_non_null(f);
	f->ctx = aligned_alloc(64, (sizeof(*f->ctx) + 63) & ~(size_t)63);
	assert_non_null(f->ctx);
	/* A context's arrays hold whatever was there before. */
	memset(f->ctx, 0xa5, sizeof(*f->ctx));
	assert_int_equal(route_thread_init(&f->thread, 3), 0);
	f->report = route_report_create();
	return f;
}

void fixture_destroy(struct fixture *f)
{
	route_thread_fini(&f->thread);
	route_report_destroy(f->report);
	free(f->ctx);
	free(f->buf);
	free(f);
}

enum sip_error fixture_message_any(struct fixture *f, struct str text)
{
	free(f->buf);
	f->buf = malloc(text.len);
	assert_non_null(f->buf);
	memcpy(f->buf, text.s, text.len);
	f->len = text.len;
	enum sip_error error = sip_msg_index(&f->ctx->msg, f->buf, f->len);

	memset(&f->ctx->origin, 0, sizeof(f->ctx->origin));
	net_addr_parse(STR("192.0.2.7"), &f->ctx->origin.src.addr);
	f->ctx->origin.src.port = 40000;
	net_addr_parse(STR("198.51.100.1"), &f->ctx->origin.dst.addr);
	f->ctx->origin.dst.port = 5060;
	f->ctx->origin.transport = SIP_TRANSPORT_UDP;
	route_ctx_bind(f->ctx, NULL, &f->thread, f->buf);
	route_ctx_reset(f->ctx);
	return error;
}

void fixture_message(struct fixture *f, const char *text)
{
	uint32_t n;
	char *wire = message_wire(text, &n);
	enum sip_error error = fixture_message_any(f, str_of(wire, n));

	free(wire);
	if (error != SIP_OK)
		fail_msg("%s: %s", sip_error_name(error), text);
}

static const struct route_place place = {.file = "test", .line = 1, .column = 1, .length = 1};

const char *fixture_read(struct fixture *f, const char *format)
{
	static char text[70000];
	struct route_format *compiled = route_format_compile(str_c(format), &place, f->report);
	struct route_value value;

	if (compiled == NULL)
		return "NOT LOADED";
	if (!route_format_eval(f->ctx, compiled, &value))
		snprintf(text, sizeof(text), "FAILED %d", f->ctx->failure);
	else if (value.type == ROUTE_NULL)
		snprintf(text, sizeof(text), "NULL");
	else if (value.type == ROUTE_INT)
		snprintf(text, sizeof(text), "%lld", (long long)value.i);
	else
		snprintf(text, sizeof(text), "%.*s", STR_FMT(value.s));
	route_format_free(compiled);
	return text;
}

bool fixture_set(struct fixture *f, const char *variable, const char *value)
{
	int row = route_variable_find(str_c(variable));
	struct route_value v = {.type = value != NULL ? ROUTE_STR : ROUTE_NULL, .s = str_c(value)};

	assert_true(row >= 0);
	assert_non_null(route_variables[row].set);
	const struct route_index index = {.slot = -1};

	return route_variables[row].set(f->ctx, &index, &v);
}

static const struct route_function *find(const char *name)
{
	for (unsigned m = 0; m < sizeof(modules) / sizeof(modules[0]); m++)
		for (const struct route_function *fn = modules[m]->functions; fn->name != NULL;
			fn++)
			if (strcmp(fn->name, name) == 0)
				return fn;
	fail_msg("no function %s", name);
	return NULL;
}

/* What the compiler does: literals that are constant or read as written go to check(), the others
 * are evaluated for run(). */
int32_t fixture_call(struct fixture *f, const char *function, ...)
{
	const struct route_function *fn = find(function);
	struct route_arg arg[ROUTE_ARGS_MAX] = {0};
	struct route_value value[ROUTE_ARGS_MAX] = {0};
	struct route_format *format[ROUTE_ARGS_MAX] = {NULL};
	struct route_args args = {.v = value};
	const char *text;
	int32_t rc = NOT_LOADED;
	void *data = NULL;
	va_list ap;

	va_start(ap, function);
	while ((text = va_arg(ap, const char *)) != NULL) {
		unsigned n = args.n++;
		bool raw = (fn->raw >> n & 1) != 0;

		arg[n].place = place;
		arg[n].constant = raw || strchr(text, '$') == NULL;
		arg[n].value = (struct route_value){.type = ROUTE_STR, .s = str_c(text)};
		if (!raw)
			format[n] = route_format_compile(str_c(text), &place, f->report);
	}
	va_end(ap);
	assert_in_range(args.n, fn->args_min, fn->args_max);
	if (fn->check == NULL ||
		fn->check(NULL, NULL, arg, args.n, &place, f->report, &data) == 0) {
		args.data = data;
		for (unsigned n = 0; n < args.n; n++)
			if (format[n] != NULL)
				assert_true(route_format_eval(f->ctx, format[n], &value[n]));
		rc = fn->run(f->ctx, &args);
		if (data != NULL) {
			assert_non_null(fn->free_data);
			fn->free_data(data);
		}
	}
	for (unsigned n = 0; n < args.n; n++)
		route_format_free(format[n]);
	return rc;
}

const char *fixture_output(struct fixture *f)
{
	static char out[70000];
	int64_t n = sip_edit_apply(&f->ctx->edits, f->buf, f->ctx->msg.len, out, sizeof(out) - 1);

	if (n < 0)
		return "OVERFLOW";
	out[n] = '\0';
	return out;
}
