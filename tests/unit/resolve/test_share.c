/* SPDX-License-Identifier: BSD-3-Clause */
/* Strangers choose names: what floods of them may take, and what they may not. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "bench.h"

static int ask(struct bench *b, const char *name, struct result *result)
{
	return resolve_ask(b->resolver, RESOLVE_ADDRESS, str_c(name), done, result);
}

/* Made-up names below one zone; returns how many were taken. */
static unsigned flood(struct bench *b, const char *zone, unsigned from, unsigned n)
{
	static struct result ignored;
	unsigned taken = 0;
	char name[64];

	for (unsigned i = from; i < from + n; i++) {
		snprintf(name, sizeof(name), "made-up-%u.%s", i, zone);
		taken += ask(b, name, &ignored) == 0;
	}
	return taken;
}

/* As many zones as there are places, whose servers never answer. */
static void fill_with_silent_zones(struct bench *b)
{
	char zone[32];

	for (unsigned i = 0; i < RESOLVE_QUERIES_MAX; i++) {
		snprintf(zone, sizeof(zone), "hole-%u.test", i);
		flood(b, zone, 0, 1);
	}
	assert_int_equal(
		counter(b, RESOLVE_COUNTER_ASKING), RESOLVE_QUERIES_MAX - RESOLVE_QUERIES_KNOWN);
}

static void test_a_black_hole_has_its_zones_share(void **state)
{
	struct bench *b = *state;
	struct result result = {0};
	unsigned before;

	add(b, "pbx.honest.test", TYPE_A, 60, "192.0.2.1");
	add(b, "used.honest.test", TYPE_A, 60, "192.0.2.2");
	expect(b, RESOLVE_ADDRESS, "used.honest.test", "192.0.2.2:0");
	dns_server_mode(b->server, "*.hole.test", 0, DNS_SILENT);
	assert_int_equal(flood(b, "hole.test", 0, 3000), RESOLVE_QUERIES_ZONE);
	assert_int_equal(counter(b, RESOLVE_COUNTER_ZONE), 3000 - RESOLVE_QUERIES_ZONE);
	/* A name that is new is answered at once, a name in use is asked for in time. */
	assert_int_equal(ask(b, "pbx.honest.test", &result), 0);
	UNTIL(b, result.calls == 1);
	expect_found(b, RESOLVE_ADDRESS, "pbx.honest.test", "192.0.2.1:0");
	before = dns_server_questions(b->server, "used.honest.test", TYPE_A);
	pass(b, 59 * S);
	flood(b, "hole.test", 3000, 3000);
	pass(b, S);
	UNTIL(b, dns_server_questions(b->server, "used.honest.test", TYPE_A) == before + 1);
	expect_found(b, RESOLVE_ADDRESS, "used.honest.test", "192.0.2.2:0");
}

/* A zone that has shown its silence keeps two places, until something answers. */
static void test_a_silent_zone_keeps_two_places(void **state)
{
	struct bench *b = *state;

	dns_server_mode(b->server, "*.hole.test", 0, DNS_SILENT);
	flood(b, "hole.test", 0, 100);
	pass(b, (RESOLVE_QUESTION_MS + 100) * MS);
	assert_int_equal(counter(b, RESOLVE_COUNTER_ASKING), 0);
	assert_int_equal(flood(b, "hole.test", 100, 100), RESOLVE_QUERIES_SILENT);
	dns_server_mode(b->server, "*.hole.test", 0, DNS_NORMAL);
	pass(b, (RESOLVE_QUESTION_MS + 100) * MS);
	assert_int_equal(flood(b, "hole.test", 200, 1), 1);
	settle(b);
	/* NXDOMAIN is an answer. */
	assert_int_equal(flood(b, "hole.test", 300, 100), RESOLVE_QUERIES_ZONE);
	settle(b);
}

