/* SPDX-License-Identifier: BSD-3-Clause */
/* job: what control gives away and gets back. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "db/internal.h"

/* Beyond DB_TIMEOUT_MS, in which threads end what they do: then control does without them. */
#define GRACE_MS 250

bool jobs_create(struct db *db)
{
	uint32_t n = db->config.waiters;

	/* Pages come with their first use, and the job that came back last is used next. */
	db->jobs = mmap(NULL, n * sizeof(struct job), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (db->jobs == MAP_FAILED)
		db->jobs = NULL;
	return db->jobs != NULL;
}

void jobs_destroy(struct db *db)
{
	for (struct job *j = db->oldest; j != NULL; j = j->next) {
		free(j->long_call);
		free(j->long_answer);
	}
	if (db->jobs != NULL)
		munmap(db->jobs, db->config.waiters * sizeof(struct job));
}

/* ---- what control gives away ---- */

static struct job *take_job(struct db *db)
{
	struct job *j = db->free;

	if (j != NULL) {
		db->free = j->next;
	} else {
		/* Those never used lie behind those that are under way or free. */
		if (db->fresh == db->config.waiters)
			return NULL;
		j = &db->jobs[db->fresh++];
	}
	j->done = NULL;
	j->long_call = j->long_answer = NULL;
	j->rows = (struct db_rows){0};
	j->forget = STR_NONE;
	return j;
}

static void free_job(struct db *db, struct job *j)
{
	free(j->long_call);
	free(j->long_answer);
	j->long_call = j->long_answer = NULL;
	j->next = db->free;
	db->free = j;
}

/* The oldest first. */
static void enlist(struct db *db, struct job *j)
{
	j->next = NULL;
	j->previous = db->newest;
	if (db->newest != NULL)
		db->newest->next = j;
	else
		db->oldest = j;
	db->newest = j;
	if (db->patience == NULL)
		db->patience = j;
	db->under_way++;
	atomic_fetch_add_explicit(&j->database->waiting, 1, memory_order_relaxed);
	atomic_store_explicit(
		&db->counter[DB_COUNTER_WAITING], db->under_way, memory_order_relaxed);
}

static void delist(struct db *db, struct job *j)
{
	if (j->previous != NULL)
		j->previous->next = j->next;
	else
		db->oldest = j->next;
	if (j->next != NULL)
		j->next->previous = j->previous;
	else
		db->newest = j->previous;
	if (db->patience == j)
		db->patience = j->next;
	db->under_way--;
	atomic_fetch_sub_explicit(&j->database->waiting, 1, memory_order_relaxed);
	atomic_store_explicit(
		&db->counter[DB_COUNTER_WAITING], db->under_way, memory_order_relaxed);
}

static bool start(struct db *db, struct database *d, bool change)
{
	int err;

	if (change ? atomic_load_explicit(&d->writer, memory_order_relaxed) != NULL
		   : atomic_load_explicit(&d->askers, memory_order_relaxed) != NULL)
		return true;
	pthread_mutex_lock(&db->lock);
	err = change ? writer_start(d) : askers_start(d);
	pthread_mutex_unlock(&db->lock);
	return err == 0;
}

/* The first of these calls, which is taken off their front; empty: there is none that is whole. */
static struct str take_call(struct str *calls, struct db_call *out)
{
	struct str rest = *calls;

	if (db_unpack(calls, out) != 0)
		return STR_NONE;
	return str_of(rest.s, rest.len - calls->len);
}

/* Bytes of the changes, in front of the questions. */
static uint32_t changes_len(const struct db *db, struct str calls)
{
	const struct statement *s;
	struct db_call call;
	struct str rest = calls;
	uint32_t len = 0;

	while (take_call(&rest, &call).len != 0) {
		s = db_statement_of(db, call.statement);
		if (s != NULL && !s->change)
			break;
		len = calls.len - rest.len;
	}
	return len;
}

static bool are_questions(const struct db *db, struct str calls)
{
	struct db_call call;
	struct str one;
	unsigned count;

	while (calls.len != 0) {
		one = take_call(&calls, &call);
		if (one.len == 0 || db_calls_check(db, one, false, &count) < 0)
			return false;
	}
	return true;
}

static void forget(struct db *db, struct str questions)
{
	struct db_call call;
	struct str one;

	while ((one = take_call(&questions, &call)).len != 0)
		db_forget(db, one);
}

static int give(struct db *db, struct str call, bool change, db_done done, void *arg)
{
	uint32_t len = change ? changes_len(db, call) : call.len;
	unsigned count;
	int database = db_calls_check(db, str_of(call.s, len), change, &count);
	struct database *d;
	struct job *j;

	if (database < 0 || call.len > DB_CALL_MAX ||
		!are_questions(db, str_of(call.s + len, call.len - len)))
		return -EINVAL;
	d = db->database[database];
	j = start(db, d, change) ? take_job(db) : NULL;
	if (j != NULL && call.len > JOB_ROOM) {
		j->long_call = malloc(call.len);
		if (j->long_call == NULL) {
			free_job(db, j);
			j = NULL;
		}
	}
	if (j == NULL) {
		db_count(db, DB_COUNTER_FULL, 1);
		return -EAGAIN;
	}
	j->done = done;
	j->arg = arg;
	j->asked = clock_now_ns();
	j->database = d;
	j->call = str_of(j->long_call != NULL ? j->long_call : j->room, call.len);
	memcpy((char *)j->call.s, call.s, call.len);
	j->forget = str_of(j->call.s + len, call.len - len);
	j->call.len = len;
	enlist(db, j);
	if (change)
		writer_put(d->writer, j);
	else
		askers_put(d->askers, j);
	return 0;
}

int db_ask(struct db *db, struct str call, db_done done, void *arg)
{
	return give(db, call, false, done, arg);
}

int db_change(struct db *db, struct str calls, db_done done, void *arg)
{
	return give(db, calls, true, done, arg);
}

/* ---- what comes back ---- */

static void call_done(struct db *db, struct job *j, enum db_result result)
{
	db_done done = j->done;

	if (done == NULL)
		return;
	j->done = NULL;
	if (result == DB_REFUSED)
		db_count(db, DB_COUNTER_REFUSED, 1);
	else if (result != DB_DONE)
		db_count(db, DB_COUNTER_FAILED, 1);
	done(j->arg, result, result == DB_DONE ? &j->rows : NULL);
}

static unsigned take_back(struct db *db, struct job *j)
{
	bool waited = j->done != NULL;

	delist(db, j);
	if (j->forget.len != 0 && j->result != DB_REFUSED)
		forget(db, j->forget);
	call_done(db, j, j->result);
	free_job(db, j);
	return waited;
}

/* Who waits too long is called without an answer, which is of no interest when it comes. */
static unsigned give_up(struct db *db)
{
	uint64_t now = clock_now_ns(), too_long = (DB_TIMEOUT_MS + GRACE_MS) * CLOCK_NS_PER_MS;
	unsigned n = 0;

	for (struct job *j; (j = db->patience) != NULL && now > j->asked + too_long;) {
		db->patience = j->next;
		n += j->done != NULL;
		call_done(db, j, DB_DOWN);
	}
	return n;
}

static unsigned poll_database(struct db *db, struct database *d)
{
	struct askers *askers = atomic_load_explicit(&d->askers, memory_order_acquire);
	struct writer *writer = atomic_load_explicit(&d->writer, memory_order_acquire);
	unsigned n = 0;
	struct job *j;

	/* No more than are there now: who is called may ask again. */
	for (unsigned most = db->under_way; most != 0; most--) {
		j = writer != NULL ? writer_take(writer) : NULL;
		if (j == NULL && askers != NULL)
			j = askers_take(askers);
		if (j == NULL)
			break;
		n += take_back(db, j);
	}
	return n;
}

unsigned db_poll(struct db *db, uint64_t now_ns)
{
	unsigned databases = atomic_load_explicit(&db->databases, memory_order_acquire), n = 0;

	rows_poll(db->rows, now_ns);
	if (db->under_way == 0)
		return 0;
	for (unsigned i = 0; i < databases; i++)
		n += poll_database(db, db->database[i]);
	return n + give_up(db);
}
