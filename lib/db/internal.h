/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the files of this room share. From below:
 *
 *   driver  one engine's library: blocking, one thread a connection (sqlite, mysql, postgres)
 *   link    a connection of ours to a database over its driver: statements are made ready when they
 *           are first run on it and are found by their number (link.c)
 *   job     what control has given away and waits for (job.c); asker.c and writer.c work on them
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/base.h"
#include "db/db.h"

#define DB_ERROR_MAX 256
#define DB_USER_MAX 128
#define DB_HOST_MAX 256
#define DB_THREADS_MAX 16
#define DB_DRIVERS_MAX 8
#define DB_SCHEMES_MAX 3

/* ---- url.c ---- */

/* A URL in its parts, each with a NUL at its end, what was %XX as it is meant. */
struct db_url {
	const struct db_driver *driver;
	char text[DB_URL_MAX]; /* for people: no password */
	char user[DB_USER_MAX];
	char password[DB_USER_MAX]; /* of nobody but the driver */
	char host[DB_HOST_MAX];     /* a name, an address (IPv6 without brackets) or a socket */
	bool socket;                /* `host` is the path of a Unix socket */
	uint16_t port;              /* 0: the engine's own */
	char database[DB_HOST_MAX];
	char path[DB_URL_MAX]; /* of a file's engine: absolute, or relative to the process's folder
				*/
	bool fast;             /* ?synchronous=normal of a file: what was acknowledged survives this
				  process but may not survive a power cut */
};

/* 0, or -EINVAL and a sentence. `base_dir` may be NULL. */
int db_url_parse(const struct db *db, const char *text, const char *base_dir, struct db_url *out,
	char *error, size_t error_size);

/* ---- drivers ---- */

/* What a connection is for. */
enum db_role {
	DB_ROLE_ASK,   /* questions only, where the engine can be told so */
	DB_ROLE_WRITE, /* the writer's */
	DB_ROLE_NOW    /* db_now(), the schema: both */
};

enum db_step {
	DB_STEP_BEGIN, /* a transaction that will change */
	DB_STEP_COMMIT,
	DB_STEP_ROLLBACK,
	/* A part of it, of which there is one at a time: begun, kept, undone (and over). */
	DB_STEP_PART,
	DB_STEP_PART_KEEP,
	DB_STEP_PART_UNDO,
	/* Outside of one: what somebody else has locked is not waited for, or hardly; is waited for
	 * as it was. Nothing where no statement within a transaction waits for locks. */
	DB_STEP_HURRY,
	DB_STEP_PATIENCE,
	/* Several questions at once, of what stands there now. Where it saves the engine nothing it
	 * does nothing. */
	DB_STEP_LOOK,
	DB_STEP_LOOK_END
};

/* Takes a row, whose texts are good until it returns. False: no more of them. */
typedef bool (*db_visit)(void *arg, const struct db_value *value, unsigned columns);

/* Why a statement has failed though the connection is good and others may not. */
enum db_fault {
	DB_FAULT_NONE,
	DB_FAULT_LOCKED, /* for as long as it waited somebody had locked what it needs; or it takes
			    too long by itself */
	DB_FAULT_DEADLOCK, /* it was given up for somebody else: again it may do */
	DB_FAULT_VALUE     /* refused for what it holds, without a question to the database */
};

/* One run of a statement that is ready. */
struct db_run {
	const struct db_value *param;
	unsigned params;
	/* What is wanted of each column, as in db_statement: a value that is not of that type is
	 * turned into it (db_value_as()), NULL stays NULL. NULL: as the engine has it. */
	const char *columns;
	/* clock_now_ns() after which it ends with DB_DOWN; 0: when the engine likes, as long as it
	 * answers. */
	uint64_t deadline;
	uint32_t silence_ms; /* ... that it may say nothing for; 0: long */
	db_visit visit;      /* NULL: rows are of no interest */
	void *arg;
	uint64_t changed; /* out: rows that it changed */
	/* out, of DB_DOWN and DB_REFUSED: it is this statement that is at fault. Not touched else.
	 */
	enum db_fault fault;
};

