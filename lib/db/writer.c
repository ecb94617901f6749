/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * writer: the thread that changes a database. It takes what is there, makes one transaction of it
 * (transact.c), and answers when that is committed; meanwhile the next ones gather.
 *
 * What jobs ask for, and what lanes hold; of a lane with a spool, what that has first. While the
 * database fails such a lane is the spool's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "db/spool_file.h"
#include "db/writer.h"

/* While lanes may have something: nobody tells. */
#define LOOK_NS CLOCK_NS_PER_MS
#define STOP_MS 20 /* at the end: how often a driver is told to come back */
/* Of a spool that are made at once: some hundred bytes each. */
#define SPOOL_BYTES (1u << 20)

static void destroy(struct writer *w)
{
	ring_fini(&w->jobs);
	ring_fini(&w->answers);
	sem_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
	free(w->room);
	free(w);
}

/* Those who wait are told in their order. Nobody waits for one that is held. */
static void answer(struct writer *w)
{
	for (; w->answered < w->count; w->answered++) {
		struct change *c = &w->change[w->answered];

		if (!c->over && !c->held)
			break;
		if (c->job == NULL) {
			if (c->over && c->result != DB_DONE)
				db_count(w->database->db,
					c->result == DB_DOWN ? DB_COUNTER_FAILED
							     : DB_COUNTER_REFUSED,
					1);
			continue;
		}
		c->job->result = c->result;
		c->job->rows = (struct db_rows){.changed = c->changed};
		ring_put(&w->answers, c->job);
	}
}

/* ---- what is there ---- */

static struct change *add(struct writer *w, struct str calls, struct job *job)
{
	struct change *c = &w->change[w->count++];
	unsigned n = 0;
	int number;

	*c = (struct change){.calls = calls, .job = job, .source = SOURCE_NONE};
	while ((number = db_calls_next(&calls)) >= 0)
		n += !db_statement_of(w->database->db, (unsigned)number)->unless_changed;
	c->several = n > 1;
	return c;
}

/* Whether a source is gathered now. One that is at fault is in turn alone, when its pause is over.
 */
static bool is_in_turn(const struct writer *w, unsigned source, bool at_fault)
{
	const struct fault *f = &w->at_fault[source];

	if (!at_fault)
		return f->since == 0;
	return f->since != 0 && f->retry_at <= clock_now_ns();
}

/* Whether a lane is the writer's: with a spool it is while there is nothing in that, and the lane
 * does not fill behind us. */
static bool is_ours(struct writer *w, struct db_lane *lane, bool shut)
{
	const struct database *d = w->database;
	struct spool *s = lane_spool(lane);
	bool down;

	if (s == NULL)
		return !shut;
	down = atomic_load_explicit(&d->write.retry_at, memory_order_relaxed) != 0;
	/* Where a spool has nothing, since its disk takes nothing either, nobody else would try
	 * whether the database is back. */
	if (lane_is_spooled(lane, d->number))
		return !shut && !spool_holds(s, d) && spool_end(s, lane, d);
	if (!down && !spool_holds(s, d) && !lane_is_filling(lane, d->number))
		return true;
	spool_begin(s, lane, d);
	return false;
}

static void gather_lanes(struct writer *w, bool shut, bool at_fault, unsigned most)
{
	struct db *db = w->database->db;
	unsigned lanes = atomic_load_explicit(&db->lanes, memory_order_acquire);
	struct change *c;
	struct str calls;

	/* One that is full all the time leaves room for the others: each begins in its turn. */
	for (unsigned n = 0; n < lanes; n++) {
		unsigned i = (w->lane_turn + n) % lanes;
		uint64_t at = lane_begin(db->lane[i], w->database->number);

		if (!is_ours(w, db->lane[i], shut)) {
			/* What was at fault is the spool's now, that has a turn of its own. */
			if (lane_is_spooled(db->lane[i], w->database->number))
				w->at_fault[i] = (struct fault){0};
			continue;
		}
		if (!is_in_turn(w, i, at_fault))
			continue;
		while (w->count < most &&
			lane_next(db->lane[i], w->database->number, &at, &calls)) {
			c = add(w, calls, NULL);
			c->source = i;
			c->lane_at = at;
		}
	}
	w->lane_turn = lanes != 0 ? (w->lane_turn + 1) % lanes : 0;
}

/* What no longer is a change: its spool keeps it aside. */
static void add_row(struct writer *w, const struct spool_row *row, unsigned source)
{
	struct change *c = add(w, row->calls, NULL);

	c->source = source;
	c->id = row->id;
	if (row->calls.len != 0)
		return;
	c->over = true;
	c->result = DB_REFUSED;
	c->sentence = strdup("it cannot be read, or there are too many statements");
}

