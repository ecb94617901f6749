/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "report.h"

#define EXTENDED_PERIOD \
	60.0 /* s: RFC 2544 24, and what we take for RFC 7502's "extended period" \
	      */

const char *report_benchmark(const struct report *report)
{
	switch (report->kind) {
	case SEARCH_NDR:
		return report->ndr.loss > 0 ? "Partial Drop Rate" : "Throughput (non-drop rate)";
	case SEARCH_SER:
		return "Session Establishment Rate";
	case SEARCH_RR:
		return "Registration Rate";
	}
	return "?";
}

const char *report_unit(enum search_kind kind)
{
	switch (kind) {
	case SEARCH_NDR:
		return "attempts/s";
	case SEARCH_SER:
		return "sps";
	case SEARCH_RR:
		return "rps";
	}
	return "?";
}

const char *report_time(uint64_t ns, char *out, size_t size)
{
	static const struct {
		double ns;
		const char *unit;
	} scale[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
	unsigned i = 0;
	double v;

	if (ns == 0) {
		snprintf(out, size, "-"); /* nothing was measured */
		return out;
	}
	while (i < 3 && (double)ns < scale[i].ns)
		i++;
	v = (double)ns / scale[i].ns;
	snprintf(out, size, "%.*f %s", v >= 100 || i == 3 ? 0 : v >= 10 ? 1 : 2, v, scale[i].unit);
	return out;
}

const char *report_rate(double rate, char *out, size_t size)
{
	snprintf(out, size, rate == floor(rate) ? "%.0f" : "%.3f", rate);
	return out;
}

void report_verdict(
	const struct report *report, const struct report_search *search, char *out, size_t size)
{
	const struct search_result *r = &search->result;
	const char *unit = report_unit(report->kind);
	char rate[32], above[32];

	report_rate(r->rate, rate, sizeof(rate));
	report_rate(r->above, above, sizeof(above));
	if (search->probing) {
		report_rate(search->probed, rate, sizeof(rate));
		snprintf(out, size,
			"%s%s while looking for a first rate (--start probe); %s %s passed a short "
			"trial, which is no answer",
			r->end == SEARCH_STOPPED ? "stopped" : "a trial could not be run: ",
			r->end == SEARCH_STOPPED ? "" : strerror(r->error),
			search->probed > 0 ? rate : "no rate in", unit);
		return;
	}
	switch (r->end) {
	case SEARCH_FOUND:
		snprintf(out, size, "found: %s %s passed, %s failed", rate, unit, above);
		break;
	case SEARCH_NONE:
		snprintf(out, size, "not found: the system failed at every rate down to %s %s",
			report->kind == SEARCH_NDR ? above : "1", unit);
		break;
	case SEARCH_CEILING:
		snprintf(out, size,
			"not found: %s %s passed and --max allows no more; the system carries at "
			"least that",
			rate, unit);
		break;
	case SEARCH_GENERATOR:
		if (r->rate > 0)
			snprintf(out, size,
				"not found: %s %s passed, at %s the generator was the limit; the "
				"system carries at least %s",
				rate, unit, above, rate);
		else
			snprintf(out, size,
				"not found: the generator was the limit at every rate, which says "
				"nothing about the system");
		break;
	case SEARCH_TRIALS:
		snprintf(out, size, "not found after %u trials; %s %s passed", r->trials, rate,
			unit);
		break;
	case SEARCH_STOPPED:
		snprintf(out, size, "stopped after %u trials; %s %s passed", r->trials, rate, unit);
		break;
	case SEARCH_ERROR:
		snprintf(out, size, "a trial could not be run: %s", strerror(r->error));
		break;
	}
}

/* ---- text ---- */

__attribute__((format(printf, 3, 4))) static void row(
	FILE *out, const char *name, const char *format, ...)
{
	va_list args;

	fprintf(out, "  %-38s  ", name);
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	fputc('\n', out);
}

/* The model and the number of CPUs. */
static void machine(char *out, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	struct utsname name;
	char line[256], model[128] = "CPU of an unknown model";

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "model name : %127[^\n]", model) == 1)
			break;
	if (f != NULL)
		fclose(f);
	if (uname(&name) != 0)
		strcpy(name.release, "?");
	snprintf(out, size, "%s, %ld CPUs, Linux %s", model, sysconf(_SC_NPROCESSORS_ONLN),
		name.release);
}

