/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bad input, faults, load: forks that fork (RFC 5393), storms, forgeries, a pool that is empty,
 * a clock that jumps, buffers that are not there. Very many timers at once are in test_txn_many.
 */
#include "harness.h"

static const struct ask invite = {0};

/* ---- RFC 5393 ---- */

#define LOOP_MOST 20000 /* messages after which nobody waits for an end */

/* Carries messages between proxies until none is under way; what goes elsewhere stays. */
static void carry(struct world **w, unsigned worlds)
{
	unsigned at[4] = {0}, carried = 0;

	for (bool more = true; more;) {
		more = false;
		for (unsigned i = 0; i < worlds; i++) {
			while (at[i] < w[i]->sents) {
				const struct sent *m = w[i]->sent[at[i]++];

				more = true;
				for (unsigned k = 0; k < worlds; k++) {
					if (!net_endpoint_equal(&m->to, &w[k]->address))
						continue;
					come_text(w[k], m->text, w[i]->config.address, 5060);
					if (++carried > LOOP_MOST)
						fail_msg("%u messages and no end", carried);
				}
			}
		}
	}
}

static void two_proxies_that_fork_to_each_other(void **state)
{
	/* Section 3, the first scenario: 14 requests and no more, with loop detection in both. */
	struct world *w[2];
	unsigned invites;

	w[0] = world_new((struct world_config){.address = "10.0.0.1",
		.script = MODULES RFC_TIMERS
		"request_route {\n	$ru = \"sip:a@10.0.0.2\";\n	"
		"append_branch(\"sip:b@10.0.0.2\");\n	t_relay();\n}\n"});
	w[1] = world_new((struct world_config){.address = "10.0.0.2",
		.script = MODULES RFC_TIMERS
		"request_route {\n	$ru = \"sip:a@10.0.0.1\";\n	"
		"append_branch(\"sip:b@10.0.0.1\");\n	t_relay();\n}\n"});
	ask(w[0], (struct ask){.uri = "sip:a@10.0.0.1"});
	carry(w, 2);
	invites = requests_sent(w[0], "INVITE") + requests_sent(w[1], "INVITE");
	assert_int_equal(invites, 14);
	assert_true(counted(w[0], TXN_COUNTER_LOOPS) + counted(w[1], TXN_COUNTER_LOOPS) > 0);
	/* The one who began it hears of it. */
	take_response(w[0], 482, "INVITE");
	world_close(w[0]);
	world_close(w[1]);
}

static void one_account_with_two_contacts_of_its_own(void **state)
{
	/*
	 * Section 3, the simplified one: 10 requests with loop detection; fewer here, where a
	 * request that would come back to us unchanged does not even leave.
	 */
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"request_route {\n	$ru = \"sip:a@10.0.0.1;unknown-param=whack\";\n"
		"	append_branch(\"sip:a@10.0.0.1;unknown-param=thud\");\n	"
		"t_relay();\n}\n"});

	ask(w, (struct ask){.uri = "sip:a@10.0.0.1"});
	carry(&w, 1);
	assert_in_range(requests_sent(w, "INVITE"), 2, 10);
	take_response(w, 482, "INVITE");
	world_close(w);
}

static void many_accounts_that_fork_to_all(void **state)
{
	/* N! without Max-Breadth: 1956 for six. */
	struct world *w = world_new((struct world_config){.transactions = 16384,
		.script = MODULES RFC_TIMERS
		"request_route {\n	$ru = \"sip:1@10.0.0.1\";\n"
		"	append_branch(\"sip:2@10.0.0.1\");\n	"
		"append_branch(\"sip:3@10.0.0.1\");\n"
		"	append_branch(\"sip:4@10.0.0.1\");\n	"
		"append_branch(\"sip:5@10.0.0.1\");\n"
		"	append_branch(\"sip:6@10.0.0.1\");\n	t_relay();\n}\n"});

	ask(w, (struct ask){.uri = "sip:1@10.0.0.1"});
	carry(&w, 1);
	assert_true(requests_sent(w, "INVITE") <= 6 + 36 + 216);
	world_close(w);
}

static void a_loop_of_one_is_refused(void **state)
{
	struct world *w = world_new((struct world_config){0});

	ask(w, (struct ask){.uri = "sip:a@10.0.0.1"});
	carry(&w, 1);
	assert_true(requests_sent(w, "INVITE") <= 1);
	assert_true(find_response(w, 482, "INVITE") != NULL);
	world_close(w);
}

