/* SPDX-License-Identifier: BSD-3-Clause */
/* States by hand: out of service and back without a list, and no transaction is split by it. */
#include "common.h"

#define LIST_A "1 sip:10.0.0.1\n1 sip:10.0.0.2\n1 sip:10.0.0.3\n1 sip:10.0.0.4\n"
#define URI_2 "sip:10.0.0.2"

static char why[512];

static int set_state(struct room *room, uint32_t set, const char *uris, enum dispatch_state state)
{
	struct dispatch_change change = {.set = set, .state = state, .uris = str_c(uris)};
	struct dispatch_prepared *p;
	int err = dispatch_state_prepare(room->d, &change, &p, why, sizeof(why));
	int n = err == 0 ? (int)dispatch_state_publish(room->d, p) : err;

	rcu_quiescent(&room->rcu, room->reader);
	rcu_reclaim(&room->rcu);
	return n;
}

static struct message message(unsigned algorithm, uint8_t klass, uint64_t key, uint64_t transaction)
{
	return (struct message){.set = 1,
		.algorithm = algorithm,
		.klass = klass,
		.key = key,
		.transaction = transaction};
}

static uint16_t invite(struct room *room, uint64_t key, uint64_t transaction)
{
	struct message m = message(0, DISPATCH_CLASS_INVITE, key, transaction);

	return choose(room, 0, &m);
}

static uint16_t cancel(struct room *room, uint64_t key, uint64_t transaction)
{
	struct message m = message(0, DISPATCH_CLASS_FOLLOWS, key, transaction);

	return choose(room, 1, &m);
}

static uint64_t key_to(struct room *room, uint16_t id)
{
	for (uint64_t key = 0; key < 1000; key++)
		if (invite(room, key, 0) == id)
			return key;
	fail();
	return 0;
}

struct search {
	uint16_t id;
	struct dispatch_info info;
};

static void match(void *arg, const struct dispatch_info *info)
{
	struct search *search = arg;

	if (info->id == search->id)
		search->info = *info;
}

static struct dispatch_info info_of(struct room *room, uint16_t id)
{
	struct search search = {.id = id};

	dispatch_list(room->d, match, &search);
	assert_int_equal(search.info.id, id);
	return search.info;
}

static void expect_state(struct room *room, const char *uri, const char *state, bool by_hand)
{
	struct dispatch_info info = info_of(room, room_id(room, 1, uri));

	assert_string_equal(info.state, state);
	assert_int_equal(info.by_hand, by_hand);
}

static void keeps_its_calls_and_then_gets_no_more(enum dispatch_state state)
{
	struct room room;
	uint64_t key;
	uint16_t two, other;

	room_open(&room, 1000);
	assert_int_equal(room_load(&room, LIST_A), 0);
	two = room_id(&room, 1, URI_2);
	key = key_to(&room, two);
	assert_int_equal(invite(&room, key, 1), two); /* nobody remembers it */
	assert_int_equal(set_state(&room, 1, URI_2, state), 1);
	assert_int_equal(room_id(&room, 1, URI_2), two); /* it is still in the list */
	room_pass(&room, 1 * S);
	assert_int_equal(invite(&room, key, 1), two); /* its retransmission */
	room_pass(&room, 32 * S);
	other = invite(&room, key, 3); /* 33 s after: it can be none */
	assert_int_not_equal(other, two);
	assert_int_not_equal(other, 0);
	room_pass(&room, 60 * S);
	assert_int_equal(cancel(&room, key, 1), two);
	assert_int_equal(cancel(&room, key, 3), other);
	room_pass(&room, 300 * S);
	for (uint64_t k = 0; k < 4000; k++)
		assert_int_not_equal(invite(&room, k, 1000 + k), two);
	room_close(&room);
}

static void one_that_is_drained_keeps_its_calls_and_then_gets_no_more(void **state)
{
	keeps_its_calls_and_then_gets_no_more(DISPATCH_DRAIN);
}

static void one_that_is_disabled_does_likewise(void **state)
{
	keeps_its_calls_and_then_gets_no_more(DISPATCH_DISABLED);
}

