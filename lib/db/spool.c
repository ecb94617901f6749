/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spool: its thread moves what lanes hold into the file while the writer does not take it; the
 * writer makes what is there first (spool_read(), spool_settle()) and takes lanes again when that
 * is all. Both do so under its lock, so that each change is in one hand.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "db/spool_file.h"

#define GROUP_MAX 4096 /* changes that are moved at once */
/* Between two looks at lanes: what kill -9 may find there. */
#define LOOK_NS (2 * CLOCK_NS_PER_MS)
#define IDLE_NS CLOCK_NS_PER_S
#define FAILED_NS (100 * CLOCK_NS_PER_MS) /* until it is tried again */
/* Somebody may have put back what had been refused. */
#define COUNT_NS (10 * CLOCK_NS_PER_S)
#define COMPLAINT_NS (60 * CLOCK_NS_PER_S)
/* At the end: what a disk may take for a commit; and all spools, behind the databases' time, for
 * what lanes hold. */
#define SILENT_NS (2 * DB_TIMEOUT_MS * CLOCK_NS_PER_MS)
#define STOP_NS (40 * CLOCK_NS_PER_S)

/* What it has for a database. Under the lock, but for `rows`. */
struct held {
	uint64_t counted; /* when; 0: never */
	int64_t struck;   /* those up to it are over and could not be struck off */
	bool in_hand;     /* some of them are the writer's */
	_Atomic uint64_t rows;
	uint64_t made; /* of those, since there were none */
};

struct spool {
	struct db *db;
	char path[DB_URL_MAX];
	_Atomic uint64_t bytes;
	uint64_t bytes_set;
	struct thread thread;
	sem_t work;
	_Atomic bool stop;
	_Atomic uint64_t steps; /* of its thread: rows and groups; it goes on while they grow */
	pthread_mutex_t lock;   /* of the file, and of who reads lanes that are spooled */
	struct spool_file *file;
	struct held held[DB_DATABASES_MAX];
	_Atomic uint64_t refused_lost; /* what was refused and found no room aside */
	/* The thread's: */
	unsigned group; /* as many as found room at once */
	/* Of a group: the lanes that it has looked into, and up to where it has what they held. */
	bool seen[DB_LANES_MAX][DB_DATABASES_MAX];
	uint64_t at[DB_LANES_MAX][DB_DATABASES_MAX];
	uint64_t lost;       /* that the log knows of */
	uint64_t complained; /* when */
	char error[DB_ERROR_MAX];
};

/* ---- what is said ---- */

/* What lanes refused, and what it had no room for aside. */
static uint64_t lost(const struct spool *s)
{
	unsigned lanes = atomic_load_explicit(&s->db->lanes, memory_order_acquire);
	uint64_t n = atomic_load_explicit(&s->refused_lost, memory_order_relaxed);

	for (unsigned i = 0; i < lanes; i++) {
		if (lane_spool(s->db->lane[i]) == s)
			n += db_lane_refused(s->db->lane[i]);
	}
	return n;
}

uint64_t spools_lost(const struct db *db)
{
	unsigned spools = atomic_load_explicit(&db->spools, memory_order_acquire);
	uint64_t n = 0;

	for (unsigned i = 0; i < spools; i++)
		n += lost(db->spool[i]);
	return n;
}

/* Once a minute; `failed`: it could not write. */
static void complain(struct spool *s, bool failed)
{
	uint64_t n = lost(s), now = clock_now_ns();

	if ((!failed && n == s->lost) || (s->complained != 0 && now - s->complained < COMPLAINT_NS))
		return;
	s->complained = now;
	if (n != s->lost)
		log_error("db: the spool %s: %llu changes found no room%s%s", s->path,
			(unsigned long long)(n - s->lost), s->error[0] != '\0' ? ": " : "",
			s->error);
	else
		log_warning("db: the spool %s: %s", s->path, s->error);
	s->lost = n;
}

/* ---- from lanes to the file ---- */

struct moved {
	unsigned rows;
	uint64_t of[DB_DATABASES_MAX];
	enum spool_result result; /* why it was no more */
};

