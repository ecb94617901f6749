/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `siplane-gen search` from its command line to its report, on a generator of our own that stands
 * for a system with a known capacity: it fails what exceeds it, and says what a real run says.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "internal.h"
#include "search.h"

volatile sig_atomic_t gen_interrupted;

struct gen {
	bool baseline;
};

/* The system, the generator, and what was asked of them. */
static struct {
	double capacity;
	double testbed;      /* the same without the system */
	double generator;    /* it is late above that */
	double retransmits;  /* every attempt above that is answered after a retransmission */
	double acks_lost;    /* above that */
	double full;         /* its table of calls is full above that */
	double ringing_lost; /* an attempt that goes well lacks a 180 above that */
	double late_from;    /* 1 % of the slots are missed above that */
	bool tells;          /* the other side says how many answers it gave */
	unsigned interrupt_at;
	int fail_at, error;

	unsigned trials, opened, closed;
	struct gen_config config; /* of the last gen_open() */
	uint64_t first[SEARCH_TRIALS_MAX], slots[SEARCH_TRIALS_MAX];
	double sent[SEARCH_TRIALS_MAX];
	bool cut[SEARCH_TRIALS_MAX];
	int go[SEARCH_TRIALS_MAX]; /* what ended the trial */
} world;

struct gen *gen_open(const struct gen_config *config, char *error, size_t error_size)
{
	static struct gen gen;

	if (config->scenario == NULL || strcmp(config->scenario, "bad.gen") == 0) {
		snprintf(error, error_size, "bad.gen:1:1: error");
		return NULL;
	}
	world.opened++;
	world.config = *config;
	return &gen;
}

void gen_close(struct gen *g)
{
	world.closed++;
}

const char *gen_error(const struct gen *g)
{
	return "the socket is gone";
}

const char *gen_describe(const struct gen *g, bool reflector)
{
	return reflector ? NULL : "udp 192.0.2.1:5060";
}

int gen_reflect(struct gen *g, const struct gen_trial *trial, struct gen_result *out)
{
	return 0;
}

int gen_trial(struct gen *g, const struct gen_trial *trial, struct gen_result *out)
{
	double planned =
		trial->attempts != 0 ? (double)trial->attempts : trial->rate * trial->seconds;
	double capacity =
		world.config.target != NULL && strcmp(world.config.target, "192.0.2.9:5060") == 0
			? world.testbed
			: world.capacity;
	struct gen_progress progress = {.result = out};
	bool overload = trial->rate > capacity;

	memset(out, 0, sizeof(*out));
	world.first[world.trials] = trial->first;
	world.trials++;
	if (world.fail_at != 0 && world.trials == (unsigned)world.fail_at)
		return world.error;
	out->rate = trial->rate;
	/* Halfway, then the rest: what is over capacity fails. */
	for (int half = 1; half <= 2; half++) {
		out->attempts = out->slots = (uint64_t)fmax(1, planned * half / 2);
		out->failed = overload ? (uint64_t)fmax(1, (double)out->attempts *
								   (1 - capacity / trial->rate))
				       : 0;
		out->failed_by[GEN_FAIL_TIMEOUT] = out->failed;
		out->ok = out->attempts - out->failed;
		/* What the reflector saw is told at the end. */
		out->sent_by[SIP_METHOD_ACK] = out->sent_by[SIP_METHOD_BYE] = out->ok;
		out->missed = trial->rate > world.late_from ? out->slots / 100 + 2 : 0;
		if (trial->progress != NULL && (world.go[world.trials - 1] = trial->progress(
							trial->arg, &progress)) != GEN_GO_ON) {
			world.cut[world.trials - 1] = true;
			break;
		}
		if (world.interrupt_at == world.trials) {
			gen_interrupted = 1;
			return -EINTR;
		}
	}
	out->retransmissions = trial->rate > world.retransmits ? out->attempts : 0;
	out->sent_by[SIP_METHOD_ACK] = out->sent_by[SIP_METHOD_BYE] = out->ok;
	out->acks = world.config.reflect_too ? out->ok : 0;
	if (trial->rate > world.ringing_lost && out->ok > 0)
		out->missing = out->incomplete = 1;
	out->told = world.tells;
	out->acks_missing =
		world.config.reflect_too && trial->rate > world.acks_lost && out->ok > 0;
	out->generator_limit = trial->rate > world.generator || out->missed > 0;
	out->limits = out->generator_limit ? 1U << GEN_LIMIT_LATE : 0;
	snprintf(out->limit_reason, sizeof(out->limit_reason), "slots were late");
	if (trial->rate > world.full) {
		out->generator_limit = true;
		out->limits |= 1U << GEN_LIMIT_CALLS;
		out->failed_by[GEN_FAIL_FULL] = out->failed = 1;
	}
	out->sending_ns = (uint64_t)((double)out->attempts / trial->rate * 1e9);
	for (unsigned i = 0; i < 100; i++)
		histogram_add(&out->final, 1000 * (i + 1));
	world.sent[world.trials - 1] = (double)out->attempts;
	world.slots[world.trials - 1] = out->slots;
	return world.cut[world.trials - 1] ? -EINTR : 0;
}

