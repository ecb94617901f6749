/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "report.h"
#include "search_options.h"
#include "verdict.h"

#define LATENCY_POINTS 3   /* 10, 50 and 90 % of the rate */
#define PROBE_SECONDS 1.0  /* of each doubling trial of --start probe */
#define PROBE_ATTEMPTS 100 /* at least */

/* One search while it runs. */
struct search_run {
	const struct search_options *options;
	struct gen *gen;
	struct gen_result *result;
	struct report_search *into;
	struct verdict_terms terms;
	double threshold; /* s that a final answer may take, at most */
	const struct search_ask *ask;
	double planned;              /* attempts of the trial */
	double allowed;              /* failures that it may have and still pass */
	bool cut;                    /* the trial was ended: its outcome is certain */
	bool live;                   /* a line on a terminal is to be written over */
	uint64_t first;              /* number of the next trial's first attempt */
	struct report_detail detail; /* of the last trial */
};

/* ---- progress ---- */

static void wipe(struct search_run *run)
{
	if (run->live)
		fputs("\r\033[K", stderr);
	run->live = false;
}

static int on_progress(void *arg, const struct gen_progress *p)
{
	struct search_run *run = arg;
	char rate[32];

	/* Nothing that comes yet changes the verdict: failed, or worth nothing. */
	if ((double)verdict_failures(&run->terms, p->result, false) > run->allowed ||
		(isfinite(run->allowed) &&
			(double)p->result->missed * 1000 > run->planned * GEN_MISSED_PER_MILLE))
		run->cut = true;
	if (!run->options->gen.quiet && isatty(STDERR_FILENO)) {
		fprintf(stderr, "\r\033[K  %s %s: %.1f of %.1f s, %llu attempts, %llu failed",
			report_rate(run->ask->rate, rate, sizeof(rate)),
			report_unit(run->options->kind), (double)p->elapsed_ns / 1e9,
			(double)p->total_ns / 1e9, (unsigned long long)p->result->attempts,
			(unsigned long long)p->result->failed);
		if (p->draining)
			fprintf(stderr, ", waiting for %llu (an answer has %g s)",
				(unsigned long long)p->open, run->threshold);
		run->live = true;
	}
	/* Whatever is still on its way has the mark of this trial, and is no other's. */
	return run->cut ? GEN_ABANDON : gen_interrupted ? GEN_END : GEN_GO_ON;
}

static void say_head(const struct search_run *run, const char *what)
{
	if (!run->options->gen.quiet)
		fprintf(stderr, "%s\n%5s %12s %10s %10s  %-8s  %-21s %10s %10s\n", what, "trial",
			report_unit(run->options->kind), "attempts", "failures", "outcome",
			"between", "p50", "p99.9");
}

static void say_trial(
	struct search_run *run, const struct search_ask *ask, const struct search_outcome *outcome)
{
	const struct report_detail *d = &run->detail;
	char rate[32], low[32], high[32], between[72], a[32], b[32];
	bool passed = (double)outcome->failures <= ask->loss * (double)outcome->attempts;

	if (run->options->gen.quiet)
		return;
	snprintf(between, sizeof(between), "%s .. %s", report_rate(ask->low, low, sizeof(low)),
		isinf(ask->high) ? "?" : report_rate(ask->high, high, sizeof(high)));
	fprintf(stderr, "%5u %12s %10llu %10llu  %-8s  %-21s %10s %10s%s%s%s\n", ask->number,
		report_rate(ask->rate, rate, sizeof(rate)), (unsigned long long)outcome->attempts,
		(unsigned long long)outcome->failures,
		outcome->limited ? "limited"
		: passed         ? "passed"
				 : "failed",
		between, report_time(d->p50_ns, a, sizeof(a)),
		report_time(d->p999_ns, b, sizeof(b)), d->reason[0] != '\0' ? "  (" : "", d->reason,
		d->reason[0] != '\0' ? ")" : "");
}

/* ---- trials ---- */

