/* SPDX-License-Identifier: BSD-3-Clause */
/* now: asks and waits, on connections that no other thread has meanwhile. */
#include <errno.h>
#include <stdio.h>

#include "db/internal.h"

struct link *now_take(struct database *d, char *error, size_t error_size)
{
	struct link *l = NULL;

	pthread_mutex_lock(&d->lock);
	if (d->idle_count != 0)
		l = d->idle[--d->idle_count];
	pthread_mutex_unlock(&d->lock);
	return l != NULL ? l : link_open(d, DB_ROLE_NOW, error, error_size);
}

void now_give(struct database *d, struct link *l)
{
	bool kept = false;

	if (!link_dead(l)) {
		pthread_mutex_lock(&d->lock);
		kept = d->idle_count < NOW_IDLE_MAX;
		if (kept)
			d->idle[d->idle_count++] = l;
		pthread_mutex_unlock(&d->lock);
	}
	if (!kept)
		link_close(l);
}

void now_close(struct database *d)
{
	while (d->idle_count != 0)
		link_close(d->idle[--d->idle_count]);
}

struct now {
	const struct db *db;
	struct str calls;
	bool change; /* in a transaction */
	db_visit visit;
	void *arg;
	uint64_t changed;
	bool visited;    /* a row */
	bool committing; /* it may be done */
	char *error;
	size_t error_size;
};

static bool visit(void *arg, const struct db_value *value, unsigned columns)
{
	struct now *n = arg;

	n->visited = true;
	return n->visit == NULL || n->visit(n->arg, value, columns);
}

static enum db_result run_each(struct now *n, struct link *l)
{
	enum db_result result = DB_DONE;
	struct str calls = n->calls;
	const struct statement *s;
	struct db_call call;
	struct db_run run;
	uint64_t found = 0;

	while (result == DB_DONE && db_unpack(&calls, &call) == 0) {
		s = db_statement_of(n->db, call.statement);
		if (s->unless_changed && found != 0)
			continue;
		run = (struct db_run){.param = call.param,
			.params = call.params,
			.silence_ms = n->change ? 0 : DB_SILENCE_MS,
			.visit = visit,
			.arg = n};
		result = link_run(l, s, &run, n->error, n->error_size);
		n->changed += run.changed;
		if (!s->unless_changed)
			found = run.changed;
	}
	return result;
}

static enum db_result run_calls(struct now *n, struct link *l)
{
	enum db_result result;
	char ignored[DB_ERROR_MAX];

	n->changed = 0;
	if (!n->change)
		return run_each(n, l);
	result = link_step(l, DB_STEP_BEGIN, n->error, n->error_size);
	if (result != DB_DONE)
		return result;
	result = run_each(n, l);
	n->committing = result == DB_DONE;
	if (result == DB_DONE)
		result = link_step(l, DB_STEP_COMMIT, n->error, n->error_size);
	if (result != DB_DONE && !link_dead(l))
		(void)link_step(l, DB_STEP_ROLLBACK, ignored, sizeof(ignored));
	return result;
}

/* Connections that were kept may have ended since: others are tried, a new one at last. */
static enum db_result run_now(struct now *n, struct database *d)
{
	enum db_result result = DB_DOWN;
	bool again = true;
	struct link *l;

	for (unsigned tries = 0; again && tries <= NOW_IDLE_MAX; tries++) {
		l = now_take(d, n->error, n->error_size);
		if (l == NULL)
			return DB_DOWN;
		result = run_calls(n, l);
		again = result == DB_DOWN && link_dead(l) && !n->visited && !n->committing;
		now_give(d, l);
	}
	return result;
}

enum db_result db_now(struct db *db, struct str call, db_visit visit_row, void *arg,
	uint64_t *changed, char *error, size_t error_size)
{
	struct now n = {.db = db,
		.calls = call,
		.visit = visit_row,
		.arg = arg,
		.error = error,
		.error_size = error_size};
	enum db_result result;
	unsigned count;
	int database = db_calls_check(db, call, false, &count);

	n.change = database < 0;
	if (n.change)
		database = db_calls_check(db, call, true, &count);
	if (database < 0) {
		snprintf(error, error_size, "no question and no changes of one database");
		return DB_REFUSED;
	}
	result = run_now(&n, db_database_of(db, database));
	if (changed != NULL)
		*changed = n.changed;
	return result;
}