struct scenario *scenario_read(const char *path, const struct gen_variable *set, unsigned sets,
	char *error, size_t error_size)
{
	struct scenario *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->calls = 1;
	s->call[0].steps = 2;
	s->call[0].step[0] =
		(struct step){.kind = STEP_EXPECT, .final = true, .from_ns = 32000000000};
	s->call[0].step[1] =
		(struct step){.kind = STEP_WAIT, .from_ns = 2000000000, .to_ns = 3000000000};
	return s;
}

int scenario_reference(FILE *out)
{
	return 0;
}

void scenario_free(struct scenario *s)
{
	free(s);
}

const char *gen_fail_text(enum gen_fail fail)
{
	return "no answer within its time";
}

/* ---- */

struct said {
	int status;
	json_t *json; /* NULL: no report came */
	char *text;
};

/* Runs the verb; what it prints is caught. */
static struct said run(const char *line)
{
	char copy[512], *argv[40], *save = NULL;
	struct said said = {0};
	FILE *out = tmpfile();
	int argc = 0, kept, silent;
	size_t n;

	snprintf(copy, sizeof(copy), "search %s", line);
	for (char *word = strtok_r(copy, " ", &save); word != NULL;
		word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	world.trials = world.opened = world.closed = 0;
	memset(world.cut, 0, sizeof(world.cut));
	gen_interrupted = 0;
	optind = 0;
	fflush(stdout);
	kept = dup(STDOUT_FILENO);
	silent = dup(STDERR_FILENO);
	assert_non_null(out);
	dup2(fileno(out), STDOUT_FILENO);
	assert_non_null(freopen("/dev/null", "w", stderr));
	said.status = search_main(argc, argv);
	fflush(stdout);
	dup2(kept, STDOUT_FILENO);
	fflush(stderr);
	dup2(silent, STDERR_FILENO);
	close(kept);
	close(silent);
	said.text = calloc(1, 1 << 20);
	rewind(out);
	n = fread(said.text, 1, (1 << 20) - 1, out);
	fclose(out);
	said.json = n > 0 && said.text[0] == '{' ? json_loads(said.text, 0, NULL) : NULL;
	return said;
}

static void forget(struct said *said)
{
	json_decref(said->json);
	free(said->text);
}

static json_t *at(json_t *json, const char *a, const char *b)
{
	json_t *found = json_object_get(json_object_get(json, a), b);

	assert_non_null(found);
	return found;
}

static int setup(void **state)
{
	memset(&world, 0, sizeof(world));
	world.capacity = 460;
	world.testbed = 5000;
	world.generator = world.retransmits = world.acks_lost = world.full = INFINITY;
	world.ringing_lost = world.late_from = INFINITY;
	return 0;
}

static void test_ser(void **state)
{
	struct said said = run("ser --udp --target 192.0.2.2:5060 --pause 0 --json invite.gen");

	assert_int_equal(said.status, 0);
	assert_true(json_number_value(at(said.json, "result", "rate")) == 458);
	assert_string_equal(json_string_value(at(said.json, "result", "end")), "found");
	assert_true(
		json_number_value(at(said.json, "setup", "establishment_threshold_time")) == 32);
	assert_string_equal(
		json_string_value(at(said.json, "setup", "session_duration")), "2 to 3 s");
	assert_int_equal(world.trials, 38);
	assert_int_equal(world.opened, 1);
	assert_int_equal(world.closed, 1);
	assert_false(world.config.no_retransmit);
	/* A trial whose outcome is certain ends; one that passes goes on to its last attempt. */
	for (unsigned i = 0; i < world.trials; i++)
		assert_true(world.cut[i] ? world.sent[i] == 25000 : world.sent[i] == 50000);
	assert_true(world.cut[17] && !world.cut[16]);
	forget(&said);
}

static void test_ndr(void **state)
{
	struct said said = run(
		"ndr --udp --target 192.0.2.2:5060 --pause 0 --resolution 0.5 --json invite.gen");
	double rate = json_number_value(at(said.json, "result", "rate"));

	assert_int_equal(said.status, 0);
	assert_true(rate <= 460 && rate >= 457);
	assert_true(world.config.no_retransmit);
	assert_true(json_is_true(at(said.json, "result", "at_rate")) == 0);
	assert_true(json_number_value(
			    json_object_get(at(said.json, "result", "at_rate"), "seconds")) >= 59);
	forget(&said);
}

/* RFC 2544 counts frames: an ACK that the system lost is one, though the call went well. */
static void test_ndr_counts_acks(void **state)
{
	struct said said;

	world.acks_lost = 300;
	said = run("ndr --udp --target 192.0.2.2:5060 --pause 0 --json invite.gen");
	assert_true(json_number_value(at(said.json, "result", "rate")) > 450);
	forget(&said);
	said = run("ndr --udp --target 192.0.2.2:5060 --pause 0 --json --reflect-address 192.0.2.9 "
		   "invite.gen");
	assert_true(json_number_value(at(said.json, "result", "rate")) <= 300);
	/* One that is on its way while the trial runs ends no trial. */
	assert_true(json_number_value(
			    json_object_get(at(said.json, "result", "at_rate"), "seconds")) >= 59);
	forget(&said);
}

/* Nor is a 180 that no step waits for free to get lost. */
static void test_ndr_counts_ringing(void **state)
{
	struct said said;

	world.ringing_lost = 300;
	world.tells = true;
	said = run("ndr --udp --target 192.0.2.2:5060 --pause 0 --json invite.gen");
	assert_true(json_number_value(at(said.json, "result", "rate")) <= 300);
	assert_true(json_is_true(at(said.json, "setup", "sees_provisional_loss")));
	forget(&said);
	said = run("ndr --udp --target 192.0.2.2:5060 --pause 0 invite.gen");
	assert_non_null(strstr(said.text, "1 provisional answers lost"));
	assert_non_null(strstr(said.text, "requests, final answers, provisional answers\n"));
	assert_null(strstr(said.text, "Lost provisional answers were not seen"));
	assert_non_null(strstr(said.text, "Lost ACKs were not seen"));
	forget(&said);
	/* In RFC 7501's terms the session was established. */
	said = run("ser --udp --target 192.0.2.2:5060 --pause 0 --json invite.gen");
	assert_true(json_number_value(at(said.json, "result", "rate")) == 458);
	forget(&said);
	world.tells = false;
	said = run("ndr --udp --target 192.0.2.2:5060 --pause 0 invite.gen");
	assert_non_null(strstr(said.text, "Lost provisional answers were not seen"));
	forget(&said);
}

/* A trial whose verdict is certain is left at once: nobody waits for what is still open. */
static void test_nobody_waits_for_a_certain_verdict(void **state)
{
	struct said said = run("ndr --udp --target 192.0.2.2:5060 --pause 0 --json invite.gen");

	for (unsigned i = 0; i < world.trials; i++)
		assert_int_equal(world.go[i], world.cut[i] ? GEN_ABANDON : GEN_GO_ON);
	/* RFC 2544 23 gives residual frames 2 s, whatever the scenario gives its calls. */
	assert_true(world.config.threshold_ns == 2000000000);
	assert_true(json_number_value(at(said.json, "setup", "establishment_threshold_time")) == 2);
	forget(&said);
	said = run("ser --udp --target 192.0.2.2:5060 --pause 0 --json --threshold 4s invite.gen");
	assert_true(world.config.threshold_ns == 4000000000);
	assert_true(json_number_value(at(said.json, "setup", "establishment_threshold_time")) == 4);
	forget(&said);
	/* Nor does a late generator's trial go on to an end that counts for nothing. */
	world.late_from = 300;
	said = run("ndr --udp --target 192.0.2.2:5060 --pause 0 --json invite.gen");
	assert_string_equal(json_string_value(at(said.json, "result", "end")), "generator");
	for (unsigned i = 0; i < world.trials; i++)
		if (world.cut[i])
			assert_int_equal(world.go[i], GEN_ABANDON);
	assert_true(world.cut[0]);
	forget(&said);
}

static void test_generator_limit(void **state)
{
	struct said said;

	world.capacity = INFINITY;
	world.generator = 700;
	said = run("ser --udp --target 192.0.2.2:5060 --pause 0 --json invite.gen");
	assert_int_equal(said.status, 1);
	assert_string_equal(json_string_value(at(said.json, "result", "end")), "generator");
	assert_true(json_number_value(at(said.json, "result", "rate")) <= 700);
	forget(&said);
	said = run("ser --udp --target 192.0.2.2:5060 --pause 0 invite.gen");
	assert_int_equal(said.status, 1);
	assert_non_null(strstr(said.text, "the generator was the limit: slots were late"));
	forget(&said);
}

/* Sessions last 3 s here: with 262144 calls, 400 a second fill the table only where the system does
 * not answer. */
static void test_a_full_table_is_whose_doing(void **state)
{
	struct said said;

	world.full = 300;
	said = run("ser --udp --target 192.0.2.2:5060 --pause 0 --json invite.gen");
	assert_int_equal(said.status, 0);
	assert_true(json_number_value(at(said.json, "result", "rate")) <= 300);
	forget(&said);
	said = run("ser --udp --target 192.0.2.2:5060 --pause 0 --calls 1200 --json invite.gen");
	assert_int_equal(said.status, 1);
	assert_string_equal(json_string_value(at(said.json, "result", "end")), "generator");
	forget(&said);
}

static void test_nothing_works(void **state)
{
	struct said said;

	world.capacity = 0;
	said = run("ndr --udp --target 192.0.2.2:5060 --pause 0 --json invite.gen");
	assert_int_equal(said.status, 1);
	assert_string_equal(json_string_value(at(said.json, "result", "end")), "none");
	assert_true(json_is_null(at(said.json, "result", "rate")));
	forget(&said);
	said = run("ndr --udp --target 192.0.2.2:5060 --json bad.gen");
	assert_int_equal(said.status, 1);
	assert_null(said.json);
	forget(&said);
	world.fail_at = 2;
	world.error = -ENODEV;
	said = run("ndr --udp --target 192.0.2.2:5060 --pause 0 --json invite.gen");
	assert_int_equal(said.status, 1);
	assert_string_equal(json_string_value(at(said.json, "result", "end")), "error");
	forget(&said);
}

static void test_a_signal_ends_it(void **state)
{
	struct said said;

	world.interrupt_at = 4;
	said = run("ser --udp --target 192.0.2.2:5060 --pause 0 --latency --json invite.gen");
	assert_int_equal(said.status, 1);
	assert_string_equal(json_string_value(at(said.json, "result", "end")), "stopped");
	assert_true(json_number_value(at(said.json, "result", "rate")) == 121);
	assert_int_equal(world.trials, 4);
	assert_int_equal(world.closed, 1);
	forget(&said);
}

static void test_baseline(void **state)
{
	struct said said = run("ser --udp --target 192.0.2.2:5060 --reflect-address 192.0.2.9 "
			       "--baseline --pause 0 --json invite.gen");

	assert_int_equal(said.status, 0);
	assert_true(json_number_value(at(said.json, "result", "rate")) == 458);
	assert_true(json_number_value(at(said.json, "baseline", "rate")) > 4500);
	assert_int_equal(world.opened, 2);
	assert_int_equal(world.closed, 2);
	forget(&said);
}

/* RFC 7502 6.7: each REGISTER to an address-of-record of its own; 6.8: then the same ones. */
static void test_registrations(void **state)
{
	struct said said = run("rr --udp --target 192.0.2.2:5060 --pause 0 --attempts 1000 "
			       "--reregister --wait 0 --json r.gen");
	unsigned half = world.trials / 2;

	assert_int_equal(said.status, 0);
	assert_string_equal(json_string_value(at(said.json, "result", "unit")), "rps");
	assert_true(json_number_value(at(said.json, "result", "rate")) == 458);
	assert_true(json_number_value(at(said.json, "reregistration", "rate")) == 458);
	assert_int_equal(world.opened, 1);
	assert_true(world.config.users > json_number_value(at(said.json, "result", "attempts")));
	for (unsigned i = 0; i < half; i++) {
		if (i + 1 < half)
			assert_int_equal(world.first[i + 1], world.first[i] + world.slots[i]);
		assert_int_equal(world.first[i + half], world.first[i]);
	}
	forget(&said);
}

/* Where --max ended the search, that rate is repeated. */
static void test_registrations_to_a_ceiling(void **state)
{
	struct said said = run("rr --udp --target 192.0.2.2:5060 --pause 0 --attempts 1000 "
			       "--max 200 --reregister --wait 0 --json r.gen");

	assert_int_equal(said.status, 1);
	assert_true(json_number_value(at(said.json, "result", "rate")) == 200);
	assert_true(json_number_value(at(said.json, "reregistration", "rate")) == 200);
	assert_true(json_number_value(at(said.json, "setup", "total_sessions_attempted")) ==
		    json_number_value(at(said.json, "result", "attempts")));
	assert_non_null(at(said.json, "setup", "media_relay"));
	forget(&said);
}

static void test_probe(void **state)
{
	struct said said =
		run("ser --udp --target 192.0.2.2:5060 --pause 0 --start probe --json invite.gen");

	/* 100, 200, 400 pass, 800 does not: r = 200. */
	assert_int_equal(said.status, 0);
	assert_true(json_number_value(at(said.json, "setup", "session_attempt_rate")) == 200);
	assert_true(json_number_value(at(said.json, "result", "rate")) > 418);
	forget(&said);
}

/* What ended while it looked for a first rate has found none, and says why it ended. */
static void test_a_probe_that_is_stopped(void **state)
{
	struct said said;

	world.interrupt_at = 3;
	said = run("ser --udp --target 192.0.2.2:5060 --pause 0 --start probe --json invite.gen");
	assert_int_equal(said.status, 1);
	assert_string_equal(json_string_value(at(said.json, "result", "end")), "stopped");
	assert_true(json_is_null(at(said.json, "result", "rate")));
	assert_string_equal(json_string_value(at(said.json, "result", "verdict")),
		"stopped while looking for a first rate (--start probe); 200 sps passed a short "
		"trial, which is no answer");
	assert_true(json_number_value(at(said.json, "setup", "session_attempt_rate")) == 100);
	forget(&said);
	world.interrupt_at = 0;
	world.fail_at = 2;
	world.error = -ENODEV;
	said = run("ndr --udp --target 192.0.2.2:5060 --pause 0 --start probe --json invite.gen");
	assert_int_equal(said.status, 1);
	assert_string_equal(json_string_value(at(said.json, "result", "end")), "error");
	assert_int_equal(world.trials, 2);
	forget(&said);
}

/* Only a testbed that ended by itself is said to be part of the figure. */
static void test_what_the_baseline_says(void **state)
{
	static const char line[] = "ser --udp --target 192.0.2.2:5060 --reflect-address 192.0.2.9 "
				   "--baseline --pause 0 --max 700 invite.gen";
	struct said said = run(line);

	assert_null(strstr(said.text, "less than twice that rate: it is part"));
	assert_non_null(strstr(said.text, "passed at 700, less than twice that rate, where its own "
					  "search ended (ceiling)"));
	forget(&said);
	world.testbed = 600;
	said = run(line);
	assert_non_null(strstr(said.text, "reaches less than twice that rate: it is part"));
	forget(&said);
}

static void test_latency(void **state)
{
	struct said said =
		run("ser --udp --target 192.0.2.2:5060 --pause 0 --latency --json invite.gen");
	json_t *points = at(said.json, "result", "latency");

	assert_int_equal(json_array_size(points), 3);
	assert_true(json_number_value(json_object_get(json_array_get(points, 1), "rate")) == 229);
	assert_true(json_number_value(
			    json_object_get(json_array_get(points, 1), "latency_us_p50")) >= 50);
	forget(&said);
}

static void test_retransmissions_are_said(void **state)
{
	struct said said;

	world.retransmits = 300;
	said = run("ser --udp --target 192.0.2.2:5060 --pause 0 invite.gen");
	assert_int_equal(said.status, 0);
	assert_non_null(strstr(said.text, "were retransmitted"));
	forget(&said);
}

static void test_wrong_usage(void **state)
{
	static const char *const lines[] = {
		"",
		"invite.gen",
		"mos --udp --target 192.0.2.2 invite.gen",
		"--udp --target 192.0.2.2 invite.gen",
		"ser --udp --target 192.0.2.2",
		"ser --udp --target 192.0.2.2 --start 0 invite.gen",
		"ser --udp --target 192.0.2.2 --start nan invite.gen",
		"ser --udp --target 192.0.2.2 --weight 2 invite.gen",
		"ser --udp --target 192.0.2.2 --trials 1001 invite.gen",
		"ndr --udp --target 192.0.2.2 --resolution 0 invite.gen",
		"ndr --udp --target 192.0.2.2 --final 0 invite.gen",
		"ndr --udp --target 192.0.2.2 --min 10 --max 5 invite.gen",
		"ser --udp --target 192.0.2.2 --reregister invite.gen",
		"ser --udp --target 192.0.2.2 --baseline --baseline-from x invite.gen",
		"ser --udp --target 192.0.2.2 --nonsense invite.gen",
		"ser --udp --target 192.0.2.2 --final 5 invite.gen",
		"ser --udp --target 192.0.2.2 --histogram x invite.gen",
		"ndr --udp --target 192.0.2.2 --weight 0.2 invite.gen",
		"ndr --udp --target 192.0.2.2 --attempts 5 invite.gen",
		"ndr --udp --target 192.0.2.2 --rate 500 invite.gen",
		"ser --udp --target 192.0.2.2 -r 500 invite.gen",
		"ndr --udp --target 192.0.2.2 --seconds 5 invite.gen",
		"rr --udp --target 192.0.2.2 -s 5 invite.gen",
		"ser --udp --target 192.0.2.2 --threshold 0 invite.gen",
	};
	struct said said;

	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		said = run(lines[i]);
		if (said.status != 2)
			fail_msg("'search %s' ended with %d", lines[i], said.status);
		assert_int_equal(world.opened, 0);
		forget(&said);
	}
	said = run("--help");
	assert_int_equal(said.status, 0);
	assert_non_null(strstr(said.text, "siplane-gen search ser"));
	forget(&said);
	said = run("ser --udp --target 192.0.2.2 --baseline-from /nonexistent invite.gen");
	assert_int_equal(said.status, 1);
	assert_int_equal(world.trials, 0);
	forget(&said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_ser, setup),
		cmocka_unit_test_setup(test_ndr, setup),
		cmocka_unit_test_setup(test_ndr_counts_acks, setup),
		cmocka_unit_test_setup(test_ndr_counts_ringing, setup),
		cmocka_unit_test_setup(test_nobody_waits_for_a_certain_verdict, setup),
		cmocka_unit_test_setup(test_generator_limit, setup),
		cmocka_unit_test_setup(test_a_full_table_is_whose_doing, setup),
		cmocka_unit_test_setup(test_nothing_works, setup),
		cmocka_unit_test_setup(test_a_signal_ends_it, setup),
		cmocka_unit_test_setup(test_baseline, setup),
		cmocka_unit_test_setup(test_registrations, setup),
		cmocka_unit_test_setup(test_registrations_to_a_ceiling, setup),
		cmocka_unit_test_setup(test_probe, setup),
		cmocka_unit_test_setup(test_a_probe_that_is_stopped, setup),
		cmocka_unit_test_setup(test_what_the_baseline_says, setup),
		cmocka_unit_test_setup(test_latency, setup),
		cmocka_unit_test_setup(test_retransmissions_are_said, setup),
		cmocka_unit_test_setup(test_wrong_usage, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
