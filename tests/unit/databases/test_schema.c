/* SPDX-License-Identifier: BSD-3-Clause */
/* The schema: made anew, twice, by several at once; over what OpenSER and Kamailio have made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/internal.h"
#include "server.h"

#define TABLES 13
#define REPORT_MAX 1200

static const char *engine;
static struct server *server;
static struct db *db;
static int used;
static char error[DB_ERROR_MAX];

static bool is(const char *name)
{
	return strcmp(engine, name) == 0;
}

/* ---- a database that is looked into from beside ---- */

struct seen {
	unsigned rows;
	char text[4096];
};
static struct seen seen;

static bool take(void *arg, const struct db_value *value, unsigned columns)
{
	size_t len = strlen(seen.text);

	for (unsigned i = 0; i < columns; i++) {
		char number[32];
		struct db_value v = db_value_turn('s', &value[i], number);

		snprintf(seen.text + len, sizeof(seen.text) - len, "%s%.*s",
			i == 0 ? (seen.rows == 0 ? "" : ";") : ",",
			v.type == DB_TEXT ? (int)v.s.len : 4, v.type == DB_TEXT ? v.s.s : "NULL");
		len = strlen(seen.text);
	}
	seen.rows++;
	return true;
}

static enum db_result try(const char *sql)
{
	struct link *link = link_open(db_database_of(db, used), DB_ROLE_NOW, error, sizeof(error));
	struct db_run run = {.visit = take};
	enum db_result result;

	if (link == NULL)
		fail_msg("no connection: %s", error);
	seen.rows = 0;
	seen.text[0] = '\0';
	result = link_sql(link, sql, &run, error, sizeof(error));
	link_close(link);
	return result;
}

/* What it answers: columns between commas, rows between semicolons. */
static const char *sql(const char *text)
{
	if (try(text) != DB_DONE)
		fail_msg("%s: %s", text, error);
	return seen.text;
}

static const char *const tables[TABLES] = {"version", "subscriber", "location", "grp", "uri",
	"dbaliases", "domain", "address", "dispatcher", "acc", "missed_calls", "acc_cdrs",
	"usr_preferences"};

/* ---- what check says ---- */

struct line {
	bool there, usable;
	char text[REPORT_MAX];
};
static struct line lines[TABLES];

static void report(void *arg, const char *table, bool usable, const char *text)
{
	for (size_t i = 0; i < TABLES && tables[i] != NULL; i++) {
		if (strcmp(tables[i], table) == 0) {
			assert_false(lines[i].there);
			lines[i] = (struct line){.there = true, .usable = usable};
			snprintf(lines[i].text, sizeof(lines[i].text), "%s", text);
			return;
		}
	}
	fail_msg("nobody knows a table %s", table);
}

static int check(void)
{
	memset(lines, 0, sizeof(lines));
	return db_schema_check(db, used, report, NULL, error, sizeof(error));
}

static const struct line *line(const char *table)
{
	for (size_t i = 0; i < TABLES && tables[i] != NULL; i++) {
		if (strcmp(tables[i], table) == 0 && lines[i].there)
			return &lines[i];
	}
	fail_msg("nothing was said of %s", table);
	return NULL;
}

static void assert_said(const char *table, bool usable, const char *text)
{
	const struct line *l = line(table);

	if (l->usable != usable || strstr(l->text, text) == NULL)
		fail_msg("%s: %s, and not '%s': %s", table, l->usable ? "usable" : "unusable", text,
			l->text);
}

static unsigned table_count(void)
{
	unsigned n = 0;

	while (n < TABLES && tables[n] != NULL)
		n++;
	return n;
}

/* ---- fixture ---- */

static struct db *open_db(void)
{
	struct db_config config = {0};
	struct db *one = db_create(&config, error, sizeof(error));

	assert_non_null(one);
	return one;
}

static int connect(void **state)
{
	char drop[64];

	if (server == NULL)
		return 0;
	db = open_db();
	used = db_use(db, server_url(server, ""), error, sizeof(error));
	assert_true(used >= 0);
	(void)try("DROP VIEW IF EXISTS subscriber");
	for (unsigned i = 0; i < table_count(); i++) {
		snprintf(drop, sizeof(drop), "DROP TABLE IF EXISTS %s", tables[i]);
		sql(drop);
	}
	return 0;
}

