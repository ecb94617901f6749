/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * persist: contacts in a database (usrloc's db_mode). Memory is where contacts are looked up.
 *
 *   1  its rows are committed, then it is done in memory and answered: what was acknowledged is
 *      there after any end of the process, and what was refused is nowhere
 *   2  it is done in memory and answered, and its rows are on their way; nobody waits
 *   3  nothing is in memory: only.c
 *   4  the database is read at the start only
 *
 * A row is found by user, domain and Contact URI, and by its ruid where the table has one. That of
 * a binding that is refreshed stays where it is and gets new values; one that is not there is
 * inserted, and others of that URI are deleted. So a row that is written twice is there once,
 * whoever wrote it. A retransmission
 * writes its rows again, behind those of the first: its 200 says that they are there, too.
 *
 * What nobody waits for goes by a lane, a shard's own way to the database, in its order. Where that
 * is full, which takes a database that is down for long, the slow lcore walks its share of the
 * table afterwards and sends what stands by the same lane: behind all that is on it, and in front
 * of all that comes. It writes contacts of save()'s memory-only flag, too, and the rows of who has
 * gone meanwhile stay until they end.
 */
#include <errno.h>
#include <time.h>

#include "registrar/internal.h"

#define LANE_BYTES (16u << 20)
/* Of a walk that makes good what found no room: places a pass, and how long it rests where there is
 * none yet. */
#define WALK_PLACES 8
#define WALK_REST_NS (100 * CLOCK_NS_PER_MS)

void registrar_persist_clock(struct registrar *r, uint64_t now_ns)
{
	registrar_zone_publish(r, (int64_t)time(NULL), now_ns);
}

/* Whether its row is one that stays: as it is, or refreshed. */
static bool stands(const struct registrar_bindings *b, const struct location_contact *c)
{
	for (unsigned i = 0; i < b->count; i++)
		if (b->at[i] != NULL && (b->at[i] == c || registrar_same_binding(b->at[i], c)))
			return true;
	return false;
}

/* What this REGISTER made of a binding, when it came first. */
static bool is_of_request(const struct registrar_request *q, const struct location_contact *c)
{
	return c->cseq == q->cseq && str_eq(c->call_id, q->call_id);
}

/* Two bindings may have one URI (two instances, or flows, at one address): what is removed by its
 * URI takes the others' rows along, which are written again. */
struct removed {
	unsigned count;
	/* those that stood, those of the request, and those that stand then */
	struct str uri[3 * LOCATION_CONTACTS_MAX];
};

static bool is_removed(const struct removed *gone, struct str uri)
{
	for (unsigned i = 0; i < gone->count; i++)
		if (str_eq(gone->uri[i], uri))
			return true;
	return false;
}

static void remove_once(struct registrar_packing *k, struct removed *gone, struct str uri)
{
	if (is_removed(gone, uri))
		return;
	gone->uri[gone->count++] = uri;
	registrar_pack_remove(k, uri);
}

/* Whether its row is to be written: it is new, or is what a REGISTER that came again has made. */
static bool is_written(
	const struct registrar_request *q, const struct registrar_bindings *b, unsigned i)
{
	return b->at[i] != NULL && (b->fresh[i] || (!b->changed && is_of_request(q, b->at[i])));
}

static bool shares_uri(const struct registrar_bindings *b, unsigned i)
{
	for (unsigned j = 0; j < b->count; j++)
		if (j != i && b->at[j] != NULL && str_eq(b->at[j]->uri, b->at[i]->uri))
			return true;
	return false;
}

/* Whether each row that is written may be looked for where it stands. Of many the calls are long;
 * they are deleted and inserted. */
static bool writes_few(const struct registrar_request *q, const struct registrar_bindings *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->count; i++)
		n += is_written(q, b, i);
	return n <= REGISTRAR_PUT_MAX;
}

int registrar_persist_pack(const struct registrar_request *q, const struct registrar_bindings *b,
	char *out, uint32_t size)
{
	bool few = writes_few(q, b);
	struct removed gone = {.count = 0};
	struct registrar_packing k;

	registrar_pack_begin(&k, q->r, q->call->table, registrar_aor_str(q->aor), out, size);
	if (q->star)
		registrar_pack_remove(&k, STR(""));
	for (unsigned i = 0; i < q->set->count && !q->star; i++)
		if (!stands(b, &q->set->contact[i]))
			remove_once(&k, &gone, q->set->contact[i].uri);
	for (unsigned i = 0; i < q->count; i++)
		if (q->contact[i].expires == 0)
			remove_once(&k, &gone, q->contact[i].uri);
	for (unsigned i = 0; i < b->count; i++)
		if (is_written(q, b, i) && (!few || shares_uri(b, i)))
			remove_once(&k, &gone, b->at[i]->uri);
	for (unsigned i = 0; i < b->count; i++) {
		if (b->at[i] != NULL && is_removed(&gone, b->at[i]->uri))
			registrar_pack_insert(&k, b->at[i]);
		else if (is_written(q, b, i))
			registrar_pack_put(&k, b->at[i]);
	}
	return k.len;
}

