/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers, slow lcores, registrar and transactions together: what crosses and what does not, what
 * comes back, and the equation after each. tests/mutation expects one of this folder's programs to
 * fail when an increment is missing.
 *
 * The clock is the test's: it stands, so that nothing is sent again between two steps however long
 * the machine takes for them, and goes on where a test waits for a timer.
 */
#include "common.h"

#include "base/clock.h"

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
	"		$du = \"sip:\" + $rU + \".test:5060\";\n"
	"		if (!t_relay()) sl_reply_error();\n"
	"		exit;\n"
	"	}\n"
	"	if ($rU == \"alone\") { t_newtran(); t_reply(\"404\", \"Nobody\"); exit; }\n"
	"	if (!lookup(\"location\")) { sl_send_reply(\"404\", \"Not Found\"); exit; }\n"
	"	if (is_method(\"MESSAGE\")) { forward(); exit; }\n"
	"	record_route();\n"
	"	t_on_reply(\"seen\");\n"
	"	if (is_present_hf(\"X-Late\")) t_on_failure(\"late\");\n"
	"	t_relay();\n"
	"}\n"
	/* No constant, which would be asked for when the script is loaded. */
	"failure_route[late] {\n"
	"	$du = \"sip:late\" + $rU + \".example:5060\";\n"
	"	if (!t_relay()) t_reply(\"480\", \"Late\");\n"
	"}\n"
	"onreply_route[seen] { append_hf(\"X-Seen: yes\\r\\n\"); }\n";

static char text[4096];

/* ---- helpers ---- */

/* Takes the place of lib/base's clock. */
static uint64_t now = 1000 * CLOCK_NS_PER_S;

uint64_t clock_now_ns(void)
{
	return now;
}

static void pass_a_millisecond(void)
{
	now += CLOCK_NS_PER_MS;
}

