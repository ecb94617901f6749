/* SPDX-License-Identifier: BSD-3-Clause */
/* avp_db_query(): SQL of the operator's own, in which nothing that a message carries is SQL. */
#include "common.h"

#include <stdio.h>

static void people(struct stage *s)
{
	stage_sql(s, "CREATE TABLE people (name TEXT, age INT, pay REAL, note TEXT)");
	stage_sql(s, "INSERT INTO people VALUES ('alice', 42, 1.5, 'at example.org')");
	stage_sql(s, "INSERT INTO people VALUES ('bob', 17, NULL, '')");
	stage_sql(s, "INSERT INTO people VALUES ('o''hara', 1, 2.0, 'quoted')");
}

static void columns_go_into_avps(void **state)
{
	struct stage *s = *state;

	people(s);
	gives(s, "",
		"avp_db_query(\"SELECT age, note FROM people WHERE name = '$fU'\", "
		"\"$avp(s:age);$avp(i:9)\"); "
		"note($rc, $avp(age) + 1, $avp(i:9));",
		"note(1,43,at example.org)");
	gives(s, "",
		"avp_db_query(\"select name, age from people order by age desc\"); "
		"note($(avp(i:1)[*]), $(avp(i:2)[*]));",
		"note(alice, bob, o'hara,42, 17, 1)");
	gives(s, "",
		"avp_db_query(\"SELECT age FROM people WHERE name = 'nobody'\", "
		"\"$avp(x)\"); note($rc);",
		"note(-2)");
	/* What is empty or not there makes no value. */
	gives(s, "",
		"avp_db_query(\"SELECT pay, note, age FROM people WHERE age = 17;\", "
		"\"$avp(a);$avp(b);$avp(c)\"); "
		"note($avp(a), $avp(b), $avp(c));",
		"note(null,null,17)");
	gives(s, "",
		"avp_db_query(\"SELECT pay FROM people WHERE age = 42\", \"$avp(a)\"); "
		"note($avp(a));",
		"note(1.5)");
	gives(s, "",
		"avp_db_query(\"SELECT * FROM people WHERE age = 42\", "
		"\"$avp(a);$avp(b);$avp(c);$avp(d)\"); note($avp(a), $avp(d));",
		"note(alice,at example.org)");
	/* Columns behind the last AVP are passed over. */
	gives(s, "",
		"avp_db_query(\"SELECT max(age, 50), name, ',from' FROM people WHERE age = 42\", "
		"\"$avp(a)\"); note($avp(a), $cnt(avp(a)));",
		"note(50,1)");
}

static void variables_are_parameters(void **state)
{
	struct stage *s = *state;

	people(s);
	gives(s, "",
		"$var(n) = \"o'hara\"; avp_db_query(\"SELECT note FROM people WHERE name = "
		"'$var(n)'\", \"$avp(x)\"); note($avp(x));",
		"note(quoted)");
	gives(s, "",
		"$var(n) = \"' OR ''='\"; avp_db_query(\"SELECT note FROM people WHERE name = "
		"'$var(n)'\", \"$avp(x)\"); note($rc);",
		"note(-2)");
	gives(s, "",
		"$var(n) = \"1; DROP TABLE people\"; avp_db_query(\"SELECT note FROM people "
		"WHERE age = $var(n)\", \"$avp(x)\"); note($rc);",
		"note(-2)");
	gives(s, "",
		"$var(n) = 42; avp_db_query(\"SELECT name FROM people WHERE age = $var(n) AND name "
		"<> '$$'\", \"$avp(x)\"); note($avp(x));",
		"note(alice)");
	gives(s, "",
		"avp_db_query(\"SELECT name FROM people WHERE note LIKE '%$fd' AND name IN "
		"($(fu{uri.user}),'it''s')\", \"$avp(x)\"); note($avp(x));",
		"note(alice)");
	gives(s, "",
		"$var(h) = \"c328\"; $var(n) = $(var(h){s.decode.hexa}); avp_db_query(\"SELECT age "
		"FROM people WHERE name = '$var(n)'\", \"$avp(x)\"); note($rc);",
		"note(-1)");
	assert_int_equal(s->waits, 0);
	assert_string_equal(stage_rows(s, "SELECT COUNT(*) FROM people"), "3");
}

static void changes_are_made_once_each(void **state)
{
	struct stage *s = *state;

	people(s);
	gives(s, "",
		"avp_db_query(\"UPDATE people SET age = age + 1 WHERE name = '$fU'\"); note($rc); "
		"avp_db_query(\"UPDATE people SET age = age + 1 WHERE name = '$fU'\"); note($rc); "
		"avp_db_query(\"INSERT INTO people (name, note) VALUES ('$rU', $rd)\"); note($rc); "
		"avp_db_query(\"DELETE FROM people WHERE name = 'o''hara'\"); note($rc);",
		"note(1) note(1) note(1) note(1)");
	assert_int_equal(s->waits, 4);
	assert_string_equal(stage_rows(s, "SELECT age FROM people WHERE name = 'alice'"), "44");
	assert_string_equal(
		stage_rows(s, "SELECT note FROM people WHERE name = 'bob' AND age IS NULL"),
		"example.net");
	assert_string_equal(stage_rows(s, "SELECT COUNT(*) FROM people"), "3");
	gives(s, "",
		"avp_db_query(\"UPDATE no_table SET x = 1\"); note($rc); avp_db_query(\"SELECT x "
		"FROM no_table\"); note($rc);",
		"note(-1) note(-1)");
	s->dead = true;
	gives(s, "",
		"avp_db_query(\"DELETE FROM people\"); note($rc); avp_db_query(\"SELECT age + 1 "
		"FROM people\"); note($rc);",
		"note(-1) note(-1)");
	s->dead = false;
	assert_string_equal(stage_rows(s, "SELECT COUNT(*) FROM people"), "3");
}