/*
 * An engine. Everything blocks; a connection is one thread's at a time. Each returns DB_DONE, or
 *
 *   DB_REFUSED   the database says no and the connection is good
 *   DB_DOWN      no answer, in time; also: somebody has locked what is needed, a deadlock. dead()
 *                says whether the connection is of use afterwards
 *   DB_TOO_LONG  a text beyond DB_VALUE_MAX
 *
 * and a sentence in `error` for each but DB_DONE, for people, without the password and without what
 * was in parameters.
 */
struct db_driver {
	const char *name;                   /* of the engine: "sqlite" */
	const char *scheme[DB_SCHEMES_MAX]; /* of its URLs */
	bool file;                          /* they have a path; else user, host and database */
	/* A statement that was refused has undone itself and no other of its transaction, which
	 * goes on. Else it needs DB_STEP_PART around it. */
	bool goes_on;

	/* Connects within DB_TIMEOUT_MS. NULL and a sentence. */
	void *(*open)(const struct db_url *url, enum db_role role, char *error, size_t error_size);
	void (*close)(void *link);
	/* Makes SQL with `?` for parameters ready, which sql_mark() finds. */
	enum db_result (*prepare)(void *link, const char *sql, unsigned params, void **ready,
		char *error, size_t error_size);
	void (*unprepare)(void *link, void *ready);
	/* DB_DONE also where visit() wanted no more. Afterwards nothing of it is open. */
	enum db_result (*run)(
		void *link, void *ready, struct db_run *run, char *error, size_t error_size);
	enum db_result (*step)(void *link, enum db_step step, char *error, size_t error_size);
	bool (*dead)(void *link);
	/* What the engine likes to do after commits, when their answers are out. May be NULL. */
	void (*rest)(void *link);
	/* Ends what another thread is waiting for in `link`, as well as it can. May be NULL. */
	void (*interrupt)(void *link);
};

extern const struct db_driver db_sqlite, db_mysql, db_postgres;

/* Makes a file for SQLite with the mode that it should have, where there is none; not its folder.
 * False and a sentence. */
bool sqlite_make_file(const char *path, char *error, size_t error_size);
/* Before its library is first used. */
void sqlite_set_library(void);

/* A driver more, for tests. Before db_use(). 0 or -ENOSPC. */
int db_driver_add(struct db *db, const struct db_driver *driver);

/* ---- call.c: SQL and packed calls ---- */

/* The next `?` of SQL that stands for a parameter, from `p` on, which is outside of quotes and
 * comments (the beginning, or behind the last mark); NULL: there is none. */
const char *sql_mark(const char *p);

/* A text as the type that is wanted ('s', 'i', 'r'); DB_NULL where it is no number. */
struct db_value db_value_as(char wanted, struct str text);
/* Any value likewise. A number's text is written to text[32]. */
struct db_value db_value_turn(char wanted, const struct db_value *value, char *text);

/* A value as it is packed: how many bytes; written, the place behind it; read and taken off `*in`,
 * false where it is not whole. */
uint32_t db_value_bytes(const struct db_value *value);
char *db_value_put(char *out, const struct db_value *value);
bool db_value_get(struct str *in, struct db_value *out);

/* One call of those in `*calls`, which it shortens by it: its parameters point into it. Believes no
 * length beyond its end. 0, -ENOENT (no more) or -EINVAL. */
struct db_call {
	unsigned statement;
	unsigned params;
	struct db_value param[DB_PARAMS_MAX];
};
int db_unpack(struct str *calls, struct db_call *out);
/* Gives the statements of packed calls other numbers. 0, -EINVAL (no calls), or the negative errno
 * that number() returned for one. */
