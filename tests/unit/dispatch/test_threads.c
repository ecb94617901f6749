/* SPDX-License-Identifier: BSD-3-Clause */
/* Workers that choose, while the control thread reloads, ticks and gives verdicts: nothing is
 * split, nothing is read after it is freed. */
#include "common.h"

#include <pthread.h>
#include <unistd.h>

#define WORKERS 4
#define EPOCH_S 8 /* transactions of one epoch are under way at a time */
#define PER_EPOCH 512
#define EPOCHS 64 /* then the array is used again */
#define SECONDS 260

struct shared {
	struct room room;
	_Atomic uint32_t went[EPOCHS][PER_EPOCH]; /* address of each transaction's first choice */
	_Atomic uint64_t split, messages, nowhere;
	_Atomic uint64_t at[WORKERS]; /* the time of each worker's burst */
	_Atomic bool stop;
	bool deaths;
};

struct worker {
	struct shared *shared;
	unsigned index;
};

/* Any transaction of this epoch or the last: each is met by all workers, at the same time. */
static void one_message(struct shared *s, unsigned index, uint64_t *random, uint64_t now_ns)
{
	static const unsigned algorithm[] = {0, 4, 6, 9, 8};
	uint64_t epoch = now_ns / (EPOCH_S * S) - test_random(random) % 2;
	unsigned n = (unsigned)(test_random(random) >> 20) % PER_EPOCH;
	struct message m = {
		.set = 1 + n % 2,
		.algorithm = algorithm[n % 5],
		.klass = n % 3 == 0 ? DISPATCH_CLASS_OTHER : DISPATCH_CLASS_INVITE,
		.key = n,
		.transaction = epoch * PER_EPOCH + n,
	};
	uint32_t address, before = 0;
	uint16_t id;

	s->room.thread[index].now_ns = now_ns;
	id = choose(&s->room, index, &m);
	atomic_fetch_add_explicit(&s->messages, 1, memory_order_relaxed);
	if (id == 0) {
		atomic_fetch_add_explicit(&s->nowhere, 1, memory_order_relaxed);
		return;
	}
	address = address_of(&s->room, id);
	if (!atomic_compare_exchange_strong(&s->went[epoch % EPOCHS][n], &before, address) &&
		before != address && !s->deaths)
		atomic_fetch_add(&s->split, 1);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->shared;
	uint64_t random = 7 + w->index;
	int reader = rcu_register(&s->room.rcu);

	assert_true(reader >= 0);
	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		uint64_t now = test_now();

		atomic_store_explicit(&s->at[w->index], now, memory_order_release);
		for (unsigned i = 0; i < 32; i++)
			one_message(s, w->index, &random, now);
		rcu_quiescent(&s->room.rcu, reader);
	}
	rcu_offline(&s->room.rcu, reader);
	return NULL;
}

/* However late a machine lets them run: a worker whose clock stands still for longer than
 * PIN_SLACK_NS may split what it likes. */
static void await_workers(struct shared *s)
{
	for (unsigned i = 0; i < WORKERS; i++)
		while (atomic_load_explicit(&s->at[i], memory_order_acquire) != test_now())
			usleep(50);
}

static void reload(struct shared *s, uint64_t *random)
{
	char list[2048], *at = list;

	for (unsigned set = 1; set <= 2; set++)
		for (unsigned host = 1; host <= 12; host++)
			if (host == 1 || test_random(random) % 3 != 0)
				at += sprintf(at, "%u sip:10.0.0.%u 0 %u weight=%u\n", set, host,
					(unsigned)(test_random(random) % 3),
					1 + (unsigned)(test_random(random) % 9));
	room_load(&s->room, list);
}

/* As an operator, while the workers choose. */
static void by_hand(struct shared *s, uint64_t *random)
{
	char uri[64], why[512];
	struct dispatch_change change = {1 + (uint32_t)(test_random(random) % 2),
		(enum dispatch_state)(test_random(random) % DISPATCH_STATES), STR_NONE};
	struct dispatch_prepared *p;

	/* Not the first, so that a set is never empty. */
	sprintf(uri, "sip:10.0.0.%u", 2 + (unsigned)(test_random(random) % 11));
	change.uris = str_c(uri);
	if (dispatch_state_prepare(s->room.d, &change, &p, why, sizeof(why)) == 0)
		dispatch_state_publish(s->room.d, p);
}

static void verdict(struct shared *s, uint64_t *random)
{
	dispatch_set_up(
		s->room.d, 2 + (uint32_t)(test_random(random) % 24), test_random(random) % 3 != 0);
}

static void ignore(void *arg, const struct dispatch_info *info)
{
	*(uint64_t *)arg += info->selected;
}

static void run_threads(bool deaths)
{
	struct shared *s = calloc(1, sizeof(*s));
	struct worker w[WORKERS];
	pthread_t thread[WORKERS];
	uint64_t random = 31337, selected = 0;

	s->deaths = deaths;
	room_open(&s->room, 50000);
	reload(s, &random);
	for (unsigned i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){s, i};
		assert_int_equal(pthread_create(&thread[i], NULL, work, &w[i]), 0);
	}
	for (unsigned second = 0; second < SECONDS; second++) {
		uint64_t next = test_now() + S;

		usleep(2000);
		await_workers(s);
		/* The epoch that begins uses its places anew: nobody is two epochs behind. */
		if (next / (EPOCH_S * S) != test_now() / (EPOCH_S * S))
			for (unsigned n = 0; n < PER_EPOCH; n++)
				atomic_store(&s->went[next / (EPOCH_S * S) % EPOCHS][n], 0);
		atomic_store(&test_now_ns, next);
		dispatch_tick(s->room.d, next);
		if (test_random(&random) % 12 == 0)
			reload(s, &random);
		if (test_random(&random) % 15 == 0)
			by_hand(s, &random);
		if (deaths)
			verdict(s, &random);
		rcu_quiescent(&s->room.rcu, s->room.reader);
		rcu_reclaim(&s->room.rcu);
	}
	atomic_store(&s->stop, true);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(thread[i], NULL);
	dispatch_list(s->room.d, ignore, &selected);
	print_message("%llu messages, %llu nowhere, %llu split\n", (unsigned long long)s->messages,
		(unsigned long long)s->nowhere, (unsigned long long)s->split);
	assert_int_equal(s->split, 0);
	assert_true(s->messages > 1000 && selected > 0);
	if (!deaths)
		assert_int_equal(s->nowhere, 0);
	room_close(&s->room);
	free(s);
}

static void reloads_under_load_split_nothing(void **state)
{
	run_threads(false);
}

static void verdicts_under_load_do_no_harm(void **state)
{
	run_threads(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reloads_under_load_split_nothing),
		cmocka_unit_test(verdicts_under_load_do_no_harm),
	};

	return cmocka_run_group_tests_name("dispatch/threads", tests, NULL, NULL);
}
