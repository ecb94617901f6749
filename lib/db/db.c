/* SPDX-License-Identifier: BSD-3-Clause */
/* db: databases and statements. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/internal.h"

#define THREADS_DEFAULT 2
#define WAITERS_DEFAULT 16384
#define WAITERS_MAX (1u << 20)

static int fail(char *error, size_t error_size, int err, const char *text)
{
	snprintf(error, error_size, "db: %s", text);
	return err;
}

/* ---- create, destroy ---- */

struct db *db_create(const struct db_config *config, char *error, size_t error_size)
{
	struct db *db = aligned_alloc(_Alignof(struct db), sizeof(*db));

	if (db == NULL) {
		fail(error, error_size, 0, "no memory");
		errno = ENOMEM;
		return NULL;
	}
	memset(db, 0, sizeof(*db));
	db->config = *config;
	pthread_mutex_init(&db->lock, NULL);
	db->config.base_dir = NULL;
	if (db->config.threads == 0)
		db->config.threads = THREADS_DEFAULT;
	if (db->config.waiters == 0)
		db->config.waiters = WAITERS_DEFAULT;
	if (db->config.threads > DB_THREADS_MAX || db->config.waiters > WAITERS_MAX) {
		snprintf(error, error_size, "db: %u threads (at most %u), %u waiters (at most %u)",
			db->config.threads, DB_THREADS_MAX, db->config.waiters, WAITERS_MAX);
		db_destroy(db);
		errno = EINVAL;
		return NULL;
	}
	if (config->base_dir != NULL)
		db->base_dir = strdup(config->base_dir);
	if (!jobs_create(db) || (config->base_dir != NULL && db->base_dir == NULL)) {
		fail(error, error_size, 0, "no memory");
		db_destroy(db);
		errno = ENOMEM;
		return NULL;
	}
	db->rows = rows_create(db, &db->config);
	if (db->rows == NULL) {
		snprintf(error, error_size, "db: no memory for the cache");
		db_destroy(db);
		errno = ENOMEM;
		return NULL;
	}
	(void)db_driver_add(db, &db_sqlite);
	(void)db_driver_add(db, &db_mysql);
	(void)db_driver_add(db, &db_postgres);
	return db;
}

static void destroy_statement(struct statement *s)
{
	if (s == NULL)
		return;
	free(s->text);
	free(s->otherwise);
	free(s->columns);
	free(s);
}

/* Whether no thread uses the database any more. */
static bool stop_database(struct database *d)
{
	struct askers *askers = atomic_load_explicit(&d->askers, memory_order_acquire);
	struct writer *writer = atomic_load_explicit(&d->writer, memory_order_acquire);
	bool stopped = true;

	if (askers != NULL)
		stopped &= askers_stop(askers);
	if (writer != NULL)
		stopped &= writer_stop(writer);
	return stopped;
}

static void destroy_database(struct database *d)
{
	now_close(d);
	pthread_mutex_destroy(&d->lock);
	explicit_bzero(&d->url, sizeof(d->url));
	free(d);
}

void db_destroy(struct db *db)
{
	unsigned databases, lanes, statements;
	bool stopped = true;

	if (db == NULL)
		return;
	databases = atomic_load_explicit(&db->databases, memory_order_acquire);
	lanes = atomic_load_explicit(&db->lanes, memory_order_acquire);
	db->end_by = clock_now_ns() + DB_TIMEOUT_MS * CLOCK_NS_PER_MS;
	for (unsigned i = 0; i < databases; i++) {
		struct writer *w =
			atomic_load_explicit(&db->database[i]->writer, memory_order_acquire);

		if (w != NULL)
			writer_finish(w);
	}
	for (unsigned i = 0; i < databases; i++)
		stopped &= stop_database(db->database[i]);
	/* What no writer took. */
	for (unsigned i = 0; i < db->spools; i++)
		stopped &= spool_stop(db->spool[i]);
	/* A thread that is stuck in its driver, or on a disk, may come back to what it works on:
	 * that stays, lanes and spools too. */
	if (!stopped)
		return;
	for (unsigned i = 0; i < db->spools; i++)
		spool_destroy(db->spool[i]);
	for (unsigned i = 0; i < databases; i++)
		destroy_database(db->database[i]);
	jobs_destroy(db);
	for (unsigned i = 0; i < lanes; i++)
		lane_destroy(db->lane[i]);
	/* Writers make some of their own (mark.c), until they end. */
	statements = atomic_load_explicit(&db->statements, memory_order_acquire);
	for (unsigned i = 0; i < statements; i++)
		destroy_statement(db->statement[i]);
	rows_destroy(db->rows);
	pthread_mutex_destroy(&db->lock);
	free(db->base_dir);
	free(db);
}

