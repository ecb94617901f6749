/* SPDX-License-Identifier: BSD-3-Clause */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOW_NS (1000 * CLOCK_NS_PER_S)

/* ---- the database ---- */

static unsigned statement(struct stage *s, const char *sql, const char *columns)
{
	struct db_statement statement = {.text = sql, .columns = columns};
	char error[256] = "";
	int number = db_statement(s->db, s->database, &statement, error, sizeof(error));

	if (number < 0)
		fail_msg("%s", error);
	return (unsigned)number;
}

static void now(struct stage *s, const char *sql, const char *columns,
	bool (*visit)(void *arg, const struct db_value *value, unsigned n), void *arg)
{
	char error[256] = "", call[256];
	int len = db_pack(s->db, call, sizeof(call), 0, statement(s, sql, columns), NULL, 0);

	assert_true(len > 0);
	if (db_now(s->db, str_of(call, (size_t)len), visit, arg, NULL, error, sizeof(error)) !=
		DB_DONE)
		fail_msg("%s: %s", sql, error);
}

void stage_sql(struct stage *s, const char *sql)
{
	now(s, sql, NULL, NULL, NULL);
}

void stage_add(struct stage *s, const char *user, const char *domain, const char *attribute,
	int type, const char *value)
{
	char sql[1024];

	snprintf(sql, sizeof(sql),
		"INSERT INTO usr_preferences (username, domain, attribute, type, value) VALUES "
		"('%s', '%s', '%s', %d, '%s')",
		user, domain, attribute, type, value);
	stage_sql(s, sql);
}

static bool take_row(void *arg, const struct db_value *value, unsigned n)
{
	char *out = arg;
	size_t len = strlen(out);

	snprintf(out + len, 1024 - len, "%s%.*s", len != 0 ? "|" : "",
		value[0].type == DB_TEXT ? (int)value[0].s.len : 4,
		value[0].type == DB_TEXT ? value[0].s.s : "NULL");
	return true;
}

const char *stage_rows(struct stage *s, const char *sql)
{
	static char buffer[4][1024];
	static unsigned turn;
	char *out = buffer[turn++ % 4];

	out[0] = '\0';
	now(s, sql, "s", take_row, out);
	return out;
}

void stage_pass(struct stage *s, unsigned seconds)
{
	s->l.thread.now_ns += seconds * CLOCK_NS_PER_S;
}

void stage_forget(struct stage *s)
{
	db_forget(s->db, STR_NONE);
}

int stage_setup(void **state)
{
	struct db_config config = {.threads = 1};
	const char *url = getenv("TEST_DB_URL");
	struct stage *s = calloc(1, sizeof(*s));
	char error[256] = "";

	assert_non_null(s);
	snprintf(s->folder, sizeof(s->folder), "/tmp/siplane-avpops-XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	if (url != NULL)
		snprintf(s->url, sizeof(s->url), "%s", url);
	else
		snprintf(s->url, sizeof(s->url), "sqlite://%s/avps.sqlite", s->folder);
	s->db = db_create(&config, error, sizeof(error));
	if (s->db == NULL)
		fail_msg("%s", error);
	assert_int_equal(db_set_default(s->db, s->url), 0);
	s->database = db_use(s->db, NULL, error, sizeof(error));
	if (s->database < 0)
		fail_msg("%s", error);
	if (db_schema_create(s->db, s->database, error, sizeof(error)) < 0)
		fail_msg("%s", error);
	s->avpops = avpops_create(s->db);
	assert_non_null(s->avpops);
	language_registry(&s->l.registry);
	assert_int_equal(avpops_register(s->avpops, &s->l.registry), 0);
	assert_int_equal(route_thread_init(&s->l.thread, 0), 0);
	s->l.thread.now_ns = NOW_NS;
	s->l.ctx = aligned_alloc(64, (sizeof(*s->l.ctx) + 63) & ~(size_t)63);
	assert_non_null(s->l.ctx);
	memset(s->l.ctx, 0xa5, sizeof(*s->l.ctx));
	*state = s;
	return 0;
}

int stage_teardown(void **state)
{
	static const char *const tails[] = {"", "-wal", "-shm"};
	struct stage *s = *state;
	char path[128];

	if (s->l.script != NULL)
		route_script_unref(s->l.script);
	route_thread_fini(&s->l.thread);
	avpops_destroy(s->avpops);
	db_destroy(s->db);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/avps.sqlite%s", s->folder, tails[i]);
		unlink(path);
	}
	rmdir(s->folder);
	free(s->l.ctx);
	free(s->l.buf);
	free(s);
	return 0;
}

