/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "siplane.h"

struct cpus {
	unsigned n;
	int cpu[CPU_SETSIZE];
};

static void cpus_allowed(struct cpus *out)
{
	cpu_set_t set;

	out->n = 0;
	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		CPU_SET(0, &set);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			out->cpu[out->n++] = i;
}

/* "2-7,9": numbers and ranges. A CPU may stand twice: two jobs on it. */
static int cpus_parse(const char *text, struct cpus *out)
{
	struct str rest = str_c(text);

	out->n = 0;
	while (rest.len > 0) {
		int64_t comma = str_find(rest, ',');
		struct str item = str_trim(str_of(rest.s, comma < 0 ? rest.len : (size_t)comma));
		int64_t dash = str_find(item, '-');
		uint32_t from, to;

		if (str_to_u32(dash < 0 ? item : str_of(item.s, (size_t)dash), CPU_SETSIZE - 1,
			    &from) != 0)
			return -EINVAL;
		to = from;
		if (dash >= 0 && str_to_u32(str_of(item.s + dash + 1, item.len - (size_t)dash - 1),
					 CPU_SETSIZE - 1, &to) != 0)
			return -EINVAL;
		for (uint32_t i = from; i <= to; i++) {
			if (out->n == CPU_SETSIZE)
				return -EINVAL;
			out->cpu[out->n++] = (int)i;
		}
		rest = comma < 0 ? STR_NONE
				 : str_of(rest.s + comma + 1, rest.len - (size_t)comma - 1);
	}
	return out->n > 0 ? 0 : -EINVAL;
}

static bool holds(const struct cpus *set, int cpu)
{
	for (unsigned i = 0; i < set->n; i++)
		if (set->cpu[i] == cpu)
			return true;
	return false;
}

static int check_allowed(const struct cpus *want, const struct cpus *allowed, const char *what,
	char *error, size_t error_size)
{
	for (unsigned i = 0; i < want->n; i++) {
		if (!holds(allowed, want->cpu[i])) {
			snprintf(error, error_size,
				"cores { %s }: CPU %d is not one that this process may use (see: "
				"taskset -p $$)",
				what, want->cpu[i]);
			return -EINVAL;
		}
	}
	return 0;
}

static struct layout_thread *thread_on(struct layout *l, int cpu)
{
	for (unsigned i = 0; i < l->threads; i++)
		if (l->thread[i].cpu == cpu)
			return &l->thread[i];
	l->thread[l->threads] = (struct layout_thread){.cpu = cpu};
	return &l->thread[l->threads++];
}

/* CPUs from which a slow lcore gets one of its own. */
#define SLOW_APART 4

/*
 * Where nobody said: beside control, unless the script needs state and there are CPUs enough. Those
 * are then the first ones that no other job has, and one is left for a worker.
 */
static void default_slow(const struct route_config *config, const struct cpus *allowed, int control,
	const struct cpus *workers, bool apart, struct cpus *out)
{
	struct cpus others = {0};

	if (apart && allowed->n >= SLOW_APART)
		for (unsigned i = 0; i < allowed->n; i++)
			if (allowed->cpu[i] != control && !holds(workers, allowed->cpu[i]))
				others.cpu[others.n++] = allowed->cpu[i];
	if (others.n > 1 && workers->n == 0)
		others.n--;
	if (others.n == 0)
		others.cpu[others.n++] = control;
	out->n = config->slow_count > 0 ? (unsigned)config->slow_count : 1;
	for (unsigned i = 0; i < out->n; i++)
		out->cpu[i] = others.cpu[i % others.n];
}

static void default_workers(const struct route_config *config, const struct cpus *allowed,
	int control, const struct cpus *slow, struct cpus *out)
{
	struct cpus others = {0};

	for (unsigned i = 0; i < allowed->n; i++)
		if (allowed->cpu[i] != control && !holds(slow, allowed->cpu[i]))
			others.cpu[others.n++] = allowed->cpu[i];
	if (others.n == 0)
		others.cpu[others.n++] = control;
	out->n = config->workers_count > 0 ? (unsigned)config->workers_count : others.n;
	for (unsigned i = 0; i < out->n; i++)
		out->cpu[i] = others.cpu[i % others.n];
}

/* A list of the configuration; left out, it is empty. */
static int cpus_of(const char *text, const char *what, const struct cpus *allowed, unsigned max,
	struct cpus *out, char *error, size_t error_size)
{
	out->n = 0;
	if (text == NULL)
		return 0;
	if (cpus_parse(text, out) != 0) {
		snprintf(error, error_size, "cores { %s = %s }: a list such as 2-7,9 is wanted",
			what, text);
		return -EINVAL;
	}
	if (out->n > max) {
		snprintf(error, error_size, "cores { %s }: %u are more than %u", what, out->n, max);
		return -EINVAL;
	}
	return check_allowed(out, allowed, what, error, error_size);
}

static void lay_out(
	int control, const struct cpus *workers, const struct cpus *slow, struct layout *out)
{
	thread_on(out, control)->control = true;
	for (unsigned i = 0; i < slow->n; i++) {
		struct layout_thread *t = thread_on(out, slow->cpu[i]);

		t->shard[t->slow++] = (uint16_t)i;
	}
	for (unsigned i = 0; i < workers->n; i++) {
		struct layout_thread *t = thread_on(out, workers->cpu[i]);

		t->worker[t->workers++] = (uint16_t)i;
	}
	out->workers = workers->n;
	out->slow = slow->n;
}

int layout_make(const struct route_config *config, bool has_state, struct layout *out, char *error,
	size_t error_size)
{
	struct cpus allowed, control, workers, slow;

	memset(out, 0, sizeof(*out));
	cpus_allowed(&allowed);
	if (config->cores_control == NULL) {
		control = (struct cpus){.n = 1, .cpu = {allowed.cpu[0]}};
	} else if (cpus_parse(config->cores_control, &control) != 0 || control.n != 1) {
		snprintf(error, error_size, "cores { control = %s }: one CPU number is wanted",
			config->cores_control);
		return -EINVAL;
	}
	if (check_allowed(&control, &allowed, "control", error, error_size) != 0 ||
		cpus_of(config->cores_workers, "workers", &allowed, PIPELINE_WORKERS_MAX, &workers,
			error, error_size) != 0 ||
		cpus_of(config->cores_slow, "slow", &allowed, PIPELINE_SLOW_MAX, &slow, error,
			error_size) != 0)
		return -EINVAL;
	if (slow.n == 0)
		default_slow(config, &allowed, control.cpu[0], &workers, has_state, &slow);
	if (workers.n == 0)
		default_workers(config, &allowed, control.cpu[0], &slow, &workers);
	if (workers.n > PIPELINE_WORKERS_MAX) {
		snprintf(error, error_size, "cores { workers }: %u are more than %u", workers.n,
			PIPELINE_WORKERS_MAX);
		return -EINVAL;
	}
	lay_out(control.cpu[0], &workers, &slow, out);
	return 0;
}
