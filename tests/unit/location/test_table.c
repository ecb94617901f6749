/* SPDX-License-Identifier: BSD-3-Clause */
/* What is kept of a contact, in which order, for how long, and what there is no room for. */
#include "common.h"
#include "location/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct location_set set;

static struct net_endpoint endpoint(const char *addr, uint16_t port)
{
	struct net_endpoint e = {.port = port};

	assert_int_equal(net_addr_parse(str_c(addr), &e.addr), 0);
	return e;
}

static void every_part_of_a_contact_is_kept(void **state)
{
	struct location *l = test_table(1, 100);
	struct location_contact plain = test_contact("sip:alice@192.0.2.1:5060", 3600), all = plain;

	all.uri = STR("sip:alice@192.0.2.2;transport=udp;line=abc");
	all.path = STR("<sip:edge.example.net;lr>,<sip:inner.example.net;lr>");
	all.instance = STR("\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\"");
	all.user_agent = STR("Example Phone/1.2");
	all.received = endpoint("198.51.100.7", 40001);
	all.listener = 3;
	all.q = 700;
	all.reg_id = 2;
	all.flags = 0x80000001;
	all.methods = 0x1ff;
	all.cseq = UINT32_MAX;
	all.modified = 77;
	assert_int_equal(test_read(l, "alice@example.net", 0, &set), 0);
	/* Each part alone, then all of them. */
	for (unsigned part = 0; part < 13; part++) {
		struct location_contact one = plain;

		switch (part) {
		case 0:
			break;
		case 1:
			one.path = all.path;
			break;
		case 2:
			one.instance = all.instance;
			break;
		case 3:
			one.user_agent = all.user_agent;
			break;
		case 4:
			one.received = all.received;
			break;
		case 5:
			one.received = endpoint("2001:db8::17", 65535);
			break;
		case 6:
			one.listener = 255;
			break;
		case 7:
			one.q = 0;
			break;
		case 8:
			one.reg_id = UINT32_MAX;
			break;
		case 9:
			one.flags = 4;
			break;
		case 10:
			one.methods = 0;
			break;
		case 11:
			one.call_id = STR_NONE;
			break;
		default:
			one = all;
		}
		assert_int_equal(test_replace(l, "alice@example.net", &one, 1), 0);
		assert_int_equal(test_read(l, "alice@example.net", 3599, &set), 1);
		test_same(&set.contact[0], &one);
		assert_int_equal(test_read(l, "bob@example.net", 0, &set), 0);
		assert_int_equal(test_read(l, "alice@example.ne", 0, &set), 0);
		assert_int_equal(test_read(l, "", 0, &set), 0);
	}
	assert_int_equal(test_stats(l).contacts, 1);
	assert_int_equal(test_replace(l, "alice@example.net", NULL, 0), 0);
	assert_int_equal(test_replace(l, "alice@example.net", NULL, 0), 0);
	assert_int_equal(test_read(l, "alice@example.net", 0, &set), 0);
	assert_int_equal(test_stats(l).contacts, 0);
	assert_int_equal(test_stats(l).aors, 0);
	assert_int_equal(test_bytes_after(l, 0), 0);
	location_destroy(l);
}

static void tables_and_names_are_kept_apart(void **state)
{
	struct location *l = test_table(1, 100);
	struct location_contact a = test_contact("sip:a@192.0.2.1", 10);
	struct str aor = STR("alice");

	for (unsigned table = 0; table < 256; table += 51) {
		struct hash128 digest = location_digest(l, (uint8_t)table, aor);

		a.cseq = table;
		assert_int_equal(location_read(l, digest, (uint8_t)table, aor, 0, &set), 0);
		assert_int_equal(location_replace(l, 0, digest, (uint8_t)table, aor, 0, &a, 1), 0);
	}
	for (unsigned table = 0; table < 256; table += 51) {
		struct hash128 digest = location_digest(l, (uint8_t)table, aor);

		assert_int_equal(location_read(l, digest, (uint8_t)table, aor, 0, &set), 1);
		assert_int_equal(set.contact[0].cseq, table);
		/* A digest that is another one's finds nothing. */
		assert_int_equal(location_read(l, digest, 1, aor, 0, &set), 0);
		assert_int_equal(
			location_read(l, digest, (uint8_t)table, STR("alicf"), 0, &set), 0);
		assert_int_equal(location_read(l, digest, (uint8_t)table, STR("alic"), 0, &set), 0);
	}
	location_destroy(l);
}

