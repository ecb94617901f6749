/* SPDX-License-Identifier: BSD-3-Clause */
/* avp_db_load(): whose rows become which AVPs. */
#include "common.h"

#include <stdio.h>

#define DOMAIN "modparam(\"avpops\", \"use_domain\", 1)"
#define RC "note($rc); "

static void rows_become_avps_the_last_one_first(void **state)
{
	struct stage *s = *state;

	stage_add(s, "alice", "", "fwd", 0, "sip:one@example.com");
	stage_add(s, "alice", "", "fwd", 0, "sip:two@example.com");
	stage_add(s, "alice", "", "limit", 1, "-15");
	stage_add(s, "alice", "", "limit", 1, "no number");
	stage_add(s, "alice", "", "empty", 0, "");
	stage_add(s, "alice", "", "12", 2, "by number");
	stage_add(s, "bob", "", "fwd", 0, "not hers");
	gives(s, "",
		"avp_db_load(\"$fu\", \"$avp(s:fwd)\"); " RC "note($(avp(fwd)[*]), $avp(s:fwd));",
		"note(1) note(sip:two@example.com, sip:one@example.com,sip:two@example.com)");
	/* Numbers are numbers: they can be computed with. */
	gives(s, "",
		"avp_db_load(\"$fu\", \"$avp(limit)\"); note($avp(limit) - 1, $cnt(avp(limit)));",
		"note(-16,1)");
	gives(s, "",
		"avp_db_load(\"$fu\", \"$avp(empty)\"); " RC "note($avp(empty), $cnt(avp(empty)));",
		"note(1) note(,1)");
	gives(s, "", "avp_db_load(\"$fu\", \"$avp(i:12)\"); note($avp(i:12), $avp(12));",
		"note(by number,by number)");
	gives(s, "", "avp_db_load(\"$fu\", \"s:fwd\"); note($avp(fwd));",
		"note(sip:two@example.com)");
	/* What is there already stays. */
	gives(s, "",
		"$avp(fwd) = \"before\"; avp_db_load(\"$fu\", \"$avp(fwd)\"); "
		"note($cnt(avp(fwd)));",
		"note(3)");
	gives(s, "",
		"avp_db_load(\"$fu\", \"$avp(nothing)\"); " RC
		"if (!is_avp_set(\"$avp(nothing)\")) note(0);",
		"note(-1) note(0)");
}

static void a_source_says_whose_they_are(void **state)
{
	struct stage *s = *state;

	stage_add(s, "alice", "example.org", "x", 0, "domain");
	stage_add(s, "alice", "example.com", "x", 0, "other");
	stage_add(s, "", "example.org", "x", 0, "all of it");
	stage_add(s, "bob", "example.net", "x", 0, "of bob");
	stage_sql(s, "INSERT INTO usr_preferences (uuid, attribute, value) VALUES ('u-1', 'x', 'by "
		     "uuid')");
	gives(s, DOMAIN, "avp_db_load(\"$fu\", \"$avp(x)\"); note($(avp(x)[*]));", "note(domain)");
	gives(s, DOMAIN, "avp_db_load(\"$(fu)/uri\", \"$avp(x)\"); note($(avp(x)[*]));",
		"note(domain)");
	gives(s, "", "avp_db_load(\"$fu\", \"$avp(x)\"); note($(avp(x)[*]));",
		"note(other, domain)");
	gives(s, DOMAIN, "avp_db_load(\"$fu/username\", \"$avp(x)\"); note($(avp(x)[*]));",
		"note(other, domain)");
	gives(s, DOMAIN, "avp_db_load(\"$fu/domain\", \"$avp(x)\"); note($(avp(x)[*]));",
		"note(all of it, domain)");
	gives(s, DOMAIN, "avp_db_load(\"$ru\", \"$avp(x)\"); note($avp(x));", "note(of bob)");
	gives(s, DOMAIN, "avp_db_load(\"$tu\", \"$avp(x)\"); note($avp(x));", "note(of bob)");
	gives(s, DOMAIN, "avp_db_load(\"u-1\", \"$avp(x)\"); note($avp(x));", "note(by uuid)");
	gives(s, DOMAIN, "$var(u) = \"u-1\"; avp_db_load(\"$var(u)\", \"$avp(x)\"); note($avp(x));",
		"note(by uuid)");
	gives(s, DOMAIN,
		"$avp(who) = \"sip:bob@example.net\"; avp_db_load(\"$avp(who)/uri\", \"$avp(x)\"); "
		"note($avp(x));",
		"note(of bob)");
	gives(s, DOMAIN, "avp_db_load(\"sip:$fU@example.com/uri\", \"$avp(x)\"); note($avp(x));",
		"note(other)");
	/* By another spelling of his name he is still who he is. */
	gives(s, DOMAIN,
		"$ru = \"sip:%62o%62@EXAMPLE.Net;x=y\"; avp_db_load(\"$ru\", \"$avp(x)\"); "
		"note($avp(x));",
		"note(of bob)");
}

