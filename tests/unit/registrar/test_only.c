/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Contacts that are nowhere but in the database (usrloc's db_mode 3): what a REGISTER is answered,
 * what stands in the table then, and that who looks sees what stands there now, whoever wrote it.
 * As test_persist.c on SQLite, or on what TEST_DB_URL names.
 */
#include <unistd.h>

#include "table.h"

#define SAVE "if (is_method(\"REGISTER\")) { save(\"location\"); $var(rc) = $rc; exit; }\n"
/* Whatever the Request-URI is. */
#define SAVE_TO \
	"if (is_method(\"REGISTER\")) { save(\"location\", 0, \"$tu\"); $var(rc) = $rc; exit; }\n"
#define LOOKUP \
	"lookup(\"location\"); $var(rc) = $rc;\n" \
	"if ($var(rc) < 0) { sl_send_reply(\"480\", \"No\"); exit; }\n" \
	"sl_send_reply(\"200\", \"$ru $du $fs\");\n"
#define MODE "modparam(\"usrloc\", \"db_mode\", 3)\n"
#define PHONE "<sip:alice@192.0.2.7:5062>"
#define ALICE "sip:alice@example.com"
/* A row as another process writes it. */
#define ROW(ruid, uri, more) \
	"INSERT INTO location (ruid,username,contact,expires,last_modified,q,callid,cseq) VALUES " \
	"('" ruid "','alice','" uri "','2037-01-01 00:00:00','2020-01-01 00:00:00'," more ")"

static struct stage *open_only(const char *params, const char *body)
{
	char all[1024];
	struct stage *s;

	snprintf(all, sizeof(all), MODE "%s", params);
	s = stage_open_db(all, body, table_url);
	assert_int_equal(table_loads(s), 0);
	return s;
}

static const char *invite(struct stage *s)
{
	const char *reply = stage_send(s, request("INVITE", ALICE));
	static char first[256];

	snprintf(first, sizeof(first), "%.*s", reply != NULL ? (int)strcspn(reply, "\r") : 0,
		reply != NULL ? reply : "");
	return first;
}

static void assert_memory_is_empty(const struct stage *s)
{
	struct location_stats stats;

	location_stats(s->location, &stats);
	assert_int_equal(stats.aors, 0);
}

/* ---- one REGISTER ---- */

static void a_200_says_that_it_is_in_the_table(void **state)
{
	struct stage *s = open_only("", SAVE LOOKUP);
	struct stage_waiting w;

	s->holds_changes = true;
	assert_null(send_registration(s, "c1", 1, "Contact: " PHONE "\n"));
	assert_int_equal(s->verdict, ROUTE_WAIT);
	assert_string_equal(table_rows("username"), "");
	stage_suspend(s, &w);
	s->holds_changes = false;
	assert_status(stage_resume(s, &w), 200);
	assert_int_equal(s->waits, 1);
	assert_string_equal(table_rows("username,contact,callid,cseq,q,path"),
		"alice|sip:alice@192.0.2.7:5062|c1|1|-1|NULL\n");
	assert_string_equal(
		invite(s), "SIP/2.0 200 sip:alice@192.0.2.7:5062 <null> udp:192.0.2.1:5060");
	assert_int_equal(s->asks, 1);
	assert_memory_is_empty(s);
	stage_close(s);
}

static void what_save_says_is_as_with_memory(void **state)
{
	struct stage *s = open_only("", SAVE);
	const char *reply;

	reply = send_registration(s, "c1", 1, "Contact: " PHONE ";expires=600\n");
	assert_int_equal(stage_rc(s), 1);
	assert_contact(reply, PHONE ";expires=600");
	assert_status(send_registration(s, "c1", 2, "Contact: " PHONE ";q=0.5\n"), 200);
	assert_int_equal(stage_rc(s), 2);
	assert_string_equal(table_rows("contact,cseq,q"), "sip:alice@192.0.2.7:5062|2|0.5\n");
	/* Who asks only has one question, and no change. */
	assert_contact(send_registration(s, "c1", 3, ""), PHONE ";q=0.5;expires=3600");
	assert_int_equal(stage_rc(s), 4);
	assert_int_equal(s->asks, 1);
	assert_int_equal(s->waits, 0);
	assert_status(send_registration(s, "c1", 4, "Contact: " PHONE ";expires=0\n"), 200);
	assert_int_equal(stage_rc(s), 3);
	assert_string_equal(table_rows("contact"), "");
	assert_status(send_registration(s, "c1", 5, "Contact: " PHONE ";expires=0\n"), 200);
	assert_int_equal(stage_rc(s), 1);
	stage_close(s);
}

/* A refresh keeps its row. */
static void a_row_that_is_refreshed_stays(void **state)
{
	struct stage *s = open_only("", SAVE);
	char before[64];

	assert_status(
		send_registration(s, "c1", 1, "Contact: " PHONE ", <sip:b@192.0.2.1>\n"), 200);
	snprintf(before, sizeof(before), "%s", table_rows("id"));
	assert_status(send_registration(s, "c1", 2, "Contact: " PHONE "\n"), 200);
	assert_string_equal(table_rows("id"), before);
	assert_string_equal(
		table_rows("contact,cseq"), "sip:alice@192.0.2.7:5062|2\nsip:b@192.0.2.1|1\n");
	stage_close(s);
}

static void a_star_takes_all(void **state)
{
	struct stage *s = open_only("", SAVE);

	assert_status(send_registration(s, "c1", 5, "Contact: " PHONE "\n"), 200);
	assert_status(send_registration(s, "c2", 1, "Contact: <sip:b@192.0.2.1>\n"), 200);
	assert_refused(send_registration(s, "c1", 5, "Contact: *\nExpires: 0\n"), 400,
		"CSeq is not above that of the binding");
	assert_string_equal(table_rows("cseq"), "5\n1\n");
	assert_status(send_registration(s, "c1", 6, "Contact: *\nExpires: 0\n"), 200);
	assert_string_equal(table_rows("contact"), "");
	stage_close(s);
}

static void order_counts_and_a_copy_is_answered(void **state)
{
	struct stage *s = open_only("", SAVE);

	assert_status(send_registration(s, "c1", 7, "Contact: " PHONE ";expires=600\n"), 200);
	/* It comes again when the first one is over: the same 200, and nothing is written. */
	assert_contact(send_registration(s, "c1", 7, "Contact: " PHONE ";expires=600\n"),
		PHONE ";expires=600");
	assert_int_equal(s->waits, 0);
	assert_refused(send_registration(s, "c1", 6, "Contact: " PHONE ";expires=0\n"), 400,
		"CSeq is not above that of the binding");
	assert_int_equal(table_counted(s, REGISTRAR_COUNTER_OUT_OF_ORDER), 1);
	assert_string_equal(table_rows("cseq"), "7\n");
	stage_close(s);
}

/* What is wrong with it is found before anything is asked. */
static void what_is_refused_asks_nothing(void **state)
{
	struct stage *s = open_only("modparam(\"registrar\", \"min_expires_mode\", 1)\n"
				    "modparam(\"registrar\", \"min_expires\", 60)\n",
		SAVE);
	const char *reply;

	reply = send_registration(s, "c1", 1, "Contact: " PHONE ";expires=30\n");
	assert_refused(reply, 423, "Expires is too brief");
	assert_string_equal(line(reply, "Min-Expires"), "60");
	assert_refused(
		send_registration(s, "c1", 1, "Contact: *\n"), 400, "Contact * needs Expires: 0");
	assert_int_equal(s->asks, 0);
	assert_int_equal(db_counter(s->db, DB_COUNTER_QUESTIONS), 0);
	stage_close(s);
}

static void all_that_a_contact_has_comes_back(void **state)
{
	struct stage *s = open_only("modparam(\"registrar\", \"use_path\", 1)\n"
				    "modparam(\"registrar\", \"regid_mode\", 1)\n",
		SAVE LOOKUP);
	const char *contacts;

	s->at = OTHER;
	assert_status(
		send_registration(s, "c1", 7,
			"Contact: <sip:alice@192.0.2.7:5062;x=y>;q=0.25;"
			"+sip.instance=\"<urn:uuid:1>\";reg-id=3;received=\"sip:203.0.113.9:1024\";"
			"expires=2000\nSupported: path\nPath: <sip:edge@192.0.2.99;lr>\n"
			"User-Agent: Phone 1\n"),
		200);
	contacts = registered_contacts(s);
	assert_non_null(strstr(contacts, "<sip:alice@192.0.2.7:5062;x=y>;q=0.25;expires=2000;"));
	assert_non_null(strstr(contacts, ";received=\"sip:203.0.113.9:1024\""));
	assert_non_null(strstr(contacts, ";+sip.instance=\"<urn:uuid:1>\";reg-id=3"));
	assert_string_equal(table_rows("path,received,instance,reg_id,user_agent,socket"),
		"<sip:edge@192.0.2.99;lr>|sip:203.0.113.9:1024|\"<urn:uuid:1>\"|3|Phone 1|"
		"udp:192.0.2.1:5070\n");
	/* By the Path, from the listener that took it. */
	assert_string_equal(invite(s),
		"SIP/2.0 200 sip:alice@192.0.2.7:5062;x=y sip:edge@192.0.2.99;lr "
		"udp:192.0.2.1:5070");
	/* The instance at another address takes its binding along. */
	assert_status(send_registration(s, "c1", 8,
			      "Contact: <sip:alice@192.0.2.8>;+sip.instance=\"<urn:uuid:1>\";"
			      "reg-id=3\n"),
		200);
	assert_string_equal(table_rows("contact,reg_id"), "sip:alice@192.0.2.8|3\n");
	stage_close(s);
}

static void the_best_comes_first(void **state)
{
	struct stage *s = open_only("",
		SAVE "lookup(\"location\"); $var(rc) = $rc;\n"
		     "sl_send_reply(\"200\", \"$ru $(branch(uri)[0]) $(branch(uri)[1])\");\n");

	assert_status(send_registration(s, "c1", 1,
			      "Contact: <sip:none@192.0.2.1>, <sip:low@192.0.2.1>;q=0.1\n"),
		200);
	assert_status(send_registration(s, "c2", 1, "Contact: <sip:high@192.0.2.1>;q=0.9\n"), 200);
	assert_string_equal(
		invite(s), "SIP/2.0 200 sip:high@192.0.2.1 sip:low@192.0.2.1 sip:none@192.0.2.1");
	stage_close(s);
}

static void what_has_ended_is_gone(void **state)
{
	struct stage *s = open_only("", SAVE LOOKUP);

	assert_status(
		send_registration(s, "c1", 1, "Contact: " PHONE ";expires=60, <sip:b@192.0.2.1>\n"),
		200);
	assert_non_null(strstr(invite(s), "200 sip:alice@"));
	stage_pass(s, 61);
	assert_non_null(strstr(invite(s), "200 sip:b@"));
	assert_null(strstr(registered_contacts(s), "alice"));
	/* Who was registered there comes back as one who was not. */
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	assert_int_equal(stage_rc(s), 1);
	assert_string_equal(table_rows("contact"), "sip:alice@192.0.2.7:5062\nsip:b@192.0.2.1\n");
	stage_pass(s, 7200);
	assert_non_null(strstr(invite(s), "480"));
	assert_int_equal(stage_rc(s), -1);
	stage_close(s);
}

static void rows_that_have_ended_are_deleted(void **state)
{
	struct stage *s = open_only("", SAVE);

	assert_status(
		send_registration(s, "c1", 1, "Contact: " PHONE ", <sip:b@192.0.2.1>\n"), 200);
	table_change("UPDATE location SET expires='2020-01-01 00:00:00' WHERE contact LIKE "
		     "'%alice%'");
	table_pass(s, "contact", "sip:b@192.0.2.1\n");
	stage_close(s);
}

/* ---- another process ---- */

static void what_another_one_does_is_seen_at_once(void **state)
{
	struct stage *s = open_only("", SAVE LOOKUP);

	assert_non_null(strstr(invite(s), "480"));
	table_change(ROW("uloc-1", "sip:alice@192.0.2.7:5062", "-1,'k1',4"));
	assert_non_null(strstr(invite(s), "200 sip:alice@192.0.2.7:5062 "));
	table_change("UPDATE location SET contact='sip:alice@192.0.2.8'");
	assert_non_null(strstr(invite(s), "200 sip:alice@192.0.2.8 "));
	assert_non_null(strstr(registered_contacts(s), "<sip:alice@192.0.2.8>"));
	/* Its CSeq counts, and a refresh makes the row ours. */
	assert_refused(send_registration(s, "k1", 3, "Contact: <sip:alice@192.0.2.8>\n"), 400,
		"CSeq is not above that of the binding");
	assert_status(send_registration(s, "k1", 5, "Contact: <sip:alice@192.0.2.8>\n"), 200);
	assert_int_equal(stage_rc(s), 2);
	assert_string_equal(table_rows("contact,cseq"), "sip:alice@192.0.2.8|5\n");
	table_change("DELETE FROM location");
	assert_non_null(strstr(invite(s), "480"));
	assert_string_equal(registered_contacts(s), "");
	/* What it has written is what is removed here. */
	table_change(ROW("uloc-2", "sip:alice@192.0.2.9", "-1,'k2',1"));
	assert_status(
		send_registration(s, "k2", 2, "Contact: <sip:alice@192.0.2.9>;expires=0\n"), 200);
	assert_string_equal(table_rows("contact"), "");
	stage_close(s);
}

/* Two processes write for one user between the question and the change: each writes the rows of
 * its own bindings. */
static void bindings_of_others_stay(void **state)
{
	struct stage *s = open_only("", SAVE);
	struct stage_waiting w;

	s->holds_changes = true;
	assert_null(send_registration(
		s, "c1", 1, "Contact: " PHONE ";+sip.instance=\"<urn:uuid:1>\"\n"));
	stage_suspend(s, &w);
	s->holds_changes = false;
	/* Another phone, and one that has the same private address. */
	table_change(ROW("uloc-1", "sip:alice@192.0.2.8", "-1,'k1',1"));
	table_change(ROW("uloc-2", "sip:alice@192.0.2.7:5062", "-1,'k2',1"));
	table_change("UPDATE location SET instance='\"<urn:uuid:2>\"' WHERE ruid='uloc-2'");
	assert_status(stage_resume(s, &w), 200);
	assert_string_equal(table_rows("contact,callid"), "sip:alice@192.0.2.7:5062|k2\n"
							  "sip:alice@192.0.2.7:5062|c1\n"
							  "sip:alice@192.0.2.8|k1\n");
	assert_status(send_registration(s, "c1", 2,
			      "Contact: " PHONE ";+sip.instance=\"<urn:uuid:1>\";expires=0\n"),
		200);
	assert_string_equal(table_rows("contact,callid"),
		"sip:alice@192.0.2.7:5062|k2\nsip:alice@192.0.2.8|k1\n");
	stage_close(s);
}

/* Of one binding, below two keys. */
static void what_stands_twice_is_one(void **state)
{
	struct stage *s = open_only("", SAVE);

	table_change(ROW("uloc-1", "sip:alice@192.0.2.7:5062", "-1,'k1',1"));
	table_change(ROW("uloc-2", "sip:alice@192.0.2.7:5062", "-1,'k1',2"));
	assert_null(strstr(registered_contacts(s), ","));
	assert_status(send_registration(s, "k1", 3, "Contact: " PHONE "\n"), 200);
	assert_string_equal(table_rows("contact,cseq"), "sip:alice@192.0.2.7:5062|3\n");
	stage_close(s);
}

/* ---- bounds ---- */

static void insert_many_of(const char *user, unsigned n, unsigned pad)
{
	for (unsigned i = 0; i < n; i++) {
		char text[1024], uri[512];

		snprintf(uri, sizeof(uri), "sip:%0*u@192.0.2.1", (int)pad, i);
		snprintf(text, sizeof(text),
			"INSERT INTO location "
			"(ruid,username,contact,expires,last_modified,q,callid,"
			"cseq) VALUES ('%c%u','%s','%s','2037-01-01 00:00:00',"
			"'2020-01-01 00:00:00',-1,'c',1)",
			user[0], i, user, uri);
		table_change(text);
	}
}

static void insert_many(unsigned n, unsigned pad)
{
	insert_many_of("alice", n, pad);
}

static void too_many_rows_are_refused(void **state)
{
	struct stage *s = open_only("", SAVE LOOKUP);

	insert_many(20, 4);
	assert_non_null(strstr(invite(s), "200 sip:0000@"));
	/* Short as they are, one message has no room for so many. */
	insert_many(0, 0);
	table_change("DELETE FROM location");
	insert_many(LOCATION_CONTACTS_MAX + 1, 4);
	assert_non_null(strstr(invite(s), "480"));
	assert_int_equal(stage_rc(s), -3);
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 503);
	assert_int_equal(table_counted(s, REGISTRAR_COUNTER_FETCH_TOO_MUCH), 2);
	assert_int_equal(table_counted(s, REGISTRAR_COUNTER_TOO_MANY), 1);
	/* Nothing was written, and the turn is free. */
	table_change("DELETE FROM location");
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	assert_int_equal(s->turns, 0);
	stage_close(s);
}