int registrar_persist_pack_none(const struct registrar *r, uint8_t table, struct str aor,
	struct str uri, char *out, uint32_t size)
{
	struct registrar_packing k;

	registrar_pack_begin(&k, r, table, aor, out, size);
	registrar_pack_remove(&k, uri);
	return k.len;
}

/* ---- on their way, and nobody waits ---- */

static uint32_t *sent_of(const struct registrar *r, unsigned shard, struct hash128 digest)
{
	return &r->shard[shard].sent[digest.hi & (REGISTRAR_SENT_PLACES - 1)];
}

uint32_t registrar_persist_sent(const struct registrar *r, unsigned shard, struct hash128 digest)
{
	return *sent_of(r, shard, digest);
}

bool registrar_persist_send(
	struct registrar *r, unsigned shard, struct hash128 digest, struct str calls)
{
	struct registrar_shard *sh = &r->shard[shard];
	struct db_lane *lane = atomic_load_explicit(&sh->lane, memory_order_acquire);

	++*sent_of(r, shard, digest);
	if (calls.len == 0 || (lane != NULL && db_lane_change(lane, calls)))
		return true;
	atomic_store_explicit(&sh->behind, true, memory_order_relaxed);
	return false;
}

int registrar_persist_lanes(struct registrar *r)
{
	for (unsigned i = 0; i < location_shards(r->config.location); i++) {
		_Atomic(struct db_lane *) *lane = &r->shard[i].lane;

		if (atomic_load_explicit(lane, memory_order_relaxed) != NULL)
			continue;
		struct db_lane *made = db_lane_create(r->config.db, LANE_BYTES);

		if (made == NULL)
			return -errno;
		atomic_store_explicit(lane, made, memory_order_release);
	}
	return 0;
}

void registrar_persist_all(struct registrar *r)
{
	for (unsigned i = 0; i < location_shards(r->config.location); i++)
		atomic_store_explicit(&r->shard[i].behind, true, memory_order_relaxed);
}

struct walk {
	struct registrar *r;
	struct db_lane *lane;
	unsigned shard;
	unsigned sent;
	bool full;
};

static void send_calls(struct walk *w, struct registrar_packing *k)
{
	w->full |= !db_lane_change(w->lane, str_of(k->out, (size_t)k->len));
	w->sent += !w->full;
	k->len = 0;
}

/* All of an address-of-record: as many of its contacts in one change as fit there. */
static void send_set(struct walk *w, uint8_t table, struct str aor, const struct location_set *set)
{
	char calls[DB_CALL_MAX];
	struct registrar_packing k;

	registrar_pack_begin(&k, w->r, table, aor, calls, sizeof(calls));
	registrar_pack_remove(&k, STR(""));
	for (unsigned i = 0; i < set->count && k.len > 0 && !w->full; i++) {
		int before = k.len;

		registrar_pack_insert(&k, &set->contact[i]);
		if (k.len > 0)
			continue;
		k.len = before;
		send_calls(w, &k);
		registrar_pack_insert(&k, &set->contact[i]);
	}
	if (k.len > 0 && !w->full)
		send_calls(w, &k);
}

static void send_aor(void *arg, uint8_t table, struct str aor, const struct location_set *set)
{
	struct walk *w = arg;

	++*sent_of(w->r, w->shard, location_digest(w->r->config.location, table, aor));
	send_set(w, table, aor, set);
}

void registrar_persist_repair(struct registrar *r, unsigned shard, uint8_t table, struct str aor,
	struct hash128 digest, const struct location_set *set, bool always)
{
	struct registrar_shard *sh = &r->shard[shard];
	struct walk w = {.r = r,
		.shard = shard,
		.lane = atomic_load_explicit(&sh->lane, memory_order_acquire)};

	++*sent_of(r, shard, digest);
	if (w.lane != NULL)
		send_set(&w, table, aor, set);
	if (always && (w.lane == NULL || w.full))
		atomic_store_explicit(&sh->behind, true, memory_order_relaxed);
}

