/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver of the test's own, which does what engines do on bad days: it does not connect, hangs,
 * ends in the midst of a question, of a change or of a commit, gives a whole transaction up for one
 * statement, refuses at the commit. What it is told to change it keeps in a list, which a
 * transaction changes when it commits.
 */
#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEPT_MAX = 4096 };

/* What all of its connections share; `lock` holds it, the settings are read as they stand. */
static struct {
	pthread_mutex_t lock;
	int64_t kept[KEPT_MAX];
	_Atomic unsigned count;
	_Atomic unsigned opened, closed, begun, parts, looks, questions, prepared;
	_Atomic bool no_connection; /* open fails */
	_Atomic int connections;    /* no more than so many; -1: any number */
	_Atomic bool all_ended;     /* connections of before, until one is opened */
	_Atomic bool hang;          /* until a question is interrupted, or is told to go on */
	_Atomic int die_at_question, die_at_change, die_at_commit; /* the n-th from now, 0: never */
	_Atomic bool commit_lost; /* it dies before the commit is done, else after it */
	_Atomic int deadlock_at_change;
	_Atomic int deadlock_again; /* ... and from there on at this one */
	/* Somebody keeps these locked: who is patient waits for one, while that is so, and has it
	 * not then. */
	_Atomic int64_t locked_from, locked_to;
	_Atomic bool waits;
	_Atomic unsigned waited, hurried; /* for one, with patience or without */
	_Atomic bool refuse_odd_commit;   /* a transaction that holds an odd number */
} engine;

struct fake {
	bool dead, spoiled, transaction, hurry;
	_Atomic bool interrupted;
	int64_t made[KEPT_MAX];
	unsigned count, part;
	bool goes_on;
};

static enum db_result down(char *error, size_t size, const char *text)
{
	snprintf(error, size, "%s", text);
	return DB_DOWN;
}

/* Whether a count-down ends with this one. */
static bool is_the_one(_Atomic int *left)
{
	return *left != 0 && --*left == 0;
}

static void *fake_open(const struct db_url *url, enum db_role role, char *error, size_t size)
{
	struct fake *f;

	if (engine.no_connection || engine.connections == 0) {
		(void)down(error, size, "nobody is there");
		return NULL;
	}
	if (engine.connections > 0)
		engine.connections--;
	f = calloc(1, sizeof(*f));
	f->goes_on = url->driver->goes_on;
	engine.all_ended = false;
	engine.opened++;
	return f;
}

static void fake_close(void *link)
{
	engine.closed++;
	free(link);
}

static enum db_result fake_prepare(
	void *link, const char *sql, unsigned params, void **ready, char *error, size_t size)
{
	struct fake *f = link;

	engine.prepared++;
	if (strstr(sql, "unknown") != NULL) {
		snprintf(error, size, "unknown");
		/* PostgreSQL's way: what is refused within a transaction ends it. */
		f->spoiled = f->transaction;
		return DB_REFUSED;
	}
	*ready = strdup(sql);
	return DB_DONE;
}

static void fake_unprepare(void *link, void *ready)
{
	free(ready);
}

static enum db_result question(struct fake *f, struct db_run *run, char *error, size_t size)
{
	struct db_value v = db_text(STR("row"));

	engine.questions++;
	if (run->params != 0 && run->param[0].type == DB_TEXT) {
		/* No text of its character set; or another refusal, which a schema may be behind.
		 */
		run->fault = str_eq(run->param[0].s, STR("\xff")) ? DB_FAULT_VALUE : DB_FAULT_NONE;
		snprintf(error, size, "no such text");
		return DB_REFUSED;
	}
	while (engine.hang && !f->interrupted && clock_now_ns() < run->deadline)
		usleep(1000);
	if (engine.hang || engine.all_ended || is_the_one(&engine.die_at_question)) {
		f->dead = true;
		return down(error, size, "it does not answer");
	}
	run->visit(run->arg, &v, 1);
	return DB_DONE;
}

static enum db_result fake_run(
	void *link, void *ready, struct db_run *run, char *error, size_t size)
{
	struct fake *f = link;
	int64_t id;

	run->changed = 0;
	if (strncmp(ready, "SELECT", 6) == 0)
		return question(f, run, error, size);
	if (f->spoiled) {
		snprintf(error, size, "the transaction is spoiled");
		return DB_REFUSED;
	}
	if (is_the_one(&engine.deadlock_at_change)) {
		run->fault = DB_FAULT_DEADLOCK;
		engine.deadlock_at_change = engine.deadlock_again;
		engine.deadlock_again = 0;
		return down(error, size, "deadlock");
	}
	if (is_the_one(&engine.die_at_change)) {
		f->dead = true;
		return down(error, size, "it has ended");
	}
	id = run->param[0].i;
	if (id >= engine.locked_from && id < engine.locked_to) {
		*(f->hurry ? &engine.hurried : &engine.waited) += 1;
		while (!f->hurry && engine.waits)
			usleep(1000);
		run->fault = DB_FAULT_LOCKED;
		return down(error, size, "somebody keeps it locked");
	}
	if (id < 0) {
		snprintf(error, size, "below zero");
		f->spoiled = !f->goes_on;
		return DB_REFUSED;
	}
	f->made[f->count++] = id;
	run->changed = 1;
	return DB_DONE;
}

