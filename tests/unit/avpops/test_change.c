/* SPDX-License-Identifier: BSD-3-Clause */
/* avp_db_store() and avp_db_delete(): what stands in the table afterwards, and that a script sees
 * it. */
#include "common.h"

#include <stdio.h>

#define DOMAIN "modparam(\"avpops\", \"use_domain\", 1)"
#define ALL \
	"SELECT username || '@' || domain || ' ' || attribute || ':' || type || '=' || value " \
	"FROM " \
	"usr_preferences ORDER BY id"

static void avps_become_rows(void **state)
{
	struct stage *s = *state;

	gives(s, DOMAIN,
		"$avp(fwd) = \"sip:one@example.com\"; $avp(fwd) = \"sip:two@example.com\"; $avp(n) "
		"= -5; "
		"$avp(i:7) = \"x\"; $avp(i:8) = 9; avp_db_store(\"$fu\", \"$avp(s:fwd)\"); "
		"note($rc); "
		"avp_db_store(\"$fu\", \"$avp(n)\"); note($rc); avp_db_store(\"$ru\", \"i\"); "
		"note($rc);",
		"note(1) note(1) note(1)");
	assert_string_equal(stage_rows(s, ALL),
		"alice@example.org fwd:0=sip:one@example.com|alice@example.org "
		"fwd:0=sip:two@example.com|alice@example.org n:1=-5|bob@example.net "
		"7:2=x|bob@example.net 8:3=9");
	/* And rows become the same AVPs in the same order. */
	gives(s, DOMAIN,
		"avp_db_load(\"$fu\", \"a\"); avp_db_load(\"$ru\", \"a\"); note($(avp(fwd)[*]), "
		"$avp(n) - 1, "
		"$avp(i:7), $avp(i:8) + 1);",
		"note(sip:two@example.com, sip:one@example.com,-6,x,10)");
}

static void what_stands_there_is_not_stored_again(void **state)
{
	struct stage *s = *state;

	gives(s, "",
		"$avp(x) = 1; avp_db_store(\"$fu\", \"$avp(x)\"); avp_db_store(\"$fu\", "
		"\"$avp(x)\"); note($rc); "
		"$avp(x) = 2; avp_db_store(\"$fu\", \"$avp(x)\"); note($rc); avp_db_store(\"$fu\", "
		"\"$avp(y)\"); note($rc);",
		"note(-1) note(1) note(-1)");
	assert_string_equal(stage_rows(s, ALL), "alice@ x:1=1|alice@ x:1=2");
	gives(s, "",
		"avp_db_load(\"$fu\", \"$avp(x)\"); $avp(x) = 3; avp_db_store(\"$fu\", \"a\");",
		"");
	assert_string_equal(stage_rows(s, ALL), "alice@ x:1=1|alice@ x:1=2|alice@ x:1=3");
}

static void a_source_says_by_what_rows_are_found(void **state)
{
	struct stage *s = *state;

	gives(s, DOMAIN,
		"$avp(x) = 1; avp_db_store(\"$fu/username\", \"$avp(x)\"); $avp(y) = 2; "
		"avp_db_store(\"$fu/domain\", "
		"\"$avp(y)\"); $avp(z) = 3; avp_db_store(\"$ci\", \"$avp(z)\"); $ru = "
		"\"sip:%41%20b@EXAMPLE.com\"; "
		"$avp(v) = 4; avp_db_store(\"$ru\", \"$avp(v)\");",
		"");
	assert_string_equal(stage_rows(s, "SELECT uuid || ' ' || username || '@' || domain FROM "
					  "usr_preferences ORDER BY id"),
		" alice@| @example.org|c1@192.0.2.7 @| A%20b@example.com");
}

/* Each script begins with what a load has read, and so remembers, and ends with what it reads then.
 */