static void the_highest_q_comes_first_and_equals_as_they_were_given(void **state)
{
	static const uint16_t q[] = {500, LOCATION_Q_NONE, 1000, 500, 0, LOCATION_Q_NONE, 1000};
	static const unsigned want[] = {2, 6, 0, 3, 4, 1, 5};
	struct location *l = test_table(1, 100);
	struct location_contact contact[7], again[7];
	char uri[7][40];

	for (unsigned i = 0; i < 7; i++) {
		snprintf(uri[i], sizeof(uri[i]), "sip:phone%u@192.0.2.1", i);
		contact[i] = test_contact(uri[i], 100);
		contact[i].q = q[i];
	}
	assert_int_equal(test_replace(l, "alice", contact, 7), 0);
	/* A second time with what was read, one of them refreshed: they stay where they are. */
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(test_read(l, "alice", 0, &set), 7);
		for (unsigned i = 0; i < 7; i++) {
			contact[want[i]].modified = set.contact[i].modified;
			test_same(&set.contact[i], &contact[want[i]]);
			again[i] = set.contact[i];
		}
		again[round * 2].modified = round + 1;
		assert_int_equal(test_replace(l, "alice", again, 7), 0);
	}
	location_destroy(l);
}

static void a_contact_ends_at_its_second(void **state)
{
	static const struct {
		uint32_t expires, now;
		int live;
	} cases[] = {{0, 0, 0}, {1, 0, 1}, {1, 1, 0}, {100, 99, 1}, {100, 100, 0}, {100, 101, 0},
		{UINT32_MAX, UINT32_MAX - 1, 1}, {UINT32_MAX, UINT32_MAX, 0},
		{0x80000000, 0x7fffffff, 1}, {0x80000000, 0x80000000, 0}, {100, UINT32_MAX, 0}};
	struct location *l = test_table(1, 100);

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct location_contact c = test_contact("sip:a@192.0.2.1", cases[i].expires);

		assert_int_equal(test_replace(l, "alice", &c, 1), 0);
		assert_int_equal(test_read(l, "alice", cases[i].now, &set), cases[i].live);
	}
	location_destroy(l);
}

static void what_has_ended_is_left_out_and_swept(void **state)
{
	struct location *l = test_table(1, 1000);
	struct location_contact c[3];
	char aor[32];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(aor, sizeof(aor), "user%u", i);
		c[0] = test_contact("sip:a@192.0.2.1", 100);
		c[1] = test_contact("sip:b@192.0.2.1", 200);
		c[2] = test_contact("sip:c@192.0.2.1", i % 2 == 0 ? 100 : 300);
		c[1].user_agent = STR("Example");
		assert_int_equal(test_replace(l, aor, c, 3), 0);
	}
	assert_int_equal(test_read(l, "user1", 100, &set), 2);
	assert_true(str_eq(set.contact[0].uri, STR("sip:b@192.0.2.1")));
	assert_true(str_eq(set.contact[0].user_agent, STR("Example")));
	assert_int_equal(test_read(l, "user0", 199, &set), 1);
	assert_int_equal(location_sweep(l, 0, 99, 1000000), 0);
	assert_int_equal(test_stats(l).contacts, 300);
	/* A few places a pass. */
	for (unsigned passes = 0, swept = 0; swept < 150; passes++) {
		swept += location_sweep(l, 0, 150, 7);
		assert_true(passes < 1000);
	}
	assert_int_equal(location_sweep(l, 0, 150, 100000), 0);
	assert_int_equal(test_stats(l).contacts, 150);
	assert_int_equal(test_stats(l).expired, 150);
	assert_int_equal(test_read(l, "user1", 150, &set), 2);
	assert_int_equal(location_sweep(l, 0, 200, 100000), 100);
	assert_int_equal(test_stats(l).aors, 50);
	assert_int_equal(test_read(l, "user1", 0, &set), 1);
	assert_int_equal(test_read(l, "user2", 0, &set), 0);
	assert_int_equal(location_sweep(l, 0, UINT32_MAX, 100000), 50);
	assert_int_equal(test_stats(l).aors, 0);
	assert_int_equal(test_stats(l).contacts, 0);
	assert_int_equal(test_stats(l).bytes_used, 0);
	location_destroy(l);
}

