/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"

#include <unistd.h>

char table_path[64], table_url[DB_URL_MAX];

int table_begin(void **state)
{
	char error[256];
	struct db *db = db_create(&(struct db_config){.threads = 1}, error, sizeof(error));
	int n, fd, made = -1;

	table_path[0] = '\0';
	if (getenv("TEST_DB_URL") != NULL) {
		snprintf(table_url, sizeof(table_url), "%s", getenv("TEST_DB_URL"));
		table_change("DROP TABLE IF EXISTS location");
	} else {
		strcpy(table_path, "/tmp/siplane-test-XXXXXX");
		fd = mkstemp(table_path);
		assert_true(fd >= 0);
		close(fd);
		unlink(table_path);
		snprintf(table_url, sizeof(table_url), "sqlite://%s", table_path);
	}
	n = db_use(db, table_url, error, sizeof(error));
	assert_true(n >= 0);
	/* What a server on a busy machine does not answer in time is asked again. */
	for (unsigned i = 0; i < 10 && (made = db_schema_create(db, n, error, sizeof(error))) < 0;
		i++)
		;
	if (made < 0)
		fail_msg("%s", error);
	db_destroy(db);
	return 0;
}

int table_end(void **state)
{
	char name[80];

	for (unsigned i = 0; i < 3 && table_path[0] != '\0'; i++) {
		static const char *const suffix[] = {"", "-wal", "-shm"};

		snprintf(name, sizeof(name), "%s%s", table_path, suffix[i]);
		unlink(name);
	}
	return 0;
}

/* ---- what stands in the table, as another process would see it ---- */

struct seen {
	char *out;
	size_t len, size;
};

static bool see(void *arg, const struct db_value *v, unsigned columns)
{
	struct seen *seen = arg;

	for (unsigned i = 0; i < columns; i++) {
		struct str s = v[i].type == DB_NULL ? STR("NULL") : v[i].s;

		seen->len += (size_t)snprintf(seen->out + seen->len, seen->size - seen->len,
			"%s%.*s", i == 0 ? "" : "|", STR_FMT(s));
	}
	seen->len += (size_t)snprintf(seen->out + seen->len, seen->size - seen->len, "\n");
	return true;
}

static void sql(const char *text, const char *columns, struct seen *seen)
{
	char error[256], call[64];
	struct db *db = db_create(&(struct db_config){.threads = 1}, error, sizeof(error));
	int database = db_use(db, table_url, error, sizeof(error)), statement, len;
	const struct db_statement st = {.text = text, .columns = columns};

	statement = db_statement(db, database, &st, error, sizeof(error));
	if (statement < 0)
		fail_msg("%s", error);
	len = db_pack(db, call, sizeof(call), 0, (unsigned)statement, NULL, 0);
	if (db_now(db, str_of(call, (size_t)len), see, seen, &(uint64_t){0}, error,
		    sizeof(error)) != DB_DONE)
		fail_msg("%s", error);
	db_destroy(db);
}

/* Rows as text, in order. One static buffer. */
const char *table_rows(const char *columns)
{
	static char out[65536];
	struct seen seen = {.out = out, .size = sizeof(out)};
	char text[512], types[40] = "";
	unsigned n = 1;

	for (const char *p = columns; *p != '\0'; p++)
		n += *p == ',';
	memset(types, 's', n);
	snprintf(text, sizeof(text), "SELECT %s FROM location ORDER BY username, contact", columns);
	out[0] = '\0';
	sql(text, types, &seen);
	return out;
}

void table_change(const char *text)
{
	char out[8];

	sql(text, NULL, &(struct seen){.out = out, .size = sizeof(out)});
}

uint64_t table_loads(struct stage *s)
{
	struct registrar_loaded loaded;
	char error[256];

	if (registrar_load(s->registrar, s->thread.now_ns, &loaded, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	return loaded.contacts;
}

uint64_t table_counted(struct stage *s, enum registrar_counter counter)
{
	return registrar_counter(s->registrar, counter);
}

/* Until what is on its way has come. */
void table_wait(struct stage *s, const char *columns, const char *wanted)
{
	for (unsigned i = 0; i < 12000 && strcmp(table_rows(columns), wanted) != 0; i++) {
		db_poll(s->db, clock_now_ns());
		usleep(5000);
	}
	assert_string_equal(table_rows(columns), wanted);
}

void table_pass(struct stage *s, const char *columns, const char *wanted)
{
	for (unsigned i = 0; i < 30000 && strcmp(table_rows(columns), wanted) != 0; i++) {
		stage_pass(s, 1);
		registrar_tick(s->registrar, s->thread.now_ns);
		db_poll(s->db, clock_now_ns());
		usleep(2000);
	}
	assert_string_equal(table_rows(columns), wanted);
}
