/* SPDX-License-Identifier: BSD-3-Clause */
/* What a transaction takes while it is in progress, and when it only absorbs; and that what its
 * routes need is there as long as they need it. */
#include "harness.h"

/* What there is to reach; less is better. */
#define PROGRESS_MAX 4096
#define ABSORBING_MAX 512
#define ABSORBING_USUAL 320

static const char sdp[] = "v=0\no=alice 2890844526 2890844526 IN IP4 client.example.com\ns=-\n"
			  "c=IN IP4 192.0.2.101\nt=0 0\nm=audio 49172 RTP/AVP 0\n"
			  "a=rtpmap:0 PCMU/8000\n";

static const struct ask invite = {.body = sdp,
	.more = "User-Agent: Example Phone 1.0\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\n"
		"Supported: replaces\nContent-Type: application/sdp\n"};

static uint64_t bytes(struct world *w)
{
	return usage(w).bytes - w->before.bytes;
}

static void an_invite_is_small_and_then_smaller(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m;

	ask(w, invite);
	take_response(w, 100, "INVITE");
	m = take_request(w, "INVITE", BOB);
	assert_in_range(bytes(w), 1, PROGRESS_MAX);
	answer(w, m, "180 Ringing");
	take_response(w, 180, "INVITE");
	assert_in_range(bytes(w), 1, PROGRESS_MAX);
	assert_int_equal(usage(w).absorbing, 0);
	answer(w, m, "200 OK");
	take_response(w, 200, "INVITE");
	assert_in_range(bytes(w), 1, ABSORBING_MAX);
	assert_int_equal(usage(w).absorbing, 1);
	world_close(w);
}

static void a_call_absorbs_in_little_memory(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct ask bye = {.method = "BYE", .cseq = 2, .to_tag = "t" BOB};
	const struct sent *m;

	ask(w, invite);
	answer(w, take_request(w, "INVITE", BOB), "200 OK");
	ask(w, bye);
	m = take_request(w, "BYE", BOB);
	answer(w, m, "200 OK");
	take_all(w);
	assert_int_equal(usage(w).absorbing, 2);
	assert_in_range(bytes(w), 1, 2 * ABSORBING_MAX);
	world_close(w);
}

/* What phones say of themselves in every answer. */
#define WORDS \
	"Server: Example Phone T46 66.85.0.5-b4\nSupported: replaces, timer, path\n" \
	"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY, SUBSCRIBE\n"

/* A final answer to something else than INVITE, and the same bytes whenever it is asked again. */
static void an_answer_is_kept_in_little_memory(void **state)
{
	static const char *const status[] = {"200 OK", "202 Accepted", "404 Not Found",
		"481 Call/Transaction Does Not Exist", "603 Decline"};
	const struct ask asks[] = {{.method = "BYE", .cseq = 2, .to_tag = "t" BOB},
		{.method = "MESSAGE", .body = "Hi"}};
	struct world *w = world_new((struct world_config){0});

	for (unsigned i = 0; i < sizeof(status) / sizeof(status[0]); i++) {
		const struct ask *a = &asks[i % 2];
		const struct sent *m, *r;

		ask(w, *a);
		m = take_request(w, a->method, BOB);
		answer_with(w, m, status[i], NULL, WORDS);
		r = take_response(w, (unsigned)atoi(status[i]), a->method);
		assert_in_range(bytes(w), 1, ABSORBING_MAX);
		for (unsigned again = 0; again < 2; again++) {
			const struct sent *same;

			ask(w, *a);
			same = take_response(w, r->status, a->method);
			assert_string_equal(same->text, r->text);
			assert_true(goes_to(same, CALLER, 5060));
		}
		take_nothing(w);
		world_rest(w);
		ask(w, *a);
		answer(w, take_request(w, a->method, BOB), status[i]);
		assert_in_range(bytes(w), 1, ABSORBING_USUAL);
		world_rest(w);
	}
	world_close(w);
}

/* A failed INVITE after its ACK: what is left acknowledges the failure when it comes again. */
static void a_failed_invite_is_small_after_its_ack(void **state)
{
	static const char *const status[] = {"486 Busy Here", "404 Not Found", "603 Decline"};
	struct world *w = world_new((struct world_config){0});

	for (unsigned i = 0; i < sizeof(status) / sizeof(status[0]); i++) {
		const struct sent *m, *r, *a;

		ask(w, invite);
		take_response(w, 100, "INVITE");
		m = take_request(w, "INVITE", BOB);
		answer_with(w, m, status[i], NULL, WORDS);
		a = take_request(w, "ACK", BOB);
		r = take_response(w, (unsigned)atoi(status[i]), "INVITE");
		/* Timer G has no request to make the reply of. */
		pass(w, T1 + LATE_MS);
		assert_string_equal(take_response(w, r->status, "INVITE")->text, r->text);
		ack(w, invite, r);
		assert_in_range(bytes(w), 1, ABSORBING_USUAL);
		for (unsigned again = 0; again < 2; again++) {
			answer_with(w, m, status[i], NULL, WORDS);
			assert_string_equal(take_request(w, "ACK", BOB)->text, a->text);
		}
		take_nothing(w);
		world_rest(w);
	}
	world_close(w);
}

