/* SPDX-License-Identifier: BSD-3-Clause */
/* Replaces, reads and sweeps drawn by lot, held against an array that any eye can follow. */
#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define USERS 60
#define CONTACTS_MAX 9
#define CONTACTS 120 /* room: the table is full from time to time */
#define STEPS 60000

struct entry {
	unsigned count;
	struct location_contact contact[CONTACTS_MAX];
};

struct model {
	struct location *table;
	struct entry user[USERS];
	uint64_t random;
	uint32_t now;
	char text[2048]; /* what all spans point into: it never changes */
	uint64_t refused, swept;
};

static uint32_t lot(struct model *m, uint32_t below)
{
	return (uint32_t)((test_random(&m->random) >> 32) * below >> 32);
}

static struct str text(struct model *m, uint32_t max)
{
	/* Mostly short, at times as long as may be. */
	uint32_t len = lot(m, 8) == 0 ? lot(m, max + 1) : lot(m, max < 40 ? max : 40);

	return str_of(m->text + lot(m, 1000), len);
}

static struct location_contact contact(struct model *m)
{
	struct location_contact c = {
		.uri = text(m, LOCATION_URI_MAX),
		.call_id = text(m, LOCATION_CALL_ID_MAX),
		.user_agent = text(m, LOCATION_USER_AGENT_MAX),
		.listener = (int16_t)(lot(m, 10) - 1),
		.q = lot(m, 2) ? LOCATION_Q_NONE : (uint16_t)(lot(m, 5) * 250),
		.methods = lot(m, 2) ? UINT32_MAX : lot(m, 0xffff),
		.flags = lot(m, 3) ? 0 : lot(m, 0xffff),
		.reg_id = lot(m, 3) ? 0 : lot(m, 5),
		.cseq = lot(m, UINT32_MAX),
		.modified = m->now,
		.expires = m->now + lot(m, 60),
	};

	if (lot(m, 4) == 0)
		c.path = text(m, LOCATION_PATH_MAX);
	if (lot(m, 4) == 0)
		c.instance = text(m, LOCATION_INSTANCE_MAX);
	if (lot(m, 2) == 0) {
		c.received.addr.family = lot(m, 2) ? 4 : 6;
		memcpy(c.received.addr.b, m->text + lot(m, 1000),
			c.received.addr.family == 4 ? 4 : 16);
		c.received.port = (uint16_t)lot(m, 65536);
	}
	return c;
}

static const char *name_of(unsigned user)
{
	static char name[32];

	snprintf(name, sizeof(name), "user%u@example.net", user);
	return name;
}

/* In the order of a set: the highest q first, equals as they are. */
static void sort(struct entry *e)
{
	for (unsigned i = 1; i < e->count; i++) {
		for (unsigned j = i; j > 0; j--) {
			struct location_contact *a = &e->contact[j - 1], *b = a + 1, held = *a;

			if ((uint16_t)(a->q + 1) >= (uint16_t)(b->q + 1))
				break;
			*a = *b;
			*b = held;
		}
	}
}

static void forget_ended(struct entry *e, uint32_t now)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < e->count; i++) {
		if (e->contact[i].expires > now)
			e->contact[kept++] = e->contact[i];
	}
	e->count = kept;
}

static void check(struct model *m, unsigned user)
{
	static struct location_set set;
	struct entry want = m->user[user];

	forget_ended(&want, m->now);
	assert_int_equal(test_read(m->table, name_of(user), m->now, &set), (int)want.count);
	for (unsigned i = 0; i < want.count; i++)
		test_same(&set.contact[i], &want.contact[i]);
}

static unsigned stands(const struct model *m, bool live)
{
	unsigned n = 0;

	for (unsigned u = 0; u < USERS; u++) {
		for (unsigned i = 0; i < m->user[u].count; i++)
			n += !live || m->user[u].contact[i].expires > m->now;
	}
	return n;
}

static void replace(struct model *m, unsigned user)
{
	struct entry new = m->user[user], *e = &m->user[user];
	int err;

	switch (lot(m, 6)) {
	case 0:
		new.count = lot(m, CONTACTS_MAX + 1);
		for (unsigned i = 0; i < new.count; i++)
			new.contact[i] = contact(m);
		break;
	case 1:
		new.count = 0;
		break;
	case 2:
		if (new.count < CONTACTS_MAX)
			new.contact[new.count++] = contact(m);
		break;
	default: /* a refresh */
		for (unsigned i = 0; i < new.count; i++) {
			if (lot(m, 2))
				continue;
			new.contact[i].expires = m->now + 10 + lot(m, 50);
			new.contact[i].modified = m->now;
			new.contact[i].cseq++;
		}
	}
	err = test_replace_at(m->table, name_of(user), m->now, new.contact, new.count);
	if (err == 0) {
		*e = new;
		sort(e);
		return;
	}
	m->refused++;
	assert_true(err == -ENOSPC || err == -E2BIG);
}

static void step(struct model *m)
{
	unsigned user = lot(m, USERS);

	switch (lot(m, 10)) {
	case 0:
		m->now += lot(m, 4);
		break;
	case 1:
		m->swept += location_sweep(m->table, 0, m->now, lot(m, 100));
		break;
	case 2:
	case 3:
	case 4:
		check(m, user);
		break;
	default:
		replace(m, user);
		check(m, user);
	}
}

static void the_table_is_what_the_model_is(void **state)
{
	for (unsigned seed = 1; seed <= 3; seed++) {
		static struct model m;

		memset(&m, 0, sizeof(m));
		m.random = seed;
		m.now = 1000;
		for (unsigned i = 0; i < sizeof(m.text); i++)
			m.text[i] = (char)('!' + lot(&m, 90));
		m.table = test_table(1, CONTACTS);
		for (unsigned i = 0; i < STEPS; i++)
			step(&m);
		for (unsigned user = 0; user < USERS; user++)
			check(&m, user);
		assert_true(m.swept > 10000 && m.refused > 100);
		/* A whole sweep leaves what lives, and nothing when nothing does. */
		location_sweep(m.table, 0, m.now, UINT32_MAX);
		assert_int_equal(test_stats(m.table).contacts, stands(&m, true));
		location_sweep(m.table, 0, UINT32_MAX, UINT32_MAX);
		assert_int_equal(test_stats(m.table).contacts, 0);
		assert_int_equal(test_stats(m.table).bytes_used, 0);
		location_destroy(m.table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_table_is_what_the_model_is)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
