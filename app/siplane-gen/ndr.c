/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "search.h"

/* The bracket of a binary search: `low` passed, `high` did not. */
struct bracket {
	double low;
	double high;
	bool limited; /* at `high` it was the generator that gave up */
};

/* A rate that a person can type again; below 100 a whole number would be coarse. */
static double whole(double rate)
{
	return rate < 100 ? rate : floor(rate);
}

/* Runs a trial at `rate` and narrows the bracket. Returns its mark, -1 when the search is over. */
static int narrow(const struct ndr_terms *terms, struct search_desk *desk, struct bracket *bracket,
	double rate, bool full, struct search_result *out)
{
	struct search_ask ask = {
		.rate = rate,
		.seconds = full ? terms->final_seconds : terms->seconds,
		.loss = terms->loss,
		.full = full,
		.low = bracket->low,
		.high = bracket->high,
	};
	int mark = desk_try(desk, &ask, out);

	if (mark == SEARCH_PASSED) {
		bracket->low = rate;
	} else if (mark >= 0) {
		bracket->high = rate;
		bracket->limited = mark == SEARCH_LIMITED;
	}
	return mark;
}

static bool fine_enough(const struct ndr_terms *terms, const struct bracket *bracket)
{
	return bracket->high - bracket->low <= terms->resolution * bracket->low;
}

/* The next rate of the short trials, 0 when there is nothing left to ask. */
static double next(const struct ndr_terms *terms, const struct bracket *bracket)
{
	double rate;

	if (isinf(bracket->high)) {
		if (bracket->low >= terms->max)
			return 0;
		return bracket->low == 0 ? terms->start : fmin(bracket->low * 2, terms->max);
	}
	if (bracket->low == 0)
		return bracket->high <= terms->min ? 0 : fmax(whole(bracket->high / 2), terms->min);
	if (fine_enough(terms, bracket))
		return 0;
	rate = whole((bracket->low + bracket->high) / 2);
	return rate > bracket->low ? rate : 0;
}

/*
 * The full-length trials (RFC 2544 24): at what the short ones found; where that fails, further and
 * further below it, and then in the bracket that this leaves. `bracket->low` has passed at full
 * length when it returns 0 with low > 0.
 */
static int decide(const struct ndr_terms *terms, struct search_desk *desk, struct bracket *bracket,
	struct search_result *out)
{
	double rate = bracket->low, step = fmax(terms->resolution * rate, rate < 100 ? 0 : 1);

	bracket->low = 0;
	for (;;) {
		int mark = narrow(terms, desk, bracket, rate, true, out);

		if (mark < 0)
			return -1;
		if (mark == SEARCH_PASSED)
			break;
		if (rate <= terms->min)
			return 0;
		rate = fmax(whole(rate - step), terms->min);
		step *= 2;
	}
	while (isfinite(bracket->high) && !fine_enough(terms, bracket)) {
		rate = whole((bracket->low + bracket->high) / 2);
		if (rate <= bracket->low)
			break;
		if (narrow(terms, desk, bracket, rate, true, out) < 0)
			return -1;
	}
	return 0;
}

enum search_end ndr_find(
	const struct ndr_terms *terms, struct search_desk *desk, struct search_result *out)
{
	struct bracket bracket = {.high = INFINITY};
	double rate;

	*out = (struct search_result){.end = SEARCH_FOUND};
	while ((rate = next(terms, &bracket)) > 0)
		if (narrow(terms, desk, &bracket, rate, false, out) < 0)
			break;
	if (out->end == SEARCH_FOUND && bracket.low > 0)
		decide(terms, desk, &bracket, out);
	/* Only a rate that passed at full length is an answer. */
	if (bracket.low > 0 && out->end == SEARCH_FOUND)
		out->rate = bracket.low;
	out->above = isinf(bracket.high) ? 0 : bracket.high;
	if (out->end != SEARCH_FOUND)
		out->rate = desk_standing(desk, INFINITY);
	else if (isinf(bracket.high))
		out->end = SEARCH_CEILING;
	else if (bracket.limited)
		out->end = SEARCH_GENERATOR;
	else if (out->rate == 0)
		out->end = SEARCH_NONE;
	return out->end;
}
