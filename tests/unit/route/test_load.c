/* SPDX-License-Identifier: BSD-3-Clause */
/* Golden files: golden/NAME.cfg gives exactly golden/NAME.txt, diagnostics or the explained script.
 * GOLDEN_WRITE=1 writes what comes out. */
#include "language.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct out {
	char *s;
	size_t len;
};

static void out_add(struct out *out, const char *s)
{
	size_t len = strlen(s);

	out->s = realloc(out->s, out->len + len + 1);
	assert_non_null(out->s);
	memcpy(out->s + out->len, s, len + 1);
	out->len += len;
}

static int print(void *arg, const char *line)
{
	out_add(arg, line);
	out_add(arg, "\n");
	return 0;
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t n = 0;

	if (f == NULL)
		return NULL;
	text = calloc(1, 1 << 20);
	assert_non_null(text);
	n = fread(text, 1, (1 << 20) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void load_and_explain(const char *path, struct out *out)
{
	struct route_report *report = route_report_create();
	struct route_registry registry;
	struct route_script *script;

	language_registry(&registry);
	script = route_script_load(path, &registry, report);
	out_add(out, route_report_text(report));
	if (script != NULL)
		assert_int_equal(route_explain(script, print, out), 0);
	else
		assert_true(route_report_errors(report) > 0);
	route_script_unref(script);
	route_report_destroy(report);
}

static void test_each_golden_file_gives_its_text(void **state)
{
	struct dirent **entry;
	int n, checked = 0, failed = 0;

	assert_int_equal(chdir(GOLDEN), 0);
	n = scandir(".", &entry, NULL, alphasort);
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		size_t len = strlen(entry[i]->d_name);
		struct out out = {0};
		char txt[512], *expected;

		if (len > 4 && strcmp(entry[i]->d_name + len - 4, ".cfg") == 0) {
			snprintf(txt, sizeof(txt), "%.*s.txt", (int)len - 4, entry[i]->d_name);
			out_add(&out, "");
			load_and_explain(entry[i]->d_name, &out);
			if (getenv("GOLDEN_WRITE") != NULL) {
				FILE *f = fopen(txt, "w");

				assert_non_null(f);
				fwrite(out.s, 1, out.len, f);
				fclose(f);
			}
			expected = slurp(txt);
			if (expected == NULL || strcmp(expected, out.s) != 0) {
				failed++;
				printf("---- %s gives\n%s---- and not\n%s", entry[i]->d_name, out.s,
					expected != NULL ? expected : "(no file)\n");
			}
			free(expected);
			free(out.s);
			checked++;
		}
		free(entry[i]);
	}
	free(entry);
	assert_true(checked > 20);
	assert_int_equal(failed, 0);
}

/* The names of the globals' table "not here", each set. */
static int set_each(void *arg, const char *line)
{
	struct {
		struct out text;
		int names;
		bool within;
	} *all = arg;
	const char *end = strstr(line, "` | ");

	if (strncmp(line, "## ", 3) == 0)
		all->within = false;
	if (strncmp(line, "Globals of OpenSER", 18) == 0)
		all->within = true;
	for (const char *at = line; all->within && strncmp(line, "| `", 3) == 0 && at < end;) {
		const char *name = strchr(at, '`') + 1, *last = strchr(name, '`');
		char setting[128];

		snprintf(setting, sizeof(setting), "%.*s=1\n", (int)(last - name), name);
		out_add(&all->text, setting);
		all->names++;
		at = last + 1;
		if (last == end)
			break;
	}
	return 0;
}

static void test_each_global_without_effect_says_why(void **state)
{
	struct {
		struct out text;
		int names;
		bool within;
	} all = {0};
	struct route_report *report = route_report_create();
	struct route_registry registry;
	struct route_script *script;
	int said = 0;

	language_registry(&registry);
	route_reference(&registry, set_each, &all);
	assert_true(all.names > 300);
	out_add(&all.text, "request_route { exit; }\n");
	script = route_script_load_text("t.cfg", str_c(all.text.s), &registry, report);
	assert_non_null(script);
	for (const char *at = route_report_text(report);
		(at = strstr(at, "' has no effect here")) != NULL; at++) {
		if (strncmp(at, "' has no effect here: ", 22) != 0)
			fail_msg("no reason: %.60s", at - 20);
		said++;
	}
	assert_int_equal(said, all.names);
	route_script_unref(script);
	route_report_destroy(report);
	free(all.text.s);
}

static void test_the_seed_loads_unchanged_and_names_its_slow_statements(void **state)
{
	const char *shared = getenv("SIPLANE_SHARED");
	char path[1024];
	struct out out = {0};

	snprintf(path, sizeof(path), "%s/seed/openser.cfg",
		shared != NULL ? shared : SOURCE_ROOT "/../shared");
	if (access(path, R_OK) != 0) {
		printf("%s is not there\n", path);
		skip();
	}
	out_add(&out, "");
	load_and_explain(path, &out);
	assert_null(strstr(out.s, "error:"));
	assert_non_null(strstr(out.s, "slow     52          save(\"location\")"));
	assert_non_null(strstr(out.s, "slow     61      if !lookup(\"location\")"));
	assert_non_null(strstr(out.s, "slow     72      if !t_relay()"));
	assert_non_null(strstr(out.s, "need the slow path: save, lookup, t_on_reply, t_on_failure, "
				      "t_relay, t_check_status"));
	free(out.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_golden_file_gives_its_text),
		cmocka_unit_test(test_each_global_without_effect_says_why),
		cmocka_unit_test(test_the_seed_loads_unchanged_and_names_its_slow_statements),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