/* ---- bounds ---- */

static char *text_of(uint32_t len, char fill)
{
	char *text = malloc(len + 1);

	memset(text, fill, len);
	text[len] = 0;
	return text;
}

static void texts_as_long_as_they_may_be(void **state)
{
	struct location *l = test_table(1, 100);
	char *aor = text_of(LOCATION_AOR_MAX, 'a'), *text = text_of(LOCATION_URI_MAX + 1, 'x');
	struct location_contact c = test_contact("", 10), full;
	uint64_t before = test_stats(l).bytes_used;

	c.uri = str_of(text, LOCATION_URI_MAX);
	c.path = str_of(text, LOCATION_PATH_MAX);
	c.instance = str_of(text, LOCATION_INSTANCE_MAX);
	c.user_agent = str_of(text, LOCATION_USER_AGENT_MAX);
	c.call_id = str_of(text, LOCATION_CALL_ID_MAX);
	full = c;
	assert_int_equal(test_replace(l, aor, &c, 1), 0);
	assert_int_equal(test_read(l, aor, 0, &set), 1);
	test_same(&set.contact[0], &c);
	c.uri.len++;
	assert_int_equal(test_replace(l, aor, &c, 1), -E2BIG);
	c = full;
	c.path.len++;
	assert_int_equal(test_replace(l, aor, &c, 1), -E2BIG);
	c = full;
	c.instance.len++;
	assert_int_equal(test_replace(l, aor, &c, 1), -E2BIG);
	c = full;
	c.call_id.len++;
	assert_int_equal(test_replace(l, aor, &c, 1), -E2BIG);
	c = full;
	c.user_agent.len++;
	assert_int_equal(test_replace(l, aor, &c, 1), 0);
	assert_int_equal(test_stats(l).failed, 4);
	/* What was refused has changed nothing. */
	assert_int_equal(test_read(l, aor, 0, &set), 1);
	test_same(&set.contact[0], &full);
	assert_int_equal(test_replace(l, aor, NULL, 0), 0);
	assert_int_equal(test_stats(l).bytes_used, before);
	free(aor);
	aor = text_of(LOCATION_AOR_MAX + 1, 'a');
	assert_int_equal(test_replace(l, aor, &full, 1), -E2BIG);
	assert_int_equal(test_read(l, aor, 0, &set), 0);
	free(aor);
	free(text);
	location_destroy(l);
}

