/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * The program siplane: options, the layout of threads, start-up in stages, the loops. Private to
 * app/siplane.
 */
#include "control/control.h"

/* ---- options ---- */

enum mode { MODE_RUN, MODE_CHECK, MODE_EXPLAIN, MODE_REFERENCE, MODE_ROLL };

struct options {
	enum mode mode;
	const char *config;
	const char *ports;    /* a file that is read before the configuration, or NULL */
	const char *profiles; /* drivers-config/profiles */
	bool debug;
};

/* Reads the command line. Returns 0, or the exit status + 1 with which to leave now (--help,
 * --version, wrong usage). */
int options_parse(int argc, char **argv, struct options *out);

/* ---- layout: which jobs run on which CPU ---- */

#define LAYOUT_THREADS_MAX 128

/* One thread: an lcore on a CPU that runs the control loop, workers, slow lcores, or several of
 * them. */
struct layout_thread {
	int cpu;
	bool control;
	unsigned workers, slow;
	uint16_t worker[PIPELINE_WORKERS_MAX], shard[PIPELINE_SLOW_MAX];
};

struct layout {
	unsigned threads; /* the first is the main lcore and runs control */
	unsigned workers, slow;
	struct layout_thread thread[LAYOUT_THREADS_MAX];
};

/*
 * Jobs that name the same CPU share a thread. What the configuration leaves out: control on the
 * first CPU that the process may use, workers on the others, all on one where there is only one.
 * One slow lcore: where the script needs state and there are four CPUs or more, on the next one
 * after control's, else beside control. 0 or -EINVAL with a sentence.
 */
int layout_make(const struct route_config *config, bool has_state, struct layout *out, char *error,
	size_t error_size);

/* ---- rooms ---- */

/* While a reload changes them, sockets of old and new listeners stand side by side. */
#define LISTENERS_PLACEHOLDERS_MAX (2 * PROXY_LISTENERS_MAX)

struct app {
	struct options options;
	struct rcu *rcu;
	struct resolver *resolver;
	struct db *db;
	struct auth *auth;
	struct avpops *avpops;
	struct acc *acc;
	struct proxy *proxy;
	struct access *access;
	struct dispatch *dispatch;
	struct location *location;
	struct registrar *registrar;
	struct txn *txn;
	struct route_registry registry;
	struct route_script *script;
	struct layout layout;
	struct port port[PORT_MAX];
	unsigned ports;
	struct kernel *kernel;
	struct pipeline *pipeline;
	struct control control;
	struct net_endpoint placeholder[LISTENERS_PLACEHOLDERS_MAX];
	unsigned placeholders;
	const struct route_config *config; /* whose listeners are current */
	char dns_servers[512];             /* that the resolver asks; empty: the system's */
	bool dns_naptr;                    /* ... also for NAPTR records */
};

/* Stage 1, no device touched: rooms and the configuration; to run, the layout of threads too, and
 * the memory of contacts and transactions. Errors are printed. 0 or -errno. */
int rooms_create(struct app *app);
/* Messages that may wait: of up to 2 KB, as configured, and longer ones. */
uint32_t held_small(const struct route_config *config);
#define HELD_BIG 256
/* The line of the start-up table that says what memory may be used. */
void rooms_print(const struct app *app);
void rooms_destroy(struct app *app);
/* Listeners from the configuration and the addresses that the ports have; publishes them and opens
 * placeholders. 0, or -errno with a sentence, and nothing has changed. */
int listeners_apply(
	struct app *app, const struct route_config *config, char *error, size_t error_size);
/* The ports' addresses may have changed: the listeners of app->config follow. */
void listeners_follow(struct app *app);
/* Whom the resolver asks (NULL: the system's servers), and whether for NAPTR records, too. 0, or
 * -errno with a sentence, and nothing has changed. */
int names_apply(struct app *app, const char *servers, bool naptr, char *error, size_t error_size);
/* What of a configuration takes effect in a running process: keys, names, listeners, aliases, the
 * server's name, levels of logging. For struct control's apply: 0, or -errno with a sentence, and
 * nothing has changed. */
int apply(void *arg, const struct route_config *config, char *error, size_t error_size);
/* Where messages go and how many, before apply(). */
void logging_begin(const struct app *app, const struct route_config *config);
/* The same without devices, for checks on paper: addresses are the configuration's, or
 * documentation ones. */
int listeners_on_paper(struct app *app);
/* The line of the start-up table. */
void listeners_print(const struct app *app);

/* Stage 2: EAL, pools, ports, kernel, pipeline. Stage 3: threads; returns when the process was told
 * to end. */
/* Before the first stage, so that a signal during the start ends the process in order, once it
 * runs. */
void signals_begin(void);
int start(struct app *app);
int run(struct app *app);
void stop(struct app *app);

/* `siplane -c`: what a load cannot see: an INVITE, its CANCEL and the ACK of its failure, run
 * through the script on paper. Returns the number of warnings. */
unsigned paper_check(struct app *app);