/* So many frames ended in exactly this counter, and nowhere else; so many messages crossed. */
static void assert_ended(unsigned id, uint64_t frames, uint64_t crossed)
{
	assert_ends(id, frames);
	assert_crossed(crossed);
	assert_all_ended();
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

/* User u<n> at the core's phone. */
static void register_user(unsigned n, unsigned cseq)
{
	char lines[128];

	snprintf(lines, sizeof(lines), "Contact: <sip:u%u@10.20.0.11:5060>\r\nExpires: 600\r\n", n);
	send_to(0, request_of("REGISTER", "sip:10.10.0.1", n, cseq, "reg", "", lines));
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
	assert_ended(COUNTER_ANSWERED, 1, 1);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
	assert_true(holds(got, "<sip:u1@10.20.0.11:5060>;expires="));
	begin(state);
	send_to(0, request_of("MESSAGE", "sip:u1@10.10.0.1", 1, 2, "msg", "", ""));
	assert_ended(COUNTER_FORWARDED, 1, 0);
	took(1, "MESSAGE sip:u1@10.20.0.11:5060 ", got, sizeof(got));
	begin(state);
	send_to(0, request_of("MESSAGE", "sip:nobody@10.10.0.1", 1, 3, "msg3", "", ""));
	assert_ended(COUNTER_ANSWERED, 1, 0);
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
	send_to(0, invite(call));
	assert_ended(COUNTER_FORWARDED, 1, 1);
	assert_int_equal(delta(COUNTER_OWN_MESSAGES), 1);
	took(0, "SIP/2.0 100 ", got, sizeof(got));
	took(1, "INVITE sip:u", at_phone, size);
}

/* The lines that take a request along the Record-Routes of a response that the caller got, the
 * nearest one first. */
static void route_lines(const char *got, char *lines, size_t size)
{
	const char *first = strstr(got, "Record-Route: "), *second;

	assert_non_null(first);
	second = strstr(first + 1, "Record-Route: ");
	if (second == NULL)
		snprintf(
			lines, size, "Route: %.*s\r\n", (int)strcspn(first + 14, "\r"), first + 14);
	else
		snprintf(lines, size, "Route: %.*s,%.*s\r\n", (int)strcspn(second + 14, "\r"),
			second + 14, (int)strcspn(first + 14, "\r"), first + 14);
}

static void test_a_call_is_set_up_and_ended(void **state)
{
	char at_phone[4096], got[4096], lines[512];

	begin_call(2, at_phone, sizeof(at_phone));
	begin(state);
	send_to(1, answer(at_phone, "180 Ringing"));
	assert_ended(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 180 ", got, sizeof(got));
	assert_true(holds(got, "X-Seen: yes\r\n"));
	begin(state);
	send_to(1, answer(at_phone, "200 OK"));
	assert_ended(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
	route_lines(got, lines, sizeof(lines));
	begin(state);
	send_to(0, request_of("ACK", "sip:u2@10.20.0.11:5060", 2, 1, "ack", ";tag=phone", lines));
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_FORWARDED), 1);
	assert_all_ended();
	took(1, "ACK sip:u2@10.20.0.11:5060 ", got, sizeof(got));
	begin(state);
	send_to(0, request_of("BYE", "sip:u2@10.20.0.11:5060", 2, 2, "bye", ";tag=phone", lines));
	assert_ended(COUNTER_FORWARDED, 1, 1);
	took(1, "BYE sip:u2@10.20.0.11:5060 ", at_phone, sizeof(at_phone));
	begin(state);
	send_to(1, answer(at_phone, "200 OK"));
	assert_ended(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
}

static void test_a_retransmission_and_the_ack_of_a_failure_are_absorbed(void **state)
{
	char at_phone[4096], got[4096];

	begin_call(3, at_phone, sizeof(at_phone));
	begin(state);
	send_to(0, invite(3));
	rig_settle(rig);
	/* The last provisional response is sent again. */
	assert_int_equal(delta(COUNTER_SLOW_CROSSED), 1);
	assert_int_equal(delta(COUNTER_FORWARDED), 0);
	assert_int_equal(delta(COUNTER_ANSWERED) + delta(COUNTER_ABSORBED), 1);
	assert_all_ended();
	took(0, "SIP/2.0 100 ", got, sizeof(got));

	begin(state);
	send_to(1, answer(at_phone, "486 Busy Here"));
	assert_ended(COUNTER_FORWARDED, 1, 1);
	assert_int_equal(delta(COUNTER_OWN_MESSAGES), 1);
	took(0, "SIP/2.0 486 ", got, sizeof(got));
	took(1, "ACK sip:u3@10.20.0.11:5060 ", got, sizeof(got));

	begin(state);
	send_to(0, request_of("ACK", "sip:u3@10.10.0.1", 3, 1, "inv", ";tag=phone", ""));
	assert_ended(COUNTER_ABSORBED, 1, 1);

	/* The phone has not heard our ACK: another one, and nothing to the caller. */
	begin(state);
	send_to(1, answer(at_phone, "486 Busy Here"));
	assert_ended(COUNTER_ABSORBED, 1, 1);
	took(1, "ACK sip:u3@10.20.0.11:5060 ", got, sizeof(got));
}

/* A block of a transaction waits for a name as a message does, and goes on where it stood. */
static void test_a_failure_route_waits_for_a_name(void **state)
{
	enum { CALL = 82 };
	char at_phone[4096], got[4096];
	struct str out;

	register_user(CALL, 1);
	rig_settle(rig);
	begin(state);
	send_to(0, request_of("INVITE", "sip:u82@10.10.0.1", CALL, 1, "inv", "",
			   "Contact: <sip:bob@10.10.0.2:5080>\r\nX-Late: yes\r\n"));
	assert_ended(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 100 ", got, sizeof(got));
	took(1, "INVITE sip:u", at_phone, sizeof(at_phone));
	begin(state);
	send_to(1, answer(at_phone, "486 Busy Here"));
	pipeline_worker_poll(rig->pipeline, 0);
	pipeline_slow_poll(rig->pipeline, 0);
	pipeline_worker_poll(rig->pipeline, 0); /* the control thread is asleep */
	took(1, "ACK ", got, sizeof(got));
	assert_int_equal(pipeline_held(rig->pipeline), 1);
	assert_null(rig_sent(rig, 0, &out));
	await_held();
	took(0, "SIP/2.0 480 Late", got, sizeof(got));
	assert_all_ended();
	send_to(0, request_of("ACK", "sip:u82@10.10.0.1", CALL, 1, "inv", ";tag=phone", ""));
	rig_settle(rig);
	assert_all_ended();
}

/* Its branch takes it to the slow lcore, which runs the script: it is somebody else's. */
static void test_a_branch_is_used_twice(void **state)
{
	enum { CALL = 80 };
	char at_phone[4096], got[4096];
	struct str again;

	begin_call(CALL, at_phone, sizeof(at_phone));
	begin(state);
	again = request_of("MESSAGE", "sip:u80@10.10.0.1", CALL, 9, "inv", "", "");
	memcpy(strstr(text, "Call-ID: state-"), "Call-ID: other-", 15);
	send_to(0, again);
	assert_ended(COUNTER_FORWARDED, 1, 1);
	took(1, "MESSAGE sip:u80@10.20.0.11:5060 ", got, sizeof(got));
	send_to(1, answer(at_phone, "486 Busy Here"));
	rig_settle(rig);
	took(1, "ACK ", got, sizeof(got));
	took(0, "SIP/2.0 486 ", got, sizeof(got));
	send_to(0, request_of("ACK", "sip:u80@10.10.0.1", CALL, 1, "inv", ";tag=phone", ""));
	rig_settle(rig);
	assert_all_ended();
}

static void test_a_cancel_crosses_to_its_invite(void **state)
{
	char at_phone[4096], cancel[4096], got[4096];

	begin_call(4, at_phone, sizeof(at_phone));
	send_to(1, answer(at_phone, "180 Ringing"));
	begin(state);
	send_to(0, request_of("CANCEL", "sip:u4@10.10.0.1", 4, 1, "inv", "", ""));
	assert_ended(COUNTER_ANSWERED, 1, 1);
	assert_int_equal(delta(COUNTER_OWN_MESSAGES), 1);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
	took(1, "CANCEL sip:u4@10.20.0.11:5060 ", cancel, sizeof(cancel));
	begin(state);
	send_to(1, answer(cancel, "200 OK"));
	assert_ended(COUNTER_ABSORBED, 1, 1);
	begin(state);
	send_to(1, answer(at_phone, "487 Request Terminated"));
	assert_ended(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 487 ", got, sizeof(got));
	took(1, "ACK ", got, sizeof(got));
}

/* t_reply(): the ACK has our To tag and is the transaction's all the same. */
static void test_a_reply_of_a_transaction_of_our_own(void **state)
{
	char got[4096], tag[128];
	const char *at;

	send_to(0, request_of("INVITE", "sip:alone@10.10.0.1", 5, 1, "inv", "", ""));
	assert_ended(COUNTER_ANSWERED, 1, 1);
	took(0, "SIP/2.0 404 Nobody", got, sizeof(got));
	at = strstr(strstr(got, "\r\nTo: "), ";tag=");
	snprintf(tag, sizeof(tag), "%.*s", (int)strcspn(at, "\r"), at);
	begin(state);
	send_to(0, request_of("ACK", "sip:alone@10.10.0.1", 5, 1, "inv", tag, ""));
	assert_ended(COUNTER_ABSORBED, 1, 1);
}

static void test_a_response_that_nobody_waits_for(void **state)
{
	char at_phone[4096], *branch;

	begin_call(6, at_phone, sizeof(at_phone));
	branch = strstr(at_phone, "z9hG4bK");
	branch[9] = branch[9] == 'a' ? 'b' : 'a';
	begin(state);
	send_to(1, answer(at_phone, "200 OK"));
	assert_ended(COUNTER_PROXY + PROXY_REASON_VIA_MAC, 1, 0);
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
	send_to(0, invite(7));
	pipeline_worker_poll(rig->pipeline, 0);
	while ((all[n] = rte_pktmbuf_alloc(rig->pool)) != NULL)
		n++;
	rig_settle(rig);
	ended = delta(COUNTER_DROP_NO_BUFFER) + delta(COUNTER_ANSWERED) + delta(COUNTER_ABSORBED);
	assert_int_equal(ended, 1);
	assert_int_equal(delta(COUNTER_FORWARDED), 0);
	assert_all_ended();
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
	send_to(0, invite(50));
	assert_ended(COUNTER_ABSORBED, 1, 1);
	took(0, "SIP/2.0 100 ", got, sizeof(got));
	begin(state);
	send_to(1, answer(at_phone, "180 Ringing"));
	assert_ended(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 180 ", got, sizeof(got));
	assert_true(holds(got, "X-Seen: yes\r\n"));
	begin(state);
	send_to(0, invite(51));
	assert_ended(COUNTER_ANSWERED, 1, 0);
	took(0, "SIP/2.0 404 Plain", got, sizeof(got));
	next = rig_script(rig, script, list, report);
	assert_non_null(next);
	pipeline_publish(rig->pipeline, next);
	begin(state);
	send_to(0, request_of("CANCEL", "sip:u50@10.10.0.1", 50, 1, "inv", "", ""));
	assert_ended(COUNTER_ANSWERED, 1, 1);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
	took(1, "CANCEL sip:u50@10.20.0.11:5060 ", got, sizeof(got));
	begin(state);
	send_to(1, answer(at_phone, "487 Request Terminated"));
	assert_ended(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 487 ", got, sizeof(got));
	begin(state);
	send_to(0, request_of("ACK", "sip:u50@10.10.0.1", 50, 1, "inv", ";tag=phone", ""));
	assert_ended(COUNTER_ABSORBED, 1, 1);
	route_report_destroy(report);
}

/* ---- no room ---- */

/* A call that is answered; `lines` for what follows in its dialog. */
static void answered_call(unsigned call, char *lines, size_t size)
{
	char at_phone[4096], got[4096];

	begin_call(call, at_phone, sizeof(at_phone));
	send_to(1, answer(at_phone, "200 OK"));
	rig_settle(rig);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
	route_lines(got, lines, size);
}

static void bye(unsigned call, unsigned n, const char *lines)
{
	char uri[64], branch[16];

	snprintf(uri, sizeof(uri), "sip:u%u@10.20.0.11:5060", call);
	snprintf(branch, sizeof(branch), "bye%u", n);
	send_to(0, request_of("BYE", uri, call, 2 + n, branch, ";tag=phone", lines));
}

/* The slow lcore is asleep. */
static void only_worker(void)
{
	pipeline_worker_poll(rig->pipeline, 0);
}

/* So many calls fill the last places, each with its share of them. */
#define FILLERS 4

static void begin_fillers(unsigned call, char at_phone[FILLERS][4096])
{
	for (unsigned i = 0; i < FILLERS; i++)
		begin_call(call + i, at_phone[i], sizeof(at_phone[i]));
}

/* The phone refuses, and nothing of the call is sent again. */
static void refuse_call(unsigned call, const char *at_phone)
{
	char uri[64];

	snprintf(uri, sizeof(uri), "sip:u%u@10.10.0.1", call);
	send_to(1, answer(at_phone, "486 Busy Here"));
	rig_settle(rig);
	send_to(0, request_of("ACK", uri, call, 1, "inv", ";tag=phone", ""));
	rig_settle(rig);
}

static void end_fillers(unsigned call, char at_phone[FILLERS][4096])
{
	for (unsigned i = 0; i < FILLERS; i++)
		refuse_call(call + i, at_phone[i]);
	clear_sent();
}

/* Calls that end as soon as they have crossed, and that nobody knows of. */
static void try_calls(unsigned call, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		send_to(0, request_of("INVITE", "sip:alone@10.10.0.1", call + i, 1, "inv", "",
				   "Contact: <sip:bob@10.10.0.2:5080>\r\n"));
		only_worker();
	}
}

static void end_tried(unsigned call, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		send_to(0,
			request_of("ACK", "sip:alone@10.10.0.1", call + i, 1, "inv", ";tag=x", ""));
		rig_poll(rig);
	}
	rig_settle(rig);
	clear_sent();
}

/* CANCELs of nothing that is here, as many as the way takes. */
static void fill_with_claims(void)
{
	for (unsigned i = 0; delta(COUNTER_SLOW_REFUSED_CLAIMED) == 0; i++) {
		send_to(0, request_of("CANCEL", "sip:u8@10.10.0.1", 80000 + i, 1, "inv", "", ""));
		only_worker();
	}
}

/* CANCELs of calls that are here, as many as the way takes. */
static void fill_way(unsigned call)
{
	char uri[64];

	fill_with_claims();
	for (unsigned i = 0; delta(COUNTER_SLOW_REFUSED_LAST) == 0; i = (i + 1) % FILLERS) {
		snprintf(uri, sizeof(uri), "sip:u%u@10.10.0.1", call + i);
		send_to(0, request_of("CANCEL", uri, call + i, 1, "inv", "", ""));
		only_worker();
	}
	assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER), PIPELINE_SLOW_LAST);
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_REPEATED), 0);
}

