/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "siplanectl.h"

#define TIMEOUT_S 30

enum {
	OPTION_JSON = 256,
	OPTION_DOMAIN,
	OPTION_REALM,
	OPTION_DB,
	OPTION_SOCKET,
	OPTION_RC,
	OPTION_TIMEOUT,
	OPTION_MANUAL,
	OPTION_COMPLETION
};

static const struct option longs[] = {
	{"json", no_argument, NULL, OPTION_JSON},
	{"domain", required_argument, NULL, OPTION_DOMAIN},
	{"realm", required_argument, NULL, OPTION_REALM},
	{"db-url", required_argument, NULL, OPTION_DB},
	{"socket", required_argument, NULL, OPTION_SOCKET},
	{"rc", required_argument, NULL, OPTION_RC},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	/* For the build: what is made of the table of verbs. */
	{"manual", no_argument, NULL, OPTION_MANUAL},
	{"completion", no_argument, NULL, OPTION_COMPLETION},
	{NULL, 0, NULL, 0},
};

struct options {
	const char *domain, *realm, *db_url, *socket, *rc;
	char url[DB_URL_MAX + 1]; /* db_url: one byte more than there may be, so that it is seen */
	unsigned timeout_s;
	bool help;
};

static int usage(const char *fmt, const char *what)
{
	fail(fmt, what);
	if (!say_json)
		fputs("Try 'siplanectl --help'.\n", stderr);
	return USAGE;
}

/* The list of processes shows the command line to everybody: a password in it is overwritten as
 * soon as it has been read. */
static const char *take_url(char *given, char copy[DB_URL_MAX + 1])
{
	char *password = strstr(given, "://"), *at = strrchr(given, '@');

	snprintf(copy, DB_URL_MAX + 1, "%s", given);
	password = password != NULL && at != NULL ? strchr(password + 3, ':') : NULL;
	if (password != NULL && password < at)
		memset(password + 1, '*', (size_t)(at - password - 1));
	return copy;
}

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
	uint32_t seconds;
	int c;

	*o = (struct options){.timeout_s = TIMEOUT_S};
	while ((c = getopt_long(argc, argv, "hVT:u:a:v:t:", longs, NULL)) != -1) {
		switch (c) {
		case OPTION_JSON:
			say_json = true;
			break;
		case OPTION_DOMAIN:
			o->domain = optarg;
			break;
		case OPTION_REALM:
			o->realm = optarg;
			break;
		case OPTION_DB:
			o->db_url = take_url(optarg, o->url);
			break;
		case OPTION_SOCKET:
			o->socket = optarg;
			break;
		case OPTION_RC:
			o->rc = optarg;
			break;
		case OPTION_TIMEOUT:
			if (str_to_u32(str_c(optarg), 86400, &seconds) != 0 || seconds == 0)
				return usage("--timeout %s: seconds are wanted", optarg);
			o->timeout_s = seconds;
			break;
		case OPTION_MANUAL:
			return print_manual();
		case OPTION_COMPLETION:
			return print_completion();
		case 'T':
		case 'u':
		case 'a':
		case 'v':
		case 't':
			avp_option(c, optarg);
			break;
		case 'h':
			o->help = true;
			break;
		case 'V':
			printf("siplanectl %s\n", SIPLANE_VERSION);
			return DONE;
		default:
			fputs("Try 'siplanectl --help'.\n", stderr);
			return USAGE;
		}
	}
	return -1;
}

/* The verb of the first one or two words; *words: how many. */
static const struct verb *find_verb(int argc, char **argv, int *words)
{
	for (*words = argc >= 2 ? 2 : 1; *words > 0; (*words)--) {
		char name[64];

		if (snprintf(name, sizeof(name), "%s%s%s", argv[0], *words == 2 ? " " : "",
			    *words == 2 ? argv[1] : "") >= (int)sizeof(name))
			continue;
		for (const struct verb *v = verbs; v->name != NULL; v++)
			if (strcmp(v->name, name) == 0)
				return v;
	}
	return NULL;
}

/* Whether there are verbs that begin with this word, which are listed then. */
static bool list_second_words(const char *word)
{
	size_t len = strlen(word);
	bool any = false;

	for (const struct verb *v = verbs; v->name != NULL; v++) {
		if (strncmp(v->name, word, len) != 0 || v->name[len] != ' ')
			continue;
		if (!any)
			fprintf(stderr, "siplanectl: %s what?\n", word);
		any = true;
		fprintf(stderr, "  siplanectl %s %s\n", v->name, v->args);
	}
	return any;
}

static int override(struct settings *s, const struct options *o)
{
	const struct {
		const char *option, *value;
		char *out;
		size_t size;
	} all[] = {
		{"--domain", o->domain, s->domain, sizeof(s->domain)},
		{"--realm", o->realm, s->realm, sizeof(s->realm)},
		{"--db-url", o->db_url, s->db_url, sizeof(s->db_url)},
		{"--socket", o->socket, s->socket, sizeof(s->socket)},
	};

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i].value == NULL)
			continue;
		if (strlen(all[i].value) >= all[i].size)
			return fail("%s: longer than %zu bytes", all[i].option, all[i].size - 1);
		strcpy(all[i].out, all[i].value);
	}
	return DONE;
}

static int run(const struct verb *verb, const struct options *o, int argc, char **argv)
{
	struct ctl c = {.timeout_s = o->timeout_s, .socket = -1};
	int status = settings_read(&c.settings, o->rc);

	if (status == DONE)
		status = override(&c.settings, o);
	if (status != DONE)
		return status;
	progress_begin(verb->name);
	status = verb->run(&c, argc, argv);
	progress_end();
	if (c.socket >= 0)
		close(c.socket);
	if (c.db != NULL)
		db_destroy(c.db);
	return status;
}

int main(int argc, char **argv)
{
	const struct verb *verb;
	struct options o;
	int status, words;

	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	/* What goes wrong is said once, by the verb. */
	log_set_level(LOG_LEVEL_ERROR);
	status = read_options(argc, argv, &o);
	if (status >= 0)
		return status;
	argc -= optind;
	argv += optind;
	if (argc == 0 && o.help) {
		print_help();
		return fflush(stdout) == 0 ? DONE : FAILED;
	}
	if (argc == 0)
		return usage("%s", "a verb is wanted");
	verb = find_verb(argc, argv, &words);
	if (verb == NULL && list_second_words(argv[0]))
		return USAGE;
	if (verb == NULL)
		return usage("there is no verb '%s'", argv[0]);
	if (o.help) {
		print_verb_help(verb);
		return fflush(stdout) == 0 ? DONE : FAILED;
	}
	if (avp_has_options() && strncmp(verb->name, "avp ", 4) != 0)
		return usage(
			"'%s' has no such option: -T, -u, -a, -v and -t are of 'avp'", verb->name);
	argc -= words;
	argv += words;
	if ((unsigned)argc < verb->min || (unsigned)argc > verb->max) {
		fprintf(stderr, "Usage: siplanectl %s %s\n", verb->name, verb->args);
		return USAGE;
	}
	status = run(verb, &o, argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout) != 0)
		status = FAILED; /* whoever reads it did not get it all */
	return status;
}