static void too_long_rows_are_refused(void **state)
{
	struct stage *s = open_only("", SAVE LOOKUP);

	insert_many(25, 400);
	assert_non_null(strstr(invite(s), "480"));
	assert_int_equal(stage_rc(s), -3);
	assert_refused(
		send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 503, "Too long contacts");
	assert_refused(send_registration(s, "c1", 1, ""), 503, "Too long contacts");
	assert_int_equal(table_counted(s, REGISTRAR_COUNTER_FETCH_TOO_MUCH), 3);
	table_change("DELETE FROM location");
	/* A text that no row may have; only SQLite's columns hold it. */
	if (getenv("TEST_DB_URL") == NULL) {
		table_change(ROW("1", "sip:'||hex(zeroblob(3000))||'@192.0.2.1", "-1,'c',1"));
		assert_non_null(strstr(invite(s), "480"));
		assert_int_equal(stage_rc(s), -3);
		/* One that is no contact is passed over, and counted. */
		table_change("DELETE FROM location");
		table_change(ROW("1", "sip:'||hex(zeroblob(600))||'@192.0.2.1", "-1,'c',1"));
		table_change(ROW("2", "sip:good@192.0.2.1", "-1,'c',1"));
		assert_non_null(strstr(invite(s), "200 sip:good@192.0.2.1"));
		assert_int_equal(table_counted(s, REGISTRAR_COUNTER_ROWS_MALFORMED), 1);
	}
	stage_close(s);
}

