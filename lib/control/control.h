/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * control: what an operator sees and asks of a running siplane: reload, counters, the dispatcher's
 * list.
 *
 * Everything here runs on the control thread, except the telemetry commands: DPDK calls those on a
 * thread of its own, and they only read counters, and snapshots while `reading` keeps the control
 * thread from freeing any.
 *
 * Files: reload, telemetry, stats (the text form).
 */
#include <pthread.h>

#include "pipeline/pipeline.h"

struct control {
	const char *path;       /* of the configuration */
	const char *ports_path; /* of what is read before it, or NULL */
	struct route_registry *registry;
	struct route_script *script; /* the current generation; pipeline holds the reference */
	struct rcu *rcu;
	struct proxy *proxy;
	struct access *access;
	struct dispatch *dispatch;
	struct txn *txn;
	struct registrar *registrar;
	struct location *location;
	struct resolver *resolver;
	struct kernel *kernel;
	struct pipeline *pipeline;
	struct port *port;
	unsigned ports, slow;
	uint64_t started_ns;
	uint32_t generation;
	/* Applies a new script's globals (keys, listeners, aliases, server name, logging). 0, or
	 * -errno with a sentence in `error` and nothing changed. */
	int (*apply)(void *arg, const struct route_config *config, char *error, size_t error_size);
	void *apply_arg;
	uint64_t tick_at,
		link_at; /* when the dispatcher's second, and the look at the links, are due */
	pthread_mutex_t reading; /* held by telemetry while it looks at snapshots */
};

/* Loads a configuration behind `ports_path`, where that is not NULL. As route_script_load(). */
struct route_script *control_load(const char *ports_path, const char *path,
	const struct route_registry *registry, struct route_report *report);

/* Reads the configuration again and makes it current; a bad one is reported and changes nothing. 0
 * or -errno. */
int control_reload(struct control *c);

/* Once a loop: resolver, kernel, pipeline, dispatcher, memory that nobody reads any more. Returns
 * the number of things done. */
unsigned control_poll(struct control *c, uint64_t now_ns);

/* Registers /siplane/stats, /siplane/ports, /siplane/stages, /siplane/slow, /siplane/dispatcher,
 * /siplane/location, /siplane/registrar and /siplane/transactions with DPDK's telemetry. */
int control_telemetry_register(struct control *c);

/* The counters as a table for a person, on standard error. */
void control_print_stats(struct control *c);
