/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run: attempts at their moments, whatever comes in between, timers, and the wait at the end.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "internal.h"

#define BURSTS_IN 4 /* received in one pass before what is due is sent */
#define POLL_EVERY_NS CLOCK_NS_PER_MS
/* After the last call has ended: answers that come twice. */
#define QUIET_NS (20 * CLOCK_NS_PER_MS)
/* SIGINT: how long open calls may take. */
#define INTERRUPTED_NS (500 * CLOCK_NS_PER_MS)
#define TIMER_SLACK_NS 1000UL
#define BOTH_IDLE_NS (50 * CLOCK_NS_PER_US)
/* Between trials: silence that is long enough, and the longest wait for it. */
#define DISCARD_QUIET_NS (2 * CLOCK_NS_PER_MS)
#define DISCARD_NS (100 * CLOCK_NS_PER_MS)

volatile sig_atomic_t gen_interrupted;

struct gen {
	struct gen_config config;
	struct scenario *scenario;
	struct io *caller, *reflector; /* the same where they share a device */
	struct bind bind;
	struct template template[GEN_MESSAGES_MAX], digest_user, digest_password;
	struct outbox out, reflector_out;
	struct calls *calls;
	struct reflector *reflects;
	struct gen_reflected reflected;
	uint32_t runs; /* number in branches; begins at random */
	uint64_t poll_at;
	char error[GEN_ERROR_MAX];
};

uint64_t gen_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL); /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* ---- schedule ---- */

void schedule_begin(struct schedule *s, double rate, bool poisson, uint64_t seed)
{
	*s = (struct schedule){
		.gap_ns = rate > 0 ? 1e9 / rate : 0, .poisson = poisson, .random = seed};
	if (poisson)
		schedule_next(s);
}

void schedule_next(struct schedule *s)
{
	s->count++;
	if (s->poisson) {
		/* In (0, 1]: its logarithm is finite. */
		double u = (double)((gen_random(&s->random) >> 11) + 1) * 0x1p-53;

		s->at -= log(u) * s->gap_ns;
	} else {
		s->at = (double)s->count * s->gap_ns; /* no rounding adds up */
	}
}

/* ---- open ---- */

static int target_parse(const char *text, struct net_endpoint *out)
{
	struct str host = str_c(text), port = STR_NONE;
	int64_t colon;
	uint32_t n = SIP_DEFAULT_PORT;

	*out = (struct net_endpoint){0};
	if (host.len > 0 && host.s[0] == '[') {
		int64_t close = str_find(host, ']');

		if (close < 0)
			return -EINVAL;
		if ((uint32_t)close + 1 < host.len) {
			if (host.s[close + 1] != ':')
				return -EINVAL;
			port = str_of(host.s + close + 2, host.len - (uint32_t)close - 2);
			if (port.len == 0)
				return -EINVAL;
		}
		host = str_of(host.s + 1, (uint32_t)close - 1);
	} else {
		colon = str_find(host, ':');
		/* Two colons: an IPv6 address without a port. */
		if (colon >= 0 &&
			str_find(str_of(host.s + colon + 1, host.len - (uint32_t)colon - 1), ':') <
				0) {
			port = str_of(host.s + colon + 1, host.len - (uint32_t)colon - 1);
			host.len = (uint32_t)colon;
			if (port.len == 0)
				return -EINVAL;
		}
	}
	if (port.len != 0 && (str_to_u32(port, 65535, &n) != 0 || n == 0))
		return -EINVAL;
	out->port = (uint16_t)n;
	return net_addr_parse(host, &out->addr);
}

