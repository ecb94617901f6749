/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"
#include "search.h"

static const char usage[] = "Usage: siplane-gen [options] SCENARIO\n"
			    "       siplane-gen --reflect [options]\n"
			    "\n"
			    "Loads a SIP system at a given rate and counts what becomes of each "
			    "attempt; --reflect is the\n"
			    "other side, which answers.\n"
			    "\n"
			    "Exit status: 0 all well, 1 failures, losses, or the generator was the "
			    "limit, 2 wrong usage.\n"
			    "\n";

static void on_signal(int sig)
{
	/* Asked twice from a keyboard. timeout(1) sends SIGTERM to the process and to its group. */
	if (gen_interrupted && sig == SIGINT)
		_exit(1);
	gen_interrupted = 1;
}

static void signals_begin(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigemptyset(&sa.sa_mask);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* The file of --histogram, before the run: nobody may measure for an hour and then have none. */
static int open_histogram(const struct gen_config *config, FILE **out)
{
	*out = config->histogram != NULL ? fopen(config->histogram, "we") : NULL;
	if (*out != NULL || config->histogram == NULL)
		return 0;
	fprintf(stderr, "siplane-gen: %s: %s\n", config->histogram, strerror(errno));
	return -EIO;
}

static int write_histogram(const struct gen_config *config, const struct gen_result *r, FILE *f)
{
	int rc;

	if (f == NULL)
		return 0;
	rc = histogram_points(&r->final, 0.001, f);
	if (fclose(f) == 0 && rc == 0)
		return 0;
	fprintf(stderr, "siplane-gen: %s: %s\n", config->histogram, strerror(errno));
	return -EIO;
}

static int output(const struct gen_config *config, const struct gen_result *r)
{
	int rc = 0;

	if (config->json)
		rc = gen_result_json(r, stdout);
	else if (!config->quiet)
		rc = gen_result_print(r, stdout);
	if (fflush(stdout) != 0 || rc != 0) {
		fprintf(stderr, "siplane-gen: the result could not be written: %s\n",
			strerror(errno));
		rc = -EIO;
	}
	return rc;
}

static int load(struct gen *g, const struct gen_config *config, struct gen_result *r)
{
	struct gen_trial trial = {
		.rate = config->rate,
		.attempts = config->attempts,
		.seconds = config->seconds,
		.poisson = config->poisson,
	};
	FILE *points;
	int rc;

	if (open_histogram(config, &points) != 0)
		return 1;
	if (!config->quiet && isatty(STDERR_FILENO))
		trial.progress = gen_progress_line;
	rc = gen_trial(g, &trial, r);
	if (trial.progress != NULL)
		gen_progress_clear();
	if (rc != 0 && rc != -EINTR) {
		fprintf(stderr, "siplane-gen: %s\n", gen_error(g));
		if (points != NULL)
			fclose(points);
		return 1;
	}
	rc = output(config, r);
	if (write_histogram(config, r, points) != 0)
		rc = -EIO;
	return rc == 0 && gen_result_good(r) ? 0 : 1;
}

static int reflect(struct gen *g, const struct gen_config *config, struct gen_result *r)
{
	struct gen_trial trial = {.seconds = config->seconds};

	if (!config->quiet && !config->json) {
		printf("reflecting on %s\n", gen_describe(g, true));
		fflush(stdout);
	}
	if (!config->quiet && isatty(STDERR_FILENO))
		trial.progress = gen_progress_line;
	gen_reflect(g, &trial, r);
	if (trial.progress != NULL)
		gen_progress_clear();
	return output(config, r) == 0 && gen_result_good(r) ? 0 : 1;
}

int main(int argc, char **argv)
{
	static struct gen_config config;
	struct gen_result *r;
	char error[GEN_ERROR_MAX];
	const char *wrong;
	struct gen *g;
	int status;

	signals_begin();
	if (argc > 1 && strcmp(argv[1], "search") == 0)
		return search_main(argc - 1, argv + 1);
	status = gen_options_parse(argc, argv, usage, NULL, NULL, &config);
	if (status != 0)
		return fflush(stdout) != 0 ? 1 : status - 1;
	wrong = gen_config_wrong(&config, error, sizeof(error));
	if (wrong != NULL)
		return gen_usage_error(wrong) - 1;
	if (config.debug)
		log_set_level(LOG_LEVEL_DEBUG);
	r = calloc(1, sizeof(*r));
	g = r != NULL ? gen_open(&config, error, sizeof(error)) : NULL;
	if (g == NULL) {
		fprintf(stderr, "siplane-gen: %s\n", r != NULL ? error : "not enough memory");
		free(r);
		return 1;
	}
	status = config.reflect ? reflect(g, &config, r) : load(g, &config, r);
	gen_close(g);
	free(r);
	return status;
}