static void what_is_remembered_anyway_gets_nothing_new_from_then_on(void **state)
{
	static const unsigned algorithm[] = {4, 6, 9, 11};
	struct room room;
	uint16_t two, went[4][100];

	room_open(&room, 10000);
	room_load(&room, LIST_A);
	two = room_id(&room, 1, URI_2);
	for (unsigned a = 0; a < 4; a++)
		for (unsigned i = 0; i < 100; i++) {
			struct message m =
				message(algorithm[a], DISPATCH_CLASS_INVITE, i, 1000 * (a + 1) + i);

			went[a][i] = choose(&room, i % 8, &m);
		}
	assert_int_equal(set_state(&room, 1, URI_2, DISPATCH_DRAIN), 1);
	for (unsigned a = 0; a < 4; a++)
		for (unsigned i = 0; i < 100; i++) {
			struct message again =
				message(algorithm[a], DISPATCH_CLASS_INVITE, i, 1000 * (a + 1) + i);
			struct message new = message(
				algorithm[a], DISPATCH_CLASS_INVITE, i, 1000 * (a + 10) + i);
			struct message end = message(
				algorithm[a], DISPATCH_CLASS_FOLLOWS, i, 1000 * (a + 1) + i);

			assert_int_equal(choose(&room, i % 8, &again), went[a][i]);
			assert_int_equal(choose(&room, i % 8, &end), went[a][i]);
			assert_int_not_equal(choose(&room, i % 8, &new), two);
		}
	room_close(&room);
}

static void one_that_is_enabled_again_gets_its_keys_back(void **state)
{
	struct room room;
	uint64_t key;
	uint16_t two, other;

	room_open(&room, 1000);
	room_load(&room, LIST_A);
	two = room_id(&room, 1, URI_2);
	key = key_to(&room, two);
	set_state(&room, 1, URI_2, DISPATCH_DRAIN);
	room_pass(&room, 1000 * S);
	other = invite(&room, key, 1);
	assert_int_not_equal(other, two);
	assert_int_equal(set_state(&room, 1, URI_2, DISPATCH_ENABLED), 1);
	expect_state(&room, URI_2, "enabled", false);
	assert_int_equal(invite(&room, key, 1), other);
	room_pass(&room, 33 * S);
	assert_int_equal(invite(&room, key, 2), two);
	assert_int_equal(cancel(&room, key, 1), other);
	room_close(&room);
}

static void what_the_list_has_taken_out_comes_back_by_hand(void **state)
{
	struct room room;
	unsigned n = 0;

	room_open(&room, 10000);
	room_load(&room, "1 sip:10.0.0.1\n1 sip:10.0.0.2 0 0 state=drain\n1 sip:10.0.0.3 4\n");
	expect_state(&room, URI_2, "drain", false);
	assert_int_equal(set_state(&room, 1, "sip:10.0.0.2 sip:10.0.0.3", DISPATCH_ENABLED), 2);
	expect_state(&room, URI_2, "enabled", true);
	room_pass(&room, 300 * S);
	for (uint64_t key = 0; key < 3000; key++)
		n += invite(&room, key, key) != room_id(&room, 1, "sip:10.0.0.1");
	assert_in_range(n, 1800, 2200);
	room_close(&room);
}

static void what_cannot_be_is_said(void **state)
{
	struct room room;

	room_open(&room, 1000);
	assert_int_equal(
		set_state(&room, 1, URI_2, DISPATCH_DRAIN), -ENOENT); /* nothing is loaded */
	assert_string_equal(why, "there is no set 1");
	room_load(&room, LIST_A "2 sip:10.0.0.9\n");
	assert_int_equal(set_state(&room, 3, URI_2, DISPATCH_DRAIN), -ENOENT);
	assert_string_equal(why, "there is no set 3");
	assert_int_equal(set_state(&room, 2, URI_2, DISPATCH_DRAIN), -ENOENT);
	assert_string_equal(why, "set 2 has no destination 'sip:10.0.0.2'");
	assert_int_equal(set_state(&room, 1, "", DISPATCH_DRAIN), -ENOENT);
	assert_int_equal(
		set_state(&room, 1, "sip:10.0.0.2 sip:10.0.0.20", DISPATCH_DRAIN), -ENOENT);
	assert_string_equal(why, "set 1 has no destination 'sip:10.0.0.20'");
	expect_state(&room, URI_2, "enabled", false); /* all of them, or none */
	assert_int_equal(set_state(&room, 1, URI_2, DISPATCH_ENABLED), -EALREADY);
	assert_string_equal(why, "set 1: sip:10.0.0.2 is in the state 'enabled' already");
	assert_int_equal(set_state(&room, 1, URI_2, DISPATCH_DRAIN), 1);
	assert_int_equal(set_state(&room, 1, URI_2, DISPATCH_DRAIN), -EALREADY);
	assert_int_equal(set_state(&room, 1, "sip:10.0.0.1  " URI_2 " ", DISPATCH_DRAIN), 1);
	assert_int_equal(set_state(&room, 1, URI_2, DISPATCH_DISABLED), 1);
	expect_state(&room, URI_2, "disabled", true);
	room_close(&room);
}

