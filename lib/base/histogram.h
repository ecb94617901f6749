/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * A log-linear histogram (HDR-like): what a value is to 2 significant digits, in a fixed array,
 * without allocation. Values to 255 have a bucket each; above, each power of two is cut into 128
 * buckets, so a bucket is less than 1 % of its values wide (at most 1/128). Values are of any unit;
 * ours are nanoseconds, and the largest that has a bucket, 2^40 - 1, is 18 minutes.
 *
 * Minimum, maximum and sum are exact. A value above HISTOGRAM_MAX is counted in the last bucket and
 * in `above`: it is not lost, and `max` says what it was.
 *
 * One writer; a copy (it is plain data) may be read by anybody. histogram_clear() is a memset.
 */
#define HISTOGRAM_LINEAR_BITS 8 /* values below 2^8 are exact */
#define HISTOGRAM_HALF (1u << (HISTOGRAM_LINEAR_BITS - 1))
#define HISTOGRAM_MAX_BITS 40
#define HISTOGRAM_MAX ((1ULL << HISTOGRAM_MAX_BITS) - 1)
#define HISTOGRAM_BUCKETS \
	((1u << HISTOGRAM_LINEAR_BITS) + \
		(HISTOGRAM_MAX_BITS - HISTOGRAM_LINEAR_BITS) * HISTOGRAM_HALF)

struct histogram {
	uint64_t count, sum, min, max, above;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_index(uint64_t v)
{
	unsigned shift;

	if (v < 1u << HISTOGRAM_LINEAR_BITS)
		return (unsigned)v;
	if (v > HISTOGRAM_MAX)
		return HISTOGRAM_BUCKETS - 1;
	/* The top 8 bits of v, whose first is 1, and how far they were moved. */
	shift = (unsigned)(64 - HISTOGRAM_LINEAR_BITS) - (unsigned)__builtin_clzll(v);
	return (unsigned)(v >> shift) + shift * HISTOGRAM_HALF;
}

/* Lowest value of a bucket; of HISTOGRAM_BUCKETS, 2^40. */
uint64_t histogram_lowest(unsigned index);

static inline void histogram_add_n(struct histogram *h, uint64_t v, uint64_t n)
{
	if (n == 0)
		return;
	if (h->count == 0 || v < h->min)
		h->min = v;
	if (v > h->max)
		h->max = v;
	if (v > HISTOGRAM_MAX)
		h->above += n;
	h->count += n;
	h->sum += v * n;
	h->bucket[histogram_index(v)] += n;
}

static inline void histogram_add(struct histogram *h, uint64_t v)
{
	histogram_add_n(h, v, 1);
}

void histogram_clear(struct histogram *h);
/* Adds all that `from` holds. */
void histogram_merge(struct histogram *h, const struct histogram *from);
/*
 * The value that `percent` (0 to 100) of all values do not exceed: the highest value of the bucket
 * in which the one of that rank lies (as HdrHistogram), never above `max` nor below `min`. 0 where
 * it is empty.
 */
uint64_t histogram_percentile(const struct histogram *h, double percent);
/* Mean of all values; 0 where it is empty. */
double histogram_mean(const struct histogram *h);
/*
 * One JSON object without a newline: {"count":..,"min":..,"mean":..,"p50":..,"p90":..,"p99":..,
 * "p999":..,"max":..}, each value times `scale` (0.001 for microseconds out of nanoseconds).
 * Returns 0 or -EIO.
 */
int histogram_json(const struct histogram *h, double scale, FILE *out);
/*
 * Points of the cumulative distribution, for gnuplot: a line for each bucket that holds something,
 * "VALUE FRACTION COUNT" (its highest value times `scale`; the share of values at or below it; how
 * many are in it), after a comment line that begins with '#'. Returns 0 or -EIO.
 */
int histogram_points(const struct histogram *h, double scale, FILE *out);
