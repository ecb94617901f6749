/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A run: attempts at their moments, whatever comes in between, timers, and the wait at the end.
 */
#include <errno.h>
#include <math.h>
#include <time.h>

#include "generator.h"

#define BURSTS_IN 4 /* received in one pass before what is due is sent */
#define POLL_EVERY_NS CLOCK_NS_PER_MS
/* After the last call has ended: answers that come twice. */
#define QUIET_NS (20 * CLOCK_NS_PER_MS)
/* SIGINT: how long open calls may take. */
#define INTERRUPTED_NS (500 * CLOCK_NS_PER_MS)
#define BOTH_IDLE_NS (50 * CLOCK_NS_PER_US)
/* Between trials: silence that is long enough, and the longest wait for it. */
#define DISCARD_QUIET_NS (2 * CLOCK_NS_PER_MS)
#define DISCARD_NS (100 * CLOCK_NS_PER_MS)

volatile sig_atomic_t gen_interrupted;

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

/* ---- the loop ---- */

struct run {
	struct gen *g;
	const struct gen_trial *trial;
	struct gen_result *r;
	struct schedule schedule;
	uint64_t now, begun, total_ns;
	uint64_t limit; /* slots; UINT64_MAX: by time */
	uint64_t progress_at, quiet_since, drain_until, last_ns;
	bool sending, stopped, abandoned;
	uint64_t window_end; /* of the sending, once it is known; 0 */
	bool window_over;
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
		if (p[i].reflector) {
			reflector_take(g->reflects, &p[i], &g->reflector_out, &g->reflected);
			if (g->reflected.first_ns == 0)
				g->reflected.first_ns = *now;
			g->reflected.last_ns = *now;
		} else {
			calls_take(g->calls, &p[i], *now);
		}
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
	histogram_add(&r->lateness, late);
	if (late > run->g->config.late_ns)
		r->missed++;
	calls_attempt(run->g->calls, due, run->now);
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
			calls_attempt(run->g->calls, 0, run->now);
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
	switch (run->trial->progress(run->trial->arg, &p)) {
	case GEN_GO_ON:
		break;
	case GEN_ABANDON:
		run->abandoned = true;
		/* fall through */
	default:
		run->stopped = true;
		break;
	}
}

/*
 * The window that rates are of: from the first slot to the one behind the last, so that N attempts
 * at a rate R last N / R; to the end of its time where a run is by time; and never shorter than the
 * sending was. Of a run without a rate it is as long as the sending; one that is stopped ends
 * there.
 */
static uint64_t window_end(const struct run *run)
{
	uint64_t end = run->now;

	if (run->trial->rate > 0 && !run->stopped)
		end = run->limit != UINT64_MAX ? slot_at(run) : run->begun + run->total_ns;
	return end > run->last_ns ? end : run->last_ns;
}

/* Messages of the window are counted until it is over. */
static void note_window(struct run *run)
{
	struct gen_result *r = run->r;

	if (run->window_over)
		return;
	if (!run->sending && run->window_end == 0)
		run->window_end = window_end(run);
	run->window_over = run->window_end != 0 && run->now >= run->window_end;
	r->sending_sent = r->sent;
	r->sending_received = r->received;
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
	return !run->abandoned && run->now < run->drain_until &&
	       run->now - run->quiet_since < QUIET_NS;
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
		note_window(run);
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
static void discard(struct gen *g, uint64_t at_least_ns)
{
	struct io *io = g->caller;
	uint64_t begun = io->now(io), now = begun, heard = begun;

	for (; !gen_interrupted && (now - begun < at_least_ns || (now - heard < DISCARD_QUIET_NS &&
									 now - begun < DISCARD_NS));
		now = io->now(io)) {
		if (throw_away(g->caller) + throw_away(g->reflector) > 0) {
			heard = now;
			continue;
		}
		poll_sides(g, now);
		io->idle(io, now + DISCARD_QUIET_NS / 2);
	}
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

int gen_trial(struct gen *g, const struct gen_trial *trial, struct gen_result *out)
{
	struct run run = {.g = g, .trial = trial, .r = out, .sending = true};
	int rc;

	memset(out, 0, sizeof(*out));
	rc = g->caller->ready(g->caller, &g->bind.target, g->error, sizeof(g->error));
	if (rc != 0)
		return rc;
	discard(g, g->trials++ == 0 ? g->config.settle_ns : 0);
	own_count(g, out, -1);
	out->rate = trial->rate;
	run.limit = trial->attempts != 0 ? trial->attempts : UINT64_MAX;
	run.total_ns = (uint64_t)((trial->attempts == 0     ? trial->seconds
					  : trial->rate > 0 ? (double)trial->attempts / trial->rate
							    : 0) *
				  1e9);
	g->runs++;
	g->bind.first_user = trial->first;
	run.begun = run.now = run.last_ns = g->caller->now(g->caller);
	calls_begin(g->calls, out, g->runs, run.begun);
	schedule_begin(&run.schedule, trial->rate, trial->poisson, g->config.seed);
	run.progress_at = run.begun + GEN_PROGRESS_NS;
	out->cpu_ns = cpu_ns();
	loop(&run);
	out->cpu_ns = cpu_ns() - out->cpu_ns;
	calls_end(g->calls, run.stopped);
	flush(g);
	out->sending_ns = run.window_end - run.begun;
	out->duration_ns = g->caller->now(g->caller) - run.begun;
	/* All may be answered before the window is over. */
	if (out->duration_ns < out->sending_ns && !run.stopped)
		out->duration_ns = out->sending_ns;
	out->tx_refused = g->out.refused;
	out->reflected = g->reflected;
	out->reflected.refused += g->reflector_out.refused;
	own_count(g, out, 1);
	/* What was abandoned may still be on its way. */
	if (g->reflector != NULL && !run.abandoned && out->acks > out->reflected.acks)
		out->acks_missing = out->acks - out->reflected.acks;
	out->interrupted = run.stopped;
	own_judge(g, out);
	return run.stopped ? -EINTR : 0;
}

int gen_reflect(struct gen *g, const struct gen_trial *trial, struct gen_result *out)
{
	struct io *io = g->reflector;
	uint64_t begun = io->now(io), now = begun;
	uint64_t end = trial->seconds > 0 ? begun + (uint64_t)(trial->seconds * 1e9) : UINT64_MAX;
	uint64_t progress_at = begun + GEN_PROGRESS_NS;

	memset(out, 0, sizeof(*out));
	/* Losses count from when sockets and devices were opened: who was told that we are here may
	 * have sent before we come to this. */
	out->reflecting = true;
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
	own_count(g, out, 1);
	own_judge(g, out);
	/* Whoever ends it ends it in order: nothing was cut short. */
	return 0;
}