static enum db_result commit(struct fake *f, char *error, size_t size)
{
	bool dies = is_the_one(&engine.die_at_commit);

	if (f->spoiled) {
		snprintf(error, size, "spoiled");
		return DB_REFUSED;
	}
	for (unsigned i = 0; i < f->count && engine.refuse_odd_commit; i++) {
		if (f->made[i] % 2 != 0) {
			snprintf(error, size, "an odd number");
			return DB_REFUSED;
		}
	}
	if (!dies || !engine.commit_lost) {
		pthread_mutex_lock(&engine.lock);
		memcpy(engine.kept + engine.count, f->made, f->count * sizeof(f->made[0]));
		engine.count += f->count;
		pthread_mutex_unlock(&engine.lock);
	}
	if (!dies)
		return DB_DONE;
	f->dead = true;
	return down(error, size, "it ended while it committed");
}

static enum db_result fake_step(void *link, enum db_step step, char *error, size_t size)
{
	struct fake *f = link;
	enum db_result result = DB_DONE;

	switch (step) {
	case DB_STEP_BEGIN:
		engine.begun++;
		f->transaction = true;
		f->count = 0;
		break;
	case DB_STEP_COMMIT:
		result = commit(f, error, size);
		f->transaction = f->spoiled = false;
		break;
	case DB_STEP_ROLLBACK:
		f->transaction = f->spoiled = false;
		break;
	case DB_STEP_PART:
		engine.parts++;
		f->part = f->count;
		break;
	case DB_STEP_PART_KEEP:
		break;
	case DB_STEP_HURRY:
	case DB_STEP_PATIENCE:
		assert_false(f->transaction);
		f->hurry = step == DB_STEP_HURRY;
		break;
	case DB_STEP_PART_UNDO:
		f->count = f->part;
		f->spoiled = false;
		break;
	default:
		engine.looks++;
		break;
	}
	return result;
}

static bool fake_dead(void *link)
{
	return ((struct fake *)link)->dead;
}

static void fake_interrupt(void *link)
{
	((struct fake *)link)->interrupted = true;
}