static void print_setup(const struct report *report, FILE *out)
{
	const struct report_search *s = &report->search;
	char text[256], rate[32];
	bool ndr = report->kind == SEARCH_NDR;

	fprintf(out, "Test Setup Report (RFC 7502 5.1)\n");
	row(out, "SIP Transport Protocol", "UDP, on both sides");
	row(out, "Connection management strategy", "none (UDP)");
	row(out, ndr ? "First rate" : "Session Attempt Rate, initial \"r\"", "%s %s",
		report_rate(ndr ? report->ndr.start : report->ser.r, rate, sizeof(rate)),
		report_unit(report->kind));
	row(out, "Session Duration", "%s",
		report->session_duration != NULL ? report->session_duration
						 : "as the scenario has it");
	if (ndr)
		row(out, "Trial", "%g s while searching, %g s to decide", report->ndr.seconds,
			report->ndr.final_seconds);
	else
		row(out, "Attempts of a trial, \"N\"", "%llu", (unsigned long long)report->ser.n);
	row(out, "Total Sessions Attempted", "%llu in %u trials",
		(unsigned long long)s->result.attempts, s->result.trials);
	row(out, "Media Streams per Session", "0");
	row(out, "Associated Media Protocol, Codec", "none");
	row(out, "Media Packet Size", "none");
	row(out, "Establishment Threshold time", "%g s", report->threshold);
	row(out, "TLS ciphersuite used", "none");
	row(out, "IPsec profile used", "none");
	row(out, "Scenario", "%s", report->scenario);
	row(out, "Load", "open loop, %s, %s", report->poisson ? "Poisson" : "uniform",
		report->no_retransmit ? "no retransmission" : "retransmission as RFC 3261 17.1");
	if (ndr)
		row(out, "Messages whose loss fails a trial", "requests, final answers%s%s",
			s->sees_ringing ? ", provisional answers" : "",
			s->sees_acks ? ", ACKs" : "");
	if (ndr && report->ndr.loss > 0)
		row(out, "Loss that is allowed", "%g %%", report->ndr.loss * 100);
	row(out, "Tester", "siplane-gen %s, %s", SIPLANE_VERSION, s->caller);
	row(out, "Tester's answering side", "%s",
		s->reflector[0] != '\0' ? s->reflector : "another process or machine");
	machine(text, sizeof(text));
	row(out, "Tester's machine", "%s", text);
	row(out, "Device under test", "%s at %s",
		report->device_under_test != NULL ? report->device_under_test : "not said (--dut)",
		report->target != NULL ? report->target : "the reflector of this process");
}

static void print_answer(const struct report *report, const struct report_search *search,
	const char *name, FILE *out)
{
	char verdict[256], rate[32];

	if (!search->ran)
		return;
	report_verdict(report, search, verdict, sizeof(verdict));
	if (search->result.end == SEARCH_FOUND)
		row(out, name, "%s %s", report_rate(search->result.rate, rate, sizeof(rate)),
			report_unit(report->kind));
	else if (search->result.rate > 0)
		row(out, name, "at least %s %s",
			report_rate(search->result.rate, rate, sizeof(rate)),
			report_unit(report->kind));
	else
		row(out, name, "none");
	row(out, "", "%s", verdict);
}

