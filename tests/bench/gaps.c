/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the machine takes away from a thread that never sleeps: a loop on each CPU reads the clock
 * and notes how long it stood still. A latency of a polled system has these in it, whatever the
 * system. gaps SECONDS [CPU...]; prints a JSON object a CPU: the share of time lost, and for each
 * power of two of microseconds how many gaps were that long or longer.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define CPUS_MAX 256
/* A pass takes some tens of nanoseconds; what is longer than this was taken away. */
#define GAP_NS 1000
#define BUCKETS 16 /* from 1 us to 32 ms and more */
#define NS_PER_S 1000000000ull

struct watch {
	pthread_t thread;
	int cpu;
	double seconds, tsc_per_ns;
	uint64_t ns, gap_ns, gaps, longest_ns, bucket[BUCKETS];
	int error;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static double tsc_rate(void)
{
	uint64_t begun = now_ns(), tsc = __rdtsc();

	while (now_ns() - begun < NS_PER_S / 20)
		;
	return (double)(__rdtsc() - tsc) / (double)(now_ns() - begun);
}

static void note(struct watch *w, uint64_t ns)
{
	unsigned b = 0;

	w->gaps++;
	w->gap_ns += ns;
	if (ns > w->longest_ns)
		w->longest_ns = ns;
	for (uint64_t us = ns / 1000; us > 1 && b < BUCKETS - 1; us /= 2)
		b++;
	w->bucket[b]++;
}

static void *watch(void *arg)
{
	struct watch *w = arg;
	uint64_t limit = (uint64_t)(GAP_NS * w->tsc_per_ns), begun, last, end;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(w->cpu, &set);
	w->error = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	if (w->error != 0)
		return NULL;
	begun = last = __rdtsc();
	end = begun + (uint64_t)(w->seconds * (double)NS_PER_S * w->tsc_per_ns);
	while (last < end) {
		uint64_t now = __rdtsc();

		if (now - last > limit)
			note(w, (uint64_t)((double)(now - last) / w->tsc_per_ns));
		last = now;
	}
	w->ns = (uint64_t)((double)(last - begun) / w->tsc_per_ns);
	return NULL;
}

static void say(const struct watch *w)
{
	printf("{\"cpu\": %d, \"ns\": %" PRIu64 ", \"gaps\": %" PRIu64 ", \"gap_ns\": %" PRIu64
	       ", \"longest_ns\": %" PRIu64 ", \"at_least_us\": {",
		w->cpu, w->ns, w->gaps, w->gap_ns, w->longest_ns);
	for (unsigned b = 0; b < BUCKETS; b++) {
		uint64_t n = 0;

		for (unsigned i = b; i < BUCKETS; i++)
			n += w->bucket[i];
		printf("%s\"%u\": %" PRIu64, b > 0 ? ", " : "", 1u << b, n);
	}
	printf("}}\n");
}

/* The CPUs that were named, else all that this process may use. */
static unsigned cpus_of(int argc, char **argv, int *out)
{
	unsigned n = 0;
	cpu_set_t set;

	for (int i = 2; i < argc && n < CPUS_MAX; i++)
		out[n++] = atoi(argv[i]);
	CPU_ZERO(&set);
	if (n > 0 || sched_getaffinity(0, sizeof(set), &set) != 0)
		return n;
	for (int i = 0; i < CPU_SETSIZE && n < CPUS_MAX; i++)
		if (CPU_ISSET(i, &set))
			out[n++] = i;
	return n;
}

int main(int argc, char **argv)
{
	static struct watch w[CPUS_MAX];
	int cpu[CPUS_MAX];
	double seconds = argc > 1 ? atof(argv[1]) : 0, rate;
	unsigned n;

	if (seconds <= 0) {
		fputs("usage: gaps SECONDS [CPU...]\n", stderr);
		return 2;
	}
	n = cpus_of(argc, argv, cpu);
	rate = tsc_rate();
	for (unsigned i = 0; i < n; i++) {
		w[i] = (struct watch){.cpu = cpu[i], .seconds = seconds, .tsc_per_ns = rate};
		if (pthread_create(&w[i].thread, NULL, watch, &w[i]) != 0)
			return 1;
	}
	for (unsigned i = 0; i < n; i++) {
		pthread_join(w[i].thread, NULL);
		if (w[i].error != 0) {
			fprintf(stderr, "gaps: CPU %d: %s\n", w[i].cpu, strerror(w[i].error));
			return 1;
		}
		say(&w[i]);
	}
	return 0;
}
