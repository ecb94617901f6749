/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The caller on a clock and a network of the test's own: what is lost, comes twice or out of order
 * is known, and has to be what the result says, to the last message.
 */
#include "fake.h"

#define OPTIONS \
	"message options {\n" \
	"OPTIONS sip:{domain} SIP/2.0\n" \
	"Via: SIP/2.0/UDP {local_ip}:{local_port};branch={branch}\n" \
	"Max-Forwards: 70\n" \
	"From: <sip:{user}@{domain}>;tag={tag}\n" \
	"To: <sip:{domain}>\n" \
	"Call-ID: {call_id}\n" \
	"CSeq: {cseq} OPTIONS\n" \
	"Content-Length: 0\n" \
	"}\n"
#define DIALOG(method, name) \
	"message " name " {\n" method " {contact} SIP/2.0\n" \
	"Via: SIP/2.0/UDP {local_ip}:{local_port};branch={branch}\n" \
	"{routes}\n" \
	"From: <sip:{user}@{domain}>;tag={tag}\n" \
	"To: <sip:{domain}>{to_tag}\n" \
	"Call-ID: {call_id}\n" \
	"CSeq: {cseq} " method "\n" \
	"Content-Length: 0\n" \
	"}\n"
#define CALL(expect, steps) \
	DIALOG("INVITE", "invite") \
	DIALOG("ACK", "ack") \
	DIALOG("BYE", "bye") \
	DIALOG("CANCEL", "cancel") \
	"call call { send invite; expect 180-183 optional; expect " expect "; " steps "}\n"
#define WHOLE_CALL CALL("200", "send ack; wait 5ms; send bye; expect 200; ")

static struct gen_result r;

static struct reflector_config uas(void)
{
	struct reflector_config c = {.status = 200, .ringing = 1, .port_first = 5060};

	assert_int_equal(net_addr_parse(STR("192.0.2.2"), &c.local), 0);
	return c;
}

static void run(struct gen *g, double rate, uint64_t attempts)
{
	const struct gen_trial t = {.rate = rate, .attempts = attempts};

	assert_int_equal(gen_trial(g, &t, &r), 0);
	assert_int_equal(r.attempts, r.ok + r.failed);
	assert_int_equal(r.slots, r.attempts + r.skipped);
}

/* ---- nothing goes wrong ---- */

static void a_clean_run(void **state)
{
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, WHOLE_CALL, &config);

	run(g, 1000, 2000);
	assert_int_equal(r.ok, 2000);
	assert_true(gen_result_good(&r));
	assert_int_equal(r.sent, 6000);
	assert_int_equal(r.sent_by[SIP_METHOD_INVITE], 2000);
	assert_int_equal(r.sent_by[SIP_METHOD_ACK], 2000);
	assert_int_equal(r.sent_by[SIP_METHOD_BYE], 2000);
	assert_int_equal(r.received, 6000);
	assert_int_equal(r.received_by[180], 2000);
	assert_int_equal(r.received_by[200], 4000);
	assert_int_equal(r.expected, 4000);
	assert_int_equal(r.first.count, 4000);
	assert_int_equal(r.final.count, 4000);
	/* The wire's time, exactly: the clock stands still while messages are handled. */
	assert_int_equal(r.first.min, FAKE_WIRE_NS);
	assert_int_equal(r.first.max, FAKE_WIRE_NS);
	/* 2000 at 1000 a second: the window ends where the next slot would have been. */
	assert_int_equal(r.sending_ns, 2000000000);
	assert_int_equal(f->reflected.acks, 2000);
	assert_int_equal(f->reflected.malformed, 0);
	/* Of 5 ms, and a little of the wheel's. */
	assert_in_range(r.calls_most, 5, 7);
	/* A second trial on the same generator begins anew: what is left of the first is nobody's.
	 */
	fake_deliver(f, "SIP/2.0 200 OK\r\n\r\n", 18, 100000, 0);
	run(g, 1000, 10);
	assert_int_equal(r.ok, 10);
	assert_int_equal(r.received, 30);
	assert_true(gen_result_good(&r));
	gen_close(g);
}

