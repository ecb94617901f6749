/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "search.h"

/*
 * RFC 7502 4.10, max_sps(r, m, n), with its names. It differs from the letter in four points, none
 * of which changes what it does with a system that always behaves alike:
 *  - r rises by at least 1: below 10 the RFC's floor() would stay where it is and count that as
 * converging;
 *  - a failure at or below old_r takes old_r back to what still stands, since R must not be a rate
 * that failed;
 *  - a trial that the generator limited lowers r like a failure, but is none: where nothing else
 * bounds R, R is not found;
 *  - r stays at `max`, and the number of trials is bounded.
 */
static enum search_end verdict(
	const struct ser_terms *terms, const struct search_desk *desk, struct search_result *out)
{
	double failed = desk_lowest(desk, out->rate, SEARCH_FAILED);
	double limited = desk_lowest(desk, out->rate, SEARCH_LIMITED);
	double next = fmax(floor(out->rate + terms->w * out->rate), out->rate + 1);

	out->above = fmin(failed, limited);
	if (isinf(out->above))
		out->above = 0;
	/* The system's own failure within one step bounds R, whatever the generator said between.
	 */
	if (failed <= next)
		return SEARCH_FOUND;
	if (isfinite(limited))
		return SEARCH_GENERATOR;
	return isfinite(failed) ? SEARCH_FOUND : SEARCH_CEILING;
}

enum search_end ser_find(
	const struct ser_terms *terms, struct search_desk *desk, struct search_result *out)
{
	double r = fmin(terms->r, terms->max), old_r = 0;
	double w = terms->w, d = fmax(0.10, w / 2);
	unsigned count = 0;

	*out = (struct search_result){.end = SEARCH_FOUND};
	for (;;) {
		struct search_ask ask = {
			.rate = r,
			.attempts = (uint64_t)fmax((double)terms->n, ceil(terms->seconds * r)),
			.full = true,
			.low = old_r,
			.high = fmin(desk_lowest(desk, old_r, SEARCH_FAILED),
				desk_lowest(desk, old_r, SEARCH_LIMITED)),
		};
		int mark = desk_try(desk, &ask, out);

		if (mark < 0)
			break;
		if (mark == SEARCH_PASSED) {
			if (r > old_r)
				old_r = r;
			else if (++count >= terms->repeats)
				break; /* converged */
			r = fmin(fmax(floor(r + w * r), r + 1), terms->max);
			continue;
		}
		if (mark == SEARCH_FAILED && r <= old_r)
			old_r = desk_standing(desk, r);
		r = floor(r - d * r);
		d = fmax(0.10, d / 2);
		w = fmax(0.10, w / 2);
		if (r < SEARCH_RATE_MIN) {
			out->end = mark == SEARCH_LIMITED ? SEARCH_GENERATOR : SEARCH_NONE;
			break;
		}
	}
	out->converging = count;
	out->rate = old_r;
	if (out->end == SEARCH_FOUND)
		out->end = verdict(terms, desk, out);
	return out->end;
}
