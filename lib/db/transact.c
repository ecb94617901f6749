/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * transact: makes a batch of changes, one transaction of as many as there are.
 *
 * One change that the database refuses takes no other with it. First all are made in one
 * transaction without more ado. Where an engine gives the whole transaction up for one statement,
 * it is made again with a part of the transaction for each change, which is undone alone; and where
 * the commit itself is refused (a constraint that is looked at then), each change has a transaction
 * of its own.
 *
 * Neither does one that cannot be made now, though the connection is good: somebody keeps its row
 * locked, or each of two wants what the other one has. The transaction is made again without it;
 * and as the others have waited once then, they wait no more for what else is locked.
 */
#include <stdlib.h>

#include "db/writer.h"

#define TRANSACTION_NS (100 * CLOCK_NS_PER_MS)
/* What fails sooner is worth another try. */
#define AGAIN_NS (DB_TIMEOUT_MS / 4 * CLOCK_NS_PER_MS)
/* Of one batch: beyond, it is the database. */
#define FAULTS_MAX 32
#define BATCH_NS (2 * DB_TIMEOUT_MS * CLOCK_NS_PER_MS)
/* A source waits for its first change as long, with pauses between. */
#define FAULT_NS (60 * CLOCK_NS_PER_S)

enum manner { TOGETHER, IN_PARTS, ALONE };

/* ---- a connection ---- */

static void set_link(struct writer *w, struct link *link)
{
	pthread_mutex_lock(&w->lock);
	w->link = link;
	pthread_mutex_unlock(&w->lock);
	w->proven = false;
	mark_forget(w);
}

static bool connect_link(struct writer *w)
{
	struct database *d = w->database;

	if (w->link == NULL)
		set_link(w,
			link_open_gated(d, &d->write, DB_ROLE_WRITE, w->error, sizeof(w->error)));
	return w->link != NULL;
}

void transact_drop_link(struct writer *w)
{
	struct link *link = w->link;

	set_link(w, NULL);
	link_close(link);
}

/* ---- a transaction ---- */

static enum db_result step(struct writer *w, enum db_step s)
{
	return link_step(w->link, s, w->error, sizeof(w->error));
}

/* Nothing can be done about a rollback that fails: the connection is dead, or has none to do. */
static void roll_back(struct writer *w)
{
	char ignored[DB_ERROR_MAX];

	if (!link_dead(w->link))
		(void)link_step(w->link, DB_STEP_ROLLBACK, ignored, sizeof(ignored));
}

struct statement *transact_statement(const struct writer *w, const struct change *c)
{
	struct str calls = c->calls;
	struct db_call call;

	return db_unpack(&calls, &call) == 0 ? db_statement_of(w->database->db, call.statement)
					     : NULL;
}

/* It is over, and was not made. What comes from a spool, or may go there, takes the reason along.
 */
static void refuse(struct writer *w, struct change *c, struct statement *s, enum db_result result)
{
	c->over = true;
	c->result = result;
	if (c->job == NULL)
		c->sentence = strdup(w->error);
	link_complain(w->database, s, w->error);
}

/* Statements are made ready before the transaction, which one that is refused might end. */
static enum db_result make_ready(struct writer *w, struct change *c)
{
	struct str calls = c->calls;
	enum db_result result = DB_DONE;
	struct statement *s;
	int number;

	while (result == DB_DONE && (number = db_calls_next(&calls)) >= 0) {
		s = db_statement_of(w->database->db, (unsigned)number);
		result = link_ready(w->link, s, w->error, sizeof(w->error));
		if (result == DB_REFUSED)
			refuse(w, c, s, result);
	}
	return result == DB_DOWN ? DB_DOWN : DB_DONE;
}

/* `*part`: whether it can be undone alone. What is made only because nothing was changed before
 * makes one where there is none: before it there is nothing to undo. */
static enum db_result run_calls(
	struct writer *w, struct change *c, struct statement **s, bool *part)
{
	enum db_result result = DB_DONE;
	struct str calls = c->calls;
	struct db_call call;
	struct db_run run;
	uint64_t found = 0;

	w->fault = DB_FAULT_NONE;
	c->changed = 0;
	while (result == DB_DONE && db_unpack(&calls, &call) == 0) {
		*s = db_statement_of(w->database->db, call.statement);
		if ((*s)->unless_changed && found != 0)
			continue;
		if ((*s)->unless_changed && !*part) {
			if (step(w, DB_STEP_PART) != DB_DONE)
				return DB_DOWN;
			*part = true;
		}
		run = (struct db_run){.param = call.param,
			.params = call.params,
			.deadline = clock_now_ns() + DB_TIMEOUT_MS * CLOCK_NS_PER_MS};
		result = link_run(w->link, *s, &run, w->error, sizeof(w->error));
		c->changed += run.changed;
		if (!(*s)->unless_changed)
			found = run.changed;
		w->fault = run.fault;
	}
	return result;
}

