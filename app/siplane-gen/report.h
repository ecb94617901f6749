/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a search says when it is over: the forms of RFC 7502 section 5 as text, and one JSON object.
 * Knows nothing of how trials are run.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "search.h"

#define REPORT_NOTES_MAX 16
#define REPORT_EXTRA_MAX 8 /* latency at fractions of the rate */

enum search_kind { SEARCH_NDR, SEARCH_SER, SEARCH_RR };

/* What a trial measured beside its outcome. Latencies are those from a request to its final answer.
 */
struct report_detail {
	uint64_t p50_ns, p99_ns, p999_ns, max_ns;
	uint64_t retransmissions;
	uint64_t missed;          /* slots that the generator sent too late */
	uint64_t answers_missing; /* 1xx that the other side sent and that did not come */
	uint64_t acks_lost;       /* where both sides are ours */
	bool cut;                 /* ended once its outcome was certain */
	char reason[192]; /* why attempts failed or the generator was the limit, empty where neither
			   */
};

/* One search that is over. */
struct report_search {
	bool ran;
	struct search_result result;
	struct search_desk desk;
	struct report_detail detail[SEARCH_TRIALS_MAX]; /* of desk.log */
	char caller[160], reflector[160];
	bool sees_ringing; /* the answering side told how many answers there were */
	bool sees_acks;    /* it is in this process */
	bool probing;      /* it ended while it looked for a first rate, at which */
	double probed;     /* this one passed a trial of a second, 0 none */
	/* Trials at fractions of the rate that was found. */
	struct search_record extra[REPORT_EXTRA_MAX];
	struct report_detail extra_detail[REPORT_EXTRA_MAX];
	unsigned extras;
};

/* Everything that the forms ask for. Strings outlive the report. */
struct report {
	enum search_kind kind;
	struct ndr_terms ndr;
	struct ser_terms ser;
	const char *scenario, *target, *device_under_test;
	const char *session_duration; /* as the scenario was told, NULL: not known */
	double threshold;             /* s, the longest that a request waits for its final answer */
	bool poisson, no_retransmit;
	uint64_t users;                      /* addresses-of-record, 0: any number */
	bool reregister;                     /* was asked for */
	const char *notes[REPORT_NOTES_MAX]; /* the operator's */
	unsigned n_notes;
	double waited; /* s between registration and re-registration */
	struct report_search search, again, baseline;
	double baseline_rate;                     /* of an earlier search, 0 none */
	const char *baseline_file, *baseline_end; /* its end in search_end_word()'s words */
};

/* "Session Establishment Rate", and its unit. */
const char *report_benchmark(const struct report *report);
const char *report_unit(enum search_kind kind);
/* The whole report as text, or as one JSON object on one line. 0 or -EIO. */
int report_print(const struct report *report, FILE *out);
int report_json(const struct report *report, FILE *out);
/* One sentence: what the end of a search means. */
void report_verdict(
	const struct report *report, const struct report_search *search, char *out, size_t size);
/* "12.3 us", "4.56 ms"; "-" for 0. */
const char *report_time(uint64_t ns, char *out, size_t size);
/* "458", "0.5". */
const char *report_rate(double rate, char *out, size_t size);
/*
 * Reads the rate out of the JSON of an earlier search. 0, or -errno: -EINVAL where it is no report
 * of a search of that kind. `end` is what it said of its end, static text.
 */
int report_read_rate(const char *path, enum search_kind kind, double *rate, const char **end);
