/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers, slow lcores, registrar and transactions together: what crosses and what does not, what
 * comes back, and the equation after each. tests/mutation expects one of this folder's programs to
 * fail when an increment is missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "rig.h"

static const char list[] = "1 sip:10.20.0.11:5060\n";

static const char script[] =
	"loadmodule \"textops\"\nloadmodule \"tm\"\nloadmodule \"usrloc\"\nloadmodule "
	"\"registrar\"\n"
	"request_route {\n"
	"	if (is_method(\"REGISTER\")) {\n"
	"		if (is_present_hf(\"X-Tran\")) t_newtran();\n"
	"		save(\"location\");\n"
	"		exit;\n"
	"	}\n"
	"	if (has_totag()) {\n"
	"		if (loose_route()) { t_relay(); exit; }\n"
	"		if (is_method(\"ACK\")) { t_relay(); exit; }\n"
	"		sl_send_reply(\"404\", \"Not Here\"); exit;\n"
	"	}\n"
	"	if (is_method(\"CANCEL\")) { if (t_check_trans()) t_relay(); exit; }\n"
	"	if ($rU =~ \"^named\") {\n"
	"		$du = \"sip:\" + $rU + \".invalid:5060\";\n"
	"		if (!t_relay()) sl_reply_error();\n"
	"		exit;\n"
	"	}\n"
	"	if ($rU == \"alone\") { t_newtran(); t_reply(\"404\", \"Nobody\"); exit; }\n"
	"	if (!lookup(\"location\")) { sl_send_reply(\"404\", \"Not Found\"); exit; }\n"
	"	if (is_method(\"MESSAGE\")) { forward(); exit; }\n"
	"	record_route();\n"
	"	t_on_reply(\"seen\");\n"
	"	t_relay();\n"
	"}\n"
	"onreply_route[seen] { append_hf(\"X-Seen: yes\\r\\n\"); }\n";

static struct rig *rig;
static uint64_t before[COUNTER_COUNT];
static char text[4096];

/* ---- helpers ---- */

static uint64_t delta(unsigned id)
{
	return rig_counter(rig, id) - before[id];
}

static void assert_balanced(void)
{
	uint64_t sum[COUNTER_COUNT];
	struct counter_balance b;

	pipeline_counters(rig->pipeline, sum);
	b = counter_balance(sum);
	if (!b.exact || b.held != 0)
		fail_msg("in %lu done %lu dropped %lu held %lu", b.in, b.done, b.dropped, b.held);
}

/* So many frames ended in exactly this counter, and nowhere else; so many messages crossed. */
static void assert_ends(unsigned id, uint64_t frames, uint64_t crossed)
{
	rig_settle(rig);
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		enum counter_kind kind = counter_kind(i);

		if ((kind == COUNTER_DONE || kind == COUNTER_DROP) &&
			delta(i) != (i == id ? frames : 0))
			fail_msg("%s is %lu, wanted %s %lu", counter_name(i), delta(i),
				counter_name(id), frames);
	}
	assert_int_equal(delta(COUNTER_SLOW_CROSSED), crossed);
	assert_balanced();
}

static void clear_sent(void)
{
	struct str payload;
	struct rte_mbuf *m;

	for (unsigned p = 0; p < RIG_PORTS; p++)
		while ((m = rig_sent(rig, p, &payload)) != NULL)
			rte_pktmbuf_free(m);
}

static int begin(void **state)
{
	rig_settle(rig);
	clear_sent();
	pipeline_counters(rig->pipeline, before);
	return 0;
}

static int end(void **state)
{
	clear_sent();
	rig_settle(rig);
	return rte_mempool_in_use_count(rig->pool) == 0 && pipeline_held(rig->pipeline) == 0 ? 0
											     : -1;
}

static struct str request_of(const char *method, const char *uri, unsigned call, unsigned cseq,
	const char *branch_of, const char *to_tag, const char *lines)
{
	int n = snprintf(text, sizeof(text),
		"%s %s SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 10.10.0.2:5080;branch=z9hG4bKstate%u%s;rport\r\n"
		"Max-Forwards: 70\r\n"
		"From: <sip:bob@10.10.0.2>;tag=f%u\r\n"
		"To: <sip:u%u@10.10.0.1>%s\r\n"
		"Call-ID: state-%u@10.10.0.2\r\n"
		"CSeq: %u %s\r\n"
		"%s"
		"Content-Length: 0\r\n\r\n",
		method, uri, call, branch_of, call, call, to_tag, call, cseq, method, lines);

	return str_of(text, (size_t)n);
}

