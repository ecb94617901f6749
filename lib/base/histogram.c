/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/histogram.h"

uint64_t histogram_lowest(unsigned index)
{
	unsigned shift;

	if (index < 1u << HISTOGRAM_LINEAR_BITS)
		return index;
	/* From 256 on, each 128 buckets are one power of two; 128..255 is the mantissa. */
	shift = (index - HISTOGRAM_HALF) / HISTOGRAM_HALF;
	return (uint64_t)(index - shift * HISTOGRAM_HALF) << shift;
}

void histogram_clear(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
	if (from->count == 0)
		return;
	if (h->count == 0 || from->min < h->min)
		h->min = from->min;
	if (from->max > h->max)
		h->max = from->max;
	h->count += from->count;
	h->sum += from->sum;
	h->above += from->above;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		h->bucket[i] += from->bucket[i];
}

/* Highest value of a bucket that was really met. */
static uint64_t highest(const struct histogram *h, unsigned index)
{
	uint64_t v = histogram_lowest(index + 1) - 1;

	if (index == HISTOGRAM_BUCKETS - 1 || v > h->max)
		return h->max;
	return v < h->min ? h->min : v;
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
	uint64_t rank, seen = 0;

	if (h->count == 0)
		return 0;
	if (!(percent > 0))
		return h->min;
	/* 99.9 / 100 * 1000 is a little more than 999 in floating point, and still the 999th. */
	rank = percent >= 100 ? h->count
			      : (uint64_t)ceil(percent * (double)h->count / 100 * (1 - 1e-12));
	if (rank == 0)
		rank = 1;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= rank)
			return highest(h, i);
	}
	return h->max;
}

double histogram_mean(const struct histogram *h)
{
	return h->count != 0 ? (double)h->sum / (double)h->count : 0;
}

int histogram_json(const struct histogram *h, double scale, FILE *out)
{
	static const struct {
		const char *name;
		double percent;
	} rank[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p999", 99.9}};

	fprintf(out, "{\"count\":%" PRIu64 ",\"min\":%.9g,\"mean\":%.9g", h->count,
		(double)h->min * scale, histogram_mean(h) * scale);
	for (unsigned i = 0; i < sizeof(rank) / sizeof(rank[0]); i++)
		fprintf(out, ",\"%s\":%.9g", rank[i].name,
			(double)histogram_percentile(h, rank[i].percent) * scale);
	fprintf(out, ",\"max\":%.9g}", (double)h->max * scale);
	return ferror(out) ? -EIO : 0;
}

int histogram_points(const struct histogram *h, double scale, FILE *out)
{
	uint64_t seen = 0;

	fprintf(out, "# value fraction count\n");
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (h->bucket[i] == 0)
			continue;
		seen += h->bucket[i];
		fprintf(out, "%.9g %.9f %" PRIu64 "\n", (double)highest(h, i) * scale,
			(double)seen / (double)h->count, h->bucket[i]);
	}
	return ferror(out) ? -EIO : 0;
}
