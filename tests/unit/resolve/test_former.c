/* SPDX-License-Identifier: BSD-3-Clause */
/* Transactions without state stay where they are when a name's answer changes (RFC 3261 16.11). */
#include <stdio.h>
#include <unistd.h>

#include "bench.h"

#define NAME "move.test"

/* What a proxy does with a message of transaction `id`; returns the last number of the address. */
static unsigned route_to(struct bench *b, const char *name, uint64_t id, enum resolve_role role)
{
	struct hash128 key = {id * 0x9e3779b97f4a7c15ULL, id};
	uint64_t now = b->began + b->ahead;
	const struct resolve_addresses *found, *from;
	struct net_endpoint bound;

	assert_int_equal(find(b, RESOLVE_ADDRESS, name, &found), RESOLVE_FOUND);
	if (found->former == NULL)
		return found->ep[0].addr.b[3];
	from = found;
	if (resolve_follow(b->resolver, &from, key, role, now, &bound))
		return bound.addr.b[3];
	if (role != RESOLVE_FOLLOWS)
		resolve_bind(b->resolver, found, key, role, now, &from->ep[0]);
	return from->ep[0].addr.b[3];
}

/* Likewise, with the name in use all the while. */
static void pass_in_use(struct bench *b, uint64_t ns)
{
	for (; ns > 2 * S; ns -= 2 * S) {
		pass(b, 2 * S);
		assert_int_not_equal(
			find(b, RESOLVE_ADDRESS, NAME, &(const struct resolve_addresses *){NULL}),
			RESOLVE_MISSING);
	}
	pass(b, ns);
}

static const char *now_at(struct bench *b)
{
	const struct resolve_addresses *a;

	return find(b, RESOLVE_ADDRESS, NAME, &a) == RESOLVE_FOUND ? text_of(a) : "";
}

static void change(struct bench *b, const char *address)
{
	dns_server_replace(b->server, (struct dns_record){NAME, TYPE_A, 5, address});
	pass_in_use(b, 7 * S);
	/* What was asked for before lives for a while, if its answer comes only now. */
	for (unsigned i = 0; i < PATIENCE_MS / 15; i++) {
		if (strncmp(now_at(b), address, strlen(address)) == 0)
			return;
		pass_in_use(b, S);
	}
	fail_msg("%s: %s", address, now_at(b));
}

static void begin(struct bench *b)
{
	add(b, NAME, TYPE_A, 5, "192.0.2.1");
	expect(b, RESOLVE_ADDRESS, NAME, "192.0.2.1:0");
	assert_int_equal(route_to(b, NAME, 1, RESOLVE_INVITE), 1);
	change(b, "192.0.2.2");
	expect_found(b, RESOLVE_ADDRESS, NAME, "192.0.2.2:0");
}

static void test_what_follows_goes_where_its_request_went(void **state)
{
	struct bench *b = *state;

	begin(b);
	/* A call of before the change, and one of after it. */
	assert_int_equal(route_to(b, NAME, 1, RESOLVE_FOLLOWS), 1);
	assert_int_equal(route_to(b, NAME, 2, RESOLVE_INVITE), 2);
	assert_int_equal(route_to(b, NAME, 2, RESOLVE_FOLLOWS), 2);
	/* Each keeps its own through more changes. */
	change(b, "192.0.2.3");
	assert_int_equal(route_to(b, NAME, 3, RESOLVE_INVITE), 3);
	change(b, "192.0.2.4");
	assert_int_equal(route_to(b, NAME, 4, RESOLVE_OTHER), 4);
	change(b, "192.0.2.1");
	for (uint64_t id = 1; id <= 3; id++)
		assert_int_equal(route_to(b, NAME, id, RESOLVE_FOLLOWS), id);
	assert_int_equal(route_to(b, NAME, 2, RESOLVE_INVITE), 2);
	assert_int_equal(route_to(b, NAME, 4, RESOLVE_OTHER), 4);
	assert_int_equal(route_to(b, NAME, 5, RESOLVE_INVITE), 1);
	assert_true(counter(b, RESOLVE_COUNTER_FOLLOWED) >= 5);
	assert_int_equal(counter(b, RESOLVE_COUNTER_PIN_FULL), 0);
}