#define FAKE(fake_name, yes) \
	static const struct db_driver fake_name = {.name = #fake_name, \
		.scheme = {#fake_name}, \
		.goes_on = yes, \
		.open = fake_open, \
		.close = fake_close, \
		.prepare = fake_prepare, \
		.unprepare = fake_unprepare, \
		.run = fake_run, \
		.step = fake_step, \
		.dead = fake_dead, \
		.interrupt = fake_interrupt}
FAKE(gentle, true);
FAKE(strict, false);

static void reset(void)
{
	memset(&engine, 0, sizeof(engine));
	pthread_mutex_init(&engine.lock, NULL);
	engine.connections = -1;
}

static struct bench *start(void **state, const char *url)
{
	struct bench *b = bench_new();
	char error[DB_ERROR_MAX];

	reset();
	log_set_level(getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	*state = b;
	b->db = db_create(&b->config, error, sizeof(error));
	assert_non_null(b->db);
	assert_int_equal(db_driver_add(b->db, &gentle), 0);
	assert_int_equal(db_driver_add(b->db, &strict), 0);
	b->database = db_use(b->db, url, error, sizeof(error));
	assert_int_equal(b->database, 0);
	b->find = bench_statement(b, "SELECT", NULL, "s", 0);
	b->put = bench_statement(b, "put ?", NULL, NULL, 1);
	b->set = bench_statement(b, "unknown ?", NULL, NULL, 1);
	return b;
}

static int setup_gentle(void **state)
{
	(void)start(state, "gentle://h/d");
	return 0;
}

static int setup_strict(void **state)
{
	(void)start(state, "strict://h/d");
	return 0;
}

static int teardown(void **state)
{
	bench_teardown(state);
	assert_int_equal(engine.opened, engine.closed);
	return 0;
}

static bool has(int64_t id)
{
	unsigned n = 0;

	pthread_mutex_lock(&engine.lock);
	for (unsigned i = 0; i < engine.count; i++)
		n += engine.kept[i] == id;
	pthread_mutex_unlock(&engine.lock);
	return n == 1;
}

/* ---- down, and back ---- */

#define PATIENCE 6000 /* times 10 ms */

static void down_fails_at_once_and_comes_back(void **state)
{
	struct bench *b = *state;
	uint64_t before;
	struct db_state is;
	struct heard h;
	struct call c;
	unsigned times = 0, slow = 0;

	engine.no_connection = true;
	before = clock_now_ns();
	while (times < 100 || clock_now_ns() - before < 600 * CLOCK_NS_PER_MS ||
		db_counter(b->db, DB_COUNTER_LOST) < 2) {
		uint64_t asked = clock_now_ns();

		assert_int_equal(ask(b, pack(b, &c, b->find, 0), &h), DB_DOWN);
		assert_int_equal(change(b, pack(b, &c, b->put, 1, I(1)), &h), DB_DOWN);
		slow += clock_now_ns() - asked > 3 * CLOCK_NS_PER_S;
		times++;
	}
	/* A machine may be busy now and then. */
	assert_true(slow < times / 10);
	/* Tried after 100, 200, 400 ms: a few times, not each time. */
	assert_true(db_counter(b->db, DB_COUNTER_LOST) < times / 4);
	assert_true(db_state(b->db, b->database, &is));
	assert_false(is.connected);
	assert_string_equal(is.error, "nobody is there");
	assert_int_equal(db_counter(b->db, DB_COUNTER_QUESTIONS), 0);
	engine.no_connection = false;
	for (int i = 0; i < PATIENCE && ask(b, pack(b, &c, b->find, 0), &h) != DB_DONE; i++)
		pause_ms(10);
	assert_int_equal(h.result, DB_DONE);
	for (int i = 0; i < PATIENCE && change(b, pack(b, &c, b->put, 1, I(2)), &h) != DB_DONE; i++)
		pause_ms(10);
	assert_int_equal(h.result, DB_DONE);
	assert_true(db_state(b->db, b->database, &is));
	assert_true(is.connected);
	assert_string_equal(is.error, "");
	assert_false(has(1));
	assert_true(has(2));
}

/* Where a server takes one connection only, all questions are answered over that. */
static void one_connection_does_for_all(void **state)
{
	struct bench *b = *state;
	struct heard h = {0};
	struct call c;

	engine.connections = 1;
	assert_int_equal(ask(b, pack(b, &c, b->find, 0), &h), DB_DONE);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(ask(b, pack(b, &c, b->find, 0), &h), DB_DONE);
		pause_ms(2);
	}
	/* Also while the other thread tries, now and then. */
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 100; i++)
			assert_int_equal(ask(b, pack(b, &c, b->find, 0), &h), DB_DONE);
		pause_ms(120);
	}
}

static void a_question_is_asked_again_on_a_new_connection(void **state)
{
	struct bench *b = *state;
	struct heard h;
	struct call c;

	for (int i = 0; i < 20; i++)
		assert_int_equal(ask(b, pack(b, &c, b->find, 0), &h), DB_DONE);
	engine.die_at_question = 1;
	assert_int_equal(ask(b, pack(b, &c, b->find, 0), &h), DB_DONE);
	assert_int_equal(db_counter(b->db, DB_COUNTER_LOST), 1);
}

/* What a message holds makes nobody prepare a statement anew. */
static void a_value_is_no_reason_to_prepare(void **state)
{
	struct bench *b = *state;
	unsigned which = bench_statement(b, "SELECT ?", NULL, "s", 1);
	struct heard h;
	struct call c;

	for (int i = 0; i < 100; i++)
		assert_int_equal(ask(b, pack(b, &c, which, 1, T("\xff")), &h), DB_REFUSED);
	/* On each of two connections. */
	assert_in_range(engine.prepared, 1, 2);
	assert_int_equal(ask(b, pack(b, &c, which, 1, T("x")), &h), DB_REFUSED);
	assert_in_range(engine.prepared, 2, 3);
}