static void from_caller(struct str message)
{
	rig_receive(rig, 0, 0, rig_datagram(rig, 0, "10.10.0.2", 5080, "10.10.0.1", 5060, message));
}

static void from_phone(struct str message)
{
	rig_receive(
		rig, 1, 0, rig_datagram(rig, 1, "10.20.0.11", 5060, "10.20.0.1", 5060, message));
}

/* User u<n> at the core's phone. */
static void register_user(unsigned n, unsigned cseq)
{
	char lines[128];

	snprintf(lines, sizeof(lines), "Contact: <sip:u%u@10.20.0.11:5060>\r\nExpires: 600\r\n", n);
	from_caller(request_of("REGISTER", "sip:10.10.0.1", n, cseq, "reg", "", lines));
}

static struct str invite(unsigned call)
{
	char uri[64];

	snprintf(uri, sizeof(uri), "sip:u%u@10.10.0.1", call);
	return request_of(
		"INVITE", uri, call, 1, "inv", "", "Contact: <sip:bob@10.10.0.2:5080>\r\n");
}

/* The next message that left by a port, a copy; it begins with `start`. */
static struct str took(unsigned port, const char *start, char *into, size_t size)
{
	struct str out;
	struct rte_mbuf *m = rig_sent(rig, port, &out);

	if (m == NULL)
		fail_msg("nothing left by port %u, wanted %s", port, start);
	assert_true(out.len < size);
	memcpy(into, out.s, out.len);
	into[out.len] = '\0';
	rte_pktmbuf_free(m);
	if (strncmp(into, start, strlen(start)) != 0)
		fail_msg("wanted %s, got %s", start, into);
	return str_of(into, out.len);
}

/* The phone's answer to a request that it got. */
static struct str answer(const char *got, const char *status)
{
	static char made[4096];
	const char *at = strstr(got, "\r\n"), *to = strstr(got, "\r\nTo: "), *end_of_to;
	int n;

	end_of_to = strstr(to + 2, "\r\n");
	n = snprintf(made, sizeof(made), "SIP/2.0 %s%.*s%s%s", status, (int)(end_of_to - at), at,
		memmem(to, (size_t)(end_of_to - to), ";tag=", 5) == NULL ? ";tag=phone" : "",
		end_of_to);
	return str_of(made, (size_t)n);
}

static bool holds(const char *message, const char *what)
{
	return strstr(message, what) != NULL;
}

/* ---- registrar ---- */

static void test_register_crosses_and_lookup_does_not(void **state)
{
	char got[4096];

	register_user(1, 1);
	assert_ends(COUNTER_ANSWERED, 1, 1);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
	assert_true(holds(got, "<sip:u1@10.20.0.11:5060>;expires="));
	begin(state);
	from_caller(request_of("MESSAGE", "sip:u1@10.10.0.1", 1, 2, "msg", "", ""));
	assert_ends(COUNTER_FORWARDED, 1, 0);
	took(1, "MESSAGE sip:u1@10.20.0.11:5060 ", got, sizeof(got));
	begin(state);
	from_caller(request_of("MESSAGE", "sip:nobody@10.10.0.1", 1, 3, "msg3", "", ""));
	assert_ends(COUNTER_ANSWERED, 1, 0);
	took(0, "SIP/2.0 404 ", got, sizeof(got));
}

/* ---- transactions ---- */

/* Sends an INVITE that the phone gets; what it got stands in `at_phone`. */
static void begin_call(unsigned call, char *at_phone, size_t size)
{
	char got[4096];

	register_user(call, 1);
	rig_settle(rig);
	begin(NULL);
	from_caller(invite(call));
	assert_ends(COUNTER_FORWARDED, 1, 1);
	assert_int_equal(delta(COUNTER_OWN_MESSAGES), 1);
	took(0, "SIP/2.0 100 ", got, sizeof(got));
	took(1, "INVITE sip:u", at_phone, size);
}

