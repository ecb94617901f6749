/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "siplane.h"

static const char help[] =
	"Usage: siplane [-f FILE] [options]\n"
	"       siplane -c -f FILE\n"
	"       siplane --explain FILE\n"
	"       siplane --roll-secret FILE\n"
	"\n"
	"SIP proxy, registrar and location server on poll-mode cores, scripted by an openser.cfg.\n"
	"Without -c, --explain or --reference it runs in the foreground until SIGTERM or SIGINT;\n"
	"SIGHUP reads the configuration again, SIGUSR1 prints the counters.\n"
	"\n"
	"  -f, --config FILE     configuration (default /etc/siplane/siplane.cfg)\n"
	"  -p, --ports FILE      read FILE before the configuration: port { }, cores { } and what "
	"else\n"
	"                        an openser.cfg has no words for\n"
	"  -c, --check           check the configuration and exit: 0 good, 1 errors\n"
	"      --explain FILE    print each statement of FILE with its path, fast or slow\n"
	"      --reference       print the reference of the configuration language (Markdown)\n"
	"      --roll-secret FILE  roll the keys of a secret file; then reload every node "
	"(SIGHUP)\n"
	"      --profiles DIR    folder of the driver profiles\n"
	"  -d, --debug           more messages, DPDK's among them\n"
	"  -h, --help            this text\n"
	"  -V, --version         the version\n"
	"\n"
	"Exit status: 0 done, 1 refused or failed, 2 wrong usage.\n";

enum { OPTION_EXPLAIN = 256, OPTION_REFERENCE, OPTION_PROFILES, OPTION_ROLL };

static const struct option longs[] = {
	{"config", required_argument, NULL, 'f'},
	{"check", no_argument, NULL, 'c'},
	{"ports", required_argument, NULL, 'p'},
	{"explain", required_argument, NULL, OPTION_EXPLAIN},
	{"reference", no_argument, NULL, OPTION_REFERENCE},
	{"roll-secret", required_argument, NULL, OPTION_ROLL},
	{"profiles", required_argument, NULL, OPTION_PROFILES},
	{"debug", no_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

/* Where the profiles are: installed, or in the source tree beside a build folder. */
static const char *default_profiles(void)
{
	const char *env = getenv("SIPLANE_PROFILES");

	if (env != NULL)
		return env;
	return access(PROFILES_INSTALLED, R_OK) == 0 ? PROFILES_INSTALLED : PROFILES_SOURCE;
}

int options_parse(int argc, char **argv, struct options *out)
{
	int c;

	*out = (struct options){
		.config = "/etc/siplane/siplane.cfg", .profiles = default_profiles()};
	while ((c = getopt_long(argc, argv, "f:p:cdhV", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			out->config = optarg;
			break;
		case 'p':
			out->ports = optarg;
			break;
		case 'c':
			out->mode = MODE_CHECK;
			break;
		case OPTION_EXPLAIN:
			out->mode = MODE_EXPLAIN;
			out->config = optarg;
			break;
		case OPTION_REFERENCE:
			out->mode = MODE_REFERENCE;
			break;
		case OPTION_ROLL:
			out->mode = MODE_ROLL;
			out->config = optarg;
			break;
		case OPTION_PROFILES:
			out->profiles = optarg;
			break;
		case 'd':
			out->debug = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 1;
		case 'V':
			printf("siplane %s\n", SIPLANE_VERSION);
			return 1;
		default:
			fputs("Try 'siplane --help'.\n", stderr);
			return 3;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "siplane: unexpected argument '%s'\nTry 'siplane --help'.\n",
			argv[optind]);
		return 3;
	}
	return 0;
}