/* Where an engine takes Alice for alice, and the registrar does not. */
static void rows_of_others_do_not_count(void **state)
{
	struct stage *s;

	table_change("DROP TABLE location");
	table_change(
		"CREATE TABLE location (id INTEGER PRIMARY KEY, ruid VARCHAR(64), username "
		"VARCHAR(64) COLLATE NOCASE, domain VARCHAR(64), contact VARCHAR(512), received "
		"VARCHAR(128), path VARCHAR(512), expires DATETIME, q FLOAT, callid VARCHAR(255), "
		"cseq INTEGER, last_modified DATETIME, flags INTEGER, cflags INTEGER, user_agent "
		"VARCHAR(255), socket VARCHAR(64), methods INTEGER, instance VARCHAR(255), reg_id "
		"INTEGER)");
	insert_many_of("ALICE", LOCATION_CONTACTS_MAX, 2);
	s = open_only("modparam(\"registrar\", \"case_sensitive\", 1)\n"
		      "modparam(\"registrar\", \"max_contacts\", 1)\n",
		SAVE LOOKUP);
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	assert_non_null(strstr(invite(s), "200 sip:alice@192.0.2.7:5062 "));
	assert_contact(send_registration(s, "c2", 1, ""), PHONE ";expires=3600");
	/* Of an answer that has been cut nobody knows whose rows are missing. */
	table_change("DELETE FROM location");
	insert_many_of("ALICE", REGISTRAR_READ_ROWS, 1);
	assert_non_null(strstr(invite(s), "480"));
	assert_int_equal(stage_rc(s), -3);
	stage_close(s);
	/* Letters' case is nothing: the rows are one user's. */
	table_change("DELETE FROM location");
	insert_many_of("ALICE", LOCATION_CONTACTS_MAX, 1);
	insert_many_of("alice", 1, 3);
	s = open_only("", SAVE LOOKUP);
	assert_non_null(strstr(invite(s), "480"));
	assert_int_equal(stage_rc(s), -3);
	stage_close(s);
}

