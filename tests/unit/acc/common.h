/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * What the tests of lib/acc share: the world of lib/txn's tests with the module acc, a database in
 * a file, and the lines that would be in the log. wait_for("name") is a function of scripts that
 * waits, as those do that ask a database.
 */
#include "../txn/harness.h"
#include "acc/acc.h"

#define ACC_MODULES \
	MODULES "loadmodule \"acc.so\"\nloadmodule \"avpops.so\"\n" \
		"loadmodule \"waiter.so\"\n" RFC_TIMERS
#define FLAGS \
	"modparam(\"acc\", \"log_flag\", 1)\nmodparam(\"acc\", \"db_flag\", 2)\n" \
	"modparam(\"acc\", \"log_missed_flag\", 3)\nmodparam(\"acc\", \"db_missed_flag\", 4)\n" \
	"modparam(\"acc\", \"failed_transaction_flag\", 5)\n"
#define CDRS \
	"modparam(\"acc\", \"cdr_enable\", 1)\nmodparam(\"acc\", \"cdrs_table\", \"acc_cdrs\")\n" \
	"modparam(\"acc\", \"cdr_start_on_confirmed\", 1)\n"

/* A world with that script behind ACC_MODULES. There is one at a time. */
struct world *acc_world(const char *script);
/* The same with a database that has only these tables. */
struct world *acc_world_on(const char *script, const char *tables);
/* The same where what leaves is not held against what one transaction may send. */
struct world *acc_world_unobserved(const char *script);
/* And for `calls` calls. */
struct world *acc_world_of(const char *script, uint32_t calls);
/* Another script, behind ACC_MODULES too, from now on. */
void acc_reload(struct world *w, const char *script);
/* Comes to rest, and ends: no line and no row is left over. */
void acc_close(struct world *w);
/* Ends as it stands, whatever still waits. */
void acc_discard(struct world *w);

struct acc *the_acc(void);
/* A database where nothing is answered: it is locked. */
void lock_database(void);
void unlock_database(void);
/* Nobody reads the lines: their thread waits. */
void hold_lines(void);
void let_lines(void);

/* The next line, which is waited for. Good until the next one but a few. */
const char *next_line(void);
/* Of the last line that has come. */
int last_facility(void);
int last_level(void);
/* How many were asked for. */
unsigned lines_taken(void);
/* It holds this. */
void line_has(const char *line, const char *part);
/* No line has come, all that was to come being there. */
void no_line(void);

/* What a question gives, columns with '|', rows with '\n'; it is asked until it gives `rows` rows.
 */
const char *rows_of(const char *question, unsigned rows);
/* Rows of a table, when all that is on its way is there. */
unsigned count_rows(const char *table);
uint64_t acc_counted(enum acc_counter counter);
/* The database that tests look at. */
void run_sql(const char *sql);
