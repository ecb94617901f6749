/* SPDX-License-Identifier: BSD-3-Clause */
#include "rows.h"

struct stand *stand;
struct db_set stand_set;

/* ---- what the cache asks of the room ---- */

struct statement *db_statement_of(const struct db *db, unsigned number)
{
	return number < 3 ? &stand->statement[number] : NULL;
}

int db_ask(struct db *db, struct str call, db_done done, void *arg)
{
	struct asked *a;

	if (stand->asked == stand->asked_max)
		return -EAGAIN;
	a = &stand->ask[stand->asked++];
	assert_true(call.len <= sizeof(a->call));
	memcpy(a->call, call.s, call.len);
	a->len = call.len;
	a->done = done;
	a->arg = arg;
	stand->asked_ever++;
	return 0;
}

/* ---- what tests ask of it ---- */

void stand_begin(const struct db_config *config)
{
	stand = aligned_alloc(_Alignof(struct stand), sizeof(*stand));
	assert_non_null(stand);
	memset(stand, 0, sizeof(*stand));
	stand->ask = calloc(STAND_ASKED_MAX, sizeof(*stand->ask));
	assert_non_null(stand->ask);
	stand->asked_max = STAND_ASKED_MAX;
	for (unsigned i = 0; i < 3; i++) {
		stand->statement[i].number = i;
		stand->statement[i].params = 1;
	}
	stand->statement[STAND_USER].ttl_s = STAND_TTL_S;
	stand->statement[STAND_USER].negative_ttl_s = STAND_NEGATIVE_TTL_S;
	stand->statement[STAND_CHANGE].change = true;
	stand->db.rows = rows_create(&stand->db, config);
	assert_non_null(stand->db.rows);
	stand_pass(1000 * CLOCK_NS_PER_S);
}

void stand_end(void)
{
	rows_destroy(stand->db.rows);
	free(stand->ask);
	free(stand);
}

void stand_pass(uint64_t ns)
{
	stand->now += ns;
	rows_poll(stand->db.rows, stand->now);
}

struct str stand_call_of(unsigned statement, const char *name)
{
	static char out[DB_CALL_MAX];
	struct db_value param = db_text(str_c(name));
	int len = db_pack(&stand->db, out, sizeof(out), 0, statement, &param, 1);

	assert_true(len > 0);
	return str_of(out, (size_t)len);
}

struct str stand_call(const char *name)
{
	return stand_call_of(STAND_USER, name);
}

void stand_answer_rows(enum db_result result, const struct db_rows *rows)
{
	struct asked a;

	assert_true(stand->asked > 0);
	a = stand->ask[0];
	memmove(stand->ask, stand->ask + 1, --stand->asked * sizeof(a));
	a.done(a.arg, result, rows);
}

void stand_answer(enum db_result result, const char *text, unsigned count)
{
	struct db_value value[60];
	struct db_rows rows = {.count = text != NULL ? count : 0, .columns = 3, .value = value};

	for (unsigned i = 0; i < rows.count; i++) {
		value[3 * i] = db_text(str_c(text));
		value[3 * i + 1] = db_int((int64_t)i - 1);
		value[3 * i + 2] = (struct db_value){.type = DB_REAL, .r = i + 0.5};
	}
	stand_answer_rows(result, result == DB_DONE ? &rows : NULL);
}

void stand_put(const char *name, const char *text)
{
	int done = 0;

	assert_int_equal(db_fetch(&stand->db, stand_call(name), stand_done, &done), 0);
	if (done == 0)
		stand_answer(DB_DONE, text, 1);
	assert_int_equal(done, 1);
}

enum db_found stand_find(const char *name)
{
	return db_find(&stand->db, stand_call(name), stand->now, &stand_set);
}

void stand_done(void *arg, enum db_result result, const struct db_rows *rows)
{
	assert_int_equal(result, DB_DONE);
	assert_null(rows);
	++*(int *)arg;
}