/* Lets the system get rid of what the last trial left. Returns false when it is told to stop. */
static bool rest(double seconds)
{
	while (seconds > 0 && !gen_interrupted) {
		double step = fmin(seconds, 0.1);
		struct timespec t = {.tv_nsec = (long)(step * 1e9)};

		nanosleep(&t, NULL);
		seconds -= step;
	}
	return !gen_interrupted;
}

/* Runs a trial of any kind. Returns 0, 1 when interrupted, -errno. */
static int run_trial(
	struct search_run *run, const struct search_ask *ask, struct search_outcome *outcome)
{
	struct gen_trial trial = {
		.rate = ask->rate,
		.attempts = ask->attempts,
		.seconds = ask->attempts != 0 ? 0 : ask->seconds,
		.poisson = run->options->gen.poisson,
		.first = run->first,
		.progress = on_progress,
		.arg = run,
	};
	int err;

	run->ask = ask;
	run->cut = false;
	run->planned = ask->attempts != 0 ? (double)ask->attempts : ask->rate * ask->seconds;
	/* A trial for its latency alone has no failures that end it. */
	run->allowed = ask->loss < 1 ? ask->loss * run->planned : INFINITY;
	err = gen_trial(run->gen, &trial, run->result);
	wipe(run);
	if (gen_interrupted)
		return 1;
	if (err != 0 && !(err == -EINTR && run->cut)) {
		fprintf(stderr, "siplane-gen: %s\n", gen_error(run->gen));
		return err;
	}
	*outcome = (struct search_outcome){
		.attempts = run->result->attempts,
		.failures = verdict_failures(&run->terms, run->result, !run->cut),
		.seconds = (double)run->result->sending_ns / 1e9,
		.limited = verdict_limited(&run->terms, run->result),
	};
	verdict_detail(&run->terms, run->result, !run->cut, &run->detail);
	run->first += run->result->slots;
	run->into->sees_ringing = run->into->sees_ringing || run->result->told;
	run->into->sees_acks = run->into->sees_acks || run->result->acks > 0;
	return 0;
}

/* The searches' callback. */
static int on_trial(void *arg, const struct search_ask *ask, struct search_outcome *outcome)
{
	struct search_run *run = arg;
	int status;

	if (ask->number > 1 && !rest(run->options->pause))
		return 1;
	status = run_trial(run, ask, outcome);
	if (status != 0)
		return status;
	run->into->detail[ask->number - 1] = run->detail;
	say_trial(run, ask, outcome);
	return 0;
}

/*
 * --start probe: doubles short trials until one does not pass; half of the last that did is the
 * first rate. 0; or 1 where it was interrupted, -errno where a trial could not be run: then the
 * search has ended with that, and what has passed by then is its rate.
 */
static int probe(struct search_run *run, double max, double *first)
{
	double rate = SEARCH_PROBE_FROM, passed = 0;
	int status = 0;

	for (unsigned number = 1; rate <= max; number++, rate *= 2) {
		struct search_ask ask = {
			.rate = rate,
			.attempts = (uint64_t)fmax(PROBE_ATTEMPTS, rate * PROBE_SECONDS),
			.number = number,
			.low = passed,
			.high = INFINITY,
		};
		struct search_outcome outcome;

		status = run_trial(run, &ask, &outcome);
		if (status != 0)
			break;
		say_trial(run, &ask, &outcome);
		if (outcome.limited || outcome.failures > 0)
			break;
		passed = rate;
		if (!rest(run->options->pause)) {
			status = 1;
			break;
		}
	}
	*first = fmin(fmax(SEARCH_PROBE_FROM, passed / 2), max);
	if (status == 0)
		return 0;
	run->into->probed = passed;
	run->into->result = (struct search_result){
		.end = status > 0 ? SEARCH_STOPPED : SEARCH_ERROR,
		.error = status > 0 ? 0 : -status,
	};
	run->into->probing = true;
	return status;
}