/*
 * Anybody can send CANCELs. What has a transaction here, our token, or both, finds its way beside
 * them. And a final response of ours would end at its caller the call that goes on here: what a
 * transaction may know is lost as if on the wire, and comes again.
 */
static void test_forged_requests_leave_the_way_to_known_ones(void **state)
{
	enum { FORGED = PIPELINE_SLOW_LAST + 100 };
	static char filler[FILLERS][4096];
	char at_phone[4096], lines[512], got[4096];

	answered_call(60, lines, sizeof(lines));
	begin_fillers(65, filler);
	begin_call(8, at_phone, sizeof(at_phone));
	begin(state);
	for (unsigned i = 0; i < FORGED; i++) {
		send_to(0, request_of("CANCEL", "sip:u8@10.10.0.1", 20000 + i, 1, "inv", "", ""));
		only_worker();
	}
	assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER), PIPELINE_SLOW_CLAIMED);
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_CLAIMED), FORGED - PIPELINE_SLOW_CLAIMED);
	assert_int_equal(delta(COUNTER_DROP_SLOW_FULL), FORGED - PIPELINE_SLOW_CLAIMED);
	assert_int_equal(delta(COUNTER_ANSWERED), 0);

	send_to(1, answer(at_phone, "180 Ringing"));
	only_worker();
	send_to(0, invite(8));
	only_worker();
	send_to(0, request_of("CANCEL", "sip:u8@10.10.0.1", 8, 1, "inv", "", ""));
	only_worker();
	for (unsigned i = 3; i < PIPELINE_SLOW_KNOWN - PIPELINE_SLOW_CLAIMED; i++) {
		bye(60, i, lines);
		only_worker();
	}
	assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER), PIPELINE_SLOW_KNOWN);
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_KNOWN), 0);

	/* The last places are for what ends calls. */
	bye(60, 1000, lines);
	only_worker();
	took(0, "SIP/2.0 503 ", got, sizeof(got));
	send_to(0, invite(8));
	only_worker();
	send_to(1, answer(at_phone, "180 Ringing"));
	only_worker();
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_KNOWN), 3);
	assert_int_equal(delta(COUNTER_DROP_SLOW_FULL), FORGED - PIPELINE_SLOW_CLAIMED + 2);
	fill_way(65);
	assert_int_equal(delta(COUNTER_DROP_SLOW_FULL), FORGED - PIPELINE_SLOW_CLAIMED + 3);
	assert_int_equal(delta(COUNTER_ANSWERED), 1);
	rig_settle(rig);
	assert_all_ended();
	end_fillers(65, filler);
}

