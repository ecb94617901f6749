/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fetch: what is registered where the database alone says it (db_mode 3). Each look asks, since
 * another process may have changed the table a moment ago; of no cache comes an answer.
 */
#include "registrar/internal.h"

static bool keep(struct location_set *set, struct str *s)
{
	if (s->len > LOCATION_SET_TEXT - set->text_len)
		return false;
	str_copy(set->text + set->text_len, *s);
	s->s = set->text + set->text_len;
	set->text_len += s->len;
	return true;
}

static bool keep_texts(struct location_set *set, struct location_contact *c)
{
	return keep(set, &c->uri) && keep(set, &c->path) && keep(set, &c->instance) &&
	       keep(set, &c->user_agent) && keep(set, &c->call_id);
}

static bool is_within_bounds(const struct location_contact *c)
{
	return c->uri.len <= LOCATION_URI_MAX && c->path.len <= LOCATION_PATH_MAX &&
	       c->instance.len <= LOCATION_INSTANCE_MAX && c->call_id.len <= LOCATION_CALL_ID_MAX;
}

static unsigned rank(const struct location_contact *c)
{
	return c->q == LOCATION_Q_NONE ? 0 : 1u + c->q;
}

/* By falling q, among equals in the order of the rows. Of two rows of one binding (another process
 * has written one below another key) the one that was changed last counts. False: it is one more
 * than there may be. */
static bool add(struct location_set *set, const struct location_contact *c)
{
	unsigned at = 0;

	while (at < set->count && !registrar_same_binding(&set->contact[at], c))
		at++;
	if (at < set->count) {
		if (set->contact[at].modified > c->modified)
			return true;
		memmove(&set->contact[at], &set->contact[at + 1], (--set->count - at) * sizeof(*c));
	}
	if (set->count == LOCATION_CONTACTS_MAX)
		return false;
	for (at = set->count++; at > 0 && rank(&set->contact[at - 1]) < rank(c); at--)
		set->contact[at] = set->contact[at - 1];
	set->contact[at] = *c;
	return true;
}

void registrar_fetch_begin(struct location_set *set)
{
	set->count = set->former = 0;
	set->text_len = 0;
	set->changing = true;
	set->before = -1;
}

enum registrar_fetched registrar_fetch_row(const struct registrar *r, const struct db_value *v,
	struct str aor, uint32_t now, struct location_set *set, bool *malformed)
{
	struct location_contact c;
	enum registrar_row row = registrar_row_read(r, v, now, &c);

	*malformed = false;
	if (row == REGISTRAR_ROW_ENDED || !registrar_row_is_of(r, v, aor))
		return REGISTRAR_FETCHED;
	if (row != REGISTRAR_ROW_GOOD || !is_within_bounds(&c)) {
		*malformed = true;
		return REGISTRAR_FETCHED;
	}
	if (!keep_texts(set, &c))
		return REGISTRAR_FETCH_TOO_LONG;
	return add(set, &c) ? REGISTRAR_FETCHED : REGISTRAR_FETCH_TOO_MANY;
}

static enum registrar_fetched take_rows(struct registrar *r, const struct route_ctx *ctx,
	struct str rows, struct str aor, uint32_t now, struct location_set *set)
{
	enum registrar_fetched fetched = REGISTRAR_FETCHED;
	struct db_value v[REGISTRAR_READ_COUNT];
	bool malformed;
	unsigned n = 0;

	while (fetched == REGISTRAR_FETCHED && db_rows_next(&rows, v, REGISTRAR_READ_COUNT)) {
		if (++n == REGISTRAR_READ_ROWS)
			return REGISTRAR_FETCH_TOO_MANY;
		fetched = registrar_fetch_row(r, v, aor, now, set, &malformed);
		if (malformed)
			registrar_count(r, ctx, REGISTRAR_COUNTER_ROWS_MALFORMED);
	}
	return fetched;
}

static enum registrar_fetched ask(struct registrar *r, struct route_ctx *ctx, struct hash128 digest,
	uint8_t table, struct str aor, uint32_t now)
{
	char call[64 + 2 * LOCATION_AOR_MAX];
	struct registrar_packing k;

	registrar_pack_begin(&k, r, table, aor, call, sizeof(call));
	registrar_pack_read(&k, now);
	if (k.len < 0)
		return REGISTRAR_FETCH_FAILED;
	if ((uint32_t)k.len + ROUTE_ASK_BYTES > ROUTE_TEXT_MAX - ctx->text_len)
		return REGISTRAR_FETCH_TOO_LONG;
	return route_wait_ask(ctx, digest, str_of(call, (size_t)k.len)) == ROUTE_PENDING
		       ? REGISTRAR_FETCHING
		       : REGISTRAR_FETCH_FAILED;
}

static enum registrar_fetched fetch(struct registrar *r, struct route_ctx *ctx,
	struct hash128 digest, uint8_t table, struct str aor, uint32_t now,
	struct location_set *set)
{
	struct str rows;

	switch (route_asked(ctx, digest, &rows)) {
	case ROUTE_ANSWER_NONE:
		return ask(r, ctx, digest, table, aor, now);
	case ROUTE_ANSWER_DONE:
		return take_rows(r, ctx, rows, aor, now, set);
	case ROUTE_ANSWER_TOO_LONG:
		return REGISTRAR_FETCH_TOO_LONG;
	case ROUTE_ANSWER_REFUSED:
	case ROUTE_ANSWER_FAILED:
		break;
	}
	return REGISTRAR_FETCH_FAILED;
}

enum registrar_fetched registrar_fetch(struct registrar *r, struct route_ctx *ctx,
	struct hash128 digest, uint8_t table, struct str aor, uint32_t now,
	struct location_set *set)
{
	enum registrar_fetched fetched;

	registrar_fetch_begin(set);
	fetched = fetch(r, ctx, digest, table, aor, now, set);
	if (fetched == REGISTRAR_FETCH_FAILED)
		registrar_count(r, ctx, REGISTRAR_COUNTER_FETCH_FAILED);
	else if (fetched == REGISTRAR_FETCH_TOO_MANY || fetched == REGISTRAR_FETCH_TOO_LONG)
		registrar_count(r, ctx, REGISTRAR_COUNTER_FETCH_TOO_MUCH);
	return fetched;
}

bool registrar_has_fetched(struct route_ctx *ctx, struct hash128 digest)
{
	struct str rows;

	return route_asked(ctx, digest, &rows) != ROUTE_ANSWER_NONE;
}
