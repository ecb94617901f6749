/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Very many timers in one tick. A pass does a bounded part of them, and between two passes messages
 * are served. What is held to bounds is counts, never time: a run takes some seconds, so it is not
 * done again under tools that make it minutes (suite "once").
 */
#include "harness.h"

#define MANY 1000000
#define MANY_INVITES 100000
#define BUDGET 64
#define BETWEEN 100 /* passes from a message that comes in the middle of it to the next */
/* A node goes down a level at most thrice before it fires. */
#define PASSES_MAX(timers) (4 * (uint64_t)(timers) / BUDGET + BUDGET)
/* Of a transaction that only absorbs what comes again. */
#define ABSORBING_BYTES_MAX 512

#define ANSWERED MODULES "request_route {\n	t_newtran();\n	t_reply(\"200\", \"OK\");\n}\n"

static struct ask options(char *call_id, size_t size, unsigned n)
{
	snprintf(call_id, size, "many-%u", n);
	return (struct ask){.method = "OPTIONS", .call = call_id};
}

/* It is answered at once, whatever else is due. */
static void served(struct world *w, unsigned n)
{
	uint64_t responses = w->responses;
	char call_id[32];

	assert_int_equal(ask(w, options(call_id, sizeof(call_id), n)), FATE_SENT);
	assert_int_equal(w->responses, responses + 1);
}

/* What is due, pass by pass; no pass ends or sends more than its budget. Returns how many messages
 * were served meanwhile. */
static unsigned drain(struct world *w, uint64_t timers, void (*meanwhile)(struct world *, unsigned))
{
	uint64_t passes = 0, fired = 0;
	unsigned messages = 0;

	for (;;) {
		uint64_t ended = counted(w, TXN_COUNTER_ENDED), sent = w->requests + w->responses;
		unsigned n = poll_once(w, BUDGET);

		assert_true(n <= BUDGET);
		assert_true(counted(w, TXN_COUNTER_ENDED) - ended <= BUDGET);
		assert_true(w->requests + w->responses - sent <= BUDGET);
		if (n == 0)
			break;
		fired += n;
		assert_true(++passes <= PASSES_MAX(timers));
		if (meanwhile != NULL && passes % BETWEEN == 0)
			meanwhile(w, messages++);
	}
	assert_true(fired >= timers);
	assert_true(passes >= timers / BUDGET);
	return messages;
}

static void comes_meanwhile(struct world *w, unsigned n)
{
	served(w, MANY + n);
}

static void a_million_transactions_end_in_one_tick(void **state)
{
	struct world *w = world_new((struct world_config){
		.quiet = true, .transactions = MANY + MANY / 8, .script = ANSWERED});
	unsigned messages;
	char call_id[32];

	for (unsigned i = 0; i < MANY; i++)
		served(w, i);
	assert_int_equal(usage(w).absorbing, MANY);
	assert_true(usage(w).bytes - w->before.bytes <= (uint64_t)ABSORBING_BYTES_MAX * MANY);
	/* All of them are here, the first one, too. */
	assert_int_equal(ask(w, options(call_id, sizeof(call_id), 0)), FATE_ABSORBED);
	/* Timer J of all (17.2.2). */
	jump(w, T64 + LATE_MS);
	messages = drain(w, MANY, comes_meanwhile);
	assert_true(messages >= MANY / BUDGET / BETWEEN);
	assert_int_equal(counted(w, TXN_COUNTER_ENDED), MANY);
	assert_int_equal(usage(w).transactions, messages);
	world_close(w);
}

static void very_many_retransmissions_in_one_tick(void **state)
{
	struct world *w =
		world_new((struct world_config){.quiet = true, .transactions = 2 * MANY_INVITES});

	for (unsigned i = 0; i < MANY_INVITES; i++) {
		char call_id[32];

		snprintf(call_id, sizeof(call_id), "many-%u", i);
		assert_int_equal(ask(w, (struct ask){.call = call_id}), FATE_SENT);
	}
	assert_int_equal(usage(w).transactions, MANY_INVITES);
	assert_int_equal(w->requests, MANY_INVITES);
	jump(w, 500 + LATE_MS);
	w->requests = 0;
	drain(w, MANY_INVITES, NULL);
	assert_int_equal(w->requests, MANY_INVITES);
	w->responses = 0;
	jump(w, T64);
	drain(w, MANY_INVITES, NULL);
	assert_true(w->responses >= MANY_INVITES); /* 408 to each */
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_transactions_end_in_one_tick),
		cmocka_unit_test(very_many_retransmissions_in_one_tick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