static void print_answers(const struct report *report, FILE *out)
{
	char rate[32];

	switch (report->kind) {
	case SEARCH_NDR:
		fprintf(out, "Throughput (RFC 2544 26.1)\n");
		print_answer(report, &report->search, report_benchmark(report), out);
		break;
	case SEARCH_SER:
		fprintf(out, "Device Benchmarks for Session Setup (RFC 7502 5.2)\n");
		print_answer(report, &report->search, "Session Establishment Rate, \"R\"", out);
		row(out, "Is DUT acting as a media relay?", "no media was sent");
		break;
	case SEARCH_RR:
		fprintf(out, "Device Benchmarks for Registrations (RFC 7502 5.3)\n");
		print_answer(report, &report->search, "Registration Rate", out);
		if (report->again.ran)
			print_answer(report, &report->again, "Re-registration Rate", out);
		else
			row(out, "Re-registration Rate", "not measured (%s)",
				report->reregister ? "the Registration Rate was not found"
						   : "--reregister");
		break;
	}
	print_answer(report, &report->baseline, "Baseline of the testbed (RFC 7502 6.1)", out);
	if (report->baseline_rate > 0)
		row(out, "Baseline of the testbed (RFC 7502 6.1)", "%s %s (%s), from %s",
			report_rate(report->baseline_rate, rate, sizeof(rate)),
			report_unit(report->kind), report->baseline_end, report->baseline_file);
}

static void print_latency(const char *name, const struct report_detail *d, FILE *out)
{
	char a[32], b[32], c[32], e[32];

	row(out, name, "%10s %10s %10s %10s", report_time(d->p50_ns, a, sizeof(a)),
		report_time(d->p99_ns, b, sizeof(b)), report_time(d->p999_ns, c, sizeof(c)),
		report_time(d->max_ns, e, sizeof(e)));
}

/* RFC 8219 7.2: the typical latency is the median, the worst case the 99.9th percentile. */
static void print_latencies(const struct report_search *search, FILE *out)
{
	const struct search_record *at = desk_passed(&search->desk, search->result.rate);
	char name[64], rate[32];

	if (at == NULL)
		return;
	fprintf(out, "Latency, request to final answer\n");
	row(out, "", "%10s %10s %10s %10s", "typical", "p99", "worst", "max");
	snprintf(name, sizeof(name), "at %s", report_rate(at->ask.rate, rate, sizeof(rate)));
	print_latency(name, &search->detail[at->ask.number - 1], out);
	for (unsigned i = 0; i < search->extras; i++) {
		snprintf(name, sizeof(name), "at %s%s",
			report_rate(search->extra[i].ask.rate, rate, sizeof(rate)),
			search->extra[i].mark == SEARCH_PASSED   ? ""
			: search->extra[i].mark == SEARCH_FAILED ? " (with failures)"
								 : " (generator the limit)");
		print_latency(name, &search->extra_detail[i], out);
	}
}

/* What the testbed's own rate says of the one that was found; nothing, where it stopped before. */
static void note_baseline(const struct report *report, FILE *out)
{
	bool ran = report->baseline.ran;
	double rate = ran ? report->baseline.result.rate : report->baseline_rate;
	const char *end = ran ? search_end_word(report->baseline.result.end) : report->baseline_end;
	char text[32];

	if (rate <= 0 || rate >= 2 * report->search.result.rate)
		return;
	if (strcmp(end, search_end_word(SEARCH_FOUND)) == 0 ||
		strcmp(end, search_end_word(SEARCH_GENERATOR)) == 0)
		fprintf(out, "  - The testbed alone reaches less than twice that rate: it is part "
			     "of what was measured.\n");
	else
		fprintf(out,
			"  - The testbed alone passed at %s, less than twice that rate, where its "
			"own search ended (%s): whether it is part of what was measured is not "
			"known. Search its baseline higher.\n",
			report_rate(rate, text, sizeof(text)), end);
}

