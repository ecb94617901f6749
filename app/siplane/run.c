/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stage 3: the threads, each looping over its jobs; signals; the idle policy.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "siplane.h"

/* A thread that shares its CPU with a worker or a slow lcore looks at control's jobs this often. */
#define CONTROL_EVERY_NS (100 * CLOCK_NS_PER_US)
/* Control alone on its CPU never spins. */
#define CONTROL_SLEEP_NS (200 * CLOCK_NS_PER_US)
/* idle = sleep, or a slow lcore beside control: passes without work before a thread sleeps, and how
 * long at most. */
#define IDLE_PASSES 64
#define IDLE_SLEEP_MIN_NS (20 * CLOCK_NS_PER_US)
#define IDLE_SLEEP_MAX_NS (500 * CLOCK_NS_PER_US)
/* SIGTERM: how long what is under way may take to leave. */
#define DRAIN_NS CLOCK_NS_PER_S
#define DRAIN_QUIET_NS (20 * CLOCK_NS_PER_MS)

static volatile sig_atomic_t want_stop, want_reload, want_stats;
static _Atomic bool stopping;

struct job {
	struct app *app;
	const struct layout_thread *thread;
	bool sleeps;
};

static void on_signal(int sig)
{
	if (sig == SIGHUP)
		want_reload = 1;
	else if (sig == SIGUSR1)
		want_stats = 1;
	else if (want_stop)
		_exit(1); /* asked twice: whatever is in the way of an orderly end, it is over */
	else
		want_stop = 1;
}

void signals_begin(void)
{
	/* Any thread may be given a signal. Restarted, a system call of DPDK's threads knows
	 * nothing of it: its telemetry listener ends for good when accept() is interrupted. */
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	sigemptyset(&sa.sa_mask);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void jobs_sleep(struct job *j, bool asleep)
{
	for (unsigned i = 0; i < j->thread->workers; i++)
		pipeline_worker_sleep(j->app->pipeline, j->thread->worker[i], asleep);
	for (unsigned i = 0; i < j->thread->slow; i++)
		pipeline_slow_sleep(j->app->pipeline, j->thread->shard[i], asleep);
}

static void nap(struct job *j, uint64_t ns)
{
	struct timespec ts = {.tv_nsec = (long)ns};

	jobs_sleep(j, true);
	nanosleep(&ts, NULL);
	jobs_sleep(j, false);
}

/*
 * What a thread does after `idle` passes without work. A worker's polls, unless idle = sleep.
 * Without workers, control naps; so does a slow lcore beside it, soon but not at once; one that has
 * its CPU for itself polls like a worker, once a script has needed state.
 */
static void rest(struct job *j, unsigned idle)
{
	bool polls = j->thread->workers > 0 || (j->thread->slow > 0 && !j->thread->control &&
						       pipeline_has_state(j->app->pipeline));
	uint64_t ns, max = IDLE_SLEEP_MAX_NS;

	if (polls && !j->sleeps) {
		rte_pause();
		return;
	}
	if (j->thread->workers == 0 && j->thread->slow == 0) {
		nap(j, CONTROL_SLEEP_NS);
		return;
	}
	if (idle <= IDLE_PASSES)
		return;
	if (j->thread->workers == 0)
		max = CONTROL_SLEEP_NS;
	ns = IDLE_SLEEP_MIN_NS * (idle - IDLE_PASSES);
	nap(j, ns < max ? ns : max);
}

/* The control thread's share of signals; returns whether to go on. */
static bool obey(
	struct app *app, uint64_t now, unsigned busy, uint64_t *drain_until, uint64_t *busy_at)
{
	if (want_reload) {
		want_reload = 0;
		control_reload(&app->control);
	}
	if (want_stats) {
		want_stats = 0;
		control_print_stats(&app->control);
	}
	if (!want_stop)
		return true;
	if (*drain_until == 0) {
		*drain_until = now + DRAIN_NS;
		*busy_at = now;
	}
	if (busy > 0)
		*busy_at = now;
	return now < *drain_until &&
	       (pipeline_held(app->pipeline) > 0 || now - *busy_at < DRAIN_QUIET_NS);
}

static int loop(void *arg)
{
	struct job *j = arg;
	struct app *app = j->app;
	uint64_t control_at = 0, drain_until = 0, busy_at = 0;
	unsigned idle = 0;

	while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
		unsigned n = 0;

		for (unsigned i = 0; i < j->thread->workers; i++)
			n += pipeline_worker_poll(app->pipeline, j->thread->worker[i]);
		for (unsigned i = 0; i < j->thread->slow; i++)
			n += pipeline_slow_poll(app->pipeline, j->thread->shard[i]);
		if (j->thread->control) {
			uint64_t now = clock_now_ns();

			if (now >= control_at || j->thread->workers + j->thread->slow == 0) {
				n += control_poll(&app->control, now);
				control_at = now + CONTROL_EVERY_NS;
			}
			if (!obey(app, now, n, &drain_until, &busy_at))
				atomic_store(&stopping, true);
		}
		idle = n > 0 ? 0 : idle + 1;
		if (n == 0)
			rest(j, idle);
	}
	jobs_sleep(j, true);
	return 0;
}

int run(struct app *app)
{
	static struct job job[LAYOUT_THREADS_MAX];
	const struct route_config *config = route_script_config(app->script);
	unsigned lcore, i = 1;
	char error[512];

	app->control = (struct control){
		.path = app->options.config,
		.ports_path = app->options.ports,
		.registry = &app->registry,
		.script = app->script,
		.rcu = app->rcu,
		.proxy = app->proxy,
		.access = app->access,
		.dispatch = app->dispatch,
		.txn = app->txn,
		.registrar = app->registrar,
		.location = app->location,
		.resolver = app->resolver,
		.db = app->db,
		.auth = app->auth,
		.acc = app->acc,
		.kernel = app->kernel,
		.pipeline = app->pipeline,
		.port = app->port,
		.ports = app->ports,
		.slow = app->layout.slow,
		.started_ns = clock_now_ns(),
		.generation = 1,
		.apply = apply,
		.apply_arg = app,
	};
	if (control_telemetry_register(&app->control) != 0)
		log_warning("telemetry commands could not be registered");
	for (unsigned t = 0; t < app->layout.threads; t++)
		job[t] =
			(struct job){app, &app->layout.thread[t], config->idle == ROUTE_IDLE_SLEEP};
	/* Who has asked for a socket gets it, or no siplane; the default one may be another's. */
	if (control_listen(&app->control, config, error, sizeof(error)) != 0) {
		if (config->control_socket != NULL) {
			fprintf(stderr, "siplane: %s\n", error);
			return -EADDRINUSE;
		}
		log_warning("%s; nobody can ask this process anything there", error);
	}
	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		if (i < app->layout.threads)
			rte_eal_remote_launch(loop, &job[i++], lcore);
	}
	printf("ready\n");
	fflush(stdout);
	loop(&job[0]);
	rte_eal_mp_wait_lcore();
	control_end(&app->control);
	return 0;
}
