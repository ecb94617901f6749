/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a run has found: a table for people, JSON for programs, a line while it lasts.
 */
#include <errno.h>
#include <inttypes.h>

#include "internal.h"

#define PROGRESS_AFTER_NS (2 * CLOCK_NS_PER_S)
#define US 0.001 /* nanoseconds in microseconds */

static const struct {
	const char *name, *text;
} fails[GEN_FAIL_COUNT] = {
#define GEN_FAIL(id, fail_name, fail_text) [GEN_FAIL_##id] = {fail_name, fail_text},
	GEN_FAILS(GEN_FAIL)
#undef GEN_FAIL
};

const char *gen_fail_text(enum gen_fail fail)
{
	return fails[fail].text;
}

bool gen_result_good(const struct gen_result *r)
{
	if (r->reflecting)
		return !r->generator_limit;
	return !r->interrupted && r->attempts > 0 && r->failed == 0 && r->lost == 0 &&
	       r->missing == 0 && r->acks_missing == 0 && r->duplicates == 0 && r->malformed == 0 &&
	       r->foreign == 0 && r->stale == 0 && !r->generator_limit;
}

static double per_second(uint64_t n, uint64_t ns)
{
	return ns != 0 ? (double)n * 1e9 / (double)ns : 0;
}

static const char *method_name(unsigned m)
{
	struct str s = sip_method_name((enum sip_method)m);

	if (m == SIP_METHOD_NONE)
		return "responses";
	return s.len != 0 ? s.s : "other";
}

/* ---- table ---- */

static void print_latency(const char *name, const struct histogram *h, FILE *out)
{
	if (h->count == 0)
		return;
	fprintf(out, "  %-22s %12" PRIu64 " %10.1f %10.1f %10.1f %10.1f %10.1f\n", name, h->count,
		(double)histogram_percentile(h, 50) * US, (double)histogram_percentile(h, 90) * US,
		(double)histogram_percentile(h, 99) * US,
		(double)histogram_percentile(h, 99.9) * US, (double)h->max * US);
}

static void line(const char *name, uint64_t n, FILE *out)
{
	fprintf(out, "  %-22s %12" PRIu64 "\n", name, n);
}

static void line_if(const char *name, uint64_t n, const char *why, FILE *out)
{
	if (n != 0)
		fprintf(out, "  %-22s %12" PRIu64 "   %s\n", name, n, why);
}

static void print_attempts(const struct gen_result *r, FILE *out)
{
	fprintf(out, "attempts                 %12" PRIu64 "   %.1f/s", r->attempts,
		per_second(r->attempts, r->sending_ns));
	if (r->rate > 0)
		fprintf(out, " (asked: %.1f/s)", r->rate);
	fprintf(out, " in %.3f s\n", (double)r->sending_ns / 1e9);
	line("ok", r->ok, out);
	line("failed", r->failed, out);
	for (unsigned i = 0; i < GEN_FAIL_COUNT; i++)
		if (r->failed_by[i] != 0) {
			char name[40];

			snprintf(name, sizeof(name), "  %s", fails[i].name);
			line_if(name, r->failed_by[i], fails[i].text, out);
		}
	for (unsigned i = 0; i < GEN_STATUS_MAX; i++)
		if (r->failed_status[i] != 0)
			fprintf(out, "      %-18u %12" PRIu64 "\n", i, r->failed_status[i]);
	line("open at once, most", r->calls_most, out);
}

static void print_messages(const struct gen_result *r, FILE *out)
{
	/* Rates are those of the sending; the wait at the end is not in them. */
	fprintf(out, "messages sent            %12" PRIu64 "   %.1f/s\n", r->sent,
		per_second(r->sending_sent, r->sending_ns));
	for (unsigned i = 0; i < SIP_METHOD_COUNT; i++)
		if (r->sent_by[i] != 0)
			line(method_name(i), r->sent_by[i], out);
	line_if("retransmissions", r->retransmissions, "of these", out);
	fprintf(out, "messages received        %12" PRIu64 "   %.1f/s\n", r->received,
		per_second(r->sending_received, r->sending_ns));
	for (unsigned i = 0; i < GEN_STATUS_MAX; i++)
		if (r->received_by[i] != 0)
			fprintf(out, "  %-22u %12" PRIu64 "\n", i, r->received_by[i]);
	line_if("requests", r->received_requests, "of the other side's, answered", out);
	line_if("forked", r->forked, "2xx of another branch, ended", out);
	line_if("lost", r->lost, "requests without any answer in their time", out);
	line_if("missing", r->missing, "provisional answers that the other side sent", out);
	line_if("missing ACKs", r->acks_missing, "that did not come to the reflector", out);
	line_if("late", r->late, "answers after that time", out);
	line_if("duplicates", r->duplicates, "the same answer again", out);
	line_if("reordered", r->reordered, "answers behind those of later requests", out);
	line_if("not cleared", r->uncleared, "own CANCEL, BYE, PRACK that nobody answered", out);
	line_if("stale", r->stale, "answers to calls long ended", out);
	line_if("not asked for", r->unasked, "answers to requests that expect none", out);
	line_if("foreign", r->foreign, "not of this run", out);
	line_if("malformed", r->malformed, "no SIP", out);
}