static void a_spiral_is_no_loop(void **state)
{
	/* The Request-URI changes at each turn, and it ends. */
	struct world *w = world_new(
		(struct world_config){.script = MODULES RFC_TIMERS
				      "request_route {\n"
				      "	if ($rU == \"a\") $ru = \"sip:b@10.0.0.1\";\n"
				      "	else if ($rU == \"b\") $ru = \"sip:c@10.0.0.1\";\n"
				      "	else $ru = \"sip:bob@" BOB "\";\n	t_relay();\n}\n"});
	const struct sent *m;

	ask(w, (struct ask){.uri = "sip:a@10.0.0.1"});
	carry(&w, 1);
	m = take_request(w, "INVITE", BOB);
	assert_int_equal(headers(m->text, "Via"), 4);
	assert_int_equal(counted(w, TXN_COUNTER_LOOPS), 0);
	answer(w, m, "200 OK");
	carry(&w, 1);
	/* The last of them is the caller's. */
	assert_true(goes_to(w->sent[w->sents - 1], CALLER, 5060) ||
		    w->sent[w->sents - 1]->status == 200);
	world_close(w);
}

/* ---- forgeries ---- */

static void a_response_that_was_tampered_with_is_refused(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);
	const char *good = answer_text(m, "200 OK", NULL, NULL);
	const char *via = strstr(good, "branch=z9hG4bK") + strlen("branch=z9hG4bK");
	size_t len = strcspn(via, "\n") - 0;

	/* Each character of our branch and of what is behind it, on our Via's line. */
	for (size_t i = 0; i < len; i++) {
		char *bad = strdup(good);
		size_t at = (size_t)(via - good) + i;

		bad[at] = bad[at] == 'x' ? 'y' : 'x';
		if (strcmp(bad, good) == 0 || good[at] == '\n' || good[at] == '\r') {
			free(bad);
			continue;
		}
		come_forged(w, bad, BOB, 5060);
		free(bad);
		assert_true(w->fate == FATE_REFUSED || w->fate == FATE_DROPPED);
	}
	come_forged(w, replaced(good, "Call-ID: call", "Call-ID: other"), BOB, 5060);
	assert_int_equal(w->fate, FATE_REFUSED);
	take_nothing(w);
	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	world_close(w);
}

static void a_response_of_another_method_is_not_taken(void **state)
{
	/* 17.1.3: the method in CSeq too. */
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);
	const char *good = answer_text(m, "200 OK", NULL, NULL);

	come_forged(w, replaced(good, "CSeq: 1 INVITE", "CSeq: 1 MESSAGE"), BOB, 5060);
	come_forged(w, replaced(good, "CSeq: 1 INVITE", "CSeq: 2 INVITE"), BOB, 5060);
	come_forged(w, replaced(good, "CSeq: 1 INVITE", "CSeq: 1 CANCEL"), BOB, 5060);
	assert_null(find_response(w, 200, "INVITE"));
	assert_null(find_response(w, 200, "MESSAGE"));
	take_all(w);
	refuse(w, m, "486 Busy Here");
	ack(w, invite, take_response(w, 486, "INVITE"));
	world_close(w);
}

static void an_ack_of_another_call_stops_nothing(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *r;

	refuse(w, m, "486 Busy Here");
	r = take_response(w, 486, "INVITE");
	come_text(
		w, replaced(ack_text(invite, r), "Call-ID: call", "Call-ID: other"), CALLER, 5060);
	come_text(w, replaced(ack_text(invite, r), "CSeq: 1", "CSeq: 2"), CALLER, 5060);
	take_all(w); /* forwarded without state, or dropped */
	pass(w, 500 + LATE_MS);
	take_response(w, 486, "INVITE");
	ack(w, invite, r);
	pass(w, 20000);
	take_nothing(w);
	world_close(w);
}

static void a_late_response_meets_no_other_transaction(void **state)
{
	/* Its place may have been given to another call. */
	struct world *w = world_new((struct world_config){.transactions = 16});
	const struct sent *old = call(w, (struct ask){.call = "old"}), *m;

	refuse(w, old, "486 Busy Here");
	ack(w, (struct ask){.call = "old"}, take_response(w, 486, "INVITE"));
	pass(w, 100000);
	assert_int_equal(usage(w).transactions, 0);
	m = call(w, (struct ask){.call = "new"});
	assert_int_equal(
		come_forged(w, answer_text(old, "200 OK", NULL, NULL), BOB, 5060), FATE_DROPPED);
	take_nothing(w);
	refuse(w, m, "404 Not Found");
	take_response(w, 404, "INVITE");
	world_close(w);
}