/* What one REGISTER wants has to have room in one change: a clear no, and nothing is changed. */
static void what_has_no_room_changes_nothing(void **state)
{
	struct stage *s = open_only("", SAVE);
	char lines[8192] = "Contact: ";

	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	for (unsigned i = 0; i < 50; i++)
		sprintf(lines + strlen(lines), "%s<sip:alice-%02u@192.0.2.7:5062;ob>",
			i == 0 ? "" : ", ", i);
	strcat(lines, "\n");
	assert_refused(send_registration(s, "c1", 2, lines), 503, "Too long contacts");
	assert_string_equal(table_rows("contact,cseq"), "sip:alice@192.0.2.7:5062|1\n");
	assert_status(send_registration(s, "c1", 3, "Contact: " PHONE "\n"), 200);
	assert_int_equal(s->turns, 0);
	stage_close(s);
}

/* One more contact of alice, of a phone of its own. */
static const char *send_contact(
	struct stage *s, unsigned i, unsigned cseq, unsigned pad, const char *more)
{
	char call_id[16], contact[1024];

	snprintf(call_id, sizeof(call_id), "c%u", i);
	snprintf(contact, sizeof(contact), "Contact: <sip:%0*u@192.0.2.7>%s\n", (int)pad, i, more);
	return send_registration(s, call_id, cseq, contact);
}

/* Whoever has got a 200 can refresh his binding and remove it, with as many beside it as have. */
static void what_is_acknowledged_can_be_refreshed(void **state)
{
	enum { SHORT = 10, USUAL = 60, LONG = 480 };
	static const unsigned pad[][2] = {{USUAL, USUAL}, {LONG, SHORT}, {SHORT, LONG}};
	struct stage *s = open_only("", SAVE LOOKUP);

	for (unsigned round = 0; round < 3; round++) {
		const char *reply;
		unsigned n = 0;

		while (status(reply = send_contact(s, n, 1, pad[round][n != 0], "")) == 200)
			n++;
		assert_refused(reply, 503, "Too long contacts");
		assert_in_range(n, 6, LOCATION_CONTACTS_MAX - 1);
		for (unsigned i = 0; i < n; i++)
			assert_status(send_contact(s, i, 2, pad[round][i != 0], ""), 200);
		assert_non_null(strstr(registered_contacts(s), "@192.0.2.7>;expires="));
		for (unsigned i = n; i-- > 0;)
			assert_status(send_contact(s, i, 3, pad[round][i != 0], ";expires=0"), 200);
		assert_string_equal(table_rows("contact"), "");
	}
	assert_int_equal(s->turns, 0);
	stage_close(s);
}

static void max_contacts_counts_what_is_in_the_table(void **state)
{
	struct stage *s = open_only("modparam(\"registrar\", \"max_contacts\", 2)\n", SAVE);

	table_change(ROW("1", "sip:x@192.0.2.1", "-1,'c',1"));
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	assert_refused(send_registration(s, "c2", 1, "Contact: <sip:b@192.0.2.1>\n"), 503,
		"Too many contacts");
	table_change("DELETE FROM location WHERE ruid='1'");
	assert_status(send_registration(s, "c2", 1, "Contact: <sip:b@192.0.2.1>\n"), 200);
	stage_close(s);
}

/* ---- a database that fails ---- */

