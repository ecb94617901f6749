/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * askers: threads that ask, each on a connection of its own. All take from one ring, so that nobody
 * waits behind a question that takes long while another thread has nothing to do; each answers by a
 * ring of its own. What is there at once is asked as one look at the database, which an engine may
 * do for less.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "db/internal.h"

#define AT_ONCE_MAX 32
#define WAIT_MS 20
/* At the end: how often a driver is told to come back. */
#define STOP_MS 20

struct asker {
	struct askers *all;
	struct thread thread;
	struct ring answers;
	pthread_mutex_t lock; /* of `link`, for who interrupts it */
	struct link *link;
	bool proven; /* it has answered once */
	char error[DB_ERROR_MAX];
	/* An answer as it comes. */
	struct db_value value[DB_ROWS_MAX * DB_COLUMNS_MAX];
	uint32_t rows, columns, bytes, text;
	bool too_long;
	char texts[DB_ANSWER_MAX];
};

struct askers {
	struct database *database;
	unsigned threads, turn; /* control's */
	unsigned wanted;
	_Atomic unsigned connected;
	struct ring jobs;
	sem_t work; /* one for each job */
	_Atomic bool stop;
	struct asker *asker[DB_THREADS_MAX];
};

/* ---- an answer ---- */

static bool keep_value(struct asker *a, const struct db_value *v, struct db_value *out)
{
	uint32_t bytes = v->type == DB_TEXT ? v->s.len : 8;

	if (bytes > DB_ANSWER_MAX - a->bytes)
		return false;
	a->bytes += bytes;
	*out = *v;
	if (v->type == DB_TEXT) {
		out->s.s = a->texts + a->text;
		str_copy(a->texts + a->text, v->s);
		a->text += v->s.len;
	}
	return true;
}

static bool keep_row(void *arg, const struct db_value *value, unsigned columns)
{
	struct asker *a = arg;
	struct db_value *out = a->value + a->rows * columns;

	a->too_long = a->rows == DB_ROWS_MAX || columns > DB_COLUMNS_MAX;
	for (unsigned i = 0; i < columns && !a->too_long; i++)
		a->too_long = !keep_value(a, &value[i], &out[i]);
	a->columns = columns;
	a->rows++;
	return !a->too_long;
}

/* Room for so many bytes that live as long as the job. */
static char *job_room(struct job *j, size_t bytes)
{
	size_t used = j->long_call != NULL ? 0 : (j->call.len + 7u) & ~7u;

	if (used <= JOB_ROOM && bytes <= JOB_ROOM - used)
		return j->room + used;
	j->long_answer = malloc(bytes);
	return j->long_answer;
}

/* Moves what was kept into the job. */
static enum db_result hand_over(struct asker *a, struct job *j)
{
	uint32_t values = a->rows * a->columns;
	size_t bytes = values * sizeof(struct db_value);
	char *room = job_room(j, bytes + a->text), *texts;
	struct db_value *value = (struct db_value *)room;

	if (room == NULL)
		return DB_DOWN;
	texts = room + bytes;
	memcpy(room, a->value, bytes);
	memcpy(texts, a->texts, a->text);
	for (uint32_t i = 0; i < values; i++) {
		if (value[i].type == DB_TEXT)
			value[i].s.s = texts + (value[i].s.s - a->texts);
	}
	j->rows = (struct db_rows){.count = a->rows, .columns = a->columns, .value = value};
	return DB_DONE;
}

/* ---- a connection ---- */

static void set_link(struct asker *a, struct link *link)
{
	pthread_mutex_lock(&a->lock);
	a->link = link;
	pthread_mutex_unlock(&a->lock);
	a->proven = false;
	if (link != NULL)
		atomic_fetch_add_explicit(&a->all->connected, 1, memory_order_relaxed);
}

static bool connect_link(struct asker *a)
{
	struct database *d = a->all->database;

	if (a->link == NULL)
		set_link(a, link_open_gated(d, &d->ask, DB_ROLE_ASK, a->error, sizeof(a->error)));
	return a->link != NULL;
}

static void drop_link(struct asker *a)
{
	struct link *link = a->link;

	set_link(a, NULL);
	atomic_fetch_sub_explicit(&a->all->connected, 1, memory_order_relaxed);
	link_close(link);
}