static int disconnect(void **state)
{
	if (server != NULL)
		db_destroy(db);
	return 0;
}

static void need_server(void)
{
	if (server == NULL) {
		print_message(
			"skipped: %s is not installed: tools/install-packages databases\n", engine);
		skip();
	}
}

static int create(void)
{
	int n = db_schema_create(db, used, error, sizeof(error));

	if (n < 0)
		fail_msg("create: %s", error);
	return n;
}

static int migrate(void)
{
	int n = db_schema_migrate(db, used, error, sizeof(error));

	if (n < 0)
		fail_msg("migrate: %s", error);
	return n;
}

/* ---- databases of others: the columns that their tables have, in SQL of each engine ---- */

/* %I an id, %T a time with a default, %D a time without one, %F a number with a fraction, %X the
 * end of a table. */
static void others(const char *const *create_tables)
{
	char text[2048];

	for (; *create_tables != NULL; create_tables++) {
		size_t len = 0;

		for (const char *p = *create_tables; *p != '\0'; p++) {
			const char *put = NULL;

			if (*p != '%') {
				text[len++] = *p;
				continue;
			}
			switch (*++p) {
			case 'I':
				put = is("mysql")    ? "id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY"
				      : is("sqlite") ? "id INTEGER PRIMARY KEY"
						     : "id SERIAL PRIMARY KEY";
				break;
			case 'T':
				put = is("mysql")
					      ? "DATETIME NOT NULL DEFAULT '2000-01-01 00:00:01'"
					      : "TIMESTAMP NOT NULL DEFAULT '2000-01-01 00:00:01'";
				break;
			case 'D':
				put = is("mysql") ? "DATETIME NOT NULL" : "TIMESTAMP NOT NULL";
				break;
			case 'F':
				put = is("mysql") ? "FLOAT(10,2)" : "REAL";
				break;
			case 'X':
				put = is("mysql") ? ") ENGINE = MyISAM DEFAULT CHARSET = latin1"
						  : ")";
			}
			assert_non_null(put);
			len += (size_t)sprintf(text + len, "%s", put);
		}
		text[len] = '\0';
		sql(text);
	}
}

#define WORD(n) "VARCHAR(" #n ") NOT NULL DEFAULT ''"

static const char *const openser[] = {"CREATE TABLE version (table_name VARCHAR(32) NOT NULL, "
				      "table_version INT NOT NULL DEFAULT 0%X",
	"CREATE TABLE subscriber (%I, username " WORD(64) ", domain " WORD(64) ", password " WORD(25) ", first_name " WORD(
		64) ", last_name " WORD(64) ", email_address " WORD(64) ", datetime_created %T, "
									"ha1 " WORD(
										64) ", "
										    "ha1b"
										    " " WORD(
											    64) ", "
												"ti"
												"me"
												"zo"
												"ne"
												" V"
												"AR"
												"CH"
												"AR"
												"(6"
												"4)"
												", "
												"rp"
												"id"
												" V"
												"AR"
												"CH"
												"AR"
												"(6"
												"4)"
												", "
												"CO"
												"NS"
												"TR"
												"AI"
												"NT"
												" a"
												"cc"
												"ou"
												"nt"
												" U"
												"NI"
												"QU"
												"E "
												"(u"
												"se"
												"rn"
												"am"
												"e,"
												" d"
												"om"
												"ai"
												"n)"
												"%"
												"X",
	"CREATE TABLE location (%I, username " WORD(64) ", domain VARCHAR(64), contact " WORD(
		255) ", received VARCHAR(128), path VARCHAR(128), expires %T, q %F NOT NULL "
		     "DEFAULT 1.0, "
		     "callid " WORD(255) ", cseq INT NOT NULL DEFAULT 13, last_modified %T, "
					 "flags INT NOT NULL DEFAULT 0, cflags INT NOT NULL "
					 "DEFAULT 0, user_agent " WORD(
						 255) ", socket VARCHAR(64), methods INT%X",
	"CREATE TABLE grp (%I, username " WORD(64) ", domain " WORD(64) ", grp " WORD(
		64) ", last_modified %T, CONSTRAINT membership UNIQUE (username, domain, grp)%X",
	"CREATE TABLE domain (%I, domain " WORD(
		64) ", last_modified %T, CONSTRAINT once UNIQUE (domain)%X",
	"CREATE TABLE address (%I, grp SMALLINT NOT NULL DEFAULT 0, ip_addr VARCHAR(15) NOT NULL, "
	"mask SMALLINT NOT NULL DEFAULT 32, port SMALLINT NOT NULL DEFAULT 0%X",
	"CREATE TABLE dispatcher (%I, setid INT NOT NULL DEFAULT 0, destination " WORD(
		192) ", description " WORD(64) "%X",
	"CREATE TABLE acc (%I, method " WORD(16) ", from_tag " WORD(64) ", to_tag " WORD(
		64) ", callid " WORD(64) ", sip_code " WORD(3) ", sip_reason " WORD(32) ", time "
											"%D%X",
	"INSERT INTO version VALUES ('subscriber', 6)",
	"INSERT INTO version VALUES ('location', 1004)", "INSERT INTO version VALUES ('grp', 2)",
	"INSERT INTO version VALUES ('domain', 1)", "INSERT INTO version VALUES ('address', 3)",
	"INSERT INTO version VALUES ('dispatcher', 1)", "INSERT INTO version VALUES ('acc', 4)",
	"INSERT INTO subscriber (username, domain, password, ha1, first_name) VALUES "
	"('alice', 'example.net', 'pw', '0123456789abcdef0123456789abcdef', 'Alice')",
	"INSERT INTO subscriber (username, domain) VALUES ('bob', 'example.net')",
	"INSERT INTO location (username, contact, q) VALUES ('alice', 'sip:alice@192.0.2.1', 0.7)",
	"INSERT INTO location (username, contact) VALUES ('alice', 'sip:alice@192.0.2.2')",
	"INSERT INTO address (grp, ip_addr) VALUES (1, '192.0.2.7')", NULL};

