/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The case db: phones register with db_mode 1, each 200 behind the commit of its row: a million for
 * the first time, then again, drawn by lot. Then what stands in the table is asked for, and read as
 * at a start. The file is SQLite's as siplane has it: a write-ahead log, each commit on disk.
 *
 * Phones, worker, slow lcore and control take turns on one CPU; the database's threads have the
 * others, as in siplane.
 */
#include <time.h>

#include "phones.h"

#define USERS 1000000
#define WINDOW 3072       /* REGISTERs under way: what a busy registrar has, and three batches */
#define HELD (4 * WINDOW) /* databases have half of the places */
#define ASKED 2048        /* look-ups under way */
#define CACHED 50000      /* answers that are looked up in the cache */
#define COMMITS_NS (500 * CLOCK_NS_PER_MS) /* a window with many commits in it */
#define WINDOW_NS (20 * CLOCK_NS_PER_MS)
#define STUCK_S 30
#define LIFE 3600 /* seconds that a phone asks for */
#define LOADS 3
#define EXPECTED "SIP/2.0 200 "

/* ---- what is asked ---- */

struct questions {
	struct bench *b;
	struct db *db;
	struct lot lot;
	uint32_t users;
	unsigned statement;
	unsigned under_way;
	uint64_t done;
};

static unsigned statement_make(
	struct questions *q, const char *text, const char *columns, unsigned params)
{
	const struct db_statement st = {.text = text,
		.columns = columns,
		.params = (uint8_t)params,
		.ttl_s = 3600,
		.negative_ttl_s = 3600};
	char error[256];
	int n = db_use(q->db, NULL, error, sizeof(error));

	if (n >= 0)
		n = db_statement(q->db, n, &st, error, sizeof(error));
	if (n < 0)
		bench_fail(q->b, "%s: %s", text, error);
	return (unsigned)n;
}

static struct str question_of(const struct questions *q, uint32_t user, char *out)
{
	char name[16];
	struct db_value v =
		db_text(str_of(name, (size_t)snprintf(name, sizeof(name), "%08u", user)));

	return str_of(out, (size_t)db_pack(q->db, out, DB_CALL_MAX, 0, q->statement, &v, 1));
}

static void answered(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct questions *q = arg;

	if (result != DB_DONE || (rows != NULL && rows->count != 1))
		bench_fail(q->b, "a contact that is not there: %s", db_result_text(result));
	q->under_way--;
	q->done++;
}

/* Asks for `last` users drawn by lot, or for so long. */
static void ask(struct questions *q, double seconds, uint64_t last, struct samples *ns)
{
	uint64_t begun = clock_now_ns(), end = begun + (uint64_t)(seconds * 1e9), now = begun;
	uint64_t from = begun, from_done = q->done, given = 0;
	char call[DB_CALL_MAX];

	while (q->under_way != 0 || (last != 0 ? given < last : now < end)) {
		while (q->under_way < ASKED && (last != 0 ? given < last : now < end)) {
			uint32_t user = ns != NULL ? lot_below(&q->lot, q->users) : (uint32_t)given;
			struct str text = question_of(q, user, call);

			if ((ns != NULL ? db_ask(q->db, text, answered, q)
					: db_fetch(q->db, text, answered, q)) != 0)
				break;
			q->under_way++;
			given++;
		}
		(void)db_poll(q->db, clock_now_ns());
		now = clock_now_ns();
		if (now - begun > (uint64_t)(seconds * 1e9) + STUCK_S * CLOCK_NS_PER_S)
			bench_fail(q->b, "%u questions have no answer", q->under_way);
		if (ns == NULL || now - from < WINDOW_NS || q->done == from_done)
			continue;
		samples_add(ns, (double)(now - from) / (double)(q->done - from_done));
		from = now;
		from_done = q->done;
	}
	if (ns != NULL && ns->n == 0)
		samples_add(ns, (double)(now - from) / (double)(q->done - from_done));
}

/* What workers do with rows that are remembered. */
static void find(struct questions *q, double seconds, uint32_t users, struct samples *ns)
{
	uint64_t from = clock_now_ns(), end = from + (uint64_t)(seconds * 1e9), now = from;
	char call[DB_CALL_MAX];
	struct db_set set;

	while (now < end || ns->n == 0) {
		for (unsigned i = 0; i < 1000; i++) {
			struct str text = question_of(q, lot_below(&q->lot, users), call);

			if (db_find(q->db, text, from, &set) != DB_FOUND)
				bench_fail(q->b, "what was fetched is not remembered");
		}
		now = clock_now_ns();
		samples_add(ns, (double)(now - from) / 1000);
		from = now;
	}
}

