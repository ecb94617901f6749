/* SPDX-License-Identifier: BSD-3-Clause */
/* Algorithms: shares, who takes over from the dead, and what a retransmission gets. */
#include "common.h"

static struct message request(unsigned algorithm, uint64_t n)
{
	return (struct message){.set = 1,
		.algorithm = algorithm,
		.klass = DISPATCH_CLASS_INVITE,
		.key = n,
		.transaction = n};
}

/* How often each id is chosen in n new calls. */
static void count_calls(
	struct room *room, unsigned algorithm, unsigned workers, uint64_t n, unsigned *count)
{
	static uint64_t from;

	memset(count, 0, DISPATCH_IDS * sizeof(*count));
	for (uint64_t i = 0; i < n; i++) {
		struct message m = request(algorithm, ++from);

		count[choose(room, (unsigned)(i % workers), &m)]++;
	}
}

static void load_equal(struct room *room, unsigned n)
{
	char *list = list_of(1, n, NULL);

	assert_int_equal(room_load(room, list), 0);
	free(list);
}

static void round_robin_over_equals_is_exact_on_each_worker(void **state)
{
	static const unsigned size[] = {1, 2, 3, 26, 150, 1000};
	unsigned count[DISPATCH_IDS];

	for (unsigned i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
		struct room room;

		room_open(&room, 200000);
		load_equal(&room, size[i]);
		count_calls(&room, DISPATCH_ROUND_ROBIN, 3, size[i] * 30, count);
		assert_int_equal(count[0], 0);
		for (unsigned id = 1; id <= size[i]; id++)
			assert_int_equal(count[id], 30);
		room_close(&room);
	}
}

/* 26 and 150 are where tables of 100 slots give one destination a quarter of the calls, or all. */
static void equals_are_equal_under_every_algorithm(void **state)
{
	static const unsigned size[] = {26, 150}, algorithm[] = {0, 1, 2, 3, 4, 6, 7, 9, 11};
	unsigned count[DISPATCH_IDS];

	for (unsigned i = 0; i < 2; i++) {
		for (unsigned a = 0; a < sizeof(algorithm) / sizeof(algorithm[0]); a++) {
			struct room room;
			unsigned calls = size[i] * 400;

			room_open(&room, 200000);
			load_equal(&room, size[i]);
			count_calls(&room, algorithm[a], 4, calls, count);
			/* Five standard deviations of 400. */
			for (unsigned id = 1; id <= size[i]; id++)
				assert_in_range(count[id], 300, 500);
			room_close(&room);
		}
	}
}

#define LIST_121 \
	"1 sip:10.0.0.1 0 0 rweight=1;weight=20\n1 sip:10.0.0.2 0 0 rweight=2;weight=50\n1 " \
	"sip:10.0.0.3 0 0 rweight=1;weight=30\n"

static void weights_are_kept_to(void **state)
{
	struct room room;
	unsigned count[DISPATCH_IDS], ids[3];

	room_open(&room, 100000);
	assert_int_equal(room_load(&room, LIST_121), 0);
	ids[0] = room_id(&room, 1, "sip:10.0.0.1");
	ids[1] = room_id(&room, 1, "sip:10.0.0.2");
	ids[2] = room_id(&room, 1, "sip:10.0.0.3");
	count_calls(&room, DISPATCH_WEIGHT, 1, 1000, count);
	assert_int_equal(count[ids[0]], 200);
	assert_int_equal(count[ids[1]], 500);
	assert_int_equal(count[ids[2]], 300);
	count_calls(&room, DISPATCH_ROUND_ROBIN, 1, 1000, count);
	assert_int_equal(count[ids[1]], 500);
	count_calls(&room, DISPATCH_RELATIVE_WEIGHT, 1, 1000, count);
	assert_int_equal(count[ids[0]], 250);
	assert_int_equal(count[ids[1]], 500);
	assert_int_equal(count[ids[2]], 250);
	/* The hashes go by weight too. */
	count_calls(&room, DISPATCH_CALL_ID, 1, 20000, count);
	assert_in_range(count[ids[0]], 3700, 4300);
	assert_in_range(count[ids[1]], 9700, 10300);
	room_close(&room);
}