static const char *const kamailio[] = {"CREATE TABLE version (%I, table_name VARCHAR(32) NOT NULL, "
				       "table_version INT NOT NULL DEFAULT 0, "
				       "CONSTRAINT one_a_table UNIQUE (table_name)%X",
	"CREATE TABLE subscriber (%I, username " WORD(64) ", domain " WORD(64) ", password " WORD(
		64) ", ha1 " WORD(128) ", ha1b " WORD(128) ", CONSTRAINT account UNIQUE (username, "
							   "domain)%X",
	"CREATE TABLE dbaliases (%I, alias_username " WORD(64) ", alias_domain " WORD(
		64) ", username " WORD(64) ", domain " WORD(64) "%X",
	"INSERT INTO version (table_name, table_version) VALUES ('subscriber', 7)",
	"INSERT INTO version (table_name, table_version) VALUES ('dbaliases', 1)",
	"INSERT INTO subscriber (username, domain, ha1) VALUES "
	"('alice', 'example.net', '0123456789abcdef0123456789abcdef')",
	"INSERT INTO dbaliases (alias_username, username) VALUES ('a', 'alice')", NULL};

/* ---- made anew ---- */

static void test_all_tables_are_made_once(void **state)
{
	need_server();
	assert_int_equal(check(), table_count());
	assert_said("subscriber", false, "is not there");
	assert_int_equal(create(), table_count());
	assert_int_equal(check(), 0);
	for (unsigned i = 0; i < table_count(); i++) {
		/* What is ours has nothing to be said about it. */
		assert_null(strchr(line(tables[i])->text, ';'));
	}
	assert_int_equal(create(), 0);
	assert_int_equal(migrate(), 0);
	assert_string_equal(
		sql("SELECT table_name, table_version FROM version ORDER BY table_name"),
		"acc,5;acc_cdrs,2;address,6;dbaliases,1;dispatcher,4;domain,2;grp,2;location,9;"
		"missed_calls,4;"
		"subscriber,7;uri,1;usr_preferences,2;version,1");
}

