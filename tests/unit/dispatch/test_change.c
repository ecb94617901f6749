/* SPDX-License-Identifier: BSD-3-Clause */
/* A planned change splits no transaction; a death moves its keys at once. */
#include "common.h"

#define LIST_A "1 sip:10.0.0.1\n1 sip:10.0.0.2\n1 sip:10.0.0.3\n1 sip:10.0.0.4\n"
#define LIST_WITHOUT_2 "1 sip:10.0.0.1\n1 sip:10.0.0.3\n1 sip:10.0.0.4\n"
#define URI_2 "sip:10.0.0.2"

static struct message invite(uint64_t key, uint64_t transaction)
{
	return (struct message){.set = 1,
		.algorithm = 0,
		.klass = DISPATCH_CLASS_INVITE,
		.key = key,
		.transaction = transaction};
}

static struct message cancel(uint64_t key, uint64_t transaction)
{
	return (struct message){.set = 1,
		.algorithm = 0,
		.klass = DISPATCH_CLASS_FOLLOWS,
		.key = key,
		.transaction = transaction};
}

/* A key whose first choice is this destination. */
static uint64_t key_to(struct room *room, uint16_t id)
{
	for (uint64_t key = 0; key < 1000; key++) {
		struct message m = invite(key, 0);

		if (choose(room, 0, &m) == id)
			return key;
	}
	fail();
	return 0;
}

static void a_removed_destination_keeps_its_calls_and_then_gets_no_more(void **state)
{
	struct room room;
	struct message m;
	uint64_t key;
	uint16_t two, other;

	room_open(&room, 1000);
	assert_int_equal(room_load(&room, LIST_A), 0);
	two = room_id(&room, 1, URI_2);
	key = key_to(&room, two);
	assert_int_equal(dispatch_pins(room.d), 0);
	m = invite(key, 1); /* before the change: nobody remembers it */
	assert_int_equal(choose(&room, 0, &m), two);
	assert_int_equal(room_load(&room, LIST_WITHOUT_2), 0);
	assert_int_equal(room_id(&room, 1, URI_2), 0);

	room_pass(&room, 1 * S);
	m = invite(key, 1);
	assert_int_equal(choose(&room, 1, &m), two); /* its retransmission */
	room_pass(&room, 20 * S);
	m = invite(key, 2); /* a new one, which could be a retransmission */
	assert_int_equal(choose(&room, 2, &m), two);
	room_pass(&room, 12 * S);
	m = invite(key, 3); /* 33 s after the change: it can't */
	other = choose(&room, 3, &m);
	assert_int_not_equal(other, two);
	assert_int_not_equal(other, 0);
	m = invite(key, 2);
	assert_int_equal(choose(&room, 4, &m), two);

	room_pass(&room, 60 * S);
	m = cancel(key, 1);
	assert_int_equal(choose(&room, 0, &m), two); /* unremembered: before the change */
	m = cancel(key, 2);
	assert_int_equal(choose(&room, 1, &m), two);
	m = cancel(key, 3);
	assert_int_equal(choose(&room, 2, &m), other);

	room_pass(&room, 130 * S);
	m = cancel(key,
		2); /* 202 s after its INVITE, beyond Timer C of those before the change soon */
	assert_int_equal(choose(&room, 0, &m), two);
	room_pass(&room, 60 * S);
	m = cancel(key, 99);
	assert_int_equal(choose(&room, 0, &m), other); /* only the new table is left */
	assert_int_equal(dispatch_chain_find(atomic_load(&room.d->view), 1)->count, 1);
	room_close(&room);
}

static void an_added_destination_takes_its_share_after_64_t1(void **state)
{
	struct room room;
	uint16_t two;
	unsigned n = 0;

	room_open(&room, 10000);
	assert_int_equal(room_load(&room, LIST_WITHOUT_2), 0);
	assert_int_equal(room_load(&room, LIST_A), 0);
	two = room_id(&room, 1, URI_2);
	for (uint64_t key = 0; key < 2000; key++) {
		struct message m = invite(key, key);

		assert_int_not_equal(choose(&room, 0, &m), two);
	}
	room_pass(&room, 33 * S);
	for (uint64_t key = 2000; key < 4000; key++) {
		struct message m = invite(key, key);

		n += choose(&room, 0, &m) == two;
	}
	assert_in_range(n, 400, 600);
	room_close(&room);
}