static void a_cancelled_invite_is_small_after_its_ack(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m, *r, *c;

	ask(w, invite);
	m = take_request(w, "INVITE", BOB);
	answer(w, m, "180 Ringing");
	cancel(w, invite);
	c = take_request(w, "CANCEL", BOB);
	answer(w, c, "200 OK");
	answer_with(w, m, "487 Request Terminated", NULL, WORDS);
	r = take_response(w, 487, "INVITE");
	ack(w, invite, r);
	assert_in_range(bytes(w), 1, ABSORBING_USUAL);
	world_close(w);
}

static void count_told(void *arg, unsigned shard, const struct txn_news *news)
{
	++*(unsigned *)arg;
}

static bool wants_all(void *arg, enum txn_event event, uint8_t method, uint32_t flags)
{
	return true;
}

/* Who keeps account of all wants a 2xx behind a failure, too: none can come of a request that went
 * nowhere, which is not kept for it. Of one that was sent it is, until its timers have run out. */
static void a_request_that_went_nowhere_waits_for_no_2xx(void **state)
{
	static const char *const scripts[] = {MODULES RFC_TIMERS
		"request_route {\n	t_newtran();\n"
		"	t_reply(\"404\", \"Not Here\");\n}\n",
		MODULES RFC_TIMERS "request_route {\n	t_relay();\n	exit;\n}\n"};

	for (unsigned sent = 0; sent < 2; sent++) {
		struct world *w = world_new((struct world_config){.script = scripts[sent]});
		unsigned told = 0;
		const struct txn_watcher watcher = {
			.wants = wants_all, .told = count_told, .arg = &told};

		txn_watch(w->txn, &watcher);
		ask(w, invite);
		if (sent != 0)
			refuse(w, take_request(w, "INVITE", BOB), "404 Not Found");
		ack(w, invite, take_response(w, 404, "INVITE"));
		assert_true(told >= 1);
		if (sent == 0)
			assert_in_range(bytes(w), 1, ABSORBING_USUAL);
		else
			assert_true(bytes(w) > ABSORBING_MAX);
		take_all(w);
		world_close(w);
	}
}

/* A proxy of the client's may write other Vias the second time: the answer has to have those. */
static void an_answer_has_the_vias_of_what_came_again(void **state)
{
	static const struct ask a = {.method = "MESSAGE"};
	static const char *const below = "Via: SIP/2.0/UDP 192.0.2.1;rport=%s;branch=z9hG4bKc\n"
					 "Max-Forwards";
	/* The observer knows one answer to one request. */
	struct world *w = world_new((struct world_config){.unobserved = true});
	const char *text = ask_text(a);

	come_text(w, replaced(text, "Max-Forwards", printed(below, "1024")), CALLER, 5060);
	answer(w, take_request(w, "MESSAGE", BOB), "200 OK");
	assert_string_equal(
		param(header(take_response(w, 200, "MESSAGE")->text, "Via", 1), "rport"), "1024");
	come_text(w, replaced(text, "Max-Forwards", printed(below, "50001")), CALLER, 5060);
	assert_string_equal(
		param(header(take_response(w, 200, "MESSAGE")->text, "Via", 1), "rport"), "50001");
	world_close(w);
}

/* The latest provisional reply, too. */
static void a_ringing_is_said_again(void **state)
{
	struct world *w = world_new((struct world_config){0});
	const struct sent *m, *r;

	ask(w, invite);
	take_response(w, 100, "INVITE");
	m = take_request(w, "INVITE", BOB);
	answer_with(w, m, "180 Ringing", NULL, WORDS);
	r = take_response(w, 180, "INVITE");
	ask(w, invite);
	assert_string_equal(take_response(w, 180, "INVITE")->text, r->text);
	answer_with(w, m, "183 Session Progress", NULL, WORDS);
	r = take_response(w, 183, "INVITE");
	ask(w, invite);
	assert_string_equal(take_response(w, 183, "INVITE")->text, r->text);
	take_nothing(w);
	world_close(w);
}

/* The request is gone, what its script put into AVPs is not. */
static void a_late_2xx_sees_what_the_script_said(void **state)
{
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"request_route {\n	$avp(who) = \"alice and others\";\n	setflag(3);\n"
		"	t_on_reply(\"r\");\n	t_relay();\n}\n"
		"onreply_route[r] {\n	if (isflagset(3)) append_hf(\"X-Who: $avp(who)\\r\\n\");\n"
		"	$avp(who) = $avp(who) + \"!\";\n}\n"});
	static const char *const who[] = {
		"alice and others", "alice and others!", "alice and others!!"};
	const struct sent *m, *r;

	ask(w, invite);
	take_response(w, 100, "INVITE");
	m = take_request(w, "INVITE", BOB);
	for (unsigned i = 0; i < 3; i++) {
		answer(w, m, "200 OK");
		r = take_response(w, 200, "INVITE");
		assert_string_equal(header(r->text, "X-Who", 0), who[i]);
		assert_in_range(bytes(w), 1, 1024);
		pass(w, 1000);
	}
	world_close(w);
}