static void one_branch_for_very_many_calls(void **state)
{
	/* Each leaves with a branch of its own (the observer sees to it) or is refused. */
	struct world *w = world_new((struct world_config){0});
	const struct sent *m;
	unsigned left = 0;

	for (unsigned i = 0; i < 100; i++) {
		struct ask a = {.call = printed("same-%u", i), .branch = "same"};

		ask(w, a);
		m = find_request(w, "INVITE", BOB);
		if (m == NULL) {
			take_response(w, 503, "INVITE");
			continue;
		}
		left++;
		find_response(w, 100, "INVITE");
		answer(w, m, "180 Ringing");
		assert_string_equal(
			header(take_response(w, 180, "INVITE")->text, "Call-ID", 0), a.call);
		/* Whose CANCEL it is says the Call-ID. */
		if (i % 2 == 1)
			continue;
		cancel(w, a);
		take_response(w, 200, "CANCEL");
		assert_string_equal(
			branch_of(take_request(w, "CANCEL", BOB)->text), branch_of(m->text));
		answer(w, m, "487 Request Terminated");
	}
	assert_in_range(left, 2, 100);
	/* And others are not kept from theirs. */
	call(w, (struct ask){.call = "other"});
	world_close(w);
}

/* ---- storms ---- */

static void a_storm_of_one_invite_makes_one_branch(void **state)
{
	struct world *w = world_new((struct world_config){.quiet = true});
	const char *text = ask_text(invite);

	for (unsigned i = 0; i < 20000; i++)
		come_text(w, text, CALLER, 5060);
	assert_int_equal(w->requests, 1);
	assert_true(w->responses <= 20000);
	assert_int_equal(counted(w, TXN_COUNTER_ABSORBED), 19999);
	assert_int_equal(counted(w, TXN_COUNTER_CREATED), 1);
	world_close(w);
}

static void a_storm_of_acks_is_absorbed(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite), *r;
	const char *text;

	refuse(w, m, "486 Busy Here");
	r = take_response(w, 486, "INVITE");
	text = strdup(ack_text(invite, r));
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(come_text(w, text, CALLER, 5060), FATE_ABSORBED);
	take_nothing(w);
	free((char *)(uintptr_t)text);
	world_close(w);
}

static void a_storm_of_failures_costs_an_ack_each(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);

	for (unsigned i = 0; i < 2000; i++)
		answer(w, m, "486 Busy Here");
	assert_int_equal(requests_sent(w, "ACK"), 2000);
	take_response(w, 486, "INVITE");
	assert_null(find_response(w, 486, "INVITE"));
	world_close(w);
}

static void a_server_that_only_rings_comes_to_an_end(void **state)
{
	/* With the numbers that are the default: each 180 restarts fr_inv_timer, and
	 * max_inv_lifetime ends it. */
	struct world *w = world_new(
		(struct world_config){.script = MODULES "request_route {\n	t_relay();\n}\n"});
	const struct sent *m = call(w, invite), *r = NULL;

	for (unsigned i = 0; i < 400 && r == NULL; i++) {
		answer(w, m, "180 Ringing");
		pass_in_steps(w, 1000, 100);
		r = find_response(w, 408, "INVITE");
	}
	assert_non_null(r);
	assert_true(r->at <= 181000);
	assert_true(find_request(w, "CANCEL", BOB) != NULL);
	ack(w, invite, r);
	world_close(w);
}

/* ---- nothing left ---- */

