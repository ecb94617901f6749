/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * only: save() and unregister() where contacts are nowhere but in the database (db_mode 3).
 *
 * A REGISTER asks for its user's rows, is judged by them as by what would stand in memory, and is
 * answered when its rows are committed. From the question on it has its user's turn (turn.c), so
 * that the next one finds what it has made. It writes the rows of the bindings that it changes and
 * touches no other: what another process has written meanwhile for other bindings stays.
 */
#include "registrar/internal.h"

/* ---- rows ---- */

static bool stands(const struct registrar_bindings *b, const struct location_contact *c)
{
	for (unsigned i = 0; i < b->count; i++)
		if (b->at[i] != NULL && (b->at[i] == c || registrar_same_binding(b->at[i], c)))
			return true;
	return false;
}

static unsigned fresh(const struct registrar_bindings *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->count; i++)
		n += b->at[i] != NULL && b->fresh[i];
	return n;
}

static bool was_there(const struct registrar_request *q, const struct location_contact *c)
{
	for (unsigned i = 0; i < q->set->count; i++)
		if (registrar_same_binding(&q->set->contact[i], c))
			return true;
	return false;
}

/*
 * A copy of what was done finds it done, and writes nothing: its 200 says what stands there. Only
 * what is to go is removed where it is not there, too: the row of an earlier REGISTER, of which
 * nobody heard in time, may still come, and then this goes behind it.
 */
int registrar_only_pack(const struct registrar_request *q, const struct registrar_bindings *b,
	char *out, uint32_t size)
{
	bool few = fresh(b) <= REGISTRAR_PUT_MAX;
	struct registrar_packing k;

	registrar_pack_begin(&k, q->r, q->call->table, registrar_aor_str(q->aor), out, size);
	if (q->star)
		registrar_pack_remove(&k, STR(""));
	for (unsigned i = 0; i < q->set->count && !q->star; i++)
		if (!stands(b, &q->set->contact[i]))
			registrar_pack_remove_binding(&k, &q->set->contact[i]);
	for (unsigned i = 0; i < q->count; i++)
		if (q->contact[i].expires == 0 && !was_there(q, &q->contact[i]) &&
			!stands(b, &q->contact[i]))
			registrar_pack_remove_binding(&k, &q->contact[i]);
	for (unsigned i = 0; i < b->count; i++) {
		if (b->at[i] == NULL || !b->fresh[i])
			continue;
		if (few) {
			registrar_pack_put(&k, b->at[i]);
		} else {
			registrar_pack_remove_binding(&k, b->at[i]);
			registrar_pack_insert(&k, b->at[i]);
		}
	}
	return k.len;
}

/* What calls of a contact would take. */
static uint32_t packed(const struct registrar_request *q, const struct location_contact *c,
	void (*pack)(struct registrar_packing *, const struct location_contact *))
{
	char calls[DB_CALL_MAX];
	struct registrar_packing k;

	registrar_pack_begin(
		&k, q->r, q->call->table, registrar_aor_str(q->aor), calls, sizeof(calls));
	pack(&k, c);
	return k.len >= 0 ? (uint32_t)k.len : ROUTE_TEXT_MAX;
}

/*
 * Whether one more binding leaves room for what comes later: each that stands is to be refreshed
 * then, the longest of them, too, and those of this request once more by one like it, with all rows
 * at hand. Else the last one that is acknowledged would keep all others from coming again.
 */
static bool leaves_room(const struct registrar_request *q, const struct registrar_bindings *b,
	const struct location_contact *standing, unsigned count, uint32_t calls)
{
	uint64_t rows = q->ctx->text_len;

	for (unsigned i = 0; i < b->count; i++)
		if (b->at[i] != NULL && !was_there(q, b->at[i]))
			/* A row that is read has no more than what is inserted. */
			rows += packed(q, b->at[i], registrar_pack_insert);
	for (unsigned i = 0; i < count; i++) {
		uint32_t one = packed(q, &standing[i], registrar_pack_put);

		calls = one > calls ? one : calls;
	}
	return rows + calls <= ROUTE_TEXT_MAX;
}