/* What is another at each look is taken at the first one, by changes and by questions. */
static void what_changes_by_itself_is_asked_once(void **state)
{
	struct stage *s = *state;

	people(s);
	gives(s, "",
		"avp_db_query(\"INSERT INTO people (name, age) VALUES ('x', $RANDOM)\"); "
		"note($rc); "
		"avp_db_query(\"INSERT INTO people (name, age) VALUES ('x', $TV(u))\"); note($rc);",
		"note(1) note(1)");
	assert_int_equal(s->waits, 2);
	assert_string_equal(stage_rows(s, "SELECT COUNT(*) FROM people WHERE name = 'x'"), "2");
	gives(s, "",
		"avp_db_query(\"SELECT name FROM people WHERE age > 0 - $RANDOM AND name = "
		"'$fU'\", "
		"\"$avp(n)\"); note($rc, $avp(n));",
		"note(1,alice)");
	assert_int_equal(s->waits, 1);
	/* Each turn of a loop is a call of its own. */
	gives(s, "",
		"$var(i) = 0; while ($var(i) < 3) { avp_db_query(\"INSERT INTO people (name, age) "
		"VALUES ('y', $RANDOM)\"); $var(i) = $var(i) + 1; }",
		"");
	assert_int_equal(s->waits, 3);
	assert_string_equal(stage_rows(s, "SELECT COUNT(*) FROM people WHERE name = 'y'"), "3");
}

/* A second, where nothing else is said. */
static void an_answer_is_remembered_for_its_time(void **state)
{
	static const char body[] =
		"avp_db_query(\"SELECT age FROM people WHERE name = '$fU'\", \"$avp(x)\");";
	struct stage *s = *state;

	people(s);
	gives(s, "", body, "");
	assert_int_equal(s->waits, 1);
	gives(s, "", body, "");
	assert_int_equal(s->waits, 0);
	stage_pass(s, 2);
	gives(s, "modparam(\"avpops\", \"query_cache_ttl\", 10)", body, "");
	assert_int_equal(s->waits, 1);
	stage_pass(s, 9);
	gives(s, "modparam(\"avpops\", \"query_cache_ttl\", 10)", body, "");
	assert_int_equal(s->waits, 0);
}

/* What is remembered from before is not what a script finds behind a change of its own. */
static void a_script_finds_what_it_has_changed(void **state)
{
#define ASK \
	"avp_db_query(\"SELECT age FROM people WHERE name = '$fU'\", \"$avp(x)\"); note($avp(x));"
#define CHANGE "avp_db_query(\"UPDATE people SET age = age + 1 WHERE name = '$fU'\");"
	struct stage *s = *state;

	people(s);
	gives(s, "", ASK CHANGE ASK CHANGE ASK ASK, "note(42) note(43) note(44) note(44)");
	/* Others ask the cache, and those that change other rows do not. */
	gives(s, "", ASK, "note(44)");
	assert_int_equal(s->waits, 0);
	gives(s, "", "$avp(y) = 1; avp_db_store(\"$fu\", \"$avp(y)\");" ASK, "note(44)");
	assert_int_equal(s->waits, 2);
	/* No answer is none. */
	s->dead = true;
	gives(s, "",
		CHANGE "avp_db_query(\"SELECT age FROM people WHERE name = '$fU'\"); note($rc);",
		"note(-1)");
}

static void what_a_load_says_no_to(void **state)
{
	struct stage *s = *state;

	refused(s, "", "avp_db_query(\"DROP TABLE people\");", "a query is a SELECT, INSERT");
	refused(s, "", "avp_db_query(\"SELECT 1; DELETE FROM people\");", "one statement");
	refused(s, "", "avp_db_query(\"SELECT a FROM t WHERE x = ?\");",
		"one statement without '?'");
	refused(s, "", "avp_db_query(\"SELECT a FROM t WHERE x = '$fU\");", "does not end");
	refused(s, "", "avp_db_query(\"SELECT a FROM t WHERE x = '\\\\' OR $fU'\");",
		"no backslash");
	refused(s, "", "avp_db_query(\"SELECT a FROM `$fU`\");", "cannot be a variable");
	refused(s, "", "avp_db_query(\"SELECT * FROM t\");", "say which columns are wanted");
	refused(s, "", "avp_db_query(\"SELECT a FROM t\", \"$avp(a);$avp(b)\");",
		"no fewer than AVPs");
	refused(s, "", "avp_db_query(\"SELECT a FROM t\", \"x\");", "what is found goes into AVPs");
	refused(s, "", "avp_db_query(\"SELECT a FROM t\", \"$avp(a);;$avp(b)\");",
		"what is found goes into AVPs");
	refused(s, "", "avp_db_query(\"SELECT a FROM t WHERE x = $nonsense\");",
		"unknown pseudo-variable");
	refused(s, "", "avp_db_query(\"SELECT a FROM t WHERE x = \" + $fU);",
		"has to be known when the file is read");
	refused(s, "", "avp_db_query(\"SELECT a -- $fU\\n FROM t\");", "not 1 parameters");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
		TEST(columns_go_into_avps),
		TEST(variables_are_parameters),
		TEST(changes_are_made_once_each),
		TEST(what_changes_by_itself_is_asked_once),
		TEST(an_answer_is_remembered_for_its_time),
		TEST(a_script_finds_what_it_has_changed),
		TEST(what_a_load_says_no_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
