/* SPDX-License-Identifier: BSD-3-Clause */
/* Parameters: what a script may say, and what it hears of what is not here. */
#include "common.h"

#define LOAD "loadmodule \"acc.so\"\nmodparam(\"acc\", \"spool_file\", \"\")\n"
#define DO_NOTHING "request_route { exit; }\n"

static struct db *db;
static struct acc *acc;

static int begin(void **state)
{
	char error[256];

	db = db_create(&(struct db_config){0}, error, sizeof(error));
	assert_int_equal(db_set_default(db, "sqlite:///nowhere/acc.sqlite"), 0);
	acc = acc_create(&(struct acc_config){.db = db, .shards = 1});
	return db == NULL || acc == NULL;
}

static int end(void **state)
{
	acc_destroy(acc);
	db_destroy(db);
	return 0;
}

/* What is said of a script; NULL: it is good, and says nothing. Published where it is good. */
static const char *load_of(struct acc *a, const char *text)
{
	static char said[4096];
	struct route_report *report = route_report_create();
	struct route_registry registry;
	struct route_script *script;

	route_registry_init(&registry);
	assert_int_equal(acc_register(a, &registry), 0);
	script = route_script_load_text("t.cfg", str_c(text), &registry, report);
	snprintf(said, sizeof(said), "%s", route_report_text(report));
	route_report_destroy(report);
	if (script == NULL)
		return said;
	route_script_publish(script);
	route_script_unref(script);
	return said[0] != '\0' ? said : NULL;
}

static void good(const char *text)
{
	const char *said = load_of(acc, printed(LOAD "%s" DO_NOTHING, text));

	if (said != NULL)
		fail_msg("%s: %s", text, said);
}

/* Behind the parameters there may be a script of its own. */
static void bad_script(const char *text, const char *sentence)
{
	const char *said = load_of(acc, text);

	if (said == NULL || strstr(said, sentence) == NULL)
		fail_msg("%s: '%s' has no '%s'", text, said != NULL ? said : "", sentence);
}

static void bad(const char *text, const char *sentence)
{
	bad_script(printed(LOAD "%s" DO_NOTHING, text), sentence);
}

static void lists_of_fields(void **state)
{
	good("modparam(\"acc\", \"log_extra\", \"a=$fu\")\n");
	good("modparam(\"acc\", \"log_extra\", \" a=$fu ; b.c-d = $(hdr(X)[1]) ;\")\n");
	/* A ';' within brackets is a variable's. */
	bad("modparam(\"acc\", \"log_extra\", \"a=$nosuch(x;y);b=$ua\")\n",
		"'$nosuch(x;y)' cannot be read");
	good("modparam(\"acc\", \"db_extra\", \"\")\n");
	bad("modparam(\"acc\", \"log_extra\", \"a\")\n", "'a' is no name and variable");
	bad("modparam(\"acc\", \"log_extra\", \"a=\")\n", "is no name and variable");
	bad("modparam(\"acc\", \"log_extra\", \"=$fu\")\n", "is no name and variable");
	bad("modparam(\"acc\", \"log_extra\", \"a=text\")\n", "is no name and variable");
	bad("modparam(\"acc\", \"log_extra\", \"a b=$fu\")\n", "is no name and variable");
	bad("modparam(\"acc\", \"log_extra\", \"a=$nosuchvariable\")\n", "cannot be read");
	bad("modparam(\"acc\", \"log_extra\", \"a=$fu;A=$tu\")\n", "has 'A' twice");
	bad("modparam(\"acc\", \"log_extra\", \"a=$var(x)\")\n", "'$var(x)': a $var is the run's");
	bad("modparam(\"acc\", \"db_extra\", \"a=$fu;b=$(var(x){s.len})\")\n",
		"a $var is the run's");
	bad("modparam(\"acc\", \"cdr_extra\", \"a=$(avp(x)[$var(i)])\")\n", "a $var is the run's");
	bad("modparam(\"acc\", \"db_extra\", \"a-b=$fu\")\n", "is no column and variable");
	bad("modparam(\"acc\", \"db_extra\", \"a);--=$fu\")\n", "is no column and variable");
	bad("modparam(\"acc\", \"cdr_extra\", \"a-b=$fu\")\nmodparam(\"acc\", \"cdrs_table\", "
	    "\"c\")\n",
		"is no column and variable");
	good("modparam(\"acc\", \"cdr_extra\", \"a-b=$fu\")\n");
}

