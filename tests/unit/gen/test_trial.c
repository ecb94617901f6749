/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a trial measures and what it blames: moments from which latency counts, the window of its
 * rates, messages that no step waits for, and losses that are the generator's own.
 */
#include "fake.h"

#define HEAD(method, name, uri) \
	"message " name " {\n" method " " uri " SIP/2.0\n" \
	"Via: SIP/2.0/UDP {local_ip}:{local_port};branch={branch}\n" \
	"From: <sip:{user}@{domain}>;tag={tag}\n" \
	"To: <sip:{domain}>{to_tag}\n" \
	"Call-ID: {call_id}\n" \
	"CSeq: {cseq} " method "\n" \
	"Content-Length: 0\n" \
	"}\n"
#define OPTIONS HEAD("OPTIONS", "options", "sip:{domain}") "call c { send options; expect 200; }"
#define CALL \
	HEAD("INVITE", "invite", "sip:{domain}") \
	HEAD("ACK", "ack", "{contact}") \
	HEAD("BYE", "bye", "{contact}") \
	"call c { send invite; expect 180 optional; expect 200; send ack; wait 5ms; send bye; " \
	"expect 200; }"

static struct gen_result r;

static struct fake *uas(unsigned ringing, uint16_t status)
{
	struct reflector_config c = {.status = status, .ringing = ringing, .port_first = 5060};

	assert_int_equal(net_addr_parse(STR("192.0.2.2"), &c.local), 0);
	return fake_create(&c);
}

static void run(struct gen *g, double rate, uint64_t attempts)
{
	const struct gen_trial t = {.rate = rate, .attempts = attempts};

	assert_int_equal(gen_trial(g, &t, &r), 0);
	assert_int_equal(r.attempts, r.ok + r.failed);
}

/* ---- from where latency counts ---- */

/* The process stands still for 900 us at every hundredth message: less than --late. */
static struct fate stalls(struct fake *f, const struct packet *p)
{
	if (f->requests % 100 == 0)
		f->clock += 900000;
	return (struct fate){0};
}

static void a_stall_is_in_the_percentiles(void **state)
{
	struct fake *f = uas(0, 200);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, OPTIONS, &config);

	f->on_request = stalls;
	run(g, 10000, 10000);
	assert_int_equal(r.missed, 0);
	assert_int_equal(r.ok, 10000);
	/* Nine of a hundred slots went by while nobody looked, 800 us to 0 late. */
	assert_in_range(histogram_percentile(&r.lateness, 99), 700000, 900000);
	assert_in_range(histogram_percentile(&r.final, 99), 700000, 1000000);
	assert_in_range(histogram_percentile(&r.message[0].latency, 95), 300000, 1000000);
	assert_int_equal(r.lateness.count, 10000);
	/* From its sending, only the one during whose sending it happened waited. */
	assert_in_range(histogram_percentile(&r.service, 98), FAKE_WIRE_NS, FAKE_WIRE_NS + 1000);
	assert_int_equal(r.service.count, r.final.count);
	gen_close(g);
}

/* What comes later in a call has no slot: a BYE is not charged with the hold time. */
static void later_requests_count_from_their_sending(void **state)
{
	struct fake *f = uas(1, 200);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, CALL, &config);

	run(g, 1000, 100);
	assert_int_equal(r.message[2].latency.count, 100);
	assert_true(r.message[2].latency.max < 1000000);
	gen_close(g);
}

/* Without a rate there is no slot. */
static void flat_out_counts_from_sending(void **state)
{
	struct fake *f = uas(0, 200);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, OPTIONS, &config);

	run(g, 0, 100);
	assert_int_equal(r.final.count, 100);
	assert_int_equal(r.final.max, r.service.max);
	assert_int_equal(r.lateness.count, 0);
	gen_close(g);
}

/* ---- the window of the rates ---- */

static void n_attempts_last_n_gaps(void **state)
{
	struct fake *f = uas(0, 200);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, OPTIONS, &config);
	const struct gen_trial t = {.rate = 4, .seconds = 2};

	run(g, 10, 5);
	assert_int_equal(r.sending_ns, 500000000);
	assert_int_equal(gen_trial(g, &t, &r), 0);
	assert_int_equal(r.attempts, 8);
	assert_int_equal(r.sending_ns, 2000000000);
	gen_close(g);
}

