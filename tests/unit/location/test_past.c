/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who came first before: whatever calls under way may have been sent to is known as long as they
 * may be under way, and a record that has not changed says so.
 */
#include "common.h"

#include <errno.h>
#include <stdio.h>

#define AOR "alice@example.net"

static struct location_set set;

static struct location_contact phone(const char *uri, uint16_t q, uint32_t expires)
{
	struct location_contact c = test_contact(uri, expires);

	c.q = q;
	return c;
}

static void put(
	struct location *l, uint32_t now, const struct location_contact *contact, unsigned n)
{
	assert_int_equal(test_replace_at(l, AOR, now, contact, n), 0);
}

static const char *before(const struct location *l, uint32_t now)
{
	static char text[64];

	assert_true(test_read(l, AOR, now, &set) >= 0);
	assert_true(set.changing || (set.former == 0 && set.before == -1));
	if (set.before < 0)
		return set.changing ? "nobody" : "calm";
	assert_true(set.before < (int)(set.count + set.former));
	snprintf(text, sizeof(text), "%.*s", STR_FMT(set.contact[set.before].uri));
	return text;
}

static void what_has_not_changed_is_calm(void **state)
{
	struct location *l = test_table(1, 100);
	struct location_contact c[3] = {phone("sip:a", 500, 9000), phone("sip:b", 400, 9000)};
	uint64_t used;

	put(l, 1000, c, 1);
	assert_string_equal(before(l, 1000), "calm");
	used = test_stats(l).bytes_used;
	/* A refresh: from another call, by another program, for longer, with another q. */
	c[0].expires = 9100;
	c[0].modified = 1001;
	c[0].cseq = 2;
	c[0].call_id = STR("another");
	c[0].user_agent = STR("Another/2.0");
	c[0].q = 450;
	put(l, 1001, c, 1);
	assert_string_equal(before(l, 1001), "calm");
	/* Further ones behind it come and go. */
	put(l, 1002, c, 2);
	assert_string_equal(before(l, 1002), "calm");
	c[1].uri = STR("sip:b2");
	put(l, 1003, c, 2);
	c[2] = phone("mailto:a@example.net", 1000, 9000);
	put(l, 1004, c, 3);
	c[2] = phone("sip:c", 1000, 9000);
	c[2].methods = ~(1u << 1);
	assert_true(location_leads(&c[0]) && !location_leads(&c[2]));
	put(l, 1005, c, 3);
	put(l, 1006, c, 1);
	assert_string_equal(before(l, 1006), "calm");
	assert_int_equal(test_stats(l).bytes_used, used);
	location_destroy(l);
}

static void a_better_one_comes_and_goes(void **state)
{
	struct location *l = test_table(1, 100);
	struct location_contact c[2] = {phone("sip:a", 500, 9000), phone("sip:b", 900, 9000)};
	uint64_t used;

	put(l, 1000, c, 1);
	put(l, 1010, c, 2);
	assert_string_equal(before(l, 1010), "sip:a");
	assert_true(str_eq(set.contact[0].uri, STR("sip:b")));
	assert_int_equal(set.former, 0); /* it is still one of them */
	/* On a thread whose clock is behind. */
	assert_string_equal(before(l, 1008), "sip:a");
	assert_string_equal(before(l, 1010 + LOCATION_WINDOW - 1), "sip:a");
	assert_string_equal(before(l, 1010 + LOCATION_WINDOW), "calm");
	/* Back again within the window: calls of its time may be at either. */
	put(l, 1100, c, 1);
	assert_string_equal(before(l, 1100), "sip:a");
	assert_int_equal(set.former, 1);
	assert_true(str_eq(set.contact[1].uri, STR("sip:b")));
	/* The first calls have ended, those of the last change have not. */
	assert_string_equal(before(l, 1010 + LOCATION_WINDOW), "nobody");
	assert_int_equal(set.former, 1);
	assert_string_equal(before(l, 1100 + LOCATION_WINDOW - 1), "nobody");
	assert_string_equal(before(l, 1100 + LOCATION_WINDOW), "calm");
	/* The sweep leaves what one contact takes, and not before. */
	used = test_stats(l).bytes_used;
	location_sweep(l, 0, 1100 + LOCATION_WINDOW - 1, UINT32_MAX);
	assert_string_equal(before(l, 1100), "sip:a");
	location_sweep(l, 0, 1100 + LOCATION_WINDOW, UINT32_MAX);
	assert_string_equal(before(l, 1100), "calm");
	assert_true(test_stats(l).bytes_used <= used);
	assert_int_equal(test_stats(l).contacts, 1);
	assert_int_equal(test_stats(l).expired, 0);
	location_destroy(l);
}

