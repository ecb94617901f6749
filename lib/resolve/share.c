/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may ask for names, and wait for them, where many want to. Names that have been found before,
 * and those of scripts and lists, have places of their own; so have new ones, since whoever has a
 * zone can have its names found, and then be silent. Among each it goes by zones: a flood of
 * made-up names has as many as it likes, but few zones that let names be made up.
 */
#include "resolve/internal.h"

/* Places of a zone's strangers at a time. */
static uint32_t places_of(const struct zone *zone)
{
	return zone != NULL && zone->silent >= RESOLVE_SILENT_AFTER ? RESOLVE_QUERIES_SILENT
								    : RESOLVE_QUERIES_ZONE;
}

/* Whether `a` gives way before `b`: of the zone with more under way, then what began first. */
static bool gives_way_before(const struct query *a, const struct query *b)
{
	uint32_t of_a = a->known ? a->entry->zone->known : a->entry->zone->strangers;
	uint32_t of_b = b->known ? b->entry->zone->known : b->entry->zone->strangers;

	if (a->known != b->known)
		return !a->known;
	return of_a != of_b ? of_a > of_b : a->began < b->began;
}

/* Whether names that are known have all places but those of new ones. */
static bool known_are_full(const struct resolver *r)
{
	return r->queries - r->strangers >= RESOLVE_QUERIES_MAX - RESOLVE_QUERIES_NEW;
}

/*
 * Whether `q` may be given up for a name whose zone has `mine` under way. Strangers give way to
 * names that are known, at once, while those leave them their places. Among equals a zone with more
 * does; and what has taken longer than names that can be had use to, so that as many zones as there
 * are places do not keep them.
 */
static bool gives_way(const struct query *q, uint32_t mine, bool known)
{
	const struct zone *zone = q->entry->zone;

	if (q->known != known)
		return known && !known_are_full(q->resolver);
	if ((known ? zone->known : zone->strangers) > mine + 1)
		return true;
	return !known && q->resolver->now - q->began >= RESOLVE_PATIENCE_MS * CLOCK_NS_PER_MS;
}

static bool make_way(struct resolver *r, uint32_t mine, bool known)
{
	struct query *victim = NULL;

	for (uint32_t i = 0; i < r->queries; i++) {
		struct query *q = r->query[i];

		/* Not what is being dealt with. */
		if (!q->advancing && gives_way(q, mine, known) &&
			(victim == NULL || gives_way_before(q, victim)))
			victim = q;
	}
	if (victim == NULL)
		return false;
	resolver_count(r, RESOLVE_COUNTER_PUSHED);
	query_end(victim, QUERY_PUSHED);
	return true;
}

bool share_admit(struct resolver *r, const struct zone *zone, bool known)
{
	uint32_t mine = zone == NULL ? 0 : known ? zone->known : zone->strangers;

	if (mine >= (known ? RESOLVE_QUERIES_ZONE : places_of(zone))) {
		/* A refresh comes to its turn later. */
		if (!known)
			resolver_count(r, RESOLVE_COUNTER_ZONE);
		return false;
	}
	/* What is left of names that gave way is bounded as well. */
	if (r->questions >= (known ? QUESTIONS_MAX : QUESTIONS_STRANGERS))
		return false;
	if (r->queries < RESOLVE_QUERIES_MAX &&
		(known ? !known_are_full(r)
		       : r->strangers < RESOLVE_QUERIES_MAX - RESOLVE_QUERIES_KNOWN))
		return true;
	return make_way(r, mine, known);
}

bool share_wait(const struct resolver *r, const struct entry *e, bool known)
{
	if (r->waiters >= r->waiters_max)
		return false;
	if (known)
		return e->waiting < r->waiters_max / 2;
	return e->waiting < r->waiters_max / RESOLVE_WAIT_NAME &&
	       e->zone->waiters < r->waiters_max / RESOLVE_WAIT_ZONE &&
	       r->strange_waiters < r->waiters_max / 2;
}