static void test_a_call_is_set_up_and_ended(void **state)
{
	char at_phone[4096], got[4096], lines[512], route[256];
	const char *rr;

	begin_call(2, at_phone, sizeof(at_phone));
	begin(state);
	from_phone(answer(at_phone, "180 Ringing"));
	assert_ends(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 180 ", got, sizeof(got));
	assert_true(holds(got, "X-Seen: yes\r\n"));
	begin(state);
	from_phone(answer(at_phone, "200 OK"));
	assert_ends(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
	/* In the dialog: along our Record-Routes, the nearest one first. */
	rr = strstr(got, "Record-Route: ");
	assert_non_null(rr);
	snprintf(route, sizeof(route), "%.*s", (int)strcspn(rr + 14, "\r"), rr + 14);
	snprintf(lines, sizeof(lines), "Route: %s\r\n", route);
	rr = strstr(rr + 1, "Record-Route: ");
	if (rr != NULL)
		snprintf(lines, sizeof(lines), "Route: %.*s,%s\r\n", (int)strcspn(rr + 14, "\r"),
			rr + 14, route);
	begin(state);
	from_caller(request_of("ACK", "sip:u2@10.20.0.11:5060", 2, 1, "ack", ";tag=phone", lines));
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_FORWARDED), 1);
	assert_balanced();
	took(1, "ACK sip:u2@10.20.0.11:5060 ", got, sizeof(got));
	begin(state);
	from_caller(request_of("BYE", "sip:u2@10.20.0.11:5060", 2, 2, "bye", ";tag=phone", lines));
	assert_ends(COUNTER_FORWARDED, 1, 1);
	took(1, "BYE sip:u2@10.20.0.11:5060 ", at_phone, sizeof(at_phone));
	begin(state);
	from_phone(answer(at_phone, "200 OK"));
	assert_ends(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
}

static void test_a_retransmission_and_the_ack_of_a_failure_are_absorbed(void **state)
{
	char at_phone[4096], got[4096];

	begin_call(3, at_phone, sizeof(at_phone));
	begin(state);
	from_caller(invite(3));
	rig_settle(rig);
	/* The last provisional response is sent again. */
	assert_int_equal(delta(COUNTER_SLOW_CROSSED), 1);
	assert_int_equal(delta(COUNTER_FORWARDED), 0);
	assert_int_equal(delta(COUNTER_ANSWERED) + delta(COUNTER_ABSORBED), 1);
	assert_balanced();
	took(0, "SIP/2.0 100 ", got, sizeof(got));

	begin(state);
	from_phone(answer(at_phone, "486 Busy Here"));
	assert_ends(COUNTER_FORWARDED, 1, 1);
	assert_int_equal(delta(COUNTER_OWN_MESSAGES), 1);
	took(0, "SIP/2.0 486 ", got, sizeof(got));
	took(1, "ACK sip:u3@10.20.0.11:5060 ", got, sizeof(got));

	begin(state);
	from_caller(request_of("ACK", "sip:u3@10.10.0.1", 3, 1, "inv", ";tag=phone", ""));
	assert_ends(COUNTER_ABSORBED, 1, 1);

	/* The phone has not heard our ACK: another one, and nothing to the caller. */
	begin(state);
	from_phone(answer(at_phone, "486 Busy Here"));
	assert_ends(COUNTER_ABSORBED, 1, 1);
	took(1, "ACK sip:u3@10.20.0.11:5060 ", got, sizeof(got));
}

static void test_a_cancel_crosses_to_its_invite(void **state)
{
	char at_phone[4096], cancel[4096], got[4096];

	begin_call(4, at_phone, sizeof(at_phone));
	from_phone(answer(at_phone, "180 Ringing"));
	begin(state);
	from_caller(request_of("CANCEL", "sip:u4@10.10.0.1", 4, 1, "inv", "", ""));
	assert_ends(COUNTER_ANSWERED, 1, 1);
	assert_int_equal(delta(COUNTER_OWN_MESSAGES), 1);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
	took(1, "CANCEL sip:u4@10.20.0.11:5060 ", cancel, sizeof(cancel));
	begin(state);
	from_phone(answer(cancel, "200 OK"));
	assert_ends(COUNTER_ABSORBED, 1, 1);
	begin(state);
	from_phone(answer(at_phone, "487 Request Terminated"));
	assert_ends(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 487 ", got, sizeof(got));
	took(1, "ACK ", got, sizeof(got));
}

/* t_reply(): the ACK has our To tag and is the transaction's all the same. */
static void test_a_reply_of_a_transaction_of_our_own(void **state)
{
	char got[4096], tag[128];
	const char *at;

	from_caller(request_of("INVITE", "sip:alone@10.10.0.1", 5, 1, "inv", "", ""));
	assert_ends(COUNTER_ANSWERED, 1, 1);
	took(0, "SIP/2.0 404 Nobody", got, sizeof(got));
	at = strstr(strstr(got, "\r\nTo: "), ";tag=");
	snprintf(tag, sizeof(tag), "%.*s", (int)strcspn(at, "\r"), at);
	begin(state);
	from_caller(request_of("ACK", "sip:alone@10.10.0.1", 5, 1, "inv", tag, ""));
	assert_ends(COUNTER_ABSORBED, 1, 1);
}

static void test_a_response_that_nobody_waits_for(void **state)
{
	char at_phone[4096], *branch;

	begin_call(6, at_phone, sizeof(at_phone));
	branch = strstr(at_phone, "z9hG4bK");
	branch[9] = branch[9] == 'a' ? 'b' : 'a';
	begin(state);
	from_phone(answer(at_phone, "200 OK"));
	assert_ends(COUNTER_PROXY + PROXY_REASON_VIA_MAC, 1, 0);
}

/* No buffer for what a transaction would send: the frame is counted all the same. */
static void test_no_buffer_for_a_transaction(void **state)
{
	static struct rte_mbuf *all[20000];
	unsigned n = 0;
	uint64_t ended;

	register_user(7, 1);
	rig_settle(rig);
	begin(state);
	from_caller(invite(7));
	pipeline_worker_poll(rig->pipeline, 0);
	while ((all[n] = rte_pktmbuf_alloc(rig->pool)) != NULL)
		n++;
	rig_settle(rig);
	ended = delta(COUNTER_DROP_NO_BUFFER) + delta(COUNTER_ANSWERED) + delta(COUNTER_ABSORBED);
	assert_int_equal(ended, 1);
	assert_int_equal(delta(COUNTER_FORWARDED), 0);
	assert_balanced();
	rte_pktmbuf_free_bulk(all, n);
}

/* A script that needs no state is published while a call is set up, and then the first one again:
 * the call goes on with the script that it began with. */
static void test_a_call_outlives_its_script(void **state)
{
	static const char plain[] = "request_route { sl_send_reply(\"404\", \"Plain\"); }\n";
	struct route_report *report = route_report_create();
	struct route_script *next;
	char at_phone[4096], got[4096];

	begin_call(50, at_phone, sizeof(at_phone));
	begin(state);
	next = rig_script(rig, plain, list, report);
	assert_non_null(next);
	pipeline_publish(rig->pipeline, next);
	rig_settle(rig);
	from_caller(invite(50));
	assert_ends(COUNTER_ABSORBED, 1, 1);
	took(0, "SIP/2.0 100 ", got, sizeof(got));
	begin(state);
	from_phone(answer(at_phone, "180 Ringing"));
	assert_ends(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 180 ", got, sizeof(got));
	assert_true(holds(got, "X-Seen: yes\r\n"));
	begin(state);
	from_caller(invite(51));
	assert_ends(COUNTER_ANSWERED, 1, 0);
	took(0, "SIP/2.0 404 Plain", got, sizeof(got));
	next = rig_script(rig, script, list, report);
	assert_non_null(next);
	pipeline_publish(rig->pipeline, next);
	begin(state);
	from_caller(request_of("CANCEL", "sip:u50@10.10.0.1", 50, 1, "inv", "", ""));
	assert_ends(COUNTER_ANSWERED, 1, 1);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
	took(1, "CANCEL sip:u50@10.20.0.11:5060 ", got, sizeof(got));
	begin(state);
	from_phone(answer(at_phone, "487 Request Terminated"));
	assert_ends(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 487 ", got, sizeof(got));
	begin(state);
	from_caller(request_of("ACK", "sip:u50@10.10.0.1", 50, 1, "inv", ";tag=phone", ""));
	assert_ends(COUNTER_ABSORBED, 1, 1);
	route_report_destroy(report);
}

/* ---- no room ---- */

/* A final response of ours would end at its caller the call that goes on here: what a transaction
 * may know is lost as if on the wire, and comes again. */
static void test_what_a_transaction_may_know_is_never_refused(void **state)
{
	char at_phone[4096], got[4096];

	begin_call(8, at_phone, sizeof(at_phone));
	begin(state);
	for (unsigned i = 0; i < PIPELINE_SLOW_LAST; i++) {
		from_caller(request_of("CANCEL", "sip:u8@10.10.0.1", 20000 + i, 1, "inv", "", ""));
		pipeline_worker_poll(rig->pipeline, 0); /* the slow lcore is asleep */
	}
	assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER), PIPELINE_SLOW_LAST);
	from_caller(invite(8));
	pipeline_worker_poll(rig->pipeline, 0);
	from_caller(request_of("CANCEL", "sip:u8@10.10.0.1", 8, 1, "inv", "", ""));
	pipeline_worker_poll(rig->pipeline, 0);
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_KNOWN), 1);
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_LAST), 1);
	assert_int_equal(delta(COUNTER_ANSWERED), 0);
	assert_int_equal(delta(COUNTER_DROP_SLOW_FULL), 2);
	rig_settle(rig);
	assert_balanced();

	begin(state);
	from_caller(request_of("CANCEL", "sip:u8@10.10.0.1", 8, 1, "inv", "", ""));
	assert_ends(COUNTER_ANSWERED, 1, 1);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
}