int db_driver_add(struct db *db, const struct db_driver *driver)
{
	if (db->drivers == DB_DRIVERS_MAX)
		return -ENOSPC;
	db->driver[db->drivers++] = driver;
	return 0;
}

/* ---- databases ---- */

struct database *db_database_of(const struct db *db, int database)
{
	if (database < 0 ||
		(unsigned)database >= atomic_load_explicit(&db->databases, memory_order_acquire))
		return NULL;
	return db->database[database];
}

static int add_database(struct db *db, const struct db_url *url, char *error, size_t error_size)
{
	unsigned n = atomic_load_explicit(&db->databases, memory_order_relaxed);
	struct database *d;

	for (unsigned i = 0; i < n; i++) {
		if (memcmp(&db->database[i]->url, url, sizeof(*url)) == 0)
			return (int)i;
	}
	if (n == DB_DATABASES_MAX) {
		/* Lcores and threads may still use those of configurations that have gone. */
		snprintf(error, error_size,
			"%s: there are %u databases already: what is not used any more goes with a "
			"restart",
			url->text, n);
		return -ENOSPC;
	}
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return fail(error, error_size, -ENOMEM, "no memory");
	d->db = db;
	d->number = n;
	d->url = *url;
	pthread_mutex_init(&d->lock, NULL);
	db->database[n] = d;
	atomic_store_explicit(&db->databases, n + 1, memory_order_release);
	return (int)n;
}

int db_use(struct db *db, const char *url, char *error, size_t error_size)
{
	char own[DB_URL_MAX];
	struct db_url parsed;
	int n;

	if (url == NULL) {
		pthread_mutex_lock(&db->lock);
		memcpy(own, db->default_url, sizeof(own));
		pthread_mutex_unlock(&db->lock);
		if (own[0] == '\0')
			return fail(error, error_size, -EINVAL, "db_url names no database");
	}
	n = db_url_parse(db, url != NULL ? url : own, db->base_dir, &parsed, error, error_size);
	if (url == NULL)
		explicit_bzero(own, sizeof(own));
	if (n == 0) {
		pthread_mutex_lock(&db->lock);
		n = add_database(db, &parsed, error, error_size);
		pthread_mutex_unlock(&db->lock);
	}
	explicit_bzero(&parsed, sizeof(parsed));
	return n;
}

int db_set_default(struct db *db, const char *url)
{
	size_t len = strlen(url);

	if (len >= sizeof(db->default_url))
		return -EINVAL;
	pthread_mutex_lock(&db->lock);
	memcpy(db->default_url, url, len + 1);
	pthread_mutex_unlock(&db->lock);
	return 0;
}

const char *db_url_text(const struct db *db, int database)
{
	const struct database *d = db_database_of(db, database);

	return d != NULL ? d->url.text : "";
}

bool db_state(const struct db *db, int database, struct db_state *out)
{
	struct database *d = db_database_of(db, database);

	if (d == NULL)
		return false;
	out->url = d->url.text;
	out->connected = atomic_load_explicit(&d->connected, memory_order_relaxed) != 0;
	out->waiting = atomic_load_explicit(&d->waiting, memory_order_relaxed);
	pthread_mutex_lock(&d->lock);
	memcpy(out->error, d->error, sizeof(out->error));
	if (out->error[0] == '\0' && clock_now_ns() < d->complained + DB_COMPLAINT_NS)
		memcpy(out->error, d->complaint, sizeof(out->error));
	pthread_mutex_unlock(&d->lock);
	return true;
}

/* ---- statements ---- */

struct statement *db_statement_of(const struct db *db, unsigned number)
{
	if (number >= atomic_load_explicit(&db->statements, memory_order_acquire))
		return NULL;
	return db->statement[number];
}

