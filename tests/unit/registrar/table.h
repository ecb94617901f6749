/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * A database with OpenSER's table for the tests of contacts that are kept: a file of SQLite, or
 * what TEST_DB_URL names; and what stands in it, as another process would see it.
 */
#include "common.h"

extern char table_path[64], table_url[DB_URL_MAX]; /* the path is "" where it is no file */

/* cmocka's setup and teardown: an empty table. */
int table_begin(void **state);
int table_end(void **state);
/* Rows as text, in order. One static buffer. */
const char *table_rows(const char *columns);
/* SQL that answers nothing. */
void table_change(const char *text);
/* Until what is on its way has come. */
void table_wait(struct stage *s, const char *columns, const char *wanted);
/* Likewise, while a second passes each time, for what is done by the clock. */
void table_pass(struct stage *s, const char *columns, const char *wanted);
/* How many contacts a start reads. */
uint64_t table_loads(struct stage *s);
uint64_t table_counted(struct stage *s, enum registrar_counter counter);