static void the_share_of_the_dead_goes_to_the_others_in_proportion(void **state)
{
	struct room room;
	unsigned count[DISPATCH_IDS], one, two, three;

	room_open(&room, 100000);
	assert_int_equal(room_load(&room, LIST_121), 0);
	one = room_id(&room, 1, "sip:10.0.0.1");
	two = room_id(&room, 1, "sip:10.0.0.2");
	three = room_id(&room, 1, "sip:10.0.0.3");
	dispatch_set_up(room.d, three, false);
	count_calls(&room, DISPATCH_RELATIVE_WEIGHT, 1, 900, count);
	assert_int_equal(count[one], 300);
	assert_int_equal(count[two], 600);
	count_calls(&room, DISPATCH_WEIGHT, 1, 700, count);
	assert_int_equal(count[one], 200);
	assert_int_equal(count[two], 500);
	count_calls(&room, DISPATCH_CALL_ID, 1, 14000, count);
	assert_in_range(count[one], 3600, 4400);
	assert_int_equal(count[three], 0);
	count_calls(&room, DISPATCH_RANDOM, 1, 1000, count);
	assert_in_range(count[one], 400, 600);
	room_close(&room);
}

static void the_keys_of_the_dead_spread_over_all_the_others(void **state)
{
	static uint16_t before[30000];
	unsigned count[DISPATCH_IDS] = {0}, dead = 0;
	struct room room;

	room_open(&room, 100000);
	load_equal(&room, 26);
	for (unsigned i = 0; i < 30000; i++) {
		struct message m = request(0, i);

		before[i] = choose(&room, 0, &m);
	}
	dispatch_set_up(room.d, 7, false);
	for (unsigned i = 0; i < 30000; i++) {
		struct message m = request(0, i);
		uint16_t now = choose(&room, 0, &m);

		if (before[i] != 7) {
			assert_int_equal(now, before[i]);
			continue;
		}
		dead++;
		count[now]++;
	}
	assert_int_equal(count[7], 0);
	/* A neighbour that took them all would have 1,150; each of 25 should have 46. */
	for (unsigned id = 1; id <= 26; id++)
		if (id != 7)
			assert_in_range(count[id], 12, 92);
	assert_in_range(dead, 950, 1350);
	room_close(&room);
}

static void the_last_one_up_of_a_thousand_gets_all(void **state)
{
	static const unsigned algorithm[] = {0, 4, 6, 8, 9, 11};
	struct room room;

	room_open(&room, 100000);
	load_equal(&room, 1000);
	for (unsigned id = 1; id <= 1000; id++)
		dispatch_set_up(room.d, id, id == 444);
	for (unsigned a = 0; a < sizeof(algorithm) / sizeof(algorithm[0]); a++) {
		for (unsigned i = 0; i < 100; i++) {
			struct message m = request(algorithm[a], a * 100 + i);

			assert_int_equal(choose(&room, 0, &m), 444);
		}
	}
	dispatch_set_up(room.d, 444, false);
	for (unsigned a = 0; a < sizeof(algorithm) / sizeof(algorithm[0]); a++) {
		struct message m = request(algorithm[a], 5000 + a);

		assert_int_equal(choose(&room, 0, &m), 0);
	}
	assert_int_equal(dispatch_counter(room.d, DISPATCH_COUNTER_NONE), 6);
	room_close(&room);
}

static void serial_goes_by_priority_then_by_the_list(void **state)
{
	struct room room;
	struct message m = request(DISPATCH_SERIAL, 1);
	uint16_t best, second, third;

	room_open(&room, 1000);
	room_load(&room, "1 sip:10.0.0.1 0 5\n1 sip:10.0.0.2 0 10\n1 sip:10.0.0.3 0 10\n1 "
			 "sip:10.0.0.4 4 99\n");
	best = room_id(&room, 1, "sip:10.0.0.2");
	second = room_id(&room, 1, "sip:10.0.0.3");
	third = room_id(&room, 1, "sip:10.0.0.1");
	assert_int_equal(choose(&room, 0, &m), best);
	dispatch_set_up(room.d, best, false);
	m = request(DISPATCH_SERIAL, 2);
	assert_int_equal(choose(&room, 0, &m), second);
	dispatch_set_up(room.d, second, false);
	m = request(DISPATCH_SERIAL, 3);
	assert_int_equal(choose(&room, 0, &m), third);
	room_close(&room);
}

