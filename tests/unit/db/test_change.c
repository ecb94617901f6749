/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer: order, groups, what is refused, what is left at the end, lanes. */
#include "common.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- order and groups ---- */

struct line {
	unsigned next, done[8192];
	enum db_result result[8192];
};

struct place {
	struct line *line;
	unsigned number;
};

static void in_line(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct place *p = arg;

	p->line->result[p->line->next] = result;
	p->line->done[p->line->next++] = p->number;
}

static void done_in_order_and_committed_in_groups(void **state)
{
	enum { N = 1000 };
	struct bench *b = *state;
	static struct line line;
	static struct place place[N];
	uint64_t commits;
	struct call c;

	memset(&line, 0, sizeof(line));
	for (unsigned i = 0; i < N; i++) {
		place[i] = (struct place){&line, i};
		pack(b, &c, b->put, 3, I(i), T("x"), I(i));
		assert_int_equal(db_change(b->db, c.s, in_line, &place[i]), 0);
	}
	poll_until(b, &line.next, N);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(line.done[i], i);
		assert_int_equal(line.result[i], DB_DONE);
	}
	assert_int_equal(db_counter(b->db, DB_COUNTER_CHANGES), N);
	/* The first ones go alone; what gathers meanwhile goes together. */
	commits = db_counter(b->db, DB_COUNTER_COMMITS);
	print_message("%d changes in %llu commits\n", N, (unsigned long long)commits);
	assert_true(commits >= 1 && commits < N / 20);
	assert_int_equal(bench_count(b), N);
	assert_int_equal(db_counter(b->db, DB_COUNTER_WAITING), 0);
}

/* What is refused in the midst of a group takes no neighbour with it. */
static void a_refused_change_goes_alone(void **state)
{
	enum { N = 300 };
	struct bench *b = *state;
	static struct line line;
	static struct place place[N];
	unsigned refused = 0;
	struct call c;

	memset(&line, 0, sizeof(line));
	for (unsigned i = 0; i < N; i++) {
		place[i] = (struct place){&line, i};
		/* Each seventh has the key of one before. */
		pack(b, &c, b->put, 3, I(i % 7 == 6 ? i - 3 : i), T("x"), I(i));
		assert_int_equal(db_change(b->db, c.s, in_line, &place[i]), 0);
	}
	poll_until(b, &line.next, N);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(line.done[i], i);
		assert_int_equal(line.result[i], i % 7 == 6 ? DB_REFUSED : DB_DONE);
		refused += i % 7 == 6;
	}
	assert_int_equal(bench_count(b), N - refused);
	assert_int_equal(db_counter(b->db, DB_COUNTER_REFUSED), refused);
	assert_int_equal(db_counter(b->db, DB_COUNTER_CHANGES), N - refused);
}

static void several_calls_are_all_or_none(void **state)
{
	struct bench *b = *state;
	struct heard h;
	struct call c;

	pack(b, &c, b->put, 3, I(1), T("a"), I(1));
	pack_more(b, &c, b->put, 3, I(2), T("b"), I(1));
	pack_more(b, &c, b->set, 2, I(5), I(1));
	assert_int_equal(change(b, c.s, &h), DB_DONE);
	assert_int_equal(h.changed, 3);
	pack(b, &c, b->put, 3, I(3), T("c"), I(1));
	pack_more(b, &c, b->set, 2, I(6), I(1));
	pack_more(b, &c, b->put, 3, I(2), T("b"), I(1));
	assert_int_equal(change(b, c.s, &h), DB_REFUSED);
	assert_int_equal(bench_count(b), 2);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &h), DB_DONE);
	assert_string_equal(h.text[1], "5");
}

static uint64_t now(struct bench *b, struct str calls)
{
	char error[DB_ERROR_MAX];
	uint64_t changed;

	assert_int_equal(db_now(b->db, calls, NULL, NULL, &changed, error, sizeof(error)), DB_DONE);
	return changed;
}

static unsigned unless_changed(struct bench *b, const char *text, unsigned params)
{
	const struct db_statement s = {
		.text = text, .params = (uint8_t)params, .unless_changed = true};
	char error[DB_ERROR_MAX];
	int n = db_statement(b->db, b->database, &s, error, sizeof(error));

	assert_true(n >= 0);
	return (unsigned)n;
}