static int compile(struct gen *g, char *error, size_t error_size)
{
	const struct scenario *s = g->scenario;
	const char *user = scenario_variable(s, STR("auth_user"));
	const char *password = g->config.password != NULL
				       ? g->config.password
				       : scenario_variable(s, STR("auth_password"));
	struct {
		const char *text;
		struct template *t;
	} inner[2] = {{user, &g->digest_user}, {password, &g->digest_password}};
	bool digest = false;

	for (unsigned i = 0; i < s->messages; i++) {
		int rc = template_compile(
			s, &s->message[i], &g->bind, &g->template[i], error, error_size);

		if (rc != 0)
			return rc;
		digest = digest || g->template[i].digests != 0;
		if (g->template[i].most > g->caller->room)
			return gen_fail(error, error_size, EMSGSIZE,
				"%s: message '%s' may be %u bytes long: the device takes %u",
				s->path, s->message[i].name, g->template[i].most, g->caller->room);
	}
	if (!digest)
		return 0;
	if (user == NULL || password == NULL)
		return gen_fail(error, error_size, EINVAL,
			"%s: {authorization} needs 'set auth_user = \"...\";' and 'set "
			"auth_password = "
			"\"...\";' (or --password)",
			s->path);
	for (unsigned i = 0; i < 2; i++) {
		struct scenario_message m = {.name = "credentials",
			.text = (char *)(uintptr_t)inner[i].text,
			.len = (uint32_t)strlen(inner[i].text),
			.line = 1};
		int rc = template_compile(s, &m, &g->bind, inner[i].t, error, error_size);

		if (rc != 0)
			return rc;
		if (inner[i].t->most > DIGEST_USER_MAX || inner[i].t->digests != 0)
			return gen_fail(error, error_size, EINVAL,
				"%s: auth_user and auth_password have at most %d bytes", s->path,
				DIGEST_USER_MAX);
	}
	return 0;
}

static int bind_caller(
	struct gen *g, const struct net_endpoint *target, char *error, size_t error_size)
{
	struct calls_config calls = {
		.scenario = g->scenario,
		.template = g->template,
		.digest_password = &g->digest_password,
		.config = &g->config,
		.out = &g->out,
		.bind = &g->bind,
	};
	struct hash_key random;
	int rc = hash_key_random(&random);

	if (rc != 0)
		return gen_fail(error, error_size, -rc, "no random numbers: %s", strerror(-rc));
	if (g->config.users == 0)
		g->config.users = GEN_USERS;
	g->bind = (struct bind){
		.target = *target,
		.local = g->caller->local,
		.domain = g->config.domain,
		.users = g->config.users,
		.process = (uint32_t)random.k[0],
		.port_first = g->caller->port_first,
		.ports = g->caller->ports,
	};
	g->runs = (uint32_t)random.k[1];
	memcpy(g->bind.target_uri, "sip:", 4);
	net_endpoint_format(target, g->bind.target_uri + 4);
	g->out.io = g->caller;
	rc = compile(g, error, error_size);
	if (rc != 0)
		return rc;
	calls.digest_user = g->digest_user.in != NULL ? &g->digest_user : NULL;
	g->calls = calls_create(&calls);
	if (g->calls == NULL)
		return gen_fail(error, error_size, ENOMEM,
			"not enough memory for %u calls: lower --calls", g->config.calls);
	return 0;
}

static int bind_reflector(struct gen *g, char *error, size_t error_size)
{
	const struct reflector_config rc = {
		.status = g->config.reflect_status,
		.ringing = g->config.ringing,
		.trying = g->config.trying,
		.challenge = g->config.challenge,
		.password = g->config.password != NULL ? g->config.password : "secret",
		.local = g->reflector->local,
		.port_first = g->reflector->port_first,
	};

	g->reflector_out.io = g->reflector;
	g->reflects = reflector_create(&rc);
	return g->reflects != NULL ? 0 : gen_fail(error, error_size, ENOMEM, "not enough memory");
}