/* The caller has heard 100 by then, and sends its request no more. */
static void test_no_room_to_wait_for_a_name(void **state)
{
	enum { CALLS = 70 };
	unsigned refused = 0;
	struct rte_mbuf *m;
	struct str out;

	for (unsigned i = 0; i < CALLS; i++) {
		from_caller(request_of("INVITE", "sip:named@10.10.0.1", 30000 + i, 1, "inv", "",
			"Contact: <sip:bob@10.10.0.2:5080>\r\n"));
		pipeline_worker_poll(rig->pipeline, 0);
		pipeline_slow_poll(rig->pipeline, 0);
		pipeline_worker_poll(rig->pipeline, 0); /* the control thread is asleep */
	}
	while ((m = rig_sent(rig, 0, &out)) != NULL) {
		refused += str_istarts(out, STR("SIP/2.0 500 "));
		rte_pktmbuf_free(m);
	}
	assert_in_range(refused, 1, CALLS - 1);
	assert_int_equal(delta(COUNTER_ANSWERED), refused);
	assert_int_equal(delta(COUNTER_HELD_NAME_ENTER), CALLS - refused);
	assert_int_equal(delta(COUNTER_DROP_HELD_FULL), 0);
	for (unsigned i = 0; i < 10000 && pipeline_held(rig->pipeline) > 0; i++) {
		rig_poll(rig);
		usleep(1000);
	}
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_ANSWERED), CALLS);
	assert_balanced();
}