int db_renumber(char *calls, uint32_t len, int (*number)(void *arg, unsigned statement), void *arg);
/* Steps over the first of these calls, which have been checked: the number of its statement, -1:
 * there is none. */
int db_calls_next(struct str *calls);
/* Looks whether these are whole calls of one database with as many parameters as their statements
 * have. Returns that database's number, *count how many; or -EINVAL. `change`: of changes, else one
 * question. */
int db_calls_check(const struct db *db, struct str calls, bool change, unsigned *count);

/* ---- db.c ---- */

struct statement {
	unsigned number;
	unsigned database;
	unsigned params;
	bool change, unless_changed;
	char *text, *otherwise, *columns; /* otherwise, columns: may be NULL */
	_Atomic uint32_t ttl_s, negative_ttl_s;
	_Atomic uint64_t complained; /* clock_now_ns() of the last word about it */
};

/* NULL: there is none of this number. Any thread. */
struct statement *db_statement_of(const struct db *db, unsigned number);

/* When a connection may be tried again. One for questions and one for changes of a database: where
 * it fails for one thread it is not tried by the others at the same time. */
struct gate {
	_Atomic uint64_t retry_at; /* 0: at any time */
	/* Changed under database->lock, as the others: */
	uint32_t pause_ms;
	bool down; /* the log says so */
};

struct link;
struct askers;
struct writer;

#define NOW_IDLE_MAX 4

struct database {
	struct db *db;
	unsigned number;
	struct db_url url;
	struct gate ask, write;
	_Atomic unsigned connected; /* connections of its threads */
	_Atomic uint64_t waiting;
	_Atomic bool changes; /* has statements that change */
	struct askers *_Atomic askers;
	struct writer *_Atomic writer;
	/* Held for a few instructions: by who says or reads what was last wrong, by who takes or
	 * gives back a connection of now.c. */
	pthread_mutex_t lock;
	char error[DB_ERROR_MAX];     /* of a connection, as long as it is so */
	char complaint[DB_ERROR_MAX]; /* of a statement, and when */
	uint64_t complained;
	struct link *idle[NOW_IDLE_MAX];
	unsigned idle_count;
};

/* What control has given away. Its memory is control's, but for the answer, until it comes back. */
#define JOB_ROOM 1536
struct job {
	struct job *next, *previous; /* of those under way, the oldest first; of the free ones */
	db_done done;                /* NULL: nobody waits for it any more */
	void *arg;
	uint64_t asked; /* clock_now_ns() */
	struct database *database;
	struct str call;
	struct str forget; /* questions behind the changes, whose answers are old when it is done */
	char *long_call, *long_answer; /* what finds no room below */
	enum db_result result;
	struct db_rows rows;
	_Alignas(8) char room[JOB_ROOM]; /* the call, and behind it the answer */
};

/* Jobs on their way: one thread puts, one or more take. Never full: there are fewer jobs. */
struct ring {
	_Alignas(64) _Atomic uint64_t head; /* taken */
	_Alignas(64) _Atomic uint64_t tail; /* put */
	uint64_t mask;
	struct job *_Atomic *slot;
};
/* 0 or -ENOMEM. */
int ring_init(struct ring *r, uint32_t jobs);
void ring_fini(struct ring *r);
void ring_put(struct ring *r, struct job *job);
/* NULL: empty. Of several threads. */
struct job *ring_take(struct ring *r);
uint64_t ring_count(const struct ring *r);

#define DB_LANES_MAX 256
#define DB_SPOOLS_MAX 4

struct spool;