/* --latency: trials at 10, 50 and 90 % of the rate that was found. */
static void measure_latencies(struct search_run *run)
{
	static const double parts[LATENCY_POINTS] = {0.1, 0.5, 0.9};
	struct report_search *into = run->into;

	for (unsigned i = 0; i < LATENCY_POINTS && rest(run->options->pause); i++) {
		struct search_record *record = &into->extra[into->extras];
		bool passed;

		record->ask = (struct search_ask){
			.rate = fmax(floor(into->result.rate * parts[i]), SEARCH_RATE_MIN),
			.seconds = run->options->ndr.seconds,
			.number = i + 1,
			.loss = 1, /* runs to its end */
			.high = into->result.rate,
		};
		if (run_trial(run, &record->ask, &record->outcome) != 0)
			return;
		passed = record->outcome.failures == 0;
		record->mark = record->outcome.limited ? SEARCH_LIMITED
			       : passed                ? SEARCH_PASSED
						       : SEARCH_FAILED;
		into->extra_detail[into->extras++] = run->detail;
		say_trial(run, &record->ask, &record->outcome);
	}
}

/* ---- searches ---- */

/* Opens the generator as `config` says, searches, and closes it unless `keep`. Returns 0 or the
 * exit status. */
static int search(struct search_run *run, const struct gen_config *config, const char *what,
	struct report_search *into, struct report *report)
{
	const struct search_options *options = run->options;
	char error[GEN_ERROR_MAX] = "";

	if (run->gen == NULL)
		run->gen = gen_open(config, error, sizeof(error));
	if (run->gen == NULL) {
		fprintf(stderr, "siplane-gen: %s\n", error);
		return 1;
	}
	run->into = into;
	into->ran = true;
	into->desk =
		(struct search_desk){.trial = on_trial, .arg = run, .trials_max = options->trials};
	snprintf(into->caller, sizeof(into->caller), "%s", gen_describe(run->gen, false));
	if (gen_describe(run->gen, true) != NULL)
		snprintf(into->reflector, sizeof(into->reflector), "%s",
			gen_describe(run->gen, true));
	say_head(run, what);
	if (options->probe) {
		double first;

		if (probe(run, options->ser.max, &first) != 0)
			return 0;
		report->ser.r = report->ndr.start = first;
	}
	if (options->kind == SEARCH_NDR)
		ndr_find(&report->ndr, &into->desk, &into->result);
	else
		ser_find(&report->ser, &into->desk, &into->result);
	return 0;
}

static void close_generator(struct search_run *run)
{
	if (run->gen != NULL)
		gen_close(run->gen);
	run->gen = NULL;
}

static int search_baseline(struct search_run *run, struct report *report)
{
	struct gen_config config;
	struct baseline baseline;
	int status;

	if (baseline_begin(&run->options->gen, &config, &baseline) != 0)
		return 1;
	status = search(run, &config, "baseline of the testbed", &report->baseline, report);
	close_generator(run);
	baseline_end(&baseline);
	return status;
}

/* RFC 7502 6.8: the same addresses-of-record again, 5 to 10 minutes later. */
static int search_again(struct search_run *run, struct report *report)
{
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	if (!run->options->gen.quiet)
		fprintf(stderr, "waiting %g s, then the same addresses-of-record again\n",
			run->options->wait);
	if (!rest(run->options->wait))
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &after);
	report->waited = (double)(after.tv_sec - before.tv_sec) +
			 (double)(after.tv_nsec - before.tv_nsec) / 1e9;
	run->first = 0;
	return search(run, &run->options->gen, "re-registration", &report->again, report);
}

static int search_all(struct search_run *run, struct report *report)
{
	const struct search_options *options = run->options;

	if (options->baseline && search_baseline(run, report) != 0)
		return 1;
	if (gen_interrupted)
		return 0;
	run->first = 0;
	if (search(run, &options->gen, report_benchmark(report), &report->search, report) != 0)
		return 1;
	/* A rate at which --max ended the search can be repeated as well. */
	if (options->reregister &&
		(report->search.result.end == SEARCH_FOUND ||
			report->search.result.end == SEARCH_CEILING) &&
		search_again(run, report) != 0)
		return 1;
	if (options->latency && report->search.result.rate > 0 && !gen_interrupted) {
		run->into = &report->search;
		measure_latencies(run);
	}
	return 0;
}

/* The waits of a call, repeated ones as often as they come, and its longest wait for a final
 * answer. */