static void only_what_a_change_moves_is_remembered(void **state)
{
	struct room room;
	uint64_t pins;

	room_open(&room, 10000);
	assert_int_equal(room_load(&room, LIST_A), 0);
	for (uint64_t key = 0; key < 1000; key++) {
		struct message m = invite(key, key);

		choose(&room, 0, &m);
	}
	assert_int_equal(dispatch_pins(room.d), 0);
	assert_int_equal(room_load(&room, LIST_WITHOUT_2), 0);
	for (uint64_t key = 1000; key < 2000; key++) {
		struct message m = invite(key, key);

		choose(&room, 0, &m);
	}
	pins = dispatch_pins(room.d);
	assert_in_range(pins, 200, 320); /* a quarter */
	room_close(&room);
}

static void a_death_moves_its_keys_at_once_and_nobody_else(void **state)
{
	static uint16_t before[4000];
	struct room room;
	uint16_t two;
	unsigned to[DISPATCH_IDS] = {0}, dead = 0;

	room_open(&room, 100000);
	assert_int_equal(room_load(&room, LIST_A), 0);
	two = room_id(&room, 1, URI_2);
	for (uint64_t key = 0; key < 4000; key++) {
		struct message m = invite(key, key);

		before[key] = choose(&room, 0, &m);
	}
	assert_int_equal(dispatch_set_up(room.d, two, false), 0);
	for (uint64_t key = 0; key < 4000; key++) {
		struct message m = invite(key, key);
		uint16_t now = choose(&room, 1, &m);

		assert_int_not_equal(now, two);
		if (before[key] != two) {
			assert_int_equal(now, before[key]);
			continue;
		}
		dead++;
		to[now]++;
	}
	/* They spread over the other three. */
	for (uint16_t id = 1; id < DISPATCH_IDS; id++)
		if (to[id] != 0)
			assert_in_range(to[id], dead / 4, dead / 2 - dead / 12);
	room_close(&room);
}

static void a_death_within_a_change_moves_at_once_too(void **state)
{
	struct room room;
	struct message m;
	uint64_t key;
	uint16_t two, other;

	room_open(&room, 1000);
	room_load(&room, LIST_A);
	two = room_id(&room, 1, URI_2);
	key = key_to(&room, two);
	room_load(&room, LIST_WITHOUT_2);
	m = invite(key, 1);
	assert_int_equal(choose(&room, 0, &m), two);
	assert_int_equal(dispatch_set_up(room.d, two, false), 0); /* it is in no list any more */
	other = choose(&room, 0, &m);
	assert_int_not_equal(other, two);
	assert_int_not_equal(other, 0);
	m = cancel(key, 1);
	assert_int_equal(
		choose(&room, 1, &m), other); /* the retransmission has moved, its CANCEL follows */
	room_close(&room);
}

static void a_recovery_leaves_calls_where_they_went_meanwhile(void **state)
{
	struct room room;
	struct message m;
	uint64_t key;
	uint16_t two, other;

	room_open(&room, 1000);
	room_load(&room, LIST_A);
	two = room_id(&room, 1, URI_2);
	key = key_to(&room, two);
	dispatch_set_up(room.d, two, false);
	room_pass(&room, 1000 * S);
	m = invite(key, 1);
	other = choose(&room, 0, &m);
	assert_int_not_equal(other, two);
	dispatch_set_up(room.d, two, true);
	assert_int_equal(choose(&room, 1, &m), other);
	m = invite(key, 2);
	assert_int_equal(choose(&room, 1, &m), two);
	room_pass(&room, 200 * S);
	m = cancel(key, 1);
	assert_int_equal(choose(&room, 2, &m), other);
	room_close(&room);
}

static void ids_and_verdicts_survive_a_reload(void **state)
{
	struct room room;
	uint16_t two;

	room_open(&room, 1000);
	room_load(&room, LIST_A);
	two = room_id(&room, 1, URI_2);
	dispatch_set_up(room.d, two, false);
	assert_int_equal(room_load(&room, LIST_A "1 sip:10.0.0.5\n"), 0);
	assert_int_equal(room_id(&room, 1, URI_2), two);
	assert_false(dispatch_is_up(room.d, two));
	/* The list's own word counts when it is new. */
	assert_int_equal(room_load(&room, "1 sip:10.0.0.1 1\n1 sip:10.0.0.2\n"), 0);
	assert_false(dispatch_is_up(room.d, room_id(&room, 1, "sip:10.0.0.1")));
	assert_false(dispatch_is_up(room.d, two));
	dispatch_set_up(room.d, room_id(&room, 1, "sip:10.0.0.1"), true);
	assert_int_equal(room_load(&room, "1 sip:10.0.0.1 1\n1 sip:10.0.0.2\n1 sip:10.0.0.3\n"), 0);
	assert_true(dispatch_is_up(room.d, room_id(&room, 1, "sip:10.0.0.1")));
	room_close(&room);
}