static void step(struct spool *s)
{
	atomic_fetch_add_explicit(&s->steps, 1, memory_order_relaxed);
}

static void put_lane(struct spool *s, struct moved *m, unsigned lane, unsigned database)
{
	const struct db_lane *l = s->db->lane[lane];
	uint64_t *at = &s->at[lane][database], next;
	struct str calls;

	s->seen[lane][database] = true;
	*at = next = lane_begin(l, database);
	while (m->rows < s->group && m->result == SPOOL_DONE &&
		lane_next(l, database, &next, &calls)) {
		m->result = spool_file_put(
			s->file, s->db->database[database], calls, s->error, sizeof(s->error));
		if (m->result != SPOOL_DONE)
			return;
		step(s);
		m->rows++;
		m->of[database]++;
		*at = next;
	}
}

/* Each lane that is the spool's, or at the end each that has it. */
static void for_lanes(struct spool *s, struct moved *m, bool all,
	void (*visit)(struct spool *s, struct moved *m, unsigned lane, unsigned database))
{
	unsigned lanes = atomic_load_explicit(&s->db->lanes, memory_order_acquire),
		 databases = atomic_load_explicit(&s->db->databases, memory_order_acquire);

	for (unsigned i = 0; i < lanes; i++) {
		if (lane_spool(s->db->lane[i]) != s)
			continue;
		for (unsigned d = 0; d < databases; d++) {
			if (all || lane_is_spooled(s->db->lane[i], d))
				visit(s, m, i, d);
		}
	}
}

/* One that has become the spool's since then stays where its writer has left it. */
static void give_back(struct spool *s, struct moved *m, unsigned lane, unsigned database)
{
	if (!s->seen[lane][database])
		return;
	lane_give_back(s->db->lane[lane], database, s->at[lane][database]);
}

static void count_one(struct spool *s, struct moved *m, unsigned lane, unsigned database)
{
	m->rows++;
}

static void count_moved(struct spool *s, const struct moved *m)
{
	for (unsigned d = 0; d < DB_DATABASES_MAX; d++)
		atomic_fetch_add_explicit(&s->held[d].rows, m->of[d], memory_order_relaxed);
	db_count(s->db, DB_COUNTER_SPOOLED, m->rows);
	db_count(s->db, DB_COUNTER_SPOOL_ROWS, m->rows);
}

/* One group. How many it was; `all` as above. Under the lock. */
static unsigned move_group(struct spool *s, bool all, enum spool_result *result)
{
	struct moved m = {.result = SPOOL_DONE};

	*result = spool_file_begin(s->file, s->error, sizeof(s->error));
	if (*result != SPOOL_DONE)
		return 0;
	memset(s->seen, 0, sizeof(s->seen));
	for_lanes(s, &m, all, put_lane);
	*result = m.result;
	if (m.rows == 0 || !spool_file_goes_on(s->file)) {
		spool_file_undo(s->file);
		return 0;
	}
	if (spool_file_commit(s->file, s->error, sizeof(s->error)) != SPOOL_DONE) {
		*result = SPOOL_FAILED;
		return 0;
	}
	step(s);
	for_lanes(s, &m, all, give_back);
	count_moved(s, &m);
	return m.rows;
}

static void set_limit(struct spool *s)
{
	uint64_t bytes = atomic_load_explicit(&s->bytes, memory_order_relaxed);

	if (bytes != s->bytes_set)
		spool_file_limit(s->file, bytes, false);
	s->bytes_set = bytes;
}

/* All that is there. False: some of it stays. */
static bool move_lanes(struct spool *s, bool all)
{
	enum spool_result result = SPOOL_DONE;
	unsigned moved;

	do {
		pthread_mutex_lock(&s->lock);
		set_limit(s);
		moved = move_group(s, all, &result);
		pthread_mutex_unlock(&s->lock);
		/* What is too much for what is left may be less. */
		if (result == SPOOL_FULL && moved == 0 && s->group > 1) {
			s->group /= 2;
			moved = 1;
		} else if (result == SPOOL_DONE && s->group < GROUP_MAX) {
			s->group *= 2;
		}
	} while (moved != 0 && result != SPOOL_FAILED);
	if (result == SPOOL_DONE)
		s->error[0] = '\0';
	return result == SPOOL_DONE;
}