static void what_is_not_enabled_is_never_chosen(void **state)
{
	static const unsigned algorithm[] = {0, 4, 6, 8, 9, 11};
	unsigned count[DISPATCH_IDS];
	struct room room;

	room_open(&room, 100000);
	room_load(&room, "1 sip:10.0.0.1 4 9\n1 sip:10.0.0.2\n1 sip:10.0.0.3 0 9 state=drain\n1 "
			 "sip:10.0.0.4\n");
	for (unsigned a = 0; a < sizeof(algorithm) / sizeof(algorithm[0]); a++) {
		count_calls(&room, algorithm[a], 2, 500, count);
		assert_int_equal(count[room_id(&room, 1, "sip:10.0.0.2")] +
					 count[room_id(&room, 1, "sip:10.0.0.4")],
			500);
	}
	room_close(&room);
}

static void a_weight_of_0_gets_calls_only_when_no_other_is_up(void **state)
{
	static const unsigned algorithm[] = {0, 4, 9};
	unsigned count[DISPATCH_IDS];
	struct room room;

	room_open(&room, 100000);
	room_load(&room, "1 sip:10.0.0.1 0 0 weight=0\n1 sip:10.0.0.2 0 0 weight=3\n");
	for (unsigned a = 0; a < 3; a++) {
		count_calls(&room, algorithm[a], 2, 300, count);
		assert_int_equal(count[room_id(&room, 1, "sip:10.0.0.2")], 300);
	}
	dispatch_set_up(room.d, room_id(&room, 1, "sip:10.0.0.2"), false);
	for (unsigned a = 0; a < 3; a++) {
		count_calls(&room, algorithm[a], 2, 300, count);
		assert_int_equal(count[room_id(&room, 1, "sip:10.0.0.1")], 300);
	}
	room_close(&room);
}

static void use_default_keeps_the_last_for_the_end(void **state)
{
	static const unsigned algorithm[] = {0, 4, 6, 8, 9, 11};
	struct dispatch_options options = {0, true};
	unsigned count[DISPATCH_IDS], last;
	struct room room;

	room_open(&room, 100000);
	assert_int_equal(room_load_options(&room,
				 "1 sip:10.0.0.1\n1 sip:10.0.0.2\n1 sip:10.0.0.3\n", &options),
		0);
	last = room_id(&room, 1, "sip:10.0.0.3");
	for (unsigned a = 0; a < sizeof(algorithm) / sizeof(algorithm[0]); a++) {
		count_calls(&room, algorithm[a], 2, 300, count);
		assert_int_equal(count[last], 0);
	}
	dispatch_set_up(room.d, room_id(&room, 1, "sip:10.0.0.1"), false);
	dispatch_set_up(room.d, room_id(&room, 1, "sip:10.0.0.2"), false);
	for (unsigned a = 0; a < sizeof(algorithm) / sizeof(algorithm[0]); a++) {
		count_calls(&room, algorithm[a], 2, 300, count);
		assert_int_equal(count[last], 300);
	}
	room_close(&room);
}