/* What an UPDATE does not find is inserted. */
static void what_is_not_found_is_inserted(void **state)
{
	struct bench *b = *state;
	unsigned clear = unless_changed(b, "DELETE FROM t WHERE n = ?", 1);
	unsigned put = unless_changed(b, "INSERT INTO t (id, name, n) VALUES (?, ?, ?)", 3);
	struct heard h;
	struct call c;

	/* The same text without the mark is another statement. */
	assert_int_not_equal(put, b->put);
	for (unsigned i = 0; i < 2; i++) {
		pack(b, &c, b->set, 2, I(7), I(1));
		pack_more(b, &c, clear, 1, I(9));
		pack_more(b, &c, put, 3, I(1), T("a"), I(7));
		/* One that is made in any case begins anew. */
		pack_more(b, &c, b->set, 2, I(8), I(2));
		pack_more(b, &c, put, 3, I(2), T("b"), I(8));
		assert_int_equal(change(b, c.s, &h), DB_DONE);
		assert_int_equal(h.changed, 2);
		assert_int_equal(bench_count(b), 2);
	}
	/* What is refused takes along what was made before it, and no neighbour. */
	pack(b, &c, b->put, 3, I(3), T("c"), I(9));
	assert_int_equal(change(b, c.s, &h), DB_DONE);
	pack(b, &c, b->set, 2, I(1), I(4));
	pack_more(b, &c, clear, 1, I(9));
	pack_more(b, &c, put, 3, I(1), T("a"), I(1));
	assert_int_equal(change(b, c.s, &h), DB_REFUSED);
	assert_int_equal(bench_count(b), 3);
	/* At once, too. */
	pack(b, &c, b->set, 2, I(5), I(3));
	pack_more(b, &c, clear, 1, I(5));
	assert_int_equal(now(b, c.s), 1);
	pack(b, &c, b->set, 2, I(5), I(4));
	pack_more(b, &c, clear, 1, I(5));
	assert_int_equal(now(b, c.s), 1);
	assert_int_equal(bench_count(b), 2);
}

/* Neighbours of a change of several calls that is undone stay, before and behind it. */
static void what_is_undone_takes_no_neighbour(void **state)
{
	enum { N = 90 };
	struct bench *b = *state;
	static struct line line;
	static struct place place[N];
	struct call c;

	memset(&line, 0, sizeof(line));
	for (unsigned i = 0; i < N; i++) {
		place[i] = (struct place){&line, i};
		pack(b, &c, b->put, 3, I(2 * i), T("x"), I(0));
		if (i % 3 == 1)
			pack_more(b, &c, b->put, 3, I(2 * i), T("again"), I(0));
		else if (i % 3 == 2)
			pack_more(b, &c, b->put, 3, I(2 * i + 1), T("more"), I(0));
		assert_int_equal(db_change(b->db, c.s, in_line, &place[i]), 0);
	}
	poll_until(b, &line.next, N);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(line.result[i], i % 3 == 1 ? DB_REFUSED : DB_DONE);
	assert_int_equal(bench_count(b), N / 3 * 3);
}

static void long_calls_travel(void **state)
{
	struct bench *b = *state;
	static char text[4001];
	struct heard h;
	struct call c;

	memset(text, 'y', sizeof(text) - 1);
	pack(b, &c, b->put, 3, I(1), T(text), I(1));
	pack_more(b, &c, b->put, 3, I(2), T(text), I(1));
	assert_int_equal(change(b, c.s, &h), DB_DONE);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(2)), &h), DB_DONE);
	assert_string_equal(h.text[0], text);
}

/* ---- bounds ---- */

static void what_is_too_much_is_refused(void **state)
{
	struct bench *b = bench_new();
	struct heard h = {0};
	unsigned taken = 0;
	struct call c;

	*state = b;
	b->config.waiters = 16;
	bench_open(b);
	bench_tables(b);
	pack(b, &c, b->find, 1, I(1));
	/* None comes back before it is polled for. */
	while (db_ask(b->db, c.s, hear, &h) == 0)
		taken++;
	assert_int_equal(taken, 16);
	assert_int_equal(db_ask(b->db, c.s, hear, &h), -EAGAIN);
	assert_int_equal(db_change(b->db, pack(b, &c, b->set, 2, I(1), I(1)), hear, &h), -EAGAIN);
	assert_int_equal(db_counter(b->db, DB_COUNTER_FULL), 3);
	assert_int_equal(db_counter(b->db, DB_COUNTER_WAITING), 16);
	poll_until(b, &h.times, 16);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &h), DB_DONE);
}

/* done() may ask, and be called for that in a later poll. */
struct chain {
	struct bench *b;
	unsigned times, polls;
};