/* The next message by a port that begins with `start`, past what is sent again of other calls. */
static void await(unsigned port, const char *start, char *into, size_t size)
{
	uint64_t end_at = clock_now_ns() + 5 * CLOCK_NS_PER_S;

	while (clock_now_ns() < end_at) {
		struct str out;
		struct rte_mbuf *m = rig_sent(rig, port, &out);
		bool found = m != NULL && str_istarts(out, str_c(start));

		if (found)
			snprintf(into, size, "%.*s", STR_FMT(out));
		rte_pktmbuf_free(m);
		if (found)
			return;
		rig_poll(rig);
		rest();
	}
	fail_msg("nothing left by port %u that begins with %s", port, start);
}

/* What a call sends again and again. */
enum repeated { REPEATED_200, REPEATED_ACK, REPEATED_CANCEL, REPEATED_BYE, REPEATED_KINDS };

/* Two calls: one that is answered, and one that rings. */
struct two_calls {
	unsigned answered, ringing;
	char lines[512];     /* what follows in the first one's dialog */
	char at_phone[4096]; /* its INVITE, */
	char invited[4096];  /* and the second one's */
};

/* Beside what others send again. */
static void begin_one(unsigned call, char *at_phone, size_t size)
{
	char start[32];

	register_user(call, 1);
	rig_settle(rig);
	clear_sent();
	send_to(0, invite(call));
	snprintf(start, sizeof(start), "INVITE sip:u%u@", call);
	await(1, start, at_phone, size);
}

static void begin_two(struct two_calls *c, unsigned call)
{
	char got[4096];

	c->answered = call;
	c->ringing = call + 1;
	begin_one(call, c->at_phone, sizeof(c->at_phone));
	send_to(1, answer(c->at_phone, "200 OK"));
	await(0, "SIP/2.0 200 ", got, sizeof(got));
	route_lines(got, c->lines, sizeof(c->lines));
	begin_one(call + 1, c->invited, sizeof(c->invited));
}

/* One of them comes to the worker. */
static void repeat(const struct two_calls *c, enum repeated kind, unsigned n)
{
	char uri[64];

	snprintf(uri, sizeof(uri), "sip:u%u@10.10.0.1", c->ringing);
	switch (kind) {
	case REPEATED_BYE:
		bye(c->answered, n, c->lines);
		break;
	case REPEATED_200:
		send_to(1, answer(c->at_phone, "200 OK"));
		break;
	case REPEATED_ACK:
		send_to(0, request_of("ACK", uri, c->ringing, 1, "inv", ";tag=phone", ""));
		break;
	default:
		send_to(0, request_of("CANCEL", uri, c->ringing, 1, "inv", "", ""));
		break;
	}
	only_worker();
}

/* Until nothing is on its way, whatever leaves meanwhile. */
static void empty_way(void)
{
	while (pipeline_held(rig->pipeline) > 0) {
		rig_poll(rig);
		clear_sent();
	}
	rig_settle(rig);
	clear_sent();
	assert_all_ended();
}

/*
 * Who has a call here can send what belongs to it at any rate. It loses its precedence alone: new
 * calls cross, and so does what an ordinary call sends and sends again.
 */
static void test_one_call_keeps_nobody_from_crossing(void **state)
{
	enum { FLOOD = 3 * PIPELINE_SLOW_LAST, AGAIN = 11 };
	static struct two_calls of_flood, ordinary;
	uint64_t entered;

	for (enum repeated kind = 0; kind < REPEATED_KINDS; kind++) {
		begin_two(&of_flood, 200 + 10 * kind);
		begin_two(&ordinary, 202 + 10 * kind);
		rig_settle(rig);
		clear_sent();
		begin(state);
		for (unsigned i = 0; i < FLOOD; i++)
			repeat(&of_flood, kind, i);
		entered = delta(COUNTER_HELD_SLOW_ENTER);
		assert_true(entered >= PIPELINE_SLOW_REPEATED + PIPELINE_SHARE);
		/* One more share a window. */
		assert_true(entered <= PIPELINE_SLOW_REPEATED + 3 * PIPELINE_SHARE);
		assert_int_equal(delta(COUNTER_SLOW_REFUSED_REPEATED), FLOOD - entered);

		for (unsigned i = 0; i < AGAIN; i++) {
			try_calls(70000 + AGAIN * kind + i, 1);
			for (enum repeated k = 0; k < REPEATED_KINDS; k++)
				repeat(&ordinary, k, i);
			send_to(0, invite(ordinary.ringing));
			only_worker();
		}
		assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER), entered + 6 * AGAIN);
		assert_int_equal(delta(COUNTER_SLOW_REFUSED_NEW), 0);
		assert_int_equal(delta(COUNTER_SLOW_REFUSED_REPEATED), FLOOD - entered);

		/* Where strangers have filled their part, the ordinary one still has its own. */
		fill_with_claims();
		for (unsigned i = 0; i < AGAIN; i++)
			for (enum repeated k = 0; k < REPEATED_KINDS; k++)
				repeat(&ordinary, k, AGAIN + i);
		assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER),
			PIPELINE_SLOW_CLAIMED + REPEATED_KINDS * AGAIN);
		assert_int_equal(delta(COUNTER_SLOW_REFUSED_KNOWN), 0);
		assert_int_equal(delta(COUNTER_SLOW_REFUSED_LAST), 0);
		empty_way();
	}
}