static bool take_count(void *arg, const struct db_value *value, unsigned columns)
{
	*(int64_t *)arg = value[0].i;
	return true;
}

static void check_rows(struct questions *q, uint32_t users)
{
	char error[256], call[64];
	unsigned statement = statement_make(q,
		"SELECT COUNT(*) FROM location WHERE contact LIKE 'sip:%@10.10.0.%' AND callid<>''",
		"i", 0);
	int len = db_pack(q->db, call, sizeof(call), 0, statement, NULL, 0);
	int64_t rows = -1;
	uint64_t changed;

	if (db_now(q->db, str_of(call, (size_t)len), take_count, &rows, &changed, error,
		    sizeof(error)) != DB_DONE)
		bench_fail(q->b, "rows cannot be counted: %s", error);
	if (rows != (int64_t)users)
		bench_fail(q->b, "%" PRId64 " rows of %u contacts", rows, users);
}

static void measure_questions(struct bench *b, struct db *db, uint32_t users, const char *device)
{
	struct questions q = {.b = b, .db = db, .users = users, .lot = {7}};
	uint32_t cached = RTE_MIN(users, (uint32_t)CACHED);
	struct samples ns, remembered;

	samples_init(&ns);
	samples_init(&remembered);
	check_rows(&q, users);
	q.statement = statement_make(
		&q, "SELECT contact,received,path FROM location WHERE username=?", "sss", 1);
	bench_say(b, "users drawn by lot are asked for");
	ask(&q, b->seconds, 0, &ns);
	ask(&q, 0, cached, NULL);
	find(&q, b->seconds / 4, cached, &remembered);
	bench_rate_row(b, "lookups_per_second", &ns, device,
		"one user's rows of a million, from question to answer by control; two threads "
		"ask");
	bench_rate_row(b, "lookups_per_second/remembered", &remembered, "memory",
		"rows of 50,000 users in the cache, by one thread");
	samples_free(&ns);
	samples_free(&remembered);
}

/* ---- a start ---- */

/* Reads the table, as siplane does before it takes a message. Seconds. */
static double load(struct bench *b, const struct rig *r, uint32_t users)
{
	uint64_t begun = clock_now_ns();
	struct registrar_loaded loaded;
	struct location_stats stats;
	char error[256];
	double seconds;

	if (registrar_load(r->registrar, begun, &loaded, error, sizeof(error)) != 0)
		bench_fail(b, "contacts cannot be read: %s", error);
	seconds = (double)(clock_now_ns() - begun) / 1e9;
	location_stats(r->location, &stats);
	if (loaded.contacts != users || stats.aors != users)
		bench_fail(b, "%" PRIu64 " contacts of %u were read, %" PRIu64 " had ended",
			loaded.contacts, users, loaded.ended);
	return seconds;
}

static double load_anew(struct bench *b, const struct rig_config *config, uint32_t users)
{
	struct rig *r = rig_rooms(config);
	double seconds;

	if (r == NULL || rig_load(r, config) != 0)
		bench_fail(b, "%s does not load", config->config);
	seconds = load(b, r, users);
	rig_destroy(r);
	return seconds;
}

/* ---- registrations ---- */

/* Seconds may have passed since it came, while its row was on its way. */
static bool says_life(struct str text)
{
	const char *at = memmem(text.s, text.len, ";expires=", 9);
	uint32_t life;

	return at != NULL && text.s + text.len - at > 13 &&
	       str_to_u32(str_of(at + 9, 4), LIFE, &life) == 0 && life >= LIFE - STUCK_S;
}

static void react(struct phones *p, unsigned port, const struct net_endpoint *to, struct str text)
{
	if (port != 0)
		bench_fail(p->b, "a REGISTER went on:\n%.*s", (int)text.len, text.s);
	if (text.len < sizeof(EXPECTED) || memcmp(text.s, EXPECTED, sizeof(EXPECTED) - 1) != 0 ||
		(p->inspects && !says_life(text)))
		bench_fail(p->b, "a phone was not registered:\n%.*s", (int)text.len, text.s);
	p->open -= p->open != 0;
	p->done++;
}

static void register_new(struct phones *p)
{
	register_user(p, (uint32_t)(p->begun - 1));
}

struct committed {
	uint64_t ns, changes, commits;
	double cpu_s; /* of the database's threads */
};