static bool same(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static unsigned count_marks(const char *sql)
{
	unsigned n = 0;

	for (const char *p = sql; (p = sql_mark(p)) != NULL; p++)
		n++;
	return n;
}

static int check_text(const char *sql, unsigned params, char *error, size_t error_size)
{
	if (strnlen(sql, DB_SQL_MAX) >= DB_SQL_MAX) {
		snprintf(error, error_size, "db: a statement has %u characters at most: %.80s",
			DB_SQL_MAX - 1, sql);
		return -EINVAL;
	}
	if (count_marks(sql) != params) {
		snprintf(error, error_size, "db: not %u parameters in: %.160s", params, sql);
		return -EINVAL;
	}
	return 0;
}

static int check_statement(const struct db_statement *s, char *error, size_t error_size)
{
	const char *columns = s->columns != NULL ? s->columns : "";
	int err;

	if (s->text == NULL || s->text[0] == '\0')
		return fail(error, error_size, -EINVAL, "a statement without a text");
	if (s->params > DB_PARAMS_MAX || strspn(columns, "sira") != strlen(columns) ||
		strlen(columns) > DB_COLUMNS_MAX) {
		snprintf(error, error_size,
			"db: more than %u parameters, or of %u columns, or columns that are not of "
			"s, "
			"i, r and a: %.160s",
			DB_PARAMS_MAX, DB_COLUMNS_MAX, s->text);
		return -EINVAL;
	}
	err = check_text(s->text, s->params, error, error_size);
	if (err == 0 && s->otherwise != NULL)
		err = check_text(s->otherwise, s->params, error, error_size);
	return err;
}

static struct statement *copy_statement(const struct db_statement *s)
{
	struct statement *copy = calloc(1, sizeof(*copy));
	bool change = s->columns == NULL || s->columns[0] == '\0';

	if (copy == NULL)
		return NULL;
	copy->params = s->params;
	copy->change = change;
	copy->unless_changed = s->unless_changed;
	copy->text = strdup(s->text);
	copy->otherwise = s->otherwise != NULL ? strdup(s->otherwise) : NULL;
	copy->columns = change ? NULL : strdup(s->columns);
	if (copy->text == NULL || (s->otherwise != NULL && copy->otherwise == NULL) ||
		(!change && copy->columns == NULL)) {
		destroy_statement(copy);
		return NULL;
	}
	return copy;
}

static void set_ttl(struct statement *s, const struct db_statement *from)
{
	uint32_t ttl = from->ttl_s, negative = from->negative_ttl_s;

	atomic_store_explicit(
		&s->ttl_s, ttl < DB_TTL_MIN_S ? DB_TTL_MIN_S : ttl, memory_order_relaxed);
	atomic_store_explicit(&s->negative_ttl_s, negative < DB_TTL_MIN_S ? DB_TTL_MIN_S : negative,
		memory_order_relaxed);
}

static int add_statement(struct db *db, int database, const struct db_statement *statement,
	char *error, size_t error_size)
{
	unsigned n = atomic_load_explicit(&db->statements, memory_order_relaxed);
	struct statement *s;

	for (unsigned i = 0; i < n; i++) {
		s = db->statement[i];
		if (s->database == (unsigned)database && strcmp(s->text, statement->text) == 0 &&
			same(s->otherwise, statement->otherwise) &&
			same(s->columns, statement->columns) &&
			s->unless_changed == statement->unless_changed) {
			set_ttl(s, statement);
			return (int)i;
		}
	}
	if (n == DB_STATEMENTS_MAX) {
		snprintf(error, error_size,
			"db: there are %u statements already: what is not used any more goes with "
			"a "
			"restart",
			n);
		return -ENOSPC;
	}
	s = copy_statement(statement);
	if (s == NULL)
		return fail(error, error_size, -ENOSPC, "no memory");
	s->number = n;
	s->database = (unsigned)database;
	set_ttl(s, statement);
	db->statement[n] = s;
	atomic_store_explicit(&db->statements, n + 1, memory_order_release);
	return (int)n;
}

int db_statement(struct db *db, int database, const struct db_statement *statement, char *error,
	size_t error_size)
{
	struct database *d = db_database_of(db, database);
	int n, err;

	if (d == NULL)
		return fail(error, error_size, -EINVAL, "no such database");
	err = check_statement(statement, error, error_size);
	if (err != 0)
		return err;
	pthread_mutex_lock(&db->lock);
	n = add_statement(db, database, statement, error, error_size);
	if (n >= 0 && db->statement[n]->change) {
		atomic_store_explicit(&d->changes, true, memory_order_relaxed);
		/* An lcore cannot begin a thread. */
		if (atomic_load_explicit(&db->lanes, memory_order_relaxed) != 0 &&
			writer_start(d) != 0)
			n = fail(error, error_size, -ENOSPC, "no thread for the writer");
	}
	pthread_mutex_unlock(&db->lock);
	return n;
}

/* ---- figures ---- */

uint64_t db_counter(const struct db *db, enum db_counter counter)
{
	switch (counter) {
	case DB_COUNTER_FOUND:
	case DB_COUNTER_STALE:
	case DB_COUNTER_EVICTED:
	case DB_COUNTER_CACHED:
		return rows_counter(db->rows, counter);
	case DB_COUNTER_SPOOL_LOST:
		return spools_lost(db);
	default:
		return atomic_load_explicit(&db->counter[counter], memory_order_relaxed);
	}
}

const char *db_counter_name(enum db_counter counter)
{
	static const char *const name[] = {
#define DB_COUNTER(id, text) [DB_COUNTER_##id] = text,
		DB_COUNTERS(DB_COUNTER)
#undef DB_COUNTER
	};

	return counter < DB_COUNTER_COUNT ? name[counter] : "?";
}
