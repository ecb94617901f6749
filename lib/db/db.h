/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * db: what is kept in databases. One face; drivers for SQLite (embedded: nothing to install or to
 * start), MySQL and MariaDB, PostgreSQL; the threads that wait for them; the cache of rows that
 * scripts read; the schema.
 *
 * A *database* is what a URL names; rooms that name the same one share it. A *statement* is SQL
 * with `?` for its parameters, registered while a configuration is loaded. A *call* is a statement
 * with values for its parameters, packed: bytes without pointers that travel from thread to thread
 * and are the key of the cache. What a message carries reaches SQL as a parameter and in no other
 * way.
 *
 *   questions  (SELECT) are dealt to db threads, each with a connection of its own
 *   changes    (INSERT, UPDATE, DELETE) go in their order through one writer thread a database.
 * What comes while it commits is committed together next (group commit): a change is done when it
 * is on disk. One that the database refuses takes no other with it.
 *
 * No lcore ever waits for a database. A worker looks a row up in the cache, db_find(): no lock, no
 * allocation. What is missing is asked for by the control thread (db_fetch()) while the message
 * waits, as for a name. Rows live for a TTL; that there is none is remembered for a shorter one.
 * Where the database fails, what was known before stands in for `stale_s`, and failures are
 * remembered for DB_FAILURE_MS, so that a dead database costs no message its wait.
 *
 * A database that does not answer is no reason not to start: its threads connect when something is
 * asked, try again after DB_RETRY_MIN_MS, and twice as long each time up to DB_RETRY_MAX_MS; what
 * is asked meanwhile fails at once (DB_DOWN).
 *
 * URLs (OpenSER's forms):
 *   sqlite:///var/lib/siplane/siplane.sqlite      three slashes: an absolute path; two: below
 *                                                 base_dir. With ?synchronous=normal a change
 *                                                 is done before it survives a power cut
 *   mysql://user:password@host[:port]/database    host may be a socket's path in brackets
 *   postgres://user:password@host[:port]/database
 * User, password and database with %XX for what has a meaning in a URL. No password is ever part of
 * a message: db_url_text() hides it.
 *
 * Threads: "control" is the one thread that calls db_poll(). db_find() is for any RCU reader.
 *
 * Files: db (databases, statements), url, call (packing), packed (rows likewise), job (what control
 * waits for), asker (db threads), writer, transact and mark, lane, spool and spool_file, now, row
 * and fetch (the cache), table, sql (what rooms write into statements), link (connections), sqlite,
 * mysql, postgres (drivers), schema (makes tables), schema_look, schema_check (what is there, and
 * what it is good for); ring, thread.
 */
#include <pthread.h>

#include "base/str.h"

#define DB_DATABASES_MAX 8
#define DB_STATEMENTS_MAX 256
#define DB_URL_MAX 512
#define DB_SQL_MAX 4096
#define DB_PARAMS_MAX 32
#define DB_COLUMNS_MAX 32
#define DB_CALL_MAX 8192    /* bytes of a packed call, or of several that are one change */
#define DB_VALUE_MAX 4096   /* bytes of one text */
#define DB_ANSWER_MAX 16384 /* bytes of all rows of an answer: what exceeds it is DB_TOO_LONG */
#define DB_ROWS_MAX 256     /* of an answer */
#define DB_TIMEOUT_MS 4000  /* of a question: less than a message waits */
#define DB_SILENCE_MS 10000 /* of a question that may take long (db_now()), without a row */
#define DB_FAILURE_MS 1000
#define DB_RETRY_MIN_MS 100
#define DB_RETRY_MAX_MS 5000
#define DB_TTL_MIN_S 1 /* so that who waited finds the row */

enum db_type { DB_NULL, DB_INT, DB_REAL, DB_TEXT };

struct db_value {
	enum db_type type;
	int64_t i;
	double r;
	struct str s;
};

static inline struct db_value db_text(struct str s)
{
	return (struct db_value){.type = DB_TEXT, .s = s};
}

static inline struct db_value db_int(int64_t i)
{
	return (struct db_value){.type = DB_INT, .i = i};
}

/* What became of a call. */
enum db_result {
	DB_DONE,
	DB_DOWN,     /* no connection, or no answer in time: nothing is known; of a change: it may
			or may not have been made */
	DB_REFUSED,  /* the database says no: a constraint, a table or column that is not there */
	DB_FULL,     /* not taken: too much is under way */
	DB_TOO_LONG, /* an answer beyond DB_ANSWER_MAX, DB_ROWS_MAX or DB_VALUE_MAX */
};
const char *db_result_text(enum db_result result);

/* Rows: count * columns values, row by row. The texts are owned by whoever filled it. */
struct db_rows {
	unsigned count, columns;
	uint64_t changed; /* of a change: rows that it changed */
	const struct db_value *value;
};

static inline const struct db_value *db_value(
	const struct db_rows *rows, unsigned row, unsigned column)
{
	return &rows->value[row * rows->columns + column];
}

/* ---- databases and statements: control thread, or the loader ---- */

struct db;
struct rcu;

struct db_config {
	unsigned threads;     /* connections for questions, of each database; 0: 2 */
	uint32_t rows;        /* answers that are remembered at most; 0: 65,536 */
	uint64_t row_bytes;   /* ... and their bytes; 0: 256 for each of them */
	uint32_t stale_s;     /* that an answer outlives its TTL while the database fails */
	uint32_t waiters;     /* calls under way at most; 0: 16,384 */
	const char *base_dir; /* of relative SQLite paths; NULL: the working directory */
	/* What begins its threads: rte_ctrl_thread_create() keeps them off the lcores' CPUs. NULL:
	 * pthread_create(). 0, or an error number of either sign. */
	int (*thread_create)(pthread_t *thread, const char *name, const pthread_attr_t *attr,
		void *(*run)(void *), void *arg);
};

/* NULL, and errno and a sentence. */
struct db *db_create(const struct db_config *config, char *error, size_t error_size);
/* Waits until the writers have done what they were given, DB_TIMEOUT_MS at most: then what was not
 * is said in the log. Who waits is not called any more. */
void db_destroy(struct db *db);

/* The number of a database: the same for the same URL. NULL: the default one's. -EINVAL (no such
 * form or driver), -ENOSPC, -ENOMEM and a sentence. Opens nothing. */
int db_use(struct db *db, const char *url, char *error, size_t error_size);
/* The database of those who name none: db_use() without a URL. 0, or -EINVAL: it is too long. */
int db_set_default(struct db *db, const char *url);
/* The URL without its password, for people. Owned by db. */
const char *db_url_text(const struct db *db, int database);

struct db_statement {
	const char *text;
	/* Asked instead where the database has not all the columns (or tables) of `text`: an older
	 * or other schema. NULL: there is no other way. */
	const char *otherwise;
	const char *columns; /* what is wanted of each column: 's' text, 'i' int, 'r' real, 'a' what
				it is; NULL or empty: a change */
	uint8_t params;
	/* Of a change: made only where the last call before it that has not this mark changed no
	 * row. So what UPDATE does not find is inserted, and nothing is deleted that stays. A lane
	 * with a spool takes none. */
	bool unless_changed;
	uint32_t ttl_s, negative_ttl_s; /* of db_fetch(); at least DB_TTL_MIN_S */
};

/* The number of a statement: the same for the same text in the same database, for as long as the
 * process lives. -ENOSPC, -EINVAL and a sentence. Texts are copied. */
int db_statement(struct db *db, int database, const struct db_statement *statement, char *error,
	size_t error_size);

/* ---- calls: any thread ---- */

/* Packs a call behind `len` bytes of out[size], so that several make one change. Returns the new
 * length; -E2BIG (a text beyond DB_VALUE_MAX, or no room), -EINVAL (another number of parameters
 * than the statement has). */
int db_pack(const struct db *db, char *out, uint32_t size, uint32_t len, unsigned statement,
	const struct db_value *param, unsigned params);

/*
 * Rows as bytes without pointers, for who is on another thread: the values row by row, as in a
 * call. The length, or -E2BIG. Any thread.
 */
int db_rows_pack(const struct db_rows *rows, char *out, uint32_t size);
/* The next row of `*packed`, which it is taken off: `columns` values, whose texts stand there.
 * False: there is none, or it is not whole. */
bool db_rows_next(struct str *packed, struct db_value *value, unsigned columns);

/* ---- control thread ---- */

/* `rows` is good until done() returns; NULL where the result is not DB_DONE. Runs on the control
 * thread, from db_poll(), and may call whatever is for it. */
typedef void (*db_done)(void *arg, enum db_result result, const struct db_rows *rows);

/* Asks. 0, or, without a call of `done`, -EAGAIN (too much under way, or no thread could be begun)
 * or -EINVAL (no call). Whoever asked is called within DB_TIMEOUT_MS and a poll or two, whatever
 * the database does. */
int db_ask(struct db *db, struct str call, db_done done, void *arg);
/*
 * Changes: all of the packed calls or none, of one database. done() is called when it is committed.
 * The same errors. Behind the changes may stand questions: they are not asked, but what the cache
 * knows of them is forgotten when the change has been made, or may have been, before done().
 */
int db_change(struct db *db, struct str calls, db_done done, void *arg);
/* Once a loop: calls those whose answers are there. The number of them. */
unsigned db_poll(struct db *db, uint64_t now_ns);

/*
 * Asks (one question) or changes (all of the calls or none) and waits, for start-up, siplanectl and
 * the threads of rooms that may block: on a connection of its own. visit() for each row, in order,
 * until it returns false. Unbounded in rows; a question ends with DB_DOWN where no more is heard
 * for DB_SILENCE_MS. Any thread but an lcore's. `error` gets what the database said.
 */
enum db_result db_now(struct db *db, struct str call,
	bool (*visit)(void *arg, const struct db_value *value, unsigned columns), void *arg,
	uint64_t *changed, char *error, size_t error_size);

/* ---- a table as a whole: any thread but an lcore's, blocking ---- */

#define DB_TABLE_COLUMNS_MAX 8

struct db_table {
	const char *name;
	const char *column[DB_TABLE_COLUMNS_MAX + 1]; /* ends with NULL */
	const char *types;                            /* of them, as in struct db_statement */
	unsigned needed;  /* those from this one on are NULL where any of them is not there */
	unsigned ordered; /* rows come in the order of the first so many */
};
/* The number of its statement, the same for the same table. -EINVAL where a name could not stand in
 * SQL, and db_statement()'s errors; and a sentence. */
int db_table(struct db *db, int database, const struct db_table *t, char *error, size_t error_size);
/* All rows of it: as db_now(). */
enum db_result db_table_read(struct db *db, int statement,
	bool (*visit)(void *arg, const struct db_value *value, unsigned columns), void *arg,
	char *error, size_t error_size);

/* ---- the cache ---- */

enum db_found {
	DB_FOUND,
	DB_NO_ROW,  /* the database has none */
	DB_MISSING, /* ask and wait */
	DB_FAILED   /* it was asked and did not answer, or said no */
};

/* A copy of what was found. */
struct db_set {
	struct db_rows rows;
	struct db_value value[64]; /* what has more is not cached: DB_FAILED */
	char text[2048];
};

/* Any RCU reader; no lock. `call` is one packed question. MISSING also where an answer is being
 * changed and its writer has lost its CPU: who asks then is answered at once. */
enum db_found db_find(const struct db *db, struct str call, uint64_t now_ns, struct db_set *out);
/*
 * Brings an answer into the cache, or joins who asks for it already; done(arg, DB_DONE, NULL) when
 * db_find() has something to say, which may be that the database failed. 0, -EAGAIN, -EINVAL.
 * Control thread.
 */
int db_fetch(struct db *db, struct str call, db_done done, void *arg);
/* Forgets one answer; with an empty call, all. What is under way is not remembered when it comes.
 * Control thread. */
void db_forget(struct db *db, struct str call);

/* ---- changes that nobody waits for, from lcores ---- */

/* A way of one thread's own to the writers: no lock, no system call. What it holds is on its way
 * to disk, what finds no room is refused and counted. It keeps what it holds while the database
 * does not answer, and goes on when it is back. Where a commit's outcome is unknown (the connection
 * ended in its midst) its changes are made again: statements of lanes have to bear that. What the
 * database refuses is counted and said in the log. */
struct db_lane;
/* `bytes`: room for calls of each database, a power of two of 32 KiB at least. NULL and errno.
 * Control thread, before its thread runs. Lives as long as `db`. */
struct db_lane *db_lane_create(struct db *db, uint32_t bytes);
/* False: no room. The lane's thread. */
bool db_lane_change(struct db_lane *lane, struct str calls);
uint64_t db_lane_refused(const struct db_lane *lane);

/*
 * A spool is a file that takes what lanes hold while their database does not: what
 * db_lane_change() has taken is then lost neither by an outage, nor by a restart in its midst, nor
 * by kill -9. A thread of its own moves it there, in groups, as soon as the database is known to
 * fail, and where it takes less than comes (the lane is more than half full). When the database is
 * back it gets first what is in the file, in its order, and then what the lane holds. So it is at
 * the start with what the file still has, for a database whose URL but for the password is the
 * same.
 *
 * The file is SQLite's (FILE, FILE-wal, FILE-shm; and FILE-lock, as one process uses it). Changes
 * stand in it with the text of their statements: another configuration, or version, may go on with
 * it. What the database refuses is kept aside in its table `refused`, and holds nothing up; its
 * view `why` shows it to people, who may put it back. So is a change at fault for longer than a
 * minute (a row that stays locked).
 *
 * When it is full, or its disk is, lanes keep what they have until they are full, too: then they
 * refuse, which db_spool_lost counts and the log says, once a minute.
 *
 * What kill -9 loses is what stands in lanes: what came within the last milliseconds; where a
 * database hangs, until that is known, of DB_TIMEOUT_MS at most. For as long a lane should have
 * room.
 *
 * What is committed when the process, or the connection, ends before the file says so is made
 * again: some 2,000 changes at most, and statements have to bear that, as those of any lane. Those
 * of the file are made once where the database has a table `siplane_spool` (mark.c).
 */
#define DB_SPOOL_MIN (1u << 20)
struct db_spool_config {
	const char *path; /* absolute, or below base_dir; its folder has to be there. 0600 */
	uint64_t bytes;   /* that the file may have, and a quarter more where all of it is refused;
			     its log has some MiB */
};
/* Gives the lane a spool; lanes that name the same path share it, and the last one's `bytes` holds.
 * 0, or a negative errno and a sentence: -EINVAL (the path, fewer than DB_SPOOL_MIN bytes; the lane
 * has another spool), -EBUSY (another process uses the file), -ENOSPC, -ENOMEM, -EIO (it is not to
 * be opened, or something else than a spool). Without it the lane works as it did. May read the
 * disk. Control thread, before the lane's thread runs; again with the same path at any time. */
int db_lane_spool(
	struct db_lane *lane, const struct db_spool_config *config, char *error, size_t error_size);

/* ---- the schema: any thread but an lcore's, blocking ---- */

/*
 * OpenSER's tables (schema.def) with the columns of OpenSER 1.3 and those of Kamailio 5.6 that are
 * used; `version` says which. A database that OpenSER or Kamailio made works as it is: statements
 * name only columns that both have, or have another way (`otherwise`).
 */
/* Makes tables that are not there. Returns how many, or a negative errno and a sentence. */
int db_schema_create(struct db *db, int database, char *error, size_t error_size);
/* The same, and adds the columns and indexes that tables lack. What stands there stays as it is,
 * and so do tables of somebody else that have nothing but the name of ours. Returns how many things
 * it made. Both may be done again, after an end in their midst, too, and by several at once. */
int db_schema_migrate(struct db *db, int database, char *error, size_t error_size);
/* Looks whether all is there: report() for each table, with a sentence. The number of those that
 * cannot be used, or negative. */
int db_schema_check(struct db *db, int database,
	void (*report)(void *arg, const char *table, bool usable, const char *text), void *arg,
	char *error, size_t error_size);

/* ---- figures: any thread ---- */

/* DB_COUNTER(enum suffix, counter name) */
#define DB_COUNTERS(DB_COUNTER) \
	DB_COUNTER(QUESTIONS, "db_questions")   /* asked of a database */ \
	DB_COUNTER(CHANGES, "db_changes")       /* committed */ \
	DB_COUNTER(COMMITS, "db_commits")       /* transactions that they took */ \
	DB_COUNTER(FAILED, "db_failed")         /* calls without an answer */ \
	DB_COUNTER(REFUSED, "db_refused")       /* calls that the database said no to */ \
	DB_COUNTER(FULL, "db_full")             /* calls not taken */ \
	DB_COUNTER(CONNECTS, "db_connects")     /* connections made */ \
	DB_COUNTER(LOST, "db_connections_lost") /* connections that ended or were not made */ \
	DB_COUNTER(FOUND, "db_rows_fetched")    /* answers that came into the cache */ \
	DB_COUNTER(STALE, "db_rows_stale")      /* old ones that stood in for a failure */ \
	DB_COUNTER(EVICTED, "db_rows_evicted")  /* answers that went for others */ \
	DB_COUNTER(CACHED, "db_rows")           /* now: answers in the cache */ \
	DB_COUNTER(WAITING, "db_waiting")       /* now: calls under way */ \
	DB_COUNTER(SPOOLED, "db_spooled")       /* changes that came into a spool's file */ \
	DB_COUNTER(SPOOL_ROWS, "db_spool_rows") /* now: of them there, for databases in use */ \
	DB_COUNTER(SPOOL_LOST, "db_spool_lost") /* changes that a spool had no room for */

enum db_counter {
#define DB_COUNTER(id, name) DB_COUNTER_##id,
	DB_COUNTERS(DB_COUNTER)
#undef DB_COUNTER
		DB_COUNTER_COUNT
};
uint64_t db_counter(const struct db *db, enum db_counter counter);
const char *db_counter_name(enum db_counter counter);

/* One database as it is now. */
struct db_state {
	const char *url; /* without its password */
	bool connected;
	uint64_t waiting;
	char error[256]; /* what is wrong, or what the database said no to within the last minute;
			    empty: nothing */
};
/* False: there is no such database. Any thread. */
bool db_state(const struct db *db, int database, struct db_state *out);