struct db {
	struct db_config config;
	char *base_dir;
	char default_url[DB_URL_MAX]; /* under `lock` */
	/* Of the loader and control: databases, statements, lanes, threads that begin. Control
	 * waits for it only where it loads or makes lanes. */
	pthread_mutex_t lock;
	const struct db_driver *driver[DB_DRIVERS_MAX];
	unsigned drivers;
	struct database *database[DB_DATABASES_MAX];
	_Atomic unsigned databases;
	struct statement *statement[DB_STATEMENTS_MAX];
	_Atomic unsigned statements;
	struct db_lane *lane[DB_LANES_MAX];
	_Atomic unsigned lanes;
	struct spool *spool[DB_SPOOLS_MAX];
	_Atomic unsigned spools;
	/* Control's: */
	struct job *jobs, *free;
	uint32_t fresh; /* jobs that were used once */
	struct job *oldest, *newest;
	struct job *patience; /* nobody waits for those before it any more */
	unsigned under_way;
	uint64_t end_by; /* of db_destroy() */
	struct rows *rows;
	_Alignas(64) _Atomic uint64_t counter[DB_COUNTER_COUNT];
};

static inline void db_count(struct db *db, enum db_counter counter, uint64_t n)
{
	atomic_fetch_add_explicit(&db->counter[counter], n, memory_order_relaxed);
}

/* ---- job.c ---- */

bool jobs_create(struct db *db);
/* No thread works on one any more. */
void jobs_destroy(struct db *db);

/* ---- thread.c ---- */

struct thread {
	pthread_t id;
	sem_t ended;
};

/* One as the configuration wants it, that no signal reaches. 0 or -errno. */
int thread_begin(
	struct db *db, struct thread *thread, const char *name, void *(*run)(void *arg), void *arg);
/* The last that it says. */
void thread_ends(struct thread *thread);
/* Whether it has ended by then; it is no more then. */
bool thread_join(struct thread *thread, uint64_t until_ns);

/* ---- link.c ---- */

/* Connects. NULL and a sentence. Counted, and said where it is news. */
struct link *link_open(
	struct database *database, enum db_role role, char *error, size_t error_size);
/* The same where the gate lets it. */
struct link *link_open_gated(struct database *database, struct gate *gate, enum db_role role,
	char *error, size_t error_size);
void link_close(struct link *link);
/* Something was wrong that concerns more than one call: for db_state() and the log, and the gate
 * shuts for a while. */
void link_failed(struct database *database, struct gate *gate, const char *error);
/* All is well: whoever waits at the gate need not. */
void link_works(struct database *database, struct gate *gate);
/* The database said no to a statement: for db_state(), for a while, and now and then the log. */
#define DB_COMPLAINT_NS (60 * CLOCK_NS_PER_S)
void link_complain(struct database *database, struct statement *statement, const char *error);
/* Runs a statement, or what it says otherwise. run->columns is not looked at. */
enum db_result link_run(struct link *link, const struct statement *statement, struct db_run *run,
	char *error, size_t error_size);
/* Makes it ready as link_run() would. */
enum db_result link_ready(
	struct link *link, const struct statement *statement, char *error, size_t error_size);
/* Runs SQL that is no registered statement, once. */
enum db_result link_sql(
	struct link *link, const char *sql, struct db_run *run, char *error, size_t error_size);
enum db_result link_step(struct link *link, enum db_step step, char *error, size_t error_size);
bool link_dead(const struct link *link);
/* After a commit that has been answered. */
void link_rest(struct link *link);
/* Of another thread; nothing where the engine has no such thing. */
void link_interrupt(struct link *link);

/* ---- asker.c ---- */

/* Begins the threads. 0 or -errno. Under db->lock. */
int askers_start(struct database *database);
/* Control thread; askers have been started. */
void askers_put(struct askers *a, struct job *job);
/* An answer, or NULL. Control thread. */
struct job *askers_take(struct askers *a);
/* Ends them. False: one of them is stuck in its driver and its memory is left to it. */
bool askers_stop(struct askers *a);

/* ---- writer.c ---- */

int writer_start(struct database *database);
void writer_put(struct writer *w, struct job *job);
/* Lanes have come: it looks after them from now on. */
void writer_wake(struct writer *w);
struct job *writer_take(struct writer *w);
/* Tells it that nothing more comes; then waits until db->end_by for what it has. */
void writer_finish(struct writer *w);
bool writer_stop(struct writer *w);