/* ---- a question ---- */

static enum db_result ask_once(struct asker *a, struct job *j, uint64_t deadline)
{
	struct str calls = j->call;
	struct statement *s;
	struct db_call call;
	struct db_run run;
	enum db_result result;

	if (!connect_link(a))
		return DB_DOWN;
	if (db_unpack(&calls, &call) != 0)
		return DB_REFUSED;
	s = db_statement_of(j->database->db, call.statement);
	a->rows = a->columns = a->bytes = a->text = 0;
	a->too_long = false;
	a->error[0] = '\0';
	run = (struct db_run){.param = call.param,
		.params = call.params,
		.deadline = deadline,
		.visit = keep_row,
		.arg = a};
	db_count(j->database->db, DB_COUNTER_QUESTIONS, 1);
	result = link_run(a->link, s, &run, a->error, sizeof(a->error));
	if (result == DB_DONE)
		result = a->too_long ? DB_TOO_LONG : hand_over(a, j);
	if (result == DB_REFUSED || result == DB_TOO_LONG)
		link_complain(
			j->database, s, a->error[0] != '\0' ? a->error : db_result_text(result));
	return result;
}

static enum db_result ask(struct asker *a, struct job *j)
{
	struct database *d = a->all->database;
	uint64_t deadline = j->asked + DB_TIMEOUT_MS * CLOCK_NS_PER_MS;
	enum db_result result;
	bool again;

	do {
		if (clock_now_ns() >= deadline)
			return DB_DOWN;
		result = ask_once(a, j, deadline);
		if (result != DB_DOWN && a->link != NULL) {
			a->proven = true;
			link_works(d, &d->ask);
		}
		/* One that has answered before may have ended since: another one is tried, while
		 * there is time. */
		again = a->link != NULL && link_dead(a->link) && a->proven &&
			clock_now_ns() < deadline;
		if (a->link != NULL && link_dead(a->link)) {
			if (!again)
				link_failed(d, &d->ask, a->error);
			drop_link(a);
		}
	} while (again && result == DB_DOWN);
	return result;
}

static void answer(struct asker *a, struct job **job, unsigned count)
{
	bool looking = false;
	char ignored[DB_ERROR_MAX];

	if (count > 1 && connect_link(a))
		looking = link_step(a->link, DB_STEP_LOOK, ignored, sizeof(ignored)) == DB_DONE;
	for (unsigned i = 0; i < count; i++) {
		/* The next ones are of another connection. */
		struct link *link = a->link;

		job[i]->result = ask(a, job[i]);
		looking = looking && a->link == link;
		ring_put(&a->answers, job[i]);
	}
	if (looking)
		(void)link_step(a->link, DB_STEP_LOOK_END, ignored, sizeof(ignored));
}

/* ---- threads ---- */

/* While this one may not try to connect, and others are connected, they do its work. */
static bool leaves_it_to_others(struct asker *a)
{
	struct database *d = a->all->database;
	uint64_t at = atomic_load_explicit(&d->ask.retry_at, memory_order_relaxed);

	return a->link == NULL && at > clock_now_ns() &&
	       atomic_load_explicit(&a->all->connected, memory_order_relaxed) != 0 &&
	       !atomic_load_explicit(&a->all->stop, memory_order_relaxed);
}

/* Waits for work. Whether there may be some: a thread without a connection leaves it to those that
 * have one, and connects meanwhile. */
static bool wait_for_work(struct asker *a)
{
	struct timespec pause = {0, WAIT_MS * CLOCK_NS_PER_MS};

	while (leaves_it_to_others(a))
		nanosleep(&pause, NULL);
	while (sem_wait(&a->all->work) != 0)
		;
	if (a->link != NULL ||
		atomic_load_explicit(&a->all->connected, memory_order_relaxed) == 0 ||
		atomic_load_explicit(&a->all->stop, memory_order_relaxed))
		return true;
	sem_post(&a->all->work);
	(void)connect_link(a);
	return false;
}

