/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link: a connection with what is ready on it. A statement is made ready when it is first run; one
 * that the database refuses is asked in its other way, which is looked at again after a while, as
 * somebody may have brought the schema up to date.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/internal.h"

#define OTHERWISE_NS (60 * CLOCK_NS_PER_S)

struct ready {
	void *statement; /* the driver's; NULL: not ready */
	bool otherwise;
	uint64_t since;
};

struct link {
	struct database *database;
	const struct db_driver *driver;
	void *connection;
	bool counted; /* among those of the database's threads */
	struct ready ready[DB_STATEMENTS_MAX];
};

/* ---- what is said ---- */

void link_failed(struct database *d, struct gate *gate, const char *error)
{
	uint32_t pause;
	bool news;

	/* The gate's words change together, or it would stay shut for who looks at one of them. */
	pthread_mutex_lock(&d->lock);
	pause = gate->pause_ms != 0 ? gate->pause_ms : DB_RETRY_MIN_MS;
	gate->pause_ms = pause * 2 < DB_RETRY_MAX_MS ? pause * 2 : DB_RETRY_MAX_MS;
	atomic_store_explicit(
		&gate->retry_at, clock_now_ns() + pause * CLOCK_NS_PER_MS, memory_order_relaxed);
	news = !gate->down;
	gate->down = true;
	snprintf(d->error, sizeof(d->error), "%s", error);
	pthread_mutex_unlock(&d->lock);
	if (news)
		log_warning("db: %s: %s", d->url.text, error);
}

void link_works(struct database *d, struct gate *gate)
{
	bool news;

	/* No lock where nothing was wrong: this follows each answer. */
	if (atomic_load_explicit(&gate->retry_at, memory_order_relaxed) == 0)
		return;
	pthread_mutex_lock(&d->lock);
	gate->pause_ms = 0;
	atomic_store_explicit(&gate->retry_at, 0, memory_order_relaxed);
	news = gate->down;
	gate->down = false;
	if (!d->ask.down && !d->write.down)
		d->error[0] = '\0';
	pthread_mutex_unlock(&d->lock);
	if (news)
		log_notice("db: %s: %s again", d->url.text,
			gate == &d->ask ? "answers" : "takes changes");
}

void link_complain(struct database *d, struct statement *s, const char *error)
{
	uint64_t said = atomic_load_explicit(&s->complained, memory_order_relaxed),
		 now = clock_now_ns();

	/* Whoever sends messages may choose what is refused. */
	if (said != 0 && now - said < DB_COMPLAINT_NS)
		return;
	if (!atomic_compare_exchange_strong_explicit(
		    &s->complained, &said, now, memory_order_relaxed, memory_order_relaxed))
		return;
	pthread_mutex_lock(&d->lock);
	snprintf(d->complaint, sizeof(d->complaint), "%s", error);
	d->complained = now;
	pthread_mutex_unlock(&d->lock);
	log_warning("db: %s: %s, in: %.200s", d->url.text, error, s->text);
}

/* Whether this thread may try. Where it failed before, one thread does at a time. */
static bool gate_lets(struct gate *gate)
{
	uint64_t at = atomic_load_explicit(&gate->retry_at, memory_order_relaxed),
		 now = clock_now_ns();

	if (at == 0)
		return true;
	return now >= at && atomic_compare_exchange_strong_explicit(&gate->retry_at, &at,
				    now + DB_TIMEOUT_MS * CLOCK_NS_PER_MS, memory_order_relaxed,
				    memory_order_relaxed);
}

/* ---- connections ---- */

struct link *link_open(struct database *d, enum db_role role, char *error, size_t error_size)
{
	struct link *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		snprintf(error, error_size, "no memory");
		return NULL;
	}
	l->database = d;
	l->driver = d->url.driver;
	l->connection = l->driver->open(&d->url, role, error, error_size);
	if (l->connection == NULL) {
		db_count(d->db, DB_COUNTER_LOST, 1);
		free(l);
		return NULL;
	}
	db_count(d->db, DB_COUNTER_CONNECTS, 1);
	return l;
}

struct link *link_open_gated(
	struct database *d, struct gate *gate, enum db_role role, char *error, size_t error_size)
{
	struct link *l;

	if (!gate_lets(gate)) {
		snprintf(error, error_size, "no connection");
		return NULL;
	}
	l = link_open(d, role, error, error_size);
	if (l == NULL) {
		link_failed(d, gate, error);
		return NULL;
	}
	l->counted = true;
	atomic_fetch_add_explicit(&d->connected, 1, memory_order_relaxed);
	return l;
}

