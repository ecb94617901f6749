/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What questions and changes cost, by hand:
 *
 *   db_figures FOLDER ROWS THREADS SECONDS UNDER_WAY [normal]
 *
 * makes FOLDER/figures.sqlite with a table of users, unless it is there, and prints how many first
 * look-ups, changes, and of both in turn, a second come to control's end, which keeps UNDER_WAY of
 * them under way. Under callgrind, COUNT of each instead of SECONDS: db_figures ... =COUNT ...
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "db/db.h"
#include "db/internal.h"

#define UNDER_WAY_MAX 8192
#define ROWS_AT_ONCE 20

struct figures {
	struct db *db;
	int database;
	unsigned find, put, set;
	uint64_t rows;
	uint64_t most; /* under way */
	uint64_t seed;
	uint64_t done, failed, under_way;
};

static void end(const char *text)
{
	fprintf(stderr, "%s\n", text);
	exit(1);
}

static unsigned statement(struct figures *f, const char *text, const char *columns, unsigned params)
{
	char error[DB_ERROR_MAX];
	struct db_statement s = {.text = text, .columns = columns, .params = (uint8_t)params};
	int n = db_statement(f->db, f->database, &s, error, sizeof(error));

	if (n < 0)
		end(error);
	return (unsigned)n;
}

static struct str user(char *text, uint64_t number)
{
	return str_of(text, (size_t)sprintf(text, "user%llu", (unsigned long long)number));
}

static uint64_t draw(struct figures *f)
{
	f->seed = f->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (f->seed >> 33) % f->rows;
}

static void count(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct figures *f = arg;

	f->done++;
	f->under_way--;
	f->failed += result != DB_DONE || (rows->columns != 0 && rows->count != 1);
}

static struct str question(struct figures *f, char *out)
{
	char name[32];
	struct db_value v[] = {db_text(user(name, draw(f))), db_text(STR("example.com"))};

	return str_of(out, (size_t)db_pack(f->db, out, DB_CALL_MAX, 0, f->find, v, 2));
}

/* A contact that is registered anew. */
static struct str change(struct figures *f, char *out)
{
	char name[32];
	struct db_value v[] = {
		db_int((int64_t)(f->done + f->under_way)), db_text(user(name, draw(f)))};

	return str_of(out, (size_t)db_pack(f->db, out, DB_CALL_MAX, 0, f->set, v, 2));
}

static double cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

enum what { QUESTIONS, CHANGES, BOTH };

static void go(struct figures *f, const char *name, enum what what, double seconds, uint64_t most)
{
	uint64_t began = clock_now_ns(), until = began + (uint64_t)(seconds * 1e9), given = 0;
	uint64_t commits = db_counter(f->db, DB_COUNTER_COMMITS);
	double wall, cpu = cpu_s();
	char call[DB_CALL_MAX];
	unsigned n;

	f->done = f->failed = f->under_way = 0;
	while (f->under_way != 0 || (most != 0 ? given < most : clock_now_ns() < until)) {
		for (n = 0; n < 32 && f->under_way < f->most; n++) {
			if (most != 0 ? given == most : clock_now_ns() >= until)
				break;
			bool asks = what == QUESTIONS || (what == BOTH && given % 2 == 0);

			if ((asks ? db_ask(f->db, question(f, call), count, f)
				  : db_change(f->db, change(f, call), count, f)) != 0)
				break;
			f->under_way++;
			given++;
		}
		if (db_poll(f->db, clock_now_ns()) == 0 && n == 0)
			usleep(20);
	}
	wall = (double)(clock_now_ns() - began) / 1e9;
	printf("%-10s %9.0f /s, %llu in %.2f s, %.1f us of CPU each, %llu failed", name,
		(double)f->done / wall, (unsigned long long)f->done, wall,
		(cpu_s() - cpu) * 1e6 / (double)f->done, (unsigned long long)f->failed);
	commits = db_counter(f->db, DB_COUNTER_COMMITS) - commits;
	if (what != QUESTIONS && commits != 0)
		printf(", %llu commits", (unsigned long long)commits);
	printf("\n");
}