static void test_rows_have_their_defaults_and_their_keys(void **state)
{
	need_server();
	create();
	sql("INSERT INTO subscriber (username, domain) VALUES ('alice', 'example.net')");
	assert_int_equal(
		try("INSERT INTO subscriber (username, domain) VALUES ('alice', 'example.net')"),
		DB_REFUSED);
	assert_string_equal(sql("SELECT username, password, ha1, ha1b, ha1_sha256, ha1_sha512t256, "
				"email_address, rpid FROM subscriber"),
		"alice,,,,,,,NULL");
	sql("INSERT INTO location (ruid, username, contact) VALUES ('x', 'alice', "
	    "'sip:a@192.0.2.1')");
	assert_int_equal(try("INSERT INTO location (ruid) VALUES ('x')"), DB_REFUSED);
	assert_string_equal(sql("SELECT username, domain, q, callid, cseq, methods, \"partition\" "
				"FROM location"),
		"alice,NULL,1,Default-Call-ID,1,NULL,0");
	assert_int_equal(try("INSERT INTO acc (method) VALUES ('INVITE')"), DB_REFUSED);
	sql("INSERT INTO acc (method, time) VALUES ('INVITE', '2026-11-23 14:05:06')");
	sql("INSERT INTO domain (domain) VALUES ('example.net')");
	assert_int_equal(try("INSERT INTO domain (domain) VALUES ('example.net')"), DB_REFUSED);
	sql("INSERT INTO address (ip_addr) VALUES ('2001:db8::1')");
	assert_string_equal(sql("SELECT grp, mask, port, tag FROM address"), "1,32,0,NULL");
}

/* Names are equal where they are the same, in each engine. */
static void test_names_are_told_apart(void **state)
{
	need_server();
	create();
	sql("INSERT INTO subscriber (username, domain) VALUES ('alice', 'example.net')");
	assert_string_equal(sql("SELECT count(*) FROM subscriber WHERE username = 'Alice'"), "0");
	assert_string_equal(sql("SELECT count(*) FROM subscriber WHERE username = 'alice '"), "0");
	assert_string_equal(
		sql("SELECT count(*) FROM subscriber WHERE username = '\xc3\xa1lice'"), "0");
	assert_string_equal(sql("SELECT count(*) FROM subscriber WHERE username = 'alice'"), "1");
	sql("INSERT INTO subscriber (username, domain) VALUES ('Alice', 'example.net')");
}

static void *create_beside(void *arg)
{
	char url[DB_URL_MAX], text[DB_ERROR_MAX];
	struct db *own = open_db();
	int n, d;

	snprintf(url, sizeof(url), "%s", (const char *)arg);
	d = db_use(own, url, text, sizeof(text));
	n = db_schema_create(own, d, text, sizeof(text));
	if (n < 0)
		fprintf(stderr, "create: %s\n", text);
	/* And some who migrate what others make. */
	if (n >= 0 && db_schema_migrate(own, d, text, sizeof(text)) != 0) {
		fprintf(stderr, "migrate: %s\n", text);
		n = -1;
	}
	db_destroy(own);
	return (void *)(intptr_t)n;
}

static void test_several_at_once_make_them_once(void **state)
{
	pthread_t thread[4];
	char url[DB_URL_MAX];
	void *made;
	int all = 0;

	need_server();
	snprintf(url, sizeof(url), "%s", server_url(server, ""));
	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, create_beside, url);
	for (int i = 0; i < 4; i++) {
		pthread_join(thread[i], &made);
		assert_true((intptr_t)made >= 0);
		all += (int)(intptr_t)made;
	}
	assert_int_equal(all, table_count());
	assert_int_equal(check(), 0);
	assert_string_equal(sql("SELECT count(*) FROM version"), "13");
}

/* ---- of others ---- */

static void test_a_database_of_openser_is_of_use_as_it_is(void **state)
{
	need_server();
	others(openser);
	check();
	assert_said("subscriber", true, "; version 6 instead of 7");
	assert_said("subscriber", true, "ha1_sha256 (no SHA-256), ha1_sha512t256 (no SHA-512/256)");
	assert_said("grp", true, "groups of users");
	assert_said("domain", true, "did (no domains that share their attributes)");
	assert_said("dispatcher", true, "flags (");
	assert_said("acc", true, "transactions");
	assert_said("location", true, "without ruid (Kamailio cannot share it), instance (");
	assert_said("missed_calls", false, "is not there");
	if (!is("sqlite"))
		assert_said("subscriber", true, "refuses more than 25 characters of password");
	if (is("mysql"))
		assert_said("subscriber", true, "kept by MyISAM");
}