/* A replayer that writes another Call-ID into what has a transaction's branch is the same one. */
static void test_a_share_is_the_transactions_whatever_the_call_id(void **state)
{
	enum { FLOOD = 3 * PIPELINE_SLOW_LAST };
	const char *uri = "sip:u190@10.10.0.1";
	char at_phone[4096];
	uint64_t entered;

	begin_call(190, at_phone, sizeof(at_phone));
	begin(state);
	for (unsigned i = 0; i < FLOOD; i++) {
		struct str m;
		char *id;

		m = request_of("CANCEL", uri, 190, 1, "inv", "", "");
		id = strstr(text, "Call-ID: ") + 9;
		snprintf(id, 6, "%05u", i % 100000);
		id[5] = '-';
		send_to(0, m);
		only_worker();
	}
	entered = delta(COUNTER_HELD_SLOW_ENTER);
	assert_true(entered >= PIPELINE_SLOW_REPEATED + PIPELINE_SHARE);
	assert_true(entered <= PIPELINE_SLOW_REPEATED + 3 * PIPELINE_SHARE);
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_REPEATED), FLOOD - entered);
	assert_int_equal(delta(COUNTER_DROP_SLOW_FULL), FLOOD - entered);
	/* It has another one in the next window. */
	now += PIPELINE_SHARE_NS;
	send_to(0, request_of("CANCEL", uri, 190, 1, "inv", "", ""));
	only_worker();
	assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER), entered + 1);
	empty_way();
	refuse_call(190, at_phone);
	clear_sent();
}

/* RFC 3261 17.1.2.2, 17.2.1: a final response that finds no room comes again, to a BYE because the
 * BYE is sent again, to an INVITE because its server sends it until the ACK. */
static void test_responses_that_find_no_room_come_again(void **state)
{
	static char filler[FILLERS][4096];
	char at_phone[4096], bye_at_phone[4096], lines[512], got[4096];

	answered_call(61, lines, sizeof(lines));
	begin_fillers(180, filler);
	begin_call(62, at_phone, sizeof(at_phone));
	begin(state);
	bye(61, 0, lines);
	rig_settle(rig);
	took(1, "BYE sip:u61@", bye_at_phone, sizeof(bye_at_phone));

	begin(state);
	fill_way(180);
	send_to(1, answer(bye_at_phone, "200 OK"));
	only_worker();
	send_to(1, answer(at_phone, "486 Busy Here"));
	only_worker();
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_KNOWN), 2);
	assert_int_equal(delta(COUNTER_FORWARDED), 0);
	rig_settle(rig);
	assert_all_ended();
	clear_sent();

	await(1, "BYE sip:u61@", got, sizeof(got));
	assert_string_equal(got, bye_at_phone);
	send_to(1, answer(got, "200 OK"));
	await(0, "SIP/2.0 200 ", got, sizeof(got));
	assert_true(holds(got, "BYE\r\n"));

	send_to(1, answer(at_phone, "486 Busy Here"));
	await(0, "SIP/2.0 486 ", got, sizeof(got));
	await(1, "ACK sip:u62@", got, sizeof(got));
	rig_settle(rig);
	assert_all_ended();
	end_fillers(180, filler);
}

