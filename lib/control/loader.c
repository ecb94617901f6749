/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loader: reads, checks and compiles a configuration, and builds its tables; or builds the tables
 * of one list of the configuration that runs, or those that states by hand change. At the start
 * this is the control thread's; a reload has a thread of its own, which is no lcore: the control
 * thread's CPU may have a slow lcore as well, whose ring fills while anything else runs.
 *
 * What a load touches of the running process: snapshots, which it reads as any reader of RCU until
 * its modules prepare; the dispatcher's identities, under that room's lock; names, by a resolver of
 * its own, which asks the servers that the new file names. Nothing is published here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <rte_lcore.h>

#include "control/loader.h"

/* Beside a slow lcore on the same CPU the load has little of it. */
#define LOADER_NICE 10

/* Two files as one: nothing of the second is touched, and messages name the lines of each. */
struct route_script *control_load(const char *ports_path, const char *path,
	const struct route_registry *registry, struct route_report *report)
{
	struct route_place nowhere = {.file = path};
	struct route_script *script = NULL;
	char *first, *second = NULL, *text = NULL;
	int len;

	if (ports_path == NULL)
		return route_script_load(path, registry, report);
	first = realpath(ports_path, NULL);
	if (first != NULL)
		second = realpath(path, NULL);
	if (second == NULL) {
		nowhere.file = first == NULL ? ports_path : path;
		route_error(report, &nowhere, "%s", strerror(errno));
	} else if (strpbrk(first, "\"\\\n") != NULL || strpbrk(second, "\"\\\n") != NULL) {
		route_error(report, &nowhere, "a path with a quote, a backslash or a line's end");
	} else {
		len = asprintf(&text, "include_file \"%s\"\ninclude_file \"%s\"\n", first, second);
		if (len > 0)
			script = route_script_load_text(
				path, str_of(text, (size_t)len), registry, report);
	}
	free(text);
	free(second);
	free(first);
	return script;
}

/* A resolver of its own, for names in lists. */
static int resolve(
	struct control *c, const struct route_config *config, struct route_report *report)
{
	struct control_loader *l = &c->loader;
	struct route_place place = {.file = c->path};
	int err;

	l->resolver = resolver_create(config->dns_servers, &l->rcu);
	err = l->resolver == NULL ? -errno : 0;
	if (err != 0) {
		route_error(report, &place,
			err == -EINVAL ? "dns_servers: '%s' is no list of addresses such as "
					 "192.0.2.53,192.0.2.54:5353"
				       : "dns_servers: no resolver for '%s'",
			config->dns_servers != NULL ? config->dns_servers : "");
		return err;
	}
	resolver_set_naptr(l->resolver, config->dns_try_naptr != 0);
	resolver_stop_by(l->resolver, &l->stop);
	dispatch_resolve_by(c->dispatch, l->resolver);
	return 0;
}

/* Of a configuration that is being loaded, before its modules prepare. */
static int configured(void *arg, const struct route_config *config, struct route_report *report)
{
	struct control *c = arg;

	/* Modules read nothing that RCU would free; and those that wait for names or a database
	 * hold nobody up. */
	rcu_offline(c->rcu, c->loader.reader);
	return resolve(c, config, report);
}

static void load_all(struct control *c)
{
	struct control_loader *l = &c->loader;
	struct route_registry registry = *c->registry;

	registry.configured = configured;
	registry.configured_arg = c;
	rcu_online(c->rcu, l->reader);
	l->script = control_load(c->ports_path, c->path, &registry, l->report);
	rcu_offline(c->rcu, l->reader);
}

static void load_list(struct control *c)
{
	struct control_loader *l = &c->loader;
	struct list_module m = list_module_of(c, (enum control_list)l->list);
	const void *config = route_script_module_config(l->script, m.module->name);

	if (resolve(c, route_script_config(l->script), l->report) == 0 &&
		m.module->prepare(m.room, config, l->report, &l->prepared) != 0)
		l->prepared = NULL;
}

static void *run(void *arg)
{
	struct control *c = arg;
	struct control_loader *l = &c->loader;

	setpriority(PRIO_PROCESS, (id_t)gettid(), LOADER_NICE);
	rcu_init(&l->rcu);
	if (l->list == LOADER_CONFIGURATION)
		load_all(c);
	else if (l->list == LOADER_STATES)
		l->err = dispatch_state_prepare(c->dispatch, &c->states->change,
			(struct dispatch_prepared **)&l->prepared, l->why, sizeof(l->why));
	else
		load_list(c);
	dispatch_resolve_by(c->dispatch, NULL);
	resolver_destroy(l->resolver);
	l->resolver = NULL;
	rcu_fini(&l->rcu);
	atomic_store_explicit(&l->done, true, memory_order_release);
	return NULL;
}

int loader_begin(struct control *c, int list)
{
	struct control_loader *l = &c->loader;
	int err;

	if (!l->registered) {
		l->reader = rcu_register(c->rcu);
		if (l->reader < 0)
			return l->reader;
		rcu_offline(c->rcu, l->reader);
		l->registered = true;
	}
	l->report = route_report_create();
	if (l->report == NULL)
		return -ENOMEM;
	l->list = list;
	l->script = list < 0 ? NULL : c->script;
	l->prepared = NULL;
	if (l->script != NULL)
		route_script_ref(l->script);
	atomic_store_explicit(&l->done, false, memory_order_relaxed);
	atomic_store_explicit(&l->stop, false, memory_order_relaxed);
	/* Where it runs is DPDK's choice: on CPUs that no lcore has, or with the control thread. */
	err = rte_ctrl_thread_create(&l->thread, "siplane-load", NULL, run, c);
	if (err != 0) {
		if (l->script != NULL)
			route_script_unref(l->script);
		route_report_destroy(l->report);
		return err;
	}
	l->runs = true;
	return 0;
}

bool loader_runs(const struct control_loader *l)
{
	return l->runs;
}

void loader_stop(struct control_loader *l)
{
	atomic_store_explicit(&l->stop, true, memory_order_relaxed);
}

bool loader_take(struct control_loader *l, struct loaded *out)
{
	if (!l->runs || !atomic_load_explicit(&l->done, memory_order_acquire))
		return false;
	pthread_join(l->thread, NULL);
	l->runs = false;
	*out = (struct loaded){l->list, l->script, l->prepared, l->report};
	return true;
}
