/* SPDX-License-Identifier: BSD-3-Clause */
/* The case tables: what a look-up costs as tables grow, how long a table takes to build, its
 * memory. */
#include <malloc.h>
#include <stdlib.h>

#include <rte_cycles.h>

#include "bench.h"

#define BUILDS 9
#define LOOKUPS 4096 /* of a window */
#define KEYS 65536
#define PREFIXES 100000
#define NEIGHBOURS 10000
#define SELECTS 32 /* in one script */
#define SELECT_NOTE \
	"ds_select_dst() in the VM, by Call-ID: stage route of a script with 32, 32nd part"
#define PER_RUN 6 /* families of figures that share --seconds */

static size_t heap_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* Rows of a table's building, as a start or a reload builds it; the rooms with the last one. */
static struct rig *measure_builds(
	struct bench *b, const char *config, const char *variant, const char *what)
{
	char path[] = "/tmp/bench-config-XXXXXX", metric[64];
	struct rig_config rc = {.config = path};
	struct rig *r = NULL;
	struct samples ms;
	size_t before = 0;

	bench_write_file(b, path, config);
	samples_init(&ms);
	for (unsigned i = 0; i < BUILDS; i++) {
		uint64_t begun;

		if (r != NULL)
			rig_destroy(r);
		r = rig_rooms(&rc);
		if (r == NULL)
			bench_fail(b, "no rooms");
		rcu_reclaim(r->rcu); /* what the rooms were made with */
		before = heap_bytes();
		begun = clock_now_ns();
		if (rig_load(r, &rc) != 0)
			bench_fail(b, "%s does not load", variant);
		samples_add(&ms, (double)(clock_now_ns() - begun) / 1e6);
	}
	remove(path);
	snprintf(metric, sizeof(metric), "rebuild_ms/%s", variant);
	bench_row(b, metric, "ms", &ms, "memory", what);
	snprintf(metric, sizeof(metric), "table_kib/%s", variant);
	bench_value(b, metric, "KiB", ((double)heap_bytes() - (double)before) / 1024, "memory",
		"heap that the table and its script hold");
	samples_free(&ms);
	return r;
}

static void lookup_rows(struct bench *b, struct samples *ns, const char *variant, const char *what)
{
	char metric[64];

	snprintf(metric, sizeof(metric), "lookups_per_second/%s", variant);
	bench_rate_row(b, metric, ns, "memory", what);
	snprintf(metric, sizeof(metric), "ns_per_lookup/%s", variant);
	bench_row(b, metric, "ns", ns, "memory", what);
}

/* One look-up of a key; whether it was found. */
typedef bool find_fn(const void *table, const struct net_addr *key);

/* Rows of look-ups, keys in turn; the share of them that was found. Inline, so that `find` is. */
static inline __attribute__((always_inline)) double measure_lookups(struct bench *b, find_fn *find,
	const void *table, const struct net_addr key[KEYS], const char *variant, const char *what)
{
	double hz = 1e9 / b->ns_per_cycle, seconds = b->seconds / PER_RUN;
	uint64_t begun = rte_rdtsc(), at = 0, found = 0;
	struct samples ns;

	samples_init(&ns);
	do {
		uint64_t from = rte_rdtsc();

		for (unsigned i = 0; i < LOOKUPS; i++)
			found += find(table, &key[at++ % KEYS]);
		samples_add(&ns, (double)(rte_rdtsc() - from) * b->ns_per_cycle / LOOKUPS);
	} while ((double)(rte_rdtsc() - begun) < seconds * hz);
	lookup_rows(b, &ns, variant, what);
	samples_free(&ns);
	return (double)found / (double)at;
}

static struct net_addr addr_of(uint32_t addr)
{
	return (struct net_addr){.family = 4,
		.b = {(uint8_t)(addr >> 24), (uint8_t)(addr >> 16), (uint8_t)(addr >> 8),
			(uint8_t)addr}};
}

/* ---- destinations ---- */

static char *destinations(struct bench *b, unsigned n)
{
	char *list = bench_alloc(b, (size_t)n + 1, 48);
	size_t at = 0;

	for (unsigned i = 0; i < n; i++)
		at += (size_t)sprintf(
			list + at, "1 sip:10.20.0.%u:%u\n", 11 + i % 200, 5060 + i / 200);
	return list;
}

/* INVITEs through a script that selects SELECTS times: what the VM takes for one, the start of the
 * script and forward() spread over all of them. */
static void measure_select(struct bench *b, const char *list, const char *variant)
{
	struct message_spec spec = {.kind = MESSAGE_INVITE, .least = 600, .greatest = 900};
	struct lot lot = {0x9e3779b97f4a7c15ULL};
	struct draft script = {.s = (char[8192]){0}, .size = 8192};
	struct rig_config config = {
		.list = list, .hops = bench_hops(0, 1500), .workers = 1, .queues = 1};
	void *hops = (void *)(uintptr_t)config.hops;
	struct figures f;
	struct feed feed;
	struct rig *r;
	struct set s;

	draft_add(&script, "request_route {\n");
	for (unsigned i = 0; i < SELECTS; i++)
		draft_add(&script, "ds_select_dst(\"1\", \"0\");\n");
	draft_add(&script, "forward();\n}\n");
	config.script = script.s;
	r = hops != NULL && !script.over ? rig_create_with(&config) : NULL;
	if (r == NULL)
		bench_fail(b, "no rig");
	set_create_requests(b, &s, 0, KEYS / 16, &spec, &lot);
	feed_create(b, &feed, r, 0, s.item, s.n, 2048);
	set_destroy(&s);
	figures_init(&f);
	feed_run(b, &feed, b->seconds / PER_RUN, &f);
	figures_check(b, &f, COUNTER_FORWARDED, variant);
	if (dispatch_counter(r->dispatch, DISPATCH_COUNTER_SELECTED) != SELECTS * feed.in_frames)
		bench_fail(b, "%s: not every ds_select_dst() chose", variant);
	for (unsigned i = 0; i < f.stage[PIPELINE_STAGE_ROUTE].n; i++)
		f.stage[PIPELINE_STAGE_ROUTE].v[i] *= b->ns_per_cycle / SELECTS;
	lookup_rows(b, &f.stage[PIPELINE_STAGE_ROUTE], variant, SELECT_NOTE);
	figures_free(&f);
	feed_destroy(&feed);
	rig_destroy(r);
	free(hops);
}