static void ask_on(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct chain *chain = arg;
	struct call c;

	assert_int_equal(result, DB_DONE);
	if (++chain->times < 50)
		assert_int_equal(db_ask(chain->b->db, pack(chain->b, &c, chain->b->find, 1, I(1)),
					 ask_on, chain),
			0);
}

static void who_is_called_may_ask(void **state)
{
	struct bench *b = *state;
	struct chain chain = {.b = b};
	struct call c;

	assert_int_equal(db_ask(b->db, pack(b, &c, b->find, 1, I(1)), ask_on, &chain), 0);
	poll_until(b, &chain.times, 50);
}

/* Signals are for the control thread: which threads of ours would take SIGTERM. */
static void no_thread_takes_signals(void **state)
{
	struct bench *b = *state;
	unsigned threads = 0;
	struct dirent *e;
	struct heard h;
	struct call c;
	DIR *tasks;

	assert_int_equal(change(b, pack(b, &c, b->put, 3, I(1), T("x"), I(0)), &h), DB_DONE);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &h), DB_DONE);
	tasks = opendir("/proc/self/task");
	assert_non_null(tasks);
	while ((e = readdir(tasks)) != NULL) {
		char path[300], line[256];
		bool ours = false;
		FILE *status;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		status = e->d_name[0] != '.' ? fopen(path, "r") : NULL;
		while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
			ours |= strncmp(line, "Name:\tsiplane-db", 16) == 0;
			if (!ours || strncmp(line, "SigBlk:", 7) != 0)
				continue;
			threads++;
			assert_true((strtoull(line + 7, NULL, 16) >> (SIGTERM - 1) & 1) != 0);
		}
		if (status != NULL)
			fclose(status);
	}
	closedir(tasks);
	/* The writer, and two that ask. */
	assert_int_equal(threads, 3);
}

/* ---- the end ---- */

static void the_end_waits_for_what_was_given(void **state)
{
	enum { N = 500 };
	struct bench *b = *state;
	static struct heard h;
	struct call c;
	struct db_lane *lane = db_lane_create(b->db, 1 << 18);
	uint64_t begun;
	bool in_time;

	memset(&h, 0, sizeof(h));
	assert_non_null(lane);
	for (unsigned i = 0; i < N; i++) {
		pack(b, &c, b->put, 3, I(i), T("x"), I(i));
		assert_int_equal(db_change(b->db, c.s, hear, &h), 0);
		pack(b, &c, b->put, 3, I(N + i), T("x"), I(i));
		assert_true(db_lane_change(lane, c.s));
	}
	begun = clock_now_ns();
	db_destroy(b->db);
	in_time = clock_now_ns() - begun < DB_TIMEOUT_MS * CLOCK_NS_PER_MS;
	b->db = NULL;
	assert_int_equal(h.times, 0);
	bench_open(b);
	/* What a server on a busy machine has not taken until then is not waited for. */
	assert_in_range(bench_count(b), in_time ? 2 * N : 0, 2 * N);
}

/* ---- lanes ---- */

struct driver_of_lane {
	struct bench *b;
	struct db_lane *lane;
	unsigned number, refused;
};

enum { LANES = 4, EACH = 3000 };

static void *drive(void *arg)
{
	struct driver_of_lane *d = arg;
	struct call c;
	char text[300];

	memset(text, 'z', sizeof(text));
	for (unsigned i = 0; i < EACH; i++) {
		/* Of all lengths, so that the ends of the ring are met in every way. */
		text[i % 299] = '\0';
		pack(d->b, &c, d->b->put, 3, I(d->number * EACH + i), T(text), I(i));
		text[i % 299] = 'z';
		while (!db_lane_change(d->lane, c.s)) {
			d->refused++;
			usleep(200);
		}
	}
	return NULL;
}

