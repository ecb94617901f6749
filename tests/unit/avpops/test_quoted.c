/* SPDX-License-Identifier: BSD-3-Clause */
/* avp_db_query(): what stands in quotes is a text for each engine, whatever a message puts there.
 */
#include "common.h"

static void people(struct stage *s)
{
	stage_sql(s, "DROP TABLE IF EXISTS people");
	stage_sql(s, "CREATE TABLE people (name VARCHAR(64), age INT, note VARCHAR(64))");
	stage_sql(s, "INSERT INTO people VALUES ('alice', 42, 'x')");
	stage_sql(s, "INSERT INTO people VALUES ('bob', 17, 'y')");
}

/* A number compared with texts is every text that begins with no digit, for MySQL. */
static void a_number_in_quotes_is_a_text(void **state)
{
	struct stage *s = *state;

	people(s);
	gives(s, "",
		"$var(n) = 0; avp_db_query(\"SELECT name FROM people WHERE name = '$var(n)'\", "
		"\"$avp(x)\"); note($rc); "
		"avp_db_query(\"UPDATE people SET note = 'z' WHERE name = '$var(n)'\"); "
		"avp_db_query(\"DELETE FROM people WHERE name = '$var(n)'\"); note($rc);",
		"note(-2) note(1)");
	assert_string_equal(stage_rows(s, "SELECT note FROM people ORDER BY name"), "x|y");
	gives(s, "",
		"$var(n) = -7; avp_db_query(\"INSERT INTO people (name, age) VALUES ('$var(n)', "
		"$var(n))\"); note($rc); avp_db_query(\"SELECT age FROM people WHERE name = "
		"'-7'\", \"$avp(x)\"); note($avp(x));",
		"note(1) note(-7)");
	/* And is the number where the column has numbers. */
	gives(s, "",
		"$var(n) = 42; avp_db_query(\"SELECT name FROM people WHERE age = '$var(n)'\", "
		"\"$avp(x)\"); note($avp(x)); avp_db_query(\"SELECT name FROM people WHERE age = "
		"$var(n)\", \"$avp(y)\"); note($avp(y));",
		"note(alice) note(alice)");
}

static void what_is_not_there_is_empty_in_quotes(void **state)
{
	struct stage *s = *state;

	people(s);
	gives(s, "",
		"avp_db_query(\"UPDATE people SET note = '$hdr(X-None)' WHERE age = 42\"); "
		"note($rc); avp_db_query(\"UPDATE people SET note = $hdr(X-None) WHERE age = "
		"17\"); note($rc);",
		"note(1) note(1)");
	assert_string_equal(stage_rows(s, "SELECT name FROM people WHERE note = ''"), "alice");
	assert_string_equal(stage_rows(s, "SELECT name FROM people WHERE note IS NULL"), "bob");
}

static void a_text_is_compared_whole(void **state)
{
	struct stage *s = *state;

	people(s);
	gives(s, "",
		"$var(n) = \"' OR ''='\"; avp_db_query(\"SELECT age FROM people WHERE name = "
		"'$var(n)'\", \"$avp(x)\"); note($rc); "
		"avp_db_query(\"SELECT age FROM people WHERE name = 'al$(fU{s.substr,2,3})'\", "
		"\"$avp(y)\"); note($avp(y));",
		"note(-2) note(42)");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_number_in_quotes_is_a_text),
		TEST(what_is_not_there_is_empty_in_quotes),
		TEST(a_text_is_compared_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