/* The wait for stragglers has messages and time of its own. */
static void the_drain_is_not_in_the_window(void **state)
{
	struct fake *f = uas(1, 200);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f,
		HEAD("INVITE", "invite", "sip:{domain}") HEAD("ACK", "ack", "{contact}")
			HEAD("BYE", "bye", "{contact}") "call c { send invite; expect 200; send "
							"ack; wait 5s; send bye; expect 200; }",
		&config);

	run(g, 100, 100);
	assert_int_equal(r.ok, 100);
	assert_int_equal(r.sending_ns, 1000000000);
	assert_int_equal(r.sent, 300);
	assert_int_equal(r.sending_sent, 200);
	assert_int_equal(r.received, 300);
	assert_int_equal(r.sending_received, 200);
	assert_true(r.duration_ns > 5000000000);
	gen_close(g);
}

static int end_now(void *arg, const struct gen_progress *p)
{
	return p->elapsed_ns > 900000000 ? *(const int *)arg : GEN_GO_ON;
}

/* A run that is stopped has the rate of the time that it had; one that is abandoned waits for
 * nobody. */
static void stopped_and_abandoned(void **state)
{
	struct fake *f = fake_create(NULL);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, OPTIONS, &config);
	int go = GEN_END;
	struct gen_trial t = {.rate = 100, .seconds = 60, .progress = end_now, .arg = &go};

	assert_int_equal(gen_trial(g, &t, &r), -EINTR);
	assert_true(r.interrupted);
	assert_in_range(r.sending_ns, 900000000, 1200000000);
	assert_in_range((uint64_t)((double)r.attempts * 1e9 / (double)r.sending_ns), 98, 102);
	assert_in_range(r.duration_ns, r.sending_ns + 450000000, r.sending_ns + 600000000);
	/* Whose time was not over is not lost. */
	assert_true(r.failed_by[GEN_FAIL_UNFINISHED] > 0);
	assert_int_equal(r.lost, r.failed_by[GEN_FAIL_TIMEOUT]);
	go = GEN_ABANDON;
	assert_int_equal(gen_trial(g, &t, &r), -EINTR);
	assert_in_range(r.duration_ns, r.sending_ns, r.sending_ns + 10000000);
	assert_int_equal(r.failed_by[GEN_FAIL_UNFINISHED], r.attempts);
	assert_int_equal(r.lost, 0);
	gen_close(g);
}

/* What an abandoned trial left on its way is not the next one's. */
static struct fate slowly(struct fake *f, const struct packet *p)
{
	return (struct fate){.delay_ns = 300 * CLOCK_NS_PER_MS};
}

static void answers_to_an_abandoned_trial_are_foreign(void **state)
{
	struct fake *f = uas(0, 200);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, OPTIONS, &config);
	int go = GEN_ABANDON;
	struct gen_trial t = {.rate = 100, .seconds = 60, .progress = end_now, .arg = &go};
	uint64_t open;

	f->on_answer = slowly;
	assert_int_equal(gen_trial(g, &t, &r), -EINTR);
	open = r.failed_by[GEN_FAIL_UNFINISHED];
	assert_in_range(open, 25, 35);
	run(g, 100, 50);
	assert_int_equal(r.ok, 50);
	/* Some came between the trials, and were thrown away. */
	assert_in_range(r.foreign, 15, open);
	assert_int_equal(r.received, 50 + r.foreign);
	assert_int_equal(r.duplicates + r.stale + r.late, 0);
	gen_close(g);
}

static void a_threshold_is_shorter_than_the_scenario_has_it(void **state)
{
	struct fake *f = fake_create(NULL);
	struct gen_config config = fake_config();
	struct gen *g;

	config.threshold_ns = 200 * CLOCK_NS_PER_MS;
	config.no_retransmit = true;
	g = fake_gen(f, OPTIONS, &config);
	run(g, 100, 10);
	assert_int_equal(r.failed_by[GEN_FAIL_TIMEOUT], 10);
	assert_in_range(r.duration_ns, 290000000, 350000000);
	gen_close(g);
}

/* ---- messages that no step misses ---- */

static struct fate loses_ringing(struct fake *f, const struct packet *p)
{
	bool ringing = memcmp(p->text, "SIP/2.0 180", 11) == 0;

	return (struct fate){
		.lost = ringing && fake_seq(p->text, p->len) % 10 == 3, .delay_ns = FAKE_WIRE_NS};
}

