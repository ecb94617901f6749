/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "report.h"

static const char *kind_word(enum search_kind kind)
{
	switch (kind) {
	case SEARCH_NDR:
		return "ndr";
	case SEARCH_SER:
		return "ser";
	case SEARCH_RR:
		return "rr";
	}
	return "?";
}

static json_t *us(uint64_t ns)
{
	return json_real((double)ns / 1e3);
}

static json_t *or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *trial(const struct search_record *t, const struct report_detail *d)
{
	return json_pack("{s:i s:f s:I s:I s:f s:s s:b s:b s:I s:I s:I s:I s:o s:o s:o s:o s:o}",
		"trial", (int)t->ask.number, "rate", t->ask.rate, "attempts",
		(json_int_t)t->outcome.attempts, "failures", (json_int_t)t->outcome.failures,
		"seconds", t->outcome.seconds, "outcome", search_mark_word(t->mark), "full_length",
		(int)t->ask.full, "ended_early", (int)d->cut, "retransmissions",
		(json_int_t)d->retransmissions, "missed_slots", (json_int_t)d->missed,
		"answers_missing", (json_int_t)d->answers_missing, "acks_lost",
		(json_int_t)d->acks_lost, "latency_us_p50", us(d->p50_ns), "latency_us_p99",
		us(d->p99_ns), "latency_us_p999", us(d->p999_ns), "latency_us_max", us(d->max_ns),
		"reason", or_null(d->reason));
}

static json_t *search_object(const struct report *report, const struct report_search *s)
{
	const struct search_record *at = desk_passed(&s->desk, s->result.rate);
	json_t *trials = json_array(), *extras = json_array();
	char verdict[256];

	if (!s->ran) {
		json_decref(trials);
		json_decref(extras);
		return json_null();
	}
	for (unsigned i = 0; i < s->desk.trials; i++)
		json_array_append_new(trials, trial(&s->desk.log[i], &s->detail[i]));
	for (unsigned i = 0; i < s->extras; i++)
		json_array_append_new(extras, trial(&s->extra[i], &s->extra_detail[i]));
	report_verdict(report, s, verdict, sizeof(verdict));
	return json_pack("{s:s s:s s:o s:s s:o s:I s:i s:f s:i s:o s:o s:o s:o s:o}", "end",
		search_end_word(s->result.end), "verdict", verdict, "rate",
		s->result.rate > 0 ? json_real(s->result.rate) : json_null(), "unit",
		report_unit(report->kind), "not_passed",
		s->result.above > 0 ? json_real(s->result.above) : json_null(), "attempts",
		(json_int_t)s->result.attempts, "trials_run", (int)s->result.trials, "seconds",
		s->result.seconds, "converging", (int)s->result.converging, "at_rate",
		at != NULL ? trial(at, &s->detail[at->ask.number - 1]) : json_null(), "trials",
		trials, "latency", extras, "caller", or_null(s->caller), "reflector",
		or_null(s->reflector));
}

static json_t *setup(const struct report *report)
{
	bool ndr = report->kind == SEARCH_NDR;
	json_t *out = json_pack(
		"{s:s s:n s:f s:o s:I s:i s:n s:n s:n s:n s:f s:n s:n s:o s:s s:b s:o s:o}",
		"sip_transport_protocol", "UDP", "connection_management", "session_attempt_rate",
		ndr ? report->ndr.start : report->ser.r, "session_duration",
		or_null(report->session_duration), "total_sessions_attempted",
		(json_int_t)report->search.result.attempts, "media_streams_per_session", 0,
		"media_relay", "associated_media_protocol", "codec", "media_packet_size",
		"establishment_threshold_time", report->threshold, "tls_ciphersuite",
		"ipsec_profile", "scenario", or_null(report->scenario), "arrivals",
		report->poisson ? "poisson" : "uniform", "retransmission",
		(int)!report->no_retransmit, "target", or_null(report->target), "device_under_test",
		or_null(report->device_under_test));

	if (out == NULL)
		return NULL;
	if (ndr) {
		json_object_set_new(
			out, "sees_provisional_loss", json_boolean(report->search.sees_ringing));
		json_object_set_new(out, "sees_ack_loss", json_boolean(report->search.sees_acks));
		json_object_set_new(out, "trial_seconds", json_real(report->ndr.seconds));
		json_object_set_new(out, "final_seconds", json_real(report->ndr.final_seconds));
		json_object_set_new(out, "resolution", json_real(report->ndr.resolution));
		json_object_set_new(out, "loss_allowed", json_real(report->ndr.loss));
	} else {
		json_object_set_new(out, "n", json_integer((json_int_t)report->ser.n));
		json_object_set_new(out, "w", json_real(report->ser.w));
		json_object_set_new(out, "trial_seconds_at_least", json_real(report->ser.seconds));
		json_object_set_new(out, "repeats", json_integer(report->ser.repeats));
	}
	return out;
}

static json_t *baseline(const struct report *report)
{
	if (report->baseline_rate > 0)
		return json_pack("{s:s s:f s:s s:s}", "end", report->baseline_end, "rate",
			report->baseline_rate, "unit", report_unit(report->kind), "file",
			report->baseline_file);
	return search_object(report, &report->baseline);
}

int report_json(const struct report *report, FILE *out)
{
	json_t *notes = json_array(), *root;
	int status;

	for (unsigned i = 0; i < report->n_notes; i++)
		json_array_append_new(notes, json_string(report->notes[i]));
	root = json_pack("{s:s s:s s:s s:o s:o s:o s:o s:o}", "search", kind_word(report->kind),
		"benchmark", report_benchmark(report), "version", SIPLANE_VERSION, "setup",
		setup(report), "result", search_object(report, &report->search), "reregistration",
		search_object(report, &report->again), "baseline", baseline(report), "notes",
		notes);
	if (root == NULL)
		return -ENOMEM;
	if (report->again.ran)
		json_object_set_new(root, "waited_seconds", json_real(report->waited));
	status = json_dumpf(root, out, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
	json_decref(root);
	fputc('\n', out);
	return status == 0 && fflush(out) == 0 && !ferror(out) ? 0 : -EIO;
}

int report_read_rate(const char *path, enum search_kind kind, double *rate, const char **end)
{
	json_t *root = json_load_file(path, 0, NULL);
	const char *search, *said;
	int status = -EINVAL;

	if (root == NULL)
		return errno == ENOENT || errno == EACCES ? -errno : -EINVAL;
	if (json_unpack(root, "{s:s s:{s:s s:F}}", "search", &search, "result", "end", &said,
		    "rate", rate) == 0 &&
		strcmp(search, kind_word(kind)) == 0 && isfinite(*rate) && *rate > 0)
		for (int i = SEARCH_FOUND; i <= SEARCH_ERROR; i++)
			if (strcmp(said, search_end_word((enum search_end)i)) == 0) {
				*end = search_end_word((enum search_end)i);
				status = 0;
			}
	json_decref(root);
	return status;
}