/* ---- scripts ---- */

static void load(struct stage *s, const char *params, const char *body, char *said, size_t size)
{
	struct route_report *report = route_report_create();
	char text[16384];

	snprintf(text, sizeof(text),
		"loadmodule \"test.so\" loadmodule \"sl.so\" loadmodule \"pv.so\" loadmodule "
		"\"tm.so\" loadmodule \"avpops.so\"\n%s\nrequest_route {\n%s\n}\n",
		params, body);
	if (s->l.script != NULL)
		route_script_unref(s->l.script);
	language_calls[0] = '\0';
	language_life[0] = '\0';
	s->l.script = route_script_load_text("test.cfg", str_c(text), &s->l.registry, report);
	snprintf(said, size, "%s", route_report_text(report));
	route_report_destroy(report);
	if (s->l.script != NULL)
		route_script_publish(s->l.script);
}

struct heard {
	bool done;
	enum db_result result;
};

static void hear(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct heard *heard = arg;

	heard->done = true;
	heard->result = result;
}

/* As the control thread does for a message that waits. */
static enum route_answer answer(struct stage *s)
{
	struct str call = route_text_str(s->l.ctx, s->l.ctx->wait);
	struct heard heard = {0};

	if (s->l.ctx->wait_for == ROUTE_WAIT_ANEW)
		db_forget(s->db, call);
	if (s->dead)
		return ROUTE_ANSWER_FAILED;
	/* What time it is. */
	db_poll(s->db, s->l.thread.now_ns);
	if (s->l.ctx->wait_for != ROUTE_WAIT_CHANGE)
		assert_int_equal(db_fetch(s->db, call, hear, &heard), 0);
	else
		assert_int_equal(db_change(s->db, call, hear, &heard), 0);
	while (!heard.done) {
		db_poll(s->db, s->l.thread.now_ns);
		usleep(100);
	}
	return heard.result == DB_DONE   ? ROUTE_ANSWER_DONE
	       : heard.result == DB_DOWN ? ROUTE_ANSWER_FAILED
					 : ROUTE_ANSWER_REFUSED;
}

void gives_over(struct stage *s, const char *params, const char *body, const char *message,
	const char *expected)
{
	enum route_verdict verdict;
	char said[4096];

	load(s, params, body, said, sizeof(said));
	if (s->l.script == NULL)
		fail_msg("%s\n%s", body, said);
	language_message(&s->l, message);
	s->waits = 0;
	verdict = route_run(s->l.ctx);
	while (verdict == ROUTE_WAIT) {
		assert_true(++s->waits < 50);
		route_answer_set(s->l.ctx, answer(s));
		verdict = route_resume(s->l.ctx);
	}
	assert_int_equal(verdict, ROUTE_ENDED);
	if (strcmp(language_calls, expected) != 0)
		print_message("%s\n%s\n", body, said);
	assert_string_equal(language_calls, expected);
}

void gives(struct stage *s, const char *params, const char *body, const char *expected)
{
	gives_over(s, params, body, language_invite, expected);
}

void refused(struct stage *s, const char *params, const char *body, const char *error)
{
	char said[4096];

	load(s, params, body, said, sizeof(said));
	if (s->l.script != NULL || strstr(said, error) == NULL)
		fail_msg("%s\n%s%s", params, body, said);
}
