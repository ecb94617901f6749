/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>

#include "control/control.h"

static void print_count(void *arg, const char *name, uint64_t n)
{
	if (n != 0)
		fprintf(stderr, "  %-24s %" PRIu64 "\n", name, n);
}

static void print_terms(
	const uint64_t sum[COUNTER_COUNT], enum counter_kind kind, const char *indent)
{
	for (unsigned id = 0; id < COUNTER_COUNT; id++)
		if (counter_name(id) != NULL && counter_kind(id) == kind && sum[id] != 0)
			fprintf(stderr, "%s%-24s %" PRIu64 "\n", indent, counter_name(id), sum[id]);
}

static void print_state(const struct control *c)
{
	struct location_stats location;
	struct txn_usage txn;

	location_stats(c->location, &location);
	txn_usage(c->txn, &txn);
	fprintf(stderr, "  %-24s %" PRIu64 " of %" PRIu64 ", %" PRIu64 " addresses-of-record\n",
		"contacts", location.contacts, location.contacts_max, location.aors);
	fprintf(stderr,
		"  %-24s %" PRIu64 " of %" PRIu64 ", %" PRIu64 " of them done and absorbing\n",
		"transactions", txn.transactions, txn.transactions_max, txn.absorbing);
	control_figures(c, CONTROL_GROUP_REGISTRAR, print_count, NULL);
	for (unsigned id = 0; id < TXN_COUNTER_COUNT; id++)
		print_count(NULL, txn_counter_name((enum txn_counter)id),
			txn_counter(c->txn, (enum txn_counter)id));
	control_figures(c, CONTROL_GROUP_DB, print_count, NULL);
	control_figures(c, CONTROL_GROUP_AUTH, print_count, NULL);
	control_figures(c, CONTROL_GROUP_ACC, print_count, NULL);
	control_figures(c, CONTROL_GROUP_CONTROL, print_count, NULL);
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
	print_state(c);
}