static void forget(struct link *l, struct ready *r)
{
	if (r->statement != NULL)
		l->driver->unprepare(l->connection, r->statement);
	*r = (struct ready){0};
}

void link_close(struct link *l)
{
	if (l == NULL)
		return;
	if (link_dead(l))
		db_count(l->database->db, DB_COUNTER_LOST, 1);
	for (unsigned i = 0; i < DB_STATEMENTS_MAX; i++)
		forget(l, &l->ready[i]);
	l->driver->close(l->connection);
	if (l->counted)
		atomic_fetch_sub_explicit(&l->database->connected, 1, memory_order_relaxed);
	free(l);
}

bool link_dead(const struct link *l)
{
	return l->driver->dead(l->connection);
}

void link_rest(struct link *l)
{
	if (l->driver->rest != NULL && !link_dead(l))
		l->driver->rest(l->connection);
}

void link_interrupt(struct link *l)
{
	if (l->driver->interrupt != NULL)
		l->driver->interrupt(l->connection);
}

enum db_result link_step(struct link *l, enum db_step step, char *error, size_t error_size)
{
	return l->driver->step(l->connection, step, error, error_size);
}

/* ---- statements ---- */

static enum db_result make_ready(
	struct link *l, const struct statement *s, struct ready *r, char *error, size_t error_size)
{
	char other[DB_ERROR_MAX];
	enum db_result result = l->driver->prepare(
		l->connection, s->text, s->params, &r->statement, error, error_size);

	if (result != DB_REFUSED || s->otherwise == NULL)
		return result;
	r->since = clock_now_ns();
	r->otherwise = true;
	/* What is wrong with the first way is what an operator wants to know. */
	result = l->driver->prepare(
		l->connection, s->otherwise, s->params, &r->statement, other, sizeof(other));
	if (result != DB_DONE)
		*r = (struct ready){0};
	return result;
}

enum db_result link_ready(struct link *l, const struct statement *s, char *error, size_t error_size)
{
	struct ready *r = &l->ready[s->number];

	if (r->otherwise && clock_now_ns() - r->since > OTHERWISE_NS)
		forget(l, r);
	if (r->statement != NULL)
		return DB_DONE;
	return make_ready(l, s, r, error, error_size);
}

/* Whether somebody has seen a row of it. */
struct seen {
	db_visit visit;
	void *arg;
	bool any;
};

static bool see(void *arg, const struct db_value *value, unsigned columns)
{
	struct seen *seen = arg;

	seen->any = true;
	return seen->visit(seen->arg, value, columns);
}

static enum db_result run_ready(struct link *l, const struct statement *s, struct db_run *run,
	char *error, size_t error_size)
{
	return l->driver->run(l->connection, l->ready[s->number].statement, run, error, error_size);
}

enum db_result link_run(struct link *l, const struct statement *s, struct db_run *run, char *error,
	size_t error_size)
{
	struct seen seen = {run->visit, run->arg, false};
	enum db_result result = DB_DONE;

	run->columns = s->columns;
	run->fault = DB_FAULT_NONE;
	/* Within a transaction, which one that cannot be made ready may end, a change is as its
	 * writer has made it ready before. And it may be refused for what it holds. */
	if (!s->change || l->ready[s->number].statement == NULL)
		result = link_ready(l, s, error, error_size);
	if (result != DB_DONE)
		return result;
	if (s->change)
		return run_ready(l, s, run, error, error_size);
	if (run->visit != NULL)
		run->visit = see, run->arg = &seen;
	result = run_ready(l, s, run, error, error_size);
	/* A question that could be made ready and is refused: the schema is not what the connection
	 * took it for, and may want the other way now. Not where it is for what a message holds. */
	if (result == DB_REFUSED && run->fault != DB_FAULT_VALUE && !seen.any && !link_dead(l)) {
		forget(l, &l->ready[s->number]);
		result = link_ready(l, s, error, error_size);
		if (result == DB_DONE)
			result = run_ready(l, s, run, error, error_size);
	}
	run->visit = seen.visit, run->arg = seen.arg;
	return result;
}

enum db_result link_sql(
	struct link *l, const char *sql, struct db_run *run, char *error, size_t error_size)
{
	void *ready = NULL;
	enum db_result result =
		l->driver->prepare(l->connection, sql, run->params, &ready, error, error_size);

	if (result != DB_DONE)
		return result;
	result = l->driver->run(l->connection, ready, run, error, error_size);
	l->driver->unprepare(l->connection, ready);
	return result;
}