/* ---- save() ---- */

/* Its turn and its rows are given back, the answer may need the room. */
static void end(const struct registrar_request *q)
{
	route_asked_forget(q->ctx);
	registrar_turn_give(q->r, q->ctx, q->digest);
}

static int32_t refuse(struct registrar_request *q, enum registrar_refusal refusal)
{
	end(q);
	return registrar_save_refuse(q, refusal);
}

static int32_t accept(struct registrar_request *q, const struct location_contact *contact,
	unsigned count, int32_t result)
{
	struct location_contact now[LOCATION_CONTACTS_MAX];
	unsigned n = 0;

	end(q);
	/* Time has passed. */
	q->now = registrar_now(q->ctx);
	for (unsigned i = 0; i < count; i++)
		if (contact[i].expires > q->now)
			now[n++] = contact[i];
	return registrar_save_accept(q, now, n, result);
}

static struct hash128 copy_of(const struct registrar_request *q)
{
	if (q->ctx->msg.is_response || q->r->config.proxy == NULL)
		return (struct hash128){0};
	return proxy_transaction_key(q->r->config.proxy, q->ctx);
}

static bool only_asks(const struct registrar_request *q)
{
	return q->count == 0 && !q->star;
}

/* It has its turn, or needs none, or `*result` is what save() returns. */
static bool has_turn(struct registrar_request *q, int32_t *result)
{
	if (only_asks(q)) {
		q->ctx->wait_note = q->now;
		return true;
	}
	switch (registrar_turn_take(q->r, q->ctx, q->digest, copy_of(q))) {
	case REGISTRAR_TURN_MINE:
		return true;
	case REGISTRAR_TURN_WAITS:
		*result = ROUTE_PENDING;
		break;
	case REGISTRAR_TURN_COPY:
		registrar_count(q->r, q->ctx, REGISTRAR_COUNTER_COPIES);
		q->ctx->result.drop = true;
		*result = ROUTE_EXIT;
		break;
	case REGISTRAR_TURN_BUSY:
		*result = registrar_save_refuse(q, REGISTRAR_REFUSAL_BUSY);
		break;
	}
	return false;
}

static enum registrar_refusal refusal_of(enum registrar_fetched fetched)
{
	switch (fetched) {
	case REGISTRAR_FETCH_TOO_MANY:
		return REGISTRAR_REFUSAL_TOO_MANY;
	case REGISTRAR_FETCH_TOO_LONG:
		return REGISTRAR_REFUSAL_TOO_LONG;
	case REGISTRAR_FETCH_FAILED:
		return REGISTRAR_REFUSAL_DATABASE;
	case REGISTRAR_FETCHED:
	case REGISTRAR_FETCHING:
		break;
	}
	return REGISTRAR_REFUSAL_NONE;
}

static int32_t wait_for(struct registrar_request *q, struct str calls)
{
	if (calls.len > ROUTE_TEXT_MAX - q->ctx->text_len)
		return refuse(q, REGISTRAR_REFUSAL_TOO_LONG);
	return route_wait_holds(q->ctx, route_wait_change(q->ctx, calls)) == ROUTE_PENDING
		       ? ROUTE_PENDING
		       : refuse(q, REGISTRAR_REFUSAL_TOO_LONG);
}

