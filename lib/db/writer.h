/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* writer: what its files share. transact makes a batch; writer has the thread, and gathers. */
#include "db/internal.h"

#define BATCH_MAX 4096 /* changes of a transaction */
/* Where changes come from that nobody waits for: lanes, then spools. */
#define SOURCES_MAX (DB_LANES_MAX + DB_SPOOLS_MAX)
#define SOURCE_NONE SOURCES_MAX /* of jobs */

struct change {
	struct str calls;
	struct job *job; /* NULL: a source's */
	unsigned source;
	/* Where the next one of its lane begins, or its number in its spool. */
	union {
		uint64_t lane_at;
		int64_t id;
	};
	bool over;    /* `result` is what became of it */
	bool several; /* calls that are made in any case */
	bool held;    /* not now: one in front of it, of its source, has to be made first */
	uint8_t faults;
	enum db_result result;
	uint64_t changed;
	char *sentence; /* why it was refused, for a spool */
};

/* A source whose first change fails by itself (somebody keeps a row locked). */
struct fault {
	uint64_t since; /* 0: there is none */
	uint64_t retry_at;
	uint32_t pause_ms;
	bool held; /* it failed in this batch */
};

enum mark_statement { MARK_GET, MARK_ADD, MARK_SET, MARK_STATEMENTS };

/* What the database itself says of spools (mark.c); of one connection. */
struct mark {
	uint64_t looked; /* 0: never */
	bool there;
	unsigned spools;
	unsigned statement[MARK_STATEMENTS];
	int64_t last[DB_SPOOLS_MAX]; /* its changes up to this number are made */
};

struct writer {
	struct database *database;
	struct thread thread;
	struct ring jobs, answers;
	sem_t work;
	_Atomic bool asleep, finish;
	pthread_mutex_t lock; /* of `link`, for who interrupts it */
	struct link *link;
	bool proven;
	char error[DB_ERROR_MAX];
	/* The batch: */
	unsigned count;
	struct change change[BATCH_MAX];
	unsigned answered; /* of `count` */
	unsigned faults;   /* of its changes */
	bool hurried;      /* what is locked is not waited for */
	enum db_fault fault;
	struct change *culprit;
	uint64_t began;
	struct mark mark;
	/* What is gathered: */
	unsigned lane_turn;
	bool held[SOURCES_MAX]; /* has something that has to be made again */
	struct fault at_fault[SOURCES_MAX];
	char *room;    /* for calls of spools */
	unsigned lost; /* at the end */
};

static inline bool change_is_due(const struct change *c)
{
	return !c->over && !c->held;
}

/* ---- mark.c ---- */

/* Another connection, perhaps of another server. */
void mark_forget(struct writer *w);
/* What the batch has of spools and the database has made already is over. */
void mark_look(struct writer *w);
/* Within the transaction, when all up to `to` is made: says so. Not DB_DONE: it cannot be
 * committed.
 */
enum db_result mark_put(struct writer *w, unsigned to);

/* ---- transact.c ---- */

/* Makes what is due of the batch. `hurry`: what is locked is not waited for, from the beginning.
 * False: the connection failed, or the database as a whole; what is not over was not done, or
 * nobody knows. answer() is called as soon as some are over. */
bool transact_batch(struct writer *w, bool hurry, void (*answer)(struct writer *w));
void transact_drop_link(struct writer *w);
/* The source is not gathered for a while, a longer one each time. */
void transact_pause(struct fault *fault);
/* The statement of a change, or its first one. */
struct statement *transact_statement(const struct writer *w, const struct change *c);