/* Which losses could not have failed a trial of an NDR. */
static void note_losses(const struct report *report, FILE *out)
{
	if (report->kind != SEARCH_NDR)
		return;
	if (!report->search.sees_ringing)
		fprintf(out, "  - Lost provisional answers were not seen: the answering side does "
			     "not say how many it sent (siplane-gen --reflect does).\n");
	if (!report->search.sees_acks)
		fprintf(out, "  - Lost ACKs were not seen: the answering side is not in this "
			     "process (--reflect-address).\n");
}

/* What the trial that decided lasted, and why the ones above it did not pass. */
static void print_notes(const struct report *report, FILE *out)
{
	const struct report_search *s = &report->search;
	const struct search_record *at = desk_passed(&s->desk, s->result.rate);

	fprintf(out, "Notes\n");
	for (unsigned i = 0; i < report->n_notes; i++)
		fprintf(out, "  - %s\n", report->notes[i]);
	if (at != NULL && at->outcome.seconds < EXTENDED_PERIOD)
		fprintf(out,
			"  - The trial at that rate lasted %.1f s, which is less than %.0f s: a "
			"longer one "
			"(%s) may find less.\n",
			at->outcome.seconds, EXTENDED_PERIOD,
			report->kind == SEARCH_NDR ? "--final 60s" : "--trial 60s");
	if (at != NULL && s->detail[at->ask.number - 1].retransmissions > 0)
		fprintf(out,
			"  - %llu requests of that trial were retransmitted: something was lost or "
			"slow, "
			"though no attempt failed.\n",
			(unsigned long long)s->detail[at->ask.number - 1].retransmissions);
	for (unsigned i = 0; i < s->desk.trials; i++)
		if (s->desk.log[i].ask.rate == s->result.above && s->detail[i].reason[0] != '\0')
			fprintf(out, "  - Trial %u: %s.\n", s->desk.log[i].ask.number,
				s->detail[i].reason);
	if (report->kind == SEARCH_RR && report->users > 0 && s->result.attempts > report->users)
		fprintf(out,
			"  - %llu attempts went to %llu addresses-of-record (--users): RFC 7502 "
			"6.7 wants "
			"as many of these.\n",
			(unsigned long long)s->result.attempts, (unsigned long long)report->users);
	if (report->again.ran && (report->waited < 300 || report->waited > 600))
		fprintf(out,
			"  - Re-registration came %.0f s after registration; RFC 7502 6.8 wants 5 "
			"to 10 "
			"minutes.\n",
			report->waited);
	note_losses(report, out);
	note_baseline(report, out);
}

static void print_trials(const struct report_search *search, const char *name, FILE *out)
{
	char rate[32], a[32], b[32];

	if (!search->ran)
		return;
	fprintf(out, "%s\n  %5s %12s %10s %10s %8s  %-8s %10s %10s\n", name, "trial", "rate",
		"attempts", "failures", "seconds", "outcome", "p50", "p99.9");
	for (unsigned i = 0; i < search->desk.trials; i++) {
		const struct search_record *t = &search->desk.log[i];

		fprintf(out, "  %5u %12s %10llu %10llu %8.1f  %-8s %10s %10s%s\n", t->ask.number,
			report_rate(t->ask.rate, rate, sizeof(rate)),
			(unsigned long long)t->outcome.attempts,
			(unsigned long long)t->outcome.failures, t->outcome.seconds,
			search_mark_word(t->mark),
			report_time(search->detail[i].p50_ns, a, sizeof(a)),
			report_time(search->detail[i].p999_ns, b, sizeof(b)),
			search->detail[i].cut ? "  ended early" : "");
	}
}

int report_print(const struct report *report, FILE *out)
{
	print_setup(report, out);
	fputc('\n', out);
	print_answers(report, out);
	fputc('\n', out);
	print_latencies(&report->search, out);
	print_notes(report, out);
	fputc('\n', out);
	print_trials(&report->baseline, "Trials of the baseline", out);
	print_trials(&report->search, "Trials", out);
	print_trials(&report->again, "Trials of the re-registration", out);
	return fflush(out) == 0 && !ferror(out) ? 0 : -EIO;
}