static void a_script_finds_what_it_has_stored(void **state)
{
	static const char *const sources[][2] = {
		{"$fu", "$fu"}, {"$fu", "$fu/username"}, {"$fu", "$fu/domain"}, {"$ci", "$ci"}};
	struct stage *s = *state;
	char body[1024];

	for (unsigned i = 0; i < 4; i++) {
		const char *store = sources[i][0], *load = sources[i][1];

		snprintf(body, sizeof(body),
			"avp_db_load(\"%s\", \"$avp(n%u)\"); avp_db_load(\"%s\", \"a\"); "
			"avp_delete(\"a/g\"); $avp(n%u) = \"new\"; "
			"avp_db_store(\"%s\", \"$avp(n%u)\"); avp_delete(\"a/g\"); "
			"avp_db_load(\"%s\", \"$avp(n%u)\"); note($avp(n%u)); "
			"avp_delete(\"a/g\"); avp_db_load(\"%s\", \"a\"); note($avp(n%u)); "
			"avp_db_delete(\"%s\", \"$avp(n%u)\"); "
			"avp_delete(\"a/g\"); avp_db_load(\"%s\", \"$avp(n%u)\"); note($avp(n%u));",
			load, i, load, i, store, i, load, i, i, load, i, store, i, load, i, i);
		gives(s, DOMAIN, body, "note(new) note(new) note(null)");
		/* Two loads, store, two loads, delete, load. */
		assert_int_equal(s->waits, 7);
	}
	assert_string_equal(stage_rows(s, ALL), "");
	/* What others have stays known. */
	gives(s, DOMAIN,
		"avp_db_load(\"$ru\", \"$avp(x)\"); avp_db_load(\"$fu\", \"$avp(y)\"); $avp(x) = "
		"1; avp_db_store(\"$fu\", "
		"\"$avp(x)\"); avp_db_load(\"$ru\", \"$avp(x)\"); avp_db_load(\"$fu\", "
		"\"$avp(y)\");",
		"");
	assert_int_equal(s->waits, 3);
	/* Taking all away makes each of them old. */
	gives(s, DOMAIN,
		"avp_db_load(\"$fu\", \"$avp(x)\"); note($avp(x)); avp_db_delete(\"$fu\", \"a\"); "
		"avp_delete(\"a/g\"); "
		"avp_db_load(\"$fu\", \"$avp(x)\"); note($avp(x));",
		"note(1) note(null)");
}

static void rows_go(void **state)
{
	struct stage *s = *state;

	stage_add(s, "alice", "example.org", "x", 0, "1");
	stage_add(s, "alice", "example.org", "y", 1, "2");
	stage_add(s, "alice", "example.org", "5", 2, "3");
	stage_add(s, "alice", "example.com", "x", 0, "other");
	stage_add(s, "bob", "example.org", "x", 0, "of bob");
	gives(s, DOMAIN,
		"avp_db_delete(\"$fu\", \"$avp(x)\"); note($rc); avp_db_delete(\"$fu\", "
		"\"$avp(no)\"); note($rc);",
		"note(1) note(1)");
	assert_string_equal(
		stage_rows(s, "SELECT value FROM usr_preferences ORDER BY id"), "2|3|other|of bob");
	gives(s, DOMAIN, "avp_db_delete(\"$fu\", \"i\");", "");
	assert_string_equal(
		stage_rows(s, "SELECT value FROM usr_preferences ORDER BY id"), "2|other|of bob");
	gives(s, DOMAIN, "avp_db_delete(\"$fu\", \"s\");", "");
	assert_string_equal(
		stage_rows(s, "SELECT value FROM usr_preferences ORDER BY id"), "other|of bob");
	gives(s, DOMAIN, "avp_db_delete(\"$fu/username\", \"a\");", "");
	assert_string_equal(
		stage_rows(s, "SELECT value FROM usr_preferences ORDER BY id"), "of bob");
}

static void other_tables(void **state)
{
	struct stage *s = *state;

	stage_sql(s, "CREATE TABLE t2 (uuid TEXT, username TEXT, domain TEXT, attribute TEXT, "
		     "value TEXT, type INT)");
	gives(s, "",
		"$avp(x) = 1; avp_db_store(\"$fu\", \"$avp(x)/t2\"); avp_delete(\"$avp(x)\"); "
		"avp_db_load(\"$fu\", "
		"\"$avp(x)/t2\"); note($avp(x)); avp_db_delete(\"$fu\", \"a/t2\");",
		"note(1)");
	assert_string_equal(stage_rows(s, "SELECT value FROM t2"), "");
	assert_string_equal(stage_rows(s, ALL), "");
}