/* One change within the transaction. DB_REFUSED: it is over, the transaction goes on. */
static enum db_result make(struct writer *w, struct change *c, enum manner manner)
{
	bool part = manner == IN_PARTS || c->several;
	struct statement *s = NULL;
	enum db_result result = DB_DONE, undone;
	char ignored[DB_ERROR_MAX];

	w->fault = DB_FAULT_NONE;
	if (part)
		result = step(w, DB_STEP_PART);
	if (result != DB_DONE)
		return DB_DOWN;
	result = run_calls(w, c, &s, &part);
	if (result == DB_DOWN)
		return DB_DOWN;
	if (result == DB_DONE)
		return part ? step(w, DB_STEP_PART_KEEP) : DB_DONE;
	if (part) {
		undone = link_step(w->link, DB_STEP_PART_UNDO, ignored, sizeof(ignored));
		if (undone != DB_DONE)
			return DB_DOWN;
	}
	refuse(w, c, s, result);
	return DB_REFUSED;
}

enum outcome {
	COMMITTED,
	SPOILED, /* nothing was done: in another manner */
	FAULT,   /* nothing was done: without the culprit */
	FAILED,  /* nothing was done */
	UNKNOWN  /* it may have been done */
};

/* Of the transaction that has begun: whether it goes on with the next change. */
static bool has_time(uint64_t began)
{
	/* Changes wait for those behind them. A slow database commits fewer at a time. */
	return clock_now_ns() - began < TRANSACTION_NS;
}

/* Changes from `from` on that are not over, as one transaction: up to `*to`, or to where its time
 * is over, which `*to` says then. */
static enum outcome transact(struct writer *w, unsigned from, unsigned *to, enum manner manner)
{
	bool goes_on = w->database->url.driver->goes_on || manner != TOGETHER;
	uint64_t began = clock_now_ns();
	enum db_result result = step(w, DB_STEP_BEGIN);
	unsigned made = 0;

	if (result != DB_DONE)
		return FAILED;
	for (unsigned i = from; i < *to; i++) {
		struct change *c = &w->change[i];

		if (!change_is_due(c))
			continue;
		if (made != 0 && !has_time(began)) {
			*to = i;
			break;
		}
		result = make(w, c, manner);
		if (result == DB_DONE) {
			made++;
		} else if (result == DB_DOWN) {
			w->culprit = c;
			roll_back(w);
			return w->fault != DB_FAULT_NONE && !link_dead(w->link) ? FAULT : FAILED;
		} else if (!goes_on && !c->several) {
			roll_back(w);
			return SPOILED;
		}
	}
	if (made == 0) {
		roll_back(w);
		return COMMITTED;
	}
	result = mark_put(w, *to);
	if (result != DB_DONE) {
		roll_back(w);
		return result == DB_REFUSED ? SPOILED : FAILED;
	}
	result = step(w, DB_STEP_COMMIT);
	if (result == DB_DONE) {
		db_count(w->database->db, DB_COUNTER_COMMITS, 1);
		return COMMITTED;
	}
	roll_back(w);
	if (result == DB_REFUSED)
		return SPOILED;
	return link_dead(w->link) ? UNKNOWN : FAILED;
}

static void end_all(struct writer *w, unsigned from, unsigned to, enum db_result result)
{
	unsigned n = 0;

	for (unsigned i = from; i < to; i++) {
		struct change *c = &w->change[i];

		if (!change_is_due(c))
			continue;
		c->over = true;
		c->result = result;
		if (c->job == NULL && !w->at_fault[c->source].held)
			w->at_fault[c->source] = (struct fault){0};
		n++;
	}
	if (result == DB_DONE)
		db_count(w->database->db, DB_COUNTER_CHANGES, n);
}

/* Makes what stands from `from` to `*to`, or to where it says then; what is not over afterwards was
 * not done, or nobody knows. */
static enum outcome write_in(struct writer *w, unsigned from, unsigned *to, enum manner manner)
{
	enum outcome outcome = transact(w, from, to, manner);

	if (outcome == COMMITTED)
		end_all(w, from, *to, DB_DONE);
	if (outcome != SPOILED)
		return outcome;
	if (manner == TOGETHER)
		return write_in(w, from, to, IN_PARTS);
	if (manner == ALONE) {
		/* Its commit was refused. */
		refuse(w, &w->change[from], transact_statement(w, &w->change[from]), DB_REFUSED);
		return COMMITTED;
	}
	outcome = COMMITTED;
	for (unsigned i = from, next; i < *to && outcome == COMMITTED; i++) {
		next = i + 1;
		if (change_is_due(&w->change[i]))
			outcome = write_in(w, i, &next, ALONE);
	}
	return outcome;
}