/* ---- several slow lcores ---- */

static void test_calls_over_several_slow_lcores(void **state)
{
	enum { CALLS = 200 };
	struct rig_config config = {
		.script = script, .list = list, .workers = 2, .queues = 1, .slow = 3};
	static char at_phone[4096];
	struct rig *plain = rig;
	struct location_stats stats;
	char got[4096];
	struct rte_mbuf *m;
	struct str out;

	rig = rig_create_with(&config);
	assert_non_null(rig);
	begin(state);
	for (unsigned i = 0; i < CALLS; i++) {
		register_user(1000 + i, 1);
		register_user(1000 + i, 2); /* behind the first, on the same shard */
	}
	assert_ends(COUNTER_ANSWERED, 2 * CALLS, 2 * CALLS);
	while ((m = rig_sent(rig, 0, &out)) != NULL) {
		assert_true(str_istarts(out, STR("SIP/2.0 200 ")));
		rte_pktmbuf_free(m);
	}
	location_stats(rig->location, &stats);
	assert_int_equal(stats.aors, CALLS);
	begin(state);
	for (unsigned i = 0; i < CALLS; i++)
		from_caller(invite(1000 + i));
	assert_ends(COUNTER_FORWARDED, CALLS, CALLS);
	for (unsigned i = 0; i < CALLS; i++) {
		took(1, "INVITE sip:u1", at_phone, sizeof(at_phone));
		from_phone(answer(at_phone, "486 Busy Here"));
		/* and the caller's ACK comes before its 486 has got through */
		if (i % 8 == 0)
			rig_poll(rig);
	}
	rig_settle(rig);
	for (unsigned i = 0; i < CALLS; i++)
		took(0, "SIP/2.0 100 ", got, sizeof(got));
	for (unsigned i = 0; i < CALLS; i++)
		took(0, "SIP/2.0 486 ", got, sizeof(got));
	begin(state);
	for (unsigned i = 0; i < CALLS; i++) {
		char uri[64];

		snprintf(uri, sizeof(uri), "sip:u%u@10.10.0.1", 1000 + i);
		from_caller(request_of("ACK", uri, 1000 + i, 1, "inv", ";tag=phone", ""));
	}
	assert_ends(COUNTER_ABSORBED, CALLS, CALLS);
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

/* There are few places for large messages: those that wait for a name that nobody knows leave some
 * for the others, which only cross. */
static void test_what_waits_leaves_large_places(void **state)
{
	static char lines[3000];
	char got[4096];

	snprintf(lines, sizeof(lines), "Contact: <sip:bob@10.10.0.2:5080>\r\nX-Large: %02500d\r\n",
		0);
	for (unsigned i = 0; i < 8; i++) {
		from_caller(request_of(
			"INVITE", "sip:named-large@10.10.0.1", 40000 + i, 1, "inv", "", lines));
		pipeline_worker_poll(rig->pipeline, 0);
		pipeline_slow_poll(rig->pipeline, 0);
		pipeline_worker_poll(rig->pipeline, 0); /* the control thread is asleep */
	}
	assert_in_range(delta(COUNTER_HELD_NAME_ENTER), 1, 7);
	assert_int_equal(delta(COUNTER_ANSWERED), 8 - delta(COUNTER_HELD_NAME_ENTER));
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_NEW), 0);
	clear_sent();
	snprintf(lines, sizeof(lines), "Contact: <sip:u9@10.20.0.11>\r\nX-Large: %02500d\r\n", 0);
	from_caller(request_of("REGISTER", "sip:10.10.0.1", 9, 1, "reg", "", lines));
	pipeline_worker_poll(rig->pipeline, 0);
	pipeline_slow_poll(rig->pipeline, 0);
	pipeline_worker_poll(rig->pipeline, 0);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
	for (unsigned i = 0; i < 10000 && pipeline_held(rig->pipeline) > 0; i++) {
		rig_poll(rig);
		usleep(1000);
	}
	rig_settle(rig);
	assert_balanced();
}

