/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * siplane-gen search: the highest rate that a system carries.
 *
 * Two searches, both pure: they ask for trials through a callback and know nothing of sockets or
 * clocks, so that the unit tests run them against systems whose capacity is known.
 *
 *   ndr_find()  non-drop rate by binary search (RFC 2544 24 and 26.1); with a loss that is allowed,
 * the partial drop rate ser_find()  Session Establishment Rate or Registration Rate by the
 * algorithm of RFC 7502 4.10, in its own names
 *
 * A trial ends in one of three ways. It passed; or it failed, which is the system's doing; or the
 * generator itself was the limit, and then the trial says nothing about the system: it is run
 * again, and when it stays so its rate bounds what can be measured, not what the system can do. A
 * search that meets that bound first says so and has not found the rate.
 *
 * One thread. No allocation.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SEARCH_TRIALS_MAX 1000 /* of one search, and the size of its log */
#define SEARCH_LIMIT_TRIES 3   /* a trial that the generator limited is run so often in all */

/* One trial that a search wants: `attempts` where it is not 0, else `seconds`. */
struct search_ask {
	double rate; /* attempts a second */
	uint64_t attempts;
	double seconds;
	double loss;     /* fraction of the attempts that may fail */
	unsigned number; /* from 1 */
	bool full;       /* full length: one that decides */
	double low;      /* the highest rate that stands as passed, 0 none */
	double high;     /* the lowest one above it that did not pass, infinite none */
};

/* What became of it. */
struct search_outcome {
	uint64_t attempts;
	uint64_t failures;
	double seconds;
	bool limited; /* the generator was late, or had no room: it was the limit */
};

/*
 * Runs one trial. Returns 0, 1 when whoever runs the search wants it ended (a signal), or -errno
 * when the trial could not be run at all.
 */
typedef int (*search_trial)(
	void *arg, const struct search_ask *ask, struct search_outcome *outcome);

enum search_mark { SEARCH_PASSED, SEARCH_FAILED, SEARCH_LIMITED };

struct search_record {
	struct search_ask ask;
	struct search_outcome outcome;
	enum search_mark mark;
};

/* The caller fills the first part; the log grows with every trial, a repeated one has its own line.
 */
struct search_desk {
	search_trial trial;
	void *arg;
	unsigned trials_max; /* 1 to SEARCH_TRIALS_MAX */

	unsigned trials;
	struct search_record log[SEARCH_TRIALS_MAX];
};

enum search_end {
	SEARCH_FOUND,   /* `rate` passed, and the system failed at `above` */
	SEARCH_NONE,    /* the system failed at every rate that was tried */
	SEARCH_CEILING, /* `rate` passed and nothing above it was allowed: it carries at least that
			 */
	SEARCH_GENERATOR, /* `rate` passed (0: none), and above it the generator was the limit */
	SEARCH_TRIALS,    /* as many trials as were allowed, without an end */
	SEARCH_STOPPED,   /* the callback wanted no more */
	SEARCH_ERROR,     /* the callback could not run a trial: `error` */
};

/*
 * `rate` is the highest rate whose last trial passed, with no failure at or below it since; 0 where
 * there is none. The ends after SEARCH_GENERATOR leave in it what was known by then.
 */
struct search_result {
	enum search_end end;
	double rate;
	double above; /* the lowest rate above it that did not pass, 0 none */
	unsigned trials;
	uint64_t attempts;   /* of all trials */
	double seconds;      /* of all trials */
	unsigned converging; /* RFC 7502: `count` at the end */
	int error;
};

struct ndr_terms {
	double start;      /* the first rate */
	double min, max;   /* attempts a second */
	double resolution; /* the answer's distance to the failing rate above it, as a fraction of
			      it */
	double loss;       /* 0: NDR; a fraction: PDR */
	double seconds;    /* of a trial that searches */
	double final_seconds; /* of one that decides (RFC 2544 24: at least 60) */
};

struct ser_terms {
	double r;       /* initial attempt rate */
	double w;       /* increase weight, 0 < w <= 1; the decrease weight d is max(0.10, w / 2) */
	uint64_t n;     /* attempts of a trial */
	double seconds; /* a trial lasts at least that: N grows to it; 0: N alone */
	unsigned repeats; /* successes at or below the highest until it counts as converged: 10 */
	double max;       /* no rate above it, infinite where there is none */
};

/* Bounds of what the options may say. */
#define SEARCH_RATE_MIN 1.0
#define SEARCH_RATE_MAX 1e8

/*
 * The searches. Each fills `out` and returns its end. Rates of 100 and more are whole numbers. The
 * number of trials is at most desk->trials_max.
 */
enum search_end ndr_find(
	const struct ndr_terms *terms, struct search_desk *desk, struct search_result *out);
enum search_end ser_find(
	const struct ser_terms *terms, struct search_desk *desk, struct search_result *out);

/* For the searches (desk.c). */

/* Runs a trial, again when the generator limited it. Returns its mark, or -1 with out->end set: the
 * search is over. */
int desk_try(struct search_desk *desk, const struct search_ask *ask, struct search_result *out);
/* The highest rate below `below` that passed and has no failure at or below it since; 0 none. */
double desk_standing(const struct search_desk *desk, double below);
/* The lowest rate above `rate` that got that mark; infinite where there is none. */
double desk_lowest(const struct search_desk *desk, double rate, enum search_mark mark);
/* The record of the last trial at `rate` that passed, NULL where there is none. */
const struct search_record *desk_passed(const struct search_desk *desk, double rate);

/* The word for an end in reports: "found", "none", ... */
const char *search_end_word(enum search_end end);
const char *search_mark_word(enum search_mark mark);

/*
 * The verb `siplane-gen search ...`; argv[0] is "search". Returns the exit status: 0 found, 1 not
 * found or failed, 2 wrong usage.
 */
int search_main(int argc, char **argv);