static void who_hangs_is_given_up(void **state)
{
	struct bench *b = *state;
	struct heard h[8];
	uint64_t before;
	struct call c;

	assert_int_equal(ask(b, pack(b, &c, b->find, 0), &h[0]), DB_DONE);
	engine.hang = true;
	before = clock_now_ns();
	memset(h, 0, sizeof(h));
	for (int i = 0; i < 8; i++)
		assert_int_equal(db_ask(b->db, pack(b, &c, b->find, 0), hear, &h[i]), 0);
	for (int i = 0; i < 8; i++) {
		poll_until(b, &h[i].times, 1);
		assert_int_equal(h[i].result, DB_DOWN);
	}
	assert_in_range(clock_now_ns() - before, 3500 * CLOCK_NS_PER_MS, 60000 * CLOCK_NS_PER_MS);
	/* Who asks next is told at once. */
	before = clock_now_ns();
	assert_int_equal(ask(b, pack(b, &c, b->find, 0), &h[0]), DB_DOWN);
	assert_true(clock_now_ns() - before < 3 * CLOCK_NS_PER_S);
	engine.hang = false;
	for (int i = 0; i < PATIENCE && ask(b, pack(b, &c, b->find, 0), &h[0]) != DB_DONE; i++)
		pause_ms(10);
	assert_int_equal(h[0].result, DB_DONE);
}

/* The end does not wait for questions. */
static void who_hangs_does_not_hold_the_end(void **state)
{
	struct bench *b = *state;
	struct heard h = {0};
	uint64_t before;
	struct call c;

	engine.hang = true;
	for (int i = 0; i < 8; i++)
		assert_int_equal(db_ask(b->db, pack(b, &c, b->find, 0), hear, &h), 0);
	while (engine.questions < 2)
		pause_ms(1);
	before = clock_now_ns();
	db_destroy(b->db);
	b->db = NULL;
	assert_true(clock_now_ns() - before < 3 * CLOCK_NS_PER_S);
	assert_int_equal(h.times, 0);
}

/* Connections that were kept by db_now() and have ended all. */
static bool take_row(void *arg, const struct db_value *value, unsigned columns)
{
	++*(unsigned *)arg;
	return true;
}

static void now_finds_a_connection_that_works(void **state)
{
	struct bench *b = *state;
	struct database *d = db_database_of(b->db, b->database);
	struct link *l[NOW_IDLE_MAX + 1];
	char error[DB_ERROR_MAX];
	unsigned rows = 0;
	struct call c = {0};

	for (unsigned i = 0; i <= NOW_IDLE_MAX; i++) {
		l[i] = now_take(d, error, sizeof(error));
		assert_non_null(l[i]);
	}
	for (unsigned i = 0; i <= NOW_IDLE_MAX; i++)
		now_give(d, l[i]);
	assert_int_equal(engine.closed, 1);
	engine.all_ended = true;
	pack(b, &c, b->find, 0);
	assert_int_equal(db_now(b->db, c.s, take_row, &rows, NULL, error, sizeof(error)), DB_DONE);
	assert_int_equal(rows, 1);
	assert_int_equal(engine.closed, 1 + NOW_IDLE_MAX);
	/* What may have been committed is not made again. */
	engine.die_at_commit = 1;
	pack(b, &c, b->put, 1, I(7));
	assert_int_equal(db_now(b->db, c.s, NULL, NULL, NULL, error, sizeof(error)), DB_DOWN);
	assert_true(has(7));
	engine.die_at_change = 1;
	pack(b, &c, b->put, 1, I(8));
	assert_int_equal(db_now(b->db, c.s, NULL, NULL, NULL, error, sizeof(error)), DB_DONE);
	assert_true(has(8));
	engine.no_connection = true;
	engine.die_at_question = 1;
	pack(b, &c, b->find, 0);
	assert_int_equal(db_now(b->db, c.s, take_row, &rows, NULL, error, sizeof(error)), DB_DOWN);
	assert_string_equal(error, "nobody is there");
}

/* ---- changes ---- */

static void nothing_is_half_made(void **state)
{
	enum { N = 200 };
	struct bench *b = *state;
	static struct heard h[N];
	struct call c;

	memset(h, 0, sizeof(h));
	assert_int_equal(change(b, pack(b, &c, b->put, 1, I(5000)), &h[0]), DB_DONE);
	memset(h, 0, sizeof(h));
	/* Before its commit: once more on a new connection. */
	engine.die_at_change = 50;
	for (int i = 0; i < N; i++)
		assert_int_equal(db_change(b->db, pack(b, &c, b->put, 1, I(i)), hear, &h[i]), 0);
	for (int i = 0; i < N; i++) {
		poll_until(b, &h[i].times, 1);
		assert_int_equal(h[i].result, DB_DONE);
		assert_true(has(i));
	}
	assert_int_equal(engine.die_at_change, 0);
}

static void a_deadlock_is_tried_again(void **state)
{
	struct bench *b = *state;
	struct heard h;
	struct call c;

	assert_int_equal(change(b, pack(b, &c, b->put, 1, I(1)), &h), DB_DONE);
	engine.deadlock_at_change = 1;
	assert_int_equal(change(b, pack(b, &c, b->put, 1, I(2)), &h), DB_DONE);
	assert_true(has(2));
	assert_int_equal(db_counter(b->db, DB_COUNTER_LOST), 0);
}

