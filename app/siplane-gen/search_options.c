/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "search_options.h"

static const char usage[] =
	"Usage: siplane-gen search ndr [options] SCENARIO   highest rate without loss (RFC 2544 "
	"26.1)\n"
	"       siplane-gen search ser [options] SCENARIO   Session Establishment Rate (RFC 7502)\n"
	"       siplane-gen search rr  [options] SCENARIO   Registration Rate (RFC 7502)\n"
	"\n"
	"Runs the scenario at rate after rate until the highest is found at which nothing fails.\n"
	"\n"
	"All searches:\n"
	"      --start RATE       first rate (ndr 1000, ser and rr 100); 'probe' finds one by "
	"doubling\n"
	"      --max RATE         no rate above it\n"
	"      --trials N         trials at most (200)\n"
	"      --pause TIME       between trials (1s)\n"
	"      --baseline         measures the testbed first, against a reflector of its own\n"
	"      --baseline-from FILE  takes the baseline from the --json of an earlier search\n"
	"      --latency          then trials at 10, 50 and 90 % of the rate, for their latency\n"
	"      --trial TIME       ndr: length of the trials that search (5s), and of --latency;\n"
	"                         ser, rr: a trial lasts at least that, N grows to it\n"
	"      --dut TEXT         name of the system, for the report\n"
	"      --note TEXT        line for the report's notes; may be repeated\n"
	"ndr:\n"
	"      --min RATE         gives up below it (1)\n"
	"      --resolution PERCENT  how near the answer is to the failing rate above it (1)\n"
	"      --loss PERCENT     failures that are allowed: the partial drop rate (0)\n"
	"      --final TIME       length of the trial that decides (60s)\n"
	"ser, rr:\n"
	"      --attempts N       attempts of a trial (50000)\n"
	"      --weight W         w of RFC 7502 4.10 (0.10)\n"
	"      --repeats N        successes until it counts as converged (10)\n"
	"      --reregister       rr: then the same addresses-of-record again\n"
	"      --wait TIME        before that (5m)\n"
	"\n"
	"Exit status: 0 found, 1 not found or failed, 2 wrong usage.\n"
	"\n";

static int wrong(const char *name, const char *value, const char *want)
{
	fprintf(stderr,
		"siplane-gen: --%s '%s': %s is expected\nTry 'siplane-gen search --help'.\n", name,
		value, want);
	return -EINVAL;
}

static int take_rate(const char *name, const char *value, double *out)
{
	if (gen_number_parse(value, out) != 0 || *out < SEARCH_RATE_MIN || *out > SEARCH_RATE_MAX)
		return wrong(name, value, "a rate of 1 to 100M attempts a second");
	return 0;
}

static int take_count(const char *name, const char *value, unsigned max, unsigned *out)
{
	double v;

	if (gen_number_parse(value, &v) != 0 || v < 1 || v > max || v != floor(v))
		return wrong(name, value, "a whole number, not too great,");
	*out = (unsigned)v;
	return 0;
}

static int take_share(const char *name, const char *value, double min, double *out)
{
	if (gen_number_parse(value, out) != 0 || *out < min || *out > 50)
		return wrong(name, value, min > 0 ? "0.01 to 50 (percent)" : "0 to 50 (percent)");
	*out /= 100;
	return 0;
}

static int take_time(const char *name, const char *value, bool zero, double *out)
{
	uint64_t ns;

	if (gen_duration_parse(value, &ns) != 0 || (ns == 0 && !zero) || ns > 86400ull * 1000000000)
		return wrong(name, value, "a time of up to a day, as 5s or 200ms,");
	*out = (double)ns / 1e9;
	return 0;
}

static int take_start(struct search_options *o, const char *name, const char *value)
{
	double rate;

	o->probe = strcmp(value, "probe") == 0;
	if (o->probe)
		return 0;
	if (take_rate(name, value, &rate) != 0)
		return -EINVAL;
	o->ndr.start = o->ser.r = rate;
	return 0;
}

/* Options of every search. */
static int take(void *arg, const char *name, const char *value)
{
	struct search_options *o = arg;

	if (strcmp(name, "start") == 0)
		return take_start(o, name, value);
	if (strcmp(name, "max") == 0) {
		int err = take_rate(name, value, &o->ndr.max);

		o->ser.max = o->ndr.max;
		return err;
	}
	if (strcmp(name, "trials") == 0)
		return take_count(name, value, SEARCH_TRIALS_MAX, &o->trials);
	if (strcmp(name, "pause") == 0)
		return take_time(name, value, true, &o->pause);
	if (strcmp(name, "trial") == 0) {
		int err = take_time(name, value, false, &o->ndr.seconds);

		o->ser.seconds = o->ndr.seconds;
		return err;
	}
	if (strcmp(name, "dut") == 0)
		o->dut = value;
	else if (strcmp(name, "baseline-from") == 0)
		o->baseline_from = value;
	else if (strcmp(name, "baseline") == 0)
		o->baseline = true;
	else if (strcmp(name, "latency") == 0)
		o->latency = true;
	else if (o->notes == REPORT_NOTES_MAX)
		return wrong(name, value, "no more than 16 notes");
	else
		o->note[o->notes++] = value;
	return 0;
}

static int take_ndr(void *arg, const char *name, const char *value)
{
	struct search_options *o = arg;

	o->of_ndr = name;
	if (strcmp(name, "min") == 0)
		return take_rate(name, value, &o->ndr.min);
	if (strcmp(name, "resolution") == 0)
		return take_share(name, value, 0.01, &o->ndr.resolution);
	if (strcmp(name, "loss") == 0)
		return take_share(name, value, 0, &o->ndr.loss);
	return take_time(name, value, false, &o->ndr.final_seconds);
}