static void test_a_database_of_openser_is_brought_up_to_date(void **state)
{
	char before[4096], contacts[4096];

	need_server();
	others(openser);
	snprintf(before, sizeof(before), "%s", sql("SELECT * FROM subscriber ORDER BY id"));
	snprintf(contacts, sizeof(contacts), "%s",
		sql("SELECT username, contact, q, expires FROM location ORDER BY id"));
	assert_true(migrate() > 0);
	assert_int_equal(check(), 0);
	for (unsigned i = 0; i < table_count(); i++)
		assert_null(strstr(line(tables[i])->text, "without"));
	/* What stood there stands there. */
	assert_string_equal(
		sql("SELECT id, username, domain, password, first_name, last_name, email_address, "
		    "datetime_created, ha1, ha1b, timezone, rpid FROM subscriber ORDER BY id"),
		before);
	assert_string_equal(
		sql("SELECT username, contact, q, expires FROM location ORDER BY id"), contacts);
	assert_string_equal(
		sql("SELECT ruid, server_id FROM location ORDER BY id"), "siplane-1,0;siplane-2,0");
	assert_int_equal(try("INSERT INTO location (ruid) VALUES ('siplane-1')"), DB_REFUSED);
	/* OpenSER refuses a table whose version is not its own. */
	assert_string_equal(
		sql("SELECT table_version FROM version WHERE table_name = 'subscriber'"), "6");
	assert_string_equal(
		sql("SELECT table_version FROM version WHERE table_name = 'missed_calls'"), "4");
	assert_int_equal(migrate(), 0);
	assert_int_equal(create(), 0);
}

static void test_a_database_of_kamailio_gets_what_it_lacks(void **state)
{
	need_server();
	others(kamailio);
	check();
	assert_said("subscriber", true, "; without ha1_sha256 (no SHA-256)");
	assert_null(strstr(line("subscriber")->text, "version"));
	assert_int_equal(create(), table_count() - 3);
	check();
	assert_said("subscriber", true, "; without ha1_sha256 (no SHA-256)");
	/* Four columns, and three indexes over aliases. */
	assert_int_equal(migrate(), 4 + 3);
	assert_int_equal(check(), 0);
	assert_null(strstr(line("subscriber")->text, "without"));
	assert_string_equal(sql("SELECT username, ha1, ha1_sha256 FROM subscriber"),
		"alice,0123456789abcdef0123456789abcdef,");
	assert_string_equal(
		sql("SELECT count(*) FROM version WHERE table_name = 'subscriber'"), "1");
	assert_int_equal(migrate(), 0);
}

/* OpenSIPS' location counts seconds where others have dates. */
static void test_a_table_of_somebody_else_is_left_alone(void **state)
{
	need_server();
	sql("CREATE TABLE location (contact_id BIGINT PRIMARY KEY, username VARCHAR(64), expires "
	    "INT)");
	sql("INSERT INTO location VALUES (1, 'alice', 1234)");
	/* And its addresses stand in another column: to add ours would break its own INSERTs. */
	sql("CREATE TABLE address (id INT PRIMARY KEY, ip VARCHAR(50) NOT NULL)");
	assert_int_equal(create(), table_count() - 2);
	assert_int_equal(check(), 2);
	assert_said("address", false, "ip_addr");
	assert_said("location", false, "expires, which is of the type int");
	assert_int_equal(migrate(), 0);
	assert_string_equal(sql("SELECT * FROM location"), "1,alice,1234");
	sql("INSERT INTO address VALUES (1, '192.0.2.1')");
	assert_int_equal(check(), 2);
}

static void test_a_view_is_as_good_as_a_table(void **state)
{
	need_server();
	(void)try("DROP TABLE people");
	sql("CREATE TABLE people (who VARCHAR(64), realm VARCHAR(64), h VARCHAR(64))");
	sql("CREATE VIEW subscriber AS SELECT who AS username, realm AS domain, h AS ha1 FROM "
	    "people");
	check();
	assert_said("subscriber", true, "; without password");
	assert_int_equal(create(), table_count() - 1);
	/* But nobody adds anything to it. */
	assert_true(db_schema_migrate(db, used, error, sizeof(error)) < 0);
	assert_memory_equal(error, "subscriber: ", 12);
	sql("DROP VIEW subscriber");
	sql("DROP TABLE people");
}