static void a_reload_that_changes_nothing_adds_no_version(void **state)
{
	struct room room;

	room_open(&room, 1000);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(room_load(&room, LIST_A), 0);
	assert_int_equal(dispatch_chain_find(atomic_load(&room.d->view), 1)->count, 1);
	room_close(&room);
}

static void the_change_that_is_one_too_many_is_refused_until_it_can_be_kept(void **state)
{
	struct room room;
	unsigned published = 0;

	room_open(&room, 1000);
	room_load(&room, LIST_A);
	for (unsigned i = 0; i < 20; i++) {
		char list[128];

		snprintf(list, sizeof(list), LIST_A "1 sip:10.0.1.%u\n", i);
		published += room_load(&room, list) == 0;
	}
	assert_int_equal(published, DISPATCH_VERSIONS_MAX - 1);
	assert_non_null(strstr(route_report_text(room.report), "set 1 has been changed 15 times"));
	room_pass(&room, PIN_INVITE_NS + 5 * S);
	assert_int_equal(room_load(&room, LIST_WITHOUT_2 "1 sip:10.0.0.7\n"), 0);
	room_close(&room);
}

static void a_removed_set_keeps_its_calls_and_goes(void **state)
{
	struct room room;
	struct message m = invite(5, 1);
	uint16_t id;

	room_open(&room, 1000);
	room_load(&room, LIST_A "2 sip:10.0.0.9\n");
	id = choose(&room, 0, &m);
	assert_int_equal(room_load(&room, "2 sip:10.0.0.9\n"), 0);
	assert_int_equal(choose(&room, 0, &m), id);
	room_pass(&room, 33 * S);
	m = invite(5, 2);
	assert_int_equal(choose(&room, 0, &m), 0);
	m = cancel(5, 1);
	assert_int_equal(choose(&room, 0, &m), id);
	room_pass(&room, 300 * S);
	assert_int_equal(choose(&room, 0, &m), 0);
	assert_null(dispatch_chain_find(atomic_load(&room.d->view), 1));
	/* Its ids are free again. */
	assert_null(dispatch_target_at(room.d, id));
	room_close(&room);
}

static char *many(unsigned n, unsigned from)
{
	char *list = malloc((size_t)n * 40 + 1), *at = list;

	for (unsigned i = from; i < from + n; i++)
		at += sprintf(at, "1 sip:10.%u.%u.%u\n", i >> 16, i >> 8 & 255, i & 255);
	return list;
}

static void ids_of_the_replaced_are_used_again_only_when_their_calls_are_over(void **state)
{
	struct room room;
	char *a = many(4000, 256), *b = many(4000, 8256), *c = many(4000, 16256);

	room_open(&room, 1000);
	assert_int_equal(room_load(&room, a), 0);
	assert_int_equal(room_load(&room, b), 0);
	assert_int_not_equal(room_load(&room, c), 0);
	assert_non_null(
		strstr(route_report_text(room.report), "too many destinations have been replaced"));
	/* What was refused has left nothing behind. */
	assert_int_equal(room_load(&room, b), 0);
	room_pass(&room, 500 * S);
	assert_int_equal(room_load(&room, c), 0);
	room_close(&room);
	free(a);
	free(b);
	free(c);
}

/* ---- any sequence of changes ---- */

#define WORKERS 8
#define HOSTS 24
#define SETS 7
#define LIVE 1500

static const unsigned algorithm_of_set[SETS] = {0, 8, 4, 6, 9, 11, 1};

struct transaction {
	struct message m;
	uint64_t begin_ns, next_ns, end_ns, recorded_ns;
	uint32_t address; /* where it went; 0: nowhere */
	bool is_invite;
};

struct world {
	struct room room;
	struct transaction live[LIVE];
	uint64_t death_ns[256]; /* by last byte of the address: last time it was down */
	bool down[256];
	uint64_t random, transactions, messages, split, moved_by_death, reloads, refused, failed,
		by_hand;
};

static uint64_t dice(struct world *w, uint64_t n)
{
	return (test_random(&w->random) >> 16) % n;
}