/* ---- lost, twice, out of order ---- */

struct model {
	uint64_t random;
	uint64_t lost_requests, lost_acks, lost_answers, extra, first_behind;
	uint64_t most; /* number of the latest request that was answered, + 1 */
	bool seen[65536];
};

static struct fate lossy_request(struct fake *f, const struct packet *p)
{
	struct model *m = f->arg;
	bool lost = gen_random(&m->random) % 10 == 0;

	m->lost_requests += lost;
	m->lost_acks += lost && memcmp(p->text, "ACK ", 4) == 0;
	return (struct fate){.lost = lost};
}

static struct fate lossy_answer(struct fake *f, const struct packet *p)
{
	struct model *m = f->arg;
	struct fate fate = {
		.lost = gen_random(&m->random) % 10 == 0,
		.copies = 1 + (gen_random(&m->random) % 10 == 0) * (1 + gen_random(&m->random) % 3),
		.delay_ns = gen_random(&m->random) % 20000000,
	};

	m->lost_answers += fate.lost;
	if (!fate.lost)
		m->extra += fate.copies - 1;
	return fate;
}

static void count_order(struct fake *f, const struct pending *p)
{
	struct model *m = f->arg;
	uint64_t seq = fake_seq(p->text, p->len);

	assert_true(seq < 65536);
	if (m->seen[seq])
		return;
	m->seen[seq] = true;
	if (seq < m->most)
		m->first_behind++;
	else
		m->most = seq + 1;
}

static void every_loss_is_counted(void **state)
{
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct model *m = calloc(1, sizeof(*m));
	struct gen *g;

	config.no_retransmit = true;
	f->on_request = lossy_request;
	f->on_answer = lossy_answer;
	f->on_delivery = count_order;
	f->arg = m;
	g = fake_gen(f, OPTIONS "call c { send options; expect 200 within 1s; }", &config);
	run(g, 2000, 3000);
	assert_true(m->lost_requests > 100 && m->lost_answers > 100 && m->extra > 100 &&
		    m->first_behind > 100);
	assert_int_equal(r.lost, m->lost_requests + m->lost_answers);
	assert_int_equal(r.failed, r.lost);
	assert_int_equal(r.failed_by[GEN_FAIL_TIMEOUT], r.lost);
	assert_int_equal(r.ok, 3000 - r.lost);
	assert_int_equal(r.duplicates, m->extra);
	assert_int_equal(r.reordered, m->first_behind);
	assert_int_equal(r.retransmissions, 0);
	assert_int_equal(r.sent, 3000);
	assert_int_equal(r.received, f->delivered);
	assert_int_equal(r.first.count, r.ok);
	assert_int_equal(r.late + r.stale + r.foreign + r.malformed + r.unasked, 0);
	assert_false(gen_result_good(&r));
	assert_false(r.generator_limit);
	gen_close(g);
	free(m);
}

/* With retransmission (RFC 3261 17), what is lost comes in the end. */
static void retransmission_repairs(void **state)
{
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct model *m = calloc(1, sizeof(*m));
	struct gen *g;

	f->on_request = lossy_request;
	f->arg = m;
	g = fake_gen(f, WHOLE_CALL, &config);
	run(g, 500, 1000);
	assert_int_equal(r.ok, 1000);
	assert_int_equal(r.lost, 0);
	/* Each request that was lost is sent once more; an ACK is only if its 200 comes again. */
	assert_true(m->lost_acks > 50);
	assert_int_equal(r.retransmissions, m->lost_requests - m->lost_acks);
	assert_int_equal(r.sent, 3000 + r.retransmissions);
	assert_int_equal(f->reflected.acks, 1000 - m->lost_acks);
	assert_int_equal(f->reflected.requests, r.sent - m->lost_requests);
	assert_int_equal(r.duplicates, 0);
	gen_close(g);
	free(m);
}

