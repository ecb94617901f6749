/* SPDX-License-Identifier: BSD-3-Clause */
/* What a transaction takes while it is in progress, and when it only absorbs; and that what a late
 * response needs is still there then. */
#include "harness.h"

/* What there is to reach; less is better. */
#define PROGRESS_MAX 4096
#define ABSORBING_MAX 512

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_invite_is_small_and_then_smaller),
		cmocka_unit_test(a_call_absorbs_in_little_memory),
		cmocka_unit_test(a_late_2xx_sees_what_the_script_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
