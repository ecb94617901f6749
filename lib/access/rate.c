/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Token buckets by source, in memory that is all there from the beginning.
 *
 * A bucket is one number: the time at which it will be full again. A token taken moves it on by the
 * time that a token takes to grow; what lies further ahead than a burst's worth is refused. So
 * nothing is refilled, and a bucket that is full again (its time has passed) says nothing and may
 * be given to another source.
 *
 * Buckets stand in sets of one cache line. A source has its own while its set has room; where all
 * four belong to sources that are at it, it shares one of them. Addresses are found by a keyed
 * hash: nobody can choose with whom.
 *
 * Of two threads that give an idle bucket to two sources at once, one wins, and the other source
 * shares the bucket's time with it. A token is taken by compare-and-swap: none is given out twice.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "access/access.h"

#define WAYS 4

struct bucket {
	_Atomic uint64_t source;  /* hash of the source that has it, 0: none yet */
	_Atomic uint64_t full_at; /* ns */
};

struct set {
	_Alignas(64) struct bucket way[WAYS];
};

struct access_rate {
	struct hash_key key;
	uint64_t interval; /* ns in which one token grows; 0: none ever */
	uint64_t depth;    /* ns that a whole burst takes */
	uint32_t mask;     /* sets - 1 */
	struct set *set;
};

struct access_rate *access_rate_create(
	uint32_t sources, uint32_t per_second, uint32_t burst, const struct hash_key *key)
{
	struct access_rate *rate = calloc(1, sizeof(*rate));
	uint64_t sets = 1;

	while (sets * WAYS < sources)
		sets *= 2;
	if (rate == NULL)
		return NULL;
	rate->set = aligned_alloc(64, sets * sizeof(*rate->set));
	if (rate->set == NULL) {
		free(rate);
		errno = ENOMEM;
		return NULL;
	}
	memset(rate->set, 0, sets * sizeof(*rate->set));
	rate->key = *key;
	rate->mask = (uint32_t)(sets - 1);
	if (per_second != 0) {
		rate->interval = CLOCK_NS_PER_S / per_second;
		if (rate->interval == 0)
			rate->interval = 1;
	}
	rate->depth = rate->interval * (burst != 0 ? burst : 1);
	return rate;
}

void access_rate_destroy(struct access_rate *rate)
{
	if (rate == NULL)
		return;
	free(rate->set);
	free(rate);
}

static uint64_t hash_source(const struct access_rate *rate, const struct net_addr *source)
{
	/* Of IPv6 the network: whoever has an address there has them all. */
	uint32_t len = source->family == 4 ? 4 : 8;
	uint64_t v = hash_text(&rate->key, str_of((const char *)source->b, len));

	return v != 0 ? v : 1;
}

static inline uint64_t load(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

/* The bucket of a source, its own or another's; or `*idle`, which it may have. */
static struct bucket *find_bucket(
	struct set *set, uint64_t source, uint64_t now_ns, struct bucket **idle)
{
	*idle = NULL;
	for (unsigned i = 0; i < WAYS; i++) {
		if (load(&set->way[i].source) == source)
			return &set->way[i];
		if (load(&set->way[i].full_at) <= now_ns)
			*idle = &set->way[i];
	}
	return *idle == NULL ? &set->way[source >> 62] : NULL;
}

static struct bucket *bucket_of(struct set *set, uint64_t source, uint64_t now_ns)
{
	struct bucket *idle, *found = find_bucket(set, source, now_ns, &idle);

	if (found != NULL)
		return found;
	atomic_store_explicit(&idle->source, source, memory_order_relaxed);
	return idle;
}

/* Whether a bucket has no token. */
static inline bool is_spent(const struct access_rate *rate, uint64_t full_at, uint64_t now_ns)
{
	return (full_at > now_ns ? full_at - now_ns : 0) + rate->interval > rate->depth;
}

bool access_rate_spent(
	const struct access_rate *rate, const struct net_addr *source, uint64_t now_ns)
{
	const struct set *set;
	uint64_t hash;

	if (rate->interval == 0)
		return true;
	hash = hash_source(rate, source);
	set = &rate->set[hash & rate->mask];
	for (unsigned i = 0; i < WAYS; i++)
		if (load(&set->way[i].source) == hash)
			return is_spent(rate, load(&set->way[i].full_at), now_ns);
	return false;
}

bool access_rate_take(struct access_rate *rate, const struct net_addr *source, uint64_t now_ns)
{
	uint64_t hash, full_at, from;
	struct bucket *bucket;

	if (rate->interval == 0)
		return false;
	hash = hash_source(rate, source);
	bucket = bucket_of(&rate->set[hash & rate->mask], hash, now_ns);
	full_at = load(&bucket->full_at);
	do {
		from = full_at > now_ns ? full_at : now_ns;
		if (is_spent(rate, from, now_ns))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&bucket->full_at, &full_at,
		from + rate->interval, memory_order_relaxed, memory_order_relaxed));
	return true;
}
