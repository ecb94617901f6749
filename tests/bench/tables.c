/* SPDX-License-Identifier: BSD-3-Clause */
/* The case tables: what a look-up costs as tables grow, how long a table takes to build, its
 * memory. */
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "bench.h"

#define BUILDS 9
#define LOOKUPS 4096 /* of a window */
#define KEYS 65536
#define PREFIXES 100000
#define NEIGHBOURS 10000
#define SELECTS 8 /* more of them in one script than in the other */
#define TURN_WINDOWS 15
#define PER_RUN 6 /* families of figures that share --seconds */

/* The rooms that a list is read into. */
struct rooms {
	struct rcu *rcu;
	int reader;
	struct resolver *resolver;
	struct proxy *proxy;
	struct access *access;
	struct dispatch *dispatch;
	struct route_registry registry;
	struct route_script *script;
};

static size_t heap_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void rooms_open(struct bench *b, struct rooms *r)
{
	struct dispatch_config dc = {.now_ns = clock_now_ns, .pins = 1024};

	*r = (struct rooms){.rcu = aligned_alloc(64, sizeof(*r->rcu))};
	rcu_init(r->rcu);
	r->reader = rcu_register(r->rcu);
	r->resolver = resolver_create(NULL, r->rcu);
	r->proxy = proxy_create(r->rcu, r->resolver);
	r->access = access_create(r->rcu);
	dc.rcu = r->rcu;
	dc.resolver = r->resolver;
	dc.proxy = r->proxy;
	r->dispatch = dispatch_create(&dc);
	route_registry_init(&r->registry);
	proxy_hooks(r->proxy, &r->registry.hooks);
	if (r->dispatch == NULL || r->access == NULL ||
		proxy_register(r->proxy, &r->registry) != 0 ||
		route_registry_add(&r->registry, &access_permissions_module, r->access) != 0 ||
		route_registry_add(&r->registry, &dispatch_module, r->dispatch) != 0)
		bench_fail(b, "the rooms cannot be made");
}

static void rooms_close(struct rooms *r)
{
	route_script_unref(r->script);
	dispatch_destroy(r->dispatch);
	access_destroy(r->access);
	proxy_destroy(r->proxy);
	resolver_destroy(r->resolver);
	rcu_fini(r->rcu);
	free(r->rcu);
}

/* Reads and publishes a configuration, as a reload does. */
static void rooms_load(struct bench *b, struct rooms *r, const char *text)
{
	struct route_report *report = route_report_create();

	r->script = route_script_load_text("bench.cfg", str_c(text), &r->registry, report);
	if (r->script == NULL)
		bench_fail(b, "%s", route_report_text(report));
	route_script_publish(r->script);
	rcu_quiescent(r->rcu, r->reader);
	rcu_reclaim(r->rcu);
	route_report_destroy(report);
}

/* Writes a list to the path of mkstemp(3). */
static void write_file(struct bench *b, char *path, const char *text)
{
	int fd = mkstemp(path);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		bench_fail(b, "%s cannot be written", path);
}

/* Rows of a table's building; the rooms stay open with the last one. */
static void measure_builds(
	struct bench *b, struct rooms *r, const char *config, const char *variant, const char *what)
{
	struct samples ms;
	size_t before = 0;
	char metric[64];

	samples_init(&ms);
	for (unsigned i = 0; i < BUILDS; i++) {
		uint64_t begun;

		if (i > 0)
			rooms_close(r);
		rooms_open(b, r);
		before = heap_bytes();
		begun = clock_now_ns();
		rooms_load(b, r, config);
		samples_add(&ms, (double)(clock_now_ns() - begun) / 1e6);
	}
	snprintf(metric, sizeof(metric), "rebuild_ms/%s", variant);
	bench_row(b, metric, "ms", &ms, "memory", what);
	snprintf(metric, sizeof(metric), "table_kib/%s", variant);
	bench_value(b, metric, "KiB", (double)(heap_bytes() - before) / 1024, "memory",
		"heap that the table and its script hold");
	samples_free(&ms);
}

static void lookup_rows(struct bench *b, struct samples *ns, const char *variant, const char *what)
{
	struct samples rate;
	char metric[64];

	samples_init(&rate);
	for (unsigned i = 0; i < ns->n; i++)
		samples_add(&rate, 1e9 / ns->v[i]);
	snprintf(metric, sizeof(metric), "lookups_per_second/%s", variant);
	bench_row(b, metric, "1/s", &rate, "memory", what);
	snprintf(metric, sizeof(metric), "ns_per_lookup/%s", variant);
	bench_row(b, metric, "ns", ns, "memory", what);
	samples_free(&rate);
}

/* ---- destinations ---- */

static char *destinations(struct bench *b, unsigned n)
{
	char *list = malloc((size_t)n * 48 + 1);
	size_t at = 0;

	if (list == NULL)
		bench_fail(b, "not enough memory");
	for (unsigned i = 0; i < n; i++)
		at += (size_t)sprintf(
			list + at, "1 sip:10.20.0.%u:%u\n", 11 + i % 200, 5060 + i / 200);
	return list;
}