/* ---- timers ---- */

static struct fate all_lost(struct fake *f, const struct packet *p)
{
	return (struct fate){.lost = true};
}

static void check_times(const struct fake *f, const double *seconds, unsigned n)
{
	assert_int_equal(f->requests, n);
	for (unsigned i = 0; i < n; i++) {
		double at = (double)(f->sent_at[i] - f->sent_at[0]) / 1e9;

		/* Never early; later by the wheel's tick at each step. */
		if (at < seconds[i] || at > seconds[i] + 0.0002 * (i + 1))
			fail_msg("transmission %u at %.6f s, not %.6f", i, at, seconds[i]);
	}
}

static void an_invite_is_sent_seven_times(void **state)
{
	static const double at[] = {0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5};
	struct fake *f = fake_create(NULL);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, WHOLE_CALL, &config);

	f->on_request = all_lost;
	run(g, 1, 1);
	check_times(f, at, 7);
	assert_int_equal(r.failed_by[GEN_FAIL_TIMEOUT], 1);
	assert_int_equal(r.lost, 1);
	assert_int_equal(r.retransmissions, 6);
	assert_in_range(r.duration_ns, 32000000000, 32100000000);
	gen_close(g);
}

static void another_request_eleven_times(void **state)
{
	static const double at[] = {0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5};
	struct fake *f = fake_create(NULL);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, OPTIONS "call c { send options; expect 200; }", &config);

	f->on_request = all_lost;
	run(g, 1, 1);
	check_times(f, at, 11);
	assert_int_equal(r.lost, 1);
	gen_close(g);
}

static struct fate only_provisional(struct fake *f, const struct packet *p)
{
	return (struct fate){.lost = memcmp(p->text, "SIP/2.0 1", 9) != 0, .delay_ns = 1000};
}

static void an_invite_that_rings_is_not_sent_again(void **state)
{
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, WHOLE_CALL, &config);

	f->on_answer = only_provisional;
	run(g, 1, 1);
	assert_int_equal(r.sent_by[SIP_METHOD_INVITE], 1);
	/* It is cancelled then, and nobody hears that. */
	assert_int_equal(r.sent_by[SIP_METHOD_CANCEL], 11);
	assert_int_equal(f->requests, 12);
	assert_int_equal(r.uncleared, 1);
	assert_int_equal(r.failed_by[GEN_FAIL_TIMEOUT], 1);
	assert_int_equal(r.lost, 0); /* there was an answer, if not the one that was needed */
	gen_close(g);
}

/* ---- answers that come when they should not ---- */

static struct fate slow(struct fake *f, const struct packet *p)
{
	return (struct fate){.delay_ns = 300 * CLOCK_NS_PER_MS};
}

static void an_answer_after_its_time_is_late(void **state)
{
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct gen *g =
		fake_gen(f, OPTIONS "call c { send options; expect 200 within 100ms; }", &config);

	f->on_answer = slow;
	config.no_retransmit = true;
	run(g, 10, 30);
	assert_int_equal(r.lost, 30);
	assert_int_equal(r.failed_by[GEN_FAIL_TIMEOUT], 30);
	/* All but those of the last 300 ms, for which nobody waits. */
	assert_in_range(r.late, 26, 29);
	assert_int_equal(r.late, r.received);
	assert_int_equal(r.duplicates, 0);
	gen_close(g);
}

static struct fate final_first(struct fake *f, const struct packet *p)
{
	bool provisional = memcmp(p->text, "SIP/2.0 1", 9) == 0;

	return (struct fate){.delay_ns = provisional ? 2000000 : 1000000};
}

static void a_ringing_behind_its_answer_is_reordered(void **state)
{
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, WHOLE_CALL, &config);

	f->on_answer = final_first;
	run(g, 100, 50);
	assert_int_equal(r.ok, 50);
	assert_int_equal(r.reordered, 50);
	assert_int_equal(r.duplicates, 0);
	gen_close(g);
}