/* Below "co.uk" and its like it is three labels that say who it is. */
static void test_a_country_is_nobodys_zone(void **state)
{
	struct bench *b = *state;
	struct result result = {0};

	dns_server_mode(b->server, "*.hole.co.uk", 0, DNS_SILENT);
	add(b, "sip.honest.co.uk", TYPE_A, 60, "192.0.2.1");
	assert_int_equal(flood(b, "hole.co.uk", 0, 100), RESOLVE_QUERIES_ZONE);
	assert_int_equal(ask(b, "sip.honest.co.uk", &result), 0);
	UNTIL(b, result.calls == 1);
	/* Elsewhere two labels do, however they are called. */
	dns_server_mode(b->server, "*.co.test", 0, DNS_SILENT);
	assert_int_equal(flood(b, "a.co.test", 0, 100), RESOLVE_QUERIES_ZONE);
	assert_int_equal(flood(b, "b.co.test", 0, 100), 0);
}

/* Some zones that take many places give some up for one that has none. */
static void test_zones_with_many_places_give_way(void **state)
{
	struct bench *b = *state;
	struct result result = {0};
	char zone[32];

	dns_server_mode(b->server, "*.test", 0, DNS_SILENT);
	dns_server_mode(b->server, "*.honest.test", 0, DNS_NORMAL);
	add(b, "pbx.honest.test", TYPE_A, 60, "192.0.2.1");
	for (unsigned i = 0; i < 20; i++) {
		snprintf(zone, sizeof(zone), "hole-%u.test", i);
		flood(b, zone, 0, 100);
	}
	assert_int_equal(
		counter(b, RESOLVE_COUNTER_ASKING), RESOLVE_QUERIES_MAX - RESOLVE_QUERIES_KNOWN);
	assert_int_equal(ask(b, "pbx.honest.test", &result), 0);
	UNTIL(b, result.calls == 1);
	expect_found(b, RESOLVE_ADDRESS, "pbx.honest.test", "192.0.2.1:0");
	assert_true(counter(b, RESOLVE_COUNTER_PUSHED) >= 1);
}

