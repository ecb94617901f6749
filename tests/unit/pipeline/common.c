/* SPDX-License-Identifier: BSD-3-Clause */
#include "common.h"

#define AWAIT_NS (60 * CLOCK_NS_PER_S)

static void rest_by_the_machine(void)
{
	usleep(1000);
}

void (*rest)(void) = rest_by_the_machine;

struct rig *rig;
static uint64_t before[COUNTER_COUNT];

int begin(void **state)
{
	(void)state;
	rig_settle(rig);
	rig->backend_hop = KERNEL_HOP_READY;
	clear_sent();
	pipeline_counters(rig->pipeline, before);
	return 0;
}

/* Buffers come back: nothing leaks, whatever the test did. */
int end(void **state)
{
	unsigned buffers, big, held;

	(void)state;
	clear_sent();
	rig_settle(rig);
	clear_sent(); /* what transactions have sent again meanwhile */
	buffers = rte_mempool_in_use_count(rig->pool);
	big = rte_mempool_in_use_count(rig->pool_big);
	held = pipeline_held(rig->pipeline);
	if (buffers == 0 && big == 0 && held == 0)
		return 0;
	fprintf(stderr, "%u buffers, %u big ones and %u places are not back\n", buffers, big, held);
	return -1;
}

void send_to(unsigned port, struct str payload)
{
	rig_receive(rig, port, 0,
		port == 0 ? rig_datagram(rig, 0, "10.10.0.2", 5080, "10.10.0.1", 5060, payload)
			  : rig_datagram(rig, 1, "10.20.0.11", 5060, "10.20.0.1", 5060, payload));
}

void clear_sent(void)
{
	struct str payload;
	struct rte_mbuf *m;

	for (unsigned port = 0; port < RIG_PORTS; port++)
		while ((m = rig_sent(rig, port, &payload)) != NULL)
			rte_pktmbuf_free(m);
}

uint64_t delta(unsigned id)
{
	return rig_counter(rig, id) - before[id];
}

static struct counter_balance balance(void)
{
	uint64_t sum[COUNTER_COUNT];
	struct counter_balance b;

	pipeline_counters(rig->pipeline, sum);
	b = counter_balance(sum);
	if (!b.exact)
		fail_msg("in %lu done %lu dropped %lu held %lu", b.in, b.done, b.dropped, b.held);
	return b;
}

void assert_balanced(void)
{
	balance();
}

void assert_all_ended(void)
{
	assert_int_equal(balance().held, 0);
}

void assert_ends(unsigned id, uint64_t frames)
{
	rig_settle(rig);
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		enum counter_kind kind = counter_kind(i);

		if ((kind == COUNTER_DONE || kind == COUNTER_DROP) &&
			delta(i) != (i == id ? frames : 0))
			fail_msg("%s is %lu, wanted %s %lu", counter_name(i), delta(i),
				counter_name(id), frames);
	}
	assert_balanced();
}

void assert_crossed(uint64_t messages)
{
	assert_int_equal(delta(COUNTER_SLOW_CROSSED), messages);
	assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER), delta(COUNTER_HELD_SLOW_LEAVE));
}

void await_held(void)
{
	uint64_t end_at = clock_now_ns() + AWAIT_NS;

	while (pipeline_held(rig->pipeline) > 0 && clock_now_ns() < end_at) {
		rig_poll(rig);
		rest();
	}
	rig_settle(rig);
}