static void a_dead_database_is_said(void **state)
{
	struct stage *s = stage_open_db(MODE, SAVE LOOKUP, "sqlite:///nowhere/at/all.sqlite");

	assert_int_equal(table_loads(s), 0);
	assert_refused(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 503,
		"The database does not answer");
	assert_refused(send_registration(s, "c1", 2, ""), 503, "The database does not answer");
	assert_int_equal(table_counted(s, REGISTRAR_COUNTER_NOT_KEPT), 2);
	assert_non_null(strstr(invite(s), "480"));
	assert_int_equal(stage_rc(s), -3);
	assert_int_equal(table_counted(s, REGISTRAR_COUNTER_FETCH_FAILED), 3);
	assert_true(stage_load(s, MODE,
		"registered(\"location\"); $var(rc) = $rc; sl_send_reply(\"200\", \"OK\");\n"));
	stage_send(s, request("INVITE", ALICE));
	assert_int_equal(stage_rc(s), -3);
	stage_close(s);
}

static void what_the_database_does_not_take_is_a_503(void **state)
{
	struct stage *s = open_only("", SAVE);

	table_change("CREATE TRIGGER no BEFORE INSERT ON location BEGIN SELECT RAISE(ABORT, 'no'); "
		     "END");
	assert_refused(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 503,
		"The database does not take it");
	table_change("DROP TRIGGER no");
	/* It counts as not sent. */
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	assert_int_equal(s->turns, 0);
	stage_close(s);
}

/* Its answer was lost: it may have been made, and the next one is judged by what stands there. */
static void what_nobody_knows_of_is_a_503(void **state)
{
	struct stage *s = open_only("", SAVE);

	s->deaf = true;
	assert_refused(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 503,
		"The database does not answer");
	s->deaf = false;
	assert_string_equal(table_rows("cseq"), "1\n");
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	assert_status(send_registration(s, "c1", 2, "Contact: " PHONE "\n"), 200);
	assert_string_equal(table_rows("cseq"), "2\n");
	stage_close(s);
}

/* ---- several of one user under way ---- */

static void suspend(struct stage *s, struct stage_waiting *w, const char *call_id, unsigned cseq,
	const char *lines)
{
	s->holds_changes = true;
	assert_null(send_registration(s, call_id, cseq, lines));
	stage_suspend(s, w);
	s->holds_changes = false;
}

static void the_second_one_builds_on_the_first(void **state)
{
	struct stage *s = open_only("modparam(\"registrar\", \"max_contacts\", 2)\n", SAVE);
	struct stage_waiting one, two, three;

	suspend(s, &one, "c1", 1, "Contact: " PHONE "\n");
	/* Two more wait for their turn. */
	s->nobody_waits = true;
	assert_null(send_registration(s, "c2", 1, "Contact: <sip:b@192.0.2.1>\n"));
	assert_int_equal(s->ctx->wait_for, ROUTE_WAIT_TURN);
	stage_suspend(s, &two);
	assert_null(send_registration(s, "c3", 1, "Contact: <sip:c@192.0.2.1>\n"));
	assert_int_equal(s->ctx->wait_for, ROUTE_WAIT_TURN);
	stage_suspend(s, &three);
	s->nobody_waits = false;
	assert_int_equal(table_counted(s, REGISTRAR_COUNTER_TURNS), 2);
	assert_status(stage_resume(s, &one), 200);
	/* Each counts the ones before it. */
	assert_status(stage_resume(s, &three), 200);
	assert_refused(stage_resume(s, &two), 503, "Too many contacts");
	assert_string_equal(table_rows("contact"), "sip:alice@192.0.2.7:5062\nsip:c@192.0.2.1\n");
	stage_close(s);
}

/* What was given up may still be committed: a removal goes behind it, though it finds no row. */
static void a_removal_goes_behind_what_is_late(void **state)
{
	static const char *const removal[] = {
		"Contact: " PHONE ";expires=0\n", "Contact: *\nExpires: 0\n"};
	struct stage *s = open_only("", SAVE);
	struct stage_waiting one, two;

	for (unsigned i = 0; i < 2; i++) {
		suspend(s, &one, "c1", 1, "Contact: " PHONE "\n");
		stage_pass(s, REGISTRAR_TURN_NS / CLOCK_NS_PER_S);
		suspend(s, &two, "c1", 2, removal[i]);
		assert_status(stage_resume(s, &one), 200);
		assert_string_equal(table_rows("contact,cseq"), "sip:alice@192.0.2.7:5062|1\n");
		assert_status(stage_resume(s, &two), 200);
		assert_string_equal(table_rows("contact"), "");
	}
	/* What a copy finds made again is not removed again. */
	for (unsigned i = 0; i < 2; i++) {
		assert_status(
			send_registration(s, "c1", 3, "Contact: " PHONE ";expires=0, " PHONE "\n"),
			200);
		assert_string_equal(table_rows("contact,cseq"), "sip:alice@192.0.2.7:5062|3\n");
	}
	stage_close(s);
}

/* Who finds no room to wait, for the rows or for his change, is told so, and nobody waits for him.
 */
static void who_cannot_wait_gives_his_turn_back(void **state)
{
	struct stage *s =
		open_only("", SAVE "unregister(\"location\", \"$ru\"); $var(rc) = $rc;\n");

	for (unsigned i = 0; i < 3; i++) {
		s->nobody_waits = i == 0;
		s->holds_changes = i != 0;
		assert_null(i < 2 ? send_registration(s, "c1", i + 1, "Contact: " PHONE "\n")
				  : stage_send(s, request("MESSAGE", ALICE)));
		assert_int_equal(s->ctx->wait_for, i == 0 ? ROUTE_WAIT_ASK : ROUTE_WAIT_CHANGE);
		assert_true(s->ctx->wait_holds);
		route_answer_set(s->ctx, ROUTE_ANSWER_FAILED);
		assert_int_equal(route_resume(s->ctx), ROUTE_ENDED);
		if (i < 2)
			assert_int_equal(stage_rc(s), -1);
		else
			assert_int_equal(stage_rc(s), -2);
		s->nobody_waits = s->holds_changes = false;
		assert_status(
			send_registration(s, "c2", i + 1, "Contact: <sip:b@192.0.2.1>\n"), 200);
		assert_int_equal(s->turns, 0);
	}
	stage_close(s);
}