static void twenty_fields_and_no_more(void **state)
{
	char list[512] = "modparam(\"acc\", \"db_flag\", 1)\nmodparam(\"acc\", \"db_extra\", \"";

	for (unsigned i = 0; i < ACC_FIELDS_MAX; i++)
		snprintf(list + strlen(list), 16, "f%u=$fu;", i);
	good(printed("%s\")\n", list));
	bad(printed("%sone=$fu\")\n", list), "20 fields at most");
}

static void tables_and_columns_are_names(void **state)
{
	good("modparam(\"acc\", \"db_flag\", 1)\nmodparam(\"acc\", \"db_table_acc\", "
	     "\"my_acc\")\n");
	bad("modparam(\"acc\", \"db_flag\", 1)\nmodparam(\"acc\", \"db_table_acc\", "
	    "\"acc_$time(year)\")\n",
		"cannot be the name of a table");
	bad("modparam(\"acc\", \"db_missed_flag\", 1)\nmodparam(\"acc\", "
	    "\"db_table_missed_calls\", "
	    "\"m;--\")\n",
		"cannot be the name of a table");
	bad("modparam(\"acc\", \"db_flag\", 1)\nmodparam(\"acc\", \"acc_time_column\", \"a b\")\n",
		"'a b' is no name of a column");
	bad("modparam(\"acc\", \"db_flag\", 1)\nmodparam(\"acc\", \"acc_time_column\", "
	    "\"method\")\n",
		"is one twice");
	bad("modparam(\"acc\", \"db_flag\", 1)\nmodparam(\"acc\", \"db_extra\", \"Method=$fu\")\n",
		"is one twice");
	bad("modparam(\"acc\", \"db_flag\", 1)\nmodparam(\"acc\", \"db_url\", \"oracle://x\")\n",
		"begins with one of");
	bad("modparam(\"acc\", \"cdr_start_id\", \"a b\")\n", "is no name of a field");
}

static void functions_name_a_table(void **state)
{
	bad_script(LOAD "request_route { acc_db_request(\"x\", \"a b\"); }\n", "a table's name");
	bad_script(LOAD "request_route { acc_db_request(\"x\", $rU); }\n", "a table's name");
	bad_script(LOAD "request_route { acc_request(\"x\", \"acc_$rU\"); }\n", "a table's name");
	bad_script(
		LOAD "branch_route[b] { acc_log_request(\"x\"); }\n" DO_NOTHING, "acc_log_request");
	assert_null(
		load_of(acc, LOAD "request_route { acc_db_request(\"$rU x\", \"acc\"); exit; }\n"));
}

static void what_is_not_here_says_why(void **state)
{
	bad("modparam(\"acc\", \"multi_leg_info\", \"a=$fu\")\n", "multi_leg_info");
	bad("modparam(\"acc\", \"cdr_skip\", \"nocdr\")\n", "cdr_skip");
	bad("modparam(\"acc\", \"detect_direction\", 1)\n", "detect_direction");
	bad("modparam(\"acc\", \"time_mode\", 1)\n", "time_mode");
	bad("modparam(\"acc\", \"log_flag\", 32)\n", "log_flag");
	bad("modparam(\"acc\", \"log_facility\", \"LOG_NOWHERE\")\n", "log_facility 'LOG_NOWHERE'");
	bad("modparam(\"acc\", \"failed_filter\", \"404,x\")\n", "'x' is no code");
	bad("modparam(\"acc\", \"failed_filter\", \"200\")\n", "'200' is no code");
	good("modparam(\"acc\", \"failed_filter\", \" 404 , 407\")\n");
	good("modparam(\"acc\", \"detect_direction\", 0)\nmodparam(\"acc\", \"time_mode\", 0)\n");
	bad("modparam(\"acc\", \"cdr_enable\", 1)\n", "warning: module 'acc': cdr_enable");
	bad("modparam(\"acc\", \"clone_msg\", 1)\n", "has no effect");
}

static void without_a_database(void **state)
{
	struct acc *none = acc_create(&(struct acc_config){.shards = 1});
	const char *said = load_of(none, LOAD "modparam(\"acc\", \"db_flag\", 1)\n" DO_NOTHING);

	assert_non_null(strstr(said, "there is no database"));
	assert_null(load_of(none, LOAD "modparam(\"acc\", \"log_flag\", 1)\n" DO_NOTHING));
	acc_destroy(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_fields),
		cmocka_unit_test(twenty_fields_and_no_more),
		cmocka_unit_test(tables_and_columns_are_names),
		cmocka_unit_test(functions_name_a_table),
		cmocka_unit_test(what_is_not_here_says_why),
		cmocka_unit_test(without_a_database),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