/* So that they come together: the writer is at something else when they are given. */
static void behind_a_pause(struct bench *b, struct heard *first)
{
	struct call c;

	memset(first, 0, sizeof(*first));
	engine.locked_from = 9000;
	engine.locked_to = 9001;
	engine.waits = true;
	assert_int_equal(db_change(b->db, pack(b, &c, b->put, 1, I(9000)), hear, first), 0);
	while (engine.waited == 0)
		usleep(50);
}

/* A locked row takes no other change with it, costs them one wait, and the gate stays open. */
static void who_is_locked_ends_alone(void **state)
{
	enum { N = 200 };
	struct bench *b = *state;
	static struct heard h[N];
	struct heard first;
	struct call c;

	memset(h, 0, sizeof(h));
	behind_a_pause(b, &first);
	for (int i = 0; i < N; i++) {
		pack(b, &c, b->put, 1, I(i));
		if (i % 10 == 5)
			pack_more(b, &c, b->put, 1, I(1000 + i));
		assert_int_equal(db_change(b->db, c.s, hear, &h[i]), 0);
	}
	engine.locked_from = 95;
	engine.locked_to = 98;
	engine.waits = false;
	poll_until(b, &first.times, 1);
	assert_int_equal(first.result, DB_DOWN);
	for (int i = 0; i < N; i++) {
		bool locked = i >= 95 && i < 98;

		poll_until(b, &h[i].times, 1);
		assert_int_equal(h[i].result, locked ? DB_DOWN : DB_DONE);
		assert_int_equal(has(i), !locked);
		assert_int_equal(has(1000 + i), !locked && i % 10 == 5);
	}
	/* The first one's, and one of the three that followed. */
	assert_int_equal(engine.waited, 2);
	assert_int_equal(engine.hurried, 2);
	assert_int_equal(engine.opened, 1);
	/* Nobody was told that the database is down; and the next one is as patient as ever. */
	assert_int_equal(db_database_of(b->db, b->database)->write.retry_at, 0);
	assert_int_equal(change(b, pack(b, &c, b->put, 1, I(95)), &first), DB_DOWN);
	assert_int_equal(engine.waited, 3);
	engine.locked_to = 0;
	assert_int_equal(change(b, pack(b, &c, b->put, 1, I(95)), &first), DB_DONE);
}

/* What is given up for a deadlock again and again ends; the others are made. */
static void who_is_in_a_deadlock_twice_ends_alone(void **state)
{
	struct bench *b = *state;
	struct heard h[3], first;
	struct call c;

	memset(h, 0, sizeof(h));
	behind_a_pause(b, &first);
	for (int i = 0; i < 3; i++)
		assert_int_equal(db_change(b->db, pack(b, &c, b->put, 1, I(i)), hear, &h[i]), 0);
	/* The second one of three, and again when they are made again. */
	engine.deadlock_again = engine.deadlock_at_change = 2;
	engine.waits = false;
	for (int i = 0; i < 3; i++) {
		poll_until(b, &h[i].times, 1);
		assert_int_equal(h[i].result, i == 1 ? DB_DOWN : DB_DONE);
		assert_int_equal(has(i), i != 1);
	}
	assert_int_equal(engine.waited, 1);
	assert_int_equal(engine.opened, 1);
}

/* Where all is locked it is the database that fails, and nobody waits for that for long. */
static void where_all_is_locked_the_batch_ends(void **state)
{
	enum { N = 300 };
	struct bench *b = *state;
	static struct heard h[N];
	struct heard first;
	struct call c;

	memset(h, 0, sizeof(h));
	behind_a_pause(b, &first);
	engine.locked_from = 0;
	for (int i = 0; i < N; i++)
		assert_int_equal(db_change(b->db, pack(b, &c, b->put, 1, I(i)), hear, &h[i]), 0);
	engine.waits = false;
	for (int i = 0; i < N; i++) {
		poll_until(b, &h[i].times, 1);
		assert_int_equal(h[i].result, DB_DOWN);
	}
	assert_true(engine.waited <= 3);
	assert_true(engine.hurried < N / 2);
	assert_int_equal(engine.opened, 1);
	engine.locked_to = 0;
	for (int i = 0; i < 2000 && change(b, pack(b, &c, b->put, 1, I(1)), &first) != DB_DONE; i++)
		pause_ms(10);
	assert_int_equal(first.result, DB_DONE);
}