/* N requests make N - 1 gaps. */
static double reflected_rate(const struct gen_reflected *f)
{
	return f->requests > 1 ? per_second(f->requests - 1, f->last_ns - f->first_ns) : 0;
}

static void print_reflected(const struct gen_reflected *f, FILE *out)
{
	if (f->requests == 0 && f->malformed == 0)
		return;
	fprintf(out, "reflected requests       %12" PRIu64 "   %.1f/s\n", f->requests,
		reflected_rate(f));
	for (unsigned i = 0; i < SIP_METHOD_COUNT; i++)
		if (f->requests_by[i] != 0)
			line(method_name(i), f->requests_by[i], out);
	line("answers", f->responses, out);
	line_if("malformed", f->malformed, "not answered", out);
	line_if("refused", f->refused, "answers that could not be sent", out);
}

int gen_result_print(const struct gen_result *r, FILE *out)
{
	if (r->attempts != 0 || r->slots != 0) {
		print_attempts(r, out);
		print_messages(r, out);
	}
	print_reflected(&r->reflected, out);
	if (r->first.count != 0 || r->lateness.count != 0)
		fprintf(out,
			"latency, us                     count        p50        p90        p99"
			"      p99.9        max\n");
	print_latency("first answer", &r->first, out);
	print_latency("final answer", &r->final, out);
	print_latency("  from its sending", &r->service, out);
	for (unsigned i = 0; i < r->messages && r->messages > 1; i++)
		print_latency(r->message[i].name, &r->message[i].latency, out);
	print_latency("lateness of slots", &r->lateness, out);
	line_if("missed slots", r->missed, "sent late, or not at all", out);
	line_if("not sent at all", r->skipped, "of these", out);
	line_if("not taken", r->tx_refused, "messages that the device or socket refused", out);
	line_if("lost here", r->rx_lost, "by the generator's own device or sockets", out);
	line_if("fragments", r->rx_fragments, "frames, not put together on a device", out);
	line_if("other frames", r->rx_other, "that are no message to us: ARP, other ports", out);
	line_if("bad frames", r->rx_bad, "of a wrong length or checksum", out);
	if (r->generator_limit)
		fprintf(out, "THE %s WAS THE LIMIT: %s. What was lost may be its own loss.\n",
			r->slots != 0 ? "GENERATOR" : "REFLECTOR", r->limit_reason);
	if (r->interrupted)
		fprintf(out, "interrupted: figures so far\n");
	return ferror(out) ? -EIO : 0;
}

/* ---- JSON ---- */

static void json_methods(const char *name, const uint64_t *by, FILE *out)
{
	const char *comma = "";

	fprintf(out, ",\"%s\":{", name);
	for (unsigned i = 0; i < SIP_METHOD_COUNT; i++)
		if (by[i] != 0) {
			fprintf(out, "%s\"%s\":%" PRIu64, comma, method_name(i), by[i]);
			comma = ",";
		}
	fputc('}', out);
}

static void json_statuses(const char *name, const uint64_t *by, FILE *out)
{
	const char *comma = "";

	fprintf(out, ",\"%s\":{", name);
	for (unsigned i = 0; i < GEN_STATUS_MAX; i++)
		if (by[i] != 0) {
			fprintf(out, "%s\"%u\":%" PRIu64, comma, i, by[i]);
			comma = ",";
		}
	fputc('}', out);
}

static void json_latency(const struct gen_result *r, FILE *out)
{
	fputs(",\"latency_us\":{\"first\":", out);
	histogram_json(&r->first, US, out);
	fputs(",\"final\":", out);
	histogram_json(&r->final, US, out);
	fputs(",\"service\":", out);
	histogram_json(&r->service, US, out);
	fputs(",\"lateness\":", out);
	histogram_json(&r->lateness, US, out);
	fputs("},\"messages\":{", out);
	for (unsigned i = 0; i < r->messages; i++) {
		fprintf(out,
			"%s\"%s\":{\"sent\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"latency_us\":",
			i > 0 ? "," : "", r->message[i].name, r->message[i].sent,
			r->message[i].answered);
		histogram_json(&r->message[i].latency, US, out);
		fputc('}', out);
	}
	fputc('}', out);
}

