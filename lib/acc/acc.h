/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * acc: accounting: what became of transactions and calls, to the log and to a database, so that
 * somebody can be billed.
 *
 * OpenSER module "acc": a script marks a transaction by flags (log_flag, db_flag, and those for
 * missed calls and failures), or accounts a request by hand (acc_log_request, acc_db_request).
 *
 *   transaction  one row in `acc`, when its client gets the final response: those that are
 *                answered, and failures where failed_transaction_flag says so; another one for
 *                the 2xx of an INVITE whose client has had a failure
 *   missed call  one row in `missed_calls` for each INVITE whose branches have all failed, ahead
 *                of its failure_route
 *   call         one row in `acc_cdrs` (cdr_enable): from an INVITE that was answered to the BYE
 *                that t_relay() passes on, or to the end of cdr_lifetime, which its row says
 *
 * A row is what the message says, escaped where a database or a log could not take it, and never
 * cut silently: what exceeds its column ends with '~' and a hash of the whole (ACC_..._MAX), the
 * same for the same text, so that rows of one call still find each other. Nobody escapes a bill by
 * long tags.
 *
 * Nothing is ever written on a slow lcore: rows go by a lane of its own (db.h) to the database's
 * writer, lines by a ring to a thread that gives them to syslog. Where a ring or a lane is full
 * what finds no room is counted (acc_lost, acc_log_lost) and said in the log once a minute. Each
 * row has an id of its own (`rid`), so that one that is written twice is there once.
 *
 * Calls that last stand in a table of each slow lcore, of a size that is fixed at the start: where
 * it is full the oldest ends, as its record says, since those that nobody ends are old. They end
 * with the process: rows of `acc` for INVITE and BYE are there then, too.
 *
 * Settings are those of the script that is loaded, also for calls that began with an earlier one.
 *
 * Costs (callgrind, bench_acc): 77 instructions for a transaction that is not marked; 6,400 for a
 * row, 2,500 of them for its request, which is read again; 7,900 for a line; 350 for an extra
 * field; 7,600 for a call's record.
 *
 * Threads: the control thread creates, loads, publishes, ticks and destroys; all else runs on the
 * slow lcores, each in its share, by txn_watch() and acc_poll().
 *
 * Files: acc (the room), module (parameters, functions), settings, field (lists of extra fields),
 * record (what is said of a transaction), row (for the database), line (for the log), log (the
 * ring and its thread), told (what transactions say), call (calls that last), call_table (where
 * these stand).
 */
#include "db/db.h"
#include "txn/txn.h"

#define ACC_TAG_MAX 128     /* bytes of a tag */
#define ACC_CALL_ID_MAX 255 /* bytes of a Call-ID */
#define ACC_REASON_MAX 128  /* bytes of a reason phrase */
#define ACC_METHOD_MAX 16   /* bytes of a method */
#define ACC_URI_MAX 255     /* bytes of the caller's and the callee's URI */
#define ACC_EXTRA_MAX 255   /* bytes of an extra field */
#define ACC_FIELDS_MAX 20   /* extra fields of a list */

struct acc;

struct acc_config {
	struct txn *txn;
	struct db *db;   /* NULL: there is no database, and what needs one is refused at load */
	struct rcu *rcu; /* NULL: nobody reads while settings change */
	unsigned shards; /* slow lcores */
	uint32_t calls;  /* that last at one time, of all shards together; 0: 1024 */
	/* As db_config's. */
	int (*thread_create)(pthread_t *thread, const char *name, const pthread_attr_t *attr,
		void *(*run)(void *), void *arg);
	bool idle; /* a configuration is only looked at: nothing is written, and no thread begins */
	/* Instead of syslog, for tests: a line without its end. */
	void (*write)(void *arg, int facility, int level, struct str line);
	void *write_arg;
};

/* Watches the transactions of config->txn. NULL and errno. Control thread. */
struct acc *acc_create(const struct acc_config *config);
/* Writes what stands in the rings; where syslog does not take that within five seconds, the rest is
 * lost, and the memory stays. Before the database and after the last slow lcore. */
void acc_destroy(struct acc *a);
/* Adds the module. 0 or -errno. */
int acc_register(struct acc *a, struct route_registry *registry);
/* Once a second: what time of day it is at now_ns of CLOCK_MONOTONIC, and what was lost. Control
 * thread. */
void acc_tick(struct acc *a, uint64_t now_ns);
/* Calls whose time is over, and those that have ended a while ago, some each time; how many. Each
 * pass of the shard's thread. */
unsigned acc_poll(struct acc *a, unsigned shard, uint64_t now_ns);

/* What is counted, by shard. ACC_COUNTER(enum suffix, counter name) */
#define ACC_COUNTERS(ACC_COUNTER) \
	ACC_COUNTER(ANSWERED, "acc_answered")   /* transactions with a 2xx */ \
	ACC_COUNTER(FAILED, "acc_failed")       /* ... with a failure */ \
	ACC_COUNTER(MISSED, "acc_missed")       /* missed calls */ \
	ACC_COUNTER(REQUESTS, "acc_requests")   /* requests that a script accounted by hand */ \
	ACC_COUNTER(ROWS, "acc_rows")           /* rows on their way to the database */ \
	ACC_COUNTER(LOST, "acc_lost")           /* ... that found no room */ \
	ACC_COUNTER(LINES, "acc_lines")         /* lines on their way to the log */ \
	ACC_COUNTER(LOG_LOST, "acc_log_lost")   /* ... that found no room */ \
	ACC_COUNTER(SHORTENED, "acc_shortened") /* values that exceeded their columns */ \
	ACC_COUNTER(CALLS, "acc_calls")         /* calls that have begun */ \
	ACC_COUNTER(CALLS_ENDED, "acc_calls_ended") \
	ACC_COUNTER(CALLS_EXPIRED, "acc_calls_expired")     /* ... of which no BYE came */ \
	ACC_COUNTER(CALLS_DISPLACED, "acc_calls_displaced") /* ... that made room for another */ \
	ACC_COUNTER(CALLS_FULL, "acc_calls_full")           /* calls that found no room: no CDR */ \
	ACC_COUNTER(CALLS_NOW, "acc_calls_now")             /* now: calls that last */

enum acc_counter {
#define ACC_COUNTER(id, name) ACC_COUNTER_##id,
	ACC_COUNTERS(ACC_COUNTER)
#undef ACC_COUNTER
		ACC_COUNTER_COUNT
};
/* The sum over all shards. Any thread. */
uint64_t acc_counter(const struct acc *a, enum acc_counter counter);
const char *acc_counter_name(enum acc_counter counter);