struct gen *gen_open_io(const struct gen_config *config, struct scenario *scenario,
	struct io *caller, struct io *reflector, const struct net_endpoint *target, char *error,
	size_t error_size)
{
	struct gen *g = calloc(1, sizeof(*g));
	int rc = 0;

	if (g == NULL) {
		gen_fail(error, error_size, ENOMEM, "not enough memory");
		return NULL;
	}
	g->config = *config;
	g->scenario = scenario;
	g->caller = caller;
	g->reflector = reflector;
	if (caller != NULL)
		rc = bind_caller(g, target, error, error_size);
	if (rc == 0 && reflector != NULL)
		rc = bind_reflector(g, error, error_size);
	if (rc != 0) {
		gen_close(g);
		return NULL;
	}
	return g;
}

/* The target is --target, or the reflector that stands in this process. */
static int find_target(const struct gen_config *config, struct net_endpoint *target, char *error,
	size_t error_size)
{
	char own[128];

	*target = (struct net_endpoint){0};
	if (config->reflect)
		return 0;
	if (config->target != NULL) {
		if (target_parse(config->target, target) != 0)
			return gen_fail(error, error_size, EINVAL,
				"--target %s: ADDRESS[:PORT] is expected, not a name",
				config->target);
		return 0;
	}
	if (!config->reflect_too || config->reflector.addresses == 0)
		return gen_fail(error, error_size, EINVAL,
			"--target is needed: the address that requests are sent to");
	snprintf(own, sizeof(own), "%s", config->reflector.address[0]);
	own[strcspn(own, "/")] = '\0';
	if (target_parse(own, target) != 0)
		return gen_fail(
			error, error_size, EINVAL, "--reflect-address %s is no address", own);
	target->port = config->reflector.port_first;
	return 0;
}

static int open_sides(const struct gen_config *config, const struct net_endpoint *target,
	struct io *side[2], char *error, size_t error_size)
{
	const struct net_endpoint none = {0};

	if (config->caller.device != NULL || config->reflector.device != NULL)
		return io_dpdk_open(config, target, side, error, error_size);
	if (config->reflect || config->reflect_too) {
		side[1] = io_udp_open(config, &config->reflector, &none, error, error_size);
		if (side[1] == NULL)
			return -EIO;
	}
	if (!config->reflect) {
		side[0] = io_udp_open(config, &config->caller, target, error, error_size);
		if (side[0] == NULL)
			return -EIO;
	}
	return 0;
}

struct gen *gen_open(const struct gen_config *config, char *error, size_t error_size)
{
	struct scenario *scenario = NULL;
	struct net_endpoint target;
	struct io *side[2] = {NULL, NULL};
	struct gen *g = NULL;

	if (find_target(config, &target, error, error_size) != 0)
		return NULL;
	/* Whoever sleeps between send slots is woken in time: 50 us are the kernel's default. */
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	if (!config->reflect) {
		scenario = scenario_read(
			config->scenario, config->variable, config->variables, error, error_size);
		if (scenario == NULL)
			return NULL;
	}
	if (open_sides(config, &target, side, error, error_size) == 0) {
		g = gen_open_io(config, scenario, side[0], side[1], &target, error, error_size);
		if (g == NULL)
			return NULL;
		/* Said now rather than by the first trial. */
		if (g->caller == NULL ||
			g->caller->ready(g->caller, &target, error, error_size) == 0)
			return g;
		gen_close(g);
		return NULL;
	}
	for (unsigned i = 0; i < 2; i++)
		if (side[i] != NULL)
			side[i]->close(side[i]);
	scenario_free(scenario);
	return NULL;
}

void gen_close(struct gen *g)
{
	if (g == NULL)
		return;
	calls_destroy(g->calls);
	reflector_destroy(g->reflects);
	for (unsigned i = 0; i < GEN_MESSAGES_MAX; i++)
		template_free(&g->template[i]);
	template_free(&g->digest_user);
	template_free(&g->digest_password);
	if (g->caller != NULL)
		g->caller->close(g->caller);
	if (g->reflector != NULL)
		g->reflector->close(g->reflector);
	scenario_free(g->scenario);
	free(g);
}

const char *gen_error(const struct gen *g)
{
	return g->error;
}

const char *gen_describe(const struct gen *g, bool reflector)
{
	const struct io *io = reflector ? g->reflector : g->caller;

	return io != NULL ? io->description : "";
}

