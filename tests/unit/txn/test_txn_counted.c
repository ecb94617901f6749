/* SPDX-License-Identifier: BSD-3-Clause */
/* What each counter of lib/txn counts, by whole calls: all of them are looked at after each. */
#include "harness.h"

static const struct ask invite = {0};

/* How many of each; those that are not named are none. */
struct counts {
	unsigned created, refused, branches, retransmitted, absorbed, timeouts, cancelled, loops,
		failed_over;
};

static void assert_one(const struct world *w, enum txn_counter counter, unsigned want)
{
	if (counted(w, counter) != want)
		fail_msg("%s is %llu, wanted %u", txn_counter_name(counter),
			(unsigned long long)counted(w, counter), want);
}

static void ends_with(struct world *w, struct counts want)
{
	world_rest(w); /* as many have ended as were made */
	assert_one(w, TXN_COUNTER_CREATED, want.created);
	assert_one(w, TXN_COUNTER_REFUSED, want.refused);
	assert_one(w, TXN_COUNTER_BRANCHES, want.branches);
	assert_one(w, TXN_COUNTER_RETRANSMITTED, want.retransmitted);
	assert_one(w, TXN_COUNTER_ABSORBED, want.absorbed);
	assert_one(w, TXN_COUNTER_TIMEOUTS, want.timeouts);
	assert_one(w, TXN_COUNTER_CANCELLED, want.cancelled);
	assert_one(w, TXN_COUNTER_LOOPS, want.loops);
	assert_one(w, TXN_COUNTER_FAILED_OVER, want.failed_over);
	world_close(w);
}

static void a_call_that_is_answered(void **state)
{
	struct world *w = world_new((struct world_config){0});

	answer(w, call(w, invite), "200 OK");
	ends_with(w, (struct counts){.created = 1, .branches = 1});
}

static void what_comes_again_is_absorbed(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *r;

	assert_int_equal(ask(w, invite), FATE_ABSORBED);
	take_response(w, 100, "INVITE");
	refuse(w, m, "486 Busy Here");
	r = take_response(w, 486, "INVITE");
	assert_int_equal(answer(w, m, "486 Busy Here"), FATE_ABSORBED);
	assert_int_equal(answer(w, m, "180 Ringing"), FATE_ABSORBED);
	assert_int_equal(ack(w, invite, r), FATE_ABSORBED);
	assert_int_equal(ack(w, invite, r), FATE_ABSORBED);
	ends_with(w, (struct counts){.created = 1, .branches = 1, .absorbed = 5});
}

static void what_a_timer_sends_again(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *r;

	pass(w, 500 + LATE_MS); /* Timer A */
	take_request(w, "INVITE", BOB);
	refuse(w, m, "486 Busy Here");
	r = take_response(w, 486, "INVITE");
	pass(w, 1500 + LATE_MS); /* Timer G, twice */
	take_response(w, 486, "INVITE");
	take_response(w, 486, "INVITE");
	ack(w, invite, r);
	ends_with(
		w, (struct counts){.created = 1, .branches = 1, .retransmitted = 3, .absorbed = 1});
}

static void a_cancel_and_its_retransmissions(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);

	answer(w, m, "180 Ringing");
	cancel(w, invite);
	take_request(w, "CANCEL", BOB);
	pass(w, 1500 + LATE_MS); /* Timer E, twice */
	take_request(w, "CANCEL", BOB);
	answer(w, take_request(w, "CANCEL", BOB), "200 OK");
	refuse(w, m, "487 Request Terminated");
	ack(w, invite, take_response(w, 487, "INVITE"));
	ends_with(w, (struct counts){.created = 1,
			     .branches = 1,
			     .cancelled = 1,
			     .retransmitted = 2,
			     .absorbed = 1});
}

static void who_does_not_answer(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *r;

	ask(w, (struct ask){.method = "MESSAGE"});
	pass(w, T64 + LATE_MS);
	/* Timer E: after 500, 1500, 3500 ms and each four seconds behind it. */
	ends_with(w,
		(struct counts){.created = 1, .branches = 1, .retransmitted = 10, .timeouts = 1});

	w = world_new((struct world_config){0});
	call(w, invite);
	pass(w, T64 + LATE_MS);
	r = take_response(w, 408, "INVITE");
	ack(w, invite, r);
	/* Timer A: after 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s. */
	ends_with(w, (struct counts){.created = 1,
			     .branches = 1,
			     .retransmitted = 6,
			     .timeouts = 1,
			     .absorbed = 1});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_that_is_answered),
		cmocka_unit_test(what_comes_again_is_absorbed),
		cmocka_unit_test(what_a_timer_sends_again),
		cmocka_unit_test(a_cancel_and_its_retransmissions),
		cmocka_unit_test(who_does_not_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