/* As many silent zones as places: who comes has to wait until one has had its time. */
static void test_as_many_silent_zones_as_places(void **state)
{
	struct bench *b = *state;
	struct result result[3] = {{0}};

	add(b, "used.other.test", TYPE_A, 60, "192.0.2.2");
	add(b, "pbx.honest.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "used.other.test", "192.0.2.2:0");
	pass(b, 30 * S);
	expect_found(b, RESOLVE_ADDRESS, "used.other.test", "192.0.2.2:0");
	dns_server_mode(b->server, "*.test", 0, DNS_SILENT);
	dns_server_mode(b->server, "*.honest.test", 0, DNS_NORMAL);
	dns_server_mode(b->server, "*.other.test", 0, DNS_NORMAL);
	pass(b, 23 * S + 500 * MS);
	fill_with_silent_zones(b);
	/* A name of a script is asked for, and one in use. */
	assert_int_equal(ask(b, "pbx.honest.test", &result[0]), -EAGAIN);
	assert_int_equal(resolve_ask_ours(b->resolver, RESOLVE_SIP_UDP, str_c("pbx.honest.test"),
				 done, &result[1]),
		0);
	pass(b, 800 * MS);
	UNTIL(b, result[1].calls == 1);
	assert_int_equal(result[1].answer, RESOLVE_FOUND);
	UNTIL(b, dns_server_questions(b->server, "used.other.test", TYPE_A) == 2);
	/* And a new one, when the time of others is over. */
	pass(b, RESOLVE_PATIENCE_MS * MS);
	assert_int_equal(ask(b, "pbx.honest.test", &result[2]), 0);
	UNTIL(b, result[2].calls == 1);
	assert_int_equal(result[2].answer, RESOLVE_FOUND);
}

/* Names that were found once, of zones that have gone silent since, do not hold up others'
 * refreshes. */
static void test_known_names_share_by_zones_too(void **state)
{
	struct bench *b = *state;
	char name[64];

	add(b, "*.turned.test", TYPE_A, 60, "192.0.2.66");
	add(b, "used.honest.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "used.honest.test", "192.0.2.1:0");
	for (unsigned i = 0; i < 4 * RESOLVE_QUERIES_MAX; i += 30) {
		flood(b, "turned.test", i, 30);
		settle(b);
	}
	dns_server_mode(b->server, "*.turned.test", 0, DNS_SILENT);
	for (unsigned i = 0; i < 4 * RESOLVE_QUERIES_MAX; i++) {
		snprintf(name, sizeof(name), "made-up-%u.turned.test", i);
		expect_found(b, RESOLVE_ADDRESS, name, "192.0.2.66:0");
	}
	expect_found(b, RESOLVE_ADDRESS, "used.honest.test", "192.0.2.1:0");
	pass(b, 56 * S);
	UNTIL(b, dns_server_questions(b->server, "used.honest.test", TYPE_A) == 2);
	for (unsigned i = 0; i < 100 && counter(b, RESOLVE_COUNTER_ASKING) > RESOLVE_QUERIES_ZONE;
		i++)
		poll_for(b, MS);
	assert_int_equal(counter(b, RESOLVE_COUNTER_ASKING), RESOLVE_QUERIES_ZONE);
	expect_found(b, RESOLVE_ADDRESS, "made-up-0.turned.test", "192.0.2.66:0");
}

/* Nor do they take all places: a name that is new is asked for. */
static void test_known_names_leave_places_to_new_ones(void **state)
{
	struct bench *b = *state;
	struct result result = {0};
	const struct resolve_addresses *a;
	char name[64], zone[32];

	add(b, "*.test", TYPE_A, 60, "192.0.2.66");
	for (unsigned i = 0; i < 300; i += 30) {
		snprintf(zone, sizeof(zone), "turned-%u.test", i);
		flood(b, zone, i, 30);
		settle(b);
	}
	dns_server_mode(b->server, "*.test", 0, DNS_SILENT);
	dns_server_mode(b->server, "*.honest.test", 0, DNS_NORMAL);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "made-up-%u.turned-%u.test", i, i / 30 * 30);
		assert_int_equal(find(b, RESOLVE_ADDRESS, name, &a), RESOLVE_FOUND);
	}
	pass(b, 56 * S);
	assert_int_equal(
		counter(b, RESOLVE_COUNTER_ASKING), RESOLVE_QUERIES_MAX - RESOLVE_QUERIES_NEW);
	assert_int_equal(ask(b, "pbx.honest.test", &result), 0);
	UNTIL(b, result.calls == 1);
	assert_int_equal(result.answer, RESOLVE_FOUND);
	/* A name of a script still goes before theirs. */
	assert_int_equal(resolve_ask_ours(b->resolver, RESOLVE_SIP_UDP, str_c("pbx.honest.test"),
				 done, &result),
		0);
	UNTIL(b, result.calls == 2);
	assert_int_equal(result.answer, RESOLVE_FOUND);
}

/* A name whose SRV records name many hosts asks many questions: they take no more of what is
 * bounded than others. */
static void test_names_with_many_targets_hold_up_nobody(void **state)
{
	static char target[16][32];
	struct bench *b = *state;
	struct result result = {0};
	static struct result ignored;
	char name[64];

	add(b, "*.honest.test", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "used.honest.test", "192.0.2.1:0");
	for (unsigned i = 0; i < 16; i++) {
		snprintf(target[i], sizeof(target[i]), "t%u.hole.test", i);
		add_srv(b, "*.a.test", 1, 1, 5060, target[i]);
		add_srv(b, "*.b.test", 1, 1, 5060, target[i]);
		add_srv(b, "*.c.test", 1, 1, 5060, target[i]);
	}
	dns_server_mode(b->server, "*.hole.test", 0, DNS_SILENT);
	for (unsigned i = 0; i < 96; i++) {
		snprintf(name, sizeof(name), "n%u.%c.test", i, "abc"[i % 3]);
		(void)resolve_ask(b->resolver, RESOLVE_SIP_UDP, str_c(name), done, &ignored);
	}
	poll_for(b, 300 * MS);
	assert_int_equal(ask(b, "pbx.honest.test", &result), 0);
	UNTIL(b, result.calls == 1);
	assert_int_equal(result.answer, RESOLVE_FOUND);
	memset(&result, 0, sizeof(result));
	assert_int_equal(resolve_ask_ours(b->resolver, RESOLVE_ADDRESS, STR("ours.honest.test"),
				 done, &result),
		0);
	UNTIL(b, result.calls == 1);
	assert_int_equal(result.answer, RESOLVE_FOUND);
}