static void all_nodes_choose_alike_whatever_the_order_of_their_lists(void **state)
{
	struct dispatch_options keyed = {12345, false};
	struct room a, b, c;
	unsigned differ = 0;

	room_open(&a, 1000);
	room_open(&b, 1000);
	room_open(&c, 1000);
	/* Node b has had other destinations before, so that its ids differ. */
	room_load(&b, "1 sip:10.9.9.9\n1 sip:10.9.9.8\n");
	room_load(&a, "1 sip:10.0.0.1\n1 sip:10.0.0.2\n1 sip:10.0.0.3 0 0 weight=3\n");
	room_load(&b, "1 sip:10.0.0.3 0 0 weight=3\n1 sip:10.0.0.2\n1 sip:10.0.0.1\n");
	room_load_options(
		&c, "1 sip:10.0.0.1\n1 sip:10.0.0.2\n1 sip:10.0.0.3 0 0 weight=3\n", &keyed);
	room_pass(&b, 40 * S);
	for (uint64_t i = 0; i < 1000; i++) {
		struct message m = request(0, i);
		uint32_t at = address_of(&a, choose(&a, 0, &m));

		assert_int_equal(address_of(&b, choose(&b, 3, &m)), at);
		differ += address_of(&c, choose(&c, 0, &m)) != at;
	}
	/* Another hash_key is another spread. */
	assert_in_range(differ, 300, 800);
	room_close(&a);
	room_close(&b);
	room_close(&c);
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Texts that differ little, as those of one maker do: they spread evenly over 64 parts, and no two
 * of them are one key. */
static void keys_of_texts_that_differ_little_spread(void **state)
{
	static const char *const format[] = {"%u", "%08x@10.0.0.1", "%u-0000-0000@host.example.org",
		"a84b4c76e66710-%u@pc33.atlanta.example.com-and-some-more", "%07u"};
	enum { TEXTS = 64000, PARTS = 64 };
	static uint64_t key[TEXTS];

	for (unsigned f = 0; f < sizeof(format) / sizeof(format[0]); f++) {
		unsigned low[PARTS] = {0}, high[PARTS] = {0};

		for (unsigned i = 0; i < TEXTS; i++) {
			char text[128];
			int n = snprintf(text, sizeof(text), format[f], i);

			key[i] = dispatch_hash_text(str_of(text, (size_t)n));
			low[key[i] % PARTS]++;
			high[key[i] >> 58]++;
		}
		/* 1,000 each but for chance, whose sigma is 31. */
		for (unsigned part = 0; part < PARTS; part++) {
			assert_in_range(low[part], 850, 1150);
			assert_in_range(high[part], 850, 1150);
		}
		qsort(key, TEXTS, sizeof(key[0]), by_key);
		for (unsigned i = 1; i < TEXTS; i++)
			assert_int_not_equal(key[i], key[i - 1]);
	}
}

/* Each bit of a text of any length matters, and turns about half of the key's. */
static void each_bit_of_a_text_turns_half_of_its_key(void **state)
{
	uint64_t turned = 0, times = 0;

	for (unsigned len = 1; len <= 70; len++) {
		char *text = malloc(len);
		uint64_t key;

		for (unsigned i = 0; i < len; i++)
			text[i] = (char)('a' + i % 26);
		key = dispatch_hash_text(str_of(text, len));
		for (unsigned bit = 0; bit < 8 * len; bit++) {
			unsigned n;

			text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
			n = (unsigned)__builtin_popcountll(
				key ^ dispatch_hash_text(str_of(text, len)));
			text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
			assert_in_range(n, 8, 56);
			turned += n;
			times++;
		}
		assert_true(dispatch_hash_text(str_of(text, len - 1)) != key);
		free(text);
	}
	assert_in_range(turned * 100 / times, 3150, 3250);
}

static void retransmission_cancel_and_ack_follow_on_any_worker(void **state)
{
	static const unsigned algorithm[] = {4, 6, 9, 11};
	struct room room;

	room_open(&room, 100000);
	load_equal(&room, 10);
	for (unsigned a = 0; a < 4; a++) {
		for (uint64_t i = 0; i < 500; i++) {
			struct message m = request(algorithm[a], a * 500 + i);
			uint16_t id = choose(&room, 0, &m);

			for (unsigned worker = 1; worker < 8; worker++)
				assert_int_equal(choose(&room, worker, &m), id);
			m.klass = DISPATCH_CLASS_FOLLOWS;
			for (unsigned worker = 0; worker < 8; worker++)
				assert_int_equal(choose(&room, worker, &m), id);
		}
	}
	room_close(&room);
}

static void a_cancel_follows_even_to_who_is_said_to_be_dead(void **state)
{
	struct room room;
	struct message m = request(4, 1);
	uint16_t id, other;

	room_open(&room, 1000);
	load_equal(&room, 10);
	id = choose(&room, 0, &m);
	dispatch_set_up(room.d, id, false);
	m.klass = DISPATCH_CLASS_FOLLOWS;
	assert_int_equal(choose(&room, 0, &m), id);
	/* A retransmission of the INVITE moves, and takes what follows with it. */
	m.klass = DISPATCH_CLASS_INVITE;
	other = choose(&room, 1, &m);
	assert_int_not_equal(other, id);
	dispatch_set_up(room.d, id, true);
	m.klass = DISPATCH_CLASS_FOLLOWS;
	assert_int_equal(choose(&room, 2, &m), other);
	room_close(&room);
}

static void one_message_may_choose_from_several_sets(void **state)
{
	struct room room;
	struct message a = request(4, 1), b = request(4, 1);

	room_open(&room, 1000);
	room_load(&room, "1 sip:10.0.0.1\n2 sip:10.0.0.2\n");
	b.set = 2;
	assert_int_equal(choose(&room, 0, &a), room_id(&room, 1, "sip:10.0.0.1"));
	assert_int_equal(choose(&room, 0, &b), room_id(&room, 2, "sip:10.0.0.2"));
	assert_int_equal(choose(&room, 1, &a), room_id(&room, 1, "sip:10.0.0.1"));
	room_close(&room);
}

static void a_full_table_refuses_the_choice_and_counts_it(void **state)
{
	struct room room;
	unsigned count[DISPATCH_IDS], full;

	room_open(&room, 64);
	load_equal(&room, 4);
	count_calls(&room, DISPATCH_ROUND_ROBIN, 1, 5000, count);
	full = (unsigned)dispatch_counter(room.d, DISPATCH_COUNTER_PIN_FULL);
	assert_true(full > 0);
	assert_int_equal(count[0], full);
	assert_int_equal(dispatch_counter(room.d, DISPATCH_COUNTER_PINNED), 5000 - full);
	/* What is pure does not ask for a pin. */
	count_calls(&room, DISPATCH_CALL_ID, 1, 5000, count);
	assert_int_equal(count[0], 0);
	/* Who only passes a dead one goes on without. */
	dispatch_set_up(room.d, 1, false);
	count_calls(&room, DISPATCH_CALL_ID, 1, 5000, count);
	assert_int_equal(count[0], 0);
	room_close(&room);
}

static void a_set_that_is_not_there_gives_nothing(void **state)
{
	struct room room;
	struct message m = request(0, 1);

	room_open(&room, 1000);
	assert_int_equal(choose(&room, 0, &m), 0);
	load_equal(&room, 4);
	m.set = 9;
	assert_int_equal(choose(&room, 0, &m), 0);
	room_close(&room);
}

struct sum {
	uint64_t selected;
	unsigned n;
};

static void add_up(void *arg, const struct dispatch_info *info)
{
	struct sum *sum = arg;

	sum->selected += info->selected;
	sum->n++;
}

static void every_choice_is_counted_at_its_destination(void **state)
{
	unsigned count[DISPATCH_IDS];
	struct room room;
	struct sum sum = {0};

	room_open(&room, 100000);
	load_equal(&room, 10);
	count_calls(&room, 0, 8, 1000, count);
	count_calls(&room, 4, 8, 1000, count);
	dispatch_list(room.d, add_up, &sum);
	assert_int_equal(sum.n, 10);
	assert_int_equal(sum.selected, 2000);
	assert_int_equal(dispatch_counter(room.d, DISPATCH_COUNTER_SELECTED), 2000);
	room_close(&room);
}

static void destinations_are_known_by_address(void **state)
{
	struct room room;
	struct net_endpoint ep = {.port = 5060};

	room_open(&room, 1000);
	room_load(&room, "1 sip:10.0.0.1:5060\n2 sip:10.0.0.2\n3 sip:[2001:db8::1]:5070\n3 "
			 "sip:10.0.0.1:5090\n");
	net_addr_parse(STR("10.0.0.1"), &ep.addr);
	assert_true(dispatch_is_destination(room.d, 0, &ep, true));
	assert_true(dispatch_is_destination(room.d, 1, &ep, true));
	assert_false(dispatch_is_destination(room.d, 2, &ep, true));
	assert_false(dispatch_is_destination(room.d, 3, &ep, true));
	assert_true(dispatch_is_destination(room.d, 3, &ep, false));
	ep.port = 6000;
	assert_false(dispatch_is_destination(room.d, 0, &ep, true));
	assert_true(dispatch_is_destination(room.d, 1, &ep, false));
	net_addr_parse(STR("10.0.0.2"), &ep.addr);
	assert_true(dispatch_is_destination(room.d, 2, &ep, true)); /* the list gave no port: any */
	net_addr_parse(STR("2001:db8::1"), &ep.addr);
	ep.port = 5070;
	assert_true(dispatch_is_destination(room.d, 0, &ep, true));
	net_addr_parse(STR("10.0.0.3"), &ep.addr);
	assert_false(dispatch_is_destination(room.d, 0, &ep, false));
	room_close(&room);
}

static void a_verdict_on_nobody_is_refused(void **state)
{
	struct room room;

	room_open(&room, 1000);
	load_equal(&room, 2);
	assert_int_equal(dispatch_set_up(room.d, 0, false), -ENOENT);
	assert_int_equal(dispatch_set_up(room.d, 3, false), -ENOENT);
	assert_int_equal(dispatch_set_up(room.d, 1u << 20, false), -ENOENT);
	assert_int_equal(dispatch_set_up(room.d, 2, false), 0);
	room_close(&room);
}

/* ---- what it costs ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

#define WINDOWS 101
#define CALLS 2000

static void measure(struct room *room, unsigned algorithm, const char *what)
{
	double ns[WINDOWS];
	static uint64_t n = 1000000;
	uint64_t sink = 0;

	for (unsigned w = 0; w < WINDOWS; w++) {
		uint64_t begin = clock_now_ns();

		for (unsigned i = 0; i < CALLS; i++) {
			struct message m = request(algorithm, ++n);

			m.klass = DISPATCH_CLASS_OTHER;
			sink += choose(room, 0, &m);
		}
		ns[w] = (double)(clock_now_ns() - begin) / CALLS;
	}
	qsort(ns, WINDOWS, sizeof(ns[0]), by_value);
	print_message(
		"%-40s %.0f ns at least, %.0f ns median a choice\n", what, ns[0], ns[WINDOWS / 2]);
	assert_true(sink > 0);
}

static void figures(void **state)
{
	static const unsigned size[] = {4, 1000};

	for (unsigned i = 0; i < 2; i++) {
		char *list = list_of(1, size[i], NULL), what[64];
		double ms[9];
		struct room room;

		for (unsigned w = 0; w < 9; w++) {
			uint64_t begin;

			if (w > 0)
				room_close(&room);
			room_open(&room, 1000000);
			begin = clock_now_ns();
			assert_int_equal(room_load(&room, list), 0);
			ms[w] = (double)(clock_now_ns() - begin) / 1e6;
		}
		qsort(ms, 9, sizeof(ms[0]), by_value);
		print_message("%u destinations: read, built and published in %.1f ms at least, "
			      "%.1f ms median; %.0f KiB "
			      "and %.0f KiB for 1,000,000 pins\n",
			size[i], ms[0], ms[4],
			(double)(dispatch_bytes(room.d) - pin_bytes(room.d->pins)) / 1024,
			(double)pin_bytes(room.d->pins) / 1024);
		snprintf(what, sizeof(what), "%u destinations, Call-ID, calm", size[i]);
		measure(&room, 0, what);
		dispatch_set_up(room.d, 1, false);
		dispatch_set_up(room.d, 1, true);
		snprintf(what, sizeof(what), "%u destinations, Call-ID, pins looked at", size[i]);
		measure(&room, 0, what);
		snprintf(what, sizeof(what), "%u destinations, round-robin, pin written", size[i]);
		measure(&room, 4, what);
		room_close(&room);
		free(list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_robin_over_equals_is_exact_on_each_worker),
		cmocka_unit_test(equals_are_equal_under_every_algorithm),
		cmocka_unit_test(weights_are_kept_to),
		cmocka_unit_test(the_share_of_the_dead_goes_to_the_others_in_proportion),
		cmocka_unit_test(the_keys_of_the_dead_spread_over_all_the_others),
		cmocka_unit_test(the_last_one_up_of_a_thousand_gets_all),
		cmocka_unit_test(serial_goes_by_priority_then_by_the_list),
		cmocka_unit_test(what_is_not_enabled_is_never_chosen),
		cmocka_unit_test(a_weight_of_0_gets_calls_only_when_no_other_is_up),
		cmocka_unit_test(use_default_keeps_the_last_for_the_end),
		cmocka_unit_test(all_nodes_choose_alike_whatever_the_order_of_their_lists),
		cmocka_unit_test(keys_of_texts_that_differ_little_spread),
		cmocka_unit_test(each_bit_of_a_text_turns_half_of_its_key),
		cmocka_unit_test(retransmission_cancel_and_ack_follow_on_any_worker),
		cmocka_unit_test(a_cancel_follows_even_to_who_is_said_to_be_dead),
		cmocka_unit_test(one_message_may_choose_from_several_sets),
		cmocka_unit_test(a_full_table_refuses_the_choice_and_counts_it),
		cmocka_unit_test(a_set_that_is_not_there_gives_nothing),
		cmocka_unit_test(every_choice_is_counted_at_its_destination),
		cmocka_unit_test(destinations_are_known_by_address),
		cmocka_unit_test(a_verdict_on_nobody_is_refused),
		cmocka_unit_test(figures),
	};

	return cmocka_run_group_tests_name("dispatch/select", tests, NULL, NULL);
}
