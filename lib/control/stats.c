/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>

#include "control/control.h"

static void print_terms(
	const uint64_t sum[COUNTER_COUNT], enum counter_kind kind, const char *indent)
{
	for (unsigned id = 0; id < COUNTER_COUNT; id++)
		if (counter_name(id) != NULL && counter_kind(id) == kind && sum[id] != 0)
			fprintf(stderr, "%s%-24s %" PRIu64 "\n", indent, counter_name(id), sum[id]);
}

void control_print_stats(struct control *c)
{
	uint64_t sum[COUNTER_COUNT];
	struct counter_balance b;

	pipeline_counters(c->pipeline, sum);
	b = counter_balance(sum);
	fprintf(stderr,
		"frames in %" PRIu64 " = done %" PRIu64 " + dropped %" PRIu64 " + held %" PRIu64
		"   (%s)\n",
		b.in, b.done, b.dropped, b.held, b.exact ? "exact" : "in flight");
	print_terms(sum, COUNTER_DONE, "  ");
	print_terms(sum, COUNTER_DROP, "  dropped: ");
	print_terms(sum, COUNTER_INFO, "  ");
}