static void sql(struct figures *f, const char *text)
{
	char error[DB_ERROR_MAX] = "";
	struct link *l = now_take(db_database_of(f->db, f->database), error, sizeof(error));
	struct db_run run = {0};

	if (l == NULL || link_sql(l, text, &run, error, sizeof(error)) != DB_DONE)
		end(error);
	now_give(db_database_of(f->db, f->database), l);
}

static void fill(struct figures *f)
{
	char call[DB_CALL_MAX], name[32];

	sql(f, "CREATE TABLE subscriber (id INTEGER PRIMARY KEY, username VARCHAR(64) NOT NULL, "
	       "domain VARCHAR(64) NOT NULL, ha1 VARCHAR(128) NOT NULL, "
	       "ha1b VARCHAR(128) NOT NULL, rpid VARCHAR(128), UNIQUE (username, domain))");
	sql(f, "CREATE TABLE location (id INTEGER PRIMARY KEY, username VARCHAR(64) NOT NULL, "
	       "contact VARCHAR(512) NOT NULL, expires INTEGER NOT NULL, UNIQUE (username))");
	for (uint64_t i = 0; i < f->rows;) {
		uint32_t len = 0;

		for (unsigned n = 0; n < ROWS_AT_ONCE && i < f->rows; n++, i++) {
			struct db_value v[] = {db_text(user(name, i)), db_text(STR("example.com")),
				db_text(STR("939e7578ed9e3c518a452acee763bce9")),
				db_text(STR("9fb1b5a4f7a7b2f7b4f6bd1d5a3a3c21"))};

			len = (uint32_t)db_pack(f->db, call, sizeof(call), len, f->put, v, 4);
		}
		while (db_change(f->db, str_of(call, len), count, f) != 0)
			(void)db_poll(f->db, clock_now_ns());
		f->under_way++;
		while (f->under_way > 512)
			(void)db_poll(f->db, clock_now_ns());
	}
	while (f->under_way != 0)
		(void)db_poll(f->db, clock_now_ns());
	if (f->failed != 0)
		end("rows were not made");
}

int main(int argc, char **argv)
{
	struct figures f = {.seed = 1};
	struct db_config config = {0};
	char path[256], url[300], error[DB_ERROR_MAX] = "";
	bool there, counts;
	double seconds;
	uint64_t most;

	if (argc < 6)
		end("db_figures FOLDER ROWS THREADS SECONDS|=COUNT UNDER_WAY [normal]");
	f.rows = strtoull(argv[2], NULL, 10);
	config.threads = (unsigned)atoi(argv[3]);
	counts = argv[4][0] == '=';
	seconds = counts ? 0 : atof(argv[4]);
	f.most = strtoull(argv[5], NULL, 10);
	if (f.most == 0 || f.most > UNDER_WAY_MAX)
		end("UNDER_WAY is 1 to 8192");
	most = counts ? strtoull(argv[4] + 1, NULL, 10) : 0;
	snprintf(path, sizeof(path), "%s/figures.sqlite", argv[1]);
	snprintf(url, sizeof(url), "sqlite://%s%s", path, argc > 6 ? "?synchronous=normal" : "");
	there = access(path, F_OK) == 0;
	f.db = db_create(&config, error, sizeof(error));
	if (f.db == NULL)
		end(error);
	f.database = db_use(f.db, url, error, sizeof(error));
	if (f.database < 0)
		end(error);
	f.find = statement(&f,
		"SELECT ha1, ha1b, rpid FROM subscriber WHERE username = ? AND domain = ?", "sss",
		2);
	f.put = statement(&f,
		"INSERT INTO subscriber (username, domain, ha1, ha1b) VALUES (?, ?, ?, ?)", NULL,
		4);
	f.set = statement(&f,
		"INSERT INTO location (expires, username, contact) VALUES "
		"(?, ?, 'sip:someone@192.0.2.1:5060;transport=udp') "
		"ON CONFLICT (username) DO UPDATE SET expires = excluded.expires",
		NULL, 2);
	if (!there)
		fill(&f);
	go(&f, "questions", QUESTIONS, seconds, most);
	go(&f, "changes", CHANGES, seconds, most);
	go(&f, "both", BOTH, seconds, most);
	db_destroy(f.db);
	return 0;
}