static void lanes_lose_nothing(void **state)
{
	struct bench *b = *state;
	struct driver_of_lane d[LANES];
	pthread_t thread[LANES];
	unsigned refused = 0;

	for (unsigned i = 0; i < LANES; i++) {
		d[i] = (struct driver_of_lane){b, db_lane_create(b->db, 32768), i, 0};
		assert_non_null(d[i].lane);
	}
	for (unsigned i = 0; i < LANES; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, drive, &d[i]), 0);
	for (unsigned i = 0; i < LANES; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(db_lane_refused(d[i].lane), d[i].refused);
		refused += d[i].refused;
	}
	for (unsigned i = 0; i < 30000 && bench_count(b) != LANES * EACH; i++)
		pause_ms(1);
	assert_int_equal(bench_count(b), LANES * EACH);
	/* They are seen in the database before they are counted. */
	for (unsigned i = 0; i < 30000 && db_counter(b->db, DB_COUNTER_CHANGES) != LANES * EACH;
		i++)
		pause_ms(1);
	assert_int_equal(db_counter(b->db, DB_COUNTER_CHANGES), LANES * EACH);
	print_message("%u waits for room, %llu commits\n", refused,
		(unsigned long long)db_counter(b->db, DB_COUNTER_COMMITS));
}

static void a_lane_keeps_its_order(void **state)
{
	enum { N = 5000 };
	struct bench *b = *state;
	struct db_lane *lane = db_lane_create(b->db, 1 << 20);
	struct heard h;
	struct call c;

	assert_non_null(lane);
	assert_true(db_lane_change(lane, pack(b, &c, b->put, 3, I(1), T("x"), I(0))));
	for (unsigned i = 1; i <= N; i++)
		assert_true(db_lane_change(lane, pack(b, &c, b->set, 2, I(i), I(1))));
	for (unsigned i = 0; i < 30000 && db_counter(b->db, DB_COUNTER_CHANGES) != N + 1; i++)
		pause_ms(1);
	assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(1)), &h), DB_DONE);
	assert_string_equal(h.text[1], "5000");
}

static void a_lane_has_bounds(void **state)
{
	struct bench *b = *state;
	struct db_lane *lane;
	struct call c;

	assert_null(db_lane_create(b->db, 0));
	assert_null(db_lane_create(b->db, 16384));
	assert_null(db_lane_create(b->db, 32769));
	lane = db_lane_create(b->db, 32768);
	assert_non_null(lane);
	/* No change at all. */
	assert_false(db_lane_change(lane, pack(b, &c, b->find, 1, I(1))));
	assert_false(db_lane_change(lane, STR_NONE));
	pack(b, &c, b->put, 3, I(1), T("x"), I(0));
	c.s.len--;
	assert_false(db_lane_change(lane, c.s));
	assert_int_equal(db_lane_refused(lane), 3);
}

/* A writer that slept before there was a lane looks after it. */
static void a_lane_that_comes_later_is_seen(void **state)
{
	struct bench *b = *state;
	struct db_lane *lane;
	struct heard h;
	struct call c;

	assert_int_equal(change(b, pack(b, &c, b->put, 3, I(1), T("x"), I(0)), &h), DB_DONE);
	pause_ms(20);
	lane = db_lane_create(b->db, 32768);
	assert_non_null(lane);
	pause_ms(20);
	assert_true(db_lane_change(lane, pack(b, &c, b->put, 3, I(2), T("y"), I(0))));
	for (unsigned i = 0; i < 30000 && db_counter(b->db, DB_COUNTER_CHANGES) != 2; i++)
		pause_ms(1);
	assert_int_equal(bench_count(b), 2);
}

/* The longest change there may be finds room in the smallest lane, wherever its end is. */
static void a_lane_takes_the_longest_change(void **state)
{
	struct bench *b = *state;
	struct db_lane *lane = db_lane_create(b->db, 32768);
	static char text[DB_VALUE_MAX + 1];
	struct call small, c = {0};

	assert_non_null(lane);
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 50; i++) {
		uint64_t end = clock_now_ns() + 60 * CLOCK_NS_PER_S;
		/* With its length the first one ends at 8 KiB: too near to some ends for the next.
		 */
		uint32_t cut = i == 0 ? 4 : 0, room;

		c.s.len = 0;
		pack_more(b, &c, b->put, 3, I(10 * i), db_text(str_of(text, DB_VALUE_MAX)), I(0));
		pack_more(b, &c, b->set, 2, I(1), I(10 * i));
		room = DB_CALL_MAX - cut - c.s.len;
		pack(b, &small, b->put, 3, I(10 * i + 1), T(""), I(0));
		pack_more(b, &c, b->put, 3, I(10 * i + 1),
			db_text(str_of(text, room - small.s.len)), I(0));
		assert_int_equal(c.s.len, DB_CALL_MAX - cut);
		while (!db_lane_change(lane, c.s) && clock_now_ns() < end)
			usleep(100);
		assert_true(clock_now_ns() < end);
		/* The next one begins elsewhere. */
		pack(b, &small, b->set, 2, I(2), I(10 * i));
		while (i != 0 && !db_lane_change(lane, small.s))
			usleep(100);
	}
	for (unsigned i = 0; i < 30000 && db_counter(b->db, DB_COUNTER_CHANGES) != 99; i++)
		pause_ms(1);
	assert_int_equal(bench_count(b), 100);
}

