/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench CASE: measures one case and prints its rows, as a table or as JSON. tools/bench runs it.
 */
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>

#include "bench.h"

#define SECONDS_DEFAULT 5
#define CONTACTS_DEFAULT 10000000
#define THREADS_DEFAULT 2
#define MEGABYTES 512

struct bench_case {
	const char *name, *summary;
	int (*run)(struct bench *b);
	unsigned cores; /* that DPDK shall have; 0: the case needs none of it */
};

static const struct bench_case cases[] = {
	{"parse", "header index and check, each scanner", case_parse, 0},
	{"dispatch", "INVITEs of 600 to 900 bytes, forwarded", case_dispatch, 1},
	{"response", "180 and 200, verified and forwarded", case_response, 1},
	{"indialog", "ACK, BYE and re-INVITE, loose routed both ways", case_indialog, 1},
	{"options", "OPTIONS, answered by us", case_options, 1},
	{"mix", "all messages of calls", case_mix, 1},
	{"malformed", "garbage, broken messages, scanners", case_malformed, 1},
	{"fragments", "INVITEs in two IP fragments, in and out", case_fragments, 1},
	{"size", "INVITEs of 300 to 8,000 bytes", case_size, 1},
	{"tables", "destinations, address groups, next hops", case_tables, 1},
	{"register", "phones that register, a slow lcore beside the worker", case_register, 2},
	{"register-auth", "phones that register with a password", case_register_auth, 2},
	{"db", "phones that register, each answered when it is on disk", case_db, 1},
	{"calls", "INVITE to BYE through t_relay(), a slow lcore beside the worker", case_calls, 2},
	{"lookup", "INVITEs forwarded to where their users are registered", case_lookup, 1},
	{"beside", "the fast path while a slow lcore is busy", case_beside, 2},
	{"location", "contacts: bytes, inserts, look-ups, to ten million", case_location, 0},
	{"scale", "one worker and two, on a CPU each", case_scale, 2},
};

static const char help[] = "Usage: bench CASE [options]\n"
			   "\n"
			   "  --seconds S      for each figure, or family of figures (default 5)\n"
			   "  --json           one object a line\n"
			   "  --config FILE    routing file instead of conf/bench.cfg\n"
			   "  --scanner NAME   instead of the best that the CPU has\n"
			   "  --contacts N     no table of more (default 10,000,000)\n"
			   "  --threads 1      worker and slow lcore take turns on one CPU\n"
			   "  --wire           register, calls: phones at sockets, told by stdin\n"
			   "  --no-huge        no transparent hugepages\n"
			   "  --show N         print N messages of the set, measure nothing\n"
			   "  --count N        N bursts and no time taken: for callgrind\n"
			   "\n"
			   "Cases:\n";

enum {
	OPTION_SECONDS = 256,
	OPTION_CONFIG,
	OPTION_SCANNER,
	OPTION_COUNT,
	OPTION_SHOW,
	OPTION_CONTACTS,
	OPTION_THREADS
};

static const char *cpu_name(void)
{
	static char name[160] = "unknown";
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "r");
	cpu_set_t set;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		const char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
			snprintf(name, sizeof(name), "%.*s", (int)strcspn(colon + 2, "\n"),
				colon + 2);
			break;
		}
	}
	if (f != NULL)
		fclose(f);
	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		snprintf(name + strlen(name), sizeof(name) - strlen(name), ", %d CPUs",
			CPU_COUNT(&set));
	return name;
}

/* Of the memory that messages stand in; nothing where DPDK has none of it. */
static bool started;

static const char *pages(void)
{
	unsigned long huge = 0;
	char line[256];
	FILE *f = started ? fopen("/proc/self/smaps_rollup", "r") : NULL;

	if (f == NULL)
		return "";
	while (fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "AnonHugePages: %lu", &huge);
	fclose(f);
	return huge > 0 ? ", transparent hugepages" : ", 4 KB pages";
}

const char *bench_build(void)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s %s, %s, scanner %s%s",
#ifdef __clang__
		"clang", __clang_version__,
#else
		"gcc", __VERSION__,
#endif
		BENCH_OPTIONS, sip_scan_name(), pages());
	return text;
}

static int usage(void)
{
	fputs("bench: see bench --help\n", stderr);
	return 2;
}

static int print_help(void)
{
	fputs(help, stdout);
	for (unsigned i = 0; i < RTE_DIM(cases); i++)
		printf("  %-12s %s\n", cases[i].name, cases[i].summary);
	return 0;
}

/* The frequency of the TSC, for cases that run without DPDK too. */
static double tsc_ns(void)
{
	uint64_t ns = clock_now_ns(), tsc = rte_rdtsc();
	double spent;

	usleep(50000);
	spent = (double)(rte_rdtsc() - tsc);
	return (double)(clock_now_ns() - ns) / spent;
}

static const struct bench_case *find_case(const char *name)
{
	for (unsigned i = 0; i < RTE_DIM(cases); i++)
		if (strcmp(cases[i].name, name) == 0)
			return &cases[i];
	return NULL;
}

static int run(struct bench *b, const struct bench_case *c, bool hugepages)
{
	unsigned cores = b->wire ? 0 : RTE_MIN(c->cores, b->threads);

	b->name = c->name;
	if (cores > 0 && rig_eal_cores("bench", MEGABYTES, cores, hugepages) != 0)
		bench_fail(b, "DPDK does not start on %u CPUs with %u MB", cores, MEGABYTES);
	started = cores > 0;
	b->ns_per_cycle = b->count != 0 ? 1 : tsc_ns();
	return c->run(b);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"seconds", required_argument, NULL, OPTION_SECONDS},
		{"json", no_argument, NULL, 'j'},
		{"config", required_argument, NULL, OPTION_CONFIG},
		{"scanner", required_argument, NULL, OPTION_SCANNER},
		{"no-huge", no_argument, NULL, 'n'},
		{"contacts", required_argument, NULL, OPTION_CONTACTS},
		{"threads", required_argument, NULL, OPTION_THREADS},
		{"show", required_argument, NULL, OPTION_SHOW},
		{"count", required_argument, NULL, OPTION_COUNT},
		{"wire", no_argument, NULL, 'w'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct bench b = {.seconds = SECONDS_DEFAULT,
		.contacts = CONTACTS_DEFAULT,
		.threads = THREADS_DEFAULT,
		.config = BENCH_CONFIG,
		.cpu = cpu_name()};
	const struct bench_case *c;
	bool hugepages = true;
	int option;

	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (option) {
		case OPTION_SECONDS:
			b.seconds = atof(optarg);
			break;
		case 'j':
			b.json = true;
			break;
		case OPTION_CONFIG:
			b.config = optarg;
			break;
		case OPTION_SCANNER:
			if (sip_scan_select(optarg) != 0) {
				fprintf(stderr, "bench: no scanner '%s' here\n", optarg);
				return 2;
			}
			break;
		case 'n':
			hugepages = false;
			break;
		case OPTION_SHOW:
			b.show = (unsigned)atoi(optarg);
			break;
		case OPTION_CONTACTS:
			b.contacts = (uint32_t)atoi(optarg);
			break;
		case OPTION_THREADS:
			b.threads = (unsigned)atoi(optarg);
			break;
		case OPTION_COUNT:
			b.count = strtoull(optarg, NULL, 10);
			break;
		case 'w':
			b.wire = true;
			break;
		case 'h':
			return print_help();
		default:
			return usage();
		}
	}
	if (optind != argc - 1 || b.seconds <= 0 || (c = find_case(argv[optind])) == NULL)
		return usage();
	return run(&b, c, hugepages);
}