/* ---- the thread ---- */

static void wait_for(struct spool *s, uint64_t ns)
{
	uint64_t until = clock_now_ns() + ns;
	struct timespec ts = {(time_t)(until / CLOCK_NS_PER_S), (long)(until % CLOCK_NS_PER_S)};

	(void)sem_clockwait(&s->work, CLOCK_MONOTONIC, &ts);
}

static void *run(void *arg)
{
	struct spool *s = arg;
	struct moved busy;
	bool good = true;

	while (!atomic_load_explicit(&s->stop, memory_order_acquire)) {
		busy = (struct moved){0};
		for_lanes(s, &busy, false, count_one);
		good = busy.rows == 0 || move_lanes(s, false);
		complain(s, !good);
		wait_for(s, !good ? FAILED_NS : busy.rows != 0 ? LOOK_NS : IDLE_NS);
	}
	if (!move_lanes(s, true))
		log_error("db: the spool %s: %s: what lanes hold is lost", s->path, s->error);
	thread_ends(&s->thread);
	return NULL;
}

static void wake(struct spool *s)
{
	sem_post(&s->work);
}

/* ---- life ---- */

void spool_destroy(struct spool *s)
{
	if (s->file != NULL)
		spool_file_close(s->file);
	sem_destroy(&s->work);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int fail(char *error, size_t error_size, const char *path, int err, const char *text)
{
	snprintf(error, error_size, "db: the spool %s: %s", path, text);
	return err;
}

static int make(struct db *db, const char *path, uint64_t bytes, struct spool **out, char *error,
	size_t error_size)
{
	char text[DB_ERROR_MAX] = "";
	struct spool *s = calloc(1, sizeof(*s));
	int err;

	if (s == NULL)
		return fail(error, error_size, path, -ENOMEM, "no memory");
	s->db = db;
	s->group = GROUP_MAX;
	s->bytes = s->bytes_set = bytes;
	snprintf(s->path, sizeof(s->path), "%s", path);
	pthread_mutex_init(&s->lock, NULL);
	sem_init(&s->work, 0, 0);
	s->file = spool_file_open(db, path, bytes, text, sizeof(text));
	if (s->file == NULL) {
		err = -errno;
		spool_destroy(s);
		return fail(error, error_size, path, err, text);
	}
	err = thread_begin(db, &s->thread, "siplane-db-s", run, s);
	if (err != 0) {
		spool_destroy(s);
		return fail(error, error_size, path, err, "no thread");
	}
	db->spool[db->spools] = s;
	atomic_store_explicit(&db->spools, db->spools + 1, memory_order_release);
	*out = s;
	return 0;
}

int spool_use(struct db *db, const struct db_spool_config *config, struct spool **out, char *error,
	size_t error_size)
{
	char path[DB_URL_MAX];
	int len;

	if (config->path == NULL || config->path[0] == '\0')
		return fail(error, error_size, "", -EINVAL, "it has no path");
	if (config->path[0] == '/' || db->base_dir == NULL)
		len = snprintf(path, sizeof(path), "%s", config->path);
	else
		len = snprintf(path, sizeof(path), "%s/%s", db->base_dir, config->path);
	if ((size_t)len >= sizeof(path))
		return fail(error, error_size, config->path, -EINVAL, "its path is too long");
	if (config->bytes < DB_SPOOL_MIN)
		return fail(error, error_size, path, -EINVAL, "it has 1 MiB at least");
	for (unsigned i = 0; i < db->spools; i++) {
		if (strcmp(db->spool[i]->path, path) != 0)
			continue;
		*out = db->spool[i];
		atomic_store_explicit(&(*out)->bytes, config->bytes, memory_order_relaxed);
		return 0;
	}
	if (db->spools == DB_SPOOLS_MAX)
		return fail(error, error_size, path, -ENOSPC, "there are four already");
	return make(db, path, config->bytes, out, error, error_size);
}

const char *spool_name(const struct spool *s)
{
	return spool_file_name(s->file);
}

/* A disk that is slow is waited for while it goes on. */
bool spool_stop(struct spool *s)
{
	uint64_t now = clock_now_ns(), last = s->db->end_by + STOP_NS, before;

	atomic_store_explicit(&s->stop, true, memory_order_release);
	wake(s);
	do {
		before = atomic_load_explicit(&s->steps, memory_order_relaxed);
		if (thread_join(&s->thread, now + SILENT_NS))
			return true;
		now = clock_now_ns();
	} while (atomic_load_explicit(&s->steps, memory_order_relaxed) != before && now < last);
	log_error("db: the spool %s: its disk does not answer", s->path);
	return false;
}

/* ---- the writer's side ---- */

static void set_rows(struct spool *s, struct held *h, uint64_t rows)
{
	uint64_t had = atomic_exchange_explicit(&h->rows, rows, memory_order_relaxed);

	db_count(s->db, DB_COUNTER_SPOOL_ROWS, rows - had);
}

/* Under the lock. */
static void count(struct spool *s, const struct database *d)
{
	struct held *h = &s->held[d->number];
	uint64_t now = clock_now_ns(), rows;
	char error[DB_ERROR_MAX];

	if (h->counted != 0 && now - h->counted < COUNT_NS)
		return;
	h->counted = now;
	if (spool_file_count(s->file, d, &rows, error, sizeof(error)) != SPOOL_DONE) {
		log_warning("db: the spool %s: %s", s->path, error);
		return;
	}
	set_rows(s, h, rows);
}

bool spool_holds(struct spool *s, const struct database *d)
{
	struct held *h = &s->held[d->number];

	if (atomic_load_explicit(&h->rows, memory_order_relaxed) != 0)
		return true;
	if (h->counted != 0 && clock_now_ns() - h->counted < COUNT_NS)
		return false;
	pthread_mutex_lock(&s->lock);
	count(s, d);
	pthread_mutex_unlock(&s->lock);
	return atomic_load_explicit(&h->rows, memory_order_relaxed) != 0;
}

void spool_begin(struct spool *s, struct db_lane *lane, const struct database *d)
{
	lane_set_spooled(lane, d->number, true);
	wake(s);
}

bool spool_end(struct spool *s, struct db_lane *lane, const struct database *d)
{
	bool empty;

	/* The thread may just be taking something. */
	pthread_mutex_lock(&s->lock);
	empty = atomic_load_explicit(&s->held[d->number].rows, memory_order_relaxed) == 0;
	if (empty)
		lane_set_spooled(lane, d->number, false);
	pthread_mutex_unlock(&s->lock);
	return empty;
}

/* What was refused is kept aside: *moved so many of the file's. Where there is no room for that it
 * is lost, and *no_room counts it. */
static enum spool_result keep(struct spool *s, const struct database *d,
	const struct spool_refused *refused, unsigned count, uint64_t *moved, uint64_t *no_room,
	char *error, size_t error_size)
{
	enum spool_result result = SPOOL_DONE;

	if (count == 0)
		return SPOOL_DONE;
	spool_file_limit(s->file, s->bytes_set, true);
	for (unsigned i = 0; i < count && result == SPOOL_DONE; i++) {
		result = spool_file_refuse(s->file, d, refused[i].id, refused[i].calls,
			refused[i].sentence, error, error_size);
		if (result == SPOOL_DONE)
			*moved += refused[i].id != 0;
		if (result != SPOOL_FULL || !spool_file_goes_on(s->file))
			continue;
		++*no_room;
		result = SPOOL_DONE;
	}
	spool_file_limit(s->file, s->bytes_set, false);
	return result;
}

/* Under the lock. */
static enum spool_result settle(struct spool *s, const struct database *d,
	const struct spool_refused *refused, unsigned count, char *error, size_t error_size)
{
	struct held *h = &s->held[d->number];
	uint64_t n = 0, moved = 0, no_room = 0,
		 rows = atomic_load_explicit(&h->rows, memory_order_relaxed);
	enum spool_result result = spool_file_begin(s->file, error, error_size);

	if (result != SPOOL_DONE)
		return result;
	result = keep(s, d, refused, count, &moved, &no_room, error, error_size);
	if (result == SPOOL_DONE && h->struck != 0)
		result = spool_file_strike(s->file, d, h->struck, &n, error, error_size);
	if (result != SPOOL_DONE) {
		spool_file_undo(s->file);
		return result;
	}
	result = spool_file_commit(s->file, error, error_size);
	if (result != SPOOL_DONE)
		return result;
	n += moved;
	h->struck = 0;
	h->made += n;
	atomic_fetch_add_explicit(&s->refused_lost, no_room, memory_order_relaxed);
	/* There may be more of them than were counted: somebody has put some in. */
	set_rows(s, h, rows > n ? rows - n : 0);
	if (rows != 0 && rows <= n) {
		spool_file_shrink(s->file);
		log_notice("db: %s: %llu changes of the spool %s are over", d->url.text,
			(unsigned long long)h->made, s->path);
		h->made = 0;
	}
	return SPOOL_DONE;
}

/* What could not be put aside is read again, from its first on; but what came from lanes has
 * nowhere to stay. */
static void leave(
	struct spool *s, struct held *h, const struct spool_refused *refused, unsigned count)
{
	uint64_t no_room = 0;

	for (unsigned i = 0; i < count; i++) {
		no_room += refused[i].id == 0;
		if (refused[i].id != 0 && refused[i].id <= h->struck)
			h->struck = refused[i].id - 1;
	}
	atomic_fetch_add_explicit(&s->refused_lost, no_room, memory_order_relaxed);
}

bool spool_settle(struct spool *s, const struct database *d, int64_t to,
	const struct spool_refused *refused, unsigned count)
{
	struct held *h = &s->held[d->number];
	char error[DB_ERROR_MAX] = "";
	bool settled = true;

	pthread_mutex_lock(&s->lock);
	h->in_hand = false;
	if (to > h->struck)
		h->struck = to;
	if (count != 0 || h->struck != 0)
		settled = settle(s, d, refused, count, error, sizeof(error)) == SPOOL_DONE;
	if (!settled)
		leave(s, h, refused, count);
	pthread_mutex_unlock(&s->lock);
	if (!settled)
		log_warning(
			"db: the spool %s: %s: what is over still stands there", s->path, error);
	return settled;
}

/* Whether the writer of a database with another password has some in hand: for the file they are
 * one. Under the lock. */
static bool is_with_another(const struct spool *s, const struct database *d)
{
	for (unsigned i = 0; i < DB_DATABASES_MAX; i++) {
		if (i != d->number && s->held[i].in_hand &&
			strcmp(s->db->database[i]->url.text, d->url.text) == 0)
			return true;
	}
	return false;
}

bool spool_read(struct spool *s, const struct database *d, struct spool_row *row, unsigned *rows,
	char *room, size_t size)
{
	struct held *h = &s->held[d->number];
	char error[DB_ERROR_MAX];
	enum spool_result result;

	pthread_mutex_lock(&s->lock);
	if (is_with_another(s, d)) {
		pthread_mutex_unlock(&s->lock);
		return false;
	}
	if (h->struck != 0)
		(void)settle(s, d, NULL, 0, error, sizeof(error));
	result =
		spool_file_read(s->file, d, h->struck, row, rows, room, size, error, sizeof(error));
	/* One that cannot be read, or has not what was thought to be there, is no reason to wait.
	 */
	h->in_hand = result == SPOOL_DONE && *rows != 0;
	if (!h->in_hand)
		set_rows(s, h, 0);
	pthread_mutex_unlock(&s->lock);
	if (result != SPOOL_DONE)
		log_warning("db: the spool %s: %s", s->path, error);
	return result == SPOOL_DONE && *rows != 0;
}
