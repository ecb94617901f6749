/* SPDX-License-Identifier: BSD-3-Clause */
/* Help, the man page's list of verbs and the completion, all of the one table. */
#include <stdio.h>

#include "siplanectl.h"

#define OPTIONS \
	"      --json          print JSON\n" \
	"      --domain DOMAIN the domain of users who are named without one (SIP_DOMAIN)\n" \
	"      --realm REALM   the realm of passwords, where it is not the domain (SIP_REALM)\n" \
	"      --db-url URL    the database (db_url)\n" \
	"      --socket PATH   siplane's control socket (control_socket)\n" \
	"      --rc FILE       read FILE instead of siplanectlrc\n" \
	"      --timeout S     seconds that siplane has to answer (30)\n" \
	"  -h, --help          this text; behind a verb, about it\n" \
	"  -V, --version       the version\n"

void print_help(void)
{
	printf("Usage: siplanectl [options] VERB [arguments]\n\n"
	       "Users, groups, aliases, AVPs, domains and addresses in siplane's database; "
	       "contacts,\ndestinations and figures of the siplane that runs.\n\n");
	for (const struct verb *v = verbs; v->name != NULL; v++) {
		int n = printf("  %s%s%s", v->name, v->args[0] != '\0' ? " " : "", v->args);

		printf("%*s%s\n", n < 50 ? 50 - n : 1, "", v->help);
	}
	printf("\n" OPTIONS "\nExit status: 0 done, 1 refused or failed, 2 wrong usage.\n");
}

/* Words in lines of 78 characters. */
static void print_wrapped(const char *text)
{
	size_t at = 0;

	while (*text != '\0') {
		size_t n = strcspn(text, " ");

		if (at > 0 && at + 1 + n > 78) {
			putchar('\n');
			at = 0;
		}
		if (at > 0)
			at += (size_t)printf(" ");
		at += fwrite(text, 1, n, stdout);
		text += n + strspn(text + n, " ");
	}
	putchar('\n');
}

void print_verb_help(const struct verb *v)
{
	printf("Usage: siplanectl %s%s%s\n\n%s\n", v->name, v->args[0] != '\0' ? " " : "", v->args,
		v->help);
	if (v->more != NULL) {
		putchar('\n');
		print_wrapped(v->more);
	}
	printf("\n" OPTIONS);
}

/* scdoc reads * _ \ and more as marks. */
static void print_escaped(const char *text)
{
	for (; *text != '\0'; text++) {
		if (strchr("*_\\<>#[]~|", *text) != NULL)
			putchar('\\');
		putchar(*text);
	}
}

int print_manual(void)
{
	for (const struct verb *v = verbs; v->name != NULL; v++) {
		printf("*%s* ", v->name);
		print_escaped(v->args);
		printf("\n\t");
		print_escaped(v->help);
		printf(".");
		if (v->more != NULL) {
			printf(" ");
			print_escaped(v->more);
		}
		printf("\n\n");
	}
	return DONE;
}

/* The words that may stand first, or behind `first`. */
static void print_words(const char *first)
{
	const char *last = "";
	size_t last_len = 0;

	for (const struct verb *v = verbs; v->name != NULL; v++) {
		const char *space = strchr(v->name, ' ');
		size_t len = space != NULL ? (size_t)(space - v->name) : strlen(v->name);

		if (first == NULL) {
			/* Verbs of one first word stand together. */
			if (len == last_len && strncmp(v->name, last, len) == 0)
				continue;
			printf("%s%.*s", last_len > 0 ? " " : "", (int)len, v->name);
		} else if (space != NULL && strlen(first) == len &&
			   strncmp(v->name, first, len) == 0) {
			printf("%s%s", last_len > 0 ? " " : "", space + 1);
		} else {
			continue;
		}
		last = v->name;
		last_len = len;
	}
}

int print_completion(void)
{
	const char *last = "";

	printf("# SPDX-License-Identifier: BSD-3-Clause\n"
	       "# Completion of siplanectl's verbs and options for bash; made by siplanectl.\n"
	       "_siplanectl()\n{\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=\n"
	       "\tlocal -a said=()\n\tlocal i\n\n"
	       "\tcase $prev in\n"
	       "\t--rc | --socket)\n"
	       "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n\t\treturn\n\t\t;;\n"
	       "\t--domain | --realm | --db-url | --timeout)\n\t\treturn\n\t\t;;\n\tesac\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\tcase ${COMP_WORDS[i]} in\n"
	       "\t\t--rc | --socket | --domain | --realm | --db-url | --timeout) ((i++)) ;;\n"
	       "\t\t-*) ;;\n"
	       "\t\t*) said+=(\"${COMP_WORDS[i]}\") ;;\n\t\tesac\n\tdone\n"
	       "\tif [[ $cur == -* ]]; then\n"
	       "\t\twords=\"--json --domain --realm --db-url --socket --rc --timeout --help "
	       "--version\"\n"
	       "\telif ((${#said[@]} == 0)); then\n\t\twords=\"");
	print_words(NULL);
	printf("\"\n\telif ((${#said[@]} == 1)); then\n\t\tcase ${said[0]} in\n");
	for (const struct verb *v = verbs; v->name != NULL; v++) {
		const char *space = strchr(v->name, ' ');
		char first[32];

		if (space == NULL || strncmp(v->name, last, (size_t)(space - v->name + 1)) == 0)
			continue;
		last = v->name;
		snprintf(first, sizeof(first), "%.*s", (int)(space - v->name), v->name);
		printf("\t\t%s) words=\"", first);
		print_words(first);
		printf("\" ;;\n");
	}
	printf("\t\tcall) words=$(siplanectl methods --json 2>/dev/null | sed -n 's/^ *\"name\": "
	       "\"\\([a-z]*\\.[a-z_]*\\)\",*$/\\1/p') ;;\n"
	       "\t\tesac\n\tfi\n"
	       "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n"
	       "complete -F _siplanectl siplanectl\n");
	return DONE;
}