/* A feed of INVITEs through a script that selects `selects` times. */
static void select_feed(
	struct bench *b, struct feed *f, const char *list, unsigned selects, const void *hops)
{
	struct message_spec spec = {.kind = MESSAGE_INVITE, .least = 600, .greatest = 900};
	struct lot lot = {0x9e3779b97f4a7c15ULL};
	struct feed_item *item = calloc(KEYS / 16, sizeof(*item));
	static char room[MESSAGE_MAX];
	char script[2048] = "request_route {\n";
	struct rig_config config = {
		.script = script, .list = list, .hops = hops, .workers = 1, .queues = 1};
	struct rig *r;
	struct call c;

	for (unsigned i = 0; i < selects; i++)
		strcat(script, "ds_select_dst(\"1\", \"0\");\n");
	strcat(script, "forward();\n}\n");
	r = rig_create_with(&config);
	if (r == NULL || item == NULL)
		bench_fail(b, "no rig");
	for (unsigned i = 0; i < KEYS / 16; i++) {
		struct draft d = {.s = room, .size = sizeof(room)};

		call_of(&c, i);
		message_request(&d, &c, &spec, &lot);
		item[i].src = c.caller;
		item[i].text = str_of(malloc(d.len), d.len);
		memcpy((char *)(uintptr_t)item[i].text.s, d.s, d.len);
	}
	feed_create(b, f, r, 0, item, KEYS / 16, 2048);
	for (unsigned i = 0; i < KEYS / 16; i++)
		free((void *)(uintptr_t)item[i].text.s);
	free(item);
}

/* What one ds_select_dst() more costs in the VM: the difference of two scripts by turns. */
static void measure_select(struct bench *b, const char *list, const char *variant)
{
	double hz = 1e9 / b->ns_per_cycle, seconds = b->seconds / PER_RUN;
	void *hops = bench_hops(0, 1500);
	struct samples ns;
	char metric[64];
	struct feed f[2];
	uint64_t begun;

	samples_init(&ns);
	select_feed(b, &f[0], list, 1, hops);
	select_feed(b, &f[1], list, 1 + SELECTS, hops);
	begun = rte_rdtsc();
	do {
		double cycles[2][TURN_WINDOWS], median[2];

		/* Windows by turns and medians of them: what the machine does to one window would
		 * outweigh a look-up's share. */
		for (unsigned i = 0; i < 2 * TURN_WINDOWS; i++) {
			struct window w;

			feed_window(&f[i % 2], 32, &w);
			cycles[i % 2][i / 2] =
				(double)w.stage[PIPELINE_STAGE_ROUTE] / (double)w.frames;
		}
		for (unsigned i = 0; i < 2; i++) {
			struct samples turn = {cycles[i], TURN_WINDOWS};

			median[i] = samples_median(&turn);
		}
		samples_add(&ns, (median[1] - median[0]) / SELECTS * b->ns_per_cycle);
	} while ((double)(rte_rdtsc() - begun) < seconds * hz);
	/* A difference may come out as less than nothing: a rate of the median alone. */
	snprintf(metric, sizeof(metric), "ns_per_lookup/%s", variant);
	bench_row(b, metric, "ns", &ns, "memory", "one ds_select_dst() more in the VM, by Call-ID");
	snprintf(metric, sizeof(metric), "lookups_per_second/%s", variant);
	bench_value(b, metric, "1/s", 1e9 / samples_median(&ns), "memory", "of the median");
	for (unsigned i = 0; i < 2; i++) {
		struct rig *r = f[i].rig;

		feed_destroy(&f[i]);
		rig_destroy(r);
	}
	free(hops);
	samples_free(&ns);
}

static void measure_destinations(struct bench *b, unsigned n)
{
	char path[] = "/tmp/bench-list-XXXXXX", variant[32], config[256];
	char *list = destinations(b, n);
	struct rooms r;

	bench_say(b, "%u destinations", n);
	snprintf(variant, sizeof(variant), "destinations/%u", n);
	write_file(b, path, list);
	snprintf(config, sizeof(config),
		"loadmodule \"dispatcher\"\n"
		"modparam(\"dispatcher\", \"list_file\", \"%s\")\n"
		"request_route { ds_select_dst(\"1\", \"0\"); forward(); }\n",
		path);
	measure_builds(b, &r, config, variant, "read, built and published; 1,024 pins");
	rooms_close(&r);
	unlink(path);
	measure_select(b, list, variant);
	free(list);
}

/* ---- address groups ---- */