/* What gave way is bounded in number, too, until c-ares lets go of it. */
static void test_what_is_left_of_names_that_gave_way_is_bounded(void **state)
{
	struct bench *b = *state;
	struct result result = {0};
	unsigned taken = 0;
	char zone[32];

	dns_server_mode(b->server, "*.test", 0, DNS_SILENT);
	add(b, "used.example", TYPE_A, 60, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, "used.example", "192.0.2.1:0");
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(zone, sizeof(zone), "hole-%u.test", i);
		taken += flood(b, zone, 0, 1);
		if (i % 1000 == 999) {
			b->ahead += RESOLVE_PATIENCE_MS * MS;
			step(b);
		}
	}
	/* Two questions each, and none of them has come to its end. */
	assert_in_range(taken, RESOLVE_QUERIES_MAX, 800);
	/* A known name still is asked for. */
	expect_found(b, RESOLVE_ADDRESS, "used.example", "192.0.2.1:0");
	pass(b, 60 * S);
	UNTIL(b, dns_server_questions(b->server, "used.example", TYPE_A) == 2);
	assert_int_equal(resolve_ask_ours(b->resolver, RESOLVE_ADDRESS, str_c("ours.example"), done,
				 &result),
		0);
	UNTIL(b, result.calls == 1);
}

/* ---- who waits ---- */

static void test_waiting_is_bounded_for_names_zones_and_strangers(void **state)
{
	static struct result result;
	struct bench *b = *state;
	unsigned taken = 0;
	char name[64];

	resolver_set_waiters(b->resolver, 1600);
	dns_server_mode(b->server, "*.test", 0, DNS_SILENT);
	for (unsigned i = 0; i < 200; i++)
		taken += ask(b, "one.hole.test", &result) == 0;
	assert_int_equal(taken, 1600 / RESOLVE_WAIT_NAME);
	for (unsigned i = 0; i < 200; i++)
		taken += ask(b, "two.hole.test", &result) == 0;
	for (unsigned i = 0; i < 200; i++)
		taken += ask(b, "three.hole.test", &result) == 0;
	assert_int_equal(taken, 1600 / RESOLVE_WAIT_ZONE);
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "a.hole-%u.test", i % 40);
		taken += ask(b, name, &result) == 0;
	}
	assert_int_equal(taken, 1600 / 2);
	assert_int_equal(counter(b, RESOLVE_COUNTER_WAITING), 1600 / 2);
	assert_int_equal(counter(b, RESOLVE_COUNTER_REFUSED), 2600 - 1600 / 2);
	/* The other half is for names that are ours. */
	for (unsigned i = 0; i < 2000; i++)
		taken += resolve_ask_ours(b->resolver, RESOLVE_ADDRESS, str_c("ours.test"), done,
				 &result) == 0;
	assert_int_equal(taken, 1600);
	pass(b, (RESOLVE_QUESTION_MS + 100) * MS);
	UNTIL(b, result.calls == 1600);
	assert_int_equal(counter(b, RESOLVE_COUNTER_WAITING), 0);
	/* All places are back. */
	for (unsigned i = taken = 0; i < 200; i++)
		taken += ask(b, "new.other.test", &result) == 0;
	assert_int_equal(taken, 1600 / RESOLVE_WAIT_NAME);
}

/* ---- the table ---- */

#define HONEST 100

static void find_all(struct bench *b, unsigned n, const char *want)
{
	char name[64];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "host-%u.customer-%u.test", i, i / 2);
		expect_found(b, RESOLVE_ADDRESS, name, want);
	}
}

/* Names that anybody can make up and that are found: as many as one likes, each asked for, and
 * found by its message. */
