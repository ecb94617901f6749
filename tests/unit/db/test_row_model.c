/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cache beside a model of it, in random order: questions, answers of all kinds, forgetting,
 * time. What it says is what the model says. Where the names are few it has room for all of them
 * and misses none; where they are many it may only miss.
 */
#include "rows.h"

#define NAMES_MAX 3000
#define ROUNDS 300000

struct known {
	bool stands; /* something was answered, and not forgotten since */
	enum db_found found;
	unsigned text; /* number of the text that was answered */
	uint64_t expires, over;
	unsigned asking;       /* how many wait */
	bool asked, forgotten; /* a question is under way; it was forgotten since */
};

static struct {
	struct known known[NAMES_MAX];
	unsigned names, texts, waited, called;
	uint64_t missed;
} m;

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % below;
}

static struct str call_of(unsigned name)
{
	char text[64];

	snprintf(text, sizeof(text), "user%u", name);
	return stand_call(text);
}

/* The name that a packed call is about. */
static unsigned name_of(struct str call)
{
	struct db_call unpacked;
	char text[64];

	assert_int_equal(db_unpack(&call, &unpacked), 0);
	snprintf(text, sizeof(text), "%.*s", STR_FMT(unpacked.param[0].s));
	return (unsigned)atoi(text + 4);
}

static void text_of(unsigned number, char out[64])
{
	/* Of several lengths, so that answers move. */
	snprintf(out, 64, "%u%.*s", number, (int)(number % 40),
		"......................................................");
}

static enum db_found expected(const struct known *k)
{
	return k->stands && stand->now < k->expires ? k->found : DB_MISSING;
}

static void look(unsigned name)
{
	const struct known *k = &m.known[name];
	enum db_found found = db_find(&stand->db, call_of(name), stand->now, &stand_set);
	char text[64];

	if (found == DB_MISSING && expected(k) != DB_MISSING) {
		m.missed++;
		return;
	}
	assert_int_equal(found, expected(k));
	if (found != DB_FOUND)
		return;
	text_of(k->text, text);
	assert_true(str_eq(stand_set.value[0].s, str_c(text)));
	assert_int_equal(stand_set.rows.count, 1 + k->text % 4);
}

static void was_called(void *arg, enum db_result result, const struct db_rows *rows)
{
	m.called++;
}

static void fetch(unsigned name)
{
	struct known *k = &m.known[name];
	unsigned asked = stand->asked;
	int err = db_fetch(&stand->db, call_of(name), was_called, NULL);

	if (stand->asked > asked) {
		assert_false(k->asked);
		k->asked = true;
	}
	if (err == 0)
		m.waited++;
	else
		assert_int_equal(err, -EAGAIN);
}

static void take(struct known *k, enum db_found found, uint64_t ttl, uint64_t stale)
{
	*k = (struct known){.stands = true,
		.found = found,
		.text = m.texts,
		.expires = stand->now + ttl,
		.over = stand->now + ttl + stale};
}

#define STALE_NS (30 * CLOCK_NS_PER_S)

static void answer(void)
{
	static const enum db_result results[] = {
		DB_DONE, DB_DONE, DB_DONE, DB_DONE, DB_DOWN, DB_REFUSED};
	enum db_result result = results[draw(6)];
	bool none = draw(4) == 0;
	struct known *k;
	char text[64];
	uint64_t asked;

	if (stand->asked == 0)
		return;
	k = &m.known[name_of(str_of(stand->ask[0].call, stand->ask[0].len))];
	text_of(++m.texts, text);
	asked = stand->asked_ever;
	stand_answer(result, none ? NULL : text, 1 + m.texts % 4);
	if (stand->asked_ever > asked) {
		assert_true(k->forgotten);
		k->forgotten = false; /* it is asked anew */
		return;
	}
	k->asked = false;
	if (k->forgotten)
		take(k, DB_FAILED, DB_FAILURE_MS * CLOCK_NS_PER_MS, 0);
	else if (result == DB_DONE && none)
		take(k, DB_NO_ROW, STAND_NEGATIVE_TTL_S * CLOCK_NS_PER_S, STALE_NS);
	else if (result == DB_DONE)
		take(k, DB_FOUND, STAND_TTL_S * CLOCK_NS_PER_S, STALE_NS);
	else if (result == DB_DOWN && k->stands && k->found != DB_FAILED && stand->now < k->over &&
		 db_find(&stand->db, call_of((unsigned)(k - m.known)), stand->now, &stand_set) !=
			 DB_FAILED)
		/* What stood in could have gone for want of room. */
		k->expires = stand->now + DB_FAILURE_MS * CLOCK_NS_PER_MS;
	else
		take(k, DB_FAILED, DB_FAILURE_MS * CLOCK_NS_PER_MS, 0);
}

static void forget(unsigned name)
{
	db_forget(&stand->db, call_of(name));
	m.known[name].stands = false;
	m.known[name].forgotten = m.known[name].asked;
}

static void forget_all(void)
{
	db_forget(&stand->db, STR_NONE);
	for (unsigned i = 0; i < m.names; i++) {
		m.known[i].stands = false;
		m.known[i].forgotten = m.known[i].asked;
	}
}

static void play(unsigned names, uint64_t seed)
{
	memset(&m, 0, sizeof(m));
	m.names = names;
	random_state = seed * 2654435761u + 1;
	stand_begin(&(struct db_config){.rows = 1024, .stale_s = 30, .waiters = 400});
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned name = draw(4) == 0 ? draw(names / 8) : draw(names);

		switch (draw(16)) {
		case 0:
			/* Slow enough for all of them to be there at a time. */
			stand_pass((uint64_t)draw(200000 / names) * CLOCK_NS_PER_MS);
			break;
		case 1:
			if (draw(8) == 0)
				forget(name);
			break;
		case 2:
			if (draw(512) == 0)
				forget_all();
			break;
		case 3:
		case 4:
		case 5:
		case 6:
			fetch(name);
			break;
		case 7:
		case 8:
		case 9:
		case 10:
		case 11:
			answer();
			break;
		default:
			look(name);
			break;
		}
	}
	while (stand->asked > 0)
		answer();
	assert_int_equal(m.called, m.waited);
	for (unsigned i = 0; i < names; i++)
		look(i);
	assert_true(rows_counter(stand->db.rows, DB_COUNTER_CACHED) <= 1024);
}

/* A share of 128 has room for all of these, whatever they are. */
static void test_few_names(void **state)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		play(100, seed);
		assert_int_equal(m.missed, 0);
		assert_int_equal(rows_counter(stand->db.rows, DB_COUNTER_EVICTED), 0);
		stand_end();
	}
}

static void test_more_names_than_room(void **state)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		play(NAMES_MAX, seed);
		assert_true(m.missed > 0);
		assert_true(rows_counter(stand->db.rows, DB_COUNTER_EVICTED) > 0);
		stand_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few_names),
		cmocka_unit_test(test_more_names_than_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
