/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "siplane.h"

static int print_line(void *arg, const char *line)
{
	return puts(line) == EOF ? -1 : 0;
}

static int check(struct app *app)
{
	unsigned warnings;

	if (listeners_on_paper(app) != 0)
		return 1;
	warnings = paper_check(app);
	if (warnings == 0)
		printf("%s: good\n", app->options.config);
	else
		printf("%s: good, %u warning%s\n", app->options.config, warnings,
			warnings == 1 ? "" : "s");
	return 0;
}

static int serve(struct app *app)
{
	uint64_t begun = clock_now_ns();
	int status = 1;

	signals_begin();
	if (start(app) == 0) {
		printf("started in %.1f s\n", (double)(clock_now_ns() - begun) / CLOCK_NS_PER_S);
		status = run(app) == 0 ? 0 : 1;
	}
	stop(app);
	return status;
}

static int roll(const char *path)
{
	char error[512];

	if (proxy_secret_roll(path, error, sizeof(error)) != 0) {
		fprintf(stderr, "siplane: %s\n", error);
		return 1;
	}
	printf("%s: rolled; the next key signs once a node has reloaded (SIGHUP), and every node "
	       "reloads before the next roll\n",
		path);
	return 0;
}

int main(int argc, char **argv)
{
	static struct app app;
	int status = options_parse(argc, argv, &app.options);

	if (status != 0)
		return status - 1;
	if (app.options.mode == MODE_ROLL)
		return roll(app.options.config);
	if (app.options.debug)
		log_set_level(LOG_LEVEL_DEBUG);
	status = 1;
	if (rooms_create(&app) == 0) {
		switch (app.options.mode) {
		case MODE_RUN:
			status = serve(&app);
			break;
		case MODE_CHECK:
			status = check(&app);
			break;
		case MODE_EXPLAIN:
			status = route_explain(app.script, print_line, NULL) == 0 ? 0 : 1;
			break;
		case MODE_ROLL: /* done */
			break;
		case MODE_REFERENCE:
			fputs("# Configuration reference\n\nPrinted by `siplane --reference` from "
			      "the tables that the program itself "
			      "works with.\n\n",
				stdout);
			route_reference(&app.registry, print_line, NULL);
			status = 0;
			break;
		}
	}
	rooms_destroy(&app);
	if (app.options.mode == MODE_RUN)
		port_eal_stop();
	if (fflush(stdout) != 0 || ferror(stdout) != 0)
		status = 1; /* whoever reads it did not get it all */
	return status;
}