/* A UAS whose ACK was lost sends its 200 again, and gets the ACK again (RFC 3261 13.2.2.4). */
static struct fate answers_twice(struct fake *f, const struct packet *p)
{
	bool invite = memmem(p->text, p->len, "1 INVITE", 8) != NULL &&
		      memcmp(p->text, "SIP/2.0 2", 9) == 0;

	return (struct fate){.delay_ns = 1000, .copies = invite ? 2 : 1};
}

static void a_second_200_gets_a_second_ack(void **state)
{
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, WHOLE_CALL, &config);

	f->on_answer = answers_twice;
	run(g, 100, 50);
	assert_int_equal(r.ok, 50);
	assert_int_equal(r.duplicates, 50);
	assert_int_equal(f->reflected.acks, 100);
	assert_int_equal(r.retransmissions, 50);
	gen_close(g);
}

static void a_failure_is_counted_and_acknowledged(void **state)
{
	struct reflector_config c = uas();
	struct gen_config config = fake_config();
	struct fake *f;
	struct gen *g;

	c.status = 486;
	f = fake_create(&c);
	g = fake_gen(f, WHOLE_CALL, &config);
	run(g, 100, 40);
	assert_int_equal(r.failed, 40);
	assert_int_equal(r.failed_by[GEN_FAIL_STATUS], 40);
	assert_int_equal(r.failed_status[486], 40);
	assert_int_equal(r.sent_by[SIP_METHOD_ACK], 40);
	assert_int_equal(f->reflected.acks, 40);
	assert_int_equal(r.lost, 0);
	gen_close(g);
}

static void check_ack(struct fake *f, const struct packet *p, struct sip_msg *msg)
{
	static char invite_branch[BRANCH_LEN];
	const struct sip_via *via = sip_msg_via(msg, p->text, 0);

	assert_non_null(via);
	if (msg->method == SIP_METHOD_INVITE) {
		memcpy(invite_branch, p->text + via->branch.off, BRANCH_LEN);
		return;
	}
	assert_int_equal(msg->method, SIP_METHOD_ACK);
	/* RFC 3261 17.1.1.3: the INVITE's branch, and the response's To. */
	assert_memory_equal(invite_branch, p->text + via->branch.off, BRANCH_LEN);
	assert_true(sip_present(sip_msg_to(msg, p->text)->tag));
	assert_int_equal(msg->cseq_number, 1);
}

static struct fate look_at_ack(struct fake *f, const struct packet *p)
{
	struct sip_msg msg;

	assert_int_equal(sip_msg_index(&msg, p->text, p->len), SIP_OK);
	assert_true(sip_msg_cseq(&msg, p->text));
	check_ack(f, p, &msg);
	return (struct fate){0};
}

static void the_ack_of_a_failure_is_its_invites(void **state)
{
	struct reflector_config c = uas();
	struct gen_config config = fake_config();
	struct fake *f;
	struct gen *g;

	c.status = 503;
	f = fake_create(&c);
	f->on_request = look_at_ack;
	g = fake_gen(f, CALL("503", ""), &config);
	run(g, 100, 3);
	assert_int_equal(r.ok, 3);
	assert_int_equal(f->requests, 6);
	gen_close(g);
}

static void a_cancelled_call(void **state)
{
	struct reflector_config c = uas();
	struct gen_config config = fake_config();
	struct fake *f;
	struct gen *g;

	c.status = 180;
	f = fake_create(&c);
	g = fake_gen(f,
		DIALOG("INVITE", "invite")
			DIALOG("CANCEL", "cancel") "call c { send invite; expect 180; send cancel; "
						   "expect 487 within 2s; }",
		&config);
	run(g, 100, 40);
	assert_int_equal(r.ok, 40);
	assert_true(gen_result_good(&r));
	assert_int_equal(r.received_by[180], 40);
	assert_int_equal(r.received_by[200], 40);
	assert_int_equal(r.received_by[487], 40);
	assert_int_equal(f->reflected.acks, 40);
	gen_close(g);
}

