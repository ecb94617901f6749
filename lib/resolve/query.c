/* SPDX-License-Identifier: BSD-3-Clause */
/* One name being looked up, from its first question to its answer: what is asked when, and how long
 * it is waited for. */
#include "resolve/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SERVICE "_sip._udp."

/* The argument of a question for NAPTR records. */
struct naptr {
	struct resolver *resolver;
	struct query *query; /* NULL: nobody's any more */
};

/* ---- the end ---- */

static void leave_naptr(struct query *q)
{
	if (q->naptr != NULL)
		q->naptr->query = NULL;
	q->naptr = NULL;
}

/* What there is by now. */
static enum outcome result(
	const struct query *q, struct resolve_addresses *found, int *status, uint32_t *ttl)
{
	const struct walk *w = q->walk;
	bool transient = q->naptr_failed || q->naptr != NULL || w == NULL || !w->done, cut = false;

	*status = w == NULL || !w->done ? ARES_ETIMEOUT : w->status;
	found->count = 0;
	if (w != NULL) {
		transient |= w->transient;
		walk_collect(w, found, &cut);
		*ttl = w->extent.ttl;
	}
	if (cut || q->extent.cut)
		resolver_count(q->resolver, RESOLVE_COUNTER_CUT);
	if (found->count != 0)
		return transient ? OUTCOME_PARTIAL : OUTCOME_FOUND;
	/* Whether NAPTR would have led somewhere is not known. */
	return transient ? OUTCOME_TRANSIENT : OUTCOME_NONE;
}

static void count_outcome(struct resolver *r, struct zone *zone, enum outcome outcome, bool pushed)
{
	enum resolve_counter counter = RESOLVE_COUNTER_FOUND;

	if (outcome == OUTCOME_NONE)
		counter = RESOLVE_COUNTER_NONE;
	else if (outcome == OUTCOME_TRANSIENT)
		counter = RESOLVE_COUNTER_FAILED;
	resolver_count(r, counter);
	if (!pushed)
		zone->silent = outcome == OUTCOME_TRANSIENT ? zone->silent + 1 : 0;
}

void query_end(struct query *q, enum query_end how)
{
	struct resolver *r = q->resolver;
	struct entry *e = q->entry;
	struct resolve_addresses found;
	uint32_t ttl = TTL_UNKNOWN;
	enum outcome outcome = OUTCOME_TRANSIENT;
	int status = ARES_ECANCELLED;

	if (how != QUERY_DROPPED)
		outcome = result(q, &found, &status, &ttl);
	leave_naptr(q);
	if (q->walk != NULL)
		walk_leave(q->walk);
	e->query = NULL;
	r->query[q->slot] = r->query[--r->queries];
	r->query[q->slot]->slot = q->slot;
	r->strangers -= !q->known;
	*(q->known ? &e->zone->known : &e->zone->strangers) -= 1;
	resolver_set_counter(r, RESOLVE_COUNTER_ASKING, r->queries);
	free(q);
	if (how != QUERY_DROPPED) {
		count_outcome(r, e->zone, outcome, how == QUERY_PUSHED);
		resolver_complete(r, e, outcome, status, &found, ttl == TTL_UNKNOWN ? 0 : ttl);
	}
}

/* ---- the way ---- */

/*
 * Where an SRV record may be by the name alone: none for a name that leaves no room, nor for one
 * that this host itself defines.
 */
static void add_usual_service(struct query *q)
{
	char service[sizeof(SERVICE) + RESOLVE_NAME_MAX];
	int n = snprintf(service, sizeof(service), SERVICE "%s", q->entry->name.s);

	if (q->entry->kind == RESOLVE_ADDRESS ||
		!name_read(str_of(service, (size_t)n), &q->service[0]))
		return;
	q->not_in_hosts = !walk_hosts_file_has(q->resolver, &q->entry->name);
	q->services = q->not_in_hosts;
}

/* What NAPTR records say goes before the service that stands there. */
static void add_services(struct query *q, const struct answer_naptr *naptr, unsigned n)
{
	struct host_name usual = q->service[0];

	q->services = 0;
	for (unsigned i = 0; i < n && naptr[i].order == naptr[0].order; i++)
		q->service[q->services++] = naptr[i].replacement;
	for (unsigned i = 0; i < q->services; i++)
		if (strcmp(q->service[i].s, usual.s) == 0)
			return;
	q->service[q->services++] = usual;
}