/* A lane whose first change cannot be made waits for it, for itself: others do not. */
static void a_lane_waits_for_what_is_locked(void **state)
{
	enum { N = 100 };
	struct bench *b = *state;
	struct db_lane *lane[2] = {db_lane_create(b->db, 1 << 16), db_lane_create(b->db, 1 << 16)};
	struct heard first, h[20];
	struct call c;

	assert_true(lane[0] != NULL && lane[1] != NULL);
	memset(h, 0, sizeof(h));
	behind_a_pause(b, &first);
	for (int i = 0; i < N; i++) {
		assert_true(db_lane_change(lane[0], pack(b, &c, b->put, 1, I(i))));
		assert_true(db_lane_change(lane[1], pack(b, &c, b->put, 1, I(1000 + i))));
	}
	for (int i = 0; i < 20; i++)
		assert_int_equal(
			db_change(b->db, pack(b, &c, b->put, 1, I(2000 + i)), hear, &h[i]), 0);
	engine.locked_from = 50;
	engine.locked_to = 51;
	engine.waits = false;
	/* In one batch: who waits, the other one's, and its own up to there. */
	for (int i = 0; i < 20; i++) {
		poll_until(b, &h[i].times, 1);
		assert_int_equal(h[i].result, DB_DONE);
	}
	assert_int_equal(engine.count, N + 50 + 20);
	/* Tried again, by nobody who waits. */
	for (int i = 0; i < 3000 && engine.hurried < 3; i++)
		pause_ms(10);
	assert_true(engine.hurried >= 3);
	assert_int_equal(engine.waited, 2);
	assert_false(has(51));
	engine.locked_to = 0;
	for (int i = 0; i < 30000 && engine.count < 2 * N + 20; i++)
		pause_ms(10);
	assert_int_equal(engine.count, 2 * N + 20);
	for (int i = 0, next = 0; i < 2 * N + 20; i++) {
		if (engine.kept[i] < N)
			assert_int_equal(engine.kept[i], next++);
	}
	assert_int_equal(db_lane_refused(lane[0]), 0);
	assert_int_equal(db_counter(b->db, DB_COUNTER_REFUSED), 0);
}

/* Nobody says done of what nobody knows; and it is not made again. */
static void a_commit_that_nobody_knows_of(void **state)
{
	struct bench *b = *state;
	struct heard h;
	struct call c;

	for (int lost = 0; lost < 2; lost++) {
		assert_int_equal(change(b, pack(b, &c, b->put, 1, I(lost)), &h), DB_DONE);
		engine.commit_lost = lost;
		engine.die_at_commit = 1;
		assert_int_equal(change(b, pack(b, &c, b->put, 1, I(10 + lost)), &h), DB_DOWN);
		pause_ms(150);
		assert_int_equal(change(b, pack(b, &c, b->put, 1, I(20 + lost)), &h), DB_DONE);
	}
	assert_true(has(10));
	assert_false(has(11));
}

/* What a lane holds outlives any outage, and is there in its order. */
static void a_lane_waits_for_the_database(void **state)
{
	enum { N = 500 };
	struct bench *b = *state;
	struct db_lane *lane = db_lane_create(b->db, 1 << 16);
	struct call c;

	assert_non_null(lane);
	engine.no_connection = true;
	for (int i = 0; i < N; i++)
		assert_true(db_lane_change(lane, pack(b, &c, b->put, 1, I(i))));
	pause_ms(150);
	engine.die_at_change = 100;
	engine.die_at_commit = 1;
	engine.commit_lost = true;
	engine.no_connection = false;
	for (int i = 0; i < 300000 && engine.count < N; i++)
		pause_ms(1);
	assert_int_equal(engine.count, N);
	for (int i = 0; i < N; i++)
		assert_int_equal(engine.kept[i], i);
	assert_int_equal(db_lane_refused(lane), 0);
}

static void a_lane_that_is_full_refuses(void **state)
{
	struct bench *b = *state;
	struct db_lane *lane = db_lane_create(b->db, 32768);
	unsigned taken = 0;
	struct call c;

	assert_non_null(lane);
	engine.no_connection = true;
	while (taken < 4000 && db_lane_change(lane, pack(b, &c, b->put, 1, I(taken))))
		taken++;
	assert_true(taken > 800 && taken < 2000);
	assert_int_equal(db_lane_refused(lane), 1);
	engine.no_connection = false;
	for (int i = 0; i < 300000 && engine.count < taken; i++)
		pause_ms(1);
	assert_int_equal(engine.count, taken);
	assert_true(db_lane_change(lane, pack(b, &c, b->put, 1, I(4000))));
}

/* Of a reload with another password there are two writers to one database: each change of a spool
 * is made by one. */