/* A transaction stands where it began: a save() that belongs elsewhere ends it, with an answer. */
static void test_a_transaction_does_not_hop(void **state)
{
	enum { USERS = 30 };
	struct rig_config config = {
		.script = "loadmodule \"tm\"\nloadmodule \"usrloc\"\nloadmodule \"registrar\"\n"
			  "request_route { t_newtran(); save(\"location\", \"0\", "
			  "\"sip:other@10.10.0.1\"); }\n",
		.list = list,
		.workers = 1,
		.queues = 1,
		.slow = 3};
	struct rig *plain = rig;
	struct rte_mbuf *m;
	unsigned saved = 0, refused = 0;
	struct str out;

	rig = rig_create_with(&config);
	assert_non_null(rig);
	begin(state);
	for (unsigned i = 0; i < USERS; i++)
		register_user(1 + i, 1);
	rig_settle(rig);
	while ((m = rig_sent(rig, 0, &out)) != NULL) {
		saved += str_istarts(out, STR("SIP/2.0 200 "));
		refused += str_istarts(out, STR("SIP/2.0 500 "));
		rte_pktmbuf_free(m);
	}
	assert_true(saved > 0 && refused > 0);
	assert_int_equal(saved + refused, USERS);
	assert_int_equal(delta(COUNTER_ANSWERED), USERS);
	assert_int_equal(delta(COUNTER_STATE_REFUSED), refused);
	assert_int_equal(delta(COUNTER_SLOW_HOPPED), 0);
	assert_balanced();
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

/* A list of contacts may be longer than 1.5 times what asks for it, so a source that may be
 * somebody else's gets it as seldom as a challenge. */
static void test_long_lists_of_contacts_are_rated(void **state)
{
	enum { CONTACTS = 20, FETCHES = 30, RATE = 2 };
	struct rig_config config = {.script = script,
		.list = list,
		.workers = 1,
		.queues = 1,
		.slow = 1,
		.reply_rate = RATE};
	struct rig *plain = rig;
	char lines[2048] = "", branch[16];
	uint64_t refused;

	rig = rig_create_with(&config);
	assert_non_null(rig);
	begin(state);
	for (unsigned i = 0; i < CONTACTS; i++)
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines),
			"Contact: <sip:u1@10.20.0.11:%u>\r\n", 6000 + i);
	from_caller(request_of("REGISTER", "sip:10.10.0.1", 1, 1, "reg", "", lines));
	assert_ends(COUNTER_ANSWERED, 1, 1);
	begin(state);
	for (unsigned i = 0; i < FETCHES; i++) {
		snprintf(branch, sizeof(branch), "get%u", i);
		from_caller(request_of("REGISTER", "sip:10.10.0.1", 1, 2 + i, branch, "", ""));
		rig_settle(rig);
	}
	refused = delta(COUNTER_PROXY + PROXY_REASON_REPLY_RATE);
	/* Twice the rate at once, and a few while the test runs. */
	assert_in_range(delta(COUNTER_ANSWERED), 2 * RATE, FETCHES / 2);
	assert_int_equal(refused + delta(COUNTER_ANSWERED), FETCHES);
	assert_balanced();
	/* Nor has it more of them by transactions, or by what these have kept. */
	begin(state);
	for (unsigned i = 0; i < 2 * FETCHES; i++) {
		snprintf(branch, sizeof(branch), "tran%u", i % FETCHES);
		from_caller(request_of("REGISTER", "sip:10.10.0.1", 1, 100 + i % FETCHES, branch,
			"", "X-Tran: yes\r\n"));
		rig_settle(rig);
	}
	assert_in_range(delta(COUNTER_ANSWERED) + delta(COUNTER_OWN_MESSAGES), 0, FETCHES / 2);
	assert_in_range(
		delta(COUNTER_PROXY + PROXY_REASON_REPLY_RATE), 3 * FETCHES / 2, 2 * FETCHES);
	assert_balanced();
	/* A short list is nobody's weapon. */
	begin(state);
	for (unsigned i = 0; i < FETCHES; i++)
		register_user(2, 1 + i);
	assert_ends(COUNTER_ANSWERED, FETCHES, FETCHES);
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_register_crosses_and_lookup_does_not),
		TEST(test_a_call_is_set_up_and_ended),
		TEST(test_a_retransmission_and_the_ack_of_a_failure_are_absorbed),
		TEST(test_a_cancel_crosses_to_its_invite),
		TEST(test_a_reply_of_a_transaction_of_our_own),
		TEST(test_a_response_that_nobody_waits_for),
		TEST(test_no_buffer_for_a_transaction),
		TEST(test_a_call_outlives_its_script),
		TEST(test_what_a_transaction_may_know_is_never_refused),
		TEST(test_no_room_to_wait_for_a_name),
		TEST(test_what_waits_leaves_large_places),
		TEST(test_calls_over_several_slow_lcores),
		TEST(test_a_transaction_does_not_hop),
		TEST(test_long_lists_of_contacts_are_rated),
	};
	int failed;

	if (rig_eal("test_state", 512) != 0)
		return 1;
	rig = rig_create_with(&(struct rig_config){
		.script = script, .list = list, .workers = 1, .queues = 1, .slow = 1});
	if (rig == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rig_destroy(rig);
	return failed;
}