/* What a transaction sends and no frame carried is counted, too, where it is lost. */
static void test_what_a_transaction_sends_and_loses(void **state)
{
	char at_phone[4096], got[4096];

	/* No way to the phone. */
	begin_call(70, at_phone, sizeof(at_phone));
	send_to(1, answer(at_phone, "180 Ringing"));
	begin(state);
	rig->backend_hop = KERNEL_HOP_NO_ROUTE;
	send_to(0, request_of("CANCEL", "sip:u70@10.10.0.1", 70, 1, "inv", "", ""));
	assert_ended(COUNTER_ANSWERED, 1, 1);
	assert_int_equal(delta(COUNTER_OWN_LOST), 1);
	assert_int_equal(delta(COUNTER_OWN_MESSAGES), 0);

	/* Its neighbour does not answer. */
	rig->backend_hop = KERNEL_HOP_READY;
	begin_call(71, at_phone, sizeof(at_phone));
	send_to(1, answer(at_phone, "180 Ringing"));
	begin(state);
	rig->backend_hop = KERNEL_HOP_UNRESOLVED;
	send_to(0, request_of("CANCEL", "sip:u71@10.10.0.1", 71, 1, "inv", "", ""));
	for (unsigned i = 0; i < 4; i++)
		rig_poll(rig);
	assert_int_equal(delta(COUNTER_OWN_LOST), 0);
	pipeline_control_poll(rig->pipeline, clock_now_ns() + PIPELINE_NEIGHBOUR_WAIT_NS);
	assert_ended(COUNTER_ANSWERED, 1, 1);
	assert_int_equal(delta(COUNTER_OWN_LOST), 1);

	/* There is no place to wait for it. */
	rig->backend_hop = KERNEL_HOP_READY;
	begin_call(72, at_phone, sizeof(at_phone));
	send_to(1, answer(at_phone, "180 Ringing"));
	rig_settle(rig);
	register_user(73, 1);
	begin(state);
	rig->backend_hop = KERNEL_HOP_UNRESOLVED;
	for (unsigned i = 0; i < 64; i++) {
		char branch[16];

		snprintf(branch, sizeof(branch), "msg%u", i);
		send_to(0, request_of("MESSAGE", "sip:u73@10.10.0.1", 73, 10 + i, branch, "", ""));
		rig_poll(rig);
	}
	assert_int_equal(delta(COUNTER_HELD_NEIGHBOUR_ENTER), 64);
	send_to(0, request_of("CANCEL", "sip:u72@10.10.0.1", 72, 1, "inv", "", ""));
	for (unsigned i = 0; i < 4; i++)
		rig_poll(rig);
	assert_int_equal(delta(COUNTER_ANSWERED), 1);
	assert_int_equal(delta(COUNTER_OWN_LOST), 1);
	pipeline_control_poll(rig->pipeline, clock_now_ns() + PIPELINE_NEIGHBOUR_WAIT_NS);
	rig_settle(rig);
	assert_all_ended();
	rig->backend_hop = KERNEL_HOP_READY;
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
		send_to(0, request_of("INVITE", "sip:named@10.10.0.1", 30000 + i, 1, "inv", "",
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
	await_held();
	assert_int_equal(delta(COUNTER_ANSWERED), CALLS);
	assert_all_ended();
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
	assert_ended(COUNTER_ANSWERED, 2 * CALLS, 2 * CALLS);
	while ((m = rig_sent(rig, 0, &out)) != NULL) {
		assert_true(str_istarts(out, STR("SIP/2.0 200 ")));
		rte_pktmbuf_free(m);
	}
	location_stats(rig->location, &stats);
	assert_int_equal(stats.aors, CALLS);
	begin(state);
	for (unsigned i = 0; i < CALLS; i++)
		send_to(0, invite(1000 + i));
	assert_ended(COUNTER_FORWARDED, CALLS, CALLS);
	for (unsigned i = 0; i < CALLS; i++) {
		took(1, "INVITE sip:u1", at_phone, sizeof(at_phone));
		send_to(1, answer(at_phone, "486 Busy Here"));
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
		send_to(0, request_of("ACK", uri, 1000 + i, 1, "inv", ";tag=phone", ""));
	}
	assert_ended(COUNTER_ABSORBED, CALLS, CALLS);
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

/* What has ended keeps nobody out, however many that have not stand before it. */
static void test_ended_contacts_make_room_at_once(void **state)
{
	enum { ROOM = 1024, LIVE = 512, USERS = 400 };
	struct rig_config config = {.script = script,
		.list = list,
		.workers = 1,
		.queues = 1,
		.slow = 1,
		.contacts = ROOM};
	struct rig *plain = rig;

	rig = rig_create_with(&config);
	assert_non_null(rig);
	begin(state);
	for (unsigned i = 0; i < ROOM; i++) {
		struct location_contact c = {.uri = STR("sip:gone@10.20.0.11"),
			.call_id = STR("gone"),
			.q = LOCATION_Q_NONE,
			.listener = -1,
			.expires = i < LIVE ? UINT32_MAX : 1};
		char name[16];
		struct str aor = str_of(name, (size_t)snprintf(name, sizeof(name), "gone%u", i));

		assert_int_equal(location_replace(rig->location, 0,
					 location_digest(rig->location, 0, aor), 0, aor, 0, &c, 1),
			0);
	}
	for (unsigned i = 0; i < ROOM / 64; i++)
		rig_poll(rig);
	for (unsigned i = 0; i < USERS; i++)
		register_user(1000 + i, 1);
	assert_ended(COUNTER_ANSWERED, USERS, USERS);
	for (unsigned i = 0; i < USERS; i++) {
		char got[4096];

		took(0, "SIP/2.0 200 ", got, sizeof(got));
	}
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
		send_to(0, request_of("INVITE", "sip:named-large@10.10.0.1", 40000 + i, 1, "inv",
				   "", lines));
		pipeline_worker_poll(rig->pipeline, 0);
		pipeline_slow_poll(rig->pipeline, 0);
		pipeline_worker_poll(rig->pipeline, 0); /* the control thread is asleep */
	}
	assert_in_range(delta(COUNTER_HELD_NAME_ENTER), 1, 7);
	assert_int_equal(delta(COUNTER_ANSWERED), 8 - delta(COUNTER_HELD_NAME_ENTER));
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_NEW), 0);
	clear_sent();
	snprintf(lines, sizeof(lines), "Contact: <sip:u9@10.20.0.11>\r\nX-Large: %02500d\r\n", 0);
	send_to(0, request_of("REGISTER", "sip:10.10.0.1", 9, 1, "reg", "", lines));
	pipeline_worker_poll(rig->pipeline, 0);
	pipeline_slow_poll(rig->pipeline, 0);
	pipeline_worker_poll(rig->pipeline, 0);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
	await_held();
	assert_all_ended();
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
	assert_all_ended();
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
	send_to(0, request_of("REGISTER", "sip:10.10.0.1", 1, 1, "reg", "", lines));
	assert_ended(COUNTER_ANSWERED, 1, 1);
	begin(state);
	for (unsigned i = 0; i < FETCHES; i++) {
		snprintf(branch, sizeof(branch), "get%u", i);
		send_to(0, request_of("REGISTER", "sip:10.10.0.1", 1, 2 + i, branch, "", ""));
		rig_settle(rig);
	}
	refused = delta(COUNTER_PROXY + PROXY_REASON_REPLY_RATE);
	/* Twice the rate at once, and none while the clock stands. */
	assert_int_equal(delta(COUNTER_ANSWERED), 2 * RATE);
	assert_int_equal(refused + delta(COUNTER_ANSWERED), FETCHES);
	assert_all_ended();
	/* Nor has it more of them by transactions, or by what these have kept. */
	begin(state);
	for (unsigned i = 0; i < 2 * FETCHES; i++) {
		snprintf(branch, sizeof(branch), "tran%u", i % FETCHES);
		send_to(0, request_of("REGISTER", "sip:10.10.0.1", 1, 100 + i % FETCHES, branch, "",
				   "X-Tran: yes\r\n"));
		rig_settle(rig);
	}
	assert_in_range(delta(COUNTER_ANSWERED) + delta(COUNTER_OWN_MESSAGES), 0, FETCHES / 2);
	assert_in_range(
		delta(COUNTER_PROXY + PROXY_REASON_REPLY_RATE), 3 * FETCHES / 2, 2 * FETCHES);
	assert_all_ended();
	/* A short list is nobody's weapon. */
	begin(state);
	for (unsigned i = 0; i < FETCHES; i++)
		register_user(2, 1 + i);
	assert_ended(COUNTER_ANSWERED, FETCHES, FETCHES);
	assert_int_equal(end(state), 0);
	rig_destroy(rig);
	rig = plain;
}

