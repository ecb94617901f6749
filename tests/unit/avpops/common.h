/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/* What the tests of this room share: scripts under the real language, over an INVITE, with a SQLite
 * file behind them that is asked as the control thread does it. */
#include "language.h"

#include "avpops/avpops.h"

struct stage {
	struct language l; /* without its own load */
	struct db *db;
	int database;
	struct avpops *avpops;
	char folder[64], url[512];
	unsigned waits; /* of the last message */
	bool dead;      /* the database answers nothing */
};

/* Cmocka's: *state is the stage, whose database has usr_preferences as schema.def makes it:
 * SQLite's or what TEST_DB_URL names. */
int stage_setup(void **state);
int stage_teardown(void **state);
/* SQL, straight to the file. */
void stage_sql(struct stage *s, const char *sql);
/* One row each; the attribute may be "i:5" for one whose name is a number. */
void stage_add(struct stage *s, const char *user, const char *domain, const char *attribute,
	int type, const char *value);
/* What a SELECT of one column answers, with '|' between rows. One of four buffers. */
const char *stage_rows(struct stage *s, const char *sql);
void stage_forget(struct stage *s);
/* Time goes on. */
void stage_pass(struct stage *s, unsigned seconds);
/* Loads `params` and request_route { body }, and runs it over an INVITE from alice@example.org to
 * bob@example.net. What note() and others were called with has to be `expected`. */
void gives(struct stage *s, const char *params, const char *body, const char *expected);
/* The same over another message. */
void gives_over(struct stage *s, const char *params, const char *body, const char *message,
	const char *expected);
/* What a load says no to. */
void refused(struct stage *s, const char *params, const char *body, const char *error);
