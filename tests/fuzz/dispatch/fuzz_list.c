/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a list file: an error, or sets from which every algorithm chooses what the list
 * enables. */
#include <stdlib.h>

#include "dispatch/internal.h"

static uint64_t now_ns = 1000 * CLOCK_NS_PER_S;

static uint64_t now(void)
{
	return now_ns;
}

static struct hash128 no_key(void *arg, struct route_ctx *ctx)
{
	return (struct hash128){0, 0};
}

static int no_listener(void *arg, const struct net_endpoint *ep, enum sip_transport transport)
{
	return -1;
}

static struct hash128 transaction(void *arg)
{
	static uint64_t n;

	n++;
	return (struct hash128){n * 0x9e3779b97f4a7c15ULL, n * 0xc2b2ae3d27d4eb4fULL};
}

static void choose_all(
	struct dispatch *d, const struct dispatch_specs *specs, struct route_thread *thread)
{
	static const uint8_t algorithm[] = {0, 4, 6, 8, 9, 11};

	for (unsigned i = 0; i < specs->count && i < 8; i++) {
		bool any = false, up = false;

		for (unsigned j = 0; j < specs->count; j++) {
			bool same = specs->spec[j].set == specs->spec[i].set &&
				    specs->spec[j].state == DISPATCH_ENABLED;

			any |= same;
			up |= same && !specs->spec[j].down;
		}
		for (unsigned a = 0; a < sizeof(algorithm); a++) {
			struct dispatch_choice choice = {
				.set = specs->spec[i].set,
				.algorithm = algorithm[a],
				.klass = DISPATCH_CLASS_OTHER,
				.hash = a * 77 + i,
				.transaction = transaction,
				.thread = thread,
				.now_ns = now_ns,
			};
			uint16_t id = dispatch_choose(d, &choice);

			if ((id != 0) != (any && up))
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A room of its own each time costs little but the pins, which are few here. */
	static struct rcu rcu;
	struct dispatch_config config = {.rcu = &rcu,
		.transaction_key = no_key,
		.find_listener = no_listener,
		.pins = 64,
		.now_ns = now};
	struct route_report *report = route_report_create();
	struct route_thread thread = {.random = 1, .now_ns = now_ns};
	struct dispatch_prepared *prepared;
	struct dispatch_specs specs;
	struct dispatch *d;

	rcu_init(&rcu);
	if (dispatch_list_parse(
		    "list", str_of((const char *)data, size), NULL, NULL, report, &specs) != 0) {
		if (route_report_errors(report) == 0 || specs.count != 0)
			abort();
		route_report_destroy(report);
		return 0;
	}
	d = dispatch_create(&config);
	if (d != NULL &&
		dispatch_generation_prepare(d, "list", &specs,
			&(struct dispatch_options){0, size % 2 != 0}, report, &prepared) == 0) {
		dispatch_generation_publish(d, prepared);
		choose_all(d, &specs, &thread);
	} else if (route_report_errors(report) == 0) {
		abort();
	}
	dispatch_destroy(d);
	dispatch_specs_free(&specs);
	route_report_destroy(report);
	return 0;
}