/* Others are not held up, nor who asks only. */
static void a_turn_is_one_users(void **state)
{
	struct stage *s = open_only("", SAVE LOOKUP);
	struct stage_waiting one;
	char text[1024], *to;

	suspend(s, &one, "c1", 1, "Contact: " PHONE "\n");
	snprintf(text, sizeof(text), "%s", registration("c2", 1, "Contact: <sip:b@192.0.2.1>\n"));
	to = strstr(text, "To: <sip:alice");
	memcpy(to, "To: <sip:bobby", 14);
	assert_status(stage_send(s, text), 200);
	assert_int_equal(s->turns, 0);
	assert_string_equal(registered_contacts(s), "");
	assert_int_equal(s->turns, 0);
	assert_non_null(strstr(invite(s), "480"));
	assert_status(stage_resume(s, &one), 200);
	stage_close(s);
}

/* The copy of one that is under way: that one answers. */
static void a_copy_is_dropped(void **state)
{
	struct stage *s = open_only("", SAVE);
	struct stage_waiting one;

	suspend(s, &one, "c1", 1, "Contact: " PHONE "\n");
	assert_null(send_registration(s, "c1", 1, "Contact: " PHONE "\n"));
	assert_int_equal(s->verdict, ROUTE_ENDED);
	assert_true(s->ctx->result.drop);
	assert_int_equal(table_counted(s, REGISTRAR_COUNTER_COPIES), 1);
	assert_status(stage_resume(s, &one), 200);
	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	stage_close(s);
}

/* It waits for so long, and is told to come again; one that never came back is not waited for for
 * ever. */
static void who_waits_too_long_is_told(void **state)
{
	struct stage *s = open_only("", SAVE);
	struct stage_waiting one, three;
	const char *reply;

	suspend(s, &one, "c1", 1, "Contact: " PHONE "\n");
	reply = send_registration(s, "c2", 1, "Contact: <sip:b@192.0.2.1>\n");
	assert_refused(reply, 500, "Another REGISTER of this user is under way");
	assert_string_equal(line(reply, "Retry-After"), "1");
	assert_int_equal(s->turns, REGISTRAR_TURN_TRIES);
	assert_int_equal(table_counted(s, REGISTRAR_COUNTER_BUSY), 1);
	assert_string_equal(table_rows("contact"), "");
	stage_pass(s, REGISTRAR_TURN_NS / CLOCK_NS_PER_S);
	assert_status(send_registration(s, "c2", 2, "Contact: <sip:b@192.0.2.1>\n"), 200);
	/* The one that was given up takes nobody's turn away. */
	suspend(s, &three, "c3", 1, "Contact: <sip:c@192.0.2.1>\n");
	assert_status(stage_resume(s, &one), 200);
	s->nobody_waits = true;
	assert_null(send_registration(s, "c4", 1, "Contact: <sip:d@192.0.2.1>\n"));
	assert_int_equal(s->ctx->wait_for, ROUTE_WAIT_TURN);
	s->nobody_waits = false;
	assert_status(stage_resume(s, &three), 200);
	stage_close(s);
}

/* Of a REGISTER that passes: without state it waits as one does, else it is not taken. */
static void a_response_that_passes_is_saved(void **state)
{
	struct stage *s = open_only("", SAVE);
	static const char ok[] = "SIP/2.0 200 OK\n"
				 "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\n"
				 "From: <sip:alice@example.com>;tag=1\n"
				 "To: <sip:alice@example.com>;tag=2\nCall-ID: c1\n"
				 "CSeq: 1 REGISTER\nContact: " PHONE ";expires=60\n"
				 "Content-Length: 0\n\n";

	assert_null(stage_send(s, ok));
	assert_int_equal(s->verdict, ROUTE_ENDED);
	assert_int_equal(s->waits, 1);
	assert_string_equal(table_rows("contact,cseq"), "sip:alice@192.0.2.7:5062|1\n");
	table_change("DELETE FROM location");
	s->nobody_waits = true;
	assert_null(stage_send(s, ok));
	assert_int_equal(route_resume_without(s->ctx, s->verdict), ROUTE_ENDED);
	s->nobody_waits = false;
	assert_string_equal(table_rows("contact"), "");
	/* Its turn is over. */
	assert_status(send_registration(s, "c2", 1, "Contact: " PHONE "\n"), 200);
	assert_int_equal(s->turns, 0);
	stage_close(s);
}

/* ---- look-ups ---- */

static void registered_asks_the_table(void **state)
{
	struct stage *s = open_only("",
		SAVE "registered(\"location\"); $var(rc) = $rc; sl_send_reply(\"200\", \"OK\");\n");

	stage_send(s, request("INVITE", ALICE));
	assert_int_equal(stage_rc(s), -1);
	table_change(ROW("1", "sip:x@192.0.2.1", "-1,'c',1"));
	stage_send(s, request("INVITE", ALICE));
	assert_int_equal(stage_rc(s), 1);
	assert_int_equal(s->asks, 1);
	stage_close(s);
}

/* All that is wanted is asked for, and then done at once. */
static void branches_are_looked_up_too(void **state)
{
	struct stage *s = open_only("",
		SAVE "append_branch(\"sip:bob@example.com\"); "
		     "append_branch(\"sip:carol@example.com\");\n"
		     "lookup_branches(\"location\"); $var(rc) = $rc;\n"
		     "sl_send_reply(\"200\", \"$ru $(branch(uri)[0]) $(branch(uri)[1]) "
		     "$(branch(uri)[2])\");\n");

	table_change(ROW("1", "sip:a1@192.0.2.1", "0.9,'c',1"));
	table_change(ROW("2", "sip:a2@192.0.2.1", "0.8,'c',1"));
	table_change(ROW("3", "sip:b@192.0.2.1", "-1,'c',1"));
	table_change("UPDATE location SET username='bob' WHERE ruid='3'");
	assert_string_equal(invite(s),
		"SIP/2.0 200 sip:a1@192.0.2.1 sip:b@192.0.2.1 sip:carol@example.com "
		"sip:a2@192.0.2.1");
	assert_int_equal(stage_rc(s), 1);
	assert_int_equal(s->asks, 3);
	stage_close(s);
}