static void as_many_contacts_as_there_may_be(void **state)
{
	struct location *l = test_table(1, 1000);
	struct location_contact c[LOCATION_CONTACTS_MAX + 1];
	char uri[LOCATION_CONTACTS_MAX + 1][60], agent[LOCATION_CONTACTS_MAX + 1][30];
	char *text = text_of(LOCATION_PATH_MAX, 'p');

	for (unsigned i = 0; i <= LOCATION_CONTACTS_MAX; i++) {
		snprintf(uri[i], sizeof(uri[i]), "sip:alice@192.0.2.%u:5060;ob", i);
		snprintf(agent[i], sizeof(agent[i]), "Example Phone/%u", i);
		c[i] = test_contact(uri[i], 10 + i);
		c[i].user_agent = str_c(agent[i]);
	}
	assert_int_equal(test_replace(l, "alice", c, LOCATION_CONTACTS_MAX + 1), -E2BIG);
	assert_int_equal(test_read(l, "alice", 0, &set), 0);
	for (unsigned n = 1; n <= LOCATION_CONTACTS_MAX; n++) {
		assert_int_equal(test_replace(l, "alice", c, n), 0);
		assert_int_equal(test_read(l, "alice", 0, &set), (int)n);
		for (unsigned i = 0; i < n; i++)
			test_same(&set.contact[i], &c[i]);
	}
	/* All of them together exceed what a set takes. */
	for (unsigned i = 0; i < LOCATION_CONTACTS_MAX; i++)
		c[i].path = str_of(text, 300);
	assert_int_equal(test_replace(l, "alice", c, LOCATION_CONTACTS_MAX), -E2BIG);
	assert_int_equal(test_read(l, "alice", 0, &set), LOCATION_CONTACTS_MAX);
	assert_int_equal(set.contact[63].path.len, 0);
	for (unsigned n = LOCATION_CONTACTS_MAX - 1; n > 0; n--) {
		int err = test_replace(l, "alice", c, n);

		assert_true(err == 0 || err == -E2BIG);
		if (err == 0) {
			assert_int_equal(test_read(l, "alice", 0, &set), (int)n);
			test_same(&set.contact[n - 1], &c[n - 1]);
		}
	}
	assert_int_equal(test_replace(l, "alice", NULL, 0), 0);
	assert_int_equal(test_bytes_after(l, 0), 0);
	free(text);
	location_destroy(l);
}

/* Each length of the whole, from one place to a set's whole text. */
static void a_record_of_every_length(void **state)
{
	struct location *l = test_table(1, 1000);
	char *text = text_of(LOCATION_URI_MAX, 'u');
	struct location_contact c[20];
	int err = 0;

	for (uint32_t len = 0; err == 0; len++) {
		uint32_t left = len;
		unsigned n = 0;

		do {
			uint32_t part = left < LOCATION_URI_MAX ? left : LOCATION_URI_MAX;

			c[n] = test_contact("", 1);
			text[len % LOCATION_URI_MAX] ^= 1;
			c[n].uri = str_of(text, part);
			c[n].user_agent = STR("Example Phone/1.2.3 of 24 bytes");
			left -= part;
			n++;
		} while (left != 0);
		err = test_replace(l, "alice", c, n);
		if (err != 0) {
			assert_int_equal(err, -E2BIG);
			assert_true(len > LOCATION_SET_TEXT - 20 * 150);
			break;
		}
		assert_int_equal(test_read(l, "alice", 0, &set), (int)n);
		for (unsigned i = 0; i < n; i++)
			assert_true(test_is_same(&set.contact[i], &c[i]));
	}
	free(text);
	location_destroy(l);
}

/* Contacts with all parts, up to the last byte that a set takes. */
static void the_fullest_set(void **state)
{
	struct location *l = test_table(1, 1000);
	char *text = text_of(LOCATION_URI_MAX, 'u'), agent[20][LOCATION_USER_AGENT_MAX + 1];
	struct location_contact c[20];
	uint32_t longest = 0;

	for (unsigned i = 0; i < 20; i++) {
		memset(agent[i], (int)('a' + i), sizeof(agent[i]));
		c[i] = test_contact("", 1);
		c[i].uri = str_of(text, 650);
		c[i].path = c[i].instance = STR("x");
		c[i].received = endpoint("2001:db8::17", 5060);
		c[i].flags = c[i].methods = c[i].reg_id = 1;
		c[i].user_agent = str_of(agent[i], LOCATION_USER_AGENT_MAX);
	}
	for (uint32_t len = 0; len < LOCATION_URI_MAX; len++) {
		int err;

		c[19].uri.len = len;
		err = test_replace(l, "alice", c, 20);
		if (err != 0) {
			assert_int_equal(err, -E2BIG);
			continue;
		}
		assert_int_equal(longest, len == 0 ? 0 : len - 1);
		longest = len;
		assert_int_equal(test_read(l, "alice", 0, &set), 20);
		for (unsigned i = 0; i < 20; i++)
			assert_true(test_is_same(&set.contact[i], &c[i]));
	}
	assert_true(longest != 0 && longest < LOCATION_URI_MAX - 1);
	free(text);
	location_destroy(l);
}