static void a_spool_is_made_by_one_of_two(void **state)
{
	enum { N = 1500 };
	struct bench *b = *state;
	struct db_lane *lane = db_lane_create(b->db, 1 << 16);
	char error[DB_ERROR_MAX], path[96];
	struct db_statement s = {.text = "put ?", .params = 1};
	struct call c;
	int other;

	assert_non_null(lane);
	snprintf(path, sizeof(path), "%s/spool", b->folder);
	assert_int_equal(
		db_lane_spool(lane, &(struct db_spool_config){.path = path, .bytes = 1 << 22},
			error, sizeof(error)),
		0);
	engine.no_connection = true;
	b->database = db_use(b->db, "gentle://u:one@h/d", error, sizeof(error));
	assert_true(b->database >= 0);
	b->put = bench_statement(b, "put ?", NULL, NULL, 1);
	for (int i = 0; i < N; i++) {
		while (!db_lane_change(lane, pack(b, &c, b->put, 1, I(i))))
			usleep(200);
	}
	for (int i = 0; i < 30000 && db_counter(b->db, DB_COUNTER_SPOOLED) < N; i++)
		pause_ms(1);
	assert_int_equal(db_counter(b->db, DB_COUNTER_SPOOLED), N);
	/* The one that comes first has them in hand, for as long as it waits. */
	engine.locked_to = 1;
	engine.waits = true;
	other = db_use(b->db, "gentle://u:two@h/d", error, sizeof(error));
	assert_true(other >= 0 && other != b->database);
	assert_true(db_statement(b->db, other, &s, error, sizeof(error)) >= 0);
	engine.no_connection = false;
	for (int i = 0; i < 30000 && engine.waited == 0; i++)
		pause_ms(1);
	pause_ms(DB_RETRY_MAX_MS + 1000);
	assert_int_equal(engine.waited, 1);
	engine.locked_to = 0;
	engine.waits = false;
	for (int i = 0; i < 30000 && db_counter(b->db, DB_COUNTER_SPOOL_ROWS) != 0; i++)
		pause_ms(1);
	assert_int_equal(db_counter(b->db, DB_COUNTER_SPOOL_ROWS), 0);
	assert_int_equal(engine.count, N);
	for (int i = 0; i < N; i++)
		assert_int_equal(engine.kept[i], i);
}

/* An engine that gives a transaction up for a statement. */
static void refused_goes_alone_in_any_engine(void **state)
{
	enum { N = 300 };
	struct bench *b = *state;
	static struct heard h[N];
	struct call c;

	memset(h, 0, sizeof(h));
	for (int i = 0; i < N; i++) {
		if (i % 50 == 49)
			pack(b, &c, b->set, 1, I(i));
		else
			pack(b, &c, b->put, 1, I(i % 10 == 3 ? -i : i));
		if (i % 10 == 5)
			pack_more(b, &c, b->put, 1, I(-i));
		assert_int_equal(db_change(b->db, c.s, hear, &h[i]), 0);
	}
	for (int i = 0; i < N; i++) {
		bool good = i % 50 != 49 && i % 10 != 3 && i % 10 != 5;

		poll_until(b, &h[i].times, 1);
		assert_int_equal(h[i].result, good ? DB_DONE : DB_REFUSED);
		assert_int_equal(has(i), good);
	}
}

static void refused_at_the_commit_goes_alone(void **state)
{
	enum { N = 60 };
	struct bench *b = *state;
	static struct heard h[N];
	struct call c;

	memset(h, 0, sizeof(h));
	engine.refuse_odd_commit = true;
	for (int i = 0; i < N; i++)
		assert_int_equal(db_change(b->db, pack(b, &c, b->put, 1, I(i)), hear, &h[i]), 0);
	for (int i = 0; i < N; i++) {
		poll_until(b, &h[i].times, 1);
		assert_int_equal(h[i].result, i % 2 != 0 ? DB_REFUSED : DB_DONE);
		assert_int_equal(has(i), i % 2 == 0);
	}
}

/* Nothing behind the last one of a batch is made with it, in any manner. */
static void no_more_than_the_batch_is_made(void **state)
{
	enum { N = 20 };
	struct bench *b = *state;
	static struct heard h[N];
	struct heard first;
	struct call c;

	memset(h, 0, sizeof(h));
	behind_a_pause(b, &first);
	engine.refuse_odd_commit = true;
	for (int i = 0; i < N; i++)
		assert_int_equal(db_change(b->db, pack(b, &c, b->put, 1, I(i)), hear, &h[i]), 0);
	engine.waits = false;
	for (int i = 0; i < N; i++) {
		poll_until(b, &h[i].times, 1);
		assert_int_equal(h[i].result, i % 2 != 0 ? DB_REFUSED : DB_DONE);
		assert_int_equal(has(i), i % 2 == 0);
	}
	/* The one before them, and a look for what is left of that; then all of them together, in
	 * parts, and each for itself. */
	assert_int_equal(engine.begun, 2 + 1 + 1 + N);
	assert_int_equal(engine.parts, N);
	assert_int_equal(engine.count, N / 2);
}