/* Each look asks anew, and what it was told takes no room for long. */
static void each_look_asks(void **state)
{
	struct stage *s = open_only("",
		SAVE "$var(rc) = 0;\n"
		     "while ($var(rc) < 40) { registered(\"location\", \"sip:alice@example.com\"); "
		     "$var(rc) = $var(rc) + 1; }\n"
		     "sl_send_reply(\"200\", \"OK\");\n");

	insert_many(10, 60);
	assert_string_equal(invite(s), "SIP/2.0 200 OK");
	assert_int_equal(s->asks, 40);
	stage_close(s);
}

static void unregister_takes_the_rows(void **state)
{
	struct stage *s =
		open_only("", SAVE "unregister(\"location\", \"$ru\"); $var(rc) = $rc;\n");
	struct stage_waiting one, two;

	assert_status(
		send_registration(s, "c1", 1, "Contact: " PHONE ", <sip:b@192.0.2.1>\n"), 200);
	stage_send(s, request("MESSAGE", ALICE));
	assert_int_equal(stage_rc(s), 1);
	assert_int_equal(s->waits, 1);
	assert_string_equal(table_rows("contact"), "");
	/* Behind a REGISTER that is under way. */
	suspend(s, &one, "c1", 2, "Contact: " PHONE "\n");
	s->nobody_waits = true;
	stage_send(s, request("MESSAGE", ALICE));
	assert_int_equal(s->ctx->wait_for, ROUTE_WAIT_TURN);
	stage_suspend(s, &two);
	s->nobody_waits = false;
	assert_status(stage_resume(s, &one), 200);
	assert_null(stage_resume(s, &two));
	assert_int_equal(stage_rc(s), 1);
	assert_string_equal(table_rows("contact"), "");
	assert_status(send_registration(s, "c1", 3, "Contact: " PHONE "\n"), 200);
	assert_int_equal(s->turns, 0);
	stage_close(s);
}

/* A stateless CANCEL goes where its INVITE went, though another one comes first by now. */
static void a_cancel_follows_its_invite(void **state)
{
	struct stage *s = open_only("", SAVE LOOKUP);
	char text[1024], *cancel;

	table_change(ROW("1", "sip:old@192.0.2.1", "0.5,'c',1"));
	snprintf(text, sizeof(text), "%s", request("INVITE", ALICE));
	assert_non_null(strstr(stage_send(s, text), "200 sip:old@"));
	table_change(ROW("2", "sip:new@192.0.2.1", "0.9,'c',1"));
	assert_non_null(strstr(stage_send(s, text), "200 sip:old@"));
	assert_non_null(strstr(invite(s), "200 sip:new@"));
	while ((cancel = strstr(text, "INVITE")) != NULL)
		memcpy(cancel, "CANCEL", 6);
	assert_non_null(strstr(stage_send(s, text), "200 sip:old@"));
	stage_close(s);
}

/* ---- what else a table is ---- */

static void domains_have_their_column(void **state)
{
	struct stage *s = open_only("modparam(\"usrloc\", \"use_domain\", 1)\n", SAVE LOOKUP);

	assert_status(send_registration(s, "c1", 1, "Contact: " PHONE "\n"), 200);
	assert_status(send_registration(s, "c1", 2, "Contact: " PHONE "\n"), 200);
	assert_string_equal(table_rows("username,domain,contact,cseq"),
		"alice|example.com|sip:alice@192.0.2.7:5062|2\n");
	assert_non_null(strstr(invite(s), "200 sip:alice@192.0.2.7:5062 "));
	table_change("UPDATE location SET domain='example.org'");
	assert_non_null(strstr(invite(s), "480"));
	table_change("UPDATE location SET domain='example.com'");
	assert_status(send_registration(s, "c1", 3, "Contact: " PHONE ";expires=0\n"), 200);
	assert_string_equal(table_rows("contact"), "");
	stage_close(s);
}

static bool has_no_user(const char *uri)
{
	return strncmp(uri, "tel:", 4) != 0 && strchr(uri, '@') == NULL;
}

/* Whatever name it is: what was answered with a 200 is found by each that asks, and goes. */
static void each_kind_of_user(const char *params, bool with_domain)
{
	struct stage *s = open_only(params, SAVE_TO LOOKUP);

	for (const char *const *uri = users_of_all_kinds; *uri != NULL; uri++) {
		if (has_no_user(*uri) && !with_domain)
			continue;
		assert_status(send_registration_of(s, *uri, "c1", 7, "Contact: " PHONE "\n"), 200);
		assert_int_equal(stage_rc(s), 1);
		assert_contact(send_registration_of(s, *uri, "c2", 1, ""), PHONE ";expires=3600");
		assert_status(stage_send(s, request("INVITE", *uri)), 200);
		assert_int_equal(stage_rc(s), 1);
		assert_refused(send_registration_of(s, *uri, "c1", 6, "Contact: " PHONE "\n"), 400,
			"CSeq is not above that of the binding");
		assert_status(
			send_registration_of(s, *uri, "c1", 8, "Contact: " PHONE ";expires=0\n"),
			200);
		assert_string_equal(table_rows("contact"), "");
	}
	stage_close(s);
}

#define PREFIX "modparam(\"registrar\", \"realm_prefix\", \"sip.\")\n"
#define CASE "modparam(\"registrar\", \"case_sensitive\", 1)\n"
#define DOMAIN "modparam(\"usrloc\", \"use_domain\", 1)\n"

static void each_kind_of_user_is_found(void **state)
{
	each_kind_of_user("", false);
	each_kind_of_user(CASE, false);
	each_kind_of_user(DOMAIN, true);
	each_kind_of_user(DOMAIN PREFIX CASE, true);
}