/* A timer's message finds no buffer: nobody but this counter tells. */
static void test_no_buffer_for_what_a_timer_sends(void **state)
{
	static struct rte_mbuf *all[20000];
	uint64_t end_at;
	char at_phone[4096];
	unsigned n = 0;

	begin_call(64, at_phone, sizeof(at_phone));
	begin(state);
	while ((all[n] = rte_pktmbuf_alloc(rig->pool)) != NULL)
		n++;
	end_at = clock_now_ns() + 5 * CLOCK_NS_PER_S;
	while (delta(COUNTER_OWN_LOST) == 0 && clock_now_ns() < end_at) {
		rig_poll(rig);
		rest();
	}
	assert_true(delta(COUNTER_OWN_LOST) > 0);
	rte_pktmbuf_free_bulk(all, n);
}

/* ---- what does not arrive ---- */

#define ICMP_AT (14 + 20)
#define QUOTE_AT (ICMP_AT + 8)
#define PAYLOAD_AT (14 + 20 + 8) /* of a datagram */

/* "Port unreachable" about a frame that left by port 1, of which `quoted` bytes from its IP header
 * on are quoted: it comes. */
static void icmp_comes(const char *sent, uint32_t quoted)
{
	uint8_t frame[QUOTE_AT + 600] = {0}, *ip = frame + 14, *icmp = frame + ICMP_AT;
	uint32_t len = QUOTE_AT + quoted;
	uint16_t sum;

	assert_true(len <= sizeof(frame));
	memcpy(frame, rig->port[1].mac, 6);
	memcpy(frame + 6, "\x02\x00\x00\x00\x00\x98\x08\x00", 8);
	ip[0] = 0x45;
	ip[2] = (uint8_t)((len - 14) >> 8);
	ip[3] = (uint8_t)(len - 14);
	ip[8] = 64;
	ip[9] = 1;
	memcpy(ip + 12, sent + 14 + 16, 4); /* from where it went, to where it came from */
	memcpy(ip + 16, sent + 14 + 12, 4);
	sum = net_checksum_fold(net_checksum_add(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
	icmp[0] = icmp[1] = 3;
	memcpy(frame + QUOTE_AT, sent + 14, quoted);
	sum = net_checksum_fold(net_checksum_add(0, icmp, len - ICMP_AT));
	memcpy(icmp + 2, &sum, 2);
	rig_receive_bytes(rig, 1, frame, len);
}

/* It has come, alone. */
static void icmp_about(const char *sent, uint32_t quoted)
{
	icmp_comes(sent, quoted);
	/* There is no kernel here to give a copy to. */
	assert_ends(COUNTER_DROP_KERNEL_FULL, 1);
}

/* The frame of the INVITE that the phone of this call gets. */
static void invite_frame(unsigned call, char *sent, size_t size)
{
	char got[4096];
	struct rte_mbuf *m;
	struct str out;

	register_user(call, 1);
	rig_settle(rig);
	begin(NULL);
	send_to(0, invite(call));
	assert_ended(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 100 ", got, sizeof(got));
	m = rig_sent(rig, 1, &out);
	assert_non_null(m);
	assert_true(rte_pktmbuf_data_len(m) < size);
	memcpy(sent, rte_pktmbuf_mtod(m, const char *), rte_pktmbuf_data_len(m));
	sent[rte_pktmbuf_data_len(m)] = '\0';
	rte_pktmbuf_free(m);
}

static void test_icmp_ends_a_branch(void **state)
{
	char sent[2048], got[4096];

	invite_frame(170, sent, sizeof(sent));
	/* The least that a router quotes: it could be anybody's. */
	begin(NULL);
	icmp_about(sent, 28);
	assert_int_equal(delta(COUNTER_OWN_MESSAGES), 0);
	assert_int_equal(txn_counter(rig->txn, TXN_COUNTER_UNREACHABLE), 0);
	/* What Linux quotes. */
	begin(NULL);
	icmp_about(sent, 540);
	assert_int_equal(txn_counter(rig->txn, TXN_COUNTER_UNREACHABLE), 1);
	assert_int_equal(delta(COUNTER_OWN_MESSAGES), 1);
	took(0, "SIP/2.0 500 ", got, sizeof(got));
	begin(NULL);
	icmp_about(sent, 540);
	assert_int_equal(delta(COUNTER_OWN_MESSAGES), 0);
	assert_int_equal(txn_counter(rig->txn, TXN_COUNTER_UNREACHABLE), 1);
	assert_all_ended();
}

/* Who has answered is there, though an ICMP error has come right behind that (for a copy of the
 * INVITE, at a phone that is gone by then). */
static void test_icmp_does_not_overtake_an_answer(void **state)
{
	uint64_t had = txn_counter(rig->txn, TXN_COUNTER_UNREACHABLE);
	char sent[2048], got[4096];

	invite_frame(173, sent, sizeof(sent));
	begin(NULL);
	send_to(1, answer(sent + PAYLOAD_AT, "180 Ringing"));
	icmp_comes(sent, 540);
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_ICMP_UNREACHABLE), 1);
	assert_int_equal(txn_counter(rig->txn, TXN_COUNTER_UNREACHABLE), had);
	took(0, "SIP/2.0 180 ", got, sizeof(got));
	begin(NULL);
	send_to(1, answer(sent + PAYLOAD_AT, "200 OK"));
	assert_ended(COUNTER_FORWARDED, 1, 1);
	took(0, "SIP/2.0 200 ", got, sizeof(got));
	assert_all_ended();
}

/* Anybody can write ICMP errors about a branch that he has seen: they wait for calls, and calls not
 * for them. */
static void test_icmp_errors_leave_the_way_to_calls(void **state)
{
	enum {
		FLOOD = 2 * PIPELINE_SLOW_LAST,
		CALLS = PIPELINE_SLOW_NEW - PIPELINE_SLOW_UNREACHABLE
	};
	uint64_t had = txn_counter(rig->txn, TXN_COUNTER_UNREACHABLE);
	char sent[2048], got[4096], *changed;

	invite_frame(174, sent, sizeof(sent));
	begin(state);
	changed = strstr(sent + PAYLOAD_AT, "Call-ID: ") + 9; /* not what was sent */
	(*changed)++;
	for (unsigned i = 0; i < FLOOD; i++) {
		icmp_comes(sent, 540);
		only_worker();
	}
	assert_int_equal(delta(COUNTER_ICMP_UNREACHABLE), FLOOD);
	assert_int_equal(pipeline_held(rig->pipeline), PIPELINE_SLOW_UNREACHABLE);
	assert_int_equal(
		delta(COUNTER_SLOW_REFUSED_UNREACHABLE), FLOOD - PIPELINE_SLOW_UNREACHABLE);
	/* A phone that registers is new, too. */
	try_calls(60000, 1);
	for (unsigned i = 1; i < CALLS; i++) {
		register_user(175, i);
		only_worker();
	}
	assert_int_equal(delta(COUNTER_HELD_SLOW_ENTER), CALLS);
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_NEW), 0);
	empty_way();
	end_tried(60000, 1);
	assert_int_equal(txn_counter(rig->txn, TXN_COUNTER_UNREACHABLE), had);
	/* The true one is heard. */
	begin(state);
	(*changed)--;
	icmp_about(sent, 540);
	assert_int_equal(delta(COUNTER_SLOW_REFUSED_UNREACHABLE), 0);
	assert_int_equal(txn_counter(rig->txn, TXN_COUNTER_UNREACHABLE), had + 1);
	await(0, "SIP/2.0 500 ", got, sizeof(got));
	send_to(0, request_of("ACK", "sip:u174@10.10.0.1", 174, 1, "inv", ";tag=x", ""));
	rig_settle(rig);
}

