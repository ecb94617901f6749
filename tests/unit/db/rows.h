/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * The cache on a database that answers when a test says so: what db.c and asker.c are to it, and
 * nothing else of the room. Time is the test's.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "db/internal.h"

#define STAND_ASKED_MAX 4096
/* Statements, each with a text for a parameter: a question, a change, a question without a TTL. */
enum { STAND_USER, STAND_CHANGE, STAND_SHORT };
#define STAND_TTL_S 60
#define STAND_NEGATIVE_TTL_S 10

struct asked {
	char call[DB_CALL_MAX];
	uint32_t len;
	db_done done;
	void *arg;
};

struct stand {
	struct db db;
	struct statement statement[3];
	unsigned asked, asked_max; /* of `ask`: who has not been answered; how many may be */
	uint64_t asked_ever;
	struct asked *ask;
	uint64_t now;
};

extern struct stand *stand;

/* A new database and cache. Zeros as in db_config. */
void stand_begin(const struct db_config *config);
void stand_end(void);
/* Time goes on. */
void stand_pass(uint64_t ns);
/* The packed call for a name. */
struct str stand_call(const char *name);
struct str stand_call_of(unsigned statement, const char *name);
/* Answers the call that was asked first: with `count` rows of (text, number, real), of none where
 * text is NULL. */
void stand_answer(enum db_result result, const char *text, unsigned count);
void stand_answer_rows(enum db_result result, const struct db_rows *rows);
/* Asks and answers at once. */
void stand_put(const char *name, const char *text);
/* What db_find() says of a name, and the first text that it finds. */
enum db_found stand_find(const char *name);
extern struct db_set stand_set;
/* A done() that counts in the int at `arg`. */
void stand_done(void *arg, enum db_result result, const struct db_rows *rows);