/* What is locked goes to the lane's spool with all behind it, and then holds nobody up. */
static void what_is_locked_goes_to_its_spool(void **state)
{
	enum { N = 3000, MORE = 20 };
	struct bench *b = *state;
	struct db_lane *lane = db_lane_create(b->db, 32768), *other = db_lane_create(b->db, 32768);
	struct db_spool_config config = {NULL, 4u << 20};
	char path[128], error[256];
	struct call c;

	snprintf(path, sizeof(path), "%s/spool", b->folder);
	config.path = path;
	assert_int_equal(db_lane_spool(lane, &config, error, sizeof(error)), 0);
	assert_int_equal(db_lane_spool(other, &config, error, sizeof(error)), 0);
	engine.locked_from = 10;
	engine.locked_to = 11;
	for (int i = 0; i < N; i++) {
		/* It is at fault before its lane fills. */
		for (int t = 0; i == 20 && t < 30000 && engine.hurried + engine.waited < 2; t++)
			pause_ms(1);
		for (int t = 0; t < 60000; t++) {
			if (db_lane_change(lane, pack(b, &c, b->put, 1, I(i))))
				break;
			pause_ms(1);
		}
	}
	for (int t = 0; t < 30000 && db_counter(b->db, DB_COUNTER_SPOOLED) == 0; t++)
		pause_ms(1);
	assert_true(db_counter(b->db, DB_COUNTER_SPOOLED) > 0);
	/* Its time to be tried alone has come. */
	pause_ms(DB_TIMEOUT_MS / 2);
	engine.locked_to = 0;
	for (int i = 0; i < MORE; i++)
		assert_true(db_lane_change(other, pack(b, &c, b->put, 1, I(5000 + i))));
	for (int t = 0; t < 60000 && engine.count < N + MORE; t++)
		pause_ms(1);
	assert_int_equal(engine.count, N + MORE);
}

/* The end has a time, and says what it did not do. */
static void the_end_is_bounded(void **state)
{
	struct bench *b = *state;
	struct db_lane *lane = db_lane_create(b->db, 32768);
	uint64_t before;
	struct call c;

	assert_non_null(lane);
	engine.no_connection = true;
	assert_true(db_lane_change(lane, pack(b, &c, b->put, 1, I(1))));
	before = clock_now_ns();
	db_destroy(b->db);
	b->db = NULL;
	assert_in_range(clock_now_ns() - before, 3900 * CLOCK_NS_PER_MS, 20000 * CLOCK_NS_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define GENTLE(f) cmocka_unit_test_setup_teardown(f, setup_gentle, teardown)
#define STRICT(f) cmocka_unit_test_setup_teardown(f, setup_strict, teardown)
		GENTLE(down_fails_at_once_and_comes_back),
		GENTLE(one_connection_does_for_all),
		GENTLE(a_question_is_asked_again_on_a_new_connection),
		GENTLE(a_value_is_no_reason_to_prepare),
		GENTLE(who_hangs_is_given_up),
		GENTLE(who_hangs_does_not_hold_the_end),
		GENTLE(now_finds_a_connection_that_works),
		GENTLE(nothing_is_half_made),
		STRICT(nothing_is_half_made),
		GENTLE(a_deadlock_is_tried_again),
		STRICT(a_deadlock_is_tried_again),
		GENTLE(who_is_locked_ends_alone),
		STRICT(who_is_locked_ends_alone),
		GENTLE(who_is_in_a_deadlock_twice_ends_alone),
		STRICT(who_is_in_a_deadlock_twice_ends_alone),
		GENTLE(where_all_is_locked_the_batch_ends),
		GENTLE(a_lane_waits_for_what_is_locked),
		STRICT(a_lane_waits_for_what_is_locked),
		GENTLE(a_commit_that_nobody_knows_of),
		STRICT(a_commit_that_nobody_knows_of),
		GENTLE(a_lane_waits_for_the_database),
		STRICT(a_lane_waits_for_the_database),
		GENTLE(a_lane_that_is_full_refuses),
		GENTLE(a_spool_is_made_by_one_of_two),
		GENTLE(refused_goes_alone_in_any_engine),
		STRICT(refused_goes_alone_in_any_engine),
		STRICT(refused_at_the_commit_goes_alone),
		GENTLE(no_more_than_the_batch_is_made),
		STRICT(no_more_than_the_batch_is_made),
		GENTLE(what_is_locked_goes_to_its_spool),
		GENTLE(the_end_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