/* ---- one at fault ---- */

static bool set_hurry(struct writer *w, bool hurry)
{
	if (hurry == w->hurried)
		return true;
	w->hurried = hurry;
	return step(w, hurry ? DB_STEP_HURRY : DB_STEP_PATIENCE) == DB_DONE;
}

void transact_pause(struct fault *f)
{
	uint64_t now = clock_now_ns();

	if (f->since == 0)
		f->since = now;
	f->pause_ms = f->pause_ms == 0 ? DB_RETRY_MIN_MS : 2 * f->pause_ms;
	if (f->pause_ms > DB_RETRY_MAX_MS)
		f->pause_ms = DB_RETRY_MAX_MS;
	f->retry_at = now + f->pause_ms * CLOCK_NS_PER_MS;
}

/* It is made when it can be, and what follows it in its source behind it; but not for ever. */
static void hold(struct writer *w, struct change *c)
{
	struct fault *f = &w->at_fault[c->source];
	uint64_t now = clock_now_ns();

	if (f->since != 0 && now - f->since > FAULT_NS) {
		*f = (struct fault){0};
		refuse(w, c, transact_statement(w, c), DB_DOWN);
		return;
	}
	f->held = true;
	transact_pause(f);
	link_complain(w->database, transact_statement(w, c), w->error);
	for (; c < w->change + w->count; c++) {
		if (c->job == NULL && &w->at_fault[c->source] == f)
			c->held = true;
	}
}

/* Those that have waited as long as anybody does. */
static void end_late(struct writer *w)
{
	uint64_t now = clock_now_ns();

	for (unsigned i = 0; i < w->count; i++) {
		struct change *c = &w->change[i];

		if (c->job == NULL || c->over ||
			now <= c->job->asked + DB_TIMEOUT_MS * CLOCK_NS_PER_MS)
			continue;
		c->over = true;
		c->result = DB_DOWN;
	}
}

/* One change could not be made, and the connection is good. Whether the rest is to be made. */
static bool blame(struct writer *w)
{
	struct change *c = w->culprit;
	bool again = w->fault == DB_FAULT_DEADLOCK && c->faults == 0;

	c->faults++;
	if (++w->faults > FAULTS_MAX || clock_now_ns() - w->began > BATCH_NS)
		return false;
	if (!again && c->job == NULL)
		hold(w, c);
	else if (!again)
		refuse(w, c, transact_statement(w, c), DB_DOWN);
	end_late(w);
	return w->fault != DB_FAULT_LOCKED || set_hurry(w, true);
}

/* ---- a batch ---- */

static enum outcome write_once(struct writer *w, bool hurry, void (*answer)(struct writer *w))
{
	enum outcome outcome = COMMITTED;

	if (!connect_link(w))
		return FAILED;
	for (unsigned i = 0; i < w->count; i++) {
		if (change_is_due(&w->change[i]) && make_ready(w, &w->change[i]) != DB_DONE)
			return FAILED;
	}
	mark_look(w);
	w->hurried = false;
	if (!set_hurry(w, hurry))
		return FAILED;
	for (unsigned from = 0, to; from < w->count && outcome == COMMITTED; from = to) {
		to = w->count;
		outcome = write_in(w, from, &to, TOGETHER);
		if (outcome == FAULT) {
			outcome = blame(w) ? COMMITTED : FAILED;
			to = from;
		}
		answer(w);
	}
	if (!link_dead(w->link) && !set_hurry(w, false) && outcome == COMMITTED)
		outcome = FAILED;
	return outcome;
}

/* A connection that was good may have ended since: then it is tried once more. */
bool transact_batch(struct writer *w, bool hurry, void (*answer)(struct writer *w))
{
	struct database *d = w->database;
	bool again = true;
	enum outcome outcome;

	w->began = clock_now_ns();
	w->faults = 0;
	for (unsigned i = 0; i < SOURCES_MAX; i++)
		w->at_fault[i].held = false;
	for (unsigned tries = 0; again; tries++) {
		bool had = w->link != NULL && w->proven;

		outcome = write_once(w, hurry, answer);
		if (outcome == COMMITTED) {
			w->proven = true;
			link_works(d, &d->write);
			return true;
		}
		again = outcome == FAILED && had && tries == 0 &&
			clock_now_ns() - w->began < AGAIN_NS;
		/* Where there is no connection the gate is shut already. */
		if (!again && w->link != NULL)
			link_failed(d, &d->write, w->error);
		if (w->link != NULL && link_dead(w->link))
			transact_drop_link(w);
	}
	return false;
}