/* ---- the loop ---- */

struct run {
	struct gen *g;
	const struct gen_trial *trial;
	struct gen_result *r;
	struct schedule schedule;
	uint64_t now, begun, total_ns;
	uint64_t limit; /* slots; UINT64_MAX: by time */
	uint64_t progress_at, quiet_since, drain_until, last_ns;
	bool sending, stopped;
};

/* What came on one side; returns how many. */
static unsigned receive(struct gen *g, struct io *io, uint64_t *now)
{
	struct packet p[GEN_BURST];
	unsigned n = io->receive(io, p, GEN_BURST);

	if (n == 0)
		return 0;
	*now = io->now(io);
	for (unsigned i = 0; i < n; i++) {
		if (p[i].reflector)
			reflector_take(g->reflects, &p[i], &g->reflector_out, &g->reflected);
		else
			calls_take(g->calls, &p[i], *now);
	}
	io->done(io, p, n);
	return n;
}

static unsigned receive_all(struct gen *g, uint64_t *now)
{
	struct io *side[2] = {g->caller, g->reflector};
	unsigned sum = 0;

	for (unsigned i = 0; i < 2; i++)
		for (unsigned bursts = 0; side[i] != NULL && bursts < BURSTS_IN; bursts++) {
			unsigned n = receive(g, side[i], now);

			sum += n;
			if (n < GEN_BURST)
				break;
		}
	return sum;
}

static void flush(struct gen *g)
{
	if (g->caller != NULL)
		outbox_flush(&g->out);
	if (g->reflector != NULL)
		outbox_flush(&g->reflector_out);
}

static void poll_sides(struct gen *g, uint64_t now)
{
	if (now < g->poll_at)
		return;
	g->poll_at = now + POLL_EVERY_NS;
	if (g->caller != NULL)
		g->caller->poll(g->caller, now);
	if (g->reflector != NULL)
		g->reflector->poll(g->reflector, now);
}

static uint64_t slot_at(const struct run *run)
{
	return run->begun + (uint64_t)run->schedule.at;
}

static bool slots_left(const struct run *run)
{
	if (run->limit != UINT64_MAX)
		return run->r->slots < run->limit;
	return run->schedule.at < (double)run->total_ns;
}

/* A moment of the schedule, met or missed. */
static void attempt(struct run *run)
{
	struct gen_result *r = run->r;
	uint64_t due = slot_at(run), late = run->now > due ? run->now - due : 0;

	r->slots++;
	if (late > r->lateness_max_ns)
		r->lateness_max_ns = late;
	if (late > run->g->config.late_ns)
		r->missed++;
	calls_attempt(run->g->calls, run->now);
	run->last_ns = run->now;
	schedule_next(&run->schedule);
}

/* What is due, up to a burst. As fast as it goes: as long as calls have room. */
static unsigned send_due(struct run *run)
{
	unsigned n = 0;

	if (run->trial->rate <= 0) {
		bool time_is_over =
			run->limit == UINT64_MAX && run->now - run->begun >= run->total_ns;

		for (; n < GEN_BURST && !time_is_over && !calls_full(run->g->calls) &&
			run->r->slots < run->limit;
			n++) {
			run->r->slots++;
			calls_attempt(run->g->calls, run->now);
			run->last_ns = run->now;
		}
		if (time_is_over || run->r->slots >= run->limit)
			run->sending = false;
		return n;
	}
	for (; n < GEN_BURST && slots_left(run) && slot_at(run) <= run->now; n++)
		attempt(run);
	if (!slots_left(run))
		run->sending = false;
	return n;
}

/* By time: what could not be sent until the end is not sent at all. */
static void skip_rest(struct run *run)
{
	uint64_t bound = run->begun + run->total_ns + run->g->config.late_ns;

	if (!run->sending || run->trial->rate <= 0 || run->limit != UINT64_MAX || run->now <= bound)
		return;
	while (slots_left(run)) {
		run->r->slots++;
		run->r->skipped++;
		run->r->missed++;
		schedule_next(&run->schedule);
	}
	run->sending = false;
}