static void strangers_are_told_apart(void **state)
{
	static const char other[] =
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n\r\n";
	static const char request[] =
		"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\n"
		"From: <sip:b>;tag=1\r\nTo: <sip:a>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, OPTIONS "call c { send options; expect 200; }", &config);

	/* During the run: what is there before it is thrown away. */
	fake_deliver(f, other, sizeof(other) - 1, 30000000, 0);
	fake_deliver(f, request, sizeof(request) - 1, 30000000, 0);
	fake_deliver(f, "\0\0", 2, 30000000, 0);
	run(g, 100, 5);
	assert_int_equal(r.ok, 5);
	assert_int_equal(r.foreign, 1);
	assert_int_equal(r.received_requests, 1);
	assert_int_equal(r.malformed, 1);
	assert_int_equal(r.received, 8);
	gen_close(g);
}

static void nothing_is_expected(void **state)
{
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, OPTIONS "call c { send options; }", &config);

	run(g, 100, 20);
	assert_int_equal(r.ok, 20);
	assert_int_equal(r.unasked, 20);
	assert_int_equal(r.expected + r.duplicates + r.lost, 0);
	assert_true(gen_result_good(&r));
	gen_close(g);
}

/* ---- the generator's own limits ---- */

static void a_full_table_is_said(void **state)
{
	struct fake *f = fake_create(NULL);
	struct gen_config config = fake_config();
	struct gen *g;

	config.calls = 10;
	g = fake_gen(f, OPTIONS "call c { send options; expect 200 within 10s; }", &config);
	run(g, 1000, 100);
	assert_int_equal(r.failed_by[GEN_FAIL_FULL], 90);
	assert_int_equal(r.failed_by[GEN_FAIL_TIMEOUT], 10);
	assert_int_equal(r.calls_most, 10);
	assert_true(r.generator_limit);
	gen_close(g);
}

static void late_slots_are_missed(void **state)
{
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, OPTIONS "call c { send options; expect 200; }", &config);
	struct gen_trial t = {.rate = 1000, .seconds = 0.5};

	/* A device that takes 2 ms a message carries 500 a second. */
	f->send_costs_ns = 2000000;
	assert_int_equal(gen_trial(g, &t, &r), 0);
	assert_int_equal(r.slots, 500);
	assert_int_equal(r.slots, r.attempts + r.skipped);
	assert_in_range(r.attempts, 245, 290);
	/* All but those of the first passes, until the backlog is longer than 1 ms. */
	assert_in_range(r.missed, 480, 498);
	assert_true(r.lateness.max > 200000000);
	assert_true(r.generator_limit);
	gen_close(g);
}

static void what_the_device_refuses_is_counted(void **state)
{
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct gen *g =
		fake_gen(f, OPTIONS "call c { send options; expect 200 within 1s; }", &config);
	const struct gen_trial t = {.attempts = 20};

	/* As fast as it goes: bursts. */
	config.no_retransmit = true;
	f->refuse_after = 15;
	assert_int_equal(gen_trial(g, &t, &r), 0);
	assert_true(r.tx_refused > 0);
	assert_true(r.generator_limit);
	gen_close(g);
}

/* ---- steps ---- */

static void rounds(void **state)
{
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f,
		OPTIONS "call c { repeat 200 { send options; expect 200; wait 1ms to 2ms; } repeat "
			"0 { send options; } }",
		&config);

	run(g, 10, 5);
	assert_int_equal(r.ok, 5);
	assert_int_equal(r.sent, 1000);
	assert_int_equal(r.received_by[200], 1000);
	assert_true(gen_result_good(&r));
	assert_in_range(r.duration_ns, 600000000, 1200000000);
	gen_close(g);
}