static void measure_call(const struct scenario_call *call, double *from, double *to, double *within)
{
	double factor[GEN_STEPS_MAX + 1] = {1};
	unsigned depth = 0;

	*from = *to = 0;
	for (unsigned i = 0; i < call->steps; i++) {
		const struct step *step = &call->step[i];

		if (step->kind == STEP_REPEAT) {
			factor[depth + 1] = factor[depth] * step->count;
			depth++;
		} else if (step->kind == STEP_AGAIN && depth > 0) {
			depth--;
		} else if (step->kind == STEP_WAIT) {
			*from += factor[depth] * (double)step->from_ns / 1e9;
			*to += factor[depth] * (double)step->to_ns / 1e9;
		} else if (step->kind == STEP_EXPECT && step->final) {
			*within = fmax(*within, (double)step->from_ns / 1e9);
		}
	}
	*to = fmax(*from, *to);
}

/* What the scenario says of sessions: how long they last, and how long a request waits for its
 * final answer. */
static int read_scenario(struct search_run *run, struct report *report)
{
	static char duration[64];
	const struct gen_config *config = &run->options->gen;
	char error[GEN_ERROR_MAX];
	struct scenario *s = scenario_read(
		config->scenario, config->variable, config->variables, error, sizeof(error));
	double from, to, least = INFINITY;

	if (s == NULL) {
		fprintf(stderr, "siplane-gen: %s\n", error);
		return -EINVAL;
	}
	run->terms =
		(struct verdict_terms){.ndr = report->kind == SEARCH_NDR, .calls = config->calls};
	for (unsigned c = 0; c < s->calls; c++) {
		measure_call(&s->call[c], &from, &to, &report->threshold);
		least = fmin(least, from);
		run->terms.session = fmax(run->terms.session, to);
	}
	scenario_free(s);
	if (config->threshold_ns != 0)
		report->threshold = fmin(report->threshold, (double)config->threshold_ns / 1e9);
	run->threshold = report->threshold;
	if (run->terms.session > least)
		snprintf(duration, sizeof(duration), "%g to %g s", least, run->terms.session);
	else
		snprintf(duration, sizeof(duration), "%g s", run->terms.session);
	report->session_duration = duration;
	return 0;
}

static int make_report(struct search_run *run, struct report *report)
{
	const struct search_options *options = run->options;

	report->kind = options->kind;
	report->ndr = options->ndr;
	report->ser = options->ser;
	report->scenario = options->gen.scenario;
	report->target = options->gen.target;
	report->device_under_test = options->dut;
	report->poisson = options->gen.poisson;
	report->no_retransmit = options->gen.no_retransmit;
	report->users = options->gen.users;
	report->reregister = options->reregister;
	memcpy(report->notes, options->note, sizeof(report->notes));
	report->n_notes = options->notes;
	if (options->baseline_from != NULL) {
		int err = report_read_rate(options->baseline_from, options->kind,
			&report->baseline_rate, &report->baseline_end);

		report->baseline_file = options->baseline_from;
		if (err != 0) {
			fprintf(stderr, "siplane-gen: %s: %s\n", options->baseline_from,
				err == -EINVAL ? "not the JSON of an earlier search of that kind"
					       : strerror(-err));
			return err;
		}
	}
	return read_scenario(run, report);
}

int search_main(int argc, char **argv)
{
	static struct search_options options;
	struct report *report;
	struct search_run run = {.options = &options};
	int status = search_options_parse(argc, argv, &options);

	if (status != 0)
		return status - 1;
	report = calloc(1, sizeof(*report));
	run.result = calloc(1, sizeof(*run.result));
	status = 1;
	if (report == NULL || run.result == NULL) {
		fputs("siplane-gen: out of memory\n", stderr);
	} else if (make_report(&run, report) == 0) {
		status = search_all(&run, report);
		close_generator(&run);
		if (report->search.ran && (options.gen.json ? report_json(report, stdout)
							    : report_print(report, stdout)) != 0)
			status = 1;
		if (report->search.result.end != SEARCH_FOUND || !report->search.ran)
			status = 1;
	}
	free(run.result);
	free(report);
	return status;
}