static void report(struct run *run)
{
	struct gen_progress p = {
		.now_ns = run->now,
		.elapsed_ns = run->now - run->begun,
		.total_ns = run->total_ns,
		.result = run->r,
		.open = calls_open(run->g->calls),
		.draining = !run->sending,
	};

	if (run->trial->progress == NULL || run->now < run->progress_at)
		return;
	run->progress_at = run->now + GEN_PROGRESS_NS;
	if (run->trial->progress(run->trial->arg, &p) != 0)
		run->stopped = true;
}

/* Whether the run goes on, once nothing is sent any more. */
static bool draining(struct run *run, bool busy)
{
	struct gen *g = run->g;

	if (run->drain_until == 0) {
		run->drain_until = g->config.drain_ns > UINT64_MAX - run->now
					   ? UINT64_MAX
					   : run->now + g->config.drain_ns;
		run->quiet_since = run->now;
	}
	if (run->stopped && run->drain_until > run->now + INTERRUPTED_NS)
		run->drain_until = run->now + INTERRUPTED_NS;
	if (busy || calls_open(g->calls) > 0)
		run->quiet_since = run->now;
	return run->now < run->drain_until && run->now - run->quiet_since < QUIET_NS;
}

static void idle(struct run *run)
{
	struct gen *g = run->g;
	uint64_t until = calls_next(g->calls);

	if (run->sending && run->trial->rate > 0 && slot_at(run) < until)
		until = slot_at(run);
	if (run->trial->progress != NULL && run->progress_at < until)
		until = run->progress_at;
	if (!run->sending && run->quiet_since + QUIET_NS < until)
		until = run->quiet_since + QUIET_NS;
	if (g->reflector != NULL && run->now + BOTH_IDLE_NS < until)
		until = run->now + BOTH_IDLE_NS;
	g->caller->idle(g->caller, until);
}

static void loop(struct run *run)
{
	struct gen *g = run->g;
	bool more = true;

	while (more) {
		unsigned n = 0;

		run->now = g->caller->now(g->caller);
		if (gen_interrupted)
			run->stopped = true;
		if (run->stopped)
			run->sending = false;
		skip_rest(run);
		if (run->sending)
			n += send_due(run);
		calls_timers(g->calls, run->now);
		flush(g);
		n += receive_all(g, &run->now);
		flush(g);
		poll_sides(g, run->now);
		report(run);
		if (!run->sending)
			more = draining(run, n > 0);
		if (more && n == 0)
			idle(run);
	}
}

static unsigned throw_away(struct io *io)
{
	struct packet p[GEN_BURST];
	unsigned n = io != NULL ? io->receive(io, p, GEN_BURST) : 0;

	if (n > 0)
		io->done(io, p, n);
	return n;
}

/*
 * What an earlier trial's stragglers have left in queues is not this one's. Ends with the first
 * moment of silence. A memif has room for what is sent once its receiver has polled it.
 */