static void one_change_too_many_is_refused_until_it_can_be_kept(void **state)
{
	struct room room;
	int n = 0, err = 0;

	room_open(&room, 1000);
	room_load(&room, LIST_A);
	while (err >= 0 && n < 50) {
		err = set_state(&room, 1, URI_2, n % 2 == 0 ? DISPATCH_DRAIN : DISPATCH_ENABLED);
		n += err > 0;
	}
	assert_int_equal(err, -EBUSY);
	assert_int_equal(n, DISPATCH_VERSIONS_MAX - 1);
	assert_non_null(strstr(why, "set 1 has been changed 15 times"));
	assert_non_null(strstr(why, "try again in"));
	assert_int_equal(strncmp(why, "set 1", 5), 0);
	/* What was refused has changed nothing. */
	expect_state(&room, URI_2, "drain", true);
	room_pass(&room, PIN_INVITE_NS + 5 * S);
	assert_int_equal(set_state(&room, 1, URI_2, DISPATCH_ENABLED), 1);
	room_close(&room);
}

static void a_state_by_hand_outlives_lists_that_say_nothing_new(void **state)
{
	struct room room;
	uint16_t two;

	room_open(&room, 1000);
	room_load(&room, LIST_A);
	two = room_id(&room, 1, URI_2);
	set_state(&room, 1, URI_2, DISPATCH_DRAIN);
	assert_int_equal(room_load(&room, LIST_A "1 sip:10.0.0.5\n2 sip:10.0.0.2\n"), 0);
	expect_state(&room, URI_2, "drain", true);
	assert_string_equal(info_of(&room, room_id(&room, 2, URI_2)).state, "enabled");
	/* A list that cannot be read is none. */
	assert_int_not_equal(room_load(&room, "1 sip:10.0.0.2 x\n"), 0);
	expect_state(&room, URI_2, "drain", true);
	/* Another name of it, or another address, and it is the same destination to who said so. */
	assert_int_equal(room_load(&room, "1 sip:10.0.0.1\n1 sip:10.0.0.2 0 0 duid=b\n"), 0);
	assert_int_not_equal(room_id(&room, 1, URI_2), two);
	expect_state(&room, URI_2, "drain", true);
	/* The list's own word counts when it is new, and then it is the list's. */
	assert_int_equal(room_load(&room, "1 sip:10.0.0.1\n1 sip:10.0.0.2 4\n"), 0);
	expect_state(&room, URI_2, "disabled", false);
	assert_int_equal(room_load(&room, LIST_A), 0);
	expect_state(&room, URI_2, "enabled", false);
	/* One that has left comes back as the list has it. */
	set_state(&room, 1, URI_2, DISPATCH_DISABLED);
	assert_int_equal(room_load(&room, "1 sip:10.0.0.1\n"), 0);
	assert_int_equal(room_load(&room, LIST_A), 0);
	expect_state(&room, URI_2, "enabled", false);
	room_close(&room);
}

static void it_is_known_since_when_and_what_may_be_left(void **state)
{
	struct dispatch_info info;
	struct room room;
	uint64_t key, at;
	uint16_t two;

	room_open(&room, 1000);
	room_load(&room, LIST_A "1 sip:10.0.0.5 4\n");
	two = room_id(&room, 1, URI_2);
	key = key_to(&room, two);
	info = info_of(&room, two);
	assert_true(info.since_ns == 0 && info.until_ns == 0 && info.pins == 0);
	info = info_of(&room, room_id(&room, 1, "sip:10.0.0.5"));
	assert_true(info.since_ns == 0 && info.until_ns == 0);
	room_pass(&room, 10 * S);
	at = test_now();
	set_state(&room, 1, URI_2, DISPATCH_DRAIN);
	info = info_of(&room, two);
	assert_int_equal(info.since_ns, at);
	assert_true(info.until_ns > at + PIN_RETRANSMIT_NS + PIN_INVITE_NS);
	for (uint64_t i = 1; i <= 5; i++)
		assert_int_equal(invite(&room, key, i), two);
	room_pass(&room, 70 * S); /* two sweeps */
	assert_int_equal(info_of(&room, two).pins, 5);
	/* Disabled later, it has been out since it was drained. */
	set_state(&room, 1, URI_2, DISPATCH_DISABLED);
	assert_int_equal(info_of(&room, two).since_ns, at + 70 * S);
	assert_int_equal(info_of(&room, two).until_ns, info.until_ns);
	room_pass(&room, info.until_ns - test_now() + 70 * S);
	assert_int_equal(info_of(&room, two).pins, 0);
	set_state(&room, 1, URI_2, DISPATCH_ENABLED);
	assert_int_equal(info_of(&room, two).until_ns, 0);
	room_close(&room);
}