static void who_is_nobody_has_nothing(void **state)
{
	struct stage *s = *state;
	char body[1024];

	stage_add(s, "", "", "x", 0, "of nobody");
	gives(s, "", "avp_db_load(\"$avp(no)\", \"$avp(x)\"); " RC, "note(-1)");
	gives(s, "", "$ru = \"sip:example.net\"; avp_db_load(\"$ru\", \"$avp(x)\"); " RC,
		"note(-1)");
	gives(s, "", "$ru = \"tel:+123\"; avp_db_load(\"$ru\", \"$avp(x)\"); " RC, "note(-1)");
	gives(s, "", "avp_db_load(\"no uri/uri\", \"$avp(x)\"); " RC, "note(-1)");
	/* What is no text of any database asks none. */
	gives(s, "", "$ru = \"sip:%c3%28@h\"; avp_db_load(\"$ru\", \"$avp(x)\"); " RC, "note(-1)");
	assert_int_equal(s->waits, 0);
	gives(s, "", "$ru = \"sip:%c3%a4@h\"; avp_db_load(\"$ru\", \"$avp(x)\"); " RC, "note(-1)");
	assert_int_equal(s->waits, 1);
	/* The domain alone needs no user. */
	gives(s, "", "$ru = \"sip:example.net\"; avp_db_load(\"$ru/domain\", \"$avp(x)\"); " RC,
		"note(-1)");
	assert_int_equal(s->waits, 1);
	snprintf(body, sizeof(body),
		"$ru = \"sip:%0300d@h\"; avp_db_load(\"$ru\", \"$avp(x)\"); " RC, 1);
	gives(s, "", body, "note(-1)");
	assert_int_equal(s->waits, 0);
}

static void several_avps_come_at_once(void **state)
{
	struct stage *s = *state;

	stage_add(s, "alice", "", "a", 0, "A");
	stage_add(s, "alice", "", "b", 1, "2");
	stage_add(s, "alice", "", "5", 2, "five");
	stage_add(s, "alice", "", "6", 3, "6");
	stage_add(s, "alice", "", "no name", 0, "cannot be said");
	gives(s, "", "avp_db_load(\"$fu\", \"a\"); note($avp(a), $avp(b), $avp(i:5), $avp(i:6));",
		"note(A,2,five,6)");
	assert_int_equal(s->l.ctx->avps, 4);
	gives(s, "", "avp_db_load(\"$fu\", \"s\"); note($avp(a), $avp(b), $avp(i:5), $avp(i:6));",
		"note(A,2,null,null)");
	gives(s, "", "avp_db_load(\"$fu\", \"i:\"); note($avp(a), $avp(b), $avp(i:5), $avp(i:6));",
		"note(null,null,five,6)");
}

static void other_tables_and_schemes(void **state)
{
	static const char schemes[] = "modparam(\"avpops\", \"db_scheme\", "
				      "\"mail:table=people;username_col=who;value_col=mail\")\n"
				      "modparam(\"avpops\", \"db_scheme\", \"Age: table=people ; "
				      "uuid_col=who; value_col=age; value_type=integer\")";
	struct stage *s = *state;

	stage_sql(
		s, "CREATE TABLE fwd_table (username TEXT, attribute TEXT, type INT, value TEXT)");
	stage_sql(s, "INSERT INTO fwd_table VALUES ('alice', 'x', 0, 'without an id')");
	gives(s, "", "avp_db_load(\"$fu\", \"$avp(s:x)/fwd_table\"); note($avp(x));",
		"note(without an id)");
	stage_sql(s, "CREATE TABLE people (who TEXT, mail TEXT, age INT)");
	stage_sql(s, "INSERT INTO people VALUES ('alice', 'alice@example.org', 42)");
	gives(s, schemes,
		"avp_db_load(\"$fu\", \"$avp(m)/$mail\"); avp_db_load(\"$fU/uuid\", "
		"\"$avp(n)/$AGE\"); "
		"note($avp(m), $avp(n) + 1);",
		"note(alice@example.org,43)");
	gives(s,
		"modparam(\"avpops\", \"avp_table\", \"own\") modparam(\"avpops\", "
		"\"username_column\", \"u\") "
		"modparam(\"avpops\", \"attribute_column\", \"a\") modparam(\"avpops\", "
		"\"value_column\", \"v\") "
		"modparam(\"avpops\", \"type_column\", \"t\")",
		"avp_db_load(\"$fu\", \"$avp(x)\"); note($rc);", "note(-2)");
	stage_sql(s, "CREATE TABLE own (id INTEGER PRIMARY KEY, u TEXT, a TEXT, v TEXT, t INT)");
	stage_sql(s, "INSERT INTO own (u, a, v, t) VALUES ('alice', 'x', '7', 1)");
	stage_forget(s);
	gives(s,
		"modparam(\"avpops\", \"avp_table\", \"own\") modparam(\"avpops\", "
		"\"username_column\", \"u\") "
		"modparam(\"avpops\", \"attribute_column\", \"a\") modparam(\"avpops\", "
		"\"value_column\", \"v\") "
		"modparam(\"avpops\", \"type_column\", \"t\")",
		"avp_db_load(\"$fu\", \"$avp(x)\"); note($avp(x) + 1);", "note(8)");
}