static void one_that_changes_is_another_and_is_kept_as_it_was(void **state)
{
	struct location *l = test_table(1, 100);
	struct location_contact a = phone("sip:a@10.0.0.1", 500, 9000), was;

	a.path = STR("<sip:edge.example.net;lr>");
	a.instance = STR("\"<urn:uuid:1>\"");
	a.reg_id = 1;
	a.flags = 6;
	a.listener = 2;
	a.received.addr = net_addr_v4(0x0100007f);
	a.received.port = 4711;
	put(l, 1000, &a, 1);
	for (unsigned part = 0; part < 7; part++) {
		uint32_t now = 2000 + part * 1000;

		was = a;
		switch (part) {
		case 0:
			a.uri = STR("sip:a@10.0.0.2");
			break;
		case 1:
			a.path = STR_NONE;
			break;
		case 2:
			a.instance = STR("\"<urn:uuid:2>\"");
			break;
		case 3:
			a.reg_id = 2;
			break;
		case 4:
			a.flags = 7;
			break;
		case 5:
			a.listener = 1;
			break;
		case 6:
			a.received.port++;
			break;
		}
		assert_false(location_same_way(&a, &was));
		put(l, now, &a, 1);
		assert_int_equal(test_read(l, AOR, now, &set), 1);
		test_same(&set.contact[0], &a);
		assert_true(set.changing);
		assert_int_equal(set.former, 1);
		assert_int_equal(set.before, 1);
		assert_true(location_same_way(&set.contact[1], &was));
		assert_int_equal(set.contact[1].q, was.q);
		assert_int_equal(set.contact[1].expires, now);
	}
	location_destroy(l);
}

static void one_that_is_removed_or_forgotten_is_still_known(void **state)
{
	struct location *l = test_table(1, 100);
	struct location_contact c[2] = {phone("sip:a", 500, 9000), phone("sip:b", 400, 9000)};

	put(l, 1000, c, 2);
	put(l, 1010, c + 1, 1);
	assert_string_equal(before(l, 1010), "sip:a");
	assert_int_equal(set.count, 1);
	put(l, 1020, NULL, 0);
	assert_int_equal(test_stats(l).aors, 0);
	assert_int_equal(test_stats(l).contacts, 0);
	assert_string_equal(before(l, 1020), "sip:a");
	assert_int_equal(set.former, 2); /* calls since are at b */
	/* Once more changes nothing, and one that comes then is a change. */
	put(l, 1030, NULL, 0);
	assert_int_equal(set.former, 2);
	c[0].uri = STR("sip:c");
	put(l, 1040, c, 1);
	assert_string_equal(before(l, 1041), "sip:a");
	assert_int_equal(set.count, 1);
	assert_int_equal(test_stats(l).aors, 1);
	assert_string_equal(before(l, 1010 + LOCATION_WINDOW), "nobody");
	assert_string_equal(before(l, 1040 + LOCATION_WINDOW), "calm");
	put(l, 3000, NULL, 0);
	assert_int_not_equal(test_stats(l).bytes_used, 0);
	assert_int_equal(test_bytes_after(l, 3000), 0);
	location_destroy(l);
}

