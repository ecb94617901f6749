/* SPDX-License-Identifier: BSD-3-Clause */
/* Readers beside the writer: an answer that is read is one that was given, to this call, and whole;
 * and who is known all the while is always found. */
#include "rows.h"

#include <pthread.h>
#include <unistd.h>

#define NAMES 40  /* few, so that writer and readers meet */
#define STAYING 8 /* of them, the first, are never forgotten */
#define READERS 2
#define READS 60000 /* together, at the least */
#define REST_US 50
#define LOOKS (60 * 1000000 / REST_US) /* a minute of them */
#define CHANGES 60000

static struct {
	_Atomic uint64_t read, mixed, missed, elsewhere;
	_Atomic uint64_t now;
	_Atomic bool stop;
	char call[NAMES][64];
	uint32_t len[NAMES];
} race;

/* All of an answer comes from the name and a number. */
static unsigned make(unsigned name, unsigned number, char text[64], struct db_value value[12])
{
	unsigned rows = 1 + number % 3;
	uint32_t len = 1 + (name * 7 + number) % 60;

	memset(text, (int)('a' + (name + number) % 26), len);
	for (unsigned i = 0; i < rows; i++) {
		value[4 * i] = db_int((int64_t)number);
		value[4 * i + 1] = db_int((int64_t)name);
		value[4 * i + 2] = db_text(str_of(text, len));
		value[4 * i + 3] = number % 2 ? (struct db_value){.type = DB_NULL}
					      : (struct db_value){.type = DB_REAL, .r = i};
	}
	return rows;
}

static bool is_one(unsigned name, const struct db_set *set)
{
	struct db_value want[12];
	char text[64];
	unsigned number = (unsigned)set->value[0].i;
	unsigned rows = make(name, number, text, want);

	if (set->rows.count != rows || set->rows.columns != 4)
		return false;
	for (unsigned i = 0; i < 4 * rows; i++) {
		const struct db_value *v = &set->value[i];

		if (v->type != want[i].type || v->i != want[i].i || v->r != want[i].r ||
			(v->type == DB_TEXT && !str_eq(v->s, want[i].s)))
			return false;
	}
	return true;
}

/* Where the writer has lost its CPU in the midst of a change nobody can say what stands there, and
 * a message would wait for it. */
static enum db_found find(unsigned name, struct db_set *set)
{
	enum db_found found = DB_MISSING;

	for (unsigned i = 0; i < LOOKS && found == DB_MISSING; i++) {
		/* It comes to its CPU where who waits for it leaves one. */
		if (i != 0)
			usleep(REST_US);
		found = db_find(&stand->db, str_of(race.call[name], race.len[name]), race.now, set);
		if (name >= STAYING)
			break;
	}
	return found;
}

static void *read_all(void *arg)
{
	static _Thread_local struct db_set set;
	uint64_t at = (uintptr_t)arg;

	while (!race.stop) {
		unsigned name = (unsigned)(at++ % NAMES);
		enum db_found found = find(name, &set);

		race.read++;
		if (found == DB_FOUND)
			race.mixed += !is_one(name, &set);
		else
			race.missed += name < STAYING;
	}
	return NULL;
}

static void put(unsigned name, unsigned number)
{
	struct db_value value[12];
	struct db_rows rows = {.columns = 4, .value = value};
	int done = 0;
	char text[64];

	rows.count = make(name, number, text, value);
	assert_int_equal(
		db_fetch(&stand->db, str_of(race.call[name], race.len[name]), stand_done, &done),
		0);
	if (done == 0)
		stand_answer_rows(DB_DONE, &rows);
}

static void test_readers_see_answers(void **state)
{
	pthread_t reader[READERS];
	unsigned number = 0;

	/* As little time as can be, so that what stays is written again and again. */
	stand_begin(&(struct db_config){.rows = 1024});
	stand->statement[STAND_USER].ttl_s = 3;
	race.now = stand->now;
	for (unsigned i = 0; i < NAMES; i++) {
		struct str call;
		char name[32];

		snprintf(name, sizeof(name), "user%u", i);
		call = stand_call(name);
		memcpy(race.call[i], call.s, call.len);
		race.len[i] = call.len;
		put(i, 0);
	}
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(
			pthread_create(&reader[i], NULL, read_all, (void *)(uintptr_t)i), 0);
	while (race.read < READS || number < CHANGES) {
		unsigned name = ++number % NAMES;

		if (name >= STAYING)
			db_forget(&stand->db, str_of(race.call[name], race.len[name]));
		/* The writer's clock is ahead of its readers' so that what ends is asked for again
		 * before they miss it. */
		else if (name == 0)
			stand_pass(3 * CLOCK_NS_PER_S / 2);
		if (number > 40)
			race.now = stand->now - 2 * CLOCK_NS_PER_S > race.now
					   ? stand->now - 2 * CLOCK_NS_PER_S
					   : race.now;
		put(name, number);
		/* Where one thread runs at a time readers come to the end of theirs. */
		if (number > CHANGES)
			usleep(REST_US);
	}
	race.stop = true;
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(reader[i], NULL);
	assert_int_equal(race.mixed, 0);
	assert_int_equal(race.missed, 0);
	stand_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_readers_see_answers)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