int gen_result_json(const struct gen_result *r, FILE *out)
{
	const struct {
		const char *name;
		uint64_t n;
	} number[] = {
		{"slots", r->slots},
		{"attempts", r->attempts},
		{"ok", r->ok},
		{"failed", r->failed},
		{"sent", r->sent},
		{"retransmissions", r->retransmissions},
		{"received", r->received},
		{"received_requests", r->received_requests},
		{"forked", r->forked},
		{"uncleared", r->uncleared},
		{"expected", r->expected},
		{"lost", r->lost},
		{"missing", r->missing},
		{"incomplete", r->incomplete},
		{"acks_missing", r->acks_missing},
		{"late", r->late},
		{"duplicates", r->duplicates},
		{"reordered", r->reordered},
		{"stale", r->stale},
		{"unasked", r->unasked},
		{"foreign", r->foreign},
		{"malformed", r->malformed},
		{"missed", r->missed},
		{"skipped", r->skipped},
		{"tx_refused", r->tx_refused},
		{"rx_lost", r->rx_lost},
		{"rx_fragments", r->rx_fragments},
		{"rx_other", r->rx_other},
		{"rx_bad", r->rx_bad},
		{"calls_most", r->calls_most},
	};

	fprintf(out,
		"{\"rate\":%.9g,\"attempts_per_second\":%.9g,\"messages_per_second\":%.9g,"
		"\"sending_s\":%.9f,\"duration_s\":%.9f,\"cpu_s\":%.9f,\"lateness_max_us\":%.9g",
		r->rate, per_second(r->attempts, r->sending_ns),
		per_second(r->sending_sent + r->sending_received, r->sending_ns),
		(double)r->sending_ns / 1e9, (double)r->duration_ns / 1e9, (double)r->cpu_ns / 1e9,
		(double)r->lateness.max * US);
	for (unsigned i = 0; i < sizeof(number) / sizeof(number[0]); i++)
		fprintf(out, ",\"%s\":%" PRIu64, number[i].name, number[i].n);
	fputs(",\"failed_by\":{", out);
	for (unsigned i = 0; i < GEN_FAIL_COUNT; i++)
		fprintf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", fails[i].name, r->failed_by[i]);
	fputc('}', out);
	json_statuses("failed_status", r->failed_status, out);
	json_methods("sent_by", r->sent_by, out);
	json_statuses("received_by", r->received_by, out);
	json_latency(r, out);
	fprintf(out,
		",\"reflected\":{\"requests\":%" PRIu64 ",\"responses\":%" PRIu64
		",\"acks\":%" PRIu64 ",\"malformed\":%" PRIu64 ",\"refused\":%" PRIu64,
		r->reflected.requests, r->reflected.responses, r->reflected.acks,
		r->reflected.malformed, r->reflected.refused);
	json_methods("requests_by", r->reflected.requests_by, out);
	fprintf(out,
		"},\"generator_limit\":%s,\"limit_reason\":\"%s\",\"interrupted\":%s,\"good\":%s}"
		"\n",
		r->generator_limit ? "true" : "false", r->limit_reason,
		r->interrupted ? "true" : "false", gen_result_good(r) ? "true" : "false");
	return ferror(out) ? -EIO : 0;
}

/* ---- progress ---- */

int gen_progress_line(void *arg, const struct gen_progress *p)
{
	const struct gen_result *r = p->result;
	char time[48];

	(void)arg;
	/* Short runs and the last moments show nothing. */
	if (p->elapsed_ns < PROGRESS_AFTER_NS && p->total_ns != 0 &&
		p->total_ns <= PROGRESS_AFTER_NS)
		return 0;
	if (p->total_ns != 0)
		snprintf(time, sizeof(time), "%.0f of %.0f s", (double)p->elapsed_ns / 1e9,
			(double)p->total_ns / 1e9);
	else
		snprintf(time, sizeof(time), "%.0f s", (double)p->elapsed_ns / 1e9);
	if (r->slots == 0)
		fprintf(stderr, "\r%s  %" PRIu64 " requests  %" PRIu64 " answers\033[K", time,
			r->reflected.requests, r->reflected.responses);
	else
		fprintf(stderr,
			"\r%s%s  %" PRIu64 " attempts  %" PRIu64 " ok  %" PRIu64 " failed  %" PRIu64
			" open  p50 %.0f us\033[K",
			time, p->draining ? " (waiting)" : "", r->attempts, r->ok, r->failed,
			p->open, (double)histogram_percentile(&r->first, 50) * US);
	fflush(stderr);
	return 0;
}

void gen_progress_clear(void)
{
	fputs("\r\033[K", stderr);
}
