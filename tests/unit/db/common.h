/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * A database for a test: a SQLite file in a folder of its own, or what TEST_DB_URL names, whose
 * tables t and u are made anew each time. What is asked here is SQL that all three engines have.
 */
#include "base/base.h"
#include "db/db.h"
#include "db/internal.h"
// clang-format off: cmocka.h wants what stands before it
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

struct bench {
	struct db *db;
	struct db_config config;
	char folder[64];
	char url[DB_URL_MAX];
	int database;
	unsigned find, all, put, set;
};

/* Cmocka's set-up and tear-down: *state is the bench. */
int bench_setup(void **state);
int bench_teardown(void **state);
/* Folder and URL alone. */
struct bench *bench_new(void);
/* A db with the statements below. */
void bench_open(struct bench *b);
/* Tables: t (id, name, n), id is unique; u (id, text) */
void bench_tables(struct bench *b);
bool bench_is_sqlite(const struct bench *b);

/*   find  SELECT name, n FROM t WHERE id = ?       all  SELECT id, name, n FROM t ORDER BY id
 *   put   INSERT INTO t (id, name, n) VALUES       set  UPDATE t SET n = ? WHERE id = ? */
unsigned bench_statement(struct bench *b, const char *text, const char *otherwise,
	const char *columns, unsigned params);
/* Runs SQL at once; what the database says. */
enum db_result bench_sql(struct bench *b, const char *sql);
/* Of `SELECT COUNT(*) FROM t` by db_now(). */
int64_t bench_count(struct bench *b);

/* A packed call. */
struct call {
	char bytes[DB_CALL_MAX];
	struct str s;
};
struct str pack(struct bench *b, struct call *c, unsigned statement, unsigned params, ...);
/* ... behind what is there. */
struct str pack_more(struct bench *b, struct call *c, unsigned statement, unsigned params, ...);
#define I(n) db_int(n)
#define T(text) db_text(str_c(text))

/* What done() brought. */
struct heard {
	unsigned times;
	enum db_result result;
	unsigned rows, columns;
	uint64_t changed;
	char text[8][DB_VALUE_MAX + 1]; /* of the first values, "NULL" or a number as text */
};
void hear(void *arg, enum db_result result, const struct db_rows *rows);
/* Polls until `*times` reaches `want`, half a minute at most. */
void poll_until(struct bench *b, const unsigned *times, unsigned want);
/* Asks, or changes, and waits. */
enum db_result ask(struct bench *b, struct str call, struct heard *out);
enum db_result change(struct bench *b, struct str calls, struct heard *out);
void pause_ms(unsigned ms);
