/* SPDX-License-Identifier: BSD-3-Clause */
#include "../folder.h"
#include "common.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void pause_ms(unsigned ms)
{
	struct timespec ts = {ms / 1000, (long)(ms % 1000) * (long)CLOCK_NS_PER_MS};

	nanosleep(&ts, NULL);
}

struct bench *bench_new(void)
{
	const char *url = getenv("TEST_DB_URL");
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	snprintf(b->folder, sizeof(b->folder), "%s/siplane-db-XXXXXX", folder_of_databases());
	assert_non_null(mkdtemp(b->folder));
	if (url != NULL)
		snprintf(b->url, sizeof(b->url), "%s", url);
	else
		snprintf(b->url, sizeof(b->url), "sqlite://%s/test.sqlite", b->folder);
	return b;
}

bool bench_is_sqlite(const struct bench *b)
{
	return strncmp(b->url, "sqlite:", 7) == 0;
}

unsigned bench_statement(struct bench *b, const char *text, const char *otherwise,
	const char *columns, unsigned params)
{
	char error[DB_ERROR_MAX];
	struct db_statement s = {.text = text,
		.otherwise = otherwise,
		.columns = columns,
		.params = (uint8_t)params,
		.ttl_s = 10,
		.negative_ttl_s = 10};
	int n = db_statement(b->db, b->database, &s, error, sizeof(error));

	if (n < 0)
		fail_msg("%s: %s", text, error);
	return (unsigned)n;
}

void bench_open(struct bench *b)
{
	char error[DB_ERROR_MAX] = "";

	b->db = db_create(&b->config, error, sizeof(error));
	if (b->db == NULL)
		fail_msg("%s", error);
	b->database = db_use(b->db, b->url, error, sizeof(error));
	if (b->database < 0)
		fail_msg("%s: %s", b->url, error);
	b->find = bench_statement(b, "SELECT name, n FROM t WHERE id = ?", NULL, "si", 1);
	b->all = bench_statement(b, "SELECT id, name, n FROM t ORDER BY id", NULL, "isi", 0);
	b->put = bench_statement(b, "INSERT INTO t (id, name, n) VALUES (?, ?, ?)", NULL, NULL, 3);
	b->set = bench_statement(b, "UPDATE t SET n = ? WHERE id = ?", NULL, NULL, 2);
}

enum db_result bench_sql(struct bench *b, const char *sql)
{
	char error[DB_ERROR_MAX] = "";
	struct link *l = now_take(db_database_of(b->db, b->database), error, sizeof(error));
	struct db_run run = {0};
	enum db_result result;

	if (l == NULL) {
		print_error("%s\n", error);
		return DB_DOWN;
	}
	result = link_sql(l, sql, &run, error, sizeof(error));
	if (result != DB_DONE)
		print_message("%s: %s\n", sql, error);
	now_give(db_database_of(b->db, b->database), l);
	return result;
}

/* A server on a busy machine may not answer in time; what is in front of a test may take longer. */
static void prepare(struct bench *b, const char *sql)
{
	enum db_result result = DB_DOWN;

	for (unsigned i = 0; i < 10 && result == DB_DOWN; i++)
		result = bench_sql(b, sql);
	assert_int_equal(result, DB_DONE);
}

void bench_tables(struct bench *b)
{
	prepare(b, "DROP TABLE IF EXISTS t");
	prepare(b, "DROP TABLE IF EXISTS u");
	prepare(b, "CREATE TABLE IF NOT EXISTS t (id BIGINT NOT NULL PRIMARY KEY, name "
		   "VARCHAR(5000), n BIGINT)");
	prepare(b, "CREATE TABLE IF NOT EXISTS u (id BIGINT NOT NULL, text VARCHAR(5000))");
}

int bench_setup(void **state)
{
	struct bench *b = bench_new();

	log_set_level(getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	*state = b;
	bench_open(b);
	bench_tables(b);
	return 0;
}

static void remove_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	char path[512];

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		(void)unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
	(void)rmdir(folder);
}

int bench_teardown(void **state)
{
	struct bench *b = *state;

	db_destroy(b->db);
	remove_folder(b->folder);
	free(b);
	return 0;
}

static bool take_number(void *arg, const struct db_value *value, unsigned columns)
{
	*(int64_t *)arg = value[0].i;
	return false;
}

int64_t bench_count(struct bench *b)
{
	unsigned s = bench_statement(b, "SELECT COUNT(*) FROM t", NULL, "i", 0);
	char error[DB_ERROR_MAX];
	struct call c = {0};
	int64_t n = -1;

	assert_int_equal(
		db_now(b->db, pack(b, &c, s, 0), take_number, &n, NULL, error, sizeof(error)),
		DB_DONE);
	return n;
}

static struct str pack_values(
	struct bench *b, struct call *c, unsigned statement, unsigned params, va_list values)
{
	struct db_value param[DB_PARAMS_MAX];
	int len;

	for (unsigned i = 0; i < params; i++)
		param[i] = va_arg(values, struct db_value);
	len = db_pack(b->db, c->bytes, sizeof(c->bytes), c->s.len, statement, param, params);
	assert_true(len > 0);
	return c->s = str_of(c->bytes, (size_t)len);
}

struct str pack(struct bench *b, struct call *c, unsigned statement, unsigned params, ...)
{
	struct str s;
	va_list values;

	c->s.len = 0;
	va_start(values, params);
	s = pack_values(b, c, statement, params, values);
	va_end(values);
	return s;
}

struct str pack_more(struct bench *b, struct call *c, unsigned statement, unsigned params, ...)
{
	struct str s;
	va_list values;

	va_start(values, params);
	s = pack_values(b, c, statement, params, values);
	va_end(values);
	return s;
}

void hear(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct heard *h = arg;

	h->times++;
	h->result = result;
	assert_true((rows != NULL) == (result == DB_DONE));
	if (rows == NULL)
		return;
	h->rows = rows->count;
	h->columns = rows->columns;
	h->changed = rows->changed;
	for (unsigned i = 0; i < rows->count * rows->columns && i < 8; i++) {
		const struct db_value *v = &rows->value[i];

		if (v->type == DB_TEXT)
			snprintf(h->text[i], sizeof(h->text[i]), "%.*s", STR_FMT(v->s));
		else if (v->type == DB_INT)
			snprintf(h->text[i], sizeof(h->text[i]), "%lld", (long long)v->i);
		else if (v->type == DB_REAL)
			snprintf(h->text[i], sizeof(h->text[i]), "%g", v->r);
		else
			snprintf(h->text[i], sizeof(h->text[i]), "NULL");
	}
}

void poll_until(struct bench *b, const unsigned *times, unsigned want)
{
	uint64_t end = clock_now_ns() + 120 * CLOCK_NS_PER_S;

	while (*times < want) {
		if (db_poll(b->db, clock_now_ns()) == 0)
			usleep(50);
		if (clock_now_ns() > end)
			fail_msg("%u of %u were called in two minutes", *times, want);
	}
	assert_int_equal(*times, want);
}

enum db_result ask(struct bench *b, struct str call, struct heard *out)
{
	memset(out, 0, sizeof(*out));
	assert_int_equal(db_ask(b->db, call, hear, out), 0);
	poll_until(b, &out->times, 1);
	return out->result;
}

enum db_result change(struct bench *b, struct str calls, struct heard *out)
{
	memset(out, 0, sizeof(*out));
	assert_int_equal(db_change(b->db, calls, hear, out), 0);
	poll_until(b, &out->times, 1);
	return out->result;
}