static unsigned take(struct askers *all, struct job **job)
{
	unsigned n = 0, most;

	/* Others get their share of what is there. */
	most = 1 + (unsigned)(ring_count(&all->jobs) / all->wanted);
	if (most > AT_ONCE_MAX)
		most = AT_ONCE_MAX;
	do {
		job[n] = ring_take(&all->jobs);
		if (job[n] == NULL)
			break;
		n++;
	} while (n < most && sem_trywait(&all->work) == 0);
	return n;
}

static void *run(void *arg)
{
	struct asker *a = arg;
	struct job *job[AT_ONCE_MAX];

	for (;;) {
		if (!wait_for_work(a))
			continue;
		if (atomic_load_explicit(&a->all->stop, memory_order_acquire))
			break;
		answer(a, job, take(a->all, job));
	}
	if (a->link != NULL)
		drop_link(a);
	thread_ends(&a->thread);
	return NULL;
}

static void destroy(struct askers *all)
{
	for (unsigned i = 0; i < all->threads; i++) {
		ring_fini(&all->asker[i]->answers);
		pthread_mutex_destroy(&all->asker[i]->lock);
		free(all->asker[i]);
	}
	ring_fini(&all->jobs);
	sem_destroy(&all->work);
	free(all);
}

static int start_one(struct askers *all)
{
	struct db *db = all->database->db;
	struct asker *a = aligned_alloc(_Alignof(struct asker), sizeof(*a));
	int err;

	if (a == NULL)
		return -ENOMEM;
	memset(a, 0, sizeof(*a));
	a->all = all;
	pthread_mutex_init(&a->lock, NULL);
	err = ring_init(&a->answers, db->config.waiters);
	if (err == 0)
		err = thread_begin(db, &a->thread, "siplane-db", run, a);
	if (err != 0) {
		ring_fini(&a->answers);
		pthread_mutex_destroy(&a->lock);
		free(a);
		return err;
	}
	all->asker[all->threads++] = a;
	return 0;
}

int askers_start(struct database *d)
{
	struct db *db = d->db;
	struct askers *all;
	int err;

	if (atomic_load_explicit(&d->askers, memory_order_relaxed) != NULL)
		return 0;
	all = aligned_alloc(_Alignof(struct askers), sizeof(*all));
	if (all == NULL)
		return -ENOMEM;
	memset(all, 0, sizeof(*all));
	all->database = d;
	all->wanted = db->config.threads;
	sem_init(&all->work, 0, 0);
	err = ring_init(&all->jobs, db->config.waiters);
	while (err == 0 && all->threads < all->wanted)
		err = start_one(all);
	/* Fewer do as well, but for none. */
	if (all->threads == 0) {
		destroy(all);
		return err;
	}
	atomic_store_explicit(&d->askers, all, memory_order_release);
	return 0;
}

void askers_put(struct askers *all, struct job *job)
{
	ring_put(&all->jobs, job);
	sem_post(&all->work);
}

struct job *askers_take(struct askers *all)
{
	struct job *j = NULL;

	for (unsigned i = 0; i < all->threads && j == NULL; i++) {
		j = ring_take(&all->asker[all->turn]->answers);
		if (j == NULL && ++all->turn == all->threads)
			all->turn = 0;
	}
	return j;
}

static bool stop_one(struct asker *a, uint64_t until)
{
	uint64_t now;

	/* What it asks is of no interest any more; one that is just about to ask is told again. */
	do {
		pthread_mutex_lock(&a->lock);
		if (a->link != NULL)
			link_interrupt(a->link);
		pthread_mutex_unlock(&a->lock);
		now = clock_now_ns();
		if (thread_join(&a->thread, now + STOP_MS * CLOCK_NS_PER_MS))
			return true;
	} while (now < until);
	log_warning("db: %s: a thread does not come back from its question",
		a->all->database->url.text);
	return false;
}

bool askers_stop(struct askers *all)
{
	uint64_t until = clock_now_ns() + 2 * DB_TIMEOUT_MS * CLOCK_NS_PER_MS;
	bool stopped = true;

	atomic_store_explicit(&all->stop, true, memory_order_release);
	for (unsigned i = 0; i < all->threads; i++)
		sem_post(&all->work);
	for (unsigned i = 0; i < all->threads; i++)
		stopped &= stop_one(all->asker[i], until);
	if (stopped)
		destroy(all);
	return stopped;
}