static void an_empty_pool_refuses_and_serves_whom_it_has(void **state)
{
	struct world *w = world_new((struct world_config){.transactions = 64});
	static const struct sent *m[4096];
	static char name[4096][16];
	unsigned n = 0, refused = 0;

	for (unsigned i = 0; i < 4096; i++) {
		struct ask a;
		const struct sent *r;

		snprintf(name[i], sizeof(name[i]), "full-%u", i);
		a = (struct ask){.call = name[i]};
		ask(w, a);
		r = find_response(w, 503, "INVITE");
		if (r == NULL) {
			take_response(w, 100, "INVITE");
			m[n++] = take_request(w, "INVITE", BOB);
			continue;
		}
		/* Without Retry-After, which would take us out of the others' sets. */
		assert_null(header(r->text, "Retry-After", 0));
		assert_null(find_request(w, "INVITE", BOB));
		ack(w, a, r);
		if (++refused == 20)
			break;
	}
	assert_int_equal(refused, 20);
	assert_in_range(n, 64, 4000);
	assert_int_equal(counted(w, TXN_COUNTER_REFUSED), 20);
	take_nothing(w);
	/* Those who were first are served to their end. */
	for (unsigned i = 0; i < n; i++) {
		answer(w, m[i], "180 Ringing");
		take_response(w, 180, "INVITE");
	}
	for (unsigned i = 0; i < n; i++) {
		struct ask a = {.call = header(m[i]->text, "Call-ID", 0)};

		if (i % 2 == 0) {
			answer(w, m[i], "200 OK");
			take_response(w, 200, "INVITE");
		} else {
			refuse(w, m[i], "486 Busy Here");
			ack(w, a, take_response(w, 486, "INVITE"));
		}
	}
	take_nothing(w);
	pass_in_steps(w, 100000, 100);
	assert_int_equal(usage(w).transactions, 0);
	assert_int_equal(usage(w).bytes, w->before.bytes);
	call(w, (struct ask){.call = "again"});
	world_close(w);
}

