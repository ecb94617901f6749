/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ask: what scripts wait for, asked for by the control thread: a host's address, rows, a change.
 *
 * Each of those who are asked (resolver, databases) answers within less than a message waits, also
 * where nobody answers them; so a message that has waited its time is one whose script waits again
 * and again.
 */
#include "pipeline/worker.h"

/* Who was to go on with it hears of it: there is somebody to answer, and a transaction may wait.
 * Where its function holds something, the script goes on, too. */
static void lose(struct pipeline *p, struct held *h, unsigned drop)
{
	if (h->ctx.wait_holds)
		route_answer_set(&h->ctx, ROUTE_ANSWER_FAILED);
	else
		h->no_answer = (uint16_t)drop;
	held_go_on(p, h);
}

/* ---- names ---- */

static void name_done(void *arg, enum resolve_answer answer)
{
	struct held *h = arg;

	/* A failed name resumes too: the script's forward() then says no. */
	held_go_on(h->p, h);
}

/* Names that stand in the script are no stranger's choice. */
static int ask_name(struct pipeline *p, struct held *h, struct str name)
{
	enum resolve_kind kind = (enum resolve_kind)h->ctx.wait_kind;

	if (h->ctx.wait.space == ROUTE_SPACE_CONST)
		return resolve_ask_ours(p->config.resolver, kind, name, name_done, h);
	return resolve_ask(p->config.resolver, kind, name, name_done, h);
}

/* ---- databases ---- */

/* The script goes on, and its function hears what became of it. */
static void answer(struct held *h, enum route_answer answer)
{
	route_answer_set(&h->ctx, answer);
	held_go_on(h->p, h);
}

static void database_done(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct held *h = arg;

	switch (result) {
	case DB_DONE:
		answer(h, ROUTE_ANSWER_DONE);
		break;
	case DB_REFUSED:
	case DB_TOO_LONG:
		answer(h, ROUTE_ANSWER_REFUSED);
		break;
	case DB_DOWN:
	case DB_FULL:
		answer(h, ROUTE_ANSWER_FAILED);
		break;
	}
}

/* Rows that no cache keeps go to the message itself. */
static void rows_done(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct held *h = arg;
	uint32_t size;
	char *room;

	if (result == DB_TOO_LONG) {
		answer(h, ROUTE_ANSWER_TOO_LONG);
		return;
	}
	if (result != DB_DONE) {
		database_done(h, result, rows);
		return;
	}
	room = route_answer_room(&h->ctx, &size);
	route_answer_rows(&h->ctx, db_rows_pack(rows, room, size));
	held_go_on(h->p, h);
}

/* -EAGAIN: the databases have no room. */
static int ask_database(struct pipeline *p, struct held *h, struct str calls)
{
	int err = -EINVAL;

	/* An empty call would forget all. */
	if (p->config.db != NULL && h->ctx.wait_for == ROUTE_WAIT_ANEW && calls.len != 0)
		db_forget(p->config.db, calls);
	if (p->config.db != NULL && h->ctx.wait_for == ROUTE_WAIT_ASK)
		err = db_ask(p->config.db, calls, rows_done, h);
	else if (p->config.db != NULL)
		err = h->ctx.wait_for == ROUTE_WAIT_CHANGE
			      ? db_change(p->config.db, calls, database_done, h)
			      : db_fetch(p->config.db, calls, database_done, h);
	if (err != -EINVAL)
		return err;
	/* There are no databases, or this is no call. */
	answer(h, ROUTE_ANSWER_FAILED);
	return 0;
}

/* ---- turns ---- */

static void put_turn(struct pipeline *p, struct held *h, uint64_t now)
{
	h->turn_at = now + PIPELINE_TURN_NS;
	h->next = NULL;
	if (p->turns == NULL)
		p->turns_end = &p->turns;
	*p->turns_end = h;
	p->turns_end = &h->next;
}

unsigned turns_poll(struct pipeline *p, uint64_t now)
{
	unsigned n = 0;
	struct held *h;

	for (; (h = p->turns) != NULL && now >= h->turn_at; n++) {
		p->turns = h->next;
		answer(h, ROUTE_ANSWER_DONE);
	}
	return n;
}

void ask_begin(struct pipeline *p, struct held *h, uint64_t now)
{
	bool name = h->ctx.wait_for == ROUTE_WAIT_NAME;
	struct str text;

	h->p = p;
	if (now >= h->deadline) {
		lose(p, h, name ? COUNTER_DROP_NAME_TIMEOUT : COUNTER_DROP_DATABASE_TIMEOUT);
		return;
	}
	if (h->ctx.wait_for == ROUTE_WAIT_TURN) {
		put_turn(p, h, now);
		return;
	}
	route_ctx_bind(&h->ctx, h->script, NULL, held_text(h));
	text = route_text_str(&h->ctx, h->ctx.wait);
	if ((name ? ask_name(p, h, text) : ask_database(p, h, text)) != 0)
		lose(p, h, COUNTER_DROP_HELD_FULL);
}