/* /24 to /32 of all over, as operators' lists are; each in one of eight groups. */
static char *prefixes(struct bench *b, struct lot *lot)
{
	char *list = malloc((size_t)PREFIXES * 40 + 1);
	size_t at = 0;

	if (list == NULL)
		bench_fail(b, "not enough memory");
	for (unsigned i = 0; i < PREFIXES; i++) {
		unsigned bits = 24 + lot_below(lot, 9);
		uint32_t addr = 0x0b000000u + i * 33521u; /* spread over 11/8 and on */

		addr &= ~(uint32_t)0 << (32 - bits);
		at += (size_t)sprintf(list + at, "%u %u.%u.%u.%u %u 0\n", 1 + i % 8, addr >> 24,
			addr >> 16 & 255, addr >> 8 & 255, addr & 255, bits);
	}
	return list;
}

static void measure_addresses(struct bench *b)
{
	double hz = 1e9 / b->ns_per_cycle, seconds = b->seconds / PER_RUN;
	struct net_addr *key = calloc(KEYS, sizeof(*key));
	char path[] = "/tmp/bench-list-XXXXXX", config[256];
	struct lot lot = {0x9e3779b97f4a7c15ULL};
	char *list = prefixes(b, &lot);
	unsigned at = 0, inside = 0;
	struct samples ns;
	struct rooms r;
	uint64_t begun;

	bench_say(b, "%u prefixes", PREFIXES);
	write_file(b, path, list);
	snprintf(config, sizeof(config),
		"loadmodule \"permissions\"\n"
		"modparam(\"permissions\", \"address_file\", \"%s\")\n"
		"request_route { allow_source_address(\"1\"); forward(); }\n",
		path);
	measure_builds(b, &r, config, "addresses/100000", "read, built and published");
	for (unsigned i = 0; i < KEYS; i++) {
		char text[32];
		/* Half of them from within the range that the list covers thinly, half beside. */
		uint32_t addr = 0x0b000000u + lot_below(&lot, PREFIXES) * 33521u;

		if (i % 2 != 0)
			addr = lot_below(&lot, ~0u);
		snprintf(text, sizeof(text), "%u.%u.%u.%u", addr >> 24, addr >> 16 & 255,
			addr >> 8 & 255, addr & 255);
		net_addr_parse(str_c(text), &key[i]);
	}
	samples_init(&ns);
	begun = rte_rdtsc();
	do {
		uint64_t from = rte_rdtsc();

		for (unsigned i = 0; i < LOOKUPS; i++)
			inside += access_address_in_group(r.access, 0, &key[at++ % KEYS], 5060);
		samples_add(&ns, (double)(rte_rdtsc() - from) * b->ns_per_cycle / LOOKUPS);
	} while ((double)(rte_rdtsc() - begun) < seconds * hz);
	if (inside == 0)
		bench_fail(b, "no address was found");
	lookup_rows(
		b, &ns, "addresses/100000", "allow_source_address()'s look-up, half of them hits");
	samples_free(&ns);
	rooms_close(&r);
	unlink(path);
	free(list);
	free(key);
}

/* ---- next hops ---- */

static void measure_hops(struct bench *b)
{
	double hz = 1e9 / b->ns_per_cycle, seconds = b->seconds / PER_RUN;
	struct net_addr *key = calloc(KEYS, sizeof(*key));
	struct lot lot = {0x9e3779b97f4a7c15ULL};
	unsigned at = 0, ready = 0;
	struct samples ns, ms;
	void *hops = NULL;
	uint64_t begun;

	bench_say(b, "%u neighbours", NEIGHBOURS);
	samples_init(&ms);
	samples_init(&ns);
	for (unsigned i = 0; i < BUILDS; i++) {
		free(hops);
		begun = clock_now_ns();
		hops = bench_hops(NEIGHBOURS, 1500);
		samples_add(&ms, (double)(clock_now_ns() - begun) / 1e6);
	}
	if (hops == NULL || key == NULL)
		bench_fail(b, "not enough memory");
	bench_row(b, "rebuild_ms/hops/10000", "ms", &ms, "memory", "mirror filled, snapshot built");
	bench_value(b, "table_kib/hops/10000", "KiB", (double)malloc_usable_size(hops) / 1024,
		"memory", "the snapshot");
	for (unsigned i = 0; i < KEYS; i++) {
		uint32_t n = lot_below(&lot, NEIGHBOURS);
		char text[32];

		snprintf(text, sizeof(text), "10.128.%u.%u", n >> 8, n & 255);
		net_addr_parse(str_c(text), &key[i]);
	}
	begun = rte_rdtsc();
	do {
		uint64_t from = rte_rdtsc();

		for (unsigned i = 0; i < LOOKUPS; i++) {
			struct kernel_hop hop;

			kernel_hop_find(hops, &key[at++ % KEYS], &hop);
			ready += hop.state == KERNEL_HOP_READY;
		}
		samples_add(&ns, (double)(rte_rdtsc() - from) * b->ns_per_cycle / LOOKUPS);
	} while ((double)(rte_rdtsc() - begun) < seconds * hz);
	if (ready != at)
		bench_fail(b, "%u of %u neighbours were found", ready, at);
	lookup_rows(b, &ns, "hops/10000", "longest prefix, then neighbour");
	samples_free(&ns);
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