static void test_a_neighbour_that_is_not_there_ends_a_branch(void **state)
{
	uint64_t had = txn_counter(rig->txn, TXN_COUNTER_UNREACHABLE);
	char got[4096];

	register_user(171, 1);
	rig_settle(rig);
	begin(NULL);
	rig->backend_hop = KERNEL_HOP_UNRESOLVED;
	send_to(0, invite(171));
	for (unsigned i = 0; i < 4; i++)
		rig_poll(rig);
	assert_int_equal(delta(COUNTER_HELD_NEIGHBOUR_ENTER), 1);
	took(0, "SIP/2.0 100 ", got, sizeof(got));
	pipeline_control_poll(rig->pipeline, clock_now_ns() + PIPELINE_NEIGHBOUR_WAIT_NS);
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_DROP_NEIGHBOUR_TIMEOUT), 1);
	assert_int_equal(txn_counter(rig->txn, TXN_COUNTER_UNREACHABLE), had + 1);
	took(0, "SIP/2.0 500 ", got, sizeof(got));
	assert_balanced();
}

static void test_no_route_ends_a_branch(void **state)
{
	uint64_t had = txn_counter(rig->txn, TXN_COUNTER_UNREACHABLE);
	char got[4096];

	register_user(172, 1);
	rig_settle(rig);
	begin(NULL);
	rig->backend_hop = KERNEL_HOP_NO_ROUTE;
	send_to(0, invite(172));
	rig_settle(rig);
	assert_int_equal(delta(COUNTER_DROP_NO_ROUTE), 1);
	assert_int_equal(txn_counter(rig->txn, TXN_COUNTER_UNREACHABLE), had + 1);
	took(0, "SIP/2.0 100 ", got, sizeof(got));
	took(0, "SIP/2.0 500 ", got, sizeof(got));
	assert_all_ended();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_register_crosses_and_lookup_does_not),
		TEST(test_a_call_is_set_up_and_ended),
		TEST(test_a_retransmission_and_the_ack_of_a_failure_are_absorbed),
		TEST(test_a_failure_route_waits_for_a_name),
		TEST(test_a_branch_is_used_twice),
		TEST(test_a_cancel_crosses_to_its_invite),
		TEST(test_a_reply_of_a_transaction_of_our_own),
		TEST(test_a_response_that_nobody_waits_for),
		TEST(test_no_buffer_for_a_transaction),
		TEST(test_a_call_outlives_its_script),
		TEST(test_icmp_ends_a_branch),
		TEST(test_icmp_does_not_overtake_an_answer),
		TEST(test_icmp_errors_leave_the_way_to_calls),
		TEST(test_a_neighbour_that_is_not_there_ends_a_branch),
		TEST(test_no_route_ends_a_branch),
		TEST(test_forged_requests_leave_the_way_to_known_ones),
		TEST(test_a_share_is_the_transactions_whatever_the_call_id),
		TEST(test_what_a_transaction_sends_and_loses),
		TEST(test_no_room_to_wait_for_a_name),
		TEST(test_what_waits_leaves_large_places),
		TEST(test_calls_over_several_slow_lcores),
		TEST(test_ended_contacts_make_room_at_once),
		TEST(test_a_transaction_does_not_hop),
		TEST(test_long_lists_of_contacts_are_rated),
		/* Waits for a timer, beside which those of calls before it run. */
		TEST(test_responses_that_find_no_room_come_again),
		TEST(test_no_buffer_for_what_a_timer_sends),
		TEST(test_one_call_keeps_nobody_from_crossing),
	};
	int failed;

	rest = pass_a_millisecond;
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