static void a_full_table_refuses_new_ones_and_keeps_the_others(void **state)
{
	enum { CONTACTS = 1000 };
	struct location *l = test_table(1, CONTACTS);
	struct location_contact c[2];
	char aor[32];

	for (unsigned i = 0; i < CONTACTS; i++) {
		snprintf(aor, sizeof(aor), "user%u", i);
		c[0] = test_contact("sip:a@192.0.2.1", 100);
		assert_int_equal(test_replace(l, aor, c, 1), 0);
	}
	assert_int_equal(test_replace(l, "another", c, 1), -ENOSPC);
	assert_int_equal(test_read(l, "another", 0, &set), 0);
	c[1] = test_contact("sip:b@192.0.2.1", 100);
	assert_int_equal(test_replace(l, "user7", c, 2), -ENOSPC);
	assert_int_equal(test_read(l, "user7", 0, &set), 1);
	c[0].cseq = 2;
	assert_int_equal(test_replace(l, "user7", c, 1), 0);
	assert_int_equal(test_replace(l, "user8", NULL, 0), 0);
	assert_int_equal(test_replace(l, "another", c, 1), 0);
	assert_int_equal(test_stats(l).contacts, CONTACTS);
	assert_int_equal(test_stats(l).contacts_max, CONTACTS);
	assert_int_equal(test_stats(l).failed, 2);
	location_destroy(l);
}

/* Long ones find the places of others, until there are none: then what stood stays. */
static void a_table_without_places_refuses_what_needs_more(void **state)
{
	enum { CONTACTS = 100 };
	struct location *l = test_table(1, CONTACTS);
	char *text = text_of(LOCATION_PATH_MAX, 'p'), aor[32];
	unsigned stand = 0, full = 0;
	uint64_t used;

	for (unsigned i = 0; i < CONTACTS; i++) {
		struct location_contact c = test_contact("sip:a@192.0.2.1", 100);

		snprintf(aor, sizeof(aor), "user%u", i);
		c.user_agent = str_of(text, i % 64);
		c.path = str_of(text, i % 10 == 0 ? 0 : LOCATION_PATH_MAX);
		switch (test_replace(l, aor, &c, 1)) {
		case 0:
			stand++;
			break;
		case -ENOSPC:
			full++;
			/* One that stands can't grow either, and is what it was. */
			assert_int_equal(test_read(l, aor, 0, &set), 0);
			c.path = str_of(text, LOCATION_PATH_MAX);
			assert_int_equal(test_replace(l, "user0", &c, 1), -ENOSPC);
			assert_int_equal(test_read(l, "user0", 0, &set), 1);
			assert_int_equal(set.contact[0].path.len, 0);
			break;
		default:
			fail();
		}
	}
	assert_true(full != 0 && stand != 0);
	used = test_stats(l).bytes_used;
	for (unsigned round = 0; round < 100; round++) {
		struct location_contact c = test_contact("sip:a@192.0.2.1", 100);

		c.path = str_of(text, round * 10);
		assert_int_equal(test_replace(l, "user1", &c, 1), 0);
		assert_int_equal(test_read(l, "user1", 0, &set), 1);
		test_same(&set.contact[0], &c);
	}
	assert_true(test_stats(l).bytes_used <= used);
	assert_int_equal(location_sweep(l, 0, 100, 1000), stand);
	assert_int_equal(test_bytes_after(l, 100), 0);
	free(text);
	location_destroy(l);
}