static void measure_destinations(struct bench *b, unsigned n)
{
	char path[] = "/tmp/bench-list-XXXXXX", variant[32], config[256];
	char *list = destinations(b, n);

	bench_say(b, "%u destinations", n);
	snprintf(variant, sizeof(variant), "destinations/%u", n);
	bench_write_file(b, path, list);
	snprintf(config, sizeof(config),
		"loadmodule \"dispatcher\"\n"
		"modparam(\"dispatcher\", \"list_file\", \"%s\")\n"
		"request_route { ds_select_dst(\"1\", \"0\"); forward(); }\n",
		path);
	rig_destroy(measure_builds(b, config, variant, "read, built and published"));
	remove(path);
	measure_select(b, list, variant);
	free(list);
}

/* ---- address groups ---- */

/* /24 to /32 of all over, as operators' lists are; each in one of eight groups. */
static char *prefixes(struct bench *b, struct lot *lot)
{
	char *list = bench_alloc(b, PREFIXES + 1, 40);
	size_t at = 0;

	for (unsigned i = 0; i < PREFIXES; i++) {
		unsigned bits = 24 + lot_below(lot, 9);
		uint32_t addr = 0x0b000000u + i * 33521u; /* spread over 11/8 and on */

		addr &= ~(uint32_t)0 << (32 - bits);
		at += (size_t)sprintf(list + at, "%u %u.%u.%u.%u %u 0\n", 1 + i % 8, addr >> 24,
			addr >> 16 & 255, addr >> 8 & 255, addr & 255, bits);
	}
	return list;
}

static bool find_group(const void *table, const struct net_addr *key)
{
	return access_address_in_group(table, 0, key, 5060);
}

static void measure_addresses(struct bench *b)
{
	struct net_addr *key = bench_alloc(b, KEYS, sizeof(*key));
	char path[] = "/tmp/bench-list-XXXXXX", config[256];
	struct lot lot = {0x9e3779b97f4a7c15ULL};
	char *list = prefixes(b, &lot);
	struct rig *r;

	bench_say(b, "%u prefixes", PREFIXES);
	bench_write_file(b, path, list);
	snprintf(config, sizeof(config),
		"loadmodule \"permissions\"\n"
		"modparam(\"permissions\", \"address_file\", \"%s\")\n"
		"request_route { allow_source_address(\"1\"); forward(); }\n",
		path);
	r = measure_builds(b, config, "addresses/100000", "read, built and published");
	/* Half of them from within the range that the list covers thinly, half from anywhere. */
	for (unsigned i = 0; i < KEYS; i++)
		key[i] = addr_of(i % 2 == 0 ? 0x0b000000u + lot_below(&lot, PREFIXES) * 33521u
					    : lot_below(&lot, ~0u));
	if (measure_lookups(b, find_group, r->access, key, "addresses/100000",
		    "allow_source_address()'s look-up, half of them hits") == 0)
		bench_fail(b, "no address was found");
	rig_destroy(r);
	remove(path);
	free(list);
	free(key);
}

/* ---- next hops ---- */

static bool find_hop(const void *table, const struct net_addr *key)
{
	struct kernel_hop hop;

	kernel_hop_find(table, key, &hop);
	return hop.state == KERNEL_HOP_READY;
}

static void measure_hops(struct bench *b)
{
	struct net_addr *key = bench_alloc(b, KEYS, sizeof(*key));
	struct lot lot = {0x9e3779b97f4a7c15ULL};
	struct samples ms;
	void *hops = NULL;

	bench_say(b, "%u neighbours", NEIGHBOURS);
	samples_init(&ms);
	for (unsigned i = 0; i < BUILDS; i++) {
		uint64_t begun = clock_now_ns();

		free(hops);
		hops = bench_hops(NEIGHBOURS, 1500);
		if (hops == NULL)
			bench_fail(b, "no memory for %u next hops", NEIGHBOURS);
		samples_add(&ms, (double)(clock_now_ns() - begun) / 1e6);
	}
	bench_row(b, "rebuild_ms/hops/10000", "ms", &ms, "memory", "mirror filled, snapshot built");
	bench_value(b, "table_kib/hops/10000", "KiB", (double)malloc_usable_size(hops) / 1024,
		"memory", "the snapshot");
	for (unsigned i = 0; i < KEYS; i++)
		key[i] = addr_of(0x0a800000u + lot_below(&lot, NEIGHBOURS)); /* 10.128/9 */
	if (measure_lookups(
		    b, find_hop, hops, key, "hops/10000", "longest prefix, then neighbour") < 1)
		bench_fail(b, "a neighbour was not found");
	samples_free(&ms);
	free(hops);
	free(key);
}

int case_tables(struct bench *b)
{
	static const unsigned destinations_of[] = {2, 10, 100, 1000};

	for (unsigned i = 0; i < RTE_DIM(destinations_of); i++)
		measure_destinations(b, destinations_of[i]);
	measure_addresses(b);
	measure_hops(b);
	return 0;
}