static void gather_spools(struct writer *w, bool at_fault, unsigned most)
{
	struct db *db = w->database->db;
	unsigned spools = atomic_load_explicit(&db->spools, memory_order_acquire);
	size_t each = SPOOL_BYTES / (spools != 0 ? spools : 1);
	struct spool_row row[BATCH_MAX / 2];
	unsigned rows;

	for (unsigned i = 0; i < spools; i++) {
		unsigned source = DB_LANES_MAX + i;

		if (!is_in_turn(w, source, at_fault) || !spool_holds(db->spool[i], w->database))
			continue;
		if (w->room == NULL && (w->room = malloc(SPOOL_BYTES)) == NULL)
			return;
		rows = most - w->count;
		if (rows == 0 || !spool_read(db->spool[i], w->database, row, &rows,
					 w->room + i * each, each))
			continue;
		for (unsigned r = 0; r < rows; r++)
			add_row(w, &row[r], source);
	}
}

/* ---- what is over ---- */

/* Of a source, up to the first that is not. */
static void give_lanes_back(struct writer *w)
{
	memset(w->held, 0, sizeof(w->held));
	for (unsigned i = 0; i < w->count; i++) {
		const struct change *c = &w->change[i];

		if (c->job != NULL || c->source >= DB_LANES_MAX)
			continue;
		if (!c->over)
			w->held[c->source] = true;
		if (!w->held[c->source])
			lane_give_back(
				w->database->db->lane[c->source], w->database->number, c->lane_at);
	}
}

static struct spool *spool_of(const struct writer *w, const struct change *c)
{
	const struct db *db = w->database->db;

	if (c->job != NULL)
		return NULL;
	return c->source >= DB_LANES_MAX ? db->spool[c->source - DB_LANES_MAX]
					 : lane_spool(db->lane[c->source]);
}

/* Tells a spool which of its changes are over, and which were refused that are, or could be, its.
 */
static void settle_spool(struct writer *w, unsigned source)
{
	struct spool *s = w->database->db->spool[source - DB_LANES_MAX];
	struct spool_refused refused[BATCH_MAX / 2];
	unsigned count = 0;
	bool held = false, any = false;
	int64_t to = 0;

	for (unsigned i = 0; i < w->count; i++) {
		const struct change *c = &w->change[i];
		bool row = c->source >= DB_LANES_MAX;

		if (spool_of(w, c) != s)
			continue;
		any |= row;
		held |= row && !c->over;
		if (row && !held)
			to = c->id;
		if (c->over && c->result != DB_DONE && count < BATCH_MAX / 2)
			refused[count++] = (struct spool_refused){row ? c->id : 0, c->calls,
				c->sentence != NULL ? c->sentence : "refused"};
	}
	if (!any && count == 0)
		return;
	/* Not at once: it would be refused again. */
	if (!spool_settle(s, w->database, to, refused, count) && count != 0)
		transact_pause(&w->at_fault[source]);
	else if (!w->at_fault[source].held)
		w->at_fault[source] = (struct fault){0};
}

static void settle(struct writer *w)
{
	struct db *db = w->database->db;
	unsigned spools = atomic_load_explicit(&db->spools, memory_order_acquire);

	for (unsigned i = 0; i < spools; i++)
		settle_spool(w, DB_LANES_MAX + i);
	/* What it has kept aside is no more in the lane. */
	give_lanes_back(w);
	for (unsigned i = 0; i < w->count; i++)
		free(w->change[i].sentence);
}

static void give_up(struct writer *w, struct job *j)
{
	j->result = DB_DOWN;
	ring_put(&w->answers, j);
}

static bool has_fault_in_turn(const struct writer *w)
{
	for (unsigned i = 0; i < SOURCES_MAX; i++) {
		if (w->at_fault[i].since != 0 && is_in_turn(w, i, true))
			return true;
	}
	return false;
}

/* While the gate is shut nobody waits for a database that does not answer, and lanes keep what they
 * have, or their spools. Whether these are from sources at fault. */
static bool gather(struct writer *w)
{
	uint64_t now = clock_now_ns(), too_long = DB_TIMEOUT_MS * CLOCK_NS_PER_MS;
	bool shut = atomic_load_explicit(&w->database->write.retry_at, memory_order_relaxed) > now;
	bool at_fault = !shut && has_fault_in_turn(w);
	struct job *j;

	w->count = w->answered = 0;
	/* Lanes first: what an lcore has sent in front of a message that waits for its change is
	 * made in front of that. Half of it for each, while both have enough. */
	gather_lanes(w, shut, at_fault, BATCH_MAX / 2);
	if (!shut)
		gather_spools(w, at_fault, BATCH_MAX / 2);
	if (at_fault && w->count != 0)
		return true;
	/* Where that has nothing any more, it is the others' turn. */
	if (at_fault) {
		gather_lanes(w, shut, false, BATCH_MAX / 2);
		gather_spools(w, false, BATCH_MAX / 2);
	}
	while (w->count < BATCH_MAX && (j = ring_take(&w->jobs)) != NULL) {
		/* What waited too long is given up by who waits: it had better not be made. */
		if (shut || now > j->asked + too_long)
			give_up(w, j);
		else
			add(w, j->call, j);
	}
	return false;
}