static void a_lost_180_is_missing(void **state)
{
	struct fake *f = uas(1, 200);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, CALL, &config);

	f->on_answer = loses_ringing;
	run(g, 1000, 1000);
	assert_int_equal(r.ok, 1000);
	assert_int_equal(r.lost, 0);
	assert_true(r.told);
	assert_int_equal(r.missing, 100);
	assert_int_equal(r.incomplete, 100);
	assert_false(gen_result_good(&r));
	gen_close(g);
}

/* Each of several 180s is counted. */
static struct fate loses_every_fourth(struct fake *f, const struct packet *p)
{
	return (struct fate){.lost = memcmp(p->text, "SIP/2.0 180", 11) == 0 && f->answers % 4 == 0,
		.delay_ns = FAKE_WIRE_NS};
}

static void each_of_several_180s_counts(void **state)
{
	struct fake *f = uas(3, 200); /* 3 and a 200, then the BYE's: five answers a call */
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, CALL, &config);
	uint64_t came;

	f->on_answer = loses_every_fourth;
	run(g, 100, 100);
	assert_int_equal(r.ok, 100);
	came = r.received_by[180];
	assert_in_range(came, 200, 290);
	assert_int_equal(r.missing, 300 - came);
	assert_in_range(r.incomplete, 1, r.missing);
	gen_close(g);
}

static struct fate ringing_behind(struct fake *f, const struct packet *p)
{
	bool ringing = memcmp(p->text, "SIP/2.0 180", 11) == 0;

	return (struct fate){.delay_ns = ringing ? 15 * CLOCK_NS_PER_MS : FAKE_WIRE_NS};
}

/* One that comes when its call has long ended has come. */
static void a_late_180_is_not_missing(void **state)
{
	struct fake *f = uas(1, 200);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, CALL, &config);

	f->on_answer = ringing_behind;
	run(g, 100, 100);
	assert_int_equal(r.ok, 100);
	assert_int_equal(r.reordered, 100);
	assert_int_equal(r.missing + r.incomplete, 0);
	gen_close(g);
}

/* Who says nothing is not missed. */
static struct fate another_uas(struct fake *f, const struct packet *p)
{
	char *told = memmem(p->text, p->len, REFLECTOR_ANSWERS, sizeof(REFLECTOR_ANSWERS) - 1);

	if (told != NULL)
		told[0] = 'Y';
	return (struct fate){
		.lost = memcmp(p->text, "SIP/2.0 180", 11) == 0, .delay_ns = FAKE_WIRE_NS};
}

static void nobody_says_how_many(void **state)
{
	struct fake *f = uas(1, 200);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, CALL, &config);

	f->on_answer = another_uas;
	run(g, 100, 20);
	assert_int_equal(r.ok, 20);
	assert_false(r.told);
	assert_int_equal(r.missing, 0);
	gen_close(g);
}

static void what_an_answer_tells(void **state)
{
	static const struct {
		const char *text;
		unsigned told;
		bool named;
	} cases[] = {
		{"SIP/2.0 200 OK\r\nX-Gen-Answers: 2\r\n\r\n", 2},
		{"SIP/2.0 200 OK\r\nX-Gen-Answers: 2", 2},
		{"SIP/2.0 200 OK\r\nX-Gen-Answers: 2 abcdefghijkl\r\n", 2, true},
		{"SIP/2.0 200 OK\r\nX-Gen-Answers: 2 abcdefghijk", 2},
		{"SIP/2.0 200 OK\r\nX-Gen-Answers: ", 0},
		{"SIP/2.0 200 OK\r\nX-Gen-Answers: x\r\n\r\n", 0},
		{"SIP/2.0 200 OK\r\nX-Gen-Answers: 99999999999999999999\r\n\r\n", 255},
		{"SIP/2.0 200 OK\r\nX-Gen-Answer", 0},
		{"", 0},
	};
	uint32_t behind = 0, stale = 12345;
	struct str by = STR_NONE;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t len = (uint32_t)strlen(cases[i].text);
		/* Of exactly that size: a read behind its end is one too many. */
		char *text = malloc(len != 0 ? len : 1);

		assert_non_null(text);
		memcpy(text, cases[i].text, len);
		assert_int_equal(answer_told(text, len, &behind, &by), cases[i].told);
		assert_int_equal(answer_told(text, len, &stale, &by), cases[i].told);
		assert_int_equal(by.len, cases[i].named ? REFLECTOR_NAME_LEN : 0);
		by = STR_NONE;
		free(text);
	}
}

/* ---- the generator's own losses ---- */