static void an_end_needs_no_writer(void **state)
{
	struct location *l = test_table(1, 100);
	struct location_contact c[4] = {phone("sip:a", 900, 1100), phone("sip:late", 800, 1090),
		phone("sip:b", 700, 1150), phone("sip:c", 600, 9000)};

	put(l, 1000, c, 4);
	assert_string_equal(before(l, 1099), "calm");
	assert_string_equal(before(l, 1100), "sip:a");
	assert_int_equal(set.count, 2);
	/* One that ended while another came first was never called. */
	assert_int_equal(set.former, 1);
	assert_string_equal(before(l, 1150), "sip:a");
	assert_int_equal(set.former, 2);
	/* Calls of before the first end are over, those since are remembered. */
	assert_string_equal(before(l, 1100 + LOCATION_WINDOW), "sip:b");
	assert_string_equal(before(l, 1150 + LOCATION_WINDOW), "calm");
	/* A sweep changes nothing of that. */
	assert_int_equal(location_sweep(l, 0, 1160, UINT32_MAX), 3);
	assert_int_equal(test_stats(l).contacts, 1);
	assert_string_equal(before(l, 1160), "sip:a");
	assert_int_equal(set.former, 2);
	assert_string_equal(before(l, 1150 + LOCATION_WINDOW - 1), "nobody");
	assert_string_equal(before(l, 1150 + LOCATION_WINDOW), "calm");
	/* Nor does who comes back. */
	c[0].expires = 9000;
	put(l, 1170, c, 1);
	assert_string_equal(before(l, 1170), "sip:a");
	assert_int_equal(set.count, 1);
	assert_int_equal(set.before, 0);
	location_destroy(l);
}

static void the_last_one_that_ends_stays_known(void **state)
{
	struct location *l = test_table(1, 100);
	struct location_contact a = phone("sip:a", 900, 1100);

	put(l, 1000, &a, 1);
	assert_string_equal(before(l, 1100), "sip:a");
	assert_int_equal(set.count, 0);
	assert_int_equal(location_sweep(l, 0, 1101, UINT32_MAX), 1);
	assert_int_equal(test_stats(l).contacts, 0);
	assert_string_equal(before(l, 1101), "sip:a");
	assert_int_equal(location_sweep(l, 0, 1099 + LOCATION_WINDOW, UINT32_MAX), 0);
	assert_string_equal(before(l, 1101), "sip:a");
	assert_int_equal(test_bytes_after(l, 1100), 0);
	location_destroy(l);
}

/* More than there is room for: the first ones and the last ones are kept, and it is counted. */
static void more_changes_than_are_kept_are_counted(void **state)
{
	struct location *l = test_table(1, 100);
	char uri[40];

	for (unsigned i = 0; i <= LOCATION_FORMER_MAX + 4; i++) {
		struct location_contact c;

		assert_int_equal(test_stats(l).forgotten,
			i > LOCATION_FORMER_MAX + 1 ? i - LOCATION_FORMER_MAX - 1 : 0);
		snprintf(uri, sizeof(uri), "sip:phone%u", i);
		c = phone(uri, 500, 9000);
		put(l, 1000 + i, &c, 1);
	}
	assert_string_equal(before(l, 1020), "sip:phone0");
	assert_int_equal(set.former, LOCATION_FORMER_MAX);
	snprintf(uri, sizeof(uri), "sip:phone%u", LOCATION_FORMER_MAX + 3);
	assert_true(str_eq(set.contact[2].uri, str_c(uri)));
	location_destroy(l);
}