static void what_cannot_be_done(void **state)
{
	struct stage *s = *state;

	s->dead = true;
	gives(s, "",
		"$avp(x) = 1; avp_db_store(\"$fu\", \"$avp(x)\"); note($rc); "
		"avp_db_delete(\"$fu\", \"$avp(x)\"); note($rc);",
		"note(-2) note(-2)");
	s->dead = false;
	gives(s, "",
		"$avp(x) = 1; avp_db_store(\"$fu\", \"$avp(x)/no_table\"); note($rc); "
		"avp_db_delete(\"$avp(no)\", "
		"\"$avp(x)\"); note($rc); avp_db_store(\"$avp(no)/uri\", \"$avp(x)\"); note($rc);",
		"note(-1) note(-1) note(-1)");
	/* Nothing was stored, so that it can be. */
	gives(s, "",
		"$avp(x) = 1; avp_db_store(\"$fu\", \"$avp(x)/no_table\"); "
		"avp_db_store(\"$fu\", \"$avp(x)\"); note($rc);",
		"note(1)");
	/* More than a change holds is refused whole. */
	gives(s, "",
		"$var(t) = $(ru) + $(ru) + $(ru) + $(ru); $var(i) = 0; while ($var(i) < 60) { "
		"$avp(long) = $var(t); $var(i) = "
		"$var(i) + 1; } avp_db_store(\"$fu\", \"$avp(long)\"); note($rc);",
		"note(-1)");
	assert_string_equal(
		stage_rows(s, "SELECT COUNT(*) FROM usr_preferences WHERE attribute = 'long'"),
		"0");
	refused(s, "", "avp_db_store(\"$fu\", $avp(x));", "a string is needed here");
	refused(s, "modparam(\"avpops\", \"db_scheme\", \"s:table=x\")",
		"avp_db_store(\"$fu\", \"$avp(x)/$s\");", "for avp_db_load() alone");
	refused(s, "",
		"t_on_branch(\"1\"); } branch_route[1] { avp_db_store(\"$fu\", \"$avp(x)\");",
		"'avp_db_store' cannot be used in branch_route");
	refused(s, "",
		"t_on_reply(\"1\"); } onreply_route[1] { avp_db_delete(\"$fu\", \"$avp(x)\");",
		"'avp_db_delete' cannot be used in onreply_route");
}

static void nothing_that_is_stored_is_sql(void **state)
{
	struct stage *s = *state;

	gives(s, "",
		"$avp(x) = \"'); DROP TABLE usr_preferences; --\"; $ru = "
		"\"sip:a'%22;--@example.net\"; "
		"avp_db_store(\"$ru\", \"$avp(x)\"); avp_delete(\"$avp(x)\"); avp_db_load(\"$ru\", "
		"\"$avp(x)\"); note($avp(x));",
		"note('); DROP TABLE usr_preferences; --)");
	assert_string_equal(stage_rows(s, "SELECT username FROM usr_preferences"), "a'\";--");
}

/* A key that is another at each look is taken at the first one. */
static void what_changes_by_itself_is_stored_once(void **state)
{
	struct stage *s = *state;

	gives(s, "",
		"$avp(x) = 1; avp_db_store(\"u$RANDOM/uuid\", \"$avp(x)\"); note($rc); "
		"avp_db_delete(\"u$RANDOM/uuid\", \"$avp(x)\"); note($rc); "
		"avp_db_load(\"u$RANDOM/uuid\", \"$avp(y)\"); note($rc);",
		"note(1) note(1) note(-1)");
	assert_int_equal(s->waits, 3);
	assert_string_equal(stage_rows(s, "SELECT COUNT(*) FROM usr_preferences"), "1");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
		TEST(avps_become_rows),
		TEST(what_stands_there_is_not_stored_again),
		TEST(a_source_says_by_what_rows_are_found),
		TEST(a_script_finds_what_it_has_stored),
		TEST(rows_go),
		TEST(other_tables),
		TEST(what_changes_by_itself_is_stored_once),
		TEST(what_cannot_be_done),
		TEST(nothing_that_is_stored_is_sql),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
