/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mark: how far the database has come with a spool's changes, which it keeps itself: a row of
 * `siplane_spool` is changed in the transaction that makes them. What was made and not struck off
 * in the file before the process, or the connection, ended is not made again. Where there is no
 * such table it is.
 */
#include <stdio.h>
#include <stdlib.h>

#include "db/writer.h"

#define LOOK_NS (60 * CLOCK_NS_PER_S) /* whether somebody has made the table */
#define LAST_SIZE 24

static const struct db_statement statements[MARK_STATEMENTS] = {
	[MARK_GET] = {.text = "SELECT last FROM siplane_spool WHERE name = ?",
		.columns = "i",
		.params = 1},
	[MARK_ADD] = {.text = "INSERT INTO siplane_spool (name, last) VALUES (?, ?)", .params = 2},
	[MARK_SET] = {.text = "UPDATE siplane_spool SET last = ? WHERE name = ?", .params = 2},
};

void mark_forget(struct writer *w)
{
	w->mark.looked = 0;
	w->mark.there = false;
}

/* Whether they are ready. None is said to be wrong: it is no fault to have no such table. */
static bool make_ready(struct writer *w)
{
	struct db *db = w->database->db;
	char ignored[DB_ERROR_MAX];
	int n;

	for (unsigned i = 0; i < MARK_STATEMENTS; i++) {
		n = db_statement(
			db, (int)w->database->number, &statements[i], ignored, sizeof(ignored));
		if (n < 0 || link_ready(w->link, db_statement_of(db, (unsigned)n), ignored,
				     sizeof(ignored)) != DB_DONE)
			return false;
		w->mark.statement[i] = (unsigned)n;
	}
	return true;
}

static enum db_result run(struct writer *w, enum mark_statement which, const struct db_value *param,
	unsigned params, db_visit visit, void *arg)
{
	struct db_run run = {.param = param,
		.params = params,
		.deadline = clock_now_ns() + DB_TIMEOUT_MS * CLOCK_NS_PER_MS,
		.visit = visit,
		.arg = arg};

	return link_run(w->link, db_statement_of(w->database->db, w->mark.statement[which]), &run,
		w->error, sizeof(w->error));
}

static bool take_last(void *arg, const struct db_value *value, unsigned columns)
{
	int64_t *last = arg;

	*last = value[0].type == DB_INT ? value[0].i : -1;
	return false;
}

/* A text, which has room for any number in any engine. */
static struct db_value last_text(char text[LAST_SIZE], int64_t last)
{
	snprintf(text, LAST_SIZE, "%lld", (long long)last);
	return db_text(str_c(text));
}

static bool add(struct writer *w, struct db_value name)
{
	char text[LAST_SIZE];
	const struct db_value param[] = {name, last_text(text, 0)};
	enum db_result result = link_step(w->link, DB_STEP_BEGIN, w->error, sizeof(w->error));

	if (result == DB_DONE)
		result = run(w, MARK_ADD, param, 2, NULL, NULL);
	if (result == DB_DONE)
		result = link_step(w->link, DB_STEP_COMMIT, w->error, sizeof(w->error));
	if (result != DB_DONE && !link_dead(w->link))
		(void)link_step(w->link, DB_STEP_ROLLBACK, w->error, sizeof(w->error));
	return result == DB_DONE;
}

static bool look(struct writer *w)
{
	struct db *db = w->database->db;
	unsigned spools = atomic_load_explicit(&db->spools, memory_order_acquire);

	if (!make_ready(w))
		return false;
	for (unsigned i = 0; i < spools; i++) {
		struct db_value name = db_text(str_c(spool_name(db->spool[i])));
		int64_t last = -1;

		if (run(w, MARK_GET, &name, 1, take_last, &last) != DB_DONE)
			return false;
		if (last < 0 && !add(w, name))
			return false;
		w->mark.last[i] = last < 0 ? 0 : last;
	}
	w->mark.spools = spools;
	return true;
}

void mark_look(struct writer *w)
{
	unsigned spools = atomic_load_explicit(&w->database->db->spools, memory_order_acquire);
	uint64_t now = clock_now_ns();
	bool any = false;

	for (unsigned i = 0; i < w->count && !any; i++)
		any = w->change[i].job == NULL && w->change[i].source >= DB_LANES_MAX;
	if (!any)
		return;
	if (w->mark.looked == 0 || w->mark.spools != spools ||
		(!w->mark.there && now - w->mark.looked > LOOK_NS)) {
		w->mark.looked = now;
		w->mark.there = look(w);
	}
	for (unsigned i = 0; i < w->count && w->mark.there; i++) {
		struct change *c = &w->change[i];

		if (c->job != NULL || c->source < DB_LANES_MAX || c->over ||
			c->id > w->mark.last[c->source - DB_LANES_MAX])
			continue;
		c->over = true;
		c->result = DB_DONE;
	}
}

/* The last one before the first that was refused, or is held: 0, there is none. What was refused
 * has to be put aside before it may be forgotten. */
static int64_t last_made(const struct writer *w, unsigned to, unsigned source)
{
	int64_t last = 0;

	for (unsigned i = 0; i < to; i++) {
		const struct change *c = &w->change[i];

		if (c->job != NULL || c->source != source)
			continue;
		if (c->held || (c->over && c->result != DB_DONE))
			break;
		last = c->id;
	}
	return last;
}

enum db_result mark_put(struct writer *w, unsigned to)
{
	struct db *db = w->database->db;
	enum db_result result = DB_DONE;
	char text[LAST_SIZE];

	for (unsigned i = 0; i < w->mark.spools && w->mark.there && result == DB_DONE; i++) {
		int64_t last = last_made(w, to, DB_LANES_MAX + i);
		const struct db_value param[] = {
			last_text(text, last), db_text(str_c(spool_name(db->spool[i])))};

		if (last <= w->mark.last[i])
			continue;
		result = run(w, MARK_SET, param, 2, NULL, NULL);
		if (result == DB_REFUSED)
			w->mark.there = false;
	}
	return result;
}