static void naptr_done(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
	struct answer_naptr naptr[RESOLVE_SERVICES_MAX];
	struct naptr *asked = arg;
	struct query *q = asked->query;
	int n = 0;

	resolver_answered(asked->resolver);
	free(asked);
	if (q == NULL)
		return;
	q->naptr = NULL;
	if (status == ARES_SUCCESS)
		n = answer_naptrs(msg, (uint32_t)len, &q->entry->name, naptr, RESOLVE_SERVICES_MAX,
			&q->extent);
	q->naptr_failed = n < 0 || (status != ARES_SUCCESS && !walk_is_definite(status));
	if (n > 0) {
		/* It came late: what began without it leads elsewhere. */
		if (q->walk != NULL)
			walk_leave(q->walk);
		q->walk = NULL;
		add_services(q, naptr, (unsigned)n);
	}
	query_advance(q);
}

static int ask_naptr(struct query *q)
{
	q->naptr = calloc(1, sizeof(*q->naptr));
	if (q->naptr == NULL)
		return -ENOMEM;
	*q->naptr = (struct naptr){q->resolver, q};
	resolver_question(q->resolver, q->known, RESOLVE_COUNTER_NAPTR, q->entry->name.s, DNS_NAPTR,
		naptr_done, q->naptr);
	return 0;
}

/* Whether it is over: all has been answered, or what is there has to do. */
static bool is_over(const struct query *q)
{
	uint64_t now = q->resolver->now, age = now - q->began;
	const struct walk *w = q->walk;

	if (age >= RESOLVE_QUESTION_MS * CLOCK_NS_PER_MS)
		return true;
	if (w == NULL)
		return false;
	if (w->done && q->naptr == NULL)
		return true;
	/* A part is there: what is still missing gets some time, and NAPTR's has begun already. */
	if (w->usable_since == 0 ||
		(q->naptr != NULL && age < RESOLVE_PATIENCE_MS * CLOCK_NS_PER_MS))
		return false;
	return w->done || now - w->usable_since >= RESOLVE_PATIENCE_MS * CLOCK_NS_PER_MS;
}

/* True when it is over. */
static bool step(struct query *q)
{
	uint64_t age = q->resolver->now - q->began;

	if (q->walk == NULL &&
		(q->naptr == NULL || age >= RESOLVE_NAPTR_ALONE_MS * CLOCK_NS_PER_MS) &&
		walk_start(q) != 0)
		return true;
	if (is_over(q))
		return true;
	if (q->entry->answer == RESOLVE_MISSING && entry_has_stale(q->resolver, q->entry) &&
		age >= RESOLVE_STALE_AFTER_MS * CLOCK_NS_PER_MS)
		resolver_serve_stale(q->resolver, q->entry);
	return false;
}

void query_advance(struct query *q)
{
	/* Answers may come while questions are being asked. */
	q->again = true;
	if (q->advancing)
		return;
	q->advancing = true;
	while (q->again) {
		q->again = false;
		if (step(q)) {
			query_end(q, QUERY_DONE);
			return;
		}
	}
	q->advancing = false;
}

int query_start(struct resolver *r, struct entry *e)
{
	struct query *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return -ENOMEM;
	q->resolver = r;
	q->entry = e;
	q->began = r->now;
	q->extent.ttl = TTL_UNKNOWN;
	q->known = entry_is_known(r, e);
	q->slot = r->queries;
	r->query[r->queries++] = q;
	r->strangers += !q->known;
	*(q->known ? &e->zone->known : &e->zone->strangers) += 1;
	resolver_set_counter(r, RESOLVE_COUNTER_ASKING, r->queries);
	resolver_count(r, RESOLVE_COUNTER_LOOKUPS);
	e->query = q;
	e->used = false;
	add_usual_service(q);
	/* Not over before all that is asked at once has been. */
	q->advancing = true;
	if (e->kind == RESOLVE_SIP && r->naptr && q->services != 0 && ask_naptr(q) != 0) {
		query_end(q, QUERY_DONE);
		return 0;
	}
	q->advancing = false;
	query_advance(q);
	return 0;
}