static void test_it_is_over_when_no_call_of_then_can_be_under_way(void **state)
{
	struct bench *b = *state;
	const struct resolve_addresses *a;

	begin(b);
	assert_int_equal(find(b, RESOLVE_ADDRESS, NAME, &a), RESOLVE_FOUND);
	assert_non_null(a->former);
	pass_in_use(b, PIN_INVITE_NS - 20 * S);
	assert_int_equal(route_to(b, NAME, 1, RESOLVE_FOLLOWS), 1);
	pass_in_use(b, 40 * S);
	assert_int_equal(find(b, RESOLVE_ADDRESS, NAME, &a), RESOLVE_FOUND);
	assert_null(a->former);
	assert_int_equal(route_to(b, NAME, 1, RESOLVE_FOLLOWS), 2);
}

/* A name that changes with every answer keeps the addresses of the last ones, as many as there is
 * room for. */
static void test_a_name_that_always_changes_is_bounded(void **state)
{
	static char address[2 * RESOLVE_FORMER_MAX][32];
	struct bench *b = *state;

	begin(b);
	for (unsigned i = 0; i < COUNT(address); i++) {
		snprintf(address[i], sizeof(address[i]), "192.0.2.%u", 10 + i);
		change(b, address[i]);
		assert_int_equal(route_to(b, NAME, 10 + i, RESOLVE_INVITE), 10 + i);
	}
	for (unsigned i = COUNT(address) - RESOLVE_FORMER_MAX; i < COUNT(address); i++)
		assert_int_equal(route_to(b, NAME, 10 + i, RESOLVE_FOLLOWS), 10 + i);
	/* One that is known no more goes somewhere. */
	assert_in_range(route_to(b, NAME, 10, RESOLVE_FOLLOWS), 1, 100);
}

/* Another name of the same transaction is another choice. */
static void test_names_do_not_share_a_choice(void **state)
{
	struct bench *b = *state;

	begin(b);
	add(b, "other.test", TYPE_A, 5, "192.0.2.7");
	expect(b, RESOLVE_ADDRESS, "other.test", "192.0.2.7:0");
	dns_server_remove(b->server, "other.test");
	add(b, "other.test", TYPE_A, 5, "192.0.2.8");
	assert_int_equal(route_to(b, "other.test", 9, RESOLVE_INVITE), 7);
	pass_in_use(b, 7 * S);
	assert_int_equal(route_to(b, NAME, 9, RESOLVE_INVITE), 2);
	assert_int_equal(route_to(b, "other.test", 9, RESOLVE_FOLLOWS), 7);
}

/* Calls to names of one zone, which changes them as often as it likes, leave room to remember the
 * calls to others. */
static void test_a_zone_does_not_take_the_pins_of_others(void **state)
{
	const uint64_t calls = 6000000; /* more than there is room for */
	struct bench *b = *state;
	const struct resolve_addresses *found;
	uint64_t now, refused;

	begin(b);
	add(b, "a.other", TYPE_A, 5, "192.0.2.7");
	expect(b, RESOLVE_ADDRESS, "a.other", "192.0.2.7:0");
	dns_server_remove(b->server, "a.other");
	add(b, "a.other", TYPE_A, 5, "192.0.2.8");
	assert_int_equal(route_to(b, "a.other", 1, RESOLVE_INVITE), 7);
	pass_in_use(b, 7 * S);
	UNTIL(b, route_to(b, "a.other", 1, RESOLVE_OTHER) == 8);
	now = b->began + b->ahead;
	assert_int_equal(find(b, RESOLVE_ADDRESS, NAME, &found), RESOLVE_FOUND);
	for (uint64_t id = 100; id < 100 + calls; id++) {
		struct hash128 key = {id * 0x9e3779b97f4a7c15ULL, id * 0xbf58476d1ce4e5b9ULL};

		resolve_bind(b->resolver, found, key, RESOLVE_INVITE, now, &found->ep[0]);
	}
	refused = counter(b, RESOLVE_COUNTER_PIN_SHARE);
	for (uint64_t id = 20; id < 90; id++) {
		assert_int_equal(route_to(b, "a.other", id, RESOLVE_INVITE), 8);
		assert_int_equal(route_to(b, "a.other", id, RESOLVE_FOLLOWS), 8);
	}
	assert_in_range(refused, calls / 2, calls);
	assert_int_equal(counter(b, RESOLVE_COUNTER_PIN_SHARE), refused);
	assert_int_equal(counter(b, RESOLVE_COUNTER_PIN_FULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_follows_goes_where_its_request_went),
		TEST(test_it_is_over_when_no_call_of_then_can_be_under_way),
		TEST(test_a_name_that_always_changes_is_bounded),
		TEST(test_names_do_not_share_a_choice),
		TEST(test_a_zone_does_not_take_the_pins_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