/* setbflag() of a branch is seen by what comes of it, and of no other. */
static void branch_flags_are_of_their_branch(void **state)
{
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"request_route {\n	append_branch(\"sip:carol@" CAROL "\");\n"
		"	t_on_branch(\"b\");\n	t_on_reply(\"r\");\n	t_on_failure(\"f\");\n"
		"	t_relay();\n}\n"
		"branch_route[b] {\n	if ($rd == \"" CAROL "\") setbflag(6);\n}\n"
		"onreply_route[r] {\n	if (isbflagset(6)) append_hf(\"X-Natted: yes\\r\\n\");\n}\n"
		"failure_route[f] {\n	if (isbflagset(6)) t_reply(\"480\", \"Natted\");\n}\n"});
	const struct sent *bob, *carol, *r;

	ask(w, invite);
	take_response(w, 100, "INVITE");
	bob = take_request(w, "INVITE", BOB);
	carol = take_request(w, "INVITE", CAROL);
	answer(w, bob, "180 Ringing");
	assert_null(header(take_response(w, 180, "INVITE")->text, "X-Natted", 0));
	for (unsigned i = 0; i < 2; i++) {
		answer(w, carol, "200 OK");
		assert_string_equal(
			header(take_response(w, 200, "INVITE")->text, "X-Natted", 0), "yes");
	}
	world_rest(w);

	ask(w, invite);
	bob = take_request(w, "INVITE", BOB);
	carol = take_request(w, "INVITE", CAROL);
	answer(w, bob, "500 Server Internal Error");
	answer(w, carol, "486 Busy Here");
	r = take_response(w, 480, "INVITE");
	assert_string_equal(first_line(r->text), "SIP/2.0 480 Natted");
	ack(w, invite, r);
	world_close(w);
}

/* A send_reply() in a failure_route is the transaction's; a t_relay() that fails there is not. */
static void what_a_failure_route_replies(void **state)
{
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"request_route {\n	t_on_failure(\"f\");\n	t_relay();\n}\n"
		"failure_route[f] {\n	if (t_check_status(\"486\")) send_reply(\"480\", "
		"\"Chosen\");\n"
		"	else {\n		$ru = \"sip:bob@10.2.0.1;transport=tcp\";\n	"
		"	t_relay();\n	}\n}\n"});
	const struct sent *r;

	ask(w, invite);
	answer(w, take_request(w, "INVITE", BOB), "486 Busy Here");
	r = take_response(w, 480, "INVITE");
	assert_string_equal(first_line(r->text), "SIP/2.0 480 Chosen");
	ack(w, invite, r);
	world_rest(w);

	ask(w, invite);
	answer(w, take_request(w, "INVITE", BOB), "404 Not Found");
	ack(w, invite, take_response(w, 404, "INVITE"));
	take_all(w);
	world_close(w);
}

/* RFC 4320 4.1: t_set_retr() is about our retransmissions, not about the client's. */
static void a_100_is_due_by_the_client_s_timers(void **state)
{
	static const uint64_t due[] = {200, 600, 1400, 2200, 3000};
	struct world *w = world_new((struct world_config){
		.script = MODULES RFC_TIMERS
		"request_route {\n	t_set_retr(200, 800);\n	t_relay();\n}\n"});

	ask(w, (struct ask){.method = "MESSAGE"});
	take_request(w, "MESSAGE", BOB);
	for (unsigned i = 0; i < sizeof(due) / sizeof(due[0]); i++) {
		pass(w, due[i] + LATE_MS - now_ms(w));
		assert_due(take_request(w, "MESSAGE", BOB), due[i]);
		take_nothing(w);
	}
	pass(w, 3500 + LATE_MS - now_ms(w));
	assert_due(take_response(w, 100, "MESSAGE"), 3500);
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_invite_is_small_and_then_smaller),
		cmocka_unit_test(a_call_absorbs_in_little_memory),
		cmocka_unit_test(an_answer_is_kept_in_little_memory),
		cmocka_unit_test(a_failed_invite_is_small_after_its_ack),
		cmocka_unit_test(a_cancelled_invite_is_small_after_its_ack),
		cmocka_unit_test(a_request_that_went_nowhere_waits_for_no_2xx),
		cmocka_unit_test(an_answer_has_the_vias_of_what_came_again),
		cmocka_unit_test(a_ringing_is_said_again),
		cmocka_unit_test(a_late_2xx_sees_what_the_script_said),
		cmocka_unit_test(branch_flags_are_of_their_branch),
		cmocka_unit_test(what_a_failure_route_replies),
		cmocka_unit_test(a_100_is_due_by_the_client_s_timers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