/* A list of any of the hosts, with any weights, states and priorities. */
static void reload(struct world *w)
{
	char list[SETS * HOSTS * 100], *at = list;

	list[0] = '\0';
	for (unsigned set = 1; set <= SETS; set++) {
		if (dice(w, 20) == 0)
			continue; /* no such set this time */
		for (unsigned host = 1; host <= HOSTS; host++) {
			if (dice(w, 4) == 0)
				continue;
			at += sprintf(at,
				"%u sip:10.0.0.%u:5060 %s %u weight=%u;rweight=%u;duid=h%u%s\n",
				set, host, dice(w, 12) == 0 ? "4" : "0", (unsigned)dice(w, 3),
				(unsigned)dice(w, 20), (unsigned)dice(w, 20), host,
				dice(w, 15) == 0 ? ";state=drain" : "");
		}
	}
	w->reloads++;
	w->refused += room_load(&w->room, list) != 0;
}

/* Somebody takes one of them out, or back. */
static void by_hand(struct world *w)
{
	char uri[64], why[512];
	struct dispatch_change change = {1 + (uint32_t)dice(w, SETS),
		(enum dispatch_state)dice(w, DISPATCH_STATES), STR_NONE};
	struct dispatch_prepared *p;

	sprintf(uri, "sip:10.0.0.%u:5060", 1 + (unsigned)dice(w, HOSTS));
	change.uris = str_c(uri);
	if (dispatch_state_prepare(w->room.d, &change, &p, why, sizeof(why)) != 0)
		return;
	w->by_hand++;
	dispatch_state_publish(w->room.d, p);
}

static void note_health(void *arg, const struct dispatch_info *info)
{
	struct world *w = arg;
	unsigned host = info->ep.addr.b[3];

	dispatch_set_up(w->room.d, info->id, !w->down[host]);
}

/* Deaths and recoveries of hosts, in every set; also of those that are in no list any more. */
static void health(struct world *w)
{
	unsigned host = 1 + (unsigned)dice(w, HOSTS);

	w->down[host] = !w->down[host] && dice(w, 3) == 0;
	if (w->down[host])
		w->death_ns[host] = test_now();
	for (uint16_t id = 1; id < DISPATCH_IDS; id++) {
		const struct dispatch_target *t = dispatch_target_at(w->room.d, id);

		if (t != NULL && t->ep.addr.b[3] == host)
			dispatch_set_up(w->room.d, id, !w->down[host]);
	}
	dispatch_list(w->room.d, note_health, w);
	for (unsigned i = 1; i <= HOSTS; i++)
		if (w->down[i])
			w->death_ns[i] = test_now();
}

static void begin(struct world *w, struct transaction *t)
{
	unsigned set = (unsigned)dice(w, SETS);

	memset(t, 0, sizeof(*t));
	t->is_invite = dice(w, 3) != 0;
	t->m = (struct message){
		.set = set + 1,
		.algorithm = algorithm_of_set[set],
		.klass = t->is_invite ? DISPATCH_CLASS_INVITE : DISPATCH_CLASS_OTHER,
		.key = dice(w, 5000),
		.transaction = ++w->transactions,
	};
	t->begin_ns = test_now();
	/* An INVITE rings up to three minutes; its retransmissions and all others' end at 64*T1. */
	t->end_ns = t->begin_ns + (t->is_invite ? 33 * S + dice(w, 178 * S) : 32 * S);
}

static void judge(struct world *w, struct transaction *t, uint16_t id)
{
	uint32_t address = id != 0 ? address_of(&w->room, id) : 0;
	unsigned host = t->address >> 24;

	if (id == 0) {
		w->failed++;
		/* Whoever has a place keeps it unless it died. */
		if (t->address != 0 && w->death_ns[host] < t->recorded_ns)
			w->split++;
		return;
	}
	if (t->address != 0 && address != t->address) {
		if (w->death_ns[host] >= t->recorded_ns)
			w->moved_by_death++;
		else
			w->split++;
	}
	if (t->address == 0 || (address != t->address && t->m.klass != DISPATCH_CLASS_FOLLOWS)) {
		t->address = address;
		t->recorded_ns = test_now();
	}
}

static void step(struct world *w, struct transaction *t)
{
	struct message m = t->m;
	uint64_t age = test_now() - t->begin_ns;
	unsigned worker = (unsigned)dice(w, WORKERS);

	if (t->is_invite && t->address != 0 && (age >= 32 * S || dice(w, 10) == 0))
		m.klass =
			DISPATCH_CLASS_FOLLOWS; /* CANCEL while ringing, or the ACK of a failure */
	/* Bursts of other workers began a little earlier. */
	w->room.thread[worker].now_ns = test_now() - dice(w, 5 * CLOCK_NS_PER_MS);
	t->m.klass = m.klass;
	judge(w, t, choose(&w->room, worker, &m));
	w->messages++;
	t->m.klass = t->is_invite ? DISPATCH_CLASS_INVITE : DISPATCH_CLASS_OTHER;
	t->next_ns = test_now() + dice(w, age < 32 * S ? 8 * S : 60 * S);
}

