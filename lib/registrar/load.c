/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load: the contacts of a database, into memory, before the first message is taken. It says how far
 * it is, once it takes long: nothing else happens meanwhile.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#include "registrar/internal.h"

#define SAY_S 2 /* between two words */

/* ---- how far it is ---- */

struct watch {
	const char *from; /* a URL without its password */
	_Atomic uint64_t rows;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool runs, ended;
};

static void *say(void *arg)
{
	struct watch *w = arg;
	uint64_t rows, before = 0;
	struct timespec at;

	pthread_mutex_lock(&w->lock);
	clock_gettime(CLOCK_MONOTONIC, &at);
	for (at.tv_sec += SAY_S; !w->ended;) {
		if (pthread_cond_clockwait(&w->over, &w->lock, CLOCK_MONOTONIC, &at) != ETIMEDOUT)
			continue;
		at.tv_sec += SAY_S;
		rows = atomic_load_explicit(&w->rows, memory_order_relaxed);
		if (rows != before)
			log_notice("usrloc: %" PRIu64 " rows read so far from %s", rows, w->from);
		else
			log_notice("usrloc: waiting for rows from %s, %" PRIu64 " read so far",
				w->from, rows);
		before = rows;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Without a thread there are no words, and nothing else is other. */
static void watch_begin(struct watch *w)
{
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->over, NULL);
	w->runs = pthread_create(&w->thread, NULL, say, w) == 0;
}

static void watch_end(struct watch *w)
{
	pthread_mutex_lock(&w->lock);
	w->ended = true;
	pthread_cond_signal(&w->over);
	pthread_mutex_unlock(&w->lock);
	if (w->runs)
		pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->over);
	pthread_mutex_destroy(&w->lock);
}

/* ---- rows ---- */

struct loading {
	struct registrar *r;
	struct watch *watch;
	uint8_t table;
	uint32_t now;
	struct registrar_loaded *out;
};

static bool load_row(void *arg, const struct db_value *v, unsigned columns)
{
	struct loading *g = arg;
	struct location *l = g->r->config.location;
	struct location_contact contact[LOCATION_CONTACTS_MAX + 1], c;
	struct location_set set;
	struct registrar_aor aor;
	struct hash128 digest;
	enum registrar_row row;
	unsigned n = 0;
	int have, err;

	atomic_fetch_add_explicit(&g->watch->rows, 1, memory_order_relaxed);
	row = registrar_row_read(g->r, v, g->now, &c);
	if (row == REGISTRAR_ROW_GOOD && !registrar_row_aor(g->r, v, &aor))
		row = REGISTRAR_ROW_BAD;
	if (row != REGISTRAR_ROW_GOOD) {
		*(row == REGISTRAR_ROW_ENDED ? &g->out->ended : &g->out->malformed) += 1;
		return true;
	}
	digest = location_digest(l, g->table, registrar_aor_str(&aor));
	have = location_read(l, digest, g->table, registrar_aor_str(&aor), g->now, &set);
	for (int i = 0; i < have; i++)
		if (!registrar_same_binding(&set.contact[i], &c))
			contact[n++] = set.contact[i];
	contact[n++] = c;
	err = n > LOCATION_CONTACTS_MAX
		      ? -E2BIG
		      : location_replace(l, location_shard(l, digest), digest, g->table,
				registrar_aor_str(&aor), g->now, contact, n);
	if (err == 0)
		g->out->contacts++;
	else if (err == -E2BIG)
		g->out->malformed++;
	else
		g->out->no_room++;
	return true;
}

static int load_table(
	struct registrar *r, struct loading *g, int statement, char *error, size_t error_size)
{
	char call[64];
	int len = db_pack(r->config.db, call, sizeof(call), 0, (unsigned)statement, NULL, 0);

	return len >= 0 && db_now(r->config.db, str_of(call, (size_t)len), load_row, g, NULL, error,
				   error_size) == DB_DONE
		       ? 0
		       : -EIO;
}

int registrar_load(struct registrar *r, uint64_t now_ns, struct registrar_loaded *out, char *error,
	size_t error_size)
{
	const struct registrar_usrloc_settings *s =
		atomic_load_explicit(&r->usrloc, memory_order_acquire);
	struct watch watch = {.rows = 0};
	struct loading g = {
		.r = r, .watch = &watch, .now = (uint32_t)(now_ns / CLOCK_NS_PER_S), .out = out};
	int err = 0;

	*out = (struct registrar_loaded){0};
	r->runs = true;
	registrar_persist_clock(r, now_ns);
	if (s->p.db_mode == REGISTRAR_DB_NONE || registrar_only(&s->p))
		return 0;
	watch.from = db_url_text(r->config.db, s->database);
	watch_begin(&watch);
	for (unsigned i = 0; i < s->tables && err == 0; i++) {
		g.table = (uint8_t)i;
		if (s->rows[i].read < 0)
			continue;
		err = load_table(r, &g, s->rows[i].read, error, error_size);
	}
	watch_end(&watch);
	return err;
}