static void a_mix_has_its_shares(void **state)
{
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f,
		OPTIONS DIALOG("MESSAGE", "text") "call a { send options; expect 200; } call b { "
						  "send text; expect 200; } mix { a 3; b 1; }",
		&config);

	run(g, 10000, 4000);
	assert_int_equal(r.ok, 4000);
	assert_int_equal(r.sent_by[SIP_METHOD_OPTIONS] + r.sent_by[SIP_METHOD_MESSAGE], 4000);
	assert_in_range(r.sent_by[SIP_METHOD_OPTIONS], 2850, 3150);
	gen_close(g);
}

static void optional_answers_need_not_come(void **state)
{
	struct fake *f = fake_create(NULL);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(
		f, OPTIONS "call c { send options; expect 200 optional within 50ms; }", &config);

	run(g, 100, 10);
	assert_int_equal(r.ok, 10);
	gen_close(g);
}

static int stop_soon(void *arg, const struct gen_progress *p)
{
	unsigned *n = arg;

	return ++*n == 3;
}

static void a_run_can_be_ended(void **state)
{
	struct reflector_config c = uas();
	struct fake *f = fake_create(&c);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, OPTIONS "call c { send options; expect 200; }", &config);
	unsigned calls = 0;
	const struct gen_trial t = {
		.rate = 100, .seconds = 3600, .progress = stop_soon, .arg = &calls};

	assert_int_equal(gen_trial(g, &t, &r), -EINTR);
	assert_true(r.interrupted);
	assert_int_equal(r.attempts, r.ok);
	assert_in_range(r.attempts, 55, 65);
	gen_close(g);
}

/* ---- schedule ---- */

static void gaps(void **state)
{
	struct schedule s;
	double sum = 0, squares = 0, last = 0;
	enum { N = 100000 };

	schedule_begin(&s, 3, false, 1);
	assert_true(s.at == 0);
	for (unsigned i = 0; i < 3000000; i++)
		schedule_next(&s);
	assert_true(s.at > 999999999999999. && s.at < 1000000000000001.);
	schedule_begin(&s, 1000, true, 7);
	for (unsigned i = 0; i < N; i++) {
		double gap = s.at - last;

		assert_true(gap >= 0);
		sum += gap;
		squares += gap * gap;
		last = s.at;
		schedule_next(&s);
	}
	/* Mean 1 ms; an exponential distribution's variance is its mean's square. */
	assert_true(sum / N > 990000 && sum / N < 1010000);
	assert_true(squares / N > 1.94e12 && squares / N < 2.06e12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clean_run),
		cmocka_unit_test(every_loss_is_counted),
		cmocka_unit_test(retransmission_repairs),
		cmocka_unit_test(an_invite_is_sent_seven_times),
		cmocka_unit_test(another_request_eleven_times),
		cmocka_unit_test(an_invite_that_rings_is_not_sent_again),
		cmocka_unit_test(an_answer_after_its_time_is_late),
		cmocka_unit_test(a_ringing_behind_its_answer_is_reordered),
		cmocka_unit_test(a_second_200_gets_a_second_ack),
		cmocka_unit_test(a_failure_is_counted_and_acknowledged),
		cmocka_unit_test(the_ack_of_a_failure_is_its_invites),
		cmocka_unit_test(a_cancelled_call),
		cmocka_unit_test(strangers_are_told_apart),
		cmocka_unit_test(nothing_is_expected),
		cmocka_unit_test(a_full_table_is_said),
		cmocka_unit_test(late_slots_are_missed),
		cmocka_unit_test(what_the_device_refuses_is_counted),
		cmocka_unit_test(rounds),
		cmocka_unit_test(a_mix_has_its_shares),
		cmocka_unit_test(optional_answers_need_not_come),
		cmocka_unit_test(a_run_can_be_ended),
		cmocka_unit_test(gaps),
	};

	return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