static void what_was_read_is_remembered(void **state)
{
	struct stage *s = *state;

	stage_add(s, "alice", "", "x", 0, "1");
	gives(s, "",
		"avp_db_load(\"$fu\", \"$avp(x)\"); avp_db_load(\"$fu\", \"$avp(x)\"); "
		"note($cnt(avp(x)));",
		"note(2)");
	assert_int_equal(s->waits, 1);
	gives(s, "", "avp_db_load(\"$fu\", \"$avp(x)\"); avp_db_load(\"$fu\", \"$avp(no)\");", "");
	assert_int_equal(s->waits, 1);
	gives(s, "", "avp_db_load(\"$fu\", \"$avp(no)\"); " RC, "note(-1)");
	assert_int_equal(s->waits, 0);
}

static void what_was_read_is_remembered_for_its_time(void **state)
{
	static const char ttl[] = "modparam(\"avpops\", \"cache_ttl\", 25) "
				  "modparam(\"avpops\", \"cache_negative_ttl\", 10)";
	static const char body[] =
		"avp_db_load(\"$fu\", \"$avp(x)\"); avp_db_load(\"$ru\", \"$avp(x)\");";
	static const unsigned waits[] = {2, 0, 1, 1, 1};
	static const unsigned passes[] = {9, 2, 13, 2, 0};
	struct stage *s = *state;

	stage_add(s, "alice", "", "x", 0, "1");
	/* At 0 s both are asked for, at 9 none, at 11 and 24 what was not there, at 26 what was. */
	for (unsigned i = 0; i < 5; i++) {
		gives(s, ttl, body, "");
		assert_int_equal(s->waits, waits[i]);
		stage_pass(s, passes[i]);
	}
}

static void a_database_that_does_not_answer(void **state)
{
	struct stage *s = *state;

	s->dead = true;
	gives(s, "",
		"avp_db_load(\"$fu\", \"$avp(x)\"); " RC
		"if (!avp_db_load(\"$fu\", \"$avp(x)\")) note(\"none\");",
		"note(-2) note(none)");
	/* One that says no: there is no such table. */
	s->dead = false;
	gives(s, "", "avp_db_load(\"$fu\", \"$avp(x)/no_table\"); " RC, "note(-2)");
}

static void answers_are_bounded(void **state)
{
	struct stage *s = *state;

	for (unsigned i = 0; i < 32; i++)
		stage_add(s, "alice", "", "x", 0, "v");
	gives(s, "", "avp_db_load(\"$fu\", \"$avp(x)\"); " RC "note($cnt(avp(x)));",
		"note(1) note(32)");
	stage_add(s, "alice", "", "x", 0, "v");
	stage_forget(s);
	gives(s, "", "avp_db_load(\"$fu\", \"$avp(x)\"); " RC "note($cnt(avp(x)));",
		"note(-2) note(0)");
}

