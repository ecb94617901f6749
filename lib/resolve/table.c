/* SPDX-License-Identifier: BSD-3-Clause */
/* The names that are known or asked for, by name and by zone, and which of them goes for another.
 */
#include "resolve/internal.h"

#include <stdlib.h>

#define NONE UINT32_MAX

/* ---- zones ---- */

static uint32_t zone_bucket(const struct resolver *r, struct str name)
{
	return (uint32_t)snapshot_hash(&r->key, RESOLVE_ADDRESS, name) & (ZONE_BUCKETS - 1);
}

static struct zone *find_zone(const struct resolver *r, struct str name, uint32_t bucket)
{
	for (struct zone *z = r->zone[bucket]; z != NULL; z = z->next)
		if (str_eq(str_of(z->s, z->len), name))
			return z;
	return NULL;
}

struct zone *table_zone(const struct resolver *r, const struct host_name *name)
{
	struct str zone = name_zone(name);

	return find_zone(r, zone, zone_bucket(r, zone));
}

static struct zone *join_zone(struct resolver *r, const struct host_name *name)
{
	struct str text = name_zone(name);
	uint32_t bucket = zone_bucket(r, text);
	struct zone *z = find_zone(r, text, bucket);

	if (z == NULL) {
		z = calloc(1, sizeof(*z) + text.len);
		if (z == NULL)
			return NULL;
		memcpy(z->s, text.s, text.len);
		z->len = text.len;
		z->bucket = bucket;
		z->next = r->zone[bucket];
		r->zone[bucket] = z;
	}
	z->names++;
	return z;
}

static void leave_zone(struct resolver *r, struct zone *z)
{
	struct zone **link = &r->zone[z->bucket];

	if (--z->names != 0)
		return;
	while (*link != z)
		link = &(*link)->next;
	*link = z->next;
	free(z);
}

/* ---- names ---- */

static uint32_t bucket_of(
	const struct resolver *r, enum resolve_kind kind, const struct host_name *name)
{
	return (uint32_t)snapshot_hash(&r->key, kind, str_of(name->s, name->len)) & (BUCKETS - 1);
}

struct entry *table_find(
	const struct resolver *r, enum resolve_kind kind, const struct host_name *name)
{
	for (uint32_t i = r->bucket[bucket_of(r, kind, name)]; i != NONE;
		i = r->entry[i]->chain_next) {
		struct entry *e = r->entry[i];

		if (e->kind == kind && e->name.len == name->len &&
			memcmp(e->name.s, name->s, name->len) == 0)
			return e;
	}
	return NULL;
}

void table_remove(struct resolver *r, struct entry *e)
{
	uint32_t *link = &r->bucket[e->bucket];

	while (*link != e->slot)
		link = &r->entry[*link]->chain_next;
	*link = e->chain_next;
	r->entry[e->slot] = NULL;
	r->free_slot[r->free_slots++] = e->slot;
	r->ours -= e->ours;
	/* What is not published is not there, or a newer snapshot is due anyway. */
	if (e->published)
		r->dirty = true;
	leave_zone(r, e->zone);
	free(e->history);
	free(e);
	resolver_set_counter(r, RESOLVE_COUNTER_NAMES, RESOLVE_NAMES_MAX - r->free_slots);
}

void table_set_ours(struct resolver *r, struct entry *e)
{
	if (e->ours || r->ours == RESOLVE_OURS_MAX)
		return;
	e->ours = true;
	r->ours++;
}

/* ---- who goes ---- */

/* How much a name is needed, the lowest first. */
enum need {
	NEED_NONE,    /* it has no addresses */
	NEED_ONCE,    /* found, and not found again later on: so are made-up names */
	NEED_EARLIER, /* was in use */
	NEED_IN_USE,
	NEED_PROTECTED
};

