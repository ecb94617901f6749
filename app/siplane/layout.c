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

static void default_workers(const struct route_config *config, const struct cpus *allowed,
	int control, struct cpus *out)
{
	struct cpus others = {0};

	for (unsigned i = 0; i < allowed->n; i++)
		if (allowed->cpu[i] != control)
			others.cpu[others.n++] = allowed->cpu[i];
	if (others.n == 0)
		others.cpu[others.n++] = control;
	out->n = config->workers_count > 0 ? (unsigned)config->workers_count : others.n;
	for (unsigned i = 0; i < out->n; i++)
		out->cpu[i] = others.cpu[i % others.n];
}

int layout_make(
	const struct route_config *config, struct layout *out, char *error, size_t error_size)
{
	struct cpus allowed, control, workers;

	memset(out, 0, sizeof(*out));
	cpus_allowed(&allowed);
	if (config->cores_control == NULL) {
		control = (struct cpus){.n = 1, .cpu = {allowed.cpu[0]}};
	} else if (cpus_parse(config->cores_control, &control) != 0 || control.n != 1) {
		snprintf(error, error_size, "cores { control = %s }: one CPU number is wanted",
			config->cores_control);
		return -EINVAL;
	}
	if (config->cores_workers == NULL) {
		default_workers(config, &allowed, control.cpu[0], &workers);
	} else if (cpus_parse(config->cores_workers, &workers) != 0) {
		snprintf(error, error_size,
			"cores { workers = %s }: a list such as 2-7,9 is wanted",
			config->cores_workers);
		return -EINVAL;
	}
	if (workers.n > PIPELINE_WORKERS_MAX) {
		snprintf(error, error_size, "cores { workers }: %u are more than %u", workers.n,
			PIPELINE_WORKERS_MAX);
		return -EINVAL;
	}
	if (check_allowed(&control, &allowed, "control", error, error_size) != 0 ||
		check_allowed(&workers, &allowed, "workers", error, error_size) != 0)
		return -EINVAL;
	thread_on(out, control.cpu[0])->control = true;
	for (unsigned i = 0; i < workers.n; i++) {
		struct layout_thread *t = thread_on(out, workers.cpu[i]);

		t->worker[t->workers++] = (uint16_t)i;
	}
	out->workers = workers.n;
	return 0;
}