static void what_is_refused_was_not_sent(void **state)
{
	struct fake *f = uas(0, 200);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, OPTIONS, &config);

	f->refuse_after = 15;
	run(g, 0, 20);
	assert_int_equal(r.tx_refused, 5);
	assert_int_equal(r.sent, 15);
	assert_int_equal(r.sent, f->requests);
	assert_int_equal(r.sent_by[SIP_METHOD_OPTIONS], 15);
	assert_int_equal(r.message[0].sent, 15);
	assert_int_equal(r.expected, 15);
	assert_int_equal(r.lost, 0);
	assert_int_equal(r.failed_by[GEN_FAIL_SEND], 5);
	assert_int_equal(r.limits, 1U << GEN_LIMIT_SEND);
	/* Nobody waits for answers to what never went. */
	assert_true(r.duration_ns < CLOCK_NS_PER_S);
	gen_close(g);
}

/* A memif's other side has to empty the queue: what does not go in is sent, and lost by it. */
static void what_a_peers_queue_refuses_is_lost(void **state)
{
	struct fake *f = uas(0, 200);
	struct gen_config config = fake_config();
	struct gen *g;

	config.no_retransmit = true;
	config.threshold_ns = CLOCK_NS_PER_S;
	g = fake_gen(f, OPTIONS, &config);
	f->refuse_after = 15;
	f->io.peer_queue = true;
	run(g, 0, 20);
	assert_int_equal(r.tx_refused, 5);
	assert_int_equal(r.sent, 20);
	assert_int_equal(r.lost, 5);
	assert_false(r.generator_limit);
	gen_close(g);
}

static void starves(struct fake *f, const struct pending *p)
{
	f->starved = memcmp(p->text, "SIP/2.0 486", 11) == 0;
}

static void an_ack_without_a_buffer_is_counted(void **state)
{
	struct fake *f = uas(0, 486);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, CALL, &config);

	f->gives = 1;
	f->on_delivery = starves;
	run(g, 100, 1);
	assert_int_equal(r.failed_status[486], 1);
	assert_int_equal(r.sent_by[SIP_METHOD_ACK], 0);
	assert_int_equal(r.tx_refused, 1);
	assert_true(r.generator_limit);
	gen_close(g);
}

static struct fate device_loses(struct fake *f, const struct packet *p)
{
	f->lost += f->requests == 7;
	f->io.fragments += f->requests == 8;
	f->io.bad += f->requests == 9;
	f->io.others += f->requests == 10;
	return (struct fate){0};
}

static void losses_of_the_device(void **state)
{
	struct fake *f = uas(0, 200);
	struct gen_config config = fake_config();
	struct gen *g = fake_gen(f, OPTIONS, &config);

	f->lost = 100; /* of the time before */
	f->io.bad = 100;
	f->on_request = device_loses;
	run(g, 100, 20);
	assert_int_equal(r.rx_lost, 1);
	assert_int_equal(r.rx_fragments, 1);
	assert_int_equal(r.rx_bad, 1);
	assert_int_equal(r.rx_other, 1);
	assert_int_equal(r.limits, 1U << GEN_LIMIT_RECEIVE | 1U << GEN_LIMIT_FRAGMENTS);
	run(g, 100, 20);
	assert_int_equal(r.rx_lost + r.rx_fragments + r.rx_bad + r.rx_other, 0);
	assert_false(r.generator_limit);
	gen_close(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stall_is_in_the_percentiles),
		cmocka_unit_test(later_requests_count_from_their_sending),
		cmocka_unit_test(flat_out_counts_from_sending),
		cmocka_unit_test(n_attempts_last_n_gaps),
		cmocka_unit_test(the_drain_is_not_in_the_window),
		cmocka_unit_test(stopped_and_abandoned),
		cmocka_unit_test(answers_to_an_abandoned_trial_are_foreign),
		cmocka_unit_test(a_threshold_is_shorter_than_the_scenario_has_it),
		cmocka_unit_test(a_lost_180_is_missing),
		cmocka_unit_test(each_of_several_180s_counts),
		cmocka_unit_test(a_late_180_is_not_missing),
		cmocka_unit_test(nobody_says_how_many),
		cmocka_unit_test(what_an_answer_tells),
		cmocka_unit_test(what_is_refused_was_not_sent),
		cmocka_unit_test(what_a_peers_queue_refuses_is_lost),
		cmocka_unit_test(an_ack_without_a_buffer_is_counted),
		cmocka_unit_test(losses_of_the_device),
	};

	return cmocka_run_group_tests_name("trial", tests, NULL, NULL);
}