/* More different texts than the room keeps once. */
static void more_user_agents_than_have_a_number(void **state)
{
	enum { CONTACTS = 20000 };
	struct location *l = test_table(1, CONTACTS);

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < CONTACTS; i++) {
			struct location_contact c = test_contact("sip:a@192.0.2.1", 100);
			char aor[32], agent[80];

			snprintf(aor, sizeof(aor), "user%u", i);
			snprintf(agent, sizeof(agent), "Example/%u of round %u", i, round);
			c.user_agent = str_c(agent);
			assert_int_equal(test_replace(l, aor, &c, 1), 0);
			assert_int_equal(test_read(l, aor, 0, &set), 1);
			test_same(&set.contact[0], &c);
		}
		for (unsigned i = 0; i < CONTACTS; i++) {
			char aor[32], agent[80];

			snprintf(aor, sizeof(aor), "user%u", i);
			snprintf(agent, sizeof(agent), "Example/%u of round %u", i, round);
			assert_int_equal(test_read(l, aor, 0, &set), 1);
			assert_true(str_eq(set.contact[0].user_agent, str_c(agent)));
		}
	}
	assert_int_equal(location_sweep(l, 0, 100, UINT32_MAX), CONTACTS);
	assert_int_equal(test_bytes_after(l, 100), 0);
	location_destroy(l);
}

/* A number is free again when nobody has the text any more. */
static void user_agents_that_have_gone_make_room(void **state)
{
	struct location *l = test_table(1, 10);
	struct location_contact c = test_contact("sip:a@192.0.2.1", 100);
	uint64_t used = 0;

	for (unsigned i = 0; i < 60000; i++) {
		char agent[LOCATION_USER_AGENT_MAX + 1];

		snprintf(agent, sizeof(agent), "%064u", i);
		c.user_agent = str_c(agent);
		c.uri = i % 2 == 0 ? STR("sip:a@192.0.2.1")
				   : STR("sip:as.long.as.one.place.takes@another.example.net");
		assert_int_equal(test_replace(l, "alice", &c, 1), 0);
		if (i % 3 == 0)
			assert_int_equal(test_replace(l, "alice", NULL, 0), 0);
		else if (used == 0)
			used = test_stats(l).bytes_used;
		else
			assert_int_equal(test_stats(l).bytes_used, used);
	}
	location_destroy(l);
}

/* ---- what a contact takes ---- */

static void a_contact_of_usual_length_takes_less_than_192_bytes(void **state)
{
	enum { CONTACTS = 10000 };
	struct location *l = test_table(1, CONTACTS);
	struct location_stats stats;

	for (unsigned i = 0; i < CONTACTS; i++) {
		struct location_contact c = test_contact("", 100);
		char aor[40], uri[80], call_id[40], agent[64];

		assert_int_equal(snprintf(aor, sizeof(aor), "user%07u@sip.example.net.", i), 28);
		memcpy(aor + 28, "ab", 3);
		assert_int_equal(snprintf(uri, sizeof(uri),
					 "sip:user%07u@192.168.100.100:50600;transport=udp;o=%u", i,
					 100000 + i),
			60);
		assert_int_equal(
			snprintf(call_id, sizeof(call_id), "%08x-%08x-%012u", i, i, i), 30);
		snprintf(agent, sizeof(agent), "Example Phone T%u of many words 66.85.0.%u", i % 7,
			i % 20);
		c.uri = str_c(uri);
		c.call_id = str_c(call_id);
		c.user_agent = str_c(agent);
		c.methods = 0x3ff;
		c.received = endpoint("198.51.100.7", (uint16_t)(10000 + i % 50000));
		assert_int_equal(test_replace(l, aor, &c, 1), 0);
	}
	stats = test_stats(l);
	assert_true(stats.bytes_used / CONTACTS <= 192);
	assert_true(stats.bytes_used < stats.bytes);
	location_destroy(l);
}

/* ---- walk, shards ---- */

struct seen {
	unsigned times[300];
	unsigned contacts;
};

static void see(void *arg, uint8_t table, struct str aor, const struct location_set *s)
{
	struct seen *seen = arg;
	uint64_t n = 0;

	assert_int_equal(table, TEST_TABLE);
	for (uint32_t i = 4; i < aor.len; i++)
		n = n * 10 + (uint64_t)(aor.s[i] - '0');
	assert_true(n < 300);
	seen->times[n]++;
	seen->contacts += s->count;
}