/* More than are looked for one by one. */
static void many_contacts_have_many_rows(void **state)
{
	struct stage *s = open_only("", SAVE);
	char lines[1024] = "Contact: ", wanted[1024] = "";

	for (unsigned i = 0; i < 8; i++) {
		sprintf(lines + strlen(lines), "%s<sip:p%u@192.0.2.1>", i == 0 ? "" : ", ", i);
		sprintf(wanted + strlen(wanted), "sip:p%u@192.0.2.1|2\n", i);
	}
	strcat(lines, "\n");
	for (unsigned cseq = 1; cseq <= 2; cseq++)
		assert_status(send_registration(s, "c1", cseq, lines), 200);
	assert_string_equal(table_rows("contact,cseq"), wanted);
	stage_close(s);
}

static void text_is_never_sql(void **state)
{
	struct stage *s = open_only("", SAVE LOOKUP);

	assert_status(send_registration(s, "c'--%", 1,
			      "Contact: <sip:x'%22;--@192.0.2.1;p=');DELETE>;"
			      "+sip.instance=\"<urn:x:');--'>\"\n"
			      "User-Agent: '; DROP TABLE location; --\n"),
		200);
	assert_string_equal(table_rows("contact,user_agent,callid"),
		"sip:x'%22;--@192.0.2.1;p=');DELETE|'; DROP TABLE location; --|c'--%\n");
	stage_send(s, request("INVITE", "sip:'or'1'='1@example.com"));
	assert_int_equal(stage_rc(s), -1);
	assert_status(send_registration(s, "c'--%", 2, "Contact: *\nExpires: 0\n"), 200);
	assert_string_equal(table_rows("contact"), "");
	stage_close(s);
}

/* OpenSER 1.3 knows no instances: a URI is a binding. */
static void a_table_of_openser_serves(void **state)
{
	struct stage *s;

	table_change("DROP TABLE location");
	table_change(
		"CREATE TABLE location (id INTEGER PRIMARY KEY, username VARCHAR(64) NOT NULL "
		"DEFAULT '', domain VARCHAR(64) NOT NULL DEFAULT '', contact VARCHAR(255) NOT "
		"NULL, received VARCHAR(128), path VARCHAR(128), expires DATETIME NOT NULL, q "
		"FLOAT NOT NULL, callid VARCHAR(255) NOT NULL, cseq INTEGER NOT NULL, "
		"last_modified DATETIME NOT NULL, flags INTEGER NOT NULL, cflags INTEGER NOT "
		"NULL, user_agent VARCHAR(255) NOT NULL, socket VARCHAR(64), methods INTEGER)");
	s = open_only("", SAVE LOOKUP);
	for (unsigned cseq = 1; cseq <= 2; cseq++)
		assert_status(send_registration(s, "c1", cseq,
				      "Contact: " PHONE ";+sip.instance=\"<urn:uuid:1>\"\n"),
			200);
	assert_string_equal(table_rows("contact,cseq"), "sip:alice@192.0.2.7:5062|2\n");
	assert_non_null(strstr(invite(s), "200 sip:alice@192.0.2.7:5062 "));
	assert_status(send_registration(s, "c1", 3, "Contact: " PHONE ";expires=0\n"), 200);
	assert_string_equal(table_rows("contact"), "");
	stage_close(s);
}

static void a_reload_cannot_change_to_it(void **state)
{
	struct stage *s = open_only("", SAVE);

	assert_false(stage_load(s, "modparam(\"usrloc\", \"db_mode\", 1)\n", SAVE));
	assert_non_null(strstr(s->said, "with a start and not with a reload"));
	assert_true(stage_load(s, MODE, SAVE LOOKUP));
	stage_close(s);
	s = stage_open_db("", SAVE, table_url);
	assert_int_equal(table_loads(s), 0);
	assert_false(stage_load(s, MODE, SAVE));
	assert_non_null(strstr(s->said, "with a start and not with a reload"));
	stage_close(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, table_begin, table_end)

#define EVERYWHERE \
	T(a_200_says_that_it_is_in_the_table), T(what_save_says_is_as_with_memory), \
		T(a_row_that_is_refreshed_stays), T(a_star_takes_all), \
		T(order_counts_and_a_copy_is_answered), T(all_that_a_contact_has_comes_back), \
		T(the_best_comes_first), T(what_has_ended_is_gone), \
		T(what_another_one_does_is_seen_at_once), T(bindings_of_others_stay), \
		T(what_stands_twice_is_one), T(too_many_rows_are_refused), \
		T(too_long_rows_are_refused), T(max_contacts_counts_what_is_in_the_table), \
		T(the_second_one_builds_on_the_first), T(branches_are_looked_up_too), \
		T(unregister_takes_the_rows), T(domains_have_their_column), \
		T(each_kind_of_user_is_found), T(many_contacts_have_many_rows), \
		T(text_is_never_sql)

int main(void)
{
	const struct CMUnitTest everywhere[] = {EVERYWHERE};
	const struct CMUnitTest tests[] = {
		EVERYWHERE,
		T(what_is_refused_asks_nothing),
		T(rows_that_have_ended_are_deleted),
		T(rows_of_others_do_not_count),
		T(what_has_no_room_changes_nothing),
		T(what_is_acknowledged_can_be_refreshed),
		T(a_dead_database_is_said),
		T(what_the_database_does_not_take_is_a_503),
		T(what_nobody_knows_of_is_a_503),
		T(a_removal_goes_behind_what_is_late),
		T(who_cannot_wait_gives_his_turn_back),
		T(a_turn_is_one_users),
		T(a_copy_is_dropped),
		T(who_waits_too_long_is_told),
		T(a_response_that_passes_is_saved),
		T(registered_asks_the_table),
		T(each_look_asks),
		T(a_cancel_follows_its_invite),
		T(a_table_of_openser_serves),
		T(a_reload_cannot_change_to_it),
	};

	if (getenv("TEST_DB_URL") != NULL)
		return cmocka_run_group_tests_name("registrar_only", everywhere, NULL, NULL);
	return cmocka_run_group_tests_name("registrar_only", tests, NULL, NULL);
}
