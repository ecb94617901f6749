/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * control: what an operator sees and asks of a running siplane: reload, counters, the dispatcher's
 * list.
 *
 * Everything here runs on the control thread, with two exceptions. The telemetry commands: DPDK
 * calls those on a thread of its own, and they only read counters, and snapshots while `reading`
 * keeps the control thread from freeing any. And a reload: its file is read, checked and compiled,
 * and its tables are built, on a thread of its own that ends with it, while the control thread goes
 * on; this one publishes what has been built, or says why not. So it is with a list (domains,
 * addresses, destinations) that is read again by itself, with the parameters of the configuration
 * that runs; and with the table of a set that gets other states by hand.
 *
 * An operator gets at it by the control socket (rpc.h; commands.c has the table of what can be
 * asked there), by signals, and by DPDK's telemetry socket.
 *
 * Files: loader, reload, lists, figures, telemetry, stats (the text form), rpc, rpc_place,
 * rpc_frame, rpc_request, commands, command_core, command_location, command_dispatcher, command_db,
 * command_lists.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "acc/acc.h"
#include "auth/auth.h"
#include "control/rpc.h"
#include "pipeline/pipeline.h"

/* Lists that are read again by themselves. */
enum control_list {
	CONTROL_LIST_DOMAINS,
	CONTROL_LIST_ADDRESSES,
	CONTROL_LIST_DESTINATIONS,
	CONTROL_LISTS
};

struct control_list_state {
	bool wanted, quietly; /* when the loader has time; nobody has asked for it */
	uint32_t begun, ended;
	bool good;
	uint64_t told_at;           /* of one that nobody has asked for */
	char text[RPC_MESSAGE_MAX]; /* errors, or warnings */
};

/* A reload that is under way: of the configuration, or of a list. */
struct control_loader {
	/* the control thread's */
	bool runs;
	bool again; /* another one was asked for meanwhile: they become one that follows */
	pthread_t thread;
	bool registered;
	int reader; /* of control.rcu */
	int list;   /* enum control_list, or LOADER_ of loader.h */
	/* the loader's, until it is done */
	struct route_report *report;
	struct route_script *script; /* of a list: whose parameters it has */
	void *prepared;              /* of a list, of states; NULL where it is refused */
	int err;                     /* of states, and why */
	char why[RPC_MESSAGE_MAX];
	struct resolver *resolver; /* of the names in its lists, */
	struct rcu rcu;            /* which nobody else reads */
	_Atomic bool done;
	/* the control thread's word to it: what it loads is not wanted any more */
	_Atomic bool stop;
};

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
	struct db *db;
	struct auth *auth;
	struct acc *acc;
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
	struct control_loader loader;
	struct rpc *rpc; /* or NULL */
	/* Reloads: those that were begun and those that have ended, and what became of the last. */
	uint32_t reloads_begun, reloads_ended;
	bool reload_good;
	char reload_text[RPC_MESSAGE_MAX]; /* its errors, or its warnings */
	struct control_list_state list[CONTROL_LISTS];
	struct control_states *states; /* that the loader builds, or NULL */
};

/* Loads a configuration behind `ports_path`, where that is not NULL. As route_script_load(): the
 * control thread before the start, else the loader's. */
struct route_script *control_load(const char *ports_path, const char *path,
	const struct route_registry *registry, struct route_report *report);

/*
 * Begins to read the configuration again; control_poll() makes it current when it has been read. A
 * bad one is reported and changes nothing. What is asked for while one is under way begins when
 * that has ended, once, however often it was asked for.
 */
void control_reload(struct control *c);
/* The number of the reload that what is asked for now becomes part of, control_reload()'s next. */
uint32_t control_reload_number(const struct control *c);
/* Begins to read a list again, likewise. False: the configuration has not loaded its module. */
bool control_reload_list(struct control *c, enum control_list list);
uint32_t control_list_number(const struct control *c, enum control_list list);
const char *control_list_module(enum control_list list);

/* Destinations that get another state by hand (dispatch.h). Memory of malloc(): whoever wants it
 * frees it when it is done, or has not begun; what is between the two goes with control_end(). */
struct control_states {
	struct dispatch_change change;
	bool begun, done;
	int err;               /* of dispatch_state_prepare(), 0: it holds, */
	unsigned destinations; /* ... for so many */
	char why[RPC_MESSAGE_MAX];
};
/* Begins it where no load is under way; asked each turn until `done`. Control thread. */
void control_set_states(struct control *c, struct control_states *states);
/* At the end of the process: a load that is under way waits for no more names, is waited for, and
 * changes nothing. */
void control_end(struct control *c);

/* Once a loop: resolver, kernel, pipeline, dispatcher, memory that nobody reads any more. Returns
 * the number of things done. */
unsigned control_poll(struct control *c, uint64_t now_ns);

/*
 * Opens the control socket that the configuration names (CONTROL_SOCKET_DEFAULT where it names
 * none). -errno and a sentence.
 */
#define CONTROL_SOCKET_DEFAULT "/run/siplane/siplane.sock"
int control_listen(
	struct control *c, const struct route_config *config, char *error, size_t error_size);

/* Figures by groups. Any thread. */
enum control_group {
	CONTROL_GROUP_STATS,
	CONTROL_GROUP_LOCATION,
	CONTROL_GROUP_REGISTRAR,
	CONTROL_GROUP_TRANSACTIONS,
	CONTROL_GROUP_DB,
	CONTROL_GROUP_AUTH,
	CONTROL_GROUP_ACC,
	CONTROL_GROUP_CONTROL,
	CONTROL_GROUP_COUNT
};
typedef void (*control_figure)(void *arg, const char *name, uint64_t value);
const char *control_group_name(enum control_group group);
void control_figures(
	const struct control *c, enum control_group group, control_figure visit, void *arg);

/* Registers /siplane/stats, /siplane/ports, /siplane/stages, /siplane/slow, /siplane/dispatcher,
 * /siplane/memory, /siplane/location, /siplane/registrar, /siplane/transactions, /siplane/db,
 * /siplane/auth, /siplane/acc and /siplane/control with DPDK's telemetry. */
int control_telemetry_register(struct control *c);

/* The counters as a table for a person, on standard error. */
void control_print_stats(struct control *c);