static void a_reply_that_finds_no_transaction_is_503(void **state)
{
	struct world *w = world_new((struct world_config){.transactions = 64,
		.script = MODULES RFC_TIMERS
		"request_route {\n	t_send_reply(\"404\", \"No\");\n}\n"});
	struct ask a = {0};
	unsigned n = 0;

	while (counted(w, TXN_COUNTER_REFUSED) == 0) {
		assert_true(n < 4096);
		if (n > 0)
			take_response(w, 404, "INVITE");
		a.call = printed("reply-%u", n++);
		ask(w, a);
	}
	take_response(w, 503, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void empty_memory_refuses_and_serves_whom_it_has(void **state)
{
	/* Long before its transactions are used up, large messages use up its bytes. */
	struct world *w = world_new((struct world_config){.transactions = 128});
	static char body[7001];
	static const struct sent *m[2000];
	unsigned n = 0, refused = 0;

	memset(body, 'x', sizeof(body) - 1);
	for (unsigned i = 0; i < 2000 && refused < 10; i++) {
		struct ask a = {.call = printed("large-%u", i), .body = body};

		ask(w, a);
		find_response(w, 100, "INVITE");
		m[n] = find_request(w, "INVITE", BOB);
		if (m[n] != NULL) {
			n++;
			continue;
		}
		/* 503, or what a failure after the transaction began is. */
		assert_true(find_response(w, 503, "INVITE") != NULL ||
			    find_response(w, 500, "INVITE") != NULL);
		refused++;
	}
	assert_int_equal(refused, 10);
	assert_int_equal(counted(w, TXN_COUNTER_REFUSED), refused);
	assert_true(n > 10);
	for (unsigned i = 0; i < n; i++) {
		refuse(w, m[i], "486 Busy Here");
		take_response(w, 486, "INVITE");
	}
	world_close(w);
}

static void responses_for_which_there_is_no_room_go_on(void **state)
{
	/* 2xx and the choice of a failure need room to be kept: without it, nobody waits in vain.
	 */
	struct world *w = world_new((struct world_config){.transactions = 64});
	static char more[7100];
	static const struct sent *m[4096];
	unsigned n = 0;

	memset(more, 'y', sizeof(more) - 2);
	memcpy(more, "X-Y: ", 5);
	more[sizeof(more) - 2] = '\n';
	while (n < 4096) {
		ask(w, (struct ask){.call = printed("many-%u", n)});
		find_response(w, 100, "INVITE");
		m[n] = find_request(w, "INVITE", BOB);
		if (m[n] == NULL)
			break;
		n++;
	}
	take_all(w);
	for (unsigned i = 0; i < n; i++) {
		answer_with(w, m[i], i % 2 == 0 ? "200 OK" : "486 Busy Here", NULL, more);
		if (i % 2 == 0)
			take_response(w, 200, "INVITE");
		else
			take_request(w, "ACK", BOB);
	}
	world_close(w); /* each has a final response: the observer sees to it */
}

/* ---- time ---- */

#define BUDGET 64
#define POLLS_MAX 1000

/* Polls until nothing is due; each is bounded. */
static void drain(struct world *w)
{
	unsigned polls = 0;

	while (poll_once(w, BUDGET) > 0) {
		if (++polls > POLLS_MAX)
			fail_msg("timers run on and on");
	}
}

static void a_clock_that_jumps_an_hour_makes_no_storm(void **state)
{
	struct world *w = world_new((struct world_config){0});
	unsigned before;

	for (unsigned i = 0; i < 100; i++)
		call(w, (struct ask){.call = printed("jump-%u", i)});
	before = w->sents;
	jump(w, 3600000);
	drain(w);
	/* At most a last retransmission and the final response each. */
	assert_true(w->sents - before <= 300);
	pass_in_steps(w, 200000, 100);
	assert_int_equal(usage(w).transactions, 0);
	world_close(w);
}

static void a_clock_that_goes_back_stops_no_timer(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m;

	call(w, invite);
	pass(w, 100);
	jump(w, -3600000);
	poll_once(w, BUDGET);
	take_nothing(w);
	/* Time goes on from there. */
	for (unsigned i = 0; i < 100; i++) {
		w->now_ns += STEP_MS * CLOCK_NS_PER_MS;
		poll_once(w, BUDGET);
	}
	m = take_request(w, "INVITE", BOB);
	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	w->began_ns -= 3600 * CLOCK_NS_PER_S;
	world_close(w);
}

static void a_timer_counts_from_its_message_not_from_the_last_pass(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m = call(w, invite);

	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	jump(w, 400);
	cancel(w, invite);
	take_request(w, "CANCEL", BOB);
	pass(w, 500 - STEP_MS);
	assert_null(find_request(w, "CANCEL", BOB));
	pass(w, STEP_MS + LATE_MS);
	assert_due(take_request(w, "CANCEL", BOB), 900);
	refuse(w, m, "487 Request Terminated");
	ack(w, invite, take_response(w, 487, "INVITE"));
	world_close(w);
}

static void a_clock_near_the_wrap_of_its_milliseconds(void **state)
{
	/* 2^32 ms after its beginning, a second before. */
	struct world *w = world_new(
		(struct world_config){.clock_ns = ((1ULL << 32) - 1000) * CLOCK_NS_PER_MS});
	const struct sent *m = call(w, invite);

	pass(w, 500 + LATE_MS);
	assert_due(take_request(w, "INVITE", BOB), 500);
	pass(w, 1000);
	assert_due(take_request(w, "INVITE", BOB), 1500);
	refuse(w, m, "486 Busy Here");
	take_response(w, 486, "INVITE");
	pass(w, 500 + LATE_MS);
	take_response(w, 486, "INVITE");
	take_nothing(w);
	world_close(w);
}

static void a_timer_that_is_due_at_the_wrap_itself(void **state)
{
	for (unsigned before = 490; before <= 510; before++) {
		struct world *w = world_new((struct world_config){
			.clock_ns = ((1ULL << 32) - before) * CLOCK_NS_PER_MS});

		call(w, invite);
		pass_in_steps(w, 500 + LATE_MS, 1);
		assert_due(take_request(w, "INVITE", BOB), 500);
		pass_in_steps(w, 1000, 1);
		assert_due(take_request(w, "INVITE", BOB), 1500);
		take_nothing(w);
		world_close(w);
	}
}

/* ---- buffers ---- */

static void what_finds_no_buffer_is_lost_as_on_the_wire(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m;

	w->refuse_begin = true;
	ask(w, invite);
	pass(w, 400);
	w->refuse_begin = false;
	pass(w, 100 + LATE_MS);
	m = take_request(w, "INVITE", BOB);
	w->refuse_begin = true;
	answer(w, m, "486 Busy Here");
	pass(w, 100);
	w->refuse_begin = false;
	pass(w, 500);
	take_response(w, 486, "INVITE"); /* Timer G */
	refuse(w, m, "486 Busy Here");
	world_close(w);
}

static void who_cancels_what_has_not_left_ends_it(void **state)
{
	struct world *w = world_new((struct world_config){0});

	w->refuse_begin = true;
	ask(w, invite);
	w->refuse_begin = false;
	cancel(w, invite);
	take_response(w, 200, "CANCEL");
	ack(w, invite, take_response(w, 487, "INVITE"));
	pass_in_steps(w, T64, 100);
	take_nothing(w); /* nothing was sent that a CANCEL could follow (9.1) */
	world_close(w);
}

static bool behind_the_first_request(struct world *w)
{
	return w->requests == 1;
}

static void a_branch_that_has_not_left_ends_with_the_answer(void **state)
{
	struct world *w = world_new(SCRIPT("request_route {\n	append_branch(\"sip:carol@" CAROL
					   "\");\n	t_relay();\n}\n"));
	const struct sent *m;

	w->lose = behind_the_first_request;
	ask(w, invite);
	w->lose = NULL;
	find_response(w, 100, "INVITE");
	m = take_request(w, "INVITE", BOB);
	take_nothing(w);
	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	pass_in_steps(w, T64, 100);
	take_nothing(w); /* 16.7: who has been answered gets no further branch */
	world_close(w);
}

/* ---- several shards ---- */

static void calls_of_several_shards_find_their_own(void **state)
{
	struct world *w = world_new((struct world_config){.shards = 4});
	const struct sent *m[64];

	for (unsigned i = 0; i < 64; i++)
		m[i] = call(w, (struct ask){.call = printed("shard-%u", i)});
	for (unsigned i = 0; i < 64; i++) {
		struct ask a = {.call = printed("shard-%u", i)};
		const struct sent *r;

		answer(w, m[i], "180 Ringing");
		take_response(w, 180, "INVITE");
		ask(w, a);
		take_response(w, 180, "INVITE");
		if (i % 2 == 0) {
			cancel(w, a);
			take_response(w, 200, "CANCEL");
			answer(w, take_request(w, "CANCEL", BOB), "200 OK");
			answer(w, m[i], "487 Request Terminated");
			r = take_response(w, 487, "INVITE");
		} else {
			answer(w, m[i], "404 Not Found");
			r = take_response(w, 404, "INVITE");
		}
		take_request(w, "ACK", BOB);
		assert_string_equal(header(r->text, "Call-ID", 0), a.call);
		assert_int_equal(ack(w, a, r), FATE_ABSORBED);
		take_nothing(w);
	}
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_proxies_that_fork_to_each_other),
		cmocka_unit_test(one_account_with_two_contacts_of_its_own),
		cmocka_unit_test(many_accounts_that_fork_to_all),
		cmocka_unit_test(a_loop_of_one_is_refused),
		cmocka_unit_test(a_spiral_is_no_loop),
		cmocka_unit_test(a_response_that_was_tampered_with_is_refused),
		cmocka_unit_test(a_response_of_another_method_is_not_taken),
		cmocka_unit_test(an_ack_of_another_call_stops_nothing),
		cmocka_unit_test(a_late_response_meets_no_other_transaction),
		cmocka_unit_test(one_branch_for_very_many_calls),
		cmocka_unit_test(a_storm_of_one_invite_makes_one_branch),
		cmocka_unit_test(a_storm_of_acks_is_absorbed),
		cmocka_unit_test(a_storm_of_failures_costs_an_ack_each),
		cmocka_unit_test(a_server_that_only_rings_comes_to_an_end),
		cmocka_unit_test(an_empty_pool_refuses_and_serves_whom_it_has),
		cmocka_unit_test(a_reply_that_finds_no_transaction_is_503),
		cmocka_unit_test(empty_memory_refuses_and_serves_whom_it_has),
		cmocka_unit_test(responses_for_which_there_is_no_room_go_on),
		cmocka_unit_test(a_clock_that_jumps_an_hour_makes_no_storm),
		cmocka_unit_test(a_clock_that_goes_back_stops_no_timer),
		cmocka_unit_test(a_timer_counts_from_its_message_not_from_the_last_pass),
		cmocka_unit_test(a_clock_near_the_wrap_of_its_milliseconds),
		cmocka_unit_test(a_timer_that_is_due_at_the_wrap_itself),
		cmocka_unit_test(what_finds_no_buffer_is_lost_as_on_the_wire),
		cmocka_unit_test(who_cancels_what_has_not_left_ends_it),
		cmocka_unit_test(a_branch_that_has_not_left_ends_with_the_answer),
		cmocka_unit_test(calls_of_several_shards_find_their_own),
	};

	cmocka_set_test_filter(getenv("TXN_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