static void discard(struct gen *g)
{
	struct io *io = g->caller;
	uint64_t begun = io->now(io), now = begun, heard = begun;

	for (; now - heard < DISCARD_QUIET_NS && now - begun < DISCARD_NS; now = io->now(io)) {
		if (throw_away(g->caller) + throw_away(g->reflector) > 0) {
			heard = now;
			continue;
		}
		poll_sides(g, now);
		io->idle(io, heard + DISCARD_QUIET_NS);
	}
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t lost_here(const struct gen *g)
{
	return (g->caller != NULL ? g->caller->lost(g->caller) : 0) +
	       (g->reflector != NULL ? g->reflector->lost(g->reflector) : 0);
}

/* Whether the generator itself was what ended the rate, and why. */
static void judge(const struct gen *g, struct gen_result *r)
{
	const char *why = NULL;

	if (r->missed * 1000 > r->slots * GEN_MISSED_PER_MILLE)
		why = "it was late for more than 0.1 % of its send slots";
	else if (r->failed_by[GEN_FAIL_FULL] > 0)
		why = "its table of open calls was full (--calls)";
	else if (r->tx_refused > 0 && !g->caller->peer_queue)
		why = "its device or socket did not take all messages";
	else if (r->rx_lost > 0)
		why = "its device or socket lost messages that came";
	r->generator_limit = why != NULL;
	if (why != NULL)
		snprintf(r->limit_reason, sizeof(r->limit_reason), "%s", why);
}

int gen_trial(struct gen *g, const struct gen_trial *trial, struct gen_result *out)
{
	struct run run = {.g = g, .trial = trial, .r = out, .sending = true};
	uint64_t lost;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = g->caller->ready(g->caller, &g->bind.target, g->error, sizeof(g->error));
	if (rc != 0)
		return rc;
	discard(g);
	lost = lost_here(g);
	out->rate = trial->rate;
	memset(&g->reflected, 0, sizeof(g->reflected));
	g->out.refused = g->reflector_out.refused = 0;
	run.limit = trial->attempts != 0 ? trial->attempts : UINT64_MAX;
	run.total_ns = (uint64_t)((trial->attempts == 0     ? trial->seconds
					  : trial->rate > 0 ? (double)trial->attempts / trial->rate
							    : 0) *
				  1e9);
	g->runs++;
	g->bind.first_user = trial->first;
	run.begun = run.now = run.last_ns = g->caller->now(g->caller);
	calls_begin(g->calls, out, g->runs, trial->first, run.begun);
	schedule_begin(&run.schedule, trial->rate, trial->poisson, g->config.seed);
	run.progress_at = run.begun + GEN_PROGRESS_NS;
	out->cpu_ns = cpu_ns();
	loop(&run);
	out->cpu_ns = cpu_ns() - out->cpu_ns;
	calls_end(g->calls);
	flush(g);
	out->sending_ns = run.last_ns - run.begun;
	out->duration_ns = g->caller->now(g->caller) - run.begun;
	out->tx_refused = g->out.refused;
	out->reflected = g->reflected;
	out->reflected.refused += g->reflector_out.refused;
	out->rx_lost = lost_here(g) - lost;
	out->interrupted = run.stopped;
	judge(g, out);
	return run.stopped ? -EINTR : 0;
}

int gen_reflect(struct gen *g, const struct gen_trial *trial, struct gen_result *out)
{
	struct io *io = g->reflector;
	uint64_t begun = io->now(io), now = begun, lost = lost_here(g);
	uint64_t end = trial->seconds > 0 ? begun + (uint64_t)(trial->seconds * 1e9) : UINT64_MAX;
	uint64_t progress_at = begun + GEN_PROGRESS_NS;

	memset(out, 0, sizeof(*out));
	memset(&g->reflected, 0, sizeof(g->reflected));
	g->reflector_out.refused = 0;
	out->cpu_ns = cpu_ns();
	while (!gen_interrupted && now < end) {
		unsigned n = receive_all(g, &now);

		flush(g);
		now = io->now(io);
		poll_sides(g, now);
		if (n == 0)
			io->idle(io, end < progress_at ? end : progress_at);
		if (now < progress_at)
			continue;
		progress_at = now + GEN_PROGRESS_NS;
		out->reflected = g->reflected;
		if (trial->progress != NULL &&
			trial->progress(trial->arg, &(struct gen_progress){.now_ns = now,
							    .elapsed_ns = now - begun,
							    .result = out}) != 0)
			break;
	}
	out->cpu_ns = cpu_ns() - out->cpu_ns;
	out->reflected = g->reflected;
	out->reflected.refused += g->reflector_out.refused;
	out->duration_ns = now - begun;
	out->rx_lost = lost_here(g) - lost;
	/* Whoever ends it ends it in order: nothing was cut short. */
	return 0;
}