static double cpu_s(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct committed committed(const struct phones *p)
{
	return (struct committed){.ns = clock_now_ns(),
		.changes = db_counter(p->rig->db, DB_COUNTER_CHANGES),
		.commits = db_counter(p->rig->db, DB_COUNTER_COMMITS),
		.cpu_s = cpu_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_s(CLOCK_THREAD_CPUTIME_ID)};
}

static void commit_rows(struct bench *b, const struct committed *from, const struct committed *to,
	const char *device)
{
	double seconds = (double)(to->ns - from->ns) / 1e9;
	double commits = (double)(to->commits - from->commits);
	double changes = (double)(to->changes - from->changes);

	bench_value(b, "commits_per_second", "1/s", commits / seconds, device,
		"of the registrations above: transactions on disk");
	bench_value(b, "changes_per_commit", "", commits != 0 ? changes / commits : 0, device,
		"registrations that one of them takes");
	bench_value(b, "registrations_per_database_second", "1/s",
		changes / (to->cpu_s - from->cpu_s), device,
		"a second of the writer's own time, without what it waits for the disk");
}

static void check(struct phones *p)
{
	struct location_stats stats;

	phones_settle(p);
	location_stats(p->rig->location, &stats);
	if (stats.contacts != p->users ||
		registrar_counter(p->rig->registrar, REGISTRAR_COUNTER_ACCEPTED) != p->done)
		bench_fail(p->b, "%" PRIu64 " of %u users are registered, %" PRIu64 " answered",
			stats.contacts, p->users, p->done);
}

static void measure_registrations(
	struct bench *b, const struct rig_config *config, uint32_t users, const char *device)
{
	static const char note[] = "phones, worker, slow lcore and control on one CPU, the "
				   "database's threads on the others";
	struct committed from, to;
	struct load new, again;
	struct phones p;

	phones_create_with(b, &p, config);
	load(b, p.rig, 0);
	register_templates(&p, users);
	p.window = WINDOW;
	p.react = react;
	p.window_ns = COMMITS_NS;
	load_init(&new);
	load_init(&again);
	p.begin = register_new;
	p.inspects = true;
	bench_say(b, "%u users register for the first time", users);
	if (b->count != 0)
		p.users = users = (uint32_t)b->count;
	phones_run(&p, 0, users, &new);
	check(&p);
	p.inspects = false;
	p.begin = register_any;
	from = committed(&p);
	phones_run(&p, b->seconds, 0, &again);
	to = committed(&p);
	check(&p);
	bench_rate_row(b, "registrations_per_second/new", &new.ns, device,
		"for the first time, each reply looked at");
	bench_rate_row(b, "registrations_per_second", &again.ns, device, note);
	commit_rows(b, &from, &to, device);
	bench_rate_row(b, "registrations_per_slow_second", &again.own_slow, device,
		"a second of the slow lcore's own time");
	measure_questions(b, p.rig->db, users, device);
	load_free(&new);
	load_free(&again);
	phones_destroy(&p);
}

static void measure_loads(
	struct bench *b, const struct rig_config *config, uint32_t users, const char *device)
{
	struct samples seconds, rate;
	char metric[64];

	samples_init(&seconds);
	samples_init(&rate);
	for (unsigned i = 0; i < (b->count != 0 ? 1 : LOADS); i++) {
		double s;

		bench_say(b, "%u contacts are read as at a start, %u of %u", users, i + 1, LOADS);
		s = load_anew(b, config, users);
		samples_add(&seconds, s);
		samples_add(&rate, users / s);
	}
	snprintf(metric, sizeof(metric), "seconds_to_load/%u", users);
	bench_row(b, metric, "s", &seconds, device, "contacts from the table at a start");
	bench_row(b, "contacts_loaded_per_second", "1/s", &rate, device, "");
	samples_free(&seconds);
	samples_free(&rate);
}

int case_db(struct bench *b)
{
	struct store store;
	uint32_t users = RTE_MIN(b->contacts, (uint32_t)USERS);
	struct rig_config config = {
		.config = BENCH_CONFIG_DB, .workers = 1, .contacts = users, .held = HELD};

	/* What waits for its commit lets others have the CPU. */
	b->threads = 1;
	store_make(b, &store);
	config.db_url = store.url;
	measure_registrations(b, &config, users, store.device);
	if (b->count != 0)
		users = (uint32_t)b->count;
	config.slow = 1;
	measure_loads(b, &config, users, store.device);
	return 0;
}
