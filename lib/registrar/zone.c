/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zone: the local time of a moment, and the moment of a local time, by the rule of that moment. A
 * contact that lasts beyond the beginning of summer time ends on the other side of it.
 *
 * What localtime_r() knows of some years is asked for by the control thread once a day, and
 * published: it takes a lock, and workers may not.
 */
#include <stdlib.h>
#include <time.h>

#include "registrar/internal.h"

#define DAY_S 86400
/* Years whose changes are known; contacts seldom last for a day. Beyond them the last offset
 * counts. */
#define BEFORE_S (INT64_C(400) * DAY_S)
#define AFTER_S (INT64_C(5) * 366 * DAY_S)

static bool offset_at(int64_t moment, int64_t *out)
{
	time_t at = (time_t)moment;
	struct tm local;

	if (localtime_r(&at, &local) == NULL)
		return false;
	*out = local.tm_gmtoff;
	return true;
}

/* The first moment behind `a` that has another offset, where `b` has. */
static bool change_between(int64_t a, int64_t b, int64_t *out)
{
	int64_t first, offset;

	if (!offset_at(a, &first))
		return false;
	while (b - a > 1) {
		int64_t middle = a + (b - a) / 2;

		if (!offset_at(middle, &offset))
			return false;
		if (offset == first)
			a = middle;
		else
			b = middle;
	}
	*out = b;
	return true;
}

static bool spans_read(struct registrar_zone *z, int64_t now)
{
	int64_t at = now - BEFORE_S, offset;

	z->span[0].from = INT64_MIN;
	z->count = 1;
	if (!offset_at(at, &z->span[0].offset))
		return false;
	for (; at < now + AFTER_S && z->count < REGISTRAR_ZONE_SPANS; at += DAY_S) {
		struct registrar_zone_span *next = &z->span[z->count];

		if (!offset_at(at + DAY_S, &offset))
			return false;
		if (offset == next[-1].offset)
			continue;
		if (!change_between(at, at + DAY_S, &next->from))
			return false;
		next->offset = offset;
		z->count++;
	}
	return true;
}

void registrar_zone_publish(struct registrar *r, int64_t now, uint64_t now_ns)
{
	const struct registrar_zone *before = registrar_zone(r);
	int64_t epoch = now - (int64_t)(now_ns / CLOCK_NS_PER_S);
	/* The two clocks' seconds begin at other moments. */
	bool steady = epoch >= before->epoch - 1 && epoch <= before->epoch + 1;
	struct registrar_zone *z;

	if (steady && now < r->zone_until)
		return;
	z = calloc(1, sizeof(*z));
	if (z == NULL)
		return;
	z->epoch = steady ? before->epoch : epoch;
	if (!spans_read(z, now)) {
		free(z);
		return;
	}
	r->zone_until = now + DAY_S;
	if (steady && memcmp(z->span, before->span, sizeof(z->span)) == 0)
		free(z);
	else
		registrar_retire(r, atomic_exchange_explicit(&r->zone, z, memory_order_acq_rel));
}

int64_t registrar_zone_local(const struct registrar_zone *z, int64_t moment)
{
	unsigned i = z->count - 1;

	while (i > 0 && moment < z->span[i].from)
		i--;
	return moment + z->span[i].offset;
}

int64_t registrar_zone_moment(const struct registrar_zone *z, int64_t local)
{
	unsigned i = z->count - 1;

	/* From the last one: of two moments it is the later. One in the hour that is left out is no
	 * moment behind the change, and so it counts by the offset before it. */
	while (i > 0 && local - z->span[i].offset < z->span[i].from)
		i--;
	return local - z->span[i].offset;
}

int64_t registrar_zone_least(const struct registrar_zone *z, int64_t moment)
{
	int64_t least = INT64_MAX;

	for (unsigned i = 0; i < z->count; i++) {
		const struct registrar_zone_span *s = &z->span[i];
		int64_t local = (moment > s->from ? moment : s->from) + s->offset;

		/* What registrar_zone_moment() takes for the next one's is none of this one's. */
		if (i + 1 < z->count && local >= s[1].from + s[1].offset)
			continue;
		if (local < least)
			least = local;
	}
	return least;
}