/* What was before takes no room from what is. */
static void a_table_that_is_full_keeps_no_past(void **state)
{
	struct location *l = test_table(1, 400);
	char aor[32];
	uint64_t forgotten;

	for (unsigned round = 0; round < 4; round++) {
		struct location_contact c = phone(round % 2 ? "sip:a" : "sip:b", 500, 9000);

		for (unsigned i = 0; i < 400; i++) {
			snprintf(aor, sizeof(aor), "user%u of %u", i, round);
			assert_int_equal(test_replace_at(l, aor, 1000 + round, &c, 1), 0);
		}
		for (unsigned i = 0; i < 400; i++) {
			snprintf(aor, sizeof(aor), "user%u of %u", i, round);
			assert_int_equal(test_replace_at(l, aor, 1000 + round, NULL, 0), 0);
		}
	}
	forgotten = test_stats(l).forgotten;
	assert_true(forgotten > 1000 && forgotten < 1600);
	assert_int_equal(test_stats(l).failed, 0);
	assert_int_equal(test_stats(l).contacts, 0);
	assert_int_equal(test_bytes_after(l, 1004), 0);
	location_destroy(l);
}

/* Nor where it was there first: a sweep takes it back, though its time is not over. */
static void what_was_makes_room_for_what_is(void **state)
{
	enum { CONTACTS = 100 };
	struct location *l = test_table(1, CONTACTS);
	char aor[32], path[LOCATION_PATH_MAX];
	struct location_contact c;

	memset(path, 'p', sizeof(path));
	for (unsigned i = 0; i < CONTACTS / 2; i++) {
		snprintf(aor, sizeof(aor), "user%u", i);
		c = phone("sip:a", 500, 9000);
		/* With what was before, two places each. */
		c.path = str_of(path, 60);
		assert_int_equal(test_replace_at(l, aor, 1000, &c, 1), 0);
		c.uri = STR("sip:b");
		assert_int_equal(test_replace_at(l, aor, 1001, &c, 1), 0);
	}
	c = phone("sip:c", 500, 9000);
	c.path = str_of(path, 300); /* three places */
	for (unsigned i = 0; i < 33; i++) {
		snprintf(aor, sizeof(aor), "another%u", i);
		assert_int_equal(test_replace_at(l, aor, 1002, &c, 1), 0);
	}
	assert_int_equal(test_replace_at(l, "one more", 1002, &c, 1), -ENOSPC);
	assert_int_equal(test_stats(l).forgotten, 0);
	assert_int_equal(location_sweep(l, 0, 1002, UINT32_MAX), 0);
	assert_true(test_stats(l).forgotten > 5 && test_stats(l).forgotten < CONTACTS / 2);
	assert_int_equal(test_replace_at(l, "one more", 1002, &c, 1), 0);
	assert_int_equal(test_stats(l).contacts, CONTACTS / 2 + 34);
	location_destroy(l);
}

/* ---- by lot, against what any eye can follow ---- */

#define POOL 5
#define STEPS 40000

struct model {
	struct location *table;
	uint64_t random;
	uint32_t now;
	unsigned count; /* that stand, in their order */
	struct location_contact contact[POOL];
	int led; /* number of who comes first now, -1: nobody */
	bool open;
	uint32_t began, changed;
	int before;
	uint32_t led_last[POOL]; /* when each came first last; 0: never */
	uint64_t changing, calm, former;
};

static uint32_t lot(struct model *m, uint32_t below)
{
	return (uint32_t)((test_random(&m->random) >> 32) * below >> 32);
}

/* The last two are nobody that an INVITE is sent to. */
static struct location_contact of_pool(struct model *m, unsigned number)
{
	static const char *const uri[POOL] = {
		"sip:a@192.0.2.1", "sips:b@192.0.2.2", "SIP:c@192.0.2.3", "tel:+4930", "sip:d"};
	struct location_contact c =
		phone(uri[number], lot(m, 4) == 0 ? LOCATION_Q_NONE : (uint16_t)(lot(m, 4) * 250),
			m->now + 1 + lot(m, 300));

	c.cseq = number;
	c.methods = number == 4 ? 1 : UINT32_MAX;
	return c;
}