static void run_world(struct world *w, uint64_t seconds, bool deaths)
{
	for (uint64_t tick = 0; tick < seconds * 4; tick++) {
		room_pass(&w->room, S / 4);
		/* From quiet minutes to several reloads in a second. */
		if (dice(w, tick / 400 % 3 == 0 ? 40 : 400) == 0)
			reload(w);
		if (dice(w, tick / 400 % 4 == 1 ? 8 : 60) == 0)
			by_hand(w);
		if (deaths && dice(w, 60) == 0)
			health(w);
		if (deaths)
			for (unsigned i = 1; i <= HOSTS; i++)
				if (w->down[i])
					w->death_ns[i] = test_now();
		for (unsigned i = 0; i < LIVE; i++) {
			struct transaction *t = &w->live[i];

			if (t->m.transaction == 0 || test_now() > t->end_ns ||
				(t->address == 0 && t->next_ns != 0)) {
				if (dice(w, 40) == 0)
					begin(w, t);
				else
					t->m.transaction = 0;
			}
			if (t->m.transaction != 0 && test_now() >= t->next_ns)
				step(w, t);
		}
	}
}

static void check_world(uint64_t seed, bool deaths)
{
	struct world *w = calloc(1, sizeof(*w));

	room_open(&w->room, 100000);
	w->random = seed;
	reload(w);
	run_world(w, 1200, deaths);
	print_message("%llu transactions, %llu messages, %llu reloads (%llu refused), %llu by "
		      "hand, %llu nowhere, %llu moved by a death, "
		      "%llu split; pins full %llu\n",
		(unsigned long long)w->transactions, (unsigned long long)w->messages,
		(unsigned long long)w->reloads, (unsigned long long)w->refused,
		(unsigned long long)w->by_hand, (unsigned long long)w->failed,
		(unsigned long long)w->moved_by_death, (unsigned long long)w->split,
		(unsigned long long)dispatch_counter(w->room.d, DISPATCH_COUNTER_PIN_FULL));
	assert_int_equal(w->split, 0);
	assert_true(w->messages > 50000 && w->reloads - w->refused > 10 && w->by_hand > 50);
	if (deaths)
		assert_true(w->moved_by_death > 0);
	else
		assert_int_equal(w->moved_by_death, 0);
	room_close(&w->room);
	free(w);
}

static void no_sequence_of_reloads_splits_a_transaction(void **state)
{
	check_world(12345, false);
	check_world(777, false);
}

static void nor_do_reloads_with_deaths_and_recoveries_between_them(void **state)
{
	check_world(4242, true);
	check_world(99, true);
}

/* As at the end of a process: its threads are gone and have said nothing after the last reload. */
static void what_readers_never_passed_goes_with_the_room(void **state)
{
	struct room room;

	room_open(&room, 0);
	assert_true(rcu_register(&room.rcu) >= 0);
	assert_int_equal(room_load(&room, "1 sip:10.0.0.1:5060\n"), 0);
	assert_int_equal(room_load(&room, "1 sip:10.0.0.1:5060\n1 sip:10.0.0.2:5060\n"), 0);
	assert_true(rcu_reclaim(&room.rcu) > 0);
	room_close(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_readers_never_passed_goes_with_the_room),
		cmocka_unit_test(a_removed_destination_keeps_its_calls_and_then_gets_no_more),
		cmocka_unit_test(an_added_destination_takes_its_share_after_64_t1),
		cmocka_unit_test(only_what_a_change_moves_is_remembered),
		cmocka_unit_test(a_death_moves_its_keys_at_once_and_nobody_else),
		cmocka_unit_test(a_death_within_a_change_moves_at_once_too),
		cmocka_unit_test(a_recovery_leaves_calls_where_they_went_meanwhile),
		cmocka_unit_test(ids_and_verdicts_survive_a_reload),
		cmocka_unit_test(a_reload_that_changes_nothing_adds_no_version),
		cmocka_unit_test(the_change_that_is_one_too_many_is_refused_until_it_can_be_kept),
		cmocka_unit_test(a_removed_set_keeps_its_calls_and_goes),
		cmocka_unit_test(ids_of_the_replaced_are_used_again_only_when_their_calls_are_over),
		cmocka_unit_test(no_sequence_of_reloads_splits_a_transaction),
		cmocka_unit_test(nor_do_reloads_with_deaths_and_recoveries_between_them),
	};

	return cmocka_run_group_tests_name("dispatch/change", tests, NULL, NULL);
}