/* ---- lane.c ---- */

void lane_destroy(struct db_lane *lane);
/* The writer's: where what it has not given back begins; the change there, and behind it the next
 * one, false where there is none; what is before `at` is given back. */
uint64_t lane_begin(const struct db_lane *lane, unsigned database);
bool lane_next(const struct db_lane *lane, unsigned database, uint64_t *at, struct str *calls);
void lane_give_back(struct db_lane *lane, unsigned database, uint64_t at);

/* Whose it is to read: the writer's, or the thread's of its spool. Each gives it away itself. */
bool lane_is_spooled(const struct db_lane *lane, unsigned database);
void lane_set_spooled(struct db_lane *lane, unsigned database, bool spooled);
/* Whether more than half of its room is taken. */
bool lane_is_filling(const struct db_lane *lane, unsigned database);
/* NULL: it has none. */
struct spool *lane_spool(const struct db_lane *lane);

/* ---- spool.c ---- */

/* The one of this path, which is made and begins where there is none. As db_lane_spool(). Control
 * thread. */
int spool_use(struct db *db, const struct db_spool_config *config, struct spool **out, char *error,
	size_t error_size);
/* Once its writers have ended, or are waited for no more: its thread takes what lanes hold and
 * ends. What it could not is said. Whether it has ended: a disk may not answer. */
bool spool_stop(struct spool *s);
/* Where no writer comes back to it, either. */
void spool_destroy(struct spool *s);
/* A random text that no other file has. Owned by it. */
const char *spool_name(const struct spool *s);
/* What lanes refused that have one, and what was refused and found no room aside. */
uint64_t spools_lost(const struct db *db);

/* The writer's, of its database: */
/* Whether there is something to be made before what lanes hold. */
bool spool_holds(struct spool *s, const struct database *d);
/* What a lane holds is for the spool from now on. */
void spool_begin(struct spool *s, struct db_lane *lane, const struct database *d);
/* What it holds may be made from there: there is nothing in the file. */
bool spool_end(struct spool *s, struct db_lane *lane, const struct database *d);
/* The first ones, *rows at most, their calls in room[size]. What cannot be made has no calls.
 * False: the file cannot be read, or what was done is not struck off yet. */
struct spool_row;
bool spool_read(struct spool *s, const struct database *d, struct spool_row *row, unsigned *rows,
	char *room, size_t size);
/* What the database refused, of the file (its number) or a lane (0). */
struct spool_refused {
	int64_t id;
	struct str calls;
	const char *sentence;
};
/* After each spool_read() that was true, and for what lanes hold: those up to `to` are over (0:
 * none), and these were refused. False: the file did not take that;
 * what was refused comes again. */
bool spool_settle(struct spool *s, const struct database *d, int64_t to,
	const struct spool_refused *refused, unsigned count);

/* ---- now.c: connections of threads that may block ---- */

/* A connection for a while, to be given back; one that is dead is closed then. NULL and a sentence.
 * Any thread but an lcore's. */
struct link *now_take(struct database *database, char *error, size_t error_size);
void now_give(struct database *database, struct link *link);
void now_close(struct database *database);

/* NULL: there is none. */
struct database *db_database_of(const struct db *db, int database);

/* ---- row.c: the cache ---- */

struct rows;

/* NULL and errno. */
struct rows *rows_create(struct db *db, const struct db_config *config);
/* Who waits is not called any more. */
void rows_destroy(struct rows *rows);
/* Once a db_poll(), before it calls those whose answers are there: this is the time. */
void rows_poll(struct rows *rows, uint64_t now_ns);
/* FOUND, STALE, EVICTED and CACHED are counted here. Any thread. */
uint64_t rows_counter(const struct rows *rows, enum db_counter counter);
