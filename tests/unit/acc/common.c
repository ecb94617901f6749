/* SPDX-License-Identifier: BSD-3-Clause */
#include "common.h"

#include <pthread.h>
#include <sqlite3.h>
#include <unistd.h>

#define LINES 16384
#define SPOOL "modparam(\"acc\", \"spool_file\", \"\")\n"
#define WAIT_US 200
#define WAIT_TIMES 150000 /* 30 s */

static struct {
	struct world *w;
	struct db *db;
	struct acc *acc;
	sqlite3 *look;
	char path[64], url[96];
	const char *tables;
	uint32_t calls;
	pthread_mutex_t lock;
	char *line[LINES];
	unsigned lines, taken;
	bool held;
	int facility, level; /* of the last line */
	char answer[65536];
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct acc *the_acc(void)
{
	return all.acc;
}

uint64_t acc_counted(enum acc_counter counter)
{
	return acc_counter(all.acc, counter);
}

/* ---- lines ---- */

static void write_line(void *arg, int facility, int level, struct str line)
{
	bool held = true;

	while (held) {
		pthread_mutex_lock(&all.lock);
		held = all.held;
		if (!held && all.lines < LINES) {
			all.line[all.lines] = strndup(line.s, line.len);
			all.facility = facility;
			all.level = level;
			all.lines++;
		}
		pthread_mutex_unlock(&all.lock);
		if (held)
			usleep(WAIT_US);
	}
}

void hold_lines(void)
{
	pthread_mutex_lock(&all.lock);
	all.held = true;
	pthread_mutex_unlock(&all.lock);
}

void let_lines(void)
{
	pthread_mutex_lock(&all.lock);
	all.held = false;
	pthread_mutex_unlock(&all.lock);
}

static unsigned lines_now(void)
{
	unsigned n;

	pthread_mutex_lock(&all.lock);
	n = all.lines;
	pthread_mutex_unlock(&all.lock);
	return n;
}

const char *next_line(void)
{
	for (unsigned i = 0; i < WAIT_TIMES && lines_now() == all.taken; i++)
		usleep(WAIT_US);
	if (lines_now() == all.taken)
		fail_msg("no line has come");
	return all.line[all.taken++];
}

int last_facility(void)
{
	return all.facility;
}

int last_level(void)
{
	return all.level;
}

unsigned lines_taken(void)
{
	return all.taken;
}

void line_has(const char *line, const char *part)
{
	if (strstr(line, part) == NULL)
		fail_msg("'%s' has no '%s'", line, part);
}

void no_line(void)
{
	/* All that were given to the thread have been written. */
	for (unsigned i = 0; i < WAIT_TIMES && lines_now() < acc_counted(ACC_COUNTER_LINES); i++)
		usleep(WAIT_US);
	if (lines_now() != all.taken)
		fail_msg("nobody has asked for '%s'", all.line[all.taken]);
}

/* ---- rows ---- */

void run_sql(const char *sql)
{
	char *error = NULL;

	if (sqlite3_exec(all.look, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", sql, error);
}

static unsigned ask_rows(const char *question)
{
	sqlite3_stmt *st;
	size_t len = 0;
	unsigned rows = 0;

	all.answer[0] = '\0';
	if (sqlite3_prepare_v2(all.look, question, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", question, sqlite3_errmsg(all.look));
	while (sqlite3_step(st) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(st); i++) {
			const unsigned char *text = sqlite3_column_text(st, i);

			len += (size_t)snprintf(all.answer + len, sizeof(all.answer) - len, "%s%s",
				i != 0 ? "|" : "", text != NULL ? (const char *)text : "NULL");
		}
		len += (size_t)snprintf(all.answer + len, sizeof(all.answer) - len, "\n");
		rows++;
	}
	sqlite3_finalize(st);
	if (len > 0)
		all.answer[len - 1] = '\0';
	return rows;
}

const char *rows_of(const char *question, unsigned rows)
{
	unsigned n = ask_rows(question);

	for (unsigned i = 0; i < WAIT_TIMES && n < rows; i++) {
		usleep(WAIT_US);
		n = ask_rows(question);
	}
	if (n != rows)
		fail_msg("%s: %u rows instead of %u: %s", question, n, rows, all.answer);
	return all.answer;
}

unsigned count_rows(const char *table)
{
	/* What is done is committed, refused or failed. */
	for (unsigned i = 0; i < WAIT_TIMES; i++) {
		if (db_counter(all.db, DB_COUNTER_CHANGES) +
				db_counter(all.db, DB_COUNTER_REFUSED) >=
			acc_counted(ACC_COUNTER_ROWS))
			break;
		usleep(WAIT_US);
	}
	return (unsigned)strtoul(
		(ask_rows(printed("SELECT COUNT(*) FROM %s", table)), all.answer), NULL, 10);
}

void lock_database(void)
{
	run_sql("BEGIN EXCLUSIVE");
}

void unlock_database(void)
{
	run_sql("COMMIT");
}

/* ---- a function that waits, as those do that ask a database ---- */

static int32_t wait_for(struct route_ctx *ctx, const struct route_args *args)
{
	const struct world *w = args->room;
	const struct resolve_addresses *found;
	struct str name = args->v[0].s;

	if (resolve_find(resolver_snapshot(w->resolver), RESOLVE_ADDRESS, name, &found) ==
		RESOLVE_MISSING)
		return route_wait_name(ctx, name, RESOLVE_ADDRESS);
	return ROUTE_TRUE;
}

static const struct route_module waiter = {.name = "waiter",
	.functions =
		(const struct route_function[]){{.name = "wait_for",
							.args_min = 1,
							.args_max = 1,
							.path = ROUTE_PATH_SLOW,
							.in = ROUTE_IN_REQUEST | ROUTE_IN_FAILURE,
							.run = wait_for,
							.usage = "wait_for(name)",
							.help = "Waits until that name is known."},
			{.name = NULL}}};

/* ---- the world ---- */

static void make_tables(void)
{
	char error[512];

	if (sqlite3_open(all.path, &all.look) != SQLITE_OK)
		fail_msg("%s: %s", all.path, sqlite3_errmsg(all.look));
	sqlite3_busy_timeout(all.look, 20000);
	if (all.tables != NULL)
		run_sql(all.tables);
	else if (db_schema_create(all.db, db_use(all.db, all.url, error, sizeof(error)), error,
			 sizeof(error)) < 0)
		fail_msg("%s", error);
}

static void make_rooms(struct world *w)
{
	struct acc_config config = {
		.txn = w->txn, .shards = w->config.shards, .calls = all.calls, .write = write_line};
	char error[512];

	strcpy(all.path, "/tmp/siplane-acc-XXXXXX");
	close(mkstemp(all.path));
	snprintf(all.url, sizeof(all.url), "sqlite://%s", all.path);
	all.db = db_create(&(struct db_config){0}, error, sizeof(error));
	assert_non_null(all.db);
	assert_int_equal(db_set_default(all.db, all.url), 0);
	make_tables();
	config.db = all.db;
	all.acc = acc_create(&config);
	assert_non_null(all.acc);
	acc_tick(all.acc, w->now_ns);
	assert_int_equal(acc_register(all.acc, &w->registry), 0);
	assert_int_equal(route_registry_add(&w->registry, &waiter, w), 0);
}

static struct world *world_with(
	const char *script, const char *tables, uint32_t calls, bool unobserved)
{
	char *text;

	all.tables = tables;
	all.calls = calls;
	all.lines = all.taken = 0;
	assert_true(asprintf(&text, "%s%s", ACC_MODULES SPOOL, script) > 0);
	all.w = world_new((struct world_config){
		.script = text, .rooms = make_rooms, .unobserved = unobserved, .names = true});
	free(text);
	return all.w;
}

struct world *acc_world(const char *script)
{
	return world_with(script, NULL, 0, false);
}

struct world *acc_world_on(const char *script, const char *tables)
{
	return world_with(script, tables, 0, false);
}

struct world *acc_world_unobserved(const char *script)
{
	return world_with(script, NULL, 0, true);
}

struct world *acc_world_of(const char *script, uint32_t calls)
{
	return world_with(script, NULL, calls, false);
}

void acc_reload(struct world *w, const char *script)
{
	struct route_report *report = route_report_create();
	struct route_script *made = route_script_load_text("other.cfg",
		str_c(printed("%s%s%s", ACC_MODULES, SPOOL, script)), &w->registry, report);

	if (made == NULL)
		fail_msg("%s", route_report_text(report));
	route_report_destroy(report);
	route_script_publish(made);
	route_script_unref(made);
}

static void close_rooms(void)
{
	acc_destroy(all.acc);
	sqlite3_close(all.look);
	db_destroy(all.db);
	unlink(all.path);
	for (unsigned i = 0; i < 2; i++)
		unlink(printed("%s%s", all.path, i == 0 ? "-wal" : "-shm"));
	for (unsigned i = 0; i < all.lines; i++)
		free(all.line[i]);
	all.lines = all.taken = 0;
}

void acc_close(struct world *w)
{
	no_line();
	world_close(w);
	close_rooms();
}

void acc_discard(struct world *w)
{
	world_discard(w);
	close_rooms();
}