static void a_walk_sees_all_of_every_shard(void **state)
{
	static const unsigned shards[] = {1, 2, 7, LOCATION_SHARDS_MAX};

	for (unsigned k = 0; k < 4; k++) {
		struct location *l = test_table(shards[k], 1000);
		struct seen seen = {{0}, 0};
		unsigned calls = 0, used = 0;

		for (unsigned i = 0; i < 300; i++) {
			struct location_contact c[2] = {test_contact("sip:a@192.0.2.1", 100),
				test_contact("sip:b@192.0.2.1", 200)};
			char aor[32];

			snprintf(aor, sizeof(aor), "user%u", i);
			assert_int_equal(test_replace(l, aor, c, 1 + i % 2), 0);
		}
		for (unsigned s = 0; s < shards[k]; s++) {
			uint64_t at = 0;
			unsigned before = seen.contacts;

			do
				assert_true(calls++ < 1000);
			while (location_walk(l, s, &at, 5, 100, see, &seen));
			used += seen.contacts != before;
		}
		/* Those that have ended are not seen. */
		assert_int_equal(seen.contacts, 150);
		for (unsigned i = 0; i < 300; i++)
			assert_int_equal(seen.times[i], i % 2);
		assert_true(used > shards[k] / 2);
		location_destroy(l);
	}
}

/* A writer that has lost its CPU holds a walk up for one call. */
static void a_walk_comes_back_to_what_is_being_changed(void **state)
{
	struct location *l = test_table(1, 100);
	_Atomic uint32_t *version = &l->shard[0]->records.place[5].version;

	for (unsigned i = 0; i < 10; i++) {
		struct location_contact c = test_contact("sip:a@192.0.2.1", 100);
		char aor[32];

		snprintf(aor, sizeof(aor), "user%u", i);
		assert_int_equal(test_replace(l, aor, &c, 1), 0);
	}
	for (unsigned stays = 0; stays < 2; stays++) {
		struct seen seen = {{0}, 0};
		uint64_t at = 0;

		atomic_fetch_add(version, 1);
		assert_true(location_walk(l, 0, &at, 100, 0, see, &seen));
		assert_int_equal(seen.contacts, 5);
		if (!stays)
			atomic_fetch_add(version, 1);
		assert_false(location_walk(l, 0, &at, 100, 0, see, &seen));
		assert_int_equal(seen.contacts, stays ? 9 : 10);
		for (unsigned i = 0; i < 10; i++)
			assert_int_equal(seen.times[i], i != 5 || !stays);
	}
	location_destroy(l);
}

static void what_cannot_be_is_refused_with_a_sentence(void **state)
{
	static const struct location_config bad[] = {{0, 100, false},
		{LOCATION_SHARDS_MAX + 1, 100, false}, {1, 0, false}, {1, UINT32_MAX, false}};

	for (unsigned i = 0; i < 4; i++) {
		char error[100] = "";

		assert_null(location_create(&bad[i], error, sizeof(error)));
		assert_int_equal(errno, EINVAL);
		assert_true(strlen(error) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_part_of_a_contact_is_kept),
		cmocka_unit_test(tables_and_names_are_kept_apart),
		cmocka_unit_test(the_highest_q_comes_first_and_equals_as_they_were_given),
		cmocka_unit_test(a_contact_ends_at_its_second),
		cmocka_unit_test(what_has_ended_is_left_out_and_swept),
		cmocka_unit_test(texts_as_long_as_they_may_be),
		cmocka_unit_test(as_many_contacts_as_there_may_be),
		cmocka_unit_test(a_record_of_every_length),
		cmocka_unit_test(the_fullest_set),
		cmocka_unit_test(a_full_table_refuses_new_ones_and_keeps_the_others),
		cmocka_unit_test(a_table_without_places_refuses_what_needs_more),
		cmocka_unit_test(more_user_agents_than_have_a_number),
		cmocka_unit_test(user_agents_that_have_gone_make_room),
		cmocka_unit_test(a_contact_of_usual_length_takes_less_than_192_bytes),
		cmocka_unit_test(a_walk_sees_all_of_every_shard),
		cmocka_unit_test(a_walk_comes_back_to_what_is_being_changed),
		cmocka_unit_test(what_cannot_be_is_refused_with_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