/* What has not been made; `lost`: and that nobody will. */
static unsigned left(struct writer *w, bool lost)
{
	struct db *db = w->database->db;
	unsigned lanes = atomic_load_explicit(&db->lanes, memory_order_acquire), n = 0;
	struct str calls;

	for (unsigned i = 0; i < lanes; i++) {
		uint64_t at = lane_begin(db->lane[i], w->database->number);

		/* What is a spool's is no more ours, and it takes what is left at the end. */
		if (lane_is_spooled(db->lane[i], w->database->number) ||
			(lost && lane_spool(db->lane[i]) != NULL))
			continue;
		while (lane_next(db->lane[i], w->database->number, &at, &calls))
			n++;
	}
	return n + (unsigned)ring_count(&w->jobs);
}

/* ---- the thread ---- */

static void rest(struct writer *w)
{
	uint64_t until = clock_now_ns() + LOOK_NS;
	struct timespec ts = {(time_t)(until / CLOCK_NS_PER_S), (long)(until % CLOCK_NS_PER_S)};

	atomic_store_explicit(&w->asleep, true, memory_order_seq_cst);
	if (ring_count(&w->jobs) == 0) {
		if (atomic_load_explicit(&w->finish, memory_order_seq_cst) ||
			atomic_load_explicit(&w->database->db->lanes, memory_order_acquire) != 0)
			(void)sem_clockwait(&w->work, CLOCK_MONOTONIC, &ts);
		else
			(void)sem_wait(&w->work);
	}
	atomic_store_explicit(&w->asleep, false, memory_order_relaxed);
}

static void wake(struct writer *w)
{
	if (atomic_load_explicit(&w->asleep, memory_order_seq_cst) &&
		atomic_exchange_explicit(&w->asleep, false, memory_order_relaxed))
		sem_post(&w->work);
}

/* Whether the writer is to end: all has been made, or there is no more time for it. */
static bool is_over(struct writer *w)
{
	struct db *db = w->database->db;
	unsigned n;

	if (!atomic_load_explicit(&w->finish, memory_order_seq_cst))
		return false;
	n = left(w, false);
	if (n != 0 && clock_now_ns() < db->end_by)
		return false;
	n = left(w, true);
	if (n + w->lost != 0)
		log_warning("db: %s: %u changes were not made: %s", w->database->url.text,
			n + w->lost, w->error);
	return true;
}

/* Of lanes what is not over is made again. */
static void give_jobs_up(struct writer *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		struct change *c = &w->change[i];

		if (c->job == NULL || c->over)
			continue;
		c->over = true;
		c->result = DB_DOWN;
		w->lost += atomic_load_explicit(&w->finish, memory_order_relaxed);
	}
}

static void *run(void *arg)
{
	struct writer *w = arg;

	for (;;) {
		bool at_fault = gather(w);

		if (w->count == 0) {
			if (is_over(w))
				break;
			rest(w);
			continue;
		}
		if (!transact_batch(w, at_fault, answer))
			give_jobs_up(w);
		answer(w);
		settle(w);
		if (w->link != NULL)
			link_rest(w->link);
	}
	if (w->link != NULL)
		transact_drop_link(w);
	thread_ends(&w->thread);
	return NULL;
}

int writer_start(struct database *d)
{
	struct db *db = d->db;
	struct writer *w;
	int err;

	if (atomic_load_explicit(&d->writer, memory_order_relaxed) != NULL)
		return 0;
	w = aligned_alloc(_Alignof(struct writer), sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	w->database = d;
	pthread_mutex_init(&w->lock, NULL);
	sem_init(&w->work, 0, 0);
	err = ring_init(&w->jobs, db->config.waiters);
	if (err == 0)
		err = ring_init(&w->answers, db->config.waiters);
	if (err == 0)
		err = thread_begin(db, &w->thread, "siplane-db-w", run, w);
	if (err != 0) {
		destroy(w);
		return err;
	}
	atomic_store_explicit(&d->writer, w, memory_order_release);
	return 0;
}

void writer_put(struct writer *w, struct job *job)
{
	ring_put(&w->jobs, job);
	wake(w);
}

void writer_wake(struct writer *w)
{
	sem_post(&w->work);
}

struct job *writer_take(struct writer *w)
{
	return ring_take(&w->answers);
}

void writer_finish(struct writer *w)
{
	atomic_store_explicit(&w->finish, true, memory_order_seq_cst);
	sem_post(&w->work);
}

bool writer_stop(struct writer *w)
{
	uint64_t until = w->database->db->end_by, now;
	bool stopped = thread_join(&w->thread, until);

	/* Its driver is told to come back, and again, as it may be about to ask. */
	while (!stopped) {
		pthread_mutex_lock(&w->lock);
		if (w->link != NULL)
			link_interrupt(w->link);
		pthread_mutex_unlock(&w->lock);
		now = clock_now_ns();
		stopped = thread_join(&w->thread, now + STOP_MS * CLOCK_NS_PER_MS);
		if (now > until + DB_TIMEOUT_MS * CLOCK_NS_PER_MS)
			break;
	}
	if (stopped)
		destroy(w);
	else
		log_warning("db: %s: the writer does not come back", w->database->url.text);
	return stopped;
}
