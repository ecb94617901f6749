/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a typical script costs: prints nanoseconds and VM instructions a run. `bench_vm N` runs it N
 * times, also below valgrind --tool=callgrind (the difference of two N, divided by theirs, is what
 * one run takes).
 */
#include "language.h"

#include <stdio.h>
#include <stdlib.h>

static const char script[] =
	"loadmodule \"test.so\" loadmodule \"sl.so\" loadmodule \"rr.so\" loadmodule "
	"\"maxfwd.so\"\n"
	"loadmodule \"dispatcher.so\"\n"
	"request_route {\n"
	"	if (!mf_process_maxfwd_header(\"10\")) { sl_send_reply(\"483\", \"Too Many "
	"Hops\"); exit; }\n"
	"	if (msg:len > 4096) { sl_send_reply(\"513\", \"Too Large\"); exit; }\n"
	"	if ($hdr(To) == \"x\") exit;\n"
	"	if (loose_route()) { relay(); exit; }\n"
	"	if (method == \"INVITE\" || method == \"SUBSCRIBE\") record_route();\n"
	"	if (uri != myself) exit;\n"
	"	$var(x) = $var(x) + 1;\n"
	"	if (src_ip == 10.0.0.0/8) setflag(1);\n"
	"	if (!ds_select_dst(\"1\", \"0\")) { sl_send_reply(\"503\", \"No Destination\"); "
	"exit; }\n"
	"	ds_next_dst();\n"
	"}\n";

int main(int argc, char **argv)
{
	struct language *l = language_load(script);
	long n = argc > 1 ? atol(argv[1]) : 3000000;
	uint64_t steps = 0, begin;

	assert_non_null(l->script);
	language_message(l, language_invite);
	begin = clock_now_ns();
	for (long i = 0; i < n; i++) {
		l->ctx->steps = 0;
		l->ctx->text_len = 0;
		l->ctx->var_set = 0;
		assert_int_equal(route_run(l->ctx), ROUTE_ENDED);
		steps += l->ctx->steps;
	}
	printf("%.1f ns and %.1f VM instructions a run\n",
		(double)(clock_now_ns() - begin) / (double)n, (double)steps / (double)n);
	language_free(l);
	return 0;
}