/* What the database refuses is counted, and what follows is done. */
static void a_lane_goes_on_behind_what_is_refused(void **state)
{
	struct bench *b = *state;
	struct db_lane *lane = db_lane_create(b->db, 1 << 16);
	struct call c;

	assert_non_null(lane);
	for (unsigned i = 0; i < 100; i++)
		assert_true(db_lane_change(lane, pack(b, &c, b->put, 3, I(i / 2), T("x"), I(0))));
	for (unsigned i = 0; i < 30000 && db_counter(b->db, DB_COUNTER_CHANGES) +
							  db_counter(b->db, DB_COUNTER_REFUSED) !=
						  100;
		i++)
		pause_ms(1);
	assert_int_equal(db_counter(b->db, DB_COUNTER_REFUSED), 50);
	assert_int_equal(bench_count(b), 50);
}

/* ---- killed ---- */

struct teller {
	int fd;
	uint32_t number;
};

static void tell(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct teller *t = arg;

	if (result == DB_DONE && write(t->fd, &t->number, sizeof(t->number)) < 0)
		_exit(1);
}

static void change_for_ever(struct bench *b, int fd)
{
	static struct teller teller[1 << 20];
	struct call c;

	bench_open(b);
	for (uint32_t i = 0; i < 1 << 20;) {
		teller[i] = (struct teller){fd, i};
		pack(b, &c, b->put, 3, I(i), T("x"), I(0));
		if (db_change(b->db, c.s, tell, &teller[i]) == 0)
			i++;
		else
			usleep(50);
		(void)db_poll(b->db, clock_now_ns());
	}
}

/* Whatever was done is there after kill -9, at any moment. */
static void killed_loses_nothing_done(void **state)
{
	struct bench *b = *state;
	uint64_t told_in_all = 0;

	for (unsigned round = 0; round < 6; round++) {
		struct heard h;
		struct call c;
		uint32_t number, highest = 0;
		unsigned told = 0;
		int fd[2], status;
		pid_t pid;

		/* A child of one thread: none of ours runs. */
		bench_tables(b);
		db_destroy(b->db);
		b->db = NULL;
		assert_int_equal(pipe(fd), 0);
		pid = fork();
		if (pid == 0) {
			close(fd[0]);
			change_for_ever(b, fd[1]);
			_exit(0);
		}
		close(fd[1]);
		while (told < 100 + 150 * round && read(fd[0], &number, 4) == 4)
			told++, highest = number > highest ? number : highest;
		assert_int_equal(kill(pid, SIGKILL), 0);
		/* What it had said before it died counts. */
		while (read(fd[0], &number, 4) == 4)
			told++, highest = number > highest ? number : highest;
		close(fd[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(highest + 1, told);
		bench_open(b);
		/* In order, so that all up to the highest are there. */
		assert_true(bench_count(b) >= told);
		for (uint32_t i = 0; i < told; i += told / 50) {
			assert_int_equal(ask(b, pack(b, &c, b->find, 1, I(i)), &h), DB_DONE);
			assert_int_equal(h.rows, 1);
		}
		told_in_all += told;
	}
	print_message("%llu were done before the kills\n", (unsigned long long)told_in_all);
}

static int teardown_only(void **state)
{
	return *state != NULL ? bench_teardown(state) : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
		CASE(done_in_order_and_committed_in_groups),
		CASE(a_refused_change_goes_alone),
		CASE(several_calls_are_all_or_none),
		CASE(what_is_not_found_is_inserted),
		CASE(what_is_undone_takes_no_neighbour),
		CASE(long_calls_travel),
		cmocka_unit_test_teardown(what_is_too_much_is_refused, teardown_only),
		CASE(who_is_called_may_ask),
		CASE(no_thread_takes_signals),
		CASE(the_end_waits_for_what_was_given),
		CASE(lanes_lose_nothing),
		CASE(a_lane_keeps_its_order),
		CASE(a_lane_has_bounds),
		CASE(a_lane_that_comes_later_is_seen),
		CASE(a_lane_takes_the_longest_change),
		CASE(a_lane_goes_on_behind_what_is_refused),
		CASE(killed_loses_nothing_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