static int take_ser(void *arg, const char *name, const char *value)
{
	struct search_options *o = arg;

	o->of_ser = name;
	if (strcmp(name, "repeats") == 0)
		return take_count(name, value, SEARCH_TRIALS_MAX, &o->ser.repeats);
	if (strcmp(name, "wait") == 0)
		return take_time(name, value, true, &o->wait);
	if (strcmp(name, "reregister") == 0) {
		o->reregister = true;
		return 0;
	}
	if (gen_number_parse(value, &o->ser.w) != 0 || o->ser.w < 0.01 || o->ser.w > 1)
		return wrong(name, value, "0.01 to 1");
	return 0;
}

static const struct gen_option known[] = {
	{"start", true, take},
	{"max", true, take},
	{"trials", true, take},
	{"pause", true, take},
	{"baseline", false, take},
	{"baseline-from", true, take},
	{"latency", false, take},
	{"trial", true, take},
	{"dut", true, take},
	{"note", true, take},
	{"min", true, take_ndr},
	{"resolution", true, take_ndr},
	{"loss", true, take_ndr},
	{"final", true, take_ndr},
	{"weight", true, take_ser},
	{"repeats", true, take_ser},
	{"reregister", false, take_ser},
	{"wait", true, take_ser},
	{NULL, false, NULL},
};

static int find_kind(const char *word, enum search_kind *kind)
{
	static const char *const words[] = {"ndr", "ser", "rr"};

	for (int i = 0; word != NULL && i < 3; i++)
		if (strcmp(word, words[i]) == 0) {
			*kind = (enum search_kind)i;
			return 0;
		}
	return -EINVAL;
}

/* What is wrong with the options together. */
static const char *contradiction(const struct search_options *o)
{
	static char text[80];

	if (o->kind != SEARCH_NDR && o->of_ndr != NULL) {
		snprintf(text, sizeof(text), "--%s belongs to 'search ndr'", o->of_ndr);
		return text;
	}
	if (o->kind == SEARCH_NDR && (o->of_ser != NULL || o->gen.attempts != 0)) {
		snprintf(text, sizeof(text), "--%s belongs to 'search ser' and 'search rr'",
			o->of_ser != NULL ? o->of_ser : "attempts");
		return text;
	}
	if (o->gen.reflect)
		return "a search sends: --reflect is the other side's";
	if (o->gen.rate_said)
		return "a search makes its own rates: --start and --max bound them, --rate is a "
		       "run's";
	if (o->gen.seconds_said)
		return o->kind == SEARCH_NDR ? "a trial of a search lasts --trial and --final, "
					       "--seconds is a run's"
					     : "a trial of a search lasts --attempts or --trial, "
					       "--seconds is a run's";
	if (o->gen.histogram != NULL)
		return "--histogram belongs to a run: run the scenario at the rate that was found";
	if (o->kind != SEARCH_RR && o->reregister)
		return "--reregister belongs to 'search rr'";
	if (o->baseline && o->baseline_from != NULL)
		return "--baseline and --baseline-from say two things";
	if (o->baseline && o->gen.caller.device != NULL)
		return "--baseline works with --udp; with devices, connect them to each other, "
		       "search "
		       "with --json,\nand give the file to --baseline-from";
	if (o->ndr.min > o->ndr.max)
		return "--min is above --max";
	return NULL;
}

int search_options_parse(int argc, char **argv, struct search_options *out)
{
	char text[GEN_ERROR_MAX];
	const char *bad;
	bool named;
	int status;

	*out = (struct search_options){
		.ndr = {.start = 1000,
			.min = SEARCH_RATE_MIN,
			.max = SEARCH_RATE_MAX,
			.resolution = 0.01,
			.seconds = 5,
			.final_seconds = 60},
		.ser = {.r = 100, .w = 0.10, .n = 50000, .repeats = 10, .max = SEARCH_RATE_MAX},
		.trials = 200,
		.pause = 1,
		.wait = 300,
	};
	named = find_kind(argc > 1 ? argv[1] : NULL, &out->kind) == 0;
	if (named) {
		argc--;
		argv++;
	}
	/* Without a kind there is still `search --help`. */
	if (named || (argc > 1 && argv[1][0] == '-')) {
		status = gen_options_parse(argc, argv, usage, known, out, &out->gen);
		if (status != 0)
			return status;
	}
	if (!named) {
		fputs("siplane-gen: search: ndr, ser or rr is wanted first\n"
		      "Try 'siplane-gen search --help'.\n",
			stderr);
		return 3;
	}
	bad = contradiction(out);
	if (bad == NULL)
		bad = gen_config_wrong(&out->gen, text, sizeof(text));
	if (bad != NULL) {
		fprintf(stderr, "siplane-gen: %s\nTry 'siplane-gen search --help'.\n", bad);
		return 3;
	}
	if (out->gen.attempts != 0)
		out->ser.n = out->gen.attempts;
	out->ndr.start = fmin(fmax(out->ndr.start, out->ndr.min), out->ndr.max);
	/* Each REGISTER goes to an address-of-record of its own (RFC 7502 6.7). */
	if (out->kind == SEARCH_RR && out->gen.users == 0)
		out->gen.users = SEARCH_USERS;
	/* Every loss counts (RFC 2544): nobody may repair one. */
	if (out->kind == SEARCH_NDR)
		out->gen.no_retransmit = true;
	if (out->kind == SEARCH_NDR && out->gen.threshold_ns == 0)
		out->gen.threshold_ns = SEARCH_RESIDUAL_NS;
	return 0;
}