static void observe(struct model *m)
{
	int led = -1;

	for (unsigned i = 0; i < m->count && led < 0; i++) {
		if (m->contact[i].expires > m->now && m->contact[i].cseq < 3)
			led = (int)m->contact[i].cseq;
	}
	if (m->open && m->now - m->changed >= LOCATION_WINDOW)
		m->open = false;
	if (led != m->led) {
		if (!m->open && m->led >= 0) {
			m->open = true;
			m->began = m->now;
			m->before = m->led;
		}
		if (m->open)
			m->changed = m->now;
	}
	m->led = led;
	if (led >= 0)
		m->led_last[led] = m->now;
}

static void write_any(struct model *m)
{
	struct location_contact given[POOL];
	unsigned n = 0;

	for (unsigned number = 0; number < POOL; number++) {
		if (lot(m, 3) == 0)
			given[n++] = of_pool(m, number);
	}
	assert_int_equal(test_replace_at(m->table, AOR, m->now, given, n), 0);
	m->count = 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned at = m->count++;

		for (; at > 0 && (uint16_t)(m->contact[at - 1].q + 1) < (uint16_t)(given[i].q + 1);
			at--)
			m->contact[at] = m->contact[at - 1];
		m->contact[at] = given[i];
	}
	observe(m);
}

static bool is_known(unsigned number)
{
	for (unsigned i = 0; i < set.count + set.former; i++) {
		if (set.contact[i].cseq == number)
			return true;
	}
	return false;
}

static void compare(struct model *m)
{
	unsigned at = 0;

	assert_true(test_read(m->table, AOR, m->now, &set) >= 0);
	for (unsigned i = 0; i < m->count; i++) {
		if (m->contact[i].expires > m->now)
			test_same(&set.contact[at++], &m->contact[i]);
	}
	assert_int_equal(at, set.count);
	assert_int_equal(set.changing, m->open);
	if (m->open && m->now - m->began < LOCATION_WINDOW) {
		assert_true(set.before >= 0);
		assert_int_equal(set.contact[set.before].cseq, m->before);
	}
	for (unsigned number = 0; m->open && number < POOL; number++) {
		if (m->led_last[number] != 0 && m->now - m->led_last[number] < LOCATION_WINDOW)
			assert_true(is_known(number));
	}
	m->changing += m->open;
	m->calm += !m->open;
	m->former += set.former;
}

static void who_may_have_been_called_is_known(void **state)
{
	for (unsigned seed = 1; seed <= 5; seed++) {
		static struct model m;

		m = (struct model){.random = seed, .now = 1000, .led = -1};
		m.table = test_table(1, 100);
		for (unsigned i = 0; i < STEPS; i++) {
			switch (lot(&m, 8)) {
			case 0:
			case 1:
				for (uint32_t n = lot(&m, lot(&m, 10) == 0 ? 300 : 30); n > 0;
					n--) {
					m.now++;
					observe(&m);
				}
				break;
			case 2:
				location_sweep(m.table, 0, m.now, UINT32_MAX);
				break;
			case 3:
				write_any(&m);
				break;
			default:
				break;
			}
			compare(&m);
		}
		assert_true(m.changing > 1000 && m.calm > 1000 && m.former > 1000);
		assert_int_equal(test_stats(m.table).forgotten, 0);
		location_sweep(m.table, 0, UINT32_MAX, UINT32_MAX);
		assert_int_equal(test_stats(m.table).bytes_used, 0);
		location_destroy(m.table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_has_not_changed_is_calm),
		cmocka_unit_test(a_better_one_comes_and_goes),
		cmocka_unit_test(one_that_changes_is_another_and_is_kept_as_it_was),
		cmocka_unit_test(one_that_is_removed_or_forgotten_is_still_known),
		cmocka_unit_test(an_end_needs_no_writer),
		cmocka_unit_test(the_last_one_that_ends_stays_known),
		cmocka_unit_test(more_changes_than_are_kept_are_counted),
		cmocka_unit_test(a_table_that_is_full_keeps_no_past),
		cmocka_unit_test(what_was_makes_room_for_what_is),
		cmocka_unit_test(who_may_have_been_called_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