static enum need need_of(const struct resolver *r, const struct entry *e)
{
	if (e->query != NULL || e->waiters != NULL || e->notify || e->ours)
		return NEED_PROTECTED;
	if (e->addresses.count == 0)
		return NEED_NONE;
	if (e->last_use < e->first_use + PROVEN_NS)
		return NEED_ONCE;
	return e->answer == RESOLVE_FOUND ? NEED_IN_USE : NEED_EARLIER;
}

/* Whether `a`, which is needed as much as `b`, goes before it: of the zone with more names, then
 * what has been used least lately. */
static bool goes_before(const struct entry *a, const struct entry *b)
{
	if (a->zone != b->zone && a->zone->names != b->zone->names)
		return a->zone->names > b->zone->names;
	return a->last_use < b->last_use;
}

/* Some of the failures, if there are any. */
static unsigned drop_failures(struct resolver *r)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < RESOLVE_NAMES_MAX && n < EVICT_BATCH; i++) {
		struct entry *e = r->entry[r->cursor++ % RESOLVE_NAMES_MAX];

		if (e != NULL && need_of(r, e) == NEED_NONE) {
			table_remove(r, e);
			n++;
		}
	}
	return n;
}

/*
 * Where a zone has many names that were found once, more of its oldest go together, a sixteenth of
 * the time that has passed since the oldest's use: a look at the whole table takes a while.
 */
static void drop_oldest_of(struct resolver *r, const struct zone *zone, uint64_t oldest)
{
	uint64_t until = oldest + (r->now - oldest) / 16;
	unsigned n = 0;

	for (uint32_t i = 0; i < RESOLVE_NAMES_MAX && n < EVICT_BATCH; i++) {
		struct entry *e = r->entry[i];

		if (e == NULL || e->zone != zone || e->last_use > until ||
			need_of(r, e) != NEED_ONCE)
			continue;
		resolver_count(r, RESOLVE_COUNTER_EVICTED);
		table_remove(r, e);
		n++;
	}
}

/*
 * The table is full. Names in use go only for a zone that has fewer than theirs, so that nobody
 * fills the table alone.
 */
static bool make_room(struct resolver *r, const struct host_name *name)
{
	const struct zone *zone = table_zone(r, name);
	struct entry *victim = NULL;
	enum need least = NEED_PROTECTED;

	if (drop_failures(r) != 0)
		return true;
	for (uint32_t i = 0; i < RESOLVE_NAMES_MAX; i++) {
		struct entry *e = r->entry[i];
		enum need need = need_of(r, e);

		if (need < least || (need == least && victim != NULL && goes_before(e, victim))) {
			victim = e;
			least = need;
		}
	}
	if (victim == NULL || (least == NEED_IN_USE &&
				      victim->zone->names <= (zone != NULL ? zone->names : 0) + 1))
		return false;
	/* The zone stays: it has more than this one. */
	if (least == NEED_ONCE && victim->zone->names > EVICT_FROM_ZONE) {
		drop_oldest_of(r, victim->zone, victim->last_use);
		return true;
	}
	resolver_count(r, RESOLVE_COUNTER_EVICTED);
	table_remove(r, victim);
	return true;
}

struct entry *table_add(
	struct resolver *r, enum resolve_kind kind, const struct host_name *name, bool ours)
{
	struct entry *e;

	if (r->free_slots == 0 && !make_room(r, name))
		return NULL;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return NULL;
	e->zone = join_zone(r, name);
	if (e->zone == NULL) {
		free(e);
		return NULL;
	}
	e->name = *name;
	e->kind = kind;
	e->answer = RESOLVE_MISSING;
	e->waiters_end = &e->waiters;
	e->slot = r->free_slot[--r->free_slots];
	e->bucket = bucket_of(r, kind, name);
	e->chain_next = r->bucket[e->bucket];
	r->bucket[e->bucket] = e->slot;
	r->entry[e->slot] = e;
	atomic_store_explicit(&r->shared->used[e->slot], 0, memory_order_relaxed);
	if (ours)
		table_set_ours(r, e);
	resolver_set_counter(r, RESOLVE_COUNTER_NAMES, RESOLVE_NAMES_MAX - r->free_slots);
	return e;
}
