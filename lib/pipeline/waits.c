/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * waits: who waits for databases, counted by source as messages begin to wait and go on. A worker
 * asks before it hands a message over: what the control thread would refuse later would stand in
 * its place until then, and who sends faster than that thread looks would have them all.
 *
 * A message that waits takes a place and a ring that all threads share; two or three numbers more
 * are no matter. Sources are keyed: nobody chooses with whom he shares a number.
 */
#include <stdlib.h>

#include "pipeline/worker.h"

#define WAITS_SOURCES (1u << 14)

struct waits {
	struct hash_key key;
	uint32_t most, part;
	_Alignas(64) _Atomic uint32_t all;
	_Alignas(64) _Atomic uint32_t by[WAITS_SOURCES];
};

struct waits *waits_create(uint32_t most, const struct hash_key *key)
{
	struct waits *s = aligned_alloc(64, sizeof(*s));

	if (s == NULL)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->key = *key;
	s->most = most;
	s->part = RTE_MAX(most / PIPELINE_DATABASE_PARTS, 1u);
	return s;
}

/* Of an address's first bytes. */
static uint32_t number_of(const struct waits *s, const struct net_addr *a, uint32_t bytes)
{
	return (uint32_t)(hash_text(&s->key, str_of((const char *)a->b, bytes)) % WAITS_SOURCES);
}

static uint32_t add_to(struct waits *s, uint32_t number)
{
	return atomic_fetch_add_explicit(&s->by[number], 1, memory_order_relaxed);
}

bool waits_take(struct waits *s, struct held *h)
{
	const struct net_addr *a = &h->ctx.origin.src.addr;
	uint32_t source = number_of(s, a, a->family == 6 ? 8 : 4), site, sites = 0;
	uint32_t all = atomic_fetch_add_explicit(&s->all, 1, memory_order_relaxed);
	uint32_t mine = add_to(s, source);

	h->wait = source + 1;
	if (a->family == 6) {
		site = number_of(s, a, 6);
		sites = add_to(s, site);
		h->wait_site = site + 1;
	}
	if (all < s->most &&
		(all < s->most / 2 || (mine < s->part && sites < PIPELINE_DATABASE_SITE * s->part)))
		return true;
	waits_give_back(s, h);
	return false;
}

void waits_give_back(struct waits *s, struct held *h)
{
	if (h->wait == 0)
		return;
	atomic_fetch_sub_explicit(&s->by[h->wait - 1], 1, memory_order_relaxed);
	if (h->wait_site != 0)
		atomic_fetch_sub_explicit(&s->by[h->wait_site - 1], 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&s->all, 1, memory_order_relaxed);
	h->wait = h->wait_site = 0;
}