static void what_a_load_says_no_to(void **state)
{
	struct stage *s = *state;

	refused(s, "", "avp_db_load(\"$nonsense\", \"$avp(x)\");",
		"unknown pseudo-variable '$nonsense'");
	refused(s, "", "avp_db_load(\"\", \"$avp(x)\");", "whose AVPs");
	refused(s, "", "avp_db_load($fu, \"$avp(x)\");", "whose AVPs");
	refused(s, "", "avp_db_load(\"$fu\", $avp(x));", "a string is needed here");
	refused(s, "", "avp_db_load(\"$fu\", \"$avp(x)/.t\");", "no name of a table");
	refused(s, "", "avp_db_load(\"$fu\", \"$avp(x)/t.\");", "no name of a table");
	refused(s, "", "avp_db_load(\"$fu\", \"x\");", "an AVP is needed here");
	refused(s, "", "avp_db_load(\"$fu\", \"$avp(x)/no table\");", "no name of a table");
	refused(s, "", "avp_db_load(\"$fu\", \"$avp(x)/t; DROP TABLE t\");", "no name of a table");
	refused(s, "", "avp_db_load(\"$fu\", \"$avp(x)/$some\");", "no db_scheme is called 'some'");
	refused(s, "modparam(\"avpops\", \"db_scheme\", \"s:value_col=x\")",
		"avp_db_load(\"$fu\", \"$avp(x)/$s\");", "it names no table");
	refused(s, "modparam(\"avpops\", \"db_scheme\", \"s:table=x y\")",
		"avp_db_load(\"$fu\", \"$avp(x)/$s\");", "'table=x y' is none of table");
	refused(s, "modparam(\"avpops\", \"db_scheme\", \"s:table=x;value_type=float\")",
		"avp_db_load(\"$fu\", \"$avp(x)/$s\");", "'value_type=float' is none of");
	refused(s, "modparam(\"avpops\", \"db_scheme\", \"s:table=x\")",
		"avp_db_load(\"$fu\", \"a/$s\");", "the AVP needs a name");
	refused(s, "modparam(\"avpops\", \"value_column\", \"a; b\")",
		"avp_db_load(\"$fu\", \"$avp(x)\");", "'a; b' is no name of a column");
	refused(s, "modparam(\"avpops\", \"db_url\", \"oracle://x\")",
		"avp_db_load(\"$fu\", \"$avp(x)\");", "a URL of a database");
	refused(s, "modparam(\"avpops\", \"use_domain\", 2)", "exit;", "'use_domain' is 0 to 1");
}

static void a_script_without_a_database(void **state)
{
	struct stage *s = *state;
	struct avpops *none = avpops_create(NULL), *own = s->avpops;

	assert_non_null(none);
	for (unsigned i = 0; i < s->l.registry.count; i++) {
		if (s->l.registry.room[i] == own)
			s->l.registry.room[i] = none;
	}
	refused(s, "", "avp_db_load(\"$fu\", \"$avp(x)\");",
		"this asks a database, and there is none");
	gives(s, "", "$avp(x) = 1; if (is_avp_set(\"$avp(x)\")) note(1);", "note(1)");
	avpops_destroy(none);
}

/* What refused configurations would have loaded is in nobody's way; what others do is kept in mind.
 */
static void what_was_refused_is_not_counted(void **state)
{
	enum { MOST = 256 };
	struct stage *s = *state;
	char body[512], expected[64];

	for (unsigned i = 0; i < MOST + 10; i++) {
		snprintf(
			body, sizeof(body), "avp_db_load(\"$fu\", \"$avp(bad%u)\"); no_such();", i);
		refused(s, "", body, "no_such");
	}
	for (unsigned i = 0; i < MOST; i++) {
		snprintf(body, sizeof(body),
			"avp_db_load(\"$fu\", \"$avp(x%u)\"); note($rc); $avp(x%u) = %u; "
			"avp_db_store(\"$fu\", \"$avp(x%u)\"); $avp(x%u) = $null; "
			"avp_db_load(\"$fu\", \"$avp(x%u)\"); note($avp(x%u));",
			i, i, i, i, i, i, i);
		snprintf(expected, sizeof(expected), "note(-1) note(%u)", i);
		gives(s, "", body, expected);
	}
	refused(s, "", "avp_db_load(\"$fu\", \"$avp(more)\");", "more than 256 AVPs are loaded");
	gives(s, "", "avp_db_load(\"$fu\", \"$avp(x7)\"); note($avp(x7));", "note(7)");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
		TEST(rows_become_avps_the_last_one_first),
		TEST(a_source_says_whose_they_are),
		TEST(who_is_nobody_has_nothing),
		TEST(several_avps_come_at_once),
		TEST(other_tables_and_schemes),
		TEST(what_was_read_is_remembered),
		TEST(what_was_read_is_remembered_for_its_time),
		TEST(a_database_that_does_not_answer),
		TEST(answers_are_bounded),
		TEST(what_a_load_says_no_to),
		TEST(a_script_without_a_database),
		TEST(what_was_refused_is_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