/* With what is registered at hand. `changed`: what became of its rows, if it has sent them. */
static int32_t update(struct registrar_request *q, enum route_answer changed)
{
	struct location_contact standing[LOCATION_CONTACTS_MAX];
	struct registrar_change change;
	struct registrar_bindings b;
	enum registrar_refusal refusal;
	unsigned count;

	if (changed == ROUTE_ANSWER_REFUSED)
		return refuse(q, REGISTRAR_REFUSAL_NOT_TAKEN);
	/* Nobody knows: it may have been made. */
	if (changed != ROUTE_ANSWER_NONE && changed != ROUTE_ANSWER_DONE)
		return refuse(q, REGISTRAR_REFUSAL_DATABASE);
	q->spare = route_asked_bytes(q->ctx);
	refusal = registrar_save_prepare(q, &b, standing, &count, &change);
	if (refusal == REGISTRAR_REFUSAL_NONE && changed == ROUTE_ANSWER_NONE &&
		count > q->set->count && !leaves_room(q, &b, standing, count, (uint32_t)change.len))
		refusal = REGISTRAR_REFUSAL_TOO_LONG;
	if (refusal != REGISTRAR_REFUSAL_NONE)
		return refuse(q, refusal);
	if (changed == ROUTE_ANSWER_NONE && change.len > 0)
		return wait_for(q, str_of(change.calls, (size_t)change.len));
	return accept(q, standing, count, b.result);
}

int32_t registrar_only_save(struct registrar_request *q)
{
	enum route_answer changed = route_answer_any(q->ctx, ROUTE_WAIT_CHANGE);
	bool asked = registrar_has_fetched(q->ctx, q->digest);
	enum registrar_refusal refusal;
	enum registrar_fetched fetched;
	struct location_set set;
	int32_t result = ROUTE_PENDING;

	/* What has waited is what it was. */
	if (asked)
		q->now = registrar_turn_second(q->ctx);
	set.count = 0;
	q->set = &set;
	/* What is malformed asks nothing. */
	refusal = registrar_request_read(q);
	if (refusal != REGISTRAR_REFUSAL_NONE)
		return asked ? refuse(q, refusal) : registrar_save_refuse(q, refusal);
	if (!asked && !has_turn(q, &result))
		return result;
	fetched = registrar_fetch(
		q->r, q->ctx, q->digest, q->call->table, registrar_aor_str(q->aor), q->now, &set);
	if (fetched == REGISTRAR_FETCHING)
		return only_asks(q) ? ROUTE_PENDING : route_wait_holds(q->ctx, ROUTE_PENDING);
	if (fetched != REGISTRAR_FETCHED)
		return refuse(q, refusal_of(fetched));
	if (!only_asks(q))
		return update(q, changed);
	q->spare = route_asked_bytes(q->ctx);
	if (!registrar_save_fits(q, set.contact, set.count))
		return refuse(q, REGISTRAR_REFUSAL_TOO_LONG);
	return accept(q, set.contact, set.count, REGISTRAR_SAVE_FETCHED);
}

/* ---- unregister() ---- */

int32_t registrar_only_unregister(struct registrar *r, struct route_ctx *ctx, uint8_t table,
	struct str aor, struct hash128 digest)
{
	enum route_answer answer = route_answer_any(ctx, ROUTE_WAIT_CHANGE);
	char calls[64 + 2 * LOCATION_AOR_MAX];
	int len;

	if (answer != ROUTE_ANSWER_NONE) {
		registrar_turn_give(r, ctx, digest);
		return answer == ROUTE_ANSWER_DONE ? ROUTE_TRUE : -2;
	}
	/* A branch_route that waits runs again from its start. */
	if (ctx->in == ROUTE_IN_BRANCH)
		return -2;
	len = registrar_persist_pack_none(r, table, aor, STR(""), calls, sizeof(calls));
	if (len <= 0 || (uint32_t)len > ROUTE_TEXT_MAX - ctx->text_len)
		return -2;
	switch (registrar_turn_take(r, ctx, digest, (struct hash128){0})) {
	case REGISTRAR_TURN_MINE:
		return route_wait_holds(ctx, route_wait_change(ctx, str_of(calls, (size_t)len)));
	case REGISTRAR_TURN_WAITS:
		return ROUTE_PENDING;
	case REGISTRAR_TURN_COPY:
	case REGISTRAR_TURN_BUSY:
		break;
	}
	return -2;
}