/* ---- what goes wrong ---- */

static void test_a_reader_may_check_and_nothing_else(void **state)
{
	int reader;

	need_server();
	create();
	sql("DROP TABLE grp");
	reader = db_use(db, server_url(server, "reader"), error, sizeof(error));
	assert_true(reader >= 0);
	memset(lines, 0, sizeof(lines));
	assert_int_equal(db_schema_check(db, reader, report, NULL, error, sizeof(error)), 1);
	assert_said("subscriber", true, "users");
	assert_said("grp", false, "is not there");
	assert_true(db_schema_create(db, reader, error, sizeof(error)) < 0);
	assert_memory_equal(error, "grp: ", 5);
	assert_int_equal(check(), 1);
}

static void test_what_may_not_be_read_is_said(void **state)
{
	int reader;

	need_server();
	if (!is("postgres"))
		return; /* MySQL shows nobody a table that he has no right to */
	create();
	sql("REVOKE SELECT ON subscriber, version FROM reader");
	reader = db_use(db, server_url(server, "reader"), error, sizeof(error));
	memset(lines, 0, sizeof(lines));
	assert_int_equal(db_schema_check(db, reader, report, NULL, error, sizeof(error)), 2);
	assert_said("subscriber", false, "cannot be read: permission denied");
	assert_said("grp", true, "groups");
}

static void test_a_database_that_is_not_there_is_said(void **state)
{
	int absent;

	need_server();
	absent = db_use(db, server_url(server, "absent"), error, sizeof(error));
	assert_true(absent >= 0);
	error[0] = '\0';
	assert_true(db_schema_check(db, absent, report, NULL, error, sizeof(error)) < 0);
	assert_string_not_equal(error, "");
	error[0] = '\0';
	assert_true(db_schema_create(db, absent, error, sizeof(error)) < 0);
	assert_string_not_equal(error, "");
	assert_null(strstr(error, server_password()));
	assert_true(db_schema_create(db, 7, error, sizeof(error)) < 0);
}

static void *kill_soon(void *arg)
{
	struct timespec t = {0, (long)(intptr_t)arg * 1000000};

	nanosleep(&t, NULL);
	server_do(server, "kill");
	return NULL;
}

/* The next one goes on where it ended. */
static void test_a_server_killed_in_its_midst(void **state)
{
	pthread_t thread;
	int made;

	need_server();
	for (intptr_t ms = 5; ms < 200; ms *= 3) {
		pthread_create(&thread, NULL, kill_soon, (void *)ms);
		do
			made = db_schema_create(db, used, error, sizeof(error));
		while (made >= 0);
		pthread_join(thread, NULL);
		server_do(server, "start");
	}
	create();
	assert_int_equal(check(), 0);
	assert_string_equal(sql("SELECT count(*) FROM version"), "13");
}

#define WITH_DB(test) cmocka_unit_test_setup_teardown(test, connect, disconnect)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(test_all_tables_are_made_once),
		WITH_DB(test_rows_have_their_defaults_and_their_keys),
		WITH_DB(test_names_are_told_apart),
		WITH_DB(test_several_at_once_make_them_once),
		WITH_DB(test_a_database_of_openser_is_of_use_as_it_is),
		WITH_DB(test_a_database_of_openser_is_brought_up_to_date),
		WITH_DB(test_a_database_of_kamailio_gets_what_it_lacks),
		WITH_DB(test_a_view_is_as_good_as_a_table),
		WITH_DB(test_a_database_that_is_not_there_is_said),
	};
	/* What only a process can be that is not ours. */
	const struct CMUnitTest of_servers[] = {
		WITH_DB(test_a_table_of_somebody_else_is_left_alone),
		WITH_DB(test_a_reader_may_check_and_nothing_else),
		WITH_DB(test_what_may_not_be_read_is_said),
		WITH_DB(test_a_server_killed_in_its_midst),
	};
	int failed;

	engine = argc > 1 ? argv[1] : "sqlite";
	server = server_start(engine);
	failed = cmocka_run_group_tests_name(engine, tests, NULL, NULL);
	if (!is("sqlite"))
		failed += cmocka_run_group_tests_name("servers", of_servers, NULL, NULL);
	server_end(server);
	return failed;
}