static void nobody_takes_the_place_of_a_last_one_that_is_out(void **state)
{
	struct dispatch_options options = {0, true};
	unsigned first = 0, second = 0;
	struct room room;

	room_open(&room, 10000);
	room_load_options(&room, "1 sip:10.0.0.1\n1 sip:10.0.0.2\n1 sip:10.0.0.3\n", &options);
	assert_int_equal(set_state(&room, 1, "sip:10.0.0.3", DISPATCH_DRAIN), 1);
	room_pass(&room, 300 * S);
	for (uint64_t key = 0; key < 1000; key++) {
		uint16_t id = invite(&room, key, key);

		first += id == room_id(&room, 1, "sip:10.0.0.1");
		second += id == room_id(&room, 1, URI_2);
	}
	assert_int_equal(first + second, 1000);
	assert_in_range(first, 400, 600);
	room_close(&room);
}

static void a_set_with_none_left_has_no_destination(void **state)
{
	struct room room;

	room_open(&room, 1000);
	room_load(&room, "1 sip:10.0.0.1\n");
	assert_int_equal(set_state(&room, 1, "sip:10.0.0.1", DISPATCH_DISABLED), 1);
	room_pass(&room, 33 * S);
	assert_int_equal(invite(&room, 1, 1), 0);
	assert_int_equal(set_state(&room, 1, "sip:10.0.0.1", DISPATCH_ENABLED), 1);
	room_pass(&room, 33 * S);
	assert_int_not_equal(invite(&room, 1, 2), 0);
	room_close(&room);
}

static void who_is_disabled_is_no_active_one(void **state)
{
	struct room room;
	struct dispatch_query q = {.set = 1, .with_port = true, .active = true};

	room_open(&room, 1000);
	room_load(&room, LIST_A);
	assert_int_equal(net_addr_parse(STR("10.0.0.2"), &q.ep.addr), 0);
	q.ep.port = 5060;
	assert_true(dispatch_find(room.d, &q));
	set_state(&room, 1, URI_2, DISPATCH_DRAIN); /* its calls still send requests */
	assert_true(dispatch_find(room.d, &q));
	set_state(&room, 1, URI_2, DISPATCH_DISABLED);
	assert_false(dispatch_find(room.d, &q));
	q.active = false;
	assert_true(dispatch_find(room.d, &q));
	room_close(&room);
}

static void what_is_built_and_not_wanted_leaves_nothing(void **state)
{
	struct dispatch_change change = {1, DISPATCH_DRAIN, STR(URI_2)};
	struct dispatch_prepared *p;
	struct room room;

	room_open(&room, 1000);
	room_load(&room, LIST_A);
	assert_int_equal(dispatch_state_prepare(room.d, &change, &p, why, sizeof(why)), 0);
	dispatch_state_discard(room.d, p);
	expect_state(&room, URI_2, "enabled", false);
	assert_int_equal(room_load(&room, LIST_A), 0);
	expect_state(&room, URI_2, "enabled", false);
	room_close(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_is_drained_keeps_its_calls_and_then_gets_no_more),
		cmocka_unit_test(one_that_is_disabled_does_likewise),
		cmocka_unit_test(what_is_remembered_anyway_gets_nothing_new_from_then_on),
		cmocka_unit_test(one_that_is_enabled_again_gets_its_keys_back),
		cmocka_unit_test(what_the_list_has_taken_out_comes_back_by_hand),
		cmocka_unit_test(what_cannot_be_is_said),
		cmocka_unit_test(one_change_too_many_is_refused_until_it_can_be_kept),
		cmocka_unit_test(a_state_by_hand_outlives_lists_that_say_nothing_new),
		cmocka_unit_test(it_is_known_since_when_and_what_may_be_left),
		cmocka_unit_test(nobody_takes_the_place_of_a_last_one_that_is_out),
		cmocka_unit_test(a_set_with_none_left_has_no_destination),
		cmocka_unit_test(who_is_disabled_is_no_active_one),
		cmocka_unit_test(what_is_built_and_not_wanted_leaves_nothing),
	};

	return cmocka_run_group_tests_name("dispatch/state", tests, NULL, NULL);
}