unsigned registrar_persist_poll(struct registrar *r, unsigned shard, uint64_t now_ns)
{
	struct registrar_shard *sh = &r->shard[shard];
	struct walk w = {.r = r, .shard = shard};
	uint64_t at;
	bool more;

	if (!sh->walking && !atomic_load_explicit(&sh->behind, memory_order_relaxed))
		return 0;
	w.lane = atomic_load_explicit(&sh->lane, memory_order_acquire);
	if (w.lane == NULL || now_ns < sh->walk_rests || !registrar_persists(registrar_usrloc(r)))
		return 0;
	if (!sh->walking) {
		/* What finds no room from here on wants another walk. */
		atomic_store_explicit(&sh->behind, false, memory_order_relaxed);
		sh->walking = true;
		sh->walk_at = 0;
	}
	at = sh->walk_at;
	more = location_walk(r->config.location, shard, &at, WALK_PLACES,
		(uint32_t)(now_ns / CLOCK_NS_PER_S), send_aor, &w);
	if (w.full) {
		/* This part once more: a row that is written twice is there once. */
		sh->walk_rests = now_ns + WALK_REST_NS;
		return w.sent;
	}
	sh->walk_at = at;
	sh->walking = more;
	return w.sent + 1;
}

/* ---- once a second: rows that have ended ---- */

/* A clock that was set forward, or a change of the zone's offset, makes no row one that has ended.
 */
#define CLEAN_AFTER_S 7200
/* Rows of so much time go in one change: what it takes delays the changes behind it. */
#define CLEAN_SLICE_S 60

/* Statements of the table that is cleaned, NULL behind the last one. */
static const struct registrar_rows *clean_rows(const struct registrar *r)
{
	const struct registrar_usrloc_settings *s =
		atomic_load_explicit(&r->usrloc, memory_order_acquire);

	return (registrar_persists(&s->p) || registrar_only(&s->p)) && r->clean_table < s->tables
		       ? &s->rows[r->clean_table]
		       : NULL;
}

/* Until the next time; a database that fails is left alone as long. */
static void clean_rests(struct registrar *r)
{
	r->cleaning = false;
	r->clean_table = 0;
	r->clean_at = r->now_ns + (uint64_t)registrar_usrloc(r)->timer_interval * CLOCK_NS_PER_S;
}

static void cleaned(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct registrar *r = arg;

	/* The next slice at the next tick. */
	r->cleaning = false;
	if (result != DB_DONE)
		clean_rests(r);
}

/* Packs the deletion of rows about as old as the oldest one. The length, 0: none has ended. */
static int pack_clean(struct registrar *r, const struct registrar_rows *rows, int64_t oldest,
	char *call, uint32_t size)
{
	const struct registrar_zone *z = registrar_zone(r);
	int64_t until = registrar_zone_least(
		z, z->epoch + (int64_t)(r->now_ns / CLOCK_NS_PER_S) - CLEAN_AFTER_S);
	char text[DB_TIME_TEXT];
	struct db_value before;

	if (oldest >= until)
		return 0;
	db_time_write(oldest + CLEAN_SLICE_S < until ? oldest + CLEAN_SLICE_S : until, text);
	before = db_text(str_of(text, DB_TIME_TEXT - 1));
	return db_pack(r->config.db, call, size, 0, (unsigned)rows->clean, &before, 1);
}

static void clean_next(struct registrar *r);

static void oldest_found(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct registrar *r = arg;
	const struct registrar_rows *of = clean_rows(r);
	char call[128];
	int64_t oldest;
	int len = 0;

	if (of != NULL && result == DB_DONE && rows->count == 1 &&
		db_value(rows, 0, 0)->type == DB_TEXT &&
		registrar_time_read(db_value(rows, 0, 0)->s, &oldest))
		len = pack_clean(r, of, oldest, call, sizeof(call));
	if (len > 0 && db_change(r->config.db, str_of(call, (size_t)len), cleaned, r) == 0)
		return;
	/* Nothing more in this table. */
	r->clean_table++;
	clean_next(r);
}

/* Tables one after the other; of each the oldest rows first. */
static void clean_next(struct registrar *r)
{
	const struct registrar_rows *rows;
	char call[64];
	int len = -1;

	while ((rows = clean_rows(r)) != NULL && rows->oldest < 0)
		r->clean_table++;
	if (rows != NULL)
		len = db_pack(r->config.db, call, sizeof(call), 0, (unsigned)rows->oldest, NULL, 0);
	r->cleaning =
		len > 0 && db_ask(r->config.db, str_of(call, (size_t)len), oldest_found, r) == 0;
	if (!r->cleaning)
		clean_rests(r);
}

void registrar_persist_tick(struct registrar *r, uint64_t now_ns)
{
	registrar_persist_clock(r, now_ns);
	r->now_ns = now_ns;
	if (now_ns >= r->clean_at && !r->cleaning && clean_rows(r) != NULL)
		clean_next(r);
}