static void flood_found(struct bench *b, const char *zone, unsigned from, unsigned n)
{
	const struct resolve_addresses *a;
	char name[64];

	for (unsigned i = from; i < from + n; i += 30) {
		flood(b, zone, i, 30);
		settle(b);
		for (unsigned k = i; k < i + 30; k++) {
			snprintf(name, sizeof(name), "made-up-%u.%s", k, zone);
			find(b, RESOLVE_ADDRESS, name, &a);
		}
	}
}

static void test_made_up_names_push_out_none_in_use(void **state)
{
	struct bench *b = *state;
	struct result result = {0};
	char name[64];

	add(b, "*.test", TYPE_A, 86400, "192.0.2.1");
	for (unsigned i = 0; i < HONEST; i++) {
		snprintf(name, sizeof(name), "host-%u.customer-%u.test", i, i / 2);
		expect(b, RESOLVE_ADDRESS, name, "192.0.2.1:0");
	}
	/* Used for a while; then the flood, of a zone and of some. */
	pass(b, 61 * S);
	find_all(b, HONEST, "192.0.2.1:0");
	flood_found(b, "wild.test", 0, RESOLVE_NAMES_MAX + 300);
	pass(b, S);
	find_all(b, HONEST, "192.0.2.1:0");
	assert_true(counter(b, RESOLVE_COUNTER_EVICTED) >= 300);
	/* They go some at a time. */
	assert_in_range(
		counter(b, RESOLVE_COUNTER_NAMES), RESOLVE_NAMES_MAX - 64, RESOLVE_NAMES_MAX);
	/* A new name finds a place, and keeps it although it is as new as the others. */
	assert_int_equal(ask(b, "pbx.honest.test", &result), 0);
	settle(b);
	flood_found(b, "wilder.test", 0, 900);
	expect_found(b, RESOLVE_ADDRESS, "pbx.honest.test", "192.0.2.1:0");
	find_all(b, HONEST, "192.0.2.1:0");
}

/* Made-up names that are not there at all go first. */
static void test_failures_make_room_first(void **state)
{
	struct bench *b = *state;

	add(b, "*.honest.test", TYPE_A, 86400, "192.0.2.1");
	flood_found(b, "honest.test", 0, 300);
	for (unsigned i = 0; i < 200; i++) {
		char zone[32];

		snprintf(zone, sizeof(zone), "zone-%u.test", i);
		flood(b, zone, 0, 30);
		settle(b);
	}
	assert_int_equal(counter(b, RESOLVE_COUNTER_EVICTED), 0);
	for (unsigned i = 0; i < 300; i++) {
		char name[64];

		snprintf(name, sizeof(name), "made-up-%u.honest.test", i);
		expect_found(b, RESOLVE_ADDRESS, name, "192.0.2.1:0");
	}
}

/* Names of scripts stay, used or not, when the table is full. */
static void test_our_names_stay(void **state)
{
	struct bench *b = *state;
	struct result result = {0};

	add(b, "*.test", TYPE_A, 86400, "192.0.2.1");
	assert_int_equal(resolve_ask_ours(b->resolver, RESOLVE_ADDRESS, str_c("ours.wild.test"),
				 done, &result),
		0);
	settle(b);
	flood_found(b, "wild.test", 0, RESOLVE_NAMES_MAX + 90);
	expect_found(b, RESOLVE_ADDRESS, "ours.wild.test", "192.0.2.1:0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_black_hole_has_its_zones_share),
		TEST(test_a_silent_zone_keeps_two_places),
		TEST(test_a_country_is_nobodys_zone),
		TEST(test_zones_with_many_places_give_way),
		TEST(test_as_many_silent_zones_as_places),
		TEST(test_known_names_share_by_zones_too),
		TEST(test_names_with_many_targets_hold_up_nobody),
		TEST(test_known_names_leave_places_to_new_ones),
		TEST(test_what_is_left_of_names_that_gave_way_is_bounded),
		TEST(test_waiting_is_bounded_for_names_zones_and_strangers),
		TEST(test_made_up_names_push_out_none_in_use),
		TEST(test_failures_make_room_first),
		TEST(test_our_names_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
